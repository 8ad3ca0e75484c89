"""Which versions a sweep removes. In the base case version 1 of api is an orphan; each case adds what might keep it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.domain.model import LogicalName, OperationId
from stagekeeper.domain.orphans import SweepSettings, Verdict, orphans
from stagekeeper.domain.reach import index
from tests.unit.domain.builders import arn, release, stage, version
from tests.unit.domain.orphan_cases import API, BASE, DAY, HOUR, Case, found, movement, named, removed

#: r2 and eight newer ones: r1 is the tenth newest release.
NINE_NEWER = tuple(release(number, api="B") for number in range(2, 11))
LONG_AGO = "no stage, way back, release or trigger needs it; displaced 40 days ago"


def test_a_version_that_nothing_needs_is_removed() -> None:
    assert BASE.sweep() == [
        Verdict(LogicalName("api"), API, version(1), 1_001, True, LONG_AGO),
        Verdict(LogicalName("api"), API, version(2), 1_002, False, "alias dev points at it"),
    ]


KEPT: list[tuple[str, dict[str, Any], str]] = [
    ("an alias", {"aliases": {1: ["live"]}}, "alias live points at it"),
    ("two aliases", {"aliases": {1: ["qa", "live"]}}, "aliases live, qa point at it"),
    ("a trigger", {"hanging": {1: ["event source mapping 12-ab"]}}, "event source mapping 12-ab hangs on it"),
    (
        "two triggers",
        {"hanging": {1: ["permission sns", "function URL"]}},
        "function URL, permission sns hang on it",
    ),
    ("three aliases", {"aliases": {1: ["c", "a", "b"]}}, "aliases a, b, c point at it"),
    ("more aliases than a reason names", {"aliases": {1: ["d", "c", "a", "b"]}}, "aliases a, b, c and 1 more point at it"),
    ("more triggers than a reason names", {"hanging": {1: ["d", "c", "e", "a", "b"]}}, "a, b, c and 2 more hang on it"),
    (
        "a stage by its release",
        {"stages": (stage(2, api=2), named("prod", stage(1)))},
        "stage prod serves it (r1)",
    ),
    (
        "a mixed stage by the release recorded before the failure",
        {"stages": (stage(2, api=2), named("prod", stage(1, mixed=True, api=2)))},
        "stage prod is mixed and a rollback puts it back on r1",
    ),
    (
        "a stage by its alias on record: a kept function, a mixed stage",
        {"stages": (stage(2, api=1),)},
        "stage dev serves it",
    ),
    (
        "a stage that became mixed while it was made",
        {"stages": (stage(2, api=2), named("prod", stage(None, mixed=True, api=1)))},
        "stage prod serves it",
    ),
    (
        "a ledger that ends on its release, without a stage on record",
        {"movements": (*BASE.movements, movement(1, None, 1, 60 * DAY, of="qa"))},
        "the ledger of stage qa ends on it (r1)",
    ),
    ("a way back", {"stages": (stage(2, 1, api=2),)}, "r1 is 1 step back on stage dev's way back"),
    (
        "a way back, as far as the rollback depth",
        {"stages": (stage(2, 3, 2, 3, 2, 1, api=2),), "releases": (*BASE.releases, release(3, api="B"))},
        "r1 is 5 steps back on stage dev's way back",
    ),
    (
        "the nearer of two ways back",
        {"stages": (stage(2, 2, 2, 2, 2, 2, 2, 1, api=2), named("prod", stage(2, 2, 1)))},
        "r1 is 2 steps back on stage prod's way back",
    ),
    (
        "a rollback that popped it",
        {"movements": (*BASE.movements, movement(3, 2, 2, 3 * HOUR, 1))},
        "popped from stage dev's way back 3 h ago; kept for 24 h",
    ),
    (
        "the last of two rollbacks that popped it",
        {"movements": (*BASE.movements, movement(3, 2, 2, 9 * DAY, 1), movement(4, 2, 2, 5 * HOUR, 1))},
        "popped from stage dev's way back 5 h ago; kept for 24 h",
    ),
    (
        "a release that was never served, the tenth newest",
        {"releases": (release(1, api="A"), *NINE_NEWER), "movements": BASE.movements[2:]},
        "r1 was never served and is among the newest 10 releases",
    ),
    (
        "an operation in flight",
        {"in_flight": {(API, version(1)): OperationId("deploy-77")}},
        "operation deploy-77 is under way and mentions it",
    ),
    ("its publisher, a stranger", {"versions": (found(1, "A", ours=False),)}, "not published by Stagekeeper"),
    (
        "its publisher, a stranger, of whom nothing is known",
        {"versions": (found(1, ours=False, published=None),)},
        "not published by Stagekeeper",
    ),
    ("the lack of a date", {"versions": (found(1, "A", published=None),)}, "when it was published is not on record"),
    ("the lack of a content", {"versions": (found(1),)}, "what it contains is not on record"),
    (
        "a deploy that displaced it a moment ago",
        {"movements": (movement(1, None, 1, 50 * DAY), movement(2, 1, 2, 2 * HOUR))},
        "displaced 2 h ago; kept for 24 h",
    ),
    (
        "another stage that left it a moment ago",
        {"movements": (*BASE.movements, movement(1, None, 1, 50 * DAY, of="qa"), movement(2, 1, 2, 30 * 60, of="qa"))},
        "displaced 30 min ago; kept for 24 h",
    ),
    (
        "the teardown of another stage a moment ago",
        {"movements": (*BASE.movements, movement(1, None, 1, 50 * DAY, of="qa"), movement(2, 1, None, 40, of="qa"))},
        "displaced 40 s ago; kept for 24 h",
    ),
    (
        "a movement a moment ago whose line alone names it",
        {"movements": (*BASE.movements, movement(3, 2, 2, 2 * HOUR, displaced={API: version(1)}))},
        "displaced 2 h ago; kept for 24 h",
    ),
    (
        "the last of two movements whose lines alone name it",
        {
            "movements": (
                *BASE.movements,
                movement(3, 2, 2, 2 * HOUR, displaced={API: version(1)}),
                movement(1, 2, 2, 9 * DAY, of="qa", displaced={API: version(1)}),
                movement(2, 2, None, 9 * DAY, of="qa"),
            )
        },
        "displaced 2 h ago; kept for 24 h",
    ),
    (
        "a movement whose time is still to come, by clocks that differ",
        {"movements": (movement(1, None, 1, 50 * DAY), movement(2, 1, 2, -5.0))},
        "displaced just now; kept for 24 h",
    ),
    (
        "that it was published anew a moment ago, with a content that was displaced long ago",
        {"versions": (found(1, "A", published=3 * HOUR),)},
        "published 3 h ago; kept for 24 h",
    ),
    ("the number of versions to keep", {"settings": SweepSettings(1, 5, DAY)}, "the newest unneeded version"),
    ("the numbers of versions to keep", {"settings": SweepSettings(3, 5, DAY)}, "among the newest 3 unneeded versions"),
    (
        "a stage's release that is not on record: nobody knows what is in it",
        {"stages": (stage(2, api=2), named("prod", stage(9)))},
        "r9 is not on record, so it may be needed there",
    ),
    (
        "a way back's release that is not on record",
        {"stages": (stage(2, 9, api=2),)},
        "r9 is not on record, so it may be needed there",
    ),
    (
        "a popped release that is not on record",
        {"movements": (*BASE.movements, movement(3, 2, 2, 2 * HOUR, 9))},
        "r9 is not on record, so it may be needed there",
    ),
    (
        "a displaced release that is not on record",
        {"movements": (*BASE.movements, movement(3, 9, 2, 2 * HOUR))},
        "r9 is not on record, so it may be needed there",
    ),
]


@pytest.mark.parametrize(("facts", "reason"), [case[1:] for case in KEPT], ids=[case[0] for case in KEPT])
def test_what_keeps_a_version_by_itself(facts: dict[str, Any], reason: str) -> None:
    fate = replace(BASE, **facts).fate()
    assert (fate.remove, fate.reason) == (False, reason)


NOT_KEPT: list[tuple[str, dict[str, Any], str]] = [
    ("an empty list of aliases and triggers", {"aliases": {1: []}, "hanging": {1: []}}, LONG_AGO),
    (
        "a way back further than the rollback depth",
        {"stages": (stage(2, 3, 2, 3, 2, 3, 1, api=2),), "releases": (*BASE.releases, release(3, api="B"))},
        LONG_AGO,
    ),
    (
        "a way back without any rollback depth",
        {"stages": (stage(2, 1, api=2),), "settings": SweepSettings(0, 0, DAY)},
        LONG_AGO,
    ),
    (
        "a rollback that popped it as long ago as the grace period",
        {"movements": (*BASE.movements, movement(3, 2, 2, DAY, 1))},
        LONG_AGO,
    ),
    (
        "a release that was never served, the eleventh newest",
        {"releases": (release(1, api="A"), *NINE_NEWER, release(11, api="B")), "movements": BASE.movements[2:]},
        "no stage, way back, release or trigger needs it; published 50 days ago",
    ),
    (
        "a release among the newest that only a stage torn down since ever served",
        {"movements": (movement(1, None, 1, 50 * DAY, of="qa"), movement(2, 1, None, 40 * DAY, of="qa"))},
        LONG_AGO,
    ),
    ("an operation in flight on another version", {"in_flight": {(API, version(2)): OperationId("deploy-77")}}, LONG_AGO),
    ("an operation in flight on another function", {"in_flight": {(arn("web"), version(1)): OperationId("deploy-77")}}, LONG_AGO),
    ("a stage's alias on another function", {"stages": (stage(2, api=2, web=1),)}, LONG_AGO),
    (
        "the same content of another function",
        {"stages": (stage(2, api=2), named("prod", stage(3))), "releases": (*BASE.releases, release(3, web="A"))},
        LONG_AGO,
    ),
    (
        "a deploy that displaced it exactly as long ago as the grace period",
        {"movements": (movement(1, None, 1, 50 * DAY), movement(2, 1, 2, DAY))},
        "no stage, way back, release or trigger needs it; displaced 24 h ago",
    ),
    (
        "a movement that named another function's version",
        {"movements": (*BASE.movements, movement(3, 2, 2, 2 * HOUR, displaced={arn("web"): version(1)}))},
        LONG_AGO,
    ),
    (
        "a repair of the release that came after it",
        {"movements": (*BASE.movements, movement(3, 2, 2, 2 * HOUR))},
        LONG_AGO,
    ),
    (
        "a release not on record that a stage left long ago",
        {"movements": (movement(1, None, 9, 60 * DAY), movement(2, 9, 1, 50 * DAY), movement(3, 1, 2, 40 * DAY, 9))},
        LONG_AGO,
    ),
    (
        "a release not on record, further back than the rollback depth",
        {"stages": (stage(2, 2, 2, 2, 2, 2, 9, api=2),)},
        LONG_AGO,
    ),
    (
        "its publisher, a stranger, where strangers count",
        {"versions": (found(1, "A", ours=False),), "settings": SweepSettings(0, 5, 0, strangers=True)},
        LONG_AGO,
    ),
    (
        "what is not known of a stranger's version, where strangers count",
        {"versions": (found(1, ours=False, published=None),), "settings": SweepSettings(0, 5, DAY, strangers=True)},
        "no stage, way back, release or trigger needs it",
    ),
]


@pytest.mark.parametrize(("facts", "reason"), [case[1:] for case in NOT_KEPT], ids=[case[0] for case in NOT_KEPT])
def test_what_does_not_keep_a_version(facts: dict[str, Any], reason: str) -> None:
    fate = replace(BASE, **facts).fate()
    assert (fate.remove, fate.reason) == (True, reason)


def test_a_second_less_than_the_grace_period_keeps() -> None:
    movements = (movement(1, None, 1, 50 * DAY), movement(2, 1, 2, DAY - 1))
    assert replace(BASE, movements=movements).fate().reason == "displaced 23 h ago; kept for 24 h"


def test_a_time_still_to_come_keeps_even_without_a_grace_period() -> None:
    movements = (movement(1, None, 1, 50 * DAY), movement(2, 1, 2, -1.0))
    assert not replace(BASE, movements=movements, settings=SweepSettings(0, 5, 0)).fate().remove


def test_a_release_that_was_served_is_displaced_when_the_last_stage_leaves_it_not_the_first() -> None:
    qa = (movement(1, None, 1, 60 * DAY, of="qa"), movement(2, 1, 2, 10 * DAY, of="qa"))
    assert replace(BASE, movements=(*BASE.movements, *qa)).fate().reason.endswith("displaced 10 days ago")


def test_what_the_next_release_still_contains_is_not_displaced_by_it() -> None:
    """api is the same in r1 and r2 and only r3, forty days later, replaced it."""
    at = replace(
        BASE,
        releases=(release(1, api="A", web="A"), release(2, api="A", web="B"), release(3, api="B", web="B")),
        movements=(movement(1, None, 1, 50 * DAY), movement(2, 1, 2, 45 * DAY), movement(3, 2, 3, 2 * HOUR)),
        stages=(stage(3, api=2),),
    )
    assert at.fate().reason == "displaced 2 h ago; kept for 24 h"


def test_a_movement_ends_what_it_left_also_where_the_line_before_is_another() -> None:
    """A mixed stage: its line says what it left, not the line before."""
    movements = (movement(1, None, 1, 60 * DAY), movement(2, 1, 2, 50 * DAY), movement(3, 1, 2, 2 * HOUR))
    assert replace(BASE, movements=movements).fate().reason == "displaced 2 h ago; kept for 24 h"


def test_a_movement_ends_what_the_line_before_began_also_where_it_does_not_name_it() -> None:
    movements = (movement(1, None, 1, 50 * DAY), movement(2, None, 2, 2 * HOUR))
    assert replace(BASE, movements=movements).fate().reason == "displaced 2 h ago; kept for 24 h"


def test_versions_of_the_same_content_are_all_kept_by_a_rule_that_names_the_content() -> None:
    twins = (found(1, "A"), found(2, "B"), found(3, "A"))
    assert removed(replace(BASE, versions=twins, stages=(stage(2, 1, api=2),)).sweep()) == []


def test_a_strangers_version_on_record_counts_as_any_other_where_strangers_count() -> None:
    at = replace(BASE, versions=(found(1, "A", ours=False),), settings=SweepSettings(0, 5, 0, strangers=True))
    assert replace(at, stages=(stage(2, 1, api=2),)).fate().reason == "r1 is 1 step back on stage dev's way back"


def test_our_own_version_without_a_date_is_kept_also_where_strangers_count() -> None:
    at = replace(BASE, versions=(found(1, "A", published=None),), settings=SweepSettings(0, 5, 0, strangers=True))
    assert not at.fate().remove


def test_the_newest_unneeded_versions_stay_and_the_needed_do_not_count() -> None:
    at = replace(
        BASE,
        versions=[found(number, "B" if number == 4 else "A") for number in (5, 2, 4, 1, 3)],
        aliases={4: ["dev"]},
        stages=(stage(2, api=4),),
        settings=SweepSettings(2, 5, DAY),
    )
    assert removed(at.sweep()) == [1, 2]
    assert [verdict.version.value for verdict in at.sweep()] == [1, 2, 3, 4, 5]


def test_functions_of_no_service_are_swept_by_what_aws_shows() -> None:
    at = Case(
        versions=[found(number, ours=False, published=None) for number in (1, 2, 3, 4)],
        aliases={2: ["live"]},
        hanging={3: ["permission sns"]},
        stages=(),
        releases=(),
        movements=(),
        settings=SweepSettings(1, 5, 0, strangers=True),
    )
    assert removed(at.sweep()) == [1]


def test_releases_that_were_built_and_never_served_keep_their_versions() -> None:
    """Deploying without a stage only, then sweeping with nothing to keep and no grace, leaves everything."""
    at = Case(aliases={}, stages=(), movements=(), settings=SweepSettings(0, 0, 0))
    assert removed(at.sweep()) == []


@pytest.mark.parametrize("bad", [-1, 1.0, float("nan"), float("inf"), True, None, "3"])
@pytest.mark.parametrize("setting", ["keep", "rollback_depth"])
def test_a_count_that_is_no_whole_number_of_at_least_0_is_refused(setting: str, bad: Any) -> None:
    with pytest.raises(ValueError, match=setting):
        SweepSettings(**{"keep": 0, "rollback_depth": 0, "grace_seconds": 0.0, setting: bad})


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), float("-inf"), True, None, "3"])
def test_a_grace_period_that_is_no_number_of_at_least_0_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match="grace_seconds"):
        SweepSettings(0, 0, bad)


@pytest.mark.parametrize("bad", [1, "true", None])
def test_strangers_is_yes_or_no(bad: Any) -> None:
    with pytest.raises(ValueError, match="strangers"):
        SweepSettings(0, 0, 0, bad)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "make",
    [
        lambda at: replace(found(1, "A"), published_at=at),
        lambda at: replace(movement(1, None, 1, DAY), at=at),
        lambda at: orphans(BASE.function(), index(BASE.service()), BASE.settings, at),
    ],
    ids=["published", "movement", "now"],
)
def test_a_time_that_is_none_is_refused(make: Callable[[float], object], bad: float) -> None:
    with pytest.raises(ValueError, match="no moment in time"):
        make(bad)
