"""What goes wrong in the middle of an operation, and how a worker gives up: it records why, then compensation begins."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from stagekeeper.aws.errors import CallFailed, Unanswered
from stagekeeper.domain.model import FunctionArn
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.step import Go, Step

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that went wrong. ``unanswered``: a call of it may still be under way."""

    code: Code
    sentence: str
    blocker: str
    unanswered: bool = False


def trouble_of(error: CallFailed) -> Trouble:
    return Trouble(
        Code.COMPENSATED,
        f"{error.what[:1].upper()}{error.what[1:]} failed: {error.why}.",
        error.what,
        isinstance(error, Unanswered),
    )


def claimed_elsewhere(arn: FunctionArn) -> Trouble:
    sentence = f"Function {arn} was claimed by another service in the meantime. A function has one owner."
    return Trouble(Code.FUNCTION_OWNED_ELSEWHERE, sentence, str(arn))


def apply_all(work: Callable[[T], R | Trouble], things: Sequence[T], threads: int) -> tuple[list[tuple[T, R]], list[Trouble]]:
    """``work`` on each thing, a few at a time; after the first trouble nothing new is begun, what runs is let end."""
    stopped = threading.Event()

    def one(thing: T) -> R | Trouble | None:
        if stopped.is_set():
            return None
        try:
            result: R | Trouble = work(thing)
        except CallFailed as error:
            result = trouble_of(error)
        if isinstance(result, Trouble):
            stopped.set()
        return result

    with ThreadPoolExecutor(max_workers=threads) as pool:
        results = list(pool.map(one, things))
    done: list[tuple[T, R]] = []
    troubles: list[Trouble] = []
    for thing, result in zip(things, results, strict=True):
        if isinstance(result, Trouble):
            troubles.append(result)
        elif result is not None:
            done.append((thing, result))
    return done, troubles


def give_up(
    deps: Deps,
    record: OperationRecord,
    troubles: Sequence[Trouble],
    moved: Mapping[FunctionArn, str] | None = None,
) -> Step:
    """Win the right to compensate, with the reason on record, and with the RevisionIds of the aliases that were ``moved``.

    Only a worker that was alone, and saw all of its calls answered, can say that none is under way any more.
    """
    codes = {trouble.code for trouble in troubles}
    code = codes.pop() if len(codes) == 1 else Code.COMPENSATED
    sentences = " ".join(trouble.sentence for trouble in troubles[:3])
    failure = Refusal(code, sentences, tuple(trouble.blocker for trouble in troubles))
    calls_ended = not record.overlapped and not any(trouble.unanswered for trouble in troubles)
    deps.journal.record_failure(record, failure, calls_ended=calls_ended, moved=moved or {})
    return Go("Compensate")
