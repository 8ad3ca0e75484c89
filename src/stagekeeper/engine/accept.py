"""Accept: take a well-formed request on record. What is malformed ends here, before the lock is asked for."""

from __future__ import annotations

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.clock import iso
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import RecoverRequest, Request, VerifyRequest, kind_of
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.step import Go, Step, failed, resume


def accept(deps: Deps, operation_id: OperationId, request: Request | Refusal) -> Step:
    """Open the operation's record; a dry run has none and goes straight on to the plan."""
    if isinstance(request, Refusal):
        return failed(request, operation_id)
    common = request.common
    if common.dry_run:
        return Go("DryRun")
    if isinstance(request, VerifyRequest):
        return Go("Inspect")
    if isinstance(request, RecoverRequest):
        return Go("Recover")
    kind = kind_of(request)
    now = deps.clock.now()
    record = OperationRecord(
        operation_id=operation_id,
        kind=kind,
        service=request.service,
        stage=request.stage,
        status=Status.PLANNED,
        epoch=1,
        phase=Phase.PLAN,
        started_at=iso(now),
        asked_at=now,
        lock_wait_seconds=common.lock_wait_seconds,
        provenance=common.provenance,
        execution=operation_id,
        request_key=Bodies(deps.artifacts).put_request(kind, request),
    )
    known = deps.journal.open(record)
    if known.request_key != record.request_key or known.kind is not kind:
        sentence = f"Operation {operation_id} is on record with another request. Use another name for this execution."
        return failed(Refusal(Code.INVALID_REQUEST, sentence, (operation_id,)), operation_id)
    return resume(known)
