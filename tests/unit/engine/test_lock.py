"""Who waits for whom: two deploys take turns publishing, a rollback of another stage waits for nobody, patience has an end."""

from __future__ import annotations

import pytest

from stagekeeper.domain.lock import COLLECT, LEASE, Entry, Granted
from stagekeeper.domain.model import OperationId, ServiceName

from .conftest import Deployed
from .execution import Execution
from .faults import fail_after_the_others
from .world import World, deploy_of

BACK = {"operation": "rollback", "stage": "prod"}


@pytest.fixture
def staged(deployed: Deployed) -> World:
    """Stages prod and qa, both on r2, prod with r1 before it."""
    return deployed("ab", "one two qa:two")


def deploying(world: World, stage: str | None, text: str, state: str, **more: object) -> Execution:
    return world.begin(deploy_of(stage, world.wishes(text), **more)).run_to(state)


def test_a_deploy_holds_publish_and_its_stage_until_its_versions_exist(staged: World) -> None:
    running = deploying(staged, "prod", "three", "Publish")
    assert staged.held() == {running.name: {"publish", "stage:prod"}}

    running.run_to("Move")
    assert staged.held() == {running.name: {"stage:prod"}}

    running.run()
    assert staged.held() == {}


def test_a_deploy_of_another_stage_waits_until_the_first_has_published_and_then_goes_on(staged: World) -> None:
    first = deploying(staged, "prod", "three", "Publish")
    second = deploying(staged, "qa", "four", "Lock")

    second.step()
    assert (second.state, staged.waiting()) == ("Lock", [second.name])

    first.run_to("Move")
    second.run_to("Move")
    assert staged.held() == {first.name: {"stage:prod"}, second.name: {"stage:qa"}}

    assert (first.run().outcome, second.run().outcome) == ("succeeded", "succeeded")
    assert (staged.aliases("prod"), staged.aliases("qa")) == ({"a": "3", "b": "3"}, {"a": "4", "b": "4"})


def test_two_deploys_of_the_same_content_to_two_stages_make_one_release_and_one_version(staged: World) -> None:
    first = deploying(staged, "prod", "three", "Move")
    second = deploying(staged, "qa", "three", "Move")

    assert (first.run().outcome, second.run().outcome) == ("succeeded", "succeeded")
    assert staged.releases() == [1, 2, 3]
    assert staged.aliases("prod") == staged.aliases("qa") == {"a": "3", "b": "3"}


@pytest.mark.parametrize("state", ["Plan", "Publish", "Move", "Commit"])
def test_a_rollback_of_another_stage_waits_for_no_deploy(staged: World, state: str) -> None:
    running = deploying(staged, "qa", "three", state)

    back = staged.rollback()

    assert back.outcome == "succeeded"
    assert "Wait" not in [answer["next"] for answer in back.answers]
    assert running.run().outcome == "succeeded"


def test_a_rollback_of_the_same_stage_waits_for_the_deploy_and_undoes_it(staged: World) -> None:
    running = deploying(staged, "prod", "three", "Move")
    back = staged.begin(BACK).run_to("Lock")
    back.step()
    assert back.state == "Lock"

    running.run()
    back.run()

    assert back.output is not None
    assert (back.output["previous_release"], back.output["release"]) == (3, 2)
    assert staged.aliases() == {"a": "2", "b": "2"}


def test_the_next_in_line_goes_on_after_a_deploy_that_failed(staged: World) -> None:
    first = deploying(staged, "prod", "three", "Publish")
    second = deploying(staged, "qa", "four", "Lock")
    second.step()
    fail_after_the_others(staged, "UpdateFunctionCode", "b", "InvalidParameterValueException")
    first.run()
    staged.fake.heal()

    assert (first.outcome, second.run().outcome) == ("Compensated", "succeeded")


def test_waiters_are_served_in_order_of_arrival(staged: World) -> None:
    first = deploying(staged, "prod", "three", "Publish")
    second, third = (deploying(staged, stage, stage, "Lock") for stage in ("qa", "dev"))
    second.step()
    third.step()

    first.run()
    third.step()
    assert third.state == "Lock"

    second.step()
    assert second.state == "Plan"


@pytest.mark.parametrize("patience", [0, 1, 7, 60])
def test_whoever_waited_long_enough_is_told_who_is_in_the_way(staged: World, patience: int) -> None:
    holder = deploying(staged, "prod", "three", "Publish")
    began = staged.moments.now

    waited = staged.begin({**deploy_of("qa", staged.wishes("four")), "lock_wait_seconds": patience}).run()

    assert waited.outcome == "Locked"
    assert holder.name in waited.message
    assert waited.cause["blockers"] == [f"{holder.name} (deploy: publish, stage:prod)"]
    assert patience <= staged.moments.now - began < patience + 11


def test_with_no_patience_there_is_one_ask_and_nobody_is_left_in_the_queue(staged: World) -> None:
    deploying(staged, "prod", "three", "Publish")
    before = staged.lasting("op-5")

    refused = staged.rollback(lock_wait_seconds=0)

    assert refused.visited == ["Accept", "Lock"]
    assert staged.waiting() == []
    assert staged.lasting(refused.name) == before


def test_no_patience_is_enough_where_nobody_is_in_the_way(staged: World) -> None:
    assert staged.rollback(lock_wait_seconds=0).outcome == "succeeded"


def test_a_full_hour_of_waiting_leaves_under_5000_history_events(staged: World) -> None:
    deploying(staged, "prod", "three", "Publish")

    waited = staged.begin({**BACK, "lock_wait_seconds": 3600}).run()

    # A task (5 events), Route (2), Wait (2), Resume (2) for each ask.
    assert waited.outcome == "Locked"
    assert 11 * waited.visited.count("Lock") < 5000


def test_another_service_does_not_wait(staged: World) -> None:
    staged.create("c")
    deploying(staged, "prod", "three", "Publish")

    other = staged.begin({"service": "billing", **deploy_of("live", {"c": staged.wish("c", "x")})}).run()

    assert other.outcome == "succeeded"


def test_a_deploy_without_a_stage_holds_publish_to_its_end(staged: World) -> None:
    running = deploying(staged, None, "three", "Commit")

    assert staged.held() == {running.name: {"publish"}}


def test_an_operation_that_has_ended_is_granted_nothing(staged: World) -> None:
    holder = deploying(staged, "prod", "three", "Publish")
    waiting = staged.begin(BACK).run_to("Lock")
    waiting.fail_state("Lock")
    waiting.run()
    holder.run()

    late = waiting.deliver("Lock")

    assert (late["next"], late["error"]) == ("Fail", "Internal")
    assert staged.held() == {}


def test_a_deploy_that_came_first_in_line_is_not_overtaken_by_asking_more_often(staged: World) -> None:
    holder = deploying(staged, "prod", "three", "Publish")
    first, second = deploying(staged, "qa", "four", "Lock"), deploying(staged, "dev", "five", "Lock")
    first.step()
    for _ in range(3):
        second.step()
    holder.run_to("Move")

    second.step()
    assert second.state == "Lock"
    first.step()
    assert first.state == "Plan"


def test_a_waiter_leaves_alone_what_is_held_without_an_execution(world: World) -> None:
    """The custom resource's Lambda has none that could be asked for; what it holds ends by itself."""
    world.deploy("prod", world.wishes("one"))
    now = world.clock.now()
    lease = Entry(OperationId("shop.CleanUp.1"), LEASE, frozenset({COLLECT}), now, now + 20)
    assert world.deps.journal.ask_for_lease(lease, ServiceName("orders")) == Granted()

    world.begin(deploy_of("prod", world.wishes("two"))).run_to("Lock").step()

    assert "shop.CleanUp.1" in world.held()
