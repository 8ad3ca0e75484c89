"""The short way to moto's DynamoDB answers what the long way answers, and leaves in the table what that leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from .direct_dynamodb import shorten
from .world import REGION

TABLE = "compared"
KEY = {"pk": "A", "sk": "1"}
#: One of each kind of value.
ITEM = {**KEY, "text": "ä", "number": 7, "flag": True, "none": None, "list": [1, {"in": "list"}], "map": {"a": {"b": 1}}}
OTHER = {"pk": "A", "sk": "2", "number": 1}
ABSENT = {"pk": "B", "sk": "1"}


def write(kind: str, **members: Any) -> dict[str, Any]:
    return {kind: {"TableName": TABLE, **members}}


def put(item: dict[str, Any], condition: str | None = None) -> dict[str, Any]:
    return write("Put", Item=item, **({} if condition is None else {"ConditionExpression": condition}))


def change(key: dict[str, Any], condition: str = "attribute_exists(pk)") -> dict[str, Any]:
    """Sets a member of a map, which an item has inside."""
    set_ = {"UpdateExpression": "SET #m.#a = :v", "ExpressionAttributeNames": {"#m": "map", "#a": "a"}}
    return write("Update", Key=key, ExpressionAttributeValues={":v": 2}, ConditionExpression=condition, **set_)


def delete(key: dict[str, Any], condition: str = "attribute_exists(pk)") -> dict[str, Any]:
    return write("Delete", Key=key, ConditionExpression=condition)


def check(key: dict[str, Any], condition: str) -> dict[str, Any]:
    return write("ConditionCheck", Key=key, ConditionExpression=condition)


def transaction(*writes: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda client: client.transact_write_items(TransactItems=list(writes))


CASES: dict[str, Callable[[Any], Any]] = {
    "an item": lambda client: client.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True),
    "no item": lambda client: client.get_item(TableName=TABLE, Key=ABSENT),
    "some attributes": lambda client: client.get_item(
        TableName=TABLE, Key=KEY, ProjectionExpression="#n", ExpressionAttributeNames={"#n": "number"}
    ),
    "several items": lambda client: client.batch_get_item(RequestItems={TABLE: {"Keys": [KEY, ABSENT]}}),
    "a query": lambda client: client.query(
        TableName=TABLE,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": "A", ":sk": ""},
    ),
    "a scan": lambda client: client.scan(TableName=TABLE),
    "a table that is not there": lambda client: client.get_item(TableName="nowhere", Key=KEY),
    "a put": lambda client: client.put_item(TableName=TABLE, Item={**ABSENT, "number": 1}),
    "a transaction": transaction(put({**ABSENT, "new": 1}), change(KEY), delete({"pk": "A", "sk": "2"})),
    "one whose last condition fails": transaction(
        put({**OTHER, "number": 2}), change(KEY), put({**ABSENT, "new": 1}), check({"pk": "C", "sk": "1"}, "attribute_exists(pk)")
    ),
    "one that fails after a delete": transaction(delete(KEY), put(OTHER, "attribute_not_exists(pk)")),
    "one that fails after a change inside an item": transaction(change(KEY), put(OTHER, "attribute_not_exists(pk)")),
    "one with an item twice": transaction(change(KEY), delete(KEY)),
    "one on a table that is not there": lambda client: client.transact_write_items(
        TransactItems=[{"Put": {"TableName": "nowhere", "Item": KEY}}]
    ),
}


@pytest.fixture
def clients() -> tuple[Any, Any]:
    """The short way's client and the long way's."""
    short, long = (boto3.resource("dynamodb", region_name=REGION).meta.client for _ in range(2))
    shorten(short)
    return short, long


def outcome(client: Any, ask: Callable[[Any], Any]) -> tuple[dict[str, Any], list[Any]]:
    """What is answered, and what the table holds afterwards."""
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in KEY],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    try:
        for item in (ITEM, OTHER):
            client.put_item(TableName=TABLE, Item=item)
        try:
            answer: dict[str, Any] = dict(ask(client))
        except ClientError as error:
            answer = dict(error.response)
        answer["status"] = answer.pop("ResponseMetadata")["HTTPStatusCode"]
        return answer, client.scan(TableName=TABLE)["Items"]
    finally:
        client.delete_table(TableName=TABLE)


@pytest.mark.parametrize("case", CASES)
def test_both_ways_come_to_the_same(clients: tuple[Any, Any], case: str) -> None:
    short, long = clients

    assert outcome(short, CASES[case]) == outcome(long, CASES[case])


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("one ")])
def test_a_transaction_that_fails_leaves_everything_as_it_was(clients: tuple[Any, Any], case: str) -> None:
    short, _ = clients

    answer, items = outcome(short, CASES[case])

    assert answer["status"] == 400
    assert items == [ITEM, OTHER]
