"""Dry runs: they tell the plan and write nothing, neither to AWS nor to the record.

Those of teardown, sweep, configure and verify are among the cases of these operations."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import NewService
from .evidence import everything
from .service import Service


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """Stage dev serves r2, r1 is on its way back; $LATEST is what r2 was made of."""
    service = new_service("a", "b")
    service.deploy_text("dev", "one")
    service.deploy_text("dev", "two")
    return service


def requests(service: Service) -> dict[str, dict[str, Any]]:
    two_again = service.wishes(**dict.fromkeys(service.functions, service.code("two")))
    return {
        "a deploy": service.request("deploy", "dev", functions=service.wishes(a=service.code("three"))),
        "a deploy of a new stage": service.request("deploy", "qa", functions=two_again),
        "a deploy without a stage": service.request("deploy", None, functions=service.wishes(a=service.code("three"))),
        "a deploy that would change nothing": service.request("deploy", "dev", functions=two_again),
        "a rollback": service.request("rollback", "dev"),
        "a rollback that would change nothing": service.request("rollback", "dev", to={"release": 2}),
        "a reset": service.request("reset", "dev", to={"release": 1}),
        "a reset that would change nothing": service.request("reset", "dev", to={"stage": "dev"}),
        "a clone": service.request("clone", "jane", **{"from": {"stage": "dev"}}),
    }


@pytest.mark.parametrize(
    ("which", "release", "actions"),
    [
        ("a deploy", 3, {"publish", "move_alias"}),
        ("a deploy of a new stage", 2, {"reuse", "create_alias"}),
        ("a deploy without a stage", 3, {"publish", "reuse"}),
        ("a deploy that would change nothing", 2, set()),
        ("a rollback", 1, {"move_alias"}),
        ("a rollback that would change nothing", 2, set()),
        ("a reset", 1, {"move_alias"}),
        ("a reset that would change nothing", 2, set()),
        ("a clone", 2, {"create_alias"}),
    ],
)
def test_a_dry_run_tells_the_plan_and_writes_nothing(orders: Service, which: str, release: int, actions: set[str]) -> None:
    request = requests(orders)[which]
    before = everything(orders.plane, orders.functions.values())

    ended = orders.plane.run({**request, "dry_run": True})

    assert (ended.status, ended.error) == ("SUCCEEDED", "")
    assert (ended.output["outcome"], ended.output["release"], ended.output["report"]) == ("planned", release, None)
    assert {change["action"] for change in ended.output["changes"]} == actions
    assert everything(orders.plane, orders.functions.values()).differs_from(before) == set()


def test_a_dry_run_of_a_service_that_is_not_there_yet_claims_nothing(new_service: NewService) -> None:
    service = new_service("a")
    before = everything(service.plane, service.functions.values())

    output = service.deploy("dev", dry_run=True)

    assert (output["outcome"], output["release"]) == ("planned", 1)
    assert everything(service.plane, service.functions.values()).differs_from(before) == set()


def test_a_dry_run_plans_what_the_same_request_then_does(new_service: NewService) -> None:
    service = new_service("a", "b")
    service.deploy("dev")
    wishes = service.wishes(b=service.code("two"))

    planned = service.deploy("dev", wishes, dry_run=True)
    done = service.deploy("dev", wishes)

    # A version's number is known once it is published.
    assert [dict(change, after=None) for change in planned["changes"]] == [dict(change, after=None) for change in done["changes"]]
    assert (planned["release"], planned["previous_release"]) == (done["release"], done["previous_release"])
