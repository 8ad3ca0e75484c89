"""The service stack's template: what the newest release declares, and what other stages' releases still declare besides.

Pure and deterministic: the order of the others does not matter. Must not know which stage deploys, nor what CloudFormation has.

Where definitions of one resource differ, the newest wins, and it is said. What a kept resource refers to comes with it; a
Parameter, Mapping or Condition whose name means something else in the newest release comes under a name of its own.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from stagekeeper.domain.model import StageName

Template = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Declared:
    """What one release declares for all stages: its half of the template, the values of its parameters, and who serves it.

    ``release`` tells which of two that differ is the newer one.
    """

    template: Template
    stages: tuple[StageName, ...]
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    release: int = 0


@dataclass(frozen=True, slots=True)
class Union:
    """``kept``: what only others declare. ``differing``: of what is there, the stages whose release says otherwise. ``needed``:
    everything that others declare. Each by logical id, with the stages by name."""

    template: Template
    parameters: Mapping[str, str] = field(repr=False)
    kept: Mapping[str, tuple[StageName, ...]]
    differing: Mapping[str, tuple[StageName, ...]]
    needed: Mapping[str, tuple[StageName, ...]]


def union(newest: Declared, others: Sequence[Declared]) -> Union:
    """One template for all. Of a resource that only others declare, the newest of their definitions counts."""
    ranked = sorted(others, key=lambda each: (-each.release, _canonical([each.template, dict(each.parameters), each.stages])))
    own = _section(newest.template, "Resources")
    source = {logical_id: each for each in reversed(ranked) for logical_id in _section(each.template, "Resources")}
    kept = {logical_id: each for logical_id, each in source.items() if logical_id not in own}
    merge = _Merge(newest, frozenset(kept))
    for each in ranked:
        merge.keep(each, sorted(logical_id for logical_id, chosen in kept.items() if chosen is each))
    chosen = {**{logical_id: chosen.template for logical_id, chosen in kept.items()}, **dict.fromkeys(own, newest.template)}

    needed: dict[str, set[StageName]] = {}
    differing: dict[str, set[StageName]] = {}
    for each in ranked:
        for logical_id, resource in _section(each.template, "Resources").items():
            needed.setdefault(logical_id, set()).update(each.stages)
            if resource != _section(chosen[logical_id], "Resources")[logical_id]:
                differing.setdefault(logical_id, set()).update(each.stages)
    return Union(
        template=merge.template(),
        parameters=dict(sorted(merge.parameters.items())),
        kept=_listed({logical_id: needed[logical_id] for logical_id in kept}),
        differing=_listed(differing),
        needed=_listed(needed),
    )


class _Kind(Enum):
    """What a name in a template can be the name of. A Ref is a parameter's or a resource's; resources keep their names."""

    REF = "Ref"
    MAPPING = "Mappings"
    CONDITION = "Conditions"


_Named = Callable[[_Kind, str], str]


class _Merge:
    """The template as it grows, and the values of its parameters."""

    def __init__(self, newest: Declared, kept: frozenset[str]) -> None:
        self._sections = {name: dict(_section(newest.template, name)) for name in _MERGED}
        self._newest = newest.template
        self.parameters = dict(newest.parameters)
        self._values_of_newest = frozenset(self._sections["Parameters"])
        self._renamed: dict[str, str] = {}
        self._resources = kept | self._sections["Resources"].keys()
        # Parameters and resources have their names in common, and a resource cannot be called otherwise.
        for name in sorted(kept & self._values_of_newest):
            self._rename_parameter(name, _suffixed(name, self._sections["Parameters"][name]))

    def template(self) -> Template:
        """Sections that the newest release has none of, and that nobody else brings, stay away."""
        rest = {name: section for name, section in self._newest.items() if name not in _MERGED}
        return {**rest, **{name: found for name, found in self._sections.items() if found or name in self._newest}}

    def keep(self, other: Declared, logical_ids: Sequence[str]) -> None:
        """Take resources of another release in, and all of its outputs that are not there yet: its stages read them."""
        names = _Names(self, other)
        for logical_id in logical_ids:
            resource = _section(other.template, "Resources")[logical_id]
            self._sections["Resources"][logical_id] = _rewritten_member(resource, names.of)
        for output, definition in sorted(_section(other.template, "Outputs").items()):
            if output not in self._sections["Outputs"]:
                self._sections["Outputs"][output] = self._unexported(_rewritten_member(definition, names.of))

    def _unexported(self, output: Any) -> Any:
        """An export's name can be given once: the one that has it already keeps it."""
        taken = [each.get("Export") for each in self._sections["Outputs"].values() if isinstance(each, Mapping)]
        if not isinstance(output, Mapping) or "Export" not in output or output["Export"] not in taken:
            return output
        return {name: value for name, value in output.items() if name != "Export"}

    def parameter(self, name: str, definition: Any, value: str | None) -> str:
        """The name under which a kept resource finds its parameter. One that the newest release has too has its value."""
        there = self._renamed.get(name, name)
        found = self._sections["Parameters"].get(there)
        same_value = there in self._values_of_newest or self.parameters.get(there) == value
        if found is not None and _meaning(found) == _meaning(definition) and same_value:
            return there
        taken = found is not None or name in self._resources
        free = _suffixed(name, [_meaning(definition), value]) if taken else name
        self._sections["Parameters"][free] = definition
        if value is not None:
            self.parameters[free] = value
        return free

    def named(self, kind: _Kind, name: str, definition: Any) -> str:
        """The same of a mapping or a condition, which refers to nothing under another name any more."""
        section = self._sections[kind.value]
        free = name if section.get(name, definition) == definition else _suffixed(name, definition)
        section[free] = definition
        return free

    def any_mapping(self, definitions: Mapping[str, Any]) -> None:
        """A name that is worked out only while the stack is changed cannot be another: where two differ the newest wins."""
        for name, definition in definitions.items():
            self._sections["Mappings"].setdefault(name, definition)

    def _rename_parameter(self, name: str, free: str) -> None:
        def named(kind: _Kind, found: str) -> str:
            return free if kind is _Kind.REF and found == name else found

        for section in ("Resources", "Outputs"):
            self._sections[section] = {key: _rewritten_member(value, named) for key, value in self._sections[section].items()}
        self._sections["Conditions"] = {
            key: _rewritten(value, named, conditions=True) for key, value in self._sections["Conditions"].items()
        }
        self._newest = (
            {**self._newest, "Rules": _rewritten(self._newest["Rules"], named)} if "Rules" in self._newest else self._newest
        )
        self._sections["Parameters"][free] = self._sections["Parameters"].pop(name)
        self._values_of_newest = (self._values_of_newest - {name}) | {free}
        self._renamed[name] = free
        if name in self.parameters:
            self.parameters[free] = self.parameters.pop(name)


class _Names:
    """Under which names another release's things are found in the merged template; brings them there when they are asked for."""

    def __init__(self, merge: _Merge, other: Declared) -> None:
        self._merge = merge
        self._other = other
        self._known: dict[tuple[_Kind, str], str] = {}

    def of(self, kind: _Kind, name: str) -> str:
        if (kind, name) not in self._known:
            self._known[kind, name] = self._found(kind, name)
        return self._known[kind, name]

    def _found(self, kind: _Kind, name: str) -> str:
        section = _section(self._other.template, "Parameters" if kind is _Kind.REF else kind.value)
        if name == _ANY:
            self._merge.any_mapping(section)
        if name not in section:
            # A resource, a pseudo parameter, or something that the release itself does not have.
            return name
        definition = section[name]
        match kind:
            case _Kind.REF:
                return self._merge.parameter(name, definition, self._other.parameters.get(name))
            case _Kind.CONDITION:
                definition = _rewritten(definition, self.of, conditions=True)
        return self._merge.named(kind, name, definition)


#: Stands for the name of a mapping that only CloudFormation knows.
_ANY = "*"
_MERGED = ("Parameters", "Mappings", "Conditions", "Resources", "Outputs")


def _section(template: Template, name: str) -> Mapping[str, Any]:
    section: Mapping[str, Any] = template.get(name) or {}
    return section


def _listed(found: Mapping[str, set[StageName]]) -> dict[str, tuple[StageName, ...]]:
    return {logical_id: tuple(sorted(stages)) for logical_id, stages in sorted(found.items())}


def _meaning(parameter: Any) -> Any:
    """A parameter without what is only for people."""
    if not isinstance(parameter, Mapping):
        return parameter
    return {name: value for name, value in parameter.items() if name not in ("Description", "ConstraintDescription")}


def _suffixed(name: str, meaning: Any) -> str:
    """Alphanumeric, as CloudFormation wants it, and the same whoever comes first."""
    return f"{name[:240]}K{hashlib.sha256(_canonical(meaning).encode()).hexdigest()[:10]}"


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


# References in a template.

_IN_SUB = re.compile(r"\$\{([^!}][^}]*)\}")


def _rewritten_member(member: Any, named: _Named) -> Any:
    """A resource or an output: only there ``Condition`` names one (a policy's statement has another of its own)."""
    if not isinstance(member, Mapping):
        return member
    found = {key: _rewritten(value, named) for key, value in member.items()}
    if isinstance(member.get("Condition"), str):
        found["Condition"] = named(_Kind.CONDITION, member["Condition"])
    return found


def _rewritten(value: Any, named: _Named, *, conditions: bool = False) -> Any:
    """A value with every name in it as ``named`` says. In the section of conditions ``Condition`` names one anywhere."""

    def deeper(inner: Any) -> Any:
        return _rewritten(inner, named, conditions=conditions)

    match value:
        case {"Ref": str(name)} if len(value) == 1:
            return {"Ref": named(_Kind.REF, name)}
        case {"Condition": str(name)} if len(value) == 1 and conditions:
            return {"Condition": named(_Kind.CONDITION, name)}
        case {"Fn::Sub": str(text)} if len(value) == 1:
            return {"Fn::Sub": _substituted(text, frozenset(), named)}
        case {"Fn::Sub": [str(text), Mapping() as given]} if len(value) == 1:
            return {"Fn::Sub": [_substituted(text, frozenset(given), named), deeper(given)]}
        case {"Fn::If": [str(name), *ways]} if len(value) == 1:
            return {"Fn::If": [named(_Kind.CONDITION, name), *map(deeper, ways)]}
        case {"Fn::FindInMap": [str(name), *keys]} if len(value) == 1:
            return {"Fn::FindInMap": [named(_Kind.MAPPING, name), *map(deeper, keys)]}
        case {"Fn::FindInMap": [*keys]} if len(value) == 1:
            named(_Kind.MAPPING, _ANY)
            return {"Fn::FindInMap": list(map(deeper, keys))}
        case Mapping():
            return {key: deeper(inner) for key, inner in value.items()}
        case list() | tuple():
            return [deeper(inner) for inner in value]
    return value


def _substituted(text: str, local: frozenset[str], named: _Named) -> str:
    """``${Name}`` is a Ref, ``${Name.Attribute}`` a resource's attribute."""

    def one(found: re.Match[str]) -> str:
        name = found[1].strip()
        return found[0] if name in local or "." in name else f"${{{named(_Kind.REF, name)}}}"

    return _IN_SUB.sub(one, text)


def referred(template: Template) -> Iterator[tuple[str, str]]:
    """Every name that a template's members refer to, as (section, name); a Ref's section is ``Ref``. For those who check one."""
    found: list[tuple[str, str]] = []

    def named(kind: _Kind, name: str) -> str:
        if name != _ANY:
            found.append((kind.value, name))
        return name

    for section in ("Resources", "Outputs"):
        for member in _section(template, section).values():
            _rewritten_member(member, named)
    for condition in _section(template, "Conditions").values():
        _rewritten(condition, named, conditions=True)
    yield from found
