"""The two templates, once it is known whose each resource is: what crosses the cut, and what of the other sections goes along."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stagekeeper.domain.intrinsics import (
    Reference,
    conditions_of_condition,
    depends_on,
    mapping_names,
    references,
    rewritten,
)
from stagekeeper.domain.model import LogicalName
from stagekeeper.domain.split_calls import Meaning, meaning
from stagekeeper.domain.split_graph import Graph, conditions_of, section
from stagekeeper.domain.split_model import SERVICE, SLUG, STAGE, AliasArn, Crossing, FunctionArn, FunctionName, Output
from stagekeeper.domain.split_triggers import trigger_of

# Attributes that are lists; a stack's output is a string.
_LISTS = frozenset(
    {
        ("AWS::EC2::Subnet", "Ipv6CidrBlocks"),
        ("AWS::EC2::VPC", "CidrBlockAssociations"),
        ("AWS::EC2::VPC", "Ipv6CidrBlocks"),
        ("AWS::EC2::VPCEndpoint", "DnsEntries"),
        ("AWS::EC2::VPCEndpoint", "NetworkInterfaceIds"),
        ("AWS::ElasticLoadBalancingV2::LoadBalancer", "SecurityGroups"),
        ("AWS::ElasticLoadBalancingV2::TargetGroup", "LoadBalancerArns"),
        ("AWS::Route53::HostedZone", "NameServers"),
    }
)

_SECTIONS = ("Parameters", "Mappings", "Conditions", "Rules", "Resources", "Outputs")


@dataclass(frozen=True, slots=True, order=True)
class _Key:
    """What crosses: an attribute of a shared resource, or a function in one of three ways."""

    target: str
    what: str  # alias, arn, name; else att
    attribute: str = ""  # of att; empty for Ref


class Cut:
    """Rewrites what the stage half says about shared resources, and keeps the list of what that needs."""

    def __init__(self, graph: Graph, stage: Iterable[str], stage_outputs: Iterable[str]) -> None:
        self._graph = graph
        self._stage = frozenset(stage)
        keys = {key for logical_id in self._stage for key in self._keys(graph.kind(logical_id), graph.uses[logical_id])}
        outputs = section(graph.expanded.body, "Outputs")
        for name in stage_outputs:
            keys |= set(self._keys("", tuple(references(outputs[name]))))
        self._names = self._named(sorted(keys))

    def _keys(self, kind: str, uses: tuple[Reference, ...]) -> Iterator[_Key]:
        for reference in uses:
            key = self._key(kind, reference)
            if key is not None:
                yield key

    def _key(self, kind: str, reference: Reference) -> _Key | None:
        if reference.target not in self._graph.resources or reference.target in self._stage:
            return None
        if reference.target not in self._graph.functions or reference.attribute not in (None, "Arn"):
            return _Key(reference.target, "att", reference.attribute or "")
        match meaning(kind, reference):
            case Meaning.ALIAS | Meaning.ASSUMED:
                return _Key(reference.target, "alias")
            case _:
                return _Key(reference.target, "name" if reference.attribute is None else "arn")

    def _named(self, keys: list[_Key]) -> dict[_Key, str]:
        body = self._graph.expanded.body
        taken = {name for part in ("Parameters", "Resources", "Outputs") for name in section(body, part)} | {STAGE, SERVICE, SLUG}
        names: dict[_Key, str] = {}
        for key in keys:
            ending = {"alias": "Alias", "arn": "Arn", "name": "Name"}.get(key.what) or re.sub(r"[^A-Za-z0-9]", "", key.attribute)
            base = f"Stagekeeper{key.target}{ending}"
            name, count = base, 2
            while name in taken:
                name, count = f"{base}{count}", count + 1
            taken.add(name)
            names[key] = name
        return names

    def resource(self, logical_id: str) -> dict[str, Any]:
        """A stage's resource without anything that only the service stack has."""
        resource = self._graph.resources[logical_id]
        kind = self._graph.kind(logical_id)
        beside: list[bool] = []

        def instead(reference: Reference) -> str | None:
            key = self._key(kind, reference)
            if key is None:
                return None
            parameter = f"${{{self._names[key]}}}"
            if reference.target in self._graph.functions and reference.attribute in (None, "Arn"):
                match meaning(kind, reference):
                    case Meaning.NAMED | Meaning.ASSUMED_NAMED:
                        return f"{parameter}:${{{STAGE}}}"
                    case Meaning.BESIDE:
                        beside.append(True)
                    case _:
                        pass
            return parameter

        result = {
            key: value if key in ("Type", "DependsOn", "Condition") else rewritten(value, instead, (key,))
            for key, value in resource.items()
        }
        trigger = trigger_of(kind)
        if beside and trigger is not None and trigger.qualifier is not None:
            result["Properties"] = {**result["Properties"], trigger.qualifier: {"Ref": STAGE}}
        if "DependsOn" in resource:
            kept = [name for name in depends_on(resource) if name in self._stage]
            del result["DependsOn"]
            if kept:
                result["DependsOn"] = kept[0] if isinstance(resource["DependsOn"], str) else kept
        return result

    def output(self, value: Mapping[str, Any]) -> dict[str, Any]:
        def instead(reference: Reference) -> str | None:
            key = self._key("", reference)
            return None if key is None else f"${{{self._names[key]}}}"

        result: dict[str, Any] = rewritten(value, instead)
        return result

    def crossings(self) -> tuple[Crossing, ...]:
        return tuple(self._crossing(key, name) for key, name in sorted(self._names.items()))

    def _crossing(self, key: _Key, name: str) -> Crossing:
        match key.what:
            case "alias":
                return AliasArn(name, LogicalName(key.target))
            case "arn":
                return FunctionArn(name, LogicalName(key.target))
            case "name":
                return FunctionName(name, LogicalName(key.target))
            case _:
                return Output(name, name)

    def parameters(self) -> dict[str, Any]:
        """Those of the stage half that the control plane fills from the service stack."""
        found: dict[str, Any] = {}
        for key, name in self._names.items():
            declared: dict[str, Any] = {"Type": "CommaDelimitedList" if self._is_list(key) else "String"}
            if "Condition" in self._graph.resources[key.target]:
                # It may not be there; what refers to it then stands under the same condition.
                declared["Default"] = ""
            found[name] = declared
        return found

    def outputs(self) -> dict[str, Any]:
        """Those of the service half that fill them."""
        found: dict[str, Any] = {}
        for key, name in self._names.items():
            if key.what != "att":
                continue
            value: Any = {"Fn::GetAtt": [key.target, key.attribute]} if key.attribute else {"Ref": key.target}
            if self._is_list(key):
                value = {"Fn::Join": [",", value]}
            found[name] = {"Value": value}
            condition = self._graph.resources[key.target].get("Condition")
            if condition is not None:
                found[name]["Condition"] = condition
        return found

    def _is_list(self, key: _Key) -> bool:
        return (self._graph.kind(key.target), key.attribute) in _LISTS


# --- the other sections


@dataclass(frozen=True, slots=True)
class Parts:
    """Names in the sections that say how a template is to be filled."""

    parameters: frozenset[str] = frozenset()
    mappings: frozenset[str] = frozenset()
    conditions: frozenset[str] = frozenset()
    rules: frozenset[str] = frozenset()

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Parts:
        parts = ("Parameters", "Mappings", "Conditions", "Rules")
        return cls(*(frozenset(section(body, part)) for part in parts))

    def without(self, other: Parts) -> Parts:
        return Parts(
            self.parameters - other.parameters,
            self.mappings - other.mappings,
            self.conditions - other.conditions,
            self.rules - other.rules,
        )


def of_stage(graph: Graph) -> Parts:
    """What only a stage can fill: it tests, or is, the stage's name."""
    rules = section(graph.expanded.body, "Rules")
    apart = (name for name, rule in rules.items() if any(reference.target in (STAGE, SLUG) for reference in references(rule)))
    return Parts(frozenset((STAGE, SLUG)), frozenset(), graph.stage_conditions, frozenset(apart))


def needed(
    body: Mapping[str, Any],
    resources: Mapping[str, Any],
    outputs: Mapping[str, Any],
    also: Parts = Parts(),
    without: Parts = Parts(),
) -> Parts:
    """All that resources and outputs need of the other sections, beside what is wanted ``also``, with what that needs in turn."""
    conditions = section(body, "Conditions")
    rules = {name: rule for name, rule in section(body, "Rules").items() if name not in without.rules}
    things = [*resources.values(), *outputs.values()]
    tested = _closure({*(name for value in things for name in conditions_of(value)), *also.conditions}, conditions)
    things += [conditions[name] for name in sorted(tested)]
    parameters = {reference.target for value in things for reference in references(value)} | also.parameters
    chosen: set[str] = set()
    while True:
        more = {
            name for name, rule in rules.items() if name not in chosen and (name in also.rules or parameters & _parameters(rule))
        }
        if not more:
            break
        chosen |= more
        parameters |= {name for rule in more for name in _parameters(rules[rule])}
    mapped = [name for value in (*things, *(rules[name] for name in chosen)) for name in mapping_names(value)]
    mappings = section(body, "Mappings").keys() if None in mapped else {name for name in mapped if name is not None}
    return Parts(frozenset(parameters), frozenset(mappings | also.mappings), frozenset(tested), frozenset(chosen))


def half(
    body: Mapping[str, Any], resources: Mapping[str, Any], outputs: Mapping[str, Any], parts: Parts, added: Mapping[str, Any]
) -> dict[str, Any]:
    """A template of these. ``added``: parameters that the user's template does not declare; those that are needed are taken."""
    declared = {**added, **section(body, "Parameters")}
    chosen = {
        "Parameters": {name: value for name, value in declared.items() if name in parts.parameters},
        "Mappings": {name: value for name, value in section(body, "Mappings").items() if name in parts.mappings},
        "Conditions": {name: value for name, value in section(body, "Conditions").items() if name in parts.conditions},
        "Rules": {name: value for name, value in section(body, "Rules").items() if name in parts.rules},
        "Resources": dict(resources),
        "Outputs": dict(outputs),
    }
    return {name: value for name, value in chosen.items() if value}


def rest(body: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of the template as a whole."""
    return {key: value for key, value in body.items() if key not in (*_SECTIONS, "Transform")}


def head(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key == "AWSTemplateFormatVersion"}


def _parameters(rule: Any) -> set[str]:
    return {reference.target for reference in references(rule)}


def _closure(names: set[str], conditions: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = sorted(names)
    while waiting:
        name = waiting.pop()
        if name not in found and name in conditions:
            found.add(name)
            waiting.extend(conditions_of_condition(conditions[name]))
    return found
