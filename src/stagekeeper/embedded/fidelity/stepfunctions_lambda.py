"""Step Functions' calls to Lambda that Lambda itself refuses, under the names that a state machine's Retry matches.

A throttled call is Lambda.TooManyRequestsException (HumanCellAtlas/data-store#1118 has AWS's own cause), which every
retrier of AWS's guide names; ministack makes it Lambda.Unknown. A function that is not there: recorded,
test_no_such_function.
"""

from __future__ import annotations

import json
from typing import Any

from stagekeeper.embedded.fidelity.patching import wrap


def install(sfn: Any, lambda_svc: Any) -> None:
    def cause(message: str, status: int, code: str) -> str:
        return f"{message} (Service: AWSLambda; Status Code: {status}; Error Code: {code}; Request ID: {lambda_svc.new_uuid()})"

    def calling(original: Any) -> Any:
        def call(func_ref: str, event: Any) -> Any:
            try:
                return original(func_ref, event)
            except sfn._ExecutionError as error:
                if error.error == "Lambda.ResourceNotFoundException":
                    error.cause = cause(str(error.cause), 404, "ResourceNotFoundException")
                elif error.error == "Lambda.Unknown" and _code(error.cause) == "TooManyRequestsException":
                    throttled = cause("Rate Exceeded.", 429, "TooManyRequestsException")
                    raise sfn._ExecutionError("Lambda.TooManyRequestsException", throttled) from None
                raise

        return call

    wrap(sfn, "_call_lambda", calling)


def _code(cause: Any) -> str | None:
    """The exception that a failed call's body names, if its cause is one."""
    try:
        body = json.loads(cause)
    except (TypeError, ValueError):
        return None
    return body.get("__type") if isinstance(body, dict) else None
