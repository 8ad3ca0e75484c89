"""What a teardown does to a stage, or to a whole service: the pure decision from facts to a plan. Must not read or delete.

It only ever goes forward: a stage that is half gone is torn down again, or put right by the next deploy, rollback or reset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagekeeper.domain.aliases import Problem, refusal, unreadable
from stagekeeper.domain.deploy import stage_moved
from stagekeeper.domain.facts import StageFacts, Unreadable
from stagekeeper.domain.model import FunctionArn, LogicalName, ReleaseNumber, ServiceName, Stage, StageName, VersionNumber
from stagekeeper.domain.observed import not_ours
from stagekeeper.domain.orphans import FunctionFacts, Verdict, orphans_of_service, orphans_of_stage
from stagekeeper.domain.plan import Change
from stagekeeper.domain.reach import ServiceFacts, index
from stagekeeper.domain.refusal import Code, Refusal, no_service, no_stage

#: Whoever is about to confirm should look first: a dry run is refused as the teardown would be, and takes nothing.
_SHOWN = "A dry run with it takes nothing and shows what would go."


@dataclass(frozen=True, slots=True)
class TeardownWish:
    """What the request wants; ``stage`` None is the whole service."""

    service: ServiceName
    stage: StageName | None
    confirm: str | None
    if_release: ReleaseNumber | None


@dataclass(frozen=True, slots=True)
class TeardownFacts:
    """What a teardown is decided on. ``users`` are who else uses a stage's alias, by stage and function.

    ``functions`` are those that are there; ``members`` all that the service ever had.
    """

    service: ServiceFacts
    members: Sequence[FunctionArn]
    users: Mapping[tuple[StageName, FunctionArn], tuple[str, ...] | Unreadable]
    functions: Sequence[FunctionFacts | Unreadable]


@dataclass(frozen=True, slots=True)
class TornAlias:
    """An alias to be deleted. ``version`` is what it serves by the record."""

    stage: StageName
    function: LogicalName
    arn: FunctionArn
    version: VersionNumber


@dataclass(frozen=True, slots=True)
class TeardownPlan:
    """Everything a teardown will do. ``members`` are all functions the service ever had, for a whole service only."""

    service: ServiceName
    stage: StageName | None
    stages: tuple[StageName, ...]
    previous_release: ReleaseNumber | None
    aliases: tuple[TornAlias, ...]
    verdicts: tuple[Verdict, ...]
    members: tuple[FunctionArn, ...]
    warnings: tuple[str, ...]
    stack_changes: tuple[Change, ...] = ()


def admit_teardown(wish: TeardownWish, at: StageFacts, stages: Sequence[Stage]) -> Refusal | None:
    """The refusals that need no look at AWS, in the order of the contract."""
    if at.service is None:
        return no_service(wish.service)
    if wish.stage is None:
        return _unconfirmed(wish, stages)
    if at.stage is None:
        return no_stage(wish.service, wish.stage)
    moved = stage_moved(wish.service, wish.stage, at, wish.if_release)
    if moved is not None:
        return moved
    if at.stage.settings.protected and wish.confirm != wish.stage:
        return Refusal(
            Code.STAGE_PROTECTED,
            f"Stage {wish.stage} of service {wish.service} is protected. If it is really to go, repeat with confirm: "
            f"{wish.stage}, or take the protection off first (configure). {_SHOWN}",
            (wish.stage,),
        )
    if wish.confirm is not None and wish.confirm != wish.stage:
        return Refusal(
            Code.INVALID_REQUEST,
            f"The request is refused: confirm names something else than stage {wish.stage}, which would go. Correct one of them.",
            (wish.stage,),
        )
    return None


def _unconfirmed(wish: TeardownWish, stages: Sequence[Stage]) -> Refusal | None:
    if wish.confirm == wish.service:
        return None
    guarded = [stage.name for stage in stages if stage.settings.protected]
    names = ", ".join(stage.name + (" (protected)" if stage.name in guarded else "") for stage in stages)
    return Refusal(
        Code.CONFIRMATION_REQUIRED,
        f"This would tear down the whole service {wish.service}"
        + (f" with {len(stages)} stage{'' if len(stages) == 1 else 's'}: {names}. " if stages else ". ")
        + f"If that is meant, repeat with confirm: {wish.service}. {_SHOWN}",
        tuple(stage.name for stage in stages),
    )


def plan_teardown(wish: TeardownWish, facts: TeardownFacts, going: Sequence[Stage]) -> TeardownPlan | Refusal:
    """The plan of tearing down the stages ``going``: one of them, or all for the service."""
    only = going[0] if wish.stage is not None else None
    problems = not_ours(only)
    warnings = [_stays(stage) for stage in going if stage.observed is not None]
    for (stage, arn), users in facts.users.items():
        if isinstance(users, Unreadable):
            problems.append(unreadable(users))
        elif users and wish.confirm is None:
            problems.append(_in_use(stage, arn, users))
        elif users:
            warnings += [f"{arn}:{stage} is gone for {user}" for user in users]
    problems += [unreadable(function) for function in facts.functions if isinstance(function, Unreadable)]
    refused = refusal(problems)
    if refused is not None:
        return refused
    found = [function for function in facts.functions if isinstance(function, FunctionFacts)]
    return TeardownPlan(
        service=wish.service,
        stage=wish.stage,
        stages=tuple(stage.name for stage in going),
        previous_release=None if only is None else only.release,
        aliases=tuple(
            TornAlias(stage.name, alias.function, arn, alias.version)
            for stage in deleted_with(going)
            for arn, alias in stage.aliases.items()
        ),
        verdicts=tuple(judged(only, going, facts.service, found)),
        members=() if only is not None else tuple(facts.members),
        warnings=tuple(warnings),
    )


def deleted_with(going: Sequence[Stage]) -> list[Stage]:
    """Those of the stages whose aliases go with them: a stack's own stay, and so do the versions that they serve."""
    return [stage for stage in going if stage.observed is None]


def _stays(stage: Stage) -> str:
    return f"the aliases {stage.name} stay, and hold their versions: stack {stage.observed} owns them, or one of them at least"


def _in_use(stage: StageName, arn: FunctionArn, users: tuple[str, ...]) -> Problem:
    sentence = (
        f"The alias {stage} of {arn} is used by {', '.join(users)}. Let go of it there, or repeat with confirm: {stage} to take "
        f"it away all the same. {_SHOWN}"
    )
    return Problem(Code.STAGE_IN_USE, sentence, f"{arn}:{stage}: {', '.join(users)}")


def judged(
    only: Stage | None, going: Sequence[Stage], service: ServiceFacts, functions: Sequence[FunctionFacts]
) -> list[Verdict]:
    """A verdict on every version that goes with stage ``only``, or (None) with the whole service."""
    if only is None:
        names = {stage.name for stage in deleted_with(going)}
        return [verdict for function in functions for verdict in orphans_of_service(function, names, service.in_flight)]
    known = index(service)
    return [verdict for function in functions for verdict in orphans_of_stage(only, function, known)]


def changes(plan: TeardownPlan) -> list[Change]:
    """The aliases that go, as the lines of ``changes``."""
    whole = plan.stage is None
    lines = [
        Change(alias.function, "delete_alias", str(alias.version), None, _reason(alias) if whole else "the stage is torn down")
        for alias in plan.aliases
    ]
    return [*plan.stack_changes, *lines]


def _reason(alias: TornAlias) -> str:
    """Of a whole service a function has as many lines as it has stages."""
    return f"the service is torn down, with stage {alias.stage}"
