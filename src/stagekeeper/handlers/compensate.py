"""State Compensate: end an operation whose worker gave up or was cut off, putting back what it moved."""

import json
from collections.abc import Mapping

from stagekeeper.engine.compensate import CutOff, compensate
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("Compensate")
def handler(call: Call) -> Step:
    return compensate(deps(), call.carrier, None if call.cut_off is None else _cut_off(call.cut_off))


def _cut_off(told: Mapping[str, str]) -> CutOff:
    """A Lambda's failure comes as JSON with a stack trace, for which there is the log; Step Functions' own as a sentence."""
    why = told["why"]
    try:
        error = json.loads(why)
    except ValueError:
        return CutOff(told["state"], told["error"], why)
    return CutOff(told["state"], told["error"], str(error.get("errorMessage", why)) if isinstance(error, dict) else why)
