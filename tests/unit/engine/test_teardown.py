"""A teardown takes a stage away, and the versions that only it reached; a service teardown takes everything but the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.aws import journal, mandated
from stagekeeper.domain.operation import Phase, seconds_until_calls_ended
from stagekeeper.engine.step import Wait
from stagekeeper.engine.teardown import tear_down as tear_down_step

from .conftest import Deployed
from .execution import Execution
from .faults import of
from .world import World, deploy_of, lambda_name

DENIED = "AccessDeniedException"


def ask(world: World, operation: str, stage: str | None = None, **more: Any) -> Execution:
    named = {} if stage is None else {"stage": stage}
    return world.begin({"operation": operation, **named, **more}).run()


def tear_down(world: World, stage: str | None = "qa", **more: Any) -> Execution:
    return ask(world, "teardown", stage, **more)


def swept(done: Execution, what: str) -> list[tuple[str, str]]:
    assert done.output is not None, done.cause
    return sorted((entry["function"], entry["version"]) for entry in done.output["sweep"][what])


def versions(world: World) -> dict[str, list[str]]:
    return {name: list(world.fake.versions(lambda_name(name))) for name in world.names}


@pytest.fixture
def both(deployed: Deployed) -> World:
    """prod has seen r1 and r2; qa was put on r2, then on r3 and r4, which are its own."""
    return deployed("ab", "one two qa:two qa:three qa:four")


# A stage.


def test_the_aliases_go_and_the_versions_that_only_it_reached_but_nothing_else(both: World) -> None:
    done = tear_down(both)

    assert done.outcome == "succeeded", done.cause
    assert both.aliases("qa") == {}
    assert both.aliases("prod") == both.recorded("prod") == {"a": "2", "b": "2"}
    assert versions(both) == {"a": ["1", "2"], "b": ["1", "2"]}
    assert swept(done, "deleted") == [(name, version) for name in "ab" for version in "34"]
    assert swept(done, "kept") == [("a", "2"), ("b", "2")]


def test_its_output_says_what_went_and_why(both: World) -> None:
    done = tear_down(both)

    assert done.output is not None
    assert (done.output["release"], done.output["previous_release"], done.output["stage"]) == (None, 4, "qa")
    actions = [(c["function"], c["action"], c["before"], c["after"]) for c in done.output["changes"]]
    assert ("a", "delete_alias", "4", None) in actions
    assert ("b", "delete_version", "3", None) in actions
    assert (done.output["changes_count"], done.output["deleted_count"], done.output["kept_count"]) == (6, 4, 2)
    assert all(entry["bytes"] > 0 and entry["reason"] for entry in done.output["sweep"]["deleted"])


def test_the_record_of_the_stage_goes_and_its_ledger_stays(both: World) -> None:
    tear_down(both)

    assert both.stage("qa") is None
    assert [(m["operation"], m["to_release"]) for m in both.movements("qa")][-1] == ("teardown", None)
    assert both.held() == {}


def test_a_stage_that_is_made_again_goes_on_with_the_ledger_and_reaches_nothing_of_its_former_life(both: World) -> None:
    tear_down(both)

    both.deploy("qa", both.wishes("five"))
    again = tear_down(both)

    assert [m["number"] for m in both.movements("qa")] == [1, 2, 3, 4, 5, 6]
    assert swept(again, "deleted") == [("a", "5"), ("b", "5")]


def test_what_its_past_reached_goes_too_although_its_way_back_forgot_it(both: World) -> None:
    """r4 was popped off the way back, so only the ledger knows that qa reached it."""
    both.rollback("qa")

    assert swept(tear_down(both), "deleted") == [(name, version) for name in "ab" for version in "34"]


def test_grace_and_keep_do_not_count_since_nobody_can_call_it_any_more(both: World) -> None:
    assert both.sweeping.keep == 3
    assert both.sweeping.grace_seconds > 0
    assert len(swept(tear_down(both), "deleted")) == 4


def test_what_another_stage_ever_reached_stays(both: World) -> None:
    ask(both, "reset", "prod", to={"stage": "qa"})
    both.rollback("prod")

    done = tear_down(both)

    assert swept(done, "deleted") == [("a", "3"), ("b", "3")]
    assert both.aliases("prod") == {"a": "2", "b": "2"}
    assert both.begin({"operation": "reset", "stage": "prod", "to": {"release": 4}}).run().outcome == "succeeded"


def test_a_version_that_somebody_elses_alias_holds_stays(both: World) -> None:
    both.fake.alias(lambda_name("a"), "theirs", "3")
    both.fake.alias(lambda_name("b"), "weighted", "1", weights={"3": 0.1})

    done = tear_down(both)

    assert swept(done, "deleted") == [("a", "4"), ("b", "4")]
    assert ("a", "3") in swept(done, "kept")
    assert "3" in both.fake.versions(lambda_name("b"))


def test_a_version_that_a_trigger_hangs_on_stays(both: World) -> None:
    both.permit("a", "3", principal="s3.amazonaws.com")

    assert ("a", "3") not in swept(tear_down(both), "deleted")


def test_a_version_of_a_strangers_that_it_served_stays(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.fake.publish(lambda_name("a"), b"theirs")
    functions = {"a": world.wish("a"), "b": world.wish("b", "one")}
    assert world.deploy("qa", functions).outcome == "succeeded"
    assert world.aliases("qa")["a"] == "2"

    done = tear_down(world)

    assert swept(done, "deleted") == []
    assert "2" in world.fake.versions(lambda_name("a"))


def test_a_function_that_is_gone_counts_as_done(both: World) -> None:
    both.fake.quietly("DeleteFunction", FunctionName=lambda_name("b"))

    done = tear_down(both)

    assert done.outcome == "succeeded", done.cause
    assert swept(done, "deleted") == [("a", "3"), ("a", "4")]


def test_a_mixed_stage_is_torn_down_with_what_it_really_serves(both: World) -> None:
    both.fake.fail("UpdateAlias", error=DENIED, times=None, where=of("b"))
    both.fake.fail("UpdateAlias", error=DENIED, times=None, where=of("a", "4"))
    assert both.deploy("qa", both.wishes("five")).outcome in ("NeedsAttention", "Compensated")
    both.fake.heal()

    assert tear_down(both).outcome == "succeeded"
    assert both.aliases("qa") == {}


def test_it_costs_no_more_on_aws_than_it_must(both: World) -> None:
    both.wire.clear()
    tear_down(both)

    calls = both.wire.shared_calls()
    assert calls.count("lambda.DeleteAlias") == 2
    assert calls.count("lambda.DeleteFunction") == 4
    # Before it deletes versions it looks once more at what may hold them.
    assert len(calls) == 2 + 4 + (2 * 4 + 1) + (2 * 3 + 1)


def test_every_deleted_version_was_named_in_the_call(both: World) -> None:
    both.wire.clear()
    tear_down(both)

    deletes = [sent.path for sent in both.wire.sent if sent.name == "lambda.DeleteFunction"]
    assert len(deletes) == 4
    assert all("Qualifier=" in path and "LATEST" not in path for path in deletes)


# What refuses it.


@pytest.mark.parametrize(
    ("confirm", "outcome"), [(None, "StageProtected"), ("prod", "StageProtected"), ("qa", "succeeded")], ids=str
)
def test_a_protected_stage_goes_only_when_it_is_named_again(both: World, confirm: str | None, outcome: str) -> None:
    ask(both, "configure", "qa", settings={"protected": True})
    before = (both.fake.state(), both.stage("qa"))

    done = tear_down(both, **({} if confirm is None else {"confirm": confirm}))

    assert done.outcome == outcome
    assert ((both.fake.state(), both.stage("qa")) == before) is (outcome != "succeeded")


def test_a_stage_whose_alias_others_use_goes_only_when_it_is_named_again(both: World) -> None:
    both.permit("a", "qa", sid="api", principal="apigateway.amazonaws.com")
    both.fake.quietly("CreateFunctionUrlConfig", FunctionName=lambda_name("b"), Qualifier="qa", AuthType="AWS_IAM")
    before = both.fake.state()

    refused = tear_down(both)

    assert refused.outcome == "StageInUse"
    assert "apigateway.amazonaws.com" in refused.cause["blockers"][0]
    assert "a function URL" in refused.cause["blockers"][1]
    assert both.fake.state() == before
    confirmed = tear_down(both, confirm="qa")
    assert confirmed.outcome == "succeeded", confirmed.cause
    assert confirmed.output is not None
    assert len(confirmed.output["warnings"]) == 2


@pytest.mark.parametrize("call", ["ListVersionsByFunction", "ListAliases", "GetPolicy", "ListEventSourceMappings"])
def test_a_fact_that_cannot_be_read_stops_it_before_any_effect(both: World, call: str) -> None:
    both.fake.fail(call, error=DENIED, times=None)
    before = both.fake.state()

    done = tear_down(both)

    assert done.outcome == "Unreadable"
    assert both.fake.state() == before
    assert both.stage("qa") is not None
    assert both.held() == {}


def test_a_dry_run_shows_it_all_and_writes_nothing(both: World) -> None:
    before = (both.fake.state(), both.items())

    dry = both.begin({"operation": "teardown", "stage": "qa", "dry_run": True}).run()

    assert dry.output is not None, dry.cause
    assert dry.output["outcome"] == "planned"
    assert swept(dry, "deleted") == [(name, version) for name in "ab" for version in "34"]
    assert (both.fake.state(), both.items()) == before


@pytest.mark.parametrize("asked", [{"stage": "qa", "confirm": "qa"}, {"confirm": "orders"}])
def test_what_needs_confirming_is_shown_by_a_dry_run_with_it_as_the_refusal_says(both: World, asked: dict[str, str]) -> None:
    both.begin({"operation": "configure", "stage": "qa", "settings": {"protected": True}}).run()
    before = (both.fake.state(), both.items())
    about = {"operation": "teardown", "dry_run": True, **asked}

    refused = both.begin({name: value for name, value in about.items() if name != "confirm"}).run()
    shown = both.begin(about).run()

    assert refused.outcome in ("StageProtected", "ConfirmationRequired")
    assert refused.cause["message"].endswith("A dry run with it takes nothing and shows what would go.")
    assert shown.outcome == "planned"
    assert {("a", "3"), ("b", "4")} <= set(swept(shown, "deleted"))
    assert (both.fake.state(), both.items()) == before


def test_it_waits_for_everything_else_and_everything_else_for_it(both: World) -> None:
    running = both.begin({"operation": "teardown", "stage": "qa"}).run_to("TearDown")

    other = both.begin({"operation": "rollback", "stage": "prod", "lock_wait_seconds": 0}).run()

    assert other.outcome == "Locked"
    assert running.run().outcome == "succeeded"


# Cut off.


def test_a_teardown_that_cannot_go_on_leaves_a_stage_that_the_next_one_tears_down(both: World) -> None:
    both.fake.fail("DeleteAlias", error=DENIED, times=None, where=of("b"))

    stopped = tear_down(both)

    stage = both.stage("qa")
    assert stopped.outcome == "NeedsAttention"
    assert stopped.cause["blockers"] == [f"{both.arn('b')}:qa serves version 4"]
    assert stage is not None
    assert (stage.mixed, stage.tearing_down) == (True, True)
    assert both.recorded("qa") == both.aliases("qa") == {"b": "4"}
    assert both.held() == {}
    both.fake.heal()
    assert tear_down(both).outcome == "succeeded"
    assert both.stage("qa") is None
    assert versions(both) == {"a": ["1", "2"], "b": ["1", "2"]}


def test_a_deploy_puts_such_a_stage_right_as_well(both: World) -> None:
    both.fake.fail("DeleteAlias", error=DENIED, times=None, where=of("b"))
    tear_down(both)
    both.fake.heal()

    done = both.begin(deploy_of("qa", both.wishes("four"))).run()

    stage = both.stage("qa")
    assert done.outcome == "succeeded", done.cause
    assert both.aliases("qa") == {"a": "4", "b": "4"}
    assert stage is not None
    assert (stage.mixed, stage.tearing_down) == (False, False)


def test_a_worker_that_comes_twice_does_nothing_twice(both: World) -> None:
    running = both.begin({"operation": "teardown", "stage": "qa"}).run_to("TearDown")
    running.deliver("TearDown")

    assert running.run().outcome == "succeeded"
    assert len([m for m in both.movements("qa") if m["to_release"] is None]) == 1


def test_a_version_that_aws_does_not_give_up_is_kept_with_its_reason(both: World) -> None:
    both.fake.replicate(lambda_name("a"), "3")

    done = tear_down(both)

    assert done.outcome == "succeeded", done.cause
    assert done.output is not None
    kept = {(e["function"], e["version"]): e["reason"] for e in done.output["sweep"]["kept"]}
    assert "Lambda@Edge" in kept["a", "3"]


# The whole service.


def test_a_service_teardown_asks_for_its_name_and_says_what_would_go(both: World) -> None:
    ask(both, "configure", "prod", settings={"protected": True})
    before = (both.fake.state(), both.stage("prod"))

    for more in ({}, {"confirm": "prod"}):
        refused = tear_down(both, None, **more)
        assert refused.outcome == "ConfirmationRequired"
        assert refused.cause["blockers"] == ["prod", "qa"]
        assert "prod (protected)" in refused.message
    assert (both.fake.state(), both.stage("prod")) == before


def test_a_service_teardown_leaves_nothing_but_the_ledger(both: World) -> None:
    done = tear_down(both, None, confirm="orders")

    assert done.outcome == "succeeded", done.cause
    assert (both.aliases("prod"), both.aliases("qa"), versions(both)) == ({}, {}, {"a": [], "b": []})
    assert {sk.partition("#")[0] for pk, sk in both.items() if pk.startswith(("SERVICE", "FUNCTION"))} == {"MOVEMENT"}
    assert [(m["from_release"], m["to_release"]) for m in both.movements("prod")][-1] == (2, None)


def test_it_leaves_strangers_versions_and_what_others_hold(both: World) -> None:
    number = both.fake.publish(lambda_name("a"), b"theirs")
    both.fake.alias(lambda_name("b"), "theirs", "1")

    done = tear_down(both, None, confirm="orders")

    assert versions(both) == {"a": [number], "b": ["1"]}
    assert swept(done, "kept") == [("a", number), ("b", "1")]


def test_a_service_may_be_deployed_again_and_its_numbers_go_on(both: World) -> None:
    tear_down(both, None, confirm="orders")

    done = both.deploy("prod", both.wishes("new"))

    assert done.output is not None, done.cause
    assert (done.output["release"], done.output["previous_release"]) == (5, None)
    assert both.aliases("prod") == {"a": "5", "b": "5"}
    assert [m["number"] for m in both.movements("prod")] == [1, 2, 3, 4]


def test_a_service_teardown_that_stopped_is_gone_on_with(both: World) -> None:
    both.fake.fail("DeleteFunction", error=DENIED, times=None, where=lambda call: "orders-b" in str(call))

    assert tear_down(both, None, confirm="orders").outcome == "NeedsAttention"
    both.fake.heal()
    assert tear_down(both, None, confirm="orders").outcome == "succeeded"
    assert versions(both) == {"a": [], "b": []}


@pytest.mark.parametrize("after", [False, True], ids=["before it is written", "after it is written"])
@pytest.mark.parametrize("call", range(1, 14))
def test_wherever_a_worker_dies_while_it_forgets_another_one_forgets_the_rest(
    both: World, monkeypatch: pytest.MonkeyPatch, call: int, after: bool
) -> None:
    monkeypatch.setattr(journal, "_CHUNK", 3)  # many small transactions, between which a worker can die
    running = both.begin({"operation": "teardown", "confirm": "orders"}).run_to("Commit")
    both.wire.kill("dynamodb.TransactWriteItems", on_call=call, after=after)

    running.run()

    assert running.outcome == "succeeded", running.cause
    assert {sk.partition("#")[0] for pk, sk in both.items() if pk.startswith(("SERVICE", "FUNCTION"))} == {"MOVEMENT"}
    assert [m["to_release"] for m in both.movements("prod")].count(None) == 1
    assert both.held() == {}


def test_its_functions_are_free_for_another_service(both: World) -> None:
    tear_down(both, None, confirm="orders")

    done = both.begin({**deploy_of("prod", both.wishes("other")), "service": "billing"}).run()

    assert done.outcome == "succeeded", done.cause


# A worker that is late.


def test_whoever_follows_a_worker_that_may_be_late_ends_only_when_no_call_of_it_can_be_under_way(both: World) -> None:
    """The late DeleteAlias would else meet an alias that was made since."""
    running = both.begin({"operation": "teardown", "stage": "qa"}).run_to("TearDown")
    began = both.moments.now
    took: list[float] = []

    def meanwhile() -> None:
        running.run()
        took.append(both.moments.now - began)

    both.wire.on("lambda.DeleteAlias", meanwhile)
    with pytest.raises(mandated.Superseded):
        running.deliver("TearDown")

    assert running.outcome == "succeeded", running.cause
    assert took[0] >= seconds_until_calls_ended(Phase.TEAR_DOWN)


def test_aliases_are_deleted_until_the_time_is_over_and_then_gone_on_with(both: World) -> None:
    running = both.begin({"operation": "teardown", "stage": "qa"}).run_to("TearDown")
    both.wire.clear()

    step = tear_down_step(both.deps, running.carrier, both.clock.now())
    done = running.run()

    assert step == Wait(1)
    assert done.outcome == "succeeded", done.cause
    assert [sent.name for sent in both.wire.sent].count("lambda.DeleteAlias") == 2
    assert both.aliases("qa") == {}
