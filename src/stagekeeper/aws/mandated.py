"""What every write of an operation is made of: the mandate that it is good under, and the lock beside it.

Every write carries the condition that makes it safe to be late: the epoch and the status that the worker was given. Whoever loses
gets ``Superseded`` and must stop. Must not know what is written.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from stagekeeper.aws import items
from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import Check, Delete, Put, Table, TransactionRefused, Update, Write, absent, has, lacks
from stagekeeper.domain import lock as lock_rules
from stagekeeper.domain.lock import Lock
from stagekeeper.domain.model import Movement, ServiceName, Stage
from stagekeeper.domain.record import OperationRecord

#: How often a change of the lock is tried while others change it at the same time.
LOCK_ATTEMPTS = 20


class Superseded(Exception):
    """This worker has lost its mandate: somebody else decided, or goes on with the operation."""


class Mandated:
    """Pieces of transactions. Raises Superseded, and CallFailed when DynamoDB does not answer."""

    def __init__(self, table: Table, clock: Clock) -> None:
        self._table = table
        self._clock = clock
        self._store = Store(table)

    def _step_aside(self) -> None:
        """Others change the lock at the same time: a random pause, so that not all come back at once."""
        self._clock.sleep(random.uniform(0.02, 0.2))  # noqa: S311  # no secret depends on it

    def _mandate(self, record: OperationRecord) -> Check:
        condition = has("epoch", record.epoch) & has("status", record.status.value) & lacks("ended_at")
        return Check(items.operation_key(record.operation_id), condition)

    def _update(self, record: OperationRecord, attributes: Mapping[str, Any]) -> Update:
        return Update(items.operation_key(record.operation_id), attributes, self._mandate(record).condition)

    def _changed_lock(
        self, writes: Sequence[Write], service: ServiceName, seen: Lock, changed: Lock, *, forget: bool = False
    ) -> bool:
        """Do ``writes`` and put the lock from ``seen`` to ``changed``, together; False if others changed the lock first."""
        as_seen = absent() if seen.revision == 0 else has("revision", seen.revision)
        key = items.lock_key(service)
        # Checked also where nothing is to be changed: a grant that comes in right now would else outlive the operation.
        lock: Write = Check(key, as_seen)
        if changed != seen:
            # A lock that is made again goes on above any that was forgotten: who looked at that one must not take it for this.
            revision = max(seen.revision, int(self._clock.now() * 1000)) + 1
            lock = Put(key, items.lock_item(replace(changed, revision=revision)), as_seen)
        if forget and not (changed.holders or changed.queue):
            lock = Delete(key, as_seen)
        try:
            self._table.transact([*writes, lock])
            return True
        except TransactionRefused as refused:
            if refused.failed != {len(writes)}:
                keys = ", ".join(writes[index].key.sk for index in sorted(refused.failed - {len(writes)}))
                raise Superseded(f"{keys} changed in the meantime") from refused
            self._step_aside()
            return False

    def _transact(self, writes: Sequence[Write]) -> None:
        try:
            self._table.transact(writes)
        except TransactionRefused as refused:
            keys = ", ".join(writes[index].key.sk for index in sorted(refused.failed))
            raise Superseded(f"{keys} changed in the meantime") from refused

    def _with_lock(
        self,
        record: OperationRecord,
        writes: Sequence[Write],
        change: Callable[[Lock], Lock],
        *,
        must_hold: bool = True,
        forget: bool = False,
    ) -> None:
        """Do ``writes`` and change the lock, together. Others that change the lock at the same time only make it try again."""
        service = known(record.locked_service)
        for _ in range(LOCK_ATTEMPTS):
            seen = self._store.lock(service)
            if must_hold and not lock_rules.holds(seen, record.operation_id, frozenset()):
                raise Superseded(f"operation {record.operation_id} does not hold its lock any more")
            if self._changed_lock(writes, service, seen, change(seen), forget=forget):
                return
        raise Unanswered(f"changing the lock of service {service}", "others were faster every time")

    def _stage_writes(self, record: OperationRecord, stage: Stage | None, movement: Movement | None) -> list[Write]:
        """A stage's revision counts its writes; 0 is one that is not there yet."""
        writes: list[Write] = []
        if stage is not None:
            condition = absent() if stage.revision == 0 else has("revision", stage.revision)
            following = replace(stage, revision=stage.revision + 1)
            writes.append(Put(items.stage_key(known(record.service), stage.name), items.stage_item(following), condition))
        if movement is not None:
            writes.append(movement_put(known(record.service), movement))
        return writes


def known(service: ServiceName | None) -> ServiceName:
    """Only a sweep of all services is about none in particular, and it takes one lock after the other."""
    if service is None:
        raise AssertionError("this operation is about no service in particular")
    return service


def movement_put(service: ServiceName, movement: Movement) -> Put:
    return Put(items.movement_key(service, movement.stage, movement.number), items.movement_item(movement), absent())
