"""Histories are played in one thread, so that the same history is the same on every machine; their numbers end the run."""

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
    """How many steps were taken, and of which kinds."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.stats.get(outcome, [])]
    told = [(key, value) for report in reports for key, value in report.user_properties if key.startswith("random histories")]
    if told:
        terminalreporter.section("random histories")
    for key, value in told:
        terminalreporter.write_line(f"{key.removeprefix('random histories: ')}: {value}")
