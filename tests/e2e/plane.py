"""The deployed control plane as its users have it: a state machine to start, a table and a bucket to look at.

Knows the public interface and boto3; must not know how an operation is carried out.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3

from stagekeeper.embedded.deploy import ROOT_KEY
from stagekeeper.embedded.instance import Instance

#: No operation of these cases takes a third of this (seconds), the ones that retry included.
PATIENCE = 60.0
#: Seconds between two looks at an execution. Each costs both sides milliseconds that the handlers on the same cores then lack.
_LOOK_EVERY = 0.1

_OUTPUT_MEMBERS: dict[str, type | tuple[type, ...]] = {
    "outcome": str,
    "operation_id": str,
    "operation": str,
    "service": (str, type(None)),  # of a sweep of all services
    "stage": (str, type(None)),
    "release": (int, type(None)),
    "previous_release": (int, type(None)),
    "changes": list,
    "changes_count": int,
    "warnings": list,
    "sweep": dict,
    "deleted_count": int,
    "kept_count": int,
    "report": (dict, type(None)),
}
#: What only the outputs of these operations have.
_MORE_MEMBERS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "recover": {"recovered": list},
    "sweep": {"storage": dict},
    "adopt": {"stages": list},
}
_CHANGE_MEMBERS = {"function", "action", "before", "after", "reason"}
_ACTIONS = {"publish", "reuse", "create_alias", "move_alias", "delete_alias", "delete_version", "kept"}
#: Of a stage's settings.
_ACTIONS |= {"configure"}
#: Of a service from a template, whose changes also name its stacks and what its stages share.
_ACTIONS |= {"create_stack", "update_stack", "delete_stack", "change_shared", "keep_shared", "delete_shared"}
_ENTRY_MEMBERS: dict[str, type] = {"function": str, "version": str, "reason": str, "bytes": int}
_LONGEST_LIST = 100
_CAUSE_MEMBERS: dict[str, type | tuple[type, ...]] = {"message": str, "blockers": list, "operation_id": str, "warnings": list}
_CAUSE_BYTES = 32 * 1024

_numbers = itertools.count(1)


def unique(prefix: str) -> str:
    """A name that no other case and no other run has."""
    return f"{prefix}-{next(_numbers)}-{uuid.uuid4().hex[:6]}"


@dataclass(frozen=True)
class Ended:
    """An execution that is over, as DescribeExecution shows it. ``output`` is empty unless it succeeded, ``error`` and
    ``cause`` unless it failed; ``shown`` is the whole answer as text."""

    arn: str
    operation_id: str
    status: str
    output: dict[str, Any]
    error: str
    cause: dict[str, Any]
    shown: str
    began: datetime

    @property
    def told(self) -> str:
        """Everything a failed execution tells its reader."""
        return json.dumps(self.cause, ensure_ascii=False)


class ControlPlane:
    """One deployed stack, looked at and used with the account's root credentials unless others are given."""

    def __init__(
        self, instance: Instance, stack: str, outputs: Mapping[str, str], credentials: tuple[str, str] = (ROOT_KEY, ROOT_KEY)
    ) -> None:
        self.instance = instance
        self.stack = stack
        self.outputs = outputs
        self.account = instance.account
        self.region = instance.region
        self.machine = outputs["StateMachineArn"]
        self.table_name = outputs["StateTableName"]
        self.bucket = outputs["ArtifactBucketName"]
        self.operator_policy = outputs["OperatorPolicyArn"]
        self._session = boto3.Session(*credentials, region_name=self.region)
        self._clients: dict[str, Any] = {}

    def seen_by(self, key: str, secret: str) -> ControlPlane:
        """The same, with somebody's credentials."""
        return ControlPlane(self.instance, self.stack, self.outputs, (key, secret))

    def client(self, service: str) -> Any:
        """A plain client; one for each service, since making one takes longer than most calls."""
        if service not in self._clients:
            client = self._session.client(service, endpoint_url=self.instance.endpoint)  # type: ignore[call-overload]
            self._clients[service] = client
        return self._clients[service]

    def resource(self, logical_id: str) -> str:
        """The physical name of one of the stack's resources."""
        found = self.client("cloudformation").describe_stack_resource(StackName=self.stack, LogicalResourceId=logical_id)
        return str(found["StackResourceDetail"]["PhysicalResourceId"])

    def function_arn(self, name: str) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"

    # Operations.

    def start(self, request: object, name: str | None = None) -> str:
        """Start an execution with ``request`` as its input; its ARN."""
        started = self.client("stepfunctions").start_execution(
            stateMachineArn=self.machine, name=name or unique("op"), input=json.dumps(request)
        )
        return str(started["executionArn"])

    def stop(self, arn: str) -> None:
        """Somebody stops the execution. What its task has begun goes on, as on AWS."""
        self.client("stepfunctions").stop_execution(executionArn=arn)

    def wait(self, arn: str) -> Ended:
        """The execution once it is over. Whatever it says has the form that the public interface promises."""
        deadline = time.monotonic() + PATIENCE
        while (told := self.client("stepfunctions").describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{arn} does not end"
            time.sleep(_LOOK_EVERY)
        ended = Ended(
            arn=arn,
            operation_id=told["name"],
            status=told["status"],
            output=json.loads(told.get("output", "{}")),
            error=told.get("error", ""),
            cause=json.loads(told.get("cause", "{}")),
            shown=json.dumps(told, default=str),
            began=told["startDate"],
        )
        _check_form(ended)
        return ended

    def run(self, request: object, name: str | None = None) -> Ended:
        return self.wait(self.start(request, name))

    def history(self, arn: str) -> list[dict[str, Any]]:
        """Every event of an execution."""
        pages = self.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
        return [event for page in pages for event in page["events"]]

    def waited(self, arn: str) -> bool:
        """Whether the execution ever had to wait."""
        return any(event["type"] == "WaitStateEntered" for event in self.history(arn))

    # The record.

    def item(self, pk: str, sk: str) -> dict[str, Any] | None:
        found = self._table().get_item(Key={"pk": pk, "sk": sk}, ConsistentRead=True).get("Item")
        return None if found is None else dict(found)

    def items(self, pk: str, sk_prefix: str | None = None) -> list[dict[str, Any]]:
        """The items of a partition, or those of them whose sort key begins so."""
        condition, values = "pk = :pk", {":pk": pk}
        if sk_prefix is not None:
            condition, values = f"{condition} AND begins_with(sk, :sk)", {**values, ":sk": sk_prefix}
        pages = (
            self._table()
            .meta.client.get_paginator("query")
            .paginate(
                TableName=self.table_name,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
            )
        )
        return [dict(item) for page in pages for item in page["Items"]]

    def whole_table(self) -> dict[tuple[str, str], dict[str, Any]]:
        pages = self._table().meta.client.get_paginator("scan").paginate(TableName=self.table_name, ConsistentRead=True)
        return {(item["pk"], item["sk"]): item for page in pages for item in page["Items"]}

    def item_keys(self) -> set[tuple[str, str]]:
        """Of every item there is, nothing but its key: the table gets long, and reading it takes its time."""
        pages = (
            self._table()
            .meta.client.get_paginator("scan")
            .paginate(TableName=self.table_name, ConsistentRead=True, ProjectionExpression="pk, sk")
        )
        return {(item["pk"], item["sk"]) for page in pages for item in page["Items"]}

    def operation(self, operation_id: str) -> dict[str, Any]:
        """An operation's record; empty while there is none."""
        return self.item(f"OPERATION#{operation_id}", "OPERATION") or {}

    def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(_LOOK_EVERY / 2)

    def until_holds_lock(self, service: str, operation_id: str) -> None:
        self.until(lambda: operation_id in (self.item(f"SERVICE#{service}", "LOCK") or {"holders": {}})["holders"])

    def until_waits(self, service: str, operation_id: str) -> None:
        self.until(lambda: operation_id in str((self.item(f"SERVICE#{service}", "LOCK") or {"queue": []})["queue"]))

    def until_status(self, operation_id: str, status: str) -> None:
        self.until(lambda: self.operation(operation_id).get("status") == status)

    def put_item(self, item: Mapping[str, Any]) -> None:
        """Write an item as it is, behind the control plane's back."""
        self._table().put_item(Item=dict(item))

    # The artifact bucket.

    def upload(self, body: bytes, key: str | None = None) -> dict[str, str]:
        """Put an object where code belongs; its place as requests name it."""
        place = {"s3_bucket": self.bucket, "s3_key": key or f"code/{unique('object')}"}
        self.client("s3").put_object(Bucket=place["s3_bucket"], Key=place["s3_key"], Body=body)
        return place

    def objects(self, since: datetime | None = None) -> dict[str, str]:
        """Every key of the artifact bucket with its ETag; or of those that were written in ``since``'s second or later."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {
            entry["Key"]: entry["ETag"]
            for page in pages
            for entry in page.get("Contents", [])
            if since is None or entry["LastModified"] >= since.replace(microsecond=0)
        }

    def read(self, place: Mapping[str, str]) -> bytes:
        body: bytes = self.client("s3").get_object(Bucket=place["s3_bucket"], Key=place["s3_key"])["Body"].read()
        return body

    def report(self, output: Mapping[str, Any]) -> dict[str, Any]:
        """The whole of what an operation's output tells in short."""
        whole: dict[str, Any] = json.loads(self.read(output["report"]))
        return whole

    # Misfortune.

    @contextlib.contextmanager
    def somebody_holds(self, service: str, *slots: str) -> Iterator[str]:
        """While inside, an operation that is alive and does not end holds slots of the service's lock; its name."""
        with self.somebody_alive() as name:
            self._put_holder(service, name, slots)
            try:
                yield name
            finally:
                self._put_holder(service, name, ())

    @contextlib.contextmanager
    def somebody_alive(self) -> Iterator[str]:
        """While inside, this operation's execution is RUNNING, as those see who ask whether a holder still lives.

        There are two: each waits for a service of its own, whose lock is written by hand in the other's name. So neither is
        ever granted anything, and each sees that the one in its way lives. They are ended together, and so are the
        recoveries that this begins: nothing of it goes on beside the next case.
        """
        waits = {unique("somebody"): unique("somewhere") for _ in range(2)}
        (one, where), (other, elsewhere) = waits.items()
        for service, holder in ((where, other), (elsewhere, one)):
            self._put_holder(service, holder, ("collect",))
        request = {"operation": "rollback", "stage": "any", "lock_wait_seconds": 3600}
        arns = {name: self.start({**request, "service": service}, name) for name, service in waits.items()}
        try:
            for name, service in waits.items():
                self.until_waits(service, name)
            yield one
        finally:
            for arn in arns.values():
                self.stop(arn)
            for name in waits:
                self.until_status(name, "refused")
            for service in waits.values():
                self._put_holder(service, "nobody", ())

    def _put_holder(self, service: str, name: str, slots: Sequence[str]) -> None:
        """Write ``name`` into the lock's item as the only holder, of these slots; as none without any."""
        new: dict[str, Any] = {"pk": f"SERVICE#{service}", "sk": "LOCK", "schema": 1, "revision": 0, "queue": []}
        lock = self.item(f"SERVICE#{service}", "LOCK") or new
        entry = {"operation_id": name, "operation": "deploy", "slots": set(slots), "since": 0, "gives_up_at": 0}
        self.put_item({**lock, "holders": {name: entry} if slots else {}, "revision": lock["revision"] + 1})

    @contextlib.contextmanager
    def denied(self, role: str, action: str, *resources: str) -> Iterator[None]:
        """While inside, a role of the stack (by logical id) may not do ``action`` on ``resources``, whatever else allows it."""
        document = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "Action": action, "Resource": list(resources)}],
        }
        named = {"RoleName": self.resource(role), "PolicyName": unique("denied")}
        self.client("iam").put_role_policy(**named, PolicyDocument=json.dumps(document))
        try:
            yield
        finally:
            self.client("iam").delete_role_policy(**named)

    def _table(self) -> Any:
        """Of boto3's resource, since that takes and gives plain values."""
        if "table" not in self._clients:
            resource = self._session.resource("dynamodb", endpoint_url=self.instance.endpoint)
            self._clients["table"] = resource.Table(self.table_name)
        return self._clients["table"]


def _check_form(ended: Ended) -> None:
    """The contract's form of outputs and causes, whatever the operation: a list of one must not come as its only entry."""
    assert ended.status in ("SUCCEEDED", "FAILED"), f"{ended.operation_id} is {ended.status}"
    given, members = (ended.output, _OUTPUT_MEMBERS) if ended.status == "SUCCEEDED" else (ended.cause, _CAUSE_MEMBERS)
    members = {**members, **_MORE_MEMBERS.get(str(given.get("operation")), {})}
    assert given.keys() == members.keys()
    for member, kind in members.items():
        assert isinstance(given[member], kind), f"{member} of {ended.operation_id} is {given[member]!r}"
    assert given["operation_id"] == ended.operation_id
    if ended.status == "SUCCEEDED":
        _check_lists(ended.output)
    else:
        assert ended.cause["message"]
        assert len(ended.told.encode()) <= _CAUSE_BYTES


def _check_lists(output: dict[str, Any]) -> None:
    """The lists of an output, their entries, and the counts that are there because lists are cut."""
    assert output["sweep"].keys() == {"deleted", "kept"}
    lists = {"changes": output["changes"], "deleted": output["sweep"]["deleted"], "kept": output["sweep"]["kept"]}
    for name, entries in lists.items():
        assert len(entries) == min(output[f"{name}_count"], _LONGEST_LIST)
    for change in output["changes"]:
        assert change.keys() == _CHANGE_MEMBERS
        assert change["action"] in _ACTIONS
        assert change["reason"]
        assert all(change[member] is None or change[member].isdecimal() for member in ("before", "after"))
    for entry in (*output["sweep"]["deleted"], *output["sweep"]["kept"]):
        whose = {"service": str} if output["operation"] == "sweep" and output["service"] is None else {}
        assert {member: type(value) for member, value in entry.items()} == {**_ENTRY_MEMBERS, **whose}
        assert entry["reason"]
