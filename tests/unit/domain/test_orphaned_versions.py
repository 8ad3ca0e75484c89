"""What a sweep for a template is allowed, and what the template's own stack has to do with it."""

from __future__ import annotations

import pytest

from stagekeeper.domain.facts import StackSeen
from stagekeeper.domain.model import FunctionArn, LogicalName
from stagekeeper.domain.orphaned_versions import settings_for
from stagekeeper.domain.orphans import FunctionFacts, SweepSettings
from stagekeeper.domain.own_stack import is_rolling_back, without_own_progress

STACK = SweepSettings(keep=3, rollback_depth=5, grace_seconds=24 * 3600)


# The settings.


@pytest.mark.parametrize(
    ("keep", "leaving", "kept"),
    [(None, False, 3), (7, False, 7), (1, False, 1), (0, False, 1), (None, True, 0), (7, True, 0), (0, True, 0)],
)
def test_the_newest_unneeded_version_stays_until_the_resource_goes(keep: int | None, kept: int, *, leaving: bool) -> None:
    assert settings_for(STACK, keep, leaving=leaving).keep == kept


def test_where_the_stack_keeps_nothing_the_newest_one_stays_all_the_same() -> None:
    assert settings_for(SweepSettings(0, 5, 0), None, leaving=False).keep == 1


@pytest.mark.parametrize("leaving", [False, True])
def test_strangers_versions_count_nothing_waits_and_every_way_back_holds(*, leaving: bool) -> None:
    wanted = settings_for(STACK, 2, leaving=leaving)

    assert (wanted.strangers, wanted.grace_seconds, wanted.rollback_depth) == (True, 0, 5)


# Its own stack.


def seen(status: str, name: str = "shop", root: str = "shop") -> StackSeen:
    return StackSeen(f"arn:{name}", name, status, f"arn:{root}")


OWN = seen("UPDATE_IN_PROGRESS", "shop-orders")


def facts(*stacks: StackSeen) -> FunctionFacts:
    return FunctionFacts(LogicalName("api"), FunctionArn("arn:api"), [], {}, {}, {}, stacks)


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS"])
@pytest.mark.parametrize("name", ["shop-orders", "shop-billing", "shop"], ids=["itself", "beside it", "around it"])
def test_what_goes_on_in_its_own_tree_of_stacks_waits_for_the_answer(status: str, name: str) -> None:
    assert without_own_progress(facts(seen(status, name)), OWN).stacks == []


HOLDING = [
    seen("UPDATE_IN_PROGRESS", "warehouse", root="warehouse"),
    seen("UPDATE_FAILED"),
    seen("DELETE_FAILED"),
    seen("ROLLBACK_IN_PROGRESS"),
    seen("UPDATE_ROLLBACK_IN_PROGRESS"),
    seen("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS"),
    seen("UPDATE_ROLLBACK_FAILED"),
]


@pytest.mark.parametrize("stack", HOLDING, ids=lambda stack: f"{stack.name} {stack.status}")
def test_a_stack_of_others_and_one_that_failed_or_goes_back_holds(stack: StackSeen) -> None:
    assert without_own_progress(facts(stack), OWN).stacks == [stack]


def test_each_stack_is_judged_by_itself() -> None:
    assert without_own_progress(facts(seen("UPDATE_IN_PROGRESS"), *HOLDING), OWN).stacks == HOLDING


@pytest.mark.parametrize(
    ("status", "back"),
    [
        ("ROLLBACK_IN_PROGRESS", True),
        ("ROLLBACK_COMPLETE", True),
        ("UPDATE_ROLLBACK_IN_PROGRESS", True),
        ("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", True),
        ("UPDATE_ROLLBACK_FAILED", True),
        ("IMPORT_ROLLBACK_IN_PROGRESS", True),
        ("CREATE_IN_PROGRESS", False),
        ("UPDATE_IN_PROGRESS", False),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", False),
        ("DELETE_IN_PROGRESS", False),
        ("CREATE_FAILED", False),
    ],
)
def test_which_stacks_go_back(status: str, *, back: bool) -> None:
    assert is_rolling_back(status) is back
