"""CloudFormation, for the stacks that are ours: one method, one call or one fact. Must not decide what is done to a stack.

Reads give facts (absent and unreadable are facts too); actions raise ``CallFailed``. The client of actions never retries by
itself, so that a call that was given up cannot still be repeated. Every action carries a name that the operation made, so one
that is repeated does nothing twice, and it addresses the stack by its id: one that is late never meets another of its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import (
    AlreadyThere,
    CallFailed,
    NotThere,
    PreconditionFailed,
    error_code,
    is_throttle,
    spelled,
    translated,
)
from stagekeeper.aws.lazily import Lazily
from stagekeeper.aws.pace import Pace
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.operation import CONNECT_TIMEOUT, PUBLISH_CALL_TIMEOUT
from stagekeeper.domain.stack_work import ChangeSet, History, ResourceChange, ResourceFailure, Stack, WantedStack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

T = TypeVar("T")

#: Raises if the worker may not act any more.
Guard = Callable[[], None]

#: CloudFormation publishes no number; it throttles accounts that call much faster than this.
_PER_SECOND = 5.0
#: How often a throttled action is tried again: with the pace halving down to 1/s half a minute of patience.
_THROTTLE_ATTEMPTS = 20
#: How far the clocks of those who began an operation and of CloudFormation may be apart (seconds).
_CLOCKS_APART = 300.0
#: Whoever makes a stack with a role of its own name in the template must say so. Macros are expanded before.
_CAPABILITIES = ("CAPABILITY_NAMED_IAM",)


@dataclass(frozen=True, slots=True)
class CloudFormationClients:
    """One client for reads and one for actions: they differ in patience and retries."""

    read: CloudFormationClient
    act: CloudFormationClient

    @classmethod
    def default(cls) -> CloudFormationClients:
        session = boto3.Session()

        def client(read_timeout: int, attempts: int) -> CloudFormationClient:
            retries: Any = {"mode": "standard", "total_max_attempts": attempts}
            config = Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=read_timeout, retries=retries)
            return session.client("cloudformation", config=config)

        # CloudFormation reads the template before it answers, so its answers may take as long as those of publishing.
        return cls(client(10, 6), client(PUBLISH_CALL_TIMEOUT, 1))


class StackChanges:
    """See the module. ``role_arn`` is the role that CloudFormation acts with: our own have no right to anybody's resources.

    ``bucket`` is the artifact bucket, where the templates lie. The clients are made when the first stack is looked at.
    """

    def __init__(
        self,
        clock: Clock,
        role_arn: str,
        bucket: str,
        make_clients: Callable[[], CloudFormationClients] = CloudFormationClients.default,
    ) -> None:
        self._pace = Pace(clock, _PER_SECOND)
        self._role_arn = role_arn
        self._bucket = bucket
        self._clients = Lazily(make_clients)

    # Facts.

    def describe(self, name: str) -> Stack | Absent | Unreadable:
        """A stack by its name. Absent: there is none, or it was deleted."""
        what = f"stack {name}"
        try:
            found = self._read(lambda client: client.describe_stacks(StackName=name))["Stacks"]
        except ClientError as error:
            return Absent() if _does_not_exist(error) else Unreadable(what, spelled(error))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))
        # Under its id a deleted one is shown for a while.
        if not found or found[0]["StackStatus"] == "DELETE_COMPLETE":
            return Absent()
        return _stack(found[0])

    def change_set(self, stack_id: str, name: str) -> ChangeSet | Unreadable | None:
        """A change set with all its changes, all pages; None if the stack has none of this name."""
        what = f"change set {name} of stack {stack_id}"
        changes: list[ResourceChange] = []
        page: dict[str, str] = {}
        try:
            while True:
                answer = self._read(
                    partial(
                        lambda client, page: client.describe_change_set(StackName=stack_id, ChangeSetName=name, **page), page=page
                    )
                )
                changes += _changes(answer)
                if not answer.get("NextToken"):
                    break
                page = {"NextToken": answer["NextToken"]}
        except ClientError as error:
            if error_code(error) in ("ChangeSetNotFound", "ChangeSetNotFoundException") or _does_not_exist(error):
                return None
            return Unreadable(what, spelled(error))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))
        return ChangeSet(
            str(answer["ChangeSetId"]),
            str(answer["Status"]),
            str(answer["ExecutionStatus"]),
            str(answer.get("StatusReason", "")),
            tuple(changes),
        )

    def tags_under_review(self, stack_id: str) -> Mapping[str, str] | Unreadable:
        """The tags that a stack which is still under review is to have, by one of its change sets; none if it has none."""
        what = f"the change sets of stack {stack_id}"
        try:
            listed = self._read(lambda client: client.list_change_sets(StackName=stack_id))["Summaries"]
            if not listed:
                return {}
            first = listed[0]["ChangeSetId"]
            return _tags(self._read(lambda client: client.describe_change_set(StackName=stack_id, ChangeSetName=first)))
        except ClientError as error:
            gone = error_code(error) in ("ChangeSetNotFound", "ChangeSetNotFoundException") or _does_not_exist(error)
            return {} if gone else Unreadable(what, spelled(error))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))

    def history(self, stack_id: str, tokens: frozenset[str], since: float) -> History | Unreadable:
        """What the stack's events tell of these tokens, as far back as ``since`` (epoch seconds); all pages until then."""
        what = f"the events of stack {stack_id}"
        begun: set[str] = set()
        failures: dict[str, list[ResourceFailure]] = {}
        try:
            for event in self._events(stack_id, since - _CLOCKS_APART):
                token = str(event.get("ClientRequestToken", ""))
                if token not in tokens:
                    continue
                begun.add(token)
                if _is_failure(event, stack_id):
                    # Newest first as they come: the first failure, which caused the others, is the last.
                    failures.setdefault(token, []).insert(0, _failure(event))
        except ClientError as error:
            return History() if _does_not_exist(error) else Unreadable(what, spelled(error))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))
        return History(frozenset(begun), {token: tuple(found) for token, found in failures.items()})

    def _events(self, stack_id: str, since: float) -> Iterator[Mapping[str, Any]]:
        """Newest first, as AWS gives them."""
        page: dict[str, str] = {}
        while True:
            answer = self._read(partial(lambda client, page: client.describe_stack_events(StackName=stack_id, **page), page=page))
            for event in answer["StackEvents"]:
                if event["Timestamp"].timestamp() < since:
                    return
                yield event
            if not answer.get("NextToken"):
                return
            page = {"NextToken": answer["NextToken"]}

    def resources(self, stack_id: str) -> Mapping[str, str] | Unreadable:
        """What a stack has: the physical id of each resource by its logical id, all pages. None of what was deleted or let go."""
        what = f"the resources of stack {stack_id}"
        found: dict[str, str] = {}
        page: dict[str, str] = {}
        try:
            while True:
                answer = self._read(
                    partial(lambda client, page: client.list_stack_resources(StackName=stack_id, **page), page=page)
                )
                for each in answer["StackResourceSummaries"]:
                    if each["ResourceStatus"] not in ("DELETE_COMPLETE", "DELETE_SKIPPED") and each.get("PhysicalResourceId"):
                        found[each["LogicalResourceId"]] = each["PhysicalResourceId"]
                if not answer.get("NextToken"):
                    return found
                page = {"NextToken": answer["NextToken"]}
        except ClientError as error:
            return {} if _does_not_exist(error) else Unreadable(what, spelled(error))
        except BotoCoreError as error:
            return Unreadable(what, spelled(error))

    # Actions. Each raises CallFailed or one of its kinds; ``still_mine`` is asked right before the call goes out, each time it
    # does: it raises if the worker has lost its mandate meanwhile.

    def create_change_set(self, wanted: WantedStack, name: str, stack_id: str | None, still_mine: Guard) -> None:
        """Have the changes to a stack worked out; ``stack_id`` None: of one that is not there yet.

        AlreadyThere if it was asked for before, or the stack is there after all.
        """
        request: dict[str, Any] = {
            "StackName": stack_id or wanted.name,
            "ChangeSetName": name,
            "ChangeSetType": "UPDATE" if stack_id else "CREATE",
            # Never in the request: there it may have 51,200 bytes, in S3 a megabyte.
            "TemplateURL": self._template_url(wanted.template_key),
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(wanted.parameters.items())],
            "Capabilities": list(_CAPABILITIES),
            "Tags": [{"Key": key, "Value": value} for key, value in sorted(wanted.owner.tags().items())],
            "RoleARN": self._role_arn,
        }
        self._act(
            f"working out the changes of stack {wanted.name}", lambda client: client.create_change_set(**request), still_mine
        )

    def execute(self, stack_id: str, change_set: str, token: str, still_mine: Guard) -> None:
        """Begin with the changes of a change set, by its name. PreconditionFailed if it cannot be executed any more."""
        self._act(
            f"changing stack {stack_id}",
            lambda client: client.execute_change_set(
                StackName=stack_id,
                ChangeSetName=change_set,
                ClientRequestToken=token,
                # Said, because the API reference names another default than AWS's own tools count on.
                DisableRollback=False,
                # Nothing new stays behind, whatever its DeletionPolicy: it would have the name that the next try needs.
                RetainExceptOnCreate=True,
            ),
            still_mine,
        )

    def delete_change_set(self, stack_id: str, change_set: str, still_mine: Guard) -> None:
        """One that is not there any more is as good, also because its stack is gone."""
        with suppress(NotThere):
            self._act(
                f"deleting change set {change_set} of stack {stack_id}",
                lambda client: client.delete_change_set(StackName=stack_id, ChangeSetName=change_set),
                still_mine,
            )

    def delete_stack(self, stack_id: str, token: str, still_mine: Guard) -> None:
        """Begin to delete a stack; one that is gone is as good."""
        self._act(
            f"deleting stack {stack_id}",
            lambda client: client.delete_stack(StackName=stack_id, ClientRequestToken=token, RoleARN=self._role_arn),
            still_mine,
        )

    def continue_update_rollback(self, stack_id: str, token: str, still_mine: Guard) -> None:
        """Go on with a rollback that got stuck."""
        self._act(
            f"going on with the rollback of stack {stack_id}",
            lambda client: client.continue_update_rollback(StackName=stack_id, ClientRequestToken=token, RoleARN=self._role_arn),
            still_mine,
        )

    def _template_url(self, key: str) -> str:
        """CloudFormation reads it with the caller's permissions."""
        meta: Any = self._clients().read.meta
        suffix = "amazonaws.com.cn" if meta.partition == "aws-cn" else "amazonaws.com"
        return f"https://s3.{meta.region_name}.{suffix}/{self._bucket}/{key}"

    def _read(self, call: Callable[[CloudFormationClient], T]) -> T:
        self._pace.wait()
        return call(self._clients().read)

    def _act(self, what: str, call: Callable[[CloudFormationClient], object], still_mine: Guard) -> None:
        client = self._clients().act
        for attempt in range(1, _THROTTLE_ATTEMPTS + 1):
            self._pace.wait()
            still_mine()
            try:
                call(client)
            except (ClientError, BotoCoreError) as error:
                if not is_throttle(error) or attempt == _THROTTLE_ATTEMPTS:
                    raise _translated(what, error) from error
                self._pace.slow_down()
            else:
                return


def _stack(found: Mapping[str, Any]) -> Stack:
    changed: datetime = found.get("LastUpdatedTime") or found["CreationTime"]
    return Stack(
        stack_id=str(found["StackId"]),
        status=str(found["StackStatus"]),
        reason=str(found.get("StackStatusReason", "")),
        tags=_tags(found),
        outputs={str(each["OutputKey"]): str(each["OutputValue"]) for each in found.get("Outputs", ())},
        changed_at=changed.isoformat(),
    )


def _tags(found: Mapping[str, Any]) -> dict[str, str]:
    return {str(tag["Key"]): str(tag["Value"]) for tag in found.get("Tags", ())}


def _changes(answer: Mapping[str, Any]) -> Iterator[ResourceChange]:
    for change in answer.get("Changes", ()):
        found = change["ResourceChange"]
        targets = [detail.get("Target", {}) for detail in found.get("Details", ())]
        # A property has a detail for each of its causes.
        names = {str(target["Name"]) for target in targets if "Name" in target and target.get("RequiresRecreation") != "Never"}
        yield ResourceChange(
            str(found["LogicalResourceId"]),
            str(found["ResourceType"]),
            str(found["Action"]),
            found.get("Replacement"),
            tuple(sorted(names)),
        )


def _is_failure(event: Mapping[str, Any], stack_id: str) -> bool:
    """Of a resource, and not only because another had failed first."""
    told = str(event.get("ResourceStatusReason", ""))
    cancelled = told.startswith("Resource") and "cancelled" in told
    own = event.get("PhysicalResourceId") == stack_id
    # The stack fails by itself when its outputs, or its template, cannot be worked out.
    return str(event["ResourceStatus"]).endswith("_FAILED") and not cancelled and not (own and _only_sums_up(told))


def _only_sums_up(reason: str) -> bool:
    return not reason or reason.startswith("The following resource(s) failed")


def _failure(event: Mapping[str, Any]) -> ResourceFailure:
    return ResourceFailure(
        str(event["LogicalResourceId"]),
        str(event["ResourceType"]),
        str(event["ResourceStatus"]),
        str(event.get("ResourceStatusReason", "")),
    )


def _translated(what: str, error: ClientError | BotoCoreError) -> CallFailed:
    """CloudFormation has codes of its own for what others say with 404, 409 and 412."""
    if isinstance(error, ClientError):
        match error_code(error):
            case "AlreadyExistsException" | "TokenAlreadyExistsException":
                return AlreadyThere(what, spelled(error))
            case "ChangeSetNotFound" | "ChangeSetNotFoundException":
                return NotThere(what, spelled(error))
            case "ValidationError" if _does_not_exist(error):
                return NotThere(what, spelled(error))
            case "InvalidChangeSetStatus" | "InvalidChangeSetStatusException":
                return PreconditionFailed(what, spelled(error))
    return translated(what, error)


def _does_not_exist(error: ClientError) -> bool:
    """CloudFormation has no code of its own for it."""
    return error_code(error) == "ValidationError" and "does not exist" in str(error)
