"""The Lambda service's front door: every API request passes here, named as its operation, on its way to ministack.

The rules of the other modules hang on operations: `refuse` and `adjust` before ministack sees the request, `answer`
instead of it, `amend` what it answered. CloudFormation's side of ministack does not come through here: it calls the
functions themselves, as it may (on AWS it waits for a function to settle and is bound by none of the preconditions).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from stagekeeper.embedded.fidelity import lambda_model
from stagekeeper.embedded.fidelity.patching import Answer, wrap


@dataclass
class Call:
    """One request to Lambda. What rules change in `data` and `query`, ministack sees changed."""

    request: lambda_model.Request
    data: dict[str, Any]
    query: dict[str, Any]
    headers: dict[str, str]

    @property
    def operation(self) -> str:
        return self.request.operation

    @property
    def name(self) -> str:
        """The function's name, of the path or, when one is created, of the body."""
        function = self.request.function
        return function[0] if function is not None else str(self.data.get("FunctionName", ""))

    @property
    def qualifier(self) -> str | None:
        return self.request.qualifier


Adjust = Callable[[Call], None]
Refuse = Callable[[Call], Answer | None]
Reply = Callable[[Call], Answer]
Amend = Callable[[Call, Answer], Answer]


class Door:
    """The rules by operation. Refusals run in the order they were hung."""

    def __init__(self) -> None:
        self._everywhere: list[Refuse] = []
        self._refusals: defaultdict[str, list[Refuse]] = defaultdict(list)
        self._adjustments: defaultdict[str, list[Adjust]] = defaultdict(list)
        self._replies: dict[str, Reply] = {}
        self._amendments: defaultdict[str, list[Amend]] = defaultdict(list)

    def refuse_any(self, rule: Refuse) -> None:
        self._everywhere.append(rule)

    def refuse(self, rule: Refuse, *operations: str) -> None:
        for operation in operations:
            self._refusals[operation].append(rule)

    def adjust(self, rule: Adjust, *operations: str) -> None:
        for operation in operations:
            self._adjustments[operation].append(rule)

    def answer(self, rule: Reply, operation: str) -> None:
        self._replies[operation] = rule

    def amend(self, rule: Amend, *operations: str) -> None:
        for operation in operations:
            self._amendments[operation].append(rule)

    def open_on(self, lambda_svc: Any) -> None:
        """Stand in front of ministack's request handler."""
        wrap(lambda_svc, "handle_request", lambda original: self._standing_before(original, lambda_svc._func_arn))

    def _standing_before(self, original: Any, arn_of: Callable[[str], str]) -> Any:
        async def handle_request(method: str, path: str, headers: Any, body: bytes, query_params: Any) -> Any:
            request = lambda_model.parse(method, path, query_params or {})
            data = _object(body) if request is not None and request.operation not in _PAYLOADS else {}
            if request is None or data is None:
                return await original(method, path, headers, body, query_params)
            call = Call(request, data, dict(query_params or {}), headers)
            for refuse in (*self._everywhere, *self._refusals[call.operation]):
                refusal = refuse(call)
                if refusal is not None:
                    return refusal
            reply = self._replies.get(call.operation)
            if reply is not None:
                return reply(call)
            for adjust in self._adjustments[call.operation]:
                adjust(call)
            sent = body if call.operation in _PAYLOADS or not body else json.dumps(call.data).encode()
            answered = await original(method, _understood(path, request, arn_of), headers, sent, call.query)
            for amend in self._amendments[call.operation]:
                answered = amend(call, answered)
            return answered

        return handle_request


# ministack looks for these in the whole path, and so takes a function of such a name for another request.
_MISTAKEN = ("url", "account-settings")


def _understood(path: str, request: lambda_model.Request, arn_of: Callable[[str], str]) -> str:
    """The path with its function named so that ministack knows it.

    It does not know a partial ARN, `123456789012:function:name`; and some names it knows in an ARN only.
    """
    reference = request.path.get("FunctionName", "")
    if request.function is None or reference.startswith("arn:"):
        return path
    name, qualifier = request.function
    if name.startswith(_MISTAKEN) and not request.operation.endswith(("UrlConfig", "UrlConfigs")):
        name = arn_of(name)
    elif ":function:" not in f":{reference}":
        return path
    return unquote(path).replace(reference, f"{name}:{qualifier}" if qualifier else name, 1)


# Bodies that are the caller's own payload, not members of a request.
_PAYLOADS = frozenset({"Invoke", "InvokeAsync", "InvokeWithResponseStream"})


def _object(body: bytes) -> dict[str, Any] | None:
    """The body as an object; None for one that is no object, which ministack is to refuse."""
    if not body:
        return {}
    try:
        data = json.loads(body)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None
