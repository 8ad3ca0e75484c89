"""Deleting versions, aliases and functions: what AWS guards, and what goes along."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.fake import fake_of

from .conftest import embedded_client
from .support import EMBEDDED, LATEST, Double, recorded, reference, refused, source, unique

REPLICATED = source(
    "claygregory/serverless-prune-plugin#10 and aws-samples/cloudfront-authorization-at-edge#246, AWS's own answer"
)

#: Makes a version one that CloudFront replicates to its edges.
Replicate = Callable[[str, str], None]


@pytest.fixture
def replicate(double: Double, request: pytest.FixtureRequest) -> Iterator[Replicate]:
    """A distribution that runs a version; the fake knows no CloudFront and is told."""
    if double.name != EMBEDDED:
        yield fake_of(double.client).replicate
        return
    cloudfront = embedded_client(request.getfixturevalue("embedded"), "cloudfront")
    made: list[str] = []

    def associate(name: str, number: str) -> None:
        edge = {"LambdaFunctionARN": double.arn(name, number), "EventType": "origin-request"}
        answer = cloudfront.create_distribution(
            DistributionConfig={
                "CallerReference": unique(),
                "Comment": "",
                "Enabled": True,
                "Origins": {"Quantity": 1, "Items": [{"Id": "origin", "DomainName": "example.org"}]},
                "DefaultCacheBehavior": {
                    "TargetOriginId": "origin",
                    "ViewerProtocolPolicy": "https-only",
                    "LambdaFunctionAssociations": {"Quantity": 1, "Items": [edge]},
                },
            }
        )
        made.append(answer["Distribution"]["Id"])

    yield associate
    for distribution in made:
        shown = cloudfront.get_distribution_config(Id=distribution)
        off = shown["DistributionConfig"] | {"Enabled": False}
        answer = cloudfront.update_distribution(Id=distribution, IfMatch=shown["ETag"], DistributionConfig=off)
        cloudfront.delete_distribution(Id=distribution, IfMatch=answer["ETag"])


def numbers(double: Double, name: str) -> list[str]:
    return [version["Version"] for version in double.client.list_versions_by_function(FunctionName=name)["Versions"]]


def qualified(double: Double, name: str, qualifier: str, form: str) -> str:
    """The function's name, partial ARN or ARN with a qualifier behind it."""
    forms = {"name": name, "partial": f"{double.account}:function:{name}", "arn": double.arn(name)}
    return f"{forms[form]}:{qualifier}"


@recorded("TestLambdaVersions::test_version_lifecycle")
def test_deleting_a_version_leaves_the_others(double: Double) -> None:
    name = double.function_with_versions(2)

    answer = double.client.delete_function(FunctionName=name, Qualifier="1")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert numbers(double, name) == [LATEST, "2"]


@source("floci-io/floci#2824, measured on live AWS: 204, and nothing changes")
def test_deleting_a_version_that_is_not_there_succeeds_and_changes_nothing(double: Double) -> None:
    name = double.function_with_versions(1)

    answer = double.client.delete_function(FunctionName=name, Qualifier="44")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert numbers(double, name) == [LATEST, "1"]


@source("karl-cardenas-coding/go-lambda-cleanup#45, AWS's own answer")
def test_a_version_an_alias_points_at_is_not_deleted(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1", "live")

    with refused(
        "ResourceConflictException",
        409,
        "Unable to delete version because the following aliases reference it: [live]",
    ):
        double.client.delete_function(FunctionName=name, Qualifier="1")

    assert numbers(double, name) == [LATEST, "1", "2"]


@source("AWS Lambda developer guide, Manage aliases: a version that an alias uses, also by weight, is not deleted")
def test_a_version_an_alias_weighs_is_not_deleted(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1", "live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})

    with refused("ResourceConflictException", 409):
        double.client.delete_function(FunctionName=name, Qualifier="2")

    assert numbers(double, name) == [LATEST, "1", "2"]


@source("karl-cardenas-coding/go-lambda-cleanup#45, AWS's own answer")
def test_a_version_can_be_deleted_once_its_alias_has_moved(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1", "live")
    double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")

    double.client.delete_function(FunctionName=name, Qualifier="1")

    assert numbers(double, name) == [LATEST, "2"]


@reference("DeleteFunction")
@pytest.mark.parametrize("form", ["name", "partial", "arn"])
def test_a_version_is_deleted_also_when_its_number_is_behind_the_functions_name(double: Double, form: str) -> None:
    name = double.function_with_versions(2)

    double.client.delete_function(FunctionName=qualified(double, name, "1", form))

    assert numbers(double, name) == [LATEST, "2"]


@reference("DeleteFunction")
@pytest.mark.parametrize("form", ["qualifier", "name", "partial", "arn"])
def test_latest_is_not_deleted_without_its_function(double: Double, form: str) -> None:
    name = double.function_with_versions(1)

    with refused("InvalidParameterValueException", 400):
        if form == "qualifier":
            double.client.delete_function(FunctionName=name, Qualifier=LATEST)
        else:
            double.client.delete_function(FunctionName=qualified(double, name, LATEST, form))

    assert numbers(double, name) == [LATEST, "1"]


@source("AWS Lambda API reference, DeleteFunction, Qualifier: minimum length of 1")
def test_an_empty_qualifier_is_no_missing_one(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused("ValidationException", 400):
        double.client.delete_function(FunctionName=name, Qualifier="")

    assert numbers(double, name) == [LATEST, "1"]


@recorded("TestLambdaUrl::test_url_config_exceptions")
def test_two_qualifiers_that_differ_delete_neither(double: Double) -> None:
    name = double.function_with_versions(2)

    with refused(
        "InvalidParameterValueException",
        400,
        "The derived qualifier from the function name does not match the specified qualifier.",
    ):
        double.client.delete_function(FunctionName=double.arn(name, "1"), Qualifier="2")

    assert numbers(double, name) == [LATEST, "1", "2"]


@REPLICATED
def test_a_replicated_version_is_not_deleted(double: Double, replicate: Replicate) -> None:
    name = double.function_with_versions(2)
    replicate(name, "1")

    with refused(
        "InvalidParameterValueException",
        400,
        f"Lambda was unable to delete {double.arn(name, '1')} because it is a replicated function."
        " Please see our documentation for Deleting Lambda@Edge Functions and Replicas.",
    ):
        double.client.delete_function(FunctionName=name, Qualifier="1")

    double.client.delete_function(FunctionName=name, Qualifier="2")
    assert numbers(double, name) == [LATEST, "1"]


@REPLICATED
def test_a_function_with_a_replicated_version_is_not_deleted(double: Double, replicate: Replicate) -> None:
    name = double.function_with_versions(1)
    replicate(name, "1")

    with refused("InvalidParameterValueException", 400) as refusal:
        double.client.delete_function(FunctionName=name)

    assert "because it is a replicated function" in refusal.message
    assert numbers(double, name) == [LATEST, "1"]


@reference("DeleteFunction")
def test_an_alias_is_not_deleted_as_a_function(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")

    with refused("InvalidParameterValueException", 400):
        double.client.delete_function(FunctionName=name, Qualifier="live")

    assert double.client.get_alias(FunctionName=name, Name="live")["FunctionVersion"] == "1"


@recorded("TestLambdaFunction::test_function_lifecycle")
def test_deleting_without_a_qualifier_deletes_the_function_with_its_versions_and_aliases(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1")

    answer = double.client.delete_function(FunctionName=name)

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    with refused("ResourceNotFoundException", 404):
        double.client.get_function(FunctionName=name, Qualifier="live")
    with refused("ResourceNotFoundException", 404):
        double.client.get_function(FunctionName=name, Qualifier="1")


@recorded("TestLambdaFunction::test_delete_on_nonexisting_version")
def test_a_function_that_is_not_there_is_not_deleted(double: Double) -> None:
    name = unique("missing")

    with refused("ResourceNotFoundException", 404, f"Function not found: {double.arn(name)}"):
        double.client.delete_function(FunctionName=name)


@recorded("TestLambdaFunction::test_delete_on_nonexisting_version")
def test_a_version_of_a_function_that_is_not_there_is_refused_without_its_qualifier(double: Double) -> None:
    name = unique("missing")

    with refused("ResourceNotFoundException", 404, f"Function not found: {double.arn(name)}"):
        double.client.delete_function(FunctionName=name, Qualifier="1")


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_deleting_an_alias_leaves_its_version(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")

    double.client.delete_alias(FunctionName=name, Name="live")

    assert double.client.list_aliases(FunctionName=name)["Aliases"] == []
    assert numbers(double, name) == [LATEST, "1"]
