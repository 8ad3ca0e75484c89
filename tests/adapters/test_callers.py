"""Who calls a function without an alias: its own policy and the Region's event source mappings, all pages of them."""

from __future__ import annotations

import pytest
from botocore.config import Config

from stagekeeper.aws.callers import UnqualifiedCallers
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
def callers(fake: FakeLambda, clock: Clock) -> UnqualifiedCallers:
    return UnqualifiedCallers(fake.client(Config(retries={"total_max_attempts": 1})), clock)


def arn(name: str = NAME) -> FunctionArn:
    return FunctionArn(f"arn:aws:lambda:eu-central-1:123456789012:function:{name}")


def permit(fake: FakeLambda, sid: str, principal: str, **more: str) -> None:
    fake.quietly("AddPermission", FunctionName=NAME, StatementId=sid, Action="lambda:InvokeFunction", Principal=principal, **more)


def map_queue(fake: FakeLambda, queue: str, function: str = NAME) -> None:
    fake.quietly(
        "CreateEventSourceMapping", FunctionName=function, EventSourceArn=f"arn:aws:sqs:eu-central-1:123456789012:{queue}"
    )


def told(callers: UnqualifiedCallers) -> tuple[str, ...]:
    found = callers.of([arn()])[arn()]
    assert not isinstance(found, Unreadable)
    return found


def test_a_function_that_nobody_calls(callers: UnqualifiedCallers) -> None:
    assert callers.of([arn(), arn(OTHER)]) == {arn(): (), arn(OTHER): ()}


def test_asking_about_none_asks_nobody(callers: UnqualifiedCallers, fake: FakeLambda) -> None:
    assert (callers.of([]), fake.calls) == ({}, [])


@pytest.mark.parametrize(
    ("principal", "spelled"),
    [
        ("s3.amazonaws.com", "s3.amazonaws.com"),
        ("*", "*"),
        ("210987654321", "arn:aws:iam::210987654321:root"),
    ],
)
def test_each_permission_without_a_qualifier_is_named(
    callers: UnqualifiedCallers, fake: FakeLambda, principal: str, spelled: str
) -> None:
    permit(fake, "one", principal)

    assert told(callers) == (f"permission one ({spelled})",)


def test_a_permission_on_the_alias_is_none(callers: UnqualifiedCallers, fake: FakeLambda) -> None:
    permit(fake, "one", "s3.amazonaws.com", Qualifier="prod")

    assert told(callers) == ()


def test_an_event_source_without_a_qualifier_is_named(callers: UnqualifiedCallers, fake: FakeLambda) -> None:
    map_queue(fake, "jobs")

    (caller,) = told(callers)
    assert caller.startswith("event source mapping ")
    assert "sqs:eu-central-1:123456789012:jobs" in caller


@pytest.mark.parametrize("function", [f"{NAME}:prod", f"{NAME}:1", OTHER])
def test_an_event_source_of_an_alias_a_version_or_another_function_is_none(
    callers: UnqualifiedCallers, fake: FakeLambda, function: str
) -> None:
    map_queue(fake, "jobs", function)

    assert told(callers) == ()


def test_the_mappings_of_the_region_are_listed_once_and_over_all_pages(callers: UnqualifiedCallers, fake: FakeLambda) -> None:
    for number in range(230):
        map_queue(fake, f"q{number}", OTHER)
    map_queue(fake, "last")

    found = callers.of([arn(), arn(OTHER)])

    assert [len(names) for names in found.values() if not isinstance(names, Unreadable)] == [1, 230]
    assert fake.count("ListEventSourceMappings") == 3


def test_a_policy_that_cannot_be_read_is_unreadable_for_its_function_only(callers: UnqualifiedCallers, fake: FakeLambda) -> None:
    fake.fail("GetPolicy", error=DENIED, where=lambda params: params["FunctionName"] == arn())

    found = callers.of([arn(), arn(OTHER)])

    assert isinstance(found[arn()], Unreadable)
    assert found[arn(OTHER)] == ()


def test_mappings_that_cannot_be_listed_are_unreadable_for_all(callers: UnqualifiedCallers, fake: FakeLambda) -> None:
    fake.fail("ListEventSourceMappings", error="ReadTimeout")

    found = callers.of([arn(), arn(OTHER)])

    assert [type(one) for one in found.values()] == [Unreadable, Unreadable]


def test_the_policies_are_read_at_their_own_pace(clock: Clock) -> None:
    names = [f"f{number}" for number in range(31)]
    fake = FakeLambda(clock=clock.moments, throttle=True)
    for name in names:
        fake.create(name)
    began = clock.now()

    found = UnqualifiedCallers(fake.client(), clock).of([arn(name) for name in names])

    assert set(found.values()) == {()}
    assert clock.now() - began == pytest.approx(30 / 15)
