"""The rules of the lock, each on its own. What holds for any history of it is in test_lock_histories.py."""

from __future__ import annotations

import pytest

from stagekeeper.domain.lock import (
    ABANDONED_AFTER,
    COLLECT,
    LEASE,
    LEASE_SECONDS,
    PUBLISH,
    Entry,
    GaveUp,
    Granted,
    Lock,
    Waiting,
    ask,
    conflicts,
    holds,
    release,
    seconds_until_next_ask,
    slots_for,
    stage_slot,
)
from stagekeeper.domain.model import OperationId, StageName
from stagekeeper.domain.operation import OperationKind

DEV, QA, PROD = (stage_slot(StageName(name)) for name in ("dev", "qa", "prod"))


def entry(name: str, *slots: str, since: float = 0, patience: float = 1800, operation: str = "deploy") -> Entry:
    return Entry(OperationId(name), operation, frozenset(slots), since, since + patience)


def asked(lock: Lock, *wishes: Entry, now: float = 0) -> Lock:
    """The lock after each has asked once."""
    for wish in wishes:
        lock, _ = ask(lock, wish, now)
    return lock


def names(entries: tuple[Entry, ...]) -> list[str]:
    return [str(each.operation_id) for each in entries]


# What an operation needs.


NEEDS: list[tuple[OperationKind, str | None, set[str]]] = [
    (OperationKind.DEPLOY, "dev", {PUBLISH, DEV}),
    (OperationKind.DEPLOY, None, {PUBLISH}),
    (OperationKind.ROLLBACK, "dev", {DEV}),
    (OperationKind.RESET, "dev", {DEV}),
    (OperationKind.CLONE, "dev", {DEV}),
    (OperationKind.CONFIGURE, "dev", {DEV}),
    (OperationKind.TEARDOWN, "dev", {COLLECT}),
    (OperationKind.TEARDOWN, None, {COLLECT}),
    (OperationKind.SWEEP, None, {COLLECT}),
    (OperationKind.ADOPT, None, {COLLECT}),
    (OperationKind.ADOPT, "dev", {COLLECT}),
    (OperationKind.VERIFY, "dev", set()),
    (OperationKind.VERIFY, None, set()),
    (OperationKind.RECOVER, None, set()),
]


@pytest.mark.parametrize(("kind", "stage", "slots"), NEEDS)
def test_what_an_operation_needs(kind: OperationKind, stage: str | None, slots: set[str]) -> None:
    assert slots_for(kind, None if stage is None else StageName(stage)) == slots


def test_every_operation_is_among_them() -> None:
    assert {kind for kind, _, _ in NEEDS} == set(OperationKind)


def test_no_stage_can_be_named_like_another_slot() -> None:
    assert {stage_slot(StageName("publish")), stage_slot(StageName("collect"))}.isdisjoint({PUBLISH, COLLECT})


@pytest.mark.parametrize(
    ("one", "other", "in_conflict"),
    [
        ({DEV}, {DEV}, True),
        ({DEV}, {PROD}, False),
        ({PUBLISH, DEV}, {PUBLISH, QA}, True),
        ({PUBLISH, DEV}, {PROD}, False),
        ({COLLECT}, {DEV}, True),
        ({COLLECT}, {PUBLISH}, True),
        ({COLLECT}, {COLLECT}, True),
    ],
)
def test_collect_excludes_everything_and_every_other_slot_only_itself(
    one: set[str], other: set[str], *, in_conflict: bool
) -> None:
    assert conflicts(frozenset(one), frozenset(other)) is in_conflict
    assert conflicts(frozenset(other), frozenset(one)) is in_conflict


# Granting.


def test_a_free_lock_is_granted_whole() -> None:
    wish = entry("a", PUBLISH, DEV)
    lock, answer = ask(Lock(), wish, now=5)
    assert answer == Granted()
    assert holds(lock, wish.operation_id, frozenset({PUBLISH, DEV}))
    assert lock.holders[0].since == 5


def test_prod_can_roll_back_while_dev_deploys() -> None:
    lock = asked(Lock(), entry("deploy-dev", PUBLISH, DEV))
    assert ask(lock, entry("rollback-prod", PROD, operation="rollback"), 1)[1] == Granted()


def test_two_deploys_of_different_stages_publish_one_after_the_other() -> None:
    first = entry("deploy-dev", PUBLISH, DEV)
    lock = asked(Lock(), first)
    lock, answer = ask(lock, entry("deploy-qa", PUBLISH, QA), 1)
    assert isinstance(answer, Waiting)
    assert names(answer.blockers) == ["deploy-dev"]
    assert names(lock.queue) == ["deploy-qa"]


def test_nothing_is_granted_in_part() -> None:
    lock = asked(Lock(), entry("a", DEV), entry("b", PUBLISH, DEV))
    assert not holds(lock, OperationId("b"), frozenset({PUBLISH}))


def test_a_holder_that_asks_again_is_granted_what_it_holds_and_nothing_changes() -> None:
    wish = entry("a", DEV)
    lock = asked(Lock(), wish)
    assert ask(lock, wish, now=9_999) == (lock, Granted())


# The queue.


def test_waiters_are_served_in_order_of_arrival() -> None:
    first, second, third = entry("first", DEV), entry("second", DEV), entry("third", DEV)
    lock = release(asked(Lock(), first, second, third), first.operation_id)
    lock, answer = ask(lock, third, 1)
    assert isinstance(answer, Waiting)
    assert names(answer.blockers) == ["second"]
    assert ask(lock, second, 1)[1] == Granted()


def test_asking_again_keeps_the_place_in_the_queue() -> None:
    first, second, third = entry("first", DEV), entry("second", DEV), entry("third", DEV)
    lock = asked(Lock(), first, second, third, second, third, second)
    assert names(lock.queue) == ["second", "third"]


def test_asking_again_changes_nothing_so_that_nothing_is_written() -> None:
    first, second = entry("first", DEV), entry("second", DEV)
    lock = asked(Lock(), first, second)
    assert ask(lock, second, 10)[0] == lock


def test_a_granted_waiter_is_not_in_the_queue_any_more() -> None:
    first, second = entry("first", DEV), entry("second", DEV)
    lock = asked(release(asked(Lock(), first, second), first.operation_id), second, now=7)
    assert (names(lock.holders), lock.queue) == (["second"], ())


def test_a_waiter_is_let_past_one_it_does_not_conflict_with() -> None:
    lock = asked(Lock(), entry("deploy-dev", PUBLISH, DEV), entry("deploy-qa", PUBLISH, QA))
    assert ask(lock, entry("rollback-prod", PROD, operation="rollback"), 1)[1] == Granted()


def test_nobody_is_let_past_a_waiter_for_the_same_slot() -> None:
    """The rollback of qa could start at once, but would keep the deploy that came first waiting for longer."""
    lock = asked(Lock(), entry("deploy-dev", PUBLISH, DEV), entry("deploy-qa", PUBLISH, QA))
    lock, answer = ask(lock, entry("rollback-qa", QA, operation="rollback"), 1)
    assert isinstance(answer, Waiting)
    assert names(answer.blockers) == ["deploy-qa"]


@pytest.mark.parametrize(("operation", "passes"), [("rollback", True), ("reset", True), ("deploy", False), ("teardown", False)])
def test_only_a_rollback_or_a_reset_is_let_past_one_that_waits_to_collect(operation: str, *, passes: bool) -> None:
    lock = asked(Lock(), entry("deploy-dev", PUBLISH, DEV), entry("sweep", COLLECT, operation="sweep"))
    _, answer = ask(lock, entry("x", PROD, operation=operation), 1)
    assert (answer == Granted()) is passes


def test_a_rollback_waits_for_one_that_collects_already() -> None:
    lock = asked(Lock(), entry("sweep", COLLECT, operation="sweep"))
    assert isinstance(ask(lock, entry("rollback-prod", PROD, operation="rollback"), 1)[1], Waiting)


def test_holders_are_named_before_waiters() -> None:
    lock = asked(Lock(), entry("holder", DEV), entry("waiter", DEV))
    _, answer = ask(lock, entry("late", DEV), 1)
    assert isinstance(answer, Waiting)
    assert names(answer.blockers) == ["holder", "waiter"]


def test_only_who_is_in_the_way_is_named() -> None:
    lock = asked(Lock(), entry("dev", DEV), entry("prod", PROD))
    _, answer = ask(lock, entry("late", DEV), 1)
    assert isinstance(answer, Waiting)
    assert names(answer.blockers) == ["dev"]


# Giving up.


def test_a_waiter_gives_up_when_its_patience_ends_and_learns_who_blocked() -> None:
    lock = asked(Lock(), entry("holder", DEV))
    wish = entry("late", DEV, patience=30)
    lock = asked(lock, wish, now=0)
    assert isinstance(ask(lock, wish, 29.9)[1], Waiting)
    lock, answer = ask(lock, wish, 30)
    assert isinstance(answer, GaveUp)
    assert names(answer.blockers) == ["holder"]
    assert lock.queue == ()


def test_who_does_not_want_to_wait_is_refused_at_once_and_never_queued() -> None:
    lock = asked(Lock(), entry("holder", DEV))
    changed, answer = ask(lock, entry("late", DEV, patience=0), 0)
    assert isinstance(answer, GaveUp)
    assert changed == lock


def test_a_free_lock_is_granted_even_to_one_whose_patience_is_over() -> None:
    assert ask(Lock(), entry("late", DEV, patience=0), 100)[1] == Granted()


def test_a_waiter_that_was_seen_no_more_after_its_patience_blocks_nobody() -> None:
    gone, late = entry("gone", DEV, patience=30), entry("late", DEV)
    lock = release(asked(Lock(), entry("holder", DEV), gone, late), OperationId("holder"))
    assert isinstance(ask(lock, late, 30 + ABANDONED_AFTER)[1], Waiting)
    lock, answer = ask(lock, late, 30 + ABANDONED_AFTER + 0.1)
    assert answer == Granted()
    assert lock.queue == ()


def test_a_waiter_that_asks_late_still_has_its_place() -> None:
    """Its own entry is not abandoned: it is just asking."""
    slow, late = entry("slow", DEV, patience=30), entry("late", DEV)
    lock = release(asked(Lock(), entry("holder", DEV), slow, late), OperationId("holder"))
    assert ask(lock, slow, 500)[1] == Granted()


# Letting go.


def test_a_deploy_gives_publish_back_and_keeps_its_stage() -> None:
    lock = release(asked(Lock(), entry("deploy-dev", PUBLISH, DEV)), OperationId("deploy-dev"), frozenset({PUBLISH}))
    assert holds(lock, OperationId("deploy-dev"), frozenset({DEV}))
    assert not holds(lock, OperationId("deploy-dev"), frozenset({PUBLISH}))
    assert ask(lock, entry("deploy-qa", PUBLISH, QA), 1)[1] == Granted()


def test_letting_go_of_the_last_slot_ends_the_holding() -> None:
    lock = release(asked(Lock(), entry("build", PUBLISH)), OperationId("build"), frozenset({PUBLISH}))
    assert lock == Lock()


@pytest.mark.parametrize("slots", [frozenset({DEV}), None])
@pytest.mark.parametrize("leaving", ["a", "b", "c"])
def test_nobody_lets_go_for_another(leaving: str, slots: frozenset[str] | None) -> None:
    lock = asked(Lock(), entry("a", DEV), entry("b", QA), entry("c", PROD), entry("d", DEV, QA))
    after = release(lock, OperationId(leaving), slots)
    stays = leaving != "a" and slots is not None
    assert after.holders == tuple(holder for holder in lock.holders if holder.operation_id != leaving or stays)
    assert after.queue == lock.queue


def test_giving_back_a_slot_leaves_the_queue_as_it_is() -> None:
    lock = asked(Lock(), entry("a", DEV), entry("b", DEV))
    assert release(lock, OperationId("b"), frozenset({DEV})) == lock


def test_letting_go_of_everything_leaves_the_queue_too() -> None:
    lock = asked(Lock(), entry("a", DEV), entry("b", DEV))
    assert names(release(lock, OperationId("b")).queue) == []
    assert names(release(lock, OperationId("b")).holders) == ["a"]


@pytest.mark.parametrize("slots", [None, frozenset({PUBLISH})])
def test_letting_go_twice_is_as_good_as_once(slots: frozenset[str] | None) -> None:
    lock = asked(Lock(), entry("a", PUBLISH, DEV), entry("b", DEV))
    once = release(lock, OperationId("a"), slots)
    assert release(once, OperationId("a"), slots) == once


def test_holding_means_all_of_the_slots() -> None:
    lock = asked(Lock(), entry("a", DEV))
    assert not holds(lock, OperationId("a"), frozenset({DEV, PUBLISH}))
    assert not holds(lock, OperationId("b"), frozenset({DEV}))
    assert holds(lock, OperationId("a"), frozenset())
    assert not holds(lock, OperationId("b"), frozenset())


# Leases: held by a Lambda that is no execution, so that nobody could be asked whether it still lives.


def lease(name: str, since: float = 0) -> Entry:
    return entry(name, COLLECT, since=since, patience=20, operation=LEASE)


def test_a_lease_lets_nobody_in() -> None:
    lock = asked(Lock(), lease("theirs"))
    _, answer = ask(lock, entry("rollback-prod", PROD, operation="rollback"), LEASE_SECONDS - 0.1)
    assert isinstance(answer, Waiting)
    assert names(answer.blockers) == ["theirs"]


def test_a_lease_that_was_not_given_back_ends_by_itself() -> None:
    lock = asked(Lock(), lease("theirs"), now=100)
    lock, answer = ask(lock, entry("rollback-prod", PROD, operation="rollback"), 100 + LEASE_SECONDS)
    assert answer == Granted()
    assert names(lock.holders) == ["rollback-prod"]


def test_it_counts_from_the_grant_and_not_from_the_first_ask() -> None:
    lock = asked(Lock(), entry("holder", DEV), lease("theirs"))
    lock = asked(release(lock, OperationId("holder")), lease("theirs"), now=19)
    assert isinstance(ask(lock, entry("late", DEV), LEASE_SECONDS + 18.9)[1], Waiting)


def test_what_an_operation_holds_does_not_end_by_itself() -> None:
    lock = asked(Lock(), entry("sweep", COLLECT, operation="sweep"))
    late = entry("late", DEV, since=99 * LEASE_SECONDS)
    assert isinstance(ask(lock, late, late.since)[1], Waiting)


def test_a_lease_that_ended_is_asked_for_anew_like_any_other() -> None:
    """It is not a holder that asks again: somebody may have been let in since."""
    lock = asked(Lock(), lease("theirs"), entry("waits", DEV, since=1), now=1)
    _, answer = ask(lock, lease("theirs", since=70), 70)
    assert isinstance(answer, Waiting)
    assert names(answer.blockers) == ["waits"]


def test_a_lease_waits_behind_whoever_works_on_the_service_and_gives_up() -> None:
    lock = asked(Lock(), entry("deploy-dev", PUBLISH, DEV))
    lock, answer = ask(lock, lease("theirs"), 19.9)
    assert isinstance(answer, Waiting)
    lock, answer = ask(lock, lease("theirs"), 20)
    assert isinstance(answer, GaveUp)
    assert (names(answer.blockers), lock.queue) == (["deploy-dev"], ())


def test_a_lease_is_granted_between_two_batches_of_a_sweep() -> None:
    """Only other sweeps stand aside for that long."""
    lock = release(asked(Lock(), entry("sweep", COLLECT, operation="sweep")), OperationId("sweep"))
    assert lock.sweeper is not None
    assert ask(lock, lease("theirs"), 1)[1] == Granted()


def test_nobody_ends_a_lease_for_another() -> None:
    lock = asked(Lock(), lease("theirs"))
    assert release(lock, OperationId("mine")) == lock
    assert release(lock, OperationId("theirs")) == Lock()


# When to ask again.


@pytest.mark.parametrize(("waited", "pause"), [(0, 1), (4.9, 1), (5, 3), (29.9, 3), (30, 10), (3600, 10)])
def test_one_asks_again_soon_at_first_and_seldom_later(waited: float, pause: int) -> None:
    assert seconds_until_next_ask(waited) == pause
