"""A sweep deletes only what provably nothing needs: looked for without the lock, judged again and deleted under it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stagekeeper.domain.lock import COLLECT, LEASE, Entry, Granted
from stagekeeper.domain.model import OperationId, ServiceName
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.engine import survey
from stagekeeper.engine import sweep as engine_sweep

from .conftest import Deployed
from .execution import Execution
from .faults import of
from .world import SERVICE, World, deploy_of, lambda_name

DENIED, NO = "AccessDeniedException", "InvalidParameterValueException"
DAY = 24 * 3600.0
ORDERS = ServiceName(SERVICE)


def sweep(world: World, mode: str = "delete", **more: Any) -> Execution:
    return world.begin({"operation": "sweep", "mode": mode, **more}).run()


def swept(done: Execution, what: str = "deleted") -> list[tuple[str, str]]:
    assert done.output is not None, done.cause
    return sorted((entry["function"], entry["version"]) for entry in done.output["sweep"][what])


def reasons(done: Execution) -> dict[tuple[str, str], str]:
    assert done.output is not None, done.cause
    entries = [*done.output["sweep"]["kept"], *done.output["sweep"]["deleted"]]
    return {(entry["function"], entry["version"]): entry["reason"] for entry in entries}


def versions(world: World) -> dict[str, list[str]]:
    return {name: list(world.fake.versions(lambda_name(name))) for name in world.names}


@pytest.fixture
def old(deployed: Deployed) -> World:
    """prod has seen r1 to r6 and serves r6, all of it long ago; the stack keeps one version and two steps of the way back."""
    world = deployed("ab", "one two three four five six")
    world.sweeping = SweepSettings(keep=1, rollback_depth=2, grace_seconds=DAY)
    world.clock.sleep(30 * DAY)
    return world


# What goes and what stays.


def test_only_what_nothing_needs_goes(old: World) -> None:
    done = sweep(old)

    assert done.outcome == "succeeded", done.cause
    assert swept(done) == [(name, version) for name in "ab" for version in "12"]
    assert versions(old) == {"a": ["3", "4", "5", "6"], "b": ["3", "4", "5", "6"]}
    assert old.aliases() == {"a": "6", "b": "6"}


def test_every_version_has_its_reason_and_its_size(old: World) -> None:
    done = sweep(old)

    told = reasons(done)
    assert told["a", "6"] == "alias prod points at it"
    assert told["a", "5"] == "r5 is 1 step back on stage prod's way back"
    assert told["a", "4"] == "r4 is 2 steps back on stage prod's way back"
    assert told["a", "3"] == "the newest unneeded version"
    assert told["a", "2"].startswith("no stage, way back, release or trigger needs it; displaced 30 days ago")
    assert done.output is not None
    assert all(entry["bytes"] > 0 for entry in done.output["sweep"]["deleted"])
    assert (done.output["deleted_count"], done.output["kept_count"], done.output["changes_count"]) == (4, 8, 4)


def test_a_second_sweep_removes_nothing(old: World) -> None:
    sweep(old)

    assert swept(sweep(old)) == []


def test_a_report_says_what_delete_would_remove_and_changes_nothing(old: World) -> None:
    before = old.fake.state()

    report = sweep(old, "report")

    assert report.output is not None, report.cause
    assert report.output["outcome"] == "planned"
    assert report.output["report"] is not None
    assert old.fake.state() == before
    assert swept(report) == swept(sweep(old))


def test_a_dry_run_says_the_same_and_writes_nothing_at_all(old: World) -> None:
    before = (old.fake.state(), old.items(), old.bodies())

    dry = old.begin({"operation": "sweep", "mode": "delete", "dry_run": True}).run()

    assert dry.output is not None, dry.cause
    assert (dry.output["outcome"], dry.output["report"]) == ("planned", None)
    assert len(swept(dry)) == 4
    assert (old.fake.state(), old.items(), old.bodies()) == before


@pytest.mark.parametrize(
    ("settings", "left"),
    [
        ({"keep": 0}, "456"),
        ({"keep": 3}, "123456"),
        ({"rollback_depth": 0, "keep": 0}, "6"),
        ({"rollback_depth": 9}, "123456"),
        ({"grace_hours": 24 * 31}, "123456"),
    ],
    ids=str,
)
def test_a_request_may_bring_its_own_settings(old: World, settings: dict[str, Any], left: str) -> None:
    sweep(old, **settings)

    assert versions(old)["a"] == list(left)


def test_what_was_displaced_lately_stays(deployed: Deployed) -> None:
    world = deployed("ab", "one two")
    world.clock.sleep(30 * DAY)
    world.deploy("prod", world.wishes("three"))
    world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=DAY)

    first = sweep(world)
    world.clock.sleep(DAY)
    second = sweep(world)

    assert swept(first) == [("a", "1"), ("b", "1")]
    assert "displaced" in reasons(first)["a", "2"]
    assert swept(second) == [("a", "2"), ("b", "2")]


def test_what_a_kept_alias_served_stays_for_the_grace_period_after_it_moved(deployed: Deployed) -> None:
    """No release that was left says that c's version 1 was served until now."""
    world = deployed("ab", "one")
    world.create("c")
    world.names = ("a", "b", "c")
    world.deploy("prod", world.wishes("two"))
    world.begin({"operation": "reset", "stage": "prod", "to": {"release": 1}}).run()
    world.clock.sleep(30 * DAY)
    world.deploy("prod", world.wishes("three"))
    world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=DAY)

    assert ("c", "1") not in swept(sweep(world))
    world.clock.sleep(DAY)
    assert ("c", "1") in swept(sweep(world))


def test_a_release_that_waits_to_be_promoted_stays(old: World) -> None:
    built = old.deploy(None, old.wishes("built"))
    assert built.output is not None
    old.clock.sleep(30 * DAY)

    done = sweep(old, keep=0)

    assert reasons(done)["a", "7"] == "r7 was never served and is among the newest 10 releases"
    assert old.begin({"operation": "reset", "stage": "prod", "to": {"release": 7}}).run().outcome == "succeeded"


def test_deploying_without_a_stage_twice_and_sweeping_leaves_everything_callable(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    for text in ("two", "three"):
        assert world.deploy(None, world.wishes(text)).outcome == "succeeded"
    world.clock.sleep(30 * DAY)
    world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=0)

    sweep(world)

    assert versions(world) == {"a": ["1", "2", "3"], "b": ["1", "2", "3"]}
    assert world.aliases() == {"a": "1", "b": "1"}


def test_every_rollback_that_the_settings_promise_still_works(old: World) -> None:
    sweep(old)

    for release in (5, 4):
        done = old.rollback()
        assert done.output is not None, done.cause
        assert done.output["release"] == release
    refused = old.rollback(to={"release": 2})
    assert refused.outcome == "VersionMissing"


def test_a_swept_release_is_published_anew_under_its_number(old: World) -> None:
    sweep(old)

    done = old.deploy("prod", old.wishes("one"))

    assert done.output is not None, done.cause
    assert done.output["release"] == 1
    assert old.aliases() == {"a": "7", "b": "7"}


def test_versions_of_a_failed_deploy_are_found_although_no_release_names_them(deployed: Deployed) -> None:
    world = deployed("ab", "one")
    world.fake.fail("UpdateFunctionCode", error="InvalidParameterValueException", times=None, where=of("b"))
    assert world.deploy("prod", world.wishes("two")).outcome == "Compensated"
    world.fake.heal()
    assert versions(world)["a"] == ["1", "2"]
    world.clock.sleep(30 * DAY)
    world.sweeping = SweepSettings(keep=0, rollback_depth=5, grace_seconds=DAY)

    assert swept(sweep(world)) == [("a", "2")]


# What holds a version.


def permit(world: World, version: str) -> None:
    world.permit("a", version, principal="s3.amazonaws.com")


def map_source(world: World, version: str) -> None:
    world.fake.quietly(
        "CreateEventSourceMapping",
        FunctionName=f"{world.arn('a')}:{version}",
        EventSourceArn="arn:aws:sqs:eu-central-1:123456789012:queue",
    )


def provision(world: World, version: str) -> None:
    world.fake.quietly(
        "PutProvisionedConcurrencyConfig",
        FunctionName=lambda_name("a"),
        Qualifier=version,
        ProvisionedConcurrentExecutions=1,
    )


def weigh(world: World, version: str) -> None:
    world.fake.alias(lambda_name("a"), "theirs", "6", weights={version: 0.1})


def point(world: World, version: str) -> None:
    world.fake.alias(lambda_name("a"), "theirs", version)


@pytest.mark.parametrize("hold", [permit, map_source, provision, weigh, point], ids=lambda hold: hold.__name__)
@pytest.mark.parametrize("when", ["before", "between the survey and the lock"])
def test_what_somebody_put_on_a_version_keeps_it(old: World, hold: Any, when: str) -> None:
    running = old.begin({"operation": "sweep", "mode": "delete", "keep": 0})
    if when != "before":
        running.run_to("Collect")
    hold(old, "2")

    done = running.run()

    assert ("a", "2") not in swept(done)
    assert ("a", "2") in swept(done, "kept")
    assert ("a", "1") in swept(done)
    assert "2" in old.fake.versions(lambda_name("a"))


def test_a_movement_between_the_survey_and_the_lock_counts(old: World) -> None:
    running = old.begin({"operation": "sweep", "mode": "delete", "keep": 0}).run_to("Collect")
    old.begin({"operation": "reset", "stage": "prod", "to": {"release": 2}}).run()

    done = running.run()

    assert swept(done) == [("a", "1"), ("a", "3"), ("b", "1"), ("b", "3")]
    assert old.aliases() == {"a": "2", "b": "2"}


def test_a_strangers_version_is_never_touched(old: World) -> None:
    number = old.fake.publish(lambda_name("a"), b"theirs")
    old.clock.sleep(30 * DAY)

    done = sweep(old, keep=0)

    assert reasons(done)["a", number] == "not published by Stagekeeper"
    assert number in old.fake.versions(lambda_name("a"))


def test_versions_that_an_operation_under_way_works_with_stay(old: World) -> None:
    running = old.begin({"operation": "reset", "stage": "prod", "to": {"release": 1}}).run_to("Move")

    report = sweep(old, "report", keep=0)

    assert ("a", "1") not in swept(report)
    assert f"operation {running.name} is under way" in reasons(report)["a", "1"]


def test_a_replicated_version_is_deferred_not_failed(old: World) -> None:
    old.fake.replicate(lambda_name("a"), "1")

    done = sweep(old)

    assert done.outcome == "succeeded", done.cause
    assert "Lambda@Edge" in reasons(done)["a", "1"]


# What cannot be read.


@pytest.mark.parametrize("mode", ["report", "delete"])
@pytest.mark.parametrize("call", ["ListVersionsByFunction", "ListAliases", "ListProvisionedConcurrencyConfigs", "GetPolicy"])
def test_one_fact_that_cannot_be_read_keeps_everything(old: World, call: str, mode: str) -> None:
    old.fake.fail(call, error=DENIED, times=None, where=of("b"))
    before = old.fake.state()

    done = sweep(old, mode)

    assert done.outcome == "Unreadable"
    assert "orders-b" in done.message
    assert old.fake.state() == before
    assert old.held() == {}


def test_what_becomes_unreadable_under_the_lock_keeps_its_function(old: World) -> None:
    running = old.begin({"operation": "sweep", "mode": "delete"}).run_to("Collect")
    old.fake.fail("ListAliases", error=DENIED, times=None, where=of("b"))

    done = running.run()

    assert swept(done) == [("a", "1"), ("a", "2")]
    assert "could not be read" in reasons(done)["b", "1"]


def test_a_damaged_record_keeps_everything(old: World) -> None:
    broken = next(item for (_, sk), item in old.items().items() if sk.startswith("RELEASE#"))
    del broken["functions"]
    old.put_item(broken)
    before = old.fake.state()

    assert sweep(old).outcome == "Unreadable"
    assert old.fake.state() == before


def test_a_deletion_that_aws_forbids_keeps_that_version_and_not_the_others(old: World) -> None:
    old.fake.fail("DeleteFunction", error=DENIED, times=None, where=of("b"))

    done = sweep(old)

    assert swept(done) == [("a", "1"), ("a", "2")]
    assert reasons(done)["b", "1"].startswith("could not be deleted: AccessDeniedException")
    old.fake.heal()
    assert swept(sweep(old)) == [("b", "1"), ("b", "2")]


def test_a_sweep_that_gets_no_answer_says_what_it_had_deleted(old: World) -> None:
    old.wire.fail("lambda.DeleteFunction", None, on_call=0)

    done = sweep(old)

    assert done.outcome == "NeedsAttention"
    assert "0 versions" in done.message
    old.wire.mend()
    assert swept(sweep(old)) == [(name, version) for name in "ab" for version in "12"]


def test_throttles_end_a_batch_and_not_the_sweep(old: World) -> None:
    old.wire.fail("lambda.DeleteFunction", "TooManyRequestsException", 429, on_call=2)

    done = sweep(old)

    assert swept(done) == [(name, version) for name in "ab" for version in "12"]


def test_a_sweep_that_is_only_throttled_gives_up_with_a_sentence(old: World) -> None:
    old.wire.fail("lambda.DeleteFunction", "TooManyRequestsException", 429, on_call=0)
    before = old.fake.state()

    done = sweep(old)

    assert done.outcome == "Unreadable"
    assert "throttles" in done.message
    assert old.fake.state() == before
    assert old.held() == {}


# The lock.


def test_looking_takes_no_lock(old: World) -> None:
    running = old.begin({"operation": "sweep", "mode": "delete"}).run_to("Collect")

    assert old.held() == {}
    assert old.rollback().outcome == "succeeded"
    assert running.run().outcome == "succeeded"


def test_it_lets_others_in_between_batches_of_a_few_seconds(deployed: Deployed) -> None:
    world = deployed("ab", " ".join(f"t{number}" for number in range(16)))
    world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=0)
    world.clock.sleep(DAY)
    moments: list[tuple[bool, float]] = []
    changes_lock = "dynamodb.TransactWriteItems"
    world.wire.on(changes_lock, lambda: moments.append((bool(world.held()), world.moments.now)), on_call=0, after=True)

    done = sweep(world)

    turns = [moment for index, moment in enumerate(moments) if index == 0 or moments[index - 1][0] != moment[0]]
    held = [later - at for (holds, at), (_, later) in pairwise(turns) if holds]
    free = [later - at for (holds, at), (_, later) in pairwise(turns) if not holds]
    assert len(swept(done)) == 30
    assert len(held) > 3
    assert max(held) < 5.2, held
    assert min(free[1:-1]) >= 1


def test_it_waits_for_the_lock_and_gives_up_when_its_patience_is_over(old: World) -> None:
    holder = old.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    before = old.fake.state()

    done = sweep(old, lock_wait_seconds=20)

    assert done.outcome == "Locked"
    assert holder.name in done.message
    assert old.fake.state() == before
    assert done.visited.count("Collect") > 2
    holder.run()
    assert old.held() == {}


def test_a_worker_that_dies_holding_the_lock_is_followed(old: World) -> None:
    old.wire.kill("lambda.DeleteFunction", on_call=2, after=True)

    done = sweep(old)

    assert done.outcome == "succeeded", done.cause
    assert versions(old) == {"a": ["3", "4", "5", "6"], "b": ["3", "4", "5", "6"]}
    assert old.held() == {}


def test_its_settings_are_checked(old: World) -> None:
    before = old.fake.state()

    for bad in ({"keep": -1}, {"keep": True}, {"grace_hours": None}, {"rollback_depth": "3"}, {"mode": "all"}):
        assert sweep(old, **bad).outcome == "InvalidRequest"
    assert old.fake.state() == before


def test_a_service_that_is_not_there_is_refused(old: World) -> None:
    assert old.begin({"operation": "sweep", "service": "nobody"}).run().outcome == "ServiceNotFound"


# Functions that leave.


def elsewhere(world: World) -> Execution:
    """A deploy of function b for another service."""
    return world.begin({**deploy_of("prod", world.wishes("theirs", "b")), "service": "billing"}).run()


@pytest.fixture
def without_b(old: World) -> World:
    """prod serves a release without b; with b was the one before."""
    old.deploy("prod", old.wishes("seven", "a"))
    old.clock.sleep(30 * DAY)
    return old


def test_a_function_that_the_way_back_still_reaches_stays_with_its_service(without_b: World) -> None:
    sweep(without_b)

    assert elsewhere(without_b).outcome == "FunctionOwnedElsewhere"


def test_a_function_that_nothing_holds_any_more_may_join_another_service(without_b: World) -> None:
    sweep(without_b, rollback_depth=0, mode="report")
    assert elsewhere(without_b).outcome == "FunctionOwnedElsewhere"

    sweep(without_b, rollback_depth=0)

    assert elsewhere(without_b).outcome == "succeeded"


def test_within_the_grace_period_it_stays_with_its_service(old: World) -> None:
    """Another service's sweep would know nothing of who still calls its versions."""
    old.deploy("prod", old.wishes("seven", "a"))

    sweep(old, rollback_depth=0)

    assert elsewhere(old).outcome == "FunctionOwnedElsewhere"


def test_what_a_failed_deploy_left_in_latest_is_not_forgotten_with_the_claim(without_b: World) -> None:
    without_b.fake.fail("UpdateAlias", error=NO, times=None, where=of("a", "8"))
    wrong = {"a": without_b.wish("a", "eight"), "b": without_b.wish("b", "broken")}
    assert without_b.deploy("prod", wrong).outcome == "Compensated"
    without_b.fake.heal()
    without_b.clock.sleep(30 * DAY)

    sweep(without_b, rollback_depth=0)

    assert "b" in without_b.claimed()
    assert without_b.deploy("qa", without_b.wishes(None, "b")).outcome == "FunctionNotReady"


def test_then_its_old_service_cannot_go_back_to_it(without_b: World) -> None:
    sweep(without_b, rollback_depth=0, keep=9)
    elsewhere(without_b)
    before = without_b.fake.state()

    assert without_b.rollback().outcome == "FunctionOwnedElsewhere"
    assert without_b.fake.state() == before


def test_while_nobody_else_has_it_going_back_claims_it_again(without_b: World) -> None:
    sweep(without_b, rollback_depth=0, keep=9)
    assert without_b.claimed() == ["a"]

    done = without_b.rollback()

    assert done.outcome == "succeeded", done.cause
    assert without_b.claimed() == ["a", "b"]
    assert without_b.aliases() == {"a": "6", "b": "6"}


# All services.


@pytest.fixture
def pair(deployed: Deployed) -> World:
    """orders with function a, billing with function b; each was put on one, two and three."""
    world = deployed("a", "one two three")
    world.create("b")
    world.names = ("a", "b")
    for text in ("one", "two", "three"):
        billing = {**deploy_of("prod", world.wishes(text, "b")), "service": "billing"}
        assert world.begin(billing).run().outcome == "succeeded"
    world.clock.sleep(30 * DAY)
    world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=DAY)
    return world


def everything(world: World, mode: str = "delete") -> Execution:
    running = world.begin({"operation": "sweep", "mode": mode})
    del running.request["service"]
    return running.run()


@pytest.mark.parametrize("mode", ["report", "delete"])
def test_without_a_service_all_are_swept(pair: World, mode: str) -> None:
    done = everything(pair, mode)

    assert swept(done) == [(name, version) for name in "ab" for version in "12"]
    assert done.output is not None
    assert done.output["service"] is None
    assert versions(pair) == ({"a": ["3"], "b": ["3"]} if mode == "delete" else {"a": ["1", "2", "3"], "b": ["1", "2", "3"]})


def test_a_worker_that_has_done_some_work_leaves_the_next_service_to_another(pair: World) -> None:
    pair.fake.on("ListAliases", lambda _: pair.clock.sleep(100), on_call=1)

    done = everything(pair)

    assert swept(done) == [(name, version) for name in "ab" for version in "12"]
    assert done.visited.count("Inspect") == 2


def test_what_there_was_no_time_to_look_at_stays_for_the_next_sweep(old: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "POLICIES_PER_SECOND", 3.5 / 840)  # three of the six that nothing else holds

    done = sweep(old, "report", keep=0)

    late = [place for place, reason in reasons(done).items() if "no time to look at" in reason]
    assert (len(late), len(swept(done))) == (3, 3)


def test_the_trouble_of_one_service_does_not_stop_the_others(pair: World) -> None:
    pair.fake.fail("ListAliases", error=DENIED, times=None, where=of("b"))

    done = everything(pair)

    assert done.outcome == "NeedsAttention"
    assert "2 versions that nothing needs had been deleted" in done.message
    assert "billing" in done.cause["blockers"][0]
    assert versions(pair) == {"a": ["3"], "b": ["1", "2", "3"]}


def test_a_service_that_somebody_works_on_is_left_out_of_a_sweep_of_all(pair: World) -> None:
    pair.begin({"operation": "rollback", "stage": "prod", "service": SERVICE}).run_to("Move")

    running = pair.begin({"operation": "sweep", "mode": "delete", "lock_wait_seconds": 5})
    del running.request["service"]
    done = running.run()

    assert done.outcome == "succeeded", done.cause
    assert done.output is not None
    (warning,) = done.output["warnings"]
    assert warning.startswith("service orders was left out: Waited 5 s for service orders: rollback")
    assert versions(pair) == {"a": ["1", "2", "3"], "b": ["3"]}
    assert (pair.told[-1].failures, pair.told[-1].left_out) == (0, 1)


def test_a_sweep_of_all_says_of_every_version_whose_it_is(pair: World) -> None:
    done, one = everything(pair, "report"), sweep(pair, "report")

    assert done.output is not None
    entries = [*done.output["sweep"]["deleted"], *done.output["sweep"]["kept"]]
    assert {(entry["service"], entry["function"]) for entry in entries} == {("orders", "a"), ("billing", "b")}
    assert one.output is not None
    assert all("service" not in entry for entry in one.output["sweep"]["deleted"])


def test_a_dry_run_that_had_no_time_for_all_says_so(old: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sweep, "_DRY_RUN", 0.01)
    monkeypatch.setattr(survey, "_SLICE", 1)

    done = sweep(old, dry_run=True)

    assert done.output is not None
    (warning,) = done.output["warnings"]
    assert warning.startswith("only 1 of 2 functions of service orders was looked at")


def test_what_was_begun_is_gone_on_with_although_it_waits_for_nobody(old: World) -> None:
    """Somebody is at work on the service after the first batch of a scheduled sweep: the rest is not left for the next day."""

    def let_somebody_in(_: object) -> None:
        old.clock.in_seconds(6.5, somebody)
        old.clock.sleep(6)

    def somebody() -> None:
        now = old.moments.now
        lease = Entry(OperationId("shop.CleanUp.1"), LEASE, frozenset({COLLECT}), now, now)
        assert old.deps.journal.ask_for_lease(lease, ORDERS) == Granted()

    old.fake.on("DeleteFunction", let_somebody_in, when="after", on_call=1)

    done = sweep(old, keep=0, lock_wait_seconds=0)

    assert done.outcome == "succeeded", done.cause
    assert len(swept(done)) == 6


# Two sweeps at the same time.


def begin_to_sweep(world: World) -> Execution:
    """A sweep that has deleted one version of six; its worker's time is over, so the next one goes on."""
    running = world.begin({"operation": "sweep", "mode": "delete", "keep": 0}).run_to("Collect")
    world.fake.on("DeleteFunction", lambda _: world.clock.sleep(900), when="after", on_call=1)
    running.step()
    lock = world.deps.store.lock(ORDERS)
    assert (running.state, lock.holders, lock.sweeper is not None) == ("Collect", (), True)
    return running


def test_a_scheduled_sweep_stands_aside_where_another_one_is_at_work(old: World) -> None:
    first = begin_to_sweep(old)

    second = old.begin({"operation": "sweep", "mode": "delete", "keep": 0, "lock_wait_seconds": 0})
    del second.request["service"]
    second.run()

    assert second.outcome == "succeeded", second.cause
    assert second.output is not None
    assert swept(second) == []
    assert first.name in second.output["warnings"][0]
    assert len(swept(first.run())) == 6


def test_one_that_is_asked_for_by_hand_waits_for_it_and_deletes_nothing_twice(old: World) -> None:
    first = begin_to_sweep(old)
    second = old.begin({"operation": "sweep", "mode": "delete", "keep": 0}).run_to("Collect")
    second.step()
    assert second.state == "Collect"
    assert [waiter.operation_id for waiter in old.deps.store.lock(ORDERS).queue] == [second.name]

    deleted = swept(first.run()), swept(second.run())

    assert deleted == ([(name, version) for name in "ab" for version in "123"], [])


def test_a_deploy_waits_for_neither_of_two_sweeps_to_end(old: World) -> None:
    first = begin_to_sweep(old)
    old.begin({"operation": "sweep", "mode": "delete", "keep": 0}).run_to("Collect").step()

    assert old.deploy("prod", old.wishes("seven"), lock_wait_seconds=0).outcome == "succeeded"

    assert first.run().outcome == "succeeded"


def test_a_sweep_that_died_between_two_batches_holds_up_nobody_once_it_has_ended(old: World) -> None:
    first = begin_to_sweep(old)
    first.stop()
    second = old.begin({"operation": "sweep", "mode": "delete", "keep": 0, "lock_wait_seconds": 120})

    old.clock.in_seconds(31, old.run_started)
    second.run()
    old.run_started()

    assert second.outcome == "succeeded", second.cause
    assert versions(old) == {"a": ["4", "5", "6"], "b": ["4", "5", "6"]}


def test_recover_finds_a_sweep_that_died_between_two_batches(old: World) -> None:
    first = begin_to_sweep(old)
    first.stop()

    recover = old.begin({"operation": "recover"})
    recover.run_to("Recover").step()
    old.run_started()

    recover.run()
    assert recover.output is not None, recover.cause
    assert [each["operation_id"] for each in recover.output["recovered"]] == [first.name]
    assert versions(old) == {"a": ["4", "5", "6"], "b": ["4", "5", "6"]}


def test_what_somebody_else_deleted_meanwhile_is_not_said_to_be_deleted(old: World) -> None:
    running = old.begin({"operation": "sweep", "mode": "delete", "keep": 0}).run_to("Collect")
    old.fake.quietly("DeleteFunction", FunctionName=lambda_name("a"), Qualifier="2")

    done = running.run()

    assert ("a", "2") not in swept(done) + swept(done, "kept")
    assert ("a", "1") in swept(done)


# What is told.


def test_it_tells_how_much_code_is_stored_before_and_after(old: World) -> None:
    before = old.deps.lambda_api.code_stored()

    done = sweep(old)

    assert done.output is not None
    freed = sum(entry["bytes"] for entry in done.output["sweep"]["deleted"])
    assert freed > 0
    assert done.output["storage"] == {
        "before_bytes": before.used,
        "after_bytes": before.used - freed,
        "limit_bytes": before.limit,
    }


@pytest.mark.parametrize("more", [{"mode": "report"}, {"mode": "delete", "dry_run": True}])
def test_what_deletes_nothing_tells_only_how_much_there_is(old: World, more: dict[str, Any]) -> None:
    done = sweep(old, **more)

    assert done.output is not None
    assert done.output["storage"]["after_bytes"] is None


@pytest.mark.parametrize("more", [{"mode": "report"}, {"mode": "delete"}, {"mode": "delete", "dry_run": True}])
def test_if_the_account_cannot_be_read_nothing_is_deleted(old: World, more: dict[str, Any]) -> None:
    old.fake.fail("GetAccountSettings", error=DENIED, times=None)

    done = sweep(old, **more)

    assert done.outcome == "Unreadable"
    assert "the account's settings" in done.message
    assert versions(old)["a"] == ["1", "2", "3", "4", "5", "6"]


def test_what_cannot_be_read_when_all_is_done_is_a_warning(old: World) -> None:
    old.fake.fail("GetAccountSettings", error=DENIED, times=None, on_call=2)

    done = sweep(old)

    assert done.outcome == "succeeded", done.cause
    assert done.output is not None
    assert "how much code is stored by now could not be read" in done.output["warnings"][0]
    assert done.output["storage"]["after_bytes"] is None


@pytest.mark.parametrize(("mode", "deleted"), [("delete", True), ("report", False)])
def test_every_version_is_told_to_those_who_watch_once(old: World, mode: str, deleted: bool) -> None:
    done = sweep(old, mode)

    (told,) = old.told
    assert (told.sweep, told.deleted, told.failures, told.left_out) == (done.name, deleted, 0, 0)
    assert {judged.service for judged in told.judged} == {SERVICE}
    places = [(judged.verdict.function, str(judged.verdict.version)) for judged in told.judged if judged.verdict.remove]
    assert sorted(places) == swept(done)
    assert len(told.judged) == 12


def test_a_sweep_that_fails_is_told_as_well(old: World) -> None:
    old.fake.fail("ListAliases", error=DENIED, times=None)

    sweep(old)

    assert [(told.judged, told.failures) for told in old.told] == [([], 1)]


# The stacks that own functions.


def test_a_stack_that_moves_keeps_the_versions_of_its_functions_and_of_no_others(old: World) -> None:
    old.owned_by(old.stacks.put("orders-app", "UPDATE_IN_PROGRESS"), "a")

    done = sweep(old)

    assert reasons(done)["a", "1"] == "stack orders-app, which owns the function, is UPDATE_IN_PROGRESS"
    assert swept(done) == [("b", "1"), ("b", "2")]


def test_so_does_the_stack_that_it_is_nested_in(old: World) -> None:
    root = old.stacks.put("all", "UPDATE_ROLLBACK_FAILED")
    old.owned_by(old.stacks.put("all-orders", root=root), "a", "b")

    assert swept(sweep(old)) == []


@pytest.mark.parametrize("mode", ["delete", "report"])
def test_a_stack_that_cannot_be_read_keeps_everything(old: World, mode: str) -> None:
    old.owned_by(old.stacks.put("orders-app"), "a")
    old.stacks.before = deny

    done = sweep(old, mode)

    assert done.outcome == "Unreadable"
    assert "stack arn:aws:cloudformation" in done.message
    assert versions(old)["b"] == ["1", "2", "3", "4", "5", "6"]


def test_a_stack_that_cannot_be_read_any_more_under_the_lock_keeps_its_functions(old: World) -> None:
    old.owned_by(old.stacks.put("orders-app"), "a")
    running = old.begin({"operation": "sweep", "mode": "delete"}).run_to("Collect")
    old.stacks.before = deny

    assert swept(running.run()) == [("b", "1"), ("b", "2")]


def test_a_stack_that_is_gone_keeps_nothing(old: World) -> None:
    old.owned_by(old.stacks.put("orders-app"), "a")
    old.stacks.stacks.clear()

    assert len(swept(sweep(old))) == 4


def test_each_stack_is_looked_at_once_for_all_its_functions(old: World) -> None:
    old.owned_by(old.stacks.put("orders-app"), "a", "b")

    sweep(old, "report")

    assert len(old.stacks.calls) == 1


def test_tags_that_aws_may_not_show_keep_everything(old: World) -> None:
    old.fake.hide_tags(lambda_name("a"), "AccessDeniedException", "not authorized to perform: lambda:ListTags")

    done = sweep(old)

    assert done.outcome == "Unreadable"
    assert "the tags of function" in done.message


def deny(operation: str, _: Mapping[str, Any]) -> None:
    raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, operation)
