"""A worker that dies after any of its writes: the same step run again goes on, and compensation ends what it began.

Every write of a deploy is tried, each in an account of its own: the worker's write happens, and then nothing of it gets out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from .conftest import Deployed
from .execution import Execution
from .wire import Died, mutation
from .world import World, deploy_of, lambda_name

Deaths = Callable[[str], Iterator[tuple[World, Execution]]]

STEPS = ("Accept", "Lock", "Plan", "Publish", "Move", "Commit", "CleanUp")


@pytest.fixture
def deaths(deployed: Deployed, worlds: list[World]) -> Deaths:
    """A deploy of two changed functions and one dropped one, whose worker of this step died after its 1st, 2nd, … write."""

    def each(step: str) -> Iterator[tuple[World, Execution]]:
        for nth in itertools.count(1):
            world = deployed("abc", "one")
            running = world.begin(deploy_of("prod", world.wishes("two", "a", "b"))).run_to(step)
            world.wire.kill(mutation, on_call=nth, after=True)
            try:
                running.deliver(step)
            except Died:
                world.wire.mend()
            else:
                world.wire.mend()
                assert nth > 1, f"{step} writes nothing"
                return
            yield world, running
            worlds.remove(world)

    return each


def assert_nothing_leaked(world: World) -> None:
    """Locks are free, and every version is on record with the operation that made it."""
    assert world.held() == {}
    assert world.waiting() == []
    for name in world.names:
        recorded = {
            str(item["version"])
            for (pk, sk), item in world.items().items()
            if pk == f"FUNCTION#{world.arn(name)}" and sk.startswith("VERSION#") and item["published_by"] is not None
        }
        assert recorded == set(world.fake.versions(lambda_name(name)))


def assert_deployed(world: World, done: Execution) -> None:
    assert done.outcome == "succeeded", done.cause
    assert world.aliases() == world.recorded() == {"a": "2", "b": "2"}
    assert [(m["from_release"], m["to_release"]) for m in world.movements()] == [(None, 1), (1, 2)]
    assert world.releases() == [1, 2]
    assert_nothing_leaked(world)


def assert_put_back(world: World, failed: Execution) -> None:
    assert failed.outcome in ("Internal", "Compensated"), failed.cause
    assert world.aliases() == world.recorded() == {"a": "1", "b": "1", "c": "1"}
    assert [(m["from_release"], m["to_release"]) for m in world.movements()] == [(None, 1)]
    assert_nothing_leaked(world)


@pytest.mark.parametrize("step", STEPS)
def test_the_same_step_run_again_goes_on_to_the_end(deaths: Deaths, step: str) -> None:
    for world, running in deaths(step):
        assert_deployed(world, running.run())


@pytest.mark.parametrize("step", ["Accept", "Lock", "Plan", "Publish", "Move", "Commit"])
def test_compensation_puts_back_what_a_dead_worker_began_unless_it_was_committed(deaths: Deaths, step: str) -> None:
    for world, running in deaths(step):
        running.fail_state(step)
        running.run()
        record = world.items().get((f"OPERATION#{running.name}", "OPERATION"), {})
        if record.get("status") in ("committed", "ended"):
            assert_deployed(world, running)
        else:
            assert_put_back(world, running)


def test_a_clean_up_that_died_leaves_the_movement_true_and_says_what_may_be_left(deaths: Deaths) -> None:
    for world, running in deaths("CleanUp"):
        running.fail_state("CleanUp")
        running.run()
        stage = world.stage()
        assert stage is not None
        assert (stage.release, stage.mixed) == (2, False)
        assert running.outcome in ("succeeded", "NeedsAttention")
        assert world.aliases().items() >= {"a": "2", "b": "2"}.items()
        assert_nothing_leaked(world)


@pytest.mark.parametrize("step", ["Publish", "Move", "Commit"])
def test_the_same_deploy_after_a_compensated_one_uses_the_versions_that_were_made(deaths: Deaths, step: str) -> None:
    for world, running in deaths(step):
        running.fail_state(step)
        running.run()

        again = world.deploy("prod", world.wishes("two", "a", "b"))

        assert again.outcome in ("succeeded", "unchanged")
        assert world.aliases() == world.recorded() == {"a": "2", "b": "2"}
        assert_nothing_leaked(world)


def test_a_compensation_that_dies_anywhere_is_done_by_the_next_one(deployed: Deployed) -> None:
    for nth in itertools.count(1):
        world = deployed("abc", "one")
        running = world.begin(deploy_of("prod", world.wishes("two", "a", "b"))).run_to("Commit")
        world.wire.fail(lambda sent: '"committed"' in sent.body, "AccessDeniedException")
        running.run_to("Compensate")
        world.wire.mend()
        world.wire.kill(mutation, on_call=nth, after=True)
        try:
            running.deliver("Compensate")
        except Died:
            world.wire.mend()
            assert_put_back(world, running.run())
        else:
            world.wire.mend()
            assert nth > 4  # begin, two moves back, claims, end
            return
