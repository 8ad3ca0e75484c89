"""A stack that fails: traffic and stacks are as they were, unless it was decided already; who did it and why is told; and the
next try works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.fake.stack_resources import Phase

from .conftest import FromTemplate
from .execution import Execution
from .templated import STAGES, Templated, done
from .world import SERVICE

REASON = "Somebody at AWS has pulled a plug."
#: Tells an operation to be done, and does it.
Told = Callable[[Templated], Execution]


@pytest.fixture
def service(from_template: FromTemplate) -> Templated:
    """prod has seen r1 and r2, dev serves r2."""
    return from_template("prod:one prod:two dev:two")


def stacks(service: Templated) -> dict[str, object]:
    """What the stacks have, and what our record says that they have."""
    names = [None, *STAGES]
    recorded = {key[1]: item["content_key"] for key, item in service.world.items().items() if key[1].startswith("STACK#")}
    return {"recorded": recorded, **{str(stage): service.stack(stage) for stage in names if service.stack(stage)}}


def stages(service: Templated) -> dict[str, object]:
    """Where the stages are, without what any call changes."""
    found = {name: service.world.stage(name) for name in STAGES}
    return {
        name: (stage.release, stage.way_back, service.world.recorded(name), stage.mixed, stage.variables)
        for name, stage in found.items()
        if stage is not None
    }


def everything(service: Templated) -> tuple[object, ...]:
    return service.traffic(), stacks(service), stages(service), [len(service.world.movements(stage)) for stage in STAGES]


def deploy(service: Templated, stage: str | None) -> Execution:
    """New code, and something new of everything."""
    service.say("three")
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    return service.deploy(stage)


def clone(service: Templated) -> Execution:
    return service.ask("clone", "qa", **{"from": {"stage": "prod"}})


@dataclass(frozen=True)
class Case:
    """An operation, beginning with these deploys, the resource that fails, and when."""

    begin: str
    tell: Told
    fails: str
    phase: Phase
    type: str
    stack: str


TABLE, QUEUE = "AWS::DynamoDB::Table", "AWS::SQS::Queue"
THREE = "prod:one prod:two dev:two"
PUT_BACK = {
    "first deploy: service stack": Case("", lambda s: deploy(s, "prod"), "Table", "CREATE", TABLE, SERVICE),
    "first deploy: stage stack": Case("", lambda s: deploy(s, "prod"), "Work", "CREATE", QUEUE, f"{SERVICE}--prod"),
    "without a stage": Case(THREE, lambda s: deploy(s, None), "Table", "UPDATE", TABLE, SERVICE),
    "service stack": Case(THREE, lambda s: deploy(s, "dev"), "Table", "UPDATE", TABLE, SERVICE),
    "stage stack": Case(THREE, lambda s: deploy(s, "dev"), "Work", "UPDATE", QUEUE, f"{SERVICE}--dev"),
    "new stage": Case(THREE, lambda s: deploy(s, "qa"), "Work", "CREATE", QUEUE, f"{SERVICE}--qa"),
    "clone": Case(THREE, clone, "Work", "CREATE", QUEUE, f"{SERVICE}--qa"),
}


@pytest.mark.parametrize("kind", PUT_BACK)
def test_a_failing_stack_takes_everything_back_and_the_next_try_works(from_template: FromTemplate, kind: str) -> None:
    case = PUT_BACK[kind]
    service = from_template(case.begin)
    before = everything(service)
    service.world.stacks.fail(case.fails, case.phase, REASON)

    failed = case.tell(service)

    assert failed.outcome == "Compensated", failed.cause
    assert f"{case.fails} ({case.type}) is {case.phase}_FAILED: {REASON.rstrip('.')}" in failed.message
    assert failed.cause["blockers"][0].startswith(f"{case.stack}/{case.fails}")
    assert everything(service) == before
    assert service.world.held() == {}

    assert case.tell(service).outcome == "succeeded"
    assert {stage: set(code.values()) for stage, code in service.traffic().items() if stage == failed.request.get("stage")} == {
        stage: {"two" if case.tell is clone else "three"} for stage in [failed.request.get("stage")] if stage is not None
    }


# Where CloudFormation itself cannot put back.


@pytest.mark.parametrize("name", ["Table", "Work"])
def test_a_rollback_that_got_stuck_is_gone_on_with(service: Templated, name: str) -> None:
    before = everything(service)
    service.world.stacks.fail(name, "UPDATE", REASON)
    service.world.stacks.fail(name, "ROLLBACK", "It is busy.")

    assert deploy(service, "dev").outcome == "Compensated"

    assert service.world.stacks.asked("ContinueUpdateRollback") != []
    assert everything(service) == before
    assert service.deploy("dev").outcome == "succeeded"


@pytest.mark.parametrize(("name", "stack"), [("Table", SERVICE), ("Work", f"{SERVICE}--dev")])
def test_one_that_stays_stuck_needs_attention_and_touches_no_traffic(service: Templated, name: str, stack: str) -> None:
    traffic, where = service.traffic(), stages(service)
    service.world.stacks.fail(name, "UPDATE", REASON, times=None)
    service.world.stacks.fail(name, "ROLLBACK", "It is busy.", times=None)

    failed = deploy(service, "dev")

    assert failed.outcome == "NeedsAttention"
    assert REASON.rstrip(".") in failed.message
    assert "It is busy" in failed.message
    assert [blocker.split(":")[0] for blocker in failed.cause["blockers"]] == [f"stack {stack}"]
    assert (service.traffic(), stages(service), service.world.held()) == (traffic, where, {})

    service.world.stacks.heal()
    assert service.deploy("dev").outcome == "succeeded"
    assert (service.stack()["Table"]["BillingMode"], service.serves("dev")) == ("PROVISIONED", {"A": "three", "B": "three"})
    assert service.stack("dev")["Work"]["VisibilityTimeout"] == 90


def test_a_new_stack_that_does_not_even_go_away_needs_attention_and_is_cleared_by_the_next_try(service: Templated) -> None:
    service.world.stacks.fail("Feed", "CREATE", REASON)
    service.world.stacks.fail("Work", "DELETE", "It is busy.", times=2)
    before = service.traffic(), stages(service)

    failed = service.deploy("qa")

    assert failed.outcome == "NeedsAttention"
    assert "It is busy" in failed.message
    assert (service.traffic(), stages(service)) == before
    assert service.deploy("qa").outcome == "Compensated"
    assert service.deploy("qa").outcome == "succeeded"
    assert set(service.stack("qa")) == {"Work", "Feed", "Call"}


# Where somebody else interferes.


@pytest.mark.parametrize(("name", "stage"), [(f"{SERVICE}--dev", "dev"), (f"{SERVICE}--qa", "qa")])
def test_a_stage_stack_that_somebody_deletes_meanwhile_is_made_again_or_left_alone(
    service: Templated, name: str, stage: str
) -> None:
    before = everything(service)
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    service.world.stacks.slow_down(60)
    running = service.begin(stage).run_to("Stacks")
    running.step()
    assert name in service.world.stacks.stacks
    theirs = service.world.stacks.stacks.pop(name)
    for kind, physical in [(made.type, made.physical_id) for made in theirs.made.values()]:
        service.world.stacks.resources.kept.pop((kind, physical), None)
    service.world.stacks.slow_down(1)

    assert running.run().outcome == "Compensated"

    assert "deleted by somebody else" in running.message
    traffic, there, where, movements = everything(service)
    assert (traffic, where, movements) == (before[0], before[2], before[3])
    assert set(there) == set(before[1])  # type: ignore[call-overload]
    assert service.deploy(stage).outcome == "succeeded"
    assert set(service.stack(stage)) == {"Work", "Feed", "Call"}


@pytest.mark.parametrize(("stage", "change"), [("dev", "Table"), ("dev", "Work"), ("qa", "Work")])
def test_a_change_set_that_aws_refuses_changes_nothing(service: Templated, stage: str, change: str) -> None:
    before = everything(service)
    name, value = {"Table": ("BillingMode", "PROVISIONED"), "Work": ("VisibilityTimeout", 90)}[change]
    service.resources[change]["Properties"][name] = value
    service.world.wire.fail("cloudformation.CreateChangeSet", "ValidationError", on_call=0)

    failed = service.deploy(stage)

    assert failed.outcome == "Compensated"
    assert "asked for by the test" in failed.message
    assert everything(service) == before
    service.world.wire.mend()
    assert service.deploy(stage).outcome == "succeeded"


def test_a_stack_that_cannot_be_read_refuses_before_any_effect(service: Templated) -> None:
    before = everything(service)
    service.world.stacks.calls.clear()
    service.world.wire.fail("cloudformation.DescribeStacks", "AccessDenied", 403, on_call=0)

    failed = deploy(service, "dev")

    assert failed.outcome == "Unreadable"
    service.world.wire.mend()
    assert everything(service) == before
    assert service.world.stacks.calls == []


# A stack that is ours and that nobody remembers.


def test_a_service_stack_that_is_not_on_record_is_never_deleted(service: Templated) -> None:
    """It was there before this operation, with functions that others may call."""
    for key in [key for key in service.world.items() if key[1] == f"STACK#{SERVICE}"]:
        service.world.forget(key)
    traffic = service.traffic()
    service.world.stacks.fail("Work", "UPDATE", REASON)

    failed = deploy(service, "dev")

    assert failed.outcome == "NeedsAttention"
    assert "not on record" in failed.message
    assert service.traffic() == traffic
    assert set(service.stack()) == {"A", "B", "Table"}
    assert service.deploy("dev").outcome == "succeeded"


# After the commit.


@pytest.fixture
def ahead(from_template: FromTemplate) -> Templated:
    """prod serves a release of which queue and code differ from the one before; dev serves the older one."""
    service = from_template("prod:one dev:one")
    service.say("two")
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90
    done(service.deploy())
    return service


BACK: dict[str, Told] = {
    "rollback": lambda service: service.ask("rollback"),
    "reset": lambda service: service.ask("reset", to={"stage": "dev"}),
}


@pytest.mark.parametrize("kind", BACK)
def test_traffic_goes_back_also_where_its_stack_fails_and_a_reset_makes_that_follow(ahead: Templated, kind: str) -> None:
    ahead.world.stacks.fail("Work", "UPDATE", REASON)

    back = BACK[kind](ahead)

    assert back.outcome == "NeedsAttention"
    assert "stage prod serves r1" in back.message
    assert f"Work ({QUEUE}) is UPDATE_FAILED: {REASON.rstrip('.')}" in back.message
    assert ahead.serves("prod") == {"A": "one", "B": "one"}
    stage = ahead.world.stage()
    assert stage is not None
    assert (stage.release, stage.mixed, ahead.world.held()) == (1, False, {})
    assert ahead.stack("prod")["Work"]["VisibilityTimeout"] == 90

    assert ahead.ask("reset", to={"release": 1}).outcome == "succeeded"
    assert ahead.stack("prod")["Work"]["VisibilityTimeout"] == 60
    assert ahead.ask("reset", to={"release": 1}).outcome == "unchanged"


def test_what_a_stages_stack_needs_and_is_not_there_any_more_does_not_stop_a_rollback(from_template: FromTemplate) -> None:
    service = from_template("")
    service.resources["Name"] = {
        "Type": "AWS::SSM::Parameter",
        "Metadata": {"Stagekeeper": {"Scope": "stage"}},
        "Properties": {"Type": "String", "Value": {"Fn::GetAtt": ["Table", "Arn"]}},
    }
    done(service.deploy())
    del service.resources["Name"], service.resources["Table"]
    service.say("two")
    done(service.deploy())

    back = service.ask("rollback")

    assert back.outcome == "NeedsAttention"
    assert "deploying that template again" in back.message
    assert service.serves() == {"A": "one", "B": "one"}


def test_a_stack_that_a_stage_needs_no_more_and_that_does_not_go_is_told_and_goes_the_next_time(service: Templated) -> None:
    """What is gone with it could not be put back, so it goes when the traffic has moved."""
    for name in ("Work", "Feed", "Call"):
        del service.resources[name]
    service.say("three")
    service.world.stacks.fail("Work", "DELETE", REASON)

    failed = service.deploy("dev")

    assert failed.outcome == "NeedsAttention"
    assert f"Work ({QUEUE}) is DELETE_FAILED: {REASON.rstrip('.')}" in failed.message
    assert service.serves("dev") == {"A": "three", "B": "three"}
    assert service.deploy("dev").outcome == "succeeded"
    assert (service.stack("dev"), service.deploy("dev").outcome) == ({}, "unchanged")


def test_a_service_stack_that_cannot_let_go_leaves_the_movement_true(service: Templated) -> None:
    del service.resources["Table"]
    done(service.deploy("prod"))
    service.say("three")
    running = service.begin("dev").run_to("CleanUp").run_to("Stacks")
    service.world.wire.fail("cloudformation.CreateChangeSet", "ValidationError", on_call=0)

    assert running.run().outcome == "NeedsAttention"

    # Not what the stage serves: it was let go of, and may have been moved since.
    assert "it is done" in running.message
    assert service.serves("dev") == {"A": "three", "B": "three"}
    service.world.wire.mend()
    service.say("one")
    assert service.deploy("dev").outcome == "succeeded"
    assert "Table" not in service.stack()


# Teardowns only go forward.


def test_a_stage_whose_stack_does_not_go_keeps_its_traffic_and_goes_the_next_time(service: Templated) -> None:
    traffic = service.traffic()
    service.world.stacks.fail("Work", "DELETE", REASON)

    failed = service.ask("teardown", "dev")

    assert failed.outcome == "NeedsAttention"
    assert f"Work ({QUEUE}) is DELETE_FAILED: {REASON.rstrip('.')}" in failed.message
    assert service.traffic() == traffic
    assert service.ask("teardown", "dev").outcome == "succeeded"
    assert set(service.traffic()) == {"prod"}
    assert (service.stack("dev"), service.world.stage("dev")) == ({}, None)


def test_a_stage_whose_stack_is_half_gone_is_put_right_by_a_deploy(service: Templated) -> None:
    service.world.stacks.fail("Work", "DELETE", REASON)
    service.ask("teardown", "dev")

    # The first clears what is left of the stack, the second makes it.
    assert [service.deploy("dev").outcome for _ in range(2)] == ["Compensated", "succeeded"]

    assert (set(service.stack("dev")), service.serves("dev")) == ({"Work", "Feed", "Call"}, {"A": "two", "B": "two"})


@pytest.mark.parametrize(("name", "left"), [("Work", {"orders", "orders--prod", "orders--dev"}), ("Table", {"orders"})])
def test_a_service_whose_stack_does_not_go_is_gone_the_next_time(service: Templated, name: str, left: set[str]) -> None:
    service.world.stacks.fail(name, "DELETE", REASON, times=2 if name == "Work" else 1)

    failed = service.ask("teardown", None, confirm=SERVICE)

    assert failed.outcome == "NeedsAttention"
    assert f"{name} (" in failed.message
    service.world.stacks.finish()
    assert set(service.world.stacks.stacks) <= left
    service.world.stacks.heal()
    assert service.ask("teardown", None, confirm=SERVICE).outcome == "succeeded"
    service.world.stacks.finish()
    assert (service.world.stacks.stacks, service.traffic()) == ({}, {})
    assert [key for key in service.world.items() if key[1].startswith(("STACK#", "STAGE#", "RELEASE#"))] == []
