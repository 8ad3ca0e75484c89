"""What an operation tells at its end: the execution's output and the whole report. Holds no configuration values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from stagekeeper.domain.model import FunctionArn, OperationId, ReleaseNumber, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Change, Plan, Published, Unchanged, changes
from stagekeeper.domain.record import Succeeded
from stagekeeper.engine.deps import Deps

#: The contract's bound on every list of an output.
MAX_ENTRIES = 100
_MAX_WARNINGS = 100


def planned(operation_id: OperationId, plan: Plan) -> Succeeded:
    """The outcome of a dry run."""
    lines = changes(plan, {})
    return _output(
        "planned",
        operation_id,
        plan.kind,
        plan.service,
        plan.stage,
        plan.release,
        plan.previous_release,
        lines,
        plan.warnings,
        None,
    )


def nothing_to_do(
    outcome: str, operation_id: OperationId, kind: OperationKind, service: ServiceName, stage: StageName | None, found: Unchanged
) -> Succeeded:
    """The outcome ``unchanged``; of a dry run ``planned``."""
    previous = None if stage is None else found.release
    return _output(outcome, operation_id, kind, service, stage, found.release, previous, [], found.warnings, None)


def succeeded(deps: Deps, operation_id: OperationId, plan: Plan, published: Mapping[FunctionArn, Published]) -> Succeeded:
    """The outcome of an operation that was committed; the whole report goes into the artifact bucket."""
    lines = changes(plan, published)
    whole: dict[str, Any] = {
        "operation_id": operation_id,
        "operation": plan.kind.value,
        "service": plan.service,
        "stage": plan.stage,
        "release": plan.release,
        "previous_release": plan.previous_release,
        "changes": [asdict(line) for line in lines],
        "warnings": list(plan.warnings),
        "sweep": {"deleted": [], "kept": []},
    }
    report = deps.artifacts.put_body("reports", json.dumps(whole, sort_keys=True).encode())
    where = {"s3_bucket": report.bucket, "s3_key": report.key}
    return _output(
        "succeeded",
        operation_id,
        plan.kind,
        plan.service,
        plan.stage,
        plan.release,
        plan.previous_release,
        lines,
        plan.warnings,
        where,
    )


def _output(
    outcome: str,
    operation_id: OperationId,
    kind: OperationKind,
    service: ServiceName,
    stage: StageName | None,
    release: ReleaseNumber | None,
    previous_release: ReleaseNumber | None,
    lines: Sequence[Change],
    warnings: Sequence[str],
    report: Mapping[str, str] | None,
) -> Succeeded:
    output: dict[str, Any] = {
        "outcome": outcome,
        "operation_id": operation_id,
        "operation": kind.value,
        "service": service,
        "stage": stage,
        "release": release,
        "previous_release": previous_release,
        "changes": [asdict(line) for line in lines[:MAX_ENTRIES]],
        "changes_count": len(lines),
        "warnings": list(warnings[:_MAX_WARNINGS]),
        "sweep": {"deleted": [], "kept": []},
        "deleted_count": 0,
        "kept_count": 0,
        "report": report,
    }
    return Succeeded(output)
