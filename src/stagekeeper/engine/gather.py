"""Finds out everything an operation is decided on, and decides nothing. Changes nothing either.

Most of it is GetFunction, which has a budget of its own (100/s), so many are asked at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from stagekeeper.aws.artifacts import HashCache
from stagekeeper.aws.callers import Mappings
from stagekeeper.aws.errors import CallFailed, NotThere
from stagekeeper.aws.lambda_api import LatestBusy
from stagekeeper.domain.code import ImageAddress, sha256_base64, sha256_spelled_like
from stagekeeper.domain.configuration import differing_members, digest, overlay, with_architectures
from stagekeeper.domain.deploy import DeployWish, release_content
from stagekeeper.domain.facts import (
    NO_RELEASE,
    Absent,
    Artifact,
    Busy,
    CodeProblem,
    DeployFacts,
    Image,
    LatestSeen,
    OutOfReach,
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
    LogicalName,
    OperationId,
    Release,
    ReleaseNumber,
    ServiceName,
    StageName,
    VersionNumber,
    content_digest,
)
from stagekeeper.domain.request import CodeWish, FunctionWish, ImageWish
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.patience import Patience

T = TypeVar("T")
R = TypeVar("R")

#: How a function URL is told, which has no id of its own.
FUNCTION_URL = "a function URL"
#: Enough for 90 GetFunction a second at 100 ms each.
_THREADS = 12
#: How long others' updates of functions are waited for (seconds, for all of them) before the operation is refused.
BUSY_PATIENCE = 60
_BUSY_POLL = 1.0


def in_parallel(work: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """``work`` on each thing, results in the things' order. The first exception is raised."""
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        return list(pool.map(work, things))


def recorded(deps: Deps, service: ServiceName, stage: StageName | None) -> StageFacts:
    """What the record says; nothing of AWS yet."""
    known = deps.store.service(service)
    last = known.last_release if known is not None else _last_of_ledger(deps, service)
    return StageFacts(known, stage, None if stage is None else deps.store.stage(service, stage), last_release=last)


def _last_of_ledger(deps: Deps, service: ServiceName) -> ReleaseNumber:
    """The highest release that the ledger of a torn-down service names; 0 for a service that is new."""
    named = [release for line in deps.store.movements(service) for release in (line.from_release, line.to_release)]
    return max((release for release in named if release is not None), default=NO_RELEASE)


def observed(deps: Deps, at: StageFacts, more: Iterable[FunctionArn]) -> StageFacts:
    """``at`` with what the stage's alias serves, on each function of the stage and on ``more``."""
    name = at.name
    if name is None:
        return at
    own = [] if at.stage is None else list(at.stage.aliases)
    arns = list(dict.fromkeys([*own, *more]))
    served = dict(zip(arns, in_parallel(lambda arn: deps.lambda_api.served(arn, name), arns), strict=True))
    missing = [arn for arn in own if isinstance(served[arn], Absent)]
    there = dict(zip(missing, in_parallel(deps.lambda_api.exists, missing), strict=True))
    served.update({arn: answer for arn, answer in there.items() if isinstance(answer, Unreadable)})
    gone = frozenset(arn for arn, answer in there.items() if answer is False)
    return replace(at, served=served, gone=gone)


def deploy_facts(
    deps: Deps, wish: DeployWish, functions: Mapping[LogicalName, FunctionWish], at: StageFacts, *, read_only: bool
) -> DeployFacts:
    """Everything a deploy is decided on."""
    patience = Patience(deps.clock, BUSY_PATIENCE)
    looked = in_parallel(lambda wish: _latest(deps, wish.function_name, patience), functions.values())
    latests = dict(zip(functions, looked, strict=True))
    codes = _codes(deps, functions, latests, deps.hashes(read_only=read_only))
    found = [_resolve(name, wish, latests[name], codes) for name, wish in functions.items()]
    wanted = [function for function in found if isinstance(function, WantedFunction)]
    current = None
    if at.stage is not None and at.stage.release is not None:
        current = deps.store.release(wish.service, at.stage.release)
    content = release_content(wish, at, current, found)
    arns = list(dict.fromkeys(part.arn for part in content.values()))
    claims = deps.store.claims(arns)
    return DeployFacts(
        at=observed(deps, at, arns),
        current=current,
        functions=tuple(found),
        claims=claims,
        realised=_realised(deps, [(part.arn, part.content) for part in content.values()]),
        callers=deps.callers.unqualified(w.latest.arn for w in wanted if w.latest.arn not in claims),
        failed_writers=_failed_writers(deps, claims),
        equal_release=deps.store.release_with(wish.service, content_digest(content, wish.stacks.template)),
        pass_roles=deps.pass_roles,
        leaving=_leaving(deps, wish, at, arns),
    )


def _leaving(
    deps: Deps, wish: DeployWish, at: StageFacts, staying: Iterable[FunctionArn]
) -> dict[FunctionArn, tuple[str, ...] | Unreadable]:
    """Who uses the stage's alias on the functions that leave it, since their aliases go."""
    if at.stage is None or wish.partial:
        return {}
    name, going = at.stage.name, [arn for arn in at.stage.aliases if arn not in set(staying)]
    if not going:
        return {}
    mappings = deps.callers.mappings()
    if isinstance(mappings, Unreadable):
        return dict.fromkeys(going, mappings)
    return dict(zip(going, in_parallel(lambda arn: users(deps, arn, name, mappings, urls(deps, arn)), going), strict=True))


def urls(deps: Deps, arn: FunctionArn) -> list[str] | Unreadable:
    """The qualifiers of a function that have a function URL; none if it is gone."""
    try:
        return deps.lambda_api.urls(arn)
    except NotThere:
        return []
    except CallFailed as error:
        return Unreadable(error.what, error.why)


def users(
    deps: Deps, arn: FunctionArn, stage: StageName, mappings: Mappings, urls: Sequence[str] | Unreadable
) -> tuple[str, ...] | Unreadable:
    """Who else uses a stage's alias on a function."""
    if isinstance(urls, Unreadable):
        return urls
    permitted = deps.callers.permitted(arn, stage)
    if isinstance(permitted, Unreadable):
        return permitted
    url = (FUNCTION_URL,) if stage in urls else ()
    return (*permitted, *mappings.get(f"{arn}:{stage}", ()), *url)


def restore_facts(deps: Deps, release: Release, at: StageFacts) -> RestoreFacts:
    """Everything that going to ``release`` is decided on."""
    parts = {part.arn: part.content for part in release.functions.values()}
    numbers = {arn: number for (arn, _), number in deps.store.realisations(list(parts.items())).items()}
    patience = Patience(deps.clock, BUSY_PATIENCE)
    states = dict(zip(numbers, in_parallel(lambda arn: _settled(deps, arn, numbers[arn], patience), numbers), strict=True))
    seen = observed(deps, at, parts)
    # A version that is not there may mean that the whole function is gone, and so may one that is not on record.
    doubtful = [arn for arn in parts if arn not in numbers or isinstance(states[arn], Absent)]
    there = dict(zip(doubtful, in_parallel(deps.lambda_api.exists, doubtful), strict=True))
    states.update({arn: answer for arn, answer in there.items() if isinstance(answer, Unreadable) and arn in numbers})
    gone = seen.gone | frozenset(arn for arn, answer in there.items() if answer is False)
    return RestoreFacts(
        at=replace(seen, gone=gone),
        release=release,
        claims=deps.store.claims(parts),
        targets={arn: (numbers[arn], states[arn]) if arn in numbers else None for arn in parts},
    )


def _settled(deps: Deps, arn: FunctionArn, number: VersionNumber, patience: Patience) -> VersionSeen | Absent | Unreadable:
    """A version's state; one that is Pending is waited for."""
    while True:
        seen = deps.lambda_api.version(arn, number)
        pending = isinstance(seen, VersionSeen) and seen.state == "Pending"
        if not pending:
            return seen
        if patience.is_over():
            return Unreadable(f"version {number} of {arn}", f"it is still Pending after {BUSY_PATIENCE} s")
        deps.clock.sleep(_BUSY_POLL)


def _realised(
    deps: Deps, contents: Sequence[tuple[FunctionArn, Content]]
) -> dict[tuple[FunctionArn, Content], VersionSeen | Unreadable]:
    """The versions on record that carry a wanted content and are still there."""
    numbers = deps.store.realisations(contents)
    patience = Patience(deps.clock, BUSY_PATIENCE)
    states = in_parallel(lambda key: _settled(deps, key[0], numbers[key], patience), numbers)
    return {key: seen for key, seen in zip(numbers, states, strict=True) if not isinstance(seen, Absent)}


def _failed_writers(deps: Deps, claims: Mapping[FunctionArn, Claim]) -> frozenset[OperationId]:
    writes = [claim.latest_write for claim in claims.values() if claim.latest_write is not None]
    return deps.store.failed_operations({write.operation_id for write in writes})


#: What $LATEST of each function of the request is, or why that is not known.
_Latests = Mapping[LogicalName, LatestSeen | Absent | Unreadable | Busy | OutOfReach]

#: An object in S3 (bucket, key, version), or an image.
_Place = tuple[str, str, str | None] | ImageAddress

#: What was found where code is said to be.
_Codes = Mapping[_Place, Artifact | Image | Absent | Unreadable]


def _place(wish: CodeWish | ImageWish) -> _Place:
    return wish.image if isinstance(wish, ImageWish) else (wish.s3_bucket, wish.s3_key, wish.s3_object_version)


def _codes(deps: Deps, functions: Mapping[LogicalName, FunctionWish], latests: _Latests, cache: HashCache) -> _Codes:
    """Each object is looked at once, however many functions share it: it may have to be hashed. An image that the function
    could not have is not looked for."""

    def look(place: _Place) -> Artifact | Image | Absent | Unreadable:
        return deps.images.look(place) if isinstance(place, ImageAddress) else deps.artifacts.code(*place, cache)

    places: dict[_Place, None] = {}
    for name, wish in functions.items():
        latest = latests[name]
        if wish.code is None or not isinstance(latest, LatestSeen):
            continue
        if isinstance(wish.code, CodeWish) or _elsewhere(name, wish.code.image, latest.arn) is None:
            places[_place(wish.code)] = None
    return dict(zip(places, in_parallel(look, places), strict=True))


def _resolve(
    name: LogicalName, wish: FunctionWish, latest: LatestSeen | Absent | Unreadable | Busy | OutOfReach, codes: _Codes
) -> WantedFunction | Unsettled:
    """One function of the request: what $LATEST holds, the code it shall have, and the content that makes."""
    if not isinstance(latest, LatestSeen):
        return Unsettled(name, wish.function_name, latest)
    artifact = None if wish.code is None else _code(name, wish.code, latest.arn, codes)
    if isinstance(artifact, CodeProblem | Unreadable):
        return Unsettled(name, wish.function_name, artifact)
    bare_name = latest.arn.rpartition(":")[2]
    configuration = overlay(latest.configuration, wish.configuration, bare_name)
    if wish.code is not None and wish.code.architectures is not None:
        configuration = with_architectures(configuration, wish.code.architectures)
    return WantedFunction(
        function=name,
        function_name=wish.function_name,
        latest=latest,
        content=Content(latest.code if artifact is None else artifact.sha256, digest(configuration)),
        artifact=artifact,
        given=frozenset(wish.configuration),
        differing=differing_members(latest.configuration, configuration),
        role=wish.configuration.get("Role"),
        layers=tuple(wish.configuration.get("Layers", ())),
    )


def _latest(deps: Deps, function_name: str, patience: Patience) -> LatestSeen | Absent | Unreadable | Busy | OutOfReach:
    here = deps.lambda_api.region
    if function_name.startswith("arn:") and (region := function_name.split(":")[3]) != here:
        return OutOfReach(region, here)
    while True:
        latest = deps.lambda_api.latest(function_name)
        if not isinstance(latest, LatestBusy):
            return latest
        if patience.is_over():
            return Busy(latest.why)
        deps.clock.sleep(_BUSY_POLL)


def _code(
    name: LogicalName, wish: CodeWish | ImageWish, arn: FunctionArn, codes: _Codes
) -> Artifact | Image | CodeProblem | Unreadable:
    if isinstance(wish, ImageWish) and (elsewhere := _elsewhere(name, wish.image, arn)) is not None:
        return elsewhere
    where, found = _spelled(wish), codes[_place(wish)]
    if isinstance(found, Absent):
        do = "Push it" if isinstance(wish, ImageWish) else "Upload it"
        sentence = f"The code of function {name}, {where}, does not exist. {do}, or correct its place."
        return CodeProblem(missing=True, sentence=sentence)
    said = wish.sha256 if isinstance(wish, CodeWish) else None
    if isinstance(found, Unreadable) or said is None or found.sha256 == sha256_base64(said):
        return found
    sentence = (
        f"The code of function {name}, {where}, has SHA-256 {sha256_spelled_like(said, found.sha256)}, not {said} as the request "
        "says. Upload the right code, or correct sha256."
    )
    return CodeProblem(missing=False, sentence=sentence)


def _spelled(wish: CodeWish | ImageWish) -> str:
    if isinstance(wish, ImageWish):
        return wish.image.uri
    return f"s3://{wish.s3_bucket}/{wish.s3_key}" + (f" (version {wish.s3_object_version})" if wish.s3_object_version else "")


def _elsewhere(name: LogicalName, image: ImageAddress, arn: FunctionArn) -> CodeProblem | None:
    """AWS wants an image in the function's Region; one of another account needs rights there that Stagekeeper does not have."""
    region, account = arn.split(":")[3:5]
    if (image.region, image.account) == (region, account):
        return None
    sentence = (
        f"The image of function {name}, {image.uri}, is in account {image.account}, Region {image.region}. It must be where the "
        f"function is: in account {account}, Region {region}. Replicate the image there (Amazon ECR does that by itself, if told "
        "to), and name it there."
    )
    return CodeProblem(missing=False, sentence=sentence)
