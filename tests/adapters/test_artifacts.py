"""Code in S3 and its identity: never a composite checksum, never an object that was not looked at; bodies by their content."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from stagekeeper.aws.artifacts import Artifacts, s3_client
from stagekeeper.aws.errors import CallFailed, Unanswered
from stagekeeper.aws.store import ObjectHashes
from stagekeeper.aws.table import Table
from stagekeeper.domain.facts import Absent, Artifact, Unreadable

from .conftest import patience
from .interruptions import Requests, client_error

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CODE = b"a zip, as it were"
KEY = "code/api.zip"


def identity(body: bytes) -> str:
    return base64.b64encode(hashlib.sha256(body).digest()).decode()


class Cache:
    """A cache that can be looked into."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def recall(self, identity: str) -> str | None:
        return self.known.get(identity)

    def remember(self, identity: str, sha256: str) -> None:
        self.known[identity] = sha256


@pytest.fixture
def artifacts(s3: S3Client, bucket: str) -> Artifacts:
    return Artifacts(s3, bucket)


@pytest.fixture
def cache() -> Cache:
    return Cache()


def version_of(s3: S3Client, bucket: str, body: bytes, **extra: Any) -> str | None:
    return s3.put_object(Bucket=bucket, Key=KEY, Body=body, **extra).get("VersionId")


def keep_versions(s3: S3Client, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


class Heads:
    """Makes up members of HeadObject's answer that moto does not give."""

    def __init__(self, client: S3Client, **members: Any) -> None:
        self._members = members
        client.meta.events.register("after-call.s3.HeadObject", self._after)

    def _after(self, parsed: dict[str, Any], **_: Any) -> None:
        parsed.update(self._members)


def test_the_stored_sha256_is_taken_and_nothing_is_read(s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache) -> None:
    version_of(s3, bucket, CODE, ChecksumAlgorithm="SHA256")
    reads = Requests(s3, "GetObject")

    found = artifacts.code(bucket, KEY, None, cache)

    assert found == Artifact(bucket, KEY, None, identity(CODE))
    assert (reads.count, cache.known) == (0, {})


def test_an_object_without_a_checksum_is_hashed_once_and_remembered(
    s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache
) -> None:
    version_of(s3, bucket, CODE)
    reads = Requests(s3, "GetObject")

    found = [artifacts.code(bucket, KEY, None, cache) for _ in range(3)]

    assert found == [Artifact(bucket, KEY, None, identity(CODE))] * 3
    assert reads.count == 1


@pytest.mark.parametrize(
    "checksum",
    [
        {"ChecksumSHA256": f"{identity(b'parts')}-3", "ChecksumType": "COMPOSITE"},
        {"ChecksumSHA256": f"{identity(b'parts')}-3"},
        {"ChecksumSHA256": identity(b"parts"), "ChecksumType": "COMPOSITE"},
        {"ChecksumCRC64NVME": "AAAAAAAAAAA=", "ChecksumType": "FULL_OBJECT"},
    ],
    ids=["composite", "composite by its look", "composite by its type", "a CRC"],
)
def test_any_other_checksum_is_no_identity_and_the_object_is_hashed(
    s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache, checksum: dict[str, str]
) -> None:
    version_of(s3, bucket, CODE)
    Heads(s3, **checksum)

    assert artifacts.code(bucket, KEY, None, cache) == Artifact(bucket, KEY, None, identity(CODE))


def test_another_object_under_the_same_key_is_hashed_anew(s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache) -> None:
    found = []
    for body in (CODE, b"other"):
        version_of(s3, bucket, body)
        found.append(artifacts.code(bucket, KEY, None, cache))

    assert [one.sha256 for one in found if isinstance(one, Artifact)] == [identity(CODE), identity(b"other")]


def test_a_large_object_is_hashed_whole(s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache) -> None:
    body = b"0123456789abcdef" * 200_000  # over three chunks
    version_of(s3, bucket, body)

    assert artifacts.code(bucket, KEY, None, cache) == Artifact(bucket, KEY, None, identity(body))


def test_the_version_that_was_looked_at_is_pinned(s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache) -> None:
    keep_versions(s3, bucket)
    version_of(s3, bucket, b"older")
    version = version_of(s3, bucket, CODE)

    assert artifacts.code(bucket, KEY, None, cache) == Artifact(bucket, KEY, version, identity(CODE))


def test_an_older_version_can_be_asked_for(s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache) -> None:
    keep_versions(s3, bucket)
    version = version_of(s3, bucket, CODE)
    version_of(s3, bucket, b"newer")

    assert artifacts.code(bucket, KEY, version, cache) == Artifact(bucket, KEY, version, identity(CODE))


def test_an_object_replaced_between_the_look_and_the_reading_is_not_hashed_as_the_one_seen(
    s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache
) -> None:
    version_of(s3, bucket, CODE)
    Heads(s3, ETag='"the-one-that-was-seen"')

    assert isinstance(artifacts.code(bucket, KEY, None, cache), Unreadable)
    assert cache.known == {}


@pytest.mark.parametrize("code", ["404", "NoSuchKey", "NoSuchBucket", "NoSuchVersion"])
def test_what_s3_says_is_not_there_is_absent(s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache, code: str) -> None:
    Requests(s3, "HeadObject", client_error(code, 404))

    assert artifacts.code(bucket, KEY, None, cache) == Absent()


def test_a_missing_object_and_a_missing_bucket_are_absent(artifacts: Artifacts, bucket: str, cache: Cache) -> None:
    assert artifacts.code(bucket, "no-such-key", None, cache) == Absent()
    assert artifacts.code("no-such-bucket", KEY, None, cache) == Absent()


@pytest.mark.parametrize(
    "error",
    [
        client_error("403", 403),
        client_error("AccessDenied", 403),
        client_error("400"),
        client_error("SlowDown", 503),
        ReadTimeoutError(endpoint_url="https://s3"),
        ConnectTimeoutError(endpoint_url="https://s3"),
    ],
    ids=["403", "denied", "400", "slow down", "no answer", "no connection"],
)
@pytest.mark.parametrize("operation", ["HeadObject", "GetObject"])
def test_every_other_answer_is_unreadable_and_never_absent(
    s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache, operation: str, error: Exception
) -> None:
    version_of(s3, bucket, CODE)
    Requests(s3, operation, error)

    found = artifacts.code(bucket, KEY, None, cache)

    assert isinstance(found, Unreadable)
    assert found.what == f"s3://{bucket}/{KEY}"


def test_the_table_remembers_hashes_but_not_for_a_dry_run(s3: S3Client, artifacts: Artifacts, bucket: str, table: Table) -> None:
    version_of(s3, bucket, CODE)
    reads = Requests(s3, "GetObject")
    counts = []

    for read_only in (True, True, False, True, False):
        artifacts.code(bucket, KEY, None, ObjectHashes(table, read_only=read_only))
        counts.append(reads.count)

    assert counts == [1, 2, 3, 3, 3]


# Documents and bodies.


def test_a_document_is_read_whole(s3: S3Client, artifacts: Artifacts, bucket: str) -> None:
    version_of(s3, bucket, b"{}")

    assert artifacts.document(bucket, KEY, 2) == b"{}"


def test_a_document_that_is_too_large_is_unreadable(s3: S3Client, artifacts: Artifacts, bucket: str) -> None:
    version_of(s3, bucket, b"{} ")

    found = artifacts.document(bucket, KEY, 2)

    assert isinstance(found, Unreadable)
    assert "3 bytes" in found.why


def test_a_document_that_is_not_there_is_absent_and_one_that_is_forbidden_is_not(
    s3: S3Client, artifacts: Artifacts, bucket: str
) -> None:
    assert artifacts.document(bucket, "no-such-key", 2) == Absent()
    assert artifacts.document("no-such-bucket", KEY, 2) == Absent()

    Requests(s3, "GetObject", client_error("AccessDenied", 403))
    assert isinstance(artifacts.document(bucket, KEY, 2), Unreadable)


@pytest.mark.parametrize("error", [client_error("403", 403), client_error("AccessDenied", 403)], ids=["403", "denied"])
@pytest.mark.parametrize("operation", ["HeadObject", "GetObject"])
def test_a_403_of_another_bucket_names_the_parameter_that_bounds_buckets(
    s3: S3Client, bucket: str, cache: Cache, operation: str, error: Exception
) -> None:
    version_of(s3, bucket, CODE)
    Requests(s3, operation, error)
    elsewhere = Artifacts(s3, "the-artifact-bucket")

    found = elsewhere.code(bucket, KEY, None, cache)

    assert isinstance(found, Unreadable)
    assert "the stack's parameter CodeBucketPattern" in found.why


def test_so_does_a_403_of_a_functions_document(s3: S3Client, bucket: str) -> None:
    Requests(s3, "GetObject", client_error("AccessDenied", 403))

    found = Artifacts(s3, "the-artifact-bucket").document(bucket, KEY, 2)

    assert isinstance(found, Unreadable)
    assert "the stack's parameter CodeBucketPattern" in found.why


def test_the_parameter_is_not_named_where_it_has_no_say(s3: S3Client, artifacts: Artifacts, bucket: str, cache: Cache) -> None:
    version_of(s3, bucket, CODE)
    Requests(s3, "HeadObject", client_error("403", 403))
    assert "CodeBucketPattern" not in str(artifacts.code(bucket, KEY, None, cache))

    Requests(s3, "HeadObject", client_error("SlowDown", 503))
    assert "CodeBucketPattern" not in str(Artifacts(s3, "the-artifact-bucket").code(bucket, KEY, None, cache))


def test_a_body_lies_under_its_own_content(artifacts: Artifacts, bucket: str) -> None:
    places = {artifacts.put_body("plans", body) for body in (b"one", b"one", b"two")}

    assert len(places) == 2
    assert {artifacts.get_body(place.key) for place in places} == {b"one", b"two"}
    assert all(place.bucket == bucket and place.key.startswith("plans/") for place in places)


@pytest.mark.parametrize(
    ("error", "kind"),
    [(client_error("AccessDenied", 403), CallFailed), (ReadTimeoutError(endpoint_url="https://s3"), Unanswered)],
    ids=["denied", "no answer"],
)
def test_a_body_that_cannot_be_written_or_read_is_a_failed_call(
    s3: S3Client, artifacts: Artifacts, error: Exception, kind: type[CallFailed]
) -> None:
    Requests(s3, "PutObject", error)
    Requests(s3, "GetObject", error)

    for call in (lambda: artifacts.put_body("plans", b"x"), lambda: artifacts.get_body("plans/x.json")):
        with pytest.raises(CallFailed, match="s3://") as failed:
            call()
        assert type(failed.value) is kind


def test_a_body_that_is_not_there_is_a_failed_call(artifacts: Artifacts) -> None:
    with pytest.raises(CallFailed, match="NoSuchKey"):
        artifacts.get_body("plans/x.json")


@pytest.mark.usefixtures("environment")
def test_the_clients_patience_is_bounded() -> None:
    assert patience(s3_client()) == (5, 30, {"mode": "standard", "total_max_attempts": 4})
