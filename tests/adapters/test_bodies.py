"""Requests and plans as bodies in the artifact bucket: they come back as they were, or not at all."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from stagekeeper.aws.artifacts import Artifacts
from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.table import MalformedItem
from stagekeeper.domain.facts import Artifact
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LatestWrite,
    LogicalName,
    OperationId,
    Provenance,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    ServiceName,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Drop, Join, Keep, Move, Plan, Publish, Reuse
from stagekeeper.domain.request import CodeWish, Common, DeployRequest, FunctionWish, Request, RollbackRequest

from .test_items import RECORD

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

A, B = LogicalName("a"), LogicalName("b")
ARN = FunctionArn("arn:aws:lambda:eu-central-1:123456789012:function:orders-a")
OLD, NEW = Content("b2xk", "c1"), Content("bmV3", "c2")
ONE, TWO = VersionNumber(1), VersionNumber(2)
ORDERS, PROD = ServiceName("orders"), StageName("prod")

COMMON = Common(ORDERS, False, 0, ReleaseNumber(3), Provenance("ada", "because", "abc", "main", "https://ci"))
REQUESTS: list[tuple[OperationKind, Request]] = [
    (OperationKind.ROLLBACK, RollbackRequest(COMMON, PROD)),
    (OperationKind.ROLLBACK, RollbackRequest(COMMON, PROD, ReleaseNumber(2), None, True, True)),
    (OperationKind.DEPLOY, DeployRequest(Common(ORDERS), None, {A: FunctionWish("orders-a")})),
    (
        OperationKind.DEPLOY,
        DeployRequest(
            COMMON,
            PROD,
            {
                A: FunctionWish("orders-a", CodeWish("b", "k", "v", "s", ("arm64",)), {"Environment": {"Variables": {"K": "v"}}}),
                B: FunctionWish("orders-b", None, {"Timeout": 9, "Description": "ž"}),
            },
            partial=True,
            overwrite_drift=True,
            accept_unqualified_callers=True,
        ),
    ),
]
PLAN = Plan(
    kind=OperationKind.DEPLOY,
    service=ORDERS,
    stage=PROD,
    stage_revision=7,
    release=ReleaseNumber(4),
    new_release=True,
    previous_release=ReleaseNumber(3),
    functions={A: ReleaseFunction(ARN, NEW)},
    publishes=(
        Publish(
            A, "orders-a", ARN, NEW, OLD, 1767603720.125, 4, Artifact("b", "k", None, "s"), True, ("Timeout",), ONE, "new code"
        ),
        Publish(B, "orders-b", ARN, NEW, OLD, 1767603720.0, None, None, False, (), None, "new"),
    ),
    reuses=(Reuse(A, ARN, TWO, None, "there"),),
    moves=(Move(A, ARN, ONE, "r-1", None, "onto it"), Move(A, ARN, None, None, TWO, "made")),
    drops=(Drop(B, ARN, ONE, "gone"),),
    keeps=(Keep(B, ONE, "kept"),),
    settled={ARN: ServedAlias(B, ONE, None)},
    joins={ARN: Join(None, Claim(ORDERS, A, frozenset({"Timeout"}), LatestWrite(OperationId("op"), OLD, NEW)))},
    way_back=(ReleaseNumber(3), ReleaseNumber(1)),
    overwrite_drift=True,
    warnings=("careful",),
)


@pytest.fixture
def bodies(s3: S3Client, bucket: str) -> Bodies:
    return Bodies(Artifacts(s3, bucket))


@pytest.mark.parametrize(("kind", "request_"), REQUESTS)
def test_a_request_comes_back_as_it_was(bodies: Bodies, kind: OperationKind, request_: Request) -> None:
    key = bodies.put_request(kind, request_)

    assert bodies.request_of(replace(RECORD, kind=kind, request_key=key)) == request_
    assert key.startswith("requests/")


def test_a_plan_comes_back_as_it_was(bodies: Bodies) -> None:
    key = bodies.put_plan(PLAN)

    assert bodies.plan_of(replace(RECORD, plan_key=key)) == PLAN
    assert key.startswith("plans/")


def test_the_same_request_has_the_same_key_and_another_has_another(bodies: Bodies) -> None:
    keys = [bodies.put_request(kind, request) for kind, request in REQUESTS * 2]

    assert keys[: len(REQUESTS)] == keys[len(REQUESTS) :]
    assert len(set(keys)) == len(REQUESTS)


def test_an_operation_without_a_plan_has_none_to_read(bodies: Bodies) -> None:
    with pytest.raises(MalformedItem, match="no plan"):
        bodies.plan_of(RECORD)


def damaged(s3: S3Client, bucket: str, key: str, **changes: Any) -> None:
    body = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps({**body, **changes}).encode())


@pytest.mark.parametrize("schema", [0, 2, None])
def test_a_body_of_another_schema_version_is_malformed(s3: S3Client, bucket: str, bodies: Bodies, schema: int | None) -> None:
    key = bodies.put_plan(PLAN)
    damaged(s3, bucket, key, schema=schema)

    with pytest.raises(MalformedItem, match="schema"):
        bodies.plan_of(replace(RECORD, plan_key=key))


def test_a_damaged_body_is_malformed_and_its_values_are_not_repeated(s3: S3Client, bucket: str, bodies: Bodies) -> None:
    key = bodies.put_request(*REQUESTS[3])
    functions = {"a": {"function_name": ["s3cr3t"]}}
    damaged(s3, bucket, key, body={"common": {"service": "orders"}, "stage": None, "functions": functions})

    with pytest.raises(MalformedItem, match="damaged") as caught:
        bodies.request_of(replace(RECORD, request_key=key))

    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__
