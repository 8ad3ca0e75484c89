"""What a template's custom resource asks for, and the one word that it gets for an answer. Must not sweep."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from stagekeeper.domain.model import FunctionArn, ServiceName
from stagekeeper.domain.orphans import SweepSettings


@dataclass(frozen=True, slots=True)
class Wish:
    """Sweep these functions, or all of a service. ``delete`` False only looks; ``leaving``: the custom resource goes, so its
    stack will not go back to any version of it."""

    functions: tuple[FunctionArn, ...] | ServiceName
    settings: SweepSettings
    delete: bool
    leaving: bool = False


class Word(StrEnum):
    """How it went. Part of the public interface: templates may compare with it."""

    SWEPT = "Swept"
    REPORTED = "Reported"
    ROLLBACK = "Rollback"
    LOCKED = "Locked"
    UNREADABLE = "Unreadable"
    OUT_OF_TIME = "OutOfTime"
    SERVICE_NOT_FOUND = "ServiceNotFound"


@dataclass(frozen=True, slots=True)
class Outcome:
    """``deleted`` were really deleted, ``kept`` are there still; ``detail`` is for people."""

    word: Word
    detail: str
    deleted: int = 0
    kept: int = 0


def settings_for(stack: SweepSettings, keep: int | None, *, leaving: bool) -> SweepSettings:
    """The settings of a sweep on behalf of a template, whose owner asked: versions of strangers count, and nobody waits.

    A rollback can be undone all the same as long as the stack's own settings say.

    The newest unneeded version stays as long as the template does (``leaving``: it goes): its stack may yet roll back to it.
    """
    wanted = stack.keep if keep is None else keep
    return SweepSettings(
        keep=0 if leaving else max(wanted, 1),
        rollback_depth=stack.rollback_depth,
        grace_seconds=0,
        strangers=True,
        popped_seconds=stack.grace_seconds,
    )
