"""The schedule: EventBridge starts sweeps of all services by itself; they stand aside where somebody is at work.

On a control plane of its own, whose parameters keep nothing and whose schedule fires every minute.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from .conftest import deploy_another
from .plane import ControlPlane
from .service import Service

ROOT = Path(__file__).resolve().parents[2]
#: The embedded AWS fires a schedule within a minute, as AWS does; the sweep takes seconds.
PATIENCE = 150


@pytest.fixture(scope="module")
def minutely(plane: ControlPlane) -> ControlPlane:
    parameters = {"Keep": "0", "RollbackDepth": "0", "GraceHours": "0", "SweepSchedule": "rate(1 minute)"}
    return deploy_another(plane, "minutely", parameters)


def scheduled(plane: ControlPlane) -> list[dict[str, Any]]:
    """The outputs of the scheduled sweeps that have ended, the newest first."""
    client = plane.client("stepfunctions")
    outputs = []
    for each in client.list_executions(stateMachineArn=plane.machine)["executions"]:
        shown = client.describe_execution(executionArn=each["executionArn"])
        given = json.loads(shown["input"])
        if given.get("actor") == "schedule" and shown["status"] != "RUNNING":
            assert shown["status"] == "SUCCEEDED", shown
            outputs.append({**json.loads(shown["output"]), "given": given})
    return outputs


def test_it_sweeps_every_service_and_leaves_out_one_that_somebody_is_at_work_on(minutely: ControlPlane) -> None:
    free, busy = Service(minutely, "a"), Service(minutely, "a")
    for service in (free, busy):
        for text in ("one", "two"):
            service.deploy_text("dev", text)

    with minutely.somebody_holds(busy.name, "stage:dev") as holder:
        output = wait_for_a_sweep(minutely, lambda output: output["deleted_count"] == 1)

    assert free.versions("a") == ["2"]
    assert busy.versions("a") == ["1", "2"]
    (warning,) = output["warnings"]
    assert warning.startswith(f"service {busy.name} was left out: ")
    assert holder in warning
    expected = json.loads((ROOT / "events/start-sweep-scheduled.json").read_text(encoding="utf-8"))
    assert output["given"] == {**expected, "reason": f"SweepSchedule of stack {minutely.stack}"}
    told = lines(minutely, output["operation_id"])
    assert [(line["function"], line["version"], line["deleted"]) for line in told if line["service"] == free.name] == [
        ("a", "1", True),
        ("a", "2", False),
    ]
    assert all(line["reason"] and line["bytes"] > 0 for line in told)
    assert {"VersionsDeleted": 1, "SweepFailures": 0, "ServicesLeftOut": 1}.items() <= metrics(minutely).items()


def wait_for_a_sweep(plane: ControlPlane, wanted: Any) -> dict[str, Any]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        for output in scheduled(plane):
            if wanted(output):
                return output
        time.sleep(1)
    raise AssertionError(f"no such sweep within {PATIENCE} s: {scheduled(plane)}")


def messages(plane: ControlPlane) -> list[dict[str, Any]]:
    """What the handler that ends sweeps has logged, of what is JSON."""
    found = []
    for event in plane.client("logs").filter_log_events(logGroupName=plane.resource("CollectLogs"))["events"]:
        if event["message"].startswith("{"):
            found.append(json.loads(event["message"]))
    return found


def lines(plane: ControlPlane, sweep: str) -> list[dict[str, Any]]:
    return [line for line in messages(plane) if line.get("sweep") == sweep]


def metrics(plane: ControlPlane) -> dict[str, float]:
    """Those of the first sweep that deleted something, in CloudWatch's embedded format."""
    told = [line for line in messages(plane) if "_aws" in line and line.get("VersionsDeleted", [0])[0]]
    (names,) = told[0]["_aws"]["CloudWatchMetrics"]
    assert names["Namespace"] == "Stagekeeper"
    return {each["Name"]: told[0][each["Name"]][0] for each in names["Metrics"]}
