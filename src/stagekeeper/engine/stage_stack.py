"""What a stage's stack should be: its half of a template, filled with its aliases, its variables and the service stack's outputs.

Decides nothing about functions' versions, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import FunctionArn, LogicalName, OperationId, ServiceName, Stage, StageName
from stagekeeper.domain.plan import Change
from stagekeeper.domain.refusal import Code, Refusal, not_readable
from stagekeeper.domain.request import Variables
from stagekeeper.domain.service_template import ServiceTemplate, Unfilled, stage_stack, what_changes, what_goes
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
        return _without(wish, name, None if applied is None else applied.content)
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
    return StackPlan((step,), (action,))


def owned_elsewhere(deps: Deps, operation_id: OperationId, service: ServiceName, stage: StageName) -> Refusal | None:
    """Whether somebody else has the stack that the stage would have, or whose it is cannot be read."""
    found = look_at_stack(deps, operation_id, stage_stack_name(service, stage), Owner(service, stage, deps.plane))
    return found if isinstance(found, Refusal) else None


def _without(wish: StageWish, name: str, before: str | None) -> StackPlan:
    """The template gives the stage nothing of its own, any more."""
    if before is None:
        return StackPlan()
    gone = Change(name, "delete_stack", None, None, "the template gives the stage nothing of its own any more")
    # What is gone with it cannot be put back: traffic first, whatever the operation.
    return StackPlan((StackStep(name, wish.stage, When.AFTER_COMMIT, before=before, after=None),), (gone,))


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
