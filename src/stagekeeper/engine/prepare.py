"""Plan: gather the facts, decide, and put the whole intent on record before the first effect."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.errors import CallFailed
from stagekeeper.aws.table import MalformedItem
from stagekeeper.domain.configure import ConfigureWish, configure
from stagekeeper.domain.deploy import DeployWish, admit_deploy, plan_deploy
from stagekeeper.domain.facts import StageFacts
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.plan import Configured, Plan, Unchanged
from stagekeeper.domain.record import End, OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import (
    CloneRequest,
    ConfigureRequest,
    DeployRequest,
    Request,
    ResetRequest,
    RollbackRequest,
    VerifyRequest,
    kind_of,
)
from stagekeeper.domain.restore import AlongTheWayBack, AsStage, RestoreWish, ToRelease, admit_restore, plan_restore
from stagekeeper.domain.verify import admit_verify, verdict
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import deploy_facts, in_parallel, observed, recorded, restore_facts
from stagekeeper.engine.report import Decision, Subject, ended, planned, subject_of
from stagekeeper.engine.step import Step, failed, resume

#: What moves a stage onto a release that exists.
RestoreRequest = RollbackRequest | ResetRequest | CloneRequest


def prepare(deps: Deps, operation_id: OperationId) -> Step:
    """Plan an operation that holds its lock. A refusal ends it; nothing but its own record and the lock were written."""
    record = deps.journal.reread(operation_id)
    if record.status is not Status.PLANNED:
        return resume(record)
    record = deps.journal.begin(record, Phase.PLAN)
    request = Bodies(deps.artifacts).request_of(record)
    decision = decide(deps, operation_id, request, read_only=False)
    match decision:
        case Refusal():
            return _end(deps, record, Status.REFUSED, failed(decision, operation_id))
        case Unchanged():
            end = ended(deps, subject_of(record), decision, {})
            return _end(deps, record, Status.UNCHANGED, end)
        case Configured(stage=stage):
            end = ended(deps, subject_of(record), decision, {})
            deps.journal.commit(record, stage, None, end)
            return end
        case Plan():
            return resume(deps.journal.record_intent(record, decision, Bodies(deps.artifacts).put_plan(decision)))
    assert_never(decision)


def dry_run(deps: Deps, operation_id: OperationId, request: Request | Refusal) -> Step:
    """Plan without a lock and without writing anything."""
    if isinstance(request, Refusal):
        return failed(request, operation_id)
    decision = decide(deps, operation_id, request, read_only=True)
    match decision:
        case Refusal():
            return failed(decision, operation_id)
        case Plan() | Unchanged() | Configured():
            return planned(Subject(operation_id, kind_of(request), request.common.service, request.stage), decision)
    assert_never(decision)


def _end(deps: Deps, record: OperationRecord, status: Status, end: End) -> Step:
    deps.journal.end(record, status, end)
    return end


def decide(deps: Deps, operation_id: OperationId, request: Request, *, read_only: bool) -> Decision | Refusal:
    """The decision. A record that cannot be read refuses, since nothing can be decided without it."""
    try:
        match request:
            case DeployRequest():
                return _decide_deploy(deps, operation_id, request, read_only=read_only)
            case RollbackRequest() | ResetRequest() | CloneRequest():
                return _decide_restore(deps, operation_id, request)
            case ConfigureRequest():
                return _decide_configure(deps, request)
            case VerifyRequest():
                return _decide_verify(deps, request)
        assert_never(request)
    except CallFailed as error:
        return Refusal(Code.UNREADABLE, f"{error}. Nothing was changed. Mend that and try again.", (error.what,))
    except MalformedItem as error:
        return Refusal(Code.UNREADABLE, f"The state table is not as this version writes it: {error}. Nothing was changed.")


def _decide_deploy(
    deps: Deps, operation_id: OperationId, request: DeployRequest, *, read_only: bool
) -> Plan | Unchanged | Refusal:
    common = request.common
    wish = DeployWish(
        operation_id=operation_id,
        service=common.service,
        stage=request.stage,
        partial=request.partial,
        overwrite_drift=request.overwrite_drift,
        if_release=common.if_release,
        accept_unqualified_callers=request.accept_unqualified_callers,
    )
    at = recorded(deps, common.service, request.stage)
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
    return plan_restore(wish, chosen, restore_facts(deps, release, at))


def _decide_configure(deps: Deps, request: ConfigureRequest) -> Configured | Unchanged | Refusal:
    common = request.common
    wish = ConfigureWish(common.service, request.stage, request.protected, request.description, common.if_release)
    return configure(wish, recorded(deps, common.service, request.stage))


def _decide_verify(deps: Deps, request: VerifyRequest) -> Unchanged | Refusal:
    """Unchanged if AWS agrees with the record of the stage, or of every stage."""
    common = request.common
    at = recorded(deps, common.service, request.stage)
    refused = admit_verify(common.service, at, common.if_release)
    if refused is not None:
        return refused
    stages = deps.store.stages(common.service) if at.stage is None else [at.stage]
    seen = [observed(deps, StageFacts(at.service, stage.name, stage), ()) for stage in stages]
    return verdict(seen) or Unchanged(None if at.stage is None else at.stage.release)


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
        service=request.common.service,
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
