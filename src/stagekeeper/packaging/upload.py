"""Artifacts to the bucket: what is there already stays, the rest is sent, several at once. Must not know what they are for.

What is there is asked by ListObjectsV2, which CI may do under ``code/``: a HEAD would need the right to read everybody's code.
A folder is zipped only when its zip is missing. A single PutObject takes 5 GB and stores the SHA-256 of the whole object, which
the control plane then takes for the code's (a multipart upload would store one of parts). S3 compares it with what arrives, so a
file that changes meanwhile is no success. And S3 is asked to write only what is not there: two machines may zip the same folder
to other bytes at the same moment, and what a deploy has once seen under a key stays.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.errors import CallFailed, error_code, translated
from stagekeeper.packaging.archive import Content, zip_folder
from stagekeeper.packaging.artifact import Artifact
from stagekeeper.packaging.errors import PackagingFailed
from stagekeeper.packaging.folder import Folder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

AT_ONCE = 8

#: Is told of each piece how much work it is, and of what was in vain a negative number; from one thread at a time.
Progress = Callable[[int], None]

# S3's answers to a write that must not replace anything: it is there by now; somebody is writing it (API reference, PutObject,
# If-None-Match).
_FORESTALLED = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What had to be sent, what was there already, and how many bytes were sent."""

    sent: tuple[Artifact, ...]
    there: tuple[Artifact, ...]
    size: int


def upload_client() -> S3Client:
    """A piece of an upload may wait longer for its turn than a handler has.

    The checksum that goes with an object is signed. To sign the object as well would be to read it once more before it is sent.
    """
    config = Config(
        connect_timeout=5,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": 4},
        max_pool_connections=AT_ONCE,
        s3={"payload_signing_enabled": False},
    )
    return boto3.client("s3", config=config)


def total_work(artifacts: Sequence[Artifact]) -> int:
    """What ``progress`` adds up to in the end: a file's bytes, and those of a folder's files twice, to zip and to send them.

    How long a zip gets is not known before it is made, so this is no number of bytes to show to people, but for a percentage.
    """
    return sum(_work(each) for each in artifacts)


def _work(artifact: Artifact) -> int:
    return artifact.source.size * (2 if isinstance(artifact.source, Folder) else 1)


def upload(client: S3Client, bucket: str, artifacts: Sequence[Artifact], progress: Progress) -> Uploaded:
    """Have all of them in the bucket. What is there counts as done at once.

    Raises CallFailed or PackagingFailed for the first that fails, and then, as on Ctrl-C, sends nothing more of the others.
    """
    stop = threading.Event()
    counting = threading.Lock()

    def count(work: int) -> None:
        with counting:
            progress(work)

    def one(artifact: Artifact) -> int | None:
        share = _Share(_work(artifact), count, stop)
        for rounds_left in reversed(range(_ROUNDS)):
            share.check()
            if _is_there(client, bucket, artifact):
                break
            try:
                return _send(client, bucket, artifact, share)
            except _Forestalled:
                if rounds_left == 0:
                    raise
                share.reach(0)
        share.reach(share.whole)
        return None

    sizes: dict[Artifact, int] = {}
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as pool:
        try:
            asked = {pool.submit(one, artifact): artifact for artifact in artifacts}
            for done in as_completed(asked):
                size = done.result()
                if size is not None:
                    sizes[asked[done]] = size
        except BaseException:
            stop.set()
            raise
    there = tuple(each for each in artifacts if each not in sizes)
    return Uploaded(tuple(each for each in artifacts if each in sizes), there, sum(sizes.values()))


class _Stopped(BaseException):
    """Another one failed. No Exception: botocore takes those for trouble with the network, and tries again."""


class _Forestalled(CallFailed):
    """Somebody else put it there, or is about to."""


class _Share:
    """How much of one artifact's work is done."""

    def __init__(self, whole: int, count: Progress, stop: threading.Event) -> None:
        self.whole = whole
        self.done = 0
        self._count = count
        self._stop = stop

    def check(self) -> None:
        """Raises _Stopped when there is no use in going on."""
        if self._stop.is_set():
            raise _Stopped

    def reach(self, done: int) -> None:
        # A file may grow while it is read; then the whole comes to nothing, but not here.
        done = min(done, self.whole)
        if done != self.done:
            self._count(done - self.done)
            self.done = done

    def zipped(self, size: int) -> None:
        self.check()
        self.reach(self.done + size)


def _is_there(client: S3Client, bucket: str, artifact: Artifact) -> bool:
    with _told(f"looking for {artifact.what} in s3://{bucket}/{artifact.key}"):
        found = client.list_objects_v2(Bucket=bucket, Prefix=artifact.key, MaxKeys=1).get("Contents", [])
    return any(each.get("Key") == artifact.key for each in found)


def _send(client: S3Client, bucket: str, artifact: Artifact, share: _Share) -> int:
    """How many bytes were sent."""
    with _opened(artifact.source, share) as (content, sha256):
        size = os.fstat(content).st_size
        with _told(f"uploading {artifact.what} to s3://{bucket}/{artifact.key}"):
            client.put_object(
                Bucket=bucket,
                Key=artifact.key,
                Body=_Counted(content, size, share),
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=base64.b64encode(sha256).decode(),
                IfNoneMatch="*",
            )
    return size


@contextmanager
def _opened(source: Content | Folder, share: _Share) -> Iterator[tuple[int, bytes]]:
    """The descriptor of what is sent, and its SHA-256."""
    if isinstance(source, Folder):
        with _zipped(source, share) as zipped, io.FileIO(zipped.fileno(), closefd=False) as content:
            content.seek(0)
            yield zipped.fileno(), hashlib.file_digest(content, "sha256").digest()
        return
    try:
        sent = source.path.open("rb")
    except OSError as error:
        raise PackagingFailed(f"{source.path} cannot be read any more: {error.strerror}. Start again.") from None
    with sent:
        yield sent.fileno(), source.sha256


def _zipped(folder: Folder, share: _Share) -> IO[bytes]:
    """The zip of it in a file without a name, of which nothing is left when it is closed."""
    try:
        with ExitStack() as stack:
            zipped = stack.enter_context(tempfile.TemporaryFile())
            zip_folder(folder, zipped, share.zipped)
            stack.pop_all()
            return zipped
    except OSError as error:
        raise PackagingFailed(
            f"The zip of {folder.path} cannot be written to {tempfile.gettempdir()}: {error.strerror}. Make room there, or name "
            "another folder by TMPDIR."
        ) from None


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        failure = translated(what, error)
        raise _Forestalled(what, failure.why) if error_code(error) in _FORESTALLED else failure from error
    except BotoCoreError as error:
        raise translated(what, error) from error


class _Counted(io.FileIO):
    """A file that tells how far it was read; botocore goes back to its beginning before it tries again."""

    def __init__(self, descriptor: int, size: int, share: _Share) -> None:
        super().__init__(descriptor, "rb", closefd=False)
        super().seek(0)
        self._size = size
        self._share = share
        self._done_before = share.done
        self._counted = 0

    def read(self, size: int | None = -1) -> bytes:
        self._share.check()
        read = super().read(size)
        self._count_to(max(self._counted, self.tell()))
        return read

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        position = super().seek(offset, whence)
        # To the end is only a look at how long it is.
        self._count_to(min(self._counted, position))
        return position

    def _count_to(self, position: int) -> None:
        self._counted = position
        left = self._share.whole - self._done_before
        self._share.reach(self._done_before + left * position // max(self._size, 1))
