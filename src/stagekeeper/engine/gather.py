"""Finds out everything an operation is decided on, and decides nothing. Changes nothing either.

Most of it is GetFunction, which has a budget of its own (100/s), so many are asked at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from stagekeeper.aws.artifacts import HashCache
from stagekeeper.aws.lambda_api import LatestBusy
from stagekeeper.domain.configuration import differing_members, digest, overlay, with_architectures
from stagekeeper.domain.deploy import DeployWish, release_content
from stagekeeper.domain.facts import (
    Absent,
    Artifact,
    Busy,
    CodeProblem,
    DeployFacts,
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
    LogicalName,
    OperationId,
    Release,
    ServiceName,
    StageName,
    VersionNumber,
    content_digest,
)
from stagekeeper.domain.request import CodeWish, FunctionWish
from stagekeeper.engine.deps import Deps

T = TypeVar("T")
R = TypeVar("R")

#: Enough for 90 GetFunction a second at 100 ms each.
_THREADS = 12
#: How long somebody else's update of a function is waited for (seconds) before the deploy is refused.
BUSY_PATIENCE = 60
_BUSY_POLL = 1.0


def in_parallel(work: Callable[[T], R], things: Iterable[T]) -> list[R]:
    """``work`` on each thing, results in the things' order. The first exception is raised."""
    with ThreadPoolExecutor(max_workers=_THREADS) as pool:
        return list(pool.map(work, things))


def recorded(deps: Deps, service: ServiceName, stage: StageName | None) -> StageFacts:
    """What the record says; nothing of AWS yet."""
    return StageFacts(deps.store.service(service), stage, None if stage is None else deps.store.stage(service, stage))


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
    return StageFacts(at.service, name, at.stage, served, gone)


def deploy_facts(
    deps: Deps, wish: DeployWish, functions: Mapping[LogicalName, FunctionWish], at: StageFacts, *, read_only: bool
) -> DeployFacts:
    """Everything a deploy is decided on."""
    codes = _codes(deps, functions.values(), deps.hashes(read_only=read_only))
    found = in_parallel(lambda item: _resolve(deps, *item, codes), functions.items())
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
        callers=deps.callers.of(w.latest.arn for w in wanted if w.latest.arn not in claims),
        failed_writers=_failed_writers(deps, claims),
        equal_release=deps.store.release_with(wish.service, content_digest(content)),
    )


def restore_facts(deps: Deps, release: Release, at: StageFacts) -> RestoreFacts:
    """Everything that going to ``release`` is decided on."""
    parts = {part.arn: part.content for part in release.functions.values()}
    numbers = {arn: number for (arn, _), number in deps.store.realisations(list(parts.items())).items()}
    states = dict(zip(numbers, in_parallel(lambda arn: _settled(deps, arn, numbers[arn]), numbers), strict=True))
    seen = observed(deps, at, parts)
    # A version that is not there may mean that the whole function is gone, and so may one that is not on record.
    doubtful = [arn for arn in parts if arn not in numbers or isinstance(states[arn], Absent)]
    there = dict(zip(doubtful, in_parallel(deps.lambda_api.exists, doubtful), strict=True))
    states.update({arn: answer for arn, answer in there.items() if isinstance(answer, Unreadable) and arn in numbers})
    gone = seen.gone | frozenset(arn for arn, answer in there.items() if answer is False)
    return RestoreFacts(
        at=StageFacts(seen.service, seen.name, seen.stage, seen.served, gone),
        release=release,
        targets={arn: (numbers[arn], states[arn]) if arn in numbers else None for arn in parts},
    )


def _settled(deps: Deps, arn: FunctionArn, number: VersionNumber) -> VersionSeen | Absent | Unreadable:
    """A version's state; one that is Pending is waited for."""
    deadline = deps.clock.now() + BUSY_PATIENCE
    while True:
        seen = deps.lambda_api.version(arn, number)
        pending = isinstance(seen, VersionSeen) and seen.state == "Pending"
        if not pending:
            return seen
        if deps.clock.now() >= deadline:
            return Unreadable(f"version {number} of {arn}", f"it is still Pending after {BUSY_PATIENCE} s")
        deps.clock.sleep(_BUSY_POLL)


def _realised(
    deps: Deps, contents: Sequence[tuple[FunctionArn, Content]]
) -> dict[tuple[FunctionArn, Content], VersionSeen | Unreadable]:
    """The versions on record that carry a wanted content and are still there."""
    numbers = deps.store.realisations(contents)
    states = in_parallel(lambda key: _settled(deps, key[0], numbers[key]), numbers)
    return {key: seen for key, seen in zip(numbers, states, strict=True) if not isinstance(seen, Absent)}


def _failed_writers(deps: Deps, claims: Mapping[FunctionArn, Claim]) -> frozenset[OperationId]:
    writes = [claim.latest_write for claim in claims.values() if claim.latest_write is not None]
    return deps.store.failed_operations({write.operation_id for write in writes})


#: What was found where code is said to be: by bucket, key and object version.
_Codes = Mapping[tuple[str, str, str | None], Artifact | Absent | Unreadable]


def _place(wish: CodeWish) -> tuple[str, str, str | None]:
    return wish.s3_bucket, wish.s3_key, wish.s3_object_version


def _codes(deps: Deps, functions: Iterable[FunctionWish], cache: HashCache) -> _Codes:
    """Each object is looked at once, however many functions share it: it may have to be hashed."""
    places = list(dict.fromkeys(_place(wish.code) for wish in functions if wish.code is not None))
    return dict(zip(places, in_parallel(lambda place: deps.artifacts.code(*place, cache), places), strict=True))


def _resolve(deps: Deps, name: LogicalName, wish: FunctionWish, codes: _Codes) -> WantedFunction | Unsettled:
    """One function of the request: what $LATEST holds, the code it shall have, and the content that makes."""
    latest = _latest(deps, wish.function_name)
    if not isinstance(latest, LatestSeen):
        return Unsettled(name, wish.function_name, latest)
    artifact = None
    if wish.code is not None:
        code = _code(name, wish.code, codes[_place(wish.code)])
        if not isinstance(code, Artifact):
            return Unsettled(name, wish.function_name, code)
        artifact = code
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
    )


def _latest(deps: Deps, function_name: str) -> LatestSeen | Absent | Unreadable | Busy:
    deadline = deps.clock.now() + BUSY_PATIENCE
    while True:
        latest = deps.lambda_api.latest(function_name)
        if not isinstance(latest, LatestBusy):
            return latest
        if deps.clock.now() >= deadline:
            return Busy(latest.why)
        deps.clock.sleep(_BUSY_POLL)


def _code(name: LogicalName, wish: CodeWish, found: Artifact | Absent | Unreadable) -> Artifact | CodeProblem | Unreadable:
    where = f"s3://{wish.s3_bucket}/{wish.s3_key}" + (f" (version {wish.s3_object_version})" if wish.s3_object_version else "")
    match found:
        case Absent():
            sentence = f"The code of function {name}, {where}, does not exist. Upload it, or correct its place."
            return CodeProblem(missing=True, sentence=sentence)
        case Artifact(sha256=sha256) if wish.sha256 is not None and sha256 != wish.sha256:
            sentence = (
                f"The code of function {name}, {where}, has SHA-256 {sha256}, not {wish.sha256} as the request says. "
                "Upload the right code, or correct sha256."
            )
            return CodeProblem(missing=False, sentence=sentence)
    return found
