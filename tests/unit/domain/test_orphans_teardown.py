"""What a stage reached, what its teardown and that of the whole service remove, and which claims nothing holds any more."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.domain.model import OperationId, StageName
from stagekeeper.domain.orphans import FoundVersion, SweepSettings, orphans_of_service
from stagekeeper.domain.reach import NEWEST_RELEASES, ServiceFacts, index, reach_of, unheld_functions
from tests.unit.domain.builders import arn, numbers, release, stage, version
from tests.unit.domain.orphan_cases import API, BASE, DAY, HOUR, NOW, PROD, Case, found, function, movement, named, removed

# What a stage reached.


def test_a_stage_reached_what_it_serves_its_way_back_and_all_that_its_ledger_names() -> None:
    life = [movement(1, 3, 4, 9 * DAY, 5, displaced={API: version(8)})]
    releases, versions = reach_of(stage(2, 1, api=2, web=7), life)
    assert releases == set(numbers(1, 2, 3, 4, 5))
    assert versions == {(API, version(2)), (arn("web"), version(7)), (API, version(8))}


def test_a_stage_that_is_made_again_reaches_nothing_of_its_former_lives() -> None:
    lives = [
        *(movement(1, None, 1, 9 * DAY), movement(2, 1, None, 8 * DAY)),
        *(movement(3, None, 1, 7 * DAY), movement(4, 1, None, 6 * DAY)),
        *(movement(5, None, 2, 5 * DAY), movement(6, 2, 3, 4 * DAY)),
    ]
    assert set(index(ServiceFacts([stage(3)], [], lives, {})).reaching) == set(numbers(2, 3))


def test_a_stage_reaches_nothing_by_another_stages_ledger() -> None:
    service = ServiceFacts([stage(2)], BASE.releases, [movement(1, None, 1, DAY, of="qa")], {})
    assert set(index(service).reaching) == set(numbers(2))


# The teardown of a stage.

#: dev went from r1 to r2 an hour ago and is torn down now; prod serves r3.
TORN = Case(
    versions=(found(1, "A"), found(2, "B"), found(3, "C")),
    aliases={2: ["dev"], 3: ["prod"]},
    stages=(stage(2, 1, api=2), named("prod", stage(3, api=3))),
    releases=(release(1, api="A"), release(2, api="B"), release(3, api="C")),
    movements=(movement(1, None, 1, DAY), movement(2, 1, 2, HOUR), movement(1, None, 3, DAY, of="prod")),
)


def test_a_teardown_removes_at_once_what_only_the_stage_reached_and_judges_nothing_else() -> None:
    only = "only stage dev reached it"
    assert [(verdict.version.value, verdict.remove, verdict.reason) for verdict in TORN.tear_down()] == [
        (1, True, only),
        (2, True, only),
    ]


TEARDOWN_KEPT: list[tuple[str, dict[str, Any], str]] = [
    ("another alias", {"aliases": {1: ["dev", "live"]}}, "alias live points at it"),
    ("a trigger", {"hanging": {1: ["permission sns"]}}, "permission sns hangs on it"),
    (
        "another stage that serves its release",
        {"stages": (stage(2, 1, api=2), named("prod", stage(1)))},
        "stage prod reached it, too (r1)",
    ),
    (
        "another stage's way back, however far",
        {"stages": (stage(2, 1, api=2), named("prod", stage(3, 3, 3, 3, 3, 3, 3, 3, 1)))},
        "stage prod reached it, too (r1)",
    ),
    (
        "another stage's ledger: once deployed",
        {"movements": (*TORN.movements, movement(2, 3, 1, 9 * DAY, of="prod"), movement(3, 1, 3, 8 * DAY, of="prod"))},
        "stage prod reached it, too (r1)",
    ),
    (
        "another stage's ledger: once left",
        {"movements": (*TORN.movements, movement(2, 1, 3, 9 * DAY, of="prod"))},
        "stage prod reached it, too (r1)",
    ),
    (
        "another stage's ledger: once popped",
        {"movements": (*TORN.movements, movement(2, 3, 3, 9 * DAY, 1, of="prod"))},
        "stage prod reached it, too (r1)",
    ),
    (
        "another stage's ledger: once displaced",
        {"movements": (*TORN.movements, movement(2, 3, 3, 9 * DAY, of="prod", displaced={API: version(1)}))},
        "stage prod reached it, too",
    ),
    (
        "another stage's alias on record",
        {"stages": (stage(2, 1, api=2), named("prod", stage(3, api=1)))},
        "stage prod reached it, too",
    ),
    (
        "another stage's release that has the same content",
        {"releases": (*TORN.releases[:2], release(3, api="A", web="C"))},
        "stage prod reached it, too (r3)",
    ),
    (
        "another stage's release that is not on record",
        {"stages": (stage(2, 1, api=2), named("prod", stage(3, 9)))},
        "stage prod reached r9, which is not on record, so it may be needed there",
    ),
    (
        "a release that was built and never served",
        {"releases": (*TORN.releases, release(4, api="A", web="Z"))},
        "r4 was never served and is among the newest 10 releases",
    ),
    (
        "an operation in flight",
        {"in_flight": {(API, version(1)): OperationId("deploy-77")}},
        "operation deploy-77 is under way and mentions it",
    ),
    ("its publisher, a stranger", {"versions": (found(1, "A", ours=False),)}, "not published by Stagekeeper"),
    (
        "the lack of a content",
        {"versions": (found(1),), "stages": (stage(2, 1, api=1), named("prod", stage(3, api=3)))},
        "what it contains is not on record",
    ),
]


@pytest.mark.parametrize(("facts", "reason"), [case[1:] for case in TEARDOWN_KEPT], ids=[case[0] for case in TEARDOWN_KEPT])
def test_what_keeps_a_version_from_a_teardown(facts: dict[str, Any], reason: str) -> None:
    fate = next(verdict for verdict in replace(TORN, **facts).tear_down() if verdict.version == version(1))
    assert (fate.remove, fate.reason) == (False, reason)


TEARDOWN_REMOVED: list[tuple[str, dict[str, Any]]] = [
    ("its own release without a line in the ledger", {"stages": (stage(1, api=1),), "movements": ()}),
    ("a way back of its own", {"stages": (stage(2, 1, api=2), named("prod", stage(3, api=3)))}),
    ("keep, depth and grace", {"settings": SweepSettings(9, 9, 9 * DAY)}),
    ("the lack of a date", {"versions": (found(1, "A", published=None),)}),
    (
        "a release that is not on record, of a stage that is gone",
        {"movements": (*TORN.movements, movement(1, 9, None, 9 * DAY, of="qa"))},
    ),
    (
        "a release with the same content that no stage reached",
        {
            "releases": (release(0, api="A", web="Z"), *TORN.releases),
            "movements": (*TORN.movements, movement(1, None, 0, 9 * DAY, of="qa"), movement(2, 0, None, 8 * DAY, of="qa")),
        },
    ),
    (
        "another stage's former life",
        {
            "movements": (
                *TORN.movements[:2],
                movement(1, None, 1, 9 * DAY, of="prod"),
                movement(2, 1, None, 8 * DAY, of="prod"),
                movement(3, None, 3, DAY, of="prod"),
            )
        },
    ),
    (
        "a stage that is no more",
        {"movements": (*TORN.movements, movement(1, None, 1, 9 * DAY, of="qa"), movement(2, 1, None, DAY, of="qa"))},
    ),
    ("a release of its own that is not on record", {"stages": (stage(2, 1, 9, api=2), named("prod", stage(3, api=3)))}),
]


@pytest.mark.parametrize("facts", [case[1] for case in TEARDOWN_REMOVED], ids=[case[0] for case in TEARDOWN_REMOVED])
def test_what_does_not_keep_a_version_from_a_teardown(facts: dict[str, Any]) -> None:
    assert 1 in removed(replace(TORN, **facts).tear_down())


def test_a_teardown_removes_what_the_stage_reached_by_its_alias_only() -> None:
    """A kept function: no release of the stage contains it."""
    at = replace(TORN, versions=(found(5, "E"), found(6, "F")), stages=(stage(2, 1, api=5), named("prod", stage(3, api=3))))
    assert removed(at.tear_down()) == [5]
    assert [verdict.version.value for verdict in at.tear_down()] == [5]


def test_the_last_stage_takes_all_that_it_shared_with_those_before() -> None:
    """What prod reached, too, stays with dev's teardown, and goes with prod's."""
    at = replace(TORN, stages=(stage(2, 1, api=2), named("prod", stage(2, api=2))))
    assert removed(at.tear_down()) == [1]
    later = replace(
        at,
        aliases={2: ["prod"]},
        stages=at.stages[1:],
        movements=(*at.movements, movement(3, 2, None, 60)),
    )
    assert removed(later.tear_down("prod")) == [2, 3]


# The teardown of a service.


def service_teardown(*versions: FoundVersion, **facts: Any) -> list[tuple[int, bool, str]]:
    at = replace(function(*versions), **{name: value for name, value in facts.items() if name != "in_flight"})
    verdicts = orphans_of_service(at, {StageName("dev"), PROD}, facts.get("in_flight", {}))
    return [(verdict.version.value, verdict.remove, verdict.reason) for verdict in verdicts]


def test_a_service_teardown_removes_every_version_of_ours_whatever_else_is_known() -> None:
    gone = "the whole service is torn down"
    aliases = {version(1): ["prod", "dev"]}
    verdicts = service_teardown(
        found(2, published=None), found(1, "A", published=1.0), found(3, "A", ours=False), aliases=aliases
    )
    assert verdicts == [(1, True, gone), (2, True, gone), (3, False, "not published by Stagekeeper")]


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"aliases": {version(1): ["live", "prod"]}}, "alias live points at it"),
        ({"hanging": {version(1): ["permission sns"]}}, "permission sns hangs on it"),
        ({"in_flight": {(API, version(1)): OperationId("op-9")}}, "operation op-9 is under way and mentions it"),
    ],
    ids=["somebody else's alias", "a trigger", "an operation in flight"],
)
def test_what_keeps_a_version_from_a_service_teardown(facts: dict[str, Any], reason: str) -> None:
    assert service_teardown(found(1, "A"), **facts) == [(1, False, reason)]


# Claims.


@pytest.mark.parametrize(
    ("facts", "held"),
    [
        ({}, False),
        ({"stages": [stage(2, web=1)]}, True),
        ({"stages": [stage(1)]}, True),
        ({"stages": [stage(2, *[2] * 4, 1)]}, True),
        ({"stages": [stage(2, *[2] * 5, 1)]}, False),
        ({"releases": [release(1, web="A"), release(2, api="B"), release(3, web="A", api="B")]}, True),
        ({"in_flight": {(arn("web"), version(1)): OperationId("op-9")}}, True),
        ({"stages": [stage(2, 9)]}, True),
        ({"movements": [movement(1, None, 1, 9 * DAY, of="qa"), movement(1, None, 2, 9 * DAY)]}, True),
    ],
    ids=[
        "by nothing: only a release of the past has it",
        "by an alias",
        "by a stage's release",
        "by a way back, as far as the rollback depth",
        "by nothing: it is further back than the rollback depth",
        "by a release that was never served",
        "by an operation in flight",
        "perhaps: a release on the way back is not on record",
        "by a ledger that ends on its release",
    ],
)
def test_a_claim_is_held(facts: dict[str, Any], held: bool) -> None:
    base = ServiceFacts(
        stages=[stage(2, api=2)],
        releases=[release(1, web="A"), release(2, api="B")],
        movements=[movement(1, None, 1, 9 * DAY), movement(2, 1, 2, 8 * DAY)],
        in_flight={},
    )
    free = unheld_functions(index(replace(base, **facts)), [API, arn("web")], rollback_depth=5, since=math.inf)
    assert (arn("web") not in free) is held


@pytest.mark.parametrize(("ago", "held"), [(HOUR, True), (DAY - 1, True), (DAY, False), (2 * DAY, False)])
@pytest.mark.parametrize("how", ["served", "on a way back", "displaced"])
def test_what_was_left_lately_holds_a_claim_for_the_grace_period(how: str, ago: float, held: bool) -> None:
    last = {
        "served": movement(2, 1, 2, ago),
        "on a way back": movement(2, 2, 2, ago, 1),
        "displaced": movement(2, 2, 2, ago, displaced={arn("web"): version(1)}),
    }[how]
    service = ServiceFacts(
        stages=[stage(2, api=2)],
        releases=[release(1, web="A"), release(2, api="B")],
        # Another stage served r1 once, long ago: it is no release that waits for its first stage.
        movements=[last, movement(1, None, 1, 50 * DAY, of="qa"), movement(2, 1, 2, 40 * DAY, of="qa")],
        in_flight={},
    )
    free = unheld_functions(index(service), [API, arn("web")], rollback_depth=5, since=NOW - DAY)
    assert (arn("web") not in free) is held


def test_a_release_that_was_never_served_holds_a_claim_only_among_the_newest() -> None:
    newer = [release(number, api=f"B{number}") for number in range(2, NEWEST_RELEASES + 2)]
    for releases, free in ((newer[1:], set()), (newer, {arn("web")})):
        service = ServiceFacts([stage(2, api=2)], [release(1, web="A"), *releases], [], {})
        assert unheld_functions(index(service), [arn("web")], rollback_depth=5, since=NOW - DAY) == free


def test_of_the_claimed_functions_those_that_nothing_holds_are_named() -> None:
    assert unheld_functions(index(BASE.service()), [API, arn("gone")], rollback_depth=5, since=math.inf) == {arn("gone")}
