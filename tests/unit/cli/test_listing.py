"""The list of operations: what Step Functions has of them, newest first."""

from __future__ import annotations

import io

import boto3
import pytest
from botocore.exceptions import ClientError
from rich.console import Console

from stagekeeper.aws.errors import CallFailed
from stagekeeper.cli.listing import Listed, as_json, read, show

from .desk import Desk

NOON = 1_815_568_200.0
FOUND = [Listed("orders-dev-deploy-20270714T123000-ab12", "running", NOON, None), Listed("orders-1", "failed", NOON, NOON + 7)]
NOW = NOON + 90


def begun(desk: Desk, *names: str) -> None:
    for name in names:
        desk.sends("rollback", "--service", "orders", "--stage", "prod", "--operation-id", name)


def test_the_operations_are_listed_and_more_are_told_of(desk: Desk) -> None:
    begun(desk, "one", "two", "three")

    whole = desk.does("operations", "--json").json
    assert {each["operation_id"] for each in whole["operations"]} == {"one", "two", "three"}
    assert whole["more"] is False
    few = desk.does("operations", "--limit", "2", "--json").json
    assert few == {"operations": whole["operations"][:2], "more": True} | {
        "operations": [{**each, "seconds": few["operations"][at]["seconds"]} for at, each in enumerate(whole["operations"][:2])]
    }


def test_only_those_of_a_status_are_listed(desk: Desk) -> None:
    begun(desk, "one")

    assert len(desk.does("operations", "--status", "running", "--json").json["operations"]) == 1
    assert desk.does("operations", "--status", "failed").stdout == "There are no such operations.\n"


def test_who_may_not_list_them_is_told_which_right_it_takes() -> None:
    client = boto3.client("stepfunctions", region_name="eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")

    def deny(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "ListExecutions")

    client.meta.events.register("before-call.stepfunctions.ListExecutions", deny)

    with pytest.raises(CallFailed, match=r"states:ListExecutions, which OperatorPolicyArn leaves out"):
        read(client, "arn:aws:states:eu-central-1:1:stateMachine:x", None, 1)


def test_for_scripts() -> None:
    assert as_json(FOUND, True, NOW) == {
        "operations": [
            {
                "operation_id": "orders-dev-deploy-20270714T123000-ab12",
                "status": "running",
                "began_at": "2027-07-14T12:30:00.000Z",
                "ended_at": None,
                "seconds": 90.0,
            },
            {
                "operation_id": "orders-1",
                "status": "failed",
                "began_at": "2027-07-14T12:30:00.000Z",
                "ended_at": "2027-07-14T12:30:07.000Z",
                "seconds": 7.0,
            },
        ],
        "more": True,
    }


def printed(terminal: bool) -> list[str]:
    file = io.StringIO()
    show(FOUND, True, NOW, Console(file=file, width=80, force_terminal=terminal, color_system=None))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.usefixtures("berlin")
def test_in_a_terminal_an_id_is_on_a_line_of_its_own() -> None:
    assert printed(terminal=True) == [
        "2027-07-14 14:30:00  running    1 min",
        "  orders-dev-deploy-20270714T123000-ab12",
        "2027-07-14 14:30:00  failed     7 s",
        "  orders-1",
        "There are older ones: --limit 4 shows more.",
    ]


def test_in_a_pipe_an_operation_is_one_line() -> None:
    assert [line.split()[-1] for line in printed(terminal=False)[2:4]] == [each.operation_id for each in FOUND]
