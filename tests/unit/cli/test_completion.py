"""What a shell offers after Tab; as the shell calls it, a process each time, only where the shell is the point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from stagekeeper.cli.commands.calls import Page
from stagekeeper.cli.completion import functions, pages, stages
from stagekeeper.cli.main import app

_PROGRAM = "from stagekeeper.cli.main import app; app(prog_name='stagekeeper')"

FUNCTIONS = """\
service: orders
functions:
  Api: {function_name: orders-api}
  Worker: {function_name: orders-worker}
branches:
  "hotfix/*": staging
  "spike/*": "<user>"
stages:
  demo: {}
  "<user>": {}
"""

TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::Function
    Properties: {Handler: !Sub "${Module}.handler", Role: !GetAtt [Role, Arn]}
  Plain:
    Type: AWS::Lambda::Function
  Table:
    Type: AWS::DynamoDB::Table
Outputs:
  Name:
    Value: !If [A, !Ref Api, !Ref "AWS::NoValue"]
"""


def asked_by(shell: str, folder: Path, line: str) -> list[str]:
    """What is offered at the end of a line. Nothing may be on stderr, and AWS may not be asked: there are no credentials."""
    words = line.split(" ")
    asked = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        [sys.executable, "-c", _PROGRAM],
        env={"PATH": os.environ["PATH"], "HOME": str(folder.parent), "_STAGEKEEPER_COMPLETE": f"complete_{shell}", **asked},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def project(folder: Path, text: str) -> Path:
    (folder / "stagekeeper.yaml").write_text(text)
    return folder


def context(**params: object) -> typer.Context:
    """What a completion gets: the options and arguments that were typed before."""
    command: Any = typer.main.get_command(app)
    made: typer.Context = command.make_context("stagekeeper", ["logs"], resilient_parsing=True)
    made.params = params
    return made


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that somebody is in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_gets_the_projects_stages_functions_and_pages(tmp_path: Path, shell: str) -> None:
    deep = project(tmp_path, FUNCTIONS) / "src"
    deep.mkdir()

    assert asked_by(shell, deep, "stagekeeper logs --stage d") == ["demo", "dev"]
    assert asked_by(shell, deep, "stagekeeper invoke ") == ["Api", "Worker"]
    assert asked_by(shell, deep, "stagekeeper logs --function W") == ["Worker"]
    assert asked_by(shell, deep, "stagekeeper open stage de") == ["demo", "dev"]


def test_stages_are_the_shared_ones_of_the_project(here: Path) -> None:
    project(here, FUNCTIONS)

    assert stages(context(), "") == ["demo", "dev", "local", "prod", "qa", "staging"]


def test_functions_are_the_projects(here: Path) -> None:
    project(here, FUNCTIONS)

    assert functions(context(), "") == ["Api", "Worker"]


def test_or_its_templates(here: Path) -> None:
    (here / "template.yaml").write_text(TEMPLATE)
    project(here, "service: orders\ntemplate: template.yaml\n")

    assert functions(context(), "") == ["Api", "Plain"]


def test_a_project_that_is_named_counts(here: Path) -> None:
    project(here, FUNCTIONS)
    (here / "other.yaml").write_text("functions: {Elsewhere: {function_name: f}}\n")

    assert functions(context(project=Path("other.yaml")), "") == ["Elsewhere"]


@pytest.mark.parametrize(
    ("what", "names"),
    [("stage", ["demo", "dev"]), (Page.STAGE, ["demo", "dev"]), ("function", []), ("operation", []), (None, [])],
)
def test_open_offers_names_of_what_is_to_be_opened(here: Path, what: str | None, names: list[str]) -> None:
    project(here, FUNCTIONS)

    assert pages(context(what=what), "d") == names


#: Longer than anybody waits for.
BIG = TEMPLATE.encode() + b"\n# " + b"x" * 600_000
DEFAULTS = ["dev", "local", "prod", "qa"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, DEFAULTS),
        ("service: [", DEFAULTS),
        ("- a list", DEFAULTS),
        ("", DEFAULTS),
        ("branches: 7\nstages: [demo]\nfunctions: yes\ntemplate: {}", DEFAULTS),
        ("branches: {a: [b], c: 7}\nstages: {demo: }", ["demo", *DEFAULTS]),
        ("? [a, b]\n: c", DEFAULTS),
        ("a: " + "[" * 5000 + "]" * 5000, DEFAULTS),
        ("x: !!python/object:os.system ls", DEFAULTS),
        ("x: 2026-13-45", DEFAULTS),
        ("x: !!timestamp soon", DEFAULTS),
    ],
    ids=["none", "half written", "a list", "empty", "other forms", "parts", "odd keys", "deep", "tags", "no date", "no time"],
)
def test_whatever_the_project_file_holds_there_are_no_errors(here: Path, text: str | None, names: list[str]) -> None:
    if text is not None:
        project(here, text)

    assert (stages(context(), ""), functions(context(), "")) == (names, [])


@pytest.mark.parametrize(
    "template",
    [None, b"\xff\xfe\x00", b"{", b"Resources: [1]", b"Resources: {A: 7}", BIG],
    ids=lambda each: str(each)[:20],
)
def test_nor_whatever_the_template_is(here: Path, template: bytes | None) -> None:
    if template is not None:
        (here / "template.yaml").write_bytes(template)
    project(here, "template: template.yaml")

    assert functions(context(), "") == []


def test_a_project_file_that_is_a_folder_is_none(here: Path) -> None:
    assert functions(context(project=here), "") == []
