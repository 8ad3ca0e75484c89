"""The lines of a version: from the right log group, from the streams that carry its number, at the account's pace."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from stagekeeper.aws.errors import CallFailed, Throttled
from stagekeeper.cli.endings import CommandFailed
from stagekeeper.cli.log_events import pace_of, prefixes
from stagekeeper.domain.model import VersionNumber
from tests.adapters.clock import Clock
from tests.fake import AwsError, FakeClock

from .books import NOON, arn
from .logged import TODAY, YESTERDAY, Logged

API = arn("Api")
OWN_GROUP = "/aws/lambda/orders-api"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture
def logged() -> Logged:
    return Logged()


def test_noon_is_where_the_cases_think_it_is() -> None:
    assert [f"{datetime.fromtimestamp(NOON - days * 86400, UTC):%Y/%m/%d}" for days in (0, 1)] == [TODAY, YESTERDAY]


@pytest.mark.parametrize(
    ("since", "until", "days"),
    [
        ("2026-11-20T12:30", "2026-11-20T13:00", ["2026/11/20"]),
        ("2026-11-20T11:30", "2026-11-20T13:00", ["2026/11/19", "2026/11/20"]),
        ("2026-11-20T23:50", "2026-11-21T00:10", ["2026/11/20", "2026/11/21"]),
        ("2026-12-30T14:00", "2027-01-01T01:00", ["2026/12/30", "2026/12/31", "2027/01/01"]),
        ("1970-01-01T00:00", "1970-01-01T01:00", ["1970/01/01"]),
    ],
    ids=["one day", "an environment of the day before", "midnight", "the turn of the year", "the beginning of time"],
)
def test_there_is_a_prefix_for_each_day_on_which_the_environment_can_have_begun(since: str, until: str, days: list[str]) -> None:
    assert prefixes(API, VersionNumber(7), OWN_GROUP, at(since), at(until)) == [f"{day}/[7]" for day in days]


def test_in_a_log_group_of_ones_own_choice_the_function_comes_before_the_version() -> None:
    found = prefixes(API, VersionNumber(7), "/shop", at("2026-11-20T13:00"), at("2026-11-20T14:00"))

    assert found == ["2026/11/20/orders-api[7]"]


def test_only_that_versions_lines_are_read(logged: Logged) -> None:
    logged.function("Api", versions=11)
    for version in (1, 2, 11):
        logged.say("Api", version, 0, f"version {version}")

    assert logged.read(API, 1) == ["version 1"]


def test_of_functions_that_share_a_log_group_only_ones_own_lines_are_read(logged: Logged) -> None:
    for name in ("Api", "Api-2"):
        logged.function(name, group="/shop")
        logged.say(name, 1, 0, name, group="/shop")

    assert logged.read(API, 1) == ["Api"]


def test_an_environment_of_yesterday_that_still_runs_is_read_in_the_order_of_time(logged: Logged) -> None:
    logged.function("Api")
    for seconds, day in [(0, TODAY), (1, YESTERDAY), (2, TODAY), (3, YESTERDAY)]:
        logged.say("Api", 1, seconds, str(seconds), day=day)

    # Half past twelve in UTC is more than an environment's life after yesterday, so from an hour and a half before.
    assert logged.read(API, 1, since=-5400) == ["0", "1", "2", "3"]


def test_both_ends_of_the_time_count(logged: Logged) -> None:
    logged.function("Api")
    for seconds in range(5):
        logged.say("Api", 1, seconds, str(seconds))

    assert logged.read(API, 1, since=1, until=3) == ["1", "2", "3"]


def test_pages_go_on_also_after_an_empty_one(logged: Logged) -> None:
    logged.function("Api")
    logged.logs.page, logged.logs.empty_pages = 2, True
    for seconds in range(5):
        logged.say("Api", 1, seconds, str(seconds))

    assert logged.read(API, 1) == ["0", "1", "2", "3", "4"]


def test_the_next_page_is_not_asked_for_before_it_is_needed(logged: Logged) -> None:
    logged.function("Api")
    logged.logs.page = 2
    for seconds in range(4):
        logged.say("Api", 1, seconds, str(seconds))

    found = logged.events.of_version(API, VersionNumber(1), NOON, NOON + 60)
    first = [next(found), next(found)]

    assert ([event.message for event in first], len(logged.logs.asked)) == (["0", "1"], 1)


def test_a_function_that_never_ran_has_no_log_group_and_no_lines(logged: Logged) -> None:
    logged.function("Api")
    logged.logs.groups.clear()

    assert logged.read(API, 1) == []


def test_the_lines_of_a_version_that_was_swept_are_where_a_functions_lines_are(logged: Logged) -> None:
    logged.function("Api")
    logged.say("Api", 9, 0, "before it went")

    assert logged.read(API, 9) == ["before it went"]


def test_a_pattern_is_cloudwatchs_affair(logged: Logged) -> None:
    logged.function("Api")
    for message in ("ERROR here", "fine"):
        logged.say("Api", 1, 0, message)

    found = logged.events.of_version(API, VersionNumber(1), NOON, NOON + 60, "ERROR")

    assert [event.message for event in found] == ["ERROR here"]


def test_where_a_version_logs_is_asked_once_on_the_budget_that_nobody_needs(logged: Logged) -> None:
    logged.function("Api")
    events = logged.events
    for _ in range(3):
        list(events.of_version(API, VersionNumber(1), NOON, NOON + 60))

    assert [call.operation for call in logged.functions.calls if call.operation.startswith("Get")] == ["GetFunction"]


# The pace.


def test_calls_keep_the_pace(logged: Logged) -> None:
    logged.per_second = 4
    logged.function("Api")
    logged.logs.page = 1
    for seconds in range(9):
        logged.say("Api", 1, seconds, str(seconds))

    logged.read(API, 1, since=0)

    assert logged.clock.slept == pytest.approx(8 / 4)


@pytest.mark.parametrize(("region", "per_second"), [("us-east-1", 20), ("eu-central-1", 4), ("eu-west-1", 8)])
def test_the_pace_stays_below_the_regions_quota(region: str, per_second: float) -> None:
    clock = Clock(FakeClock())
    pace = pace_of(region, clock)
    for _ in range(11):
        pace.wait()

    assert clock.slept == pytest.approx(10 / per_second)


def throttle_first(logged: Logged, times: int) -> None:
    def before(_: object) -> None:
        if len(logged.logs.asked) <= times:
            raise AwsError("ThrottlingException", "Rate exceeded")

    logged.logs.before = before


def test_a_throttle_is_no_failure_and_slows_down(logged: Logged) -> None:
    logged.per_second = 4
    logged.function("Api")
    logged.say("Api", 1, 0, "at last")
    throttle_first(logged, 3)

    assert logged.read(API, 1) == ["at last"]
    # 4 a second, then 2, 1 and 1.
    assert logged.clock.slept >= 1 / 2 + 1 + 1


def test_patience_with_throttles_ends(logged: Logged) -> None:
    logged.function("Api")
    throttle_first(logged, 10**6)

    with pytest.raises(Throttled, match="orders-api"):
        logged.read(API, 1)


# What AWS does not allow.


def test_without_the_permission_to_read_lines_it_is_named(logged: Logged) -> None:
    logged.function("Api")

    def before(_: object) -> None:
        raise AwsError("AccessDeniedException", "not you")

    logged.logs.before = before
    with pytest.raises(CommandFailed, match="the permission logs:FilterLogEvents is missing"):
        logged.read(API, 1)


def test_without_the_permission_to_read_the_version_it_is_named(logged: Logged) -> None:
    logged.function("Api")
    logged.functions.fail("GetFunction", error="AccessDeniedException")

    with pytest.raises(CommandFailed, match="the permission lambda:GetFunction is missing"):
        logged.read(API, 1)


def test_any_other_failure_says_of_what(logged: Logged) -> None:
    logged.function("Api")

    def before(_: object) -> None:
        raise AwsError("InvalidParameterException", "Invalid filter pattern")

    logged.logs.before = before
    with pytest.raises(CallFailed, match="reading log group /aws/lambda/orders-api: InvalidParameterException: Invalid filter"):
        logged.read(API, 1)
