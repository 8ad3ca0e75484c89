"""Inspect: operations that only look. They take no lock and have no record; all they write is their report."""

from __future__ import annotations

from stagekeeper.domain.model import OperationId
from stagekeeper.domain.plan import Configured, Plan
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import Request, kind_of
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.prepare import decide
from stagekeeper.engine.report import Subject, ended
from stagekeeper.engine.step import Step, failed


def inspect(deps: Deps, operation_id: OperationId, request: Request | Refusal) -> Step:
    """The outcome of ``verify``: unchanged if AWS agrees with the record, else Drifted, naming every alias."""
    if isinstance(request, Refusal):
        return failed(request, operation_id)
    decision = decide(deps, operation_id, request, read_only=True)
    match decision:
        case Refusal():
            return failed(decision, operation_id)
        case Plan() | Configured():
            raise AssertionError(f"{kind_of(request)} changes something and was sent to Inspect")
    return ended(deps, Subject(operation_id, kind_of(request), request.common.service, request.stage), decision, {})
