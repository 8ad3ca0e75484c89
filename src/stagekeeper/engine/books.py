"""After an operation came to nothing: its versions are accounted for, and its claims are put right. Touches no alias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from stagekeeper.aws.errors import CallFailed, NotThere
from stagekeeper.aws.journal import VersionRecord
from stagekeeper.domain import converge
from stagekeeper.domain.facts import LatestSeen
from stagekeeper.domain.model import Claim, FunctionArn, ServiceName
from stagekeeper.domain.plan import Join, Plan, Publish, Published
from stagekeeper.domain.record import OperationRecord
from stagekeeper.engine.deps import Deps


@dataclass(frozen=True, slots=True)
class Balance:
    """The versions that are this operation's after all, and what could not be found out, for people to read."""

    published: dict[FunctionArn, Published]
    warnings: list[str]


def balance(deps: Deps, record: OperationRecord, plan: Plan) -> list[str]:
    """Claim the versions that a crash kept from being recorded, and put the claims of functions right; the warnings."""
    balance = _account_for_versions(deps, record, plan)
    try:
        _put_claims_right(deps, record, plan, {**record.published, **balance.published})
    except CallFailed as error:
        balance.warnings.append(_CLAIMS_LEFT.format(error))
    return balance.warnings


_CLAIMS_LEFT = "the claims of this operation could not be put right: {}"


def balance_claims(deps: Deps, record: OperationRecord, service: ServiceName, joins: Mapping[FunctionArn, Join]) -> list[str]:
    """Free again the functions that were claimed by an operation that touched nothing else; the warnings."""
    try:
        now = deps.store.claims(joins)
        mine = {arn: join.after for arn, join in joins.items() if join.before is None and now.get(arn) == join.after}
        _free(deps, record, service, mine)
    except CallFailed as error:
        return [_CLAIMS_LEFT.format(error)]
    return []


def _account_for_versions(deps: Deps, record: OperationRecord, plan: Plan) -> Balance:
    found: dict[FunctionArn, Published] = {}
    versions: list[VersionRecord] = []
    warnings: list[str] = []
    for item in plan.publishes:
        if item.arn in record.published:
            continue
        try:
            mine = _made_by_us(deps, item)
        except NotThere:
            continue  # the function was deleted meanwhile, and its versions with it
        except CallFailed as error:
            warnings.append(f"versions of function {item.function} ({item.arn}) could not be accounted for: {error}")
            continue
        if mine:
            found[item.arn] = mine[-1].published
        versions += mine
    if versions:
        deps.journal.record_versions(record, versions)
    return Balance(found, warnings)


def _made_by_us(deps: Deps, item: Publish) -> list[VersionRecord]:
    """The planned version, if this operation came as far as making it. Only a newer one's content is looked at."""
    mine = []
    for listed in deps.lambda_api.versions(item.arn):
        if item.highest is not None and listed.number.value <= item.highest:
            continue
        made = listed.made()
        published = converge.published(item, made.version, made.last_modified)
        if published.ours and made.content == item.content:
            mine.append(VersionRecord(item.arn, item.content, published))
    return mine


def _put_claims_right(deps: Deps, record: OperationRecord, plan: Plan, published: dict[FunctionArn, Published]) -> None:
    """A function that was claimed and left untouched is as free as before; of another it is remembered what was left in it."""
    publishes = {item.arn: item for item in plan.publishes}
    now = deps.store.claims(plan.joins)
    right: dict[FunctionArn, tuple[Claim, Claim | None]] = {}
    for arn, join in plan.joins.items():
        if now.get(arn) != join.after:
            continue  # another's by now, or it was never written
        claim = _claim_after(deps, join, publishes.get(arn), was_published=arn in published)
        if claim != join.after:
            right[arn] = (join.after, claim)
    deps.journal.write_claims(record, {arn: (seen, claim) for arn, (seen, claim) in right.items() if claim is not None})
    _free(deps, record, plan.service, {arn: seen for arn, (seen, claim) in right.items() if claim is None})


def _free(deps: Deps, record: OperationRecord, service: ServiceName, claims: dict[FunctionArn, Claim]) -> None:
    """Free functions that nobody else of the service relies on by now; the others are the next sweep's to free.

    Another operation that holds the lock may have found the claim and count on it, and so may a stage that got the function.
    """
    lock = deps.store.lock(service)
    alone = all(holder.operation_id == record.operation_id for holder in lock.holders)
    served = {arn for stage in deps.store.stages(service) for arn in stage.aliases}
    free = {arn: (seen, None) for arn, seen in claims.items() if arn not in served}
    if alone and free:
        deps.journal.free_claims(record, service, free, lock)


def _claim_after(deps: Deps, join: Join, publish: Publish | None, *, was_published: bool) -> Claim | None:
    if publish is None or not publish.updates:
        return join.after if was_published else join.before
    latest = deps.lambda_api.latest(publish.arn)
    if not isinstance(latest, LatestSeen):
        return join.after
    if not was_published and latest.content == publish.before and latest.last_modified == publish.last_modified:
        return join.before
    write = join.after.latest_write
    if write is None or latest.content == publish.before:
        return join.after
    # What is there may be neither the old nor the planned content: it is what the next deploy must not publish by accident.
    return replace(join.after, latest_write=replace(write, wanted=latest.content))
