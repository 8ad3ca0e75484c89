"""Two operations of one service at the same time: the second begins while the first is at any of its states.

For each pair, and each state of the first: the first is run up to there, the second gets as far as it can without the first,
then both get on in turns to their ends.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Deployed
from .execution import Execution
from .faults import fail_after_the_others, of
from .world import World, deploy_of, lambda_name

STATES = ("Accept", "Inspect", "Lock", "Plan", "Publish", "Move", "TearDown", "Collect", "Commit")
_DENIED = "AccessDeniedException"
BEFORE = "one two dev:one qa:two"


def race(first: Execution, second: Execution, state: str) -> bool:
    """Both to their ends; False if the first never enters the state."""
    while first.state != state:
        if first.state is None:
            return False
        first.step()
    while second.state is not None and len(second.visited) < 12:
        second.step()
    while first.state is not None or second.state is not None:
        for execution in (first, second):
            if execution.state is not None:
                execution.step()
    return True


def each_race(
    deployed: Deployed, first: Callable[[World], dict[str, Any]], second: Callable[[World], dict[str, Any]]
) -> list[tuple[World, Execution, Execution]]:
    found = []
    for state in STATES:
        world = deployed("ab", BEFORE)
        one, other = world.begin(first(world), "first"), world.begin(second(world), "second")
        if race(one, other, state):
            found.append((world, one, other))
    assert len(found) >= 5
    return found


def serves(world: World, stage: str) -> set[str]:
    """The texts that the code under the stage's aliases was made of."""
    digests = {
        digest: text
        for text in ("one", "two", "three", "four")
        for name in world.names
        for digest in [base64.b64encode(hashlib.sha256(f"{name}: {text}".encode()).digest()).decode()]
    }
    assert world.recorded(stage) == world.aliases(stage)
    return {digests[digest] for digest in world.code(stage).values()}


def assert_quiet(world: World) -> None:
    assert (world.held(), world.waiting()) == ({}, [])


def test_two_deploys_never_put_the_code_of_one_under_the_version_of_the_other(deployed: Deployed) -> None:
    for world, first, second in each_race(
        deployed,
        lambda world: deploy_of("dev", world.wishes("three")),
        lambda world: deploy_of("qa", world.wishes("four")),
    ):
        assert (first.outcome, second.outcome) == ("succeeded", "succeeded")
        assert (serves(world, "dev"), serves(world, "qa"), serves(world, "prod")) == ({"three"}, {"four"}, {"two"})
        assert_quiet(world)


def test_of_two_deploys_of_one_stage_the_later_one_is_served(deployed: Deployed) -> None:
    for world, first, second in each_race(
        deployed,
        lambda world: deploy_of("dev", world.wishes("three")),
        lambda world: deploy_of("dev", world.wishes("four")),
    ):
        assert (first.outcome, second.outcome) == ("succeeded", "succeeded")
        last = world.movements("dev")[-1]["operation_id"]
        assert serves(world, "dev") == ({"four"} if last == "second" else {"three"})
        assert_quiet(world)


def deploy_against_rollback(deployed: Deployed, of: str) -> list[tuple[World, Execution, Execution]]:
    """A deploy ``of`` a stage, and a rollback of prod that begins at each of its states."""
    return each_race(
        deployed,
        lambda world: deploy_of(of, world.wishes("three")),
        lambda _: {"operation": "rollback", "stage": "prod"},
    )


def test_a_rollback_of_prod_does_not_wait_for_a_deploy_of_dev(deployed: Deployed) -> None:
    for world, first, second in deploy_against_rollback(deployed, of="dev"):
        assert (first.outcome, second.outcome) == ("succeeded", "succeeded")
        assert "Wait" not in second.path
        assert (serves(world, "dev"), serves(world, "prod")) == ({"three"}, {"one"})
        assert_quiet(world)


def test_a_rollback_waits_for_a_deploy_of_the_same_stage_and_takes_it_back(deployed: Deployed) -> None:
    """Where the rollback was first, the deploy comes after it."""
    for world, first, second in deploy_against_rollback(deployed, of="prod"):
        assert (first.outcome, second.outcome) == ("succeeded", "succeeded")
        last = world.movements()[-1]["operation_id"]
        assert serves(world, "prod") == ({"two"} if last == "second" else {"three"})
        assert [line["from_release"] for line in world.movements()[1:]] == [line["to_release"] for line in world.movements()[:-1]]
        assert_quiet(world)


def test_a_rollback_for_what_was_served_before_a_deploy_does_nothing_after_it(deployed: Deployed) -> None:
    for world, first, second in each_race(
        deployed,
        lambda world: deploy_of("prod", world.wishes("three")),
        lambda _: {"operation": "rollback", "stage": "prod", "if_release": 2},
    ):
        assert first.outcome == "succeeded"
        assert second.outcome in ("succeeded", "StageMoved")
        assert serves(world, "prod") == {"three"}
        assert_quiet(world)


def test_of_two_teardowns_one_finds_nothing_left(deployed: Deployed) -> None:
    teardown = {"operation": "teardown", "stage": "prod"}
    for world, first, second in each_race(deployed, lambda _: teardown, lambda _: teardown):
        assert sorted([first.outcome, second.outcome]) == ["StageNotFound", "succeeded"]
        assert world.stage("prod") is None
        assert [line["to_release"] for line in world.movements()].count(None) == 1
        assert_quiet(world)


def test_of_two_rollbacks_from_the_same_release_one_goes_back_one_step(deployed: Deployed) -> None:
    rollback = {"operation": "rollback", "stage": "prod", "if_release": 2}
    for world, first, second in each_race(deployed, lambda _: rollback, lambda _: rollback):
        assert sorted([first.outcome, second.outcome]) == ["StageMoved", "succeeded"]
        assert serves(world, "prod") == {"one"}
        assert_quiet(world)


def test_a_deploy_during_a_sweep_finds_its_versions_or_publishes_them_anew(deployed: Deployed) -> None:
    """The sweep wants the version that the deploy wants to serve again: r1 of a service whose stages have all left it."""
    sweep = {"operation": "sweep", "mode": "delete", "keep": 0, "rollback_depth": 0, "grace_hours": 0}
    seen = 0
    for state in STATES:
        world = deployed("ab", "one two three")
        first, second = world.begin(sweep, "first"), world.begin(deploy_of("prod", world.wishes("one")), "second")
        if not race(first, second, state):
            continue
        seen += 1
        assert serves(world, "prod") == {"one"}
        assert (first.outcome, second.outcome) == ("succeeded", "succeeded"), (state, first.cause, second.cause)
        assert_quiet(world)
    assert seen >= 3


def test_waiters_get_the_lock_in_order_of_arrival(deployed: Deployed) -> None:
    world = deployed("ab", BEFORE)
    holder = world.begin(deploy_of("dev", world.wishes("three")), "holder").run_to("Plan")
    waiters = [world.begin(deploy_of("dev", world.wishes(None)), f"waiter-{number}") for number in range(4)]
    for waiter in waiters:
        while len(waiter.visited) < 3:
            waiter.step()
    holder.run()
    while any(waiter.state is not None for waiter in waiters):
        for waiter in reversed(waiters):
            if waiter.state is not None:
                waiter.step()

    ended = sorted(waiters, key=lambda waiter: str(world.operation(waiter.name)["ended_at"]))
    assert [waiter.name for waiter in ended] == [f"waiter-{number}" for number in range(4)]


@pytest.mark.parametrize("mode", ["report", "delete"])
def test_a_mixed_stage_is_swept_around(deployed: Deployed, mode: str) -> None:
    """What its aliases really serve is needed, whatever release it is said to be on."""
    world = deployed("abc", "one two three")
    fail_after_the_others(world, "UpdateAlias", "c", _DENIED, "1")
    world.fake.fail("UpdateAlias", error=_DENIED, times=None, where=of("a", "3"))
    failed = world.begin({"operation": "reset", "stage": "prod", "to": {"release": 1}}, "it").run()
    world.fake.heal()
    world.clock.sleep(10 * 86_400)

    assert failed.outcome == "NeedsAttention", failed.cause
    served = world.aliases()
    swept = world.begin({"operation": "sweep", "mode": mode, "keep": 0, "rollback_depth": 0, "grace_hours": 0}, "sweep").run()

    assert swept.error is None, swept.cause
    assert world.aliases() == served
    for name, number in served.items():
        assert number in world.fake.versions(lambda_name(name))
    assert world.rollback().outcome == "succeeded"
    assert set(world.aliases().values()) == {"3"}
