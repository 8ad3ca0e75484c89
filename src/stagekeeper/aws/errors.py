"""What went wrong with a call to AWS, in our words. Must not know which operation was under way."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError, ParamValidationError


class CallFailed(Exception):
    """A call did not do what it was for.

    ``unanswered``: no answer came, or an answer that says nothing about the effect (a 5xx): it may still happen.
    """

    def __init__(self, what: str, why: str, *, unanswered: bool) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why
        self.unanswered = unanswered


class PreconditionFailed(CallFailed):
    """The thing is no longer as it was when it was looked at (412)."""


class AlreadyThere(CallFailed):
    """It exists already, or is in use, or an update is under way (409)."""


class NotThere(CallFailed):
    """It does not exist (404)."""


#: Nothing reached AWS in these: safe to say that nothing happened.
_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, ParamValidationError)

THROTTLES = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling", "RequestLimitExceeded"})


def error_code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "Unknown")


def is_throttle(error: Exception) -> bool:
    return isinstance(error, ClientError) and error_code(error) in THROTTLES


def spelled(error: ClientError | BotoCoreError) -> str:
    """AWS's own words, with its code."""
    if isinstance(error, ClientError):
        return f"{error_code(error)}: {error.response.get('Error', {}).get('Message', '')}".rstrip(": ")
    if isinstance(error, ParamValidationError):
        return "ParamValidationError: a parameter is not as botocore wants it (its message is withheld: it holds values)"
    return f"{type(error).__name__}: {error}"


def translated(what: str, error: ClientError | BotoCoreError) -> CallFailed:
    """The exception that says what ``error`` means for a call that was to do ``what``."""
    why = spelled(error)
    if not isinstance(error, ClientError):
        return CallFailed(what, why, unanswered=not isinstance(error, _NEVER_SENT))
    match error_code(error):
        case "PreconditionFailedException":
            return PreconditionFailed(what, why, unanswered=False)
        case "ResourceConflictException":
            return AlreadyThere(what, why, unanswered=False)
        case "ResourceNotFoundException":
            return NotThere(what, why, unanswered=False)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return CallFailed(what, why, unanswered=status >= 500)
