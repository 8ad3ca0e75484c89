"""The configuration a version freezes: one canonical form, its digest, and the overlay of a request's members.

AWS spells the same thing differently in requests and in answers (``Layers`` are ARNs in one and objects in the other, a
member left out stands for its default). Everything is compared in the canonical form made here. Must not log or show a
value: environments hold secrets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: What a request's ``configuration`` may hold. Members that need permissions of their own (roles, layers, networks, keys,
#: file systems, images) are not among them.
OVERLAY_MEMBERS = frozenset(
    {
        "Description",
        "EphemeralStorage",
        "Environment",
        "Handler",
        "LoggingConfig",
        "MemorySize",
        "Runtime",
        "SnapStart",
        "Timeout",
        "TracingConfig",
    }
)


def canonical(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical form of a ``Configuration`` as GetFunction, PublishVersion and the update calls answer it."""
    name = str(configuration["FunctionName"])
    return {member: normalise(configuration.get(member), name) for member, normalise in _MEMBERS.items()}


def overlay(seen: Mapping[str, Any], given: Mapping[str, Any], function_name: str) -> dict[str, Any]:
    """``seen`` (canonical) with each member of ``given`` (as UpdateFunctionConfiguration takes it) in its place, whole."""
    return {**seen, **{member: _MEMBERS[member](value, function_name) for member, value in given.items()}}


def with_architectures(seen: Mapping[str, Any], architectures: Sequence[str]) -> dict[str, Any]:
    """``seen`` (canonical) for other architectures, which UpdateFunctionCode sets together with the code."""
    return {**seen, "Architectures": list(architectures)}


def spelled_out(member: str, given: Any, wanted: Mapping[str, Any]) -> Any:
    """A member as an update sends it. ``LoggingConfig`` goes out with all of its parts: AWS does not say whether parts that are
    left out keep their value or fall back to their default, and the wanted content is that they fall back."""
    if member != "LoggingConfig":
        return given
    return {part: value for part, value in wanted[member].items() if value is not None}


def differing_members(seen: Mapping[str, Any], wanted: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(member for member in wanted if wanted[member] != seen.get(member))


def digest(form: Mapping[str, Any]) -> str:
    """The configuration's identity: the hex SHA-256 of its canonical form."""
    return hashlib.sha256(json.dumps(form, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _plain(default: object) -> Callable[[Any, str], Any]:
    return lambda value, _name: default if value is None else value


def _inner(member: str, default: object) -> Callable[[Any, str], Any]:
    """The one member that counts inside a structure that AWS decorates with more in its answers."""
    return lambda value, _name: default if not value or value.get(member) is None else value[member]


def _environment(value: Any, _name: str) -> dict[str, str]:
    return dict(sorted(((value or {}).get("Variables") or {}).items()))


def _layers(value: Any, _name: str) -> list[str]:
    return [layer if isinstance(layer, str) else layer["Arn"] for layer in value or []]


def _vpc(value: Any, _name: str) -> dict[str, Any]:
    vpc = value or {}
    return {
        "SubnetIds": sorted(vpc.get("SubnetIds") or []),
        "SecurityGroupIds": sorted(vpc.get("SecurityGroupIds") or []),
        "Ipv6AllowedForDualStack": bool(vpc.get("Ipv6AllowedForDualStack", False)),
    }


def _logging(value: Any, name: str) -> dict[str, Any]:
    """Levels exist only for JSON logs, where AWS fills in INFO; the log group's default carries the function's name."""
    logging = value or {}
    log_format = logging.get("LogFormat") or "Text"
    level = "INFO" if log_format == "JSON" else None
    return {
        "LogFormat": log_format,
        "ApplicationLogLevel": logging.get("ApplicationLogLevel") or level,
        "SystemLogLevel": logging.get("SystemLogLevel") or level,
        "LogGroup": logging.get("LogGroup") or f"/aws/lambda/{name}",
    }


def _file_systems(value: Any, _name: str) -> list[list[str]]:
    return [[mount["Arn"], mount["LocalMountPath"]] for mount in value or []]


#: Every member that a version freezes -> its canonical form. Answers carry more (ARNs, states, times), which is no content.
_MEMBERS: Mapping[str, Callable[[Any, str], Any]] = {
    "Architectures": lambda value, _name: list(value or ["x86_64"]),
    "CapacityProviderConfig": _plain({}),
    "DeadLetterConfig": _inner("TargetArn", ""),
    "Description": _plain(""),
    "DurableConfig": _plain({}),
    "Environment": _environment,
    "EphemeralStorage": _inner("Size", 512),
    "FileSystemConfigs": _file_systems,
    "Handler": _plain(""),
    "ImageConfigResponse": _inner("ImageConfig", {}),
    "KMSKeyArn": _plain(""),
    "Layers": _layers,
    "LoggingConfig": _logging,
    "MemorySize": _plain(128),
    "PackageType": _plain("Zip"),
    "Role": _plain(""),
    "Runtime": _plain(""),
    "SnapStart": _inner("ApplyOn", "None"),
    "TenancyConfig": _plain({}),
    "Timeout": _plain(3),
    "TracingConfig": _inner("Mode", "PassThrough"),
    "VpcConfig": _vpc,
}
