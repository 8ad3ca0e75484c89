"""How log lines look: in a terminal, in a pipe, as JSON. Must not know where they come from."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from stagekeeper.aws.clock import iso
from stagekeeper.cli.logs import Line
from stagekeeper.cli.paper import harmless
from stagekeeper.domain.model import LogicalName, StageName

#: One after the other over the functions by name. None that means something elsewhere: no red, no dim.
_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")

#: A message that has less room (columns) beside its time, function and version stands below them.
_NARROWEST = 30

#: Lambda's own lines around each invocation.
_PLATFORM = ("INIT_START ", "START RequestId: ", "END RequestId: ", "REPORT RequestId: ")


class Printer:
    """Prints lines as people read them, now being so many epoch seconds.

    ``functions`` are those whose lines may come; the longest name makes the column.
    """

    def __init__(self, console: Console, functions: Collection[LogicalName], now: float) -> None:
        self._console = console
        self._today = _local(now).date()
        self._colours = {name: _COLOURS[place % len(_COLOURS)] for place, name in enumerate(sorted(functions))}
        self._width = max((len(name) for name in functions), default=0)

    def show(self, line: Line) -> None:
        """Without a terminal: plain, whole, each line of the log on its own."""
        message = harmless(line.message).rstrip("\n")
        if not self._console.is_terminal:
            self._console.file.write(f"{_moment(line.at)} {line.function} {line.version} {message}\n")
            return
        moment = _moment(line.at)
        text = Text()
        text.append(moment.partition(" ")[2] if _local(line.at).date() == self._today else moment, style="dim")
        text.append(f" {line.function:<{self._width}} ", style=self._colours.get(line.function, ""))
        text.append(f"{line.version} ", style="dim")
        style, indent = "dim" if message.startswith(_PLATFORM) else "", text.cell_len
        room = self._console.width - indent
        if room < _NARROWEST:
            indent, room = 0, self._console.width
            text.append("\n")
        for place, part in enumerate(Text(message, style=style).wrap(self._console, room, overflow="fold")):
            text.append("\n" + " " * indent if place else "")
            part.rstrip()
            text.append_text(part)
        self._console.print(text, soft_wrap=True)


def as_json(line: Line, stage: StageName) -> str:
    answer: Mapping[str, Any] = {
        "at": iso(line.at),
        "stage": stage,
        "function": line.function,
        "version": str(line.version),
        "message": line.message,
        "log_group": line.group,
        "log_stream": line.stream,
    }
    return json.dumps(answer, ensure_ascii=False)


def _moment(seconds: float) -> str:
    """Date and time on the wall here, to the millisecond."""
    local = _local(seconds)
    return f"{local:%Y-%m-%d %H:%M:%S}.{local.microsecond // 1000:03d}"


def _local(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).astimezone()
