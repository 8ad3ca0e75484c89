"""What a sweep tells those who watch: one line per version, and numbers. Must not know how either is written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from stagekeeper.domain.model import ServiceName
from stagekeeper.domain.orphans import Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """A version that was judged, and for which service; None where the function is of none."""

    service: ServiceName | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class SweepTold:
    """How a sweep ended. ``deleted`` False: it only reported, and what would be removed is still there.

    ``failures`` are the services of which something could not be read or done, ``left_out`` those that others were at work on.
    """

    sweep: str
    deleted: bool
    judged: Sequence[Judged]
    failures: int
    left_out: int


class Telemetry(Protocol):
    """Where it is told."""

    def swept(self, told: SweepTold) -> None: ...
