"""The embedded AWS enters the same states as the interpreter that the tests of the engine walk the definition with.

Only the names of the states, in order. None of these operations has to wait, so none enters a state again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.engine.world import World

from .conftest import NewService

FUNCTIONS = ("a", "b")
#: One after the other, of one service. A deploy names its functions and what each says; None is what $LATEST holds.
OPERATIONS: dict[str, dict[str, Any]] = {
    "a first deploy": {"operation": "deploy", "stage": "dev", "functions": {"a": "one", "b": "one"}},
    "a deploy of other code": {"operation": "deploy", "stage": "dev", "functions": {"a": "two", "b": "one"}},
    "a deploy that changes nothing": {"operation": "deploy", "stage": "dev", "functions": {"a": "two", "b": "one"}},
    "a deploy that drops a function": {"operation": "deploy", "stage": "dev", "functions": {"a": "two"}},
    "a rollback": {"operation": "rollback", "stage": "dev"},
    "a reset": {"operation": "reset", "stage": "dev", "to": {"release": 1}},
    "a reset to what is served": {"operation": "reset", "stage": "dev", "to": {"release": 1}},
    "a clone": {"operation": "clone", "stage": "qa", "from": {"stage": "dev"}},
    "a configure": {"operation": "configure", "stage": "dev", "settings": {"description": "mine"}},
    "a refused rollback": {"operation": "rollback", "stage": "qa"},
    "a malformed rollback": {"operation": "rollback", "stage": "dev", "to": {"steps": 0}},
    "a dry run": {"operation": "rollback", "stage": "dev", "dry_run": True},
    "a deploy without a stage": {"operation": "deploy", "functions": {"a": "three"}},
    "a verify": {"operation": "verify"},
    "a report of a sweep": {"operation": "sweep"},
    "a sweep": {"operation": "sweep", "mode": "delete", "keep": 0, "rollback_depth": 0, "grace_hours": 0},
    "a teardown": {"operation": "teardown", "stage": "qa"},
    "a recovery with nothing to recover": {"operation": "recover"},
}

Paths = dict[str, tuple[list[str], str]]


@pytest.fixture(scope="module")
def in_process() -> Paths:
    """By operation the states that the interpreter entered, and the outcome."""
    world, walked = World(FUNCTIONS), {}
    for name, request in OPERATIONS.items():
        wishes = {logical: world.wish(logical, text) for logical, text in request.get("functions", {}).items()}
        done = world.begin({"service": "orders", **_with(request, wishes)}).run()
        walked[name] = (done.path, done.outcome)
    return walked


@pytest.fixture(scope="module")
def on_aws(new_service: NewService) -> Paths:
    """The same of the embedded AWS."""
    service, walked = new_service(*FUNCTIONS), {}
    for name, request in OPERATIONS.items():
        wishes = {
            logical: {"function_name": service.functions[logical], **service.code(f"{text} of {logical}")}
            for logical, text in request.get("functions", {}).items()
        }
        ended = service.plane.run({"service": service.name, **_with(request, wishes)})
        events = [event.get("stateEnteredEventDetails") for event in service.plane.history(ended.arn)]
        walked[name] = ([event["name"] for event in events if event], ended.output.get("outcome", ended.error))
    return walked


def _with(request: Mapping[str, Any], wishes: Mapping[str, Any]) -> dict[str, Any]:
    return {**request, "functions": wishes} if wishes else dict(request)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_walks_the_same_states_in_process_and_on_the_embedded_aws(
    in_process: Paths, on_aws: Paths, name: str
) -> None:
    path, outcome = on_aws[name]

    assert (path, outcome) == in_process[name]
    assert len({state for state in path if state != "Route"}) == len([state for state in path if state != "Route"])


def test_the_operations_enter_every_state_but_those_of_misfortune(on_aws: Paths) -> None:
    entered = {state for path, _ in on_aws.values() for state in path}

    assert entered == {
        *("Accept", "DryRun", "Inspect", "Recover", "Lock", "Plan", "Publish", "Move", "TearDown", "Collect", "Commit"),
        *("CleanUp", "Route", "Succeed", "Fail"),
    }
