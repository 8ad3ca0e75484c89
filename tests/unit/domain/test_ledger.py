"""The way back: what a rollback can reach. A stack: deploys push what the stage left, rollbacks pop."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from stagekeeper.domain.ledger import WAY_BACK_LIMIT, choose_rollback, popped, pushed, taken_off
from stagekeeper.domain.model import ReleaseNumber, Stage
from stagekeeper.domain.refusal import Code
from tests.unit.domain.builders import DEV, numbers, refused, stage


def deployed(at: Stage | None, number: int) -> Stage:
    """The stage after a deploy of r``number``."""
    return Stage(DEV, ReleaseNumber(number), pushed(at, ReleaseNumber(number)), {})


def rolled_back(at: Stage, *, to: int | None = None, steps: int | None = None) -> Stage:
    """The stage after a rollback."""
    target = choose_rollback(at, None if to is None else ReleaseNumber(to), steps)
    assert isinstance(target, int), target
    return Stage(DEV, target, popped(at, target, steps), {})


def after(*releases: int) -> Stage:
    """The stage after these were deployed one after the other."""
    at = None
    for number in releases:
        at = deployed(at, number)
    assert at is not None
    return at


def test_a_new_stage_has_an_empty_way_back() -> None:
    assert after(1).way_back == ()


def test_a_deploy_pushes_the_release_it_leaves() -> None:
    assert after(1, 2, 3).way_back == numbers(2, 1)


def test_repairing_drift_pushes_nothing() -> None:
    assert after(1, 2, 2).way_back == numbers(1)


def test_a_stage_that_became_mixed_while_it_was_made_has_nothing_to_push() -> None:
    assert deployed(stage(None, mixed=True), 1).way_back == ()


def test_a_deploy_over_a_mixed_stage_pushes_the_release_recorded_before_the_failure() -> None:
    assert deployed(stage(2, 1, mixed=True), 3).way_back == numbers(2, 1)


def test_a_rollback_goes_to_what_the_stage_served_before() -> None:
    back = rolled_back(after(1, 2, 3))
    assert (back.release, back.way_back) == (2, numbers(1))


def test_rolling_back_twice_goes_two_releases_back_and_does_not_toggle() -> None:
    assert rolled_back(rolled_back(after(1, 2, 3))).release == 1


def test_a_rollback_is_not_version_minus_one() -> None:
    assert rolled_back(after(1, 7, 3)).release == 7


def test_a_release_of_the_way_back_may_be_named() -> None:
    back = rolled_back(after(1, 2, 3), to=1)
    assert (back.release, back.way_back) == (1, ())


def test_of_a_release_that_was_served_more_than_once_the_newest_time_counts() -> None:
    assert rolled_back(after(2, 1, 2, 3), to=2).way_back == numbers(1, 2)


def test_steps_count_movements_also_where_a_release_was_served_more_than_once() -> None:
    """r2 is one step and three steps back; three steps pop three."""
    back = rolled_back(after(1, 2, 3, 2, 4), steps=3)
    assert (back.release, back.way_back) == (2, numbers(1))


@given(st.lists(st.integers(1, 4), min_size=2, max_size=12), st.integers(1, 12))
def test_so_many_steps_are_as_good_as_so_many_rollbacks(releases: list[int], steps: int) -> None:
    at = after(*releases)
    assume(steps <= len(at.way_back) and at.way_back[steps - 1] != at.release)
    one_by_one = at
    for _ in range(steps):
        one_by_one = rolled_back(one_by_one)
    assert rolled_back(at, steps=steps) == one_by_one


@given(st.lists(st.integers(1, 4), min_size=1, max_size=12))
def test_two_neighbours_of_the_way_back_always_differ(releases: list[int]) -> None:
    """Else a rollback would change nothing."""
    at = after(*releases)
    line = (at.release, *at.way_back)
    assert all(newer != older for newer, older in itertools.pairwise(line))


def test_a_rollback_of_a_mixed_stage_goes_to_the_release_before_the_failure_and_pops_nothing() -> None:
    back = rolled_back(stage(2, 1, mixed=True))
    assert (back.release, back.way_back) == (2, numbers(1))


@pytest.mark.parametrize(("to", "steps"), [(1, None), (None, 1)])
def test_a_rollback_of_a_mixed_stage_can_still_name_an_older_release(to: int | None, steps: int | None) -> None:
    back = rolled_back(stage(2, 1, mixed=True), to=to, steps=steps)
    assert (back.release, back.way_back) == (1, ())


def test_naming_the_release_that_is_served_pops_nothing() -> None:
    back = rolled_back(after(1, 2), to=2)
    assert (back.release, back.way_back) == (2, numbers(1))


@pytest.mark.parametrize(
    ("before", "after", "off"),
    [
        ((2, 1), (1,), (2,)),
        ((3, 2, 1), (), (3, 2, 1)),
        ((2, 3, 2, 1), (1,), (2, 3, 2)),
        ((2, 1), (2, 1), ()),
        ((), (), ()),
        ((2, 1), (3, 2, 1), ()),
        ((), (1,), ()),
        ((3, 2, 1), (4,), ()),
    ],
    ids=[
        "one step",
        "all",
        "served more than once",
        "put right",
        "nothing there",
        "pushed",
        "the first is pushed",
        "another past",
    ],
)
def test_what_a_movement_took_off_the_way_back(before: tuple[int, ...], after: tuple[int, ...], off: tuple[int, ...]) -> None:
    assert taken_off(numbers(*before), numbers(*after)) == numbers(*off)


def test_what_falls_off_a_full_way_back_was_not_taken_off_by_a_rollback() -> None:
    full = after(*range(1, WAY_BACK_LIMIT + 2))
    assert len(full.way_back) == WAY_BACK_LIMIT
    assert taken_off(full.way_back, deployed(full, 999).way_back) == ()


@given(st.lists(st.integers(1, 4), min_size=2, max_size=12), st.integers(1, 12))
def test_a_rollback_takes_off_as_many_as_it_goes_back(releases: list[int], steps: int) -> None:
    at = after(*releases)
    assume(steps <= len(at.way_back) and at.way_back[steps - 1] != at.release)
    assert taken_off(at.way_back, rolled_back(at, steps=steps).way_back) == at.way_back[:steps]


def test_a_release_outside_of_the_way_back_is_refused_with_the_choice_there_is() -> None:
    refusal = refused(choose_rollback(after(1, 2, 3), ReleaseNumber(5), None))
    assert refusal.code is Code.RELEASE_NOT_FOUND
    assert "r5 is not in the way back of stage dev, which is r2, r1." in refusal.message
    assert "reset" in refusal.message


@pytest.mark.parametrize(
    ("at", "steps", "sentence"),
    [
        (after(1), None, "Stage dev serves r1 and its way back is empty: there is nothing 1 step before it."),
        (after(1, 2), 2, "Stage dev serves r2 and its way back is r1: there is nothing 2 steps before it."),
        (stage(None, mixed=True), None, "Stage dev serves no release and its way back is empty"),
    ],
)
def test_more_steps_than_there_are_is_nothing_to_roll_back(at: Stage, steps: int | None, sentence: str) -> None:
    refusal = refused(choose_rollback(at, None, steps))
    assert refusal.code is Code.NOTHING_TO_ROLL_BACK
    assert sentence in refusal.message


def test_the_oldest_entries_fall_off() -> None:
    at = after(*range(1, WAY_BACK_LIMIT + 10))
    assert len(at.way_back) == WAY_BACK_LIMIT
    assert at.way_back[0] == WAY_BACK_LIMIT + 8
