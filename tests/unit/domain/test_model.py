"""The values: a version number that cannot be $LATEST, and content whose identity is what a release is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.model import Content, LogicalName, ReleaseFunction, VersionNumber, content_digest
from tests.unit.domain.builders import PLAIN, arn, part, release


@pytest.mark.parametrize("text", ["$LATEST", "", "0", "-1", "+1", " 1", "1 ", "1.0", "1_0", "live", "²", "\u0661"])
def test_only_a_positive_number_is_a_version(text: str) -> None:
    with pytest.raises(ValueError, match="is not a published version number"):
        VersionNumber.parse(text)


@pytest.mark.parametrize("number", [0, -1])
def test_a_version_number_cannot_be_made_of_less_than_one(number: int) -> None:
    with pytest.raises(ValueError, match="is not a published version number"):
        VersionNumber(number)


@given(st.integers(min_value=1))
def test_a_version_is_read_as_it_is_written(number: int) -> None:
    assert VersionNumber.parse(str(VersionNumber(number))) == VersionNumber(number)


def test_versions_are_in_the_order_of_their_numbers() -> None:
    assert sorted([VersionNumber(10), VersionNumber(9)]) == [VersionNumber(9), VersionNumber(10)]


def test_equal_content_is_the_same_release_whatever_its_number_and_order() -> None:
    assert release(1, api="A", worker="B").digest == release(7, worker="B", api="A").digest


@pytest.mark.parametrize(
    "other",
    [
        {"api": part("api", "B")},
        {"api": part("api", "A", "another configuration")},
        {"api": ReleaseFunction(arn("worker"), Content("A", PLAIN))},
        {"api-2": part("api")},
        {"api": part("api"), "worker": part("worker")},
        {},
    ],
    ids=["code", "configuration", "function", "logical name", "one more", "one less"],
)
def test_another_content_is_another_release(other: dict[LogicalName, ReleaseFunction]) -> None:
    assert content_digest(other) != release(1, api="A").digest


def test_code_and_configuration_do_not_run_into_each_other() -> None:
    assert Content("ab", "c").digest != Content("a", "bc").digest


def test_identities_are_the_same_in_every_version_of_this_program() -> None:
    """They are keys of the table: a release recorded by an older version must be found again."""
    assert Content("A", "c").digest == "ef506c3660f58dd32551ba1d72aa354fc36be6f4d18001105ab7cd778eb78eb1"
    functions = {LogicalName("api"): ReleaseFunction(arn("api"), Content("A", "c"))}
    assert content_digest(functions) == "33cd8a56082195c0a9005173517a68df8964581e2a7a161bfd797875f37b64c8"
