"""Which versions a stage served when. Times are minutes; the grace of what was left is sixteen of them, near enough."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.model import FunctionArn, LogicalName, ReleaseNumber, Stage, VersionNumber
from stagekeeper.domain.served import (
    GRACE_SECONDS,
    Contents,
    Held,
    Move,
    Served,
    Timeline,
    Unknown,
    Window,
    named_releases,
    timeline,
)
from tests.unit.domain.builders import alias, arn, stage, version

GRACE = GRACE_SECONDS / 60
WHOLE_DAY = (0.0, 1000.0)


def move(at: float, left: int | None, to: int | None, *, took: float = 1, **displaced: int) -> Move:
    """A move that is on the ledger since minute ``at`` and began ``took`` minutes before."""
    numbers = [None if number is None else ReleaseNumber(number) for number in (left, to)]
    versions = {arn(name): version(number) for name, number in displaced.items()}
    return Move(60 * (at - took), 60 * at, numbers[0], numbers[1], versions)


def contents(**releases: Mapping[str, int | None]) -> Contents:
    """``r7={"api": 12}``: r7 has api's content, which version 12 carries."""
    return {
        ReleaseNumber(int(name[1:])): {
            arn(function): Held(LogicalName(function), None if number is None else version(number))
            for function, number in held.items()
        }
        for name, held in releases.items()
    }


def told(found: Timeline) -> list[tuple[str, int, float, float]]:
    """Function, version, from when, to when."""
    return [(each.function, each.version.value, each.since / 60, each.until / 60) for each in found.served]


def served(
    of: Stage | None, moves: list[Move], held: Contents, window: tuple[float, float] = WHOLE_DAY
) -> list[tuple[str, int, float, float]]:
    return told(timeline(of, moves, held, Window(60 * window[0], 60 * window[1])))


R6_AND_R7 = contents(r6={"api": 12}, r7={"api": 13})


def test_without_a_move_in_the_window_it_is_what_the_record_says_of_now() -> None:
    assert served(stage(7, api=13, worker=4), [], {}) == [("api", 13, 0, 1000), ("worker", 4, 0, 1000)]


def test_a_move_ends_the_older_version_when_its_last_invocation_must_have_ended() -> None:
    assert served(stage(7, api=13), [move(500, 6, 7)], R6_AND_R7) == [("api", 12, 0, 500 + GRACE), ("api", 13, 499, 1000)]


def test_the_newer_version_is_served_since_its_operation_began() -> None:
    """Aliases move before the ledger has the line; with a stage's stack in between minutes before."""
    assert served(stage(7, api=13), [move(500, 6, 7, took=20)], R6_AND_R7)[1] == ("api", 13, 480, 1000)


def test_a_version_that_a_move_left_in_place_was_served_all_the_time() -> None:
    held = contents(r6={"api": 12, "worker": 4}, r7={"api": 13, "worker": 4})

    assert served(stage(7, api=13, worker=4), [move(500, 6, 7)], held)[-1] == ("worker", 4, 0, 1000)


@pytest.mark.parametrize(
    ("window", "seen"),
    [
        ((510, 600), [("api", 12, 510, 500 + GRACE), ("api", 13, 510, 600)]),
        ((520, 600), [("api", 13, 520, 600)]),
        ((400, 490), [("api", 12, 400, 490)]),
        ((499, 499), [("api", 12, 499, 499), ("api", 13, 499, 499)]),
    ],
    ids=["within the grace", "after it", "before the move", "at one moment"],
)
def test_only_what_was_served_in_the_window_counts(
    window: tuple[float, float], seen: list[tuple[str, int, float, float]]
) -> None:
    assert served(stage(7, api=13), [move(500, 6, 7)], R6_AND_R7, window) == seen


def test_the_ledger_is_needed_since_the_grace_before_the_window() -> None:
    """A move before the window's beginning may have left what is still at work in it."""
    assert Window(1000.0, 2000.0).ledger_since == 1000.0 - GRACE_SECONDS


def test_there_and_back_again_is_served_twice() -> None:
    moves = [move(800, 7, 6), move(500, 6, 7)]

    assert served(stage(6, api=12), moves, R6_AND_R7) == [
        ("api", 12, 0, 500 + GRACE),
        ("api", 13, 499, 800 + GRACE),
        ("api", 12, 799, 1000),
    ]


def test_a_function_that_a_deploy_brought_was_not_served_before() -> None:
    held = contents(r6={"api": 12}, r7={"api": 12, "worker": 1})

    assert served(stage(7, api=12, worker=1), [move(500, 6, 7)], held) == [("api", 12, 0, 1000), ("worker", 1, 499, 1000)]


def test_a_function_that_a_deploy_dropped_ends_with_it() -> None:
    held = contents(r6={"api": 12, "worker": 4}, r7={"api": 12})

    assert served(stage(7, api=12), [move(500, 6, 7)], held) == [("api", 12, 0, 1000), ("worker", 4, 0, 500 + GRACE)]


def test_a_function_that_a_rollback_kept_goes_on_with_its_version() -> None:
    """The rollback's release says nothing of it; the release before does."""
    held = contents(r6={"api": 12}, r7={"api": 13, "worker": 4})

    assert served(stage(6, api=12, worker=4), [move(500, 7, 6)], held)[-1] == ("worker", 4, 0, 1000)


def test_a_kept_function_stays_kept_through_a_move_whose_releases_both_say_nothing_of_it() -> None:
    assert served(stage(7, api=13, worker=4), [move(500, 6, 7)], R6_AND_R7)[-1] == ("worker", 4, 0, 1000)


def test_what_a_rollback_of_a_mixed_stage_kept_was_really_served_before() -> None:
    """Its release says version 4 of the worker, and its record said 5: nobody moved that alias."""
    held = contents(r6={"api": 12}, r7={"api": 13, "worker": 4})

    assert served(stage(6, api=12, worker=5), [move(500, 7, 6)], held)[2:] == [
        ("worker", 4, 0, 500 + GRACE),
        ("worker", 5, 0, 1000),
    ]


def test_a_move_that_waited_long_for_its_turn_shortens_nothing() -> None:
    """It began before the one that came before it, and left the version in place."""
    held = contents(r5={"api": 11}, r6={"api": 12}, r7={"api": 12})
    moves = [move(520, 6, 7, took=60), move(500, 5, 6)]

    assert served(stage(7, api=12), moves, held)[-1] == ("api", 12, 460, 1000)


def test_what_a_kept_function_left_is_in_the_ledgers_line() -> None:
    held = contents(r6={"api": 12}, r7={"api": 12, "worker": 5})

    assert served(stage(7, api=12, worker=5), [move(500, 6, 7, worker=4)], held)[1:] == [
        ("worker", 4, 0, 500 + GRACE),
        ("worker", 5, 499, 1000),
    ]


def test_overwritten_drift_was_served_beside_what_the_release_says() -> None:
    """Since when somebody else had moved the alias is not on record."""
    found = served(stage(7, api=13), [move(500, 6, 7, api=9)], R6_AND_R7)

    assert found == [("api", 9, 0, 500 + GRACE), ("api", 12, 0, 500 + GRACE), ("api", 13, 499, 1000)]


def test_a_version_displaced_from_a_function_that_nothing_names_any_more_goes_by_its_arn() -> None:
    assert served(stage(7, api=13), [move(500, 6, 7, gone=3)], R6_AND_R7)[-1][:2] == ("orders-gone", 3)


def test_a_mixed_stage_serves_what_its_record_says_and_what_its_release_does() -> None:
    held = contents(r7={"api": 13, "worker": 4})

    assert served(stage(7, mixed=True, api=14, worker=4), [], held) == [
        ("api", 13, 0, 1000),
        ("api", 14, 0, 1000),
        ("worker", 4, 0, 1000),
    ]


def test_a_stage_that_became_mixed_while_it_was_made_serves_what_its_record_says() -> None:
    assert served(stage(None, mixed=True, api=1), [], {}) == [("api", 1, 0, 1000)]


def test_before_it_was_made_a_stage_served_nothing() -> None:
    assert served(stage(7, api=13), [move(500, None, 7)], R6_AND_R7) == [("api", 13, 499, 1000)]


def test_a_stage_that_is_torn_down_served_its_last_release_until_then() -> None:
    assert served(None, [move(500, 7, None)], R6_AND_R7) == [("api", 13, 0, 500 + GRACE)]


def test_a_stage_that_is_made_again_served_nothing_in_between() -> None:
    moves = [move(800, None, 7), move(500, 6, None)]

    assert served(stage(7, api=13), moves, R6_AND_R7) == [("api", 12, 0, 500 + GRACE), ("api", 13, 799, 1000)]


def test_a_stage_that_never_was_serves_nothing() -> None:
    assert timeline(None, [], {}, Window(0, 1)) == Timeline(())


@pytest.mark.parametrize(
    ("held", "unknown"),
    [
        (contents(r6={"api": None}, r7={"api": 13}), Unknown(ReleaseNumber(6), LogicalName("api"))),
        (contents(r7={"api": 13}), Unknown(ReleaseNumber(6))),
    ],
    ids=["a version that was swept", "a release that is not on record"],
)
def test_what_is_not_on_record_any_more_is_said(held: Contents, unknown: Unknown) -> None:
    found = timeline(stage(7, api=13), [move(500, 6, 7)], held, Window(0, 60_000))

    assert (told(found), found.unknown) == ([("api", 13, 499, 1000)], (unknown,))


def test_what_is_not_on_record_and_not_of_the_window_is_not_said() -> None:
    held = contents(r6={"api": None}, r7={"api": 13})

    assert timeline(stage(7, api=13), [move(500, 6, 7)], held, Window(60 * 600, 60 * 700)).unknown == ()


@pytest.mark.parametrize(
    ("of", "moves", "named"),
    [
        (stage(7, api=13), [], set()),
        (stage(7, api=13), [move(500, 6, 7), move(400, None, 6)], {6, 7}),
        (None, [move(500, 7, None)], {7}),
        (stage(7, mixed=True, api=14), [], {7}),
    ],
    ids=["no move", "moves", "torn down", "mixed"],
)
def test_only_releases_that_are_needed_are_asked_for(of: Stage | None, moves: list[Move], named: set[int]) -> None:
    assert named_releases(of, moves) == named


# Whatever happened: built forwards, looked at backwards.

FUNCTIONS = ("api", "worker", "mailer")
histories = st.lists(
    st.dictionaries(st.sampled_from(FUNCTIONS), st.integers(1, 4), min_size=1, max_size=3), min_size=1, max_size=6
)


def serving(release: int, versions: Mapping[str, int]) -> Stage:
    return replace(stage(release), aliases={arn(name): alias(name, number) for name, number in versions.items()})


@given(histories)
def test_of_any_history_of_deploys_exactly_what_each_served_is_found(states: list[dict[str, int]]) -> None:
    """Deploys of whole releases, one every 100 minutes; each serves until the next, and the grace beyond."""
    held = contents(**{f"r{number}": state for number, state in enumerate(states, start=1)})
    moves = [move(100 * number, number, number + 1, took=0) for number in range(1, len(states))]
    now = serving(len(states), states[-1])

    found = served(now, moves[::-1], held, (0, 1000))

    for number, state in enumerate(states, start=1):
        moment = 100 * number - 50  # between two moves, and out of the grace of the one before
        at_work = {(function, at) for function, at, since, until in found if since <= moment <= until}
        assert at_work == set(state.items())


@given(histories, st.floats(0, 800), st.floats(0, 200))
def test_no_span_is_outside_the_window_and_no_version_has_two_that_touch(
    states: list[dict[str, int]], since: float, length: float
) -> None:
    held = contents(**{f"r{number}": state for number, state in enumerate(states, start=1)})
    moves = [move(20 * number, number, number + 1) for number in range(1, len(states))]
    window = Window(60 * since, 60 * (since + length))

    found = timeline(serving(len(states), states[-1]), moves[::-1], held, window).served

    spans: dict[tuple[FunctionArn, VersionNumber], list[Served]] = {}
    for each in found:
        assert window.since <= each.since <= each.until <= window.until
        spans.setdefault((each.arn, each.version), []).append(each)
    for pieces in spans.values():
        assert all(earlier.until < later.since for earlier, later in itertools.pairwise(pieces))


def test_the_longest_invocation_that_lambda_allows_fits_into_the_grace() -> None:
    assert 15 * 60 < GRACE_SECONDS < math.inf


def test_another_home_of_the_same_name_is_another_function() -> None:
    home = stage(7, api=13)
    moved = {arn("api"): home.aliases[arn("api")], arn("elsewhere"): home.aliases[arn("api")]}

    found = timeline(replace(home, aliases=moved), [], {}, Window(0, 1)).served

    assert [each.arn for each in found] == sorted(moved)
