"""Finds out everything that can hold a version: on record, and on AWS. Decides nothing and changes nothing.

Per function three calls on Lambda's shared budget (versions, aliases, provisioned concurrency), plus one listing of the
Region's event source mappings and one look at each stack; GetFunction (whose is it) and policies have budgets of their own, and
policies are read only for what nothing else holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.callers import Mappings
from stagekeeper.aws.errors import CallFailed, NotThere
from stagekeeper.aws.lambda_api import LambdaApi
from stagekeeper.aws.stacks import StackLooks
from stagekeeper.aws.store import VersionOnRecord
from stagekeeper.domain.facts import Absent, StackSeen, Unreadable
from stagekeeper.domain.model import Claim, FunctionArn, LogicalName, OperationId, ServiceName, VersionNumber
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.orphans import FoundVersion, FunctionFacts, SweepSettings, Verdict, orphans
from stagekeeper.domain.reach import ServiceFacts, ServiceIndex, index
from stagekeeper.domain.sweep import Survey, unreadable
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import in_parallel

#: Operations whose plan says which versions they work with.
_MOVING = frozenset({OperationKind.DEPLOY, OperationKind.ROLLBACK, OperationKind.RESET, OperationKind.CLONE})


#: GetPolicy's budget is 15 a second; some of it is others'.
POLICIES_PER_SECOND = 10.0
#: So many functions are looked at before it is asked whether there is time for more: at two calls a second, and with thirty
#: versions each whose policies must be read, that is 18 s.
_SLICE = 4


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is read once for many functions: the Region's event source mappings, and the stacks that have the functions."""

    mappings: Mappings
    stacks: StackLooks


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What the table says of a service. ``members`` are all functions it ever had, ``functions`` those it may judge: claimed by
    it, or by nobody any more."""

    facts: ServiceFacts
    functions: Mapping[FunctionArn, LogicalName]
    members: Mapping[FunctionArn, LogicalName]
    claims: Mapping[FunctionArn, Claim]


def on_record(deps: Deps, service: ServiceName, asking: OperationId) -> OnRecord:
    """Everything on record that can hold a version. Raises CallFailed and MalformedItem."""
    members = deps.store.members(service)
    claims = deps.store.claims(members)
    return OnRecord(
        facts=ServiceFacts(
            stages=deps.store.stages(service),
            releases=deps.store.releases(service),
            movements=deps.store.movements(service),
            in_flight=_in_flight(deps, service, asking),
        ),
        functions={arn: name for arn, name in members.items() if arn not in claims or claims[arn].service == service},
        members=members,
        claims=claims,
    )


def surroundings(deps: Deps) -> Surroundings | Unreadable:
    """For one batch of work, which takes seconds."""
    mappings = deps.callers.mappings()
    return mappings if isinstance(mappings, Unreadable) else Surroundings(mappings, StackLooks(deps.stacks))


def _in_flight(deps: Deps, service: ServiceName, asking: OperationId) -> dict[tuple[FunctionArn, VersionNumber], OperationId]:
    """The versions that the operations which hold the service's lock work with: from where, to where, and what they made."""
    mentioned: dict[tuple[FunctionArn, VersionNumber], OperationId] = {}
    bodies = Bodies(deps.artifacts)
    for holder in deps.store.lock(service).holders:
        record = deps.store.operation(holder.operation_id)
        if holder.operation_id == asking or record is None or record.plan_key is None:
            continue
        if record.kind in _MOVING:
            plan = bodies.plan_of(record)
            numbers = [(move.arn, number) for move in plan.moves for number in (move.before, move.to) if number is not None]
            numbers += [(reuse.arn, reuse.version) for reuse in plan.reuses]
            numbers += [(arn, made.version) for arn, made in record.published.items()]
            mentioned.update(dict.fromkeys(numbers, holder.operation_id))
    return mentioned


def survey(deps: Deps, begun: Survey, settings: SweepSettings, asking: OperationId, soon: float, until: float) -> Survey:
    """Go on with the survey of a service: a verdict on every version of every function, or why there is none.

    Stops ``soon``, in whole slices, at least one; policies are read ``until`` (both epoch seconds), and what is not looked at by
    then stays for the next sweep. Raises CallFailed and MalformedItem.
    """
    record = on_record(deps, begun.service, asking)
    around = surroundings(deps)
    if isinstance(around, Unreadable):
        return Survey(begun.service, trouble=unreadable(begun.service, [around]))
    known, api = index(record.facts), deps.lambda_api.unhurried()
    looked_at, verdicts = [arn for arn in begun.looked_at if arn in record.functions], list(begun.verdicts)
    ahead = [arn for arn in record.functions if arn not in set(looked_at)]
    while ahead:
        one = {arn: record.functions[arn] for arn in ahead[:_SLICE]}
        found = _slice(deps, api, one, around, known, settings, until)
        broken = [function for function in found if isinstance(function, Unreadable)]
        if broken:
            return Survey(begun.service, trouble=unreadable(begun.service, broken))
        there = [function for function in found if isinstance(function, FunctionFacts)]
        verdicts += [verdict for function in there for verdict in orphans(function, known, settings, deps.clock.now())]
        looked_at, ahead = [*looked_at, *one], ahead[_SLICE:]
        if deps.clock.now() > soon:
            break
    return Survey(begun.service, tuple(verdicts), None, tuple(looked_at), len(record.functions))


def _slice(
    deps: Deps,
    api: LambdaApi,
    functions: Mapping[FunctionArn, LogicalName],
    around: Surroundings,
    known: ServiceIndex,
    settings: SweepSettings,
    until: float,
) -> Sequence[FunctionFacts | Absent | Unreadable]:
    """All facts of a few functions."""
    found = in_parallel(lambda item: function_facts(deps, api, item[1], item[0], around), functions.items())
    there = [function for function in found if isinstance(function, FunctionFacts)]
    if any(isinstance(function, Unreadable) for function in found):
        return found
    # Policies are asked for only where nothing else holds a version; the newest unneeded ones count as well.
    now, bare = deps.clock.now(), replace(settings, keep=0)
    candidates = [verdict for function in there for verdict in orphans(function, known, bare, now) if verdict.remove]
    affordable = max(0, int((until - now) * POLICIES_PER_SECOND))
    unread = candidates[affordable:]
    return with_policies(deps, [holding(function, unread) for function in there], candidates[:affordable])


def holding(function: FunctionFacts, unread: Iterable[Verdict]) -> FunctionFacts:
    """The function with versions that could not be looked at in full: nobody knows what hangs on them."""
    mine = {verdict.version for verdict in unread if verdict.arn == function.arn}
    told = {version: [*function.hanging.get(version, ()), "what this sweep had no time to look at"] for version in mine}
    return replace(function, hanging={**function.hanging, **told}) if told else function


def function_facts(
    deps: Deps, api: LambdaApi, function: LogicalName, arn: FunctionArn, around: Surroundings
) -> FunctionFacts | Absent | Unreadable:
    """What AWS says about a function, but for the policies of its versions. Raises MalformedItem, CallFailed for the table."""
    recorded = deps.store.versions(arn)
    stacks = _stacks(api, arn, around.stacks)
    if isinstance(stacks, (Absent, Unreadable)):
        return stacks
    try:
        sizes = api.code_sizes(arn)
        aliases = api.aliased(arn)
        provisioned = api.provisioned(arn)
    except NotThere:
        return Absent()
    except CallFailed as error:
        return Unreadable(f"what function {function} has ({error.what})", error.why)
    hanging: dict[VersionNumber, list[str]] = {}
    for version in sizes:
        held = list(around.mappings.get(f"{arn}:{version}", ()))
        if str(version) in provisioned:
            held.append("provisioned concurrency")
        if held:
            hanging[version] = held
    versions = [_found(version, size, recorded.get(version)) for version, size in sizes.items()]
    return FunctionFacts(function, arn, versions, aliases.targets, hanging, aliases.weighted, stacks)


def _stacks(api: LambdaApi, arn: FunctionArn, looks: StackLooks) -> list[StackSeen] | Absent | Unreadable:
    stack = api.stack_of(arn)
    if isinstance(stack, (Absent, Unreadable)):
        return stack
    return [] if stack is None else looks.with_outer(stack)


def with_policies(
    deps: Deps, functions: Iterable[FunctionFacts], candidates: Iterable[Verdict]
) -> list[FunctionFacts | Unreadable]:
    """The functions with what the policies of the candidates' versions let in."""
    wanted = [(verdict.arn, verdict.version) for verdict in candidates]
    answers = in_parallel(lambda place: deps.callers.permitted(place[0], str(place[1])), wanted)
    policies: dict[FunctionArn, dict[VersionNumber, tuple[str, ...] | Unreadable]] = {}
    for (arn, version), answer in zip(wanted, answers, strict=True):
        policies.setdefault(arn, {})[version] = answer
    return [_with_policies(function, policies.get(function.arn, {})) for function in functions]


def _with_policies(
    function: FunctionFacts, policies: Mapping[VersionNumber, tuple[str, ...] | Unreadable]
) -> FunctionFacts | Unreadable:
    hanging = {version: list(held) for version, held in function.hanging.items()}
    for version, let_in in policies.items():
        if isinstance(let_in, Unreadable):
            return let_in
        if let_in:
            hanging.setdefault(version, []).extend(let_in)
    return replace(function, hanging=hanging)


def _found(version: VersionNumber, size: int, recorded: VersionOnRecord | None) -> FoundVersion:
    if recorded is None:
        return FoundVersion(version, size, ours=False, published_at=None, content=None)
    ours = recorded.published_by is not None
    return FoundVersion(version, size, ours, recorded.recorded_at if ours else None, recorded.content)
