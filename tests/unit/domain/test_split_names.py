"""Names of what a stage has of its own get the stage's name; those that nobody can make up are refused."""

from __future__ import annotations

from typing import Any

import pytest
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from stagekeeper.domain.split_model import Kind
from stagekeeper.domain.split_names import FIXED, NAMES
from stagekeeper.domain.split_triggers import BELONGS, CANNOT, OWNED, PASSIVE, TRIGGERS, UNSEEN
from tests.unit.domain.split_builders import NAME, STAGE, halves, problems, resource, said, scoped, stage_resource

SLUG = {"Ref": "StagekeeperStageSlug"}
SIMPLE = sorted((kind, name.member) for kind, name in NAMES.items() if "." not in name.member and name.joint == "-")


@pytest.mark.parametrize(("kind", "member"), SIMPLE)
def test_each_name_gets_the_stages(kind: str, member: str) -> None:
    made = stage_resource({"It": scoped("stage", resource(kind, **{member: "orders"}))}, "It")
    stage = "StagekeeperStageSlug" if NAMES[kind].lower else "StagekeeperStage"
    assert made["Properties"] == {member: {"Fn::Sub": f"orders-${{{stage}}}"}}


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("orders", {"Fn::Sub": "orders-${StagekeeperStage}"}),
        ("a${b", {"Fn::Sub": "a${!b-${StagekeeperStage}"}),
        ({"Fn::Sub": "${Prefix}-orders"}, {"Fn::Sub": "${Prefix}-orders-${StagekeeperStage}"}),
        ({"Fn::Sub": ["${P}-orders", {"P": "p"}]}, {"Fn::Sub": ["${P}-orders-${StagekeeperStage}", {"P": "p"}]}),
        ({"Ref": "Prefix"}, {"Fn::Join": ["", [{"Ref": "Prefix"}, "-", STAGE]]}),
        (
            {"Fn::If": ["Yes", "orders", {"Ref": "AWS::NoValue"}]},
            {"Fn::If": ["Yes", {"Fn::Sub": "orders-${StagekeeperStage}"}, {"Ref": "AWS::NoValue"}]},
        ),
        ({"Ref": "AWS::NoValue"}, {"Ref": "AWS::NoValue"}),
        # These differ from stage to stage as they are.
        ({"Fn::Sub": "orders-${StagekeeperStage}"}, {"Fn::Sub": "orders-${StagekeeperStage}"}),
        ({"Fn::Sub": "${AWS::StackName}-orders"}, {"Fn::Sub": "${AWS::StackName}-orders"}),
        ({"Fn::Sub": "${Other.QueueName}-more"}, {"Fn::Sub": "${Other.QueueName}-more"}),
        # A function's name is the same in all stages.
        ({"Fn::Sub": "${Orders}-q"}, {"Fn::Sub": "${StagekeeperOrdersName}-q-${StagekeeperStage}"}),
    ],
)
def test_however_the_name_is_written(written: Any, made: Any) -> None:
    resources = {
        "It": scoped("stage", resource("AWS::DynamoDB::Table", TableName=written)),
        "Other": scoped("stage", resource("AWS::SQS::Queue")),
    }
    sections = {"Parameters": {"Prefix": {"Type": "String"}}, "Conditions": {"Yes": {"Fn::Equals": ["a", "a"]}}}
    assert stage_resource(resources, "It", **sections)["Properties"]["TableName"] == made


@pytest.mark.parametrize(("kind", "member"), [("AWS::SQS::Queue", "QueueName"), ("AWS::SNS::Topic", "TopicName")])
@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("orders.fifo", {"Fn::Sub": "orders-${StagekeeperStage}.fifo"}),
        ({"Fn::Sub": "${Prefix}.fifo"}, {"Fn::Sub": "${Prefix}-${StagekeeperStage}.fifo"}),
        (
            {"Ref": "Prefix"},
            {"Fn::Join": ["", [{"Fn::Select": [0, {"Fn::Split": [".fifo", {"Ref": "Prefix"}]}]}, "-", STAGE, ".fifo"]]},
        ),
    ],
)
def test_a_fifo_keeps_its_ending(kind: str, member: str, written: Any, made: Any) -> None:
    flag = "FifoQueue" if member == "QueueName" else "FifoTopic"
    it = scoped("stage", resource(kind, **{member: written, flag: True}))
    assert stage_resource({"It": it}, "It", Parameters={"Prefix": {"Type": "String"}})["Properties"][member] == made


def test_a_name_without_hyphens_gets_the_stages_without_hyphens() -> None:
    made = stage_resource({"It": scoped("stage", resource("AWS::IoT::TopicRule", RuleName="rule"))}, "It")
    stage = {"Fn::Join": ["_", {"Fn::Split": ["-", SLUG]}]}
    assert made["Properties"] == {"RuleName": {"Fn::Join": ["_", ["rule", stage]]}}


def test_a_name_inside_of_a_member() -> None:
    made = stage_resource(
        {"It": scoped("stage", resource("AWS::SES::Template", Template={"TemplateName": "t", "Text": "x"}))}, "It"
    )
    assert made["Properties"] == {"Template": {"TemplateName": {"Fn::Sub": "t-${StagekeeperStage}"}, "Text": "x"}}


def test_shared_names_stay() -> None:
    assert halves({"It": resource("AWS::SQS::Queue", QueueName="q")}).service["Resources"]["It"]["Properties"] == {
        "QueueName": "q"
    }


def test_a_name_that_was_changed_is_reported() -> None:
    assert said(halves({"It": scoped("stage", resource("AWS::SQS::Queue", QueueName="q"))}), "It") == {Kind.RENAMED}


@pytest.mark.parametrize("member", ["Name", "ThingName"])
def test_a_likely_name_of_a_type_not_known_here_is_reported(member: str) -> None:
    result = halves({"It": scoped("stage", resource("AWS::Brandnew::Thing", **{member: "n"}))})
    assert said(result, "It") == {Kind.NAMED}


def test_an_export_of_the_stages_gets_its_name() -> None:
    outputs = {"Url": {"Value": {"Ref": "It"}, "Export": {"Name": "orders-url"}}}
    stage = halves({"It": scoped("stage", resource("AWS::SQS::Queue"))}, Outputs=outputs).stage
    assert stage is not None
    assert stage["Outputs"]["Url"]["Export"] == {"Name": {"Fn::Sub": "orders-url-${StagekeeperStage}"}}


# --- names that nobody can make up


@pytest.mark.parametrize("kind", sorted(FIXED))
def test_a_domain_written_out_is_refused(kind: str) -> None:
    value = [{"Name": "shop.example.com"}] if FIXED[kind] == ("RecordSets",) else "shop.example.com"
    (problem,) = problems({"It": scoped("stage", resource(kind, **{FIXED[kind][0]: value}))})
    assert (problem.logical_id, problem.line) == ("It", 30)
    assert kind in problem.sentence


def test_a_domain_with_the_stage_in_it_is_fine() -> None:
    it = resource("AWS::ApiGateway::DomainName", DomainName={"Fn::Sub": "${StagekeeperStage}.example.com"})
    assert stage_resource({"It": it}, "It") == it


def test_a_domain_from_a_parameter_may_differ_and_is_reported() -> None:
    it = scoped("stage", resource("AWS::ApiGateway::DomainName", DomainName={"Ref": "Domain"}))
    assert said(halves({"It": it}, Parameters={"Domain": {"Type": "String"}}), "It") == {Kind.NAMED}


def test_a_path_of_a_shared_domain_is_refused_unless_the_stage_is_in_it() -> None:
    api = scoped("stage", resource("AWS::ApiGateway::RestApi"))
    mapping = {"RestApiId": {"Ref": "Api"}, "DomainName": "shop.example.com"}
    (problem,) = problems({"Api": api, "It": resource("AWS::ApiGateway::BasePathMapping", **mapping)})
    assert (problem.logical_id, problem.line) == ("It", 40)
    fine = resource("AWS::ApiGateway::BasePathMapping", **mapping, BasePath=STAGE)
    assert stage_resource({"Api": api, "It": fine}, "It") == fine


# --- names that two halves have in common without a reference


def test_a_shared_policy_that_writes_out_the_name_of_a_stages_bucket_is_reported() -> None:
    role = resource(
        "AWS::IAM::Role", Policies=[{"PolicyDocument": {"Statement": [{"Resource": "arn:aws:s3:::photo-uploads/*"}]}}]
    )
    result = halves({"Uploads": scoped("stage", resource("AWS::S3::Bucket", BucketName="photo-uploads")), "Role": role})
    assert Kind.NAMED in said(result, "Role")


def test_a_permission_that_writes_out_the_name_of_its_bucket_is_reported() -> None:
    permission = resource("AWS::Lambda::Permission", FunctionName=NAME, SourceArn="arn:aws:s3:::photo-uploads")
    result = halves({"Uploads": scoped("stage", resource("AWS::S3::Bucket", BucketName="photo-uploads")), "It": permission})
    assert Kind.NAMED in said(result, "It")


def test_a_name_made_of_the_stacks_is_the_same_all_over_a_stage() -> None:
    name = "${AWS::StackName}-uploads"
    permission = resource("AWS::Lambda::Permission", FunctionName=NAME, SourceArn={"Fn::Sub": f"arn:aws:s3:::{name}"})
    result = halves({"Uploads": scoped("stage", resource("AWS::S3::Bucket", BucketName={"Fn::Sub": name})), "It": permission})
    assert Kind.NAMED not in said(result, "It")


def test_a_stages_policy_that_puts_together_the_name_of_a_shared_table_is_reported() -> None:
    table = resource("AWS::DynamoDB::Table", TableName={"Fn::Sub": "${AWS::StackName}-orders"})
    arn = {"Fn::Sub": "arn:aws:dynamodb:eu-west-1:1:table/${AWS::StackName}-orders"}
    policy = scoped("stage", resource("AWS::IAM::Policy", PolicyName="p", PolicyDocument={"Statement": [{"Resource": arn}]}))
    assert Kind.NAMED in said(halves({"Table": table, "Policy": policy}), "Policy")


# --- the tables speak of types and members that exist


@pytest.mark.parametrize(
    "kind", sorted({*NAMES, *FIXED, *TRIGGERS, *CANNOT, *OWNED, *BELONGS, *UNSEEN, *PASSIVE} - {"Custom::OrphanedVersions"})
)
def test_cloudformation_knows_what_the_tables_name(kind: str) -> None:
    members = set(PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema["properties"])
    named = {NAMES[kind].member.split(".")[0]} if kind in NAMES else set()
    named |= set(FIXED.get(kind, ())) | {path[0] for path in BELONGS.get(kind, ())}
    named |= {UNSEEN[kind]} if kind in UNSEEN else set()
    if kind in TRIGGERS:
        trigger = TRIGGERS[kind]
        named |= {path[0] for paths in (trigger.places, trigger.needs, trigger.sources, trigger.plain) for path in paths}
        named |= {trigger.qualifier} if trigger.qualifier else set()
    for table in (CANNOT, OWNED):
        named |= {path[0] for path in table.get(kind, ((), ""))[0]}
    assert named - {"*"} <= members
