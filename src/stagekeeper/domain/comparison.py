"""What differs between two stages or releases, function by function. Must not know where what is compared was read.

Of a configuration the record has a digest alone; ``differing`` compares two that were read from AWS, and never shows a value of
an environment variable.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stagekeeper.domain.configuration import ASKED_AS
from stagekeeper.domain.model import Content, FunctionArn, LogicalName, TemplateRef, VersionNumber


@dataclass(frozen=True, slots=True)
class Part:
    """A function as one side has it. ``content`` is None where the record does not tell what its version carries.

    ``version`` is what a stage really serves; a release has none. ``kept``: the stage's release says nothing of the function.
    """

    function: LogicalName
    arn: FunctionArn
    content: Content | None
    version: VersionNumber | None = None
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """What is compared: everything a stage serves, or a release contains."""

    parts: Sequence[Part]
    template: TemplateRef | None = None


class Difference(StrEnum):
    """Of a function or a template, which knows neither code nor configuration: it is the same, differs, or one side has none."""

    SAME = "same"
    CODE = "code"
    CONFIGURATION = "configuration"
    CODE_AND_CONFIGURATION = "code_and_configuration"
    ONLY_A = "only_a"
    ONLY_B = "only_b"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Compared:
    """A function on both sides. Two homes under one logical name are two functions."""

    function: LogicalName
    arn: FunctionArn
    difference: Difference
    a: Part | None
    b: Part | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """``template`` is None where neither side is from one."""

    functions: Sequence[Compared]
    template: Difference | None

    @property
    def differs(self) -> bool:
        """What is not known to be the same counts as different."""
        return any(each.difference is not Difference.SAME for each in self.functions) or self.template not in (
            None,
            Difference.SAME,
        )


def compare(a: Side, b: Side) -> Comparison:
    """Everything either side has, by logical name and then by ARN."""
    ours, theirs = ({part.arn: part for part in side.parts} for side in (a, b))
    names = {arn: part.function for parts in (theirs, ours) for arn, part in parts.items()}
    places = sorted(names, key=lambda arn: (names[arn], arn))
    functions = [_compared(names[arn], arn, ours.get(arn), theirs.get(arn)) for arn in places]
    return Comparison(functions, _templates(a.template, b.template))


def _compared(function: LogicalName, arn: FunctionArn, a: Part | None, b: Part | None) -> Compared:
    return Compared(function, arn, _difference(a, b), a, b)


def _difference(a: Part | None, b: Part | None) -> Difference:
    if a is None:
        return Difference.ONLY_B
    if b is None:
        return Difference.ONLY_A
    if a.version is not None and a.version == b.version:
        return Difference.SAME
    if a.content is None or b.content is None:
        return Difference.UNKNOWN
    match (a.content.code == b.content.code, a.content.configuration == b.content.configuration):
        case (True, True):
            return Difference.SAME
        case (True, False):
            return Difference.CONFIGURATION
        case (False, True):
            return Difference.CODE
        case _:
            return Difference.CODE_AND_CONFIGURATION


def _templates(a: TemplateRef | None, b: TemplateRef | None) -> Difference | None:
    if a is None or b is None:
        return Difference.ONLY_A if a is not None else Difference.ONLY_B if b is not None else None
    return Difference.SAME if a.digest == b.digest else Difference.DIFFERENT


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a configuration that differs (of a structure: a part of it), with its values as text; None: there is none.

    Its name is that which requests have for it.
    """

    name: str
    a: str | None
    b: str | None


@dataclass(frozen=True, slots=True)
class Variables:
    """Names of environment variables that only one side has, or whose values differ. Never a value."""

    only_a: Sequence[str] = ()
    only_b: Sequence[str] = ()
    changed: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ConfigurationDifference:
    """What differs within two configurations. ``variables`` is None where the environments are the same."""

    members: Sequence[Member]
    variables: Variables | None


#: The one member whose values are secret.
_ENVIRONMENT = "Environment"


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> ConfigurationDifference:
    """Of two configurations in canonical form (see ``configuration``)."""
    names = sorted({*a, *b} - {_ENVIRONMENT})
    members = [member for name in names for member in _members(ASKED_AS.get(name, name), a.get(name), b.get(name))]
    return ConfigurationDifference(members, _variables(a.get(_ENVIRONMENT) or {}, b.get(_ENVIRONMENT) or {}))


def _members(name: str, a: Any, b: Any) -> list[Member]:
    """Of a structure each part that differs (``VpcConfig.SubnetIds``), of everything else itself."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return [member for part in sorted({*a, *b}) for member in _members(f"{name}.{part}", a.get(part), b.get(part))]
    return [] if a == b else [Member(name, _text(a), _text(b))]


def _variables(a: Mapping[str, str], b: Mapping[str, str]) -> Variables | None:
    if a == b:
        return None
    return Variables(
        only_a=sorted(a.keys() - b.keys()),
        only_b=sorted(b.keys() - a.keys()),
        changed=sorted(name for name in a.keys() & b.keys() if a[name] != b[name]),
    )


def _text(value: Any) -> str | None:
    """A value in few characters; nothing for what is empty, which is how the canonical form spells that there is none."""
    if value is None or value == "" or value == [] or value == {}:
        return None
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
