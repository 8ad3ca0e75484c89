"""Function URLs: of a function or of an alias, never of a version."""

from __future__ import annotations

import pytest

from .support import LATEST, Double, recorded, reference, refused, source, unique


@recorded("TestLambdaUrl::test_url_config_deletion_without_qualifier")
def test_a_function_and_its_alias_have_urls_of_their_own(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")

    of_function = double.client.create_function_url_config(FunctionName=name, AuthType="NONE")
    of_alias = double.client.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")

    assert (of_function["FunctionArn"], of_alias["FunctionArn"]) == (double.arn(name), double.arn(name, "live"))
    assert of_function["FunctionUrl"] != of_alias["FunctionUrl"]


@recorded("TestLambdaUrl::test_url_config_deletion_without_qualifier")
def test_deleting_the_functions_url_leaves_the_aliass(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    double.client.create_function_url_config(FunctionName=name, AuthType="NONE")
    double.client.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")

    double.client.delete_function_url_config(FunctionName=name)

    with refused("ResourceNotFoundException", 404):
        double.client.get_function_url_config(FunctionName=name)
    kept = double.client.get_function_url_config(FunctionName=name, Qualifier="live")
    assert kept["FunctionArn"] == double.arn(name, "live")


@reference("ListFunctionUrlConfigs")
def test_the_list_has_the_urls_of_function_and_aliases(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    double.client.create_function_url_config(FunctionName=name, AuthType="NONE")
    double.client.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")

    listed = double.client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"]

    assert sorted(config["FunctionArn"] for config in listed) == [double.arn(name), double.arn(name, "live")]


@source("AWS Lambda API reference, ListFunctionUrlConfigs: MaxItems has a maximum of 50")
def test_the_list_gives_at_most_50_urls_at_a_time(double: Double) -> None:
    name = double.function_with_versions(1)
    for number in range(51):
        double.alias(name, "1", f"alias-{number:02}")
        double.client.create_function_url_config(FunctionName=name, Qualifier=f"alias-{number:02}", AuthType="NONE")

    first = double.client.list_function_url_configs(FunctionName=name)
    second = double.client.list_function_url_configs(FunctionName=name, Marker=first["NextMarker"])

    assert (len(first["FunctionUrlConfigs"]), len(second["FunctionUrlConfigs"])) == (50, 1)


@recorded("TestLambdaUrl::test_url_config_lifecycle")
def test_a_second_url_is_refused(double: Double) -> None:
    name = double.function()
    double.client.create_function_url_config(FunctionName=name, AuthType="NONE")

    with refused("ResourceConflictException", 409):
        double.client.create_function_url_config(FunctionName=name, AuthType="NONE")


@recorded("TestLambdaUrl::test_url_config_exceptions")
@pytest.mark.parametrize("qualifier", ["1", LATEST])
def test_a_version_has_no_url(double: Double, qualifier: str) -> None:
    name = double.function_with_versions(1)

    with refused("ValidationException", 400):
        double.client.create_function_url_config(FunctionName=name, Qualifier=qualifier, AuthType="NONE")


@recorded("TestLambdaUrl::test_url_config_exceptions")
def test_a_url_of_an_alias_that_is_not_there_is_refused(double: Double) -> None:
    name = double.function()

    with refused("ResourceNotFoundException", 404):
        double.client.create_function_url_config(FunctionName=name, Qualifier="noalias", AuthType="NONE")


@recorded("TestLambdaUrl::test_url_config_exceptions")
def test_a_url_of_a_function_that_is_not_there_is_not_found(double: Double) -> None:
    with refused("ResourceNotFoundException", 404):
        double.client.get_function_url_config(FunctionName=unique("missing"))


@recorded("TestLambdaUrl::test_url_config_exceptions")
def test_a_url_that_is_not_there_is_not_deleted(double: Double) -> None:
    name = double.function()

    with refused("ResourceNotFoundException", 404):
        double.client.delete_function_url_config(FunctionName=name)


@source("AWS Lambda developer guide, Manage aliases: an alias's function URL goes with the alias")
def test_an_aliass_url_goes_with_the_alias(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    double.client.create_function_url_config(FunctionName=name, Qualifier="live", AuthType="NONE")

    double.client.delete_alias(FunctionName=name, Name="live")

    assert double.client.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"] == []
