"""The kept state of one port: copied out for a run, put back as a whole when that run was stopped. Standard library only.

A run never works on the kept state itself. So a run that crashes, or a `start` that fails, leaves what the last `stop`
kept as it was, and nothing can be half old and half new. A list of digests beside it tells a damaged one.

Knows files and folders; must not know what is in them, nor how the server that wrote them is run.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stagekeeper.embedded.errors import KeptStateUnusable

MANIFEST = "kept.json"
# To be raised when older state would be misread although ministack's version is the same.
FORMAT = 1

_ASIDE = "kept.before"
#: What to do about a kept state that cannot be used.
WAY_OUT = "Start without --keep, or remove {kept} to begin anew with --keep."


def check_out(kept: Path, state: Path, ministack: str) -> None:
    """Copy what is kept to the new folder `state`; nothing when nothing is kept.

    Raises KeptStateUnusable when another version than `ministack` wrote it, and when it is not as it was written.
    """
    with _alone(kept):
        _end_interrupted(kept)
        if not kept.exists():
            return
        manifest = _manifest(kept)
        if manifest["format"] != FORMAT or manifest["ministack"] != ministack:
            raise KeptStateUnusable(
                f"The state kept in {kept} was written by ministack {manifest['ministack']} (format {manifest['format']}), and "
                f"this is ministack {ministack} (format {FORMAT}), which could misread it. {WAY_OUT.format(kept=kept)}"
            )
        shutil.copytree(kept, state, ignore=lambda folder, _names: [MANIFEST] if Path(folder) == kept else [])
    wrong = _difference(manifest["files"], _digests(state))
    if wrong is not None:
        raise KeptStateUnusable(f"The state kept in {kept} is damaged: {wrong}. {WAY_OUT.format(kept=kept)}")


def put_back(state: Path, kept: Path, ministack: str) -> None:
    """Make `state` what is kept. Doing it twice, or two at once, is doing it once."""
    aside = kept.with_name(_ASIDE)
    with _alone(kept):
        _end_interrupted(kept)
        if not state.exists():
            # Another process that stops or clears the same run was faster.
            return
        manifest = {"format": FORMAT, "ministack": ministack, "files": _digests(state)}
        (state / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        if kept.exists():
            kept.rename(aside)
        state.rename(kept)
        _end_interrupted(kept)


@contextmanager
def _alone(kept: Path) -> Iterator[None]:
    """Within, no other process is at this kept state. The lock is on the folder that holds it, so nothing is left behind."""
    folder = os.open(kept.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _end_interrupted(kept: Path) -> None:
    """What was moved aside goes, or comes back if the new state never took its place."""
    aside = kept.with_name(_ASIDE)
    if kept.exists():
        shutil.rmtree(aside, ignore_errors=True)
    elif aside.exists():
        aside.rename(kept)


def _manifest(kept: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((kept / MANIFEST).read_text(encoding="utf-8"))
        return {"format": manifest["format"], "ministack": manifest["ministack"], "files": dict(manifest["files"])}
    except FileNotFoundError:
        raise KeptStateUnusable(
            f"The state kept in {kept} is damaged: {MANIFEST} is missing. {WAY_OUT.format(kept=kept)}"
        ) from None
    except (ValueError, TypeError, KeyError):
        raise KeptStateUnusable(
            f"The state kept in {kept} is damaged: {MANIFEST} cannot be read. {WAY_OUT.format(kept=kept)}"
        ) from None


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the list itself, by path within `folder`."""
    files = (path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _difference(written: dict[str, str], found: dict[str, str]) -> str | None:
    for name in sorted(written.keys() | found.keys()):
        if name not in found:
            return f"{name} is missing"
        if name not in written:
            return f"{name} was not there when it was written"
        if written[name] != found[name]:
            return f"{name} is not as it was written"
    return None
