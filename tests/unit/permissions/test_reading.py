"""How this package reads templates, IAM's patterns and requests: as CloudFormation, IAM and the services do."""

from __future__ import annotations

from typing import Any

import pytest

from .calls import Need, needs
from .policies import Grant, grants, matches
from .template import ACCOUNT, REGION, Stack, load

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:orders-a"
TABLE = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/state"

ROLE = """
Parameters:
  Pattern: {Type: String, Default: ""}
Conditions:
  Named: !Not [!Equals [!Ref Pattern, ""]]
Resources:
  Table: {Type: "AWS::DynamoDB::Table"}
  Bucket: {Type: "AWS::S3::Bucket"}
  Reader:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyDocument:
            Statement:
              - Sid: Read
                Effect: Allow
                Action: [dynamodb:GetItem, dynamodb:Query]
                Resource: !GetAtt Table.Arn
              - Sid: Code
                Effect: Allow
                Action: s3:GetObject
                Resource:
                  - !Sub ${Bucket.Arn}/plans/*
                  - !If [Named, !Sub "arn:${AWS::Partition}:s3:::${Pattern}/*", !Ref AWS::NoValue]
  More:
    Type: AWS::IAM::Policy
    Condition: Named
    Properties:
      Roles: [!Ref Reader]
      PolicyDocument:
        Statement:
          - Sid: Pass
            Effect: Allow
            Action: iam:PassRole
            Resource: !Sub arn:aws:iam::${AWS::AccountId}:role/${Pattern}
            Condition: {StringEquals: {"iam:PassedToService": lambda.amazonaws.com}}
"""


def told(text: str, **parameters: str) -> list[str]:
    return [str(grant) for grant in grants(Stack(load(text), **parameters))]


def test_a_statement_is_one_grant_for_each_action_and_resource() -> None:
    assert told(ROLE) == [
        f"Reader Read: dynamodb:GetItem on arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Table",
        f"Reader Read: dynamodb:Query on arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Table",
        "Reader Code: s3:GetObject on arn:aws:s3:::Bucket/plans/*",
    ]


def test_conditions_of_the_template_depend_on_the_parameters() -> None:
    assert set(told(ROLE, Pattern="team-?")) - set(told(ROLE)) == {
        "Reader Code: s3:GetObject on arn:aws:s3:::team-?/*",
        f"Reader Pass: iam:PassRole on arn:aws:iam::{ACCOUNT}:role/team-?",
    }


def test_conditions_of_a_statement_must_hold_for_the_request() -> None:
    (grant,) = [grant for grant in grants(Stack(load(ROLE), Pattern="team-?")) if grant.sid == "Pass"]
    role = f"arn:aws:iam::{ACCOUNT}:role/team-1"

    assert grant.covers("iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"})
    assert not grant.covers("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"})
    assert not grant.covers("iam:PassRole", role, {})


def test_a_condition_may_be_a_pattern() -> None:
    like = ROLE.replace(
        'StringEquals: {"iam:PassedToService": lambda.amazonaws.com}', 'StringLike: {"iam:PassedToService": lambda.*}'
    )
    (grant,) = [grant for grant in grants(Stack(load(like), Pattern="team-?")) if grant.sid == "Pass"]
    role = f"arn:aws:iam::{ACCOUNT}:role/team-1"

    assert grant.covers("iam:PassRole", role, {"iam:PassedToService": "lambda.amazonaws.com"})
    assert not grant.covers("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"})
    assert not grant.covers("iam:PassRole", role, {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Action: s3:GetObject", "Action: s3:Get*"),
        ("Effect: Allow", "Effect: Deny"),
        ("Action: s3:GetObject", "NotAction: s3:GetObject"),
        ("StringEquals", "StringNotEquals"),
        ("      Policies:\n", "      ManagedPolicyArns: [x]\n      Policies:\n"),
        ("!GetAtt Table.Arn", "!GetAtt Table.StreamArn"),
        ("!GetAtt Table.Arn", "!ImportValue other"),
        ("!GetAtt Table.Arn", "!Ref AWS::NoValue"),
        ("AWS::DynamoDB::Table", "AWS::Kinesis::Stream"),
    ],
)
def test_what_it_does_not_know_it_does_not_read(old: str, new: str) -> None:
    assert old in ROLE

    with pytest.raises((LookupError, TypeError)):
        told(ROLE.replace(old, new, 1), Pattern="team-?")


def test_a_parameter_that_the_template_does_not_have_is_an_error() -> None:
    with pytest.raises(KeyError, match="Patern"):
        Stack(load(ROLE), Patern="x")


@pytest.mark.parametrize(
    ("pattern", "resource", "matched"),
    [
        ("*", "anything:at/all", True),
        ("a:function:orders-?", "a:function:orders-a", True),
        ("a:function:orders-?", "a:function:orders-a:1", False),
        ("a:function:orders-?:*", "a:function:orders-a", False),
        ("a:function:orders-?:*", "a:function:orders-a:prod", True),
        ("a:function:orders-*", "a:function:orders-a:prod", True),
        ("a:function:*:*", "a:function:orders-a", False),
        ("a:function:*:*", "a:function:orders-a:$LATEST", True),
        ("arn:aws:s3:::b/plans/*", "arn:aws:s3:::b/plans/x/y", True),
        ("arn:aws:s3:::b/plans/*", "arn:aws:s3:::b/requests/x", False),
        ("a.b", "a-b", False),
        ("a:function:orders-?", "*", False),
    ],
)
def test_patterns(pattern: str, resource: str, matched: bool) -> None:
    assert matches(pattern, resource) is matched


def test_actions_are_compared_whatever_their_case() -> None:
    assert Grant("Role", "Sid", "dynamodb:getItem", TABLE).covers("dynamodb:GetItem", TABLE, {})


#: Request -> what it needs, each action with its resource.
REQUESTS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    ("lambda.GetFunction", {"FunctionName": "orders-a"}, [("lambda:GetFunction", FUNCTION)]),
    ("lambda.GetFunction", {"FunctionName": FUNCTION, "Qualifier": "prod"}, [("lambda:GetFunction", f"{FUNCTION}:prod")]),
    ("lambda.UpdateAlias", {"FunctionName": FUNCTION, "Name": "prod"}, [("lambda:UpdateAlias", FUNCTION)]),
    ("lambda.DeleteFunction", {"FunctionName": FUNCTION}, [("lambda:DeleteFunction", FUNCTION)]),
    ("lambda.DeleteFunction", {"FunctionName": FUNCTION, "Qualifier": "3"}, [("lambda:DeleteFunction", f"{FUNCTION}:3")]),
    ("lambda.ListEventSourceMappings", {"FunctionName": FUNCTION}, [("lambda:ListEventSourceMappings", "*")]),
    (
        "lambda.UpdateFunctionCode",
        {"FunctionName": FUNCTION, "S3Bucket": "b", "S3Key": "k/a.zip", "S3ObjectVersion": "v"},
        [("lambda:UpdateFunctionCode", FUNCTION), ("s3:GetObjectVersion", "arn:aws:s3:::b/k/a.zip")],
    ),
    ("lambda.UpdateFunctionCode", {"FunctionName": FUNCTION, "ImageUri": "i"}, [("lambda:UpdateFunctionCode", FUNCTION)]),
    (
        "lambda.UpdateFunctionConfiguration",
        {"FunctionName": FUNCTION, "Role": "arn:role", "Layers": ["arn:layer:1"], "MemorySize": 512},
        [
            ("lambda:UpdateFunctionConfiguration", FUNCTION),
            ("iam:PassRole", "arn:role"),
            ("lambda:GetLayerVersion", "arn:layer:1"),
        ],
    ),
    (
        "lambda.UpdateFunctionConfiguration",
        {"FunctionName": FUNCTION, "VpcConfig": {"SubnetIds": ["s"], "SecurityGroupIds": ["g"]}, "KMSKeyArn": "arn:key"},
        [
            ("lambda:UpdateFunctionConfiguration", FUNCTION),
            ("ec2:DescribeSecurityGroups", "*"),
            ("ec2:DescribeSubnets", "*"),
            ("ec2:DescribeVpcs", "*"),
            ("kms:CreateGrant", "arn:key"),
            ("kms:Encrypt", "arn:key"),
        ],
    ),
    (
        "lambda.UpdateFunctionConfiguration",
        {"FunctionName": FUNCTION, "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": []}},
        [("lambda:UpdateFunctionConfiguration", FUNCTION)],
    ),
    ("s3.HeadObject", {"Bucket": "b", "Key": "k"}, [("s3:GetObject", "arn:aws:s3:::b/k")]),
    ("s3.GetObject", {"Bucket": "b", "Key": "k", "VersionId": "v"}, [("s3:GetObjectVersion", "arn:aws:s3:::b/k")]),
    ("s3.PutObject", {"Bucket": "b", "Key": "k"}, [("s3:PutObject", "arn:aws:s3:::b/k")]),
    ("dynamodb.Query", {"TableName": "state"}, [("dynamodb:Query", TABLE)]),
    ("dynamodb.BatchGetItem", {"RequestItems": {"state": {"Keys": []}}}, [("dynamodb:BatchGetItem", TABLE)]),
    (
        "dynamodb.TransactWriteItems",
        {"TransactItems": [{kind: {"TableName": "state"}} for kind in ("Put", "Update", "Delete", "ConditionCheck")]},
        [(f"dynamodb:{name}Item", TABLE) for name in ("Put", "Update", "Delete", "ConditionCheck")],
    ),
    (
        "ecr.BatchGetImage",
        {"registryId": "210987654321", "repositoryName": "team/a", "imageIds": []},
        [("ecr:BatchGetImage", f"arn:aws:ecr:{REGION}:210987654321:repository/team/a")],
    ),
]


@pytest.mark.parametrize(("operation", "params", "needed"), REQUESTS, ids=[operation for operation, _, _ in REQUESTS])
def test_requests(operation: str, params: dict[str, Any], needed: list[tuple[str, str]]) -> None:
    assert [(need.action, need.resource) for need in needs(operation, params)] == needed


def test_a_role_is_passed_to_lambda() -> None:
    _, passed = needs("lambda.UpdateFunctionConfiguration", {"FunctionName": FUNCTION, "Role": "arn:role"})

    assert passed == Need("iam:PassRole", "arn:role")
    assert passed.context == {"iam:PassedToService": "lambda.amazonaws.com"}


@pytest.mark.parametrize("operation", ["lambda.TagResource", "s3.DeleteObject", "dynamodb.DescribeTable"])
def test_a_request_that_nobody_wrote_down_raises(operation: str) -> None:
    with pytest.raises(LookupError, match=operation):
        list(needs(operation, {"FunctionName": FUNCTION, "Bucket": "b", "Key": "k", "TableName": "t"}))
