"""Names that one resource has and another one writes out: no reference tells CloudFormation, or anybody, that they are the same.

A stage's name is another one in each stage, and the name of the stack in a stage's stack is not that of the service stack. It
only says where that happens; what was meant is not to be known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stagekeeper.domain.intrinsics import single
from stagekeeper.domain.split_graph import Graph
from stagekeeper.domain.split_model import STAGE, Kind, ReportLine
from stagekeeper.domain.split_names import NAMES, member

# A shorter word stands for too much.
_LEAST = 5


def by_convention(graph: Graph, stage: frozenset[str]) -> Iterator[ReportLine]:
    """Each resource that writes out a name which is another one where it stands, or will be."""
    texts = {logical_id: "\n".join(_texts(resource)) for logical_id, resource in graph.resources.items()}
    for named in sorted(graph.resources):
        name = _name(graph, named)
        if name is None or (named not in stage and "${AWS::StackName}" not in name):
            continue
        whole = re.compile(r"(?<![A-Za-z0-9_.$-])" + re.escape(name) + r"(?![A-Za-z0-9_-])")
        for logical_id in sorted(graph.resources):
            if logical_id == named or not _concerns(name, named in stage, logical_id in stage):
                continue
            if name in texts[logical_id] and whole.search(texts[logical_id]):
                yield ReportLine(logical_id, Kind.NAMED, _sentence(logical_id, named, named in stage, logical_id in stage))


def _concerns(name: str, is_stages: bool, speaker_is_stages: bool) -> bool:
    """Whether a name in one half means something else where it is written out. In one and the same stack only a new name does."""
    if is_stages and speaker_is_stages:
        return not any(f"${{{apart}" in name for apart in ("AWS::StackName", STAGE))
    return is_stages != speaker_is_stages


def _sentence(logical_id: str, named: str, is_stages: bool, speaker_is_stages: bool) -> str:
    if is_stages and speaker_is_stages:
        return f"{logical_id} writes out the name of {named}, which gets another one in each stage. Refer to {named} instead."
    if is_stages:
        return (
            f"{logical_id} is shared and writes out the name of {named}, which has another one in each stage. "
            f"Read it at run time, or move what needs it to the stage (Scope: stage)."
        )
    return (
        f"{logical_id} is the stage's and puts together the name of {named}, which is shared, from the name of the stack: "
        f"in the stage's stack that is another one. Refer to {named} instead."
    )


def _name(graph: Graph, logical_id: str) -> str | None:
    name = NAMES.get(graph.kind(logical_id))
    properties = graph.resources[logical_id].get("Properties")
    value = member(properties, name.member) if name and isinstance(properties, Mapping) else None
    text = value if isinstance(value, str) else single(value, "Fn::Sub")
    return text if isinstance(text, str) and len(text) >= _LEAST else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in ("Type", "DependsOn", "Condition", "Ref", "Description", "Tags"):
                yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
