"""The ledger as people read it, newest first: what moved, by whom, from which commit, and why. Changes nothing."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from stagekeeper.aws.clock import epoch
from stagekeeper.cli.commits import shown
from stagekeeper.cli.paper import clean, lay, lines, link, local, named, table
from stagekeeper.domain.model import Movement, Provenance, ServiceName, StageName

if TYPE_CHECKING:
    from stagekeeper.aws.store import Store


@dataclass(frozen=True, slots=True)
class History:
    """Lines of a service's ledger, newest first. ``stage`` is None where they are all stages'. ``more``: older ones are there."""

    service: ServiceName
    stage: StageName | None
    movements: Sequence[Movement]
    more: bool = False


def read(store: Store, service: ServiceName, stage: StageName | None, limit: int) -> History:
    """Raises CallFailed, MalformedItem."""
    ledgers = [store.history(service, stage, limit + 1)] if stage is not None else store.histories(service, limit + 1)
    movements = merged(ledgers)
    return History(service, stage, movements[:limit], more=len(movements) > limit)


def merged(ledgers: Iterable[Sequence[Movement]]) -> list[Movement]:
    """One ledger of several, each newest first. Within one its own order counts, whatever the clocks said."""
    return list(heapq.merge(*ledgers, key=lambda movement: -epoch(movement.at)))


def as_json(history: History) -> dict[str, Any]:
    return {
        "service": history.service,
        "stage": history.stage,
        "movements": [_movement_as_json(each) for each in history.movements],
        "more": history.more,
    }


def _movement_as_json(movement: Movement) -> dict[str, Any]:
    return {
        "at": movement.at,
        "stage": movement.stage,
        "number": movement.number,
        "operation": movement.operation,
        "operation_id": movement.operation_id,
        "from_release": movement.from_release,
        "to_release": movement.to_release,
        "popped": list(movement.popped),
        **provenance_as_json(movement.provenance),
    }


def provenance_as_json(provenance: Provenance) -> dict[str, Any]:
    return {
        "actor": provenance.actor,
        "commit": provenance.commit,
        "branch": provenance.branch,
        "reason": provenance.reason,
        "run_url": provenance.run_url,
    }


def show(history: History, console: Console) -> None:
    """Print it: times are those of the clock here."""
    lay(console, lambda width: render(history, width))


def render(history: History, width: int | None = None) -> RenderableType:
    if not history.movements:
        return Text(f"Nothing has moved on service {history.service} yet.")
    told = [_table(history.movements)] if width is None else [*_blocks(history.movements, width)]
    older = [Text(f"There are older ones: --limit {2 * len(history.movements)} shows more.", style="dim")] if history.more else []
    return Group(*told, *older)


_TITLES = ("when", "stage", "what", "who and why")


def _table(movements: Sequence[Movement]) -> Table:
    """A line for each movement."""
    told = table(*_TITLES)
    for each in movements:
        who = lines(_who(each, None), each.operation_id, width=None)
        told.add_row(local(epoch(each.at)), each.stage, _what(each, None), who)
    return told


def _blocks(movements: Sequence[Movement], width: int) -> Iterator[RenderableType]:
    """In a terminal each has its operation's id on a line of its own, since that is there to be copied."""
    whats = [_what(each, width) for each in movements]
    widths = [
        len("2026-01-05 09:00:00"),
        min(max(len(title) for title in (_TITLES[1], *(each.stage for each in movements))), width // 4),
        max(cell_len(line.plain) for what in whats for line in what.split()),
    ]

    def row(*cells: RenderableType) -> Table:
        laid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        for column in widths:
            laid.add_column(width=column, overflow="fold")
        laid.add_column(overflow="fold")
        laid.add_row(*cells)
        return laid

    yield row(*(Text(title, style="bold") for title in _TITLES))
    for each, what in zip(movements, whats, strict=True):
        yield row(local(epoch(each.at)), Text(each.stage, style="bold"), what, _who(each, width))
        yield Text(
            f"  {each.operation_id}" if len(each.operation_id) + 2 <= width else each.operation_id, style="dim", overflow="fold"
        )


def _what(movement: Movement, width: int | None) -> Text:
    operation = Text(movement.operation, style=link(movement.provenance.run_url))
    return lines(operation, f"{named(movement.from_release)} → {named(movement.to_release)}", width=width)


def _who(movement: Movement, width: int | None) -> Text:
    popped = f"popped {', '.join(map(named, movement.popped))} off the way back" if movement.popped else None
    reason = movement.provenance.reason
    return lines(
        origin(movement.provenance),
        Text(clean(reason), style="italic") if reason else None,
        popped,
        width=width,
    )


def origin(provenance: Provenance) -> str:
    """``jane, main 1a2b3c4d``: by whom, from which branch and commit; what is not known is left out."""
    commit = None if provenance.commit is None else shown(provenance.commit)
    branch = None if provenance.branch is None else clean(provenance.branch)
    source = " ".join(part for part in (branch, commit) if part)
    actor = None if provenance.actor is None else clean(provenance.actor)
    return ", ".join(part for part in (actor, source) if part)
