"""The configuration a version freezes: one canonical form, its digest, and the overlay of a request's members.

AWS spells the same thing differently in requests and in answers (``Layers`` are ARNs in one and objects in the other, a
member left out stands for its default). Everything is compared in the canonical form made here. Must not log or show a
value: environments hold secrets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Member:
    """A member that a request's ``configuration`` may hold.

    ``needs`` are the IAM actions that AWS asks of whoever updates it, beside lambda:UpdateFunctionConfiguration: the role of
    Publish has each of them. ``package`` is the one kind of function that has the member; None: both have it.
    """

    needs: tuple[str, ...] = ()
    package: Literal["Zip", "Image"] | None = None


MEMBERS: Mapping[str, Member] = {
    # The function's own role must be allowed to send there; whoever updates the function need not be.
    "DeadLetterConfig": Member(),
    "Description": Member(),
    "EphemeralStorage": Member(),
    "Environment": Member(),
    "Handler": Member(package="Zip"),
    "ImageConfig": Member(package="Image"),
    "Layers": Member(needs=("lambda:GetLayerVersion",), package="Zip"),
    "LoggingConfig": Member(),
    "MemorySize": Member(),
    # Only on the roles that the stack's parameter PassRolePattern names; without it the member is refused.
    "Role": Member(needs=("iam:PassRole",)),
    "Runtime": Member(package="Zip"),
    "SnapStart": Member(),
    "Timeout": Member(),
    "TracingConfig": Member(),
    # They have no resources to name, so they are granted on all; they only read.
    "VpcConfig": Member(needs=("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs")),
}
OVERLAY_MEMBERS = frozenset(MEMBERS)

#: Members of UpdateFunctionConfiguration that no request may hold, and why not. A deploy keeps them as $LATEST has them.
WITHHELD_MEMBERS: Mapping[str, str] = {
    "CapacityProviderConfig": "what a function runs on is for the template that made it",
    "DurableConfig": "AWS takes it only when a function is made durable, which is for the template that made it",
    "FileSystemConfigs": "a file system goes with mount targets and a network, which are for the template that made the function",
    "KMSKeyArn": "setting a key needs kms:CreateGrant and kms:Encrypt on it, and reading what it encrypts kms:Decrypt: rights on "
    "keys that no pattern of function names bounds",
}

#: Spelled differently in requests and in answers. The canonical form has the answers' names.
_ANSWERED_AS = {"ImageConfig": "ImageConfigResponse"}
ASKED_AS = {answered: asked for asked, answered in _ANSWERED_AS.items()}


def canonical(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical form of a ``Configuration`` as GetFunction, PublishVersion and the update calls answer it."""
    name = str(configuration["FunctionName"])
    return {member: normalise(configuration.get(member), name) for member, normalise in _CANONICAL.items()}


def overlay(seen: Mapping[str, Any], given: Mapping[str, Any], function_name: str) -> dict[str, Any]:
    """``seen`` (canonical) with each member of ``given`` (as UpdateFunctionConfiguration takes it) in its place, whole."""
    wanted = dict(seen)
    for member, value in given.items():
        answer = {member: value} if member in _ANSWERED_AS else value
        key = _ANSWERED_AS.get(member, member)
        wanted[key] = _CANONICAL[key](answer, function_name)
    return wanted


def with_architectures(seen: Mapping[str, Any], architectures: Sequence[str]) -> dict[str, Any]:
    """``seen`` (canonical) for other architectures, which UpdateFunctionCode sets together with the code."""
    return {**seen, "Architectures": list(architectures)}


def update_for(seen: Mapping[str, Any], wanted: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What UpdateFunctionConfiguration must be sent to make ``wanted`` of ``seen`` (both canonical): members of ``given``, in
    the order of their names. Empty if nothing differs but architectures, which go with the code."""
    differing = differing_members(seen, wanted) - {"Architectures"}
    return {member: _spelled_out(member, given[member], wanted) for member in sorted(differing)}


def _spelled_out(member: str, given: Any, wanted: Mapping[str, Any]) -> Any:
    """A member as an update sends it. Two go out with all of their parts: AWS does not say whether parts that are left out
    keep their value or fall back to their default, and the wanted content is that they fall back."""
    if member not in ("LoggingConfig", "VpcConfig"):
        return given
    return {part: value for part, value in wanted[member].items() if value is not None}


def differing_members(seen: Mapping[str, Any], wanted: Mapping[str, Any]) -> frozenset[str]:
    """By the names that requests have for them."""
    return frozenset(ASKED_AS.get(member, member) for member in wanted if wanted[member] != seen.get(member))


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


def _file_systems(value: Any, _name: str) -> list[list[Any]]:
    return [[mount["Arn"], mount["LocalMountPath"], *filter(None, [mount.get("S3FilesConfig")])] for mount in value or []]


def _image_settings(value: Any, _name: str) -> dict[str, Any]:
    """What overrides the image's own settings; a part that is empty overrides nothing."""
    settings = (value or {}).get("ImageConfig") or {}
    return {part: settings[part] for part in sorted(settings) if settings[part]}


#: Every member that a version freezes -> its canonical form. Answers carry more (ARNs, states, times), which is no content.
_CANONICAL: Mapping[str, Callable[[Any, str], Any]] = {
    "Architectures": lambda value, _name: list(value or ["x86_64"]),
    "CapacityProviderConfig": _plain({}),
    "DeadLetterConfig": _inner("TargetArn", ""),
    "Description": _plain(""),
    "DurableConfig": _plain({}),
    "Environment": _environment,
    "EphemeralStorage": _inner("Size", 512),
    "FileSystemConfigs": _file_systems,
    "Handler": _plain(""),
    "ImageConfigResponse": _image_settings,
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
