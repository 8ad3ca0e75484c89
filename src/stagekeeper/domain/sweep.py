"""What a sweep does: for each service a verdict on every version, and what was to be deleted when the time came.

The verdicts themselves are made in ``orphans.py``. Must not read or delete.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stagekeeper.domain.facts import CodeStored, Unreadable
from stagekeeper.domain.model import FunctionArn, ServiceName, VersionNumber
from stagekeeper.domain.orphans import SweepSettings, Verdict
from stagekeeper.domain.plan import Change
from stagekeeper.domain.refusal import Code, Refusal

Place = tuple[FunctionArn, VersionNumber]


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found out about one service, without its lock. ``trouble`` says why nothing of it may be deleted.

    ``looked_at`` are the functions that were, in the ``of`` that there are: a large service takes several workers, one after the
    other.
    """

    service: ServiceName
    verdicts: tuple[Verdict, ...] = ()
    trouble: Refusal | None = None
    looked_at: tuple[FunctionArn, ...] = ()
    of: int = 0

    @property
    def is_whole(self) -> bool:
        return self.trouble is not None or len(self.looked_at) >= self.of

    def __str__(self) -> str:
        return f"{len(self.looked_at)} of {self.of} functions of service {self.service}"


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """The surveys of the services to sweep; ``ahead`` are those that are not surveyed yet, of which ``begun`` may be in part.

    ``stored`` is how much code the account had before.
    """

    settings: SweepSettings
    surveys: tuple[Survey, ...]
    ahead: tuple[ServiceName, ...] = ()
    begun: Survey | None = None
    stored: CodeStored | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far deleting came: what became of versions so far, and services of which nothing (more) could be deleted.

    ``freed``: the services whose claims were looked through, too. ``gone``: what somebody else had deleted when its turn came.
    ``aliases_deleted`` is a teardown's.
    """

    done: tuple[Verdict, ...] = ()
    freed: tuple[ServiceName, ...] = ()
    troubles: tuple[tuple[ServiceName, Refusal], ...] = ()
    aliases_deleted: int = 0
    gone: tuple[Place, ...] = ()


def place(verdict: Verdict) -> Place:
    return verdict.arn, verdict.version


def to_delete(verdicts: Sequence[Verdict], progress: Progress) -> list[Verdict]:
    """What is still ahead."""
    done = {*progress.gone, *(place(verdict) for verdict in progress.done)}
    return [verdict for verdict in verdicts if verdict.remove and place(verdict) not in done]


def outcome(verdicts: Sequence[Verdict], progress: Progress) -> list[Verdict]:
    """What became of every version: as planned where nothing else happened, kept where it was planned and not done.

    Of what somebody else deleted nothing became: it is in no list, so that two sweeps never both say that they deleted it.
    """
    done = {place(verdict): verdict for verdict in progress.done}
    gone = set(progress.gone)
    return [
        done.get(place(v), Verdict(v.function, v.arn, v.version, v.size, False, "not reached") if v.remove else v)
        for v in verdicts
        if place(v) not in gone
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
