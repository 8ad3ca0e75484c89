"""`stagekeeper invoke`: one call of a function through its stage's alias, and what came of it. Must not know the record."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import error_code, translated
from stagekeeper.cli.endings import CommandFailed, misuse
from stagekeeper.cli.paper import harmless
from stagekeeper.domain.model import FunctionArn, LogicalName, StageName

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

#: The longest that Lambda lets a function run, and time for the answer to come.
_READ_SECONDS = 15 * 60 + 60

_STDIN = "-"
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a stage's function. ``waits``: for its answer; else it is only taken in."""

    function: LogicalName
    arn: FunctionArn
    stage: StageName
    payload: bytes
    waits: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What Lambda answered, after so many seconds. ``version`` and ``log_tail`` are None where it does not say them.

    ``function_error`` says that the function failed; ``payload`` is the error then. It is empty where nobody waits for it.
    """

    status: int
    version: str | None
    payload: bytes
    function_error: str | None
    log_tail: str | None
    seconds: float


def invoking_client() -> LambdaClient:
    """Waits for the longest function, over the quiet that a router in between takes for an end; and never calls twice."""
    config = Config(
        connect_timeout=5,
        read_timeout=_READ_SECONDS,
        tcp_keepalive=True,
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    return boto3.client("lambda", config=config)


def payload_of(text: str | None, file: str | None, stdin: BinaryIO) -> bytes:
    """The payload that was given; without any an empty object. Raises CommandFailed for what is no JSON or cannot be read."""
    if text is not None:
        payload = text.encode()
    elif file == _STDIN:
        payload = stdin.read()
    elif file is not None:
        try:
            with open(file, "rb") as opened:
                payload = opened.read()
        except OSError as error:
            raise misuse(f"The payload could not be read: {file}: {error.strerror or error}.") from None
    else:
        payload = b"{}"
    try:
        json.loads(payload)
    except ValueError as error:
        raise misuse(f"The payload is no JSON: {error}. A text is JSON only in double quotes.") from None
    return payload


def invoke(client: LambdaClient, call: Call, clock: Clock) -> Answer:
    """Raises CommandFailed where AWS has no such alias or does not allow it, and CallFailed where no answer came."""
    kind: Literal["RequestResponse", "Event"] = "RequestResponse" if call.waits else "Event"
    log: Literal["Tail", "None"] = "Tail" if call.waits else "None"
    began = clock.now()
    try:
        answer = client.invoke(
            FunctionName=call.arn, Qualifier=call.stage, InvocationType=kind, LogType=log, Payload=call.payload
        )
        payload = answer["Payload"].read()
    except (ClientError, BotoCoreError) as error:
        raise _failed(call, error) from error
    return Answer(
        status=answer["StatusCode"],
        version=answer.get("ExecutedVersion"),
        payload=payload,
        function_error=answer.get("FunctionError"),
        log_tail=base64.b64decode(answer["LogResult"]).decode(errors="replace") if answer.get("LogResult") else None,
        seconds=clock.now() - began,
    )


def _failed(call: Call, error: ClientError | BotoCoreError) -> Exception:
    if isinstance(error, ClientError) and error_code(error) == "ResourceNotFoundException":
        return CommandFailed(
            f"AWS has no alias {call.stage} on {call.arn}, although the record says so. "
            f"`stagekeeper verify --stage {call.stage}` shows what else differs."
        )
    if isinstance(error, ClientError) and error_code(error) in _DENIED:
        return CommandFailed(
            f"AWS does not allow calling {call.arn}:{call.stage}: the permission lambda:InvokeFunction on it is missing. Whoever "
            "calls functions needs it of their own; the stack's OperatorPolicyArn does not hold it."
        )
    return translated(f"calling {call.function} of stage {call.stage}", error)


# What is shown.


def as_json(call: Call, answer: Answer, *, tail: bool) -> Mapping[str, Any]:
    """``payload`` as the value that it is, or as text where it is no JSON; null where there is none."""
    return {
        "function": call.function,
        "stage": call.stage,
        "status": answer.status,
        "executed_version": answer.version,
        "duration_ms": round(answer.seconds * 1000),
        "payload": _value(answer.payload),
        "function_error": answer.function_error,
        "log_tail": answer.log_tail if tail else None,
    }


def show(answer: Answer, console: Console) -> None:
    """The payload: laid out in a terminal, else as it came."""
    if not answer.payload:
        return
    text = answer.payload.decode(errors="replace")
    if console.is_terminal and _is_json(text):
        console.print_json(text)
    else:
        text = harmless(text) if console.is_terminal else text
        console.file.write(text if text.endswith("\n") else f"{text}\n")


def verdict(call: Call, answer: Answer, logs: str) -> str:
    """What is told beside the payload. ``logs`` is the command line that shows the function's log."""
    if not call.waits:
        return f"{call.function} of stage {call.stage} was called; nobody waits for its answer. Its log: `{logs}`"
    who = f"{call.function} of stage {call.stage}" + ("" if answer.version is None else f", version {answer.version},")
    if answer.function_error is None:
        return f"{who} answered in {answer.seconds:.2f} s."
    why = _reason(answer.payload)
    return f"{who} failed after {answer.seconds:.2f} s ({answer.function_error}){why}. Its log: `{logs}`"


def tail_of(answer: Answer) -> str | None:
    """The end of the log for people; None where there is none."""
    return harmless(answer.log_tail).rstrip("\n") if answer.log_tail else None


def _reason(payload: bytes) -> str:
    """What the function's runtime says of the error, on one line; the whole is the payload."""
    value = _value(payload)
    if not isinstance(value, dict):
        return ""
    said = [str(value[name]) for name in ("errorType", "errorMessage") if value.get(name)]
    text = harmless(": ".join(said)).splitlines()
    return f": {text[0].rstrip('.')}" if text else ""


def _value(payload: bytes) -> Any:
    if not payload:
        return None
    text = payload.decode(errors="replace")
    return json.loads(text) if _is_json(text) else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
