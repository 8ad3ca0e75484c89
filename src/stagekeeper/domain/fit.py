"""Whether what a request wants of a function is something the function can have: its kind of package, its layers, its role.

AWS would refuse each of these itself, but only when the deploy has begun to change things.
"""

from __future__ import annotations

import re

from stagekeeper.domain.aliases import Problem
from stagekeeper.domain.configuration import MEMBERS
from stagekeeper.domain.facts import Image, WantedFunction
from stagekeeper.domain.refusal import Code


def misfits(function: WantedFunction, pass_roles: str) -> list[Problem]:
    """Every reason why the function cannot become that. ``pass_roles``: see ``DeployFacts``."""
    name = f"Function {function.function} ({function.latest.arn})"
    found = [_package(function), _members(function), _layers(function), _role(function, pass_roles)]
    return [Problem(Code.INVALID_REQUEST, f"{name} {why}", blocker) for why, blocker in filter(None, found)]


_Misfit = tuple[str, str] | None


def _is_image(function: WantedFunction) -> bool:
    return bool(function.latest.configuration["PackageType"] == "Image")


def _package(function: WantedFunction) -> _Misfit:
    if function.artifact is None or isinstance(function.artifact, Image) == _is_image(function):
        return None
    if _is_image(function):
        why = "is a container image, and its code is given as a zip in S3. It stays what it was made as: give code.image_uri."
    else:
        why = "is a zip, and its code is given as a container image. It stays what it was made as: give code in S3."
    return why, f"{function.function}.code"


def _members(function: WantedFunction) -> _Misfit:
    package = "Image" if _is_image(function) else "Zip"
    strange = sorted(member for member in function.given if MEMBERS[member].package not in (None, package))
    if not strange:
        return None
    what = "a container image" if _is_image(function) else "a zip"
    whose = "functions with a zip" if _is_image(function) else "container images"
    members = ", ".join(f"configuration.{member}" for member in strange)
    return (
        f"is {what}, and only {whose} have {members}. Leave that out.",
        f"{function.function}.configuration: {', '.join(strange)}",
    )


def _layers(function: WantedFunction) -> _Misfit:
    region = function.latest.arn.split(":")[3]
    distant = [layer for layer in function.layers if layer.split(":")[3] != region]
    if not distant:
        return None
    why = f"is in Region {region}, and the layer {distant[0]} is not. A layer must be in its function's Region: name one that is."
    return why, f"{function.function}.configuration.Layers: {', '.join(distant)}"


def _role(function: WantedFunction, pass_roles: str) -> _Misfit:
    if function.role is None or (pass_roles and _like(pass_roles, function.role)):
        return None
    may = f"only roles that match {pass_roles}" if pass_roles else "no roles, since it is empty"
    why = (
        f"cannot be given the role {function.role}: the stack's parameter PassRolePattern lets functions have {may}. Widen it, "
        "or leave configuration.Role out: then the function keeps the role it has."
    )
    return why, f"{function.function}.configuration.Role: {function.role}"


def _like(pattern: str, arn: str) -> bool:
    """As IAM matches: ``*`` is any text, ``?`` any one character, all else itself."""
    spelled = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(spelled, arn) is not None
