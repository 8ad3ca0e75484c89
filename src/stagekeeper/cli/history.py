"""The ledger as people read it, newest first: what moved, by whom, from which commit, and why. Changes nothing."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
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
    told = table("when", "stage", "what", "who and why")
    for movement in history.movements:
        told.add_row(local(epoch(movement.at)), Text(movement.stage, style="bold"), _what(movement, width), _who(movement, width))
    older = [Text(f"There are older ones: --limit {2 * len(history.movements)} shows more.", style="dim")] if history.more else []
    return Group(told, *older)


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
        Text(movement.operation_id, style="dim"),
        width=width,
    )


def origin(provenance: Provenance) -> str:
    """``jane, main 1a2b3c4d``: by whom, from which branch and commit; what is not known is left out."""
    commit = None if provenance.commit is None else shown(provenance.commit)
    branch = None if provenance.branch is None else clean(provenance.branch)
    source = " ".join(part for part in (branch, commit) if part)
    actor = None if provenance.actor is None else clean(provenance.actor)
    return ", ".join(part for part in (actor, source) if part)
