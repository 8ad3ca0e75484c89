"""An operation's writes about stacks: each under its mandate, with what belongs together in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.journal import StackIntent
from stagekeeper.aws.mandated import Superseded
from stagekeeper.aws.stack_journal import StackJournal
from stagekeeper.aws.table import Put, Table
from stagekeeper.domain.lock import Granted, Lock
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.stack_plan import AppliedStack, StackMark, Stand, When
from stagekeeper.domain.stack_work import StackProgress, StackRecord

from .desk import END, ORDERS, PLAN, PROD, PUBLISH, STAGE, Desk, Rivals, everything, new_stage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STACKS, DECIDED_ANEW = "plans/stacks.json", "plans/anew.json"
MARK = StackMark(Stand.BEGUN, StackProgress("stack/1", ("prepare", "execute"), waits=3, blind=1))
SERVICE_STACK = AppliedStack("orders", "stacks/x.json", StackRecord("stack/1", "d1g", "2026-01-01T00:00:00Z"))
STAGE_STACK = replace(SERVICE_STACK, name="orders--prod", stage=PROD)


@pytest.fixture
def stacks(desk: Desk) -> StackJournal:
    return StackJournal(desk.table, desk.clock)


@pytest.fixture
def begun(desk: Desk, stacks: StackJournal) -> OperationRecord:
    """An operation that is about to change its first stack."""
    return stacks.record_intent(desk.holding(), STACKS, When.FIRST)


def test_stacks_alone_are_an_intent(desk: Desk, begun: OperationRecord) -> None:
    known = desk.known()

    assert known == begun
    assert (known.status, known.stacks_key, known.stacks_due, known.plan_key) == (Status.CONVERGING, STACKS, When.FIRST, None)
    assert known.epoch == 2


def test_an_intent_needs_the_lock(desk: Desk, stacks: StackJournal) -> None:
    record = desk.open()

    with pytest.raises(Superseded, match="LOCK"):
        stacks.record_intent(record, STACKS, When.FIRST)

    assert desk.known() == record


def test_the_rest_of_the_intent_keeps_how_far_the_stacks_came(desk: Desk, stacks: StackJournal, begun: OperationRecord) -> None:
    reached = stacks.record_due(stacks.record_mark(begun, 0, MARK), None)

    desk.journal.record_intent(reached, PLAN, stacks=StackIntent("plans/more.json", When.BEFORE_MOVE, "requests/y.json"))

    known = desk.known()
    assert (known.plan_key, known.stacks_key, known.stacks_due) == (PLAN, "plans/more.json", When.BEFORE_MOVE)
    assert (known.resolved_key, known.marks) == ("requests/y.json", {0: MARK})


def test_marks_are_read_as_they_were_written(desk: Desk, stacks: StackJournal, begun: OperationRecord) -> None:
    stuck = StackMark(Stand.STUCK, why="It is busy.")

    stacks.record_mark(stacks.record_mark(begun, 0, MARK), 2, stuck)

    assert desk.known().marks == {0: MARK, 2: stuck}


def test_a_worker_that_rests_leaves_nobody_at_work(desk: Desk, stacks: StackJournal, begun: OperationRecord) -> None:
    """Whoever comes next is no second one beside it."""
    at_work = desk.journal.begin(begun, Phase.STACKS)

    rested = stacks.rest(at_work, 0, MARK)

    assert (rested.phase, desk.known()) == (Phase.WAITING, rested)
    assert not desk.journal.begin(rested, Phase.STACKS).overlapped


@pytest.mark.parametrize("stack", [SERVICE_STACK, STAGE_STACK])
def test_what_was_made_of_a_stack_goes_on_record_with_the_mark(
    desk: Desk, stacks: StackJournal, begun: OperationRecord, stack: AppliedStack
) -> None:
    stacks.record_applied(begun, 0, replace(MARK, stand=Stand.REACHED), stack)

    assert desk.store.stack(ORDERS, stack.name) == stack
    assert desk.store.stacks(ORDERS) == [stack]
    assert desk.known().marks[0].stand is Stand.REACHED


def test_a_stack_that_is_gone_is_off_the_record(desk: Desk, stacks: StackJournal, begun: OperationRecord) -> None:
    record = stacks.record_applied(begun, 0, MARK, SERVICE_STACK)
    record = stacks.record_applied(record, 1, MARK, STAGE_STACK)

    stacks.record_gone(record, 1, replace(MARK, stand=Stand.PUT_BACK), STAGE_STACK.name)

    assert desk.store.stacks(ORDERS) == [SERVICE_STACK]
    assert desk.known().marks[1].stand is Stand.PUT_BACK


def test_what_is_due_and_what_was_decided_anew(desk: Desk, stacks: StackJournal, begun: OperationRecord) -> None:
    stacks.record_plan(stacks.record_due(begun, When.CLEAN_UP), DECIDED_ANEW)

    assert (desk.known().stacks_due, desk.known().stacks_key) == (When.CLEAN_UP, DECIDED_ANEW)


# Letting go.


def test_letting_go_gives_everything_back_and_begins_a_new_patience(
    desk: Desk, stacks: StackJournal, begun: OperationRecord
) -> None:
    desk.clock.sleep(900)

    let_go = stacks.let_go(begun, None)

    assert (desk.held(), desk.waiting()) == ({}, [])
    assert desk.known() == let_go
    assert (let_go.status, let_go.stacks_due) == (Status.CONVERGING, None)
    assert let_go.asked_at >= begun.asked_at + 900
    assert desk.journal.ask_for_lock(let_go, frozenset({"collect"})) == Granted()


def test_the_stages_record_is_written_while_it_is_still_held(desk: Desk, stacks: StackJournal, begun: OperationRecord) -> None:
    there = desk.there(new_stage())

    stacks.let_go(begun, When.CLEAN_UP, replace(there, aliases={}, movements=7))

    assert desk.store.stage(ORDERS, PROD) == replace(there, aliases={}, movements=7, revision=2)
    assert desk.known().stacks_due is When.CLEAN_UP


def test_nothing_is_let_go_if_the_stage_changed_meanwhile(desk: Desk, stacks: StackJournal, begun: OperationRecord) -> None:
    there = desk.there(new_stage())

    with pytest.raises(Superseded, match="STAGE#prod"):
        stacks.let_go(begun, When.CLEAN_UP, replace(there, revision=5))

    assert desk.held() == {"op": {PUBLISH, STAGE}}


def test_others_that_change_the_lock_make_it_try_again(
    desk: Desk, stacks: StackJournal, begun: OperationRecord, dynamodb: DynamoDBClient
) -> None:
    Rivals(desk, dynamodb, 3)

    stacks.let_go(begun, None)

    assert desk.held() == {}


def test_it_tries_often_and_not_for_ever(
    desk: Desk, stacks: StackJournal, begun: OperationRecord, dynamodb: DynamoDBClient
) -> None:
    Rivals(desk, dynamodb, 1000)

    with pytest.raises(Unanswered):
        stacks.let_go(begun, None)

    assert desk.known() == begun


# Without the mandate.

Written = Callable[[StackJournal, OperationRecord], object]
WRITES: dict[str, Written] = {
    "what is due": lambda stacks, record: stacks.record_due(record, None),
    "another plan": lambda stacks, record: stacks.record_plan(record, DECIDED_ANEW),
    "a mark": lambda stacks, record: stacks.record_mark(record, 0, MARK),
    "a rest": lambda stacks, record: stacks.rest(record, 0, MARK),
    "a stack": lambda stacks, record: stacks.record_applied(record, 0, MARK, SERVICE_STACK),
    "a stack's end": lambda stacks, record: stacks.record_gone(record, 0, MARK, SERVICE_STACK.name),
    "letting go": lambda stacks, record: stacks.let_go(record, None),
    "the intent": lambda stacks, record: stacks.record_intent(record, DECIDED_ANEW, When.FIRST),
}


@pytest.mark.parametrize("kind", WRITES)
def test_who_has_lost_the_mandate_writes_nothing(desk: Desk, stacks: StackJournal, begun: OperationRecord, kind: str) -> None:
    desk.journal.begin(begun, Phase.STACKS)
    before = everything(desk)

    with pytest.raises(Superseded):
        WRITES[kind](stacks, begun)

    assert everything(desk) == before


# The end of one that holds nothing.


def without_lock(table: Table) -> None:
    table.put(Put(items.lock_key(ORDERS), items.lock_item(Lock(revision=9))))


@pytest.mark.parametrize(
    ("due", "holds", "status", "ends"),
    [
        # What stacks let go of is asked for anew, and may not be got.
        (When.CLEAN_UP, False, Status.ENDED, True),
        (None, False, Status.ENDED, False),
        (None, True, Status.ENDED, True),
        (None, False, Status.NEEDS_ATTENTION, True),
    ],
)
def test_only_one_that_cleans_up_may_end_well_without_its_lock(
    desk: Desk, begun: OperationRecord, due: When | None, holds: bool, status: Status, ends: bool
) -> None:
    record = desk.journal.record_intent(begun, PLAN)
    record = desk.journal.commit(record, None, None, None, due)
    if not holds:
        without_lock(desk.table)

    if ends:
        desk.journal.end(record, status, END)
    else:
        with pytest.raises(Superseded):
            desk.journal.end(record, status, END)

    assert (desk.known().end is not None) is ends
