"""GetAccountSettings: how much code is stored, and how that changes."""

from __future__ import annotations

from .support import Double, recorded, zip_of


def stored(double: Double) -> int:
    return double.client.get_account_settings()["AccountUsage"]["TotalCodeSize"]


@recorded("TestLambdaAccountSettings::test_account_settings")
def test_the_settings_have_limits_and_usage(double: Double) -> None:
    answer = double.client.get_account_settings()

    assert set(answer["AccountLimit"]) == {
        "CodeSizeUnzipped",
        "CodeSizeZipped",
        "ConcurrentExecutions",
        "TotalCodeSize",
        "UnreservedConcurrentExecutions",
    }
    assert set(answer["AccountUsage"]) == {"FunctionCount", "TotalCodeSize"}


@recorded("TestLambdaAccountSettings::test_account_settings_total_code_size_config_update")
def test_every_version_counts_its_code_again(double: Double) -> None:
    before = stored(double)

    double.function_with_versions(1)

    assert stored(double) - before == 2 * len(zip_of("version 1"))


@recorded("TestLambdaAccountSettings::test_account_settings_total_code_size_config_update")
def test_deleting_a_version_frees_its_code(double: Double) -> None:
    name = double.function_with_versions(1)
    before = stored(double)

    double.client.delete_function(FunctionName=name, Qualifier="1")

    assert before - stored(double) == len(zip_of("version 1"))
