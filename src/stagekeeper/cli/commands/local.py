"""`stagekeeper local`: the embedded AWS with the control plane deployed on it, in the background.

Parses arguments, shows progress and words outcomes; `embedded/instance.py` runs processes and `embedded/deploy.py`
runs `sam`. Must not know what an operation is: whoever uses the instance talks to it as to AWS.
"""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stagekeeper.cli.options import PlainCommand, PlainGroup, flowing

if TYPE_CHECKING:
    from stagekeeper.embedded.instance import Instance

DEFAULT_PORT = 4566

local_app = typer.Typer(
    cls=PlainGroup,
    no_args_is_help=True,
    help="An AWS on this machine with Stagekeeper deployed on it.",
    epilog="Begin with:\n\n  stagekeeper local start\n\n  stagekeeper deploy --local --stage dev\n\n  stagekeeper local stop",
)

Command = TypeVar("Command", bound=Callable[..., None])


def _command(example: str) -> Callable[[Command], Command]:
    """Register a function as a command, with its docstring as its help."""

    def register(function: Command) -> Command:
        local_app.command(cls=PlainCommand, epilog=f"Example:\n\n  {example}", help=flowing(function.__doc__ or ""))(function)
        return function

    return register


AnyPort = Annotated[int | None, typer.Option("--port", help="Which one; may be left out while only one runs.")]


@_command("stagekeeper local start --keep")
def start(
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="The loopback port to serve on.")] = DEFAULT_PORT,
    keep: Annotated[
        bool, typer.Option("--keep", help="What is there survives `stop` and is there at the next `start --keep` on this port.")
    ] = False,
    throttle: Annotated[
        bool, typer.Option("--throttle", envvar="STAGEKEEPER_LOCAL_THROTTLE", help="Lambda's budgets, as on AWS.")
    ] = False,
    in_progress_seconds: Annotated[
        float,
        typer.Option(
            "--in-progress-seconds",
            envvar="STAGEKEEPER_LOCAL_IN_PROGRESS_SECONDS",
            min=0.0,
            help="How long a function's update takes.",
        ),
    ] = 0.2,
) -> None:
    """Start an AWS on this machine and deploy the control plane on it.

    With --keep, `stop` leaves what is there in .local/PORT/kept of the checkout, one such state for each port, and the next
    `start --keep` on that port goes on with a copy of it. A start without --keep neither uses nor changes it. Whatever ends
    the AWS otherwise (a crash, a reboot, a start that fails) leaves what the last `stop` kept. Remove the folder to begin
    anew.

    In flight at `stop`: executions that run become ABORTED, invocations are broken off, asynchronous ones that wait are
    lost, a stack that CloudFormation is at stays *_IN_PROGRESS.
    """
    from stagekeeper.embedded import deploy, instance
    from stagekeeper.embedded.errors import EmbeddedError
    from stagekeeper.embedded.home import checkout

    progress = _Progress()
    with _sentences(), _terminated_as_interrupted():
        root = checkout()
        # Before anything is started: these are what a machine that was not set up lacks.
        instance.interpreter(root)
        deploy.sam_cli(root)
        _tell(instance.clear_dead(root))
        progress.step(f"Starting the embedded AWS on port {port}")
        started = instance.start(port, root, keep=keep, users=True, throttle=throttle, in_progress_seconds=in_progress_seconds)
        try:
            deployed = deploy.deploy_control_plane(started, progress.step)
            arn = deployed.outputs.get("StateMachineArn")
            if arn is None:
                raise EmbeddedError(f"The stack {deployed.stack} has no output StateMachineArn.")
            started = instance.record(started, stack=deployed.stack, state_machine_arn=arn)
        except BaseException:
            progress.step("Stopping the embedded AWS again")
            instance.stop(started, discard=True)
            raise
        finally:
            progress.end()
    _show(started)


@_command("stagekeeper local stop")
def stop(port: AnyPort = None) -> None:
    """Stop it, and remove what it wrote; with --keep, what is there is saved for the next `start --keep` on its port."""
    from stagekeeper.embedded import instance
    from stagekeeper.embedded.home import checkout

    with _sentences():
        root = checkout()
        found = _chosen(root, port)
        _tell(instance.clear_dead(root))
        if found is not None:
            instance.stop(found)
    where = "" if port is None else f" on port {port}"
    typer.echo(f"Nothing runs{where}." if found is None else f"Stopped the embedded AWS on port {found.port}.")


@_command("stagekeeper local status --json")
def status(port: AnyPort = None, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """What runs where."""
    from stagekeeper.embedded.home import checkout

    with _sentences(as_json=as_json):
        found = _chosen(checkout(), port)
    if as_json:
        typer.echo(json.dumps(_described(found)))
    elif found is None:
        typer.echo("Nothing runs." if port is None else f"Nothing runs on port {port}.")
    else:
        _show(found)


def _chosen(root: Path, port: int | None) -> Instance | None:
    from stagekeeper.embedded import instance
    from stagekeeper.embedded.errors import EmbeddedError

    if port is not None:
        return instance.find(root, port)
    # Those of tests and of the demo end by themselves: they are found by their port only.
    found = [each for each in instance.running(root) if each.users]
    if len(found) > 1:
        ports = ", ".join(str(each.port) for each in found)
        raise EmbeddedError(f"Several run, on the ports {ports}: say which with --port.")
    return found[0] if found else None


def _tell(sentences: list[str]) -> None:
    for sentence in sentences:
        typer.echo(f"stagekeeper local: {sentence}", err=True)


def _described(found: Instance | None) -> dict[str, Any]:
    if found is None:
        return {"running": False}
    return {
        "running": True,
        "endpoint": found.endpoint,
        "region": found.region,
        "account": found.account,
        "stack": found.stack,
        "state_machine_arn": found.state_machine_arn,
        "pid": found.pid,
    }


def _show(found: Instance) -> None:
    from stagekeeper.embedded.deploy import ROOT_KEY

    typer.echo(f"The embedded AWS runs at {found.endpoint} (pid {found.pid}), Region {found.region}.")
    if found.state_machine_arn is None:
        typer.echo("The control plane is not deployed on it (yet).")
    else:
        typer.echo(f"Stack {found.stack}, state machine {found.state_machine_arn}")
    if found.keep:
        typer.echo(f"What is there is kept at `stop` for the next `start --keep --port {found.port}`, in {found.kept}")
    typer.echo(f"Credentials {ROOT_KEY}/{ROOT_KEY} are the account's root. Log: {found.log}")


@contextlib.contextmanager
def _sentences(*, as_json: bool = False) -> Iterator[None]:
    """What went wrong in a sentence, and exit code 1: an EmbeddedError is one, the system's own errors name the file."""
    from stagekeeper.embedded.errors import EmbeddedError

    try:
        yield
    except EmbeddedError as error:
        said = str(error)
    except OSError as error:
        said = f"{error.filename or 'The system'}: {error.strerror or error}."
    else:
        return
    if as_json:
        typer.echo(json.dumps({"error": "CommandFailed", "message": said, "blockers": []}))
    else:
        typer.echo(f"stagekeeper local: {said}", err=True)
    raise typer.Exit(1)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Within, SIGTERM raises too, so that a start that is called off leaves nothing running."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(1)

    from stagekeeper.embedded.errors import EmbeddedError

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except KeyboardInterrupt:
        raise EmbeddedError("Interrupted; nothing is left running.") from None
    finally:
        signal.signal(signal.SIGTERM, before)


class _Progress:
    """Steps with the time each took: a spinner where there is a terminal, plain lines otherwise."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console()
        self._status = self._console.status("") if self._console.is_terminal else None
        self._current = ""
        self._since = time.monotonic()

    def step(self, text: str) -> None:
        self._finish()
        self._current, self._since = text, time.monotonic()
        if self._status is not None:
            self._status.update(f"{text} …")
            self._status.start()
        else:
            typer.echo(f"{text} ...")

    def end(self) -> None:
        self._finish()
        if self._status is not None:
            self._status.stop()

    def _finish(self) -> None:
        if self._current and self._status is not None:
            self._console.print(f"{self._current} [dim]({time.monotonic() - self._since:.1f} s)[/dim]")
        self._current = ""
