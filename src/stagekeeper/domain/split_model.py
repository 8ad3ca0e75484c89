"""What goes into the split of a user's template and what comes out: values only, no rule.

A template is what JSON knows (mappings, lists, strings, numbers, booleans); nothing here changes one in place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from stagekeeper.domain.model import LogicalName
from stagekeeper.domain.refusal import Code

# Keys and list positions (as text) from the top of the template: ("Resources", "OrdersFunction", "Properties", "Layers", "0").
Path = tuple[str, ...]
Template = Mapping[str, Any]

# The parameters that the control plane fills, in a template that declares them and in the halves that need them.
STAGE = "StagekeeperStage"
SERVICE = "StagekeeperService"
SLUG = "StagekeeperStageSlug"
RESERVED = (STAGE, SERVICE, SLUG)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a template cannot be used: what, where, and what to do. ``line`` counts from 1, in the template that the user gave."""

    sentence: str
    logical_id: str | None = None
    line: int | None = None
    code: Code = Code.INVALID_REQUEST


@dataclass(frozen=True, slots=True)
class Unsplittable:
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A template as its user wrote it, parsed. ``lines``: where each member stands."""

    body: Template
    lines: Mapping[Path, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expanded:
    """Plain CloudFormation. ``lines`` are the source's; ``origins`` name, for what SAM generated, the resource it came from."""

    body: Template
    lines: Mapping[Path, int] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)

    def origin(self, logical_id: str) -> str:
        """The resource that the user wrote and that stands behind this one."""
        return self.origins.get(logical_id, logical_id)

    def line(self, logical_id: str, *deeper: str) -> int | None:
        """The line of a resource, or of a member of it as deep as the user wrote that."""
        if logical_id not in self.origins:
            for end in range(len(deeper), 0, -1):
                found = self.lines.get(("Resources", logical_id, *deeper[:end]))
                if found is not None:
                    return found
        return self.lines.get(("Resources", self.origin(logical_id)))


# --- how a parameter of the stage stack is filled


@dataclass(frozen=True, slots=True)
class Output:
    """With this output of the service stack."""

    parameter: str
    output: str


@dataclass(frozen=True, slots=True)
class AliasArn:
    """With the function's ARN, a colon and the stage's name."""

    parameter: str
    function: LogicalName


@dataclass(frozen=True, slots=True)
class FunctionArn:
    """With the function's ARN, unqualified: the alias stands in a member of its own, or none is meant."""

    parameter: str
    function: LogicalName


@dataclass(frozen=True, slots=True)
class FunctionName:
    """With the function's name, unqualified: the alias stands beside it, or none is meant."""

    parameter: str
    function: LogicalName


Crossing = Output | AliasArn | FunctionArn | FunctionName


# --- the report


class Kind(StrEnum):
    FOLLOWS = "follows"
    """It invokes a function, so it is the stage's and points at the alias."""
    ASSUMED = "assumed"
    """It uses a function's ARN in a way not known here, so it is taken to invoke it."""
    MOVED = "moved"
    """It is the stage's because of what hangs on it."""
    RENAMED = "renamed"
    NAMED = "named"
    """It has a name of its own that may collide between stages."""
    WIDENED = "widened"
    """A permission to invoke a function now covers its aliases."""
    CANNOT_FOLLOW = "cannot_follow"
    """It reaches, or may reach, a function's $LATEST: shared scratch space."""
    SHARED_SOURCE = "shared_source"
    """Triggers of several stages read, or set, one shared resource."""
    CONTESTED = "contested"
    """As ``shared_source``, and the stages would take from, or overwrite, one another."""


@dataclass(frozen=True, slots=True)
class ReportLine:
    logical_id: str
    kind: Kind
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the split did and what it could not do. ``contested``: the shared resources that stages would fight over."""

    lines: tuple[ReportLine, ...] = ()
    contested: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Split:
    """Two templates made of one. ``stage`` is None when nothing is the stage's.

    What a half needs to be filled is its ``Parameters``: those of ``crossings``, the reserved ones, and the user's own.
    """

    service: Template
    stage: Template | None
    functions: tuple[LogicalName, ...]
    crossings: tuple[Crossing, ...]
    report: Report
