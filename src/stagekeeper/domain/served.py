"""Which versions a stage served when: what the record says of now, followed backwards through the stage's ledger.

Pure: times are epoch seconds. Must not know how the record is kept, nor what somebody wants to know of those versions.

What no line of a ledger tells is not known here either: what a deploy that was put back had served for some seconds, and since
when a stage is mixed.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stagekeeper.domain.model import FunctionArn, LogicalName, ReleaseNumber, Stage, VersionNumber

#: An invocation that began before its alias moved goes on after it: 15 minutes is the longest that Lambda allows, and the
#: clocks of the ledger and of the functions are not the same.
GRACE_SECONDS = 15 * 60 + 30.0


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when somebody looks."""

    since: float
    until: float

    @property
    def ledger_since(self) -> float:
        """The lines of the ledger from here on say what was served in the window."""
        return self.since - GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class Move:
    """A line of the stage's ledger. ``began`` is when its operation did: aliases move one by one before the line is written."""

    began: float
    at: float
    from_release: ReleaseNumber | None
    to_release: ReleaseNumber | None
    displaced: Mapping[FunctionArn, VersionNumber] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """A function of a release, and the version that carries its content; None where no version on record does any more."""

    function: LogicalName
    version: VersionNumber | None


#: What releases hold. A release that is not on record is not in it.
Contents = Mapping[ReleaseNumber, Mapping[FunctionArn, Held]]


@dataclass(frozen=True, slots=True)
class Served:
    """A version that the stage served, from when to when within the window, what was under way at its end included."""

    function: LogicalName
    arn: FunctionArn
    version: VersionNumber
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """A release that the stage served in the window, by versions that nobody knows: of one function, or (None) of all."""

    release: ReleaseNumber
    function: LogicalName | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """In order of the functions' names and of time."""

    served: tuple[Served, ...]
    unknown: tuple[Unknown, ...] = ()


_Version = tuple[LogicalName, FunctionArn, VersionNumber]
_State = frozenset[_Version | Unknown]


def named_releases(stage: Stage | None, moves: Sequence[Move]) -> frozenset[ReleaseNumber]:
    """The releases whose contents `timeline` needs."""
    named = {number for move in moves for number in (move.from_release, move.to_release) if number is not None}
    if stage is not None and stage.mixed and stage.release is not None:
        named.add(stage.release)
    return frozenset(named)


def timeline(stage: Stage | None, moves: Sequence[Move], contents: Contents, window: Window) -> Timeline:
    """What the stage served in the window.

    ``stage`` is its record now, None for one that is torn down; ``moves`` are its lines since ``window.ledger_since``, newest
    first.
    """
    spans: dict[_Version | Unknown, list[tuple[float, float]]] = defaultdict(list)
    state, until = _now(stage, contents), math.inf
    for move in moves:
        for each in state:
            spans[each].append((move.began, until))
        state, until = _before(move, state, contents), move.at + GRACE_SECONDS
    for each in state:
        spans[each].append((-math.inf, until))
    served: list[Served] = []
    unknown: list[Unknown] = []
    for what, pieces in spans.items():
        shown = [
            (max(since, window.since), min(until, window.until))
            for since, until in _joined(pieces)
            if since <= window.until and until >= window.since
        ]
        if isinstance(what, Unknown):
            unknown += [what] if shown else []
        else:
            served += [Served(*what, since, until) for since, until in shown]
    return Timeline(
        tuple(sorted(served, key=lambda each: (each.function, each.arn, each.since, each.version))),
        tuple(sorted(unknown, key=lambda each: (each.release, each.function or ""))),
    )


def _now(stage: Stage | None, contents: Contents) -> _State:
    if stage is None:
        return frozenset()
    served = frozenset((alias.function, arn, alias.version) for arn, alias in stage.aliases.items())
    # Since when a stage is mixed is on no record: until some moment it served the release that its record still names.
    return served | _of_release(stage.release, contents) if stage.mixed else served


def _before(move: Move, after: _State, contents: Contents) -> _State:
    """What was served before a move: the release that it left, what that does not tell, and what stayed through it."""
    left = _of_release(move.from_release, contents)
    held = contents.get(move.to_release, {}) if move.to_release is not None else {}
    names = {each[1]: each[0] for each in (*left, *after) if not isinstance(each, Unknown)}
    displaced = {(names.get(arn, _name_of(arn)), arn, version) for arn, version in move.displaced.items()}
    stayed = {each for each in after if not isinstance(each, Unknown) and each[1] not in held}
    return frozenset({*left, *displaced, *stayed})


def _of_release(number: ReleaseNumber | None, contents: Contents) -> _State:
    if number is None:
        return frozenset()
    if number not in contents:
        return frozenset({Unknown(number)})
    return frozenset(
        Unknown(number, held.function) if held.version is None else (held.function, arn, held.version)
        for arn, held in contents[number].items()
    )


def _name_of(arn: FunctionArn) -> LogicalName:
    """For a function that nothing on record names any more."""
    return LogicalName(arn.rpartition(":")[2])


def _joined(pieces: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Spans that touch, as one: a version that a move left in place was served all the time."""
    joined: list[tuple[float, float]] = []
    for since, until in sorted(pieces):
        if joined and since <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], until))
        else:
            joined.append((since, until))
    return joined
