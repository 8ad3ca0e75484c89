"""Deploy and rollback end to end: outputs as the public interface has them, the ledger, the way back, the releases' numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Deployed
from .world import World, lambda_name


def serves(world: World, stage: str = "prod") -> tuple[int | None, tuple[int, ...]]:
    """The stage's release and its way back, newest first."""
    found = world.stage(stage)
    assert found is not None
    return found.release, found.way_back


def output(**expected: Any) -> dict[str, Any]:
    """An output with what is the same for all of these operations."""
    return {
        "service": "orders",
        "stage": "prod",
        "warnings": [],
        "sweep": {"deleted": [], "kept": []},
        "deleted_count": 0,
        "kept_count": 0,
        **expected,
    }


def change(function: str, action: str, before: str | None, after: str | None, reason: str) -> dict[str, Any]:
    return {"function": function, "action": action, "before": before, "after": after, "reason": reason}


def told(done: dict[str, Any] | None) -> dict[str, Any]:
    """The output without the place of its report, which is looked at elsewhere."""
    assert done is not None
    return {name: value for name, value in done.items() if name != "report"}


def test_a_first_deploy_publishes_makes_the_aliases_and_says_so(world: World) -> None:
    done = world.deploy("prod", world.wishes("one"))

    assert told(done.output) == output(
        outcome="succeeded",
        operation_id="op-1",
        operation="deploy",
        release=1,
        previous_release=None,
        changes=[
            change("a", "publish", None, "1", "new code"),
            change("b", "publish", None, "1", "new code"),
            change("a", "create_alias", None, "1", "onto the version being published"),
            change("b", "create_alias", None, "1", "onto the version being published"),
        ],
        changes_count=4,
    )
    assert world.aliases() == {"a": "1", "b": "1"}


def test_a_deploy_of_one_changed_function_touches_only_that_one(two: World) -> None:
    done = two.deploy("prod", two.wishes("two", "a") | two.wishes("three", "b"))

    assert told(done.output) == output(
        outcome="succeeded",
        operation_id="op-3",
        operation="deploy",
        release=3,
        previous_release=2,
        changes=[
            change("b", "publish", "2", "3", "new code"),
            change("b", "move_alias", "2", "3", "onto the version being published"),
        ],
        changes_count=2,
    )


def test_a_rollback_moves_every_alias_back_and_says_so(two: World) -> None:
    done = two.rollback()

    assert told(done.output) == output(
        outcome="succeeded",
        operation_id="op-3",
        operation="rollback",
        release=1,
        previous_release=2,
        changes=[
            change("a", "move_alias", "2", "1", "r1 has version 1 here"),
            change("b", "move_alias", "2", "1", "r1 has version 1 here"),
        ],
        changes_count=2,
    )
    assert two.aliases() == {"a": "1", "b": "1"}


def test_the_report_lies_where_the_output_says_and_has_the_same(two: World) -> None:
    done = two.rollback()

    assert done.output is not None
    place = done.output["report"]
    assert place["s3_bucket"] == two.bucket
    assert json.loads(two.bodies()[place["s3_key"]]) == told(done.output)


def test_a_deploy_that_changes_nothing_is_unchanged_and_makes_no_release_and_no_movement(two: World) -> None:
    before = two.lasting("op-3")

    done = two.deploy("prod", two.wishes("two"))

    assert told(done.output) == output(
        outcome="unchanged", operation_id="op-3", operation="deploy", release=2, previous_release=2, changes=[], changes_count=0
    )
    assert two.lasting("op-3") == before


def test_a_rollback_to_what_is_served_already_is_unchanged(two: World) -> None:
    done = two.rollback(to={"release": 2})

    assert done.outcome == "unchanged"
    assert len(two.movements()) == 2


def test_a_dry_run_says_what_would_happen_and_does_nothing(two: World) -> None:
    items, bodies, aws = two.items(), two.bodies(), two.fake.state(revisions=True)

    planned = two.deploy("prod", two.wishes("three"), dry_run=True)

    assert planned.output is not None
    assert planned.visited == ["Accept", "DryRun"]
    assert (planned.outcome, planned.output["release"], planned.output["report"]) == ("planned", 3, None)
    assert [(c["action"], c["before"], c["after"]) for c in planned.output["changes"]] == [
        ("publish", "2", None),
        ("publish", "2", None),
        ("move_alias", "2", None),
        ("move_alias", "2", None),
    ]
    assert (two.items(), two.bodies(), two.fake.state(revisions=True)) == (items, bodies, aws)


def test_a_dry_run_of_a_rollback_and_of_nothing_are_planned_too(two: World) -> None:
    back, nothing = two.rollback(dry_run=True), two.deploy("prod", two.wishes("two"), dry_run=True)

    assert back.output is not None
    assert nothing.output is not None
    assert (back.outcome, back.output["changes_count"]) == ("planned", 2)
    assert (nothing.outcome, nothing.output["changes_count"]) == ("planned", 0)


def test_a_dry_run_does_not_even_remember_what_an_object_hashed_to(two: World) -> None:
    functions = {"a": {"function_name": lambda_name("a"), "code": two.upload("a", "three", checksum=False)}}
    items = two.items()

    assert two.deploy("prod", functions, dry_run=True).outcome == "planned"

    assert two.items() == items


def test_a_dry_run_waits_for_nobody(two: World) -> None:
    two.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")

    assert two.rollback(dry_run=True).outcome == "planned"


# Releases and versions.


def test_equal_content_is_the_same_release_and_the_same_version(two: World) -> None:
    done = two.deploy("prod", two.wishes("one"))

    assert done.output is not None
    assert done.output["release"] == 1
    assert {c["action"] for c in done.output["changes"]} == {"reuse", "move_alias"}
    assert two.aliases() == {"a": "1", "b": "1"}
    assert two.releases() == [1, 2]


def test_another_stage_serves_the_same_versions(two: World) -> None:
    done = two.deploy("qa", two.wishes("two"))

    assert done.output is not None
    assert done.output["release"] == 2
    assert two.aliases("qa") == two.aliases("prod") == {"a": "2", "b": "2"}


def test_another_configuration_is_another_release(two: World) -> None:
    done = two.deploy("prod", two.wishes("two", MemorySize=512))

    assert done.output is not None
    assert done.output["release"] == 3
    assert done.output["changes"][0]["reason"] == "configuration.MemorySize"


def test_without_a_stage_the_release_is_made_and_no_alias_moves(two: World) -> None:
    done = two.deploy(None, two.wishes("three"))

    assert told(done.output) == output(
        outcome="succeeded",
        operation_id="op-3",
        operation="deploy",
        stage=None,
        release=3,
        previous_release=None,
        changes=[change("a", "publish", None, "3", "new code"), change("b", "publish", None, "3", "new code")],
        changes_count=2,
    )
    assert two.aliases() == {"a": "2", "b": "2"}
    assert two.movements()[2:] == []


def test_what_was_built_without_a_stage_is_promoted_without_publishing(two: World) -> None:
    two.deploy(None, two.wishes("three"))
    two.wire.clear()

    done = two.deploy("prod", two.wishes("three"))

    assert done.outcome == "succeeded"
    assert two.wire.shared_calls() == ["lambda.UpdateAlias"] * 2
    assert two.releases() == [1, 2, 3]


def test_building_the_same_again_without_a_stage_is_unchanged(two: World) -> None:
    done = two.deploy(None, two.wishes("two"))

    assert done.output is not None
    assert (done.outcome, done.output["release"], done.output["previous_release"]) == ("unchanged", 2, None)


def test_the_number_of_a_deploy_that_failed_is_a_gap(two: World) -> None:
    two.fake.fail("UpdateFunctionCode", error="InvalidParameterValueException", times=None)
    two.deploy("prod", two.wishes("bad"))
    two.fake.heal()

    done = two.deploy("prod", two.wishes("good"))

    assert done.output is not None
    assert done.output["release"] == 4
    assert two.releases() == [1, 2, 4]


def test_a_version_that_was_deleted_is_published_anew_under_the_same_release(two: World) -> None:
    two.fake.quietly("DeleteFunction", FunctionName=lambda_name("a"), Qualifier="1")

    done = two.deploy("prod", two.wishes("one"))

    assert done.output is not None
    assert (done.outcome, done.output["release"]) == ("succeeded", 1)
    assert two.aliases() == {"a": "3", "b": "1"}


def test_a_version_is_moved_to_only_when_it_can_serve(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.fake._functions.version_seconds = 200.0
    world.wire.clear()

    done = world.deploy("prod", world.wishes("two"))

    order = [sent.name for sent in world.wire.sent]
    assert done.outcome == "succeeded"
    assert order.index("lambda.UpdateAlias") > max(i for i, name in enumerate(order) if name == "lambda.UpdateFunctionCode")
    assert set(world.aliases().values()) == {"2"}


def test_a_version_that_takes_longer_than_one_worker_lives_is_waited_for(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.fake._functions.version_seconds = 1000.0
    world.clock.stretch = 20

    done = world.deploy("prod", world.wishes("two"))

    assert done.outcome == "succeeded"
    assert done.visited.count("Publish") > 1
    assert [list(world.fake.versions(lambda_name(name))) for name in world.names] == [["1", "2"]] * 2


def test_an_update_takes_its_time_and_is_waited_for(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.fake._functions.update_seconds = 20.0

    done = world.deploy("prod", world.wishes("two", MemorySize=512))

    assert done.outcome == "succeeded"
    assert set(world.aliases().values()) == {"2"}


# The ledger and the way back.


def test_each_movement_is_a_line_of_the_ledger_with_who_and_why(two: World) -> None:
    source = {"commit": "abc123", "branch": "main", "run_url": "https://ci.example/7"}
    two.rollback(actor="ada", reason="checkout is broken", source=source)

    line = {name: value for name, value in two.movements()[-1].items() if name not in ("pk", "sk", "schema", "at")}
    assert line == {
        "stage": "prod",
        "number": 3,
        "operation": "rollback",
        "operation_id": "op-3",
        "from_release": 2,
        "to_release": 1,
        "actor": "ada",
        "reason": "checkout is broken",
        "commit": "abc123",
        "branch": "main",
        "run_url": "https://ci.example/7",
        "popped": [1],
        "displaced": {},
    }


def test_a_deploy_pushes_what_the_stage_served(two: World) -> None:
    assert serves(two) == (2, (1,))

    two.deploy("prod", two.wishes("three"))

    assert serves(two) == (3, (2, 1))


def test_rolling_back_twice_goes_two_releases_back_and_not_to_and_fro(two: World) -> None:
    two.deploy("prod", two.wishes("three"))

    outcomes = [two.rollback().outcome for _ in range(3)]

    assert outcomes == ["succeeded", "succeeded", "NothingToRollBack"]
    assert serves(two) == (1, ())
    assert two.aliases() == {"a": "1", "b": "1"}


@pytest.mark.parametrize("to", [{"steps": 2}, {"release": 1}])
def test_a_rollback_over_several_releases_pops_them_all(two: World, to: dict[str, int]) -> None:
    two.deploy("prod", two.wishes("three"))

    two.rollback(to=to)

    assert serves(two) == (1, ())


def test_a_new_stage_has_no_way_back_although_others_have(two: World) -> None:
    two.deploy("qa", two.wishes("two"))

    assert serves(two, "qa") == (2, ())


def test_deploying_an_earlier_release_pushes_like_any_deploy(two: World) -> None:
    two.deploy("prod", two.wishes("one"))

    assert serves(two) == (1, (2, 1))


def test_if_release_lets_only_one_of_two_rollbacks_through(two: World) -> None:
    two.deploy("prod", two.wishes("three"))

    outcomes = [two.rollback(if_release=3).outcome for _ in range(2)]

    assert outcomes == ["succeeded", "StageMoved"]
    assert serves(two) == (2, (1,))


# Drift that may be overwritten.


def test_drift_is_overwritten_on_demand_and_the_repair_does_not_touch_the_way_back(two: World) -> None:
    two.fake.alias(lambda_name("b"), "prod", "1")

    done = two.deploy("prod", two.wishes("two"), on_drift="overwrite")

    assert done.outcome == "succeeded"
    assert two.aliases() == {"a": "2", "b": "2"}
    assert serves(two) == (2, (1,))
    assert [(m["from_release"], m["to_release"]) for m in two.movements()][-1] == (2, 2)


def test_a_rollback_over_drift_goes_where_it_was_told(two: World) -> None:
    two.fake.publish(lambda_name("b"), b"by hand")
    two.fake.alias(lambda_name("b"), "prod", "3")

    done = two.rollback(on_drift="overwrite")

    assert done.outcome == "succeeded"
    assert two.aliases() == {"a": "1", "b": "1"}
    assert serves(two) == (1, ())


def test_a_rollback_over_drift_that_fails_puts_back_what_it_found(two: World) -> None:
    two.fake.publish(lambda_name("b"), b"by hand")
    two.fake.alias(lambda_name("b"), "prod", "3")
    two.fake.fail(
        "UpdateAlias", error="InvalidParameterValueException", times=None, where=lambda p: "orders-a" in p["FunctionName"]
    )

    failed = two.rollback(on_drift="overwrite")

    assert failed.outcome == "Compensated"
    assert two.aliases() == {"a": "2", "b": "3"}


def test_an_alias_deleted_behind_our_back_is_made_again_on_demand(two: World) -> None:
    two.fake.quietly("DeleteAlias", FunctionName=lambda_name("b"), Name="prod")

    done = two.rollback(on_drift="overwrite")

    assert done.outcome == "succeeded"
    assert two.aliases() == two.recorded() == {"a": "1", "b": "1"}
