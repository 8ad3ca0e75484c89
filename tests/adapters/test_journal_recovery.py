"""What the journal writes about deaths: who carries an operation, how often that changed, and when somebody last looked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.journal import Journal
from stagekeeper.aws.mandated import Superseded
from stagekeeper.aws.table import Put
from stagekeeper.domain.lock import Entry, Lock
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import Phase
from stagekeeper.domain.record import Carrier, OperationRecord

from .desk import BILLING, END, ORDERS, STAGE, Desk, everything, new_stage

RECOVERY = "recover-op-2"
OP = OperationId("op")


def recovering(desk: Desk) -> OperationRecord:
    """The record as the recovery reads it."""
    return desk.journal.reread(Carrier(OP, RECOVERY))


# Taking over.


def test_a_recovery_carries_the_operation_from_then_on(desk: Desk) -> None:
    dead = desk.converging()

    taken = desk.journal.take_over(dead, RECOVERY)

    assert taken == recovering(desk)
    assert taken == replace(dead, epoch=dead.epoch + 1, execution=RECOVERY, overlapped=True, recoveries=1)


def test_it_keeps_the_lock_and_may_begin_the_next_phase(desk: Desk) -> None:
    taken = desk.journal.take_over(desk.converging(), RECOVERY)

    begun = desk.journal.begin(taken, Phase.MOVE)

    assert (begun.execution, list(desk.held())) == (RECOVERY, ["op"])


def test_the_dead_execution_does_not_even_read_it_any_more(desk: Desk) -> None:
    desk.journal.take_over(desk.converging(), RECOVERY)

    with pytest.raises(Superseded, match=f"operation op is carried by execution {RECOVERY}"):
        desk.known()


def test_its_worker_writes_nothing_any_more(desk: Desk) -> None:
    late = desk.converging()
    desk.journal.take_over(late, RECOVERY)
    before = everything(desk)

    for write in (
        lambda: desk.journal.begin(late, Phase.MOVE),
        lambda: desk.journal.record_moved(late, {}),
        lambda: desk.journal.commit(late, new_stage(), None, END),
        lambda: desk.journal.check_mandate(late),
    ):
        with pytest.raises(Superseded):
            write()

    assert everything(desk) == before


def test_each_recovery_is_counted(desk: Desk) -> None:
    first = desk.journal.take_over(desk.converging(), RECOVERY)

    second = desk.journal.take_over(first, "recover-op-3")

    assert (second.execution, second.recoveries, second.epoch) == ("recover-op-3", 2, first.epoch + 1)


# A recovery that died before it took over.


def test_a_recovery_that_failed_makes_room_for_one_of_another_name(desk: Desk) -> None:
    dead = desk.converging()

    noted = desk.journal.note_failed_recovery(dead)

    assert noted == desk.known() == replace(dead, epoch=dead.epoch + 1, recoveries=1)


# Looking.


def test_when_a_waiter_looked_is_on_record_and_its_mandate_stays_good(desk: Desk) -> None:
    waiter = desk.open()
    desk.clock.sleep(30)

    looked = desk.journal.note_look(waiter)

    assert looked == desk.known()
    assert (looked.looked_at, looked.epoch) == (desk.clock.now(), waiter.epoch)


# Somebody else was faster.

Note = Callable[[Journal, OperationRecord], OperationRecord]
NOTES: dict[str, Note] = {
    "take over": lambda journal, record: journal.take_over(record, RECOVERY),
    "failed recovery": lambda journal, record: journal.note_failed_recovery(record),
    "look": lambda journal, record: journal.note_look(record),
}


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_who_read_an_older_record_writes_nothing(desk: Desk, note: Note) -> None:
    old = desk.converging()
    desk.journal.begin(old, Phase.MOVE)
    before = everything(desk)

    with pytest.raises(Superseded):
        note(desk.journal, old)

    assert everything(desk) == before


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_what_has_ended_stays_as_it_ended(desk: Desk, note: Note) -> None:
    record = desk.converging()
    desk.journal.commit(record, None, None, END)
    before = everything(desk)

    with pytest.raises(Superseded):
        note(desk.journal, record)

    assert everything(desk) == before


def test_of_two_recoveries_that_take_over_at_the_same_time_one_does(desk: Desk) -> None:
    seen = desk.converging()
    desk.journal.take_over(seen, RECOVERY)

    with pytest.raises(Superseded):
        desk.journal.take_over(seen, RECOVERY)

    assert recovering(desk).recoveries == 1


# Strays: a place in the lock of an operation that is not on record.


def stray(desk: Desk, *, waiting: bool = False) -> None:
    entries = (Entry(OperationId("stray"), "deploy", frozenset({STAGE}), 0.0, 1800.0),)
    others = desk.store.lock(ORDERS)
    lock = Lock(others.holders, (*others.queue, *entries)) if waiting else Lock((*others.holders, *entries), others.queue)
    desk.table.put(Put(items.lock_key(ORDERS), items.lock_item(replace(lock, revision=others.revision + 1))))


@pytest.mark.parametrize("waiting", [False, True])
def test_a_stray_is_taken_out_of_the_lock_and_others_stay(desk: Desk, waiting: bool) -> None:
    desk.holding("op", "stage:qa")
    stray(desk, waiting=waiting)

    assert desk.journal.free_stray(OperationId("stray"), ORDERS)
    assert (desk.held(), desk.waiting()) == ({"op": {"stage:qa"}}, [])


def test_an_operation_that_is_on_record_after_all_keeps_its_place(desk: Desk) -> None:
    desk.holding("op", STAGE)

    assert not desk.journal.free_stray(OP, ORDERS)
    assert desk.held() == {"op": {STAGE}}


# Which services have a lock.


def test_a_service_that_ever_had_a_lock_is_known_by_its_name(desk: Desk) -> None:
    desk.holding("op", STAGE)
    desk.holding("other", STAGE, service=BILLING)

    assert desk.store.locked_services() == [BILLING, ORDERS]


def test_it_stays_known_when_the_lock_is_free(desk: Desk) -> None:
    desk.journal.commit(desk.converging("op", STAGE), None, None, END)

    assert (desk.held(), desk.store.locked_services()) == ({}, [ORDERS])


def test_it_goes_with_the_lock(desk: Desk) -> None:
    desk.journal.commit_service_teardown(desk.tearing_down("op", None), END)

    assert desk.store.locked_services() == []


def test_while_somebody_waits_for_it_it_stays(desk: Desk) -> None:
    record = desk.tearing_down("op", None)
    desk.journal.ask_for_lock(desk.open("waiter"), frozenset({STAGE}))

    desk.journal.commit_service_teardown(record, END)

    assert desk.store.locked_services() == [ORDERS]
