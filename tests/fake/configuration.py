"""From what a caller asks for to what AWS answers with: the members of a function's configuration.

Pure: no store, no clock. A member a caller leaves out keeps its value on an update and gets AWS's default on a create.
Sources: API reference, FunctionConfiguration and UpdateFunctionConfiguration.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from .errors import invalid_parameter
from .store import Settings

#: Members of UpdateFunctionConfiguration, all of which a published version freezes.
CONFIGURABLE = (
    "Role",
    "Handler",
    "Description",
    "Timeout",
    "MemorySize",
    "VpcConfig",
    "Environment",
    "Runtime",
    "DeadLetterConfig",
    "KMSKeyArn",
    "TracingConfig",
    "Layers",
    "FileSystemConfigs",
    "ImageConfig",
    "EphemeralStorage",
    "SnapStart",
    "LoggingConfig",
    "CapacityProviderConfig",
    "DurableConfig",
)

ENVIRONMENT_LIMIT = 4096
#: Developer guide, Defined runtime environment variables: "reserved".
_RESERVED_VARIABLES = (
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


def defaults(name: str, region: str) -> Settings:
    """What a new function has when its creator says nothing."""
    return {
        "Description": "",
        "Timeout": 3,
        "MemorySize": 128,
        "TracingConfig": {"Mode": "PassThrough"},
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"},
        "RuntimeVersionConfig": {
            "RuntimeVersionArn": f"arn:aws:lambda:{region}::runtime:{hashlib.sha256(b'runtime').hexdigest()}"
        },
    }


def overlay(settings: Settings, wanted: dict[str, Any], name: str) -> Settings:
    """`settings` with every given member replaced whole, in the form AWS answers with. The input is left alone."""
    result = dict(settings)
    for member in CONFIGURABLE:
        if member in wanted:
            shown = _shown(member, wanted[member], name)
            key = "ImageConfigResponse" if member == "ImageConfig" else member
            if shown is None:
                result.pop(key, None)
            else:
                result[key] = shown
    return result


def _shown(member: str, value: Any, name: str) -> Any:
    """A member as the next answer shows it, or None where AWS stops showing it."""
    match member:
        case "Layers":
            # Sizes of layers are not the caller's to give.
            return [{"Arn": arn, "CodeSize": 0} for arn in value] or None
        case "VpcConfig":
            subnets, groups = list(value.get("SubnetIds", [])), list(value.get("SecurityGroupIds", []))
            return {
                "SubnetIds": subnets,
                "SecurityGroupIds": groups,
                "VpcId": "vpc-0fake0000000000" if subnets else "",
                "Ipv6AllowedForDualStack": bool(value.get("Ipv6AllowedForDualStack", False)),
            }
        case "Environment":
            variables = dict(value.get("Variables", {}))
            _check_environment(variables)
            return {"Variables": variables}
        case "DeadLetterConfig":
            return {"TargetArn": value["TargetArn"]} if value.get("TargetArn") else None
        case "KMSKeyArn":
            return value or None
        case "FileSystemConfigs":
            return list(value) or None
        case "ImageConfig":
            return {"ImageConfig": dict(value)} if value else None
        case "SnapStart":
            # Only a published version is optimised; $LATEST always says Off.
            return {"ApplyOn": value.get("ApplyOn", "None"), "OptimizationStatus": "Off"}
        case "LoggingConfig":
            return _logging(value, name)
        case "TracingConfig":
            return {"Mode": value.get("Mode", "PassThrough")}
        case _:
            return value


def _logging(value: dict[str, Any], name: str) -> dict[str, Any]:
    shown = {"LogFormat": value.get("LogFormat", "Text"), "LogGroup": value.get("LogGroup", f"/aws/lambda/{name}")}
    if shown["LogFormat"] == "JSON":
        shown["ApplicationLogLevel"] = value.get("ApplicationLogLevel", "INFO")
        shown["SystemLogLevel"] = value.get("SystemLogLevel", "INFO")
    return shown


def _check_environment(variables: dict[str, str]) -> None:
    reserved = [key for key in variables if key in _RESERVED_VARIABLES]
    if reserved:
        raise invalid_parameter(
            "Lambda was unable to configure your environment variables because the environment variables you have"
            " provided contains reserved keys that are currently not supported for modification."
            f" Reserved keys used in this request: {', '.join(reserved)}"
        )
    measured = json.dumps(variables, separators=(",", ":"))
    if len(measured) > ENVIRONMENT_LIMIT:
        raise invalid_parameter(
            "Lambda was unable to configure your environment variables because the environment variables you have"
            f" provided exceeded the 4KB limit. String measured: {measured}"
        )


def frozen(settings: Settings, description: str | None) -> Settings:
    """What a new version holds: $LATEST's settings, a description of its own, and SnapStart on if asked for."""
    result = dict(settings)
    if description is not None:
        result["Description"] = description
    if result["SnapStart"]["ApplyOn"] == "PublishedVersions":
        result["SnapStart"] = {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
    return result
