"""Observed stages: those whose aliases a CloudFormation stack owns. They are shown and can be copied, but never moved.

CloudFormation would put back, or delete, what somebody else moves: so a stage's aliases have one owner, and it is theirs.
"""

from __future__ import annotations

from stagekeeper.domain.aliases import Problem, found_instead, unreadable
from stagekeeper.domain.facts import Absent, StageFacts, Unreadable, VersionSeen
from stagekeeper.domain.model import FunctionArn, ServedAlias, Stage
from stagekeeper.domain.refusal import Code


def not_ours(stage: Stage | None) -> list[Problem]:
    """Why the stage may not be moved or torn down; nothing for one of our own."""
    if stage is None or stage.observed is None:
        return []
    sentence = (
        f"Stage {stage.name} is only observed: its aliases belong to stack {stage.observed}, which would undo what others do to "
        "them. Have the stack let go of them, as docs/adopting.md shows, then adopt again; if it has done so already, adopt now."
    )
    return [Problem(Code.ALIAS_OWNED_ELSEWHERE, sentence, f"{stage.name}: stack {stage.observed}")]


def moved_since(at: StageFacts) -> list[Problem]:
    """Where an observed stage serves something else by now than is on record: what is on record must not be taken for it."""
    if at.stage is None or at.stage.observed is None:
        return []
    found = [_moved(at.stage, alias, arn, at.served[arn]) for arn, alias in at.stage.aliases.items()]
    return [problem for problem in found if problem is not None]


def _moved(stage: Stage, alias: ServedAlias, arn: FunctionArn, seen: VersionSeen | Absent | Unreadable) -> Problem | None:
    if isinstance(seen, Unreadable):
        return unreadable(seen)
    found = found_instead(alias.version, seen)
    if found is None:
        return None
    sentence = (
        f"The alias {stage.name} of function {alias.function} ({arn}) served version {alias.version} when stage {stage.name} was "
        f"adopted; by now AWS has {found}. The alias belongs to stack {stage.observed}, which may move it at any time: run adopt "
        "again, which takes what it serves now on record."
    )
    return Problem(Code.DRIFTED, sentence, f"{arn}:{stage.name}: recorded {alias.version}, found {found}")
