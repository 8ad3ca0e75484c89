"""What template.yaml promises beside permissions: that the record cannot get lost, and what the schedule starts."""

from __future__ import annotations

import json

from .pages import ROOT, text
from .permissions.template import load

RESOURCES = load()["Resources"]


def test_the_record_outlives_the_stack_and_can_be_put_back_to_any_moment() -> None:
    table = RESOURCES["StateTable"]

    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert table["Properties"]["DeletionProtectionEnabled"] is True
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_the_schedule_starts_the_sweep_of_the_event() -> None:
    target = RESOURCES["ScheduledSweep"]["Properties"]["Target"]
    stack = {"${SweepMode}": load()["Parameters"]["SweepMode"]["Default"], "${AWS::StackName}": "stagekeeper"}

    given = target["Input"]["Sub"]
    for name, value in stack.items():
        given = given.replace(name, value)

    assert json.loads(given) == json.loads(text(ROOT / "events/start-sweep-scheduled.json"))
    assert target["Arn"] == {"Ref": "Operation"}
