"""Claims and versions: written in chunks, never taken from another service, put back only where they are still ours."""

from __future__ import annotations

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.journal import ClaimLost, VersionRecord
from stagekeeper.aws.mandated import Superseded
from stagekeeper.aws.table import Put
from stagekeeper.domain.model import (
    Claim,
    FunctionArn,
    LatestWrite,
    LogicalName,
    OperationId,
    VersionNumber,
)
from stagekeeper.domain.operation import Phase
from stagekeeper.domain.plan import Published
from stagekeeper.domain.record import OperationRecord

from .desk import BILLING, CONTENT, ORDERS, PUBLISH, STAGE, Desk, arn, claims, version


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
    assert desk.table.get(items.known_service_key(ORDERS)) is not None


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


def test_a_version_is_on_record_with_its_content_its_maker_and_its_time(desk: Desk) -> None:
    desk.journal.record_versions(desk.converging(), [version(0)])

    recorded = desk.store.versions(arn(0))[VersionNumber(3)]
    assert (recorded.content, recorded.published_by) == (CONTENT, "op")
    # Recorded to the millisecond.
    assert recorded.recorded_at == pytest.approx(desk.clock.now(), abs=0.001)
    assert desk.table.query(f"FUNCTION#{arn(0)}", "VERSION#")[0]["function_arn"] == arn(0)


# Going back to a function that nobody has any more.


def test_a_function_that_nobody_has_is_claimed_anew(desk: Desk) -> None:
    assert desk.journal.claim_anew(desk.converging(), ORDERS, arn(0), LogicalName("f0"))

    assert desk.store.claims([arn(0)]) == {arn(0): Claim(ORDERS, LogicalName("f0"))}
    assert desk.store.members(ORDERS) == {arn(0): LogicalName("f0")}
    assert desk.store.services() == [ORDERS]
    # Under the keys by which a teardown takes them off again.
    assert desk.table.get(items.member_key(ORDERS, arn(0))) is not None
    assert desk.table.get(items.known_service_key(ORDERS)) is not None


def test_what_is_the_services_already_stays_as_it_is(desk: Desk) -> None:
    desk.table.put(Put(items.claim_key(arn(0)), items.claim_item(LATER)))

    assert desk.journal.claim_anew(desk.converging(), ORDERS, arn(0), LogicalName("f0"))

    assert desk.store.claims([arn(0)]) == {arn(0): LATER}


def test_what_another_service_has_is_not_claimed(desk: Desk) -> None:
    desk.table.put(Put(items.claim_key(arn(0)), items.claim_item(THEIRS)))

    assert not desk.journal.claim_anew(desk.converging(), ORDERS, arn(0), LogicalName("f0"))

    assert desk.store.claims([arn(0)]) == {arn(0): THEIRS}
    assert desk.store.members(ORDERS) == {}


@pytest.mark.parametrize("there", [None, LATER, THEIRS], ids=["nobody's", "ours", "another service's"])
def test_a_worker_without_a_mandate_claims_nothing_anew(desk: Desk, there: Claim | None) -> None:
    late = desk.converging()
    desk.journal.supersede(late, Phase.COMPENSATE)
    if there is not None:
        desk.table.put(Put(items.claim_key(arn(0)), items.claim_item(there)))

    with pytest.raises(Superseded, match="operation op went on without this worker"):
        desk.journal.claim_anew(late, ORDERS, arn(0), LogicalName("f0"))

    assert desk.store.claims([arn(0)]) == ({} if there is None else {arn(0): there})


# Freeing functions that nothing holds any more.


def _to_free(desk: Desk, record: OperationRecord, numbers: range) -> dict[FunctionArn, tuple[Claim, None]]:
    joined = claims(numbers)
    desk.journal.join(record, ORDERS, joined)
    return {arn: (claim, None) for arn, claim in joined.items()}


def test_functions_are_freed_if_nobody_was_granted_anything_meanwhile(desk: Desk) -> None:
    """More than a transaction holds."""
    record = desk.converging()
    free = _to_free(desk, record, range(120))

    assert desk.journal.free_claims(record, ORDERS, free, desk.store.lock(ORDERS))

    assert desk.store.claims(free) == {}
    assert desk.held() == {"op": {PUBLISH, STAGE}}


def test_after_a_grant_they_are_not_freed(desk: Desk) -> None:
    """Whoever got it may be about to use them."""
    record = desk.converging()
    free = _to_free(desk, record, range(2))
    seen = desk.store.lock(ORDERS)
    desk.holding("other", "stage:qa")

    assert not desk.journal.free_claims(record, ORDERS, free, seen)

    assert desk.store.claims(free) == claims(range(2))


def test_a_function_that_changed_meanwhile_is_not_freed(desk: Desk) -> None:
    record = desk.converging()
    free = _to_free(desk, record, range(2))
    desk.table.put(Put(items.claim_key(arn(1)), items.claim_item(LATER)))

    with pytest.raises(Superseded):
        desk.journal.free_claims(record, ORDERS, free, desk.store.lock(ORDERS))

    assert desk.store.claims(free) == {arn(0): claims(range(1))[arn(0)], arn(1): LATER}


def test_a_worker_without_a_mandate_frees_nothing(desk: Desk) -> None:
    late = desk.converging()
    free = _to_free(desk, late, range(2))
    desk.journal.supersede(late, Phase.COMPENSATE)

    with pytest.raises(Superseded):
        desk.journal.free_claims(late, ORDERS, free, desk.store.lock(ORDERS))

    assert desk.store.claims(free) == claims(range(2))
