"""A worker whose mandate was taken by another one stops within its next call, and writes nothing more on record."""

from __future__ import annotations

import pytest

from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.operation import Phase

from .conftest import Deployed
from .execution import Execution
from .world import World, deploy_of

#: The calls that the other threads of a worker may have under way at the moment it is superseded, and the one that saw it.
IN_FLIGHT = 3


@pytest.fixture
def twelve(deployed: Deployed) -> World:
    return deployed("abcdefghijkl", "one two")


def take_over(world: World, running: Execution, phase: Phase, seconds: float) -> list[int]:
    """At the first call that changes Lambda another worker takes the mandate; then ``seconds`` pass. What was sent by then."""
    sent: list[int] = []

    def act() -> None:
        world.deps.journal.begin(world.deps.journal.reread(running.carrier), phase)
        world.clock.sleep(seconds)
        sent.append(len(lambda_mutations(world)))

    world.wire.on(lambda request: request.name.startswith("lambda.") and request.name in CHANGES, act)
    return sent


CHANGES = ("lambda.CreateAlias", "lambda.UpdateAlias", "lambda.UpdateFunctionCode")


def lambda_mutations(world: World) -> list[str]:
    return [sent.name for sent in world.wire.mutations() if sent.name in CHANGES]


def test_one_that_moves_aliases_stops_within_a_second(twelve: World) -> None:
    running = twelve.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    before = take_over(twelve, running, Phase.COMPENSATE, seconds=1.0)

    with pytest.raises(Superseded):
        running.deliver("Move")

    assert len(lambda_mutations(twelve)) <= before[0] + IN_FLIGHT


def test_one_that_makes_aliases_stops_at_once(twelve: World) -> None:
    running = twelve.begin(deploy_of("qa", twelve.wishes("two"))).run_to("Move")
    before = take_over(twelve, running, Phase.COMPENSATE, seconds=0)

    with pytest.raises(Superseded):
        running.deliver("Move")

    assert len(lambda_mutations(twelve)) <= before[0] + IN_FLIGHT


def test_one_that_moved_everything_in_time_still_writes_nothing(twelve: World) -> None:
    running = twelve.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    twelve.wire.on(
        lambda sent: ":s_moved" in sent.body,
        lambda: twelve.deps.journal.begin(twelve.deps.journal.reread(running.carrier), Phase.MOVE),
    )

    with pytest.raises(Superseded):
        running.deliver("Move")

    assert twelve.operation(running.name)["moved"] == {}


@pytest.mark.parametrize("step", ["Plan", "Publish", "Commit"])
def test_one_that_lost_its_mandate_in_any_other_step_changes_nothing(twelve: World, step: str) -> None:
    running = twelve.begin(deploy_of("prod", twelve.wishes("three"))).run_to(step)
    twelve.wire.clear()
    _after_begin(twelve, running)
    before = twelve.lasting(running.name)

    with pytest.raises(Superseded):
        running.deliver(step)

    assert twelve.lasting(running.name) == before
    assert lambda_mutations(twelve) == []


def _after_begin(world: World, running: Execution) -> None:
    """As soon as the worker has taken the mandate for its phase, another one takes it."""
    world.wire.on(
        lambda sent: ":s_phase" in sent.body,
        lambda: world.deps.journal.begin(world.deps.journal.reread(running.carrier), Phase.PLAN),
        after=True,
    )


def test_a_stage_whose_record_was_written_by_another_since_the_plan_is_not_overwritten(twelve: World) -> None:
    running = twelve.begin({"operation": "rollback", "stage": "prod"}).run_to("Commit")
    stage = twelve.items()["SERVICE#orders", "STAGE#prod"]
    twelve.put_item({**stage, "revision": stage["revision"] + 1, "way_back": [2, 1]})

    running.run()

    now = twelve.stage()
    assert running.outcome == "Compensated"
    assert now is not None
    assert (now.release, now.way_back) == (2, (2, 1))
    assert set(twelve.aliases().values()) == {"2"}


def test_an_operation_cannot_be_begun_without_its_lock(twelve: World) -> None:
    running = twelve.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    record = twelve.deps.journal.reread(running.carrier)
    twelve.deps.journal._with_lock(record, [], lambda lock: type(lock)(revision=lock.revision))

    with pytest.raises(Superseded):
        running.deliver("Move")

    assert set(twelve.aliases().values()) == {"2"}
