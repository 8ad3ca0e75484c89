"""Compensation that fails itself: the stage is mixed, its record says what is really served, the next operation starts there."""

from __future__ import annotations

import pytest

from .execution import Execution
from .faults import fail_after_the_others, of
from .world import World, lambda_name

NO, DENIED = "InvalidParameterValueException", "AccessDeniedException"


def break_prod(world: World, stuck: str = "a") -> Execution:
    """A deploy that fails on ``e`` and cannot put ``stuck`` back from version 3."""
    fail_after_the_others(world, "UpdateAlias", "e", NO, "3")
    world.fake.fail("UpdateAlias", error=DENIED, times=None, where=of(stuck, "2"))
    failed = world.deploy("prod", world.wishes("three"), name="broken")
    world.fake.heal()
    world.wire.clear()
    assert failed.outcome == "NeedsAttention"
    return failed


@pytest.mark.parametrize("stuck", ["a", "c", "d"])
def test_an_alias_that_cannot_be_put_back_leaves_the_stage_mixed_as_it_really_is(five: World, stuck: str) -> None:
    failed = break_prod(five, stuck)

    stage = five.stage()
    assert stage is not None
    assert stage.mixed
    assert five.aliases() == {name: "3" if name == stuck else "2" for name in five.names}
    assert five.recorded() == five.aliases()
    (blocker,) = failed.cause["blockers"]
    assert blocker.startswith(f"{five.arn(stuck)}:prod serves version 3, it should be version 2 (AccessDeniedException")


def test_the_mixed_stage_keeps_the_release_and_the_way_back_from_before(five: World) -> None:
    break_prod(five)

    stage = five.stage()
    assert stage is not None
    assert (stage.release, stage.way_back, stage.movements) == (2, (1,), 2)
    assert len(five.movements()) == 2


def test_a_mixed_stage_that_fails_once_more_writes_down_what_it_left(five: World) -> None:
    break_prod(five)
    fail_after_the_others(five, "UpdateAlias", "e", NO, "4")
    five.fake.fail("UpdateAlias", error=DENIED, times=None, where=of("a", "3"))

    again = five.deploy("prod", five.wishes("four"))

    line = five.movements()[-1]
    assert again.outcome == "NeedsAttention"
    assert five.recorded() == five.aliases() == {"a": "4", "b": "2", "c": "2", "d": "2", "e": "2"}
    assert (line["number"], line["from_release"], line["to_release"]) == (3, 2, 2)
    assert line["displaced"] == {five.arn("a"): 3}


def test_the_locks_are_released_all_the_same(five: World) -> None:
    break_prod(five)

    assert five.held() == {}
    assert five.operation("broken")["status"] == "needs-attention"


def test_a_rollback_without_to_goes_to_the_release_before_the_failure_and_pops_nothing(five: World) -> None:
    break_prod(five)

    back = five.rollback()

    stage = five.stage()
    assert back.output is not None
    assert (back.output["outcome"], back.output["release"], back.output["previous_release"]) == ("succeeded", 2, 2)
    assert stage is not None
    assert (stage.mixed, stage.release, stage.way_back) == (False, 2, (1,))
    assert set(five.aliases().values()) == {"2"}


def test_that_rollback_moves_only_what_is_not_in_its_place(five: World) -> None:
    break_prod(five)

    five.rollback()

    assert five.wire.shared_calls().count("lambda.UpdateAlias") == 1


def test_a_rollback_with_steps_counts_from_the_release_before_the_failure(five: World) -> None:
    break_prod(five)

    back = five.rollback(to={"steps": 1})

    stage = five.stage()
    assert back.outcome == "succeeded"
    assert stage is not None
    assert (stage.mixed, stage.release, stage.way_back) == (False, 1, ())
    assert set(five.aliases().values()) == {"1"}


def test_the_next_deploy_starts_from_what_is_really_served(five: World) -> None:
    break_prod(five)

    again = five.deploy("prod", five.wishes("three"))

    stage = five.stage()
    assert again.outcome == "succeeded", again.cause
    assert stage is not None
    assert not stage.mixed
    assert stage.way_back == (2, 1)
    assert set(five.aliases().values()) == {"3"}


def test_deploying_what_was_served_before_is_a_repair_and_no_unchanged(five: World) -> None:
    break_prod(five)

    again = five.deploy("prod", five.wishes("two"))

    stage = five.stage()
    assert (again.outcome, set(five.aliases().values())) == ("succeeded", {"2"})
    assert stage is not None
    assert (stage.mixed, stage.way_back) == (False, (1,))


def test_if_release_compares_with_the_release_before_the_failure(five: World) -> None:
    break_prod(five)

    refused, done = five.rollback(if_release=3), five.rollback(if_release=2)

    assert (refused.outcome, done.outcome) == ("StageMoved", "succeeded")


def test_a_new_stage_whose_alias_cannot_be_unmade_is_mixed_and_serves_no_release(five: World) -> None:
    fail_after_the_others(five, "CreateAlias", "e", NO)
    five.fake.fail("DeleteAlias", error=DENIED, times=None, where=of("a"))

    failed = five.deploy("qa", five.wishes("two"))

    stage = five.stage("qa")
    assert failed.outcome == "NeedsAttention"
    assert stage is not None
    assert (stage.mixed, stage.release, stage.way_back) == (True, None, ())
    assert five.aliases("qa") == five.recorded("qa") == {"a": "2"}


def test_a_mixed_new_stage_has_nothing_to_roll_back_to_and_can_be_deployed(five: World) -> None:
    fail_after_the_others(five, "CreateAlias", "e", NO)
    five.fake.fail("DeleteAlias", error=DENIED, times=None, where=of("a"))
    five.deploy("qa", five.wishes("two"))
    five.fake.heal()

    back, again = five.rollback("qa"), five.deploy("qa", five.wishes("two"))

    assert (back.outcome, again.outcome) == ("NothingToRollBack", "succeeded")
    assert set(five.aliases("qa").values()) == {"2"}
    assert [movement["from_release"] for movement in five.movements("qa")] == [None]


def test_an_alias_that_cannot_even_be_read_is_taken_to_be_where_the_operation_put_it(five: World) -> None:
    fail_after_the_others(five, "UpdateAlias", "e", NO, "3")
    running = five.begin({"operation": "deploy", "stage": "prod", "functions": five.wishes("three")}).run_to("Compensate")
    for operation in ("UpdateAlias", "GetAlias", "GetFunction"):
        five.fake.fail(operation, error=DENIED, times=None, where=of("a"))

    running.run()

    assert running.outcome == "NeedsAttention"
    assert five.recorded()["a"] == "3"


def test_the_next_rollback_mends_an_alias_that_could_not_be_read(five: World) -> None:
    fail_after_the_others(five, "UpdateAlias", "e", NO, "3")
    running = five.begin({"operation": "deploy", "stage": "prod", "functions": five.wishes("three")}).run_to("Compensate")
    for operation in ("UpdateAlias", "GetAlias", "GetFunction"):
        five.fake.fail(operation, error=DENIED, times=None, where=of("a"))
    running.run()
    five.fake.heal()

    assert five.rollback().outcome == "succeeded"
    assert set(five.aliases().values()) == {"2"}


def test_what_failed_first_is_told_beside_what_could_not_be_put_back(five: World) -> None:
    failed = break_prod(five)

    assert lambda_name("e") in failed.message
    assert "roll back" in failed.message
