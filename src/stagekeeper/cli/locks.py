"""Who works on a service and who waits, from its lock, and whether the executions of those still run. Changes nothing.

A view only: what becomes of an operation that has died is decided by whoever recovers it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from stagekeeper.cli.board import entry_as_json, places
from stagekeeper.cli.paper import clean, for_how_long, lay, lines, local
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.lock import LEASE_SECONDS, Entry
from stagekeeper.domain.model import OperationId, ServiceName
from stagekeeper.domain.recovery import YOUNG, Liveness, Running, recovery_name

if TYPE_CHECKING:
    from stagekeeper.aws.store import OperationHead, Store

#: So many executions are asked about: DescribeExecution refills at 10 to 15 a second for the whole account.
ASKED = 20
#: So many records are read at once.
_AT_ONCE = 8

#: Asks Step Functions about the execution of that name.
Ask = Callable[[str], Liveness]


class Standing(StrEnum):
    """What is known of whoever is named in a lock."""

    RUNNING = "running"
    RECOVERING = "recovering"
    DIED = "died"
    ENDED = "ended"
    #: Nothing but its place in the lock is left.
    STRAY = "stray"
    #: The Lambda that CloudFormation calls: no execution, and gone 60 seconds after the grant.
    LEASE = "lease"
    UNKNOWN = "unknown"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody in a lock, and how it stands. ``why`` is for people, where the standing alone does not say it all."""

    entry: Entry
    standing: Standing
    why: str = ""


@dataclass(frozen=True, slots=True)
class Locks:
    """A service's lock at a moment (epoch seconds). ``sweeper`` is the sweep at work, also between its batches."""

    service: ServiceName
    holders: Sequence[Named]
    waiters: Sequence[Named]
    sweeper: Named | None
    now: float

    @property
    def is_free(self) -> bool:
        return not (self.holders or self.waiters or self.sweeper)


class Reader:
    """Reads locks, and asks about the first ``ASKED`` executions of all that it meets."""

    def __init__(self, store: Store, ask: Ask, now: Callable[[], float]) -> None:
        self._store = store
        self._ask = ask
        self._now = now
        self._left = ASKED

    def read(self, service: ServiceName) -> Locks:
        """Raises CallFailed, MalformedItem."""
        lock = self._store.lock(service)
        entries = [*lock.holders, *lock.queue, *([] if lock.sweeper is None else [lock.sweeper])]
        ids = list(dict.fromkeys(entry.operation_id for entry in entries if not entry.is_lease))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            heads = dict(zip(ids, pool.map(self._store.operation_head, ids), strict=True))
        now = self._now()
        known = {each: self._standing(service, each, heads[each], now) for each in ids}

        def named(entry: Entry) -> Named:
            if entry.is_lease:
                return Named(entry, Standing.LEASE, f"counts as gone {LEASE_SECONDS} s after it was granted")
            standing, why = known[entry.operation_id]
            return Named(entry, standing, why)

        return Locks(
            service,
            holders=[named(entry) for entry in lock.holders],
            waiters=[named(entry) for entry in lock.queue],
            sweeper=None if lock.sweeper is None else named(lock.sweeper),
            now=now,
        )

    def _standing(
        self, service: ServiceName, operation_id: OperationId, head: OperationHead | None, now: float
    ) -> tuple[Standing, str]:
        if head is not None and head.has_ended:
            return Standing.ENDED, ""
        found = self._liveness(operation_id if head is None else head.execution)
        match found:
            case None:
                return Standing.NOT_ASKED, f"only {ASKED} executions are asked about at once"
            case Running() if head is not None and head.execution != operation_id:
                return Standing.RECOVERING, f"by {head.execution}"
            case Running():
                return Standing.RUNNING, ""
            case Unreadable(why=why):
                return Standing.UNKNOWN, why
        if head is None:
            return Standing.STRAY, f"nothing but its place is left: `stagekeeper recover --service {service}` clears it"
        if found.how is None and head.execution == operation_id and now - head.asked_at < YOUNG:
            return Standing.RUNNING, "just begun"
        recovery = recovery_name(operation_id, head.epoch)
        if isinstance(self._liveness(recovery), Running):
            return Standing.RECOVERING, f"by {recovery}"
        return (
            Standing.DIED,
            f"its execution {found}. A recovery begins by itself; if none does: `stagekeeper recover {operation_id}`",
        )

    def _liveness(self, name: str) -> Liveness | None:
        if self._left == 0:
            return None
        self._left -= 1
        return self._ask(name)


def as_json(locks: Locks) -> dict[str, Any]:
    return {
        "service": locks.service,
        "holders": [_named_as_json(each) for each in locks.holders],
        "waiters": [_named_as_json(each) for each in locks.waiters],
        "sweeper": None if locks.sweeper is None else _named_as_json(locks.sweeper),
    }


def _named_as_json(named: Named) -> dict[str, Any]:
    return {**entry_as_json(named.entry), "standing": named.standing.value, "why": named.why}


def show(locks: Locks, console: Console) -> None:
    """Print it: times are those of the clock here."""
    lay(console, lambda width: render(locks, width))


def render(locks: Locks, width: int | None = None) -> RenderableType:
    """Who it is in a sentence; then its id, which is whole, so that it can be copied; then how it stands."""
    if locks.is_free:
        return Text(f"Nobody holds or waits for anything of service {locks.service}.")
    told = [_told(each, "holds", locks.now, width) for each in locks.holders]
    told += [_told(each, "waits for", locks.now, width) for each in locks.waiters]
    if locks.sweeper is not None:
        told.append(_told(locks.sweeper, "is at work, now and then with", locks.now, width))
    return Group(Text(f"service {locks.service}", style="bold"), *told)


def _told(named: Named, does: str, now: float, width: int | None) -> RenderableType:
    entry = named.entry
    gives_up = f", gives up {local(entry.gives_up_at)}" if does == "waits for" else ""
    since = f"since {local(entry.since)} ({for_how_long(now - entry.since)})"
    why = f": {clean(named.why)}" if named.why else ""
    sentence = Text.assemble((entry.operation, "bold"), f" {does} {places(entry)} {since}{gives_up}")
    stands = Text(f"{_STANDS[named.standing]}{why}", style=_STYLES.get(named.standing, ""))
    if width is None:
        return lines(sentence, entry.operation_id, stands, width=None)
    return Group(sentence, Padding(lines(entry.operation_id, stands, width=width), (0, 0, 0, 2)))


_STANDS = {
    Standing.RUNNING: "It runs",
    Standing.RECOVERING: "It died and is being recovered",
    Standing.DIED: "It died",
    Standing.ENDED: "It has ended by now",
    Standing.STRAY: "There is no such execution",
    Standing.LEASE: "It is a template's sweep",
    Standing.UNKNOWN: "Whether it runs is not known",
    Standing.NOT_ASKED: "Whether it runs was not asked",
}
_STYLES = {Standing.RUNNING: "green", Standing.RECOVERING: "yellow", Standing.DIED: "bold red", Standing.STRAY: "bold red"}
