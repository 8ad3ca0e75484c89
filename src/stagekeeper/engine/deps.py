"""What the steps work with, put together once per process. Tests put other clients and another clock in."""

from __future__ import annotations

from dataclasses import dataclass, field

from stagekeeper.aws.artifacts import Artifacts, s3_client
from stagekeeper.aws.callers import Callers
from stagekeeper.aws.clock import Clock, SystemClock
from stagekeeper.aws.executions import Executions
from stagekeeper.aws.images import Images
from stagekeeper.aws.journal import Journal
from stagekeeper.aws.lambda_api import LambdaApi, LambdaClients
from stagekeeper.aws.stack_changes import StackChanges
from stagekeeper.aws.stack_journal import StackJournal
from stagekeeper.aws.stacks import Stacks
from stagekeeper.aws.store import ObjectHashes, Store
from stagekeeper.aws.table import Table, dynamodb_client
from stagekeeper.engine.telemetry import Telemetry


@dataclass(frozen=True, slots=True)
class Deps:
    """The adapters, by what they are for. ``pass_roles`` is the pattern of the ARNs of the roles that the stack may give to
    functions; empty: none."""

    lambda_api: LambdaApi
    callers: Callers
    artifacts: Artifacts
    table: Table
    store: Store
    journal: Journal
    clock: Clock
    executions: Executions
    stacks: Stacks
    telemetry: Telemetry
    stack_journal: StackJournal
    stack_changes: StackChanges
    images: Images = field(default_factory=Images)
    pass_roles: str = ""

    @property
    def plane(self) -> str:
        """What tells the stacks of this control plane from another's."""
        return self.table.name

    def hashes(self, *, read_only: bool) -> ObjectHashes:
        return ObjectHashes(self.table, read_only=read_only)


def real_deps(table_name: str, bucket: str, machine_arn: str, pass_roles: str, stack_role: str, telemetry: Telemetry) -> Deps:
    """The adapters over AWS itself; the SDK takes endpoint, Region and credentials from the environment."""
    clock = SystemClock()
    clients = LambdaClients.default()
    table = Table(dynamodb_client(), table_name, clock)
    return Deps(
        lambda_api=LambdaApi(clients, clock),
        callers=Callers(clients.read, clock),
        artifacts=Artifacts(s3_client(), bucket),
        table=table,
        store=Store(table),
        journal=Journal(table, clock),
        clock=clock,
        executions=Executions(machine_arn),
        stacks=Stacks(clock),
        telemetry=telemetry,
        stack_journal=StackJournal(table, clock),
        stack_changes=StackChanges(clock, stack_role, bucket),
        pass_roles=pass_roles,
    )
