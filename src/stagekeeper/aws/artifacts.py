"""S3: the identity of code that a request names, and the bodies that are too big or too private for a table item.

Bodies are content-addressed: the same body has the same key, so writing one twice is harmless.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.errors import error_code, spelled, translated
from stagekeeper.domain.facts import Absent, Artifact, Unreadable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef, HeadObjectRequestTypeDef

T = TypeVar("T")

_CHUNK = 1024 * 1024


class HashCache(Protocol):
    """Remembers what an object hashed to. A cache: it may forget, and it may outlive a refusal."""

    def recall(self, identity: str) -> str | None: ...

    def remember(self, identity: str, sha256: str) -> None: ...


@dataclass(frozen=True, slots=True)
class BodyRef:
    """Where a body lies in the artifact bucket."""

    bucket: str
    key: str


def s3_client() -> S3Client:
    return boto3.client(
        "s3", config=Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4})
    )


class Artifacts:
    """See the module. ``bucket`` is the artifact bucket of the stack; code may lie in others."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def code(self, bucket: str, key: str, object_version: str | None, cache: HashCache) -> Artifact | Absent | Unreadable:
        """Code in S3 with its identity. Uses the stored full-object SHA-256; hashes the object once if there is none.

        A 403 is Unreadable, never Absent: without s3:ListBucket S3 answers 403 for a missing key, too.
        """
        what = f"s3://{bucket}/{key}"
        head: HeadObjectRequestTypeDef = {"Bucket": bucket, "Key": key, "ChecksumMode": "ENABLED"}
        if object_version is not None:
            head["VersionId"] = object_version
        try:
            answer = self._client.head_object(**head)
        except ClientError as error:
            if error_code(error) in ("404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion"):
                return Absent()
            return Unreadable(what, self._why(error, bucket))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))
        # Pin what was looked at: without it the object could be replaced between this look and Lambda's.
        version = answer.get("VersionId")
        pinned = object_version if version in (None, "null") else version
        stored = answer.get("ChecksumSHA256")
        if stored and "-" not in stored and answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
            return Artifact(bucket, key, pinned, stored)
        identity = f"{bucket}/{key}#{pinned or ''}#{answer['ETag']}"
        known = cache.recall(identity)
        if known is None:
            hashed = self._hash(what, bucket, key, pinned, answer["ETag"])
            if isinstance(hashed, Unreadable):
                return hashed
            cache.remember(identity, hashed)
            known = hashed
        return Artifact(bucket, key, pinned, known)

    def _hash(self, what: str, bucket: str, key: str, object_version: str | None, etag: str) -> str | Unreadable:
        get: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key, "IfMatch": etag}
        if object_version is not None:
            get["VersionId"] = object_version
        sha256 = hashlib.sha256()
        try:
            body = self._client.get_object(**get)["Body"]
            for chunk in body.iter_chunks(_CHUNK):
                sha256.update(chunk)
        except (ClientError, BotoCoreError) as error:
            return Unreadable(what, self._why(error, bucket))
        return base64.b64encode(sha256.digest()).decode()

    def document(self, bucket: str, key: str, limit: int, object_version: str | None = None) -> bytes | Absent | Unreadable:
        """A small object, whole. More than ``limit`` bytes is Unreadable."""
        what = f"s3://{bucket}/{key}"
        get: GetObjectRequestTypeDef = {"Bucket": bucket, "Key": key}
        if object_version is not None:
            get["VersionId"] = object_version
        try:
            answer = self._client.get_object(**get)
            if answer["ContentLength"] > limit:
                return Unreadable(what, f"it has {answer['ContentLength']} bytes; at most {limit} are taken")
            return answer["Body"].read()
        except ClientError as error:
            if error_code(error) in ("NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"):
                return Absent()
            return Unreadable(what, self._why(error, bucket))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))

    def _why(self, error: ClientError | BotoCoreError, bucket: str) -> str:
        """AWS's words, and for a 403 of a bucket that is not the stack's what most likely stands behind it."""
        refused = isinstance(error, ClientError) and error_code(error) in ("403", "AccessDenied")
        if not refused or bucket == self._bucket:
            return spelled(error)
        return (
            f"{spelled(error)}. Beside the artifact bucket only buckets that the stack's parameter CodeBucketPattern matches can "
            f"be read, and only where {bucket} itself and the key of its objects allow it"
        )

    def put_body(self, prefix: str, body: bytes) -> BodyRef:
        """Store a body under its own SHA-256. Raises CallFailed."""
        ref = self.ref_of(prefix, body)
        self._attempt(
            f"writing s3://{ref.bucket}/{ref.key}",
            lambda: self._client.put_object(Bucket=ref.bucket, Key=ref.key, Body=body, ContentType="application/json"),
        )
        return ref

    def ref_of(self, prefix: str, body: bytes) -> BodyRef:
        """Where a body lies once it is stored."""
        return BodyRef(self._bucket, f"{prefix}/{hashlib.sha256(body).hexdigest()}.json")

    def get_body(self, key: str) -> bytes:
        """A body that ``put_body`` stored. Raises CallFailed, also when it is not there: then the record is broken."""
        what = f"reading s3://{self._bucket}/{key}"
        return self._attempt(what, lambda: self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read())

    @staticmethod
    def _attempt(what: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except (ClientError, BotoCoreError) as error:
            raise translated(what, error) from error
