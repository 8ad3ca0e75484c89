"""Lambda's answers on the wire: errors as AWS words them, and a function's configuration as AWS shows it.

Knows shapes only; when an answer is due is for the rules to say.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from stagekeeper.embedded.fidelity.patching import Answer

STALE_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. "
    "Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)
STALE_POLICY_REVISION = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id"
)

# AWS leaves these out where there is nothing to say; ministack sends empty strings.
_OMITTED_WHEN_EMPTY = (
    "StateReason",
    "StateReasonCode",
    "LastUpdateStatus",
    "LastUpdateStatusReason",
    "LastUpdateStatusReasonCode",
)
# Members that AWS leaves out while they were never set, by the values that ministack gives them then.
_UNSET: dict[str, tuple[Any, ...]] = {
    "KMSKeyArn": ("",),
    "Layers": ([],),
    "Environment": ({}, {"Variables": {}}),
    "VpcConfig": ({}, {"SubnetIds": [], "SecurityGroupIds": [], "VpcId": ""}),
    "DeadLetterConfig": ({}, {"TargetArn": ""}),
    "RuntimeVersionConfig": ({"RuntimeVersionArn": ""},),
    "Runtime": ("",),
    "Handler": ("",),
}
# Lists show a configuration without its state (recorded: test_version_lifecycle, list_versions_result).
_NOT_IN_LISTS = ("State", *_OMITTED_WHEN_EMPTY)


def error(status: int, code: str, message: str) -> Answer:
    """An exception of Lambda's as botocore parses it."""
    body = {"__type": code, "Type": "User", "message": message, "Message": message}
    return status, {"Content-Type": "application/json", "x-amzn-errortype": code}, json.dumps(body).encode()


def not_found(message: str) -> Answer:
    return error(404, "ResourceNotFoundException", message)


def conflict(message: str) -> Answer:
    return error(409, "ResourceConflictException", message)


def invalid(message: str) -> Answer:
    return error(400, "InvalidParameterValueException", message)


def malformed(value: str, member: str, constraint: str) -> Answer:
    """A request that Lambda's own model refuses, in the words that the service uses for all of them."""
    message = f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    return error(400, "ValidationException", message)


def ok(body: Any, status: int = 200) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


def parsed(answer: Answer) -> Any:
    """The JSON body of an answer."""
    return json.loads(answer[2])


def edited(answer: Answer, edit: Callable[[Any], Any]) -> Answer:
    """`answer` with its JSON body passed through `edit`; errors are left as they are."""
    status, headers, body = answer
    if status >= 300 or not body:
        return answer
    return status, headers, json.dumps(edit(json.loads(body))).encode()


def configuration(config: dict[str, Any], qualifier: str | None = None) -> dict[str, Any]:
    """A function's configuration as AWS shows it, its ARN qualified as it was asked for.

    GetFunction(Qualifier=alias) answers with the alias's ARN but everything else, the RevisionId too, is the
    version's (recorded: test_alias_lifecycle).
    """
    shown = {
        key: value
        for key, value in config.items()
        if (value != "" or key not in _OMITTED_WHEN_EMPTY) and value not in _UNSET.get(key, ())
    }
    if isinstance(config.get("LoggingConfig"), dict):
        shown["LoggingConfig"] = _logging(config["LoggingConfig"], str(config.get("FunctionName", "")))
    shown["LastModified"] = _aws_time(str(config.get("LastModified", "")))
    if qualifier is not None:
        shown["FunctionArn"] = f"{unqualified(str(config['FunctionArn']))}:{qualifier}"
    return shown


def listed(config: dict[str, Any], qualifier: str | None = None) -> dict[str, Any]:
    """The same as lists show it."""
    return {key: value for key, value in configuration(config, qualifier).items() if key not in _NOT_IN_LISTS}


def unqualified(function_arn: str) -> str:
    """A function's ARN without its qualifier (the eighth part)."""
    return ":".join(function_arn.split(":")[:7])


def _logging(given: dict[str, Any], name: str) -> dict[str, Any]:
    """With its defaults: the function's log group, and for JSON the levels."""
    levels = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"} if given.get("LogFormat") == "JSON" else {}
    return {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}", **levels, **given}


def _aws_time(value: str) -> str:
    """`2025-11-25T02:38:45.123+0000`: Lambda's own format; CloudFormation's side of ministack writes another."""
    if not value.endswith("Z"):
        return value
    return datetime.fromisoformat(value[:-1]).isoformat(timespec="milliseconds") + "+0000"
