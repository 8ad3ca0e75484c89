"""Lock: get everything the operation needs at once, or wait in order of arrival, or give up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.lock import Entry, GaveUp, Granted, Waiting, seconds_until_next_ask, slots_for
from stagekeeper.domain.model import ServiceName
from stagekeeper.domain.operation import OperationKind, Status
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.recovery import LOOK_AT
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_plan import When, stage_stack_name
from stagekeeper.engine.clean_up import finish
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.notice import Dead, dead_among, look_after
from stagekeeper.engine.report import close
from stagekeeper.engine.step import Go, Step, Wait, failed, resume


def acquire(deps: Deps, carrier: Carrier) -> Step:
    """One ask. The state machine waits in between, so that waiting costs no running Lambda."""
    record = deps.journal.reread(carrier)
    after = _after(record)
    if after is None:
        return resume(record)
    answer = deps.journal.ask_for_lock(record, _slots(deps, record))
    match answer:
        case Granted():
            return after
        case Waiting(blockers=blockers):
            look_after(deps, record, blockers)
            now = deps.clock.now()
            left = record.asked_at + record.lock_wait_seconds - now
            return Wait(max(1, min(seconds_until_next_ask(now - record.asked_at), int(left) + 1)))
        case GaveUp(blockers=blockers):
            dead = [] if record.service is None else dead_among(deps, record.service, blockers[:LOOK_AT])
            refusal = locked(record, record.service, blockers, dead)
            return _without_it(deps, record, refusal)
    assert_never(answer)


def _after(record: OperationRecord) -> Go | None:
    """What comes once the lock is held; None if nothing is asked for now."""
    if record.end is not None:
        return None
    match record.status:
        case Status.PLANNED:
            return Go("Plan")
        case Status.CONVERGING if record.kind is OperationKind.TEARDOWN and record.is_half_planned:
            # Its stage stack is gone, and it let go of the stage.
            return Go("Plan")
        case Status.COMMITTED if record.stacks_due is When.CLEAN_UP:
            return Go("Stacks")
    return None


def _slots(deps: Deps, record: OperationRecord) -> frozenset[str]:
    if record.status is Status.COMMITTED:
        return frozenset({Bodies(deps.artifacts).stack_plan_of(record).slot_to_clean_up})
    if record.status is Status.PLANNED and record.kind is OperationKind.TEARDOWN and _has_stack(deps, record):
        # Its stack goes first, which takes minutes, and needs no more than the stage.
        return slots_for(OperationKind.CONFIGURE, record.stage)
    return slots_for(record.kind, record.stage)


def _has_stack(deps: Deps, record: OperationRecord) -> bool:
    service, stage = record.service, record.stage
    return service is not None and stage is not None and deps.store.stack(service, stage_stack_name(service, stage)) is not None


def _without_it(deps: Deps, record: OperationRecord, refusal: Refusal) -> Step:
    """The end of an operation that did not get what it asked for."""
    match record.status:
        case Status.COMMITTED:
            warning = f"what no stage needs any more stays in the service stack until the next deploy: {refusal.message}"
            return finish(deps, record, warning=warning)
        case Status.CONVERGING:
            message = (
                f"{refusal.message} The stack of stage {record.stage} is gone already, its aliases are still there: tear it down "
                "again to go on."
            )
            told = replace(refusal, code=Code.NEEDS_ATTENTION, message=message)
            return close(deps, record, Status.NEEDS_ATTENTION, failed(told, record.operation_id))
    return close(deps, record, Status.REFUSED, failed(refusal, record.operation_id))


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
