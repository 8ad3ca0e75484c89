"""What may go wrong while one state is worked on: a worker dies, an answer is lost, AWS throttles or refuses.

A mishap that the product promises to get over without a trace is ``harmless``: the outcome must be as if it had not happened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.unit.engine.wire import MUTATIONS, Matches, Sent, Wire, mutation

_PUBLISHING = frozenset({"lambda.UpdateFunctionCode", "lambda.UpdateFunctionConfiguration", "lambda.PublishVersion"})
_ALIASES = frozenset({"lambda.CreateAlias", "lambda.UpdateAlias", "lambda.DeleteAlias"})


@dataclass
class Mishap:
    """One that is arranged; ``happened`` once it did."""

    name: str
    harmless: bool = False
    happened: bool = False

    def note(self) -> None:
        self.happened = True


def _between(sent: Sent) -> bool:
    """What a worker may be held up before for any time: nothing of its own is under way, and nothing is about to be changed on
    AWS. (Between its last look at the record and such a change it may be held up only so long that recovery waits for it.)"""
    return not (sent.name.startswith("lambda.") and sent.name in MUTATIONS)


def _any(_: Sent) -> bool:
    return True


def _one_of(names: frozenset[str]) -> Matches:
    return lambda sent: sent.name in names


def _on(function: str, names: frozenset[str]) -> Matches:
    return lambda sent: sent.name in names and f"orders-{function}/" in sent.path


def _table(sent: Sent) -> bool:
    return sent.name.startswith("dynamodb.")


def killed(wire: Wire, nth: int, *, anywhere: bool, after: bool) -> Mishap:
    """The worker dies at its nth call (``anywhere``), or at the nth that changes something."""
    mishap = Mishap("killed")
    matches: Matches = _any if anywhere else mutation
    wire.on(matches, mishap.note, on_call=nth, after=after)
    wire.kill(matches, on_call=nth, after=after)
    return mishap


def unanswered(wire: Wire, nth: int, *, applied: bool) -> Mishap:
    """The nth change gets no answer, with or without its effect."""
    mishap = Mishap("unanswered")
    wire.on(mutation, mishap.note, on_call=nth, after=applied)
    wire.fail(mutation, on_call=nth, applied=applied)
    return mishap


def throttled(wire: Wire, nth: int) -> Mishap:
    """Three calls of Lambda in a row are too many."""
    mishap = Mishap("throttled", harmless=True)

    def shared(sent: Sent) -> bool:
        return sent.name in MUTATIONS and sent.name.startswith("lambda.")

    wire.on(shared, mishap.note, on_call=nth)
    for each in range(nth, nth + 3):
        wire.fail(shared, "TooManyRequestsException", 429, on_call=each)
    return mishap


def busy(wire: Wire, nth: int) -> Mishap:
    """An update is in progress, AWS says, at the nth call that would change or publish $LATEST."""
    mishap = Mishap("busy", harmless=True)
    wire.on(_one_of(_PUBLISHING), mishap.note, on_call=nth)
    wire.fail(_one_of(_PUBLISHING), "ResourceConflictException", 409, on_call=nth)
    return mishap


def touched(wire: Wire, nth: int) -> Mishap:
    """A RevisionId is out of date at the nth conditional call, although nothing that counts has changed."""
    mishap = Mishap("touched", harmless=True)
    names = _PUBLISHING | {"lambda.UpdateAlias"}
    wire.on(_one_of(names), mishap.note, on_call=nth)
    wire.fail(_one_of(names), "PreconditionFailedException", 412, on_call=nth)
    return mishap


def table_throttled(wire: Wire, nth: int) -> Mishap:
    """The state table is busy at the nth request."""
    mishap = Mishap("table throttled")
    wire.on(_table, mishap.note, on_call=nth)
    wire.fail(_table, "ProvisionedThroughputExceededException", on_call=nth)
    return mishap


def denied(wire: Wire, function: str) -> Mishap:
    """Nobody may touch the aliases of this function any more, for as long as the state lasts."""
    mishap = Mishap("denied")
    wire.on(_on(function, _ALIASES), mishap.note, on_call=0)
    wire.fail(_on(function, _ALIASES), "AccessDeniedException", 403, on_call=0)
    return mishap


def overtaken(wire: Wire, nth: int, meanwhile: Callable[[], object]) -> Mishap:
    """Just before the worker's nth request that changes nothing on AWS something else happens, from beginning to end."""
    mishap = Mishap("overtaken")

    def act() -> None:
        mishap.note()
        meanwhile()

    wire.on(_between, act, on_call=nth)
    return mishap
