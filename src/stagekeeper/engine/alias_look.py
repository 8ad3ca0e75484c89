"""Look at an alias and tell foreign weights from AWS's own.

While an alias with provisioned concurrency moves, AWS itself shifts traffic by weights until the new version is warm. That is
no drift: it is waited for, and after a while not even that. Weights on an alias at rest are somebody's.
"""

from __future__ import annotations

from dataclasses import replace

from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.model import FunctionArn, StageName
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.mandate import Mandate
from stagekeeper.engine.patience import Patience

#: How long (seconds) provisioned concurrency may take to settle before aliases are moved all the same.
SHIFT_PATIENCE = 60
_POLL = 2.0


def look(deps: Deps, mandate: Mandate, patience: Patience, arn: FunctionArn, stage: StageName) -> AliasSeen | None:
    """The alias, None if there is none; ``weighted`` only if the weights are not AWS's own. Raises CallFailed, Superseded."""
    while True:
        seen = deps.lambda_api.alias(arn, stage)
        if seen is None or not seen.weighted:
            return seen
        if not deps.lambda_api.provisioned_concurrency_is_moving(arn, stage):
            # It may have come to rest between the two looks, and taken its weights along.
            return deps.lambda_api.alias(arn, stage)
        if patience.is_over():
            return replace(seen, weighted=False)
        deps.clock.sleep(_POLL)
        mandate.check()
