"""CloudFormation's change sets and what becomes of stacks: what a tool that works with them leans on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from stagekeeper.embedded import instance as embedded_aws
from tests.fake import FakeClock
from tests.fake.cloudformation import FakeCloudFormation

from .conftest import ACCOUNT, REGION, embedded_client
from .support import DIRECT, EMBEDDED, FAKE, PLAIN, refused, source, unique, wrong_on

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

CREATING = source("AWS CloudFormation API reference, CreateChangeSet")
EXECUTING = source("AWS CloudFormation API reference, ExecuteChangeSet; user guide, stack status codes")
EVENTS = source(
    "AWS CloudFormation API reference, StackEvent: ClientRequestToken; DescribeStackEvents: reverse chronological order"
)


@dataclass
class Formation:
    """One double of CloudFormation. `wait` lets time pass on its clock."""

    client: CloudFormationClient
    put_template: Callable[[str, str], str]
    wait: Callable[[float], None]
    made: list[str] = field(default_factory=list)

    def change_set(self, stack: str, body: Mapping[str, Any], kind: str = "UPDATE", **more: Any) -> str:
        """A change set of the stack by name or id; its own name, once it is worked out."""
        name = unique("change")
        self.made.append(stack)
        url = self.put_template(f"{name}.json", json.dumps(body))
        self.client.create_change_set(StackName=stack, ChangeSetName=name, ChangeSetType=kind, TemplateURL=url, **more)  # type: ignore[arg-type]  # a case names parameters
        while str(self.shown(stack, name)["Status"]) not in ("CREATE_COMPLETE", "FAILED"):
            self.wait(0.1)
        return name

    def shown(self, stack: str, name: str) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self.client.describe_change_set(StackName=stack, ChangeSetName=name)
        return answer

    def execute(self, stack: str, name: str, token: str | None = None) -> str:
        token = token or unique("token")
        self.client.execute_change_set(
            StackName=stack,
            ChangeSetName=name,
            ClientRequestToken=token,
            DisableRollback=False,
            RetainExceptOnCreate=True,
        )
        return self.ended(stack)

    def ended(self, stack: str) -> str:
        """The stack's status when nothing is in progress any more."""
        for _ in range(400):
            status = str(self.client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
            if not status.endswith("IN_PROGRESS"):
                return status
            self.wait(0.1)
        raise AssertionError(status)

    def stack(self, body: Mapping[str, Any], status: str = "CREATE_COMPLETE", token: str | None = None) -> str:
        """A new stack's name."""
        name = unique("stack")
        assert self.execute(name, self.change_set(name, body, "CREATE"), token) == status
        return name

    def id_of(self, stack: str) -> str:
        return str(self.client.describe_stacks(StackName=stack)["Stacks"][0]["StackId"])

    def failures(self, stack: str, token: str) -> list[tuple[str, str]]:
        """What failed under a token, the first first."""
        events = reversed(self.client.describe_stack_events(StackName=stack)["StackEvents"])
        mine = [event for event in events if event.get("ClientRequestToken") == token]
        failed = [event for event in mine if event.get("ResourceStatus", "").endswith("_FAILED")]
        return [(event["LogicalResourceId"], event.get("ResourceStatusReason", "")) for event in failed]


@pytest.fixture
def formation(double_name: str, request: pytest.FixtureRequest) -> Iterator[Formation]:
    if double_name in (FAKE, DIRECT):
        yield _fake(direct=double_name == DIRECT)
        return
    made = _embedded(request.getfixturevalue("embedded"))
    yield made
    for stack in set(made.made):
        made.client.delete_stack(StackName=stack)


def _fake(*, direct: bool) -> Formation:
    clock, objects = FakeClock(), dict[tuple[str, str], bytes]()

    def put(key: str, body: str) -> str:
        objects["templates", key] = body.encode()
        return f"https://s3.{REGION}.amazonaws.com/templates/{key}"

    fake = FakeCloudFormation(REGION, ACCOUNT, clock, objects=lambda bucket, key, _: objects.get((bucket, key)))
    return Formation(fake.direct_client(PLAIN) if direct else fake.client(PLAIN), put, clock.sleep)


def _embedded(instance: embedded_aws.Instance) -> Formation:
    s3, bucket = embedded_client(instance, "s3"), unique("templates")
    s3.create_bucket(Bucket=bucket)

    def put(key: str, body: str) -> str:
        s3.put_object(Bucket=bucket, Key=key, Body=body.encode())
        return f"https://s3.{instance.region}.amazonaws.com/{bucket}/{key}"

    return Formation(embedded_client(instance, "cloudformation"), put, time.sleep)


def template(outputs: Mapping[str, Any] | None = None, **resources: Any) -> dict[str, Any]:
    return {"Resources": resources, **({"Outputs": {name: {"Value": v} for name, v in outputs.items()}} if outputs else {})}


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


@CREATING
def test_a_new_stack_is_under_review_until_its_change_set_is_executed(formation: Formation) -> None:
    name = unique("stack")

    change = formation.change_set(name, template(Queue=queue()), "CREATE")

    assert formation.client.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"] == "REVIEW_IN_PROGRESS"
    shown = formation.shown(name, change)
    assert (shown["Status"], shown["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert formation.execute(name, change) == "CREATE_COMPLETE"
    assert formation.shown(name, change)["ExecutionStatus"] == "EXECUTE_COMPLETE"


@CREATING
def test_a_stack_under_review_can_be_deleted(formation: Formation) -> None:
    name = unique("stack")
    formation.change_set(name, template(Queue=queue()), "CREATE")

    formation.client.delete_stack(StackName=formation.id_of(name))
    formation.wait(2)

    with refused("ValidationError", 400, f"Stack with id {name} does not exist"):
        formation.client.describe_stacks(StackName=name)


@CREATING
def test_it_says_what_becomes_of_each_resource(formation: Formation) -> None:
    one, two = unique("queue"), unique("queue")
    stack = formation.stack(template(Old=queue(), Named=queue(QueueName=one), Same=queue(), Changed=queue(DelaySeconds=1)))

    body = template(Named=queue(QueueName=two), Same=queue(), Changed=queue(DelaySeconds=2), New=queue())
    changes = [change["ResourceChange"] for change in formation.shown(stack, formation.change_set(stack, body))["Changes"]]

    assert {change["LogicalResourceId"]: (change["Action"], change.get("Replacement")) for change in changes} == {
        "Old": ("Remove", None),
        "Named": ("Modify", "True"),
        "Changed": ("Modify", "False"),
        "New": ("Add", None),
    }


@source("CloudFormation's resource schemas, createOnlyProperties: what is not among them is changed in place")
@pytest.mark.parametrize(
    ("kind", "name", "before", "after"),
    [
        ("AWS::Logs::LogGroup", "LogGroupName", {"RetentionInDays": 7}, {"RetentionInDays": 14}),
        ("AWS::S3::Bucket", "BucketName", {}, {"VersioningConfiguration": {"Status": "Enabled"}}),
    ],
)
def test_only_its_name_replaces_what_keeps_data(
    formation: Formation, kind: str, name: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    def of(called: str, properties: dict[str, Any]) -> dict[str, Any]:
        return {"Type": kind, "Properties": {name: called, **properties}}

    one, two = unique("kept"), unique("kept")
    stack = formation.stack(template(Changed=of(one, before), Named=of(two, before)))

    change = formation.change_set(stack, template(Changed=of(one, after), Named=of(unique("kept"), before)))

    changes = [each["ResourceChange"] for each in formation.shown(stack, change)["Changes"]]
    assert {each["LogicalResourceId"]: each["Replacement"] for each in changes} == {"Changed": "False", "Named": "True"}
    targets = [detail["Target"] for each in changes for detail in each["Details"]]
    assert {(target["Name"], target["RequiresRecreation"]) for target in targets} == {
        *((changed, "Never") for changed in after),
        (name, "Always"),
    }


@source("aws/aws-sdk-js#2331, ansible-collections/amazon.aws#507: a change set without changes ends FAILED, with this reason")
def test_one_that_has_nothing_to_do_fails_and_cannot_be_executed(formation: Formation) -> None:
    body = template(Queue=queue())
    stack = formation.stack(body)

    change = formation.change_set(stack, body)

    shown = formation.shown(stack, change)
    assert (shown["Status"], shown["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert shown["StatusReason"].startswith("The submitted information didn't contain changes.")
    with refused("InvalidChangeSetStatus", 400):
        formation.client.execute_change_set(StackName=stack, ChangeSetName=change, DisableRollback=False)


@source(
    "aws/aws-cdk#2029: if only outputs are changed, CloudFormation generates a change set that is executable but has 0 changes"
)
def test_one_of_outputs_alone_has_no_changes_and_can_be_executed(formation: Formation) -> None:
    stack = formation.stack(template(Queue=queue()))

    change = formation.change_set(stack, template({"Arn": {"Fn::GetAtt": ["Queue", "Arn"]}}, Queue=queue()))

    shown = formation.shown(stack, change)
    assert (shown["Status"], shown["ExecutionStatus"], shown.get("Changes", [])) == ("CREATE_COMPLETE", "AVAILABLE", [])
    assert formation.execute(stack, change) == "UPDATE_COMPLETE"
    outputs = formation.client.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    assert [output["OutputKey"] for output in outputs] == ["Arn"]


@source("AWS CloudFormation API reference, DescribeChangeSet, StackName: the stack name or ID (ARN)")
def test_a_stack_is_named_by_its_arn_as_well(formation: Formation) -> None:
    stack = formation.stack(template(Queue=queue()))
    arn = formation.id_of(stack)

    change = formation.change_set(arn, template(Queue=queue(DelaySeconds=3)))

    listed = formation.client.list_change_sets(StackName=arn)["Summaries"]
    assert change in [each["ChangeSetName"] for each in listed]
    assert formation.execute(arn, change) == "UPDATE_COMPLETE"


@CREATING
def test_a_name_is_given_to_one_change_set_of_a_stack(formation: Formation) -> None:
    stack = formation.stack(template(Queue=queue()))
    change = formation.change_set(stack, template(Queue=queue(DelaySeconds=3)))
    url = formation.put_template("again.json", json.dumps(template(Queue=queue(DelaySeconds=4))))

    with refused("AlreadyExistsException", 400):
        formation.client.create_change_set(StackName=stack, ChangeSetName=change, TemplateURL=url)


@CREATING
def test_a_parameter_without_a_value_is_refused_at_once_and_leaves_no_stack(formation: Formation) -> None:
    name = unique("stack")

    with refused("ValidationError", 400):
        formation.change_set(name, {**template(Queue=queue()), "Parameters": {"Size": {"Type": "String"}}}, "CREATE")

    with refused("ValidationError", 400, f"Stack with id {name} does not exist"):
        formation.client.describe_stacks(StackName=name)


@source("AWS CloudFormation API reference, DeleteChangeSet: success means that it was deleted, or there was none")
def test_deleting_a_change_set_that_is_not_there_is_a_success(formation: Formation) -> None:
    stack = formation.stack(template(Queue=queue()))

    formation.client.delete_change_set(StackName=stack, ChangeSetName="none")


@EVENTS
def test_every_event_carries_the_token_of_what_caused_it_and_the_newest_comes_first(formation: Formation) -> None:
    first, second = unique("token"), unique("token")
    stack = formation.stack(template(Queue=queue()), token=first)
    change = formation.change_set(stack, template(Queue=queue(DelaySeconds=3)))

    formation.execute(stack, change, second)

    events = formation.client.describe_stack_events(StackName=stack)["StackEvents"]
    assert events[0]["ResourceStatus"] == "UPDATE_COMPLETE"
    assert {event.get("ClientRequestToken") for event in events} >= {first, second}
    assert {event["LogicalResourceId"] for event in events if event.get("ClientRequestToken") == second} == {stack, "Queue"}


TAKEN = source("AWS CloudFormation user guide, troubleshooting: a resource name that exists already; 'already exists in stack'")


@TAKEN
def test_a_name_that_another_stack_has_is_a_failure_and_the_new_stack_is_rolled_back(formation: Formation) -> None:
    name = unique("queue")
    first = formation.stack(template(Queue=queue(QueueName=name)))

    token = unique("token")
    second = formation.stack(template(First=queue(), Queue=queue(QueueName=name)), "ROLLBACK_COMPLETE", token)

    (logical_id, reason), *_ = formation.failures(second, token)
    assert (logical_id, formation.id_of(first) in reason) == ("Queue", True)


@source("AWS CloudFormation API reference, ExecuteChangeSet, RetainExceptOnCreate: also those with a deletion policy of Retain")
def test_nothing_new_stays_behind_when_a_stack_is_rolled_back(formation: Formation) -> None:
    name, mine = unique("queue"), unique("queue")
    formation.stack(template(Queue=queue(QueueName=name)))
    kept = {**queue(QueueName=mine), "DeletionPolicy": "Retain"}

    formation.stack(template(First=kept, Queue={**queue(QueueName=name), "DependsOn": "First"}), "ROLLBACK_COMPLETE")

    formation.stack(template(First=kept))


@EXECUTING
def test_an_update_that_fails_puts_everything_back(formation: Formation) -> None:
    name = unique("queue")
    formation.stack(template(Queue=queue(QueueName=name)))
    stack = formation.stack(template(Mine=queue(DelaySeconds=1)))

    change = formation.change_set(stack, template(Mine=queue(DelaySeconds=2), Theirs=queue(QueueName=name)))

    assert formation.execute(stack, change, "failing") == "UPDATE_ROLLBACK_COMPLETE"
    assert formation.shown(stack, change)["ExecutionStatus"] == "EXECUTE_FAILED"
    assert formation.failures(stack, "failing")[0][0] == "Theirs"
    assert [change["ResourceChange"]["LogicalResourceId"] for change in _changes(formation, stack)] == ["Mine"]


def _changes(formation: Formation, stack: str) -> list[Any]:
    body = template(Mine=queue(DelaySeconds=3))
    return list(formation.shown(stack, formation.change_set(stack, body))["Changes"])


@EXECUTING
@wrong_on(EMBEDDED, "takes it: what never came to be is only ever deleted here")
def test_what_was_rolled_back_while_it_was_made_can_only_be_deleted(formation: Formation) -> None:
    name = unique("queue")
    formation.stack(template(Queue=queue(QueueName=name)))
    stack = formation.stack(template(Queue=queue(QueueName=name)), "ROLLBACK_COMPLETE")

    with refused("ValidationError", 400):
        formation.change_set(stack, template(Queue=queue()))


@source("AWS CloudFormation API reference, DescribeStacks: deleted stacks are shown under their ids alone, for 90 days")
def test_a_deleted_stack_is_known_by_its_id(formation: Formation) -> None:
    stack = formation.stack(template(Queue=queue()))
    stack_id = formation.id_of(stack)

    formation.client.delete_stack(StackName=stack_id, ClientRequestToken="gone")

    assert formation.ended(stack_id) == "DELETE_COMPLETE"
    with refused("ValidationError", 400, f"Stack with id {stack} does not exist"):
        formation.client.describe_stacks(StackName=stack)


@source(
    "AWS CloudFormation user guide, DeletionPolicy: for Amazon S3 buckets, all objects must be deleted for deletion to succeed"
)
@pytest.mark.embedded
def test_a_bucket_that_is_not_empty_stays_and_its_stack_with_it(embedded: embedded_aws.Instance) -> None:
    formation, s3, name = _embedded(embedded), embedded_client(embedded, "s3"), unique("bucket")
    stack = formation.stack(template(Bucket={"Type": "AWS::S3::Bucket", "Properties": {"BucketName": name}}))
    s3.put_object(Bucket=name, Key="key", Body=b"body")

    formation.client.delete_stack(StackName=stack, ClientRequestToken="first")
    assert formation.ended(stack) == "DELETE_FAILED"
    assert "not empty" in formation.failures(stack, "first")[0][1]
    s3.delete_object(Bucket=name, Key="key")
    stack_id = formation.id_of(stack)
    formation.client.delete_stack(StackName=stack_id)

    assert formation.ended(stack_id) == "DELETE_COMPLETE"


CALLER = source("AWS CloudFormation user guide, service role: iam:PassRole of the caller; templates in S3 are read as the caller")


@CALLER
@pytest.mark.embedded
@pytest.mark.parametrize(
    ("missing", "code", "status"), [("iam:PassRole", "AccessDenied", 403), ("s3:GetObject", "ValidationError", 400)]
)
def test_the_caller_needs_to_pass_the_role_and_to_read_the_template(
    embedded: embedded_aws.Instance, missing: str, code: str, status: int
) -> None:
    iam, formation, user = embedded_client(embedded, "iam"), _embedded(embedded), unique("user")
    iam.create_user(UserName=user)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    client: Any = boto3.client(
        "cloudformation",
        endpoint_url=embedded.endpoint,
        region_name=embedded.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=PLAIN,
    )
    url = formation.put_template("template.json", json.dumps(template(Queue=queue())))
    role = f"arn:aws:iam::{embedded.account}:role/contract"

    def asked(actions: set[str]) -> None:
        statements = [{"Effect": "Allow", "Action": sorted(actions), "Resource": "*"}]
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=document)
        client.create_change_set(
            StackName=unique("stack"), ChangeSetName="one", ChangeSetType="CREATE", TemplateURL=url, RoleARN=role
        )

    needed = {"cloudformation:*", "iam:PassRole", "s3:GetObject"}
    with refused(code, status):
        asked(needed - {missing})
    asked(needed)
