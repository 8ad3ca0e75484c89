"""A sweep's lock: asked for anew for each service and each batch, with its place in the queue, and let go of in between."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.lock import GaveUp, Granted, Waiting
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import OperationRecord

from .desk import BILLING, COLLECT, END, ORDERS, PLAN, STAGE, Desk, Rivals, everything

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DONE = "plans/done.json"


def collecting(desk: Desk) -> OperationRecord:
    """A sweep that deletes in orders."""
    record, answer = desk.journal.ask_to_collect(desk.sweeping(), ORDERS)
    assert answer == Granted()
    return record


# Asking.


def test_a_grant_comes_with_the_mandate(desk: Desk) -> None:
    sweep = desk.sweeping()

    record, answer = desk.journal.ask_to_collect(sweep, ORDERS)

    assert answer == Granted()
    assert record == replace(sweep, epoch=sweep.epoch + 1, phase=Phase.COLLECT, collecting=ORDERS)
    assert desk.known() == record
    assert desk.held() == {"op": {COLLECT}}


def test_whoever_has_a_stage_or_waits_for_one_is_let_through_first(desk: Desk) -> None:
    desk.holding("deploy")
    desk.journal.ask_for_lock(desk.open("second"), frozenset({STAGE}))

    record, answer = desk.journal.ask_to_collect(desk.sweeping(), ORDERS)

    assert isinstance(answer, Waiting)
    assert [blocker.operation_id for blocker in answer.blockers] == ["deploy", "second"]
    assert (record.collecting, desk.waiting()) == (ORDERS, ["second", "op"])


def test_asking_again_keeps_the_place_in_the_queue_and_the_time_it_was_taken(desk: Desk) -> None:
    desk.holding("deploy")
    sweep, _ = desk.journal.ask_to_collect(desk.sweeping(), ORDERS)
    first = desk.store.lock(ORDERS).queue
    desk.journal.ask_for_lock(desk.open("later"), frozenset({STAGE}))
    desk.clock.sleep(30)

    again, answer = desk.journal.ask_to_collect(sweep, ORDERS)

    assert isinstance(answer, Waiting)
    assert again.epoch == sweep.epoch + 1
    assert desk.store.lock(ORDERS).queue[:1] == first
    assert desk.waiting() == ["op", "later"]


def test_its_patience_begins_when_it_asks_and_not_when_it_began_to_look(desk: Desk) -> None:
    desk.holding("deploy")
    sweep = desk.sweeping(wait=60)
    desk.clock.sleep(1000)

    sweep, first = desk.journal.ask_to_collect(sweep, ORDERS)
    desk.clock.sleep(59)
    sweep, second = desk.journal.ask_to_collect(sweep, ORDERS)
    desk.clock.sleep(1)
    sweep, third = desk.journal.ask_to_collect(sweep, ORDERS)

    assert [type(answer) for answer in (first, second, third)] == [Waiting, Waiting, GaveUp]
    assert desk.waiting() == []


def test_each_service_has_its_patience_anew(desk: Desk) -> None:
    desk.holding("deploy")
    desk.holding("other", service=BILLING)
    sweep, _ = desk.journal.ask_to_collect(desk.sweeping(wait=60), ORDERS)
    desk.clock.sleep(60)
    sweep, gave_up = desk.journal.ask_to_collect(sweep, ORDERS)
    sweep = desk.journal.let_go(sweep, DONE)

    sweep, answer = desk.journal.ask_to_collect(sweep, BILLING)

    assert (type(gave_up), type(answer)) == (GaveUp, Waiting)
    assert (sweep.collecting, desk.waiting(ORDERS), desk.waiting(BILLING)) == (BILLING, [], ["op"])


def test_all_services_together_have_three_hours(desk: Desk) -> None:
    """The state machine's time must not end while the last of them is waited for."""
    desk.holding("deploy")
    sweep = desk.sweeping(wait=3600)
    desk.clock.sleep(3 * 3600 - 60)

    sweep, first = desk.journal.ask_to_collect(sweep, ORDERS)
    desk.clock.sleep(60)
    sweep, second = desk.journal.ask_to_collect(sweep, ORDERS)

    assert (type(first), type(second)) == (Waiting, GaveUp)


def test_a_worker_that_died_in_a_batch_is_followed_by_one_with_the_same_lock(desk: Desk) -> None:
    record = collecting(desk)

    again, answer = desk.journal.ask_to_collect(record, ORDERS)

    assert answer == Granted()
    assert (again.epoch, record.overlapped, again.overlapped) == (record.epoch + 1, False, True)
    assert desk.held() == {"op": {COLLECT}}


def test_a_lock_that_others_write_at_the_same_time_is_asked_for_again(desk: Desk, dynamodb: DynamoDBClient) -> None:
    sweep = desk.sweeping()
    Rivals(desk, dynamodb, 3)

    record, answer = desk.journal.ask_to_collect(sweep, ORDERS)

    assert (answer, record.epoch) == (Granted(), sweep.epoch + 1)
    assert desk.held() == {"op": {COLLECT}}


def test_a_lock_that_others_write_all_the_time_is_a_failed_call(desk: Desk, dynamodb: DynamoDBClient) -> None:
    sweep = desk.sweeping()
    Rivals(desk, dynamodb, 1000)

    with pytest.raises(Unanswered):
        desk.journal.ask_to_collect(sweep, ORDERS)

    assert desk.known() == sweep


# Being late.


def test_a_sweep_that_has_ended_is_granted_nothing(desk: Desk) -> None:
    sweep = desk.sweeping()
    desk.journal.end(sweep, Status.COMMITTED, END)
    before = everything(desk)

    with pytest.raises(Superseded):
        desk.journal.ask_to_collect(sweep, ORDERS)

    assert everything(desk) == before


def test_of_two_workers_that_ask_at_the_same_time_one_is_granted(desk: Desk) -> None:
    sweep = desk.sweeping()
    desk.journal.ask_to_collect(sweep, ORDERS)
    before = everything(desk)

    with pytest.raises(Superseded):
        desk.journal.ask_to_collect(sweep, BILLING)

    assert everything(desk) == before


def test_a_worker_whose_batch_another_took_over_does_not_let_go_for_it(desk: Desk) -> None:
    record = collecting(desk)
    desk.journal.ask_to_collect(record, ORDERS)

    with pytest.raises(Superseded):
        desk.journal.let_go(record, DONE)

    assert desk.held() == {"op": {COLLECT}}


# Letting others in.


def test_between_two_batches_the_lock_is_free_and_what_was_done_is_on_record(desk: Desk) -> None:
    record = collecting(desk)
    desk.journal.ask_for_lock(desk.open("deploy"), frozenset({STAGE}))

    after = desk.journal.let_go(record, DONE)

    assert after == replace(record, progress_key=DONE, collecting=None)
    assert desk.known() == after
    assert (desk.held(), desk.waiting()) == ({}, ["deploy"])


def test_the_lock_itself_stays(desk: Desk) -> None:
    """It counts its writes: who looked at it before must not take another for it."""
    record = collecting(desk)
    before = desk.store.lock(ORDERS).revision

    desk.journal.let_go(record, DONE)

    assert desk.store.lock(ORDERS).revision > before


def test_the_next_batch_comes_after_whoever_waited(desk: Desk) -> None:
    record = collecting(desk)
    deploy = desk.open("deploy")
    desk.journal.ask_for_lock(deploy, frozenset({STAGE}))
    record = desk.journal.let_go(record, DONE)

    record, answer = desk.journal.ask_to_collect(record, ORDERS)

    assert isinstance(answer, Waiting)
    assert desk.journal.ask_for_lock(deploy, frozenset({STAGE})) == Granted()


def test_letting_go_takes_the_operation_out_of_the_queue_too(desk: Desk) -> None:
    desk.holding("deploy")
    record, _ = desk.journal.ask_to_collect(desk.sweeping(), ORDERS)

    desk.journal.let_go(record, DONE)

    assert (list(desk.held()), desk.waiting()) == (["deploy"], [])


# A sweep that holds no lock.


def test_it_begins_a_phase_and_has_its_plan_on_record_without_one(desk: Desk) -> None:
    record = desk.open(kind=OperationKind.SWEEP, service=None, stage=None)

    begun = desk.journal.begin(record, Phase.PLAN)
    converging = desk.journal.record_intent(begun, PLAN)

    assert (converging.status, converging.plan_key, converging.epoch) == (Status.CONVERGING, PLAN, 3)
    assert desk.known() == converging


def test_it_ends_without_one(desk: Desk) -> None:
    desk.journal.end(desk.sweeping(), Status.COMMITTED, END)

    assert (desk.known().status, desk.known().end) == (Status.COMMITTED, END)
    assert desk.table.keys("SERVICE#orders") == []


@pytest.mark.parametrize("status", [Status.REFUSED, Status.UNCHANGED])
def test_it_ends_while_it_only_looked(desk: Desk, status: Status) -> None:
    record = desk.open(kind=OperationKind.SWEEP, stage=None)

    desk.journal.end(record, status, END)

    assert desk.known().status is status


def test_while_it_collects_a_phase_begins_only_under_the_lock(desk: Desk) -> None:
    record = collecting(desk)
    assert desk.journal.begin(record, Phase.COLLECT).epoch == record.epoch + 1

    desk.holding("deploy", service=BILLING)
    waiting, answer = desk.journal.ask_to_collect(desk.journal.let_go(desk.known(), DONE), BILLING)
    assert isinstance(answer, Waiting)
    with pytest.raises(Superseded):
        desk.journal.begin(waiting, Phase.COLLECT)


def test_one_that_stops_in_a_batch_frees_the_service(desk: Desk) -> None:
    desk.journal.end(collecting(desk), Status.NEEDS_ATTENTION, END)

    assert (desk.known().status, desk.held()) == (Status.NEEDS_ATTENTION, {})


def test_one_that_stops_while_it_waits_leaves_the_queue(desk: Desk) -> None:
    desk.holding("deploy")
    record, _ = desk.journal.ask_to_collect(desk.sweeping(), ORDERS)

    desk.journal.end(record, Status.NEEDS_ATTENTION, END)

    assert (list(desk.held()), desk.waiting()) == (["deploy"], [])


# One sweep of a service at a time.


def second(desk: Desk, wait: int = 60) -> OperationRecord:
    return desk.open("second", kind=OperationKind.SWEEP, service=None, stage=None, lock_wait_seconds=wait)


def test_another_sweep_waits_for_its_end(desk: Desk) -> None:
    desk.journal.let_go(collecting(desk), DONE)

    _, answer = desk.journal.ask_to_collect(second(desk), ORDERS)

    assert isinstance(answer, Waiting)
    assert [blocker.operation_id for blocker in answer.blockers] == ["op"]
    assert desk.waiting() == ["second"]


def test_its_patience_is_the_requests(desk: Desk) -> None:
    desk.journal.let_go(collecting(desk), DONE)
    later, answer = desk.journal.ask_to_collect(second(desk, wait=60), ORDERS)
    desk.clock.sleep(59)
    later, still = desk.journal.ask_to_collect(later, ORDERS)
    desk.clock.sleep(1)
    _, gave_up = desk.journal.ask_to_collect(later, ORDERS)

    assert [type(each) for each in (answer, still, gave_up)] == [Waiting, Waiting, GaveUp]


def test_when_the_first_is_done_with_the_service_the_other_begins(desk: Desk) -> None:
    desk.journal.let_go(collecting(desk), DONE, done=True)

    assert desk.store.lock(ORDERS).sweeper is None
    assert desk.journal.ask_to_collect(second(desk), ORDERS)[1] == Granted()


def test_one_that_ended_between_two_batches_is_in_nobodys_way(desk: Desk) -> None:
    ended = desk.journal.let_go(collecting(desk), DONE)
    desk.journal.end(ended, Status.NEEDS_ATTENTION, END)
    assert desk.store.lock(ORDERS).sweeper is not None

    _, answer = desk.journal.ask_to_collect(second(desk), ORDERS)

    assert answer == Granted()
