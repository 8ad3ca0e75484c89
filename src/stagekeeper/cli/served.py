"""What the record says of the versions that a stage served: its item, its ledger and the contents of the releases named there.

Reads as little as the window needs; domain/served.py makes a timeline of it. Must not know what is wanted of the versions.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from stagekeeper.aws.clock import epoch
from stagekeeper.aws.store import Store
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.domain.model import (
    Content,
    FunctionArn,
    LogicalName,
    Movement,
    Release,
    ServedAlias,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.refusal import Refusal, no_service, no_stage
from stagekeeper.domain.served import GRACE_SECONDS, Contents, Held, Move, Served, Timeline, Window, named_releases, timeline

#: Lines of the ledger in the first query; few stages move more often in the time that somebody looks at.
_LINES = 20
#: Versions are looked up one by one (whoever reads the record may not read in batches), so many at a time.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A stage as its record has it. ``stage`` is None for one that is torn down; ``others`` are the service's other stages that
    are there, without their others."""

    name: StageName
    stage: Stage | None
    others: Sequence[StageRecord]
    moves: Sequence[Move]
    contents: Contents

    def timeline(self, window: Window) -> Timeline:
        """What the stage served in a window within the one that the record was read for."""
        return timeline(self.stage, self.moves, self.contents, window)

    def sharing(self, served: Iterable[Served]) -> dict[StageName, list[LogicalName]]:
        """The other stages that served one of these versions while this one did, each with the functions of which it did."""
        mine = {(each.arn, each.version, each.since, each.until) for each in served}
        found = {
            other.name: {
                theirs.function
                for theirs in other.timeline(_EVER).served
                for arn, version, since, until in mine
                if (theirs.arn, theirs.version) == (arn, version) and theirs.since <= until and _left(theirs) >= since
            }
            for other in self.others
        }
        return {name: sorted(functions) for name, functions in found.items() if functions}


_EVER = Window(-math.inf, math.inf)


def _left(served: Served) -> float:
    """When a stage left a version: what was under way then is no reason to speak of it."""
    return served.until - GRACE_SECONDS  # of infinity, which is now, that is as much


def stage_record(store: Store, service: ServiceName, name: StageName, since: float) -> StageRecord:
    """The record as far as it tells what was served since then (epoch seconds).

    Raises CommandFailed for a stage that never was.
    """
    stages = {stage.name: stage for stage in store.stages(service)}
    stage = stages.pop(name, None)
    lines = _lines(store, service, name, Window(since, since).ledger_since)
    if stage is None and not lines and not store.last_movement(service, name):
        raise unknown_stage(store, service, name, [*stages])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        others = pool.map(lambda other: _record(store, service, other.name, other, since), stages.values())
        return replace(_recorded(store, service, name, stage, lines), others=[*others])


def _record(store: Store, service: ServiceName, name: StageName, stage: Stage, since: float) -> StageRecord:
    return _recorded(store, service, name, stage, _lines(store, service, name, Window(since, since).ledger_since))


def _recorded(store: Store, service: ServiceName, name: StageName, stage: Stage | None, lines: Sequence[Movement]) -> StageRecord:
    moves = [_move(store, line) for line in lines]
    return StageRecord(name, stage, (), moves, _contents(store, service, stage, moves))


def known_stage(store: Store, service: ServiceName, name: StageName) -> Stage:
    """Raises CommandFailed where there is none."""
    stage = store.stage(service, name)
    if stage is None:
        raise unknown_stage(store, service, name, [each.name for each in store.stages(service)])
    return stage


def alias_of(stage: Stage, service: ServiceName, function: str) -> tuple[FunctionArn, ServedAlias]:
    """A function of a stage by its logical name. Raises CommandFailed where it has none of that name.

    A name can have two homes while an older release kept its alias: the one that the stage's release has is meant.
    """
    found = [(alias.kept, arn) for arn, alias in stage.aliases.items() if alias.function == function]
    if not found:
        raise unknown_function(function, stage.name, service, {alias.function for alias in stage.aliases.values()})
    _, arn = min(found)
    return arn, stage.aliases[arn]


def unknown_stage(store: Store, service: ServiceName, name: StageName, others: Sequence[StageName]) -> CommandFailed:
    if others:
        return _refused(no_stage(service, name, f"Its stages are {', '.join(sorted(others))}."))
    return _refused(no_service(service) if store.service(service) is None else no_stage(service, name, "It has none."))


def unknown_function(function: str, stage: StageName, service: ServiceName, others: Iterable[LogicalName]) -> CommandFailed:
    known = ", ".join(sorted(set(others)))
    has = f"It has {known}." if known else "It has none."
    sentence = f"Stage {stage} of service {service} has no function {function}. {has}"
    return CommandFailed(sentence, code="FunctionNotFound", exit_code=Exit.REFUSED)


def _refused(refusal: Refusal) -> CommandFailed:
    return CommandFailed(refusal.message, code=refusal.code, exit_code=Exit.REFUSED)


def _lines(store: Store, service: ServiceName, name: StageName, since: float) -> list[Movement]:
    """The lines of a stage's ledger since then, newest first."""
    limit = _LINES
    while True:
        lines = store.history(service, name, limit)
        recent = [line for line in lines if epoch(line.at) >= since]
        if len(recent) < len(lines) or len(lines) < limit:
            return recent
        limit *= 4


def _move(store: Store, line: Movement) -> Move:
    operation = store.operation_head(line.operation_id)
    at = epoch(line.at)
    began = at if operation is None else min(at, operation.asked_at)
    return Move(began, at, line.from_release, line.to_release, line.displaced)


def _contents(store: Store, service: ServiceName, stage: Stage | None, moves: Sequence[Move]) -> Contents:
    releases = [store.release(service, number) for number in sorted(named_releases(stage, moves))]
    there = [release for release in releases if release is not None]
    versions = _versions(store, there, stage)
    return {
        release.number: {part.arn: Held(name, versions[part.arn, part.content]) for name, part in release.functions.items()}
        for release in there
    }


def _versions(
    store: Store, releases: Sequence[Release], stage: Stage | None
) -> Mapping[tuple[FunctionArn, Content], VersionNumber | None]:
    """The version of each function and content, looked up only where the stage's own record does not tell it."""
    known: dict[tuple[FunctionArn, Content], VersionNumber | None] = {}
    if stage is not None and not stage.mixed:
        for release in releases:
            for part in release.functions.values() if release.number == stage.release else ():
                alias = stage.aliases.get(part.arn)
                if alias is not None and not alias.kept:
                    known[part.arn, part.content] = alias.version
    wanted = dict.fromkeys((part.arn, part.content) for release in releases for part in release.functions.values())
    asked = [key for key in wanted if key not in known]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return known | dict(zip(asked, pool.map(lambda key: store.realisation(*key), asked), strict=True))
