"""What a command sends is what the public interface takes, and says no more than was said."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.cli import requests
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.requests import Content, Head, Origin, Request, Said
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import LogicalName, OperationId, Provenance, ReleaseNumber, ServiceName, StageName
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import (
    AdoptRequest,
    CloneRequest,
    Common,
    ConfigureRequest,
    DeployRequest,
    DocumentRef,
    FunctionWish,
    RecoverRequest,
    ResetRequest,
    RollbackRequest,
    Secret,
    SweepRequest,
    TeardownRequest,
    TemplateWish,
    VerifyRequest,
)
from stagekeeper.domain.request import Request as Parsed
from stagekeeper.handlers.request import parse

ORDERS = Head("orders")
DEV = Head("orders", "dev")
SERVICE, STAGE = ServiceName("orders"), StageName("dev")
DOCUMENT = {"s3_bucket": "artifacts", "s3_key": "code/orders/functions.json"}
TEMPLATE = {"s3_bucket": "artifacts", "s3_key": "code/orders/template.yaml"}
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:payment-AbCdEf"
LATER = datetime(2026, 11, 21, 15, 4, 5, tzinfo=UTC)


def read_document(reference: DocumentRef) -> bytes | Absent | Unreadable:
    assert (reference.s3_bucket, reference.s3_key) == tuple(DOCUMENT.values())
    return json.dumps({"Api": {"function_name": "orders-api"}}).encode()


def taken(request: Request) -> Parsed:
    """What the product's own parser makes of it, after the way that it travels."""
    parsed = parse(json.loads(json.dumps(request)), read_document)
    assert not isinstance(parsed, Refusal), parsed.message
    return parsed


# What each command sends.


@pytest.mark.parametrize(
    ("request_", "means"),
    [
        (
            requests.deploy(DEV, Content(functions=DOCUMENT)),
            DeployRequest(Common(), SERVICE, STAGE, {LogicalName("Api"): FunctionWish("orders-api")}),
        ),
        (
            requests.deploy(
                DEV,
                Content(functions=DOCUMENT),
                partial=True,
                on_drift="overwrite",
                accept_unqualified_callers=True,
            ),
            DeployRequest(
                Common(),
                SERVICE,
                STAGE,
                {LogicalName("Api"): FunctionWish("orders-api")},
                partial=True,
                overwrite_drift=True,
                accept_unqualified_callers=True,
            ),
        ),
        (
            requests.deploy(ORDERS, Content(functions=DOCUMENT)),
            DeployRequest(Common(), SERVICE, None, {LogicalName("Api"): FunctionWish("orders-api")}),
        ),
        (
            requests.deploy(
                DEV,
                Content(template=TEMPLATE, parameters={"Size": "1"}, allow_shared=["Table"]),
                variables={"LOG": "debug", "KEY": {"secret": ARN}},
            ),
            DeployRequest(
                Common(),
                SERVICE,
                STAGE,
                {},
                template=TemplateWish("artifacts", "code/orders/template.yaml", None, {"Size": "1"}, ("Table",)),
                variables={"LOG": "debug", "KEY": Secret(ARN)},
            ),
        ),
        (
            requests.deploy(DEV, Content(template=TEMPLATE), variables={}),
            DeployRequest(
                Common(), SERVICE, STAGE, {}, template=TemplateWish("artifacts", "code/orders/template.yaml"), variables={}
            ),
        ),
        (requests.rollback(DEV), RollbackRequest(Common(), SERVICE, STAGE)),
        (requests.rollback(DEV, steps=2), RollbackRequest(Common(), SERVICE, STAGE, steps=2)),
        (
            requests.rollback(DEV, to_release=3, on_drift="overwrite", allow_missing=True),
            RollbackRequest(Common(), SERVICE, STAGE, ReleaseNumber(3), None, overwrite_drift=True, allow_missing=True),
        ),
        (requests.reset(DEV, to_stage="prod"), ResetRequest(Common(), SERVICE, STAGE, StageName("prod"))),
        (
            requests.reset(DEV, to_release=3, on_drift="refuse", allow_missing=True),
            ResetRequest(Common(), SERVICE, STAGE, ReleaseNumber(3), allow_missing=True),
        ),
        (requests.clone(DEV, "prod"), CloneRequest(Common(), SERVICE, STAGE, StageName("prod"))),
        (
            requests.clone(DEV, "prod", variables={"LOG": "debug"}, allow_missing=True),
            CloneRequest(Common(), SERVICE, STAGE, StageName("prod"), allow_missing=True, variables={"LOG": "debug"}),
        ),
        (requests.teardown(DEV, confirm="dev"), TeardownRequest(Common(), SERVICE, STAGE, "dev")),
        (requests.teardown(ORDERS, confirm="orders"), TeardownRequest(Common(), SERVICE, None, "orders")),
        (requests.sweep(Head()), SweepRequest(Common(), None)),
        (
            requests.sweep(ORDERS, delete=True, keep=0, rollback_depth=0, grace_hours=0),
            SweepRequest(Common(), SERVICE, delete=True, keep=0, rollback_depth=0, grace_hours=0),
        ),
        (requests.adopt(ORDERS), AdoptRequest(Common(), SERVICE)),
        (
            requests.adopt(ORDERS, stages=["dev"], functions={"Api": "orders-api"}, accept_unqualified_callers=True),
            AdoptRequest(Common(), SERVICE, None, (STAGE,), {LogicalName("Api"): "orders-api"}, accept_unqualified_callers=True),
        ),
        (requests.configure(DEV, protected=False), ConfigureRequest(Common(), SERVICE, STAGE, protected=False)),
        (requests.configure(DEV, description=""), ConfigureRequest(Common(), SERVICE, STAGE, description="")),
        (requests.verify(ORDERS), VerifyRequest(Common(), SERVICE)),
        (requests.verify(DEV), VerifyRequest(Common(), SERVICE, STAGE)),
        (requests.recover(Head()), RecoverRequest(Common())),
        (
            requests.recover(ORDERS, "orders-dev-42"),
            RecoverRequest(Common(), SERVICE, OperationId("orders-dev-42")),
        ),
    ],
    ids=lambda value: f"{value['operation']}-{len(value)}" if isinstance(value, dict) else "",
)
def test_the_request_is_taken_and_means_what_was_said(request_: Request, means: Parsed) -> None:
    assert taken(request_) == means


def test_what_every_operation_takes_is_passed_on() -> None:
    said = Said("too slow", 60, dry_run=True)
    origin = Origin("CORP\\Jane", "0123abc", "feature/x", "https://ci.example/7")

    request = requests.rollback(Head("orders", "dev", 7, said, origin))

    provenance = Provenance("CORP\\Jane", "too slow", "0123abc", "feature/x", "https://ci.example/7")
    assert taken(request) == RollbackRequest(Common(True, 60, ReleaseNumber(7), provenance), SERVICE, STAGE)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (requests.rollback(DEV), {"operation", "service", "stage"}),
        (requests.sweep(Head()), {"operation"}),
        (requests.recover(Head()), {"operation"}),
        (requests.clone(DEV, "prod"), {"operation", "service", "stage", "from"}),
        (requests.deploy(DEV, Content(template=TEMPLATE)), {"operation", "service", "stage", "template"}),
        (requests.deploy(DEV, Content(functions=DOCUMENT)), {"operation", "service", "stage", "functions"}),
        (requests.rollback(Head("orders", "dev", origin=Origin(actor="jane"))), {"operation", "service", "stage", "actor"}),
        (
            requests.rollback(Head("orders", "dev", said=Said(lock_wait=0))),
            {"operation", "service", "stage", "lock_wait_seconds"},
        ),
    ],
)
def test_what_was_not_said_is_left_out(request_: Request, fields: set[str]) -> None:
    assert request_.keys() == fields


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        (Origin(commit="0123abc"), {"commit": "0123abc"}),
        (Origin(branch="main", run_url="https://ci.example/7"), {"branch": "main", "run_url": "https://ci.example/7"}),
    ],
)
def test_the_source_has_what_is_known(origin: Origin, source: dict[str, str]) -> None:
    assert requests.verify(Head("orders", origin=origin))["source"] == source


# What options spell.


@pytest.mark.parametrize(
    ("given", "on_record", "expected"),
    [
        (None, None, None),
        (None, 7, 7),
        ("6", 7, 6),
        ("r6", 7, 6),
        ("6", None, 6),
        ("any", 7, None),
    ],
)
def test_if_release_is_the_records_unless_another_is_given(
    given: str | None, on_record: int | None, expected: int | None
) -> None:
    assert requests.expected_release(given, on_record) == expected


@pytest.mark.parametrize("given", ["0", "-1", "latest", "", "r", "1.5", "\N{ARABIC-INDIC DIGIT ONE}"])
def test_if_release_is_nothing_else(given: str) -> None:
    assert_misuse("--if-release", lambda: requests.expected_release(given, 7))


@pytest.mark.parametrize(
    ("of_project", "given", "variables"),
    [
        (None, [], None),
        ({}, [], {}),
        ({"LOG": "info"}, [], {"LOG": "info"}),
        (None, ["LOG=debug"], {"LOG": "debug"}),
        ({"LOG": "info", "KEY": {"secret": ARN}}, ["LOG=debug"], {"LOG": "debug", "KEY": {"secret": ARN}}),
        ({"KEY": {"secret": ARN}}, ["KEY=plain"], {"KEY": "plain"}),
        (None, [f"KEY=secret:{ARN}"], {"KEY": {"secret": ARN}}),
        (None, ["QUERY=a=b&c=d"], {"QUERY": "a=b&c=d"}),
    ],
)
def test_variables_are_the_projects_with_those_given_over_them(
    of_project: dict[str, Any] | None, given: list[str], variables: dict[str, Any] | None
) -> None:
    assert requests.variables_of(of_project, given) == variables


@pytest.mark.parametrize("given", [["LOG"], ["=debug"], ["LOG=1", "LOG=2"]])
def test_a_pair_that_is_none_is_refused(given: list[str]) -> None:
    assert_misuse("--variable", lambda: requests.variables_of(None, given))


def test_what_is_refused_of_a_pair_does_not_show_its_value() -> None:
    with pytest.raises(CommandFailed) as refused:
        requests.pairs("--variable", ["hunter2"])
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "needed", "told"),
    [
        ({"--to-stage": True, "--to-release": True}, True, "--to-stage and --to-release do not go together"),
        ({"--to-stage": False, "--to-release": False}, True, "Say --to-stage or --to-release"),
        ({"--a": False, "--b": False, "--c": False}, True, "Say --a, --b or --c"),
        ({"--steps": True, "--to-release": True}, False, "--steps and --to-release"),
    ],
)
def test_options_that_exclude_each_other(given: dict[str, bool], needed: bool, told: str) -> None:
    assert_misuse(told, lambda: requests.one_of(given, needed=needed))


@pytest.mark.parametrize(("there", "needed"), [((True, False), True), ((False, True), False), ((False, False), False)])
def test_one_of_them_is_taken(there: tuple[bool, bool], needed: bool) -> None:
    requests.one_of(dict(zip(("--to-stage", "--to-release"), there, strict=True)), needed=needed)


# Operation ids.


@pytest.mark.parametrize(
    ("service", "stage", "operation", "expected"),
    [
        ("orders", "dev", "deploy", "orders-dev-deploy-20261121T150405-a1b2"),
        ("orders", None, "sweep", "orders-sweep-20261121T150405-a1b2"),
        (None, None, "sweep", "all-sweep-20261121T150405-a1b2"),
        ("orders", "my stage/1", "deploy", "orders-my-stage-1-deploy-20261121T150405-a1b2"),
        ("o" * 63, "dev", "deploy", "o" * 52 + "-deploy-20261121T150405-a1b2"),
        ("o" * 51, "dev", "deploy", "o" * 51 + "-deploy-20261121T150405-a1b2"),
    ],
)
def test_an_operation_id_tells_what_it_was(service: str | None, stage: str | None, operation: str, expected: str) -> None:
    assert requests.operation_id(service, stage, operation, LATER, "a1b2") == expected


@given(st.text(max_size=90), st.text(max_size=90), st.sampled_from(["deploy", "configure"]))
def test_an_operation_id_is_always_a_legal_name_of_an_execution(service: str, stage: str, operation: str) -> None:
    name = requests.operation_id(service, stage, operation, LATER, "a1b2")

    assert requests.checked_id(name) == name
    assert name.endswith(f"-{operation}-20261121T150405-a1b2")


@pytest.mark.parametrize("name", ["orders-dev-42", "a", "x" * 80, "orders.dev_42@7"])
def test_an_operation_id_that_is_chosen_is_taken(name: str) -> None:
    assert requests.checked_id(name) == name


@pytest.mark.parametrize("name", ["", "x" * 81, "orders dev", "orders/dev", "a:b", "a\n", "a#b", "$x"])
def test_an_operation_id_that_can_be_no_execution_is_refused(name: str) -> None:
    assert_misuse("--operation-id", lambda: requests.checked_id(name))


def assert_misuse(told: str, call: Any) -> None:
    """A sentence, with the exit code of wrong usage."""
    with pytest.raises(CommandFailed, match=re.escape(told)) as refused:
        call()
    assert refused.value.exit_code is Exit.USAGE
