"""The functions of a deploy: their names, code and configuration, in the request itself or in a document in S3."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape, StringShape, StructureShape

from stagekeeper.domain.configuration import OVERLAY_MEMBERS
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.handlers.request import parse
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
    assert taken(code(sha256=given_as)).functions["api"].code.sha256 == BASE64


def test_only_the_members_that_were_given_are_taken() -> None:
    """A member that is left out must not come back as its default: it would replace what the function has."""
    assert taken(configuration(LoggingConfig={"LogFormat": "JSON"})).functions["api"].configuration == {
        "LoggingConfig": {"LogFormat": "JSON"}
    }


@pytest.mark.parametrize("functions", [[], "all", 3, True, {}])
def test_the_functions_are_a_map_that_is_not_empty(functions: object) -> None:
    assert "functions: " in invalid({**DEPLOY, "functions": functions})


def test_a_deploy_needs_functions() -> None:
    assert "functions: Field required" in invalid({"operation": "deploy", "service": "orders", "stage": "dev"})


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
        (function(code={"s3_key": "k"}), "code.s3_bucket: Field required"),
        (function(code={"s3_bucket": "artifacts"}), "code.s3_key: Field required"),
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
        (function(code={"image_uri": "1.dkr.ecr/x@sha256:0"}), "code.image_uri: container images are not in this version"),
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


# Configuration.


@pytest.mark.parametrize(
    "member", ["Role", "Layers", "VpcConfig", "KMSKeyArn", "DeadLetterConfig", "FileSystemConfigs", "timeout"]
)
def test_a_member_that_may_not_be_given_is_refused_with_those_that_may(member: str) -> None:
    sentence = invalid(configuration(**{member: "x"}))
    assert f"functions.api.configuration.{member}: not among the members that may be given: Description, Environment," in sentence


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
        ("TracingConfig", {"Mode": "On"}, "TracingConfig.Mode"),
    ],
)
def test_a_member_that_aws_would_refuse_is_refused_before_any_effect(member: str, value: object, place: str) -> None:
    assert f"functions.api.configuration.{place}: " in invalid(configuration(**{member: value}))


SHAPES = botocore.session.get_session().get_service_model("lambda").shape_for("UpdateFunctionConfigurationRequest")


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
    for name, shape, spell in leaves(SHAPES.members[member], lambda x, member=member: {member: x})  # type: ignore[misc, attr-defined]
]


@pytest.mark.parametrize(("shape", "spell"), [pytest.param(s, m, id=n) for n, s, m in LEAVES if s.type_name == "integer"])
def test_numbers_are_bounded_as_aws_bounds_them(shape: Shape, spell: Callable[[Any], dict[str, Any]]) -> None:
    least, most = shape.metadata["min"], shape.metadata["max"]
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
