"""Sweeps on behalf of somebody's template: as an operation does, but in one go, by a Lambda that CloudFormation waits for.

A look at everything without a lock, then batches: those of a service under a lease of its lock, each version judged anew. A fact
that cannot be read, a lock that is not to be had, a stack that goes back, or too little time ends it with what was done by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Never

from stagekeeper.aws.errors import CallFailed, Throttled, Unanswered
from stagekeeper.aws.lambda_api import LambdaApi
from stagekeeper.aws.mandated import Superseded
from stagekeeper.aws.table import MalformedItem
from stagekeeper.domain.facts import Absent, StackSeen, Unreadable
from stagekeeper.domain.lock import COLLECT, LEASE, Entry, GaveUp, Granted
from stagekeeper.domain.model import FunctionArn, LogicalName, OperationId, ServiceName, VersionNumber
from stagekeeper.domain.operation import Phase, seconds_until_calls_ended
from stagekeeper.domain.orphaned_versions import Outcome, Wish, Word
from stagekeeper.domain.orphans import FunctionFacts, Verdict, orphans
from stagekeeper.domain.own_stack import without_own_progress
from stagekeeper.domain.reach import ServiceFacts, ServiceIndex, index
from stagekeeper.domain.sweep import Place, place
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.judgement import AT_ONCE, BATCH, DELETE, LOOK, PAUSE, judged_anew
from stagekeeper.engine.own_stack import RollingBack, look_at_own
from stagekeeper.engine.survey import (
    POLICIES_PER_SECOND,
    Surroundings,
    function_facts,
    holding,
    on_record,
    surroundings,
    with_policies,
)
from stagekeeper.engine.telemetry import Judged, SweepTold

#: How long (seconds) the lock of a service is waited for, and how often it is asked for.
_PATIENCE, _ASK_EVERY = 20.0, 1.0
#: So long (seconds) before its time is over no further function is looked at: what was found is to be deleted, too.
_FOR_DELETING = 60.0
#: How long (seconds) it waits before it tries once more what AWS throttled, or did not answer.
_TRY_AGAIN_AFTER = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)


class _Ends(Exception):
    """The sweep ends here, with this word."""

    def __init__(self, word: Word, detail: str) -> None:
        super().__init__(detail)
        self.word, self.detail = word, detail


class _Later(Exception):
    """Not now, but maybe in a while."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Functions that are judged by one service's record; of no service: by none."""

    service: ServiceName | None
    functions: Mapping[FunctionArn, LogicalName]


def sweep_for_template(
    deps: Deps, wish: Wish, own: StackSeen, holder: OperationId, deadline: float, deleted_one: Callable[[], None]
) -> Outcome:
    """Sweep, and say how it went; ``deleted_one`` is called for each version that is deleted.

    ``holder`` is this call's name in locks, ``own`` the stack that asks; nothing is begun after ``deadline`` (epoch seconds).
    """
    sweep = _Sweep(deps, wish, own, holder, deadline, deleted_one)
    try:
        ended = sweep.run()
    except _Ends as end:
        ended = end
    except CallFailed as error:
        ended = _Ends(Word.UNREADABLE, f"{error.what}: {error.why}")
    except MalformedItem as error:
        ended = _Ends(Word.UNREADABLE, f"the state table: {error}")
    if wish.delete:
        sweep.settle()
    deps.telemetry.swept(
        SweepTold(
            sweep=holder,
            deleted=wish.delete,
            judged=list(sweep.judged.values()),
            failures=int(ended.word is Word.UNREADABLE),
            left_out=int(ended.word is Word.LOCKED),
        )
    )
    # What nothing came of has no counts.
    kept = sweep.kept if ended.word in (Word.SWEPT, Word.REPORTED, Word.OUT_OF_TIME) else 0
    return Outcome(ended.word, ended.detail, len(sweep.deleted), kept)


@dataclass(slots=True)
class _Sweep:
    """``judged`` is what is known of every version, ``ahead`` what is still to be deleted, ``unsure`` the versions whose deletion
    was asked for and not answered, ``unread`` how many there was no time to look at in full. ``missing`` are functions that are
    not there, ``listed`` what stacks have: the logical id of each resource by its physical id."""

    deps: Deps
    wish: Wish
    own: StackSeen
    holder: OperationId
    deadline: float
    deleted_one: Callable[[], None]
    judged: dict[Place, Judged] = field(default_factory=dict)
    ahead: dict[FunctionArn, list[Verdict]] = field(default_factory=dict)
    deleted: set[Place] = field(default_factory=set)
    unsure: set[Place] = field(default_factory=set)
    unread: int = 0
    missing: list[FunctionArn] = field(default_factory=list)
    listed: dict[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        return len(self.judged) - len(self.deleted)

    def run(self) -> _Ends:
        groups = self._groups()
        if self.wish.delete:
            # Who cannot have a lock is told so at once, and not after having looked at everything.
            for group in groups:
                with self._lock_of(group.service):
                    pass
        around = surroundings(self.deps)
        if isinstance(around, Unreadable):
            _unreadable(around)
        unseen = sum(self._survey(group, around) for group in groups)
        if self.wish.delete:
            for group in groups:
                self._collect(group)
        ahead = sum(map(len, self.ahead.values()))
        told = f"{len(self.deleted)} deleted" if self.wish.delete else f"{ahead} would be deleted"
        if self.missing and isinstance(self.wish.functions, tuple):
            more = f" and {len(self.missing) - 3} more" if len(self.missing) > 3 else ""
            told += f"; not there: {', '.join(arn.rpartition(':')[2] for arn in self.missing[:3])}{more}"
        left = self.unread + (ahead if self.wish.delete else 0)
        if left or unseen:
            return _Ends(Word.OUT_OF_TIME, f"{told}; {left} versions and {unseen} functions are left for the next sweep")
        return _Ends(Word.SWEPT if self.wish.delete else Word.REPORTED, told)

    def settle(self) -> None:
        """What is still ahead was not reached, and stays."""
        for verdicts in self.ahead.values():
            for verdict in verdicts:
                self._keep(replace(verdict, remove=False, reason="not reached"))
        self.ahead.clear()

    # What is asked for.

    def _groups(self) -> list[_Group]:
        """The functions by the services that claim them, in order; those of no service last."""
        if not isinstance(self.wish.functions, tuple):
            service = self.wish.functions
            if service not in self.deps.store.services():
                raise _Ends(Word.SERVICE_NOT_FOUND, f"there is no service {service}")
            return [_Group(service, on_record(self.deps, service, self.holder).functions)]
        claims = self.deps.store.claims(self.wish.functions)
        by_service: dict[ServiceName | None, dict[FunctionArn, LogicalName]] = {}
        for arn in self.wish.functions:
            claim = claims.get(arn)
            name = LogicalName(arn.rpartition(":")[2]) if claim is None else claim.function
            by_service.setdefault(None if claim is None else claim.service, {})[arn] = name
        return [_Group(service, by_service[service]) for service in sorted(by_service, key=lambda each: (each is None, each))]

    # Looking, without a lock.

    def _survey(self, group: _Group, around: Surroundings) -> int:
        """A verdict on every version; how many functions there was no time for."""
        known, api = self._known(group.service), self.deps.lambda_api.unhurried()
        for done, (arn, function) in enumerate(group.functions.items()):
            if self.deps.clock.now() > self.deadline - _FOR_DELETING:
                return len(group.functions) - done
            verdicts = self._looked_at(api, around, known, group.service, function, arn)
            self.judged |= {place(verdict): Judged(group.service, verdict) for verdict in verdicts}
            if removed := [verdict for verdict in verdicts if verdict.remove]:
                self.ahead[arn] = removed
        return 0

    def _looked_at(
        self,
        api: LambdaApi,
        around: Surroundings,
        known: ServiceIndex,
        service: ServiceName | None,
        function: LogicalName,
        arn: FunctionArn,
    ) -> Sequence[Verdict]:
        facts = function_facts(self.deps, api, function, arn, around)
        if isinstance(facts, Absent):
            self.missing.append(arn)
            return []
        if isinstance(facts, Unreadable):
            _unreadable(facts)
        facts, now = self._amended(service, facts), self.deps.clock.now()
        # Policies are read of all that nothing else holds, the newest ones included: which of them are kept depends on it.
        bare = replace(self.wish.settings, keep=0)
        candidates = [verdict for verdict in orphans(facts, known, bare, now) if verdict.remove]
        affordable = max(0, int((self.deadline - _FOR_DELETING - now) * POLICIES_PER_SECOND))
        unread = candidates[affordable:]
        self.unread += len(unread)
        (whole,) = with_policies(self.deps, [holding(facts, unread)], candidates[:affordable])
        if isinstance(whole, Unreadable):
            _unreadable(whole)
        return orphans(whole, known, self.wish.settings, now)

    def _known(self, service: ServiceName | None) -> ServiceIndex:
        if service is None:
            return index(ServiceFacts((), (), (), {}))
        return index(on_record(self.deps, service, self.holder).facts)

    def _amended(self, service: ServiceName | None, facts: FunctionFacts) -> FunctionFacts:
        """With what is known here and not by AWS's facts of the function alone."""
        held: dict[VersionNumber, str] = {}
        if service is None:
            # The service that had the function may still have it on a way back: its own sweeps know.
            on_record = [found.version for found in facts.versions if found.ours or found.content is not None]
            held |= dict.fromkeys(on_record, "it is on record of a service that had the function, whose sweeps judge it")
        if not self.wish.leaving:
            for stack_id in {self.own.stack_id, *(stack.stack_id for stack in facts.stacks)}:
                held |= self._listed(stack_id, facts)
        return replace(without_own_progress(facts, self.own), held=held)

    def _listed(self, stack_id: str, facts: FunctionFacts) -> dict[VersionNumber, str]:
        """The versions that are a stack's resources: until its update has ended, it may go back to any of them."""
        if stack_id not in self.listed:
            resources = self.deps.stacks.resources_of(stack_id)
            if isinstance(resources, Unreadable):
                _unreadable(resources)
            self.listed[stack_id] = resources
        listed = self.listed[stack_id]
        here = {found.version: listed.get(f"{facts.arn}:{found.version}") for found in facts.versions}
        return {version: f"stack {stack_id.split('/')[1]} has it as {name}" for version, name in here.items() if name is not None}

    # Deleting, batch by batch.

    def _collect(self, group: _Group) -> None:
        api, failed = self.deps.lambda_api.impatient(), 0
        while mine := [arn for arn in group.functions if arn in self.ahead]:
            if self.deps.clock.now() > self.deadline:
                return
            before = len(self.deleted), sum(map(len, self.ahead.values()))
            try:
                with self._lock_of(group.service) as lease:
                    self._batch(api, group.service, lease, mine)
            except (_Later, Throttled, Unanswered) as error:
                failed = 0 if before != (len(self.deleted), sum(map(len, self.ahead.values()))) else failed + 1
                if failed > len(_TRY_AGAIN_AFTER):
                    raise _Ends(Word.UNREADABLE, str(error)) from error
                pause = _TRY_AGAIN_AFTER[max(failed, 1) - 1]
                if self.deps.clock.now() + pause > self.deadline:
                    return
                self.deps.clock.sleep(pause)

    @contextmanager
    def _lock_of(self, service: ServiceName | None) -> Iterator[Entry | None]:
        """While inside, nobody else is at work on the service; then they are let in. Functions of no service need no lock."""
        if service is None:
            yield None
            return
        now = self.deps.clock.now()
        lease = Entry(self.holder, LEASE, frozenset({COLLECT}), now, now + _PATIENCE)
        try:
            self._wait_for(lease, service)
            yield lease
        except Unanswered:
            # A deletion may still be under way: nobody is let in before it must have ended.
            self.deps.clock.sleep(seconds_until_calls_ended(Phase.COLLECT))
            raise
        finally:
            # If it cannot be given back it ends by itself.
            with suppress(CallFailed):
                self.deps.journal.end_lease(lease, service)
            self.deps.clock.sleep(PAUSE)

    def _wait_for(self, lease: Entry, service: ServiceName) -> None:
        while not isinstance(answer := self.deps.journal.ask_for_lease(lease, service), Granted):
            if isinstance(answer, GaveUp):
                first = answer.blockers[0]
                raise _Ends(Word.LOCKED, f"{first.operation} {first.operation_id} is at work on service {service}")
            self.deps.clock.sleep(_ASK_EVERY)

    def _batch(self, api: LambdaApi, service: ServiceName | None, lease: Entry | None, arns: Sequence[FunctionArn]) -> None:
        """As many of the versions as there is time for, function by function, one at least."""
        until = self.deps.clock.now() + BATCH
        own = look_at_own(self.deps.stacks, self.own.stack_id)
        if isinstance(own, RollingBack):
            # It began to while this was at work: something else in the stack failed.
            raise _Ends(Word.ROLLBACK, own.why)
        around, known = surroundings(self.deps), self._known(service)
        if isinstance(around, Unreadable):
            raise _Later(f"{around.what}: {around.why}")
        for begun, arn in enumerate(arns):
            if begun and self.deps.clock.now() > until - LOOK:
                return
            mine = self.ahead[arn][:AT_ONCE]
            now = judged_anew(self.deps, api, around, known, self.wish.settings, mine, partial(self._amended, service))
            if isinstance(now, Unreadable):
                raise _Later(f"{now.what}: {now.why}")
            still_mine = partial(self._check, service, lease, arn)
            for number, verdict in enumerate(mine):
                if (begun or number) and self.deps.clock.now() > until - DELETE:
                    return
                self._deal_with(api, verdict, now.get(place(verdict)), still_mine)

    def _deal_with(self, api: LambdaApi, verdict: Verdict, now: Verdict | None, still_mine: partial[None]) -> None:
        """Delete one version, if that is still right."""
        where = place(verdict)
        if now is None:
            if where in self.unsure:
                self._note_deleted(where)
            else:
                # Somebody else was faster: nothing became of it here.
                del self.judged[where]
        elif not now.remove:
            self._keep(now)
        else:
            try:
                stays = api.delete_version(verdict.arn, verdict.version, still_mine)
            except Throttled:
                raise
            except Unanswered:
                self.unsure.add(where)
                raise
            except CallFailed as error:
                stays = f"could not be deleted: {error.why}"
            if stays is None:
                self._note_deleted(where)
            else:
                self._keep(replace(now, remove=False, reason=stays))
        self._done_with(verdict)

    def _check(self, service: ServiceName | None, lease: Entry | None, arn: FunctionArn) -> None:
        """Right before each deletion: nobody else was let in, and the function is still of whom it was."""
        if service is not None and lease is not None:
            try:
                self.deps.journal.check_lease(lease, service)
            except Superseded as error:
                raise _Ends(Word.LOCKED, str(error)) from error
        claim = self.deps.store.claims([arn]).get(arn)
        if claim is not None and claim.service != service:
            # Whoever has it may have found the version, and count on it.
            raise _Ends(Word.LOCKED, f"function {arn} has joined service {claim.service}")

    def _note_deleted(self, where: Place) -> None:
        self.deleted.add(where)
        self.deleted_one()

    def _keep(self, verdict: Verdict) -> None:
        self.judged[place(verdict)] = replace(self.judged[place(verdict)], verdict=verdict)

    def _done_with(self, verdict: Verdict) -> None:
        left = [each for each in self.ahead[verdict.arn] if place(each) != place(verdict)]
        if left:
            self.ahead[verdict.arn] = left
        else:
            del self.ahead[verdict.arn]


def _unreadable(fact: Unreadable) -> Never:
    """One fact that could not be read is enough: nothing is deleted."""
    raise _Ends(Word.UNREADABLE, f"{fact.what}: {fact.why}")
