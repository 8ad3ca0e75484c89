"""A teardown looks once more before it deletes versions: its plan may be days old, and somebody's hands are no operation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pytest

from .execution import Execution
from .world import World, lambda_name

FUNCTION = lambda_name("a")
#: The version that only the stage which is torn down ever reached.
VERSION = "2"


@pytest.fixture
def planned(world: World) -> Execution:
    """A teardown of dev, which serves versions of its own; its plan is made, nothing is deleted."""
    world.deploy("prod", world.wishes("one"))
    world.deploy("dev", world.wishes("two"))
    return world.begin({"operation": "teardown", "stage": "dev"}).run_to("TearDown")


HELD: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "alias live points at it": ("CreateAlias", {"Name": "live", "FunctionVersion": VERSION}),
    "alias live gives it weight": (
        "CreateAlias",
        {"Name": "live", "FunctionVersion": "1", "RoutingConfig": {"AdditionalVersionWeights": {VERSION: 0.1}}},
    ),
    "event source mapping": ("CreateEventSourceMapping", {"EventSourceArn": "arn:aws:sqs:eu-central-1:123456789012:orders"}),
    "permission mine": (
        "AddPermission",
        {
            "Qualifier": VERSION,
            "Action": "lambda:InvokeFunction",
            "Principal": "events.amazonaws.com",
            "StatementId": "mine",
        },
    ),
    "provisioned concurrency": ("PutProvisionedConcurrencyConfig", {"Qualifier": VERSION, "ProvisionedConcurrentExecutions": 1}),
}


@pytest.mark.parametrize("why", HELD)
def test_what_somebody_hung_on_a_version_since_the_plan_was_made_keeps_it(world: World, planned: Execution, why: str) -> None:
    operation, parameters = HELD[why]
    name = f"{FUNCTION}:{VERSION}" if operation == "CreateEventSourceMapping" else FUNCTION
    world.fake.quietly(operation, FunctionName=name, **parameters)
    done = planned.run()
    assert done.outcome == "succeeded", done.cause
    assert VERSION in world.fake.versions(FUNCTION)
    assert VERSION not in world.fake.versions(lambda_name("b"))
    assert done.output is not None
    (kept,) = [entry for entry in done.output["sweep"]["kept"] if (entry["function"], entry["version"]) == ("a", VERSION)]
    assert why in kept["reason"]


@pytest.mark.parametrize("unreadable", ["ListEventSourceMappings", "ListAliases", "GetPolicy", "GetFunction"])
def test_what_cannot_be_found_out_then_keeps_the_versions_and_the_stage_goes_all_the_same(
    world: World, planned: Execution, unreadable: str
) -> None:
    world.fake.fail(unreadable, error="AccessDeniedException", times=None)
    done = planned.run()
    assert done.outcome == "succeeded", done.cause
    assert VERSION in world.fake.versions(FUNCTION)
    assert world.stage("dev") is None


def test_without_anything_new_all_goes_as_planned(world: World, planned: Execution) -> None:
    planned.run()
    assert [VERSION in world.fake.versions(lambda_name(name)) for name in world.names] == [False, False]
