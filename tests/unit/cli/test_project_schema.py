"""The published JSON schema of the project file: it is the model's, and refuses nothing that the model takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it carries no annotations

from stagekeeper.cli.endings import CommandFailed
from stagekeeper.cli.project import parse, schema
from tests.unit.cli.test_project import FUNCTIONS, IMAGE, LEAST, PATH, WHOLE
from tests.unit.pages import ROOT

SCHEMA = ROOT / "docs/stagekeeper.schema.json"


def complaints(text: str) -> list[str]:
    return [error.json_path for error in Draft202012Validator(json.loads(SCHEMA.read_text())).iter_errors(yaml.safe_load(text))]


def test_the_published_schema_is_that_of_the_model() -> None:
    again = ".venv/bin/python -m stagekeeper.cli.project > docs/stagekeeper.schema.json"
    assert json.loads(SCHEMA.read_text()) == schema(), f"Write it anew: {again}"


def test_the_module_prints_the_schema() -> None:
    printed = subprocess.run([sys.executable, "-m", "stagekeeper.cli.project"], capture_output=True, text=True, check=True).stdout
    assert printed == SCHEMA.read_text()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", [LEAST, WHOLE, FUNCTIONS, FUNCTIONS + f"    code: {{image_uri: '{IMAGE}'}}\n"])
def test_what_the_model_takes_the_schema_takes(text: str) -> None:
    parse(text, PATH)
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("template: t\n", "$"),
        ("service: shop\n", "$"),
        (LEAST + "functions: {a: {function_name: a}}\n", "$"),
        (LEAST + "bogus: 1\n", "$"),
        ("service: Shop\ntemplate: t\n", "$.service"),
        (LEAST + "region:\n", "$.region"),
        (LEAST + "stack: 1st\n", "$.stack"),
        (LEAST + "parameters: {Size: 3}\n", "$.parameters.Size"),
        (LEAST + "parameters: {log-level: x}\n", "$.parameters"),
        (LEAST + "branches: {main: '2026'}\n", "$.branches.main"),
        (LEAST + "stages: {'12': {}}\n", "$.stages"),
        (LEAST + "stages: {dev: {vars: {}}}\n", "$.stages.dev"),
        (LEAST + "stages: {dev: {variables: {A: {secrets: x}}}}\n", "$.stages.dev.variables.A"),
        (FUNCTIONS + "    code: 3\n", "$.functions.api.code"),
        (FUNCTIONS + "    configuration: {KMSKeyArn: x}\n", "$.functions.api.configuration"),
        ("service: shop\nfunctions: {a/b: {function_name: x}}\n", "$.functions"),
    ],
)
def test_what_the_schema_refuses_the_model_refuses(text: str, where: str) -> None:
    with pytest.raises(CommandFailed):
        parse(text, PATH)
    assert where in complaints(text)


def test_every_field_says_what_it_is_for() -> None:
    forms = [schema(), schema()["$defs"]["FunctionForm"], schema()["$defs"]["StageForm"]]
    assert all(field.get("description") for form in forms for field in form["properties"].values())
