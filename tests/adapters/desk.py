"""A journal over an empty table, and the shortest way to an operation in each state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stagekeeper.aws.journal import Journal, VersionRecord
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import Table
from stagekeeper.domain.lock import Granted
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    OperationId,
    Provenance,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.plan import Plan, Published
from stagekeeper.domain.record import OperationRecord, Succeeded
from stagekeeper.domain.refusal import Code, Refusal

from .clock import Clock

ORDERS, PROD = ServiceName("orders"), StageName("prod")
PUBLISH, STAGE = "publish", "stage:prod"
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

    def open(self, name: str = "op", wait: int = 1800) -> OperationRecord:
        now = self.clock.now()
        record = OperationRecord(
            operation_id=OperationId(name),
            kind=OperationKind.DEPLOY,
            service=ORDERS,
            stage=PROD,
            status=Status.PLANNED,
            epoch=1,
            phase=Phase.PLAN,
            started_at="now",
            asked_at=now,
            lock_wait_seconds=wait,
            provenance=Provenance(),
            request_key="requests/x.json",
        )
        return self.journal.open(record)

    def holding(self, name: str = "op", *slots: str) -> OperationRecord:
        record = self.open(name)
        assert self.journal.ask_for_lock(record, frozenset(slots or (PUBLISH, STAGE))) == Granted()
        return record

    def converging(self, name: str = "op", *slots: str, release: int = 1) -> OperationRecord:
        return self.journal.record_intent(self.holding(name, *slots), plan(release), "plans/x.json")

    def known(self, name: str = "op") -> OperationRecord:
        return self.journal.reread(OperationId(name))

    def held(self) -> dict[str, set[str]]:
        return {entry.operation_id: set(entry.slots) for entry in self.store.lock(ORDERS).holders}


def plan(release: int, *, new: bool = True) -> Plan:
    return Plan(
        kind=OperationKind.DEPLOY,
        service=ORDERS,
        stage=PROD,
        stage_revision=None,
        release=ReleaseNumber(release),
        new_release=new,
        previous_release=None,
        functions={LogicalName("f"): ReleaseFunction(arn(0), CONTENT)},
        publishes=(),
        reuses=(),
        moves=(),
        drops=(),
        keeps=(),
        settled={},
        joins={},
        way_back=(),
        overwrite_drift=False,
        warnings=(),
    )


def version(number: int) -> VersionRecord:
    return VersionRecord(arn(number), CONTENT, Published(VersionNumber(3), ours=True))


def new_stage() -> Stage:
    return Stage(PROD, ReleaseNumber(1), (), {}, movements=1)


def record_release(desk: Desk, record: OperationRecord) -> OperationRecord:
    release = Release(ReleaseNumber(1), plan(1).functions)
    return desk.journal.record_release(record, release, new=True, published={}, give_back=frozenset({PUBLISH}))


def everything(desk: Desk) -> list[object]:
    pks = ("OPERATION#op", "SERVICE#orders", *(f"FUNCTION#{arn(number)}" for number in range(2)))
    return [items_of(desk, pk) for pk in pks]


def items_of(desk: Desk, pk: str) -> list[dict[str, object]]:
    prefixes = {
        "O": ["OPERATION"],
        "S": ["LOCK", "MOVEMENT", "RELEASE", "SERVICE", "STAGE"],
        "F": ["CLAIM", "CONTENT", "VERSION"],
    }
    return [item for prefix in prefixes[pk[0]] for item in desk.table.query(pk, prefix)]


def claims(numbers: range, service: ServiceName = ORDERS) -> Mapping[FunctionArn, Claim]:
    return {arn(number): Claim(service, LogicalName(f"f{number}")) for number in numbers}
