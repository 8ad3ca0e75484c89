"""Copies of what is asked and answered, value by value, driven by botocore's service model. Must not know any operation.

What is read is as botocore's serialiser would send it once its checks have passed; what is written as its parser would give it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.response import StreamingBody
from botocore.utils import parse_timestamp

Copy = Callable[[Any], Any]

_SCALARS: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "character": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "float": (float, int),
    "double": (float, int),
}


@dataclass(frozen=True, eq=False)
class Translations:
    """By the name of a shape of the model: what its values become on their way to a fake, and back."""

    reading: Mapping[str, Copy]
    writing: Mapping[str, Copy]


NOTHING = Translations({}, {})


class Unfit(Exception):
    """botocore would not send this."""


class _Copies:
    """The copying of each shape is worked out once."""

    def __init__(self, translations: Mapping[str, Copy]) -> None:
        self._translations = translations
        self._known: dict[tuple[str, bool], Copy] = {}

    def of(self, shape: Shape) -> Copy:
        if shape.name in self._translations:
            return self._translations[shape.name]
        # That a body streams belongs to the member, and not to the shape of its name.
        key = shape.name, bool(shape.serialization.get("streaming"))
        if key not in self._known:
            self._known[key] = self._made(shape)
        return self._known[key]

    def _made(self, shape: Shape) -> Copy:
        raise NotImplementedError

    def _members(self, shape: StructureShape) -> Callable[[str], Copy | None]:
        """The copying of each member by its name, worked out when there is such a member: shapes may contain themselves."""
        known: dict[str, Copy | None] = {}

        def member(name: str) -> Copy | None:
            if name not in known:
                known[name] = self.of(shape.members[name]) if name in shape.members else None
            return known[name]

        return member

    def _inner(self, shape: ListShape | MapShape) -> Copy:
        found: list[Copy] = []

        def inner(value: Any) -> Any:
            if not found:
                found.append(self.of(shape.member if isinstance(shape, ListShape) else shape.value))
            return found[0](value)

        return inner


class Reading(_Copies):
    """Of parameters. Raises Unfit; without ``checks`` only what cannot be sent at all is unfit."""

    def __init__(self, translations: Mapping[str, Copy], *, checks: bool) -> None:
        super().__init__(translations)
        self._checks = checks

    def _made(self, shape: Shape) -> Copy:
        least = shape.metadata.get("min", 0) if self._checks else 0
        match shape:
            case StructureShape():
                return self._structure(shape)
            case ListShape():
                return _list_of(self._inner(shape), least)
            case MapShape():
                return _map_of(self._inner(shape))
        match shape.type_name:
            case "blob":
                return _bytes
            case kind if kind in _SCALARS and not shape.serialization.get("jsonvalue"):
                return _scalar(_SCALARS[kind], shape, least) if self._checks else lambda value: value
        raise NotImplementedError(f"a {shape.type_name} among the parameters")

    def _structure(self, shape: StructureShape) -> Copy:
        member, checks = self._members(shape), self._checks
        required = frozenset(shape.required_members) if checks else frozenset[str]()
        only_one = checks and shape.is_tagged_union

        def copy(value: Any) -> dict[str, Any]:
            if not isinstance(value, dict) or not required <= value.keys() or (only_one and len(value) != 1):
                raise Unfit
            copied = {}
            for name, given in value.items():
                inner = member(name)
                if inner is None:
                    raise Unfit
                if given is not None or checks:
                    copied[name] = inner(given)
            return copied

        return copy


class Writing(_Copies):
    """Of answers. A member that the model does not have, and a value that does not travel, are bugs of the fake."""

    def _made(self, shape: Shape) -> Copy:
        match shape:
            case StructureShape():
                return self._structure(shape)
            case ListShape():
                return _list_of(self._inner(shape), 0)
            case MapShape():
                return _map_of(self._inner(shape))
        match shape.type_name:
            case "blob" if shape.serialization.get("streaming"):
                return lambda value: StreamingBody(io.BytesIO(value), len(value))
            case "blob":
                return _bytes
            case "timestamp":
                return lambda value: value if isinstance(value, datetime) else parse_timestamp(value)
        return _answered

    def _structure(self, shape: StructureShape) -> Copy:
        member = self._members(shape)

        def copy(value: Any) -> dict[str, Any]:
            copied = {}
            for name, given in value.items():
                inner = member(name)
                if inner is None:
                    raise AssertionError(f"{shape.name} has no {name} on AWS")
                # As a parser leaves out what is null.
                if given is not None:
                    copied[name] = inner(given)
            return copied

        return copy


def _list_of(inner: Copy, least: int) -> Copy:
    def copy(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple) or len(value) < least:
            raise Unfit
        return [inner(entry) for entry in value]

    return copy


def _map_of(inner: Copy) -> Copy:
    def copy(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise Unfit
        return {key: inner(member) for key, member in value.items()}

    return copy


def _scalar(kind: type | tuple[type, ...], shape: Shape, least: float) -> Copy:
    bounded = least if "min" in shape.metadata else None

    def copy(value: Any) -> Any:
        if not isinstance(value, kind):
            raise Unfit
        if bounded is not None and _size(value) < bounded:
            raise Unfit
        return value

    return copy


def _size(value: Any) -> float:
    """What a least size is about: of a text, its length."""
    return len(value) if isinstance(value, str) else value


def _bytes(value: Any) -> bytes:
    match value:
        case str():
            return value.encode()
        case bytes() | bytearray():
            return bytes(value)
    if not hasattr(value, "read"):
        raise Unfit
    return bytes(value.read())


def _answered(value: Any) -> Any:
    if not isinstance(value, str | int | float):
        raise AssertionError(f"{value!r} does not travel")
    return value
