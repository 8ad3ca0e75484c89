"""What somebody who watches an operation reads of its record, often: all that changes, and nothing that grows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import MalformedItem, Put, Table
from stagekeeper.domain.model import Provenance, ServiceName, VersionNumber
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.plan import Published
from stagekeeper.domain.record import Failed, OperationRecord, Succeeded
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_plan import When

from .desk import arn
from .records import RECORD

OP = RECORD.operation_id
AT = "2026-01-01T00:00:00.000Z"

#: Everything that may be on it.
BUSY = replace(
    RECORD,
    status=Status.COMPENSATING,
    epoch=9,
    phase=Phase.WAITING,
    provenance=Provenance(actor="jane"),
    execution="recover-op-8",
    recoveries=2,
    plan_key="plans/1.json",
    stacks_key="plans/2.json",
    stacks_due=When.BEFORE_MOVE,
    failure=Refusal(Code.COMPENSATED, "It broke.", ("a",), ("b",)),
    published={arn(0): Published(VersionNumber(7), True)},
)


@pytest.fixture
def store(table: Table) -> Store:
    return Store(table)


def put(table: Table, record: OperationRecord, **more: Any) -> None:
    table.put(Put(items.operation_key(OP), {**items.operation_item(record), **more}))


@pytest.mark.parametrize(
    "record", [RECORD, BUSY, replace(BUSY, service=None, stage=None, kind=OperationKind.SWEEP, collecting=ServiceName("x"))]
)
def test_it_says_what_the_whole_record_says(table: Table, store: Store, record: OperationRecord) -> None:
    put(table, record)

    now = store.operation_now(OP)

    assert now is not None
    same = "operation_id kind service stage status epoch phase execution recoveries stacks_due collecting failure locked_service"
    assert {name: getattr(now, name) for name in same.split()} == {name: getattr(record, name) for name in same.split()}
    assert now.actor == record.provenance.actor
    assert (now.planned, now.has_stacks) == (record.plan_key is not None, record.stacks_key is not None)
    assert not now.has_ended


def test_it_carries_nothing_that_grows_with_the_number_of_functions() -> None:
    assert not {"published", "moved", "marks", "end"} & set(items.NOW)


@pytest.mark.parametrize(
    "end",
    [Succeeded({"outcome": "unchanged", "release": 7}), Failed("Locked", {"message": "Waited."})],
    ids=lambda e: type(e).__name__,
)
def test_how_it_ended_is_read_apart(table: Table, store: Store, end: Succeeded | Failed) -> None:
    put(table, RECORD)
    assert store.operation_end(OP) is None

    put(table, RECORD, **items.end_attributes(end, AT))

    now = store.operation_now(OP)
    assert now is not None
    assert now.has_ended
    assert store.operation_end(OP) == end


def test_an_operation_without_a_record_is_none(store: Store) -> None:
    assert store.operation_now(OP) is None
    assert store.operation_end(OP) is None


def test_a_record_of_a_version_that_knew_no_stacks_has_none(table: Table, store: Store) -> None:
    older = {name: value for name, value in items.operation_item(RECORD).items() if "stacks" not in name}
    table.put(Put(items.operation_key(OP), older))

    now = store.operation_now(OP)

    assert now is not None
    assert (now.has_stacks, now.stacks_due) == (False, None)


@pytest.mark.parametrize("more", [{"schema": 2}, {"status": "dancing"}, {"phase": None}], ids=str)
def test_what_is_not_as_it_was_written_is_malformed(table: Table, store: Store, more: dict[str, Any]) -> None:
    put(table, RECORD, **more)

    with pytest.raises(MalformedItem):
        store.operation_now(OP)


def test_an_end_that_does_not_say_how_is_malformed(table: Table, store: Store) -> None:
    put(table, RECORD, ended_at=AT)

    with pytest.raises(MalformedItem, match="does not say how"):
        store.operation_end(OP)
