"""What a request to AWS needs its caller to be allowed: IAM action and resource, of itself and on its caller's behalf.

Written from the Service Authorization Reference and the services' own documents, and from nothing of this project: the
embedded AWS has its own list, so that a mistake must be made twice to go unseen. A request that is not in the tables below
raises. Must not know any policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .template import ACCOUNT, REGION

Params = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Need:
    """An action on a resource, and the condition keys that the request carries."""

    action: str
    resource: str
    context: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


Needs = Iterator[Need]


def needs(operation: str, params: Params) -> Needs:
    """What one request needs. ``operation`` is service and operation as botocore names its events: ``lambda.GetFunction``."""
    rule = _RULES.get(operation)
    if rule is None:
        raise LookupError(f"write down in {__name__} what AWS asks of the caller of {operation}")
    yield from rule(params)


# Lambda. Since 2022 a call with a Qualifier is authorised against the qualified ARN; an alias's name is no qualifier but part
# of the path, so calls on aliases are authorised against the function's ARN.


def _function(params: Params) -> str:
    """The ARN of the function, with its Qualifier if the call has one. A function is named by its name or its ARN."""
    name = str(params["FunctionName"])
    arn = name if name.startswith("arn:") else f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"
    if len(arn.split(":")) != 7:
        raise LookupError(f"write down what a call on {name} is authorised against")
    return f"{arn}:{params['Qualifier']}" if "Qualifier" in params else arn


def _on_function(action: str) -> Callable[[Params], Needs]:
    def rule(params: Params) -> Needs:
        yield Need(f"lambda:{action}", _function(params))

    return rule


def _everywhere(action: str) -> Callable[[Params], Needs]:
    """AWS names no resource for the action."""

    def rule(_: Params) -> Needs:
        yield Need(action, "*")

    return rule


def _update_code(params: Params) -> Needs:
    yield Need("lambda:UpdateFunctionCode", _function(params))
    if "S3Bucket" in params:
        # Lambda reads the object with its caller's rights. An image it pulls with its own, by the repository's policy.
        yield _reading(params["S3Bucket"], params["S3Key"], params.get("S3ObjectVersion"))


def _update_configuration(params: Params) -> Needs:
    yield Need("lambda:UpdateFunctionConfiguration", _function(params))
    if "Role" in params:
        yield Need("iam:PassRole", params["Role"], {"iam:PassedToService": "lambda.amazonaws.com"})
    for layer in params.get("Layers", ()):
        yield Need("lambda:GetLayerVersion", layer)
    network = params.get("VpcConfig", {})
    if network.get("SubnetIds") or network.get("SecurityGroupIds"):
        for what in ("SecurityGroups", "Subnets", "Vpcs"):
            yield Need(f"ec2:Describe{what}", "*")
    if "KMSKeyArn" in params:
        for action in ("kms:CreateGrant", "kms:Encrypt"):
            yield Need(action, params["KMSKeyArn"])


# S3. Reading a version needs another action than reading what is newest, and not that one as well.


def _reading(bucket: str, key: str, version: str | None) -> Need:
    return Need("s3:GetObject" if version is None else "s3:GetObjectVersion", f"arn:aws:s3:::{bucket}/{key}")


def _read_object(params: Params) -> Needs:
    yield _reading(params["Bucket"], params["Key"], params.get("VersionId"))


def _put_object(params: Params) -> Needs:
    yield Need("s3:PutObject", f"arn:aws:s3:::{params['Bucket']}/{params['Key']}")


# DynamoDB. A transaction has no action of its own: each of its writes is authorised as itself.


def _table(name: str) -> str:
    return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"


def _on_table(action: str) -> Callable[[Params], Needs]:
    def rule(params: Params) -> Needs:
        yield Need(f"dynamodb:{action}", _table(params["TableName"]))

    return rule


def _batch_get(params: Params) -> Needs:
    for name in params["RequestItems"]:
        yield Need("dynamodb:BatchGetItem", _table(name))


_WRITES: Final[Mapping[str, str]] = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


def _transaction(params: Params) -> Needs:
    for item in params["TransactItems"]:
        for kind, write in item.items():
            yield Need(f"dynamodb:{_WRITES[kind]}", _table(write["TableName"]))


# ECR.


def _image(params: Params) -> Needs:
    repository = f"arn:aws:ecr:{REGION}:{params.get('registryId', ACCOUNT)}:repository/{params['repositoryName']}"
    yield Need("ecr:BatchGetImage", repository)


# Step Functions. Starting is authorised against the state machine, everything about an execution against its own ARN.


def _start_execution(params: Params) -> Needs:
    yield Need("states:StartExecution", params["stateMachineArn"])


def _describe_execution(params: Params) -> Needs:
    yield Need("states:DescribeExecution", params["executionArn"])


# CloudFormation. A stack is named by its name or its ARN; a resource's stack is not known before. What CloudFormation does for
# its caller it does with the role that it is given, but for reading the template.


def _stack(params: Params) -> str:
    name = str(params["StackName"])
    return name if name.startswith("arn:") else f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/*"


def _on_stack(action: str) -> Callable[[Params], Needs]:
    def rule(params: Params) -> Needs:
        yield Need(f"cloudformation:{action}", _stack(params))
        if "RoleARN" in params:
            yield Need("iam:PassRole", params["RoleARN"], {"iam:PassedToService": "cloudformation.amazonaws.com"})

    return rule


def _create_change_set(params: Params) -> Needs:
    yield from _on_stack("CreateChangeSet")(params)
    if params.get("Tags"):
        yield Need("cloudformation:TagResource", _stack(params))
    bucket, _, key = str(params["TemplateURL"]).removeprefix("https://").partition("/")[2].partition("/")
    yield _reading(bucket, key, None)


_RULES: Final[Mapping[str, Callable[[Params], Needs]]] = {
    **{
        f"lambda.{operation}": _on_function(operation)
        for operation in (
            "CreateAlias",
            "DeleteAlias",
            "DeleteFunction",
            "GetAlias",
            "GetFunction",
            "GetPolicy",
            "GetProvisionedConcurrencyConfig",
            "ListAliases",
            "ListFunctionUrlConfigs",
            "ListProvisionedConcurrencyConfigs",
            "ListVersionsByFunction",
            "PublishVersion",
            "UpdateAlias",
        )
    },
    "lambda.GetAccountSettings": _everywhere("lambda:GetAccountSettings"),
    "lambda.ListEventSourceMappings": _everywhere("lambda:ListEventSourceMappings"),
    "lambda.UpdateFunctionCode": _update_code,
    "lambda.UpdateFunctionConfiguration": _update_configuration,
    "s3.GetObject": _read_object,
    "s3.HeadObject": _read_object,
    "s3.PutObject": _put_object,
    **{f"dynamodb.{operation}": _on_table(operation) for operation in ("GetItem", "PutItem", "Query", "Scan")},
    "dynamodb.BatchGetItem": _batch_get,
    "dynamodb.TransactWriteItems": _transaction,
    "ecr.BatchGetImage": _image,
    **{
        f"cloudformation.{operation}": _on_stack(operation)
        for operation in (
            "ContinueUpdateRollback",
            "DeleteChangeSet",
            "DeleteStack",
            "DescribeChangeSet",
            "DescribeStackEvents",
            "DescribeStacks",
            "ExecuteChangeSet",
            "ListChangeSets",
            "ListStackResources",
        )
    },
    "cloudformation.CreateChangeSet": _create_change_set,
    "cloudformation.DescribeStackResources": _everywhere("cloudformation:DescribeStackResources"),
    "sfn.DescribeExecution": _describe_execution,
    "sfn.StartExecution": _start_execution,
}
