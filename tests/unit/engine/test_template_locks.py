"""Who waits for whom while stacks change: another stage's rollback never does, and nobody keeps a lock that ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stagekeeper.domain.model import OperationId, ServiceName

from .conftest import FromTemplate
from .execution import Execution
from .templated import Templated, done
from .world import SERVICE

#: Long enough (seconds a resource) that a stack is still on its way after a few looks.
SLOW = 60.0


@pytest.fixture
def service(from_template: FromTemplate) -> Templated:
    """prod has seen r1 and r2, dev serves r2."""
    return from_template("prod:one prod:two dev:two")


def waits_for_its_service_stack(service: Templated) -> Execution:
    service.say("three")
    return until_it_waits(service, service.begin("dev"))


def waits_for_its_stage_stack(service: Templated) -> Execution:
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    return until_it_waits(service, service.begin("dev"))


def waits_for_a_new_stages_stack(service: Templated) -> Execution:
    return until_it_waits(service, service.begin("qa"))


def is_torn_down(service: Templated) -> Execution:
    return until_it_waits(service, service.world.begin({"operation": "teardown", "stage": "dev"}))


def lets_go_of_a_resource(service: Templated) -> Execution:
    del service.resources["Table"]
    done(service.deploy("prod"))
    return until_it_waits(service, service.begin("dev").run_to("CleanUp"))


def until_it_waits(service: Templated, running: Execution) -> Execution:
    service.world.stacks.slow_down(SLOW)
    running.run_to("Stacks").step()
    assert running.answers[-1]["next"] == "Wait"
    return running


Begin = Callable[[Templated], Execution]
BEGIN: list[Begin] = [
    waits_for_its_service_stack,
    waits_for_its_stage_stack,
    waits_for_a_new_stages_stack,
    is_torn_down,
    lets_go_of_a_resource,
]


@pytest.mark.parametrize("begin", BEGIN)
def test_another_stages_rollback_runs_to_its_end_while_a_stack_changes(service: Templated, begin: Begin) -> None:
    running = begin(service)

    back = service.ask("rollback", "prod")

    assert done(back)["outcome"] == "succeeded"
    assert "Wait" not in [answer["next"] for answer in back.answers]
    assert running.state == "Stacks"
    assert running.run().outcome == "succeeded"
    assert (service.world.held(), service.world.waiting()) == ({}, [])


@pytest.mark.parametrize(
    ("begin", "held"),
    [
        (waits_for_its_service_stack, {"publish", "stage:dev"}),
        # What it declares is nobody's on record until the commit.
        (waits_for_its_stage_stack, {"publish", "stage:dev"}),
        (is_torn_down, {"stage:dev"}),
        (lets_go_of_a_resource, {"publish"}),
    ],
)
def test_what_is_held_while_a_stack_changes(service: Templated, begin: Begin, held: set[str]) -> None:
    running = begin(service)

    assert service.world.held() == {running.name: held}


def test_publish_is_held_to_the_end_where_the_service_stack_may_have_to_be_put_back(service: Templated) -> None:
    service.say("three")
    running = service.begin("dev").run_to("Commit")

    assert service.world.held() == {running.name: {"publish", "stage:dev"}}

    assert running.run().outcome == "succeeded"
    assert service.world.held() == {}


def test_a_rollback_of_the_same_stage_waits_for_its_stack(service: Templated) -> None:
    running = waits_for_its_service_stack(service)
    back = service.world.begin({"operation": "rollback", "stage": "dev", "lock_wait_seconds": 0}).run()

    assert back.outcome == "Locked"
    assert running.name in back.message
    running.run()


# Cleaning up asks for its slots anew.


def without_table(service: Templated) -> Execution:
    """A deploy that has let go of everything, and is about to ask for what it takes to let go of the table, too."""
    del service.resources["Table"]
    done(service.deploy("prod"))
    running = service.begin("dev", lock_wait_seconds=0).run_to("CleanUp")
    running.step()
    assert (running.state, service.world.held()) == ("Lock", {})
    return running


def test_one_that_does_not_get_to_clean_up_ended_well_and_says_what_stays(service: Templated) -> None:
    running = without_table(service)
    service.say("three")
    other = service.begin("prod").run_to("Publish")

    output = done(running.run())

    assert output["outcome"] == "succeeded"
    (warning,) = [each for each in output["warnings"] if "stays in the service stack" in each]
    assert other.name in warning
    assert service.world.held() == {other.name: {"publish", "stage:prod"}}
    other.run()
    assert ("Table" in service.stack(), service.world.held()) == (False, {})


def test_who_waits_to_clean_up_waits_in_the_queue_and_keeps_nobody_from_rolling_back(service: Templated) -> None:
    del service.resources["Table"]
    done(service.deploy("prod"))
    running = service.begin("dev").run_to("CleanUp")
    running.step()
    service.say("three")
    other = service.begin("prod").run_to("Publish")
    running.step()
    assert service.world.waiting() == [running.name]

    assert service.ask("rollback", "dev").outcome == "succeeded"

    assert other.run().outcome == "succeeded"
    assert running.run().outcome == "succeeded"
    assert (service.world.held(), service.world.waiting()) == ({}, [])


# A teardown asks for its slots anew once its stack is gone.


def stack_is_gone(service: Templated, **more: object) -> Execution:
    running = service.world.begin({"operation": "teardown", "stage": "dev", **more}, "down").run_to("Stacks")
    while running.state == "Stacks":
        running.step()
    assert (running.state, service.stack("dev"), service.world.held()) == ("Lock", {}, {})
    return running


def test_a_teardown_that_gets_no_more_than_its_stack_needs_attention_and_goes_on_when_run_again(service: Templated) -> None:
    running = stack_is_gone(service, lock_wait_seconds=0)
    service.say("three")
    other = service.begin("prod").run_to("Publish")

    assert running.run().outcome == "NeedsAttention"

    assert other.name in running.message
    assert "tear it down again" in running.message
    assert service.world.waiting() == []
    assert other.run().outcome == "succeeded"
    assert service.ask("teardown", "dev").outcome == "succeeded"
    assert (service.traffic(), service.world.held()) == ({"prod": {"A": "three", "B": "three"}}, {})


@pytest.mark.parametrize("between", ["deploy", "rollback"])
def test_a_stage_that_somebody_moved_when_its_stack_was_gone_is_not_torn_down(service: Templated, between: str) -> None:
    if between == "rollback":
        service.say("three")
        done(service.deploy("dev"))
    running = stack_is_gone(service)
    moved = service.deploy("dev") if between == "deploy" else service.ask("rollback", "dev")
    assert done(moved)["outcome"] == "succeeded"

    assert running.run().outcome == "StageMoved"

    assert service.serves("dev") == {"A": "two", "B": "two"}
    assert set(service.stack("dev")) == {"Work", "Feed", "Call"}
    stage = service.world.stage("dev")
    assert stage is not None
    assert (stage.tearing_down, service.world.held()) == (False, {})


def test_a_stage_that_is_gone_when_its_stack_was_is_not_found(service: Templated) -> None:
    running = stack_is_gone(service)
    assert service.ask("teardown", "dev").outcome == "succeeded"

    assert running.run().outcome == "StageNotFound"
    assert service.world.held() == {}


def test_a_teardown_that_cannot_ask_any_more_ends_without_a_lock(service: Templated) -> None:
    running = stack_is_gone(service)
    running.fail_state("Lock", "HandlerError")

    assert running.run().outcome == "NeedsAttention"

    assert (service.world.held(), service.world.waiting()) == ({}, [])
    assert service.ask("teardown", "dev").outcome == "succeeded"


# Whatever the end.


def fails_at_its_service_stack(service: Templated) -> Execution:
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"
    service.world.stacks.fail("Table", "UPDATE")
    return service.deploy("dev")


def fails_at_its_stage_stack(service: Templated) -> Execution:
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    service.world.stacks.fail("Work", "UPDATE")
    return service.deploy("dev")


def fails_at_its_second_look(service: Templated) -> Execution:
    """Meanwhile somebody took the name of the stage's stack."""
    service.say("three")
    running = service.begin("qa").run_to("Stacks")
    service.world.stacks.put(f"{SERVICE}--qa", Queue="theirs")
    return running.run()


def is_refused(service: Templated) -> Execution:
    service.resources["Table"]["Properties"]["TableName"] = "another"
    return service.deploy("dev")


def fails_to_follow(service: Templated) -> Execution:
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    done(service.deploy("dev"))
    service.world.stacks.fail("Work", "UPDATE")
    return service.ask("rollback", "dev")


def fails_to_be_torn_down(service: Templated) -> Execution:
    service.world.stacks.fail("Work", "DELETE")
    return service.ask("teardown", "dev")


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (fails_at_its_service_stack, "Compensated"),
        (fails_at_its_stage_stack, "Compensated"),
        (fails_at_its_second_look, "StackOwnedElsewhere"),
        (is_refused, "SharedResourceInUse"),
        (fails_to_follow, "NeedsAttention"),
        (fails_to_be_torn_down, "NeedsAttention"),
    ],
)
def test_nothing_is_left_in_the_lock_however_it_ended(
    service: Templated, end: Callable[[Templated], Execution], outcome: str
) -> None:
    assert end(service).outcome == outcome

    lock = service.world.deps.store.lock(ServiceName(SERVICE))
    assert (lock.holders, lock.queue) == ((), ())


def test_a_deploy_of_another_stage_waits_for_the_service_stack_of_the_first(service: Templated) -> None:
    first = waits_for_its_service_stack(service)
    service.world.stacks.slow_down(1)
    second = service.begin("prod").run_to("Lock")
    second.step()
    assert service.world.waiting() == [OperationId(second.name)]

    assert first.run().outcome == "succeeded"
    assert second.run().outcome == "succeeded"
    assert service.traffic() == {stage: {"A": "three", "B": "three"} for stage in ("prod", "dev")}
