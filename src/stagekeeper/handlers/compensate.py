"""State Compensate: end an operation whose worker gave up or was cut off, putting back what it moved."""

from stagekeeper.engine.compensate import CutOff, compensate
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("Compensate")
def handler(call: Call) -> Step:
    cut_off = None if call.cut_off is None else CutOff(**call.cut_off)
    return compensate(deps(), call.operation_id, cut_off)
