"""Event source mappings: they belong to the account, point at a qualifier, and outlive what they point at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake import fake_of

from .conftest import embedded_client
from .support import EMBEDDED, FAKE, Double, recorded, reference, refused, source, unique


@pytest.fixture
def queue(double: Double, request: pytest.FixtureRequest) -> str:
    """The ARN of a queue; the embedded AWS reads from it, so there it is a real one."""
    name = unique("queue")
    if double.name == EMBEDDED:
        embedded_client(request.getfixturevalue("embedded"), "sqs").create_queue(QueueName=name)
    return f"arn:aws:sqs:{double.region}:{double.account}:{name}"


@pytest.fixture
def mappings(double: Double) -> Iterator[list[str]]:
    """UUIDs of the mappings a case made. Nothing else would remove them."""
    made: list[str] = []
    yield made
    for uuid in made:
        if any(found["UUID"] == uuid and found["State"] != "Deleting" for found in listed(double)):
            double.client.delete_event_source_mapping(UUID=uuid)


def listed(double: Double, **members: Any) -> list[dict[str, Any]]:
    pages = double.client.get_paginator("list_event_source_mappings").paginate(**members)
    return [dict(mapping) for page in pages for mapping in page["EventSourceMappings"]]


def mapped(double: Double, mappings: list[str], queue: str, function: str) -> dict[str, Any]:
    answer = dict(double.client.create_event_source_mapping(EventSourceArn=queue, FunctionName=function, Enabled=False))
    mappings.append(str(answer["UUID"]))
    return answer


@recorded("TestLambdaEventSourceMappings::test_event_source_mapping_lifecycle")
def test_a_mapping_of_a_function_names_its_unqualified_arn(double: Double, queue: str, mappings: list[str]) -> None:
    name = double.function()

    assert mapped(double, mappings, queue, name)["FunctionArn"] == double.arn(name)


@reference("CreateEventSourceMapping")
@pytest.mark.parametrize("form", ["name", "arn"])
def test_a_mapping_of_an_alias_names_the_aliass_arn(double: Double, queue: str, mappings: list[str], form: str) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    given = f"{name}:live" if form == "name" else double.arn(name, "live")

    assert mapped(double, mappings, queue, given)["FunctionArn"] == double.arn(name, "live")


@recorded("TestLambdaEventSourceMappings::test_event_source_mapping_lifecycle_delete_function")
def test_a_mapping_outlives_its_function(double: Double, queue: str, mappings: list[str]) -> None:
    name = double.function()
    uuid = mapped(double, mappings, queue, name)["UUID"]

    double.client.delete_function(FunctionName=name)

    assert double.client.get_event_source_mapping(UUID=uuid)["FunctionArn"] == double.arn(name)


@source("AWS Lambda developer guide, event source mappings are resources of their own; no alias operation deletes one")
def test_a_mapping_outlives_its_alias(double: Double, queue: str, mappings: list[str]) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    uuid = mapped(double, mappings, queue, f"{name}:live")["UUID"]

    double.client.delete_alias(FunctionName=name, Name="live")

    assert double.client.get_event_source_mapping(UUID=uuid)["FunctionArn"] == double.arn(name, "live")


@reference("ListEventSourceMappings")
def test_the_list_without_a_filter_has_the_mappings_of_aliases_too(double: Double, queue: str, mappings: list[str]) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    uuid = mapped(double, mappings, queue, f"{name}:live")["UUID"]

    assert [found["FunctionArn"] for found in listed(double) if found["UUID"] == uuid] == [double.arn(name, "live")]


@reference("ListEventSourceMappings")
def test_the_list_of_an_event_source_has_only_its_mappings(double: Double, queue: str, mappings: list[str]) -> None:
    uuid = mapped(double, mappings, queue, double.function())["UUID"]

    assert [found["UUID"] for found in listed(double, EventSourceArn=queue)] == [uuid]


@source("AWS Lambda API reference, ListEventSourceMappings: at most 100 items, even if you set the number higher")
def test_the_list_gives_at_most_100_whatever_is_asked_for(double: Double, queue: str, mappings: list[str]) -> None:
    name = double.function_with_versions(1)
    for number in range(101):
        double.alias(name, "1", f"alias-{number:03}")
        mapped(double, mappings, queue, f"{name}:alias-{number:03}")

    first = double.client.list_event_source_mappings(EventSourceArn=queue, MaxItems=1000)
    second = double.client.list_event_source_mappings(EventSourceArn=queue, Marker=first["NextMarker"])

    assert (len(first["EventSourceMappings"]), len(second["EventSourceMappings"])) == (100, 1)
    found = [mapping["UUID"] for mapping in first["EventSourceMappings"] + second["EventSourceMappings"]]
    assert sorted(found) == sorted(mappings)


@source("AWS Lambda API reference, ListEventSourceMappings, FunctionName: a name, or the ARN of a version or alias")
@pytest.mark.parametrize("of", ["function", "alias"])
def test_the_list_of_a_function_or_alias_has_only_what_names_it(double: Double, queue: str, mappings: list[str], of: str) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    made = {"function": mapped(double, mappings, queue, name), "alias": mapped(double, mappings, queue, f"{name}:live")}

    found = listed(double, FunctionName=name if of == "function" else double.arn(name, "live"))

    assert [mapping["UUID"] for mapping in found] == [made[of]["UUID"]]


@source("AWS Lambda API reference, DeleteEventSourceMapping: might not be completely deleted for several seconds")
def test_a_deleted_mapping_is_listed_until_it_is_gone(double: Double, queue: str, mappings: list[str]) -> None:
    if double.name == FAKE:
        fake_of(double.client).mapping_seconds = 1
    uuid = mapped(double, mappings, queue, double.function())["UUID"]

    double.client.delete_event_source_mapping(UUID=uuid)

    assert [found["State"] for found in listed(double, EventSourceArn=queue)] == ["Deleting"]
    with refused("ResourceInUseException", 400):
        double.client.delete_event_source_mapping(UUID=uuid)
    double.wait(1.1)
    assert listed(double, EventSourceArn=queue) == []


@recorded("TestLambdaEventSourceMappings::test_event_source_mapping_lifecycle")
def test_a_new_mapping_is_creating_in_its_own_answer(double: Double, queue: str, mappings: list[str]) -> None:
    answer = mapped(double, mappings, queue, double.function())

    assert answer["State"] == "Creating"
    assert double.client.get_event_source_mapping(UUID=answer["UUID"])["State"] == "Disabled"


@recorded("TestLambdaEventSourceMappings::test_event_source_mapping_lifecycle")
def test_deleting_a_mapping_answers_with_it(double: Double, queue: str, mappings: list[str]) -> None:
    uuid = mapped(double, mappings, queue, double.function())["UUID"]

    answer = double.client.delete_event_source_mapping(UUID=uuid)

    assert (answer["UUID"], answer["State"]) == (uuid, "Deleting")
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202


@reference("GetEventSourceMapping")
@pytest.mark.parametrize("operation", ["get_event_source_mapping", "delete_event_source_mapping"])
def test_a_mapping_that_is_not_there_is_not_found(double: Double, operation: str) -> None:
    with refused("ResourceNotFoundException", 404):
        getattr(double.client, operation)(UUID="11111111-2222-4333-8444-555555555555")
