"""Commit: one transaction makes the movement true. Its size does not depend on the number of functions."""

from __future__ import annotations

from dataclasses import replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.clock import iso
from stagekeeper.aws.journal import Superseded
from stagekeeper.domain.model import Movement, OperationId, ServedAlias, Stage, StageName
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.plan import Plan
from stagekeeper.domain.record import OperationRecord
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.move import target_of
from stagekeeper.engine.report import ended, subject_of
from stagekeeper.engine.step import Go, Step, resume


def commit(deps: Deps, operation_id: OperationId) -> Step:
    """Stage pointer, movement, way back and status at once; the lock as well if nothing follows."""
    record = deps.journal.reread(operation_id)
    if record.status is not Status.CONVERGING:
        return resume(record)
    record = deps.journal.begin(record, Phase.COMMIT)
    plan = Bodies(deps.artifacts).plan_of(record)
    end = None if plan.drops else ended(deps, subject_of(record), plan, record.published)
    stage, movement = None, None
    if plan.stage is not None:
        stage = _stage_after(deps, record, plan, plan.stage)
        movement = Movement(
            stage=plan.stage,
            number=stage.movements,
            operation_id=operation_id,
            operation=plan.kind.value,
            from_release=plan.previous_release,
            to_release=plan.release,
            at=iso(deps.clock.now()),
            provenance=record.provenance,
        )
    deps.journal.commit(record, stage, movement, end)
    return Go("CleanUp") if end is None else end


def _stage_after(deps: Deps, record: OperationRecord, plan: Plan, name: StageName) -> Stage:
    """The stage's record as the plan makes it. The plan must have been made on the record that is still there."""
    before = deps.store.stage(plan.service, name)
    if (None if before is None else before.revision) != plan.stage_revision:
        raise Superseded(f"the record of stage {name} changed under operation {record.operation_id}")
    aliases = dict(plan.settled)
    for item in plan.moves:
        target = target_of(item, record)
        if target is None or item.arn not in record.moved:
            raise AssertionError(f"{item.arn} was not moved, but the operation is to be committed")
        aliases[item.arn] = ServedAlias(item.function, target, record.moved[item.arn])
    base = before or Stage(name, None, (), {})
    return replace(base, release=plan.release, way_back=plan.way_back, aliases=aliases, mixed=False, movements=base.movements + 1)
