"""Putting a stage on a release that exists: rollback, reset and clone. They differ only in which release, and in the way back.

The pure decision from facts to a plan. Must not read or change anything itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from stagekeeper.domain.aliases import Problem, Target, made_again, owned_elsewhere, plan_aliases, refusal, unreadable
from stagekeeper.domain.deploy import StackWish, stage_moved
from stagekeeper.domain.facts import Absent, RestoreFacts, StageFacts, Unreadable, VersionSeen
from stagekeeper.domain.ledger import choose_rollback, popped, pushed
from stagekeeper.domain.model import (
    Claim,
    FunctionArn,
    LogicalName,
    OperationId,
    ReleaseFunction,
    ReleaseNumber,
    Service,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.observed import moved_since, not_ours
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Join, Plan, Unchanged
from stagekeeper.domain.refusal import Code, Refusal, no_service, no_stage


@dataclass(frozen=True, slots=True)
class AlongTheWayBack:
    """Rollback: a release of the way back, or so many steps along it, or neither (one step)."""

    release: ReleaseNumber | None = None
    steps: int | None = None


@dataclass(frozen=True, slots=True)
class ToRelease:
    """Reset onto a numbered release of the service."""

    release: ReleaseNumber


@dataclass(frozen=True, slots=True)
class AsStage:
    """What another stage serves: reset takes it for a stage that exists, clone makes a new one."""

    stage: StageName


@dataclass(frozen=True, slots=True)
class RestoreWish:
    """What the request wants."""

    kind: OperationKind
    operation_id: OperationId
    service: ServiceName
    stage: StageName
    choice: AlongTheWayBack | ToRelease | AsStage
    overwrite_drift: bool
    allow_missing: bool
    if_release: ReleaseNumber | None
    stacks: StackWish = field(default_factory=StackWish)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The release to go to, from which stage's record (None: it is being made), and the way back afterwards."""

    stage: Stage | None
    release: ReleaseNumber
    way_back: tuple[ReleaseNumber, ...]


def admit_restore(wish: RestoreWish, at: StageFacts, others: Mapping[StageName, Stage]) -> Chosen | Refusal:
    """The choice of the release, or the refusals that need no look at AWS, in the order of the contract.

    ``others`` has the record of the stage that the request names beside its own, if there is one.
    """
    if at.service is None:
        return no_service(wish.service)
    if wish.kind is OperationKind.CLONE:
        return _admit_clone(wish, at, others)
    if at.stage is None:
        return no_stage(wish.service, wish.stage)
    if isinstance(wish.choice, AsStage) and wish.choice.stage not in others:
        return no_stage(wish.service, wish.choice.stage)
    moved = stage_moved(wish.service, wish.stage, at, wish.if_release)
    if moved is not None:
        return moved
    match wish.choice:
        case AlongTheWayBack(release=release, steps=steps):
            if release is not None and release > at.service.last_release:
                return _no_release(at.service, release)
            chosen = choose_rollback(at.stage, release, steps)
            return chosen if isinstance(chosen, Refusal) else Chosen(at.stage, chosen, popped(at.stage, chosen, steps))
        case ToRelease(release=release):
            if release > at.service.last_release:
                return _no_release(at.service, release)
            return Chosen(at.stage, release, pushed(at.stage, release))
        case AsStage(stage=name):
            served = _served_by(wish, others[name])
            return served if isinstance(served, Refusal) else Chosen(at.stage, served, pushed(at.stage, served))
    assert_never(wish.choice)


def _admit_clone(wish: RestoreWish, at: StageFacts, others: Mapping[StageName, Stage]) -> Chosen | Refusal:
    """A stage that is made new starts with an empty way back: another stage's past is never used."""
    if not isinstance(wish.choice, AsStage):
        raise AssertionError("a clone names the stage it is made from")
    if wish.choice.stage not in others:
        return no_stage(wish.service, wish.choice.stage)
    if at.stage is not None:
        return Refusal(
            Code.STAGE_EXISTS,
            f"Service {wish.service} has a stage {wish.stage} already. Choose another name, or use reset to move that one.",
            (wish.stage,),
        )
    moved = stage_moved(wish.service, wish.stage, at, wish.if_release)
    if moved is not None:
        return moved
    served = _served_by(wish, others[wish.choice.stage])
    return served if isinstance(served, Refusal) else Chosen(None, served, ())


def _no_release(service: Service, release: ReleaseNumber) -> Refusal:
    return Refusal(
        Code.RELEASE_NOT_FOUND,
        f"Service {service.name} has no release r{release}; its newest number is r{service.last_release}.",
        (f"r{release}",),
    )


def _served_by(wish: RestoreWish, other: Stage) -> ReleaseNumber | Refusal:
    """A mixed stage's release is the one recorded before the failure; one that never had any serves none."""
    if other.release is not None:
        return other.release
    return Refusal(
        Code.RELEASE_NOT_FOUND,
        f"Stage {other.name} of service {wish.service} serves no release: its first deploy failed midway. Deploy to it first.",
        (other.name,),
    )


def plan_restore(wish: RestoreWish, chosen: Chosen, facts: RestoreFacts) -> Plan | Unchanged | Refusal:
    """The plan of putting a stage on ``facts.release``, or why there is none."""
    stage = chosen.stage
    release = facts.release
    problems = [*not_ours(stage), *([] if facts.like is None else moved_since(facts.like))]
    warnings: list[str] = list(wish.stacks.warnings)
    targets: list[Target] = []
    for name, part in release.functions.items():
        if part.arn in facts.at.gone:
            _note_gone(name, part.arn, wish, problems, warnings)
            continue
        claim = facts.claims.get(part.arn)
        if claim is not None and claim.service != wish.service:
            problems.append(owned_elsewhere(name, part.arn, claim))
            continue
        version = _usable_version(name, part, release.number, facts, problems, warnings)
        if version is not None:
            targets.append(Target(name, part.arn, version, f"r{release.number} has version {version} here"))
    wanted = {part.arn for part in release.functions.values()}
    for arn, alias in ({} if stage is None else stage.aliases).items():
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
    served_already = stage is not None and stage.release == release.number and not stage.mixed
    if served_already and not (aliases.moves or aliases.forgotten or wish.stacks.due):
        return Unchanged(release.number, tuple(warnings))
    there_before = True if wish.kind is OperationKind.ROLLBACK else None
    warnings += made_again(facts.at, wish.stage, aliases.moves, there_before=there_before)
    return Plan(
        kind=wish.kind,
        service=wish.service,
        stage=wish.stage,
        stage_revision=None if stage is None else stage.revision,
        release=release.number,
        new_release=False,
        previous_release=None if stage is None else stage.release,
        functions=release.functions,
        publishes=(),
        reuses=(),
        moves=tuple(aliases.moves),
        drops=(),
        keeps=tuple(aliases.keeps),
        settled=aliases.settled,
        joins=_claimed_again(wish, targets, facts),
        way_back=chosen.way_back,
        overwrite_drift=wish.overwrite_drift,
        warnings=tuple(warnings),
        template=release.template,
        variables=wish.stacks.variables,
        stack_changes=wish.stacks.changes,
    )


def _claimed_again(wish: RestoreWish, targets: Sequence[Target], facts: RestoreFacts) -> dict[FunctionArn, Join]:
    """A function that left the service, and that no other one has claimed since, comes back."""
    free = [target for target in targets if target.arn not in facts.claims]
    return {target.arn: Join(None, Claim(wish.service, target.function)) for target in free}


def _note_gone(name: LogicalName, arn: FunctionArn, wish: RestoreWish, problems: list[Problem], warnings: list[str]) -> None:
    if wish.allow_missing:
        warnings.append(f"function {name} ({arn}) exists no more and was left out")
        return
    sentence = f"Function {name} ({arn}) exists no more. Create it again, or repeat with allow_missing: true to go on without it."
    problems.append(Problem(Code.FUNCTION_NOT_FOUND, sentence, str(arn)))


def _usable_version(
    name: LogicalName,
    part: ReleaseFunction,
    release: ReleaseNumber,
    facts: RestoreFacts,
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
                f"Version {version} of function {name} ({part.arn}), which r{release} needs, is not there any more: a sweep "
                "collected it, or somebody deleted it. Deploy that content again, or choose another release."
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
