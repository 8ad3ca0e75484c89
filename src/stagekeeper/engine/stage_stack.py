"""What a stage's stack should be: its half of a template, filled with its aliases, its variables and the service stack's outputs.

Decides nothing about functions' versions, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.leaving import lost_with
from stagekeeper.domain.model import FunctionArn, LogicalName, OperationId, ServiceName, Stage, StageName
from stagekeeper.domain.plan import Action, Change
from stagekeeper.domain.refusal import Code, Refusal, not_readable
from stagekeeper.domain.request import Variables
from stagekeeper.domain.service_template import ServiceTemplate, Unfilled, stage_body, stage_stack, what_changes, what_goes
from stagekeeper.domain.stack_plan import StackPlan, StackStep, When, stage_stack_name
from stagekeeper.domain.stack_work import Owner, Stack
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.stack_look import look_at_stack


@dataclass(frozen=True, slots=True)
class StageWish:
    """Whose stack, of which template, with which variables. ``when`` it is changed depends on the operation."""

    service: ServiceName
    stage: StageName
    template: ServiceTemplate | None
    variables: Variables
    when: When


def plan_stage_stack(
    deps: Deps,
    bodies: Bodies,
    operation_id: OperationId,
    wish: StageWish,
    arns: Mapping[LogicalName, FunctionArn],
    *,
    read_only: bool,
) -> StackPlan | Refusal:
    """The step, if the stack is not what is wanted. Raises CallFailed and MalformedItem."""
    name = stage_stack_name(wish.service, wish.stage)
    applied = deps.store.stack(wish.service, name)
    if wish.template is None:
        # A release without a template says nothing of stacks.
        warning = f"stack {name} stays as it is: this release has no template that says what it should be"
        return StackPlan(warnings=() if applied is None else (warning,))
    outputs = deps.stack_changes.describe(str(wish.service)) if wish.template.outputs else Absent()
    if isinstance(outputs, Unreadable):
        return not_readable(outputs.what, outputs.why)
    told = outputs.outputs if isinstance(outputs, Stack) else {}
    made = stage_stack(wish.template, wish.service, wish.stage, arns, told, wish.variables)
    if isinstance(made, Unfilled):
        return _unfilled(wish, name, made)
    if made is None:
        return _without(wish, name, None if applied is None else applied.content, bodies)
    key, content = bodies.put_stack_content(*made, read_only=read_only)
    owner = Owner(wish.service, wish.stage, deps.plane)
    found = look_at_stack(deps, operation_id, name, owner)
    if isinstance(found, Refusal):
        return found
    if found.is_settled(content.wanted(name, owner)):
        return StackPlan()
    step = StackStep(name, wish.stage, wish.when, before=found.before, after=key, unknown_before=found.unknown)
    before = None if step.before is None else bodies.stack_template(step.before)
    reason = f"what the stage has of its own: {what_changes(made[0], before)}"
    action = Change(name, "create_stack" if step.is_made_anew else "update_stack", None, None, reason)
    gone = () if before is None else set(before.get("Resources", {})) - set(made[0]["Resources"])
    return StackPlan((step,), (action,), () if before is None else lost_with(name, before, gone))


def foreseen_stage_stack(
    deps: Deps,
    bodies: Bodies,
    operation_id: OperationId,
    wish: StageWish,
    arns: Mapping[LogicalName, FunctionArn],
    *,
    outputs_stay: bool,
) -> StackPlan | Refusal:
    """What becomes of the stack, as far as a dry run can tell while the service stack is not yet as it will be.

    ``outputs_stay``: what it takes from there stays as it is. Raises CallFailed and MalformedItem.
    """
    name = stage_stack_name(wish.service, wish.stage)
    applied = deps.store.stack(wish.service, name)
    template = wish.template
    if template is None or (template.stage is None and not wish.variables):
        return _without(wish, name, None if applied is None else applied.content, bodies)
    crossing = {LogicalName(of) for each in (template.aliases, template.arns, template.names) for of in each.values()}
    if applied is not None and crossing <= arns.keys() and (outputs_stay or not template.outputs):
        return plan_stage_stack(deps, bodies, operation_id, wish, arns, read_only=True)
    body = stage_body(template, wish.service, wish.stage, wish.variables)
    before = None if applied is None else bodies.stack_template(applied.content)
    if body == before:
        reason = "whether anything of it differs is known once the service stack is changed"
        return StackPlan(changes=(Change(name, "update_stack", None, None, reason),))
    action: Action = "create_stack" if before is None else "update_stack"
    gone = () if before is None else set(before.get("Resources", {})) - set(body["Resources"])
    reason = f"what the stage has of its own: {what_changes(body, before)}"
    return StackPlan(changes=(Change(name, action, None, None, reason),), warnings=lost_with(name, before or {}, gone))


def owned_elsewhere(deps: Deps, operation_id: OperationId, service: ServiceName, stage: StageName) -> Refusal | None:
    """Whether somebody else has the stack that the stage would have, or whose it is cannot be read."""
    found = look_at_stack(deps, operation_id, stage_stack_name(service, stage), Owner(service, stage, deps.plane))
    return found if isinstance(found, Refusal) else None


def _without(wish: StageWish, name: str, before: str | None, bodies: Bodies) -> StackPlan:
    """The template gives the stage nothing of its own, any more."""
    if before is None:
        return StackPlan()
    template = bodies.stack_template(before)
    reason = f"the template gives the stage nothing of its own any more: it goes {what_goes(template)}"
    gone = Change(name, "delete_stack", None, None, reason)
    # What is gone with it cannot be put back: traffic first, whatever the operation.
    step = StackStep(name, wish.stage, When.AFTER_COMMIT, before=before, after=None)
    return StackPlan((step,), (gone,), lost_with(name, template, template.get("Resources", {})))


def _unfilled(wish: StageWish, name: str, made: Unfilled) -> Refusal:
    sentence = (
        f"The stack {name} of stage {wish.stage} cannot be made: nothing gives {', '.join(made.wanted)}. A parameter is given by "
        "the request's parameters, or by a variable of the stage; what the service stack does not have any more comes back by "
        "deploying that template again."
    )
    return Refusal(Code.INVALID_REQUEST, sentence, made.wanted)


def stacks_that_go(deps: Deps, service: ServiceName, going: Sequence[Stage], *, whole: bool) -> StackPlan:
    """The steps of a teardown: the stages' stacks first, the service's own (``whole``) when nothing hangs on its functions."""
    known = {stack.name: stack for stack in deps.store.stacks(service)}
    names = {stage_stack_name(service, stage.name): stage.name for stage in going}
    if whole:
        names |= {stack.name: stack.stage for stack in known.values() if stack.stage is not None}
    steps = [
        StackStep(name, stage, When.FIRST, before=known[name].content, after=None)
        for name, stage in names.items()
        if name in known
    ]
    if whole and str(service) in known:
        steps.append(StackStep(str(service), None, When.LAST, before=known[str(service)].content, after=None))
    reason = "the stage is torn down" if not whole else "the service is torn down"
    return StackPlan(tuple(steps), tuple(_gone_with(deps, step, reason) for step in steps))


def _gone_with(deps: Deps, step: StackStep, reason: str) -> Change:
    """People look at this line before they confirm: tables and buckets go with what is in them."""
    if step.before is not None:
        reason = f"{reason}, {what_goes(Bodies(deps.artifacts).stack_template(step.before))}"
    return Change(step.name, "delete_stack", None, None, reason)
