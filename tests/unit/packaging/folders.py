"""Folders of code for the tests of this folder, and what is in an archive."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from hypothesis import strategies as st

FILES = {"app.py": b"def handler(event, context): ...\n", "lib/one.py": b"ONE = 1\n", "bin/run": b"#!/bin/sh\n", "z.txt": b"\n"}

_NAMES = st.text(alphabet="aZ0 -_.é漢", min_size=1, max_size=6).filter(
    lambda name: name.strip(".") != "" and name == name.strip()
)
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map("/".join)


def _is_tree(files: Mapping[str, bytes]) -> bool:
    """No name is a file's and a folder's at once."""
    return not any(other.startswith(f"{name}/") for name in files for other in files)


TREES = st.dictionaries(_PATHS, st.binary(max_size=40), min_size=1, max_size=8).filter(_is_tree)


def written(where: Path, files: Mapping[str, bytes], *executable: str) -> Path:
    """A folder with these files."""
    where.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if name in executable else 0o644)
    return where


def entries(archive: Path | IO[bytes]) -> dict[str, bytes]:
    """What is in it, in its order."""
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def with_holes(path: Path, size: int) -> None:
    """A file of that size, which takes no room on disk."""
    with path.open("wb") as content:
        content.truncate(size)
