"""The course of an operation as people see it: from one look at its record to the next, what is done and what it is at.

Pure: looks in, steps out. Must not know where looks come from nor how steps are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
from typing import assert_never

from stagekeeper.domain import lock as lock_rules
from stagekeeper.domain.lock import Entry, GaveUp, Lock, Waiting
from stagekeeper.domain.model import OperationId, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind, Phase, Status, seconds_until_calls_ended
from stagekeeper.domain.record import Failed, OperationNow, Succeeded
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.stack_plan import When


class Step(Enum):
    """What an operation does one after the other, by and large the states of the state machine."""

    ACCEPT = auto()
    DRY_RUN = auto()
    INSPECT = auto()
    RECOVER = auto()
    LOCK = auto()
    PLAN = auto()
    STACK_FIRST = auto()
    PUBLISH = auto()
    STACK_BEFORE_MOVE = auto()
    MOVE = auto()
    TEAR_DOWN = auto()
    STACK_LAST = auto()
    COLLECT = auto()
    COMMIT = auto()
    STACK_AFTER_COMMIT = auto()
    CLEAN_UP = auto()
    PUT_BACK = auto()


@dataclass(frozen=True, slots=True)
class Lost:
    """Its execution ended as ``status`` without an outcome, and nobody recovered the operation. ``begun``: it has a record;
    ``why``: what whoever stopped it gave as the reason."""

    status: str
    begun: bool = True
    why: str | None = None


Ended = Succeeded | Failed | Lost


@dataclass(frozen=True, slots=True)
class Subject:
    """What is followed, as far as it is known. ``dry_run``: it changes nothing and has no record."""

    operation_id: OperationId
    kind: OperationKind | None = None
    service: ServiceName | None = None
    stage: StageName | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Blocker:
    """Somebody in the way of who waits for the lock; ``actor`` where it is on record."""

    entry: Entry
    actor: str | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """A wait for the lock: who is in the way, holders first, and until when (epoch seconds) it waits."""

    blockers: tuple[Blocker, ...]
    gives_up_at: float


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one moment (epoch seconds). ``now`` is None where there is no record (yet).

    ``trouble`` is what keeps the looker from seeing more; ``died`` how the execution ended that carried the operation, while
    its recovery is waited for.
    """

    at: float
    subject: Subject
    now: OperationNow | None = None
    queued: Queued | None = None
    trouble: str | None = None
    died: str | None = None
    ended: Ended | None = None


class Mark(StrEnum):
    AHEAD = "ahead"
    AT_IT = "at it"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Shown:
    """A step as it stands. ``seconds`` is what it took as far as somebody looked, None where nobody did.

    ``topic`` is what ``detail`` is about where that has times in it: the same as long as only they differ.
    """

    name: str
    mark: Mark
    seconds: float | None = None
    detail: str | None = None
    topic: str | None = None


#: The steps that were seen, in the order in which they were, each with when it was first: None where the look came too late.
Reached = tuple[tuple[Step, float | None], ...]


@dataclass(frozen=True, slots=True)
class Course:
    """What was seen so far; ``failed`` is the step that went wrong, where something is put back; ``died`` how an execution that
    carried it ended, where somebody saw that."""

    last: Look
    reached: Reached = ()
    failed: Step | None = None
    looked: bool = False
    died: str | None = None

    @property
    def subject(self) -> Subject:
        return self.last.subject


def started(subject: Subject, at: float) -> Course:
    """Of an operation that begins at this moment (epoch seconds)."""
    return Course(Look(at, subject), ((_first(subject), at),), looked=True)


def joined(subject: Subject, at: float) -> Course:
    """Of one that was begun some time before."""
    return Course(Look(at, subject))


def went_on(course: Course, look: Look) -> Course:
    """The course with one more look. What cannot be seen at the moment stays as it was."""
    if look.trouble is not None:
        return replace(course, last=replace(look, now=course.last.now, died=course.last.died))
    step, failed = _place(look), course.failed
    # What is over by then, or was begun before, began nobody knows when.
    at = look.at if course.looked and look.ended is None else None
    reached = course.reached
    if look.now is not None and look.now.failure is not None:
        failed = failed or _failed_step(look.now, reached)
        reached = _with(reached, failed, at, look.subject)
        step = Step.PUT_BACK
    return Course(look, _with(reached, step, at, look.subject), failed, looked=True, died=look.died or course.died)


def steps(course: Course, at: float) -> tuple[Shown, ...]:
    """Every step, in order, as it stands at that moment (epoch seconds). None while nobody knows what operation it is."""
    if course.subject.kind is None:
        return ()
    times = dict(course.reached)
    order = [step for step in _order(course.subject, course.failed) if step in times or step not in _PERHAPS]
    place = max((order.index(step) for step in times if step in order), default=0)
    over = course.last.ended is not None or course.failed is not None
    marks = [_mark(course, step, index - place) for index, step in enumerate(order)]
    return tuple(
        Shown(
            _name(step, course.subject),
            mark,
            _seconds(course, order[index:], at),
            _detail(course, step, mark, at),
            _topic(course, mark),
        )
        for index, (step, mark) in enumerate(zip(order, marks, strict=True))
        # What is still ahead when it is over does not come.
        if not (mark is Mark.AHEAD and over)
    )


def told(course: Course) -> tuple[str, ...]:
    """What is to be said beside the steps."""
    said = []
    now = course.last.now
    if now is not None and now.execution != now.operation_id:
        recovers = "recovers" if course.last.ended is None else "recovered"
        said.append(f"Its execution {course.died or 'died'}; {now.execution} {recovers} it.")
    elif course.last.died is not None and course.last.ended is None:
        said.append(f"Its execution {course.last.died}. The recovery begins by itself; waiting for it.")
    if course.last.trouble is not None:
        said.append(course.last.trouble)
    return tuple(said)


def queued(lock: Lock, operation_id: OperationId, at: float, actors: Mapping[OperationId, str | None]) -> Queued | None:
    """The operation's wait in its service's lock at this moment (epoch seconds); None if it does not wait."""
    wish = next((entry for entry in lock.queue if entry.operation_id == operation_id), None)
    if wish is None:
        return None
    match lock_rules.ask(lock, wish, at)[1]:
        case Waiting(blockers=blockers) | GaveUp(blockers=blockers):
            return Queued(tuple(Blocker(entry, actors.get(entry.operation_id)) for entry in blockers), wish.gives_up_at)
    return None


# Which steps there are.

_RESTORE = (Step.ACCEPT, Step.LOCK, Step.PLAN, Step.MOVE, Step.COMMIT, Step.STACK_AFTER_COMMIT, Step.CLEAN_UP)
_RECORD_ONLY = (Step.ACCEPT, Step.LOCK, Step.PLAN, Step.COMMIT)
_ORDERS: Mapping[OperationKind, tuple[Step, ...]] = {
    OperationKind.DEPLOY: (
        *(Step.ACCEPT, Step.LOCK, Step.PLAN, Step.STACK_FIRST, Step.PUBLISH, Step.STACK_BEFORE_MOVE, Step.MOVE, Step.COMMIT),
        *(Step.STACK_AFTER_COMMIT, Step.CLEAN_UP),
    ),
    OperationKind.ROLLBACK: _RESTORE,
    OperationKind.RESET: _RESTORE,
    OperationKind.CLONE: _RESTORE,
    OperationKind.CONFIGURE: _RECORD_ONLY,
    OperationKind.ADOPT: _RECORD_ONLY,
    OperationKind.TEARDOWN: (
        *(Step.ACCEPT, Step.LOCK, Step.PLAN, Step.STACK_FIRST, Step.TEAR_DOWN, Step.STACK_LAST, Step.COMMIT),
    ),
    OperationKind.SWEEP: (Step.ACCEPT, Step.INSPECT, Step.COLLECT),
    OperationKind.VERIFY: (Step.INSPECT,),
    OperationKind.RECOVER: (Step.RECOVER,),
}

#: What comes right after the plan.
_FIRST_EFFECTS = {
    OperationKind.DEPLOY: Step.PUBLISH,
    OperationKind.ROLLBACK: Step.MOVE,
    OperationKind.RESET: Step.MOVE,
    OperationKind.CLONE: Step.MOVE,
    OperationKind.TEARDOWN: Step.TEAR_DOWN,
    OperationKind.SWEEP: Step.COLLECT,
}

#: Shown only once they are seen: before that nobody can tell whether an operation has them.
_PERHAPS = frozenset({Step.STACK_FIRST, Step.STACK_BEFORE_MOVE, Step.STACK_LAST, Step.STACK_AFTER_COMMIT, Step.CLEAN_UP})

_NAMES = {
    Step.STACK_BEFORE_MOVE: "Stage stack",
    Step.STACK_LAST: "Service stack",
    Step.STACK_AFTER_COMMIT: "Stage stack",
}


def _name(step: Step, subject: Subject) -> str:
    if step is Step.STACK_FIRST:
        return "Stage stacks" if subject.kind is OperationKind.TEARDOWN else "Service stack"
    return _NAMES.get(step, step.name.replace("_", " ").capitalize())


def _order(subject: Subject, failed: Step | None) -> list[Step]:
    """In the order in which they come; putting back comes after what failed."""
    if subject.dry_run:
        return [Step.DRY_RUN]
    order = [Step.ACCEPT] if subject.kind is None else list(_ORDERS[subject.kind])
    if subject.kind is OperationKind.DEPLOY and subject.stage is None:
        order.remove(Step.MOVE)
    return _with_putting_back(order, failed)


def _with_putting_back(order: list[Step], failed: Step | None) -> list[Step]:
    if failed is None or failed not in order:
        return order
    place = order.index(failed) + 1
    return [*order[:place], Step.PUT_BACK, *order[place:]]


def _first(subject: Subject) -> Step:
    return _order(subject, None)[0]


# Where an operation is.


def _place(look: Look) -> Step:
    """The step that it is at, or at which it ended as far as that is known."""
    now = look.now
    if now is None:
        return _first(look.subject)
    match now.status:
        case Status.PLANNED:
            # The first that takes the mandate is the plan, under the lock. A sweep looks first.
            return Step.LOCK if now.epoch == 1 and now.kind is not OperationKind.SWEEP else _planning(now)
        case Status.CONVERGING:
            return _converging(now)
        case Status.COMMITTED if not now.has_ended:
            return Step.STACK_AFTER_COMMIT if now.stacks_due is When.AFTER_COMMIT else Step.CLEAN_UP
        case Status.COMPENSATING | Status.COMPENSATED:
            return Step.PUT_BACK
        case Status.REFUSED:
            return _refused(now, look.ended)
        case Status.UNCHANGED:
            return _planning(now)
        case Status.NEEDS_ATTENTION if now.kind not in (OperationKind.TEARDOWN, OperationKind.SWEEP):
            # Else it would have been put back: what followed the commit failed.
            return Step.CLEAN_UP
        case Status.COMMITTED | Status.ENDED | Status.NEEDS_ATTENTION:
            return _first_effect(now)
    assert_never(now.status)


def _refused(now: OperationNow, ended: Ended | None) -> Step:
    code = ended.error if isinstance(ended, Failed) else ""
    if code == Code.INTERNAL:
        return Step.ACCEPT  # it may have been anywhere until its plan was made
    return Step.LOCK if code == Code.LOCKED and now.kind is not OperationKind.SWEEP else _planning(now)


def _planning(now: OperationNow) -> Step:
    return Step.INSPECT if now.kind is OperationKind.SWEEP else Step.PLAN


def _first_effect(now: OperationNow) -> Step:
    return _FIRST_EFFECTS.get(now.kind, Step.COMMIT)


def _converging(now: OperationNow) -> Step:
    match now.stacks_due:
        case When.FIRST:
            return Step.STACK_FIRST
        case When.LAST:
            return Step.STACK_LAST
        case When.BEFORE_MOVE if now.phase not in (Phase.PLAN, Phase.PUBLISH):
            # The aliases that it needs are made first, by the state that moves them afterwards.
            return Step.STACK_BEFORE_MOVE
    match now.phase:
        case Phase.MOVE | Phase.COMMIT | Phase.TEAR_DOWN | Phase.COLLECT:
            return Step[now.phase.name]
        case Phase.STACKS | Phase.WAITING if now.planned:
            # They are done, and nobody has begun with what comes next.
            return Step.COMMIT if now.kind is OperationKind.TEARDOWN else Step.MOVE
    return _first_effect(now)


def _failed_step(now: OperationNow, reached: Reached) -> Step:
    """Where it failed: by the phase, which stays until putting back begins, else the last that was seen."""
    if now.phase in (Phase.PUBLISH, Phase.MOVE, Phase.COMMIT):
        return Step[now.phase.name]
    order, first = _ORDERS[now.kind], _first_effect(now)
    seen = [step for step, _ in reached if step in order and order.index(step) > order.index(_planning(now))]
    # It was planned before it could fail like this, whether or not anybody saw more.
    return max(seen, key=order.index, default=first)


def _with(reached: Reached, step: Step, at: float | None, subject: Subject) -> Reached:
    """A step that is seen for the first time. Nothing goes backwards: one that was passed is not begun again."""
    order = [*_order(subject, None), Step.PUT_BACK]
    known: Reached = tuple((each, since) for each, since in reached if each in order)
    if step not in order or any(order.index(each) >= order.index(step) for each, _ in known):
        return known
    return (*known, (step, at))


# How a step stands.


def _mark(course: Course, step: Step, beyond: int) -> Mark:
    """``beyond``: how many steps it is after the last that was reached."""
    if step is course.failed:
        return Mark.FAILED
    match course.last.ended:
        case Succeeded(output=output):
            # What had nothing to do, or only looked, ends before the rest.
            return Mark.DONE if beyond <= 0 or output.get("outcome") == "succeeded" else Mark.AHEAD
        case Failed() | Lost() if beyond == 0:
            now = course.last.now
            back = step is Step.PUT_BACK and now is not None and now.status is Status.COMPENSATED
            return Mark.DONE if back else Mark.FAILED
    if beyond < 0:
        return Mark.DONE
    return Mark.AT_IT if beyond == 0 else Mark.AHEAD


def _seconds(course: Course, following: Sequence[Step], at: float) -> float | None:
    """From when the step was first seen until a later one was, or until now."""
    times = dict(course.reached)
    since = times.get(following[0])
    if since is None:
        return None
    later = [time for step in following[1:] if (time := times.get(step)) is not None]
    until = min(later, default=course.last.at if course.last.ended is not None else at)
    return max(0.0, until - since)


def _detail(course: Course, step: Step, mark: Mark, at: float) -> str | None:
    look = course.last
    if look.now is None or look.ended is not None:
        return None  # how it ended says more
    if step is course.failed:
        return None if look.now.failure is None else look.now.failure.message
    if mark is not Mark.AT_IT:
        return None
    return _at_it(look.now, step) if look.queued is None else _waits(look.queued, at)


def _topic(course: Course, mark: Mark) -> str | None:
    wait = course.last.queued
    return wait.blockers[0].entry.operation_id if mark is Mark.AT_IT and wait is not None else None


def _at_it(now: OperationNow, step: Step) -> str | None:
    if step is Step.PUT_BACK and now.execution != now.operation_id and now.phase is not Phase.COMPENSATE:
        # A recovery begins with that. What it reads before would be wrong.
        longest = seconds_until_calls_ended(now.phase)
        return f"waits until no call of the stopped worker can be under way: up to {longest} s"
    if now.phase is Phase.WAITING:
        return "CloudFormation is at work"
    if step is Step.COLLECT and now.collecting is not None:
        return f"service {now.collecting}"
    if step is Step.STACK_BEFORE_MOVE and now.phase is Phase.MOVE:
        return "first the aliases that it needs"
    if now.status is Status.CONVERGING and now.has_stacks and now.stacks_due is None and not now.planned:
        return "planning what comes after the stacks"
    return None


def _waits(wait: Queued, at: float) -> str:
    first, *others = wait.blockers
    whose = f" of {first.actor}" if first.actor else ""
    more = f" and {len(others)} more" if others else ""
    since, left = span(at - first.entry.since), span(wait.gives_up_at - at)
    return f"waits for {first.entry.operation} {first.entry.operation_id}{whose}, since {since}{more}; gives up in {left}"


def span(seconds: float) -> str:
    """A time as people read it: ``0.4 s``, ``14 s``, ``3 min 5 s``, ``1 h 10 min``; never less than nothing, as clocks differ."""
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
