"""Custom::OrphanedVersions from other templates: what a create, an update, a rollback and a deletion sweep, and what not."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from .answers import Answers
from .conftest import ROOT, NewService
from .plane import ControlPlane, unique
from .service import make_function, publish_as_stranger, settled, zip_of
from .stacks import Stack, template_of

EXAMPLE = (ROOT / "examples/orphaned-versions/template.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def token(plane: ControlPlane) -> str:
    """What other templates import."""
    pages = plane.client("cloudformation").get_paginator("list_exports").paginate()
    exports = {export["Name"]: export["Value"] for page in pages for export in page["Exports"]}
    assert exports[f"{plane.stack}-OrphanedVersionsServiceToken"] == plane.outputs["OrphanedVersionsServiceToken"]
    return str(exports[f"{plane.stack}-OrphanedVersionsServiceToken"])


def versions(plane: ControlPlane, function: str) -> str:
    listed = plane.client("lambda").list_versions_by_function(FunctionName=function)["Versions"]
    return "".join(version["Version"] for version in listed if version["Version"] != "$LATEST")


def publish(plane: ControlPlane, function: str, *texts: str) -> None:
    """Somebody publishes a version with each of these texts."""
    for text in texts:
        plane.client("lambda").update_function_code(FunctionName=function, ZipFile=zip_of(text), Publish=True)
        settled(plane, function)


@pytest.fixture
def function(plane: ControlPlane) -> str:
    """A function of no service with versions 1 to 4, of which 4 is needed."""
    name = make_function(plane)
    settled(plane, name)
    publish(plane, name, "one", "two", "three", "four")
    plane.client("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion="4")
    return name


# The example, as it is shown.


def release(number: int, template: str = EXAMPLE) -> str:
    """The example as a pipeline makes it for its n-th release."""
    return template.replace("Release1", f"Release{number}")


@dataclass
class Shop:
    """What became of a stack that was made as the example shows. ``seen``: the versions of its two functions, after each step."""

    seen: list[tuple[str, str]] = field(default_factory=list)
    outputs: list[dict[str, str]] = field(default_factory=list)
    physical: set[str] = field(default_factory=set)
    answer: dict[str, Any] = field(default_factory=dict)
    aliases: list[Any] = field(default_factory=list)


@pytest.fixture(scope="module")
def shop(plane: ControlPlane) -> Shop:
    """Three releases, then the stack is deleted; its functions outlive it, so that the versions are to be seen."""
    outlives = "    Type: AWS::Lambda::Function\n"
    template = EXAMPLE.replace(outlives, f"{outlives}    DeletionPolicy: Retain\n")
    stack, shop, lambda_ = Stack(plane), Shop(), plane.client("lambda")
    assert stack.create(release(1, template), ReleaseId="r1") == "CREATE_COMPLETE", stack.events("CleanUp")
    orders, invoices = stack.physical("Orders"), stack.physical("Invoices")

    def look() -> None:
        shop.seen.append((versions(plane, orders), versions(plane, invoices)))

    for number in (1, 2, 3):
        if number > 1:
            ended = stack.update(release(number, template), ReleaseId=f"r{number}")
            assert ended == "UPDATE_COMPLETE", stack.events("CleanUp")
        look()
        shop.outputs.append(stack.outputs)
        shop.physical.add(stack.physical("CleanUp"))
    shop.answer = json.loads(lambda_.invoke(FunctionName=orders, Qualifier="live")["Payload"].read())
    assert stack.delete() == "DELETE_COMPLETE"
    look()
    shop.aliases = [alias for name in (orders, invoices) for alias in lambda_.list_aliases(FunctionName=name)["Aliases"]]
    return shop


def test_each_release_deletes_what_the_one_before_it_displaced(shop: Shop) -> None:
    assert shop.seen[:3] == [("1", "1"), ("12", "12"), ("23", "23")], shop.outputs
    assert shop.outputs[0] == {"Deleted": "0", "Kept": "2", "Result": "Swept: 0 deleted"}
    assert shop.outputs[2] == {"Deleted": "2", "Kept": "4", "Result": "Swept: 2 deleted"}
    assert shop.answer == {"function": "orders", "release": "r3", "version": "3"}


def test_when_the_stack_is_deleted_the_aliases_go_first_and_every_version_after_them(shop: Shop) -> None:
    assert (shop.seen[3], shop.aliases) == (("", ""), [])


def test_updates_keep_the_physical_id(shop: Shop) -> None:
    assert len(shop.physical) == 1


# Create, update, delete.


def test_the_attributes_say_what_was_done(plane: ControlPlane, token: str, function: str) -> None:
    stack = Stack(plane)

    assert stack.create(template_of(ServiceToken=token, FunctionNames=[function], Keep=1)) == "CREATE_COMPLETE"

    assert stack.outputs == {"DeletedCount": "2", "KeptCount": "2", "Reason": "Swept", "Detail": "2 deleted"}
    assert versions(plane, function) == "34"


def test_an_update_sweeps_when_the_trigger_changes_and_a_deletion_leaves_what_is_needed(
    plane: ControlPlane, token: str, function: str
) -> None:
    stack, given = Stack(plane), dict[str, Any](ServiceToken=token, FunctionNames=[function], Keep=1)
    stack.create(template_of(**given, Trigger="1"))
    publish(plane, function, "five", "six")

    assert stack.update(template_of(**given, Trigger="2")) == "UPDATE_COMPLETE"
    assert (stack.outputs["DeletedCount"], versions(plane, function)) == ("2", "46")

    assert stack.delete() == "DELETE_COMPLETE"
    assert versions(plane, function) == "4"


def test_a_report_deletes_nothing_ever(plane: ControlPlane, token: str, function: str) -> None:
    stack = Stack(plane)
    stack.create(template_of(ServiceToken=token, FunctionNames=[function], Keep=1, Mode="report"))
    told = stack.outputs
    stack.delete()

    assert told == {"DeletedCount": "0", "KeptCount": "4", "Reason": "Reported", "Detail": "2 would be deleted"}
    assert versions(plane, function) == "1234"


def test_a_missing_function_counts_nothing(plane: ControlPlane, token: str) -> None:
    stack = Stack(plane)

    assert stack.create(template_of(ServiceToken=token, FunctionNames=["no-such-function"])) == "CREATE_COMPLETE"
    assert (stack.outputs["DeletedCount"], stack.outputs["KeptCount"], stack.outputs["Reason"]) == ("0", "0", "Swept")
    assert stack.delete() == "DELETE_COMPLETE"


# Rollbacks.


def test_a_failed_create_sweeps_nothing_when_it_is_undone(plane: ControlPlane, token: str, function: str) -> None:
    """Undone, the resource is deleted, and a deletion keeps no version that nothing needs."""
    stack = Stack(plane)

    ended = stack.create(template_of(broken=True, ServiceToken=token, FunctionNames=[function], Keep=3))

    assert ended == "ROLLBACK_COMPLETE"
    assert [status for status, _ in stack.events("CleanUp")][-2:] == ["DELETE_IN_PROGRESS", "DELETE_COMPLETE"]
    assert versions(plane, function) == "1234"


def test_a_rolled_back_update_sweeps_nothing_when_it_is_undone(plane: ControlPlane, token: str, function: str) -> None:
    """Undone, the old properties are sent once more, by which two versions would go."""
    stack, given = Stack(plane), dict[str, Any](ServiceToken=token, FunctionNames=[function])
    stack.create(template_of(**given, Keep=1))
    publish(plane, function, "five", "six")
    assert versions(plane, function) == "3456"

    ended = stack.update(template_of(broken=True, **given, Keep=9))

    assert ended == "UPDATE_ROLLBACK_COMPLETE"
    assert [status for status, _ in stack.events("CleanUp")].count("UPDATE_COMPLETE") == 2
    assert versions(plane, function) == "3456"


def test_an_update_that_brings_the_resource_and_is_rolled_back_sweeps_nothing_either(
    plane: ControlPlane, token: str, function: str
) -> None:
    stack = Stack(plane)
    stack.create(json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}))

    ended = stack.update(template_of(broken=True, ServiceToken=token, FunctionNames=[function], Keep=3))

    assert ended == "UPDATE_ROLLBACK_COMPLETE"
    assert versions(plane, function) == "1234"


# Services of Stagekeeper.


def test_every_root_of_a_service_holds_and_versions_of_strangers_go(
    plane: ControlPlane, token: str, new_service: NewService
) -> None:
    service, stack = new_service("a"), Stack(plane)
    for text in ("one", "two", "three"):
        service.deploy_text("prod", text)
    for text in ("four", "five", "six"):
        publish_as_stranger(service, "a", text)

    assert stack.create(template_of(ServiceToken=token, Service=service.name, Keep=1)) == "CREATE_COMPLETE"

    assert stack.outputs == {"DeletedCount": "2", "KeptCount": "4", "Reason": "Swept", "Detail": "2 deleted"}
    assert service.versions("a") == list("1236")
    assert [service.rollback("prod")["release"] for _ in range(2)] == [2, 1]
    service.assert_agreement("prod")
    lock = plane.item(f"SERVICE#{service.name}", "LOCK") or {}
    assert (lock["holders"], lock["queue"]) == ({}, [])
    assert stack.delete() == "DELETE_COMPLETE"
    assert service.says("prod") == {"a": "one"}


def test_a_lock_that_is_taken_is_not_waited_for_long(plane: ControlPlane, token: str, new_service: NewService) -> None:
    service, stack = new_service("a"), Stack(plane)
    service.deploy_text("prod", "one")
    for text in ("two", "three"):
        publish_as_stranger(service, "a", text)

    with plane.somebody_holds(service.name, "stage:prod") as holder:
        began = time.monotonic()
        ended = stack.create(template_of(ServiceToken=token, Service=service.name))
        took = time.monotonic() - began

    assert ended == "CREATE_COMPLETE"
    assert 19 < took < 30
    told = {"DeletedCount": "0", "KeptCount": "0", "Reason": "Locked"}
    assert stack.outputs == {**told, "Detail": f"deploy {holder} is at work on service {service.name}"}
    assert service.versions("a") == list("123")


# What is wrong with the template.


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Keep": "many"}, "InvalidRequest: Keep: must be a whole number of at least 0"),
        ({"Grace": 1}, "InvalidRequest: Grace: unknown field"),
    ],
)
def test_a_malformed_property_fails_the_stack_with_the_reason(
    plane: ControlPlane, token: str, function: str, properties: dict[str, Any], reason: str
) -> None:
    stack = Stack(plane)

    ended = stack.create(template_of(ServiceToken=token, FunctionNames=[function], **properties))

    assert ended == "ROLLBACK_COMPLETE"
    assert ("CREATE_FAILED", reason) in stack.events("CleanUp")
    assert versions(plane, function) == "1234"
    assert stack.delete() == "DELETE_COMPLETE"


def invoke(plane: ControlPlane, function: str, event: dict[str, Any]) -> None:
    called = plane.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
    assert "FunctionError" not in called, called["Payload"].read()


def event_for(stack_id: str, formation: Answers, kind: str, **properties: Any) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": formation.url,
        "StackId": stack_id,
        "RequestId": "request-1",
        "LogicalResourceId": "CleanUp",
        "PhysicalResourceId": "orphaned-versions-1",
        "ResourceType": "Custom::OrphanedVersions",
        "ResourceProperties": properties,
    }


def test_a_malformed_property_never_fails_a_deletion(plane: ControlPlane, token: str, function: str, formation: Answers) -> None:
    """As AWS sends it after a create that failed; the embedded AWS sends none then."""
    stack = Stack(plane)
    stack.create(json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}))

    invoke(plane, token, event_for(stack.stack_id, formation, "Delete", ServiceToken=token, FunctionNames=[function], Keep="?"))

    assert (formation.answer["Status"], formation.answer["Data"]["Reason"]) == ("SUCCESS", "InvalidRequest")
    assert versions(plane, function) == "1234"


# What is wrong with Stagekeeper.

MakeBroken = Callable[[str], str]


@pytest.fixture
def without(plane: ControlPlane, built: Path) -> Iterator[MakeBroken]:
    """Makes the deployed function once more, from the zip that was built for it, with one thing missing."""
    lambda_, made = plane.client("lambda"), list[str]()
    deployed = plane.resource("OrphanedVersionsFunction")

    def make(missing: str) -> str:
        folder = built / "OrphanedVersionsFunction"
        known = lambda_.get_function_configuration(FunctionName=deployed)
        place = plane.upload(zip_without(folder, missing))
        made.append(unique("broken"))
        lambda_.create_function(
            FunctionName=made[-1],
            Code={"S3Bucket": place["s3_bucket"], "S3Key": place["s3_key"]},
            **{member: known[member] for member in ("Runtime", "Handler", "Role", "Timeout", "MemorySize", "Environment")},
        )
        settled(plane, made[-1])
        return plane.function_arn(made[-1])

    yield make
    for name in made:
        lambda_.delete_function(FunctionName=name)


def zip_without(folder: Path, missing: str) -> bytes:
    """The folder as a zip, but for one file or folder in it."""
    assert (folder / missing).exists()
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and not name.is_relative_to(missing):
                package.write(path, name)
    return content.getvalue()


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("stagekeeper/aws/stacks.py", "No module named 'stagekeeper.aws.stacks'"),
        ("stagekeeper/domain/orphans.py", "No module named 'stagekeeper.domain.orphans'"),
        ("pydantic", "No module named 'pydantic'"),
    ],
)
def test_a_zip_with_a_module_missing_fails_the_stack_in_seconds(
    plane: ControlPlane, function: str, without: MakeBroken, missing: str, named: str
) -> None:
    stack, token = Stack(plane), without(missing)

    began = time.monotonic()
    ended = stack.create(template_of(ServiceToken=token, FunctionNames=[function]))

    assert time.monotonic() - began < 15
    assert ended == "ROLLBACK_COMPLETE"
    assert ("CREATE_FAILED", f"Internal: ModuleNotFoundError: {named}") in stack.events("CleanUp")
    assert versions(plane, function) == "1234"


def test_a_stack_that_goes_back_is_let_go_back_even_by_such_a_zip(
    plane: ControlPlane, function: str, without: MakeBroken, formation: Answers
) -> None:
    """Else it would be stuck, in somebody else's account of things."""
    stack, token = Stack(plane), without("pydantic")
    assert stack.create(template_of(ServiceToken=token, FunctionNames=[function])) == "ROLLBACK_COMPLETE"

    invoke(plane, token, event_for(stack.stack_id, formation, "Update", ServiceToken=token, FunctionNames=[function]))

    assert (formation.answer["Status"], formation.answer["Data"]["Reason"]) == ("SUCCESS", "Rollback")
