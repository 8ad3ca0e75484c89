"""Principals that no double checks: the state machine's role, rules, schedules, and what is granted on everything.

The project's own template has nothing wrong with it; each sample shows that the check would see it if there were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from . import wiring
from .handlers import load_definition
from .reasons import WITHOUT_RESOURCES
from .template import ACCOUNT, REGION, ROOT, Stack, load, of_type

Check = Callable[[Stack], Iterator[str]]

DEFINITION = load_definition()
#: Every check of a template alone.
CHECKS: dict[str, Check] = {
    "machine": lambda stack: wiring.of_machine(stack, DEFINITION),
    "rules": wiring.of_rules,
    "schedules": wiring.of_schedules,
    "events": wiring.of_events,
    "wildcards": lambda stack: wiring.of_wildcards(stack, WITHOUT_RESOURCES),
    "handlers": wiring.of_handlers,
}


@pytest.mark.parametrize("check", CHECKS)
def test_nothing_is_wrong_with_the_projects_own(stack: Stack, check: str) -> None:
    assert list(CHECKS[check](stack)) == []


def test_there_is_one_machine_to_look_at(stack: Stack) -> None:
    assert list(of_type(stack.template, "AWS::Serverless::StateMachine")) == ["Operation"]


def changed(old: str, new: str) -> Stack:
    """The project's template with one thing wrong."""
    text = (ROOT / "template.yaml").read_text(encoding="utf-8")
    assert text.count(old) > 0, f"the template has no {old!r}"
    return Stack(load(text.replace(old, new, 1)))


INVOKED = "                  - !GetAtt MoveFunction.Arn\n"


@pytest.mark.parametrize(
    ("check", "old", "new", "sentence"),
    [
        ("machine", INVOKED, "", "has 0 grants to start .*MoveFunction"),
        ("machine", INVOKED, INVOKED * 2, "has 2 grants to start .*MoveFunction"),
        ("machine", INVOKED, INVOKED + '                  - "*"\n', r"may start \*, which"),
        ("handlers", "Role: !GetAtt LockRole.Arn", "Role: !GetAtt PlanRole.Arn", "PlanFunction and LockFunction share PlanRole"),
        ("handlers", "      Role: !GetAtt LockRole.Arn\n", "      Policies: []\n", "LockFunction has no role of its own"),
        ("handlers", "LogGroup: !Ref LockLogs", "LogGroup: !Ref PlanLogs", "LockFunction may write .*, its log is .*PlanLogs"),
        ("handlers", "Service: lambda.amazonaws.com", "Service: ec2.amazonaws.com", "AcceptRole, .* not by lambda.amazonaws.com"),
        (
            "wildcards",
            "Resource: !Sub arn:${AWS::Partition}:lambda:${AWS::Region}:*:layer:*",
            'Resource: "*"',
            r"PublishRole UseLayers: lambda:GetLayerVersion on \*: name its resources",
        ),
        (
            "wildcards",
            "Action: [ec2:DescribeSecurityGroups, ec2:DescribeSubnets, ec2:DescribeVpcs]",
            "Action: [ec2:DescribeSecurityGroups, ec2:DescribeSubnets]",
            "ec2:DescribeVpcs is not granted on",
        ),
        ("rules", "      SourceArn: !GetAtt ExecutionEnds.Arn\n", "", "rule ExecutionEnds calls .*NoticeFunction, but no"),
        ("rules", "      SourceArn: !GetAtt ExecutionEnds.Arn\n", "", "permission ExecutionEndsPermission has no SourceArn"),
        ("events", "      Handler: stagekeeper.handlers.lock.handler\n", "      Events: {}\n", "LockFunction has Events"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(check: str, old: str, new: str, sentence: str) -> None:
    told = "\n".join(CHECKS[check](changed(old, new)))

    assert re.search(sentence, told), told


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"Resource": "arn:aws:states:::dynamodb:putItem"}, "state New calls arn:aws:states:::dynamodb:putItem"),
        ({"Resource": "arn:aws:states:::lambda:invoke", "Arguments": {"FunctionName": "${Other}"}}, "has 0 grants to start"),
    ],
)
def test_a_state_that_calls_something_new_is_seen(state: dict[str, Any], sentence: str) -> None:
    template = load()
    template["Resources"]["Operation"]["Properties"]["DefinitionSubstitutions"]["Other"] = {"GetAtt": "OtherFunction.Arn"}
    template["Resources"]["OtherFunction"] = {"Type": "AWS::Serverless::Function"}
    definition = {"States": {**DEFINITION["States"], "New": {"Type": "Task", **state}}}

    told = "\n".join(wiring.of_machine(Stack(template), definition))

    assert sentence in told


# What the rule of this project listens to.


def test_the_rule_is_told_of_our_machines_executions_that_end_without_success_and_of_no_others(stack: Stack) -> None:
    (rule,) = of_type(stack.template, "AWS::Events::Rule").values()

    assert stack.value(rule["Properties"]["EventPattern"]) == {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"stateMachineArn": [stack.arn("Operation")], "status": ["FAILED", "TIMED_OUT", "ABORTED"]},
    }
    assert [stack.value(target["Arn"]) for target in rule["Properties"]["Targets"]] == [stack.arn("NoticeFunction")]


def test_handlers_know_the_machine_by_the_name_that_it_has(stack: Stack) -> None:
    """They could not refer to it, since it refers to them; and what is granted on its executions is by this name too."""
    machine = stack.value(stack.template["Resources"]["Operation"]["Properties"]["Name"])
    told = stack.value(stack.template["Globals"]["Function"]["Environment"]["Variables"]["STATE_MACHINE_ARN"])

    assert told == f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{machine}"


# Rules and schedules: as they must look.

RULES = """
Resources:
  Worker: {Type: "AWS::Serverless::Function"}
  Machine: {Type: "AWS::Serverless::StateMachine"}
  Ended:
    Type: AWS::Events::Rule
    Properties:
      Targets:
        - {Id: worker, Arn: !GetAtt Worker.Arn}
        - {Id: machine, Arn: !Ref Machine, RoleArn: !GetAtt Starter.Arn}
  EndedMayCall:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref Worker
      Action: lambda:InvokeFunction
      Principal: events.amazonaws.com
      SourceArn: !GetAtt Ended.Arn
  Starter:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: "sts:AssumeRole"}]
      Policies:
        - PolicyDocument:
            Statement: [{Sid: Start, Effect: Allow, Action: "states:StartExecution", Resource: !Ref Machine}]
"""
SCHEDULES = """
Resources:
  Machine: {Type: "AWS::Serverless::StateMachine"}
  Other: {Type: "AWS::Serverless::StateMachine"}
  Daily:
    Type: AWS::Scheduler::Schedule
    Properties:
      Target: {Arn: !Ref Machine, RoleArn: !GetAtt Starter.Arn}
  Starter:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Statement: [{Effect: Allow, Principal: {Service: scheduler.amazonaws.com}, Action: "sts:AssumeRole"}]
      Policies:
        - PolicyDocument:
            Statement: [{Sid: Start, Effect: Allow, Action: "states:StartExecution", Resource: !Ref Machine}]
"""


@pytest.mark.parametrize(("check", "sample"), [("rules", RULES), ("schedules", SCHEDULES)])
def test_one_that_is_right_is_right(check: str, sample: str) -> None:
    assert list(CHECKS[check](Stack(load(sample)))) == []


@pytest.mark.parametrize(
    ("check", "old", "new", "sentence"),
    [
        ("rules", "SourceArn: !GetAtt Ended.Arn", "SourceAccount: !Ref AWS::AccountId", "rule Ended calls .*Worker, but no"),
        (
            "rules",
            "SourceArn: !GetAtt Ended.Arn",
            "SourceAccount: !Ref AWS::AccountId",
            "permission EndedMayCall has no SourceArn",
        ),
        (
            "rules",
            "SourceArn: !GetAtt Ended.Arn",
            "SourceArn: arn:aws:events:x:1:rule/Other",
            "rule Ended calls .*Worker, but no",
        ),
        ("rules", "Principal: events.amazonaws.com", "Principal: s3.amazonaws.com", "rule Ended calls .*Worker, but no"),
        ("rules", "FunctionName: !Ref Worker", "FunctionName: Another", "rule Ended calls .*Worker, but no"),
        ("rules", ", RoleArn: !GetAtt Starter.Arn", "", "rule Ended has no role to start .*Machine with"),
        ("rules", "{Service: events.amazonaws.com}", "{Service: lambda.amazonaws.com}", "not by events.amazonaws.com alone"),
        ("rules", "Resource: !Ref Machine", 'Resource: "*"', "Starter, .* rule Ended, has 0 grants to start .*Machine"),
        ("schedules", ", RoleArn: !GetAtt Starter.Arn", "", "schedule Daily has no role to start .*Machine with"),
        ("schedules", "scheduler.amazonaws.com", "events.amazonaws.com", "not by scheduler.amazonaws.com alone"),
        ("schedules", "Resource: !Ref Machine", "Resource: !Ref Other", "Starter, .* schedule Daily, has 0 grants"),
        ("schedules", "Resource: !Ref Machine", "Resource: [!Ref Machine, !Ref Other]", "may start .*Other, which nothing"),
        ("schedules", "states:StartExecution", "states:DescribeExecution", "schedule Daily, has 0 grants to start"),
    ],
)
def test_one_that_is_wrong_is_seen(check: str, old: str, new: str, sentence: str) -> None:
    sample = {"rules": RULES, "schedules": SCHEDULES}[check]
    assert old in sample

    told = "\n".join(CHECKS[check](Stack(load(sample.replace(old, new, 1)))))

    assert re.search(sentence, told), told
