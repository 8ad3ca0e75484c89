"""Environment values reach the function and appear nowhere else: not in outputs, histories, plans, reports, the record, logs."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from .conftest import NewService
from .plane import ControlPlane, Ended
from .service import Service


@pytest.fixture
def secret() -> str:
    return f"s3cr3t-{uuid.uuid4().hex}"


def with_secret(service: Service, secret: str) -> dict[str, Any]:
    return service.wishes(a={"configuration": {"Environment": {"Variables": {"COLOR": secret}}}})


def where_it_shows(plane: ControlPlane, secret: str, ended: Ended) -> set[str]:
    """The places that hold the secret, beside the execution's own input. Of the bucket what was written since it began."""
    places = {"output": ended.shown.replace(_as_input(ended), "")}
    for event in plane.history(ended.arn):
        places[f"event {event['id']} ({event['type']})"] = json.dumps(_without(event, _input_of(ended)), default=str)
    for (pk, sk), item in plane.whole_table().items():
        places[f"item {pk} / {sk}"] = str(item)
    for key in plane.objects(since=ended.began):
        if key.startswith(("plans/", "reports/")):
            places[f"object {key}"] = plane.read({"s3_bucket": plane.bucket, "s3_key": key}).decode()
    places["logs"] = logs(plane)
    return {place for place, content in places.items() if secret in content}


def logs(plane: ControlPlane) -> str:
    """Every line of every log group of the stack."""
    client = plane.client("logs")
    # 50 a page, and every function that a case ever called has one.
    pages_of_groups = client.get_paginator("describe_log_groups").paginate()
    groups = [group["logGroupName"] for page in pages_of_groups for group in page["logGroups"]]
    ours = [name for name in groups if "stagekeeper" in name]
    pages = (page for group in ours for page in client.get_paginator("filter_log_events").paginate(logGroupName=group))
    return "\n".join(event["message"] for page in pages for event in page["events"])


def _as_input(ended: Ended) -> str:
    """The input as DescribeExecution's answer shows it, once more quoted."""
    return json.dumps(json.loads(ended.shown)["input"])


def _input_of(ended: Ended) -> Any:
    return json.loads(json.loads(ended.shown)["input"])


def _without(value: Any, given: Any) -> Any:
    """``value`` with the execution's input taken out wherever it stands whole, also inside JSON texts."""
    if value == given:
        return "(the input)"
    match value:
        case str():
            try:
                inner = json.loads(value)
            except ValueError:
                return value
            return _without(inner, given) if isinstance(inner, (dict, list)) else value
        case dict():
            return {key: _without(member, given) for key, member in value.items()}
        case list():
            return [_without(member, given) for member in value]
    return value


def test_a_value_is_seen_in_the_function_and_nowhere_else(new_service: NewService, secret: str) -> None:
    service = new_service("a")

    ended = service.run("deploy", "dev", functions=with_secret(service, secret))

    assert service.answer("a", "dev")["color"] == secret
    assert where_it_shows(service.plane, secret, ended) == set()


def test_the_places_that_were_searched_are_the_right_ones(new_service: NewService, secret: str) -> None:
    """The counterpart of the case above: a reason may be shown, and is found in the places where it is kept."""
    service = new_service("a")

    ended = service.run("deploy", "dev", functions=service.wishes(), reason=secret)

    shown = where_it_shows(service.plane, secret, ended)
    assert {f"item OPERATION#{ended.operation_id} / OPERATION", f"item SERVICE#{service.name} / MOVEMENT#dev#00000001"} == shown
    assert ended.operation_id in logs(service.plane)


def test_a_dry_run_does_not_show_it_either(new_service: NewService, secret: str) -> None:
    service = new_service("a")

    ended = service.run("deploy", "dev", functions=with_secret(service, secret), dry_run=True)

    assert ended.output["changes"][0]["reason"] == "configuration.Environment"
    assert where_it_shows(service.plane, secret, ended) == set()


def test_a_document_keeps_it_out_of_the_history_altogether(new_service: NewService, secret: str) -> None:
    service = new_service("a")
    document = service.plane.upload(json.dumps(with_secret(service, secret)).encode())

    ended = service.run("deploy", "dev", functions=document)

    assert service.answer("a", "dev")["color"] == secret
    assert secret not in json.dumps(service.plane.history(ended.arn), default=str)
    assert where_it_shows(service.plane, secret, ended) == set()


def test_a_failure_in_the_middle_does_not_show_it(new_service: NewService, secret: str) -> None:
    service = new_service("a")
    with service.plane.denied("PublishRole", "lambda:UpdateFunctionConfiguration", service.arn("a")):
        ended = service.run("deploy", "dev", functions=with_secret(service, secret))

    assert ended.error == "Compensated"
    assert where_it_shows(service.plane, secret, ended) == set()
