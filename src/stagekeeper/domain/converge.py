"""Decisions in the middle of things: what a failed precondition means, what compensation does with an alias, what is ours.

All of them take what AWS says *now* and what the plan says was *before*, and never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

from stagekeeper.domain.model import VersionNumber
from stagekeeper.domain.plan import Publish, Published


@dataclass(frozen=True, slots=True)
class AliasSeen:
    """An alias as GetAlias answers it. ``version`` None stands for $LATEST; ``weighted`` if a second version gets traffic."""

    version: VersionNumber | None
    revision_id: str
    weighted: bool


@dataclass(frozen=True, slots=True)
class Done:
    """The alias serves the target already."""

    revision_id: str


@dataclass(frozen=True, slots=True)
class TryAgain:
    """The alias is as it was before, only its RevisionId is another: move it with this one."""

    revision_id: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """Somebody else changed the alias: it is left alone. ``found`` says what is there, ``version`` what it serves."""

    found: str
    version: VersionNumber | None = None


def after_failed_precondition(
    seen: AliasSeen | None, before: VersionNumber | None, target: VersionNumber, *, overwrite: bool
) -> Done | TryAgain | Foreign:
    """What to do when a move was refused because the alias is not as expected. ``seen`` None: there is no alias."""
    if seen is None:
        return Foreign("no alias")
    if seen.version == target and not seen.weighted:
        return Done(seen.revision_id)
    if seen.version == before and (overwrite or not seen.weighted):
        return TryAgain(seen.revision_id)
    return Foreign(spelled(seen), seen.version)


@dataclass(frozen=True, slots=True)
class NothingToUndo:
    """The alias is as it was before. ``revision_id`` is None where there is no alias."""

    revision_id: str | None


@dataclass(frozen=True, slots=True)
class PutBack:
    """Move the alias back onto the version it served before."""

    version: VersionNumber
    revision_id: str


@dataclass(frozen=True, slots=True)
class Unmake:
    """Delete the alias, which this operation made."""


def undo(
    seen: AliasSeen | None, before: VersionNumber | None, target: VersionNumber | None
) -> NothingToUndo | PutBack | Unmake | Foreign:
    """What compensation does with one alias. ``target`` None: its version was never published, so it cannot be moved yet."""
    if before is None:
        if seen is None:
            return NothingToUndo(None)
        return (
            Unmake()
            if target is not None and seen.version == target and not seen.weighted
            else Foreign(spelled(seen), seen.version)
        )
    if seen is None:
        return Foreign("no alias")
    if seen.version == before:
        return NothingToUndo(seen.revision_id)
    if target is not None and seen.version == target and not seen.weighted:
        return PutBack(before, seen.revision_id)
    return Foreign(spelled(seen), seen.version)


def spelled(seen: AliasSeen) -> str:
    version = "$LATEST" if seen.version is None else f"version {seen.version}"
    return f"{version} with routing weights (a part of its traffic goes elsewhere)" if seen.weighted else version


def published(publish: Publish, version: VersionNumber, last_modified: float) -> Published:
    """Whether a version with the plan's content was made by this operation, or was there before and somebody else's.

    PublishVersion answers with the existing version when nothing changed since it. After an update of ours, an older version's
    LastModified cannot be later than what $LATEST had before the update; without one, its number cannot be higher than the
    highest there was.
    """
    if publish.highest is not None:
        return Published(version, version.value > publish.highest)
    return Published(version, last_modified > publish.last_modified)
