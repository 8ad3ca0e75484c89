"""Puts other values into the text of a template, in place: every line stays where it is, and all else as its author wrote it.

Refusals of the control plane name lines, and an unchanged checkout has to make the same text. PyYAML says where each value
stands; this replaces those characters by JSON, which YAML takes anywhere. Must not know what the values mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from stagekeeper.domain.split_model import Path

_MERGE = "tag:yaml.org,2002:merge"
# An anchor or a tag before a value; what PyYAML says of the value begins with them.
_ANCHOR = re.compile(r"(&\S+)\s+")
_TAG = re.compile(r"![^\s]*\s+")
# Two escapes of JSON for one character, which YAML does not know; as long as what stands for it.
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def rewritten(text: str, values: Mapping[Path, Any]) -> str:
    """The text with these values, by the path of the member they are of. Each path leads to a text in the template.

    A value that other members share by a YAML alias changes in all of them; the caller compares what the new text says.
    """
    root = yaml.compose(_SURROGATE.sub(r"\\u003f", text), Loader=yaml.CSafeLoader)
    spans = {}
    for path, value in values.items():
        node = _node(root, path)
        spans[node.start_mark.index, node.end_mark.index] = value
    for (start, end), value in sorted(spans.items(), reverse=True):
        text = text[:start] + _in_place(text[start:end], value) + text[end:]
    return text


def _in_place(old: str, value: Any) -> str:
    """The value as JSON, on as many lines as there were, with the anchor that stood before it."""
    anchor, rest = "", old
    while (found := _ANCHOR.match(rest) or _TAG.match(rest)) is not None:
        anchor += f"{found.group(1)} " if found.re is _ANCHOR else ""
        rest = rest[found.end() :]
    return anchor + json.dumps(value) + "\n" * old.count("\n")


def _node(root: yaml.Node | None, path: Path) -> yaml.Node:
    found = root
    for step in path:
        found = next(_members(found, step), None)
    if found is None:
        raise LookupError(f"{'.'.join(path)} is not in the template")
    return found


def _members(node: yaml.Node | None, name: str) -> Iterator[yaml.Node]:
    """The member of that name: of the mapping itself, else of what it merges, the first before the next (YAML's merge key)."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if key.tag != _MERGE and key.value == name:
            yield value
    for key, value in node.value:
        if key.tag == _MERGE:
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                yield from _members(merged, name)
