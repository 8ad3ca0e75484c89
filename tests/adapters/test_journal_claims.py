"""Claims and versions: written in chunks, never taken from another service, put back only where they are still ours."""

from __future__ import annotations

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.journal import ClaimLost, Superseded, VersionRecord
from stagekeeper.aws.table import Put
from stagekeeper.domain.model import (
    Claim,
    LatestWrite,
    LogicalName,
    OperationId,
    VersionNumber,
)
from stagekeeper.domain.plan import Published

from .desk import BILLING, CONTENT, ORDERS, Desk, arn, claims, version


def test_more_claims_than_a_transaction_holds_are_written_in_several(desk: Desk) -> None:
    desk.journal.join(desk.converging(), ORDERS, claims(range(250)))

    assert desk.store.claims(arn(number) for number in range(250)) == claims(range(250))


def test_a_function_of_another_service_is_named_and_not_taken(desk: Desk) -> None:
    theirs = Claim(BILLING, LogicalName("x"))
    for number in (3, 7):
        desk.table.put(Put(items.claim_key(arn(number)), items.claim_item(theirs)))

    with pytest.raises(ClaimLost) as lost:
        desk.journal.join(desk.converging(), ORDERS, claims(range(10)))

    assert lost.value.arns == (arn(3), arn(7))
    assert desk.store.claims([arn(3), arn(0)]) == {arn(3): theirs}


def test_ones_own_claim_is_written_anew(desk: Desk) -> None:
    record = desk.converging()
    desk.journal.join(record, ORDERS, claims(range(1)))
    changed = {arn(0): Claim(ORDERS, LogicalName("f0"), frozenset({"Timeout"}))}

    desk.journal.join(record, ORDERS, changed)

    assert desk.store.claims([arn(0)]) == changed


def test_claims_are_put_back_or_freed(desk: Desk) -> None:
    record = desk.converging()
    joined = claims(range(2))
    desk.journal.join(record, ORDERS, joined)
    old = Claim(ORDERS, LogicalName("old"))

    desk.journal.write_claims(record, {arn(0): (joined[arn(0)], old), arn(1): (joined[arn(1)], None)})

    assert desk.store.claims([arn(0), arn(1)]) == {arn(0): old}


def test_what_a_service_ever_claimed_is_remembered_with_its_name_there(desk: Desk) -> None:
    record = desk.converging()

    desk.journal.join(record, ORDERS, claims(range(120)))
    desk.journal.join(record, ORDERS, {arn(0): Claim(ORDERS, LogicalName("renamed"))})

    names = {arn(number): LogicalName(f"f{number}") for number in range(120)}
    assert desk.store.members(ORDERS) == {**names, arn(0): LogicalName("renamed")}
    assert desk.store.services() == [ORDERS]


def test_a_claim_that_is_freed_leaves_the_function_a_member(desk: Desk) -> None:
    """Its versions must be found by every sweep."""
    record = desk.converging()
    joined = claims(range(1))
    desk.journal.join(record, ORDERS, joined)

    desk.journal.write_claims(record, {arn(0): (joined[arn(0)], None)})

    assert desk.store.claims([arn(0)]) == {}
    assert desk.store.members(ORDERS) == {arn(0): LogicalName("f0")}


def test_a_function_that_another_service_has_becomes_no_member(desk: Desk) -> None:
    desk.table.put(Put(items.claim_key(arn(0)), items.claim_item(Claim(BILLING, LogicalName("x")))))

    with pytest.raises(ClaimLost):
        desk.journal.join(desk.converging(), ORDERS, claims(range(2)))

    assert (desk.store.members(ORDERS), desk.store.services()) == ({}, [])


THEIRS = Claim(BILLING, LogicalName("f0"))
LATER = Claim(ORDERS, LogicalName("f0"), frozenset(), LatestWrite(OperationId("later"), CONTENT, CONTENT))


@pytest.mark.parametrize("now", [THEIRS, LATER], ids=["another service's", "a later deploy's"])
@pytest.mark.parametrize("back", [None, Claim(ORDERS, LogicalName("old"))], ids=["freed", "put back"])
def test_a_claim_that_is_another_services_or_a_later_deploys_by_now_is_left_alone(
    desk: Desk, now: Claim, back: Claim | None
) -> None:
    record = desk.converging()
    seen = claims(range(1))[arn(0)]
    desk.table.put(Put(items.claim_key(arn(0)), items.claim_item(now)))

    with pytest.raises(Superseded):
        desk.journal.write_claims(record, {arn(0): (seen, back)})

    assert desk.store.claims([arn(0)]) == {arn(0): now}


def test_many_versions_are_recorded_with_their_maker_and_their_content(desk: Desk) -> None:
    record = desk.converging()

    desk.journal.record_versions(record, [version(number) for number in range(120)])

    found = desk.store.realisations([(arn(number), CONTENT) for number in range(120)])
    assert set(found.values()) == {VersionNumber(3)}
    assert len(found) == 120
    assert desk.table.query(f"FUNCTION#{arn(119)}", "VERSION#")[0]["published_by"] == "op"


def test_a_version_of_somebody_else_is_recorded_without_a_maker(desk: Desk) -> None:
    theirs = VersionRecord(arn(0), CONTENT, Published(VersionNumber(3), ours=False))

    desk.journal.record_versions(desk.converging(), [theirs])

    assert desk.table.query(f"FUNCTION#{arn(0)}", "VERSION#")[0]["published_by"] is None
