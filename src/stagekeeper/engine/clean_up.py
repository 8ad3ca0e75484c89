"""CleanUp: what follows a commit, and only goes forward: aliases of functions that the service no longer has; and the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.model import Stage
from stagekeeper.domain.operation import Phase, Status, seconds_until_calls_ended
from stagekeeper.domain.plan import Plan
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_plan import StuckStack, When, noted, stuck
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.report import ended, subject_of
from stagekeeper.engine.step import Go, Step, failed, resume


def clean_up(deps: Deps, carrier: Carrier) -> Step:
    """Delete the dropped aliases, then end the operation. Raises CallFailed: the state machine tries again."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.COMMITTED or record.end is not None or record.stacks_due is not None:
        # What is due by now is not this: the aliases are gone, and the stage may be another's.
        return resume(record)
    record = deps.journal.begin(record, Phase.CLEAN_UP)
    if record.overlapped:
        # A deletion of an earlier worker may still take effect, and must not meet an alias that was made since.
        deps.clock.sleep(seconds_until_calls_ended(Phase.CLEAN_UP))
    bodies = Bodies(deps.artifacts)
    plan = bodies.plan_of(record)
    mandate = Mandate(deps.journal, deps.clock, record)
    stage = None if plan.stage is None else deps.store.stage(plan.service, plan.stage)
    if plan.stage is not None:
        for drop in plan.drops:
            deps.lambda_api.delete_alias(drop.arn, plan.stage, mandate.check_now)
    stage = None if stage is None else _without_dropped(stage, plan)
    stacks = bodies.stack_plan_of(record)
    if stacks.of(When.CLEAN_UP):
        # Others need not wait while a stack lets go of what nobody needs: that is asked for anew, with what it takes.
        deps.stack_journal.let_go(record, When.CLEAN_UP, stage)
        return Go("Lock")
    return finish(deps, record, stage)


def finish(deps: Deps, record: OperationRecord, stage: Stage | None = None, *, warning: str | None = None) -> Step:
    """End an operation whose movement is true. ``stage`` is its record as it ends, ``warning`` what was left undone and does no
    harm."""
    bodies = Bodies(deps.artifacts)
    plan = bodies.plan_of(record)
    stacks = bodies.stack_plan_of(record)
    plan = replace(plan, warnings=(*plan.warnings, *noted(stacks, record.marks)))
    left = stuck(stacks, record.marks)
    if left:
        end = failed(_behind(record, plan, left), record.operation_id)
        deps.journal.end(record, Status.NEEDS_ATTENTION, end, stage)
        return end
    told = plan if warning is None else replace(plan, warnings=(*plan.warnings, warning))
    done = ended(deps, subject_of(record), told, record.published)
    deps.journal.end(record, Status.ENDED, done, stage)
    return done


def _behind(record: OperationRecord, plan: Plan, left: Sequence[StuckStack]) -> Refusal:
    """Traffic is where it was wanted; a stack could not follow."""
    if plan.stage is None or record.stacks_due is When.CLEAN_UP:
        # By now the stage may serve something else: it was let go of.
        done, again = "it is done", "deploy again"
    else:
        done, again = (
            f"stage {plan.stage} serves r{plan.release}",
            f"deploy again, or reset stage {plan.stage} to r{plan.release}",
        )
    message = (
        f"{record.kind} of service {plan.service}: {done}, but not all stacks could follow. "
        f"{' '.join(each.why for each in left)} When that is mended, {again}."
    )
    return Refusal(Code.NEEDS_ATTENTION, message, tuple(map(str, left)), plan.warnings)


def _without_dropped(stage: Stage, plan: Plan) -> Stage:
    dropped = {drop.arn for drop in plan.drops}
    return replace(stage, aliases={arn: alias for arn, alias in stage.aliases.items() if arn not in dropped})
