"""$LATEST: creating, reading and updating it, its states, and the preconditions of a change."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .support import (
    EMBEDDED,
    FAKE,
    LATEST,
    Double,
    digest_of,
    recorded,
    reference,
    refused,
    source,
    unique,
    wrong_on,
    zip_of,
)

STALE = (
    "The Revision Id provided does not match the latest Revision Id."
    " Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)


@recorded("TestLambdaFunction::test_function_lifecycle")
def test_a_new_function_is_pending_and_has_no_update_status(double: Double) -> None:
    answer = double.created()

    assert answer["State"] == "Pending"
    assert answer["StateReasonCode"] == "Creating"
    assert "LastUpdateStatus" not in answer


@recorded("TestLambdaFunction::test_function_lifecycle")
def test_a_new_function_becomes_active_with_another_revision(double: Double) -> None:
    answer = double.created()

    settled = double.settled(answer["FunctionName"])

    assert (settled["State"], settled["LastUpdateStatus"]) == ("Active", "Successful")
    assert settled["RevisionId"] != answer["RevisionId"]


@reference("CreateFunction")
def test_a_second_function_of_the_same_name_is_refused(double: Double) -> None:
    name = double.function()

    with refused("ResourceConflictException", 409, f"Function already exist: {name}"):
        double.created(FunctionName=name)


@reference("UpdateFunctionCode")
def test_the_code_digest_is_the_base64_sha256_of_the_package(double: Double) -> None:
    name = double.function()

    answer = double.client.update_function_code(FunctionName=name, ZipFile=zip_of("other"))

    assert answer["CodeSha256"] == digest_of(zip_of("other"))


@reference("UpdateFunctionCode")
def test_code_is_taken_from_s3(double: Double) -> None:
    name, bucket = double.function(), unique("bucket")
    double.put_object(bucket, "build/one.zip", zip_of("from s3"))

    answer = double.client.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="build/one.zip")

    assert answer["CodeSha256"] == digest_of(zip_of("from s3"))


@source("AWS Lambda's sentence, quoted in serverless/serverless#8480: Error occurred while GetObject")
def test_code_that_is_not_in_s3_is_refused(double: Double) -> None:
    name, bucket = double.function(), unique("bucket")
    double.put_object(bucket, "build/one.zip", zip_of("from s3"))

    with refused("InvalidParameterValueException", 400) as refusal:
        double.client.update_function_code(FunctionName=name, S3Bucket=bucket, S3Key="build/two.zip")

    assert refusal.message.startswith("Error occurred while GetObject. S3 Error Code: NoSuchKey.")


@recorded("TestLambdaFunction::test_function_lifecycle")
def test_an_update_answers_in_progress_and_stays_active(double: Double) -> None:
    name = double.function()

    answer = double.client.update_function_code(FunctionName=name, ZipFile=zip_of("other"))

    assert (answer["State"], answer["LastUpdateStatus"]) == ("Active", "InProgress")
    assert answer.get("LastUpdateStatusReason") == "The function is being created."
    assert (answer["Version"], answer["FunctionArn"]) == (LATEST, double.arn(name))


@recorded("TestLambdaRevisions::test_function_revisions_basic")
@pytest.mark.parametrize("change", ["code", "configuration"])
def test_the_revision_in_an_updates_own_answer_is_stale_when_it_has_finished(double: Double, change: str) -> None:
    name = double.function()
    if change == "code":
        own = double.client.update_function_code(FunctionName=name, ZipFile=zip_of("other"))["RevisionId"]
    else:
        own = double.client.update_function_configuration(FunctionName=name, Timeout=7)["RevisionId"]

    settled = double.settled(name)

    assert settled["RevisionId"] != own
    with refused("PreconditionFailedException", 412, STALE):
        double.client.publish_version(FunctionName=name, RevisionId=own)


@recorded("TestLambdaRevisions::test_function_revisions_basic")
def test_the_revision_of_a_settled_function_is_good_for_the_next_change(double: Double) -> None:
    name = double.function()
    revision = double.update(name, "other")["RevisionId"]

    answer = double.client.update_function_configuration(FunctionName=name, Timeout=7, RevisionId=revision)

    assert answer["Timeout"] == 7


@recorded("TestLambdaRevisions::test_function_revisions_basic")
@pytest.mark.parametrize("change", ["code", "configuration"])
def test_a_change_with_a_stale_revision_is_refused_and_changes_nothing(double: Double, change: str) -> None:
    name = double.function()
    stale = double.client.get_function_configuration(FunctionName=name)["RevisionId"]
    before = double.update(name, "other")

    with refused("PreconditionFailedException", 412, STALE):
        if change == "code":
            double.client.update_function_code(FunctionName=name, ZipFile=zip_of("lost"), RevisionId=stale)
        else:
            double.client.update_function_configuration(FunctionName=name, Timeout=7, RevisionId=stale)

    after = double.settled(name)
    assert (after["CodeSha256"], after["Timeout"]) == (before["CodeSha256"], before["Timeout"])
    assert after["RevisionId"] == before["RevisionId"]


@source("AWS Lambda developer guide, Lambda function states; alexcasalboni/aws-lambda-power-tuning#134 has the sentence")
@pytest.mark.parametrize("second", ["code", "configuration", "publish"])
def test_while_an_update_is_in_progress_another_change_is_refused(double: Double, second: str) -> None:
    name = double.function()
    double.client.update_function_configuration(FunctionName=name, Timeout=7)

    with refused(
        "ResourceConflictException",
        409,
        "The operation cannot be performed at this time. An update is in progress for resource: " + double.arn(name),
    ):
        if second == "code":
            double.client.update_function_code(FunctionName=name, ZipFile=zip_of("other"))
        elif second == "configuration":
            double.client.update_function_configuration(FunctionName=name, Timeout=8)
        else:
            double.client.publish_version(FunctionName=name)


@source("AWS Lambda developer guide, Lambda function states: aliases are no part of $LATEST's update")
def test_while_an_update_is_in_progress_an_alias_moves(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "2")
    double.client.update_function_configuration(FunctionName=name, Timeout=7)

    answer = double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="1")

    assert answer["FunctionVersion"] == "1"


@recorded("TestLambdaFunction::test_redundant_updates")
def test_an_update_that_changes_nothing_gets_a_new_revision(double: Double) -> None:
    name = double.function()
    double.client.update_function_configuration(FunctionName=name, Description="same")
    first = double.settled(name)

    answer = double.client.update_function_configuration(FunctionName=name, Description="same")

    assert answer["LastUpdateStatus"] == "InProgress"
    assert len({first["RevisionId"], answer["RevisionId"], double.settled(name)["RevisionId"]}) == 3


@reference("UpdateFunctionCode")
def test_a_dry_run_changes_nothing(double: Double) -> None:
    name = double.function()
    before = double.settled(name)

    double.client.update_function_code(FunctionName=name, ZipFile=zip_of("other"), DryRun=True)

    after = double.settled(name)
    assert (after["CodeSha256"], after["RevisionId"]) == (before["CodeSha256"], before["RevisionId"])


@reference("FunctionConfiguration")
def test_the_last_modified_time_has_milliseconds_and_a_zone_without_colon(double: Double) -> None:
    shown = double.settled(double.function())

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000", shown["LastModified"])


@reference("FunctionConfiguration")
def test_every_update_renews_the_last_modified_time(double: Double) -> None:
    name = double.function()
    before = double.settled(name)["LastModified"]
    double.wait(0.01)

    after = double.update(name, "other")["LastModified"]

    assert after > before


@source("botocore's waiters for Lambda: function_active_v2 and function_updated_v2 poll GetFunction")
@pytest.mark.parametrize("waiter", ["function_active_v2", "function_updated_v2"])
def test_the_newer_waiters_poll_get_function_and_nothing_else(double: Double, waiter: str) -> None:
    name, asked = double.function(), set[str]()
    double.hear(asked.add)

    double.client.get_waiter(waiter).wait(FunctionName=name)  # type: ignore[call-overload]

    assert asked == {"GetFunction"}


@reference("GetFunction")
def test_a_functions_code_lies_in_s3(double: Double) -> None:
    code = double.client.get_function(FunctionName=double.function())["Code"]

    assert code["RepositoryType"] == "S3"
    assert code["Location"]


@recorded("TestLambdaAlias::test_alias_lifecycle")
@pytest.mark.parametrize("qualifier", ["noalias", "7"])
def test_reading_a_qualifier_that_is_not_there_is_refused(double: Double, qualifier: str) -> None:
    name = double.function()

    with refused("ResourceNotFoundException", 404, f"Function not found: {double.arn(name, qualifier)}"):
        double.client.get_function(FunctionName=name, Qualifier=qualifier)


@recorded("TestLambdaFunction::test_delete_on_nonexisting_version")
@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("get_function", {}),
        ("get_function_configuration", {}),
        ("update_function_configuration", {"Timeout": 7}),
        ("publish_version", {}),
        ("list_versions_by_function", {}),
        ("list_aliases", {}),
    ],
)
def test_a_function_that_is_not_there_is_named(double: Double, operation: str, members: dict[str, Any]) -> None:
    name = unique("missing")

    with refused("ResourceNotFoundException", 404, f"Function not found: {double.arn(name)}"):
        getattr(double.client, operation)(FunctionName=name, **members)


@reference("GetFunction")
@pytest.mark.parametrize("form", ["name", "partial", "arn"])
def test_a_function_is_found_by_name_partial_arn_and_arn(double: Double, form: str) -> None:
    name = double.function()
    given = {"name": name, "partial": f"{double.account}:function:{name}", "arn": double.arn(name)}[form]

    answer = double.client.get_function(FunctionName=given)

    assert answer["Configuration"]["FunctionArn"] == double.arn(name)


@source("AWS Lambda API reference, CreateFunction, FunctionName: letters, digits, hyphens and underscores, whatever they spell")
@pytest.mark.parametrize("name", ["url", "urls", "url-shortener", "account-settings", "policy", "aliases", "versions", "code"])
def test_a_function_may_be_called_as_a_part_of_lambdas_own_paths(double: Double, name: str) -> None:
    function = double.function_with_versions(1, FunctionName=name)
    double.alias(function, "1")

    shown = double.client.get_function(FunctionName=name, Qualifier="live")["Configuration"]

    assert (shown["FunctionName"], shown["Version"]) == (name, "1")
    assert [alias["Name"] for alias in double.client.list_aliases(FunctionName=name)["Aliases"]] == ["live"]
    assert len(double.client.list_versions_by_function(FunctionName=name)["Versions"]) == 2
    with refused("ResourceConflictException", 409):
        double.client.delete_function(FunctionName=name, Qualifier="1")
    double.client.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")
    urls = double.client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]
    assert [url["FunctionArn"] for url in urls] == [double.arn(name, "live")]


@source("AWS Lambda API reference, ListFunctions, FunctionVersion: ALL to include all published versions")
@wrong_on(FAKE, "lists $LATEST only: nothing lists the functions of an account")
@wrong_on(EMBEDDED, "lists $LATEST only: nothing lists the functions of an account")
def test_the_list_of_functions_can_have_all_versions(double: Double) -> None:
    name = double.function_with_versions(1)

    pages = double.client.get_paginator("list_functions").paginate(FunctionVersion="ALL")

    found = [shown["Version"] for page in pages for shown in page["Functions"] if shown["FunctionName"] == name]
    assert sorted(found) == [LATEST, "1"]
