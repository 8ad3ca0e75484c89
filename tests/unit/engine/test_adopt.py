"""Adopting aliases that are there already: they become stages and releases, and nothing on AWS changes."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.table import Put
from stagekeeper.domain.model import ReleaseNumber, ServiceName, Stage, StageName
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.engine.report import MAX_ENTRIES

from .adopting import NAMES, adopt, adopted, alias, ask, grow, publish, warnings
from .conftest import MakeWorld
from .wire import Died
from .world import SERVICE, World, deploy_of, lambda_name


def forget_everything(world: World) -> None:
    """The table is lost."""
    for key in world.items():
        world.forget(key)


@pytest.fixture
def grown(world: World) -> World:
    """A service that somebody made by hand: dev serves version 2 of both functions, prod version 1."""
    return grow(world)


# What it makes.


def test_every_alias_becomes_a_stage_with_a_release_and_one_line_of_ledger(grown: World) -> None:
    done = adopted(grown, actor="jane", reason="ours from now on")

    assert done["outcome"] == "succeeded"
    assert done["stages"] == [
        {"stage": "dev", "release": 1, "observed": None},
        {"stage": "prod", "release": 2, "observed": None},
    ]
    assert (grown.recorded("dev"), grown.recorded()) == ({"a": "2", "b": "2"}, {"a": "1", "b": "1"})
    assert grown.claimed() == ["a", "b"]
    (line,) = grown.movements()
    assert (line["operation"], line["from_release"], line["to_release"]) == ("adopt", None, 2)
    assert (line["actor"], line["reason"]) == ("jane", "ours from now on")
    assert grown.held() == {}


def test_the_changes_are_a_kept_line_for_each_function_and_stage(grown: World) -> None:
    done = adopted(grown, stages=["prod"])

    assert done["changes"] == [
        {"function": name, "action": "kept", "before": "1", "after": "1", "reason": "stage prod is adopted as r1"}
        for name in "ab"
    ]
    assert (done["stage"], done["release"], done["previous_release"]) == (None, None, None)


def test_of_one_stage_the_output_has_its_release(grown: World) -> None:
    done = adopted(grown, stage="prod")

    assert (done["stage"], done["release"], done["previous_release"]) == ("prod", 1, None)
    assert grown.stage("dev") is None


def test_stages_that_serve_the_same_content_have_one_release(grown: World) -> None:
    alias(grown, "qa", "1")

    assert [each["release"] for each in adopted(grown)["stages"]] == [1, 2, 2]


def test_an_alias_of_some_functions_is_a_stage_of_those(grown: World) -> None:
    alias(grown, "alone", "1", "a")

    adopted(grown)

    assert grown.recorded("alone") == {"a": "1"}


def test_a_second_time_changes_nothing(grown: World) -> None:
    adopted(grown)
    before = grown.lasting("op-2")

    again = adopted(grown)

    assert (again["outcome"], again["stages"], again["changes"]) == ("unchanged", [], [])
    assert grown.lasting("op-2") == before


def test_functions_may_be_left_out_once_they_are_known(grown: World) -> None:
    adopted(grown, stages=["prod"])

    done = ask(grown, "adopt")

    assert done.output is not None, done.cause
    assert [each["stage"] for each in done.output["stages"]] == ["dev"]


def test_functions_that_are_named_join_those_that_the_service_has(grown: World) -> None:
    adopted(grown, functions={"a": NAMES["a"]})

    done = adopted(grown, functions={"b": NAMES["b"]})

    assert [(each["stage"], each["release"]) for each in done["stages"]] == [("dev", 3), ("prod", 4)]
    assert grown.recorded() == {"a": "1", "b": "1"}
    stage = grown.stage()
    assert stage is not None
    assert stage.way_back == (2,)


def test_a_function_without_aliases_joins_as_well(world: World) -> None:
    assert adopted(world)["outcome"] == "succeeded"
    assert world.claimed() == ["a", "b"]
    assert ask(world, "adopt").outcome == "unchanged"


def test_a_document_in_s3_may_name_the_functions(grown: World) -> None:
    assert adopted(grown, functions=grown.put_document(NAMES))["outcome"] == "succeeded"


def test_a_dry_run_says_the_same_and_writes_nothing(grown: World) -> None:
    before = grown.items()

    dry = adopted(grown, dry_run=True)

    assert dry["outcome"] == "planned"
    assert (grown.items(), grown.bodies()) == (before, {})
    real = adopted(grown)
    assert [dry[part] for part in ("stages", "changes", "warnings")] == [real[part] for part in ("stages", "changes", "warnings")]


def test_every_state_may_be_delivered_twice(grown: World) -> None:
    running = grown.begin({"operation": "adopt", "functions": NAMES})
    running.deliveries = 2

    assert running.run().outcome == "succeeded"
    assert len(grown.movements()) == 1
    assert grown.releases() == [1, 2]


# What follows.


def test_an_adopted_stage_is_deployed_to_and_rolled_back_like_any_other(grown: World) -> None:
    adopted(grown)

    moved = grown.deploy("prod", grown.wishes("three"))
    assert moved.outcome == "succeeded", moved.cause
    assert grown.aliases() == {"a": "3", "b": "3"}
    back = grown.rollback()

    assert back.outcome == "succeeded", back.cause
    assert grown.aliases() == {"a": "1", "b": "1"}


def test_what_an_adopted_stage_serves_already_is_an_unchanged_deploy(grown: World) -> None:
    adopted(grown)

    assert grown.deploy("dev", grown.wishes("two")).outcome == "unchanged"


def test_the_first_move_needs_no_look_at_the_alias(grown: World) -> None:
    adopted(grown)
    ask(grown, "reset", stage="prod", to={"stage": "dev"})

    assert grown.aliases() == {"a": "2", "b": "2"}
    assert grown.fake.count("GetAlias") == 0


def test_an_adopted_stage_is_cloned_and_torn_down_and_strangers_versions_stay(grown: World) -> None:
    adopted(grown)
    versions = {name: grown.fake.versions(lambda_name(name)) for name in "ab"}

    assert ask(grown, "clone", stage="jane", **{"from": {"stage": "prod"}}).outcome == "succeeded"
    for stage in ("jane", "prod", "dev"):
        assert ask(grown, "teardown", stage=stage).outcome == "succeeded"

    assert grown.aliases() == grown.aliases("dev") == {}
    assert {name: grown.fake.versions(lambda_name(name)) for name in "ab"} == versions


def test_no_sweep_deletes_a_version_that_somebody_else_published(grown: World) -> None:
    publish(grown, "nobody's")
    adopted(grown)
    grown.deploy("prod", grown.wishes("mine"))
    grown.deploy("prod", grown.wishes("mine as well"))
    ask(grown, "reset", stage="prod", to={"stage": "dev"})
    grown.clock.sleep(30 * 86_400)
    grown.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=0)

    swept = ask(grown, "sweep", mode="delete")

    assert swept.outcome == "succeeded", swept.cause
    assert {name: list(grown.fake.versions(lambda_name(name))) for name in "ab"} == {"a": ["1", "2", "3"], "b": ["1", "2", "3"]}


# What is skipped, left alone or refused.


def test_an_alias_that_cannot_be_a_stage_is_skipped_and_named(grown: World) -> None:
    grown.fake.alias(lambda_name("a"), "canary", "2", weights={"1": 0.1})
    alias(grown, "canary", "2", "b")
    alias(grown, "latest", "$LATEST", "b")

    done = adopted(grown)

    assert [each["stage"] for each in done["stages"]] == ["dev", "prod"]
    assert "alias canary is skipped: that of function a gives a part of its traffic to another version" in done["warnings"]
    assert any(each.startswith("alias latest is skipped: that of function b is on $LATEST") for each in done["warnings"])


def test_a_stage_that_has_drifted_is_left_alone_with_a_warning(grown: World) -> None:
    adopted(grown)
    alias(grown, "prod", "2", "b")
    before = grown.stage()

    done = adopted(grown)

    assert done["outcome"] == "unchanged"
    assert "stage prod is left as it is: it has drifted (function b)" in warnings(done)
    assert grown.stage() == before
    assert grown.rollback().outcome == "NothingToRollBack"


def test_an_alias_that_somebody_made_on_one_more_function_is_taken_over(grown: World) -> None:
    """As the refusal of a deploy says that adopt does."""
    alias(grown, "solo", "1", "a")
    adopted(grown, functions={"a": NAMES["a"]})
    alias(grown, "solo", "2", "b")
    refused = grown.deploy("solo", grown.wishes("three"))
    assert refused.outcome == "AliasOwnedElsewhere"
    assert "adopt" in refused.message

    adopted(grown)

    assert grown.recorded("solo") == {"a": "1", "b": "2"}
    assert grown.deploy("solo", grown.wishes("three")).outcome == "succeeded"
    assert grown.rollback("solo").outcome == "succeeded"
    assert grown.aliases("solo") == {"a": "1", "b": "2"}


def test_the_way_back_and_what_it_promises_begin_with_what_was_adopted(grown: World) -> None:
    done = adopted(grown)

    assert "what dev, prod served before is not on record" in warnings(done)
    assert grown.rollback().outcome == "NothingToRollBack"


def test_versions_that_no_sweep_will_touch_are_counted(grown: World) -> None:
    told = "4 versions are not on record as published by Stagekeeper (a 2, b 2)"

    assert told in warnings(adopted(grown))
    assert told in warnings(adopted(grown))  # as long as it is so


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no service and no functions", {"functions": None}, "ServiceNotFound"),
    ("a stage that is nowhere", {"stage": "qa"}, "StageNotFound"),
    ("one of several that is nowhere", {"stages": ["prod", "qa"]}, "StageNotFound"),
    ("another release than is served", {"stage": "prod", "if_release": 7}, "StageMoved"),
    ("a function that is not there", {"functions": {"x": {"function_name": "orders-x"}}}, "FunctionNotFound"),
    (
        "a function of another Region",
        {"functions": {"x": {"function_name": "arn:aws:lambda:us-east-1:123456789012:function:orders-a"}}},
        "FunctionNotFound",
    ),
    ("one function by two names", {"functions": {"a": NAMES["a"], "x": NAMES["a"]}}, "InvalidRequest"),
    ("code", {"functions": {"a": {**NAMES["a"], "code": {"s3_bucket": "abc", "s3_key": "k"}}}}, "InvalidRequest"),
    ("stage beside stages", {"stage": "prod", "stages": ["prod"]}, "InvalidRequest"),
]


@pytest.mark.parametrize(("more", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_is_refused_and_changes_nothing(grown: World, more: dict[str, Any], code: str) -> None:
    request = {"operation": "adopt", "functions": NAMES, **more}
    running = grown.begin({name: value for name, value in request.items() if value is not None}).run()

    assert running.outcome == code
    assert grown.lasting("op-1") == {}


def test_of_a_function_of_another_region_it_is_said_where_it_is(grown: World) -> None:
    there = {"x": {"function_name": "arn:aws:lambda:us-east-1:123456789012:function:orders-a"}}

    assert "is in Region us-east-1, and this Stagekeeper is in eu-central-1" in adopt(grown, functions=there).message


def test_a_name_that_the_service_has_for_another_function_is_refused(grown: World) -> None:
    adopted(grown, functions={"a": NAMES["a"]})

    refused = adopt(grown, functions={"a": NAMES["b"]})

    assert refused.outcome == "InvalidRequest"
    assert refused.message == f"Service orders calls {grown.arn('a')} a already. Give {grown.arn('b')} another name."


def test_another_name_for_a_function_that_the_service_has_is_refused(grown: World) -> None:
    adopted(grown, functions={"a": NAMES["a"]})

    assert adopt(grown, functions={"z": NAMES["a"]}).outcome == "InvalidRequest"


def test_a_function_of_another_service_is_refused(grown: World) -> None:
    grown.begin({"service": "billing", **deploy_of("live", grown.wishes("theirs", "b"))}).run()

    refused = adopt(grown)

    assert refused.outcome == "FunctionOwnedElsewhere"
    assert grown.stage() is None


def test_who_calls_a_function_without_an_alias_is_asked_about_as_for_a_deploy(grown: World) -> None:
    grown.permit("a", sid="api")

    assert adopt(grown).outcome == "UnqualifiedCallers"
    assert adopt(grown, accept_unqualified_callers=True).outcome == "succeeded"
    # It belongs to the service by now.
    assert adopt(grown).outcome == "unchanged"


@pytest.mark.parametrize(
    "operation", ["GetFunction", "ListAliases", "ListVersionsByFunction", "GetPolicy", "ListEventSourceMappings"]
)
def test_a_fact_that_cannot_be_read_refuses(grown: World, operation: str) -> None:
    grown.fake.fail(operation, error="AccessDeniedException", times=None)

    refused = adopt(grown)

    assert refused.outcome == "Unreadable"
    assert grown.lasting("op-1") == {}


def test_whose_an_alias_is_must_be_known(grown: World) -> None:
    def fail(_operation: str, _request: object) -> None:
        raise grown.fake.client().exceptions.ServiceException({"Error": {"Code": "Throttling", "Message": "later"}}, "x")

    grown.stacks.before = fail

    assert adopt(grown).outcome == "Unreadable"


def test_more_stages_than_a_transaction_takes_are_adopted_in_parts(make_world: MakeWorld) -> None:
    world = make_world("a")
    publish(world, "one")
    names = [f"s{number:02d}" for number in range(50)]
    for name in names:
        alias(world, name, "1")
    functions = {"a": NAMES["a"]}

    refused = adopt(world, functions=functions)
    assert refused.outcome == "InvalidRequest"
    assert "Name some of them with stages" in refused.message

    assert len(adopted(world, functions=functions, stages=names[:45])["stages"]) == 45
    assert len(adopted(world, functions=functions)["stages"]) == 5


def test_the_lists_of_the_output_are_cut_like_all_others(make_world: MakeWorld) -> None:
    names = tuple(f"f{number}" for number in range(3))
    world = make_world(*names)
    publish(world, "one")
    for number in range(40):
        alias(world, f"s{number}", "1")

    done = adopted(world, functions={name: {"function_name": lambda_name(name)} for name in names})

    assert (len(done["changes"]), done["changes_count"], len(done["stages"])) == (MAX_ENTRIES, 120, 40)


# Losing the table.


def test_after_the_table_is_lost_stages_are_rebuilt_from_aws(two: World) -> None:
    two.deploy("qa", two.wishes("one"))
    served = (two.aliases(), two.aliases("qa"))
    forget_everything(two)

    done = adopted(two)

    assert [(each["stage"], each["release"]) for each in done["stages"]] == [("prod", 1), ("qa", 2)]
    assert (two.recorded(), two.recorded("qa")) == served
    assert "what prod, qa served before is not on record" in warnings(done)
    assert "4 versions are not on record as published by Stagekeeper (a 2, b 2)" in warnings(done)
    assert ask(two, "verify").outcome == "unchanged"
    assert two.deploy("prod", two.wishes("three")).outcome == "succeeded"
    assert two.rollback().outcome == "succeeded"
    assert (two.aliases(), two.aliases("qa")) == served


def test_what_is_on_record_as_ours_stays_ours(two: World) -> None:
    alias(two, "extra", "1")

    assert ask(two, "adopt").outcome == "succeeded"

    versions = {sk: item["published_by"] for (pk, sk), item in two.items().items() if sk.startswith("VERSION#")}
    assert versions == {"VERSION#00000001": "op-1", "VERSION#00000002": "op-2"}
    stage = two.stage("extra")
    assert stage is not None
    assert stage.release == 1


# Failing, and dying.


def test_a_function_that_another_service_claims_meanwhile_puts_everything_back(grown: World) -> None:
    running = grown.begin({"operation": "adopt", "functions": NAMES}).run_to("Commit")
    theirs = grown.begin({"service": "billing", **deploy_of("live", grown.wishes("theirs", "b"))}).run()
    assert theirs.outcome == "succeeded", theirs.cause

    running.run()

    assert running.outcome == "FunctionOwnedElsewhere"
    assert "Everything of ours was put back" in running.message
    assert grown.stage() is None
    assert {item["service"] for (_, sk), item in grown.items().items() if sk == "CLAIM"} == {"billing"}
    assert grown.held() == {}


def test_a_commit_that_is_cut_off_frees_the_functions_again(grown: World) -> None:
    running = grown.begin({"operation": "adopt", "functions": NAMES}).run_to("Commit")
    grown.wire.fail(lambda sent: '"committed"' in sent.body, "AccessDeniedException")

    running.run()

    assert running.outcome == "Compensated"
    assert (grown.claimed(), grown.stage(), grown.movements(), grown.held()) == ([], None, [], {})
    grown.wire.mend()
    # What is on record already is found again: the same numbers.
    assert [each["release"] for each in adopted(grown)["stages"]] == [1, 2]


def test_a_stage_whose_record_changed_after_the_plan_is_not_written_over(grown: World) -> None:
    running = grown.begin({"operation": "adopt", "functions": NAMES}).run_to("Commit")
    other = Stage(StageName("prod"), ReleaseNumber(9), (), {}, revision=4)
    key = items.stage_key(ServiceName(SERVICE), other.name)
    grown.deps.table.put(Put(key, items.stage_item(other)))

    running.run()

    assert running.outcome == "Compensated"
    assert grown.stage() == other
    assert grown.stage("dev") is None


def test_an_execution_that_dies_once_the_intent_is_on_record_is_gone_forward_with(grown: World) -> None:
    running = grown.begin({"operation": "adopt", "functions": NAMES}, "it").run_to("Commit")
    grown.wire.death = None
    grown.wire.kill(lambda sent: "RELEASE#" in sent.body, after=True)
    with pytest.raises(Died):
        running.run()

    (recovery,) = grown.notice("it")

    assert recovery.outcome == "succeeded", recovery.cause
    assert (grown.recorded(), grown.releases()) == ({"a": "1", "b": "1"}, [1, 2])
    assert grown.held() == {}


def test_what_a_service_has_is_found_by_every_sweep(grown: World) -> None:
    adopted(grown)

    assert grown.deps.store.services() == [ServiceName(SERVICE)]
    assert set(grown.deps.store.members(ServiceName(SERVICE)).values()) == {"a", "b"}
