"""The form of a request: what is exactly as the public interface says is taken, everything else is refused by name."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape, StringShape, StructureShape
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.configuration import OVERLAY_MEMBERS
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import CodeWish, Common, DeployRequest, DocumentRef, FunctionWish, RollbackRequest
from stagekeeper.handlers.request import parse

SECRET = "hunter2-is-the-value"
DIGEST = hashlib.sha256(b"code").digest()
BASE64 = base64.b64encode(DIGEST).decode()

API: dict[str, Any] = {"function_name": "orders-api"}
DEPLOY: dict[str, Any] = {"operation": "deploy", "service": "orders", "stage": "dev", "functions": {"api": API}}
ROLLBACK: dict[str, Any] = {"operation": "rollback", "service": "orders", "stage": "dev"}
BOTH = pytest.mark.parametrize("base", [DEPLOY, ROLLBACK], ids=["deploy", "rollback"])


def no_document(reference: DocumentRef) -> bytes | Absent | Unreadable:
    raise AssertionError(f"{reference} was read although the request holds its functions")


def taken(raw: object, read: Callable[[DocumentRef], bytes | Absent | Unreadable] = no_document) -> Any:
    request = parse(raw, read)
    assert not isinstance(request, Refusal), request.message
    return request


def invalid(raw: object, read: Callable[[DocumentRef], bytes | Absent | Unreadable] = no_document) -> str:
    """The sentence of the InvalidRequest that ``raw`` gets."""
    refusal = parse(raw, read)
    assert isinstance(refusal, Refusal), refusal
    assert refusal.code is Code.INVALID_REQUEST
    assert refusal.blockers
    return refusal.message


def function(**fields: Any) -> dict[str, Any]:
    return {**DEPLOY, "functions": {"api": {**API, **fields}}}


def code(**fields: Any) -> dict[str, Any]:
    return function(code={"s3_bucket": "artifacts", "s3_key": "api.zip", **fields})


def configuration(**members: Any) -> dict[str, Any]:
    return function(configuration=members)


# What is taken.


def test_the_least_that_a_deploy_needs() -> None:
    request = taken({"operation": "deploy", "service": "orders", "functions": {"api": API}})
    assert request == DeployRequest(Common("orders"), None, {"api": FunctionWish("orders-api")})  # type: ignore[arg-type, dict-item]
    assert request.common.lock_wait_seconds == 1800


def test_the_least_that_a_rollback_needs() -> None:
    assert taken(ROLLBACK) == RollbackRequest(Common("orders"), "dev")  # type: ignore[arg-type]


def test_everything_that_a_deploy_may_say() -> None:
    request = taken(
        {
            **DEPLOY,
            "functions": {
                "api": {
                    "function_name": "arn:aws:lambda:eu-central-1:111122223333:function:orders-api",
                    "code": {
                        "s3_bucket": "artifacts",
                        "s3_key": "api.zip",
                        "s3_object_version": "v1",
                        "sha256": BASE64,
                        "architectures": ["arm64"],
                    },
                    "configuration": {"Timeout": 5, "Environment": {"Variables": {"TOKEN": SECRET}}},
                }
            },
            "partial": True,
            "on_drift": "overwrite",
            "accept_unqualified_callers": True,
            "if_release": 3,
            "dry_run": True,
            "lock_wait_seconds": 0,
            "reason": "because",
            "actor": "ci",
            "source": {"commit": "abc", "branch": "main", "run_url": "https://ci/1"},
        }
    )
    wish = request.functions["api"]
    assert wish.code == CodeWish("artifacts", "api.zip", "v1", BASE64, ("arm64",))
    assert wish.configuration == {"Timeout": 5, "Environment": {"Variables": {"TOKEN": SECRET}}}
    assert (request.partial, request.overwrite_drift, request.accept_unqualified_callers) == (True, True, True)
    common = request.common
    assert (common.if_release, common.dry_run, common.lock_wait_seconds) == (3, True, 0)
    said = common.provenance
    assert (said.reason, said.actor, said.commit, said.branch, said.run_url) == ("because", "ci", "abc", "main", "https://ci/1")


def test_everything_that_a_rollback_may_say() -> None:
    request = taken({**ROLLBACK, "to": {"release": 4}, "on_drift": "overwrite", "allow_missing": True, "if_release": 5})
    assert (request.release, request.steps, request.overwrite_drift, request.allow_missing) == (4, None, True, True)
    assert taken({**ROLLBACK, "to": {"steps": 2}}).steps == 2


def test_only_the_members_that_were_given_are_taken() -> None:
    """A member that is left out must not come back as its default: it would replace what the function has."""
    assert taken(configuration(LoggingConfig={"LogFormat": "JSON"})).functions["api"].configuration == {
        "LoggingConfig": {"LogFormat": "JSON"}
    }


@pytest.mark.parametrize("given_as", [BASE64, DIGEST.hex(), DIGEST.hex().upper()])
def test_a_sha256_may_be_hex_or_base64(given_as: str) -> None:
    assert taken(code(sha256=given_as)).functions["api"].code.sha256 == BASE64


def test_a_request_does_not_show_its_environment() -> None:
    assert SECRET not in repr(taken(configuration(Environment={"Variables": {"TOKEN": SECRET}})))


# Names.


@pytest.mark.parametrize("name", ["a", "orders", "orders-2", "a" * 63])
def test_service_names(name: str) -> None:
    assert taken({**ROLLBACK, "service": name}).common.service == name


@pytest.mark.parametrize(
    "name", ["", "Orders", "2orders", "-orders", "orders-", "a--b", "a_b", "a" * 64, "orders\n", "ä", 3, None, ["orders"], True]
)
@BOTH
def test_bad_service_names(base: dict[str, Any], name: object) -> None:
    assert "service" in invalid({**base, "service": name})


@pytest.mark.parametrize("name", ["dev", "PROD", "7up", "a-b_c", "0-0", "a" * 63])
@BOTH
def test_stage_names(base: dict[str, Any], name: str) -> None:
    assert taken({**base, "stage": name}).stage == name


@pytest.mark.parametrize("name", ["", "1", "2024", "a" * 64, "a.b", "a/b", "dev\n", "12\n", "é", "$LATEST", 7, None, True])
@BOTH
def test_bad_stage_names(base: dict[str, Any], name: object) -> None:
    assert "stage" in invalid({**base, "stage": name})


def test_a_rollback_needs_a_stage() -> None:
    assert "stage: Field required" in invalid({"operation": "rollback", "service": "orders"})


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


# Operations.


@pytest.mark.parametrize("raw", [None, [], "deploy", 3, True])
def test_the_input_must_be_an_object(raw: object) -> None:
    assert "must be a JSON object" in invalid(raw)


@pytest.mark.parametrize("operation", ["", "Deploy", "undeploy", 3, True, ["deploy"], {}])
def test_an_unknown_operation(operation: object) -> None:
    assert "operation: must be one of deploy, rollback" in invalid({**ROLLBACK, "operation": operation})


def test_no_operation_at_all() -> None:
    assert "operation: must be one of deploy, rollback" in invalid({"service": "orders", "stage": "dev"})


@pytest.mark.parametrize("operation", ["reset", "clone", "teardown", "sweep", "adopt", "configure", "verify", "recover"])
def test_operations_of_the_interface_that_are_not_built_are_refused_by_name(operation: str) -> None:
    assert f"operation: {operation} is not in this version" in invalid({**ROLLBACK, "operation": operation})


# Fields.


@BOTH
@pytest.mark.parametrize("field", ["stages", "mode", "keep", "confirm", "settings", "Stage", "dryRun", ""])
def test_an_unknown_field_is_refused(base: dict[str, Any], field: str) -> None:
    assert f"{field}: unknown field" in invalid({**base, field: "x"})


@BOTH
@pytest.mark.parametrize("field", ["template", "parameters", "variables", "allow_shared", "target"])
def test_a_reserved_field_is_refused_as_such(base: dict[str, Any], field: str) -> None:
    assert f"{field}: reserved for a later version" in invalid({**base, field: {}})


@pytest.mark.parametrize(
    ("base", "field", "value"),
    [
        (DEPLOY, "to", {"steps": 1}),
        (DEPLOY, "allow_missing", True),
        (DEPLOY, "from", {"stage": "qa"}),
        (ROLLBACK, "functions", {"api": API}),
        (ROLLBACK, "partial", True),
        (ROLLBACK, "accept_unqualified_callers", True),
        (ROLLBACK, "from", {"stage": "qa"}),
    ],
)
def test_a_field_of_another_operation_is_refused(base: dict[str, Any], field: str, value: object) -> None:
    assert f"{field}: unknown field" in invalid({**base, field: value})


@BOTH
@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("dry_run", ["true", "yes", 1, 0, {}]),
        ("on_drift", ["Refuse", "ignore", True, 1, ""]),
        ("lock_wait_seconds", ["3", "", True, -1, 3601, 1.5, 10.0, [1]]),
        ("if_release", ["3", "r3", True, 0, -1, 1.5]),
        ("reason", [3, True, "x" * 1025, ["because"]]),
        ("actor", [3, True, "x" * 1025, {}]),
        ("source", ["abc", 3, [], True]),
    ],
)
def test_a_value_of_another_kind_is_refused(base: dict[str, Any], field: str, values: list[object]) -> None:
    for value in values:
        assert f"{field}: " in invalid({**base, field: value}), value


@pytest.mark.parametrize(
    ("base", "field"), [(DEPLOY, "partial"), (DEPLOY, "accept_unqualified_callers"), (ROLLBACK, "allow_missing")]
)
@pytest.mark.parametrize("value", ["true", 1, 0, "", []])
def test_a_flag_is_true_or_false(base: dict[str, Any], field: str, value: object) -> None:
    assert f"{field}: " in invalid({**base, field: value})


@pytest.mark.parametrize(
    "to",
    [
        {},
        {"release": 1, "steps": 1},
        {"release": 0},
        {"release": "1"},
        {"release": True},
        {"steps": 0},
        {"steps": -1},
        {"steps": "2"},
        {"steps": True},
        {"steps": 1.0},
        {"stage": "qa"},
        {"release": 1, "stage": "qa"},
        1,
        "r1",
        [1],
    ],
)
def test_a_rollback_goes_to_a_release_or_some_steps_back(to: object) -> None:
    assert "to" in invalid({**ROLLBACK, "to": to})


@pytest.mark.parametrize("field", ["partial", "if_release"])
def test_what_is_about_a_stage_needs_one(field: str) -> None:
    raw = {key: value for key, value in DEPLOY.items() if key != "stage"}
    assert f"{field}: needs a stage" in invalid({**raw, field: True if field == "partial" else 1})


@pytest.mark.parametrize("field", ["commit", "branch", "run_url"])
@pytest.mark.parametrize("value", [3, True, "x" * 1025])
def test_the_source_is_told_in_words(field: str, value: object) -> None:
    assert f"source.{field}: " in invalid({**ROLLBACK, "source": {field: value}})


def test_the_source_has_no_other_fields() -> None:
    assert "source.tag: unknown field" in invalid({**ROLLBACK, "source": {"tag": "v1"}})


# Null.


@pytest.mark.parametrize(
    "field", ["operation", "service", "stage", "to", "dry_run", "if_release", "lock_wait_seconds", "reason", "source", "unknown"]
)
def test_null_is_no_way_to_leave_a_field_out(field: str) -> None:
    assert f"{field}: null is no value; leave the field out" in invalid({**ROLLBACK, field: None})


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({**ROLLBACK, "to": {"release": None}}, "to.release"),
        ({**ROLLBACK, "source": {"commit": None}}, "source.commit"),
        ({**DEPLOY, "functions": None}, "functions"),
        ({**DEPLOY, "functions": {"api": None}}, "functions.api"),
        (function(code=None), "functions.api.code"),
        (function(configuration=None), "functions.api.configuration"),
        (code(sha256=None), "functions.api.code.sha256"),
        (code(architectures=[None]), "functions.api.code.architectures.0"),
        (configuration(Timeout=None), "functions.api.configuration.Timeout"),
        (configuration(Environment={"Variables": {"TOKEN": None}}), "functions.api.configuration.Environment.Variables.TOKEN"),
    ],
)
def test_null_is_no_value_at_any_depth(raw: dict[str, Any], place: str) -> None:
    assert f"{place}: null is no value; leave the field out" in invalid(raw)


def test_a_very_deep_request_is_refused_like_any_other() -> None:
    deep: object = None
    for _ in range(5_000):
        deep = [deep]
    assert "null is no value" in invalid({**ROLLBACK, "reason": deep})


# Functions.


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

DOCUMENT = {**DEPLOY, "functions": {"s3_bucket": "artifacts", "s3_key": "functions.json"}}
PLACE = "s3://artifacts/functions.json"


def holding(body: bytes | Absent | Unreadable) -> Callable[[DocumentRef], bytes | Absent | Unreadable]:
    def read(reference: DocumentRef) -> bytes | Absent | Unreadable:
        assert reference == DocumentRef("artifacts", "functions.json")
        return body

    return read


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


# The sentences.


def test_the_first_three_mistakes_are_told_and_all_are_named() -> None:
    refusal = parse({**ROLLBACK, "a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, no_document)
    assert isinstance(refusal, Refusal)
    assert refusal.message == ("The request is refused: a: unknown field; b: unknown field; c: unknown field; and 2 more.")
    assert len(refusal.blockers) == 5


SECRETS: list[dict[str, Any]] = [
    configuration(Environment={"Variables": {"A": SECRET}}, Timeout="x"),
    configuration(Environment={"Variables": SECRET}),
    configuration(Environment={"Variables": [SECRET]}),
    configuration(Environment={"Variables": {"A": [SECRET]}}),
    configuration(Environment={"Variables": {"A": {"B": SECRET}}}),
    configuration(Environment={"Variables": {"A": SECRET, "B": None}}),
    configuration(Environment=SECRET),
    configuration(Description=[SECRET]),
    configuration(Handler=f"{SECRET} "),
    configuration(Runtime={"x": SECRET}),
    configuration(LoggingConfig={"LogFormat": SECRET}),
    configuration(TracingConfig=SECRET),
    configuration(Unknown=SECRET),
    function(configuration=SECRET),
    function(code=SECRET),
    function(function_name=f"{SECRET}:live"),
    code(sha256=SECRET),
    code(architectures=[SECRET]),
    {**DEPLOY, "functions": {"api": SECRET}},
    {**DEPLOY, "functions": SECRET},
    {**ROLLBACK, "to": SECRET},
    {**ROLLBACK, "to": {"release": SECRET}},
    {**ROLLBACK, "service": f"{SECRET}!"},
    {**ROLLBACK, "stage": f"{SECRET}!"},
    {**ROLLBACK, "on_drift": SECRET},
    {**ROLLBACK, "dry_run": SECRET},
    {**ROLLBACK, "lock_wait_seconds": SECRET},
    {**ROLLBACK, "reason": [SECRET]},
    {**ROLLBACK, "unknown": SECRET},
    {**ROLLBACK, "operation": SECRET},
]


@pytest.mark.parametrize("raw", SECRETS)
def test_no_value_of_a_request_is_in_a_refusal(raw: dict[str, Any]) -> None:
    refusal = parse(raw, no_document)
    assert isinstance(refusal, Refusal)
    assert SECRET not in repr(refusal)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"api": "{SECRET}"}}',
        f'{{"api": {{"function_name": "orders-api", "configuration": {{"Environment": "{SECRET}"}}}}}}',
        f'{{"api": {SECRET}',
        f'"{SECRET}"',
    ],
)
def test_no_value_of_a_document_is_in_a_refusal(body: str) -> None:
    refusal = parse(DOCUMENT, holding(body.encode()))
    assert isinstance(refusal, Refusal)
    assert SECRET not in repr(refusal)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    ["operation", "service", "stage", "functions", "to", "if_release", "dry_run", "source", "reason", "partial", "else"]
)


@given(st.sampled_from([DEPLOY, ROLLBACK]), st.dictionaries(fields, json_values, max_size=3))
def test_any_input_is_taken_or_refused_and_never_breaks_anything(base: dict[str, Any], replaced: dict[str, Any]) -> None:
    answer = parse({**base, **replaced}, holding(Absent()) if "functions" in replaced else no_document)
    if isinstance(answer, Refusal):
        assert answer.code is Code.INVALID_REQUEST
        assert answer.blockers
