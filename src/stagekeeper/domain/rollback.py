"""What a rollback does: the pure decision from facts to a plan. Must not read or change anything itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from stagekeeper.domain.aliases import Problem, Target, plan_aliases, refusal, unreadable
from stagekeeper.domain.deploy import stage_moved
from stagekeeper.domain.facts import Absent, RollbackFacts, StageFacts, Unreadable, VersionSeen
from stagekeeper.domain.ledger import choose_rollback, popped
from stagekeeper.domain.model import (
    FunctionArn,
    LogicalName,
    OperationId,
    ReleaseFunction,
    ReleaseNumber,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Move, Plan, Unchanged
from stagekeeper.domain.refusal import Code, Refusal


@dataclass(frozen=True, slots=True)
class RollbackWish:
    """What the request wants: ``release`` or ``steps``, or neither (one step)."""

    operation_id: OperationId
    service: ServiceName
    stage: StageName
    release: ReleaseNumber | None
    steps: int | None
    overwrite_drift: bool
    allow_missing: bool
    if_release: ReleaseNumber | None


def admit_rollback(wish: RollbackWish, at: StageFacts) -> tuple[Stage, ReleaseNumber] | Refusal:
    """The stage and the release to put it on, or the refusals that need no look at AWS, in the order of the contract."""
    if at.service is None:
        return Refusal(
            Code.SERVICE_NOT_FOUND,
            f"There is no service {wish.service}: nothing was ever deployed under that name. Check the spelling.",
        )
    if at.stage is None:
        return Refusal(
            Code.STAGE_NOT_FOUND,
            f"Service {wish.service} has no stage {wish.stage}. Check the spelling, or deploy to it first.",
        )
    moved = stage_moved(wish.service, wish.stage, at, wish.if_release)
    if moved is not None:
        return moved
    if wish.release is not None and wish.release > at.service.last_release:
        return Refusal(
            Code.RELEASE_NOT_FOUND,
            f"Service {wish.service} has no release r{wish.release}; its newest number is r{at.service.last_release}.",
        )
    chosen = choose_rollback(at.stage, wish.release, wish.steps)
    return chosen if isinstance(chosen, Refusal) else (at.stage, chosen)


def plan_rollback(wish: RollbackWish, stage: Stage, facts: RollbackFacts) -> Plan | Unchanged | Refusal:
    """The plan of a rollback of ``stage`` to ``facts.release``, or why there is none."""
    release = facts.release
    problems: list[Problem] = []
    warnings: list[str] = []
    targets: list[Target] = []
    for name, part in release.functions.items():
        if part.arn in facts.at.gone:
            _note_gone(name, part.arn, wish, problems, warnings)
            continue
        version = _usable_version(name, part, release.number, facts, problems, warnings)
        if version is not None:
            targets.append(Target(name, part.arn, version, f"r{release.number} has version {version} here"))
    wanted = {part.arn for part in release.functions.values()}
    for arn, alias in stage.aliases.items():
        if arn in facts.at.gone and arn not in wanted:
            _note_gone(alias.function, arn, wish, problems, warnings)
    aliases = plan_aliases(
        facts.at,
        wish.stage,
        targets,
        drop_others=None,
        keep_others=f"not in r{release.number}",
        overwrite=wish.overwrite_drift,
        left_out=facts.at.gone | (wanted - {target.arn for target in targets}),
    )
    refused = refusal([*problems, *aliases.problems], warnings)
    if refused is not None:
        return refused
    served_already = stage.release == release.number and not stage.mixed
    if served_already and not aliases.moves:
        return Unchanged(release.number, tuple(warnings))
    warnings += _made_again(wish.stage, aliases.moves)
    return Plan(
        kind=OperationKind.ROLLBACK,
        service=wish.service,
        stage=wish.stage,
        stage_revision=stage.revision,
        release=release.number,
        new_release=False,
        previous_release=stage.release,
        functions=release.functions,
        publishes=(),
        reuses=(),
        moves=tuple(aliases.moves),
        drops=(),
        keeps=tuple(aliases.keeps),
        settled=aliases.settled,
        joins={},
        way_back=popped(stage, release.number, wish.steps),
        overwrite_drift=wish.overwrite_drift,
        warnings=tuple(warnings),
    )


def _note_gone(name: LogicalName, arn: FunctionArn, wish: RollbackWish, problems: list[Problem], warnings: list[str]) -> None:
    if wish.allow_missing:
        warnings.append(f"function {name} ({arn}) exists no more and was left out")
        return
    sentence = f"Function {name} ({arn}) exists no more. Create it again, or repeat with allow_missing: true to go on without it."
    problems.append(Problem(Code.FUNCTION_NOT_FOUND, sentence, str(arn)))


def _usable_version(
    name: LogicalName,
    part: ReleaseFunction,
    release: ReleaseNumber,
    facts: RollbackFacts,
    problems: list[Problem],
    warnings: list[str],
) -> VersionNumber | None:
    """The version to serve. None, with the problem noted, if there is none that can serve."""
    found = facts.targets[part.arn]
    if found is None:
        sentence = (
            f"Function {name} ({part.arn}) has no version with r{release}'s content any more: it was collected. "
            "Deploy that content again, or choose another release."
        )
        problems.append(Problem(Code.VERSION_MISSING, sentence, f"{part.arn}: r{release}"))
        return None
    version, seen = found
    match seen:
        case Unreadable():
            problems.append(unreadable(seen))
            return None
        case Absent():
            sentence = (
                f"Version {version} of function {name} ({part.arn}), which r{release} needs, was deleted behind our back. "
                "Deploy that content again, or choose another release."
            )
        case VersionSeen(state="Failed"):
            sentence = (
                f"Version {version} of function {name} ({part.arn}), which r{release} needs, is in state Failed and cannot "
                "serve. Choose another release, or deploy that content again."
            )
        case VersionSeen(state=state):
            if state == "Inactive":
                warnings.append(f"version {version} of function {name} is idle (Inactive): its first call wakes it up")
            return version
        case _:
            assert_never(seen)
    problems.append(Problem(Code.VERSION_MISSING, sentence, f"{part.arn}:{version}"))
    return None


def _made_again(stage_name: StageName, moves: list[Move]) -> list[str]:
    return [
        f"the alias {stage_name} of function {move.function} is made again: its permissions, function URL, provisioned "
        "concurrency, event source mappings and asynchronous configuration went with the old one and are not back"
        for move in moves
        if move.before is None
    ]
