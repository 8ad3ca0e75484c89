"""An operation's own writes: its status, its lock slots, its intent and its progress, each one conditional transaction.

Every write carries the condition that makes it safe to be late: the epoch (this worker's mandate is still good) or the status
(nobody else decided). Whoever loses gets ``Superseded`` and must stop. Must not know why a status changes.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stagekeeper.aws import items
from stagekeeper.aws.clock import iso
from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.mandated import LOCK_ATTEMPTS, Mandated, Superseded, known, movement_put
from stagekeeper.aws.table import (
    Check,
    Condition,
    Delete,
    Key,
    MalformedItem,
    Put,
    TransactionRefused,
    Write,
    absent,
    has,
    has_entry,
)
from stagekeeper.domain import lock as lock_rules
from stagekeeper.domain.adoption import AdoptedVersion
from stagekeeper.domain.lock import Answer, Entry, Lock
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    Movement,
    OperationId,
    Release,
    Service,
    ServiceName,
    Stage,
)
from stagekeeper.domain.operation import Phase, Status, may_become
from stagekeeper.domain.plan import Published
from stagekeeper.domain.record import Carrier, End, OperationRecord
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.stack_plan import When

#: DynamoDB takes 100 writes in a transaction; one of each chunk is the check of the operation's epoch.
_CHUNK = 99
#: How long (seconds) a sweep of many services waits for locks in all, of the four hours that its execution may take.
_SWEEP_PATIENCE = 3 * 3600


class ClaimLost(Exception):
    """Another service claimed one of the functions in the meantime."""

    def __init__(self, arns: Sequence[FunctionArn]) -> None:
        super().__init__(", ".join(arns))
        self.arns = tuple(arns)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version for the ledger of its function."""

    arn: FunctionArn
    content: Content
    published: Published


@dataclass(frozen=True, slots=True)
class StackIntent:
    """What an operation intends with stacks, and the request of a deploy as its service stack completes it."""

    stacks_key: str
    due: When | None
    resolved_key: str | None = None


class Journal(Mandated):
    """See the module. Raises Superseded, and CallFailed when DynamoDB does not answer."""

    # The operation's record.

    def open(self, record: OperationRecord) -> OperationRecord:
        """Write a new operation's record; the one there is if the operation is known already."""
        try:
            self._table.transact([Put(items.operation_key(record.operation_id), items.operation_item(record), absent())])
        except TransactionRefused:
            return self._known(record.operation_id)
        return record

    def reread(self, carrier: Carrier) -> OperationRecord:
        """The record as it is by now. Superseded if another execution carries the operation."""
        record = self._known(carrier.operation_id)
        if record.execution != carrier.execution:
            raise Superseded(f"operation {record.operation_id} is carried by execution {record.execution}")
        return record

    def _known(self, operation_id: OperationId) -> OperationRecord:
        record = self._store.operation(operation_id)
        if record is None:
            raise MalformedItem(f"operation {operation_id} has no record")
        return record

    def take_over(self, record: OperationRecord, execution: str) -> OperationRecord:
        """Another execution carries the operation from now on: the mandate of whoever did so before is gone.

        Its worker may be busy all the same until its calls have ended.
        """
        following = replace(
            record, epoch=record.epoch + 1, execution=execution, overlapped=True, recoveries=record.recoveries + 1
        )
        attributes = {
            "epoch": following.epoch,
            "execution": execution,
            "overlapped": True,
            "recoveries": following.recoveries,
        }
        self._transact([self._update(record, attributes)])
        return following

    def note_failed_recovery(self, record: OperationRecord) -> OperationRecord:
        """A recovery died before it took over: the next one is that of the next epoch."""
        following = replace(record, epoch=record.epoch + 1, recoveries=record.recoveries + 1)
        self._transact([self._update(record, {"epoch": following.epoch, "recoveries": following.recoveries})])
        return following

    def note_look(self, record: OperationRecord) -> OperationRecord:
        """When a waiter last asked whether those in its way still live."""
        now = self._clock.now()
        self._transact([self._update(record, {"looked_at": items.seconds(now)})])
        return replace(record, looked_at=now)

    def begin(self, record: OperationRecord, phase: Phase) -> OperationRecord:
        """Take the mandate for a phase: raise the epoch, provided that the operation is as ``record`` says and holds its lock."""
        epoch = record.epoch + 1
        # Begun once already: by a worker that died, or by one that is only late.
        at_work = record.status in (Status.CONVERGING, Status.COMMITTED)
        overlapped = record.overlapped or (phase is record.phase and at_work)
        writes: list[Write] = [self._update(record, {"epoch": epoch, "phase": phase.value, "overlapped": overlapped})]
        # A sweep holds its lock only while it deletes.
        if record.locked_service is not None:
            writes.append(Check(items.lock_key(record.locked_service), has_entry("holders", record.operation_id)))
        self._transact(writes)
        return replace(record, epoch=epoch, phase=phase, overlapped=overlapped)

    def supersede(self, record: OperationRecord, phase: Phase) -> OperationRecord:
        """Take the mandate from whoever has it, whatever is locked: an operation that ends needs no lock to do so."""
        following = replace(record, epoch=record.epoch + 1, phase=phase)
        self._transact([self._update(record, {"epoch": following.epoch, "phase": phase.value})])
        return following

    def check_mandate(self, record: OperationRecord) -> None:
        """Raise Superseded unless the record still has this worker's epoch and status."""
        now = self._table.get_attributes(items.operation_key(record.operation_id), "epoch", "status")
        if now is None or now["epoch"] != record.epoch or now["status"] != record.status.value:
            raise Superseded(f"operation {record.operation_id} went on without this worker")

    def record_intent(
        self,
        record: OperationRecord,
        plan_key: str,
        new: Service | None = None,
        *,
        taking: int = 1,
        stacks: StackIntent | None = None,
    ) -> OperationRecord:
        """The whole intent goes on record before the first effect; with it the numbers of new releases are taken.

        ``new`` is the service as it is then: ``taking`` so many numbers, the last of which is its last.
        """
        following = replace(record, status=Status.CONVERGING, plan_key=plan_key, progress_key=None, epoch=record.epoch + 1)
        attributes: dict[str, Any] = {
            "status": following.status.value,
            "plan_key": plan_key,
            "progress_key": None,
            "epoch": following.epoch,
        }
        if stacks is not None:
            key, due, resolved = stacks.stacks_key, stacks.due, stacks.resolved_key
            following = replace(following, stacks_key=key, stacks_due=due, resolved_key=resolved)
            attributes |= {"stacks_key": key, "stacks_due": None if due is None else due.value, "resolved_key": resolved}
        writes: list[Write] = [self._update(record, attributes)]
        if record.locked_service is not None:
            writes.append(Check(items.lock_key(record.locked_service), has_entry("holders", record.operation_id)))
        if new is not None:
            next_in_line = Condition(
                "attribute_not_exists(pk) OR #c_last = :c_last",
                {"#c_last": "last_release"},
                {":c_last": new.last_release - taking},
            )
            writes.append(Put(items.service_key(new.name), items.service_item(new), next_in_line))
        self._transact(writes)
        return following

    def record_progress(self, record: OperationRecord, progress_key: str) -> OperationRecord:
        """How far a long worker came, for whoever goes on with it."""
        self._transact([self._update(record, {"progress_key": progress_key})])
        return replace(record, progress_key=progress_key)

    def record_failure(
        self, record: OperationRecord, failure: Refusal, *, calls_ended: bool, moved: Mapping[FunctionArn, str]
    ) -> OperationRecord:
        """Win ``converging -> compensating``, with the reason. Superseded if it was committed (or won by another)."""
        following = replace(
            record, status=Status.COMPENSATING, failure=failure, calls_ended=calls_ended, moved=moved, epoch=record.epoch + 1
        )
        attributes = {
            "status": following.status.value,
            "failure": items.failure_attribute(failure),
            "calls_ended": calls_ended,
            "moved": dict(moved),
            "epoch": following.epoch,
        }
        self._transact([self._update(record, attributes)])
        return following

    def record_published(self, record: OperationRecord, published: Mapping[FunctionArn, Published]) -> OperationRecord:
        """The versions that exist by now, so that another run of the step has only to wait for them."""
        since = record.publishing_since or self._clock.now()
        attributes = {"published": items.published_attribute(published), "publishing_since": items.seconds(since)}
        self._transact([self._update(record, attributes)])
        return replace(record, published=published, publishing_since=since)

    def record_moved(self, record: OperationRecord, moved: Mapping[FunctionArn, str]) -> OperationRecord:
        self._transact([self._update(record, {"moved": dict(moved)})])
        return replace(record, moved=moved)

    # Per-function items: only joining and publishing write them.

    def join(self, record: OperationRecord, service: ServiceName, claims: Mapping[FunctionArn, Claim]) -> None:
        """Claim functions, in chunks. After ClaimLost some chunks may be written: compensation puts them back.

        That a service has had a function is remembered beside the claim and stays: its versions must be found by every sweep.
        """
        arns = list(claims)
        per_chunk = (_CHUNK - 1) // 2
        for start in range(0, len(arns), per_chunk):
            chunk = arns[start : start + per_chunk]
            known = Put(items.known_service_key(service), {"service": service})
            members = [Put(items.member_key(service, arn), items.member_item(arn, claims[arn].function)) for arn in chunk]
            writes: list[Write] = [self._mandate(record)]
            for arn in chunk:
                mine = Condition(
                    "attribute_not_exists(pk) OR #c_service = :c_service",
                    {"#c_service": "service"},
                    {":c_service": claims[arn].service},
                )
                writes.append(Put(items.claim_key(arn), items.claim_item(claims[arn]), mine))
            try:
                self._table.transact([*writes, *members, known])
            except TransactionRefused as refused:
                if 0 in refused.failed:
                    raise Superseded(f"operation {record.operation_id} went on without this worker") from refused
                raise ClaimLost([chunk[index - 1] for index in sorted(refused.failed)]) from refused

    def claim_anew(self, record: OperationRecord, service: ServiceName, arn: FunctionArn, function: LogicalName) -> bool:
        """Claim a function that nobody has; what is the service's already stays as it is. False if another one has it."""
        writes: list[Write] = [
            self._mandate(record),
            Put(items.claim_key(arn), items.claim_item(Claim(service, function)), absent()),
            Put(items.member_key(service, arn), items.member_item(arn, function)),
            Put(items.known_service_key(service), {"service": service}),
        ]
        try:
            self._table.transact(writes)
        except TransactionRefused as refused:
            if 0 in refused.failed:
                raise Superseded(f"operation {record.operation_id} went on without this worker") from refused
            claim = self._store.claims([arn]).get(arn)
            return claim is not None and claim.service == service
        return True

    def write_claims(self, record: OperationRecord, claims: Mapping[FunctionArn, tuple[Claim, Claim | None]]) -> None:
        """From the claims that were seen to others; None frees the function. Superseded if one is not as it was seen."""
        arns = list(claims)
        for start in range(0, len(arns), _CHUNK):
            writes: list[Write] = [self._mandate(record)]
            for arn in arns[start : start + _CHUNK]:
                seen, claim = claims[arn]
                if claim is None:
                    writes.append(Delete(items.claim_key(arn), _as_seen(seen)))
                else:
                    writes.append(Put(items.claim_key(arn), items.claim_item(claim), _as_seen(seen)))
            self._transact(writes)

    def free_claims(
        self, record: OperationRecord, service: ServiceName, claims: Mapping[FunctionArn, tuple[Claim, None]], lock: Lock
    ) -> bool:
        """Free functions, provided that nobody was granted anything since ``lock`` was read; False if somebody was."""
        for start in range(0, len(claims), _CHUNK - 1):
            writes: list[Write] = [self._mandate(record)]
            for arn, (seen, _) in list(claims.items())[start : start + _CHUNK - 1]:
                writes.append(Delete(items.claim_key(arn), _as_seen(seen)))
            if not self._changed_lock(writes, service, lock, lock):
                return False
        return True

    def record_versions(self, record: OperationRecord, versions: Sequence[VersionRecord]) -> None:
        """The ledger of each function, and where its content is found. Repeating it writes the same."""
        at = iso(self._clock.now())
        per_chunk = _CHUNK // 2
        for start in range(0, len(versions), per_chunk):
            writes: list[Write] = [self._mandate(record)]
            for version in versions[start : start + per_chunk]:
                number = version.published.version
                publisher = record.operation_id if version.published.ours else None
                item = items.version_item(version.arn, number, version.content, publisher, at)
                writes.append(Put(items.version_key(version.arn, number), item))
                writes.append(Put(items.content_key(version.arn, version.content), {"version": number.value}))
            self._transact(writes)

    def record_release(
        self,
        record: OperationRecord,
        release: Release,
        *,
        new: bool,
        published: Mapping[FunctionArn, Published],
        give_back: frozenset[str],
    ) -> OperationRecord:
        """The versions exist: write the release, remember the versions, and let go of what is needed no more."""
        writes: list[Write] = [self._update(record, {"published": items.published_attribute(published)})]
        if new:
            writes += self._release_puts(record, release)
        if give_back:
            self._with_lock(record, writes, lambda lock: lock_rules.release(lock, record.operation_id, give_back))
        else:
            self._transact(writes)
        return replace(record, published=published)

    # Adopting: what is there already goes on record.

    def record_found(self, record: OperationRecord, versions: Sequence[AdoptedVersion]) -> None:
        """Versions that are nobody's, and where contents are found. What is on record of a version stays as it is."""
        at = iso(self._clock.now())
        per_chunk = _CHUNK // 2
        for start in range(0, len(versions), per_chunk):
            writes: list[Write] = [self._mandate(record)]
            for each in versions[start : start + per_chunk]:
                if each.new:
                    item = items.version_item(each.arn, each.version, each.content, None, at)
                    writes.append(Put(items.version_key(each.arn, each.version), item))
                if each.realises:
                    writes.append(Put(items.content_key(each.arn, each.content), {"version": each.version.value}))
            self._transact(writes)

    def record_releases(self, record: OperationRecord, releases: Sequence[Release]) -> None:
        """One after the other: one of 500 functions fills a good part of a transaction."""
        for release in releases:
            self._transact([self._mandate(record), *self._release_puts(record, release)])

    def commit_adoption(
        self, record: OperationRecord, stages: Sequence[tuple[Stage, Movement | None]], end: End
    ) -> OperationRecord:
        """``converging -> committed`` and the end, with all stages at once."""
        extra = [write for stage, movement in stages for write in self._stage_writes(record, stage, movement)]
        return self._end(record, Status.COMMITTED, end, extra, {"committed_at": iso(self._clock.now())})

    def _release_puts(self, record: OperationRecord, release: Release) -> list[Write]:
        """A new release, and what finds it by its content."""
        service = known(record.service)
        item = items.release_item(release, record.operation_id, iso(self._clock.now()))
        pointer = Put(items.release_digest_key(service, release.digest), {"release": release.number})
        return [Put(items.release_key(service, release.number), item), pointer]

    # The lock.

    def ask_for_lock(self, record: OperationRecord, slots: frozenset[str]) -> Answer:
        """Grant, queue or give up, in one conditional write under the worker's mandate: an ask that is late must not be granted
        what the operation has let go of since."""
        service = known(record.service)
        wish = _entry(record, slots, record.asked_at)
        for _ in range(LOCK_ATTEMPTS):
            lock = self._store.lock(service)
            changed, answer = lock_rules.ask(lock, wish, self._clock.now())
            if changed == lock:
                return answer
            if self._changed_lock([self._mandate(record)], service, lock, changed):
                return answer
        raise Unanswered(f"asking for the lock of service {service}", "others were faster every time")

    def ask_to_collect(self, record: OperationRecord, service: ServiceName) -> tuple[OperationRecord, Answer]:
        """Ask for ``collect`` of one service after the other, with new patience for each; the answer comes with the mandate."""
        following = replace(record, epoch=record.epoch + 1, phase=Phase.COLLECT, collecting=service)
        attributes = {"epoch": following.epoch, "phase": following.phase.value, "collecting": service}
        for _ in range(LOCK_ATTEMPTS):
            lock = self._store.lock(service)
            usable = self._without_ended_sweeper(lock, record.operation_id)
            now = self._clock.now()
            since = next((waiter.since for waiter in lock.queue if waiter.operation_id == record.operation_id), now)
            wish = _entry(record, frozenset({lock_rules.COLLECT}), since)
            # All services together must be done before the state machine's time is over.
            wish = replace(wish, gives_up_at=min(wish.gives_up_at, max(since, record.asked_at + _SWEEP_PATIENCE)))
            changed, answer = lock_rules.ask(usable, wish, now)
            if self._changed_lock([self._update(record, attributes)], service, lock, changed):
                # Held already: by a worker that died, or by one that is only late.
                held = lock_rules.holds(lock, record.operation_id, frozenset())
                return replace(following, overlapped=held), answer
        raise Unanswered(f"asking for the lock of service {service}", "others were faster every time")

    def _without_ended_sweeper(self, lock: Lock, asking: OperationId) -> Lock:
        """A sweep that ended between two batches has nobody stand aside any more."""
        if lock.sweeper is None or lock.sweeper.operation_id == asking:
            return lock
        at_work = self._store.operation(lock.sweeper.operation_id)
        ended = at_work is None or at_work.end is not None
        return lock_rules.sweep_is_over(lock, lock.sweeper.operation_id) if ended else lock

    def free_stray(self, operation_id: OperationId, service: ServiceName) -> bool:
        """Take an operation that is not on record out of the lock; False if it is on record after all."""
        unknown = Check(items.operation_key(operation_id), absent())
        for _ in range(LOCK_ATTEMPTS):
            seen = self._store.lock(service)
            try:
                free = lock_rules.sweep_is_over(lock_rules.release(seen, operation_id), operation_id)
                if self._changed_lock([unknown], service, seen, free):
                    return True
            except Superseded:
                return False
        raise Unanswered(f"changing the lock of service {service}", "others were faster every time")

    def let_go(self, record: OperationRecord, progress_key: str, *, done: bool = False) -> OperationRecord:
        """Let others in between two batches of a sweep, with what the batch did on record; other sweeps as well when ``done``."""
        update = self._update(record, {"progress_key": progress_key, "collecting": None})

        def change(lock: Lock) -> Lock:
            lock = lock_rules.release(lock, record.operation_id)
            return lock_rules.sweep_is_over(lock, record.operation_id) if done else lock

        self._with_lock(record, [update], change, must_hold=False)
        return replace(record, progress_key=progress_key, collecting=None)

    # The custom resource's Lambda, which is no operation.

    def ask_for_lease(self, wish: Entry, service: ServiceName) -> Answer:
        """Ask for ``collect`` without an operation: granted, it ends by itself."""
        for _ in range(LOCK_ATTEMPTS):
            lock = self._store.lock(service)
            changed, answer = lock_rules.ask(lock, wish, self._clock.now())
            if changed == lock or self._changed_lock([], service, lock, changed):
                return answer
        raise Unanswered(f"asking for the lock of service {service}", "others were faster every time")

    def check_lease(self, wish: Entry, service: ServiceName) -> None:
        """Raise Superseded unless the lease is still held."""
        now = self._clock.now()
        held = next((each for each in self._store.lock(service).holders if each.operation_id == wish.operation_id), None)
        if held is None or now >= held.since + lock_rules.LEASE_SECONDS - lock_rules.LEASE_MARGIN:
            raise Superseded(f"{wish.operation_id} does not hold the lock of service {service} any more")

    def end_lease(self, wish: Entry, service: ServiceName) -> None:
        """Give it back, or the place in the queue."""
        for _ in range(LOCK_ATTEMPTS):
            lock = self._store.lock(service)
            free = lock_rules.release(lock, wish.operation_id)
            if free == lock or self._changed_lock([], service, lock, free):
                return
        raise Unanswered(f"changing the lock of service {service}", "others were faster every time")

    # Tearing down: what was recorded is taken off the record again, piece by piece, so that a worker that died can be followed.

    def record_tearing_down(self, record: OperationRecord, stage: Stage) -> None:
        """From now on the stage's aliases may be gone."""
        following = replace(stage, tearing_down=True)
        self._transact([self._mandate(record), *self._stage_writes(record, following, None)])

    def forget_stage(self, record: OperationRecord, stage: Stage, movement: Movement) -> None:
        """The stage is gone; its ledger stays, with the movement that says so."""
        self._transact([self._mandate(record), *self._gone(record, stage, movement)])

    def forget_items(self, record: OperationRecord, keys: Sequence[Key]) -> None:
        for start in range(0, len(keys), _CHUNK):
            self._transact([self._mandate(record), *(Delete(key) for key in keys[start : start + _CHUNK])])

    def commit_teardown(self, record: OperationRecord, stage: Stage, movement: Movement, end: End) -> OperationRecord:
        """``converging -> committed`` and the end, with the stage's last movement."""
        attributes = {"committed_at": iso(self._clock.now())}
        return self._end(record, Status.COMMITTED, end, self._gone(record, stage, movement), attributes)

    def commit_service_teardown(self, record: OperationRecord, end: End) -> OperationRecord:
        """The same for a whole service, of which stages and everything else are off the record already."""
        attributes = {"committed_at": iso(self._clock.now())}
        service = known(record.service)
        extra = [Delete(items.service_key(service)), Delete(items.known_service_key(service))]
        return self._end(record, Status.COMMITTED, end, extra, attributes, forget_lock=True)

    def _gone(self, record: OperationRecord, stage: Stage, movement: Movement) -> list[Write]:
        service = known(record.service)
        return [Delete(items.stage_key(service, stage.name), has("revision", stage.revision)), movement_put(service, movement)]

    # The end.

    def commit(
        self,
        record: OperationRecord,
        stage: Stage | None,
        movement: Movement | None,
        end: End | None,
        due: When | None = None,
    ) -> OperationRecord:
        """``converging -> committed``: stage, movement and status at once; the lock too, if this is the end (``end``).

        ``due`` are the steps of stacks that follow.
        """
        status = Status.COMMITTED
        _check_way(record, status)
        attributes: dict[str, Any] = {"committed_at": iso(self._clock.now())}
        extra = self._stage_writes(record, stage, movement)
        if end is None:
            following = replace(record, status=status, epoch=record.epoch + 1, stacks_due=due)
            attributes |= {"status": status.value, "epoch": following.epoch, "stacks_due": None if due is None else due.value}
            lock_held = Check(items.lock_key(known(record.service)), has_entry("holders", record.operation_id))
            self._transact([self._update(record, attributes), lock_held, *extra])
            return following
        return self._end(record, status, end, extra, attributes)

    def end(
        self, record: OperationRecord, status: Status, end: End, stage: Stage | None = None, movement: Movement | None = None
    ) -> OperationRecord:
        """The operation is over: status, outcome and the release of everything it holds, in one transaction."""
        return self._end(record, status, end, self._stage_writes(record, stage, movement), {})

    def _end(
        self,
        record: OperationRecord,
        status: Status,
        end: End,
        extra: Sequence[Write],
        attributes: Mapping[str, Any],
        *,
        forget_lock: bool = False,
    ) -> OperationRecord:
        _check_way(record, status)
        ended = items.end_attributes(end, iso(self._clock.now()))
        update = self._update(record, {**attributes, **ended, "status": status.value, "epoch": record.epoch + 1})
        if record.locked_service is None:
            self._transact([update, *extra])
        else:
            # One that asked for other slots and did not get them ends without any.
            holding = status in (Status.COMMITTED, Status.ENDED) and record.stacks_due is not When.CLEAN_UP
            let_go = functools.partial(lock_rules.release, operation_id=record.operation_id)
            self._with_lock(record, [update, *extra], let_go, must_hold=holding, forget=forget_lock)
        return replace(record, status=status, end=end, epoch=record.epoch + 1)


def _check_way(record: OperationRecord, status: Status) -> None:
    if not may_become(record.status, status):
        raise AssertionError(f"operation {record.operation_id} cannot go from {record.status} to {status}")


def _as_seen(claim: Claim) -> Condition:
    return functools.reduce(operator.and_, (has(name, value) for name, value in items.claim_item(claim).items()))


def _entry(record: OperationRecord, slots: frozenset[str], since: float) -> Entry:
    """The operation as the lock knows it."""
    return Entry(record.operation_id, record.kind.value, slots, since, gives_up_at=since + record.lock_wait_seconds)
