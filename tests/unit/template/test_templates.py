"""Realistic templates, each all the way: nothing is lost, nothing dangles, nothing calls $LATEST, and cfn-lint agrees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cfnlint.api import lint
from cfnlint.config import ManualArgs

from stagekeeper.domain.split import split
from stagekeeper.domain.split_model import Split, Unsplittable
from tests.unit.template.joined import dangling, lost, unqualified
from tests.unit.template.splitting import TEMPLATES, expanded, halves

ALL = sorted(path.name for path in TEMPLATES.iterdir())


@pytest.fixture(scope="module", params=ALL)
def text(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return (TEMPLATES / name).read_text()


def test_there_are_templates_of_many_kinds() -> None:
    assert len(ALL) >= 10


def test_nothing_is_lost(text: str) -> None:
    plain = expanded(text)
    assert lost(plain, _split(text)) == []


def test_no_reference_dangles(text: str) -> None:
    result = _split(text)
    assert dangling(result.service) == []
    assert result.stage is not None
    assert dangling(result.stage) == []


def test_nothing_in_the_stage_half_calls_latest(text: str) -> None:
    assert unqualified(_split(text)) == []


def test_the_order_of_the_resources_does_not_matter(text: str) -> None:
    plain = expanded(text)
    body = {**plain.body, "Resources": dict(reversed(plain.body["Resources"].items()))}
    turned = split(type(plain)(body, plain.lines, plain.origins))
    assert turned == split(plain)


def test_it_comes_out_the_same_every_time(text: str) -> None:
    assert json.dumps(halves(text).service) == json.dumps(halves(text).service)


def test_cfn_lint_finds_no_error_in_either_half(text: str) -> None:
    result = _split(text)
    for half in (result.service, result.stage):
        found = lint(json.dumps(half, ensure_ascii=False), config=ManualArgs(regions=["eu-west-1"], ignore_checks=["W", "I"]))
        assert [f"{match.rule.id} {match.message}" for match in found] == []


def _split(text: str) -> Split:
    result = split(expanded(text))
    assert not isinstance(result, Unsplittable), result.problems
    return result


def test_the_folder_holds_nothing_else() -> None:
    assert {Path(name).suffix for name in ALL} <= {".yaml", ".json"}
