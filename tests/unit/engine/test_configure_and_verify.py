"""Configure changes only the record; verify changes nothing and names every alias that is not as recorded."""

from __future__ import annotations

from typing import Any

from .execution import Execution
from .world import World, lambda_name


def ask(world: World, operation: str, **more: Any) -> Execution:
    return world.begin({"operation": operation, **more}).run()


def protect(world: World, protected: bool = True) -> Execution:
    return ask(world, "configure", stage="prod", settings={"protected": protected})


def test_settings_are_kept_on_the_stage_and_nothing_of_aws_is_called(two: World) -> None:
    two.wire.clear()

    done = ask(two, "configure", stage="prod", settings={"protected": True, "description": "the shop"})

    stage = two.stage()
    assert done.outcome == "succeeded", done.cause
    assert stage is not None
    assert (stage.settings.protected, stage.settings.description) == (True, "the shop")
    assert not [sent.name for sent in two.wire.sent if sent.name.startswith("lambda.")]
    assert done.output is not None
    assert (done.output["release"], done.output["previous_release"]) == (2, 2)


def test_a_configure_and_its_dry_run_say_what_is_set(two: World) -> None:
    protected = {"function": "prod", "action": "configure", "before": None, "after": None, "reason": "protected: false -> true"}

    dry = ask(two, "configure", stage="prod", settings={"protected": True}, dry_run=True)
    done = protect(two)

    assert dry.output is not None
    assert done.output is not None
    assert (dry.outcome, dry.output["changes"], dry.output["changes_count"]) == ("planned", [protected], 1)
    assert (done.outcome, done.output["changes"]) == ("succeeded", [protected])


def test_a_setting_that_is_left_out_stays(two: World) -> None:
    ask(two, "configure", stage="prod", settings={"protected": True})
    ask(two, "configure", stage="prod", settings={"description": "the shop"})

    stage = two.stage()
    assert stage is not None
    assert stage.settings.protected


def test_settings_survive_movements_and_are_no_movement(two: World) -> None:
    protect(two)
    movements = two.movements()
    two.rollback()

    stage = two.stage()
    assert stage is not None
    assert stage.settings.protected
    assert len(two.movements()) == len(movements) + 1 == 3


def test_the_same_settings_again_change_nothing(two: World) -> None:
    protect(two)

    assert protect(two).outcome == "unchanged"


def test_a_commit_of_settings_that_is_cut_off_leaves_them_as_they_were(two: World) -> None:
    running = two.begin({"operation": "configure", "stage": "prod", "settings": {"protected": True}}).run_to("Commit")
    running.fail_state("Commit")
    running.run()

    stage = two.stage()
    assert running.outcome == "Compensated"
    assert stage is not None
    assert not stage.settings.protected
    assert two.held() == {}


def test_verify_is_unchanged_when_aws_agrees_and_writes_only_its_report(two: World) -> None:
    before = two.items()
    two.wire.clear()

    done = ask(two, "verify")

    assert done.outcome == "unchanged", done.cause
    assert two.items() == before
    assert two.wire.shared_calls() == ["lambda.ListAliases"] * 2


def test_verify_names_every_alias_that_is_not_as_recorded(two: World) -> None:
    two.deploy("qa", two.wishes("two"))
    client = two.fake.client()
    client.update_alias(FunctionName=lambda_name("a"), Name="prod", FunctionVersion="1")
    client.delete_alias(FunctionName=lambda_name("b"), Name="qa")

    whole, of_qa = ask(two, "verify"), ask(two, "verify", stage="qa")

    assert whole.outcome == of_qa.outcome == "Drifted"
    assert whole.cause["blockers"] == [
        f"{two.arn('a')}:prod: recorded 2, found version 1",
        f"{two.arn('b')}:qa: recorded 2, found no alias",
    ]
    assert of_qa.cause["blockers"] == [f"{two.arn('b')}:qa: recorded 2, found no alias"]


def test_verify_sees_routing_weights_which_nothing_else_shows(two: World) -> None:
    two.fake.alias(lambda_name("a"), "prod", "2", weights={"1": 0.5})

    done = ask(two, "verify")

    assert done.outcome == "Drifted"
    assert done.cause["blockers"] == [f"{two.arn('a')}:prod: recorded 2, found version 2 and another one by routing weights"]


def test_the_weights_by_which_aws_itself_shifts_provisioned_concurrency_are_no_drift(two: World) -> None:
    two.fake.quietly(
        "PutProvisionedConcurrencyConfig",
        FunctionName=lambda_name("a"),
        Qualifier="prod",
        ProvisionedConcurrentExecutions=1,
    )
    two.clock.sleep(3600)
    two.rollback()
    two.fake._aliases.shift_seconds = 3600.0
    two.begin({"operation": "reset", "stage": "prod", "to": {"release": 2}}).run()
    assert two.fake.client().get_alias(FunctionName=lambda_name("a"), Name="prod").get("RoutingConfig") is not None

    assert ask(two, "verify").outcome == "unchanged"


def test_verify_of_a_function_that_is_gone_names_it(two: World) -> None:
    two.fake.quietly("DeleteFunction", FunctionName=lambda_name("b"))

    assert ask(two, "verify").cause["blockers"] == [f"{two.arn('b')}:prod: recorded 2, found no alias"]


def test_verify_says_what_it_could_not_read(two: World) -> None:
    two.fake.fail("ListAliases", error="AccessDeniedException", times=None)

    assert ask(two, "verify").outcome == "Unreadable"


def test_verify_of_what_is_not_there_is_refused(two: World) -> None:
    assert ask(two, "verify", stage="qa").outcome == "StageNotFound"
    assert two.begin({"operation": "verify", "service": "nobody"}).run().outcome == "ServiceNotFound"
