"""The strict in-memory fake of CloudWatch Logs, as far as lines are looked for: FilterLogEvents.

Answers a real boto3 client from memory just before a request would be sent, as the fake of Lambda does. A test writes lines with
`write`. It knows nothing of the product.

AWS's rules (API reference, FilterLogEvents):
- only lines of streams whose names begin with logStreamNamePrefix, or that logStreamNames has; both is refused;
- startTime and endTime are both included;
- lines are in order of their time, then of their arrival, whatever stream they are in;
- a page holds at most `limit` lines and may hold fewer, even none, although more follow; there is a nextToken then;
- a log group that is not there is ResourceNotFoundException.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.model import OperationModel

from .errors import AwsError
from .wire import Answer, Params, client_of, read_request, write_answer, write_error

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

LARGEST_PAGE = 10_000
#: Signs of filter patterns that this fake has no rules for.
_SYNTAX = set('"{}[]%?-$*=<>|&')


@dataclass(frozen=True)
class Written:
    """A line, with its time in epoch milliseconds."""

    group: str
    stream: str
    at: int
    message: str
    event_id: str


class FakeLogs:
    """One account's CloudWatch Logs in one Region."""

    def __init__(self, region: str = "eu-central-1") -> None:
        self.region = region
        self.lines: list[Written] = []
        self.groups: set[str] = set()
        #: Every call of FilterLogEvents, in order.
        self.asked: list[Params] = []
        #: Called before each; may raise `AwsError`.
        self.before: Callable[[Params], None] = lambda _: None
        #: How many lines a page holds at most, whatever `limit` asks for; and whether each comes after an empty one.
        self.page, self.empty_pages = LARGEST_PAGE, False

    def client(self, config: Config | None = None) -> CloudWatchLogsClient:
        """A real boto3 client of this fake. Without a `config` it retries nothing."""
        client: CloudWatchLogsClient = client_of("logs", self.region, config, self._answer)
        return client

    def write(self, group: str, stream: str, at: float, message: str) -> None:
        """A line at `at` (epoch seconds); the group is made when it is not there."""
        self.groups.add(group)
        self.lines.append(Written(group, stream, round(at * 1000), message, f"event-{len(self.lines) + 1}"))

    def _answer(self, operation: OperationModel, request: AWSPreparedRequest) -> AWSResponse:
        if operation.name != "FilterLogEvents":
            raise NotImplementedError(f"the fake of CloudWatch Logs has no {operation.name}")
        params = read_request(operation, request)
        self.asked.append(params)
        request_id = f"00000000-0000-4000-8000-{len(self.asked):012x}"
        try:
            self.before(params)
            answer = self._filter(params)
        except AwsError as error:
            return write_error(operation, error, request, request_id)
        return write_answer(operation, answer, request, request_id)

    def _filter(self, params: Params) -> Answer:
        group, prefix, names = params["logGroupName"], params.get("logStreamNamePrefix"), params.get("logStreamNames")
        if prefix is not None and names:
            raise AwsError("InvalidParameterException", "logStreamNamePrefix and logStreamNames cannot be specified together")
        if group not in self.groups:
            raise AwsError("ResourceNotFoundException", "The specified log group does not exist.")
        found = [line for line in self.lines if line.group == group and _in_streams(line.stream, prefix, names)]
        begin, end = params.get("startTime"), params.get("endTime")
        found = [line for line in found if (begin is None or line.at >= begin) and (end is None or line.at <= end)]
        found = [line for line in found if _matches(line.message, params.get("filterPattern", ""))]
        found.sort(key=lambda line: line.at)
        return self._page(found, min(params.get("limit", LARGEST_PAGE), self.page), params.get("nextToken"))

    def _page(self, found: list[Written], size: int, token: str | None) -> Answer:
        place, full = (int(part) for part in token.split("-")) if token else (0, 0)
        if self.empty_pages and not full:
            return {"events": [], "searchedLogStreams": [], "nextToken": f"{place}-1"}
        answer: Answer = {"events": [_shown(line) for line in found[place : place + size]], "searchedLogStreams": []}
        return answer if place + size >= len(found) else answer | {"nextToken": f"{place + size}-0"}


def _in_streams(stream: str, prefix: str | None, names: list[str] | None) -> bool:
    return stream.startswith(prefix or "") and (not names or stream in names)


def _matches(message: str, pattern: str) -> bool:
    """Plain terms: all of them must be there, as they are spelled."""
    if _SYNTAX & set(pattern):
        raise NotImplementedError(f"the fake of CloudWatch Logs knows plain terms only, not {pattern}")
    return all(term in message for term in pattern.split())


def _shown(line: Written) -> dict[str, Any]:
    return {
        "logStreamName": line.stream,
        "timestamp": line.at,
        "message": line.message,
        "ingestionTime": line.at,
        "eventId": line.event_id,
    }
