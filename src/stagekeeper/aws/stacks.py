"""CloudFormation: how a stack is, and which stack owns a resource. Must not change any stack."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import error_code, spelled
from stagekeeper.aws.lazily import Lazily
from stagekeeper.aws.pace import Pace
from stagekeeper.domain.facts import Absent, StackSeen, Unreadable

#: DescribeStackResources shows no more of a stack than this (CloudFormation API reference).
_SHOWN = 100
#: CloudFormation publishes no number; it throttles accounts that read much faster than this.
_PER_SECOND = 5.0


class CloudFormationClient(Protocol):
    """The calls of CloudFormation that are made."""

    def describe_stacks(self, **request: Any) -> Mapping[str, Any]: ...

    def describe_stack_resources(self, **request: Any) -> Mapping[str, Any]: ...

    def list_stack_resources(self, **request: Any) -> Mapping[str, Any]: ...


def cloudformation_client() -> CloudFormationClient:
    config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 6})
    client: Any = boto3.client("cloudformation", config=config)
    typed: CloudFormationClient = client
    return typed


class Stacks:
    """The client is made when the first stack is looked at: most tasks look at none."""

    def __init__(self, clock: Clock, make_client: Callable[[], CloudFormationClient] = cloudformation_client) -> None:
        self._pace = Pace(clock, _PER_SECOND)
        self._client = Lazily(make_client)

    def look(self, stack_id: str) -> StackSeen | Absent | Unreadable:
        """A stack by its ARN. Absent: it was deleted so long ago that CloudFormation forgot it."""
        self._pace.wait()
        try:
            answer = self._client().describe_stacks(StackName=stack_id)["Stacks"]
        except ClientError as error:
            return Absent() if _does_not_exist(error) else Unreadable(f"stack {stack_id}", spelled(error))
        except BotoCoreError as error:
            return Unreadable(f"stack {stack_id}", spelled(error))
        if not answer:
            return Absent()
        found = answer[0]
        root = str(found.get("RootId") or found["StackId"])
        parent: str | None = found.get("ParentId") or None
        return StackSeen(str(found["StackId"]), str(found["StackName"]), str(found["StackStatus"]), root, parent)

    def owned_beside(self, physical_id: str) -> Mapping[str, str] | Absent | Unreadable:
        """What the stack owns that has a resource: the stack's name by physical id. Absent: no stack has the resource.

        A resource that its stack let go of is not among them.
        """
        try:
            self._pace.wait()
            listed = list(self._client().describe_stack_resources(PhysicalResourceId=physical_id)["StackResources"])
            if len(listed) >= _SHOWN and all(each.get("PhysicalResourceId") != physical_id for each in listed):
                listed = self._all_of(str(listed[0]["StackId"]), str(listed[0]["StackName"]))
        except ClientError as error:
            return Absent() if _does_not_exist(error) else Unreadable(f"the stack of {physical_id}", spelled(error))
        except BotoCoreError as error:
            return Unreadable(f"the stack of {physical_id}", spelled(error))
        return {str(each["PhysicalResourceId"]): str(each["StackName"]) for each in _kept(listed)}

    def resources_of(self, stack_id: str) -> Mapping[str, str] | Unreadable:
        """What a stack has by now: the logical id of each resource by its physical id. None of what it let go of."""
        try:
            listed = self._all_of(stack_id, stack_id)
        except ClientError as error:
            return {} if _does_not_exist(error) else Unreadable(f"the resources of stack {stack_id}", spelled(error))
        except BotoCoreError as error:
            return Unreadable(f"the resources of stack {stack_id}", spelled(error))
        return {str(each["PhysicalResourceId"]): str(each["LogicalResourceId"]) for each in _kept(listed)}

    def _all_of(self, stack_id: str, name: str) -> list[dict[str, Any]]:
        """Every resource of a stack, all pages of 100."""
        found: list[dict[str, Any]] = []
        page: dict[str, str] = {}
        while True:
            self._pace.wait()
            answer = self._client().list_stack_resources(StackName=stack_id, **page)
            found += [{**each, "StackName": name} for each in answer["StackResourceSummaries"]]
            if not answer.get("NextToken"):
                return found
            page = {"NextToken": str(answer["NextToken"])}


class StackLooks:
    """Each stack is looked at once, however many functions it has: for one batch of work, which takes seconds."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks
        self._seen: dict[str, StackSeen | Absent | Unreadable] = {}
        self._looking = threading.Lock()

    def with_outer(self, stack_id: str) -> list[StackSeen] | Unreadable:
        """The stack, and all that it is nested in; none of it if it is gone."""
        found: list[StackSeen] = []
        ahead: str | None = stack_id
        while ahead is not None and all(each.stack_id != ahead for each in found):
            seen = self._look(ahead)
            if isinstance(seen, Unreadable):
                return seen
            if isinstance(seen, Absent):
                break
            found.append(seen)
            ahead = seen.parent_id
        return found

    def _look(self, stack_id: str) -> StackSeen | Absent | Unreadable:
        with self._looking:
            if stack_id not in self._seen:
                self._seen[stack_id] = self._stacks.look(stack_id)
            return self._seen[stack_id]


def _kept(listed: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The resources that exist, and that their stack did not let go of."""
    gone = ("DELETE_COMPLETE", "DELETE_SKIPPED")
    return [each for each in listed if each["ResourceStatus"] not in gone and each.get("PhysicalResourceId")]


def _does_not_exist(error: ClientError) -> bool:
    """CloudFormation has no code of its own for it."""
    return error_code(error) == "ValidationError" and "does not exist" in str(error)
