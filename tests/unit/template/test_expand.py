"""SAM to plain CloudFormation: whose each resource is, which values stay out of it, and nobody is asked over the network."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from stagekeeper.domain.split_model import Expanded, Source
from stagekeeper.template.expand import expand
from stagekeeper.template.read import read
from tests.unit.template.splitting import expanded

SAM = "AWSTemplateFormatVersion: '2010-09-09'\nTransform: AWS::Serverless-2016-10-31\n"
FUNCTION = """
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: s3://b/k
      Handler: a.b
      Runtime: python3.13
"""


def resources(text: str, **parameters: str) -> dict[str, Any]:
    return dict(expanded(text, **parameters).body["Resources"])


def test_plain_cloudformation_stays_as_it_is() -> None:
    plain = expanded("Resources:\n  A:\n    Type: AWS::SQS::Queue\n    Metadata: {a: b}\n")
    assert plain.body == {"Resources": {"A": {"Type": "AWS::SQS::Queue", "Metadata": {"a": "b"}}}}
    assert plain.origins == {}
    assert plain.line("A") == 2


def test_each_generated_resource_knows_where_it_comes_from_and_its_line() -> None:
    event = "      Events:\n        Tick:\n          Type: Schedule\n          Properties: {Schedule: rate(1 day)}\n"
    plain = expanded(f"{SAM}Resources:\n  Orders:{FUNCTION}{event}")
    assert dict(plain.origins) == {"OrdersRole": "Orders", "OrdersTick": "Orders", "OrdersTickPermission": "Orders"}
    assert {plain.line(name) for name in plain.body["Resources"]} == {4}
    assert "Origin" not in json.dumps(plain.body)
    assert "Transform" not in plain.body


def test_an_api_that_nobody_wrote_comes_from_the_first_function_with_such_an_event() -> None:
    event = "      Events:\n        Get:\n          Type: Api\n          Properties: {Path: /, Method: get}\n"
    plain = expanded(f"{SAM}Resources:\n  Other:{FUNCTION}  Orders:{FUNCTION}{event}")
    assert plain.origin("ServerlessRestApi") == "Orders"


def test_what_a_connector_makes_comes_from_its_resource() -> None:
    connector = "    Connectors:\n      ToTable:\n        Properties: {Destination: {Id: Table}, Permissions: [Read]}\n"
    plain = expanded(f"{SAM}Resources:\n  Orders:{FUNCTION}{connector}  Table:\n    Type: AWS::Serverless::SimpleTable\n")
    assert plain.origin("OrdersToTablePolicy") == "Orders"


def test_metadata_goes_to_all_that_is_made_of_a_resource() -> None:
    text = f"{SAM}Resources:\n  Orders:{FUNCTION}    Metadata: {{Stagekeeper: {{Scope: service}}}}\n"
    assert {name: made["Metadata"] for name, made in resources(text).items()} == {
        "Orders": {"Stagekeeper": {"Scope": "service"}},
        "OrdersRole": {"Stagekeeper": {"Scope": "service"}},
    }


@pytest.mark.parametrize(
    ("declared", "baked"),
    [
        ("Type: String", True),
        ("Type: String\n    Default: secret", True),
        ("Type: String\n    NoEcho: true", False),
        ("Type: String\n    NoEcho: 'true'\n    Default: secret", False),
        ("Type: AWS::SSM::Parameter::Value<String>\n    Default: secret", False),
    ],
)
def test_values_that_must_not_end_up_in_the_text(declared: str, baked: bool) -> None:
    asynchronous = "      EventInvokeConfig: {MaximumEventAgeInSeconds: !Ref P}\n"
    text = f"{SAM}Parameters:\n  P:\n    {declared}\nResources:\n  Orders:{FUNCTION}{asynchronous}"
    made = resources(text, P="secret")["OrdersEventInvokeConfig"]["Properties"]["MaximumEventAgeInSeconds"]
    assert made == ("secret" if baked else {"Ref": "P"})


def test_the_stages_name_is_not_baked_in() -> None:
    asynchronous = "      EventInvokeConfig: {MaximumEventAgeInSeconds: !Ref StagekeeperStage}\n"
    declared = "Parameters:\n  StagekeeperStage: {Type: String, Default: dev}\n"
    plain = expanded(f"{SAM}{declared}Resources:\n  Orders:{FUNCTION}{asynchronous}", StagekeeperStage="prod")
    made = plain.body["Resources"]["OrdersEventInvokeConfig"]["Properties"]
    assert made["MaximumEventAgeInSeconds"] == {"Ref": "StagekeeperStage"}
    assert plain.body["Parameters"] == {"StagekeeperStage": {"Type": "String", "Default": "dev"}}


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_partition_is_the_regions(region: str, partition: str) -> None:
    source = read(f"{SAM}Resources:\n  Orders:{FUNCTION}      Policies: [AmazonS3ReadOnlyAccess]\n")
    assert isinstance(source, Source)
    plain = expand(source, {}, region)
    assert isinstance(plain, Expanded)
    assert plain.body["Resources"]["OrdersRole"]["Properties"]["ManagedPolicyArns"] == [
        f"arn:{partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole",
        f"arn:{partition}:iam::aws:policy/AmazonS3ReadOnlyAccess",
    ]


def test_the_source_is_left_as_it_was() -> None:
    head = "Globals: {Function: {Timeout: 3}}\nParameters: {P: {Type: String, Default: a, NoEcho: true}}\n"
    source = read(f"{SAM}{head}Resources:\n  A:{FUNCTION}")
    assert isinstance(source, Source)
    before = json.dumps(source.body)
    expand(source, {"P": "x"}, "eu-west-1")
    assert json.dumps(source.body) == before


def test_the_translator_is_imported_when_it_is_needed_and_not_before() -> None:
    code = (
        "import sys, stagekeeper.template.expand, stagekeeper.template.read; sys.exit('samtranslator.translator' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - the code is ours
