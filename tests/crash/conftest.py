"""The account that executions are hit in: one thread at a time, so that every run sends its requests in the same order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.engine.one_thread import one_thread


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


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
