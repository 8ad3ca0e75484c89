"""The lock in the table: one conditional write for an ask, whoever else writes it at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.lock import GaveUp, Granted, Waiting
from stagekeeper.domain.operation import Status

from .desk import END, ORDERS, PUBLISH, STAGE, Desk, Rivals, new_stage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def test_what_conflicts_waits_and_what_does_not_is_granted(desk: Desk) -> None:
    first, second, third = (desk.open(name) for name in ("first", "second", "third"))

    answers = [
        desk.journal.ask_for_lock(first, frozenset({PUBLISH, STAGE})),
        desk.journal.ask_for_lock(second, frozenset({PUBLISH, "stage:qa"})),
        desk.journal.ask_for_lock(third, frozenset({"stage:dev"})),
    ]

    assert [type(answer) for answer in answers] == [Granted, Waiting, Granted]
    assert desk.held() == {"first": {PUBLISH, STAGE}, "third": {"stage:dev"}}


def test_asking_again_while_holding_is_granted_and_writes_nothing(desk: Desk) -> None:
    record = desk.holding()
    before = desk.store.lock(ORDERS)

    assert desk.journal.ask_for_lock(record, frozenset({PUBLISH, STAGE})) == Granted()
    assert desk.store.lock(ORDERS) == before


def test_whose_patience_has_run_out_leaves_the_queue(desk: Desk) -> None:
    desk.holding("holder")
    waiter = desk.open("waiter", wait=60)
    assert isinstance(desk.journal.ask_for_lock(waiter, frozenset({STAGE})), Waiting)
    desk.clock.sleep(61)

    assert isinstance(desk.journal.ask_for_lock(waiter, frozenset({STAGE})), GaveUp)
    assert desk.store.lock(ORDERS).queue == ()


def test_an_operation_that_has_ended_is_granted_no_slot(desk: Desk) -> None:
    record = desk.open()
    desk.journal.end(record, Status.REFUSED, END)

    with pytest.raises(Superseded):
        desk.journal.ask_for_lock(record, frozenset({STAGE}))

    assert desk.held() == {}


@pytest.mark.parametrize("times", [1, 5])
def test_a_lock_that_others_write_at_the_same_time_is_asked_for_again(desk: Desk, dynamodb: DynamoDBClient, times: int) -> None:
    record = desk.open()
    Rivals(desk, dynamodb, times)

    assert desk.journal.ask_for_lock(record, frozenset({STAGE})) == Granted()
    assert desk.held() == {"op": {STAGE}}


@pytest.mark.parametrize("times", [1, 5])
def test_an_end_that_others_lock_writes_cross_is_written_once(desk: Desk, dynamodb: DynamoDBClient, times: int) -> None:
    record = desk.converging()
    Rivals(desk, dynamodb, times)

    desk.journal.commit(record, new_stage(), None, END)

    assert (desk.known().end, desk.held()) == (END, {})


def test_a_lock_that_others_write_all_the_time_is_a_failed_call(desk: Desk, dynamodb: DynamoDBClient) -> None:
    record = desk.open()
    Rivals(desk, dynamodb, 1000)

    with pytest.raises(Unanswered):
        desk.journal.ask_for_lock(record, frozenset({STAGE}))


def test_ending_frees_the_lock_for_others_and_nothing_of_theirs(desk: Desk) -> None:
    record = desk.converging("op", STAGE)
    desk.journal.ask_for_lock(desk.open("other"), frozenset({"stage:qa"}))

    desk.journal.commit(record, None, None, END)

    assert desk.held() == {"other": {"stage:qa"}}


def test_a_refused_operation_that_only_waited_leaves_the_queue(desk: Desk) -> None:
    desk.holding("holder")
    waiter = desk.open("waiter")
    desk.journal.ask_for_lock(waiter, frozenset({STAGE}))

    desk.journal.end(waiter, Status.REFUSED, END)

    assert desk.store.lock(ORDERS).queue == ()
    assert desk.held() == {"holder": {PUBLISH, STAGE}}
