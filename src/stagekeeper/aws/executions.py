"""Step Functions: whether an execution still runs, and starting one. Must not know what an operation is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.errors import error_code, translated
from stagekeeper.aws.lazily import Lazily
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.recovery import Liveness, Over, Running

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef

#: How much (characters) of somebody's reason to stop an execution is told.
MAX_WHY = 200


def step_functions_client() -> SFNClient:
    # Both calls may be repeated: the name makes starting idempotent. DescribeExecution refills slowly, so clients back off.
    return boto3.client(
        "stepfunctions", config=Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5})
    )


class Executions:
    """Those of one state machine, by their names. The client is made when it is first needed: most tasks never need it."""

    def __init__(self, machine_arn: str, make_client: Callable[[], SFNClient] = step_functions_client) -> None:
        self._machine_arn = machine_arn
        self._client = Lazily(make_client)

    def liveness(self, name: str) -> Liveness:
        arn = f"{self._machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            found = self._client().describe_execution(executionArn=arn)
        except ClientError as error:
            if error_code(error) == "ExecutionDoesNotExist":
                return Over(None)
            return Unreadable(f"execution {name}", translated(f"describing execution {name}", error).why)
        except BotoCoreError as error:
            return Unreadable(f"execution {name}", translated(f"describing execution {name}", error).why)
        # One that waits for its redrive has ended as far as anybody waiting for it is concerned.
        return Running() if found["status"] == "RUNNING" else Over(found["status"], _why_stopped(found))

    def start(self, name: str, request: Mapping[str, Any]) -> None:
        """Start an execution; one of this name that was started before stays the only one. Raises CallFailed."""
        try:
            self._client().start_execution(
                stateMachineArn=self._machine_arn, name=name, input=json.dumps(request, sort_keys=True)
            )
        except ClientError as error:
            if error_code(error) != "ExecutionAlreadyExists":
                raise translated(f"starting execution {name}", error) from error
        except BotoCoreError as error:
            raise translated(f"starting execution {name}", error) from error


def _why_stopped(found: DescribeExecutionOutputTypeDef) -> str | None:
    """What whoever stopped it gave StopExecution as its error and cause: anybody's text, for people to read on one line. Of one
    that failed or ran out of time they are the states' own, and not meant for people."""
    if found["status"] != "ABORTED":
        return None
    text = ": ".join(part for part in (found.get("error"), found.get("cause")) if part)
    told = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    return (told if len(told) <= MAX_WHY else told[: MAX_WHY - 1] + "\N{HORIZONTAL ELLIPSIS}") or None
