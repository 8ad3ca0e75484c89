"""The fake of Step Functions: AWS's rules on starting and describing, and what it lets a test arrange and see.

The embedded AWS has the same rules as cases of tests/contract/test_step_functions.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.fake import FORGOTTEN_AFTER_SECONDS, FakeClock, FakeStepFunctions

from .engine.wire import Wire

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

DAY = 86_400.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fake(clock: FakeClock) -> FakeStepFunctions:
    return FakeStepFunctions("eu-west-1", clock, "210987654321")


@pytest.fixture
def client(fake: FakeStepFunctions) -> SFNClient:
    return fake.client()


def start(client: SFNClient, fake: FakeStepFunctions, name: str = "deploy-1", given: str = '{"n": 1}') -> str:
    return client.start_execution(stateMachineArn=fake.machine_arn, name=name, input=given)["executionArn"]


def described(client: SFNClient, fake: FakeStepFunctions, name: str = "deploy-1") -> dict[str, Any]:
    shown: dict[str, Any] = dict(client.describe_execution(executionArn=fake.arn_of(name)))
    del shown["ResponseMetadata"]
    return shown


def refusal(call: Callable[[], object]) -> tuple[str, str]:
    """Code and sentence that a call is refused with."""
    with pytest.raises(ClientError) as caught:
        call()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# StartExecution.


def test_an_execution_starts_under_its_name_in_the_machines_account_and_region(
    client: SFNClient, fake: FakeStepFunctions, clock: FakeClock
) -> None:
    answer = client.start_execution(stateMachineArn=fake.machine_arn, name="deploy-1", input="{}")

    assert answer["executionArn"] == "arn:aws:states:eu-west-1:210987654321:execution:operation:deploy-1"
    assert answer["startDate"].timestamp() == clock.now


def test_an_execution_without_a_name_gets_one_of_its_own(client: SFNClient, fake: FakeStepFunctions) -> None:
    arns = {client.start_execution(stateMachineArn=fake.machine_arn)["executionArn"] for _ in range(2)}

    assert arns == {fake.arn_of(name) for name in fake.started}
    assert len(arns) == 2


def test_the_same_name_and_input_while_it_runs_is_the_same_execution(
    client: SFNClient, fake: FakeStepFunctions, clock: FakeClock
) -> None:
    first = client.start_execution(stateMachineArn=fake.machine_arn, name="deploy-1", input='{"n": 1}')
    clock.advance(5)

    again = client.start_execution(stateMachineArn=fake.machine_arn, name="deploy-1", input='{"n": 1}')

    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])
    assert fake.started == ["deploy-1"]


def test_the_same_name_with_another_input_is_refused(client: SFNClient, fake: FakeStepFunctions) -> None:
    arn = start(client, fake)

    told = refusal(lambda: start(client, fake, given='{"n": 2}'))

    assert told == ("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda fake: fake.succeed("deploy-1", {}), id="succeeded"),
        pytest.param(lambda fake: fake.fail("deploy-1", "Locked", "held"), id="failed"),
        pytest.param(lambda fake: fake.stop("deploy-1"), id="stopped"),
        pytest.param(lambda fake: fake.time_out("deploy-1"), id="timed-out"),
    ],
)
def test_the_same_name_after_it_ended_is_refused(
    client: SFNClient, fake: FakeStepFunctions, end: Callable[[FakeStepFunctions], None]
) -> None:
    start(client, fake)
    end(fake)

    assert refusal(lambda: start(client, fake))[0] == "ExecutionAlreadyExists"


def test_a_name_is_free_again_ninety_days_after_its_execution_ended(
    client: SFNClient, fake: FakeStepFunctions, clock: FakeClock
) -> None:
    start(client, fake)
    clock.advance(DAY)
    fake.stop("deploy-1")
    clock.advance(FORGOTTEN_AFTER_SECONDS - 1)
    assert refusal(lambda: start(client, fake))[0] == "ExecutionAlreadyExists"
    clock.advance(1)

    start(client, fake)

    assert described(client, fake)["status"] == "RUNNING"


def test_another_machine_does_not_exist(client: SFNClient, fake: FakeStepFunctions) -> None:
    other = fake.machine_arn + "s"

    told = refusal(lambda: client.start_execution(stateMachineArn=other, name="deploy-1"))

    assert told == ("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{other}'")


@pytest.mark.parametrize("name", ["a" * 80, "deploy-1_2.3", "recover(1)", "straße"])
def test_a_name_may_have_eighty_characters_of_aws_choice(client: SFNClient, fake: FakeStepFunctions, name: str) -> None:
    start(client, fake, name)

    assert fake.started == [name]


@pytest.mark.parametrize("name", ["a" * 81, "with space", "a/b", "a:b", "what?", "a*", "[a]", "{a}", "<a>", 'say "it"', "a\x7f"])
def test_a_name_that_cannot_be_one_is_refused(client: SFNClient, fake: FakeStepFunctions, name: str) -> None:
    assert refusal(lambda: start(client, fake, name)) == ("InvalidName", f"Invalid Name: '{name}'")
    assert fake.executions == {}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("not some json", "Invalid State Machine Execution Input: '"),
        ("{'a': 1}", "Invalid State Machine Execution Input: '"),
        ("", "Invalid State Machine Execution Input: 'Invalid execution input.'"),
    ],
)
def test_an_input_that_is_no_json_is_refused(client: SFNClient, fake: FakeStepFunctions, given: str, sentence: str) -> None:
    code, message = refusal(lambda: start(client, fake, given=given))

    assert (code, message[: len(sentence)]) == ("InvalidExecutionInput", sentence)
    assert fake.executions == {}


def test_an_input_over_256_kib_is_refused(client: SFNClient, fake: FakeStepFunctions) -> None:
    start(client, fake, "fits", '"' + "x" * 262_142 + '"')

    assert refusal(lambda: start(client, fake, "too-long", '"' + "x" * 262_143 + '"'))[0] == "ValidationException"


# DescribeExecution.


def test_a_running_execution_has_no_end(client: SFNClient, fake: FakeStepFunctions) -> None:
    arn = start(client, fake)

    shown = described(client, fake)

    assert "startDate" in shown
    del shown["startDate"]
    assert shown == {
        "executionArn": arn,
        "stateMachineArn": fake.machine_arn,
        "name": "deploy-1",
        "status": "RUNNING",
        "input": '{"n": 1}',
        "inputDetails": {"included": True},
        "redriveCount": 0,
        "redriveStatus": "NOT_REDRIVABLE",
        "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
    }


def test_one_that_succeeded_has_an_output(client: SFNClient, fake: FakeStepFunctions, clock: FakeClock) -> None:
    start(client, fake)
    clock.advance(7)

    fake.succeed("deploy-1", {"outcome": "unchanged"})

    shown = described(client, fake)
    assert (shown["status"], shown["output"], shown["outputDetails"]) == (
        "SUCCEEDED",
        '{"outcome": "unchanged"}',
        {"included": True},
    )
    assert (shown["stopDate"] - shown["startDate"]).total_seconds() == 7
    assert not shown.keys() & {"error", "cause"}


def test_one_that_failed_has_an_error_and_a_cause_and_no_output(client: SFNClient, fake: FakeStepFunctions) -> None:
    start(client, fake)

    fake.fail("deploy-1", "Locked", '{"message": "held"}')

    shown = described(client, fake)
    assert (shown["status"], shown["error"], shown["cause"]) == ("FAILED", "Locked", '{"message": "held"}')
    assert shown["redriveStatus"] == "REDRIVABLE"
    assert not shown.keys() & {"output", "outputDetails"}


@pytest.mark.parametrize(
    ("end", "status"),
    [(FakeStepFunctions.stop, "ABORTED"), (FakeStepFunctions.time_out, "TIMED_OUT")],
    ids=["stopped", "timed-out"],
)
def test_one_that_was_ended_from_outside_tells_neither_output_nor_error(
    client: SFNClient, fake: FakeStepFunctions, end: Callable[[FakeStepFunctions, str], None], status: str
) -> None:
    start(client, fake)

    end(fake, "deploy-1")

    shown = described(client, fake)
    assert (shown["status"], "stopDate" in shown) == (status, True)
    assert not shown.keys() & {"output", "outputDetails", "error", "cause"}


def test_a_name_that_never_was_does_not_exist(client: SFNClient, fake: FakeStepFunctions) -> None:
    told = refusal(lambda: described(client, fake, "never"))

    assert told == ("ExecutionDoesNotExist", f"Execution Does Not Exist: '{fake.arn_of('never')}'")


@pytest.mark.parametrize(
    ("part", "other"), [("operation", "other"), ("eu-west-1", "eu-west-2"), ("210987654321", "123456789012")]
)
def test_the_same_name_elsewhere_is_another_execution(client: SFNClient, fake: FakeStepFunctions, part: str, other: str) -> None:
    arn = start(client, fake).replace(part, other)

    assert refusal(lambda: client.describe_execution(executionArn=arn))[0] == "ExecutionDoesNotExist"


def test_what_is_no_execution_arn_is_invalid(client: SFNClient) -> None:
    told = refusal(lambda: client.describe_execution(executionArn="deploy-1"))

    assert told == ("InvalidArn", "Invalid Arn: 'Invalid ARN prefix: deploy-1'")


def test_an_execution_is_forgotten_ninety_days_after_its_end(
    client: SFNClient, fake: FakeStepFunctions, clock: FakeClock
) -> None:
    start(client, fake)
    fake.stop("deploy-1")
    clock.advance(FORGOTTEN_AFTER_SECONDS)

    assert refusal(lambda: described(client, fake))[0] == "ExecutionDoesNotExist"


def test_an_execution_that_runs_is_never_forgotten(client: SFNClient, fake: FakeStepFunctions, clock: FakeClock) -> None:
    start(client, fake)
    clock.advance(2 * FORGOTTEN_AFTER_SECONDS)

    assert described(client, fake)["status"] == "RUNNING"


# What tests arrange and see.


def test_any_other_operation_raises_loudly(client: SFNClient, fake: FakeStepFunctions) -> None:
    with pytest.raises(NotImplementedError, match="StopExecution"):
        client.stop_execution(executionArn=fake.arn_of("deploy-1"))


def test_what_has_ended_does_not_end_again(fake: FakeStepFunctions) -> None:
    fake.start("deploy-1")
    fake.stop("deploy-1")

    with pytest.raises(AssertionError, match="ABORTED"):
        fake.fail("deploy-1", "Locked", "held")

    assert fake.executions["deploy-1"].status == "ABORTED"


def test_the_hook_is_told_of_each_execution_that_really_starts(client: SFNClient, fake: FakeStepFunctions) -> None:
    told: list[tuple[str, Any]] = []
    fake.on_start = lambda name, given: told.append((name, given))

    start(client, fake)
    start(client, fake)
    refusal(lambda: start(client, fake, given="{}"))
    fake.start("rollback-1", {"n": 2})

    assert told == [("deploy-1", {"n": 1}), ("rollback-1", {"n": 2})]
    assert fake.started == ["deploy-1", "rollback-1"]


def test_the_hook_may_run_the_execution_to_its_end(client: SFNClient, fake: FakeStepFunctions) -> None:
    fake.on_start = lambda name, _given: fake.succeed(name, {"by": "hook"})

    start(client, fake)

    assert described(client, fake)["status"] == "SUCCEEDED"


def test_a_start_whose_answer_is_lost_has_started(client: SFNClient, fake: FakeStepFunctions) -> None:
    wire = Wire()
    wire.tap(client)
    wire.fail("sfn.StartExecution", "ServiceUnavailable", 503, applied=True)

    with pytest.raises(ClientError):
        start(client, fake)

    assert fake.started == ["deploy-1"]


def test_a_start_that_is_cut_off_has_not_started(client: SFNClient, fake: FakeStepFunctions) -> None:
    wire = Wire()
    wire.tap(client)
    wire.fail("sfn.StartExecution", "ThrottlingException")

    with pytest.raises(ClientError):
        start(client, fake)

    assert (fake.started, [sent.name for sent in wire.sent]) == ([], ["sfn.StartExecution"])
