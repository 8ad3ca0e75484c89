"""$LATEST is shared: what a failed deploy left there is never published by accident, and claims of a failed deploy are freed."""

from __future__ import annotations

import pytest

from .conftest import Deployed, MakeWorld
from .faults import fail_after_the_others, of
from .wire import Died
from .world import World, deploy_of, lambda_name

NO = "InvalidParameterValueException"


def fail_leaving(world: World, name: str = "broken", **configuration: object) -> None:
    """A deploy of new code that fails on ``b`` after it wrote $LATEST of all others."""
    fail_after_the_others(world, "UpdateFunctionCode", "b", NO)
    failed = world.deploy("prod", world.wishes("bad", **configuration), name=name)
    world.fake.heal()
    assert failed.outcome == "Compensated"


@pytest.fixture
def left(deployed: Deployed) -> World:
    """Stage prod serves r1; a failed deploy left its code in $LATEST of ``a``, not of ``b``."""
    world = deployed("ab", "one")
    fail_leaving(world)
    return world


def test_what_a_failed_deploy_left_is_not_published_without_saying_so(left: World) -> None:
    refused = left.deploy("prod", left.wishes(None))

    assert refused.outcome == "FunctionNotReady"
    assert refused.cause["blockers"] == ["broken"]
    assert "broken" in refused.message
    assert lambda_name("a") in refused.message


def test_giving_the_code_clears_it(left: World) -> None:
    assert left.deploy("prod", left.wishes("two")).outcome == "succeeded"
    assert left.deploy("prod", left.wishes(None)).outcome == "unchanged"


def test_the_template_changing_the_function_clears_it(left: World) -> None:
    left.fake.update(lambda_name("a"), b"by the template")

    assert left.deploy("prod", left.wishes(None)).outcome == "succeeded"


def test_a_function_that_the_failed_deploy_did_not_reach_is_ready(left: World) -> None:
    functions = {"a": left.wish("a", "two"), "b": left.wish("b")}

    assert left.deploy("prod", functions).outcome == "succeeded"


def test_a_configuration_that_a_failed_deploy_left_counts_too(deployed: Deployed) -> None:
    world = deployed("a", "one")
    world.fake.fail("PublishVersion", error=NO)
    world.deploy("prod", world.wishes(None, MemorySize=512), name="broken")

    refused = world.deploy("prod", world.wishes(None, MemorySize=512))

    assert refused.outcome == "FunctionNotReady"
    assert refused.cause["blockers"] == ["broken"]


def test_a_rollback_does_not_mind_what_lies_in_latest(two: World) -> None:
    fail_leaving(two)

    assert two.rollback().outcome == "succeeded"


def test_a_deploy_that_ended_well_leaves_nothing_to_refuse(two: World) -> None:
    assert two.deploy("qa", two.wishes(None)).outcome == "succeeded"


# Claims.


def test_a_first_deploy_that_fails_before_it_wrote_anything_frees_its_functions(world: World) -> None:
    world.fake.fail("UpdateFunctionCode", error=NO, times=None)

    failed = world.deploy("prod", world.wishes("one"))

    assert failed.outcome == "Compensated"
    assert (world.claim("a"), world.claim("b")) == (None, None)


def test_a_function_that_the_failed_first_deploy_wrote_stays_claimed(world: World) -> None:
    fail_after_the_others(world, "UpdateFunctionCode", "b", NO)

    world.deploy("prod", world.wishes("one"), name="broken")

    claim = world.claim("a")
    assert claim is not None
    assert (claim["service"], claim["latest_write"]["operation_id"]) == ("orders", "broken")
    assert world.claim("b") is None


def test_a_later_deploy_that_wrote_nothing_leaves_the_claim_as_it_was(make_world: MakeWorld) -> None:
    world = make_world("a")
    world.deploy("prod", world.wishes(None, MemorySize=512))
    before = world.claim("a")
    world.fake.fail("UpdateFunctionConfiguration", error=NO)

    world.deploy("prod", world.wishes(None, MemorySize=1024, Timeout=9))

    assert world.claim("a") == before


def test_functions_that_another_service_claims_midway_stop_the_deploy(world: World) -> None:
    running = world.begin(deploy_of("prod", world.wishes("one"))).run_to("Publish")
    theirs = world.begin({"service": "billing", **deploy_of("live", world.wishes("theirs", "b"))}).run()

    running.run()

    claim = world.claim("b")
    assert theirs.outcome == "succeeded"
    assert running.outcome == "FunctionOwnedElsewhere"
    assert running.cause["blockers"] == [world.arn("b")]
    assert world.claim("a") is None
    assert claim is not None
    assert claim["service"] == "billing"
    assert world.fake.versions(lambda_name("a")) == {}
    assert world.held() == {}


def test_claims_written_before_the_lost_one_are_freed_again(make_world: MakeWorld) -> None:
    names = tuple(f"f{number:03}" for number in range(110))  # more than one transaction holds
    world = make_world(*names)
    running = world.begin(deploy_of(None, world.wishes(None))).run_to("Publish")
    world.begin({"service": "billing", **deploy_of(None, world.wishes(None, names[-1]))}).run()

    running.run()

    assert running.outcome == "FunctionOwnedElsewhere"
    assert world.claimed() == [names[-1]]


# Whose version it is.


def test_a_version_with_the_same_content_that_somebody_else_published_is_used_but_is_not_ours(world: World) -> None:
    for name in world.names:
        world.fake.publish(lambda_name(name))

    done = world.deploy("prod", world.wishes(None))

    assert done.output is not None
    assert [(c["action"], c["after"]) for c in done.output["changes"]] == [
        ("reuse", "1"),
        ("reuse", "1"),
        ("create_alias", "1"),
        ("create_alias", "1"),
    ]
    versions = [item["published_by"] for (_, sk), item in world.items().items() if sk.startswith("VERSION#")]
    assert versions == [None, None]


def test_a_version_that_a_crash_kept_from_being_recorded_is_ours(world: World) -> None:
    world.wire.kill("lambda.PublishVersion", on_call=1, after=True)

    failed = world.deploy("prod", world.wishes(None, "a"))

    version = world.items()[f"FUNCTION#{world.arn('a')}", "VERSION#00000001"]
    assert failed.outcome == "Compensated"
    assert version["published_by"] == failed.name


def test_after_such_a_crash_an_older_version_of_somebody_else_is_not_taken_for_ours(world: World) -> None:
    world.fake.publish(lambda_name("a"))
    world.fake.update(lambda_name("a"), b"next")
    world.wire.kill("lambda.PublishVersion", on_call=1, after=True)

    world.deploy("prod", world.wishes(None, "a"))

    mine = {sk: i["published_by"] for (_, sk), i in world.items().items() if sk.startswith("VERSION#")}
    assert mine == {"VERSION#00000002": "op-1"}


def test_the_worker_that_takes_over_after_such_a_crash_publishes_nothing_twice(world: World) -> None:
    running = world.begin(deploy_of("prod", world.wishes("one"))).run_to("Publish")
    world.wire.kill("lambda.UpdateFunctionCode", on_call=1, after=True)
    with pytest.raises(Died):
        running.deliver("Publish")
    world.wire.mend()

    running.run()

    assert running.outcome == "succeeded"
    assert [list(world.fake.versions(lambda_name(name))) for name in world.names] == [["1"], ["1"]]


@pytest.mark.parametrize("name", ["a", "b"])
def test_an_unmoved_alias_is_not_asked_for_its_revision_when_publishing_failed(left: World, name: str) -> None:
    left.wire.clear()
    left.fake.fail("UpdateFunctionCode", error=NO, where=of(name))

    left.deploy("prod", left.wishes("worse"))

    assert "lambda.GetAlias" not in left.wire.shared_calls()
