"""The releases of a service, newest first: what made each, and which stages serve it or can go back to it. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group, RenderableType
from rich.text import Text

from stagekeeper.aws.clock import epoch
from stagekeeper.cli.history import origin, provenance_as_json
from stagekeeper.cli.paper import counted, lay, lines, link, local, named, table
from stagekeeper.domain.model import OperationId, Provenance, ReleaseNumber, ServiceName, Stage, StageName

if TYPE_CHECKING:
    from stagekeeper.aws.store import OperationHead, ReleaseOnRecord, Store

#: So many operations are read at once.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Made:
    """A release and where it is. ``operation`` is None where the one that made it is not on record any more."""

    number: ReleaseNumber
    at: str
    operation_id: OperationId
    operation: str | None
    provenance: Provenance
    functions: int
    from_template: bool
    serving: Sequence[StageName]
    ways_back: Sequence[StageName]


@dataclass(frozen=True, slots=True)
class Releases:
    """Newest first; ``more``: older ones are there."""

    service: ServiceName
    releases: Sequence[Made]
    more: bool = False


def read(store: Store, service: ServiceName, limit: int) -> Releases:
    """Raises CallFailed, MalformedItem."""
    found = store.newest_releases(service, limit + 1)
    shown = found[:limit]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        heads = list(pool.map(lambda each: store.operation_head(each.made_by), shown))
    stages = store.stages(service)
    releases = [_made(each, head, stages) for each, head in zip(shown, heads, strict=True)]
    return Releases(service, releases, more=len(found) > limit)


def _made(found: ReleaseOnRecord, head: OperationHead | None, stages: Sequence[Stage]) -> Made:
    number = found.release.number
    return Made(
        number=number,
        at=found.made_at,
        operation_id=found.made_by,
        operation=None if head is None else head.operation,
        provenance=Provenance() if head is None else head.provenance,
        functions=len(found.release.functions),
        from_template=found.release.template is not None,
        serving=[stage.name for stage in stages if stage.release == number],
        ways_back=[stage.name for stage in stages if number in stage.way_back],
    )


def as_json(found: Releases) -> dict[str, Any]:
    return {"service": found.service, "releases": [_made_as_json(each) for each in found.releases], "more": found.more}


def _made_as_json(made: Made) -> dict[str, Any]:
    return {
        "release": made.number,
        "made_at": made.at,
        "operation": made.operation,
        "operation_id": made.operation_id,
        **provenance_as_json(made.provenance),
        "functions": made.functions,
        "template": made.from_template,
        "stages": list(made.serving),
        "ways_back": list(made.ways_back),
    }


def show(found: Releases, console: Console) -> None:
    """Print it: times are those of the clock here."""
    lay(console, lambda width: render(found, width))


def render(found: Releases, width: int | None = None) -> RenderableType:
    if not found.releases:
        return Text(f"Service {found.service} has no releases.")
    told = table("release", "made", "by", "served by", "way back of")
    for made in found.releases:
        told.add_row(
            Text(named(made.number), style="bold"),
            lines(local(epoch(made.at)), _what(made), width=width),
            _by(made, width),
            Text(", ".join(made.serving) or "-", style="green" if made.serving else "dim"),
            Text(", ".join(made.ways_back) or "-", style="" if made.ways_back else "dim"),
        )
    older = [Text(f"There are older ones: --limit {2 * len(found.releases)} shows more.", style="dim")] if found.more else []
    return Group(told, *older)


def _what(made: Made) -> str:
    return counted(made.functions, "function") + (", template" if made.from_template else "")


def _by(made: Made, width: int | None) -> Text:
    operation = Text(made.operation or "an operation not on record", style=link(made.provenance.run_url))
    return lines(operation, origin(made.provenance), width=width)
