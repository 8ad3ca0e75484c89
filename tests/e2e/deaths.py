"""Executions that are stopped in the middle of their operations, and what became of those.

The worker that is at it is not told, as on AWS: it goes on until it looks at the epoch again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .plane import ControlPlane, unique
from .service import Service

#: So long (seconds) may a recovery take, from the end of the execution that died to its own.
RECOVERED_WITHIN = 60


@dataclass(frozen=True)
class Death:
    """An operation whose execution was stopped, or timed out."""

    service: Service
    stage: str | None
    operation_id: str
    arn: str

    @property
    def plane(self) -> ControlPlane:
        return self.service.plane

    def until_over(self) -> dict[str, Any]:
        """The operation's record once somebody has ended it, and the execution that did is over as well."""
        self.plane.until(lambda: "ended_at" in self.plane.operation(self.operation_id))
        record = self.plane.operation(self.operation_id)
        self.plane.until(lambda: self._described(record["execution"])["status"] != "RUNNING")
        return record

    def until_carried_on(self) -> None:
        """Until a recovery has taken the operation over."""
        self.plane.until(lambda: self.plane.operation(self.operation_id)["execution"] != self.operation_id)

    def seconds(self) -> tuple[float, float]:
        """From the execution's end to the recovery's begin and to its end, by Step Functions' own times."""
        died = self._described(self.operation_id)["stopDate"]
        recovery = self._described(self.until_over()["execution"])
        return (recovery["startDate"] - died).total_seconds(), (recovery["stopDate"] - died).total_seconds()

    def _described(self, name: str) -> dict[str, Any]:
        arn = f"{self.plane.machine.replace(':stateMachine:', ':execution:')}:{name}"
        described: dict[str, Any] = self.plane.client("stepfunctions").describe_execution(executionArn=arn)
        return described


def start(service: Service, request: Mapping[str, Any]) -> Death:
    """Start an operation that is to die."""
    name = unique("dies")
    return Death(service, request.get("stage"), name, service.plane.start(request, name))


def stop_when(dying: Death, phase: str, also: Callable[[], object] = lambda: True) -> Death:
    """Stop the execution as soon as its operation is in this phase, and what else is asked for is true."""
    plane = dying.plane

    def there() -> bool:
        record = plane.operation(dying.operation_id)
        assert "ended_at" not in record, f"{dying.operation_id} ended before it was in phase {phase}: {record['end']}"
        return record.get("phase") == phase and record["status"] != "planned" and bool(also())

    plane.until(there)
    plane.stop(dying.arn)
    return dying


def touch(service: Service, stage: str) -> None:
    """Somebody changes what does not matter of every alias: its next move takes three calls instead of one."""
    lambda_ = service.plane.client("lambda")
    for function in service.functions.values():
        lambda_.update_alias(FunctionName=function, Name=stage, Description="touched")


@contextlib.contextmanager
def nobody_told(plane: ControlPlane) -> Iterator[None]:
    """While inside, EventBridge tells nobody that an execution ended."""
    rule, events = plane.resource("ExecutionEnds"), plane.client("events")
    events.disable_rule(Name=rule)
    try:
        yield
    finally:
        events.enable_rule(Name=rule)


def aliases(service: Service, stage: str) -> dict[str, str]:
    """Logical name -> the version that the stage's alias serves, where there is one."""
    found = {logical: service.alias(logical, stage) for logical in service.functions}
    return {logical: alias["FunctionVersion"] for logical, alias in found.items() if alias is not None}


def assert_lock_is_free(service: Service) -> None:
    lock = service.plane.item(f"SERVICE#{service.name}", "LOCK")
    assert lock is not None
    assert (lock["holders"], lock["queue"]) == ({}, [])


def assert_nothing_leaked(service: Service) -> None:
    """Every version that there is of the service's functions is on record as published by Stagekeeper."""
    for logical in service.functions:
        items = service.plane.items(f"FUNCTION#{service.arn(logical)}", "VERSION#")
        assert {str(item["version"]) for item in items} >= set(service.versions(logical)), logical
