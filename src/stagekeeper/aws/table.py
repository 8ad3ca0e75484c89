"""The DynamoDB table: consistent reads and conditional transactions of plain values. Must not know what an item means."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from stagekeeper.aws.clock import Clock
from stagekeeper.aws.errors import CallFailed, Unanswered, error_code, translated

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

#: Written to every item; an item of another version is malformed to this code and stops it.
SCHEMA = 1

_BATCH_GET_LIMIT = 100
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Key:
    pk: str
    sk: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition expression with its names and values."""

    expression: str
    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)

    def __and__(self, other: Condition) -> Condition:
        expression = f"({self.expression}) AND ({other.expression})"
        return Condition(expression, {**self.names, **other.names}, {**self.values, **other.values})


def absent() -> Condition:
    """There is no such item."""
    return Condition("attribute_not_exists(pk)")


def has(name: str, value: Any) -> Condition:
    """The attribute has this value."""
    return Condition(f"#c_{name} = :c_{name}", {f"#c_{name}": name}, {f":c_{name}": value})


def lacks(name: str) -> Condition:
    """The item is there and has no such attribute."""
    return Condition(f"attribute_exists(pk) AND attribute_not_exists(#n_{name})", {f"#n_{name}": name})


def has_entry(name: str, entry: str) -> Condition:
    """The map ``name`` has the key ``entry``."""
    return Condition(f"attribute_exists(#m_{name}.#e_{name})", {f"#m_{name}": name, f"#e_{name}": entry})


@dataclass(frozen=True, slots=True)
class Put:
    key: Key
    item: Mapping[str, Any]
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """Set attributes of an item that is there."""

    key: Key
    attributes: Mapping[str, Any]
    condition: Condition


@dataclass(frozen=True, slots=True)
class Delete:
    key: Key
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Check:
    key: Key
    condition: Condition


Write = Put | Update | Delete | Check


class TransactionRefused(Exception):
    """A condition did not hold. ``failed`` are the indexes of the writes whose conditions did not."""

    def __init__(self, failed: frozenset[int]) -> None:
        super().__init__(f"conditions of writes {sorted(failed)} did not hold")
        self.failed = failed


class MalformedItem(Exception):
    """An item is there but is not what this code writes: another schema version, or damaged."""


def dynamodb_client() -> DynamoDBClient:
    """The resource's client, since it takes and gives plain values."""
    config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 5})
    return boto3.resource("dynamodb", config=config).meta.client


class Table:
    """See the module. All reads are strongly consistent; every method raises CallFailed when DynamoDB does not answer."""

    def __init__(self, client: DynamoDBClient, name: str, clock: Clock) -> None:
        self._client = client
        self.name = name
        self._clock = clock

    def get(self, key: Key) -> dict[str, Any] | None:
        try:
            answer = self._client.get_item(TableName=self.name, Key=_key(key), ConsistentRead=True)
        except (ClientError, BotoCoreError) as error:
            raise self._failed("reading", key.sk, error) from error
        return _plain_item(key, answer["Item"]) if "Item" in answer else None

    def get_attributes(self, key: Key, *names: str) -> dict[str, Any] | None:
        """Some top-level attributes of an item: what is asked for often must not carry the whole of a big one."""
        placeholders = {f"#p{index}": name for index, name in enumerate(names)}
        try:
            answer = self._client.get_item(
                TableName=self.name,
                Key=_key(key),
                ConsistentRead=True,
                ProjectionExpression=", ".join(placeholders),
                ExpressionAttributeNames=placeholders,
            )
        except (ClientError, BotoCoreError) as error:
            raise self._failed("reading", key.sk, error) from error
        return {name: _plain(value) for name, value in answer["Item"].items()} if "Item" in answer else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, dict[str, Any]]:
        """The items that are there."""
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, dict[str, Any]] = {}
        for start in range(0, len(wanted), _BATCH_GET_LIMIT):
            chunk: list[dict[str, str]] = [_key(key) for key in wanted[start : start + _BATCH_GET_LIMIT]]
            for attempt in range(_ATTEMPTS):
                chunk = self._get_chunk(chunk, found)
                if not chunk:
                    break
                self._clock.sleep(0.05 * 2**attempt)
            else:
                raise Unanswered("reading the state table", "DynamoDB left keys unprocessed")
        return found

    def _get_chunk(self, chunk: list[dict[str, str]], found: dict[Key, dict[str, Any]]) -> list[dict[str, str]]:
        try:
            answer = self._client.batch_get_item(RequestItems={self.name: {"Keys": chunk, "ConsistentRead": True}})
        except (ClientError, BotoCoreError) as error:
            raise self._failed("reading", f"{len(chunk)} items", error) from error
        for item in answer["Responses"].get(self.name, []):
            key = Key(str(item["pk"]), str(item["sk"]))
            found[key] = _plain_item(key, item)
        left = answer.get("UnprocessedKeys", {}).get(self.name)
        return [{"pk": str(key["pk"]), "sk": str(key["sk"])} for key in left["Keys"]] if left else []

    def query(self, pk: str, sk_prefix: str) -> list[dict[str, Any]]:
        """All items of a partition whose sort key begins so, in its order; all pages."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": pk, ":sk": sk_prefix},
            ConsistentRead=True,
        )
        try:
            return [_plain_item(Key(pk, str(item["sk"])), item) for page in pages for item in page["Items"]]
        except (ClientError, BotoCoreError) as error:
            raise self._failed("reading", sk_prefix, error) from error

    def keys(self, pk: str, sk_prefix: str | None = None) -> list[Key]:
        """The keys of all items of a partition, or of those whose sort key begins so."""
        condition, values = "pk = :pk", {":pk": pk}
        if sk_prefix is not None:
            condition, values = f"{condition} AND begins_with(sk, :sk)", {**values, ":sk": sk_prefix}
        pages = self._client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ProjectionExpression="pk, sk",
            ConsistentRead=True,
        )
        try:
            return [Key(str(item["pk"]), str(item["sk"])) for page in pages for item in page["Items"]]
        except (ClientError, BotoCoreError) as error:
            raise self._failed("reading", pk, error) from error

    def scan(self, sk: str) -> list[Key]:
        """The keys of all items with this sort key. Reads the whole table: nothing that is done often may ask for it."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self.name,
            FilterExpression="sk = :sk",
            ExpressionAttributeValues={":sk": sk},
            ProjectionExpression="pk, sk",
            ConsistentRead=True,
        )
        try:
            return [Key(str(item["pk"]), str(item["sk"])) for page in pages for item in page["Items"]]
        except (ClientError, BotoCoreError) as error:
            raise self._failed("reading", f"every {sk}", error) from error

    def last(self, pk: str, sk_prefix: str) -> dict[str, Any] | None:
        """The last item of a partition whose sort key begins so; None if there is none."""
        return next(iter(self.newest(pk, sk_prefix, 1)), None)

    def newest(self, pk: str, sk_prefix: str, limit: int, *, before: str | None = None) -> list[dict[str, Any]]:
        """The last items of a partition whose sort key begins so, at most ``limit``, the very last first.

        ``before``: of those alone whose sort key comes before this one, which is no item's own.
        """
        condition, values = "begins_with(sk, :sk)", {":pk": pk, ":sk": sk_prefix}
        if before is not None:
            condition, values = "sk BETWEEN :sk AND :before", {**values, ":before": before}
        pages = self._client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression=f"pk = :pk AND {condition}",
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            ScanIndexForward=False,
            PaginationConfig={"MaxItems": limit, "PageSize": limit},
        )
        try:
            return [_plain_item(Key(pk, str(item["sk"])), item) for page in pages for item in page["Items"]]
        except (ClientError, BotoCoreError) as error:
            raise self._failed("reading", sk_prefix, error) from error

    def transact(self, writes: Sequence[Write]) -> None:
        """All of the writes or none. Raises TransactionRefused if a condition did not hold.

        Conflicts with other transactions are tried again: they say nothing about the conditions.
        """
        items = [_transact_item(self.name, write) for write in writes]
        # One token for all attempts: one that got through although its answer was lost is answered as done, not as refused.
        token = uuid.uuid4().hex
        for attempt in range(_ATTEMPTS):
            try:
                self._client.transact_write_items(TransactItems=items, ClientRequestToken=token)  # type: ignore[arg-type]  # plain values, see above
                return
            except self._client.exceptions.TransactionCanceledException as error:
                reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", [])]
                failed = frozenset(i for i, reason in enumerate(reasons) if reason == "ConditionalCheckFailed")
                if failed:
                    raise TransactionRefused(failed) from error
                if attempt == _ATTEMPTS - 1:
                    raise self._failed("writing", ", ".join(w.key.sk for w in writes[:3]), error) from error
            except ClientError as error:
                if error_code(error) not in ("TransactionInProgressException", "TransactionConflictException"):
                    raise self._failed("writing", ", ".join(w.key.sk for w in writes[:3]), error) from error
            except BotoCoreError as error:
                raise self._failed("writing", ", ".join(w.key.sk for w in writes[:3]), error) from error
            self._clock.sleep(0.05 * 2**attempt)
        raise Unanswered("writing the state table", "other transactions were in the way all the time")

    def put(self, put: Put) -> None:
        """One item, without a transaction. Its condition must be None."""
        try:
            self._client.put_item(TableName=self.name, Item=_full_item(put))
        except (ClientError, BotoCoreError) as error:
            raise self._failed("writing", put.key.sk, error) from error

    def _failed(self, doing: str, what: str, error: ClientError | BotoCoreError) -> CallFailed:
        return translated(f"{doing} {what} of table {self.name}", error)


def _key(key: Key) -> dict[str, str]:
    return {"pk": key.pk, "sk": key.sk}


def _full_item(put: Put) -> dict[str, Any]:
    return {**_key(put.key), "schema": SCHEMA, **put.item}


def _transact_item(table: str, write: Write) -> dict[str, Any]:
    match write:
        case Put(key=key, condition=condition):
            return {"Put": {"TableName": table, "Item": _full_item(write), **_clauses(condition)}}
        case Update(key=key, attributes=attributes, condition=condition):
            clauses = _clauses(condition)
            names = {**clauses.pop("ExpressionAttributeNames", {}), **{f"#s_{name}": name for name in attributes}}
            values = {
                **clauses.pop("ExpressionAttributeValues", {}),
                **{f":s_{name}": value for name, value in attributes.items()},
            }
            expression = "SET " + ", ".join(f"#s_{name} = :s_{name}" for name in attributes)
            return {
                "Update": {
                    "TableName": table,
                    "Key": _key(key),
                    "UpdateExpression": expression,
                    "ExpressionAttributeNames": names,
                    "ExpressionAttributeValues": values,
                    **clauses,
                }
            }
        case Delete(key=key, condition=condition):
            return {"Delete": {"TableName": table, "Key": _key(key), **_clauses(condition)}}
        case Check(key=key, condition=condition):
            return {"ConditionCheck": {"TableName": table, "Key": _key(key), **_clauses(condition)}}


def _clauses(condition: Condition | None) -> dict[str, Any]:
    if condition is None:
        return {}
    clauses: dict[str, Any] = {"ConditionExpression": condition.expression}
    if condition.names:
        clauses["ExpressionAttributeNames"] = dict(condition.names)
    if condition.values:
        clauses["ExpressionAttributeValues"] = dict(condition.values)
    return clauses


def _plain_item(key: Key, item: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: _plain(value) for name, value in item.items()}
    if plain.get("schema") != SCHEMA:
        raise MalformedItem(
            f"item {key.pk} / {key.sk} has schema {plain.get('schema')!r}, this version of Stagekeeper reads {SCHEMA}"
        )
    return plain


def _plain(value: Any) -> Any:
    """DynamoDB numbers come as Decimals; whole ones become ints, others floats."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case set():
            return {_plain(inner) for inner in value}
    return value
