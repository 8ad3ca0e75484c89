"""What a deploy does: the pure decision from facts to a plan. Must not read or change anything itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from stagekeeper.domain.aliases import (
    AliasPlan,
    Problem,
    Target,
    made_again,
    owned_elsewhere,
    plan_aliases,
    refusal,
    served_versions,
    unreadable,
)
from stagekeeper.domain.facts import (
    Absent,
    Busy,
    CodeProblem,
    DeployFacts,
    OutOfReach,
    StageFacts,
    Unreadable,
    Unsettled,
    VersionSeen,
    WantedFunction,
)
from stagekeeper.domain.fit import misfits
from stagekeeper.domain.ledger import pushed
from stagekeeper.domain.model import (
    MAX_FUNCTIONS,
    Claim,
    Content,
    FunctionArn,
    LatestWrite,
    LogicalName,
    OperationId,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServiceName,
    StageName,
    TemplateRef,
    VersionNumber,
    content_digest,
)
from stagekeeper.domain.observed import not_ours
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Change, Join, Plan, Publish, Reuse, Unchanged
from stagekeeper.domain.refusal import Code, Refusal, no_service, no_stage


@dataclass(frozen=True, slots=True)
class StackWish:
    """What a deploy of a template adds: the template, the stage's variables afterwards, and whether stacks differ from what is
    wanted of them."""

    template: TemplateRef | None = None
    variables: str | None = None
    due: bool = False
    changes: tuple[Change, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeployWish:
    """What the request wants of a deploy, beside its functions (which are among the facts)."""

    operation_id: OperationId
    service: ServiceName
    stage: StageName | None
    partial: bool
    overwrite_drift: bool
    if_release: ReleaseNumber | None
    accept_unqualified_callers: bool
    stacks: StackWish = StackWish()


def admit_deploy(wish: DeployWish, at: StageFacts) -> Refusal | None:
    """The refusals that need no look at AWS."""
    if wish.partial:
        if wish.stage is None:
            raise AssertionError("a partial deploy names its stage")
        advice = "A partial deploy changes an existing stage: check the spelling, or deploy all functions first."
        if at.service is None:
            return no_service(wish.service, advice)
        if at.stage is None:
            return no_stage(wish.service, wish.stage, advice)
    return stage_moved(wish.service, wish.stage, at, wish.if_release)


def stage_moved(
    service: ServiceName, stage: StageName | None, at: StageFacts, if_release: ReleaseNumber | None
) -> Refusal | None:
    """StageMoved, unless the stage serves ``if_release`` (for a mixed stage: served it before the failure)."""
    serves = None if at.stage is None else at.stage.release
    if if_release is None or serves == if_release:
        return None
    now = f"r{serves}" if serves is not None else "no release" if at.stage is not None else "nothing, since it does not exist"
    return Refusal(
        Code.STAGE_MOVED,
        f"Stage {stage} of service {service} serves {now}, not r{if_release}: somebody moved it since you looked. "
        "Look again and decide anew.",
        (now,),
    )


def plan_deploy(wish: DeployWish, facts: DeployFacts) -> Plan | Unchanged | Refusal:
    """The plan of a deploy, or why there is none.

    Raises nothing; every function of ``facts.functions`` is either in the plan or named in the refusal.
    """
    wanted = [function for function in facts.functions if isinstance(function, WantedFunction)]
    problems = [unsettled(function) for function in facts.functions if isinstance(function, Unsettled)]
    problems += not_ours(facts.at.stage)
    for function in wanted:
        problems += _ownership(wish.service, function, facts.claims.get(function.latest.arn))
        problems += misfits(function, facts.pass_roles)
        problems += _readiness(function, facts)
        realised = facts.realised.get((function.latest.arn, function.content))
        if isinstance(realised, Unreadable):
            problems.append(unreadable(realised))
        callers = facts.callers.get(function.latest.arn, ())
        accepted = wish.accept_unqualified_callers
        problems += called_unqualified(function.function, function.latest.arn, callers, accepted=accepted)
    problems += _doubled(wanted)
    functions = release_content(wish, facts.at, facts.current, facts.functions)
    kept = {name: (part, _kept_version(facts, part)) for name, part in functions.items() if not _named(facts, name)}
    if len(functions) > MAX_FUNCTIONS:
        sentence = f"Service {wish.service} would have {len(functions)} functions; at most {MAX_FUNCTIONS} are possible."
        problems.append(Problem(Code.INVALID_REQUEST, sentence, str(len(functions))))
    problems += _kept_problems(wish, facts, kept)

    served = {} if facts.at.stage is None else served_versions(facts.at.stage.aliases)
    publishes, reuses, versions = _realise(wanted, facts, served)
    problems += [_not_ready(function) for function in wanted if _stuck(function, publishes)]
    targets = [_target(w.function, w.latest.arn, versions[w.latest.arn]) for w in wanted]
    targets += [_target(name, part.arn, version) for name, (part, version) in kept.items() if version is not None]
    aliases = AliasPlan() if wish.stage is None else _aliases(wish, wish.stage, facts, targets)
    refused = refusal([*problems, *aliases.problems])
    if refused is not None:
        return refused

    release, new = _release(facts, functions, wish.stacks.template)
    stage = facts.at.stage
    claims = _claims(wish, wanted, publishes, facts)
    there_already = not new if wish.stage is None else _serves(facts.at, release)
    if there_already and not (publishes or aliases.moves or aliases.drops or aliases.forgotten or wish.stacks.due):
        return Unchanged(release, wish.stacks.warnings)
    return Plan(
        kind=OperationKind.DEPLOY,
        service=wish.service,
        stage=wish.stage,
        stage_revision=None if stage is None else stage.revision,
        release=release,
        new_release=new,
        previous_release=None if stage is None else stage.release,
        functions=functions,
        publishes=publishes,
        reuses=reuses,
        moves=tuple(aliases.moves),
        drops=tuple(aliases.drops),
        keeps=tuple(aliases.keeps),
        settled=aliases.settled,
        joins={arn: Join(facts.claims.get(arn), claim) for arn, claim in claims.items()},
        way_back=pushed(stage, release),
        overwrite_drift=wish.overwrite_drift,
        warnings=(*wish.stacks.warnings, *(() if wish.stage is None else _warnings(wish.stage, aliases, facts))),
        template=wish.stacks.template,
        variables=wish.stacks.variables,
        stack_changes=wish.stacks.changes,
    )


def _warnings(stage: StageName, aliases: AliasPlan, facts: DeployFacts) -> list[str]:
    """What hung on aliases that were gone and are made again, and what hangs on those that go."""
    warnings = list(made_again(facts.at, stage, aliases.moves, there_before=False))
    for drop in aliases.drops:
        match facts.leaving.get(drop.arn, ()):
            case Unreadable(what=what, why=why):
                warnings.append(f"who uses alias {stage} of function {drop.function}, which goes, is not known: {what}: {why}")
            case ():
                pass
            case using:
                warnings.append(f"alias {stage} of function {drop.function} goes, and is used by {', '.join(using)}")
    return warnings


def unsettled(function: Unsettled) -> Problem:
    """Why a function of the request cannot be taken."""
    match function.problem:
        case Absent():
            sentence = (
                f"Function {function.function} ({function.function_name}) does not exist. "
                "Create it, correct its function_name, or leave it out."
            )
            return Problem(Code.FUNCTION_NOT_FOUND, sentence, function.function_name)
        case Unreadable() as fact:
            return unreadable(fact)
        case Busy(why=why):
            sentence = (
                f"Function {function.function} ({function.function_name}) is being changed by somebody else ({why}). "
                "Wait until that is over, then deploy again."
            )
            return Problem(Code.FUNCTION_NOT_READY, sentence, function.function_name)
        case OutOfReach(region=region, here=here):
            sentence = (
                f"Function {function.function} ({function.function_name}) is in Region {region}, and this Stagekeeper is in "
                f"{here}: it reaches functions of its own Region only. Name one of those, or use the Stagekeeper over there."
            )
            return Problem(Code.FUNCTION_NOT_FOUND, sentence, function.function_name)
        case CodeProblem(missing=missing, sentence=sentence):
            return Problem(Code.ARTIFACT_MISSING if missing else Code.INVALID_REQUEST, sentence, function.function)
        case _:
            assert_never(function.problem)


def _ownership(service: ServiceName, function: WantedFunction, claim: Claim | None) -> list[Problem]:
    if claim is None:
        return []
    name = f"Function {function.function} ({function.latest.arn})"
    if claim.service != service:
        return [owned_elsewhere(function.function, function.latest.arn, claim)]
    left_out = sorted(claim.given - function.given)
    if not left_out:
        return []
    sentence = (
        f"{name}: an earlier deploy gave {', '.join(left_out)}, and $LATEST still holds it. "
        f"Give {', '.join(f'configuration.{member}' for member in left_out)} again, so that one stage's values do not leak into "
        "another's."
    )
    return [Problem(Code.INVALID_REQUEST, sentence, f"{function.function}.configuration: {', '.join(left_out)}")]


def called_unqualified(
    function: LogicalName, arn: FunctionArn, callers: tuple[str, ...] | Unreadable, *, accepted: bool
) -> list[Problem]:
    """Whoever calls a function unqualified gets what the last deploy, of whatever stage, left in $LATEST."""
    if isinstance(callers, Unreadable):
        return [unreadable(callers)]
    if not callers or accepted:
        return []
    names = ", ".join(callers)
    sentence = (
        f"Function {function} ({arn}) is called without an alias by {names}. Once it belongs to a "
        "service, a call without an alias gets whatever was deployed last, of any stage. Point at an alias what calls it "
        f"({names}), or repeat with accept_unqualified_callers: true."
    )
    return [Problem(Code.UNQUALIFIED_CALLERS, sentence, f"{arn}: {caller}") for caller in callers]


def _readiness(function: WantedFunction, facts: DeployFacts) -> list[Problem]:
    """A failed deploy's code must not be published by accident."""
    write = _left_over(function, facts)
    if write is None or function.artifact is not None:
        return []
    sentence = (
        f"$LATEST of function {function.function} ({function.latest.arn}) holds what operation {write.operation_id} left there "
        "when it failed. Give the function's code, or put $LATEST right by your own template."
    )
    return [Problem(Code.FUNCTION_NOT_READY, sentence, write.operation_id)]


def _left_over(function: WantedFunction, facts: DeployFacts) -> LatestWrite | None:
    """The write of a failed deploy that $LATEST still holds, code or configuration; None if there is none."""
    claim = facts.claims.get(function.latest.arn)
    write = None if claim is None else claim.latest_write
    if write is None or write.operation_id not in facts.failed_writers:
        return None
    now = function.latest.content
    code_left = now.code == write.wanted.code != write.before.code
    configuration_left = now.configuration == write.wanted.configuration != write.before.configuration
    return write if code_left or configuration_left else None


def _doubled(wanted: list[WantedFunction]) -> list[Problem]:
    seen: dict[FunctionArn, LogicalName] = {}
    problems = []
    for function in wanted:
        other = seen.setdefault(function.latest.arn, function.function)
        if other != function.function:
            sentence = f"{other} and {function.function} are the same function {function.latest.arn}. Name it once."
            problems.append(Problem(Code.INVALID_REQUEST, sentence, str(function.latest.arn)))
    return problems


def release_content(
    wish: DeployWish, at: StageFacts, current: Release | None, functions: Sequence[WantedFunction | Unsettled]
) -> dict[LogicalName, ReleaseFunction]:
    """The content of the release this deploy wants: its functions, and for a partial one what else the stage's release has."""
    wanted = [function for function in functions if isinstance(function, WantedFunction)]
    content: dict[LogicalName, ReleaseFunction] = {}
    if wish.partial and at.stage is not None and current is not None:
        named = {function.function for function in functions}
        taken = {function.latest.arn for function in wanted}
        content = {n: part for n, part in current.functions.items() if n not in named and part.arn not in taken}
    content.update({w.function: ReleaseFunction(w.latest.arn, w.content) for w in wanted})
    return content


def _named(facts: DeployFacts, name: LogicalName) -> bool:
    return any(function.function == name for function in facts.functions)


def _kept_version(facts: DeployFacts, part: ReleaseFunction) -> VersionNumber | None:
    """What a kept function goes on serving. On a mixed stage the alias may be elsewhere: then the record of versions counts."""
    stage = facts.at.stage
    alias = None if stage is None or stage.mixed else stage.aliases.get(part.arn)
    return _usable(facts, part.arn, part.content) if alias is None else alias.version


def _kept_problems(
    wish: DeployWish, facts: DeployFacts, kept: Mapping[LogicalName, tuple[ReleaseFunction, VersionNumber | None]]
) -> list[Problem]:
    """What stops a partial deploy from keeping the stage's other functions as they are."""
    if not wish.partial or facts.at.stage is None:
        return []
    problems = []
    for arn, alias in facts.at.stage.aliases.items():
        if arn not in facts.at.gone:
            continue
        sentence = (
            f"Function {alias.function} ({arn}) exists no more, and this deploy keeps what it does not name. "
            "Create it again, or deploy all functions that are left, without partial."
        )
        problems.append(Problem(Code.FUNCTION_NOT_FOUND, sentence, str(arn)))
    for name, (part, version) in kept.items():
        realised = facts.realised.get((part.arn, part.content))
        if version is None and isinstance(realised, Unreadable):
            problems.append(unreadable(realised))
        elif version is None:
            sentence = (
                f"Function {name} of stage {wish.stage} is kept, but no version with its content is on record: name it too."
            )
            problems.append(Problem(Code.VERSION_MISSING, sentence, str(part.arn)))
    return problems


def _usable(facts: DeployFacts, arn: FunctionArn, content: Content) -> VersionNumber | None:
    """The version that carries ``content`` already and can serve; Failed ones and those that are gone cannot."""
    found = facts.realised.get((arn, content))
    return found.version if isinstance(found, VersionSeen) and found.state != "Failed" else None


def _realise(
    wanted: list[WantedFunction], facts: DeployFacts, served: dict[FunctionArn, VersionNumber]
) -> tuple[tuple[Publish, ...], tuple[Reuse, ...], dict[FunctionArn, VersionNumber | None]]:
    """For each function: publish, or take the version that has the content already."""
    publishes: list[Publish] = []
    reuses: list[Reuse] = []
    versions: dict[FunctionArn, VersionNumber | None] = {}
    for function in wanted:
        arn = function.latest.arn
        version = _usable(facts, arn, function.content)
        versions[arn] = version
        if version is None:
            publishes.append(_publish(function, served.get(arn)))
        elif served.get(arn) != version:
            reuses.append(Reuse(function.function, arn, version, served.get(arn), f"version {version} already has this content"))
    return tuple(publishes), tuple(reuses), versions


def _publish(function: WantedFunction, served: VersionNumber | None) -> Publish:
    latest = function.latest
    update_code = function.artifact is not None and (
        latest.code != function.content.code or "Architectures" in function.differing
    )
    members = tuple(sorted(function.differing - {"Architectures"}))
    changed = (["new code"] if update_code else []) + [f"configuration.{member}" for member in members]
    reason = ", ".join(changed) or "what $LATEST holds is not published yet"
    return Publish(
        function=function.function,
        function_name=function.function_name,
        arn=latest.arn,
        content=function.content,
        before=latest.content,
        last_modified=latest.last_modified,
        highest=None,
        artifact=function.artifact,
        update_code=update_code,
        update_members=members,
        served=served,
        reason=reason,
    )


def _stuck(function: WantedFunction, publishes: tuple[Publish, ...]) -> bool:
    """A failed last update can only be published over by another update."""
    mine = [publish for publish in publishes if publish.arn == function.latest.arn]
    return function.latest.failed is not None and bool(mine) and not mine[0].updates


def _not_ready(function: WantedFunction) -> Problem:
    sentence = (
        f"The last update of function {function.function} ({function.latest.arn}) failed: {function.latest.failed}. "
        "Mend the function, then deploy again."
    )
    return Problem(Code.FUNCTION_NOT_READY, sentence, str(function.latest.arn))


def _target(function: LogicalName, arn: FunctionArn, version: VersionNumber | None) -> Target:
    reason = "onto the version being published" if version is None else f"onto version {version}"
    return Target(function, arn, version, reason)


def _aliases(wish: DeployWish, stage: StageName, facts: DeployFacts, targets: list[Target]) -> AliasPlan:
    return plan_aliases(
        facts.at,
        stage,
        targets,
        drop_others=None if wish.partial else "the service as deployed does not have this function",
        keep_others="not named by this partial deploy",
        overwrite=wish.overwrite_drift,
        # A function that was deleted took its alias along: there is nothing to drop.
        left_out=frozenset() if wish.partial else facts.at.gone,
    )


def _release(
    facts: DeployFacts, functions: dict[LogicalName, ReleaseFunction], template: TemplateRef | None
) -> tuple[ReleaseNumber, bool]:
    """The release with this content: the one there is, or the next number."""
    equal = facts.equal_release
    if equal is not None and equal.digest == content_digest(functions, template):
        return equal.number, False
    return ReleaseNumber(facts.at.last_release + 1), True


def _serves(at: StageFacts, release: ReleaseNumber) -> bool:
    return at.stage is not None and at.stage.release == release and not at.stage.mixed


def _claims(
    wish: DeployWish, wanted: list[WantedFunction], publishes: tuple[Publish, ...], facts: DeployFacts
) -> dict[FunctionArn, Claim]:
    """The claims to write before the first effect: those that are not yet as this deploy makes them."""
    by_arn = {publish.arn: publish for publish in publishes}
    claims = {}
    for function in wanted:
        arn = function.latest.arn
        old = facts.claims.get(arn)
        given = function.given | (frozenset() if old is None else old.given)
        write = _latest_write(wish.operation_id, function, by_arn.get(arn), facts)
        claim = Claim(wish.service, function.function, given, write)
        if claim != old:
            claims[arn] = claim
    return claims


def _latest_write(
    operation_id: OperationId, function: WantedFunction, publish: Publish | None, facts: DeployFacts
) -> LatestWrite | None:
    """Who answers for $LATEST from now on: this deploy, if it writes it or gives the very code a failed one left there.

    ``before`` is what was there before the failed ones, so that theirs stays recognisable if this deploy fails as well.
    """
    left = _left_over(function, facts)
    retried = left is not None and function.artifact is not None and function.content == function.latest.content
    if (publish is not None and publish.updates) or retried:
        return LatestWrite(operation_id, function.latest.content if left is None else left.before, function.content)
    claim = facts.claims.get(function.latest.arn)
    return None if claim is None else claim.latest_write
