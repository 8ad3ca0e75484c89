"""Resource policies: one per qualifier, each with statements and a revision of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .support import LATEST, Double, recorded, reference, refused, source, unique

MISSING = "The resource you requested does not exist."
STALE = (
    "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id"
)


def allow(double: Double, name: str, sid: str = "events", **members: Any) -> Any:
    """Let EventBridge call the function (or a qualifier of it); returns the statement AWS made."""
    wanted: dict[str, Any] = {"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
    answer = double.client.add_permission(FunctionName=name, StatementId=sid, **(wanted | members))
    return json.loads(answer["Statement"])


def sids(double: Double, name: str, **members: Any) -> list[str]:
    policy = json.loads(double.client.get_policy(FunctionName=name, **members)["Policy"])
    return [statement["Sid"] for statement in policy["Statement"]]


@recorded("TestLambdaPermissions::test_add_lambda_permission_aws")
def test_a_statement_names_the_function_the_principal_and_the_source(double: Double) -> None:
    name = double.function()
    rule = f"arn:aws:events:{double.region}:{double.account}:rule/nightly"

    statement = allow(double, name, SourceArn=rule)

    assert statement == {
        "Sid": "events",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": double.arn(name),
        "Condition": {"ArnLike": {"AWS:SourceArn": rule}},
    }


@recorded("TestLambdaPermissions::test_add_lambda_permission_fields")
def test_an_account_as_principal_becomes_its_root(double: Double) -> None:
    name = double.function()

    statement = allow(double, name, Principal=double.account)

    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{double.account}:root"}


@recorded("TestLambdaPermissions::test_lambda_permission_fn_versioning")
def test_a_permission_on_an_alias_names_the_alias(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")

    assert allow(double, name, Qualifier="live")["Resource"] == double.arn(name, "live")


@recorded("TestLambdaPermissions::test_lambda_permission_fn_versioning")
def test_each_qualifier_has_a_policy_of_its_own(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    allow(double, name, "of-function")
    allow(double, name, "of-version", Qualifier="1")
    allow(double, name, "of-alias", Qualifier="live")

    assert sids(double, name) == ["of-function"]
    assert sids(double, name, Qualifier="1") == ["of-version"]
    assert sids(double, name, Qualifier="live") == ["of-alias"]


@recorded("TestLambdaPermissions::test_lambda_permission_fn_versioning")
def test_publishing_does_not_copy_the_policy(double: Double) -> None:
    name = double.function()
    allow(double, name)
    double.publish(name)

    with refused("ResourceNotFoundException", 404, MISSING):
        double.client.get_policy(FunctionName=name, Qualifier="1")


@recorded("TestLambdaPermissions::test_lambda_permission_fn_versioning")
def test_moving_an_alias_keeps_its_policy(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1")
    allow(double, name, Qualifier="live")

    double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")

    assert sids(double, name, Qualifier="live") == ["events"]


@recorded("TestLambdaPermissions::test_permission_exceptions")
def test_a_function_without_a_policy_has_none(double: Double) -> None:
    name = double.function()

    with refused("ResourceNotFoundException", 404, MISSING):
        double.client.get_policy(FunctionName=name)


@recorded("TestLambdaPermissions::test_permission_exceptions")
def test_the_policy_of_a_function_that_is_not_there_is_not_found(double: Double) -> None:
    with refused("ResourceNotFoundException", 404, MISSING):
        double.client.get_policy(FunctionName=unique("missing"))


@recorded("TestLambdaPermissions::test_permission_exceptions")
def test_a_statement_id_is_used_once_per_qualifier(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    allow(double, name)
    allow(double, name, Qualifier="live")

    with refused(
        "ResourceConflictException",
        409,
        "The statement id (events) provided already exists. Please provide a new statement id, or remove the existing statement.",
    ):
        allow(double, name, Qualifier="live")


@recorded("TestLambdaPermissions::test_permission_exceptions")
@pytest.mark.parametrize(
    ("qualifier", "sentence"),
    [("noalias", "Cannot find alias arn: {arn}"), ("42", "Function not found: {arn}")],
)
def test_a_permission_needs_its_qualifier(double: Double, qualifier: str, sentence: str) -> None:
    name = double.function()

    with refused("ResourceNotFoundException", 404, sentence.format(arn=double.arn(name, qualifier))):
        allow(double, name, Qualifier=qualifier)


@recorded("TestLambdaPermissions::test_permission_exceptions")
def test_latest_has_no_policy_of_its_own(double: Double) -> None:
    name = double.function()

    with refused("InvalidParameterValueException", 400, "We currently do not support adding policies for $LATEST."):
        allow(double, name, Qualifier=LATEST)


@recorded("TestLambdaPermissions::test_permission_exceptions")
def test_a_principal_is_an_account_an_arn_or_a_service_of_aws(double: Double) -> None:
    name = double.function()

    with refused(
        "InvalidParameterValueException",
        400,
        "The provided principal was invalid. Please check the principal and try again.",
    ):
        allow(double, name, Principal="example.org")


@recorded("TestLambdaPermissions::test_permission_exceptions")
def test_a_statement_id_has_no_dots(double: Double) -> None:
    name = double.function()

    with refused("ValidationException", 400):
        allow(double, name, "example.com")


@recorded("TestLambdaPermissions::test_remove_multi_permissions")
def test_removing_a_statement_leaves_the_others(double: Double) -> None:
    name = double.function()
    allow(double, name, "first")
    allow(double, name, "second")

    double.client.remove_permission(FunctionName=name, StatementId="first")

    assert sids(double, name) == ["second"]


@recorded("TestLambdaPermissions::test_remove_multi_permissions")
def test_removing_the_last_statement_removes_the_policy(double: Double) -> None:
    name = double.function()
    allow(double, name)

    double.client.remove_permission(FunctionName=name, StatementId="events")

    with refused("ResourceNotFoundException", 404, MISSING):
        double.client.get_policy(FunctionName=name)


@recorded("TestLambdaPermissions::test_remove_multi_permissions")
def test_removing_a_statement_that_is_not_there_is_refused(double: Double) -> None:
    name = double.function()
    allow(double, name)

    with refused("ResourceNotFoundException", 404, "Statement another is not found in resource policy."):
        double.client.remove_permission(FunctionName=name, StatementId="another")


@recorded("TestLambdaPermissions::test_permission_exceptions")
def test_removing_from_a_policy_that_is_not_there_is_refused(double: Double) -> None:
    name = double.function()

    with refused("ResourceNotFoundException", 404, "No policy is associated with the given resource."):
        double.client.remove_permission(FunctionName=name, StatementId="events")


@recorded("TestLambdaPermissions::test_lambda_permission_fn_versioning")
def test_every_change_gives_the_policy_another_revision_and_publishing_none(double: Double) -> None:
    name = double.function()
    allow(double, name, "first")
    first = double.client.get_policy(FunctionName=name)["RevisionId"]
    double.publish(name)
    published = double.client.get_policy(FunctionName=name)["RevisionId"]
    allow(double, name, "second")
    second = double.client.get_policy(FunctionName=name)["RevisionId"]

    assert first == published
    assert second != first


@recorded("TestLambdaPermissions::test_lambda_permission_fn_versioning")
def test_a_permission_with_the_aliass_revision_is_refused(double: Double) -> None:
    name = double.function_with_versions(1)
    alias = double.alias(name, "1")
    allow(double, name, "first", Qualifier="live")

    with refused("PreconditionFailedException", 412, STALE):
        allow(double, name, "second", Qualifier="live", RevisionId=alias["RevisionId"])

    assert sids(double, name, Qualifier="live") == ["first"]


@recorded("TestLambdaPermissions::test_lambda_permission_fn_versioning")
def test_a_permission_with_the_policys_revision_is_added(double: Double) -> None:
    name = double.function()
    allow(double, name, "first")
    revision = double.client.get_policy(FunctionName=name)["RevisionId"]

    allow(double, name, "second", RevisionId=revision)

    assert sids(double, name) == ["first", "second"]


@source("AWS Lambda quotas: resource-based policy 20 KB; API reference, AddPermission, PolicyLengthExceededException")
def test_a_policy_has_at_most_20480_bytes(double: Double) -> None:
    name = double.function()
    bucket = "arn:aws:s3:::" + "a" * 2000

    with refused("PolicyLengthExceededException", 400):
        for number in range(12):
            allow(double, name, f"bucket-{number}", Principal="s3.amazonaws.com", SourceArn=bucket)

    assert len(sids(double, name)) < 12


@source("AWS Lambda developer guide, Manage aliases: an alias's resource policy goes with the alias")
def test_an_aliass_policy_goes_with_the_alias(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    allow(double, name, Qualifier="live")

    double.client.delete_alias(FunctionName=name, Name="live")
    double.alias(name, "1")

    with refused("ResourceNotFoundException", 404, MISSING):
        double.client.get_policy(FunctionName=name, Qualifier="live")


@reference("RemovePermission")
def test_a_versions_policy_goes_with_the_version(double: Double) -> None:
    name = double.function_with_versions(1)
    allow(double, name, Qualifier="1")

    double.client.delete_function(FunctionName=name, Qualifier="1")

    with refused("ResourceNotFoundException", 404, MISSING):
        double.client.get_policy(FunctionName=name, Qualifier="1")
