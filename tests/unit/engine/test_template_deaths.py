"""Workers and executions that die while stacks change: afterwards all is as it was, or as it was to be, nothing in between."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from stagekeeper.aws.mandated import Superseded
from stagekeeper.domain.model import Stage
from stagekeeper.domain.operation import Phase

from .conftest import FromTemplate
from .execution import Execution
from .templated import STAGES, SavedService, Templated, done
from .wire import Died, Sent
from .world import SERVICE, World

THREE = "prod:one prod:two dev:two"
#: What changes something, in CloudFormation or on record.
EFFECTS = (
    "CreateChangeSet",
    "ExecuteChangeSet",
    "DeleteChangeSet",
    "DeleteStack",
    "ContinueUpdateRollback",
    "TransactWriteItems",
)

#: Brings a service to where an operation begins; begins it.
Prepare = Callable[[Templated], object]
Begin = Callable[[Templated], Execution]


def nothing_more(_: Templated) -> None: ...


def with_changes(service: Templated) -> None:
    """New code, and another property of everything, that is yet to be deployed."""
    service.say("three")
    service.resources["Table"]["Properties"]["BillingMode"] = "PROVISIONED"
    service.resources["Work"]["Properties"]["VisibilityTimeout"] = 90


def prod_ahead(service: Templated) -> None:
    with_changes(service)
    done(service.deploy("prod"))


def prod_without_table(service: Templated) -> None:
    del service.resources["Table"]
    done(service.deploy("prod"))


def deploy(service: Templated) -> Execution:
    return service.begin("dev", "it")


def first_deploy(service: Templated) -> Execution:
    return service.begin("prod", "it")


def clone(service: Templated) -> Execution:
    return service.world.begin({"operation": "clone", "stage": "qa", "from": {"stage": "prod"}}, "it")


def roll_back(service: Templated) -> Execution:
    return service.world.begin({"operation": "rollback", "stage": "prod"}, "it")


def tear_down(service: Templated) -> Execution:
    return service.world.begin({"operation": "teardown", "stage": "dev"}, "it")


def tear_down_all(service: Templated) -> Execution:
    return service.world.begin({"operation": "teardown", "confirm": SERVICE}, "it")


def put_back(service: Templated) -> Execution:
    """Its stage stack fails when its service stack is changed already."""
    service.world.stacks.fail("Work", "UPDATE", times=None)
    return deploy(service)


@dataclass(frozen=True)
class Kind:
    """An operation, what there is before it, and how many effects it has at least while stacks change, from this state on.

    Of these it dies at the ``first`` that is tried, and then at every so many: what is done about a stack is much alike, so that
    all points have their turn with one kind or the other, and each kind has its own.
    """

    deploys: str
    prepare: Prepare
    begin: Begin
    effects: int
    first: int = 1
    every: int = 2
    since: str = "Stacks"


OPERATIONS = {
    "first deploy": Kind("", nothing_more, first_deploy, 12, first=1, every=3),
    "deploy": Kind(THREE, with_changes, deploy, 12, first=2, every=3),
    "clone": Kind(THREE, nothing_more, clone, 6, first=1),
    "rollback": Kind(THREE, prod_ahead, roll_back, 6, first=2),
    "teardown": Kind(THREE, nothing_more, tear_down, 5, first=1),
    "teardown of the service": Kind(THREE, nothing_more, tear_down_all, 8, first=3, every=3),
    "letting go": Kind(THREE, prod_without_table, deploy, 6, first=2),
    "putting back": Kind(THREE, with_changes, put_back, 8, first=1, every=3, since="Compensate"),
}
ONLY_FORWARD = ("teardown", "teardown of the service", "letting go", "rollback")


def all_there_is(service: Templated) -> tuple[object, ...]:
    """What people see, and what is recorded of it. Names that CloudFormation makes up differ from time to time."""
    world = service.world
    stacks = {name: service.stack(name) for name in (None, *STAGES)}
    recorded = {key[1]: item["content_key"] for key, item in world.items().items() if key[1].startswith("STACK#")}
    stages = {
        name: stage and (stage.release, stage.way_back, world.recorded(name), stage.mixed) for name, stage in _stages(world)
    }
    lines = {name: [line["operation"] for line in world.movements(name)] for name in STAGES}
    bare = re.sub("-[0-9A-F]{12}", "-X", json.dumps(stacks, default=str))
    return service.traffic(), re.sub("[0-9a-f-]{36}", "X", bare), recorded, stages, lines


def _stages(world: World) -> Iterator[tuple[str, Stage | None]]:
    return ((name, world.stage(name)) for name in STAGES)


def while_stacks_change(running: Execution, since: str) -> Callable[[Sent], bool]:
    def matches(sent: Sent) -> bool:
        at_stacks = running.visited[-1] == "Stacks" and since in running.visited
        return at_stacks and sent.name.partition(".")[2] in EFFECTS

    return matches


@pytest.fixture(scope="module")
def prepared(saved_services: Callable[[str], SavedService]) -> Callable[[str], SavedService]:
    """The service that an operation begins with."""

    @functools.cache
    def prepare(kind: str) -> SavedService:
        service = Templated.restored(saved_services(OPERATIONS[kind].deploys))
        OPERATIONS[kind].prepare(service)
        return service.save()

    return prepare


@pytest.fixture(scope="module")
def undisturbed(prepared: Callable[[str], SavedService]) -> Callable[[str], tuple[object, ...]]:
    """How it is after an operation that nobody disturbs."""

    @functools.cache
    def end(kind: str) -> tuple[object, ...]:
        service = Templated.restored(prepared(kind))
        OPERATIONS[kind].begin(service).run()
        return all_there_is(service)

    return end


@pytest.fixture
def begun(prepared: Callable[[str], SavedService], worlds: list[World]) -> Callable[[str], tuple[Templated, Execution]]:
    """An operation that is about to take its first step."""

    def begin(kind: str) -> tuple[Templated, Execution]:
        service = Templated.restored(prepared(kind))
        worlds.append(service.world)
        return service, OPERATIONS[kind].begin(service)

    return begin


Begun = Callable[[str], tuple[Templated, Execution]]
End = Callable[[str], tuple[object, ...]]
Deaths = Callable[[str], Iterator[tuple[Templated, Execution, object]]]


@pytest.fixture
def deaths(begun: Begun, worlds: list[World]) -> Deaths:
    """An operation whose whole execution dies right after the 1st, 2nd, … effect of its states Stacks; and how it was.

    Dying right before the next one is the same.
    """

    def each(name: str) -> Iterator[tuple[Templated, Execution, object]]:
        kind = OPERATIONS[name]
        for nth in itertools.count(kind.first, kind.every):
            service, running = begun(name)
            world, before = service.world, all_there_is(service)
            world.wire.death = None
            world.wire.kill(while_stacks_change(running, kind.since), on_call=nth, after=True)
            try:
                running.run()
            except Died:
                yield service, running, before
            else:
                world.wire.mend()
                assert nth > kind.effects, f"{name} has less than {nth} effects on stacks"
                return
            finally:
                worlds.remove(world)

    return each


@pytest.mark.parametrize("kind", OPERATIONS)
def test_a_recovery_leaves_all_as_it_was_or_as_it_was_to_be(deaths: Deaths, undisturbed: End, kind: str) -> None:
    target = undisturbed(kind)
    for service, running, before in deaths(kind):
        recoveries = service.world.notice(running.name)

        # The last effect of all is the operation's end.
        outcome = recoveries[0].outcome if recoveries else service.world.operation("it")["end"]["output"]["outcome"]
        assert outcome in ("succeeded", "Compensated"), recoveries[0].cause
        assert all_there_is(service) == (target if outcome == "succeeded" else before)
        assert outcome == "succeeded" or kind not in ONLY_FORWARD
        assert (service.world.held(), service.world.waiting()) == ({}, [])


#: Operation, the state that its execution was stopped before, and how the operation ends.
STOPPED = [
    ("deploy", "Stacks", "Compensated"),
    ("deploy", "Publish", "Compensated"),
    ("deploy", "Move", "Compensated"),
    ("deploy", "Commit", "succeeded"),
    ("clone", "Move", "Compensated"),
    ("clone", "Stacks", "Compensated"),
    ("clone", "Commit", "succeeded"),
    ("rollback", "Stacks", "succeeded"),
    ("rollback", "CleanUp", "succeeded"),
    ("letting go", "CleanUp", "succeeded"),
    ("letting go", "Stacks", "succeeded"),
    ("teardown", "Stacks", "succeeded"),
    ("teardown", "TearDown", "succeeded"),
    ("putting back", "Compensate", "Compensated"),
]


@pytest.mark.parametrize(("kind", "state", "outcome"), STOPPED)
def test_one_that_is_stopped_anywhere_ends_entirely(begun: Begun, undisturbed: End, kind: str, state: str, outcome: str) -> None:
    target = undisturbed(kind)
    service, running = begun(kind)
    before = all_there_is(service)
    running.run_to(state).stop()

    (recovery,) = service.world.notice("it")

    assert recovery.outcome == outcome, recovery.cause
    assert all_there_is(service) == (target if outcome == "succeeded" else before)
    assert service.world.held() == {}


@pytest.mark.parametrize("kind", OPERATIONS)
def test_every_step_delivered_twice_gives_the_same_as_once(begun: Begun, undisturbed: End, kind: str) -> None:
    target = undisturbed(kind)
    service, twice = begun(kind)
    twice.deliveries = 2

    twice.run()

    assert twice.outcome == ("Compensated" if kind == "putting back" else "succeeded"), twice.cause
    assert all_there_is(service) == target
    assert service.world.held() == {}


@pytest.mark.parametrize("kind", ["deploy", "clone", "teardown"])
def test_a_worker_that_lost_its_mandate_does_nothing_to_a_stack(begun: Begun, kind: str) -> None:
    service, running = begun(kind)
    running.run_to("Stacks")
    journal = service.world.deps.journal
    service.world.wire.on("cloudformation.DescribeStacks", lambda: journal.begin(journal.reread(running.carrier), Phase.STACKS))
    service.world.stacks.calls.clear()

    with pytest.raises(Superseded):
        running.deliver("Stacks")

    assert [name for name, _ in service.world.stacks.calls if not name.startswith(("Describe", "List"))] == []
    service.world.wire.mend()
    assert running.run().outcome == "succeeded"


#: Operation, how it ends when a worker of it fails while its stack is on its way, and what mends that.
FAILING: list[tuple[str, str, Begin]] = [
    ("first deploy", "Compensated", lambda service: service.deploy("prod")),
    ("deploy", "Compensated", lambda service: service.deploy("dev")),
    ("clone", "Compensated", lambda service: service.ask("clone", "qa", **{"from": {"stage": "prod"}})),
    ("rollback", "NeedsAttention", lambda service: service.ask("reset", "prod", to={"release": 2})),
    ("letting go", "NeedsAttention", lambda service: service.deploy("dev")),
    ("teardown", "NeedsAttention", lambda service: service.ask("teardown", "dev")),
]


@pytest.mark.parametrize(("kind", "outcome", "mend"), FAILING)
def test_a_worker_that_fails_while_a_stack_is_on_its_way_ends_its_operation_and_the_next_waits_for_the_stack(
    begun: Begun, undisturbed: End, kind: str, outcome: str, mend: Begin
) -> None:
    target = undisturbed(kind)
    service, running = begun(kind)
    before = all_there_is(service)
    service.world.stacks.slow_down(60)
    running.run_to("CleanUp" if kind == "letting go" else "Stacks").run_to("Stacks").step()
    assert running.answers[-1]["next"] == "Wait"
    running.fail_state("Stacks", "HandlerError")

    assert running.run().outcome == outcome

    assert service.world.held() == {}
    if outcome == "Compensated":
        assert all_there_is(service) == before
    again = mend(service)
    assert again.outcome in ("succeeded", "unchanged"), again.cause
    # But for the ledger, which knows of both.
    assert all_there_is(service)[:4] == target[:4]
    assert service.world.held() == {}


def test_a_late_clean_up_does_not_take_the_aliases_of_the_next_deploy(from_template: FromTemplate) -> None:
    """It let go of its stage, which has the function again by now."""
    service = from_template("prod:one")
    feed = service.resources.pop("Feed")
    del service.functions["B"]
    running = service.begin("prod").run_to("CleanUp")
    running.step()
    service.functions["B"], service.resources["Feed"] = "one", feed
    done(service.deploy("prod"))
    running.step()

    running.deliver("CleanUp")

    assert service.serves() == {"A": "one", "B": "one"}
    assert running.run().outcome == "succeeded"
    assert service.serves() == {"A": "one", "B": "one"}
