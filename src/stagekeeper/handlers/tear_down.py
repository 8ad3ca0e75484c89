"""State TearDown: delete the aliases of a stage, and the versions that only it reached."""

from stagekeeper.engine.step import Step
from stagekeeper.engine.teardown import tear_down
from stagekeeper.handlers.runtime import Call, deps, state


@state("TearDown")
def handler(call: Call) -> Step:
    return tear_down(deps(), call.carrier, call.deadline)
