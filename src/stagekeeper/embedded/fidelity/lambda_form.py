"""Requests that Lambda refuses for what they say, before it looks anything up or changes anything.

Recorded: test_update_lambda_exceptions, test_large_environment_variables_fails, test_url_config_exceptions. A function
keeps its package type for life (umihico/pythonista-chromeless#19, appleboy/lambda-action#28). CloudFormation's side of
ministack does not come this way.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import botocore.session

from stagekeeper.embedded.fidelity import answers
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer

_ENVIRONMENT_LIMIT = 4096
# Developer Guide, defined runtime environment variables, "reserved".
_RESERVED = (
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
)
_ROLE = r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"


def install(door: Door, lambda_svc: Any) -> None:
    def refuse_package(call: Call) -> Answer | None:
        function = lambda_svc._functions.get(call.name)
        image = bool(call.data.get("ImageUri"))
        if function is None or (function["config"].get("PackageType") == "Image") == image:
            return None
        if image:
            return answers.invalid("Please don't provide ImageUri when updating a function with packageType Zip.")
        return answers.invalid("Please provide ImageUri when updating a function with packageType Image.")

    door.refuse_any(_refuse_qualifier)
    door.refuse(_refuse_configuration, "CreateFunction", "UpdateFunctionConfiguration")
    door.refuse(refuse_package, "UpdateFunctionCode")


def _refuse_qualifier(call: Call) -> Answer | None:
    """An empty one is none by mistake, and without one DeleteFunction deletes the function; two must agree."""
    given = call.request.query.get("Qualifier")
    given = given[0] if isinstance(given, list) and given else given
    if given == "":
        return answers.malformed("", "qualifier", "Member must have length greater than or equal to 1")
    in_name = call.request.function[1] if call.request.function is not None else None
    if given and in_name and given != in_name:
        return answers.invalid("The derived qualifier from the function name does not match the specified qualifier.")
    return None


def _refuse_configuration(call: Call) -> Answer | None:
    role, runtime = call.data.get("Role"), call.data.get("Runtime")
    if role is not None and not re.fullmatch(_ROLE, str(role)):
        return answers.malformed(str(role), "role", f"Member must satisfy regular expression pattern: {_ROLE}")
    if runtime and not re.fullmatch(r"python3\.\d+", runtime) and runtime not in _runtimes():
        # Every Python runs here, also one that this botocore has not heard of yet.
        return answers.invalid(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: "
            f"[{', '.join(_runtimes())}] or be a valid ARN"
        )
    variables = (call.data.get("Environment") or {}).get("Variables") or {}
    reserved = [name for name in variables if name in _RESERVED]
    if reserved:
        return answers.invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have provided "
            "contains reserved keys that are currently not supported for modification. Reserved keys used in this request: "
            f"{', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > _ENVIRONMENT_LIMIT:
        return answers.invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            f"provided exceeded the 4KB limit. String measured: {measured}"
        )
    return None


@cache
def _runtimes() -> list[str]:
    runtime: Any = botocore.session.get_session().get_service_model("lambda").shape_for("Runtime")
    return list(runtime.enum)
