"""State Collect: delete what a sweep found, in short batches under the service's lock."""

from stagekeeper.engine.step import Step
from stagekeeper.engine.sweep import collect
from stagekeeper.handlers.runtime import Call, deps, state


@state("Collect")
def handler(call: Call) -> Step:
    return collect(deps(), call.carrier, call.deadline)
