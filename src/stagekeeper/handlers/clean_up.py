"""State CleanUp: what follows the commit: delete the aliases of functions that are gone."""

from stagekeeper.engine.clean_up import clean_up
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("CleanUp")
def handler(call: Call) -> Step:
    return clean_up(deps(), call.carrier)
