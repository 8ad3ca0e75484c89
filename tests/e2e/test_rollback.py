"""Rollbacks that succeed: where they go, what they leave alone, and that record, aliases and invocations agree after each."""

from __future__ import annotations

import pytest

from .conftest import NewService
from .service import Service, make_function, settled


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """Its functions say "one" in r1, "two" in r2 and "three" in r3. Each case has a stage of its own on it."""
    service = new_service("a", "b")
    for text in ("one", "two", "three"):
        service.deploy_text(None, text)
    return service


def test_two_rollbacks_go_two_releases_back(orders: Service) -> None:
    stage = orders.stage_at("one", "two", "three")
    seen = []

    for _ in range(2):
        output = orders.rollback(stage)
        orders.assert_agreement(stage, output)
        seen.append((output["previous_release"], output["release"], orders.says(stage), orders.way_back(stage)))

    assert seen == [
        (3, 2, {"a": "two", "b": "two"}, [1]),
        (2, 1, {"a": "one", "b": "one"}, []),
    ]


def test_the_output_says_what_moved_from_where_to_where(orders: Service) -> None:
    stage = orders.stage_at("one")
    orders.deploy(stage, orders.wishes(a=orders.code("one"), b=orders.code("two")))

    output = orders.rollback(stage)

    (only,) = output["changes"]
    assert only.pop("reason")
    assert only == {"function": "b", "action": "move_alias", "before": "2", "after": "1"}
    assert (output["outcome"], output["operation"]) == ("succeeded", "rollback")
    orders.assert_agreement(stage, output)


def test_a_service_of_one_function_goes_back(new_service: NewService) -> None:
    service = new_service("only")
    stage = service.stage_at("one", "two")

    output = service.rollback(stage)

    assert service.says(stage) == {"only": "one"}
    service.assert_agreement(stage, output)


@pytest.mark.parametrize("to", [{"release": 1}, {"steps": 2}], ids=["to a release", "by steps"])
def test_a_rollback_further_back_pops_all_that_is_newer(orders: Service, to: dict[str, int]) -> None:
    stage = orders.stage_at("one", "two", "three")

    output = orders.rollback(stage, to=to)

    assert (output["previous_release"], output["release"]) == (3, 1)
    assert (orders.way_back(stage), orders.says(stage)) == ([], {"a": "one", "b": "one"})
    orders.assert_agreement(stage, output)


def test_a_rollback_to_what_is_served_is_unchanged_and_leaves_no_line(orders: Service) -> None:
    stage = orders.stage_at("one", "two")
    before = orders.record(stage)

    output = orders.rollback(stage, to={"release": 2})

    assert (output["outcome"], output["release"], output["previous_release"]) == ("unchanged", 2, 2)
    assert orders.record(stage) == before
    assert len(orders.ledger(stage)) == 2


def test_if_release_lets_through_what_the_stage_serves(orders: Service) -> None:
    stage = orders.stage_at("one", "two")

    assert orders.rollback(stage, if_release=2)["release"] == 1


def test_another_stage_stays_where_it_is(orders: Service) -> None:
    stage, other = orders.stage_at("one", "two"), orders.stage_at("two")

    orders.rollback(stage)

    assert (orders.says(stage), orders.says(other)) == ({"a": "one", "b": "one"}, {"a": "two", "b": "two"})
    orders.assert_agreement(other)


def test_a_deploy_after_a_rollback_is_one_step_from_what_the_rollback_went_to(orders: Service) -> None:
    stage = orders.stage_at("one", "two")
    orders.rollback(stage)
    orders.deploy_text(stage, "three")

    output = orders.rollback(stage)

    assert (output["release"], orders.way_back(stage)) == (1, [])


def test_environment_goes_back_with_the_release(new_service: NewService) -> None:
    service = new_service("a")
    for color in ("blue", "green"):
        configuration = {"Environment": {"Variables": {"COLOR": color}}}
        service.deploy("dev", service.wishes(a={"configuration": configuration}))

    output = service.rollback("dev")

    assert service.answer("a", "dev")["color"] == "blue"
    service.assert_agreement("dev", output)


def test_repairing_drift_is_a_line_of_the_ledger_but_no_step_back(orders: Service) -> None:
    stage = orders.stage_at("one", "two")
    orders.plane.client("lambda").update_alias(FunctionName=orders.functions["b"], Name=stage, FunctionVersion="3")

    output = orders.rollback(stage, to={"release": 2}, on_drift="overwrite")

    assert (output["release"], orders.way_back(stage)) == (2, [1])
    assert orders.says(stage) == {"a": "two", "b": "two"}
    assert len(orders.ledger(stage)) == 3
    orders.assert_agreement(stage, output)


def test_a_function_that_the_older_release_did_not_have_stays_where_it_is(new_service: NewService) -> None:
    service = new_service("a")
    stage = service.stage_at("one")
    service.functions["late"] = make_function(service.plane)
    settled(service.plane, service.functions["late"])
    service.deploy_text(stage, "two")

    output = service.rollback(stage)

    kept = [change for change in output["changes"] if change["function"] == "late"]
    assert [(change["action"], change["reason"]) for change in kept] == [("kept", "not in r1")]
    assert service.says(stage) == {"a": "one", "late": "two"}
    service.assert_agreement(stage, output)


def test_an_alias_that_a_deploy_dropped_is_made_again_with_a_warning(orders: Service) -> None:
    stage = orders.stage_at("one")
    orders.deploy(stage, {"a": orders.wishes(a=orders.code("one"))["a"]})

    output = orders.rollback(stage)

    assert [(change["function"], change["action"]) for change in output["changes"]] == [("b", "create_alias")]
    (warning,) = output["warnings"]
    assert "function b is made again" in warning
    assert orders.says(stage) == {"a": "one", "b": "one"}
    orders.assert_agreement(stage, output)


def test_a_function_that_exists_no_more_is_left_out_when_the_request_allows_it(new_service: NewService) -> None:
    service = new_service("a", "b")
    stage = service.stage_at("one", "two")
    service.plane.client("lambda").delete_function(FunctionName=service.functions["b"])

    output = service.rollback(stage, allow_missing=True)

    (warning,) = output["warnings"]
    assert "function b" in warning
    assert (output["release"], service.says(stage)) == (1, {"a": "one"})
    service.assert_agreement(stage, output)
