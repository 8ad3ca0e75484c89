"""A control plane whose operations go by a script: its table in memory, its executions on the strict fake, one clock for both.

Counts who asks what and when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws import items
from stagekeeper.aws.errors import translated
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import SCHEMA, Key, Table
from stagekeeper.cli.executing import Executions
from stagekeeper.cli.progress import Ended, Look, Subject
from stagekeeper.cli.session import Plane
from stagekeeper.cli.watching import YOUNG, Watcher
from stagekeeper.domain.lock import Lock
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.record import End, OperationRecord
from tests.adapters.clock import Clock
from tests.adapters.records import RECORD
from tests.fake import FakeClock
from tests.fake.step_functions import FakeStepFunctions
from tests.fake.wire import Answer, Params

from .looking import DEPLOY, DEV, OP, ORDERS

#: A deploy to dev whose record was opened just now.
DEPLOYING = replace(RECORD, operation_id=OP, execution=OP, stage=DEV)


class Shelf(Table):
    """A table in memory. ``calls`` are the moments of all reads, ``in_the_way`` raises what a read is to meet."""

    def __init__(self, clock: Clock) -> None:
        self.name = "table"
        self.items: dict[Key, dict[str, Any]] = {}
        self.calls: list[tuple[float, str]] = []
        self.in_the_way: Callable[[float], ClientError | BotoCoreError | None] = lambda _: None
        self._moments = clock

    def get(self, key: Key) -> dict[str, Any] | None:
        now = self._moments.now()
        self.calls.append((now, key.sk))
        error = self.in_the_way(now)
        if error is not None:
            raise translated(f"reading {key.sk} of table {self.name}", error) from error
        return self.items.get(key)

    def get_attributes(self, key: Key, *names: str) -> dict[str, Any] | None:
        item = self.get(key)
        return None if item is None else {name: item[name] for name in names if name in item}


class CountedStepFunctions(FakeStepFunctions):
    """``calls`` are the moments at which somebody asked about an execution, and which; ``before_answer`` comes in between."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock.moments)
        self.calls: list[tuple[float, str]] = []
        self.before_answer: Callable[[], None] = lambda: None

    def _describe(self, params: Params) -> Answer:
        self.calls.append((self.clock(), params["executionArn"].rpartition(":")[2]))
        self.before_answer()
        return super()._describe(params)


@dataclass
class World:
    """``script``: what happens when (seconds after the beginning), in order of time."""

    script: list[tuple[float, Callable[[World], None]]] = field(default_factory=list)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.clock = ScriptedClock(FakeClock(), world=self)
        self.began = self.clock.moments.now
        self.shelf = Shelf(self.clock)
        self.step_functions = CountedStepFunctions(self.clock)

    @property
    def plane(self) -> Plane:
        return Plane("stagekeeper", self.step_functions.machine_arn, "table", "bucket")

    def executions(self) -> Executions:
        return Executions(self.plane, self.step_functions.client, self.step_functions.client)

    def watch(self, subject: Subject = DEPLOY, known_within: float = YOUNG) -> list[Look]:
        """Every look until the end; their times are seconds after the beginning."""
        watcher = Watcher(self.executions(), Store(self.shelf), self.clock, subject, known_within)
        return [replace(look, at=look.at - self.began) for look in watcher.looks()]

    def follow_script(self) -> None:
        while self.script and self.began + self.script[0][0] <= self.clock.moments.now:
            self.script.pop(0)[1](self)

    # What happens.

    def runs(self, name: str = OP, request: Any = None) -> None:
        self.step_functions.start(name, request or {"operation": "deploy", "service": "orders", "stage": "dev"})

    def put(self, record: OperationRecord, end: End | None = None) -> None:
        item = {"schema": SCHEMA, **items.operation_item(record)}
        if end is not None:
            item |= items.end_attributes(end, "2026-01-05T09:00:00.000Z")
        self.shelf.items[items.operation_key(record.operation_id)] = item

    def lock(self, lock: Lock) -> None:
        self.shelf.items[items.lock_key(ORDERS)] = dict(items.lock_item(lock))

    # What was asked.

    def reads(self, sk: str = "OPERATION") -> list[float]:
        return [at - self.began for at, what in self.shelf.calls if what == sk]

    def asked(self, name: str = OP) -> list[float]:
        return [at - self.began for at, what in self.step_functions.calls if what == name]


@dataclass
class ScriptedClock(Clock):
    """What the script says happens while somebody sleeps."""

    world: World = field(kw_only=True)

    def now(self) -> float:
        self.world.follow_script()
        return super().now()


def putting(record: OperationRecord, end: End | None = None) -> Callable[[World], None]:
    return lambda world: world.put(record, end)


def gaps(moments: Sequence[float]) -> list[float]:
    return [round(later - earlier, 3) for earlier, later in pairwise(moments)]


def last(looks: Sequence[Look]) -> Ended | None:
    return looks[-1].ended


def operation(name: str, **more: Any) -> OperationRecord:
    return replace(DEPLOYING, operation_id=OperationId(name), execution=name, **more)
