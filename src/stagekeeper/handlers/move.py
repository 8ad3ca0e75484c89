"""State Move: put the aliases on their versions."""

from stagekeeper.engine.move import move
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("Move")
def handler(call: Call) -> Step:
    return move(deps(), call.carrier)
