"""Both halves of a split put together again, and compared with the template they were made of.

It computes values by itself, with made-up answers for what only AWS knows, so that it does not lean on what it judges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from stagekeeper.domain.split_model import (
    SERVICE,
    SLUG,
    STAGE,
    AliasArn,
    Expanded,
    FunctionArn,
    FunctionName,
    Output,
    Split,
    Template,
)
from stagekeeper.domain.split_names import NAMES

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::URLSuffix": "amazonaws.com",
}
_FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:"
_LAMBDA = "AWS::Lambda::Function"


def dangling(half: Template) -> list[str]:
    """References of a half to what it does not have."""
    resources = half["Resources"]
    known = {*resources, *half.get("Parameters", {})}
    found = [
        f"{where} → {target}"
        for where, target, is_resource in _targets(half)
        if target not in (resources if is_resource else known) and not target.startswith("AWS::")
    ]
    conditions = half.get("Conditions", {})
    for name, resource in [*resources.items(), *half.get("Outputs", {}).items()]:
        tested = [resource["Condition"]] if isinstance(resource.get("Condition"), str) else []
        tested += [arguments[0] for arguments in _intrinsics(resource, "Fn::If")]
        found += [f"{name} → condition {condition}" for condition in tested if condition not in conditions]
        found += [
            f"{name} → mapping {arguments[0]}"
            for arguments in _intrinsics(resource, "Fn::FindInMap")
            if isinstance(arguments[0], str) and arguments[0] not in half.get("Mappings", {})
        ]
    found += [f"condition → {name}" for name in _intrinsics(conditions, "Condition") if name not in conditions]
    return found


def lost(expanded: Expanded, split: Split) -> list[str]:
    """Resources, sections and values of the template that are in no half, in both, or another in it than it may be."""
    body = expanded.body
    stage: Template = split.stage or {"Resources": {}}
    found = [f"{name} is in both" for name in split.service["Resources"].keys() & stage["Resources"].keys()]
    for section in ("Resources", "Parameters", "Mappings", "Conditions", "Rules", "Outputs"):
        have = {**split.service.get(section, {}), **stage.get(section, {})}
        added = _added(split) if section in ("Parameters", "Outputs") else set()
        found += [f"{section}: {name} is gone" for name in body.get(section, {}).keys() - have.keys() - _only_stages(body, split)]
        found += [f"{section}: {name} is new" for name in have.keys() - body.get(section, {}).keys() - added]
        if section in ("Parameters", "Mappings", "Conditions", "Rules"):
            found += [
                f"{section}: {name} differs" for name, value in body.get(section, {}).items() if have.get(name, value) != value
            ]
    before = Values(body["Resources"], {})
    names = {before.physical(name): name for name, resource in body["Resources"].items() if resource["Type"] == _LAMBDA}
    service = Values(split.service["Resources"], {})
    own = Values(stage["Resources"], _filled(split, service))
    for name, resource in body["Resources"].items():
        half, value = (own, stage["Resources"]) if name in stage["Resources"] else (service, split.service["Resources"])
        if name not in value:
            continue
        old, new = _plain(resource, before, names), _plain(value[name], half, names)
        if old != new:
            found.append(f"{name} differs:\n  {old}\n  {new}")
        found += _dependencies(name, resource, value[name], set(value))
    return found


def unqualified(split: Split) -> list[str]:
    """What in the stage half would still call a function's $LATEST, judged by the text that CloudFormation would make of it."""
    if split.stage is None:
        return []
    service = Values(split.service["Resources"], {})
    functions = {service.physical(name) for name in split.functions}
    values = Values(split.stage["Resources"], _filled(split, service))
    bare = re.compile(re.escape(_FUNCTION) + r"([A-Za-z0-9-]+)(?!:prod)(?![A-Za-z0-9-])")
    found: list[str] = []
    for name, resource in split.stage["Resources"].items():
        if resource["Type"].startswith("AWS::IAM::"):
            continue
        properties = dict(resource.get("Properties", {}))
        qualified = properties.get("Qualifier") == {"Ref": STAGE}
        for member in ("SourceArn", "Description"):
            properties.pop(member, None)
        text = str(values.of(properties))
        if bare.search(text) and not qualified:
            found.append(f"{name}: {text}")
        if resource["Type"] in ("AWS::Lambda::Permission", "AWS::Lambda::EventSourceMapping"):
            called = values.of(properties["FunctionName"])
            if isinstance(called, str) and called in functions:
                found.append(f"{name}: {called}")
    return found


# --- values


class Values:
    """What intrinsics come to in one template. ``parameters`` have values, or stand for themselves."""

    def __init__(self, resources: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self._resources = resources
        self._parameters = {**PSEUDO, STAGE: "prod", SLUG: "prod", **parameters}

    def of(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            if name == "Ref":
                return self._ref(argument)
            if name == "Fn::GetAtt":
                return self._att(*(argument if isinstance(argument, list) else argument.split(".", 1)))
            if name == "Fn::Sub":
                return self._sub(argument)
            if name == "Fn::Join":
                items = self.of(argument[1])
                if isinstance(items, list) and all(isinstance(item, str) for item in items):
                    return argument[0].join(items)
                return {"join": [argument[0], items]}
        return {key: self.of(item) for key, item in value.items()}

    def _ref(self, name: str) -> Any:
        if name in self._parameters:
            return self._parameters[name]
        return self.physical(name) if self._is_function(name) else f"<{name}>"

    def _att(self, name: str, attribute: str) -> str:
        if self._is_function(name) and attribute == "Arn":
            return f"{_FUNCTION}{self.physical(name)}"
        return f"<{name}.{attribute}>"

    def physical(self, function: str) -> str:
        """The name that the function would get."""
        written = self._resources[function].get("Properties", {}).get("FunctionName")
        return written if isinstance(written, str) else f"{function}-physical"

    def _is_function(self, name: str) -> bool:
        return name in self._resources and self._resources[name]["Type"] == _LAMBDA

    def _sub(self, argument: Any) -> Any:
        text, own = argument if isinstance(argument, list) else (argument, {})

        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in own:
                return str(self.of(own[name]))
            return str(self._att(*name.split(".", 1)) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]*)\}", value, text)


def _filled(split: Split, service: Values) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for crossing in split.crossings:
        match crossing:
            case AliasArn(parameter, function):
                filled[parameter] = f"{_FUNCTION}{service.physical(function)}:prod"
            case FunctionArn(parameter, function):
                filled[parameter] = f"{_FUNCTION}{service.physical(function)}"
            case FunctionName(parameter, function):
                filled[parameter] = service.physical(function)
            case Output(parameter, output):
                value = service.of(split.service["Outputs"][output]["Value"])
                filled[parameter] = value["join"][1] if isinstance(value, dict) else value
    return filled


def _plain(resource: Mapping[str, Any], values: Values, functions: Mapping[str, str]) -> Any:
    """A resource without what the split may change: how a function is named, its own name, what it depends on."""
    kept = {key: value for key, value in resource.items() if key != "DependsOn"}
    properties = kept.get("Properties")
    if isinstance(properties, dict):
        properties = dict(properties)
        if resource["Type"] in ("AWS::Lambda::Url", "AWS::Lambda::EventInvokeConfig"):
            properties.pop("Qualifier", None)
        name = NAMES.get(resource["Type"])
        if name is not None:
            properties.pop(name.member.split(".")[0], None)
        kept["Properties"] = _narrowed(values.of(properties))
    return _anonymous(values.of(kept), functions)


def _anonymous(value: Any, functions: Mapping[str, str]) -> Any:
    """With one word for a function, however it is named. ``functions``: by the name that each would get."""
    if isinstance(value, str):
        for name, logical_id in functions.items():
            arn = rf"({re.escape(_FUNCTION)}{re.escape(name)}(:prod)?|(?<![A-Za-z0-9]){re.escape(name)}(:prod)?(?![A-Za-z0-9-]))"
            value = re.sub(arn, f"function {logical_id}", value)
        return value
    if isinstance(value, dict):
        return {key: _anonymous(item, functions) for key, item in value.items()}
    return [_anonymous(item, functions) for item in value] if isinstance(value, list) else value


def _narrowed(value: Any) -> Any:
    """Policies without the ARNs with ``:*`` that stand beside the bare ones."""
    if isinstance(value, dict):
        new = {key: _narrowed(item) for key, item in value.items()}
        if "Effect" in new and "Resource" in new:
            new["Resource"] = _resources(new["Resource"])
        return new
    return [_narrowed(item) for item in value] if isinstance(value, list) else value


def _resources(value: Any) -> Any:
    if isinstance(value, dict) and "Fn::If" in value:
        condition, *branches = value["Fn::If"]
        return {"Fn::If": [condition, *(_resources(branch) for branch in branches)]}
    if isinstance(value, list):
        found: list[Any] = []
        for item in map(_resources, value):
            if item not in found and not (isinstance(item, str) and item.endswith(":*")):
                found.append(item)
        return found[0] if len(found) == 1 else found
    return value


def _dependencies(name: str, old: Mapping[str, Any], new: Mapping[str, Any], half: set[str]) -> Iterator[str]:
    def listed(resource: Mapping[str, Any]) -> list[str]:
        named = resource.get("DependsOn", [])
        return [named] if isinstance(named, str) else list(named)

    if listed(new) != [other for other in listed(old) if other in half]:
        yield f"{name} depends on {listed(new)}, it was {listed(old)}"


def _added(split: Split) -> set[str]:
    names = {STAGE, SERVICE, SLUG}
    for crossing in split.crossings:
        names.add(crossing.parameter)
        if isinstance(crossing, Output):
            names.add(crossing.output)
    return names


def _only_stages(body: Template, split: Split) -> set[str]:
    """What a service without anything of the stage's has nobody to fill for."""
    if split.stage is not None:
        return {STAGE, SLUG} - set(split.stage.get("Parameters", {}))
    conditions = {name for name, value in body.get("Conditions", {}).items() if STAGE in str(value) or SLUG in str(value)}
    return {STAGE, SLUG, *conditions}


# --- references


def _targets(value: Any, where: str = "") -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, list):
        for item in value:
            yield from _targets(item, where)
    if not isinstance(value, dict):
        return
    if len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref":
            yield where, argument, False
        if name == "Fn::GetAtt":
            yield where, argument[0] if isinstance(argument, list) else argument.split(".")[0], True
        if name == "Fn::Sub":
            text, own = argument if isinstance(argument, list) else (argument, {})
            for variable in re.findall(r"\$\{([^!}][^}]*)\}", text):
                if variable not in own:
                    yield where, variable.split(".")[0], "." in variable
    for key, item in value.items():
        if key == "DependsOn":
            for other in [item] if isinstance(item, str) else item:
                yield where, other, True
        yield from _targets(item, f"{where}.{key}" if where.count(".") < 2 else where)


def _intrinsics(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _intrinsics(item, name)
    if isinstance(value, dict):
        if len(value) == 1 and name in value:
            yield value[name]
        for item in value.values():
            yield from _intrinsics(item, name)
