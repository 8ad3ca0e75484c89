"""FilterLogEvents: streams by the beginning of their names, every line with an id, and pages as long as lines are left.

Source: API reference of CloudWatch Logs, FilterLogEvents. ministack takes no notice of logStreamNamePrefix, gives the lines of
functions no eventId, and stops after one page.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from stagekeeper.embedded.fidelity.patching import Answer, wrap

#: A page holds no more (API reference), and ministack looks no further.
_LARGEST = 10_000

#: No stream can be called that: the name of one holds no colon.
_NO_STREAM = ":"

_BOTH = "logStreamNamePrefix and logStreamNames cannot be specified together"


def install(logs: Any) -> None:
    def filtering(original: Any) -> Any:
        def filter_log_events(data: dict[str, Any]) -> Answer:
            prefix, names = data.get("logStreamNamePrefix"), data.get("logStreamNames")
            if prefix is not None and names:
                refused: Answer = logs.error_response_json("InvalidParameterException", _BOTH, 400)
                return refused
            if prefix is not None:
                group = logs._log_groups.get(logs._resolve_log_group_name(data)) or {"streams": {}}
                found = [name for name in group["streams"] if name.startswith(prefix)]
                data = {**data, "logStreamNames": found or [_NO_STREAM]}
            return _page(original, data)

        return filter_log_events

    def appending(original: Any) -> Any:
        def append(stream: Any, events: list[dict[str, Any]]) -> None:
            original(stream, [{"eventId": uuid.uuid4().hex, **event} for event in events])

        return append

    wrap(logs, "_filter_log_events", filtering)
    wrap(logs, "_append_log_events", appending)


def _page(original: Any, data: dict[str, Any]) -> Answer:
    """The lines after those that the token stands for: the moment of the last one given, and how many of that moment were."""
    size = min(int(data.get("limit") or _LARGEST), _LARGEST)
    token = data.get("nextToken")
    begin, given = (int(part) for part in token.split(":")) if token else (data.get("startTime"), 0)
    status, headers, body = original({**data, "startTime": begin, "limit": _LARGEST})
    if status != 200:
        return status, headers, body
    answer = json.loads(body)
    left = answer["events"][given:]
    page = left[:size]
    told = {**answer, "events": page}
    if page and (len(left) > size or len(answer["events"]) == _LARGEST):
        last = page[-1]["timestamp"]
        same = sum(event["timestamp"] == last for event in page)
        told["nextToken"] = f"{last}:{same + given if last == begin else same}"
    return status, headers, json.dumps(told).encode()
