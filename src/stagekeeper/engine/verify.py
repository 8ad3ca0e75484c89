"""Verify: compare every alias of a stage, or of all stages, with the record.

Looks at the aliases themselves, one call on the shared budget for each function: only they show routing weights.
"""

from __future__ import annotations

from collections.abc import Mapping

from stagekeeper.aws.errors import CallFailed, NotThere
from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.facts import Absent, StageFacts, Unreadable, VersionSeen
from stagekeeper.domain.model import FunctionArn, Stage
from stagekeeper.domain.plan import Unchanged
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import VerifyRequest
from stagekeeper.domain.verify import admit_verify, verdict
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import in_parallel, recorded


def decide_verify(deps: Deps, request: VerifyRequest) -> Unchanged | Refusal:
    """Unchanged if AWS agrees with the record. Raises CallFailed and MalformedItem."""
    at = recorded(deps, request.service, request.stage)
    refused = admit_verify(request.service, at, request.common.if_release)
    if refused is not None:
        return refused
    stages = deps.store.stages(request.service) if at.stage is None else [at.stage]
    arns = list(dict.fromkeys(arn for stage in stages for arn in stage.aliases))
    looked = dict(zip(arns, in_parallel(lambda arn: _aliases(deps, arn), arns), strict=True))
    seen = [StageFacts(at.service, stage.name, stage, _served(deps, stage, looked)) for stage in stages]
    return verdict(seen) or Unchanged(None if at.stage is None else at.stage.release)


_Looked = Mapping[FunctionArn, Mapping[str, AliasSeen] | Unreadable]


def _aliases(deps: Deps, arn: FunctionArn) -> Mapping[str, AliasSeen] | Unreadable:
    """All aliases of a function; none if the function is gone."""
    try:
        return deps.lambda_api.aliases(arn)
    except NotThere:
        return {}
    except CallFailed as error:
        return Unreadable(error.what, error.why)


def _served(deps: Deps, stage: Stage, looked: _Looked) -> dict[FunctionArn, VersionSeen | Absent | Unreadable]:
    return {arn: _seen(deps, arn, stage, looked[arn]) for arn in stage.aliases}


def _seen(
    deps: Deps, arn: FunctionArn, stage: Stage, aliases: Mapping[str, AliasSeen] | Unreadable
) -> VersionSeen | Absent | Unreadable:
    if isinstance(aliases, Unreadable):
        return aliases
    alias = aliases.get(stage.name)
    if alias is None:
        return Absent()
    # While provisioned concurrency follows a move, the weights are AWS's own.
    weighted = alias.weighted and not deps.lambda_api.provisioned_concurrency_is_moving(arn, stage.name)
    return VersionSeen(alias.version, "Active", weighted)
