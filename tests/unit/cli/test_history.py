"""The ledger as people and scripts read it."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from stagekeeper.aws.clock import iso
from stagekeeper.cli.history import History, as_json, merged, origin, read, show
from stagekeeper.domain.model import Movement, Provenance, ReleaseNumber, StageName

from .books import JANE, NOON, ORDERS, Books, movement

PROD = StageName("prod")


def printed(history: History, width: int | None = None) -> str:
    """What a file gets, or a terminal of so many columns, its codes included."""
    file = io.StringIO()
    show(history, Console(file=file, force_terminal=width is not None, width=width, _environ={"TERM": "xterm-256color"}))
    return file.getvalue()


def rows(history: History) -> list[list[str]]:
    """The cells of the lines that a file gets."""
    return [[cell.strip() for cell in re.split("  +", line) if cell.strip()] for line in printed(history).splitlines()[2:]]


def of(*movements: Movement, more: bool = False) -> History:
    return History(ORDERS, None, movements, more)


# What is read.


def test_the_newest_come_first_and_no_more_than_were_asked_for(books: Books) -> None:
    books.moved(*(movement("prod", number, number - 1, number) for number in range(1, 6)))

    found = read(books.store, ORDERS, PROD, 2)

    assert [each.number for each in found.movements] == [5, 4]
    assert found.more


def test_where_there_are_no_older_ones_nothing_says_so(books: Books) -> None:
    books.moved(movement("prod", 1, None, 1), movement("prod", 2, 1, 2))

    assert not read(books.store, ORDERS, PROD, 2).more


def test_all_stages_are_one_ledger_by_their_times(books: Books) -> None:
    books.moved(movement("dev", 1, None, 1), movement("prod", 2, None, 1), movement("dev", 3, 1, 2), movement("gone", 4, 2, None))

    found = read(books.store, ORDERS, None, 3)

    assert [(each.stage, each.number) for each in found.movements] == [("gone", 4), ("dev", 3), ("prod", 2)]
    assert found.more


def test_within_a_stage_its_own_order_counts_whatever_the_clocks_said() -> None:
    late, early = movement("prod", 2, 1, 2, at=iso(NOON)), movement("prod", 1, None, 1, at=iso(NOON + 60))
    other = movement("dev", 1, None, 1, at=iso(NOON + 30))

    assert merged([[late, early], [other]]) == [other, late, early]


# What is shown.


@pytest.mark.usefixtures("berlin")
def test_a_file_gets_a_line_for_each_with_the_time_of_the_clock_here() -> None:
    shown = rows(of(movement("prod", 0, None, 7), movement("prod", -1, 7, None, operation="teardown", provenance=Provenance())))

    assert shown == [
        ["2027-07-14 14:30:00", "prod", "deploy; - → r7", "jane, feature/cart 1a2b3c4d; the cart forgets; prod-0"],
        ["2027-07-14 13:30:00", "prod", "teardown; r7 → -", "prod--1"],
    ]


def test_a_rollback_shows_what_it_popped() -> None:
    popped = (ReleaseNumber(2), ReleaseNumber(1))

    assert "popped r2, r1 off the way back" in printed(of(movement("prod", 4, 3, 1, operation="rollback", popped=popped)))


@pytest.mark.parametrize(
    ("provenance", "says"),
    [
        (JANE, "jane, feature/cart 1a2b3c4d"),
        (Provenance("jane"), "jane"),
        (Provenance(commit="1a2b3c4d5e6f"), "1a2b3c4d"),
        (Provenance("jane", branch="main"), "jane, main"),
        (Provenance(), ""),
        (Provenance("ja\x1b[31mne\nDoe", branch="ma\x9bin", commit="\x1b]0;x"), "ja�[31mne Doe, ma�in �]0;x"),
    ],
)
def test_what_is_not_known_of_where_it_came_from_is_left_out(provenance: Provenance, says: str) -> None:
    assert origin(provenance) == says


def test_older_ones_are_told() -> None:
    shown = printed(of(movement("prod", 1, None, 1), movement("prod", 2, 1, 2), more=True))

    assert shown.splitlines()[-1] == "There are older ones: --limit 4 shows more."


def test_a_service_on_which_nothing_moved_says_so() -> None:
    assert printed(of()) == "Nothing has moved on service orders yet.\n"


LONG = replace(JANE, actor="somebody-with-a-long-name@example.com", reason="because " * 20)


@pytest.mark.parametrize("width", [80, 60])
def test_a_narrow_terminal_gets_everything_within_its_width(width: int) -> None:
    long = movement("a-stage-with-quite-a-long-name", 1, 1234, 1235, provenance=LONG)

    lines = Text.from_ansi(printed(of(long, movement("prod", 2, 1, 2)), width)).plain.splitlines()

    assert max(len(line) for line in lines) <= width
    assert sum(line.count("because") for line in lines) == 20


def test_in_a_terminal_the_operation_links_to_its_run() -> None:
    assert "https://ci.example.com/runs/7" in printed(of(movement("prod", 1, None, 1)), 80)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://x\x1b]8;;evil", "https://ci.example.com/a b", "file:///etc"])
def test_only_a_web_address_is_made_a_link(url: str) -> None:
    shown = printed(of(movement("prod", 1, None, 1, provenance=Provenance(run_url=url))), 80)

    assert "\x1b]8;" not in shown


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    wicked = Provenance("\x1b]0;owned\x07", "\x1b[2Jgone\r\nnext", "c\x1b[1m", "b\x9b")

    shown = printed(of(movement("prod", 1, None, 1, provenance=wicked)))

    assert not [char for char in shown if not char.isprintable() and char != "\n"]


# What scripts get.


def test_scripts_get_every_member_and_times_in_utc() -> None:
    popped = (ReleaseNumber(2), ReleaseNumber(1))
    rollback = movement("prod", 4, 3, 1, operation="rollback", popped=popped, at=iso(NOON))

    assert as_json(History(ORDERS, PROD, [rollback], more=True)) == {
        "service": "orders",
        "stage": "prod",
        "movements": [
            {
                "at": "2027-07-14T12:30:00.000Z",
                "stage": "prod",
                "number": 4,
                "operation": "rollback",
                "operation_id": "prod-4",
                "from_release": 3,
                "to_release": 1,
                "popped": [2, 1],
                "actor": "jane",
                "commit": "1a2b3c4d5e6f",
                "branch": "feature/cart",
                "reason": "the cart forgets",
                "run_url": "https://ci.example.com/runs/7",
            }
        ],
        "more": True,
    }


@pytest.mark.parametrize("name", ["prod-0", "orders-prod-rollback-20261121T172753-9428", "x" * 80])
@pytest.mark.parametrize("width", [80, 120])
def test_in_a_terminal_an_operations_id_is_on_a_line_of_its_own(name: str, width: int) -> None:
    unlinked = replace(JANE, run_url=None)
    long = movement("a-stage-with-a-long-name", 1, 6, 7, operation_id=name, provenance=unlinked)

    shown = re.sub(r"\x1b\[[0-9;]*m", "", printed(of(long), width)).splitlines()

    assert name in [line.strip() for line in shown]
    assert max(map(len, shown)) <= width
