"""State Stacks: bring the stacks of an operation to where they should be, or back."""

from stagekeeper.engine.stacks import change_stacks
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("Stacks")
def handler(call: Call) -> Step:
    return change_stacks(deps(), call.carrier, call.deadline)
