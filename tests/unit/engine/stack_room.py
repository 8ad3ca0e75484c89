"""One account's CloudFormation, a worker on it, and templates to bring there. Must not know what a worker should do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from stagekeeper.aws.stack_changes import CloudFormationClients, StackChanges
from stagekeeper.domain.model import OperationId, ServiceName, StageName
from stagekeeper.domain.stack_work import Gone, Owner, Reached, StackProgress, Stuck, Wanted, WantedStack
from stagekeeper.engine.stack_work import Judge, Outcome, StackWorker, Waiting
from tests.fake import FakeClock
from tests.fake.cloudformation import FakeCloudFormation, FakeStack

NAME = "orders--dev"
OWNER = Owner(ServiceName("orders"), StageName("dev"), "state-table")
ROLE = "arn:aws:iam::123456789012:role/cloudformation"
BUCKET = "artifacts"


class Clock:
    """The fake's clock as the product asks for it."""

    def __init__(self, moments: FakeClock) -> None:
        self.moments = moments

    def now(self) -> float:
        return self.moments.now

    def sleep(self, seconds: float) -> None:
        self.moments.advance(seconds)


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def template(*, outputs: Mapping[str, Any] | None = None, **resources: Any) -> dict[str, Any]:
    return {"Resources": resources, **({"Outputs": {name: {"Value": v} for name, v in outputs.items()}} if outputs else {})}


class Room:
    """`mandate` is called before each effect."""

    def __init__(self, **options: Any) -> None:
        self.moments = FakeClock()
        self.clock = Clock(self.moments)
        self.objects: dict[tuple[str, str], bytes] = {}
        self.aws = FakeCloudFormation(
            "eu-central-1", clock=self.moments, objects=lambda bucket, key, _: self.objects.get((bucket, key)), **options
        )
        client = self.aws.client()
        self.changes = StackChanges(self.clock, ROLE, BUCKET, lambda: CloudFormationClients(client, client))
        self.mandate: Callable[[], None] = lambda: None
        self.judge: Judge = lambda _: None
        self.began_at = self.moments.now

    def wanted(self, body: Mapping[str, Any] | None = None, **parameters: str) -> WantedStack:
        """A template in the artifact bucket, and the stack that is to be made of it."""
        text = json.dumps(body if body is not None else template(Queue=queue()), sort_keys=True).encode()
        digest = hashlib.sha256(text).hexdigest()
        self.objects[BUCKET, f"templates/{digest}"] = text
        return WantedStack(NAME, OWNER, f"templates/{digest}", digest, parameters)

    @property
    def gone(self) -> Gone:
        return Gone(NAME, OWNER)

    def worker(self, operation: str = "op-1", *, stay: float = 600) -> StackWorker:
        return StackWorker(
            self.changes,
            self.clock,
            OperationId(operation),
            self.began_at,
            lambda: self.mandate(),
            self.clock.now() + stay,
        )

    def step(self, wanted: Wanted, progress: StackProgress | None = None, operation: str = "op-1") -> Outcome:
        """One invocation."""
        return self.worker(operation).advance(wanted, progress or StackProgress(), self.judge)

    def end(self, wanted: Wanted, operation: str = "op-1", *, forgetful: bool = False) -> Reached | Stuck:
        """As many invocations as it takes, each after the wait that the one before asked for.

        `forgetful`: none of them knows what the one before did.
        """
        progress = StackProgress()
        for _ in range(200):
            outcome = self.step(wanted, progress, operation)
            if not isinstance(outcome, Waiting):
                return outcome
            self.moments.advance(outcome.seconds)
            progress = StackProgress() if forgetful else outcome.progress
        raise AssertionError(f"still waiting: {outcome}")

    def deploy(self, body: Mapping[str, Any] | None = None, operation: str = "before", **parameters: str) -> Reached:
        """A stack that is there before the test begins."""
        reached = self.end(self.wanted(body, **parameters), operation)
        assert isinstance(reached, Reached), reached
        self.moments.advance(3600)
        self.began_at = self.moments.now
        self.aws.calls.clear()
        return reached

    @property
    def stack(self) -> FakeStack:
        return self.aws.stack(NAME)

    @property
    def is_there(self) -> bool:
        self.aws.finish()
        return NAME in self.aws.stacks

    def effects(self) -> list[str]:
        """What AWS was asked to do, in order."""
        return [name for name, _ in self.aws.calls if not name.startswith(("Describe", "List"))]
