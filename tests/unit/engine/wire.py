"""What leaves the process: every request of every client, seen just before it is sent, where a test may cut the wire.

Counts what is sent, fails a call before or after its effect, and kills a worker: from then on nothing of it gets out.
Must not know what a request means to the product.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSPreparedRequest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, ReadTimeoutError

from tests.fake.direct import Request, line_of

#: What changes something; everything else only looks.
MUTATIONS = frozenset(
    {
        "lambda.CreateAlias",
        "lambda.UpdateAlias",
        "lambda.DeleteAlias",
        "lambda.DeleteFunction",
        "lambda.UpdateFunctionCode",
        "lambda.UpdateFunctionConfiguration",
        "lambda.PublishVersion",
        "dynamodb.TransactWriteItems",
        "dynamodb.PutItem",
        "s3.PutObject",
    }
)
#: Lambda's calls with a budget of their own; all others share 15 requests a second.
OWN_BUDGET = frozenset({"lambda.GetFunction", "lambda.GetPolicy"})


class Died(BaseException):
    """The worker is gone: a Lambda that was stopped, or ran out of time or memory."""


class Sent:
    """One request. ``body`` is the text that was sent, ``path`` what its URL names; both are only written down for who asks."""

    def __init__(self, name: str, told: Callable[[], tuple[str, Any]]) -> None:
        self.name = name
        self._told = told

    @functools.cached_property
    def _path_and_body(self) -> tuple[str, Any]:
        return self._told()

    @property
    def path(self) -> str:
        return self._path_and_body[0]

    @property
    def body(self) -> str:
        return _text(self._path_and_body[1])

    def __repr__(self) -> str:
        return f"Sent({self.name} {self.path} {self.body})"

    @property
    def items_written(self) -> int:
        """How many items of the table it writes or checks (a check costs like a write)."""
        if self.name == "dynamodb.TransactWriteItems":
            return len(json.loads(self.body)["TransactItems"])
        return int(self.name in ("dynamodb.PutItem", "dynamodb.UpdateItem", "dynamodb.DeleteItem"))


Matches = Callable[[Sent], bool]
#: Told of every request just before it is sent, and (None) of every task that is done but has not answered yet.
Probe = Callable[[Sent | None], object]


@dataclass
class _Rule:
    """Acts on one of the requests that match: the ``on_call``-th, or (0) on all of them."""

    matches: Matches
    on_call: int
    after: bool
    act: Callable[[], object]
    seen: int = 0


class Wire:
    """See the module. Clients are tapped once, when they are made."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._rules: list[_Rule] = []
        self._dead = False
        self._guard = threading.Lock()
        self._due = threading.local()
        self.probe: Probe | None = None
        #: How Step Functions hears of a worker that died; None if the whole execution is gone.
        self.death: str | None = "Runtime.ExitError"

    def tap(self, client: BaseClient) -> None:
        line = line_of(client)
        if line is not None:
            line.before.append(self._note)
            line.after.append(self._after)
            return
        service = client.meta.service_model.service_id.hyphenize()
        before: Callable[..., Any] = self._before
        after: Callable[..., Any] = self._after
        client.meta.events.register_first(f"before-send.{service}.*", before)
        client.meta.events.register_first(f"response-received.{service}.*", after)

    def _before(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> None:
        self._send(Sent(event_name.removeprefix("before-send."), lambda: (str(request.url), request.body)))

    def _note(self, request: Request) -> None:
        self._send(Sent(request.name, lambda: (request.path, request.body)))

    def _send(self, sent: Sent) -> None:
        if self._dead:
            raise Died
        with self._guard:
            self.sent.append(sent)
        if self.probe is not None:
            self.probe(sent)
        with self._guard:
            met = [rule for rule in self._rules if _meets(rule, sent)]
        self._due.after = [rule.act for rule in met if rule.after]
        for rule in met:
            if not rule.after:
                rule.act()

    def _after(self, **_: Any) -> None:
        due, self._due.after = getattr(self._due, "after", []), []
        for act in due:
            act()

    # What tests arrange.

    def on(self, matches: Matches | str, act: Callable[[], object], *, on_call: int = 1, after: bool = False) -> None:
        """Do something just before, or just after, the ``on_call``-th (0: every) request that matches (or has the name)."""
        self._rules.append(_Rule(_matcher(matches), on_call, after, act))

    def fail(
        self,
        matches: Matches | str,
        code: str | None = None,
        status: int = 400,
        *,
        on_call: int = 1,
        applied: bool = False,
    ) -> None:
        """Answer with an error of this code; None is no answer at all. ``applied``: the effect happens all the same."""

        def act() -> None:
            if code is None:
                raise ReadTimeoutError(endpoint_url="https://aws.fake")
            error = {"Error": {"Code": code, "Message": "asked for by the test"}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(error, "Faked")  # type: ignore[arg-type]  # the stub wants every member of the metadata

        self.on(matches, act, on_call=on_call, after=applied)

    def kill(self, matches: Matches | str, *, on_call: int = 1, after: bool = False) -> None:
        """The worker dies at this request: nothing it does from then on gets out."""

        def act() -> None:
            self._dead = True
            raise Died

        self.on(matches, act, on_call=on_call, after=after)

    def mend(self) -> None:
        """Another worker comes along, and nothing fails any more."""
        self._dead = False
        self._rules.clear()

    # What tests look at.

    def unmet(self) -> int:
        """How many arrangements never came to act: a test that has some proves nothing."""
        return sum(rule.seen < max(1, rule.on_call) for rule in self._rules)

    def clear(self) -> None:
        self.sent.clear()

    def mutations(self) -> list[Sent]:
        return [sent for sent in self.sent if sent.name in MUTATIONS]

    def shared_calls(self) -> list[str]:
        """The calls on Lambda's shared control-plane budget."""
        return [sent.name for sent in self.sent if sent.name.startswith("lambda.") and sent.name not in OWN_BUDGET]

    def items_written(self) -> int:
        return sum(sent.items_written for sent in self.sent)


def mutation(sent: Sent) -> bool:
    return sent.name in MUTATIONS


def _matcher(matches: Matches | str) -> Matches:
    return (lambda sent: sent.name == matches) if isinstance(matches, str) else matches


def _meets(rule: _Rule, sent: Sent) -> bool:
    if not rule.matches(sent):
        return False
    rule.seen += 1
    return rule.on_call in (0, rule.seen)


def _text(body: Any) -> str:
    """What is sent as text; streams (S3 uploads) are left alone, since reading them would empty them."""
    return body.decode(errors="replace") if isinstance(body, (bytes, bytearray)) else body if isinstance(body, str) else ""
