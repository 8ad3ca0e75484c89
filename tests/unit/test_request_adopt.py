"""The form of adopt: functions by their names alone, and which aliases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stagekeeper.domain.facts import Absent
from stagekeeper.domain.model import ServiceName, StageName
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import AdoptRequest, Common
from stagekeeper.handlers.request import parse
from tests.unit.request_builders import API, holding, invalid, taken

ADOPT: dict[str, Any] = {"operation": "adopt", "service": "orders"}
DOCUMENT = {**ADOPT, "functions": {"s3_bucket": "artifacts", "s3_key": "functions.json"}}


def test_the_least_that_it_needs_is_a_service() -> None:
    assert taken(ADOPT) == AdoptRequest(Common(), ServiceName("orders"))


def test_everything_that_it_may_say() -> None:
    request = taken(
        {**ADOPT, "stages": ["dev", "qa", "dev"], "functions": {"api": API}, "accept_unqualified_callers": True, "dry_run": True}
    )

    assert request.stages == (StageName("dev"), StageName("qa"))
    assert request.functions == {"api": "orders-api"}
    assert (request.stage, request.accept_unqualified_callers, request.common.dry_run) == (None, True, True)


def test_it_may_be_about_one_stage_that_must_serve_a_release() -> None:
    request = taken({**ADOPT, "stage": "dev", "if_release": 3})

    assert (request.stage, request.stages, request.common.if_release) == ("dev", None, 3)


def test_the_functions_may_be_in_a_document() -> None:
    assert taken(DOCUMENT, holding(json.dumps({"api": API}).encode())).functions == {"api": "orders-api"}


@pytest.mark.parametrize("member", ["code", "configuration", "version"])
def test_nothing_of_a_function_but_its_name_is_given(member: str) -> None:
    api = {**API, member: {}}

    assert f"functions.api.{member}: unknown field" in invalid({**ADOPT, "functions": {"api": api}})
    assert f"api.{member}: unknown field" in invalid(DOCUMENT, holding(json.dumps({"api": api}).encode()))


def test_a_document_that_is_not_there_is_missing() -> None:
    refusal = parse(DOCUMENT, holding(Absent()))

    assert isinstance(refusal, Refusal)
    assert refusal.code is Code.ARTIFACT_MISSING


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"stage": "dev", "stages": ["dev"]}, "stages: not beside stage"),
        ({"if_release": 1}, "if_release: needs a stage"),
        ({"stages": []}, "stages: must have at least 1 entries"),
        ({"stages": "dev"}, "stages: must be a list"),
        ({"stages": ["7"]}, "stages.0: a stage name"),
        ({"stages": ["s" * 64]}, "stages.0: a stage name"),
        ({"stage": "7"}, "stage: a stage name"),
        ({"functions": {}}, "functions: must have at least 1 entries"),
        ({"functions": {"api": {}}}, "functions.api.function_name: is missing"),
        ({"functions": {"api": {"function_name": "f:7"}}}, "functions.api.function_name: function_name is"),
        ({"functions": None}, "functions: null is no value"),
        ({"on_drift": "overwrite"}, "on_drift: unknown field"),
        ({"partial": True}, "partial: unknown field"),
        ({"accept_unqualified_callers": "yes"}, "accept_unqualified_callers: must be true or false"),
    ],
)
def test_what_it_cannot_be(fields: dict[str, Any], sentence: str) -> None:
    assert sentence in invalid({**ADOPT, **fields})


def test_a_service_is_needed() -> None:
    assert "service: is missing" in invalid({"operation": "adopt"})
