"""Runs a project's own build command (`sam build`, `make`, …) before anything is packaged. Must not know what it makes."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from stagekeeper.packaging.errors import PackagingFailed

#: Where programs come from that a build command often names.
_HOW_TO_GET = {
    "sam": "Install the AWS SAM CLI (`pipx install aws-sam-cli`, `brew install aws-sam-cli`)",
    "make": "Install make with the system's package manager",
    "npm": "Install Node.js, which brings npm",
    "cargo": "Install Rust, which brings cargo (https://rustup.rs)",
}
_STDERR = 2


def build(command: Sequence[str], folder: Path, environ: Mapping[str, str], *, quiet: bool = False) -> None:
    """Run ``command`` (no shell) in ``folder``. Raises PackagingFailed where it cannot be run or does not succeed.

    What it writes goes to stderr, since stdout is for the answer: as it comes, or (``quiet``) only if it fails.
    """
    said = shlex.join(command)
    environ = {"SAM_CLI_TELEMETRY": "0", **environ}
    if not folder.is_dir():
        raise PackagingFailed(f"The build command `{said}` is to run in {folder}, which is no folder.")
    with tempfile.TemporaryFile() as kept:
        output: int | IO[bytes] = kept if quiet else _STDERR
        try:
            ran = subprocess.run(  # noqa: S603 - the project's own command, as its file says it; no shell
                list(command), cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
        except FileNotFoundError:
            raise PackagingFailed(_missing(said, command[0])) from None
        except OSError as error:
            raise PackagingFailed(f"The build command `{said}` could not be started: {error.strerror}.") from None
        if ran.returncode != 0:
            if quiet:
                kept.seek(0)
                _show(kept)
            raise PackagingFailed(
                f"The build command `{said}` failed in {folder} ({_ending(ran.returncode)}); what it wrote stands above. "
                "Nothing was uploaded."
            )


def _missing(said: str, program: str) -> str:
    how = _HOW_TO_GET.get(program, "Install it")
    return f"The build command `{said}` needs {program}, which is not there. {how}, or change `build` in the project file."


def _ending(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"


def _show(output: IO[bytes]) -> None:
    sys.stderr.flush()
    with os.fdopen(os.dup(_STDERR), "wb") as stderr:
        shutil.copyfileobj(output, stderr)
