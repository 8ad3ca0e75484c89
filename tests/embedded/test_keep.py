"""`keep`: what an embedded AWS holds when it is stopped is there when the next one starts on its port."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stagekeeper.embedded import instance, kept
from stagekeeper.embedded.errors import EmbeddedError, KeptStateUnusable
from stagekeeper.embedded.instance import Instance, PortBusy
from stagekeeper.embedded.server import MINISTACK_VERSION

from .conftest import client, until, zipped

SAYS_VERSION = "def handler(event, context): return context.function_version"
MACHINE = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": 7, "End": True}}}
WAITING = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 600, "End": True}}}


def restarted(of: Instance, in_progress_seconds: float = 0.0) -> Instance:
    instance.stop(of)
    return instance.start(of.port, of.root, keep=True, in_progress_seconds=in_progress_seconds)


def make_role(of: Instance) -> str:
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    arn: str = client(of, "iam").create_role(RoleName="any", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    return arn


def make_function(of: Instance, role: str) -> None:
    members = {"Runtime": "python3.13", "Role": role, "Handler": "app.handler", "Code": {"ZipFile": zipped(SAYS_VERSION)}}
    client(of, "lambda").create_function(FunctionName="f", **members)


def settled(of: Instance) -> None:
    def is_settled() -> bool:
        shown = client(of, "lambda").get_function(FunctionName="f")["Configuration"]
        return (shown["State"], shown.get("LastUpdateStatus")) == ("Active", "Successful")

    until(is_settled)


def run(of: Instance, machine: str, name: str) -> str:
    arn: str = client(of, "stepfunctions").start_execution(stateMachineArn=machine, name=name)["executionArn"]
    return arn


def make_machine(of: Instance, name: str, definition: dict[str, Any], role: str) -> str:
    members = {"definition": json.dumps(definition), "roleArn": role}
    arn: str = client(of, "stepfunctions").create_state_machine(name=name, **members)["stateMachineArn"]
    return arn


def answers(of: Instance) -> dict[str, Any]:
    """What AWS says of everything that `furnished` put there, without what is of the single answer."""
    lambda_, s3, dynamodb = client(of, "lambda"), client(of, "s3"), client(of, "dynamodb")
    iam, sfn = client(of, "iam"), client(of, "stepfunctions")
    (machine,) = sfn.list_state_machines()["stateMachines"]
    (execution,) = sfn.list_executions(stateMachineArn=machine["stateMachineArn"])["executions"]
    given: dict[str, Any] = {
        "configuration": lambda_.get_function(FunctionName="f")["Configuration"],
        "versions": lambda_.list_versions_by_function(FunctionName="f")["Versions"],
        "aliases": lambda_.list_aliases(FunctionName="f")["Aliases"],
        "function's policy": lambda_.get_policy(FunctionName="f"),
        "alias's policy": lambda_.get_policy(FunctionName="f", Qualifier="live"),
        "provisioned": lambda_.list_provisioned_concurrency_configs(FunctionName="f")["ProvisionedConcurrencyConfigs"],
        "reserved": lambda_.get_function_concurrency(FunctionName="f"),
        "event invoke": lambda_.get_function_event_invoke_config(FunctionName="f", Qualifier="live"),
        "urls": lambda_.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"],
        "mappings": lambda_.list_event_source_mappings()["EventSourceMappings"],
        "objects": s3.list_object_versions(Bucket="kept"),
        "object": s3.head_object(Bucket="kept", Key="a/b", ChecksumMode="ENABLED"),
        "object's tags": s3.get_object_tagging(Bucket="kept", Key="a/b")["TagSet"],
        "table": dynamodb.describe_table(TableName="table")["Table"],
        "items": dynamodb.scan(TableName="table")["Items"],
        "role": iam.get_role_policy(RoleName="any", PolicyName="p"),
        "machine": sfn.describe_state_machine(stateMachineArn=machine["stateMachineArn"]),
        "execution": sfn.describe_execution(executionArn=execution["executionArn"]),
        "history": sfn.get_execution_history(executionArn=execution["executionArn"])["events"],
        "rule": client(of, "events").list_rules()["Rules"],
        "queues": client(of, "sqs").list_queues()["QueueUrls"],
    }
    for answer in given.values():
        if isinstance(answer, dict):
            answer.pop("ResponseMetadata", None)
    return given


def furnish(of: Instance) -> None:
    """Something of every kind that the product or a service of its users has."""
    lambda_, s3, dynamodb = client(of, "lambda"), client(of, "s3"), client(of, "dynamodb")
    role = make_role(of)
    allowed = {"Effect": "Allow", "Action": ["sqs:*", "logs:*"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    client(of, "iam").put_role_policy(RoleName="any", PolicyName="p", PolicyDocument=document)
    make_function(of, role)
    settled(of)
    lambda_.publish_version(FunctionName="f")
    lambda_.update_function_configuration(FunctionName="f", Environment={"Variables": {"A": "1"}})
    settled(of)
    lambda_.publish_version(FunctionName="f")
    lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    lambda_.create_alias(FunctionName="f", Name="next", FunctionVersion="2")
    call = {"Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    lambda_.add_permission(FunctionName="f", StatementId="unqualified", **call)
    lambda_.add_permission(FunctionName="f", Qualifier="live", StatementId="qualified", **call)
    lambda_.put_provisioned_concurrency_config(FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=2)
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=3)
    lambda_.put_function_event_invoke_config(FunctionName="f", Qualifier="live", MaximumRetryAttempts=1)
    lambda_.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="NONE")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket="kept", Key="a/b", Body=body, ChecksumAlgorithm="SHA256", Metadata={"m": "1"}, Tagging="t=1")
    s3.put_object(Bucket="kept", Key="a", Body=b"3")
    s3.delete_object(Bucket="kept", Key="a")
    dynamodb.create_table(
        TableName="table",
        KeySchema=[{"AttributeName": "n", "KeyType": "HASH"}, {"AttributeName": "b", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "n", "AttributeType": "N"}, {"AttributeName": "b", "AttributeType": "B"}],
        BillingMode="PAY_PER_REQUEST",
    )
    of_every_type = {"s": {"SS": ["x", "y"]}, "m": {"M": {"l": {"L": [{"NULL": True}, {"BOOL": False}, {"N": "1.5"}]}}}}
    dynamodb.put_item(TableName="table", Item={"n": {"N": "1"}, "b": {"B": b"\x00\xff"}, **of_every_type})
    machine = make_machine(of, "m", MACHINE, role)
    execution = run(of, machine, "e")
    until(lambda: client(of, "stepfunctions").describe_execution(executionArn=execution)["status"] == "SUCCEEDED")
    client(of, "events").put_rule(Name="r", ScheduleExpression="rate(1 day)")
    queue = client(of, "sqs").create_queue(QueueName="q")["QueueUrl"]
    arn = client(of, "sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    lambda_.create_event_source_mapping(FunctionName="f:live", EventSourceArn=arn, Enabled=False)
    until(lambda: not {"Creating", "Disabling"} & {each["State"] for each in answers(of)["mappings"]})
    until(lambda: answers(of)["provisioned"][0]["Status"] == "READY")


@dataclasses.dataclass
class Kept:
    """What AWS said before a stop, and what runs after the next start."""

    before: dict[str, Any]
    running: Instance


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    first = instance.start(None, checkout_with_tools(tmp_path_factory.mktemp("checkout")), keep=True, in_progress_seconds=0.05)
    try:
        furnish(first)
        before = answers(first)
        second = restarted(first, in_progress_seconds=0.05)
    except BaseException:
        instance.stop(first, discard=True)
        raise
    try:
        yield Kept(before, second)
    finally:
        instance.stop(second, discard=True)


def checkout_with_tools(root: Path) -> Path:
    """As much of a checkout as an instance needs on which nothing is deployed."""
    (root / ".tools").symlink_to(Path(__file__).resolve().parents[2] / ".tools")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return checkout_with_tools(tmp_path)


@pytest.fixture
def bucket_kept(root: Path) -> Instance:
    """An instance that was stopped; what it kept is one bucket, `kept`."""
    stopped = instance.start(None, root, keep=True)
    client(stopped, "s3").create_bucket(Bucket="kept")
    instance.stop(stopped)
    return stopped


def buckets(of: Instance) -> list[str]:
    return [bucket["Name"] for bucket in client(of, "s3").list_buckets()["Buckets"]]


def left(of: Instance) -> set[str]:
    """What lies in the folder of its port."""
    return {path.name for path in of.folder.parent.iterdir()}


def test_everything_answers_as_before(furnished: Kept) -> None:
    assert answers(furnished.running) == furnished.before


@pytest.mark.parametrize(("qualifier", "version"), [("live", "1"), ("next", "2"), ("$LATEST", "$LATEST")])
def test_functions_run_through_their_qualifiers(furnished: Kept, qualifier: str, version: str) -> None:
    answered = client(furnished.running, "lambda").invoke(FunctionName="f", Qualifier=qualifier)

    assert json.loads(answered["Payload"].read()) == version


def test_nothing_is_published_twice_and_no_number_given_twice(furnished: Kept) -> None:
    lambda_ = client(furnished.running, "lambda")

    assert lambda_.publish_version(FunctionName="f")["Version"] == "2"
    lambda_.update_function_configuration(FunctionName="f", Description="another")
    settled(furnished.running)
    assert lambda_.publish_version(FunctionName="f")["Version"] == "3"


def test_a_state_machine_runs_and_a_name_that_was_used_stays_used(furnished: Kept) -> None:
    sfn = client(furnished.running, "stepfunctions")
    machine = furnished.before["machine"]["stateMachineArn"]

    execution = run(furnished.running, machine, "another")
    until(lambda: sfn.describe_execution(executionArn=execution)["status"] == "SUCCEEDED")
    with pytest.raises(sfn.exceptions.ExecutionAlreadyExists):
        run(furnished.running, machine, "e")


def test_what_was_in_flight_has_ended_as_aws_would_end_it(root: Path) -> None:
    of = instance.start(None, root, keep=True, in_progress_seconds=600)
    try:
        role = make_role(of)
        make_function(of, role)
        execution = run(of, make_machine(of, "waiting", WAITING, role), "e")
        of = restarted(of, in_progress_seconds=600)

        configuration = client(of, "lambda").get_function(FunctionName="f")["Configuration"]
        assert (configuration["State"], configuration["LastUpdateStatus"]) == ("Active", "Successful")
        sfn = client(of, "stepfunctions")
        ended = sfn.describe_execution(executionArn=execution)
        assert ended["status"] == "ABORTED"
        assert not {"error", "cause", "output"} & ended.keys()
        assert sfn.get_execution_history(executionArn=execution)["events"][-1]["type"] == "ExecutionAborted"
    finally:
        instance.stop(of, discard=True)


def test_provisioned_concurrency_that_was_moving_has_arrived(root: Path) -> None:
    of = instance.start(None, root, keep=True, in_progress_seconds=0.5)
    try:
        lambda_ = client(of, "lambda")
        make_function(of, make_role(of))
        for description in ("one", "two"):
            settled(of)
            lambda_.update_function_configuration(FunctionName="f", Description=description)
            settled(of)
            lambda_.publish_version(FunctionName="f")
        lambda_.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
        lambda_.put_provisioned_concurrency_config(FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=1)
        moving = lambda_.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
        of = restarted(of)

        assert "RoutingConfig" in moving
        assert client(of, "lambda").get_alias(FunctionName="f", Name="live").get("RoutingConfig") is None
        (config,) = client(of, "lambda").list_provisioned_concurrency_configs(FunctionName="f")["ProvisionedConcurrencyConfigs"]
        assert config["Status"] == "READY"
    finally:
        instance.stop(of, discard=True)


def test_a_stop_that_discards_leaves_what_was_kept_before(bucket_kept: Instance) -> None:
    again = instance.start(bucket_kept.port, bucket_kept.root, keep=True)
    client(again, "s3").delete_bucket(Bucket="kept")
    instance.stop(again, discard=True)

    once_more = instance.start(bucket_kept.port, bucket_kept.root, keep=True)
    seen = buckets(once_more)
    instance.stop(once_more)

    assert seen == ["kept"]


def test_one_that_dies_leaves_what_was_kept_before_and_that_is_told(bucket_kept: Instance) -> None:
    again = instance.start(bucket_kept.port, bucket_kept.root, keep=True)
    client(again, "s3").create_bucket(Bucket="lost")
    os.kill(again.pid, signal.SIGKILL)
    until(lambda: instance.find(again.root, again.port) is None)

    told = instance.clear_dead(again.root)

    assert len(told) == 1
    assert f"on port {again.port} held was not kept" in told[0]
    assert "what an earlier stop kept is as it was" in told[0]
    once_more = instance.start(again.port, again.root, keep=True)
    seen = buckets(once_more)
    instance.stop(once_more)
    assert seen == ["kept"]


def test_one_that_is_ended_from_outside_keeps_too(root: Path) -> None:
    of = instance.start(None, root, keep=True)
    client(of, "s3").create_bucket(Bucket="kept")
    os.kill(of.pid, signal.SIGTERM)
    until(lambda: instance.find(of.root, of.port) is None)

    assert instance.clear_dead(of.root) == []

    again = instance.start(of.port, of.root, keep=True)
    seen = buckets(again)
    instance.stop(again)
    assert seen == ["kept"]


def test_what_cannot_be_saved_is_told_by_the_stop_and_not_kept_by_half(bucket_kept: Instance) -> None:
    again = instance.start(bucket_kept.port, bucket_kept.root, keep=True)
    client(again, "s3").create_bucket(Bucket="half")
    # A folder where ministack wants to write a file.
    (again.state / "services" / "s3.json").unlink()
    (again.state / "services" / "s3.json" / "in the way").mkdir(parents=True)

    with pytest.raises(EmbeddedError, match=r"(?s)was not kept.*earlier stop kept is as it was.*failed to save s3"):
        instance.stop(again)

    once_more = instance.start(again.port, again.root, keep=True)
    seen = buckets(once_more)
    instance.stop(once_more)
    assert seen == ["kept"]


def test_two_cannot_use_one_kept_state_at_the_same_time(bucket_kept: Instance) -> None:
    again = instance.start(bucket_kept.port, bucket_kept.root, keep=True)
    try:
        with pytest.raises(PortBusy, match=rf"Port {again.port} is busy: .* already \(pid {again.pid}\)"):
            instance.start(again.port, again.root, keep=True)
    finally:
        instance.stop(again)


def test_each_port_has_a_kept_state_of_its_own(bucket_kept: Instance) -> None:
    other = instance.start(None, bucket_kept.root, keep=True)
    try:
        assert buckets(other) == []
    finally:
        instance.stop(other)


def test_a_state_of_another_version_is_refused_and_nothing_is_left_running(bucket_kept: Instance) -> None:
    manifest = bucket_kept.kept / kept.MANIFEST
    manifest.write_text(manifest.read_text().replace(MINISTACK_VERSION, "1.5.0"))

    with pytest.raises(KeptStateUnusable, match=f"written by ministack 1.5.0 .* this is ministack {MINISTACK_VERSION}"):
        instance.start(bucket_kept.port, bucket_kept.root, keep=True)

    assert instance.running(bucket_kept.root) == []
    assert left(bucket_kept) == {"kept"}


def test_a_state_that_ministack_cannot_load_is_refused_and_nothing_is_left_running(bucket_kept: Instance) -> None:
    state = bucket_kept.root / "state"
    kept.check_out(bucket_kept.kept, state, MINISTACK_VERSION)
    (state / "services" / "s3.json").write_text('{"__ministack_format__": 99, "payload": {}}')
    kept.put_back(state, bucket_kept.kept, MINISTACK_VERSION)

    with pytest.raises(KeptStateUnusable, match=r"cannot be loaded: .*s3 state is format v99.*Start without --keep"):
        instance.start(bucket_kept.port, bucket_kept.root, keep=True)

    assert instance.running(bucket_kept.root) == []
    assert left(bucket_kept) == {"kept"}


def test_a_start_without_keep_goes_past_a_state_that_cannot_be_used(bucket_kept: Instance) -> None:
    (bucket_kept.kept / kept.MANIFEST).unlink()

    plain = instance.start(bucket_kept.port, bucket_kept.root)
    seen = buckets(plain)
    instance.stop(plain)

    assert seen == []
    assert left(bucket_kept) == {"kept"}
