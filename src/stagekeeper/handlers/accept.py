"""State Accept: check the request's form and open the operation's record."""

from stagekeeper.engine.accept import accept
from stagekeeper.engine.step import Step
from stagekeeper.handlers.request import parse
from stagekeeper.handlers.runtime import Call, deps, read_document, state


@state("Accept")
def handler(call: Call) -> Step:
    return accept(deps(), call.operation_id, parse(call.request, read_document))
