"""One zip for all functions that were built alike, made before `sam deploy` would make one of each.

All of the control plane's handlers have the same code, and to compress it for each of them takes longer than all else that a
deploy does. The same code gives the same bytes, so that a deploy of what is there already changes nothing. Knows of a template
where it says `CodeUri`, and nothing else.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

_CODE = re.compile(r"^( +CodeUri: )(\w+)$", re.MULTILINE)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def zip_alike(built: Path) -> None:
    """Have the template that `sam build` left in `built` name zips instead of folders with code."""
    zips: dict[str, str] = {}
    #: By device and file: the folders share their dependencies by hard links.
    known: dict[tuple[int, int], str] = {}

    def zipped(found: re.Match[str]) -> str:
        folder = built / found[2]
        if not folder.is_dir():
            return found[0]
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        digest = _digest(folder, files, known)
        if digest not in zips:
            zips[digest] = f"{digest}.zip"
            _zip(folder, files, built / zips[digest])
        return f"{found[1]}{zips[digest]}"

    template = built / "template.yaml"
    template.write_text(_CODE.sub(zipped, template.read_text(encoding="utf-8")), encoding="utf-8")


def _digest(folder: Path, files: list[Path], known: dict[tuple[int, int], str]) -> str:
    """Of names, modes and contents."""
    everything = hashlib.sha256()
    for path in files:
        stat = path.stat()
        place = stat.st_dev, stat.st_ino
        if place not in known:
            known[place] = hashlib.sha256(path.read_bytes()).hexdigest()
        everything.update(f"{path.relative_to(folder)}\0{stat.st_mode:o}\0{known[place]}\n".encode())
    return everything.hexdigest()


def _zip(folder: Path, files: list[Path], into: Path) -> None:
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in files:
            member = zipfile.ZipInfo(str(path.relative_to(folder)), _EPOCH)
            member.external_attr = path.stat().st_mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, path.read_bytes(), compresslevel=1)
