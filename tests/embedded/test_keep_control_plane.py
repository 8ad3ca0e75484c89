"""The control plane over a stop and a start with `keep`: deployed again onto itself, it goes on where it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from stagekeeper.embedded import deploy, instance
from stagekeeper.embedded.instance import Instance
from tests.e2e.plane import ControlPlane
from tests.e2e.service import ROLE, Service

from .conftest import ROOT


@dataclass
class OverTheStop:
    """A service of two functions whose `dev` and `prod` serve r2, and AWS's answers before the stop."""

    service: Service
    before: dict[str, Any]


def deployed(on: Instance) -> ControlPlane:
    stack = deploy.deploy_control_plane(on, print)
    return ControlPlane(on, stack.stack, stack.outputs)


def answers(plane: ControlPlane) -> dict[str, Any]:
    """What nobody but an operation may change: the record, the stack, every execution with its history."""
    sfn, cloudformation = plane.client("stepfunctions"), plane.client("cloudformation")
    executions = sfn.list_executions(stateMachineArn=plane.machine)["executions"]
    described = [sfn.describe_execution(executionArn=each["executionArn"]) for each in executions]
    stack = cloudformation.describe_stacks(StackName=plane.stack)["Stacks"][0]
    return {
        "record": plane.whole_table(),
        "objects": plane.objects(),
        "stack": (stack["StackStatus"], stack["Outputs"], stack.get("LastUpdatedTime")),
        "resources": cloudformation.describe_stack_resources(StackName=plane.stack)["StackResources"],
        "executions": [{**each, "ResponseMetadata": None} for each in described],
        "histories": [plane.history(each["executionArn"]) for each in executions],
    }


@pytest.fixture(scope="module")
def over_the_stop() -> Iterator[OverTheStop]:
    running = instance.start(None, ROOT, keep=True)
    try:
        plane = deployed(running)
        trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
        plane.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=document)
        service = Service(plane, "Api", "Worker")
        for text in ("one", "two"):
            for stage in ("dev", "prod"):
                service.deploy_text(stage, text)
        before = answers(plane)
        instance.stop(running)
        running = instance.start(running.port, ROOT, keep=True)
        service.plane = deployed(running)
        yield OverTheStop(service, before)
    finally:
        instance.stop(running, discard=True)
        shutil.rmtree(running.kept.parent)


def test_what_was_recorded_is_there_and_deploying_again_changes_nothing(over_the_stop: OverTheStop) -> None:
    assert answers(over_the_stop.service.plane) == over_the_stop.before


def test_stages_serve_what_they_served(over_the_stop: OverTheStop) -> None:
    for stage in ("dev", "prod"):
        assert over_the_stop.service.says(stage) == {"Api": "two", "Worker": "two"}
        over_the_stop.service.assert_agreement(stage)


def test_operations_go_on_where_they_were(over_the_stop: OverTheStop) -> None:
    service = over_the_stop.service

    back = service.rollback("prod", if_release=2)
    assert (back["previous_release"], back["release"]) == (2, 1)
    service.assert_agreement("prod", back)
    assert service.says("prod") == {"Api": "one", "Worker": "one"}

    third = service.deploy_text("dev", "three")
    assert third["release"] == 3
    assert {change["after"] for change in third["changes"]} == {"3"}
    assert service.says("dev") == {"Api": "three", "Worker": "three"}
