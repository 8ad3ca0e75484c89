"""The commands about an operation that was started before: follow, stop."""

from __future__ import annotations

from typing import Annotated

import typer

from stagekeeper.cli.options import command
from stagekeeper.cli.session import Session

OperationArgument = Annotated[str, typer.Argument(metavar="OPERATION", help="Its id, which is the name of its execution.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "stagekeeper follow orders-dev-42", "stagekeeper follow orders-dev-42 --json")(follow)
    command(app, "stagekeeper stop orders-dev-42 --reason 'wrong branch'", "stagekeeper stop orders-dev-42 --no-wait")(stop)


def follow(session: Session, operation: OperationArgument) -> None:
    """Come back to an operation: follow it to its end, or show how it ended.

    Ctrl-C leaves it running. The exit code is the operation's.
    """
    from stagekeeper.cli import live

    live.come_back(session, operation)


def stop(
    session: Session,
    operation: OperationArgument,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the execution.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Stop it, say how to come back to it, and leave.")] = False,
) -> None:
    """Stop an operation. What it had done is put back, by a recovery that begins within seconds, and that is followed to its end.

    A deploy that had moved every alias is committed instead; a teardown, a sweep and an adopt go forward to their end. The exit
    code is the operation's: 4 where everything was put back. It needs states:StopExecution, which OperatorPolicyArn leaves out
    on purpose.
    """
    from stagekeeper.cli import stopping

    stopping.run(session, operation, reason, wait=not no_wait)
