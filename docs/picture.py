"""Makes docs/deploy-live.svg and docs/deploy-done.svg: `.venv/bin/python docs/picture.py`.

They are pictures of the real thing: `stagekeeper deploy` runs in a pseudo-terminal of 80 columns, against an embedded AWS with
the control plane and a sample service on it. A terminal emulator makes of its bytes what a terminal shows, once in the middle and
once at the end, and that is drawn. Nothing in them is from another host, and a test says so.
"""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import struct
import sys
import tempfile
import termios
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import boto3
import pyte
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from stagekeeper.embedded import deploy, instance
from stagekeeper.embedded.deploy import ROOT_KEY

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

COLUMNS, ROWS = 80, 24
#: How long (seconds) updates of functions seem to take: on the machine at hand nothing else would.
IN_PROGRESS = 1.0
PATIENCE = 120.0

FUNCTIONS = ("Api", "Cart", "Invoice", "Mailer", "Nightly", "Search", "Worker")
#: These were deployed to dev before, the others come new to prod.
TRIED_IN_DEV = ("Api", "Cart", "Mailer", "Search")

PROMPT = "$ "
COMMAND = "stagekeeper deploy --stage prod"

#: The terminal's colours, by their numbers: quiet ones, which carry no fact that is not in the words.
_NAMES = ("black", "red", "green", "brown", "blue", "magenta", "cyan", "white")
COLOURS = [(40, 44, 52), (224, 108, 117), (126, 200, 126), (229, 192, 123), (97, 175, 239), (198, 120, 221), (86, 182, 194)]
COLOURS += [(201, 206, 214)]
BRIGHT = [(112, 120, 133), *COLOURS[1:]]
THEME = TerminalTheme((24, 27, 33), (219, 223, 230), COLOURS, BRIGHT)

#: What fonts the reader's machine has; rich's own drawing would fetch one.
DRAWING = """\
<svg xmlns="http://www.w3.org/2000/svg" class="rich-terminal" viewBox="0 0 {width} {height}" role="img" aria-label="WHAT">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Emulated:
    """What a terminal shows of the bytes that were written to it."""

    def __init__(self) -> None:
        self._screen = pyte.Screen(COLUMNS, ROWS)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, written: bytes) -> None:
        # The emulator knows no faint text: it is the bright black of many a terminal.
        self._stream.feed(re.sub(rb"\x1b\[((?:\d+;)*)2((?:;\d+)*)m", b"\x1b[\\g<1>90\\g<2>m", written))

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    def text(self) -> Text:
        """With its colours, down to the last line that has something on it, and one more as a margin."""
        height = max((number for number, line in enumerate(self.lines) if line), default=0) + 2
        return Text("\n").join(self._line(number) for number in range(height))

    def _line(self, number: int) -> Text:
        """Word by word: each is drawn at its own place, so that columns stand in line whatever font the reader has."""
        line = Text()
        row = [self._screen.buffer[number][column] for column in range(COLUMNS)]
        for (colour, bold, _), word in groupby(row, key=lambda char: (char.fg, char.bold, char.data == " ")):
            line.append("".join(char.data for char in word), Style(color=_colour(colour), bold=bold))
        return line


def _colour(name: str) -> str:
    """Rich's name for one of the emulator's colours."""
    if name == "default":
        return name
    bright, plain = name.startswith("bright"), name.removeprefix("bright")
    return f"color({_NAMES.index(plain) + 8 * bright})"


class Shell:
    """A shell in a pseudo-terminal, as somebody sits before one."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.seen = Emulated()
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], dict(environ))  # noqa: S606, S607
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def type(self, command: str) -> None:
        """A command, once the shell has asked for one."""
        for lines in self.screens():
            if [line for line in lines if line][-1:] == [PROMPT.strip()]:
                break
        self._write(f"{command}\n")

    def _write(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def screens(self) -> Iterator[list[str]]:
        """The lines after each thing that was written."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if select.select([self._terminal], [], [], 0.05)[0]:
                self.seen.feed(os.read(self._terminal, 65536))
            yield self.seen.lines
        raise SystemExit("The deploy does not end:\n" + "\n".join(self.seen.lines))

    def close(self) -> None:
        self._write("exit\n")
        os.close(self._terminal)
        os.waitpid(self.pid, 0)


def draw(shown: Text, path: Path, what: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(shown, no_wrap=True)
    svg = console.export_svg(title="~/orders", theme=THEME, code_format=DRAWING.replace("WHAT", what), unique_id=path.stem)
    path.write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE))
    tell(f"{path.relative_to(ROOT)}: {len(svg) / 1000:.1f} kB")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> None:
    with sample() as (shell, _):
        shell.type(COMMAND)
        drawn = False
        for lines in shell.screens():
            publishes = next((line for line in lines if " Publish " in line), "")
            seconds = re.search(r"(\d+\.\d) s", publishes)
            if not drawn and seconds is not None and float(seconds[1]) >= IN_PROGRESS and "Ctrl-C leaves it running." in lines:
                draw(
                    shell.seen.text(),
                    HERE / "deploy-live.svg",
                    "A terminal: stagekeeper deploys to prod, and is publishing versions",
                )
                drawn = True
            if lines.count(PROMPT.strip()) == 1 and any("Succeeded" in line for line in lines):
                break
        if not drawn:
            raise SystemExit("The deploy was over before it could be drawn.")
        draw(shell.seen.text(), HERE / "deploy-done.svg", "The same terminal: the deploy has succeeded, and says what changed")


@contextmanager
def sample() -> Iterator[tuple[Shell, Path]]:
    """A shell in the checkout of a service that serves its first release in prod; part of the next one was tried in dev."""
    running = instance.start(None, ROOT, in_progress_seconds=IN_PROGRESS)
    try:
        deploy.deploy_control_plane(running, tell)
        known = {"AWS_ENDPOINT_URL": running.endpoint, "AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_KEY}
        os.environ |= {**known, "AWS_DEFAULT_REGION": running.region}
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            make_functions(running)
            write_project(folder)
            environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PS1": PROMPT}
            environ |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "HISTFILE": "", "HOME": scratch}
            environ = {name: value for name, value in environ.items() if name not in ("NO_COLOR", "CI", "COLUMNS", "LINES")}
            for text, changed, stage in (("one", FUNCTIONS, "prod"), ("two", TRIED_IN_DEV, "dev")):
                write_code(folder, text, changed)
                setup(folder, environ, stage)
            write_code(folder, "two", FUNCTIONS)
            shell = Shell(folder, environ)
            try:
                yield shell, folder
            finally:
                shell.close()
    finally:
        instance.stop(running)


def setup(folder: Path, environ: Mapping[str, str], stage: str) -> None:
    shell = Shell(folder, environ)
    shell.type(f"stagekeeper deploy --stage {stage}")
    for lines in shell.screens():
        if any("Succeeded" in line for line in lines) and lines.count(PROMPT.strip()) == 1:
            break
    shell.close()


def make_functions(running: instance.Instance) -> None:
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    boto3.client("iam").create_role(RoleName="orders", AssumeRolePolicyDocument=document)
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", "def handler(event, context): ...\n")
    for name in FUNCTIONS:
        boto3.client("lambda").create_function(
            FunctionName=f"orders-{name.lower()}",
            Runtime=deploy.handler_runtime(ROOT),
            Handler="app.handler",
            Role=f"arn:aws:iam::{running.account}:role/orders",
            Code={"ZipFile": code.getvalue()},
        )
    time.sleep(2 * IN_PROGRESS)


def write_project(folder: Path) -> None:
    functions = "\n".join(f"  {name}: {{function_name: orders-{name.lower()}, code: {name.lower()}}}" for name in FUNCTIONS)
    (folder / "stagekeeper.yaml").write_text(f"service: orders\nfunctions:\n{functions}\n")


def write_code(folder: Path, text: str, functions: tuple[str, ...]) -> None:
    for name in functions:
        home = folder / name.lower()
        home.mkdir(exist_ok=True)
        (home / "app.py").write_text(f"def handler(event, context):\n    return {text + name!r}\n")


if __name__ == "__main__":
    main()
