"""An operation's life: its status and who may change it. Must not know where the record is kept.

Status moves only along ``ALLOWED``, each time by a conditional write; each phase change raises the epoch, and a worker
whose epoch is no longer the record's has lost its mandate.
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    PLANNED = "planned"
    REFUSED = "refused"
    UNCHANGED = "unchanged"
    CONVERGING = "converging"
    COMMITTED = "committed"
    COMPENSATING = "compensating"
    COMPENSATED = "compensated"
    ENDED = "ended"
    NEEDS_ATTENTION = "needs-attention"


ALLOWED: dict[Status, frozenset[Status]] = {
    Status.PLANNED: frozenset({Status.REFUSED, Status.UNCHANGED, Status.COMPENSATED, Status.CONVERGING}),
    # To needs-attention only where nothing is ever put back: teardown and sweep.
    Status.CONVERGING: frozenset({Status.COMMITTED, Status.COMPENSATING, Status.NEEDS_ATTENTION}),
    Status.COMPENSATING: frozenset({Status.COMPENSATED, Status.NEEDS_ATTENTION}),
    # Only where work follows the commit; a commit that nothing follows is the end.
    Status.COMMITTED: frozenset({Status.ENDED, Status.NEEDS_ATTENTION}),
    Status.REFUSED: frozenset(),
    Status.UNCHANGED: frozenset(),
    Status.COMPENSATED: frozenset(),
    Status.ENDED: frozenset(),
    Status.NEEDS_ATTENTION: frozenset(),
}


def may_become(current: Status, following: Status) -> bool:
    """Whether ``following`` may come right after ``current``."""
    return following in ALLOWED[current]


class OperationKind(StrEnum):
    """The operations of the public interface."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    RESET = "reset"
    CLONE = "clone"
    TEARDOWN = "teardown"
    SWEEP = "sweep"
    ADOPT = "adopt"
    CONFIGURE = "configure"
    VERIFY = "verify"
    RECOVER = "recover"


class Phase(StrEnum):
    """What the worker that holds the mandate is doing; decides how long a call of its may still be under way."""

    PLAN = "plan"
    STACKS = "stacks"
    WAITING = "waiting"  # for a stack; nobody is at work
    PUBLISH = "publish"
    MOVE = "move"
    COMMIT = "commit"
    TEAR_DOWN = "tear_down"
    COLLECT = "collect"
    CLEAN_UP = "clean_up"
    COMPENSATE = "compensate"


#: Read timeouts (seconds) of the calls that change something, and the time that their connection may take.
ALIAS_CALL_TIMEOUT = 5
PUBLISH_CALL_TIMEOUT = 30
CONNECT_TIMEOUT = 2
#: A worker reads the epoch again at least this often (seconds), and stops when it has changed.
MANDATE_INTERVAL = 1


def seconds_until_calls_ended(phase: Phase) -> int:
    """How long (seconds) to wait, after a worker of ``phase`` was cut off, until a call of its must have ended.

    It may begin one more call until it looks at the epoch again.
    """
    answer = PUBLISH_CALL_TIMEOUT if phase in (Phase.PUBLISH, Phase.STACKS) else ALIAS_CALL_TIMEOUT
    return MANDATE_INTERVAL + CONNECT_TIMEOUT + answer
