"""A split template as it is kept: its identity, and the stack that it gives a stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.domain.code import ImageAddress
from stagekeeper.domain.model import FunctionArn, LogicalName, ServiceName, StageName
from stagekeeper.domain.request import CodeWish, ImageWish, Secret, Variables
from stagekeeper.domain.service_template import (
    ServiceTemplate,
    Unfilled,
    code_of,
    functions_in,
    only,
    shared_variables,
    stage_stack,
    variable_name,
)

ORDERS, PROD = ServiceName("orders"), StageName("prod")
API = LogicalName("Api")
ARN = FunctionArn("arn:aws:lambda:eu-central-1:123456789012:function:orders-Api")
SECRET = Secret("arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-AbCdEf")


def function(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "app.handler", **properties}}


def text(*names: str) -> dict[str, Any]:
    return {name: {"Type": "String"} for name in names}


SERVICE_HALF: Mapping[str, Any] = {
    "Parameters": text("Days"),
    "Resources": {"Api": function(Code={"S3Bucket": "b", "S3Key": "k"}), "Table": {"Type": "AWS::DynamoDB::Table"}},
}
STAGE_HALF: Mapping[str, Any] = {
    "Parameters": text("StagekeeperStage", "TableArn", "Alias", "Function", "Name", "Level"),
    "Resources": {"Call": {"Type": "AWS::Lambda::Permission", "Properties": {"FunctionName": {"Ref": "Alias"}}}},
}
TEMPLATE = ServiceTemplate(
    service=SERVICE_HALF,
    stage=STAGE_HALF,
    outputs={"TableArn": "TableArn"},
    aliases={"Alias": "Api"},
    arns={"Function": "Api"},
    names={"Name": "Api"},
    parameters={"Level": "info", "Days": "7"},
)


def filled(
    template: ServiceTemplate = TEMPLATE,
    arns: Mapping[LogicalName, FunctionArn] = {API: ARN},
    outputs: Mapping[str, str] = {"TableArn": "arn:table"},
    variables: Variables = {},  # noqa: B006
) -> tuple[dict[str, Any], dict[str, str]] | Unfilled | None:
    return stage_stack(template, ORDERS, PROD, arns, outputs, variables)


# Its identity.


def with_function(**properties: Any) -> ServiceTemplate:
    resources = {**SERVICE_HALF["Resources"], "Api": function(**properties)}
    return replace(TEMPLATE, service={**SERVICE_HALF, "Resources": resources})


def test_where_code_lies_makes_no_other_template() -> None:
    """A release knows its code by the digest."""
    assert with_function(Code={"S3Bucket": "b", "S3Key": "another"}).digest == TEMPLATE.digest


@pytest.mark.parametrize(
    "other",
    [
        with_function(Code={"S3Bucket": "b", "S3Key": "k"}, Timeout=5),
        replace(TEMPLATE, stage=None),
        replace(TEMPLATE, outputs={"TableArn": "OtherArn"}),
        replace(TEMPLATE, arns={}, aliases={"Function": "Api", "Alias": "Api"}),
        replace(TEMPLATE, parameters={"Level": "debug", "Days": "7"}),
        replace(TEMPLATE, service={**SERVICE_HALF, "Resources": {"Api": SERVICE_HALF["Resources"]["Api"]}}),
    ],
)
def test_everything_else_does(other: ServiceTemplate) -> None:
    assert other.digest != TEMPLATE.digest


def test_what_is_told_to_people_only_makes_no_other_template() -> None:
    assert replace(TEMPLATE, warnings=("loud",), contested=("Queue",)).digest == TEMPLATE.digest


# Its functions.


def test_its_functions_are_named_by_their_logical_ids() -> None:
    assert TEMPLATE.functions == functions_in(SERVICE_HALF) == ("Api",)


@pytest.mark.parametrize(
    ("code", "wish"),
    [
        ({"S3Bucket": "b", "S3Key": "k"}, CodeWish("b", "k", None)),
        ({"S3Bucket": "b", "S3Key": "k", "S3ObjectVersion": "3"}, CodeWish("b", "k", "3")),
        ({"S3Bucket": {"Ref": "Bucket"}, "S3Key": "k"}, None),
        ({"S3Bucket": "b", "S3Key": "k", "S3ObjectVersion": {"Ref": "Version"}}, None),
        ({"ZipFile": "pass"}, None),
        ({"ImageUri": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/api:latest"}, None),
        (
            {"ImageUri": f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/api@sha256:{'0' * 64}"},
            ImageWish(ImageAddress.parse(f"123456789012.dkr.ecr.eu-central-1.amazonaws.com/api@sha256:{'0' * 64}")),
        ),
    ],
)
def test_code_is_taken_where_the_template_says_it_in_so_many_words(code: dict[str, Any], wish: object) -> None:
    assert code_of({"Resources": {"Api": function(Code=code)}}, API) == wish


def test_a_part_of_a_template_comes_with_what_it_needs_and_nothing_else() -> None:
    template = {
        "Mappings": {"M": {}},
        "Resources": {
            "Api": function(Role={"Fn::GetAtt": ["Role", "Arn"]}, Environment={"V": {"Fn::Sub": "${Table}-x"}}),
            "Role": {"Type": "AWS::IAM::Role", "DependsOn": ["Policy"]},
            "Policy": {"Type": "AWS::IAM::ManagedPolicy", "DependsOn": "Key"},
            "Key": {"Type": "AWS::KMS::Key"},
            "Table": {"Type": "AWS::DynamoDB::Table"},
            "Topic": {"Type": "AWS::SNS::Topic"},
        },
        "Outputs": {"TopicArn": {"Value": {"Ref": "Topic"}}},
    }

    part = only(template, ["Api", "Unknown"])

    assert list(part["Resources"]) == ["Api", "Role", "Policy", "Key", "Table"]
    assert ("Outputs" in part, part["Mappings"]) == (False, {"M": {}})


# The stage's stack.


def test_a_stages_parameters_are_filled_by_what_crosses_the_cut() -> None:
    made = filled()

    assert isinstance(made, tuple)
    assert made[1] == {
        "StagekeeperStage": "prod",
        "TableArn": "arn:table",
        "Alias": f"{ARN}:prod",
        "Function": ARN,
        "Name": "orders-Api",
        "Level": "info",
    }
    assert made[0]["Resources"] == STAGE_HALF["Resources"]


def test_a_variable_goes_before_the_requests_parameters_and_nothing_goes_before_our_own() -> None:
    made = filled(variables={"Level": "debug", "StagekeeperStage": "another", "Alias": "arn:of:somebody"})

    assert isinstance(made, tuple)
    assert (made[1]["Level"], made[1]["StagekeeperStage"], made[1]["Alias"]) == ("debug", "prod", f"{ARN}:prod")


def test_a_secret_is_put_in_by_cloudformation_and_only_its_arn_can_be_read() -> None:
    made = filled(variables={"Level": SECRET})

    assert isinstance(made, tuple)
    body, values = made
    assert values["Level"] == f"{{{{resolve:secretsmanager:{SECRET.arn}}}}}"
    assert [each["Properties"]["Value"] for each in body["Resources"].values() if "Value" in each["Properties"]] == [SECRET.arn]


def test_every_variable_is_a_parameter_that_functions_read() -> None:
    made = filled(variables={"A_B": "1", "AB": "2"})

    assert isinstance(made, tuple)
    parameters = {each["Properties"]["Name"]: each["Properties"]["Value"] for each in list(made[0]["Resources"].values())[1:]}
    assert parameters == {variable_name(ORDERS, PROD, "A_B"): "1", variable_name(ORDERS, PROD, "AB"): "2"}
    assert all(name.isalnum() for name in made[0]["Resources"])


@pytest.mark.parametrize(
    ("without", "wanted"),
    [
        ({"arns": {}}, ("function Api", "function Api", "function Api")),
        ({"outputs": {}}, ("output TableArn of the service stack",)),
        ({"template": replace(TEMPLATE, parameters={})}, ("parameter Level",)),
    ],
)
def test_what_nothing_fills_is_told_with_what_would(without: dict[str, Any], wanted: tuple[str, ...]) -> None:
    assert filled(**without) == Unfilled(wanted)


def test_a_default_fills_what_nothing_else_does() -> None:
    """An output that its condition keeps away, for instance."""
    stage = {**STAGE_HALF, "Parameters": {**STAGE_HALF["Parameters"], "TableArn": {"Type": "String", "Default": ""}}}

    made = filled(replace(TEMPLATE, stage=stage), outputs={})

    assert isinstance(made, tuple)
    assert "TableArn" not in made[1]


@pytest.mark.parametrize(("variables", "there"), [({}, False), ({"LEVEL": "debug"}, True)])
def test_a_stage_without_anything_of_its_own_has_a_stack_for_its_variables_alone(variables: Variables, there: bool) -> None:
    assert (filled(replace(TEMPLATE, stage=None), variables=variables) is not None) is there


def test_a_stages_template_leaves_the_kept_one_as_it_is() -> None:
    before = repr(TEMPLATE.stage)
    filled(variables={"LEVEL": "debug"})

    assert repr(TEMPLATE.stage) == before


def test_variables_of_what_all_stages_share_are_found_out() -> None:
    assert shared_variables(TEMPLATE, ["Level", "Days", "LEVEL"]) == ["Days"]
