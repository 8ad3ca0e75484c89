"""The fake of DynamoDB answers what moto answers, and leaves in the table what moto leaves.

What AWS itself answers is in tests/contract; here are the forms of request that the product has, and mistakes it could make.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from stagekeeper.aws.table import (
    SCHEMA,
    Check,
    Condition,
    Delete,
    Key,
    Put,
    Table,
    TransactionRefused,
    Update,
    absent,
    has,
    has_entry,
    lacks,
)
from tests.fake import FakeClock
from tests.fake.dynamodb import TOKEN_SECONDS, FakeDynamoDB

TABLE = "compared"
REGION = "eu-central-1"
KEY = {"pk": "A", "sk": "1"}
#: One of each kind of value.
ITEM = {**KEY, "text": "ä", "number": 7, "flag": True, "none": None, "list": [1, {"in": "list"}], "map": {"a": {"b": 1}}}
OTHER = {"pk": "A", "sk": "2", "number": 1}
ABSENT = {"pk": "B", "sk": "1"}

Ask = Callable[[Any], Any]


def write(kind: str, **members: Any) -> dict[str, Any]:
    return {kind: {"TableName": TABLE, **members}}


def put(item: dict[str, Any], condition: str | None = None, **more: Any) -> dict[str, Any]:
    return write("Put", Item=item, **({} if condition is None else {"ConditionExpression": condition}), **more)


def change(key: dict[str, Any], condition: str = "attribute_exists(pk)") -> dict[str, Any]:
    """Sets a member of a map, which an item has inside."""
    set_ = {"UpdateExpression": "SET #m.#a = :v", "ExpressionAttributeNames": {"#m": "map", "#a": "a"}}
    return write("Update", Key=key, ExpressionAttributeValues={":v": 2}, ConditionExpression=condition, **set_)


def delete(key: dict[str, Any], condition: str = "attribute_exists(pk)") -> dict[str, Any]:
    return write("Delete", Key=key, ConditionExpression=condition)


def check(key: dict[str, Any], condition: str) -> dict[str, Any]:
    return write("ConditionCheck", Key=key, ConditionExpression=condition)


def transaction(*writes: dict[str, Any]) -> Ask:
    return lambda client: client.transact_write_items(TransactItems=list(writes))


def query(condition: str, **more: Any) -> Ask:
    values = {f":{name}": value for name, value in more.pop("values", {}).items()}
    return lambda client: client.query(
        TableName=TABLE, KeyConditionExpression=condition, ExpressionAttributeValues={":pk": "A", **values}, **more
    )


def pages(operation: str, **members: Any) -> Ask:
    def ask(client: Any) -> Any:
        found = list(client.get_paginator(operation).paginate(TableName=TABLE, **members))
        return {**found[0], "pages": [page["Items"] for page in found if page["Items"]]}

    return ask


CASES: dict[str, Ask] = {
    "an item": lambda client: client.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True),
    "no item": lambda client: client.get_item(TableName=TABLE, Key=ABSENT),
    "some attributes": lambda client: client.get_item(
        TableName=TABLE, Key=KEY, ProjectionExpression="#n, #a", ExpressionAttributeNames={"#n": "number", "#a": "absent"}
    ),
    "several items": lambda client: client.batch_get_item(RequestItems={TABLE: {"Keys": [KEY, ABSENT, {"pk": "A", "sk": "2"}]}}),
    "an item twice at once": lambda client: client.batch_get_item(RequestItems={TABLE: {"Keys": [KEY, KEY]}}),
    "more items than a hundred": lambda client: client.batch_get_item(
        RequestItems={TABLE: {"Keys": [{"pk": "A", "sk": str(number)} for number in range(101)]}}
    ),
    "a whole partition": query("pk = :pk"),
    "a partition's items with a prefix": query("pk = :pk AND begins_with(sk, :sk)", values={"sk": "1"}),
    "a partition's items between two": query("pk = :pk AND sk BETWEEN :a AND :b", values={"a": "2", "b": "9"}),
    "a partition's items after one": query("pk = :pk AND sk > :sk", values={"sk": "1"}),
    "the newest first": query("pk = :pk", ScanIndexForward=False),
    "a prefix of nothing": query("pk = :pk AND begins_with(sk, :sk)", values={"sk": ""}),
    "no partition": lambda client: client.query(
        TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": "none"}
    ),
    "pages of one": pages(
        "query",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": "A"},
        PaginationConfig={"PageSize": 1},
    ),
    "the last one": pages(
        "query",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": "A"},
        ScanIndexForward=False,
        PaginationConfig={"PageSize": 1, "MaxItems": 1},
    ),
    "a scan": lambda client: client.scan(
        TableName=TABLE, FilterExpression="sk = :sk", ExpressionAttributeValues={":sk": "2"}, ProjectionExpression="pk, sk"
    ),
    "a table that is not there": lambda client: client.get_item(TableName="nowhere", Key=KEY),
    "a key with too much": lambda client: client.get_item(TableName=TABLE, Key=OTHER),
    "a key with too little": lambda client: client.get_item(TableName=TABLE, Key={"pk": "A"}),
    "a placeholder that is not used": lambda client: client.put_item(
        TableName=TABLE, Item=KEY, ConditionExpression="attribute_exists(pk)", ExpressionAttributeNames={"#n": "number"}
    ),
    "a put": lambda client: client.put_item(TableName=TABLE, Item={**ABSENT, "number": 1}),
    "a put over another": lambda client: client.put_item(TableName=TABLE, Item=KEY),
    "a put of an empty key": lambda client: client.put_item(TableName=TABLE, Item={"pk": "", "sk": "1"}),
    "a put of more than 400 KB": lambda client: client.put_item(TableName=TABLE, Item={**ABSENT, "text": "x" * 410_000}),
    "a put of a float": lambda client: client.put_item(TableName=TABLE, Item={**ABSENT, "number": 1.5}),
    "a put whose condition fails": lambda client: client.put_item(
        TableName=TABLE,
        Item=ITEM,
        ConditionExpression="attribute_not_exists(pk)",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    ),
    "a delete": lambda client: client.delete_item(TableName=TABLE, Key=KEY),
    "a delete of nothing": lambda client: client.delete_item(TableName=TABLE, Key=ABSENT),
    "an update of what is not there": lambda client: client.update_item(
        TableName=TABLE, Key=ABSENT, UpdateExpression="SET text2 = :t", ExpressionAttributeValues={":t": "new"}
    ),
    "an update that adds and removes": lambda client: client.update_item(
        TableName=TABLE,
        Key=KEY,
        UpdateExpression="SET #n = :v REMOVE #m.#a ADD fresh :v",
        ExpressionAttributeNames={"#n": "number", "#m": "map", "#a": "a"},
        ExpressionAttributeValues={":v": 3},
    ),
    "an update inside what is not there": lambda client: client.update_item(
        TableName=TABLE, Key=KEY, UpdateExpression="SET nothing.inside = :v", ExpressionAttributeValues={":v": 3}
    ),
    "an update of a key": lambda client: client.update_item(
        TableName=TABLE, Key=KEY, UpdateExpression="SET sk = :v", ExpressionAttributeValues={":v": "3"}
    ),
    "an update of a reserved name": lambda client: client.update_item(
        TableName=TABLE, Key=KEY, UpdateExpression="SET number = :v", ExpressionAttributeValues={":v": 3}
    ),
    "an update of one path twice": lambda client: client.update_item(
        TableName=TABLE, Key=KEY, UpdateExpression="SET fresh = :v, fresh = :v", ExpressionAttributeValues={":v": 3}
    ),
    "a transaction": transaction(put({**ABSENT, "new": 1}), change(KEY), delete({"pk": "A", "sk": "2"})),
    "one whose last condition fails": transaction(
        put({**OTHER, "number": 2}), change(KEY), put({**ABSENT, "new": 1}), check({"pk": "C", "sk": "1"}, "attribute_exists(pk)")
    ),
    "one that fails after a delete": transaction(delete(KEY), put(OTHER, "attribute_not_exists(pk)")),
    "one that fails after a change inside an item": transaction(change(KEY), put(OTHER, "attribute_not_exists(pk)")),
    "one that fails and shows why": transaction(
        put(ABSENT), put(OTHER, "attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD")
    ),
    "one with an item twice": transaction(change(KEY), delete(KEY)),
    "one of more than a hundred": transaction(*(put({"pk": "C", "sk": str(number)}) for number in range(101))),
    "one on a table that is not there": lambda client: client.transact_write_items(
        TransactItems=[{"Put": {"TableName": "nowhere", "Item": KEY}}]
    ),
}


#: What AWS refuses as malformed (developer guide, Expressions; API reference, GetItem) and moto takes.
STRICTER: dict[str, Ask] = {
    "a key of another type": lambda client: client.get_item(TableName=TABLE, Key={"pk": "A", "sk": 1}),
    "a placeholder that is not given": lambda client: client.put_item(
        TableName=TABLE, Item=KEY, ConditionExpression="#n = :n", ExpressionAttributeNames={"#n": "number"}
    ),
    "a value that is not used": lambda client: client.put_item(
        TableName=TABLE, Item=KEY, ConditionExpression="attribute_exists(pk)", ExpressionAttributeValues={":n": 1}
    ),
}


EVERYTHING = {"TableName": TABLE, "FilterExpression": "attribute_exists(pk)"}
#: AWS's sentences; costs, which moto tells without being asked; and what a query that has come to its end may say or not.
_NOBODYS = ("message", "Message", "ConsumedCapacity", "ItemCollectionMetrics", "LastEvaluatedKey")


@pytest.fixture(scope="module", autouse=True)
def moto() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture(scope="module")
def of_moto() -> Any:
    return boto3.resource("dynamodb", region_name=REGION).meta.client


@pytest.fixture
def of_the_fake() -> Any:
    return FakeDynamoDB(REGION).plain_client()


def outcome(client: Any, ask: Ask) -> tuple[Any, list[Any]]:
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
        return answered(client, ask), everything(client)
    finally:
        client.delete_table(TableName=TABLE)


def answered(client: Any, ask: Ask) -> Any:
    try:
        answer: dict[str, Any] = dict(ask(client))
    except ClientError as error:
        answer = dict(error.response)
        answer["Error"] = answer["Error"]["Code"]
        for reason in answer.get("CancellationReasons", []):
            reason.pop("Message", None)
    except TypeError:
        return "TypeError"
    status = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    for said in _NOBODYS:
        answer.pop(said, None)
    return {**answer, "status": status}


def everything(client: Any) -> list[Any]:
    found: list[Any] = [item for page in client.get_paginator("scan").paginate(**EVERYTHING) for item in page["Items"]]
    return sorted(found, key=lambda item: (item["pk"], item["sk"]))


@pytest.mark.parametrize("case", CASES)
def test_it_answers_and_does_what_moto_does(of_moto: Any, of_the_fake: Any, case: str) -> None:
    assert outcome(of_the_fake, CASES[case]) == outcome(of_moto, CASES[case])


#: The forms that the product's conditions have, each once where it holds of ITEM and once where it does not.
CONDITIONS = {
    "absent": absent(),
    "has": has("number", 7),
    "has another": has("number", 8),
    "has of another type": has("text", 7),
    "has a map": has("map", {"a": {"b": 1}}),
    "has another map": has("map", {"a": {"b": 2}}),
    "lacks": lacks("nothing"),
    "lacks what is there": lacks("number"),
    "has an entry": has_entry("map", "a"),
    "has an entry that is not there": has_entry("map", "b"),
    "has an entry of no map": has_entry("text", "a"),
    "absent or has": Condition("attribute_not_exists(pk) OR #c = :c", {"#c": "number"}, {":c": 7}),
    "absent or has another": Condition("attribute_not_exists(pk) OR #c = :c", {"#c": "number"}, {":c": 8}),
    "both": has("number", 7) & lacks("nothing"),
    "the first alone": has("number", 7) & has("flag", False),
    "the second alone": has("number", 8) & has("flag", True),
}


@pytest.mark.parametrize("key", [KEY, ABSENT], ids=["there", "not there"])
@pytest.mark.parametrize("form", CONDITIONS)
def test_each_form_of_condition_holds_where_it_does_on_moto(
    of_moto: Any, of_the_fake: Any, form: str, key: dict[str, str]
) -> None:
    assert holds(of_the_fake, CONDITIONS[form], key) == holds(of_moto, CONDITIONS[form], key)


def test_an_attribute_that_is_not_there_is_not_null(of_the_fake: Any) -> None:
    """As on AWS (developer guide, Comparison operator and function reference); moto does not tell them apart."""
    null = has("none", None)

    assert [holds(of_the_fake, null, key) for key in (KEY, {"pk": "A", "sk": "2"}, ABSENT)] == [True, False, False]


def holds(client: Any, condition: Condition, key: dict[str, str]) -> bool:
    """Whether the product's own check with this condition is not refused."""
    found: list[bool] = []

    def ask(client: Any) -> Any:
        try:
            Table(client, TABLE, _Standing()).transact([Check(Key(key["pk"], key["sk"]), condition)])
        except TransactionRefused:
            found.append(False)
        else:
            found.append(True)
        return {"ResponseMetadata": {"HTTPStatusCode": 200}}

    outcome(client, ask)
    return found == [True]


@pytest.mark.parametrize("case", STRICTER)
def test_what_aws_refuses_as_malformed_is_refused(of_the_fake: Any, case: str) -> None:
    answer, items = outcome(of_the_fake, STRICTER[case])

    assert answer == {"Error": "ValidationException", "status": 400}
    assert items == [ITEM, OTHER]


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("one ")])
def test_a_transaction_that_fails_leaves_everything_as_it_was(of_the_fake: Any, case: str) -> None:
    answer, items = outcome(of_the_fake, CASES[case])

    assert answer["status"] == 400
    assert items == [ITEM, OTHER]


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.put_item(TableName=TABLE, Item=KEY, ReturnValues="ALL_OLD"),
        lambda client: client.get_item(TableName=TABLE, Key=KEY, AttributesToGet=["pk"]),
        lambda client: client.put_item(TableName=TABLE, Item=KEY, ConditionExpression="size(pk) > pk"),
        lambda client: client.update_item(TableName=TABLE, Key=KEY, UpdateExpression="SET a = b"),
        lambda client: client.put_item(TableName=TABLE, Item=KEY, ConditionExpression="attribute_exists(a[0])"),
        lambda client: client.describe_table(TableName=TABLE),
    ],
    ids=["an answer", "an old parameter", "a function", "a value by another path", "an entry of a list", "an operation"],
)
def test_what_it_does_not_know_it_does_not_leave_out(of_the_fake: Any, ask: Ask) -> None:
    with pytest.raises(NotImplementedError):
        outcome(of_the_fake, ask)


def test_the_token_of_a_transaction_is_forgotten_after_ten_minutes() -> None:
    clock = FakeClock()
    fake = FakeDynamoDB(REGION, clock)
    fake.make_table(TABLE)
    add = {"UpdateExpression": "ADD n :n", "ExpressionAttributeValues": {":n": 1}}

    def once_more() -> None:
        fake.plain_client().transact_write_items(TransactItems=[write("Update", Key=KEY, **add)], ClientRequestToken="t")  # type: ignore[list-item]

    once_more()
    clock.advance(TOKEN_SECONDS - 1)
    once_more()
    assert fake.items(TABLE)["A", "1"]["n"] == 1

    clock.advance(1)
    once_more()
    assert fake.items(TABLE)["A", "1"]["n"] == 2


# Whatever the product writes.

_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=3) | st.decimals(-10, 10, places=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)
_names = st.sampled_from(["status", "holders", "epoch"])
_keys = st.builds(Key, st.sampled_from(["P", "Q"]), st.sampled_from(["s1", "s2"]))
#: Every item has its schema's number.
_attributes = st.dictionaries(_names, _values, max_size=2).map(lambda attributes: {"schema": SCHEMA, **attributes})
#: For moto an attribute that is not there is equal to null.
_compared = _values.filter(lambda value: value is not None)
_simple = (
    st.just(absent())
    | st.builds(has, _names, _compared)
    | st.builds(lacks, _names)
    | st.builds(has_entry, _names, st.sampled_from("ab"))
    | st.builds(
        lambda name, value: Condition("attribute_not_exists(pk) OR #c = :c", {"#c": name}, {":c": value}), _names, _compared
    )
)
_conditions = _simple | st.builds(lambda one, other: one & other, _simple, _simple)
_writes = (
    st.builds(Put, _keys, _attributes, st.none() | _conditions)
    | st.builds(Update, _keys, _attributes, _conditions)
    | st.builds(Delete, _keys, st.none() | _conditions)
    | st.builds(Check, _keys, _conditions)
)
_transactions = st.lists(_writes, min_size=1, max_size=3, unique_by=lambda write: write.key)


class _Standing:
    """A clock that nobody looks at."""

    def now(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError(f"nothing is tried again, in {seconds} s")


_numbers = itertools.count(1)


def played(client: Any, history: list[list[Any]]) -> tuple[list[object], list[dict[str, Any]], list[Any]]:
    """What became of each transaction, and what is there and what is read in the end."""
    name = f"history-{next(_numbers)}"
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in KEY],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    table = Table(client, name, _Standing())
    became: list[object] = []
    for writes in history:
        try:
            table.transact(writes)
        except TransactionRefused as refused:
            became.append(refused.failed)
        else:
            became.append(None)
    keys = [Key(pk, sk) for pk in "PQ" for sk in ("s1", "s2")]
    everything = [item for pk in "PQ" for item in table.query(pk, "s")]
    found = table.get_many(keys)
    read: list[Any] = [(found.get(key), table.get(key), table.get_attributes(key, "status", "pk")) for key in keys]
    read += [table.last("P", "s"), table.keys("P"), table.keys("Q", "s2"), sorted(table.scan("s1"), key=str)]
    client.delete_table(TableName=name)
    return became, everything, read


# The same ones each time: what moto gets wrong beside is no news.
@settings(max_examples=100, derandomize=True)
@given(st.lists(_transactions, min_size=1, max_size=6))
def test_whatever_the_product_writes_comes_to_what_it_comes_to_on_moto(of_moto: Any, history: list[list[Any]]) -> None:
    assert played(FakeDynamoDB(REGION).plain_client(), history) == played(of_moto, history)
