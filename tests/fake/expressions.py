"""DynamoDB's expressions: conditions, key conditions, updates and projections, read once and then asked of many items.

It knows what is written below; anything else of the language raises NotImplementedError, so that nothing is silently left out.
Must not know tables.

AWS's rules (developer guide, Expressions): every placeholder that is used is given, and every one that is given is used; a
reserved word is no name of an attribute, but a placeholder may stand for it; a comparison of values of two types, or with an
attribute that is not there, is false; a path into a map that is not there cannot be set.
"""

from __future__ import annotations

import functools
import importlib.util
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path as File
from typing import Any

from .attribute_values import Attributes, Value
from .errors import AwsError, validation

#: Names of attributes from the outermost inwards; ``#…`` stands for one that the request names.
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What a request says its placeholders stand for."""

    names: Mapping[str, str]
    values: Mapping[str, Value]

    def path(self, path: Path) -> Path:
        return tuple(self.names[name] if name[0] == "#" else name for name in path)

    def found(self, path: Path, item: Attributes | None) -> Value | None:
        """The value at a path; None if there is none."""
        value: Value | None = None if item is None else {"M": item}
        for name in self.path(path):
            if value is None or "M" not in value:
                return None
            value = value["M"].get(name)
        return value


#: Whether a condition holds for an item, or (None) for there being none.
Condition = Callable[[Attributes | None, Given], bool]
#: A value of an expression.
_Operand = Callable[[Attributes | None, Given], Value | None]


@dataclass(frozen=True, slots=True)
class KeyCondition:
    """The placeholder of the partition key's value, and what the sort key's value must be."""

    partition: str
    sort: Condition


@dataclass(frozen=True, slots=True)
class Change:
    """One attribute that an update sets (to its operand), adds to, or (no operand) removes."""

    path: Path
    operand: str | None = None
    adds: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """An expression's meaning, and the placeholders that it uses."""

    meaning: Any
    placeholders: frozenset[str]


_TOKEN = re.compile(r"\s*(?:(?P<word>[#:]?[A-Za-z_0-9]+)|(?P<sign><>|<=|>=|[=<>(),.]))|\s*$|(?P<other>.)")
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@functools.cache
def _reserved() -> frozenset[str]:
    """AWS's reserved words, of which moto has a list."""
    found = importlib.util.find_spec("moto")
    assert found is not None, "moto is one of the tools of the tests"
    assert found.submodule_search_locations is not None
    listed = File(found.submodule_search_locations[0]) / "dynamodb" / "parsing" / "reserved_keywords.txt"
    return frozenset(listed.read_text(encoding="utf-8").split())


class _Reader:
    """Reads one expression from its beginning to its end."""

    def __init__(self, kind: str, text: str) -> None:
        self._kind, self._text = kind, text
        self._tokens = list(self._split())
        self._at = 0
        self.placeholders: set[str] = set()
        self.paths: list[Path] = []

    def _split(self) -> Iterator[str]:
        for match in _TOKEN.finditer(self._text):
            if match["other"] is not None:
                raise NotImplementedError(f"{match['other']!r} in {self._text}")
            token = match["word"] or match["sign"]
            if token is not None:
                yield token

    def wrong(self) -> AwsError:
        near = " ".join(self._tokens[max(0, self._at - 1) : self._at + 2])
        return validation(f'Invalid {self._kind}: Syntax error; token: "{self.ahead}", near: "{near}"')

    @property
    def ahead(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else "<EOF>"

    def take(self, *wanted: str) -> bool:
        """Go on if one of these comes next; keywords are written either way."""
        if self.ahead.upper() not in wanted:
            return False
        self._at += 1
        return True

    def need(self, *wanted: str) -> None:
        if not self.take(*wanted):
            raise self.wrong()

    def word(self) -> str:
        word = self.ahead
        if not re.match(r"[#:\w]", word):
            raise self.wrong()
        self._at += 1
        if word[0] in "#:":
            self.placeholders.add(word)
        return word

    def end(self, meaning: Any) -> Read:
        if self._at < len(self._tokens):
            raise self.wrong()
        return Read(meaning, frozenset(self.placeholders))

    def path(self) -> Path:
        names = [self._name()]
        while self.take("."):
            names.append(self._name())
        self.paths.append(tuple(names))
        return self.paths[-1]

    def _name(self) -> str:
        name = self.word()
        if name[0] == ":":
            raise self.wrong()
        if name.upper() in _reserved():
            raise validation(f"Invalid {self._kind}: Attribute name is a reserved keyword; reserved keyword: {name}")
        return name

    def placeholder(self) -> str:
        """Of a value."""
        name = self.word()
        if name[0] != ":":
            raise NotImplementedError(f"{name} in {self._text}: only placeholders are values here")
        return name

    # Conditions.

    def condition(self) -> Condition:
        parts = [self._all()]
        while self.take("OR"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else _any_of(parts)

    def _all(self) -> Condition:
        parts = [self.one()]
        while self.take("AND"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def one(self) -> Condition:
        if self.take("NOT"):
            return _not(self.one())
        if self.take("("):
            inner = self.condition()
            self.need(")")
            return inner
        if self._tokens[self._at + 1 : self._at + 2] == ["("]:
            return self._function()
        left = self._operand()
        if self.take("BETWEEN"):
            low = self._operand()
            self.need("AND")
            return _all_of([_compared(operator.ge, left, low), _compared(operator.le, left, self._operand())])
        sign = self.ahead
        if sign not in _COMPARED:
            raise self.wrong()
        self.need(sign)
        return _compared(_COMPARED[sign], left, self._operand())

    def _operand(self) -> _Operand:
        if self.ahead[0] == ":":
            name = self.placeholder()
            return lambda _, given: given.values[name]
        path = self.path()
        return lambda item, given: given.found(path, item)

    def _function(self) -> Condition:
        name = self.word()
        self.need("(")
        path = self.path()
        match name:
            case "attribute_exists":
                condition: Condition = lambda item, given: given.found(path, item) is not None  # noqa: E731
            case "attribute_not_exists":
                condition = lambda item, given: given.found(path, item) is None  # noqa: E731
            case "begins_with":
                self.need(",")
                condition = _begins(path, self.placeholder())
            case _:
                raise NotImplementedError(f"the function {name} of conditions")
        self.need(")")
        return condition

    # Updates.

    def update(self) -> tuple[Change, ...]:
        changes: list[Change] = []
        clauses: list[str] = []
        while (clause := self.ahead.upper()) in ("SET", "REMOVE", "ADD"):
            if clause in clauses:
                raise validation(
                    f'Invalid UpdateExpression: The "{clause}" section can only be used once in an update expression;'
                )
            clauses.append(clause)
            self.need(clause)
            changes.append(self._change(clause))
            while self.take(","):
                changes.append(self._change(clause))
        if not changes:
            raise self.wrong()
        return tuple(changes)

    def _change(self, clause: str) -> Change:
        path = self.path()
        match clause:
            case "SET":
                self.need("=")
                return Change(path, self.placeholder())
            case "ADD":
                return Change(path, self.placeholder(), adds=True)
        return Change(path)


def _any_of(parts: Sequence[Condition]) -> Condition:
    return lambda item, given: any(part(item, given) for part in parts)


def _all_of(parts: Sequence[Condition]) -> Condition:
    return lambda item, given: all(part(item, given) for part in parts)


def _not(part: Condition) -> Condition:
    return lambda item, given: not part(item, given)


def _compared(compare: Callable[[Any, Any], bool], left: _Operand, right: _Operand) -> Condition:
    def condition(item: Attributes | None, given: Given) -> bool:
        one, other = left(item, given), right(item, given)
        if one is None or other is None:
            return compare is operator.ne
        if compare in (operator.eq, operator.ne):
            return compare(one, other)
        (kind,) = one
        if kind not in other or kind not in ("S", "N"):
            return False
        return compare(_ordered(one), _ordered(other))

    return condition


def _ordered(value: Value) -> bytes | Decimal:
    """What a value is ordered by: the bytes of a text."""
    return Decimal(value["N"]) if "N" in value else str(value["S"]).encode()


def _begins(path: Path, placeholder: str) -> Condition:
    def condition(item: Attributes | None, given: Given) -> bool:
        value, prefix = given.found(path, item), given.values[placeholder]
        if "S" not in prefix:
            raise validation("Invalid ConditionExpression: Incorrect operand type for operator or function; begins_with")
        return value is not None and "S" in value and str(value["S"]).startswith(prefix["S"])

    return condition


@functools.cache
def condition_of(text: str, kind: str = "ConditionExpression") -> Read:
    """Its meaning is a Condition."""
    reader = _Reader(kind, text)
    return reader.end(reader.condition())


@functools.cache
def update_of(text: str) -> Read:
    """Its meaning is one Change after the other."""
    reader = _Reader("UpdateExpression", text)
    return reader.end(reader.update())


@functools.cache
def projection_of(text: str) -> Read:
    """Its meaning is the names of attributes, none of them inside another."""
    reader = _Reader("ProjectionExpression", text)
    paths = [reader.path()]
    while reader.take(","):
        paths.append(reader.path())
    if any(len(path) > 1 for path in paths):
        raise NotImplementedError(f"a projection into an attribute: {text}")
    return reader.end(tuple(path[0] for path in paths))


@functools.cache
def key_condition_of(text: str, partition: str, sort: str) -> Read:
    """Its meaning is a KeyCondition: the partition key's value, and after an AND one condition of the sort key."""
    reader = _Reader("KeyConditionExpression", text)
    if reader.path() != (partition,):
        raise NotImplementedError(f"a key condition that does not begin with {partition}: {text}")
    reader.need("=")
    value = reader.placeholder()
    condition: Condition = reader.one() if reader.take("AND") else lambda _, __: True
    if any(path != (sort,) for path in reader.paths[1:]):
        raise validation("Query condition missed key schema element")
    return reader.end(KeyCondition(value, condition))
