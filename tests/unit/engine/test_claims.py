"""One owner per function, also while functions leave and come back, operations fail, and another service wants them."""

from __future__ import annotations

import pytest

from stagekeeper.domain.orphans import SweepSettings

from .conftest import Deployed
from .execution import Execution
from .faults import of
from .world import World, deploy_of

DENIED = "AccessDeniedException"
DAY = 24 * 3600.0


def sweep(world: World, **more: object) -> Execution:
    return world.begin({"operation": "sweep", "mode": "delete", **more}).run()


@pytest.fixture
def without_b(deployed: Deployed) -> World:
    """prod has seen r1 to r3 with a and b, and serves r4 without b; b's versions are there and nobody claims b any more."""
    world = deployed("ab", "one two three")
    world.sweeping = SweepSettings(keep=9, rollback_depth=0, grace_seconds=DAY)
    world.clock.sleep(30 * DAY)
    world.deploy("prod", world.wishes("four", "a"))
    world.clock.sleep(30 * DAY)
    assert sweep(world).outcome == "succeeded"
    assert world.claimed() == ["a"]
    return world


def reset(world: World, stage: str) -> Execution:
    return world.begin({"operation": "reset", "stage": stage, "to": {"release": 3}})


def test_a_reset_that_fails_leaves_the_claim_to_another_stage_that_came_to_need_it(without_b: World) -> None:
    without_b.deploy("qa", without_b.wishes("four", "a"))
    fails = reset(without_b, "prod").run_to("Move")
    assert reset(without_b, "qa").run().outcome == "succeeded"
    without_b.fake.fail("CreateAlias", error=DENIED, times=None, where=of("b"))

    assert fails.run().outcome == "Compensated"

    assert without_b.claimed() == ["a", "b"]


def test_a_reset_that_fails_leaves_the_claim_to_an_operation_under_way_that_counts_on_it(without_b: World) -> None:
    without_b.deploy("qa", without_b.wishes("four", "a"))
    fails = reset(without_b, "prod").run_to("Commit")
    counts_on_it = reset(without_b, "qa").run_to("Move")
    fails.fail_state("Commit")

    assert fails.run().outcome == "Compensated"
    assert without_b.claimed() == ["a", "b"]
    assert counts_on_it.run().outcome == "succeeded"


def test_a_reset_that_fails_alone_leaves_the_function_as_free_as_it_was(without_b: World) -> None:
    without_b.fake.fail("CreateAlias", error=DENIED, times=None, where=of("b"))

    assert reset(without_b, "prod").run().outcome == "Compensated"
    assert without_b.claimed() == ["a"]


def test_coming_back_does_not_forget_what_a_deploy_gave_in_the_meantime(without_b: World) -> None:
    comes_back = reset(without_b, "prod").run_to("Move")
    given = without_b.begin(deploy_of("dev", {"b": without_b.wish("b", "new", Timeout=77)})).run()
    assert given.outcome == "succeeded", given.cause

    assert comes_back.run().outcome == "succeeded"

    refused = without_b.deploy("dev", {"b": without_b.wish("b", "newer")})
    assert refused.outcome == "InvalidRequest"
    assert "configuration.Timeout" in refused.message


def test_a_function_that_another_service_takes_between_plan_and_move_is_put_back(without_b: World) -> None:
    comes_back = reset(without_b, "prod").run_to("Move")
    billing = without_b.begin({**deploy_of("live", without_b.wishes("theirs", "b")), "service": "billing"}).run()
    assert billing.outcome == "succeeded", billing.cause

    assert comes_back.run().outcome == "FunctionOwnedElsewhere"
    assert without_b.aliases() == {"a": "4"}


def test_a_deploy_that_counts_on_a_version_of_a_function_that_nobody_has_looks_again_once_it_has_it(without_b: World) -> None:
    counts_on_it = without_b.begin({**deploy_of(None, {"b": without_b.wish("b", "two")}), "service": "billing"}).run_to("Publish")

    sweep(without_b, keep=0)

    done = counts_on_it.run()
    assert done.outcome == "Compensated"
    assert "was deleted meanwhile" in done.message


def test_a_deploy_that_claims_first_keeps_the_version_that_it_counts_on(without_b: World) -> None:
    counts_on_it = without_b.begin({**deploy_of("live", {"b": without_b.wish("b", "two")}), "service": "billing"}).run_to("Move")

    sweep(without_b, keep=0)

    assert counts_on_it.run().outcome == "succeeded"
    assert without_b.aliases("live") == {"b": "2"}


def test_a_service_teardown_leaves_a_function_that_moved_on_and_forgets_that_it_had_it(without_b: World) -> None:
    billing = without_b.begin({**deploy_of("live", without_b.wishes("theirs", "b")), "service": "billing"}).run()
    assert billing.outcome == "succeeded", billing.cause

    done = without_b.begin({"operation": "teardown", "confirm": "orders"}).run()

    assert done.outcome == "succeeded", done.cause
    assert [sk for pk, sk in without_b.items() if pk == "SERVICE#orders" and not sk.startswith("MOVEMENT")] == []
    assert without_b.claimed() == ["b"]
    assert without_b.aliases("live") == {"b": "4"}
    assert without_b.begin({"operation": "verify", "service": "billing"}).run().outcome == "unchanged"
