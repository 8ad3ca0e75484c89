"""Reset puts a stage on any release, clone makes a new stage on what another one serves; both publish nothing."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Deployed
from .execution import Execution
from .world import World, deploy_of, lambda_name


def ask(world: World, operation: str, stage: str, **more: Any) -> Execution:
    return world.begin({"operation": operation, "stage": stage, **more}).run()


def clone(world: World, stage: str = "qa", like: str = "prod", **more: Any) -> Execution:
    return ask(world, "clone", stage, **{"from": {"stage": like}, **more})


def way_back(world: World, stage: str = "prod") -> tuple[int, ...]:
    recorded = world.stage(stage)
    assert recorded is not None
    return recorded.way_back


# Reset.


def test_a_reset_goes_to_any_release_and_pushes_what_was_left(two: World) -> None:
    done = ask(two, "reset", "prod", to={"release": 1})

    assert done.outcome == "succeeded", done.cause
    assert done.output is not None
    assert (done.output["release"], done.output["previous_release"]) == (1, 2)
    assert two.aliases() == two.recorded() == {"a": "1", "b": "1"}
    assert way_back(two) == (2, 1)
    assert two.movements()[-1]["operation"] == "reset"


def test_a_reset_goes_forward_again_after_a_rollback(two: World) -> None:
    two.rollback()

    assert ask(two, "reset", "prod", to={"release": 2}).outcome == "succeeded"
    assert two.aliases() == {"a": "2", "b": "2"}
    assert way_back(two) == (1,)


def test_a_reset_to_a_stage_takes_what_that_one_serves_and_not_its_past(two: World) -> None:
    two.deploy("qa", two.wishes("three"))
    two.deploy("qa", two.wishes("four"))

    done = ask(two, "reset", "prod", to={"stage": "qa"})

    assert done.outcome == "succeeded", done.cause
    assert two.aliases("prod") == two.aliases("qa") == {"a": "4", "b": "4"}
    assert way_back(two) == (2, 1)


def test_a_reset_to_what_is_served_already_changes_nothing(two: World) -> None:
    before = two.movements()

    assert ask(two, "reset", "prod", to={"release": 2}).outcome == "unchanged"
    assert two.movements() == before


def test_a_reset_leaves_the_alias_of_a_function_that_the_release_has_not(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.create("c")
    world.deploy("prod", world.wishes("two", "a", "b", "c"))
    world.names = ("a", "b", "c")

    done = ask(world, "reset", "prod", to={"release": 1})

    assert done.output is not None
    kept = [change for change in done.output["changes"] if change["action"] == "kept"]
    assert [(line["function"], line["before"], line["reason"]) for line in kept] == [("c", "1", "not in r1")]
    assert world.aliases() == {"a": "1", "b": "1", "c": "1"}


def test_a_kept_alias_that_moves_later_is_remembered_as_displaced(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.create("c")
    world.deploy("prod", world.wishes("two", "a", "b", "c"))
    world.names = ("a", "b", "c")
    ask(world, "reset", "prod", to={"release": 1})

    world.deploy("prod", world.wishes("three", "a", "b", "c"))

    assert world.movements()[-1]["displaced"] == {world.arn("c"): 1}
    assert world.movements()[-2]["displaced"] == {}


# Clone.


def test_a_clone_makes_a_stage_on_what_the_other_serves_with_an_empty_way_back(two: World) -> None:
    done = clone(two)

    assert done.outcome == "succeeded", done.cause
    assert done.output is not None
    assert (done.output["release"], done.output["previous_release"]) == (2, None)
    assert {change["action"] for change in done.output["changes"]} == {"create_alias"}
    assert two.aliases("qa") == two.aliases("prod") == {"a": "2", "b": "2"}
    assert way_back(two, "qa") == ()
    assert [(m["operation"], m["from_release"], m["to_release"]) for m in two.movements("qa")] == [("clone", None, 2)]


def test_a_clone_that_fails_midway_leaves_no_stage(two: World) -> None:
    two.fake.fail("CreateAlias", error="InvalidParameterValueException", times=None, where=lambda call: "orders-b" in str(call))

    assert clone(two).outcome == "Compensated"
    assert two.aliases("qa") == {}
    assert two.stage("qa") is None
    assert two.held() == {}


@pytest.mark.parametrize("operation", ["reset", "clone"])
def test_neither_publishes_and_each_costs_one_shared_call_for_each_function(deployed: Deployed, operation: str) -> None:
    world = deployed(tuple(f"f{number:03}" for number in range(40)), "one two")
    world.wire.clear()

    done = clone(world) if operation == "clone" else ask(world, "reset", "prod", to={"release": 1})

    assert done.outcome == "succeeded", done.cause
    assert len(world.wire.shared_calls()) == 40
    assert set(world.wire.shared_calls()) == {"lambda.CreateAlias" if operation == "clone" else "lambda.UpdateAlias"}


# A function that is gone.


def delete_b(world: World) -> None:
    world.fake.quietly("DeleteFunction", FunctionName=lambda_name("b"))


@pytest.mark.parametrize("operation", ["reset", "clone", "rollback"])
def test_a_function_that_exists_no_more_refuses_unless_it_may_be_missing(two: World, operation: str) -> None:
    delete_b(two)
    requests: dict[str, dict[str, Any]] = {
        "reset": {"operation": "reset", "stage": "prod", "to": {"release": 1}},
        "clone": {"operation": "clone", "stage": "qa", "from": {"stage": "prod"}},
        "rollback": {"operation": "rollback", "stage": "prod"},
    }

    refused = two.begin(requests[operation]).run()
    allowed = two.begin({**requests[operation], "allow_missing": True}).run()

    assert refused.outcome == "FunctionNotFound"
    assert allowed.outcome == "succeeded", allowed.cause
    assert allowed.output is not None
    assert any("function b" in warning for warning in allowed.output["warnings"])


def test_forgetting_a_function_that_is_gone_is_a_movement_even_if_nothing_else_changes(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.create("c")
    world.deploy("prod", world.wishes("one", "a", "b") | world.wishes("one", "c"))
    ask(world, "reset", "prod", to={"release": 1})
    world.fake.quietly("DeleteFunction", FunctionName=lambda_name("c"))

    done = world.begin(deploy_of("prod", world.wishes("one", "a", "b"))).run()

    assert done.outcome == "succeeded", done.cause
    assert world.recorded() == {"a": "1", "b": "1"}
