"""Artifacts in the bucket: each under its content's name with its checksum; what is there is not sent; one failure ends it."""

from __future__ import annotations

import base64
import hashlib
import itertools
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError, HTTPClientError

from stagekeeper.aws.artifacts import Artifacts
from stagekeeper.aws.errors import CallFailed
from stagekeeper.domain.facts import Artifact as Seen
from stagekeeper.packaging.archive import content_of
from stagekeeper.packaging.artifact import Artifact, artifact
from stagekeeper.packaging.errors import PackagingFailed
from stagekeeper.packaging.folder import folder_of
from stagekeeper.packaging.upload import AT_ONCE, Uploaded, total_work, upload, upload_client
from tests.unit.packaging.folders import FILES, with_holes, written

from .conftest import patience
from .interruptions import Requests, client_error
from .test_artifacts import Cache

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Counted:
    """A progress that remembers: where it is, how far it ever came, and how much it was told without what was taken back."""

    def __init__(self) -> None:
        self.total = 0
        self.most = 0
        self.read = 0

    def __call__(self, size: int) -> None:
        self.total += size
        self.read += max(0, size)
        self.most = max(self.most, self.total)


def made(folder: Path, *contents: bytes) -> list[Artifact]:
    found = []
    for number, content in enumerate(contents):
        path = folder / f"{number}"
        path.write_bytes(content)
        found.append(artifact(f"part {number}", "shop", content_of(path), "zip"))
    return found


def folder_artifact(folder: Path, files: Mapping[str, bytes] = FILES) -> Artifact:
    return artifact("code", "shop", folder_of(written(folder, files)), "zip")


def sent(client: S3Client, bucket: str, artifacts: Sequence[Artifact], progress: Counted | None = None) -> Uploaded:
    return upload(client, bucket, artifacts, progress or Counted())


def stored(client: S3Client, bucket: str, key: str) -> bytes:
    return client.get_object(Bucket=bucket, Key=key)["Body"].read()


def keys(client: S3Client, bucket: str) -> set[str]:
    return {each["Key"] for each in client.list_objects_v2(Bucket=bucket).get("Contents", [])}


def test_each_lies_under_the_name_of_its_content(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    one, two = made(tmp_path, b"one", b"two")

    assert sent(s3, bucket, [one, two]) == Uploaded((one, two), (), 6)

    assert keys(s3, bucket) == {f"code/shop/{hashlib.sha256(content).hexdigest()}.zip" for content in (b"one", b"two")}
    assert s3.get_object(Bucket=bucket, Key=two.key)["Body"].read() == b"two"


def test_the_control_plane_takes_the_stored_checksum_and_reads_nothing(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    (one,) = made(tmp_path, b"one")
    sent(s3, bucket, [one])
    reads = Requests(s3, "GetObject")

    seen = Artifacts(s3, bucket).code(bucket, one.key, None, Cache())

    assert seen == Seen(bucket, one.key, None, base64.b64encode(hashlib.sha256(b"one").digest()).decode())
    assert reads.count == 0


def test_one_over_the_size_of_a_part_is_one_object_all_the_same(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    """A multipart upload would store the checksum of parts, which is no identity."""
    (large,) = made(tmp_path, bytes(9 * 1024 * 1024))
    puts = Requests(s3, "PutObject")

    sent(s3, bucket, [large])

    assert puts.count == 1
    assert (
        s3.head_object(Bucket=bucket, Key=large.key, ChecksumMode="ENABLED")["ChecksumSHA256"]
        == base64.b64encode(large.source.identity).decode()
    )


def test_what_is_there_is_not_sent(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    one, two, three = made(tmp_path, b"one", b"two", b"three")
    sent(s3, bucket, [two])
    puts = Requests(s3, "PutObject")

    assert sent(s3, bucket, [one, two, three]) == Uploaded((one, three), (two,), 8)
    assert puts.count == 2
    assert sent(s3, bucket, [one, two, three]) == Uploaded((), (one, two, three), 0)
    assert puts.count == 2


def test_a_longer_key_that_begins_alike_is_another_object(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    (one,) = made(tmp_path, b"one")
    s3.put_object(Bucket=bucket, Key=f"{one.key}.old", Body=b"")

    assert sent(s3, bucket, [one]) == Uploaded((one,), (), 3)


def test_it_asks_for_what_is_there_by_the_prefix_alone(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    """CI may list below code/ and read nothing."""
    asked: list[dict[str, Any]] = []
    s3.meta.events.register("provide-client-params.s3.*", lambda params, model, **_: asked.append({model.name: dict(params)}))
    (one,) = made(tmp_path, b"one")

    sent(s3, bucket, [one])
    sent(s3, bucket, [one])

    look = {"ListObjectsV2": {"Bucket": bucket, "Prefix": one.key, "MaxKeys": 1}}
    assert [each for each in asked if "PutObject" not in each] == [look, look]


def test_nothing_to_upload_is_no_call(s3: S3Client, bucket: str) -> None:
    looks = Requests(s3, "ListObjectsV2")

    assert sent(s3, bucket, []) == Uploaded((), (), 0)
    assert looks.count == 0


# Progress.


def test_progress_adds_up_to_the_whole_and_what_is_there_counts_as_done(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    artifacts = made(tmp_path, b"one", b"", bytes(300_000))
    sent(s3, bucket, artifacts[:1])

    for _ in range(2):
        progress = Counted()
        sent(s3, bucket, artifacts, progress)
        assert progress.total == progress.most == total_work(artifacts) == 300_003


@pytest.mark.usefixtures("environment")
def test_each_is_read_once(bucket: str, tmp_path: Path) -> None:
    """Signing an object would read it first, and progress would come to its end, go back and begin again."""
    progress = Counted()

    sent(upload_client(), bucket, made(tmp_path, bytes(300_000)), progress)

    assert (progress.total, progress.read) == (300_000, 300_000)


def test_it_is_told_piece_by_piece(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    progress = Counted()
    (one,) = made(tmp_path, bytes(30))
    told = []

    def read(body: Any) -> None:
        while body.read(10):
            told.append(progress.total)

    Sending(s3, read)
    sent(s3, bucket, [one], progress)

    assert told == [10, 20, 30]
    assert progress.total == 30


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_was_sent_in_vain_is_taken_back_before_it_is_sent_again(
    s3: S3Client, bucket: str, tmp_path: Path, kind: str
) -> None:
    one = made(tmp_path, bytes(1000))[0] if kind == "file" else folder_artifact(tmp_path, {"app.py": bytes(1000)})
    progress = Counted()
    tries = []

    def at_once(caught_exception: Exception | None, **_: Any) -> int | None:
        return None if caught_exception is None else 0

    def break_once(body: Any) -> None:
        tries.append(body.tell())
        body.read()
        if len(tries) == 1:
            raise ConnectionClosedError(endpoint_url="https://s3")

    retried: Callable[..., Any] = at_once
    s3.meta.events.register_first("needs-retry.s3.PutObject", retried)
    Sending(s3, break_once)
    sent(s3, bucket, [one], progress)

    assert tries == [0, 0]
    assert progress.total == progress.most == total_work([one])
    assert len(stored(s3, bucket, one.key)) == s3.head_object(Bucket=bucket, Key=one.key)["ContentLength"] > 0


class Sending:
    """Calls ``act`` with a body that is about to be sent, and then sends it from its beginning."""

    def __init__(self, client: S3Client, act: Callable[[Any], None]) -> None:
        self.count = 0
        self._act = act
        client.meta.events.register_first("before-send.s3.PutObject", self._before)

    def _before(self, request: Any, **_: Any) -> None:
        self.count += 1
        try:
            self._act(request.body)
        except Exception as error:
            # As botocore does with whatever happens while it sends.
            raise error if isinstance(error, HTTPClientError) else HTTPClientError(error=error) from error
        request.body.seek(0)


# Failures.


@pytest.mark.parametrize(
    ("operation", "what"), [("ListObjectsV2", "looking for part 0 in s3://"), ("PutObject", "uploading part 0 to s3://")]
)
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (client_error("AccessDenied", 403), "AccessDenied: asked for by the test"),
        (client_error("NoSuchBucket", 404), "NoSuchBucket: asked for by the test"),
        (EndpointConnectionError(endpoint_url="https://s3"), "EndpointConnectionError: Could not connect"),
    ],
    ids=["denied", "no bucket", "no network"],
)
def test_what_fails_is_named_with_awss_words(
    s3: S3Client, bucket: str, tmp_path: Path, operation: str, what: str, error: Exception, words: str
) -> None:
    (one,) = made(tmp_path, b"one")
    Requests(s3, operation, error)

    with pytest.raises(CallFailed) as caught:
        sent(s3, bucket, [one])

    assert str(caught.value).startswith(f"{what}{bucket}/{one.key}: {words}")
    assert caught.value.__cause__ is error


def test_the_checksum_is_of_what_was_packaged_so_that_s3_refuses_a_file_that_changed_meanwhile(
    s3: S3Client, bucket: str, tmp_path: Path
) -> None:
    """S3 compares them (tests/contract/test_s3.py); moto does not."""
    (one,) = made(tmp_path, b"one")
    one.source.path.write_bytes(b"two")
    headers: list[Any] = []
    s3.meta.events.register("before-call.s3.PutObject", lambda params, **_: headers.append(params["headers"]))

    sent(s3, bucket, [one])

    assert [each["x-amz-checksum-sha256"] for each in headers] == [base64.b64encode(hashlib.sha256(b"one").digest()).decode()]


def test_a_file_that_is_gone_is_told(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    (one,) = made(tmp_path, b"one")
    one.source.path.unlink()

    with pytest.raises(PackagingFailed, match=f"{one.source.path} cannot be read any more: No such file"):
        sent(s3, bucket, [one])


class Slow(Sending):
    """Bodies of which nothing is ever wholly sent. ``when_busy`` is called once, when as many as can be are on their way."""

    def __init__(self, client: S3Client, when_busy: Callable[[], None] = lambda: None) -> None:
        super().__init__(client, self._crawl)
        self._when_busy = when_busy
        self._numbers = itertools.count(1)

    def _crawl(self, body: Any) -> None:
        if next(self._numbers) == AT_ONCE:
            self._when_busy()
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            body.read(1)
            body.seek(0)
            time.sleep(0.001)


@pytest.mark.usefixtures("environment")
def test_the_first_failure_stops_what_is_being_sent_and_what_waits(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    artifacts = made(tmp_path, *(bytes([number]) for number in range(40)))
    patient = upload_client()
    slow = Slow(patient)
    Requests(patient, "ListObjectsV2", client_error("AccessDenied", 403))

    with pytest.raises(CallFailed, match="AccessDenied"):
        sent(patient, bucket, artifacts)

    assert slow.count <= AT_ONCE
    assert keys(s3, bucket) == set()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """What runs in the background of a shell ignores Ctrl-C, and so would these cases there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_so_does_ctrl_c(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    artifacts = made(tmp_path, *(bytes([number]) for number in range(40)))
    main = threading.get_ident()
    slow = Slow(s3, lambda: signal.pthread_kill(main, signal.SIGINT))

    with pytest.raises(KeyboardInterrupt):
        sent(s3, bucket, artifacts)

    assert slow.count <= AT_ONCE
    assert keys(s3, bucket) == set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("upload")]


@pytest.mark.parametrize("pressed_at", [1, 3])
def test_ctrl_c_before_all_were_asked_for_leaves_nothing_on_its_way(
    s3: S3Client, bucket: str, tmp_path: Path, pressed_at: int
) -> None:
    artifacts = made(tmp_path, *(bytes([number]) for number in range(40)))
    pressing = PressedWhileAsked(artifacts, pressed_at)
    slow = Slow(s3)

    with pytest.raises(KeyboardInterrupt):
        upload(s3, bucket, pressing, Counted())

    assert slow.count <= AT_ONCE
    assert keys(s3, bucket) == set()


@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_a_zip_as_well(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    with_holes(written(tmp_path / "code", FILES) / "large", 100 * 1024 * 1024)
    main = threading.get_ident()
    told: list[int] = []

    def press(work: int) -> None:
        told.append(work)
        if len(told) == 1:
            signal.pthread_kill(main, signal.SIGINT)
        time.sleep(0.05)

    with pytest.raises(KeyboardInterrupt):
        upload(s3, bucket, [artifact("code", "shop", folder_of(tmp_path / "code"), "zip")], press)

    assert len(told) < 50
    assert keys(s3, bucket) == set()


class PressedWhileAsked(list[Artifact]):
    """Artifacts with a Ctrl-C among them, while they are handed to the threads."""

    def __init__(self, artifacts: Sequence[Artifact], at: int) -> None:
        super().__init__(artifacts)
        self._at = at

    def __iter__(self) -> Iterator[Artifact]:
        for position, each in enumerate(super().__iter__()):
            if position == self._at:
                raise KeyboardInterrupt
            yield each


@pytest.mark.usefixtures("environment")
def test_the_client_has_patience_for_uploads_and_a_connection_for_each() -> None:
    client = upload_client()

    assert patience(client) == (5, 60, {"mode": "standard", "total_max_attempts": 4})
    config: Any = client.meta.config
    assert config.max_pool_connections == AT_ONCE
