"""Permissions to invoke a function hold for its aliases, too, since a call of an alias is authorised on the qualified ARN."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.split_model import Kind
from tests.unit.domain.split_builders import ARN, NAME, halves, resource, said, scoped, stage_resource

OTHER = "arn:aws:lambda:eu-west-1:123456789012:function:other"
ALL = {"Fn::Sub": "${Orders.Arn}:*"}


def policy(action: Any, target: Any, **more: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": target, **more}]}


def widened(target: Any, action: Any = "lambda:InvokeFunction") -> Any:
    made = resource("AWS::IAM::ManagedPolicy", PolicyDocument=policy(action, target))
    result = halves({"It": made}, Conditions={"Yes": {"Fn::Equals": ["a", "a"]}})
    return result.service["Resources"]["It"]["Properties"]["PolicyDocument"]["Statement"][0]["Resource"]


@pytest.mark.parametrize(
    ("target", "made"),
    [
        (ARN, [ARN, ALL]),
        ({"Fn::GetAtt": "Orders.Arn"}, [{"Fn::GetAtt": "Orders.Arn"}, ALL]),
        ([OTHER, ARN], [OTHER, ARN, ALL]),
        ({"Fn::Sub": "${Orders.Arn}"}, [{"Fn::Sub": "${Orders.Arn}"}, ALL]),
        (
            {"Fn::Sub": "arn:aws:lambda:eu-west-1:1:function:${Orders}"},
            [
                {"Fn::Sub": "arn:aws:lambda:eu-west-1:1:function:${Orders}"},
                {"Fn::Sub": "arn:aws:lambda:eu-west-1:1:function:${Orders}:*"},
            ],
        ),
        (
            {"Fn::Sub": ["arn:aws:lambda:eu-west-1:1:function:${It}", {"It": NAME}]},
            [
                {"Fn::Sub": ["arn:aws:lambda:eu-west-1:1:function:${It}", {"It": NAME}]},
                {"Fn::Sub": ["arn:aws:lambda:eu-west-1:1:function:${It}:*", {"It": NAME}]},
            ],
        ),
        (
            {"Fn::Join": ["", ["arn:aws:lambda:eu-west-1:1:function:", NAME]]},
            [
                {"Fn::Join": ["", ["arn:aws:lambda:eu-west-1:1:function:", NAME]]},
                {"Fn::Join": ["", ["arn:aws:lambda:eu-west-1:1:function:", NAME, ":*"]]},
            ],
        ),
        (
            {"Fn::Join": [":", ["arn:aws:lambda:eu-west-1:1:function", NAME]]},
            [
                {"Fn::Join": [":", ["arn:aws:lambda:eu-west-1:1:function", NAME]]},
                {"Fn::Join": [":", ["arn:aws:lambda:eu-west-1:1:function", NAME, "*"]]},
            ],
        ),
        ({"Fn::If": ["Yes", ARN, OTHER]}, {"Fn::If": ["Yes", [ARN, ALL], OTHER]}),
        # These hold for the aliases already, or say which they mean.
        ([ARN, ALL], [ARN, ALL]),
        ({"Fn::Sub": "${Orders.Arn}*"}, {"Fn::Sub": "${Orders.Arn}*"}),
        ({"Fn::Sub": "${Orders.Arn}:live"}, {"Fn::Sub": "${Orders.Arn}:live"}),
        (OTHER, OTHER),
        ("*", "*"),
    ],
)
def test_each_way_to_write_the_arn(target: Any, made: Any) -> None:
    assert widened(target) == made


@pytest.mark.parametrize(
    "action",
    ["lambda:InvokeFunction", "lambda:invokefunction", "lambda:Invoke*", "lambda:*", "*", ["s3:GetObject", "lambda:InvokeAsync"]],
)
def test_actions_that_invoke(action: Any) -> None:
    assert widened(ARN, action) == [ARN, ALL]


@pytest.mark.parametrize("action", ["lambda:GetFunction", "s3:*", ["lambda:GetFunction", "lambda:ListTags"]])
def test_actions_that_do_not(action: Any) -> None:
    assert widened(ARN, action) == ARN


def test_a_denial_is_left_alone() -> None:
    document = {"Statement": [{"Effect": "Deny", "Action": "lambda:InvokeFunction", "Resource": ARN}]}
    result = halves({"It": resource("AWS::IAM::ManagedPolicy", PolicyDocument=document)})
    assert result.service["Resources"]["It"]["Properties"]["PolicyDocument"] == document


@pytest.mark.parametrize(
    "made",
    [
        resource("AWS::IAM::Role", Policies=[{"PolicyName": "p", "PolicyDocument": policy("lambda:InvokeFunction", ARN)}]),
        resource("AWS::IAM::Policy", PolicyName="p", PolicyDocument=policy("lambda:InvokeFunction", ARN)),
        resource("AWS::IAM::ManagedPolicy", PolicyDocument=policy("lambda:InvokeFunction", ARN)),
        resource("AWS::IAM::RolePolicy", PolicyName="p", PolicyDocument=policy("lambda:InvokeFunction", ARN)),
        resource("AWS::IAM::User", Policies=[{"PolicyName": "p", "PolicyDocument": policy("lambda:InvokeFunction", ARN)}]),
    ],
)
def test_wherever_a_policy_stands_it_is_widened_and_reported(made: Any) -> None:
    result = halves({"It": made})
    assert "${Orders.Arn}:*" in str(result.service["Resources"]["It"])
    assert said(result, "It") == {Kind.WIDENED}


def test_a_stages_own_policy_is_widened_too() -> None:
    made = scoped("stage", resource("AWS::IAM::ManagedPolicy", PolicyDocument=policy("lambda:InvokeFunction", ARN)))
    statement = stage_resource({"It": made}, "It")["Properties"]["PolicyDocument"]["Statement"][0]
    assert statement["Resource"] == [{"Ref": "StagekeeperOrdersArn"}, {"Fn::Sub": "${StagekeeperOrdersArn}:*"}]
