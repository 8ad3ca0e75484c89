"""Executions of the state machine: whether one still lives, and starting one, on the strict fake of Step Functions."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from stagekeeper.aws.errors import CallFailed, Throttled, Unanswered
from stagekeeper.aws.executions import MAX_WHY, Executions, step_functions_client
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.recovery import Over, Running
from tests.fake import FORGOTTEN_AFTER_SECONDS, FakeClock, FakeStepFunctions

from .conftest import ONCE, patience
from .interruptions import Requests, client_error

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

NAME = "orders-dev-42"
REQUEST = {"operation": "recover", "operation_id": "orders-dev-41"}

NO_ANSWER = ReadTimeoutError(endpoint_url="https://states")
NOT_SENT = ConnectTimeoutError(endpoint_url="https://states")


@pytest.fixture
def moments() -> FakeClock:
    return FakeClock()


@pytest.fixture
def known(moments: FakeClock) -> FakeStepFunctions:
    """What Step Functions knows."""
    return FakeStepFunctions(clock=moments)


@pytest.fixture
def client(known: FakeStepFunctions) -> SFNClient:
    return known.client(ONCE)


@pytest.fixture
def executions(known: FakeStepFunctions, client: SFNClient) -> Executions:
    return Executions(known.machine_arn, lambda: client)


# Whether one lives.


ENDS: list[tuple[str, Callable[[FakeStepFunctions], object]]] = [
    ("SUCCEEDED", lambda known: known.succeed(NAME, {})),
    ("FAILED", lambda known: known.fail(NAME, "Locked", "{}")),
    ("ABORTED", lambda known: known.stop(NAME)),
    ("TIMED_OUT", lambda known: known.time_out(NAME)),
]


def test_one_that_is_running_lives(known: FakeStepFunctions, executions: Executions) -> None:
    known.start(NAME)

    assert executions.liveness(NAME) == Running()


@pytest.mark.parametrize(("status", "end"), ENDS, ids=[status for status, _ in ENDS])
def test_one_that_has_ended_is_over_and_how_is_told(
    known: FakeStepFunctions, executions: Executions, status: str, end: Callable[[FakeStepFunctions], object]
) -> None:
    known.start(NAME)
    end(known)

    assert executions.liveness(NAME) == Over(status)


LONG = "x" * MAX_WHY


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (None, None),
        ("", None),
        ("wrong stage", "wrong stage"),
        ("falsche Stufe: prüfen", "falsche Stufe: prüfen"),
        ("one\ntwo\x1b[0m", "one\\ntwo\\x1b[0m"),
        (LONG, LONG),
        (LONG + "x", LONG[:-1] + "\N{HORIZONTAL ELLIPSIS}"),
        ("\n" * MAX_WHY, "\\n" * (MAX_WHY // 2 - 1) + "\\" + "\N{HORIZONTAL ELLIPSIS}"),
    ],
)
def test_of_one_that_was_stopped_the_reason_is_told_on_one_short_line(
    known: FakeStepFunctions, executions: Executions, said: str | None, why: str | None
) -> None:
    known.start(NAME)
    known.stop(NAME, said)

    assert executions.liveness(NAME) == Over("ABORTED", why)


def test_of_one_that_failed_the_cause_is_not_for_people(known: FakeStepFunctions, executions: Executions) -> None:
    known.start(NAME)
    known.fail(NAME, "Internal", "a traceback")

    assert executions.liveness(NAME) == Over("FAILED", None)


def test_one_that_was_never_started_is_over(executions: Executions) -> None:
    assert executions.liveness(NAME) == Over(None)


def test_one_that_aws_has_forgotten_is_over(known: FakeStepFunctions, executions: Executions, moments: FakeClock) -> None:
    known.start(NAME)
    known.stop(NAME)
    moments.advance(FORGOTTEN_AFTER_SECONDS)

    assert executions.liveness(NAME) == Over(None)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (client_error("AccessDeniedException"), "AccessDeniedException: asked for by the test"),
        (client_error("ThrottlingException"), "ThrottlingException: asked for by the test"),
        (client_error("InternalFailure", 500), "InternalFailure: asked for by the test"),
        (client_error("InvalidArn"), "InvalidArn: asked for by the test"),
        (NO_ANSWER, "ReadTimeoutError"),
        (NOT_SENT, "ConnectTimeoutError"),
    ],
    ids=["denied", "throttled", "server", "bad ARN", "no answer", "never sent"],
)
def test_any_other_answer_tells_nothing_and_is_never_taken_for_an_end(
    executions: Executions, client: SFNClient, error: Exception, why: str
) -> None:
    Requests(client, "DescribeExecution", error)

    found = executions.liveness(NAME)

    assert isinstance(found, Unreadable)
    assert found.what == f"execution {NAME}"
    assert why in found.why


def test_executions_of_other_machines_are_not_ours(known: FakeStepFunctions, client: SFNClient) -> None:
    known.start(NAME)
    other = Executions(known.machine_arn.replace("operation", "other"), lambda: client)

    assert other.liveness(NAME) == Over(None)


# Starting one.


def test_a_started_execution_runs_with_its_request(known: FakeStepFunctions, executions: Executions) -> None:
    executions.start(NAME, REQUEST)

    assert executions.liveness(NAME) == Running()
    assert json.loads(known.executions[NAME].input) == REQUEST


def test_starting_again_while_it_runs_starts_no_other_one(known: FakeStepFunctions, executions: Executions) -> None:
    executions.start(NAME, REQUEST)
    executions.start(NAME, dict(reversed(REQUEST.items())))

    assert known.started == [NAME]


@pytest.mark.parametrize(("status", "end"), ENDS, ids=[status for status, _ in ENDS])
def test_one_of_this_name_that_has_ended_stays_the_only_one(
    known: FakeStepFunctions, executions: Executions, status: str, end: Callable[[FakeStepFunctions], object]
) -> None:
    executions.start(NAME, REQUEST)
    end(known)

    executions.start(NAME, REQUEST)

    assert (known.started, executions.liveness(NAME)) == ([NAME], Over(status))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("AccessDeniedException"), CallFailed),
        (client_error("StateMachineDoesNotExist"), CallFailed),
        (client_error("ThrottlingException"), Throttled),
        (client_error("InternalFailure", 500), Unanswered),
        (NO_ANSWER, Unanswered),
        (NOT_SENT, CallFailed),
    ],
    ids=["denied", "no machine", "throttled", "server", "no answer", "never sent"],
)
def test_what_is_not_started_is_told(executions: Executions, client: SFNClient, error: Exception, kind: type[CallFailed]) -> None:
    Requests(client, "StartExecution", error)

    with pytest.raises(CallFailed) as caught:
        executions.start(NAME, REQUEST)

    assert type(caught.value) is kind
    assert caught.value.what == f"starting execution {NAME}"


# The client.


def test_the_client_is_made_when_it_is_first_needed_and_once(known: FakeStepFunctions, client: SFNClient) -> None:
    made: list[SFNClient] = []

    def make() -> Any:
        made.append(client)
        return client

    executions = Executions(known.machine_arn, make)
    assert made == []

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(executions.liveness, [NAME] * 16))

    assert len(made) == 1


def test_it_repeats_both_calls_since_neither_can_do_harm(environment: None) -> None:  # noqa: ARG001 - a fixture
    connect, read, retries = patience(step_functions_client())

    assert (connect, read) == (5, 10)
    assert (retries["mode"], retries["total_max_attempts"]) == ("standard", 5)
