"""State DryRun: the plan, without a lock and without writing anything. Its role could not write if it wanted to."""

from stagekeeper.engine.prepare import dry_run
from stagekeeper.engine.step import Step
from stagekeeper.handlers.request import parse
from stagekeeper.handlers.runtime import Call, deps, read_document, state, sweep_settings


@state("DryRun")
def handler(call: Call) -> Step:
    return dry_run(deps(), call.operation_id, parse(call.request, read_document), sweep_settings())
