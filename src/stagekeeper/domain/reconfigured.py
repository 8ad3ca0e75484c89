"""Which functions a changed template configures anew: what can be said before CloudFormation has done it.

Must not know who is told of it. A function's code is not looked at: its digest tells more than a template.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stagekeeper.domain.intrinsics import references
from stagekeeper.domain.model import LogicalName
from stagekeeper.domain.service_template import FUNCTION, functions_in, without_code

#: Of these a reference gives another value only if one of these properties does: they get a new name and a new ARN by it.
_NAMED_BY = {"AWS::IAM::Role": ("RoleName", "Path"), FUNCTION: ("FunctionName",)}
#: A version has none of these properties of its function.
_NOT_IN_A_VERSION = ("Code", "Tags")


@dataclass(frozen=True, slots=True)
class Reconfigured:
    """``surely``: the template says something else of these functions. ``perhaps``: what they refer to changes, and may have
    another value then."""

    surely: frozenset[LogicalName] = frozenset()
    perhaps: frozenset[LogicalName] = frozenset()


def reconfigured(
    after: Mapping[str, Any], values: Mapping[str, str], before: Mapping[str, Any] | None, values_before: Mapping[str, str]
) -> Reconfigured:
    """``values`` are those of the templates' parameters. Nothing is known of a stack that is made anew: ``before`` None."""
    if before is None:
        return Reconfigured()
    old, new = before.get("Resources", {}), after.get("Resources", {})
    given = _given(after, values)
    moved = {name for name, value in given.items() if value != _given(before, values_before).get(name)}
    touched = moved | _others_that_differ(after, before) | {name for name in new if _named(new[name]) != _named(old.get(name))}
    holders = {**after.get("Conditions", {}), **{name: _named(resource) for name, resource in new.items()}}
    while more := {name for name, value in holders.items() if name not in touched and touched.intersection(_names(value))}:
        touched |= more
    functions = functions_in(after)
    surely = {name for name in functions if _content(new[name]) != _content(old.get(name)) or _takes(new[name], moved)}
    perhaps = {name for name in functions if touched.intersection(_names(_content(new[name])))} - surely
    return Reconfigured(frozenset(surely), frozenset(perhaps))


def only_code_differs(
    after: Mapping[str, Any], values: Mapping[str, str], before: Mapping[str, Any] | None, values_before: Mapping[str, str]
) -> bool:
    """Whether nothing but where functions' code lies differs: then nothing that others take from the stack does."""
    return before is not None and dict(values) == dict(values_before) and _without_codes(after) == _without_codes(before)


def _without_codes(template: Mapping[str, Any]) -> dict[str, Any]:
    return {**template, "Resources": {name: without_code(each) for name, each in template.get("Resources", {}).items()}}


def _given(template: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    return {name: values.get(name, each.get("Default")) for name, each in template.get("Parameters", {}).items()}


def _others_that_differ(after: Mapping[str, Any], before: Mapping[str, Any]) -> set[str]:
    """The mappings and conditions that are not as before."""
    sections = [(after.get(name, {}), before.get(name, {})) for name in ("Mappings", "Conditions")]
    return {name for new, old in sections for name in new if new[name] != old.get(name)}


def _content(resource: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What of a function its versions have, and whether it is there at all."""
    if resource is None:
        return None
    properties = {name: value for name, value in resource.get("Properties", {}).items() if name not in _NOT_IN_A_VERSION}
    return {"Properties": properties, "Condition": resource.get("Condition")}


def _named(resource: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What of a resource decides on what a reference to it gives: all of it, where no more is known of its type."""
    if resource is None:
        return None
    kind = str(resource.get("Type"))
    if kind not in _NAMED_BY:
        return resource
    properties = {name: resource.get("Properties", {}).get(name) for name in _NAMED_BY[kind]}
    return {"Type": kind, "Properties": properties, "Condition": resource.get("Condition")}


def _takes(resource: Mapping[str, Any], moved: set[str]) -> bool:
    """Whether a parameter's value is in it for certain: under a condition it may not be."""
    return any(each.target in moved and "Fn::If" not in each.path for each in references(_content(resource)))


def _names(value: Any) -> Iterator[str]:
    """All that a value refers to: parameters, resources, conditions, mappings."""
    yield from (each.target for each in references(value))
    yield from _conditions_and_mappings(value)


def _conditions_and_mappings(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key == "Condition" and isinstance(item, str):
                yield item
            if key in ("Fn::If", "Fn::FindInMap") and isinstance(item, list) and item and isinstance(item[0], str):
                yield item[0]
            yield from _conditions_and_mappings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _conditions_and_mappings(item)
