"""What an operation did, as tables: one line for a function, and no line that says nothing."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from stagekeeper.cli.changes import MANY, Row, changes_table, rows, size, swept_table


def change(
    action: str, function: str = "Api", before: str | None = "11", after: str | None = "12", reason: str = "r"
) -> dict[str, Any]:
    return {"function": function, "action": action, "before": before, "after": after, "reason": reason}


def lines(table: Table) -> list[str]:
    """Without the heading and the rule below it."""
    console = Console(width=300, file=io.StringIO(), record=True)
    console.print(table)
    return [" ".join(line.split()) for line in console.export_text().splitlines() if line.strip()][2:]


def test_rows_are_sorted_by_function() -> None:
    assert [row.function for row in rows([change("kept", name) for name in ("B", "C", "A")])] == ["A", "B", "C"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [change("publish", reason="new code"), change("move_alias", reason="onto it")],
            [Row("Api", ("publish", "move_alias"), "11", "12", "new code")],
        ),
        (
            [change("reuse", before=None, reason="r2 has it"), change("create_alias", before=None)],
            [Row("Api", ("reuse", "create_alias"), None, "12", "r2 has it")],
        ),
        (
            [change("publish", before="10", after=None), change("move_alias", before="9", after=None)],
            [Row("Api", ("publish", "move_alias"), "9", None, "r")],
        ),
        (
            [change("publish"), change("move_alias", "Worker")],
            [Row("Api", ("publish",), "11", "12", "r"), Row("Worker", ("move_alias",), "11", "12", "r")],
        ),
        (
            [change("publish"), change("move_alias"), change("delete_alias", after=None)],
            [Row("Api", ("publish", "move_alias"), "11", "12", "r"), Row("Api", ("delete_alias",), "11", None, "r")],
        ),
        ([change("create_stack", "orders--dev", None, None)], [Row("orders--dev", ("create_stack",), None, None, "r")]),
    ],
    ids=["published and moved", "found and made", "before is the alias's", "two functions", "another home", "a stack"],
)
def test_a_row_is_all_that_happens_to_a_function(changes: list[dict[str, Any]], expected: list[Row]) -> None:
    assert rows(changes) == expected


def test_many_functions_that_stay_as_they_are_are_counted() -> None:
    moved = [change("move_alias", f"f{number}") for number in range(2)]
    idle = [change("reuse", f"g{number}") for number in range(MANY)] + [change("kept", "old")]

    assert lines(changes_table([*moved, *idle], "→", planned=False)) == [
        "f0 move alias 11 → 12 r",
        "f1 move alias 11 → 12 r",
        f"({MANY} functions) reuse left as they are",
        "(1 function) kept left as they are",
    ]


def test_a_few_are_named() -> None:
    assert lines(changes_table([change("reuse"), change("kept", "old")], "→", planned=False)) == [
        "Api reuse 11 → 12 r",
        "old kept 11 → 12 r",
    ]


def swept(function: str, version: int, reason: str, **more: Any) -> dict[str, Any]:
    return {"function": function, "version": str(version), "reason": reason, "bytes": 1000, **more}


def test_versions_that_share_a_function_and_a_reason_share_a_line() -> None:
    entries = [
        swept("Api", 3, "old"),
        swept("Api", 1, "old"),
        swept("Api", 2, "alias dev"),
        swept("Api", 4, "old"),
        swept("B", 1, "old"),
    ]

    assert lines(swept_table(entries)) == ["Api 1, 3-4 3.0 kB old", "Api 2 1.0 kB alias dev", "B 1 1.0 kB old"]


def test_of_a_sweep_of_all_services_each_line_names_its_own() -> None:
    assert lines(swept_table([swept("Api", 1, "old", service="a"), swept("Api", 1, "old", service="b")])) == [
        "a: Api 1 1.0 kB old",
        "b: Api 1 1.0 kB old",
    ]


def test_many_lines_become_one_for_each_reason() -> None:
    entries = [swept(f"f{number}", version, "old") for number in range(MANY) for version in (1, 2)] + [
        swept("f0", 3, "alias dev")
    ]

    assert lines(swept_table(entries)) == [f"{MANY} functions {2 * MANY} 40.0 kB old", "1 function 1 1.0 kB alias dev"]


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_499, "999.5 kB"), (999_600, "1.0 MB"), (75_000_000_000, "75.0 GB")],
)
def test_sizes_are_said_as_people_read_them(count: int, said: str) -> None:
    assert size(count) == said
