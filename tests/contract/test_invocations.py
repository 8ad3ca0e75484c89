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

from .conftest import embedded_client, embedded_double
from .support import EMBEDDED, Double, package_of, recorded, reference, refused, source, unique, wrong_on

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

    answer = aws.client.invoke(FunctionName=name, Qualifier="live")
    answer["Payload"].read()

    assert answer["ExecutedVersion"] == "1"


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


def failed(aws: Double, name: str) -> Any:
    """What the runtime reports for a call that failed."""
    answer = aws.client.invoke(FunctionName=name, Payload=b"{}")
    assert answer["FunctionError"] == "Unhandled"
    return json.loads(answer["Payload"].read())


@recorded("TestTaskServiceLambda::test_raise_custom_exception", "2024-11-28")
def test_an_exception_is_told_under_its_own_class_name(aws: Double) -> None:
    name = aws.function(Code={"ZipFile": package_of("    class Moved(Exception): pass\n    raise Moved('it serves r3')")})

    failure = failed(aws, name)

    assert (failure["errorType"], failure["errorMessage"]) == ("Moved", "it serves r3")


@source("AWS Lambda developer guide, Troubleshoot invocation, timeouts; aws/aws-appsync-community#386 has the error's name")
def test_a_handler_that_takes_too_long_is_ended(aws: Double) -> None:
    name = aws.function(Timeout=1, Code={"ZipFile": package_of("    import time\n    time.sleep(5)")})

    failure = failed(aws, name)

    assert failure["errorType"] == "Sandbox.Timedout"
    assert "Task timed out after 1.00 seconds" in failure["errorMessage"]


@reference("PutFunctionConcurrency")
def test_a_function_without_concurrency_cannot_be_called(aws: Double) -> None:
    name = aws.function()
    aws.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)

    with refused("TooManyRequestsException", 429) as refusal:
        aws.client.invoke(FunctionName=name)

    assert refusal.response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


@source(
    "AWS Lambda developer guide, Python context object and defined runtime environment variables; API reference, LoggingConfig"
)
def test_a_handlers_log_lies_where_its_context_and_environment_say(aws: Double, embedded: embedded_aws.Instance) -> None:
    told = (
        "    import os\n    print('it says so')\n"
        "    names = ('AWS_LAMBDA_LOG_GROUP_NAME', 'AWS_LAMBDA_LOG_STREAM_NAME')\n"
        "    return [context.log_group_name, context.log_stream_name, *(os.environ[name] for name in names)]"
    )
    group = f"/shared/{unique('group')}"
    name = aws.function(Code={"ZipFile": package_of(told)}, LoggingConfig={"LogGroup": group})

    in_context, stream, *in_environment = invoked(aws, name)

    assert (in_context, in_environment) == (group, [group, stream])
    events = embedded_client(embedded, "logs").get_log_events(logGroupName=group, logStreamName=stream)["events"]
    assert "it says so" in [event["message"] for event in events]


@reference("Invoke")
@wrong_on(EMBEDDED, "runs processes, no containers: an image's function can be published, not called")
def test_a_function_of_an_image_can_be_called(aws: Double) -> None:
    image = f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/orders@sha256:{'a' * 64}"
    members: dict[str, Any] = {"PackageType": "Image", "Code": {"ImageUri": image}, "Role": aws.role()}
    name = unique()
    aws.made.append(name)
    aws.client.create_function(FunctionName=name, **members)
    aws.settled(name)

    answer = aws.client.invoke(FunctionName=name, Payload=b"{}")
    answer["Payload"].read()

    assert "FunctionError" not in answer
