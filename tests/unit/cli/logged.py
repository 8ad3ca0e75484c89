"""Functions with versions and what they logged, on the strict fakes of Lambda and CloudWatch Logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stagekeeper.aws.pace import Pace
from stagekeeper.cli.log_events import LogEvents
from stagekeeper.domain.model import FunctionArn, VersionNumber
from tests.adapters.clock import Clock
from tests.fake import FakeClock, FakeLambda
from tests.fake.log_events import FakeLogs

from .books import NOON, arn

#: The day of NOON, in UTC, and the one before.
TODAY, YESTERDAY = "2027/07/14", "2027/07/13"


@dataclass
class Logged:
    """What the functions logged. Its clock stands at NOON; `fast` keeps no pace."""

    clock: Clock = field(default_factory=lambda: Clock(FakeClock(NOON)))
    logs: FakeLogs = field(default_factory=FakeLogs)
    functions: FakeLambda = field(default_factory=lambda: FakeLambda(account="123456789012"))
    per_second: float = 1e6

    @property
    def events(self) -> LogEvents:
        return LogEvents(self.logs.client(), self.functions.client(), Pace(self.clock, self.per_second))

    def function(self, name: str, versions: int = 3, group: str | None = None) -> FunctionArn:
        where = arn(name)
        called = where.rpartition(":")[2]
        own: dict[str, Any] = {} if group is None else {"LoggingConfig": {"LogGroup": group}}
        self.functions.create(called, b"0", **own)
        for number in range(1, versions + 1):
            self.functions.publish(called, str(number).encode())
        self.logs.groups.add(group or f"/aws/lambda/{called}")
        return where

    def say(self, name: str, version: int, at: float, message: str, *, day: str = TODAY, group: str | None = None) -> None:
        """A line of an execution environment that began on this day, `at` seconds from noon."""
        called = arn(name).rpartition(":")[2]
        stream = f"{day}/{called if group else ''}[{version}]{version:032x}"
        self.logs.write(group or f"/aws/lambda/{called}", stream, NOON + at, message)

    def read(self, where: FunctionArn, version: int, since: float = -3600, until: float = 3600) -> list[str]:
        found = self.events.of_version(where, VersionNumber(version), NOON + since, NOON + until)
        return [event.message for event in found]
