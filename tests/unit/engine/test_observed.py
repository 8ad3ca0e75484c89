"""Observed stages: a stack owns their aliases, so they are shown and copied, and never moved."""

from __future__ import annotations

from typing import Any

import pytest

from .adopting import adopted, alias, ask, grow, owned, warnings
from .world import SERVICE, World, deploy_of, lambda_name


@pytest.fixture
def grown(world: World) -> World:
    """A service that somebody made by hand: dev serves version 2 of both functions, prod version 1."""
    return grow(world)


@pytest.fixture
def observed(grown: World) -> World:
    """prod's aliases belong to the stack shop; dev is an ordinary stage."""
    owned(grown, "shop", "prod")
    done = adopted(grown)
    assert {"stage": "prod", "release": 2, "observed": "shop"} in done["stages"]
    assert {"stage": "dev", "release": 1, "observed": None} in done["stages"]
    assert done["changes"][-1]["reason"] == "stage prod is adopted as r2, observed: stack shop owns it"
    return grown


def test_cloudformation_is_asked_once_about_everything_that_a_stack_has(grown: World) -> None:
    owned(grown, "shop", "prod")
    owned(grown, "lab", "dev")

    adopted(grown)

    assert [operation for operation, _ in grown.stacks.calls] == ["DescribeStackResources"] * 2


def moves(world: World) -> dict[str, dict[str, Any]]:
    return {
        "deploy": deploy_of("prod", world.wishes("three")),
        "unchanged deploy": deploy_of("prod", world.wishes("one")),
        "rollback": {"operation": "rollback", "stage": "prod", "to": {"release": 2}},
        "reset": {"operation": "reset", "stage": "prod", "to": {"stage": "dev"}},
        "teardown": {"operation": "teardown", "stage": "prod"},
    }


@pytest.mark.parametrize("kind", ["deploy", "unchanged deploy", "rollback", "reset", "teardown"])
@pytest.mark.parametrize("dry_run", [False, True], ids=["real", "dry run"])
def test_an_observed_stage_is_not_moved(observed: World, kind: str, dry_run: bool) -> None:
    before = observed.fake.state(revisions=True)

    refused = observed.begin({**moves(observed)[kind], "dry_run": dry_run}, "it").run()

    assert refused.outcome == "AliasOwnedElsewhere"
    assert "prod" in refused.message
    assert "stack shop" in refused.message
    assert "docs/adopting.md" in refused.message
    assert refused.cause["blockers"] == ["prod: stack shop"]
    assert observed.fake.state(revisions=True) == before


def test_what_comes_first_in_the_order_of_decision_is_told_first(observed: World) -> None:
    gone = deploy_of("prod", {"x": {"function_name": "orders-x"}})

    assert observed.begin(gone).run().outcome == "FunctionNotFound"
    assert ask(observed, "rollback", stage="prod").outcome == "NothingToRollBack"
    assert ask(observed, "rollback", stage="prod", if_release=9).outcome == "StageMoved"


def test_an_observed_stage_may_be_configured(observed: World) -> None:
    assert ask(observed, "configure", stage="prod", settings={"description": "theirs"}).outcome == "succeeded"
    stage = observed.stage()
    assert stage is not None
    assert (stage.observed, stage.settings.description) == ("shop", "theirs")


def test_a_clone_of_an_observed_stage_is_an_ordinary_one(observed: World) -> None:
    assert ask(observed, "clone", stage="jane", **{"from": {"stage": "prod"}}).outcome == "succeeded"

    assert observed.aliases("jane") == observed.aliases("prod")
    assert observed.deploy("jane", observed.wishes("three")).outcome == "succeeded"


COPIES = [
    ("clone", {"operation": "clone", "stage": "jane", "from": {"stage": "prod"}}),
    ("reset", {"operation": "reset", "stage": "dev", "to": {"stage": "prod"}}),
]


@pytest.mark.parametrize("request_", [row[1] for row in COPIES], ids=[row[0] for row in COPIES])
def test_what_the_stack_has_moved_meanwhile_is_not_copied_from_the_record(observed: World, request_: dict[str, Any]) -> None:
    alias(observed, "prod", "2", "b")

    refused = observed.begin(request_).run()

    assert refused.outcome == "Drifted"
    assert refused.cause["blockers"] == [f"{observed.arn('b')}:prod: recorded 1, found version 2"]
    assert "adopt again" in refused.message
    adopted(observed)
    assert observed.begin(request_).run().outcome == "succeeded"


def test_adopting_again_follows_what_the_stack_did(observed: World) -> None:
    alias(observed, "prod", "2")

    done = adopted(observed)

    assert done["stages"] == [{"stage": "prod", "release": 1, "observed": "shop"}]
    assert [(m["operation"], m["from_release"], m["to_release"]) for m in observed.movements()] == [
        ("adopt", None, 2),
        ("adopt", 2, 1),
    ]
    stage = observed.stage()
    assert stage is not None
    assert stage.way_back == (2,)


def test_verify_tells_what_the_stack_did_and_what_to_do(observed: World) -> None:
    assert ask(observed, "verify").outcome == "unchanged"
    alias(observed, "prod", "2", "a")

    told = ask(observed, "verify")

    assert told.outcome == "Drifted"
    assert "run adopt again" in told.message
    assert "on_drift" not in told.message


def test_a_stage_that_its_stack_let_go_of_is_an_ordinary_one_after_adopting_again(observed: World) -> None:
    observed.stacks.put("shop")

    done = adopted(observed)

    assert (done["outcome"], done["stages"]) == ("succeeded", [{"stage": "prod", "release": 2, "observed": None}])
    assert done["changes"][0]["reason"] == "stage prod (r2) is an ordinary stage now: no stack owns it any more"
    assert len(observed.movements()) == 1
    assert observed.deploy("prod", observed.wishes("three")).outcome == "succeeded"
    assert observed.rollback().outcome == "succeeded"
    assert observed.aliases() == {"a": "1", "b": "1"}


def test_a_stage_whose_aliases_a_stack_took_away_can_be_torn_down(observed: World) -> None:
    for name in "ab":
        observed.fake.quietly("DeleteAlias", FunctionName=lambda_name(name), Name="prod")
    observed.stacks.put("shop")

    done = adopted(observed)

    assert done["stages"] == [{"stage": "prod", "release": 2, "observed": None}]
    assert "no function has alias prod any more, which stack shop had" in warnings(done)
    assert ask(observed, "teardown", stage="prod").outcome == "succeeded"


def test_an_ordinary_stage_that_a_stack_took_over_is_observed_from_then_on(grown: World) -> None:
    adopted(grown)
    owned(grown, "shop", "prod", "a")

    assert adopted(grown)["stages"] == [{"stage": "prod", "release": 2, "observed": "shop"}]
    assert grown.rollback(to={"release": 2}).outcome == "AliasOwnedElsewhere"


def test_a_teardown_of_the_service_leaves_what_belongs_to_a_stack(observed: World) -> None:
    done = ask(observed, "teardown", confirm=SERVICE)

    assert done.output is not None, done.cause
    assert done.output["warnings"] == [
        "the aliases prod stay, and hold their versions: stack shop owns them, or one of them at least"
    ]
    assert (observed.aliases("prod"), observed.aliases("dev")) == ({"a": "1", "b": "1"}, {})
    assert (observed.stage("prod"), observed.stage("dev")) == (None, None)


def test_a_teardown_of_the_service_that_stops_midway_leaves_an_observed_stage_as_it_is(observed: World) -> None:
    before = observed.stage("prod")
    observed.fake.fail("DeleteAlias", error="AccessDeniedException", times=None)

    stopped = ask(observed, "teardown", confirm=SERVICE)

    assert stopped.outcome == "NeedsAttention"
    assert observed.stage("prod") == before
    assert not [blocker for blocker in stopped.cause["blockers"] if ":prod" in blocker]


def test_the_users_of_an_observed_stages_aliases_do_not_keep_a_service_from_its_teardown(observed: World) -> None:
    observed.permit("a", "prod", sid="api")

    done = ask(observed, "teardown", confirm=SERVICE)

    assert done.output is not None, done.cause
    assert not [each for each in done.output["warnings"] if "is gone for" in each]


def test_versions_of_ours_that_a_stacks_alias_serves_survive_the_teardown_of_the_service(two: World) -> None:
    alias(two, "theirs", "1")
    owned(two, "shop", "theirs")
    assert ask(two, "adopt").outcome == "succeeded"

    done = ask(two, "teardown", confirm=SERVICE)

    assert done.output is not None, done.cause
    assert {entry["reason"] for entry in done.output["sweep"]["kept"]} == {"alias theirs points at it"}
    assert {name: list(two.fake.versions(lambda_name(name))) for name in "ab"} == {"a": ["1"], "b": ["1"]}


def test_a_stage_that_a_stack_owns_in_part_is_observed_and_that_is_said(grown: World) -> None:
    owned(grown, "shop", "prod", "a")

    done = adopted(grown)

    assert [each["observed"] for each in done["stages"] if each["stage"] == "prod"] == ["shop"]
    (warning,) = [warning for warning in done["warnings"] if "observed as a whole" in warning]
    assert "that of function b belongs to no stack" in warning
