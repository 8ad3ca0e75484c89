"""Which commits lie between two, as the git checkout at hand knows them. Must not know what was deployed from them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stagekeeper.cli.paper import clean

#: At the end of a commit's hash: not everything that was deployed was committed. As `git describe --dirty` has it.
DIRTY = "-dirty"

#: Of a commit's hash people read the beginning.
_READ = 8

#: More are counted, not shown.
SHOWN = 20

#: A log of a very large checkout takes seconds; one that takes longer says nothing.
_GIT_SECONDS = 30

#: The record says what it was told: nothing else than a hash may reach git, least of all an option.
_HASH = re.compile(r"[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class Commit:
    hash: str
    subject: str


@dataclass(frozen=True, slots=True)
class Commits:
    """Newest first; ``count`` is how many there are, of which the newest are shown."""

    shown: Sequence[Commit] = ()
    count: int = 0


@dataclass(frozen=True, slots=True)
class Between:
    """What each side has and the other has not. Both have some where they diverged."""

    only_a: Commits
    only_b: Commits


@dataclass(frozen=True, slots=True)
class NotHere:
    """Commits that this checkout does not have, or that are no commits."""

    commits: Sequence[str]


def shown(commit: str) -> str:
    """A commit on record as people read it: the beginning of its hash, and whether more than it was deployed."""
    return clean(commit).removesuffix(DIRTY)[:_READ] + (DIRTY if commit.endswith(DIRTY) else "")


def between(folder: Path, a: str, b: str) -> Between | NotHere | None:
    """What lies between two commits on record; None without git or a checkout. What was not committed is in no commit."""
    if _git(folder, "rev-parse", "--git-dir") is None:
        return None
    a, b = a.removesuffix(DIRTY), b.removesuffix(DIRTY)
    missing = [each for each in dict.fromkeys((a, b)) if not _is_here(folder, each)]
    if missing:
        return NotHere(missing)
    only_a, only_b = _range(folder, f"{b}..{a}"), _range(folder, f"{a}..{b}")
    return None if only_a is None or only_b is None else Between(only_a, only_b)


def _is_here(folder: Path, commit: str) -> bool:
    return _HASH.fullmatch(commit) is not None and _git(folder, "cat-file", "-e", f"{commit}^{{commit}}") is not None


def _range(folder: Path, span: str) -> Commits | None:
    count = _git(folder, "rev-list", "--count", span)
    log = _git(folder, "log", f"--max-count={SHOWN}", "--no-show-signature", "--format=%h %s", span)
    if count is None or log is None:
        return None
    lines = [line.partition(" ") for line in log.split("\n") if line]
    return Commits(tuple(Commit(short, subject) for short, _, subject in lines), int(count))


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - words of our own, and hashes
            ["git", "-C", str(folder), *words],  # noqa: S607 - the git that the person has
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
