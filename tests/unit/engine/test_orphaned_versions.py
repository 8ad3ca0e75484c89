"""A sweep on behalf of somebody's template: what goes, what stays, and whom it waits for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stagekeeper.aws import items
from stagekeeper.aws.table import Put
from stagekeeper.domain.lock import COLLECT, LEASE_MARGIN, LEASE_SECONDS
from stagekeeper.domain.model import ServiceName
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.handlers.orphaned_versions import Answer

from .conftest import Deployed, MakeWorld
from .custom_resource import STACK, TIME, Template
from .faults import of
from .wire import Sent
from .world import REGION, World, deploy_of, lambda_name

ORDERS = ServiceName("orders")
DENIED, SLOW_DOWN = "AccessDeniedException", "TooManyRequestsException"


def versions(world: World, name: str = "a") -> str:
    return "".join(world.fake.versions(lambda_name(name)))


def counts(answer: Answer) -> tuple[str, int, int]:
    assert not answer.failed, answer.detail
    return answer.word, answer.deleted, answer.kept


@pytest.fixture
def bare(make_world: MakeWorld) -> World:
    """One function of no service, with versions 1 to 5 and an alias on 5, all of them somebody's template's."""
    world = make_world("a")
    for number in range(1, 6):
        world.fake.publish(lambda_name("a"), b"x" * number)
    world.fake.alias(lambda_name("a"), "live", "5")
    return world


@pytest.fixture
def old(deployed: Deployed) -> World:
    """prod has seen r1 to r6 and serves r6; two steps of its way back are promised."""
    return deployed("ab", "one two three four five six")


# What goes.


def test_versions_of_strangers_go_at_once_but_for_the_newest(bare: World) -> None:
    assert counts(Template(bare).sends(Keep="2")) == ("Swept", 2, 3)
    assert versions(bare) == "345"


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_the_newest_unneeded_version_stays_whatever_keep_says(bare: World, kind: str) -> None:
    assert counts(Template(bare).sends(kind, Keep="0")) == ("Swept", 3, 2)
    assert versions(bare) == "45"


def test_without_keep_the_stacks_parameter_counts(bare: World) -> None:
    Template(bare, settings=replace(STACK, keep=3)).sends()

    assert versions(bare) == "2345"


@pytest.mark.parametrize("keep", ["0", "3"])
def test_a_resource_that_goes_leaves_none(bare: World, keep: str) -> None:
    assert counts(Template(bare, "DELETE_IN_PROGRESS").sends("Delete", Keep=keep)) == ("Swept", 4, 1)
    assert versions(bare) == "5"


def test_of_a_service_everything_goes_that_no_root_holds_and_nobody_waits_for_the_grace_period(old: World) -> None:
    assert counts(Template(old).sends(Service="orders")) == ("Swept", 4, 8)
    assert {name: versions(old, name) for name in "ab"} == {"a": "3456", "b": "3456"}
    assert old.held() == {}
    for release in (5, 4):
        done = old.rollback()
        assert done.output is not None, done.cause
        assert done.output["release"] == release


def test_a_resource_that_goes_leaves_every_way_back(old: World) -> None:
    Template(old, "DELETE_IN_PROGRESS").sends("Delete", Service="orders")

    assert versions(old) == "456"


def test_named_functions_are_judged_by_the_record_of_their_service_and_the_others_left_alone(old: World) -> None:
    assert counts(Template(old).sends(FunctionNames=["orders-a"])) == ("Swept", 2, 4)
    assert {name: versions(old, name) for name in "ab"} == {"a": "3456", "b": "123456"}


def test_functions_of_several_services_and_of_none_in_one_request(old: World) -> None:
    for name, texts in (("c", ("one", "two", "three", "four", "five")), ("d", ())):
        old.create(name)
        for text in texts:
            done = old.begin({**deploy_of("live", old.wishes(text, name)), "service": "billing"}).run()
            assert done.outcome == "succeeded", done.cause
    for body in (b"1", b"2", b"3"):
        old.fake.publish(lambda_name("d"), body)

    answer = Template(old).sends(FunctionNames=["orders-d", "orders-c", "orders-a"])

    assert counts(answer) == ("Swept", 2 + 1 + 2, 4 + 4 + 1)
    assert {name: versions(old, name) for name in "acd"} == {"a": "3456", "c": "2345", "d": "3"}


def test_a_function_that_is_named_twice_counts_once(bare: World) -> None:
    assert counts(Template(bare).sends(FunctionNames=["orders-a", bare.arn("a")], Keep="0")) == ("Swept", 3, 2)


def test_a_missing_function_counts_nothing_and_keeps_nothing(bare: World) -> None:
    assert counts(Template(bare).sends(FunctionNames=["orders-none", "orders-a"], Keep="0")) == ("Swept", 3, 2)


def test_an_unknown_service_is_told(old: World) -> None:
    answer = Template(old).sends(Service="nobody")

    assert (counts(answer), answer.detail) == (("ServiceNotFound", 0, 0), "there is no service nobody")


def test_doing_it_twice_does_no_harm(old: World) -> None:
    template = Template(old)
    template.sends(Service="orders")

    assert counts(template.sends(Service="orders")) == ("Swept", 0, 8)


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_a_report_deletes_nothing_and_needs_no_lock(old: World, kind: str) -> None:
    """A sweep under way would hold a delete up."""
    before = old.fake.state()
    running = old.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")

    answer = Template(old).sends(kind, Service="orders", Mode="report")

    assert counts(answer)[:2] == ("Reported", 0)
    assert "would be deleted" in answer.detail
    assert old.fake.state() == before
    assert running.run().outcome == "succeeded"


# What stays.


def test_what_hangs_on_a_version_holds_it(bare: World) -> None:
    name = lambda_name("a")
    bare.fake.alias(name, "canary", "5", weights={"1": 0.1})
    bare.permit("a", "2")
    bare.fake.quietly("PutProvisionedConcurrencyConfig", FunctionName=name, Qualifier="3", ProvisionedConcurrentExecutions=1)

    assert counts(Template(bare, "DELETE_IN_PROGRESS").sends("Delete")) == ("Swept", 1, 4)
    assert versions(bare) == "1235"


def test_a_permission_on_the_newest_one_does_not_use_up_what_is_kept(bare: World) -> None:
    """Version 4 is needed anyway, so 3 is the newest that is not."""
    bare.permit("a", "4")

    Template(bare).sends(Keep="1")

    assert versions(bare) == "345"


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS"])
def test_its_own_stack_does_not_hold_its_functions(bare: World, status: str) -> None:
    template = Template(bare, status)
    bare.owned_by(template.stack, "a")

    assert counts(template.sends()) == ("Swept", 3, 2)


def test_nor_do_those_of_its_tree(bare: World) -> None:
    root = bare.stacks.put("root", "UPDATE_IN_PROGRESS")
    functions = bare.stacks.put("functions", "UPDATE_IN_PROGRESS", root=root)
    template = Template(bare)
    template.stack.root_id = template.stack.parent_id = root.stack_id
    bare.owned_by(functions, "a")

    assert counts(template.sends()) == ("Swept", 3, 2)


@pytest.mark.parametrize("status", ["UPDATE_IN_PROGRESS", "UPDATE_FAILED", "ROLLBACK_FAILED"])
def test_another_stack_that_is_not_at_rest_holds_all_of_its_functions(bare: World, status: str) -> None:
    bare.owned_by(bare.stacks.put("warehouse", status), "a")

    assert counts(Template(bare).sends()) == ("Swept", 0, 5)


# A stack that goes back.


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
@pytest.mark.parametrize("status", ["ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"])
def test_nothing_is_deleted_while_its_stack_goes_back_even_where_a_property_is_malformed(
    bare: World, kind: str, status: str
) -> None:
    assert counts(Template(bare, status).sends(kind, Keep="many")) == ("Rollback", 0, 0)
    assert versions(bare) == "12345"


def test_a_stack_that_begins_to_go_back_ends_the_sweep_before_the_next_batch(old: World) -> None:
    """Something else in it failed meanwhile."""
    template = Template(old, settings=replace(STACK, rollback_depth=0))
    old.fake.on("DeleteFunction", lambda _: setattr(template.stack, "status", "UPDATE_ROLLBACK_IN_PROGRESS"), on_call=3)

    answer = template.sends(Service="orders")

    assert answer.word == "Rollback"
    assert 3 <= answer.deleted < 8
    assert len(versions(old, "a") + versions(old, "b")) == 12 - answer.deleted


# What is malformed.

MALFORMED = {
    "a keep that is no number": ({"FunctionNames": ["orders-a"], "Keep": "many"}, "Keep: must be a whole number"),
    "a negative one": ({"FunctionNames": ["orders-a"], "Keep": "-1"}, "Keep: must be a whole number"),
    "one with a sign": ({"FunctionNames": ["orders-a"], "Keep": "+1"}, "Keep: must be a whole number"),
    "one with other digits": ({"FunctionNames": ["orders-a"], "Keep": "\u0663"}, "Keep: must be a whole number"),
    "an empty one": ({"FunctionNames": ["orders-a"], "Keep": ""}, "Keep: must be a whole number"),
    "one that CloudFormation never sends": ({"FunctionNames": ["orders-a"], "Keep": 1}, "Keep: must be a string"),
    "nothing": ({"FunctionNames": ["orders-a"], "Keep": None}, "Keep: must be a string"),
    "another mode": ({"FunctionNames": ["orders-a"], "Mode": "DELETE"}, "Mode: must be delete or report"),
    "a time-out that is no number": ({"FunctionNames": ["orders-a"], "ServiceTimeout": "1h"}, "ServiceTimeout: must be"),
    "an unknown property": ({"FunctionNames": ["orders-a"], "Grace": "1"}, "Grace: unknown field"),
    "one in other letters": ({"functionNames": ["orders-a"]}, "functionNames: unknown field"),
    "neither functions nor service": ({}, "give either FunctionNames or Service"),
    "both": ({"FunctionNames": ["orders-a"], "Service": "orders"}, "give either FunctionNames or Service"),
    "no functions": ({"FunctionNames": []}, "FunctionNames: must have at least 1"),
    "too many": ({"FunctionNames": [f"f{n}" for n in range(501)]}, "FunctionNames: must have at most 500"),
    "a function that is no list": ({"FunctionNames": "orders-a"}, "FunctionNames: must be a list"),
    "a version of one": ({"FunctionNames": ["orders-a:1"]}, "FunctionNames.0: must be a function's name or its ARN"),
    "an empty name": ({"FunctionNames": [""]}, "FunctionNames.0: must be a function's name or its ARN"),
    "no text": ({"FunctionNames": ["orders-a", {}]}, "FunctionNames.1: must be a string"),
    "a pattern": ({"FunctionNames": ["orders-*"]}, "FunctionNames.0: must be a function's name or its ARN"),
    "another Region": (
        {"FunctionNames": ["arn:aws:lambda:us-west-2:123456789012:function:orders-a"]},
        "FunctionNames.0: is in another account or Region",
    ),
    "another account": (
        {"FunctionNames": [f"arn:aws:lambda:{REGION}:999999999999:function:orders-a"]},
        "FunctionNames.0: is in another account or Region",
    ),
    "no name of a service": ({"Service": "Orders"}, "Service: a service name begins with a lower-case letter"),
    "no properties at all": (None, "must be a JSON object"),
}


@pytest.mark.parametrize("case", MALFORMED)
@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_a_malformed_property_deletes_nothing_and_is_named(bare: World, kind: str, case: str) -> None:
    """Whether that fails the resource is the answer's business."""
    properties, sentence = MALFORMED[case]

    answer = Template(bare).sends_exactly(kind, properties)

    assert (answer.word, answer.failed, answer.deleted, answer.kept) == ("InvalidRequest", True, 0, 0)
    assert sentence in answer.detail
    assert versions(bare) == "12345"


@pytest.mark.parametrize("trigger", ["r7", "", ["a"], {"a": "b"}])
def test_a_trigger_is_anything(bare: World, trigger: object) -> None:
    assert Template(bare).sends(Trigger=trigger, ServiceTimeout="960").word == "Swept"


# What cannot be read.

TROUBLE: dict[str, Callable[[World], object]] = {
    "its versions": lambda world: world.fake.fail("ListVersionsByFunction", error=DENIED, times=None, where=of("b")),
    "its aliases": lambda world: world.fake.fail("ListAliases", error=DENIED, times=None, where=of("b")),
    "its policies": lambda world: world.fake.fail("GetPolicy", error=DENIED, times=None, where=of("b")),
    "its concurrency": lambda world: world.fake.fail("ListProvisionedConcurrencyConfigs", error=DENIED, times=None),
    "the function": lambda world: world.fake.fail("GetFunction", error=DENIED, times=None, where=of("b")),
    "its tags": lambda world: world.fake.hide_tags(lambda_name("b"), "AccessDenied", "no"),
    "the mappings": lambda world: world.fake.fail("ListEventSourceMappings", error=DENIED, times=None),
    "the record": lambda world: world.wire.fail("dynamodb.Query", DENIED, on_call=0),
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_one_fact_that_cannot_be_read_is_enough_to_delete_nothing_at_all(old: World, trouble: str) -> None:
    before = old.fake.state()
    TROUBLE[trouble](old)

    answer = Template(old).sends(Service="orders")

    assert counts(answer) == ("Unreadable", 0, 0)
    assert DENIED in answer.detail or "AccessDenied" in answer.detail
    old.fake.heal()
    assert old.fake.state() == before


def test_a_record_that_is_damaged_is_one_of_them(old: World) -> None:
    key = next(key for key in old.items() if key[1].startswith("STAGE#"))
    old.put_item({name: value for name, value in old.items()[key].items() if name != "way_back"})

    assert Template(old).sends(Service="orders").word == "Unreadable"
    assert versions(old) == "123456"


# Throttles, and answers that do not come.


@pytest.mark.parametrize(
    "operation", ["ListVersionsByFunction", "ListAliases", "ListProvisionedConcurrencyConfigs", "DeleteFunction"]
)
@pytest.mark.parametrize("on_call", [1, 2, 3])
def test_a_throttle_in_the_middle_is_waited_out(old: World, operation: str, on_call: int) -> None:
    old.fake.fail(operation, error=SLOW_DOWN, on_call=on_call, times=3)

    assert counts(Template(old).sends(Service="orders")) == ("Swept", 4, 8)
    assert old.held() == {}


def test_one_that_does_not_end_ends_the_sweep_with_what_was_done(old: World) -> None:
    old.fake.fail("DeleteFunction", error=SLOW_DOWN, on_call=2, times=None)

    answer = Template(old).sends(Service="orders")

    assert (answer.word, answer.deleted) == ("Unreadable", 1)
    assert "TooManyRequests" in answer.detail
    assert old.held() == {}


@pytest.mark.parametrize("applied", [False, True])
def test_a_deletion_without_an_answer_is_asked_for_again_and_counted_once(old: World, *, applied: bool) -> None:
    old.fake.fail("DeleteFunction", error="ReadTimeout", applied=applied)

    assert counts(Template(old).sends(Service="orders")) == ("Swept", 4, 8)


def test_nobody_is_let_in_while_a_deletion_without_an_answer_may_still_take_effect(old: World) -> None:
    """The read time-out is 5 s and the connect time-out 2 s: an answer that has not come by then never does."""
    asked: list[float] = []
    released: list[float] = []
    old.fake.fail("DeleteFunction", error="ReadTimeout")
    old.fake.on("DeleteFunction", lambda _: asked.append(old.moments.now), on_call=1)

    def note(sent: Sent | None) -> None:
        if sent is not None and asked and '"holders": {"M": {}}' in sent.body and not released:
            released.append(old.moments.now)

    old.wire.probe = note
    Template(old).sends(Service="orders")

    assert released[0] - asked[0] >= 8


def test_a_version_that_aws_keeps_stays_and_does_not_keep_the_others(old: World) -> None:
    old.fake.replicate(lambda_name("a"), "1")

    answer = Template(old).sends(Service="orders")

    assert counts(answer) == ("Swept", 3, 9)
    (told,) = [each.verdict for each in old.told[-1].judged if each.verdict.version.value == 1 and each.verdict.function == "a"]
    assert (told.remove, "Lambda@Edge" in told.reason) == (False, True)


# Others at work.


def test_a_lock_that_is_taken_is_waited_for_twenty_seconds(old: World) -> None:
    running = old.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    before, began = old.fake.state(), old.moments.now

    answer = Template(old).sends(Service="orders")

    assert counts(answer) == ("Locked", 0, 0)
    assert answer.detail == f"rollback {running.name} is at work on service orders"
    assert 20 <= old.moments.now - began < 23
    assert old.fake.state() == before
    assert old.waiting() == []
    assert running.run().outcome == "succeeded"


def test_it_is_asked_for_before_anything_is_looked_at_even_if_nothing_will_be_deleted(old: World) -> None:
    """Who waits 20 s for nothing should not have looked for minutes before."""
    running = old.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    old.wire.clear()

    assert counts(Template(old).sends(Service="orders", Keep="99")) == ("Locked", 0, 0)
    assert [sent.name for sent in old.wire.sent if sent.name.startswith("lambda.")] == []
    assert running.run().outcome == "succeeded"


def test_one_that_is_let_go_of_in_time_is_not(old: World) -> None:
    running = old.begin({"operation": "rollback", "stage": "prod"}).run_to("Move")
    old.clock.in_seconds(10, running.run)

    assert Template(old).sends(Service="orders").word == "Swept"


def test_functions_of_no_service_need_no_lock(bare: World) -> None:
    bare.wire.clear()
    Template(bare).sends()

    assert [sent.name for sent in bare.wire.sent if sent.name == "dynamodb.TransactWriteItems"] == []


def batches_of(world: World, kind: str) -> tuple[Answer, list[tuple[float, float]]]:
    """A sweep of the service, and from when to when it kept everybody out."""
    held: list[float] = []
    let_go: list[float] = []

    def note(sent: Sent | None) -> None:
        if sent is not None and sent.name == "dynamodb.TransactWriteItems" and "holders" in sent.body:
            (held if COLLECT in sent.body else let_go).append(world.moments.now)

    world.wire.probe = note
    answer = Template(world).sends(kind, Service="orders")
    return answer, list(zip(held, let_go, strict=True))


def test_who_comes_meanwhile_waits_for_a_batch_at_most(old: World) -> None:
    """Twenty deletions take ten seconds."""
    for number in range(20):
        old.fake.publish(lambda_name("a"), b"y" * (number + 1))

    answer, batches = batches_of(old, "Update")

    assert (answer.word, answer.deleted) == ("Swept", 19 + 3 + 2)
    assert len(batches) > 4
    assert max(end - begin for begin, end in batches) <= 5
    assert min(later[0] - earlier[1] for earlier, later in pairwise(batches)) >= 1


def test_so_he_does_where_there_is_little_to_delete_of_many_functions(deployed: Deployed) -> None:
    """Looking at one takes a second and a half."""
    answer, batches = batches_of(deployed("abcdef", "one two three four"), "Delete")

    assert (answer.word, answer.deleted) == ("Swept", 6)
    assert max(end - begin for begin, end in batches) <= 5


def take_away(world: World) -> None:
    """Somebody tidies the lock up by hand."""
    (held,) = world.deps.store.lock(ORDERS).holders
    world.deps.journal.end_lease(held, ORDERS)


def let_it_age(world: World) -> None:
    """As if the work had taken so long: a call from now on could take effect after the end of the lease."""
    lock = world.deps.store.lock(ORDERS)
    (held,) = lock.holders
    aged = replace(held, since=held.since - LEASE_SECONDS + LEASE_MARGIN)
    world.deps.table.put(Put(items.lock_key(ORDERS), items.lock_item(replace(lock, holders=(aged,)))))


def test_who_does_not_wait_for_a_batch_is_told_what_it_is(old: World) -> None:
    refused = []

    def rollback() -> None:
        refused.append(old.begin({"operation": "rollback", "stage": "prod", "lock_wait_seconds": 0}).run())

    old.fake.on("DeleteFunction", lambda _: rollback(), on_call=1)
    Template(old).sends(Service="orders")

    assert refused[0].outcome == "Locked"
    assert "custom-resource shop.CleanUp." in refused[0].message
    assert "It sweeps for a template, a few seconds at a time: try again" in refused[0].message


LOSES: dict[str, Callable[[World], object]] = {
    "its time is nearly over": let_it_age,
    "somebody took it away": take_away,
}


@pytest.mark.parametrize("how", LOSES)
def test_who_loses_the_lock_deletes_nothing_more(old: World, how: str) -> None:
    old.fake.on("DeleteFunction", lambda _: LOSES[how](old), when="after", on_call=1)

    answer = Template(old).sends(Service="orders")

    assert (answer.word, answer.deleted) == ("Locked", 1)
    assert old.fake.count("DeleteFunction") == 1


def test_a_version_that_is_needed_by_now_stays(old: World) -> None:
    """Found without the lock, and judged again under it."""
    old.fake.on("ListAliases", lambda _: old.fake.alias(lambda_name("a"), "theirs", "1"), on_call=3)

    answer = Template(old).sends(Service="orders")

    assert counts(answer) == ("Swept", 3, 9)
    assert versions(old) == "13456"


def test_one_that_somebody_deleted_meanwhile_is_not_counted(bare: World) -> None:
    def gone() -> None:
        bare.fake.quietly("DeleteFunction", FunctionName=lambda_name("a"), Qualifier="1")

    bare.fake.on("ListVersionsByFunction", lambda _: gone(), on_call=2)

    assert counts(Template(bare).sends()) == ("Swept", 2, 2)


def test_a_function_that_joins_a_service_meanwhile_is_left_alone(bare: World) -> None:
    """The deploy may have found one of the versions, and count on it."""

    def join() -> None:
        done = bare.deploy("prod", bare.wishes("mine"))
        assert done.outcome == "succeeded", done.cause

    bare.fake.on("DeleteFunction", lambda _: join(), when="after", on_call=1)

    answer = Template(bare).sends(Keep="1")

    assert (answer.word, answer.deleted) == ("Locked", 1)
    assert answer.detail.endswith("has joined service orders")
    assert versions(bare) == "23456"


def test_the_same_event_twice_at_once_sweeps_once(old: World) -> None:
    """Lambda delivers at least once: each delivery asks for a lock of its own."""
    template, answers = Template(old), list[Answer]()
    old.fake.on("DeleteFunction", lambda _: answers.append(Template(old).sends(Service="orders")), when="after", on_call=1)

    first = template.sends(Service="orders")

    assert {name: versions(old, name) for name in "ab"} == {"a": "3456", "b": "3456"}
    assert [answer.word for answer in (*answers, first)] == ["Locked", "Swept"]
    assert sum(answer.deleted for answer in (*answers, first)) == 4


# Time.


def test_out_of_time_it_tells_what_is_left(bare: World) -> None:
    for number in range(195):
        bare.fake.publish(lambda_name("a"), b"y" * (number + 1))

    answer = Template(bare, time=85.0).sends()

    assert answer.word == "OutOfTime"
    assert 1 <= answer.deleted < 198
    assert answer.deleted + answer.kept == 200
    assert answer.detail.startswith(f"{answer.deleted} deleted; {198 - answer.deleted} versions and 0 functions are left")


def test_functions_that_there_was_no_time_to_look_at_are_told(make_world: MakeWorld) -> None:
    world = make_world(*"abcdefgh")

    answer = Template(world, time=63.0).sends()

    assert answer.word == "OutOfTime"
    assert re.search("0 versions and [1-7] functions are left for the next sweep", answer.detail)


def test_policies_that_there_was_no_time_to_read_hold_their_versions(bare: World) -> None:
    """Fifteen of them a second can be asked for, of which others may need some."""
    for number in range(195):
        bare.fake.publish(lambda_name("a"), b"y" * (number + 1))

    answer = Template(bare, time=72.0).sends("Delete")

    (told,) = bare.told
    unread = sum("had no time to look at" in each.verdict.reason for each in told.judged)
    assert answer.word == "OutOfTime"
    assert 0 < unread < 199
    assert 0 < answer.deleted <= 199 - unread
    assert f"; {199 - answer.deleted} versions and 0 functions are left" in answer.detail


def test_it_does_not_sleep_beyond_its_time(bare: World) -> None:
    bare.fake.fail("DeleteFunction", error=SLOW_DOWN, times=None)
    began = bare.moments.now

    answer = Template(bare, time=64.0).sends()

    assert (answer.word, answer.deleted) == ("OutOfTime", 0)
    assert bare.moments.now - began < 64


def test_what_is_deleted_is_told_as_it_happens(bare: World) -> None:
    """For an answer that does not wait for the end."""
    template = Template(bare)
    seen: list[int] = []
    bare.fake.on("DeleteFunction", lambda _: seen.append(template.done.deleted))

    template.sends()

    assert (seen, template.done.deleted) == ([0, 1, 2], 3)


def test_it_makes_two_calls_a_second(old: World) -> None:
    began = old.moments.now
    old.wire.clear()

    Template(old).sends(Service="orders")

    shared = [call for call in old.wire.shared_calls() if call != "lambda.ListEventSourceMappings"]
    assert len(shared) / (old.moments.now - began) <= 2


# What is told.


def test_every_version_is_told_once_with_its_service_and_its_reason(old: World) -> None:
    old.create("d")
    old.fake.publish(lambda_name("d"), b"1")

    Template(old).sends(FunctionNames=["orders-a", "orders-d"])

    (told,) = old.told
    assert (told.deleted, told.failures, told.left_out) == (True, 0, 0)
    lines = {f"{each.service} {each.verdict.function} {each.verdict.version}": each.verdict for each in told.judged}
    assert len(lines) == len(told.judged) == 7
    assert [line for line, verdict in lines.items() if verdict.remove] == ["orders a 1", "orders a 2"]
    assert lines["orders a 6"].reason == "alias prod points at it"
    assert lines["None orders-d 1"].reason == "the newest unneeded version"


def test_what_was_not_reached_is_not_told_as_deleted(old: World) -> None:
    old.fake.fail("DeleteFunction", error=SLOW_DOWN, on_call=2, times=None)

    Template(old).sends(Service="orders")

    (told,) = old.told
    assert (told.deleted, told.failures) == (True, 1)
    assert sum(each.verdict.remove for each in told.judged) == 1
    assert {each.verdict.reason for each in told.judged} >= {"not reached"}


def test_the_settings_of_the_stack_bound_the_way_back(old: World) -> None:
    Template(old, settings=SweepSettings(keep=0, rollback_depth=0, grace_seconds=0)).sends("Delete", Service="orders")

    assert versions(old) == "6"


def test_time_is_what_a_lambda_of_fifteen_minutes_leaves() -> None:
    assert TIME == 900 - 60


# What the stack that asks may go back to.


def test_what_its_stack_still_has_stays_however_many_updates_failed_since(bare: World) -> None:
    """The stack was on 1; updates that failed left 2 to 4 behind; this one moved live to 5. If it fails, live goes back to 1."""
    template = Template(bare)
    template.stack.resources |= {"ApiVersion1": f"{bare.arn('a')}:1", "ApiVersion5": f"{bare.arn('a')}:5"}

    assert counts(template.sends(Keep="1")) == ("Swept", 2, 3)
    assert versions(bare) == "145"


def test_the_one_that_its_stack_has_just_made_is_the_newest_of_those_that_stay(bare: World) -> None:
    """As in the example, where the alias moves onto it only afterwards."""
    bare.fake.alias(lambda_name("a"), "live", "4")
    template = Template(bare)
    template.stack.resources |= {"ApiVersion4": f"{bare.arn('a')}:4", "ApiVersion5": f"{bare.arn('a')}:5"}

    assert counts(template.sends(Keep="1")) == ("Swept", 3, 2)
    assert versions(bare) == "45"


def test_what_its_stack_let_go_of_does_not(bare: World) -> None:
    template, released = Template(bare), f"{bare.arn('a')}:1"
    template.stack.resources["ApiVersion1"] = released
    template.stack.left[released] = "DELETE_SKIPPED"

    template.sends(Keep="1")

    assert versions(bare) == "45"


def test_the_stack_that_owns_the_function_counts_as_well(bare: World) -> None:
    bare.owned_by(bare.stacks.put("functions", ApiVersion1=f"{bare.arn('a')}:1"), "a")

    Template(bare).sends(Keep="1")

    assert versions(bare) == "145"


def test_a_resource_that_goes_leaves_nothing_for_its_stack(bare: World) -> None:
    template = Template(bare, "DELETE_IN_PROGRESS")
    template.stack.resources["ApiVersion1"] = f"{bare.arn('a')}:1"

    template.sends("Delete")

    assert versions(bare) == "5"


def test_what_its_stack_has_and_cannot_be_read_deletes_nothing(bare: World) -> None:
    def before(operation: str, _: Mapping[str, Any]) -> None:
        if operation == "ListStackResources":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, operation)

    bare.stacks.before = before

    assert counts(Template(bare).sends()) == ("Unreadable", 0, 0)
    assert versions(bare) == "12345"


# What a service may go back to.


def test_a_function_that_its_service_gave_up_keeps_what_is_on_record(deployed: Deployed) -> None:
    """A sweep with settings of its own let go of function b; the way back reaches its version all the same."""
    world = deployed("ab", "one")
    assert world.deploy("prod", world.wishes("two", "a")).outcome == "succeeded"
    world.clock.sleep(30 * 24 * 3600)
    world.sweeping = replace(STACK, rollback_depth=0, grace_seconds=0)
    assert world.begin({"operation": "sweep", "mode": "delete", "keep": 9}).run().outcome == "succeeded"
    assert world.claimed() == ["a"]

    Template(world, "DELETE_IN_PROGRESS").sends("Delete", FunctionNames=[world.arn("b")])

    assert world.rollback().outcome == "succeeded"


def test_what_a_rollback_took_off_the_way_back_stays_for_the_stacks_grace_period(old: World) -> None:
    assert old.rollback(to={"steps": 3}).outcome == "succeeded"

    Template(old, "DELETE_IN_PROGRESS").sends("Delete")

    assert old.begin({"operation": "reset", "stage": "prod", "to": {"release": 5}}).run().outcome == "succeeded"


def test_a_function_that_is_not_there_is_named(bare: World) -> None:
    answer = Template(bare).sends(FunctionNames=[bare.arn("a"), "typo"])

    assert answer.detail.endswith("; not there: typo")
