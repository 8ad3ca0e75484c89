"""What stands before an alias and what looks at it: an API's stage variables, and metrics by alias.

On the embedded AWS alone.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from stagekeeper.embedded import instance as embedded_aws

from .conftest import embedded_client, embedded_double
from .support import EMBEDDED, Double, package_of, source, unique, wrong_on

pytestmark = pytest.mark.embedded


@pytest.fixture
def aws(embedded: embedded_aws.Instance) -> Iterator[Double]:
    yield from embedded_double(embedded)


def status_of(embedded: embedded_aws.Instance, function_arn: str, variables: dict[str, str]) -> int:
    """Put a REST API's stage before a function and call it; the HTTP status."""
    gateway = embedded_client(embedded, "apigateway")
    api = gateway.create_rest_api(name=unique("api"))["id"]
    method = {"restApiId": api, "resourceId": gateway.get_resources(restApiId=api)["items"][0]["id"], "httpMethod": "GET"}
    uri = f"arn:aws:apigateway:{embedded.region}:lambda:path/2015-03-31/functions/{function_arn}/invocations"
    gateway.put_method(**method, authorizationType="NONE")
    gateway.put_integration(**method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    gateway.create_deployment(restApiId=api, stageName="live", variables=variables)
    # The address is this emulator's own; on AWS it is the API's host name.
    address = f"{embedded.endpoint}/restapis/{api}/live/_user_request_/"
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the loopback address above
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    finally:
        gateway.delete_rest_api(restApiId=api)


def called(aws: Double) -> str:
    """A function with an alias `live` that an API may call."""
    name = aws.function(Code={"ZipFile": package_of("    return {'statusCode': 200, 'body': 'ok'}")})
    aws.publish(name)
    aws.alias(name, "1")
    aws.client.add_permission(
        FunctionName=name,
        Qualifier="live",
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    return name


STAGE_VARIABLES = source("Amazon API Gateway developer guide, stage variables in the URI of a Lambda integration")


@STAGE_VARIABLES
def test_an_api_calls_the_alias_its_integration_names(aws: Double, embedded: embedded_aws.Instance) -> None:
    name = called(aws)

    assert status_of(embedded, aws.arn(name, "live"), {}) == 200


@STAGE_VARIABLES
@wrong_on(EMBEDDED, "does not resolve ${stageVariables.x} in a REST API's integration")
def test_an_api_calls_the_alias_its_stage_variable_names(aws: Double, embedded: embedded_aws.Instance) -> None:
    name = called(aws)

    assert status_of(embedded, aws.arn(name) + ":${stageVariables.stage}", {"stage": "live"}) == 200


@source("AWS Lambda developer guide, Metrics: dimension Resource, for the metrics of a version or alias")
@wrong_on(EMBEDDED, "measures functions only: alarms on an alias are set by hand in tests")
def test_calls_through_an_alias_are_counted_for_the_alias(aws: Double, embedded: embedded_aws.Instance) -> None:
    name = called(aws)
    aws.client.invoke(FunctionName=name, Qualifier="live")["Payload"].read()
    time.sleep(0.5)
    now = datetime.now(UTC)

    counted = embedded_client(embedded, "cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="Invocations",
        Dimensions=[{"Name": "FunctionName", "Value": name}, {"Name": "Resource", "Value": f"{name}:live"}],
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]

    assert sum(point["Sum"] for point in counted) == 1
