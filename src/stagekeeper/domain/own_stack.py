"""What the stack that asks for a sweep of orphaned versions has to do with it: its own progress is no reason to wait for it to
end, and its rollback is one to delete nothing. Must not look at any stack.
"""

from __future__ import annotations

from dataclasses import replace

from stagekeeper.domain.facts import StackSeen
from stagekeeper.domain.orphans import FunctionFacts


def is_rolling_back(status: str) -> bool:
    """Going back, or gone back: an event that is delivered late comes when the rollback is over."""
    return "ROLLBACK" in status


def without_own_progress(facts: FunctionFacts, own: StackSeen) -> FunctionFacts:
    """The facts without the stacks that only wait for the answer: those of the tree that ``own`` is nested in, while they go on.

    One that goes back, or failed, may yet need any version of its functions.
    """
    return replace(facts, stacks=[stack for stack in facts.stacks if not _waits_for_us(stack, own)])


def _waits_for_us(stack: StackSeen, own: StackSeen) -> bool:
    return stack.root_id == own.root_id and stack.status.endswith("_IN_PROGRESS") and not is_rolling_back(stack.status)
