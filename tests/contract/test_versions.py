"""Publishing: what a version is, when there is a new one, and what makes AWS refuse."""

from __future__ import annotations

import urllib.request

from .support import EMBEDDED, FAKE, LATEST, Double, digest_of, recorded, reference, refused, source, wrong_on, zip_of


@recorded("TestLambdaVersions::test_version_lifecycle")
def test_publishing_answers_with_the_version_and_its_qualified_arn(double: Double) -> None:
    name = double.function()

    answer = double.client.publish_version(FunctionName=name)

    assert (answer["Version"], answer["FunctionArn"]) == ("1", double.arn(name, "1"))
    assert answer["CodeSha256"] == digest_of(zip_of("one"))


@recorded("TestLambdaVersions::test_version_lifecycle")
def test_a_description_given_on_publishing_is_the_versions_own(double: Double) -> None:
    name = double.function(Description="of the function")

    double.client.publish_version(FunctionName=name, Description="of the version")

    assert double.settled(name, "1")["Description"] == "of the version"
    assert double.settled(name)["Description"] == "of the function"


@recorded("TestLambdaVersions::test_version_lifecycle")
def test_a_version_keeps_what_it_was_published_with(double: Double) -> None:
    name = double.function(Timeout=9)
    double.publish(name)

    double.client.update_function_configuration(FunctionName=name, Timeout=30)
    double.settled(name)
    double.update(name, "other")

    version = double.settled(name, "1")
    assert (version["Timeout"], version["CodeSha256"]) == (9, digest_of(zip_of("one")))


@recorded("TestLambdaVersions::test_version_lifecycle")
def test_publishing_again_without_an_update_returns_the_same_version(double: Double) -> None:
    name = double.function()
    first = double.client.publish_version(FunctionName=name)

    again = double.client.publish_version(FunctionName=name, Description="another description")

    assert (again["Version"], again["RevisionId"]) == (first["Version"], first["RevisionId"])
    assert again["Description"] == first["Description"]
    assert [v["Version"] for v in double.client.list_versions_by_function(FunctionName=name)["Versions"]] == [
        LATEST,
        "1",
    ]


@source("getmoto/moto#8379, verified against AWS: it does not check whether the code of an update differs")
def test_publishing_after_an_update_that_changed_nothing_makes_a_new_version(double: Double) -> None:
    name = double.function()
    assert double.publish(name) == "1"

    assert double.publish(name, "one") == "2"


@recorded("TestLambdaVersions::test_publish_version_on_create")
def test_publishing_on_create_answers_with_version_1_and_the_unqualified_arn(double: Double) -> None:
    answer = double.created(Publish=True)

    assert (answer["Version"], answer["State"]) == ("1", "Pending")
    assert answer["FunctionArn"] == double.arn(answer["FunctionName"])


@recorded("TestLambdaVersions::test_publish_version_on_create")
def test_latest_and_a_version_published_on_create_have_revisions_of_their_own(double: Double) -> None:
    name = double.function(Publish=True)

    assert double.settled(name, "1")["RevisionId"] != double.settled(name)["RevisionId"]


@recorded("TestLambdaVersions::test_publish_with_update")
@source("floci-io/floci#2825, measured on live AWS")
def test_an_update_that_publishes_answers_with_the_new_version(double: Double) -> None:
    name = double.function()

    answer = double.client.update_function_code(FunctionName=name, ZipFile=zip_of("two"), Publish=True)

    assert (answer["Version"], answer["FunctionArn"]) == ("1", double.arn(name, "1"))
    assert answer["CodeSha256"] == digest_of(zip_of("two"))
    assert answer["State"] == "Pending"
    assert "LastUpdateStatus" not in answer


@recorded("TestLambdaVersions::test_publish_with_update")
def test_an_update_that_publishes_leaves_latest_in_progress(double: Double) -> None:
    name = double.function()

    double.client.update_function_code(FunctionName=name, ZipFile=zip_of("two"), Publish=True)

    latest = double.client.get_function_configuration(FunctionName=name)
    assert (latest["LastUpdateStatus"], latest["CodeSha256"]) == ("InProgress", digest_of(zip_of("two")))


@recorded("TestLambdaVersions::test_version_lifecycle")
def test_a_published_version_becomes_active(double: Double) -> None:
    name = double.function()
    double.client.publish_version(FunctionName=name)

    version = double.settled(name, "1")

    assert (version["State"], version["LastUpdateStatus"]) == ("Active", "Successful")


@recorded("TestLambdaVersions::test_publish_with_wrong_sha256")
def test_publishing_another_digest_than_latest_has_is_refused(double: Double) -> None:
    name = double.function()
    digest = digest_of(zip_of("one"))

    with refused(
        "InvalidParameterValueException",
        400,
        f"CodeSHA256 (another) is different from current CodeSHA256 in $LATEST ({digest})."
        " Please try again with the CodeSHA256 in $LATEST.",
    ):
        double.client.publish_version(FunctionName=name, CodeSha256="another")

    assert len(double.client.list_versions_by_function(FunctionName=name)["Versions"]) == 1


@recorded("TestLambdaVersions::test_publish_with_wrong_revisionid", "2022-09-30")
def test_publishing_with_a_wrong_revision_is_refused(double: Double) -> None:
    name = double.function()

    with refused(
        "PreconditionFailedException",
        412,
        "The Revision Id provided does not match the latest Revision Id."
        " Call the GetFunction/GetAlias API to retrieve the latest Revision Id",
    ):
        double.client.publish_version(FunctionName=name, RevisionId="11111111-2222-4333-8444-555555555555")

    assert len(double.client.list_versions_by_function(FunctionName=name)["Versions"]) == 1


@recorded("TestLambdaRevisions::test_function_revisions_version_and_alias")
def test_publishing_with_the_right_digest_and_revision_succeeds(double: Double) -> None:
    name = double.function()
    latest = double.update(name, "two")

    answer = double.client.publish_version(FunctionName=name, CodeSha256=latest["CodeSha256"], RevisionId=latest["RevisionId"])

    assert answer["Version"] == "1"


@recorded("TestLambdaRevisions::test_function_revisions_version_and_alias")
def test_publishing_gives_latest_another_revision(double: Double) -> None:
    name = double.function()
    before = double.settled(name)["RevisionId"]

    double.publish(name)

    assert double.settled(name)["RevisionId"] != before


@recorded("TestLambdaVersions::test_publish_version_on_create")
def test_publishing_again_without_an_update_leaves_the_revision_of_latest(double: Double) -> None:
    name = double.function()
    double.publish(name)
    before = double.settled(name)["RevisionId"]

    double.publish(name)

    assert double.settled(name)["RevisionId"] == before


@source("AWS Lambda developer guide, Manage function versions: numbers increase and are not reused")
def test_the_number_of_a_deleted_version_is_not_used_again(double: Double) -> None:
    name = double.function_with_versions(2)
    double.client.delete_function(FunctionName=name, Qualifier="2")

    assert double.publish(name, "three") == "3"


@source("AWS Lambda developer guide, Manage function versions: never reused, even after you delete and recreate a function")
def test_a_function_made_again_goes_on_with_its_numbers(double: Double) -> None:
    name = double.function_with_versions(2)
    double.client.delete_function(FunctionName=name)

    double.function(FunctionName=name)

    assert double.publish(name) == "3"


@source("AWS Lambda developer guide, Activating SnapStart: a version is Pending while its snapshot is taken")
def test_a_version_with_snapstart_is_pending_first(double: Double) -> None:
    name = double.function(SnapStart={"ApplyOn": "PublishedVersions"})

    answer = double.client.publish_version(FunctionName=name)

    assert answer["State"] == "Pending"
    assert double.settled(name, "1")["State"] == "Active"


@reference("PublishVersion")
def test_a_version_is_not_older_than_the_update_it_was_made_from(double: Double) -> None:
    name = double.function()
    updated = double.update(name, "two")["LastModified"]

    number = double.publish(name)

    assert double.settled(name, number)["LastModified"] >= updated


@recorded("TestLambdaVersions::test_version_lifecycle")
def test_the_list_of_versions_begins_with_latest_and_qualifies_every_arn(double: Double) -> None:
    name = double.function_with_versions(2)

    versions = double.client.list_versions_by_function(FunctionName=name)["Versions"]

    assert [version["Version"] for version in versions] == [LATEST, "1", "2"]
    assert [version["FunctionArn"] for version in versions] == [double.arn(name, q) for q in (LATEST, "1", "2")]


@recorded("TestLambdaVersions::test_version_lifecycle")
def test_the_list_of_versions_does_not_tell_states(double: Double) -> None:
    name = double.function_with_versions(1)

    for version in double.client.list_versions_by_function(FunctionName=name)["Versions"]:
        assert "State" not in version
        assert "LastUpdateStatus" not in version


@reference("ListVersionsByFunction")
def test_the_list_of_versions_gives_at_most_50_whatever_is_asked_for(double: Double) -> None:
    name = double.function_with_versions(51)

    first = double.client.list_versions_by_function(FunctionName=name, MaxItems=1000)
    second = double.client.list_versions_by_function(FunctionName=name, Marker=first["NextMarker"])

    assert len(first["Versions"]) == 50
    assert [version["Version"] for version in second["Versions"]] == ["50", "51"]
    assert "NextMarker" not in second


@reference("GetFunction")
@wrong_on(FAKE, "has no server the address could lead to")
@wrong_on(EMBEDDED, "gives $LATEST's package for every version: nothing downloads one")
def test_the_package_of_a_version_is_its_own(double: Double) -> None:
    name = double.function_with_versions(1)
    double.update(name, "another")
    address = double.client.get_function(FunctionName=name, Qualifier="1")["Code"]["Location"]

    with urllib.request.urlopen(address, timeout=5) as package:  # noqa: S310 - the double's own address
        assert digest_of(package.read()) == digest_of(zip_of("version 1"))
