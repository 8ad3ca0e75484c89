"""CleanUp: what follows a commit, and only goes forward: aliases of functions that the service no longer has."""

from __future__ import annotations

from dataclasses import replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.model import Stage
from stagekeeper.domain.operation import Phase, Status, seconds_until_calls_ended
from stagekeeper.domain.plan import Plan
from stagekeeper.domain.record import Carrier
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.report import ended, subject_of
from stagekeeper.engine.step import Step, resume


def clean_up(deps: Deps, carrier: Carrier) -> Step:
    """Delete the dropped aliases, then end the operation. Raises CallFailed: the state machine tries again."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.COMMITTED or record.end is not None:
        return resume(record)
    record = deps.journal.begin(record, Phase.CLEAN_UP)
    if record.overlapped:
        # A deletion of an earlier worker may still take effect, and must not meet an alias that was made since.
        deps.clock.sleep(seconds_until_calls_ended(Phase.CLEAN_UP))
    plan = Bodies(deps.artifacts).plan_of(record)
    mandate = Mandate(deps.journal, deps.clock, record)
    stage = None if plan.stage is None else deps.store.stage(plan.service, plan.stage)
    if plan.stage is not None:
        for drop in plan.drops:
            deps.lambda_api.delete_alias(drop.arn, plan.stage, mandate.check_now)
    end = ended(deps, subject_of(record), plan, record.published)
    deps.journal.end(record, Status.ENDED, end, None if stage is None else _without_dropped(stage, plan))
    return end


def _without_dropped(stage: Stage, plan: Plan) -> Stage:
    dropped = {drop.arn for drop in plan.drops}
    return replace(stage, aliases={arn: alias for arn, alias in stage.aliases.items() if arn not in dropped})
