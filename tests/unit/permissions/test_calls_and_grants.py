"""Permissions in both directions: no handler makes a call that its role does not allow, and no role allows what none makes.

Recorded over every operation and its failures (stories.py), compared with template.yaml by action and resource.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from stagekeeper.domain.model import VersionNumber

from .calls import Need
from .policies import Grant, grants
from .reasons import unseen
from .recorder import BUCKET, Call
from .stories import PARAMETERS, ROLE, STORIES
from .template import ACCOUNT, REGION, Stack

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:orders-a"

_LAMBDA = "lambda.amazonaws.com"


def allowing(granted: Iterable[Grant], holder: str, need: Need) -> list[Grant]:
    return [grant for grant in granted if grant.holder == holder and grant.covers(need.action, need.resource, need.context)]


def holders(granted: Iterable[Grant], action: str, resource: str) -> set[str]:
    return {grant.holder for grant in granted if grant.covers(action, resource, {})}


# No call without a grant.


def test_every_call_is_granted_to_its_state(calls: list[Call], granted: list[Grant], roles: dict[str, str]) -> None:
    denied = {call for call in calls if not allowing(granted, roles[call.state], call.need)}

    assert not denied, "template.yaml does not grant\n" + "\n".join(sorted(map(str, denied)))


def test_with_the_default_parameters_only_other_buckets_and_roles_are_not(
    stack: Stack, calls: list[Call], roles: dict[str, str]
) -> None:
    by_default = grants(Stack(stack.template))

    denied = {call.need.resource for call in calls if not allowing(by_default, roles[call.state], call.need)}

    assert {resource for resource in denied if not resource.startswith("arn:aws:s3:::team-code-1/")} == {ROLE}


def test_every_state_made_calls_and_every_story_was_told(calls: list[Call], roles: dict[str, str]) -> None:
    assert {call.state for call in calls} == set(roles)
    assert {call.story for call in calls} == {story.name for story in STORIES}


# No grant without a call.


def test_every_grant_is_used_or_has_its_reason(
    stack: Stack, calls: list[Call], granted: list[Grant], roles: dict[str, str]
) -> None:
    """Used: there is a call that nothing else allows. So without any one grant, the first test above fails."""
    ways = [allowing(granted, roles[call.state], call.need) for call in calls]
    used = {grants[0] for grants in ways if len(grants) == 1}
    reasons = unseen(stack.template)

    idle = [grant for grant in granted if grant not in used and (grant.holder, grant.action) not in reasons]

    assert not idle, "template.yaml grants what nothing needs\n" + "\n".join(sorted(map(str, idle)))


def test_the_whole_artifact_bucket_is_for_what_people_put_there(
    calls: list[Call], granted: list[Grant], roles: dict[str, str]
) -> None:
    """The product's own keys begin with prefixes that can be named; those of code and documents are anybody's choice."""
    whole = {grant for grant in granted if grant.resource == f"arn:aws:s3:::{BUCKET}/*"}
    peoples = [call for call in calls if call.need.resource.startswith(f"arn:aws:s3:::{BUCKET}/code/")]
    used = {grant for call in peoples for grant in allowing(whole, roles[call.state], call.need)}

    assert whole
    assert whole - used == set()


def test_every_reason_is_for_a_grant_that_no_call_shows(
    stack: Stack, calls: list[Call], granted: list[Grant], roles: dict[str, str]
) -> None:
    shown = {(roles[call.state], call.need.action) for call in calls}
    there = {(grant.holder, grant.action) for grant in granted}
    reasons = unseen(stack.template).keys()

    assert reasons - there == set(), "not granted any more"
    assert reasons & shown == set(), "a call shows it by now"


# What nobody may do.


def test_nobody_can_delete_a_function(granted: list[Grant]) -> None:
    assert holders(granted, "lambda:DeleteFunction", FUNCTION) == set()


def test_nor_can_they_with_the_default_parameters(stack: Stack) -> None:
    assert holders(grants(Stack(stack.template)), "lambda:DeleteFunction", FUNCTION) == set()


def test_only_teardowns_and_sweeps_can_delete_versions(granted: list[Grant]) -> None:
    deleting = {"TearDownRole", "CollectRole", "OrphanedVersionsRole"}
    assert holders(granted, "lambda:DeleteFunction", f"{FUNCTION}:3") == deleting


def test_what_iam_cannot_keep_from_latest_the_type_of_a_version_does(granted: list[Grant]) -> None:
    """``function:NAME:*`` matches ``function:NAME:$LATEST`` as well, and IAM has no pattern for numbers: nothing but the type
    that the adapter's delete takes keeps $LATEST out of that call."""
    assert holders(granted, "lambda:DeleteFunction", f"{FUNCTION}:$LATEST")
    with pytest.raises(ValueError, match=r"\$LATEST"):
        VersionNumber.parse("$LATEST")


@pytest.mark.parametrize("qualifier", ["", ":1", ":prod"])
def test_a_function_outside_the_pattern_cannot_be_touched(granted: list[Grant], qualifier: str) -> None:
    other = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:billing-a{qualifier}"

    touching = [grant for grant in granted if grant.resource != "*" and grant.covers(grant.action, other, {})]

    assert touching == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:GetObject", "arn:aws:s3:::someones/a.zip"),
        ("s3:PutObject", "arn:aws:s3:::team-code-1/a.zip"),
        ("s3:DeleteObject", f"arn:aws:s3:::{BUCKET}/plans/a.json"),
        ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/admin"),
        ("lambda:AddPermission", FUNCTION),
        ("lambda:InvokeFunction", FUNCTION),
        ("lambda:CreateFunction", FUNCTION),
    ],
)
def test_nobody_can(granted: list[Grant], action: str, resource: str) -> None:
    allowed = [g for g in granted if g.covers(action, resource, {"iam:PassedToService": _LAMBDA})]

    assert allowed == []


def test_roles_are_given_to_lambda_alone(granted: list[Grant]) -> None:
    assert [g.holder for g in granted if g.covers("iam:PassRole", ROLE, {"iam:PassedToService": _LAMBDA})] == ["PublishRole"]
    assert [g for g in granted if g.covers("iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"})] == []


def test_without_a_pattern_nobody_can_give_functions_any_role(stack: Stack) -> None:
    without = Stack(stack.template, **{**PARAMETERS, "PassRolePattern": ""})

    passing = [grant for grant in grants(without) if grant.action == "iam:PassRole"]
    assert [(grant.holder, grant.resource) for grant in passing] == [("StacksRole", stack.arn("StackRole"))]
    assert [each for each in passing if each.covers("iam:PassRole", each.resource, {"iam:PassedToService": _LAMBDA})] == []
