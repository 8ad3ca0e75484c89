"""How views reach a terminal or a file, and what of others' words may."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from stagekeeper.cli.paper import clean, counted, for_how_long, lay, lines, link, local, named, table


def test_a_terminal_is_asked_for_its_width_and_a_file_has_none() -> None:
    asked: list[int | None] = []

    def render(width: int | None) -> Text:
        asked.append(width)
        return Text("x" * 100, style="bold red")

    file, terminal = io.StringIO(), io.StringIO()
    lay(Console(file=file), render)
    lay(Console(file=terminal, force_terminal=True, width=80, _environ={"TERM": "xterm"}), render)

    assert asked == [None, 80]
    assert file.getvalue() == "x" * 100 + "\n"
    assert len(Text.from_ansi(terminal.getvalue()).plain.splitlines()) == 2


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("a  b\n\tc ", "a b c"),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("over\rwritten", "over written"),
        ("bell\x07 c1\x9b del\x7f", "bell� c1� del�"),
        ("right\u202eleft", "right�left"),
        ("grüße → ok", "grüße → ok"),
    ],
)
def test_what_others_wrote_comes_on_one_line_and_steers_no_terminal(written: str, shown: str) -> None:
    assert clean(written) == shown


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://ci.example.com/runs/7?x=1", True),
        ("http://ci", True),
        (None, False),
        ("", False),
        ("javascript:alert(1)", False),
        ("https://x\x1b\\", False),
        ("https://x y", False),
        ("https://b\u00fccher", False),
    ],
)
def test_a_link_is_a_plain_web_address(url: str | None, good: bool) -> None:
    assert link(url).link == (url if good else None)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (-3, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d"),
        (400000, "4 d"),
    ],
)
def test_a_span_is_told_in_the_units_that_count(seconds: float, told: str) -> None:
    assert for_how_long(seconds) == told


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(("moment", "told"), [(1_815_568_200, "2027-07-14 14:30:00"), (1_799_930_100, "2027-01-14 13:35:00")])
def test_a_moment_is_told_as_the_clock_here_showed_it_summer_and_winter(moment: float, told: str) -> None:
    assert local(moment) == told


@pytest.mark.parametrize(("number", "told"), [(0, "0 functions"), (1, "1 function"), (2, "2 functions")])
def test_things_are_counted(number: int, told: str) -> None:
    assert counted(number, "function") == told


def test_releases_are_named_and_none_is_a_dash() -> None:
    assert (named(7), named(None)) == ("r7", "-")


def test_parts_that_are_there_are_one_below_the_other_in_a_terminal_and_on_one_line_in_a_file() -> None:
    parts = ("a", None, Text("b"), "")

    assert (lines(*parts, width=80).plain, lines(*parts, width=None).plain) == ("a\nb", "a; b")


def test_a_file_gets_no_blanks_at_the_ends_of_lines_and_no_rule_longer_than_a_page() -> None:
    file = io.StringIO()
    laid = table("what", "why")
    laid.add_row("one", "x" * 300)
    laid.add_row("two", "short")

    lay(Console(file=file), lambda _: laid)

    heading, rule, one, two = file.getvalue().splitlines()
    assert (heading, two) == ("what  why", "two   short")
    assert (set(rule), len(rule)) == ({"\N{BOX DRAWINGS LIGHT HORIZONTAL}"}, 80)
    assert one.endswith("x" * 300)
