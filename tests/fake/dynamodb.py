"""The strict in-memory fake of DynamoDB: tables of items with a partition key and a sort key, both texts.

Its clients are boto3's, answered without HTTP (see `direct`): `client` takes and gives values as they travel, `plain_client`
plain ones, as that of boto3's resource does. It knows nothing of the product; its rules are AWS's, kept by the contract suite,
and it answers as moto does in every case of tests/unit/test_fake_dynamodb.py.

AWS's rules (API reference, TransactWriteItems, BatchGetItem, Query; developer guide, Constraints): all writes of a transaction
or none, at most 100 of them and 4 MB, none of them on the same item; reasons in the order of the writes; the same token with
the same writes is done once within ten minutes, with other writes refused; an item has at most 400 KB, a page at most 1 MB.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.model import OperationModel

from . import expressions
from .attribute_values import Attributes, Value, canonical, plain, typed
from .clock import FakeClock
from .copies import Translations
from .direct import direct_client
from .errors import AwsError, validation
from .expressions import Given, KeyCondition, Read
from .tables import Item, Key, Table, item_of, updated
from .wire import Answer, Params

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRANSACTION_LIMIT, TRANSACTION_BYTES = 100, 4 * 1024 * 1024
BATCH_GET_LIMIT, BATCH_GET_BYTES = 100, 16 * 1024 * 1024
PAGE_BYTES = 1024 * 1024
TOKEN_SECONDS = 600.0


_PLAIN = Translations({"AttributeValue": typed}, {"AttributeValue": plain})
_AS_THEY_TRAVEL = Translations({"AttributeValue": canonical}, {"AttributeValue": deepcopy})


@dataclass(frozen=True, slots=True)
class _Written:
    """One write, before anything of it is done."""

    table: Table
    key: Key
    #: The item that was there, if there was one and the request asks to be shown it.
    asked: Item | None
    #: Whether its condition holds.
    holds: bool
    #: The item that is there then; None for none. Raises AwsError.
    after: Callable[[], Item | None]

    def shown(self) -> dict[str, Attributes]:
        return {} if self.asked is None else {"Item": self.asked.attributes}


class FakeDynamoDB:
    """One account's tables in one Region. `clock` gives seconds since the epoch (default: a `FakeClock`, found at `.clock`)."""

    def __init__(self, region: str = "eu-central-1", clock: Callable[[], float] | None = None) -> None:
        self.region = region
        self.clock: Callable[[], float] = clock if clock is not None else FakeClock()
        self.tables: dict[str, Table] = {}
        #: What was done with each token, and when.
        self._tokens: dict[str, tuple[Params, float]] = {}
        self._guard = threading.RLock()
        self._operations: dict[str, Callable[[Params], Answer]] = {
            "CreateTable": self._create_table,
            "DeleteTable": self._delete_table,
            "GetItem": self._get_item,
            "BatchGetItem": self._batch_get_item,
            "Query": self._query,
            "Scan": self._scan,
            "PutItem": self._put_item,
            "UpdateItem": self._update_item,
            "DeleteItem": self._delete_item,
            "TransactWriteItems": self._transact_write_items,
        }

    def client(self, config: Config | None = None) -> DynamoDBClient:
        """Values travel as they are: ``{"S": "text"}``."""
        return self._client(config, _AS_THEY_TRAVEL)

    def plain_client(self, config: Config | None = None) -> DynamoDBClient:
        """Values are plain ones, as with the client of boto3's resource."""
        return self._client(config, _PLAIN)

    def _client(self, config: Config | None, translations: Translations) -> DynamoDBClient:
        client: DynamoDBClient = direct_client("dynamodb", self.region, config, self._answer, translations)
        return client

    def _answer(self, operation: OperationModel, params: Params, written: Callable[[Answer], Answer]) -> Answer:
        if operation.name not in self._operations:
            raise NotImplementedError(f"the fake of DynamoDB has no {operation.name}")
        with self._guard:
            answer = self._operations[operation.name](params)
        return written(answer)

    # What tests arrange, and what they look at.

    def make_table(self, name: str, partition: str = "pk", sort: str = "sk") -> Table:
        self.tables[name] = Table(name, partition, sort)
        return self.tables[name]

    def items(self, table: str) -> dict[Key, dict[str, Any]]:
        """Every item of a table by its key, as plain values."""
        partitions = self.tables[table].partitions
        return {(pk, sk): _plain(item) for pk, items in partitions.items() for sk, item in items.items()}

    def item(self, table: str, key: Key) -> dict[str, Any] | None:
        """One of them; None if there is none."""
        found = self.tables[table].get(key)
        return None if found is None else _plain(found)

    def put(self, table: str, item: Mapping[str, Any]) -> None:
        """Write an item of plain values, whatever was there."""
        found, attributes = self.tables[table], _attributes(item, typed)
        found.put(found.key(attributes), item_of(attributes))

    def take_away(self, table: str, key: Key) -> None:
        self.tables[table].put(key, None)

    def held(self, table: str) -> dict[str, dict[str, Item]]:
        """Everything in a table, for `hold` of this fake or of another."""
        return {pk: dict(items) for pk, items in self.tables[table].partitions.items()}

    def hold(self, table: str, held: Mapping[str, Mapping[str, Item]]) -> None:
        """Have what `held` gave, and nothing else."""
        self.tables[table].partitions = {pk: dict(items) for pk, items in held.items()}

    # Tables.

    def _create_table(self, params: Params) -> Answer:
        name, keys = params["TableName"], {each["KeyType"]: each["AttributeName"] for each in params["KeySchema"]}
        kinds = {each["AttributeName"]: each["AttributeType"] for each in params["AttributeDefinitions"]}
        if keys.keys() != {"HASH", "RANGE"} or kinds != dict.fromkeys(keys.values(), "S"):
            raise NotImplementedError("a table whose keys are not two texts")
        if name in self.tables:
            raise AwsError("ResourceInUseException", f"Table already exists: {name}")
        self.make_table(name, keys["HASH"], keys["RANGE"])
        return {"TableDescription": {"TableName": name, "TableStatus": "ACTIVE"}}

    def _delete_table(self, params: Params) -> Answer:
        table = self._table(params)
        del self.tables[table.name]
        return {"TableDescription": {"TableName": table.name, "TableStatus": "DELETING"}}

    def _table(self, params: Mapping[str, Any]) -> Table:
        found = self.tables.get(params["TableName"])
        if found is None:
            raise AwsError("ResourceNotFoundException", "Requested resource not found")
        return found

    # Reads.

    def _get_item(self, params: Params) -> Answer:
        _known(params, "TableName", "Key", "ConsistentRead", "ProjectionExpression", "ExpressionAttributeNames")
        table = self._table(params)
        shows, _ = _read(params)
        found = table.get(table.key_only(params["Key"]))
        return {} if found is None else {"Item": shows(found.attributes)}

    def _batch_get_item(self, params: Params) -> Answer:
        _known(params, "RequestItems")
        asked = [(self._table({"TableName": name}), wanted) for name, wanted in params["RequestItems"].items()]
        keys = [(table.name, table.key_only(key)) for table, wanted in asked for key in wanted["Keys"]]
        if len(keys) > BATCH_GET_LIMIT:
            raise validation("Too many items requested for the BatchGetItem call")
        if len(set(keys)) < len(keys):
            raise validation("Provided list of item keys contains duplicates")
        answer: dict[str, list[Attributes]] = {table.name: [] for table, _ in asked}
        left: dict[str, Any] = {}
        size = 0
        for table, wanted in asked:
            _known(wanted, "Keys", "ConsistentRead")
            for key in wanted["Keys"]:
                found = table.get(table.key(key))
                size += 0 if found is None else found.size
                if size > BATCH_GET_BYTES:
                    left.setdefault(table.name, {**wanted, "Keys": []})["Keys"].append(key)
                elif found is not None:
                    answer[table.name].append(found.attributes)
        return {"Responses": answer, "UnprocessedKeys": left}

    def _query(self, params: Params) -> Answer:
        _known(params, *_PAGED, "KeyConditionExpression", "ScanIndexForward")
        table = self._table(params)
        read = expressions.key_condition_of(params["KeyConditionExpression"], table.partition, table.sort)
        shows, given = _read(params, read)
        condition: KeyCondition = read.meaning
        partition = given.values[condition.partition]
        if "S" not in partition:
            raise validation("One or more parameter values were invalid: Condition parameter type does not match schema type")
        if any(given.values[name] == {"S": ""} for name in read.placeholders & given.values.keys()):
            raise validation("The AttributeValue for a key attribute cannot contain an empty string value.")
        items = [item for item in table.in_order(partition["S"]) if condition.sort(item.attributes, given)]
        if not params.get("ScanIndexForward", True):
            items.reverse()
        return _page(table, items, params, shows, lambda _: True)

    def _scan(self, params: Params) -> Answer:
        _known(params, *_PAGED, "FilterExpression")
        table = self._table(params)
        read = expressions.condition_of(params["FilterExpression"], "FilterExpression")
        shows, given = _read(params, read)
        return _page(table, list(table), params, shows, lambda item: bool(read.meaning(item.attributes, given)))

    # Writes.

    def _put_item(self, params: Params) -> Answer:
        return self._one("Put", params)

    def _update_item(self, params: Params) -> Answer:
        return self._one("Update", params)

    def _delete_item(self, params: Params) -> Answer:
        return self._one("Delete", params)

    def _one(self, kind: str, params: Params) -> Answer:
        written = self._written(kind, params)
        if not written.holds:
            raise AwsError("ConditionalCheckFailedException", _NOT_HELD, members=written.shown())
        written.table.put(written.key, written.after())
        return {}

    def _transact_write_items(self, params: Params) -> Answer:
        _known(params, "TransactItems", "ClientRequestToken")
        actions = [next(iter(action.items())) for action in params["TransactItems"]]
        if not 0 < len(actions) <= TRANSACTION_LIMIT or any(len(action) != 1 for action in params["TransactItems"]):
            raise validation(f"Member must have length less than or equal to {TRANSACTION_LIMIT}, greater than or equal to 1")
        if self._was_done(params["ClientRequestToken"], params):
            return {}
        writes = [self._written(kind, action) for kind, action in actions]
        if len({(each.table.name, each.key) for each in writes}) < len(writes):
            raise validation("Transaction request cannot include multiple operations on one item")
        done: list[tuple[_Written, Item | None]] = []
        reasons: list[dict[str, Any]] = []
        for each in writes:
            reason: dict[str, Any] = {"Code": "None"}
            if not each.holds:
                reason = {"Code": "ConditionalCheckFailed", "Message": _NOT_HELD, **each.shown()}
            else:
                try:
                    done.append((each, each.after()))
                except AwsError as error:
                    reason = {"Code": "ValidationError", "Message": error.message}
            reasons.append(reason)
        codes = [reason["Code"] for reason in reasons]
        if codes.count("None") < len(codes):
            told = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{', '.join(codes)}]"
            raise AwsError("TransactionCanceledException", told, members={"CancellationReasons": reasons})
        if sum(item.size for _, item in done if item is not None) > TRANSACTION_BYTES:
            raise validation("Transaction request size exceeded the maximum allowed size")
        for each, item in done:
            each.table.put(each.key, item)
        self._tokens[params["ClientRequestToken"]] = (params, self.clock())
        return {}

    def _was_done(self, token: str, params: Params) -> bool:
        before, at = self._tokens.get(token, (None, 0.0))
        if before is None or self.clock() - at >= TOKEN_SECONDS:
            return False
        if before != params:
            raise AwsError("IdempotentParameterMismatchException", "Another transaction had this ClientRequestToken")
        return True

    def _written(self, kind: str, params: Params) -> _Written:
        """Raises AwsError for what is malformed, whatever the table holds."""
        _known(params, *_WRITES[kind])
        table = self._table(params)
        condition = expressions.condition_of(params["ConditionExpression"]) if "ConditionExpression" in params else None
        update = expressions.update_of(params["UpdateExpression"]) if kind == "Update" else None
        _, given = _read(params, *(read for read in (condition, update) if read is not None))
        key = table.key(params["Item"]) if kind == "Put" else table.key_only(params["Key"])
        before = table.get(key)
        holds = condition is None or condition.meaning(None if before is None else before.attributes, given)

        def after() -> Item | None:
            match kind:
                case "Put":
                    return item_of(params["Item"])
                case "Delete":
                    return None
                case "ConditionCheck":
                    return before
            assert update is not None
            return updated(table, params["Key"] if before is None else before.attributes, update.meaning, given)

        shows = params.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
        return _Written(table, key, before if shows else None, holds, after)


_NOT_HELD = "The conditional request failed"
_EXPRESSION = ("ExpressionAttributeNames", "ExpressionAttributeValues")
_PAGED = ("TableName", "ConsistentRead", "Limit", "ExclusiveStartKey", "ProjectionExpression", *_EXPRESSION)
_CONDITION = ("TableName", "ConditionExpression", "ReturnValuesOnConditionCheckFailure", *_EXPRESSION)
_WRITES = {
    "Put": ("Item", *_CONDITION),
    "Update": ("Key", "UpdateExpression", *_CONDITION),
    "Delete": ("Key", *_CONDITION),
    "ConditionCheck": ("Key", *_CONDITION),
}


def _known(params: Mapping[str, Any], *names: str) -> None:
    """Nothing that is asked for is silently left out."""
    unknown = params.keys() - set(names)
    if unknown:
        raise NotImplementedError(f"the fake of DynamoDB knows no {', '.join(sorted(unknown))} here")


def _plain(item: Item) -> dict[str, Any]:
    return {name: plain(value) for name, value in item.attributes.items()}


def _attributes(item: Mapping[str, Any], read: Callable[[Any], Value]) -> Attributes:
    return {name: read(value) for name, value in item.items()}


def _read(params: Params, *reads: Read) -> tuple[Callable[[Attributes], Attributes], Given]:
    """What a request shows of an item, and what its placeholders stand for: neither one too many nor one too few."""
    projection = expressions.projection_of(params["ProjectionExpression"]) if "ProjectionExpression" in params else None
    used = frozenset[str]().union(*(read.placeholders for read in reads), () if projection is None else projection.placeholders)
    given = Given(params.get("ExpressionAttributeNames", {}), params.get("ExpressionAttributeValues", {}))
    known = given.names.keys() | given.values.keys()
    for missing in sorted(used - known):
        raise validation(f"An expression attribute name or value used in an expression is not defined: {missing}")
    for unused in sorted(known - used):
        raise validation(
            f"Value provided in ExpressionAttributeNames or ExpressionAttributeValues unused in expressions: {unused}"
        )
    if projection is None:
        return (lambda attributes: attributes), given
    names = given.path(projection.meaning)
    return (lambda attributes: {name: attributes[name] for name in names if name in attributes}), given


def _page(
    table: Table,
    items: Sequence[Item],
    params: Params,
    shows: Callable[[Attributes], Attributes],
    passes: Callable[[Item], bool],
) -> Answer:
    """One page of items that are in order. A limit is one of what is looked at, and so is that of its bytes."""
    keys = [table.key(item.attributes) for item in items]
    begin = 0
    if "ExclusiveStartKey" in params:
        before = table.key_only(params["ExclusiveStartKey"])
        if before not in keys:
            raise NotImplementedError(f"a page that begins after what is gone: {before}")
        begin = keys.index(before) + 1
    end, size = begin, 0
    while end < len(items) and end - begin < params.get("Limit", len(items)) and size <= PAGE_BYTES:
        size += items[end].size
        end += 1
    seen = items[begin:end]
    found = [shows(item.attributes) for item in seen if passes(item)]
    answer: dict[str, Any] = {"Items": found, "Count": len(found), "ScannedCount": len(seen)}
    # One that stops at its limit does not look whether more follows.
    if seen and (end < len(items) or len(seen) == params.get("Limit")):
        answer["LastEvaluatedKey"] = {name: seen[-1].attributes[name] for name in (table.partition, table.sort)}
    return answer
