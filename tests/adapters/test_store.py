"""Typed reads of the record: everything of a service is found and nobody else's, and nothing damaged is taken for absent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.clock import epoch
from stagekeeper.aws.store import ObjectHashes, Store, VersionOnRecord
from stagekeeper.aws.table import Key, MalformedItem, Put, Table
from stagekeeper.domain.lock import Entry, Lock
from stagekeeper.domain.model import (
    Claim,
    Content,
    LatestWrite,
    LogicalName,
    Movement,
    Release,
    ReleaseFunction,
    ReleaseNumber,
    ServedAlias,
    Service,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import Status
from stagekeeper.domain.stack_plan import AppliedStack
from stagekeeper.domain.stack_work import StackRecord

from .desk import ORDERS, PROD, arn, movement
from .records import RECORD

ARN, OTHER = arn(0), arn(1)
API = LogicalName("api")
OP = RECORD.operation_id
ONE, TWO = Content("Y29kZQ==", "c1"), Content("bW9yZQ==", "c2")
#: A service whose name begins like the other's.
LONGER = ServiceName("orders-2")
AT = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def store(table: Table) -> Store:
    return Store(table)


def put(table: Table, key: Key, item: items.Item) -> None:
    table.put(Put(key, item))


def r(number: int) -> Release:
    return Release(ReleaseNumber(number), {API: ReleaseFunction(ARN, ONE)})


# A service and what is its own.


def test_a_service_is_found_under_its_name(table: Table, store: Store) -> None:
    put(table, items.service_key(ORDERS), items.service_item(Service(ORDERS, ReleaseNumber(7))))

    assert store.service(ORDERS) == Service(ORDERS, ReleaseNumber(7))
    assert store.service(LONGER) is None


def test_every_service_that_ever_claimed_a_function_is_known(table: Table, store: Store) -> None:
    assert store.services() == []
    for name in (LONGER, ORDERS, ServiceName("billing")):
        put(table, items.known_service_key(name), {"service": name})

    assert store.services() == ["billing", "orders", "orders-2"]


def test_every_member_is_found_and_no_other_services(table: Table, store: Store) -> None:
    for service, where, name in ((ORDERS, ARN, "api"), (ORDERS, OTHER, "worker"), (LONGER, ARN, "theirs")):
        put(table, items.member_key(service, where), items.member_item(where, LogicalName(name)))

    assert store.members(ORDERS) == {ARN: LogicalName("api"), OTHER: LogicalName("worker")}


def test_the_stages_of_a_service_are_found_and_nobody_elses(table: Table, store: Store) -> None:
    for service, name in ((ORDERS, "prod"), (ORDERS, "qa"), (LONGER, "dev")):
        put(table, items.stage_key(service, StageName(name)), items.stage_item(Stage(StageName(name), None, (), {})))

    assert [stage.name for stage in store.stages(ORDERS)] == ["prod", "qa"]


# Releases.


def test_all_releases_are_found_in_order_and_not_what_finds_them_by_content(table: Table, store: Store) -> None:
    for number in (10, 9, 1):
        put(table, items.release_key(ORDERS, ReleaseNumber(number)), items.release_item(r(number), OP, AT))
        put(table, items.release_digest_key(ORDERS, f"d{number}"), {"release": number})
    put(table, items.release_key(LONGER, ReleaseNumber(2)), items.release_item(r(2), OP, AT))

    assert store.releases(ORDERS) == [r(1), r(9), r(10)]


def test_a_release_is_found_by_its_content(table: Table, store: Store) -> None:
    put(table, items.release_key(ORDERS, ReleaseNumber(2)), items.release_item(r(2), OP, AT))
    put(table, items.release_digest_key(ORDERS, r(2).digest), {"release": 2})

    assert store.release_with(ORDERS, r(2).digest) == r(2)
    assert store.release_with(ORDERS, "other") is None


def test_a_release_that_is_named_but_not_there_is_malformed_and_not_absent(table: Table, store: Store) -> None:
    put(table, items.release_digest_key(ORDERS, "d"), {"release": 2})

    with pytest.raises(MalformedItem, match="r2"):
        store.release_with(ORDERS, "d")


def test_everything_about_releases_can_be_forgotten(table: Table, store: Store) -> None:
    release, digest = items.release_key(ORDERS, ReleaseNumber(2)), items.release_digest_key(ORDERS, "d")
    for key in (release, digest, items.stage_key(ORDERS, PROD), items.release_key(LONGER, ReleaseNumber(2))):
        put(table, key, {})

    assert set(store.release_keys(ORDERS)) == {release, digest}


# Ledgers.


def lines(table: Table, *of: tuple[str, int]) -> None:
    for stage, number in of:
        name = StageName(stage)
        put(table, items.movement_key(ORDERS, name, number), items.movement_item(movement(number, of=name)))


def test_the_ledgers_of_all_stages_are_read_also_of_those_that_are_gone(table: Table, store: Store) -> None:
    lines(table, ("prod", 1), ("prod", 2), ("gone", 1))
    theirs = Movement(PROD, 1, OP, "deploy", None, ReleaseNumber(1), AT)
    put(table, items.movement_key(LONGER, PROD, 1), items.movement_item(theirs))

    assert [(line.stage, line.number) for line in store.movements(ORDERS)] == [("gone", 1), ("prod", 1), ("prod", 2)]


def test_the_last_line_of_a_ledger_is_that_with_the_highest_number(table: Table, store: Store) -> None:
    assert store.last_movement(ORDERS, PROD) == 0

    lines(table, *[("prod", number) for number in (1, 9, 10, 100)], ("prod-2", 500), ("pro", 700), ("zz", 900))

    assert store.last_movement(ORDERS, PROD) == 100


# Functions.


def test_every_version_on_record_is_read_with_its_maker(table: Table, store: Store) -> None:
    item = {"function_arn": ARN, "code": ONE.code, "configuration": ONE.configuration, "recorded_at": AT}
    put(table, items.version_key(ARN, VersionNumber(9)), {**item, "version": 9, "published_by": "op"})
    put(table, items.version_key(ARN, VersionNumber(31)), {**item, "version": 31, "published_by": None})
    put(table, items.content_key(ARN, ONE), {"version": 9})
    put(table, items.version_key(OTHER, VersionNumber(1)), {**item, "version": 1, "published_by": "op"})

    assert store.versions(ARN) == {
        VersionNumber(9): VersionOnRecord(ONE, OP, epoch(AT)),
        VersionNumber(31): VersionOnRecord(ONE, None, epoch(AT)),
    }


def test_everything_about_a_function_can_be_forgotten(table: Table, store: Store) -> None:
    mine = {items.claim_key(ARN), items.version_key(ARN, VersionNumber(9)), items.content_key(ARN, ONE)}
    for key in (*mine, items.claim_key(OTHER)):
        put(table, key, {})

    assert set(store.function_keys(ARN)) == mine


def test_realisations_and_claims_are_found_for_many_functions_at_once(table: Table, store: Store) -> None:
    put(table, items.content_key(ARN, ONE), {"version": 4})
    put(table, items.content_key(OTHER, ONE), {"version": 2})
    put(table, items.claim_key(ARN), items.claim_item(Claim(ORDERS, API)))

    assert store.realisations([(ARN, ONE), (ARN, TWO), (OTHER, ONE)]) == {
        (ARN, ONE): VersionNumber(4),
        (OTHER, ONE): VersionNumber(2),
    }
    assert store.claims([ARN, OTHER]) == {ARN: Claim(ORDERS, API)}


# Operations that wrote $LATEST.


@pytest.mark.parametrize(
    ("status", "committed", "failed"),
    [
        (Status.CONVERGING, False, False),
        (Status.COMMITTED, True, False),
        (Status.ENDED, True, False),
        (Status.COMPENSATING, False, True),
        (Status.COMPENSATED, False, True),
        (Status.NEEDS_ATTENTION, False, True),
        (Status.NEEDS_ATTENTION, True, False),
    ],
)
def test_which_writers_of_latest_count_as_failed(
    table: Table, store: Store, status: Status, committed: bool, failed: bool
) -> None:
    item = items.operation_item(replace(RECORD, status=status))
    put(table, items.operation_key(OP), {**item, **({"committed_at": "then"} if committed else {})})

    assert store.failed_operations([OP]) == ({OP} if failed else set())


def test_a_writer_without_a_record_counts_as_failed(store: Store) -> None:
    assert store.failed_operations([OP]) == {OP}


# What is damaged.

ENTRY = Entry(OP, "deploy", frozenset({"publish"}), 1.0, 2.0)
VERSION = {"version": 9, "code": "c", "configuration": "d", "published_by": None, "recorded_at": AT}
SEEN = StackRecord("arn:stack", "d1g", AT)
STACK = AppliedStack("orders", "stacks/one.json", SEEN, None)
CLAIM = Claim(ORDERS, API, frozenset({"Timeout"}), LatestWrite(OP, ONE, TWO))
SERVED = Stage(PROD, ReleaseNumber(1), (ReleaseNumber(2),), {ARN: ServedAlias(API, VersionNumber(7), None)})

#: Of each kind of item its place, how it is, and what reads it.
KINDS: dict[str, tuple[Key, items.Item, Callable[[Store], object]]] = {
    "service": (
        items.service_key(ORDERS),
        items.service_item(Service(ORDERS, ReleaseNumber(7))),
        lambda store: store.service(ORDERS),
    ),
    "name of a service": (items.known_service_key(ORDERS), {"service": ORDERS}, lambda store: store.services()),
    "member": (items.member_key(ORDERS, ARN), items.member_item(ARN, API), lambda store: store.members(ORDERS)),
    "stage": (items.stage_key(ORDERS, PROD), items.stage_item(SERVED), lambda store: store.stage(ORDERS, PROD)),
    "stage among others": (items.stage_key(ORDERS, PROD), items.stage_item(SERVED), lambda store: store.stages(ORDERS)),
    "release": (
        items.release_key(ORDERS, ReleaseNumber(2)),
        items.release_item(r(2), OP, AT),
        lambda store: store.release(ORDERS, ReleaseNumber(2)),
    ),
    "release among others": (
        items.release_key(ORDERS, ReleaseNumber(2)),
        items.release_item(r(2), OP, AT),
        lambda store: store.releases(ORDERS),
    ),
    "release by content": (
        items.release_digest_key(ORDERS, "d"),
        {"release": 2},
        lambda store: store.release_with(ORDERS, "d"),
    ),
    "movement": (
        items.movement_key(ORDERS, PROD, 1),
        items.movement_item(movement()),
        lambda store: store.movements(ORDERS),
    ),
    "stack": (items.stack_key(ORDERS, "orders"), items.stack_item(STACK), lambda store: store.stack(ORDERS, "orders")),
    "stack among others": (items.stack_key(ORDERS, "orders"), items.stack_item(STACK), lambda store: store.stacks(ORDERS)),
    "lock": (
        items.lock_key(ORDERS),
        items.lock_item(Lock((ENTRY,), (ENTRY,), 1)),
        lambda store: store.lock(ORDERS),
    ),
    "operation": (items.operation_key(OP), items.operation_item(RECORD), lambda store: store.operation(OP)),
    "claim": (items.claim_key(ARN), items.claim_item(CLAIM), lambda store: store.claims([ARN])),
    "version": (items.version_key(ARN, VersionNumber(9)), VERSION, lambda store: store.versions(ARN)),
    "content": (items.content_key(ARN, ONE), {"version": 9}, lambda store: store.realisations([(ARN, ONE)])),
}
#: What people only read.
UNREAD = {"digest", "operation_id", "made_at", "operation", "actor", "reason", "commit", "branch", "run_url"}
#: What earlier versions did not write, and what it stands for there.
ADDED = {
    ("lock", "sweeper"),
    *((kind, name) for kind in ("stage", "stage among others") for name in ("observed", "variables")),
    *((kind, "template") for kind in ("release", "release among others")),
    *(("operation", name) for name in ("stacks_key", "stacks_due", "marks", "resolved_key")),
}
MISSING = [
    pytest.param(kind, attribute, id=f"{kind} without {attribute}")
    for kind, (_, item, _) in KINDS.items()
    for attribute in item
    if (kind == "operation" or attribute not in UNREAD) and (kind, attribute) not in ADDED
]


@pytest.mark.parametrize("kind", KINDS)
def test_an_item_as_it_is_written_is_read(table: Table, store: Store, kind: str) -> None:
    key, item, read = KINDS[kind]
    put(table, items.release_key(ORDERS, ReleaseNumber(2)), items.release_item(r(2), OP, AT))
    put(table, key, item)

    assert read(store)


@pytest.mark.parametrize(("kind", "attribute"), MISSING)
def test_an_item_that_lacks_something_is_malformed_and_named(table: Table, store: Store, kind: str, attribute: str) -> None:
    key, item, read = KINDS[kind]
    put(table, key, {name: value for name, value in item.items() if name != attribute})

    with pytest.raises(MalformedItem) as malformed:
        read(store)

    assert f"{key.pk} / {key.sk}" in str(malformed.value)


@pytest.mark.parametrize(("kind", "attribute"), sorted(ADDED))
def test_an_item_of_an_earlier_version_is_read_as_it_is(table: Table, store: Store, kind: str, attribute: str) -> None:
    key, item, read = KINDS[kind]
    put(table, key, {name: value for name, value in item.items() if name != attribute})

    assert read(store)


DAMAGES: list[tuple[str, str, Any]] = [
    ("stage", "functions", []),
    ("stage", "functions", {ARN: {"function": "api", "version": "$LATEST", "revision_id": None, "kept": False}}),
    ("stage", "functions", {ARN: {"function": "api", "version": 0, "revision_id": None, "kept": False}}),
    ("stage", "way_back", None),
    ("release", "functions", {"api": {"arn": ARN}}),
    ("movement", "at", "yesterday"),
    ("movement", "displaced", {ARN: 0}),
    ("lock", "holders", {"op": {"operation_id": "op"}}),
    ("lock", "queue", 7),
    ("operation", "status", "on its way"),
    ("operation", "operation", "juggle"),
    ("operation", "phase", "waning"),
    ("operation", "failure", {"code": "Nonsense", "message": "", "blockers": [], "warnings": []}),
    ("operation", "published", {ARN: {"version": 0, "ours": True}}),
    ("claim", "latest_write", {"operation_id": "op"}),
    ("version", "recorded_at", "yesterday"),
    ("version", "version", 0),
    ("content", "version", 0),
]


@pytest.mark.parametrize(("kind", "attribute", "value"), DAMAGES)
def test_an_item_that_holds_nonsense_is_malformed_and_named(
    table: Table, store: Store, kind: str, attribute: str, value: object
) -> None:
    key, item, read = KINDS[kind]
    put(table, key, {**item, attribute: value})

    with pytest.raises(MalformedItem) as malformed:
        read(store)

    assert f"{key.pk} / {key.sk}" in str(malformed.value)


def test_a_damaged_last_line_is_not_an_empty_ledger(table: Table, store: Store) -> None:
    put(table, items.movement_key(ORDERS, PROD, 1), {})

    with pytest.raises(MalformedItem, match="MOVEMENT#prod#00000001"):
        store.last_movement(ORDERS, PROD)


def test_a_damaged_writer_of_latest_is_malformed(table: Table, store: Store) -> None:
    put(table, items.operation_key(OP), {})

    with pytest.raises(MalformedItem, match="OPERATION#op"):
        store.failed_operations([OP])


def test_a_damaged_hash_is_malformed(table: Table) -> None:
    put(table, items.object_key("bucket/key"), {})

    with pytest.raises(MalformedItem, match="OBJECT#bucket/key"):
        ObjectHashes(table, read_only=False).recall("bucket/key")
