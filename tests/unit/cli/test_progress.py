"""The course of an operation as people see it: which steps there are, which is at work, what each took, and what went wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.cli.progress import Look, Lost, Subject, queued, span, told, went_on
from stagekeeper.domain.lock import COLLECT, PUBLISH, Entry, Lock, stage_slot
from stagekeeper.domain.model import OperationId, ServiceName
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import Failed, OperationNow, Succeeded
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.stack_plan import When

from .looking import (
    BROKE,
    DEPLOY,
    DEV,
    DONE,
    NOW,
    OP,
    ORDERS,
    OUTPUT,
    at,
    course,
    ended,
    joined_course,
    marks,
    over,
    shown,
    waiting,
)

WAITS, PLANS = NOW, replace(NOW, epoch=2)

ALL_DONE = {"Accept": "done", "Lock": "done", "Plan": "done", "Publish": "done", "Move": "done", "Commit": "done"}


def kind(of: OperationKind, stage: bool = True) -> Subject:
    return Subject(OP, of, ORDERS, DEV if stage else None)


@pytest.mark.parametrize(
    ("subject", "names"),
    [
        (DEPLOY, "Accept Lock Plan Publish Move Commit"),
        (kind(OperationKind.DEPLOY, stage=False), "Accept Lock Plan Publish Commit"),
        (kind(OperationKind.ROLLBACK), "Accept Lock Plan Move Commit"),
        (kind(OperationKind.RESET), "Accept Lock Plan Move Commit"),
        (kind(OperationKind.CLONE), "Accept Lock Plan Move Commit"),
        (kind(OperationKind.CONFIGURE), "Accept Lock Plan Commit"),
        (kind(OperationKind.ADOPT), "Accept Lock Plan Commit"),
        (kind(OperationKind.TEARDOWN), "Accept Lock Plan Tear_down Commit"),
        (kind(OperationKind.SWEEP, stage=False), "Accept Inspect Collect"),
        (kind(OperationKind.VERIFY), "Inspect"),
        (kind(OperationKind.RECOVER, stage=False), "Recover"),
        (replace(DEPLOY, dry_run=True), "Dry_run"),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{value.kind}{'' if value.stage else ' of a service'}",
)
def test_the_steps_of_an_operation_are_known_before_its_first_look(subject: Subject, names: str) -> None:
    first, *ahead = names.replace("_", " ").split(" ") if "_" not in names else [name.replace("_", " ") for name in names.split()]

    assert marks(course(subject=subject)) == {first: "at it", **dict.fromkeys(ahead, "ahead")}


@pytest.mark.parametrize(
    ("now", "step"),
    [
        (WAITS, "Lock"),
        (PLANS, "Plan"),
        (at(Phase.PLAN), "Publish"),
        (at(Phase.PUBLISH), "Publish"),
        (at(Phase.MOVE), "Move"),
        (at(Phase.COMMIT), "Commit"),
        (at(Phase.CLEAN_UP, Status.COMMITTED), "Clean up"),
        (at(Phase.COMMIT, Status.COMMITTED, stacks_due=When.AFTER_COMMIT), "Stage stack"),
        (at(Phase.STACKS, Status.COMMITTED, stacks_due=When.CLEAN_UP), "Clean up"),
        (at(Phase.STACKS, planned=False, has_stacks=True, stacks_due=When.FIRST), "Service stack"),
        (at(Phase.WAITING, planned=False, has_stacks=True, stacks_due=When.FIRST), "Service stack"),
        (at(Phase.STACKS, planned=False, has_stacks=True), "Publish"),
        (at(Phase.PUBLISH, has_stacks=True, stacks_due=When.BEFORE_MOVE), "Publish"),
        (at(Phase.MOVE, has_stacks=True, stacks_due=When.BEFORE_MOVE), "Stage stack"),
        (at(Phase.WAITING, has_stacks=True, stacks_due=When.BEFORE_MOVE), "Stage stack"),
        (at(Phase.STACKS, has_stacks=True), "Move"),
        (at(Phase.PLAN, kind=OperationKind.ROLLBACK), "Move"),
        (at(Phase.PLAN, kind=OperationKind.CONFIGURE), "Commit"),
        (replace(WAITS, kind=OperationKind.SWEEP, stage=None), "Inspect"),
        (at(Phase.PLAN, kind=OperationKind.SWEEP), "Collect"),
        (at(Phase.COLLECT, kind=OperationKind.SWEEP), "Collect"),
        (at(Phase.TEAR_DOWN, kind=OperationKind.TEARDOWN), "Tear down"),
        (at(Phase.STACKS, kind=OperationKind.TEARDOWN, planned=False, has_stacks=True, stacks_due=When.FIRST), "Stage stacks"),
        (at(Phase.STACKS, kind=OperationKind.TEARDOWN, has_stacks=True, stacks_due=When.LAST), "Service stack"),
        (at(Phase.STACKS, kind=OperationKind.TEARDOWN, has_stacks=True), "Commit"),
    ],
    ids=lambda value: f"{value.kind} {value.status} {value.phase} {value.stacks_due}" if isinstance(value, OperationNow) else "",
)
def test_a_record_says_which_step_is_at_work_and_all_before_it_are_done(now: OperationNow, step: str) -> None:
    seen = list(marks(course((1.0, now), subject=Subject(OP, now.kind, now.service, now.stage))).items())

    place = [name for name, _ in seen].index(step)
    assert [mark for _, mark in seen] == ["done"] * place + ["at it"] + ["ahead"] * (len(seen) - place - 1)


def test_what_an_operation_may_not_have_is_shown_once_it_is_seen_and_stays() -> None:
    stack = at(Phase.STACKS, planned=False, has_stacks=True, stacks_due=When.FIRST)

    assert "Service stack" not in marks(course((1.0, PLANS)))
    assert marks(course((1.0, PLANS), (2.0, stack), (9.0, at(Phase.MOVE))))["Service stack"] == "done"


def test_nothing_goes_backwards() -> None:
    """A teardown that has deleted its stage's stack asks for its lock, and plans, once more."""
    teardown = kind(OperationKind.TEARDOWN)
    stack = at(Phase.STACKS, kind=OperationKind.TEARDOWN, planned=False, has_stacks=True, stacks_due=When.FIRST)
    again = at(Phase.PLAN, kind=OperationKind.TEARDOWN, planned=False, has_stacks=True)

    seen = marks(course((1.0, stack), (60.0, again), subject=teardown))

    assert seen == {
        "Accept": "done",
        "Lock": "done",
        "Plan": "done",
        "Stage stacks": "done",
        "Tear down": "at it",
        "Commit": "ahead",
    }


# What it took.


def test_a_step_took_from_its_first_look_to_that_of_the_next_one() -> None:
    known = course((0.5, WAITS), (3.0, PLANS), (4.0, PLANS), (4.5, at(Phase.PUBLISH)))

    assert {step.name: step.seconds for step in shown(known, 6.0)} == {
        "Accept": 0.5,
        "Lock": 2.5,
        "Plan": 1.5,
        "Publish": 1.5,
        "Move": None,
        "Commit": None,
    }


def test_of_a_step_that_nobody_saw_nobody_says_what_it_took() -> None:
    known = course((0.5, WAITS), (2.0, over(Status.COMMITTED), DONE))

    assert {step.name: step.seconds for step in shown(known, 99.0)} == dict.fromkeys(ALL_DONE) | {"Accept": 0.5, "Lock": 1.5}


def test_of_a_step_that_had_begun_before_somebody_looked_nobody_says_so_either() -> None:
    known = joined_course((0.1, at(Phase.PUBLISH)), (5.0, at(Phase.MOVE)))

    assert {step.name: step.seconds for step in shown(known, 7.0) if step.seconds is not None} == {"Move": 2.0}


def test_time_stands_still_when_it_has_ended() -> None:
    known = course((0.5, at(Phase.COMMIT)), (2.0, over(Status.COMMITTED), DONE))

    assert shown(known, 2.0) == shown(known, 1000.0)


# How it ends.


def test_what_succeeded_is_done_whether_or_not_every_step_was_seen() -> None:
    assert marks(course((0.5, PLANS), (4.0, over(Status.COMMITTED), DONE))) == ALL_DONE


def test_what_had_nothing_to_do_ends_with_its_plan() -> None:
    unchanged = Succeeded({**OUTPUT, "outcome": "unchanged"})

    assert marks(course((0.5, WAITS), (1.0, over(Status.UNCHANGED), unchanged))) == dict.fromkeys(
        ("Accept", "Lock", "Plan"), "done"
    )


def test_the_report_of_a_sweep_ends_with_its_look() -> None:
    sweep = kind(OperationKind.SWEEP, stage=False)
    report = Succeeded({**OUTPUT, "outcome": "planned"})

    seen = course((0.5, over(Status.UNCHANGED, kind=OperationKind.SWEEP), report), subject=sweep)

    assert marks(seen) == {"Accept": "done", "Inspect": "done"}


@pytest.mark.parametrize("subject", [replace(DEPLOY, dry_run=True), kind(OperationKind.VERIFY)], ids=["dry run", "verify"])
def test_what_has_no_record_is_one_step(subject: Subject) -> None:
    planned = Succeeded({**OUTPUT, "outcome": "planned"})

    assert list(marks(course((0.5, None), subject=subject)).values()) == ["at it"]
    assert list(marks(course((0.5, None), (3.0, None, planned), subject=subject)).values()) == ["done"]
    assert list(marks(course((3.0, None, ended(Code.DRIFTED)), subject=subject)).values()) == ["failed"]


@pytest.mark.parametrize(
    ("code", "failed"),
    [(Code.LOCKED, "Lock"), (Code.DRIFTED, "Plan"), (Code.STAGE_MOVED, "Plan"), (Code.INTERNAL, "Lock")],
)
def test_what_was_refused_failed_where_that_was_decided(code: Code, failed: str) -> None:
    seen = marks(course((0.5, WAITS), (2.0, over(Status.REFUSED), ended(code))))

    assert [name for name, mark in seen.items() if mark == "failed"] == [failed] == list(seen)[-1:]


def test_what_is_malformed_is_not_accepted() -> None:
    assert marks(course((0.5, None), (1.0, None, ended(Code.INVALID_REQUEST)))) == {"Accept": "failed"}


def test_putting_back_is_a_step_of_its_own_after_the_one_that_failed() -> None:
    failing = at(Phase.MOVE, Status.COMPENSATING, failure=BROKE)
    putting_back = at(Phase.COMPENSATE, Status.COMPENSATING, failure=BROKE)
    before = {"Accept": "done", "Lock": "done", "Plan": "done", "Publish": "done", "Move": "failed"}

    known = course((1.0, at(Phase.PUBLISH)), (2.0, failing), (3.0, putting_back))
    assert marks(known) == {**before, "Put back": "at it"}
    assert {step.name: step.detail for step in shown(known)}["Move"] == "Version 13 came out Failed."

    back = went_on(known, Look(5.0, DEPLOY, over(Status.COMPENSATED, failure=BROKE), ended=ended(Code.COMPENSATED)))
    assert marks(back) == {**before, "Put back": "done"}
    stuck = went_on(known, Look(5.0, DEPLOY, over(Status.NEEDS_ATTENTION, failure=BROKE), ended=ended(Code.NEEDS_ATTENTION)))
    assert marks(stuck) == {**before, "Put back": "failed"}


@pytest.mark.parametrize(
    ("last", "failed"),
    [(at(Phase.PUBLISH), "Publish"), (at(Phase.MOVE), "Move"), (PLANS, "Publish"), (None, "Publish")],
    ids=["seen to publish", "seen to move", "seen to plan", "never seen"],
)
def test_where_nobody_saw_it_fail_it_failed_at_the_last_step_that_was_seen(last: OperationNow | None, failed: str) -> None:
    """At the first that changes something, where no later one was: it was planned by then."""
    seen = marks(
        course((1.0, last), (5.0, over(Status.COMPENSATED, failure=BROKE, phase=Phase.COMPENSATE), ended(Code.COMPENSATED)))
    )

    assert list(seen)[-2:] == [failed, "Put back"]
    assert (seen[failed], seen["Put back"]) == ("failed", "done")


@pytest.mark.parametrize(
    ("of", "last", "failed"),
    [
        (OperationKind.DEPLOY, at(Phase.MOVE), "Clean up"),
        (OperationKind.ROLLBACK, at(Phase.STACKS, Status.COMMITTED, stacks_due=When.AFTER_COMMIT), "Clean up"),
        (OperationKind.TEARDOWN, at(Phase.TEAR_DOWN), "Tear down"),
        (OperationKind.SWEEP, NOW, "Collect"),
    ],
)
def test_what_is_never_put_back_stops_where_it_is(of: OperationKind, last: OperationNow, failed: str) -> None:
    """What follows a commit, teardowns, sweeps."""
    last, end = replace(last, kind=of), over(Status.NEEDS_ATTENTION, kind=of)

    seen = marks(course((1.0, last), (5.0, end, ended(Code.NEEDS_ATTENTION)), subject=kind(of)))

    assert [name for name, mark in seen.items() if mark == "failed"] == [failed] == list(seen)[-1:]


def test_what_is_lost_failed_where_it_was_seen_last() -> None:
    assert list(marks(course((1.0, at(Phase.MOVE)), (200.0, at(Phase.MOVE), Lost("ABORTED")))).items())[-1] == ("Move", "failed")


# What is said beside.


def test_a_wait_for_the_lock_says_for_whom_since_when_and_until_when() -> None:
    look = Look(
        20.0, DEPLOY, WAITS, waiting(("deploy", "orders-dev-41", "jane"), ("clone", "c", None), since=6.0, gives_up_at=80.0)
    )

    (lock,) = [step for step in shown(went_on(course(), look)) if step.name == "Lock"]

    assert lock.detail == "waits for deploy orders-dev-41 of jane, since 14 s and 1 more; gives up in 1 min 0 s"


def test_the_topic_of_a_wait_is_the_same_while_only_its_times_differ() -> None:
    known = went_on(course(), Look(20.0, DEPLOY, WAITS, waiting(("deploy", "orders-dev-41", "jane"))))

    assert len({step.detail for moment in (20.0, 30.0) for step in shown(known, moment) if step.name == "Lock"}) == 2
    assert {step.topic for moment in (20.0, 30.0) for step in shown(known, moment) if step.name == "Lock"} == {"orders-dev-41"}


@pytest.mark.parametrize(
    ("now", "detail"),
    [
        (at(Phase.WAITING, has_stacks=True, stacks_due=When.BEFORE_MOVE), "CloudFormation is at work"),
        (at(Phase.MOVE, has_stacks=True, stacks_due=When.BEFORE_MOVE), "first the aliases that it needs"),
        (at(Phase.PLAN, has_stacks=True, planned=False), "planning what comes after the stacks"),
        (at(Phase.COLLECT, kind=OperationKind.SWEEP, collecting=ServiceName("invoices")), "service invoices"),
    ],
)
def test_what_a_step_is_busy_with(now: OperationNow, detail: str) -> None:
    known = course((1.0, now), subject=Subject(OP, now.kind, now.service, now.stage))

    assert [step.detail for step in shown(known) if step.detail is not None] == [detail]


def test_a_recovery_is_told_from_the_death_of_its_execution_on() -> None:
    dying = went_on(course(), Look(9.0, DEPLOY, at(Phase.MOVE), died="ended as ABORTED"))
    assert told(dying) == ("Its execution ended as ABORTED. The recovery begins by itself; waiting for it.",)

    recovered = went_on(dying, Look(12.0, DEPLOY, at(Phase.MOVE, execution="recover-orders-dev-42-5")))
    assert told(recovered) == ("Its execution ended as ABORTED; recover-orders-dev-42-5 recovers it.",)
    over_now = went_on(recovered, replace(recovered.last, ended=ended(Code.COMPENSATED)))
    assert told(over_now) == ("Its execution ended as ABORTED; recover-orders-dev-42-5 recovered it.",)


def test_how_an_execution_died_is_told_as_long_as_somebody_saw_it() -> None:
    dying = went_on(course(), Look(9.0, DEPLOY, at(Phase.MOVE), died="ended as ABORTED (wrong branch)"))

    recovered = went_on(dying, Look(12.0, DEPLOY, at(Phase.MOVE, execution="recover-orders-dev-42-5")))

    assert told(recovered) == ("Its execution ended as ABORTED (wrong branch); recover-orders-dev-42-5 recovers it.",)


@pytest.mark.parametrize(
    ("phase", "execution", "detail"),
    [
        (Phase.PUBLISH, "recover-1", "waits until no call of the stopped worker can be under way: up to 33 s"),
        (Phase.MOVE, "recover-1", "waits until no call of the stopped worker can be under way: up to 8 s"),
        (Phase.COMPENSATE, "recover-1", None),
        # Nobody was stopped: it failed by itself, and has no call under way.
        (Phase.MOVE, OP, None),
    ],
)
def test_a_recovery_says_what_it_waits_for_before_it_puts_back(phase: Phase, execution: str, detail: str | None) -> None:
    known = course((1.0, at(phase, Status.COMPENSATING, failure=BROKE, execution=execution)))

    assert [step.detail for step in shown(known) if step.name == "Put back"] == [detail]


def test_what_cannot_be_seen_at_the_moment_stays_as_it_was() -> None:
    seen = course((1.0, at(Phase.MOVE)))

    blind = went_on(seen, Look(3.0, DEPLOY, trouble="AWS does not answer."))

    assert marks(blind) == marks(seen)
    assert told(blind) == ("AWS does not answer.",)
    assert told(went_on(blind, Look(4.0, DEPLOY, at(Phase.MOVE)))) == ()


def test_what_somebody_comes_back_to_is_known_with_the_first_look_that_tells() -> None:
    assert marks(joined_course()) == {}
    assert marks(joined_course((1.0, at(Phase.MOVE))))["Move"] == "at it"
    verify = went_on(joined_course(), Look(1.0, kind(OperationKind.VERIFY)))
    assert marks(verify) == {"Inspect": "at it"}


# Who is in the way.


def entry(name: str, operation: str, *slots: str, since: float = 0.0) -> Entry:
    return Entry(OperationId(name), operation, frozenset(slots), since, 100.0)


MINE = entry(OP, "deploy", PUBLISH, stage_slot(DEV), since=5.0)


@pytest.mark.parametrize(
    ("lock", "blockers"),
    [
        (Lock(holders=(entry("a", "deploy", PUBLISH),), queue=(MINE,)), ["a"]),
        (Lock(holders=(entry("a", "rollback", "stage:qa"), entry("b", "deploy", PUBLISH)), queue=(MINE,)), ["b"]),
        (Lock(holders=(entry("a", "deploy", PUBLISH),), queue=(entry("c", "sweep", COLLECT), MINE)), ["a", "c"]),
        (Lock(holders=(entry("a", "deploy", PUBLISH),), queue=(MINE, entry("c", "sweep", COLLECT))), ["a"]),
    ],
    ids=["a holder", "only who conflicts", "who came before", "nobody who came after"],
)
def test_in_the_way_are_the_holders_that_conflict_and_who_came_before(lock: Lock, blockers: list[str]) -> None:
    wait = queued(lock, OP, 10.0, {OperationId("a"): "jane"})

    assert wait is not None
    assert [each.entry.operation_id for each in wait.blockers] == blockers
    assert [each.actor for each in wait.blockers if each.entry.operation_id == "a"] in ([], ["jane"])


@pytest.mark.parametrize("lock", [Lock(), Lock(holders=(MINE,)), Lock(queue=(MINE,))], ids=["unknown", "holds it", "nobody's"])
def test_who_does_not_wait_is_not_said_to(lock: Lock) -> None:
    assert queued(lock, OP, 10.0, {}) is None


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((-3, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s")),
        *((185, "3 min 5 s"), (3599.6, "1 h 0 min"), (4200, "1 h 10 min")),
    ],
)
def test_times_are_said_as_people_read_them(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_an_end_that_failed_without_a_code_of_ours_failed_all_the_same() -> None:
    assert marks(course((1.0, at(Phase.MOVE), Failed("States.Runtime", {}))))["Move"] == "failed"
