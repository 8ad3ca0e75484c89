"""What an operation did to functions and versions, as tables that people read. Must not know why it did so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from rich.table import Table
from rich.text import Text

from stagekeeper.cli.paper import clean, counted, table

#: A table with more rows than this is folded where rows say nothing of their own.
MANY = 20

_CONTENT = ("publish", "reuse")
_ALIAS = ("create_alias", "move_alias")
#: Nothing becomes different by these.
_IDLE = ("reuse", "kept")


@dataclass(frozen=True, slots=True)
class Row:
    """One line about a function; ``actions`` are the contract's words."""

    function: str
    actions: tuple[str, ...]
    before: str | None
    after: str | None
    reason: str


def rows(changes: Sequence[Mapping[str, Any]]) -> list[Row]:
    """A row for each function, by name: making a version and moving the alias onto it is one thing for whoever reads it."""
    moves = {change["function"]: change for change in changes if change["action"] in _ALIAS}
    contents = {change["function"] for change in changes if change["action"] in _CONTENT}
    found = []
    for change in changes:
        function, action = change["function"], change["action"]
        move = moves.get(function)
        if action in _CONTENT and move is not None:
            after = move["after"] or change["after"]
            found.append(Row(function, (action, move["action"]), move["before"], after, change["reason"]))
        elif not (action in _ALIAS and function in contents):
            found.append(Row(function, (action,), change["before"], change["after"], change["reason"]))
    return sorted(found, key=lambda row: row.function)


def changes_table(changes: Sequence[Mapping[str, Any]], arrow: str, *, planned: bool) -> Table:
    """``planned``: what is to be published has no number yet."""
    found = rows(changes)
    idle = [row for row in found if len(found) > MANY and len(row.actions) == 1 and row.actions[0] in _IDLE]
    laid = table("function", "action", "version", "reason")
    laid.columns[2].no_wrap = True
    for row in found:
        if row not in idle:
            after = "new" if planned and row.after is None and "publish" in row.actions else row.after or "-"
            actions = Text(", ".join(action.replace("_", " ") for action in row.actions), style=_style(row.actions))
            laid.add_row(clean(row.function), actions, f"{row.before or '-'} {arrow} {after}", clean(row.reason))
    for action in _IDLE:
        alike = [row for row in idle if row.actions == (action,)]
        if alike:
            laid.add_row(f"({counted(len(alike), 'function')})", Text(action, style=_style((action,))), "", "left as they are")
    return laid


def _style(actions: tuple[str, ...]) -> str:
    if any(action.startswith("delete") for action in actions):
        return "red"
    return "green" if any(action.startswith(("publish", "create")) for action in actions) else ""


def swept_table(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Versions that a sweep looked at, by function and reason; by reason alone where those are many."""
    groups = _grouped(entries, lambda entry: (entry.get("service", ""), entry["function"], entry["reason"]))
    laid = table("function", "versions", "size", "reason")
    if len(groups) <= MANY:
        for (service, function, reason), alike in groups.items():
            whose = f"{service}: {function}" if service else function
            laid.add_row(clean(whose), _numbers(alike), size(_bytes(alike)), clean(reason))
        return laid
    for (reason,), alike in _grouped(entries, lambda entry: (entry["reason"],)).items():
        functions = {(entry.get("service"), entry["function"]) for entry in alike}
        laid.add_row(counted(len(functions), "function"), str(len(alike)), size(_bytes(alike)), clean(reason))
    return laid


def _grouped(entries: Sequence[Mapping[str, Any]], by: Any) -> dict[tuple[str, ...], list[Mapping[str, Any]]]:
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for entry in entries:
        groups.setdefault(by(entry), []).append(entry)
    return groups


def _bytes(entries: Iterable[Mapping[str, Any]]) -> int:
    return sum(entry["bytes"] for entry in entries)


def _numbers(entries: Iterable[Mapping[str, Any]]) -> str:
    """``1-3, 7``."""
    numbers = sorted(int(entry["version"]) for entry in entries)
    runs = []
    for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
        first, *more = [number for _, number in run]
        runs.append(f"{first}-{more[-1]}" if more else str(first))
    return ", ".join(runs)


def size(count: int) -> str:
    """``512 B``, ``34.5 MB``."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
