"""State Inspect: what only looks: verify, and the survey that a sweep begins with."""

from stagekeeper.engine.inspect import inspect
from stagekeeper.engine.step import Step
from stagekeeper.handlers.request import parse
from stagekeeper.handlers.runtime import Call, deps, read_document, state, sweep_settings


@state("Inspect")
def handler(call: Call) -> Step:
    return inspect(deps(), call.carrier, parse(call.request, read_document), sweep_settings(), call.deadline)
