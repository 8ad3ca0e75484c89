"""Who calls a function, or one version or alias of it: policies and the Region's event source mappings, all pages of them."""

from __future__ import annotations

import pytest
from botocore.config import Config

from stagekeeper.aws.callers import Callers
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.model import FunctionArn
from tests.fake import FakeLambda

from .clock import Clock

NAME, OTHER = "orders-api", "orders-other"
DENIED = "AccessDeniedException"


@pytest.fixture
def fake(clock: Clock) -> FakeLambda:
    fake = FakeLambda(clock=clock.moments)
    for name in (NAME, OTHER):
        fake.create(name, publish=True)
        fake.alias(name, "prod", "1")
    return fake


@pytest.fixture
def callers(fake: FakeLambda, clock: Clock) -> Callers:
    return Callers(fake.client(Config(retries={"total_max_attempts": 1})), clock)


def arn(name: str = NAME) -> FunctionArn:
    return FunctionArn(f"arn:aws:lambda:eu-central-1:123456789012:function:{name}")


def permit(fake: FakeLambda, sid: str, principal: str, **more: str) -> None:
    fake.quietly("AddPermission", FunctionName=NAME, StatementId=sid, Action="lambda:InvokeFunction", Principal=principal, **more)


def map_queue(fake: FakeLambda, queue: str, function: str = NAME) -> None:
    fake.quietly(
        "CreateEventSourceMapping", FunctionName=function, EventSourceArn=f"arn:aws:sqs:eu-central-1:123456789012:{queue}"
    )


def told(callers: Callers) -> tuple[str, ...]:
    found = callers.unqualified([arn()])[arn()]
    assert not isinstance(found, Unreadable)
    return found


def test_a_function_that_nobody_calls(callers: Callers) -> None:
    assert callers.unqualified([arn(), arn(OTHER)]) == {arn(): (), arn(OTHER): ()}


def test_asking_about_none_asks_nobody(callers: Callers, fake: FakeLambda) -> None:
    assert (callers.unqualified([]), fake.calls) == ({}, [])


@pytest.mark.parametrize(
    ("principal", "spelled"),
    [
        ("s3.amazonaws.com", "s3.amazonaws.com"),
        ("*", "*"),
        ("210987654321", "arn:aws:iam::210987654321:root"),
    ],
)
def test_each_permission_without_a_qualifier_is_named(callers: Callers, fake: FakeLambda, principal: str, spelled: str) -> None:
    permit(fake, "one", principal)

    assert told(callers) == (f"permission one ({spelled})",)


def test_a_permission_on_the_alias_is_none(callers: Callers, fake: FakeLambda) -> None:
    permit(fake, "one", "s3.amazonaws.com", Qualifier="prod")

    assert told(callers) == ()


def test_an_event_source_without_a_qualifier_is_named(callers: Callers, fake: FakeLambda) -> None:
    map_queue(fake, "jobs")

    (caller,) = told(callers)
    assert caller.startswith("event source mapping ")
    assert "sqs:eu-central-1:123456789012:jobs" in caller


@pytest.mark.parametrize("function", [f"{NAME}:prod", f"{NAME}:1", OTHER])
def test_an_event_source_of_an_alias_a_version_or_another_function_is_none(
    callers: Callers, fake: FakeLambda, function: str
) -> None:
    map_queue(fake, "jobs", function)

    assert told(callers) == ()


def test_the_mappings_of_the_region_are_listed_once_and_over_all_pages(callers: Callers, fake: FakeLambda) -> None:
    for number in range(230):
        map_queue(fake, f"q{number}", OTHER)
    map_queue(fake, "last")

    found = callers.unqualified([arn(), arn(OTHER)])

    assert [len(names) for names in found.values() if not isinstance(names, Unreadable)] == [1, 230]
    assert fake.count("ListEventSourceMappings") == 3


@pytest.mark.parametrize("qualifier", ["prod", "1"])
def test_whom_the_policy_of_an_alias_or_a_version_lets_in(callers: Callers, fake: FakeLambda, qualifier: str) -> None:
    permit(fake, "all", "sns.amazonaws.com")
    permit(fake, "one", "s3.amazonaws.com", Qualifier=qualifier)
    permit(fake, "two", "events.amazonaws.com", Qualifier=qualifier)

    assert callers.permitted(arn(), qualifier) == (
        "permission one (s3.amazonaws.com)",
        "permission two (events.amazonaws.com)",
    )
    assert callers.permitted(arn()) == ("permission all (sns.amazonaws.com)",)


def test_no_policy_and_no_such_alias_or_function_let_nobody_in(callers: Callers) -> None:
    asked = [(arn(), "prod"), (arn(), "none"), (arn(), "99"), (arn("gone"), "prod")]

    assert [callers.permitted(name, qualifier) for name, qualifier in asked] == [()] * 4


@pytest.mark.parametrize("error", [DENIED, "ServiceException", "TooManyRequestsException", "ReadTimeout"])
def test_a_policy_of_a_version_that_cannot_be_read_is_not_an_empty_one(callers: Callers, fake: FakeLambda, error: str) -> None:
    fake.fail("GetPolicy", error=error)

    found = callers.permitted(arn(), "1")

    assert isinstance(found, Unreadable)
    assert found.what == f"the policy of {arn()}:1"


def test_every_mapping_of_the_region_is_told_under_what_it_calls(callers: Callers, fake: FakeLambda) -> None:
    """Also one whose function is gone: it still holds its place."""
    for queue, function in (("a", NAME), ("b", f"{NAME}:prod"), ("c", f"{NAME}:1"), ("d", f"{NAME}:1"), ("e", OTHER)):
        map_queue(fake, queue, function)
    fake.quietly("DeleteFunction", FunctionName=OTHER)

    found = callers.mappings()

    assert not isinstance(found, Unreadable)
    queues = {name: [one.rpartition(":")[2] for one in mappings] for name, mappings in found.items()}
    assert queues == {arn(): ["a)"], f"{arn()}:prod": ["b)"], f"{arn()}:1": ["c)", "d)"], arn(OTHER): ["e)"]}


def test_a_mapping_that_is_switched_off_counts(callers: Callers, fake: FakeLambda) -> None:
    """It may be switched on again."""
    source = "arn:aws:sqs:eu-central-1:123456789012:jobs"
    fake.quietly("CreateEventSourceMapping", FunctionName=f"{NAME}:1", EventSourceArn=source, Enabled=False)

    found = callers.mappings()

    assert not isinstance(found, Unreadable)
    assert list(found) == [f"{arn()}:1"]


def test_a_policy_that_cannot_be_read_is_unreadable_for_its_function_only(callers: Callers, fake: FakeLambda) -> None:
    fake.fail("GetPolicy", error=DENIED, where=lambda params: params["FunctionName"] == arn())

    found = callers.unqualified([arn(), arn(OTHER)])

    assert isinstance(found[arn()], Unreadable)
    assert found[arn(OTHER)] == ()


def test_mappings_that_cannot_be_listed_are_unreadable_for_all(callers: Callers, fake: FakeLambda) -> None:
    fake.fail("ListEventSourceMappings", error="ReadTimeout")

    found = callers.unqualified([arn(), arn(OTHER)])

    assert [type(one) for one in found.values()] == [Unreadable, Unreadable]


def test_the_policies_are_read_at_their_own_pace(clock: Clock) -> None:
    names = [f"f{number}" for number in range(31)]
    fake = FakeLambda(clock=clock.moments, throttle=True)
    for name in names:
        fake.create(name)
    began = clock.now()

    found = Callers(fake.client(), clock).unqualified([arn(name) for name in names])

    assert set(found.values()) == {()}
    assert clock.now() - began == pytest.approx(30 / 15)
