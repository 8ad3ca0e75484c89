"""A stage's settings: what they change (the record, nothing else), and what a protected stage is safe from."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import NewService
from .evidence import everything, refused
from .plane import unique
from .service import Service


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """model serves r2, and r1 is there as well."""
    service = new_service("a")
    for text in ("one", "two"):
        service.deploy_text("model", text)
    return service


@pytest.fixture
def stage(orders: Service) -> str:
    """A stage of the case's own, which serves r2."""
    name = unique("stage")
    orders.does("clone", name, from_={"stage": "model"})
    return name


def settings(service: Service, stage: str) -> dict[str, Any]:
    record = service.record(stage)
    assert record is not None
    return {"protected": record["protected"], "description": record["description"]}


def test_settings_are_told_one_by_one_and_change_the_record_only(orders: Service, stage: str) -> None:
    before, aliases = orders.record(stage), orders.alias("a", stage)
    assert before is not None

    output = orders.does("configure", stage, settings={"protected": True})
    assert (output["outcome"], output["operation"], output["stage"]) == ("succeeded", "configure", stage)
    assert (output["release"], output["previous_release"]) == (2, 2)
    assert [(each["function"], each["action"], each["reason"]) for each in output["changes"]] == [
        (stage, "configure", "protected: false -> true")
    ]
    orders.does("configure", stage, settings={"description": "what customers use"})

    assert settings(orders, stage) == {"protected": True, "description": "what customers use"}
    changed = {"protected", "description", "revision"}
    after = orders.record(stage)
    assert after is not None
    assert {name for name in after if after[name] != before.get(name)} == changed
    assert orders.alias("a", stage) == aliases
    # It moved nothing, so it is no line of the ledger.
    assert len(orders.ledger(stage)) == 1
    orders.assert_agreement(stage)


def test_settings_as_they_are_already_are_unchanged(orders: Service, stage: str) -> None:
    orders.does("configure", stage, settings={"protected": True})
    before = orders.record(stage)

    output = orders.does("configure", stage, settings={"protected": True})

    assert (output["outcome"], output["release"], orders.record(stage)) == ("unchanged", 2, before)


def test_settings_outlive_moves_and_end_with_the_stage(orders: Service, stage: str) -> None:
    orders.does("configure", stage, settings={"protected": True, "description": "what customers use"})

    orders.deploy_text(stage, "three")
    orders.rollback(stage)
    assert settings(orders, stage) == {"protected": True, "description": "what customers use"}

    orders.does("teardown", stage, confirm=stage)
    orders.deploy_text(stage, "four")
    assert settings(orders, stage) == {"protected": False, "description": ""}


def test_a_protected_stage_moves_but_is_torn_down_only_when_that_is_confirmed(orders: Service, stage: str) -> None:
    orders.does("configure", stage, settings={"protected": True})

    refused(orders, orders.request("teardown", stage), "StageProtected", stage, "confirm")
    refused(orders, orders.request("teardown", stage, confirm="dev"), "StageProtected", stage)
    refused(orders, orders.request("teardown", stage, confirm=orders.name), "StageProtected", stage)
    refused(orders, orders.request("teardown", stage, dry_run=True), "StageProtected", stage)
    assert orders.does("reset", stage, to={"release": 1})["release"] == 1

    output = orders.does("teardown", stage, confirm=stage)

    assert (output["outcome"], orders.says(stage), orders.record(stage)) == ("succeeded", {}, None)


def test_a_stage_that_is_protected_no_more_goes_without_a_word(orders: Service, stage: str) -> None:
    orders.does("configure", stage, settings={"protected": True})
    orders.does("configure", stage, settings={"protected": False})

    assert orders.does("teardown", stage)["outcome"] == "succeeded"


def test_a_dry_run_writes_nothing(orders: Service, stage: str) -> None:
    before = everything(orders.plane, orders.functions.values())

    ended = orders.run("configure", stage, settings={"protected": True}, dry_run=True)

    assert (ended.output["outcome"], ended.output["report"]) == ("planned", None)
    assert everything(orders.plane, orders.functions.values()).differs_from(before) == set()
