"""Inspect: what only looks. ``verify`` takes no lock and has no record; a sweep has one, since looking can take long."""

from __future__ import annotations

from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.domain.record import Carrier
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import Request, SweepRequest, VerifyRequest, kind_of
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.readable import readable
from stagekeeper.engine.report import Subject, ended
from stagekeeper.engine.step import Step, failed
from stagekeeper.engine.sweep import survey_all
from stagekeeper.engine.verify import decide_verify


def inspect(deps: Deps, carrier: Carrier, request: Request | Refusal, stack: SweepSettings, deadline: float) -> Step:
    """The outcome of ``verify``, or the next step of a sweep. ``stack`` are the stack's own settings of sweeps."""
    match request:
        case Refusal():
            return failed(request, carrier.operation_id)
        case SweepRequest():
            return survey_all(deps, carrier, stack, deadline)
        case VerifyRequest():
            decision = readable(lambda: decide_verify(deps, request))
        case _:
            raise AssertionError(f"{kind_of(request)} changes something and was sent to Inspect")
    if isinstance(decision, Refusal):
        return failed(decision, carrier.operation_id)
    return ended(deps, Subject(carrier.operation_id, kind_of(request), request.service, request.stage), decision, {})
