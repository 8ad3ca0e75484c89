"""What an operation tells at its end: the execution's output and the whole report. Holds no configuration values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, assert_never

from stagekeeper.domain import adoption, teardown
from stagekeeper.domain.adoption import AdoptPlan
from stagekeeper.domain.facts import CodeStored
from stagekeeper.domain.model import FunctionArn, OperationId, ReleaseNumber, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind, Status
from stagekeeper.domain.orphans import Verdict
from stagekeeper.domain.plan import Change, ConfigurePlan, Foreseen, Plan, Published, Unchanged, changes
from stagekeeper.domain.record import End, OperationRecord, Succeeded
from stagekeeper.domain.sweep import deletions
from stagekeeper.domain.teardown import TeardownPlan
from stagekeeper.engine.deps import Deps

#: The contract's bound on every list of an output; the report has them whole.
MAX_ENTRIES = 100
#: An output must fit into the state machine's 256 KiB and, with the rest of its operation's item, into DynamoDB's 400 KB (bytes).
_MAX_OUTPUT = 150_000
_MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of every version that a sweep looked at. ``warnings``: services that were left out. ``services`` says by
    function whose it is, where the sweep was of all.

    ``before`` and ``after`` are how much code the account has; None where it was not asked (again).
    """

    verdicts: tuple[Verdict, ...]
    warnings: tuple[str, ...] = ()
    before: CodeStored | None = None
    after: CodeStored | None = None
    services: Mapping[FunctionArn, ServiceName] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TornDown:
    """A teardown, and what became of the versions that it looked at."""

    plan: TeardownPlan
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class RecoveredOperation:
    """An operation that had lost its execution. ``reason`` says what is known of that, or what became of it."""

    operation_id: OperationId
    kind: OperationKind
    service: ServiceName | None
    stage: StageName | None
    reason: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """The dead operations that a recovery by hand found."""

    operations: tuple[RecoveredOperation, ...]


#: What an operation that ends well was decided to do, or did.
Decision = Plan | Foreseen | Unchanged | ConfigurePlan | TornDown | Swept | AdoptPlan | Recovered


@dataclass(frozen=True, slots=True)
class Subject:
    """What the operation was about."""

    operation_id: OperationId
    kind: OperationKind
    service: ServiceName | None
    stage: StageName | None


def subject_of(record: OperationRecord) -> Subject:
    return Subject(record.operation_id, record.kind, record.service, record.stage)


def planned(subject: Subject, decision: Decision) -> Succeeded:
    """The outcome of a dry run, which writes nothing: it has no report."""
    return Succeeded(_cut(_whole("planned", subject, decision, {})) | {"report": None})


def ended(
    deps: Deps, subject: Subject, decision: Decision, published: Mapping[FunctionArn, Published], outcome: str = "succeeded"
) -> Succeeded:
    """The outcome of an operation that ended well; the whole report goes into the artifact bucket. Raises CallFailed."""
    nothing = isinstance(decision, Unchanged) or (isinstance(decision, Recovered) and not decision.operations)
    whole = _whole("unchanged" if nothing else outcome, subject, decision, published)
    report = deps.artifacts.put_body("reports", json.dumps(whole, sort_keys=True).encode())
    return Succeeded(_cut(whole) | {"report": {"s3_bucket": report.bucket, "s3_key": report.key}})


def close(deps: Deps, record: OperationRecord, status: Status, end: End) -> End:
    """End an operation; its end is what its state answers."""
    deps.journal.end(record, status, end)
    return end


def _whole(outcome: str, subject: Subject, decision: Decision, published: Mapping[FunctionArn, Published]) -> dict[str, Any]:
    release, previous = _releases(subject, decision)
    lines = _lines(decision, published)
    verdicts = decision.verdicts if isinstance(decision, (TornDown, Swept)) else ()
    services = decision.services if isinstance(decision, Swept) else {}
    deleted = [_entry(verdict, services) for verdict in verdicts if verdict.remove]
    kept = [_entry(verdict, services) for verdict in verdicts if not verdict.remove]
    return {
        "outcome": outcome,
        "operation_id": subject.operation_id,
        "operation": subject.kind.value,
        "service": subject.service,
        "stage": subject.stage,
        "release": release,
        "previous_release": previous,
        "changes": [_short(asdict(line)) for line in lines],
        "changes_count": len(lines),
        "warnings": [_shortened(warning) for warning in _warnings(decision)],
        "sweep": {"deleted": deleted, "kept": kept},
        "deleted_count": len(deleted),
        "kept_count": len(kept),
        **_stored(decision),
        **_recovered(decision),
        **_adopted(subject, decision),
    }


def _releases(subject: Subject, decision: Decision) -> tuple[ReleaseNumber | None, ReleaseNumber | None]:
    """What the stage serves afterwards, and what it served before."""
    match decision:
        case Plan():
            return decision.release, decision.previous_release
        case Foreseen(plan=plan):
            return None, plan.previous_release
        case Unchanged():
            return decision.release, None if subject.stage is None else decision.release
        case ConfigurePlan():
            return decision.release, decision.release
        case TornDown(plan=plan):
            return None, plan.previous_release
        case AdoptPlan(one=None):
            return decision.kept_release, decision.kept_release
        case AdoptPlan(one=stage):
            return (None, None) if stage is None else (stage.release, stage.previous_release)
        case Swept() | Recovered():
            return None, None
    assert_never(decision)


def _lines(decision: Decision, published: Mapping[FunctionArn, Published]) -> list[Change]:
    match decision:
        case Plan():
            return changes(decision, published)
        case Foreseen(plan=plan):
            return changes(plan, published)
        case Unchanged() | Recovered():
            return []
        case ConfigurePlan():
            return list(decision.changes)
        case TornDown(plan=plan, verdicts=verdicts):
            return [*teardown.changes(plan), *deletions(verdicts)]
        case Swept(verdicts=verdicts):
            return deletions(verdicts)
        case AdoptPlan():
            return adoption.changes(decision)
    assert_never(decision)


def _warnings(decision: Decision) -> list[str]:
    match decision:
        case Plan() | Unchanged() | AdoptPlan():
            return list(decision.warnings)
        case TornDown(plan=plan) | Foreseen(plan=plan):
            return list(plan.warnings)
        case Swept(warnings=warnings):
            return list(warnings)
        case ConfigurePlan() | Recovered():
            return []
    assert_never(decision)


def _stored(decision: Decision) -> dict[str, Any]:
    """Only a sweep's output has it."""
    if not isinstance(decision, Swept) or decision.before is None:
        return {}
    after = None if decision.after is None else decision.after.used
    return {
        "storage": {"before_bytes": decision.before.used, "after_bytes": after, "limit_bytes": decision.before.limit},
    }


def _recovered(decision: Decision) -> dict[str, Any]:
    """Only a recovery's output has it."""
    if not isinstance(decision, Recovered):
        return {}
    return {
        "recovered": [
            {
                "operation_id": each.operation_id,
                "operation": each.kind.value,
                "service": each.service,
                "stage": each.stage,
                "reason": each.reason,
            }
            for each in decision.operations
        ]
    }


def _adopted(subject: Subject, decision: Decision) -> dict[str, Any]:
    """Only the output of adopting has it: the stages that were put on record, or are on record as something else now."""
    if subject.kind is not OperationKind.ADOPT:
        return {}
    stages = decision.stages if isinstance(decision, AdoptPlan) else ()
    return {"stages": [{"stage": each.name, "release": each.release, "observed": each.observed} for each in stages]}


def _entry(verdict: Verdict, services: Mapping[FunctionArn, ServiceName]) -> dict[str, Any]:
    """One version of a sweep; ``bytes`` is the size of its code, ``service`` whose it is where the sweep was of all."""
    whose = {"service": services[verdict.arn]} if verdict.arn in services else {}
    entry = {"function": verdict.function, "version": str(verdict.version), "reason": verdict.reason, "bytes": verdict.size}
    return _short({**whose, **entry})


def _cut(whole: Mapping[str, Any]) -> dict[str, Any]:
    """The output: the counts are the whole's, the lists what fits. The longest lists lose their ends first."""
    changes = list(whole["changes"][:MAX_ENTRIES])
    swept = {name: list(entries[:MAX_ENTRIES]) for name, entries in whole["sweep"].items()}
    warnings = list(whole["warnings"][:MAX_ENTRIES])
    output = {**whole, "changes": changes, "warnings": warnings, "sweep": swept}
    lists: list[list[Any]] = [changes, warnings, *swept.values()]
    if "recovered" in whole:
        output["recovered"] = list(whole["recovered"][:MAX_ENTRIES])
        lists.append(output["recovered"])
    while len(json.dumps(output)) > _MAX_OUTPUT and any(lists):
        max(lists, key=len).pop()
    return output


def _short(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "reason": _shortened(entry["reason"])}


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"
