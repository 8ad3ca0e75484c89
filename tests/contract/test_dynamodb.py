"""DynamoDB: conditions and transactions, as the lock, the ledger and the commit lean on them.

On moto, which the adapter tests use, on the fake, which the engine's use, and on the embedded AWS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from tests.fake.dynamodb import FakeDynamoDB

from .conftest import REGION, embedded_client
from .support import EMBEDDED, FAKE, MOTO, PLAIN, refused, source, unique, wrong_on

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRANSACT = source("Amazon DynamoDB API reference, TransactWriteItems")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    metafunc.parametrize("storage_name", [MOTO, FAKE, pytest.param(EMBEDDED, marks=pytest.mark.embedded)])


@dataclass
class Table:
    """One table with keys `pk` and `sk`, both strings."""

    client: DynamoDBClient
    name: str

    def key(self, pk: str, sk: str = "-") -> dict[str, Any]:
        return {"pk": {"S": pk}, "sk": {"S": sk}}

    def put(self, pk: str, n: int, **members: Any) -> dict[str, Any]:
        """A Put of a transaction."""
        return {"Put": {"TableName": self.name, "Item": self.key(pk) | {"n": {"N": str(n)}}} | members}

    def add(self, pk: str, n: int) -> dict[str, Any]:
        """An Update of a transaction that adds to a number."""
        return {
            "Update": {
                "TableName": self.name,
                "Key": self.key(pk),
                "UpdateExpression": "ADD n :n",
                "ExpressionAttributeValues": {":n": {"N": str(n)}},
            }
        }

    def transact(self, *actions: dict[str, Any], **members: Any) -> None:
        items: list[Any] = list(actions)
        self.client.transact_write_items(TransactItems=items, **members)

    def number(self, pk: str) -> int | None:
        item = self.client.get_item(TableName=self.name, Key=self.key(pk), ConsistentRead=True).get("Item")
        return int(item["n"]["N"]) if item else None


@pytest.fixture
def client(storage_name: str, request: pytest.FixtureRequest) -> Iterator[DynamoDBClient]:
    if storage_name == EMBEDDED:
        yield embedded_client(request.getfixturevalue("embedded"), "dynamodb")
        return
    if storage_name == FAKE:
        yield FakeDynamoDB(REGION).client(PLAIN)
        return
    with mock_aws():
        yield boto3.client("dynamodb", region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test", config=PLAIN)


@pytest.fixture
def table(client: DynamoDBClient) -> Iterator[Table]:
    name = unique("table")
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
    )
    yield Table(client, name)
    client.delete_table(TableName=name)


@TRANSACT
def test_a_transaction_writes_all(table: Table) -> None:
    table.transact(table.put("a", 1), table.put("b", 2))

    assert (table.number("a"), table.number("b")) == (1, 2)


@TRANSACT
def test_a_transaction_with_a_failed_condition_writes_nothing(table: Table) -> None:
    table.transact(table.put("b", 2))

    with refused("TransactionCanceledException", 400):
        table.transact(table.put("a", 1), table.put("b", 3, ConditionExpression="attribute_not_exists(pk)"))

    assert (table.number("a"), table.number("b")) == (None, 2)


@TRANSACT
def test_the_reasons_of_a_cancelled_transaction_are_in_the_order_of_its_actions(table: Table) -> None:
    table.transact(table.put("b", 2))

    with refused("TransactionCanceledException", 400) as refusal:
        table.transact(
            table.put("a", 1),
            table.put("b", 3, ConditionExpression="attribute_not_exists(pk)"),
            table.put("c", 4),
        )

    assert [reason["Code"] for reason in refusal.response["CancellationReasons"]] == [
        "None",
        "ConditionalCheckFailed",
        "None",
    ]


@TRANSACT
def test_a_failed_condition_shows_the_item_when_asked(table: Table) -> None:
    table.transact(table.put("b", 2))

    with refused("TransactionCanceledException", 400) as refusal:
        table.transact(
            table.put(
                "b",
                3,
                ConditionExpression="attribute_not_exists(pk)",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        )

    assert refusal.response["CancellationReasons"][0]["Item"]["n"] == {"N": "2"}


@TRANSACT
def test_a_condition_check_guards_a_transaction_without_writing(table: Table) -> None:
    check = {
        "ConditionCheck": {
            "TableName": table.name,
            "Key": table.key("lock"),
            "ConditionExpression": "attribute_exists(pk)",
        }
    }

    with refused("TransactionCanceledException", 400):
        table.transact(check, table.put("a", 1))

    assert table.number("a") is None


@TRANSACT
@wrong_on(MOTO, "applies a transaction again whatever its token")
def test_the_same_token_and_actions_are_applied_once(table: Table) -> None:
    token = unique("token")
    table.transact(table.add("a", 1), ClientRequestToken=token)

    table.transact(table.add("a", 1), ClientRequestToken=token)

    assert table.number("a") == 1


@TRANSACT
@wrong_on(MOTO, "applies a transaction again whatever its token")
def test_the_same_token_with_other_actions_is_refused(table: Table) -> None:
    token = unique("token")
    table.transact(table.add("a", 1), ClientRequestToken=token)

    with refused("IdempotentParameterMismatchException", 400):
        table.transact(table.add("a", 2), ClientRequestToken=token)

    assert table.number("a") == 1


@TRANSACT
@pytest.mark.parametrize(("count", "accepted"), [(100, True), (101, False)])
def test_a_transaction_has_at_most_100_actions(table: Table, count: int, accepted: bool) -> None:
    actions = [table.put(f"item-{number}", number) for number in range(count)]

    if accepted:
        table.transact(*actions)
        assert table.number("item-99") == 99
    else:
        with refused("ValidationException", 400):
            table.transact(*actions)
        assert table.number("item-0") is None


@TRANSACT
def test_a_transaction_names_each_item_once(table: Table) -> None:
    with refused("ValidationException", 400):
        table.transact(table.put("a", 1), table.add("a", 1))

    assert table.number("a") is None


@source("Amazon DynamoDB developer guide, Constraints: an item has at most 400 KB")
def test_an_item_has_at_most_400_kb(table: Table) -> None:
    with refused("ValidationException", 400):
        table.client.put_item(TableName=table.name, Item={"pk": {"S": "big"}, "sk": {"S": "-"}, "text": {"S": "x" * 410_000}})


@source("Amazon DynamoDB API reference, PutItem")
def test_a_conditional_put_is_refused_when_its_condition_fails(table: Table) -> None:
    item: dict[str, Any] = table.key("a") | {"n": {"N": "1"}}
    table.client.put_item(TableName=table.name, Item=item)

    with refused("ConditionalCheckFailedException", 400) as refusal:
        table.client.put_item(
            TableName=table.name,
            Item=item | {"n": {"N": "2"}},
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    assert table.number("a") == 1
    assert refusal.response["Item"]["n"] == {"N": "1"}


@source("Amazon DynamoDB API reference, UpdateItem")
def test_a_condition_on_a_nested_attribute_compares_its_value(table: Table) -> None:
    slots: dict[str, Any] = {"slots": {"M": {"publish": {"S": "operation-1"}}}}
    table.client.put_item(TableName=table.name, Item=table.key("lock") | slots)
    update: dict[str, Any] = {
        "TableName": table.name,
        "Key": table.key("lock"),
        "UpdateExpression": "REMOVE slots.publish",
        "ConditionExpression": "slots.publish = :holder",
    }

    with refused("ConditionalCheckFailedException", 400):
        table.client.update_item(**update, ExpressionAttributeValues={":holder": {"S": "operation-2"}})
    table.client.update_item(**update, ExpressionAttributeValues={":holder": {"S": "operation-1"}})

    left = table.client.get_item(TableName=table.name, Key=table.key("lock"), ConsistentRead=True)["Item"]
    assert left["slots"] == {"M": {}}


@source("Amazon DynamoDB API reference, UpdateItem: a document path must exist")
def test_a_path_into_a_map_that_is_not_there_is_refused(table: Table) -> None:
    table.client.put_item(TableName=table.name, Item=table.key("lock"))

    with refused("ValidationException", 400):
        table.client.update_item(
            TableName=table.name,
            Key=table.key("lock"),
            UpdateExpression="SET slots.publish = :holder",
            ExpressionAttributeValues={":holder": {"S": "operation-1"}},
        )


@source("Amazon DynamoDB API reference, Query: Limit and LastEvaluatedKey")
def test_a_query_pages_in_the_order_of_the_sort_key(table: Table) -> None:
    for number in (3, 1, 2):
        table.client.put_item(TableName=table.name, Item=table.key("ledger", f"{number:04}"))

    pages = table.client.get_paginator("query").paginate(
        TableName=table.name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "ledger"}},
        ScanIndexForward=False,
        PaginationConfig={"PageSize": 2},
    )

    assert [[item["sk"]["S"] for item in page["Items"]] for page in pages] == [["0003", "0002"], ["0001"]]
