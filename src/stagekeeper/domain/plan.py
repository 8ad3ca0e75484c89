"""The plan of an operation: data that says what will be done and why. Made by ``deploy.py`` and ``restore.py``.

A plan holds no configuration values and no secrets: it is stored, shown by a dry run, and read again by each worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from stagekeeper.domain.facts import Artifact, Image
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    ServiceName,
    Settings,
    StageName,
    TemplateRef,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind

Action = Literal[
    "publish",
    "reuse",
    "create_alias",
    "move_alias",
    "delete_alias",
    "delete_version",
    "kept",
    "create_stack",
    "update_stack",
    "delete_stack",
    "change_shared",
    "keep_shared",
    "delete_shared",
    "configure",
]


@dataclass(frozen=True, slots=True)
class Change:
    """One line of an operation's ``changes``. ``before`` and ``after`` are version numbers as text, or None.

    ``function`` is the name of a stack where that is what changes, a resource's logical id where stages share one, and the name
    of a stage whose settings change.
    """

    function: str
    action: Action
    before: str | None
    after: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Publish:
    """Make a version of a function with ``content``; ``before`` is what $LATEST held when the plan was made.

    ``last_modified`` is $LATEST's time stamp by AWS's clock (epoch seconds) and ``highest`` the highest version number there
    was (None where the update that comes first makes it unnecessary): together they tell a version that this operation
    made from one that was there before, also after a crash.
    """

    function: LogicalName
    function_name: str
    arn: FunctionArn
    content: Content
    before: Content
    last_modified: float
    highest: int | None
    artifact: Artifact | Image | None
    update_code: bool
    update_members: tuple[str, ...]
    served: VersionNumber | None
    reason: str

    @property
    def updates(self) -> bool:
        return self.update_code or bool(self.update_members)


@dataclass(frozen=True, slots=True)
class Reuse:
    """A version with the wanted content exists already."""

    function: LogicalName
    arn: FunctionArn
    version: VersionNumber
    served: VersionNumber | None
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """Put the stage's alias of a function on a version; make it where ``before`` is None.

    ``to`` is None where the version is yet to be published. ``revision_id`` is the alias's, None where it must be read first.
    """

    function: LogicalName
    arn: FunctionArn
    before: VersionNumber | None
    revision_id: str | None
    to: VersionNumber | None
    reason: str


@dataclass(frozen=True, slots=True)
class Drop:
    """Delete the stage's alias of a function after the commit."""

    function: LogicalName
    arn: FunctionArn
    before: VersionNumber
    reason: str


@dataclass(frozen=True, slots=True)
class Keep:
    """The alias stays where it is although the release says nothing of its function."""

    function: LogicalName
    version: VersionNumber
    reason: str


@dataclass(frozen=True, slots=True)
class Join:
    """A function's claim before and after: written before the first effect, put back if the operation comes to nothing."""

    before: Claim | None
    after: Claim


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything an operation will do. ``settled`` are the aliases it leaves as they are (kept ones included).

    ``template`` and ``variables`` are the stage's afterwards; ``stack_changes`` is what becomes of stacks, for people to read.
    """

    kind: OperationKind
    service: ServiceName
    stage: StageName | None
    stage_revision: int | None
    release: ReleaseNumber
    new_release: bool
    previous_release: ReleaseNumber | None
    functions: Mapping[LogicalName, ReleaseFunction]
    publishes: tuple[Publish, ...]
    reuses: tuple[Reuse, ...]
    moves: tuple[Move, ...]
    drops: tuple[Drop, ...]
    keeps: tuple[Keep, ...]
    settled: Mapping[FunctionArn, ServedAlias]
    joins: Mapping[FunctionArn, Join]
    way_back: tuple[ReleaseNumber, ...]
    overwrite_drift: bool
    warnings: tuple[str, ...]
    template: TemplateRef | None = None
    variables: str | None = None
    stack_changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A deploy's plan as far as a dry run can tell: what its release will be, only the service stack will show."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class Unchanged:
    """There is nothing to do: what is wanted is what is there. ``release`` is served (or recorded) already."""

    release: ReleaseNumber | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ConfigurePlan:
    """A stage's record with other settings: the whole effect of ``configure``. ``stage_revision`` is the one it is made on.

    ``changes`` has a line for each setting that is set, for people to read.
    """

    service: ServiceName
    stage: StageName
    stage_revision: int
    release: ReleaseNumber | None
    settings: Settings
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a ``Publish``: the version, and whether this operation made it (else it was there before)."""

    version: VersionNumber
    ours: bool


def changes(plan: Plan, published: Mapping[FunctionArn, Published]) -> list[Change]:
    """The plan as its user reads it, with the numbers of the versions that were published so far."""
    lines = [_publish_line(publish, published.get(publish.arn)) for publish in plan.publishes]
    lines += [Change(r.function, "reuse", _text(r.served), str(r.version), r.reason) for r in plan.reuses]
    for move in plan.moves:
        made = published.get(move.arn)
        after = move.to if move.to is not None else made.version if made is not None else None
        lines.append(
            Change(
                move.function,
                "create_alias" if move.before is None else "move_alias",
                _text(move.before),
                _text(after),
                move.reason,
            )
        )
    lines += [Change(k.function, "kept", str(k.version), str(k.version), k.reason) for k in plan.keeps]
    lines += [Change(d.function, "delete_alias", str(d.before), None, d.reason) for d in plan.drops]
    return [*lines, *plan.stack_changes]


def _publish_line(publish: Publish, made: Published | None) -> Change:
    if made is not None and not made.ours:
        reason = f"version {made.version}, which somebody else published, already has this content"
        return Change(publish.function, "reuse", _text(publish.served), str(made.version), reason)
    after = None if made is None else str(made.version)
    return Change(publish.function, "publish", _text(publish.served), after, publish.reason)


def _text(version: VersionNumber | None) -> str | None:
    return None if version is None else str(version)
