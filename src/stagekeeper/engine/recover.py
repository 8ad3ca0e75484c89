"""Recover: notice that an operation has lost its execution, begin another one for it, and go on where its record stands.

Whoever notices (a waiter, the rule on executions' ends, a person) only begins the recovery: an execution named after the
operation and its epoch. That one takes the mandate over, waits until no call of the dead worker can be under way, and goes on
through the same states as everybody else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.errors import CallFailed
from stagekeeper.aws.journal import Superseded
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.lock import Entry
from stagekeeper.domain.model import OperationId, ServiceName
from stagekeeper.domain.operation import OperationKind, Status, seconds_until_calls_ended
from stagekeeper.domain.record import Carrier, Failed, OperationRecord
from stagekeeper.domain.recovery import (
    LOOK_AT,
    MAX_RECOVERIES,
    EndUnbegun,
    GoForward,
    Liveness,
    LookAtAliases,
    Over,
    PutBack,
    Running,
    after_death,
    all_at_target,
    is_carrier,
    is_look_due,
    recovery_name,
)
from stagekeeper.domain.refusal import Code, Refusal, no_service
from stagekeeper.domain.request import RecoverRequest
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import in_parallel
from stagekeeper.engine.move import target_of
from stagekeeper.engine.readable import readable
from stagekeeper.engine.report import Recovered, RecoveredOperation, Subject, close, ended
from stagekeeper.engine.step import Go, Step, Wait, failed, resume

#: How often (seconds) whoever recovers by hand looks whether it is done. An execution may have 25,000 events of history.
_LOOK_AGAIN = 8


# Noticing.


@dataclass(frozen=True, slots=True)
class Dead:
    """An operation that lost its execution. ``trouble`` is why its recovery could not be begun, None if it was."""

    operation_id: OperationId
    trouble: str | None = None


def look_after(deps: Deps, record: OperationRecord, blockers: Sequence[Entry]) -> OperationRecord:
    """As a waiter: now and then ask whether those in the way still live, and begin the recovery of who does not.

    The record with the time of it. What cannot be read counts as alive, and a recovery that cannot be begun is no reason to
    wait no longer: the next look tries again.
    """
    if record.locked_service is None or not is_look_due(record.looked_at, deps.clock.now()):
        return record
    dead_among(deps, record.locked_service, blockers[:LOOK_AT])
    return deps.journal.note_look(record)


def dead_among(deps: Deps, service: ServiceName, blockers: Iterable[Entry]) -> list[Dead]:
    """Of those in the way the dead, whose recovery has begun if it can be. Raises CallFailed where the table cannot be read."""
    dead = []
    for entry in blockers:
        known = deps.store.operation(entry.operation_id)
        if known is None:
            # Nothing but its place in the lock is left of it.
            if isinstance(deps.executions.liveness(entry.operation_id), Over):
                deps.journal.free_stray(entry.operation_id, service)
                dead.append(Dead(entry.operation_id))
            continue
        try:
            if isinstance(revive(deps, known), Over):
                dead.append(Dead(entry.operation_id))
        except CallFailed as error:
            dead.append(Dead(entry.operation_id, str(error)))
    return dead


def revive(deps: Deps, record: OperationRecord) -> Liveness | None:
    """Begin the recovery of an operation whose execution is over; None if the operation has ended. Raises CallFailed."""
    if record.end is not None:
        return None
    carrier = deps.executions.liveness(record.execution)
    if not isinstance(carrier, Over):
        return carrier
    called = deps.executions.liveness(recovery_name(record.operation_id, record.epoch))
    match called:
        case Unreadable():
            return called
        case Running():
            return carrier
        case Over(how=str()):
            try:
                record = deps.journal.note_failed_recovery(record)
            except Superseded:
                return carrier  # somebody else begins one at this moment
        case Over():
            pass
    deps.executions.start(recovery_name(record.operation_id, record.epoch), _request_for(record))
    return carrier


def _request_for(record: OperationRecord) -> Mapping[str, Any]:
    about = {} if record.service is None else {"service": record.service}
    return {"operation": OperationKind.RECOVER.value, "operation_id": record.operation_id, **about}


def notice(deps: Deps, operation_id: OperationId) -> Liveness | None:
    """An execution has ended: one read for an operation that ended properly. None if there is nothing to recover.

    Raises CallFailed and MalformedItem: EventBridge and Lambda deliver such an event again.
    """
    record = deps.store.operation(operation_id)
    # One without a record has held nothing and done nothing.
    if record is None or record.end is not None or record.recoveries >= MAX_RECOVERIES:
        return None
    return revive(deps, record)


# Recovering.


def recover(deps: Deps, carrier: Carrier, request: RecoverRequest, following: Sequence[OperationId] | None) -> Step:
    """State Recover. Of the execution that is to recover an operation: take it over. Of any other: see that it happens.

    ``following`` are the operations that this execution has been waiting for.
    """
    if request.operation_id is not None:
        record = deps.store.operation(request.operation_id)
        if record is not None and is_carrier(record, carrier.execution):
            return _take_over(deps, carrier, record)
    if following is None:
        dead = readable(lambda: _begin_all(deps, request))
        if isinstance(dead, Refusal):
            return failed(dead, carrier.operation_id)
        following = dead
    return _await(deps, carrier.operation_id, request, following)


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
        for service in _services(deps, request):
            dead_among(deps, service, _in_lock(deps, service))
    for record, _ in found:
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
        liveness = deps.executions.liveness(record.execution)
        if isinstance(liveness, Unreadable):
            return _unreadable(liveness)
        if isinstance(liveness, Over):
            found.append((record, liveness))
    return found


def _is_known(deps: Deps, service: ServiceName) -> bool:
    """A service whose first deploy came to nothing has no more than a lock."""
    return service in deps.store.services() or deps.store.lock(service).revision > 0


def _services(deps: Deps, request: RecoverRequest) -> list[ServiceName]:
    return deps.store.locked_services() if request.service is None else [request.service]


def _in_lock(deps: Deps, service: ServiceName) -> list[Entry]:
    lock = deps.store.lock(service)
    return [*lock.holders, *lock.queue]


def _one_dead(deps: Deps, request: RecoverRequest, operation_id: OperationId) -> list[tuple[OperationRecord, Over]] | Refusal:
    record = deps.store.operation(operation_id)
    if record is None or (request.service is not None and record.service != request.service):
        where = "" if request.service is None else f" of service {request.service}"
        sentence = f"There is no operation {operation_id}{where} on record. Check the spelling; it is the name of its execution."
        return Refusal(Code.INVALID_REQUEST, sentence, (operation_id,))
    if record.end is not None:
        return []
    liveness = deps.executions.liveness(record.execution)
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
            return _unreadable(liveness)
    assert_never(liveness)


def _unreadable(liveness: Unreadable) -> Refusal:
    sentence = f"{liveness.what} could not be read: {liveness.why}. Nothing was changed. Mend that and try again."
    return Refusal(Code.UNREADABLE, sentence, (liveness.what,))


def _await(deps: Deps, operation_id: OperationId, request: RecoverRequest, following: Sequence[OperationId]) -> Step:
    """Until all have ended, or their recoveries have died as well."""
    records = [record for each in following if (record := deps.store.operation(each)) is not None]
    lost = [record for record in records if record.end is None]
    if any(_is_at_work(deps, record) for record in lost):
        return Wait(_LOOK_AGAIN, tuple(following))
    told = [f"{record.kind} {record.operation_id}: its recovery, execution {record.execution}, died as well" for record in lost]
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
    names = (record.execution, recovery_name(record.operation_id, record.epoch))
    return any(not isinstance(deps.executions.liveness(name), Over) for name in names)


def _line(record: OperationRecord, reason: str) -> RecoveredOperation:
    return RecoveredOperation(record.operation_id, record.kind, record.service, record.stage, reason)


def _take_over(deps: Deps, carrier: Carrier, record: OperationRecord) -> Step:
    """Go on with an operation whose execution died. Delivered twice, it begins anew: the second raises the epoch once more."""
    if record.end is not None:
        return record.end
    died = f"Its execution {record.execution} {deps.executions.liveness(record.execution)} before it was done"
    record = deps.journal.take_over(record, carrier.execution)
    match after_death(record):
        case EndUnbegun():
            sentence = f"{died}; nothing had been changed. Start the {record.kind} again."
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
