"""``recover``: a person has dead operations recovered, of which nobody else took notice, and sees what became of them."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.model import OperationId
from stagekeeper.domain.recovery import MAX_RECOVERIES
from stagekeeper.engine.notice import notice

from .conftest import Deployed
from .execution import Execution
from .faults import of
from .world import World, deploy_of, lambda_name

BACK = {"operation": "rollback", "stage": "prod"}


@pytest.fixture
def world(deployed: Deployed) -> World:
    """Service orders has stages prod (r2) and qa (r3), service billing has stage live (r1); nothing is at work."""
    world = deployed("ab", "one two qa:three")
    world.create("c")
    world.begin({"service": "billing", **deploy_of("live", {"c": world.wish("c", "one")})}).run()
    return world


def recover(world: World, **asked: Any) -> Execution:
    return world.begin({"operation": "recover", **asked}).run()


def dead(world: World, name: str, state: str = "Move", **request: Any) -> Execution:
    """An operation whose execution was stopped before it entered ``state``; by default a rollback of prod."""
    running = world.begin({**BACK, **request}, name).run_to(state)
    running.stop()
    return running


def dead_everywhere(world: World) -> None:
    """One of prod, one of qa, and one of another service."""
    dead(world, "one")
    dead(world, "two", "Commit", operation="configure", stage="qa", settings={"protected": True})
    dead(world, "three", "TearDown", operation="teardown", service="billing", stage="live")


def recovered(done: Execution) -> dict[str, str]:
    """Operation -> what is said of it."""
    assert done.output is not None, done.cause
    return {line["operation_id"]: line["reason"] for line in done.output["recovered"]}


def at_rest(world: World) -> bool:
    return (world.held(), world.held("billing"), world.waiting()) == ({}, {}, [])


# What it takes care of.


def test_of_one_operation(world: World) -> None:
    dead_everywhere(world)

    done = recover(world, operation_id="one")

    assert (done.outcome, recovered(done)) == ("succeeded", {"one": "it is compensated now"})
    assert (list(world.held()), list(world.held("billing"))) == (["two"], ["three"])


def test_of_a_service(world: World) -> None:
    dead_everywhere(world)

    done = recover(world, service="orders")

    assert recovered(done) == {"one": "it is compensated now", "two": "it is compensated now"}
    assert (world.held(), list(world.held("billing"))) == ({}, ["three"])


def test_of_all(world: World) -> None:
    dead_everywhere(world)

    done = recover(world)

    assert recovered(done) == {
        "one": "it is compensated now",
        "two": "it is compensated now",
        "three": "it is committed now",
    }
    assert at_rest(world)


def test_its_output_names_each_with_what_it_was(world: World) -> None:
    dead(world, "one")

    done = recover(world)

    assert done.output is not None
    assert done.output["recovered"] == [
        {
            "operation_id": "one",
            "operation": "rollback",
            "service": "orders",
            "stage": "prod",
            "reason": "it is compensated now",
        }
    ]
    about = {name: done.output[name] for name in ("operation", "operation_id", "service", "stage", "changes_count")}
    assert about == {"operation": "recover", "operation_id": done.name, "service": None, "stage": None, "changes_count": 0}
    assert done.output["report"]["s3_key"] in world.bodies("reports/")


def test_a_service_whose_first_deploy_died_is_found_as_well(world: World) -> None:
    world.create("d")
    dead(world, "first", "Plan", **{**deploy_of("dev", {"d": world.wish("d", "x")}), "service": "stock"})

    assert recovered(recover(world)) == {"first": "it is refused now"}
    assert world.held("stock") == {}


def test_one_that_waited_for_its_lock_is_found_as_well(world: World) -> None:
    world.begin(BACK, "holder").run_to("Move")
    waiting = world.begin(BACK, "waiting").run_to("Lock")
    waiting.step()
    waiting.stop()

    assert recovered(recover(world)) == {"waiting": "it is refused now"}
    assert list(world.held()) == ["holder"]


def test_one_whose_recoveries_all_died_is_recovered_by_hand(world: World) -> None:
    dead(world, "one")
    for _ in range(MAX_RECOVERIES):
        notice(world.deps, OperationId("one"), "one")
        world.begun()[0].run_to("Compensate").stop()

    assert recovered(recover(world, operation_id="one")) == {"one": "it is compensated now"}


def test_two_at_once_begin_one_recovery_and_both_wait_for_it(world: World) -> None:
    dead(world, "one")
    both = [world.begin({"operation": "recover"}).run_to("Recover") for _ in range(2)]

    answers = [running.deliver("Recover") for running in both]

    assert [(answer["next"], answer["following"]) for answer in answers] == [("Wait", ["one"])] * 2
    (recovery,) = world.begun()
    assert recovery.run().outcome == "Compensated"


def test_delivered_twice_it_tells_the_same(world: World) -> None:
    dead(world, "one")
    running = world.begin({"operation": "recover"})
    running.deliveries = 2

    assert recovered(running.run()) == {"one": "it is compensated now"}


def test_what_could_not_be_put_back_needs_attention(world: World) -> None:
    running = world.begin(BACK, "one").run_to("Move")
    running.deliver("Move")
    running.stop()
    world.fake.alias(lambda_name("b"), "prod", "2")  # somebody else
    world.fake.fail("UpdateAlias", error="AccessDeniedException", times=None, where=of("a", "2"))

    done = recover(world)

    assert done.outcome == "NeedsAttention"
    assert done.message.startswith("1 of 1 dead operations could not be recovered without leaving something behind")
    (blocker,) = done.cause["blockers"]
    assert blocker.startswith("rollback one: ")


def test_a_recovery_that_dies_as_well_needs_attention(world: World) -> None:
    dead(world, "one")
    running = world.begin({"operation": "recover"}).run_to("Recover")
    running.deliver("Recover")
    told = {"operation_id": running.name, "execution": running.name, "following": ["one"]}
    for _ in range(MAX_RECOVERIES):
        (recovery,) = world.begun()
        recovery.run_to("Compensate").stop()
        answer = running.deliver("Recover", told)

    assert (answer["next"], answer["error"]) == ("Fail", "NeedsAttention")
    assert answer["cause"]["blockers"] == [f"rollback one: its {MAX_RECOVERIES} recoveries died as well"]


def test_what_was_begun_is_not_looked_for_at_once(world: World) -> None:
    """Step Functions may show it some seconds later only."""
    dead(world, "one")
    running = world.begin({"operation": "recover"}).run_to("Recover")

    assert running.deliver("Recover")["next"] == "Wait"


# Where there is nothing to do.


@pytest.mark.parametrize("asked", [{}, {"service": "orders"}])
def test_where_nothing_is_dead_nothing_is_changed(world: World, asked: dict[str, str]) -> None:
    world.begin(BACK).run_to("Move")
    before = world.items()

    done = recover(world, **asked)

    assert (done.outcome, recovered(done)) == ("unchanged", {})
    assert world.items() == before


def test_an_operation_that_has_ended_is_left_as_it_is(world: World) -> None:
    world.begin(BACK, "one").run()

    assert recover(world, operation_id="one").outcome == "unchanged"


# What is refused. None of it begins anything.


def test_a_living_operation_is_not_taken_from_its_execution(world: World) -> None:
    world.begin(BACK, "one").run_to("Move")

    done = recover(world, operation_id="one")

    assert done.outcome == "Locked"
    assert "rollback one is not dead: execution one is running." in done.message
    assert done.cause["blockers"] == ["one"]


@pytest.mark.parametrize("asked", [{"operation_id": "none"}, {"operation_id": "one", "service": "billing"}])
def test_an_operation_that_is_not_on_record_there_is_refused(world: World, asked: dict[str, str]) -> None:
    dead(world, "one")

    done = recover(world, **asked)

    assert done.outcome == "InvalidRequest"
    assert f"There is no operation {asked['operation_id']}" in done.message
    assert world.begun() == []


def test_an_unknown_service_is_refused(world: World) -> None:
    assert recover(world, service="nobody").outcome == "ServiceNotFound"


@pytest.mark.parametrize("asked", [{}, {"operation_id": "one"}])
def test_where_it_cannot_be_told_whether_an_execution_lives_nothing_is_begun(world: World, asked: dict[str, str]) -> None:
    dead(world, "one")
    world.wire.fail("sfn.DescribeExecution", "AccessDeniedException", on_call=0)
    before = world.items()

    done = recover(world, **asked)

    assert done.outcome == "Unreadable"
    assert done.cause["blockers"] == ["execution one"]
    assert (world.items(), world.begun()) == (before, [])


# A dry run.


@pytest.mark.parametrize(
    ("asked", "names"),
    [({}, {"one", "two", "three"}), ({"service": "orders"}, {"one", "two"}), ({"operation_id": "one"}, {"one"})],
)
def test_a_dry_run_tells_what_is_dead_and_begins_nothing(world: World, asked: dict[str, str], names: set[str]) -> None:
    dead_everywhere(world)
    before, started = world.items(), list(world.executions.started)

    done = recover(world, dry_run=True, **asked)

    assert (done.outcome, set(recovered(done))) == ("planned", names)
    assert set(recovered(done).values()) == {"its execution ended as ABORTED"}
    assert world.items() == before
    assert world.executions.started == [*started, done.name]
