"""A comparison as people and scripts read it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text

from stagekeeper.cli.commits import Between, Commit, Commits, NotHere
from stagekeeper.cli.comparison import Diff, as_json, show
from stagekeeper.cli.configurations import Differences
from stagekeeper.cli.sides import ReadSide
from stagekeeper.domain.comparison import ConfigurationDifference, Member, Part, Side, Variables, compare
from stagekeeper.domain.model import (
    FunctionArn,
    LogicalName,
    Provenance,
    ReleaseNumber,
    StageName,
    TemplateRef,
    VersionNumber,
)

from .books import ORDERS, arn, content, stage


def part(name: str, text: str | None, version: int | None = None, kept: bool = False) -> Part:
    number = None if version is None else VersionNumber(version)
    return Part(LogicalName(name), arn(name), None if text is None else content(text), number, kept)


def of_stage(
    name: str, release: int | None, *parts: Part, commit: str | None = None, mixed: bool = False, template: str = ""
) -> ReadSide:
    number = None if release is None else ReleaseNumber(release)
    seen = replace(stage(name, release), mixed=mixed)
    side = Side(parts, TemplateRef("k", template) if template else None)
    return ReadSide(StageName(name), seen, number, side, Provenance("jane", commit=commit, branch="main") if commit else None)


def of_release(number: int, *parts: Part, commit: str | None = None) -> ReadSide:
    source = Provenance("jane", commit=commit) if commit else None
    return ReadSide(f"r{number}", None, ReleaseNumber(number), Side(parts), source)


def diff(a: ReadSide, b: ReadSide, configurations: Differences | None = None, commits: Between | NotHere | None = None) -> Diff:
    return Diff(ORDERS, a, b, compare(a.side, b.side), configurations or {}, commits)


def printed(of: Diff, width: int | None = None) -> list[str]:
    """The lines that a file gets, or a terminal of so many columns, without its codes."""
    file = io.StringIO()
    show(of, Console(file=file, force_terminal=width is not None, width=width, _environ={"TERM": "xterm-256color"}))
    return Text.from_ansi(file.getvalue()).plain.splitlines()


def rows(of: Diff) -> list[list[str]]:
    """The table's cells."""
    lines = printed(of)
    below = lines[next(place for place, line in enumerate(lines) if line.startswith("───")) + 1 :]
    return [[cell.strip() for cell in re.split("  +", line) if cell.strip()] for line in below[: below.index("")]]


# People.


def test_two_stages_are_told_function_by_function_and_what_is_the_same_is_counted() -> None:
    dev = of_stage("dev", 4, part("Api", "two", 8), part("Same", "x", 1), part("New", "n", 1), part("Worker", "w/big", 5))
    prod = of_stage(
        "prod", 3, part("Api", "one", 7), part("Same", "x", 1), part("Old", "o", 2, kept=True), part("Worker", "w", 4)
    )

    shown = diff(dev, prod)

    assert printed(shown)[0] == "dev (r4) and prod (r3) of service orders"
    assert rows(shown) == [
        ["Api", "code", "8", "7"],
        ["New", "only in dev", "1", "-"],
        ["Old", "only in prod", "-", "2 (kept)"],
        ["Worker", "configuration", "5", "4"],
    ]
    assert "1 function the same." in printed(shown)


def test_code_and_configuration_can_both_differ() -> None:
    shown = diff(of_stage("dev", 4, part("Api", "two/big", 8)), of_stage("prod", 3, part("Api", "one", 7)))

    assert rows(shown) == [["Api", "code and configuration", "8", "7"]]


def test_a_release_has_no_versions_to_show() -> None:
    shown = diff(of_release(4, part("Api", "two")), of_stage("prod", 3, part("Api", "one", 7)))

    assert rows(shown) == [["Api", "code", "7"]]


def test_where_nothing_differs_there_is_no_table() -> None:
    shown = diff(of_release(4, part("Api", "one")), of_stage("prod", 3, part("Api", "one", 7)))

    assert printed(shown)[:2] == ["r4 and prod (r3) of service orders", "No difference: 1 function, all the same."]


def test_two_sides_without_functions_say_so() -> None:
    assert "Neither has any function." in printed(diff(of_stage("dev", 1), of_stage("prod", 1)))


def test_what_is_not_known_says_why() -> None:
    shown = diff(of_stage("dev", 4, part("Api", None, 8)), of_stage("prod", 3, part("Api", "one", 7)))

    assert rows(shown) == [["Api", "not known: what a version carries is not on record", "8", "7"]]


def test_a_mixed_stage_is_told_to_be_one() -> None:
    told = printed(diff(of_stage("dev", 4, mixed=True), of_stage("prod", None, mixed=True)))[0]

    assert told.startswith("dev (r4, MIXED: what is really served is compared) and prod (-, MIXED")


def test_two_homes_under_one_name_are_told_apart() -> None:
    moved = replace(part("Api", "one", 1), arn=FunctionArn("arn:aws:lambda:eu-central-1:123456789012:function:elsewhere"))

    shown = rows(diff(of_stage("dev", 4, moved), of_stage("prod", 3, part("Api", "one", 7))))

    assert shown == [["Api (elsewhere)", "only in dev", "1", "-"], ["Api (orders-api)", "only in prod", "-", "7"]]


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        ("", "", None),
        ("one", "one", "The template declares the same."),
        ("one", "two", "What the template declares differs."),
        ("one", "", "Only dev is from a template."),
        ("", "one", "Only prod is from a template."),
    ],
)
def test_what_is_told_of_the_template(a: str, b: str, says: str | None) -> None:
    lines = printed(diff(of_stage("dev", 4, template=a), of_stage("prod", 3, template=b)))

    assert [line for line in lines if "template" in line] == ([] if says is None else [says])


TOLD = ConfigurationDifference(
    [Member("Layers", None, '["arn:layer:1"]'), Member("Timeout", "3", "10")], Variables(["OLD"], ["NEW", "NEWER"], ["TABLE"])
)


def test_what_differs_within_a_configuration_is_told_below_the_function() -> None:
    sides = of_stage("dev", 4, part("Api", "one/big", 8)), of_stage("prod", 3, part("Api", "one", 7))

    assert rows(diff(*sides, {arn("Api"): TOLD})) == [
        ["Api", "configuration", "8", "7"],
        ['Layers: none → ["arn:layer:1"]'],
        ["Timeout: 3 → 10"],
        ["Environment: only dev: OLD; only prod: NEW, NEWER; other value: TABLE"],
    ]
    assert rows(diff(*sides, {arn("Api"): "version 7 is not there any more"}))[1] == [
        "what differs is not known: version 7 is not there any more"
    ]


def commits(*subjects: str, count: int | None = None) -> Commits:
    shown = tuple(Commit(f"{number:07x}", subject) for number, subject in enumerate(subjects))
    return Commits(shown, len(shown) if count is None else count)


def told(commits: Between | NotHere | None, a: str | None = "a" * 40, b: str | None = "b" * 40) -> Sequence[str]:
    """What is told of commits, below the rest."""
    lines = printed(diff(of_stage("dev", 4, commit=a), of_stage("prod", 3, commit=b), commits=commits))
    return lines[lines.index("") + 1 :]


def test_commits_of_one_side_are_listed() -> None:
    assert told(Between(Commits(), commits("second", "first"))) == [
        "2 commits only in prod:",
        "  0000000 second",
        "  0000001 first",
    ]


def test_where_they_diverged_both_sides_are_listed() -> None:
    assert told(Between(commits("ours"), commits("theirs"))) == [
        "1 commit only in dev:",
        "  0000000 ours",
        "",
        "1 commit only in prod:",
        "  0000000 theirs",
    ]


def test_how_many_more_there_are_is_told() -> None:
    assert told(Between(Commits(), commits("second", "first", count=25))) == [
        "25 commits only in prod:",
        "  0000000 second",
        "  0000001 first",
        "  and 23 more",
    ]


def test_the_same_commit_is_told() -> None:
    assert told(Between(Commits(), Commits()), "a" * 40, "a" * 40) == ["Both are from commit aaaaaaaa."]


def test_what_was_not_committed_keeps_two_sides_of_one_commit_apart() -> None:
    assert told(Between(Commits(), Commits()), "a" * 40, f"{'a' * 40}-dirty") == [
        "dev is from commit aaaaaaaa, prod from aaaaaaaa-dirty."
    ]


def test_commits_that_are_not_in_the_checkout_are_told_by_name() -> None:
    assert told(NotHere(["b" * 40])) == [
        "dev is from commit aaaaaaaa, prod from bbbbbbbb.",
        "This checkout does not have both; `git fetch` may bring what is missing.",
    ]


def test_outside_of_a_checkout_the_commits_are_named() -> None:
    assert told(None) == ["dev is from commit aaaaaaaa, prod from bbbbbbbb."]


def test_where_the_record_tells_no_commit_that_is_told() -> None:
    assert told(None, a=None) == ["From which commit dev came is not on record."]
    assert told(None, a=None, b=None) == ["From which commit dev and prod came is not on record."]


def test_a_narrow_terminal_gets_everything_within_its_width_and_long_subjects_cut() -> None:
    name = "AFunctionWithAVeryLongLogicalNameAsTheyComeFromGenerators"
    dev = of_stage("a-stage-of-somebody-with-a-long-name", 4, part(name, "two/big", 118), commit="a" * 40)
    prod = of_stage("prod", 3, part(name, "one", 117), commit="b" * 40)
    layers = ConfigurationDifference([Member("Layers", None, "arn:" + "x" * 100)], Variables([f"NAME_{n}" for n in range(20)]))

    lines = printed(diff(dev, prod, {arn(name): layers}, Between(commits("subject " * 20), Commits())), 80)

    assert max(len(line) for line in lines) <= 80
    assert next(line for line in lines if line.startswith("  0000000 subject")).endswith("…")
    assert "118" in " ".join(lines)


def test_a_file_gets_subjects_whole() -> None:
    assert f"  0000000 {'subject ' * 20}".rstrip() in told(Between(commits("subject " * 20), Commits()))


def test_what_others_wrote_cannot_steer_the_terminal() -> None:
    wicked = "\x1b]0;owned\x07"
    file = io.StringIO()
    configuration = {arn("Api"): ConfigurationDifference([Member("Description", wicked, None)], Variables([wicked]))}
    sides = (
        of_stage("dev", 4, part("Api", "one/big", 8), commit=wicked),
        of_stage("prod", 3, part("Api", "one", 7), commit=wicked),
    )
    for each in (Between(commits(wicked), Commits()), NotHere([wicked]), None):
        show(diff(*sides, configuration, each), Console(file=file))

    assert not [char for char in file.getvalue() if not char.isprintable() and char != "\n"]


# Scripts.


def test_scripts_get_every_member() -> None:
    dev = of_stage("dev", 4, part("Api", "one/big", 8), part("New", "n", 1, kept=True), commit="a" * 40, template="t")
    r3 = of_release(3, part("Api", "one"))

    assert as_json(diff(dev, r3, {arn("Api"): TOLD}, Between(commits("ours", count=30), Commits()))) == {
        "service": "orders",
        "a": {"stage": "dev", "release": 4, "mixed": False, "commit": "a" * 40, "branch": "main"},
        "b": {"stage": None, "release": 3, "mixed": False, "commit": None, "branch": None},
        "differs": True,
        "functions": [
            {
                "function": "Api",
                "function_arn": arn("Api"),
                "difference": "configuration",
                "a": {"version": "8", "kept": False},
                "b": {"version": None, "kept": False},
                "configuration": {
                    "members": [
                        {"member": "Layers", "a": None, "b": '["arn:layer:1"]'},
                        {"member": "Timeout", "a": "3", "b": "10"},
                    ],
                    "variables": {"only_a": ["OLD"], "only_b": ["NEW", "NEWER"], "changed": ["TABLE"]},
                },
                "configuration_unknown": None,
            },
            {
                "function": "New",
                "function_arn": arn("New"),
                "difference": "only_a",
                "a": {"version": "1", "kept": True},
                "b": None,
                "configuration": None,
                "configuration_unknown": None,
            },
        ],
        "template": "only_a",
        "commits": {
            "only_a": {"count": 30, "newest": [{"commit": "0000000", "subject": "ours"}]},
            "only_b": {"count": 0, "newest": []},
        },
    }


def test_scripts_get_null_for_what_is_not_known() -> None:
    sides = of_stage("dev", 4, part("Api", "one/big", 8)), of_stage("prod", 3, part("Api", "one", 7))

    for commits in (None, NotHere(["b"])):
        answer = as_json(diff(*sides, {arn("Api"): "it was swept"}, commits))
        assert (answer["commits"], answer["template"]) == (None, None)
        assert answer["functions"][0]["configuration"] is None
        assert answer["functions"][0]["configuration_unknown"] == "it was swept"


def test_an_environment_that_is_the_same_has_no_variables_to_tell() -> None:
    sides = of_stage("dev", 4, part("Api", "one/big", 8)), of_stage("prod", 3, part("Api", "one", 7))
    same = ConfigurationDifference([Member("Timeout", "3", "10")], None)

    assert as_json(diff(*sides, {arn("Api"): same}))["functions"][0]["configuration"]["variables"] == {
        "only_a": [],
        "only_b": [],
        "changed": [],
    }
