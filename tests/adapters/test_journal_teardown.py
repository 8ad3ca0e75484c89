"""A teardown's writes: what is gone is taken off the record piece by piece, the ledger stays, the last write is the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.mandated import Superseded
from stagekeeper.aws.table import Key, Put
from stagekeeper.domain.model import LogicalName, ServedAlias, Stage, StageName, VersionNumber
from stagekeeper.domain.operation import Status
from stagekeeper.domain.record import OperationRecord

from .desk import BILLING, COLLECT, END, ORDERS, PROD, QA, STAGE, Desk, arn, movement, new_stage

SERVED = replace(new_stage(), aliases={arn(0): ServedAlias(LogicalName("f"), VersionNumber(3), "r")}, movements=4)
LAST = movement(5, None)


def ledger(desk: Desk) -> list[tuple[str, int, int | None]]:
    lines = desk.store.movements(ORDERS)
    return [(line.stage, line.number, line.to_release) for line in lines]


# A stage.


def test_a_stage_says_that_it_is_being_torn_down_and_keeps_everything_else(desk: Desk) -> None:
    there = desk.there(SERVED)

    desk.journal.record_tearing_down(desk.tearing_down(), there)

    assert desk.store.stage(ORDERS, PROD) == replace(there, tearing_down=True, revision=2)


def test_a_teardown_ends_with_the_stage_off_the_record_and_its_ledger_complete(desk: Desk) -> None:
    desk.table.put(Put(items.movement_key(ORDERS, PROD, 4), items.movement_item(movement(4, 1))))
    there, other = desk.there(SERVED), desk.there(new_stage(QA))
    record = desk.tearing_down()

    desk.journal.commit_teardown(record, there, LAST, END)

    assert desk.store.stages(ORDERS) == [other]
    assert ledger(desk) == [("prod", 4, 1), ("prod", 5, None)]
    known = desk.known()
    assert (known.status, known.end, known.epoch) == (Status.COMMITTED, END, record.epoch + 1)
    assert "committed_at" in (desk.table.get(items.operation_key(known.operation_id)) or {})
    assert desk.held() == {}


Gone = Callable[[Desk, OperationRecord, Stage], object]
GOING: dict[str, Gone] = {
    "in the end": lambda desk, record, stage: desk.journal.commit_teardown(record, stage, LAST, END),
    "with its service": lambda desk, record, stage: desk.journal.forget_stage(record, stage, LAST),
    "not yet": lambda desk, record, stage: desk.journal.record_tearing_down(record, stage),
}


@pytest.mark.parametrize("going", GOING)
def test_a_stage_that_was_written_meanwhile_is_left_alone(desk: Desk, going: str) -> None:
    there = desk.there(SERVED)

    with pytest.raises(Superseded, match="STAGE#prod"):
        GOING[going](desk, desk.tearing_down(), replace(there, revision=2))

    assert desk.store.stage(ORDERS, PROD) == there
    assert ledger(desk) == []
    assert desk.known().status is Status.CONVERGING


@pytest.mark.parametrize("going", ["in the end", "with its service"])
def test_the_last_line_of_a_ledger_is_never_written_over(desk: Desk, going: str) -> None:
    there = desk.there(SERVED)
    desk.table.put(Put(items.movement_key(ORDERS, PROD, 5), items.movement_item(movement(5, 1))))

    with pytest.raises(Superseded, match="MOVEMENT#prod#00000005"):
        GOING[going](desk, desk.tearing_down(), there)

    assert desk.store.stage(ORDERS, PROD) == there


def test_a_teardown_ends_only_while_it_holds_its_lock(desk: Desk) -> None:
    there, record = desk.there(SERVED), desk.tearing_down()
    desk.table.put(Put(items.lock_key(ORDERS), {"holders": {}, "queue": [], "revision": 9}))

    with pytest.raises(Superseded):
        desk.journal.commit_teardown(record, there, LAST, END)

    assert desk.store.stage(ORDERS, PROD) == there


def test_a_teardown_that_stopped_midway_leaves_the_stage_and_frees_the_lock(desk: Desk) -> None:
    there = desk.there(SERVED)

    desk.journal.end(desk.tearing_down(), Status.NEEDS_ATTENTION, END)

    assert desk.store.stage(ORDERS, PROD) == there
    assert (desk.known().status, desk.held()) == (Status.NEEDS_ATTENTION, {})


# A whole service.


def test_a_stage_of_a_service_goes_before_the_operation_ends(desk: Desk) -> None:
    there, record = desk.there(SERVED), desk.tearing_down("op", None)

    desk.journal.forget_stage(record, there, LAST)

    assert desk.store.stage(ORDERS, PROD) is None
    assert ledger(desk) == [("prod", 5, None)]
    assert (desk.known(), desk.held()) == (record, {"op": {COLLECT}})


def test_more_items_than_a_transaction_holds_are_forgotten_in_several(desk: Desk) -> None:
    keys = [Key("FUNCTION#f", f"VERSION#{number:03}") for number in range(250)]
    for start in range(0, 250, 100):
        desk.table.transact([Put(key, {}) for key in keys[start : start + 100]])
    stays = Key("FUNCTION#f", "VERSION#x")
    desk.table.put(Put(stays, {}))

    desk.journal.forget_items(desk.tearing_down("op", None), keys)

    assert desk.table.keys("FUNCTION#f") == [stays]


def test_what_is_forgotten_already_may_be_forgotten_again(desk: Desk) -> None:
    """The worker before this one died between two chunks."""
    desk.journal.forget_items(desk.tearing_down("op", None), [Key("FUNCTION#f", "CLAIM")])


def test_in_the_end_nothing_of_a_service_is_left_but_its_ledger(desk: Desk) -> None:
    desk.journal.commit(desk.converging("deploy"), None, movement(4, 1), END)
    desk.table.put(Put(items.known_service_key(ORDERS), {"service": ORDERS}))
    desk.table.put(Put(items.known_service_key(BILLING), {"service": BILLING}))

    desk.journal.commit_service_teardown(desk.tearing_down("op", None), END)

    assert desk.table.keys("SERVICE#orders") == [items.movement_key(ORDERS, PROD, 4)]
    assert desk.store.services() == [BILLING]
    assert (desk.known().status, desk.known().end) == (Status.COMMITTED, END)


def test_a_lock_that_somebody_waits_for_outlives_the_service(desk: Desk) -> None:
    record = desk.tearing_down("op", None)
    waiter = desk.open("waiter", stage=StageName("new"))
    desk.journal.ask_for_lock(waiter, frozenset({STAGE}))

    desk.journal.commit_service_teardown(record, END)

    assert (desk.held(), desk.waiting()) == ({}, ["waiter"])


def test_only_the_teardown_of_a_whole_service_takes_the_lock_away(desk: Desk) -> None:
    desk.journal.commit_teardown(desk.tearing_down(), desk.there(SERVED), LAST, END)

    assert items.lock_key(ORDERS) in desk.table.keys("SERVICE#orders")
