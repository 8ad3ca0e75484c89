"""Folders in the bucket: as zips, made when they are missing there and not before; the same content is never sent twice."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stagekeeper.aws.artifacts import Artifacts
from stagekeeper.aws.errors import CallFailed
from stagekeeper.domain.facts import Artifact as Seen
from stagekeeper.packaging.errors import PackagingFailed
from stagekeeper.packaging.upload import Uploaded, total_work, upload, upload_client
from tests.unit.packaging.folders import FILES, entries

from .interruptions import Requests, client_error
from .test_artifacts import Cache
from .test_upload import Counted, folder_artifact, keys, sent, stored

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def zip_of_another_machine(files: Mapping[str, bytes]) -> bytes:
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return zipped.getvalue()


@pytest.fixture
def no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No temporary file can be made, and so no zip."""
    nowhere = tmp_path / "nowhere"
    monkeypatch.setattr(tempfile, "tempdir", str(nowhere))
    return nowhere


def test_a_folder_becomes_its_zip_with_the_checksum_of_that(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    code = folder_artifact(tmp_path / "code")

    uploaded = sent(s3, bucket, [code])

    body = stored(s3, bucket, code.key)
    assert uploaded == Uploaded((code,), (), len(body))
    assert entries(io.BytesIO(body)) == FILES
    seen = Artifacts(s3, bucket).code(bucket, code.key, None, Cache())
    assert seen == Seen(bucket, code.key, None, base64.b64encode(hashlib.sha256(body).digest()).decode())


def test_what_another_machine_made_of_the_same_content_is_used_as_it_is(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    code = folder_artifact(tmp_path / "code")
    theirs = zip_of_another_machine(FILES)
    s3.put_object(Bucket=bucket, Key=code.key, Body=theirs, ChecksumAlgorithm="SHA256")
    puts = Requests(s3, "PutObject")

    assert sent(s3, bucket, [code]) == Uploaded((), (code,), 0)

    assert puts.count == 0
    seen = Artifacts(s3, bucket).code(bucket, code.key, None, Cache())
    assert seen == Seen(bucket, code.key, None, base64.b64encode(hashlib.sha256(theirs).digest()).decode())


def test_nothing_is_zipped_when_it_is_there(s3: S3Client, bucket: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    code = folder_artifact(tmp_path / "code")
    sent(s3, bucket, [code])
    request.getfixturevalue("no_room")

    assert sent(s3, bucket, [code]) == Uploaded((), (code,), 0)


def test_a_zip_that_finds_no_room_is_told(s3: S3Client, bucket: str, tmp_path: Path, no_room: Path) -> None:
    code = folder_artifact(tmp_path / "code")

    with pytest.raises(PackagingFailed, match=f"^The zip of {tmp_path / 'code'} cannot be written to {no_room}: No such file"):
        sent(s3, bucket, [code])


def test_a_folder_that_changed_since_it_was_read_is_not_sent(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    code = folder_artifact(tmp_path / "code")
    (tmp_path / "code" / "app.py").write_bytes(b"")

    with pytest.raises(PackagingFailed, match="changed while it was packaged"):
        sent(s3, bucket, [code])

    assert keys(s3, bucket) == set()


def test_a_zip_goes_with_its_upload(s3: S3Client, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))

    sent(s3, bucket, [folder_artifact(tmp_path / "code")])

    assert list(room.iterdir()) == []


# Progress.


@pytest.mark.usefixtures("environment")
def test_it_is_the_bytes_of_its_files_to_zip_and_once_more_to_send(bucket: str, tmp_path: Path) -> None:
    code = folder_artifact(tmp_path / "code", {"app.py": bytes(1000), "empty": b"", "run": bytes(500)})
    told: list[int] = []

    uploaded = upload(upload_client(), bucket, [code], told.append)

    assert uploaded.size < 1500
    assert told == [1000, 500, 1500]
    assert total_work([code]) == 3000


def test_one_of_empty_files_is_no_work(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    code = folder_artifact(tmp_path / "code", {"__init__.py": b""})
    progress = Counted()

    assert sent(s3, bucket, [code], progress).sent == (code,)
    assert (progress.total, total_work([code])) == (0, 0)


# Two machines at once.


def test_what_somebody_else_puts_there_meanwhile_stays(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    """Else a deploy that has looked at theirs would find other bytes under the same key."""
    code = folder_artifact(tmp_path / "code")
    theirs = zip_of_another_machine(FILES)
    progress = Counted()
    others = itertools.count()

    def put_theirs(**_: Any) -> None:
        if next(others) == 0:
            s3.put_object(Bucket=bucket, Key=code.key, Body=theirs)

    s3.meta.events.register("before-call.s3.PutObject", put_theirs)

    assert sent(s3, bucket, [code], progress) == Uploaded((), (code,), 0)

    assert stored(s3, bucket, code.key) == theirs
    assert progress.total == progress.most == total_work([code])


@pytest.mark.usefixtures("environment")
def test_when_somebody_else_who_is_writing_it_gives_up_it_is_made_once_more(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    client, code = upload_client(), folder_artifact(tmp_path / "code")
    told: list[int] = []
    Requests(client, "PutObject", client_error("ConditionalRequestConflict", 409))

    uploaded = upload(client, bucket, [code], told.append)

    assert uploaded.sent == (code,)
    assert entries(io.BytesIO(stored(s3, bucket, code.key))) == FILES
    sizes = [len(FILES[name]) for name in sorted(FILES)]
    assert told == [*sizes, -sum(sizes), *sizes, sum(sizes)]


def test_but_not_for_ever(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    code = folder_artifact(tmp_path / "code")
    puts = Requests(s3, "PutObject", *(client_error("ConditionalRequestConflict", 409) for _ in range(10)))

    with pytest.raises(CallFailed, match=r"^uploading code to .*: ConditionalRequestConflict"):
        sent(s3, bucket, [code])

    assert puts.count == 3
