"""One thread instead of many: so that every run sends its requests in the same order, and a run can be forked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Self, TypeVar

import pytest

from stagekeeper.engine import gather, trouble

T = TypeVar("T")
R = TypeVar("R")


class _OneAfterTheOther:
    """A ThreadPoolExecutor of no thread: what it is given runs at once, in order."""

    def __init__(self, max_workers: int) -> None:
        self.max_workers = max_workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def map(self, work: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
        return iter([work(thing) for thing in things])


@contextmanager
def one_thread() -> Iterator[None]:
    """An engine that works in one thread."""
    patched = pytest.MonkeyPatch()
    for module in (gather, trouble):
        patched.setattr(module, "ThreadPoolExecutor", _OneAfterTheOther)
    yield
    patched.undo()
