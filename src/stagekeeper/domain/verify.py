"""What ``verify`` says: whether AWS agrees with the record, alias by alias. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from stagekeeper.domain.aliases import Problem, drift, refusal
from stagekeeper.domain.deploy import stage_moved
from stagekeeper.domain.facts import StageFacts
from stagekeeper.domain.model import ReleaseNumber, ServiceName
from stagekeeper.domain.observed import moved_since
from stagekeeper.domain.refusal import Refusal, no_service, no_stage


def admit_verify(service: ServiceName, at: StageFacts, if_release: ReleaseNumber | None) -> Refusal | None:
    """The refusals that need no look at AWS."""
    if at.service is None:
        return no_service(service)
    if at.name is None:
        return None
    if at.stage is None:
        return no_stage(service, at.name)
    return stage_moved(service, at.name, at, if_release)


def verdict(stages: Sequence[StageFacts]) -> Refusal | None:
    """None if every alias of every stage serves what is recorded; else Drifted (or Unreadable), naming every alias."""
    problems: list[Problem] = []
    for at in stages:
        if at.stage is None:
            continue
        for arn, alias in at.stage.aliases.items():
            problem = drift(at.stage.name, alias.function, arn, alias.version, at.served[arn])
            if problem is not None and at.stage.observed is None:
                problems.append(problem)
        problems += moved_since(at)
    return refusal(problems)
