"""What the fake of Lambda lets a test arrange and see, beyond AWS's rules (those are in tests/contract)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.fake import AwsError, Call, FakeClock, FakeLambda

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

NAME = "orders-api"


@pytest.fixture
def fake() -> FakeLambda:
    """A function with versions 1 and 2, and an alias `dev` at 1."""
    fake = FakeLambda()
    fake.create(NAME, b"one", publish=True)
    fake.publish(NAME, b"two")
    fake.alias(NAME, "dev", "1")
    return fake


@pytest.fixture
def client(fake: FakeLambda) -> LambdaClient:
    return fake.client()


def move(client: LambdaClient, version: str = "2") -> None:
    client.update_alias(FunctionName=NAME, Name="dev", FunctionVersion=version)


def test_what_a_test_arranges_is_no_call_of_the_product(fake: FakeLambda) -> None:
    assert fake.calls == []
    assert fake.aliases(NAME) == {"dev": "1"}


def test_calls_are_kept_with_their_parameters(fake: FakeLambda, client: LambdaClient) -> None:
    move(client)

    assert fake.calls == [Call("UpdateAlias", {"FunctionName": NAME, "Name": "dev", "FunctionVersion": "2"})]


def test_calls_with_a_budget_of_their_own_are_not_shared(fake: FakeLambda, client: LambdaClient) -> None:
    client.get_function(FunctionName=NAME)
    client.get_function_configuration(FunctionName=NAME)
    move(client)

    assert (len(fake.calls), fake.shared_calls()) == (3, 2)


def test_a_call_fails_when_it_is_its_turn_and_has_no_effect(fake: FakeLambda, client: LambdaClient) -> None:
    fake.fail("UpdateAlias", on_call=2, error="TooManyRequestsException")
    move(client)

    with pytest.raises(ClientError) as caught:
        move(client, "1")

    assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert fake.aliases(NAME) == {"dev": "2"}
    move(client, "1")
    assert fake.aliases(NAME) == {"dev": "1"}


def test_only_calls_that_match_are_counted_and_fail(fake: FakeLambda, client: LambdaClient) -> None:
    fake.fail("UpdateAlias", where=lambda params: params["FunctionVersion"] == "1")
    move(client)

    with pytest.raises(ClientError):
        move(client, "1")


def test_a_call_can_fail_from_now_on(fake: FakeLambda, client: LambdaClient) -> None:
    fake.fail("UpdateAlias", times=None)
    for _ in range(3):
        with pytest.raises(ClientError):
            move(client)

    fake.heal()

    move(client)
    assert fake.aliases(NAME) == {"dev": "2"}


def test_an_unanswered_call_has_its_effect_and_times_out(fake: FakeLambda, client: LambdaClient) -> None:
    fake.fail("UpdateAlias", applied=True)

    with pytest.raises(ReadTimeoutError):
        move(client)

    assert fake.aliases(NAME) == {"dev": "2"}


def test_a_call_that_never_arrives_has_no_effect(fake: FakeLambda, client: LambdaClient) -> None:
    fake.fail("UpdateAlias", error="ReadTimeout")

    with pytest.raises(ReadTimeoutError):
        move(client)

    assert fake.aliases(NAME) == {"dev": "1"}


def test_something_happens_just_before_a_call(fake: FakeLambda, client: LambdaClient) -> None:
    seen: list[dict[str, str]] = []
    fake.on("UpdateAlias", lambda _: seen.append(fake.aliases(NAME)))

    move(client)

    assert seen == [{"dev": "1"}]


def test_something_happens_just_after_the_second_call(fake: FakeLambda, client: LambdaClient) -> None:
    fake.on("UpdateAlias", lambda _: fake.quietly("DeleteAlias", FunctionName=NAME, Name="dev"), when="after", on_call=2)

    move(client)
    assert fake.aliases(NAME) == {"dev": "2"}
    move(client)
    assert fake.aliases(NAME) == {}


class Died(BaseException):
    """A worker that is gone in the middle of its work."""


def test_a_worker_dies_after_the_effect_of_a_call(fake: FakeLambda, client: LambdaClient) -> None:
    def die(_: Call) -> None:
        raise Died

    fake.on("UpdateAlias", die, when="after")

    with pytest.raises(Died):
        move(client)

    assert fake.aliases(NAME) == {"dev": "2"}


def test_botocores_retries_are_calls_like_any_other(fake: FakeLambda) -> None:
    client = fake.client(Config(retries={"total_max_attempts": 2, "mode": "standard"}))
    fake.fail("UpdateAlias", error="TooManyRequestsException")

    move(client)

    assert fake.count("UpdateAlias") == 2


def test_two_snapshots_are_equal_when_everything_was_put_back(fake: FakeLambda, client: LambdaClient) -> None:
    before, before_with_revisions = fake.state(), fake.state(revisions=True)

    move(client)
    assert fake.state() != before
    move(client, "1")

    assert fake.state() == before
    assert fake.state(revisions=True) != before_with_revisions


def test_a_failed_version_and_a_failed_update_can_be_arranged(fake: FakeLambda, client: LambdaClient) -> None:
    fake.set_state(NAME, "1", "Failed", "no such image")
    fake.next_update_fails(NAME, "no such role")
    client.update_function_configuration(FunctionName=NAME, Timeout=9)

    version = client.get_function(FunctionName=NAME, Qualifier="1")["Configuration"]
    latest = client.get_function(FunctionName=NAME)["Configuration"]

    assert (version["State"], version["StateReason"]) == ("Failed", "no such image")
    assert (latest["LastUpdateStatus"], latest["LastUpdateStatusReason"]) == ("Failed", "no such role")


def test_a_version_becomes_active_when_its_time_has_come() -> None:
    clock = FakeClock()
    fake = FakeLambda(clock=clock, version_seconds=30)
    fake.create(NAME)
    client = fake.client()
    states = [client.publish_version(FunctionName=NAME)["State"]]

    for seconds in (29, 1):
        clock.advance(seconds)
        states.append(client.get_function(FunctionName=NAME, Qualifier="1")["Configuration"]["State"])

    assert states == ["Pending", "Pending", "Active"]


def test_a_function_has_as_many_aliases_as_it_may() -> None:
    fake = FakeLambda(alias_limit=1)
    fake.create(NAME, publish=True)
    fake.alias(NAME, "dev", "1")

    with pytest.raises(ClientError) as caught:
        fake.client().create_alias(FunctionName=NAME, Name="qa", FunctionVersion="1")

    assert caught.value.response["Error"]["Code"] == "AliasLimitExceededException"


def test_what_a_test_arranges_follows_the_rules_too(fake: FakeLambda) -> None:
    with pytest.raises(AwsError, match="following aliases reference it"):
        fake.quietly("DeleteFunction", FunctionName=NAME, Qualifier="1")
