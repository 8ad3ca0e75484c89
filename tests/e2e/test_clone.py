"""Clones: a new stage serves what another one serves, shares its versions, and has a past of its own from then on."""

from __future__ import annotations

import pytest

from .conftest import NewService
from .evidence import refused
from .plane import unique
from .service import Service, make_function, settled


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """prod serves r2, whose functions say "two", and can go back to r1, "one"."""
    service = new_service("a", "b")
    for text in ("one", "two"):
        service.deploy_text("prod", text)
    return service


def test_a_clone_serves_what_its_model_does_and_has_no_way_back(orders: Service) -> None:
    stage, versions, model = unique("jane"), orders.versions("a"), orders.record("prod")

    output = orders.does("clone", stage, from_={"stage": "prod"}, reason="to try something", actor="jane")

    assert (output["outcome"], output["operation"]) == ("succeeded", "clone")
    assert (output["release"], output["previous_release"]) == (2, None)
    assert [(line["function"], line["action"], line["before"], line["after"]) for line in output["changes"]] == [
        ("a", "create_alias", None, "2"),
        ("b", "create_alias", None, "2"),
    ]
    assert (orders.says(stage), orders.way_back(stage)) == ({"a": "two", "b": "two"}, [])
    orders.assert_agreement(stage, output)
    assert orders.versions("a") == versions
    assert orders.record("prod") == model
    (line,) = orders.ledger(stage)
    assert (line["operation"], line["from_release"], line["to_release"], line["reason"]) == ("clone", None, 2, "to try something")
    refused(orders, orders.request("rollback", stage), "NothingToRollBack", stage)


def test_a_clone_goes_its_own_way_and_comes_back(orders: Service) -> None:
    stage = unique("jane")
    orders.does("clone", stage, from_={"stage": "prod"})

    orders.deploy_text(stage, "of jane")
    assert (orders.says(stage), orders.says("prod")) == ({"a": "of jane", "b": "of jane"}, {"a": "two", "b": "two"})

    output = orders.rollback(stage)
    assert (output["release"], orders.says(stage)) == (2, {"a": "two", "b": "two"})
    orders.assert_agreement(stage, output)
    orders.assert_agreement("prod")


def test_a_name_that_was_torn_down_can_be_cloned_to_again(orders: Service) -> None:
    stage = unique("jane")
    orders.does("clone", stage, from_={"stage": "prod"})
    orders.deploy_text(stage, "of jane")
    orders.does("teardown", stage)

    output = orders.does("clone", stage, from_={"stage": "prod"})

    assert (orders.says(stage), orders.way_back(stage)) == ({"a": "two", "b": "two"}, [])
    assert [(line["operation"], line["to_release"]) for line in orders.ledger(stage)][-2:] == [("teardown", None), ("clone", 2)]
    assert [int(line["number"]) for line in orders.ledger(stage)] == [1, 2, 3, 4]
    orders.assert_agreement(stage, output)


def test_what_the_model_only_keeps_is_not_cloned(new_service: NewService) -> None:
    service = new_service("a")
    stage = service.stage_at("one")
    service.functions["late"] = make_function(service.plane)
    settled(service.plane, service.functions["late"])
    service.deploy_text(stage, "two")
    service.rollback(stage)

    output = service.does("clone", "jane", from_={"stage": stage})

    assert service.says(stage) == {"a": "one", "late": "two"}
    assert (output["release"], service.says("jane")) == (1, {"a": "one"})
    service.assert_agreement("jane", output)


def test_a_function_that_exists_no_more_is_left_out_when_the_request_allows_it(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy_text("prod", "one")
    service.plane.client("lambda").delete_function(FunctionName=service.functions["b"])

    output = service.does("clone", "jane", from_={"stage": "prod"}, allow_missing=True)

    (warning,) = output["warnings"]
    assert "function b" in warning
    assert service.says("jane") == {"a": "one"}
    service.assert_agreement("jane", output)
