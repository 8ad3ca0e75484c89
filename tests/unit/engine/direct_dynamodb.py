"""moto's DynamoDB in the process of its clients: the same rules, without the HTTP between them.

moto routes, parses and answers each request by its model of all of AWS, and a transaction copies its whole table once for
every write. No test of the engine is about that, and all of them would wait for it. Here a request goes straight to moto's
own DynamoDB, and a transaction keeps copies of the items that it names. What is allowed and what is answered is moto's.

Must not know what is stored.
"""

from __future__ import annotations

import contextlib
import copy
import json
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, cast

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import DEFAULT_ACCOUNT_ID, botocore_stubber
from moto.core.responses import ActionResult
from moto.core.utils import camelcase_to_underscores
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from werkzeug.exceptions import HTTPException

#: The product asks from several threads, and moto takes no lock.
_ONE_AT_A_TIME: Final = threading.Lock()


def shorten(client: BaseClient) -> None:
    """Let this client's requests take the short way."""
    region = client.meta.region_name

    def answer(request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse:
        body = json.loads(cast("bytes", request.body))
        with _ONE_AT_A_TIME:
            status, told = _Request(dynamodb_backends[DEFAULT_ACCOUNT_ID][region], body).answer(event_name.rpartition(".")[2])
        return AWSResponse(str(request.url), status, {}, MockRawResponse(told))  # type: ignore[arg-type]

    pass_moto_by(client)
    for_this: Callable[..., Any] = answer
    client.meta.events.register("before-send.dynamodb.*", for_this)


def pass_moto_by(client: BaseClient) -> None:
    """moto would look through its model of all of AWS for who answers this client's requests, although somebody else does."""
    # Every handler of a request is called, also once there is an answer.
    for_all: Callable[..., Any] = botocore_stubber
    client.meta.events.unregister("before-send", for_all)


def all_items(client: BaseClient, table: str) -> list[dict[str, Any]]:
    """Every item of a table, as plain values: a Scan, page after page, takes ten times as long."""
    held = dynamodb_backends[DEFAULT_ACCOUNT_ID][client.meta.region_name].tables[table].items
    return [{name: _plain(value) for name, value in item.attrs.items()} for part in held.values() for item in part.values()]


def _plain(value: DynamoType) -> Any:
    """As boto3's resource gives it."""
    match value.type:
        case "M":
            return {name: _plain(member) for name, member in value.value.items()}
        case "L":
            return [_plain(entry) for entry in value.value]
        case "N":
            return Decimal(value.value)
        case "NULL":
            return None
        case "S" | "BOOL":
            return value.value
    raise NotImplementedError(f"the table holds a {value.type}")


class _Request(DynamoHandler):
    """One request, as moto holds it once it is parsed."""

    def __init__(self, backend: DynamoDBBackend, body: dict[str, Any]) -> None:
        super().__init__()
        self._backend = backend
        self.body = body

    @property
    def dynamodb_backend(self) -> DynamoDBBackend:
        return self._backend

    def answer(self, operation: str) -> tuple[int, str]:
        """Status and body."""
        try:
            with self._copying_what_is_touched():
                done: ActionResult = getattr(self, camelcase_to_underscores(operation))()
        except HTTPException as refused:
            return int(refused.code or 500), str(refused.get_body())
        return 200, json.dumps(done.result, default=_timestamp)

    @contextlib.contextmanager
    def _copying_what_is_touched(self) -> Iterator[None]:
        """While inside, moto's copy of a table, taken in case a transaction fails, is one of what the transaction names."""
        touched: dict[str, list[dict[str, Any]]] = {}
        for entry in self.body.get("TransactItems", []):
            for write in entry.values():
                touched.setdefault(write["TableName"], []).append(write["Item"] if "Item" in write else write["Key"])
        with contextlib.ExitStack() as afterwards:
            for name, keys in touched.items():
                table = self._backend.get_table(name)
                copied = self._copied(table, keys)
                # copy.deepcopy asks the object itself.
                vars(table)["__deepcopy__"] = lambda _, copied=copied: copied
                afterwards.callback(vars(table).pop, "__deepcopy__")
            yield

    def _copied(self, table: Table, keys: list[dict[str, Any]]) -> Table:
        """The table with copies of the items of these keys; it shares the others, which will not change."""
        copied = copy.copy(table)
        copied.items = table.items.copy()
        for key in keys:
            partition, sort = self._backend.get_keys_value(table, key)
            if copied.items[partition] is table.items[partition]:
                copied.items[partition] = table.items[partition].copy()
            if sort in copied.items[partition]:
                copied.items[partition][sort] = copy.deepcopy(table.items[partition][sort])
        return copied


def _timestamp(value: object) -> float:
    """Of a table's description; every other value of an answer is JSON already."""
    if isinstance(value, datetime):
        return value.timestamp()
    raise TypeError(f"{value!r} has no place in an answer")
