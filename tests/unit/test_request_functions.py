"""The functions of a deploy: their names, code and configuration, in the request itself or in a document in S3."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape, StringShape, StructureShape

from stagekeeper.domain.configuration import OVERLAY_MEMBERS, WITHHELD_MEMBERS
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.handlers.request import parse
from stagekeeper.handlers.request_forms import RESERVED_VARIABLES
from tests.unit.request_builders import (
    API,
    BASE64,
    DEPLOY,
    DIGEST,
    DOCUMENT,
    PLACE,
    code,
    configuration,
    function,
    holding,
    invalid,
    taken,
)

LAYER = "arn:aws:lambda:eu-central-1:017000801446:layer:Tools:7"
ROLE = "arn:aws:iam::111122223333:role/orders-api"
IMAGE = f"111122223333.dkr.ecr.eu-central-1.amazonaws.com/team/orders-api@sha256:{DIGEST.hex()}"

# Functions.


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a" * 129, "ä"])
def test_bad_logical_names(name: str) -> None:
    assert "logical name" in invalid({**DEPLOY, "functions": {name: API}})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "orders-api:live",
        "orders-api:$LATEST",
        "orders-api:7",
        "a" * 65,
        "arn:aws:lambda:eu-central-1:111122223333:function:orders-api:live",
        "arn:aws:s3:::bucket",
        "orders-api\n",
    ],
)
def test_bad_function_names(name: str) -> None:
    """A version or alias behind the name is none: what is deployed is the function."""
    assert "functions.api.function_name: function_name is a function's name or its ARN" in invalid(function(function_name=name))


@pytest.mark.parametrize("given_as", [BASE64, DIGEST.hex(), DIGEST.hex().upper()])
def test_a_sha256_may_be_hex_or_base64(given_as: str) -> None:
    """It is kept as it was given: a sentence about it says it in that form."""
    assert taken(code(sha256=given_as)).functions["api"].code.sha256 == given_as


def test_only_the_members_that_were_given_are_taken() -> None:
    """A member that is left out must not come back as its default: it would replace what the function has."""
    assert taken(configuration(LoggingConfig={"LogFormat": "JSON"})).functions["api"].configuration == {
        "LoggingConfig": {"LogFormat": "JSON"}
    }


@pytest.mark.parametrize("functions", [[], "all", 3, True, {}])
def test_the_functions_are_a_map_that_is_not_empty(functions: object) -> None:
    assert "functions: " in invalid({**DEPLOY, "functions": functions})


def test_a_deploy_needs_functions_or_a_template() -> None:
    sentence = invalid({"operation": "deploy", "service": "orders", "stage": "dev"})
    assert "give either functions or template: what is to be deployed" in sentence


@pytest.mark.parametrize("value", ["orders-api", 3, True, [], {}, {"code": {"s3_bucket": "artifacts", "s3_key": "k"}}])
def test_a_function_is_an_object_with_a_function_name(value: object) -> None:
    sentence = invalid({**DEPLOY, "functions": {"api": value}})
    assert "functions.api" in sentence
    assert "_Function" not in sentence  # what a class of ours is called helps nobody


@pytest.mark.parametrize("count", [1, 500])
def test_up_to_500_functions_are_taken(count: int) -> None:
    functions = {f"f{number}": {"function_name": f"orders-{number}"} for number in range(count)}
    assert len(taken({**DEPLOY, "functions": functions}).functions) == count


def test_501_functions_are_refused() -> None:
    functions = {f"f{number}": {"function_name": f"orders-{number}"} for number in range(501)}
    assert "at most 500" in invalid({**DEPLOY, "functions": functions})


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (function(code={"s3_key": "k"}), "code.s3_bucket: is missing"),
        (function(code={"s3_bucket": "artifacts"}), "code.s3_key: is missing"),
        (function(code="s3://artifacts/api.zip"), "code: "),
        (code(s3_key=""), "code.s3_key: "),
        (code(s3_key=7), "code.s3_key: "),
        (code(s3_bucket="x"), "code.s3_bucket: "),
        (code(s3_object_version=""), "code.s3_object_version: "),
        (code(s3_object_version=1), "code.s3_object_version: "),
        (code(sha256="abc"), "code.sha256: sha256 is 64 hex digits, or the base64 form that Lambda shows"),
        (code(sha256="z" * 64), "code.sha256: sha256 is 64 hex digits"),
        (code(sha256=BASE64[:-4]), "code.sha256: sha256 is 64 hex digits"),
        (code(sha256=7), "code.sha256: "),
        (code(architectures=[]), "code.architectures: "),
        (code(architectures=["x86_64", "arm64"]), "code.architectures: "),
        (code(architectures=["sparc"]), "code.architectures.0: "),
        (code(architectures="arm64"), "code.architectures: "),
        (code(zip_file="UEsD"), "code.zip_file: unknown field"),
        (function(code={}), "code.s3_bucket: is missing"),
        (function(alias="dev"), "alias: unknown field"),
    ],
)
def test_bad_code_is_named_by_its_place(raw: dict[str, Any], place: str) -> None:
    assert f"functions.api.{place}" in invalid(raw)


@pytest.mark.parametrize(("field", "least", "most"), [("s3_bucket", 3, 63), ("s3_key", 1, 1024), ("s3_object_version", 1, 1024)])
def test_the_place_of_code_is_as_long_as_s3_allows(field: str, least: int, most: int) -> None:
    for length in (least, most):
        taken(code(**{field: "a" * length}))
    for length in (least - 1, most + 1):
        assert f"functions.api.code.{field}: " in invalid(code(**{field: "a" * length}))


# Code in a container image.


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        (IMAGE, IMAGE),
        # A tag beside the digest says nothing more.
        (IMAGE.replace("@", ":v1.2@"), IMAGE),
        (IMAGE.replace(".com/", ".com.cn/"), IMAGE.replace(".com/", ".com.cn/")),
        (IMAGE.replace("team/orders-api", "o"), IMAGE.replace("team/orders-api", "o")),
    ],
)
def test_an_image_is_taken_by_its_digest(uri: str, address: str) -> None:
    code = taken(function(code={"image_uri": uri, "architectures": ["arm64"]})).functions["api"].code
    assert (code.image.uri, code.image.digest, code.architectures) == (address, DIGEST.hex(), ("arm64",))


@pytest.mark.parametrize(
    "uri", ["", IMAGE.partition("@")[0], IMAGE.partition("@")[0] + ":latest", IMAGE.replace("@sha256:", ":sha256-"), "orders-api"]
)
def test_an_image_without_a_digest_is_refused_as_such(uri: str) -> None:
    sentence = invalid(function(code={"image_uri": uri}))
    assert "functions.api.code.image_uri: an image is given by its digest, since a tag may be put on another image" in sentence


@pytest.mark.parametrize(
    "uri",
    [
        IMAGE[:-1],
        IMAGE + "0",
        IMAGE.replace(DIGEST.hex(), DIGEST.hex().upper()),
        IMAGE.replace(DIGEST.hex(), "z" * 64),
        IMAGE.replace("111122223333", "1111"),
        IMAGE.replace("amazonaws.com", "example.com"),
        IMAGE.replace("dkr.ecr.eu-central-1.amazonaws.com", "public.ecr.aws"),
        IMAGE.replace("team/orders-api", "Orders"),
        IMAGE.replace("team/", "team//"),
        IMAGE.replace("@", ":@"),
        f"https://{IMAGE}",
        f"{IMAGE}\n",
    ],
)
def test_an_image_that_is_not_in_amazon_ecr_is_refused_with_the_form_it_must_have(uri: str) -> None:
    sentence = invalid(function(code={"image_uri": uri}))
    assert "ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:DIGEST, the digest with 64 hex digits" in sentence


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"image_uri": 7}, "image_uri: must be a string"),
        ({"image_uri": IMAGE, "sha256": BASE64}, "sha256: not beside image_uri"),
        ({"image_uri": IMAGE, "s3_bucket": "artifacts", "s3_key": "k"}, "s3_bucket: not beside image_uri"),
        ({"image_uri": IMAGE, "architectures": ["sparc"]}, "architectures.0: must be x86_64 or arm64"),
        ({"image_uri": IMAGE, "tag": "v1"}, "tag: unknown field"),
    ],
)
def test_what_else_is_wrong_with_an_image_is_named_by_its_place(fields: dict[str, Any], place: str) -> None:
    assert f"functions.api.code.{place}" in invalid(function(code=fields))


# Configuration.


@pytest.mark.parametrize("member", ["timeout", "FunctionName", "RevisionId", "Architectures", "ImageConfigResponse", "image_uri"])
def test_what_is_no_member_is_refused_with_those_that_are(member: str) -> None:
    sentence = invalid(configuration(**{member: "x"}))
    assert f"functions.api.configuration.{member}: not among the members that may be given: DeadLetterConfig, Desc" in sentence


@pytest.mark.parametrize(
    ("member", "why"),
    [
        ("KMSKeyArn", "kms:CreateGrant"),
        ("FileSystemConfigs", "mount targets"),
        ("CapacityProviderConfig", "what a function runs on"),
        ("DurableConfig", "made durable"),
    ],
)
def test_a_member_that_cannot_be_given_is_refused_with_the_reason(member: str, why: str) -> None:
    sentence = invalid(configuration(**{member: "x"}))
    assert f"functions.api.configuration.{member}: cannot be given: " in sentence
    assert why in sentence
    assert "The function keeps what it has" in sentence


def test_every_member_of_lambda_is_taken_or_refused_with_a_reason() -> None:
    assert OVERLAY_MEMBERS | WITHHELD_MEMBERS.keys() == set(SHAPES.members) - {"FunctionName", "RevisionId"}


@pytest.mark.parametrize(
    ("member", "value", "place"),
    [
        ("Timeout", "30", "Timeout"),
        ("Timeout", True, "Timeout"),
        ("Timeout", 0, "Timeout"),
        ("MemorySize", 127, "MemorySize"),
        ("MemorySize", 128.0, "MemorySize"),
        ("Handler", "app handler", "Handler"),
        ("Handler", "", "Handler"),
        ("Description", "x" * 257, "Description"),
        ("Description", 3, "Description"),
        ("Environment", {}, "Environment.Variables"),
        ("Environment", {"TOKEN": "x"}, "Environment.Variables"),
        ("Environment", {"Variables": {"TOKEN": 3}}, "Environment.Variables.TOKEN"),
        ("Environment", {"Variables": {"TOKEN": True}}, "Environment.Variables.TOKEN"),
        ("Environment", {"Variables": {"1TOKEN": "x"}}, "Environment.Variables.1TOKEN"),
        ("Environment", {"Variables": {"TO-KEN": "x"}}, "Environment.Variables.TO-KEN"),
        ("Environment", {"Variables": ["TOKEN"]}, "Environment.Variables"),
        ("EphemeralStorage", {"Size": 511}, "EphemeralStorage.Size"),
        ("EphemeralStorage", 512, "EphemeralStorage"),
        ("LoggingConfig", {"LogFormat": "XML"}, "LoggingConfig.LogFormat"),
        ("LoggingConfig", {"LogGroup": "a b"}, "LoggingConfig.LogGroup"),
        ("LoggingConfig", {"Level": "INFO"}, "LoggingConfig.Level"),
        ("SnapStart", {"ApplyOn": "All"}, "SnapStart.ApplyOn"),
        ("DeadLetterConfig", {}, "DeadLetterConfig.TargetArn"),
        ("DeadLetterConfig", {"TargetArn": "dead"}, "DeadLetterConfig.TargetArn"),
        ("DeadLetterConfig", {"TargetArn": "arn:aws:lambda:eu-central-1:111122223333:f"}, "DeadLetterConfig.TargetArn"),
        ("ImageConfig", {"Command": "serve"}, "ImageConfig.Command"),
        ("ImageConfig", {"Cmd": ["serve"]}, "ImageConfig.Cmd"),
        ("Layers", LAYER, "Layers"),
        ("Layers", [LAYER] * 6, "Layers"),
        ("Layers", [LAYER.removesuffix(":7")], "Layers.0"),
        ("Role", "orders", "Role"),
        ("Role", "arn:aws:iam::111122223333:user/jane", "Role"),
        ("Role", f"{ROLE}\n", "Role"),
        ("VpcConfig", {"SubnetIds": ["subnet-1"]}, "VpcConfig.SecurityGroupIds"),
        ("VpcConfig", {"SecurityGroupIds": ["sg-1"]}, "VpcConfig.SubnetIds"),
        ("VpcConfig", {"SubnetIds": ["subnet-1"], "SecurityGroupIds": []}, "VpcConfig"),
        ("VpcConfig", {"SubnetIds": ["vpc-1"], "SecurityGroupIds": ["sg-1"]}, "VpcConfig.SubnetIds.0"),
        ("VpcConfig", {"SubnetIds": ["subnet-1"] * 17, "SecurityGroupIds": ["sg-1"]}, "VpcConfig.SubnetIds"),
        ("VpcConfig", {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"] * 6}, "VpcConfig.SecurityGroupIds"),
        ("TracingConfig", {"Mode": "On"}, "TracingConfig.Mode"),
    ],
)
def test_a_member_that_aws_would_refuse_is_refused_before_any_effect(member: str, value: object, place: str) -> None:
    assert f"functions.api.configuration.{place}: " in invalid(configuration(**{member: value}))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("DeadLetterConfig", {"TargetArn": "arn:aws:sqs:eu-central-1:111122223333:dead.fifo"}),
        ("DeadLetterConfig", {"TargetArn": "arn:aws-cn:sns:cn-north-1:111122223333:dead"}),
        ("DeadLetterConfig", {"TargetArn": ""}),
        ("ImageConfig", {}),
        ("ImageConfig", {"EntryPoint": ["/bin/app"], "Command": ["serve", ""], "WorkingDirectory": "/srv"}),
        ("Layers", []),
        ("Layers", [LAYER] * 5),
        ("Role", ROLE),
        ("Role", "arn:aws-us-gov:iam::111122223333:role/service/team/orders+api"),
        ("VpcConfig", {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"], "Ipv6AllowedForDualStack": True}),
        ("VpcConfig", {"SubnetIds": [], "SecurityGroupIds": []}),
    ],
)
def test_a_member_is_taken_as_aws_spells_it(member: str, value: object) -> None:
    assert taken(configuration(**{member: value})).functions["api"].configuration == {member: value}


@pytest.mark.parametrize("name", sorted(RESERVED_VARIABLES))
def test_a_variable_that_lambda_sets_itself_is_refused_by_name(name: str) -> None:
    sentence = invalid(configuration(Environment={"Variables": {name: "x"}}))
    assert f"Environment.Variables.{name}: Lambda sets this variable itself" in sentence


@pytest.mark.parametrize("name", ["AWS_LAMBDA_EXEC_WRAPPER", "AWS_XRAY_CONTEXT_MISSING", "TZ", "PATH", "LANG", "PYTHONPATH"])
def test_a_variable_that_lambda_lets_people_set_is_taken(name: str) -> None:
    taken(configuration(Environment={"Variables": {name: "x"}}))


SHAPES: Any = botocore.session.get_session().get_service_model("lambda").shape_for("UpdateFunctionConfigurationRequest")


def leaves(shape: Shape, value: Callable[[Any], dict[str, Any]]) -> list[tuple[str, Shape, Callable[[Any], dict[str, Any]]]]:
    """Every plain value inside a member: its name, its shape, and how a member with it is spelled."""
    if not isinstance(shape, StructureShape):
        return [(shape.name, shape, value)]
    found = []
    for name, inner in shape.members.items():
        found += leaves(inner, lambda x, name=name: value({name: x}))  # type: ignore[misc]
    return found


LEAVES = [
    (name, shape, spell)
    for member in sorted(OVERLAY_MEMBERS)
    for name, shape, spell in leaves(SHAPES.members[member], lambda x, member=member: {member: x})  # type: ignore[misc]
]


#: Lambda quotas. The greater numbers of the service model are for managed instances.
MOST_FOR_ORDINARY_FUNCTIONS = {"MemorySize": 10_240, "Timeout": 900}


@pytest.mark.parametrize(("shape", "spell"), [pytest.param(s, m, id=n) for n, s, m in LEAVES if s.type_name == "integer"])
def test_numbers_are_bounded_as_aws_bounds_them(shape: Shape, spell: Callable[[Any], dict[str, Any]]) -> None:
    least, most = shape.metadata["min"], MOST_FOR_ORDINARY_FUNCTIONS.get(shape.name, shape.metadata["max"])
    taken(configuration(**spell(least)))
    taken(configuration(**spell(most)))
    invalid(configuration(**spell(least - 1)))
    invalid(configuration(**spell(most + 1)))


@pytest.mark.parametrize(
    ("shape", "spell"),
    [pytest.param(s, m, id=n) for n, s, m in LEAVES if isinstance(s, StringShape) and s.enum and n != "Runtime"],
)
def test_choices_are_those_of_aws(shape: StringShape, spell: Callable[[Any], dict[str, Any]]) -> None:
    for choice in shape.enum:
        taken(configuration(**spell(choice)))
    invalid(configuration(**spell("Else")))


def test_a_runtime_that_is_newer_than_this_program_is_left_to_aws() -> None:
    taken(configuration(Runtime="python3.99"))


def test_every_member_that_may_be_given_is_known_to_the_parser() -> None:
    sentence = invalid(configuration(Else=1))
    assert sentence.count(",") == len(OVERLAY_MEMBERS) - 1
    for member in OVERLAY_MEMBERS:
        assert "not among" not in invalid(configuration(**{member: object}))


# Functions in a document of their own.


def test_the_functions_may_lie_in_s3() -> None:
    assert taken(DOCUMENT, holding(json.dumps({"api": API}).encode())) == taken(DEPLOY)


def test_a_document_that_is_not_there() -> None:
    refusal = parse(DOCUMENT, holding(Absent()))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.blockers) == (Code.ARTIFACT_MISSING, (PLACE,))
    assert f"{PLACE} does not exist. Upload it first." in refusal.message


def test_a_document_that_cannot_be_read() -> None:
    refusal = parse(DOCUMENT, holding(Unreadable(PLACE, "AccessDenied: no")))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.blockers) == (Code.UNREADABLE, (PLACE,))
    assert "AccessDenied: no" in refusal.message


@pytest.mark.parametrize("body", [b"", b"api: {}", b"{", b"\xff\xfe\xff", b"[" * 200_000])
def test_a_document_that_is_not_json(body: bytes) -> None:
    assert f"functions: {PLACE} is not JSON" in invalid(DOCUMENT, holding(body))


@pytest.mark.parametrize("body", [b"[]", b"null", b"3", b'"x"', b"true"])
def test_a_document_that_is_no_object(body: bytes) -> None:
    assert f"{PLACE} must hold a JSON object" in invalid(DOCUMENT, holding(body))


def test_a_null_in_a_document_is_named_by_its_place() -> None:
    body = json.dumps({"api": {**API, "code": None}}).encode()
    assert f"{PLACE}.api.code: null is no value" in invalid(DOCUMENT, holding(body))


@pytest.mark.parametrize("inside", [{}, {"api": {}}, {"api": {**API, "x": 1}}, DOCUMENT["functions"]])
def test_what_is_wrong_in_a_document_is_wrong_as_in_the_request(inside: object) -> None:
    """A document cannot point at another one."""
    assert f"functions ({PLACE})" in invalid(DOCUMENT, holding(json.dumps(inside).encode()))


def test_501_functions_in_a_document_are_refused() -> None:
    functions = {f"f{number}": {"function_name": f"orders-{number}"} for number in range(501)}
    assert "at most 500" in invalid(DOCUMENT, holding(json.dumps(functions).encode()))


@pytest.mark.parametrize(
    "functions",
    [
        {"s3_bucket": "artifacts"},
        {"s3_key": "functions.json"},
        {"s3_bucket": "artifacts", "s3_key": 3},
        {"s3_bucket": "artifacts", "s3_key": ""},
        {"s3_bucket": "", "s3_key": "functions.json"},
        {"s3_bucket": "artifacts", "s3_key": "functions.json", "sha256": BASE64},
    ],
)
def test_a_document_is_named_by_bucket_and_key_and_nothing_else(functions: dict[str, Any]) -> None:
    assert "functions" in invalid({**DEPLOY, "functions": functions})
