"""Functions that join and leave a service: dropped aliases, partial deploys, rollbacks across both."""

from __future__ import annotations

import pytest

from .conftest import Deployed
from .execution import Execution
from .faults import fail_after_the_others, of
from .world import World, deploy_of, lambda_name

DENIED = "AccessDeniedException"


@pytest.fixture
def three(deployed: Deployed) -> World:
    """Functions a, b and c; prod serves r1 with all of them."""
    return deployed("abc", "one")


def actions(done: Execution) -> list[tuple[str, str, str | None, str | None]]:
    assert done.output is not None, done.cause
    return [(c["function"], c["action"], c["before"], c["after"]) for c in done.output["changes"]]


def drop_c(world: World) -> Execution:
    return world.deploy("prod", world.wishes("two", "a", "b"))


# A deploy without a function that the stage has.


def test_the_alias_of_a_dropped_function_is_deleted_after_the_commit(three: World) -> None:
    done = drop_c(three)

    assert ("c", "delete_alias", "1", None) in actions(done)
    assert done.visited[-2:] == ["Commit", "CleanUp"]
    assert three.aliases() == three.recorded() == {"a": "2", "b": "2"}


def test_until_then_the_stage_stays_locked_and_its_record_names_the_alias(three: World) -> None:
    running = three.begin(deploy_of("prod", three.wishes("two", "a", "b"))).run_to("CleanUp")

    assert three.held() == {running.name: {"stage:prod"}}
    assert three.aliases() == three.recorded() == {"a": "2", "b": "2", "c": "1"}
    assert len(three.movements()) == 2


def test_nothing_is_deleted_when_the_deploy_fails(three: World) -> None:
    three.fake.fail("UpdateAlias", error="InvalidParameterValueException", times=None, where=of("a", "2"))

    assert drop_c(three).outcome == "Compensated"
    assert three.aliases() == {"a": "1", "b": "1", "c": "1"}


def test_only_dropping_a_function_is_a_movement_too(three: World) -> None:
    done = three.deploy("prod", three.wishes("one", "a", "b"))

    assert actions(done) == [("c", "delete_alias", "1", None)]
    assert three.aliases() == {"a": "1", "b": "1"}
    assert [(m["from_release"], m["to_release"]) for m in three.movements()] == [(None, 1), (1, 2)]


def test_a_clean_up_that_fails_needs_attention_but_the_movement_is_true_and_not_mixed(three: World) -> None:
    three.fake.fail("DeleteAlias", error=DENIED, times=None)

    failed = drop_c(three)

    stage = three.stage()
    assert failed.outcome == "NeedsAttention"
    assert failed.cause["blockers"] == [f"{three.arn('c')}:prod"]
    assert stage is not None
    assert (stage.mixed, stage.release, stage.way_back) == (False, 2, (1,))
    assert three.operation(failed.name)["status"] == "needs-attention"
    assert three.held() == {}


def test_after_such_a_clean_up_the_record_has_no_alias_that_is_gone(three: World) -> None:
    three.create("d")
    three.names = (*three.names, "d")
    three.deploy("prod", three.wishes("one"))
    three.fake.fail("DeleteAlias", error=DENIED, times=None, where=of("d"))

    failed = three.deploy("prod", three.wishes("two", "a", "b"))

    three.fake.heal()
    assert failed.cause["blockers"] == [f"{three.arn('d')}:prod"]
    assert three.recorded() == three.aliases() == {"a": "2", "b": "2", "d": "1"}
    assert three.rollback().outcome == "succeeded"


def test_the_next_deploy_deletes_what_such_a_clean_up_left(three: World) -> None:
    three.fake.fail("DeleteAlias", error=DENIED, times=None)
    drop_c(three)
    three.fake.heal()

    done = drop_c(three)

    assert actions(done) == [("c", "delete_alias", "1", None)]
    assert three.aliases() == three.recorded() == {"a": "2", "b": "2"}


def test_what_such_a_deploy_left_in_latest_is_no_failed_deploys(three: World) -> None:
    three.fake.fail("DeleteAlias", error=DENIED, times=None)
    drop_c(three)
    three.fake.heal()

    assert three.deploy("prod", three.wishes(None, "a", "b")).outcome == "succeeded"


@pytest.mark.parametrize("applied", [True, False])
def test_deleting_an_alias_without_an_answer_is_repeated(three: World, applied: bool) -> None:
    three.fake.fail("DeleteAlias", error="ReadTimeout", applied=applied)

    done = drop_c(three)

    assert done.outcome == "succeeded"
    assert three.aliases() == {"a": "2", "b": "2"}


def test_a_dropped_function_that_was_deleted_before_is_forgotten(three: World) -> None:
    three.fake.quietly("DeleteFunction", FunctionName=lambda_name("c"))

    done = drop_c(three)

    assert done.outcome == "succeeded"
    assert three.recorded() == {"a": "2", "b": "2"}


def test_a_dropped_function_that_is_deleted_meanwhile_is_as_good(three: World) -> None:
    running = three.begin(deploy_of("prod", three.wishes("two", "a", "b"))).run_to("CleanUp")
    three.fake.quietly("DeleteFunction", FunctionName=lambda_name("c"))

    assert running.run().outcome == "succeeded"


def test_a_dropped_alias_that_somebody_moved_is_drift(three: World) -> None:
    three.fake.publish(lambda_name("c"), b"by hand")
    three.fake.alias(lambda_name("c"), "prod", "2")

    assert drop_c(three).outcome == "Drifted"
    assert three.aliases() == {"a": "1", "b": "1", "c": "2"}


# Partial deploys.


def test_a_partial_deploy_keeps_the_other_functions_and_makes_a_whole_release(three: World) -> None:
    done = three.deploy("prod", three.wishes("two", "a"), partial=True)

    assert actions(done) == [("a", "publish", "1", "2"), ("a", "move_alias", "1", "2")]
    assert three.aliases() == {"a": "2", "b": "1", "c": "1"}


def test_a_rollback_goes_back_over_a_partial_deploy(three: World) -> None:
    three.deploy("prod", three.wishes("two", "a"), partial=True)

    three.rollback()

    assert three.aliases() == {"a": "1", "b": "1", "c": "1"}


def test_a_partial_deploy_can_add_a_function(three: World) -> None:
    three.create("d")
    three.names = (*three.names, "d")

    done = three.deploy("prod", three.wishes("one", "d"), partial=True)

    assert ("d", "create_alias", None, "1") in actions(done)
    assert three.aliases() == {"a": "1", "b": "1", "c": "1", "d": "1"}


def test_a_partial_deploy_puts_a_mixed_stage_right_everywhere(three: World) -> None:
    fail_after_the_others(three, "UpdateAlias", "c", "InvalidParameterValueException", "2")
    three.fake.fail("UpdateAlias", error=DENIED, times=None, where=of("a", "1"))
    assert three.deploy("prod", three.wishes("two")).outcome == "NeedsAttention"
    three.fake.heal()

    done = three.deploy("prod", three.wishes("three", "b"), partial=True)

    assert done.outcome == "succeeded"
    assert three.aliases() == three.recorded() == {"a": "1", "b": "3", "c": "1"}


# Rollbacks across functions that came and went.


def test_a_rollback_to_a_release_with_a_function_that_was_dropped_makes_its_alias_again(three: World) -> None:
    drop_c(three)

    done = three.rollback()

    assert done.output is not None
    assert ("c", "create_alias", None, "1") in actions(done)
    assert "function c is made again" in done.output["warnings"][0]
    assert three.aliases() == three.recorded() == {"a": "1", "b": "1", "c": "1"}


def test_a_rollback_to_a_release_without_a_function_keeps_its_alias(three: World) -> None:
    three.create("d")
    three.names = (*three.names, "d")
    three.deploy("prod", three.wishes("two"))

    done = three.rollback()

    assert done.output is not None
    assert {"function": "d", "action": "kept", "before": "1", "after": "1", "reason": "not in r1"} in done.output["changes"]
    assert three.aliases() == three.recorded() == {"a": "1", "b": "1", "c": "1", "d": "1"}


def test_a_kept_alias_is_dropped_by_the_next_deploy_without_its_function(three: World) -> None:
    three.create("d")
    three.names = (*three.names, "d")
    three.deploy("prod", three.wishes("two"))
    three.rollback()

    three.deploy("prod", three.wishes("three", "a", "b", "c"))

    assert set(three.aliases()) == {"a", "b", "c"}


def test_a_deploy_to_and_fro_over_a_dropped_function_ends_where_it_says(three: World) -> None:
    drop_c(three)
    three.rollback()

    done = drop_c(three)

    assert done.output is not None
    assert done.output["release"] == 2
    assert three.aliases() == three.recorded() == {"a": "2", "b": "2"}


def test_another_function_under_the_same_name_is_one_removed_and_one_added(three: World) -> None:
    three.create("other")
    functions = three.wishes("one", "a", "b") | {"c": three.wish("other", "one")}

    done = three.deploy("prod", functions)

    assert ("c", "delete_alias", "1", None) in actions(done)
    assert ("c", "create_alias", None, "1") in actions(done)
    assert three.fake.aliases(lambda_name("c")) == {}
    assert three.fake.aliases(lambda_name("other")) == {"prod": "1"}


def test_a_function_may_get_another_logical_name(three: World) -> None:
    functions = three.wishes("one", "a", "b") | {"renamed": three.wish("c", "one")}

    done = three.deploy("prod", functions)

    claim = three.claim("c")
    assert done.outcome == "succeeded"
    assert claim is not None
    assert claim["function"] == "renamed"
    assert three.fake.aliases(lambda_name("c")) == {"prod": "1"}


# Who else uses an alias that goes.


def test_a_deploy_that_drops_a_function_says_who_uses_the_alias_that_goes(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.permit("b", "prod", sid="uploads", principal="s3.amazonaws.com")
    request = deploy_of("prod", world.wishes("two", "a"))

    planned = world.begin({**request, "dry_run": True}).run()
    done = world.begin(request).run()

    warning = "alias prod of function b goes, and is used by permission uploads (s3.amazonaws.com)"
    assert planned.output is not None
    assert done.output is not None
    assert (planned.output["warnings"], done.output["warnings"]) == ([warning], [warning])


def test_that_it_cannot_be_read_is_a_warning_as_well(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.fake.fail("GetPolicy", error="AccessDeniedException", times=None)

    done = world.deploy("prod", world.wishes("two", "a"))

    assert done.output is not None, done.cause
    assert done.output["warnings"][0].startswith("who uses alias prod of function b, which goes, is not known: the policy of")


def test_a_function_that_stays_is_not_asked_about(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.wire.clear()

    world.deploy("prod", world.wishes("two"))

    assert "lambda.GetPolicy" not in [sent.name for sent in world.wire.sent]
