"""Compensate: an operation failed midway; put back what it moved, and say what could not be put back.

Also the place where every cut-off task ends up: the record alone decides what is still to be done, so losing against a
commit that got through after all means success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.clock import iso
from stagekeeper.aws.errors import AlreadyThere, CallFailed, PreconditionFailed, Throttled, Unanswered
from stagekeeper.domain.converge import Foreign, NothingToUndo, PutBack, Unmake, undo
from stagekeeper.domain.facts import Absent, Unreadable, VersionSeen
from stagekeeper.domain.model import FunctionArn, Movement, ServedAlias, Stage, StageName, VersionNumber
from stagekeeper.domain.operation import OperationKind, Phase, Status, seconds_until_calls_ended
from stagekeeper.domain.plan import Move
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.recovery import DIED, MAX_RECOVERIES, is_to_be_followed, was_stopped
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.stack_plan import StackMark, Stand, StuckStack, When, next_backward, stuck
from stagekeeper.engine import sweep, teardown
from stagekeeper.engine.alias_look import SHIFT_PATIENCE, look
from stagekeeper.engine.books import balance, balance_claims
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.move import target_of
from stagekeeper.engine.patience import Patience
from stagekeeper.engine.report import close
from stagekeeper.engine.step import Go, Step, Wait, failed, resume
from stagekeeper.engine.trouble import apply_all

_THREADS = 3
_ATTEMPTS = 4
_ALIASES_LEFT = "the aliases of functions that it no longer has could not all be deleted"
#: How often (seconds) an execution that carries its operation no more looks whether that has ended.
_LOOK_AGAIN = 10


@dataclass(frozen=True, slots=True)
class CutOff:
    """A task that did not return: its state and what Step Functions says about it."""

    state: str
    error: str
    why: str


@dataclass(slots=True)
class _Outcome:
    """What became of each alias, and which ``stacks`` are not what they were. ``served`` is what the aliases really serve now, as
    far as it is known."""

    served: dict[FunctionArn, ServedAlias] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    stacks: list[StuckStack] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def compensate(deps: Deps, carrier: Carrier, cut_off: CutOff | None) -> Step:
    """End the operation, whatever state it is in. ``cut_off`` is None when a worker gave up by itself."""
    record = deps.store.operation(carrier.operation_id)
    internal = Refusal(Code.INTERNAL, "It lost its worker." if cut_off is None else _internal(cut_off))
    if record is None:
        return failed(internal, carrier.operation_id)
    if record.execution != carrier.execution and record.end is None:
        # A recovery carries it: this execution was redriven, and ends as that one makes it end.
        return Wait(_LOOK_AGAIN)
    if cut_off is not None and is_to_be_followed(record, cut_off.error):
        return resume(deps.journal.take_over(record, carrier.execution))
    match record.status:
        case Status.PLANNED:
            return close(deps, record, Status.REFUSED, failed(internal, record.operation_id))
        case Status.COMMITTED if record.end is None and cut_off is not None and cut_off.state in ("CleanUp", "Stacks", "Lock"):
            return _unfinished(deps, record, cut_off)
        case Status.CONVERGING if record.kind is OperationKind.SWEEP:
            return sweep.stopped(deps, record, _stopped_by(cut_off))
        case Status.CONVERGING if record.kind is OperationKind.TEARDOWN:
            return teardown.stopped(deps, record, _stopped_by(cut_off))
        case Status.CONVERGING:
            failure = Refusal(Code.COMPENSATED, _stopped_by(cut_off))
            record = deps.journal.record_failure(record, failure, calls_ended=False, moved=record.moved)
        case Status.COMPENSATING if cut_off is not None and cut_off.state == "Stacks":
            record = _after_stacks(deps, record, cut_off)
        case Status.COMPENSATING:
            pass
        case _:
            return resume(record)
    return _put_back(deps, record)


def _after_stacks(deps: Deps, record: OperationRecord, cut_off: CutOff) -> OperationRecord:
    """Putting a stack back failed. A worker that died is followed by another; what fails otherwise would fail again."""
    died = cut_off.error.startswith(DIED)
    if died and record.recoveries < MAX_RECOVERIES:
        return deps.journal.take_over(record, record.execution)
    found = next_backward(Bodies(deps.artifacts).stack_plan_of(record), record.marks)
    if found is None:
        return record
    record = deps.journal.supersede(record, Phase.STACKS)
    return deps.stack_journal.record_mark(record, found[0], StackMark(Stand.STUCK, why=_sentence(_internal(cut_off))))


def _internal(cut_off: CutOff) -> str:
    return f"State {cut_off.state} failed with {cut_off.error}: {cut_off.why}"


def _stopped_by(cut_off: CutOff | None) -> str:
    return "It lost its worker." if cut_off is None else _sentence(_internal(cut_off))


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def _unfinished(deps: Deps, record: OperationRecord, cut_off: CutOff) -> Step:
    """The movement is true, but what follows it could not be done."""
    # It may hold nothing any more: what stacks let go of is asked for anew.
    record = deps.journal.supersede(record, Phase.COMPENSATE)
    deps.clock.sleep(seconds_until_calls_ended(Phase.CLEAN_UP))
    plan = Bodies(deps.artifacts).plan_of(record)
    # What was let go of may be another's by now: its record was written before.
    let_go = record.stacks_due is When.CLEAN_UP
    stage = None if plan.stage is None or let_go else deps.store.stage(plan.service, plan.stage)
    seen = [] if plan.stage is None else [deps.lambda_api.served(drop.arn, plan.stage) for drop in plan.drops]
    gone = {drop.arn for drop, found in zip(plan.drops, seen, strict=False) if isinstance(found, Absent)}
    left = tuple(f"{drop.arn}:{record.stage}" for drop in plan.drops if drop.arn not in gone)
    undone = "not all of its stacks could follow" if cut_off.state != "CleanUp" else _ALIASES_LEFT
    message = (
        f"Stage {record.stage} of service {record.service} serves r{plan.release}, but {undone}. "
        f"{_sentence(_internal(cut_off))} Mend that, then deploy again."
    )
    end = failed(Refusal(Code.NEEDS_ATTENTION, message, left), record.operation_id)
    if stage is not None:
        # A stage must not be said to have aliases that are gone: the next operation would take that for drift.
        stage = replace(stage, aliases={arn: alias for arn, alias in stage.aliases.items() if arn not in gone})
    deps.journal.end(record, Status.NEEDS_ATTENTION, end, stage)
    return end


def _put_back(deps: Deps, record: OperationRecord) -> Step:
    # A call of the worker that was cut off may still take effect: what is read before that would be wrong. It has lost its
    # mandate: by the status if it was moving the stage, only by a new epoch if it was compensating itself.
    if record.phase is Phase.COMPENSATE:
        record = deps.journal.begin(record, Phase.COMPENSATE)
        deps.clock.sleep(seconds_until_calls_ended(Phase.COMPENSATE))
    else:
        if not record.calls_ended:
            deps.clock.sleep(seconds_until_calls_ended(record.phase))
        record = deps.journal.begin(record, Phase.COMPENSATE)
    outcome = _Outcome()
    if record.kind is OperationKind.CONFIGURE:
        return _end(deps, record, outcome)  # its only effect is its commit
    if record.kind is OperationKind.ADOPT:
        # What it put on record beside its claims says what is there, and nothing counts on it yet.
        adoption = Bodies(deps.artifacts).adopt_plan_of(record)
        outcome.warnings += balance_claims(deps, record, adoption.service, adoption.joins)
        return _end(deps, record, outcome)
    bodies = Bodies(deps.artifacts)
    # Without a plan only stacks were changed.
    plan = None if record.plan_key is None else bodies.plan_of(record)
    if plan is not None and record.stage is not None:
        undoer = _Undoer(deps, Mandate(deps.journal, deps.clock, record), record, record.stage, outcome)
        # apply_all stops at a trouble; an alias that cannot be put back must not keep the others from it: none is returned.
        apply_all(undoer.undo_one, plan.moves, _THREADS)
    stacks = bodies.stack_plan_of(record)
    if next_backward(stacks, record.marks) is not None:
        return Go("Stacks")
    outcome.stacks += stuck(stacks, record.marks)
    # What was moved is back where it was: books that do not balance are told, but must not keep the locks from being released.
    outcome.warnings += [] if plan is None else balance(deps, record, plan)
    return _end(deps, record, outcome)


class _Undoer:
    """Puts one alias after the other back; shared by the threads."""

    def __init__(self, deps: Deps, mandate: Mandate, record: OperationRecord, stage: StageName, outcome: _Outcome) -> None:
        self._deps = deps
        self._mandate = mandate
        self._patience = Patience(deps.clock, SHIFT_PATIENCE)
        self._record = record
        self._stage = stage
        self._outcome = outcome

    def undo_one(self, item: Move) -> bool:
        """Put one alias back as far as possible; whatever happens is in the outcome."""
        target = target_of(item, self._record)
        trouble = ""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._deps.clock.sleep(2 ** (attempt - 1))
            try:
                if self._settle(item, target):
                    return True
            except PreconditionFailed:
                continue
            except (Unanswered, Throttled, AlreadyThere) as error:
                trouble = error.why
            except CallFailed as error:
                trouble = error.why
                break  # AWS has said no, and would again: with many aliases there is no time for that
        self._stuck(item, target, trouble)
        return False

    def _settle(self, item: Move, target: VersionNumber | None) -> bool:
        api = self._deps.lambda_api
        moved = self._record.moved.get(item.arn)
        if moved is not None and item.before is not None:
            # The worker saw this move answered, with this RevisionId: nothing needs to be read to take it back.
            try:
                self._served(item, item.before, api.update_alias(item.arn, self._stage, item.before, moved, self._mandate.check))
                return True
            except PreconditionFailed:
                pass  # taken back already, by an earlier run of this; or somebody else's by now: look
        quick = api.served(item.arn, self._stage)
        if isinstance(quick, VersionSeen) and quick.version == item.before and item.before is not None:
            # Untouched, as GetFunction shows at no cost; its RevisionId is the one that the plan knew.
            self._served(item, item.before, item.revision_id)
            return True
        decision = undo(look(self._deps, self._mandate, self._patience, item.arn, self._stage), item.before, target)
        match decision:
            case NothingToUndo(revision_id=revision_id):
                if item.before is not None:
                    self._served(item, item.before, revision_id)
            case PutBack(version=version, revision_id=revision_id):
                back = api.update_alias(item.arn, self._stage, version, revision_id, self._mandate.check)
                self._served(item, version, back)
            case Unmake():
                api.delete_alias(item.arn, self._stage, self._mandate.check_now)
            case Foreign(found=found, version=version):
                self._outcome.foreign.append(f"{item.arn}:{self._stage} has {found}")
                if version is not None:
                    self._served(item, version, None)
        return True

    def _served(self, item: Move, version: VersionNumber, revision_id: str | None) -> None:
        self._outcome.served[item.arn] = ServedAlias(item.function, version, revision_id)

    def _stuck(self, item: Move, target: VersionNumber | None, why: str) -> None:
        """What it serves is read once more; if not even that works, it is taken to be where the operation put it."""
        seen = self._deps.lambda_api.served(item.arn, self._stage)
        match seen:
            case VersionSeen(version=version):
                found = "serves $LATEST" if version is None else f"serves version {version}"
            case Absent():
                version, found = None, "is not there"
            case Unreadable():
                version, found = target, f"could not be read and probably serves version {target}"
        wanted = "no alias" if item.before is None else f"version {item.before}"
        self._outcome.stuck.append(f"{item.arn}:{self._stage} {found}, it should be {wanted} ({why})")
        if version is not None:
            self._served(item, version, None)


def _end(deps: Deps, record: OperationRecord, outcome: _Outcome) -> Step:
    if record.failure is None:
        raise AssertionError(f"operation {record.operation_id} is compensating without a failure on record")
    stage_name = record.stage
    service = record.service
    if service is None:
        raise AssertionError(f"operation {record.operation_id} is about no service in particular and has nothing to put back")
    stage = None if stage_name is None else deps.store.stage(service, stage_name)
    if outcome.stuck and stage_name is not None:
        message = (
            f"{record.kind} of stage {record.stage} of service {record.service} failed and could not be put back everywhere. "
            f"{record.failure.message} What is where is in blockers; mend the cause, then deploy, or roll back to return to "
            "what the stage served before."
        )
        refusal = Refusal(Code.NEEDS_ATTENTION, message, (*outcome.stuck, *outcome.foreign), tuple(outcome.warnings))
        made = (
            Stage(stage_name, None, (), {}, movements=deps.store.last_movement(service, stage_name)) if stage is None else stage
        )
        mixed = _with_served(made, outcome.served, mixed=True)
        return _finish(deps, record, Status.NEEDS_ATTENTION, refusal, mixed, _left_behind(deps, record, made, mixed))
    if outcome.stacks:
        what = f"service {service}" if stage_name is None else f"stage {stage_name} of service {service}"
        message = (
            f"{record.kind} of {what} failed. {record.failure.message} Its aliases are where they were, but a stack is not. "
            f"{' '.join(each.why for each in outcome.stacks)} Then deploy again."
        )
        warnings = (*record.failure.warnings, *outcome.warnings)
        refusal = Refusal(Code.NEEDS_ATTENTION, message, (*map(str, outcome.stacks), *outcome.foreign), warnings)
        return _finish(deps, record, Status.NEEDS_ATTENTION, refusal, None)
    refusal = _explained(record, record.failure, outcome)
    changed = None if stage is None else _with_served(stage, outcome.served, mixed=False)
    return _finish(deps, record, Status.COMPENSATED, refusal, None if changed == stage else changed)


def _finish(
    deps: Deps, record: OperationRecord, status: Status, refusal: Refusal, stage: Stage | None, movement: Movement | None = None
) -> Step:
    end = failed(refusal, record.operation_id)
    if stage is not None and movement is not None:
        stage = replace(stage, movements=movement.number)
    deps.journal.end(record, status, end, stage, movement)
    return end


def _left_behind(deps: Deps, record: OperationRecord, before: Stage, after: Stage) -> Movement | None:
    """The ledger line of a mixed stage that failed once more: no release says what its aliases served in between."""
    left = {
        arn: alias.version
        for arn, alias in before.aliases.items()
        if before.mixed and arn in after.aliases and after.aliases[arn].version != alias.version
    }
    # A line to no release would read as a teardown: a stage that never had a release has none.
    if not left or before.release is None:
        return None
    return Movement(
        stage=before.name,
        number=before.movements + 1,
        operation_id=record.operation_id,
        operation=record.kind.value,
        from_release=before.release,
        to_release=before.release,
        at=iso(deps.clock.now()),
        provenance=record.provenance,
        displaced=left,
    )


def _explained(record: OperationRecord, failure: Refusal, outcome: _Outcome) -> Refusal:
    """The failure in its user's words. An alias that somebody else moved meanwhile makes it drift: not all is as before."""
    warnings = (*failure.warnings, *outcome.warnings)
    if failure.code is not Code.COMPENSATED:
        return replace(failure, message=f"{failure.message} Everything of ours was put back.", warnings=warnings)
    subject = f"service {record.service}" if record.stage is None else f"stage {record.stage} of service {record.service}"
    if outcome.foreign:
        message = (
            f"{record.kind} of {subject} failed: {failure.message} Everything of ours was put back, but somebody else changed "
            "an alias meanwhile; it was left alone. Find out who, then repeat with on_drift: overwrite."
        )
        return Refusal(Code.DRIFTED, message, (*outcome.foreign, *failure.blockers), warnings)
    if was_stopped(failure):
        told = f"{failure.message} Start it again if it is still wanted."
        message = f"{record.kind} of {subject} was stopped midway and everything was put back. {told}"
        return Refusal(Code.COMPENSATED, message, failure.blockers, warnings)
    # What failed in a stack says by itself what to do about it.
    advice = "" if failure.message.endswith("then try again.") else " Mend that, then try again."
    message = f"{record.kind} of {subject} failed midway and everything was put back. {failure.message}{advice}"
    return Refusal(Code.COMPENSATED, message, failure.blockers, warnings)


def _with_served(stage: Stage, served: Mapping[FunctionArn, ServedAlias], *, mixed: bool) -> Stage:
    """The stage's record after compensation. Of a mixed stage it holds what is really served; else only RevisionIds are newer."""
    if mixed:
        return replace(stage, aliases={**stage.aliases, **served}, mixed=True)
    fresh = {arn: alias for arn, alias in served.items() if _only_fresher(stage.aliases.get(arn), alias)}
    return replace(stage, aliases={**stage.aliases, **fresh})


def _only_fresher(recorded: ServedAlias | None, served: ServedAlias) -> bool:
    """The same version with another RevisionId. Another version is drift that was there before: it must stay drift."""
    return recorded is not None and recorded.version == served.version
