"""Somebody else's stacks on the embedded AWS: made, changed and deleted by CloudFormation. Knows nothing of what is in them."""

from __future__ import annotations

import json
import time
from typing import Any

from .plane import PATIENCE, ControlPlane, unique

#: What fails a stack's operation, after everything that it depends on.
BROKEN = {"Type": "Custom::Broken", "Properties": {"ServiceToken": "arn:aws:lambda:us-east-1:000000000000:function:none"}}


class Stack:
    """One stack of a plane's account, with what became of it."""

    def __init__(self, plane: ControlPlane, prefix: str = "shop") -> None:
        self.name = unique(prefix)
        self._formation = plane.client("cloudformation")

    def create(self, template: str, **parameters: str) -> str:
        """The status it ends in."""
        self._formation.create_stack(**self._request(template, parameters))
        return self._ended()

    def update(self, template: str, **parameters: str) -> str:
        self._formation.update_stack(**self._request(template, parameters))
        return self._ended()

    def delete(self) -> str:
        arn = self.stack_id
        self._formation.delete_stack(StackName=self.name)
        return self._ended(arn)

    def _request(self, template: str, parameters: dict[str, str]) -> dict[str, Any]:
        given = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
        return {"StackName": self.name, "TemplateBody": template, "Parameters": given, "Capabilities": ["CAPABILITY_IAM"]}

    def _ended(self, arn: str | None = None) -> str:
        deadline = time.monotonic() + PATIENCE
        while (status := str(self._described(arn)["StackStatus"])).endswith("_IN_PROGRESS"):
            assert time.monotonic() < deadline, f"{self.name} is still {status}"
            time.sleep(0.1)
        return status

    def _described(self, arn: str | None = None) -> dict[str, Any]:
        (found,) = self._formation.describe_stacks(StackName=arn or self.name)["Stacks"]
        return dict(found)

    @property
    def stack_id(self) -> str:
        return str(self._described()["StackId"])

    @property
    def outputs(self) -> dict[str, str]:
        return {output["OutputKey"]: output["OutputValue"] for output in self._described().get("Outputs", [])}

    def physical(self, logical_id: str) -> str:
        found = self._formation.describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def events(self, logical_id: str) -> list[tuple[str, str]]:
        """What became of a resource, oldest first: statuses and reasons."""
        told = self._formation.describe_stack_events(StackName=self.name)["StackEvents"]
        # CloudFormation tells the newest first, also of those of one moment.
        mine = [each for each in reversed(told) if each["LogicalResourceId"] == logical_id]
        mine.sort(key=lambda each: each["Timestamp"])
        return [(each["ResourceStatus"], each.get("ResourceStatusReason", "")) for each in mine]


def template_of(*, broken: bool = False, **properties: Any) -> str:
    """A template of one Custom::OrphanedVersions, and of something that fails after it."""
    resources: dict[str, Any] = {"CleanUp": {"Type": "Custom::OrphanedVersions", "Properties": properties}}
    if broken:
        resources["Broken"] = {**BROKEN, "DependsOn": "CleanUp"}
    told = {name: {"Value": {"Fn::GetAtt": ["CleanUp", name]}} for name in ("DeletedCount", "KeptCount", "Reason", "Detail")}
    return json.dumps({"Resources": resources, "Outputs": told})
