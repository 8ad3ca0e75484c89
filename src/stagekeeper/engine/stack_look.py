"""One look at a stack before anything is decided about it: whose it is, what we made of it last, whether it is still that."""

from __future__ import annotations

from dataclasses import dataclass

from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.refusal import Refusal, not_readable
from stagekeeper.domain.stack_work import (
    Gone,
    Owner,
    Stack,
    StackNow,
    StackProgress,
    StackRecord,
    Stuck,
    WantedStack,
    is_settled,
    next_step,
    tokens_of,
)
from stagekeeper.engine.deps import Deps

#: A stack that never came to be, or is only partly there: nothing to go back to.
_NEVER_WAS = ("REVIEW_IN_PROGRESS", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED")


@dataclass(frozen=True, slots=True)
class Found:
    """A stack as it is. ``before`` is the key of what we made of it, None where there is nothing to go back to; ``unknown``: it
    is there, but what we made of it is not on record."""

    before: str | None = None
    unknown: bool = False
    now: Stack | None = None
    seen: StackRecord | None = None

    def is_settled(self, wanted: WantedStack) -> bool:
        return self.now is not None and is_settled(self.seen, wanted.digest, self.now)


def look_at_stack(deps: Deps, operation_id: OperationId, name: str, owner: Owner) -> Found | Refusal:
    """One DescribeStacks. Refused if the stack is not ours, or cannot be read. Raises CallFailed and MalformedItem."""
    now = deps.stack_changes.describe(name)
    if isinstance(now, Unreadable):
        return not_readable(now.what, now.why)
    if isinstance(now, Absent):
        return Found()
    if now.status != "REVIEW_IN_PROGRESS":
        wanted = Gone(name, owner)
        foreign = next_step(wanted, StackNow(now), tokens_of(operation_id, wanted), StackProgress())
        if isinstance(foreign, Stuck) and foreign.code is not None:
            return Refusal(foreign.code, foreign.message, foreign.blockers)
    applied = deps.store.stack(owner.service, name)
    if now.status in _NEVER_WAS:
        return Found()
    if applied is None or applied.seen.stack_id == "":
        return Found(unknown=True)
    return Found(applied.content, now=now, seen=applied.seen)
