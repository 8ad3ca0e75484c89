"""The handler that EventBridge calls when an execution ends without success: which operation an event is about, and what follows.

The handler itself, over DynamoDB and Step Functions on moto; what a recovery then does is in engine/test_recovery.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import boto3
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from moto import mock_aws
from pydantic import ValidationError

from stagekeeper.aws import items
from stagekeeper.aws.table import Put
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.operation import Status
from stagekeeper.domain.record import Failed, OperationRecord
from stagekeeper.handlers import notice, runtime
from tests.adapters.records import RECORD

from .engine.wire import Wire
from .pages import ROOT, text

# Powertools says so where nothing is counted.
pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")

REGION: Final = "us-east-1"
MACHINE: Final = "stagekeeper-operation"
TABLE: Final = "state"
#: As EventBridge sends it.
EVENT: Final[dict[str, Any]] = json.loads(text(ROOT / "events/notice.json"))


@dataclass
class Account:
    """What the handler finds: operations on record, and executions."""

    wire: Wire
    machine_arn: str
    started: list[dict[str, Any]] = field(default_factory=list)

    @property
    def executions(self) -> Any:
        return boto3.client("stepfunctions", region_name=REGION)

    def put(self, name: str, **changes: Any) -> None:
        record: OperationRecord = replace(RECORD, operation_id=OperationId(name), **{"execution": name, **changes})
        runtime.deps().table.put(Put(items.operation_key(record.operation_id), items.operation_item(record)))
        if record.end is not None:
            key = items.operation_key(record.operation_id)
            ended = {**items.operation_item(record), **items.end_attributes(record.end, "2026-01-01T00:00:00.000Z")}
            runtime.deps().table.put(Put(key, ended))
        self.wire.clear()

    def run(self, name: str, *, stop: bool = False) -> None:
        arn = self.executions.start_execution(stateMachineArn=self.machine_arn, name=name, input="{}")["executionArn"]
        if stop:
            self.executions.stop_execution(executionArn=arn)
        self.wire.clear()

    def requests(self) -> list[str]:
        return [sent.name for sent in self.wire.sent]

    def recoveries(self) -> dict[str, Any]:
        """The recoveries that were begun: name -> input."""
        listed = self.executions.list_executions(stateMachineArn=self.machine_arn)["executions"]
        described = [self.executions.describe_execution(executionArn=each["executionArn"]) for each in listed]
        return {each["name"]: json.loads(each["input"]) for each in described if each["name"].startswith("recover-")}


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    settings = {"STATE_TABLE": TABLE, "ARTIFACT_BUCKET": "artifacts"}
    keys = {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with mock_aws():
        for name, value in {**settings, **keys}.items():
            monkeypatch.setenv(name, value)
        machine = boto3.client("stepfunctions", region_name=REGION).create_state_machine(
            name=MACHINE,
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/operation",
        )
        monkeypatch.setenv("STATE_MACHINE_ARN", machine["stateMachineArn"])
        boto3.client("dynamodb", region_name=REGION).create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        )
        runtime.deps.cache_clear()
        wire = Wire()
        wire.tap(runtime.deps().table._client)
        wire.tap(runtime.deps().executions._client())
        yield Account(wire, machine["stateMachineArn"])
        runtime.deps.cache_clear()


def event(name: str, *, status: str = "ABORTED", **detail: Any) -> dict[str, Any]:
    """The event of this execution's end; ``input`` None is one that Step Functions left out."""
    told = {**EVENT["detail"], "name": name, "status": status, **detail}
    return {**EVENT, "detail": told}


def recovery_of(operation_id: object) -> str:
    return json.dumps({"operation": "recover", "operation_id": operation_id, "service": "orders"})


def told(about: dict[str, Any]) -> dict[str, str]:
    answer: dict[str, str] = notice.handler(about, cast("LambdaContext", None))
    return answer


DEPLOY: Final = json.dumps({"operation": "deploy", "service": "orders", "operation_id": "not-mine"})
ENDED: Final = Failed("Locked", {"message": "Waited.", "blockers": [], "operation_id": "it", "warnings": []})


# What follows.


def test_a_refusal_has_ended_properly_and_costs_one_read(account: Account) -> None:
    account.put("it", status=Status.REFUSED, end=ENDED)

    assert told(event("it", status="FAILED", input=DEPLOY)) == {"operation_id": "it", "recovery": "not needed"}
    assert account.requests() == ["dynamodb.GetItem"]


def test_an_execution_that_left_no_record_costs_one_read(account: Account) -> None:
    assert told(event("it", status="FAILED", input=DEPLOY))["recovery"] == "not needed"
    assert account.requests() == ["dynamodb.GetItem"]


def test_an_operation_that_has_not_ended_is_recovered(account: Account) -> None:
    account.put("it", epoch=4)
    account.run("it", stop=True)

    assert told(event("it", input=DEPLOY)) == {"operation_id": "it", "recovery": "begun"}
    assert account.recoveries() == {"recover-it-4": {"operation": "recover", "operation_id": "it", "service": "orders"}}


def test_one_that_was_redriven_by_now_is_let_alone(account: Account) -> None:
    account.put("it")
    account.run("it")

    assert told(event("it", input=DEPLOY))["recovery"] == "not needed"
    assert account.recoveries() == {}


def test_how_often_it_began_one_is_counted(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    account.put("it")
    account.run("it", stop=True)

    told(event("it"))

    (counted,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert counted["Recoveries"] == [1.0]


# Which operation it is about.


def test_a_recovery_that_died_leads_to_the_operation_that_it_was_of(account: Account) -> None:
    account.put("it", execution="recover-it-4", epoch=7, recoveries=1)
    account.run("recover-it-4", stop=True)

    assert told(event("recover-it-4", input=recovery_of("it"))) == {"operation_id": "it", "recovery": "begun"}
    assert set(account.recoveries()) == {"recover-it-4", "recover-it-7"}


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="left out, since it is long"),
        pytest.param("", id="empty"),
        pytest.param("{", id="no JSON"),
        pytest.param('"recover"', id="no object"),
        pytest.param("[1]", id="a list"),
        pytest.param(DEPLOY, id="another operation that says something in that field"),
        pytest.param(json.dumps({"operation": "recover"}), id="a recovery of all"),
        pytest.param(recovery_of(42), id="no name"),
        pytest.param(recovery_of(None), id="null"),
    ],
)
def test_any_other_is_about_the_operation_of_its_own_name(account: Account, given: str | None) -> None:
    account.put("it", status=Status.REFUSED, end=ENDED)

    assert told(event("it", input=given))["operation_id"] == "it"


def test_the_input_may_be_missing(account: Account) -> None:
    about = event("it")
    del about["detail"]["input"]

    assert told(about) == {"operation_id": "it", "recovery": "not needed"}
    assert account.requests() == ["dynamodb.GetItem"]


@pytest.mark.parametrize("broken", [{}, {"detail": {}}, {"detail": {"name": 7, "status": "FAILED"}}, {"detail": "it"}])
def test_what_is_no_such_event_fails_so_that_it_is_seen(account: Account, broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        told(broken)

    assert account.requests() == []
