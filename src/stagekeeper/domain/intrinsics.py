"""Where a CloudFormation value refers to something else, and the same value with those references rewritten.

Knows Ref, Fn::GetAtt, Fn::Sub, Fn::If, Fn::FindInMap, Condition and DependsOn; must not know what a resource's type means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stagekeeper.domain.split_model import Path

PSEUDO = frozenset(
    f"AWS::{name}"
    for name in ("AccountId", "NotificationARNs", "NoValue", "Partition", "Region", "StackId", "StackName", "URLSuffix")
)

_PLACEHOLDER = re.compile(r"\$\{([^!${}][^${}]*)\}")


@dataclass(frozen=True, slots=True)
class Reference:
    """``attribute`` is None for a Ref. ``before`` and ``after``: the text around it in the same string, where that is known;
    None where nothing is around it.
    """

    target: str
    attribute: str | None
    path: Path
    before: str | None = None
    after: str | None = None


# What stands for a reference, as Fn::Sub would have it (``${Parameter}``); None to leave it as it is.
Rewrite = Callable[[Reference], str | None]


def references(value: Any, path: Path = ()) -> Iterator[Reference]:
    """Every Ref, Fn::GetAtt and placeholder of Fn::Sub in a value, in its order."""
    found: list[Reference] = []

    def note(reference: Reference) -> None:
        found.append(reference)

    rewritten(value, note, path)
    return iter(found)


def rewritten(value: Any, rewrite: Rewrite, path: Path = ()) -> Any:
    """A copy of the value in which what ``rewrite`` gives stands for each reference."""
    return _Walk(rewrite).value(value, path, None, None)


def single(value: Any, name: str) -> Any | None:
    """The argument of an intrinsic, where the value is exactly that intrinsic."""
    if isinstance(value, Mapping) and len(value) == 1:
        return value.get(name)
    return None


def get_att(argument: Any) -> tuple[str, str] | None:
    """Resource and attribute; None where the attribute is computed."""
    if isinstance(argument, str) and "." in argument:
        target, _, attribute = argument.partition(".")
        return target, attribute
    if isinstance(argument, list) and len(argument) >= 2 and all(isinstance(part, str) for part in argument):
        return argument[0], ".".join(argument[1:])
    return None


@dataclass(slots=True)
class _Walk:
    rewrite: Rewrite

    def value(self, value: Any, path: Path, before: str | None, after: str | None) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, path, before, after)
        if isinstance(value, list | tuple):
            return [self.value(item, (*path, str(position)), None, None) for position, item in enumerate(value)]
        return value

    def _mapping(self, value: Mapping[str, Any], path: Path, before: str | None, after: str | None) -> Any:
        target = single(value, "Ref")
        if isinstance(target, str):
            return self._one(Reference(target, None, path, before, after), value)
        attribute = single(value, "Fn::GetAtt")
        if attribute is not None:
            parts = get_att(attribute)
            if parts is not None:
                return self._one(Reference(*parts, path, before, after), value)
            if isinstance(attribute, list) and attribute and isinstance(attribute[0], str):
                # A computed attribute: the resource is known, what of it is not.
                self.rewrite(Reference(attribute[0], "?", path, before, after))
        sub = single(value, "Fn::Sub")
        if sub is not None:
            return self._sub(sub, path)
        join = single(value, "Fn::Join")
        if isinstance(join, list) and len(join) == 2 and isinstance(join[0], str) and isinstance(join[1], list):
            return {"Fn::Join": [join[0], self._joined(join[0], join[1], (*path, "Fn::Join", "1"))]}
        branches = single(value, "Fn::If")
        if isinstance(branches, list) and len(branches) == 3:
            deeper = (*path, "Fn::If")
            kept = [self.value(branch, (*deeper, str(n)), before, after) for n, branch in ((1, branches[1]), (2, branches[2]))]
            return {"Fn::If": [branches[0], *kept]}
        return {key: self.value(item, (*path, key), None, None) for key, item in value.items()}

    def _one(self, reference: Reference, value: Any) -> Any:
        instead = self.rewrite(reference)
        if instead is None:
            return dict(value)
        alone = _PLACEHOLDER.fullmatch(instead)
        return {"Ref": alone.group(1)} if alone else {"Fn::Sub": instead}

    def _joined(self, delimiter: str, items: list[Any], path: Path) -> list[Any]:
        def text(position: int) -> str:
            item = items[position] if 0 <= position < len(items) else ""
            return item if isinstance(item, str) else "\0"

        return [
            self.value(
                item,
                (*path, str(n)),
                text(n - 1) + delimiter if n else "",
                delimiter + text(n + 1) if n + 1 < len(items) else "",
            )
            for n, item in enumerate(items)
        ]

    def _sub(self, argument: Any, path: Path) -> Any:
        own: Mapping[str, Any] = {}
        text = argument
        listed = isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], Mapping)
        if listed:
            text, own = argument
        if not isinstance(text, str):
            return {"Fn::Sub": self.value(argument, (*path, "Fn::Sub"), None, None)}
        deeper = (*path, "Fn::Sub")
        around: dict[str, tuple[str, str]] = {}

        def place(match: re.Match[str]) -> str:
            name = match.group(1).strip()
            before, after = text[: match.start()], text[match.end() :]
            if name in own:
                around.setdefault(name, (before, after))
                return match.group(0)
            target, dot, attribute = name.partition(".")
            instead = self.rewrite(Reference(target, attribute if dot else None, deeper, before, after))
            return match.group(0) if instead is None else instead

        new = _PLACEHOLDER.sub(place, text)
        if not listed:
            return {"Fn::Sub": new}
        values = {name: self.value(item, (*deeper, "1", name), *around.get(name, ("", ""))) for name, item in own.items()}
        return {"Fn::Sub": [new, values]}


def condition_names(value: Any) -> Iterator[str]:
    """The conditions that a value tests: by Fn::If, and by the attribute Condition of a resource or an output."""
    if isinstance(value, Mapping):
        branches = single(value, "Fn::If")
        if isinstance(branches, list) and branches and isinstance(branches[0], str):
            yield branches[0]
        for item in value.values():
            yield from condition_names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from condition_names(item)


def conditions_of_condition(value: Any) -> Iterator[str]:
    """The conditions that a condition, or a rule, is made of."""
    if isinstance(value, Mapping):
        name = single(value, "Condition")
        if isinstance(name, str):
            yield name
            return
        for item in value.values():
            yield from conditions_of_condition(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from conditions_of_condition(item)


def mapping_names(value: Any) -> Iterator[str | None]:
    """The mappings that a value looks into; None where the name is computed, so that it may be any."""
    if isinstance(value, Mapping):
        arguments = single(value, "Fn::FindInMap")
        if isinstance(arguments, list) and arguments:
            yield arguments[0] if isinstance(arguments[0], str) else None
        for item in value.values():
            yield from mapping_names(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from mapping_names(item)


def depends_on(resource: Mapping[str, Any]) -> tuple[str, ...]:
    named = resource.get("DependsOn", ())
    if isinstance(named, str):
        return (named,)
    return tuple(name for name in named if isinstance(name, str)) if isinstance(named, list | tuple) else ()
