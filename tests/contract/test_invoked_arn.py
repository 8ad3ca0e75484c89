"""By which ARN a function is told that it was called: a version that several stages share knows its stage by it.

On the embedded AWS alone: it is the one that runs functions and their triggers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from stagekeeper.embedded import instance as embedded_aws

from .conftest import embedded_client, embedded_double
from .support import Double, package_of, source, unique

pytestmark = [
    pytest.mark.embedded,
    source(
        "AWS Lambda developer guide, context object, invoked_function_arn: indicates if the invoker specified a version or alias"
    ),
]

#: Says by which ARN it was called, in a bucket.
SAYING = """    import boto3, uuid
    boto3.client("s3").put_object(Bucket="{bucket}", Key=str(uuid.uuid4()), Body=context.invoked_function_arn)"""


class Called:
    """A function with an alias, and what it was called by."""

    def __init__(self, of: embedded_aws.Instance, aws: Double) -> None:
        self.of, self.aws, self.bucket = of, aws, unique("bucket")
        self.client("s3").create_bucket(Bucket=self.bucket)
        code = package_of(SAYING.format(bucket=self.bucket))
        self.function = aws.function(Timeout=10, Code={"ZipFile": code})
        aws.publish(self.function)
        aws.alias(self.function)
        self.alias = aws.arn(self.function, "live")

    def client(self, service: str) -> Any:
        return embedded_client(self.of, service)

    def permit(self, principal: str) -> None:
        self.aws.client.add_permission(
            FunctionName=self.alias, StatementId="call", Action="lambda:InvokeFunction", Principal=principal
        )

    def by(self) -> str:
        """The ARN, once it was called."""
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            for found in self.client("s3").list_objects_v2(Bucket=self.bucket).get("Contents", []):
                return str(self.client("s3").get_object(Bucket=self.bucket, Key=found["Key"])["Body"].read().decode())
            time.sleep(0.1)
        raise AssertionError("it was not called")


@pytest.fixture
def called(embedded: embedded_aws.Instance) -> Iterator[Called]:
    for aws in embedded_double(embedded):
        yield Called(embedded, aws)


def directly(called: Called) -> None:
    called.aws.client.invoke(FunctionName=called.function, Qualifier="live")


def by_a_queue(called: Called) -> None:
    sqs = called.client("sqs")
    url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    called.aws.client.create_event_source_mapping(FunctionName=called.alias, EventSourceArn=arn)
    sqs.send_message(QueueUrl=url, MessageBody="message")


def by_a_rule(called: Called) -> None:
    events, name = called.client("events"), unique("rule")
    called.permit("events.amazonaws.com")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))
    events.put_targets(Rule=name, Targets=[{"Id": "function", "Arn": called.alias}])
    events.put_events(Entries=[{"Source": name, "DetailType": "any", "Detail": "{}"}])


def by_a_topic(called: Called) -> None:
    sns = called.client("sns")
    called.permit("sns.amazonaws.com")
    topic = sns.create_topic(Name=unique("topic"))["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=called.alias)
    sns.publish(TopicArn=topic, Message="message")


WAYS: Mapping[str, Callable[[Called], None]] = {
    "directly": directly,
    "by a queue": by_a_queue,
    "by a rule": by_a_rule,
    "by a topic": by_a_topic,
}


@pytest.mark.parametrize("way", WAYS)
def test_who_is_called_by_an_alias_is_told_the_alias(called: Called, way: str) -> None:
    WAYS[way](called)

    assert called.by() == called.alias
