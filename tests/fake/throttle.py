"""Lambda's control-plane quotas: 15 requests/s shared by all calls, and two calls with a bucket of their own.

Source: Lambda quotas, "Lambda API requests": GetFunction 100/s, GetPolicy 15/s, "remainder of the control plane API
operations" 15/s across all of them. Invocations are not control plane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

SHARED_PER_SECOND = 15
GET_FUNCTION_PER_SECOND = 100
GET_POLICY_PER_SECOND = 15

_INVOCATIONS = frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"})
_OWN_BUDGET = frozenset({"GetFunction", "GetPolicy"}) | _INVOCATIONS


def is_shared(operation: str) -> bool:
    """Whether a call counts against the 15 requests/s that all control-plane calls share."""
    return operation not in _OWN_BUDGET


@dataclass
class Bucket:
    """A token bucket that holds one second's worth; it reads the clock, it never waits."""

    rate: float
    clock: Callable[[], float]
    _tokens: float = -1.0
    _filled: float = 0.0

    def take(self) -> bool:
        now = self.clock()
        if self._tokens < 0:
            self._tokens, self._filled = self.rate, now
        self._tokens = min(self.rate, self._tokens + (now - self._filled) * self.rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Quotas:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._shared = Bucket(SHARED_PER_SECOND, clock)
        self._own = {
            "GetFunction": Bucket(GET_FUNCTION_PER_SECOND, clock),
            "GetPolicy": Bucket(GET_POLICY_PER_SECOND, clock),
        }

    def admits(self, operation: str) -> bool:
        """Take what the call costs; False means AWS would throttle it."""
        if operation in _INVOCATIONS:
            return True
        return self._own.get(operation, self._shared).take()
