"""The little of CloudFormation that is asked: how a stack is, and which stack owns a resource. Must not know the product.

Its answers and errors are shaped as botocore gives them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError


@dataclass
class FakeStack:
    """``resources``: physical id by logical id."""

    stack_id: str
    name: str
    status: str = "UPDATE_COMPLETE"
    root_id: str | None = None
    resources: dict[str, str] = field(default_factory=dict)


class FakeCloudFormation:
    """One account's stacks in one Region. ``calls`` is what was asked; ``before`` runs ahead of each answer, and may raise."""

    def __init__(self, region: str, account: str = "123456789012") -> None:
        self._where = f"arn:aws:cloudformation:{region}:{account}:stack"
        self.stacks: dict[str, FakeStack] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.before: Callable[[str, Mapping[str, Any]], None] = lambda _operation, _request: None
        self._guard = threading.Lock()

    def put(self, name: str, status: str = "UPDATE_COMPLETE", *, root: FakeStack | None = None, **resources: str) -> FakeStack:
        """A stack as somebody's deploy left it."""
        stack = FakeStack(f"{self._where}/{name}/1", name, status, None if root is None else root.stack_id, dict(resources))
        self.stacks[name] = stack
        return stack

    def describe_stacks(self, **request: Any) -> Mapping[str, Any]:
        self._note("DescribeStacks", request)
        wanted = request["StackName"]
        found = [stack for stack in self.stacks.values() if wanted in (stack.name, stack.stack_id)]
        if not found:
            raise _validation("DescribeStacks", f"Stack with id {wanted} does not exist")
        (stack,) = found
        parents = {} if stack.root_id is None else {"RootId": stack.root_id, "ParentId": stack.root_id}
        return {"Stacks": [{"StackId": stack.stack_id, "StackName": stack.name, "StackStatus": stack.status, **parents}]}

    def describe_stack_resources(self, **request: Any) -> Mapping[str, Any]:
        self._note("DescribeStackResources", request)
        wanted = request["PhysicalResourceId"]
        for stack in self.stacks.values():
            if wanted in stack.resources.values():
                listed = [
                    {
                        "StackName": stack.name,
                        "StackId": stack.stack_id,
                        "LogicalResourceId": logical,
                        "PhysicalResourceId": physical,
                        "ResourceStatus": "UPDATE_COMPLETE",
                    }
                    for logical, physical in stack.resources.items()
                ]
                return {"StackResources": listed}
        raise _validation("DescribeStackResources", f"Stack for {wanted} does not exist")

    def _note(self, operation: str, request: Mapping[str, Any]) -> None:
        with self._guard:
            self.calls.append((operation, request))
        self.before(operation, request)


def _validation(operation: str, message: str) -> ClientError:
    error = {"Error": {"Code": "ValidationError", "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(error, operation)  # type: ignore[arg-type]  # the stubs want members that no caller reads
