"""Step Functions in one process: walks a definition in the Amazon States Language as AWS documents it, one state at a time.

It knows the fields, state types and JSONata functions that this project's definition uses; any other fails the loading, so that
nothing is silently left out. Must not know any operation, handler or state by name, nor the time: ``TimeoutSeconds`` is read
and never comes due; a task that AWS would cut off is one whose ``deliver`` raises ``TaskFailed("States.Timeout")``.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self, assert_never

from jsonata import JException, Jsonata, Utils  # type: ignore[import-untyped]  # jsonata-python has neither types nor stubs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, model_validator
from pydantic.alias_generators import to_pascal

#: Step Functions' quota on a payload: the input and output of a state, a task's arguments and result (bytes of UTF-8).
MAX_PAYLOAD = 262_144
#: The longest Wait (seconds).
MAX_WAIT = 99_999_999
#: AWS's own functions, which the JSONata of the tests has not; those that answer differently each time; and one that AWS refuses.
_UNKNOWN_FUNCTIONS = re.compile(r"\$(partition|range|hash|uuid|parse|random|now|millis|eval)\b")

#: Hands the payload to the function of this name (``Accept`` for ``${AcceptFunctionArn}``); its answer, or TaskFailed.
Deliver = Callable[[str, Any], Any]
#: The value of a field of the definition, given what ``$states`` and the variables are.
Template = Callable[[Mapping[str, Any]], Any]


class StateFailed(Exception):
    """A state's error, by the name that Retry and Catch go by. AWS gives no cause with some of its own."""

    def __init__(self, error: str, cause: str | None = None) -> None:
        super().__init__(error, cause)
        self.error = error
        self.cause = cause


class TaskFailed(StateFailed):
    """What ``deliver`` raises for a Lambda that failed, or was never reached."""


# JSON and JSONata.


def _query_error(cause: str) -> StateFailed:
    return StateFailed("States.QueryEvaluationError", cause)


def _null(value: object) -> None:
    """In results, JSONata's null is an object of its own; what else JSON does not know (a function, a regex) is refused."""
    if value is not Utils.NULL_VALUE:
        raise TypeError(f"a {type(value).__name__} is no JSON")


def _dumps(value: object) -> str:
    """As JavaScript's JSON.stringify. Raises TypeError and ValueError."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_null)


def _travelled(value: object, what: str) -> Any:
    """A copy as it arrives at the other end. Raises TypeError and ValueError where JSON has no words for it."""
    text = _dumps(value)
    if len(text.encode()) > MAX_PAYLOAD:
        raise StateFailed("States.DataLimitExceeded", f"{what} is larger than {MAX_PAYLOAD} bytes.")
    return json.loads(text)


def _evaluated(template: Template, bindings: Mapping[str, Any], what: str) -> Any:
    value = template(bindings)
    try:
        return _travelled(value, what)
    except (TypeError, ValueError) as error:
        raise _query_error(f"{what} is not JSON: {error}") from error


def _string(value: Any, prettify: object = None) -> str | None:
    """JSONata's $string. The library's own escapes all but ASCII; JavaScript does not, and causes would be longer than AWS's."""
    if prettify:
        raise NotImplementedError("$string with prettify")
    return value if value is None or isinstance(value, str) else _dumps(value)


@functools.cache
def _expression(source: str) -> Template:
    unknown = _UNKNOWN_FUNCTIONS.search(source)
    if unknown is not None:
        raise ValueError(f"{unknown[0]} is not known here, in {source}")
    try:
        compiled = Jsonata(source)
    except JException as error:
        raise ValueError(f"{error}, in {source}") from error
    compiled.set_output_convert_nulls(False)  # else null could not be told from nothing
    compiled.set_validate_input(False)
    compiled.environment.bind("string", Jsonata.JFunction(Jsonata.JLambda(_string), "<x-b?:s>"))

    def evaluate(bindings: Mapping[str, Any]) -> Any:
        try:
            value = compiled.evaluate(None, bindings)
        except (JException, ArithmeticError) as error:
            raise _query_error(f"The JSONata expression '{source}' failed: {error}") from error
        if value is None:
            raise _query_error(f"The JSONata expression '{source}' returned nothing (undefined).")
        return value

    return evaluate


def _template(value: Any) -> Template:
    """Any JSON in which the strings ``{% … %}`` are expressions, as deep as they may be."""
    match value:
        case str() if value.startswith("{%") and value.endswith("%}"):
            return _expression(value[2:-2].strip())
        case str() if value.startswith("{%") or value.endswith("%}"):
            raise ValueError(f"an expression begins with {{% and ends with %}}, without spaces around: {value!r}")
        case dict():
            members = {name: _template(member) for name, member in value.items()}
            return lambda bindings: {name: member(bindings) for name, member in members.items()}
        case list():
            entries = [_template(entry) for entry in value]
            return lambda bindings: [entry(bindings) for entry in entries]
        case _:
            return lambda _: value


def _variable(name: str) -> str:
    if not name.isidentifier() or name == "states":
        raise ValueError(f"{name!r} is no name of a variable")
    return name


# The definition. What is not here is refused, with its place in the file.

Evaluated = Annotated[Template, PlainValidator(_template)]
#: None: not given, which is another thing than a ``null`` in the definition.
IfGiven = Annotated[Template | None, PlainValidator(_template)]
Assign = dict[Annotated[str, AfterValidator(_variable)], Evaluated]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, alias_generator=to_pascal)


class Retrier(_Part):
    error_equals: list[str] = Field(min_length=1)
    interval_seconds: int = Field(default=1, ge=1)
    max_attempts: int = Field(default=3, ge=0)
    backoff_rate: float = Field(default=2.0, ge=1)
    jitter_strategy: Literal["FULL", "NONE"] = "NONE"
    max_delay_seconds: int | None = Field(default=None, ge=1)

    def delay(self, attempts: int) -> float:
        """Seconds before the next attempt after so many. Jitter never shortens it here: a test is to run the same each time."""
        delay = self.interval_seconds * self.backoff_rate**attempts
        return delay if self.max_delay_seconds is None else min(delay, self.max_delay_seconds)


class Catcher(_Part):
    error_equals: list[str] = Field(min_length=1)
    output: IfGiven = None
    assign: Assign = {}
    next: str


class Arguments(_Part):
    function_name: str = Field(pattern=r"^\$\{\w+FunctionArn\}$")
    payload: Evaluated

    @property
    def function(self) -> str:
        return self.function_name.removeprefix("${").removesuffix("FunctionArn}")


class Task(_Part):
    type: Literal["Task"]
    comment: str = ""
    resource: Literal["arn:aws:states:::lambda:invoke"]
    arguments: Arguments
    timeout_seconds: int | None = Field(default=None, ge=1)
    retry: list[Retrier] = []
    catch: list[Catcher] = []
    assign: Assign = {}
    output: IfGiven = None
    next: str

    @model_validator(mode="after")
    def _everything_comes_last(self) -> Self:
        """As AWS demands it: States.ALL alone, in the last entry."""
        handlers: Sequence[Sequence[Retrier | Catcher]] = (self.retry, self.catch)
        for entries in handlers:
            for position, entry in enumerate(entries, start=1):
                if "States.ALL" in entry.error_equals and (len(entry.error_equals) > 1 or position < len(entries)):
                    raise ValueError("States.ALL must be alone, and in the last entry")
        return self


class Rule(_Part):
    condition: Evaluated
    output: IfGiven = None
    assign: Assign = {}
    next: str


class Choice(_Part):
    type: Literal["Choice"]
    comment: str = ""
    choices: list[Rule] = Field(min_length=1)
    default: str | None = None


class Wait(_Part):
    type: Literal["Wait"]
    comment: str = ""
    seconds: Evaluated
    next: str


class Pass(_Part):
    type: Literal["Pass"]
    comment: str = ""
    assign: Assign = {}
    output: IfGiven = None
    next: str


class Succeed(_Part):
    type: Literal["Succeed"]
    comment: str = ""


class Fail(_Part):
    type: Literal["Fail"]
    comment: str = ""
    error: Evaluated
    cause: Evaluated


State = Task | Choice | Wait | Pass | Succeed | Fail


def _targets(state: State) -> Iterator[str]:
    """Every state that may come next."""
    match state:
        case Task():
            yield state.next
            yield from (catcher.next for catcher in state.catch)
        case Choice():
            yield from (rule.next for rule in state.choices)
            if state.default is not None:
                yield state.default
        case Wait() | Pass():
            yield state.next
        case Succeed() | Fail():
            return
        case _:
            assert_never(state)


class Machine(_Part):
    """A definition, read and compiled once for any number of executions. Raises pydantic's ValidationError, which names what
    and where, for whatever AWS would refuse and for whatever is not known here."""

    comment: str = ""
    query_language: Literal["JSONata"]
    start_at: str
    timeout_seconds: int | None = Field(default=None, ge=1)
    states: dict[str, Annotated[State, Field(discriminator="type")]] = Field(min_length=1)

    @classmethod
    def load(cls, path: Path) -> Machine:
        """The file as it is in the repository, before CloudFormation's substitutions."""
        return cls.model_validate_json(path.read_text(encoding="utf-8"))

    @model_validator(mode="after")
    def _every_state_is_reached_and_every_target_is_there(self) -> Self:
        found: set[str] = set()
        ahead = [self.start_at]
        while ahead:
            name = ahead.pop()
            if name not in self.states:
                raise ValueError(f"there is no state {name}")
            if name not in found:
                found.add(name)
                ahead += _targets(self.states[name])
        unreached = sorted(set(self.states) - found)
        if unreached:
            raise ValueError(f"no way leads to {', '.join(unreached)}")
        return self


# The execution.

_TERMINAL = ("States.DataLimitExceeded", "States.Runtime")


def _matches(names: Sequence[str], error: str) -> bool:
    """Whether a Retry or Catch with these ErrorEquals takes this error. The wildcards leave out what AWS calls terminal, and
    nothing at all takes States.Runtime."""
    if error == "States.Runtime":
        return False
    if error in names:
        return True
    if error in _TERMINAL:
        return False
    return "States.ALL" in names or ("States.TaskFailed" in names and error != "States.Timeout")


@dataclass
class Walk:
    """One execution. ``state`` is entered next, with ``state_input``; None once the execution has ended, with an ``output`` or
    with ``error`` and ``cause``."""

    machine: Machine = field(repr=False)
    name: str
    input: Any
    clock_sleep: Callable[[float], object] = field(repr=False)
    state: str | None = field(init=False)
    state_input: Any = field(init=False)
    visited: list[str] = field(default_factory=list, init=False)
    variables: dict[str, Any] = field(default_factory=dict, init=False)
    output: Any = field(default=None, init=False)
    error: str | None = field(default=None, init=False)
    cause: str | None = field(default=None, init=False)
    _context: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.input = self.state_input = _travelled(self.input, "The execution's input")
        self.state = self.machine.start_at
        arn = "arn:aws:states:eu-west-1:123456789012"
        self._context = {
            "Execution": {
                "Id": f"{arn}:execution:operation:{self.name}",
                "Name": self.name,
                "Input": self.input,
                "StartTime": "2026-01-01T00:00:00.000Z",
                "RedriveCount": 0,
            },
            "StateMachine": {"Id": f"{arn}:stateMachine:operation", "Name": "operation"},
        }

    @property
    def status(self) -> Literal["RUNNING", "SUCCEEDED", "FAILED"]:
        if self.state is not None:
            return "RUNNING"
        return "SUCCEEDED" if self.error is None else "FAILED"

    def enter(self, deliver: Deliver) -> None:
        """Enter the next state, with all its retries and waits. An exception of ``deliver`` that is no TaskFailed passes
        through, and so does an answer that is no JSON; the execution stands then where it stood before."""
        if self.state is None:
            raise AssertionError(f"{self.name} has ended")
        name = self.state
        self.visited.append(name)
        state = self.machine.states[name]
        try:
            match state:
                case Task():
                    self._task(name, state, deliver)
                case Choice():
                    self._choose(name, state)
                case Wait():
                    self._wait(name, state)
                case Pass():
                    self._leave(name, state, self._bindings(name), self.state_input)
                case Succeed():
                    self.state, self.output = None, self.state_input
                case Fail():
                    bindings = self._bindings(name)
                    error = _text(state.error, bindings, f"The Error of {name}")
                    cause = _text(state.cause, bindings, f"The Cause of {name}")
                    self.state, self.error, self.cause = None, error, cause
                case _:
                    assert_never(state)
        except StateFailed as failure:
            self.state, self.error, self.cause = None, failure.error, failure.cause

    def _bindings(self, name: str, retries: int = 0, **found: Any) -> dict[str, Any]:
        """What the expressions of a state see."""
        context = {**self._context, "State": {"Name": name, "RetryCount": retries}}
        bound = {key: Utils.NULL_VALUE if value is None else value for key, value in self.variables.items()}
        return {**bound, "states": {"input": self.state_input, "context": context, **found}}

    def _task(self, name: str, task: Task, deliver: Deliver) -> None:
        attempts = [0] * len(task.retry)
        while True:
            try:
                bindings = self._bindings(name, sum(attempts))
                payload = _evaluated(task.arguments.payload, bindings, f"The payload of {name}")
                answer = _travelled(deliver(task.arguments.function, payload), f"The answer to {name}")
                result = {"ExecutedVersion": "$LATEST", "Payload": answer, "StatusCode": 200}
                self._leave(name, task, self._bindings(name, sum(attempts), result=result), result)
                return
            except StateFailed as failure:
                # The first retrier that takes the error is the only one asked; spent, it leaves the error to Catch.
                taking = (at for at, retrier in enumerate(task.retry) if _matches(retrier.error_equals, failure.error))
                at = next(taking, None)
                if at is None or attempts[at] == task.retry[at].max_attempts:
                    self._caught(name, task, failure, sum(attempts))
                    return
            self.clock_sleep(task.retry[at].delay(attempts[at]))
            attempts[at] += 1

    def _caught(self, name: str, task: Task, failure: StateFailed, retries: int) -> None:
        for catcher in task.catch:
            if _matches(catcher.error_equals, failure.error):
                told = {"Error": failure.error} | ({} if failure.cause is None else {"Cause": failure.cause})
                self._leave(name, catcher, self._bindings(name, retries, errorOutput=told), told)
                return
        raise failure

    def _choose(self, name: str, choice: Choice) -> None:
        bindings = self._bindings(name)
        for position, rule in enumerate(choice.choices):
            verdict = rule.condition(bindings)
            if not isinstance(verdict, bool):
                raise _query_error(f"Condition {position} of {name} is neither true nor false.")
            if verdict:
                self._leave(name, rule, bindings, self.state_input)
                return
        if choice.default is None:
            raise StateFailed("States.NoChoiceMatched", f"No choice of {name} matched.")
        self.state = choice.default

    def _wait(self, name: str, wait: Wait) -> None:
        seconds = wait.seconds(self._bindings(name))
        if isinstance(seconds, bool) or not isinstance(seconds, int) or not 0 <= seconds <= MAX_WAIT:
            raise _query_error(f"The Seconds of {name} are no whole number from 0 to {MAX_WAIT}.")
        self.clock_sleep(float(seconds))
        self.state = wait.next

    def _leave(self, name: str, way: Task | Pass | Rule | Catcher, bindings: Mapping[str, Any], default: Any) -> None:
        """Output and Assign both see the variables as they were on entry."""
        output = default if way.output is None else _evaluated(way.output, bindings, f"The output of {name}")
        assigned = {key: _evaluated(value, bindings, f"${key} of {name}") for key, value in way.assign.items()}
        self.variables |= assigned
        self.state, self.state_input = way.next, output


def _text(template: Template, bindings: Mapping[str, Any], what: str) -> str:
    value = template(bindings)
    if not isinstance(value, str):
        raise _query_error(f"{what} is no string.")
    return value
