"""Sweeps: what goes and what stays, each with its reason; a report tells what a delete then does; who holds a sweep up.

On a control plane of its own, whose parameters keep nothing: what a case wants kept it says.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .evidence import everything, refused
from .plane import ControlPlane, unique
from .service import ROLE, Service, permit, publish_as_stranger, settled

NewSwept = Callable[..., Service]


@pytest.fixture(scope="module")
def new_service(eager: ControlPlane) -> NewSwept:
    return lambda *logical_names: Service(eager, *logical_names)


@pytest.fixture(scope="module")
def orders(new_service: NewSwept) -> Service:
    """One function, whose stage dev has been on r1 to r5, which are versions 1 to 5."""
    service = new_service("a")
    for text in ("one", "two", "three", "four", "five"):
        service.deploy_text("dev", text)
    return service


def numbers(output: dict[str, Any], which: str = "deleted") -> list[str]:
    return [entry["version"] for entry in output["sweep"][which]]


def reasons(output: dict[str, Any], which: str) -> dict[str, str]:
    return {entry["version"]: entry["reason"] for entry in output["sweep"][which]}


# What goes.


def test_without_a_service_every_service_is_swept(new_service: NewSwept) -> None:
    """The first case here, so that there are no other services: a sweep makes two calls a second."""
    services = [new_service("a"), new_service("a")]
    for service in services:
        for text in ("one", "two"):
            service.deploy_text("dev", text)
    plane = services[0].plane

    output = plane.run({"operation": "sweep", "mode": "delete"}).output

    assert (output["outcome"], output["service"], output["stage"]) == ("succeeded", None, None)
    assert (numbers(output), output["deleted_count"]) == (["1", "1"], 2)
    assert plane.report(output)["sweep"] == output["sweep"]
    for service in services:
        assert service.versions("a") == ["2"]
        service.assert_agreement("dev")


def test_releases_that_no_stage_ever_served_stay_callable(new_service: NewSwept) -> None:
    service = new_service("a", "b")
    for text in ("one", "two"):
        service.deploy_text(None, text)

    output = service.does("sweep", mode="delete", keep=0, rollback_depth=0, grace_hours=0)

    assert (numbers(output), output["kept_count"]) == ([], 4)
    assert reasons(output, "kept") == {
        "1": "r1 was never served and is among the newest 10 releases",
        "2": "r2 was never served and is among the newest 10 releases",
    }
    lambda_ = service.plane.client("lambda")
    for function in service.functions.values():
        for version in (None, "1", "2"):
            called = lambda_.invoke(FunctionName=function, **({} if version is None else {"Qualifier": version}))
            assert "FunctionError" not in called
    for text in ("one", "two"):
        promoted = service.deploy_text("dev", text)
        assert {line["action"] for line in promoted["changes"]} <= {"reuse", "create_alias", "move_alias"}
        service.assert_agreement("dev", promoted)


def test_a_report_tells_with_reasons_what_a_delete_then_does(new_service: NewSwept) -> None:
    service = new_service("a")
    for text in ("one", "two", "three", "four", "five", "six", "seven"):
        service.deploy_text("dev", text)
    lambda_, function = service.plane.client("lambda"), service.functions["a"]
    lambda_.create_alias(FunctionName=function, Name="theirs", FunctionVersion="1")
    lambda_.create_alias(
        FunctionName=function, Name="canary", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}}
    )
    permit(service, "a", "3", "from-bus")
    mapping = event_source_mapping(service, "4")
    lambda_.put_provisioned_concurrency_config(FunctionName=function, Qualifier="5", ProvisionedConcurrentExecutions=1)
    service.deploy_text(None, "eight")
    publish_as_stranger(service, "a", "nine")
    expected = {
        "1": "aliases canary, theirs point at it",
        "2": "alias canary gives it weight",
        "3": "permission from-bus (events.amazonaws.com) hangs on it",
        "4": f"event source mapping {mapping} hangs on it",
        "5": "provisioned concurrency hangs on it",
        "7": "alias dev points at it",
        "8": "r8 was never served and is among the newest 10 releases",
        "9": "not published by Stagekeeper",
    }

    told = service.does("sweep")
    assert (told["outcome"], told["operation"], told["release"]) == ("planned", "sweep", None)
    assert reasons(told, "kept") == expected
    assert (numbers(told), told["deleted_count"], told["kept_count"]) == (["6"], 1, 8)
    assert "no stage, way back, release or trigger needs it; displaced" in reasons(told, "deleted")["6"]
    assert service.versions("a") == list("123456789")

    done = service.does("sweep", mode="delete", reason="tidy up")
    assert done["outcome"] == "succeeded"
    assert [{**entry, "reason": ""} for entry in done["sweep"]["deleted"]] == [
        {**entry, "reason": ""} for entry in told["sweep"]["deleted"]
    ]
    assert done["sweep"]["kept"] == told["sweep"]["kept"]
    (line,) = done["changes"]
    assert (line["function"], line["action"], line["before"], line["after"]) == ("a", "delete_version", "6", None)
    assert service.versions("a") == list("12345789")
    assert numbers(service.does("sweep", mode="delete")) == []
    assert service.says("dev") == {"a": "seven"}
    service.assert_agreement("dev")


def event_source_mapping(service: Service, qualifier: str) -> str:
    """A queue calls a version of function a; the mapping, in the words of a reason."""
    sqs = service.plane.client("sqs")
    queue = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    source = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = service.plane.client("lambda").create_event_source_mapping(
        EventSourceArn=source, FunctionName=f"{service.arn('a')}:{qualifier}", Enabled=False
    )
    return f"{mapping['UUID']} ({source})"


# What stays, by settings.


@pytest.mark.parametrize(
    ("settings", "deleted", "version", "reason"),
    [
        ({}, "1234", "5", "alias dev points at it"),
        ({"rollback_depth": 2}, "12", "3", "r3 is 2 steps back on stage dev's way back"),
        ({"keep": 1}, "123", "4", "the newest unneeded version"),
        ({"keep": 3, "rollback_depth": 1}, "", "1", "among the newest 3 unneeded versions"),
        ({"grace_hours": 1}, "", "1", "displaced"),
    ],
    ids=["the stack's", "rollback depth", "keep", "keep counts what nothing else keeps", "grace"],
)
def test_settings_of_the_request_stand_in_for_the_stacks(
    orders: Service, settings: dict[str, int], deleted: str, version: str, reason: str
) -> None:
    output = orders.does("sweep", None, **settings)

    assert "".join(numbers(output)) == deleted
    assert reason in reasons(output, "kept")[version]
    assert orders.versions("a") == list("12345")


def test_a_stack_says_how_much_stays_unless_the_request_does(plane: ControlPlane) -> None:
    """By default a day's grace."""
    service = Service(plane, "a")
    for text in ("one", "two"):
        service.deploy_text("dev", text)

    output = service.does("sweep", mode="delete", keep=0, rollback_depth=0)

    assert (numbers(output), service.versions("a")) == ([], ["1", "2"])
    assert reasons(output, "kept")["1"].endswith("; kept for 24 h")


@pytest.mark.parametrize("mode", ["report", "delete"])
def test_a_dry_run_writes_nothing(orders: Service, mode: str) -> None:
    before = everything(orders.plane, orders.functions.values())

    ended = orders.run("sweep", None, mode=mode, dry_run=True)

    assert (ended.output["outcome"], ended.output["report"], numbers(ended.output)) == ("planned", None, list("1234"))
    assert everything(orders.plane, orders.functions.values()).differs_from(before) == set()


# What holds a sweep up.


@pytest.mark.parametrize(
    ("action", "named"),
    [
        ("GetPolicy", "the policy of"),
        ("ListAliases", "function a"),
        ("ListVersionsByFunction", "function a"),
        ("ListProvisionedConcurrencyConfigs", "function a"),
        ("ListEventSourceMappings", "event source mappings"),
    ],
)
def test_what_may_not_be_read_deletes_nothing(orders: Service, action: str, named: str) -> None:
    arn = orders.arn("a")

    with orders.plane.denied("InspectRole", f"lambda:{action}", *(["*"] if "Mappings" in action else [arn, f"{arn}:*"])):
        refused(orders, orders.request("sweep", None, mode="delete"), "Unreadable", named, "AccessDenied")


def test_what_may_not_be_read_any_more_when_it_comes_to_deleting_stays(orders: Service) -> None:
    with orders.plane.denied("CollectRole", "lambda:ListAliases", orders.arn("a")):
        output = orders.does("sweep", mode="delete")

    assert (output["outcome"], numbers(output), orders.versions("a")) == ("succeeded", [], list("12345"))
    assert "could not be read" in reasons(output, "kept")["1"]


def test_a_record_of_another_schema_is_not_understood(orders: Service) -> None:
    record = orders.record("dev")
    assert record is not None
    orders.plane.put_item({**record, "schema": 99})

    refused(orders, orders.request("sweep", None, mode="delete"), "Unreadable", "STAGE#dev", "99")

    orders.plane.put_item(record)


def test_a_stage_that_somebody_works_on_is_waited_for(new_service: NewSwept) -> None:
    service = new_service("a")
    for text in ("one", "two"):
        service.deploy_text("dev", text)
    plane, request, name = service.plane, service.request("sweep", None, mode="delete"), unique("sweep")

    with plane.somebody_holds(service.name, "stage:dev") as holder:
        impatient = plane.run({**request, "lock_wait_seconds": 0})
        waiting = plane.start(request, name)
        plane.until_waits(service.name, name)
        assert service.versions("a") == ["1", "2"]

    assert (impatient.status, impatient.error) == ("FAILED", "Locked"), impatient.output
    assert holder in impatient.told
    ended = plane.wait(waiting)
    assert (ended.status, plane.waited(waiting)) == ("SUCCEEDED", True), ended.cause
    assert (numbers(ended.output), service.versions("a")) == (["1"], ["2"])


# The stack that owns a function.


def test_a_stack_that_is_stuck_keeps_the_versions_of_its_functions(eager: ControlPlane) -> None:
    """CREATE_FAILED, since a bucket's name is no name; once it is deleted, and has let go of the function, nothing holds them."""
    function, stack, formation = unique("f"), unique("stuck"), eager.client("cloudformation")
    template = {
        "Resources": {
            "A": {
                "Type": "AWS::Lambda::Function",
                "DeletionPolicy": "Retain",
                "Properties": {
                    "FunctionName": function,
                    "Runtime": "python3.13",
                    "Handler": "index.handler",
                    "Role": f"arn:aws:iam::{eager.account}:role/{ROLE}",
                    "Code": {"ZipFile": "def handler(event, context):\n    return 1\n"},
                },
            },
            "Impossible": {
                "Type": "Custom::Impossible",
                "DependsOn": "A",
                "Properties": {"ServiceToken": eager.function_arn("no-such-function")},
            },
        }
    }
    formation.create_stack(StackName=stack, TemplateBody=json.dumps(template), OnFailure="DO_NOTHING")
    until_status(eager, stack, "CREATE_FAILED")
    service = Service(eager)
    service.functions["a"] = function
    settled(eager, function)
    for text in ("one", "two", "three"):
        service.deploy_text("dev", text)

    told = reasons(service.does("sweep", mode="delete"), "kept")
    assert told["1"] == f"stack {stack}, which owns the function, is CREATE_FAILED"
    assert service.versions("a") == ["1", "2", "3"]

    formation.delete_stack(StackName=stack)
    until_status(eager, stack, "DELETE_COMPLETE")
    assert numbers(service.does("sweep", mode="delete")) == ["1", "2"]


def until_status(plane: ControlPlane, stack: str, status: str) -> None:
    seen, until = None, time.monotonic() + 30
    while time.monotonic() < until:
        try:
            seen = plane.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            seen = "DELETE_COMPLETE"
        if seen == status:
            return
        time.sleep(0.2)
    raise AssertionError(f"stack {stack} is {seen}, not {status}")


# What a sweep leaves behind it.


def test_what_was_swept_is_missing_until_its_content_is_deployed_again(orders: Service) -> None:
    """The only case that deletes anything of this service, and the last one with it."""
    output = orders.does("sweep", mode="delete", rollback_depth=2)
    assert (numbers(output), orders.versions("a")) == (["1", "2"], ["3", "4", "5"])
    orders.assert_agreement("dev")

    refused(orders, orders.request("rollback", "dev", to={"release": 1}), "VersionMissing", "r1", orders.arn("a"))
    refused(orders, orders.request("reset", "dev", to={"release": 2}), "VersionMissing", "r2", orders.arn("a"))
    assert orders.rollback("dev", to={"steps": 2})["release"] == 3
    again = orders.deploy_text("dev", "one")

    assert (again["release"], orders.says("dev"), orders.alias("a", "dev") is not None) == (1, {"a": "one"}, True)
    assert orders.versions("a") == ["3", "4", "5", "6"]
    orders.assert_agreement("dev", again)


def test_a_function_that_nothing_holds_any_more_may_join_another_service(new_service: NewSwept) -> None:
    service, other = new_service("a", "b"), new_service()
    service.deploy_text("dev", "one")
    service.deploy("dev", {"a": service.wishes()["a"]})
    other.functions["taken"] = service.functions["b"]
    refused(other, other.request("deploy", "dev", functions=other.wishes()), "FunctionOwnedElsewhere", service.name)

    output = service.does("sweep", mode="delete")
    assert [(entry["function"], entry["version"]) for entry in output["sweep"]["deleted"]] == [("b", "1")]
    other.deploy_text("dev", "theirs now")

    assert other.says("dev") == {"taken": "theirs now"}
    other.assert_agreement("dev")
    refused(service, service.request("reset", "dev", to={"release": 1}), "FunctionOwnedElsewhere", other.name, "b")
    service.functions.pop("b")
    service.assert_agreement("dev")
