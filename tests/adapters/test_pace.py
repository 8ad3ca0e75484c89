"""The pace of calls on the shared budget: N calls take N/15 s at best, and half the pace after a throttle."""

from __future__ import annotations

import pytest

from stagekeeper.aws.pace import GET_FUNCTION_PER_SECOND, RECOVERY_SECONDS, SHARED_PER_SECOND, SLOWEST_PER_SECOND, Pace

from .clock import Clock


def seconds_for(pace: Pace, clock: Clock, calls: int) -> float:
    began = clock.now()
    for _ in range(calls):
        pace.wait()
    return clock.now() - began


def test_the_budgets_are_those_of_aws_or_under() -> None:
    assert SHARED_PER_SECOND == 15
    assert GET_FUNCTION_PER_SECOND <= 100


@pytest.mark.parametrize("calls", [1, 15, 200])
def test_calls_go_out_at_fifteen_a_second(clock: Clock, calls: int) -> None:
    assert seconds_for(Pace(clock), clock, calls) == pytest.approx((calls - 1) / 15)


def test_a_second_holds_no_more_than_fifteen_calls_even_after_a_rest(clock: Clock) -> None:
    pace = Pace(clock)
    seconds_for(pace, clock, 15)
    clock.sleep(100)

    assert seconds_for(pace, clock, 16) == pytest.approx(1)


def test_time_that_passes_between_calls_counts(clock: Clock) -> None:
    pace = Pace(clock)
    pace.wait()
    clock.sleep(1)
    slept = clock.slept

    pace.wait()

    assert clock.slept == slept


def test_after_a_throttle_the_pace_is_half(clock: Clock) -> None:
    pace = Pace(clock)
    pace.wait()
    pace.slow_down()

    # Short of the moment where it may recover.
    assert seconds_for(pace, clock, 8) == pytest.approx(8 / 7.5)


def test_throttles_in_a_row_slow_down_to_one_a_second_and_no_further(clock: Clock) -> None:
    pace = Pace(clock)
    for _ in range(10):
        pace.slow_down()

    assert seconds_for(pace, clock, 2) == pytest.approx(2 / SLOWEST_PER_SECOND)


def test_without_another_throttle_the_pace_comes_back_to_what_it_was(clock: Clock) -> None:
    pace = Pace(clock)
    for _ in range(4):
        pace.slow_down()
    for _ in range(5):
        clock.sleep(RECOVERY_SECONDS)
        pace.wait()

    assert seconds_for(pace, clock, 150) == pytest.approx(150 / 15)
