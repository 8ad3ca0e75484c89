"""Plan: gather the facts, decide, and put the whole intent on record before the first effect."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.journal import StackIntent
from stagekeeper.domain.adoption import AdoptPlan
from stagekeeper.domain.configure import ConfigureWish, configure
from stagekeeper.domain.deploy import DeployWish, StackWish, admit_deploy, plan_deploy
from stagekeeper.domain.facts import StageFacts
from stagekeeper.domain.lock import COLLECT, holds
from stagekeeper.domain.model import OperationId, Service
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.domain.plan import ConfigurePlan, Foreseen, Plan, Unchanged
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import (
    AdoptRequest,
    CloneRequest,
    ConfigureRequest,
    DeployRequest,
    RecoverRequest,
    Request,
    ResetRequest,
    RollbackRequest,
    SweepRequest,
    TeardownRequest,
    TemplateWish,
    VerifyRequest,
    kind_of,
)
from stagekeeper.domain.restore import AlongTheWayBack, AsStage, RestoreWish, ToRelease, admit_restore, plan_restore
from stagekeeper.domain.stack_plan import StackPlan, When
from stagekeeper.domain.teardown import TeardownPlan
from stagekeeper.engine.adopt import decide_adopt
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import deploy_facts, in_parallel, observed, recorded, restore_facts
from stagekeeper.engine.readable import readable
from stagekeeper.engine.recover import looked
from stagekeeper.engine.report import Decision, Subject, TornDown, close, ended, planned, subject_of
from stagekeeper.engine.restored_stack import restored_stack
from stagekeeper.engine.stage_stack import stacks_that_go
from stagekeeper.engine.step import Go, Step, failed, resume
from stagekeeper.engine.sweep import looked_at
from stagekeeper.engine.teardown import decide_teardown, stopped
from stagekeeper.engine.template_deploy import FirstStacks, WithStacks, decide_template_deploy
from stagekeeper.engine.verify import decide_verify

#: What moves a stage onto a release that exists.
RestoreRequest = RollbackRequest | ResetRequest | CloneRequest

#: Somebody else's operation came between a teardown's stacks and the rest of it: nothing of it is left to be mended.
_OVERTAKEN = (Code.SERVICE_NOT_FOUND, Code.STAGE_NOT_FOUND, Code.STAGE_MOVED)


def prepare(deps: Deps, carrier: Carrier) -> Step:
    """Plan an operation that holds its lock. A refusal ends it; nothing but its own record and the lock were written.

    An operation whose stacks came first is planned once more, when they are there.
    """
    record = deps.journal.reread(carrier)
    second = record.is_half_planned
    if record.status is not Status.PLANNED and not second:
        return resume(record)
    if second and record.kind is OperationKind.TEARDOWN and not _collects(deps, record):
        return Go("Lock")
    record = deps.journal.begin(record, Phase.PLAN)
    bodies = Bodies(deps.artifacts)
    done = record if second else None
    decision = readable(lambda: _decide(deps, record.operation_id, bodies.request_of(record), done, read_only=False))
    match decision:
        case Refusal():
            return _refused(deps, record, decision)
        case FirstStacks(stacks=stacks):
            return _stacks_first(deps, record, bodies, stacks)
        case Unchanged() if second:
            # Its stacks only had to be looked at more closely.
            end = ended(deps, subject_of(record), decision, {})
            deps.journal.commit(record, None, None, end)
            return end
        case Unchanged():
            return close(deps, record, Status.UNCHANGED, ended(deps, subject_of(record), decision, {}))
        case WithStacks(plan=plan, stacks=stacks, due=due, request=request):
            resolved = None if request is None else bodies.put_request(record.kind, request)
            intent = StackIntent(bodies.put_stack_plan(stacks), due, resolved)
            new = Service(plan.service, plan.release) if isinstance(plan, Plan) and plan.new_release else None
            return resume(deps.journal.record_intent(record, bodies.put_plan(plan), new, stacks=intent))
        case Plan(new_release=True):
            new = Service(decision.service, decision.release)
            return resume(deps.journal.record_intent(record, bodies.put_plan(decision), new))
        case AdoptPlan(new_service=new_service, releases=releases) if new_service or releases:
            service = Service(decision.service, decision.last_release)
            return resume(deps.journal.record_intent(record, bodies.put_plan(decision), service, taking=len(releases)))
        case Foreseen():
            raise AssertionError("only a dry run goes by what it can foresee")
        case Plan() | ConfigurePlan() | TeardownPlan() | AdoptPlan():
            return resume(deps.journal.record_intent(record, bodies.put_plan(decision)))
    assert_never(decision)


def _collects(deps: Deps, record: OperationRecord) -> bool:
    """Whether it holds what its second part takes, and not what its first part did."""
    return record.service is not None and holds(deps.store.lock(record.service), record.operation_id, frozenset({COLLECT}))


def _refused(deps: Deps, record: OperationRecord, refusal: Refusal) -> Step:
    """Before anything was done that is the end; after stacks were changed they go back, or the teardown stops where it is."""
    if record.status is Status.PLANNED:
        return close(deps, record, Status.REFUSED, failed(refusal, record.operation_id))
    if record.kind is OperationKind.TEARDOWN and refusal.code in _OVERTAKEN:
        return close(deps, record, Status.NEEDS_ATTENTION, failed(refusal, record.operation_id))
    if record.kind is OperationKind.TEARDOWN:
        return stopped(deps, record, refusal.message, refusal.blockers)
    deps.journal.record_failure(record, refusal, calls_ended=not record.overlapped, moved={})
    return Go("Compensate")


def _stacks_first(deps: Deps, record: OperationRecord, bodies: Bodies, stacks: StackPlan) -> Step:
    return resume(deps.stack_journal.record_intent(record, bodies.put_stack_plan(stacks), When.FIRST))


def dry_run(deps: Deps, operation_id: OperationId, request: Request | Refusal, stack: SweepSettings) -> Step:
    """Plan without a lock and without writing anything. ``stack`` are the stack's own settings of sweeps."""
    if isinstance(request, Refusal):
        return failed(request, operation_id)
    decision = readable(lambda: _looked(deps, operation_id, request, stack))
    if isinstance(decision, Refusal):
        return failed(decision, operation_id)
    return planned(Subject(operation_id, kind_of(request), request.service, request.stage), decision)


def _looked(deps: Deps, operation_id: OperationId, request: Request, stack: SweepSettings) -> Decision | Refusal:
    """What an operation would do."""
    match request:
        case SweepRequest():
            return looked_at(deps, operation_id, request, stack)
        case VerifyRequest():
            return decide_verify(deps, request)
        case RecoverRequest():
            return looked(deps, request)
    decision = _decide(deps, operation_id, request, None, read_only=True)
    match decision:
        case TeardownPlan() as plan:
            return TornDown(plan, plan.verdicts)
        case WithStacks(plan=TeardownPlan() as plan):
            return TornDown(plan, plan.verdicts)
        case WithStacks(plan=Plan() as plan):
            return plan
        case WithStacks():
            raise AssertionError("a plan is of a teardown or of something else")
        case FirstStacks():
            raise AssertionError("a dry run looks once")
    return decision


_Decided = FirstStacks | WithStacks | Plan | Foreseen | ConfigurePlan | TeardownPlan | AdoptPlan | Unchanged | Refusal


def _decide(
    deps: Deps, operation_id: OperationId, request: Request, record: OperationRecord | None, *, read_only: bool
) -> _Decided:
    """The decision of an operation that has a plan. Raises CallFailed and MalformedItem.

    ``record`` is that of an operation whose stacks came first and are done.
    """
    match request:
        case DeployRequest(template=TemplateWish() as template):
            decision = decide_template_deploy(deps, operation_id, request, template, record, read_only=read_only)
            if isinstance(decision, WithStacks) and isinstance(decision.plan, Plan) and not read_only:
                return replace(decision, plan=_with_baselines(deps, decision.plan))
            return decision
        case DeployRequest():
            return _decide_deploy(deps, operation_id, request, read_only=read_only)
        case RollbackRequest() | ResetRequest() | CloneRequest():
            return _decide_restore(deps, operation_id, request, read_only=read_only)
        case TeardownRequest():
            return _decide_teardown(deps, operation_id, request, record, read_only=read_only)
        case AdoptRequest():
            return decide_adopt(deps, request)
        case ConfigureRequest():
            return _decide_configure(deps, request)
        case SweepRequest() | VerifyRequest() | RecoverRequest():
            raise AssertionError(f"{kind_of(request)} has no plan")
    assert_never(request)


def _decide_teardown(
    deps: Deps, operation_id: OperationId, request: TeardownRequest, record: OperationRecord | None, *, read_only: bool
) -> FirstStacks | WithStacks | TeardownPlan | Refusal:
    """Stage stacks go first, since what is in them hangs on the aliases."""
    plan = decide_teardown(deps, operation_id, request)
    if not isinstance(plan, TeardownPlan):
        return plan
    going = [stage for stage in deps.store.stages(request.service) if stage.name in plan.stages]
    if record is not None and any(not stage.tearing_down for stage in going if stage.observed is None):
        sentence = (
            f"Somebody deployed to stage {request.stage} of service {request.service} after its stack was deleted and before its "
            "aliases were. Nothing more was deleted. Tear it down again if it is still to go."
        )
        return Refusal(Code.STAGE_MOVED, sentence, (str(request.stage),))
    if record is not None:
        stacks = Bodies(deps.artifacts).stack_plan_of(record)
    else:
        stacks = stacks_that_go(deps, request.service, going, whole=request.stage is None)
    if not stacks.steps:
        return plan
    if record is None and stacks.of(When.FIRST) and not read_only:
        return FirstStacks(stacks)
    return WithStacks(replace(plan, stack_changes=stacks.changes), stacks, None)


def _decide_deploy(
    deps: Deps, operation_id: OperationId, request: DeployRequest, *, read_only: bool
) -> Plan | Unchanged | Refusal:
    common = request.common
    wish = DeployWish(
        operation_id=operation_id,
        service=request.service,
        stage=request.stage,
        partial=request.partial,
        overwrite_drift=request.overwrite_drift,
        if_release=common.if_release,
        accept_unqualified_callers=request.accept_unqualified_callers,
    )
    at = recorded(deps, request.service, request.stage)
    refusal = admit_deploy(wish, at)
    if refusal is not None:
        return refusal
    wish = replace(wish, stacks=_as_they_are(deps, at))
    configured = [name for name, function in request.functions.items() if function.configuration]
    if wish.stacks.template is not None and configured:
        sentence = (
            f"Stage {request.stage} of service {request.service} was deployed from a template, which says how its functions are "
            f"configured: leave configuration out ({', '.join(configured)}), and change it there."
        )
        return Refusal(Code.INVALID_REQUEST, sentence, tuple(f"{name}.configuration" for name in configured))
    decision = plan_deploy(wish, deploy_facts(deps, wish, request.functions, at, read_only=read_only))
    return _with_baselines(deps, decision) if isinstance(decision, Plan) and not read_only else decision


def _as_they_are(deps: Deps, at: StageFacts) -> StackWish:
    """Functions that are deployed by name leave the stage's stack and its template alone."""
    if at.stage is None or at.service is None or at.stage.release is None:
        return StackWish()
    current = deps.store.release(at.service.name, at.stage.release)
    return StackWish(None if current is None else current.template, at.stage.variables)


def _decide_restore(
    deps: Deps, operation_id: OperationId, request: RestoreRequest, *, read_only: bool
) -> WithStacks | Plan | Unchanged | Refusal:
    wish = _restore_wish(operation_id, request)
    at = recorded(deps, wish.service, wish.stage)
    others = {}
    if isinstance(wish.choice, AsStage):
        other = deps.store.stage(wish.service, wish.choice.stage)
        others = {} if other is None else {wish.choice.stage: other}
    chosen = admit_restore(wish, at, others)
    if isinstance(chosen, Refusal):
        return chosen
    release = deps.store.release(wish.service, chosen.release)
    if release is None:
        sentence = f"Release r{chosen.release} of service {wish.service} is not on record (a gap in its numbers). Choose another."
        return Refusal(Code.RELEASE_NOT_FOUND, sentence, (f"r{chosen.release}",))
    facts = restore_facts(deps, release, at)
    like = next((other for other in others.values() if other.observed is not None), None)
    if like is not None:
        facts = replace(facts, like=observed(deps, StageFacts(at.service, like.name, like), ()))
    stacks = restored_stack(deps, operation_id, request, release, facts, read_only=read_only)
    if isinstance(stacks, Refusal):
        return stacks
    decision = plan_restore(replace(wish, stacks=stacks.wish), chosen, facts)
    return WithStacks(decision, stacks.plan, stacks.due) if isinstance(decision, Plan) and stacks.plan.steps else decision


def _decide_configure(deps: Deps, request: ConfigureRequest) -> ConfigurePlan | Unchanged | Refusal:
    wish = ConfigureWish(request.service, request.stage, request.protected, request.description, request.common.if_release)
    return configure(wish, recorded(deps, request.service, request.stage))


def _restore_wish(operation_id: OperationId, request: RestoreRequest) -> RestoreWish:
    choice: AlongTheWayBack | ToRelease | AsStage
    match request:
        case RollbackRequest(release=release, steps=steps):
            choice = AlongTheWayBack(release, steps)
        case ResetRequest(to=int() as number):
            choice = ToRelease(number)
        case ResetRequest(to=str() as name):
            choice = AsStage(name)
        case CloneRequest(like=name):
            choice = AsStage(name)
    return RestoreWish(
        kind=kind_of(request),
        operation_id=operation_id,
        service=request.service,
        stage=request.stage,
        choice=choice,
        overwrite_drift=not isinstance(request, CloneRequest) and request.overwrite_drift,
        allow_missing=request.allow_missing,
        if_release=request.common.if_release,
    )


def _with_baselines(deps: Deps, plan: Plan) -> Plan:
    """Where nothing is updated before publishing, only the highest number there was tells an old version from a new one."""
    bare = [publish for publish in plan.publishes if not publish.updates]
    numbers = dict(
        zip((item.arn for item in bare), in_parallel(lambda p: deps.lambda_api.highest_version(p.arn), bare), strict=True)
    )
    return replace(plan, publishes=tuple(replace(item, highest=numbers.get(item.arn)) for item in plan.publishes))
