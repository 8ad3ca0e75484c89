"""What is in a folder, and what it is known by: the names, modes and bytes of its files.

Not by its zip: zlib and its replacements (zlib-ng among them) compress to different bytes, and which of them a Python has is
nobody's choice. The identity is the same on every machine, in every place, at any time, so what another machine made of the same
content can be taken for one's own. Must not know how a folder is zipped, nor where it goes.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stagekeeper.packaging.errors import NothingThere, PackagingFailed

#: Lambda's limit for a function or a layer, unzipped (Developer Guide, "Lambda quotas").
MOST_BYTES = 262_144_000

#: Left out wherever they are: bytecode, which holds the time stamps of its sources; what git keeps, which changes with every
#: fetch; what `sam build` makes where the project's own folder is the code; and what the Finder leaves.
LEFT_OUT = frozenset({"__pycache__", ".git", ".aws-sam", ".DS_Store"})

# Begins what an identity is the SHA-256 of. It gets another number whenever what is left out changes, or how the rest is written:
# else the zip of the one would be taken for that of the other.
_FORM = b"stagekeeper folder 1\n"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as it was read. ``identity`` is a raw SHA-256, ``size`` that of its files together, in bytes."""

    path: Path
    identity: bytes
    size: int


@dataclass(frozen=True, slots=True)
class File:
    """One of a folder's, by its name there: with slashes, and without the folder's own."""

    name: str
    path: Path
    size: int
    executable: bool


def digest_of(file: File, copy: Callable[[bytes], object] | None = None) -> bytes:
    """The raw SHA-256 of a file's bytes, each piece of which ``copy`` gets. Raises PackagingFailed."""
    content = hashlib.sha256()
    for piece in _pieces(file.path):
        content.update(piece)
        if copy is not None:
            copy(piece)
    return content.digest()


def folder_of(path: Path, digest: Callable[[File], bytes] = digest_of) -> Folder:
    """Reads all of it: ``digest`` is asked for each file in turn, sorted by name. Raises PackagingFailed."""
    files = sorted(_walk(path), key=lambda file: file.name.encode())
    if not files:
        raise NothingThere(f"The folder {path} has no files to package.")
    whole = hashlib.sha256(_FORM)
    for file in files:
        # Of these only the name has more than one length, so no two folders are written alike.
        name = file.name.encode()
        whole.update(len(name).to_bytes(8, "big") + name + (b"x" if file.executable else b"-") + digest(file))
    return Folder(path, whole.digest(), sum(file.size for file in files))


def _pieces(path: Path) -> Iterator[bytes]:
    with readable(path), path.open("rb") as content:
        while piece := content.read(_CHUNK):
            yield piece


def _walk(folder: Path) -> Iterator[File]:
    """Every file, in no order. A link counts as what it leads to, also out of the folder: `sam build --build-in-source` leaves
    such links."""
    total = 0
    waiting = [(folder, "", frozenset({_inode(_stat(folder))}))]
    while waiting:
        here, prefix, above = waiting.pop()
        with readable(here):
            names = os.listdir(here)
        for name in names:
            path, inside = here / name, prefix + name
            if name in LEFT_OUT or _is_bytecode_beside_its_source(name, names):
                continue
            if not _is_text(name):
                raise PackagingFailed(f"{path!r} has a name that cannot be written as UTF-8. Rename it.")
            seen = _stat(path)
            if stat.S_ISDIR(seen.st_mode):
                if _inode(seen) in above:
                    raise PackagingFailed(f"{path} leads back to a folder that it lies in, so there is no end to it. Remove it.")
                waiting.append((path, f"{inside}/", above | {_inode(seen)}))
            elif stat.S_ISREG(seen.st_mode):
                total += seen.st_size
                if total > MOST_BYTES:
                    raise PackagingFailed(too_large(folder))
                yield File(inside, path, seen.st_size, bool(seen.st_mode & stat.S_IXUSR))
            else:
                raise PackagingFailed(f"{path} is neither a file nor a folder, so it cannot be packaged. Remove it.")


def _is_bytecode_beside_its_source(name: str, names: Sequence[str]) -> bool:
    """Bytecode alone is a module like any other: there are packages that bring no source."""
    return name.endswith(".pyc") and f"{name.removesuffix('.pyc')}.py" in names


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _inode(seen: os.stat_result) -> tuple[int, int]:
    return seen.st_dev, seen.st_ino


def _stat(path: Path) -> os.stat_result:
    with readable(path):
        try:
            return path.stat()
        except FileNotFoundError:
            if path.is_symlink():
                sentence = f"{path} is a link to something that is not there. Remove it, or mend where it leads."
            else:
                sentence = f"{path} is not there any more. Start again when nothing writes to the folder."
            raise PackagingFailed(sentence) from None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise PackagingFailed(f"{path} is a link that leads back to itself. Remove it, or mend where it leads.") from None


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Within, what the system says against reading it is PackagingFailed."""
    try:
        yield
    except OSError as error:
        raise PackagingFailed(f"{path} cannot be read: {error.strerror}. Mend that, or leave it out of the folder.") from None


def too_large(source: Path) -> str:
    return (
        f"{source} has more than {MOST_BYTES:,} bytes (250 MB) unzipped, the most that Lambda takes. "
        "Take out what the code does not need, or make it a container image."
    )
