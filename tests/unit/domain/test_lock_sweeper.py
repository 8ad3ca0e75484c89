"""One sweep of a service at a time, from its first batch to its last, while everybody else gets in between the batches."""

from __future__ import annotations

from stagekeeper.domain.lock import (
    COLLECT,
    PUBLISH,
    Entry,
    GaveUp,
    Granted,
    Lock,
    Waiting,
    ask,
    release,
    stage_slot,
    sweep_is_over,
)
from stagekeeper.domain.model import OperationId, StageName

DEV = stage_slot(StageName("dev"))


def wish(name: str, *slots: str, operation: str, since: float = 0, patience: float = 1800) -> Entry:
    return Entry(OperationId(name), operation, frozenset(slots), since, since + patience)


def sweep(name: str, since: float = 0, patience: float = 1800) -> Entry:
    return wish(name, COLLECT, operation="sweep", since=since, patience=patience)


def between_batches(name: str = "first") -> Lock:
    lock, answer = ask(Lock(), sweep(name), 0)
    assert answer == Granted()
    return release(lock, OperationId(name))


def test_a_sweep_is_at_work_from_its_first_batch_on() -> None:
    lock = between_batches()

    assert lock.holders == ()
    assert lock.sweeper is not None
    assert lock.sweeper.operation_id == "first"


def test_another_sweep_is_told_who_is_at_work() -> None:
    _, answer = ask(between_batches(), sweep("second"), 1)

    assert isinstance(answer, Waiting)
    assert [blocker.operation_id for blocker in answer.blockers] == ["first"]


def test_one_that_does_not_wait_stands_aside() -> None:
    lock, answer = ask(between_batches(), sweep("second", since=1, patience=0), 1)

    assert isinstance(answer, GaveUp)
    assert lock.queue == ()


def test_during_a_batch_it_is_named_once() -> None:
    lock, _ = ask(between_batches(), sweep("first"), 1)

    _, answer = ask(lock, sweep("second"), 1)

    assert isinstance(answer, Waiting)
    assert [blocker.operation_id for blocker in answer.blockers] == ["first"]


def test_it_comes_back_itself() -> None:
    _, answer = ask(between_batches(), sweep("first"), 1)

    assert answer == Granted()


def test_everybody_else_gets_in_between_two_batches() -> None:
    for other in (
        wish("deploy", PUBLISH, DEV, operation="deploy"),
        wish("teardown", COLLECT, operation="teardown"),
        wish("custom", COLLECT, operation="custom-resource"),
    ):
        assert ask(between_batches(), other, 1)[1] == Granted(), other


def test_once_it_is_over_the_next_one_is_at_work() -> None:
    lock, answer = ask(sweep_is_over(between_batches(), OperationId("first")), sweep("second"), 1)

    assert answer == Granted()
    assert lock.sweeper is not None
    assert lock.sweeper.operation_id == "second"


def test_nobody_ends_anothers_sweep() -> None:
    lock = between_batches()

    assert sweep_is_over(lock, OperationId("second")) == lock


def both() -> Lock:
    """The first sweep is between two batches, the second waits for its end."""
    lock, answer = ask(between_batches(), sweep("second"), 1)
    assert isinstance(answer, Waiting)
    assert [waiter.operation_id for waiter in lock.queue] == ["second"]
    return lock


def test_it_comes_back_past_another_sweep_that_waits_for_its_end() -> None:
    assert ask(both(), sweep("first"), 2)[1] == Granted()


def test_nobody_waits_behind_a_sweep_that_waits_for_another_ones_end() -> None:
    assert ask(both(), wish("deploy", PUBLISH, DEV, operation="deploy"), 2)[1] == Granted()


def test_when_that_has_ended_it_has_its_place_in_the_order_of_arrival() -> None:
    lock, _ = ask(both(), wish("holder", DEV, operation="clone"), 2)
    lock = sweep_is_over(lock, OperationId("first"))

    _, answer = ask(lock, wish("deploy", PUBLISH, operation="deploy"), 3)

    assert isinstance(answer, Waiting)
    assert [blocker.operation_id for blocker in answer.blockers] == ["second"]
