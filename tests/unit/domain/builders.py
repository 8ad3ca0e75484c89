"""A small service to decide about: values of the domain with everything but the point of a test filled in.

Functions are called ``api``, ``worker``, …; code digests are single letters, so ``release(2, api="B")`` is r2 with api's code B.
What AWS serves agrees with the record unless a test says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from stagekeeper.domain.configuration import canonical, digest
from stagekeeper.domain.deploy import DeployWish, admit_deploy, plan_deploy, release_content
from stagekeeper.domain.facts import (
    Absent,
    Artifact,
    DeployFacts,
    Image,
    LatestSeen,
    RestoreFacts,
    StageFacts,
    Unreadable,
    Unsettled,
    VersionSeen,
    WantedFunction,
)
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LatestWrite,
    LogicalName,
    OperationId,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    Service,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
    content_digest,
)
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Plan, Publish, Unchanged
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.restore import AlongTheWayBack, AsStage, RestoreWish, ToRelease, admit_restore, plan_restore

SERVICE = ServiceName("orders")
DEV = StageName("dev")
OPERATION = OperationId("op-now")
EARLIER = OperationId("op-earlier")

Served = Mapping[str, VersionSeen | Absent | Unreadable]

#: Stands for an environment value: it may be in no plan, refusal or repr.
SECRET = "s3cr3t-value"


def arn(name: str) -> FunctionArn:
    return FunctionArn(f"arn:aws:lambda:eu-central-1:111122223333:function:orders-{name}")


def configuration(**members: object) -> dict[str, object]:
    """A canonical configuration of a function with a secret in its environment."""
    return canonical({"FunctionName": "orders-api", "Environment": {"Variables": {"TOKEN": SECRET}}, **members})


PLAIN = digest(configuration())


def content(code: str = "A", config: str = PLAIN) -> Content:
    return Content(code, config)


def part(name: str, code: str = "A", config: str = PLAIN) -> ReleaseFunction:
    return ReleaseFunction(arn(name), content(code, config))


def release(number: int, **codes: str) -> Release:
    return Release(ReleaseNumber(number), {LogicalName(name): part(name, code) for name, code in codes.items()})


def version(number: int) -> VersionNumber:
    return VersionNumber(number)


def seen(number: int, state: str = "Active") -> VersionSeen:
    return VersionSeen(version(number), state)


def alias(name: str, number: int) -> ServedAlias:
    return ServedAlias(LogicalName(name), version(number), f"revision-of-{name}")


def stage(number: int | None, *way_back: int, mixed: bool = False, **served: int) -> Stage:
    """Stage dev on r``number``; ``served`` are its aliases: function -> version."""
    return Stage(
        name=DEV,
        release=None if number is None else ReleaseNumber(number),
        way_back=tuple(ReleaseNumber(older) for older in way_back),
        aliases={arn(name): alias(name, at) for name, at in served.items()},
        mixed=mixed,
        movements=7,
        revision=5,
    )


def numbers(*releases: int) -> tuple[ReleaseNumber, ...]:
    return tuple(ReleaseNumber(number) for number in releases)


def stage_facts(
    of: Stage | None, *more: str, served: Served | None = None, gone: tuple[str, ...] = (), last_release: int | None = 9
) -> StageFacts:
    """Facts about dev: AWS agrees with the record, and has no alias on the functions ``more``, but for ``served``."""
    agreed: dict[FunctionArn, VersionSeen | Absent | Unreadable] = {arn(name): Absent() for name in more}
    if of is not None:
        agreed.update({where: VersionSeen(known.version, "Active") for where, known in of.aliases.items()})
    agreed.update({arn(name): Absent() for name in gone})
    agreed.update({arn(name): answer for name, answer in (served or {}).items()})
    service = None if last_release is None else Service(SERVICE, ReleaseNumber(last_release))
    newest = ReleaseNumber(last_release or 0)
    return StageFacts(service, DEV, of, agreed, frozenset(arn(name) for name in gone), last_release=newest)


# Deploys.


def latest(name: str, code: str = "A", config: str = PLAIN, failed: str | None = None, package: str = "Zip") -> LatestSeen:
    return LatestSeen(
        arn=arn(name),
        code=code,
        configuration=configuration(PackageType=package),
        content=Content(code, config),
        revision_id=f"revision-of-{name}-latest",
        last_modified=1_700_000_000.0,
        failed=failed,
    )


def wanted(
    name: str,
    code: str | None = None,
    *,
    in_latest: str = "A",
    config: str | None = None,
    in_latest_config: str = PLAIN,
    given: tuple[str, ...] = (),
    differing: tuple[str, ...] = (),
    failed: str | None = None,
    package: str = "Zip",
    image: bool = False,
    role: str | None = None,
    layers: tuple[str, ...] = (),
) -> WantedFunction:
    """A function of the request. ``code`` None: what $LATEST holds; ``config`` None: the configuration stays as it is.

    ``package`` is what the function is; the code is a zip, or with ``image`` a container image.
    """
    artifact: Artifact | Image | None = None
    if code is not None:
        artifact = Image(f"images/{name}@{code}", code) if image else Artifact("artifacts", f"code/{name}-{code}.zip", None, code)
    return WantedFunction(
        function=LogicalName(name),
        function_name=f"orders-{name}",
        latest=latest(name, in_latest, in_latest_config, failed, package),
        content=Content(code or in_latest, config or in_latest_config),
        artifact=artifact,
        given=frozenset(given),
        differing=frozenset(differing),
        role=role,
        layers=layers,
    )


def claim(name: str, *given: str, write: LatestWrite | None = None) -> Claim:
    return Claim(SERVICE, LogicalName(name), frozenset(given), write)


def deploy_wish(
    *,
    to: StageName | None = DEV,
    partial: bool = False,
    overwrite: bool = False,
    if_release: int | None = None,
    accept_callers: bool = False,
) -> DeployWish:
    return DeployWish(
        operation_id=OPERATION,
        service=SERVICE,
        stage=to,
        partial=partial,
        overwrite_drift=overwrite,
        if_release=None if if_release is None else ReleaseNumber(if_release),
        accept_unqualified_callers=accept_callers,
    )


def deploy_facts(
    *functions: WantedFunction | Unsettled,
    wish: DeployWish | None = None,
    at: Stage | None = None,
    releases: tuple[Release, ...] = (),
    versions: Mapping[tuple[str, str], VersionSeen | Unreadable] | None = None,
    claims: Mapping[str, Claim] | None = None,
    callers: Mapping[str, tuple[str, ...] | Unreadable] | None = None,
    failed: tuple[OperationId, ...] = (),
    served: Served | None = None,
    gone: tuple[str, ...] = (),
    pass_roles: str = "",
) -> DeployFacts:
    """Facts of a deploy. ``versions`` is where contents are: (function, code letter) -> version.

    Every function belongs to the service unless ``claims`` says which do; releases count from ``releases``.
    """
    wish = wish or deploy_wish()
    names = [str(function.function) for function in functions]
    newest = max((item.number for item in releases), default=None)
    facts = stage_facts(at, *names, served=served, gone=gone, last_release=newest)
    if wish.stage is None:
        facts = StageFacts(facts.service, None, None, last_release=facts.last_release)
    current = next((item for item in releases if at is not None and item.number == at.release), None)
    wanted_content = content_digest(release_content(wish, facts, current, functions))
    return DeployFacts(
        at=facts,
        current=current,
        functions=functions,
        claims={arn(name): owned for name, owned in ({n: claim(n) for n in names} if claims is None else claims).items()},
        realised={(arn(name), content(code)): answer for (name, code), answer in (versions or {}).items()},
        callers={arn(name): who for name, who in (callers or {}).items()},
        failed_writers=frozenset(failed),
        equal_release=next((item for item in releases if item.digest == wanted_content), None),
        pass_roles=pass_roles,
    )


def decide_deploy(wish: DeployWish, facts: DeployFacts) -> Plan | Unchanged | Refusal:
    """Both steps of the decision, as the engine takes them."""
    return admit_deploy(wish, facts.at) or plan_deploy(wish, facts)


# Rollbacks, resets and clones.


def rollback_wish(
    *,
    to: int | None = None,
    steps: int | None = None,
    overwrite: bool = False,
    allow_missing: bool = False,
    if_release: int | None = None,
) -> RestoreWish:
    choice = AlongTheWayBack(None if to is None else ReleaseNumber(to), steps)
    return restore_wish(OperationKind.ROLLBACK, choice, overwrite, allow_missing, if_release)


def reset_wish(
    to: int | StageName, *, overwrite: bool = False, allow_missing: bool = False, if_release: int | None = None
) -> RestoreWish:
    choice = ToRelease(ReleaseNumber(to)) if isinstance(to, int) else AsStage(to)
    return restore_wish(OperationKind.RESET, choice, overwrite, allow_missing, if_release)


def clone_wish(like: StageName, *, allow_missing: bool = False, if_release: int | None = None) -> RestoreWish:
    return restore_wish(OperationKind.CLONE, AsStage(like), False, allow_missing, if_release)


def restore_wish(
    kind: OperationKind,
    choice: AlongTheWayBack | ToRelease | AsStage,
    overwrite: bool,
    allow_missing: bool,
    if_release: int | None,
) -> RestoreWish:
    return RestoreWish(
        kind=kind,
        operation_id=OPERATION,
        service=SERVICE,
        stage=DEV,
        choice=choice,
        overwrite_drift=overwrite,
        allow_missing=allow_missing,
        if_release=None if if_release is None else ReleaseNumber(if_release),
    )


def decide_restore(
    wish: RestoreWish,
    at: Stage | None,
    *releases: Release,
    others: tuple[Stage, ...] = (),
    claims: Mapping[FunctionArn, Claim] | None = None,
    versions: Mapping[str, VersionSeen | Absent | Unreadable | None] | None = None,
    served: Served | None = None,
    gone: tuple[str, ...] = (),
    last_release: int | None = 9,
) -> Plan | Unchanged | Refusal:
    """Both steps of the decision, as the engine takes them. ``others`` are further stages of the service.

    ``versions``: function -> the version with the target release's content (None: collected); by default each function's is
    the target's number: r2's are versions 2.
    """
    facts = stage_facts(at, served=served, gone=gone, last_release=last_release)
    chosen = admit_restore(wish, facts, {other.name: other for other in others})
    if isinstance(chosen, Refusal):
        return chosen
    target = next(item for item in releases if item.number == chosen.release)
    found: dict[FunctionArn, tuple[VersionNumber, VersionSeen | Absent | Unreadable] | None] = {}
    for name, its in target.functions.items():
        answer = (versions or {}).get(name, seen(target.number))
        at_number = answer.version if isinstance(answer, VersionSeen) and answer.version else version(target.number)
        found[its.arn] = None if answer is None else (at_number, answer)
    missing = {its.arn: Absent() for its in target.functions.values() if its.arn not in facts.served}
    facts = replace(facts, served={**facts.served, **missing})
    owned = {its.arn: claim(name) for name, its in target.functions.items()} if claims is None else dict(claims)
    return plan_restore(wish, chosen, RestoreFacts(facts, target, owned, found))


# Results.


def planned(decision: Plan | Unchanged | Refusal) -> Plan:
    assert isinstance(decision, Plan), decision
    return decision


def refused(decision: object) -> Refusal:
    assert isinstance(decision, Refusal), decision
    return decision


def moves(plan: Plan) -> dict[str, tuple[int | None, int | None]]:
    """The moves of a plan: function -> (before, to); None for no alias and for a version yet to be published."""
    return {str(move.function): (number(move.before), number(move.to)) for move in plan.moves}


def number(of: VersionNumber | None) -> int | None:
    return None if of is None else of.value


def publish(name: str = "api", *, highest: int | None = None, last_modified: float = 1_700_000_000.0) -> Publish:
    return Publish(
        function=LogicalName(name),
        function_name=f"orders-{name}",
        arn=arn(name),
        content=content("B"),
        before=content("A"),
        last_modified=last_modified,
        highest=highest,
        artifact=None,
        update_code=highest is None,
        update_members=(),
        served=version(1),
        reason="new code",
    )
