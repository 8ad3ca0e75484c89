"""What becomes of an operation that lost its execution, and who carries it then."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.model import FunctionArn, OperationId, VersionNumber
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import OperationRecord, Succeeded
from stagekeeper.domain.recovery import (
    MAX_RECOVERIES,
    EndUnbegun,
    GoForward,
    LookAtAliases,
    Over,
    PutBack,
    after_death,
    all_at_target,
    death,
    is_carrier,
    is_look_due,
    is_to_be_followed,
    recovery_name,
    was_stopped,
)
from stagekeeper.domain.refusal import Code, Refusal
from tests.adapters.records import RECORD

A, B = FunctionArn("arn:a"), FunctionArn("arn:b")
ONE, TWO = VersionNumber(1), VersionNumber(2)

#: The operations that have records.
KINDS = sorted(set(OperationKind) - {OperationKind.VERIFY, OperationKind.RECOVER})
ONLY_FORWARD = {OperationKind.TEARDOWN, OperationKind.SWEEP, OperationKind.ADOPT}
#: In these every version is there, so that the aliases alone tell how far it came.
MOVING = {Phase.MOVE, Phase.COMMIT}
ENDED = {Status.REFUSED, Status.UNCHANGED, Status.COMPENSATED, Status.ENDED, Status.NEEDS_ATTENTION}


def died(status: Status, kind: OperationKind = OperationKind.DEPLOY, phase: Phase = Phase.PLAN) -> OperationRecord:
    return replace(RECORD, status=status, kind=kind, phase=phase)


# What a recovery does: every status, kind and phase.

each_kind = pytest.mark.parametrize("kind", KINDS)
each_phase = pytest.mark.parametrize("phase", Phase)


@each_kind
@each_phase
def test_before_the_intent_is_on_record_nothing_was_done(kind: OperationKind, phase: Phase) -> None:
    assert after_death(died(Status.PLANNED, kind, phase)) == EndUnbegun()


@each_kind
@each_phase
@pytest.mark.parametrize("status", [Status.COMMITTED, Status.COMPENSATING])
def test_what_is_decided_is_gone_on_with(status: Status, kind: OperationKind, phase: Phase) -> None:
    assert after_death(died(status, kind, phase)) == GoForward()


@each_phase
@pytest.mark.parametrize("kind", sorted(ONLY_FORWARD))
def test_teardowns_sweeps_and_adopting_go_forward(kind: OperationKind, phase: Phase) -> None:
    assert after_death(died(Status.CONVERGING, kind, phase)) == GoForward()


@each_phase
@pytest.mark.parametrize("kind", sorted(set(KINDS) - ONLY_FORWARD))
def test_what_moves_a_stage_is_put_back_unless_the_aliases_may_be_where_they_are_to_be(kind: OperationKind, phase: Phase) -> None:
    assert after_death(died(Status.CONVERGING, kind, phase)) == (LookAtAliases() if phase in MOVING else PutBack())


@each_kind
@pytest.mark.parametrize("status", sorted(ENDED))
def test_what_has_ended_is_not_recovered(status: Status, kind: OperationKind) -> None:
    with pytest.raises(AssertionError, match=f"is {status}: nothing is to be recovered"):
        after_death(died(status, kind))


def test_every_status_is_one_of_these() -> None:
    assert {Status.PLANNED, Status.CONVERGING, Status.COMMITTED, Status.COMPENSATING} | ENDED == set(Status)


# Its name.


@pytest.mark.parametrize(
    ("operation_id", "epoch", "name"),
    [
        ("orders-dev-42", 3, "recover-orders-dev-42-3"),
        # 80 characters, and where it would be longer a digest of the operation's id instead of its end.
        ("x" * 70, 3, f"recover-{'x' * 70}-3"),
        ("x" * 71, 3, f"recover-{'x' * 57}-87a1e4c1c92b-3"),
        ("x" * 80, 12345, f"recover-{'x' * 53}-d929cdeea7e6-12345"),
    ],
)
def test_a_recovery_is_named_after_its_operation_and_epoch(operation_id: str, epoch: int, name: str) -> None:
    assert recovery_name(OperationId(operation_id), epoch) == name


@given(st.text("xyz-", min_size=1, max_size=80), st.integers(1, 10**9))
def test_the_name_is_one_that_an_execution_may_have(operation_id: str, epoch: int) -> None:
    assert len(recovery_name(OperationId(operation_id), epoch)) <= 80


def test_long_names_that_differ_only_at_their_ends_make_different_recoveries() -> None:
    ids = [OperationId("x" * 79 + end) for end in "abc"]

    assert len({recovery_name(each, epoch) for each in ids for epoch in (1, 11, 111)}) == 9


def test_a_recovery_of_a_recoverys_operation_is_named_after_the_operation() -> None:
    record = replace(RECORD, execution="recover-op-1", epoch=2)

    assert recovery_name(record.operation_id, record.epoch) == "recover-op-2"


# Who carries it.


@pytest.mark.parametrize(
    ("execution", "carries"),
    [
        ("recover-op-4", True),  # it took the operation over
        ("recover-op-7", True),  # it is to take it over
        ("op", False),  # it died
        ("recover-op-6", False),  # its epoch has passed
        ("recover-op-8", False),
        ("another", False),
    ],
)
def test_only_the_last_recovery_and_the_next_one_carry_an_operation(execution: str, carries: bool) -> None:
    record = replace(RECORD, execution="recover-op-4", epoch=7)

    assert is_carrier(record, execution) is carries


# When a waiter asks.


@pytest.mark.parametrize(("looked_at", "due"), [(None, True), (100.0, True), (0.0, True), (100.5, False), (130.0, False)])
def test_a_waiter_looks_when_it_begins_to_wait_and_every_half_minute(looked_at: float | None, due: bool) -> None:
    assert is_look_due(looked_at, now=130.0) is due


# What the aliases tell.


def seen(version: VersionNumber | None, revision: str = "r", *, weighted: bool = False) -> AliasSeen:
    return AliasSeen(version, revision, weighted)


def test_aliases_that_all_serve_their_targets_give_their_revision_ids() -> None:
    assert all_at_target({A: ONE, B: TWO}, [(A, seen(ONE, "ra")), (B, seen(TWO, "rb"))]) == {A: "ra", B: "rb"}


@pytest.mark.parametrize(
    "other",
    [
        None,  # there is no such alias
        seen(ONE),  # another version
        seen(None),  # $LATEST
        seen(TWO, weighted=True),  # the target, and another version beside it
    ],
)
def test_one_alias_that_does_not_serve_its_target_is_enough_to_put_all_back(other: AliasSeen | None) -> None:
    assert all_at_target({A: ONE, B: TWO}, [(A, seen(ONE)), (B, other)]) is None


def test_an_alias_that_nobody_saw_is_not_at_its_target() -> None:
    assert all_at_target({A: ONE, B: TWO}, [(A, seen(ONE))]) is None


def test_a_target_that_no_version_was_made_for_is_not_reached_by_latest() -> None:
    assert all_at_target({A: None}, [(A, seen(None))]) is None


def test_without_aliases_to_move_all_are_where_they_are_to_be() -> None:
    assert all_at_target({}, []) == {}


# How people read it.


@pytest.mark.parametrize(("over", "words"), [(Over("TIMED_OUT"), "ended as TIMED_OUT"), (Over(None), "is not there")])
def test_an_end_is_told_in_words(over: Over, words: str) -> None:
    assert str(over) == words


STOP = "Somebody stopped its execution it (ABORTED)"


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (Over("ABORTED"), STOP),
        (Over("ABORTED", "wrong stage"), f"{STOP}: wrong stage"),
        (Over("TIMED_OUT"), "Its execution it ended as TIMED_OUT before it was done"),
        (Over("FAILED"), "Its execution it ended as FAILED before it was done"),
        (Over(None), "Its execution it is not there any more"),
        (None, "Its execution was lost"),
    ],
)
def test_a_death_is_told_in_words_and_only_a_stop_is_one_on_purpose(over: Over | None, words: str) -> None:
    told = death("it", over)
    assert told == words
    assert was_stopped(Refusal(Code.COMPENSATED, f"{told}.")) is told.startswith(STOP)


# A worker that died within an execution that lives.


@pytest.mark.parametrize(
    ("status", "kind", "followed"),
    [
        (Status.COMMITTED, OperationKind.DEPLOY, True),
        (Status.COMMITTED, OperationKind.TEARDOWN, True),
        (Status.CONVERGING, OperationKind.TEARDOWN, True),
        (Status.CONVERGING, OperationKind.SWEEP, True),
        (Status.CONVERGING, OperationKind.DEPLOY, False),
        (Status.CONVERGING, OperationKind.ROLLBACK, False),
        # It can be put back, which frees the functions.
        (Status.CONVERGING, OperationKind.ADOPT, False),
        (Status.COMPENSATING, OperationKind.DEPLOY, False),
        (Status.PLANNED, OperationKind.SWEEP, False),
    ],
)
def test_only_what_goes_forward_is_followed_by_another_worker(status: Status, kind: OperationKind, followed: bool) -> None:
    assert is_to_be_followed(died(status, kind), "Runtime.ExitError") is followed


@pytest.mark.parametrize(
    ("error", "followed"),
    [
        ("States.Timeout", True),
        ("Runtime.ExitError", True),
        ("Sandbox.Timedout", True),
        ("Lambda.Unknown", True),
        ("HandlerError", False),
        ("Unanswered", False),
        ("CallFailed", False),
    ],
)
def test_a_worker_that_failed_by_itself_would_fail_again(error: str, followed: bool) -> None:
    assert is_to_be_followed(died(Status.COMMITTED), error) is followed


def test_what_has_ended_is_followed_by_nobody() -> None:
    assert not is_to_be_followed(replace(died(Status.COMMITTED), end=Succeeded({})), "States.Timeout")


def test_nobody_is_followed_for_ever() -> None:
    last, one_too_many = (replace(died(Status.COMMITTED), recoveries=number) for number in (MAX_RECOVERIES - 1, MAX_RECOVERIES))

    assert is_to_be_followed(last, "States.Timeout")
    assert not is_to_be_followed(one_too_many, "States.Timeout")
