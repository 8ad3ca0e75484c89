"""An execution ended without success: EventBridge tells, and if its operation has not ended with it, a recovery begins.

No state of the state machine. It is told of every refusal too, and reads one item for each of those.
"""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict

from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.recovery import Over
from stagekeeper.engine.notice import notice
from stagekeeper.handlers.runtime import deps, logger, metrics


class _Detail(BaseModel):
    """What is read of Step Functions' event; it has more, and may get more. ``input`` is left out where it is long."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    name: str
    status: str
    input: str | None = None


class _Event(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, hide_input_in_errors=True)

    detail: _Detail


@metrics.log_metrics
def handler(event: dict[str, Any], _: LambdaContext) -> dict[str, str]:
    told = _Event.model_validate(event).detail
    operation_id = _operation_of(told)
    found = notice(deps(), operation_id, told.name)
    begun = isinstance(found, Over)
    logger.info("execution ended", extra={"execution": told.name, "status": told.status, "recovered": begun})
    if begun:
        metrics.add_metric(name="Recoveries", unit="Count", value=1)
    return {"operation_id": operation_id, "recovery": "begun" if begun else "not needed"}


def _operation_of(told: _Detail) -> OperationId:
    """The operation that the execution carried: another than its name says if it was a recovery."""
    try:
        request = json.loads(told.input or "null")
    except ValueError:
        request = None
    if isinstance(request, dict) and request.get("operation") == OperationKind.RECOVER.value:
        recovered = request.get("operation_id")
        if isinstance(recovered, str):
            return OperationId(recovered)
    return OperationId(told.name)
