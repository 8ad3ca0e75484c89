"""The stage board: stages across, functions down, the version and release in each cell. Reads the record, changes nothing.

Every fact is in the text; colours only help. Must not know where the record is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from stagekeeper.domain.lock import Entry
from stagekeeper.domain.model import FunctionArn, LogicalName, Release, ReleaseNumber, ServiceName, Stage

#: Longer ways back are cut: the next few are what somebody who wants to roll back looks for.
SHOWN_WAY_BACK = 5

#: Columns of a "terminal" that is a file or a pipe: there nothing is cut or wrapped.
_WIDE = 4000

LEGEND = "Each cell: the version that the stage serves, and by which release. Way back: what a rollback reaches, the next first."
MIXED = "MIXED: an operation failed and could not be put back everywhere; the cells show what is really served."


@dataclass(frozen=True, slots=True)
class Board:
    """What every stage of a service serves, and who works on it. ``releases`` has those that the stages serve."""

    service: ServiceName
    stages: Sequence[Stage]
    releases: Mapping[ReleaseNumber, Release]
    holders: Sequence[Entry] = ()
    waiters: Sequence[Entry] = ()

    def rows(self) -> list[tuple[LogicalName, FunctionArn]]:
        """Every function that any stage serves, by logical name; one whose home changed has a row for each home."""
        found = {(alias.function, arn) for stage in self.stages for arn, alias in stage.aliases.items()}
        return sorted(found)

    def cell(self, stage: Stage, arn: FunctionArn) -> str:
        """``7 r3``: version 7, by release r3; ``7 (kept)`` where the stage's release does not have the function."""
        alias = stage.aliases.get(arn)
        if alias is None:
            return "-"
        if stage.mixed:
            return f"{alias.version} (mixed)"
        release = None if stage.release is None else self.releases.get(stage.release)
        if release is None or all(part.arn != arn for part in release.functions.values()):
            return f"{alias.version} (kept)"
        return f"{alias.version} r{release.number}"

    def at_work(self) -> list[str]:
        """A line for every operation that holds slots of the service's lock or waits for some."""
        return [_line(entry, "holds") for entry in self.holders] + [_line(entry, "waits for") for entry in self.waiters]


def show(board: Board, console: Console) -> None:
    """Print the board; whole, whatever its width, where ``console`` is a file or a pipe."""
    wide = console if console.is_terminal else Console(file=console.file, width=_WIDE, color_system=None)
    wide.print(render(board))


def render(board: Board) -> Group:
    """The board as rich takes it."""
    table = RichTable()
    table.add_column(f"service {board.service}", no_wrap=True)
    for stage in board.stages:
        name = f"{stage.name} MIXED" if stage.mixed else stage.name
        table.add_column(Text(name, style="bold red" if stage.mixed else "bold"), no_wrap=True)
    for name, arn in board.rows():
        cells = [Text(board.cell(stage, arn), style=_style(stage, arn)) for stage in board.stages]
        table.add_row(name, *cells)
    table.add_section()
    serves = [Text("-" if stage.release is None else f"r{stage.release}", style="bold") for stage in board.stages]
    table.add_row("serves", *serves)
    table.add_row("way back", *[_way_back(stage) for stage in board.stages])
    notes = [LEGEND, *([MIXED] if any(stage.mixed for stage in board.stages) else []), *board.at_work()]
    return Group(table, *[Text(note, style="dim" if note is LEGEND else "") for note in notes])


def _way_back(stage: Stage) -> str:
    shown = [f"r{number}" for number in stage.way_back[:SHOWN_WAY_BACK]]
    return " ".join([*shown, *(["..."] if len(stage.way_back) > SHOWN_WAY_BACK else [])]) or "-"


def _style(stage: Stage, arn: FunctionArn) -> str:
    if arn not in stage.aliases:
        return "dim"
    return "red" if stage.mixed else "green"


def _line(entry: Entry, does: str) -> str:
    since = datetime.fromtimestamp(entry.since, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"{entry.operation} {entry.operation_id} {does} {', '.join(sorted(entry.slots))} since {since}"
