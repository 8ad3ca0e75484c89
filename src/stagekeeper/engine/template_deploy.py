"""Decides a deploy of a template, in two looks: what its service stack becomes, and, once that is there, everything else.

The functions are what the service stack made; from there on such a deploy is one like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.deploy import DeployWish, StackWish, admit_deploy, plan_deploy
from stagekeeper.domain.facts import Absent, Artifact, DeployFacts, StageFacts, Unreadable, WantedFunction
from stagekeeper.domain.model import FunctionArn, LogicalName, OperationId, Stage, TemplateRef
from stagekeeper.domain.plan import Change, Foreseen, Plan, Unchanged
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import CodeWish, DeployRequest, FunctionWish, TemplateWish, Variables
from stagekeeper.domain.service_template import code_of
from stagekeeper.domain.stack_plan import StackPlan, When, same_stack
from stagekeeper.domain.teardown import TeardownPlan
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import deploy_facts, in_parallel, recorded
from stagekeeper.engine.service_stack import Newest, ServiceStack, plan_service_stack
from stagekeeper.engine.stage_stack import StageWish, foreseen_stage_stack, owned_elsewhere, plan_stage_stack
from stagekeeper.engine.templates import Looked, look_at_template


@dataclass(frozen=True, slots=True)
class FirstStacks:
    """Stacks come first; what else there is to do can be decided when they are as they should be."""

    stacks: StackPlan


@dataclass(frozen=True, slots=True)
class WithStacks:
    """A plan, what is done to stacks beside, which of that comes next, and a deploy's request with its functions."""

    plan: Plan | TeardownPlan
    stacks: StackPlan
    due: When | None
    request: DeployRequest | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    """What both looks begin with."""

    request: DeployRequest
    wish: DeployWish
    at: StageFacts
    looked: Looked
    variables: Variables
    variables_key: str | None
    service: ServiceStack


def decide_template_deploy(
    deps: Deps,
    operation_id: OperationId,
    request: DeployRequest,
    template: TemplateWish,
    record: OperationRecord | None,
    *,
    read_only: bool,
) -> FirstStacks | WithStacks | Plan | Foreseen | Unchanged | Refusal:
    """``record`` is that of an operation whose service stack is there; None before. Raises CallFailed and MalformedItem."""
    bodies = Bodies(deps.artifacts)
    look = _look(deps, bodies, operation_id, request, template, record, read_only=read_only)
    if isinstance(look, Refusal):
        return look
    if look.service.step is not None and record is None:
        return _first(deps, bodies, operation_id, look, read_only=read_only)
    functions = _functions(deps, look)
    if isinstance(functions, Refusal):
        return functions
    facts = deploy_facts(deps, look.wish, functions, look.at, read_only=read_only)
    done = bodies.stack_plan_of(record).of(When.FIRST) if record is not None else ()
    stage = StackPlan()
    if request.stage is not None:
        wish = StageWish(request.service, request.stage, look.looked.template, look.variables, When.BEFORE_MOVE)
        planned = plan_stage_stack(deps, bodies, operation_id, wish, _arns(facts), read_only=read_only)
        if isinstance(planned, Refusal):
            return planned
        stage = planned
    going = () if look.service.going is None else (look.service.going,)
    steps = (*(step for _, step in done), *stage.steps, *going)
    stacks = StackPlan(steps, (*look.service.changes, *stage.changes), (*look.service.warnings, *stage.warnings))
    told = (*_first_told(bodies, record), *stacks.changes)
    changed = record is not None and any(mark.changed for mark in record.marks.values())
    differs = changed or bool(stage.steps or going)
    added = StackWish(look.looked.ref, look.variables_key, differs, told, stacks.warnings)
    decision = plan_deploy(replace(look.wish, stacks=added), facts)
    if not isinstance(decision, Plan):
        return decision
    due = When.BEFORE_MOVE if stacks.of(When.BEFORE_MOVE) else None
    return WithStacks(decision, stacks, due, replace(request, functions=functions))


def _first_told(bodies: Bodies, record: OperationRecord | None) -> tuple[Change, ...]:
    """The lines about stacks that are done already: the second look finds nothing to do there."""
    if record is None:
        return ()
    made = ("create_stack", "update_stack")
    return tuple(change for change in bodies.stack_plan_of(record).changes if change.action in made)


def _look(
    deps: Deps,
    bodies: Bodies,
    operation_id: OperationId,
    request: DeployRequest,
    template: TemplateWish,
    record: OperationRecord | None,
    *,
    read_only: bool,
) -> _Look | Refusal:
    wish = DeployWish(
        operation_id=operation_id,
        service=request.service,
        stage=request.stage,
        partial=False,
        overwrite_drift=request.overwrite_drift,
        if_release=request.common.if_release,
        accept_unqualified_callers=request.accept_unqualified_callers,
    )
    at = recorded(deps, request.service, request.stage)
    refusal = admit_deploy(wish, at)
    stages = deps.store.stages(request.service)
    if refusal is None and request.stage is not None:
        refusal = same_stack(request.service, request.stage, stages)
    if refusal is not None:
        return refusal
    kept = None if at.stage is None else at.stage.variables
    variables = request.variables if request.variables is not None else bodies.variables(kept)
    # The service stack was made of what lay there then: another template may lie there by now.
    before = None if record is None else _as_before(bodies, record)
    looked = before or look_at_template(deps, request, template, variables, read_only=read_only)
    if isinstance(looked, Refusal):
        return looked
    allowed = frozenset(template.allow_shared)
    contested = _contested(deps, bodies, request, looked, [stage for stage in stages if stage.name != request.stage], allowed)
    if contested is not None:
        return contested
    newest = Newest(request.service, request.stage, looked.template, looked.ref.key, allowed)
    service = plan_service_stack(deps, bodies, operation_id, newest, stages, read_only=read_only)
    if isinstance(service, Refusal):
        return service
    key = bodies.put_variables(variables, read_only=read_only)
    wish = replace(wish, stacks=StackWish(looked.ref, key, due=True))
    return _Look(request, wish, at, looked, variables, key, service)


def _as_before(bodies: Bodies, record: OperationRecord) -> Looked | None:
    """The template that the first look found."""
    keys = [step.template for _, step in bodies.stack_plan_of(record).of(When.FIRST) if step.template is not None]
    if not keys:
        return None
    template = bodies.template(keys[0])
    return Looked(template, TemplateRef(keys[0], template.digest))


def _contested(
    deps: Deps, bodies: Bodies, request: DeployRequest, looked: Looked, others: list[Stage], allowed: frozenset[str]
) -> Refusal | None:
    """Two stages that read one queue take one another's messages: the second one is refused."""
    if request.stage is None or not looked.template.contested:
        return None
    found: dict[str, list[str]] = {}
    for stage in others:
        release = None if stage.release is None else deps.store.release(request.service, stage.release)
        if release is None or release.template is None:
            continue
        for logical_id in set(looked.template.contested) & set(bodies.template(release.template.key).contested) - allowed:
            found.setdefault(logical_id, []).append(stage.name)
    if not found:
        return None
    names = sorted(found)
    sentence = (
        f"{', '.join(names)} is shared by all stages, and stage {request.stage} would take from it what is meant for stages "
        f"{', '.join(sorted({name for stages in found.values() for name in stages}))}. Give it Metadata.Stagekeeper.Scope: "
        f"stage, so that each stage has its own, or allow it by name: allow_shared: [{', '.join(names)}]."
    )
    return Refusal(Code.SHARED_RESOURCE_IN_USE, sentence, tuple(f"{name}: {', '.join(found[name])}" for name in names))


def _first(
    deps: Deps, bodies: Bodies, operation_id: OperationId, look: _Look, *, read_only: bool
) -> FirstStacks | Plan | Foreseen | Refusal:
    """What can be refused is refused before the service stack is touched: by the functions that are there already."""
    functions = _functions(deps, look)
    if isinstance(functions, Refusal):
        return functions
    refused = _missing_code(deps, look, functions) or _stage_stack_of_others(deps, operation_id, look)
    if refused is not None:
        return refused
    facts = deploy_facts(deps, look.wish, functions, look.at, read_only=read_only)
    stage: StackPlan | Refusal = _stage_foreseen(deps, bodies, operation_id, look, facts) if read_only else StackPlan()
    if isinstance(stage, Refusal):
        return stage
    changes = (*_published_later(look, functions), *look.service.changes, *stage.changes)
    warnings = (*look.service.warnings, *stage.warnings)
    wish = replace(look.wish, stacks=replace(look.wish.stacks, changes=changes, warnings=warnings))
    decision = plan_deploy(wish, facts)
    if isinstance(decision, Refusal):
        return decision
    if read_only and isinstance(decision, Plan):
        return _as_far_as_known(decision, look, functions)
    if look.service.step is None:
        raise AssertionError("there is nothing to do about the service stack first")
    return FirstStacks(StackPlan((look.service.step,), look.service.changes, look.service.warnings))


def _stage_foreseen(
    deps: Deps, bodies: Bodies, operation_id: OperationId, look: _Look, facts: DeployFacts
) -> StackPlan | Refusal:
    if look.request.stage is None:
        return StackPlan()
    wish = StageWish(look.request.service, look.request.stage, look.looked.template, look.variables, When.BEFORE_MOVE)
    return foreseen_stage_stack(deps, bodies, operation_id, wish, _arns(facts), outputs_stay=look.service.only_code)


def _arns(facts: DeployFacts) -> dict[LogicalName, FunctionArn]:
    return {each.function: each.latest.arn for each in facts.functions if isinstance(each, WantedFunction)}


def _published_later(look: _Look, there: Mapping[LogicalName, FunctionWish]) -> list[Change]:
    """The functions of which the template says that the service stack makes them, or makes them another."""
    new = "the service stack makes the function first"
    other = "the service stack configures it anew: the version with that is made, or taken where there is one"
    surely = look.service.configured.surely
    names = (name for name in look.looked.template.functions if name not in there or name in surely)
    return [Change(name, "publish", None, None, other if name in there else new) for name in names]


def _as_far_as_known(plan: Plan, look: _Look, there: Mapping[LogicalName, FunctionWish]) -> Plan | Foreseen:
    """What is planned of functions that the service stack configures anew, or may, goes by what they are now: nobody should rely
    on it. A first release is the first, whatever is in it."""
    surely, perhaps = look.service.configured.surely, look.service.configured.perhaps
    new = set(look.looked.template.functions) - there.keys()
    published = {each.function for each in plan.publishes} - surely
    unknown = (surely | perhaps) - published
    told = replace(
        plan,
        publishes=tuple(each for each in plan.publishes if each.function in published),
        reuses=tuple(each for each in plan.reuses if each.function not in unknown),
        moves=tuple(each for each in plan.moves if each.function not in unknown),
        warnings=(*plan.warnings, *_not_known(perhaps - published)),
    )
    return Foreseen(told) if (surely or perhaps or new) and look.at.last_release else told


def _not_known(perhaps: AbstractSet[LogicalName]) -> tuple[str, ...]:
    if not perhaps:
        return ()
    sentence = "is known once the service stack is changed: what they refer to changes there, but they may come out the same"
    return (f"whether there is a new version of {', '.join(sorted(perhaps))} {sentence}",)


def _stage_stack_of_others(deps: Deps, operation_id: OperationId, look: _Look) -> Refusal | None:
    request = look.request
    if request.stage is None or (look.looked.template.stage is None and not look.variables):
        return None
    return owned_elsewhere(deps, operation_id, request.service, request.stage)


def _functions(deps: Deps, look: _Look) -> dict[LogicalName, FunctionWish] | Refusal:
    """The template's functions that the service stack has, by what they are called there."""
    template = look.looked.template
    if not template.functions:
        sentence = "The template has no function: there is nothing that stages could serve. Give it at least one."
        return Refusal(Code.INVALID_REQUEST, sentence)
    there = deps.stack_changes.resources(str(look.request.service))
    if isinstance(there, Unreadable):
        sentence = f"{there.what} could not be read: {there.why}. Mend that and try again."
        return Refusal(Code.UNREADABLE, sentence, (there.what,))
    return {name: FunctionWish(there[name], code_of(template.service, name)) for name in template.functions if name in there}


def _missing_code(deps: Deps, look: _Look, known: Mapping[LogicalName, FunctionWish]) -> Refusal | None:
    """CloudFormation would find out in the middle. The code of functions that are there already is looked at with them."""
    template = look.looked.template
    codes = {name: code_of(template.service, name) for name in template.functions if name not in known}
    wanted = {name: code for name, code in codes.items() if isinstance(code, CodeWish)}
    hashes = deps.hashes(read_only=True)

    def look_at(code: CodeWish) -> Artifact | Absent | Unreadable:
        return deps.artifacts.code(code.s3_bucket, code.s3_key, code.s3_object_version, hashes)

    for (name, code), found in zip(wanted.items(), in_parallel(look_at, wanted.values()), strict=True):
        place = f"s3://{code.s3_bucket}/{code.s3_key}"
        if isinstance(found, Absent):
            sentence = f"The code of function {name}, {place}, does not exist. Package the template again."
            return Refusal(Code.ARTIFACT_MISSING, sentence, (name,))
        if isinstance(found, Unreadable):
            return Refusal(Code.UNREADABLE, f"The code of function {name} ({place}) could not be read: {found.why}.", (name,))
    return None
