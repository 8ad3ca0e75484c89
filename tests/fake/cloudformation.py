"""The strict in-memory fake of CloudFormation: stacks, change sets, and what becomes of them as time passes.

`FakeCloudFormation.client()` is a real boto3 client whose requests are answered from memory, so botocore's own checks and errors
run; who asks little may also be given the fake itself, whose reads answer as botocore does. It must not know the product.

AWS's rules (API reference: CreateChangeSet, ExecuteChangeSet, DeleteStack, ContinueUpdateRollback, DescribeStackEvents; user
guide: stack status codes): a change set is worked out after it was asked for, and fails when it has nothing to do (but one of
outputs alone has no changes and can be executed: aws-cdk#2029); only one that is AVAILABLE can be executed, which drops all
others; a stack whose creation was rolled back can only be deleted; a request token marks every event that it caused, and is taken
once.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import OperationModel

from . import wire_query
from .clock import FakeClock
from .direct import direct_client
from .errors import AwsError
from .lambda_ import FakeLambda
from .stack_life import ChangeSetHeld, Event, FakeStack, Goal, Life, Lives
from .stack_resources import Failure, Phase, Resources
from .templates import invalid, needed_capability, parameters, parse
from .wire import Answer, Params, client_of

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

__all__ = ["FakeCloudFormation", "FakeStack"]

#: No test makes so many of anything.
_ABOVE_ALL = 10_000
#: So many resources, events and changes are shown at once. (AWS: 100 resources; of the others a megabyte.)
_PAGE = 100
_NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
_UPDATABLE = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "UPDATE_FAILED", "IMPORT_COMPLETE")
_DELETABLE_IN_PROGRESS = ("CREATE_IN_PROGRESS", "REVIEW_IN_PROGRESS", "DELETE_IN_PROGRESS")

Hook = Callable[[str, Mapping[str, Any]], None]
#: Stacks by their names, and the names that are taken by what is in them.
Held = tuple[dict[str, FakeStack], dict[tuple[str, str], str]]
Objects = Callable[[str, str, str | None], bytes | None]


def _nothing(_operation: str, _request: Mapping[str, Any]) -> None: ...


class FakeCloudFormation:
    """One account's stacks in one Region. ``calls`` is what was asked; ``before`` runs ahead of each answer, ``after`` when its
    effect is there but its answer is not yet; both may raise.

    `clock` gives seconds since the epoch. `lambda_` is where functions are made, `objects` gives the bytes of an S3 object.
    `resource_seconds` is what each resource takes, `change_set_seconds` what a change set takes to be worked out.
    """

    def __init__(
        self,
        region: str,
        account: str = "123456789012",
        clock: Callable[[], float] | None = None,
        *,
        lambda_: FakeLambda | None = None,
        objects: Objects = lambda _bucket, _key, _version: None,
        resource_seconds: float = 1.0,
        change_set_seconds: float = 2.0,
    ) -> None:
        self._where = f"arn:aws:cloudformation:{region}:{account}:stack"
        self.region, self.account = region, account
        self.clock: Callable[[], float] = clock if clock is not None else FakeClock()
        self.stacks: dict[str, FakeStack] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self.page = _PAGE
        self.change_set_seconds = change_set_seconds
        #: What a change set that has nothing to do says; CloudFormation has two sentences for it.
        self.no_changes = _NO_CHANGES
        self._objects = objects
        self.resources = Resources(lambda_)
        self._lives = Lives(region, account, self.resources, self.clock, resource_seconds)
        #: Deleted ones are known by their ids alone.
        self._deleted: dict[str, FakeStack] = {}
        #: What was asked with each token, of which stack.
        self._tokens: dict[str, tuple[str, str]] = {}
        self._numbers = itertools.count(2)
        self._guard = threading.RLock()
        self._operations: dict[str, Callable[..., Mapping[str, Any]]] = {
            "DescribeStacks": self._describe_stacks,
            "DescribeStackResources": self._describe_stack_resources,
            "ListStackResources": self._list_stack_resources,
            "DescribeStackEvents": self._describe_stack_events,
            "CreateChangeSet": self._create_change_set,
            "DescribeChangeSet": self._describe_change_set,
            "ListChangeSets": self._list_change_sets,
            "ExecuteChangeSet": self._execute_change_set,
            "DeleteChangeSet": self._delete_change_set,
            "DeleteStack": self._delete_stack,
            "ContinueUpdateRollback": self._continue_update_rollback,
        }

    # What tests arrange.

    def put(self, name: str, status: str = "UPDATE_COMPLETE", *, root: FakeStack | None = None, **resources: str) -> FakeStack:
        """A stack as somebody's deploy left it."""
        outermost = None if root is None else root.stack_id
        stack = FakeStack(f"{self._where}/{name}/1", name, status, outermost, outermost, dict(resources))
        stack.created_at = self.clock()
        self.stacks[name] = stack
        return stack

    def fail(
        self, logical_id: str, phase: Phase = "CREATE", reason: str = "As the test wants it.", times: int | None = 1
    ) -> None:
        """Have a resource fail when it is created, updated, deleted or put back; so often, or (None) always."""
        self.resources.failures.append(Failure(logical_id, phase, reason, times))

    def heal(self) -> None:
        self.resources.failures.clear()

    def slow_down(self, resource_seconds: float) -> None:
        """From now on each resource takes so long."""
        self._lives.seconds = resource_seconds

    def held(self) -> Held:
        """Everything there is, once what is going on has come to its end, for `hold` of another of these."""
        self.finish()
        return deepcopy((self.stacks, self.resources.kept))

    def hold(self, held: Held) -> None:
        """Have what `held` gave. What is made from now on is numbered above it."""
        self.stacks, self.resources.kept = deepcopy(held)
        self._numbers = itertools.count(_ABOVE_ALL)
        self._lives.number_from(_ABOVE_ALL)

    def client(self, config: Config | None = None) -> CloudFormationClient:
        """A real boto3 client of this fake. Without a `config` it retries nothing."""
        client: CloudFormationClient = client_of("cloudformation", self.region, config, self._answer)
        return client

    def direct_client(self, config: Config | None = None) -> CloudFormationClient:
        """The same without HTTP (see `direct`)."""
        client: CloudFormationClient = direct_client("cloudformation", self.region, config, self._answer_directly)
        return client

    def asked(self, operation: str) -> list[Mapping[str, Any]]:
        """The requests of one operation."""
        return [request for name, request in self.calls if name == operation]

    def stack(self, name: str) -> FakeStack:
        """A stack as it is by now."""
        self._settle()
        return self.stacks[name]

    def finish(self) -> None:
        """Let everything that is going on come to its end, whatever the time."""
        for stack in list(self.stacks.values()):
            while stack.life is not None:
                self._lives.settle(stack, stack.due)
        self._settle()

    # Those who are given the fake itself.

    def describe_stacks(self, **request: Any) -> Mapping[str, Any]:
        return self._directly("DescribeStacks", request)

    def describe_stack_resources(self, **request: Any) -> Mapping[str, Any]:
        return self._directly("DescribeStackResources", request)

    def list_stack_resources(self, **request: Any) -> Mapping[str, Any]:
        return self._directly("ListStackResources", request)

    def _directly(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            return self._do(operation, request)
        except AwsError as error:
            told = {"Error": {"Code": error.code, "Message": error.message}, "ResponseMetadata": {"HTTPStatusCode": error.status}}
            raise ClientError(told, operation) from error  # type: ignore[arg-type]  # the stubs want members that no caller reads

    def _answer_directly(self, operation: OperationModel, params: Params, written: Callable[[Answer], Answer]) -> Answer:
        return written(dict(self._do(operation.name, params)))

    def _answer(self, operation: OperationModel, request: AWSPreparedRequest) -> AWSResponse:
        request_id = f"00000000-0000-4000-8000-{len(self.calls):012x}"
        try:
            answer = self._do(operation.name, wire_query.read_request(operation, request))
        except AwsError as error:
            return wire_query.write_error(error, request, request_id)
        return wire_query.write_answer(operation, dict(answer), request, request_id)

    def _do(self, operation: str, request: Mapping[str, Any]) -> Mapping[str, Any]:
        if operation not in self._operations:
            raise NotImplementedError(f"the fake of CloudFormation has no {operation}")
        with self._guard:
            self.calls.append((operation, request))
        # Without the lock: a test may ask in one.
        self.before(operation, request)
        with self._guard:
            self._settle()
            answer = self._operations[operation](**request)
        self.after(operation, request)
        return answer

    def _settle(self) -> None:
        for name, stack in list(self.stacks.items()):
            self._lives.settle(stack, self.clock())
            if stack.status == "DELETE_COMPLETE":
                self._deleted[stack.stack_id] = self.stacks.pop(name)

    # Reads.

    def _named(self, name: str, otherwise: str = "Stack with id {} does not exist") -> FakeStack:
        """By its name, or by its id, under which a deleted one is known, too."""
        for stack in (*self.stacks.values(), *self._deleted.values()):
            if name == stack.stack_id or (name == stack.name and stack.status != "DELETE_COMPLETE"):
                return stack
        raise invalid(otherwise.format(name))

    def _describe_stacks(self, StackName: str) -> Mapping[str, Any]:  # noqa: N803  # AWS's name
        stack = self._named(StackName)
        shown: dict[str, Any] = {
            "StackId": stack.stack_id,
            "StackName": stack.name,
            "StackStatus": stack.status,
            "CreationTime": _time(stack.created_at),
            "Tags": _pairs(stack.tags),
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in stack.outputs.items()],
        }
        rest: dict[str, Any] = {"RootId": stack.root_id, "ParentId": stack.parent_id, "StackStatusReason": stack.reason or None}
        rest |= {"LastUpdatedTime": None if stack.updated_at is None else _time(stack.updated_at)}
        rest |= {"RoleARN": None if stack.goal is None else stack.goal.role}
        return {"Stacks": [{**shown, **{member: value for member, value in rest.items() if value is not None}}]}

    def _describe_stack_resources(self, PhysicalResourceId: str) -> Mapping[str, Any]:  # noqa: N803  # AWS's name
        for stack in self.stacks.values():
            if PhysicalResourceId in stack.resources.values():
                whose = {"StackName": stack.name, "StackId": stack.stack_id}
                return {"StackResources": [{**whose, **each} for each in self._resources_of(stack, "Timestamp")][:_PAGE]}
        raise invalid(f"Stack for {PhysicalResourceId} does not exist")

    def _list_stack_resources(self, StackName: str, NextToken: str = "0") -> Mapping[str, Any]:  # noqa: N803  # AWS's name
        resources = self._resources_of(self._named(StackName), "LastUpdatedTimestamp")
        return self._paged("StackResourceSummaries", resources, NextToken)

    def _resources_of(self, stack: FakeStack, moment: str) -> list[dict[str, Any]]:
        """``moment``: the member that says when it was changed last, of which the operations have two."""
        return [
            {
                "LogicalResourceId": logical,
                "PhysicalResourceId": physical,
                "ResourceType": stack.made[logical].type if logical in stack.made else "AWS::Lambda::Function",
                moment: _time(stack.updated_at or stack.created_at),
                "ResourceStatus": stack.left.get(
                    physical, stack.made[logical].status if logical in stack.made else "UPDATE_COMPLETE"
                ),
            }
            for logical, physical in stack.resources.items()
        ]

    def _describe_stack_events(self, StackName: str, NextToken: str = "0") -> Mapping[str, Any]:  # noqa: N803  # AWS's name
        stack = self._named(StackName, "Stack [{}] does not exist")
        newest_first = sorted(stack.events, key=lambda event: (event.at, event.number), reverse=True)
        return self._paged("StackEvents", [_event(stack, event) for event in newest_first], NextToken)

    def _paged(self, member: str, listed: list[dict[str, Any]], token: str) -> Mapping[str, Any]:
        start = int(token)
        more = {"NextToken": str(start + self.page)} if len(listed) > start + self.page else {}
        return {member: listed[start : start + self.page], **more}

    # Change sets.

    def _create_change_set(
        self,
        StackName: str,  # noqa: N803  # AWS's name
        ChangeSetName: str,  # noqa: N803  # AWS's name
        ChangeSetType: str = "UPDATE",  # noqa: N803  # AWS's name
        **request: Any,
    ) -> Mapping[str, Any]:
        if not re.fullmatch("[a-zA-Z][-a-zA-Z0-9]{0,127}", ChangeSetName):
            raise invalid(f"1 validation error detected: Value '{ChangeSetName}' at 'changeSetName' failed to satisfy constraint")
        template = parse(self._template(request))
        needed = needed_capability(template)
        given = request.get("Capabilities", [])
        if needed is not None and needed not in given and "CAPABILITY_NAMED_IAM" not in given:
            raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")
        values = {each["ParameterKey"]: each["ParameterValue"] for each in request.get("Parameters", [])}
        tags = {each["Key"]: each["Value"] for each in request.get("Tags", [])}
        goal = Goal(template, parameters(template, values), tags, request.get("RoleARN"))
        stack = self._reviewed(StackName, ChangeSetName) if ChangeSetType == "CREATE" else self._updatable(StackName)
        if ChangeSetName in stack.change_sets:
            raise AwsError("AlreadyExistsException", f"ChangeSet {ChangeSetName} already exists")
        planned, now = self._lives.planned(stack, goal), self.clock()
        change_set = ChangeSetHeld(
            f"{self._where.rpartition(':')[0]}:changeSet/{ChangeSetName}/{next(self._numbers)}",
            ChangeSetName,
            goal,
            planned or [],
            now,
            now + self.change_set_seconds,
            self.no_changes if planned is None else None,
        )
        stack.change_sets[ChangeSetName] = change_set
        return {"Id": change_set.change_set_id, "StackId": stack.stack_id}

    def _template(self, request: Mapping[str, Any]) -> str:
        if "TemplateBody" in request:
            if len(request["TemplateBody"].encode()) > 51_200:
                raise invalid("1 validation error detected: 'templateBody' must have length less than or equal to 51200")
            return str(request["TemplateBody"])
        bucket, _, key = urlsplit(request["TemplateURL"]).path.lstrip("/").partition("/")
        found = self._objects(bucket, key, None)
        if found is None:
            raise invalid("S3 error: The specified key does not exist.")
        if len(found) > 1_000_000:
            raise invalid("Template may not exceed 1000000 bytes in size.")
        return found.decode()

    def _reviewed(self, name: str, change_set: str) -> FakeStack:
        """The stack that is to be made: it is there from now on, without anything in it."""
        there = self.stacks.get(name)
        if there is None:
            if not re.fullmatch("[a-zA-Z][-a-zA-Z0-9]{0,127}", name):
                raise invalid(f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint")
            there = FakeStack(f"{self._where}/{name}/{next(self._numbers)}", name, created_at=self.clock())
            self.stacks[name] = there
            self._lives.review(there, self.clock())
        if there.status != "REVIEW_IN_PROGRESS":
            told = f"Stack [{name}] already exists and cannot be created again with the changeSet [{change_set}]."
            raise invalid(told)
        return there

    def _updatable(self, name: str) -> FakeStack:
        stack = self._named(name, "Stack [{}] does not exist")
        if stack.status not in _UPDATABLE:
            raise invalid(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
        return stack

    def _describe_change_set(self, ChangeSetName: str, StackName: str, NextToken: str = "0") -> Mapping[str, Any]:  # noqa: N803  # AWS's name
        stack, held = self._change_set(StackName, ChangeSetName)
        status, execution = self._status_of(held)
        shown: dict[str, Any] = {
            "ChangeSetId": held.change_set_id,
            "ChangeSetName": held.name,
            "StackId": stack.stack_id,
            "StackName": stack.name,
            "Status": status,
            "ExecutionStatus": execution,
            "Tags": _pairs(held.goal.tags),
        }
        if status == "FAILED":
            shown["StatusReason"] = held.failed
        made = status == "CREATE_COMPLETE"
        return {**shown, **self._paged("Changes", held.changes if made else [], NextToken)}

    def _change_set(self, stack_name: str, name: str) -> tuple[FakeStack, ChangeSetHeld]:
        stack = self._named(stack_name, "Stack [{}] does not exist")
        for held in stack.change_sets.values():
            if name in (held.name, held.change_set_id):
                return stack, held
        raise AwsError("ChangeSetNotFound", f"ChangeSet [{name}] does not exist", 404)

    def _status_of(self, held: ChangeSetHeld) -> tuple[str, str]:
        now = self.clock()
        if now < held.made_at:
            return ("CREATE_PENDING" if now < (held.begun_at + held.made_at) / 2 else "CREATE_IN_PROGRESS"), "UNAVAILABLE"
        return ("FAILED", "UNAVAILABLE") if held.failed is not None else ("CREATE_COMPLETE", held.execution)

    def _list_change_sets(self, StackName: str) -> Mapping[str, Any]:  # noqa: N803  # AWS's name
        held = self._named(StackName, "Stack [{}] does not exist").change_sets.values()
        return {"Summaries": [{"ChangeSetId": each.change_set_id, "ChangeSetName": each.name} for each in held]}

    def _execute_change_set(
        self,
        ChangeSetName: str,  # noqa: N803  # AWS's name
        StackName: str,  # noqa: N803  # AWS's name
        ClientRequestToken: str | None = None,  # noqa: N803  # AWS's name
        DisableRollback: bool = True,  # noqa: N803  the API reference's default
        RetainExceptOnCreate: bool = False,  # noqa: N803  # AWS's name
    ) -> Mapping[str, Any]:
        if DisableRollback:
            raise NotImplementedError("the fake always rolls back: say so")
        stack, held = self._change_set(StackName, ChangeSetName)
        if self._was_taken(stack, ClientRequestToken, "ExecuteChangeSet"):
            return {}
        status, execution = self._status_of(held)
        if (status, execution) != ("CREATE_COMPLETE", "AVAILABLE"):
            told = f"ChangeSet [{held.change_set_id}] cannot be executed in its current status of [{execution}]"
            raise AwsError("InvalidChangeSetStatus", told)
        new = stack.status == "REVIEW_IN_PROGRESS"
        if not new and stack.status not in _UPDATABLE:
            raise invalid(f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
        held.execution = "EXECUTE_IN_PROGRESS"
        stack.change_sets = {held.name: held}
        life = self._lives.create if new else self._lives.update
        working = life(stack, held.goal, ClientRequestToken, not RetainExceptOnCreate)
        self._begin(stack, self._executing(stack, held, working))
        return {}

    def _executing(self, stack: FakeStack, held: ChangeSetHeld, life: Life) -> Life:
        yield from life
        held.execution = "EXECUTE_COMPLETE" if stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE") else "EXECUTE_FAILED"

    def _delete_change_set(self, ChangeSetName: str, StackName: str) -> Mapping[str, Any]:  # noqa: N803  # AWS's name
        stack = self._named(StackName, "Stack [{}] does not exist")
        held = stack.change_sets.get(ChangeSetName)
        if held is not None and held.execution == "EXECUTE_IN_PROGRESS":
            raise AwsError("InvalidChangeSetStatus", f"ChangeSet [{held.change_set_id}] cannot be deleted while it is executed")
        stack.change_sets.pop(ChangeSetName, None)
        return {}

    # Stacks.

    def _delete_stack(
        self,
        StackName: str,  # noqa: N803  # AWS's name
        ClientRequestToken: str | None = None,  # noqa: N803  # AWS's name
        RoleARN: str | None = None,  # noqa: ARG002, N803
    ) -> Mapping[str, Any]:
        stack = next((each for each in self.stacks.values() if StackName in (each.name, each.stack_id)), None)
        if stack is None or stack.status == "DELETE_IN_PROGRESS" or self._was_taken(stack, ClientRequestToken, "DeleteStack"):
            return {}
        if stack.status.endswith("_IN_PROGRESS") and stack.status not in _DELETABLE_IN_PROGRESS:
            raise invalid(f"Stack [{stack.name}] cannot be deleted while in status {stack.status}")
        if stack.protected:
            raise invalid(f"Stack [{stack.stack_id}] cannot be deleted while TerminationProtection is enabled")
        self._begin(stack, self._lives.delete(stack, ClientRequestToken))
        return {}

    def _continue_update_rollback(
        self,
        StackName: str,  # noqa: N803  # AWS's name
        ClientRequestToken: str | None = None,  # noqa: N803  # AWS's name
        RoleARN: str | None = None,  # noqa: ARG002, N803
    ) -> Mapping[str, Any]:
        stack = self._named(StackName, "Stack [{}] does not exist")
        if self._was_taken(stack, ClientRequestToken, "ContinueUpdateRollback"):
            return {}
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            told = f"Stack:{stack.stack_id} is in {stack.status} state and can not continue an update rollback."
            raise invalid(told)
        self._begin(stack, self._lives.resume(stack, ClientRequestToken))
        return {}

    def _was_taken(self, stack: FakeStack, token: str | None, operation: str) -> bool:
        """The same request again. The same token for another one is refused."""
        if token is None:
            return False
        if not re.fullmatch("[a-zA-Z0-9][-a-zA-Z0-9]{0,127}", token):
            raise invalid(f"1 validation error detected: Value '{token}' at 'clientRequestToken' failed to satisfy constraint")
        taken = self._tokens.setdefault(token, (operation, stack.stack_id))
        if taken != (operation, stack.stack_id):
            raise AwsError("TokenAlreadyExistsException", f"A different request has the token {token}")
        # A refused one has taken nothing: whoever got through has an event.
        return any(event.token == token for event in stack.events)

    def _begin(self, stack: FakeStack, life: Life) -> None:
        self._lives.begin(stack, life, self.clock())


def _event(stack: FakeStack, event: Event) -> dict[str, Any]:
    shown = {
        "StackId": stack.stack_id,
        "EventId": f"event-{event.number}",
        "StackName": stack.name,
        "LogicalResourceId": event.logical_id,
        "PhysicalResourceId": event.physical_id,
        "ResourceType": event.type,
        "Timestamp": _time(event.at),
        "ResourceStatus": event.status,
    }
    rest = {"ResourceStatusReason": event.reason or None, "ClientRequestToken": event.token}
    return {**shown, **{name: value for name, value in rest.items() if value is not None}}


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
