"""Deploys of templates: what may be in such a request, and what goes together."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.request import Secret, TemplateWish

from .request_builders import API, SECRET, invalid, taken

PLACE = {"s3_bucket": "artifacts", "s3_key": "code/packaged.yaml"}
DEPLOY: dict[str, Any] = {"operation": "deploy", "service": "orders", "stage": "dev", "template": PLACE}
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:payment-AbCdEf"


def test_a_template_comes_instead_of_functions() -> None:
    request = taken(DEPLOY)

    assert request.template == TemplateWish("artifacts", "code/packaged.yaml")
    assert (request.functions, request.variables) == ({}, None)


def test_everything_that_a_template_takes() -> None:
    more = {"parameters": {"Days": "7"}, "variables": {"LEVEL": "debug", "KEY": {"secret": ARN}}, "allow_shared": ["Table"]}

    request = taken({**DEPLOY, "template": {**PLACE, "s3_object_version": "v1"}, **more})

    assert request.template == TemplateWish("artifacts", "code/packaged.yaml", "v1", {"Days": "7"}, ("Table",))
    assert request.variables == {"LEVEL": "debug", "KEY": Secret(ARN)}


def test_no_variables_are_other_than_none_given() -> None:
    assert taken({**DEPLOY, "variables": {}}).variables == {}


def test_a_clone_has_variables_of_its_own() -> None:
    clone = {"operation": "clone", "service": "orders", "stage": "qa", "from": {"stage": "prod"}}

    assert taken({**clone, "variables": {"LEVEL": "info"}}).variables == {"LEVEL": "info"}
    assert taken(clone).variables is None


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"functions": {"api": API}}, "give either functions or template"),
        ({"partial": True}, "partial: goes with functions"),
    ],
)
def test_what_does_not_go_with_a_template(more: dict[str, Any], sentence: str) -> None:
    assert sentence in invalid({**DEPLOY, **more})


@pytest.mark.parametrize(
    ("field", "value"), [("parameters", {"Days": "7"}), ("variables", {"LEVEL": "info"}), ("allow_shared", ["Table"])]
)
def test_what_goes_with_a_template_alone(field: str, value: object) -> None:
    without = {name: each for name, each in DEPLOY.items() if name != "template"}

    assert f"{field}: goes with template" in invalid({**without, "functions": {"api": API}, field: value})


def test_variables_are_a_stages() -> None:
    without = {name: each for name, each in DEPLOY.items() if name != "stage"}

    assert "variables: need a stage" in invalid({**without, "variables": {"LEVEL": "info"}})


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("template", "packaged.yaml", "template"),
        ("template", {"s3_bucket": "artifacts"}, "template.s3_key"),
        ("template", {**PLACE, "region": "x"}, "template.region"),
        ("parameters", {"Days": 7}, "parameters.Days"),
        ("parameters", {"Days": None}, "parameters.Days"),
        ("parameters", {"no-name": "7"}, "parameters.no-name"),
        ("parameters", [], "parameters"),
        ("variables", {"LEVEL": 3}, "variables.LEVEL"),
        ("variables", {"LEVEL": True}, "variables.LEVEL"),
        ("variables", {"LEVEL": ""}, "variables.LEVEL"),
        ("variables", {"LEVEL": "x" * 4097}, "variables.LEVEL"),
        ("variables", {"9LEVEL": "info"}, "variables.9LEVEL"),
        ("variables", {"LEVEL": {"secret": SECRET}}, "variables.LEVEL.secret"),
        ("variables", {"LEVEL": {"value": "x"}}, "variables.LEVEL.value"),
        ("variables", {f"V{number}": "x" for number in range(101)}, "variables"),
        ("allow_shared", "Table", "allow_shared"),
        ("allow_shared", [], "allow_shared"),
        ("allow_shared", ["a-b"], "allow_shared.0"),
    ],
)
def test_what_is_not_as_it_should_be_is_named(field: str, value: object, where: str) -> None:
    sentence = invalid({**DEPLOY, field: value})

    assert f"{where}:" in sentence
    assert SECRET not in sentence
