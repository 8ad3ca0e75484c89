"""Publish: make the versions that the plan asks for, wait until they can serve, and write the release down.

Every action re-reads $LATEST first, checks that it is what the plan was made on, and carries its RevisionId: so the step can
die anywhere and be run again, and a change by somebody else is never published by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.errors import AlreadyThere, PreconditionFailed
from stagekeeper.aws.journal import ClaimLost, VersionRecord
from stagekeeper.aws.lambda_api import LatestBusy, VersionMade
from stagekeeper.domain import converge
from stagekeeper.domain.configuration import digest, overlay, update_for, with_architectures
from stagekeeper.domain.facts import Absent, LatestSeen, Unreadable, VersionSeen
from stagekeeper.domain.lock import PUBLISH, holds
from stagekeeper.domain.model import Release
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.plan import Plan, Publish, Published, Reuse
from stagekeeper.domain.record import Carrier
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.request import DeployRequest, FunctionWish
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.step import Go, Step, Wait, resume
from stagekeeper.engine.trouble import Trouble, apply_all, claimed_elsewhere, give_up

#: Mostly waiting for updates to settle; the pace of the calls is the adapter's business.
_THREADS = 16
_POLL = 0.5
#: How long $LATEST may take to settle (seconds) before the operation fails.
_SETTLE_PATIENCE = 300
#: How long new versions may take to become Active (seconds): SnapStart takes minutes, nothing takes half an hour.
_ACTIVE_PATIENCE = 1800
#: Somebody else's touch (a permission, a tag) changes RevisionIds without changing content: look and try again.
_ATTEMPTS = 5


def publish(deps: Deps, carrier: Carrier, deadline: float) -> Step:
    """Publish until ``deadline`` (epoch seconds); what is not Active by then is waited for by another run of the state."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.CONVERGING:
        return resume(record)
    record = deps.journal.begin(record, Phase.PUBLISH)
    bodies = Bodies(deps.artifacts)
    plan = bodies.plan_of(record)
    request = bodies.resolved_request_of(record)
    if not isinstance(request, DeployRequest):
        return Go("Move")
    following = Go("Move" if plan.moves or record.stacks_due is not None else "Commit")
    if not holds(deps.store.lock(plan.service), record.operation_id, frozenset({PUBLISH})):
        # The versions exist and it was given back: claims and $LATEST may be the next deploy's by now.
        return following
    try:
        deps.journal.join(record, plan.service, {arn: join.after for arn, join in plan.joins.items()})
    except ClaimLost as lost:
        return give_up(deps, record, [claimed_elsewhere(arn) for arn in lost.arns])

    gone = [item for item in plan.reuses if _may_be_gone(plan, item) and _is_gone(deps, item)]
    if gone:
        return give_up(deps, record, [_deleted_meanwhile(item) for item in gone])
    mandate = Mandate(deps.journal, deps.clock, record)
    worker = _Publisher(deps, mandate, request)
    missing = [item for item in plan.publishes if item.arn not in record.published]
    made, troubles = apply_all(worker.publish_one, missing, _THREADS)
    published = dict(record.published)
    published.update({item.arn: converge.published(item, v.version, v.last_modified) for item, v in made})
    records = [VersionRecord(item.arn, item.content, published[item.arn]) for item, _ in made]
    deps.journal.record_versions(record, [*records, *worker.strays])
    if made:
        record = deps.journal.record_published(record, published)
    if troubles:
        return give_up(deps, record, troubles)

    states, troubles = apply_all(lambda item: worker.until_active(item, published[item.arn], deadline), plan.publishes, _THREADS)
    pending = [item for item, active in states if not active]
    if pending and deps.clock.now() - (record.publishing_since or deps.clock.now()) > _ACTIVE_PATIENCE:
        troubles.append(_never_active(pending[0], published[pending[0].arn]))
    if troubles:
        return give_up(deps, record, troubles)
    if pending:
        return Wait(5)
    deps.journal.record_release(
        record,
        Release(plan.release, plan.functions, plan.template),
        new=plan.new_release,
        published=published,
        # From here on nothing of the plan writes $LATEST: let the next deploy publish. Without a stage nothing else is held.
        # What a template declares is not on record as the stage's until the commit, and no other deploy may take it for
        # nobody's.
        give_back=frozenset() if plan.stage is None or request.template is not None else frozenset({PUBLISH}),
    )
    return following


def _may_be_gone(plan: Plan, item: Reuse) -> bool:
    """Until a function is claimed, another service that once had it may sweep its versions."""
    join = plan.joins.get(item.arn)
    return join is not None and join.before is None


def _is_gone(deps: Deps, item: Reuse) -> bool:
    return isinstance(deps.lambda_api.version(item.arn, item.version), Absent)


def _deleted_meanwhile(item: Reuse) -> Trouble:
    sentence = (
        f"Version {item.version} of function {item.function} ({item.arn}), which has the wanted content, was deleted meanwhile. "
        "Deploy again: it is published anew."
    )
    return Trouble(Code.COMPENSATED, sentence, f"{item.arn}:{item.version}")


def _never_active(item: Publish, made: Published) -> Trouble:
    sentence = (
        f"Version {made.version} of function {item.function} ({item.arn}) is still Pending after {_ACTIVE_PATIENCE // 60} "
        "minutes. Look at the function's state in AWS Lambda, then deploy again."
    )
    return Trouble(Code.COMPENSATED, sentence, f"{item.arn}:{made.version}")


class _Publisher:
    """Makes one version after the other; shared by the threads. ``strays`` are versions that came out other than planned."""

    def __init__(self, deps: Deps, mandate: Mandate, request: DeployRequest) -> None:
        self.strays: list[VersionRecord] = []
        self._deps = deps
        self._mandate = mandate
        self._request = request

    def publish_one(self, item: Publish) -> VersionMade | Trouble:
        """The version with the wanted content. Raises CallFailed and Superseded."""
        wish = self._request.functions[item.function]
        refused = ""
        for attempt in range(_ATTEMPTS):
            if refused:
                self._deps.clock.sleep(_POLL * 2**attempt)
            latest = self._settled(item)
            if isinstance(latest, Trouble):
                return latest
            wanted = _wanted_configuration(latest, item, wish)
            if latest.code not in (item.before.code, item.content.code) or digest(wanted) != item.content.configuration:
                return _changed_by_others(item)
            try:
                made = self._next_action(item, wish, latest, wanted)
            except (PreconditionFailed, AlreadyThere) as error:
                refused = error.why
                continue
            if made is None:
                continue
            if made.content != item.content:
                self.strays.append(
                    VersionRecord(item.arn, made.content, converge.published(item, made.version, made.last_modified))
                )
                sentence = (
                    f"Version {made.version} of function {item.function} ({item.arn}) is not what the plan says: its code or "
                    "configuration was replaced while it was being published. Deploy again with code that stays as it is."
                )
                return Trouble(Code.COMPENSATED, sentence, f"{item.arn}:{made.version}")
            return made
        sentence = (
            f"Function {item.function} ({item.arn}) could not be published: AWS refused {_ATTEMPTS} times, last with {refused}. "
            "Somebody else may be changing it all the time; find out who, then deploy again."
        )
        return Trouble(Code.COMPENSATED, sentence, str(item.arn))

    def _next_action(
        self, item: Publish, wish: FunctionWish, latest: LatestSeen, wanted: Mapping[str, Any]
    ) -> VersionMade | None:
        """One step further: None after a configuration update, which must settle before the next step."""
        api = self._deps.lambda_api
        update = update_for(latest.configuration, wanted, wish.configuration)
        if update:
            api.update_configuration(item.arn, update, latest.revision_id, self._mandate.check)
            return None
        if item.artifact is not None and (latest.code != item.content.code or latest.configuration != wanted):
            return api.update_code_and_publish(
                item.arn, item.artifact, wanted["Architectures"], latest.revision_id, self._mandate.check
            )
        return api.publish_version(item.arn, latest.code, latest.revision_id, self._mandate.check)

    def _settled(self, item: Publish) -> LatestSeen | Trouble:
        """$LATEST once no update is under way: only then its RevisionId is good."""
        deadline = self._deps.clock.now() + _SETTLE_PATIENCE
        while True:
            latest = self._deps.lambda_api.latest(item.arn)
            match latest:
                case LatestSeen(failed=None):
                    return latest
                case LatestSeen(failed=reason):
                    if not item.updates or latest.content == item.content:
                        sentence = f"The update of function {item.function} ({item.arn}) failed on AWS: {reason}."
                        return Trouble(Code.COMPENSATED, sentence, str(item.arn))
                    return latest
                case LatestBusy(why=why):
                    if self._deps.clock.now() >= deadline:
                        sentence = f"Function {item.function} ({item.arn}) did not settle within {_SETTLE_PATIENCE} s: {why}."
                        return Trouble(Code.COMPENSATED, sentence, str(item.arn))
                case Absent():
                    sentence = f"Function {item.function} ({item.arn}) was deleted meanwhile."
                    return Trouble(Code.COMPENSATED, sentence, str(item.arn))
                case Unreadable(what=what, why=why):
                    return Trouble(Code.COMPENSATED, f"{what} could not be read: {why}.", what)
            self._mandate.check()
            self._deps.clock.sleep(_POLL)

    def until_active(self, item: Publish, made: Published, deadline: float) -> bool | Trouble:
        """True once the version can serve, False if ``deadline`` came first."""
        while True:
            seen = self._deps.lambda_api.version(item.arn, made.version)
            match seen:
                case VersionSeen(state="Pending"):
                    pass
                case VersionSeen(state="Failed"):
                    sentence = f"Version {made.version} of function {item.function} ({item.arn}) came out Failed."
                    return Trouble(Code.COMPENSATED, sentence, f"{item.arn}:{made.version}")
                case VersionSeen():
                    return True
                case Absent():
                    sentence = f"Version {made.version} of function {item.function} ({item.arn}) was deleted meanwhile."
                    return Trouble(Code.COMPENSATED, sentence, f"{item.arn}:{made.version}")
                case Unreadable(what=what, why=why):
                    return Trouble(Code.COMPENSATED, f"{what} could not be read: {why}.", what)
            if self._deps.clock.now() >= deadline:
                return False
            self._mandate.check()
            self._deps.clock.sleep(_POLL)


def _wanted_configuration(latest: LatestSeen, item: Publish, wish: FunctionWish) -> dict[str, Any]:
    """What the configuration is to become, from what it is now: equal to the plan's unless others changed something else."""
    wanted = overlay(latest.configuration, wish.configuration, item.arn.rpartition(":")[2])
    if wish.code is not None and wish.code.architectures is not None:
        wanted = with_architectures(wanted, wish.code.architectures)
    return wanted


def _changed_by_others(item: Publish) -> Trouble:
    sentence = (
        f"$LATEST of function {item.function} ({item.arn}) was changed by somebody else while it was being "
        "published. Find out who, then deploy again."
    )
    return Trouble(Code.COMPENSATED, sentence, str(item.arn))
