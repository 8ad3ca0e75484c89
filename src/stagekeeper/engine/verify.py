"""Verify: compare every alias of a stage, or of all stages, with the record."""

from __future__ import annotations

from stagekeeper.domain.facts import StageFacts
from stagekeeper.domain.plan import Unchanged
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import VerifyRequest
from stagekeeper.domain.verify import admit_verify, verdict
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.gather import observed, recorded


def decide_verify(deps: Deps, request: VerifyRequest) -> Unchanged | Refusal:
    """Unchanged if AWS agrees with the record. Raises CallFailed and MalformedItem."""
    at = recorded(deps, request.service, request.stage)
    refused = admit_verify(request.service, at, request.common.if_release)
    if refused is not None:
        return refused
    stages = deps.store.stages(request.service) if at.stage is None else [at.stage]
    seen = [observed(deps, StageFacts(at.service, stage.name, stage), ()) for stage in stages]
    return verdict(seen) or Unchanged(None if at.stage is None else at.stage.release)
