"""Which action and which ARN a call to Lambda is authorised as. A wrong guess here deletes a function or denies a deploy.

On the embedded AWS alone: the fake knows no permissions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import pytest

from stagekeeper.embedded import instance as embedded_aws

from .conftest import embedded_client, embedded_double
from .support import PLAIN, Double, reference, refused, source, unique

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

pytestmark = pytest.mark.embedded

QUALIFIED = source("AWS notice on qualified ARNs, quoted in juanjoDiaz/serverless-plugin-warmup#304 and aws/aws-cdk#19318")
ACTIONS = source("AWS Service Authorization Reference, Actions, resources, and condition keys for AWS Lambda")

#: Makes a client that may do these actions on this resource, and nothing else.
Allowed = Callable[[list[str], str], "LambdaClient"]


@pytest.fixture
def aws(embedded: embedded_aws.Instance) -> Iterator[Double]:
    yield from embedded_double(embedded)


@pytest.fixture
def allowed(embedded: embedded_aws.Instance) -> Iterator[Allowed]:
    iam = embedded_client(embedded, "iam")
    users: list[tuple[str, str]] = []

    def make(actions: list[str], resource: str) -> LambdaClient:
        user = unique("user")
        iam.create_user(UserName=user)
        statement = {"Effect": "Allow", "Action": [f"lambda:{action}" for action in actions], "Resource": resource}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=policy)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        users.append((user, key["AccessKeyId"]))
        client: LambdaClient = boto3.client(
            "lambda",
            endpoint_url=embedded.endpoint,
            region_name=embedded.region,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            config=PLAIN,
        )
        return client

    yield make
    for user, key in users:
        iam.delete_access_key(UserName=user, AccessKeyId=key)
        iam.delete_user_policy(UserName=user, PolicyName="only")
        iam.delete_user(UserName=user)


@QUALIFIED
def test_deleting_a_version_needs_the_qualified_arn(aws: Double, allowed: Allowed) -> None:
    name = aws.function_with_versions(2)

    with refused("AccessDeniedException", 403):
        allowed(["DeleteFunction"], aws.arn(name)).delete_function(FunctionName=name, Qualifier="1")
    allowed(["DeleteFunction"], aws.arn(name, "*")).delete_function(FunctionName=name, Qualifier="1")

    left = aws.client.list_versions_by_function(FunctionName=name)["Versions"]
    assert [version["Version"] for version in left] == ["$LATEST", "2"]


@QUALIFIED
def test_who_may_delete_versions_may_not_delete_the_function(aws: Double, allowed: Allowed) -> None:
    name = aws.function_with_versions(1)

    with refused("AccessDeniedException", 403):
        allowed(["DeleteFunction"], aws.arn(name, "*")).delete_function(FunctionName=name)

    assert aws.settled(name, "1")["State"] == "Active"


@QUALIFIED
def test_reading_through_an_alias_needs_the_aliass_arn(aws: Double, allowed: Allowed) -> None:
    name = aws.function_with_versions(1)
    aws.alias(name, "1")

    with refused("AccessDeniedException", 403):
        allowed(["GetFunction"], aws.arn(name)).get_function(FunctionName=name, Qualifier="live")
    answer = allowed(["GetFunction"], aws.arn(name, "live")).get_function(FunctionName=name, Qualifier="live")

    assert answer["Configuration"]["Version"] == "1"


@QUALIFIED
def test_a_permission_on_an_alias_needs_the_aliass_arn(aws: Double, allowed: Allowed) -> None:
    name = aws.function_with_versions(1)
    aws.alias(name, "1")

    with refused("AccessDeniedException", 403):
        allowed(["GetPolicy"], aws.arn(name)).get_policy(FunctionName=name, Qualifier="live")
    with refused("ResourceNotFoundException", 404):
        allowed(["GetPolicy"], aws.arn(name, "live")).get_policy(FunctionName=name, Qualifier="live")


@ACTIONS
def test_moving_an_alias_is_authorised_on_the_function(aws: Double, allowed: Allowed) -> None:
    name = aws.function_with_versions(2)
    aws.alias(name, "1")

    with refused("AccessDeniedException", 403):
        allowed(["UpdateAlias"], aws.arn(name, "live")).update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    allowed(["UpdateAlias"], aws.arn(name)).update_alias(FunctionName=name, Name="live", FunctionVersion="2")

    assert aws.client.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == "2"


@ACTIONS
def test_each_alias_call_has_an_action_of_its_own(aws: Double, allowed: Allowed) -> None:
    name = aws.function_with_versions(1)
    aws.alias(name, "1")
    lister = allowed(["ListAliases"], aws.arn(name))

    assert len(lister.list_aliases(FunctionName=name)["Aliases"]) == 1
    with refused("AccessDeniedException", 403):
        lister.get_alias(FunctionName=name, Name="live")
    with refused("AccessDeniedException", 403):
        lister.update_alias(FunctionName=name, Name="live", FunctionVersion="1")
    with refused("AccessDeniedException", 403):
        lister.delete_alias(FunctionName=name, Name="live")
    with refused("AccessDeniedException", 403):
        lister.create_alias(FunctionName=name, Name="other", FunctionVersion="1")


@ACTIONS
def test_publishing_is_not_updating(aws: Double, allowed: Allowed) -> None:
    name = aws.function()

    with refused("AccessDeniedException", 403):
        allowed(["UpdateFunctionCode", "UpdateFunctionConfiguration"], aws.arn(name)).publish_version(FunctionName=name)

    assert allowed(["PublishVersion"], aws.arn(name)).publish_version(FunctionName=name)["Version"] == "1"


@ACTIONS
def test_event_source_mappings_are_listed_on_every_resource(aws: Double, allowed: Allowed) -> None:
    name = aws.function()

    with refused("AccessDeniedException", 403):
        allowed(["ListEventSourceMappings"], aws.arn(name)).list_event_source_mappings()

    assert "EventSourceMappings" in allowed(["ListEventSourceMappings"], "*").list_event_source_mappings()


@reference("UpdateFunctionConfiguration")
def test_a_new_role_needs_permission_to_pass_it(aws: Double, allowed: Allowed) -> None:
    name = aws.function()

    with refused("AccessDeniedException", 403):
        allowed(["UpdateFunctionConfiguration"], aws.arn(name)).update_function_configuration(
            FunctionName=name, Role=aws.role("another")
        )

    assert aws.settled(name)["Role"] == aws.role()
