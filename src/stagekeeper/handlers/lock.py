"""State Lock: ask once for everything the operation needs."""

from stagekeeper.engine.acquire import acquire
from stagekeeper.engine.step import Step
from stagekeeper.handlers.runtime import Call, deps, state


@state("Lock")
def handler(call: Call) -> Step:
    return acquire(deps(), call.carrier)
