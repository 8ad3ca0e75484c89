"""``stagekeeper``: the command line's entry point. Says what commands there are; imports nothing that only some of them need."""

from __future__ import annotations

import typer

from stagekeeper.cli.commands import calls, following, operations, project, record
from stagekeeper.cli.commands.local import local_app

app = typer.Typer(
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


@app.callback()
def main() -> None:
    """Stages of AWS Lambda services: deploy, roll back, and see what is where."""
