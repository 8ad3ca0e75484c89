"""An account in which executions may be left where they are: whoever waits for one of them waits until its own patience ends.

So nothing here runs to its end by itself: what the product starts while somebody else waits, or is held up, gets on for a few
states and is then left to the history. And nothing may go round in circles: a product that did is a failure, not a hang.

Must not know what any operation should do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.unit.engine.execution import Execution
from tests.unit.engine.wire import Sent
from tests.unit.engine.world import World

from .reality import Record

#: So many states does an execution take by itself, at most, before the history goes on with something else.
_AT_ONCE = 12
#: So many states may be entered for an operation while nothing of it changes. Whoever waits for a lock asks about 190 times until
#: its half hour is over, and others go on for it when it is stopped.
_STATES = 600
#: So many requests may one state send. A sweep, which does most in one, sends a few dozen for each batch.
_REQUESTS = 3000


class Livelock(BaseException):
    """Something goes round in circles. No Exception: to the product that would be a failed call."""


@dataclass
class _Patience:
    """How long an operation has been as it is."""

    seen: Mapping[str, Any] = field(default_factory=dict)
    states: int = 0


class Watched(Execution):
    """An execution whose states and requests are counted."""

    world: Account

    def _enter(self, deliver: Any) -> None:
        with_requests = self.world.requests
        with_requests.append(0)
        try:
            super()._enter(deliver)
        finally:
            with_requests.pop()
        self.world.note_state(self)

    @property
    def subject(self) -> str:
        """The operation that it is about: its own, or that which it recovers."""
        return str(self.request.get("operation_id", self.name))

    @property
    def told(self) -> dict[str, str]:
        """What a state of it is told: of a recovery that took over, the other operation."""
        return {"operation_id": str(self._walk.variables.get("operation_id", self.name)), "execution": self.name}

    @property
    def waits(self) -> bool:
        """Whether the last state told it to come back to the same one."""
        return self.state is not None and self.visited[-1:] == [self.state]

    def get_on(self, most: int = _AT_ONCE) -> None:
        """Until it waits for somebody, and for no more than so many states."""
        for _ in range(most):
            if self.state is None:
                return
            self.step()
            if self.waits:
                return


@dataclass
class Account(World):
    """See the module. ``meanwhile`` are the executions that began by themselves since somebody took them over."""

    meanwhile: list[Watched] = field(default_factory=list)
    requests: list[int] = field(default_factory=lambda: [0])
    _patience: dict[str, _Patience] = field(default_factory=dict)
    _getting_on: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._record = Record(self)
        self.wire.probe = self._count

    def execution_of(self, name: str, request: dict[str, Any]) -> Execution:
        return Watched(self, name, request)

    def cut(self, execution: Execution) -> None:
        """A stopped execution enters no state any more, whatever a worker of it still answered."""
        execution._walk.state = None

    def run_started(self) -> list[Execution]:
        """What the product started gets on, unless something that was started does so already."""
        started = self.begun()
        fresh = [execution for execution in started if isinstance(execution, Watched)]
        self.meanwhile += fresh
        if not self._getting_on:
            self._getting_on = True
            try:
                for execution in fresh:
                    execution.get_on()
            finally:
                self._getting_on = False
        return started

    def _count(self, _: Sent | None) -> None:
        self.requests[-1] += 1
        if self.requests[-1] > _REQUESTS:
            raise Livelock(f"one state has sent {self.requests[-1]} requests, the last ones {self.wire.sent[-20:]}")

    def note_state(self, execution: Watched) -> None:
        patience = self._patience.setdefault(execution.subject, _Patience())
        now = self._record.milestones(execution.subject)
        patience.states = patience.states + 1 if now == patience.seen else 0
        patience.seen = now
        if patience.states > _STATES:
            last = execution.visited[-20:]
            raise Livelock(f"{execution.name} has taken {patience.states} states without getting anywhere: {last}")
