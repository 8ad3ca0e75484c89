"""Leases of the lock in the table: they let nobody in, are checked before each act, and end by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.lock import COLLECT, LEASE, LEASE_MARGIN, LEASE_SECONDS, Entry, GaveUp, Granted, Waiting
from stagekeeper.domain.model import OperationId

from .desk import BILLING, ORDERS, STAGE, Desk, Rivals

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def wish(desk: Desk, name: str = "theirs") -> Entry:
    now = desk.clock.now()
    return Entry(OperationId(name), LEASE, frozenset({COLLECT}), now, now + 20)


def granted(desk: Desk, name: str = "theirs") -> Entry:
    lease = wish(desk, name)
    assert desk.journal.ask_for_lease(lease, ORDERS) == Granted()
    return lease


def test_a_free_lock_is_leased_and_given_back(desk: Desk) -> None:
    lease = granted(desk)
    assert desk.held() == {"theirs": {COLLECT}}

    desk.journal.end_lease(lease, ORDERS)

    assert desk.held() == {}


def test_it_is_of_one_service_alone(desk: Desk) -> None:
    lease = granted(desk)

    assert desk.held(BILLING) == {}
    with pytest.raises(Superseded):
        desk.journal.check_lease(lease, BILLING)


def test_an_operation_waits_for_it_and_is_told_who_it_is(desk: Desk) -> None:
    granted(desk)

    answer = desk.journal.ask_for_lock(desk.open(), frozenset({STAGE}))

    assert isinstance(answer, Waiting)
    assert [(each.operation_id, each.is_lease) for each in answer.blockers] == [("theirs", True)]


def test_an_operation_is_let_in_when_it_was_not_given_back(desk: Desk) -> None:
    granted(desk)
    desk.clock.sleep(LEASE_SECONDS)

    assert desk.journal.ask_for_lock(desk.open(), frozenset({STAGE})) == Granted()
    assert desk.held() == {"op": {STAGE}}


def test_it_waits_for_an_operation_gives_up_and_leaves_no_trace(desk: Desk) -> None:
    desk.holding("holder")
    lease = wish(desk)

    assert isinstance(desk.journal.ask_for_lease(lease, ORDERS), Waiting)
    assert desk.waiting() == ["theirs"]
    desk.clock.sleep(20)
    assert isinstance(desk.journal.ask_for_lease(lease, ORDERS), GaveUp)
    assert desk.waiting() == []


def test_who_waits_no_longer_leaves_the_queue(desk: Desk) -> None:
    desk.holding("holder")
    lease = wish(desk)
    desk.journal.ask_for_lease(lease, ORDERS)

    desk.journal.end_lease(lease, ORDERS)

    assert desk.waiting() == []


def test_ending_what_is_not_there_writes_nothing(desk: Desk, dynamodb: DynamoDBClient) -> None:
    desk.holding("holder")
    rivals = Rivals(desk, dynamodb, 1)

    desk.journal.end_lease(wish(desk), ORDERS)

    assert rivals.left == 1, "a write was tried"
    assert desk.held() == {"holder": {"publish", STAGE}}


def test_two_at_once_do_not_both_get_it(desk: Desk) -> None:
    granted(desk, "theirs")

    assert isinstance(desk.journal.ask_for_lease(wish(desk, "mine"), ORDERS), Waiting)


# The check before each act.


def test_who_holds_it_may_act(desk: Desk) -> None:
    lease = granted(desk)
    desk.clock.sleep(LEASE_SECONDS - LEASE_MARGIN - 1)

    desk.journal.check_lease(lease, ORDERS)


Loses = Callable[[Desk, Entry], object]


def somebody_else_got_it(desk: Desk, lease: Entry) -> None:
    desk.journal.end_lease(lease, ORDERS)
    granted(desk, "mine")


@pytest.mark.parametrize(
    "loses",
    [
        lambda desk, _: desk.clock.sleep(LEASE_SECONDS - LEASE_MARGIN),
        lambda desk, lease: desk.journal.end_lease(lease, ORDERS),
        somebody_else_got_it,
    ],
    ids=["a call would take until after its end", "it was given back", "another one got it"],
)
def test_who_does_not_may_not(desk: Desk, loses: Loses) -> None:
    lease = granted(desk)

    loses(desk, lease)

    with pytest.raises(Superseded, match="theirs does not hold the lock of service orders"):
        desk.journal.check_lease(lease, ORDERS)


def test_what_counts_is_when_it_was_granted_not_when_it_was_asked_for(desk: Desk) -> None:
    lease = replace(wish(desk), since=desk.clock.now() - LEASE_SECONDS)
    assert desk.journal.ask_for_lease(lease, ORDERS) == Granted()

    desk.journal.check_lease(lease, ORDERS)


# Others write the lock at the same time.


@pytest.mark.parametrize("times", [1, 5])
def test_it_is_asked_for_again(desk: Desk, dynamodb: DynamoDBClient, times: int) -> None:
    Rivals(desk, dynamodb, times)

    granted(desk)

    assert desk.held() == {"theirs": {COLLECT}}


@pytest.mark.parametrize("times", [1, 5])
def test_it_is_given_back_again(desk: Desk, dynamodb: DynamoDBClient, times: int) -> None:
    lease = granted(desk)
    Rivals(desk, dynamodb, times)

    desk.journal.end_lease(lease, ORDERS)

    assert desk.held() == {}


def test_a_lock_that_others_write_all_the_time_is_a_failed_call(desk: Desk, dynamodb: DynamoDBClient) -> None:
    lease = granted(desk)
    Rivals(desk, dynamodb, 1000)

    with pytest.raises(Unanswered):
        desk.journal.ask_for_lease(wish(desk, "mine"), ORDERS)
    with pytest.raises(Unanswered):
        desk.journal.end_lease(lease, ORDERS)
