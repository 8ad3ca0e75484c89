"""Operations as somebody sees them who looks at one again and again, with everything but the point of a test filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from stagekeeper.cli.progress import Blocker, Course, Ended, Look, Queued, Shown, Subject, joined, started, steps, went_on
from stagekeeper.domain.lock import Entry
from stagekeeper.domain.model import OperationId, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import Failed, OperationNow, Succeeded
from stagekeeper.domain.refusal import Code, Refusal

OP: Final = OperationId("orders-dev-42")
ORDERS, DEV = ServiceName("orders"), StageName("dev")

#: A deploy to dev whose record was opened just now.
NOW: Final = OperationNow(
    operation_id=OP,
    kind=OperationKind.DEPLOY,
    service=ORDERS,
    stage=DEV,
    actor="jane",
    status=Status.PLANNED,
    epoch=1,
    phase=Phase.PLAN,
    execution=OP,
    recoveries=0,
    planned=False,
    has_stacks=False,
    stacks_due=None,
    collecting=None,
    failure=None,
    has_ended=False,
)

DEPLOY: Final = Subject(OP, OperationKind.DEPLOY, ORDERS, DEV)

OUTPUT: Final[dict[str, Any]] = {
    "outcome": "succeeded",
    "operation_id": OP,
    "operation": "deploy",
    "service": "orders",
    "stage": "dev",
    "release": 7,
    "previous_release": 6,
    "changes": [],
    "changes_count": 0,
    "warnings": [],
    "sweep": {"deleted": [], "kept": []},
    "deleted_count": 0,
    "kept_count": 0,
    "report": {"s3_bucket": "artifacts", "s3_key": "reports/1.json"},
}

DONE: Final = Succeeded(OUTPUT)
BROKE: Final = Refusal(Code.COMPENSATED, "Version 13 came out Failed.")


def ended(code: Code, message: str = "It went wrong.", **more: Any) -> Failed:
    return Failed(code.value, {"message": message, "blockers": [], "operation_id": OP, "warnings": [], **more})


def at(phase: Phase, status: Status = Status.CONVERGING, **more: Any) -> OperationNow:
    """The record of an operation in the middle of a phase."""
    return replace(NOW, **{"status": status, "phase": phase, "epoch": 5, "planned": True, **more})


def over(status: Status, **more: Any) -> OperationNow:
    return at(more.pop("phase", Phase.COMMIT), status, has_ended=True, **more)


def waiting(*others: tuple[str, str, str | None], since: float = 0.0, gives_up_at: float = 1800.0) -> Queued:
    """A wait for these: operation, id, actor."""
    entries = (Entry(OperationId(name), operation, frozenset({"publish"}), since, 0.0) for operation, name, _ in others)
    return Queued(tuple(Blocker(entry, actor) for entry, (_, _, actor) in zip(entries, others, strict=True)), gives_up_at)


def course(
    *seen: tuple[float, OperationNow | None] | tuple[float, OperationNow | None, Ended], subject: Subject = DEPLOY
) -> Course:
    """What is known after these looks at an operation that began at 0."""
    return _after(started(subject, 0.0), *seen)


def joined_course(*seen: tuple[float, OperationNow | None] | tuple[float, OperationNow | None, Ended]) -> Course:
    """The same for somebody who began to look when it had been going on for a while."""
    return _after(joined(Subject(OP), 0.0), *seen)


def _after(known: Course, *seen: Any) -> Course:
    for moment, now, *end in seen:
        subject = known.subject if now is None else Subject(OP, now.kind, now.service, now.stage)
        known = went_on(known, Look(moment, subject, now, ended=end[0] if end else None))
    return known


def marks(known: Course, moment: float | None = None) -> dict[str, str]:
    """Each step that is shown, in order, and how it stands."""
    return {step.name: step.mark.value for step in shown(known, moment)}


def shown(known: Course, moment: float | None = None) -> tuple[Shown, ...]:
    return steps(known, known.last.at if moment is None else moment)
