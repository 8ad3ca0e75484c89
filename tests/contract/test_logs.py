"""CloudWatch Logs: the lines of one version of a function, found by what its streams are called.

FilterLogEvents on the fake and on the embedded AWS; what Lambda writes, on the embedded AWS alone.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from stagekeeper.embedded import instance as embedded_aws
from tests.fake.log_events import FakeLogs

from .conftest import REGION, embedded_client, embedded_double
from .support import EMBEDDED, FAKE, Double, package_of, reference, refused, source, unique, wrong_on

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

FILTER = source("Amazon CloudWatch Logs API reference, FilterLogEvents")
STREAMS = source("AWS Lambda developer guide, Configuring CloudWatch log groups; names seen by DataDog's forwarder (its #1160)")

NOW = int(time.time()) * 1000


@dataclass
class Group:
    """A log group, and how a line comes into one of its streams (time in epoch milliseconds)."""

    client: CloudWatchLogsClient
    name: str
    write: Callable[[str, int, str], None]

    def found(self, **asked: Any) -> list[str]:
        """The messages of all pages, in their order."""
        return [event["message"] for event in self.events(**asked)]

    def events(self, **asked: Any) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("filter_log_events").paginate(logGroupName=self.name, **asked)
        return [dict(event) for page in pages for event in page["events"]]


@pytest.fixture
def logs_double(double_name: str, request: pytest.FixtureRequest) -> Group:
    if double_name == FAKE:
        fake, name = FakeLogs(REGION), "/aws/lambda/case"
        fake.groups.add(name)
        return Group(fake.client(), name, lambda stream, at, message: fake.write(name, stream, at / 1000, message))
    return _embedded_group(embedded_client(request.getfixturevalue("embedded"), "logs"))


def _embedded_group(client: CloudWatchLogsClient) -> Group:
    name = f"/aws/lambda/{unique()}"
    client.create_log_group(logGroupName=name)
    streams: set[str] = set()

    def write(stream: str, at: int, message: str) -> None:
        if stream not in streams:
            client.create_log_stream(logGroupName=name, logStreamName=stream)
            streams.add(stream)
        client.put_log_events(logGroupName=name, logStreamName=stream, logEvents=[{"timestamp": at, "message": message}])

    return Group(client, name, write)


@FILTER
def test_a_prefix_chooses_the_streams(logs_double: Group) -> None:
    for stream, message in [("2026/11/20/[7]a", "seven"), ("2026/11/20/[71]b", "seventy-one"), ("2026/11/21/[7]c", "later")]:
        logs_double.write(stream, NOW, message)

    assert logs_double.found(logStreamNamePrefix="2026/11/20/[7]") == ["seven"]
    assert logs_double.found(logStreamNamePrefix="2026/11/19/[7]") == []


@FILTER
def test_names_choose_the_streams(logs_double: Group) -> None:
    for stream in ("a", "b", "ab"):
        logs_double.write(stream, NOW, stream)

    assert sorted(logs_double.found(logStreamNames=["a", "b"])) == ["a", "b"]


@FILTER
def test_a_prefix_and_names_together_are_refused(logs_double: Group) -> None:
    logs_double.write("a", NOW, "a")

    with refused("InvalidParameterException", 400):
        logs_double.client.filter_log_events(logGroupName=logs_double.name, logStreamNamePrefix="a", logStreamNames=["a"])


@FILTER
def test_the_lines_of_all_streams_are_in_order_of_their_time(logs_double: Group) -> None:
    for stream, at in [("a", 3), ("b", 1), ("a", 4), ("b", 2)]:
        logs_double.write(stream, NOW + at, str(at))

    assert logs_double.found() == ["1", "2", "3", "4"]


@FILTER
def test_both_ends_of_the_time_count(logs_double: Group) -> None:
    for at in range(5):
        logs_double.write("a", NOW + at, str(at))

    assert logs_double.found(startTime=NOW + 1, endTime=NOW + 3) == ["1", "2", "3"]


@FILTER
def test_pages_go_on_until_every_line_was_given_once(logs_double: Group) -> None:
    """Also where several lines are of one moment."""
    for number in range(7):
        logs_double.write("ab"[number % 2], NOW + number // 4, str(number))

    page = logs_double.client.filter_log_events(logGroupName=logs_double.name, limit=2)
    found = logs_double.found(PaginationConfig={"PageSize": 2})

    assert len(page["events"]) <= 2
    assert page["nextToken"]
    assert (sorted(found), len(found)) == (["0", "1", "2", "3", "4", "5", "6"], 7)


@FILTER
def test_every_line_has_an_id_of_its_own_and_says_its_stream(logs_double: Group) -> None:
    for stream in ("a", "a", "b"):
        logs_double.write(stream, NOW, "the same")

    events = logs_double.events()

    assert len({event["eventId"] for event in events}) == 3
    assert sorted(event["logStreamName"] for event in events) == ["a", "a", "b"]


@FILTER
def test_of_several_terms_all_must_be_there(logs_double: Group) -> None:
    for message in ("ERROR order 7", "ERROR order 8", "order 7 is fine"):
        logs_double.write("a", NOW, message)

    assert logs_double.found(filterPattern="ERROR 7") == ["ERROR order 7"]


@FILTER
def test_a_log_group_that_is_not_there_is_not_found(logs_double: Group) -> None:
    with refused("ResourceNotFoundException", 400):
        logs_double.client.filter_log_events(logGroupName="/aws/lambda/nobody")


# What Lambda writes.


@pytest.fixture
def aws(embedded: embedded_aws.Instance) -> Iterator[Double]:
    yield from embedded_double(embedded)


@pytest.fixture
def logs(embedded: embedded_aws.Instance) -> CloudWatchLogsClient:
    client: CloudWatchLogsClient = embedded_client(embedded, "logs")
    return client


def streams(logs: CloudWatchLogsClient, group: str) -> list[str]:
    """Without the execution environment's own part."""
    listed = logs.describe_log_streams(logGroupName=group)["logStreams"]
    names = [stream["logStreamName"] for stream in listed]
    assert all(re.search(r"[0-9a-f]{32}$", name) for name in names), names
    return [name[:-32] for name in names]


def today() -> str:
    return time.strftime("%Y/%m/%d", time.gmtime())


def called(aws: Double, name: str, *qualifiers: str) -> None:
    for qualifier in qualifiers:
        aws.client.invoke(FunctionName=name, Qualifier=qualifier)


@pytest.mark.embedded
@STREAMS
def test_a_stream_is_called_by_the_day_and_the_version(aws: Double, logs: CloudWatchLogsClient) -> None:
    name = aws.function_with_versions(2)
    aws.alias(name, "2")

    called(aws, name, "1", "live", "$LATEST")

    assert streams(logs, f"/aws/lambda/{name}") == [f"{today()}/[{version}]" for version in ("$LATEST", "1", "2")]


@pytest.mark.embedded
@STREAMS
def test_in_a_log_group_of_ones_own_choice_the_function_is_named_before_the_version(
    aws: Double, logs: CloudWatchLogsClient
) -> None:
    group = f"/shared/{unique('group')}"
    first, second = (aws.function_with_versions(1, LoggingConfig={"LogGroup": group}) for _ in range(2))

    called(aws, first, "1", "1")
    called(aws, second, "1")

    assert streams(logs, group) == sorted(f"{today()}/{name}[1]" for name in (first, second))


@pytest.mark.embedded
@STREAMS
def test_the_lines_of_one_version_are_found_by_its_streams(aws: Double, logs: CloudWatchLogsClient) -> None:
    name = aws.function(Code={"ZipFile": package_of("    print('it is', context.function_version)")})
    aws.publish(name)
    aws.update(name, "other")
    aws.client.update_function_code(FunctionName=name, ZipFile=package_of("    print('that is', context.function_version)"))
    aws.settled(name)
    aws.publish(name)

    called(aws, name, "1", "2")

    pages = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", logStreamNamePrefix=f"{today()}/[2]")
    messages = [event["message"].rstrip("\n") for event in pages["events"]]
    assert "that is 2" in messages
    assert not [message for message in messages if "it is" in message]
    assert [message.split()[0] for message in messages] == ["START", "that", "END", "REPORT"]


@pytest.mark.embedded
@reference("Invoke")
def test_an_invocation_says_which_version_answered_and_what_was_logged(aws: Double) -> None:
    name = aws.function(Code={"ZipFile": package_of("    print('it says so')\n    return 7")})
    version = aws.publish(name)
    aws.alias(name, version)

    answer = aws.client.invoke(FunctionName=name, Qualifier="live", LogType="Tail")

    assert (answer["StatusCode"], answer["ExecutedVersion"], answer["Payload"].read()) == (200, version, b"7")
    assert "it says so" in base64.b64decode(answer["LogResult"]).decode()


@pytest.mark.embedded
@wrong_on(
    EMBEDDED, "the end of the log is what the handler printed, without Lambda's own lines; nothing where it printed nothing"
)
@source(
    "AWS Lambda developer guide, Viewing CloudWatch logs for Lambda functions: retrieving the last 4 KB of an invocation's log"
)
def test_the_end_of_the_log_has_lambdas_own_lines(aws: Double) -> None:
    name = aws.function()

    answer = aws.client.invoke(FunctionName=name, LogType="Tail")

    assert base64.b64decode(answer["LogResult"]).decode().startswith("START RequestId: ")
