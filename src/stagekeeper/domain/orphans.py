"""Which versions nothing needs any more: the decision of a sweep and of a teardown, with a reason for every version.

The most dangerous rule of the system: a version goes only if every single rule lets it go, and whatever is not known for
certain keeps it. A fact that could not be read never gets here, the caller refuses. Must not read, delete or know the time.

Make the service's index once (``reach.index``), then ask per function: ``orphans`` for a sweep, ``orphans_of_stage`` and
``orphans_of_service`` for teardowns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from stagekeeper.domain.facts import StackSeen
from stagekeeper.domain.model import (
    Content,
    FunctionArn,
    LogicalName,
    OperationId,
    ReleaseNumber,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.reach import NEWEST_RELEASES, ServiceIndex, check_time, reach_of

#: How many things a reason names.
_NAMED = 3

NOT_OURS = "not published by Stagekeeper"
#: The root by which the caller itself holds a version.
TOLD = "told"


@dataclass(frozen=True, slots=True)
class SweepSettings:
    """How much stays: the ``keep`` newest unneeded versions of a function, what is within ``rollback_depth`` steps on a way
    back, and what was displaced less than ``grace_seconds`` ago. ``strangers``: versions somebody else published count, too.
    ``popped_seconds``: how long what a rollback took off a way back stays, if not for the grace period.

    Raises ValueError on everything that is no number of at least 0, so that no bad setting ever deletes anything.
    """

    keep: int
    rollback_depth: int
    grace_seconds: float
    strangers: bool = False
    popped_seconds: float | None = None

    @property
    def popped_grace(self) -> float:
        """How long (seconds) a rollback can be undone."""
        return self.grace_seconds if self.popped_seconds is None else self.popped_seconds

    def __post_init__(self) -> None:
        for name, given in (("keep", self.keep), ("rollback_depth", self.rollback_depth)):
            if type(given) is not int or given < 0:  # a bool is an int, too
                raise ValueError(f"{name} is {given!r}, not a whole number of at least 0")
        for name, grace in (("grace_seconds", self.grace_seconds), ("popped_seconds", self.popped_grace)):
            if type(grace) not in (int, float) or not math.isfinite(grace) or grace < 0:
                raise ValueError(f"{name} is {grace!r}, not a number of at least 0")
        if type(self.strangers) is not bool:
            raise ValueError(f"strangers is {self.strangers!r}, neither True nor False")


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A version that AWS has (``size``: bytes of its code), with what the record knows of it.

    ``ours``: recorded as published by Stagekeeper. ``published_at`` (epoch seconds) and ``content`` are None if not on record.
    """

    version: VersionNumber
    size: int
    ours: bool
    published_at: float | None
    content: Content | None

    def __post_init__(self) -> None:
        if self.published_at is not None:
            check_time(self.published_at)


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """Everything AWS says about one function that can hold a version: all pages.

    ``aliases``: the names of all aliases that point at a version by target, ``weighted`` by routing weight, whoever made them.
    ``hanging``: what hangs on a version, in words: event source mappings, permissions, provisioned concurrency. (A function URL
    hangs on an alias or on $LATEST, never on a version.) ``stacks``: those that own the function, with those they are nested in.
    ``held``: what else the caller knows to hold a version, as a reason.
    """

    function: LogicalName
    arn: FunctionArn
    versions: Sequence[FoundVersion]
    aliases: Mapping[VersionNumber, Sequence[str]]
    hanging: Mapping[VersionNumber, Sequence[str]]
    weighted: Mapping[VersionNumber, Sequence[str]] = field(default_factory=dict)
    stacks: Sequence[StackSeen] = ()
    held: Mapping[VersionNumber, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one version, and why, in words that people act on."""

    function: LogicalName
    arn: FunctionArn
    version: VersionNumber
    size: int
    remove: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A version, and everything that is known when it is asked whether it is needed. ``now`` in epoch seconds."""

    found: FoundVersion
    function: FunctionFacts
    service: ServiceIndex
    settings: SweepSettings
    now: float


def orphans(function: FunctionFacts, service: ServiceIndex, settings: SweepSettings, now: float) -> list[Verdict]:
    """A sweep: a verdict for every version of the function, oldest first. ``now`` in epoch seconds."""
    check_time(now)
    reasons: dict[VersionNumber, str | None] = {}
    spare: list[VersionNumber] = []
    for found in function.versions:
        asked = Asked(found, function, service, settings, now)
        holding = ((name, reason) for name, root in ROOTS.items() if (reason := root(asked)) is not None)
        name, reasons[found.version] = next(holding, (None, None))
        # What only its caller holds counts among the newest that are left: it is one of them.
        if name in (None, TOLD):
            spare.append(found.version)
    spared = set(sorted(spare, reverse=True)[: settings.keep])
    newest = "the newest unneeded version" if settings.keep == 1 else f"among the newest {settings.keep} unneeded versions"
    verdicts: list[Verdict] = []
    for found in _oldest_first(function):
        reason = reasons[found.version] or (newest if found.version in spared else None)
        if reason is None:
            since = _displaced(found, function, service)
            needless = "no stage, way back, release or trigger needs it"
            verdicts.append(_remove(function, found, needless if since is None else f"{needless}; {_ago(*since, now)}"))
        else:
            verdicts.append(_keep(function, found, reason))
    return verdicts


def orphans_of_stage(stage: Stage, function: FunctionFacts, service: ServiceIndex) -> list[Verdict]:
    """A teardown of ``stage``: a verdict for every version that it reached, oldest first; grace and keep do not count.

    ``stage`` and the facts are those from before the teardown's own movement, which would end the stage's life. The stage's own
    alias holds nothing. What another stage reached, too, is that stage's business, however far back it is there.
    """
    releases, versions = reach_of(stage, service.lives.get(stage.name, ()))
    verdicts: list[Verdict] = []
    for found in _oldest_first(function):
        numbers = _containing(found, function, service)
        if releases.isdisjoint(numbers) and (function.arn, found.version) not in versions:
            continue
        reason = (
            _held_on_aws(found, function, but={stage.name})
            or _by_a_stack(function)
            or _reached_by_another(stage, found, function, service)
            or next((_unserved(number) for number in numbers if number in service.unserved), None)
            or _in_flight(found, function, service.in_flight)
            or (None if found.ours else NOT_OURS)
            or ("what it contains is not on record" if found.content is None else None)
        )
        if reason is None:
            verdicts.append(_remove(function, found, f"only stage {stage.name} reached it"))
        else:
            verdicts.append(_keep(function, found, reason))
    return verdicts


def orphans_of_service(
    function: FunctionFacts,
    own_stages: AbstractSet[StageName],
    in_flight: Mapping[tuple[FunctionArn, VersionNumber], OperationId],
) -> list[Verdict]:
    """A teardown of the whole service: every version of ours goes, unless somebody else's alias or trigger holds it.

    Not a stack that moves: what it published is no version of ours, and the service would be left in pieces.
    """
    verdicts: list[Verdict] = []
    for found in _oldest_first(function):
        held = _held_on_aws(found, function, but=own_stages) or _in_flight(found, function, in_flight)
        reason = held or (None if found.ours else NOT_OURS)
        if reason is None:
            verdicts.append(_remove(function, found, "the whole service is torn down"))
        else:
            verdicts.append(_keep(function, found, reason))
    return verdicts


def _held_on_aws(found: FoundVersion, function: FunctionFacts, but: AbstractSet[str] = frozenset()) -> str | None:
    """What AWS itself shows on the version. Aliases of the names in ``but`` hold nothing: they go, too."""
    return _by_alias(found, function, but) or _by_weight(found, function, but) or _by_trigger(found, function)


def _by_alias(found: FoundVersion, function: FunctionFacts, but: AbstractSet[str] = frozenset()) -> str | None:
    aliases = sorted(set(function.aliases.get(found.version, ())) - but)
    if not aliases:
        return None
    return f"alias {aliases[0]} points at it" if len(aliases) == 1 else f"aliases {_some(aliases)} point at it"


def _by_weight(found: FoundVersion, function: FunctionFacts, but: AbstractSet[str] = frozenset()) -> str | None:
    aliases = sorted(set(function.weighted.get(found.version, ())) - but)
    if not aliases:
        return None
    return f"alias {aliases[0]} gives it weight" if len(aliases) == 1 else f"aliases {_some(aliases)} give it weight"


def _by_trigger(found: FoundVersion, function: FunctionFacts) -> str | None:
    hanging = sorted(function.hanging.get(found.version, ()))
    if not hanging:
        return None
    return f"{_some(hanging)} {'hangs' if len(hanging) == 1 else 'hang'} on it"


def _by_a_stack(function: FunctionFacts) -> str | None:
    """A stack that moves, or that is stuck, may yet need any version of its functions: to go on, or to roll back."""
    for stack in function.stacks:
        if stack.status.endswith(("_IN_PROGRESS", "_FAILED")):
            return f"stack {stack.name}, which owns the function, is {stack.status}"
    return None


def _some(names: Sequence[str]) -> str:
    """A version can have hundreds of aliases, and a report thousands of versions."""
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _served_by_release(asked: Asked) -> str | None:
    serving = asked.service.serving
    return next((serving[number] for number in _numbers(asked) if number in serving), None)


def _promised(numbers: Sequence[ReleaseNumber], service: ServiceIndex, settings: SweepSettings, now: float) -> str | None:
    """Why one of the releases can still be wanted although no stage serves it."""
    return _on_way_back(numbers, service, settings) or _popped(numbers, service, settings, now) or _built(numbers, service)


def _on_way_back(numbers: Sequence[ReleaseNumber], service: ServiceIndex, settings: SweepSettings) -> str | None:
    for number in numbers:
        steps, stage = service.way_back.get(number, (math.inf, ""))
        if steps <= settings.rollback_depth:
            return f"r{number} is {steps} step{'' if steps == 1 else 's'} back on stage {stage}'s way back"
    return None


def _popped(numbers: Sequence[ReleaseNumber], service: ServiceIndex, settings: SweepSettings, now: float) -> str | None:
    for number in numbers:
        if number in service.popped:
            at, stage = service.popped[number]
            if now - at < settings.popped_grace:
                what = f"popped from stage {stage}'s way back"
                return f"{_ago(what, at, now)}; kept for {_span(settings.popped_grace)}"
    return None


def _built(numbers: Sequence[ReleaseNumber], service: ServiceIndex) -> str | None:
    return next((_unserved(number) for number in numbers if number in service.unserved), None)


def _unserved(number: ReleaseNumber) -> str:
    return f"r{number} was never served and is among the newest {NEWEST_RELEASES} releases"


def _in_flight(
    found: FoundVersion, function: FunctionFacts, in_flight: Mapping[tuple[FunctionArn, VersionNumber], OperationId]
) -> str | None:
    operation = in_flight.get((function.arn, found.version))
    return None if operation is None else f"operation {operation} is under way and mentions it"


def _stranger(asked: Asked) -> str | None:
    return NOT_OURS if not asked.found.ours and not asked.settings.strangers else None


def _too_little_known(asked: Asked) -> str | None:
    """One of ours of which too little is known to say that nothing needs it."""
    if not asked.found.ours:
        return None
    if asked.found.published_at is None:
        return "when it was published is not on record"
    return "what it contains is not on record" if asked.found.content is None else None


def _unclear(asked: Asked) -> str | None:
    """Why no version can be called unneeded: a release that counts is not on record, so it may contain any of them."""
    service, settings, now = asked.service, asked.settings, asked.now
    for number in service.missing:
        recently_left = number in service.left and not _is_over(service.left[number], settings, now)
        if number in service.serving or recently_left or _promised([number], service, settings, now) is not None:
            return f"r{number} is not on record, so it may be needed there"
    return None


def _within_grace(asked: Asked) -> str | None:
    since = _displaced(asked.found, asked.function, asked.service)
    if since is None or _is_over(since[1], asked.settings, asked.now):
        return None
    return f"{_ago(*since, asked.now)}; kept for {_span(asked.settings.grace_seconds)}"


def _numbers(asked: Asked) -> Sequence[ReleaseNumber]:
    return _containing(asked.found, asked.function, asked.service)


#: Everything that holds a version against a sweep, by what it is; the first that does gives the reason. Each alone is enough.
ROOTS: Mapping[str, Callable[[Asked], str | None]] = {
    "alias": lambda asked: _by_alias(asked.found, asked.function),
    "weight": lambda asked: _by_weight(asked.found, asked.function),
    "trigger": lambda asked: _by_trigger(asked.found, asked.function),
    "release served": _served_by_release,
    "version served": lambda asked: asked.service.serving_versions.get((asked.function.arn, asked.found.version)),
    "way back": lambda asked: _on_way_back(_numbers(asked), asked.service, asked.settings),
    "popped": lambda asked: _popped(_numbers(asked), asked.service, asked.settings, asked.now),
    "never served": lambda asked: _built(_numbers(asked), asked.service),
    "operation": lambda asked: _in_flight(asked.found, asked.function, asked.service.in_flight),
    "stranger": _stranger,
    "too little known": _too_little_known,
    "release not on record": _unclear,
    "stack": lambda asked: _by_a_stack(asked.function),
    "grace": _within_grace,
    # The last, so that it is the reason only where nothing else is.
    TOLD: lambda asked: asked.function.held.get(asked.found.version),
}


def _displaced(found: FoundVersion, function: FunctionFacts, service: ServiceIndex) -> tuple[str, float] | None:
    """What happened to the version last, in a word, and when. None for a stranger's that no stage ever served.

    Nothing can have been displaced before it was published: a content that is published anew, as the release it was long ago,
    has its grace from then on.
    """
    ends = [service.left[number] for number in _containing(found, function, service) if number in service.left]
    by_number = service.left_versions.get((function.arn, found.version))
    happened = [("displaced", at) for at in ends] + ([] if by_number is None else [("displaced", by_number)])
    if found.published_at is not None:
        happened.append(("published", found.published_at))
    return max(happened, key=lambda event: event[1], default=None)


def _reached_by_another(stage: Stage, found: FoundVersion, function: FunctionFacts, service: ServiceIndex) -> str | None:
    numbers = _containing(found, function, service)
    for number in numbers:
        for name in service.reaching.get(number, ()):
            if name != stage.name:
                return f"stage {name} reached it, too (r{number})"
    for name in service.reaching_versions.get((function.arn, found.version), ()):
        if name != stage.name:
            return f"stage {name} reached it, too"
    for number in service.missing:
        for name in service.reaching.get(number, ()):
            if name != stage.name:
                return f"stage {name} reached r{number}, which is not on record, so it may be needed there"
    return None


def _containing(found: FoundVersion, function: FunctionFacts, service: ServiceIndex) -> Sequence[ReleaseNumber]:
    return () if found.content is None else service.containing.get((function.arn, found.content), ())


def _oldest_first(function: FunctionFacts) -> list[FoundVersion]:
    return sorted(function.versions, key=lambda found: found.version)


def _keep(function: FunctionFacts, found: FoundVersion, reason: str) -> Verdict:
    return Verdict(function.function, function.arn, found.version, found.size, remove=False, reason=reason)


def _remove(function: FunctionFacts, found: FoundVersion, reason: str) -> Verdict:
    return Verdict(function.function, function.arn, found.version, found.size, remove=True, reason=reason)


def _is_over(at: float, settings: SweepSettings, now: float) -> bool:
    """Whether the grace period is. What is still to come, by clocks that differ, is not over, even without a grace period."""
    return now - at >= settings.grace_seconds


def _ago(what: str, at: float, now: float) -> str:
    return f"{what} {_span(now - at)} ago" if at <= now else f"{what} just now"


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{int(seconds)} s"
    if seconds < 2 * 3600:
        return f"{int(seconds // 60)} min"
    if seconds < 72 * 3600:
        return f"{int(seconds // 3600)} h"
    return f"{int(seconds // 86400)} days"
