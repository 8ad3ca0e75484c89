"""What is said of a resource that leaves a stack: whether it goes, and whether data goes with it."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.leaving import Leaving, leaving, lost_with

LOST = Leaving("it is deleted with what is in it", lost=True)
PLAIN = Leaving("it is deleted", lost=False)
IF_EMPTY = Leaving("it is deleted if it is empty; CloudFormation fails to delete one that is not", lost=True)
SNAPSHOT = Leaving("it is deleted; a snapshot of it stays (DeletionPolicy: Snapshot)", lost=False)


def resource(kind: str, policy: str | None = None, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties} | ({} if policy is None else {"DeletionPolicy": policy})


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("AWS::DynamoDB::Table", LOST),
        ("AWS::DynamoDB::GlobalTable", LOST),
        ("AWS::SQS::Queue", LOST),
        ("AWS::Logs::LogGroup", LOST),
        ("AWS::Cognito::UserPool", LOST),
        ("AWS::Kinesis::Stream", LOST),
        ("AWS::CloudFormation::Stack", LOST),
        ("AWS::OpenSearchService::Domain", LOST),
        ("AWS::S3::Bucket", IF_EMPTY),
        ("AWS::ECR::Repository", IF_EMPTY),
        ("AWS::SQS::QueuePolicy", PLAIN),
        ("AWS::Cognito::UserPoolClient", PLAIN),
        ("AWS::S3::BucketPolicy", PLAIN),
        ("AWS::Lambda::Function", PLAIN),
        ("AWS::IAM::Role", PLAIN),
        ("AWS::SNS::Topic", PLAIN),
        ("AWS::RDS::DBCluster", SNAPSHOT),
        ("AWS::RDS::DBInstance", SNAPSHOT),
        ("AWS::RDS::DBSubnetGroup", PLAIN),
    ],
)
def test_what_is_in_it_goes_with_a_resource_that_has_data(kind: str, what: Leaving) -> None:
    assert leaving(resource(kind)) == what
    assert leaving({"Type": kind}) == what


@pytest.mark.parametrize("kind", ["AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::RDS::DBCluster"])
@pytest.mark.parametrize("policy", ["Retain", "RetainExceptOnCreate"])
def test_what_is_retained_stays(kind: str, policy: str) -> None:
    stays = Leaving(f"it stays, as its DeletionPolicy ({policy}) says, and belongs to no stack then", lost=False)
    assert leaving(resource(kind, policy)) == stays


@pytest.mark.parametrize(
    ("it", "what"),
    [
        (resource("AWS::ElastiCache::CacheCluster", "Snapshot"), SNAPSHOT),
        (resource("AWS::RDS::DBCluster", "Delete"), LOST),
        (resource("AWS::RDS::DBInstance", DBClusterIdentifier="orders"), LOST),
    ],
)
def test_a_snapshot_is_made_by_policy_or_by_default(it: dict[str, Any], what: Leaving) -> None:
    assert leaving(it) == what


def test_a_warning_names_each_that_is_lost_and_what_keeps_it() -> None:
    template = {"Resources": {"Z": resource("AWS::SQS::Queue"), "T": resource("AWS::DynamoDB::Table"), "R": {"Type": "X"}}}
    assert lost_with("orders", template, ["Z", "T", "R"]) == tuple(
        f"{name} leaves stack orders: it is deleted with what is in it. "
        "To keep it, first deploy a template that still declares it, with DeletionPolicy: Retain"
        for name in "TZ"
    )
    assert lost_with("orders", template, []) == ()
