"""State Publish: make the versions and wait until they can serve."""

from stagekeeper.engine.publish import publish
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("Publish")
def handler(call: Call) -> Step:
    return publish(deps(), call.carrier, call.deadline)
