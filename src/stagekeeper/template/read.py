"""The text of a template, YAML or JSON, to its body and the line of each member. Must not know what a resource is.

YAML is parsed by PyYAML, CloudFormation's short forms (!Ref) are expanded by aws-sam-translator's own constructor. The lines
come from the nodes that the same parse leaves behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml
from samtranslator.yaml_helper import intrinsics_multi_constructor

from stagekeeper.domain.split_model import Path, Problem, Source, Unsplittable

# What CloudFormation itself takes from S3.
MAX_BYTES = 1_000_000
# An alias in YAML can stand for a big part again and again; a template of the greatest size has fewer members than this.
MAX_NODES = 250_000
MAX_DEPTH = 100

_SURROGATES = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")

_TEXT = "tag:yaml.org,2002:str"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


class _Loader(yaml.CSafeLoader):
    """With the short forms; the global loaders stay as they are."""


_Loader.add_multi_constructor("!", intrinsics_multi_constructor)


class _Unreadable(Exception):
    def __init__(self, sentence: str, line: int | None, logical_id: str | None = None) -> None:
        super().__init__(sentence)
        self.problem = Problem(sentence, logical_id, line)


def read(text: str) -> Source | Unsplittable:
    """The template that the text says, or why it says none."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        sentence = (
            f"The template is larger than {MAX_BYTES:,} bytes, the most that CloudFormation takes. Split the service in two."
        )
        return Unsplittable((Problem(sentence),))
    try:
        source = _parse(text)
    except _Unreadable as trouble:
        return Unsplittable((trouble.problem,))
    return source


def _parse(text: str) -> Source:
    body, lines = _json(text) or _yaml(text)
    if not isinstance(body, Mapping):
        raise _Unreadable("The template is no mapping: it needs a section Resources at its top.", 1)
    return Source(body, lines)


def _json(text: str) -> tuple[Any, Mapping[Path, int]] | None:
    """JSON by its own rules, where the text is JSON: YAML reads a few of its escapes otherwise."""
    if not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return None
    try:
        body = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        return None
    # A pair of escapes for one character means nothing to YAML; it says no line.
    _, lines = _yaml(_SURROGATES.sub("?", text))
    return body, lines


def _yaml(text: str) -> tuple[Any, Mapping[Path, int]]:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise _Unreadable("The template is empty.", None)
        lines: dict[Path, int] = {}
        _Walk(lines).node(node, ())
        return loader.construct_document(node), lines
    except yaml.reader.ReaderError as trouble:
        sentence = f"The template holds a character that YAML does not allow: {trouble.reason}. Delete it."
        raise _Unreadable(sentence, text.count("\n", 0, trouble.position) + 1) from trouble
    except yaml.MarkedYAMLError as trouble:
        mark = trouble.problem_mark or trouble.context_mark
        said = ", ".join(part for part in (trouble.context, trouble.problem) if part)
        sentence = f"The template does not parse: {said}. Mend this line, or the one before it."
        raise _Unreadable(sentence, mark.line + 1 if mark else None) from trouble
    except RecursionError as trouble:
        raise _Unreadable("The template is nested too deeply to be read.", None) from trouble
    finally:
        loader.dispose()


class _Walk:
    """Notes lines, and makes of keys and dates what CloudFormation makes of them: text."""

    def __init__(self, lines: dict[Path, int]) -> None:
        self._lines = lines
        self._seen = 0

    def node(self, node: yaml.Node, path: Path) -> None:
        self._seen += 1
        if self._seen > MAX_NODES or len(path) > MAX_DEPTH:
            raise _Unreadable("The template is nested too deeply, or its YAML aliases make it too large.", _line(node))
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for position, item in enumerate(node.value):
                deeper = (*path, str(position))
                self._lines[deeper] = _line(item)
                self.node(item, deeper)
        elif node.tag == _TIMESTAMP:
            node.tag = _TEXT

    def _mapping(self, node: yaml.MappingNode, path: Path) -> None:
        here: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _Unreadable("A key of the template is no text.", _line(key))
            if key.tag == _MERGE:
                self.node(value, path)
                continue
            key.tag = _TEXT
            name = key.value
            if name in here:
                where = ".".join((*path, name))
                lines = f"{here[name]} and {_line(key)}"
                sentence = f"{where} stands twice, in lines {lines}; one of them would be lost. Delete or rename one."
                whole = (*path, name)
                raise _Unreadable(sentence, _line(key), whole[1] if len(whole) > 1 and whole[0] == "Resources" else None)
            here[name] = _line(key)
            deeper = (*path, name)
            self._lines[deeper] = _line(key)
            self.node(value, deeper)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
