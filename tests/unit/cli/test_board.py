"""The stage board: what each cell says, and that it says it without colours, too."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from stagekeeper.cli.board import LEGEND, Board, places, show
from stagekeeper.domain.lock import Entry
from stagekeeper.domain.model import (
    FunctionArn,
    LogicalName,
    OperationId,
    ReleaseNumber,
    ServedAlias,
    ServiceName,
    Settings,
    Stage,
    StageName,
    VersionNumber,
)

API = FunctionArn("arn:aws:lambda:us-east-1:000000000000:function:orders-api")
WORKER = FunctionArn("arn:aws:lambda:us-east-1:000000000000:function:orders-worker")
NAMES = {API: LogicalName("Api"), WORKER: LogicalName("Worker")}


def stage(name: str, release: int | None, *way_back: int, mixed: bool = False, kept: str = "", **versions: int) -> Stage:
    arns = {str(function): arn for arn, function in NAMES.items()}
    aliases = {arns[f]: ServedAlias(LogicalName(f), VersionNumber(number), None, f == kept) for f, number in versions.items()}
    served = None if release is None else ReleaseNumber(release)
    return Stage(StageName(name), served, tuple(ReleaseNumber(number) for number in way_back), aliases, mixed)


def board(*stages: Stage, holders: tuple[Entry, ...] = (), queue: tuple[Entry, ...] = ()) -> Board:
    return Board(ServiceName("orders"), stages, holders, queue)


def entry(name: str, *slots: str) -> Entry:
    return Entry(OperationId(name), "deploy", frozenset(slots), 1_815_552_000.0, 1_815_553_800.0)


def printed(shown: Board) -> list[str]:
    """The lines that a file gets."""
    file = io.StringIO()
    show(shown, Console(file=file))
    return file.getvalue().splitlines()


def cells(shown: Board, row: str) -> list[str]:
    (line,) = [line for line in printed(shown) if line.startswith(f"│ {row} ")]
    return [cell.strip() for cell in line.strip("│").split("│")[1:]]


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (stage("dev", 3, Api=7), "7 r3"),
        (stage("dev", 3, Worker=7), "-"),
        (stage("dev", 4, Api=7, kept="Api"), "7 (kept)"),
        (stage("dev", 3, mixed=True, Api=7), "7 (mixed)"),
        (stage("dev", None, mixed=True, Api=7), "7 (mixed)"),
    ],
    ids=["served", "no alias", "kept: not in the release", "mixed", "mixed while it was made"],
)
def test_a_cell_says_which_version_is_served_by_which_release(of: Stage, says: str) -> None:
    assert board(of).cell(of, API) == says


def test_stages_are_across_and_functions_down() -> None:
    shown = board(stage("dev", 4, 3, Api=2, Worker=1), stage("prod", 3, Api=1))

    assert cells(shown, "Api") == ["2 r4", "1 r3"]
    assert cells(shown, "Worker") == ["1 r4", "-"]
    assert cells(shown, "serves") == ["r4", "r3"]
    assert cells(shown, "way back") == ["r3", "-"]


def test_a_long_way_back_is_cut_and_says_so() -> None:
    assert cells(board(stage("dev", 9, 8, 7, 6, 5, 4, 3)), "way back") == ["r8 r7 r6 r5 r4 ..."]


def test_a_mixed_stage_is_explained() -> None:
    lines = printed(board(stage("prod", 3, mixed=True, Api=7)))

    assert any(line.startswith("MIXED: an operation failed") for line in lines)


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (stage("dev", 3, mixed=True), "MIXED"),
        (replace(stage("dev", 3), settings=Settings(protected=True)), "protected"),
        (replace(stage("dev", 3), tearing_down=True), "tearing down"),
        (replace(stage("dev", 3), observed="a-stack-with-a-long-name"), "observed"),
        (replace(stage("dev", 3, mixed=True), settings=Settings(protected=True)), "MIXED, protected"),
    ],
    ids=["mixed", "protected", "tearing down", "observed", "both"],
)
def test_what_is_out_of_the_ordinary_is_told_in_words(of: Stage, says: str) -> None:
    assert cells(board(of, stage("qa", 3)), "state") == [says, "-"]


def test_whose_an_observed_stage_is_is_told() -> None:
    lines = printed(board(replace(stage("live", 3), observed="shop"), stage("dev", 3)))

    assert "observed: stack shop owns the aliases of live; nothing here moves them." in lines


def test_where_nothing_is_out_of_the_ordinary_nothing_is_said() -> None:
    assert not [line for line in printed(board(stage("dev", 3))) if line.startswith("│ state")]


@pytest.mark.usefixtures("berlin")
def test_who_works_on_the_service_and_who_waits_is_told_by_the_clock_here() -> None:
    lines = printed(
        board(stage("dev", 3), holders=(entry("orders-42", "stage:dev", "publish"),), queue=(entry("orders-43", "publish"),))
    )

    assert lines[-2:] == [
        "deploy orders-42 holds stage dev and publishing since 2027-07-14 10:00:00",
        "deploy orders-43 waits for publishing since 2027-07-14 10:00:00",
    ]


@pytest.mark.parametrize(
    ("slots", "words"),
    [(("collect",), "the whole service"), (("stage:dev",), "stage dev"), (("publish", "stage:dev"), "stage dev and publishing")],
)
def test_what_somebody_holds_is_said_in_words(slots: tuple[str, ...], words: str) -> None:
    assert places(entry("orders-42", *slots)) == words


def test_what_stages_are_for_is_a_row_where_somebody_said_so() -> None:
    described = replace(stage("dev", 3), settings=Settings(description="what\x1b customers use"))

    assert cells(board(described, stage("qa", 3)), "about") == ["what\N{REPLACEMENT CHARACTER} customers use", "-"]
    assert not [line for line in printed(board(stage("dev", 3))) if line.startswith("│ about")]


def test_a_service_without_stages_says_so() -> None:
    assert printed(board()) == ["Service orders has no stages."]


def test_a_file_gets_every_column_whole_and_no_colours() -> None:
    names = [f"developer-with-a-long-name-{number}" for number in range(20)]
    lines = printed(board(*(stage(name, 3, Api=7) for name in names)))

    assert all(any(name in line for line in lines) for name in names)
    assert LEGEND in lines
    assert "\x1b" not in "".join(lines)


EIGHT = [stage(name, 12, 11, 10, 9, 8, 7, 6, Api=117, Worker=9) for name in ("dev", "qa", "prod", "ann", "bob", "cy", "dee")]
EIGHT.append(stage("a-stage-of-somebody-with-a-long-name-and-much-to-say-about-it", 12, Api=117))


def in_a_terminal(shown: Board, width: int, **environment: str) -> str:
    """What a terminal of that many columns gets, with the codes of its colours."""
    file = io.StringIO()
    terminal = {"TERM": "xterm-256color", **environment}
    show(shown, Console(file=file, force_terminal=True, width=width, _environ=terminal))
    return file.getvalue()


def plain(lines: str) -> list[str]:
    return Text.from_ansi(lines).plain.splitlines()


@pytest.mark.parametrize("width", [80, 60, 40])
def test_in_a_narrow_terminal_stages_go_on_in_another_table_and_nothing_is_lost(width: int) -> None:
    lines = plain(in_a_terminal(board(*EIGHT), width))

    assert max(cell_len(line) for line in lines) <= width
    tables = [line for line in lines if line.startswith("┏")]
    assert len(tables) > 1
    headings = [line.split("┃") for line in lines if line.startswith("┃")]
    titles = "".join(cell.strip() for line in headings for cell in line)
    for each in EIGHT[:-1]:
        assert each.name in titles
    for row in ("Api", "Worker", "serves", "way back"):
        assert sum(line.startswith(f"│ {row} ") for line in lines) == len(tables)
    assert sum(line.count("117 r12") for line in lines) == len(EIGHT)
    # The long name goes on over several lines of the last column.
    assert "".join(line[-2].strip() for line in headings if len(line) > 2).endswith(EIGHT[-1].name)


def test_eight_stages_fit_into_two_tables_of_80_columns() -> None:
    shown = board(*[replace(each, name=StageName(f"person-{n}")) for n, each in enumerate(EIGHT)])

    assert len([line for line in plain(in_a_terminal(shown, 80)) if line.startswith("┏")]) == 2


def test_in_a_terminal_there_are_colours() -> None:
    assert "\x1b[32m117 r12" in in_a_terminal(board(stage("dev", 12, Api=117)), 80)


def test_colours_say_nothing_that_words_do_not_say() -> None:
    each_kind = board(stage("dev", 4, Api=7, kept="Api"), stage("qa", 3, Api=7), stage("prod", 3, mixed=True, Api=7))
    lines = plain(in_a_terminal(each_kind, 200))

    (api,) = [line for line in lines if line.startswith("│ Api ")]
    assert [cell.strip() for cell in api.strip("│").split("│")[1:]] == ["7 (kept)", "7 r3", "7 (mixed)"]


def test_who_wants_no_colours_gets_none() -> None:
    shown = in_a_terminal(board(stage("dev", 12, mixed=True, Api=117)), 80, NO_COLOR="1")

    assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|38|9[0-7])m", shown)
