"""An operation's writes about stacks: its plan of them, how far each step came, and what was last made of a stack.

Beside ``journal.py``, and under the same conditions.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stagekeeper.aws import items
from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.mandated import LOCK_ATTEMPTS, Mandated, known
from stagekeeper.aws.table import Check, Delete, Put, Write, has_entry
from stagekeeper.domain import lock as lock_rules
from stagekeeper.domain.model import Stage
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.stack_plan import AppliedStack, StackMark, When


class StackJournal(Mandated):
    """Raises Superseded, and CallFailed when DynamoDB does not answer."""

    def record_intent(self, record: OperationRecord, stacks_key: str, due: When) -> OperationRecord:
        """``planned -> converging`` with stacks alone: what else the operation does can be planned when they are there."""
        following = replace(
            record, status=Status.CONVERGING, stacks_key=stacks_key, stacks_due=due, marks={}, epoch=record.epoch + 1
        )
        attributes: dict[str, Any] = {
            "status": following.status.value,
            "stacks_key": stacks_key,
            "stacks_due": due.value,
            "marks": {},
            "epoch": following.epoch,
        }
        lock_held = Check(items.lock_key(known(record.service)), has_entry("holders", record.operation_id))
        self._transact([self._update(record, attributes), lock_held])
        return following

    def record_due(self, record: OperationRecord, due: When | None) -> OperationRecord:
        """Which steps come next."""
        self._transact([self._update(record, {"stacks_due": None if due is None else due.value})])
        return replace(record, stacks_due=due)

    def record_plan(self, record: OperationRecord, stacks_key: str) -> OperationRecord:
        """The same steps, decided anew."""
        self._transact([self._update(record, {"stacks_key": stacks_key})])
        return replace(record, stacks_key=stacks_key)

    def record_mark(self, record: OperationRecord, number: int, mark: StackMark, *extra: Write) -> OperationRecord:
        """How far one step came."""
        marks = {**record.marks, number: mark}
        self._transact([self._update(record, {"marks": items.marks_attribute(marks)}), *extra])
        return replace(record, marks=marks)

    def rest(self, record: OperationRecord, number: int, mark: StackMark) -> OperationRecord:
        """How far one step came, by a worker that leaves: nobody is at work until the state machine has waited."""
        marks = {**record.marks, number: mark}
        attributes = {"marks": items.marks_attribute(marks), "phase": Phase.WAITING.value}
        self._transact([self._update(record, attributes)])
        return replace(record, marks=marks, phase=Phase.WAITING)

    def record_applied(self, record: OperationRecord, number: int, mark: StackMark, stack: AppliedStack) -> OperationRecord:
        """A stack is as it should be: what that is, with the step's mark."""
        return self.record_mark(
            record, number, mark, Put(items.stack_key(known(record.service), stack.name), items.stack_item(stack))
        )

    def record_gone(self, record: OperationRecord, number: int, mark: StackMark, name: str) -> OperationRecord:
        """A stack is gone, with the step's mark."""
        return self.record_mark(record, number, mark, Delete(items.stack_key(known(record.service), name)))

    def let_go(self, record: OperationRecord, due: When | None, stage: Stage | None = None) -> OperationRecord:
        """Give everything back in the middle of an operation: what comes next needs other slots, asked for anew.

        ``stage`` is its record as it is from now on.
        """
        service, now = known(record.service), self._clock.now()
        following = replace(record, stacks_due=due, asked_at=now, epoch=record.epoch + 1)
        attributes: dict[str, Any] = {
            "stacks_due": None if due is None else due.value,
            "asked_at": items.seconds(now),
            "epoch": following.epoch,
        }
        for _ in range(LOCK_ATTEMPTS):
            lock = self._store.lock(service)
            free = lock_rules.release(lock, record.operation_id)
            writes = [self._update(record, attributes), *self._stage_writes(record, stage, None)]
            if self._changed_lock(writes, service, lock, free):
                return following
        raise Unanswered(f"changing the lock of service {service}", "others were faster every time")
