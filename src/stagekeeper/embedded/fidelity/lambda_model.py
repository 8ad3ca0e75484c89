"""Which Lambda operation a request is, read from botocore's own model of the service.

ministack tells operations apart by parts of the path and so knows fewer of them than there are. Only the model is
used here, so an operation that a newer botocore brings is known at once.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import botocore.session


@dataclass(frozen=True)
class Request:
    """One request: the operation's name, the members of its path, and its query."""

    operation: str
    path: Mapping[str, str]
    query: Mapping[str, Any]
    takes_qualifier: bool

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter; ministack hands lists, a router may hand strings."""
        value = self.query.get(name)
        if isinstance(value, list):
            value = value[0] if value else None
        return str(value) if value else None

    @property
    def qualifier(self) -> str | None:
        """What the caller qualified the function with: behind its name, or in the query."""
        in_name = self.function[1] if self.function is not None else None
        return in_name or (self.parameter("Qualifier") if self.takes_qualifier else None)

    @property
    def function(self) -> tuple[str, str | None] | None:
        """Name and qualifier of the function in the path, which may be a name, a partial or a whole ARN."""
        reference = self.path.get("FunctionName")
        return None if reference is None else split_reference(reference)


def split_reference(reference: str) -> tuple[str, str | None]:
    """Name and qualifier of `name`, `name:q`, `123456789012:function:name[:q]` or `arn:…:function:name[:q]`."""
    parts = reference.split(":")
    if "function" in parts[:-1]:
        parts = parts[parts.index("function") + 1 :]
    return parts[0], parts[1] if len(parts) > 1 else None


def parse(method: str, path: str, query: Mapping[str, Any]) -> Request | None:
    """The request as an operation of Lambda's, or None when the model has no such route."""
    decoded = unquote(path)
    for route in _routes():
        if route.method != method or any(name not in query for name in route.needs):
            continue
        matched = route.pattern.fullmatch(decoded)
        if matched is not None:
            return Request(route.operation, matched.groupdict(), query, route.takes_qualifier)
    return None


def operations() -> list[str]:
    """Every operation of the model, for the tests."""
    return [route.operation for route in _routes()]


@dataclass(frozen=True)
class _Route:
    operation: str
    method: str
    pattern: re.Pattern[str]
    needs: tuple[str, ...]
    takes_qualifier: bool
    literals: int


@functools.cache
def _routes() -> list[_Route]:
    """Every route; those with more literal parts first, as `/aliases/{Name}` must win over `/{Name}`."""
    model = botocore.session.get_session().get_service_model("lambda")
    routes = []
    for name in model.operation_names:
        operation = model.operation_model(name)
        uri, _, fixed_query = operation.http["requestUri"].partition("?")
        needs = tuple(part.partition("=")[0] for part in fixed_query.split("&") if part)
        segments = [segment for segment in uri.split("/") if segment]
        shape = operation.input_shape
        takes_qualifier = (
            shape is not None
            and "Qualifier" in shape.members
            and shape.members["Qualifier"].serialization.get("location") == "querystring"
        )
        literals = sum(not segment.startswith("{") for segment in segments) + len(needs)
        pattern = re.compile("".join(f"/{_segment(segment)}" for segment in segments) + "/?")
        routes.append(_Route(name, operation.http["method"], pattern, needs, takes_qualifier, literals))
    return sorted(routes, key=lambda route: -route.literals)


def _segment(segment: str) -> str:
    if not segment.startswith("{"):
        return re.escape(segment)
    name = segment.strip("{}+")
    # An ARN's own slashes are separators again once the path is decoded.
    return f"(?P<{name}>.+)" if name.endswith("Arn") or name == "Resource" else f"(?P<{name}>[^/]+)"
