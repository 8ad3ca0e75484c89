"""What belongs into the artifact bucket, named by its content: what is there already under its key is the same.

The same to whoever uses it, that is: under a folder's key lies a zip of it, and another machine's zlib may have made that one.
"""

from __future__ import annotations

from dataclasses import dataclass

from stagekeeper.packaging.archive import Content
from stagekeeper.packaging.folder import Folder


@dataclass(frozen=True, slots=True)
class Artifact:
    """``what`` it is, for people. A file goes into the bucket as it is, a folder as a zip."""

    what: str
    key: str
    source: Content | Folder


def artifact(what: str, service: str, source: Content | Folder, suffix: str) -> Artifact:
    """``suffix`` without a dot: what kind of file the key says it is."""
    return Artifact(what, f"code/{service}/{source.identity.hex()}.{suffix}", source)
