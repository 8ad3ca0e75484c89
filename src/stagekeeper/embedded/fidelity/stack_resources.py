"""DescribeStackResources by a resource's physical id: the stack that has it, whole; ValidationError where none has it.

AWS CloudFormation API reference, DescribeStackResources: one of StackName and PhysicalResourceId, not both; with the latter "the
associated resources of the stack that the resource belongs to are returned". ministack knows StackName alone.
"""

from __future__ import annotations

from typing import Any

from stagekeeper.embedded.fidelity.patching import Answer, PatchError

_ACTION = "DescribeStackResources"


def install(cloudformation: Any, helpers: Any) -> None:
    handlers = cloudformation._ACTION_HANDLERS
    if _ACTION not in handlers:
        raise PatchError(f"ministack has no {_ACTION}: this is not the one that the layer was written for.")
    original = handlers[_ACTION]

    def describe(params: dict[str, Any]) -> Answer:
        wanted, name = helpers._p(params, "PhysicalResourceId"), helpers._p(params, "StackName")
        if not wanted:
            named: Answer = original(params)
            return named
        if name:
            refused: Answer = helpers._error("ValidationError", "Only one of StackName and PhysicalResourceId may be given.")
            return refused
        for stack in cloudformation._stacks.values():
            resources = stack.get("_resources", {}).values()
            if stack.get("StackStatus") != "DELETE_COMPLETE" and any(r.get("PhysicalResourceId") == wanted for r in resources):
                found: Answer = original({**params, "StackName": [stack["StackId"]]})
                return found
        missing: Answer = helpers._error("ValidationError", f"Stack for {wanted} does not exist")
        return missing

    handlers[_ACTION] = describe
