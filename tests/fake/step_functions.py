"""The strict in-memory fake of AWS Step Functions: executions that are started, asked about, and ended by the test.

Answers a real boto3 client from memory just before a request would be sent, as the fake of Lambda does. It runs no
state machine: an execution is RUNNING until the test says how it ends, and whoever wants something to happen at its
start gives `on_start`. It knows nothing of the product.

AWS's rules (recorded from AWS 2024-08-21, localstack snapshots TestSnfApi::test_start_execution_idempotent and
::test_describe_execution; API reference, StartExecution and DescribeExecution):
- the same name with the same input, while it runs, is the same execution; with another input, or once it has ended,
  ExecutionAlreadyExists;
- how an execution ended is final; 90 days later it is forgotten, and its name is free again;
- only one that succeeded has an output, only one that failed an error and a cause.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.model import OperationModel

from .clock import FakeClock
from .direct import direct_client
from .errors import AwsError, validation
from .wire import Answer, Params, client_of, read_request, write_answer, write_error

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

Status = Literal["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
#: Called with the name and the input of an execution that has just started.
OnStart = Callable[[str, Any], None]

INPUT_LIMIT = 262_144
FORGOTTEN_AFTER_SECONDS = 90 * 86_400.0
_NAME = re.compile(r"[^\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff\U0010ffff]{1,80}")
_EXECUTION_ARN = re.compile(r"(?P<machine>arn:[^:]+:states:[^:]+:\d{12}:execution:[^:]+):(?P<name>[^:]+)")


@dataclass
class Execution:
    """One execution. `input` and `output` are JSON texts, as they travel; times are seconds since the epoch."""

    name: str
    arn: str
    input: str
    started_at: float
    status: Status = "RUNNING"
    stopped_at: float | None = None
    output: str | None = None
    error: str | None = None
    cause: str | None = None


class FakeStepFunctions:
    """One account's Step Functions in one Region, with one standard state machine.

    `clock` gives seconds since the epoch (default: a `FakeClock`, found at `.clock`).
    """

    def __init__(
        self,
        region: str = "eu-central-1",
        clock: Callable[[], float] | None = None,
        account: str = "123456789012",
        *,
        machine: str = "operation",
        on_start: OnStart | None = None,
    ) -> None:
        self.region, self.account = region, account
        self.clock: Callable[[], float] = clock if clock is not None else FakeClock()
        self.machine_arn = f"arn:aws:states:{region}:{account}:stateMachine:{machine}"
        self.on_start = on_start
        #: Every execution that AWS still knows, by its name.
        self.executions: dict[str, Execution] = {}
        #: The names of all that ever started, in order.
        self.started: list[str] = []
        self._lock = threading.RLock()
        self._requests = 0
        self._operations: dict[str, Callable[[Params], Answer]] = {
            "StartExecution": self._start,
            "DescribeExecution": self._describe,
        }

    def client(self, config: Config | None = None) -> SFNClient:
        """A real boto3 client of this fake. Without a `config` it retries nothing."""
        client: SFNClient = client_of("stepfunctions", self.region, config, self._answer)
        return client

    def direct_client(self, config: Config | None = None) -> SFNClient:
        """The same without HTTP (see `direct`)."""
        client: SFNClient = direct_client("stepfunctions", self.region, config, self._answer_directly)
        return client

    def _answer_directly(self, operation: OperationModel, params: Params, written: Callable[[Answer], Answer]) -> Answer:
        return written(self._do(operation.name, params))

    def _do(self, operation: str, params: Params) -> Answer:
        if operation not in self._operations:
            raise NotImplementedError(f"the fake of Step Functions has no {operation}")
        return self._operations[operation](params)

    def _answer(self, operation: OperationModel, request: AWSPreparedRequest) -> AWSResponse:
        with self._lock:
            self._requests += 1
            request_id = f"00000000-0000-4000-8000-{self._requests:012x}"
        try:
            answer = self._do(operation.name, read_request(operation, request))
        except AwsError as error:
            return write_error(operation, error, request, request_id)
        return write_answer(operation, answer, request, request_id)

    # What AWS does.

    def _start(self, params: Params) -> Answer:
        machine, given = params["stateMachineArn"], params.get("input", "{}")
        name = params.get("name") or str(uuid.uuid4())
        if not _NAME.fullmatch(name):
            raise AwsError("InvalidName", f"Invalid Name: '{name}'")
        if len(given.encode()) > INPUT_LIMIT:
            constraint = f"Member must have length less than or equal to {INPUT_LIMIT}"
            raise validation(f"1 validation error detected: Value '***' at 'input' failed to satisfy constraint: {constraint}")
        document = _read(given)
        if machine != self.machine_arn:
            raise AwsError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{machine}'")
        with self._lock:
            existing = self._existing(name)
            if existing is None:
                execution = Execution(name, self.arn_of(name), given, self.clock())
                self.executions[name] = execution
                self.started.append(name)
            elif existing.status == "RUNNING" and existing.input == given:
                return _started(existing)
            else:
                raise AwsError("ExecutionAlreadyExists", f"Execution Already Exists: '{existing.arn}'")
        # The hook runs without the lock: what it starts may ask this fake from another thread.
        if self.on_start is not None:
            self.on_start(name, document)
        return _started(execution)

    def _describe(self, params: Params) -> Answer:
        arn = params["executionArn"]
        parts = _EXECUTION_ARN.fullmatch(arn)
        if parts is None:
            raise AwsError("InvalidArn", f"Invalid Arn: 'Invalid ARN prefix: {arn}'")
        with self._lock:
            execution = self._existing(parts["name"])
            if execution is None or execution.arn != arn:
                raise AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
            return _described(execution, self.machine_arn)

    def _existing(self, name: str) -> Execution | None:
        found = self.executions.get(name)
        if found is None or found.stopped_at is None or self.clock() - found.stopped_at < FORGOTTEN_AFTER_SECONDS:
            return found
        del self.executions[name]
        return None

    # What tests arrange.

    def arn_of(self, name: str) -> str:
        """The ARN of an execution of this name, whether there is one or not."""
        return f"{self.machine_arn.replace(':stateMachine:', ':execution:')}:{name}"

    def start(self, name: str, given: Any = None) -> str:
        """Start an execution as a user does, behind the product's clients. Returns its ARN; raises `AwsError`."""
        text = json.dumps({} if given is None else given)
        return str(self._start({"stateMachineArn": self.machine_arn, "name": name, "input": text})["executionArn"])

    def succeed(self, name: str, output: Any) -> None:
        self._end(name, "SUCCEEDED", output=json.dumps(output))

    def fail(self, name: str, error: str, cause: str) -> None:
        self._end(name, "FAILED", error=error, cause=cause)

    def stop(self, name: str, cause: str | None = None) -> None:
        """Somebody called StopExecution. The function that its task called goes on, which is the test's to do."""
        self._end(name, "ABORTED", **({} if cause is None else {"cause": cause}))

    def time_out(self, name: str) -> None:
        """The machine's own TimeoutSeconds passed. As with `stop`, a function goes on."""
        self._end(name, "TIMED_OUT")

    def _end(self, name: str, status: Status, **ended: str) -> None:
        with self._lock:
            execution = self.executions[name]
            assert execution.status == "RUNNING", f"{name} has ended already: {execution.status}"
            execution.status, execution.stopped_at = status, self.clock()
            for member, value in ended.items():
                setattr(execution, member, value)


def _read(given: str) -> Any:
    if not given:
        raise AwsError("InvalidExecutionInput", "Invalid State Machine Execution Input: 'Invalid execution input.'")
    try:
        return json.loads(given)
    except ValueError as error:
        raise AwsError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{error}'") from None


def _started(execution: Execution) -> Answer:
    return {"executionArn": execution.arn, "startDate": execution.started_at}


def _described(execution: Execution, machine_arn: str) -> Answer:
    told: Answer = {
        "executionArn": execution.arn,
        "stateMachineArn": machine_arn,
        "name": execution.name,
        "status": execution.status,
        "startDate": execution.started_at,
        "input": execution.input,
        "inputDetails": {"included": True},
        "redriveCount": 0,
    }
    if execution.stopped_at is not None:
        told["stopDate"] = execution.stopped_at
    if execution.output is not None:
        told |= {"output": execution.output, "outputDetails": {"included": True}}
    told |= {name: said for name, said in (("error", execution.error), ("cause", execution.cause)) if said is not None}
    if execution.status in ("RUNNING", "SUCCEEDED"):
        reason = f"Execution is {execution.status} and cannot be redriven"
        return told | {"redriveStatus": "NOT_REDRIVABLE", "redriveStatusReason": reason}
    return told | {"redriveStatus": "REDRIVABLE"}
