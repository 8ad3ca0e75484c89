"""Stacks: bring the stacks of an operation to where its plan says, or back to where they were; the state machine waits meanwhile.

What comes next is on the operation's record, so each invocation can be delivered twice, or be followed by another worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.clock import epoch
from stagekeeper.domain.lock import COLLECT, holds
from stagekeeper.domain.model import ServiceName
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.shared_resources import forbidden
from stagekeeper.domain.stack_plan import AppliedStack, StackMark, StackPlan, StackStep, Stand, When, next_backward, next_forward
from stagekeeper.domain.stack_work import (
    Gone,
    Left,
    Owner,
    Reached,
    ResourceChange,
    StackRecord,
    Stuck,
    Wanted,
)
from stagekeeper.engine import teardown
from stagekeeper.engine.clean_up import finish
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.service_stack import decided_anew, needs_beside
from stagekeeper.engine.stack_work import StackWorker, Waiting
from stagekeeper.engine.step import Go, Step, Wait, resume
from stagekeeper.engine.trouble import Trouble, give_up

#: Whoever takes a stack for new that is not would delete it, with everything in it.
_UNKNOWN = (
    "The stack {name} was there before, but what it was made of is not on record: nobody can put it back, and it is left as "
    "it is."
)


def change_stacks(deps: Deps, carrier: Carrier, deadline: float) -> Step:
    """Go on with the steps that are due until ``deadline`` (epoch seconds). Raises CallFailed: the state machine tries again."""
    record = deps.journal.reread(carrier)
    back = record.status is Status.COMPENSATING
    if record.end is not None or record.stacks_key is None or not (back or record.stacks_due):
        return resume(record)
    record = deps.journal.begin(record, Phase.STACKS)
    bodies = Bodies(deps.artifacts)
    plan = bodies.stack_plan_of(record)
    if record.kind is OperationKind.TEARDOWN and record.stacks_due is When.FIRST:
        _announce(deps, record)
    if record.stacks_due is When.CLEAN_UP and not back and not _is_begun(plan, record):
        if not _holds_enough(deps, record, plan):
            return Go("Lock")
        plan = decided_anew(deps, record.operation_id, plan)
        record = deps.stack_journal.record_plan(record, bodies.put_stack_plan(plan))
    work = _Work(deps, bodies, plan, deadline)
    while True:
        found = next_backward(plan, record.marks) if back else next_forward(plan, record.marks, _due(record))
        if found is None:
            return _following(deps, record)
        record, step = work.one(record, *found, back=back)
        if step is not None:
            return step


def _announce(deps: Deps, record: OperationRecord) -> None:
    """From now on what the stages that go have may be gone."""
    for stage in deps.store.stages(_service(record)):
        if record.stage in (None, stage.name) and stage.observed is None and not stage.tearing_down:
            deps.journal.record_tearing_down(record, stage)


def _holds_enough(deps: Deps, record: OperationRecord, plan: StackPlan) -> bool:
    """Whether what was asked for anew is held, and not what was held before it was let go of."""
    held = deps.store.lock(_service(record))
    return any(holds(held, record.operation_id, frozenset({slot})) for slot in (plan.slot_to_clean_up, COLLECT))


def _is_begun(plan: StackPlan, record: OperationRecord) -> bool:
    """From then on the stack is on its way: what becomes needed now comes too late, as it would a moment later."""
    return any(number in record.marks for number, _ in plan.of(When.CLEAN_UP))


def wanted_stack(bodies: Bodies, service: ServiceName, step: StackStep, plane: str, content_key: str | None) -> Wanted:
    """The stack as CloudFormation is told to make it; None as content: none."""
    owner = Owner(service, step.stage, plane)
    if content_key is None:
        return Gone(step.name, owner)
    return bodies.stack_content(content_key).wanted(step.name, owner)


class _Work:
    """One invocation's work on the steps of one plan."""

    def __init__(self, deps: Deps, bodies: Bodies, plan: StackPlan, deadline: float) -> None:
        self._deps = deps
        self._bodies = bodies
        self._plan = plan
        self._deadline = deadline

    def one(self, record: OperationRecord, number: int, step: StackStep, *, back: bool) -> tuple[OperationRecord, Step | None]:
        """Go on with one step: None when the next one comes."""
        mark = record.marks.get(number)
        if mark is None or (back and mark.stand is not Stand.PUTTING_BACK):
            mark = StackMark(Stand.PUTTING_BACK if back else Stand.BEGUN)
            # On record before the first effect: what was begun is what has to be put back.
            record = self._deps.stack_journal.record_mark(record, number, mark)
        if step.impossible is not None:
            mark = StackMark(Stand.STUCK, why=step.impossible)
            return self._deps.stack_journal.record_mark(record, number, mark), None
        if back and step.unknown_before:
            mark = StackMark(Stand.STUCK, why=_UNKNOWN.format(name=step.name))
            return self._deps.stack_journal.record_mark(record, number, mark), None
        aim = step.before if back else step.after
        wanted = wanted_stack(self._bodies, _service(record), step, self._deps.plane, aim)
        worker = StackWorker(
            changes=self._deps.stack_changes,
            clock=self._deps.clock,
            operation_id=record.operation_id,
            began_at=epoch(record.started_at),
            check=Mandate(self._deps.journal, self._deps.clock, record).check_now,
            deadline=self._deadline,
        )
        judge = partial(self._judged_back, record, step) if back else partial(_judged, step)
        outcome = worker.advance(wanted, mark.progress, judge)
        match outcome:
            case Waiting(seconds=seconds, progress=progress, why=why):
                self._deps.stack_journal.rest(record, number, replace(mark, progress=progress))
                return record, Wait(seconds, progress=why)
            case Reached():
                return self._reached(record, number, step, aim, outcome, back=back), None
            case Stuck():
                return self._stuck(record, number, step, outcome, back=back)
        assert_never(outcome)

    def _judged_back(self, record: OperationRecord, step: StackStep, changes: Sequence[ResourceChange]) -> Refusal | None:
        """Going back takes nothing from anybody that the way here had left to them; but others may have moved since then."""
        if step.stage is not None:
            return None
        needs = needs_beside(self._deps, self._bodies, _service(record), record.stage, record.operation_id)
        return forbidden(changes, needs.declared, step.allowed, needs.served)

    def _reached(
        self, record: OperationRecord, number: int, step: StackStep, aim: str | None, outcome: Reached, *, back: bool
    ) -> OperationRecord:
        left = "; ".join(f"{each.logical_id} ({each.type}): {each.reason}" for each in outcome.left_over)
        why = f"what could not be deleted belongs to no stack any more: {left}" if left else None
        mark = StackMark(Stand.PUT_BACK if back else Stand.REACHED, changed=outcome.changed, why=why)
        if aim is None or outcome.record is None:
            return self._deps.stack_journal.record_gone(record, number, mark, step.name)
        stack = AppliedStack(step.name, aim, outcome.record, step.stage)
        return self._deps.stack_journal.record_applied(record, number, mark, stack)

    def _stuck(
        self, record: OperationRecord, number: int, step: StackStep, outcome: Stuck, *, back: bool
    ) -> tuple[OperationRecord, Step | None]:
        if back or record.status is Status.COMMITTED:
            # Nothing can be done about it here: the operation goes on to its end, which says so.
            mark = StackMark(Stand.STUCK, why=outcome.message)
            return self._record_stuck(record, number, step, mark), None
        if outcome.left is Left.AS_IT_WAS and not (step.is_made_anew and outcome.code is None):
            # Nothing of it is to be put back, and what is not ours must not be touched. What failed to be made leaves a shell.
            record = self._deps.stack_journal.record_mark(record, number, StackMark(Stand.PUT_BACK))
        if record.kind is OperationKind.TEARDOWN:
            return record, teardown.stopped(self._deps, record, outcome.message, outcome.blockers)
        trouble = Trouble(outcome.code or Code.COMPENSATED, outcome.message, "; ".join(outcome.blockers))
        return record, give_up(self._deps, record, [trouble])

    def _record_stuck(self, record: OperationRecord, number: int, step: StackStep, mark: StackMark) -> OperationRecord:
        """What is left of a stack that never came to be is on record as well: a teardown has to find it."""
        content = step.after if step.after is not None else step.before
        if content is None or self._deps.store.stack(_service(record), step.name) is not None:
            return self._deps.stack_journal.record_mark(record, number, mark)
        left = AppliedStack(step.name, content, StackRecord("", "", ""), step.stage)
        return self._deps.stack_journal.record_applied(record, number, mark, left)


def _due(record: OperationRecord) -> When:
    if record.stacks_due is None:
        raise AssertionError(f"no stacks are due in operation {record.operation_id}")
    return record.stacks_due


def _service(record: OperationRecord) -> ServiceName:
    if record.service is None:
        raise AssertionError(f"operation {record.operation_id} is about no service in particular and has no stacks")
    return record.service


def _judged(step: StackStep, changes: Sequence[ResourceChange]) -> Refusal | None:
    return forbidden(changes, step.needed, step.allowed, step.served)


def _following(deps: Deps, record: OperationRecord) -> Step:
    """All steps that were due are done: what comes after them."""
    if record.status is Status.COMPENSATING:
        return Go("Compensate")
    due = _due(record)
    match due:
        case When.FIRST:
            held = deps.store.lock(_service(record))
            if record.kind is OperationKind.TEARDOWN and not holds(held, record.operation_id, frozenset({COLLECT})):
                # The stage was held alone until here, so that everybody else could go on.
                deps.stack_journal.let_go(record, None)
                return Go("Lock")
            deps.stack_journal.record_due(record, None)
            return Go("Plan")
        case When.BEFORE_MOVE:
            deps.stack_journal.record_due(record, None)
            return Go("Move")
        case When.AFTER_COMMIT:
            deps.stack_journal.record_due(record, None)
            return Go("CleanUp")
        case When.CLEAN_UP:
            return finish(deps, record)
        case When.LAST:
            deps.stack_journal.record_due(record, None)
            return Go("Commit")
    assert_never(due)
