"""Deleting versions, aliases and functions: what AWS guards, and what goes along."""

from __future__ import annotations

from .support import LATEST, Double, recorded, reference, refused, source, unique


def numbers(double: Double, name: str) -> list[str]:
    return [version["Version"] for version in double.client.list_versions_by_function(FunctionName=name)["Versions"]]


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
def test_latest_is_not_deleted_without_its_function(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused("InvalidParameterValueException", 400):
        double.client.delete_function(FunctionName=name, Qualifier=LATEST)

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
