"""How long a worker waits for things that others have under way: one patience for all of them, not one for each.

A Lambda lives for 15 minutes: a minute for each of 200 functions would be longer than that.
"""

from __future__ import annotations

import threading

from stagekeeper.aws.clock import Clock


class Patience:
    """Begins when it is first asked for. Shared by the threads of a worker."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._ends: float | None = None
        self._guard = threading.Lock()

    def is_over(self) -> bool:
        with self._guard:
            now = self._clock.now()
            if self._ends is None:
                self._ends = now + self._seconds
            return now >= self._ends
