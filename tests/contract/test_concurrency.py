"""Provisioned and reserved concurrency, and the asynchronous-invocation settings of a qualifier."""

from __future__ import annotations

from typing import Any

import pytest

from .support import LATEST, Double, recorded, reference, refused, source, unique


def provision(double: Double, name: str, qualifier: str = "live", executions: int = 1) -> dict[str, Any]:
    return dict(
        double.client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=executions
        )
    )


@recorded("TestLambdaProvisionedConcurrency::test_lambda_provisioned_lifecycle")
@pytest.mark.parametrize("qualifier", ["1", "live"])
def test_a_new_configuration_is_in_progress(double: Double, qualifier: str) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")

    answer = provision(double, name, qualifier)

    assert answer["Status"] == "IN_PROGRESS"
    assert answer["RequestedProvisionedConcurrentExecutions"] == 1
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202


@reference("GetProvisionedConcurrencyConfig")
def test_a_configuration_becomes_ready(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    provision(double, name)

    for _ in range(200):
        shown = double.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
        if shown["Status"] == "READY":
            break
        double.wait(0.05)

    assert (shown["Status"], shown["AllocatedProvisionedConcurrentExecutions"]) == ("READY", 1)


@recorded("TestLambdaProvisionedConcurrency::test_provisioned_concurrency_exceptions")
def test_a_function_without_any_configuration_has_an_empty_list(double: Double) -> None:
    name = double.function_with_versions(1)

    assert double.client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"] == []


@source("AWS Lambda API reference, ListProvisionedConcurrencyConfigs: MaxItems has a maximum of 50")
def test_the_list_names_the_arns_and_gives_at_most_50_at_a_time(double: Double) -> None:
    name = double.function_with_versions(1)
    for number in range(51):
        double.alias(name, "1", f"alias-{number:02}")
        provision(double, name, f"alias-{number:02}")

    first = double.client.list_provisioned_concurrency_configs(FunctionName=name)
    second = double.client.list_provisioned_concurrency_configs(FunctionName=name, Marker=first["NextMarker"])

    assert len(first["ProvisionedConcurrencyConfigs"]) == 50
    (last,) = second["ProvisionedConcurrencyConfigs"]
    assert last["FunctionArn"] == double.arn(name, "alias-50")


@recorded("TestLambdaProvisionedConcurrency::test_provisioned_concurrency_exceptions")
def test_the_list_of_a_function_that_is_not_there_is_refused(double: Double) -> None:
    name = unique("missing")

    with refused("ResourceNotFoundException", 404):
        double.client.list_provisioned_concurrency_configs(FunctionName=name)


@reference("ListProvisionedConcurrencyConfigs")
def test_the_list_names_each_configurations_qualifier(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1")
    provision(double, name, "live")
    provision(double, name, "2")

    listed = double.client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]

    assert sorted(config["FunctionArn"] for config in listed) == [double.arn(name, "2"), double.arn(name, "live")]


@recorded("TestLambdaProvisionedConcurrency::test_provisioned_concurrency_exceptions")
@pytest.mark.parametrize("qualifier", ["1", "live"])
def test_a_qualifier_without_a_configuration_has_none(double: Double, qualifier: str) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")

    with refused("ProvisionedConcurrencyConfigNotFoundException", 404):
        double.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)


@recorded("TestLambdaProvisionedConcurrency::test_provisioned_concurrency_exceptions")
@pytest.mark.parametrize("qualifier", ["noalias", "10"])
@pytest.mark.parametrize("operation", ["put", "get", "delete"])
def test_a_qualifier_that_is_not_there_is_refused(double: Double, operation: str, qualifier: str) -> None:
    name = double.function_with_versions(1)
    members: dict[str, Any] = {"ProvisionedConcurrentExecutions": 1} if operation == "put" else {}

    with refused("ResourceNotFoundException", 404):
        getattr(double.client, f"{operation}_provisioned_concurrency_config")(FunctionName=name, Qualifier=qualifier, **members)


@recorded("TestLambdaProvisionedConcurrency::test_provisioned_concurrency_exceptions")
def test_latest_cannot_be_provisioned(double: Double) -> None:
    name = double.function()

    with refused("InvalidParameterValueException", 400):
        provision(double, name, LATEST)


@recorded("TestLambdaProvisionedConcurrency::test_lambda_provisioned_lifecycle")
def test_an_alias_of_a_provisioned_version_cannot_be_provisioned(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    provision(double, name, "1")

    with refused("ResourceConflictException", 409):
        provision(double, name, "live")


@recorded("TestLambdaProvisionedConcurrency::test_lambda_provisioned_lifecycle")
def test_a_version_of_a_provisioned_alias_cannot_be_provisioned(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    provision(double, name, "live")

    with refused("ResourceConflictException", 409):
        provision(double, name, "1")


@source("hashicorp/terraform#24957, AWS's own answer")
def test_an_alias_with_weights_cannot_be_provisioned(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.1}})

    with refused("InvalidParameterValueException", 400, "Alias with weights can not be used with Provisioned Concurrency"):
        provision(double, name)


@recorded("TestLambdaProvisionedConcurrency::test_provisioned_concurrency_exceptions")
def test_deleting_a_configuration_that_is_not_there_succeeds(double: Double) -> None:
    name = double.function_with_versions(1)

    answer = double.client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="1")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204


@recorded("TestLambdaProvisionedConcurrency::test_lambda_provisioned_lifecycle")
def test_an_aliass_configuration_goes_with_the_alias(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    provision(double, name)

    double.client.delete_alias(FunctionName=name, Name="live")

    assert double.client.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"] == []
    with refused("ResourceNotFoundException", 404):
        double.client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")


@source("hashicorp/terraform-provider-aws#48116: the old version stays in the weights until the new one is provisioned")
def test_moving_a_provisioned_alias_shows_transient_weights(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1")
    provision(double, name)
    double.wait(1)

    double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")

    moving = double.client.get_alias(FunctionName=name, Name="live")
    assert moving["FunctionVersion"] == "2"
    assert set(moving["RoutingConfig"]["AdditionalVersionWeights"]) == {"1"}


@source("hashicorp/terraform-provider-aws#48116: the weights are cleared when the move is over")
def test_the_transient_weights_of_a_moved_provisioned_alias_end(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1")
    provision(double, name)
    double.wait(1)
    double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")

    for _ in range(200):
        moved = double.client.get_alias(FunctionName=name, Name="live")
        if "RoutingConfig" not in moved:
            break
        double.wait(0.05)

    assert moved["FunctionVersion"] == "2"
    assert "RoutingConfig" not in moved


@recorded("TestLambdaReservedConcurrency::test_function_concurrency")
def test_reserved_concurrency_is_shown_until_it_is_deleted(double: Double) -> None:
    name = double.function()

    double.client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    shown = double.client.get_function_concurrency(FunctionName=name)
    double.client.delete_function_concurrency(FunctionName=name)

    assert shown["ReservedConcurrentExecutions"] == 0
    assert "ReservedConcurrentExecutions" not in double.client.get_function_concurrency(FunctionName=name)


@recorded("TestLambdaReservedConcurrency::test_function_concurrency_exceptions")
def test_an_alias_has_no_reserved_concurrency(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")

    with refused("InvalidParameterValueException", 400):
        double.client.put_function_concurrency(FunctionName=double.arn(name, "live"), ReservedConcurrentExecutions=1)


@reference("PutFunctionEventInvokeConfig")
def test_each_qualifier_has_settings_of_its_own_for_asynchronous_calls(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    double.client.put_function_event_invoke_config(FunctionName=name, Qualifier="live", MaximumRetryAttempts=1)

    shown = double.client.get_function_event_invoke_config(FunctionName=name, Qualifier="live")

    assert (shown["FunctionArn"], shown["MaximumRetryAttempts"]) == (double.arn(name, "live"), 1)
    with refused("ResourceNotFoundException", 404):
        double.client.get_function_event_invoke_config(FunctionName=name)


@source("AWS Lambda developer guide, Manage aliases: settings that hang on an alias go with it")
def test_an_aliass_asynchronous_settings_go_with_the_alias(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")
    double.client.put_function_event_invoke_config(FunctionName=name, Qualifier="live", MaximumRetryAttempts=1)

    double.client.delete_alias(FunctionName=name, Name="live")
    double.alias(name, "1")

    with refused("ResourceNotFoundException", 404):
        double.client.get_function_event_invoke_config(FunctionName=name, Qualifier="live")
