"""A whole Stagekeeper in one process: the real engine over the real adapters, on strict fakes of AWS, with no HTTP between them.

Must not know what any operation should do.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config

from stagekeeper.aws.artifacts import Artifacts
from stagekeeper.aws.callers import Callers
from stagekeeper.aws.executions import Executions
from stagekeeper.aws.images import EcrClient, Images
from stagekeeper.aws.journal import Journal
from stagekeeper.aws.lambda_api import LambdaApi, LambdaClients
from stagekeeper.aws.stack_changes import CloudFormationClients, StackChanges
from stagekeeper.aws.stack_journal import StackJournal
from stagekeeper.aws.stacks import Stacks
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import Table
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import FunctionArn, OperationId, ServiceName, Stage, StageName
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.domain.request import DocumentRef
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.notice import notice
from stagekeeper.engine.telemetry import SweepTold
from tests.fake import FakeClock, FakeLambda, FakeStepFunctions
from tests.fake.cloudformation import FakeCloudFormation, FakeStack
from tests.fake.dynamodb import FakeDynamoDB
from tests.fake.s3 import Bucket, FakeS3
from tests.fake.store import Store as LambdaStore
from tests.fake.tables import Item

from .execution import Execution
from .wire import Wire

if TYPE_CHECKING:
    from botocore.client import BaseClient

REGION: Final = "eu-central-1"
SERVICE = "orders"
STACK_ROLE = "arn:aws:iam::123456789012:role/stacks"
#: The names of every account's table and artifact bucket.
TABLE, BUCKET = "state-table", "artifacts"
#: No client here waits in real time between its own retries.
_ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})

Functions = dict[str, dict[str, Any]]


#: The stack's parameters for sweeps, as they are by default.
DEFAULTS: Final = SweepSettings(keep=3, rollback_depth=5, grace_seconds=24 * 3600)


class TickingClock:
    """The fake's clock as the product asks for it. Every look takes a millisecond, so that no two moments are the same."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._due: list[tuple[float, Callable[[], object]]] = []
        #: So many times longer does a sleep take: for a test that waits for minutes, in which every look takes its time.
        self.stretch = 1.0

    def now(self) -> float:
        self.sleep(0.001)
        return self._clock.now

    def sleep(self, seconds: float) -> None:
        with self._guard:
            self._clock.advance(max(0.0, seconds) * self.stretch)
            due = [act for moment, act in self._due if moment <= self._clock.now]
            self._due = [entry for entry in self._due if entry[0] > self._clock.now]
        for act in due:
            act()

    def in_seconds(self, seconds: float, act: Callable[[], object]) -> None:
        """Let something happen by itself, this much later."""
        self._due.append((self._clock.now + seconds, act))


@dataclass(frozen=True)
class Saved:
    """A world to begin others from, since making it takes longer than most tests. ``bucket``: the artifact bucket, if that is
    kept."""

    names: tuple[str, ...]
    operations: int
    now: float
    items: dict[str, dict[str, Item]]
    store: LambdaStore
    before_last_change: LambdaStore | None
    bucket: Bucket | None = None


@dataclass
class World:
    """One account with ``functions`` that somebody's template made: logical name ``a`` is function ``orders-a``."""

    names: tuple[str, ...] = ("a", "b")
    fake_options: Mapping[str, Any] = field(default_factory=dict)
    saved: Saved | None = field(default=None, repr=False)
    operations: int = 0
    sweeping: SweepSettings = DEFAULTS

    def __post_init__(self) -> None:
        self.table, self.bucket = TABLE, BUCKET
        self.moments = FakeClock()
        self.clock = TickingClock(self.moments)
        self.wire = Wire()
        #: What Step Functions knows of the executions, and those that the product started and nobody ran yet.
        self.executions = FakeStepFunctions(
            REGION, clock=self.moments, machine="stagekeeper-operation", on_start=self._note_start
        )
        self._known: dict[str, Execution] = {}
        #: What Lambda held before the last change of it, for a test of stale reads that notes it.
        self.before_last_change: LambdaStore | None = None
        self._started: list[Execution] = []
        self.told: list[SweepTold] = []
        self.fake = FakeLambda(REGION, clock=self.moments, objects=self._object, **self.fake_options)
        self.stacks = FakeCloudFormation(REGION, clock=self.moments, lambda_=self.fake, objects=self._object)
        self.tables = FakeDynamoDB(REGION, clock=self.moments)
        self.tables.make_table(self.table)
        self.objects = FakeS3(REGION, clock=self.moments)
        self.objects.hold(self.bucket, Bucket())
        self.deps = self._deps()
        if self.saved is None:
            for name in self.names:
                self.create(name)
        else:
            self._restore(self.saved)

    def save(self) -> Saved:
        return Saved(
            self.names,
            self.operations,
            self.moments.now,
            self.tables.held(self.table),
            deepcopy(self.fake.held()),
            self.before_last_change,
        )

    def _restore(self, saved: Saved) -> None:
        self.names, self.operations, self.moments.now = saved.names, saved.operations, saved.now
        self.fake.hold(deepcopy(saved.store))
        self.before_last_change = saved.before_last_change
        self.tables.hold(self.table, saved.items)
        if saved.bucket is not None:
            self.objects.hold(self.bucket, saved.bucket)

    def _deps(self) -> Deps:
        # The product's three differ in how long they wait for an answer, which comes at once here.
        lambda_ = self.fake.direct_client(_ONCE)
        clients = LambdaClients(lambda_, lambda_, lambda_)
        dynamodb, s3 = self.tables.plain_client(_ONCE), self.objects.client(_ONCE)
        step_functions = self.executions.direct_client(_ONCE)
        every: tuple[BaseClient, ...] = (lambda_, dynamodb, s3, step_functions)
        for client in every:
            self.wire.tap(client)
        table = Table(dynamodb, self.table, self.clock)
        return Deps(
            lambda_api=LambdaApi(clients, self.clock),
            callers=Callers(clients.read, self.clock),
            artifacts=Artifacts(s3, self.bucket),
            table=table,
            store=Store(table),
            journal=Journal(table, self.clock),
            clock=self.clock,
            executions=Executions(self.executions.machine_arn, lambda: step_functions),
            stacks=Stacks(self.clock, lambda: self.stacks),
            stack_journal=StackJournal(table, self.clock),
            stack_changes=StackChanges(self.clock, STACK_ROLE, self.bucket, self._cloudformation),
            telemetry=self,
            images=Images(self._ecr),
        )

    def swept(self, told: SweepTold) -> None:
        """What a sweep tells those who watch."""
        self.told.append(told)

    def _cloudformation(self) -> CloudFormationClients:
        """Made only for a service from a template."""
        client = self.stacks.direct_client(_ONCE)
        self.wire.tap(client)
        return CloudFormationClients(client, client)

    def _ecr(self) -> EcrClient:
        """Made only for a service of container images, whose registry is moto's."""
        client: Any = boto3.client("ecr", region_name=REGION, config=_ONCE)
        self.wire.tap(client)
        tapped: EcrClient = client
        return tapped

    def _object(self, bucket: str, key: str, version: str | None) -> bytes | None:
        return self.objects.read(bucket, key, version)

    # What is there before an operation.

    def owned_by(self, stack: FakeStack, *names: str) -> None:
        """A stack made these functions: it has tagged them."""
        for name in names:
            self.fake.tag(lambda_name(name), {"aws:cloudformation:stack-id": stack.stack_id})

    def permit(self, name: str, qualifier: str | None = None, *, sid: str = "s", principal: str = "*") -> None:
        """Somebody lets others call a function, or one version or alias of it."""
        where = {} if qualifier is None else {"Qualifier": qualifier}
        self.fake.quietly(
            "AddPermission",
            FunctionName=lambda_name(name),
            StatementId=sid,
            Action="lambda:InvokeFunction",
            Principal=principal,
            **where,
        )

    def create(self, name: str, **configuration: Any) -> FunctionArn:
        """A function made by somebody's template, some time ago."""
        arn = FunctionArn(self.fake.create(lambda_name(name), f"{name} as created".encode(), **configuration))
        self.clock.sleep(60)
        return arn

    def arn(self, name: str) -> FunctionArn:
        return FunctionArn(f"arn:aws:lambda:{REGION}:{self.fake.account}:function:{lambda_name(name)}")

    def upload(self, name: str, text: str, *, checksum: bool = True) -> dict[str, Any]:
        """Code in S3, as a request names it."""
        key = f"code/{name}/{text}.zip"
        self.objects.put(self.bucket, key, f"{name}: {text}".encode(), checksum=checksum)
        return {"s3_bucket": self.bucket, "s3_key": key}

    def wish(self, name: str, text: str | None = None, **configuration: Any) -> dict[str, Any]:
        """One function of a deploy: with this code, or what $LATEST holds."""
        wish: dict[str, Any] = {"function_name": lambda_name(name)}
        if text is not None:
            wish["code"] = self.upload(name, text)
        if configuration:
            wish["configuration"] = configuration
        return wish

    def wishes(self, text: str | None, *names: str, **configuration: Any) -> Functions:
        """All functions of the service (or only ``names``) with the same code."""
        return {name: self.wish(name, text, **configuration) for name in names or self.names}

    # Operations.

    def begin(self, request: Mapping[str, Any], name: str | None = None) -> Execution:
        """Somebody starts an execution. Its steps are taken when the test says so."""
        self.operations += 1
        name = name or f"op-{self.operations}"
        # A name that was used before: a redrive, or one that AWS has forgotten (after 90 days).
        self.executions.executions.pop(name, None)
        about = {} if request["operation"] == "recover" else {"service": SERVICE}
        self.executions.start(name, {**about, **request})
        self._started.remove(self._known[name])
        return self._known[name]

    def _note_start(self, name: str, request: dict[str, Any]) -> None:
        self._known[name] = self.execution_of(name, request)
        self._started.append(self._known[name])

    def execution_of(self, name: str, request: dict[str, Any]) -> Execution:
        return Execution(self, name, request)

    def run_started(self) -> list[Execution]:
        """Run the executions that the product started since, to their ends; those."""
        ran = []
        while self._started:
            ran.append(self._started.pop(0))
            ran[-1].run()
        return ran

    def begun(self) -> list[Execution]:
        """Those that the product started since, which the test runs itself (or does not)."""
        begun, self._started = self._started, []
        return begun

    def recovery_of(self, name: str) -> Execution:
        """The recovery that begins when EventBridge tells that the execution of this operation ended. Its steps are not taken."""
        notice(self.deps, OperationId(name), name)
        (recovery,) = self._started
        self._started.clear()
        return recovery

    def notice(self, name: str) -> list[Execution]:
        """EventBridge tells that the execution of this operation ended; the recoveries that this began, run to their ends."""
        notice(self.deps, OperationId(name), name)
        return self.run_started()

    def deploy(self, stage: str | None, functions: Functions, name: str | None = None, **more: Any) -> Execution:
        """A deploy up to its end."""
        return self.begin(deploy_of(stage, functions, **more), name).run()

    def rollback(self, stage: str = "prod", name: str | None = None, **more: Any) -> Execution:
        """A rollback up to its end."""
        return self.begin({"operation": "rollback", "stage": stage, **more}, name).run()

    def read_document(self, reference: DocumentRef) -> bytes | Absent | Unreadable:
        return self.deps.artifacts.document(reference.s3_bucket, reference.s3_key, 8 * 1024 * 1024)

    def replace_code(self, name: str, text: str, body: bytes) -> None:
        """Put other code where ``upload`` put that of this name and text."""
        self.objects.put(self.bucket, f"code/{name}/{text}.zip", body)

    def put_item(self, item: dict[str, Any]) -> None:
        """Write into the state table behind the product's back."""
        self.tables.put(self.table, item)

    def forget_operation(self, name: str) -> None:
        """Take an operation's record away: nothing but its place in the lock is left of it."""
        self.forget((f"OPERATION#{name}", "OPERATION"))

    def forget(self, key: tuple[str, str]) -> None:
        """Take an item away behind the product's back."""
        self.tables.take_away(self.table, key)

    def put_items(self, written: Sequence[Mapping[str, Any]]) -> None:
        """Many at once."""
        for item in written:
            self.tables.put(self.table, item)

    def put_document(self, functions: Mapping[str, Any]) -> dict[str, Any]:
        """The functions of a deploy as a document in S3; the place as a request names it."""
        self.objects.put(self.bucket, "code/functions.json", json.dumps(functions).encode())
        return {"s3_bucket": self.bucket, "s3_key": "code/functions.json"}

    def put_template(self, text: str, name: str = "template.yaml") -> dict[str, Any]:
        """A packaged template in S3; the place as a request names it."""
        self.objects.put(self.bucket, f"code/{name}", text.encode())
        return {"s3_bucket": self.bucket, "s3_key": f"code/{name}"}

    def damage_request(self, operation: str, damage: Callable[[dict[str, Any]], object]) -> None:
        """Change the stored request of an operation in the artifact bucket."""
        key = self.operation(operation)["request_key"]
        body = json.loads(self.bodies("requests/")[key])
        damage(body["body"])
        self.objects.put(self.bucket, key, json.dumps(body).encode())

    # What tests look at.

    def aliases(self, stage: str = "prod") -> dict[str, str]:
        """Logical name -> the version that the stage's alias of it points at."""
        functions = {name: self.fake.aliases(lambda_name(name)) for name in self.names if self._exists(name)}
        return {name: aliases[stage] for name, aliases in functions.items() if stage in aliases}

    def code(self, stage: str = "prod") -> dict[str, str]:
        """Logical name -> the digest of the code that the stage's alias really serves."""
        return {name: self.fake.versions(lambda_name(name))[version] for name, version in self.aliases(stage).items()}

    def _exists(self, name: str) -> bool:
        return lambda_name(name) in self.fake.state()

    def items(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Every item of the table by its key."""
        return self.tables.items(self.table)

    def lasting(self, operation: str) -> dict[tuple[str, str], dict[str, Any]]:
        """All items but those a refused operation may change: its own record, the lock, and what S3 objects hashed to."""
        return {
            key: item
            for key, item in self.items().items()
            if key != (f"OPERATION#{operation}", "OPERATION") and key[1] not in ("LOCK", "OBJECT")
        }

    def bodies(self, prefix: str = "") -> dict[str, str]:
        """What lies in the artifact bucket, code left out."""
        keys = [key for key in self.objects.keys(self.bucket) if key.startswith(prefix) and not key.startswith("code/")]
        return {key: (self.objects.read(self.bucket, key) or b"").decode() for key in keys}

    def stage(self, name: str = "prod", service: str = SERVICE) -> Stage | None:
        return self.deps.store.stage(ServiceName(service), StageName(name))

    def recorded(self, name: str = "prod") -> dict[str, str]:
        """Logical name -> version, as the stage's record has it."""
        stage = self.stage(name)
        return {} if stage is None else {a.function: str(a.version) for a in stage.aliases.values()}

    def movements(self, stage: str = "prod", service: str = SERVICE) -> list[dict[str, Any]]:
        """The stage's ledger, oldest first."""
        found = self.items()
        keys = sorted(key for key in found if key[0] == f"SERVICE#{service}" and key[1].startswith(f"MOVEMENT#{stage}#"))
        return [found[key] for key in keys]

    def releases(self, service: str = SERVICE) -> list[int]:
        found = self.items()
        return sorted(
            int(i["release"]) for (pk, sk), i in found.items() if pk == f"SERVICE#{service}" and sk.startswith("RELEASE#")
        )

    def operation(self, name: str) -> dict[str, Any]:
        item = self.tables.item(self.table, (f"OPERATION#{name}", "OPERATION"))
        assert item is not None, f"there is no operation {name}"
        return item

    def claim(self, name: str) -> dict[str, Any] | None:
        return self.tables.item(self.table, (f"FUNCTION#{self.arn(name)}", "CLAIM"))

    def claimed(self) -> list[str]:
        """The logical names that some service claims."""
        return sorted(str(item["function"]) for (_, sk), item in self.items().items() if sk == "CLAIM")

    def held(self, service: str = SERVICE) -> dict[str, set[str]]:
        """Operation -> the lock's slots it holds; waiters hold nothing."""
        lock = self.deps.store.lock(ServiceName(service))
        return {entry.operation_id: set(entry.slots) for entry in lock.holders}

    def waiting(self) -> list[str]:
        return [entry.operation_id for entry in self.deps.store.lock(ServiceName(SERVICE)).queue]


def lambda_name(name: str) -> str:
    return f"orders-{name}"


def deploy_of(stage: str | None, functions: Functions, **more: Any) -> dict[str, Any]:
    """A deploy's request; without a stage where that is None."""
    return {"operation": "deploy", **({} if stage is None else {"stage": stage}), "functions": functions, **more}
