"""Small templates for the tests of the split, without SAM and without text."""

from __future__ import annotations

from typing import Any

from stagekeeper.domain.split import split
from stagekeeper.domain.split_model import Expanded, Kind, Path, Problem, Split, Unsplittable

Resource = dict[str, Any]

ROLE: Resource = {
    "Type": "AWS::IAM::Role",
    "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
}
ARN = {"Fn::GetAtt": ["Orders", "Arn"]}
NAME = {"Ref": "Orders"}
STAGE = {"Ref": "StagekeeperStage"}
ALIAS = {"Ref": "StagekeeperOrdersAlias"}


def function(**more: Any) -> Resource:
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {"Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Code": {"S3Bucket": "b", "S3Key": "k"}, **more},
    }


def resource(kind: str, /, **properties: Any) -> Resource:
    return {"Type": kind, "Properties": properties}


def scoped(scope: Any, made: Resource) -> Resource:
    return {**made, "Metadata": {"Stagekeeper": {"Scope": scope}}}


def template(resources: dict[str, Resource], **sections: Any) -> Expanded:
    """With the function Orders and its role; each resource stands in a line of its own, from 10 on."""
    everything = {"Orders": function(), "Role": ROLE, **resources}
    lines: dict[Path, int] = {("Resources", name): 10 * (position + 1) for position, name in enumerate(everything)}
    return Expanded({"AWSTemplateFormatVersion": "2010-09-09", "Resources": everything, **sections}, lines)


def halves(resources: dict[str, Resource], **sections: Any) -> Split:
    result = split(template(resources, **sections))
    assert not isinstance(result, Unsplittable), result.problems
    return result


def stage_resource(resources: dict[str, Resource], name: str, **sections: Any) -> Any:
    """A resource as it stands in the stage half."""
    stage = halves(resources, **sections).stage
    assert stage is not None
    return stage["Resources"][name]


def problems(resources: dict[str, Resource], **sections: Any) -> tuple[Problem, ...]:
    result = split(template(resources, **sections))
    assert isinstance(result, Unsplittable), "nothing was wrong with it"
    return result.problems


def said(result: Split, logical_id: str) -> set[Kind]:
    return {line.kind for line in result.report.lines if line.logical_id == logical_id}


def is_stages(result: Split, logical_id: str) -> bool:
    in_stage = result.stage is not None and logical_id in result.stage["Resources"]
    assert in_stage != (logical_id in result.service["Resources"])
    return in_stage
