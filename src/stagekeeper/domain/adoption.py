"""Adopting, as values: what was found out about aliases that are there, and what of it goes on record.

The decision in between is ``adopt.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.facts import Absent, StageFacts, Unreadable, Unsettled
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    Release,
    ReleaseNumber,
    ServedAlias,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.plan import Change, Join

#: A transaction has 100 writes: two for each stage, and some for the operation and its lock.
MAX_STAGES = 45
#: CloudFormation is asked five times a second whose an alias is, in a worker of 15 minutes. (A transaction has 4 MB, of which an
#: alias takes at most 400 bytes.)
MAX_ALIASES = 3_000
Place = tuple[FunctionArn, VersionNumber]


@dataclass(frozen=True, slots=True)
class AdoptWish:
    """What the request wants. ``only``: the stages that it names, None for every alias. ``stage``: the one that it is about."""

    service: ServiceName
    only: tuple[StageName, ...] | None
    stage: StageName | None
    if_release: ReleaseNumber | None
    accept_unqualified_callers: bool


@dataclass(frozen=True, slots=True)
class FoundFunction:
    """A function with all of its aliases, by their names, and all of its versions. ``known`` are those that are on record, with
    whether Stagekeeper published them."""

    function: LogicalName
    arn: FunctionArn
    aliases: Mapping[str, AliasSeen]
    versions: frozenset[VersionNumber]
    known: Mapping[VersionNumber, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdoptFacts:
    """Everything that adopting is decided on.

    ``named`` are the functions of the request, ``gone`` those that the service has on record and AWS does not know any more;
    ``stages`` are all of the service. ``contents``, ``owners`` (the stack of an alias) and ``realised`` (the version that is on
    record for a content) are there for the aliases that can become stages; ``equal`` has the releases by their contents' digests.
    """

    at: StageFacts
    named: Mapping[LogicalName, FunctionArn]
    functions: Sequence[FoundFunction]
    unsettled: Sequence[Unsettled]
    gone: Mapping[FunctionArn, LogicalName]
    claims: Mapping[FunctionArn, Claim]
    callers: Mapping[FunctionArn, tuple[str, ...] | Unreadable]
    stages: Mapping[StageName, Stage]
    contents: Mapping[Place, Content | Unreadable] = field(default_factory=dict)
    owners: Mapping[tuple[FunctionArn, StageName], str | Absent | Unreadable] = field(default_factory=dict)
    realised: Mapping[tuple[FunctionArn, Content], VersionNumber] = field(default_factory=dict)
    equal: Mapping[str, ReleaseNumber] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdoptedVersion:
    """A version for the ledger of its function (``new``: it is not there yet), where its content is found (``realises``)."""

    arn: FunctionArn
    version: VersionNumber
    content: Content
    new: bool
    realises: bool


@dataclass(frozen=True, slots=True)
class AdoptedStage:
    """A stage's record as it is to be. ``revision`` is that of the record it is made on, None for a new stage.

    ``moves``: it is a movement. ``displaced``: see Movement. ``observed`` and ``was_observed``: the stack that owns its aliases,
    now and on record.
    """

    name: StageName
    revision: int | None
    release: ReleaseNumber | None
    previous_release: ReleaseNumber | None
    aliases: Mapping[FunctionArn, ServedAlias]
    way_back: tuple[ReleaseNumber, ...]
    observed: str | None
    was_observed: str | None
    moves: bool
    mixed: bool = False
    tearing_down: bool = False
    displaced: Mapping[FunctionArn, VersionNumber] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AdoptPlan:
    """Everything that adopting will put on record. ``releases`` are the new ones, whose numbers end with ``last_release``.

    ``kept_release`` is what the stage that the request is about goes on serving, if that does not change.
    """

    service: ServiceName
    new_service: bool
    stage: StageName | None
    last_release: ReleaseNumber
    joins: Mapping[FunctionArn, Join]
    versions: tuple[AdoptedVersion, ...]
    releases: tuple[Release, ...]
    stages: tuple[AdoptedStage, ...]
    warnings: tuple[str, ...]
    kept_release: ReleaseNumber | None = None

    @property
    def one(self) -> AdoptedStage | None:
        """The stage that the request is about, if that changes."""
        return next((stage for stage in self.stages if stage.name == self.stage), None)


def changes(plan: AdoptPlan) -> list[Change]:
    """A line for each alias that is taken on record; none of them moves."""
    lines = []
    for stage in plan.stages:
        reason = _reason(stage)
        for alias in stage.aliases.values():
            lines.append(Change(alias.function, "kept", str(alias.version), str(alias.version), reason))
    return lines


def _reason(stage: AdoptedStage) -> str:
    serves = "no release" if stage.release is None else f"r{stage.release}"
    if stage.observed is not None:
        return f"stage {stage.name} is adopted as {serves}, observed: stack {stage.observed} owns it"
    if stage.was_observed is not None and not stage.moves:
        return f"stage {stage.name} ({serves}) is an ordinary stage now: no stack owns it any more"
    return f"stage {stage.name} is adopted as {serves}"
