"""State Commit: make the movement true, in one transaction."""

from stagekeeper.engine.commit import commit
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("Commit")
def handler(call: Call) -> Step:
    return commit(deps(), call.carrier)
