"""What operations cost, counted on the requests that leave: Lambda's shared budget, items written, steps, sizes.

A service of N functions rolls back in N/15 s at best, so every call per function that is saved is worth N/15 s.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Large:
    """A service of 200 functions whose stage prod was put on r1, then on r2, then back on r1."""

    world: World
    deployed: tuple[Execution, Execution]
    back: Execution
    #: The calls on Lambda's shared budget that the way back took.
    calls_back: tuple[str, ...]

    @property
    def executions(self) -> tuple[Execution, ...]:
        return (*self.deployed, self.back)


@pytest.fixture(scope="module")
def large() -> Large:
    """Made once for all tests that look at it: it takes seconds."""
    world = World(functions(LARGE))
    deployed = (
        measured(world, deploy_of("prod", world.wishes("one"))),
        measured(world, deploy_of("prod", world.wishes("two"))),
    )
    back = measured(world, {"operation": "rollback", "stage": "prod"})
    return Large(world, deployed, back, tuple(world.wire.shared_calls()))


def test_a_service_of_200_functions_goes_back_with_one_call_for_each(large: Large) -> None:
    assert set(large.world.aliases().values()) == {"1"}
    assert large.calls_back == ("lambda.UpdateAlias",) * LARGE


def test_what_200_functions_hand_from_state_to_state_stays_small(large: Large) -> None:
    payloads = [len(json.dumps(answer)) for execution in large.executions for answer in execution.answers]

    assert max(payloads) < 64 * 1024


def test_no_item_of_200_functions_comes_near_the_limit_of_an_item(large: Large) -> None:
    assert max(len(json.dumps(item, default=str)) for item in large.world.items().values()) < 200_000


@pytest.mark.parametrize("number", range(3), ids=["the first deploy", "the second", "the rollback"])
def test_the_list_of_200_changes_is_cut_in_the_output_and_whole_in_the_report(large: Large, number: int) -> None:
    output = large.executions[number].output
    assert output is not None

    report = json.loads(large.world.bodies("reports/")[output["report"]["s3_key"]])

    assert (len(output["changes"]), output["changes_count"]) == (100, len(report["changes"]))
    assert {change["function"] for change in report["changes"]} == set(large.world.names)


def test_a_refusal_that_names_200_functions_stays_small(large: Large) -> None:
    for name in large.world.names:
        large.world.fake.alias(lambda_name(name), "prod", "$LATEST")

    refused = large.world.deploy("prod", large.world.wishes(None))

    assert refused.outcome == "Drifted"
    assert len(refused.cause["blockers"]) == 51
    assert refused.cause["blockers"][-1] == "and 150 more"
    assert len(json.dumps(refused.cause)) < 32 * 1024
