"""Requests and plans as bodies in the artifact bucket: they come back as they were, or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from stagekeeper.aws.artifacts import Artifacts
from stagekeeper.aws.bodies import AnyPlan, Bodies
from stagekeeper.aws.table import MalformedItem
from stagekeeper.domain.adoption import AdoptedStage, AdoptedVersion, AdoptPlan
from stagekeeper.domain.code import ImageAddress
from stagekeeper.domain.facts import Artifact, Image
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LatestWrite,
    LogicalName,
    OperationId,
    Provenance,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    ServiceName,
    Settings,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.orphans import SweepSettings, Verdict
from stagekeeper.domain.plan import Change, ConfigurePlan, Drop, Join, Keep, Move, Plan, Publish, Reuse
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import (
    AdoptRequest,
    CloneRequest,
    CodeWish,
    Common,
    ConfigureRequest,
    DeployRequest,
    FunctionWish,
    ImageWish,
    Request,
    ResetRequest,
    RollbackRequest,
    SweepRequest,
    TeardownRequest,
    VerifyRequest,
    kind_of,
)
from stagekeeper.domain.sweep import Progress, Survey, SweepPlan
from stagekeeper.domain.teardown import TeardownPlan, TornAlias

from .records import RECORD

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

A, B = LogicalName("a"), LogicalName("b")
ARN = FunctionArn("arn:aws:lambda:eu-central-1:123456789012:function:orders-a")
OLD, NEW = Content("b2xk", "c1"), Content("bmV3", "c2")
ONE, TWO = VersionNumber(1), VersionNumber(2)
ORDERS, PROD = ServiceName("orders"), StageName("prod")

COMMON = Common(True, 0, ReleaseNumber(3), Provenance("ada", "because", "abc", "main", "https://ci"))
IMAGE = ImageAddress("123456789012", "eu-central-1", "amazonaws.com", "orders/a", "0" * 64)
SECRETS = {"Environment": {"Variables": {"K": "v"}}}
REQUESTS: list[Request] = [
    RollbackRequest(COMMON, ORDERS, PROD),
    RollbackRequest(Common(), ORDERS, PROD, ReleaseNumber(2), None, True, True),
    RollbackRequest(Common(), ORDERS, PROD, None, 2),
    DeployRequest(Common(), ORDERS, None, {A: FunctionWish("orders-a")}),
    DeployRequest(
        COMMON,
        ORDERS,
        PROD,
        {
            A: FunctionWish("orders-a", CodeWish("b", "k", "v", "s", ("arm64",)), SECRETS),
            B: FunctionWish("orders-b", None, {"Timeout": 9, "Description": "ž"}),
        },
        partial=True,
        overwrite_drift=True,
        accept_unqualified_callers=True,
    ),
    DeployRequest(COMMON, ORDERS, PROD, {A: FunctionWish("orders-a", ImageWish(IMAGE, ("x86_64",)))}),
    ResetRequest(COMMON, ORDERS, PROD, ReleaseNumber(2), True, True),
    ResetRequest(Common(), ORDERS, PROD, StageName("qa")),
    CloneRequest(COMMON, ORDERS, PROD, StageName("qa"), True),
    TeardownRequest(COMMON, ORDERS, PROD, "prod"),
    TeardownRequest(Common(), ORDERS),
    SweepRequest(COMMON, ORDERS, True, 0, 1, 2),
    SweepRequest(Common(), None),
    ConfigureRequest(COMMON, ORDERS, PROD, True, "for customers"),
    ConfigureRequest(Common(), ORDERS, PROD),
    VerifyRequest(COMMON, ORDERS, PROD),
    VerifyRequest(Common(), ORDERS),
    AdoptRequest(COMMON, ORDERS, PROD),
    AdoptRequest(Common(), ORDERS, None, (PROD, StageName("qa")), {A: "orders-a"}, True),
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
        Publish(B, "orders-b", ARN, NEW, OLD, 1767603720.0, 0, Image(IMAGE.uri, "d"), True, (), None, "an image"),
    ),
    reuses=(Reuse(A, ARN, TWO, None, "there"),),
    moves=(Move(A, ARN, ONE, "r-1", None, "onto it"), Move(A, ARN, None, None, TWO, "made")),
    drops=(Drop(B, ARN, ONE, "gone"),),
    keeps=(Keep(B, ONE, "kept"),),
    settled={ARN: ServedAlias(B, ONE, None, kept=True)},
    joins={ARN: Join(None, Claim(ORDERS, A, frozenset({"Timeout"}), LatestWrite(OperationId("op"), OLD, NEW)))},
    way_back=(ReleaseNumber(3), ReleaseNumber(1)),
    overwrite_drift=True,
    warnings=("careful",),
)


CONFIGURE = ConfigurePlan(
    ORDERS,
    PROD,
    7,
    None,
    Settings(protected=True, description="for customers"),
    (Change(PROD, "configure", None, None, "protected: false -> true"),),
)
VERDICTS = (Verdict(A, ARN, ONE, 1_000, True, "nobody needs it"), Verdict(B, ARN, TWO, 0, False, "stage prod serves it"))
TEARDOWN = TeardownPlan(
    service=ORDERS,
    stage=PROD,
    stages=(PROD,),
    previous_release=ReleaseNumber(3),
    aliases=(TornAlias(PROD, A, ARN, ONE),),
    verdicts=VERDICTS,
    members=(ARN,),
    warnings=("careful",),
)
UNREADABLE = Refusal(Code.UNREADABLE, "It could not be read.", ("it",), ("w",))
SWEEP = SweepPlan(
    SweepSettings(keep=3, rollback_depth=5, grace_seconds=1.5),
    (Survey(ORDERS, VERDICTS), Survey(ServiceName("billing"), trouble=UNREADABLE)),
    (ServiceName("later"),),
)
ADOPT = AdoptPlan(
    service=ORDERS,
    new_service=True,
    stage=PROD,
    last_release=ReleaseNumber(4),
    joins={ARN: Join(None, Claim(ORDERS, A))},
    versions=(AdoptedVersion(ARN, ONE, OLD, True, False),),
    releases=(Release(ReleaseNumber(4), {A: ReleaseFunction(ARN, OLD)}),),
    stages=(
        AdoptedStage(PROD, None, ReleaseNumber(4), None, {ARN: ServedAlias(A, ONE, "r-1")}, (), "shop", None, True),
        AdoptedStage(
            StageName("qa"), 7, None, ReleaseNumber(3), {}, (ReleaseNumber(3),), None, "shop", False, True, True, {ARN: TWO}
        ),
    ),
    warnings=("careful",),
    kept_release=ReleaseNumber(2),
)
PROGRESS = Progress(VERDICTS, (ORDERS,), ((ServiceName("billing"), UNREADABLE),), aliases_deleted=True)


@pytest.fixture
def bodies(s3: S3Client, bucket: str) -> Bodies:
    return Bodies(Artifacts(s3, bucket))


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_comes_back_as_it_was(bodies: Bodies, request_: Request) -> None:
    key = bodies.put_request(kind_of(request_), request_)

    assert bodies.request_of(replace(RECORD, kind=kind_of(request_), request_key=key)) == request_
    assert key.startswith("requests/")


def test_there_is_a_request_of_every_kind() -> None:
    """But recover, which has no record that would need it."""
    assert {kind_of(request) for request in REQUESTS} == set(OperationKind) - {OperationKind.RECOVER}


READ: dict[str, tuple[AnyPlan, Callable[[Bodies, OperationRecord], object]]] = {
    "a movement": (PLAN, Bodies.plan_of),
    "settings": (CONFIGURE, Bodies.configure_plan_of),
    "settings of a stage on a release": (replace(CONFIGURE, release=ReleaseNumber(3)), Bodies.configure_plan_of),
    "a teardown": (TEARDOWN, Bodies.teardown_plan_of),
    "a teardown of a service": (replace(TEARDOWN, stage=None, previous_release=None), Bodies.teardown_plan_of),
    "a sweep": (SWEEP, Bodies.sweep_plan_of),
    "adopting": (ADOPT, Bodies.adopt_plan_of),
}
EACH_PLAN = pytest.mark.parametrize(("plan", "read"), READ.values(), ids=READ)


@EACH_PLAN
def test_a_plan_comes_back_as_it_was(bodies: Bodies, plan: AnyPlan, read: Callable[[Bodies, OperationRecord], object]) -> None:
    key = bodies.put_plan(plan)

    assert read(bodies, replace(RECORD, plan_key=key)) == plan
    assert key.startswith("plans/")


def test_how_far_a_sweep_that_still_looks_came(bodies: Bodies) -> None:
    key = bodies.put_plan(SWEEP)

    assert bodies.survey_of(replace(RECORD, progress_key=key)) == SWEEP
    assert bodies.survey_of(RECORD) is None


def test_how_far_deleting_came(bodies: Bodies) -> None:
    key = bodies.put_progress(PROGRESS)

    assert bodies.progress_of(replace(RECORD, progress_key=key)) == PROGRESS
    assert bodies.progress_of(RECORD) == Progress()
    assert key.startswith("plans/")


def test_the_same_request_has_the_same_key_and_another_has_another(bodies: Bodies) -> None:
    keys = [bodies.put_request(kind_of(request), request) for request in REQUESTS * 2]

    assert keys[: len(REQUESTS)] == keys[len(REQUESTS) :]
    assert len(set(keys)) == len(REQUESTS)


@EACH_PLAN
def test_an_operation_without_a_plan_has_none_to_read(
    bodies: Bodies, plan: AnyPlan, read: Callable[[Bodies, OperationRecord], object]
) -> None:
    bodies.put_plan(plan)

    with pytest.raises(MalformedItem, match="no plan"):
        read(bodies, RECORD)


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
    key = bodies.put_request(OperationKind.DEPLOY, REQUESTS[4])
    functions = {"a": {"function_name": ["s3cr3t"]}}
    damaged(s3, bucket, key, body={"common": {}, "service": "orders", "stage": None, "functions": functions})

    with pytest.raises(MalformedItem, match="damaged") as caught:
        bodies.request_of(replace(RECORD, request_key=key))

    assert "s3cr3t" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("setting", ["keep", "rollback_depth", "grace_seconds"])
@pytest.mark.parametrize("value", [-1, True, None, "3", 1e400])
def test_a_sweep_whose_settings_are_damaged_is_malformed_and_deletes_nothing(
    s3: S3Client, bucket: str, bodies: Bodies, setting: str, value: object
) -> None:
    key = bodies.put_plan(replace(SWEEP, surveys=()))
    settings = {"keep": 0, "rollback_depth": 0, "grace_seconds": 0, "strangers": False, setting: value}
    damaged(s3, bucket, key, body={"settings": settings, "surveys": [], "ahead": []})

    with pytest.raises(MalformedItem, match="damaged"):
        bodies.sweep_plan_of(replace(RECORD, plan_key=key))


@pytest.mark.parametrize("version", [0, "$LATEST", "7"])
def test_a_version_that_is_no_number_is_malformed_however_it_got_there(
    s3: S3Client, bucket: str, bodies: Bodies, version: object
) -> None:
    key = bodies.put_progress(PROGRESS)
    verdict = {"function": "a", "arn": ARN, "size": 0, "remove": True, "reason": "", "version": {"value": version}}
    damaged(s3, bucket, key, body={"done": [verdict], "freed": [], "troubles": [], "aliases_deleted": False})

    with pytest.raises(MalformedItem, match="damaged"):
        bodies.progress_of(replace(RECORD, progress_key=key))
