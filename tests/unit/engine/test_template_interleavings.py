"""Template operations beside one another, late or cut off: nobody loses what a stage serves, or is being brought to.

Each of these went wrong once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from stagekeeper.aws.bodies import Bodies
from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.model import ServiceName
from stagekeeper.engine.acquire import acquire

from .conftest import FromTemplate
from .execution import Execution
from .templated import Templated, done
from .test_template_shared import without
from .wire import Sent
from .world import SERVICE

TABLE: dict[str, Any] = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "more"}}


def reads_a_stacks_content(sent: Sent) -> bool:
    return sent.name == "s3.GetObject" and "/stacks/" in sent.path


def physical(service: Templated, stage: str) -> dict[str, str]:
    service.world.stacks.finish()
    return dict(service.world.stacks.stacks[f"{SERVICE}--{stage}"].resources)


def test_a_deploy_takes_nothing_from_the_service_stack_before_it_cleans_up(from_template: FromTemplate) -> None:
    """B is nobody's while jane's deploy is planned, and prod's again before its stack changes."""
    service = from_template("prod:one dev:one")
    without(service, "B")
    service.say("two")
    done(service.deploy("prod"))
    done(service.ask("teardown", "dev"))
    jane = service.begin("jane").run_to("Stacks")
    done(service.ask("rollback", "prod"))

    jane.run()

    assert service.serves("prod") == {"A": "one", "B": "one"}


def test_a_deploy_that_fails_has_taken_nothing_that_a_way_back_needs(from_template: FromTemplate) -> None:
    service = from_template("prod:one dev:one")
    without(service, "B")
    without(service, "Table")
    service.say("two")
    done(service.deploy("prod"))
    done(service.ask("teardown", "dev"))
    service.world.stacks.fail("Work", "CREATE")

    assert service.deploy("jane").outcome == "Compensated"

    assert service.ask("rollback", "prod").outcome == "succeeded"


def test_cleaning_up_leaves_what_a_rollback_on_its_way_goes_back_to(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    service.say("two")
    without(service, "Table")
    running = service.begin("prod").run_to("CleanUp")
    running.step()
    back = service.world.begin({"operation": "rollback", "stage": "prod"}).run_to("Commit")

    running.run()

    assert (back.run().outcome, running.outcome) == ("succeeded", "succeeded")
    assert "Table" in service.stack()


def test_cleaning_up_leaves_everything_while_somebody_has_not_decided_yet(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    service.say("two")
    without(service, "Table")
    running = service.begin("prod").run_to("CleanUp")
    running.step()
    back = service.world.begin({"operation": "rollback", "stage": "prod"}).run_to("Plan")

    running.run()

    assert back.run().outcome == "succeeded"
    assert "Table" in service.stack()


def test_putting_the_service_stack_back_leaves_what_another_stage_was_reset_to_meanwhile(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    service.functions["C"] = "one"
    service.say("two")
    service.world.stacks.fail("Work", "CREATE")
    dev = service.begin("dev").run_to("Publish").run_to("Stacks")
    done(service.ask("reset", "prod", to={"release": 2}))
    before = service.serves("prod")

    assert dev.run().outcome == "NeedsAttention"

    assert service.serves("prod") == before
    assert "C" in service.stack()


def test_the_template_is_that_of_the_first_look_whatever_lies_there_by_now(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    service.say("two")
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"
    place = service.world.put_template(service.text(), "shop.yaml")
    running = service.world.begin({"operation": "deploy", "stage": "prod", "template": place}).run_to("Stacks")
    service.say("three")
    service.resources["More"] = TABLE
    service.world.put_template(service.text(), "shop.yaml")

    assert running.run().outcome == "succeeded"

    stage = service.world.stage("prod")
    assert stage is not None
    assert stage.release is not None
    release = service.world.deps.store.release(ServiceName(SERVICE), stage.release)
    assert release is not None
    assert release.template is not None
    template = Bodies(service.world.deps.artifacts).template(release.template.key)
    assert service.serves("prod") == {"A": "two", "B": "two"}
    assert "More" not in template.service["Resources"]


def teardown_of_dev(from_template: FromTemplate) -> Execution:
    service = from_template("prod:one dev:one")
    return service.world.begin({"operation": "teardown", "stage": "dev"})


def deploy_that_drops_a_function(from_template: FromTemplate) -> Execution:
    service = from_template("prod:one")
    without(service, "B")
    service.say("two")
    return service.begin("prod")


@pytest.mark.parametrize("begin", [teardown_of_dev, deploy_that_drops_a_function])
def test_a_late_worker_of_the_lock_gets_nothing_that_was_let_go_of(
    from_template: FromTemplate, begin: Callable[[FromTemplate], Execution]
) -> None:
    running = begin(from_template).run_to("Lock")
    world = running.world
    late = world.deps.journal.reread(running.carrier)
    running.run_to("Plan").run_to("Lock")

    with pytest.raises(Superseded):
        world.deps.journal.ask_for_lock(late, frozenset({"stage:dev"}))

    assert world.held() == {}
    acquire(world.deps, running.carrier)
    assert world.held()[running.name] == {"collect"}


def test_a_clean_up_that_fails_leaves_the_stage_that_it_let_go_of_alone(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    service.say("two")
    without(service, "Table")
    running = service.begin("prod").run_to("CleanUp").run_to("Lock")
    back = service.world.begin({"operation": "rollback", "stage": "prod"}).run_to("Commit")
    running.fail_state("Lock", "HandlerError")

    assert running.run().outcome == "NeedsAttention"

    assert back.run().outcome == "succeeded"
    assert service.serves("prod") == {"A": "one", "B": "one"}


def test_a_stage_stack_goes_only_when_traffic_has_moved(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    before = physical(service, "prod")
    for name in ("Work", "Feed", "Call"):
        del service.resources[name]
    service.say("two")
    service.world.wire.fail("lambda.UpdateAlias", "AccessDeniedException", 403, on_call=1)

    assert service.deploy("prod").outcome == "Compensated"

    assert physical(service, "prod") == before


def test_a_release_whose_shared_half_is_not_there_is_told(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    service.say("two")
    service.resources["More"] = TABLE
    service.world.stacks.fail("Work", "CREATE")
    service.deploy("dev")

    output = done(service.ask("reset", "prod", to={"release": 2}))

    assert any("r2 declares what the service stack does not have any more: More" in warning for warning in output["warnings"])


@pytest.mark.parametrize("fault", ["no answer", "no content"])
def test_a_way_back_that_never_works_ends_and_lets_go(from_template: FromTemplate, fault: str) -> None:
    service = from_template("prod:one")
    service.say("two")
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    service.world.stacks.fail("Work", "UPDATE")
    running = service.begin("prod").run_to("Compensate")
    if fault == "no answer":
        service.world.wire.fail("cloudformation.CreateChangeSet", None, on_call=0)
    else:
        service.world.wire.fail(
            lambda sent: sent.name == "s3.GetObject" and "/stacks/" in sent.path, "AccessDenied", 403, on_call=0
        )

    assert running.run().outcome == "NeedsAttention"

    assert "stack orders" in " ".join(running.cause["blockers"])
    assert service.world.held() == {}
    service.world.wire.mend()


def test_a_worker_that_dies_before_the_stage_is_marked_is_followed(from_template: FromTemplate) -> None:
    service = from_template("prod:one dev:one")
    running = service.world.begin({"operation": "teardown", "stage": "dev"}).run_to("Plan")
    service.world.wire.kill(
        lambda sent: sent.name == "dynamodb.TransactWriteItems" and '"tearing_down": {"BOOL": true}' in sent.body
    )

    running.run()
    service.world.run_started()

    assert running.outcome == "succeeded"


def test_what_is_left_of_a_stack_that_never_came_to_be_goes_with_the_service(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    service.world.stacks.fail("Feed", "CREATE")
    service.world.stacks.fail("Work", "DELETE", times=None)
    assert service.deploy("qa").outcome == "NeedsAttention"
    service.world.stacks.heal()

    done(service.ask("teardown", None, confirm=SERVICE))

    service.world.stacks.finish()
    assert not service.world.stacks.stacks


def test_functions_of_a_template_are_configured_there(from_template: FromTemplate) -> None:
    service = from_template("prod:one")
    wishes = {"A": service.world.wish("a", "two", Timeout=30), "B": service.world.wish("b", "two")}

    assert service.world.deploy("prod", wishes).outcome == "InvalidRequest"

    service.say("three")
    assert service.deploy("prod").outcome == "succeeded"


def test_what_nobody_declares_is_not_made_again_where_the_stack_was_deleted_by_hand(from_template: FromTemplate) -> None:
    service = from_template("")
    del service.resources["Table"]["Properties"]["TableName"]
    service.resources["Old"] = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "old"}}
    service.functions["C"] = "one"
    service.say("two")
    done(service.deploy("prod"))
    done(service.ask("teardown", "prod"))
    del service.world.stacks.stacks[SERVICE]
    for name in "abc":
        service.world.fake.quietly("DeleteFunction", FunctionName=f"orders-{name}")
    del service.functions["C"], service.resources["Old"]
    service.say("three")

    service.begin("dev").run_to("Stacks").run_to("Plan")

    assert service.stack().keys() == {"A", "B", "Table"}
