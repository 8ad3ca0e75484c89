"""Step Functions delivers at least once: every step may come twice, or late, and the outcome is the recorded one."""

from __future__ import annotations

import pytest

from .execution import Execution
from .faults import fail_after_the_others
from .world import World, deploy_of

STATES = ("Accept", "Lock", "Plan", "Publish", "Move", "Commit", "CleanUp", "Compensate")

#: Times, what only deliveries count, and keys of bodies (the two accounts' buckets have different names).
SKIPPED = {
    *("made_at", "recorded_at", "at", "started_at", "asked_at", "committed_at", "ended_at"),
    *("revision", "revision_id", "moved", "epoch", "overlapped", "publishing_since"),
    *("request_key", "plan_key", "report", "s3_bucket"),
}


def requests(world: World) -> dict[str, Execution]:
    """One operation of each kind of end; none of them has begun."""
    return {
        "deploy": world.begin(deploy_of("prod", world.wishes("three")), "it"),
        "deploy that drops": world.begin(deploy_of("prod", world.wishes("three", "a")), "it"),
        "new stage": world.begin(deploy_of("qa", world.wishes("three")), "it"),
        "rollback": world.begin({"operation": "rollback", "stage": "prod"}, "it"),
        "unchanged": world.begin(deploy_of("prod", world.wishes("two")), "it"),
        "refused": world.begin({"operation": "rollback", "stage": "prod", "if_release": 1}, "it"),
        "no stage": world.begin(deploy_of(None, world.wishes("three")), "it"),
    }


KINDS = ("deploy", "deploy that drops", "new stage", "rollback", "unchanged", "refused", "no stage")


def trace(world: World) -> object:
    """Everything that counts, without times and counters that only deliveries raise."""

    def bare(value: object) -> object:
        return {name: bare(inner) for name, inner in value.items() if name not in SKIPPED} if isinstance(value, dict) else value

    return {key: bare(item) for key, item in world.items().items()}, world.fake.state()


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_delivered_twice_gives_the_same_as_once(two: World, kind: str, worlds: list[World]) -> None:
    once = requests(two)[kind].run()
    again = World(saved=two.saved)
    worlds.append(again)
    twice = requests(again)[kind]
    twice.deliveries = 2

    twice.run()

    assert (twice.outcome, twice.visited) == (once.outcome, once.visited)
    assert trace(again) == trace(two)


@pytest.mark.parametrize("kind", KINDS)
def test_any_step_delivered_after_the_end_tells_the_recorded_end_and_changes_nothing(two: World, kind: str) -> None:
    done = requests(two)[kind].run()
    end, items, aws = done.answers[-1], two.items(), two.fake.state(revisions=True)

    late = [done.deliver(state) for state in STATES]

    assert [{**answer, "state": None} for answer in late] == [{**end, "state": None}] * len(STATES)
    assert (two.items(), two.fake.state(revisions=True)) == (items, aws)


def test_a_finished_operations_name_run_again_gives_the_recorded_outcome(two: World) -> None:
    done = two.rollback(name="back")
    two.deploy("prod", two.wishes("three"))
    items = two.items()

    again = two.rollback(name="back")

    assert again.output == done.output
    assert two.items() == items


def test_a_failed_operations_name_run_again_gives_the_recorded_failure(two: World) -> None:
    fail_after_the_others(two, "UpdateAlias", "b", "InvalidParameterValueException", "1")
    failed = two.rollback(name="back")
    two.fake.heal()

    again = two.rollback(name="back")

    assert (again.error, again.cause) == (failed.error, failed.cause)
    assert set(two.aliases().values()) == {"2"}


def test_a_name_that_stands_for_another_request_is_refused(two: World) -> None:
    two.rollback(name="it")

    other = two.deploy("prod", two.wishes("three"), name="it")

    assert other.outcome == "InvalidRequest"
    assert "it" in other.message
    assert set(two.aliases().values()) == {"1"}


@pytest.mark.parametrize("state", ["Accept", "Lock", "Plan", "Publish", "Move"])
def test_an_execution_redriven_from_any_point_goes_on_from_the_record(two: World, state: str) -> None:
    two.begin(deploy_of("prod", two.wishes("three")), "it").run_to(state)

    again = two.begin(deploy_of("prod", two.wishes("three")), "it").run()

    assert again.outcome == "succeeded"
    assert two.releases() == [1, 2, 3]
    assert two.aliases() == {"a": "3", "b": "3"}


def test_a_late_publish_does_not_take_back_what_the_next_deploy_wrote_about_latest(two: World) -> None:
    first = two.begin(deploy_of("prod", two.wishes("three"))).run_to("Move")
    second = two.begin(deploy_of("qa", two.wishes("four", MemorySize=512))).run_to("Move")
    before = two.claim("a")

    first.deliver("Publish")

    assert before is not None
    assert before["latest_write"]["operation_id"] == second.name
    assert two.claim("a") == before
