"""What a sweep writes into the log and as metrics, in CloudWatch's embedded format."""

from __future__ import annotations

import io
import json
import uuid
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from stagekeeper.domain.model import FunctionArn, LogicalName, ServiceName, VersionNumber
from stagekeeper.domain.orphans import Verdict
from stagekeeper.engine.telemetry import Judged, SweepTold
from stagekeeper.handlers.telemetry import PowertoolsTelemetry


def judged(number: int, *, remove: bool) -> Judged:
    name, arn = LogicalName("api"), FunctionArn("arn:api")
    return Judged(ServiceName("orders"), Verdict(name, arn, VersionNumber(number), 1000 + number, remove, f"reason {number}"))


def told(deleted: bool, capsys: pytest.CaptureFixture[str]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The lines of the log, and the metrics that went out."""
    stream = io.StringIO()
    metrics = Metrics(namespace="Stagekeeper", service="stagekeeper")
    metrics.clear_metrics()
    # Loggers of one name are one logger, with the stream of the first.
    telemetry = PowertoolsTelemetry(Logger(service=uuid.uuid4().hex, stream=stream), metrics)
    verdicts = [judged(1, remove=True), judged(2, remove=True), judged(3, remove=False)]

    telemetry.swept(SweepTold("op-7", deleted, verdicts, failures=1, left_out=2))
    metrics.flush_metrics()

    return [json.loads(line) for line in stream.getvalue().splitlines()], json.loads(capsys.readouterr().out)


def test_there_is_one_line_per_version_with_what_became_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    lines, _ = told(True, capsys)

    members = ("sweep", "service", "function", "version", "deleted", "reason", "bytes")
    assert [tuple(line[member] for member in members) for line in lines] == [
        ("op-7", "orders", "api", "1", True, "reason 1", 1001),
        ("op-7", "orders", "api", "2", True, "reason 2", 1002),
        ("op-7", "orders", "api", "3", False, "reason 3", 1003),
    ]


def test_the_sums_are_metrics(capsys: pytest.CaptureFixture[str]) -> None:
    _, metrics = told(True, capsys)

    expected = {"VersionsKept": 1, "VersionsDeleted": 2, "BytesFreed": 2003, "SweepFailures": 1, "ServicesLeftOut": 2}
    assert {name: metrics[name] for name in expected} == {name: [value] for name, value in expected.items()}
    (declared,) = metrics["_aws"]["CloudWatchMetrics"]
    assert (declared["Namespace"], {each["Name"] for each in declared["Metrics"]}) == ("Stagekeeper", set(expected))


def test_a_report_deletes_nothing_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    lines, metrics = told(False, capsys)

    assert [(line["unneeded"], line["deleted"]) for line in lines] == [(True, False), (True, False), (False, False)]
    assert (metrics["VersionsKept"], metrics["VersionsDeleted"], metrics["BytesFreed"]) == ([3], [0], [0])
