"""The zip of a folder has what the folder had when it was read, or there is none. An archive of one's own stays as it is."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagekeeper.packaging.archive import CodeOnDisk, Content, zip_folder
from stagekeeper.packaging.errors import PackagingFailed
from stagekeeper.packaging.folder import MOST_BYTES, Folder, folder_of

from .folders import FILES, TREES, entries, with_holes, written


def zipped(folder: Folder, tell: Callable[[int], object] = lambda _: None) -> io.BytesIO:
    to = io.BytesIO()
    zip_folder(folder, to, tell)
    return to


# The zip of a folder.


@settings(max_examples=40)
@given(files=TREES, data=st.data())
def test_whatever_is_in_the_folder_the_zip_has_it_sorted_and_unzipped_it_is_the_same_folder(
    files: dict[str, bytes], data: st.DataObject
) -> None:
    run = data.draw(st.sets(st.sampled_from(sorted(files))))
    with tempfile.TemporaryDirectory() as room:
        folder = folder_of(written(Path(room) / "a", files, *run))
        made = zipped(folder)

        found = entries(made)
        assert found == files
        assert list(found) == sorted(files, key=str.encode)
        with zipfile.ZipFile(made) as opened:
            executable = [entry.filename for entry in opened.infolist() if entry.external_attr >> 16 & stat.S_IXUSR]
        assert folder_of(written(Path(room) / "b", found, *executable)).identity == folder.identity


def test_it_is_compressed_and_has_one_time_stamp_and_one_of_two_modes(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", {"app.py": b"x" * 10_000, "run": b"y" * 10_000})
    (folder / "run").chmod(0o700)
    (folder / "app.py").chmod(0o600)

    with zipfile.ZipFile(zipped(folder_of(folder))) as opened:
        app, run = opened.infolist()

    assert {entry.date_time for entry in (app, run)} == {(1980, 1, 1, 0, 0, 0)}
    assert [entry.external_attr >> 16 for entry in (app, run)] == [stat.S_IFREG | 0o644, stat.S_IFREG | 0o755]
    assert all(entry.compress_type == zipfile.ZIP_DEFLATED and entry.compress_size < 100 for entry in (app, run))


def test_on_one_machine_other_times_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = written(tmp_path / "one", FILES), written(tmp_path / "other", FILES)
    for path in other.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))

    assert zipped(folder_of(one)).getvalue() == zipped(folder_of(other)).getvalue()


def test_another_machines_zlib_gives_other_bytes_for_the_same_key(tmp_path: Path) -> None:
    """The other machine is another process, whose zlib compresses as little as it can unless told otherwise."""
    written(tmp_path / "code", {**FILES, "table.txt": b"".join(b"%d\n" % (number**2) for number in range(10_000))})
    program = (
        "import hashlib, io, sys, zlib; from pathlib import Path\n"
        "from stagekeeper.packaging.archive import CodeOnDisk, zip_folder\n"
        "from stagekeeper.packaging.artifact import artifact\n"
        "zlib.Z_DEFAULT_COMPRESSION = int(sys.argv[2])\n"
        "made = artifact('code', 'shop', CodeOnDisk().of(Path(sys.argv[1])), 'zip')\n"
        "zipped = io.BytesIO(); zip_folder(made.source, zipped, lambda _: None)\n"
        "print(made.key, hashlib.sha256(zipped.getvalue()).hexdigest())"
    )
    said = [
        subprocess.run(  # noqa: S603 - the code is ours
            [sys.executable, "-c", program, str(tmp_path / "code"), level],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": level, "TZ": zone},
        ).stdout.split()
        for level, zone in (("1", "UTC"), ("9", "Pacific/Auckland"))
    ]

    (key, sha256), (other_key, other_sha256) = said
    assert key == other_key
    assert sha256 != other_sha256


def test_each_piece_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", {"a": b"12345", "b": b""})
    with_holes(folder / "c", 3 * 1024 * 1024 // 2)
    told: list[int] = []

    zipped(folder_of(folder), told.append)

    assert told == [5, 1024 * 1024, 512 * 1024]


def test_a_large_file_is_never_whole_in_memory(tmp_path: Path) -> None:
    with_holes(written(tmp_path / "code", FILES) / "model.bin", 64 * 1024 * 1024)
    program = (
        "import resource, sys, tempfile; from pathlib import Path\n"
        "from stagekeeper.packaging.archive import zip_folder; from stagekeeper.packaging.folder import folder_of\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "zip_folder(folder_of(Path(sys.argv[1])), tempfile.TemporaryFile(), lambda _: None)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "code")]
    grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603 - the code is ours

    assert int(grown) < 16 * 1024


# What happens to the folder between being read and being zipped.


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "z.txt").write_bytes(b"\r"),
        lambda folder: (folder / "new.py").write_bytes(b""),
        lambda folder: (folder / "z.txt").unlink(),
        lambda folder: (folder / "z.txt").chmod(0o755),
        lambda folder: (folder / "z.txt").rename(folder / "y.txt"),
    ],
    ids=["content", "one more", "one less", "mode", "name"],
)
def test_a_folder_that_changed_meanwhile_gives_no_zip(tmp_path: Path, change: Callable[[Path], object]) -> None:
    path = written(tmp_path / "code", FILES)
    folder = folder_of(path)
    change(path)

    with pytest.raises(PackagingFailed, match=f"^{path} changed while it was packaged. Start again when nothing writes to it"):
        zipped(folder)


def test_so_does_one_that_changes_while_it_is_zipped(tmp_path: Path) -> None:
    path = written(tmp_path / "code", FILES)

    with pytest.raises(PackagingFailed, match="changed while it was packaged"):
        zipped(folder_of(path), lambda _: (path / "z.txt").write_bytes(b"!"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "code is not there any more"),
        (lambda folder: (folder / "gone.py").symlink_to("nowhere"), "gone.py is a link to something that is not there"),
    ],
    ids=["the folder is gone", "a link is broken"],
)
def test_and_one_that_can_no_longer_be_packaged(tmp_path: Path, change: Callable[[Path], object], said: str) -> None:
    path = written(tmp_path / "code", FILES)
    folder = folder_of(path)
    change(path)

    with pytest.raises(PackagingFailed, match=f"^{path} changed while it was packaged: .*{said}"):
        zipped(folder)


def test_a_folder_that_was_only_touched_is_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path / "code", FILES)
    folder = folder_of(path)
    shutil.rmtree(path)
    written(path, {**FILES, "app.pyc": b"made meanwhile"})

    assert entries(zipped(folder)) == FILES


# Code by its path.


def test_a_folder_is_read_and_nothing_is_written(tmp_path: Path) -> None:
    path = written(tmp_path / "code", FILES)
    before = sorted(tmp_path.rglob("*"))

    assert CodeOnDisk().of(path) == folder_of(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_it_is_read_once_by_whatever_way_it_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "code", FILES)
    (tmp_path / "link").symlink_to(path)
    code = CodeOnDisk()

    first = code.of(path)

    assert all(code.of(each) is first for each in (path, tmp_path / "link", path / "lib" / ".."))


def test_a_zip_and_a_jar_are_taken_byte_by_byte(tmp_path: Path) -> None:
    for name in ("a.zip", "b.jar", "C.ZIP"):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("app.py", b"x" * 1000)
        sha256 = hashlib.sha256(path.read_bytes()).digest()

        code = CodeOnDisk().of(path)

        assert code == Content(path, sha256, path.stat().st_size)
        assert code.identity == sha256


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed, match=r"code is not there\."):
        CodeOnDisk().of(tmp_path / "code")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed, match=r"app.py is neither a folder nor a .zip or .jar"):
        CodeOnDisk().of(written(tmp_path, FILES) / "app.py")


@pytest.mark.parametrize("content", [b"", b"not a zip"])
def test_a_zip_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(PackagingFailed, match=r"code.zip is no zip"):
        CodeOnDisk().of(written(tmp_path, {"code.zip": content}) / "code.zip")


def test_a_zip_with_nothing_in_it_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "code.zip", "w"):
        pass

    with pytest.raises(PackagingFailed, match=r"code.zip is a zip with nothing in it"):
        CodeOnDisk().of(tmp_path / "code.zip")


def test_a_zip_that_lambda_would_not_unzip_is_refused_however_small_it_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made, made.open("large", "w") as entry:
        for _ in range(MOST_BYTES // 2**20 + 1):
            entry.write(bytes(2**20))

    with pytest.raises(PackagingFailed, match="unzipped"):
        CodeOnDisk().of(path)
