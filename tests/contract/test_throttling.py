"""Lambda's request quotas: 15 a second for all control-plane calls together, but for two with budgets of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from stagekeeper.embedded import instance as embedded_aws
from tests.fake import FakeClock, FakeLambda

from .conftest import ACCOUNT, REGION, ROOT, embedded_client, make_roles
from .support import FAKE, PLAIN, refused, source, unique, zip_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

QUOTAS = source("AWS Lambda quotas, Lambda API requests: GetFunction 100/s, GetPolicy 15/s, all others together 15/s")


@dataclass
class Throttled:
    """A double with AWS's quotas on, and one function on it."""

    client: LambdaClient
    function: str
    wait: Callable[[float], None]

    def outcomes(self, operation: str, times: int, **members: Any) -> list[str]:
        """Make a call many times at once; the error code of each, or "" where it was admitted."""

        def once(_: int) -> str:
            try:
                getattr(self.client, operation)(FunctionName=self.function, **members)
            except ClientError as error:
                return str(error.response["Error"]["Code"])
            return ""

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(once, range(times)))


@pytest.fixture(scope="module")
def throttled_aws() -> Iterator[embedded_aws.Instance]:
    """An embedded AWS of its own: quotas are off on the one the other cases share."""
    instance = embedded_aws.start(None, ROOT, throttle=True)
    try:
        make_roles(embedded_client(instance, "iam"))
        yield instance
    finally:
        embedded_aws.stop(instance)


@pytest.fixture
def throttled(double_name: str, request: pytest.FixtureRequest) -> Throttled:
    name = unique()
    if double_name == FAKE:
        clock = FakeClock()
        fake = FakeLambda(REGION, ACCOUNT, clock, throttle=True)
        fake.create(name)
        return Throttled(fake.client(PLAIN), name, clock.sleep)
    instance = request.getfixturevalue("throttled_aws")
    client = embedded_client(instance, "lambda")
    # Other cases of this module have used up the second's budget.
    time.sleep(1.1)
    client.create_function(
        FunctionName=name,
        Role=f"arn:aws:iam::{instance.account}:role/contract",
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": zip_of("one")},
    )
    client.get_waiter("function_active_v2").wait(FunctionName=name)
    time.sleep(1.1)
    return Throttled(client, name, time.sleep)


@QUOTAS
def test_all_other_calls_share_15_a_second(throttled: Throttled) -> None:
    first = throttled.outcomes("list_aliases", 10)
    second = throttled.outcomes("list_versions_by_function", 30)

    assert first == [""] * 10
    assert "TooManyRequestsException" in second


@QUOTAS
def test_a_throttled_call_is_a_429(throttled: Throttled) -> None:
    throttled.outcomes("list_aliases", 40)

    with refused("TooManyRequestsException", 429) as refusal:
        for _ in range(20):
            throttled.client.list_aliases(FunctionName=throttled.function)

    assert refusal.message == "Rate exceeded"


@QUOTAS
def test_the_budget_refills_with_time(throttled: Throttled) -> None:
    throttled.outcomes("list_aliases", 40)

    throttled.wait(1.1)

    assert throttled.outcomes("list_aliases", 10) == [""] * 10


@QUOTAS
def test_get_function_has_a_budget_of_its_own(throttled: Throttled) -> None:
    throttled.outcomes("list_aliases", 40)

    assert throttled.outcomes("get_function", 60) == [""] * 60


@QUOTAS
def test_get_policy_has_a_budget_of_its_own(throttled: Throttled) -> None:
    throttled.outcomes("list_aliases", 40)

    assert set(throttled.outcomes("get_policy", 10)) == {"ResourceNotFoundException"}
