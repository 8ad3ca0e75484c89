"""Wherever an operation is hit, its stage serves entirely the old or entirely the new release in the end.

Every request of every operation, with every fault. See ``points`` for how, ``faults`` for what, and ``accounts`` for what
must hold afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import pytest

from tests.unit.engine.execution import Execution
from tests.unit.engine.wire import Died
from tests.unit.engine.world import World

from .accounts import Account, check, look
from .cases import CASES, Case
from .faults import (
    ANSWERS,
    CAUGHT,
    DEATHS,
    EVERYTHING,
    HEARD_LATE,
    HEARD_LATE_AND_RECOVERED,
    LATE,
    LOST,
    NEVER_ARRIVES,
    STOPPED,
    at_an_effect,
    where,
    where_something_changed,
)
from .points import Fault, is_effect, try_every_point

#: What ``make faults`` has time for at so many functions; ``make crash`` tries everything at each number.
FAULTS: dict[int, tuple[Fault, ...]] = {
    1: (*(where(death, where_something_changed) for death in DEATHS), LOST),
}
#: One function of these meets every answer that AWS can give, and late requests.
ANSWERED: tuple[str, ...] = ("changed deploy",)
FAULTS_OF_A_RECOVERY: tuple[Fault, ...] = (CAUGHT, STOPPED)
if os.environ.get("CRASH_POINTS") == "all":
    FAULTS = dict.fromkeys((1, 3, 20), EVERYTHING)
    ANSWERED = ()
    FAULTS_OF_A_RECOVERY = (CAUGHT, STOPPED, NEVER_ARRIVES, LATE, HEARD_LATE, *ANSWERS)


def faults_of(name: str, size: int) -> tuple[Fault, ...]:
    if size > 1 or name not in ANSWERED:
        return FAULTS[size]
    return (
        *FAULTS[size],
        LATE,
        *(answer for answer in ANSWERS if answer is not LOST),
        where(HEARD_LATE_AND_RECOVERED, at_an_effect),
    )


@pytest.mark.parametrize("size", FAULTS, ids=lambda size: f"{size} functions")
@pytest.mark.parametrize("name", CASES)
def test_an_operation_that_is_hit_anywhere_ends_old_or_new(
    name: str, size: int, record_property: Callable[[str, Any], None]
) -> None:
    case = CASES[name]
    saved = case.save(size)
    before, wanted = _ends(case, saved)
    world = World(saved=saved)
    execution = world.begin(case.request(world), "it")

    tally = try_every_point(execution, faults_of(name, size), lambda hit: conclude(case, hit, before, wanted))

    count = sum(tally.points.values())
    record_property(f"crash points of {name}, {size} function{'' if size == 1 else 's'}", count)
    assert not tally.failures, f"{len(tally.failures)} of {count} points:\n\n" + "\n\n".join(tally.failures[:5])
    assert count


def _ends(case: Case, saved: Any) -> tuple[Account, Account]:
    """The account before the operation, and after it if nothing happens."""
    world = World(saved=saved)
    before = look(world)
    done = world.begin(case.request(world), "it").run()
    assert done.error is None, done.cause
    wanted = look(world)
    return before, wanted


#: Where the execution is lost that is recovered: in this state, after its first effect on Lambda (its first write, if none).
LOST_IN = (
    ("changed deploy", "Publish"),
    ("changed deploy", "Move"),
    ("changed deploy", "Commit"),
    ("deploy of one function more and one less", "CleanUp"),
    ("deploy of a new stage", "Move"),
    ("rollback", "Move"),
    ("teardown of a stage", "TearDown"),
    ("sweep", "Collect"),
    ("adopt", "Commit"),
)


@pytest.mark.parametrize(("name", "state"), LOST_IN)
def test_a_recovery_that_is_hit_anywhere_is_recovered(name: str, state: str, record_property: Callable[[str, Any], None]) -> None:
    case = CASES[name]
    saved = case.save(1)
    before, wanted = _ends(case, saved)
    world = World(saved=saved)
    lost = world.begin(case.request(world), "it").run_to(state)
    world.wire.death = None
    world.wire.kill(lambda sent: is_effect(sent) and (sent.name.startswith("lambda.") or state == "Commit"), after=True)
    with pytest.raises(Died):
        lost.run()
    recovery = world.recovery_of("it")

    tally = try_every_point(recovery, FAULTS_OF_A_RECOVERY, lambda _: conclude(case, lost, before, wanted))

    count = sum(tally.points.values())
    record_property(f"crash points of the recovery of a {name} that was lost in {state}", count)
    assert not tally.failures, f"{len(tally.failures)} of {count} points:\n\n" + "\n\n".join(tally.failures[:5])
    assert count > 10


def conclude(case: Case, execution: Execution, before: Account, wanted: Account) -> None:
    """What would happen by itself now happens; then everything is as it must be, and stays so."""
    world = execution.world
    world.wire.mend()
    world.notice(execution.name)
    status = check(execution, before, wanted)
    if status == "committed" and case.goes_on_later:
        assert world.begin(case.request(world), "later").run().error is None
    if status in ("committed", "ended"):
        assert_deleted(execution, look(world).versions, wanted.versions)
    items, aws = world.items(), world.fake.state(revisions=True)
    assert world.notice(execution.name) == [], "an operation that has ended was recovered"
    assert (world.items(), world.fake.state(revisions=True)) == (items, aws)


def assert_deleted(execution: Execution, found: Mapping[str, AbstractSet[str]], wanted: Mapping[str, AbstractSet[str]]) -> None:
    """What an undisturbed run deletes is gone, but for what a teardown could not look at once more and left for a sweep."""
    if found == wanted:
        return
    assert all(wanted[name] <= there for name, there in found.items())
    output = execution.world.operation(execution.name)["end"]["output"]
    unread = {(each["function"], each["version"]) for each in output["sweep"]["kept"] if "could not be read" in each["reason"]}
    assert {(name, version) for name, there in found.items() for version in there - wanted[name]} <= unread
