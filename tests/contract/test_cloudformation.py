"""CloudFormation: what it does with custom resources, and what it asks of those who deploy.

On the embedded AWS alone: there is no other double that runs a stack's functions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from stagekeeper.embedded import instance as embedded_aws

from .conftest import embedded_client, embedded_double
from .support import EMBEDDED, PLAIN, Double, package_of, refused, source, unique, wrong_on

pytestmark = pytest.mark.embedded

CUSTOM = source("AWS CloudFormation user guide, Custom resources: request types, PhysicalResourceId, and response objects")

#: A provider of custom resources: keeps every request in a bucket, and answers with what the properties ask for.
PROVIDER = """    import boto3, json, urllib.request
    asked = event["ResourceProperties"]
    request = {key: event.get(key) for key in ("RequestType", "PhysicalResourceId", "ResourceProperties")}
    boto3.client("s3").put_object(Bucket=asked["Bucket"], Key=context.aws_request_id, Body=json.dumps(request))
    answer = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    answer |= {"Status": asked.get("Answer", "SUCCESS"), "Reason": "as it was asked"}
    answer["PhysicalResourceId"] = event["PhysicalResourceId"] if event["RequestType"] == "Delete" else asked["Id"]
    answer["Data"] = {"Text": "x" * int(asked.get("Size", "1"))}
    put = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(put)"""


@pytest.fixture
def aws(embedded: embedded_aws.Instance) -> Iterator[Double]:
    yield from embedded_double(embedded)


class Stacks:
    """Makes and changes stacks of one custom resource; removes them again."""

    def __init__(self, of: embedded_aws.Instance, provider: str) -> None:
        self.cloudformation, self.s3 = embedded_client(of, "cloudformation"), embedded_client(of, "s3")
        self.provider, self.bucket = provider, unique("bucket")
        self.s3.create_bucket(Bucket=self.bucket)
        self.made: list[str] = []

    def template(self, **properties: Any) -> str:
        given = {"ServiceToken": self.provider, "Bucket": self.bucket} | properties
        return json.dumps({"Resources": {"Custom": {"Type": "Custom::Thing", "Properties": given}}})

    def create(self, **properties: Any) -> str:
        name = unique("stack")
        self.made.append(name)
        self.cloudformation.create_stack(StackName=name, TemplateBody=self.template(**properties))
        return name

    def ended(self, name: str, seconds: float = 15) -> str:
        """The stack's status when nothing is in progress any more; DELETE_COMPLETE when it is gone."""
        deadline = time.monotonic() + seconds
        while True:
            stacks = [stack for stack in self.cloudformation.describe_stacks()["Stacks"] if stack["StackName"] == name]
            status = str(stacks[0]["StackStatus"]) if stacks else "DELETE_COMPLETE"
            if not status.endswith("IN_PROGRESS"):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(0.1)

    def requests(self) -> list[dict[str, Any]]:
        """What the provider was asked, in order."""
        objects = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        keys = [found["Key"] for found in sorted(objects, key=lambda found: found["LastModified"])]
        return [json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()) for key in keys]

    def asked(self, request_type: str) -> list[dict[str, Any]]:
        return [request for request in self.requests() if request["RequestType"] == request_type]


@pytest.fixture
def stacks(embedded: embedded_aws.Instance, aws: Double) -> Iterator[Stacks]:
    made = Stacks(embedded, aws.arn(aws.function(Timeout=30, Code={"ZipFile": package_of(PROVIDER)})))
    yield made
    for name in made.made:
        made.cloudformation.delete_stack(StackName=name)
        made.ended(name)


@CUSTOM
def test_properties_arrive_as_strings(stacks: Stacks) -> None:
    name = stacks.create(Id="one", Keep=3, Wanted=True, Names=["a", 1])

    assert stacks.ended(name) == "CREATE_COMPLETE"
    (request,) = stacks.asked("Create")
    given = request["ResourceProperties"]
    assert (given["Keep"], given["Wanted"], given["Names"]) == ("3", "true", ["a", "1"])


@CUSTOM
def test_an_update_with_another_physical_id_deletes_the_old_one(stacks: Stacks) -> None:
    name = stacks.create(Id="one")
    stacks.ended(name)

    stacks.cloudformation.update_stack(StackName=name, TemplateBody=stacks.template(Id="two"))

    assert stacks.ended(name) == "UPDATE_COMPLETE"
    assert [request["PhysicalResourceId"] for request in stacks.asked("Delete")] == ["one"]


@CUSTOM
def test_an_update_with_the_same_physical_id_deletes_nothing(stacks: Stacks) -> None:
    name = stacks.create(Id="one", Trigger="1")
    stacks.ended(name)

    stacks.cloudformation.update_stack(StackName=name, TemplateBody=stacks.template(Id="one", Trigger="2"))

    assert stacks.ended(name) == "UPDATE_COMPLETE"
    assert (len(stacks.asked("Update")), stacks.asked("Delete")) == (1, [])


@CUSTOM
@wrong_on(EMBEDDED, "rolls back without a Delete for the resource that failed")
def test_a_failed_create_rolls_back_and_asks_for_the_deletion(stacks: Stacks) -> None:
    name = stacks.create(Id="one", Answer="FAILED")

    assert stacks.ended(name) == "ROLLBACK_COMPLETE"
    assert [request["PhysicalResourceId"] for request in stacks.asked("Delete")] == ["one"]


@source("AWS CloudFormation user guide, Custom resource response objects: the response can be at most 4096 bytes")
def test_an_answer_over_4096_bytes_fails(stacks: Stacks) -> None:
    assert stacks.ended(stacks.create(Id="one", Size="5000")) == "ROLLBACK_COMPLETE"


# Tables.


@source("AWS CloudFormation template reference, AWS::DynamoDB::Table: PointInTimeRecoverySpecification")
@wrong_on(EMBEDDED, "leaves a template's point-in-time recovery out; the project's template is looked at statically")
def test_a_table_has_the_point_in_time_recovery_of_its_template(stacks: Stacks, embedded: embedded_aws.Instance) -> None:
    name = unique("stack")
    stacks.made.append(name)
    properties = {
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    }
    template = {"Resources": {"Table": {"Type": "AWS::DynamoDB::Table", "Properties": properties}}}
    stacks.cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    assert stacks.ended(name) == "CREATE_COMPLETE"

    shown = embedded_client(embedded, "dynamodb").describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]

    assert shown["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


# Which stack has a resource.

BY_PHYSICAL_ID = source("AWS CloudFormation API reference, DescribeStackResources: PhysicalResourceId")
ALIASED = """
Resources:
  Version:
    Type: AWS::Lambda::Version
    DeletionPolicy: Retain
    Properties: {{FunctionName: {function}}}
  Aliaslive:
    Type: AWS::Lambda::Alias
    DeletionPolicy: Retain
    Properties: {{FunctionName: {function}, FunctionVersion: !GetAtt Version.Version, Name: live}}
  Queue:
    Type: AWS::SQS::Queue
"""
WITHOUT_ALIAS = """
Resources:
  Queue:
    Type: AWS::SQS::Queue
"""


class Aliased:
    """A stack of an alias and a queue."""

    def __init__(self, of: embedded_aws.Instance, aws: Double) -> None:
        self.cloudformation, self.lambda_, self.name = embedded_client(of, "cloudformation"), aws.client, unique("stack")
        self.function = aws.function()
        self.alias = f"{aws.arn(self.function)}:live"
        self.cloudformation.create_stack(StackName=self.name, TemplateBody=ALIASED.format(function=self.function))
        self.wait("stack_create_complete")

    def wait(self, status: str) -> None:
        waiter: Any = self.cloudformation.get_waiter(status)
        waiter.wait(StackName=self.name, WaiterConfig={"Delay": 1, "MaxAttempts": 15})

    def resources(self, **wanted: str) -> dict[str, tuple[str, str]]:
        """By logical id: the stack and the physical id."""
        found = self.cloudformation.describe_stack_resources(**wanted)["StackResources"]
        return {each["LogicalResourceId"]: (each["StackName"], each["PhysicalResourceId"]) for each in found}


@pytest.fixture
def aliased(embedded: embedded_aws.Instance, aws: Double) -> Iterator[Aliased]:
    made = Aliased(embedded, aws)
    yield made
    made.cloudformation.delete_stack(StackName=made.name)
    made.wait("stack_delete_complete")


@BY_PHYSICAL_ID
def test_a_stack_is_found_by_one_of_its_resources_and_an_alias_is_known_by_its_arn(aliased: Aliased) -> None:
    found = aliased.resources(PhysicalResourceId=aliased.alias)

    assert found["Aliaslive"] == (aliased.name, aliased.alias)
    assert found.keys() == {"Version", "Aliaslive", "Queue"}
    assert found == aliased.resources(StackName=aliased.name)


@BY_PHYSICAL_ID
def test_a_resource_that_no_stack_has_is_a_validation_error(aliased: Aliased) -> None:
    other = f"{aliased.alias}-other"

    with refused("ValidationError", 400, f"Stack for {other} does not exist"):
        aliased.resources(PhysicalResourceId=other)


@BY_PHYSICAL_ID
def test_a_stack_is_named_by_itself_or_by_a_resource_not_by_both(aliased: Aliased) -> None:
    with refused("ValidationError", 400):
        aliased.resources(PhysicalResourceId=aliased.alias, StackName=aliased.name)


@source("AWS CloudFormation user guide, DeletionPolicy: a retained resource stays when it is removed from the template")
def test_an_alias_that_its_stack_lets_go_of_stays_and_is_no_stacks_any_more(aliased: Aliased) -> None:
    aliased.cloudformation.update_stack(StackName=aliased.name, TemplateBody=WITHOUT_ALIAS)
    aliased.wait("stack_update_complete")

    assert aliased.lambda_.get_alias(FunctionName=aliased.function, Name="live")["FunctionVersion"] == "1"
    with refused("ValidationError", 400):
        aliased.resources(PhysicalResourceId=aliased.alias)


# What it asks of those who deploy.

ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
}


@source("AWS CloudFormation API reference, CreateStack, Capabilities: InsufficientCapabilitiesException")
def test_a_stack_with_a_role_needs_to_be_acknowledged(embedded: embedded_aws.Instance) -> None:
    cloudformation = embedded_client(embedded, "cloudformation")
    template = json.dumps({"Resources": {"Role": ROLE}})

    with refused("InsufficientCapabilitiesException", 400):
        cloudformation.create_stack(StackName=unique("stack"), TemplateBody=template)


@source("AWS CloudFormation user guide, service role: without one, stacks are made with the caller's permissions")
@wrong_on(EMBEDDED, "makes every resource, whoever asks: what a deploy needs is listed in the documentation")
def test_a_stack_is_made_with_its_callers_permissions(embedded: embedded_aws.Instance) -> None:
    iam, user, name = embedded_client(embedded, "iam"), unique("user"), unique("stack")
    iam.create_user(UserName=user)
    allowed = [{"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}]
    document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=document)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    cloudformation = boto3.client(
        "cloudformation",
        endpoint_url=embedded.endpoint,
        region_name=embedded.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=PLAIN,
    )
    template = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}})

    cloudformation.create_stack(StackName=name, TemplateBody=template, OnFailure="DO_NOTHING")
    while (status := cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]) == "CREATE_IN_PROGRESS":
        time.sleep(0.1)
    embedded_client(embedded, "cloudformation").delete_stack(StackName=name)

    assert status == "CREATE_FAILED"


SERVERLESS = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Role: {role}
      InlineCode: "def handler(event, context): return 1"
      Events:
        Call: {{Type: HttpApi, Properties: {{ApiId: !Ref Api, Path: /orders, Method: get}}}}
  Api:
    Type: AWS::Serverless::HttpApi
"""


@source("AWS SAM developer guide, AWS::Serverless::HttpApi: an HttpApi event becomes a route of the API")
@wrong_on(EMBEDDED, "gives an AWS::Serverless::HttpApi no routes; AWS::Serverless::Api works")
def test_an_http_api_has_the_routes_of_its_functions(embedded: embedded_aws.Instance, aws: Double) -> None:
    cloudformation, gateway = embedded_client(embedded, "cloudformation"), embedded_client(embedded, "apigatewayv2")
    name = unique("stack")
    template = SERVERLESS.format(role=aws.role())
    cloudformation.create_stack(StackName=name, TemplateBody=template, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 15})
    api = cloudformation.describe_stack_resource(StackName=name, LogicalResourceId="Api")["StackResourceDetail"]

    routes = [route["RouteKey"] for route in gateway.get_routes(ApiId=api["PhysicalResourceId"])["Items"]]
    cloudformation.delete_stack(StackName=name)

    assert routes == ["GET /orders"]
