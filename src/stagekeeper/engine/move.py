"""Move: put the stage's aliases on their versions. One conditional call per function when nothing drifted."""

from __future__ import annotations

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.errors import AlreadyThere, NotThere, PreconditionFailed, Unanswered
from stagekeeper.domain.converge import Done, Foreign, TryAgain, after_failed_precondition
from stagekeeper.domain.model import StageName, VersionNumber
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.plan import Move
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.stack_plan import When
from stagekeeper.engine.alias_look import SHIFT_PATIENCE, look
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.patience import Patience
from stagekeeper.engine.step import Go, Step, resume
from stagekeeper.engine.trouble import Trouble, apply_all, claimed_elsewhere, give_up

#: Two or three calls in flight use up the shared 15 requests a second; more would only be throttled.
_THREADS = 3
#: A move carries the alias's RevisionId, so repeating one that got no answer cannot do harm: it is done, or refused (412).
_ATTEMPTS = 4


def move(deps: Deps, carrier: Carrier) -> Step:
    """Move every alias of the plan; at the first trouble stop and hand over to compensation."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.CONVERGING:
        return resume(record)
    record = deps.journal.begin(record, Phase.MOVE)
    plan = Bodies(deps.artifacts).plan_of(record)
    if plan.stage is None:
        return Go("Commit")
    if plan.kind is not OperationKind.DEPLOY:
        # A deploy claims functions before it publishes; here it is only functions that had left the service.
        claims = deps.store.claims(plan.joins)
        away = [arn for arn, join in plan.joins.items() if arn not in claims or claims[arn].service != plan.service]
        lost = [a for a in away if not deps.journal.claim_anew(record, plan.service, a, plan.joins[a].after.function)]
        if lost:
            return give_up(deps, record, [claimed_elsewhere(arn) for arn in lost])
    mover = _Mover(deps, Mandate(deps.journal, deps.clock, record), record, plan.stage, overwrite=plan.overwrite_drift)
    # What hangs on an alias can only be made once it is there; and no traffic moves before all of that is.
    stack_comes = record.stacks_due is When.BEFORE_MOVE
    ahead = [item for item in plan.moves if item.arn not in record.moved and (item.before is None or not stack_comes)]
    moved, troubles = apply_all(mover.move_one, ahead, _THREADS)
    revisions = {**record.moved, **{item.arn: revision_id for item, revision_id in moved}}
    if troubles:
        return give_up(deps, record, troubles, revisions)
    deps.journal.record_moved(record, revisions)
    return Go("Stacks" if stack_comes else "Commit")


def target_of(item: Move, record: OperationRecord) -> VersionNumber | None:
    """The version an alias is to serve: the plan's, or the one this operation published; None if that never happened."""
    if item.to is not None:
        return item.to
    made = record.published.get(item.arn)
    return None if made is None else made.version


class _Mover:
    """Moves one alias after the other; shared by the threads."""

    def __init__(self, deps: Deps, mandate: Mandate, record: OperationRecord, stage: StageName, *, overwrite: bool) -> None:
        self._deps = deps
        self._api = deps.lambda_api
        self._mandate = mandate
        self._patience = Patience(deps.clock, SHIFT_PATIENCE)
        self._record = record
        self._stage = stage
        self._overwrite = overwrite

    def move_one(self, item: Move) -> str | Trouble:
        """The alias's RevisionId once it serves the target. Raises CallFailed and Superseded."""
        target = target_of(item, self._record)
        if target is None:
            raise AssertionError(f"{item.arn} is to be moved onto a version that was not published")
        return self._make(item, target) if item.before is None else self._move(item, item.before, target)

    def _make(self, item: Move, target: VersionNumber) -> str | Trouble:
        try:
            # Nothing makes this call conditional: the mandate must be good at this very moment.
            return self._api.create_alias(item.arn, self._stage, target, self._mandate.check_now)
        except AlreadyThere:
            seen = look(self._deps, self._mandate, self._patience, item.arn, self._stage)
            if seen is not None and seen.version == target and not seen.weighted:
                return seen.revision_id
            sentence = f"Function {item.function} ({item.arn}) got an alias {self._stage} from somebody else meanwhile."
            return Trouble(Code.ALIAS_OWNED_ELSEWHERE, sentence, f"{item.arn}:{self._stage}")

    def _move(self, item: Move, before: VersionNumber, target: VersionNumber) -> str | Trouble:
        revision_id = item.revision_id
        for attempt in range(1, _ATTEMPTS + 1):
            if revision_id is not None:
                try:
                    return self._api.update_alias(item.arn, self._stage, target, revision_id, self._mandate.check)
                except PreconditionFailed:
                    pass
                except NotThere as error:
                    return self._drifted(item, before, f"nothing to move ({error.why})")
                except Unanswered:
                    if attempt == _ATTEMPTS:
                        raise
                    continue
            seen = look(self._deps, self._mandate, self._patience, item.arn, self._stage)
            decision = after_failed_precondition(seen, before, target, overwrite=self._overwrite)
            match decision:
                case Done(revision_id=found):
                    return found
                case TryAgain(revision_id=found):
                    revision_id = found
                case Foreign(found=found):
                    return self._drifted(item, before, found)
        return self._drifted(item, before, "an alias that somebody keeps changing")

    def _drifted(self, item: Move, before: VersionNumber, found: str) -> Trouble:
        sentence = (
            f"The alias {self._stage} of function {item.function} ({item.arn}) was changed by somebody else in the middle of "
            f"this operation: expected version {before}, found {found}. It was left alone."
        )
        return Trouble(Code.DRIFTED, sentence, f"{item.arn}:{self._stage}: {found}")
