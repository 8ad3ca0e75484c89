"""Every operation of Lambda under its own IAM action, on the ARN that AWS authorises it against.

A user without any policy makes each call once, and the denial names both. The table is the Service Authorization
Reference's: an operation that a newer botocore brings has no line in it, and fails here until it has one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from stagekeeper.embedded import instance as embedded_aws

from .conftest import embedded_client
from .support import PLAIN, source, unique

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

pytestmark = pytest.mark.embedded

ACTIONS = source("AWS Service Authorization Reference, Actions, resources, and condition keys for AWS Lambda")
QUALIFIED = source("AWS notice on qualified ARNs, quoted in juanjoDiaz/serverless-plugin-warmup#304 and aws/aws-cdk#19318")

MODEL = botocore.session.get_session().get_service_model("lambda")
FUNCTION, LAYER, ANYTHING = "function:orders", "layer:shared", "*"
UUID = "11111111-2222-4333-8444-555555555555"

#: Actions that are not named as their operation.
OTHER_ACTIONS = {
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
    "GetLayerVersionByArn": "GetLayerVersion",
}

#: What the operations without a function in their path are authorised against, behind `arn:aws:lambda:…:…:`.
RESOURCES = {
    "CreateFunction": FUNCTION,
    "GetAccountSettings": ANYTHING,
    "ListFunctions": ANYTHING,
    "CreateEventSourceMapping": ANYTHING,
    "ListEventSourceMappings": ANYTHING,
    "GetEventSourceMapping": f"event-source-mapping:{UUID}",
    "UpdateEventSourceMapping": f"event-source-mapping:{UUID}",
    "DeleteEventSourceMapping": f"event-source-mapping:{UUID}",
    "ListLayers": ANYTHING,
    "ListLayerVersions": ANYTHING,
    "PublishLayerVersion": LAYER,
    "GetLayerVersion": f"{LAYER}:3",
    "GetLayerVersionByArn": f"{LAYER}:3",
    "DeleteLayerVersion": f"{LAYER}:3",
    "AddLayerVersionPermission": f"{LAYER}:3",
    "GetLayerVersionPolicy": f"{LAYER}:3",
    "RemoveLayerVersionPermission": f"{LAYER}:3",
    "ListTags": FUNCTION,
    "TagResource": FUNCTION,
    "UntagResource": FUNCTION,
    "GetResourcePolicy": FUNCTION,
    "PutResourcePolicy": FUNCTION,
    "DeleteResourcePolicy": FUNCTION,
}
#: Families that no function of anybody's service here has: code signing, capacity providers, durable executions.
STRANGERS = re.compile("CodeSigningConfigs?$|CapacityProviders?$|Durable")

ALIAS_CALLS = ["CreateAlias", "GetAlias", "UpdateAlias", "DeleteAlias"]


def members_in_path(operation: str) -> set[str]:
    return set(re.findall(r"{(\w+)", MODEL.operation_model(operation).http["requestUri"]))


def of_a_function(operation: str) -> bool:
    return "FunctionName" in members_in_path(operation)


def takes_a_qualifier(operation: str) -> bool:
    shape: Any = MODEL.operation_model(operation).input_shape
    return "Qualifier" in shape.members and shape.members["Qualifier"].serialization.get("location") == "querystring"


OF_A_FUNCTION = [operation for operation in MODEL.operation_names if of_a_function(operation)]
QUALIFIABLE = [operation for operation in OF_A_FUNCTION if takes_a_qualifier(operation)]


@pytest.fixture(scope="module")
def nobody(embedded: embedded_aws.Instance) -> Iterator[LambdaClient]:
    """A user that may do nothing."""
    iam, user = embedded_client(embedded, "iam"), unique("nobody")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    yield boto3.client(
        "lambda",
        endpoint_url=embedded.endpoint,
        region_name=embedded.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=PLAIN,
    )
    iam.delete_access_key(UserName=user, AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName=user)


def denied(nobody: LambdaClient, operation: str, arn: str, **members: Any) -> tuple[str, str]:
    """The action and the ARN that the denial of a call names. `arn` is the function's or layer's that it is about."""
    given = {"FunctionName": "orders", "LayerName": "shared", "VersionNumber": 3, "UUID": UUID, "Name": "live"}
    given |= {"StatementId": "events", "Resource": arn, "ResourceArn": arn, "Arn": arn}
    shape: Any = MODEL.operation_model(operation).input_shape
    wanted = members_in_path(operation) | set(shape.required_members if shape is not None else ())
    with pytest.raises(ClientError) as caught:
        getattr(nobody, xform_name(operation))(**{name: given[name] for name in wanted if name in given} | members)
    error = caught.value.response["Error"]
    assert error["Code"] == "AccessDeniedException"
    told = re.search(r"not authorized to perform: lambda:(\w+) on resource: (\S+)", error["Message"])
    assert told is not None, json.dumps(error)
    return told[1], told[2]


def action_of(operation: str) -> str:
    return OTHER_ACTIONS.get(operation, operation)


def prefix(of: embedded_aws.Instance) -> str:
    return f"arn:aws:lambda:{of.region}:{of.account}:"


@ACTIONS
def test_every_operation_has_its_line() -> None:
    without = [name for name in MODEL.operation_names if not (of_a_function(name) or STRANGERS.search(name))]

    assert sorted(without) == sorted(RESOURCES)


@ACTIONS
@pytest.mark.parametrize("operation", OF_A_FUNCTION)
def test_a_call_about_a_function_is_authorised_on_the_function(
    nobody: LambdaClient, embedded: embedded_aws.Instance, operation: str
) -> None:
    arn = prefix(embedded) + FUNCTION

    assert denied(nobody, operation, arn) == (action_of(operation), arn)


@QUALIFIED
@pytest.mark.parametrize("operation", QUALIFIABLE)
def test_a_call_with_a_qualifier_is_authorised_on_the_qualified_arn(
    nobody: LambdaClient, embedded: embedded_aws.Instance, operation: str
) -> None:
    arn = prefix(embedded) + FUNCTION

    assert denied(nobody, operation, arn, Qualifier="live") == (action_of(operation), f"{arn}:live")


@QUALIFIED
@pytest.mark.parametrize("operation", ["DeleteFunction", "GetFunction", "GetPolicy", "Invoke", "RemovePermission"])
def test_a_qualifier_behind_the_name_counts_as_one(nobody: LambdaClient, embedded: embedded_aws.Instance, operation: str) -> None:
    arn = prefix(embedded) + FUNCTION

    assert denied(nobody, operation, arn, FunctionName=f"{arn}:7") == (action_of(operation), f"{arn}:7")


@ACTIONS
@pytest.mark.parametrize("operation", ALIAS_CALLS)
def test_an_aliass_name_in_the_path_is_no_qualifier(
    nobody: LambdaClient, embedded: embedded_aws.Instance, operation: str
) -> None:
    arn = prefix(embedded) + FUNCTION

    assert denied(nobody, operation, arn, Name="live") == (operation, arn)


@ACTIONS
@pytest.mark.parametrize("operation", sorted(RESOURCES))
def test_any_other_call_is_authorised_on_its_own_resource(
    nobody: LambdaClient, embedded: embedded_aws.Instance, operation: str
) -> None:
    resource = RESOURCES[operation]
    arn = resource if resource == ANYTHING else prefix(embedded) + resource

    assert denied(nobody, operation, arn) == (action_of(operation), arn)
