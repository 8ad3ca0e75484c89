"""A worker's mandate: whether it may still act. A Lambda that was stopped or timed out may go on running; this stops it."""

from __future__ import annotations

import math
import threading

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import Unanswered
from stagekeeper.aws.journal import Journal
from stagekeeper.domain.operation import MANDATE_INTERVAL
from stagekeeper.domain.record import OperationRecord

_ATTEMPTS = 5


class Mandate:
    """Shared by the threads of one worker."""

    def __init__(self, journal: Journal, clock: Clock, record: OperationRecord) -> None:
        self._journal = journal
        self._clock = clock
        self._record = record
        # Not since its phase began: the answer to that may have come late.
        self._checked_at = -math.inf
        self._guard = threading.Lock()

    def check(self) -> None:
        """For calls that AWS itself makes conditional (RevisionId). Raises Superseded and CallFailed."""
        with self._guard:
            if self._clock.now() - self._checked_at < MANDATE_INTERVAL:
                return
            self._read()

    def check_now(self) -> None:
        """For calls that AWS would do at any time: CreateAlias, DeleteAlias. Raises Superseded and CallFailed."""
        with self._guard:
            self._read()

    def _read(self) -> None:
        for _ in range(_ATTEMPTS):
            # The time before the question: an answer that took long is as old as its question, and too old to act on.
            asked_at = self._clock.now()
            self._journal.check_mandate(self._record)
            # Only a good answer counts: after a bad one the next thread must not act on the question alone.
            self._checked_at = asked_at
            if self._clock.now() - asked_at < MANDATE_INTERVAL:
                return
        raise Unanswered(f"checking the mandate of operation {self._record.operation_id}", "answers come too late to act on")
