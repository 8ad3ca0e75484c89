"""Teardowns: of a stage with what only it reached, of a whole service; what holds them up, and what they leave to others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import NewService
from .evidence import everything, refused
from .plane import unique
from .service import Service, permit, publish_as_stranger


def lines(output: dict[str, Any]) -> list[tuple[str, str, str | None, str | None]]:
    return [(line["function"], line["action"], line["before"], line["after"]) for line in output["changes"]]


def reasons(output: dict[str, Any], which: str) -> dict[tuple[str, str], str]:
    """The versions that a teardown deleted or kept, each with the reason."""
    return {(entry["function"], entry["version"]): entry["reason"] for entry in output["sweep"][which]}


# A stage.


def test_a_stage_goes_with_the_versions_that_only_it_reached(new_service: NewService) -> None:
    """The settings of sweeps would keep every one of them for a day: they do not count here."""
    service = new_service("a")
    service.deploy_text("prod", "one")
    for text in ("one", "two", "three", "four"):
        service.deploy_text("dev", text)
    for text in ("two", "one"):
        service.deploy_text("qa", text)
    permit(service, "a", "4", "somebody")
    service.deploy_text(None, "five")
    publish_as_stranger(service, "a", "six")
    planned = service.does("teardown", "dev", dry_run=True)

    output = service.does("teardown", "dev", reason="no longer needed", actor="jane")

    assert (output["outcome"], output["operation"], output["stage"]) == ("succeeded", "teardown", "dev")
    assert (output["release"], output["previous_release"]) == (None, 4)
    assert lines(output) == [("a", "delete_alias", "4", None), ("a", "delete_version", "3", None)]
    assert reasons(output, "deleted") == {("a", "3"): "only stage dev reached it"}
    assert reasons(output, "kept") == {
        ("a", "1"): "aliases prod, qa point at it",
        ("a", "2"): "stage qa reached it, too (r2)",
        ("a", "4"): "permission somebody (events.amazonaws.com) hangs on it",
    }
    assert (planned["changes"], planned["sweep"]) == (output["changes"], output["sweep"])
    assert (service.alias("a", "dev"), service.record("dev")) == (None, None)
    assert service.versions("a") == ["1", "2", "4", "5", "6"]
    *_, line = service.ledger("dev")
    assert (line["operation"], line["from_release"], line["to_release"], line["reason"]) == (
        "teardown",
        4,
        None,
        "no longer needed",
    )
    for stage in ("prod", "qa"):
        assert service.says(stage) == {"a": "one"}
        service.assert_agreement(stage)
    assert (service.rollback("qa")["release"], service.says("qa")) == (2, {"a": "two"})


def test_a_stage_that_is_made_again_begins_anew_and_its_ledger_goes_on(new_service: NewService) -> None:
    service = new_service("a", "b")
    for text in ("one", "two"):
        service.deploy_text("dev", text)
    service.does("teardown", "dev")
    assert service.versions("a") == []

    output = service.deploy_text("dev", "two")

    assert (output["previous_release"], service.way_back("dev")) == (None, [])
    assert [(line["operation"], int(line["number"])) for line in service.ledger("dev")] == [
        ("deploy", 1),
        ("deploy", 2),
        ("teardown", 3),
        ("deploy", 4),
    ]
    assert service.says("dev") == {"a": "two", "b": "two"}
    service.assert_agreement("dev", output)


def test_a_function_that_exists_no_more_counts_as_done(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy_text("dev", "one")
    service.plane.client("lambda").delete_function(FunctionName=service.functions["b"])

    output = service.does("teardown", "dev")

    assert (output["outcome"], service.record("dev"), service.versions("a")) == ("succeeded", None, [])


def test_if_release_lets_through_what_the_stage_serves(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy_text("dev", "one")

    refused(service, service.request("teardown", "dev", if_release=2), "StageMoved", "r1", "r2")
    assert service.does("teardown", "dev", if_release=1, confirm="dev")["outcome"] == "succeeded"


# Who uses the stage.


def _permission(service: Service, stage: str) -> str:
    permit(service, "a", stage, "from-bus")
    return "permission from-bus (events.amazonaws.com)"


def _url(service: Service, stage: str) -> str:
    service.plane.client("lambda").create_function_url_config(
        FunctionName=service.functions["a"], Qualifier=stage, AuthType="AWS_IAM"
    )
    return "a function URL"


def _mapping(service: Service, stage: str) -> str:
    sqs = service.plane.client("sqs")
    queue = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    source = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = service.plane.client("lambda").create_event_source_mapping(
        EventSourceArn=source, FunctionName=f"{service.arn('a')}:{stage}", Enabled=False
    )
    return f"event source mapping {mapping['UUID']}"


@pytest.fixture(scope="module")
def shared(new_service: NewService) -> Service:
    """model serves r1. Each case has a stage of its own that serves the same."""
    service = new_service("a", "b")
    service.deploy_text("model", "one")
    return service


@pytest.mark.parametrize("uses", [_permission, _url, _mapping], ids=["a permission", "a function URL", "a mapping"])
def test_a_stage_that_somebody_uses_goes_only_when_that_is_confirmed(
    shared: Service, uses: Callable[[Service, str], str]
) -> None:
    stage = unique("stage")
    shared.does("clone", stage, from_={"stage": "model"})
    user = uses(shared, stage)

    refused(shared, shared.request("teardown", stage), "StageInUse", f"{shared.arn('a')}:{stage}", user, "confirm")
    refused(shared, shared.request("teardown", stage, dry_run=True), "StageInUse", user)
    refused(shared, shared.request("teardown", stage, confirm="model"), "InvalidRequest", "confirm", stage)
    output = shared.does("teardown", stage, confirm=stage)

    (warning,) = output["warnings"]
    assert f"{shared.arn('a')}:{stage}" in warning
    assert user in warning
    assert (shared.says(stage), shared.record(stage)) == ({}, None)
    shared.assert_agreement("model")


def test_what_uses_another_stage_is_in_nobodys_way(shared: Service) -> None:
    stage, other = unique("stage"), unique("other")
    for name in (stage, other):
        shared.does("clone", name, from_={"stage": "model"})
    permit(shared, "a", other, "from-bus")

    assert shared.does("teardown", stage)["outcome"] == "succeeded"
    shared.assert_agreement(other)


# A service.


def test_a_service_goes_with_everything_but_its_ledger_and_can_come_back(new_service: NewService) -> None:
    service = new_service("a", "b")
    for text in ("one", "two"):
        service.deploy_text("dev", text)
    service.does("clone", "prod", from_={"stage": "dev"})
    service.does("configure", "prod", settings={"protected": True})
    service.deploy_text(None, "three")
    plane, theirs = service.plane, {"FunctionName": service.functions["a"], "Name": "theirs"}
    plane.client("lambda").create_alias(**theirs, FunctionVersion="1")
    publish_as_stranger(service, "b", "four")
    permit(service, "a", "dev", "from-bus")
    for confirm in ({}, {"confirm": "dev"}, {"confirm": service.name.upper()}):
        refused(service, service.request("teardown", None, **confirm), "ConfirmationRequired", "dev", "prod", service.name)
    planned = service.does("teardown", confirm=service.name, dry_run=True)
    assert planned["outcome"] == "planned"

    output = service.does("teardown", confirm=service.name)

    assert (output["outcome"], output["stage"], output["release"], output["previous_release"]) == ("succeeded", None, None, None)
    assert (planned["changes"], planned["sweep"]) == (output["changes"], output["sweep"])
    (warning,) = output["warnings"]
    assert f"{service.arn('a')}:dev is gone for permission from-bus" in warning
    assert {(function, action) for function, action, *_ in lines(output)} == {
        (function, action) for function in ("a", "b") for action in ("delete_alias", "delete_version")
    }
    assert reasons(output, "deleted").keys() == {("a", "2"), ("a", "3"), ("b", "1"), ("b", "2"), ("b", "3")}
    assert reasons(output, "kept") == {("a", "1"): "alias theirs points at it", ("b", "4"): "not published by Stagekeeper"}
    assert (service.versions("a"), service.versions("b")) == (["1"], ["4"])
    assert service.answer("a", "theirs")["says"] == "one"

    kept = {item["sk"].partition("#")[0] for item in plane.items(f"SERVICE#{service.name}")}
    assert kept == {"MOVEMENT"}
    assert [plane.items(f"FUNCTION#{service.arn(logical)}") for logical in ("a", "b")] == [[], []]
    assert plane.item("SERVICES", f"SERVICE#{service.name}") is None
    assert [service.ledger(stage)[-1]["operation"] for stage in ("dev", "prod")] == ["teardown", "teardown"]
    refused(service, service.request("verify", None), "ServiceNotFound", service.name)

    # The functions are free for others, and so is the service's name.
    other = new_service("mine")
    other.functions["b"] = service.functions.pop("b")
    other.deploy_text("dev", "theirs now")
    assert other.says("dev") == {"mine": "theirs now", "b": "theirs now"}
    again = service.deploy_text("dev", "five")
    assert (again["previous_release"], service.way_back("dev"), service.says("dev")) == (None, [], {"a": "five"})
    service.assert_agreement("dev", again)


def test_a_service_without_stages_goes_too(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy_text(None, "one")

    output = service.does("teardown", confirm=service.name)

    assert (lines(output), service.versions("a")) == ([("a", "delete_version", "1", None)], [])
    refused(service, service.request("teardown", None, confirm=service.name), "ServiceNotFound", service.name)


# What goes wrong.


def test_a_teardown_that_stops_midway_says_what_is_left_and_the_next_one_goes_on(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy_text("dev", "one")
    with service.plane.denied("TearDownRole", "lambda:DeleteAlias", service.arn("b")):
        stopped = service.run("teardown", "dev")

    assert (stopped.status, stopped.error) == ("FAILED", "NeedsAttention"), stopped.cause
    assert any(f"{service.arn('b')}:dev serves version 1" in blocker for blocker in stopped.cause["blockers"])
    record = service.record("dev")
    assert record is not None
    assert (record["tearing_down"], list(record["functions"])) == (True, [service.arn("b")])
    assert service.says("dev") == {"b": "one"}

    output = service.does("teardown", "dev")

    assert lines(output) == [
        ("b", "delete_alias", "1", None),
        ("a", "delete_version", "1", None),
        ("b", "delete_version", "1", None),
    ]
    assert (service.says("dev"), service.record("dev")) == ({}, None)


@pytest.mark.parametrize(
    ("action", "named"),
    [
        ("GetPolicy", "the policy of"),
        ("ListAliases", "function b"),
        ("ListVersionsByFunction", "function b"),
        ("ListProvisionedConcurrencyConfigs", "function b"),
        ("ListFunctionUrlConfigs", "function URLs"),
        ("ListEventSourceMappings", "event source mappings"),
    ],
)
def test_what_may_not_be_read_may_be_in_use(shared: Service, action: str, named: str) -> None:
    arn = shared.arn("b")

    with shared.plane.denied("PlanRole", f"lambda:{action}", *(["*"] if "Mappings" in action else [arn, f"{arn}:*"])):
        refused(shared, shared.request("teardown", "model"), "Unreadable", named, "AccessDenied")


def test_a_dry_run_writes_nothing(shared: Service) -> None:
    before = everything(shared.plane, shared.functions.values())

    for request in (shared.request("teardown", "model"), shared.request("teardown", None, confirm=shared.name)):
        ended = shared.plane.run({**request, "dry_run": True})
        assert (ended.output["outcome"], ended.output["report"]) == ("planned", None), ended.cause

    assert everything(shared.plane, shared.functions.values()).differs_from(before) == set()
