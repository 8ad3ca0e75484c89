"""Lambda's control plane, acting: one call each, paced, repeated only where nothing happened, errors that say what they mean."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stagekeeper.aws.errors import AlreadyThere, CallFailed, NotThere, PreconditionFailed, Unanswered
from stagekeeper.aws.lambda_api import THROTTLE_ATTEMPTS, Guard, LambdaApi, LambdaClients
from stagekeeper.domain.facts import Artifact, Image, VersionSeen
from stagekeeper.domain.model import FunctionArn, VersionNumber
from stagekeeper.domain.operation import MANDATE_INTERVAL, Phase, seconds_until_calls_ended
from tests.fake import FakeLambda

from .clock import Clock
from .conftest import patience
from .lambda_account import ARN, GONE, NAME, ONE, TWO, anyone, api_of, latest, revision, sha

# Actions on aliases.


def test_moving_an_alias_gives_its_new_revision(api: LambdaApi, fake: FakeLambda) -> None:
    answered = api.update_alias(ARN, "dev", TWO, revision(fake), anyone)

    assert fake.aliases(NAME) == {"dev": "2"}
    assert answered == revision(fake)


def test_moving_an_alias_takes_all_weights_away(api: LambdaApi, fake: FakeLambda) -> None:
    fake.alias(NAME, "dev", "1", {"2": 0.5})

    api.update_alias(ARN, "dev", TWO, revision(fake), anyone)

    assert fake.state()[NAME]["aliases"]["dev"] == ("2", {})


def test_making_an_alias_gives_its_revision(api: LambdaApi, fake: FakeLambda) -> None:
    answered = api.create_alias(ARN, "qa", TWO, anyone)

    assert fake.aliases(NAME) == {"dev": "1", "qa": "2"}
    assert answered == revision(fake, "qa")


@pytest.mark.parametrize(("arn", "name"), [(ARN, "dev"), (ARN, "none"), (GONE, "dev")], ids=["there", "not there", "no function"])
def test_deleting_an_alias_that_is_there_or_not_is_success(api: LambdaApi, fake: FakeLambda, arn: FunctionArn, name: str) -> None:
    api.delete_alias(arn, name, anyone)

    assert name not in fake.aliases(NAME) or arn == GONE


def test_deleting_an_alias_that_fails_otherwise_is_no_success(api: LambdaApi, fake: FakeLambda) -> None:
    fake.fail("DeleteAlias", error="AccessDeniedException")

    with pytest.raises(CallFailed):
        api.delete_alias(ARN, "dev", anyone)


# Publishing.


def artifact(version: str | None = None) -> Artifact:
    return Artifact("bucket", "key.zip", version, "not looked at here")


def test_code_is_updated_and_published_in_one_call(api: LambdaApi, fake: FakeLambda) -> None:
    made = api.update_code_and_publish(ARN, artifact("v7"), ["arm64"], latest(api).revision_id, anyone)

    assert (made.version, made.content.code) == (VersionNumber(3), sha(b"bucket/key.zip/v7"))
    assert fake.state()[NAME]["versions"][3]["Architectures"] == ["arm64"]
    assert fake.shared_calls() == 1


IMAGE = Image(f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/orders@sha256:{'b' * 64}", "b" * 64)


def test_an_image_is_published_by_its_digest_which_is_its_identity(clock: Clock) -> None:
    fake = FakeLambda(clock=clock.moments)
    fake.create(NAME, image=IMAGE.uri.replace("b" * 64, "a" * 64))
    api = api_of(fake, clock)
    assert latest(api).code == "a" * 64

    made = api.update_code_and_publish(ARN, IMAGE, ["arm64"], latest(api).revision_id, anyone)

    assert (made.version, made.content.code) == (ONE, "b" * 64)
    (sent,) = [call.params for call in fake.calls if call.operation == "UpdateFunctionCode"]
    assert (sent["ImageUri"], sent["Architectures"], sent["Publish"]) == (IMAGE.uri, ["arm64"], True)
    assert "S3Bucket" not in sent


def test_publishing_gives_the_content_that_was_really_frozen(api: LambdaApi, fake: FakeLambda) -> None:
    fake.update(NAME, b"three", Timeout=9)
    seen = latest(api)

    made = api.publish_version(ARN, seen.code, seen.revision_id, anyone)

    assert (made.version, made.content) == (VersionNumber(3), seen.content)


def test_publishing_what_is_published_gives_the_version_there_is(api: LambdaApi) -> None:
    seen = latest(api)

    assert api.publish_version(ARN, seen.code, seen.revision_id, anyone).version == TWO


def test_a_configuration_update_changes_what_it_names_and_keeps_the_rest(api: LambdaApi, fake: FakeLambda) -> None:
    fake.update(NAME, Timeout=9)

    api.update_configuration(ARN, {"MemorySize": 512}, latest(api).revision_id, anyone)

    settings = fake.state()[NAME]["latest"]
    assert (settings["MemorySize"], settings["Timeout"]) == (512, 9)


# What errors mean.

Act = Callable[[LambdaApi, FunctionArn, str, Guard], object]
ACTIONS: dict[str, Act] = {
    "UpdateAlias": lambda api, arn, rev, guard: api.update_alias(arn, "dev", TWO, rev, guard),
    "CreateAlias": lambda api, arn, _, guard: api.create_alias(arn, "qa", TWO, guard),
    "DeleteAlias": lambda api, arn, _, guard: api.delete_alias(arn, "dev", guard),
    "UpdateFunctionConfiguration": lambda api, arn, rev, guard: api.update_configuration(arn, {"MemorySize": 512}, rev, guard),
    "UpdateFunctionCode": lambda api, arn, rev, guard: api.update_code_and_publish(arn, artifact(), ["x86_64"], rev, guard),
    "PublishVersion": lambda api, arn, rev, guard: api.publish_version(arn, sha(b"two"), rev, guard),
}
EACH_ACTION = pytest.mark.parametrize("action", ACTIONS)


def revision_for(action: str, fake: FakeLambda) -> str:
    revisions = fake.state(revisions=True)[NAME]["revisions"]
    return str(revisions["dev" if action == "UpdateAlias" else "latest"])


@pytest.mark.parametrize("action", sorted(ACTIONS.keys() - {"CreateAlias", "DeleteAlias"}))
def test_another_revision_is_a_failed_precondition_and_changes_nothing(api: LambdaApi, fake: FakeLambda, action: str) -> None:
    before = fake.state(revisions=True)

    with pytest.raises(PreconditionFailed):
        ACTIONS[action](api, ARN, "00000000-0000-4000-8000-000000000000", anyone)

    assert fake.state(revisions=True) == before


@pytest.mark.parametrize("action", ["UpdateFunctionConfiguration", "UpdateFunctionCode", "PublishVersion"])
def test_an_update_under_way_is_a_conflict(api: LambdaApi, fake: FakeLambda, action: str) -> None:
    fake.set_update(NAME, "InProgress")

    with pytest.raises(AlreadyThere):
        ACTIONS[action](api, ARN, revision_for(action, fake), anyone)


def test_an_alias_that_is_there_already_is_a_conflict(api: LambdaApi) -> None:
    with pytest.raises(AlreadyThere):
        api.create_alias(ARN, "dev", TWO, anyone)


@pytest.mark.parametrize("action", sorted(ACTIONS.keys() - {"DeleteAlias"}))
def test_a_missing_function_is_not_there(api: LambdaApi, fake: FakeLambda, action: str) -> None:
    with pytest.raises(NotThere):
        ACTIONS[action](api, GONE, revision_for(action, fake), anyone)


def test_other_code_than_expected_is_not_published(api: LambdaApi) -> None:
    with pytest.raises(CallFailed, match="CodeSHA256"):
        api.publish_version(ARN, sha(b"other"), latest(api).revision_id, anyone)


@EACH_ACTION
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("AccessDeniedException", CallFailed),
        ("InvalidParameterValueException", CallFailed),
        ("ConnectTimeout", CallFailed),
        ("EndpointConnectionError", CallFailed),
        ("ServiceException", Unanswered),
        ("ReadTimeout", Unanswered),
    ],
)
def test_only_what_may_have_happened_is_unanswered(
    api: LambdaApi, fake: FakeLambda, action: str, error: str, kind: type[CallFailed]
) -> None:
    fake.fail(action, error=error)

    with pytest.raises(CallFailed, match=NAME) as failed:
        ACTIONS[action](api, ARN, revision_for(action, fake), anyone)

    assert type(failed.value) is kind
    assert fake.count(action) == 1  # nothing is repeated behind our back


# Throttles.


@EACH_ACTION
def test_a_throttle_is_an_answer_and_the_call_is_repeated_more_slowly(
    api: LambdaApi, fake: FakeLambda, clock: Clock, action: str
) -> None:
    fake.fail(action, error="TooManyRequestsException", times=3)
    began = clock.now()

    ACTIONS[action](api, ARN, revision_for(action, fake), anyone)

    assert fake.count(action) == 4
    assert clock.now() - began == pytest.approx(1 / 7.5 + 1 / 3.75 + 1 / 1.875)


def test_throttles_without_end_end_in_a_failed_call(api: LambdaApi, fake: FakeLambda) -> None:
    fake.fail("UpdateAlias", error="TooManyRequestsException", times=None)

    with pytest.raises(CallFailed, match="TooManyRequestsException"):
        api.update_alias(ARN, "dev", TWO, revision(fake), anyone)

    assert fake.count("UpdateAlias") == THROTTLE_ATTEMPTS


def test_calls_on_the_shared_budget_share_one_pace_and_are_never_throttled(clock: Clock) -> None:
    fake = FakeLambda(clock=clock.moments, throttle=True)
    fake.create(NAME, publish=True)
    api = api_of(fake, clock)
    began = clock.now()

    for number in range(30):
        api.create_alias(ARN, f"s{number}", ONE, anyone)
        api.alias(ARN, f"s{number}")

    assert len(fake.calls) == 60
    assert clock.now() - began == pytest.approx(59 / 15)


def test_get_function_is_asked_faster_but_within_its_own_budget(clock: Clock) -> None:
    fake = FakeLambda(clock=clock.moments, throttle=True)
    fake.create(NAME, publish=True)
    api = api_of(fake, clock)
    began = clock.now()

    found = [api.version(ARN, ONE) for _ in range(300)]

    assert set(found) == {VersionSeen(ONE, "Active")}
    assert clock.now() - began < 300 / 80


# The mandate.


class Lost(Exception):
    """The worker may not act any more."""


@EACH_ACTION
def test_a_worker_that_has_lost_its_mandate_sends_nothing(api: LambdaApi, fake: FakeLambda, action: str) -> None:
    def lost() -> None:
        raise Lost

    with pytest.raises(Lost):
        ACTIONS[action](api, ARN, revision_for(action, fake), lost)

    assert fake.count(action) == 0


@EACH_ACTION
def test_the_mandate_is_asked_for_again_after_each_throttle(api: LambdaApi, fake: FakeLambda, action: str) -> None:
    fake.fail(action, error="TooManyRequestsException", times=None)
    asked: list[int] = []

    def until_the_third_time() -> None:
        asked.append(fake.count(action))
        if len(asked) == 3:
            raise Lost

    with pytest.raises(Lost):
        ACTIONS[action](api, ARN, revision_for(action, fake), until_the_third_time)

    assert asked == [0, 1, 2]  # each time right before the call, however long its turn took to come


# Environments.


@pytest.mark.parametrize("value", ["plain-secret", 'a "quoted" secret', "two\nlines", "ž", "\t"])
def test_an_error_of_aws_that_repeats_an_environment_is_not_passed_on(api: LambdaApi, value: str) -> None:
    too_long = {"Environment": {"Variables": {"KEY": value, "X" * 4096: ""}}}

    with pytest.raises(CallFailed, match="withheld") as failed:
        api.update_configuration(ARN, too_long, latest(api).revision_id, anyone)

    assert "InvalidParameterValueException" in failed.value.why
    assert "String measured" not in str(failed.value)


@pytest.mark.parametrize("variables", [{"AWS_REGION": "nowhere-9", "KEY": "no word of it"}, {"AWS_REGION": ""}])
def test_an_error_that_holds_no_value_is_passed_on(api: LambdaApi, variables: dict[str, str]) -> None:
    with pytest.raises(CallFailed, match="reserved keys"):
        api.update_configuration(ARN, {"Environment": {"Variables": variables}}, latest(api).revision_id, anyone)


def test_a_withheld_error_keeps_its_kind(api: LambdaApi) -> None:
    """The value happens to be part of AWS's sentence."""
    with pytest.raises(PreconditionFailed, match="withheld"):
        api.update_configuration(ARN, {"Environment": {"Variables": {"KEY": "Revision"}}}, "another", anyone)


# The clients.


@pytest.mark.usefixtures("environment")
def test_no_call_that_changes_something_is_repeated_by_the_sdk() -> None:
    clients = LambdaClients.default()

    assert [patience(client)[2]["total_max_attempts"] for client in (clients.alias, clients.publish)] == [1, 1]


@pytest.mark.usefixtures("environment")
def test_no_call_that_changes_something_is_under_way_longer_than_compensation_waits() -> None:
    clients = LambdaClients.default()

    for client, phase in ((clients.alias, Phase.MOVE), (clients.alias, Phase.CLEAN_UP), (clients.publish, Phase.PUBLISH)):
        connect, read, _ = patience(client)
        assert connect + read + MANDATE_INTERVAL <= seconds_until_calls_ended(phase)


@pytest.mark.usefixtures("environment")
def test_reads_are_repeated_by_the_sdk() -> None:
    assert patience(LambdaClients.default().read)[2] == {"mode": "standard", "total_max_attempts": 6}
