"""What holds of every command: an example that parses, options that all have, and a help that comes at once."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from stagekeeper.cli.main import app

#: Whatever takes long to import: only commands that need them may.
HEAVY = ("boto3", "botocore", "pydantic", "rich", "yaml", "samtranslator", "aws_lambda_powertools")

EVERYWHERE = {"--profile", "--region", "--endpoint-url", "--stack", "--local", "--project", "--json"}


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


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_it_does_and_shows_examples_that_parse(name: str) -> None:
    command = COMMANDS[name]

    assert command.help
    assert examples(name)
    for line in examples(name):
        words = shlex.split(line)[1:]
        assert " ".join(words).startswith(name), line
        command.make_context(name, words[len(name.split()) :])


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - LOCAL))
def test_every_command_takes_the_connection_and_json(name: str) -> None:
    assert {option for parameter in COMMANDS[name].params for option in parameter.opts} >= EVERYWHERE


def test_nothing_that_takes_long_is_imported_before_a_command_needs_it() -> None:
    """That is what keeps `--help` at 0.15 s: measured by hand, since a clock on a busy machine proves nothing."""
    program = "import sys, stagekeeper.cli.main; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  # no shell
    imported = done.stdout.split()

    assert not set(HEAVY) & set(imported)
