"""The stage board: stages across, functions down, the version and release in each cell. Reads the record, changes nothing.

Every fact is in the text; colours only help. Must not ask AWS what is served: that is `verify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table as RichTable
from rich.text import Text

from stagekeeper.aws.clock import iso
from stagekeeper.cli.paper import clean, lay, local
from stagekeeper.domain.lock import COLLECT, PUBLISH, Entry
from stagekeeper.domain.model import FunctionArn, LogicalName, ServiceName, Stage

if TYPE_CHECKING:
    from stagekeeper.aws.store import Store

#: Longer ways back are cut: the next few are what somebody who wants to roll back looks for.
SHOWN_WAY_BACK = 5

#: A cell of more characters may be broken into lines in a terminal: a way back of more than two releases.
_UNBROKEN = 9
#: What rich draws for each column, and once more for a table.
_COLUMN_FRAME = 3
_TABLE_FRAME = 1

LEGEND = (
    "Each cell: the version that the stage serves, and by which release. Way back: what a rollback reaches, the next first. "
    "This is the record; `verify` compares it with AWS."
)
OBSERVED = "observed: stack {stack} owns the aliases of {stage}; nothing here moves them."
MIXED = "MIXED: an operation failed and could not be put back everywhere; the cells show what is really served."


@dataclass(frozen=True, slots=True)
class Board:
    """What every stage of a service serves, and who works on it."""

    service: ServiceName
    stages: Sequence[Stage]
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
        return f"{alias.version} (kept)" if alias.kept else f"{alias.version} r{stage.release}"

    def at_work(self) -> list[str]:
        """A line for every operation that holds slots of the service's lock or waits for some."""
        return [_line(entry, "holds") for entry in self.holders] + [_line(entry, "waits for") for entry in self.waiters]


def read(store: Store, service: ServiceName) -> Board:
    """The record of a service's stages and of who works on it: one query and one read, however many stages there are.

    Raises CallFailed, MalformedItem.
    """
    stages = store.stages(service)
    lock = store.lock(service)
    return Board(service, stages, lock.holders, lock.queue)


def as_json(board: Board) -> dict[str, Any]:
    """The board for scripts."""
    return {
        "service": board.service,
        "stages": [_stage_as_json(stage) for stage in board.stages],
        "holders": [entry_as_json(entry) for entry in board.holders],
        "waiters": [entry_as_json(entry) for entry in board.waiters],
    }


def _stage_as_json(stage: Stage) -> dict[str, Any]:
    # A list: after a rollback a stage can have two functions of one name, the home of today and that of then.
    functions = [
        {"function": alias.function, "function_arn": arn, "version": str(alias.version), "kept": alias.kept}
        for arn, alias in sorted(stage.aliases.items(), key=lambda pair: (pair[1].function, pair[0]))
    ]
    return {
        "stage": stage.name,
        "release": stage.release,
        "way_back": list(stage.way_back),
        "protected": stage.settings.protected,
        "mixed": stage.mixed,
        "tearing_down": stage.tearing_down,
        "observed": stage.observed,
        "description": stage.settings.description,
        "functions": functions,
    }


def entry_as_json(entry: Entry) -> dict[str, Any]:
    """Somebody who holds slots of a lock, or waits for them."""
    return {
        "operation_id": entry.operation_id,
        "operation": entry.operation,
        "slots": sorted(entry.slots),
        "since": iso(entry.since),
        "gives_up_at": iso(entry.gives_up_at),
    }


def show(board: Board, console: Console) -> None:
    """Print the board: in a terminal as several tables where one is too wide, else (a file, a pipe) whole, without colours."""
    lay(console, lambda width: render(board, width))


def render(board: Board, width: int | None = None) -> Group:
    """The board as rich takes it, for a terminal of `width` columns or for a place where nothing is cut or wrapped."""
    if not board.stages:
        return Group(Text(f"Service {board.service} has no stages."), *(Text(line) for line in board.at_work()))
    rows = board.rows()
    told = {"state": any(map(_state, board.stages)), "about": any(stage.settings.description for stage in board.stages)}
    titles = ["serves", "way back", *(title for title, is_there in told.items() if is_there)]
    heading = _Column.of(Text(f"service {board.service}"), [Text(text) for text in [*(name for name, _ in rows), *titles]])
    columns = [_column(board, stage, rows, titles) for stage in board.stages]
    tables = [_table(part, len(rows), width is not None) for part in _parts(heading, columns, width)]
    mixed = [MIXED] if any(stage.mixed for stage in board.stages) else []
    observed = [OBSERVED.format(stack=each.observed, stage=each.name) for each in board.stages if each.observed is not None]
    notes = [LEGEND, *mixed, *observed, *board.at_work()]
    return Group(*tables, *[Text(note, style="dim" if note is LEGEND else "") for note in notes])


@dataclass(frozen=True, slots=True)
class _Column:
    """A column from top to bottom, and how wide it is in a terminal."""

    title: Text
    cells: Sequence[Text]
    width: int

    @classmethod
    def of(cls, title: Text, cells: Sequence[Text]) -> _Column:
        # A cell may be broken between its words, so that one stage's long way back does not widen the table.
        words = [word for cell in cells for word in cell.plain.split()]
        short = [cell.plain for cell in cells if cell.cell_len <= _UNBROKEN]
        return cls(title, cells, max(cell_len(text) for text in [title.plain, *words, *short]))


def _column(board: Board, stage: Stage, rows: Sequence[tuple[LogicalName, FunctionArn]], titles: Sequence[str]) -> _Column:
    shown = [f"r{number}" for number in stage.way_back[:SHOWN_WAY_BACK]]
    more = ["..."] if len(stage.way_back) > SHOWN_WAY_BACK else []
    said = {
        "serves": Text("-" if stage.release is None else f"r{stage.release}", style="bold"),
        "way back": Text(" ".join([*shown, *more]) or "-"),
        "state": Text(_state(stage) or "-", style="bold red" if stage.mixed else ""),
        "about": Text(clean(stage.settings.description) or "-"),
    }
    cells = [Text(board.cell(stage, arn), style=_style(board, stage, arn)) for _name, arn in rows]
    title = Text(stage.name, style="bold red" if stage.mixed else "bold")
    return _Column.of(title, [*cells, *(said[title] for title in titles)])


def _state(stage: Stage) -> str:
    """What is out of the ordinary; empty for most stages."""
    said = {
        "MIXED": stage.mixed,
        "tearing down": stage.tearing_down,
        "observed": stage.observed is not None,
        "protected": stage.settings.protected,
    }
    return ", ".join(word for word, true in said.items() if true)


def _style(board: Board, stage: Stage, arn: FunctionArn) -> str:
    if arn not in stage.aliases:
        return "dim"
    if stage.mixed:
        return "red"
    return "yellow" if board.cell(stage, arn).endswith("(kept)") else "green"


def _parts(heading: _Column, columns: Sequence[_Column], width: int | None) -> list[list[_Column]]:
    """The columns, in order, in as few tables as a terminal of that width takes; each begins with the heading."""
    if width is None:
        return [[heading, *columns]]
    heading = replace(heading, width=min(heading.width, width // 3))
    room = width - _TABLE_FRAME - heading.width - _COLUMN_FRAME
    parts: list[list[_Column]] = []
    left = 0
    for column in columns:
        fitting = replace(column, width=max(1, min(column.width, room - _COLUMN_FRAME)))
        left -= fitting.width + _COLUMN_FRAME
        if not parts or left < 0:
            parts.append([heading])
            left = room - fitting.width - _COLUMN_FRAME
        parts[-1].append(fitting)
    return parts or [[heading]]


def _table(columns: Sequence[_Column], functions: int, fitted: bool) -> RichTable:
    table = RichTable()
    for column in columns:
        if fitted:
            table.add_column(column.title, width=column.width, overflow="fold")
        else:
            table.add_column(column.title, no_wrap=True)
    for index, cells in enumerate(zip(*(column.cells for column in columns), strict=True)):
        table.add_row(*cells, end_section=index == functions - 1)
    return table


def _line(entry: Entry, does: str) -> str:
    return f"{entry.operation} {entry.operation_id} {does} {places(entry)} since {local(entry.since)}"


def places(entry: Entry) -> str:
    """What of a service somebody holds or waits for, in words: ``stage dev and publishing``, ``the whole service``."""
    words = [_PLACES.get(slot, slot.replace("stage:", "stage ", 1)) for slot in sorted(entry.slots, reverse=True)]
    return " and ".join(words)


_PLACES = {PUBLISH: "publishing", COLLECT: "the whole service"}
