"""What a sweep does: for each service a verdict on every version, and what was to be deleted when the time came.

The verdicts themselves are made in ``orphans.py``. Must not read or delete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.model import FunctionArn, ServiceName, VersionNumber
from stagekeeper.domain.orphans import SweepSettings, Verdict
from stagekeeper.domain.plan import Change
from stagekeeper.domain.refusal import Code, Refusal


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found out about one service, without its lock. ``trouble`` says why nothing of it may be deleted."""

    service: ServiceName
    verdicts: tuple[Verdict, ...] = ()
    trouble: Refusal | None = None


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The surveys of the services to sweep; ``ahead`` are those that are not surveyed yet."""

    settings: SweepSettings
    surveys: tuple[Survey, ...]
    ahead: tuple[ServiceName, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far deleting came: what became of versions so far, and services of which nothing (more) could be deleted.

    ``freed``: the services whose claims were looked through, too. ``aliases_deleted`` is a teardown's.
    """

    done: tuple[Verdict, ...] = ()
    freed: tuple[ServiceName, ...] = ()
    troubles: tuple[tuple[ServiceName, Refusal], ...] = ()
    aliases_deleted: int = 0


Place = tuple[FunctionArn, VersionNumber]


def place(verdict: Verdict) -> Place:
    return verdict.arn, verdict.version


def to_delete(verdicts: Sequence[Verdict], progress: Progress) -> list[Verdict]:
    """What is still ahead."""
    done = {place(verdict) for verdict in progress.done}
    return [verdict for verdict in verdicts if verdict.remove and place(verdict) not in done]


def outcome(verdicts: Sequence[Verdict], progress: Progress) -> list[Verdict]:
    """What became of every version: as planned where nothing else happened, kept where it was planned and not done."""
    done = {place(verdict): verdict for verdict in progress.done}
    return [
        done.get(place(v), Verdict(v.function, v.arn, v.version, v.size, False, "not reached") if v.remove else v)
        for v in verdicts
    ]


def deletions(verdicts: Sequence[Verdict]) -> list[Change]:
    """The lines of ``changes`` for what is removed."""
    return [Change(v.function, "delete_version", str(v.version), None, v.reason) for v in verdicts if v.remove]


def unreadable(service: ServiceName, facts: Sequence[Unreadable]) -> Refusal:
    """One fact that could not be read is enough: nothing of the service is deleted."""
    first = facts[0]
    return Refusal(
        Code.UNREADABLE,
        f"{first.what} could not be read: {first.why}. Nothing of service {service} was deleted. Mend that and try again.",
        tuple(fact.what for fact in facts),
    )
