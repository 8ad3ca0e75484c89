"""Failures in the middle, made for real: what was moved is put back, or the record says what is where; then all works again."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from stagekeeper.embedded.deploy import ROOT_KEY

from .conftest import NewService
from .evidence import look
from .plane import ControlPlane, Ended, unique
from .service import Service, settled

FUNCTIONS = ("first", "middle", "last")


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """Its functions say "one" in r1 and "two" in r2. Each case has a stage of its own on it."""
    service = new_service(*FUNCTIONS)
    for text in ("one", "two"):
        service.deploy_text(None, text)
    return service


def everywhere(text: str) -> dict[str, str]:
    return dict.fromkeys(FUNCTIONS, text)


def try_deploy(service: Service, stage: str, text: str) -> Ended:
    return service.run("deploy", stage, functions=service.wishes(**dict.fromkeys(service.functions, service.code(text))))


def aliases(service: Service, stage: str) -> dict[str, str | None]:
    found = {logical: service.alias(logical, stage) for logical in service.functions}
    return {logical: None if alias is None else alias["FunctionVersion"] for logical, alias in found.items()}


def assert_compensated(service: Service, stage: str, ended: Ended, before: dict[str, Any] | None, named: str) -> None:
    """Everything is as before but for RevisionIds, the lock is free, and the message says what failed."""
    assert (ended.status, ended.error) == ("FAILED", "Compensated"), ended.cause
    assert named in ended.cause["message"]
    assert "everything was put back" in ended.cause["message"]
    after = service.record(stage)
    assert _without_revisions(after) == _without_revisions(before)
    assert service.plane.operation(ended.operation_id)["status"] == "compensated"
    _assert_lock_is_free(service)
    if after is not None:
        service.assert_agreement(stage)


def _without_revisions(record: dict[str, Any] | None) -> Any:
    if record is None:
        return None
    functions = {arn: {**alias, "revision_id": None} for arn, alias in record["functions"].items()}
    return {**record, "functions": functions, "revision": None}


def _assert_lock_is_free(service: Service) -> None:
    lock = service.plane.item(f"SERVICE#{service.name}", "LOCK")
    assert lock is not None
    assert (lock["holders"], lock["queue"]) == ({}, [])


@pytest.mark.parametrize("fails", FUNCTIONS)
def test_a_move_that_fails_puts_the_other_aliases_back(orders: Service, fails: str) -> None:
    stage = orders.stage_at("one")
    before = orders.record(stage)

    with orders.plane.denied("MoveRole", "lambda:UpdateAlias", orders.arn(fails)):
        ended = try_deploy(orders, stage, "two")

    assert_compensated(orders, stage, ended, before, orders.arn(fails))
    assert orders.says(stage) == everywhere("one")
    assert try_deploy(orders, stage, "two").status == "SUCCEEDED"
    assert orders.says(stage) == everywhere("two")
    orders.assert_agreement(stage)


def test_a_rollback_that_fails_leaves_the_way_back_as_it_was(orders: Service) -> None:
    stage = orders.stage_at("one", "two")
    before = orders.record(stage)

    with orders.plane.denied("MoveRole", "lambda:UpdateAlias", orders.arn("middle")):
        ended = orders.run("rollback", stage)

    assert_compensated(orders, stage, ended, before, orders.arn("middle"))
    assert (orders.says(stage), orders.way_back(stage)) == (everywhere("two"), [1])
    assert orders.rollback(stage)["release"] == 1
    orders.assert_agreement(stage)


def test_a_new_stage_that_fails_is_unmade(orders: Service) -> None:
    stage = unique("stage")

    with orders.plane.denied("MoveRole", "lambda:CreateAlias", orders.arn("last")):
        ended = try_deploy(orders, stage, "one")

    assert_compensated(orders, stage, ended, None, orders.arn("last"))
    assert aliases(orders, stage) == dict.fromkeys(FUNCTIONS)
    assert try_deploy(orders, stage, "one").status == "SUCCEEDED"
    orders.assert_agreement(stage)


@pytest.mark.parametrize("fails", FUNCTIONS)
def test_a_publish_that_fails_moves_no_alias(orders: Service, fails: str) -> None:
    stage, text = orders.stage_at("one"), f"new, but for {fails}"
    before = orders.record(stage)

    with orders.plane.denied("PublishRole", "lambda:UpdateFunctionCode", orders.arn(fails)):
        ended = try_deploy(orders, stage, text)

    assert_compensated(orders, stage, ended, before, orders.arn(fails))
    assert orders.says(stage) == everywhere("one")
    assert try_deploy(orders, stage, text).status == "SUCCEEDED"
    assert orders.says(stage) == everywhere(text)
    orders.assert_agreement(stage)


def test_what_a_failed_deploy_left_in_latest_is_not_published_by_accident(orders: Service) -> None:
    stage = orders.stage_at("one")
    with orders.plane.denied("MoveRole", "lambda:UpdateAlias", orders.arn("last")):
        failed = try_deploy(orders, stage, "left over")

    ended = orders.run("deploy", stage, functions=orders.wishes())

    assert ended.error == "FunctionNotReady"
    assert failed.operation_id in ended.told
    assert orders.says(stage) == everywhere("one")


def test_functions_that_a_failed_first_deploy_claimed_are_free_again(new_service: NewService) -> None:
    service, other = new_service("a", "b"), new_service("c")
    with service.plane.denied("PublishRole", "lambda:PublishVersion", service.arn("a"), service.arn("b")):
        assert service.run("deploy", "dev", functions=service.wishes()).error == "Compensated"
    other.functions["a"] = service.functions["a"]

    output = other.deploy("dev")

    assert output["release"] == 1
    other.assert_agreement("dev", output)


def test_a_function_that_is_deleted_midway_fails_the_deploy_and_the_others_are_put_back(new_service: NewService) -> None:
    service = new_service("a", "b", "c")
    service.deploy("dev")
    name, given = unique("op"), {"Timeout": 7}
    wish = {**service.code("two"), "configuration": given}

    arn = service.plane.start(
        service.request("deploy", "dev", functions=service.wishes(**dict.fromkeys(service.functions, wish))), name
    )
    service.plane.until_status(name, "converging")
    # Its configuration is being updated: the code, which waits for that, is yet to come.
    service.plane.client("lambda").delete_function(FunctionName=service.functions["c"])
    ended = service.plane.wait(arn)

    # Not Compensated: its alias went with it, so not all is as it was.
    assert (ended.status, ended.error) == ("FAILED", "Drifted"), ended.cause
    assert service.arn("c") in ended.told
    assert aliases(service, "dev") == {"a": "1", "b": "1", "c": None}
    _assert_lock_is_free(service)
    del service.functions["c"]
    assert try_deploy(service, "dev", "two").error == "InvalidRequest"


def test_an_alias_that_somebody_moves_midway_is_left_alone_and_the_others_are_put_back(new_service: NewService) -> None:
    service = new_service("a", "b", "c")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")
    name, lambda_ = unique("op"), service.plane.client("lambda")

    functions = service.wishes(**dict.fromkeys(service.functions, service.code("three")))
    arn = service.plane.start(service.request("deploy", "dev", functions=functions), name)
    service.plane.until_status(name, "converging")
    lambda_.update_alias(FunctionName=service.functions["c"], Name="dev", FunctionVersion="1")
    ended = service.plane.wait(arn)

    assert (ended.status, ended.error) == ("FAILED", "Drifted"), ended.cause
    assert f"{service.arn('c')}:dev" in ended.told
    assert service.says("dev") == {"a": "two", "b": "two", "c": "one"}
    _assert_lock_is_free(service)
    assert service.rollback("dev", to={"release": 2}, on_drift="overwrite")["release"] == 2
    assert service.says("dev") == {"a": "two", "b": "two", "c": "two"}


@pytest.fixture(scope="module")
def mixed(orders: Service) -> tuple[str, str]:
    """Two stages that served r1 and were to go to r2: the last alias could not be moved, the first not be put back."""
    plane, stages = orders.plane, (orders.stage_at("one"), orders.stage_at("one"))
    last, first = orders.arn("last"), orders.arn("first")
    wishes = orders.wishes(**dict.fromkeys(FUNCTIONS, orders.code("two")))
    with (
        plane.denied("MoveRole", "lambda:UpdateAlias", last),
        plane.denied("CompensateRole", "lambda:UpdateAlias", first),
    ):
        # Both at once, since putting back is tried for several seconds.
        started = [plane.start(orders.request("deploy", stage, functions=wishes)) for stage in stages]
        ended = [plane.wait(arn) for arn in started]
    for stage, each in zip(stages, ended, strict=True):
        assert (each.status, each.error) == ("FAILED", "NeedsAttention"), each.cause
        (blocker,) = each.cause["blockers"]
        assert all(named in blocker for named in (f"{first}:{stage}", "version 2", "version 1"))
        assert last in each.cause["message"]
    return stages


def test_a_mixed_stage_is_shown_by_the_board(orders: Service, mixed: tuple[str, str]) -> None:
    shown = board(orders)

    stages = dict(zip(shown["service"], zip(*(shown[row] for row in (*FUNCTIONS, "serves", "state")), strict=True), strict=True))
    assert [stages[stage] for stage in mixed] == [("2 (mixed)", "1 (mixed)", "1 (mixed)", "r1", "MIXED")] * 2


def board(service: Service) -> dict[str, list[str]]:
    """The rows of `stagekeeper status`, by their first word."""
    plane = service.plane
    known = {"AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_KEY, "AWS_DEFAULT_REGION": plane.region}
    program = "from stagekeeper.cli.main import app; app()"
    shown = subprocess.run(  # noqa: S603 - our own command line, no shell
        [sys.executable, "-c", program, "status", "--service", service.name, "--stack", plane.stack],
        env={"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": plane.instance.endpoint, **known},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = [[cell.strip() for cell in line.strip("│┃").split("│" if "│" in line else "┃")] for line in shown.splitlines()]
    return {row[0].split()[0]: row[1:] for row in rows if len(row) > 1}


def test_a_sweep_leaves_what_a_mixed_stage_really_serves(orders: Service, mixed: tuple[str, str]) -> None:
    output = orders.does("sweep", mode="delete", keep=0, rollback_depth=0, grace_hours=0)

    kept = {(entry["function"], entry["version"]) for entry in output["sweep"]["kept"]}
    # What is served, and what a rollback would put it back on.
    assert {("first", "2"), ("first", "1"), ("middle", "1"), ("last", "1")} <= kept
    for stage in mixed:
        assert orders.says(stage) == {"first": "two", "middle": "one", "last": "one"}
        orders.assert_agreement(stage)


def test_what_cannot_be_put_back_is_on_record_and_a_rollback_returns_to_what_was_served(
    orders: Service, mixed: tuple[str, str]
) -> None:
    stage = mixed[0]
    record = orders.record(stage)
    assert record is not None
    assert (record["mixed"], record["release"], record["way_back"]) == (True, 1, [])
    assert orders.says(stage) == {"first": "two", "middle": "one", "last": "one"}
    orders.assert_agreement(stage)
    _assert_lock_is_free(orders)

    output = orders.rollback(stage)

    assert (output["release"], output["previous_release"], orders.way_back(stage)) == (1, 1, [])
    assert orders.says(stage) == everywhere("one")
    orders.assert_agreement(stage, output)


def test_a_deploy_goes_on_from_what_a_mixed_stage_really_serves(orders: Service, mixed: tuple[str, str]) -> None:
    stage = mixed[1]

    ended = try_deploy(orders, stage, "two")

    assert ended.status == "SUCCEEDED", ended.cause
    moved = {change["function"] for change in ended.output["changes"] if change["action"] == "move_alias"}
    assert moved == {"last", "middle"}
    assert orders.says(stage) == everywhere("two")
    assert orders.way_back(stage) == [1]
    orders.assert_agreement(stage, ended.output)


def test_a_dropped_alias_that_cannot_be_deleted_needs_attention_and_the_movement_stays_true(orders: Service) -> None:
    stage = orders.stage_at("one")
    functions = {"first": orders.wishes(first=orders.code("two"))["first"]}

    with orders.plane.denied("CleanUpRole", "lambda:DeleteAlias", orders.arn("last")):
        ended = orders.run("deploy", stage, functions=functions)

    assert (ended.status, ended.error) == ("FAILED", "NeedsAttention"), ended.cause
    assert f"{orders.arn('last')}:{stage}" in ended.told
    assert (orders.record(stage) or {})["release"] == orders.ledger(stage)[-1]["to_release"]
    assert orders.says(stage)["first"] == "two"
    _assert_lock_is_free(orders)
    output = orders.deploy(stage, functions)
    assert aliases(orders, stage) == {"first": "2", "middle": None, "last": None}
    orders.assert_agreement(stage, output)


def test_our_own_error_names_the_log_stream_and_changes_nothing(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")
    before = look(service.plane, service.name, service.functions.values())

    with _broken_environment(service.plane):
        ended = service.run("rollback", "dev")

    assert (ended.status, ended.error) == ("FAILED", "Internal")
    for said in ("State Lock failed", "log group", "log stream", "request "):
        assert said in ended.cause["message"]
    request_id = ended.cause["message"].rpartition("request ")[2]
    told = service.plane.client("logs").filter_log_events(logGroupName=service.plane.resource("LockLogs"))["events"]
    assert any(request_id in event["message"] for event in told)
    after = look(service.plane, service.name, service.functions.values())
    assert after.differs_from(before) == {f"item OPERATION#{ended.operation_id} / OPERATION"}
    assert service.rollback("dev")["release"] == 1


@contextlib.contextmanager
def _broken_environment(plane: ControlPlane) -> Iterator[None]:
    """While inside, the handler of Lock finds no table name in its environment."""
    function = plane.resource("LockFunction")
    lambda_ = plane.client("lambda")
    before = lambda_.get_function_configuration(FunctionName=function)["Environment"]["Variables"]

    def put(variables: dict[str, str]) -> None:
        lambda_.update_function_configuration(FunctionName=function, Environment={"Variables": variables})
        settled(plane, function)

    put({**before, "STATE_TABLE": ""})
    try:
        yield
    finally:
        put(before)
