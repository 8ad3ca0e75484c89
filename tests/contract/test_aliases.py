"""Aliases: where they may point, their weights, their revisions, and what reading through one shows."""

from __future__ import annotations

from typing import Any

import pytest

from .support import LATEST, Double, recorded, reference, refused, source, unique

STALE = (
    "The Revision Id provided does not match the latest Revision Id."
    " Call the GetFunction/GetAlias API to retrieve the latest Revision Id"
)


def weights(**by_version: float) -> dict[str, Any]:
    """`weights(v2=0.5)` is a routing configuration that gives version 2 half of the calls."""
    return {"AdditionalVersionWeights": {version.removeprefix("v"): weight for version, weight in by_version.items()}}


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_a_new_alias_answers_with_its_target_and_no_routing(double: Double) -> None:
    name = double.function_with_versions(1)

    answer = double.alias(name, "1", Description="of the alias")

    assert answer["AliasArn"] == double.arn(name, "live")
    assert (answer["Name"], answer["FunctionVersion"], answer["Description"]) == ("live", "1", "of the alias")
    assert answer["RevisionId"]
    assert "RoutingConfig" not in answer


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_that_is_there_is_not_made_again(double: Double) -> None:
    name = double.function_with_versions(2)
    before = double.alias(name, "1")

    with refused("ResourceConflictException", 409, f"Alias already exists: {double.arn(name, 'live')}"):
        double.alias(name, "2")

    after = double.client.get_alias(FunctionName=name, Name="live")
    assert (after["FunctionVersion"], after["RevisionId"]) == ("1", before["RevisionId"])


@recorded("TestLambdaAlias::test_alias_naming")
def test_an_alias_may_not_be_all_digits(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused(
        "ValidationException",
        400,
        "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint:"
        " Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
    ):
        double.alias(name, "1", "2024")


@recorded("TestLambdaAlias::test_alias_naming")
def test_an_alias_may_begin_with_digits(double: Double) -> None:
    name = double.function_with_versions(1)

    assert double.alias(name, "1", "2024-01-02")["Name"] == "2024-01-02"


@reference("CreateAlias")
@pytest.mark.parametrize(("length", "accepted"), [(128, True), (129, False)])
def test_an_alias_has_at_most_128_characters(double: Double, length: int, accepted: bool) -> None:
    name = double.function_with_versions(1)

    if accepted:
        assert len(double.alias(name, "1", "a" * length)["Name"]) == length
    else:
        with refused("ValidationException", 400):
            double.alias(name, "1", "a" * length)


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_does_not_point_at_a_version_that_is_not_there(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused("ResourceNotFoundException", 404, f"Function not found: {double.arn(name, '10')}"):
        double.alias(name, "10")


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_does_not_move_to_a_version_that_is_not_there(double: Double) -> None:
    name = double.function_with_versions(1)
    before = double.alias(name, "1")

    with refused("ResourceNotFoundException", 404, f"Function not found: {double.arn(name, '10')}"):
        double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="10")

    after = double.client.get_alias(FunctionName=name, Name="live")
    assert (after["FunctionVersion"], after["RevisionId"]) == ("1", before["RevisionId"])


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_of_a_function_that_is_not_there_is_refused(double: Double) -> None:
    name = unique("missing")

    with refused("ResourceNotFoundException", 404, f"Function not found: {double.arn(name, '1')}"):
        double.alias(name, "1")


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_may_point_at_latest(double: Double) -> None:
    name = double.function()

    assert double.alias(name, LATEST)["FunctionVersion"] == LATEST


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_reading_an_alias_that_is_not_there_is_refused(double: Double) -> None:
    name = double.function()

    with refused("ResourceNotFoundException", 404, f"Cannot find alias arn: {double.arn(name, 'live')}"):
        double.client.get_alias(FunctionName=name, Name="live")


@recorded("TestLambdaAlias::test_non_existent_alias_update")
def test_moving_an_alias_that_is_not_there_is_refused(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused("ResourceNotFoundException", 404, f"Alias not found: {double.arn(name, 'live')}"):
        double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="1")


@recorded("TestLambdaAlias::test_non_existent_alias_deletion")
def test_deleting_an_alias_that_is_not_there_succeeds(double: Double) -> None:
    name = double.function()

    answer = double.client.delete_alias(FunctionName=name, Name="live")

    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_moving_an_alias_answers_with_the_new_target_and_revision(double: Double) -> None:
    name = double.function_with_versions(2)
    before = double.alias(name, "1")

    answer = double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RevisionId=before["RevisionId"])

    assert answer["FunctionVersion"] == "2"
    assert answer["RevisionId"] != before["RevisionId"]
    assert double.client.get_alias(FunctionName=name, Name="live")["RevisionId"] == answer["RevisionId"]


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_moving_an_alias_to_where_it_is_gives_a_new_revision_too(double: Double) -> None:
    name = double.function_with_versions(1)
    before = double.alias(name, "1")

    answer = double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="1")

    assert answer["RevisionId"] != before["RevisionId"]


@recorded("TestLambdaRevisions::test_function_revisions_version_and_alias")
def test_moving_an_alias_with_a_stale_revision_is_refused_and_moves_nothing(double: Double) -> None:
    name = double.function_with_versions(2)
    stale = double.alias(name, "1")["RevisionId"]
    current = double.client.update_alias(FunctionName=name, Name="live", Description="moved by somebody")

    with refused("PreconditionFailedException", 412, STALE):
        double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2", RevisionId=stale)

    after = double.client.get_alias(FunctionName=name, Name="live")
    assert (after["FunctionVersion"], after["RevisionId"]) == ("1", current["RevisionId"])


@recorded("TestLambdaRevisions::test_function_revisions_version_and_alias")
def test_making_an_alias_touches_no_revision_of_its_function(double: Double) -> None:
    name = double.function_with_versions(1)
    before = [double.settled(name)["RevisionId"], double.settled(name, "1")["RevisionId"]]

    double.alias(name, "1")

    assert [double.settled(name)["RevisionId"], double.settled(name, "1")["RevisionId"]] == before


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_a_function_read_through_an_alias_is_the_version_with_the_versions_revision(double: Double) -> None:
    name = double.function_with_versions(2)
    alias = double.alias(name, "1")
    version = double.settled(name, "1")

    shown = double.client.get_function(FunctionName=name, Qualifier="live")["Configuration"]

    assert (shown["Version"], shown["RevisionId"]) == ("1", version["RevisionId"])
    assert shown["RevisionId"] != alias["RevisionId"]
    assert shown["CodeSha256"] == version["CodeSha256"]


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_a_function_read_through_an_alias_has_the_aliass_arn(double: Double) -> None:
    name = double.function_with_versions(1)
    double.alias(name, "1")

    shown = double.client.get_function(FunctionName=name, Qualifier="live")["Configuration"]

    assert shown["FunctionArn"] == double.arn(name, "live")


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_a_function_read_through_a_moved_alias_is_the_new_version_at_once(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1")

    double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")

    assert double.client.get_function(FunctionName=name, Qualifier="live")["Configuration"]["Version"] == "2"


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_the_list_of_aliases_can_be_of_one_version(double: Double) -> None:
    name = double.function_with_versions(2)
    for version, alias in (("1", "live"), ("2", "dev"), ("1", "qa")):
        double.alias(name, version, alias)

    listed = double.client.list_aliases(FunctionName=name, FunctionVersion="1")["Aliases"]

    assert sorted(alias["Name"] for alias in listed) == ["live", "qa"]


@source("AWS Lambda API reference, ListAliases, FunctionVersion: to only list aliases that invoke that version")
def test_the_list_of_a_versions_aliases_has_those_that_weigh_it(double: Double) -> None:
    name = double.function_with_versions(3)
    double.alias(name, "1", "live", RoutingConfig=weights(v2=0.25))
    double.alias(name, "3", "dev")

    listed = double.client.list_aliases(FunctionName=name, FunctionVersion="2")["Aliases"]

    assert [alias["Name"] for alias in listed] == ["live"]


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_the_list_of_aliases_shows_targets_weights_and_revisions(double: Double) -> None:
    name = double.function_with_versions(2)
    alias = double.alias(name, "1", RoutingConfig=weights(v2=0.25))

    (listed,) = double.client.list_aliases(FunctionName=name)["Aliases"]

    assert (listed["FunctionVersion"], listed["RevisionId"]) == ("1", alias["RevisionId"])
    assert listed["RoutingConfig"] == weights(v2=0.25)


@source("AWS Lambda API reference, ListAliases; lists of aliases and versions page at 50")
def test_the_list_of_aliases_gives_at_most_50_whatever_is_asked_for(double: Double) -> None:
    name = double.function_with_versions(1)
    for number in range(51):
        double.alias(name, "1", f"alias-{number:02}")

    first = double.client.list_aliases(FunctionName=name, MaxItems=1000)
    second = double.client.list_aliases(FunctionName=name, Marker=first["NextMarker"])

    assert (len(first["Aliases"]), len(second["Aliases"])) == (50, 1)
    assert "NextMarker" not in second


# Weights.


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_an_alias_may_give_one_other_version_a_weight(double: Double) -> None:
    name = double.function_with_versions(2)

    assert double.alias(name, "1", RoutingConfig=weights(v2=0.2))["RoutingConfig"] == weights(v2=0.2)


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_may_not_weigh_two_other_versions(double: Double) -> None:
    name = double.function_with_versions(3)

    with refused("InvalidParameterValueException", 400, "Number of items in AdditionalVersionWeights cannot be greater than 1"):
        double.alias(name, "1", RoutingConfig=weights(v2=0.2, v3=0.2))


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_may_not_weigh_its_own_target(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused(
        "InvalidParameterValueException",
        400,
        "Invalid function version 1. Function version 1 is already included in routing configuration.",
    ):
        double.alias(name, "1", RoutingConfig=weights(v1=0.5))


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
@pytest.mark.parametrize("weight", [2.0, -1.0])
def test_a_weight_is_between_0_and_1(double: Double, weight: float) -> None:
    name = double.function_with_versions(2)

    with refused("ValidationException", 400) as refusal:
        double.alias(name, "1", RoutingConfig=weights(v2=weight))

    assert f"Value '{{2={weight}}}' at 'routingConfig.additionalVersionWeights'" in refusal.message


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_latest_may_not_be_weighed(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused("ValidationException", 400):
        double.alias(name, "1", RoutingConfig={"AdditionalVersionWeights": {LATEST: 0.5}})


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_of_latest_has_no_weights(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused("InvalidParameterValueException", 400, "$LATEST is not supported for an alias pointing to more than 1 version"):
        double.alias(name, LATEST, RoutingConfig=weights(v1=0.5))


@recorded("TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_a_weighed_version_must_be_there(double: Double) -> None:
    name = double.function_with_versions(1)

    with refused("ResourceNotFoundException", 404, f"Function not found: {double.arn(name, '10')}"):
        double.alias(name, "1", RoutingConfig=weights(v10=0.5))


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_an_empty_map_clears_the_weights(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1", RoutingConfig=weights(v2=0.2))

    answer = double.client.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {}})

    assert "RoutingConfig" not in answer
    assert "RoutingConfig" not in double.client.get_alias(FunctionName=name, Name="live")


@reference("UpdateAlias")
def test_weights_that_a_move_does_not_mention_stay(double: Double) -> None:
    name = double.function_with_versions(3)
    double.alias(name, "1", RoutingConfig=weights(v2=0.2))

    answer = double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="3")

    assert answer["RoutingConfig"] == weights(v2=0.2)


@source("recorded from AWS 2025-11-25, localstack snapshot TestLambdaAlias::test_notfound_and_invalid_routingconfigs")
def test_an_alias_does_not_move_onto_its_own_weighed_version(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1", RoutingConfig=weights(v2=0.2))

    with refused(
        "InvalidParameterValueException",
        400,
        "Invalid function version 2. Function version 2 is already included in routing configuration.",
    ):
        double.client.update_alias(FunctionName=name, Name="live", FunctionVersion="2")


@recorded("TestLambdaAlias::test_alias_lifecycle")
def test_an_alias_moves_onto_its_weighed_version_when_the_same_call_clears_the_weights(double: Double) -> None:
    name = double.function_with_versions(2)
    double.alias(name, "1", RoutingConfig=weights(v2=0.2))

    answer = double.client.update_alias(
        FunctionName=name, Name="live", FunctionVersion="2", RoutingConfig={"AdditionalVersionWeights": {}}
    )

    assert answer["FunctionVersion"] == "2"
    assert "RoutingConfig" not in answer


@source("AWS Lambda developer guide, Implement Lambda canary deployments using a weighted alias: requirements")
@pytest.mark.parametrize("member", ["Role", "DeadLetterConfig"])
def test_versions_of_a_weighted_alias_share_role_and_dead_letter_queue(double: Double, member: str) -> None:
    name = double.function()
    double.publish(name)
    queue = f"arn:aws:sqs:{double.region}:{double.account}:lost"
    other: dict[str, Any] = {"Role": double.role("another"), "DeadLetterConfig": {"TargetArn": queue}}
    double.client.update_function_configuration(FunctionName=name, **{member: other[member]})
    double.settled(name)
    double.publish(name)

    with refused("InvalidParameterValueException", 400):
        double.alias(name, "1", RoutingConfig=weights(v2=0.5))
