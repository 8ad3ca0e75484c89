"""Resets that succeed: onto any release, by number or as another stage has it; record, aliases and invocations agree."""

from __future__ import annotations

import pytest

from .conftest import NewService
from .plane import unique
from .service import Service, make_function, settled


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """Its functions say "one" in r1, "two" in r2 and "three" in r3. Each case has a stage of its own on it."""
    service = new_service("a", "b")
    for text in ("one", "two", "three"):
        service.deploy_text(None, text)
    return service


def test_a_stage_is_put_on_what_another_one_serves(orders: Service) -> None:
    stage, other = orders.stage_at("one"), orders.stage_at("one", "three")
    versions = orders.versions("a")

    output = orders.does("reset", stage, to={"stage": other}, reason="as over there", actor="jane")

    assert (output["outcome"], output["operation"]) == ("succeeded", "reset")
    assert (output["previous_release"], output["release"], orders.way_back(stage)) == (1, 3, [1])
    assert [(line["function"], line["action"], line["before"], line["after"]) for line in output["changes"]] == [
        ("a", "move_alias", "1", "3"),
        ("b", "move_alias", "1", "3"),
    ]
    assert orders.says(stage) == {"a": "three", "b": "three"}
    orders.assert_agreement(stage, output)
    # Nothing was published, and the other stage's past is none of this one's.
    assert orders.versions("a") == versions
    assert (orders.way_back(other), orders.says(other)) == ([1], {"a": "three", "b": "three"})
    *_, line = orders.ledger(stage)
    assert (line["operation"], line["from_release"], line["to_release"]) == ("reset", 1, 3)
    assert (line["reason"], line["actor"], line["operation_id"]) == ("as over there", "jane", output["operation_id"])


def test_a_stage_is_put_on_a_release_that_no_stage_ever_served(orders: Service) -> None:
    stage = orders.stage_at("one")

    output = orders.does("reset", stage, to={"release": 2})

    assert (output["release"], orders.says(stage)) == (2, {"a": "two", "b": "two"})
    orders.assert_agreement(stage, output)


def test_a_reset_goes_forward_again_after_a_rollback_and_can_itself_be_rolled_back(orders: Service) -> None:
    stage = orders.stage_at("one", "two")
    orders.rollback(stage)

    forward = orders.does("reset", stage, to={"release": 2})
    orders.assert_agreement(stage, forward)
    assert (orders.says(stage), orders.way_back(stage)) == ({"a": "two", "b": "two"}, [1])

    back = orders.rollback(stage)
    orders.assert_agreement(stage, back)
    assert (orders.says(stage), orders.way_back(stage)) == ({"a": "one", "b": "one"}, [])


@pytest.mark.parametrize("by", ["release", "stage"])
def test_a_reset_onto_what_is_served_is_unchanged_and_leaves_no_line(orders: Service, by: str) -> None:
    stage, other = orders.stage_at("one", "two"), orders.stage_at("two")
    before = orders.record(stage)

    output = orders.does("reset", stage, to={"release": 2} if by == "release" else {"stage": other})

    assert (output["outcome"], output["release"], output["previous_release"]) == ("unchanged", 2, 2)
    assert (output["changes"], orders.record(stage), len(orders.ledger(stage))) == ([], before, 2)


def test_if_release_lets_through_what_the_stage_serves(orders: Service) -> None:
    stage = orders.stage_at("one")

    assert orders.does("reset", stage, to={"release": 3}, if_release=1)["release"] == 3


def test_drift_is_overwritten_when_the_request_says_so(orders: Service) -> None:
    stage = orders.stage_at("one")
    orders.plane.client("lambda").update_alias(FunctionName=orders.functions["b"], Name=stage, FunctionVersion="3")

    output = orders.does("reset", stage, to={"release": 2}, on_drift="overwrite")

    assert orders.says(stage) == {"a": "two", "b": "two"}
    orders.assert_agreement(stage, output)


def test_functions_that_came_stay_and_those_that_went_come_back(new_service: NewService) -> None:
    """r1 has a and b, r2 has a and late."""
    service = new_service("a", "b")
    stage = service.stage_at("one")
    service.functions["late"] = make_function(service.plane)
    settled(service.plane, service.functions["late"])
    two = {**service.code("two")}
    wishes = service.wishes(a=two, late=two)
    service.deploy(stage, {logical: wishes[logical] for logical in ("a", "late")})
    assert service.says(stage) == {"a": "two", "late": "two"}

    output = service.does("reset", stage, to={"release": 1})

    actions = {line["function"]: (line["action"], line["before"], line["after"]) for line in output["changes"]}
    assert actions == {
        "a": ("move_alias", "2", "1"),
        "b": ("create_alias", None, "1"),
        "late": ("kept", "1", "1"),
    }
    (kept,) = [line for line in output["changes"] if line["action"] == "kept"]
    assert kept["reason"] == "not in r1"
    (warning,) = output["warnings"]
    assert "function b is made" in warning
    assert service.says(stage) == {"a": "one", "b": "one", "late": "two"}
    service.assert_agreement(stage, output)


def test_a_function_that_exists_no_more_is_left_out_when_the_request_allows_it(new_service: NewService) -> None:
    service = new_service("a", "b")
    stage, other = service.stage_at("one"), service.stage_at("two")
    service.plane.client("lambda").delete_function(FunctionName=service.functions["b"])

    output = service.does("reset", stage, to={"stage": other}, allow_missing=True)

    (warning,) = output["warnings"]
    assert "function b" in warning
    assert (output["release"], service.says(stage)) == (2, {"a": "two"})
    service.assert_agreement(stage, output)


def test_a_new_stage_of_a_known_name_is_not_confused_with_the_old_one(orders: Service) -> None:
    """The counterpart of the ledger that goes on: what a torn-down stage served is on nobody's way back."""
    stage = unique("stage")
    for text in ("one", "two"):
        orders.deploy_text(stage, text)
    orders.does("teardown", stage)
    orders.deploy_text(stage, "three")

    output = orders.does("reset", stage, to={"release": 1})

    assert (orders.way_back(stage), orders.says(stage)) == ([3], {"a": "one", "b": "one"})
    orders.assert_agreement(stage, output)
