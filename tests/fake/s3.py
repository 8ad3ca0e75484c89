"""The strict in-memory fake of S3: buckets of objects, with or without versions, as far as code and small bodies need it.

Its client is boto3's, answered without HTTP (see `direct`). It knows nothing of the product; its rules are AWS's, kept by the
contract suite, and it answers as moto does in every case of tests/unit/test_fake_s3.py.

AWS's rules (user guide, Using versioning and Checking object integrity; API reference, PutObject, GetObject, HeadObject,
ListObjectsV2): a bucket that never kept versions shows none; one that does keeps each object that was ever put; one that is
suspended puts all new ones in the place of the version "null"; a SHA-256 is shown to who asks for checksums, if the object was
put with one; the answer to a HEAD has no body, so its errors are only a status.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from botocore.config import Config
from botocore.model import OperationModel

from .clock import FakeClock
from .direct import direct_client
from .errors import AwsError
from .wire import Answer, Params

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What a bucket does with versions; None: it never kept any.
Versioning = Literal["Enabled", "Suspended"] | None

NULL = "null"
PAGE = 1000


@dataclass(frozen=True, slots=True)
class Object:
    body: bytes
    etag: str
    content_type: str
    modified: datetime
    #: Base64, if it was put with one.
    sha256: str | None


@dataclass
class Bucket:
    """``objects``: by key, the versions that there are, the newest last."""

    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    versioning: Versioning = None


class FakeS3:
    """One account's buckets. `clock` gives seconds since the epoch (default: a `FakeClock`, found at `.clock`)."""

    def __init__(self, region: str = "eu-central-1", clock: Callable[[], float] | None = None) -> None:
        self.region = region
        self.clock: Callable[[], float] = clock if clock is not None else FakeClock()
        self.buckets: dict[str, Bucket] = {}
        self._versions = itertools.count(1)
        self._guard = threading.RLock()
        self._operations: dict[str, Callable[[Params], Answer]] = {
            "CreateBucket": self._create_bucket,
            "PutBucketVersioning": self._put_bucket_versioning,
            "PutObject": self._put_object,
            "GetObject": self._get_object,
            "HeadObject": self._head_object,
            "ListObjectsV2": self._list_objects,
        }

    def client(self, config: Config | None = None) -> S3Client:
        client: S3Client = direct_client("s3", self.region, config, self._answer)
        return client

    def _answer(self, operation: OperationModel, params: Params, written: Callable[[Answer], Answer]) -> Answer:
        if operation.name not in self._operations:
            raise NotImplementedError(f"the fake of S3 has no {operation.name}")
        with self._guard:
            answer = self._operations[operation.name](params)
        return written(answer)

    # What tests arrange, and what they look at.

    def put(self, bucket: str, key: str, body: bytes, *, checksum: bool = False) -> str | None:
        """The new version, if the bucket keeps any. The bucket is made if there is none."""
        return self._put(self.buckets.setdefault(bucket, Bucket()), key, body, "binary/octet-stream", checksum)

    def read(self, bucket: str, key: str, version: str | None = None) -> bytes | None:
        """None if it is not there."""
        try:
            return self._found({"Bucket": bucket, "Key": key, **({} if version is None else {"VersionId": version})})[1].body
        except AwsError:
            return None

    def keys(self, bucket: str) -> list[str]:
        return sorted(self.buckets[bucket].objects)

    def held(self, bucket: str) -> Bucket:
        """Everything in a bucket, for `hold` of this fake or of another."""
        found = self.buckets[bucket]
        return Bucket({key: dict(versions) for key, versions in found.objects.items()}, found.versioning)

    def hold(self, bucket: str, held: Bucket) -> None:
        """Have what `held` gave, and nothing else."""
        self.buckets[bucket] = Bucket({key: dict(versions) for key, versions in held.objects.items()}, held.versioning)

    def keep_versions(self, bucket: str, versioning: Versioning = "Enabled") -> None:
        self.buckets[bucket].versioning = versioning

    # What AWS does.

    def _create_bucket(self, params: Params) -> Answer:
        _known(params, "Bucket", "CreateBucketConfiguration")
        if params["Bucket"] in self.buckets:
            told = "Your previous request to create the named bucket succeeded and you already own it."
            raise AwsError("BucketAlreadyOwnedByYou", told, 409)
        self.buckets[params["Bucket"]] = Bucket()
        return {"Location": f"/{params['Bucket']}"}

    def _put_bucket_versioning(self, params: Params) -> Answer:
        _known(params, "Bucket", "VersioningConfiguration")
        self._bucket(params).versioning = params["VersioningConfiguration"]["Status"]
        return {}

    def _bucket(self, params: Params) -> Bucket:
        found = self.buckets.get(params["Bucket"])
        if found is None:
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
        return found

    def _put_object(self, params: Params) -> Answer:
        _known(params, "Bucket", "Key", "Body", "ContentType", "ChecksumAlgorithm", "ChecksumSHA256")
        if params.get("ChecksumAlgorithm", "SHA256") != "SHA256":
            raise NotImplementedError("another checksum than SHA256")
        bucket, key, body = self._bucket(params), params["Key"], params.get("Body", b"")
        if params.get("ChecksumSHA256", _sha256(body)) != _sha256(body):
            raise AwsError("BadDigest", "The SHA256 you specified did not match the calculated checksum.")
        kind = params.get("ContentType", "binary/octet-stream")
        version = self._put(bucket, key, body, kind, bool({"ChecksumAlgorithm", "ChecksumSHA256"} & params.keys()))
        put = list(bucket.objects[key].values())[-1]
        answer: Answer = {"ETag": put.etag}
        if version is not None:
            answer["VersionId"] = version
        if put.sha256 is not None:
            answer["ChecksumSHA256"] = put.sha256
        return answer

    def _put(self, bucket: Bucket, key: str, body: bytes, content_type: str, checksum: bool) -> str | None:
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        sha256 = _sha256(body) if checksum else None
        # AWS tells whole seconds.
        modified = datetime.fromtimestamp(int(self.clock()), UTC)
        version = f"version-{next(self._versions)}" if bucket.versioning == "Enabled" else NULL
        versions = bucket.objects.setdefault(key, {})
        versions.pop(version, None)
        versions[version] = Object(body, etag, content_type, modified, sha256)
        return version if bucket.versioning == "Enabled" else None

    def _found(self, params: Params) -> tuple[str, Object]:
        versions = self._bucket(params).objects.get(params["Key"])
        if "VersionId" in params:
            wanted = params["VersionId"]
            if versions is None or wanted not in versions:
                raise AwsError("NoSuchVersion", "The specified version does not exist.", 404)
            return wanted, versions[wanted]
        if versions is None:
            raise AwsError("NoSuchKey", "The specified key does not exist.", 404, members={"Key": params["Key"]})
        return list(versions.items())[-1]

    def _get_object(self, params: Params) -> Answer:
        _known(params, "Bucket", "Key", "VersionId", "IfMatch", "ChecksumMode")
        version, found = self._found(params)
        if params.get("IfMatch", found.etag) != found.etag:
            raise AwsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)
        return {**self._described(params, version, found), "Body": found.body}

    def _head_object(self, params: Params) -> Answer:
        _known(params, "Bucket", "Key", "VersionId", "ChecksumMode")
        try:
            return self._described(params, *self._found(params))
        except AwsError as error:
            raise AwsError(str(error.status), "Not Found", error.status) from None

    def _described(self, params: Params, version: str, found: Object) -> Answer:
        told: Answer = {
            "AcceptRanges": "bytes",
            "LastModified": found.modified,
            "ContentLength": len(found.body),
            "ETag": found.etag,
            "ContentType": found.content_type,
            "Metadata": {},
        }
        if self._bucket(params).versioning is not None:
            told["VersionId"] = version
        if params.get("ChecksumMode") == "ENABLED" and found.sha256 is not None:
            told |= {"ChecksumSHA256": found.sha256, "ChecksumType": "FULL_OBJECT"}
        return told

    def _list_objects(self, params: Params) -> Answer:
        _known(params, "Bucket", "Prefix", "MaxKeys", "ContinuationToken")
        prefix, after = params.get("Prefix", ""), params.get("ContinuationToken", "")
        objects = self._bucket(params).objects
        # In the order of their bytes.
        keys = [key for key in sorted(objects, key=str.encode) if key.startswith(prefix) and key.encode() > after.encode()]
        most = min(params.get("MaxKeys", PAGE), PAGE)
        shown = [(key, list(objects[key].values())[-1]) for key in keys[:most]]
        answer: Answer = {"Name": params["Bucket"], "Prefix": prefix, "KeyCount": len(shown), "MaxKeys": most}
        answer["IsTruncated"] = len(keys) > most
        if shown:
            answer["Contents"] = [_listed(key, found) for key, found in shown]
        if answer["IsTruncated"]:
            # AWS's token says nothing to whom it is given.
            answer["NextContinuationToken"] = keys[most - 1]
        return answer


def _sha256(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


def _listed(key: str, found: Object) -> dict[str, Any]:
    return {
        "Key": key,
        "LastModified": found.modified,
        "ETag": found.etag,
        "Size": len(found.body),
        "StorageClass": "STANDARD",
    }


def _known(params: Mapping[str, Any], *names: str) -> None:
    """Nothing that is asked for is silently left out."""
    unknown = params.keys() - set(names)
    if unknown:
        raise NotImplementedError(f"the fake of S3 knows no {', '.join(sorted(unknown))} here")
