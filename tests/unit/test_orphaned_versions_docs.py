"""What the page, the README and the example say of Custom::OrphanedVersions is true."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.orphaned_versions import Word
from stagekeeper.engine import judgement
from stagekeeper.engine import orphaned_versions as engine
from stagekeeper.handlers.orphaned_versions_request import Properties

from .pages import README, ROOT, blocks, codes, section, tables, text
from .permissions.template import load, of_type

PAGE = ROOT / "docs/orphaned-versions.md"
EXAMPLE = ROOT / "examples/orphaned-versions/template.yaml"
RESOURCES: dict[str, Any] = load(text(EXAMPLE))["Resources"]
FUNCTION: dict[str, Any] = load()["Resources"]["OrphanedVersionsFunction"]["Properties"]
#: Beside those of a sweep that was begun.
OTHER_WORDS = ["InvalidRequest", "Internal"]


def first_column(heading: str) -> list[str]:
    return [codes(row[0])[0] for table in tables(section(PAGE, heading)) for row in table]


def test_every_property_is_explained_and_no_other() -> None:
    assert set(first_column("Properties")) == {field.alias for field in Properties.model_fields.values()}


def test_every_reason_is_explained_and_no_other() -> None:
    assert first_column("What comes of it") == [word.value for word in Word] + OTHER_WORDS


def test_every_attribute_is_named() -> None:
    named = {code.removeprefix("!GetAtt CleanUp.") for code in codes(section(PAGE, "What comes of it"))}

    assert {"DeletedCount", "KeptCount", "Reason", "Detail"} <= named


def test_the_numbers_are_those_of_the_code() -> None:
    sweeps = section(PAGE, "What it sweeps, and when")

    assert "for five seconds at a time" in sweeps
    assert "for more than 20\nseconds" in sweeps
    assert (judgement.BATCH, engine._PATIENCE) == (5, 20)


def test_what_the_readme_shows_is_in_the_example() -> None:
    (shown,) = blocks(section(README, "Clean up after other templates"), "yaml")

    assert shown.strip("\n") in text(EXAMPLE)


def test_cloudformation_waits_longer_than_the_function_may_run() -> None:
    waits = int(RESOURCES["CleanUp"]["Properties"]["ServiceTimeout"])

    assert FUNCTION["Timeout"] < waits < 3600
    assert f"Set it to {waits}" in section(PAGE, "Properties")


@pytest.mark.parametrize("alias", of_type({"Resources": RESOURCES}, "AWS::Lambda::Alias"))
def test_each_alias_of_the_example_is_deleted_before_the_clean_up(alias: str) -> None:
    assert RESOURCES[alias]["DependsOn"] == "CleanUp"


def test_the_clean_up_of_the_example_comes_after_every_version_and_knows_every_function() -> None:
    versions = of_type({"Resources": RESOURCES}, "AWS::Lambda::Version")
    functions = of_type({"Resources": RESOURCES}, "AWS::Lambda::Function")

    assert set(RESOURCES["CleanUp"]["DependsOn"]) == versions.keys()
    assert {each["Ref"] for each in RESOURCES["CleanUp"]["Properties"]["FunctionNames"]} == functions.keys()
    assert {each["DeletionPolicy"] for each in versions.values()} == {"Retain"}
