"""Operations as executions: one name is one operation, whatever becomes of it; and what Step Functions says of one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from stagekeeper.aws.errors import CallFailed, Unanswered
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.executing import Execution, Executions, begin, subject_of
from stagekeeper.cli.progress import Ended, Lost, Subject
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.record import Failed, Succeeded

from .looking import DEV, OP, ORDERS, OUTPUT
from .watched import World

REQUEST = {"operation": "deploy", "service": "orders", "stage": "dev", "if_release": 6}
OTHER = {**REQUEST, "stage": "prod"}


@pytest.fixture
def world() -> World:
    return World()


def test_the_execution_has_the_operations_name_and_its_request_as_input(world: World) -> None:
    assert begin(world.executions(), OP, REQUEST) is None

    assert {name: json.loads(each.input) for name, each in world.step_functions.executions.items()} == {OP: REQUEST}


def test_the_same_name_and_request_again_is_the_same_operation(world: World) -> None:
    begin(world.executions(), OP, REQUEST)

    assert begin(world.executions(), OP, dict(reversed(REQUEST.items()))) is None
    assert world.step_functions.started == [OP]


def test_also_when_it_has_ended(world: World) -> None:
    begin(world.executions(), OP, REQUEST)
    world.step_functions.succeed(OP, OUTPUT)

    earlier = begin(world.executions(), OP, REQUEST)

    assert earlier is not None
    assert (earlier.ended, earlier.stopped_at) == (Succeeded(OUTPUT), world.clock.moments.now)
    assert world.step_functions.started == [OP]


@pytest.mark.parametrize("over", [False, True], ids=["runs", "has ended"])
def test_another_request_under_a_name_that_is_taken_is_refused(world: World, over: bool) -> None:
    begin(world.executions(), OP, REQUEST)
    if over:
        world.step_functions.succeed(OP, OUTPUT)

    with pytest.raises(CommandFailed) as caught:
        begin(world.executions(), OP, OTHER)

    assert (caught.value.code, caught.value.exit_code, caught.value.blockers) == ("InvalidRequest", Exit.REFUSED, (OP,))
    assert f"stagekeeper follow {OP}" in str(caught.value)
    assert "prod" not in str(caught.value)
    assert world.step_functions.started == [OP]


def test_what_aws_refuses_is_said(world: World) -> None:
    with pytest.raises(CallFailed, match="starting operation a b: InvalidName"):
        begin(world.executions(), "a b", REQUEST)


class LosesAnswers:
    """Step Functions, behind a network that loses the answer of StartExecution; ``arrives``: the request gets there."""

    def __init__(self, world: World, *, arrives: bool, deaf: bool = False) -> None:
        self._client: Any = world.step_functions.client()
        self._arrives, self._deaf = arrives, deaf

    def start_execution(self, **arguments: Any) -> Any:
        if self._arrives:
            self._client.start_execution(**arguments)
        raise ReadTimeoutError(endpoint_url="http://127.0.0.1:1")

    def describe_execution(self, **arguments: Any) -> Any:
        if self._deaf:
            raise ReadTimeoutError(endpoint_url="http://127.0.0.1:1")
        return self._client.describe_execution(**arguments)


def behind(world: World, *, arrives: bool, deaf: bool = False) -> Executions:
    client: Any = LosesAnswers(world, arrives=arrives, deaf=deaf)
    return Executions(world.plane, lambda: client, lambda: client)


def test_a_start_whose_answer_is_lost_is_found_out(world: World) -> None:
    """Whoever tried again under another name would roll back twice."""
    assert begin(behind(world, arrives=True), OP, REQUEST) is None

    assert world.step_functions.started == [OP]


@pytest.mark.parametrize("deaf", [False, True], ids=["it is not there yet", "nothing answers"])
def test_a_start_of_which_nothing_is_known_may_have_begun(world: World, deaf: bool) -> None:
    with pytest.raises(Unanswered):
        begin(behind(world, arrives=deaf, deaf=deaf), OP, REQUEST)


def succeeds(world: World) -> None:
    world.step_functions.succeed(OP, OUTPUT)


def fails(world: World) -> None:
    world.step_functions.fail(OP, "Locked", json.dumps({"message": "Waited."}))


def breaks(world: World) -> None:
    world.step_functions.fail(OP, "States.Runtime", "no JSON")


@pytest.mark.parametrize(
    ("happens", "status", "ended"),
    [
        (lambda _: None, "RUNNING", None),
        (succeeds, "SUCCEEDED", Succeeded(OUTPUT)),
        (fails, "FAILED", Failed("Locked", {"message": "Waited."})),
        (breaks, "FAILED", Failed("States.Runtime", {"message": "no JSON", "blockers": [], "operation_id": OP, "warnings": []})),
        (lambda world: world.step_functions.stop(OP), "ABORTED", Lost("ABORTED")),
        (lambda world: world.step_functions.stop(OP, "wrong branch"), "ABORTED", Lost("ABORTED", why="wrong branch")),
        (lambda world: world.step_functions.time_out(OP), "TIMED_OUT", Lost("TIMED_OUT")),
    ],
    ids=["running", "succeeded", "failed", "broken", "stopped", "stopped for a reason", "timed out"],
)
def test_how_an_execution_stands(world: World, happens: Any, status: str, ended: Ended | None) -> None:
    begin(world.executions(), OP, REQUEST)
    happens(world)

    assert world.executions().look(OP) == Execution(status, REQUEST, ended)


def test_one_that_step_functions_does_not_know_is_none(world: World) -> None:
    assert world.executions().look(OP) is None


def test_a_request_is_not_shown_with_what_holds_it() -> None:
    """It can hold environment values."""
    assert "secret" not in repr(Execution("RUNNING", {"variables": {"TOKEN": "secret"}}))


@pytest.mark.parametrize(
    ("request_", "subject"),
    [
        (REQUEST, Subject(OP, OperationKind.DEPLOY, ORDERS, DEV)),
        ({"operation": "sweep"}, Subject(OP, OperationKind.SWEEP)),
        ({**REQUEST, "dry_run": True}, Subject(OP, OperationKind.DEPLOY, ORDERS, DEV, dry_run=True)),
        ({"operation": "dance", "service": 7, "dry_run": "yes"}, Subject(OP)),
        ({}, Subject(OP)),
    ],
)
def test_a_request_says_what_it_is_about(request_: dict[str, Any], subject: Subject) -> None:
    assert subject_of(OP, request_) == subject
