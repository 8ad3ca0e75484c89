"""Commit: one transaction makes the movement true. Its size does not depend on the number of functions."""

from __future__ import annotations

from dataclasses import replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.clock import iso
from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.ledger import taken_off
from stagekeeper.domain.model import FunctionArn, Movement, ServedAlias, Stage, VersionNumber
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.plan import Plan
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.stack_plan import When, noted
from stagekeeper.engine.adopt import commit_adoption
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.move import target_of
from stagekeeper.engine.report import ended, subject_of
from stagekeeper.engine.step import Go, Step, resume
from stagekeeper.engine.teardown import commit_teardown


def commit(deps: Deps, carrier: Carrier) -> Step:
    """Stage pointer, movement, way back and status at once; the lock as well if nothing follows."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.CONVERGING:
        return resume(record)
    match record.kind:
        case OperationKind.CONFIGURE:
            return _commit_settings(deps, record)
        case OperationKind.TEARDOWN:
            return commit_teardown(deps, record)
        case OperationKind.ADOPT:
            return commit_adoption(deps, record)
    record = deps.journal.begin(record, Phase.COMMIT)
    bodies = Bodies(deps.artifacts)
    plan = bodies.plan_of(record)
    stacks = bodies.stack_plan_of(record)
    after = When.AFTER_COMMIT if stacks.of(When.AFTER_COMMIT) else None
    follows = bool(plan.drops or after or stacks.of(When.CLEAN_UP))
    told = replace(plan, warnings=(*plan.warnings, *noted(stacks, record.marks)))
    end = None if follows else ended(deps, subject_of(record), told, record.published)
    stage, movement = None, None
    if plan.stage is not None:
        before = deps.store.stage(plan.service, plan.stage)
        # The plan must have been made on the record that is still there.
        if (None if before is None else before.revision) != plan.stage_revision:
            raise Superseded(f"the record of stage {plan.stage} changed under operation {record.operation_id}")
        stage = _stage_after(deps, record, plan, before or Stage(plan.stage, None, (), {}), new=before is None)
        movement = Movement(
            stage=plan.stage,
            number=stage.movements,
            operation_id=record.operation_id,
            operation=plan.kind.value,
            from_release=plan.previous_release,
            to_release=plan.release,
            at=iso(deps.clock.now()),
            provenance=record.provenance,
            popped=() if before is None else taken_off(before.way_back, stage.way_back),
            displaced={} if before is None else _displaced(plan, before),
        )
    deps.journal.commit(record, stage, movement, end, after)
    return end if end is not None else Go("CleanUp" if after is None else "Stacks")


def _commit_settings(deps: Deps, record: OperationRecord) -> Step:
    record = deps.journal.begin(record, Phase.COMMIT)
    plan = Bodies(deps.artifacts).configure_plan_of(record)
    stage = deps.store.stage(plan.service, plan.stage)
    if stage is None or stage.revision != plan.stage_revision:
        raise Superseded(f"the record of stage {plan.stage} changed under operation {record.operation_id}")
    end = ended(deps, subject_of(record), plan, {})
    deps.journal.commit(record, replace(stage, settings=plan.settings), None, end)
    return end


def _stage_after(deps: Deps, record: OperationRecord, plan: Plan, before: Stage, *, new: bool) -> Stage:
    """The stage's record as the plan makes it. A ledger that an earlier stage of this name left is gone on with."""
    aliases = dict(plan.settled)
    for item in plan.moves:
        target = target_of(item, record)
        if target is None or item.arn not in record.moved:
            raise AssertionError(f"{item.arn} was not moved, but the operation is to be committed")
        aliases[item.arn] = ServedAlias(item.function, target, record.moved[item.arn])
    movements = deps.store.last_movement(plan.service, before.name) if new else before.movements
    return replace(
        before,
        release=plan.release,
        way_back=plan.way_back,
        aliases=aliases,
        mixed=False,
        tearing_down=False,
        movements=movements + 1,
        variables=plan.variables,
    )


def _displaced(plan: Plan, before: Stage) -> dict[FunctionArn, VersionNumber]:
    """The versions that aliases left although the release they left says nothing of them: no sweep could work that out."""
    left = [(move.arn, move.before) for move in plan.moves if move.before is not None]
    left += [(drop.arn, drop.before) for drop in plan.drops]
    return {arn: version for arn, version in left if _off_record(before, before.aliases.get(arn), version)}


def _off_record(stage: Stage, recorded: ServedAlias | None, version: VersionNumber) -> bool:
    return stage.mixed or recorded is None or recorded.kept or recorded.version != version
