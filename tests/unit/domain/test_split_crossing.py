"""What of a shared resource the stage half needs comes by parameters; the other sections go where they are used."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.model import LogicalName
from stagekeeper.domain.split_model import AliasArn, FunctionName, Output, Path
from stagekeeper.domain.split_parameters import parameter_problems, required_parameters, unknown_parameters
from tests.unit.domain.split_builders import (
    ARN,
    NAME,
    STAGE,
    halves,
    is_stages,
    problems,
    resource,
    scoped,
    stage_resource,
    template,
)

TABLE = resource("AWS::DynamoDB::Table")
RULE = resource("AWS::Events::Rule", Targets=[{"Id": "f", "Arn": ARN}])


def of_the_table(value: Any) -> Any:
    return scoped("stage", resource("AWS::SSM::Parameter", Type="String", Value=value))


@pytest.mark.parametrize(
    ("value", "made", "name", "filled"),
    [
        ({"Ref": "Table"}, {"Ref": "StagekeeperTable"}, "StagekeeperTable", {"Ref": "Table"}),
        (
            {"Fn::GetAtt": ["Table", "Arn"]},
            {"Ref": "StagekeeperTableArn"},
            "StagekeeperTableArn",
            {"Fn::GetAtt": ["Table", "Arn"]},
        ),
        ({"Fn::GetAtt": "Table.Arn"}, {"Ref": "StagekeeperTableArn"}, "StagekeeperTableArn", {"Fn::GetAtt": ["Table", "Arn"]}),
        (
            {"Fn::GetAtt": ["Table", "Outputs.Some.Thing"]},
            {"Ref": "StagekeeperTableOutputsSomeThing"},
            "StagekeeperTableOutputsSomeThing",
            {"Fn::GetAtt": ["Table", "Outputs.Some.Thing"]},
        ),
        ({"Fn::Sub": "a${Table}b"}, {"Fn::Sub": "a${StagekeeperTable}b"}, "StagekeeperTable", {"Ref": "Table"}),
        (
            {"Fn::Sub": ["${T}${Table.Arn}", {"T": {"Ref": "AWS::Region"}}]},
            {"Fn::Sub": ["${T}${StagekeeperTableArn}", {"T": {"Ref": "AWS::Region"}}]},
            "StagekeeperTableArn",
            {"Fn::GetAtt": ["Table", "Arn"]},
        ),
        (
            {"Fn::Select": [0, {"Fn::Split": [":", {"Ref": "Table"}]}]},
            {"Fn::Select": [0, {"Fn::Split": [":", {"Ref": "StagekeeperTable"}]}]},
            "StagekeeperTable",
            {"Ref": "Table"},
        ),
    ],
)
def test_a_reference_across_the_cut_is_a_parameter_and_an_output(value: Any, made: Any, name: str, filled: Any) -> None:
    result = halves({"Table": TABLE, "It": of_the_table(value)})
    assert result.stage is not None
    assert result.stage["Resources"]["It"]["Properties"]["Value"] == made
    assert result.stage["Parameters"][name] == {"Type": "String"}
    assert result.service["Outputs"] == {name: {"Value": filled}}
    assert result.crossings == (Output(name, name),)


def test_text_that_only_looks_like_a_reference_stays() -> None:
    value = {"Fn::Sub": "${!Table} ${AWS::Region} ${T.x}"}
    assert stage_resource({"Table": TABLE, "It": of_the_table({"Fn::Sub": ["${!Table} ${T}", {"T": "x"}]})}, "It")["Properties"][
        "Value"
    ] == {"Fn::Sub": ["${!Table} ${T}", {"T": "x"}]}
    assert problems({"It": of_the_table(value)})[0].logical_id == "It"


def test_a_shared_resource_with_a_condition_hands_it_on() -> None:
    table = {**TABLE, "Condition": "Yes"}
    conditions = {"Yes": {"Fn::Equals": [{"Ref": "Size"}, "large"]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}}
    result = halves(
        {"Table": table, "It": of_the_table({"Fn::If": ["Yes", {"Ref": "Table"}, "none"]})},
        Conditions=conditions,
        Parameters={"Size": {"Type": "String", "Default": "small"}},
    )
    assert result.stage is not None
    assert result.service["Outputs"]["StagekeeperTable"] == {"Value": {"Ref": "Table"}, "Condition": "Yes"}
    assert result.stage["Parameters"]["StagekeeperTable"] == {"Type": "String", "Default": ""}
    assert result.stage["Conditions"] == {"Yes": conditions["Yes"]}
    assert "Size" in result.stage["Parameters"]
    assert result.service["Conditions"] == conditions


def test_a_list_crosses_as_one() -> None:
    it = scoped("stage", resource("AWS::Route53::RecordSet", Name=STAGE, ResourceRecords={"Fn::GetAtt": ["Zone", "NameServers"]}))
    result = halves({"Zone": resource("AWS::Route53::HostedZone", Name="example.com"), "It": it})
    assert result.stage is not None
    assert result.stage["Parameters"]["StagekeeperZoneNameServers"] == {"Type": "CommaDelimitedList"}
    assert result.service["Outputs"]["StagekeeperZoneNameServers"] == {
        "Value": {"Fn::Join": [",", {"Fn::GetAtt": ["Zone", "NameServers"]}]}
    }


def test_functions_cross_without_outputs() -> None:
    result = halves({"It": RULE, "Name": of_the_table(NAME)})
    assert result.crossings == (
        AliasArn("StagekeeperOrdersAlias", LogicalName("Orders")),
        FunctionName("StagekeeperOrdersName", LogicalName("Orders")),
    )
    assert "Outputs" not in result.service


def test_names_that_are_taken_are_gone_around() -> None:
    result = halves(
        {"Table": TABLE, "It": of_the_table({"Ref": "Table"})},
        Parameters={"StagekeeperTable": {"Type": "String", "Default": "mine"}},
    )
    assert result.crossings == (Output("StagekeeperTable2", "StagekeeperTable2"),)
    assert result.service["Parameters"] == {"StagekeeperTable": {"Type": "String", "Default": "mine"}}


# --- sections


def test_sections_go_where_they_are_used_and_what_nobody_uses_stays_shared() -> None:
    result = halves(
        {
            "Shared": resource("AWS::SQS::Queue", DelaySeconds={"Ref": "Both"}),
            "Own": scoped("stage", resource("AWS::SQS::Queue", DelaySeconds={"Fn::FindInMap": ["Sizes", {"Ref": "Both"}, "x"]})),
            "Mine": scoped("stage", resource("AWS::SQS::Queue", DelaySeconds={"Ref": "Mine2"})),
        },
        Parameters={name: {"Type": "String", "Default": "1"} for name in ("Both", "Mine2", "Nobodys")},
        Mappings={"Sizes": {"1": {"x": 1}}, "Unused": {"1": {"x": 1}}},
        Rules={"R": {"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "Mine2"}, "1"]}}]}},
        Description="d",
        Metadata={"AWS::CloudFormation::Interface": {}},
    )
    assert result.stage is not None
    assert set(result.service["Parameters"]) == {"Both", "Nobodys"}
    assert set(result.stage["Parameters"]) == {"Both", "Mine2"}
    assert set(result.service["Mappings"]) == {"Unused"}
    assert set(result.stage["Mappings"]) == {"Sizes"}
    assert "Rules" not in result.service
    assert set(result.stage["Rules"]) == {"R"}
    assert (result.service["Description"], "Description" in result.stage) == ("d", False)
    assert ("Metadata" in result.service, "Metadata" in result.stage) == (True, False)


def test_a_mapping_whose_name_is_computed_may_be_any() -> None:
    own = scoped("stage", resource("AWS::SQS::Queue", DelaySeconds={"Fn::FindInMap": [{"Ref": "Which"}, "1", "x"]}))
    mappings = {"A": {"1": {"x": 1}}, "B": {"1": {"x": 1}}}
    result = halves({"Own": own}, Parameters={"Which": {"Type": "String"}}, Mappings=mappings)
    assert result.stage is not None
    assert result.stage["Mappings"] == mappings


def test_an_output_goes_where_its_value_is() -> None:
    outputs = {
        "Own": {"Value": {"Fn::Sub": "${Own} ${Table}"}},
        "Shared": {"Value": {"Ref": "Table"}},
        "OfTheStage": {"Value": STAGE},
    }
    result = halves({"Own": scoped("stage", resource("AWS::SQS::Queue")), "Table": TABLE}, Outputs=outputs)
    assert result.stage is not None
    assert result.stage["Outputs"] == {
        "Own": {"Value": {"Fn::Sub": "${Own} ${StagekeeperTable}"}},
        "OfTheStage": {"Value": STAGE},
    }
    assert set(result.service["Outputs"]) == {"Shared", "StagekeeperTable"}


def test_the_names_that_stagekeeper_fills_need_not_be_declared() -> None:
    it = resource("AWS::SQS::Queue", QueueName={"Fn::Sub": "${StagekeeperService}-${StagekeeperStage}"})
    result = halves({"It": it})
    assert result.stage is not None
    assert result.stage["Parameters"] == {"StagekeeperStage": {"Type": "String"}, "StagekeeperService": {"Type": "String"}}


def test_the_services_name_may_stand_in_what_is_shared() -> None:
    result = halves({"It": resource("AWS::SQS::Queue", QueueName={"Ref": "StagekeeperService"})})
    assert result.service["Parameters"] == {"StagekeeperService": {"Type": "String"}}


def test_a_service_is_never_asked_for_a_stages_name() -> None:
    declared = {"StagekeeperStage": {"Type": "String"}}
    result = halves({}, Parameters=declared, Conditions={"P": {"Fn::Equals": [STAGE, "p"]}})
    assert result.stage is None
    assert not {"Parameters", "Conditions"} & set(result.service)


def test_what_crosses_is_the_same_in_any_order() -> None:
    resources = {"Table": TABLE, "It": RULE, "P": of_the_table({"Ref": "Table"})}
    assert halves(resources).crossings == halves(dict(reversed(resources.items()))).crossings


# --- limits


def test_more_than_200_parameters_are_refused_with_their_number() -> None:
    tables = {f"Table{n}": TABLE for n in range(201)}
    readers = {f"P{n}": of_the_table({"Ref": f"Table{n}"}) for n in range(201)}
    found = problems({**tables, **readers})
    assert [problem.sentence.split(",")[0] for problem in found] == [
        "The service stack would have 201 Outputs",
        "The stage stack would have 201 Parameters",
    ]


def test_200_are_not() -> None:
    tables = {f"Table{n}": TABLE for n in range(200)}
    assert is_stages(halves({**tables, **{f"P{n}": of_the_table({"Ref": f"Table{n}"}) for n in range(200)}}), "P0")


# --- the parameters that a request gives


def test_parameters_without_a_default_are_required_but_those_that_stagekeeper_fills() -> None:
    body = {
        "Parameters": {"A": {"Type": "String"}, "B": {"Type": "String", "Default": ""}, "StagekeeperStage": {"Type": "String"}}
    }
    assert required_parameters(body) == ("A",)
    assert required_parameters({}) == ()


def test_parameters_that_the_template_does_not_have_are_found() -> None:
    assert unknown_parameters({"Parameters": {"A": {}}}, ["A", "Z", "Y"]) == ("Y", "Z")


def test_what_is_wrong_with_the_parameters_given() -> None:
    body = {"Parameters": {"A": {"Type": "String"}, "StagekeeperStage": {"Type": "String"}}}
    lines: dict[Path, int] = {("Parameters", "A"): 4, ("Parameters", "StagekeeperStage"): 6}
    found = parameter_problems(body, lines, ["Other", "StagekeeperStage"])
    assert [(problem.sentence.split(".")[0], problem.line) for problem in found] == [
        ("The template's parameter A has no Default and the request gives none", 4),
        ("The parameter StagekeeperStage is filled by Stagekeeper", 6),
        ("The template has no parameter Other", None),
    ]
    assert parameter_problems(body, lines, ["A"]) == ()


def test_a_template_without_sections_is_its_own_service_half() -> None:
    body = template({}).body
    assert halves({}).service == body
