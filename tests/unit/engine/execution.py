"""One execution: a request run through the real steps along the real definition, with its retries and its Catch.

Must not know what any operation should do.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, cast

from stagekeeper.aws.errors import CallFailed
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.record import Carrier
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import RecoverRequest, Request
from stagekeeper.engine.accept import accept
from stagekeeper.engine.acquire import acquire
from stagekeeper.engine.clean_up import clean_up
from stagekeeper.engine.commit import commit
from stagekeeper.engine.compensate import CutOff, compensate
from stagekeeper.engine.inspect import inspect
from stagekeeper.engine.move import move
from stagekeeper.engine.prepare import dry_run, prepare
from stagekeeper.engine.publish import publish
from stagekeeper.engine.recover import recover
from stagekeeper.engine.stacks import change_stacks
from stagekeeper.engine.step import Step, dump
from stagekeeper.engine.sweep import collect
from stagekeeper.engine.teardown import tear_down
from stagekeeper.handlers.request import parse

from .machine import Machine, Task, TaskFailed, Walk
from .wire import Died

if TYPE_CHECKING:
    from .world import World

MACHINE: Final = Machine.load(Path(__file__).parents[3] / "src" / "statemachine" / "operation.asl.json")


@dataclass
class Execution:
    """One execution of the state machine. ``state`` is the task that is entered next; None once it has ended."""

    world: World
    name: str
    request: dict[str, Any]
    #: The tasks that were entered.
    visited: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    output: dict[str, Any] | None = None
    error: str | None = None
    cause: dict[str, Any] = field(default_factory=dict)
    #: Each state is delivered this often, and only the last answer counts: StepFunctions delivers at least once.
    deliveries: int = 1
    #: Called when the task that is being delivered has come back to nobody: Step Functions gave it up before.
    when_late: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        self._walk = Walk(MACHINE, self.name, self.request, self._sleep)

    @property
    def state(self) -> str | None:
        return self._walk.state

    @property
    def operation_id(self) -> OperationId:
        return OperationId(self.name)

    @property
    def carrier(self) -> Carrier:
        """This execution as the one that carries the operation of its name."""
        return Carrier(self.operation_id, self.name)

    @property
    def outcome(self) -> str:
        """The output's outcome, or the code it failed with."""
        return str(self.output["outcome"]) if self.output is not None else str(self.error)

    @property
    def message(self) -> str:
        return str(self.cause["message"])

    @property
    def path(self) -> list[str]:
        """Every state that was entered, also those that are no tasks."""
        return self._walk.visited

    def run(self) -> Self:
        """Up to the end."""
        while self.state is not None:
            self.step()
        return self

    def run_to(self, state: str) -> Self:
        """Until ``state`` would be entered next."""
        while self.state != state:
            if self.state is None:
                raise AssertionError(f"{self.name} ended ({self.outcome}: {self.cause}) without entering {state}")
            self.step()
        return self

    def twin(self) -> Execution:
        """The same execution once more, at the same state: for one that goes on while a task of this one is still at work."""
        twin = replace(self, visited=[*self.visited], answers=[*self.answers])
        twin._walk = copy.copy(self._walk)
        twin._walk.visited, twin._walk.variables = [*self.path], {**self._walk.variables}
        return twin

    def stop(self, why: str | None = None) -> None:
        """Somebody stops the execution. A worker of it is not told."""
        self._walk.state, self.error = None, "ABORTED"
        self.world.executions.stop(self.name, why)

    def step(self) -> None:
        """Enter the next task and follow its answer up to the task after it; a Wait passes at once."""
        self._enter(self._deliver)

    def _enter(self, deliver: Any) -> None:
        state = self.state
        if state is None:
            raise AssertionError(f"{self.name} has ended")
        self.visited.append(state)
        if len(self.visited) > 2000:
            raise AssertionError(f"{self.name} goes round in circles: {self.visited[-10:]}")
        self._walk.enter(deliver)
        while self.state is not None and not isinstance(MACHINE.states[self.state], Task):
            self._walk.enter(deliver)
        if self.state is None and self.error is None:
            self._note_end()

    def _sleep(self, seconds: float) -> None:
        """While this execution waits, others that were started get on."""
        self.world.run_started()
        self.world.clock.sleep(seconds)

    def _deliver(self, state: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """As Lambda: an exception arrives under its class's name, and a dead process at once."""
        answer: dict[str, Any] = {}
        try:
            try:
                for _ in range(self.deliveries):
                    answer = self.deliver(state, payload)
            finally:
                if self.when_late is not None:
                    self.when_late()
            if self.world.wire.probe is not None:
                self.world.wire.probe(None)
        except Died:
            self.world.wire.mend()
            if self.world.wire.death is None:
                self.stop()
                raise
            raise TaskFailed(self.world.wire.death, "the worker died") from None
        except CallFailed as error:
            raise TaskFailed(type(error).__name__, str(error)) from error
        except Exception as error:  # the handlers give it this name
            raise TaskFailed("HandlerError", f"{type(error).__name__}: {error}") from error
        return answer

    def deliver(self, state: str, payload: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Hand the state to its handler once; the answer as it travels, with nothing followed."""
        told = {"operation_id": self.name, "execution": self.name} if payload is None else payload
        step = self._handle(state, told)
        answer = {"schema": 1, "state": state, "operation_id": told["operation_id"], **dump(step)}
        self.answers.append(json.loads(json.dumps(answer)))
        return self.answers[-1]

    def _handle(self, state: str, told: Mapping[str, Any]) -> Step:
        deps, clock = self.world.deps, self.world.clock
        carrier = Carrier(OperationId(told["operation_id"]), told["execution"])
        match state:
            case "Accept":
                return accept(deps, carrier.operation_id, self._parsed())
            case "DryRun":
                return dry_run(deps, carrier.operation_id, self._parsed(), self.world.sweeping)
            case "Inspect":
                return inspect(deps, carrier, self._parsed(), self.world.sweeping, clock.now() + 840)
            case "Recover":
                request = self._parsed()
                assert isinstance(request, RecoverRequest)
                return recover(deps, carrier, request, told.get("following"))
            case "Lock":
                return acquire(deps, carrier)
            case "Plan":
                return prepare(deps, carrier)
            case "Stacks":
                return change_stacks(deps, carrier, clock.now() + 240)
            case "Publish":
                return publish(deps, carrier, clock.now() + 840)
            case "Move":
                return move(deps, carrier)
            case "TearDown":
                return tear_down(deps, carrier, clock.now() + 840)
            case "Collect":
                return collect(deps, carrier, clock.now() + 840)
            case "Commit":
                return commit(deps, carrier)
            case "CleanUp":
                return clean_up(deps, carrier)
            case "Compensate":
                cut_off = told.get("cut_off")
                return compensate(deps, carrier, None if cut_off is None else CutOff(**cut_off))
        raise AssertionError(f"there is no state {state}")

    def _parsed(self) -> Request | Refusal:
        return parse(self.request, self.world.read_document)

    def fail_state(self, state: str, error: str = "Runtime.ExitError") -> None:
        """The worker is given up: its process is gone, or its time is over; calls of it may still be under way."""

        def gone(_: str, __: Any) -> Any:
            raise TaskFailed(error, "the worker died")

        assert self.state == state, f"{self.name} is about to enter {self.state}"
        self._enter(gone)

    def _note_end(self) -> None:
        walk = self._walk
        if walk.error is None:
            self.output = cast("dict[str, Any]", walk.output)
            self.world.executions.succeed(self.name, walk.output)
        else:
            self.error, self.cause = walk.error, json.loads(walk.cause or "{}")
            self.world.executions.fail(self.name, walk.error, walk.cause or "")
