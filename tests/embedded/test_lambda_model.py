"""Every request to Lambda is known as its operation, and is authorised under its own action on the right ARN."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest

from stagekeeper.embedded.fidelity import lambda_iam, lambda_model

MODEL = botocore.session.get_session().get_service_model("lambda")
FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:orders"


def request(operation: str, function: str = "orders", query: dict[str, Any] | None = None) -> lambda_model.Request:
    """A request as botocore writes it, with a value for each member of its path."""
    http = MODEL.operation_model(operation).http
    uri, _, fixed = http["requestUri"].partition("?")
    values = {"FunctionName": function, "VersionNumber": "3", "UUID": "an-id"}
    path = re.sub(r"\{(\w+)\+?\}", lambda member: values.get(member[1], "value"), uri)
    asked = dict(part.partition("=")[::2] for part in fixed.split("&") if part) | (query or {})
    parsed = lambda_model.parse(http["method"], path, asked)
    assert parsed is not None
    return parsed


def resource(parsed: lambda_model.Request, created: str | None = None) -> str:
    return lambda_iam.resource(parsed, "eu-central-1", "123456789012", created)


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_every_operation_of_the_model_is_told_apart(operation: str) -> None:
    assert request(operation).operation == operation


@pytest.mark.parametrize(
    ("operation", "action"),
    [
        ("Invoke", "InvokeFunction"),
        ("InvokeWithResponseStream", "InvokeFunction"),
        ("GetLayerVersionByArn", "GetLayerVersion"),
        ("UpdateAlias", "UpdateAlias"),
        ("DeleteAlias", "DeleteAlias"),
        ("GetAlias", "GetAlias"),
        ("ListVersionsByFunction", "ListVersionsByFunction"),
        ("DeleteEventSourceMapping", "DeleteEventSourceMapping"),
        ("GetAccountSettings", "GetAccountSettings"),
        ("PutProvisionedConcurrencyConfig", "PutProvisionedConcurrencyConfig"),
    ],
)
def test_the_action_is_named_as_the_operation_but_for_a_few(operation: str, action: str) -> None:
    assert lambda_iam.action(request(operation)) == action


@pytest.mark.parametrize("operation", ["GetFunction", "DeleteFunction", "Invoke", "AddPermission", "GetPolicy"])
def test_a_call_with_a_qualifier_is_authorised_on_the_qualified_arn(operation: str) -> None:
    assert resource(request(operation, query={"Qualifier": ["live"]})) == f"{FUNCTION}:live"
    assert resource(request(operation)) == FUNCTION


@pytest.mark.parametrize("operation", ["CreateAlias", "GetAlias", "UpdateAlias", "DeleteAlias", "ListAliases"])
def test_alias_calls_are_authorised_on_the_functions_arn(operation: str) -> None:
    assert resource(request(operation)) == FUNCTION


@pytest.mark.parametrize("reference", ["orders", "123456789012:function:orders", FUNCTION])
def test_a_function_is_one_however_it_is_named(reference: str) -> None:
    assert resource(request("GetFunction", reference)) == FUNCTION
    assert resource(request("GetFunction", f"{reference}:live")) == f"{FUNCTION}:live"


@pytest.mark.parametrize(
    ("operation", "arn"),
    [
        ("ListFunctions", "*"),
        ("GetAccountSettings", "*"),
        ("ListEventSourceMappings", "*"),
        ("CreateEventSourceMapping", "*"),
        ("ListLayerVersions", "*"),
        ("DeleteEventSourceMapping", "arn:aws:lambda:eu-central-1:123456789012:event-source-mapping:an-id"),
        ("GetLayerVersion", "arn:aws:lambda:eu-central-1:123456789012:layer:value:3"),
        ("PublishLayerVersion", "arn:aws:lambda:eu-central-1:123456789012:layer:value"),
    ],
)
def test_what_is_no_function_has_its_own_arn(operation: str, arn: str) -> None:
    assert resource(request(operation)) == arn


def test_a_function_that_is_to_be_made_is_named_by_the_body() -> None:
    assert resource(request("CreateFunction"), created="orders") == FUNCTION


def test_a_path_that_lambda_does_not_have_is_no_request() -> None:
    assert lambda_model.parse("GET", "/2015-03-31/nothing", {}) is None
