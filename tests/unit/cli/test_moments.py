"""Moments as people type them."""

from __future__ import annotations

import pytest

from stagekeeper.aws.clock import epoch
from stagekeeper.cli.moments import moment

NOW = epoch("2026-11-21T12:00:00Z")


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30s", 30), ("10m", 600), ("2h", 7200), ("3d", 3 * 86400), ("1w", 7 * 86400), ("0s", 0), (" 5m ", 300)],
)
def test_so_long_ago(text: str, ago: float) -> None:
    assert moment(text, NOW) == NOW - ago


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-20T10:00", "2026-11-20T09:00:00Z"),
        ("2026-07-20T10:00", "2026-07-20T08:00:00Z"),
        ("2026-11-20 10:00:30", "2026-11-20T09:00:30Z"),
        ("2026-11-20", "2026-11-19T23:00:00Z"),
        ("2026-11-20T10:00Z", "2026-11-20T10:00:00Z"),
        ("2026-11-20T10:00:00.500Z", "2026-11-20T10:00:00.500Z"),
        ("2026-11-20T10:00+05:00", "2026-11-20T05:00:00Z"),
    ],
    ids=["winter", "summer", "seconds", "a day", "UTC", "as our JSON has it", "an offset"],
)
def test_a_date_and_time_is_that_of_the_wall_here_unless_it_says_another(text: str, at: str) -> None:
    assert moment(text, NOW) == epoch(at)


@pytest.mark.parametrize("text", ["", "yesterday", "10", "10 m", "-5m", "5M", "2026-13-01", "10:00", "1e9s"])
def test_what_is_no_moment_is_refused_with_what_would_be_one(text: str) -> None:
    with pytest.raises(ValueError, match="10m, 2h or 3d"):
        moment(text, NOW)


@pytest.mark.parametrize("text", ["1901-01-01T00:00Z", "0001-01-01"])
def test_nothing_was_logged_before_1970(text: str) -> None:
    with pytest.raises(ValueError, match=r"1970|no moment"):
        moment(text, NOW)


def test_so_long_ago_ends_in_1970() -> None:
    assert moment("999999w", NOW) == 0.0
