"""The releases of a service: what made each, and where it is."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from stagekeeper.cli.releases import Releases, as_json, read, show
from stagekeeper.domain.model import Provenance, TemplateRef
from stagekeeper.domain.operation import OperationKind

from .books import JANE, ORDERS, Books, stage


def printed(found: Releases, width: int | None = None) -> list[str]:
    """The lines that a file gets, or a terminal of so many columns, without its codes."""
    file = io.StringIO()
    show(found, Console(file=file, force_terminal=width is not None, width=width, _environ={"TERM": "xterm-256color"}))
    return Text.from_ansi(file.getvalue()).plain.splitlines()


@pytest.fixture
def filled(books: Books) -> Books:
    """r1 is promoted, r2 left, r3 never served."""
    books.operation("one")
    books.operation("three", OperationKind.ADOPT, Provenance("bob"))
    books.release(1, made_by="one", Api="one", Worker="one")
    books.release(2, made_by="swept", Api="two")
    books.release(3, TemplateRef("k", "d"), made_by="three", Api="three")
    books.stage(stage("dev", 1, 2, 1, Api=1))
    books.stage(stage("prod", 1, Api=1))
    return books


def test_the_newest_come_first_and_no_more_than_were_asked_for(filled: Books) -> None:
    found = read(filled.store, ORDERS, 2)

    assert [each.number for each in found.releases] == [3, 2]
    assert found.more
    assert not read(filled.store, ORDERS, 3).more


def test_a_release_is_told_with_what_made_it_and_where_it_is(filled: Books) -> None:
    told = {each["release"]: each for each in as_json(read(filled.store, ORDERS, 9))["releases"]}

    assert told[1] == {
        "release": 1,
        "made_at": "2027-07-14T12:30:00.000Z",
        "operation": "deploy",
        "operation_id": "one",
        "actor": "jane",
        "commit": "1a2b3c4d5e6f",
        "branch": "feature/cart",
        "reason": "the cart forgets",
        "run_url": "https://ci.example.com/runs/7",
        "functions": 2,
        "template": False,
        "stages": ["dev", "prod"],
        "ways_back": ["dev"],
    }
    assert (told[3]["operation"], told[3]["actor"], told[3]["template"], told[3]["stages"]) == ("adopt", "bob", True, [])
    assert told[2]["ways_back"] == ["dev"]


def test_whose_operation_is_not_on_record_any_more_is_told_without(filled: Books) -> None:
    (told,) = [each for each in as_json(read(filled.store, ORDERS, 9))["releases"] if each["release"] == 2]

    assert (told["operation"], told["operation_id"], told["actor"]) == (None, "swept", None)


@pytest.mark.usefixtures("berlin")
def test_a_file_gets_a_line_for_each(filled: Books) -> None:
    shown = [[cell.strip() for cell in re.split("  +", line) if cell.strip()] for line in printed(read(filled.store, ORDERS, 9))]

    assert shown[2:] == [
        ["r3", "2027-07-14 14:30:00; 1 function, template", "adopt; bob", "-", "-"],
        ["r2", "2027-07-14 14:30:00; 1 function", "an operation not on record", "-", "dev"],
        ["r1", "2027-07-14 14:30:00; 2 functions", "deploy; jane, feature/cart 1a2b3c4d", "dev, prod", "dev"],
    ]


def test_a_narrow_terminal_gets_everything_within_its_width(books: Books) -> None:
    books.operation("one", provenance=replace(JANE, actor="somebody-with-a-long-name@example.com"))
    books.release(1234, made_by="one", Api="one")
    names = [f"person-{number}" for number in range(20)]
    for name in names:
        books.stage(stage(name, 1234))

    lines = printed(read(books.store, ORDERS, 9), 80)

    assert max(len(line) for line in lines) <= 80
    assert all(name in "".join(lines) for name in names)


def test_older_ones_are_told(filled: Books) -> None:
    assert printed(read(filled.store, ORDERS, 1))[-1] == "There are older ones: --limit 2 shows more."


def test_a_service_without_releases_says_so() -> None:
    assert printed(Releases(ORDERS, [])) == ["Service orders has no releases."]
