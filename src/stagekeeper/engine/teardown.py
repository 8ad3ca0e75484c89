"""TearDown: delete a stage's aliases, then the versions that only it reached, then take it off the record.

Only ever goes forward, under ``collect`` from the first to the last call. Every piece can be done again, and what is done is
on record now and then, so that a worker that was cut off can be followed by another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stagekeeper.aws import items
from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.clock import iso
from stagekeeper.domain.facts import Absent, StageFacts, Unreadable, VersionSeen
from stagekeeper.domain.model import FunctionArn, LogicalName, Movement, OperationId, ServedAlias, ServiceName, Stage, StageName
from stagekeeper.domain.operation import Phase, Status, seconds_until_calls_ended
from stagekeeper.domain.orphans import FunctionFacts, Verdict
from stagekeeper.domain.record import Carrier, OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import TeardownRequest
from stagekeeper.domain.service_template import with_url
from stagekeeper.domain.stack_plan import When, next_forward, stage_stack_name
from stagekeeper.domain.sweep import Progress, outcome, place, to_delete
from stagekeeper.domain.teardown import (
    TeardownFacts,
    TeardownPlan,
    TeardownWish,
    TornAlias,
    admit_teardown,
    deleted_with,
    judged,
    plan_teardown,
)
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import FUNCTION_URL, in_parallel, urls, users
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.report import TornDown, ended, subject_of
from stagekeeper.engine.step import Go, Step, Wait, failed, resume
from stagekeeper.engine.survey import OnRecord, function_facts, on_record, surroundings, with_policies

#: How many versions are deleted before that is put on record.
_SAVE_EVERY = 200


def decide_teardown(deps: Deps, operation_id: OperationId, request: TeardownRequest) -> TeardownPlan | Refusal:
    """The plan of a teardown. Raises CallFailed and MalformedItem."""
    wish = TeardownWish(request.service, request.stage, request.confirm, request.common.if_release)
    record = on_record(deps, request.service, operation_id)
    stages = record.facts.stages
    only = next((stage for stage in stages if stage.name == request.stage), None)
    refused = admit_teardown(wish, StageFacts(deps.store.service(request.service), request.stage, only), stages)
    if refused is not None:
        return refused
    going = list(stages) if only is None else [only]
    return plan_teardown(wish, _facts(deps, request.service, record, only, going), going)


def _facts(deps: Deps, service: ServiceName, record: OnRecord, only: Stage | None, going: Sequence[Stage]) -> TeardownFacts:
    """Who uses the aliases that go, and what holds the versions that could go with them."""
    names = {arn: alias.function for stage in going for arn, alias in stage.aliases.items()}
    looked_at = {**record.functions, **names}
    members = list({**record.members, **names})
    facts = TeardownFacts(service=record.facts, members=members, users={}, functions=[])
    around = surroundings(deps)
    if isinstance(around, Unreadable):
        return replace(facts, functions=[around])
    found_urls = dict(zip(names, in_parallel(lambda arn: urls(deps, arn), names), strict=True))
    places = [(stage.name, arn) for stage in deleted_with(going) for arn in stage.aliases]
    own = {stage.name: _own_triggers(deps, service, stage) for stage in deleted_with(going)}

    def others(place: tuple[StageName, FunctionArn]) -> tuple[str, ...] | Unreadable:
        name, arn = place
        return _others(arn, users(deps, arn, name, around.mappings, found_urls[arn]), own[name])

    found_users = in_parallel(others, places)
    found = in_parallel(lambda item: function_facts(deps, deps.lambda_api, item[1], item[0], around), looked_at.items())
    there = [function for function in found if isinstance(function, FunctionFacts)]
    candidates = [verdict for verdict in judged(only, going, record.facts, there) if verdict.remove]
    unread = [function for function in found if isinstance(function, Unreadable)]
    functions = [*unread, *with_policies(deps, there, candidates)]
    return replace(facts, users=dict(zip(places, found_users, strict=True)), functions=functions)


@dataclass(frozen=True, slots=True)
class _Own:
    """What is in a stage's own stack, which goes with the stage and keeps nobody from it: physical ids, and whose URLs."""

    ids: frozenset[str] = frozenset()
    with_url: frozenset[str] = frozenset()


def _own_triggers(deps: Deps, service: ServiceName, stage: Stage) -> _Own | Unreadable:
    applied = deps.store.stack(service, stage_stack_name(service, stage.name))
    if applied is None:
        return _Own()
    there = deps.stack_changes.resources(applied.name)
    if isinstance(there, Unreadable):
        return there
    bodies = Bodies(deps.artifacts)
    template, content = bodies.stack_template(applied.content), bodies.stack_content(applied.content)
    return _Own(frozenset(there.values()), with_url(template, content.parameters, there))


def _others(arn: FunctionArn, found: tuple[str, ...] | Unreadable, own: _Own | Unreadable) -> tuple[str, ...] | Unreadable:
    """Who uses an alias beside the stage's own stack. ``found`` names each by its kind and its id, a URL by its kind alone."""
    if isinstance(found, Unreadable):
        return found
    if isinstance(own, Unreadable):
        return own
    name = arn.rpartition(":")[2]
    by_url = any(each in (arn, name) or each.startswith(f"{arn}:") for each in own.with_url)
    others = [user for user in found if not any(f" {each} (" in user for each in own.ids)]
    return tuple(user for user in others if not (by_url and user == FUNCTION_URL))


def tear_down(deps: Deps, carrier: Carrier, deadline: float) -> Step:
    """Delete aliases and versions until ``deadline`` (epoch seconds). Raises CallFailed: the state machine tries again."""
    record = deps.journal.reread(carrier)
    if record.status is not Status.CONVERGING:
        return resume(record)
    record = deps.journal.begin(record, Phase.TEAR_DOWN)
    if record.overlapped:
        # A deletion of an earlier worker may still take effect, and must not meet what is made after this operation.
        deps.clock.sleep(seconds_until_calls_ended(Phase.TEAR_DOWN))
    bodies = Bodies(deps.artifacts)
    plan = bodies.teardown_plan_of(record)
    progress = bodies.progress_of(record)
    mandate = Mandate(deps.journal, deps.clock, record)
    if progress == Progress():
        _announce(deps, record, plan)
    for count, alias in enumerate(plan.aliases[progress.aliases_deleted :], start=1):
        deps.lambda_api.delete_alias(alias.arn, alias.stage, mandate.check_now)
        progress = replace(progress, aliases_deleted=progress.aliases_deleted + 1)
        late = deps.clock.now() > deadline
        if late or count % _SAVE_EVERY == 0:
            record = deps.journal.record_progress(record, bodies.put_progress(progress))
        if late:
            return Wait(1)
    progress = replace(progress, done=(*progress.done, *_lost(deps, record, plan, progress)))
    progress = replace(progress, done=(*progress.done, *_held_by_now(deps, record, plan, progress)))
    for count, verdict in enumerate(to_delete(plan.verdicts, progress), start=1):
        stays = deps.lambda_api.delete_version(verdict.arn, verdict.version, mandate.check_now)
        done = verdict if stays is None else replace(verdict, remove=False, reason=stays)
        progress = replace(progress, done=(*progress.done, done))
        late = deps.clock.now() > deadline
        if late or count % _SAVE_EVERY == 0:
            record = deps.journal.record_progress(record, bodies.put_progress(progress))
        if late:
            return Wait(1)
    record = deps.journal.record_progress(record, bodies.put_progress(progress))
    # With the stack its functions would go, and whatever somebody else still has on them.
    if next_forward(bodies.stack_plan_of(record), record.marks, When.LAST) is not None and not _still_held(plan, progress):
        deps.stack_journal.record_due(record, When.LAST)
        return Go("Stacks")
    return Go("Commit")


def _still_held(plan: TeardownPlan, progress: Progress) -> list[Verdict]:
    return [verdict for verdict in outcome(plan.verdicts, progress) if not verdict.remove]


def _announce(deps: Deps, record: OperationRecord, plan: TeardownPlan) -> None:
    for name in plan.stages:
        stage = deps.store.stage(plan.service, name)
        if stage is not None and not stage.tearing_down and stage.observed is None:
            deps.journal.record_tearing_down(record, stage)


def _lost(deps: Deps, record: OperationRecord, plan: TeardownPlan, progress: Progress) -> list[Verdict]:
    """The versions of functions that another service has by now. The others are claimed until the teardown has ended.

    A function that nobody has could be claimed in between, and a version of it be counted on.
    """
    ahead = to_delete(plan.verdicts, progress)
    names = {verdict.arn: verdict.function for verdict in ahead}
    away = {arn for arn, name in names.items() if not deps.journal.claim_anew(record, plan.service, arn, name)}
    reason = "the function belongs to another service by now"
    return [replace(verdict, remove=False, reason=reason) for verdict in ahead if verdict.arn in away]


def _held_by_now(deps: Deps, record: OperationRecord, plan: TeardownPlan, progress: Progress) -> list[Verdict]:
    """The versions that something holds since the plan was made; all of them if that cannot be found out.

    Nobody of ours can have done that, but anybody by hand: seconds ago, or days, if this worker follows one that died.
    """
    ahead = to_delete(plan.verdicts, progress)
    if not ahead:
        return []
    around = surroundings(deps)
    if isinstance(around, Unreadable):
        return _unread(ahead, around)
    names = {verdict.arn: verdict.function for verdict in ahead}
    found = in_parallel(lambda item: function_facts(deps, deps.lambda_api, item[1], item[0], around), names.items())
    complete = with_policies(deps, [function for function in found if isinstance(function, FunctionFacts)], ahead)
    broken = [function for function in (*found, *complete) if isinstance(function, Unreadable)]
    if broken:
        return _unread(ahead, broken[0])
    known = on_record(deps, plan.service, record.operation_id).facts
    going = [stage for stage in known.stages if stage.name in plan.stages]
    functions = [function for function in complete if isinstance(function, FunctionFacts)]
    now = {place(verdict): verdict for verdict in judged(going[0] if plan.stage else None, going, known, functions)}
    fresh = [now[place(verdict)] for verdict in ahead if place(verdict) in now]
    return [verdict for verdict in fresh if not verdict.remove]


def _unread(ahead: Sequence[Verdict], fact: Unreadable) -> list[Verdict]:
    return [replace(verdict, remove=False, reason=f"{fact.what} could not be read: {fact.why}") for verdict in ahead]


def commit_teardown(deps: Deps, record: OperationRecord) -> Step:
    """Take what was torn down off the record; the ledger stays. The last transaction ends the operation."""
    record = deps.journal.begin(record, Phase.COMMIT)
    bodies = Bodies(deps.artifacts)
    plan = bodies.teardown_plan_of(record)
    verdicts = outcome(plan.verdicts, bodies.progress_of(record))
    held = _still_held(plan, bodies.progress_of(record)) if bodies.stack_plan_of(record).of(When.LAST) else []
    if held:
        told = ", ".join(sorted({f"{verdict.function}:{verdict.version} ({verdict.reason})" for verdict in held}))
        stays = f"stack {plan.service} stays with its functions, since something of others is on them: {told}"
        plan = replace(plan, warnings=(*plan.warnings, stays))
    end = ended(deps, subject_of(record), TornDown(plan, tuple(verdicts)), {})
    if plan.stage is not None:
        stage = deps.store.stage(plan.service, plan.stage)
        if stage is None:
            raise AssertionError(f"stage {plan.stage} is off the record, but operation {record.operation_id} has not ended")
        deps.journal.commit_teardown(record, stage, _last_movement(deps, record, stage), end)
        return end
    for stage in deps.store.stages(plan.service):
        deps.journal.forget_stage(record, stage, _last_movement(deps, record, stage))
    names = deps.store.members(plan.service)
    for arn in plan.members:
        _forget_function(deps, record, plan.service, arn, names.get(arn, LogicalName("forgotten")))
    deps.journal.forget_items(record, deps.store.release_keys(plan.service))
    # The service's own that stays is known again when it is deployed again.
    gone = [stack for stack in deps.store.stacks(plan.service) if stack.stage is not None or not held]
    deps.journal.forget_items(record, [items.stack_key(plan.service, stack.name) for stack in gone])
    deps.journal.commit_service_teardown(record, end)
    return end


def _last_movement(deps: Deps, record: OperationRecord, stage: Stage) -> Movement:
    return Movement(
        stage=stage.name,
        number=stage.movements + 1,
        operation_id=record.operation_id,
        operation=record.kind.value,
        from_release=stage.release,
        to_release=None,
        at=iso(deps.clock.now()),
        provenance=record.provenance,
        displaced={arn: alias.version for arn, alias in stage.aliases.items() if stage.mixed or alias.kept},
    )


def _forget_function(deps: Deps, record: OperationRecord, service: ServiceName, arn: FunctionArn, function: LogicalName) -> None:
    """Everything on record of one function, unless another service has it.

    The claim goes after what it protects, and what leads to the function last: a teardown that is cut off in between must find
    the rest, and nobody else's.
    """
    # One that left the service some time ago is claimed for the moment, so that nobody else comes in between.
    if deps.journal.claim_anew(record, service, arn, function):
        claim = deps.store.claims([arn])[arn]
        own = items.claim_key(arn)
        deps.journal.forget_items(record, [key for key in deps.store.function_keys(arn) if key != own])
        deps.journal.write_claims(record, {arn: (claim, None)})
    deps.journal.forget_items(record, [items.member_key(service, arn)])


def stopped(deps: Deps, record: OperationRecord, why: str, blockers: Sequence[str] = ()) -> Step:
    """A teardown that cannot go on: the stage stays half torn down, with what its aliases really serve on record.

    ``blockers``: what keeps a stack of it from going.
    """
    # It may hold nothing any more: after its stack it asks for its slots anew.
    record = deps.journal.supersede(record, Phase.COMPENSATE)
    deps.clock.sleep(seconds_until_calls_ended(Phase.TEAR_DOWN))
    left = list(blockers)
    warnings: tuple[str, ...] = ()
    if record.plan_key is not None:
        plan = Bodies(deps.artifacts).teardown_plan_of(record)
        warnings = plan.warnings
        for name in plan.stages:
            stage = deps.store.stage(plan.service, name)
            if stage is not None and stage.observed is None:
                mine = [alias for alias in plan.aliases if alias.stage == name]
                aliases, words = _what_is_left(deps, mine, stage)
                left += words
                deps.journal.record_tearing_down(record, replace(stage, aliases=aliases, mixed=True))
    what = f"service {record.service}" if record.stage is None else f"stage {record.stage} of service {record.service}"
    message = (
        f"The teardown of {what} stopped midway: {why} What is left of it is in blockers. Mend the cause, then tear it "
        "down again; a deploy, rollback or reset puts a stage right instead."
    )
    end = failed(Refusal(Code.NEEDS_ATTENTION, message, tuple(left), warnings), record.operation_id)
    deps.journal.end(record, Status.NEEDS_ATTENTION, end)
    return end


def _what_is_left(deps: Deps, torn: Sequence[TornAlias], stage: Stage) -> tuple[dict[FunctionArn, ServedAlias], list[str]]:
    """The aliases that are still there, by the record and in words. One that cannot be read counts as there."""
    aliases = dict(stage.aliases)
    words: list[str] = []
    for alias in torn:
        seen = deps.lambda_api.served(alias.arn, stage.name)
        match seen:
            case Absent():
                aliases.pop(alias.arn, None)
            case VersionSeen(version=version):
                words.append(f"{alias.arn}:{stage.name} serves {'$LATEST' if version is None else f'version {version}'}")
                if version is not None:
                    aliases[alias.arn] = ServedAlias(alias.function, version, None)
            case Unreadable(why=why):
                words.append(f"{alias.arn}:{stage.name} could not be read ({why})")
    return aliases, words
