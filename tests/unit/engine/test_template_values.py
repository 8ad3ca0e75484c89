"""Values and names in a template's request that cannot be meant are refused before any effect, and secrets are not repeated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import FromTemplate
from .templated import Templated, done

NEEDLE = "hunter2"


@pytest.fixture
def new(from_template: FromTemplate) -> Templated:
    return from_template("")


@pytest.fixture
def service(from_template: FromTemplate) -> Templated:
    return from_template("prod:one dev:one")


def declare(service: Templated, **declared: Any) -> None:
    """A parameter P, that each stage's queue uses."""
    service.body["Parameters"]["P"] = {"Type": "String", **declared}
    service.resources["Work"]["Properties"]["Tags"] = [{"Key": "p", "Value": {"Ref": "P"}}]


@pytest.mark.parametrize(
    "given",
    [
        {"parameters": {"P": "week"}},
        {"variables": {"P": "week"}},
        {"parameters": {"P": "7"}, "variables": {"P": "week"}},
    ],
    ids=json.dumps,
)
def test_a_value_that_cloudformation_would_not_take_is_refused_before_any_effect(new: Templated, given: dict[str, Any]) -> None:
    declare(new, Type="Number")

    refused = new.deploy("prod", **given)

    assert refused.outcome == "InvalidRequest"
    assert "The value of the parameter P, week, is no number" in refused.message
    assert new.world.stacks.stacks == {}


def test_a_default_of_what_only_stages_have_is_judged_when_there_is_a_stage(new: Templated) -> None:
    declare(new, Default="c", AllowedValues=["a", "b"])

    done(new.deploy(None))
    refused = new.deploy("prod")

    assert "The Default of the parameter P, c, is not among its AllowedValues: a, b" in refused.message


@pytest.mark.parametrize(
    "given",
    [
        {"parameters": {"P": NEEDLE}},
        {"variables": {"P": NEEDLE}},
        {"parameters": {"P": "{{resolve:ssm:p}}" + NEEDLE}},
        {"variables": {"P": "{{resolve:ssm:p}}" + NEEDLE}},
    ],
    ids=json.dumps,
)
def test_a_secret_by_value_is_refused_and_not_repeated(new: Templated, given: dict[str, Any]) -> None:
    declare(new, NoEcho=True, MaxLength=3)

    refused = new.deploy("prod", **given)

    assert (refused.outcome, "The parameter P has NoEcho" in refused.message) == ("InvalidRequest", True)
    assert NEEDLE not in json.dumps([refused.cause, refused.answers])
    kept = [new.world.bodies(prefix) for prefix in ("variables/", "templates/", "stacks/", "stack-templates/", "plans/")]
    assert NEEDLE not in json.dumps(kept)


@pytest.mark.parametrize(
    "given",
    [
        {"parameters": {"P": "{{resolve:ssm:p}}"}},
        {"variables": {"P": "{{resolve:secretsmanager:p}}"}},
        {"variables": {"P": {"secret": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:p-AbCdEf"}}},
    ],
    ids=json.dumps,
)
def test_a_secret_by_reference_is_taken(new: Templated, given: dict[str, Any]) -> None:
    declare(new, NoEcho=True, MaxLength=3)

    done(new.deploy("prod", **given))


@pytest.mark.parametrize("allowed", ["Tabel", "work"])
def test_a_name_that_nobody_has_allows_nothing(service: Templated, allowed: str) -> None:
    refused = service.deploy("dev", allow_shared=["Table", allowed])

    assert (refused.outcome, refused.cause["blockers"]) == ("InvalidRequest", [allowed])


def test_what_the_template_has_dropped_may_be_allowed_by_its_name(service: Templated) -> None:
    del service.resources["Table"]

    done(service.deploy("dev", allow_shared=["Table"]))
