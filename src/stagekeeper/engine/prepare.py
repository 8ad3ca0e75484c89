"""Plan: gather the facts, decide, and put the whole intent on record before the first effect."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.errors import CallFailed
from stagekeeper.aws.table import MalformedItem
from stagekeeper.domain.deploy import DeployWish, admit_deploy, plan_deploy
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.plan import Plan, Unchanged
from stagekeeper.domain.record import End, OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import DeployRequest, Request, RollbackRequest, kind_of
from stagekeeper.domain.rollback import RollbackWish, admit_rollback, plan_rollback
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import deploy_facts, in_parallel, recorded, rollback_facts
from stagekeeper.engine.report import Subject, ended, planned, subject_of
from stagekeeper.engine.step import Step, failed, resume


def prepare(deps: Deps, operation_id: OperationId) -> Step:
    """Plan an operation that holds its lock. A refusal ends it; nothing but its own record and the lock were written."""
    record = deps.journal.reread(operation_id)
    if record.status is not Status.PLANNED:
        return resume(record)
    record = deps.journal.begin(record, Phase.PLAN)
    request = Bodies(deps.artifacts).request_of(record)
    decision = _decide(deps, operation_id, request, read_only=False)
    match decision:
        case Refusal():
            return _end(deps, record, Status.REFUSED, failed(decision, operation_id))
        case Unchanged():
            end = ended(deps, subject_of(record), decision, {})
            return _end(deps, record, Status.UNCHANGED, end)
        case Plan():
            return resume(deps.journal.record_intent(record, decision, Bodies(deps.artifacts).put_plan(decision)))
    assert_never(decision)


def dry_run(deps: Deps, operation_id: OperationId, request: Request | Refusal) -> Step:
    """Plan without a lock and without writing anything."""
    if isinstance(request, Refusal):
        return failed(request, operation_id)
    decision = _decide(deps, operation_id, request, read_only=True)
    match decision:
        case Refusal():
            return failed(decision, operation_id)
        case Plan() | Unchanged():
            return planned(Subject(operation_id, kind_of(request), request.common.service, request.stage), decision)
    assert_never(decision)


def _end(deps: Deps, record: OperationRecord, status: Status, end: End) -> Step:
    deps.journal.end(record, status, end)
    return end


def _decide(deps: Deps, operation_id: OperationId, request: Request, *, read_only: bool) -> Plan | Unchanged | Refusal:
    """The decision. A record that cannot be read refuses, since nothing can be decided without it."""
    try:
        match request:
            case DeployRequest():
                return _decide_deploy(deps, operation_id, request, read_only=read_only)
            case RollbackRequest():
                return _decide_rollback(deps, operation_id, request)
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


def _decide_rollback(deps: Deps, operation_id: OperationId, request: RollbackRequest) -> Plan | Unchanged | Refusal:
    common = request.common
    wish = RollbackWish(
        operation_id=operation_id,
        service=common.service,
        stage=request.stage,
        release=request.release,
        steps=request.steps,
        overwrite_drift=request.overwrite_drift,
        allow_missing=request.allow_missing,
        if_release=common.if_release,
    )
    at = recorded(deps, common.service, request.stage)
    admitted = admit_rollback(wish, at)
    if isinstance(admitted, Refusal):
        return admitted
    stage, number = admitted
    release = deps.store.release(common.service, number)
    if release is None:
        sentence = f"Service {common.service} has no record of release r{number} (a gap in its numbers). Choose another one."
        return Refusal(Code.RELEASE_NOT_FOUND, sentence, (f"r{number}",))
    return plan_rollback(wish, stage, rollback_facts(deps, release, at))


def _with_baselines(deps: Deps, plan: Plan) -> Plan:
    """Where nothing is updated before publishing, only the highest number there was tells an old version from a new one."""
    bare = [publish for publish in plan.publishes if not publish.updates]
    numbers = dict(
        zip((item.arn for item in bare), in_parallel(lambda p: deps.lambda_api.highest_version(p.arn), bare), strict=True)
    )
    return replace(plan, publishes=tuple(replace(item, highest=numbers.get(item.arn)) for item in plan.publishes))
