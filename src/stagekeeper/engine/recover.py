"""Recover: an execution takes over an operation that has lost its own, and goes on where its record stands.

It takes the mandate, waits until no call of the dead worker can be under way, and goes on through the same states as
everybody else. An execution that a person started for it only sees to it that this happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.errors import CallFailed
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.lock import Entry
from stagekeeper.domain.model import OperationId, ServiceName
from stagekeeper.domain.operation import OperationKind, Status, seconds_until_calls_ended
from stagekeeper.domain.record import Carrier, Failed, OperationRecord
from stagekeeper.domain.recovery import (
    MAX_RECOVERIES,
    EndUnbegun,
    GoForward,
    LookAtAliases,
    Over,
    PutBack,
    Running,
    after_death,
    all_at_target,
    death,
    is_carrier,
    recovery_name,
)
from stagekeeper.domain.refusal import Code, Refusal, no_service, not_readable
from stagekeeper.domain.request import RecoverRequest
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import in_parallel
from stagekeeper.engine.move import target_of
from stagekeeper.engine.notice import dead_among, liveness_of, revive
from stagekeeper.engine.readable import readable
from stagekeeper.engine.report import Recovered, RecoveredOperation, Subject, close, ended
from stagekeeper.engine.step import Go, Step, Wait, failed, resume

#: How often (seconds) whoever recovers by hand looks whether it is done. An execution may have 25,000 events of history.
_LOOK_AGAIN = 8


def recover(deps: Deps, carrier: Carrier, request: RecoverRequest, following: Sequence[OperationId] | None) -> Step:
    """State Recover. Of the execution that is to recover an operation: take it over. Of any other: see that it happens.

    ``following`` are the operations that this execution has been waiting for.
    """
    if request.operation_id is not None:
        record = deps.store.operation(request.operation_id)
        if record is not None and is_carrier(record, carrier.execution):
            return _take_over(deps, carrier, record)
    if following is not None:
        return _await(deps, carrier.operation_id, request, following)
    dead = readable(lambda: _begin_all(deps, request))
    if isinstance(dead, Refusal):
        return failed(dead, carrier.operation_id)
    # What was begun is not to be seen at once.
    return Wait(_LOOK_AGAIN, tuple(dead)) if dead else _await(deps, carrier.operation_id, request, dead)


def looked(deps: Deps, request: RecoverRequest) -> Recovered | Refusal:
    """What ``recover`` would take care of; writes and begins nothing. Raises CallFailed and MalformedItem."""
    found = _dead(deps, request)
    if isinstance(found, Refusal):
        return found
    return Recovered(tuple(_line(record, f"its execution {liveness}") for record, liveness in found))


def _begin_all(deps: Deps, request: RecoverRequest) -> list[OperationId] | Refusal:
    found = _dead(deps, request)
    if isinstance(found, Refusal):
        return found
    if request.operation_id is None:
        # One recovery that cannot be begun does not keep the others from theirs; it is tried again with each look.
        for service in _services(deps, request):
            dead_among(deps, service, _in_lock(deps, service))
    for record, _ in found if request.operation_id is not None else ():
        revive(deps, record)
    return [record.operation_id for record, _ in found]


def _dead(deps: Deps, request: RecoverRequest) -> list[tuple[OperationRecord, Over]] | Refusal:
    """The operations that have lost their executions. Raises CallFailed and MalformedItem."""
    if request.operation_id is not None:
        return _one_dead(deps, request, request.operation_id)
    services = _services(deps, request)
    if request.service is not None and not _is_known(deps, request.service):
        return no_service(request.service)
    found = []
    for entry in [entry for service in services for entry in _in_lock(deps, service)]:
        record = deps.store.operation(entry.operation_id)
        if record is None or record.end is not None:
            continue
        liveness = liveness_of(deps, record)
        if isinstance(liveness, Unreadable):
            return not_readable(liveness.what, liveness.why)
        if isinstance(liveness, Over):
            found.append((record, liveness))
    return found


def _is_known(deps: Deps, service: ServiceName) -> bool:
    """A service whose first deploy came to nothing has no more than a lock."""
    return service in deps.store.services() or deps.store.lock(service).revision > 0


def _services(deps: Deps, request: RecoverRequest) -> list[ServiceName]:
    return deps.store.locked_services() if request.service is None else [request.service]


def _in_lock(deps: Deps, service: ServiceName) -> list[Entry]:
    """The operations that hold something of a service, wait for it, or sweep it (which a sweep does between its batches, too)."""
    lock = deps.store.lock(service)
    sweeper = () if lock.sweeper is None else (lock.sweeper,)
    entries = {entry.operation_id: entry for entry in (*lock.holders, *lock.queue, *sweeper) if not entry.is_lease}
    return list(entries.values())


def _one_dead(deps: Deps, request: RecoverRequest, operation_id: OperationId) -> list[tuple[OperationRecord, Over]] | Refusal:
    record = deps.store.operation(operation_id)
    if record is None or (request.service is not None and record.service != request.service):
        where = "" if request.service is None else f" of service {request.service}"
        sentence = f"There is no operation {operation_id}{where} on record. Check the spelling; it is the name of its execution."
        return Refusal(Code.INVALID_REQUEST, sentence, (operation_id,))
    if record.end is not None:
        return []
    liveness = liveness_of(deps, record)
    match liveness:
        case Over():
            return [(record, liveness)]
        case Running():
            sentence = (
                f"{record.kind} {operation_id} is not dead: execution {record.execution} is running. Wait for it, or stop that "
                "execution; it is recovered then by itself."
            )
            return Refusal(Code.LOCKED, sentence, (operation_id,))
        case Unreadable():
            return not_readable(liveness.what, liveness.why)
    assert_never(liveness)


def _await(deps: Deps, operation_id: OperationId, request: RecoverRequest, following: Sequence[OperationId]) -> Step:
    """Until all have ended, or too many of their recoveries have died as well."""
    records = [record for each in following if (record := deps.store.operation(each)) is not None]
    going_on = [record for record in records if record.end is None]
    lost = [record for record in going_on if not _is_at_work(deps, record)]
    for record in lost:
        if record.recoveries < MAX_RECOVERIES:
            revive(deps, record)
    if any(record not in lost or record.recoveries < MAX_RECOVERIES for record in going_on):
        return Wait(_LOOK_AGAIN, tuple(following))
    told = [f"{record.kind} {record.operation_id}: its {record.recoveries} recoveries died as well" for record in lost]
    told += [
        f"{record.kind} {record.operation_id}: {record.end.cause['message']}"
        for record in records
        if isinstance(record.end, Failed) and record.status is Status.NEEDS_ATTENTION
    ]
    if told:
        message = (
            f"{len(told)} of {len(records)} dead operations could not be recovered without leaving something behind: blockers "
            "says what. Mend that, then deploy, roll back or recover again."
        )
        return failed(Refusal(Code.NEEDS_ATTENTION, message, tuple(told)), operation_id)
    subject = Subject(operation_id, OperationKind.RECOVER, request.service, None)
    return ended(deps, subject, Recovered(tuple(_line(record, f"it is {record.status} now") for record in records)), {})


def _is_at_work(deps: Deps, record: OperationRecord) -> bool:
    """Whether an execution carries it, or one is to. What cannot be read counts as alive."""
    called = deps.executions.liveness(recovery_name(record.operation_id, record.epoch))
    return not isinstance(called, Over) or not isinstance(liveness_of(deps, record), Over)


def _line(record: OperationRecord, reason: str) -> RecoveredOperation:
    return RecoveredOperation(record.operation_id, record.kind, record.service, record.stage, reason)


def _take_over(deps: Deps, carrier: Carrier, record: OperationRecord) -> Step:
    """Go on with an operation whose execution died. Delivered twice, it begins anew: the second raises the epoch once more."""
    if record.end is not None:
        return record.end
    liveness = liveness_of(deps, record)
    if record.execution != carrier.execution and isinstance(liveness, Running):
        # It was not to be seen when it was taken for dead, or was redriven since. It carries the operation to the end, or dies.
        return Wait(_LOOK_AGAIN, (record.operation_id,))
    over = liveness if isinstance(liveness, Over) and record.execution != carrier.execution else None
    died = death(record.execution, over)
    record = deps.journal.take_over(record, carrier.execution)
    match after_death(record):
        case EndUnbegun():
            again = "again if it is still wanted" if over is not None and over.was_stopped else "again"
            sentence = f"{died}; nothing had been changed. Start the {record.kind} {again}."
            return close(deps, record, Status.REFUSED, failed(Refusal(Code.INTERNAL, sentence), record.operation_id))
        case GoForward():
            return _of(record, resume(record))
        case LookAtAliases():
            deps.clock.sleep(seconds_until_calls_ended(record.phase))
            revisions = _where_all_are(deps, record)
            if revisions is not None:
                deps.journal.record_moved(record, revisions)
                return Go("Commit", record.operation_id)
            calls_ended = True
        case PutBack():
            calls_ended = False
    failure = Refusal(Code.COMPENSATED, f"{died}.")
    deps.journal.record_failure(record, failure, calls_ended=calls_ended, moved=record.moved)
    return Go("Compensate", record.operation_id)


def _of(record: OperationRecord, step: Step) -> Step:
    """The step, of the operation that is recovered instead of the recovery's own."""
    return Go(step.state, record.operation_id) if isinstance(step, Go) else step


def _where_all_are(deps: Deps, record: OperationRecord) -> dict[Any, str] | None:
    """The aliases' RevisionIds if all of them are where the plan wants them."""
    if record.kind is OperationKind.CONFIGURE:
        return {}
    plan = Bodies(deps.artifacts).plan_of(record)
    stage = plan.stage
    if stage is None:
        return {}
    try:
        seen = in_parallel(lambda item: (item.arn, deps.lambda_api.alias(item.arn, stage)), plan.moves)
    except CallFailed:
        return None  # compensation looks at each of them once more and says which it could not read
    return all_at_target({item.arn: target_of(item, record) for item in plan.moves}, seen)
