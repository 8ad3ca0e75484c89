"""Which action and which ARN a call to Lambda is authorised as. A wrong guess here deletes a function or denies a deploy.

On the embedded AWS alone: the fake knows no permissions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

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

#: Makes a client that may do these of Lambda's actions on this resource, and nothing else but further statements.
Allowed = Callable[..., "LambdaClient"]


@pytest.fixture
def aws(embedded: embedded_aws.Instance) -> Iterator[Double]:
    yield from embedded_double(embedded)


@pytest.fixture
def allowed(embedded: embedded_aws.Instance) -> Iterator[Allowed]:
    iam = embedded_client(embedded, "iam")
    users: list[tuple[str, str]] = []

    def make(actions: list[str], resource: str, *more: tuple[str, str], condition: dict[str, Any] | None = None) -> LambdaClient:
        user = unique("user")
        iam.create_user(UserName=user)
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": [f"lambda:{action}" for action in actions],
            "Resource": resource,
        }
        statement |= {"Condition": condition} if condition else {}
        others = [{"Effect": "Allow", "Action": action, "Resource": on} for action, on in more]
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement, *others]})
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


@ACTIONS
def test_a_layer_needs_permission_to_read_it(aws: Double, allowed: Allowed) -> None:
    name, layer = aws.function(), aws.layer()
    updating = (["UpdateFunctionConfiguration"], aws.arn(name))

    with refused("AccessDeniedException", 403):
        allowed(*updating).update_function_configuration(FunctionName=name, Layers=[layer])
    allowed(*updating, ("lambda:GetLayerVersion", layer)).update_function_configuration(FunctionName=name, Layers=[layer])

    assert [shown["Arn"] for shown in aws.settled(name)["Layers"]] == [layer]


@source(
    "AWS Lambda developer guide, Giving functions access to a VPC, required permissions; aws/aws-sdk-ruby#1192 has the sentence"
)
@pytest.mark.parametrize("missing", ["SecurityGroups", "Subnets", "Vpcs"])
def test_a_network_needs_permission_to_describe_it(aws: Double, allowed: Allowed, missing: str) -> None:
    name, (subnet, group) = aws.function(), aws.network()
    granted = [(f"ec2:Describe{what}", "*") for what in ("SecurityGroups", "Subnets", "Vpcs") if what != missing]
    network: Any = {"SubnetIds": [subnet], "SecurityGroupIds": [group]}

    with refused("AccessDeniedException", 403) as refusal:
        allowed(["UpdateFunctionConfiguration"], aws.arn(name), *granted).update_function_configuration(
            FunctionName=name, VpcConfig=network
        )

    assert refusal.message.startswith(
        f"Your access has been denied by EC2, please make sure your request credentials have permission to Describe{missing}"
    )
    everything = [*granted, (f"ec2:Describe{missing}", "*")]
    allowed(["UpdateFunctionConfiguration"], aws.arn(name), *everything).update_function_configuration(
        FunctionName=name, VpcConfig=network
    )


KEYS = source("AWS Lambda developer guide, Securing environment variables: kms:CreateGrant, kms:Encrypt, kms:Decrypt")


@pytest.fixture
def key(embedded: embedded_aws.Instance) -> str:
    """A customer's key."""
    arn: str = embedded_client(embedded, "kms").create_key()["KeyMetadata"]["Arn"]
    return arn


@KEYS
@pytest.mark.parametrize("missing", ["kms:CreateGrant", "kms:Encrypt"])
def test_a_customers_key_needs_permission_to_use_it(aws: Double, allowed: Allowed, key: str, missing: str) -> None:
    name = aws.function()
    granted = [(action, key) for action in ("kms:CreateGrant", "kms:Encrypt") if action != missing]

    with refused("AccessDeniedException", 403) as refusal:
        allowed(["UpdateFunctionConfiguration"], aws.arn(name), *granted).update_function_configuration(
            FunctionName=name, KMSKeyArn=key
        )

    assert missing in refusal.message
    assert "KMSKeyArn" not in aws.settled(name)


@KEYS
def test_variables_under_a_customers_key_are_not_shown_without_permission_to_decrypt(
    aws: Double, allowed: Allowed, key: str
) -> None:
    name = aws.function(KMSKeyArn=key, Environment={"Variables": {"MODE": "1"}})

    hidden = allowed(["GetFunction"], aws.arn(name)).get_function(FunctionName=name)["Configuration"]["Environment"]
    shown = allowed(["GetFunction"], aws.arn(name), ("kms:Decrypt", key)).get_function(FunctionName=name)

    assert "Variables" not in hidden
    assert hidden["Error"]["ErrorCode"] == "AccessDeniedException"
    assert shown["Configuration"]["Environment"] == {"Variables": {"MODE": "1"}}


@source("AWS Lambda developer guide, identity-based policies: lambda:FunctionArn limits the calls about a mapping")
def test_a_mapping_is_deleted_by_who_may_for_its_function(embedded: embedded_aws.Instance, aws: Double, allowed: Allowed) -> None:
    name, queue = aws.function_with_versions(1), unique("queue")
    aws.alias(name, "1")
    embedded_client(embedded, "sqs").create_queue(QueueName=queue)
    source_arn = f"arn:aws:sqs:{aws.region}:{aws.account}:{queue}"
    uuid = aws.client.create_event_source_mapping(EventSourceArn=source_arn, FunctionName=f"{name}:live", Enabled=False)["UUID"]

    def of(function: str) -> dict[str, Any]:
        return {"ArnLike": {"lambda:FunctionArn": function}}

    with refused("AccessDeniedException", 403):
        allowed(["DeleteEventSourceMapping"], "*", condition=of(aws.arn("another"))).delete_event_source_mapping(UUID=uuid)
    answer = allowed(["DeleteEventSourceMapping"], "*", condition=of(aws.arn(name, "*"))).delete_event_source_mapping(UUID=uuid)

    assert answer["State"] == "Deleting"
