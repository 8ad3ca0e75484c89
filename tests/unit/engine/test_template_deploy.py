"""What a deploy of a template does, and in which order; what it leaves alone, and what a dry run tells of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest

from .conftest import FromTemplate
from .execution import Execution
from .templated import STAGE, SavedService, Templated, actions, done
from .wire import Sent
from .world import SERVICE, World, lambda_name

Change = Callable[[Templated], object]

#: How a deploy begins whose service stack is changed.
FIRST = ["Accept", "Lock", "Plan", "Stacks", "Plan"]


@pytest.fixture
def new(from_template: FromTemplate) -> Templated:
    """A template that was never deployed, in an empty account."""
    return from_template("")


@pytest.fixture
def service(from_template: FromTemplate) -> Templated:
    """Stages prod and dev serve the first release of functions A and B."""
    return from_template("prod:one dev:one")


def visited(execution: Execution) -> list[str]:
    return [state for state, _ in groupby(execution.visited)]


def change_of_code(service: Templated) -> None:
    service.say("two")


def change_of_what_is_shared(service: Templated) -> None:
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"


def change_of_what_is_the_stages(service: Templated) -> None:
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90


def drop_of_what_is_shared(service: Templated) -> None:
    del service.resources["Table"]


def drop_of_a_function(service: Templated) -> None:
    del service.functions["B"], service.resources["Feed"]


def drop_of_all_that_is_the_stages(service: Templated) -> None:
    for name in ("Work", "Feed", "Call"):
        del service.resources[name]


def new_function(service: Templated) -> None:
    service.functions["C"] = "one"


@pytest.mark.parametrize(
    ("change", "stage", "states"),
    [
        (change_of_code, "dev", [*FIRST, "Publish", "Move", "Commit"]),
        (change_of_code, None, [*FIRST, "Publish", "Commit"]),
        (change_of_what_is_shared, "dev", [*FIRST, "Publish", "Commit"]),
        (change_of_what_is_the_stages, "dev", ["Accept", "Lock", "Plan", "Publish", "Move", "Stacks", "Move", "Commit"]),
        (new_function, "dev", [*FIRST, "Publish", "Move", "Commit"]),
        # All stages declare it until this one has let go.
        (drop_of_what_is_shared, "dev", ["Accept", "Lock", "Plan", "Publish", "Commit"]),
        # What is gone cannot be put back.
        (
            drop_of_all_that_is_the_stages,
            "dev",
            ["Accept", "Lock", "Plan", "Publish", "Commit", "Stacks", "CleanUp"],
        ),
        (lambda _: None, "dev", ["Accept", "Lock", "Plan"]),
        (lambda _: None, "qa", ["Accept", "Lock", "Plan", "Publish", "Move", "Stacks", "Move", "Commit"]),
    ],
)
def test_it_goes_through_the_states_that_its_change_needs(
    service: Templated, change: Change, stage: str | None, states: list[str]
) -> None:
    change(service)

    deploy = service.deploy(stage)

    assert done(deploy)["outcome"] == ("unchanged" if len(states) == 3 else "succeeded")
    assert visited(deploy) == states


@pytest.mark.parametrize(
    ("change", "after_commit"),
    [
        (drop_of_what_is_shared, ["CleanUp", "Lock", "Stacks"]),
        (drop_of_a_function, ["CleanUp", "Lock", "Stacks"]),
    ],
)
def test_what_nobody_declares_any_more_goes_after_the_commit(
    from_template: FromTemplate, change: Change, after_commit: list[str]
) -> None:
    service = from_template("prod:one")
    change(service)

    deploy = service.deploy()

    assert visited(deploy)[-4:] == ["Commit", *after_commit]
    assert set(service.stack()) == {"A", "B", "Table"} - {"B" if change is drop_of_a_function else "Table"}


def effects(service: Templated) -> list[str]:
    """What was done to AWS and to the record, in order, repetitions left out."""
    found = [word for sent in service.world.wire.sent if (word := _word(sent)) is not None]
    return [word for word, _ in groupby(found)]


def _word(sent: Sent) -> str | None:
    name = sent.name.partition(".")[2]
    if name in ("ExecuteChangeSet", "DeleteStack"):
        return f"{name} {SERVICE}--prod" if f"{SERVICE}--prod" in sent.body else f"{name} {SERVICE}"
    if name in ("PublishVersion", "UpdateFunctionCode", "CreateAlias", "UpdateAlias", "DeleteAlias"):
        return name
    return "commit" if name == "TransactWriteItems" and "MOVEMENT#" in sent.body else None


def test_a_new_stage_has_its_aliases_before_its_stack(new: Templated) -> None:
    done(new.deploy())

    assert effects(new) == [
        "ExecuteChangeSet orders",
        "PublishVersion",
        "CreateAlias",
        "ExecuteChangeSet orders--prod",
        "commit",
    ]


def test_an_existing_stages_traffic_moves_when_both_stacks_are_there_and_what_goes_goes_last(
    from_template: FromTemplate,
) -> None:
    """Service stack, publish, aliases made, stage stack, aliases moved, commit, dropped aliases, dropped functions."""
    service = from_template("prod:one")
    drop_of_a_function(service)
    service.functions |= {"A": "two", "C": "two"}
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90

    done(service.deploy())

    assert effects(service) == [
        "ExecuteChangeSet orders",
        "PublishVersion",
        "CreateAlias",
        "ExecuteChangeSet orders--prod",
        "UpdateAlias",
        "commit",
        "DeleteAlias",
        "ExecuteChangeSet orders",
    ]
    assert service.traffic() == {"prod": {"A": "two", "C": "two"}}


def test_a_stages_own_resources_are_its_own_and_point_at_its_aliases(service: Templated) -> None:
    prod, dev = service.stack("prod"), service.stack("dev")

    for stack, stage in ((prod, "prod"), (dev, "dev")):
        assert stack["Call"]["FunctionName"] == f"{service.world.arn('a')}:{stage}"
        assert stack["Feed"]["FunctionName"] == f"{service.world.arn('b')}:{stage}"
    assert prod["Feed"]["EventSourceArn"] != dev["Feed"]["EventSourceArn"]


def test_without_a_stage_there_is_a_release_and_no_alias(new: Templated) -> None:
    output = done(new.deploy(None))

    assert (output["stage"], output["release"], output["previous_release"]) == (None, 1, None)
    assert (set(new.stack()), new.traffic()) == ({"A", "B", "Table"}, {})
    assert new.world.held() == {}


def test_a_service_may_have_one_function_and_nothing_else(new: Templated) -> None:
    new.functions, new.body["Resources"] = {"A": "one"}, {}

    done(new.deploy())

    assert (set(new.stack()), new.traffic()) == ({"A"}, {"prod": {"A": "one"}})
    assert list(new.world.stacks.stacks) == [SERVICE]
    assert new.deploy().outcome == "unchanged"


def test_a_template_without_a_function_is_refused(new: Templated) -> None:
    new.functions = {}
    for name in ("Feed", "Call"):
        del new.resources[name]

    refused = new.deploy()

    assert (refused.outcome, new.world.stacks.stacks) == ("InvalidRequest", {})
    assert "no function" in refused.message


@pytest.mark.parametrize(
    ("change", "changed_stacks", "published"),
    [
        (lambda _: None, [], 0),
        (change_of_code, ["orders"], 2),
        (change_of_what_is_shared, ["orders"], 0),
        (change_of_what_is_the_stages, ["orders--prod"], 0),
        (new_function, ["orders"], 1),
    ],
)
def test_only_the_stack_that_differs_is_changed_and_only_new_content_is_published(
    service: Templated, change: Change, changed_stacks: list[str], published: int
) -> None:
    change(service)
    before = len(service.world.stacks.calls)

    deploy = done(service.deploy())

    asked = service.world.stacks.calls[before:]
    made = [request["StackName"] for name, request in asked if name == "CreateChangeSet"]
    assert [stack.split("/")[1] for stack in made] == changed_stacks
    assert actions(deploy).count("publish") == published


def test_an_unchanged_template_costs_one_look_at_each_stack(service: Templated) -> None:
    service.world.stacks.calls.clear()

    assert service.deploy().outcome == "unchanged"

    asked = [name for name, _ in service.world.stacks.calls]
    assert [name for name in asked if name not in ("DescribeStacks", "ListStackResources")] == []
    assert asked.count("DescribeStacks") == 2


def test_fifty_functions_without_a_change_ask_cloudformation_for_none(new: Templated) -> None:
    new.functions = {f"F{number:02}": "one" for number in range(50)}
    new.body["Resources"] = {}
    done(new.deploy())
    new.world.stacks.calls.clear()

    assert new.deploy().outcome == "unchanged"

    assert {name for name, _ in new.world.stacks.calls} <= {"DescribeStacks", "ListStackResources"}


# Variables.


def with_level(service: Templated) -> Templated:
    service.body["Parameters"]["Level"] = {"Type": "String", "Default": "info"}
    service.resources["Topic"] = {
        "Type": "AWS::SNS::Topic",
        "Metadata": STAGE,
        "Properties": {"DisplayName": {"Ref": "Level"}},
    }
    return service


def test_a_changed_variable_publishes_nothing_and_changes_its_stages_stack_alone(new: Templated) -> None:
    service = with_level(new)
    for stage in ("prod", "dev"):
        done(service.deploy(stage, variables={"Level": "warning"}))
    releases = service.world.releases()
    service.world.stacks.calls.clear()

    deploy = done(service.deploy("dev", variables={"Level": "debug"}))

    assert (actions(deploy), deploy["release"], service.world.releases()) == (["update_stack"], 1, releases)
    assert [service.stack(stage)["Topic"]["DisplayName"] for stage in ("prod", "dev")] == ["warning", "debug"]
    (parameter,) = [made for made in service.stack("dev").values() if "Value" in made]
    assert (parameter["Name"], parameter["Value"]) == ("/stagekeeper/orders/dev/Level", "debug")
    stacks = [request["StackName"] for _, request in service.world.stacks.calls if "ChangeSetName" in request]
    assert {name.split("/")[1] for name in stacks} == {"orders--dev"}


@pytest.mark.parametrize(("given", "level"), [({}, "debug"), ({"variables": {}}, "info")])
def test_variables_stay_until_others_are_given(new: Templated, given: dict[str, Any], level: str) -> None:
    service = with_level(new)
    done(service.deploy(variables={"Level": "debug"}))
    service.say("two")

    done(service.deploy(**given))

    assert service.stack("prod")["Topic"]["DisplayName"] == level


def test_a_variable_cannot_be_one_of_what_all_share(new: Templated) -> None:
    new.resources["Table"]["Properties"]["TableName"] = {"Ref": "Days"}

    refused = new.deploy(variables={"Days": "3"})

    assert (refused.outcome, new.world.stacks.stacks) == ("InvalidRequest", {})
    assert "Days" in refused.message


# Dry runs.


def with_everything_changed(service: Templated) -> Templated:
    """Of what is shared one thing changes, one goes that another stage has, and one that nobody has."""
    change_of_code(service)
    change_of_what_is_shared(service)
    change_of_what_is_the_stages(service)
    del service.resources["Log"], service.resources["Topic"]
    return service


@pytest.fixture(scope="module")
def saved_with_both() -> SavedService:
    """prod declares a log group beside; dev that, too, and a topic of which prod knows nothing."""
    service = Templated.nowhere()
    service.resources["Log"] = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "orders-log"}}
    done(service.deploy())
    service.resources["Topic"] = {"Type": "AWS::SNS::Topic"}
    done(service.deploy("dev"))
    return service.save()


@pytest.fixture
def both_shared(saved_with_both: SavedService, worlds: list[World]) -> Templated:
    service = Templated.restored(saved_with_both)
    worlds.append(service.world)
    return service


def test_a_dry_run_names_what_becomes_of_stacks_and_of_what_is_shared(both_shared: Templated) -> None:
    with_everything_changed(both_shared)

    planned = done(both_shared.deploy("dev", dry_run=True))

    lines = {line["function"]: line for line in planned["changes"] if line["function"] not in ("A", "B")}
    assert {name: line["action"] for name, line in lines.items()} == {
        "orders": "update_stack",
        "orders--dev": "update_stack",
        "Table": "change_shared",
        "Log": "keep_shared",
        "Topic": "delete_shared",
    }
    assert "stage prod declared it differently" in lines["Table"]["reason"]
    assert "stage prod declares it" in lines["Log"]["reason"]
    assert both_shared.deploy("dev").outcome == "succeeded"


def test_a_dry_run_of_a_new_service_names_its_functions_and_what_is_in_both_stacks(new: Templated) -> None:
    planned = done(new.deploy(dry_run=True))

    assert [(line["function"], line["action"]) for line in planned["changes"]] == [
        ("A", "publish"),
        ("B", "publish"),
        ("orders", "create_stack"),
        ("orders--prod", "create_stack"),
    ]
    shared, own = (line["reason"] for line in planned["changes"][2:])
    assert shared == "what all stages share is made: Table, A, B"
    assert own == "what the stage has of its own: Work, Feed, Call"


DRY: dict[str, Callable[[Templated], Execution]] = {
    "deploy of everything": lambda service: with_everything_changed(service).deploy("dev", dry_run=True),
    "deploy to a new stage": lambda service: service.deploy("qa", dry_run=True, variables={"A": "b"}),
    "deploy without a stage": lambda service: service.deploy(None, dry_run=True),
    "deploy of nothing new": lambda service: service.deploy("dev", dry_run=True),
    "reset": lambda service: service.ask("reset", "prod", to={"stage": "dev"}, dry_run=True),
    "clone": lambda service: service.ask("clone", "qa", **{"from": {"stage": "dev"}}, dry_run=True),
    "teardown": lambda service: service.ask("teardown", "dev", dry_run=True),
    "teardown of the service": lambda service: service.ask("teardown", None, confirm=SERVICE, dry_run=True),
}


@pytest.mark.parametrize("kind", DRY)
def test_a_dry_run_writes_nothing(both_shared: Templated, kind: str) -> None:
    world = both_shared.world
    state, bodies, items = world.fake.state(revisions=True), set(world.bodies()), world.items()
    world.stacks.calls.clear()

    assert DRY[kind](both_shared).outcome == "planned"

    assert world.fake.state(revisions=True) == state
    assert (set(world.bodies()), world.items()) == (bodies, items)
    assert changed_stacks(both_shared) == []


# What is found out before any effect.


@pytest.mark.parametrize("deploys", ["", "prod:one"])
def test_code_that_is_not_there_is_missed_before_anything_is_done(from_template: FromTemplate, deploys: str) -> None:
    """CloudFormation would find out in the middle."""
    service = from_template(deploys)
    service.world.stacks.calls.clear()
    text = service.text().replace("code/a/one.zip", "code/a/none.zip")
    place = service.world.put_template(text)

    refused = service.world.begin({"operation": "deploy", "stage": "prod", "template": place}).run()

    assert refused.outcome == "ArtifactMissing"
    assert "code/a/none.zip" in refused.message
    assert changed_stacks(service) == []


def test_drift_is_found_before_the_service_stack_is_touched(service: Templated) -> None:
    service.say("two")
    done(service.deploy("dev"))
    service.world.fake.alias(lambda_name("a"), "dev", "1")
    service.say("three")
    service.world.stacks.calls.clear()

    refused = service.deploy("dev")

    assert (refused.outcome, changed_stacks(service)) == ("Drifted", [])
    assert service.deploy("dev", on_drift="overwrite").outcome == "succeeded"
    assert service.serves("dev") == {"A": "three", "B": "three"}


def test_a_stage_that_moved_since_somebody_looked_is_left_alone(service: Templated) -> None:
    service.say("two")
    service.world.stacks.calls.clear()

    assert service.deploy("dev", if_release=7).outcome == "StageMoved"

    assert changed_stacks(service) == []


def changed_stacks(service: Templated) -> list[str]:
    """What CloudFormation was asked to do."""
    return [name for name, _ in service.world.stacks.calls if not name.startswith(("Describe", "List"))]
