"""Lambda's control-plane budgets, when they are asked for: 15 requests a second shared by all, GetFunction and
GetPolicy with budgets of their own.

Source: AWS Lambda quotas, "API requests": GetFunction 100/s, GetPolicy 15/s, remainder of the control plane 15/s (for
all together, per account and Region, not raisable). Invocations are no control-plane requests.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from stagekeeper.embedded.fidelity import answers
from stagekeeper.embedded.fidelity.door import Call, Door
from stagekeeper.embedded.fidelity.patching import Answer

_OWN_BUDGETS = {"GetFunction": 100.0, "GetPolicy": 15.0}
_SHARED_BUDGET = 15.0
_DATA_PLANE = frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"})


class Bucket:
    """A token bucket that holds one second's worth."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._tokens = rate
        self._filled = clock()
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            now = self._clock()
            self._tokens = min(self._rate, self._tokens + (now - self._filled) * self._rate)
            self._filled = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True


def install(door: Door, lambda_svc: Any, clock: Callable[[], float] = time.monotonic) -> None:
    buckets: dict[tuple[str, str, str], Bucket] = {}

    def throttled(call: Call) -> Answer | None:
        if call.operation in _DATA_PLANE:
            return None
        budget = call.operation if call.operation in _OWN_BUDGETS else "shared"
        key = (lambda_svc.get_account_id(), lambda_svc.get_region(), budget)
        bucket = buckets.setdefault(key, Bucket(_OWN_BUDGETS.get(budget, _SHARED_BUDGET), clock))
        return None if bucket.take() else answers.error(429, "TooManyRequestsException", "Rate exceeded")

    door.refuse_any(throttled)
