"""Recovery: whether the execution that carries an operation still lives, and what becomes of an operation that lost it.

An operation is carried by one execution at a time: first by the one that bears its name, after that one's death by a recovery
that is named after the operation and its epoch, so that there is one at a time. Must not know how executions are asked about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.model import FunctionArn, OperationId, VersionNumber
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.refusal import Refusal

#: An execution's name has at most 80 characters (Step Functions API reference, StartExecution).
_MAX_NAME = 80
#: How often (seconds) a waiter asks whether those who are in its way still live.
LOOK_INTERVAL = 30
#: How long (seconds) Step Functions may not know an execution yet that was started: it is eventually consistent.
YOUNG = 60
#: So many of those in the way are asked about at once: DescribeExecution refills at 10 to 15 a second for the whole account.
LOOK_AT = 10
#: After so many recoveries that died as well, none is begun by itself any more; a waiter and ``recover`` still begin one.
MAX_RECOVERIES = 5


#: What Lambda and Step Functions call it when a worker is gone: what a worker raised has the exception's name.
DIED = ("Lambda.", "Runtime.", "Sandbox.", "States.")


@dataclass(frozen=True, slots=True)
class Running:
    """The execution is at work, or waits."""


@dataclass(frozen=True, slots=True)
class Over:
    """The execution has ended. ``how`` is Step Functions' status, or None where it knows of no such execution; ``why`` is what
    whoever stopped it said about that."""

    how: str | None
    why: str | None = None

    @property
    def was_stopped(self) -> bool:
        """Only StopExecution leaves an execution so."""
        return self.how == "ABORTED"

    def __str__(self) -> str:
        return "is not there" if self.how is None else f"ended as {self.how}"


Liveness = Running | Over | Unreadable


def recovery_name(operation_id: OperationId, epoch: int) -> str:
    """The name of the execution that recovers an operation which died in this epoch."""
    name = f"recover-{operation_id}-{epoch}"
    if len(name) <= _MAX_NAME:
        return name
    digest = hashlib.sha256(operation_id.encode()).hexdigest()[:12]
    end = f"-{digest}-{epoch}"
    return f"recover-{operation_id}"[: _MAX_NAME - len(end)] + end


def is_carrier(record: OperationRecord, execution: str) -> bool:
    """Whether this execution carries the operation, or is the recovery that is to."""
    return execution in (record.execution, recovery_name(record.operation_id, record.epoch))


def is_young(record: OperationRecord, now: float) -> bool:
    """Whether its execution was started so lately that Step Functions may not show it yet. A recovery was seen before it took
    over."""
    return record.execution == record.operation_id and now - record.asked_at < YOUNG


def is_look_due(looked_at: float | None, now: float) -> bool:
    """Whether a waiter should ask again; it does when it begins to wait."""
    return looked_at is None or now - looked_at >= LOOK_INTERVAL


def is_to_be_followed(record: OperationRecord, error: str) -> bool:
    """Whether another worker goes on where one was cut off: what only goes forward does not stop because a process died.

    ``error`` is Step Functions' name for it: Lambda's and its own for a worker that died, else that of a worker's exception.
    """
    died = error.startswith(DIED)
    only_forward = record.status is Status.COMMITTED or (
        record.status is Status.CONVERGING and record.kind in (OperationKind.TEARDOWN, OperationKind.SWEEP)
    )
    return died and only_forward and record.end is None and record.recoveries < MAX_RECOVERIES


@dataclass(frozen=True, slots=True)
class EndUnbegun:
    """Nothing was done: it ends as refused."""


@dataclass(frozen=True, slots=True)
class GoForward:
    """What is begun is ended: teardowns, sweeps, adopting (all of it is on record), what follows a commit, and compensations."""


@dataclass(frozen=True, slots=True)
class LookAtAliases:
    """Every alias may be at its target already: then it is committed, else put back."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """Everything is put back."""


_STOPPED = "Somebody stopped its execution "


def death(execution: str, over: Over | None) -> str:
    """What is said of an operation whose execution is gone. ``over`` None: nothing is known of that one's end."""
    if over is not None and over.was_stopped:
        return f"{_STOPPED}{execution} ({over.how})" + (f": {over.why}" if over.why else "")
    if over is None:
        return "Its execution was lost"
    return f"Its execution {execution} {over}" + (" before it was done" if over.how is not None else " any more")


def was_stopped(failure: Refusal) -> bool:
    """Whether what is on record as the failure says that somebody stopped the operation: then there is nothing to mend."""
    return failure.message.startswith(_STOPPED)


def after_death(record: OperationRecord) -> EndUnbegun | GoForward | LookAtAliases | PutBack:
    """What a recovery does with an operation that has not ended."""
    match record.status:
        case Status.PLANNED:
            return EndUnbegun()
        case Status.COMMITTED | Status.COMPENSATING:
            return GoForward()
        case Status.CONVERGING:
            if record.kind in (OperationKind.TEARDOWN, OperationKind.SWEEP, OperationKind.ADOPT):
                return GoForward()
            # Before the first alias was moved some version may be missing, and nothing is lost by putting back. While a stack is
            # still to come the aliases alone say nothing.
            moving = record.phase in (Phase.MOVE, Phase.COMMIT) and record.stacks_due is None
            return LookAtAliases() if moving else PutBack()
        case Status.REFUSED | Status.UNCHANGED | Status.COMPENSATED | Status.ENDED | Status.NEEDS_ATTENTION:
            raise AssertionError(f"operation {record.operation_id} is {record.status}: nothing is to be recovered")
    assert_never(record.status)


def all_at_target(
    targets: Mapping[FunctionArn, VersionNumber | None], seen: Sequence[tuple[FunctionArn, AliasSeen | None]]
) -> dict[FunctionArn, str] | None:
    """The RevisionIds of the aliases if each serves its target and nothing else; None if one does not."""
    revisions: dict[FunctionArn, str] = {}
    for arn, alias in seen:
        if alias is None or alias.weighted or alias.version is None or alias.version != targets[arn]:
            return None
        revisions[arn] = alias.revision_id
    return revisions if len(revisions) == len(targets) else None
