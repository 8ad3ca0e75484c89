"""However much an operation has to tell, its output fits into a state machine's payload and its item into the table."""

from __future__ import annotations

import json

import pytest

from stagekeeper.domain.model import FunctionArn, LogicalName, OperationId, ServiceName, VersionNumber
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.orphans import FoundVersion, FunctionFacts, SweepSettings, Verdict, orphans
from stagekeeper.domain.reach import ServiceFacts, index
from stagekeeper.domain.sweep import deletions
from stagekeeper.engine.report import Subject, Swept, planned

SUBJECT = Subject(OperationId("x" * 80), OperationKind.SWEEP, ServiceName("s" * 63), None)


def verdict(number: int, reason: str, *, remove: bool) -> Verdict:
    return Verdict(LogicalName("f" * 128), FunctionArn("arn"), VersionNumber(number), 1, remove, reason)


@pytest.mark.parametrize("letter", ["x", "ü", '"'], ids=["plain", "two bytes", "escaped"])
def test_an_output_stays_small_whatever_its_reasons(letter: str) -> None:
    verdicts = [verdict(number, letter * 100_000, remove=bool(number % 2)) for number in range(1, 1001)]

    output = planned(SUBJECT, Swept(tuple(verdicts))).output

    assert len(json.dumps(output).encode()) < 256 * 1024
    assert (output["deleted_count"], output["kept_count"], output["changes_count"]) == (500, 500, len(deletions(verdicts)))
    assert all(0 < len(entries) <= 100 for entries in output["sweep"].values())


def test_a_short_output_is_told_whole() -> None:
    verdicts = tuple(verdict(number, "alias prod points at it", remove=False) for number in range(1, 101))

    output = planned(SUBJECT, Swept(verdicts)).output

    assert [entry["version"] for entry in output["sweep"]["kept"]] == [str(number) for number in range(1, 101)]


def test_a_reason_names_three_of_many_aliases() -> None:
    found = FoundVersion(VersionNumber(1), 1, ours=True, published_at=0.0, content=None)
    names = [f"stage-{number:03}" for number in range(200)]
    facts = FunctionFacts(LogicalName("a"), FunctionArn("arn"), [found], {found.version: names}, {})

    (kept,) = orphans(facts, index(ServiceFacts([], [], [], {})), SweepSettings(0, 0, 0), now=1.0)

    assert kept.reason == "aliases stage-000, stage-001, stage-002 and 197 more point at it"
