"""Lambda's control plane, reading: what is absent is told from what cannot be read, over all pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from stagekeeper.aws.errors import CallFailed, Unanswered
from stagekeeper.aws.lambda_api import LambdaApi, LatestBusy, epoch_seconds, unqualified
from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.facts import Absent, LatestSeen, Unreadable, VersionSeen
from stagekeeper.domain.model import FunctionArn
from tests.fake import FakeLambda

from .clock import Clock
from .lambda_account import ARN, GONE, NAME, NINE, ONE, TWO, api_of, latest, revision, sha

# What $LATEST holds.


def test_latest_is_told_with_its_identity_and_its_revision(api: LambdaApi, fake: FakeLambda) -> None:
    seen = latest(api)

    assert (seen.arn, seen.code, seen.content.code, seen.failed) == (ARN, sha(b"two"), sha(b"two"), None)
    assert seen.revision_id == fake.state(revisions=True)[NAME]["revisions"]["latest"]
    assert seen.last_modified == pytest.approx(fake.clock(), abs=0.001)
    assert seen.configuration["Handler"] == "app.handler"


def test_the_same_configuration_has_the_same_identity_and_another_has_not(api: LambdaApi, fake: FakeLambda) -> None:
    before = latest(api).content
    fake.update(NAME, MemorySize=512)
    changed = latest(api).content
    fake.update(NAME, MemorySize=128)

    assert latest(api).content == before
    assert (changed.code, changed.configuration == before.configuration) == (before.code, False)


@pytest.mark.parametrize("name", [NAME, ARN])
def test_a_function_may_be_named_by_its_arn(api: LambdaApi, name: str) -> None:
    seen = api.latest(name)

    assert isinstance(seen, LatestSeen)
    assert seen.arn == api.arn_of(name) == ARN


def test_while_an_update_is_under_way_latest_is_busy(api: LambdaApi, fake: FakeLambda) -> None:
    fake.set_update(NAME, "InProgress")

    assert api.latest(NAME) == LatestBusy("State Active, LastUpdateStatus InProgress")


def test_while_the_function_is_being_made_it_is_busy(api: LambdaApi, fake: FakeLambda) -> None:
    fake.set_state(NAME, "$LATEST", "Pending")

    assert isinstance(api.latest(NAME), LatestBusy)


def test_a_failed_update_is_told_in_awss_words(api: LambdaApi, fake: FakeLambda) -> None:
    fake.set_update(NAME, "Failed", "no such layer")
    assert latest(api).failed == "no such layer"

    fake.set_state(NAME, "$LATEST", "Failed", "no such image")
    assert latest(api).failed == "State Failed: no such image"


def test_awss_sentences_lose_their_full_stop_since_they_go_into_ours(api: LambdaApi, fake: FakeLambda) -> None:
    fake.set_update(NAME, "Failed", "The role has gone.")
    assert latest(api).failed == "The role has gone"

    fake.fail(
        "GetFunction", error=ClientError({"Error": {"Code": "AccessDeniedException", "Message": "You may not."}}, "GetFunction")
    )
    assert api.latest(NAME) == Unreadable(f"function {NAME}", "AccessDeniedException: You may not")


@pytest.mark.parametrize(
    ("member", "what"), [("Environment", "the environment"), ("ImageConfigResponse", "the image configuration")]
)
def test_what_aws_leaves_out_of_an_answer_is_unreadable_and_not_empty(
    api: LambdaApi, fake: FakeLambda, member: str, what: str
) -> None:
    fake._version(NAME, "$LATEST").settings[member] = {"Error": {"ErrorCode": "AccessDenied", "Message": "No key."}}

    assert api.latest(NAME) == Unreadable(f"{what} of function {NAME}", "AccessDenied: No key")


def test_what_a_version_froze_is_told_in_canonical_form_whatever_latest_is_by_now(api: LambdaApi, fake: FakeLambda) -> None:
    fake.update(NAME, MemorySize=512)

    frozen = api.frozen(ARN, TWO)

    assert not isinstance(frozen, (Absent, Unreadable))
    assert (frozen["MemorySize"], latest(api).configuration["MemorySize"]) == (128, 512)
    assert frozen.keys() == latest(api).configuration.keys()
    assert api.frozen(ARN, NINE) == Absent()


def test_what_aws_leaves_out_of_a_version_is_unreadable_and_not_empty(api: LambdaApi, fake: FakeLambda) -> None:
    fake._version(NAME, "2").settings["Environment"] = {"Error": {"ErrorCode": "AccessDenied", "Message": "No key."}}

    assert api.frozen(ARN, TWO) == Unreadable(f"the environment of function {ARN}:2", "AccessDenied: No key")


def test_which_region_it_reaches(api: LambdaApi) -> None:
    assert api.region == "eu-central-1"


def test_an_idle_function_is_as_good_as_an_active_one(api: LambdaApi, fake: FakeLambda) -> None:
    fake.set_state(NAME, "$LATEST", "Inactive")

    assert latest(api).failed is None


Read = Callable[[LambdaApi, FunctionArn], object]
READS: dict[str, Read] = {
    "latest": lambda api, arn: api.latest(arn),
    "version": lambda api, arn: api.version(arn, ONE),
    "served": lambda api, arn: api.served(arn, "dev"),
    "arn_of": lambda api, arn: api.arn_of(arn),
    "frozen": lambda api, arn: api.frozen(arn, ONE),
}


@pytest.mark.parametrize("read", READS)
def test_a_missing_function_is_absent_and_nothing_else_is(api: LambdaApi, fake: FakeLambda, read: str) -> None:
    assert READS[read](api, GONE) == Absent()
    for error in ("AccessDeniedException", "ServiceException", "TooManyRequestsException", "ReadTimeout", "ConnectTimeout"):
        fake.fail("GetFunction", error=error)
        found = READS[read](api, ARN)
        assert isinstance(found, Unreadable), error
        assert NAME in found.what


def test_whether_a_function_exists(api: LambdaApi, fake: FakeLambda) -> None:
    fake.fail("GetFunction", on_call=3, error="AccessDeniedException")

    assert (api.exists(ARN), api.exists(GONE)) == (True, False)
    assert isinstance(api.exists(ARN), Unreadable)


def test_a_version_is_told_with_its_state(api: LambdaApi, fake: FakeLambda) -> None:
    fake.set_state(NAME, "2", "Failed")

    assert [api.version(ARN, number) for number in (ONE, TWO, NINE)] == [
        VersionSeen(ONE, "Active"),
        VersionSeen(TWO, "Failed"),
        Absent(),
    ]


def test_what_an_alias_serves(api: LambdaApi, fake: FakeLambda) -> None:
    fake.alias(NAME, "odd", "$LATEST")

    assert [api.served(ARN, name) for name in ("dev", "odd", "none")] == [
        VersionSeen(ONE, "Active"),
        VersionSeen(None, "Active"),
        Absent(),
    ]


def test_reads_by_get_function_leave_the_shared_budget_alone(api: LambdaApi, fake: FakeLambda) -> None:
    latest(api)
    api.version(ARN, ONE)
    api.served(ARN, "dev")
    api.exists(ARN)

    assert fake.shared_calls() == 0


# Facts on the shared budget.


def test_an_alias_is_told_with_its_revision_and_its_weights(api: LambdaApi, fake: FakeLambda) -> None:
    assert api.alias(ARN, "dev") == AliasSeen(ONE, revision(fake), weighted=False)

    fake.alias(NAME, "dev", "1", {"2": 0.1})
    assert api.alias(ARN, "dev") == AliasSeen(ONE, revision(fake), weighted=True)

    fake.alias(NAME, "odd", "$LATEST")
    assert api.alias(ARN, "odd") == AliasSeen(None, revision(fake, "odd"), weighted=False)


def test_no_alias_and_no_function_are_none_but_a_failed_read_is_not(api: LambdaApi, fake: FakeLambda) -> None:
    assert (api.alias(ARN, "none"), api.alias(GONE, "dev")) == (None, None)

    fake.fail("GetAlias", error="AccessDeniedException")
    with pytest.raises(CallFailed):
        api.alias(ARN, "dev")


def test_all_versions_are_listed_over_all_pages_and_without_latest(api: LambdaApi, fake: FakeLambda) -> None:
    for number in range(3, 131):
        fake.publish(NAME, f"code {number}".encode())

    found = api.versions(ARN)

    assert [listed.number.value for listed in found] == list(range(1, 131))
    assert (found[1].made().content.code, found[129].made().content.code) == (sha(b"two"), sha(b"code 130"))
    assert fake.count("ListVersionsByFunction") == 3


@pytest.mark.parametrize(("published", "highest"), [(0, 0), (1, 1), (60, 60)])
def test_the_highest_version(api: LambdaApi, fake: FakeLambda, published: int, highest: int) -> None:
    fake.create("other")
    for number in range(published):
        fake.publish("other", f"code {number}".encode())

    assert api.highest_version(FunctionArn(f"{unqualified(ARN).rpartition(':')[0]}:other")) == highest


def test_a_page_that_cannot_be_read_is_no_end_of_the_list(api: LambdaApi, fake: FakeLambda) -> None:
    for number in range(60):
        fake.publish(NAME, f"code {number}".encode())
    fake.fail("ListVersionsByFunction", on_call=2, error="AccessDeniedException")

    with pytest.raises(CallFailed):
        api.versions(ARN)


READS_ON_THE_SHARED_BUDGET: dict[str, Read] = {
    "GetAlias": lambda api, arn: api.alias(arn, "dev"),
    "ListVersionsByFunction": lambda api, arn: len(api.versions(arn)),
    "GetProvisionedConcurrencyConfig": lambda api, arn: api.provisioned_concurrency_is_moving(arn, "dev"),
}


@pytest.mark.parametrize("operation", READS_ON_THE_SHARED_BUDGET)
def test_a_read_without_an_answer_is_asked_again_but_not_for_ever(api: LambdaApi, fake: FakeLambda, operation: str) -> None:
    read = READS_ON_THE_SHARED_BUDGET[operation]
    expected = read(api, ARN)
    fake.fail(operation, error="ReadTimeout", times=3)
    assert read(api, ARN) == expected

    fake.heal()
    fake.fail(operation, error="ServiceException", times=None)
    with pytest.raises(Unanswered):
        read(api, ARN)


@pytest.mark.parametrize("operation", READS_ON_THE_SHARED_BUDGET)
def test_a_read_that_is_refused_is_not_repeated(api: LambdaApi, fake: FakeLambda, operation: str) -> None:
    fake.fail(operation, error="AccessDeniedException", times=None)

    with pytest.raises(CallFailed):
        READS_ON_THE_SHARED_BUDGET[operation](api, ARN)

    assert fake.count(operation) == 1


def test_whether_provisioned_concurrency_is_moving(clock: Clock) -> None:
    fake = FakeLambda(clock=clock.moments, provisioned_seconds=30)
    fake.create(NAME, publish=True)
    fake.alias(NAME, "dev", "1")
    api = api_of(fake, clock)
    seen = [api.provisioned_concurrency_is_moving(ARN, "dev")]
    fake.quietly("PutProvisionedConcurrencyConfig", FunctionName=NAME, Qualifier="dev", ProvisionedConcurrentExecutions=1)
    seen.append(api.provisioned_concurrency_is_moving(ARN, "dev"))
    clock.sleep(31)
    seen.append(api.provisioned_concurrency_is_moving(ARN, "dev"))

    assert seen == [False, True, False]


# Spellings.


@pytest.mark.parametrize("arn", [ARN, f"{ARN}:7", f"{ARN}:dev", f"{ARN}:$LATEST"])
def test_an_arn_without_its_qualifier(arn: str) -> None:
    assert unqualified(arn) == ARN


def test_awss_time_stamps_are_epoch_seconds() -> None:
    assert epoch_seconds("2025-11-25T02:38:45.123+0000") == pytest.approx(1764038325.123)
