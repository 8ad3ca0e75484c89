"""The fake's clock as the product asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.fake import FakeClock


@dataclass
class Clock:
    """``slept``: how long the product has slept on it in all (seconds)."""

    moments: FakeClock
    slept: float = 0.0

    def now(self) -> float:
        return self.moments.now

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.moments.advance(seconds)
