"""The errors AWS answers with, as values the fake can raise.

An error here is what goes over the wire: a code, a status, a message. How it becomes an HTTP answer is in `wire`; this
module must not know about requests or about what the fake holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class AwsError(Exception):
    """An error answer of AWS: `code` as botocore reads it, the HTTP `status`, and AWS's sentence. `members` are what else the
    error's shape has."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int = 400,
        reason: str | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason
        self.members: Mapping[str, Any] = members or {}


def invalid_parameter(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, 400)


def validation(message: str) -> AwsError:
    """The service's own form check; it comes before anything is looked up and is not in botocore's model."""
    return AwsError("ValidationException", message, 400)


def not_found(message: str) -> AwsError:
    return AwsError("ResourceNotFoundException", message, 404)


def function_not_found(arn: str) -> AwsError:
    return not_found(f"Function not found: {arn}")


def alias_not_found(arn: str) -> AwsError:
    return not_found(f"Cannot find alias arn: {arn}")


def resource_not_found() -> AwsError:
    """What policies, function URLs and event source mappings answer, without naming anything."""
    return not_found("The resource you requested does not exist.")


def conflict(message: str) -> AwsError:
    return AwsError("ResourceConflictException", message, 409)


def update_in_progress(arn: str) -> AwsError:
    return conflict(f"The operation cannot be performed at this time. An update is in progress for resource: {arn}")


def function_pending(state: str) -> AwsError:
    return conflict(f"The operation cannot be performed at this time. The function is currently in the following state: {state}")


def precondition_failed(reread: str = "GetFunction/GetAlias") -> AwsError:
    return AwsError(
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id."
        f" Call the {reread} API to retrieve the latest Revision Id",
        412,
    )


def throttled() -> AwsError:
    return AwsError("TooManyRequestsException", "Rate exceeded", 429, reason="CallerRateLimitExceeded")


#: What `FakeLambda.fail` may be asked for by name, with the status AWS gives it.
NAMED_STATUS = {
    "AccessDeniedException": 403,
    "InvalidParameterValueException": 400,
    "PreconditionFailedException": 412,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "ServiceException": 500,
    "TooManyRequestsException": 429,
    "ValidationException": 400,
}
