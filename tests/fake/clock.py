"""A clock that stands still until a test moves it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass
class FakeClock:
    """Seconds since the epoch. Call it to read; `advance` or `sleep` to move it."""

    now: float = field(default_factory=lambda: datetime(2026, 1, 5, 9, 0, tzinfo=UTC).timestamp())

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        """Fits wherever `time.sleep` is injected."""
        self.advance(seconds)


def aws_time(seconds: float) -> str:
    """`LastModified` as Lambda writes it: milliseconds, and a zone without a colon."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"
