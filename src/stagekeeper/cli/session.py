"""What one call of a command works with: project, connection, record, and where its answer goes; each made when asked for.

Imports nothing heavy at its top: whoever asks for `--help` waits for this module.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagekeeper.cli.endings import CommandFailed
from stagekeeper.domain.model import ServiceName

if TYPE_CHECKING:
    from rich.console import Console

    from stagekeeper.aws.store import Store
    from stagekeeper.aws.table import Table
    from stagekeeper.cli.project import Project

DEFAULT_STACK = "stagekeeper"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the options that all commands have said."""

    profile: str | None = None
    region: str | None = None
    endpoint_url: str | None = None
    stack: str | None = None
    local: bool = False
    project: Path | None = None
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Plane:
    """A deployed control plane, from its stack's outputs. ``stack_id`` is the stack's ARN, None where nobody asked."""

    stack: str
    machine_arn: str
    table: str
    bucket: str
    stack_id: str | None = None

    @property
    def region(self) -> str:
        return self.machine_arn.split(":")[3]

    @property
    def account(self) -> str:
        return self.machine_arn.split(":")[4]

    def execution_arn(self, name: str) -> str:
        return f"{self.machine_arn.replace(':stateMachine:', ':execution:')}:{name}"


class Session:
    """See the module. Whatever it cannot give raises CommandFailed, with what to do about it."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self._connected: bool | None = None

    @property
    def as_json(self) -> bool:
        return self.asked.as_json

    # The project.

    @cached_property
    def found_project(self) -> Project | None:
        """The project file that was named, or found here or above; None without one."""
        from stagekeeper.cli.project_place import find

        path = self.asked.project or find(Path.cwd())
        if path is None:
            return None
        # Its form takes a while to import, so only who has a file waits for it.
        from stagekeeper.cli import project

        return project.load(path)

    @property
    def project(self) -> Project:
        if self.found_project is None:
            raise CommandFailed(
                "There is no stagekeeper.yaml here or in a folder above. Write one with `stagekeeper init`, or name it "
                "with --project."
            )
        return self.found_project

    def service(self, given: str | None) -> ServiceName:
        """The service that is meant: the one that was given, else the project's."""
        if given is not None:
            return ServiceName(given)
        if self.found_project is None:
            raise CommandFailed("Which service? Say --service, or write stagekeeper.yaml with `stagekeeper init`.")
        return ServiceName(self.found_project.service)

    # The connection.

    def connect(self, *, local: bool = False) -> None:
        """Settle where AWS is, before the first client is made. ``local``: the stage that is meant is ``local``."""
        local = local or self.asked.local
        if self._connected is not None:
            if local and not self._connected:
                raise CommandFailed(
                    "Stage local is on the embedded AWS, and this is about an account as well. Ask for them one by one."
                )
            return
        from stagekeeper.cli.connection import Wanted, change_for
        from stagekeeper.embedded.home import checkout_or_none

        project = self.found_project
        asked = self.asked
        wanted = Wanted(asked.profile, asked.region, asked.endpoint_url, local, None if project is None else project.region)
        for name, value in change_for(wanted, os.environ, checkout_or_none()).items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        self._connected = local

    @property
    def is_local(self) -> bool:
        """Whether it is about the embedded AWS of this machine, by option or by stage."""
        return self.asked.local or self._connected is True

    @property
    def stack(self) -> str:
        project = self.found_project
        return self.asked.stack or (DEFAULT_STACK if project is None else project.stack)

    @cached_property
    def plane(self) -> Plane:
        """The control plane. One call: its stack's outputs."""
        self.connect()
        import boto3
        from botocore.exceptions import ClientError

        from stagekeeper.aws.errors import error_code

        try:
            (described,) = boto3.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        except ClientError as error:
            if error_code(error) == "ValidationError":
                raise CommandFailed(f"There is no stack {self.stack} {self._here()}. {_WHERE_IT_IS}") from None
            raise
        outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
        try:
            machine, table, bucket = (outputs[name] for name in ("StateMachineArn", "StateTableName", "ArtifactBucketName"))
        except KeyError as missing:
            raise CommandFailed(f"Stack {self.stack} has no output {missing}: it is not a Stagekeeper. {_WHERE_IT_IS}") from None
        return Plane(self.stack, machine, table, bucket, described["StackId"])

    @property
    def place(self) -> str:
        """Where the control plane is, for people to see before anything is done there."""
        if self.is_local:
            return f"On the embedded AWS at {os.environ.get('AWS_ENDPOINT_URL', '?')}"
        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        return f"In account {self.plane.account}, Region {self.plane.region}" + ("" if endpoint is None else f", at {endpoint}")

    def _here(self) -> str:
        """Where was looked, as far as it was said; the account follows from the credentials."""
        said = [os.environ.get(name) for name in ("AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_PROFILE")]
        region, endpoint, profile = said
        places = [
            f"in Region {region}" if region else "in the Region of the profile",
            *([f"at {endpoint}"] if endpoint else []),
            *([f"with profile {profile}"] if profile else []),
        ]
        return " ".join(places)

    def again(self, *words: str) -> str:
        """A command line that means the same account, Region, endpoint and stack as this one, to be pasted."""
        asked = self.asked
        options = {
            "--profile": asked.profile,
            "--region": asked.region,
            "--endpoint-url": asked.endpoint_url,
            "--stack": asked.stack,
            "--project": None if asked.project is None else str(asked.project),
        }
        given = [word for name, value in options.items() if value is not None for word in (name, value)]
        return shlex.join(["stagekeeper", *words, *given, *(["--local"] if self.is_local else [])])

    # The record.

    @cached_property
    def table(self) -> Table:
        from stagekeeper.aws.clock import SystemClock
        from stagekeeper.aws.table import Table, dynamodb_client

        name = self.plane.table
        return Table(dynamodb_client(), name, SystemClock())

    @cached_property
    def store(self) -> Store:
        from stagekeeper.aws.store import Store

        return Store(self.table)

    # The answer.

    @cached_property
    def console(self) -> Console:
        """For people. Whoever prints here has asked `as_json` first, or uses `show`."""
        from rich.console import Console

        return Console()

    def show(self, answer: Mapping[str, Any], view: Callable[[Console], None]) -> None:
        """One JSON object for scripts, or what ``view`` makes of it for people."""
        if self.as_json:
            sys.stdout.write(json.dumps(answer, indent=2, default=str) + "\n")
        else:
            view(self.console)

    def note(self, sentence: str) -> None:
        """Something beside the answer, for people: on stderr, so that a pipe gets the answer alone."""
        if self.as_json:
            return
        from rich.console import Console

        from stagekeeper.cli.paper import harmless

        errors = Console(stderr=True)
        errors.print(harmless(sentence), highlight=False, markup=False, soft_wrap=not errors.is_terminal)


_WHERE_IT_IS = (
    "Deploy Stagekeeper there first, or say where it is: --stack, --region, --profile, or --local for the embedded AWS."
)
