"""Functions that a trigger names by their written name, not by a reference: the same template with references there.

CloudFormation sees no connection there; a call would go to $LATEST unseen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagekeeper.domain.intrinsics import single
from stagekeeper.domain.split_model import Path
from stagekeeper.domain.split_triggers import FUNCTION, Trigger, matches, place, trigger_of

_ARN = (
    r"arn:(?:aws[a-z-]*|\$\{AWS::Partition\}):lambda:"
    r"(?:[a-z0-9-]+|\$\{AWS::Region\}):(?:[0-9]{12}|\$\{AWS::AccountId\}):function:"
)


def with_references(resources: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """The resources, in which a trigger's function is a reference where this template has a function of that name."""
    known: list[_Named] = []
    for logical_id, resource in sorted(resources.items()):
        properties = resource.get("Properties")
        if resource["Type"] == FUNCTION and isinstance(properties, Mapping) and "FunctionName" in properties:
            known.append(_Named(logical_id, properties["FunctionName"]))
    if not known:
        return dict(resources)
    return {logical_id: _resource(resource, known) for logical_id, resource in resources.items()}


@dataclass(frozen=True, slots=True)
class _Named:
    logical_id: str
    name: Any

    @property
    def text(self) -> str | None:
        """The name as it would stand in Fn::Sub."""
        if isinstance(self.name, str):
            return self.name.replace("${", "${!")
        sub = single(self.name, "Fn::Sub")
        return sub if isinstance(sub, str) else None

    def arn(self) -> re.Pattern[str] | None:
        return re.compile(_ARN + re.escape(self.text) + r"(?![A-Za-z0-9_$-])") if self.text else None


def _resource(resource: Mapping[str, Any], known: list[_Named]) -> Mapping[str, Any]:
    trigger = trigger_of(resource["Type"])
    properties = resource.get("Properties")
    if trigger is None or not isinstance(properties, Mapping):
        return resource
    patterns = [(named, named.arn()) for named in known]
    new = _value(properties, (), trigger, patterns)
    return resource if new == properties else {**resource, "Properties": new}


def _value(value: Any, path: Path, trigger: Trigger, known: list[tuple[_Named, re.Pattern[str] | None]]) -> Any:
    where = place(path)
    here = matches(trigger.places, where)
    if here and _is_whole(where, trigger):
        for named, _ in known:
            if value == named.name or (isinstance(value, Mapping) and json.dumps(value) == json.dumps(named.name)):
                return {"Ref": named.logical_id}
    sub = single(value, "Fn::Sub")
    if here and isinstance(sub, str):
        return {"Fn::Sub": _text(sub, known)}
    if here and isinstance(sub, list) and len(sub) == 2 and isinstance(sub[0], str):
        return {"Fn::Sub": [_text(sub[0], known), sub[1]]}
    if here and isinstance(value, str):
        escaped = value.replace("${", "${!")
        text = _text(escaped, known)
        return value if text == escaped else {"Fn::Sub": text}
    if isinstance(value, Mapping):
        return {key: _value(item, (*path, key), trigger, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_value(item, (*path, str(position)), trigger, known) for position, item in enumerate(value)]
    return value


def _is_whole(where: Path, trigger: Trigger) -> bool:
    """Whether the whole value at this place is a function; inside of a document only where a member says so."""
    return any("**" not in pattern and matches((pattern,), where) for pattern in trigger.places) or where[-1:] == (
        "FunctionName",
    )


def _text(text: str, known: list[tuple[_Named, re.Pattern[str] | None]]) -> str:
    for named, arn in known:
        if arn is not None:
            text = arn.sub(f"${{{named.logical_id}.Arn}}", text)
    return text
