"""Histories are played in one thread, so that the same history is the same on every machine; their numbers end the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

import pytest
from moto import mock_aws

from stagekeeper.engine import gather, trouble

T = TypeVar("T")
R = TypeVar("R")


class _OneAfterTheOther:
    """A pool of no thread: what it is given runs at once, in order."""

    def __init__(self, max_workers: int) -> None:
        self.max_workers = max_workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def map(self, work: Callable[[T], R], things: Iterable[T]) -> Iterator[R]:
        return iter([work(thing) for thing in things])


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    patched = pytest.MonkeyPatch()
    for module in (gather, trouble):
        patched.setattr(module, "ThreadPoolExecutor", _OneAfterTheOther)
    with mock_aws():
        yield
    patched.undo()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many steps were taken, and of which kinds."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.stats.get(outcome, [])]
    told = [(key, value) for report in reports for key, value in report.user_properties if key.startswith("random histories")]
    if told:
        terminalreporter.section("random histories")
    for key, value in told:
        terminalreporter.write_line(f"{key.removeprefix('random histories: ')}: {value}")
