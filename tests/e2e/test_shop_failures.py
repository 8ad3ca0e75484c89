"""A stack that fails at each step of an operation of the example: who answers then, what is there, what is said, what mends it.

CloudFormation's work fails at a resource of the cases' own (see `gate.py`), after everything that it comes after.
"""

from __future__ import annotations

import copy

import pytest

from .gate import REASON, Gate
from .plane import ControlPlane, Ended
from .shop import Package, Shop, package


@pytest.fixture(scope="module")
def packaged(plane: ControlPlane) -> Package:
    return package(plane)


@pytest.fixture(scope="module")
def gate(plane: ControlPlane) -> Gate:
    return Gate(plane)


@pytest.fixture(scope="module")
def service(plane: ControlPlane, packaged: Package, gate: Gate) -> Shop:
    """On prod, which answers through all of it. Each half has a gate that says "one"."""
    shop = Shop(plane, packaged)
    shop.resources["SharedGate"] = gate.resource("one", after="Table")
    shop.resources["OwnGate"] = gate.resource("one", scope="stage", after="Queue")
    shop.deploy("prod")
    return shop


@pytest.fixture
def shop(service: Shop, packaged: Package) -> Shop:
    """The service with the template that it was first deployed from."""
    checkout = Shop(service.plane, packaged, service.name)
    checkout.body = copy.deepcopy(service.body)
    return checkout


def change(shop: Shop, **says: str) -> None:
    """Other code, another property of the stage's queue, one more shared thing; and what the gates say."""
    shop.edition("two")
    shop.resources["Queue"]["Properties"]["VisibilityTimeout"] = 90
    shop.resources["Announcements"] = {"Type": "AWS::SNS::Topic"}
    for gate, text in says.items():
        shop.resources[gate]["Properties"]["Says"] = text


def failed(ended: Ended, code: str, logical_id: str) -> None:
    """It ended so, and said which resource of which stack CloudFormation failed at, and why."""
    assert (ended.status, ended.error) == ("FAILED", code), ended.cause or ended.output
    for place in (ended.cause["message"], " ".join(ended.cause["blockers"])):
        assert [named for named in (logical_id, "Custom::Gate", REASON) if named not in place] == [], place


def stage_patience(shop: Shop, stage: str) -> str:
    """The VisibilityTimeout of the stage's queue."""
    queue = shop.physical("Queue", stage)
    told = shop.plane.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])
    return str(told["Attributes"]["VisibilityTimeout"])


def nothing_of(shop: Shop, stage: str) -> bool:
    """No stack, no alias, no record."""
    record = shop.plane.item(f"SERVICE#{shop.name}", f"STAGE#{stage}")
    return (shop.stack(stage), any(shop.aliases(stage).values()), record) == (None, False, None)


def test_a_service_stack_that_cannot_be_made_leaves_nothing(plane: ControlPlane, packaged: Package, gate: Gate) -> None:
    shop = Shop(plane, packaged)
    shop.resources["SharedGate"] = gate.resource("first", after="Table")

    with gate.closed("Create first"):
        ended = shop.try_deploy("dev")

    failed(ended, "Compensated", "SharedGate")
    assert shop.stack() is None
    assert nothing_of(shop, "dev")


def test_a_service_stack_that_cannot_be_changed_is_as_it_was_and_no_alias_moved(shop: Shop, gate: Gate) -> None:
    shop.deploy("second")
    before, aliases = shop.there(), shop.aliases("second")
    change(shop, SharedGate="unwanted")

    with gate.closed("Update unwanted"):
        ended = shop.try_deploy("second", allow_shared=["SharedGate"])

    failed(ended, "Compensated", "SharedGate")
    assert (shop.status(), shop.there()) == ("UPDATE_ROLLBACK_COMPLETE", before)
    assert shop.aliases("second") == aliases
    assert stage_patience(shop, "second") == "60"
    assert shop.editions("second", "prod") == {"second": "one", "prod": "one"}


def test_a_new_stage_whose_stack_cannot_be_made_is_not_there(shop: Shop, gate: Gate) -> None:
    change(shop, OwnGate="third")
    before = shop.there()

    with gate.closed("Create third"):
        ended = shop.try_deploy("third")

    failed(ended, "Compensated", "OwnGate")
    assert nothing_of(shop, "third")
    assert shop.there() == before
    assert shop.editions("prod") == {"prod": "one"}


def test_a_clone_whose_stack_cannot_be_made_is_not_there(shop: Shop, gate: Gate) -> None:
    with gate.closed("Create one"):
        ended = shop.ask("clone", "copy", from_={"stage": "prod"})

    failed(ended, "Compensated", "OwnGate")
    assert nothing_of(shop, "copy")
    assert shop.editions("prod") == {"prod": "one"}


def test_a_stage_stack_that_cannot_be_changed_stops_the_deploy_before_any_alias_moves(shop: Shop, gate: Gate) -> None:
    shop.deploy("fourth")
    before, own, aliases = shop.there(), shop.there("fourth"), shop.aliases("fourth")
    change(shop, OwnGate="unwanted")

    with gate.closed("Update unwanted"):
        ended = shop.try_deploy("fourth")

    failed(ended, "Compensated", "OwnGate")
    assert shop.aliases("fourth") == aliases
    assert (shop.status("fourth"), shop.there("fourth")) == ("UPDATE_ROLLBACK_COMPLETE", own)
    assert stage_patience(shop, "fourth") == "60"
    assert shop.there() == before
    assert shop.editions("fourth", "prod") == {"fourth": "one", "prod": "one"}


def test_traffic_is_back_where_the_stack_cannot_follow_a_rollback_and_a_reset_makes_it_follow(shop: Shop, gate: Gate) -> None:
    older = shop.deploy("fifth")["release"]
    change(shop, OwnGate="two")
    shop.deploy("fifth")
    assert shop.editions("fifth", "prod") == {"fifth": "two", "prod": "one"}

    with gate.closed("Update one"):
        ended = shop.ask("rollback", "fifth")

    failed(ended, "NeedsAttention", "OwnGate")
    assert shop.editions("fifth", "prod") == {"fifth": "one", "prod": "one"}
    assert stage_patience(shop, "fifth") == "90"

    shop.does("reset", "fifth", to={"release": older})

    assert stage_patience(shop, "fifth") == "60"
    assert shop.editions("fifth", "prod") == {"fifth": "one", "prod": "one"}


def test_a_teardown_stops_at_what_cannot_be_deleted_and_goes_on_when_run_again(shop: Shop, gate: Gate) -> None:
    shop.does("clone", "sixth", from_={"stage": "prod"})

    with gate.closed("Delete one"):
        ended = shop.ask("teardown", "sixth")

    failed(ended, "NeedsAttention", "OwnGate")
    assert (shop.status("sixth"), set(shop.there("sixth"))) == ("DELETE_FAILED", {"OwnGate"})
    assert all(shop.aliases("sixth").values())
    assert shop.editions("prod") == {"prod": "one"}

    shop.does("teardown", "sixth")

    assert nothing_of(shop, "sixth")
    assert shop.editions("prod") == {"prod": "one"}


def test_what_the_service_stack_could_not_let_go_of_is_said_and_goes_with_the_next_deploy(shop: Shop) -> None:
    shop.resources["Extra"] = {"Type": "AWS::SNS::Topic"}
    shop.deploy("seventh")
    del shop.resources["Extra"]
    stack = shop.stack()
    assert stack is not None

    with shop.plane.denied("StacksRole", "cloudformation:CreateChangeSet", stack["StackId"]):
        ended = shop.try_deploy("seventh")

    assert (ended.status, ended.error) == ("FAILED", "NeedsAttention"), ended.cause or ended.output
    assert [named for named in (shop.name, "CreateChangeSet", "AccessDenied") if named not in ended.cause["message"]] == []
    assert "Extra" in shop.there()
    assert shop.editions("seventh", "prod") == {"seventh": "one", "prod": "one"}

    shop.deploy("seventh")

    assert "Extra" not in shop.there()
    assert shop.editions("seventh", "prod") == {"seventh": "one", "prod": "one"}


def test_what_cloudformation_leaves_behind_in_a_stack_that_is_otherwise_done_is_told(shop: Shop, gate: Gate) -> None:
    shop.resources["Extra"] = gate.resource("extra")
    shop.deploy("eighth")
    del shop.resources["Extra"]

    with gate.closed("Delete extra"):
        output = shop.deploy("eighth")

    (warning,) = output["warnings"]
    assert [named for named in (shop.name, "Extra", "Custom::Gate", REASON) if named not in warning] == []
    assert shop.editions("eighth", "prod") == {"eighth": "one", "prod": "one"}
