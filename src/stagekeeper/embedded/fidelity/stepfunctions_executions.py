"""Executions: starting twice, stopping, timing out, and the limits on what they carry.

AWS's rules:
- the same name and input while running answers with the same execution; another input, or a name that has ended, is
  ExecutionAlreadyExists (recorded: test_start_execution_idempotent);
- an execution that was stopped stays ABORTED, whatever its task comes back with, and no attempt follows;
- a new definition is for executions that start after it (API reference, UpdateStateMachine);
- the machine's own TimeoutSeconds ends it as TIMED_OUT;
- a payload over 262,144 bytes is States.DataLimitExceeded, which like States.Runtime no States.ALL catches (Step
  Functions Developer Guide, "Quotas" and "Handling errors");
- `RedriveCount` is in the context object and in DescribeExecution (recorded: test_describe_execution).
"""

from __future__ import annotations

import contextvars
import json
import re
import threading
import time
from typing import Any

from stagekeeper.embedded.fidelity import answers
from stagekeeper.embedded.fidelity.patching import Answer, wrap

PAYLOAD_LIMIT = 262_144
_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]{1,80}")
_UNCATCHABLE = frozenset({"States.DataLimitExceeded", "States.Runtime"})
_LIMITED_EVENTS = re.compile(r"TaskSucceeded|\w+StateExited")


class ExecutionEnded(BaseException):
    """Unwinds the thread of an execution that is no longer running; no handler of ministack's may swallow it."""


def install(sfn: Any) -> None:
    rules = _Executions(sfn)
    wrap(sfn, "_start_execution", rules.starting)
    wrap(sfn, "_describe_execution", rules.describing)
    wrap(sfn, "_run_execution", rules.running)
    wrap(sfn, "_update_state_machine", rules.updating)
    wrap(sfn, "_fail_execution", rules.failing)
    wrap(sfn, "_add_event", rules.adding_event)
    wrap(sfn, "_error_matches", _matching)
    wrap(sfn, "_evaluate_jsonata", rules.with_redrive_count)
    wrap(sfn, "_resolve_ctx_path", rules.path_with_redrive_count)


class _Executions:
    def __init__(self, sfn: Any) -> None:
        self._sfn = sfn
        self._lock = threading.RLock()

    def starting(self, original: Any) -> Any:
        def start(data: dict[str, Any]) -> Answer:
            name, given = data.get("name"), data.get("input", "{}")
            if name is not None and not _NAME.fullmatch(name):
                return _error("InvalidName", f"Invalid Name: '{name}'")
            if len(given.encode()) > PAYLOAD_LIMIT:
                constraint = f"Member must have length less than or equal to {PAYLOAD_LIMIT}"
                return answers.malformed("***", "input", constraint)
            try:
                json.loads(given)
            except ValueError as error:
                return _error("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'")
            existing = self._existing(data.get("stateMachineArn", ""), name) if name else None
            if existing is None:
                answered: Answer = original(data)
                return answered
            if existing["status"] == "RUNNING" and existing["input"] == given:
                started = {"executionArn": existing["executionArn"], "startDate": existing["startDate"]}
                return answers.ok(started)
            return _error("ExecutionAlreadyExists", f"Execution Already Exists: '{existing['executionArn']}'")

        return start

    def _existing(self, machine_arn: str, name: str) -> dict[str, Any] | None:
        base = self._sfn._resolve_state_machine_arn(machine_arn.split("#")[0])
        if base is None:
            return None
        found: dict[str, Any] | None = self._sfn._executions.get(f"{base.replace(':stateMachine:', ':execution:')}:{name}")
        return found

    def updating(self, original: Any) -> Any:
        """Running executions keep the definition they began with; ministack's read theirs 0.15 s after the start."""

        def update(data: dict[str, Any]) -> Answer:
            deadline = time.monotonic() + 1
            while self._about_to_begin(data.get("stateMachineArn")) and time.monotonic() < deadline:
                time.sleep(0.01)
            answered: Answer = original(data)
            return answered

        return update

    def _about_to_begin(self, machine_arn: str | None) -> bool:
        return any(
            execution["stateMachineArn"] == machine_arn and execution["status"] == "RUNNING" and len(execution["events"]) == 1
            for execution in list(self._sfn._executions.values())
        )

    def describing(self, original: Any) -> Any:
        def describe(data: dict[str, Any]) -> Answer:
            return answers.edited(original(data), _with_redrive)

        return describe

    def running(self, original: Any) -> Any:
        def run(execution_arn: str) -> None:
            execution = self._sfn._executions.get(execution_arn)
            seconds = self._machine_timeout(execution) if execution is not None else None
            timer = None
            if seconds is not None:
                # The account and Region are context variables.
                timer = threading.Timer(seconds, contextvars.copy_context().run, (self._time_out, execution))
                timer.daemon = True
                timer.start()
            try:
                original(execution_arn)
            except ExecutionEnded:
                pass
            finally:
                if timer is not None:
                    timer.cancel()

        return run

    def _machine_timeout(self, execution: dict[str, Any]) -> float | None:
        machine = self._sfn._state_machines.get(execution["stateMachineArn"])
        seconds = json.loads(machine["definition"]).get("TimeoutSeconds") if machine is not None else None
        return float(seconds) if seconds is not None else None

    def _time_out(self, execution: dict[str, Any]) -> None:
        with self._lock:
            if execution["status"] != "RUNNING":
                return
            execution.update(status="TIMED_OUT", stopDate=self._sfn.now_iso())
        self._sfn._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {}})
        self._sfn._emit_execution_status_event(execution)

    def failing(self, original: Any) -> Any:
        def fail(execution: dict[str, Any], error: str, cause: str) -> None:
            with self._lock:
                if execution["status"] == "RUNNING":
                    original(execution, error, cause)

        return fail

    def adding_event(self, original: Any) -> Any:
        def add(execution: dict[str, Any], event_type: str, details: dict[str, Any] | None = None) -> Any:
            if execution.get("status", "RUNNING") != "RUNNING" and not event_type.startswith("Execution"):
                raise ExecutionEnded
            if _LIMITED_EVENTS.fullmatch(event_type):
                for detail in (details or {}).values():
                    if isinstance(detail, dict) and _is_too_large(detail.get("output")):
                        raise self._sfn._ExecutionError(
                            "States.DataLimitExceeded",
                            "The state/task returned a result with a size exceeding the maximum number of bytes service limit.",
                        )
            return original(execution, event_type, details)

        return add

    def with_redrive_count(self, original: Any) -> Any:
        def evaluate(expression: str, raw_input: Any, ctx: Any = None, *more: Any, **named: Any) -> Any:
            _count_redrives(ctx)
            return original(expression, raw_input, ctx, *more, **named)

        return evaluate

    def path_with_redrive_count(self, original: Any) -> Any:
        def resolve(path: str, ctx: Any) -> Any:
            _count_redrives(ctx)
            return original(path, ctx)

        return resolve


def _matching(original: Any) -> Any:
    def matches(error_equals: list[str], error: str) -> bool:
        if error in _UNCATCHABLE:
            return error in error_equals
        matched: bool = original(error_equals, error)
        return matched

    return matches


def _count_redrives(ctx: Any) -> None:
    """Nothing is ever redriven here, so the count is 0."""
    if isinstance(ctx, dict) and isinstance(ctx.get("Execution"), dict):
        ctx["Execution"].setdefault("RedriveCount", 0)


def _with_redrive(described: dict[str, Any]) -> dict[str, Any]:
    """What ministack leaves out, without what AWS leaves out: an output that is none, or is of a failure."""
    status = described["status"]
    shown = {key: value for key, value in described.items() if value is not None}
    if status != "SUCCEEDED":
        shown.pop("output", None)
        shown.pop("outputDetails", None)
    if status in ("FAILED", "ABORTED", "TIMED_OUT"):
        return {**shown, "redriveCount": 0, "redriveStatus": "REDRIVABLE"}
    reason = f"Execution is {status} and cannot be redriven"
    return {**shown, "redriveCount": 0, "redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}


def _is_too_large(payload: Any) -> bool:
    """ministack writes JSON with spaces and escapes, AWS counts the bytes of it without."""
    if not isinstance(payload, str) or len(payload) <= PAYLOAD_LIMIT:
        return False
    compact = json.dumps(json.loads(payload), separators=(",", ":"), ensure_ascii=False)
    return len(compact.encode()) > PAYLOAD_LIMIT


def _error(code: str, message: str) -> Answer:
    body = {"__type": code, "message": message}
    return 400, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(body).encode()
