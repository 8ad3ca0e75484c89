"""One execution: a request run through the real steps as the state machine does it, retries and Catch included.

Must not know what any operation should do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, cast

from stagekeeper.aws.errors import CallFailed
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import Request
from stagekeeper.engine.accept import accept
from stagekeeper.engine.acquire import acquire
from stagekeeper.engine.clean_up import clean_up
from stagekeeper.engine.commit import commit
from stagekeeper.engine.compensate import CutOff, compensate
from stagekeeper.engine.inspect import inspect
from stagekeeper.engine.move import move
from stagekeeper.engine.prepare import dry_run, prepare
from stagekeeper.engine.publish import publish
from stagekeeper.engine.step import Step, dump
from stagekeeper.engine.sweep import collect
from stagekeeper.engine.teardown import tear_down
from stagekeeper.handlers.request import parse

from .wire import Died

if TYPE_CHECKING:
    from .world import World


@dataclass
class Execution:
    """One execution of the state machine. ``state`` is the state that is entered next; None once it has ended."""

    world: World
    name: str
    request: dict[str, Any]
    state: str | None = "Accept"
    visited: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    output: dict[str, Any] | None = None
    error: str | None = None
    cause: dict[str, Any] = field(default_factory=dict)
    #: Each state is delivered this often, and only the last answer counts: StepFunctions delivers at least once.
    deliveries: int = 1
    _input: dict[str, Any] = field(default_factory=dict)

    @property
    def operation_id(self) -> OperationId:
        return OperationId(self.name)

    @property
    def outcome(self) -> str:
        """The output's outcome, or the code it failed with."""
        return str(self.output["outcome"]) if self.output is not None else str(self.error)

    @property
    def message(self) -> str:
        return str(self.cause["message"])

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

    def step(self) -> None:
        """Enter the next state and follow its answer; a Wait passes at once."""
        state = self.state
        if state is None:
            raise AssertionError(f"{self.name} has ended")
        self.visited.append(state)
        if len(self.visited) > 2000:
            raise AssertionError(f"{self.name} goes round in circles: {self.visited[-10:]}")
        answer: dict[str, Any] = {}
        try:
            for _ in range(self.deliveries):
                answer = self._retried(state)
        except Died:
            self.world.wire.mend()
            self.fail_state(state)
        except CallFailed as error:
            self._caught(state, type(error).__name__, str(error))
        except Exception as error:  # as the state machine's Catch; the handlers give it this name
            self._caught(state, "HandlerError", f"{type(error).__name__}: {error}")
        else:
            self._follow(state, answer)

    def _retried(self, state: str) -> dict[str, Any]:
        """As the machine's Retry: three more attempts for what may have happened; Compensate has five, for everything."""
        attempts = 6 if state == "Compensate" else 4
        for attempt in range(1, attempts + 1):
            try:
                return self.deliver(state)
            except CallFailed as error:
                if attempt == attempts or (state != "Compensate" and type(error).__name__ != "Unanswered"):
                    raise
            except Exception:
                if attempt == attempts or state != "Compensate":
                    raise
            self.world.clock.sleep(2.0**attempt)
        raise AssertionError("unreachable")

    def deliver(self, state: str) -> dict[str, Any]:
        """Hand the state to its handler once; the answer as it travels, with nothing followed."""
        answer = json.loads(json.dumps({"schema": 1, "state": state, **dump(self._handle(state))}))
        self.answers.append(answer)
        return cast("dict[str, Any]", answer)

    def _handle(self, state: str) -> Step:
        deps, operation_id, clock = self.world.deps, self.operation_id, self.world.clock
        match state:
            case "Accept":
                return accept(deps, operation_id, self._parsed())
            case "DryRun":
                return dry_run(deps, operation_id, self._parsed(), self.world.sweeping)
            case "Inspect":
                return inspect(deps, operation_id, self._parsed(), self.world.sweeping, clock.now() + 840)
            case "Lock":
                return acquire(deps, operation_id)
            case "Plan":
                return prepare(deps, operation_id)
            case "Publish":
                return publish(deps, operation_id, clock.now() + 840)
            case "Move":
                return move(deps, operation_id)
            case "TearDown":
                return tear_down(deps, operation_id, clock.now() + 840)
            case "Collect":
                return collect(deps, operation_id, clock.now() + 840)
            case "Commit":
                return commit(deps, operation_id)
            case "CleanUp":
                return clean_up(deps, operation_id)
            case "Compensate":
                told = self._input
                cut_off = CutOff(told["state"], told["error"], told["why"]) if "why" in told else None
                return compensate(deps, operation_id, cut_off)
        raise AssertionError(f"there is no state {state}")

    def _parsed(self) -> Request | Refusal:
        return parse(self.request, self.world.read_document)

    def fail_state(self, state: str) -> None:
        """Lambda tells at once that the worker's process is gone; calls of it may still be under way."""
        self._caught(state, "Runtime.ExitError", "the worker died")

    def _caught(self, state: str, error: str, why: str) -> None:
        if state == "Compensate":
            message = f"Putting the operation back failed: {error}: {why}"
            self._end(None, "Internal", {"message": message, "blockers": [], "operation_id": self.name, "warnings": []})
            return
        self._input = {"state": state, "error": error, "why": why}
        self.state = "Compensate"

    def _follow(self, state: str, answer: dict[str, Any]) -> None:
        self._input = answer
        match answer["next"]:
            case "Wait":
                self.world.clock.sleep(answer["seconds"])
                self.state = state
            case "Succeed":
                self._end(answer["output"], None, {})
            case "Fail":
                self._end(None, answer["error"], answer["cause"])
            case following:
                self.state = following

    def _end(self, output: dict[str, Any] | None, error: str | None, cause: dict[str, Any]) -> None:
        self.state, self.output, self.error, self.cause = None, output, error, cause
