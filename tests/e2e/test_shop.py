"""The example application on the embedded AWS, from one template: every stage answers by itself, after every operation."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from .evidence import everything
from .plane import ControlPlane
from .shop import FUNCTIONS, Package, Shop, package, sam

#: Every call by which Stagekeeper changes a stack begins with one of these.
CHANGES_STACKS = ("CreateChangeSet", "ExecuteChangeSet", "DeleteStack", "ContinueUpdateRollback")


@pytest.fixture(scope="module")
def packaged(plane: ControlPlane) -> Package:
    return package(plane)


@pytest.fixture
def shop(plane: ControlPlane, packaged: Package) -> Shop:
    return Shop(plane, packaged)


@pytest.fixture(scope="module")
def steady(plane: ControlPlane, packaged: Package) -> Shop:
    """On dev and prod, which the cases leave as they are."""
    shop = Shop(plane, packaged)
    for stage in ("dev", "prod"):
        shop.deploy(stage)
    return shop


def change(shop: Shop) -> None:
    """A release with other code, another property of what each stage has, and one more thing that all share."""
    shop.edition("two")
    shop.resources["Queue"]["Properties"]["VisibilityTimeout"] = 90
    shop.resources["Announcements"] = {"Type": "AWS::SNS::Topic"}


def patience(shop: Shop, stage: str) -> int:
    """The VisibilityTimeout of the stage's queue."""
    queue = shop.physical("Queue", stage)
    told = shop.plane.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])
    return int(told["Attributes"]["VisibilityTimeout"])


def stacks(shop: Shop) -> set[str]:
    """The names of all stacks of the service."""
    pages = shop.plane.client("cloudformation").get_paginator("describe_stacks").paginate()
    return {stack["StackName"] for page in pages for stack in page["Stacks"] if stack["StackName"].startswith(shop.name)}


def touched(shop: Shop, stage: str | None = None) -> str:
    """Which event of a stack was its last."""
    events = shop.plane.client("cloudformation").describe_stack_events(StackName=shop.stack_name(stage))["StackEvents"]
    return str(events[0]["EventId"])


def actions(output: dict[str, Any]) -> set[tuple[str, str]]:
    return {(change["function"], change["action"]) for change in output["changes"]}


def test_three_stages_of_one_template_through_every_operation(shop: Shop, packaged: Package) -> None:
    name = shop.name

    # What `sam package` wrote, unchanged, to three stages.
    first = shop.does("deploy", "dev", template=shop.place(packaged.text))
    assert {(name, "create_stack"), (f"{name}--dev", "create_stack"), ("Orders", "publish")} <= actions(first)
    assert shop.editions("dev") == {"dev": "one"}
    for stage in ("qa", "prod"):
        shop.does("deploy", stage, template=shop.place(packaged.text))
    assert shop.editions("dev", "qa", "prod") == {"dev": "one", "qa": "one", "prod": "one"}
    assert stacks(shop) == {name, f"{name}--dev", f"{name}--qa", f"{name}--prod"}
    assert len({shop.physical("Queue", stage) for stage in ("dev", "qa", "prod")}) == 3
    for stage in ("dev", "qa", "prod"):
        assert shop.target(stage) == f"{shop.plane.function_arn(shop.physical('Report'))}:{stage}"
        assert shop.values(stage) == {"QUEUE_URL": shop.physical("Queue", stage)}

    # A change of code, of the stage's own and of what is shared, to dev only.
    others = {stage: touched(shop, stage) for stage in ("qa", "prod")}
    change(shop)
    second = shop.deploy("dev")
    assert {(name, "update_stack"), (f"{name}--dev", "update_stack"), ("Orders", "publish")} <= actions(second)
    assert shop.editions("dev", "qa", "prod") == {"dev": "two", "qa": "one", "prod": "one"}
    assert [patience(shop, stage) for stage in ("dev", "qa", "prod")] == [90, 60, 60]
    assert "Announcements" in shop.there()
    assert {stage: touched(shop, stage) for stage in ("qa", "prod")} == others

    # Back across it: dev's stack follows, what is shared is left alone.
    shared = touched(shop)
    back = shop.does("rollback", "dev")
    assert (back["release"], back["previous_release"]) == (first["release"], second["release"])
    assert shop.editions("dev", "qa", "prod") == {"dev": "one", "qa": "one", "prod": "one"}
    assert patience(shop, "dev") == 60
    assert touched(shop) == shared
    assert {stage: touched(shop, stage) for stage in ("qa", "prod")} == others

    # And forward again, to a release by its number and to what another stage serves.
    shop.does("reset", "dev", to={"release": second["release"]})
    shop.does("reset", "qa", to={"stage": "dev"})
    assert shop.editions("dev", "qa", "prod") == {"dev": "two", "qa": "two", "prod": "one"}
    assert [patience(shop, stage) for stage in ("dev", "qa", "prod")] == [90, 90, 60]

    # A stage of Jane's own, with all that a stage has.
    shop.does("clone", "jane", from_={"stage": "dev"})
    assert shop.editions("dev", "qa", "prod", "jane") == {"dev": "two", "qa": "two", "prod": "one", "jane": "two"}
    assert patience(shop, "jane") == 90

    # It goes, with all that it had, and nobody else notices.
    queue = shop.physical("Queue", "jane")
    shop.does("teardown", "jane")
    assert stacks(shop) == {name, f"{name}--dev", f"{name}--qa", f"{name}--prod"}
    assert shop.values("jane") == {}
    assert {shop.version(function, "jane") for function in FUNCTIONS} == {None}
    sqs = shop.plane.client("sqs")
    with pytest.raises(sqs.exceptions.QueueDoesNotExist):
        sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    assert shop.call("jane", "POST", "/orders", {"article": "kettle"})[0] in (403, 404)
    assert shop.editions("dev", "qa", "prod") == {"dev": "two", "qa": "two", "prod": "one"}

    # The whole service goes, and leaves nothing.
    functions = [shop.physical(function) for function in FUNCTIONS]
    shop.does("teardown", confirm=name)
    assert stacks(shop) == set()
    lambda_ = shop.plane.client("lambda")
    for function in functions:
        with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
            lambda_.get_function(FunctionName=function)


def test_a_dry_run_tells_what_would_become_of_the_stacks_and_changes_nothing(steady: Shop, packaged: Package) -> None:
    functions = [steady.physical(function) for function in FUNCTIONS]
    checkout = Shop(steady.plane, packaged, steady.name)
    change(checkout)
    place = checkout.place()
    before, events = everything(steady.plane, functions), (touched(steady), touched(steady, "dev"))

    output = steady.does("deploy", "dev", template=place, dry_run=True)

    assert output["outcome"] == "planned"
    assert {(steady.name, "update_stack"), (f"{steady.name}--dev", "update_stack")} <= actions(output)
    assert everything(steady.plane, functions).differs_from(before) == set()
    assert (touched(steady), touched(steady, "dev")) == events
    assert steady.editions("dev") == {"dev": "one"}


def test_an_unchanged_deploy_makes_no_call_that_changes_a_stack(steady: Shop) -> None:
    with contextlib.ExitStack() as forbidden:
        for action in CHANGES_STACKS:
            forbidden.enter_context(steady.plane.denied("StacksRole", f"cloudformation:{action}", "*"))

        output = steady.deploy("dev")

    assert (output["outcome"], output["changes"]) == ("unchanged", [])


def test_the_same_release_on_another_stage_makes_no_call_that_changes_the_service_stack(steady: Shop) -> None:
    arn = steady.stack()
    assert arn is not None
    with contextlib.ExitStack() as forbidden:
        for action in CHANGES_STACKS:
            forbidden.enter_context(steady.plane.denied("StacksRole", f"cloudformation:{action}", arn["StackId"]))

        steady.deploy("second")

    assert steady.editions("second") == {"second": "one"}


def test_what_another_stage_declares_is_replaced_only_if_the_request_names_it(shop: Shop) -> None:
    for stage in ("dev", "prod"):
        shop.deploy(stage)
    table = shop.physical("Table")
    # A table's name cannot be changed: CloudFormation makes a new table and deletes the old one.
    shop.resources["Table"]["Properties"]["TableName"] = f"{shop.name}-orders"

    refused = shop.try_deploy("dev")

    assert (refused.status, refused.error) == ("FAILED", "SharedResourceInUse"), refused.cause or refused.output
    assert [each for each in ("Table", "prod", "allow_shared") if each not in refused.told] == []
    assert shop.physical("Table") == table
    assert shop.editions("dev", "prod") == {"dev": "one", "prod": "one"}

    shop.deploy("dev", allow_shared=["Table"])

    assert shop.physical("Table") == f"{shop.name}-orders" != table
    assert shop.editions("dev") == {"dev": "one"}


def test_a_variable_reaches_the_version_that_is_there_by_its_alias(steady: Shop) -> None:
    steady.deploy("loud")
    version = steady.version("Orders", "loud")

    output = steady.deploy("loud", variables={"LOG_LEVEL": "debug"})

    assert actions(output) == {(f"{steady.name}--loud", "update_stack")}
    assert steady.values("loud")["LOG_LEVEL"] == "debug"
    steady.plane.until(lambda: steady.order("loud")[1]["log_level"] == "debug")
    assert steady.order("prod")[1]["log_level"] == "info"
    assert {steady.version("Orders", stage) for stage in ("loud", "prod")} == {version}


def test_sam_deploys_it_alone_and_it_answers_for_its_default_stage(plane: ControlPlane, packaged: Package) -> None:
    alone = Shop(plane, packaged, "shop")
    built = str(packaged.built / "template.yaml")

    sam(plane, "deploy", "--template-file", built, "--stack-name", alone.name, "--resolve-s3", "--capabilities", "CAPABILITY_IAM")

    order_id, took = alone.order(None)
    order, _ = alone.wait_for(None, order_id)
    assert [who["stage"] for who in (took, order["packed_by"], alone.report(None))] == ["local", "local", "local"]
