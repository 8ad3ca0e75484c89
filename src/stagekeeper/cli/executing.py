"""Operations as executions of the state machine: starting one, stopping one, asking what became of one.

Reads no execution's history: inputs hold environment values, and OperatorPolicyArn denies it on purpose. Must not know the
record.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.errors import Unanswered, error_code, translated
from stagekeeper.aws.executions import step_functions_client
from stagekeeper.aws.lazily import Lazily
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.progress import Ended, Lost, Subject
from stagekeeper.cli.session import Plane, Session
from stagekeeper.domain.model import OperationId, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.record import Failed, Succeeded
from stagekeeper.domain.refusal import Code

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


@dataclass(frozen=True, slots=True)
class Execution:
    """What DescribeExecution says; ``ended`` is None while it runs. ``stopped_at`` is when it ended (epoch seconds)."""

    status: str
    request: Mapping[str, Any] = field(repr=False)
    ended: Ended | None = None
    stopped_at: float | None = field(default=None, compare=False)


class Executions:
    """Those of one control plane, by their names. Every method raises CallFailed.

    ``quick`` makes the client for what is asked again anyway, and so need not be tried again by itself.
    """

    def __init__(self, plane: Plane, patient: Callable[[], SFNClient], quick: Callable[[], SFNClient]) -> None:
        self.plane = plane
        self._patient, self._quick = Lazily(patient), Lazily(quick)

    def start(self, operation_id: str, request: Mapping[str, Any]) -> bool:
        """Whether it is started now, or runs already; False if the name was taken before."""
        try:
            self._patient().start_execution(
                stateMachineArn=self.plane.machine_arn, name=operation_id, input=json.dumps(request, sort_keys=True)
            )
        except ClientError as error:
            if error_code(error) == "ExecutionAlreadyExists":
                return False
            raise translated(f"starting operation {operation_id}", error) from error
        except BotoCoreError as error:
            raise translated(f"starting operation {operation_id}", error) from error
        return True

    def stop(self, name: str, reason: str | None) -> None:
        """Stop an execution; one that has ended stays as it is."""
        cause = {} if reason is None else {"cause": reason}
        try:
            self._patient().stop_execution(executionArn=self.plane.execution_arn(name), **cause)
        except (ClientError, BotoCoreError) as error:
            raise translated(f"stopping execution {name}", error) from error

    def look(self, name: str, *, patiently: bool = False) -> Execution | None:
        """None where Step Functions knows no such execution: not yet, or no longer (it forgets after 90 days)."""
        client = self._patient() if patiently else self._quick()
        try:
            answer = client.describe_execution(executionArn=self.plane.execution_arn(name))
        except ClientError as error:
            if error_code(error) == "ExecutionDoesNotExist":
                return None
            raise translated(f"looking at execution {name}", error) from error
        except BotoCoreError as error:
            raise translated(f"looking at execution {name}", error) from error
        stopped = answer.get("stopDate")
        at = None if stopped is None else stopped.timestamp()
        return Execution(answer["status"], _read(answer.get("input")), _ended(name, answer), at)


def _ended(name: str, answer: Mapping[str, Any]) -> Ended | None:
    match answer["status"]:
        case "RUNNING":
            return None
        case "SUCCEEDED":
            return Succeeded(_read(answer["output"]))
        case "FAILED":
            # What Step Functions itself ends an execution with has no code of ours, and no JSON.
            said = {"message": answer.get("cause", "No cause was given."), "blockers": [], "operation_id": name, "warnings": []}
            return Failed(answer.get("error", "Unknown"), _read(answer.get("cause")) or said)
        case status:
            return Lost(status, why=answer.get("cause"))


def _read(text: str | None) -> Mapping[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def quick_config() -> Config:
    """For whoever looks again anyway: no answer is waited for long, and nothing is tried again by itself."""
    return Config(connect_timeout=3, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 1})


def executions_of(session: Session) -> Executions:
    return Executions(session.plane, step_functions_client, lambda: boto3.client("stepfunctions", config=quick_config()))


def begin(executions: Executions, operation_id: str, request: Mapping[str, Any]) -> Execution | None:
    """Start an operation; the execution if it had ended before. The same name and input again is the same operation.

    Raises CommandFailed where the name stands for another request, and CallFailed: Unanswered if it may have begun.
    """
    try:
        fresh = executions.start(operation_id, request)
    except Unanswered:
        # It may have begun. Whoever tried again under another name could do it twice.
        found = executions.look(operation_id, patiently=True)
        if found is None:
            raise
        fresh = found.ended is None and found.request == request
    if fresh:
        return None
    known = executions.look(operation_id, patiently=True)
    if known is None or known.request != request:
        raise CommandFailed(
            f"There is an operation {operation_id} already, with another request; nothing was started. A name is taken for 90 "
            f"days: use another one. `stagekeeper follow {operation_id}` tells what became of that one.",
            code=Code.INVALID_REQUEST.value,
            blockers=[operation_id],
            exit_code=Exit.REFUSED,
        )
    return known


def unknown(operation_id: str, advice: str = "") -> CommandFailed:
    """Nothing is on record under that name, and no execution has it."""
    return CommandFailed(
        f"There is no operation {operation_id}{advice}.",
        code=Code.INVALID_REQUEST.value,
        blockers=[operation_id],
        exit_code=Exit.REFUSED,
    )


def subject_of(operation_id: str, request: Mapping[str, Any]) -> Subject:
    """What a request says it is about; a malformed one says little."""
    kind, service, stage = (request.get(name) for name in ("operation", "service", "stage"))
    return Subject(
        OperationId(operation_id),
        OperationKind(kind) if kind in list(OperationKind) else None,
        ServiceName(service) if isinstance(service, str) else None,
        StageName(stage) if isinstance(stage, str) else None,
        request.get("dry_run") is True,
    )
