"""What operations cost, counted on the requests that leave: Lambda's shared budget, items written, steps, sizes.

A service of N functions rolls back in N/15 s at best, so every call per function that is saved is worth N/15 s.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest

from .conftest import Deployed, MakeWorld
from .execution import Execution
from .world import World, deploy_of, lambda_name

FEW, MANY, LARGE = 2, 40, 200
EACH_SIZE = pytest.mark.parametrize("size", [FEW, MANY])


def functions(size: int) -> tuple[str, ...]:
    return tuple(f"f{number:03}" for number in range(size))


def measured(world: World, request: dict[str, object]) -> Execution:
    world.wire.clear()
    done = world.begin(request).run()
    assert done.outcome in ("succeeded", "unchanged"), done.cause
    return done


# Lambda's shared budget.


@EACH_SIZE
def test_rolling_back_costs_one_call_for_each_function(deployed: Deployed, size: int) -> None:
    world = deployed(functions(size), "one two")

    measured(world, {"operation": "rollback", "stage": "prod"})

    assert world.wire.shared_calls() == ["lambda.UpdateAlias"] * size


def test_going_back_and_forth_goes_on_costing_one_call_each(deployed: Deployed) -> None:
    world = deployed(functions(FEW), "one two")
    measured(world, {"operation": "rollback", "stage": "prod"})

    measured(world, deploy_of("prod", world.wishes("two")))

    assert world.wire.shared_calls() == ["lambda.UpdateAlias"] * FEW


@pytest.mark.parametrize(
    ("text", "configuration", "calls"),
    [
        ("three", {}, {"UpdateFunctionCode": 1, "UpdateAlias": 1}),
        ("three", {"MemorySize": 512}, {"UpdateFunctionConfiguration": 1, "UpdateFunctionCode": 1, "UpdateAlias": 1}),
        (None, {"MemorySize": 512}, {"UpdateFunctionConfiguration": 1, "PublishVersion": 1, "UpdateAlias": 1}),
    ],
    ids=["code", "code and configuration", "configuration"],
)
def test_deploying_changed_functions_costs_at_most_three_calls_each(
    deployed: Deployed, text: str | None, configuration: dict[str, int], calls: dict[str, int]
) -> None:
    world = deployed(functions(FEW), "one two")

    measured(world, deploy_of("prod", world.wishes(text, **configuration)))

    assert Counter(world.wire.shared_calls()) == {f"lambda.{name}": count * FEW for name, count in calls.items()}


def test_publishing_what_latest_holds_costs_at_most_three_calls_each(deployed: Deployed) -> None:
    world = deployed(functions(FEW), "one two")
    for name in world.names:
        world.fake.update(lambda_name(name), b"by the template")

    measured(world, deploy_of("prod", world.wishes(None)))

    assert len(world.wire.shared_calls()) == 3 * FEW


@pytest.mark.parametrize("text", ["two", None], ids=["the same code", "what $LATEST holds"])
def test_deploying_unchanged_functions_costs_nothing(deployed: Deployed, text: str | None) -> None:
    world = deployed(functions(MANY), "one two")

    done = measured(world, deploy_of("prod", world.wishes(text)))

    assert done.outcome == "unchanged"
    assert world.wire.shared_calls() == []


def test_only_what_changed_is_touched(deployed: Deployed) -> None:
    world = deployed(functions(MANY), "one two")
    changed = functions(3)

    done = measured(world, deploy_of("prod", world.wishes("two") | world.wishes("three", *changed)))

    assert done.output is not None
    assert {change["function"] for change in done.output["changes"]} == set(changed)
    assert len(world.wire.shared_calls()) == 6


def test_the_calls_keep_to_the_pace_that_aws_allows(make_world: MakeWorld) -> None:
    world = make_world(*functions(MANY), throttle=True)
    began = world.moments.now

    for text in ("one", "two"):
        measured(world, deploy_of("prod", world.wishes(text)))
    measured(world, {"operation": "rollback", "stage": "prod"})

    # Throttled calls would have been sent again.
    assert world.fake.count("UpdateAlias") == 2 * MANY
    assert world.fake.count("CreateAlias") == MANY
    assert world.moments.now - began > 5 * MANY / 15 - 1


# The table.

SAME = [
    pytest.param({"operation": "rollback", "stage": "prod"}, None, id="a rollback"),
    pytest.param(deploy_of("prod", {}), "one", id="a deploy of a release that there is"),
    pytest.param(deploy_of("prod", {}), "two", id="a deploy that changes nothing"),
    pytest.param(deploy_of("qa", {}), "two", id="a release that is put on another stage"),
]


def asked(world: World, request: dict[str, object], text: str | None) -> dict[str, object]:
    return request if text is None else {**request, "functions": world.wishes(text)}


@pytest.mark.parametrize(("request_", "text"), SAME)
def test_an_operation_that_publishes_nothing_writes_as_many_items_at_any_size(
    deployed: Deployed, request_: dict[str, object], text: str | None
) -> None:
    written, states = [], []
    for size in (FEW, MANY):
        world = deployed(functions(size), "one two")
        done = measured(world, asked(world, request_, text))
        written.append(world.wire.items_written())
        states.append(done.visited)

    assert written[0] == written[1]
    assert states[0] == states[1]


def test_a_deploy_that_publishes_takes_as_many_steps_at_any_size(deployed: Deployed) -> None:
    worlds = [deployed(functions(size), "one two") for size in (FEW, MANY)]

    states = [measured(world, deploy_of("prod", world.wishes("three"))).visited for world in worlds]

    assert states[0] == states[1]


def test_an_operation_that_does_not_wait_leaves_few_history_events(deployed: Deployed) -> None:
    world = deployed(functions(MANY), "one two")

    done = measured(world, deploy_of("prod", world.wishes("three", *functions(MANY - 1))))

    # A task: entered, scheduled, started, succeeded, exited; Route: entered, exited; start, final state and end of it all.
    assert "CleanUp" in done.visited
    assert 7 * len(done.visited) + 5 < 100


# A large service.


@pytest.fixture
def large(deployed: Deployed) -> World:
    return deployed(functions(LARGE), "one")


def test_a_service_of_200_functions_works_and_everything_stays_small(large: World) -> None:
    done = [
        measured(large, deploy_of("prod", large.wishes("two"))),
        measured(large, {"operation": "rollback", "stage": "prod"}),
    ]

    assert set(large.aliases().values()) == {"1"}
    assert max(largest_payload(execution) for execution in done) < 64 * 1024
    assert max(len(json.dumps(item, default=str)) for item in large.items().values()) < 200_000
    assert_cut(large, done[1])


def largest_payload(done: Execution) -> int:
    return max(len(json.dumps(answer)) for answer in done.answers)


def assert_cut(world: World, done: Execution) -> None:
    """The output's list is cut, the report has it whole."""
    assert done.output is not None
    report = json.loads(world.bodies()[done.output["report"]["s3_key"]])
    assert (len(done.output["changes"]), done.output["changes_count"]) == (100, LARGE)
    assert len(report["changes"]) == LARGE


def test_a_refusal_that_names_200_functions_stays_small(large: World) -> None:
    for name in large.names:
        large.fake.alias(lambda_name(name), "prod", "$LATEST")

    refused = large.deploy("prod", large.wishes(None))

    assert refused.outcome == "Drifted"
    assert len(refused.cause["blockers"]) == 51
    assert refused.cause["blockers"][-1] == "and 150 more"
    assert len(json.dumps(refused.cause)) < 32 * 1024
