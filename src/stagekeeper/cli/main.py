"""``stagekeeper``: the command line's entry point. Says what commands there are; imports nothing that only some of them need."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from stagekeeper.cli.commands import calls, following, operations, project, record
from stagekeeper.cli.commands.local import local_app
from stagekeeper.cli.usage import Commands

app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_show_locals=False,
    help="Stages of AWS Lambda services: deploy, roll back, and see what is where.",
)
project.register(app)
operations.register(app)
following.register(app)
record.register(app)
calls.register(app)
app.add_typer(local_app, name="local")

#: What belongs together, for whoever reads the help.
PANELS = {
    "The checkout": ("init", "stage"),
    "Operations": (
        *("deploy", "rollback", "reset", "clone", "teardown", "sweep", "adopt", "configure", "verify", "recover"),
        *("plan", "operations", "follow", "stop"),
    ),
    "What is where": ("status", "history", "diff", "releases", "locks"),
    "What runs": ("logs", "invoke", "outputs", "open"),
    "An AWS on this machine": ("local",),
}
_PANEL_OF = {name: panel for panel, names in PANELS.items() for name in names}
for _command in app.registered_commands:
    _command.rich_help_panel = _PANEL_OF.get(str(_command.name or getattr(_command.callback, "__name__", "")), "Others")
for _group in app.registered_groups:
    _group.rich_help_panel = _PANEL_OF.get(str(_group.name), "Others")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"stagekeeper {version('stagekeeper')}")
        raise typer.Exit


@app.callback(
    epilog="Begin with:\n\n  stagekeeper init\n\n  stagekeeper deploy --local --stage dev\n\n  stagekeeper status --local"
)
def main(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Stages of AWS Lambda services: deploy, roll back, and see what is where."""
    # A terminal that has no sign for something shows a question mark, and not a traceback.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
