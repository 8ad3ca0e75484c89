"""What the service stack should be: the union of what a deploy declares and what stages' current releases still declare.

Decides nothing about functions' versions, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.errors import Unanswered
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.leaving import leaving, lost_with
from stagekeeper.domain.model import (
    FunctionArn,
    LogicalName,
    OperationId,
    ReleaseNumber,
    ServedAlias,
    ServiceName,
    Stage,
    StageName,
)
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Change
from stagekeeper.domain.reconfigured import Reconfigured, only_code_differs, reconfigured
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.service_template import ServiceTemplate, functions_in, only, what_changes
from stagekeeper.domain.split_model import SERVICE
from stagekeeper.domain.stack_plan import StackPlan, StackStep, When
from stagekeeper.domain.stack_work import Owner
from stagekeeper.domain.union import Declared, Union, union
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.stack_look import Found, look_at_stack

_MOVING = (OperationKind.DEPLOY, OperationKind.ROLLBACK, OperationKind.RESET, OperationKind.CLONE)


@dataclass(frozen=True, slots=True)
class Newest:
    """The template that a deploy brings, and where it lies. ``stage`` None: the deploy is of no stage."""

    service: ServiceName
    stage: StageName | None
    template: ServiceTemplate
    key: str
    allow_shared: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ServiceStack:
    """``step`` brings the stack to what is wanted before anything else (None: it is that), ``going`` lets go afterwards of what
    nobody needs any more; ``changes`` and ``warnings`` are for people. ``configured`` are the functions that ``step`` changes in
    more than their code; ``only_code``: it changes nothing but that, so that what others take from the stack stays."""

    step: StackStep | None
    going: StackStep | None
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    configured: Reconfigured
    only_code: bool


def plan_service_stack(
    deps: Deps, bodies: Bodies, operation_id: OperationId, newest: Newest, stages: Sequence[Stage], *, read_only: bool
) -> ServiceStack | Refusal:
    """Raises CallFailed and MalformedItem. Writes nothing but bodies, and (``read_only``) not even those."""
    mine = Declared(newest.template.service, () if newest.stage is None else (newest.stage,), newest.template.parameters)
    others = [stage for stage in stages if stage.name != newest.stage]
    # Until its traffic has moved, the stage itself needs what its current release declares. And whatever is there stays: a stage
    # may be on its way back to it at this moment, unseen. Only cleaning up lets go, under a lock that keeps others out.
    by_all = declared(deps, bodies, newest.service, stages)
    by_others = _without(by_all, newest.stage)
    serving = _Serving(deps, bodies, newest.service, by_all)
    name, owner = str(newest.service), Owner(newest.service, None, deps.plane)
    found = look_at_stack(deps, operation_id, name, owner)
    if isinstance(found, Refusal):
        return found
    first = union(mine, [*by_all, *serving.kept(stages), *_there(bodies, found)])
    last = union(mine, [*by_others, *serving.kept(others)])
    key, content = bodies.put_stack_content(first.template, _values(newest.service, first), read_only=read_only)
    step = None
    if not found.is_settled(content.wanted(name, owner)):
        step = StackStep(
            name=name,
            stage=None,
            when=When.FIRST,
            before=found.before,
            after=key,
            needed=_needed(by_others),
            served=_reachable(serving.stages_of(stages), first, stages),
            allowed=newest.allow_shared,
            template=newest.key,
            unknown_before=found.unknown,
        )
    leaves = set(first.template["Resources"]) - set(last.template["Resources"])
    going = None
    if leaves:
        functions = leaves & set(functions_in(first.template))
        going = StackStep(name, None, When.CLEAN_UP, before=key, after=key, template=newest.key, removes_function=bool(functions))
    before = None if step is None or step.before is None else bodies.stack_template(step.before)
    lines = [] if step is None else [_action(step, what_changes(first.template, before))]
    changes = (*lines, *_changes(first, last, by_others))
    warnings = (*newest.template.warnings, *lost_with(name, first.template, leaves))
    values_before = {} if step is None or step.before is None else bodies.stack_content(step.before).parameters
    configured = reconfigured(first.template, content.parameters, before, values_before)
    only_code = step is None or only_code_differs(first.template, content.parameters, before, values_before)
    return ServiceStack(step, going, changes, warnings, configured, only_code)


def _without(current: Iterable[Declared], stage: StageName | None) -> list[Declared]:
    """What the other stages declare."""
    left = (replace(each, stages=tuple(name for name in each.stages if name != stage)) for each in current)
    return [each for each in left if each.stages]


def _there(bodies: Bodies, found: Found) -> list[Declared]:
    """What the service stack has, whoever declared it. It counts least where definitions differ."""
    if found.before is None:
        return []
    template = bodies.stack_template(found.before)
    everything = only(template, template.get("Resources", {}))
    return [Declared(everything, (), bodies.stack_content(found.before).parameters, release=-1)]


def _reachable(
    served: Mapping[LogicalName, tuple[StageName, ...]], wanted: Union, stages: Sequence[Stage]
) -> dict[LogicalName, tuple[StageName, ...]]:
    """Who would lose a function that is replaced: those who serve it, and of one that nobody serves everybody, who may go back to
    it."""
    everybody = tuple(sorted(stage.name for stage in stages))
    return {name: served.get(name, everybody) for name in functions_in(wanted.template)}


@dataclass(frozen=True, slots=True)
class Needs:
    """What the service stack must keep: resources by their logical ids with the stages that declare them, and functions with
    those that serve them."""

    declared: Mapping[str, tuple[StageName, ...]]
    served: Mapping[LogicalName, tuple[StageName, ...]]


def needs_beside(deps: Deps, bodies: Bodies, service: ServiceName, stage: StageName | None, asking: OperationId) -> Needs:
    """What others than this stage need by now, or are being brought to. Raises CallFailed and MalformedItem."""
    stages = [each for each in deps.store.stages(service) if each.name != stage]
    current = [*declared(deps, bodies, service, stages), *(in_flight(deps, bodies, service, asking) or ())]
    return Needs(_needed(current), _Serving(deps, bodies, service, current).stages_of(stages))


def decided_anew(deps: Deps, asking: OperationId, plan: StackPlan) -> StackPlan:
    """The plan with what its cleaning up is now that others may have been at work: what a stage came to need meanwhile stays, and
    a later deploy cleans up by itself. Raises CallFailed and MalformedItem."""
    bodies = Bodies(deps.artifacts)
    steps = tuple(_anew(deps, bodies, asking, step) if step.when is When.CLEAN_UP else step for step in plan.steps)
    return replace(plan, steps=tuple(step for step in steps if step is not None))


def _anew(deps: Deps, bodies: Bodies, asking: OperationId, step: StackStep) -> StackStep | None:
    service = ServiceName(step.name)
    applied = deps.store.stack(service, step.name)
    if applied is None or step.template is None or applied.content != step.before:
        return None
    template = bodies.template(step.template)
    under_way = in_flight(deps, bodies, service, asking)
    if under_way is None:
        # Somebody is about to decide what a stage needs: the next deploy lets go.
        return None
    stages = deps.store.stages(service)
    current = [*declared(deps, bodies, service, stages), *under_way]
    serving = _Serving(deps, bodies, service, current)
    wanted = union(Declared(template.service, (), template.parameters), [*current, *serving.kept(stages)])
    there = bodies.stack_template(applied.content)
    if set(functions_in(there)) - set(functions_in(wanted.template)) and not step.removes_function:
        # It does not hold the slot that this takes.
        return None
    key, _ = bodies.put_stack_content(wanted.template, _values(service, wanted))
    return replace(step, before=applied.content, after=key, needed=_needed(current), served=serving.stages_of(stages))


def declared(deps: Deps, bodies: Bodies, service: ServiceName, stages: Iterable[Stage]) -> list[Declared]:
    """What the current releases of the stages declare for all stages."""
    by_release: dict[ReleaseNumber, list[StageName]] = {}
    for stage in stages:
        if stage.release is not None:
            by_release.setdefault(stage.release, []).append(stage.name)
    found: list[Declared] = []
    for number, names in sorted(by_release.items()):
        release = deps.store.release(service, number)
        if release is not None and release.template is not None:
            template = bodies.template(release.template.key)
            found.append(Declared(template.service, tuple(sorted(names)), template.parameters, number))
    return found


def in_flight(deps: Deps, bodies: Bodies, service: ServiceName, asking: OperationId) -> list[Declared] | None:
    """What the operations that hold a part of the service's lock are bringing stages to; None while one has not decided yet."""
    found: list[Declared] = []
    for holder in deps.store.lock(service).holders:
        record = None if holder.operation_id == asking else deps.store.operation(holder.operation_id)
        if record is None or record.kind not in _MOVING or record.end is not None:
            continue
        if record.plan_key is None:
            return None
        plan = bodies.plan_of(record)
        if plan.template is not None and plan.stage is not None:
            template = bodies.template(plan.template.key)
            found.append(Declared(template.service, (plan.stage,), template.parameters, plan.release))
    return found


class _Serving:
    """Which functions of the service stack the stages serve, whatever they are called there."""

    def __init__(self, deps: Deps, bodies: Bodies, service: ServiceName, current: Iterable[Declared]) -> None:
        self._deps = deps
        self._bodies = bodies
        self._service = service
        self._declared = {stage: functions_in(each.template) for each in current for stage in each.stages}
        self._names: dict[str, LogicalName] | None = None

    def functions(self, stage: Stage) -> set[LogicalName]:
        """By their logical ids. Raises CallFailed."""
        declared = self._declared.get(stage.name, ())
        return {a.function if a.function in declared else self._logical(arn, a) for arn, a in stage.aliases.items()}

    def kept(self, stages: Iterable[Stage]) -> list[Declared]:
        """What the functions need that a stage serves although its release does not declare them (its alias stayed where it was,
        or was there before any template), as the service stack has it."""
        kept = {stage.name: self.functions(stage) - set(self._declared.get(stage.name, ())) for stage in stages}
        applied = self._deps.store.stack(self._service, str(self._service)) if any(kept.values()) else None
        if applied is None:
            return []
        template, content = self._bodies.stack_template(applied.content), self._bodies.stack_content(applied.content)
        return [
            Declared(only(template, functions), (stage,), content.parameters)
            for stage, names in kept.items()
            if (functions := names & set(functions_in(template)))
        ]

    def stages_of(self, stages: Iterable[Stage]) -> dict[LogicalName, tuple[StageName, ...]]:
        """Who serves a function: with the function its aliases and versions would go."""
        served: dict[LogicalName, tuple[StageName, ...]] = {}
        for stage in stages:
            for function in sorted(self.functions(stage)):
                served[function] = (*served.get(function, ()), stage.name)
        return served

    def _logical(self, arn: FunctionArn, alias: ServedAlias) -> LogicalName:
        """A release that no template made may call a function otherwise."""
        if self._names is None:
            there = self._deps.stack_changes.resources(str(self._service))
            if isinstance(there, Unreadable):
                raise Unanswered(there.what, there.why)
            self._names = {physical: LogicalName(logical) for logical, physical in there.items()}
        return self._names.get(arn.rpartition(":")[2], alias.function)


def _values(service: ServiceName, of: Union) -> dict[str, str]:
    """The values of the parameters that the template has: CloudFormation refuses others."""
    asked_for = of.template.get("Parameters", {})
    known = {**of.parameters, SERVICE: service}
    return {name: value for name, value in known.items() if name in asked_for}


def _needed(declared_by: Iterable[Declared]) -> dict[str, tuple[StageName, ...]]:
    needed: dict[str, tuple[StageName, ...]] = {}
    for each in declared_by:
        for logical_id in each.template.get("Resources", {}):
            needed[logical_id] = tuple(sorted({*needed.get(logical_id, ()), *each.stages}))
    return needed


def _action(step: StackStep, resources: str) -> Change:
    if step.is_made_anew:
        return Change(step.name, "create_stack", None, None, f"what all stages share is made: {resources}")
    return Change(step.name, "update_stack", None, None, f"what all stages share changes: {resources}")


def _changes(first: Union, last: Union, by_others: Sequence[Declared]) -> list[Change]:
    """What becomes of what the stages share, in the words of ``changes``."""
    lines = []
    # Functions differ from release to release, and no stage sees another's: it serves versions.
    functions = set(functions_in(last.template))
    for logical_id, stages in last.differing.items():
        if logical_id not in last.kept and logical_id not in functions:
            reason = f"as this deploy has it from now on; {_of(stages)} declared it differently, and shares it"
            lines.append(Change(logical_id, "change_shared", None, None, reason))
    declared_by_others = _needed(by_others)
    for logical_id, stages in last.kept.items():
        why = f"{_of(stages)} declares it" if logical_id in declared_by_others else f"{_listed(stages)} serves what needs it"
        lines.append(Change(logical_id, "keep_shared", None, None, f"not in this template, but {why}"))
    for logical_id in sorted(set(first.template["Resources"]) - set(last.template["Resources"])):
        what = leaving(first.template["Resources"][logical_id]).what
        reason = f"nothing declares it any more once this deploy is done: it leaves the service stack; {what}"
        lines.append(Change(logical_id, "delete_shared", None, None, reason))
    return lines


def _listed(stages: Sequence[StageName]) -> str:
    return f"stage {stages[0]}" if len(stages) == 1 else f"each of stages {', '.join(stages)}"


def _of(stages: Sequence[StageName]) -> str:
    return f"the release of stage {stages[0]}" if len(stages) == 1 else f"the release of each of stages {', '.join(stages)}"
