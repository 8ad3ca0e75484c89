"""Operations at the same time: what waits for what, what does not, and that one name is one operation."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import NewService
from .plane import unique
from .service import Service


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """Of enough functions that a deploy holds its slots for more than a second: 15 calls a second are the pace. prod has
    one of them only, serves r2 and can go back to r1, which is done in no time."""
    service = new_service(*"abcdef")
    for text in ("one", "two"):
        service.deploy("prod", {"a": service.wishes(a=service.code(text))["a"]})
    return service


def long_deploy(service: Service, stage: str, text: str) -> dict[str, Any]:
    """A deploy that writes configuration and code of every function, one after the other."""
    wish = {**service.code(text), "configuration": {"Description": text}}
    return service.request("deploy", stage, functions=service.wishes(**dict.fromkeys(service.functions, wish)))


def start_and_hold(service: Service, request: dict[str, Any]) -> tuple[str, str]:
    """Start an operation; its name and ARN once it holds its lock."""
    name = unique("holds")
    arn = service.plane.start(request, name)
    service.plane.until_holds_lock(service.name, name)
    return name, arn


def test_of_two_deploys_at_once_the_second_waits_for_the_first(orders: Service) -> None:
    plane, stage = orders.plane, unique("stage")

    _, first = start_and_hold(orders, long_deploy(orders, stage, "three"))
    second = plane.start(long_deploy(orders, stage, "four"), unique("waits"))
    ended = [plane.wait(first), plane.wait(second)]

    assert [each.status for each in ended] == ["SUCCEEDED", "SUCCEEDED"], [each.cause for each in ended]
    assert [plane.waited(each.arn) for each in ended] == [False, True]
    assert [line["operation_id"] for line in orders.ledger(stage)] == [each.operation_id for each in ended]
    assert ended[1].output["previous_release"] == ended[0].output["release"]
    assert orders.answer("f", stage)["says"] == "four"
    orders.assert_agreement(stage, ended[1].output)


def test_a_deploy_of_another_stage_waits_only_until_the_versions_exist(orders: Service) -> None:
    """Every deploy writes $LATEST, so two never publish at the same time, whatever their stages are."""
    plane, stages = orders.plane, (unique("stage"), unique("stage"))

    _, first = start_and_hold(orders, long_deploy(orders, stages[0], "five"))
    second = plane.start(long_deploy(orders, stages[1], "six"), unique("waits"))
    ended = [plane.wait(first), plane.wait(second)]

    assert [each.status for each in ended] == ["SUCCEEDED", "SUCCEEDED"], [each.cause for each in ended]
    assert plane.waited(second)
    for stage, text in zip(stages, ("five", "six"), strict=True):
        assert orders.answer("f", stage)["says"] == text
        orders.assert_agreement(stage)


def test_who_does_not_wait_long_enough_is_told_who_is_in_the_way(orders: Service) -> None:
    plane, stage = orders.plane, unique("stage")

    holder, first = start_and_hold(orders, long_deploy(orders, stage, "seven"))
    ended = plane.run({**long_deploy(orders, stage, "eight"), "lock_wait_seconds": 0})

    assert (ended.status, ended.error) == ("FAILED", "Locked"), ended.cause
    assert holder in ended.cause["message"]
    assert holder in ended.cause["blockers"][0]
    assert plane.wait(first).status == "SUCCEEDED"
    assert orders.answer("f", stage)["says"] == "seven"
    orders.assert_agreement(stage)


def test_every_operation_needs_the_stage_that_it_is_about(orders: Service) -> None:
    """But for those that only look. A teardown and a sweep let nobody else in, whatever the stage."""
    waits: dict[str, dict[str, Any]] = {
        "rollback": {"stage": "prod"},
        "reset": {"stage": "prod", "to": {"release": 1}},
        "clone": {"stage": "prod", "from": {"stage": "dev"}},
        "configure": {"stage": "prod", "settings": {"protected": True}},
        "teardown": {"stage": "dev"},
    }
    plane, before = orders.plane, orders.record("prod")
    with plane.somebody_holds(orders.name, "stage:prod") as holder:
        ended = [plane.run({**orders.request(name, None, lock_wait_seconds=0), **fields}) for name, fields in waits.items()]
        looks = [plane.run(orders.request("verify", None)), plane.run(orders.request("rollback", "prod", dry_run=True))]
        other = plane.run(orders.request("configure", "dev", settings={"protected": True}, lock_wait_seconds=0))

    assert [each.error for each in ended] == ["Locked"] * len(waits)
    assert all(holder in each.cause["message"] and holder in each.cause["blockers"][0] for each in ended)
    assert [each.status for each in looks] == ["SUCCEEDED", "SUCCEEDED"]
    # Of another stage, so it is not in the way; that there is no such stage is found out under the lock.
    assert other.error == "StageNotFound"
    assert orders.record("prod") == before


def test_prod_rolls_back_while_dev_deploys(orders: Service) -> None:
    plane, stage = orders.plane, unique("dev")

    name, deploying = start_and_hold(orders, long_deploy(orders, stage, "nine"))
    plane.until_status(name, "converging")
    rolled_back = plane.run(orders.request("rollback", "prod"))
    still = plane.client("stepfunctions").describe_execution(executionArn=deploying)["status"]

    assert rolled_back.status == "SUCCEEDED", rolled_back.cause
    assert not plane.waited(rolled_back.arn)
    assert still == "RUNNING"
    assert plane.wait(deploying).status == "SUCCEEDED"
    assert orders.says("prod") == {"a": "one"}
    assert orders.answer("f", stage)["says"] == "nine"
    for each in ("prod", stage):
        orders.assert_agreement(each)


def test_starting_the_same_name_and_input_again_is_the_same_execution(new_service: NewService) -> None:
    service = new_service("a")
    request, name = service.request("deploy", "dev", functions=service.wishes()), unique("op")

    arns = {service.plane.start(request, name) for _ in range(3)}
    ended = service.plane.wait(*arns)

    assert ended.status == "SUCCEEDED"
    assert ended.operation_id == name
    assert len(service.ledger("dev")) == 1
    assert service.versions("a") == ["1"]


def test_a_name_that_was_used_is_used_up(new_service: NewService) -> None:
    service = new_service("a")
    request, name = service.request("deploy", "dev", functions=service.wishes()), unique("op")
    service.plane.run(request, name)

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        service.plane.start({**request, "reason": "another one"}, name)
