"""Looks at the stack that asks for a sweep, and at those that it is nested in, for one question: does any of them go back?

Asked before anything else, so it needs as little as possible of the rest to be there.
"""

from __future__ import annotations

from dataclasses import dataclass

from stagekeeper.aws.stacks import Stacks
from stagekeeper.domain.facts import Absent, StackSeen, Unreadable
from stagekeeper.domain.own_stack import is_rolling_back

#: No tree of stacks is deeper; one that seems to be is not understood.
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class RollingBack:
    """Nothing may be deleted; ``why`` in words."""

    why: str


def look_at_own(stacks: Stacks, stack_id: str) -> StackSeen | RollingBack:
    """The stack, or why it counts as one that goes back: so it does if it, or one around it, cannot be read.

    While a stack goes back, those nested in it are deleted, and show no more than that.
    """
    own: StackSeen | None = None
    seen = stacks.look(stack_id)
    for _ in range(_DEEPEST):
        if isinstance(seen, Unreadable):
            return RollingBack(f"{seen.what} could not be read ({seen.why}), so it may be rolling back")
        if isinstance(seen, Absent):
            return RollingBack(f"stack {stack_id}, or one around it, is not there")
        if is_rolling_back(seen.status):
            return RollingBack(f"stack {seen.name} is {seen.status}")
        own = own or seen
        if seen.parent_id is None:
            return own
        seen = stacks.look(seen.parent_id)
    return RollingBack(f"stack {stack_id} is nested deeper than can be")
