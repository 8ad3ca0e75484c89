"""From wanted versions to alias moves: drift, ownership, what is kept and what is dropped. One rule for every operation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from stagekeeper.domain.facts import Absent, StageFacts, Unreadable, VersionSeen
from stagekeeper.domain.model import Claim, FunctionArn, LogicalName, ServedAlias, StageName, VersionNumber
from stagekeeper.domain.plan import Drop, Keep, Move
from stagekeeper.domain.refusal import Code, Refusal, not_readable


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason to refuse: the code, the sentence about one thing, and that thing's name."""

    code: Code
    sentence: str
    blocker: str


def refusal(problems: Iterable[Problem], warnings: Sequence[str] = ()) -> Refusal | None:
    """The refusal of the code that is decided first, naming everything that has this code; None without problems."""
    order = list(Code)
    ranked = sorted(problems, key=lambda problem: order.index(problem.code))
    if not ranked:
        return None
    same = [problem for problem in ranked if problem.code is ranked[0].code]
    more = f" The same holds for {len(same) - 1} more, see blockers." if len(same) > 1 else ""
    return Refusal(same[0].code, same[0].sentence + more, tuple(problem.blocker for problem in same), tuple(warnings))


@dataclass(frozen=True, slots=True)
class Target:
    """The version a function's alias shall serve; None: the one that will be published. ``reason`` is for the move."""

    function: LogicalName
    arn: FunctionArn
    version: VersionNumber | None
    reason: str


@dataclass(slots=True)
class AliasPlan:
    """What becomes of every alias of a stage."""

    moves: list[Move] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    keeps: list[Keep] = field(default_factory=list)
    settled: dict[FunctionArn, ServedAlias] = field(default_factory=dict)
    forgotten: list[FunctionArn] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def plan_aliases(
    at: StageFacts,
    stage_name: StageName,
    targets: Sequence[Target],
    *,
    drop_others: str | None,
    keep_others: str,
    overwrite: bool,
    left_out: frozenset[FunctionArn] = frozenset(),
) -> AliasPlan:
    """Compare record, AWS and targets. ``drop_others`` (a reason) deletes the aliases that no target names, None keeps them.

    ``left_out`` are functions that exist no more and were allowed to be missing: their aliases are forgotten.
    """
    plan = AliasPlan()
    recorded = {} if at.stage is None else dict(at.stage.aliases)
    for target in targets:
        _plan_target(plan, stage_name, target, recorded.pop(target.arn, None), at.served[target.arn], overwrite)
    for arn, alias in recorded.items():
        if arn in left_out:
            plan.forgotten.append(arn)
            continue
        seen = at.served[arn]
        problem = drift(stage_name, alias.function, arn, alias.version, seen)
        if drop_others is not None:
            if problem is not None and not (overwrite and problem.code is Code.DRIFTED):
                plan.problems.append(problem)
            plan.drops.append(Drop(alias.function, arn, alias.version, drop_others))
            # Until it is deleted it serves what no release of the stage says.
            plan.settled[arn] = replace(alias, kept=True)
        elif problem is None:
            plan.keeps.append(Keep(alias.function, alias.version, keep_others))
            plan.settled[arn] = replace(alias, kept=True)
        else:
            # Overwriting says: what AWS serves is not what counts. A kept alias has no wanted version but the recorded one.
            back = Target(alias.function, arn, alias.version, "put back onto the recorded version")
            _plan_target(plan, stage_name, back, alias, seen, overwrite)
    return plan


def _plan_target(
    plan: AliasPlan,
    stage_name: StageName,
    target: Target,
    recorded: ServedAlias | None,
    seen: VersionSeen | Absent | Unreadable,
    overwrite: bool,
) -> None:
    if isinstance(seen, Unreadable):
        plan.problems.append(unreadable(seen))
        return
    if recorded is None:
        if isinstance(seen, VersionSeen):
            sentence = (
                f"Function {target.function} ({target.arn}) has an alias {stage_name} that is not ours. Take it over (operation "
                "adopt), delete it if nobody needs it, or choose another stage name."
            )
            plan.problems.append(Problem(Code.ALIAS_OWNED_ELSEWHERE, sentence, f"{target.arn}:{stage_name}"))
            return
        plan.moves.append(Move(target.function, target.arn, None, None, target.version, target.reason))
        return
    problem = drift(stage_name, target.function, target.arn, recorded.version, seen)
    if problem is None:
        if target.version == recorded.version:
            plan.settled[target.arn] = replace(recorded, kept=False)
        else:
            move = Move(target.function, target.arn, recorded.version, recorded.revision_id, target.version, target.reason)
            plan.moves.append(move)
        return
    if not overwrite:
        plan.problems.append(problem)
        return
    if isinstance(seen, Absent):
        reason = "made again: the alias was deleted behind our back"
        plan.moves.append(Move(target.function, target.arn, None, None, target.version, reason))
    elif seen.version is None:
        sentence = (
            f"The alias {stage_name} of function {target.function} ({target.arn}) points at $LATEST, which cannot be put back "
            "if something fails. Move it onto a version by hand, or delete it, then try again."
        )
        plan.problems.append(Problem(Code.DRIFTED, sentence, f"{target.arn}:{stage_name} -> $LATEST"))
    else:
        reason = f"{target.reason} (it was moved behind our back onto version {seen.version})"
        plan.moves.append(Move(target.function, target.arn, seen.version, None, target.version, reason))


def drift(
    stage_name: StageName,
    function: LogicalName,
    arn: FunctionArn,
    recorded: VersionNumber,
    seen: VersionSeen | Absent | Unreadable,
) -> Problem | None:
    """The difference between record and AWS on one alias, as a problem; None if they agree."""
    if isinstance(seen, Unreadable):
        return unreadable(seen)
    found = found_instead(recorded, seen)
    if found is None:
        return None
    sentence = (
        f"The alias {stage_name} of function {function} ({arn}) should serve version {recorded}, but AWS has {found}: somebody "
        "changed it. Find out who; then repeat with on_drift: overwrite to take it back."
    )
    return Problem(Code.DRIFTED, sentence, f"{arn}:{stage_name}: recorded {recorded}, found {found}")


def found_instead(recorded: VersionNumber, seen: VersionSeen | Absent) -> str | None:
    """What AWS has in place of the recorded version, in words; None if it is that."""
    match seen:
        case VersionSeen(version=version, weighted=False) if version == recorded:
            return None
        case VersionSeen(version=version, weighted=weighted):
            found = "$LATEST" if version is None else f"version {version}"
            return found + (" and another one by routing weights" if weighted else "")
        case Absent():
            return "no alias"
    assert_never(seen)


def made_again(at: StageFacts, stage_name: StageName, moves: Iterable[Move], *, there_before: bool | None) -> list[str]:
    """What is lost where an alias that the stage once had is made anew.

    Those on record were there before. ``there_before`` says it of the others: a rollback goes where the stage has been (True), a
    deploy brings new functions (False), of a reset nobody knows (None).
    """
    lost = "permissions, function URL, provisioned concurrency and asynchronous configuration"
    warnings = []
    for move in moves:
        if at.stage is None or move.before is not None:
            continue
        alias = f"the alias {stage_name} of function {move.function}"
        if there_before or move.arn in at.stage.aliases:
            warnings.append(f"{alias} is made again: its {lost} went with the old one and are not back")
        elif there_before is None:
            warnings.append(f"{alias} is made: if the stage had one before, its {lost} are not back")
    return warnings


def owned_elsewhere(function: LogicalName, arn: FunctionArn, claim: Claim) -> Problem:
    sentence = (
        f"Function {function} ({arn}) belongs to service {claim.service}. A function has one owner: drop it from every stage "
        "there (deploy without it) until no way back reaches it, then sweep that service, or tear that service down."
    )
    return Problem(Code.FUNCTION_OWNED_ELSEWHERE, sentence, f"{arn}: service {claim.service}")


def unreadable(fact: Unreadable) -> Problem:
    sentence = not_readable(fact.what, fact.why).message
    return Problem(Code.UNREADABLE, sentence, fact.what)


def served_versions(stage_aliases: Mapping[FunctionArn, ServedAlias]) -> dict[FunctionArn, VersionNumber]:
    return {arn: alias.version for arn, alias in stage_aliases.items()}
