"""What to do next about one stack, and when it is done: a decision from what is wanted and what CloudFormation shows.

Everything may be delivered twice, or be gone on with by another worker: so nothing is remembered that cannot be seen again. An
operation knows what it began by the names it gave it (``tokens_of``): the change set's name, and the request tokens that come
back in the stack's events. Must not know how anything is read or done, nor what the stack is for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, assert_never

from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import OperationId, ServiceName, StageName
from stagekeeper.domain.refusal import Code

SERVICE_TAG, STAGE_TAG, PLANE_TAG = "stagekeeper:service", "stagekeeper:stage", "stagekeeper:managed-by"

#: So many looks in a row may show nothing before that is told as the end of it: an answer that fails once may come the next time.
BLIND_LOOKS = 8


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a stack is. ``stage`` is None for the service's own; ``plane`` is the name of the control plane's table."""

    service: ServiceName
    stage: StageName | None
    plane: str

    def tags(self) -> dict[str, str]:
        """What a stack of ours carries, and what no other does."""
        of_stage = {} if self.stage is None else {STAGE_TAG: str(self.stage)}
        return {SERVICE_TAG: str(self.service), PLANE_TAG: self.plane, **of_stage}

    def owns(self, tags: Mapping[str, str]) -> bool:
        names = (SERVICE_TAG, STAGE_TAG, PLANE_TAG)
        return {name: tags[name] for name in names if name in tags} == self.tags()


# What is wanted.


@dataclass(frozen=True, slots=True)
class WantedStack:
    """The stack with this template and these parameters. ``template_key`` is where the template lies in the artifact bucket,
    ``template_digest`` the hex SHA-256 of it."""

    name: str
    owner: Owner
    template_key: str
    template_digest: str
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def digest(self) -> str:
        """All that CloudFormation is given: the same is the same stack."""
        given = [self.template_digest, dict(self.parameters), self.owner.tags()]
        return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Gone:
    """No stack of this name."""

    name: str
    owner: Owner

    @property
    def digest(self) -> str:
        return "gone"


Wanted = WantedStack | Gone


# What is there.


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack as DescribeStacks shows it. ``changed_at``: when it was last updated, or made if it never was."""

    stack_id: str
    status: str
    reason: str
    tags: Mapping[str, str]
    outputs: Mapping[str, str]
    changed_at: str


@dataclass(frozen=True, slots=True)
class ResourceChange:
    """One resource of a change set. ``action`` and ``replacement`` in AWS's words; ``replacement`` None where it says nothing.

    ``properties``: those whose change replaces it, or might.
    """

    logical_id: str
    type: str
    action: str
    replacement: str | None = None
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """This operation's change set. ``execution`` is AWS's ExecutionStatus. ``changes`` are all of them, once it is made."""

    change_set_id: str
    status: str
    execution: str
    reason: str
    changes: tuple[ResourceChange, ...] = ()


@dataclass(frozen=True, slots=True)
class ResourceFailure:
    """A resource that CloudFormation could not make, change or delete, and why in AWS's words."""

    logical_id: str
    type: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class History:
    """What the stack's events tell of this operation: which of its tokens began something, and what failed under each of them,
    the first first, without what was only cancelled because of another."""

    begun: frozenset[str] = frozenset()
    failures: Mapping[str, tuple[ResourceFailure, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StackNow:
    """All that one look shows. ``change_set`` is None if this operation has none there; events are read where they decide."""

    stack: Stack | Absent | Unreadable
    change_set: ChangeSet | None = None
    history: History = History()


# How an operation knows its own.


@dataclass(frozen=True, slots=True)
class Tokens:
    """The names that one operation gives to what it does about one stack. AWS: ``[a-zA-Z][-a-zA-Z0-9]{0,127}``."""

    change: str

    @property
    def resume(self) -> str:
        return f"{self.change}-c"

    def delete(self, stack_id: str) -> str:
        """Of this very stack: an operation may have to delete several of one name, each of which never came to be."""
        return f"{self.change}-d{hashlib.sha256(stack_id.encode()).hexdigest()[:8]}"

    def all(self, stack_id: str) -> frozenset[str]:
        return frozenset({self.change, self.resume, self.delete(stack_id)})


def tokens_of(operation_id: OperationId, wanted: Wanted) -> Tokens:
    """The same for every worker of the operation; readable for people who look at the stack's events."""
    readable = re.sub("[^A-Za-z0-9]+", "-", operation_id)[:60].strip("-")
    unique = hashlib.sha256(json.dumps([operation_id, wanted.name, wanted.digest]).encode()).hexdigest()[:24]
    return Tokens(f"stagekeeper-{readable}-{unique}")


#: What an operation has begun: a change set, its execution, deleting the stack (for good; only to make it anew), going on with a
#: rollback that got stuck.
Act = Literal["prepare", "execute", "delete", "discard", "resume"]


@dataclass(frozen=True, slots=True)
class StackProgress:
    """What the worker before knew. It may be lost, all of it: what matters is seen again.

    ``begun``: acts that AWS has taken; ``waits``: how often it was waited for since the last of them; ``blind``: looks in a row
    that showed nothing.
    """

    stack_id: str | None = None
    begun: tuple[Act, ...] = ()
    waits: int = 0
    blind: int = 0


# What to do.


@dataclass(frozen=True, slots=True)
class StackRecord:
    """A stack as it was when it was last seen to be what was wanted. ``digest`` is that of the wanted stack."""

    stack_id: str
    digest: str
    changed_at: str


@dataclass(frozen=True, slots=True)
class Reached:
    """The stack is what was wanted. ``record`` is None where none was wanted. ``changed``: this operation made it so;
    ``left_over`` is what CloudFormation could not delete meanwhile: it belongs to no stack any more."""

    outputs: Mapping[str, str]
    changed: bool
    record: StackRecord | None = None
    left_over: tuple[ResourceFailure, ...] = ()


class Left(Enum):
    """How a stack is left that could not become what was wanted."""

    AS_IT_WAS = "as it was"
    """Nothing was changed, or everything was put back."""
    IN_BETWEEN = "in between"
    """Some of its resources are changed, or gone, and somebody has to look."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """It cannot become what was wanted. ``code`` is None where the caller knows best what that means for its operation."""

    message: str
    blockers: tuple[str, ...]
    left: Left
    code: Code | None = None
    failure: ResourceFailure | None = None


@dataclass(frozen=True, slots=True)
class CreateChangeSet:
    """``stack_id`` None: of a stack that is not there yet."""

    wanted: WantedStack
    stack_id: str | None


@dataclass(frozen=True, slots=True)
class ExecuteChangeSet:
    """If nobody minds these changes."""

    stack_id: str
    change_set: ChangeSet
    never_was: bool


@dataclass(frozen=True, slots=True)
class DeleteChangeSet:
    """And then it is over, as ``then`` says; None: go on."""

    stack_id: str
    then: Reached | Stuck | None


@dataclass(frozen=True, slots=True)
class ContinueUpdateRollback:
    stack_id: str


@dataclass(frozen=True, slots=True)
class DeleteStack:
    """``discard``: only what never came to be, so that the stack can be made (or nothing is left of the attempt).

    By its id: a call that comes late must never meet a newer stack of the same name.
    """

    stack_id: str
    discard: bool
    then: Stuck | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """``brief``: seconds, not minutes."""

    why: str
    brief: bool = False


Step = CreateChangeSet | ExecuteChangeSet | DeleteChangeSet | ContinueUpdateRollback | DeleteStack | Wait | Reached | Stuck

_NEVER_WAS = frozenset({"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED"})
_SETTLED = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE"})
#: A rollback is seen in the time of the change, too: the record is of what was there after it.
_AT_REST = _SETTLED | {"UPDATE_ROLLBACK_COMPLETE"}
#: What a stack can be updated from (CloudFormation user guide, stack status codes).
_UPDATABLE = _SETTLED | {"UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}

#: How CloudFormation says that it gave up deleting before it began: another stack imports something of this one.
_CANCELED = "Delete canceled"
#: How CloudFormation says that there is nothing to do. It has had several sentences for it, and keeps the older ones.
_NO_UPDATES = ("the submitted information didn't contain changes", "no updates are to be performed")


def reads_history(status: str) -> bool:
    """Whether it depends on the stack's events what such a stack means: those who read them save it elsewhere."""
    return not status.endswith("_IN_PROGRESS") and (status.endswith("_FAILED") or "ROLLBACK" in status)


def is_settled(recorded: StackRecord | None, wanted_digest: str, now: Stack | Absent | Unreadable) -> bool:
    """Nothing to do and nothing to find out: it is the stack that was seen to be this, and nobody touched it since."""
    return (
        recorded is not None
        and isinstance(now, Stack)
        and now.status in _AT_REST
        and (now.stack_id, now.changed_at) == (recorded.stack_id, recorded.changed_at)
        and recorded.digest == wanted_digest
    )


def next_step(wanted: Wanted, now: StackNow, tokens: Tokens, progress: StackProgress) -> Step:
    """The one thing to do about the stack now."""
    stack = now.stack
    match stack:
        case Unreadable(what=what, why=why):
            if progress.blind < BLIND_LOOKS:
                return Wait(f"{what} could not be read: {why}")
            sentence = (
                f"{what} could not be read ({why}), so nobody knows how it is. Look at it in CloudFormation, then try again."
            )
            return Stuck(sentence, (what,), Left.IN_BETWEEN if progress.begun else Left.AS_IT_WAS, Code.UNREADABLE)
        case Absent():
            return _absent(wanted, progress)
        case Stack():
            pass
    in_review = stack.status == "REVIEW_IN_PROGRESS"
    # A change set under this name is nobody else's, and the stack that it is to make carries no tags until then.
    if not wanted.owner.owns(stack.tags) and not (in_review and now.change_set is not None):
        return _owned_elsewhere(wanted, stack)
    if stack.status.endswith("_IN_PROGRESS") and not in_review:
        return Wait(f"stack {wanted.name} is {stack.status}")
    match wanted:
        case Gone():
            return _to_be_gone(wanted, stack, now.history, tokens, progress)
        case WantedStack():
            return _to_be_there(wanted, stack, now, tokens, progress)
    assert_never(wanted)


def _absent(wanted: Wanted, progress: StackProgress) -> Step:
    if isinstance(wanted, Gone):
        return Reached({}, changed="delete" in progress.begun)
    if "execute" not in progress.begun:
        return CreateChangeSet(wanted, None)
    sentence = (
        f"Stack {wanted.name} was deleted by somebody else while it was being made or changed. Find out who deleted it and what "
        "is gone with it, then try again: it is made anew."
    )
    return Stuck(sentence, (f"{wanted.name}: deleted meanwhile",), Left.IN_BETWEEN)


def _owned_elsewhere(wanted: Wanted, stack: Stack) -> Stuck:
    found = {name: value for name, value in stack.tags.items() if name.startswith("stagekeeper:")}
    of_whom = ", ".join(f"{name}={value}" for name, value in sorted(found.items())) or "none of Stagekeeper's tags"
    whose = f"stage {wanted.owner.stage}" if wanted.owner.stage is not None else "the service"
    sentence = (
        f"The stack {wanted.name}, which {whose} of service {wanted.owner.service} would have, exists already and is not this "
        f"control plane's: it has {of_whom}. Nobody touches it. Delete or rename it if it is yours, or choose another name."
    )
    return Stuck(sentence, (f"{wanted.name}: {stack.stack_id}",), Left.AS_IT_WAS, Code.STACK_OWNED_ELSEWHERE)


def _to_be_gone(wanted: Gone, stack: Stack, history: History, tokens: Tokens, progress: StackProgress) -> Step:
    token = tokens.delete(stack.stack_id)
    if stack.status == "DELETE_FAILED" and (token in history.begun or _begun(progress, stack, "delete")):
        return _undeleted(wanted, stack, history.failures.get(token, ()))
    if _begun(progress, stack, "delete") and stack.reason.startswith(_CANCELED):
        why = _told(stack.reason)
        sentence = f"Stack {wanted.name} was not deleted, and is as it was: {why}. Put that right, then try again."
        return Stuck(sentence, (f"{wanted.name}: {why}",), Left.AS_IT_WAS)
    return DeleteStack(stack.stack_id, discard=False)


def _to_be_there(wanted: WantedStack, stack: Stack, now: StackNow, tokens: Tokens, progress: StackProgress) -> Step:
    change_set = now.change_set
    if (
        _was_executed(stack, now, tokens, progress)
        and (failed := _failed_by_us(wanted, stack, now, tokens, progress)) is not None
    ):
        return failed
    if stack.status in _NEVER_WAS:
        return DeleteStack(stack.stack_id, discard=True)
    if stack.status == "REVIEW_IN_PROGRESS" and change_set is None:
        return DeleteStack(stack.stack_id, discard=True)
    if stack.status == "UPDATE_ROLLBACK_FAILED":
        if tokens.resume in now.history.begun or _begun(progress, stack, "resume"):
            return _rollback_failed(wanted, stack, now.history, tokens)
        return ContinueUpdateRollback(stack.stack_id)
    if stack.status not in _UPDATABLE and stack.status != "REVIEW_IN_PROGRESS":
        failures = [failure for found in now.history.failures.values() for failure in found]
        return _undeleted(wanted, stack, failures)
    if change_set is None:
        if _was_executed(stack, now, tokens, progress):
            return _reached(wanted, stack, changed=True)
        return CreateChangeSet(wanted, stack.stack_id)
    return _with_change_set(wanted, stack, change_set)


def _with_change_set(wanted: WantedStack, stack: Stack, change_set: ChangeSet) -> Step:
    never_was = stack.status == "REVIEW_IN_PROGRESS"
    match change_set.status:
        case "FAILED":
            if any(words in change_set.reason.lower() for words in _NO_UPDATES):
                return DeleteChangeSet(stack.stack_id, _reached(wanted, stack, changed=False))
            sentence = (
                f"CloudFormation could not work out the changes of stack {wanted.name}: {_told(change_set.reason)}. Nothing of "
                "the stack was changed. Correct the template or its parameters, then try again."
            )
            stuck = Stuck(sentence, (f"{wanted.name}: {_told(change_set.reason)}",), Left.AS_IT_WAS)
            # Of a stack that is only under review nothing is left either: it has no resources.
            return DeleteStack(stack.stack_id, discard=True, then=stuck) if never_was else DeleteChangeSet(stack.stack_id, stuck)
        case "CREATE_COMPLETE":
            return _made(wanted, stack, change_set, never_was)
    return Wait(f"the change set of stack {wanted.name} is {change_set.status}", brief=True)


def _made(wanted: WantedStack, stack: Stack, change_set: ChangeSet, never_was: bool) -> Step:
    match change_set.execution:
        case "AVAILABLE":
            return ExecuteChangeSet(stack.stack_id, change_set, never_was)
        case "EXECUTE_COMPLETE" if not never_was:
            return _reached(wanted, stack, changed=True)
        case "OBSOLETE":
            # Somebody changed the stack in between: what was judged is no longer what would happen.
            return DeleteChangeSet(stack.stack_id, None)
    return Wait(f"the change set of stack {wanted.name} is {change_set.execution}", brief=True)


def _was_executed(stack: Stack, now: StackNow, tokens: Tokens, progress: StackProgress) -> bool:
    seen = now.change_set is not None and now.change_set.execution in ("EXECUTE_COMPLETE", "EXECUTE_FAILED")
    return seen or tokens.change in now.history.begun or _begun(progress, stack, "execute")


def _failed_by_us(
    wanted: WantedStack, stack: Stack, now: StackNow, tokens: Tokens, progress: StackProgress
) -> Stuck | ContinueUpdateRollback | None:
    """What became of this operation's own change, if it went wrong. It is not tried a second time."""
    failures = now.history.failures.get(tokens.change, ())
    unsuccessful = now.change_set is not None and now.change_set.execution == "EXECUTE_FAILED"
    match stack.status:
        case "UPDATE_ROLLBACK_FAILED":
            if tokens.resume in now.history.begun or _begun(progress, stack, "resume"):
                return _rollback_failed(wanted, stack, now.history, tokens)
            return ContinueUpdateRollback(stack.stack_id)
        case "CREATE_FAILED" | "ROLLBACK_FAILED":
            what = "could not be made, and what was made of it could not all be deleted"
            return _failed(wanted, stack, failures, what, "The next try deletes it first.", Left.IN_BETWEEN)
        case "ROLLBACK_COMPLETE":
            return _failed(wanted, stack, failures, "could not be made", "Nothing is left of its resources.", Left.AS_IT_WAS)
        case "UPDATE_FAILED":
            return _failed(wanted, stack, failures, "could not be changed", "Some of it is changed.", Left.IN_BETWEEN)
        case "UPDATE_ROLLBACK_COMPLETE" if failures or unsuccessful or now.change_set is None:
            back = "CloudFormation put everything in it back to what it was."
            return _failed(wanted, stack, failures, "could not be changed", back, Left.AS_IT_WAS)
    if unsuccessful:
        by_others = f"The stack is {stack.status} by now."
        return _failed(wanted, stack, failures, "could not be changed", by_others, Left.AS_IT_WAS)
    return None


def _failed(wanted: WantedStack, stack: Stack, failures: Sequence[ResourceFailure], what: str, where: str, left: Left) -> Stuck:
    first = failures[0] if failures else None
    why = _spelled(first) if first is not None else _told(stack.reason)
    sentence = f"Stack {wanted.name} {what}: {why}. {where} Correct the cause in the template or its parameters, then try again."
    return Stuck(sentence, _blockers(wanted, stack, failures), left, failure=first)


def _rollback_failed(wanted: WantedStack, stack: Stack, history: History, tokens: Tokens) -> Stuck:
    back = history.failures.get(tokens.resume, ())
    cause = history.failures.get(tokens.change, ())
    why = "; ".join(_spelled(failure) for failure in back) or _told(stack.reason)
    first = f" It began with {_spelled(cause[0])}." if cause else ""
    sentence = (
        f"Stack {wanted.name} could not be put back to what it was, although that was tried twice: {why}.{first} It is "
        "UPDATE_ROLLBACK_FAILED, and CloudFormation changes nothing in it until that is done. Put right what keeps these "
        "resources from going back, or skip them, with ContinueUpdateRollback; then try again."
    )
    return Stuck(sentence, _blockers(wanted, stack, back), Left.IN_BETWEEN, failure=(*cause, *back, None)[0])


def _undeleted(wanted: Wanted, stack: Stack, failures: Sequence[ResourceFailure]) -> Stuck:
    why = "; ".join(_spelled(failure) for failure in failures) or _told(stack.reason)
    sentence = (
        f"Stack {wanted.name} is {stack.status}: not all of it could be deleted: {why}. Put right what keeps these resources (a "
        "bucket must be empty, for instance)"
    )
    advice = (
        ", then try again: it is deleted once more."
        if isinstance(wanted, Gone) or stack.status in _NEVER_WAS
        else " and have the stack deleted to its end; then try again: it is made anew."
    )
    return Stuck(sentence + advice, _blockers(wanted, stack, failures), Left.IN_BETWEEN, failure=(*failures, None)[0])


def _reached(wanted: WantedStack, stack: Stack, *, changed: bool) -> Reached:
    return Reached(stack.outputs, changed, StackRecord(stack.stack_id, wanted.digest, stack.changed_at))


def _begun(progress: StackProgress, stack: Stack, act: Act) -> bool:
    return progress.stack_id == stack.stack_id and act in progress.begun


def _blockers(wanted: Wanted, stack: Stack, failures: Iterable[ResourceFailure]) -> tuple[str, ...]:
    named = tuple(f"{wanted.name}/{_spelled(failure)}" for failure in failures)
    return named or (f"{wanted.name}: {stack.status}",)


def _spelled(failure: ResourceFailure) -> str:
    return f"{failure.logical_id} ({failure.type}) is {failure.status}: {_told(failure.reason)}"


def _told(reason: str) -> str:
    """AWS's sentence without its full stop: it goes into one of ours."""
    return reason.strip().rstrip(".") or "CloudFormation gives no reason"
