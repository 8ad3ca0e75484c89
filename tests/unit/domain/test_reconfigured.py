"""Which functions a changed template surely configures anew, which perhaps, and which it does not touch."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from stagekeeper.domain.reconfigured import Reconfigured, only_code_differs, reconfigured

FUNCTION = "AWS::Lambda::Function"
#: What each function has in its environment, or is made under, names what can change.
TEMPLATE: dict[str, Any] = {
    "Parameters": {"Level": {"Type": "String", "Default": "info"}, "Size": {"Type": "Number"}},
    "Mappings": {"Sizes": {"dev": {"memory": 128}}},
    "Conditions": {"Big": {"Fn::Equals": [{"Ref": "Size"}, "9"]}, "Huge": {"Fn::Not": [{"Condition": "Big"}]}},
    "Resources": {
        "Role": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r", "Policies": []}},
        "Table": {"Type": "AWS::DynamoDB::Table", "Properties": {"BillingMode": "PAY_PER_REQUEST"}},
        "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Table"}}},
        "Plain": {
            "Type": FUNCTION,
            "Properties": {"Code": "1", "Handler": "a", "Tags": [], "Role": {"Fn::GetAtt": ["Role", "Arn"]}},
        },
        "OfLevel": {"Type": FUNCTION, "Properties": {"Code": "1", "Env": {"Fn::Sub": "x-${Level}"}}},
        "OfIf": {"Type": FUNCTION, "Properties": {"Env": {"Fn::If": ["Huge", {"Ref": "Level"}, "none"]}}},
        "OfTable": {"Type": FUNCTION, "Properties": {"Env": {"Ref": "Table"}}},
        "OfTopic": {"Type": FUNCTION, "Properties": {"Env": {"Ref": "Topic"}}},
        "OfMap": {"Type": FUNCTION, "Properties": {"Memory": {"Fn::FindInMap": ["Sizes", "dev", "memory"]}}},
        "OfPlain": {"Type": FUNCTION, "Properties": {"Env": {"Ref": "Plain"}}},
        "Under": {"Type": FUNCTION, "Condition": "Big", "Properties": {}},
    },
}
VALUES = {"Size": "1"}


def changed(place: str, value: Any) -> dict[str, Any]:
    """The template with another value at a place like ``Resources.Table.Properties``."""
    template = deepcopy(TEMPLATE)
    *way, last = place.split(".")
    section = template
    for step in way:
        section = section[step]
    section[last] = value
    return template


def names(of: Reconfigured) -> tuple[str, str]:
    return " ".join(sorted(of.surely)), " ".join(sorted(of.perhaps))


@pytest.mark.parametrize(
    ("place", "value", "surely", "perhaps"),
    [
        ("Resources.Plain.Properties.Code", "2", "", ""),
        ("Resources.Plain.Properties.Tags", ["t"], "", ""),
        ("Resources.Plain.Metadata", {"Built": "now"}, "", ""),
        ("Resources.Plain.Properties.Handler", "b", "Plain", ""),
        ("Resources.Plain.Properties.FunctionName", "b", "Plain", "OfPlain"),
        ("Resources.Under.Condition", "Huge", "Under", ""),
        ("Resources.New", {"Type": FUNCTION, "Properties": {}}, "New", ""),
        ("Resources.Role.Properties.Policies", ["p"], "", ""),
        ("Resources.Role.Properties.RoleName", "s", "", "Plain"),
        ("Resources.Table.Properties.BillingMode", "PROVISIONED", "", "OfTable OfTopic"),
        ("Resources.Topic.Properties.DisplayName", "t", "", "OfTopic"),
        ("Mappings.Sizes", {"dev": {"memory": 256}}, "", "OfMap"),
        ("Conditions.Huge", {"Fn::Equals": ["1", "1"]}, "", "OfIf"),
        ("Conditions.Big", {"Fn::Equals": ["1", "1"]}, "", "OfIf Under"),
        ("Parameters.Level.Default", "debug", "OfLevel", "OfIf"),
    ],
)
def test_another_template(place: str, value: Any, surely: str, perhaps: str) -> None:
    assert names(reconfigured(changed(place, value), VALUES, TEMPLATE, VALUES)) == (surely, perhaps)


@pytest.mark.parametrize(
    ("values", "surely", "perhaps"),
    [
        (VALUES, "", ""),
        ({**VALUES, "Level": "info"}, "", ""),
        ({**VALUES, "Level": "debug"}, "OfLevel", "OfIf"),
        ({"Size": "9"}, "", "OfIf Under"),
    ],
)
def test_other_values_of_parameters(values: dict[str, str], surely: str, perhaps: str) -> None:
    assert names(reconfigured(TEMPLATE, values, TEMPLATE, VALUES)) == (surely, perhaps)


def test_of_a_stack_that_is_made_anew_nothing_is_said() -> None:
    assert reconfigured(TEMPLATE, VALUES, None, {}) == Reconfigured()


@pytest.mark.parametrize(
    ("place", "value", "only"),
    [
        ("Resources.Plain.Properties.Code", "2", True),
        ("Resources.Plain.Properties.Handler", "b", False),
        ("Resources.Table.Properties.BillingMode", "PROVISIONED", False),
        ("Outputs", {"X": {"Value": "y"}}, False),
    ],
)
def test_only_code_differs_where_nothing_else_does(place: str, value: Any, only: bool) -> None:
    assert only_code_differs(changed(place, value), VALUES, TEMPLATE, VALUES) is only


def test_where_values_differ_or_nothing_was_there_not_only_code_does() -> None:
    assert not only_code_differs(TEMPLATE, {"Size": "2"}, TEMPLATE, VALUES)
    assert not only_code_differs(TEMPLATE, VALUES, None, {})
