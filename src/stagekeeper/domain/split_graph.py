"""What refers to what in a template, and what is wrong with that whatever its scopes: missing targets and cycles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stagekeeper.domain.intrinsics import (
    PSEUDO,
    Reference,
    condition_names,
    conditions_of_condition,
    depends_on,
    mapping_names,
    references,
)
from stagekeeper.domain.split_model import RESERVED, SLUG, STAGE, Expanded, Problem
from stagekeeper.domain.split_triggers import FUNCTION

# What differs between the stages' stacks without anybody's doing.
APART = frozenset({STAGE, SLUG, "AWS::StackName", "AWS::StackId"})


@dataclass(frozen=True, slots=True)
class Graph:
    """``uses``: every reference in a resource. ``edges``: the resources that it needs, by references and DependsOn, sorted."""

    expanded: Expanded
    resources: Mapping[str, Mapping[str, Any]]
    functions: frozenset[str]
    uses: Mapping[str, tuple[Reference, ...]]
    edges: Mapping[str, tuple[str, ...]]
    stage_conditions: frozenset[str]

    def kind(self, logical_id: str) -> str:
        return str(self.resources[logical_id]["Type"])

    def section(self, name: str) -> Mapping[str, Any]:
        return section(self.expanded.body, name)

    def users(self) -> dict[str, tuple[str, ...]]:
        """The edges the other way round."""
        found: dict[str, list[str]] = {logical_id: [] for logical_id in self.resources}
        for logical_id in sorted(self.resources):
            for target in self.edges[logical_id]:
                found[target].append(logical_id)
        return {logical_id: tuple(users) for logical_id, users in found.items()}

    def differs(self, value: Any) -> bool:
        """Whether a value says the stage's name, itself or by a condition."""
        return any(reference.target in (STAGE, SLUG) for reference in references(value)) or any(
            name in self.stage_conditions for name in conditions_of(value)
        )


def section(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = body.get(name)
    return found if isinstance(found, Mapping) else {}


def conditions_of(value: Any) -> Iterator[str]:
    """The conditions of a resource or an output, its own and those inside of it."""
    own = value.get("Condition") if isinstance(value, Mapping) else None
    if isinstance(own, str):
        yield own
    yield from condition_names(value)


def graph_of(expanded: Expanded, resources: Mapping[str, Mapping[str, Any]]) -> Graph:
    uses = {logical_id: tuple(references(_referring(resource))) for logical_id, resource in resources.items()}
    edges = {
        logical_id: tuple(sorted({*_targets(uses[logical_id]), *depends_on(resource)} & resources.keys()))
        for logical_id, resource in resources.items()
    }
    functions = frozenset(logical_id for logical_id, resource in resources.items() if resource["Type"] == FUNCTION)
    return Graph(expanded, resources, functions, uses, edges, _stage_conditions(section(expanded.body, "Conditions")))


def _referring(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key not in ("Type", "DependsOn", "Condition")}


def _targets(uses: tuple[Reference, ...]) -> set[str]:
    return {reference.target for reference in uses}


def _stage_conditions(conditions: Mapping[str, Any]) -> frozenset[str]:
    found = {
        name for name, value in conditions.items() if any(reference.target in (STAGE, SLUG) for reference in references(value))
    }
    while True:
        more = {
            name
            for name, value in conditions.items()
            if name not in found and any(c in found for c in conditions_of_condition(value))
        }
        if not more:
            return frozenset(found)
        found |= more


# --- what is wrong whatever the scopes


def missing(graph: Graph) -> Iterator[Problem]:
    """References to what the template does not have."""
    body = graph.expanded.body
    parameters = section(body, "Parameters").keys() | set(RESERVED)
    conditions = section(body, "Conditions")
    mappings = section(body, "Mappings")
    for logical_id, resource in graph.resources.items():
        for reference in graph.uses[logical_id]:
            if not _is_there(reference, graph, parameters):
                yield _no(graph, logical_id, f"refers to {_written(reference)}", reference.path)
        for name in depends_on(resource):
            if name not in graph.resources:
                yield _no(graph, logical_id, f"depends on {name}", ("DependsOn",))
        for name in conditions_of(resource):
            if name not in conditions:
                yield _no(graph, logical_id, f"tests the condition {name}", ("Condition",))
        for mapping in mapping_names(resource):
            if mapping is not None and mapping not in mappings:
                yield _no(graph, logical_id, f"looks into the mapping {mapping}", ())
    for name, output in section(body, "Outputs").items():
        line = graph.expanded.lines.get(("Outputs", name))
        for reference in references(output):
            if not _is_there(reference, graph, parameters):
                yield Problem(_sentence(f"The output {name}", f"refers to {_written(reference)}"), None, line)
        for condition in conditions_of(output):
            if condition not in conditions:
                yield Problem(_sentence(f"The output {name}", f"tests the condition {condition}"), None, line)
    for name, condition in conditions.items():
        line = graph.expanded.lines.get(("Conditions", name))
        for reference in references(condition):
            if reference.target not in parameters and reference.target not in PSEUDO:
                yield Problem(_sentence(f"The condition {name}", f"refers to {_written(reference)}"), None, line)
        for other in conditions_of_condition(condition):
            if other not in conditions:
                yield Problem(_sentence(f"The condition {name}", f"tests the condition {other}"), None, line)


def _is_there(reference: Reference, graph: Graph, parameters: set[str]) -> bool:
    if reference.target in graph.resources:
        return True
    return reference.attribute is None and (reference.target in parameters or reference.target in PSEUDO)


def _written(reference: Reference) -> str:
    return reference.target if reference.attribute is None else f"{reference.target}.{reference.attribute}"


def _no(graph: Graph, logical_id: str, what: str, path: tuple[str, ...]) -> Problem:
    line = graph.expanded.line(logical_id, *path)
    return Problem(_sentence(logical_id, what), graph.expanded.origin(logical_id), line)


def _sentence(who: str, what: str) -> str:
    return f"{who} {what}, which the template does not have. Check the spelling, or declare it."


def cycle(graph: Graph) -> Problem | None:
    """The first circle of resources that need one another; CloudFormation can make none of them."""
    done: set[str] = set()
    for start in sorted(graph.resources):
        if start in done:
            continue
        way: list[str] = [start]
        ahead = [iter(graph.edges[start])]
        while way:
            following = next(ahead[-1], None)
            if following is None:
                done.add(way.pop())
                ahead.pop()
            elif following in way:
                return _circle(graph, way[way.index(following) :])
            elif following not in done:
                way.append(following)
                ahead.append(iter(graph.edges[following]))
    return None


def _circle(graph: Graph, members: list[str]) -> Problem:
    first = members[0]
    named = " → ".join(named_with_line(graph.expanded, member) for member in [*members, first])
    sentence = (
        f"These resources need one another in a circle, so none can be made first: {named}. Take one of the references out."
    )
    return Problem(sentence, graph.expanded.origin(first), graph.expanded.line(first))


def named_with_line(expanded: Expanded, logical_id: str) -> str:
    line = expanded.line(logical_id)
    origin = expanded.origin(logical_id)
    made = f"made for {origin}, " if origin != logical_id else ""
    return f"{logical_id} ({made}line {line})" if line else logical_id
