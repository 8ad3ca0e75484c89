"""What an operation tells at its end: the execution's output and the whole report. Holds no configuration values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stagekeeper.domain.model import FunctionArn, OperationId, ReleaseNumber, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Change, Configured, Plan, Published, Unchanged, changes
from stagekeeper.domain.record import OperationRecord, Succeeded
from stagekeeper.engine.deps import Deps

#: The contract's bound on every list of an output; the report has them whole.
MAX_ENTRIES = 100


#: What an operation that ends well was decided to do.
Decision = Plan | Unchanged | Configured


@dataclass(frozen=True, slots=True)
class Subject:
    """What the operation was about."""

    operation_id: OperationId
    kind: OperationKind
    service: ServiceName
    stage: StageName | None


def subject_of(record: OperationRecord) -> Subject:
    return Subject(record.operation_id, record.kind, record.service, record.stage)


def planned(subject: Subject, decision: Decision) -> Succeeded:
    """The outcome of a dry run, which writes nothing: it has no report."""
    return Succeeded(_cut(_whole("planned", subject, decision, {})) | {"report": None})


def ended(deps: Deps, subject: Subject, decision: Decision, published: Mapping[FunctionArn, Published]) -> Succeeded:
    """The outcome of an operation that ended well; the whole report goes into the artifact bucket. Raises CallFailed."""
    whole = _whole("unchanged" if isinstance(decision, Unchanged) else "succeeded", subject, decision, published)
    report = deps.artifacts.put_body("reports", json.dumps(whole, sort_keys=True).encode())
    return Succeeded(_cut(whole) | {"report": {"s3_bucket": report.bucket, "s3_key": report.key}})


def _whole(outcome: str, subject: Subject, decision: Decision, published: Mapping[FunctionArn, Published]) -> dict[str, Any]:
    previous: ReleaseNumber | None
    release: ReleaseNumber | None
    lines: Sequence[Change]
    match decision:
        case Plan():
            previous = decision.previous_release
            lines = changes(decision, published)
            release = decision.release
        case Unchanged():
            release = decision.release
            previous = None if subject.stage is None else release
            lines = []
        case Configured():
            previous = release = decision.stage.release
            lines = []
    return {
        "outcome": outcome,
        "operation_id": subject.operation_id,
        "operation": subject.kind.value,
        "service": subject.service,
        "stage": subject.stage,
        "release": release,
        "previous_release": previous,
        "changes": [asdict(line) for line in lines],
        "changes_count": len(lines),
        "warnings": [] if isinstance(decision, Configured) else list(decision.warnings),
        "sweep": {"deleted": [], "kept": []},
        "deleted_count": 0,
        "kept_count": 0,
    }


def _cut(whole: Mapping[str, Any]) -> dict[str, Any]:
    return {**whole, "changes": whole["changes"][:MAX_ENTRIES], "warnings": whole["warnings"][:MAX_ENTRIES]}
