"""What must not get lost: protected stages, aliases that others use, the record itself, and functions.

Each is tried for real, but for the table's point-in-time recovery, which the embedded AWS leaves out of templates
(tests/contract): tests/unit/test_template.py looks for it. That others use an alias (`StageInUse`) is tried in
test_teardown.py.
"""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from .conftest import NewService
from .evidence import refused
from .plane import ControlPlane
from .service import Service

DELETING = ("CollectRole", "TearDownRole", "OrphanedVersionsRole")


@pytest.fixture
def guarded(new_service: NewService) -> Service:
    """A service with the stages prod, which is protected, and dev, which is not."""
    service = new_service("a")
    for stage in ("prod", "dev"):
        service.deploy_text(stage, "one")
    service.does("configure", "prod", settings={"protected": True})
    return service


@pytest.mark.parametrize("confirm", [{}, {"confirm": "dev"}])
def test_a_protected_stage_is_not_torn_down_without_its_name(guarded: Service, confirm: dict[str, str]) -> None:
    refused(guarded, guarded.request("teardown", "prod", **confirm), "StageProtected", f"Stage prod of service {guarded.name}")


def test_with_its_name_it_is(guarded: Service) -> None:
    assert guarded.does("teardown", "prod", confirm="prod")["release"] is None


@pytest.mark.parametrize("confirm", [{}, {"confirm": "prod"}])
def test_a_service_is_not_torn_down_without_its_name_and_what_is_protected_is_named(
    guarded: Service, confirm: dict[str, str]
) -> None:
    request = guarded.request("teardown", None, **confirm)

    ended = refused(guarded, request, "ConfirmationRequired", "prod (protected)")

    assert ended.cause["blockers"] == ["dev", "prod"]


def test_the_state_table_cannot_be_deleted(plane: ControlPlane) -> None:
    dynamodb = plane.client("dynamodb")

    with pytest.raises(ClientError, match=r"(?i)deletion"):
        dynamodb.delete_table(TableName=plane.table_name)

    assert dynamodb.describe_table(TableName=plane.table_name)["Table"]["TableStatus"] == "ACTIVE"


@pytest.mark.parametrize("role", DELETING)
def test_who_may_delete_versions_may_not_delete_the_function(guarded: Service, role: str) -> None:
    function, lambda_ = guarded.functions["a"], as_role(guarded.plane, role)

    with pytest.raises(ClientError, match="AccessDenied"):
        lambda_.delete_function(FunctionName=function)
    # The same role, the same call, with a version: AWS lets it come as far as its own guard of versions with aliases.
    with pytest.raises(ClientError, match="ResourceConflict"):
        lambda_.delete_function(FunctionName=function, Qualifier="1")

    assert guarded.versions("a") == ["1"]


def as_role(plane: ControlPlane, logical_id: str) -> Any:
    """Lambda, as one of the stack's roles may use it."""
    arn = f"arn:aws:iam::{plane.account}:role/{plane.resource(logical_id)}"
    taken = plane.client("sts").assume_role(RoleArn=arn, RoleSessionName="tries")["Credentials"]
    return boto3.client(
        "lambda",
        endpoint_url=plane.instance.endpoint,
        region_name=plane.region,
        aws_access_key_id=taken["AccessKeyId"],
        aws_secret_access_key=taken["SecretAccessKey"],
        aws_session_token=taken["SessionToken"],
    )
