"""Plan: gather the facts, decide, and put the whole intent on record before the first effect."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.adoption import AdoptPlan
from stagekeeper.domain.configure import ConfigureWish, configure
from stagekeeper.domain.deploy import DeployWish, admit_deploy, plan_deploy
from stagekeeper.domain.facts import StageFacts
from stagekeeper.domain.model import OperationId, Service
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.domain.plan import ConfigurePlan, Plan, Unchanged
from stagekeeper.domain.record import Carrier
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
    VerifyRequest,
    kind_of,
)
from stagekeeper.domain.restore import AlongTheWayBack, AsStage, RestoreWish, ToRelease, admit_restore, plan_restore
from stagekeeper.domain.teardown import TeardownPlan
from stagekeeper.engine.adopt import decide_adopt
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import deploy_facts, in_parallel, observed, recorded, restore_facts
from stagekeeper.engine.readable import readable
from stagekeeper.engine.recover import looked
from stagekeeper.engine.report import Decision, Subject, TornDown, close, ended, planned, subject_of
from stagekeeper.engine.step import Step, failed, resume
from stagekeeper.engine.sweep import looked_at
from stagekeeper.engine.teardown import decide_teardown
from stagekeeper.engine.verify import decide_verify

#: What moves a stage onto a release that exists.
RestoreRequest = RollbackRequest | ResetRequest | CloneRequest


def prepare(deps: Deps, carrier: Carrier) -> Step:
    """Plan an operation that holds its lock. A refusal ends it; nothing but its own record and the lock were written."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.PLANNED:
        return resume(record)
    record = deps.journal.begin(record, Phase.PLAN)
    bodies = Bodies(deps.artifacts)
    decision = readable(lambda: _decide(deps, record.operation_id, bodies.request_of(record), read_only=False))
    match decision:
        case Refusal():
            return close(deps, record, Status.REFUSED, failed(decision, record.operation_id))
        case Unchanged():
            return close(deps, record, Status.UNCHANGED, ended(deps, subject_of(record), decision, {}))
        case Plan(new_release=True):
            new = Service(decision.service, decision.release)
            return resume(deps.journal.record_intent(record, bodies.put_plan(decision), new))
        case AdoptPlan(new_service=new_service, releases=releases) if new_service or releases:
            service = Service(decision.service, decision.last_release)
            return resume(deps.journal.record_intent(record, bodies.put_plan(decision), service, taking=len(releases)))
        case Plan() | ConfigurePlan() | TeardownPlan() | AdoptPlan():
            return resume(deps.journal.record_intent(record, bodies.put_plan(decision)))
    assert_never(decision)


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
    decision = _decide(deps, operation_id, request, read_only=True)
    return TornDown(decision, decision.verdicts) if isinstance(decision, TeardownPlan) else decision


def _decide(
    deps: Deps, operation_id: OperationId, request: Request, *, read_only: bool
) -> Plan | ConfigurePlan | TeardownPlan | AdoptPlan | Unchanged | Refusal:
    """The decision of an operation that has a plan. Raises CallFailed and MalformedItem."""
    match request:
        case DeployRequest():
            return _decide_deploy(deps, operation_id, request, read_only=read_only)
        case RollbackRequest() | ResetRequest() | CloneRequest():
            return _decide_restore(deps, operation_id, request)
        case TeardownRequest():
            return decide_teardown(deps, operation_id, request)
        case AdoptRequest():
            return decide_adopt(deps, request)
        case ConfigureRequest():
            return _decide_configure(deps, request)
        case SweepRequest() | VerifyRequest() | RecoverRequest():
            raise AssertionError(f"{kind_of(request)} has no plan")
    assert_never(request)


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
    decision = plan_deploy(wish, deploy_facts(deps, wish, request.functions, at, read_only=read_only))
    return _with_baselines(deps, decision) if isinstance(decision, Plan) and not read_only else decision


def _decide_restore(deps: Deps, operation_id: OperationId, request: RestoreRequest) -> Plan | Unchanged | Refusal:
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
    return plan_restore(wish, chosen, facts)


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
