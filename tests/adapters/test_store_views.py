"""What the command line alone reads of the record: few items of long ledgers, and what names an operation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stagekeeper.aws import items
from stagekeeper.aws.clock import epoch
from stagekeeper.aws.store import OperationHead, ReleaseOnRecord, Store, VersionOnRecord
from stagekeeper.aws.table import Key, MalformedItem, Put, Table
from stagekeeper.domain.model import (
    Content,
    LogicalName,
    Movement,
    OperationId,
    Provenance,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServiceName,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.record import Succeeded

from .desk import ORDERS, PROD, arn
from .records import RECORD

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ARN = arn(0)
OP = RECORD.operation_id
ONE = Content("Y29kZQ==", "c1")
_numbers = itertools.count()
AT = "2026-01-01T00:00:00.000Z"
WHO = Provenance("jane", "why", "1a2b3c4", "main", "https://ci.example.com/1")


@pytest.fixture
def store(table: Table) -> Store:
    return Store(table)


def line(stage: str, number: int) -> Movement:
    return Movement(
        stage=StageName(stage),
        number=number,
        operation_id=OperationId(f"{stage}-{number}"),
        operation="rollback",
        from_release=ReleaseNumber(3),
        to_release=ReleaseNumber(1),
        at=AT,
        provenance=WHO,
        popped=(ReleaseNumber(2), ReleaseNumber(1)),
        displaced={ARN: VersionNumber(7)},
    )


def put(table: Table, service: ServiceName, *movements: Movement) -> None:
    for movement in movements:
        table.put(Put(items.movement_key(service, movement.stage, movement.number), items.movement_item(movement)))


def queries(client: DynamoDBClient) -> list[int]:
    """How many items each query answers with, as they come."""
    answered: list[int] = []
    client.meta.events.register("after-call.dynamodb.Query", lambda parsed, **_: answered.append(len(parsed["Items"])))
    return answered


# The ledger.


def test_a_line_of_a_ledger_is_read_with_who_and_why(table: Table, store: Store) -> None:
    put(table, ORDERS, line("prod", 1))

    assert store.history(ORDERS, PROD, 1) == [line("prod", 1)]


def test_the_newest_lines_of_a_stage_come_first_and_nobody_elses(table: Table, store: Store) -> None:
    put(table, ORDERS, *(line("prod", number) for number in (1, 2, 9, 10)), line("prod-2", 50), line("pro", 60))
    put(table, ServiceName("orders-2"), line("prod", 70))

    assert [movement.number for movement in store.history(ORDERS, PROD, 3)] == [10, 9, 2]
    assert store.history(ORDERS, StageName("nobody"), 3) == []


def test_all_stages_ledgers_are_read_a_few_lines_of_each(table: Table, store: Store, dynamodb: DynamoDBClient) -> None:
    put(table, ORDERS, *(line("dev", number) for number in range(1, 101)), line("prod", 1), line("gone", 1))
    put(table, ORDERS, *(line("prod-2", number) for number in range(1, 51)))
    answered = queries(dynamodb)

    ledgers = store.histories(ORDERS, 3)

    told = {ledger[0].stage: [movement.number for movement in ledger] for ledger in ledgers}
    assert told == {"dev": [100, 99, 98], "gone": [1], "prod": [1], "prod-2": [50, 49, 48]}
    assert len(ledgers) == 4
    assert sum(answered) <= 3 * (4 + 1)  # of 152 lines


def test_of_no_stage_there_are_no_ledgers(store: Store) -> None:
    assert store.histories(ORDERS, 3) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lengths=st.dictionaries(st.sampled_from(["a", "a-b", "a_b", "A", "a0", "B", "b"]), st.integers(1, 7), max_size=5),
    limit=st.integers(1, 6),
)
def test_whatever_the_ledgers_are_each_stage_is_there_once_with_its_newest_lines(
    table: Table, lengths: dict[str, int], limit: int
) -> None:
    service = ServiceName(f"s{next(_numbers)}")
    put(table, service, *(line(stage, number) for stage, length in lengths.items() for number in range(1, length + 1)))

    found = [[(movement.stage, movement.number) for movement in ledger] for ledger in Store(table).histories(service, limit)]

    wanted = [[(stage, number) for number in range(length, max(0, length - limit), -1)] for stage, length in lengths.items()]
    assert sorted(found) == sorted(wanted)


# Releases.


def test_the_newest_releases_come_first_with_what_made_them(table: Table, store: Store) -> None:
    for number in (1, 9, 10):
        release = Release(ReleaseNumber(number), {LogicalName("api"): ReleaseFunction(ARN, ONE)})
        table.put(Put(items.release_key(ORDERS, release.number), items.release_item(release, OP, AT)))
        table.put(Put(items.release_digest_key(ORDERS, f"d{number}"), {"release": number}))

    assert [each.release.number for each in store.newest_releases(ORDERS, 2)] == [10, 9]
    assert store.release_on_record(ORDERS, ReleaseNumber(9)) == ReleaseOnRecord(
        Release(ReleaseNumber(9), {LogicalName("api"): ReleaseFunction(ARN, ONE)}), OP, AT
    )
    assert store.release_on_record(ORDERS, ReleaseNumber(2)) is None


# Versions.


def test_what_one_version_carries_and_which_version_carries_a_content_are_read(table: Table, store: Store) -> None:
    table.put(Put(items.version_key(ARN, VersionNumber(9)), items.version_item(ARN, VersionNumber(9), ONE, OP, AT)))
    table.put(Put(items.content_key(ARN, ONE), {"version": 9}))

    assert store.version(ARN, VersionNumber(9)) == VersionOnRecord(ONE, OP, epoch(AT))
    assert store.version(ARN, VersionNumber(8)) is None
    assert store.realisation(ARN, ONE) == VersionNumber(9)
    assert store.realisation(ARN, Content("other", "c1")) is None


# Operations.


def test_who_asked_for_an_operation_and_who_carries_it_is_read_without_the_rest(
    table: Table, store: Store, dynamodb: DynamoDBClient
) -> None:
    record = replace(RECORD, execution="recover-op-3", epoch=4, provenance=WHO)
    table.put(Put(items.operation_key(OP), items.operation_item(record)))
    read: list[Any] = []
    dynamodb.meta.events.register("after-call.dynamodb.GetItem", lambda parsed, **_: read.append(parsed["Item"]))

    assert store.operation_head(OP) == OperationHead("deploy", "recover-op-3", 4, RECORD.asked_at, False, WHO)
    assert "published" not in read[0]


def test_an_operation_that_has_ended_says_so(table: Table, store: Store) -> None:
    item = {**items.operation_item(RECORD), **items.end_attributes(Succeeded({}), AT)}
    table.put(Put(items.operation_key(OP), item))

    head = store.operation_head(OP)

    assert head is not None
    assert head.has_ended


def test_an_operation_that_is_not_on_record_has_no_head(store: Store) -> None:
    assert store.operation_head(OP) is None


# What is damaged.

VERSION = items.version_item(ARN, VersionNumber(9), ONE, OP, AT)
RELEASE = items.release_item(Release(ReleaseNumber(2), {}), OP, AT)
#: Of each kind of item its place, how it is, what reads it, and what that needs of it.
KINDS: dict[str, tuple[Key, items.Item, Callable[[Store], object], tuple[str, ...]]] = {
    "line of a ledger": (
        items.movement_key(ORDERS, PROD, 1),
        items.movement_item(line("prod", 1)),
        lambda store: store.history(ORDERS, PROD, 1),
        ("operation", "operation_id", "at", "popped", "actor", "reason", "commit", "branch", "run_url"),
    ),
    "line of some ledger": (
        items.movement_key(ORDERS, PROD, 1),
        items.movement_item(line("prod", 1)),
        lambda store: store.histories(ORDERS, 1),
        ("stage", "number", "from_release", "to_release"),
    ),
    "release": (
        items.release_key(ORDERS, ReleaseNumber(2)),
        RELEASE,
        lambda store: store.release_on_record(ORDERS, ReleaseNumber(2)),
        ("release", "functions", "operation_id", "made_at"),
    ),
    "newest release": (
        items.release_key(ORDERS, ReleaseNumber(2)),
        RELEASE,
        lambda store: store.newest_releases(ORDERS, 1),
        ("release", "functions", "operation_id", "made_at"),
    ),
    "version": (
        items.version_key(ARN, VersionNumber(9)),
        VERSION,
        lambda store: store.version(ARN, VersionNumber(9)),
        ("code", "configuration", "published_by", "recorded_at"),
    ),
    "content": (items.content_key(ARN, ONE), {"version": 9}, lambda store: store.realisation(ARN, ONE), ("version",)),
    "operation": (
        items.operation_key(OP),
        items.operation_item(RECORD),
        lambda store: store.operation_head(OP),
        ("operation", "execution", "epoch", "asked_at", "actor", "reason", "commit", "branch", "run_url"),
    ),
}


@pytest.mark.parametrize(
    ("kind", "attribute"), [(kind, attribute) for kind, (*_, needed) in KINDS.items() for attribute in needed]
)
def test_an_item_that_lacks_something_is_malformed_and_named(table: Table, store: Store, kind: str, attribute: str) -> None:
    key, item, read, _ = KINDS[kind]
    table.put(Put(key, item))
    assert read(store)
    table.put(Put(key, {name: value for name, value in item.items() if name != attribute}))

    with pytest.raises(MalformedItem) as malformed:
        read(store)

    assert f"{key.pk} / {key.sk}" in str(malformed.value)
