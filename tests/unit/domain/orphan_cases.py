"""One function of a small service and all that can hold its versions, for the tests of the sweep's decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stagekeeper.domain.facts import StackSeen
from stagekeeper.domain.model import (
    FunctionArn,
    LogicalName,
    OperationId,
    Release,
    ReleaseNumber,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.orphans import (
    FoundVersion,
    FunctionFacts,
    SweepSettings,
    Verdict,
    orphans,
    orphans_of_stage,
)
from stagekeeper.domain.reach import PastMovement, ServiceFacts, index
from tests.unit.domain.builders import arn, content, numbers, release, stage, version

HOUR = 3600.0
DAY = 24 * HOUR
NOW = 1_700_000_000.0

API = arn("api")
PROD = StageName("prod")


def found(number: int, code: str | None = None, *, ours: bool = True, published: float | None = 50 * DAY) -> FoundVersion:
    """Version ``number``, ``published`` so many seconds ago."""
    at = None if published is None else NOW - published
    return FoundVersion(version(number), 1_000 + number, ours, at, None if code is None else content(code))


def function(*versions: FoundVersion) -> FunctionFacts:
    return FunctionFacts(LogicalName("api"), API, versions, {}, {})


def movement(
    number: int,
    before: int | None,
    after: int | None,
    ago: float,
    *popped: int,
    of: str = "dev",
    displaced: Mapping[FunctionArn, VersionNumber] | None = None,
) -> PastMovement:
    """The ledger's line ``number`` of a stage, so many seconds ago."""
    return PastMovement(
        stage=StageName(of),
        number=number,
        from_release=None if before is None else ReleaseNumber(before),
        to_release=None if after is None else ReleaseNumber(after),
        at=NOW - ago,
        popped=numbers(*popped),
        displaced=displaced or {},
    )


def a_stack(status: str) -> StackSeen:
    return StackSeen("arn:stack/orders/1", "orders", status, "arn:stack/orders/1")


def named(name: str, of: Stage) -> Stage:
    return replace(of, name=StageName(name))


SETTINGS = SweepSettings(keep=0, rollback_depth=5, grace_seconds=DAY)


@dataclass(frozen=True)
class Case:
    """Stage dev went from r1 to r2 forty days ago; its way back is empty. Nothing needs version 1, which is r1's api."""

    versions: Sequence[FoundVersion] = (found(1, "A"), found(2, "B"))
    aliases: Mapping[int, Sequence[str]] = field(default_factory=lambda: {2: ["dev"]})
    hanging: Mapping[int, Sequence[str]] = field(default_factory=dict)
    stages: Sequence[Stage] = (stage(2, api=2),)
    releases: Sequence[Release] = (release(1, api="A"), release(2, api="B"))
    movements: Sequence[PastMovement] = (movement(1, None, 1, 50 * DAY), movement(2, 1, 2, 40 * DAY))
    in_flight: Mapping[tuple[FunctionArn, VersionNumber], OperationId] = field(default_factory=dict)
    weighted: Mapping[int, Sequence[str]] = field(default_factory=dict)
    stacks: Sequence[StackSeen] = ()
    held: Mapping[int, str] = field(default_factory=dict)
    settings: SweepSettings = SETTINGS

    def function(self) -> FunctionFacts:
        return FunctionFacts(
            LogicalName("api"),
            API,
            self.versions,
            {version(number): names for number, names in self.aliases.items()},
            {version(number): words for number, words in self.hanging.items()},
            {version(number): names for number, names in self.weighted.items()},
            self.stacks,
            {version(number): reason for number, reason in self.held.items()},
        )

    def service(self) -> ServiceFacts:
        return ServiceFacts(self.stages, self.releases, self.movements, self.in_flight)

    def sweep(self) -> list[Verdict]:
        return orphans(self.function(), index(self.service()), self.settings, NOW)

    def tear_down(self, name: str = "dev") -> list[Verdict]:
        torn = next(each for each in self.stages if each.name == name)
        return orphans_of_stage(torn, self.function(), index(self.service()))

    def fate(self, number: int = 1) -> Verdict:
        return next(verdict for verdict in self.sweep() if verdict.version == version(number))


BASE = Case()


def removed(verdicts: Sequence[Verdict]) -> list[int]:
    return [verdict.version.value for verdict in verdicts if verdict.remove]
