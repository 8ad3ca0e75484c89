"""Lambda's control plane for sweeps and teardowns: what holds a version, over all pages, and the call that deletes one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stagekeeper.aws.errors import CallFailed, NotThere, Unanswered
from stagekeeper.aws.lambda_api import LambdaApi
from stagekeeper.domain.model import FunctionArn, VersionNumber
from tests.fake import FakeLambda

from .clock import Clock
from .lambda_account import ARN, GONE, NAME, NINE, ONE, TWO, anyone

THREE = VersionNumber(3)


@pytest.fixture
def fake(clock: Clock) -> FakeLambda:
    """A function with versions 1 to 3, alias dev on 1."""
    fake = FakeLambda(clock=clock.moments)
    fake.create(NAME, b"one", publish=True)
    fake.publish(NAME, b"two")
    fake.publish(NAME, b"three")
    fake.alias(NAME, "dev", "1")
    return fake


def provision(fake: FakeLambda, qualifier: str) -> None:
    fake.quietly("PutProvisionedConcurrencyConfig", FunctionName=NAME, Qualifier=qualifier, ProvisionedConcurrentExecutions=1)


def open_url(fake: FakeLambda, qualifier: str | None) -> None:
    where = {"FunctionName": NAME} if qualifier is None else {"FunctionName": NAME, "Qualifier": qualifier}
    fake.quietly("CreateFunctionUrlConfig", AuthType="AWS_IAM", **where)


# What holds a version.


def test_the_sizes_of_all_versions_without_latest(api: LambdaApi, fake: FakeLambda) -> None:
    for number in range(4, 121):
        fake.publish(NAME, b"x" * number)

    sizes = api.code_sizes(ARN)

    assert sorted(sizes) == [VersionNumber(number) for number in range(1, 121)]
    assert (sizes[ONE], sizes[TWO], sizes[VersionNumber(120)]) == (len(b"one"), len(b"two"), 120)


def test_a_function_without_versions_has_none(api: LambdaApi, fake: FakeLambda) -> None:
    fake.create("bare")

    assert api.code_sizes(FunctionArn(ARN.replace(NAME, "bare"))) == {}


def test_an_alias_holds_its_target_and_the_version_it_gives_weight_to(api: LambdaApi, fake: FakeLambda) -> None:
    fake.alias(NAME, "canary", "2", {"3": 0.1})
    fake.alias(NAME, "strange", "$LATEST")
    fake.alias(NAME, "qa", "1")

    found = api.aliased(ARN)

    assert {version: sorted(names) for version, names in found.targets.items()} == {ONE: ["dev", "qa"], TWO: ["canary"]}
    assert found.weighted == {THREE: ["canary"]}


def test_a_weight_of_nothing_holds_as_well(api: LambdaApi, fake: FakeLambda) -> None:
    """AWS refuses to delete it all the same."""
    fake.alias(NAME, "canary", "2", {"3": 0.0})

    assert api.aliased(ARN).weighted[THREE] == ["canary"]


def test_the_aliases_of_all_pages_count(api: LambdaApi, fake: FakeLambda) -> None:
    for number in range(120):
        fake.alias(NAME, f"s{number:03}", "2")
    fake.alias(NAME, "zz-last", "3")

    found = api.aliased(ARN).targets

    assert (len(found[TWO]), found[THREE]) == (120, ["zz-last"])
    assert fake.count("ListAliases") == 3


def test_provisioned_concurrency_is_told_by_its_qualifier(api: LambdaApi, fake: FakeLambda) -> None:
    assert api.provisioned(ARN) == []

    provision(fake, "2")
    provision(fake, "dev")

    assert sorted(api.provisioned(ARN)) == ["2", "dev"]


def test_function_urls_are_told_by_their_qualifier(api: LambdaApi, fake: FakeLambda) -> None:
    assert api.urls(ARN) == []

    open_url(fake, None)
    open_url(fake, "dev")

    assert sorted(api.urls(ARN)) == ["", "dev"]


Read = Callable[[LambdaApi, FunctionArn], object]
LISTS: dict[str, Read] = {
    "ListVersionsByFunction": LambdaApi.code_sizes,
    "ListAliases": lambda api, arn: dict(api.aliased(arn).targets),
    "ListProvisionedConcurrencyConfigs": LambdaApi.provisioned,
    "ListFunctionUrlConfigs": LambdaApi.urls,
}
EACH_LIST = pytest.mark.parametrize("operation", LISTS)


@EACH_LIST
def test_a_list_of_a_missing_function_is_not_an_empty_one(api: LambdaApi, operation: str) -> None:
    with pytest.raises(NotThere):
        LISTS[operation](api, GONE)


@EACH_LIST
@pytest.mark.parametrize(("error", "kind"), [("AccessDeniedException", CallFailed), ("ServiceException", Unanswered)])
def test_a_list_that_cannot_be_read_is_not_an_empty_one(
    api: LambdaApi, fake: FakeLambda, operation: str, error: str, kind: type[CallFailed]
) -> None:
    fake.fail(operation, error=error, times=None)

    with pytest.raises(CallFailed, match=NAME) as failed:
        LISTS[operation](api, ARN)

    assert type(failed.value) is kind


def furnish(fake: FakeLambda) -> None:
    """More than one page of everything."""
    for number in range(4, 61):
        fake.publish(NAME, b"x" * number)
    for number in range(1, 61):
        fake.alias(NAME, f"s{number:03}", str(number))
        provision(fake, f"s{number:03}")
        open_url(fake, f"s{number:03}")


@EACH_LIST
def test_a_later_page_that_cannot_be_read_is_no_end_of_the_list(api: LambdaApi, fake: FakeLambda, operation: str) -> None:
    furnish(fake)
    fake.fail(operation, on_call=2, error="AccessDeniedException", times=None)

    with pytest.raises(CallFailed):
        LISTS[operation](api, ARN)


@EACH_LIST
def test_every_list_takes_as_few_pages_as_aws_allows(api: LambdaApi, fake: FakeLambda, operation: str) -> None:
    furnish(fake)

    found = LISTS[operation](api, ARN)

    assert isinstance(found, (dict, list))
    assert len(found) == 60
    assert [call.params["MaxItems"] for call in fake.calls if call.operation == operation] == [50, 50]


# The pace of work that nobody waits for.


def test_a_sweep_leaves_most_of_the_shared_budget_to_others(api: LambdaApi, clock: Clock) -> None:
    unhurried = api.unhurried()
    began = clock.now()

    for _ in range(11):
        unhurried.aliased(ARN)

    assert clock.now() - began == pytest.approx(10 / 2)


def test_what_is_in_a_hurry_does_not_slow_down_beside_it(api: LambdaApi, clock: Clock) -> None:
    api.unhurried().aliased(ARN)
    began = clock.now()

    for _ in range(16):
        api.aliased(ARN)

    assert clock.now() - began == pytest.approx(15 / 15)


# Deleting.


def versions(fake: FakeLambda) -> list[int]:
    return sorted(fake.state()[NAME]["versions"])


def test_a_version_is_deleted_and_nothing_else(api: LambdaApi, fake: FakeLambda) -> None:
    assert api.delete_version(ARN, TWO, anyone) is None

    assert versions(fake) == [1, 3]
    assert fake.aliases(NAME) == {"dev": "1"}


@pytest.mark.parametrize("arn", [ARN, GONE], ids=["no such version", "no such function"])
def test_what_is_gone_already_is_deleted(api: LambdaApi, fake: FakeLambda, arn: FunctionArn) -> None:
    assert api.delete_version(arn, NINE, anyone) is None

    assert versions(fake) == [1, 2, 3]


def test_a_version_that_an_alias_serves_stays_with_awss_reason(api: LambdaApi, fake: FakeLambda) -> None:
    stays = api.delete_version(ARN, ONE, anyone)

    assert stays is not None
    assert stays.startswith("AWS keeps it: ResourceConflictException")
    assert "[dev]" in stays
    assert versions(fake) == [1, 2, 3]


def test_a_version_that_an_alias_gives_weight_to_stays(api: LambdaApi, fake: FakeLambda) -> None:
    fake.alias(NAME, "dev", "1", {"2": 0.1})

    assert api.delete_version(ARN, TWO, anyone) is not None
    assert versions(fake) == [1, 2, 3]


def test_a_replicated_version_is_left_for_the_next_sweep(api: LambdaApi, fake: FakeLambda) -> None:
    fake.replicate(NAME, "2")

    stays = api.delete_version(ARN, TWO, anyone)

    assert stays == "Lambda@Edge still has replicas of it; the next sweep tries again"
    assert versions(fake) == [1, 2, 3]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("AccessDeniedException", CallFailed),
        ("InvalidParameterValueException", CallFailed),
        ("ServiceException", Unanswered),
        ("ReadTimeout", Unanswered),
    ],
)
def test_every_other_failure_is_one_and_is_not_repeated(
    api: LambdaApi, fake: FakeLambda, error: str, kind: type[CallFailed]
) -> None:
    fake.fail("DeleteFunction", error=error)

    with pytest.raises(CallFailed, match="version 2") as failed:
        api.delete_version(ARN, TWO, anyone)

    assert type(failed.value) is kind
    assert fake.count("DeleteFunction") == 1


def test_no_call_ever_goes_out_without_the_version(api: LambdaApi, fake: FakeLambda) -> None:
    """Without it, the call deletes the whole function."""
    for number in (1, 2, 3, 9):
        api.delete_version(ARN, VersionNumber(number), anyone)

    sent = [call.params for call in fake.calls if call.operation == "DeleteFunction"]
    assert sent == [{"FunctionName": ARN, "Qualifier": str(number)} for number in (1, 2, 3, 9)]


class Lost(Exception):
    """The worker may not act any more."""


def test_a_worker_that_has_lost_its_mandate_deletes_nothing(api: LambdaApi, fake: FakeLambda) -> None:
    def lost() -> None:
        raise Lost

    with pytest.raises(Lost):
        api.delete_version(ARN, TWO, lost)

    assert (fake.count("DeleteFunction"), versions(fake)) == (0, [1, 2, 3])


def test_the_mandate_is_asked_for_again_after_each_throttle(api: LambdaApi, fake: FakeLambda) -> None:
    fake.fail("DeleteFunction", error="TooManyRequestsException", times=None)
    asked: list[int] = []

    def until_the_third_time() -> None:
        asked.append(fake.count("DeleteFunction"))
        if len(asked) == 3:
            raise Lost

    with pytest.raises(Lost):
        api.delete_version(ARN, TWO, until_the_third_time)

    assert asked == [0, 1, 2]
