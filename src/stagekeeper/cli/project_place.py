"""Where the project file is found. Must not know what is in it: whoever waits for a completion waits for this module."""

from __future__ import annotations

from pathlib import Path

NAME = "stagekeeper.yaml"


def find(start: Path) -> Path | None:
    """The project file of a folder: there or in one above, up to the root of the git checkout or the home folder."""
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / NAME).is_file():
            return folder / NAME
        if (folder / ".git").exists() or folder == _home():
            return None
    return None


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:
        # A user id that the system has no name for, and no HOME.
        return None
