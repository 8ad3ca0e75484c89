"""CloudFormation's side of a custom resource: events as it sends them, and the work they bring about. Knows no rule of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.engine.own_stack import RollingBack, look_at_own
from stagekeeper.handlers.orphaned_versions import Answer, Done
from stagekeeper.handlers.orphaned_versions_request import answer_with

from .world import REGION, World

STACK: Final = SweepSettings(keep=1, rollback_depth=2, grace_seconds=24 * 3600)
#: How long (seconds) work may be begun, in a Lambda of 15 minutes.
TIME: Final = 840.0


@dataclass
class Template:
    """Somebody's stack ``shop`` with the custom resource, in the account of ``world``."""

    world: World
    status: str = "UPDATE_IN_PROGRESS"
    settings: SweepSettings = STACK
    time: float = TIME
    done: Done = field(default_factory=Done)

    def __post_init__(self) -> None:
        self.stack = self.world.stacks.put("shop", self.status)

    def event(self, kind: str, properties: object) -> dict[str, Any]:
        return {
            "RequestType": kind,
            "StackId": self.stack.stack_id,
            "RequestId": "request-1",
            "LogicalResourceId": "CleanUp",
            "ResourceType": "Custom::OrphanedVersions",
            "ResourceProperties": properties,
        }

    def sends(self, kind: str = "Update", /, **properties: Any) -> Answer:
        """An event, and what it comes to. Functions are given as ``FunctionNames``, all of the world's unless said otherwise."""
        if not {"Service", "FunctionNames"} & properties.keys():
            properties["FunctionNames"] = [self.world.arn(name) for name in self.world.names]
        return self.sends_exactly(kind, {"ServiceToken": "arn:ours", **properties})

    def sends_exactly(self, kind: str, properties: object) -> Answer:
        deps = self.world.deps
        own = look_at_own(deps.stacks, self.stack.stack_id)
        if isinstance(own, RollingBack):
            return Answer("Rollback", own.why)
        me = f"arn:aws:lambda:{REGION}:{self.world.fake.account}:function:stagekeeper-OrphanedVersionsFunction-1"
        deadline = self.world.clock.now() + self.time
        return answer_with(deps, self.settings, self.event(kind, properties), me, own, deadline, self.done)
