"""An operation that lost its execution: noticed by an event or by whoever waits, taken over, ended, recorded, unlocked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.mandated import Superseded
from stagekeeper.aws.table import Put
from stagekeeper.domain.lock import Entry, Lock
from stagekeeper.domain.model import OperationId, ServiceName
from stagekeeper.domain.operation import Phase
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.domain.recovery import MAX_RECOVERIES
from stagekeeper.engine.notice import notice
from tests.unit.pages import README, section, tables

from .conftest import Deployed
from .execution import Execution
from .faults import of
from .world import SERVICE, World, deploy_of, lambda_name

BACK = {"operation": "rollback", "stage": "prod"}
STAGES = ("prod", "qa", "jane")
#: A stage that is only ever adopted: its aliases are there before.
OLD = "old"

Make = Callable[[World], Mapping[str, Any]]
REQUESTS: dict[str, Make] = {
    "deploy": lambda world: deploy_of("prod", world.wishes("new", "a", "b")),  # function c is dropped
    "new stage": lambda world: deploy_of("jane", world.wishes("new")),
    "release only": lambda world: deploy_of(None, world.wishes("new")),
    "rollback": lambda _: BACK,
    "reset": lambda _: {"operation": "reset", "stage": "prod", "to": {"stage": "qa"}},
    "clone": lambda _: {"operation": "clone", "stage": "jane", "from": {"stage": "prod"}},
    "teardown": lambda _: {"operation": "teardown", "stage": "qa"},
    "service teardown": lambda _: {"operation": "teardown", "confirm": SERVICE},
    "sweep": lambda _: {"operation": "sweep", "mode": "delete"},
    "configure": lambda _: {"operation": "configure", "stage": "prod", "settings": {"protected": True}},
    "adopt": lambda world: adopting(world),
}

#: Operation, the state that its execution was stopped before, and how the operation ends.
STOPPED: list[tuple[str, str, str]] = [
    *((kind, state, "Internal") for kind in REQUESTS if kind != "sweep" for state in ("Lock", "Plan")),
    ("sweep", "Inspect", "Internal"),
    *((kind, state, "Compensated") for kind in ("deploy", "new stage") for state in ("Publish", "Move")),
    ("release only", "Publish", "Compensated"),
    ("release only", "Commit", "Compensated"),
    *((kind, "Move", "Compensated") for kind in ("rollback", "reset", "clone")),
    ("configure", "Commit", "Compensated"),
    # Everything that it does is on record, and can be written again.
    ("adopt", "Commit", "succeeded"),
    # Every alias is at its target, or it is decided already, or it only goes forward.
    *((kind, "Commit", "succeeded") for kind in ("deploy", "new stage", "rollback", "reset", "clone")),
    ("deploy", "CleanUp", "succeeded"),
    *((kind, state, "succeeded") for kind in ("teardown", "service teardown") for state in ("TearDown", "Commit")),
    ("sweep", "Collect", "succeeded"),
]


def adopting(world: World) -> Mapping[str, Any]:
    """Somebody made aliases by hand, which are to become a stage."""
    for name in world.names:
        world.fake.alias(lambda_name(name), OLD, "1")
    return {"operation": "adopt", "stages": [OLD]}


@pytest.fixture
def world(deployed: Deployed) -> World:
    """prod has seen r1 and r2, qa serves r3; all of it long ago."""
    world = deployed("abc", "one two qa:three")
    world.clock.sleep(30 * 24 * 3600.0)
    world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=3600.0)
    return world


def begin(world: World, kind: str, name: str = "it") -> Execution:
    return world.begin(REQUESTS[kind](world), name)


def stopped(world: World, kind: str, state: str, name: str = "it") -> Execution:
    """The operation's execution is stopped just before it enters ``state``."""
    running = begin(world, kind, name).run_to(state)
    running.stop()
    return running


def half_moved(world: World) -> Execution:
    """A deploy is stopped in the middle of its moves: function a serves the new version already."""
    running = begin(world, "deploy").run_to("Move")
    world.deps.journal.begin(world.deps.journal.reread(running.carrier), Phase.MOVE)
    world.fake.alias(lambda_name("a"), "prod", "4")
    running.stop()
    return running


def at_work(world: World, name: str = "it") -> Execution:
    """The recovery that was begun by an event and has not done anything yet."""
    notice(world.deps, OperationId(name), name)
    (begun,) = world.begun()
    return begun


def what_counts(world: World) -> object:
    """What people see: which code every stage serves, the ledgers, the settings and the versions that exist for them."""
    recorded = (*STAGES, OLD)
    stages = {name: world.stage(name) for name in recorded}
    lines = {name: [(m["operation"], m["from_release"], m["to_release"]) for m in world.movements(name)] for name in recorded}
    settings = {
        name: None if stage is None else (stage.release, stage.way_back, stage.settings) for name, stage in stages.items()
    }
    return {name: world.code(name) for name in STAGES}, lines, settings


def versions(world: World) -> dict[str, list[str]]:
    return {name: list(world.fake.versions(lambda_name(name))) for name in world.names}


def end_on_record(world: World, name: str = "it") -> str:
    end = world.operation(name)["end"]
    return str(end["output"]["outcome"] if "output" in end else end["error"])


def assert_unlocked(world: World) -> None:
    assert (world.held(), world.waiting()) == ({}, [])


# What becomes of it.


@pytest.mark.parametrize(("kind", "state", "outcome"), STOPPED)
def test_a_stopped_operation_is_ended_as_if_it_had_never_been_or_had_come_through(
    world: World, deployed: Deployed, kind: str, state: str, outcome: str
) -> None:
    before, there = what_counts(world), versions(world)
    stopped(world, kind, state)

    (recovery,) = world.notice("it")

    assert (recovery.outcome, end_on_record(world)) == (outcome, outcome), recovery.cause
    assert_unlocked(world)
    if outcome == "succeeded":
        untouched = deployed("abc", "one two qa:three")
        untouched.clock.sleep(30 * 24 * 3600.0)
        untouched.sweeping = world.sweeping
        assert begin(untouched, kind).run().outcome == "succeeded"
        assert (what_counts(world), versions(world)) == (what_counts(untouched), versions(untouched))
    else:
        assert what_counts(world) == before
        assert {name: versions(world)[name][: len(numbers)] for name, numbers in there.items()} == there


def test_what_a_recovery_tells_is_what_the_operation_would_have_told(world: World) -> None:
    stopped(world, "rollback", "Commit")

    (recovery,) = world.notice("it")

    assert recovery.output is not None
    told = recovery.output
    assert (told["operation_id"], told["operation"], told["stage"], told["release"]) == ("it", "rollback", "prod", 1)
    (line,) = world.movements()[2:]
    assert (line["operation_id"], line["operation"]) == ("it", "rollback")


@pytest.mark.parametrize(
    ("why", "because"),
    [
        (None, ""),
        ("wrong stage", ": wrong stage"),
        ("two\nlines \x1b[31m", ": two\\nlines \\x1b[31m"),
    ],
)
@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (
            "Plan",
            "Somebody stopped its execution it (ABORTED){}; nothing had been changed. "
            "Start the rollback again if it is still wanted.",
        ),
        (
            "Move",
            "rollback of stage prod of service orders was stopped midway and everything was put back. Somebody stopped its "
            "execution it (ABORTED){}. Start it again if it is still wanted.",
        ),
    ],
)
def test_the_cause_says_that_somebody_stopped_it_and_why(
    world: World, state: str, sentence: str, why: str | None, because: str
) -> None:
    begin(world, "rollback").run_to(state).stop(why)

    (recovery,) = world.notice("it")

    assert recovery.message == sentence.format(because)
    assert recovery.cause["operation_id"] == "it"


def test_one_that_ran_out_of_time_is_recovered_like_one_that_was_stopped(world: World) -> None:
    begin(world, "rollback").run_to("Move")
    world.executions.time_out("it")

    (recovery,) = world.notice("it")

    assert recovery.outcome == "Compensated"
    assert "Its execution it ended as TIMED_OUT before it was done. Mend that, then try again." in recovery.message


def test_aliases_that_were_moved_before_the_death_are_put_back(world: World) -> None:
    before = what_counts(world)
    half_moved(world)

    (recovery,) = world.notice("it")

    assert recovery.outcome == "Compensated"
    assert what_counts(world) == before
    assert world.aliases() == world.recorded()


def test_aliases_that_cannot_be_read_are_looked_at_once_more_by_compensation(world: World) -> None:
    half_moved(world)
    world.fake.fail("GetAlias", error="ServiceException", times=1, where=of("b"))

    (recovery,) = world.notice("it")

    assert recovery.outcome == "Compensated"
    assert set(world.aliases().values()) == {"2"}


def test_what_cannot_be_put_back_leaves_the_stage_mixed_and_unlocked_for_the_next_operation(world: World) -> None:
    half_moved(world)
    world.fake.fail("UpdateAlias", error="AccessDeniedException", times=None, where=of("a", "2"))

    (recovery,) = world.notice("it")

    stage = world.stage()
    assert recovery.outcome == "NeedsAttention"
    assert stage is not None
    assert (stage.mixed, world.recorded()) == (True, {"a": "4", "b": "2", "c": "2"})
    assert_unlocked(world)

    world.fake.heal()
    assert world.rollback().outcome == "succeeded"
    assert world.aliases() == world.recorded() == {"a": "2", "b": "2", "c": "2"}


@pytest.mark.parametrize(
    ("kind", "state", "at_least", "below"),
    [("deploy", "Plan", 0, 1), ("rollback", "Commit", 8, 10), ("deploy", "CleanUp", 8, 10), ("deploy", "Move", 33, 40)],
)
def test_a_recovery_waits_as_long_as_a_call_may_be_under_way_and_no_longer(
    world: World, kind: str, state: str, at_least: int, below: int
) -> None:
    """After planning, moving aliases, the commit, and publishing."""
    stopped(world, kind, state)
    began = world.moments.now

    world.notice("it")

    assert at_least <= world.moments.now - began < below


@pytest.mark.parametrize(
    ("position", "cases"),
    [
        (0, [("rollback", "Plan")]),
        (1, [("rollback", "Move"), ("rollback", "Commit"), ("deploy", "CleanUp"), ("sweep", "Collect")]),
        (2, [("deploy", "Commit"), ("teardown", "TearDown")]),
    ],
)
def test_a_recovery_takes_as_many_transitions_as_the_readme_says(
    world: World, position: int, cases: list[tuple[str, str]]
) -> None:
    (row,) = [row for row in tables(section(README, "What it costs"))[0] if row[0].startswith("recovery of")]
    for number, (kind, state) in enumerate(cases):
        stopped(world, kind, state, name=f"it-{number}")
        (recovery,) = world.notice(f"it-{number}")
        assert len(recovery.path) == int(row[1].split(", ")[position])


# Who notices: the event.


def test_an_operation_that_ended_properly_costs_one_read(world: World) -> None:
    begin(world, "rollback").run()
    world.wire.clear()

    assert world.notice("it") == []
    assert [sent.name for sent in world.wire.sent] == ["dynamodb.GetItem"]


def test_one_that_died_before_it_was_on_record_has_nothing_to_recover(world: World) -> None:
    before = world.items()
    stopped(world, "rollback", "Accept")

    assert world.notice("it") == []
    assert world.items() == before


def test_the_event_of_an_execution_that_was_redriven_meanwhile_begins_nothing(world: World) -> None:
    stopped(world, "rollback", "Move")
    redriven = begin(world, "rollback")

    assert world.notice("it") == []
    assert redriven.run().outcome == "succeeded"


def test_told_twice_there_is_one_recovery(world: World) -> None:
    stopped(world, "rollback", "Move")
    notice(world.deps, OperationId("it"), "it")

    (recovery,) = world.notice("it")

    assert recovery.outcome == "Compensated"


def test_a_recovery_delivered_twice_ends_as_one_that_is_delivered_once(world: World) -> None:
    before = what_counts(world)
    half_moved(world)
    recovery = at_work(world)
    recovery.deliveries = 2

    assert recovery.run().outcome == "Compensated"
    assert what_counts(world) == before


# Recoveries that die as well.


@pytest.mark.parametrize("state", ["Accept", "Recover", "Compensate"])
def test_a_recovery_that_dies_is_recovered_by_another_one(world: World, state: str) -> None:
    before = what_counts(world)
    half_moved(world)
    first = at_work(world).run_to(state)
    first.stop()

    (second,) = world.notice("it")

    assert second.name != first.name
    assert (second.outcome, what_counts(world)) == ("Compensated", before)
    assert_unlocked(world)


def test_one_that_always_dies_is_not_begun_for_ever(world: World) -> None:
    half_moved(world)
    for _ in range(MAX_RECOVERIES):
        at_work(world).run_to("Compensate").stop()

    assert world.notice("it") == []
    assert list(world.held()) == ["it"]


def test_a_waiter_begins_one_all_the_same(world: World) -> None:
    half_moved(world)
    for _ in range(MAX_RECOVERIES):
        at_work(world).run_to("Compensate").stop()

    assert world.rollback().outcome == "succeeded"
    assert end_on_record(world) == "Compensated"


# Who notices: whoever waits for the lock.


def test_a_waiter_finds_a_dead_holder_at_its_first_ask(world: World) -> None:
    half_moved(world)
    began = world.moments.now

    waiter = world.rollback()

    assert (end_on_record(world), waiter.outcome) == ("Compensated", "succeeded")
    assert world.moments.now - began < 30
    assert set(world.aliases().values()) == {"1"}


def test_a_waiter_finds_a_holder_that_dies_while_it_waits_half_a_minute_later(world: World) -> None:
    holder = begin(world, "rollback").run_to("Move")
    waiter = world.begin(BACK).run_to("Lock")
    began = world.moments.now
    waiter.step()
    holder.stop()

    waiter.run()

    (recovery,) = [each for name, each in world.executions.executions.items() if name.startswith("recover-it-")]
    assert 30 <= recovery.started_at - began < 45
    assert waiter.outcome == "succeeded"


def test_a_dead_waiter_before_it_does_not_hold_it_up(world: World) -> None:
    holder = begin(world, "rollback").run_to("Move")
    dead = world.begin(BACK, "dead").run_to("Lock")
    dead.step()
    dead.stop()
    waiter = world.begin(BACK).run_to("Lock")
    waiter.step()
    waiter.step()
    assert end_on_record(world, "dead") == "Internal"
    assert world.waiting() == [waiter.name]

    holder.run()

    assert waiter.run().outcome == "NothingToRollBack"


def test_a_living_holder_is_asked_about_every_half_minute_only(world: World) -> None:
    begin(world, "rollback").run_to("Move")
    world.wire.clear()

    waiter = world.rollback(lock_wait_seconds=100)

    # When it begins to wait, after 30, 60 and 90 seconds, and before it gives up.
    assert waiter.outcome == "Locked"
    assert [sent.name for sent in world.wire.sent].count("sfn.DescribeExecution") == 5


def test_without_patience_it_gives_up_at_once_and_says_that_recovery_is_under_way(world: World) -> None:
    half_moved(world)

    waiter = world.rollback(lock_wait_seconds=0)

    assert waiter.outcome == "Locked"
    assert "it died; its recovery is under way: try again in a minute." in waiter.message
    assert [recovery.outcome for recovery in world.run_started()] == ["Compensated"]
    assert world.rollback(lock_wait_seconds=0).outcome == "succeeded"


def test_an_execution_that_cannot_be_asked_about_counts_as_alive(world: World) -> None:
    half_moved(world)
    world.wire.fail("sfn.DescribeExecution", "AccessDeniedException", on_call=0)

    waiter = world.rollback(lock_wait_seconds=60)

    assert waiter.outcome == "Locked"
    assert "died" not in waiter.message
    assert world.begun() == []
    assert list(world.held()) == ["it"]


def test_a_waiter_that_cannot_begin_a_recovery_waits_on_and_says_so_in_the_end(world: World) -> None:
    half_moved(world)
    world.wire.fail("sfn.StartExecution", "AccessDeniedException", on_call=0)

    waiter = world.rollback(lock_wait_seconds=60)

    assert waiter.outcome == "Locked"
    assert "it died, and its recovery could not be begun: starting execution recover-it-" in waiter.message
    assert "AccessDenied" in waiter.message


@pytest.mark.parametrize("applied", [False, True], ids=["before its effect", "after its effect"])
@pytest.mark.parametrize("call", range(1, 6))
def test_a_notice_that_dies_anywhere_is_delivered_again_and_begins_one_recovery(world: World, call: int, applied: bool) -> None:
    """Its reads of the record and of three executions, and the start of the recovery."""
    before = what_counts(world)
    half_moved(world)
    world.wire.fail(lambda _: True, on_call=call, applied=applied)
    try:
        notice(world.deps, OperationId("it"), "it")
    except Unanswered:
        notice(world.deps, OperationId("it"), "it")

    assert [recovery.outcome for recovery in world.run_started()] == ["Compensated"]
    assert what_counts(world) == before
    assert_unlocked(world)


def test_an_end_that_is_not_to_be_seen_yet_is_waited_for(world: World) -> None:
    half_moved(world)
    world.executions.executions["it"].status = "RUNNING"
    world.clock.in_seconds(1, lambda: world.executions.stop("it"))

    assert [recovery.outcome for recovery in world.notice("it")] == ["Compensated"]


def test_an_execution_that_step_functions_does_not_show_yet_is_not_taken_for_dead(world: World) -> None:
    half_moved_and_alive = begin(world, "deploy").run_to("Move")
    known = world.executions.executions.pop("it")

    waiter = world.rollback(lock_wait_seconds=0)

    assert (waiter.outcome, world.begun()) == ("Locked", [])
    world.executions.executions["it"] = known
    assert half_moved_and_alive.run().outcome == "succeeded"


def test_a_recovery_of_one_that_lives_after_all_lets_it_go_on(world: World) -> None:
    running = begin(world, "deploy").run_to("Move")
    known = world.executions.executions.pop("it")
    world.clock.sleep(120)
    recovery = at_work(world)
    world.executions.executions["it"] = known
    world.clock.in_seconds(20, running.run)

    done = recovery.run()

    assert running.outcome == "succeeded"
    assert done.outcome == "succeeded"
    assert world.operation("it")["recoveries"] == 0


def stray(world: World) -> None:
    """A place in the lock that belongs to no operation on record."""
    entry = Entry(OperationId("stray"), "rollback", frozenset({"stage:prod"}), 0.0, 0.0)
    key = items.lock_key(ServiceName(SERVICE))
    world.deps.table.put(Put(key, items.lock_item(Lock(holders=(entry,), revision=10**15))))


def test_a_place_in_the_lock_without_a_record_is_freed_when_its_execution_is_over(world: World) -> None:
    stray(world)

    assert world.rollback().outcome == "succeeded"
    assert_unlocked(world)


def test_it_is_not_while_its_execution_is_running(world: World) -> None:
    stray(world)
    world.executions.start("stray", {})
    world.begun()

    assert world.rollback(lock_wait_seconds=0).outcome == "Locked"
    assert list(world.held()) == ["stray"]


# The dead execution itself.


@pytest.mark.parametrize("state", ["Lock", "Plan", "Publish", "Move", "Commit", "CleanUp"])
@pytest.mark.parametrize("when", ["during", "after"])
def test_a_late_worker_of_a_dead_execution_does_nothing(world: World, state: str, when: str) -> None:
    dead = half_moved(world)
    recovery = at_work(world).run_to("Compensate")
    if when == "after":
        recovery.run()
    items, aws = world.items(), world.fake.state(revisions=True)

    with pytest.raises(Superseded):
        dead.deliver(state)

    assert (world.items(), world.fake.state(revisions=True)) == (items, aws)


@pytest.mark.parametrize(("state", "outcome"), [("Plan", "Internal"), ("Move", "Compensated"), ("Commit", "succeeded")])
def test_an_execution_that_is_redriven_later_ends_as_its_recovery_made_it_end(world: World, state: str, outcome: str) -> None:
    stopped(world, "rollback", state)
    (recovery,) = world.notice("it")
    after = what_counts(world)

    redriven = begin(world, "rollback").run()

    assert (redriven.outcome, redriven.output, redriven.cause) == (outcome, recovery.output, recovery.cause)
    assert what_counts(world) == after


def test_one_that_is_redriven_while_its_recovery_is_under_way_waits_for_that(world: World) -> None:
    before = what_counts(world)
    half_moved(world)
    recovery = at_work(world).run_to("Compensate")
    world.clock.in_seconds(25, recovery.run)

    redriven = begin(world, "deploy").run()

    assert "Wait" in redriven.path
    assert (redriven.outcome, redriven.cause) == (recovery.outcome, recovery.cause) == ("Compensated", recovery.cause)
    assert what_counts(world) == before


def test_one_that_is_redriven_before_anybody_noticed_goes_on_and_its_recovery_finds_nothing_to_do(world: World) -> None:
    stopped(world, "rollback", "Move")
    recovery = at_work(world)

    assert begin(world, "rollback").run().outcome == "succeeded"
    after = what_counts(world)

    assert recovery.run().outcome == "unchanged"
    assert what_counts(world) == after


def test_an_execution_whose_handlers_were_updated_to_another_schema_is_recovered_by_the_new_version(world: World) -> None:
    """Its definition is the old one's to the end; every handler refuses its payloads, and no attempt is made twice."""
    before = what_counts(world)
    running = begin(world, "deploy").run_to("Move")
    for state in ("Move", "Compensate"):
        running.fail_state(state, "UpdatedMeanwhile")

    assert running.visited[-2:] == ["Move", "Compensate"]
    assert (running.error, world.operation("it")["status"]) == ("Internal", "converging")
    assert [recovery.outcome for recovery in world.notice("it")] == ["Compensated"]
    assert what_counts(world) == before
    assert_unlocked(world)
