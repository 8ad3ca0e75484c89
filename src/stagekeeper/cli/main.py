"""``stagekeeper``: the command line's entry point."""

from __future__ import annotations

from typing import Annotated, NoReturn

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from stagekeeper.aws.clock import SystemClock
from stagekeeper.aws.errors import CallFailed, spelled
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import MalformedItem, Table, dynamodb_client
from stagekeeper.cli.board import Board, show
from stagekeeper.cli.local import local_app
from stagekeeper.domain.model import ServiceName

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Stages of AWS Lambda services.")
app.add_typer(local_app, name="local")

_console = Console()
_errors = Console(stderr=True)


@app.callback()
def main() -> None:
    """Stages of AWS Lambda services."""


@app.command()
def board(
    service: Annotated[str, typer.Argument(help="The service's name.")],
    stack: Annotated[str, typer.Option(help="The stack that Stagekeeper is deployed as.")] = "stagekeeper",
) -> None:
    """Show what is where: stages across, functions down, the version and release in each cell."""
    try:
        found = read_board(ServiceName(service), _state_table(stack))
    except (CallFailed, MalformedItem) as error:
        _stop(f"The record of service {service} could not be read: {error}.")
    except (ClientError, BotoCoreError) as error:
        _stop(f"Stack {stack} could not be read: {spelled(error).rstrip('.')}. Is it deployed in this account and Region?")
    if not found.stages and not found.at_work():
        _stop(f"Service {service} has no stages: nothing was deployed to it yet, or its name is another.")
    show(found, _console)


def read_board(service: ServiceName, table_name: str) -> Board:
    """The record of a service's stages, of the releases they serve and of who works on it. Raises CallFailed, MalformedItem."""
    store = Store(Table(dynamodb_client(), table_name, SystemClock()))
    stages = store.stages(service)
    numbers = {stage.release for stage in stages if stage.release is not None}
    releases = {number: release for number in numbers if (release := store.release(service, number)) is not None}
    lock = store.lock(service)
    return Board(service, stages, releases, lock.holders, lock.queue)


def _state_table(stack: str) -> str:
    """The table of a deployed stack, from its outputs."""
    described = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    if "StateTableName" not in outputs:
        _stop(f"Stack {stack} has no output StateTableName: it is not a Stagekeeper.")
    return outputs["StateTableName"]


def _stop(sentence: str) -> NoReturn:
    _errors.print(sentence, style="red", highlight=False)
    raise typer.Exit(1)
