"""The journal's transactions, each against another writer who was faster: the loser stops, and nothing of it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from _pytest.mark import ParameterSet

from stagekeeper.aws import items
from stagekeeper.aws.mandated import Superseded
from stagekeeper.aws.table import MalformedItem, Put
from stagekeeper.domain.model import Claim, LogicalName, ReleaseNumber
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.record import OperationRecord, Succeeded

from .desk import (
    COLLECT,
    END,
    FAILURE,
    ORDERS,
    PROD,
    PUBLISH,
    QA,
    STAGE,
    Desk,
    arn,
    everything,
    movement,
    new_stage,
    record_release,
    service,
    version,
)

# The record.


def test_opening_again_gives_the_record_that_is_there(desk: Desk) -> None:
    first = desk.open()
    desk.clock.sleep(5)

    assert desk.open() == first


def test_an_operation_without_a_record_cannot_be_reread(desk: Desk) -> None:
    with pytest.raises(MalformedItem, match="nobody"):
        desk.known("nobody")


def test_beginning_a_phase_raises_the_epoch(desk: Desk) -> None:
    begun = desk.journal.begin(desk.holding(), Phase.PUBLISH)

    assert (begun.epoch, begun.phase) == (2, Phase.PUBLISH)
    assert desk.known() == begun


def test_a_phase_begins_only_while_the_lock_is_held(desk: Desk) -> None:
    with pytest.raises(Superseded):
        desk.journal.begin(desk.open(), Phase.PLAN)

    assert desk.known().epoch == 1


def test_of_two_workers_that_begin_at_the_same_time_one_wins(desk: Desk) -> None:
    record = desk.holding()
    desk.journal.begin(record, Phase.PUBLISH)

    with pytest.raises(Superseded):
        desk.journal.begin(record, Phase.MOVE)

    assert desk.known().phase is Phase.PUBLISH


@pytest.mark.parametrize(
    ("phases", "overlapped"),
    [
        ([Phase.PUBLISH], False),
        ([Phase.PUBLISH, Phase.MOVE], False),
        ([Phase.PUBLISH, Phase.PUBLISH], True),
        ([Phase.PUBLISH, Phase.PUBLISH, Phase.MOVE], True),
    ],
)
def test_a_phase_that_was_begun_twice_may_have_another_worker_still_at_it(
    desk: Desk, phases: list[Phase], overlapped: bool
) -> None:
    record = desk.converging()
    for phase in phases:
        record = desk.journal.begin(record, phase)

    assert record.overlapped is overlapped
    assert desk.known().overlapped is overlapped


Late = Callable[[Desk, OperationRecord], object]
THERE = replace(new_stage(QA), revision=1)


def late(name: str, write: Late) -> ParameterSet:
    return pytest.param(write, id=name)


LATE_WRITES = [
    late("begin", lambda desk, record: desk.journal.begin(record, Phase.MOVE)),
    late("intent", lambda desk, record: desk.journal.record_intent(record, "plans/y.json", service(2))),
    late("intent without a release", lambda desk, record: desk.journal.record_intent(record, "plans/y.json")),
    late("progress", lambda desk, record: desk.journal.record_progress(record, "plans/p.json")),
    late("failure", lambda desk, record: desk.journal.record_failure(record, FAILURE, calls_ended=True, moved={})),
    late("moves", lambda desk, record: desk.journal.record_moved(record, {arn(0): "r"})),
    late("published", lambda desk, record: desk.journal.record_published(record, {arn(0): version(0).published})),
    late("claims", lambda desk, record: desk.journal.join(record, ORDERS, {arn(0): Claim(ORDERS, LogicalName("f"))})),
    late(
        "claims put back",
        lambda desk, record: desk.journal.write_claims(record, {arn(1): (Claim(ORDERS, LogicalName("g")), None)}),
    ),
    late("versions", lambda desk, record: desk.journal.record_versions(record, [version(0)])),
    late("release", lambda desk, record: record_release(desk, record)),
    late("commit", lambda desk, record: desk.journal.commit(record, new_stage(), None, END)),
    late("commit with more to do", lambda desk, record: desk.journal.commit(record, new_stage(), None, None)),
    late("end", lambda desk, record: desk.journal.end(record, Status.NEEDS_ATTENTION, END, new_stage())),
    late("tearing down", lambda desk, record: desk.journal.record_tearing_down(record, THERE)),
    late("a stage forgotten", lambda desk, record: desk.journal.forget_stage(record, THERE, movement(2, None, QA))),
    late("items forgotten", lambda desk, record: desk.journal.forget_items(record, [items.claim_key(arn(1))])),
    late("teardown", lambda desk, record: desk.journal.commit_teardown(record, THERE, movement(2, None, QA), END)),
    late("teardown of the service", lambda desk, record: desk.journal.commit_service_teardown(record, END)),
]
EACH_LATE_WRITE = pytest.mark.parametrize("write", LATE_WRITES)


def furnished(desk: Desk) -> OperationRecord:
    """An operation that converges, a claim and a second stage: all that the writes need."""
    desk.table.put(Put(items.claim_key(arn(1)), items.claim_item(Claim(ORDERS, LogicalName("g")))))
    desk.there(THERE)
    return desk.converging()


@EACH_LATE_WRITE
def test_a_worker_that_is_not_late_writes(desk: Desk, write: Late) -> None:
    """What the three cases after this one refuse is refused for no other reason."""
    record = furnished(desk)
    before = everything(desk)

    write(desk, record)

    assert everything(desk) != before


@EACH_LATE_WRITE
def test_a_worker_whose_epoch_has_passed_writes_nothing(desk: Desk, write: Late) -> None:
    record = furnished(desk)
    desk.journal.begin(record, Phase.COMPENSATE)
    before = everything(desk)

    with pytest.raises(Superseded):
        write(desk, record)

    assert everything(desk) == before


@EACH_LATE_WRITE
def test_a_worker_writes_nothing_under_another_status_although_the_epoch_is_its_own(desk: Desk, write: Late) -> None:
    """Each status comes with an epoch of its own, so that one is as good as the other; each is asked for all the same."""
    record = furnished(desk)
    decided = items.operation_item(replace(record, status=Status.COMPENSATING))
    desk.table.put(Put(items.operation_key(record.operation_id), decided))
    before = everything(desk)

    with pytest.raises(Superseded):
        write(desk, record)

    assert everything(desk) == before


@EACH_LATE_WRITE
def test_a_worker_of_an_operation_that_has_ended_writes_nothing(desk: Desk, write: Late) -> None:
    record = furnished(desk)
    desk.journal.commit(record, None, None, END)
    before = everything(desk)

    with pytest.raises(Superseded):
        write(desk, record)

    assert everything(desk) == before


def test_the_mandate_is_good_until_another_takes_it(desk: Desk) -> None:
    record = desk.journal.begin(desk.converging(), Phase.MOVE)
    desk.journal.check_mandate(record)

    desk.journal.begin(record, Phase.MOVE)

    with pytest.raises(Superseded):
        desk.journal.check_mandate(record)


def test_the_mandate_ends_with_the_status(desk: Desk) -> None:
    record = desk.converging()
    desk.journal.record_failure(record, FAILURE, calls_ended=True, moved={})

    with pytest.raises(Superseded):
        desk.journal.check_mandate(record)


# Commit against compensation.


def test_once_committed_it_cannot_be_compensated(desk: Desk) -> None:
    record = desk.converging()
    desk.journal.commit(record, None, None, None)

    with pytest.raises(Superseded):
        desk.journal.record_failure(record, FAILURE, calls_ended=True, moved={})

    assert desk.known().status is Status.COMMITTED


def test_once_compensating_it_cannot_be_committed(desk: Desk) -> None:
    record = desk.converging()
    desk.journal.record_failure(record, FAILURE, calls_ended=False, moved={arn(0): "r"})

    with pytest.raises(Superseded):
        desk.journal.commit(record, new_stage(), None, END)

    known = desk.known()
    assert (known.status, known.failure, known.calls_ended, known.moved) == (Status.COMPENSATING, FAILURE, False, {arn(0): "r"})
    assert desk.store.stage(ORDERS, PROD) is None


def test_a_status_that_may_not_follow_is_never_written(desk: Desk) -> None:
    with pytest.raises(AssertionError, match="converging"):
        desk.journal.end(desk.converging(), Status.ENDED, END)


@pytest.mark.parametrize("end", [END, None], ids=["the end", "work follows"])
def test_what_is_being_put_back_is_never_committed(desk: Desk, end: Succeeded | None) -> None:
    """Not even by a worker with a good mandate."""
    compensating = desk.journal.record_failure(desk.converging(), FAILURE, calls_ended=True, moved={})

    with pytest.raises(AssertionError, match="cannot go from compensating to committed"):
        desk.journal.commit(compensating, new_stage(), movement(), end)

    assert desk.known() == compensating


def test_a_commit_writes_stage_movement_status_and_lock_at_once(desk: Desk) -> None:
    record = desk.converging()

    desk.journal.commit(record, new_stage(), movement(), END)

    known, stage = desk.known(), desk.store.stage(ORDERS, PROD)
    assert (known.status, known.end) == (Status.COMMITTED, END)
    assert stage == replace(new_stage(), revision=1)
    assert [item["to_release"] for item in desk.table.query("SERVICE#orders", "MOVEMENT#prod#")] == [1]
    assert desk.held() == {}


def test_a_commit_that_work_follows_keeps_the_lock(desk: Desk) -> None:
    desk.journal.commit(desk.converging(), new_stage(), None, None)

    assert (desk.known().status, desk.known().end) == (Status.COMMITTED, None)
    assert desk.held() == {"op": {PUBLISH, STAGE}}


def test_a_commit_needs_the_lock(desk: Desk) -> None:
    record = desk.converging()
    desk.table.put(Put(items.lock_key(ORDERS), {"holders": {}, "queue": [], "revision": 9}))

    for end in (END, None):
        with pytest.raises(Superseded):
            desk.journal.commit(record, new_stage(), None, end)

    assert desk.known().status is Status.CONVERGING


@pytest.mark.parametrize("revision", [0, 1, 3])
def test_a_stage_that_was_written_meanwhile_is_not_overwritten(desk: Desk, revision: int) -> None:
    there = replace(new_stage(), revision=2)
    desk.table.put(Put(items.stage_key(ORDERS, PROD), items.stage_item(there)))

    with pytest.raises(Superseded):
        desk.journal.commit(desk.converging(), replace(new_stage(), revision=revision), None, END)

    assert desk.store.stage(ORDERS, PROD) == there
    assert desk.known().status is Status.CONVERGING


def test_a_ledger_line_is_never_written_twice(desk: Desk) -> None:
    record = desk.converging()
    desk.table.put(Put(items.movement_key(ORDERS, PROD, 1), items.movement_item(movement(to=7))))

    with pytest.raises(Superseded):
        desk.journal.commit(record, new_stage(), movement(), END)


# Releases' numbers.


def test_the_intent_takes_the_next_release_number(desk: Desk) -> None:
    desk.converging(release=1)

    service = desk.store.service(ORDERS)
    assert service is not None
    assert service.last_release == 1


@pytest.mark.parametrize("release", [1, 3])
def test_a_number_that_was_taken_meanwhile_or_skips_one_is_refused(desk: Desk, release: int) -> None:
    desk.journal.commit(desk.converging("first", release=1), None, None, END)

    with pytest.raises(Superseded):
        desk.converging("second", release=release)

    assert desk.known("second").status is Status.PLANNED


def test_a_plan_without_a_new_release_takes_no_number(desk: Desk) -> None:
    desk.journal.record_intent(desk.holding(), "plans/x.json")

    assert desk.store.service(ORDERS) is None


def test_a_service_that_was_torn_down_goes_on_with_its_numbers(desk: Desk) -> None:
    """Its ledger still names the old ones, and nothing else of it is left."""
    desk.journal.commit(desk.converging("first", release=1), None, None, END)
    desk.journal.commit_service_teardown(desk.tearing_down("gone", None), END)
    assert desk.store.service(ORDERS) is None

    desk.converging("again", release=8)

    assert desk.store.service(ORDERS) == service(8)


def test_an_intent_needs_the_lock(desk: Desk) -> None:
    with pytest.raises(Superseded):
        desk.journal.record_intent(desk.open(), "plans/x.json")

    assert desk.known().status is Status.PLANNED


def test_an_intent_begins_with_no_progress(desk: Desk) -> None:
    """What a sweep had on record by then is how far its look came, not how far it deleted."""
    record = desk.journal.record_progress(desk.holding("op", COLLECT), "plans/looked.json")

    converging = desk.journal.record_intent(record, "plans/x.json")

    assert (converging.plan_key, converging.progress_key) == ("plans/x.json", None)
    assert desk.known() == converging


def test_progress_is_on_record_for_whoever_goes_on(desk: Desk) -> None:
    record = desk.journal.record_progress(desk.converging(), "plans/p.json")

    assert record.progress_key == "plans/p.json"
    assert desk.known() == record


def test_recording_the_release_gives_publish_back_and_keeps_the_stage(desk: Desk) -> None:
    record = desk.journal.begin(desk.converging(), Phase.PUBLISH)

    record_release(desk, record)

    release = desk.store.release(ORDERS, ReleaseNumber(1))
    assert release is not None
    assert desk.store.release_with(ORDERS, release.digest) == release
    assert desk.held() == {"op": {STAGE}}


def test_a_release_is_recorded_only_while_the_lock_is_held(desk: Desk) -> None:
    record = desk.journal.begin(desk.converging(), Phase.PUBLISH)
    desk.table.put(Put(items.lock_key(ORDERS), {"holders": {}, "queue": [], "revision": 9}))

    with pytest.raises(Superseded):
        record_release(desk, record)

    assert desk.store.release(ORDERS, ReleaseNumber(1)) is None


def test_recording_it_again_changes_nothing(desk: Desk) -> None:
    record = desk.journal.begin(desk.converging(), Phase.PUBLISH)
    record_release(desk, record)
    before = everything(desk)

    record_release(desk, record)

    assert everything(desk) == before
