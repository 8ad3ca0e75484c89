"""Services from templates beside everything else: teardowns, deploys of functions by their names, stages that only stand by."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.orphans import SweepSettings
from tests.unit.test_asl import TEMPLATE

from .adopting import owned
from .conftest import FromTemplate
from .templated import STAGE, Templated, actions, done
from .world import SERVICE, deploy_of, lambda_name

#: Of what releases and stacks are made, in the artifact bucket.
LASTING = ("templates/", "stacks/", "stack-templates/", "variables/")


@pytest.fixture
def service(from_template: FromTemplate) -> Templated:
    """prod has seen r1 and r2, dev serves r2."""
    return from_template("prod:one prod:two dev:two")


def by_name(service: Templated, text: str, **configuration: Any) -> dict[str, Any]:
    """The functions of a deploy that names them."""
    return {name: service.world.wish(name.lower(), text, **configuration) for name in service.functions}


# Teardown.


def with_a_url(service: Templated) -> None:
    service.resources["Address"] = {
        "Type": "AWS::Lambda::Url",
        "Metadata": STAGE,
        "Properties": {"TargetFunctionArn": {"Fn::GetAtt": ["A", "Arn"]}, "AuthType": "NONE"},
    }


def test_what_a_stages_own_stack_has_on_its_aliases_keeps_nobody_from_tearing_it_down(service: Templated) -> None:
    with_a_url(service)
    done(service.deploy("dev"))
    assert set(service.stack("dev")) == {"Call", "Feed", "Work", "Address"}

    done(service.ask("teardown", "dev"))

    assert (service.stack("dev"), set(service.traffic())) == ({}, {"prod"})


def test_a_url_of_the_stack_is_known_by_what_the_stack_was_made_of(service: Templated) -> None:
    """Its physical id says nothing: AWS does not promise that it is the function's ARN."""
    with_a_url(service)
    done(service.deploy("dev"))
    service.world.stacks.stacks[f"{SERVICE}--dev"].resources["Address"] = "https://abc.lambda-url.eu-central-1.on.aws/"

    assert done(service.ask("teardown", None, confirm=SERVICE, dry_run=True))["warnings"] == []
    assert done(service.ask("teardown", "dev", dry_run=True))["outcome"] == "planned"


def test_a_url_that_the_stack_should_have_and_has_not_is_a_strangers(service: Templated) -> None:
    with_a_url(service)
    done(service.deploy("dev"))
    del service.world.stacks.stacks[f"{SERVICE}--dev"].resources["Address"]

    assert service.ask("teardown", "dev").outcome == "StageInUse"


def test_a_url_of_the_stack_on_one_function_hides_no_strangers_on_another(service: Templated) -> None:
    """Not even where one function's name is how the other's begins."""
    service.functions["AB"] = "one"
    with_a_url(service)
    service.resources["Address"]["Properties"]["TargetFunctionArn"] = {"Fn::GetAtt": ["AB", "Arn"]}
    done(service.deploy("dev"))
    service.world.fake.quietly("CreateFunctionUrlConfig", FunctionName=lambda_name("a"), AuthType="NONE", Qualifier="dev")

    refused = service.ask("teardown", "dev")

    assert (refused.outcome, refused.cause["blockers"]) == ("StageInUse", [f"{service.world.arn('a')}:dev: a function URL"])


def a_permission(service: Templated) -> None:
    service.world.permit("b", "dev", sid="stranger", principal="s3.amazonaws.com")


def a_mapping(service: Templated) -> None:
    source = "arn:aws:sqs:eu-central-1:123456789012:theirs"
    target = f"{service.world.arn('b')}:dev"
    service.world.fake.quietly("CreateEventSourceMapping", FunctionName=target, EventSourceArn=source)


def a_url(service: Templated) -> None:
    service.world.fake.quietly("CreateFunctionUrlConfig", FunctionName=lambda_name("b"), AuthType="NONE", Qualifier="dev")


@pytest.mark.parametrize(("use", "word"), [(a_permission, "stranger"), (a_mapping, "event source mapping"), (a_url, "URL")])
def test_a_strangers_use_of_an_alias_refuses_before_the_stack_is_touched(service: Templated, use: Any, word: str) -> None:
    use(service)
    service.world.stacks.calls.clear()

    refused = service.ask("teardown", "dev")

    assert refused.outcome == "StageInUse"
    assert word in refused.message
    assert "Call" not in refused.message
    assert [name for name, _ in service.world.stacks.calls if not name.startswith(("Describe", "List"))] == []
    assert done(service.ask("teardown", "dev", confirm="dev"))["outcome"] == "succeeded"


def test_a_teardown_names_what_goes_with_each_stack_before_anybody_confirms(service: Templated) -> None:
    service.resources["Kept"] = {"Type": "AWS::SQS::Queue", "Metadata": STAGE, "DeletionPolicy": "Retain"}
    done(service.deploy("dev"))

    planned = done(service.ask("teardown", None, confirm=SERVICE, dry_run=True))

    reasons = {line["function"]: line["reason"] for line in planned["changes"] if line["action"] == "delete_stack"}
    told, stay = "the service is torn down, with all that is in it: ", "; by their DeletionPolicy these stay: Kept"
    assert reasons == {
        SERVICE: f"{told}Table, A, B",
        f"{SERVICE}--prod": f"{told}Work, Call, Feed",
        f"{SERVICE}--dev": f"{told}Work, Call, Feed{stay}",
    }


def test_a_service_whose_function_others_use_keeps_its_service_stack_and_says_so(service: Templated) -> None:
    service.world.fake.alias(lambda_name("a"), "stranger", "1")

    gone = done(service.ask("teardown", None, confirm=SERVICE))

    (warning,) = [each for each in gone["warnings"] if each.startswith(f"stack {SERVICE} stays")]
    assert "A:1" in warning
    assert "stranger" in warning
    assert set(service.stack()) == {"A", "B", "Table"}
    assert set(service.world.stacks.stacks) == {SERVICE}
    assert service.world.fake.aliases(lambda_name("a")) == {"stranger": "1"}


def test_what_stayed_of_a_service_is_put_back_by_a_deploy_that_fails(service: Templated) -> None:
    """It is the same stack, and what it was is still on record: nobody takes it for a new one that could be deleted."""
    service.world.fake.alias(lambda_name("a"), "stranger", "1")
    done(service.ask("teardown", None, confirm=SERVICE))
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"
    service.world.stacks.fail("Work", "CREATE")

    assert service.deploy().outcome == "Compensated"

    assert service.stack()["Table"]["BillingMode"] == "PAY_PER_REQUEST"
    assert service.world.fake.aliases(lambda_name("a")) == {"stranger": "1"}
    assert service.deploy().outcome == "succeeded"


# Deploys that name their functions.


def test_a_deploy_of_functions_leaves_the_stages_stack_and_its_template_as_they_are(service: Templated) -> None:
    done(service.deploy("dev", variables={"LEVEL": "debug"}))
    stack = service.stack("dev")
    service.world.stacks.calls.clear()

    done(service.world.begin(deploy_of("dev", by_name(service, "three"))).run())

    assert (service.serves("dev"), service.stack("dev")) == ({"A": "three", "B": "three"}, stack)
    assert service.world.stacks.calls == []
    assert service.deploy("prod").outcome in ("succeeded", "unchanged")
    cloned = done(service.ask("clone", "qa", **{"from": {"stage": "dev"}}))
    assert set(service.stack("qa")) == {"Call", "Feed", "Work"}
    assert "variables of stage dev are its own and were not taken along: LEVEL" in cloned["warnings"]


def test_after_a_deploy_of_functions_the_template_brings_its_own_code_back(service: Templated) -> None:
    done(service.world.begin(deploy_of("dev", by_name(service, "three"))).run())

    done(service.deploy("dev"))

    assert service.serves("dev") == {"A": "two", "B": "two"}


def test_a_rollback_from_a_template_to_a_release_without_one_leaves_the_stack_and_says_so(from_template: FromTemplate) -> None:
    service = from_template("")
    done(service.deploy(None))
    done(service.world.begin(deploy_of("prod", by_name(service, "two"))).run())
    done(service.deploy("prod"))
    stack = service.stack("prod")

    back = done(service.ask("rollback"))

    assert service.serves() == {"A": "two", "B": "two"}
    assert service.stack("prod") == stack
    assert any("orders--prod stays as it is" in warning for warning in back["warnings"])
    assert service.deploy("prod").outcome == "succeeded"


def test_a_reset_to_a_release_with_a_template_gives_the_stage_its_stack(service: Templated) -> None:
    done(service.world.begin(deploy_of("qa", by_name(service, "three"))).run())
    assert service.stack("qa") == {}

    done(service.ask("reset", "qa", to={"stage": "prod"}))

    assert (set(service.stack("qa")), service.serves("qa")) == ({"Call", "Feed", "Work"}, {"A": "two", "B": "two"})


def test_a_function_that_left_the_service_stack_refuses_a_rollback_unless_it_may_be_missing(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    del service.functions["B"], service.resources["Feed"]
    service.say("two")
    done(service.deploy())
    traffic = service.traffic()

    refused = service.ask("rollback")

    assert (refused.outcome, service.traffic()) == ("FunctionNotFound", traffic)
    back = service.ask("rollback", allow_missing=True)
    # The stage's half of that template has a trigger for it, which cannot be.
    assert (back.outcome, service.serves()) == ("NeedsAttention", {"A": "one"})
    assert "function B" in back.message


# Aliases that were there before, and stages that are only looked at.


def adopted(service: Templated) -> None:
    service.world.fake.alias(lambda_name("b"), "old", "1")
    named = {"B": {"function_name": lambda_name("b")}}
    done(service.world.begin({"operation": "adopt", "functions": named, "stages": ["old"]}).run())


def deployed_by_another_name(service: Templated) -> None:
    named = {"worker": service.world.wish("b", "one")}
    done(service.world.begin(deploy_of("old", named)).run())


@pytest.mark.parametrize("make", [adopted, deployed_by_another_name])
def test_a_function_that_a_stage_without_a_template_serves_stays_whatever_that_calls_it(service: Templated, make: Any) -> None:
    make(service)
    del service.functions["B"], service.resources["Feed"]
    for stage in ("dev", "prod"):
        done(service.deploy(stage))
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"

    done(service.deploy("prod"))

    assert set(service.stack()) == {"A", "B", "Table"}
    assert service.world.fake.aliases(lambda_name("b")) == {"old": "1"}
    done(service.ask("teardown", "old"))
    service.say("three")
    done(service.deploy("prod"))
    done(service.deploy("dev"))
    assert set(service.stack()) == {"A", "Table"}


def test_a_stage_that_a_stack_of_others_owns_is_not_deployed_to(service: Templated) -> None:
    service.world.fake.alias(lambda_name("a"), "theirs", "1")
    owned(service.world, "their-stack", "theirs", "a")
    adopting = {"operation": "adopt", "functions": {"A": {"function_name": lambda_name("a")}}, "stages": ["theirs"]}
    done(service.world.begin(adopting).run())
    stage = service.world.stage("theirs")
    assert stage is not None
    assert stage.observed == "their-stack"
    service.world.stacks.calls.clear()

    refused = service.deploy("theirs")

    assert refused.outcome == "AliasOwnedElsewhere"
    assert [name for name, _ in service.world.stacks.calls if not name.startswith(("Describe", "List"))] == []
    assert service.serves("theirs") == {"A": "one"}


# Operations that know nothing of templates.


def test_verify_agrees_after_every_kind_of_movement(service: Templated) -> None:
    assert service.ask("verify", None).outcome == "unchanged"
    done(service.ask("rollback"))
    done(service.ask("clone", "qa", **{"from": {"stage": "dev"}}))
    assert service.ask("verify", None).outcome == "unchanged"
    service.world.fake.alias(lambda_name("a"), "dev", "1")
    assert service.ask("verify", None).outcome == "Drifted"


def test_settings_change_neither_stack_nor_variables(service: Templated) -> None:
    done(service.deploy("dev", variables={"LEVEL": "debug"}))
    stack = service.stack("dev")

    done(service.ask("configure", "dev", settings={"protected": True}))

    assert (service.deploy("dev").outcome, service.stack("dev")) == ("unchanged", stack)
    assert service.ask("teardown", "dev").outcome == "StageProtected"
    assert service.stack("dev") == stack


def test_a_sweep_leaves_what_stages_serve_and_every_stack(service: Templated) -> None:
    stacks = {name: service.stack(name) for name in (None, "prod", "dev")}
    service.world.clock.sleep(30 * 24 * 3600.0)
    service.world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=3600.0)

    swept = done(service.world.begin({"operation": "sweep", "mode": "delete"}).run())

    assert [(entry["function"], entry["version"]) for entry in swept["sweep"]["deleted"]] == [("A", "1"), ("B", "1")]
    assert {name: service.stack(name) for name in (None, "prod", "dev")} == stacks
    assert service.deploy("dev").outcome == "unchanged"


def test_a_release_whose_versions_were_swept_is_deployed_from_its_template_again(service: Templated) -> None:
    service.world.clock.sleep(30 * 24 * 3600.0)
    service.world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=3600.0)
    done(service.world.begin({"operation": "sweep", "mode": "delete"}).run())
    assert service.ask("reset", to={"release": 1}).outcome == "VersionMissing"
    service.say("one")

    again = done(service.deploy())

    assert (again["release"], service.serves()) == (1, {"A": "one", "B": "one"})


def test_what_old_releases_are_made_of_never_expires(service: Templated) -> None:
    done(service.deploy("dev", variables={"LEVEL": "debug"}))
    written = {key.partition("/")[0] + "/" for key in service.world.bodies()}
    assert written >= set(LASTING)

    rules = TEMPLATE["Resources"]["ArtifactBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]

    expiring = [rule.get("Prefix", "") for rule in rules if "ExpirationInDays" in rule]
    assert expiring
    assert [(prefix, lasting) for prefix in expiring for lasting in LASTING if lasting.startswith(prefix)] == []


def test_an_old_release_finds_its_template_again(service: Templated) -> None:
    for seconds in (60, 90):
        service.resources["Work"]["Properties"]["VisibilityTimeout"] = seconds
        done(service.deploy("dev"))
    service.say("three")
    done(service.deploy("dev"))

    back = done(service.ask("rollback", "dev", to={"steps": 2}))

    assert "update_stack" in actions(back)
    assert (service.stack("dev")["Work"]["VisibilityTimeout"], service.serves("dev")) == (60, {"A": "two", "B": "two"})
