"""`stagekeeper logs`: the lines of the versions that a stage served, each only of its time; and going on with them as they come.

Puts together what the record says (served.py) and what the functions wrote (log_events.py). Must not know how lines are shown.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from botocore.exceptions import BotoCoreError

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import CallFailed, Throttled, Unanswered
from stagekeeper.cli.log_events import LogEvents
from stagekeeper.cli.served import StageRecord, unknown_function
from stagekeeper.domain.model import FunctionArn, LogicalName, ServedAlias, ServiceName, Stage, StageName, VersionNumber
from stagekeeper.domain.served import Served, Timeline, Unknown, Window

#: How often a follower reads the stage's record (seconds).
RECORD_EVERY = 5.0
#: Between two rounds: at first, and at most where nothing comes (seconds).
SOONEST, LATEST = 1.0, 5.0
#: Lines come to CloudWatch Logs some seconds after they were written, and not in order: each round looks so far back again.
OVERLAP = 15.0
#: For how long a follower bears that AWS does not answer: a laptop changes its network.
PATIENCE = 120.0

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a function's log. ``at`` in epoch seconds."""

    at: float
    function: LogicalName
    version: VersionNumber
    message: str
    group: str
    stream: str
    identity: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose lines: of one stage of one service, of all its functions or (not empty) of some, with CloudWatch's filter pattern."""

    service: ServiceName
    record: StageRecord
    functions: Collection[str] = ()
    pattern: str | None = None

    def timeline(self, record: StageRecord, window: Window) -> Timeline:
        """What was served in the window of what is asked for."""
        found = record.timeline(window)
        if not self.functions:
            return found
        served = tuple(each for each in found.served if each.function in self.functions)
        unknown = tuple(each for each in found.unknown if each.function is None or each.function in self.functions)
        return Timeline(served, unknown)


def check_functions(asked: Asked, window: Window) -> None:
    """Raises CommandFailed for a function that the stage has not, and had not in the window."""
    record = asked.record
    now = () if record.stage is None else record.stage.aliases.values()
    known = {each.function for each in record.timeline(window).served} | {alias.function for alias in now}
    for function in asked.functions:
        if function not in known:
            raise unknown_function(function, record.name, asked.service, known)


def lines(events: LogEvents, served: Iterable[Served], pattern: str | None) -> Iterator[Line]:
    """The lines of all these, each version's only of its time, in order of time. Read as they are needed."""
    return heapq.merge(*(_of(events, each, each.since, each.until, pattern) for each in served), key=lambda line: line.at)


def newest(found: Iterator[Line], limit: int | None) -> Iterable[Line]:
    """The last of them, in their order; all without a limit."""
    return found if limit is None else deque(found, maxlen=limit)


def _of(events: LogEvents, served: Served, since: float, until: float, pattern: str | None) -> Iterator[Line]:
    for event in events.of_version(served.arn, served.version, since, until, pattern):
        yield Line(event.at / 1000, served.function, served.version, event.message, event.group, event.stream, event.identity)


# What is told beside the lines.


def remarks(record: StageRecord, found: Timeline) -> list[str]:
    """What whoever reads the lines should know of them: whose they are as well, and which are missing."""
    return [*_shared(record, found.served), *(_unknown(record, each) for each in found.unknown)]


def _shared(record: StageRecord, served: Sequence[Served]) -> list[str]:
    sharing = record.sharing(served)
    if not sharing:
        return []
    functions = sorted({function for each in sharing.values() for function in each})
    stages, versions = sorted(sharing), "version" if len(functions) == 1 else "versions"
    whose = "its lines are" if len(stages) == 1 else "their lines are"
    shown: list[str] = [*stages[:_SHOWN]]
    shown += [f"{len(stages) - _SHOWN} more"] if len(stages) > _SHOWN else []
    named = " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    return [f"{named} served the same {versions} of {_listed(functions)} then: {whose} here too."]


def _unknown(record: StageRecord, unknown: Unknown) -> str:
    whose = "Which versions" if unknown.function is None else f"Which version of {unknown.function}"
    return f"{whose} stage {record.name} served as r{unknown.release} is not on record any more, so those lines are missing here."


def moved(name: StageName, before: Stage | None, after: Stage | None) -> str | None:
    """What happened to a stage between two looks at its record; None if it serves what it did."""
    if after is None:
        return None if before is None else f"{name} was torn down."
    old = {} if before is None else before.aliases
    changes = [
        _change(alias.function, old.get(arn), alias)
        for arn, alias in sorted(after.aliases.items(), key=lambda entry: (entry[1].function, entry[0]))
        if arn not in old or old[arn].version != alias.version
    ]
    changes += [f"{alias.function} {alias.version} -> none" for arn, alias in old.items() if arn not in after.aliases]
    if not changes and _release(before) == _release(after):
        return None
    return f"{name} moved to {_release(after)}" + (f": {_listed(changes)}" if changes else "")


def _release(stage: Stage | None) -> str:
    return "no release" if stage is None or stage.release is None else f"r{stage.release}"


def _change(function: LogicalName, before: ServedAlias | None, after: ServedAlias) -> str:
    return f"{function} {'new' if before is None else before.version} -> {after.version}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


# Following.


def pause(idle_rounds: int) -> float:
    """Seconds until the next round, after so many that brought nothing."""
    return min(LATEST, SOONEST + idle_rounds)


@dataclass
class Follower:
    """Goes on with a stage's lines.

    ``peek`` reads the stage's item (None: torn down), ``look`` its whole record; ``show`` gets lines in order of time, ``tell``
    sentences. Of what was written before it began at most ``limit`` lines are shown.
    """

    asked: Asked
    events: LogEvents
    clock: Clock
    since: float
    peek: Callable[[], Stage | None]
    look: Callable[[], StageRecord]
    show: Callable[[Sequence[Line]], None]
    tell: Callable[[str], None]
    limit: int | None = None
    _read_until: dict[tuple[FunctionArn, VersionNumber], float] = field(default_factory=dict)
    _seen: dict[str, float] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Until somebody interrupts it. Raises CallFailed when AWS did not answer for long."""
        record = self.asked.record
        self._remark(record)
        looked_at = self.clock.now()
        idle, failing_since = 0, None
        while True:
            try:
                if self.clock.now() - looked_at >= RECORD_EVERY:
                    record, looked_at = self._looked(record), self.clock.now()
                idle = 0 if self.round(record) else idle + 1
                failing_since = None
            except CallFailed as error:
                failing_since = self._borne(error, failing_since)
            self.clock.sleep(pause(idle))

    def round(self, record: StageRecord) -> int:
        """Show what is new; how many lines that were."""
        now = self.clock.now()
        served = self.asked.timeline(record, Window(self.since, now)).served
        due = [replace(each, since=max(each.since, self._begin(each))) for each in served if each.until >= self._begin(each)]
        fresh = [line for line in lines(self.events, due, self.asked.pattern) if line.identity not in self._seen]
        self.show(fresh if self._read_until or self.limit is None else fresh[-self.limit :])
        for each in due:
            self._read_until[each.arn, each.version] = now
        # Nothing older is read again.
        fresh_enough = now - OVERLAP
        self._seen = {
            identity: at
            for identity, at in {**self._seen, **{line.identity: line.at for line in fresh}}.items()
            if at >= fresh_enough
        }
        return len(fresh)

    def _begin(self, served: Served) -> float:
        """From when on a version is read: from the beginning, or from a little before where its last round ended."""
        until = self._read_until.get((served.arn, served.version))
        return self.since if until is None else max(self.since, until - OVERLAP)

    def _looked(self, before: StageRecord) -> StageRecord:
        said = moved(before.name, before.stage, self.peek())
        if said is None:
            return before
        self.tell(said)
        after = self.look()
        self._remark(after)
        return after

    def _remark(self, record: StageRecord) -> None:
        """Once each."""
        found = self.asked.timeline(record, Window(self.since, self.clock.now()))
        for sentence in remarks(record, found):
            if sentence not in self._told:
                self._told.add(sentence)
                self.tell(sentence)

    def _borne(self, error: CallFailed, failing_since: float | None) -> float:
        """Since when AWS does not answer. Raises the error where waiting is no help, or was none."""
        now = self.clock.now()
        passes = isinstance(error, Unanswered | Throttled) or isinstance(error.__cause__, BotoCoreError)
        if not passes or (failing_since is not None and now - failing_since > PATIENCE):
            raise error
        if failing_since is None:
            self.tell(f"AWS does not answer ({error.why}). Trying on.")
        return now if failing_since is None else failing_since
