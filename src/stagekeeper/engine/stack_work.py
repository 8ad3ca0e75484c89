"""Brings one stack to what is wanted: looks, decides, does one thing, looks again; lets go when there is nothing to do but wait.

Everything may be delivered twice, and gone on with by another worker after any line: what was begun is seen again by its names.
Must not know what the stack is for, nor what becomes of the operation if it gets stuck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import AlreadyThere, CallFailed, NotThere, PreconditionFailed, Throttled, Unanswered
from stagekeeper.aws.stack_changes import StackChanges
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.stack_work import (
    Act,
    ContinueUpdateRollback,
    CreateChangeSet,
    DeleteChangeSet,
    DeleteStack,
    ExecuteChangeSet,
    Left,
    Reached,
    ResourceChange,
    ResourceFailure,
    Stack,
    StackNow,
    StackProgress,
    Stuck,
    Tokens,
    Wait,
    Wanted,
    WantedStack,
    next_step,
    reads_history,
    tokens_of,
)

#: Says whether the changes may be made, right before they are.
Judge = Callable[[Sequence[ResourceChange]], Refusal | None]

#: A change set is made within seconds: so long (seconds) is worth staying for, and looking this often.
_STAY, _LOOK_EVERY = 10.0, 1.0
#: How long (seconds) the first and the longest wait for CloudFormation are, and how fast they grow.
_FIRST_WAIT, _LONGEST_WAIT, _GROWTH, _GROWTHS = 5.0, 30.0, 1.5, 10
#: The same refusal of AWS's twice, with a look in between, is no race any more.
_TRIES = 2
#: So many actions without an answer in one invocation: then the state machine tries again, later.
_UNANSWERED = 3


@dataclass(frozen=True, slots=True)
class Waiting:
    """Come back in so many seconds, with this progress."""

    seconds: int
    progress: StackProgress
    why: str


Outcome = Waiting | Reached | Stuck

_Effect = CreateChangeSet | ExecuteChangeSet | DeleteChangeSet | ContinueUpdateRollback | DeleteStack


@dataclass(frozen=True, slots=True)
class StackWorker:
    """One operation's work on stacks. ``began_at``: when the operation began (epoch seconds), its events are not older.

    ``check`` raises if the worker has lost its mandate; it is asked right before each effect. ``deadline``: until when (epoch
    seconds) this invocation may stay.
    """

    changes: StackChanges
    clock: Clock
    operation_id: OperationId
    began_at: float
    check: Callable[[], None]
    deadline: float

    def advance(self, wanted: Wanted, progress: StackProgress, judge: Judge = lambda _: None) -> Outcome:
        """Go on with a stack until it is what is wanted, cannot become it, or has to be waited for.

        Raises Unanswered if AWS does not answer, and whatever ``check`` raises.
        """
        tokens = tokens_of(self.operation_id, wanted)
        run = _Run(self, wanted, tokens, judge, progress, min(self.clock.now() + _STAY, self.deadline))
        while (outcome := run.go_on()) is None:
            pass
        return outcome

    def look(self, wanted: Wanted, tokens: Tokens) -> StackNow:
        """As few calls as tell what to do next; none of them for its own sake."""
        stack = self.changes.describe(wanted.name)
        if not isinstance(stack, Stack) or (stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS"):
            return StackNow(stack)
        wants_one = isinstance(wanted, WantedStack)
        change_set = self.changes.change_set(stack.stack_id, tokens.change) if wants_one else None
        if isinstance(change_set, Unreadable):
            return StackNow(change_set)
        if stack.status == "REVIEW_IN_PROGRESS" and not wanted.owner.owns(stack.tags) and change_set is None:
            tags = self.changes.tags_under_review(stack.stack_id)
            if isinstance(tags, Unreadable):
                return StackNow(tags)
            stack = replace(stack, tags={**tags, **stack.tags})
        if not reads_history(stack.status):
            return StackNow(stack, change_set)
        history = self.changes.history(stack.stack_id, tokens.all(stack.stack_id), self.began_at)
        return StackNow(history) if isinstance(history, Unreadable) else StackNow(stack, change_set, history)


@dataclass(slots=True)
class _Run:
    """One invocation. ``done``: the last thing that AWS took; ``refused``: the kind of the last that it did not take, and how
    often in a row; ``unanswered``: how often it said nothing."""

    worker: StackWorker
    wanted: Wanted
    tokens: Tokens
    judge: Judge
    progress: StackProgress
    stay_until: float
    refused: tuple[type[object], int] | None = None
    unanswered: int = 0
    done: _Effect | None = None

    def go_on(self) -> Outcome | None:
        """One look and what follows from it; None: look again."""
        now = self.worker.look(self.wanted, self.tokens)
        blind = self.progress.blind + 1 if isinstance(now.stack, Unreadable) else 0
        self.progress = replace(self.progress, blind=blind)
        if isinstance(now.stack, Stack):
            self.progress = replace(self.progress, stack_id=now.stack.stack_id, begun=self._still_begun(now.stack))
        step = next_step(self.wanted, now, self.tokens, self.progress)
        match step:
            case Reached(changed=True) if isinstance(now.stack, Stack):
                return replace(step, left_over=self._left_over(now.stack))
            case Reached() | Stuck():
                return step
            case Wait(why=why, brief=brief):
                return self._wait(why, brief)
        return self._do(self._judged(step))

    def _left_over(self, stack: Stack) -> tuple[ResourceFailure, ...]:
        """An update is complete for CloudFormation although what it replaced or removed could not be deleted (user guide, stack
        status codes). What cannot be read is not known to be left."""
        found = self.worker.changes.history(stack.stack_id, self.tokens.all(stack.stack_id), self.worker.began_at)
        failures = () if isinstance(found, Unreadable) else found.failures.get(self.tokens.change, ())
        return tuple(failure for failure in failures if failure.status == "DELETE_FAILED")

    def _still_begun(self, stack: Stack) -> tuple[Act, ...]:
        """What was begun with another stack of the name says nothing of this one."""
        return self.progress.begun if self.progress.stack_id in (None, stack.stack_id) else ()

    def _wait(self, why: str, brief: bool) -> Waiting | None:
        clock = self.worker.clock
        # What was only just begun may be done at once, too: small stacks are.
        if (brief or self.progress.waits == 0) and clock.now() + _LOOK_EVERY < self.stay_until:
            if not brief:
                self.stay_until = min(self.stay_until, clock.now() + 2 * _LOOK_EVERY)
            clock.sleep(_LOOK_EVERY)
            return None
        return self._later(why)

    def _later(self, why: str, at_least: float = 0.0) -> Waiting:
        seconds = min(_LONGEST_WAIT, max(at_least, _FIRST_WAIT * _GROWTH ** min(self.progress.waits, _GROWTHS)))
        return Waiting(round(seconds), replace(self.progress, waits=self.progress.waits + 1), why)

    def _judged(self, step: _Effect) -> _Effect:
        """Executing becomes taking the change set away where somebody minds what it would do."""
        if not isinstance(step, ExecuteChangeSet):
            return step
        refusal = self.judge(step.change_set.changes)
        if refusal is None:
            return step
        stuck = Stuck(refusal.message, refusal.blockers, Left.AS_IT_WAS, refusal.code)
        return DeleteStack(step.stack_id, True, stuck) if step.never_was else DeleteChangeSet(step.stack_id, stuck)

    def _do(self, step: _Effect) -> Outcome | None:
        try:
            self._act(step)
        except Throttled as error:
            return self._later(error.why, _LONGEST_WAIT)
        except Unanswered:
            self.unanswered += 1
            if self.unanswered >= _UNANSWERED:
                raise
            self.worker.clock.sleep(_LOOK_EVERY)
            return None
        except CallFailed as error:
            # Somebody may have been faster, this operation itself included: the next look shows it.
            return self._again(step, error)
        match step:
            case DeleteChangeSet(then=then) | DeleteStack(then=then) if then is not None:
                return then
        if self.done == step:
            return self._later(f"stack {self.wanted.name} is not shown yet as it is")
        self.refused, self.done = None, step
        return None

    def _again(self, step: _Effect, error: CallFailed) -> Outcome | None:
        tried = 1 + (self.refused[1] if self.refused is not None and self.refused[0] is type(step) else 0)
        self.refused = (type(step), tried)
        if tried < _TRIES:
            self.worker.clock.sleep(_LOOK_EVERY)
            return None
        match step:
            case DeleteChangeSet(then=then) | DeleteStack(then=then) if then is not None:
                # What stays behind does no harm, and what is to be said of the stack is said all the same.
                return then
        if isinstance(error, (AlreadyThere, PreconditionFailed, NotThere)):
            # What is shown lags behind what is: it will be shown.
            return self._later(f"{error.what}: {error.why}")
        left = Left.IN_BETWEEN if isinstance(step, ContinueUpdateRollback) or "execute" in self.progress.begun else Left.AS_IT_WAS
        sentence = f"AWS refused {error.what}: {error.why}. Put that right, then try again."
        return Stuck(sentence, (f"{self.wanted.name}: {error.why}",), left)

    def _act(self, step: _Effect) -> None:
        changes, check = self.worker.changes, self.worker.check
        match step:
            case CreateChangeSet(wanted=wanted, stack_id=stack_id):
                changes.create_change_set(wanted, self.tokens.change, stack_id, check)
                self._began("prepare")
            case ExecuteChangeSet(stack_id=stack_id):
                changes.execute(stack_id, self.tokens.change, self.tokens.change, check)
                self._began("execute")
            case DeleteChangeSet(stack_id=stack_id):
                changes.delete_change_set(stack_id, self.tokens.change, check)
            case ContinueUpdateRollback(stack_id=stack_id):
                changes.continue_update_rollback(stack_id, self.tokens.resume, check)
                self._began("resume")
            case DeleteStack(stack_id=stack_id, discard=discard):
                changes.delete_stack(stack_id, self.tokens.delete(stack_id), check)
                self._began("discard" if discard else "delete")
            case _:
                assert_never(step)

    def _began(self, act: Act) -> None:
        begun = (*self.progress.begun, act) if act not in self.progress.begun else self.progress.begun
        self.progress = replace(self.progress, begun=begun, waits=0)
