"""A journal over an empty table, and the shortest way to an operation in each state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stagekeeper.aws import items
from stagekeeper.aws.journal import Journal, VersionRecord
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import Put, Table
from stagekeeper.domain.lock import Granted
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    Movement,
    OperationId,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    Service,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Published
from stagekeeper.domain.record import Carrier, OperationRecord, Succeeded
from stagekeeper.domain.refusal import Code, Refusal

from .clock import Clock
from .records import RECORD

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ORDERS, BILLING = ServiceName("orders"), ServiceName("billing")
PROD, QA = StageName("prod"), StageName("qa")
PUBLISH, STAGE, COLLECT = "publish", "stage:prod", "collect"
PLAN = "plans/x.json"
END = Succeeded({"outcome": "succeeded"})
FAILURE = Refusal(Code.COMPENSATED, "it failed")
CONTENT = Content("Y29kZQ==", "c1")


def arn(number: int) -> FunctionArn:
    return FunctionArn(f"arn:aws:lambda:eu-central-1:123456789012:function:f{number:03}")


@dataclass
class Desk:
    """A journal, its table, and the shortest way to an operation in a state."""

    journal: Journal
    table: Table
    clock: Clock

    @property
    def store(self) -> Store:
        return Store(self.table)

    def open(self, name: str = "op", wait: int = 1800, **changes: Any) -> OperationRecord:
        now = self.clock.now()
        mine = replace(RECORD, operation_id=OperationId(name), execution=name, asked_at=now, lock_wait_seconds=wait)
        return self.journal.open(replace(mine, **changes))

    def holding(self, name: str = "op", *slots: str, **changes: Any) -> OperationRecord:
        record = self.open(name, **changes)
        assert self.journal.ask_for_lock(record, frozenset(slots or (PUBLISH, STAGE))) == Granted()
        return record

    def converging(self, name: str = "op", *slots: str, release: int = 1) -> OperationRecord:
        return self.journal.record_intent(self.holding(name, *slots), PLAN, service(release))

    def tearing_down(self, name: str = "op", stage: StageName | None = PROD) -> OperationRecord:
        """A teardown that holds ``collect`` and has its plan on record."""
        record = self.holding(name, COLLECT, kind=OperationKind.TEARDOWN, stage=stage)
        return self.journal.record_intent(record, PLAN)

    def sweeping(self, name: str = "op", wait: int = 1800) -> OperationRecord:
        """A sweep of all services that has its plan on record and holds no lock."""
        record = self.open(name, wait, kind=OperationKind.SWEEP, service=None, stage=None)
        return self.journal.record_intent(record, PLAN)

    def known(self, name: str = "op") -> OperationRecord:
        return self.journal.reread(Carrier(OperationId(name), name))

    def held(self, of: ServiceName = ORDERS) -> dict[str, set[str]]:
        return {entry.operation_id: set(entry.slots) for entry in self.store.lock(of).holders}

    def waiting(self, of: ServiceName = ORDERS) -> list[str]:
        return [entry.operation_id for entry in self.store.lock(of).queue]

    def there(self, stage: Stage) -> Stage:
        """The stage is on record."""
        there = replace(stage, revision=1)
        self.table.put(Put(items.stage_key(ORDERS, stage.name), items.stage_item(there)))
        return there


class Rivals:
    """Another operation writes the lock between a worker's look and its write, so often."""

    def __init__(self, desk: Desk, client: DynamoDBClient, times: int) -> None:
        self.left = times
        self._desk = desk
        before: Callable[..., None] = self._before
        client.meta.events.register_first("before-send.dynamodb.TransactWriteItems", before)

    def _before(self, **_: object) -> None:
        if self.left:
            self.left -= 1
            lock = self._desk.store.lock(ORDERS)
            item = items.lock_item(replace(lock, revision=lock.revision + 1))
            self._desk.table.put(Put(items.lock_key(ORDERS), item))


def service(last_release: int) -> Service:
    return Service(ORDERS, ReleaseNumber(last_release))


def release(number: int) -> Release:
    return Release(ReleaseNumber(number), {LogicalName("f"): ReleaseFunction(arn(0), CONTENT)})


def version(number: int) -> VersionRecord:
    return VersionRecord(arn(number), CONTENT, Published(VersionNumber(3), ours=True))


def new_stage(name: StageName = PROD) -> Stage:
    return Stage(name, ReleaseNumber(1), (), {}, movements=1)


def movement(number: int = 1, to: int | None = 1, of: StageName = PROD) -> Movement:
    return Movement(
        of, number, OperationId("op"), "deploy", None, None if to is None else ReleaseNumber(to), "2026-01-01T00:00:00Z"
    )


def record_release(desk: Desk, record: OperationRecord) -> OperationRecord:
    return desk.journal.record_release(record, release(1), new=True, published={}, give_back=frozenset({PUBLISH}))


def everything(desk: Desk) -> list[dict[str, Any]]:
    """Every item of the table, in one order."""
    pages = desk.table._client.get_paginator("scan").paginate(TableName=desk.table.name, ConsistentRead=True)
    return sorted((dict(item) for page in pages for item in page["Items"]), key=lambda item: (item["pk"], item["sk"]))


def claims(numbers: range, service: ServiceName = ORDERS) -> Mapping[FunctionArn, Claim]:
    return {arn(number): Claim(service, LogicalName(f"f{number}")) for number in numbers}
