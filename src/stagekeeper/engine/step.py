"""What a state of the state machine answers: where to go next. The names are those of the states."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, assert_never

from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import OperationKind, Status
from stagekeeper.domain.record import Failed, OperationRecord, Succeeded
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.stack_plan import When

#: The contract's bound on ``blockers``; the others (bytes) keep ``cause`` under its 32 KiB.
MAX_BLOCKERS = 50
_MAX_MESSAGE = 4_000
_MAX_BLOCKER = 300
_MAX_WARNINGS = 20
_MAX_CAUSE = 30_000

Next = Literal[
    "DryRun",
    "Inspect",
    "Recover",
    "Lock",
    "Plan",
    "Stacks",
    "Publish",
    "Move",
    "TearDown",
    "Collect",
    "Commit",
    "CleanUp",
    "Compensate",
]


@dataclass(frozen=True, slots=True)
class Go:
    """Go on with another state: of another operation, if a recovery found one to go on with."""

    state: Next
    operation_id: OperationId | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Come back to the same state after this many seconds. ``following``: the operations that a recovery waits for.

    ``progress`` says to whoever reads the execution what is done, and that the next invocation goes on with the rest.
    """

    seconds: int
    following: tuple[OperationId, ...] | None = None
    progress: str | None = None


Step = Go | Wait | Succeeded | Failed


def failed(refusal: Refusal, operation_id: OperationId) -> Failed:
    """A refusal as the execution's error and cause, within the contract's bounds."""
    blockers = [_cut(blocker, _MAX_BLOCKER) for blocker in refusal.blockers[:MAX_BLOCKERS]]
    if len(refusal.blockers) > MAX_BLOCKERS:
        blockers.append(f"and {len(refusal.blockers) - MAX_BLOCKERS} more")
    warnings = [_cut(warning, _MAX_BLOCKER) for warning in refusal.warnings[:_MAX_WARNINGS]]
    cause: dict[str, Any] = {
        "message": _cut(refusal.message, _MAX_MESSAGE),
        "blockers": blockers,
        "operation_id": operation_id,
        "warnings": warnings,
    }
    # What JSON makes longer (control characters, quotes) counts as well: the ends of the lists go first.
    for part in (warnings, blockers):
        while part and len(json.dumps(cause, ensure_ascii=False).encode()) > _MAX_CAUSE:
            part.pop()
    return Failed(refusal.code.value, cause)


def _cut(text: str, size: int) -> str:
    """At most ``size`` bytes of UTF-8: the bound on ``cause`` is one of bytes."""
    return text.encode()[:size].decode(errors="ignore")


def resume(record: OperationRecord) -> Step:
    """Where an operation goes on, whatever was delivered twice or begun anew: its record alone decides."""
    if record.end is not None:
        return record.end
    match record.status:
        case Status.PLANNED:
            # A sweep looks first, without a lock.
            return Go("Inspect" if record.kind is OperationKind.SWEEP else "Lock")
        case Status.CONVERGING if record.stacks_due in (When.FIRST, When.LAST):
            return Go("Stacks")
        case Status.CONVERGING if record.is_half_planned:
            # Its stacks are there (or gone). A teardown has let go of its stage meanwhile.
            return Go("Lock" if record.kind is OperationKind.TEARDOWN else "Plan")
        case Status.CONVERGING:
            return Go(_first_effect(record.kind))
        case Status.COMMITTED if record.stacks_due is When.AFTER_COMMIT:
            return Go("Stacks")
        case Status.COMMITTED if record.stacks_due is When.CLEAN_UP:
            return Go("Lock")
        case Status.COMMITTED:
            return Go("CleanUp")
        case Status.COMPENSATING:
            return Go("Compensate")
        case Status.REFUSED | Status.UNCHANGED | Status.COMPENSATED | Status.ENDED | Status.NEEDS_ATTENTION:
            raise AssertionError(f"operation {record.operation_id} is {record.status} but has no end on record")
    assert_never(record.status)


def _first_effect(kind: OperationKind) -> Next:
    match kind:
        case OperationKind.DEPLOY:
            return "Publish"
        case OperationKind.ROLLBACK | OperationKind.RESET | OperationKind.CLONE:
            return "Move"
        case OperationKind.CONFIGURE | OperationKind.ADOPT:
            return "Commit"
        case OperationKind.TEARDOWN:
            return "TearDown"
        case OperationKind.SWEEP:
            return "Collect"
        case OperationKind.VERIFY | OperationKind.RECOVER:
            raise AssertionError(f"{kind} has no record and no effect")
    assert_never(kind)


def dump(step: Step) -> Mapping[str, Any]:
    """A step as the state machine reads it."""
    match step:
        case Go(state=state, operation_id=None):
            return {"next": state}
        case Go(state=state, operation_id=operation_id):
            return {"next": state, "operation_id": operation_id}
        case Wait(seconds=seconds, following=following, progress=progress):
            told = {"following": following, "progress": progress}
            return {"next": "Wait", "seconds": seconds, **{name: value for name, value in told.items() if value is not None}}
        case Succeeded(output=output):
            return {"next": "Succeed", "output": output}
        case Failed(error=error, cause=cause):
            return {"next": "Fail", "error": error, "cause": cause}
    assert_never(step)
