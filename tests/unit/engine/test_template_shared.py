"""What stages share is safe: nobody takes away or replaces what another stage's current release declares, or serves."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import FromTemplate
from .templated import Templated, actions, done
from .world import SERVICE

STRANGERS_STATES = ("CREATE_COMPLETE", "ROLLBACK_COMPLETE", "UPDATE_IN_PROGRESS")


@pytest.fixture
def service(from_template: FromTemplate) -> Templated:
    """Stages prod and dev serve the first release of functions A and B."""
    return from_template("prod:one dev:one")


def lines(output: dict[str, Any], name: str) -> list[tuple[str, str]]:
    return [(line["action"], line["reason"]) for line in output["changes"] if line["function"] == name]


def without(service: Templated, name: str) -> None:
    """The template has this resource, or this function, no more."""
    service.functions.pop(name, None)
    service.resources.pop(name, None)
    if name == "B":
        service.resources.pop("Feed", None)


# What goes, and when.


@pytest.mark.parametrize("name", ["Table", "B"])
def test_what_another_stage_declares_stays_and_goes_when_that_has_let_go_of_it_too(service: Templated, name: str) -> None:
    without(service, name)

    dev = done(service.deploy("dev"))

    assert lines(dev, name)[-1] == ("keep_shared", "not in this template, but the release of stage prod declares it")
    assert name in service.stack()

    prod = done(service.deploy("prod"))

    assert lines(prod, name)[-1][0] == "delete_shared"
    assert name not in service.stack()
    assert service.deploy("prod").outcome == "unchanged"


ITS_WARNING = (
    "Table leaves stack orders: it is deleted with what is in it. "
    "To keep it, first deploy a template that still declares it, with DeletionPolicy: Retain"
)


@pytest.mark.parametrize("dry", [True, False])
def test_a_table_that_leaves_is_said_to_go_with_what_is_in_it(from_template: FromTemplate, dry: bool) -> None:
    service = from_template("prod:one")
    without(service, "Table")

    output = done(service.deploy("prod", dry_run=dry))

    assert lines(output, "Table")[-1][1].endswith("it leaves the service stack; it is deleted with what is in it")
    assert output["warnings"] == [ITS_WARNING]
    assert ("Table" in service.stack()) is dry


@pytest.mark.parametrize("dry", [True, False])
def test_a_table_that_is_retained_is_said_to_stay(from_template: FromTemplate, dry: bool) -> None:
    service = from_template("prod:one")
    service.resources["Table"]["DeletionPolicy"] = "Retain"
    done(service.deploy("prod"))
    without(service, "Table")

    output = done(service.deploy("prod", dry_run=dry))

    assert "it stays, as its DeletionPolicy (Retain) says" in lines(output, "Table")[-1][1]
    assert output["warnings"] == []


def test_what_another_stage_keeps_is_not_said_to_be_lost(service: Templated) -> None:
    without(service, "Table")

    assert done(service.deploy("dev"))["warnings"] == []


@pytest.mark.parametrize("dry", [True, False])
def test_a_queue_that_leaves_a_stages_own_stack_is_said_to_go_with_what_is_in_it(service: Templated, dry: bool) -> None:
    service.resources["Spare"] = {"Type": "AWS::SQS::Queue", "Metadata": {"Stagekeeper": {"Scope": "stage"}}}
    done(service.deploy("dev"))
    del service.resources["Spare"]

    (warning,) = done(service.deploy("dev", dry_run=dry))["warnings"]

    assert warning.startswith("Spare leaves stack orders--dev: it is deleted with what is in it.")


@pytest.mark.parametrize(("name", "slot"), [("Table", "publish"), ("B", "collect")])
def test_a_resource_goes_under_publish_and_a_function_under_collect(from_template: FromTemplate, name: str, slot: str) -> None:
    service = from_template("prod:one")
    without(service, name)
    running = service.begin("prod").run_to("CleanUp").run_to("Stacks")

    assert service.world.held() == {running.name: {slot}}

    assert running.run().outcome == "succeeded"
    assert (name in service.stack(), service.world.held()) == (False, {})


def test_a_deploy_without_a_stage_takes_nothing_from_any(service: Templated) -> None:
    without(service, "Table")
    without(service, "B")

    released = done(service.deploy(None))

    assert "delete_shared" not in actions(released)
    assert set(service.stack()) == {"A", "B", "Table"}


def test_a_teardown_takes_nothing_that_is_shared_and_the_next_deploy_lets_go_of_it(service: Templated) -> None:
    without(service, "Table")
    done(service.deploy("dev"))
    done(service.ask("teardown", "prod"))
    assert "Table" in service.stack()
    service.say("two")

    done(service.deploy("dev"))

    assert "Table" not in service.stack()


@pytest.fixture
def kept(from_template: FromTemplate) -> Templated:
    """prod went back to a release without function B, whose alias it still has; dev's release has the function."""
    service = from_template("")
    feed = service.resources.pop("Feed")
    del service.functions["B"]
    done(service.deploy())
    service.functions["B"], service.resources["Feed"] = "one", feed
    done(service.deploy())
    done(service.deploy("dev"))
    done(service.ask("rollback"))
    without(service, "B")
    return service


def test_a_function_that_a_stage_only_still_serves_stays_too(kept: Templated) -> None:
    dev = done(kept.deploy("dev"))

    assert lines(dev, "B")[-1] == ("keep_shared", "not in this template, but stage prod serves what needs it")
    assert (kept.serves("prod"), "B" in kept.stack()) == ({"A": "one", "B": "one"}, True)


def test_one_that_only_an_alias_keeps_blocks_no_deploy_and_goes_with_the_alias(kept: Templated) -> None:
    done(kept.deploy("dev"))
    kept.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"
    done(kept.deploy("dev"))
    assert set(kept.stack()) == {"A", "B", "Table"}

    done(kept.deploy("prod"))

    assert (set(kept.stack()), kept.serves("prod")) == ({"A", "Table"}, {"A": "one"})


# While others are at work.


def test_what_a_deploy_in_between_came_to_need_does_not_go(from_template: FromTemplate) -> None:
    """prod lets go of the table; before the service stack does, another stage declares it."""
    service = from_template("prod:one")
    body = service.body
    service.body = {**body, "Resources": {name: each for name, each in body["Resources"].items() if name != "Table"}}
    running = service.begin("prod").run_to("CleanUp")
    running.step()
    service.body = body
    done(service.deploy("dev"))

    assert running.run().outcome == "succeeded"

    assert "Table" in service.stack()
    assert service.deploy("dev").outcome == "unchanged"


def test_what_a_rollback_in_between_came_to_need_does_not_go(service: Templated) -> None:
    without(service, "Table")
    done(service.deploy("dev"))
    running = service.begin("prod").run_to("CleanUp")
    running.step()
    done(service.ask("rollback", "dev"))

    assert running.run().outcome == "succeeded"

    assert "Table" in service.stack()


def test_what_is_on_its_way_out_when_it_comes_to_be_needed_is_on_record_as_gone(service: Templated) -> None:
    """The rollback is a moment too late, and nobody is told that the table were there."""
    table = service.resources["Table"]
    without(service, "Table")
    done(service.deploy("dev"))
    service.world.stacks.slow_down(60)
    running = service.begin("prod").run_to("CleanUp")
    running.run_to("Stacks").step()
    done(service.ask("rollback", "dev"))

    assert running.run().outcome == "succeeded"

    assert "Table" not in service.stack()
    service.resources["Table"] = table
    done(service.deploy("dev"))
    assert "Table" in service.stack()


def test_what_a_rollback_came_to_need_is_not_put_back_by_a_deploy_that_fails(from_template: FromTemplate) -> None:
    """dev's deploy brings a topic back, prod goes to a release that declares it, and then dev's stage stack fails."""
    service = from_template("")
    topic = service.resources["Topic"] = {"Type": "AWS::SNS::Topic"}
    done(service.deploy("prod"))
    del service.resources["Topic"]
    done(service.deploy("prod"))
    done(service.deploy("dev"))
    service.resources["Topic"] = topic
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    service.world.stacks.fail("Work", "UPDATE")
    running = service.begin("dev").run_to("Publish")
    done(service.ask("rollback", "prod"))

    failed = running.run()

    assert failed.outcome == "NeedsAttention"
    assert "Topic" in failed.message
    assert "prod" in failed.message
    assert "Topic" in service.stack()
    assert service.deploy("dev").outcome == "succeeded"


# Changing and replacing.


def test_a_shared_property_may_change_first_in_dev_and_prod_hears_of_it(service: Templated) -> None:
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"

    dev = done(service.deploy("dev"))

    ((action, reason),) = lines(dev, "Table")
    assert action == "change_shared"
    assert "stage prod declared it differently" in reason
    assert service.stack()["Table"]["BillingMode"] == "PROVISIONED"


def test_replacing_what_another_stage_declares_is_refused_before_anything_runs(service: Templated) -> None:
    service.resources["Table"]["Properties"]["TableName"] = "another"
    before = service.stack(), service.traffic()

    refused = service.deploy("dev")

    assert refused.outcome == "SharedResourceInUse"
    assert "Table" in refused.message
    assert "prod" in refused.message
    assert refused.cause["blockers"] == ["Table (AWS::DynamoDB::Table): prod"]
    executed = [request for name, request in service.world.stacks.calls if name == "ExecuteChangeSet"]
    assert executed == []
    assert (service.stack(), service.traffic()) == before
    assert service.world.held() == {}


@pytest.mark.parametrize(("allowed", "outcome"), [(["Table"], "succeeded"), (["Work"], "SharedResourceInUse")])
def test_what_is_allowed_by_its_name_is_replaced(service: Templated, allowed: list[str], outcome: str) -> None:
    service.resources["Table"]["Properties"]["TableName"] = "another"
    place = service.world.put_template(service.text())

    deploy = service.world.begin({"operation": "deploy", "stage": "dev", "template": place, "allow_shared": allowed}).run()

    assert deploy.outcome == outcome
    assert service.stack()["Table"]["TableName"] == ("another" if outcome == "succeeded" else "orders-table")


def test_a_stage_alone_may_replace_what_only_it_declares(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    service.resources["Table"]["Properties"]["TableName"] = "another"

    done(service.deploy())

    assert service.stack()["Table"]["TableName"] == "another"


def test_a_function_that_is_served_is_never_replaced(from_template: FromTemplate) -> None:
    """Its aliases and versions would go with it, whatever the request allows."""
    service = from_template("prod:one")
    text = service.text().replace('"FunctionName": "orders-b"', '"FunctionName": "orders-c"')
    place = service.world.put_template(text)

    refused = service.world.begin({"operation": "deploy", "stage": "prod", "template": place, "allow_shared": ["B"]}).run()

    assert refused.outcome == "SharedResourceInUse"
    assert "another logical id" in refused.message
    assert service.traffic() == {"prod": {"A": "one", "B": "one"}}


# What two stages would fight over.


@pytest.fixture
def contested(from_template: FromTemplate) -> Templated:
    """prod alone reads a queue that function A's configuration names, so that it is shared."""
    service = from_template("")
    del service.resources["Work"]["Metadata"]
    service.resources["Reader"] = {
        "Type": "AWS::Lambda::LayerVersion",
        "DependsOn": "Work",
        "Properties": {"LayerName": "reader", "Content": {"S3Bucket": service.world.bucket, "S3Key": "layer.zip"}},
    }
    done(service.deploy())
    return service


def test_a_second_stage_on_one_queue_is_refused(contested: Templated) -> None:
    refused = contested.deploy("dev")

    assert refused.outcome == "SharedResourceInUse"
    assert "Work" in refused.message
    assert refused.cause["blockers"] == ["Work: prod"]
    assert f"{SERVICE}--dev" not in contested.world.stacks.stacks


def test_a_second_stage_on_one_queue_may_be_allowed(contested: Templated) -> None:
    done(contested.deploy("dev", allow_shared=["Work"]))

    queues = {contested.stack(stage)["Feed"]["EventSourceArn"] for stage in ("prod", "dev")}
    assert len(queues) == 1


@pytest.mark.parametrize("name", ["PROD", "prod_", "Prod-"])
@pytest.mark.parametrize("operation", ["deploy", "clone"])
def test_two_stages_that_would_have_one_stack_are_refused(service: Templated, name: str, operation: str) -> None:
    items = service.world.items().keys()
    refused = service.deploy(name) if operation == "deploy" else service.ask("clone", name, **{"from": {"stage": "prod"}})

    assert refused.outcome == "InvalidRequest"
    assert "orders--prod" in refused.message
    assert {key for key in service.world.items().keys() - items if key[0] != f"OPERATION#{refused.name}"} == set()


# Stacks of others.


@pytest.mark.parametrize("status", STRANGERS_STATES)
@pytest.mark.parametrize(("name", "stage"), [(SERVICE, "prod"), (SERVICE, None), (f"{SERVICE}--prod", "prod")])
def test_a_stack_of_others_is_refused_before_any_effect_and_never_touched(
    from_template: FromTemplate, name: str, stage: str | None, status: str
) -> None:
    service = from_template("")
    theirs = service.world.stacks.put(name, status, Queue="theirs")

    refused = service.deploy(stage)

    assert refused.outcome == "StackOwnedElsewhere"
    assert name in refused.message
    assert {asked for asked, _ in service.world.stacks.calls} <= {"DescribeStacks", "ListStackResources"}
    assert (theirs.status, list(service.world.stacks.stacks)) == (status, [name])
    assert service.world.lasting(refused.name) == {}


def test_a_clone_onto_a_stack_of_others_is_refused_before_any_effect(service: Templated) -> None:
    service.world.stacks.put(f"{SERVICE}--qa", Queue="theirs")

    refused = service.ask("clone", "qa", **{"from": {"stage": "prod"}})

    assert (refused.outcome, service.serves("qa")) == ("StackOwnedElsewhere", {})


def test_a_rollback_moves_traffic_also_where_somebody_else_has_its_stack_by_now(from_template: FromTemplate) -> None:
    service = from_template("prod:one prod:two")
    del service.world.stacks.stacks[f"{SERVICE}--prod"]
    theirs = service.world.stacks.put(f"{SERVICE}--prod", Queue="theirs")

    back = service.ask("rollback")

    assert back.outcome == "NeedsAttention"
    assert "is not this control plane's" in back.message
    assert service.traffic() == {"prod": {"A": "one", "B": "one"}}
    assert (theirs.status, theirs.resources) == ("UPDATE_COMPLETE", {"Queue": "theirs"})
