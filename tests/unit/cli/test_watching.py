"""Watching an operation: how often AWS is asked, what is survived, what becomes of an operation that lost its execution."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError, ReadTimeoutError

from stagekeeper.aws.errors import CallFailed
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.progress import Lost, Subject
from stagekeeper.cli.watching import (
    KNOWN,
    LOCK_PAUSE,
    NETWORK_PATIENCE,
    RECOVERY_PATIENCE,
    THROTTLED_PAUSE,
    UNANSWERED_PAUSE,
    YOUNG,
    execution_pause,
    record_pause,
)
from stagekeeper.domain.lock import PUBLISH, Entry, Lock
from stagekeeper.domain.model import OperationId, Provenance
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import Failed, OperationRecord, Succeeded
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.stack_plan import When

from .looking import DEPLOY, DONE, OP, ORDERS, OUTPUT, ended
from .watched import DEPLOYING, World, gaps, last, operation, putting

CONVERGING = replace(DEPLOYING, status=Status.CONVERGING, phase=Phase.MOVE, epoch=4, plan_key="plans/1.json")
ENDED = replace(CONVERGING, status=Status.COMMITTED)

#: What the numbers of this file are exact to (seconds).
ROUNDED = 0.001

UNREACHED = EndpointConnectionError(endpoint_url="https://dynamodb.fake")


def client_error(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetItem")  # type: ignore[typeddict-item]


THROTTLED = client_error("ThrottlingException")


def running(until: float) -> World:
    """A deploy that runs, and ends after so many seconds."""
    world = World([(until, putting(ENDED, DONE))])
    world.runs()
    world.put(CONVERGING)
    return world


# How often.


@pytest.mark.parametrize(("elapsed", "pause"), [(0, 0.5), (9.9, 0.5), (10, 1.0), (59, 1.0), (60, 2.0), (7200, 2.0)])
def test_the_record_is_read_often_at_first(elapsed: float, pause: float) -> None:
    assert record_pause(elapsed) == pause


@pytest.mark.parametrize(
    ("elapsed", "recorded", "without"), [(0, 5.0, 1.0), (60, 10.0, 6.0), (120, 15.0, 11.0), (168, 15.0, 15.0), (9999, 15.0, 15.0)]
)
def test_step_functions_is_asked_seldom_and_ever_more_so(elapsed: float, recorded: float, without: float) -> None:
    assert execution_pause(elapsed, recorded=True) == recorded
    assert execution_pause(elapsed, recorded=False) == without


def test_ten_minutes_of_an_operation_are_some_hundred_reads_and_some_forty_questions() -> None:
    world = running(until=600)

    looks = world.watch()

    assert last(looks) == DONE
    reads, asked = world.reads(), world.asked()
    assert 335 <= len(reads) <= 345
    assert 42 <= len(asked) <= 46
    assert all(gap >= record_pause(at) - ROUNDED for at, gap in zip(reads, gaps(reads[:-1]), strict=False))
    assert all(gap >= execution_pause(at, recorded=True) - ROUNDED for at, gap in zip(asked, gaps(asked), strict=False))
    assert asked[0] >= 5


def test_how_it_ended_is_read_once_and_step_functions_need_not_be_asked() -> None:
    world = running(until=3)

    assert last(world.watch()) == DONE
    assert gaps(world.reads())[-1] == 0
    assert world.asked() == []


def test_a_look_that_comes_late_asks_for_nothing_twice() -> None:
    world = running(until=0)

    assert [look.ended for look in world.watch(Subject(OP), KNOWN)] == [DONE]
    assert world.asked() == []


# Without a record.


@pytest.mark.parametrize(
    "subject", [replace(DEPLOY, dry_run=True), Subject(OP, OperationKind.VERIFY), Subject(OP, OperationKind.RECOVER)], ids=str
)
def test_what_has_no_record_is_asked_about_at_step_functions_alone(subject: Subject) -> None:
    world = World([(4.0, lambda world: world.step_functions.succeed(OP, OUTPUT))])
    world.runs()

    assert last(world.watch(subject)) == Succeeded(OUTPUT)
    assert world.reads() == []
    assert 1 <= len(world.asked()) <= 5


def test_what_was_never_accepted_ends_as_its_execution_does() -> None:
    cause = ended(Code.INVALID_REQUEST).cause
    world = World([(1.5, lambda world: world.step_functions.fail(OP, "InvalidRequest", json.dumps(cause)))])
    world.runs()

    assert last(world.watch()) == Failed("InvalidRequest", cause)


def test_what_step_functions_itself_says_is_shown_as_it_is() -> None:
    world = World([(1.0, lambda world: world.step_functions.fail(OP, "States.Runtime", "The choice state had no match."))])
    world.runs()

    end = last(world.watch(replace(DEPLOY, dry_run=True)))

    assert isinstance(end, Failed)
    assert (end.error, end.cause["message"]) == ("States.Runtime", "The choice state had no match.")


def test_who_comes_back_is_told_what_the_operation_is() -> None:
    world = World([(4.0, lambda world: world.step_functions.succeed(OP, OUTPUT))])
    world.runs(request={"operation": "rollback", "service": "orders", "stage": "qa", "dry_run": True})

    subject = world.watch(Subject(OP), KNOWN)[-1].subject

    assert (subject.kind, subject.service, subject.stage, subject.dry_run) == (OperationKind.ROLLBACK, "orders", "qa", True)


@pytest.mark.parametrize(("known_within", "said_after"), [(KNOWN, 3), (YOUNG, 60)], ids=["come back to", "started just now"])
def test_an_operation_that_nobody_knows_is_a_wrong_name(known_within: float, said_after: float) -> None:
    """Not at once: Step Functions is eventually consistent."""
    world = World()

    with pytest.raises(CommandFailed) as caught:
        world.watch(known_within=known_within)

    assert (caught.value.code, caught.value.exit_code, caught.value.blockers) == ("InvalidRequest", Exit.REFUSED, (OP,))
    assert said_after <= world.asked()[-1] <= said_after + 15


def test_an_execution_that_is_seen_late_is_waited_for() -> None:
    world = World([(20.0, lambda world: world.runs()), (25.0, putting(ENDED, DONE))])

    assert last(world.watch()) == DONE


# What is survived.


@pytest.mark.parametrize(
    ("error", "longest"),
    [
        (THROTTLED, THROTTLED_PAUSE),
        (UNREACHED, UNANSWERED_PAUSE),
        (client_error("InternalServerError", 500), UNANSWERED_PAUSE),
        (ReadTimeoutError(endpoint_url="https://dynamodb.fake"), UNANSWERED_PAUSE),
    ],
    ids=["throttled", "not reached", "5xx", "no answer in time"],
)
def test_what_passes_is_told_and_survived(error: ClientError | BotoCoreError, longest: float) -> None:
    world = running(until=120)
    world.shelf.in_the_way = lambda now: error if 20 <= now - world.began < 70 else None

    looks = world.watch()

    assert last(looks) == DONE
    troubled = [look for look in looks if look.trouble is not None]
    assert all(20 <= look.at <= 75 and "the operation goes on" in str(look.trouble) for look in troubled)
    assert 2 <= len(troubled) <= 15
    pauses = gaps([look.at for look in troubled])
    assert pauses == sorted(pauses)
    assert max(pauses) <= longest


def test_throttles_are_no_failure_however_long_they_last() -> None:
    world = running(until=1200)
    world.shelf.in_the_way = lambda now: THROTTLED if 20 <= now - world.began < 1100 else None

    assert last(world.watch()) == DONE
    assert len([at for at in world.reads() if 20 <= at < 1100]) < 45


def test_no_answer_for_a_minute_ends_the_watching() -> None:
    world = running(until=1200)
    world.shelf.in_the_way = lambda now: UNREACHED if now - world.began >= 20 else None

    with pytest.raises(CallFailed) as caught:
        world.watch()

    assert caught.value.__cause__ is UNREACHED
    assert 20 + NETWORK_PATIENCE <= world.reads()[-1] <= 20 + NETWORK_PATIENCE + 2 * UNANSWERED_PAUSE


def test_a_minute_without_an_answer_is_one_in_a_row() -> None:
    world = running(until=400)
    world.shelf.in_the_way = lambda now: UNREACHED if int(now - world.began) % 100 in range(20, 70) else None

    assert last(world.watch()) == DONE


@pytest.mark.parametrize(
    "error", [client_error("AccessDeniedException"), client_error("ExpiredToken"), NoCredentialsError()], ids=str
)
def test_what_does_not_pass_ends_the_watching_at_once(error: ClientError | BotoCoreError) -> None:
    world = running(until=400)
    world.shelf.in_the_way = lambda now: error if now - world.began >= 20 else None

    with pytest.raises(CallFailed):
        world.watch()

    assert len([at for at in world.reads() if at >= 20]) == 1


# When the execution dies.


def dying(*after: tuple[float, Callable[[World], None]]) -> World:
    """A deploy whose execution is stopped after ten seconds."""
    world = World([(10.0, lambda world: world.step_functions.stop(OP, "wrong\nbranch")), *after])
    world.runs()
    world.put(CONVERGING)
    return world


RECOVERY = "recover-orders-dev-42-4"
TAKEN_OVER = replace(CONVERGING, execution=RECOVERY, epoch=5, recoveries=1)
PUT_BACK = ended(Code.COMPENSATED)


def test_an_operation_that_lost_its_execution_is_followed_to_the_end_that_its_recovery_makes() -> None:
    world = dying(
        (25.0, lambda world: world.runs(RECOVERY)),
        (30.0, putting(TAKEN_OVER)),
        (500.0, putting(replace(TAKEN_OVER, status=Status.COMPENSATED), PUT_BACK)),
    )

    looks = world.watch()

    assert last(looks) == PUT_BACK
    assert {look.died for look in looks} == {None, "ended as ABORTED (wrong branch)"}
    assert [look.died for look in looks if look.at > 50] == [None] * len([look for look in looks if look.at > 50])
    # From then on it is the recovery's life that counts.
    assert max(world.asked()) < 50 < max(world.asked(RECOVERY))


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT"])
def test_one_that_nobody_recovers_is_lost_after_three_minutes(status: str) -> None:
    world = World(
        [(10.0, lambda world: world.step_functions.stop(OP) if status == "ABORTED" else world.step_functions.time_out(OP))]
    )
    world.runs()
    world.put(CONVERGING)

    looks = world.watch()

    assert last(looks) == Lost(status)
    assert RECOVERY_PATIENCE <= looks[-1].at - 10 <= RECOVERY_PATIENCE + 30


def test_an_execution_that_failed_without_ending_its_operation_is_recovered_as_well() -> None:
    """Putting back failed: what Step Functions says is the outcome only if nobody recovers it."""
    failing = json.dumps(ended(Code.INTERNAL).cause)
    world = World([(10.0, lambda world: world.step_functions.fail(OP, "Internal", failing)), (100.0, putting(ENDED, PUT_BACK))])
    world.runs()
    world.put(CONVERGING)
    assert last(world.watch()) == PUT_BACK

    world = World([(10.0, lambda world: world.step_functions.fail(OP, "Internal", failing))])
    world.runs()
    world.put(CONVERGING)
    assert last(world.watch()) == Failed("Internal", json.loads(failing))


def test_a_recovery_that_dies_as_well_is_waited_for_anew() -> None:
    world = dying(
        (20.0, lambda world: world.runs(RECOVERY)),
        (21.0, putting(TAKEN_OVER)),
        (150.0, lambda w: w.step_functions.stop(RECOVERY)),
    )

    looks = world.watch()

    assert last(looks) == Lost("ABORTED")
    assert looks[-1].at >= 150 + RECOVERY_PATIENCE


def test_one_that_ends_between_two_looks_is_not_taken_for_dead() -> None:
    """Its record was read, then it ended, and then Step Functions is asked."""
    world = running(until=4000)

    def end() -> None:
        if world.step_functions.executions[OP].status == "RUNNING":
            world.put(replace(CONVERGING, status=Status.COMPENSATED), PUT_BACK)
            world.step_functions.fail(OP, PUT_BACK.error, json.dumps(PUT_BACK.cause))

    world.step_functions.before_answer = end

    looks = world.watch()

    assert last(looks) == PUT_BACK
    assert {look.died for look in looks} == {None}


@pytest.mark.parametrize("subject", [DEPLOY, replace(DEPLOY, dry_run=True)], ids=["a deploy", "a dry run"])
def test_one_that_was_stopped_before_it_had_a_record_is_lost_at_once(subject: Subject) -> None:
    world = World([(0.5, lambda world: world.step_functions.stop(OP))])
    world.runs()

    looks = world.watch(subject)

    assert last(looks) == Lost("ABORTED", begun=False)
    assert looks[-1].at < 5


def test_one_whose_execution_is_forgotten_has_its_record() -> None:
    world = World()
    world.put(ENDED, DONE)

    assert last(world.watch(Subject(OP), KNOWN)) == DONE


# Who is in the way.


def test_a_wait_for_the_lock_is_told_with_who_holds_it() -> None:
    first = Entry(OperationId("orders-dev-41"), "deploy", frozenset({PUBLISH}), 0, 0)
    mine = Entry(OP, "deploy", frozenset({PUBLISH}), 1, 1_900_000_000)
    world = World([(60.0, putting(ENDED, DONE))])
    world.runs()
    world.put(DEPLOYING)
    world.put(operation("orders-dev-41", provenance=Provenance(actor="jane")))
    world.lock(Lock(holders=(first,), queue=(mine,)))

    looks = world.watch()

    told = [look.queued for look in looks if look.queued is not None]
    assert {(blocker.entry.operation_id, blocker.actor) for wait in told for blocker in wait.blockers} == {
        ("orders-dev-41", "jane")
    }
    assert looks[0].queued is not None
    assert looks[-1].queued is None
    locks = world.reads("LOCK")
    assert len(locks) >= 20
    assert min(gaps(locks)) >= LOCK_PAUSE


@pytest.mark.parametrize("record", [CONVERGING, replace(DEPLOYING, epoch=2)], ids=["at work", "plans"])
def test_the_lock_of_an_operation_that_has_it_is_not_read(record: OperationRecord) -> None:
    world = World([(60.0, putting(ENDED, DONE))])
    world.runs()
    world.put(record)

    world.watch()

    assert world.reads("LOCK") == []


@pytest.mark.parametrize(
    ("record", "waits"),
    [
        (replace(DEPLOYING, kind=OperationKind.SWEEP, status=Status.CONVERGING, collecting=ORDERS), True),
        (replace(DEPLOYING, kind=OperationKind.TEARDOWN, status=Status.CONVERGING, stacks_key="plans/2.json"), True),
        (replace(DEPLOYING, kind=OperationKind.TEARDOWN, status=Status.CONVERGING, plan_key="plans/1.json"), False),
        (replace(ENDED, stacks_due=When.CLEAN_UP), True),
        (ENDED, False),
    ],
    ids=[
        "a sweep",
        "a teardown after its stacks",
        "a teardown at work",
        "a deploy before it cleans up",
        "a deploy that cleans up",
    ],
)
def test_an_operation_may_wait_for_its_lock_more_than_once(record: OperationRecord, waits: bool) -> None:
    world = World([(10.0, putting(ENDED, DONE))])
    world.runs()
    world.put(record)

    world.watch()

    assert bool(world.reads("LOCK")) is waits
