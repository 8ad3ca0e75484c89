"""State Plan: decide, under the lock, and put the intent on record."""

from stagekeeper.engine.prepare import prepare
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("Plan")
def handler(call: Call) -> Step:
    return prepare(deps(), call.carrier)
