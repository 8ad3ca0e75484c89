"""Put before the script that ministack gives the processes that run handlers; runs inside them. Standard library only.

It makes as in AWS's Python runtime: what a handler can import, what becomes of its exceptions, its log's name. Names
start with `_sk` because they share the script's namespace. Must not know anything of the server: it is text to it.
"""

import json
import os
import sys
import time
import traceback


def _sk_without_the_servers_environment(names: list) -> None:  # type: ignore[type-arg]
    """Drop what configures the server: a handler that read its LOG_LEVEL would behave otherwise than on AWS.

    The function's own variables are set after this, so one of the same name is not lost.
    """
    for name in names:
        os.environ.pop(name, None)


def _sk_only_runtime_packages(runtime: str) -> None:
    """Leave importable what AWS's runtime has: the standard library and boto3 with what it needs.

    Without this a handler would find the packages of ministack's own environment, and a dependency missing in its zip
    would be noticed on AWS only.
    """
    sys.path[:] = [entry for entry in sys.path if not entry.rstrip("/").endswith("site-packages")]
    sys.path.append(runtime)


def _sk_failure(error: BaseException) -> dict:  # type: ignore[type-arg]
    """What the runtime reports for an exception that a handler let through: its class's name, message and frames."""
    name = getattr(error, "sk_error_type", type(error).__name__)
    frames = traceback.format_list(traceback.extract_tb(error.__traceback__)[1:])
    return {"errorMessage": str(error), "errorType": name, "stackTrace": frames}


def _sk_init_failure(error: BaseException, module: str, handler: str) -> str:
    """The same for a module that cannot be loaded, in the runtime's own error types where it has one."""
    failure = _sk_failure(error)
    if isinstance(error, ImportError):
        failure.update(errorType="Runtime.ImportModuleError", errorMessage=f"Unable to import module '{module}': {error}")
    elif isinstance(error, SyntaxError):
        failure.update(errorType="Runtime.UserCodeSyntaxError", errorMessage=f"Syntax error in module '{module}': {error}")
    elif isinstance(error, AttributeError) and module in sys.modules and not hasattr(sys.modules[module], handler):
        failure.update(errorType="Runtime.HandlerNotFound", errorMessage=f"Handler '{handler}' missing on module '{module}'")
    if failure["errorType"].startswith("Runtime."):
        failure["stackTrace"] = []
    return json.dumps(failure)


def _sk_log_stream() -> str:
    """The environment's log stream as the server names it when it writes the log: under the date of the day."""
    return time.strftime("%Y/%m/%d", time.gmtime()) + os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")[len("2000/01/01") :]


class _SkMarshalError(Exception):
    sk_error_type = "Runtime.MarshalError"


def _sk_marshalled(result: object) -> str:
    """The worker's line for an answer; one that JSON cannot hold is the runtime's MarshalError."""
    try:
        return json.dumps({"status": "ok", "result": result})
    except (TypeError, ValueError) as error:
        raise _SkMarshalError(f"Unable to marshal response: {error}") from error
