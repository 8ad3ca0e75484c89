"""Items: everything of the domain comes back from the table as it was written, and keys never clash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.aws import items
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
    Settings,
    Stage,
    StageName,
    VersionNumber,
)
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.plan import Published
from stagekeeper.domain.reach import PastMovement
from stagekeeper.domain.record import Failed, OperationRecord, Succeeded
from stagekeeper.domain.refusal import Code, Refusal

from .records import RECORD

ORDERS, PROD, OP = ServiceName("orders"), StageName("prod"), OperationId("op")
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
    Stage(
        PROD,
        ReleaseNumber(3),
        (),
        {
            ARN: ServedAlias(LogicalName("api"), VersionNumber(7), "r-1", kept=True),
            OTHER: ServedAlias(LogicalName("b"), VersionNumber(1), "r-2", kept=False),
        },
        settings=Settings(protected=True, description="the one that earns money"),
        tearing_down=True,
        observed="shop",
    ),
]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage(table: Table, stage: Stage) -> None:
    assert items.stage_of(through(table, items.stage_item(stage))) == stage


def test_a_stage_of_a_version_that_knew_no_observed_ones_is_an_ordinary_one(table: Table) -> None:
    item = {name: value for name, value in items.stage_item(STAGES[1]).items() if name != "observed"}

    assert items.stage_of(through(table, item)) == STAGES[1]


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


RECORDS = [
    RECORD,
    replace(RECORD, stage=None, kind=OperationKind.TEARDOWN),
    replace(RECORD, service=None, stage=None, kind=OperationKind.SWEEP, phase=Phase.COLLECT, lock_wait_seconds=0),
    replace(RECORD, service=None, kind=OperationKind.SWEEP, collecting=ORDERS, plan_key="plans/y", progress_key="plans/z"),
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
        overlapped=True,
        publishing_since=1767603725.25,
    ),
]


@pytest.mark.parametrize("record", RECORDS)
def test_an_operation(table: Table, record: OperationRecord) -> None:
    assert items.operation_of(through(table, items.operation_item(record))) == record


@pytest.mark.parametrize(
    "end",
    [
        Succeeded({"outcome": "succeeded", "release": 2, "previous_release": None, "changes": [{"after": "1"}], "warnings": []}),
        Failed("Drifted", {"message": "m", "blockers": ["b"], "operation_id": "op", "warnings": []}),
    ],
)
def test_an_operation_that_has_ended(table: Table, end: Succeeded | Failed) -> None:
    item = {**items.operation_item(RECORD), **items.end_attributes(end, "2026-01-01T00:00:01Z")}

    assert items.operation_of(through(table, item)) == replace(RECORD, end=end)


def test_an_operation_that_has_ended_without_saying_how_is_malformed() -> None:
    with pytest.raises(MalformedItem, match="operation op has"):
        items.operation_of({**items.operation_item(RECORD), "ended_at": "2026-01-01T00:00:01Z"})


def test_a_movement_holds_what_the_ledger_tells(table: Table) -> None:
    provenance = Provenance("ada", "because", "abc", "main", "https://ci")
    movement = Movement(PROD, 3, OP, "rollback", None, ReleaseNumber(2), "2026-01-01T00:00:00.000Z", provenance)

    found = through(table, items.movement_item(movement))

    told = {
        "stage": "prod",
        "number": 3,
        "operation": "rollback",
        "operation_id": "op",
        "from_release": None,
        "to_release": 2,
        "at": "2026-01-01T00:00:00.000Z",
        "actor": "ada",
        "reason": "because",
        "commit": "abc",
        "branch": "main",
        "run_url": "https://ci",
        "popped": [],
        "displaced": {},
    }
    assert {name: value for name, value in found.items() if name not in ("pk", "sk", "schema")} == told


@pytest.mark.parametrize(
    ("movement", "past"),
    [
        (
            Movement(PROD, 3, OP, "rollback", None, ReleaseNumber(2), "1970-01-01T00:01:40.125Z"),
            PastMovement(PROD, 3, None, ReleaseNumber(2), 100.125),
        ),
        (
            Movement(
                PROD,
                4,
                OP,
                "teardown",
                ReleaseNumber(5),
                None,
                "1970-01-01T00:00:00.000Z",
                popped=(ReleaseNumber(4), ReleaseNumber(3)),
                displaced={ARN: VersionNumber(7), OTHER: VersionNumber(1)},
            ),
            PastMovement(
                PROD,
                4,
                ReleaseNumber(5),
                None,
                0.0,
                (ReleaseNumber(4), ReleaseNumber(3)),
                {ARN: VersionNumber(7), OTHER: VersionNumber(1)},
            ),
        ),
    ],
    ids=["a stage that was made", "a stage that was torn down"],
)
def test_a_movement_as_a_sweep_reads_it(table: Table, movement: Movement, past: PastMovement) -> None:
    assert items.past_movement_of(through(table, items.movement_item(movement))) == past


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
        items.member_key(ORDERS, ARN),
        items.known_service_key(ORDERS),
        items.object_key("orders"),
    ]

    assert len(set(keys)) == len(keys)
