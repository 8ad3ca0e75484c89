"""Permissions to invoke a function, made to hold for its aliases: a call of an alias is authorised on the qualified ARN."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from typing import Any

from stagekeeper.domain.intrinsics import get_att, single

_INVOKE = ("lambda:invokefunction", "lambda:invokeasync", "lambda:invokefunctionurl")


def widened(resource: Mapping[str, Any], functions: frozenset[str]) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """An IAM resource with ``ARN:*`` beside each bare ARN that may be invoked, and the functions that this was done for."""
    if not str(resource.get("Type", "")).startswith("AWS::IAM::") or not isinstance(resource.get("Properties"), Mapping):
        return resource, ()
    found: list[str] = []
    properties = _value(resource["Properties"], functions, found.append)
    return ({**resource, "Properties": properties}, tuple(sorted(set(found)))) if found else (resource, ())


def _value(value: Any, functions: frozenset[str], note: Callable[[str], None]) -> Any:
    if isinstance(value, Mapping):
        if value.get("Effect") == "Allow" and "Resource" in value and _invokes(value.get("Action")):
            resources = _resources(value["Resource"], functions, note)
            return {**value, "Resource": resources}
        return {key: _value(item, functions, note) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item, functions, note) for item in value]
    return value


def _invokes(action: Any) -> bool:
    named = action if isinstance(action, list | tuple) else [action]
    return any(fnmatch.fnmatchcase(invoke, str(name).lower()) for name in named for invoke in _INVOKE)


def _resources(value: Any, functions: frozenset[str], note: Callable[[str], None]) -> Any:
    branches = single(value, "Fn::If")
    if isinstance(branches, list) and len(branches) == 3:
        return {"Fn::If": [branches[0], *(_resources(branch, functions, note) for branch in branches[1:])]}
    if isinstance(value, list | tuple):
        items = [_resources(item, functions, note) for item in value]
        flat = [part for item in items for part in (item if isinstance(item, list) else [item])]
        return [item for position, item in enumerate(flat) if item not in flat[:position]]
    pair = _all_qualifiers(value, functions)
    if pair is None:
        return value
    note(pair[0])
    return [value, pair[1]]


def _all_qualifiers(value: Any, functions: frozenset[str]) -> tuple[str, Any] | None:
    """The function whose bare ARN this is, and that ARN with any qualifier."""
    attribute = single(value, "Fn::GetAtt")
    parts = get_att(attribute) if attribute is not None else None
    if parts is not None:
        return (parts[0], {"Fn::Sub": f"${{{parts[0]}.Arn}}:*"}) if parts[0] in functions and parts[1] == "Arn" else None
    sub = single(value, "Fn::Sub")
    text = sub[0] if isinstance(sub, list) and len(sub) == 2 else sub
    if isinstance(text, str):
        own = sub[1] if isinstance(sub, list) and isinstance(sub[1], Mapping) else {}
        for function in sorted(functions):
            by_name = [function] + [key for key, item in own.items() if single(item, "Ref") == function]
            by_arn = [f"{function}.Arn"] + [key for key, item in own.items() if _is_arn(item, function)]
            ends = [f"function:${{{name}}}" for name in by_name] + [f"${{{name}}}" for name in by_arn]
            if any(text.endswith(end) for end in ends):
                return function, {"Fn::Sub": [f"{text}:*", own] if isinstance(sub, list) else f"{text}:*"}
        return None
    join = single(value, "Fn::Join")
    if isinstance(join, list) and len(join) == 2 and isinstance(join[1], list) and join[1]:
        last = join[1][-1]
        for function in sorted(functions):
            if single(last, "Ref") == function or _is_arn(last, function):
                ending = [":*"] if join[0] == "" else ["*"] if join[0] == ":" else None
                return (function, {"Fn::Join": [join[0], [*join[1], *ending]]}) if ending else None
    return None


def _is_arn(value: Any, function: str) -> bool:
    attribute = single(value, "Fn::GetAtt")
    return attribute is not None and get_att(attribute) == (function, "Arn")
