"""State Recover: go on with an operation whose execution died, or see to it that somebody does."""

from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import RecoverRequest
from stagekeeper.engine.recover import recover
from stagekeeper.engine.step import Step, failed
from stagekeeper.handlers.request import parse
from stagekeeper.handlers.runtime import Call, deps, read_document, state


@state("Recover")
def handler(call: Call) -> Step:
    request = parse(call.request, read_document)
    if isinstance(request, Refusal):
        return failed(request, call.operation_id)
    if not isinstance(request, RecoverRequest):
        raise AssertionError(f"execution {call.carrier.execution} is no recovery and was sent to Recover")
    return recover(deps(), call.carrier, request, call.following)
