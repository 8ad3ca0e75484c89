"""Plays operations on an account: begins, steps, stops and recovers executions, and looks after each what came of it.

Which operation does what, and when, is the caller's to say. Must not know how the product decides anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stagekeeper.aws.errors import CallFailed
from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.model import OperationId
from stagekeeper.engine.notice import notice
from tests.unit.engine.wire import Died
from tests.unit.engine.world import Saved

from . import mishaps
from .account import Account, Watched
from .reality import Aws
from .story import Intent, Story
from .watch import Operation, Watch

#: Outcomes of an operation that something came in between of.
_PUT_BACK = frozenset({"Compensated", "Internal", "Drifted", "AliasOwnedElsewhere", "NeedsAttention", "Unreadable"})
_BY_HAND = frozenset({"Drifted", "AliasOwnedElsewhere", "Compensated"})
#: More steps than any operation takes once nobody is in its way.
_ENOUGH = 60


class Play(Watch):
    """One history. ``running`` are the executions that may be stepped, recoveries included."""

    def __init__(self, saved: Saved, story: Story) -> None:
        super().__init__(Account(saved=saved), story)
        self.running: list[Watched] = []
        #: Executions that were stopped, each with the state that a worker of it was in.
        self.stopped: list[tuple[Watched, str]] = []
        #: What happened so far, for whoever looks for the reason of a failure.
        self.log: list[str] = []

    # Operations.

    def begin(self, request: Mapping[str, Any]) -> Watched:
        execution = self.world.begin(request)
        assert isinstance(execution, Watched)
        self.log.append(f"{execution.name} begins: {dict(request)}")
        if request["operation"] != "recover":
            operation = Operation(execution.name, request)
            if request["operation"] == "sweep":
                operation.intent = Intent(frozenset({"planned" if request.get("mode") != "delete" else "succeeded"}))
            self.operations[execution.name] = operation
        self.running.append(execution)
        return execution

    def operation_of(self, execution: Watched) -> Operation | None:
        """The one that an execution carries: its own, or that which it recovers."""
        return self.operations.get(execution.subject)

    def step(self, execution: Watched, enter: Callable[[Watched], object] = Watched.step) -> None:
        """Enter the next state, and look what came of it."""
        operation = self.operation_of(execution)
        self._since = self.world.moments.now
        state = execution.state
        if operation is not None:
            self._acting = operation.name
            if execution.name == operation.name:
                self._expect(operation, str(execution.state))
        try:
            enter(execution)
        finally:
            self.world.wire.mend()
            self.log.append(f"{execution.name} {state} -> {execution.state or execution.outcome}")
        self._note_wait(execution)
        self._take_over_begun()
        self.look()
        if execution.state is None and execution in self.running:
            self.running.remove(execution)
            if operation is not None and execution.name == operation.name:
                self._ended(execution, operation)

    def get_on(self, execution: Watched, most: int) -> None:
        """As many steps, or fewer: until it waits for somebody."""
        for _ in range(most):
            if execution.state is None:
                return
            self.step(execution)
            if execution.waits:
                return

    def _note_wait(self, execution: Watched) -> None:
        operation = self.operation_of(execution)
        if operation is not None and execution.visited[-1:] in (["Lock"], ["Collect"]) and len(self.open()) > 1:
            operation.waited = True

    def _take_over_begun(self) -> None:
        """What the product started while somebody waited or was held up, and what has not ended by now."""
        for execution in self.world.meanwhile:
            self._note_wait(execution)
            self.log.append(f"{execution.name} began meanwhile: {execution.visited} -> {execution.state or execution.outcome}")
        self.running += [execution for execution in self.world.meanwhile if execution.state is not None]
        self.world.meanwhile.clear()

    def _expect(self, operation: Operation, state: str) -> None:
        aws = self.aws()
        if state == "Plan" and operation.kind != "sweep" and not operation.committed:
            operation.intent = self.story.expect(operation.request, aws)
            operation.before = {f: version for (at, f), version in aws.aliases.items() if at == operation.stage}
            stage = self.story.stages.get(operation.stage or "")
            operation.recorded = {} if stage is None else dict(stage.serves)
            operation.hand.clear()
        if state == "Inspect" and operation.kind == "verify":
            operation.intent = self._expect_verify(operation.request, aws)

    def _expect_verify(self, request: Mapping[str, Any], aws: Aws) -> Intent:
        name = request.get("stage")
        if name is not None and name not in self.story.stages:
            return Intent(frozenset({"StageNotFound"}))
        stages = self.story.stages if name is None else [name]
        served = [((each, f), version) for each in stages for f, version in self.story.stages[each].serves.items()]
        drifted = any(aws.aliases.get(place) != version or place in aws.weights for place, version in served)
        moving = any(operation.kind not in ("sweep", "verify") for operation in self.open())
        return Intent(frozenset({"Drifted", "unchanged"} if moving else {"Drifted" if drifted else "unchanged"}))

    def _ended(self, execution: Watched, operation: Operation) -> None:
        """An execution ended by itself: with what it ought to come to, and as the record has it."""
        intent = operation.intent
        allowed = set() if intent is None else set(intent.outcomes)
        if operation.hand or "latest" in operation.disturbed:
            allowed |= _BY_HAND
        if operation.disturbed - {"latest"}:
            allowed |= _PUT_BACK
        if operation.waited:
            allowed |= {"Locked"} | ({"NeedsAttention"} if operation.kind == "sweep" else set())
        said = f"{operation.kind} {operation.name} {dict(operation.request)} ended {execution.outcome}: {execution.cause}"
        assert execution.outcome in allowed, f"{said}; it ought to be {sorted(allowed)}, disturbed by {operation.disturbed}"
        item = self.record.operation(operation.name)
        if item is None:
            operation.over = True
        elif operation.kind not in ("verify",):
            assert "ended_at" in item, f"{said}, but its record goes on"
            end = item["end"]
            assert end.get("error", end.get("output", {}).get("outcome")) == execution.outcome, f"{said}, recorded as {end}"

    # Stopping, noticing, recovering.

    def stop(self, execution: Watched) -> None:
        """Somebody stops it. What a worker of it is doing goes on, or comes later."""
        state = execution.state
        if state is None:
            return
        operation = self.operation_of(execution)
        if operation is not None:
            operation.disturbed.add("stopped")
            operation.met.add("stopped")
            operation.stopped = True
        self.log.append(f"{execution.name} is stopped in {state}")
        execution.stop()
        self.stopped.append((execution, state))
        self.running.remove(execution)

    def notice(self, execution: Watched, *, at_once: bool) -> None:
        """The rule on executions' ends tells of it. The recoveries get on at once, or are stepped like others."""
        self._since = self.world.moments.now
        notice(self.world.deps, OperationId(execution.subject), execution.name)
        started = [each for each in self.world.begun() if isinstance(each, Watched)]
        self.running += started
        if at_once:
            for recovery in started:
                self.get_on(recovery, 12)
        self.look()

    def late(self, execution: Watched, state: str) -> None:
        """A worker of a stopped execution does its state only now."""
        self._since = self.world.moments.now
        operation = self.operation_of(execution)
        self._acting = None if operation is None else operation.name
        self.log.append(f"{execution.name} late in {state}")
        try:
            execution.deliver(state, execution.told)
        except (Superseded, CallFailed, Died):
            pass
        finally:
            self.world.wire.mend()
        self._take_over_begun()
        self.look()

    def overtaken(self, execution: Watched, at: int, first: Callable[[], object]) -> bool:
        """Its worker is held up before its request of this number; meanwhile ``first`` happens, and the execution is stopped and
        its recovery gets on. Whether the worker came that far."""
        state = execution.state
        assert state is not None
        if self.operation_of(execution) is None:
            self.step(execution)
            return False

        def meanwhile() -> None:
            with self.noting():
                first()
                self.stop(execution)
                notice(self.world.deps, OperationId(execution.subject), execution.name)
                self.world.run_started()

        mishap = mishaps.overtaken(self.world.wire, at, meanwhile)
        self.step(execution, lambda each: self._enter_late(each, state))
        return mishap.happened

    def _enter_late(self, execution: Watched, state: str) -> None:
        """As ``step``, but a worker of a stopped execution answers nobody."""
        try:
            execution.step()
        finally:
            if (execution, state) in self.stopped:
                self.world.cut(execution)

    # The end of a history.

    def rest(self) -> None:
        """Let everything under way come to its end, recovering what was stopped; then nothing may be left over."""
        for _ in range(_ENOUGH):
            at_work = [execution for execution in self.running if execution.state not in ("Lock", "Collect", "Recover")]
            for execution in at_work or list(self.running):
                if execution in self.running:
                    self.step(execution)
            if not self.running:
                for execution, _ in self.stopped:
                    self.notice(execution, at_once=False)
            if not self.running:
                break
        self._forget_unrecorded()
        if self.open():
            # Recovered in vain too often: from then on somebody has to ask for it.
            recovery = self.begin({"operation": "recover", "service": "orders"})
            for _ in range(_ENOUGH):
                for execution in list(self.running):
                    if execution in self.running and recovery.state is not None:
                        self.step(execution)
        still = [(operation.name, operation.kind) for operation in self.open()]
        assert not still, f"these have not ended: {still}, running {[e.name for e in self.running]}"

    def _forget_unrecorded(self) -> None:
        """One that was stopped before it was on record has done nothing, and never will."""
        for operation in self.open():
            if operation.stopped and self.record.operation(operation.name) is None:
                operation.over = True

    def verify_all(self) -> None:
        """Once nothing is under way, ``verify`` agrees with the story."""
        for request in [{"operation": "verify"}, *({"operation": "verify", "stage": name} for name in self.story.stages)]:
            verify = self.begin(request)
            while verify.state is not None:
                self.step(verify)
