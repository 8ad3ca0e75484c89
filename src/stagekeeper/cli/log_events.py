"""The log lines of published versions, from CloudWatch Logs. Must not know stages, nor what is done with the lines.

A function's lines lie in the log group that its version names, in one stream for each execution environment. What a stream is
called tells the version: ``2026/11/20/[7]0123…``, and in a log group of one's own choice, which several functions may share,
``2026/11/20/orders-api[7]0123…`` (Lambda Developer Guide, Configuring CloudWatch log groups).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import CallFailed, NotThere, Throttled, error_code, translated
from stagekeeper.aws.pace import Pace
from stagekeeper.cli.endings import CommandFailed
from stagekeeper.domain.model import FunctionArn, VersionNumber

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient

#: An environment lives for hours (Lambda Developer Guide, Execution environment lifecycle), and its stream is named by the day
#: on which it began.
ENVIRONMENT_SECONDS = 12 * 3600

#: FilterLogEvents a second, for the whole account (Amazon CloudWatch Logs endpoints and quotas; it cannot be raised).
_QUOTA = 10
_QUOTAS = {
    "us-east-1": 25,
    **dict.fromkeys(("ap-northeast-3", "ap-southeast-3", "ca-west-1", "eu-central-1", "il-central-1"), 5),
}
#: Others in the account look at logs, too.
_SHARE = 0.8

_THROTTLE_ATTEMPTS = 20
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True, slots=True)
class Event:
    """A log line: ``at`` in epoch milliseconds, ``identity`` what no other line has."""

    at: int
    message: str
    group: str
    stream: str
    identity: str


def pace_of(region: str, clock: Clock) -> Pace:
    return Pace(clock, _QUOTAS.get(region, _QUOTA) * _SHARE)


class LogEvents:
    """See the module. Every method raises CommandFailed where AWS does not allow it, and CallFailed where it fails."""

    def __init__(self, logs: CloudWatchLogsClient, functions: LambdaClient, pace: Pace) -> None:
        self._logs = logs
        self._functions = functions
        self._pace = pace
        self._groups: dict[tuple[FunctionArn, VersionNumber], str] = {}

    @classmethod
    def default(cls, clock: Clock) -> LogEvents:
        config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})
        logs = boto3.client("logs", config=config)
        return cls(logs, boto3.client("lambda", config=config), pace_of(logs.meta.region_name, clock))

    def of_version(
        self, arn: FunctionArn, version: VersionNumber, since: float, until: float, pattern: str | None = None
    ) -> Iterator[Event]:
        """The lines of a version between two moments (epoch seconds), in order of time. Pages are read as they are needed."""
        group = self._group(arn, version)
        # A stream of yesterday may still be written to today.
        streams = [self._filtered(group, prefix, since, until, pattern) for prefix in prefixes(arn, version, group, since, until)]
        return heapq.merge(*streams, key=lambda event: event.at)

    def _group(self, arn: FunctionArn, version: VersionNumber) -> str:
        """Where a version's lines go. Asked once: a version never changes."""
        if (arn, version) not in self._groups:
            self._groups[arn, version] = self._asked_group(arn, version)
        return self._groups[arn, version]

    def _asked_group(self, arn: FunctionArn, version: VersionNumber) -> str:
        what = f"reading where version {version} of {arn} writes its log"
        try:
            # GetFunction has 100 requests a second of its own; GetFunctionConfiguration takes from the 15 that a rollback needs.
            answer = self._functions.get_function(FunctionName=arn, Qualifier=str(version))
        except (ClientError, BotoCoreError) as error:
            failed = _failed(what, "lambda:GetFunction", error)
            if isinstance(failed, NotThere):
                # A version that was swept: its lines outlive it.
                return _own_group(arn)
            raise failed from error
        return answer["Configuration"].get("LoggingConfig", {}).get("LogGroup") or _own_group(arn)

    def _filtered(self, group: str, prefix: str, since: float, until: float, pattern: str | None) -> Iterator[Event]:
        asked: dict[str, Any] = {
            "logGroupName": group,
            "logStreamNamePrefix": prefix,
            "startTime": int(since * 1000),
            "endTime": int(until * 1000),
        }
        if pattern is not None:
            asked["filterPattern"] = pattern
        while True:
            page = self._page(group, asked)
            for event in page["events"]:
                yield Event(event["timestamp"], event["message"], group, event["logStreamName"], event["eventId"])
            # A page may be empty although more come.
            if not page.get("nextToken"):
                return
            asked["nextToken"] = page["nextToken"]

    def _page(self, group: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        attempt = 0
        while True:
            attempt += 1
            self._pace.wait()
            try:
                return self._logs.filter_log_events(**asked)
            except (ClientError, BotoCoreError) as error:
                failed = _failed(f"reading log group {group}", "logs:FilterLogEvents", error)
                if isinstance(failed, NotThere):
                    # It is made by the first line that is written.
                    return {"events": []}
                if not isinstance(failed, Throttled) or attempt == _THROTTLE_ATTEMPTS:
                    raise failed from error
                self._pace.slow_down()


def prefixes(arn: FunctionArn, version: VersionNumber, group: str, since: float, until: float) -> list[str]:
    """What the streams' names begin with that can hold lines of a version between two moments: one for each day (of UTC)."""
    function = "" if group == _own_group(arn) else _name(arn)
    first = datetime.fromtimestamp(max(0.0, since - ENVIRONMENT_SECONDS), UTC).date()
    last = datetime.fromtimestamp(until, UTC).date()
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [f"{day:%Y/%m/%d}/{function}[{version}]" for day in days]


def _own_group(arn: FunctionArn) -> str:
    return f"/aws/lambda/{_name(arn)}"


def _name(arn: FunctionArn) -> str:
    return arn.rpartition(":")[2]


def _failed(what: str, action: str, error: ClientError | BotoCoreError) -> CommandFailed | CallFailed:
    if isinstance(error, ClientError) and error_code(error) in _DENIED:
        return CommandFailed(
            f"AWS does not allow {what}: the permission {action} is missing. Whoever reads logs needs it of their own; the "
            "stack's OperatorPolicyArn does not hold it."
        )
    return translated(what, error)
