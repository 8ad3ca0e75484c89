"""Every request of every handler, on record with the state whose handler made it.

The engine's world with its clients listened to; a state's threads have ended when its handler returns, so whatever is sent
meanwhile is the state's. Must not know any operation or policy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.client import BaseClient
from botocore.model import OperationModel

from stagekeeper.aws.stack_changes import StackChanges
from stagekeeper.domain.model import OperationId
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.notice import notice
from stagekeeper.handlers.orphaned_versions import Answer
from tests.fake.direct import line_of
from tests.fake.s3 import Versioning
from tests.unit.engine.custom_resource import Template
from tests.unit.engine.execution import Execution
from tests.unit.engine.wire import Wire
from tests.unit.engine.world import Saved, World

from .calls import Need, needs
from .template import ACCOUNT

#: The names that a stack's resources have in the tests of this package: those of the template.
TABLE, BUCKET = "StateTable", "ArtifactBucket"
STACK_ROLE = f"arn:aws:iam::{ACCOUNT}:role/StackRole"


@dataclass(frozen=True, slots=True)
class Call:
    """What the handler of a state, or of a rule, needed for one of its requests."""

    state: str
    need: Need
    #: The operation and the story that it was seen in, for people.
    operation: str = field(compare=False)
    story: str = field(compare=False)

    def __str__(self) -> str:
        return f"{self.state}: {self.need.action} on {self.need.resource} ({self.operation}, in {self.story})"


@dataclass
class Recorder:
    """``names`` are the real names of a world's table and bucket -> those of the template."""

    story: str
    names: Mapping[str, str]
    calls: set[Call] = field(default_factory=set)
    _states: list[str] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self, state: str) -> Iterator[None]:
        """While inside, requests are this state's."""
        self._states.append(state)
        try:
            yield
        finally:
            self._states.pop()

    def listen(self, client: BaseClient) -> None:
        line = line_of(client)
        if line is not None:
            line.asked.append(lambda operation, params: self.note(f"{line.service}.{operation.name}", params))
            return
        service = client.meta.service_model.service_id.hyphenize()
        handler: Callable[..., Any] = self._heard
        # Before botocore checks and changes parameters, and whatever becomes of the request: it was made.
        client.meta.events.register_first(f"before-parameter-build.{service}.*", handler)

    def _heard(self, params: Mapping[str, Any], model: OperationModel, event_name: str, **_: Any) -> None:
        self.note(f"{event_name.split('.')[1]}.{model.name}", params)

    def note(self, operation: str, params: Mapping[str, Any]) -> None:
        """A request of the state that is running. ``operation`` is service and operation as botocore names its events."""
        if not self._states:
            raise AssertionError(f"{operation} was called while no state was running: a thread outlived its handler")
        found = {Call(self._states[-1], self._renamed(need), operation, self.story) for need in needs(operation, params)}
        with self._guard:
            self.calls |= found

    def _renamed(self, need: Need) -> Need:
        service, _, place = need.resource.rpartition(":")
        name, slash, rest = place.removeprefix("table/").partition("/")
        if name not in self.names:
            return need
        table = "table/" if place.startswith("table/") else ""
        return replace(need, resource=f"{service}:{table}{self.names[name]}{slash}{rest}")


class _ListeningWire(Wire):
    """The engine's wire, on which everything is heard."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def tap(self, client: BaseClient) -> None:
        super().tap(client)
        self._recorder.listen(client)


class RecordedWorld(World):
    """An account whose states' requests are on record. Its bucket keeps versions, as the stack's does."""

    def __init__(self, story: str, *, pass_roles: str, saved: Saved) -> None:
        self._story, self._pass_roles = story, pass_roles
        super().__init__(saved=saved)
        if self.fake.account != ACCOUNT:
            raise AssertionError("the fake is of another account than the stack")
        self.keep_object_versions()

    def _deps(self) -> Deps:
        self.recorder = Recorder(self._story, {self.table: TABLE, self.bucket: BUCKET})
        self.wire = _ListeningWire(self.recorder)
        # What is asked without a boto3 client is not tapped.
        self.stacks.before = lambda operation, request: self.recorder.note(f"cloudformation.{operation}", request)
        deps = super()._deps()
        # The role's name is the template's, as those of the table and the bucket.
        changes = StackChanges(self.clock, STACK_ROLE, self.bucket, self._cloudformation)
        return replace(deps, pass_roles=self._pass_roles, stack_changes=changes)

    def notice(self, name: str) -> list[Execution]:
        self.begin_recoveries(name)
        return self.run_started()

    def begin_recoveries(self, name: str) -> None:
        """As ``notice``, but those that this began are the story's to run."""
        with self.recorder.running("Notice"):
            notice(self.deps, OperationId(name), name)

    def template_sends(self, kind: str, **properties: Any) -> Answer:
        """An event of a Custom::OrphanedVersions in somebody's stack."""
        with self.recorder.running("OrphanedVersions"):
            return Template(self).sends(kind, **properties)

    def execution_of(self, name: str, request: dict[str, Any]) -> Execution:
        return _RecordedExecution(self, name, request)

    def keep_object_versions(self, status: Versioning = "Enabled", bucket: str | None = None) -> None:
        self.objects.keep_versions(bucket or self.bucket, status)


class _RecordedExecution(Execution):
    def deliver(self, state: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
        assert isinstance(self.world, RecordedWorld)
        with self.world.recorder.running(state):
            return super().deliver(state, payload)
