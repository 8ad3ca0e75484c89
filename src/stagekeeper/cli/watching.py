"""Watching an operation until it has ended: its record in the table often, its execution seldom, and what is in its way.

Must not know how what it sees is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import boto3
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from stagekeeper.aws.clock import Clock, SystemClock
from stagekeeper.aws.errors import CallFailed, Throttled
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import Table
from stagekeeper.cli.executing import Executions, executions_of, quick_config, subject_of, unknown
from stagekeeper.cli.paper import clean
from stagekeeper.cli.progress import Ended, Look, Lost, Queued, Subject, queued
from stagekeeper.cli.session import Session
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import OperationKind, Status
from stagekeeper.domain.record import OperationNow, Succeeded

#: How long (seconds) looking goes on without an answer from AWS: so does the operation.
NETWORK_PATIENCE = 60.0
#: How long (seconds) an operation that lost its execution may be without one that recovers it.
RECOVERY_PATIENCE = 180.0
#: How long (seconds) Step Functions may not know an execution that was started just now: it is eventually consistent.
YOUNG = 60.0
#: The same where it was started some time before: a name that nobody knows is a wrong one.
KNOWN = 3.0
#: The longest pauses (seconds) while AWS throttles, and while it does not answer.
THROTTLED_PAUSE, UNANSWERED_PAUSE = 30.0, 5.0
#: How often (seconds) it is looked who is in an operation's way: its own record says nothing of that.
LOCK_PAUSE = 2.0

#: These have no record.
_UNRECORDED = (OperationKind.VERIFY, OperationKind.RECOVER)


def record_pause(elapsed: float) -> float:
    """How long (seconds) until the record is read again, so long (seconds) after watching began."""
    return 0.5 if elapsed < 10 else 1.0 if elapsed < 60 else 2.0


def execution_pause(elapsed: float, *, recorded: bool) -> float:
    """The same for Step Functions, which refills 10 to 15 answers a second for the whole account.

    ``recorded``: there is a record, which tells everything but that an execution died. Without one nothing else tells anything.
    """
    return min(15.0, (5.0 if recorded else 1.0) + elapsed / 12)


def watch(session: Session, subject: Subject, *, young: bool) -> Iterator[Look]:
    """See ``Watcher``. ``young``: it was started just now."""
    clock, plane = SystemClock(), session.plane  # which settles where AWS is, before the first client is made
    client = boto3.resource("dynamodb", config=quick_config()).meta.client
    store = Store(Table(client, plane.table, clock))
    return Watcher(executions_of(session), store, clock, subject, known_within=YOUNG if young else KNOWN).looks()


@dataclass(slots=True)
class Watcher:
    """Looks at one operation until it has ended. ``known_within``: how long (seconds) nobody may know of it."""

    executions: Executions
    store: Store
    clock: Clock
    subject: Subject
    known_within: float = YOUNG
    _began: float = 0.0
    _read_next: float = 0.0
    _ask_next: float = 0.0
    _lock_next: float = 0.0
    _now: OperationNow | None = None
    _queued: Queued | None = None
    _actors: dict[OperationId, str | None] = field(default_factory=dict)
    #: Since when its execution is over without an outcome, and how it ended.
    _orphaned: tuple[float, Ended] | None = None
    _trouble_since: float | None = None
    _slower: float = 1.0

    def looks(self) -> Iterator[Look]:
        """One look after the other; only the last has ``ended``.

        Raises CallFailed where looking is not allowed, or gets no answer for too long, and CommandFailed where nobody knows the
        operation.
        """
        self._began = self._read_next = self._ask_next = self._lock_next = self.clock.now()
        if self.known_within == YOUNG:
            self._ask_next += execution_pause(0, recorded=False)
        while True:
            look = self._careful_look()
            yield look
            if look.ended is not None:
                return
            wait = min(self._read_next, self._ask_next) - self.clock.now()
            if wait > 0:
                self.clock.sleep(wait)

    def _careful_look(self) -> Look:
        """A look, or what is in its way: throttles are no failure, and what gets no answer is asked again for a while."""
        try:
            ended = self._look()
        except CallFailed as error:
            return self._after(error)
        self._trouble_since, self._slower = None, 1.0
        died = None if self._orphaned is None else _death(self._orphaned[1])
        return Look(self.clock.now(), self.subject, self._now, self._queued, died=died, ended=ended)

    def _after(self, error: CallFailed) -> Look:
        now = self.clock.now()
        since = self._trouble_since = now if self._trouble_since is None else self._trouble_since
        throttled = isinstance(error, Throttled)
        if not throttled and not (_is_network(error) and now - since < NETWORK_PATIENCE):
            raise error
        self._slower = min(self._slower * 2, 64)
        longest = THROTTLED_PAUSE if throttled else UNANSWERED_PAUSE
        again = now + min(longest, record_pause(now - self._began) * self._slower)
        self._read_next, self._ask_next = max(self._read_next, again), max(self._ask_next, again)
        said = "AWS is asked too often at the moment" if throttled else "AWS does not answer at the moment"
        return Look(now, self.subject, trouble=f"{said}; the operation goes on, and is looked at again.")

    def _look(self) -> Ended | None:
        now = self.clock.now()
        if now >= self._read_next:
            self._read_next = now + record_pause(now - self._began)
            ended = self._read_record()
            if ended is not None:
                return ended
        if now >= self._ask_next:
            self._ask_next = now + execution_pause(now - self._began, recorded=self._now is not None)
            return self._ask_step_functions(now)
        return None

    def _read_record(self) -> Ended | None:
        if self.subject.dry_run or self.subject.kind in _UNRECORDED:
            return None
        found = self.store.operation_now(self.subject.operation_id)
        if found is None:
            return None
        now = self.clock.now()
        if self._now is None:
            self._ask_next = max(self._ask_next, now + execution_pause(now - self._began, recorded=True))
        self._now = found
        self.subject = replace(self.subject, kind=found.kind, service=found.service, stage=found.stage)
        if found.has_ended:
            self._queued = None
            return self.store.operation_end(self.subject.operation_id)
        self._look_at_lock(found, now)
        return None

    def _look_at_lock(self, found: OperationNow, now: float) -> None:
        service = found.locked_service
        if service is None or not _may_wait(found):
            self._queued = None
        elif now >= self._lock_next:
            self._lock_next = now + LOCK_PAUSE
            lock, own = self.store.lock(service), self.subject.operation_id
            wait = queued(lock, own, now, self._actors)
            if wait is not None:
                first = wait.blockers[0].entry
                if first.operation_id not in self._actors:
                    at_work = None if first.is_lease else self.store.operation_now(first.operation_id)
                    self._actors[first.operation_id] = None if at_work is None else at_work.actor
                wait = queued(lock, own, now, self._actors)
            self._queued = wait

    def _ask_step_functions(self, now: float) -> Ended | None:
        carrier = self.subject.operation_id if self._now is None else self._now.execution
        execution = self.executions.look(carrier)
        if execution is None and self._now is None:
            if now - self._began < self.known_within:
                return None
            raise unknown(self.subject.operation_id, _CHECK)
        if execution is not None and self.subject.kind is None:
            self.subject = subject_of(self.subject.operation_id, execution.request)
        if execution is not None and execution.ended is None:
            self._orphaned = None
            return None
        # It may have ended properly between the record's last look and this answer.
        ended = self._read_record()
        if ended is not None:
            return ended
        gone: Ended = Lost(_GONE) if execution is None or execution.ended is None else execution.ended
        if isinstance(gone, Succeeded):
            return gone
        if self._now is None:
            return replace(gone, begun=False) if isinstance(gone, Lost) else gone
        if self._now.execution != carrier:
            self._orphaned = None  # somebody recovers it
            return None
        self._orphaned = self._orphaned or (now, gone)
        return gone if now - self._orphaned[0] >= RECOVERY_PATIENCE else None


_GONE = "GONE"
_CHECK = (
    ": nothing is on record under that name, and no execution has it. Check the spelling, and where you look (--profile, "
    "--region, --stack, --local)"
)


def _may_wait(now: OperationNow) -> bool:
    """Whether it may be waiting for its lock."""
    match now.status:
        case Status.PLANNED:
            return now.epoch == 1
        case Status.CONVERGING if now.kind is OperationKind.TEARDOWN:
            # It let go of its stage, and asks for the whole service.
            return now.has_stacks and now.stacks_due is None and not now.planned
        case Status.CONVERGING:
            return now.kind is OperationKind.SWEEP
        case Status.COMMITTED:
            return now.stacks_due is not None
    return False


def _is_network(error: CallFailed) -> bool:
    """Whether it says nothing but that AWS was not reached, or could not answer."""
    match error.__cause__:
        case NotConnected() | HTTPClientError():
            return True
        case ClientError(response=response):
            return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)) >= 500
    return False


def _death(ended: Ended) -> str:
    match ended:
        case Lost(status=status, why=why):
            said = "" if why is None else f" ({clean(why)})"
            return "is not there any more" if status == _GONE else f"ended as {status}{said}"
    return "failed"
