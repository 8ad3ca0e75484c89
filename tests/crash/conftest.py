"""The account that executions are hit in: one thread at a time, so that every run sends its requests in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

import pytest
from moto import mock_aws

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


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    patched = pytest.MonkeyPatch()
    for module in (gather, trouble):
        patched.setattr(module, "ThreadPoolExecutor", _OneAfterTheOther)
    with mock_aws():
        yield
    patched.undo()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many points were tried, by operation and number of functions."""
    rows = [
        (key, value)
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        for key, value in report.user_properties
        if key.startswith("crash points of ")
    ]
    if not rows:
        return
    terminalreporter.section("crash points")
    for name, count in sorted(rows):
        terminalreporter.write_line(f"{count:6d} {name.removeprefix('crash points of ')}")
    terminalreporter.write_line(f"{sum(count for _, count in rows):6d} in all")
