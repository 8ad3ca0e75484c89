"""Code as Lambda takes it: of a folder a zip, made when one is wanted and not before; of a .zip or .jar its bytes as they are.

Must not know what the zip is for.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stagekeeper.packaging.errors import NothingThere, PackagingFailed
from stagekeeper.packaging.folder import MOST_BYTES, File, Folder, digest_of, folder_of, readable, too_large

_ARCHIVES = (".zip", ".jar")
# The first moment that a zip can name.
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


@dataclass(frozen=True, slots=True)
class Content:
    """A file that is taken as it is. ``sha256`` is raw, ``size`` in bytes."""

    path: Path
    sha256: bytes
    size: int

    @property
    def identity(self) -> bytes:
        """What it is known by: its bytes."""
        return self.sha256


class CodeOnDisk:
    """Code by its path. Each is read once, by whatever ways it is named."""

    def __init__(self) -> None:
        self._seen: dict[str, Content | Folder] = {}

    def of(self, path: Path) -> Content | Folder:
        """A folder, or a .zip or .jar. Raises PackagingFailed for what Lambda would not take."""
        real = os.path.realpath(path)
        if real not in self._seen:
            self._seen[real] = folder_of(path) if path.is_dir() else _archive(path)
        return self._seen[real]


def content_of(path: Path) -> Content:
    """A file as it is. Raises PackagingFailed."""
    with readable(path), path.open("rb") as content:
        return Content(path, hashlib.file_digest(content, "sha256").digest(), os.fstat(content.fileno()).st_size)


def zip_folder(folder: Folder, to: IO[bytes], tell: Callable[[int], object]) -> None:
    """Write a zip that has what ``folder`` had when it was read, names sorted, with one time stamp and one of two modes.

    ``tell`` gets the length of each piece as it is read. Raises PackagingFailed, also if the folder is no longer as it was, and
    OSError if ``to`` cannot be written.
    """
    try:
        with zipfile.ZipFile(to, "w") as archive:
            zipped = folder_of(folder.path, lambda file: _stored(archive, file, tell))
    except PackagingFailed as failure:
        # When it was read first there was nothing against it.
        raise PackagingFailed(f"{folder.path} changed while it was packaged: {failure}") from None
    if zipped.identity != folder.identity:
        raise PackagingFailed(
            f"{folder.path} changed while it was packaged. Start again when nothing writes to it any more: a build, an editor."
        )


def _stored(archive: zipfile.ZipFile, file: File, tell: Callable[[int], object]) -> bytes:
    entry = zipfile.ZipInfo(file.name, _TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = _UNIX
    entry.external_attr = (stat.S_IFREG | (0o755 if file.executable else 0o644)) << 16
    entry.file_size = file.size
    with archive.open(entry, "w") as stored:

        def copy(piece: bytes) -> None:
            tell(len(piece))
            stored.write(piece)

        return digest_of(file, copy)


def _archive(path: Path) -> Content:
    if not path.exists():
        raise NothingThere(f"{path} is not there.")
    if path.suffix.lower() not in _ARCHIVES:
        raise PackagingFailed(f"{path} is neither a folder nor a .zip or .jar. Give the folder that the code lies in.")
    try:
        with readable(path), zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise PackagingFailed(f"{path} is no zip: {error}. Make it again.") from None
    if not entries:
        raise PackagingFailed(f"{path} is a zip with nothing in it. Make it again.")
    if sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise PackagingFailed(too_large(path))
    return content_of(path)
