"""One template to two: what all stages share, and what each stage has of its own. Pure; refuses what would end on $LATEST.

The order: what is wrong whatever the scopes; whose each resource is (split_scope); names that stages would quarrel over
(split_names); permissions (split_policies); then the halves and what crosses between them (split_halves).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from stagekeeper.domain.intrinsics import references
from stagekeeper.domain.model import LogicalName
from stagekeeper.domain.split_aliases import alias_problems
from stagekeeper.domain.split_convention import by_convention
from stagekeeper.domain.split_graph import APART, Graph, cycle, graph_of, missing, section
from stagekeeper.domain.split_halves import Cut, Parts, half, head, needed, of_stage, rest
from stagekeeper.domain.split_literals import with_references
from stagekeeper.domain.split_model import (
    SERVICE,
    SLUG,
    STAGE,
    Expanded,
    Kind,
    Problem,
    Report,
    ReportLine,
    Split,
    Unsplittable,
)
from stagekeeper.domain.split_names import FIXED, NAMES, Name, likely_names, member, renamed, renamed_fifo, with_member
from stagekeeper.domain.split_policies import widened
from stagekeeper.domain.split_scope import Scopes, scopes_of

# CloudFormation's, per template.
MOST = {"Parameters": 200, "Outputs": 200, "Resources": 500, "Mappings": 200}
MOST_BYTES = 1_000_000


def split(expanded: Expanded) -> Split | Unsplittable:
    """Both halves and all that there is to say about them, or everything that is wrong with the template."""
    resources = section(expanded.body, "Resources")
    owned = alias_problems(expanded.body, expanded.lines)
    if owned:
        return Unsplittable(owned)
    written = graph_of(expanded, resources)
    wrong = tuple(missing(written))
    if not wrong and (circle := cycle(written)) is not None:
        wrong = (circle,)
    if wrong:
        return Unsplittable(wrong)
    graph = graph_of(expanded, with_references(resources))
    scopes = scopes_of(graph)
    if scopes.problems:
        return Unsplittable(_ordered(scopes.problems))
    allowed = {logical_id: _widened(logical_id, resource, graph, scopes) for logical_id, resource in graph.resources.items()}
    return _cut(graph_of(expanded, allowed), scopes)


def _cut(graph: Graph, scopes: Scopes) -> Split | Unsplittable:
    body = graph.expanded.body
    stage_outputs = [name for name, value in section(body, "Outputs").items() if _is_stages(value, graph, scopes)]
    for name, value in section(body, "Outputs").items():
        _bare_output(name, value, graph, scopes)
    cut = Cut(graph, scopes.stage, stage_outputs)
    own = {logical_id: cut.resource(logical_id) for logical_id in graph.resources if logical_id in scopes.stage}
    own = {logical_id: _named(logical_id, resource, graph, scopes) for logical_id, resource in own.items()}
    shared = {logical_id: resource for logical_id, resource in graph.resources.items() if logical_id not in scopes.stage}
    outputs = section(body, "Outputs")
    stage = _stage_half(
        graph, own, {name: _exported(name, cut.output(outputs[name]), graph, scopes) for name in stage_outputs}, cut
    )
    kept = {name: value for name, value in outputs.items() if name not in stage_outputs}
    service = _service_half(graph, shared, {**kept, **cut.outputs()}, stage)
    scopes.lines.extend(by_convention(graph, frozenset(own)))
    problems = (*scopes.problems, *_too_large("service", service, graph), *_too_large("stage", stage, graph))
    if problems:
        return Unsplittable(_ordered(problems))
    return Split(
        service,
        stage,
        tuple(LogicalName(name) for name in sorted(graph.functions)),
        cut.crossings(),
        Report(tuple(sorted(set(scopes.lines), key=_line_order)), tuple(sorted(scopes.contested))),
    )


def _ordered(problems: tuple[Problem, ...] | list[Problem]) -> tuple[Problem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.logical_id or "", problem.sentence)))


def _line_order(line: ReportLine) -> tuple[str, str, str]:
    return line.logical_id, line.kind, line.sentence


# --- outputs


def _is_stages(output: Any, graph: Graph, scopes: Scopes) -> bool:
    return graph.differs(output) or any(reference.target in scopes.stage for reference in references(output))


def _bare_output(name: str, output: Any, graph: Graph, scopes: Scopes) -> None:
    named = sorted({reference.target for reference in references(output) if reference.target in graph.functions})
    if named:
        sentence = (
            f"The output {name} gives {', '.join(named)} without an alias; whoever calls that reaches $LATEST. Append :<stage>."
        )
        scopes.say(name, Kind.CANNOT_FOLLOW, sentence)


def _exported(name: str, output: dict[str, Any], graph: Graph, scopes: Scopes) -> dict[str, Any]:
    export = output.get("Export")
    if not isinstance(export, Mapping) or "Name" not in export:
        return output
    new = renamed(Name("Name"), export["Name"], lambda value: _is_apart(value, graph, scopes))
    if new is None:
        return output
    scopes.say(name, Kind.RENAMED, f"The export of the output {name} gets the stage's name at its end.")
    return {**output, "Export": {**export, "Name": new}}


# --- names and permissions


def _is_apart(value: Any, graph: Graph, scopes: Scopes) -> bool:
    """Whether a value differs between stages: by the stage's name, or by what a stage has of its own."""
    return graph.differs(value) or any(
        reference.target in APART or reference.target in scopes.stage for reference in references(value)
    )


def _named(logical_id: str, resource: dict[str, Any], graph: Graph, scopes: Scopes) -> dict[str, Any]:
    kind = graph.kind(logical_id)
    properties = resource.get("Properties")
    if not isinstance(properties, Mapping):
        return resource
    if kind in FIXED:
        _fixed(logical_id, properties, graph, scopes)
    for likely in likely_names(kind, resource):
        if not _is_apart(properties[likely], graph, scopes):
            sentence = f"{logical_id} ({kind}) has the same {likely} in each stage. If it must be unique, put ${{{STAGE}}} in it."
            scopes.say(logical_id, Kind.NAMED, sentence)
    name = NAMES.get(kind)
    old = member(properties, name.member) if name else None
    if name is None or old is None:
        return resource
    change = renamed_fifo if name.fifo and _is_fifo(properties) else renamed
    new = change(name, old, lambda value: _is_apart(value, graph, scopes))
    if new is None:
        return resource
    scopes.say(logical_id, Kind.RENAMED, f"The {name.member} of {logical_id} gets the stage's name at its end.")
    return {**resource, "Properties": with_member(properties, name.member, new)}


def _is_fifo(properties: Mapping[str, Any]) -> bool:
    return any(str(properties.get(flag, False)).lower() == "true" for flag in ("FifoQueue", "FifoTopic"))


def _fixed(logical_id: str, properties: Mapping[str, Any], graph: Graph, scopes: Scopes) -> None:
    """A name that nobody can make up: it differs per stage already, or may by a parameter, or it is refused."""
    kind = graph.kind(logical_id)
    values = [properties[name] for name in FIXED[kind] if name in properties]
    if any(_is_apart(value, graph, scopes) for value in values):
        return
    members = " or ".join(FIXED[kind])
    parameters = section(graph.expanded.body, "Parameters")
    chosen = sorted({reference.target for value in values for reference in references(value)} & parameters.keys())
    if chosen:
        sentence = (
            f"{logical_id} takes its {members} from {', '.join(chosen)}: give each stage a value of its own, or they collide."
        )
        scopes.say(logical_id, Kind.NAMED, sentence)
        return
    expanded = graph.expanded
    sentence = (
        f"{expanded.origin(logical_id)}: the {members} of {logical_id} ({kind}) would be the same in each stage, "
        f"and no other can be made up. "
        f"Put ${{{STAGE}}} in it, or take it from a parameter with a value of its own for each stage."
    )
    scopes.problems.append(
        Problem(sentence, expanded.origin(logical_id), expanded.line(logical_id, "Properties", FIXED[kind][0]))
    )


def _widened(logical_id: str, resource: Mapping[str, Any], graph: Graph, scopes: Scopes) -> Mapping[str, Any]:
    new, functions = widened(resource, graph.functions)
    if functions:
        sentence = f"{logical_id} may invoke {', '.join(functions)}: ARN:* is added beside the ARN, which calls of an alias need."
        scopes.say(logical_id, Kind.WIDENED, sentence)
    return new


# --- the halves


def _stage_half(graph: Graph, resources: Mapping[str, Any], outputs: Mapping[str, Any], cut: Cut) -> dict[str, Any] | None:
    if not resources and not outputs:
        return None
    body, only = graph.expanded.body, of_stage(graph)
    parts = needed(body, resources, outputs, also=Parts(conditions=only.conditions, rules=only.rules))
    return {**head(body), **half(body, resources, outputs, parts, {**_reserved(), **cut.parameters()})}


def _service_half(
    graph: Graph, resources: Mapping[str, Any], outputs: Mapping[str, Any], stage: Mapping[str, Any] | None
) -> dict[str, Any]:
    body = graph.expanded.body
    only = of_stage(graph)
    unused = Parts.of(body).without(Parts.of(stage or {})).without(only)
    parts = needed(body, resources, outputs, also=unused, without=only)
    return {**rest(body), **half(body, resources, outputs, parts, _reserved())}


def _reserved() -> dict[str, Any]:
    return {name: {"Type": "String"} for name in (STAGE, SERVICE, SLUG)}


def _too_large(which: str, template: Mapping[str, Any] | None, graph: Graph) -> Iterator[Problem]:
    if template is None:
        return
    for part, most in MOST.items():
        count = len(section(template, part))
        if count > most:
            sentence = (
                f"The {which} stack would have {count} {part}, and CloudFormation takes {most}. Split the service in two, "
                "or let fewer of the stage's resources refer to shared ones."
            )
            yield Problem(sentence, None, graph.expanded.lines.get((part,)))
    size = len(json.dumps(template, separators=(",", ":")).encode())
    if size > MOST_BYTES:
        yield Problem(
            f"The {which} stack's template would have {size:,} bytes, and CloudFormation takes {MOST_BYTES:,}. Split the service."
        )
