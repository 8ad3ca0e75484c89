"""The table: conditional transactions of plain values, consistent reads of any size, and what is not as this code writes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ReadTimeoutError

from stagekeeper.aws.errors import CallFailed, Unanswered
from stagekeeper.aws.table import (
    Check,
    Condition,
    Delete,
    Key,
    MalformedItem,
    Put,
    Table,
    TransactionRefused,
    Update,
    Write,
    absent,
    dynamodb_client,
    has,
    has_entry,
    lacks,
)

from .clock import Clock
from .conftest import patience
from .interruptions import Requests, client_error

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ONE, TWO, THREE = Key("P", "1"), Key("P", "2"), Key("P", "3")


def item(key: Key, **attributes: Any) -> dict[str, Any]:
    return {"pk": key.pk, "sk": key.sk, "schema": 1, **attributes}


def test_what_was_put_is_read_as_it_was(table: Table) -> None:
    values: dict[str, Any] = {"text": "a", "number": 7, "nothing": None, "yes": True, "list": [1, "b"], "map": {"n": {"m": 2}}}

    table.transact([Put(ONE, values)])

    assert table.get(ONE) == item(ONE, **values)
    assert type((table.get(ONE) or {})["number"]) is int


def test_what_is_not_there_is_none(table: Table) -> None:
    assert table.get(ONE) is None


def test_some_attributes_of_an_item_are_read_without_the_rest(table: Table) -> None:
    table.transact([Put(ONE, {"status": "planned", "epoch": 7, "big": {"x": 1}})])

    assert table.get_attributes(ONE, "status", "epoch", "none") == {"status": "planned", "epoch": 7}
    assert table.get_attributes(TWO, "status") is None


CONDITIONS = [
    pytest.param(absent(), False, id="absent"),
    pytest.param(has("n", 7), True, id="has"),
    pytest.param(has("n", 8), False, id="has another value"),
    pytest.param(has("m", 7), False, id="has what is not there"),
    pytest.param(lacks("m"), True, id="lacks"),
    pytest.param(lacks("n"), False, id="lacks what is there"),
    pytest.param(has_entry("map", "a-b.c"), True, id="has entry"),
    pytest.param(has_entry("map", "z"), False, id="has another entry"),
    pytest.param(has("n", 7) & lacks("m"), True, id="both hold"),
    pytest.param(has("n", 8) & lacks("m"), False, id="the first does not"),
    pytest.param(has("n", 7) & lacks("map"), False, id="the second does not"),
    pytest.param(has("n", 7) & has("t", "x") & lacks("m"), True, id="three of them"),
]


@pytest.mark.parametrize("kind", ["put", "update", "delete", "check"])
@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_a_write_happens_only_if_its_condition_holds(table: Table, condition: Condition, holds: bool, kind: str) -> None:
    table.transact([Put(ONE, {"n": 7, "t": "x", "map": {"a-b.c": 1}})])
    write: dict[str, Write] = {
        "put": Put(ONE, {"n": 9}, condition),
        "update": Update(ONE, {"n": 9}, condition),
        "delete": Delete(ONE, condition),
        "check": Check(ONE, condition),
    }

    if holds:
        table.transact([write[kind], Put(TWO, {})])
    else:
        with pytest.raises(TransactionRefused):
            table.transact([write[kind], Put(TWO, {})])

    assert (table.get(TWO) is not None) == holds


def test_absent_holds_where_nothing_is_and_the_others_do_not(table: Table) -> None:
    table.transact([Put(ONE, {}, absent())])
    for condition in (has("n", 1), lacks("n"), has_entry("m", "e")):
        with pytest.raises(TransactionRefused):
            table.transact([Check(TWO, condition)])


def test_an_update_sets_what_it_names_and_leaves_the_rest(table: Table) -> None:
    table.transact([Put(ONE, {"n": 7, "status": "planned", "kept": [1]})])

    table.transact([Update(ONE, {"status": "ended", "new": {"a": None}}, has("status", "planned"))])

    assert table.get(ONE) == item(ONE, n=7, status="ended", kept=[1], new={"a": None})


def test_a_refused_transaction_says_which_writes_and_does_none(table: Table) -> None:
    table.transact([Put(ONE, {"n": 7})])

    with pytest.raises(TransactionRefused) as refused:
        table.transact([Put(TWO, {}), Check(ONE, has("n", 8)), Put(THREE, {}, absent()), Delete(Key("P", "4"), has("n", 1))])

    assert refused.value.failed == {1, 3}
    assert (table.get(TWO), table.get(THREE)) == (None, None)


def test_many_items_are_read_at_once_whatever_their_number(table: Table, dynamodb: DynamoDBClient) -> None:
    keys = [Key("P", f"{number:03}") for number in range(230)]
    for start in range(0, 230, 100):
        table.transact([Put(key, {"n": key.sk}) for key in keys[start : start + 100]])
    requests = Requests(dynamodb, "BatchGetItem")

    found = table.get_many([*keys, keys[0], Key("P", "no such")])

    assert found == {key: item(key, n=key.sk) for key in keys}
    assert requests.count == 3


def test_reading_none_asks_nobody(table: Table, dynamodb: DynamoDBClient) -> None:
    requests = Requests(dynamodb, "BatchGetItem")

    assert (table.get_many([]), requests.count) == ({}, 0)


class Leaving:
    """DynamoDB answers a batch only in part, so often: what is left over is asked for again."""

    def __init__(self, client: DynamoDBClient, table: str, times: int) -> None:
        self.left = times
        self._table = table
        client.meta.events.register("after-call.dynamodb.BatchGetItem", self._after)

    def _after(self, parsed: dict[str, Any], **_: Any) -> None:
        if self.left:
            self.left -= 1
            items = parsed["Responses"][self._table]
            kept, lost = items[:1], items[1:]
            parsed["Responses"][self._table] = kept
            keys = [{"pk": one["pk"], "sk": one["sk"]} for one in lost]
            parsed["UnprocessedKeys"] = {self._table: {"Keys": keys}} if keys else {}


def test_keys_that_dynamodb_left_over_are_asked_for_again(table: Table, dynamodb: DynamoDBClient, table_name: str) -> None:
    keys = [ONE, TWO, THREE]
    table.transact([Put(key, {}) for key in keys])
    Leaving(dynamodb, table_name, times=2)

    assert set(table.get_many(keys)) == set(keys)


def test_keys_that_are_left_over_again_and_again_are_no_absence(table: Table, dynamodb: DynamoDBClient, table_name: str) -> None:
    table.transact([Put(Key("P", f"{number}"), {}) for number in range(20)])
    Leaving(dynamodb, table_name, times=1000)

    with pytest.raises(Unanswered):
        table.get_many([Key("P", f"{number}") for number in range(20)])


def test_a_partition_is_read_over_all_pages_in_order(table: Table, dynamodb: DynamoDBClient) -> None:
    # A page of DynamoDB holds 1 MB.
    for number in range(5):
        table.put(Put(Key("P", f"A#{number}"), {"filler": "x" * 300_000}))
    table.put(Put(Key("P", "B#0"), {}))
    requests = Requests(dynamodb, "Query")

    found = table.query("P", "A#")

    assert [one["sk"] for one in found] == [f"A#{number}" for number in range(5)]
    assert requests.count > 1


def test_the_last_item_of_a_partition_is_the_last_of_those_that_begin_so(table: Table, dynamodb: DynamoDBClient) -> None:
    for sk in ("A#1", "A#3", "A#2", "B#9"):
        table.put(Put(Key("P", sk), {}))
    answered: list[int] = []
    dynamodb.meta.events.register("after-call.dynamodb.Query", lambda parsed, **_: answered.append(len(parsed["Items"])))

    last = table.last("P", "A#")

    assert last is not None
    assert last["sk"] == "A#3"
    assert (table.last("P", "C#"), table.last("Q", "A#")) == (None, None)
    assert answered == [1, 0, 0]  # a long ledger is not read whole for its last line


def test_the_newest_items_of_a_partition_come_first_and_no_more_than_asked_for(table: Table, dynamodb: DynamoDBClient) -> None:
    for sk in ("A#1", "A#3", "A#2", "A", "B#9"):
        table.put(Put(Key("P", sk), {}))
    answered: list[int] = []
    dynamodb.meta.events.register("after-call.dynamodb.Query", lambda parsed, **_: answered.append(len(parsed["Items"])))

    assert [one["sk"] for one in table.newest("P", "A#", 2)] == ["A#3", "A#2"]
    assert [one["sk"] for one in table.newest("P", "A#", 9)] == ["A#3", "A#2", "A#1"]
    assert table.newest("Q", "A#", 9) == []
    assert answered == [2, 3, 0]


def test_the_newest_items_are_read_over_as_many_pages_as_it_takes(table: Table, dynamodb: DynamoDBClient) -> None:
    for number in range(6):
        table.put(Put(Key("P", f"A#{number}"), {"filler": "x" * 300_000}))
    requests = Requests(dynamodb, "Query")

    assert [one["sk"] for one in table.newest("P", "A#", 5)] == [f"A#{number}" for number in (5, 4, 3, 2, 1)]
    assert requests.count > 1


@pytest.mark.parametrize(
    ("before", "found"), [("A#2#", ["A#2", "A#1"]), ("A#1#", ["A#1"]), ("A#0", []), ("A#9", ["A#3", "A#2", "A#1"])]
)
def test_the_newest_items_can_be_those_before_a_place(table: Table, before: str, found: list[str]) -> None:
    for sk in ("A#1", "A#3", "A#2", "B#9"):
        table.put(Put(Key("P", sk), {}))

    assert [one["sk"] for one in table.newest("P", "A#", 9, before=before)] == found


def test_the_keys_of_a_partition_are_read_over_all_pages(table: Table, dynamodb: DynamoDBClient) -> None:
    for number in range(5):
        table.put(Put(Key("P", f"A#{number}"), {"filler": "x" * 300_000}))
    table.put(Put(Key("P", "B#0"), {}))
    table.put(Put(Key("Q", "A#9"), {}))
    requests = Requests(dynamodb, "Query")

    assert table.keys("P", "A#") == [Key("P", f"A#{number}") for number in range(5)]
    assert requests.count > 1
    assert table.keys("P") == [*(Key("P", f"A#{number}") for number in range(5)), Key("P", "B#0")]
    assert table.keys("R") == []


def test_the_keys_of_damaged_items_are_told_too(table: Table, dynamodb: DynamoDBClient, table_name: str) -> None:
    """Whatever is to be forgotten need not be understood."""
    dynamodb.put_item(TableName=table_name, Item={"pk": "P", "sk": "1", "schema": 7})

    assert table.keys("P") == [ONE]


@pytest.mark.parametrize("schema", [2, 0, None, "1"])
def test_an_item_of_another_schema_version_is_malformed_however_it_is_read(
    table: Table, dynamodb: DynamoDBClient, table_name: str, schema: object
) -> None:
    dynamodb.put_item(TableName=table_name, Item={"pk": "P", "sk": "1", "schema": schema})  # type: ignore[dict-item]

    for read in (
        lambda: table.get(ONE),
        lambda: table.get_many([ONE]),
        lambda: table.query("P", "1"),
        lambda: table.last("P", "1"),
        lambda: table.newest("P", "1", 9),
    ):
        with pytest.raises(MalformedItem, match="schema"):
            read()


# What DynamoDB answers when it does not do it.


def test_a_conflict_with_another_transaction_is_tried_again(table: Table, dynamodb: DynamoDBClient, clock: Clock) -> None:
    conflict = dynamodb.exceptions.TransactionCanceledException(
        {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
        },
        "TransactWriteItems",
    )
    requests = Requests(dynamodb, "TransactWriteItems", conflict, client_error("TransactionInProgressException"))

    table.transact([Put(ONE, {}), Put(TWO, {})])

    assert table.get(ONE) is not None
    assert requests.count == 3
    assert clock.slept > 0


def test_a_conflict_that_does_not_end_is_a_failed_call_and_no_refusal(table: Table, dynamodb: DynamoDBClient) -> None:
    Requests(dynamodb, "TransactWriteItems", *[client_error("TransactionConflictException")] * 20)

    with pytest.raises(Unanswered):
        table.transact([Put(ONE, {})])


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error("AccessDeniedException"), CallFailed),
        (client_error("InternalServerError", 500), Unanswered),
        (ReadTimeoutError(endpoint_url="https://dynamodb"), Unanswered),
    ],
    ids=["denied", "500", "no answer"],
)
def test_a_call_that_fails_says_what_it_was_for(
    table: Table, dynamodb: DynamoDBClient, error: Exception, kind: type[CallFailed]
) -> None:
    calls: list[tuple[str, Callable[[], object]]] = [
        ("GetItem", lambda: table.get(ONE)),
        ("GetItem", lambda: table.get_attributes(ONE, "status")),
        ("BatchGetItem", lambda: table.get_many([ONE])),
        ("Query", lambda: table.query("P", "1")),
        ("Query", lambda: table.keys("P")),
        ("Query", lambda: table.last("P", "1")),
        ("Query", lambda: table.newest("P", "1", 9, before="2")),
        ("TransactWriteItems", lambda: table.transact([Put(ONE, {})])),
        ("PutItem", lambda: table.put(Put(ONE, {}))),
    ]
    for operation, call in calls:
        Requests(dynamodb, operation, error)
        with pytest.raises(CallFailed, match="table-") as failed:
            call()
        assert type(failed.value) is kind


@pytest.mark.usefixtures("environment")
def test_the_clients_patience_is_bounded() -> None:
    assert patience(dynamodb_client()) == (5, 10, {"mode": "standard", "total_max_attempts": 5})
