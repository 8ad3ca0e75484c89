"""What `sam deploy` is given instead of folders: one zip for all that are alike, and the same one the next time."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from stagekeeper.embedded.zips import zip_alike

TEMPLATE = """Globals:
  Function:
    CodeUri: src/
Resources:
  One:
    Properties:
      CodeUri: One
  Two:
    Properties:
      CodeUri: Two
      Handler: app.handler
  Elsewhere:
    Properties:
      CodeUri: s3://bucket/key
"""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """Two folders with the same code, one file of which they share."""
    made = tmp_path / "built"
    for name in ("One", "Two"):
        (made / name / "package").mkdir(parents=True)
        (made / name / "app.py").write_text("def handler(event, context): ...")
    (made / "One" / "package" / "tool").write_text("#!/bin/sh")
    (made / "One" / "package" / "tool").chmod(0o755)
    (made / "Two" / "package" / "tool").hardlink_to(made / "One" / "package" / "tool")
    (made / "template.yaml").write_text(TEMPLATE)
    return made


def uris(built: Path) -> list[str]:
    lines = (line.strip() for line in (built / "template.yaml").read_text().splitlines())
    return [line.removeprefix("CodeUri: ") for line in lines if line.startswith("CodeUri: ")]


def test_folders_that_are_alike_are_one_zip_and_all_else_is_as_it_was(built: Path) -> None:
    zip_alike(built)

    inherited, one, two, elsewhere = uris(built)
    assert one == two
    assert one.endswith(".zip")
    assert (built / "template.yaml").read_text() == TEMPLATE.replace(": One", f": {one}").replace(": Two", f": {one}")
    assert (inherited, elsewhere) == ("src/", "s3://bucket/key")


def test_the_zip_has_the_files_with_their_modes(built: Path) -> None:
    zip_alike(built)

    with zipfile.ZipFile(built / uris(built)[1]) as archive:
        assert {member.filename: member.external_attr >> 16 & 0o777 for member in archive.infolist()} == {
            "app.py": (built / "One" / "app.py").stat().st_mode & 0o777,
            "package/tool": 0o755,
        }
        assert archive.read("package/tool") == b"#!/bin/sh"


@pytest.mark.parametrize("differs", ["content", "name", "mode"])
def test_folders_that_differ_are_two_zips(built: Path, differs: str) -> None:
    file = built / "Two" / "app.py"
    match differs:
        case "content":
            file.write_text("def handler(event, context): pass")
        case "name":
            file.rename(built / "Two" / "another.py")
        case "mode":
            file.chmod(0o700)

    zip_alike(built)

    _, one, two, _ = uris(built)
    assert one != two


def test_the_same_code_is_the_same_zip_whenever_it_was_built(built: Path) -> None:
    zip_alike(built)
    before = {name: (built / name).read_bytes() for name in uris(built)[1:3]}

    (built / "template.yaml").write_text(TEMPLATE)
    os.utime(built / "One" / "app.py", (0, 0))
    zip_alike(built)

    assert {name: (built / name).read_bytes() for name in uris(built)[1:3]} == before
