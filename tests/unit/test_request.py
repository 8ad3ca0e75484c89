"""The form of a request: what is exactly as the public interface says is taken, everything else is refused by name.

What is inside ``functions`` has a file of its own, test_request_functions.py, and so have the operations that move no code,
test_request_operations.py.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.facts import Absent
from stagekeeper.domain.model import LogicalName, ServiceName, StageName
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import CodeWish, Common, DeployRequest, FunctionWish, RollbackRequest
from stagekeeper.handlers.request import parse
from tests.unit.request_builders import (
    API,
    BASE64,
    DEPLOY,
    DOCUMENT,
    ROLLBACK,
    SECRET,
    code,
    configuration,
    function,
    holding,
    invalid,
    no_document,
    taken,
)

BOTH = pytest.mark.parametrize("base", [DEPLOY, ROLLBACK], ids=["deploy", "rollback"])


# What is taken.


def test_the_least_that_a_deploy_needs() -> None:
    request = taken({"operation": "deploy", "service": "orders", "functions": {"api": API}})
    assert request == DeployRequest(Common(), ServiceName("orders"), None, {LogicalName("api"): FunctionWish("orders-api")})
    assert request.common.lock_wait_seconds == 1800


def test_the_least_that_a_rollback_needs() -> None:
    assert taken(ROLLBACK) == RollbackRequest(Common(), ServiceName("orders"), StageName("dev"))


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
    assert taken({**ROLLBACK, "to": {"steps": 1}}).steps == 1
    assert taken({**ROLLBACK, "to": {"release": 1}}).release == 1


def test_a_request_does_not_show_its_environment() -> None:
    assert SECRET not in repr(taken(configuration(Environment={"Variables": {"TOKEN": SECRET}})))


# Names.


@pytest.mark.parametrize("name", ["a", "orders", "orders-2", "a" * 63])
def test_service_names(name: str) -> None:
    assert taken({**ROLLBACK, "service": name}).service == name


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
    assert "stage: is missing" in invalid({"operation": "rollback", "service": "orders"})


# Operations.


@pytest.mark.parametrize("raw", [None, [], "deploy", 3, True])
def test_the_input_must_be_an_object(raw: object) -> None:
    assert "must be a JSON object" in invalid(raw)


@pytest.mark.parametrize("operation", ["", "Deploy", "undeploy", 3, True, ["deploy"], {}])
def test_an_unknown_operation(operation: object) -> None:
    assert "operation: must be one of deploy, rollback" in invalid({**ROLLBACK, "operation": operation})


def test_no_operation_at_all() -> None:
    assert "operation: must be one of deploy, rollback" in invalid({"service": "orders", "stage": "dev"})


# Fields.


@BOTH
@pytest.mark.parametrize("field", ["stages", "mode", "keep", "confirm", "settings", "Stage", "dryRun", ""])
def test_an_unknown_field_is_refused(base: dict[str, Any], field: str) -> None:
    assert f"{field}: unknown field" in invalid({**base, field: "x"})


@BOTH
@pytest.mark.parametrize("field", ["target"])
def test_a_reserved_field_is_refused_as_such(base: dict[str, Any], field: str) -> None:
    assert f"{field}: reserved for a later version" in invalid({**base, field: {}})


@pytest.mark.parametrize(
    ("base", "field", "value"),
    [
        (DEPLOY, "to", {"steps": 1}),
        (DEPLOY, "allow_missing", True),
        (DEPLOY, "from", {"stage": "qa"}),
        (ROLLBACK, "functions", {"api": API}),
        (ROLLBACK, "template", {"s3_bucket": "artifacts", "s3_key": "t.yaml"}),
        (ROLLBACK, "parameters", {}),
        (ROLLBACK, "variables", {}),
        (ROLLBACK, "allow_shared", ["Table"]),
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


# The sentences.


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        ({"operation": "rollback", "service": "orders"}, "stage: is missing"),
        ({**ROLLBACK, "stage": 7}, "stage: must be a string"),
        ({**ROLLBACK, "dry_run": "yes"}, "dry_run: must be true or false"),
        ({**ROLLBACK, "if_release": "3"}, "if_release: must be a whole number"),
        ({**ROLLBACK, "if_release": 1.5}, "if_release: must be a whole number"),
        ({**ROLLBACK, "if_release": 0}, "if_release: must be at least 1"),
        ({**ROLLBACK, "lock_wait_seconds": 3601}, "lock_wait_seconds: must be at most 3600"),
        ({**ROLLBACK, "on_drift": "ignore"}, "on_drift: must be refuse or overwrite"),
        ({**ROLLBACK, "reason": "x" * 1025}, "reason: must have at most 1024 characters"),
        ({**ROLLBACK, "reason": "\ud800"}, "reason: must be text that can be written as UTF-8"),
        ({**ROLLBACK, "source": "abc"}, "source: must be a JSON object"),
        ({**DEPLOY, "functions": []}, "functions: must be a JSON object"),
        ({**DEPLOY, "functions": {}}, "functions: must have at least 1 entries"),
        (code(s3_key=""), "functions.api.code.s3_key: must have at least 1 characters"),
        (code(architectures="arm64"), "functions.api.code.architectures: must be a list"),
        (code(architectures=["sparc"]), "functions.api.code.architectures.0: must be x86_64 or arm64"),
        (code(architectures=["arm64", "arm64"]), "functions.api.code.architectures: must have at most 1 entries"),
    ],
)
def test_a_mistake_is_told_in_our_own_words(raw: dict[str, Any], sentence: str) -> None:
    assert sentence in invalid(raw)


def test_the_first_three_mistakes_are_told_and_all_are_named() -> None:
    refusal = parse({**ROLLBACK, "a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, no_document)
    assert isinstance(refusal, Refusal)
    assert refusal.message == ("The request is refused: a: unknown field; b: unknown field; c: unknown field; and 2 more.")
    assert len(refusal.blockers) == 5


def test_three_mistakes_are_told_without_more() -> None:
    sentence = invalid({**ROLLBACK, "a": 1, "b": 1, "c": 1})
    assert sentence == "The request is refused: a: unknown field; b: unknown field; c: unknown field."


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
