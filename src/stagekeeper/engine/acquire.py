"""Lock: get everything the operation needs at once, or wait in order of arrival, or give up."""

from __future__ import annotations

from typing import assert_never

from stagekeeper.domain.lock import Entry, GaveUp, Granted, Waiting, seconds_until_next_ask, slots_for
from stagekeeper.domain.model import OperationId, ServiceName
from stagekeeper.domain.operation import Status
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.step import Go, Step, Wait, failed, resume


def acquire(deps: Deps, operation_id: OperationId) -> Step:
    """One ask. The state machine waits in between, so that waiting costs no running Lambda."""
    record = deps.journal.reread(operation_id)
    if record.status is not Status.PLANNED:
        return resume(record)
    answer = deps.journal.ask_for_lock(record, slots_for(record.kind, record.stage))
    match answer:
        case Granted():
            return Go("Plan")
        case Waiting():
            now = deps.clock.now()
            left = record.asked_at + record.lock_wait_seconds - now
            return Wait(max(1, min(seconds_until_next_ask(now - record.asked_at), int(left) + 1)))
        case GaveUp(blockers=blockers):
            end = failed(locked(record, record.service, blockers), operation_id)
            deps.journal.end(record, Status.REFUSED, end)
            return end
    assert_never(answer)


def locked(record: OperationRecord, service: ServiceName | None, blockers: tuple[Entry, ...]) -> Refusal:
    """The refusal of an operation whose patience has run out."""
    first = blockers[0]
    where = f"service {service}" if record.stage is None else f"stage {record.stage} of service {service}"
    return Refusal(
        Code.LOCKED,
        f"Waited {record.lock_wait_seconds} s for {where}: {first.operation} {first.operation_id} is in the way. "
        "Look at that execution; when it has ended, try again (or wait longer: lock_wait_seconds).",
        tuple(f"{entry.operation_id} ({entry.operation}: {', '.join(sorted(entry.slots))})" for entry in blockers),
    )
