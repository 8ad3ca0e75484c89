"""An operation that fails midway is put back as it was: at the first, a middle and the last function, in publish and in move."""

from __future__ import annotations

import pytest

from stagekeeper.domain.model import Stage

from .execution import Execution
from .faults import fail_after_the_others, of
from .world import World, lambda_name

EACH_PLACE = pytest.mark.parametrize("place", ["a", "c", "e"], ids=["the first", "a middle one", "the last"])
NO = "InvalidParameterValueException"


def told(stage: Stage | None) -> object:
    """A stage's record without RevisionIds: putting an alias back gives it another one."""
    if stage is None:
        return None
    versions = {arn: alias.version for arn, alias in stage.aliases.items()}
    return stage.release, stage.way_back, versions, stage.mixed, stage.movements


def assert_put_back(world: World, failed: Execution, stage: Stage | None, aliases: dict[str, str]) -> None:
    assert failed.outcome == "Compensated", failed.cause
    assert world.aliases() == aliases
    assert told(world.stage()) == told(stage)
    assert world.held() == {}
    assert world.operation(failed.name)["status"] == "compensated"


@EACH_PLACE
def test_a_deploy_whose_publishing_fails_on_one_function_is_put_back(five: World, place: str) -> None:
    stage, aliases = five.stage(), five.aliases()
    five.fake.fail("UpdateFunctionCode", error=NO, where=of(place))

    failed = five.deploy("prod", five.wishes("three"))

    assert_put_back(five, failed, stage, aliases)
    assert lambda_name(place) in failed.message


@EACH_PLACE
def test_the_versions_that_a_failed_deploy_had_published_are_on_record_as_its_own(five: World, place: str) -> None:
    fail_after_the_others(five, "UpdateFunctionCode", place, NO)

    failed = five.deploy("prod", five.wishes("three"))

    owners = {sk: item["published_by"] for (_, sk), item in five.items().items() if sk == "VERSION#00000003"}
    published = [item for (_, sk), item in five.items().items() if sk == "VERSION#00000003"]
    assert failed.outcome == "Compensated"
    assert owners == {"VERSION#00000003": failed.name}
    assert len(published) == 4


@EACH_PLACE
def test_a_deploy_whose_moving_fails_before_the_others_moved_is_put_back(five: World, place: str) -> None:
    stage, aliases = five.stage(), five.aliases()
    five.fake.fail("UpdateAlias", error=NO, times=None, where=of(place, "3"))

    failed = five.deploy("prod", five.wishes("three"))

    assert_put_back(five, failed, stage, aliases)


@EACH_PLACE
def test_a_deploy_whose_moving_fails_after_the_others_moved_is_put_back(five: World, place: str) -> None:
    stage, aliases = five.stage(), five.aliases()
    fail_after_the_others(five, "UpdateAlias", place, NO, "3")

    failed = five.deploy("prod", five.wishes("three"))

    assert_put_back(five, failed, stage, aliases)
    assert five.wire.shared_calls().count("lambda.UpdateAlias") == 9  # four there, one refused, four back
    assert lambda_name(place) in failed.message


@EACH_PLACE
def test_a_rollback_that_fails_after_the_others_moved_is_put_back(five: World, place: str) -> None:
    stage, aliases = five.stage(), five.aliases()
    fail_after_the_others(five, "UpdateAlias", place, NO, "1")

    failed = five.rollback()

    assert_put_back(five, failed, stage, aliases)


@EACH_PLACE
def test_a_new_stage_whose_making_fails_leaves_no_alias_and_no_stage(five: World, place: str) -> None:
    fail_after_the_others(five, "CreateAlias", place, NO)

    failed = five.deploy("qa", five.wishes("two"))

    assert failed.outcome == "Compensated"
    assert five.aliases("qa") == {}
    assert five.stage("qa") is None
    assert five.movements("qa") == []
    assert five.held() == {}


def test_a_failed_deploy_takes_no_place_in_the_ledger_and_the_next_one_works(five: World) -> None:
    five.fake.fail("UpdateAlias", error=NO, times=None, where=of("c", "3"))
    five.deploy("prod", five.wishes("three"))
    five.fake.heal()

    again = five.deploy("prod", five.wishes("three"))

    assert again.outcome == "succeeded"
    assert [(m["from_release"], m["to_release"]) for m in five.movements()] == [(None, 1), (1, 2), (2, again.output["release"])]  # type: ignore[index]
    assert set(five.aliases().values()) == {"3"}


def test_moves_after_a_compensation_still_cost_one_call_each(five: World) -> None:
    fail_after_the_others(five, "UpdateAlias", "e", NO, "3")
    five.deploy("prod", five.wishes("three"))
    five.fake.heal()
    five.wire.clear()

    assert five.rollback().outcome == "succeeded"

    assert five.wire.shared_calls() == ["lambda.UpdateAlias"] * 5


def test_a_failure_of_the_commit_puts_everything_back(five: World) -> None:
    stage, aliases = five.stage(), five.aliases()
    running = five.begin({"operation": "rollback", "stage": "prod"}).run_to("Commit")
    five.wire.fail(lambda sent: '"committed"' in sent.body, "AccessDeniedException")

    running.run()

    assert_put_back(five, running, stage, aliases)


def test_an_update_that_fails_on_aws_after_it_was_accepted_is_put_back(five: World) -> None:
    stage, aliases = five.stage(), five.aliases()
    five.fake.next_update_fails(lambda_name("b"), "no such layer")

    failed = five.deploy("prod", five.wishes(None, MemorySize=512))

    assert_put_back(five, failed, stage, aliases)
    assert "no such layer" in failed.message


def test_a_version_that_comes_out_failed_is_put_back_and_not_moved_to(five: World) -> None:
    stage, aliases = five.stage(), five.aliases()
    five.fake.next_publish_fails(lambda_name("b"))

    failed = five.deploy("prod", five.wishes("three"))

    assert_put_back(five, failed, stage, aliases)
    assert "lambda.UpdateAlias" not in five.wire.shared_calls()


def test_a_version_that_never_becomes_active_is_given_up_and_put_back(five: World) -> None:
    stage, aliases = five.stage(), five.aliases()
    five.fake._functions.version_seconds = 1e6
    five.clock.stretch = 20

    failed = five.deploy("prod", five.wishes("three"))

    assert_put_back(five, failed, stage, aliases)
    assert "Pending" in failed.message


def test_code_that_was_replaced_in_s3_since_the_plan_is_not_served_and_its_version_is_ours(five: World) -> None:
    stage, aliases = five.stage(), five.aliases()
    running = five.begin({"operation": "deploy", "stage": "prod", "functions": five.wishes("three")}).run_to("Publish")
    five.replace_code("c", "three", b"something else")

    running.run()

    assert_put_back(five, running, stage, aliases)
    assert "not what the plan says" in running.message
    assert five.items()[f"FUNCTION#{five.arn('c')}", "VERSION#00000003"]["published_by"] == running.name


def test_a_function_deleted_in_the_middle_of_publishing_does_not_keep_the_others_from_being_put_back(five: World) -> None:
    running = five.begin({"operation": "deploy", "stage": "prod", "functions": five.wishes("three")}).run_to("Publish")
    five.fake.quietly("DeleteFunction", FunctionName=lambda_name("c"))

    running.run()

    assert running.outcome == "Drifted", running.cause
    assert "deleted meanwhile" in running.message
    assert five.held() == {}
    assert five.aliases() == {"a": "2", "b": "2", "d": "2", "e": "2"}


def test_somebody_else_changing_latest_while_it_is_published_stops_the_deploy(five: World) -> None:
    stage, aliases = five.stage(), five.aliases()
    running = five.begin({"operation": "deploy", "stage": "prod", "functions": five.wishes("three")}).run_to("Publish")
    five.fake.update(lambda_name("c"), b"by hand")

    running.run()

    assert_put_back(five, running, stage, aliases)
    assert "changed by somebody else" in running.message


def test_somebody_elses_touch_that_changes_no_content_does_not_stop_it(five: World) -> None:
    running = five.begin({"operation": "deploy", "stage": "prod", "functions": five.wishes("three")}).run_to("Publish")
    five.fake.on("UpdateFunctionCode", lambda _: five.fake.update(lambda_name("c"), MemorySize=128), on_call=1, where=of("c"))

    assert running.run().outcome == "succeeded"


def test_compensation_that_is_delivered_twice_ends_the_same(five: World) -> None:
    stage, aliases = five.stage(), five.aliases()
    fail_after_the_others(five, "UpdateFunctionCode", "c", NO)
    failed = five.begin({"operation": "deploy", "stage": "prod", "functions": five.wishes("three")}).run_to("Compensate")

    answers = [failed.deliver("Compensate") for _ in range(2)]

    assert answers[0] == answers[1]
    assert five.aliases() == aliases
    assert told(five.stage()) == told(stage)
