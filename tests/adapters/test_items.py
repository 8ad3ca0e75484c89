"""Items: everything of the domain comes back from the table as it was written, and keys never clash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import Key, MalformedItem, Put, Table
from stagekeeper.domain.lock import Entry, Lock
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LatestWrite,
    LogicalName,
    Movement,
    OperationId,
    Provenance,
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
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.plan import Published
from stagekeeper.domain.record import Failed, OperationRecord, Succeeded
from stagekeeper.domain.refusal import Code, Refusal

ORDERS, PROD, OP = ServiceName("orders"), StageName("prod"), OperationId("op-1")
ARN = FunctionArn("arn:aws:lambda:eu-central-1:123456789012:function:orders-api")
OTHER = FunctionArn(f"{ARN}-2")
ONE, TWO = Content("Y29kZQ==", "c1"), Content("bW9yZQ==", "c2")
KEY = Key("P", "S")


def through(table: Table, item: items.Item) -> dict[str, Any]:
    """The item as it is after it was in the table."""
    table.transact([Put(KEY, item)])
    found = table.get(KEY)
    assert found is not None
    return found


STAGES = [
    Stage(PROD, None, (), {}),
    Stage(
        PROD,
        ReleaseNumber(3),
        (ReleaseNumber(2), ReleaseNumber(1)),
        {ARN: ServedAlias(LogicalName("api"), VersionNumber(7), "r-1")},
    ),
    Stage(
        PROD,
        ReleaseNumber(3),
        (),
        {ARN: ServedAlias(LogicalName("api"), VersionNumber(7), None)},
        mixed=True,
        movements=4,
        revision=9,
    ),
]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage(table: Table, stage: Stage) -> None:
    assert items.stage_of(through(table, items.stage_item(stage))) == stage


def test_a_release(table: Table) -> None:
    parts = {LogicalName("api"): ReleaseFunction(ARN, ONE), LogicalName("b.c-d_e"): ReleaseFunction(OTHER, TWO)}
    release = Release(ReleaseNumber(12), parts)

    found = items.release_of(through(table, items.release_item(release, OP, "2026-01-01T00:00:00Z")))

    assert found == release
    assert found.digest == release.digest


def test_a_service(table: Table) -> None:
    service = Service(ORDERS, ReleaseNumber(12))

    assert items.service_of(through(table, items.service_item(service))) == service


@pytest.mark.parametrize(
    "claim",
    [
        Claim(ORDERS, LogicalName("api")),
        Claim(ORDERS, LogicalName("api"), frozenset({"Timeout", "MemorySize"}), LatestWrite(OP, ONE, TWO)),
    ],
)
def test_a_claim(table: Table, claim: Claim) -> None:
    assert items.claim_of(through(table, items.claim_item(claim))) == claim


def entry(name: str, since: float) -> Entry:
    return Entry(OperationId(name), "deploy", frozenset({"publish", "stage:prod"}), since, since + 1800)


@pytest.mark.parametrize(
    "lock",
    [
        Lock(),
        Lock((entry("a", 1000.125), entry("b", 2000.25)), (entry("d", 4000.5), entry("c", 3000.75)), 17),
    ],
    ids=["free", "held and waited for"],
)
def test_a_lock_with_its_holders_and_its_queue_in_order(table: Table, lock: Lock) -> None:
    assert items.lock_of(through(table, items.lock_item(lock))) == lock


def test_a_lock_that_nobody_ever_asked_for_is_free() -> None:
    assert items.lock_of(None) == Lock()


RECORD = OperationRecord(
    operation_id=OP,
    kind=OperationKind.DEPLOY,
    service=ORDERS,
    stage=PROD,
    status=Status.PLANNED,
    epoch=1,
    phase=Phase.PLAN,
    started_at="2026-01-01T00:00:00.000Z",
    asked_at=1767603720.125,
    lock_wait_seconds=0,
    provenance=Provenance(),
    request_key="requests/x.json",
)
RECORDS = [
    RECORD,
    replace(RECORD, stage=None, kind=OperationKind.ROLLBACK),
    replace(RECORD, provenance=Provenance("ada", "because", "abc", "main", "https://ci")),
    replace(
        RECORD,
        status=Status.COMPENSATING,
        epoch=9,
        phase=Phase.MOVE,
        plan_key="plans/y.json",
        published={ARN: Published(VersionNumber(4), ours=True), OTHER: Published(VersionNumber(1), ours=False)},
        moved={ARN: "revision"},
        failure=Refusal(Code.DRIFTED, "somebody moved it", ("x", "y"), ("w",)),
        calls_ended=True,
    ),
]


@pytest.mark.parametrize("record", RECORDS)
def test_an_operation(table: Table, record: OperationRecord) -> None:
    assert items.operation_of(through(table, items.operation_item(record))) == record


@pytest.mark.parametrize(
    "end",
    [
        Succeeded({"outcome": "succeeded", "release": 2, "previous_release": None, "changes": [{"after": "1"}], "warnings": []}),
        Failed("Drifted", {"message": "m", "blockers": ["b"], "operation_id": "op-1", "warnings": []}),
    ],
)
def test_an_operation_that_has_ended(table: Table, end: Succeeded | Failed) -> None:
    item = {**items.operation_item(RECORD), **items.end_attributes(end, "2026-01-01T00:00:01Z")}

    assert items.operation_of(through(table, item)) == replace(RECORD, end=end)


def test_an_operation_that_has_ended_without_saying_how_is_malformed() -> None:
    with pytest.raises(MalformedItem, match="op-1"):
        items.operation_of({**items.operation_item(RECORD), "ended_at": "2026-01-01T00:00:01Z"})


def test_a_movement_holds_what_the_ledger_tells(table: Table) -> None:
    movement = Movement(PROD, 3, OP, "deploy", None, ReleaseNumber(2), "2026-01-01T00:00:00Z", Provenance(actor="ada"))

    found = through(table, items.movement_item(movement))

    assert {
        name: found[name] for name in ("stage", "number", "operation_id", "from_release", "to_release", "actor", "reason")
    } == {
        "stage": "prod",
        "number": 3,
        "operation_id": "op-1",
        "from_release": None,
        "to_release": 2,
        "actor": "ada",
        "reason": None,
    }


def test_numbers_in_keys_sort_as_numbers() -> None:
    releases = [items.release_key(ORDERS, ReleaseNumber(number)).sk for number in (9, 10, 99, 100)]
    versions = [items.version_key(ARN, VersionNumber(number)).sk for number in (9, 10, 99, 100)]
    movements = [items.movement_key(ORDERS, PROD, number).sk for number in (9, 10, 99, 100)]

    assert [sorted(keys) for keys in (releases, versions, movements)] == [releases, versions, movements]


def test_no_two_things_share_a_key() -> None:
    keys = [
        items.service_key(ORDERS),
        items.lock_key(ORDERS),
        items.stage_key(ORDERS, PROD),
        items.stage_key(ORDERS, StageName("LOCK")),
        items.release_key(ORDERS, ReleaseNumber(1)),
        items.release_digest_key(ORDERS, "00000001"),
        items.movement_key(ORDERS, PROD, 1),
        items.operation_key(OperationId("orders")),
        items.claim_key(ARN),
        items.version_key(ARN, VersionNumber(1)),
        items.content_key(ARN, ONE),
        items.object_key("orders"),
    ]

    assert len(set(keys)) == len(keys)


# The store reads them back.


def test_the_stages_of_a_service_are_found_and_nobody_elses(table: Table) -> None:
    store = Store(table)
    for service, name in ((ORDERS, "prod"), (ORDERS, "qa"), (ServiceName("orders-2"), "dev")):
        stage = Stage(StageName(name), None, (), {})
        table.put(Put(items.stage_key(service, stage.name), items.stage_item(stage)))

    assert [stage.name for stage in store.stages(ORDERS)] == ["prod", "qa"]


def test_a_release_is_found_by_its_content(table: Table) -> None:
    store = Store(table)
    release = Release(ReleaseNumber(2), {LogicalName("api"): ReleaseFunction(ARN, ONE)})
    table.put(Put(items.release_key(ORDERS, release.number), items.release_item(release, OP, "now")))
    table.put(Put(items.release_digest_key(ORDERS, release.digest), {"release": 2}))

    assert store.release_with(ORDERS, release.digest) == release
    assert store.release_with(ORDERS, "other") is None


def test_a_release_that_is_named_but_not_there_is_malformed_and_not_absent(table: Table) -> None:
    table.put(Put(items.release_digest_key(ORDERS, "d"), {"release": 2}))

    with pytest.raises(MalformedItem, match="r2"):
        Store(table).release_with(ORDERS, "d")


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
def test_which_writers_of_latest_count_as_failed(table: Table, status: Status, committed: bool, failed: bool) -> None:
    item = items.operation_item(replace(RECORD, status=status))
    table.put(Put(items.operation_key(OP), {**item, **({"committed_at": "then"} if committed else {})}))

    assert Store(table).failed_operations([OP]) == ({OP} if failed else set())


def test_a_writer_without_a_record_counts_as_failed(table: Table) -> None:
    assert Store(table).failed_operations([OP]) == {OP}


def test_realisations_and_claims_are_found_for_many_functions_at_once(table: Table) -> None:
    store = Store(table)
    table.put(Put(items.content_key(ARN, ONE), {"version": 4}))
    table.put(Put(items.content_key(OTHER, ONE), {"version": 2}))
    table.put(Put(items.claim_key(ARN), items.claim_item(Claim(ORDERS, LogicalName("api")))))

    assert store.realisations([(ARN, ONE), (ARN, TWO), (OTHER, ONE)]) == {
        (ARN, ONE): VersionNumber(4),
        (OTHER, ONE): VersionNumber(2),
    }
    assert store.claims([ARN, OTHER]) == {ARN: Claim(ORDERS, LogicalName("api"))}
