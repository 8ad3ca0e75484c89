"""The stage board: stages across, functions down, the version and release in each cell. Reads the record, changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table as RichTable
from rich.text import Text

from stagekeeper.domain.model import FunctionArn, LogicalName, Release, ReleaseNumber, ServiceName, Stage


@dataclass(frozen=True, slots=True)
class Board:
    """What every stage of a service serves. ``releases`` has those that the stages serve."""

    service: ServiceName
    stages: Sequence[Stage]
    releases: dict[ReleaseNumber, Release]

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


def render(board: Board) -> RichTable:
    """The board for a terminal (or, without colours, for a file)."""
    table = RichTable(title=f"service {board.service}", title_justify="left")
    table.add_column("function")
    for stage in board.stages:
        table.add_column(Text(stage.name, style="bold red" if stage.mixed else "bold"))
    for name, arn in board.rows():
        cells = [Text(board.cell(stage, arn), style=_style(stage, arn)) for stage in board.stages]
        table.add_row(name, *cells)
    serves = [Text("-" if stage.release is None else f"r{stage.release}", style="bold") for stage in board.stages]
    table.add_section()
    table.add_row("serves", *serves)
    table.add_row("way back", *[" ".join(f"r{number}" for number in stage.way_back[:5]) or "-" for stage in board.stages])
    return table


def _style(stage: Stage, arn: FunctionArn) -> str:
    if arn not in stage.aliases:
        return "dim"
    return "red" if stage.mixed else "green"
