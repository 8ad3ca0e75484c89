"""Verify: whether AWS agrees with the record, alias by alias. It takes no lock and changes nothing."""

from __future__ import annotations

import pytest

from .conftest import NewService
from .evidence import changed_by_refusal, everything, refused
from .plane import unique
from .service import Service


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    """dev serves r2, prod r1. What cases break they mend."""
    service = new_service("a", "b")
    service.deploy_text("prod", "one")
    service.deploy_text("dev", "two")
    return service


@pytest.mark.parametrize(("stage", "release"), [("dev", 2), (None, None)], ids=["a stage", "the service"])
def test_it_is_unchanged_where_all_agrees(orders: Service, stage: str | None, release: int | None) -> None:
    before = everything(orders.plane, orders.functions.values())

    output = orders.does("verify", stage)

    assert (output["outcome"], output["operation"], output["service"], output["stage"]) == (
        "unchanged",
        "verify",
        orders.name,
        stage,
    )
    assert (output["release"], output["previous_release"], output["changes"]) == (release, release, [])
    # Its report is all that it leaves.
    after = everything(orders.plane, orders.functions.values())
    assert after.differs_from(before) - {f"object {output['report']['s3_key']}"} == set()


def test_a_dry_run_of_it_does_not_even_leave_a_report(orders: Service) -> None:
    before = everything(orders.plane, orders.functions.values())

    ended = orders.run("verify", None, dry_run=True)

    assert (ended.output["outcome"], ended.output["report"]) == ("planned", None)
    assert everything(orders.plane, orders.functions.values()).differs_from(before) == set()


def test_every_alias_that_differs_is_named_and_none_is_touched(orders: Service) -> None:
    lambda_ = orders.plane.client("lambda")
    stage = unique("qa")
    orders.does("clone", stage, from_={"stage": "prod"})
    lambda_.update_alias(FunctionName=orders.functions["a"], Name="dev", FunctionVersion="1")
    lambda_.update_alias(FunctionName=orders.functions["b"], Name="prod", FunctionVersion="$LATEST")
    lambda_.delete_alias(FunctionName=orders.functions["b"], Name=stage)
    before = everything(orders.plane, orders.functions.values())

    ended = orders.run("verify", None)

    assert (ended.status, ended.error) == ("FAILED", "Drifted"), ended.output
    assert len(ended.cause["blockers"]) == 3
    for alias in (f"{orders.arn('a')}:dev", f"{orders.arn('b')}:prod", f"{orders.arn('b')}:{stage}"):
        assert any(alias in blocker for blocker in ended.cause["blockers"])
    assert changed_by_refusal(before, everything(orders.plane, orders.functions.values()), ended, orders.name) == set()
    refused(orders, orders.request("verify", "dev"), "Drifted", f"{orders.arn('a')}:dev", "recorded 2", "found version 1")

    lambda_.update_alias(FunctionName=orders.functions["a"], Name="dev", FunctionVersion="2")
    lambda_.update_alias(FunctionName=orders.functions["b"], Name="prod", FunctionVersion="1")
    lambda_.create_alias(FunctionName=orders.functions["b"], Name=stage, FunctionVersion="1")
    assert orders.does("verify")["outcome"] == "unchanged"


def test_routing_weights_are_drift_which_only_this_shows(orders: Service) -> None:
    lambda_ = orders.plane.client("lambda")
    weights = {"AdditionalVersionWeights": {"1": 0.5}}
    lambda_.update_alias(FunctionName=orders.functions["a"], Name="dev", FunctionVersion="2", RoutingConfig=weights)
    try:
        refused(orders, orders.request("verify", "dev"), "Drifted", f"{orders.arn('a')}:dev", "routing weights")
    finally:
        none: dict[str, float] = {}
        lambda_.update_alias(FunctionName=orders.functions["a"], Name="dev", RoutingConfig={"AdditionalVersionWeights": none})
    assert orders.does("verify")["outcome"] == "unchanged"


def test_it_waits_for_nobody(orders: Service) -> None:
    """Whoever asks for anything of this lock has to wait, but only a look is taken here."""
    with orders.plane.somebody_holds(orders.name, "collect"):
        ended = orders.run("verify", None)

    assert (ended.status, orders.plane.waited(ended.arn)) == ("SUCCEEDED", False)


def test_an_alias_that_cannot_be_read_neither_agrees_nor_differs(orders: Service) -> None:
    with orders.plane.denied("InspectRole", "lambda:ListAliases", orders.arn("b")):
        refused(orders, orders.request("verify", None), "Unreadable", orders.arn("b"), "AccessDenied")


def test_a_service_whose_releases_no_stage_serves_agrees(new_service: NewService) -> None:
    service = new_service("a")
    service.deploy_text(None, "one")

    assert service.does("verify")["outcome"] == "unchanged"
