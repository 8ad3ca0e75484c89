"""EventBridge: what it tells when an execution of Step Functions ends, and whom a rule or schedule may call.

On the embedded AWS alone: there is no other double of EventBridge.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stagekeeper.embedded import instance as embedded_aws

from .conftest import embedded_client, embedded_double
from .support import EMBEDDED, Double, package_of, source, unique, wrong_on

pytestmark = pytest.mark.embedded

STATUS_CHANGES = source(
    "AWS Step Functions developer guide, Automating event delivery: Step Functions Execution Status Change, one event per change"
)
ENDLESS = {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}


@pytest.fixture
def aws(embedded: embedded_aws.Instance) -> Iterator[Double]:
    yield from embedded_double(embedded)


@dataclass
class Told:
    """A machine, and the queue to which a rule brings its status changes."""

    machine: str
    states: Any
    received: Callable[[], list[dict[str, Any]]]

    def changes(self, until: str, seconds: float = 10) -> list[dict[str, Any]]:
        """The details of all status changes, until one tells of `until` and a while after it."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        while until not in [detail["status"] for detail in found]:
            assert time.monotonic() < deadline, f"no {until} among {found}"
            found += self.received()
        time.sleep(1.5)
        return found + self.received()


@pytest.fixture
def watch(embedded: embedded_aws.Instance) -> Iterator[Callable[..., Told]]:
    """Makes a machine of these states and begins to listen to it."""
    sqs, events = embedded_client(embedded, "sqs"), embedded_client(embedded, "events")
    states = embedded_client(embedded, "stepfunctions")
    made: list[tuple[str, str]] = []

    def begin(definition: dict[str, Any]) -> Told:
        machine = states.create_state_machine(
            name=unique("machine"),
            definition=json.dumps(definition),
            roleArn=f"arn:aws:iam::{embedded.account}:role/contract",
        )["stateMachineArn"]
        url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        allow = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        rule = unique("rule")
        pattern = {
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {"stateMachineArn": [machine]},
        }
        events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
        made.append((machine, rule))

        def received() -> list[dict[str, Any]]:
            messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return [json.loads(message["Body"])["detail"] for message in messages]

        return Told(machine, states, received)

    yield begin
    for machine, rule in made:
        events.remove_targets(Rule=rule, Ids=["queue"])
        events.delete_rule(Name=rule)
        states.delete_state_machine(stateMachineArn=machine)


@STATUS_CHANGES
def test_a_failure_is_told_once_with_the_executions_name(watch: Callable[..., Told]) -> None:
    told = watch({"StartAt": "Fail", "States": {"Fail": {"Type": "Fail", "Error": "Locked", "Cause": "held"}}})

    execution = told.states.start_execution(stateMachineArn=told.machine, name="deploy-1")["executionArn"]

    changes = told.changes("FAILED")
    assert sorted(detail["status"] for detail in changes) == ["FAILED", "RUNNING"]
    assert {(detail["name"], detail["executionArn"]) for detail in changes} == {("deploy-1", execution)}


@STATUS_CHANGES
def test_a_time_out_of_the_machine_is_told_once(watch: Callable[..., Told]) -> None:
    told = watch({"StartAt": "Wait", "States": ENDLESS, "TimeoutSeconds": 1})

    told.states.start_execution(stateMachineArn=told.machine)

    assert sorted(detail["status"] for detail in told.changes("TIMED_OUT")) == ["RUNNING", "TIMED_OUT"]


@STATUS_CHANGES
def test_a_stop_is_told_once_whatever_the_task_does_afterwards(watch: Callable[..., Told], aws: Double) -> None:
    late = aws.function(Code={"ZipFile": package_of("    import time\n    time.sleep(1)\n    raise ValueError('too late')")})
    call = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": late}, "End": True}
    told = watch({"StartAt": "Call", "States": {"Call": call}})
    execution = told.states.start_execution(stateMachineArn=told.machine)["executionArn"]
    time.sleep(0.3)

    told.states.stop_execution(executionArn=execution)

    assert sorted(detail["status"] for detail in told.changes("ABORTED")) == ["ABORTED", "RUNNING"]


# Whom a rule or a schedule may call.


@pytest.fixture
def counted(aws: Double, embedded: embedded_aws.Instance) -> tuple[str, Callable[[], int]]:
    """A function's ARN, and how often it was called."""
    s3, bucket = embedded_client(embedded, "s3"), unique("bucket")
    s3.create_bucket(Bucket=bucket)
    body = f"    import boto3\n    boto3.client('s3').put_object(Bucket={bucket!r}, Key=context.aws_request_id, Body=b'1')"
    name = aws.function(Code={"ZipFile": package_of(body)})

    def calls() -> int:
        count: int = s3.list_objects_v2(Bucket=bucket)["KeyCount"]
        return count

    return aws.arn(name), calls


@source("Amazon EventBridge user guide, resource-based policies: a rule calls a function only with its permission")
@wrong_on(EMBEDDED, "does not check a rule's permission; each target's AWS::Lambda::Permission is checked statically")
def test_a_rule_without_permission_does_not_call(embedded: embedded_aws.Instance, counted: tuple[str, Callable[[], int]]) -> None:
    (function, calls), events, rule = counted, embedded_client(embedded, "events"), unique("rule")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": [rule]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "function", "Arn": function}])

    events.put_events(Entries=[{"Source": rule, "DetailType": "test", "Detail": "{}"}])
    time.sleep(2)
    events.remove_targets(Rule=rule, Ids=["function"])
    events.delete_rule(Name=rule)

    assert calls() == 0


@source("Amazon EventBridge Scheduler user guide, execution role: needs permission to call the schedule's target")
@wrong_on(EMBEDDED, "does not check a schedule's role; its policy is compared with its target statically")
def test_a_schedule_without_a_role_that_may_does_not_call(
    embedded: embedded_aws.Instance, counted: tuple[str, Callable[[], int]]
) -> None:
    (function, calls), iam, role = counted, embedded_client(embedded, "iam"), unique("powerless")
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    soon = datetime.now(UTC) + timedelta(seconds=1)
    scheduler, schedule = embedded_client(embedded, "scheduler"), unique("schedule")

    scheduler.create_schedule(
        Name=schedule,
        ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": function, "RoleArn": arn},
    )
    for _ in range(30):
        if calls():
            break
        time.sleep(0.5)
    scheduler.delete_schedule(Name=schedule)

    assert calls() == 0
