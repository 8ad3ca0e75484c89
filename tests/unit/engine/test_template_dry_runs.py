"""A dry run of a deploy from a template says what the deploy then does, or that only the deploy will tell: nothing untrue."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import FromTemplate
from .templated import STAGE, Templated, done


@pytest.fixture
def service(from_template: FromTemplate) -> Templated:
    """Stages prod and dev serve the first release of functions A and B."""
    return from_template("prod:one dev:one")


def said(output: dict[str, Any]) -> set[tuple[str, str]]:
    return {(line["function"], line["action"]) for line in output["changes"]}


def reason(output: dict[str, Any], name: str, action: str = "update_stack") -> str:
    (line,) = [line for line in output["changes"] if (line["function"], line["action"]) == (name, action)]
    return str(line["reason"])


def of_a_line(service: Templated) -> None:
    service.functions["A"] = "two"


def of_a_line_and_of_the_stages_queue(service: Templated) -> None:
    service.functions["A"] = "two"
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90


def of_the_shared_table(service: Templated) -> None:
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"


@pytest.mark.parametrize("change", [of_a_line, of_a_line_and_of_the_stages_queue, of_the_shared_table])
def test_what_is_known_before_is_what_is_done(service: Templated, change: Any) -> None:
    change(service)

    planned = done(service.deploy("dev", dry_run=True))
    deployed = done(service.deploy("dev"))

    assert said(planned) == said(deployed)
    assert (planned["release"], planned["previous_release"]) == (deployed["release"], deployed["previous_release"])
    assert planned["warnings"] == deployed["warnings"] == []


def test_a_changed_line_of_code_says_nothing_of_the_stages_stack(service: Templated) -> None:
    of_a_line(service)

    planned = done(service.deploy("dev", dry_run=True))

    assert said(planned) == {("A", "publish"), ("A", "move_alias"), ("orders", "update_stack")}


def test_of_the_stages_stack_only_what_differs_is_named(service: Templated) -> None:
    of_a_line_and_of_the_stages_queue(service)

    assert reason(done(service.deploy("dev", dry_run=True)), "orders--dev") == "what the stage has of its own: Work"


def test_a_stack_of_the_stage_that_is_to_go_is_said_to_go(service: Templated) -> None:
    of_a_line(service)
    for name in ("Work", "Feed", "Call"):
        del service.resources[name]

    planned, deployed = done(service.deploy("dev", dry_run=True)), done(service.deploy("dev"))

    assert ("orders--dev", "delete_stack") in said(planned) & said(deployed)
    assert "with all that is in it: Work" in reason(planned, "orders--dev", "delete_stack")
    assert any(warning.startswith("Work leaves stack orders--dev") for warning in planned["warnings"])


@pytest.fixture
def with_mail(service: Templated) -> Templated:
    """The stages' stacks take the table's name from the service stack."""
    service.resources["Mail"] = {
        "Type": "AWS::SNS::Topic",
        "Metadata": STAGE,
        "Properties": {"DisplayName": {"Fn::GetAtt": ["Table", "Arn"]}},
    }
    done(service.deploy("dev"))
    return service


def test_what_comes_from_a_service_stack_that_changes_is_said_to_be_known_later_in_one_line(with_mail: Templated) -> None:
    of_the_shared_table(with_mail)

    planned = done(with_mail.deploy("dev", dry_run=True))

    assert reason(planned, "orders--dev") == "whether anything of it differs is known once the service stack is changed"


def test_what_leaves_the_stages_stack_is_known_before_its_values_are(with_mail: Templated) -> None:
    of_the_shared_table(with_mail)
    for name in ("Work", "Feed"):
        del with_mail.resources[name]

    planned = done(with_mail.deploy("dev", dry_run=True))

    assert reason(planned, "orders--dev") == "what the stage has of its own: Feed, Work"
    assert [each.split(":")[0] for each in planned["warnings"]] == ["Work leaves stack orders--dev"]


def test_what_comes_from_a_service_stack_whose_code_alone_changes_is_known(with_mail: Templated) -> None:
    of_a_line(with_mail)

    assert ("orders--dev", "update_stack") not in said(done(with_mail.deploy("dev", dry_run=True)))


# Functions that the service stack configures.


@pytest.fixture
def with_level(service: Templated) -> Templated:
    """Function A has a parameter's value in its environment; dev and prod serve that."""
    service.body["Parameters"]["Level"] = {"Type": "String", "Default": "info"}
    service.more = {"A": {"Environment": {"Variables": {"LEVEL": {"Ref": "Level"}}}}}
    for stage in ("prod", "dev"):
        done(service.deploy(stage))
    return service


def test_a_changed_parameter_publishes_only_the_functions_that_take_it(with_level: Templated) -> None:
    planned = done(with_level.deploy("dev", parameters={"Level": "debug"}, dry_run=True))
    deployed = done(with_level.deploy("dev", parameters={"Level": "debug"}))

    assert {name for name, action in said(planned) if action == "publish"} == {"A"}
    assert {name for name, action in said(deployed) if action == "publish"} == {"A"}


def test_what_is_configured_anew_has_one_line_whatever_else_changes(with_level: Templated) -> None:
    with_level.functions["A"] = "two"

    planned = done(with_level.deploy("dev", parameters={"Level": "debug"}, dry_run=True))

    assert [(line["function"], line["action"]) for line in planned["changes"] if line["function"] == "A"] == [("A", "publish")]


def test_what_is_configured_anew_is_not_said_to_move_onto_what_is_there_now(with_level: Templated) -> None:
    """prod serves the new code already, made with the parameter's earlier value."""
    with_level.functions["A"] = "two"
    done(with_level.deploy("prod"))

    planned = done(with_level.deploy("dev", parameters={"Level": "debug"}, dry_run=True))

    assert [(line["function"], line["action"]) for line in planned["changes"] if line["function"] == "A"] == [("A", "publish")]


def test_a_service_whose_stack_is_to_be_made_again_does_not_foretell_its_release(service: Templated) -> None:
    done(service.ask("teardown", None, confirm="orders"))

    assert done(service.deploy("dev", dry_run=True))["release"] is None


def test_the_release_that_only_the_deploy_will_tell_is_not_foretold(with_level: Templated) -> None:
    """Back on the parameter's earlier value, the deploy finds an earlier release."""
    before = done(with_level.deploy("dev", parameters={"Level": "info"}))["release"]
    done(with_level.deploy("dev", parameters={"Level": "debug"}))

    planned = done(with_level.deploy("dev", parameters={"Level": "info"}, dry_run=True))
    deployed = done(with_level.deploy("dev", parameters={"Level": "info"}))

    assert (planned["release"], planned["previous_release"]) == (None, before + 1)
    assert deployed["release"] == before


def test_a_function_that_may_come_out_the_same_is_not_said_to_be_published(service: Templated) -> None:
    service.more = {"A": {"Environment": {"Variables": {"TABLE": {"Ref": "Table"}}}}}
    done(service.deploy("dev"))
    of_the_shared_table(service)

    planned = done(service.deploy("dev", dry_run=True))
    deployed = done(service.deploy("dev"))

    assert ("A", "publish") not in said(planned) | said(deployed)
    assert planned["release"] is None
    assert planned["warnings"] == [
        "whether there is a new version of A is known once the service stack is changed: what they refer to changes there, but "
        "they may come out the same"
    ]


def test_of_a_new_function_nothing_is_known_but_that_it_comes(service: Templated) -> None:
    service.functions["C"] = "one"

    planned = done(service.deploy("dev", dry_run=True))

    assert (said(planned), planned["release"]) == ({("C", "publish"), ("orders", "update_stack")}, None)


def test_the_first_release_is_the_first_whatever_is_in_it(from_template: FromTemplate) -> None:
    assert done(from_template("").deploy(dry_run=True))["release"] == 1
