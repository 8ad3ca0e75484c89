"""The project's own build: what it writes is told where it belongs, and what keeps it from succeeding in a sentence."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stagekeeper.packaging.build import build
from stagekeeper.packaging.errors import PackagingFailed


def python(program: str) -> list[str]:
    return [sys.executable, "-c", program]


LOUD = "import sys; print('to stdout', flush=True); print('to stderr', file=sys.stderr)"
each_volume = pytest.mark.parametrize("quiet", [False, True], ids=["loud", "quiet"])


@each_volume
def test_it_runs_in_the_folder(tmp_path: Path, quiet: bool) -> None:
    build(python("open('made', 'w').close()"), tmp_path, {}, quiet=quiet)

    assert (tmp_path / "made").exists()


def test_no_shell_has_a_say(tmp_path: Path) -> None:
    build([*python("import sys; open('said', 'w').write(sys.argv[1])"), "$HOME; *"], tmp_path, {})

    assert (tmp_path / "said").read_text() == "$HOME; *"


@pytest.mark.parametrize(
    ("environ", "said"),
    [({}, "0 None"), ({"SAM_CLI_TELEMETRY": "1"}, "1 None"), ({"MINE": "x"}, "0 x")],
)
def test_it_has_the_users_environment_and_sam_stays_silent_by_default(tmp_path: Path, environ: dict[str, str], said: str) -> None:
    program = "import os; open('said', 'w').write(f\"{os.environ['SAM_CLI_TELEMETRY']} {os.environ.get('MINE')}\")"
    build(python(program), tmp_path, environ)

    assert (tmp_path / "said").read_text() == said


def test_what_it_writes_goes_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    build(python(LOUD), tmp_path, {})

    assert capfd.readouterr() == ("", "to stdout\nto stderr\n")


def test_quietly_it_says_nothing_when_it_succeeds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    build(python(LOUD), tmp_path, {}, quiet=True)

    assert capfd.readouterr() == ("", "")


@each_volume
def test_a_failure_shows_what_it_wrote_once_and_says_how_it_ended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], quiet: bool
) -> None:
    command = python(f"{LOUD}; sys.exit(3)")

    with pytest.raises(PackagingFailed) as caught:
        build(command, tmp_path, {}, quiet=quiet)

    assert str(caught.value) == (
        f"The build command `{shlex.join(command)}` failed in {tmp_path} (exit code 3); what it wrote stands above. "
        "Nothing was uploaded."
    )
    assert capfd.readouterr() == ("", "to stdout\nto stderr\n")


def test_one_that_is_killed_says_by_what(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed, match=r"\(ended by SIGKILL\)"):
        build(python(f"import os; os.kill(os.getpid(), {signal.SIGKILL:d})"), tmp_path, {})


def test_it_is_asked_nothing(tmp_path: Path) -> None:
    """A question would wait for ever where CI runs."""
    with answer_at_hand(), pytest.raises(PackagingFailed, match="exit code 1"):
        build(python("input()"), tmp_path, {}, quiet=True)


@contextlib.contextmanager
def answer_at_hand() -> Iterator[None]:
    """While inside, this process has something to read on its stdin."""
    reading, writing = os.pipe()
    before = os.dup(0)
    os.write(writing, b"yes\n")
    os.dup2(reading, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        for each in (reading, writing, before):
            os.close(each)


@pytest.mark.parametrize(
    ("program", "how"),
    [
        ("sam", "Install the AWS SAM CLI"),
        ("make", "Install make"),
        ("npm", "Install Node.js"),
        ("cargo", "Install Rust"),
        ("./no-such-script", "Install it, or change `build`"),
    ],
)
def test_a_program_that_is_missing_is_named_and_where_it_comes_from(
    tmp_path: Path, program: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(PackagingFailed, match=f"needs {program}, which is not there. {how}"):
        build([program, "build"], tmp_path, {"PATH": str(tmp_path)})


def test_one_that_may_not_be_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "build.sh").write_text("#!/bin/sh\n")

    with pytest.raises(PackagingFailed, match=r"could not be started: Permission denied"):
        build(["./build.sh"], tmp_path, {})


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackagingFailed, match="gone, which is no folder"):
        build(python(""), tmp_path / "gone", {})
