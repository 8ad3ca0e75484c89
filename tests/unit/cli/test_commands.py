"""What holds of every command: an example that parses, options that all have, and a help that comes at once."""

from __future__ import annotations

import importlib.metadata
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from stagekeeper.cli.main import PANELS, app

#: Whatever takes long to import: only commands that need them may.
HEAVY = ("boto3", "botocore", "pydantic", "rich", "yaml", "samtranslator", "aws_lambda_powertools")

EVERYWHERE = {"--profile", "--region", "--endpoint-url", "--stack", "--local", "--project", "--json"}


#: What a command that asks AWS for nothing does not take.
NO_USE = {
    "init": {"--profile", "--endpoint-url", "--local"},
    "stage": {"--profile", "--region", "--endpoint-url", "--stack", "--local"},
}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from leaves(each, (*path, name))
    else:
        yield " ".join(path), command


COMMANDS = dict(leaves(typer.main.get_command(app)))
LOCAL = {name for name in COMMANDS if name.startswith("local ")}


def examples(name: str) -> list[str]:
    return re.findall(r"^\s+(stagekeeper .*)$", COMMANDS[name].epilog or "", re.MULTILINE)


def test_the_commands_are_those_of_the_reference() -> None:
    assert set(COMMANDS) >= {"deploy", "rollback", "reset", "clone", "teardown", "sweep", "adopt", "configure", "verify"}
    assert set(COMMANDS) >= {"status", "history", "diff", "releases", "locks", "logs", "invoke", "open", "init", "stage"}
    assert set(COMMANDS) >= {
        "plan deploy",
        "plan rollback",
        "follow",
        "stop",
        "recover",
        "local start",
        "local stop",
        "local status",
    }


def test_every_command_has_its_place_in_the_help() -> None:
    """Each once, and no place for one that is not there."""
    placed = [name for names in PANELS.values() for name in names]

    assert sorted(placed) == sorted({name.split()[0] for name in COMMANDS})


def test_the_version_is_that_of_the_package() -> None:
    shown = CliRunner().invoke(app, ["--version"])

    assert (shown.exit_code, shown.stdout) == (0, f"stagekeeper {importlib.metadata.version('stagekeeper')}\n")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_it_does_and_shows_examples_that_parse(name: str) -> None:
    command = COMMANDS[name]

    assert command.help
    assert examples(name)
    for line in examples(name):
        words = shlex.split(line)[1:]
        assert " ".join(words).startswith(name), line
        command.make_context(name, words[len(name.split()) :])


@pytest.mark.parametrize("group", ["plan", "local"])
def test_a_group_shows_examples_that_parse(group: str) -> None:
    groups: Any = typer.main.get_command(app)
    lines = re.findall(r"^\s+stagekeeper (.*)$", groups.commands[group].epilog, re.MULTILINE)

    assert len(lines) == 3
    for line in lines:
        name = max((each for each in COMMANDS if line.startswith(each)), key=len)
        COMMANDS[name].make_context(name, shlex.split(line.removeprefix(name)))


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - LOCAL))
def test_every_command_that_asks_aws_takes_the_connection_and_json(name: str) -> None:
    taken = {option for parameter in COMMANDS[name].params for option in parameter.opts} & EVERYWHERE

    assert taken == EVERYWHERE - NO_USE.get(name, set())


@pytest.mark.parametrize("name", sorted(each for each in COMMANDS if each.startswith("plan ")))
def test_a_plan_says_first_that_it_changes_nothing(name: str) -> None:
    operation = name.removeprefix("plan ")

    said = COMMANDS[name].help
    assert said.startswith(f"What `{operation}` would do, without doing it: ")
    assert said.partition(": ")[2].lower() == COMMANDS[operation].help.lower()


@pytest.mark.parametrize(
    "name", sorted({"deploy", "rollback", "reset", "configure", "verify", "logs", "invoke", "outputs", "history"})
)
def test_what_is_meant_without_a_stage_is_in_the_help(name: str) -> None:
    (stage,) = (each for each in COMMANDS[name].params if "--stage" in each.opts)

    assert "left out, " in stage.help


def test_nothing_that_takes_long_is_imported_before_a_command_needs_it() -> None:
    """That is what keeps `--help` at 0.15 s: measured by hand, since a clock on a busy machine proves nothing."""
    program = "import sys, stagekeeper.cli.main; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  # no shell
    imported = done.stdout.split()

    assert not set(HEAVY) & set(imported)
