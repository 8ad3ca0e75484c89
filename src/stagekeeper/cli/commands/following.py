"""The commands about operations that were started before: operations, follow, stop."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stagekeeper.cli.options import command
from stagekeeper.cli.session import Session

OperationArgument = Annotated[str, typer.Argument(metavar="OPERATION", help="Its id, which is the name of its execution.")]


class Which(StrEnum):
    """How an execution stands, in Step Functions' words."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"
    TIMED_OUT = "timed_out"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "stagekeeper operations", "stagekeeper operations --status running", "stagekeeper operations --limit 5 --json")(
        operations
    )
    command(app, "stagekeeper follow orders-dev-42", "stagekeeper follow orders-dev-42 --json")(follow)
    command(app, "stagekeeper stop orders-dev-42 --reason 'wrong branch'", "stagekeeper stop orders-dev-42 --no-wait")(stop)


def operations(
    session: Session,
    status: Annotated[
        Which | None,
        typer.Option("--status", help="Only those. What was refused or put back has failed; what was stopped is aborted."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="So many, the newest.")] = 20,
) -> None:
    """Show the operations of all services, the newest first: id, when, how it stands, how long it took.

    They are the executions of the last 90 days, recoveries and scheduled sweeps among them. `stagekeeper locks` shows who is at
    work on a service. Needs states:ListExecutions of your own.
    """
    from stagekeeper.aws.clock import SystemClock
    from stagekeeper.aws.executions import step_functions_client
    from stagekeeper.cli import listing

    machine = session.plane.machine_arn
    statuses: dict[Which, listing.Status] = {
        Which.RUNNING: "RUNNING",
        Which.SUCCEEDED: "SUCCEEDED",
        Which.FAILED: "FAILED",
        Which.ABORTED: "ABORTED",
        Which.TIMED_OUT: "TIMED_OUT",
    }
    found, more = listing.read(step_functions_client(), machine, None if status is None else statuses[status], limit)
    now = SystemClock().now()
    session.show(listing.as_json(found, more, now), lambda console: listing.show(found, more, now, console))


def follow(session: Session, operation: OperationArgument) -> None:
    """Come back to an operation: follow it to its end, or show how it ended.

    Ctrl-C leaves it running. The exit code is the operation's.
    """
    from stagekeeper.cli import live, requests

    live.come_back(session, requests.checked_id(operation, "OPERATION"))


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
    from stagekeeper.cli import requests, stopping

    stopping.run(session, requests.checked_id(operation, "OPERATION"), reason, wait=not no_wait)
