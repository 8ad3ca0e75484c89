"""How log lines look: coloured in a terminal, plain in a pipe, whole as JSON."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from rich.text import Text

from stagekeeper.cli.log_lines import Printer, as_json
from stagekeeper.cli.logs import Line
from stagekeeper.domain.model import LogicalName, StageName, VersionNumber

from .books import NOON

FUNCTIONS = [LogicalName(name) for name in ("Api", "NightlyReport", "Worker")]

pytestmark = pytest.mark.usefixtures("berlin")


def line(message: str = "hello", function: str = "Api", at: float = NOON, version: int = 13) -> Line:
    return Line(at, LogicalName(function), VersionNumber(version), message, "/aws/lambda/orders-api", "2027/07/14/[13]0", "e1")


def printed(*lines: Line, terminal: bool = False, **environ: str) -> str:
    file = io.StringIO()
    variables = {"TERM": "xterm-256color", **environ}
    console = Console(file=file, force_terminal=terminal, width=80, _environ=variables)
    printer = Printer(console, FUNCTIONS, NOON + 60)
    for each in lines:
        printer.show(each)
    return file.getvalue()


def plain(text: str) -> str:
    return Text.from_ansi(text).plain


def test_without_a_terminal_a_line_is_plain_and_whole() -> None:
    assert printed(line("x" * 200 + "\n")) == f"2027-07-14 14:30:00.000 Api 13 {'x' * 200}\n"


def test_in_a_terminal_functions_stand_in_columns_each_with_a_colour_of_its_own() -> None:
    shown = printed(line(function="Api"), line(function="Worker"), line(function="NightlyReport"), terminal=True)

    assert plain(shown).splitlines() == [
        "14:30:00.000 Api           13 hello",
        "14:30:00.000 Worker        13 hello",
        "14:30:00.000 NightlyReport 13 hello",
    ]
    assert len({each.partition(" ")[2].partition("m")[0] for each in shown.splitlines()}) == 3


def test_a_functions_colour_does_not_depend_on_who_else_has_lines() -> None:
    alone = printed(line(function="Worker"), terminal=True)

    assert printed(line(function="Api"), line(function="Worker"), terminal=True).endswith(alone)


def test_a_function_that_nobody_expected_is_shown_too() -> None:
    assert "Unheard       13 hello" in plain(printed(line(function="Unheard"), terminal=True))


def test_no_colour_where_nobody_wants_any() -> None:
    assert "\x1b[3" not in printed(line(), terminal=True, NO_COLOR="1")


def test_in_a_terminal_a_line_of_another_day_says_which() -> None:
    yesterday = NOON - 86400

    assert plain(printed(line(at=yesterday), terminal=True)).startswith("2027-07-13 14:30:00.000 Api")


def test_in_a_terminal_a_long_line_hangs_below_its_beginning() -> None:
    first, *more = plain(printed(line("x" * 120), terminal=True)).splitlines()

    place = first.index("x")
    assert [len(each) <= 80 and each.index("x") == place for each in more] == [True] * 2
    assert sum(each.count("x") for each in (first, *more)) == 120


def test_beside_a_long_name_there_may_be_no_room_for_a_message() -> None:
    shown = plain(printed(line("x" * 100, function="F" * 50), terminal=True)).splitlines()

    assert shown[1:] == ["x" * 80, "x" * 20]


def test_in_a_pipe_a_line_is_never_broken() -> None:
    assert "x" * 200 in printed(line("x" * 200), terminal=False)


@pytest.mark.parametrize("terminal", [True, False])
@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("\x1b]0;owned\x07\x1b[2J", "\\x1b]0;owned\\x07\\x1b[2J"),
        ("a\x9bb\x7f", "a\\x9bb\\x7f"),
        ("Traceback\r  line 2\r", "Traceback\n  line 2"),
        ("one\r\ntwo\r\n", "one\ntwo"),
        ("[bold]no markup[/bold] é 日本", "[bold]no markup[/bold] é 日本"),
    ],
    ids=["escapes", "other controls", "a traceback", "line ends", "text"],
)
def test_whatever_a_function_logged_is_shown_and_not_obeyed(terminal: bool, message: str, shown: str) -> None:
    found = printed(line(message), terminal=terminal)

    if terminal:
        shown = shown.replace("\n", "\n" + " " * (plain(found).index(" 13 ") + 4))
    assert f"13 {shown}\n" in (plain(found) + "\n" if terminal else found)


def test_lambdas_own_lines_stand_back() -> None:
    own = printed(line("END RequestId: 1"), terminal=True)
    theirs = printed(line("THE END RequestId: 1"), terminal=True)

    assert own.endswith("\x1b[2mEND RequestId: 1\x1b[0m\n")
    assert theirs.endswith("THE END RequestId: 1\n")
    assert not theirs.endswith("\x1b[0m\n")


def test_as_json_a_line_is_one_object_with_all_there_is() -> None:
    text = as_json(line('{"level": "INFO"}\n', at=NOON + 0.123), StageName("prod"))

    assert "\n" not in text
    assert json.loads(text) == {
        "at": "2027-07-14T12:30:00.123Z",
        "stage": "prod",
        "function": "Api",
        "version": "13",
        "message": '{"level": "INFO"}\n',
        "log_group": "/aws/lambda/orders-api",
        "log_stream": "2027/07/14/[13]0",
    }
