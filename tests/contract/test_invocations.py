"""What a call reaches: an alias serves the version it points at, from the moment it has moved.

On the embedded AWS alone: the fake runs no code.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from stagekeeper.embedded import instance as embedded_aws

from .conftest import embedded_double
from .support import Double, reference, refused, source

pytestmark = pytest.mark.embedded


@pytest.fixture
def aws(embedded: embedded_aws.Instance) -> Iterator[Double]:
    yield from embedded_double(embedded)


def invoked(aws: Double, name: str, qualifier: str | None = None) -> Any:
    answer = aws.client.invoke(FunctionName=name if qualifier is None else f"{name}:{qualifier}", Payload=b"{}")
    assert "FunctionError" not in answer
    return json.loads(answer["Payload"].read())


@reference("Invoke")
def test_each_qualifier_runs_its_own_version(aws: Double) -> None:
    name = aws.function_with_versions(2)
    aws.update(name, "latest")
    aws.alias(name, "1")

    assert invoked(aws, name) == "latest"
    assert invoked(aws, name, "2") == "version 2"
    assert invoked(aws, name, "live") == "version 1"


@reference("Invoke")
def test_the_answer_names_the_version_that_ran(aws: Double) -> None:
    name = aws.function_with_versions(2)
    aws.alias(name, "1")

    assert aws.client.invoke(FunctionName=name, Qualifier="live")["ExecutedVersion"] == "1"


@reference("UpdateAlias")
def test_a_moved_alias_runs_the_new_version_at_once_and_back(aws: Double) -> None:
    name = aws.function_with_versions(2)
    aws.alias(name, "2")
    answers = [invoked(aws, name, "live")]

    for version in ("1", "2"):
        aws.client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        answers.append(invoked(aws, name, "live"))

    assert answers == ["version 2", "version 1", "version 2"]


@source("AWS Lambda developer guide, Implement Lambda canary deployments using a weighted alias")
def test_a_weighted_alias_runs_both_versions(aws: Double) -> None:
    name = aws.function_with_versions(2)
    aws.alias(name, "1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})

    ran = Counter(invoked(aws, name, "live") for _ in range(40))

    assert set(ran) == {"version 1", "version 2"}


@source("AWS Lambda's own answer to callers of a deleted version or alias: Function not found (DataBiosphere/azul#7883)")
@pytest.mark.parametrize("qualifier", ["1", "noalias"])
def test_a_qualifier_that_is_not_there_cannot_be_called(aws: Double, qualifier: str) -> None:
    name = aws.function()

    with refused("ResourceNotFoundException", 404, f"Function not found: {aws.arn(name, qualifier)}"):
        aws.client.invoke(FunctionName=name, Qualifier=qualifier)
