"""What CloudFormation would have somebody else expand before it looks at a template. Only SAM's transform is done here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stagekeeper.domain.split_model import Path, Problem, Source

SAM = "AWS::Serverless-2016-10-31"

_KNOWN = frozenset(
    f"Fn::{name}"
    for name in (
        *("Base64", "Cidr", "FindInMap", "GetAtt", "GetAZs", "If", "ImportValue", "Join", "Select", "Split", "Sub"),
        *("And", "Equals", "Not", "Or"),
        *("Contains", "EachMemberEquals", "EachMemberIn", "RefAll", "ValueOf", "ValueOfAll"),
    )
)
_INSTEAD = "Expand it before you hand the template over, or write out what it stands for."


def is_sam(source: Source) -> bool:
    return SAM in transforms(source)


def transforms(source: Source) -> tuple[str, ...]:
    named = source.body.get("Transform", ())
    return tuple(str(name) for name in named) if isinstance(named, list | tuple) else (str(named),)


def macro_problems(source: Source) -> tuple[Problem, ...]:
    """Each macro but SAM's, with the resource that it stands in and its line."""
    named = [
        Problem(
            f"The template's Transform names {name}, which cannot be expanded here. {_INSTEAD}",
            None,
            source.lines.get(("Transform",)),
        )
        for name in transforms(source)
        if name != SAM
    ]
    return (*named, *(problem for key, value in source.body.items() for problem in _inside(key, value, (), source)))


def _inside(key: str, value: Any, path: Path, source: Source) -> Iterator[Problem]:
    here = (*path, key)
    if key.startswith("Fn::") and key not in _KNOWN:
        logical_id = here[1] if here[0] == "Resources" and len(here) > 1 else None
        where = logical_id if logical_id not in (None, key) else "The template"
        sentence = f"{where} uses {key}, which cannot be expanded here. {_INSTEAD}"
        yield Problem(sentence, logical_id, _line(here, source))
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _inside(name, item, here, source)
    elif isinstance(value, list | tuple):
        for position, item in enumerate(value):
            yield from _inside(str(position), item, here, source)


def _line(path: Path, source: Source) -> int | None:
    """The line of the member, or of the nearest that has one: a short form is its value."""
    for end in range(len(path), 0, -1):
        if path[:end] in source.lines:
            return source.lines[path[:end]]
    return None
