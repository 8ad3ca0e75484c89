"""What a template points at on disk: found wherever it may stand, left alone where it is none, refused where it is unknown."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.split_model import Source
from stagekeeper.packaging.local import Form, Kind, Local, Pointer, local

IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/orders@sha256:{'0' * 64}"
FUNCTION, PLAIN = "AWS::Serverless::Function", "AWS::Lambda::Function"


def look(resources: dict[str, Any], **sections: Any) -> Local:
    return local(Source({**sections, "Resources": resources}))


def of(kind: str, **properties: Any) -> dict[str, Any]:
    """The resources of a template with one, called It."""
    return {"It": {"Type": kind, "Properties": properties}}


def refused(found: Local) -> str:
    """The one sentence that it is refused with."""
    (problem,) = found.problems
    return problem.sentence


MEMBERS = [
    (FUNCTION, "CodeUri", Kind.ZIP, Form.URI),
    ("AWS::Serverless::LayerVersion", "ContentUri", Kind.ZIP, Form.URI),
    ("AWS::Serverless::StateMachine", "DefinitionUri", Kind.TEXT, Form.URI),
    ("AWS::Serverless::Api", "DefinitionUri", Kind.TEXT, Form.URI),
    ("AWS::Serverless::HttpApi", "DefinitionUri", Kind.TEXT, Form.URI),
    (PLAIN, "Code", Kind.ZIP, Form.CODE),
    ("AWS::Lambda::LayerVersion", "Content", Kind.ZIP, Form.CODE),
    ("AWS::StepFunctions::StateMachine", "DefinitionS3Location", Kind.TEXT, Form.PLACE),
    ("AWS::ApiGateway::RestApi", "BodyS3Location", Kind.TEXT, Form.PLACE),
    ("AWS::ApiGatewayV2::Api", "BodyS3Location", Kind.TEXT, Form.PLACE),
]
each_member = pytest.mark.parametrize(("kind", "member"), [member[:2] for member in MEMBERS])


@pytest.mark.parametrize(("kind", "member", "leads_to", "form"), MEMBERS)
def test_a_path_is_found(kind: str, member: str, leads_to: Kind, form: Form) -> None:
    found = look(of(kind, **{member: "some/where"}))

    assert found == Local((Pointer(("Resources", "It", "Properties", member), "some/where", leads_to, form, ("It",)),), ())


ELSEWHERE: list[Any] = [
    "s3://bucket/key",
    "https://bucket.s3.amazonaws.com/key",
    "{{resolve:ssm:where}}",
    {"Bucket": "b", "Key": "k"},
    {"S3Bucket": "b", "S3Key": "k"},
    {"Ref": "Where"},
    {"Fn::Sub": "s3://${Bucket}/key"},
    {"Fn::If": ["Prod", "s3://bucket/one", {"Bucket": "b", "Key": "k"}]},
]


@each_member
@pytest.mark.parametrize("value", ELSEWHERE, ids=str)
def test_what_lies_elsewhere_or_is_computed_is_left_alone(kind: str, member: str, value: object) -> None:
    assert look(of(kind, **{member: value})) == Local((), ())


@each_member
def test_a_file_url_is_a_path_in_disguise(kind: str, member: str) -> None:
    assert [each.value for each in look(of(kind, **{member: "file:///code"})).pointers] == ["file:///code"]


@each_member
@pytest.mark.parametrize(
    "value", [{"Fn::If": ["A", "src/", "s3://b/k"]}, {"Fn::If": ["A", {"Fn::If": ["B", "s3://b/k", "src/"]}, "s3://b/k"]}]
)
def test_a_choice_with_a_path_in_it_is_refused(kind: str, member: str, value: object) -> None:
    found = look(of(kind, **{member: value}))

    assert f"It: {member} is a choice (Fn::If) with the local path src/" in refused(found)


def test_functions_take_the_path_of_globals_and_all_of_them_are_its_users() -> None:
    resources = {name: {"Type": FUNCTION, "Properties": {}} for name in ("A", "B")}
    resources["C"] = {"Type": FUNCTION, "Properties": {"CodeUri": "c/"}}

    found = look(resources, Globals={"Function": {"CodeUri": "src/"}})

    assert [(each.path, each.users) for each in found.pointers] == [
        (("Globals", "Function", "CodeUri"), ("A", "B")),
        (("Resources", "C", "Properties", "CodeUri"), ("C",)),
    ]


def test_a_path_of_globals_that_no_function_takes_is_none() -> None:
    """`sam build` leaves it, and it leads nowhere from its folder."""
    functions = {
        "Built": {"Type": FUNCTION, "Properties": {"CodeUri": "s3://b/k"}},
        "Inline": {"Type": FUNCTION, "Properties": {"InlineCode": "pass"}},
        "Image": {"Type": FUNCTION, "Properties": {"PackageType": "Image", "ImageUri": IMAGE}},
    }

    assert look(functions, Globals={"Function": {"CodeUri": "src/"}}) == Local((), ())


def test_an_api_takes_the_definition_of_globals() -> None:
    found = look(of("AWS::Serverless::Api", StageName="x"), Globals={"Api": {"DefinitionUri": "api.yaml"}})

    assert [each.path for each in found.pointers] == [("Globals", "Api", "DefinitionUri")]


@pytest.mark.parametrize("member", [{}, {"CodeUri": None}, {"CodeUri": ""}])
def test_a_function_without_code_is_refused(member: dict[str, Any]) -> None:
    assert "It has no CodeUri and no InlineCode" in refused(look(of(FUNCTION, Handler="a.b", **member)))


@pytest.mark.parametrize(
    "resources",
    [
        of(FUNCTION, InlineCode="pass"),
        of(PLAIN, Code={"ZipFile": "pass"}),
        of(FUNCTION, PackageType="Image", ImageUri=IMAGE),
        of(FUNCTION, PackageType="Image", ImageUri={"Ref": "Image"}),
        of(PLAIN, PackageType="Image", Code={"ImageUri": IMAGE}),
        of(PLAIN, Code={"ImageUri": {"Fn::Sub": "${Repository}@sha256:${Digest}"}}),
        of("AWS::Serverless::Api", StageName="x", DefinitionBody={"openapi": "3.0.1"}),
        of("AWS::Serverless::StateMachine", Definition={"StartAt": "A"}),
        of("AWS::CloudFormation::Stack", TemplateURL="https://bucket.s3.amazonaws.com/nested.yaml"),
        of("AWS::Serverless::Application", Location={"ApplicationId": "a", "SemanticVersion": "1.0.0"}),
        of("Custom::Importer", CodeUri="is/its/own/affair"),
        of("AWS::SQS::Queue", QueueName="src/"),
    ],
    ids=str,
)
def test_nothing_to_package(resources: dict[str, Any]) -> None:
    assert look(resources) == Local((), ())


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"PackageType": "Image", "ImageUri": "orders:latest"}, "the ImageUri orders:latest names no digest"),
        ({"PackageType": "Image", "ImageUri": IMAGE.split("@")[0] + ":v1"}, "orders:v1 names no digest"),
        ({"PackageType": "Image", "ImageUri": "sha256:" + "0" * 64}, "names no digest in a registry"),
        ({"PackageType": "Image"}, "it is a container image and has no ImageUri"),
    ],
)
def test_an_image_that_is_not_in_a_registry_by_its_digest_is_refused(properties: dict[str, Any], named: str) -> None:
    found = look(of(FUNCTION, **properties), Globals={"Function": {"CodeUri": "src/"}})

    assert named in refused(found)
    assert "Push the image" in refused(found)
    assert found.pointers == ()


def test_so_is_one_of_a_plain_function() -> None:
    assert "names no digest" in refused(look(of(PLAIN, Code={"ImageUri": "orders:latest"})))


@pytest.mark.parametrize(
    "resources",
    [
        of("AWS::Serverless::Application", Location="nested/template.yaml"),
        of("AWS::CloudFormation::Stack", TemplateURL="./nested.yaml"),
    ],
    ids=str,
)
def test_a_nested_stack_of_a_local_template_is_refused(resources: dict[str, Any]) -> None:
    assert "It is a nested stack of the local template" in refused(look(resources))


@pytest.mark.parametrize(
    ("resources", "member"),
    [
        (of("AWS::CloudFormation::StackSet", TemplateURL="set.yaml"), "TemplateURL"),
        (of("AWS::AppSync::GraphQLSchema", DefinitionS3Location="schema.graphql"), "DefinitionS3Location"),
        (of("AWS::AppSync::Resolver", RequestMappingTemplateS3Location="r.vtl"), "RequestMappingTemplateS3Location"),
        (of("AWS::AppSync::FunctionConfiguration", CodeS3Location="f.js"), "CodeS3Location"),
        (of("AWS::Serverless::GraphQLApi", SchemaUri="schema.graphql"), "SchemaUri"),
        (of("AWS::Serverless::GraphQLApi", Functions={"F": {"CodeUri": "f.js"}}), "Functions.F.CodeUri"),
        (of("AWS::Glue::Job", Command={"ScriptLocation": "job.py"}), "Command.ScriptLocation"),
        (of("AWS::ElasticBeanstalk::ApplicationVersion", SourceBundle="app.zip"), "SourceBundle"),
        (of("AWS::CloudFormation::ModuleVersion", ModulePackage="module/"), "ModulePackage"),
        (of("AWS::CloudFormation::ResourceVersion", SchemaHandlerPackage="handler.zip"), "SchemaHandlerPackage"),
        (of("AWS::Serverless::WebFunction", CodeUri="src/"), "CodeUri"),
        (of("AWS::Serverless::NotInventedYet", Parts=[{"ContentUri": "part/"}]), "Parts.0.ContentUri"),
        (of("AWS::StepFunctions::StateMachine", DefinitionUri="machine.json"), "DefinitionUri"),
    ],
    ids=str,
)
def test_a_local_address_in_any_other_place_is_refused(resources: dict[str, Any], member: str) -> None:
    assert f"takes its {member} from the local" in refused(look(resources))


def test_a_problem_says_its_line_or_the_nearest_one() -> None:
    resources = {**of(FUNCTION, PackageType="Image", ImageUri="orders:latest"), "Bare": {"Type": FUNCTION, "Properties": {}}}
    lines = {("Resources", "It"): 2, ("Resources", "It", "Properties", "ImageUri"): 5, ("Resources", "Bare"): 6}

    found = local(Source({"Resources": resources}, lines))

    assert [(problem.logical_id, problem.line) for problem in found.problems] == [("It", 5), ("Bare", 6)]


@pytest.mark.parametrize("body", [{}, {"Resources": None}, {"Resources": {"A": "no resource", "B": {"Properties": {}}}}])
def test_what_is_no_template_has_nothing(body: dict[str, Any]) -> None:
    """The control plane says what is wrong with it."""
    assert local(Source(body)) == Local((), ())
