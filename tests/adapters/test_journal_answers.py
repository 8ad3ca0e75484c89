"""What the journal answers is what it wrote: who goes on with the answer and who reads the record know the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import pytest

from stagekeeper.aws.clock import iso
from stagekeeper.domain.lock import Granted
from stagekeeper.domain.model import VersionNumber
from stagekeeper.domain.operation import Phase, Status
from stagekeeper.domain.plan import Published
from stagekeeper.domain.record import OperationRecord, Succeeded

from .desk import BILLING, END, FAILURE, ORDERS, PUBLISH, Desk, arn, movement, new_stage, release, service

MOVED: Final = {arn(0): "revision-2"}
PUBLISHED: Final = {arn(0): Published(VersionNumber(3), ours=True), arn(1): Published(VersionNumber(7), ours=False)}


def _release(desk: Desk, record: OperationRecord, give_back: frozenset[str] = frozenset()) -> OperationRecord:
    return desk.journal.record_release(record, release(1), new=True, published=PUBLISHED, give_back=give_back)


#: Each write, and what of the record it changes beside the epoch; the record is one that converges.
CASES: Final[dict[str, tuple[Callable[[Desk, OperationRecord], OperationRecord], dict[str, object]]]] = {
    "begin": (lambda desk, record: desk.journal.begin(record, Phase.MOVE), {"phase": Phase.MOVE}),
    "supersede": (lambda desk, record: desk.journal.supersede(record, Phase.MOVE), {"phase": Phase.MOVE}),
    "record_failure": (
        lambda desk, record: desk.journal.record_failure(record, FAILURE, calls_ended=True, moved=MOVED),
        {"status": Status.COMPENSATING, "failure": FAILURE, "calls_ended": True, "moved": MOVED},
    ),
    "record_moved": (lambda desk, record: desk.journal.record_moved(record, MOVED), {"moved": MOVED}),
    "record_release": (_release, {"published": PUBLISHED}),
    "record_release, giving publish back": (
        lambda desk, record: _release(desk, record, frozenset({PUBLISH})),
        {"published": PUBLISHED},
    ),
    "commit that work follows": (
        lambda desk, record: desk.journal.commit(record, new_stage(), movement(), None),
        {"status": Status.COMMITTED},
    ),
    "commit": (
        lambda desk, record: desk.journal.commit(record, new_stage(), movement(), END),
        {"status": Status.COMMITTED, "end": END},
    ),
}
#: They go on under the mandate there is.
SAME_EPOCH: Final = {"record_moved", "record_release", "record_release, giving publish back"}


@pytest.mark.parametrize("name", CASES)
def test_a_write_answers_with_the_record_as_it_is_then(desk: Desk, name: str) -> None:
    write, changes = CASES[name]
    record = desk.converging()

    answered = write(desk, record)

    epoch = record.epoch if name in SAME_EPOCH else record.epoch + 1
    assert answered == replace(record, epoch=epoch, **changes)  # type: ignore[arg-type]  # members by name
    assert desk.known() == answered


def test_the_intent_answers_with_the_record_as_it_is_then(desk: Desk) -> None:
    record = desk.holding()

    answered = desk.journal.record_intent(record, "plans/x.json", service(1))

    assert answered == replace(record, status=Status.CONVERGING, plan_key="plans/x.json", epoch=record.epoch + 1)
    assert desk.known() == answered


def test_a_batch_of_a_sweep_answers_with_the_record_as_it_is_then(desk: Desk) -> None:
    record = desk.sweeping()

    following, answer = desk.journal.ask_to_collect(record, BILLING)

    assert answer == Granted()
    assert following == replace(record, phase=Phase.COLLECT, collecting=BILLING, epoch=record.epoch + 1)
    assert desk.known() == following
    let_go = desk.journal.let_go(following, "plans/p.json")
    assert let_go == replace(following, collecting=None, progress_key="plans/p.json")
    assert desk.known() == let_go


def test_versions_are_waited_for_since_they_were_first_recorded(desk: Desk) -> None:
    record = desk.converging()
    since = desk.clock.now()
    first = desk.journal.record_published(record, {})
    desk.clock.sleep(5)

    again = desk.journal.record_published(first, PUBLISHED)

    assert again == replace(record, published=PUBLISHED, publishing_since=since)
    assert desk.known() == again


def test_an_end_may_write_the_stage_and_a_movement_too(desk: Desk) -> None:
    """What could not be put back is told by the stage, and by its ledger."""
    compensating = desk.journal.record_failure(desk.converging(), FAILURE, calls_ended=True, moved={})
    mixed = replace(new_stage(), mixed=True)

    ended = desk.journal.end(compensating, Status.NEEDS_ATTENTION, END, mixed, movement())

    assert desk.known() == ended
    assert desk.store.stages(ORDERS) == [replace(mixed, revision=1)]
    assert [line.number for line in desk.store.movements(ORDERS)] == [1]
    assert desk.held() == {}


@pytest.mark.parametrize("end", [END, None], ids=["the end", "work follows"])
def test_when_it_was_committed_is_on_record(desk: Desk, end: Succeeded | None) -> None:
    """A failure after that is no failure of what was written: a later deploy need not give the code again."""
    desk.journal.commit(desk.converging(), new_stage(), movement(), end)

    assert desk.table.query("OPERATION#op", "OPERATION")[0]["committed_at"] == iso(desk.clock.now())


def test_a_teardown_of_the_service_is_committed_as_well(desk: Desk) -> None:
    desk.journal.commit_service_teardown(desk.tearing_down("op", None), END)

    assert desk.table.query("OPERATION#op", "OPERATION")[0]["committed_at"] == iso(desk.clock.now())


def test_a_release_tells_who_made_it_and_when(desk: Desk) -> None:
    _release(desk, desk.converging())

    item = desk.table.query("SERVICE#orders", "RELEASE#")[0]
    assert (item["operation_id"], item["made_at"]) == ("op", iso(desk.clock.now()))
