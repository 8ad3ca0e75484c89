"""Adopt: find out which aliases there are and what they serve, then put that on record. Changes nothing on AWS.

Everything it writes is conditional and can be written again, so whoever follows a worker that died goes forward.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.clock import iso
from stagekeeper.aws.errors import CallFailed, NotThere
from stagekeeper.aws.journal import ClaimLost
from stagekeeper.aws.lambda_api import VersionListed
from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.adopt import admit_adopt, plan_adopt, stage_contents, usable_aliases
from stagekeeper.domain.adoption import MAX_ALIASES, AdoptedStage, AdoptFacts, AdoptPlan, AdoptWish, FoundFunction, Place
from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.facts import Absent, OutOfReach, StageFacts, Unreadable, Unsettled
from stagekeeper.domain.model import (
    Content,
    FunctionArn,
    LogicalName,
    Movement,
    ReleaseNumber,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
    content_digest,
)
from stagekeeper.domain.operation import Phase
from stagekeeper.domain.plan import Unchanged
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import AdoptRequest
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import in_parallel, recorded
from stagekeeper.engine.report import ended, subject_of
from stagekeeper.engine.step import Step
from stagekeeper.engine.trouble import claimed_elsewhere, give_up


def decide_adopt(deps: Deps, request: AdoptRequest) -> AdoptPlan | Unchanged | Refusal:
    """What will be put on record. Raises CallFailed and MalformedItem."""
    at = recorded(deps, request.service, request.stage)
    refused = admit_adopt(request.service, at, names_functions=request.functions is not None)
    if refused is not None:
        return refused
    wish = AdoptWish(
        service=request.service,
        only=request.stages if request.stage is None else (request.stage,),
        stage=request.stage,
        if_release=request.common.if_release,
        accept_unqualified_callers=request.accept_unqualified_callers,
    )
    return plan_adopt(wish, _facts(deps, wish, request.functions or {}, at))


@dataclass(frozen=True, slots=True)
class _Looked:
    """What a function has: its aliases, and its versions as they were listed afterwards."""

    aliases: Mapping[str, AliasSeen]
    versions: Mapping[VersionNumber, VersionListed]


def _facts(deps: Deps, wish: AdoptWish, names: Mapping[LogicalName, str], at: StageFacts) -> AdoptFacts:
    asked = in_parallel(lambda name: _arn(deps, name), names.values())
    answers = dict(zip(names, asked, strict=True))
    named = {name: arn for name, arn in answers.items() if isinstance(arn, str)}
    unsettled = [Unsettled(name, names[name], arn) for name, arn in answers.items() if not isinstance(arn, str)]
    members = deps.store.members(wish.service)
    claims = deps.store.claims([*members, *(arn for arn in named.values() if arn not in members)])
    ours = {arn: claim.function for arn, claim in claims.items() if claim.service == wish.service}
    functions = {**{arn: name for name, arn in named.items()}, **ours}
    looked = dict(zip(functions, in_parallel(lambda arn: _look(deps, arn), functions), strict=True))
    asked_for = set(named.values())
    there = {arn: seen for arn, seen in looked.items() if isinstance(seen, _Looked)}
    unsettled += [
        Unsettled(functions[arn], arn, seen)
        for arn, seen in looked.items()
        if isinstance(seen, Unreadable) or (isinstance(seen, Absent) and arn in asked_for)
    ]
    known = dict(zip(there, in_parallel(lambda arn: _known(deps, arn), there), strict=True))
    found = [
        FoundFunction(functions[arn], arn, seen.aliases, frozenset(seen.versions), known[arn]) for arn, seen in there.items()
    ]
    facts = AdoptFacts(
        at=at,
        named=named,
        functions=found,
        unsettled=unsettled,
        gone={arn: functions[arn] for arn, seen in looked.items() if isinstance(seen, Absent) and arn not in asked_for},
        claims=claims,
        callers=deps.callers.unqualified(arn for arn in there if arn not in claims),
        stages={stage.name: stage for stage in deps.store.stages(wish.service)},
    )
    usable, _ = usable_aliases(wish.only, found)
    return _with_contents(deps, wish.service, facts, there, usable)


def _with_contents(
    deps: Deps,
    service: ServiceName,
    facts: AdoptFacts,
    there: Mapping[FunctionArn, _Looked],
    usable: Mapping[StageName, Sequence[FoundFunction]],
) -> AdoptFacts:
    """The facts with what the versions of usable aliases hold, whose those aliases are, and what of it is on record."""
    aliases = [(function.arn, name) for name, having in usable.items() for function in having]
    owners = _owners(deps, aliases)
    contents: dict[Place, Content | Unreadable] = {}
    for arn, name in aliases:
        version = there[arn].aliases[name].version
        if version is not None and (arn, version) not in contents:
            contents[arn, version] = _content(there[arn], arn, name, version)
    read = [(arn, content) for (arn, _), content in contents.items() if isinstance(content, Content)]
    facts = replace(
        facts,
        contents=contents,
        owners=owners,
        realised=deps.store.realisations(list(dict.fromkeys(read))),
    )
    functions = [each.functions for each in stage_contents(facts, usable).values() if each.functions is not None]
    return replace(facts, equal=_equal(deps, service, {content_digest(each) for each in functions}))


def _owners(
    deps: Deps, aliases: Sequence[tuple[FunctionArn, StageName]]
) -> dict[tuple[FunctionArn, StageName], str | Absent | Unreadable]:
    """The stack of each alias, whose physical id is its ARN. CloudFormation is asked a few times a second, so one answer serves
    for everything that the stack has."""
    owners: dict[tuple[FunctionArn, StageName], str | Absent | Unreadable] = {}
    if len(aliases) > MAX_ALIASES:
        why = f"at most {MAX_ALIASES} can be asked for in one go; name some of them with stages, then the others"
        return dict.fromkeys(aliases, Unreadable(f"whose {len(aliases)} aliases are", why))
    known: dict[str, str] = {}
    for arn, name in aliases:
        alias = f"{arn}:{name}"
        if alias not in known:
            found = deps.stacks.owned_beside(alias)
            if isinstance(found, Unreadable):
                owners[arn, name] = found
                continue
            known.update({} if isinstance(found, Absent) else found)
        owners[arn, name] = known.get(alias, Absent())
    return owners


def _equal(deps: Deps, service: ServiceName, digests: Iterable[str]) -> dict[str, ReleaseNumber]:
    """The releases on record that have these contents."""
    found = {digest: deps.store.release_with(service, digest) for digest in sorted(digests)}
    return {digest: release.number for digest, release in found.items() if release is not None}


def _arn(deps: Deps, function_name: str) -> FunctionArn | Absent | Unreadable | OutOfReach:
    here = deps.lambda_api.region
    if function_name.startswith("arn:") and (region := function_name.split(":")[3]) != here:
        return OutOfReach(region, here)
    return deps.lambda_api.arn_of(function_name)


def _look(deps: Deps, arn: FunctionArn) -> _Looked | Absent | Unreadable:
    """Aliases before versions: a version that an alias points at cannot be deleted meanwhile."""
    try:
        aliases = deps.lambda_api.aliases(arn)
        return _Looked(aliases, {listed.number: listed for listed in deps.lambda_api.versions(arn)})
    except NotThere:
        return Absent()
    except CallFailed as error:
        return Unreadable(error.what, error.why)


def _known(deps: Deps, arn: FunctionArn) -> dict[VersionNumber, bool]:
    """The versions on record, with whether Stagekeeper published them."""
    return {version: on_record.published_by is not None for version, on_record in deps.store.versions(arn).items()}


def _content(looked: _Looked, arn: FunctionArn, name: StageName, version: VersionNumber) -> Content | Unreadable:
    listed = looked.versions.get(version)
    if listed is None:
        return Unreadable(
            f"version {version} of {arn}", f"alias {name} points at it, and it is not among the function's versions"
        )
    try:
        return listed.made().content
    except CallFailed as error:
        return Unreadable(error.what, error.why)


def commit_adoption(deps: Deps, record: OperationRecord) -> Step:
    """State Commit: claims, versions and releases first, which nobody counts on yet; then all stages in one transaction."""
    record = deps.journal.begin(record, Phase.COMMIT)
    plan = Bodies(deps.artifacts).adopt_plan_of(record)
    try:
        deps.journal.join(record, plan.service, {arn: join.after for arn, join in plan.joins.items()})
    except ClaimLost as lost:
        return give_up(deps, record, [claimed_elsewhere(arn) for arn in lost.arns])
    deps.journal.record_found(record, plan.versions)
    deps.journal.record_releases(record, plan.releases)
    end = ended(deps, subject_of(record), plan, {})
    at = iso(deps.clock.now())
    deps.journal.commit_adoption(record, [_stage(deps, record, plan.service, stage, at) for stage in plan.stages], end)
    return end


def _stage(
    deps: Deps, record: OperationRecord, service: ServiceName, adopted: AdoptedStage, at: str
) -> tuple[Stage, Movement | None]:
    """The stage's record, and the line of its ledger if it is a movement."""
    before = deps.store.stage(service, adopted.name)
    # The plan must have been made on the record that is still there.
    if (None if before is None else before.revision) != adopted.revision:
        raise Superseded(f"the record of stage {adopted.name} changed under operation {record.operation_id}")
    movements = deps.store.last_movement(service, adopted.name) if before is None else before.movements
    number = movements + 1 if adopted.moves else movements
    stage = replace(
        before or Stage(adopted.name, None, (), {}),
        release=adopted.release,
        way_back=adopted.way_back,
        aliases=adopted.aliases,
        mixed=adopted.mixed,
        tearing_down=adopted.tearing_down,
        observed=adopted.observed,
        movements=number,
    )
    if not adopted.moves:
        return stage, None
    movement = Movement(
        stage=adopted.name,
        number=number,
        operation_id=record.operation_id,
        operation=record.kind.value,
        from_release=adopted.previous_release,
        to_release=adopted.release,
        at=at,
        provenance=record.provenance,
        displaced=adopted.displaced,
    )
    return stage, movement
