"""The layer's own decisions, as far as they are functions of what they are given."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stagekeeper.embedded.fidelity.lambda_handlers import worker_script
from stagekeeper.embedded.fidelity.lambda_routing import Routed, chosen_version
from stagekeeper.embedded.fidelity.lambda_throttle import Bucket
from stagekeeper.embedded.fidelity.patching import PatchError, replaced_once, wrap
from stagekeeper.embedded.fidelity.stepfunctions_definitions import problems


@pytest.mark.parametrize(("drawn", "version"), [(0.0, "2"), (0.29, "2"), (0.3, "1"), (0.99, "1")])
def test_a_weighted_alias_serves_its_second_version_by_weight(drawn: float, version: str) -> None:
    alias = {"FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {"2": 0.3}}}

    assert chosen_version(alias, lambda: drawn) == version


def test_an_alias_without_weights_serves_its_version() -> None:
    assert chosen_version({"FunctionVersion": "1"}, lambda: 0.0) == "1"


def test_a_routed_qualifier_selects_the_version_and_is_written_as_the_alias() -> None:
    routed = Routed("2")
    routed.alias = "live"

    assert {"2": "the version"}[routed] == "the version"
    assert f"function:{routed}" == "function:live"


def test_a_budget_is_a_seconds_worth_and_refills_with_time() -> None:
    now = 0.0
    bucket = Bucket(15.0, lambda: now)

    assert [bucket.take() for _ in range(16)] == [True] * 15 + [False]
    now = 0.2
    assert [bucket.take() for _ in range(4)] == [True] * 3 + [False]
    now = 100.0
    assert sum(bucket.take() for _ in range(30)) == 15


def machine(language: str = "JSONata", **states: Any) -> str:
    return json.dumps({"QueryLanguage": language, "StartAt": "A", "States": states})


END = {"Type": "Pass", "End": True}


def test_a_machine_that_can_run_has_no_problems() -> None:
    choice = {"Type": "Choice", "Choices": [{"Condition": "{% true %}", "Next": "B"}], "Default": "C"}
    branches = [{"StartAt": "D", "States": {"D": END}}]
    parallel = {"Type": "Parallel", "Branches": branches, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "E"}], "End": True}
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": {}, "Next": "C"}

    definition = machine(A=choice, B=task, C=parallel, E={"Type": "Fail", "Error": "E"})

    assert list(problems(definition)) == []


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ("{}", "no States"),
        (machine(B=END), "StartAt names 'A'"),
        (machine(A={"Type": "Pass", "Next": "B"}), "a transition to 'B'"),
        (machine(A={"Type": "Unknown"}), "no known Type"),
        (machine(A={"Type": "Pass"}), "either Next or End"),
        (machine(A={"Type": "Succeed", "End": True}), "neither Next nor End"),
        (machine(A=END, B=END), "cannot be reached"),
        (machine(A=END | {"ResultPath": "$.x"}), "ResultPath is no member of a JSONata state"),
        (machine("JSONPath", A=END | {"Output": "x"}), "Output is no member of a JSONPath state"),
        (machine(A=END | {"QueryLanguage": "JSONPath"}), "no JSONPath states"),
        (machine(A={"Type": "Task", "End": True}), "has a Resource"),
        (machine(A={"Type": "Choice"}), "has Choices"),
        (machine(A={"Type": "Map", "ItemProcessor": {"StartAt": "X", "States": {"Y": END}}, "End": True}), "StartAt names 'X'"),
    ],
)
def test_a_machine_that_cannot_run_is_told_why(definition: str, problem: str) -> None:
    assert any(problem in found for found in problems(definition))


def test_a_patch_on_what_is_not_there_stops_the_server() -> None:
    with pytest.raises(PatchError, match="has no gone"):
        wrap(json, "gone", lambda original: original)


def test_a_script_that_has_changed_stops_the_server() -> None:
    with pytest.raises(PatchError, match="2 times"):
        replaced_once("a a", "a", "b")
    with pytest.raises(PatchError, match="0 times"):
        worker_script("another script", None, [])  # type: ignore[arg-type]
