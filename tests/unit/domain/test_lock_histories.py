"""The lock under any history of operations that come, ask again, let go, die and leave: what must hold at every moment."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from stagekeeper.domain.lock import (
    ABANDONED_AFTER,
    COLLECT,
    PUBLISH,
    Answer,
    Entry,
    GaveUp,
    Granted,
    Lock,
    Waiting,
    ask,
    conflicts,
    release,
    stage_slot,
    sweep_is_over,
)
from stagekeeper.domain.model import OperationId, StageName

STAGES = [stage_slot(StageName(name)) for name in ("dev", "qa", "prod")]

#: What an operation is and what it needs, as the design's table has it.
WISHES = (
    [("deploy", frozenset({PUBLISH, stage})) for stage in STAGES]
    + [("deploy", frozenset({PUBLISH}))]
    + [(operation, frozenset({stage})) for operation in ("rollback", "reset", "clone") for stage in STAGES]
    + [("teardown", frozenset({COLLECT})), ("sweep", frozenset({COLLECT}))]
)


def passes(one: Entry, other: Entry) -> bool:
    """Whether ``one`` may be served although ``other`` came first and has not been served."""
    if not conflicts(one.slots, other.slots):
        return True
    return one.operation in ("rollback", "reset") and COLLECT in other.slots


class LockHistories(RuleBasedStateMachine):
    """``alive`` are the operations that still ask, in order of arrival; ``served`` are those that were granted."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = Lock()
        self.now = 1_000.0
        self.count = 0
        self.alive: dict[OperationId, Entry] = {}
        self.served: set[OperationId] = set()

    def _ask(self, wish: Entry) -> Answer:
        before = self.lock
        changed, answer = ask(before, wish, self.now)
        assert ask(before, wish, self.now) == (changed, answer)
        self.lock = changed
        match answer:
            case Granted():
                if wish.operation_id not in self.served:
                    self._check_nobody_was_passed(before, wish)
                self.served.add(wish.operation_id)
                assert ask(changed, wish, self.now) == (changed, answer)
            case Waiting(blockers=blockers) | GaveUp(blockers=blockers):
                assert blockers
                assert all(conflicts(blocker.slots, wish.slots) for blocker in blockers)
                sweeper = {before.sweeper} - {None} if wish.operation == "sweep" else set()
                assert set(blockers) <= {*before.holders, *before.queue, *sweeper}
                if isinstance(answer, Waiting):
                    assert ask(changed, wish, self.now) == (changed, answer)
                else:
                    assert self.now >= wish.gives_up_at
                    del self.alive[wish.operation_id]
                    # A sweep that gives up between two batches ends, and whoever asks next finds that on its record.
                    self.lock = sweep_is_over(self.lock, wish.operation_id)
        return answer

    def _check_nobody_was_passed(self, before: Lock, wish: Entry) -> None:
        queued = [waiter.operation_id for waiter in before.queue]
        ahead = before.queue[: queued.index(wish.operation_id)] if wish.operation_id in queued else before.queue
        for waiter in ahead:
            # A sweep that waits for another one to end is in nobody's way.
            other = before.sweeper is not None and before.sweeper.operation_id != waiter.operation_id
            idle = other and waiter.operation == "sweep"
            assert idle or passes(wish, waiter) or self.now > waiter.gives_up_at + ABANDONED_AFTER

    @rule(what=st.sampled_from(WISHES), patience=st.sampled_from([0, 30, 1800]))
    def arrive(self, what: tuple[str, frozenset[str]], patience: int) -> None:
        self.count += 1
        operation, slots = what
        wish = Entry(OperationId(f"op-{self.count}"), operation, slots, self.now, self.now + patience)
        self.alive[wish.operation_id] = wish
        self._ask(wish)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        wish = data.draw(st.sampled_from(list(self.alive.values())))
        at_work = self.lock.sweeper is not None and self.lock.sweeper.operation_id == wish.operation_id
        if at_work and all(each.operation_id != wish.operation_id for each in (*self.lock.holders, *self.lock.queue)):
            # Each batch of a sweep arrives anew.
            wish = self.alive[wish.operation_id] = replace(wish, since=self.now)
        self._ask(wish)

    @precondition(lambda self: self._publishers())
    @rule(data=st.data())
    def give_publish_back(self, data: st.DataObject) -> None:
        """As a deploy does that still holds its stage; one without a stage lets go of everything at its end."""
        holder = data.draw(st.sampled_from(self._publishers()))
        self.lock = release(self.lock, holder.operation_id, frozenset({PUBLISH}))
        assert release(self.lock, holder.operation_id, frozenset({PUBLISH})) == self.lock

    @precondition(lambda self: self.lock.holders)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        holder = data.draw(st.sampled_from(self.lock.holders))
        self._let_go(holder.operation_id)

    @precondition(lambda self: self.lock.sweeper is not None)
    @rule()
    def pause_between_batches(self) -> None:
        """A sweep lets everybody in but other sweeps; it comes back."""
        at_work = self.lock.sweeper
        assert at_work is not None
        self.lock = release(self.lock, at_work.operation_id)
        self.served.discard(at_work.operation_id)

    @precondition(lambda self: self.lock.queue)
    @rule(data=st.data())
    def die_while_waiting(self, data: st.DataObject) -> None:
        """It asks no more, but its place stays until its patience is over."""
        waiter = data.draw(st.sampled_from(self.lock.queue))
        self.alive.pop(waiter.operation_id, None)

    @rule(seconds=st.sampled_from([1, 10, 31, 61, 1900]))
    def time_goes_by(self, seconds: int) -> None:
        self.now += seconds

    def _publishers(self) -> list[Entry]:
        return [holder for holder in self.lock.holders if holder.slots > {PUBLISH}]

    def _let_go(self, operation_id: OperationId) -> None:
        self.lock = sweep_is_over(release(self.lock, operation_id), operation_id)
        assert release(self.lock, operation_id) == self.lock
        self.alive.pop(operation_id, None)
        self.served.discard(operation_id)

    @invariant()
    def no_two_hold_the_same(self) -> None:
        for one, other in itertools.combinations(self.lock.holders, 2):
            assert not conflicts(one.slots, other.slots)

    @invariant()
    def no_two_sweeps_are_at_work(self) -> None:
        sweeps = {holder.operation_id for holder in self.lock.holders if holder.operation == "sweep"}
        assert not sweeps or (self.lock.sweeper is not None and sweeps == {self.lock.sweeper.operation_id})

    @invariant()
    def nobody_is_there_twice(self) -> None:
        everybody = [each.operation_id for each in (*self.lock.holders, *self.lock.queue)]
        assert len(everybody) == len(set(everybody))

    @invariant()
    def nobody_holds_what_it_did_not_ask_for(self) -> None:
        for holder in self.lock.holders:
            wish = self.alive.get(holder.operation_id)
            assert holder.slots
            assert wish is None or holder.slots <= wish.slots

    @invariant()
    def the_queue_is_in_order_of_arrival(self) -> None:
        arrivals = [waiter.since for waiter in self.lock.queue if waiter.operation_id in self.alive]
        assert arrivals == sorted(arrivals)

    def teardown(self) -> None:
        """Nobody starves: once the holders end, all who still wait are served, and the lock is empty in the end.

        Each round everybody asks, and whoever is served ends. Those with patience left are all served within as many
        rounds as there are of them; the dead ones drop out with time.
        """
        self.alive = {key: replace(wish, gives_up_at=self.now + 10_000) for key, wish in self.alive.items()}
        queue = tuple(self.alive.get(waiter.operation_id, waiter) for waiter in self.lock.queue)
        self.lock = replace(self.lock, queue=queue)
        self.now += 1800 + ABANDONED_AFTER + 1
        for holder in self.lock.holders:
            self._let_go(holder.operation_id)
        for _ in range(len(self.alive)):
            served = [wish for wish in list(self.alive.values()) if isinstance(self._ask(wish), Granted)]
            assert served or not self.alive
            for wish in served:
                self._let_go(wish.operation_id)
        assert not self.alive
        assert not self.lock.holders


LockHistories.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestLockHistories = LockHistories.TestCase
