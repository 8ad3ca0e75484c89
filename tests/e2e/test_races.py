"""Operations that meet: each does the right thing, waits its turn, or is refused. See test_lock.py for what waits for what."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import NewService
from .deaths import assert_lock_is_free, assert_nothing_leaked
from .plane import Ended, unique
from .service import Service

FUNCTIONS = "abcdef"


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """Its functions say "one" in r1, "two" in r2 and "three" in r3. Each case has a stage of its own on it."""
    service = new_service(*FUNCTIONS)
    for text in ("one", "two", "three"):
        service.deploy_text(None, text)
    return service


def deploy_of(service: Service, stage: str, text: str) -> dict[str, Any]:
    return service.request("deploy", stage, functions=service.wishes(**dict.fromkeys(service.functions, service.code(text))))


def at_once(service: Service, *requests: dict[str, Any]) -> list[Ended]:
    """Start all of them, and see how they end."""
    return [service.plane.wait(arn) for arn in [service.plane.start(request) for request in requests]]


def everywhere(text: str) -> dict[str, str]:
    return dict.fromkeys(FUNCTIONS, text)


def test_two_deploys_at_once_to_two_stages_end_with_each_its_own_code(orders: Service) -> None:
    """And under each version's number lies what its release says, for a rollback too."""
    code = {unique("stage"): text for text in ("this", "that")}

    ended = at_once(orders, *(deploy_of(orders, stage, text) for stage, text in code.items()))

    assert [each.status for each in ended] == ["SUCCEEDED", "SUCCEEDED"], [each.cause for each in ended]
    for (stage, text), each in zip(code.items(), ended, strict=True):
        assert orders.says(stage) == everywhere(text)
        orders.assert_agreement(stage, each.output)
    one, other = code
    assert orders.does("reset", one, to={"stage": other})["release"] == ended[1].output["release"]
    assert orders.says(one) == everywhere(code[other])
    assert_nothing_leaked(orders)


def test_a_rollback_during_a_deploy_of_its_stage_waits_and_takes_it_back(orders: Service) -> None:
    stage = orders.stage_at("one")

    name = unique("deploy")
    deploying = orders.plane.start(deploy_of(orders, stage, "two"), name)
    orders.plane.until_holds_lock(orders.name, name)
    rolled_back = orders.run("rollback", stage)

    assert orders.plane.wait(deploying).output["release"] == 2
    assert (rolled_back.status, orders.plane.waited(rolled_back.arn)) == ("SUCCEEDED", True), rolled_back.cause
    assert [(line["from_release"], line["to_release"]) for line in orders.ledger(stage)] == [(None, 1), (1, 2), (2, 1)]
    assert orders.says(stage) == everywhere("one")
    orders.assert_agreement(stage, rolled_back.output)


def test_a_rollback_for_another_release_than_the_deploy_before_it_made_is_refused(orders: Service) -> None:
    """Who pressed it had seen r2, and wanted to leave that."""
    stage = orders.stage_at("one", "two")

    name = unique("deploy")
    deploying = orders.plane.start(deploy_of(orders, stage, "three"), name)
    orders.plane.until_holds_lock(orders.name, name)
    refused = orders.run("rollback", stage, if_release=2)

    assert orders.plane.wait(deploying).status == "SUCCEEDED"
    assert (refused.status, refused.error) == ("FAILED", "StageMoved"), refused.output
    assert orders.says(stage) == everywhere("three")
    orders.assert_agreement(stage)


def test_of_two_rollbacks_that_two_people_press_one_is_done(orders: Service) -> None:
    stage = orders.stage_at("one", "two", "three")
    request = orders.request("rollback", stage, if_release=3)

    ended = at_once(orders, request, request)

    assert sorted(each.error for each in ended) == ["", "StageMoved"]
    assert orders.says(stage) == everywhere("two")
    assert [line["operation"] for line in orders.ledger(stage)] == ["deploy", "deploy", "deploy", "rollback"]
    orders.assert_agreement(stage)


def test_of_two_teardowns_of_a_stage_the_second_finds_none(orders: Service) -> None:
    stage = orders.stage_at("one", "only here")
    request = orders.request("teardown", stage)

    ended = at_once(orders, request, request)

    assert sorted(each.error for each in ended) == ["", "StageNotFound"]
    assert (orders.record(stage), orders.alias("a", stage)) == (None, None)
    assert [line["to_release"] for line in orders.ledger(stage)].count(None) == 1
    assert_lock_is_free(orders)


def test_a_deploy_during_a_sweep_gets_its_turn_and_nothing_of_it_is_swept(new_service: NewService) -> None:
    """The sweep lets others in between its batches of at most five seconds; what it found before, it looks at again."""
    service = new_service("a")
    for number in range(5):
        service.deploy_text("dev", f"text {number}")
    plane, name = service.plane, unique("sweep")

    request = service.request("sweep", None, mode="delete", keep=0, rollback_depth=0, grace_hours=0)
    sweeping = plane.start(request, name)
    plane.until_holds_lock(service.name, name)
    # The content of versions 1, which the sweep is about to delete or has deleted.
    deployed, swept = plane.run(deploy_of(service, "qa", "text 0")), plane.wait(sweeping)

    assert (deployed.status, swept.status) == ("SUCCEEDED", "SUCCEEDED"), (deployed.cause, swept.cause)
    assert {stage: set(service.says(stage).values()) for stage in ("dev", "qa")} == {"dev": {"text 4"}, "qa": {"text 0"}}
    for stage in ("dev", "qa"):
        service.assert_agreement(stage)
    assert_nothing_leaked(service)
    assert_lock_is_free(service)


def test_who_waits_gets_the_lock_in_order_of_arrival(orders: Service) -> None:
    stage, plane = orders.stage_at("one"), orders.plane
    names = [unique(f"waiter-{number}") for number in range(4)]

    with plane.somebody_holds(orders.name, f"stage:{stage}"):
        for name, release in zip(names, (2, 1, 3, 2), strict=True):
            plane.start(orders.request("reset", stage, to={"release": release}), name)
            plane.until_waits(orders.name, name)
    plane.until(lambda: len(orders.ledger(stage)) == 1 + len(names))

    assert [line["operation_id"] for line in orders.ledger(stage)][1:] == names
    assert orders.says(stage) == everywhere("two")
