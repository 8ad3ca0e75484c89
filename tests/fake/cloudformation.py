"""The little of CloudFormation that is asked: how a stack is, and which stack owns a resource. Must not know the product.

Its answers and errors are shaped as botocore gives them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

#: So many resources are shown at once: by DescribeStackResources in all, by ListStackResources in a page.
_PAGE = 100


@dataclass
class FakeStack:
    """``resources``: physical id by logical id, ``left``: the status of those that it let go of. ``root_id`` and ``parent_id``
    are of one that is nested."""

    stack_id: str
    name: str
    status: str = "UPDATE_COMPLETE"
    root_id: str | None = None
    parent_id: str | None = None
    resources: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


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
        outermost = None if root is None else root.stack_id
        stack = FakeStack(f"{self._where}/{name}/1", name, status, outermost, outermost, dict(resources))
        self.stacks[name] = stack
        return stack

    def describe_stacks(self, **request: Any) -> Mapping[str, Any]:
        self._note("DescribeStacks", request)
        wanted = request["StackName"]
        found = [stack for stack in self.stacks.values() if wanted in (stack.name, stack.stack_id)]
        if not found:
            raise _validation("DescribeStacks", f"Stack with id {wanted} does not exist")
        (stack,) = found
        parents = {"RootId": stack.root_id, "ParentId": stack.parent_id}
        parents = {member: stack_id for member, stack_id in parents.items() if stack_id is not None}
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
                        "ResourceStatus": stack.left.get(physical, "UPDATE_COMPLETE"),
                    }
                    for logical, physical in stack.resources.items()
                ]
                return {"StackResources": listed[:_PAGE]}
        raise _validation("DescribeStackResources", f"Stack for {wanted} does not exist")

    def list_stack_resources(self, **request: Any) -> Mapping[str, Any]:
        self._note("ListStackResources", request)
        wanted, start = request["StackName"], int(request.get("NextToken", "0"))
        there = [stack for stack in self.stacks.values() if wanted in (stack.name, stack.stack_id)]
        if not there:
            raise _validation("ListStackResources", f"Stack with id {wanted} does not exist")
        (stack,) = there
        listed = [
            {
                "LogicalResourceId": logical,
                "PhysicalResourceId": physical,
                "ResourceStatus": stack.left.get(physical, "UPDATE_COMPLETE"),
            }
            for logical, physical in stack.resources.items()
        ]
        more = {"NextToken": str(start + _PAGE)} if len(listed) > start + _PAGE else {}
        return {"StackResourceSummaries": listed[start : start + _PAGE], **more}

    def _note(self, operation: str, request: Mapping[str, Any]) -> None:
        with self._guard:
            self.calls.append((operation, request))
        self.before(operation, request)


def _validation(operation: str, message: str) -> ClientError:
    error = {"Error": {"Code": "ValidationError", "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    return ClientError(error, operation)  # type: ignore[arg-type]  # the stubs want members that no caller reads
