"""Keeps calls on Lambda's shared control-plane budget at the pace that AWS allows.

All control-plane calls share 15 requests per second per account and Region; only GetFunction (100/s) and GetPolicy (15/s)
have budgets of their own. Must not know which call it lets through.
"""

from __future__ import annotations

import threading

from stagekeeper.aws.clock import Clock

SHARED_PER_SECOND = 15.0
GET_FUNCTION_PER_SECOND = 90.0  # of 100, so that others of the account find the door open
SWEEP_PER_SECOND = 2.0  # nobody waits for a sweep, and others need the budget
SLOWEST_PER_SECOND = 1.0
#: A whole second without a throttle doubles the pace again, up to where it began.
RECOVERY_SECONDS = 2.0


class Pace:
    """A token bucket without a burst: one call every ``1 / per_second`` seconds, halved when AWS says slow down."""

    def __init__(self, clock: Clock, per_second: float = SHARED_PER_SECOND) -> None:
        self._clock = clock
        self._full = per_second
        self._now = per_second
        self._next = 0.0
        self._throttled_at = 0.0
        self._guard = threading.Lock()

    def wait(self) -> None:
        """Return when the next call may go out."""
        with self._guard:
            now = self._clock.now()
            if self._now < self._full and now - self._throttled_at >= RECOVERY_SECONDS:
                self._now = min(self._full, self._now * 2)
                self._throttled_at = now
            turn = max(self._next, now)
            self._next = turn + 1 / self._now
        if turn > now:
            self._clock.sleep(turn - now)

    def slow_down(self) -> None:
        """AWS answered TooManyRequests: halve the pace and leave a gap."""
        with self._guard:
            now = self._clock.now()
            self._now = max(SLOWEST_PER_SECOND, self._now / 2)
            self._throttled_at = now
            self._next = max(self._next, now + 1 / self._now)
