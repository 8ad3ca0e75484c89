"""Notice that an operation has lost its execution, and begin its recovery: another execution, named after it and its epoch.

Whoever notices (a waiter, the rule on executions' ends, a person) does no more than that; ``recover`` has the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stagekeeper.aws.errors import CallFailed, Unanswered
from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.lock import Entry
from stagekeeper.domain.model import OperationId, ServiceName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.recovery import LOOK_AT, MAX_RECOVERIES, Liveness, Over, Running, is_look_due, is_young, recovery_name
from stagekeeper.engine.deps import Deps

#: DescribeExecution may be behind the event that an execution ended: so often it is asked, so long (seconds) in between.
_LOOKS, _BETWEEN_LOOKS = 3, 2.0
#: Others may begin a recovery, or take over, at the same moment.
_ATTEMPTS = 3


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
    # A lease ends by itself, and has no execution to ask about.
    for entry in (each for each in blockers if not each.is_lease):
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


def liveness_of(deps: Deps, record: OperationRecord) -> Liveness:
    """Whether the execution that carries an operation lives. One that Step Functions does not know yet may be about to begin."""
    found = deps.executions.liveness(record.execution)
    if isinstance(found, Over) and found.how is None and is_young(record, deps.clock.now()):
        return Running()
    return found


def revive(deps: Deps, record: OperationRecord) -> Liveness | None:
    """Begin the recovery of an operation whose execution is over; None if the operation has ended. Raises CallFailed."""
    carrier: Liveness | None = None
    for _ in range(_ATTEMPTS):
        carrier = None if record.end is not None else liveness_of(deps, record)
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
                    # It has ended, was taken over, or somebody else begins a recovery at this moment: look again.
                    known = deps.store.operation(record.operation_id)
                    if known is None:
                        return None
                    record = known
                    continue
            case Over():
                pass
        deps.executions.start(recovery_name(record.operation_id, record.epoch), _request_for(record))
        return carrier
    return carrier


def _request_for(record: OperationRecord) -> Mapping[str, Any]:
    about = {} if record.service is None else {"service": record.service}
    return {"operation": OperationKind.RECOVER.value, "operation_id": record.operation_id, **about}


def notice(deps: Deps, operation_id: OperationId, ended: str) -> Liveness | None:
    """The execution ``ended`` is over: one read for an operation that ended properly. None if there is nothing to recover.

    Raises CallFailed and MalformedItem: EventBridge and Lambda deliver such an event again.
    """
    record = deps.store.operation(operation_id)
    # One without a record has held nothing and done nothing.
    if record is None or record.end is not None or record.recoveries >= MAX_RECOVERIES:
        return None
    for _ in range(_LOOKS):
        # Its end may not be to be seen yet, or it was redriven since.
        if not isinstance(deps.executions.liveness(ended), Running):
            break
        deps.clock.sleep(_BETWEEN_LOOKS)
    carrier = revive(deps, record)
    if isinstance(carrier, Unreadable):
        raise Unanswered(carrier.what, carrier.why)
    return carrier
