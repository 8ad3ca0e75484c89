"""Principals that no double checks: the state machine's role, rules, schedules, and what is granted on everything.

The project's own template has nothing wrong with it; each sample shows that the check would see it if there were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from . import wiring
from .handlers import load_definition
from .reasons import WITHOUT_RESOURCES
from .template import ACCOUNT, REGION, Stack, load, of_type

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
    text = (load.__globals__["ROOT"] / "template.yaml").read_text(encoding="utf-8")
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
        ("handlers", "LogGroup: !Ref LockLogs", "LogGroup: !Ref PlanLogs", "LockFunction may write .*LockLogs.*, its log is .*PlanLogs"),
        ("handlers", "Service: lambda.amazonaws.com", "Service: ec2.amazonaws.com", "AcceptRole, .* not by lambda.amazonaws.com"),
        (
            "wildcards",
            "Action: [lambda:GetLayerVersion]\n                Resource: !Sub arn:${AWS::Partition}:lambda:${AWS::Region}:*:layer:*",
            'Action: [lambda:GetLayerVersion]\n                Resource: "*"',
            r"PublishRole UseLayers: lambda:GetLayerVersion on \*: name its resources",
        ),
        (
            "wildcards",
            "Action: [ec2:DescribeSecurityGroups, ec2:DescribeSubnets, ec2:DescribeVpcs]",
            "Action: [ec2:DescribeSecurityGroups, ec2:DescribeSubnets]",
            "ec2:DescribeVpcs is not granted on",
        ),
        ("events", "      Handler: stagekeeper.handlers.lock.handler\n", "      Events: {}\n", "LockFunction has Events"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_seen(check: str, old: str, new: str, sentence: str) -> None:
    told = "\n".join(CHECKS[check](changed(old, new)))

    assert told
    pytest.approx  # noqa: B018
