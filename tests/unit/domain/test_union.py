"""One template of what all stages' releases declare."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.model import StageName
from stagekeeper.domain.union import Declared, Union, union

DEV, PROD, QA = StageName("dev"), StageName("prod"), StageName("qa")


def release(
    *stages: StageName,
    number: int = 1,
    values: dict[str, str] | None = None,
    sections: dict[str, Any] | None = None,
    **resources: Any,
) -> Declared:
    return Declared({"Resources": resources, **(sections or {})}, stages, values or {}, number)


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def resources(of: Union) -> dict[str, Any]:
    return dict(of.template["Resources"])


NEWEST = release(DEV, number=9, Api=queue())


def test_the_newest_alone_is_itself() -> None:
    whole = release(
        DEV,
        values={"Size": "1"},
        sections={
            "AWSTemplateFormatVersion": "2010-09-09",
            "Description": "All of it",
            "Metadata": {"any": "thing"},
            "Parameters": {"Size": {"Type": "String"}},
            "Outputs": {"Url": {"Value": {"Ref": "Api"}}},
        },
        Api=queue(Size={"Ref": "Size"}),
    )

    assert union(whole, []) == Union(whole.template, whole.parameters, {}, {}, {})


def test_what_only_another_stage_declares_stays() -> None:
    found = union(NEWEST, [release(PROD, Api=queue(), Old=queue(DelaySeconds=1))])

    assert resources(found) == {"Api": queue(), "Old": queue(DelaySeconds=1)}
    assert (found.kept, found.differing) == ({"Old": (PROD,)}, {})
    assert found.needed == {"Api": (PROD,), "Old": (PROD,)}


def test_where_they_differ_the_newest_wins_and_the_others_are_named() -> None:
    others = [release(PROD, number=1, Api=queue(DelaySeconds=1)), release(QA, number=2, Api=queue())]

    found = union(NEWEST, others)

    assert resources(found) == {"Api": queue()}
    assert (found.kept, found.differing) == ({}, {"Api": (PROD,)})


def test_of_what_only_others_declare_the_newer_release_wins() -> None:
    others = [release(PROD, number=1, Old=queue(DelaySeconds=1)), release(QA, number=2, Old=queue(DelaySeconds=2))]

    found = union(NEWEST, others)

    assert resources(found)["Old"] == queue(DelaySeconds=2)
    assert found.kept == {"Old": (PROD, QA)}
    assert found.differing == {"Old": (PROD,)}


def test_outputs_that_others_read_stay() -> None:
    other = release(PROD, sections={"Outputs": {"Url": {"Value": {"Ref": "Api"}}}}, Api=queue())

    assert union(NEWEST, [other]).template["Outputs"] == {"Url": {"Value": {"Ref": "Api"}}}


def test_an_output_of_the_newest_wins() -> None:
    newest = release(DEV, sections={"Outputs": {"Url": {"Value": "new"}}}, Api=queue())
    other = release(PROD, sections={"Outputs": {"Url": {"Value": "old"}}}, Api=queue())

    assert union(newest, [other]).template["Outputs"] == {"Url": {"Value": "new"}}


def test_an_export_is_given_once() -> None:
    newest = release(DEV, sections={"Outputs": {"New": {"Value": "1", "Export": {"Name": "url"}}}}, Api=queue())
    other = release(PROD, sections={"Outputs": {"Old": {"Value": "2", "Export": {"Name": "url"}}}}, Api=queue())

    assert union(newest, [other]).template["Outputs"]["Old"] == {"Value": "2"}


# What a kept resource needs.


def other_with(needs: Any, sections: dict[str, Any], values: dict[str, str] | None = None, number: int = 1) -> Declared:
    return release(PROD, number=number, sections=sections, values=values, Old=queue(Value=needs))


def test_its_parameter_comes_with_it_and_with_its_value() -> None:
    other = other_with({"Ref": "Size"}, {"Parameters": {"Size": {"Type": "String"}}}, {"Size": "7"})

    found = union(NEWEST, [other])

    assert found.template["Parameters"] == {"Size": {"Type": "String"}}
    assert found.parameters == {"Size": "7"}


def test_one_that_the_newest_has_too_has_the_newests_value() -> None:
    sections = {"Parameters": {"Size": {"Type": "String"}}}
    newest = release(DEV, sections=sections, values={"Size": "1"}, Api=queue(Size={"Ref": "Size"}))

    found = union(newest, [other_with({"Ref": "Size"}, sections, {"Size": "7"})])

    assert found.parameters == {"Size": "1"}
    assert resources(found)["Old"] == queue(Value={"Ref": "Size"})


def test_words_for_people_make_no_difference() -> None:
    newest = release(DEV, sections={"Parameters": {"Size": {"Type": "String", "Description": "New"}}}, values={"Size": "1"})
    other = other_with({"Ref": "Size"}, {"Parameters": {"Size": {"Type": "String", "Description": "Old"}}}, {"Size": "7"})

    assert list(union(newest, [other]).template["Parameters"]) == ["Size"]


def renamed(found: Union, section: str, name: str) -> str:
    names: list[str] = list(found.template[section])
    (other,) = [each for each in names if each.startswith(name) and each != name]
    return other


def test_one_of_another_meaning_comes_under_another_name_everywhere() -> None:
    newest = release(DEV, sections={"Parameters": {"Size": {"Type": "Number"}}}, values={"Size": "1"}, Api=queue())
    needs = [
        {"Ref": "Size"},
        {"Fn::Sub": "a-${Size}-${!Size}-${Api}-${Api.Arn}"},
        {"Fn::Sub": ["${Size}-${Local}", {"Local": {"Ref": "Size"}}]},
    ]
    other = other_with(needs, {"Parameters": {"Size": {"Type": "String"}}}, {"Size": "7"})

    found = union(newest, [other])

    own = renamed(found, "Parameters", "Size")
    assert own.isalnum()
    assert found.parameters == {"Size": "1", own: "7"}
    assert found.template["Parameters"] == {"Size": {"Type": "Number"}, own: {"Type": "String"}}
    assert resources(found)["Old"]["Properties"]["Value"] == [
        {"Ref": own},
        {"Fn::Sub": f"a-${{{own}}}-${{!Size}}-${{Api}}-${{Api.Arn}}"},
        {"Fn::Sub": [f"${{{own}}}-${{Local}}", {"Local": {"Ref": own}}]},
    ]


def test_a_name_that_sub_defines_itself_is_no_parameter() -> None:
    newest = release(DEV, sections={"Parameters": {"Size": {"Type": "Number"}}}, Api=queue())
    sub = {"Fn::Sub": ["${Size}", {"Size": "mine"}]}

    assert resources(union(newest, [other_with(sub, {"Parameters": {"Size": {"Type": "String"}}})]))["Old"] == queue(Value=sub)


def test_two_releases_with_one_parameter_and_two_values_each_have_their_own() -> None:
    sections = {"Parameters": {"Size": {"Type": "String"}}}
    first = release(PROD, number=1, sections=sections, values={"Size": "1"}, Old=queue(V={"Ref": "Size"}))
    second = release(QA, number=2, sections=sections, values={"Size": "2"}, Older=queue(V={"Ref": "Size"}))

    found = union(NEWEST, [first, second])

    own = renamed(found, "Parameters", "Size")
    assert found.parameters == {"Size": "2", own: "1"}
    assert resources(found)["Old"] == queue(V={"Ref": own})
    assert resources(found)["Older"] == queue(V={"Ref": "Size"})


def test_its_conditions_and_mappings_come_with_it_and_what_those_need() -> None:
    sections: dict[str, Any] = {
        "Parameters": {"Kind": {"Type": "String"}, "Unused": {"Type": "String"}},
        "Mappings": {"Sizes": {"a": {"b": "1"}}, "Unused": {}},
        "Conditions": {
            "Big": {"Fn::Equals": [{"Fn::FindInMap": ["Sizes", "a", "b"]}, {"Ref": "Kind"}]},
            "Both": {"Fn::And": [{"Condition": "Big"}, {"Fn::Not": [{"Condition": "Big"}]}]},
            "Unused": {"Fn::Equals": ["1", "1"]},
        },
    }
    other = other_with({"Fn::If": ["Both", "1", {"Ref": "AWS::NoValue"}]}, sections, {"Kind": "k"})

    found = union(NEWEST, [other])

    assert found.template["Parameters"] == {"Kind": {"Type": "String"}}
    assert found.template["Mappings"] == {"Sizes": {"a": {"b": "1"}}}
    assert found.template["Conditions"] == {name: sections["Conditions"][name] for name in ("Big", "Both")}


def test_a_condition_of_another_meaning_comes_under_another_name() -> None:
    def conditions(value: str) -> dict[str, Any]:
        return {"Conditions": {"Big": {"Fn::Equals": [value, "1"]}, "Both": {"Fn::Not": [{"Condition": "Big"}]}}}

    newest = release(DEV, sections=conditions("1"), Api=queue())
    old = {**queue(Policy={"Condition": "Big"}, Value={"Fn::If": ["Big", 1, 2]}), "Condition": "Both"}
    other = release(PROD, sections=conditions("2"), Old=old)

    found = union(newest, [other])

    big, both = renamed(found, "Conditions", "Big"), renamed(found, "Conditions", "Both")
    # What a property calls Condition is a policy's, or anybody's.
    assert resources(found)["Old"] == {**queue(Policy={"Condition": "Big"}, Value={"Fn::If": [big, 1, 2]}), "Condition": both}
    assert found.template["Conditions"][both] == {"Fn::Not": [{"Condition": big}]}


def test_a_mapping_of_another_meaning_comes_under_another_name() -> None:
    newest = release(DEV, sections={"Mappings": {"Sizes": {"a": {"b": "1"}}}}, Api=queue())
    other = other_with({"Fn::FindInMap": ["Sizes", "a", "b"]}, {"Mappings": {"Sizes": {"a": {"b": "2"}}}})

    found = union(newest, [other])

    own = renamed(found, "Mappings", "Sizes")
    assert found.template["Mappings"][own] == {"a": {"b": "2"}}
    assert resources(found)["Old"] == queue(Value={"Fn::FindInMap": [own, "a", "b"]})


def test_of_a_mapping_whose_name_nobody_knows_yet_all_come() -> None:
    other = other_with({"Fn::FindInMap": [{"Ref": "AWS::Region"}, "a", "b"]}, {"Mappings": {"One": {}, "Two": {}}})

    assert union(NEWEST, [other]).template["Mappings"] == {"One": {}, "Two": {}}


def test_a_parameter_gives_way_to_a_resource_of_its_name() -> None:
    """A resource cannot be called otherwise: it would be replaced."""
    newest = release(
        DEV,
        sections={
            "Parameters": {"Old": {"Type": "String"}},
            "Conditions": {"Is": {"Fn::Equals": [{"Ref": "Old"}, "1"]}},
            "Outputs": {"Told": {"Value": {"Fn::Sub": "${Old}"}}},
        },
        values={"Old": "1"},
        Api=queue(V={"Ref": "Old"}),
    )

    found = union(newest, [release(PROD, Old=queue())])

    own = renamed(found, "Parameters", "Old")
    assert found.parameters == {own: "1"}
    assert resources(found) == {"Api": queue(V={"Ref": own}), "Old": queue()}
    assert found.template["Conditions"] == {"Is": {"Fn::Equals": [{"Ref": own}, "1"]}}
    assert found.template["Outputs"] == {"Told": {"Value": {"Fn::Sub": f"${{{own}}}"}}}


@pytest.mark.parametrize("resource_of", ["newest", "another"])
def test_a_kept_resources_parameter_gives_way_too(resource_of: str) -> None:
    other = other_with({"Ref": "Size"}, {"Parameters": {"Size": {"Type": "String"}}}, {"Size": "7"})
    newest = release(DEV, Size=queue()) if resource_of == "newest" else NEWEST
    others = [other] if resource_of == "newest" else [other, release(QA, number=5, Size=queue())]

    found = union(newest, others)

    own = renamed(found, "Parameters", "Size")
    assert resources(found)["Old"] == queue(Value={"Ref": own})
    assert resources(found)["Size"] == queue()


def test_a_parameter_that_gives_its_name_to_a_kept_resource_still_has_the_newests_value() -> None:
    newest = Declared({"Parameters": {"Size": {"Type": "Number"}}, "Resources": {}}, (), {"Size": "1"})
    uses_it = {"Type": "AWS::SQS::Queue", "Properties": {"VisibilityTimeout": {"Ref": "Size"}}}
    older = Declared({"Parameters": {"Size": {"Type": "Number"}}, "Resources": {"Queue": uses_it}}, (PROD,), {"Size": "2"}, 1)
    oldest = Declared({"Resources": {"Size": {"Type": "AWS::SQS::Queue"}}}, (DEV,), {}, 0)

    found = union(newest, [older, oldest])

    (name,) = found.template["Parameters"]
    assert found.template["Resources"]["Queue"]["Properties"] == {"VisibilityTimeout": {"Ref": name}}
    assert found.parameters == {name: "1"}
