"""Which configurations are read from AWS for a comparison, and what is said where one cannot be."""

from __future__ import annotations

import pytest
from botocore.config import Config

from stagekeeper.aws.clock import SystemClock
from stagekeeper.aws.lambda_api import LambdaApi, LambdaClients
from stagekeeper.cli.configurations import Differences, read
from stagekeeper.domain.comparison import ConfigurationDifference, Member, Part, Side, Variables, compare
from stagekeeper.domain.model import LogicalName, VersionNumber
from tests.fake import FakeClock, FakeLambda

from .books import Books, arn, content

NAME = "orders-api"
ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})


@pytest.fixture
def fake() -> FakeLambda:
    """Version 1 of the function has a table and three seconds, version 2 ten seconds and another table."""
    fake = FakeLambda(clock=FakeClock())
    fake.create(NAME, b"one", publish=True, Timeout=3, Environment={"Variables": {"TABLE": "s3cret-one"}})
    fake.update(NAME, Timeout=10, Environment={"Variables": {"TABLE": "s3cret-two"}})
    fake.publish(NAME, b"one")
    return fake


def part(text: str, version: int | None, name: str = "Api") -> Part:
    return Part(LogicalName(name), arn(name), content(text), None if version is None else VersionNumber(version))


def told(books: Books, fake: FakeLambda, *pairs: tuple[Part | None, Part | None]) -> Differences:
    a, b = ([part for part in side if part is not None] for side in zip(*pairs, strict=True))
    client = fake.client(ONCE)
    api = LambdaApi(LambdaClients(client, client, client), SystemClock())
    return read(books.store, api, compare(Side(a), Side(b)))


def asked(fake: FakeLambda) -> list[tuple[str, str]]:
    """The calls, and of which version."""
    return [(call.operation, str(call.params["Qualifier"])) for call in fake.calls]


DIFFERENCE = ConfigurationDifference([Member("Timeout", "3", "10")], Variables([], [], ["TABLE"]))


def test_both_versions_are_read_and_what_differs_is_told(books: Books, fake: FakeLambda) -> None:
    assert told(books, fake, (part("x/small", 1), part("x/big", 2))) == {arn("Api"): DIFFERENCE}
    assert sorted(asked(fake)) == [("GetFunction", "1"), ("GetFunction", "2")]
    assert fake.shared_calls() == 0


def test_no_value_of_a_variable_is_told(books: Books, fake: FakeLambda) -> None:
    assert "s3cret" not in repr(told(books, fake, (part("x/small", 1), part("x/big", 2))))


@pytest.mark.parametrize(
    "pair",
    [
        (part("x", 1), part("x", 1)),
        (part("x", 1), part("y", 2)),
        (part("x", 1), None),
        (None, part("x", 1)),
    ],
    ids=["the same", "only code", "only here", "only there"],
)
def test_where_configurations_are_not_known_to_differ_nothing_is_asked(
    books: Books, fake: FakeLambda, pair: tuple[Part | None, Part | None]
) -> None:
    assert told(books, fake, pair) == {}
    assert asked(fake) == []


def test_of_a_release_the_version_is_read_that_carries_it(books: Books, fake: FakeLambda) -> None:
    books.version("Api", 1, "x/small")

    assert told(books, fake, (part("x/small", None), part("y/big", 2))) == {arn("Api"): DIFFERENCE}


def test_what_was_swept_is_not_known_any_more(books: Books, fake: FakeLambda) -> None:
    found = told(books, fake, (part("x/small", None), part("x/big", 2)))

    assert found == {arn("Api"): "the version that carried it was swept"}


def test_a_version_that_is_gone_on_aws_is_told(books: Books, fake: FakeLambda) -> None:
    assert told(books, fake, (part("x/small", 1), part("x/big", 9))) == {arn("Api"): "version 9 is not there any more"}


def test_what_may_not_be_read_is_told_in_awss_words_and_the_others_are_still_told(books: Books, fake: FakeLambda) -> None:
    fake.create("orders-worker", b"one", publish=True)
    fake.fail("GetFunction", error="AccessDeniedException", times=None, where=lambda params: "worker" in params["FunctionName"])

    found = told(books, fake, (part("x/small", 1), part("x/big", 2)), (part("x", 1, "Worker"), part("x/big", 2, "Worker")))

    assert found[arn("Api")] == DIFFERENCE
    assert "could not be read: AccessDeniedException" in str(found[arn("Worker")])
