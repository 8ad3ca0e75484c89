"""What holds for the union of any templates."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.model import StageName
from stagekeeper.domain.union import Declared, Union, referred, union

NAMES = ("Alpha", "Beta", "Gamma")
STAGES = [StageName(name) for name in ("dev", "prod", "qa")]
VALUES = st.sampled_from(["1", "2"])
_COIN = st.booleans()


@st.composite
def values(draw: st.DrawFn, refs: list[str], conditions: list[str], mappings: list[str]) -> Any:
    """A property, which refers to what there is."""
    kinds = ["text", *(["ref", "sub", "local"] if refs else []), *(["if"] if conditions else []), *(["map"] if mappings else [])]
    match draw(st.sampled_from(kinds)):
        case "ref":
            return {"Ref": draw(st.sampled_from(refs))}
        case "sub":
            return {"Fn::Sub": f"a-${{{draw(st.sampled_from(refs))}}}-${{AWS::Region}}"}
        case "local":
            return {"Fn::Sub": ["${Local}", {"Local": {"Ref": draw(st.sampled_from(refs))}}]}
        case "if":
            return {"Fn::If": [draw(st.sampled_from(conditions)), draw(VALUES), {"Ref": "AWS::NoValue"}]}
        case "map":
            return {"Fn::FindInMap": [draw(st.sampled_from(mappings)), "a", "b"]}
    return draw(VALUES)


@st.composite
def templates(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, str]]:
    """A template that refers to nothing that it has not, and values for its parameters. Names of sections overlap on purpose."""
    some = st.lists(st.sampled_from(NAMES), unique=True)
    named = draw(some)
    parameters = [name for name in draw(some) if name not in named]
    mappings, conditions = draw(some), list[str]()
    body: dict[str, Any] = {
        "Parameters": {name: {"Type": draw(st.sampled_from(["String", "Number"]))} for name in parameters},
        "Mappings": {name: {"a": {"b": draw(VALUES)}} for name in mappings},
        "Conditions": {},
        "Resources": {},
        "Outputs": {},
    }
    for name in draw(some):
        told = [draw(values(parameters, [], mappings)), draw(VALUES)]
        nested = {"Fn::Not": [{"Condition": draw(st.sampled_from(conditions))}]} if draw(_COIN) and conditions else None
        body["Conditions"][name] = nested or {"Fn::Equals": told}
        conditions.append(name)
    refs = list(parameters)
    for name in named:
        resource = {"Type": "AWS::SQS::Queue", "Properties": {"Value": draw(values(refs, conditions, mappings))}}
        if draw(_COIN) and conditions:
            resource["Condition"] = draw(st.sampled_from(conditions))
        body["Resources"][name] = resource
        refs.append(name)
    for name in draw(some):
        body["Outputs"][name] = {"Value": draw(values(refs, conditions, mappings))}
    return body, {name: draw(VALUES) for name in parameters}


@st.composite
def declared(draw: st.DrawFn, number: int) -> Declared:
    body, given_values = draw(templates())
    stages = draw(st.lists(st.sampled_from(STAGES), unique=True, min_size=1).map(tuple))
    return Declared(body, stages, given_values, number)


@st.composite
def releases(draw: st.DrawFn) -> tuple[Declared, list[Declared]]:
    count = draw(st.integers(0, 3))
    numbers = draw(st.lists(st.integers(1, 3), min_size=count, max_size=count))
    return draw(declared(9)), [draw(declared(number)) for number in numbers]


@given(releases())
def test_nothing_that_a_stage_declares_is_missing(drawn: tuple[Declared, list[Declared]]) -> None:
    newest, others = drawn
    found = union(newest, others)

    for each in (newest, *others):
        assert each.template["Resources"].keys() <= found.template["Resources"].keys()
        assert each.template["Outputs"].keys() <= found.template["Outputs"].keys()
    assert found.needed.keys() == {logical_id for each in others for logical_id in each.template["Resources"]}
    assert found.kept.keys() == found.needed.keys() - newest.template["Resources"].keys()


@given(releases())
def test_nothing_refers_to_what_is_not_there(drawn: tuple[Declared, list[Declared]]) -> None:
    found = union(*drawn)

    known = {**found.template, "Ref": {**found.template["Resources"], **found.template["Parameters"]}}
    for section, name in referred(found.template):
        assert name in known[section] or name.startswith("AWS::")
    assert not found.template["Resources"].keys() & found.template["Parameters"].keys()
    assert found.parameters.keys() == found.template["Parameters"].keys()


@given(declared(1))
def test_the_union_of_one_is_itself(one: Declared) -> None:
    assert union(one, []) == Union(one.template, one.parameters, {}, {}, {})


@given(declared(1), st.lists(st.sampled_from(STAGES), unique=True, min_size=1).map(tuple))
def test_the_union_with_itself_is_itself(one: Declared, stages: tuple[StageName, ...]) -> None:
    found = union(one, [Declared(one.template, stages, one.parameters, 0)])

    assert (found.template, found.parameters, found.kept, found.differing) == (one.template, one.parameters, {}, {})


@given(releases(), st.randoms(use_true_random=False))
def test_the_order_of_the_others_does_not_matter(drawn: tuple[Declared, list[Declared]], shuffle: Any) -> None:
    newest, others = drawn
    mixed = list(others)
    shuffle.shuffle(mixed)

    assert union(newest, mixed) == union(newest, others)


@given(releases())
def test_what_it_is_made_of_stays_as_it_was(drawn: tuple[Declared, list[Declared]]) -> None:
    before = copy.deepcopy(drawn)

    union(*drawn)

    assert drawn == before


@given(releases())
def test_every_resource_means_what_its_release_says(drawn: tuple[Declared, list[Declared]]) -> None:
    """With every name resolved: of the newest's own always; of a kept one but for the parameters that the newest has too."""
    newest, others = drawn
    found = union(newest, others)
    merged = Declared(found.template, (), found.parameters)
    for logical_id in newest.template["Resources"]:
        assert meaning(merged, logical_id) == meaning(newest, logical_id)
    for logical_id in found.kept:
        number = max(each.release for each in others if logical_id in each.template["Resources"])
        said = [each for each in others if logical_id in each.template["Resources"] and each.release == number]
        assert meaning(merged, logical_id) in [meaning(shared_with(newest, each), logical_id) for each in said]


def shared_with(newest: Declared, other: Declared) -> Declared:
    """The other with the newest's values for the parameters that they share."""
    same = {
        name for name, parameter in other.template["Parameters"].items() if newest.template["Parameters"].get(name) == parameter
    }
    shared = {name: newest.parameters[name] if name in same else value for name, value in other.parameters.items()}
    return Declared(other.template, other.stages, shared, other.release)


def meaning(of: Declared, logical_id: str) -> Any:
    """A resource with all names but those of resources replaced by what they stand for."""

    def resolved(value: Any) -> Any:
        match value:
            case {"Ref": str(name)}:
                return ("resource", name) if name in of.template["Resources"] else parameter(name)
            case {"Condition": str(name)}:
                return resolved(of.template["Conditions"][name])
            case {"Fn::Sub": str(text)}:
                names = [name for name in (*of.template["Parameters"], *of.template["Resources"]) if f"${{{name}}}" in text]
                return ("sub", [resolved({"Ref": name}) for name in names])
            case {"Fn::If": [str(name), *ways]}:
                return ("if", resolved(of.template["Conditions"][name]), [resolved(way) for way in ways])
            case {"Fn::FindInMap": [str(name), *keys]}:
                return ("map", of.template["Mappings"][name], keys)
            case dict():
                return {key: resolved(inner) for key, inner in value.items()}
            case list():
                return [resolved(inner) for inner in value]
        return value

    def parameter(name: str) -> Any:
        return ("parameter", of.template["Parameters"][name], of.parameters[name]) if name in of.parameters else name

    resource = of.template["Resources"][logical_id]
    condition = {"Condition": resolved({"Condition": resource["Condition"]})} if "Condition" in resource else {}
    return {**{key: resolved(value) for key, value in resource.items() if key != "Condition"}, **condition}
