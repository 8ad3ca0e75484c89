"""Calls that nobody answered: they may have happened, now, later or never, and the operation ends right in each case."""

from __future__ import annotations

import pytest

from tests.fake import Call

from .execution import Execution
from .faults import of
from .wire import Matches, Sent
from .world import World, deploy_of, lambda_name

APPLIED = pytest.mark.parametrize("applied", [True, False], ids=["it happened", "it did not happen"])


def writes(text: str) -> Matches:
    return lambda sent: sent.name == "dynamodb.TransactWriteItems" and text in sent.body


def published_by(world: World, name: str) -> dict[str, str | None]:
    """Version number -> the operation that is on record as its maker."""
    pk = f"FUNCTION#{world.arn(name)}"
    return {str(i["version"]): i["published_by"] for (p, sk), i in world.items().items() if p == pk and sk.startswith("VERSION#")}


# Moving: the RevisionId makes it safe to ask again.


@APPLIED
def test_a_move_without_an_answer_is_tried_again_and_the_operation_succeeds(five: World, applied: bool) -> None:
    five.fake.fail("UpdateAlias", error="ReadTimeout", applied=applied, where=of("c"))

    done = five.rollback()

    assert done.outcome == "succeeded"
    assert set(five.aliases().values()) == {"1"}
    assert "Compensate" not in done.visited


def test_a_move_that_is_never_answered_is_put_back_if_it_happened_after_all(five: World) -> None:
    five.fake.fail("UpdateAlias", error="ReadTimeout", times=4, where=of("c", "1"))
    five.fake.on("UpdateAlias", lambda _: _later_move(five, "c", "1", seconds=4.5), on_call=4, where=of("c", "1"))

    failed = five.rollback()

    assert failed.outcome == "Compensated"
    assert set(five.aliases().values()) == {"2"}


def _later_move(world: World, name: str, version: str, seconds: float) -> None:
    """The call is still under way: it takes effect when its client has long given up, but within its read timeout."""
    world.clock.in_seconds(seconds, lambda: world.fake.alias(lambda_name(name), "prod", version))


@APPLIED
def test_making_an_alias_without_an_answer_is_not_repeated_but_put_back(five: World, applied: bool) -> None:
    five.fake.fail("CreateAlias", error="ReadTimeout", applied=applied, where=of("c"))

    failed = five.deploy("qa", five.wishes("two"))

    assert failed.outcome == "Compensated"
    assert five.aliases("qa") == {}
    assert five.stage("qa") is None


def test_an_alias_that_is_made_after_its_maker_gave_up_is_unmade_too(five: World) -> None:
    def later(_: Call) -> None:
        five.clock.in_seconds(4.5, lambda: five.fake.alias(lambda_name("c"), "qa", "2"))

    five.fake.on("CreateAlias", later, where=of("c"))
    five.fake.fail("CreateAlias", error="ReadTimeout", where=of("c"))

    failed = five.deploy("qa", five.wishes("two"))

    assert failed.outcome == "Compensated"
    assert five.aliases("qa") == {}


@APPLIED
def test_putting_back_without_an_answer_is_looked_at_and_repeated(five: World, applied: bool) -> None:
    five.fake.fail("UpdateAlias", error="InvalidParameterValueException", where=of("e", "1"))
    five.fake.fail("UpdateAlias", error="ReadTimeout", applied=applied, where=of("a", "2"))

    failed = five.rollback()

    assert failed.outcome == "Compensated"
    assert set(five.aliases().values()) == {"2"}


# Publishing.


@APPLIED
@pytest.mark.parametrize(
    ("operation", "code", "configuration"),
    [
        ("UpdateFunctionCode", "three", {}),
        ("PublishVersion", None, {"MemorySize": 512}),
        ("UpdateFunctionConfiguration", None, {"MemorySize": 512}),
    ],
)
def test_a_publishing_call_without_an_answer_is_put_back_and_its_version_never_leaks(
    five: World, operation: str, code: str | None, configuration: dict[str, int], applied: bool
) -> None:
    five.fake.fail(operation, error="ReadTimeout", applied=applied, where=of("c"))

    failed = five.deploy("prod", five.wishes(code, **configuration))

    assert failed.outcome == "Compensated"
    assert set(five.aliases().values()) == {"2"}
    made = five.fake.versions(lambda_name("c")).keys() - {"1", "2"}
    assert made == ({"3"} if applied and operation != "UpdateFunctionConfiguration" else set())
    assert published_by(five, "c") == {"1": "op-1", "2": "op-2"} | dict.fromkeys(made, failed.name)


def test_a_version_that_appears_after_its_maker_gave_up_is_claimed_as_ours(five: World) -> None:
    def later(_: Call) -> None:
        code = f"{'c'}: three".encode()
        five.clock.in_seconds(29, lambda: five.fake.publish(lambda_name("c"), code))

    five.fake.on("UpdateFunctionCode", later, where=of("c"))
    five.fake.fail("UpdateFunctionCode", error="ReadTimeout", where=of("c"))

    failed = five.deploy("prod", five.wishes("three"))

    assert failed.outcome == "Compensated"
    assert published_by(five, "c")["3"] == failed.name


def test_a_failure_that_was_answered_is_put_back_without_waiting_for_calls_under_way(five: World) -> None:
    five.fake.fail("UpdateFunctionCode", error="InvalidParameterValueException", where=of("c"))
    began = five.moments.now

    five.deploy("prod", five.wishes("three"))

    assert five.moments.now - began < 30


# The record.


@APPLIED
@pytest.mark.parametrize(
    "text",
    ['"asked_at"', '"stage:prod"', '"plan_key"', ":s_published", ":s_moved", '"committed"'],
    ids=["opening", "lock", "intent", "release", "moves", "commit"],
)
def test_a_write_of_the_record_without_an_answer_is_repeated_and_does_no_harm(five: World, text: str, applied: bool) -> None:
    five.wire.fail(writes(text), applied=applied)

    done = five.deploy("prod", five.wishes("three"))

    assert done.outcome == "succeeded", done.cause
    assert "Compensate" not in done.visited
    assert_deployed_once(five, done)


def assert_deployed_once(world: World, done: Execution) -> None:
    assert set(world.aliases().values()) == {"3"}
    assert [(m["from_release"], m["to_release"]) for m in world.movements()] == [(None, 1), (1, 2), (2, 3)]
    assert world.releases() == [1, 2, 3]
    assert published_by(world, "c") == {"1": "op-1", "2": "op-2", "3": done.name}
    assert world.held() == {}
    assert world.waiting() == []


def test_a_commit_that_got_through_although_its_worker_died_is_success(five: World) -> None:
    five.wire.kill(lambda sent: '"committed"' in sent.body, after=True)

    done = five.deploy("prod", five.wishes("three"))

    assert "Compensate" in done.visited
    assert done.outcome == "succeeded"
    assert_deployed_once(five, done)


def test_a_commit_that_is_never_answered_but_got_through_is_success(five: World) -> None:
    five.wire.fail(lambda sent: '"committed"' in sent.body, applied=True)
    # Not even the record can be read by the retries that follow.
    running = five.begin(deploy_of("prod", five.wishes("three"))).run_to("Commit")
    for nth in (2, 3, 4):
        five.wire.fail(_reads_of(running.name), on_call=nth)

    running.run()

    assert (running.outcome, running.visited[-1]) == ("succeeded", "Compensate")


def _reads_of(operation: str) -> Matches:
    def matches(sent: Sent) -> bool:
        return sent.name == "dynamodb.GetItem" and f"OPERATION#{operation}" in sent.body

    return matches
