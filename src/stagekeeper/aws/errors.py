"""What went wrong with a call to AWS, in our words. Must not know which operation was under way."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError, ParamValidationError


class CallFailed(Exception):
    """A call did not do what it was for, and AWS said so."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"{what}: {why}")
        self.what = what
        self.why = why


class Unanswered(CallFailed):
    """No answer came, or one that says nothing about the effect (a 5xx): it may still happen. Worth another try.

    The state machine retries a task that fails with this name.
    """


class Throttled(CallFailed):
    """AWS was asked too often, also after all patience: nothing happened, and it may be asked again later."""


class PreconditionFailed(CallFailed):
    """The thing is no longer as it was when it was looked at (412)."""


class AlreadyThere(CallFailed):
    """It exists already, or is in use, or an update is under way (409)."""


class NotThere(CallFailed):
    """It does not exist (404)."""


#: Nothing reached AWS in these: safe to say that nothing happened.
_NEVER_SENT = (ConnectTimeoutError, EndpointConnectionError, ParamValidationError)

THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


def error_code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "Unknown")


def is_throttle(error: Exception) -> bool:
    return isinstance(error, ClientError) and error_code(error) in THROTTLES


def spelled(error: ClientError | BotoCoreError) -> str:
    """AWS's own words, with its code, and without the full stop that some end with: they go into sentences of ours."""
    if isinstance(error, ClientError):
        return f"{error_code(error)}: {error.response.get('Error', {}).get('Message', '')}".rstrip(": .")
    if isinstance(error, ParamValidationError):
        return "ParamValidationError: a parameter is not as botocore wants it (its message is withheld: it holds values)"
    return f"{type(error).__name__}: {error}".rstrip(".")


def translated(what: str, error: ClientError | BotoCoreError) -> CallFailed:
    """The exception that says what ``error`` means for a call that was to do ``what``."""
    why = spelled(error)
    if not isinstance(error, ClientError):
        return CallFailed(what, why) if isinstance(error, _NEVER_SENT) else Unanswered(what, why)
    if is_throttle(error):
        return Throttled(what, why)
    match error_code(error):
        case "PreconditionFailedException":
            return PreconditionFailed(what, why)
        case "ResourceConflictException":
            return AlreadyThere(what, why)
        case "ResourceNotFoundException" | "ProvisionedConcurrencyConfigNotFoundException":
            return NotThere(what, why)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return Unanswered(what, why) if status >= 500 else CallFailed(what, why)
