"""State Inspect: operations that only look (verify). Reads, and writes nothing but its report."""

from stagekeeper.engine.inspect import inspect
from stagekeeper.engine.step import Step
from stagekeeper.handlers.request import parse
from stagekeeper.handlers.runtime import Call, deps, read_document, state


@state("Inspect")
def handler(call: Call) -> Step:
    return inspect(deps(), call.operation_id, parse(call.request, read_document))
