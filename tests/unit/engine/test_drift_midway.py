"""Somebody else moves an alias while an operation is moving them: their change is never overwritten by accident."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .faults import of, wait_for_the_others
from .world import World, lambda_name

NO = "InvalidParameterValueException"


def others(world: World, name: str) -> tuple[str, ...]:
    return tuple(other for other in world.names if other != name)


def meddle(world: World, name: str, act: Callable[[], object]) -> None:
    """Do something to the function just before its alias is moved, when all others have been moved."""
    wait_for_the_others(world.fake, "UpdateAlias", name, others(world, name))
    world.fake.on("UpdateAlias", lambda _: act(), on_call=1, where=of(name))


def point(world: World, name: str, version: str, weights: dict[str, float] | None = None) -> Callable[[], object]:
    return lambda: world.fake.alias(lambda_name(name), "prod", version, weights)


@pytest.mark.parametrize("name", ["a", "c", "e"])
def test_an_alias_moved_elsewhere_is_left_alone_and_the_others_are_put_back(five: World, name: str) -> None:
    meddle(five, name, point(five, name, "1"))

    failed = five.deploy("prod", five.wishes("three"))

    assert failed.outcome == "Drifted"
    assert five.aliases() == {other: "1" if other == name else "2" for other in five.names}
    assert failed.cause["blockers"] == [f"{five.arn(name)}:prod: version 1"]
    assert five.held() == {}


def test_the_record_still_says_what_the_stage_should_serve_so_the_next_operation_sees_the_drift(five: World) -> None:
    meddle(five, "c", point(five, "c", "1"))
    five.deploy("prod", five.wishes("three"))
    five.fake.heal()

    refused = five.rollback()

    assert set(five.recorded().values()) == {"2"}
    assert refused.outcome == "Drifted"


def test_an_alias_deleted_meanwhile_is_left_alone(five: World) -> None:
    meddle(five, "c", lambda: five.fake.quietly("DeleteAlias", FunctionName=lambda_name("c"), Name="prod"))

    failed = five.rollback()

    assert failed.outcome == "Drifted"
    assert five.aliases() == {"a": "2", "b": "2", "d": "2", "e": "2"}


def test_a_touch_that_leaves_the_version_costs_one_more_look_and_one_more_call(five: World) -> None:
    meddle(five, "c", point(five, "c", "2"))

    done = five.rollback()

    assert done.outcome == "succeeded"
    assert set(five.aliases().values()) == {"1"}
    assert sorted(five.wire.shared_calls()) == ["lambda.GetAlias"] + ["lambda.UpdateAlias"] * 6


def test_an_alias_that_somebody_moved_to_the_target_already_is_done(five: World) -> None:
    meddle(five, "c", point(five, "c", "1"))

    assert five.rollback().outcome == "succeeded"
    assert set(five.aliases().values()) == {"1"}


def test_somebodys_routing_weights_are_not_taken_away(five: World) -> None:
    meddle(five, "c", point(five, "c", "2", {"1": 0.1}))

    failed = five.deploy("prod", five.wishes("three"))

    assert failed.outcome == "Drifted"
    assert "routing weights" in failed.message
    assert five.fake.state()[lambda_name("c")]["aliases"]["prod"] == ("2", {"1": 0.1})
    assert set(five.aliases().values()) == {"2"}


def test_routing_weights_are_taken_away_when_drift_may_be_overwritten(five: World) -> None:
    meddle(five, "c", point(five, "c", "2", {"1": 0.1}))

    done = five.deploy("prod", five.wishes("three"), on_drift="overwrite")

    assert done.outcome == "succeeded"
    assert five.fake.state()[lambda_name("c")]["aliases"]["prod"] == ("3", {})


def test_another_version_met_midway_is_left_alone_even_then(five: World) -> None:
    meddle(five, "c", point(five, "c", "1"))

    failed = five.deploy("prod", five.wishes("three"), on_drift="overwrite")

    assert failed.outcome == "Drifted"
    assert five.aliases() == {"a": "2", "b": "2", "c": "1", "d": "2", "e": "2"}


def test_an_alias_that_somebody_makes_meanwhile_is_theirs(five: World) -> None:
    running = five.begin({"operation": "deploy", "stage": "qa", "functions": five.wishes("two")}).run_to("Move")
    five.fake.alias(lambda_name("c"), "qa", "1")

    running.run()

    assert running.outcome == "AliasOwnedElsewhere"
    assert five.aliases("qa") == {"c": "1"}
    assert five.stage("qa") is None


def test_an_alias_moved_while_it_is_put_back_is_left_alone_and_said_so(five: World) -> None:
    wait_for_the_others(five.fake, "UpdateAlias", "e", others(five, "e"), "3")
    five.fake.fail("UpdateAlias", error=NO, times=None, where=of("e", "3"))
    running = five.begin({"operation": "deploy", "stage": "prod", "functions": five.wishes("three")}).run_to("Compensate")
    five.fake.alias(lambda_name("b"), "prod", "1")

    running.run()

    assert running.outcome == "Drifted"
    assert f"{five.arn('b')}:prod has version 1" in running.cause["blockers"]
    assert five.aliases() == {"a": "2", "b": "1", "c": "2", "d": "2", "e": "2"}


def test_the_operation_is_compensated_on_record_when_all_of_its_own_was_put_back(five: World) -> None:
    meddle(five, "c", point(five, "c", "1"))

    failed = five.deploy("prod", five.wishes("three"))

    stage = five.stage()
    assert five.operation(failed.name)["status"] == "compensated"
    assert stage is not None
    assert not stage.mixed
