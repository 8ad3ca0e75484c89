"""The stage stack of a rollback, reset or clone: that of the release gone to, with the stage's own variables.

A stage that exists gets its traffic back first, so nothing about its stack refuses that; a new one is made with its stack.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.deploy import StackWish
from stagekeeper.domain.facts import RestoreFacts
from stagekeeper.domain.model import OperationId, Release, ServiceName, Stage
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import CloneRequest, ResetRequest, RollbackRequest, Variables
from stagekeeper.domain.service_template import ServiceTemplate
from stagekeeper.domain.stack_plan import StackPlan, StackStep, When, same_stack, stage_stack_name
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.stage_stack import StageWish, plan_stage_stack


@dataclass(frozen=True, slots=True)
class RestoredStack:
    """What is done to the stage's stack, which of it comes next, and what the plan is told of it."""

    plan: StackPlan
    due: When | None
    wish: StackWish


def restored_stack(
    deps: Deps,
    operation_id: OperationId,
    request: RollbackRequest | ResetRequest | CloneRequest,
    release: Release,
    facts: RestoreFacts,
    *,
    read_only: bool,
) -> RestoredStack | Refusal:
    """Raises CallFailed and MalformedItem."""
    bodies = Bodies(deps.artifacts)
    stage = facts.at.stage
    new = isinstance(request, CloneRequest)
    if new and release.template is not None:
        refused = same_stack(request.service, request.stage, deps.store.stages(request.service))
        if refused is not None:
            return refused
    variables = _variables(bodies, request, stage)
    template = None if release.template is None else bodies.template(release.template.key)
    wish = StageWish(request.service, request.stage, template, variables, When.BEFORE_MOVE if new else When.AFTER_COMMIT)
    arns = {name: part.arn for name, part in release.functions.items() if part.arn not in facts.at.gone}
    plan = plan_stage_stack(deps, bodies, operation_id, wish, arns, read_only=read_only)
    if isinstance(plan, Refusal):
        if new:
            return plan
        plan = _behind(deps, request, plan)
    if isinstance(request, CloneRequest):
        plan = replace(plan, warnings=(*plan.warnings, *_not_taken_along(deps, bodies, request)))
    if template is not None:
        plan = replace(plan, warnings=(*plan.warnings, *_not_there(deps, bodies, request.service, release, template)))
    due = When.BEFORE_MOVE if plan.of(When.BEFORE_MOVE) else None
    key = bodies.put_variables(variables, read_only=read_only)
    return RestoredStack(plan, due, StackWish(release.template, key, bool(plan.steps), plan.changes, plan.warnings))


def _not_there(deps: Deps, bodies: Bodies, service: ServiceName, release: Release, template: ServiceTemplate) -> list[str]:
    """A rollback does not touch what all stages share, so what has left it since does not come back."""
    applied = deps.store.stack(service, str(service))
    there = {} if applied is None else bodies.stack_template(applied.content).get("Resources", {})
    missing = [name for name in template.service.get("Resources", {}) if name not in there]
    if not missing:
        return []
    return [
        f"r{release.number} declares what the service stack does not have any more: {', '.join(missing)}. Deploy that template "
        "again to have it back"
    ]


def _variables(bodies: Bodies, request: RollbackRequest | ResetRequest | CloneRequest, stage: Stage | None) -> Variables:
    """A stage keeps its own whatever it serves; a clone has those of its request, never another stage's."""
    if isinstance(request, CloneRequest):
        return request.variables or {}
    return bodies.variables(None if stage is None else stage.variables)


def _not_taken_along(deps: Deps, bodies: Bodies, request: CloneRequest) -> list[str]:
    origin = deps.store.stage(request.service, request.like)
    left = set(bodies.variables(None if origin is None else origin.variables)) - set(request.variables or {})
    if not left:
        return []
    return [f"variables of stage {request.like} are its own and were not taken along: {', '.join(sorted(left))}"]


def _behind(deps: Deps, request: RollbackRequest | ResetRequest | CloneRequest, refusal: Refusal) -> StackPlan:
    """Traffic goes where it is wanted; that the stack cannot follow is told, and is how the operation ends."""
    name = stage_stack_name(request.service, request.stage)
    applied = deps.store.stack(request.service, name)
    before = None if applied is None else applied.content
    step = StackStep(name, request.stage, When.AFTER_COMMIT, before=before, after=before, impossible=refusal.message)
    return StackPlan((step,), warnings=(refusal.message,))
