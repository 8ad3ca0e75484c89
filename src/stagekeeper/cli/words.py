"""AWS's errors as sentences for whoever sits at the command line: what it means there, and what to do now."""

from __future__ import annotations

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from stagekeeper.aws.errors import THROTTLES, CallFailed, error_code, spelled

_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_UNKNOWN = frozenset({"InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403"})

NO_CREDENTIALS = (
    "There are no AWS credentials. Set a profile (`--profile`, AWS_PROFILE) or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
    "for the embedded AWS say --local."
)
NO_REGION = "No AWS Region is known. Say --region, set AWS_REGION, or write `region` into stagekeeper.yaml."


def spoken(error: CallFailed | ClientError | BotoCoreError) -> str:
    """A sentence or two. AWS's own words are in it wherever they say more than ours."""
    said = _cause(error)
    match said:
        case NoCredentialsError() | PartialCredentialsError():
            return NO_CREDENTIALS
        case NoRegionError():
            return NO_REGION
        case ProfileNotFound():
            return f"{spelled(said)}. `aws configure list-profiles` names those that are there."
        case SSOError() | TokenRetrievalError():
            return f"The sign-in of this profile has expired: {spelled(said)}. Sign in again with `aws sso login`."
        case EndpointConnectionError():
            return f"AWS does not answer: {spelled(said)}. Check the network, the Region and the endpoint."
        case ClientError() if error_code(said) in _EXPIRED:
            return f"The AWS credentials have expired ({spelled(said)}). Get new ones and try again."
        case ClientError() if error_code(said) in _UNKNOWN:
            return f"AWS does not know these credentials ({spelled(said)}). Check the profile, and the endpoint if one is set."
        case ClientError() if error_code(said) in _DENIED:
            return f"AWS does not allow this: {_whole(error)}. The stack's OperatorPolicyArn allows what the command line needs."
        case ClientError() if error_code(said) in THROTTLES:
            return f"AWS is asked too often at the moment: {_whole(error)}. Try again in a minute."
        case _:
            return f"{_whole(error)}."


def _cause(error: CallFailed | ClientError | BotoCoreError) -> BaseException:
    return error.__cause__ if isinstance(error, CallFailed) and error.__cause__ is not None else error


def _whole(error: CallFailed | ClientError | BotoCoreError) -> str:
    text = str(error) if isinstance(error, CallFailed) else spelled(error)
    return text.rstrip(".")
