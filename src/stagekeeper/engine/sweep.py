"""Sweep: survey every service without its lock, then delete in short batches under it, each time on fresh facts.

A version goes only if the survey and the look under the lock both say so. Between batches everybody else is let in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.errors import CallFailed, Throttled, Unanswered
from stagekeeper.aws.lambda_api import LambdaApi
from stagekeeper.aws.table import MalformedItem
from stagekeeper.domain.facts import CodeStored, Unreadable
from stagekeeper.domain.lock import GaveUp, Granted, Waiting, seconds_until_next_ask
from stagekeeper.domain.model import FunctionArn, LogicalName, OperationId, ServiceName
from stagekeeper.domain.operation import Phase, Status, seconds_until_calls_ended
from stagekeeper.domain.orphans import SweepSettings, Verdict
from stagekeeper.domain.reach import index, unheld_functions
from stagekeeper.domain.record import Carrier, End, OperationRecord, Succeeded
from stagekeeper.domain.recovery import LOOK_AT
from stagekeeper.domain.refusal import Code, Refusal, no_service
from stagekeeper.domain.request import SweepRequest
from stagekeeper.domain.sweep import Place, Progress, Survey, SweepPlan, outcome, place, to_delete, unreadable
from stagekeeper.engine.acquire import locked
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.judgement import AT_ONCE, BATCH, DELETE, LOOK, PAUSE, judged_anew
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.notice import dead_among, look_after
from stagekeeper.engine.report import Swept, close, ended, subject_of
from stagekeeper.engine.step import Step, Wait, failed, resume
from stagekeeper.engine.survey import OnRecord, Surroundings, on_record, surroundings, survey
from stagekeeper.engine.telemetry import Judged, SweepTold

#: After so long (seconds) a worker looks at no more functions, so that each stays under a minute; so long a dry run may look.
_SOME_WORK = 40.0
_DRY_RUN = 780.0
#: So many batches in a row that AWS throttles are too many.
_THROTTLED_BATCHES = 10
#: So often in a row, and after so long (seconds) each, a sweep that does not wait asks once more for a lock that it had before.
_REFUSALS, _AFTER_REFUSAL = 12, 5.0


def wanted_settings(request: SweepRequest, stack: SweepSettings) -> SweepSettings:
    """The request's settings; one that is left out is the stack's."""
    return SweepSettings(
        keep=stack.keep if request.keep is None else request.keep,
        rollback_depth=stack.rollback_depth if request.rollback_depth is None else request.rollback_depth,
        grace_seconds=stack.grace_seconds if request.grace_hours is None else request.grace_hours * 3600,
    )


def looked_at(deps: Deps, operation_id: OperationId, request: SweepRequest, stack: SweepSettings) -> Swept | Refusal:
    """What a sweep would find, with nothing written. Raises CallFailed and MalformedItem."""
    plan = _begun(deps, request, stack)
    if isinstance(plan, Refusal):
        return plan
    until = deps.clock.now() + _DRY_RUN
    while plan.ahead and deps.clock.now() <= until:
        done = _surveyed(deps, Survey(plan.ahead[0]), plan.settings, operation_id, until, until)
        plan = replace(plan, surveys=(*plan.surveys, done), ahead=plan.ahead[1:])
    return _refused(plan, None, request.service) or _swept(plan, request.service)


def survey_all(deps: Deps, carrier: Carrier, stack: SweepSettings, deadline: float) -> Step:
    """State Inspect of a sweep: one service after the other; then a report, or Collect.

    A worker that has done some work leaves the rest to the next one. Policies are read until ``deadline`` (epoch seconds).
    """
    record = deps.journal.reread(carrier)
    if record.status is not Status.PLANNED:
        return resume(record)
    bodies = Bodies(deps.artifacts)
    request = bodies.request_of(record)
    if not isinstance(request, SweepRequest):
        raise AssertionError(f"operation {record.operation_id} is no sweep")
    begun_before = bodies.survey_of(record)
    plan = _begun(deps, request, stack) if begun_before is None else begun_before
    if isinstance(plan, Refusal):
        return close(deps, record, Status.REFUSED, failed(plan, record.operation_id))
    soon = deps.clock.now() + _SOME_WORK
    while plan.ahead:
        begun = plan.begun or Survey(plan.ahead[0])
        done = _surveyed(deps, begun, plan.settings, record.operation_id, soon, deadline)
        if done.is_whole:
            plan = replace(plan, surveys=(*plan.surveys, done), ahead=plan.ahead[1:], begun=None)
        else:
            plan = replace(plan, begun=done)
        if plan.ahead and deps.clock.now() > soon:
            deps.journal.record_progress(record, bodies.put_plan(plan))
            return Wait(1, progress=f"{done} are looked at; {_ahead(plan)}: the next invocation goes on")
    refused = _refused(plan, None, request.service)
    if refused is not None and not (request.delete and any(each.trouble is None for each in plan.surveys)):
        return _finished(deps, record, Status.REFUSED, failed(refused, record.operation_id), plan)
    if not request.delete:
        end = ended(deps, subject_of(record), _swept(plan, request.service), {}, "planned")
        return _finished(deps, record, Status.UNCHANGED, end, plan)
    return resume(deps.journal.record_intent(record, bodies.put_plan(plan)))


def _begun(deps: Deps, request: SweepRequest, stack: SweepSettings) -> SweepPlan | Refusal:
    """Raises CallFailed."""
    services = _services(deps, request)
    if isinstance(services, Refusal):
        return services
    stored = _stored(deps)
    if isinstance(stored, Unreadable):
        sentence = f"{stored.what} could not be read: {stored.why}. Nothing was deleted. Mend that and try again."
        return Refusal(Code.UNREADABLE, sentence, (stored.what,))
    return SweepPlan(wanted_settings(request, stack), (), tuple(services), stored=stored)


def _stored(deps: Deps) -> CodeStored | Unreadable:
    """How much code the account has. Raises CallFailed where asking again may help."""
    try:
        return deps.lambda_api.code_stored()
    except (Unanswered, Throttled):
        raise
    except CallFailed as error:
        return Unreadable(error.what, error.why)


def _ahead(plan: SweepPlan) -> str:
    others = len(plan.ahead) - (plan.begun is not None)
    return "no other service is ahead" if not others else f"{others} other service{'' if others == 1 else 's'} ahead"


def _services(deps: Deps, request: SweepRequest) -> list[ServiceName] | Refusal:
    """Raises CallFailed."""
    known = deps.store.services()
    if request.service is None:
        return known
    if request.service in known:
        return [request.service]
    return no_service(request.service)


def _surveyed(deps: Deps, begun: Survey, settings: SweepSettings, asking: OperationId, soon: float, until: float) -> Survey:
    """One service's trouble must not keep the others from being swept."""
    service = begun.service
    try:
        return survey(deps, begun, settings, asking, soon, until)
    except CallFailed as error:
        return Survey(service, trouble=unreadable(service, [Unreadable(error.what, error.why)]))
    except MalformedItem as error:
        return Survey(service, trouble=unreadable(service, [Unreadable("the state table", str(error))]))


def collect(deps: Deps, carrier: Carrier, deadline: float) -> Step:
    """State Collect: delete what the survey found, batch by batch, until ``deadline`` (epoch seconds)."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.CONVERGING:
        return resume(record)
    bodies = Bodies(deps.artifacts)
    plan = bodies.sweep_plan_of(record)
    collector = _Collector(deps, record, plan.settings, bodies.progress_of(record), deps.lambda_api.impatient())
    for each in plan.surveys:
        if each.trouble is not None:
            continue
        while collector.has_work(each):
            if deps.clock.now() > deadline:
                return Wait(PAUSE)
            waited = collector.batch(each)
            if waited is not None:
                return waited
    record, progress = collector.record, collector.progress
    report = ended(deps, subject_of(record), _swept(plan, record.service, progress, _stored(deps)), {})
    refused = _refused(plan, progress, record.service)
    if refused is not None:
        end = failed(_with_effects(refused, progress, report), record.operation_id)
        return _finished(deps, record, Status.NEEDS_ATTENTION, end, plan, progress)
    return _finished(deps, record, Status.COMMITTED, report, plan, progress)


def _finished(
    deps: Deps, record: OperationRecord, status: Status, end: End, plan: SweepPlan, progress: Progress | None = None
) -> End:
    """End the sweep, and tell those who watch; only once it is on record, so that nothing is counted twice."""
    ended_as = close(deps, record, status, end)
    left_out = _left_out(plan, progress)
    deps.telemetry.swept(
        SweepTold(
            sweep=record.operation_id,
            deleted=progress is not None,
            judged=_became(plan, progress),
            failures=len(_troubles(plan, progress)) - len(left_out),
            left_out=len(left_out),
        )
    )
    return ended_as


def _became(plan: SweepPlan, progress: Progress | None) -> list[Judged]:
    """What became of every version, and whose it is; without ``progress`` what would become of it."""
    # A function that two services once had, and that nobody has now, is looked at for both.
    judged = {place(verdict): Judged(each.service, verdict) for each in plan.surveys for verdict in each.verdicts}
    if progress is None:
        return list(judged.values())
    verdicts = outcome([each.verdict for each in judged.values()], progress)
    return [Judged(judged[place(verdict)].service, verdict) for verdict in verdicts]


@dataclass(slots=True)
class _Collector:
    """Deletes in batches. ``record`` and ``progress`` are what is on record by now."""

    deps: Deps
    record: OperationRecord
    settings: SweepSettings
    progress: Progress
    api: LambdaApi
    throttled: int = 0
    refused: int = 0

    def has_work(self, found: Survey) -> bool:
        given_up = any(service == found.service for service, _ in self.progress.troubles)
        return not given_up and (bool(to_delete(found.verdicts, self.progress)) or found.service not in self.progress.freed)

    def _has_begun(self, found: Survey) -> bool:
        mine = {place(verdict) for verdict in found.verdicts if verdict.remove}
        return any(place(verdict) in mine for verdict in self.progress.done)

    def batch(self, found: Survey) -> Wait | None:
        """One batch under the service's lock; a Wait if others are in the way."""
        self.record, answer = self.deps.journal.ask_to_collect(self.record, found.service)
        now = self.deps.clock.now()
        match answer:
            case Waiting(blockers=blockers):
                self.record = look_after(self.deps, self.record, blockers)
                queue = self.deps.store.lock(found.service).queue
                since = min((waiter.since for waiter in queue if waiter.operation_id == self.record.operation_id), default=now)
                return Wait(seconds_until_next_ask(now - since))
            case GaveUp(blockers=blockers) if self._has_begun(found) and self.refused < _REFUSALS:
                # It stands aside between two batches, too: it never queues, but does not leave the rest for the next day.
                self.refused += 1
                self.deps.clock.sleep(_AFTER_REFUSAL)
                return None
            case GaveUp(blockers=blockers):
                dead = dead_among(self.deps, found.service, blockers[:LOOK_AT])
                refusal = locked(self.record, found.service, blockers, dead)
                self.progress = replace(self.progress, troubles=(*self.progress.troubles, (found.service, refusal)))
            case Granted():
                self.refused = 0
                if self.record.overlapped:
                    # A deletion of an earlier worker may still take effect: it must not fall behind this batch's look.
                    self.deps.clock.sleep(seconds_until_calls_ended(Phase.COLLECT))
                self._work(found, self.deps.clock.now() + BATCH)
        key = Bodies(self.deps.artifacts).put_progress(self.progress)
        self.record = self.deps.journal.let_go(self.record, key, done=not self.has_work(found))
        self.deps.clock.sleep(PAUSE)
        return None

    def _work(self, found: Survey, until: float) -> None:
        """What there is time for. What was done before a call failed is put on record all the same."""
        ahead = to_delete(found.verdicts, self.progress)
        before = self.progress
        try:
            if ahead:
                self._delete(found.service, ahead, until)
            else:
                self._free_claims(found.service)
        except Throttled as error:
            # Others need the budget: the next batch tries again, but not for ever.
            self._note_throttle(found.service, error, progressed=self.progress != before)
        except CallFailed:
            key = Bodies(self.deps.artifacts).put_progress(self.progress)
            self.record = self.deps.journal.record_progress(self.record, key)
            raise

    def _note_throttle(self, service: ServiceName, error: Throttled, *, progressed: bool) -> None:
        self.throttled = 0 if progressed else self.throttled + 1
        if self.throttled >= _THROTTLED_BATCHES:
            refusal = Refusal(Code.UNREADABLE, f"AWS throttles {error.what}. The next sweep goes on.", (error.what,))
            self.progress = replace(self.progress, troubles=(*self.progress.troubles, (service, refusal)))

    def _delete(self, service: ServiceName, ahead: Sequence[Verdict], until: float) -> None:
        """As many of the versions as there is time for, function by function, one at least. Raises CallFailed and Superseded."""
        mandate = Mandate(self.deps.journal, self.deps.clock, self.record)
        record = on_record(self.deps, service, self.record.operation_id)
        around = surroundings(self.deps)
        done = self._dealt_with()
        for arn, verdicts in groupby(ahead, key=lambda verdict: verdict.arn):
            if self.deps.clock.now() > until - LOOK and self._dealt_with() > done:
                return
            mine = list(verdicts)[:AT_ONCE]
            now = self._judged_anew(record, around, arn, mine)
            for verdict in mine:
                if self.deps.clock.now() > until - DELETE and self._dealt_with() > done:
                    return
                fresh = now.get(place(verdict))
                if fresh is None:
                    self._gone(verdict)
                elif not fresh.remove:
                    self._done(fresh)
                else:
                    self._done(self._deleted(fresh, mandate))

    def _deleted(self, verdict: Verdict, mandate: Mandate) -> Verdict:
        """What became of a version that is to go. What AWS refuses stays, and does not keep the others."""
        try:
            stays = self.api.delete_version(verdict.arn, verdict.version, mandate.check_now)
        except (Unanswered, Throttled):
            raise
        except CallFailed as error:
            stays = f"could not be deleted: {error.why}"
        return verdict if stays is None else replace(verdict, remove=False, reason=stays)

    def _judged_anew(
        self, record: OnRecord, around: Surroundings | Unreadable, arn: FunctionArn, ahead: Sequence[Verdict]
    ) -> Mapping[Place, Verdict]:
        """What holds now, under the lock. A fact that cannot be read keeps everything of the function."""
        if isinstance(around, Unreadable):
            now: Mapping[Place, Verdict] | Unreadable = around
        elif not self._is_ours(record, arn, ahead[0].function):
            # Nobody's functions are claimed while they are judged: another service could find the version and count on it.
            return {place(v): replace(v, remove=False, reason="the function belongs to another service by now") for v in ahead}
        else:
            now = judged_anew(self.deps, self.api, around, index(record.facts), self.settings, ahead)
        if isinstance(now, Unreadable):
            return {place(v): replace(v, remove=False, reason=f"{now.what} could not be read: {now.why}") for v in ahead}
        return now

    def _is_ours(self, record: OnRecord, arn: FunctionArn, function: LogicalName) -> bool:
        """Whether the service has the function, by now if nobody had it."""
        if self.record.collecting is None:
            raise AssertionError("nothing is deleted without the lock of a service")
        claim = record.claims.get(arn)
        if claim is not None:
            return claim.service == self.record.collecting
        return self.deps.journal.claim_anew(self.record, self.record.collecting, arn, function)

    def _dealt_with(self) -> int:
        return len(self.progress.done) + len(self.progress.gone)

    def _gone(self, verdict: Verdict) -> None:
        """It is not there any more: by a worker of this sweep whose end is not on record, or by somebody else."""
        if self.record.overlapped:
            self._done(verdict)
        else:
            self.progress = replace(self.progress, gone=(*self.progress.gone, place(verdict)))

    def _done(self, verdict: Verdict) -> None:
        self.progress = replace(self.progress, done=(*self.progress.done, verdict))

    def _free_claims(self, service: ServiceName) -> None:
        """Functions that nothing of the service holds any more may join another one."""
        record = on_record(self.deps, service, self.record.operation_id)
        claims = {arn: claim for arn, claim in record.claims.items() if claim.service == service}
        since = self.deps.clock.now() - self.settings.grace_seconds
        free = unheld_functions(index(record.facts), claims, self.settings.rollback_depth, since)
        # What a failed deploy left in $LATEST is remembered with the claim.
        writers = {arn: claim.latest_write.operation_id for arn, claim in claims.items() if claim.latest_write is not None}
        failed_writers = self.deps.store.failed_operations(set(writers.values()))
        free -= {arn for arn, operation_id in writers.items() if operation_id in failed_writers}
        self.deps.journal.write_claims(self.record, {arn: (claims[arn], None) for arn in free})
        self.progress = replace(self.progress, freed=(*self.progress.freed, service))


def stopped(deps: Deps, record: OperationRecord, why: str) -> Step:
    """A sweep that cannot go on ends as it is: what it deleted nothing needed, and the next one goes on."""
    began = record.phase
    record = deps.journal.supersede(record, Phase.COMPENSATE)
    if record.collecting is not None:
        # A deletion of the worker that was cut off may still take effect: nobody is let in before that.
        deps.clock.sleep(seconds_until_calls_ended(began))
    bodies = Bodies(deps.artifacts)
    deleted = [verdict for verdict in bodies.progress_of(record).done if verdict.remove]
    message = (
        f"The sweep stopped midway: {why} {len(deleted)} version{'' if len(deleted) == 1 else 's'} that nothing needs had been "
        "deleted, nothing else was touched. Mend the cause, then sweep again."
    )
    blockers = tuple(f"deleted {verdict.arn}:{verdict.version}" for verdict in deleted)
    end = failed(Refusal(Code.NEEDS_ATTENTION, message, blockers), record.operation_id)
    return _finished(deps, record, Status.NEEDS_ATTENTION, end, bodies.sweep_plan_of(record), bodies.progress_of(record))


def _swept(
    plan: SweepPlan,
    only: ServiceName | None,
    progress: Progress | None = None,
    now: CodeStored | Unreadable | None = None,
) -> Swept:
    """Without ``progress`` what a sweep would do, else what became of it. ``only``: the one service that it was of."""
    became = _became(plan, progress)
    warnings = [f"service {service} was left out: {refusal.message}" for service, refusal in _left_out(plan, progress)]
    seen = [f"only {each}" for each in plan.surveys if not each.is_whole] + [f"nothing of service {name}" for name in plan.ahead]
    warnings += [f"{what} was looked at, since a dry run has one go: mode report goes on to the end" for what in seen]
    if isinstance(now, Unreadable):
        warnings.append(f"how much code is stored by now could not be read ({now.what}): {now.why}")
        now = None
    whose = {each.verdict.arn: each.service for each in became if each.service is not None and only is None}
    return Swept(tuple(each.verdict for each in became), tuple(warnings), plan.stored, now, whose)


def _troubles(plan: SweepPlan, progress: Progress | None) -> list[tuple[ServiceName, Refusal]]:
    met = () if progress is None else progress.troubles
    return [(each.service, each.trouble) for each in plan.surveys if each.trouble is not None] + list(met)


def _left_out(plan: SweepPlan, progress: Progress | None) -> list[tuple[ServiceName, Refusal]]:
    """The services that others were at work on: a sweep of all stands aside there, and the next one looks after them."""
    return [(service, refusal) for service, refusal in _troubles(plan, progress) if refusal.code is Code.LOCKED]


def _refused(plan: SweepPlan, progress: Progress | None, only: ServiceName | None) -> Refusal | None:
    """Why the sweep is no success: what could not be read, or whose lock was not to be had where only that was asked for."""
    troubles = _troubles(plan, progress)
    if only is None:
        troubles = [(service, refusal) for service, refusal in troubles if refusal.code is not Code.LOCKED]
    if not troubles:
        return None
    first = troubles[0][1]
    if only is not None:
        return first
    swept = len(plan.surveys) - len(troubles)
    names = tuple(f"service {service}: {trouble.message}" for service, trouble in troubles)
    return Refusal(first.code, f"{first.message} {swept} other service{' was' if swept == 1 else 's were'} looked after.", names)


def _with_effects(refused: Refusal, progress: Progress, report: Succeeded) -> Refusal:
    """A refusal promises that nothing was done: where something was, it needs attention and says how much."""
    deleted = sum(verdict.remove for verdict in progress.done)
    if not deleted:
        return refused
    where = report.output["report"]
    told = (
        f"{deleted} version{'' if deleted == 1 else 's'} that nothing needs had been deleted before or elsewhere; the report is "
    )
    message = f"{refused.message} {told}s3://{where['s3_bucket']}/{where['s3_key']}."
    return replace(refused, code=Code.NEEDS_ATTENTION, message=message)
