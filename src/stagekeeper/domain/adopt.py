"""What ``adopt`` does: aliases that are there already become stages, and what their versions hold becomes releases.

The pure decision from facts to a plan. Nothing on AWS changes by it: everything that it does is on record. An alias that a
stack owns becomes an *observed* stage. Must not read or write anything itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from stagekeeper.domain.adoption import (
    MAX_ALIASES,
    MAX_STAGES,
    AdoptedStage,
    AdoptedVersion,
    AdoptFacts,
    AdoptPlan,
    AdoptWish,
    FoundFunction,
    Place,
)
from stagekeeper.domain.aliases import Problem, owned_elsewhere, refusal, unreadable
from stagekeeper.domain.deploy import called_unqualified, stage_moved, unsettled
from stagekeeper.domain.facts import Absent, StageFacts, Unreadable
from stagekeeper.domain.ledger import pushed
from stagekeeper.domain.model import (
    MAX_FUNCTIONS,
    STAGE_NAME,
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
    content_digest,
)
from stagekeeper.domain.plan import Join, Unchanged
from stagekeeper.domain.refusal import Code, Refusal, no_service, no_stage

#: How many functions a sentence names.
_NAMED = 5


def admit_adopt(service: ServiceName, at: StageFacts, *, names_functions: bool) -> Refusal | None:
    """The refusal that needs no look at AWS."""
    if at.service is None and not names_functions:
        return no_service(service, "Name its functions, which makes it one.")
    return None


def usable_aliases(
    only: Sequence[StageName] | None, functions: Sequence[FoundFunction]
) -> tuple[dict[StageName, list[FoundFunction]], list[str]]:
    """The alias names that can become stages, in order, each with the functions that have it; and why others cannot."""
    holders: dict[str, list[FoundFunction]] = {}
    for function in functions:
        for name in function.aliases:
            if only is None or name in only:
                holders.setdefault(name, []).append(function)
    usable: dict[StageName, list[FoundFunction]] = {}
    skipped = []
    for name, having in sorted(holders.items()):
        why = _unfit(name, having)
        if why:
            skipped.append(f"alias {name} is skipped: {'; '.join(why[:_NAMED])}" + _and_more(len(why) - _NAMED))
        else:
            usable[StageName(name)] = sorted(having, key=lambda function: function.arn)
    return usable, skipped


def _unfit(name: str, having: Sequence[FoundFunction]) -> list[str]:
    """Why an alias name cannot become a stage, for each function by which it cannot."""
    if re.fullmatch(STAGE_NAME, name) is None:
        return [f"function {f.function} has it, and a stage's name has at most 63 letters, digits, - and _" for f in having]
    why = []
    by_name: dict[LogicalName, FunctionArn] = {}
    for found in having:
        alias = found.aliases[name]
        if alias.version is None:
            why.append(f"that of function {found.function} is on $LATEST, which every deploy changes; put it on a version")
        elif alias.weighted:
            why.append(f"that of function {found.function} gives a part of its traffic to another version")
        if by_name.setdefault(found.function, found.arn) != found.arn:
            why.append(f"{by_name[found.function]} and {found.arn} have it, and both are called {found.function}")
    return why


def stage_contents(facts: AdoptFacts, usable: Mapping[StageName, Sequence[FoundFunction]]) -> dict[StageName, _Wanted]:
    """What is to be on record of each of these stages; none for those whose contents could not all be read."""
    wanted = {}
    for name, having in usable.items():
        parts = {found.arn: facts.contents[_place(found, name)] for found in having}
        contents = {arn: part for arn, part in parts.items() if isinstance(part, Content)}
        if len(contents) == len(parts):
            wanted[name] = _wanted(facts, name, having, contents)
    return {name: each for name, each in wanted.items() if each is not None}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a stage is to be: its aliases, and the content that makes its release (None: the release on record)."""

    aliases: Mapping[FunctionArn, ServedAlias]
    functions: Mapping[LogicalName, ReleaseFunction] | None
    owner: str | None


def _wanted(
    facts: AdoptFacts, name: StageName, having: Sequence[FoundFunction], contents: Mapping[FunctionArn, Content]
) -> _Wanted | None:
    """None: the record stays as it is."""
    recorded = facts.stages.get(name)
    owner = _owner(facts, name, having)
    found = {f.arn: _served(f, name) for f in having}
    content = {f.function: ReleaseFunction(f.arn, contents[f.arn]) for f in having}
    if recorded is None:
        return _Wanted(found, content, owner)
    same = _versions(found) == _versions(recorded.aliases)
    healthy = not (recorded.mixed or recorded.tearing_down)
    if same and healthy:
        return None if owner == recorded.observed else _Wanted(recorded.aliases, None, owner)
    if owner is not None or recorded.observed is not None:
        # A stack moves its aliases when it likes: what they serve now is what counts.
        return _Wanted(found, content, owner)
    if not healthy or drifted(recorded, found):
        return None
    kept = {arn: alias for arn, alias in recorded.aliases.items() if alias.kept}
    content = {f.function: content[f.function] for f in having if f.arn not in kept}
    return _Wanted({**found, **recorded.aliases}, content, None)


def drifted(recorded: Stage, found: Mapping[FunctionArn, ServedAlias]) -> list[LogicalName]:
    """The functions on which an alias is not where the record says."""
    versions = _versions(found)
    return sorted(alias.function for arn, alias in recorded.aliases.items() if versions.get(arn) != alias.version)


def plan_adopt(wish: AdoptWish, facts: AdoptFacts) -> AdoptPlan | Unchanged | Refusal:
    """What will be put on record, or why nothing will."""
    usable, warnings = usable_aliases(wish.only, facts.functions)
    refused = refusal(_problems(wish, facts, usable))
    if refused is not None:
        return refused
    wanted = stage_contents(facts, usable)
    left_alone = [name for name in _recorded(wish, facts) if name not in wanted]
    lost = [stage for name in left_alone if (stage := _without_aliases(facts, name)) is not None]
    releases, numbers = _numbered(facts, wanted)
    stages = [_adopted(facts, name, each, numbers.get(name)) for name, each in wanted.items()]
    stages = sorted([*stages, *lost], key=lambda stage: stage.name)
    refused = refusal(_too_much(wish, stages, wanted.values()))
    if refused is not None:
        return refused
    warnings += [f"function {name} ({arn}) exists no more" for arn, name in sorted(facts.gone.items())]
    warnings += [_left_alone(facts, name, usable) for name in left_alone if _is_out_of_order(facts, name, usable)]
    warnings += [_no_alias_left(stage) for stage in lost]
    warnings += [_shared(facts, stage, usable) for stage in stages if _strays(facts, stage, usable)]
    warnings += _unknown_past(stages)
    warnings += _strangers(facts.functions)
    joins = {f.arn: Join(None, Claim(wish.service, f.function)) for f in facts.functions if f.arn not in facts.claims}
    serves = None if facts.at.stage is None else facts.at.stage.release
    if not stages and not joins:
        return Unchanged(serves, tuple(warnings))
    return AdoptPlan(
        service=wish.service,
        new_service=facts.at.service is None,
        stage=wish.stage,
        last_release=ReleaseNumber(facts.at.last_release + len(releases)),
        joins=joins,
        versions=_for_the_ledger(facts, stages),
        releases=releases,
        stages=tuple(stages),
        warnings=tuple(warnings),
        kept_release=serves,
    )


# Refusals.


def _problems(wish: AdoptWish, facts: AdoptFacts, usable: Mapping[StageName, Sequence[FoundFunction]]) -> list[Problem]:
    problems = [unsettled(each) for each in facts.unsettled]
    if not facts.unsettled:
        known = {name for function in facts.functions for name in function.aliases} | facts.stages.keys()
        missing = [no_stage(wish.service, name, _NOWHERE) for name in wish.only or () if name not in known]
        problems += [Problem(each.code, each.message, *each.blockers) for each in missing]
    moved = stage_moved(wish.service, wish.stage, facts.at, wish.if_release)
    if moved is not None:
        problems.append(Problem(moved.code, moved.message, *moved.blockers))
    problems += _misnamed(wish, facts)
    for function in facts.functions:
        claim = facts.claims.get(function.arn)
        if claim is not None and claim.service != wish.service:
            problems.append(owned_elsewhere(function.function, function.arn, claim))
        callers = facts.callers.get(function.arn, ())
        accepted = wish.accept_unqualified_callers
        problems += called_unqualified(function.function, function.arn, callers, accepted=accepted)
    for name, having in usable.items():
        for found in having:
            facts_of_alias = (facts.contents[_place(found, name)], facts.owners[found.arn, name])
            problems += [unreadable(fact) for fact in facts_of_alias if isinstance(fact, Unreadable)]
    return problems


_NOWHERE = "No function has an alias of that name either: check the spelling."


def _misnamed(wish: AdoptWish, facts: AdoptFacts) -> list[Problem]:
    """One name for one function: a release holds functions by their names."""
    problems = []
    ours = {arn: claim.function for arn, claim in facts.claims.items() if claim.service == wish.service}
    homes = {name: arn for arn, name in ours.items()}
    seen: dict[FunctionArn, LogicalName] = {}
    for name, arn in facts.named.items():
        sentence = None
        if (other := seen.setdefault(arn, name)) != name:
            sentence = f"{other} and {name} are the same function {arn}. Name it once."
        elif arn in ours and ours[arn] != name:
            sentence = f"Function {arn} is {ours[arn]} in service {wish.service}, not {name}. Use that name, or leave it out."
        elif arn not in ours and name in homes:
            sentence = f"Service {wish.service} calls {homes[name]} {name} already. Give {arn} another name."
        if sentence is not None:
            problems.append(Problem(Code.INVALID_REQUEST, sentence, name))
    return problems


def _too_much(wish: AdoptWish, stages: Sequence[AdoptedStage], wanted: Iterable[_Wanted]) -> list[Problem]:
    problems = []
    most = max((len(each.functions or ()) for each in wanted), default=0)
    if most > MAX_FUNCTIONS:
        sentence = f"A stage of service {wish.service} would have {most} functions; at most {MAX_FUNCTIONS} are possible."
        problems.append(Problem(Code.INVALID_REQUEST, sentence, str(most)))
    aliases = sum(len(stage.aliases) for stage in stages)
    if len(stages) > MAX_STAGES or aliases > MAX_ALIASES:
        sentence = (
            f"This would adopt {len(stages)} stages with {aliases} aliases; at most {MAX_STAGES} stages with {MAX_ALIASES} "
            "aliases can be adopted at once. Name some of them with stages, then the others."
        )
        problems.append(Problem(Code.INVALID_REQUEST, sentence, f"{len(stages)} stages"))
    return problems


# Stages and releases.


def _recorded(wish: AdoptWish, facts: AdoptFacts) -> list[StageName]:
    """The stages on record that the request is about."""
    return sorted(name for name in facts.stages if wish.only is None or name in wish.only)


def _owner(facts: AdoptFacts, name: StageName, having: Sequence[FoundFunction]) -> str | None:
    """The stack that owns the alias; of several the first by name."""
    owners = {facts.owners[found.arn, name] for found in having}
    return min((owner for owner in owners if isinstance(owner, str)), default=None)


def _numbered(
    facts: AdoptFacts, wanted: Mapping[StageName, _Wanted]
) -> tuple[tuple[Release, ...], dict[StageName, ReleaseNumber]]:
    """The new releases, and each stage's number. In the order of the stages' names, so that a repeat gives the same."""
    numbers: dict[StageName, ReleaseNumber] = {}
    known = dict(facts.equal)
    new: list[Release] = []
    for name, each in wanted.items():
        if each.functions is None:
            continue
        digest = content_digest(each.functions)
        if digest not in known:
            known[digest] = ReleaseNumber(facts.at.last_release + len(new) + 1)
            new.append(Release(known[digest], each.functions))
        numbers[name] = known[digest]
    return tuple(new), numbers


def _adopted(facts: AdoptFacts, name: StageName, wanted: _Wanted, number: ReleaseNumber | None) -> AdoptedStage:
    """``number`` None: the release on record stays."""
    before = facts.stages.get(name)
    release = number if number is not None or before is None else before.release
    moves = before is None or release != before.release or before.mixed or before.tearing_down
    displaced = {} if before is None or not moves else _displaced(before, wanted.aliases)
    return AdoptedStage(
        name=name,
        revision=None if before is None else before.revision,
        release=release,
        previous_release=None if before is None else before.release,
        aliases=wanted.aliases,
        way_back=() if release is None else pushed(before, release),
        observed=wanted.owner,
        was_observed=None if before is None else before.observed,
        moves=moves,
        displaced=displaced,
    )


def _displaced(before: Stage, aliases: Mapping[FunctionArn, ServedAlias]) -> dict[FunctionArn, VersionNumber]:
    """The versions that aliases left although the release they left says nothing of them."""
    after = _versions(aliases)
    left = {arn: alias for arn, alias in before.aliases.items() if after.get(arn) != alias.version}
    return {arn: alias.version for arn, alias in left.items() if before.mixed or alias.kept}


def _without_aliases(facts: AdoptFacts, name: StageName) -> AdoptedStage | None:
    """An observed stage whose aliases are all gone is nobody's any more, so that it can be torn down or deployed to."""
    stage = facts.stages[name]
    if stage.observed is None or any(name in function.aliases for function in facts.functions):
        return None
    return AdoptedStage(
        name=name,
        revision=stage.revision,
        release=stage.release,
        previous_release=stage.release,
        aliases=stage.aliases,
        way_back=stage.way_back,
        observed=None,
        was_observed=stage.observed,
        moves=False,
        mixed=stage.mixed,
        tearing_down=stage.tearing_down,
    )


def _for_the_ledger(facts: AdoptFacts, stages: Sequence[AdoptedStage]) -> tuple[AdoptedVersion, ...]:
    """Versions that are on record stay there as they are. A content is found where it was found, while that version is there."""
    functions = {function.arn: function for function in facts.functions}
    places = {(arn, alias.version) for stage in stages for arn, alias in stage.aliases.items()}
    found: dict[tuple[FunctionArn, Content], VersionNumber] = {}
    lines = []
    for arn, version in sorted(places):
        content = facts.contents.get((arn, version))
        if not isinstance(content, Content):
            continue  # not looked at: it is on record already
        realised = found.get((arn, content), facts.realised.get((arn, content)))
        realises = realised is None or realised not in functions[arn].versions
        if realises:
            found[arn, content] = version
        new = version not in functions[arn].known
        if new or realises:
            lines.append(AdoptedVersion(arn, version, content, new, realises))
    return tuple(lines)


def _served(function: FoundFunction, name: StageName) -> ServedAlias:
    return ServedAlias(function.function, _place(function, name)[1], function.aliases[name].revision_id)


def _versions(aliases: Mapping[FunctionArn, ServedAlias]) -> dict[FunctionArn, VersionNumber]:
    return {arn: alias.version for arn, alias in aliases.items()}


def _place(function: FoundFunction, name: StageName) -> Place:
    version = function.aliases[name].version
    if version is None:
        raise AssertionError(f"alias {name} of {function.arn} is on $LATEST and cannot be adopted")
    return function.arn, version


# Sentences.


def _is_out_of_order(facts: AdoptFacts, name: StageName, usable: Mapping[StageName, Sequence[FoundFunction]]) -> bool:
    """Whether a stage that is left alone is not as its record says. One whose alias was skipped has its warning already."""
    stage = facts.stages[name]
    having = usable.get(name, ())
    skipped = not having and any(name in function.aliases for function in facts.functions)
    if skipped or stage.observed is not None:
        return False
    found = {f.arn: _served(f, name) for f in having}
    return stage.mixed or stage.tearing_down or bool(drifted(stage, found))


def _left_alone(facts: AdoptFacts, name: StageName, usable: Mapping[StageName, Sequence[FoundFunction]]) -> str:
    stage = facts.stages[name]
    if stage.tearing_down:
        return f"stage {name} is left as it is: its teardown has not ended. Tear it down again, or deploy to it"
    if stage.mixed:
        return f"stage {name} is left as it is: it is mixed. Deploy, reset or roll back, which puts it right"
    functions = drifted(stage, {f.arn: _served(f, name) for f in usable.get(name, ())})
    where = ", ".join(functions[:_NAMED]) + _and_more(len(functions) - _NAMED)
    return (
        f"stage {name} is left as it is: it has drifted (function {where}). verify shows how; a deploy or reset with on_drift: "
        "overwrite takes it back"
    )


def _no_alias_left(stage: AdoptedStage) -> str:
    return (
        f"no function has alias {stage.name} any more, which stack {stage.was_observed} had: stage {stage.name} is an ordinary "
        "one now. Tear it down, or deploy to it with on_drift: overwrite, which makes its aliases again"
    )


def _strays(facts: AdoptFacts, stage: AdoptedStage, usable: Mapping[StageName, Sequence[FoundFunction]]) -> list[LogicalName]:
    """The functions on which an observed stage's alias is of no stack."""
    if stage.observed is None:
        return []
    having = usable.get(stage.name, ())
    return [found.function for found in having if isinstance(facts.owners[found.arn, stage.name], Absent)]


def _shared(facts: AdoptFacts, stage: AdoptedStage, usable: Mapping[StageName, Sequence[FoundFunction]]) -> str:
    strays = _strays(facts, stage, usable)
    where = ", ".join(strays[:_NAMED]) + _and_more(len(strays) - _NAMED)
    return (
        f"stage {stage.name} is observed as a whole, since stack {stage.observed} owns its alias on some functions; that of "
        f"function {where} belongs to no stack, and is not moved either"
    )


def _unknown_past(stages: Sequence[AdoptedStage]) -> list[str]:
    made = [stage.name for stage in stages if stage.revision is None]
    if not made:
        return []
    names = ", ".join(made[:_NAMED]) + _and_more(len(made) - _NAMED)
    return [f"what {names} served before is not on record: the history of such a stage begins here, and its way back is empty"]


def _strangers(functions: Sequence[FoundFunction]) -> list[str]:
    counts = {f.function: sum(not f.known.get(version, False) for version in f.versions) for f in functions}
    some = {name: count for name, count in sorted(counts.items()) if count}
    if not some:
        return []
    named = ", ".join(f"{name} {count}" for name, count in list(some.items())[:_NAMED]) + _and_more(len(some) - _NAMED)
    total = sum(some.values())
    return [
        f"{total} version{'s are' if total > 1 else ' is'} not on record as published by Stagekeeper ({named}): no sweep and no "
        "teardown ever deletes such a one. The custom resource Custom::OrphanedVersions does, where nothing needs it"
    ]


def _and_more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""
