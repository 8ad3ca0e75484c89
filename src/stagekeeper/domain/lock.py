"""Who may work on a service at the same time: one lock with named slots and a queue, as pure rules.

``publish`` has one holder, each stage one, and ``collect`` excludes everything. All that an operation needs is granted at
once and nothing is ever upgraded, so no two operations can wait for each other. Must not know how the lock is stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stagekeeper.domain.model import OperationId, StageName
from stagekeeper.domain.operation import OperationKind

PUBLISH = "publish"
COLLECT = "collect"

#: What the custom resource's Lambda is called where it holds or waits: it is no execution whose life could be asked for.
LEASE = "custom-resource"
#: How long (seconds) such a holder counts as alive after the grant.
LEASE_SECONDS = 60
#: Nothing is begun any more so long (seconds) before its end: a call takes up to 10 s, and clocks differ.
LEASE_MARGIN = 20

#: A waiter that has not asked again this long (seconds) after its own patience ran out has left without saying so.
ABANDONED_AFTER = 60


def stage_slot(stage: StageName) -> str:
    return f"stage:{stage}"


def slots_for(kind: OperationKind, stage: StageName | None) -> frozenset[str]:
    """What an operation needs. A deploy gives ``publish`` back once its versions exist."""
    stages = frozenset() if stage is None else frozenset({stage_slot(stage)})
    match kind:
        case OperationKind.DEPLOY:
            return stages | {PUBLISH}
        case OperationKind.ROLLBACK | OperationKind.RESET | OperationKind.CLONE | OperationKind.CONFIGURE:
            return stages
        case OperationKind.TEARDOWN | OperationKind.SWEEP | OperationKind.ADOPT:
            return frozenset({COLLECT})
        case OperationKind.VERIFY | OperationKind.RECOVER:
            # A recovery goes on with what the dead operation holds.
            return frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """An operation that holds slots or waits for them. Times are epoch seconds."""

    operation_id: OperationId
    operation: str
    slots: frozenset[str]
    since: float
    gives_up_at: float

    @property
    def is_lease(self) -> bool:
        """Ends by itself, and has no execution."""
        return self.operation == LEASE


@dataclass(frozen=True, slots=True)
class Lock:
    """A service's lock: who holds what, and who waits, in order of arrival. ``revision`` grows with each write.

    ``sweeper`` is the sweep that is at work on the service: it holds ``collect`` only for a batch, but other sweeps stand aside
    from its first batch to its last.
    """

    holders: tuple[Entry, ...] = ()
    queue: tuple[Entry, ...] = ()
    revision: int = 0
    sweeper: Entry | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """Everything asked for is held now."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not yet. ``blockers`` are the operations in the way: holders first, then waiters who came before."""

    blockers: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The patience of the one who asked has run out; it is in the queue no more."""

    blockers: tuple[Entry, ...]


Answer = Granted | Waiting | GaveUp


def conflicts(one: frozenset[str], other: frozenset[str]) -> bool:
    return COLLECT in one or COLLECT in other or bool(one & other)


def ask(lock: Lock, wish: Entry, now: float) -> tuple[Lock, Answer]:
    """Grant the wish, or queue it, or let it go; the lock as it is afterwards and the answer.

    ``wish.since`` is when it first asked; asking again keeps the place in the queue. A holder that asks again (a repeated
    delivery) is granted what it holds. The caller stores the lock only if it differs.
    """
    lock = _without_ended_leases(lock, now)
    if any(holder.operation_id == wish.operation_id for holder in lock.holders):
        return lock, Granted()
    queue = tuple(w for w in lock.queue if w.operation_id == wish.operation_id or now <= w.gives_up_at + ABANDONED_AFTER)
    place = next((i for i, waiter in enumerate(queue) if waiter.operation_id == wish.operation_id), len(queue))
    others = tuple(waiter for waiter in queue if waiter.operation_id != wish.operation_id)
    in_the_way = tuple(holder for holder in lock.holders if conflicts(holder.slots, wish.slots))
    in_the_way += tuple(w for w in queue[:place] if conflicts(w.slots, wish.slots) and not _may_pass(wish, w, lock.sweeper))
    sweeps = wish.operation == OperationKind.SWEEP.value
    named = {wish.operation_id, *(each.operation_id for each in in_the_way)}
    if sweeps and lock.sweeper is not None and lock.sweeper.operation_id not in named:
        in_the_way += (lock.sweeper,)
    if not in_the_way:
        granted = replace(wish, since=now)
        sweeper = granted if sweeps else lock.sweeper
        return replace(lock, holders=(*lock.holders, granted), queue=others, sweeper=sweeper), Granted()
    if now >= wish.gives_up_at:
        return replace(lock, queue=others), GaveUp(in_the_way)
    queued = queue if place < len(queue) else (*queue, wish)
    return replace(lock, queue=queued), Waiting(in_the_way)


def _without_ended_leases(lock: Lock, now: float) -> Lock:
    """What a Lambda that is no execution held, and did not give back in time, is nobody's."""
    left = tuple(held for held in lock.holders if not held.is_lease or now < held.since + LEASE_SECONDS)
    return replace(lock, holders=left)


def _may_pass(wish: Entry, waiter: Entry, sweeper: Entry | None) -> bool:
    """Putting a stage back never waits behind somebody who only waits to collect; and nobody, the sweep at work least of all,
    behind another sweep, which cannot begin before that one has ended."""
    if waiter.operation == OperationKind.SWEEP.value and sweeper is not None and sweeper.operation_id != waiter.operation_id:
        return True
    return wish.operation in ("rollback", "reset") and COLLECT in waiter.slots


def release(lock: Lock, operation_id: OperationId, slots: frozenset[str] | None = None) -> Lock:
    """The lock without ``slots`` of the operation; without anything of it, its place in the queue included, for None."""
    queue = lock.queue if slots is not None else tuple(w for w in lock.queue if w.operation_id != operation_id)
    holders = []
    for holder in lock.holders:
        if holder.operation_id == operation_id:
            left = frozenset() if slots is None else holder.slots - slots
            if not left:
                continue
            holder = replace(holder, slots=left)
        holders.append(holder)
    return replace(lock, holders=tuple(holders), queue=queue)


def sweep_is_over(lock: Lock, operation_id: OperationId) -> Lock:
    """The lock without the sweep, if it is the one at work."""
    at_work = lock.sweeper is not None and lock.sweeper.operation_id == operation_id
    return replace(lock, sweeper=None) if at_work else lock


def holds(lock: Lock, operation_id: OperationId, slots: frozenset[str]) -> bool:
    """Whether the operation holds all of ``slots`` now."""
    return any(holder.operation_id == operation_id and slots <= holder.slots for holder in lock.holders)


def seconds_until_next_ask(waited: float) -> int:
    """How long (seconds) to wait before asking again, after having waited this long already.

    Short at first, since most locks are held for seconds; 10 s later on, so that waiting a full hour stays far below
    5,000 history events (360 asks of about 11 events each).
    """
    return 1 if waited < 5 else 3 if waited < 30 else 10
