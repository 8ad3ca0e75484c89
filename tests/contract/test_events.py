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


# What a rule tells a function: the whole event, and only the ones that its pattern asks for.

#: Lets its input decide how an execution ends.
ENDS_AS_ASKED: dict[str, Any] = {
    "QueryLanguage": "JSONata",
    "StartAt": "Which",
    "States": {
        "Which": {
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.end = 'fail' %}", "Next": "Fail"},
                {"Condition": "{% $states.input.end = 'wait' %}", "Next": "Wait"},
            ],
            "Default": "Done",
        },
        "Fail": {"Type": "Fail", "Error": "Locked", "Cause": "held by deploy-7"},
        "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Done"},
        "Done": {"Type": "Succeed"},
    },
    "TimeoutSeconds": 2,
}
ENDS_BADLY = ["ABORTED", "FAILED", "TIMED_OUT"]


@dataclass
class Watched:
    """A machine, and a function that a rule tells of every execution of it that ended badly."""

    machine: str
    states: Any
    events: Callable[[], list[dict[str, Any]]]

    def start(self, **given: Any) -> dict[str, Any]:
        """Start an execution; returns its ARN and the text of its input."""
        text = json.dumps(given)
        answer = self.states.start_execution(stateMachineArn=self.machine, name=unique("execution"), input=text)
        return {"arn": answer["executionArn"], "input": text}

    def told(self, count: int = 1, seconds: float = 10, after: float = 1.0) -> list[dict[str, Any]]:
        """The events, when there are that many of them and a while after."""
        deadline = time.monotonic() + seconds
        while len(self.events()) < count:
            assert time.monotonic() < deadline, f"{count} events expected, {len(self.events())} came"
            time.sleep(0.1)
        time.sleep(after)
        return self.events()


@pytest.fixture
def kept(aws: Double, embedded: embedded_aws.Instance) -> Callable[[str], tuple[str, Callable[[], list[dict[str, Any]]]]]:
    """Makes a function that keeps the events it is called with and then does this; with the events it has kept."""

    def make(then: str) -> tuple[str, Callable[[], list[dict[str, Any]]]]:
        s3, bucket = embedded_client(embedded, "s3"), unique("bucket")
        s3.create_bucket(Bucket=bucket)
        put = f"boto3.client('s3').put_object(Bucket={bucket!r}, Key=uuid.uuid4().hex, Body=json.dumps(event).encode())"
        name = aws.function(Code={"ZipFile": package_of(f"    import boto3, json, uuid\n    {put}\n    {then}")})

        def events() -> list[dict[str, Any]]:
            keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
            return [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]

        return name, events

    return make


@pytest.fixture
def call_on(aws: Double, embedded: embedded_aws.Instance) -> Iterator[Callable[[dict[str, Any], str], None]]:
    """Makes a rule with this pattern that calls this function."""
    events, made = embedded_client(embedded, "events"), []

    def make(pattern: dict[str, Any], function: str) -> None:
        rule = unique("rule")
        arn = events.put_rule(Name=rule, EventPattern=json.dumps(pattern))["RuleArn"]
        made.append(rule)
        aws.client.add_permission(
            FunctionName=function,
            StatementId="rule",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=arn,
        )
        events.put_targets(Rule=rule, Targets=[{"Id": "function", "Arn": aws.arn(function)}])

    yield make
    for rule in made:
        events.remove_targets(Rule=rule, Ids=["function"])
        events.delete_rule(Name=rule)


@pytest.fixture
def watched(
    embedded: embedded_aws.Instance,
    kept: Callable[[str], tuple[str, Callable[[], list[dict[str, Any]]]]],
    call_on: Callable[[dict[str, Any], str], None],
) -> Iterator[Callable[[dict[str, Any]], Watched]]:
    """Makes a machine whose executions that end badly are told to a function."""
    states, made = embedded_client(embedded, "stepfunctions"), []

    def make(definition: dict[str, Any]) -> Watched:
        role = f"arn:aws:iam::{embedded.account}:role/contract"
        answer = states.create_state_machine(name=unique("machine"), definition=json.dumps(definition), roleArn=role)
        machine: str = answer["stateMachineArn"]
        made.append(machine)
        function, events = kept("return None")
        pattern = {
            "source": ["aws.states"],
            "detail-type": ["Step Functions Execution Status Change"],
            "detail": {"status": ENDS_BADLY, "stateMachineArn": [machine]},
        }
        call_on(pattern, function)
        return Watched(machine, states, events)

    yield make
    for machine in made:
        states.delete_state_machine(stateMachineArn=machine)


#: The members of `detail` in each of the guide's examples.
DOCUMENTED = (
    "executionArn",
    "stateMachineArn",
    "name",
    "status",
    "startDate",
    "stopDate",
    "input",
    "inputDetails",
    "output",
    "outputDetails",
)
EXAMPLES = source("AWS Step Functions developer guide, EventBridge for execution status changes, the example events")


@EXAMPLES
@pytest.mark.parametrize(
    ("end", "status", "error", "cause"),
    [
        pytest.param("fail", "FAILED", "Locked", "held by deploy-7", id="failed"),
        pytest.param("wait", "TIMED_OUT", None, None, id="timed-out"),
        pytest.param("wait", "ABORTED", None, None, id="stopped"),
    ],
)
def test_a_function_is_told_how_an_execution_ended(
    watched: Callable[[dict[str, Any]], Watched],
    embedded: embedded_aws.Instance,
    end: str,
    status: str,
    error: str | None,
    cause: str | None,
) -> None:
    watch = watched(ENDS_AS_ASKED)
    started = watch.start(end=end, stage="dev")
    if status == "ABORTED":
        watch.states.stop_execution(executionArn=started["arn"])

    (event,) = watch.told()

    shown = watch.states.describe_execution(executionArn=started["arn"])
    detail = event["detail"]
    assert {name: detail[name] for name in DOCUMENTED} == {
        "executionArn": started["arn"],
        "stateMachineArn": watch.machine,
        "name": started["arn"].rsplit(":", 1)[1],
        "status": status,
        "startDate": _milliseconds(shown["startDate"]),
        "stopDate": _milliseconds(shown["stopDate"]),
        "input": started["input"],
        "inputDetails": {"included": True},
        "output": None,
        "outputDetails": None,
    }
    assert (detail.get("error"), detail.get("cause")) == (error, cause)
    assert (event["source"], event["detail-type"]) == ("aws.states", "Step Functions Execution Status Change")
    assert (event["account"], event["region"], event["resources"]) == (embedded.account, embedded.region, [started["arn"]])


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@source("AWS Step Functions developer guide, EventBridge payloads: an escaped input of more than 248 KB is left out")
def test_an_input_too_big_for_an_event_is_left_out_and_that_is_said(watched: Callable[[dict[str, Any]], Watched]) -> None:
    watch = watched(ENDS_AS_ASKED)
    watch.start(end="fail", padding="x" * 255_000)

    (event,) = watch.told()

    assert (event["detail"].get("input"), event["detail"]["inputDetails"]) == (None, {"included": False})


@source("Amazon EventBridge user guide, event patterns: every field must match one of its values")
def test_a_rule_tells_of_its_statuses_and_its_machine_only(watched: Callable[[dict[str, Any]], Watched]) -> None:
    watch, other = watched(ENDS_AS_ASKED), watched(ENDS_AS_ASKED)
    succeeded = watch.start(end="well")
    other.start(end="fail")
    failed = watch.start(end="fail")

    events = watch.told()

    assert watch.states.describe_execution(executionArn=succeeded["arn"])["status"] == "SUCCEEDED"
    assert [event["detail"]["executionArn"] for event in events] == [failed["arn"]]


@STATUS_CHANGES
@pytest.mark.parametrize("later", ["return 'done'", "raise ValueError('too late')"], ids=["succeeds", "fails"])
def test_a_function_is_told_once_of_a_stop_whatever_the_task_does_afterwards(
    watched: Callable[[dict[str, Any]], Watched], aws: Double, later: str
) -> None:
    late = aws.function(Code={"ZipFile": package_of(f"    import time\n    time.sleep(1)\n    {later}")})
    call = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": late},
        "End": True,
    }
    watch = watched({"QueryLanguage": "JSONata", "StartAt": "Call", "States": {"Call": call}})
    execution = watch.start()["arn"]
    time.sleep(0.5)

    watch.states.stop_execution(executionArn=execution)

    events = watch.told(after=1.5)
    assert [event["detail"]["status"] for event in events] == ["ABORTED"]


@source(
    "AWS Lambda developer guide, How Lambda handles errors with asynchronous invocation: two more times; EventBridge's is one"
)
@wrong_on(EMBEDDED, "calls a rule's function once, even if it fails; whoever waits for a lock recovers its dead holder too")
def test_a_function_that_fails_is_told_again(
    kept: Callable[[str], tuple[str, Callable[[], list[dict[str, Any]]]]],
    call_on: Callable[[dict[str, Any], str], None],
    embedded: embedded_aws.Instance,
) -> None:
    function, calls = kept("raise ValueError('not yet')")
    origin = unique("origin")
    call_on({"source": [origin]}, function)

    embedded_client(embedded, "events").put_events(Entries=[{"Source": origin, "DetailType": "test", "Detail": "{}"}])

    deadline = time.monotonic() + 4
    while len(calls()) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    first, second = calls()
    assert first == second


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
