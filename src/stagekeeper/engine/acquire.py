"""Lock: get everything the operation needs at once, or wait in order of arrival, or give up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from stagekeeper.domain.lock import Entry, GaveUp, Granted, Waiting, seconds_until_next_ask, slots_for
from stagekeeper.domain.model import ServiceName
from stagekeeper.domain.operation import Status
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.recovery import LOOK_AT
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.notice import Dead, dead_among, look_after
from stagekeeper.engine.report import close
from stagekeeper.engine.step import Go, Step, Wait, failed, resume


def acquire(deps: Deps, carrier: Carrier) -> Step:
    """One ask. The state machine waits in between, so that waiting costs no running Lambda."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.PLANNED:
        return resume(record)
    answer = deps.journal.ask_for_lock(record, slots_for(record.kind, record.stage))
    match answer:
        case Granted():
            return Go("Plan")
        case Waiting(blockers=blockers):
            look_after(deps, record, blockers)
            now = deps.clock.now()
            left = record.asked_at + record.lock_wait_seconds - now
            return Wait(max(1, min(seconds_until_next_ask(now - record.asked_at), int(left) + 1)))
        case GaveUp(blockers=blockers):
            dead = [] if record.service is None else dead_among(deps, record.service, blockers[:LOOK_AT])
            refusal = locked(record, record.service, blockers, dead)
            return close(deps, record, Status.REFUSED, failed(refusal, record.operation_id))
    assert_never(answer)


def locked(record: OperationRecord, service: ServiceName | None, blockers: Sequence[Entry], dead: Sequence[Dead] = ()) -> Refusal:
    """The refusal of an operation whose patience has run out. ``dead`` are those in the way that have lost their executions."""
    first = blockers[0]
    where = f"service {service}" if record.stage is None else f"stage {record.stage} of service {service}"
    return Refusal(
        Code.LOCKED,
        f"Waited {record.lock_wait_seconds} s for {where}: {first.operation} {first.operation_id} is in the way. "
        + _advice(first, dead),
        tuple(f"{entry.operation_id} ({entry.operation}: {', '.join(sorted(entry.slots))})" for entry in blockers),
    )


def _advice(first: Entry, dead: Sequence[Dead]) -> str:
    if first.is_lease:
        return "It sweeps for a template, a few seconds at a time: try again (or wait longer: lock_wait_seconds)."
    if not dead:
        return "Look at that execution; when it has ended, try again (or wait longer: lock_wait_seconds)."
    left = next((each for each in dead if each.trouble is not None), None)
    if left is None:
        return f"{', '.join(each.operation_id for each in dead)} died; its recovery is under way: try again in a minute."
    return (
        f"{left.operation_id} died, and its recovery could not be begun: {left.trouble}. Mend that, then run operation recover."
    )
