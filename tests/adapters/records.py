"""The record of an operation with everything but the point of a test filled in."""

from __future__ import annotations

from typing import Final

from stagekeeper.domain.model import OperationId, Provenance, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import OperationRecord

#: A deploy to prod that has just begun.
RECORD: Final = OperationRecord(
    operation_id=OperationId("op"),
    kind=OperationKind.DEPLOY,
    service=ServiceName("orders"),
    stage=StageName("prod"),
    status=Status.PLANNED,
    epoch=1,
    phase=Phase.PLAN,
    started_at="2026-01-01T00:00:00.000Z",
    asked_at=1767603720.125,
    lock_wait_seconds=1800,
    provenance=Provenance(),
    request_key="requests/x.json",
    execution="op",
)
