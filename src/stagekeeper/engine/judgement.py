"""The second look, right before something is deleted: what holds now of one function, under whatever keeps others out.

Whoever deletes needs the survey and this to say the same, in batches that keep others out for seconds. Must not delete, and must
not know what keeps others out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stagekeeper.aws.lambda_api import LambdaApi
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.orphans import FunctionFacts, SweepSettings, Verdict, orphans
from stagekeeper.domain.reach import ServiceIndex
from stagekeeper.domain.sweep import Place, place
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.survey import Surroundings, function_facts, with_policies

#: How long (seconds) a batch keeps everybody else out, and how long everybody is let in between two.
BATCH, PAUSE = 5.0, 1
#: What looking at a function and deleting one version take of a batch (seconds), at a sweep's pace.
LOOK, DELETE = 2.5, 0.5
#: More versions of one function than this do not fit into a batch.
AT_ONCE = 8


def judged_anew(
    deps: Deps,
    api: LambdaApi,
    around: Surroundings,
    known: ServiceIndex,
    settings: SweepSettings,
    ahead: Sequence[Verdict],
    amend: Callable[[FunctionFacts], FunctionFacts] = lambda facts: facts,
) -> Mapping[Place, Verdict] | Unreadable:
    """What holds now for the versions ``ahead``, which are of one function; a version that is gone has no verdict.

    ``amend``: what the caller knows better than AWS tells it. Raises MalformedItem, and CallFailed for the table.
    """
    function, arn = ahead[0].function, ahead[0].arn
    found = function_facts(deps, api, function, arn, around)
    if isinstance(found, Absent):
        return {}
    if isinstance(found, Unreadable):
        return found
    there = {version.version for version in found.versions}
    (facts,) = with_policies(deps, [amend(found)], [verdict for verdict in ahead if verdict.version in there])
    if isinstance(facts, Unreadable):
        return facts
    return {place(verdict): verdict for verdict in orphans(facts, known, settings, deps.clock.now())}
