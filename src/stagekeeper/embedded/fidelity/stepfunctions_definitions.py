"""Definitions: the mistakes that AWS refuses when a state machine is made or changed, not when it first runs into them.

The part of the Amazon States Language that decides whether a machine can run at all: the states a transition names
exist, each state can be reached, ends and has the members of its own query language only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stagekeeper.embedded.fidelity.patching import wrap

_TYPES = frozenset({"Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"})
_ENDLESS = frozenset({"Choice", "Succeed", "Fail"})
_JSONPATH_ONLY = ("InputPath", "OutputPath", "Parameters", "ResultPath", "ResultSelector", "ItemsPath", "SecondsPath")
_JSONATA_ONLY = ("Arguments", "Output", "Items", "Condition")


def install(sfn: Any, provisioners: Any) -> None:
    def validating(original: Any) -> Any:
        def validate(definition: Any) -> str | None:
            found = next(problems(definition), None)
            refused: str | None = f"SCHEMA_VALIDATION_FAILED: {found}" if found else original(definition)
            return f"Invalid State Machine Definition: '{refused}'" if refused else None

        return validate

    def defining(original: Any) -> Any:
        # CloudFormation's side of ministack writes the machine's record itself.
        def define(props: Any) -> Any:
            definition = original(props)
            refused = sfn._validate_definition_jsonata(definition)
            if refused:
                raise ValueError(refused)
            return definition

        return define

    wrap(sfn, "_validate_definition_jsonata", validating)
    wrap(provisioners, "_sfn_definition", defining)


def problems(definition: Any) -> Iterator[str]:
    """What is wrong with a definition, given as text; nothing when it can run."""
    try:
        machine = json.loads(definition)
    except (TypeError, ValueError) as error:
        yield f"the definition is not JSON ({error})"
        return
    if not isinstance(machine, dict):
        yield "the definition is not an object"
        return
    yield from _scope(machine, str(machine.get("QueryLanguage", "JSONPath")), "/")


def _scope(scope: dict[str, Any], language: str, where: str) -> Iterator[str]:
    states = scope.get("States")
    if not isinstance(states, dict) or not states:
        yield f"no States at {where}"
        return
    start = scope.get("StartAt")
    if start not in states:
        yield f"StartAt names {start!r}, which is no state, at {where}"
    reached = {start}
    for name, state in states.items():
        here = f"{where}States/{name}"
        if not isinstance(state, dict) or state.get("Type") not in _TYPES:
            yield f"the state has no known Type at {here}"
            continue
        yield from _state(state, str(state.get("QueryLanguage", language)), language, here)
        for target in _targets(state):
            reached.add(target)
            if target not in states:
                yield f"a transition to {target!r}, which is no state, at {here}"
    for name in states.keys() - reached:
        yield f"the state cannot be reached at {where}States/{name}"


def _state(state: dict[str, Any], language: str, inherited: str, here: str) -> Iterator[str]:
    kind = state["Type"]
    if kind in _ENDLESS and ("Next" in state or "End" in state):
        yield f"a {kind} state has neither Next nor End at {here}"
    if kind not in _ENDLESS and ("Next" in state) == (state.get("End") is True):
        yield f"a {kind} state has either Next or End at {here}"
    if inherited == "JSONata" and language != "JSONata":
        yield f"a JSONata machine has no JSONPath states at {here}"
    for member in _JSONPATH_ONLY if language == "JSONata" else _JSONATA_ONLY:
        if member in state:
            yield f"{member} is no member of a {language} state at {here}"
    if kind == "Task" and not state.get("Resource"):
        yield f"a Task state has a Resource at {here}"
    if kind == "Choice" and not state.get("Choices"):
        yield f"a Choice state has Choices at {here}"
    branches = state.get("Branches", []) if kind == "Parallel" else []
    if kind == "Map":
        branches = [state.get("ItemProcessor") or state.get("Iterator") or {}]
    for index, branch in enumerate(branches):
        yield from _scope(branch, language, f"{here}/{index}/")


def _targets(state: dict[str, Any]) -> Iterator[str]:
    for holder in (state, *state.get("Choices", []), *state.get("Catch", [])):
        for member in ("Next", "Default"):
            if member in holder:
                yield holder[member]
