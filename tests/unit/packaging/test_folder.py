"""A folder's identity follows from what is in it, and from nothing else. What Lambda would not take is refused at once."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stagekeeper.packaging.errors import PackagingFailed
from stagekeeper.packaging.folder import MOST_BYTES, File, folder_of

from .folders import FILES, TREES, with_holes, written

#: Of FILES with bin/run executable. If it changes, every function of every user counts as changed once; then _FORM has to change.
IDENTITY = "66e452ebd0bdf3e3badb00e2fc2c5952e212cd0423c0c169292fbf318f2d2729"


def identity(folder: Path) -> str:
    return folder_of(folder).identity.hex()


def read(folder: Path) -> dict[str, bytes]:
    """What is taken for its content, in the order in which it is."""
    found = {}

    def digest(file: File) -> bytes:
        found[file.name] = file.path.read_bytes()
        return b""

    folder_of(folder, digest)
    return found


# The same content, the same identity.


def test_the_identity_is_this_on_every_machine(tmp_path: Path) -> None:
    assert identity(written(tmp_path / "code", FILES, "bin/run")) == IDENTITY


def test_another_place_other_times_and_another_order_give_the_same_identity(tmp_path: Path) -> None:
    one = written(tmp_path / "one", FILES)
    other = written(tmp_path / "else" / "where", dict(reversed(FILES.items())))
    for path in other.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))

    assert identity(one) == identity(other)


@pytest.mark.parametrize(("mode", "same_as"), [(0o600, 0o644), (0o640, 0o644), (0o777, 0o755), (0o700, 0o755), (0o744, 0o755)])
def test_of_the_mode_only_whether_it_is_executable_counts(tmp_path: Path, mode: int, same_as: int) -> None:
    folder = written(tmp_path / "code", {"run": b"x"})
    seen = {}
    for each in (mode, same_as, 0o755 if same_as == 0o644 else 0o644):
        (folder / "run").chmod(each)
        seen[each] = identity(folder)

    assert seen[mode] == seen[same_as]
    assert len(set(seen.values())) == 2


@settings(max_examples=40)
@given(files=TREES, when=st.integers(0, 2_000_000_000), data=st.data())
def test_whatever_is_in_it_its_identity_and_its_size_follow_from_that(
    files: dict[str, bytes], when: int, data: st.DataObject
) -> None:
    run = data.draw(st.sets(st.sampled_from(sorted(files))))
    with tempfile.TemporaryDirectory() as room:
        one = written(Path(room) / "a", files, *run)
        other = written(Path(room) / "b", {name: files[name] for name in data.draw(st.permutations(sorted(files)))}, *run)
        for path in other.rglob("*"):
            os.utime(path, (when, when))

        assert identity(one) == identity(other)
        assert folder_of(one).size == sum(map(len, files.values()))
        assert list(read(other).items()) == sorted(files.items(), key=lambda each: each[0].encode())


@settings(max_examples=40)
@given(files=TREES, data=st.data())
def test_any_change_of_the_content_is_another_identity(files: dict[str, bytes], data: st.DataObject) -> None:
    changed = data.draw(st.sampled_from(sorted(files)))
    what = data.draw(st.sampled_from(["content", "mode", "gone", "name"]))
    always = {"always": b""}
    other = {name: content for name, content in files.items() if name != changed}
    if what in ("content", "mode"):
        other[changed] = files[changed] + b"!" * (what == "content")
    elif what == "name":
        other[f"{changed}!"] = files[changed]
    with tempfile.TemporaryDirectory() as room:
        one = written(Path(room) / "a", {**files, **always})
        two = written(Path(room) / "b", {**other, **always}, *([changed] * (what == "mode")))

        assert identity(one) != identity(two)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"ab": b"c"}, {"a": b"bc"}),
        ({"a": b"", "b": b""}, {"a": b"b"}),
        ({"a": b"1", "b": b"2"}, {"a": b"2", "b": b"1"}),
        ({"a": b"12"}, {"a": b"1", "b": b"2"}),
        ({"a/b": b""}, {"a-b": b""}),
        ({"a": b""}, {"a-": b""}),
        ({"a": b""}, {"ax": b""}),
    ],
)
def test_what_reads_alike_end_to_end_is_not_the_same(
    tmp_path: Path, one: Mapping[str, bytes], other: Mapping[str, bytes]
) -> None:
    assert identity(written(tmp_path / "one", one)) != identity(written(tmp_path / "other", other))


# What belongs to it.


def test_bytecode_and_what_tools_keep_is_left_out_wherever_it_is(tmp_path: Path) -> None:
    left_out = {
        "__pycache__/app.cpython-313.pyc": b"",
        "lib/__pycache__/one.cpython-313.pyc": b"",
        "app.pyc": b"",
        ".git/HEAD": b"",
        "lib/.git": b"",
        ".aws-sam/build/template.yaml": b"",
        "lib/.DS_Store": b"",
    }
    folder = written(tmp_path / "code", {**FILES, **left_out})

    assert read(folder) == FILES
    assert identity(folder) == identity(written(tmp_path / "clean", FILES))


def test_bytecode_without_a_source_is_code(tmp_path: Path) -> None:
    files = {"app.py": b"", "bought.pyc": b"bytecode"}

    assert read(written(tmp_path / "code", files)) == files


def test_an_empty_folder_inside_is_nothing(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", FILES)
    (folder / "empty" / "within").mkdir(parents=True)

    assert read(folder) == FILES


def test_a_link_is_what_it_leads_to_also_out_of_the_folder(tmp_path: Path) -> None:
    elsewhere = written(tmp_path / "node_modules", {"left-pad/index.js": b"pad"})
    folder = written(tmp_path / "code", {"app.js": b"app"})
    (folder / "node_modules").symlink_to(elsewhere)
    (folder / "same.js").symlink_to("app.js")
    files = {"app.js": b"app", "same.js": b"app", "node_modules/left-pad/index.js": b"pad"}

    assert read(folder) == files
    assert identity(folder) == identity(written(tmp_path / "without-links", files))


def test_two_links_to_one_folder_are_no_circle(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", {"real/one": b"1"})
    (folder / "also").symlink_to("real")
    (folder / "again").symlink_to("also")

    assert set(read(folder)) == {"real/one", "also/one", "again/one"}


# What does not make a package.


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", {"__pycache__/app.pyc": b""})

    with pytest.raises(PackagingFailed, match=f"^The folder {folder} has no files to package"):
        folder_of(folder)


@pytest.mark.parametrize(
    ("name", "leads_to", "said"),
    [
        ("up", "..", "up leads back to a folder that it lies in"),
        ("here", ".", "here leads back to a folder that it lies in"),
        ("itself", "itself", "itself is a link that leads back to itself"),
        ("nowhere", "gone", "nowhere is a link to something that is not there"),
    ],
)
def test_a_link_without_an_end_is_refused(tmp_path: Path, name: str, leads_to: str, said: str) -> None:
    folder = written(tmp_path / "code", {**FILES, "lib/deep/two.py": b""})
    (folder / "lib" / name).symlink_to(leads_to)

    with pytest.raises(PackagingFailed, match=said):
        folder_of(folder)


def test_links_that_lead_in_a_circle_by_way_of_another_folder_are_refused(tmp_path: Path) -> None:
    """As npm leaves them for packages of one workspace that need each other."""
    one, other = (written(tmp_path / name, {"index.js": b""}) for name in ("one", "other"))
    (one / "other").symlink_to(other)
    (other / "one").symlink_to(one)

    with pytest.raises(PackagingFailed, match="other/one leads back to a folder that it lies in"):
        folder_of(one)


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", FILES)
    os.mkfifo(folder / "pipe")

    with pytest.raises(PackagingFailed, match="pipe is neither a file nor a folder"):
        folder_of(folder)


def test_a_name_that_no_zip_can_say_is_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", FILES)
    with open(os.fsencode(folder) + b"/\xff.py", "wb"):
        pass

    with pytest.raises(PackagingFailed, match="has a name that cannot be written as UTF-8"):
        folder_of(folder)


def test_a_folder_that_lambda_would_not_unzip_is_refused_before_it_is_read(tmp_path: Path) -> None:
    folder = written(tmp_path / "code", FILES)
    with_holes(folder / "a", MOST_BYTES // 2)
    with_holes(folder / "b", MOST_BYTES // 2)

    def digest(file: File) -> bytes:
        raise AssertionError(f"{file.name} was read")

    with pytest.raises(PackagingFailed, match=r"has more than 262,144,000 bytes \(250 MB\) unzipped"):
        folder_of(folder, digest)
