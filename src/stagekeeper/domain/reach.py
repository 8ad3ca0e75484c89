"""What a service's record holds: which releases are served, promised to a rollback, reached by a stage, and since when not.

``index`` reads the record's facts once; sweeps and teardowns then ask it for every version of every function. Must not know
AWS's facts, nor decide what is deleted: that is ``orphans``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from stagekeeper.domain.model import Content, FunctionArn, OperationId, Release, ReleaseNumber, Stage, StageName, VersionNumber

#: Releases that no stage ever served are kept while they are among this many newest ones: built now, promoted later.
NEWEST_RELEASES = 10


@dataclass(frozen=True, slots=True)
class PastMovement:
    """A line of a stage's ledger, ``at`` in epoch seconds, with what it took from the stage.

    ``popped``: releases that a rollback took off the way back beside the one it left. ``displaced``: versions that an alias
    left in this movement although ``from_release`` does not tell (kept functions, mixed stages, drift overwritten).
    """

    stage: StageName
    number: int
    from_release: ReleaseNumber | None
    to_release: ReleaseNumber | None
    at: float
    popped: tuple[ReleaseNumber, ...] = ()
    displaced: Mapping[FunctionArn, VersionNumber] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_time(self.at)


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """Everything the record says about a service that can hold a version.

    ``releases`` and ``movements`` are all there are, those of torn-down stages included; a teardown is the movement to no
    release. ``in_flight``: the versions that operations under way mention, but the one that asks.
    """

    stages: Sequence[Stage]
    releases: Sequence[Release]
    movements: Sequence[PastMovement]
    in_flight: Mapping[tuple[FunctionArn, VersionNumber], OperationId]


@dataclass(frozen=True, slots=True)
class ServiceIndex:
    """What holds a service's releases and versions, ready to be asked for every version of every function.

    Everything is per release number, so its size does not depend on the number of functions, but for ``containing``.
    """

    #: The releases that contain a content, newest first.
    containing: Mapping[tuple[FunctionArn, Content], Sequence[ReleaseNumber]]
    #: Why a release counts as served right now.
    serving: Mapping[ReleaseNumber, str]
    #: Why a version counts as served right now, whatever the releases say: kept functions, mixed stages.
    serving_versions: Mapping[tuple[FunctionArn, VersionNumber], str]
    #: The nearest place on a way back: steps and stage.
    way_back: Mapping[ReleaseNumber, tuple[int, StageName]]
    #: When a rollback took a release off a way back the last time, and whose.
    popped: Mapping[ReleaseNumber, tuple[float, StageName]]
    #: The releases that no stage ever served, among the newest.
    unserved: AbstractSet[ReleaseNumber]
    #: When the last stage left a release or a version.
    left: Mapping[ReleaseNumber, float]
    left_versions: Mapping[tuple[FunctionArn, VersionNumber], float]
    #: The movements of each stage since it was made, in order.
    lives: Mapping[StageName, Sequence[PastMovement]]
    #: The stages that exist and ever reached a release or a version, in order of their names.
    reaching: Mapping[ReleaseNumber, Sequence[StageName]]
    reaching_versions: Mapping[tuple[FunctionArn, VersionNumber], Sequence[StageName]]
    #: Releases that something names and that are not on record: nobody knows what they contain.
    missing: Sequence[ReleaseNumber]
    in_flight: Mapping[tuple[FunctionArn, VersionNumber], OperationId]
    #: The functions on which a stage has an alias, or that an operation in flight mentions.
    busy: AbstractSet[FunctionArn]


def index(service: ServiceFacts) -> ServiceIndex:
    """Read a service's facts once, for any number of questions."""
    containing: dict[tuple[FunctionArn, Content], list[ReleaseNumber]] = defaultdict(list)
    for release in sorted(service.releases, key=lambda release: release.number, reverse=True):
        for part in release.functions.values():
            containing[part.arn, part.content].append(release.number)
    stages = sorted(service.stages, key=lambda stage: stage.name)
    ledgers: dict[StageName, list[PastMovement]] = defaultdict(list)
    for movement in sorted(service.movements, key=lambda movement: (movement.stage, movement.number)):
        ledgers[movement.stage].append(movement)
    lives = {name: _since_made(ledger) for name, ledger in ledgers.items()}

    serving: dict[ReleaseNumber, str] = {}
    serving_versions: dict[tuple[FunctionArn, VersionNumber], str] = {}
    way_back: dict[ReleaseNumber, tuple[int, StageName]] = {}
    reaching: dict[ReleaseNumber, list[StageName]] = defaultdict(list)
    reaching_versions: dict[tuple[FunctionArn, VersionNumber], list[StageName]] = defaultdict(list)
    for stage in stages:
        if stage.release is not None:
            words = f"stage {stage.name} serves it (r{stage.release})"
            if stage.mixed:
                words = f"stage {stage.name} is mixed and a rollback puts it back on r{stage.release}"
            serving.setdefault(stage.release, words)
        for arn, alias in stage.aliases.items():
            serving_versions.setdefault((arn, alias.version), f"stage {stage.name} serves it")
        for steps, number in enumerate(stage.way_back, start=1):
            way_back[number] = min(way_back.get(number, (steps, stage.name)), (steps, stage.name))
        releases, versions = reach_of(stage, lives.get(stage.name, ()))
        for number in releases:
            reaching[number].append(stage.name)
        for version in versions:
            reaching_versions[version].append(stage.name)
    for name, ledger in ledgers.items():
        last = ledger[-1].to_release
        if last is not None:  # usually the stage's own release; else record and ledger disagree, and both count
            serving.setdefault(last, f"the ledger of stage {name} ends on it (r{last})")

    popped: dict[ReleaseNumber, tuple[float, StageName]] = {}
    left_versions: dict[tuple[FunctionArn, VersionNumber], float] = {}
    for movement in service.movements:
        for number in movement.popped:
            popped[number] = max(popped.get(number, (movement.at, movement.stage)), (movement.at, movement.stage))
        for arn, gone in movement.displaced.items():
            left_versions[arn, gone] = max(left_versions.get((arn, gone), movement.at), movement.at)

    left = _left(ledgers.values())
    newest = sorted((release.number for release in service.releases), reverse=True)[:NEWEST_RELEASES]
    served = {movement.to_release for movement in service.movements} | {stage.release for stage in stages}
    known = {release.number for release in service.releases}
    return ServiceIndex(
        containing=dict(containing),
        serving=serving,
        serving_versions=serving_versions,
        way_back=way_back,
        popped=popped,
        unserved=set(newest) - served,
        left=left,
        left_versions=left_versions,
        lives=lives,
        reaching=dict(reaching),
        reaching_versions=dict(reaching_versions),
        missing=sorted({*serving, *way_back, *popped, *left} - known),
        in_flight=service.in_flight,
        busy={arn for stage in stages for arn in stage.aliases} | {arn for arn, _ in service.in_flight},
    )


def unheld_functions(
    service: ServiceIndex, claimed: Iterable[FunctionArn], rollback_depth: int, since: float
) -> set[FunctionArn]:
    """The claimed functions that nothing holds any more: their claim may be freed. None while a held release is not on record.

    What was left later than ``since`` (epoch seconds: the grace period) holds: another service's sweep knows nothing of it.
    """

    def holds(number: ReleaseNumber) -> bool:
        steps, _ = service.way_back.get(number, (math.inf, ""))
        popped, _ = service.popped.get(number, (-math.inf, ""))
        lately = max(popped, service.left.get(number, -math.inf)) > since
        return number in service.serving or steps <= rollback_depth or number in service.unserved or lately

    if any(holds(number) for number in service.missing):
        return set()
    contained = {arn for (arn, _), numbers in service.containing.items() if any(holds(number) for number in numbers)}
    left = {arn for (arn, _), at in service.left_versions.items() if at > since}
    return set(claimed) - contained - left - service.busy


def _since_made(ledger: Sequence[PastMovement]) -> tuple[PastMovement, ...]:
    """What came after the last teardown. A stage that is made again begins anew."""
    teardowns = [place for place, movement in enumerate(ledger, start=1) if movement.to_release is None]
    return tuple(ledger[teardowns[-1] if teardowns else 0 :])


def reach_of(
    stage: Stage, life: Sequence[PastMovement]
) -> tuple[frozenset[ReleaseNumber], frozenset[tuple[FunctionArn, VersionNumber]]]:
    """The releases and the versions that a stage reached in its life."""
    releases = {stage.release, *stage.way_back}
    versions = {(arn, alias.version) for arn, alias in stage.aliases.items()}
    for movement in life:
        releases |= {movement.from_release, movement.to_release, *movement.popped}
        versions |= movement.displaced.items()
    return frozenset(number for number in releases if number is not None), frozenset(versions)


def _left(ledgers: Iterable[Sequence[PastMovement]]) -> dict[ReleaseNumber, float]:
    """When the last stage left each release: when its ledger went on to another one, or to none."""
    left: dict[ReleaseNumber, float] = {}
    for ledger in ledgers:
        serving: ReleaseNumber | None = None
        for movement in ledger:
            for number in (serving, movement.from_release):
                if number is not None and number != movement.to_release:
                    left[number] = max(left.get(number, movement.at), movement.at)
            serving = movement.to_release
    return left


def check_time(at: float) -> None:
    if not math.isfinite(at):
        raise ValueError(f"{at!r} is no moment in time")
