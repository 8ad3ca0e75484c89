"""A YAML text to plain values, strictly, and the line of every member. Must not know what the text is about.

Strictly: one document, no key twice, no tags of applications. Keys and dates are text, whatever YAML would make of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

#: Keys and list positions (as text) from the top: ("stages", "dev", "variables").
Place = tuple[str, ...]

#: YAML aliases can stand for a big part again and again; a file that people write has fewer members than this.
_MAX_NODES = 50_000
_MAX_DEPTH = 50

_TEXT = "tag:yaml.org,2002:str"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


class Unreadable(Exception):
    """Why a text says nothing, in a sentence, and the line (from 1) if it is known."""

    def __init__(self, sentence: str, line: int | None = None) -> None:
        super().__init__(sentence)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    body: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int | None:
        """The line of a member, or of what it should be in; None for the document as a whole."""
        for end in range(len(place), 0, -1):
            if place[:end] in self.lines:
                return self.lines[place[:end]]
        return None


def read(text: str) -> Document:
    """Raises Unreadable."""
    # The loader reads a stream of a whole text at once, and complains of its signs there.
    try:
        loader = yaml.CSafeLoader(text)
    except yaml.reader.ReaderError as trouble:
        raise _wrong_sign(text, trouble) from trouble
    try:
        node = loader.get_single_node()
        if node is None:
            raise Unreadable("it is empty")
        lines: dict[Place, int] = {}
        _Walk(lines).node(node, ())
        return Document(loader.construct_document(node), lines)
    except yaml.reader.ReaderError as trouble:
        raise _wrong_sign(text, trouble) from trouble
    except yaml.MarkedYAMLError as trouble:
        mark = trouble.problem_mark or trouble.context_mark
        raise Unreadable(_said(trouble), mark.line + 1 if mark else None) from trouble
    except RecursionError as trouble:
        raise Unreadable("it is nested too deeply") from trouble
    except (IndexError, KeyError, TypeError, ValueError) as trouble:
        # `!!int twelve`, `!!bool perhaps`, or a number of thousands of digits.
        raise Unreadable("a value is not what its form or its tag (!!…) says. Put it into quotes, without a tag") from trouble
    finally:
        loader.dispose()


def _wrong_sign(text: str, trouble: yaml.reader.ReaderError) -> Unreadable:
    line = text.count("\n", 0, trouble.position) + 1
    return Unreadable(f"it holds a character that YAML does not allow: {trouble.reason}. Delete it", line)


def _said(trouble: yaml.MarkedYAMLError) -> str:
    said = ", ".join(part for part in (trouble.context, trouble.problem) if part)
    if "alias" in said:
        return f"{said}. What begins with * or & must stand in quotes"
    return f"{said}. Mend this line, or the one before it"


class _Walk:
    """Notes lines, and makes text of keys and dates."""

    def __init__(self, lines: dict[Place, int]) -> None:
        self._lines = lines
        self._seen = 0

    def node(self, node: yaml.Node, place: Place) -> None:
        self._seen += 1
        if self._seen > _MAX_NODES or len(place) > _MAX_DEPTH:
            raise Unreadable("it is nested too deeply, or its YAML aliases make it too large", _line(node))
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, place)
        elif isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                self._lines.setdefault((*place, str(position)), _line(item))
                self.node(item, (*place, str(position)))
        elif node.tag == _TIMESTAMP:
            node.tag = _TEXT

    def _mapping(self, node: yaml.MappingNode, place: Place) -> None:
        here: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise Unreadable("a key is no text", _line(key))
            if key.tag == _MERGE:
                self.node(value, place)
                continue
            key.tag = _TEXT
            if key.value in here:
                where = ".".join((*place, key.value))
                raise Unreadable(f"{where} stands twice, in lines {here[key.value]} and {_line(key)}. Delete one", _line(key))
            here[key.value] = _line(key)
            self._lines[(*place, key.value)] = _line(key)
            self.node(value, (*place, key.value))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
