"""The plan of an operation's stacks: which step comes next, forward and back, and what stacks are called."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.model import ServiceName, Stage, StageName
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.stack_plan import (
    StackMark,
    StackPlan,
    StackStep,
    Stand,
    StuckStack,
    When,
    next_backward,
    next_forward,
    same_stack,
    stack_slug,
    stage_stack_name,
    stuck,
)

ORDERS = ServiceName("orders")


def step(when: When, name: str = "orders") -> StackStep:
    return StackStep(name, None, when, before="old", after="new")


#: A deploy's: the service stack, the stage's, and what the service stack lets go of.
PLAN = StackPlan((step(When.FIRST), step(When.BEFORE_MOVE, "orders--prod"), step(When.CLEAN_UP)))
B, R, P, D, S = Stand.BEGUN, Stand.REACHED, Stand.PUTTING_BACK, Stand.PUT_BACK, Stand.STUCK


def marks(stands: Mapping[int, Stand]) -> dict[int, StackMark]:
    return {number: StackMark(stand, why="it is busy" if stand is Stand.STUCK else None) for number, stand in stands.items()}


@pytest.mark.parametrize(
    ("stands", "when", "number"),
    [
        ({}, When.FIRST, 0),
        ({0: B}, When.FIRST, 0),
        ({0: R}, When.FIRST, None),
        ({0: S}, When.FIRST, None),
        ({0: R}, When.BEFORE_MOVE, 1),
        ({0: R, 1: R}, When.BEFORE_MOVE, None),
        ({}, When.AFTER_COMMIT, None),
        ({0: R, 1: R}, When.CLEAN_UP, 2),
    ],
)
def test_forward_goes_the_first_of_its_place_that_is_not_done(
    stands: Mapping[int, Stand], when: When, number: int | None
) -> None:
    found = next_forward(PLAN, marks(stands), when)

    assert (None if found is None else found[0]) == number


@pytest.mark.parametrize(
    ("stands", "number"),
    [
        ({}, None),
        ({0: B}, 0),
        ({0: R, 1: B}, 1),
        ({0: R, 1: P}, 1),
        ({0: R, 1: D}, 0),
        # What is stuck stays so, and keeps nothing else from going back.
        ({0: R, 1: S}, 0),
        ({0: D, 1: D}, None),
        ({0: S, 1: S}, None),
    ],
)
def test_backward_goes_the_last_that_was_begun_and_is_not_put_back(stands: Mapping[int, Stand], number: int | None) -> None:
    found = next_backward(PLAN, marks(stands))

    assert (None if found is None else found[0]) == number


def test_what_is_stuck_is_told_stack_by_stack() -> None:
    assert stuck(PLAN, marks({0: R, 1: S})) == [StuckStack("orders--prod", "it is busy")]


@pytest.mark.parametrize(("before", "unknown", "anew"), [(None, False, True), (None, True, False), ("old", False, False)])
def test_only_a_stack_that_was_not_there_is_made_anew(before: str | None, unknown: bool, anew: bool) -> None:
    """One that is there without being on record is not: whoever took it for new would delete it when something fails."""
    assert StackStep("orders", None, When.FIRST, before, "new", unknown_before=unknown).is_made_anew is anew


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("prod", "orders--prod"),
        ("Prod", "orders--prod"),
        ("feature_x", "orders--feature-x"),
        ("Jane-2", "orders--jane-2"),
        ("_x_", "orders--x"),
    ],
)
def test_a_stages_stack_is_called_after_both(stage: str, name: str) -> None:
    assert stage_stack_name(ORDERS, StageName(stage)) == name


@given(
    st.from_regex("[a-z](-?[a-z0-9]){0,31}", fullmatch=True),
    st.from_regex("(?![0-9]+$)[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True),
)
def test_a_name_is_one_that_cloudformation_takes(service: str, stage: str) -> None:
    name = stage_stack_name(ServiceName(service), StageName(stage))

    assert len(name) <= 128
    assert name[0].isalpha()
    assert all(letter.isalnum() or letter == "-" for letter in name)
    assert not name.endswith("-")


def test_names_that_are_too_long_differ_in_their_ends() -> None:
    service = ServiceName("s" * 63)
    names = {stage_stack_name(service, StageName("x" * 63 + end)) for end in ("a", "b")}

    assert {len(name) for name in names} == {128}
    assert len(names) == 2


def test_a_slug_is_fit_for_bucket_names() -> None:
    assert stack_slug(StageName("Feature_X")) == "feature-x"


@pytest.mark.parametrize(("stage", "refused"), [("prod", False), ("Prod", True), ("PROD", True), ("prod2", False), ("qa", False)])
def test_a_second_stage_of_the_same_stack_is_refused(stage: str, refused: bool) -> None:
    found = same_stack(ORDERS, StageName(stage), [Stage(StageName("prod"), None, (), {})])

    assert (found is not None) is refused
    if found is not None:
        assert (found.code, found.blockers) == (Code.INVALID_REQUEST, ("prod",))
