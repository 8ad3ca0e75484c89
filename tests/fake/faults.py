"""Faults and interruptions a test asks for, matched against calls as they come.

A fault is an error instead of an answer, before or after the effect. A hook runs the test's own code just before or
just after a call: to move an alias behind the product's back, or to raise and so make the caller die there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from .errors import NAMED_STATUS, AwsError


class Call(NamedTuple):
    """One request that reached the fake."""

    operation: str
    params: dict[str, Any]


Predicate = Callable[[dict[str, Any]], bool]
When = Literal["before", "after"]

_ENDPOINT = "https://lambda.fake"


@dataclass
class _Count:
    """Counts the calls that match, and says which of them are meant."""

    operation: str
    on_call: int | None
    times: int | None
    where: Predicate | None
    seen: int = 0

    def meets(self, call: Call) -> bool:
        if self.operation not in (call.operation, "*") or (self.where is not None and not self.where(call.params)):
            return False
        self.seen += 1
        first = self.on_call or 1
        return self.seen >= first and (self.times is None or self.seen < first + self.times)


@dataclass
class Fault:
    count: _Count
    error: BaseException
    applied: bool


@dataclass
class _Hook:
    count: _Count
    callback: Callable[[Call], object]
    when: When


@dataclass
class Faults:
    _faults: list[Fault] = field(default_factory=list)
    _hooks: list[_Hook] = field(default_factory=list)

    def fail(
        self,
        operation: str,
        on_call: int,
        times: int | None,
        error: str | BaseException,
        applied: bool,
        where: Predicate | None,
    ) -> None:
        self._faults.append(Fault(_Count(operation, on_call, times, where), _named(error), applied))

    def on(
        self, operation: str, callback: Callable[[Call], object], when: When, on_call: int | None, where: Predicate | None
    ) -> None:
        count = _Count(operation, on_call, 1 if on_call is not None else None, where)
        self._hooks.append(_Hook(count, callback, when))

    def clear(self) -> None:
        self._faults.clear()
        self._hooks.clear()

    def fault_for(self, call: Call) -> Fault | None:
        # Every fault counts every call it matches, also when an earlier one decides.
        met = [fault for fault in self._faults if fault.count.meets(call)]
        return met[0] if met else None

    def hooks_for(self, call: Call) -> list[tuple[Callable[[Call], object], When]]:
        return [(hook.callback, hook.when) for hook in self._hooks if hook.count.meets(call)]


def _named(error: str | BaseException) -> BaseException:
    if isinstance(error, BaseException):
        return error
    match error:
        case "ReadTimeout":
            return ReadTimeoutError(endpoint_url=_ENDPOINT)
        case "ConnectTimeout":
            return ConnectTimeoutError(endpoint_url=_ENDPOINT)
        case "EndpointConnectionError":
            return EndpointConnectionError(endpoint_url=_ENDPOINT)
        case "TooManyRequestsException":
            return AwsError(error, "Rate exceeded", 429, reason="CallerRateLimitExceeded")
        case _ if error in NAMED_STATUS:
            return AwsError(error, f"{error} asked for by the test.", NAMED_STATUS[error])
    raise ValueError(f"no such fault: {error}; known: {sorted(NAMED_STATUS)}, ReadTimeout, ConnectTimeout")
