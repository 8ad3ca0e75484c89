"""What adopting writes: versions that are nobody's, several releases, and all stages in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stagekeeper.aws import items
from stagekeeper.aws.mandated import Superseded
from stagekeeper.aws.table import Put
from stagekeeper.domain.adoption import AdoptedVersion
from stagekeeper.domain.model import Content, Release, ReleaseNumber, StageName, VersionNumber
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.plan import Published
from stagekeeper.domain.record import OperationRecord

from .desk import (
    COLLECT,
    CONTENT,
    END,
    ORDERS,
    PLAN,
    PROD,
    QA,
    Desk,
    arn,
    everything,
    movement,
    new_stage,
    release,
    service,
    version,
)

OTHER = Content("b3RoZXI=", "c2")


def adopting(desk: Desk, last_release: int = 2, taking: int = 2) -> OperationRecord:
    record = desk.holding("op", COLLECT, kind=OperationKind.ADOPT, stage=None)
    return desk.journal.record_intent(record, PLAN, service(last_release), taking=taking)


def found(number: int, *, new: bool = True, realises: bool = True, content: Content = CONTENT) -> AdoptedVersion:
    return AdoptedVersion(arn(0), VersionNumber(number), content, new, realises)


# Numbers.


@pytest.mark.parametrize(("before", "last_release", "taking"), [(None, 3, 3), (None, 7, 2), (4, 9, 5), (4, 4, 0)])
def test_so_many_numbers_are_taken_with_the_intent(desk: Desk, before: int | None, last_release: int, taking: int) -> None:
    """Of a service that is not on record, numbers go on where its ledger ends."""
    if before is not None:
        desk.table.put(Put(items.service_key(ORDERS), items.service_item(service(before))))

    adopting(desk, last_release, taking)

    assert desk.store.service(ORDERS) == service(last_release)


def test_numbers_that_another_operation_took_meanwhile_are_not_taken_again(desk: Desk) -> None:
    desk.converging("earlier", "stage:x", release=1)
    desk.journal.commit(desk.known("earlier"), None, None, END)

    with pytest.raises(Superseded):
        adopting(desk, last_release=2, taking=2)

    assert desk.store.service(ORDERS) == service(1)


# Versions.


def test_a_version_that_was_found_is_nobodys(desk: Desk) -> None:
    desk.journal.record_found(adopting(desk), [found(7)])

    on_record = desk.store.versions(arn(0))[VersionNumber(7)]
    assert (on_record.content, on_record.published_by) == (CONTENT, None)
    assert desk.store.realisations([(arn(0), CONTENT)]) == {(arn(0), CONTENT): VersionNumber(7)}


def test_one_that_is_on_record_is_not_written_and_a_content_that_is_found_stays(desk: Desk) -> None:
    record = adopting(desk)
    desk.journal.record_versions(record, [version(0)])
    before = desk.store.versions(arn(0)), desk.store.realisations([(arn(0), CONTENT)])

    desk.journal.record_found(record, [found(3, new=False, realises=False)])
    assert (desk.store.versions(arn(0)), desk.store.realisations([(arn(0), CONTENT)])) == before

    desk.journal.record_found(record, [found(3, new=False, realises=True, content=OTHER), found(9, realises=False)])
    assert desk.store.versions(arn(0))[VersionNumber(3)].published_by == "op"
    assert desk.store.realisations([(arn(0), CONTENT), (arn(0), OTHER)]) == {
        (arn(0), CONTENT): VersionNumber(3),
        (arn(0), OTHER): VersionNumber(3),
    }


def test_more_than_a_transaction_holds_are_written_in_several_and_again(desk: Desk) -> None:
    record = adopting(desk)
    many = [AdoptedVersion(arn(number), VersionNumber(1), CONTENT, True, True) for number in range(150)]

    for _ in range(2):
        desk.journal.record_found(record, many)

    assert all(desk.store.versions(arn(number)) for number in range(150))


# Releases and stages.


def test_releases_are_found_by_number_and_content(desk: Desk) -> None:
    one, two = release(1), Release(ReleaseNumber(2), {})

    for _ in range(2):
        desk.journal.record_releases(adopting(desk) if desk.store.service(ORDERS) is None else desk.known(), [one, two])

    assert desk.store.releases(ORDERS) == [one, two]
    assert desk.store.release_with(ORDERS, two.digest) == two


def test_all_stages_movements_and_the_end_are_written_at_once(desk: Desk) -> None:
    record = adopting(desk)
    begun = desk.journal.begin(record, Phase.COMMIT)

    ended = desk.journal.commit_adoption(begun, [(new_stage(), movement()), (new_stage(QA), None)], END)

    assert (ended.status, ended.end) == (Status.COMMITTED, END)
    assert {each.name for each in desk.store.stages(ORDERS)} == {PROD, QA}
    assert [line.stage for line in desk.store.movements(ORDERS)] == [PROD]
    assert desk.held() == {}


def test_45_stages_with_their_movements_fit(desk: Desk) -> None:
    names = [StageName(f"s{number}") for number in range(45)]
    begun = desk.journal.begin(adopting(desk), Phase.COMMIT)

    desk.journal.commit_adoption(begun, [(new_stage(name), movement(of=name)) for name in names], END)

    assert len(desk.store.stages(ORDERS)) == 45


def test_one_stage_that_changed_meanwhile_keeps_all_from_being_written(desk: Desk) -> None:
    begun = desk.journal.begin(adopting(desk), Phase.COMMIT)
    there = desk.there(new_stage(QA))
    before = everything(desk)

    with pytest.raises(Superseded):
        desk.journal.commit_adoption(begun, [(new_stage(), movement()), (replace(there, revision=7), None)], END)

    assert everything(desk) == before


WRITES: dict[str, Callable[[Desk, OperationRecord], object]] = {
    "found": lambda desk, late: desk.journal.record_found(late, [found(1)]),
    "releases": lambda desk, late: desk.journal.record_releases(late, [release(1)]),
    "stages": lambda desk, late: desk.journal.commit_adoption(late, [(new_stage(), movement())], END),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_worker_that_lost_its_mandate_writes_nothing(desk: Desk, write: Callable[[Desk, OperationRecord], object]) -> None:
    late = adopting(desk)
    desk.journal.begin(late, Phase.COMMIT)
    before = everything(desk)

    with pytest.raises(Superseded):
        write(desk, late)

    assert everything(desk) == before


def test_what_was_published_by_us_is_told_from_what_was_found(desk: Desk) -> None:
    record = adopting(desk)
    desk.journal.record_versions(record, [replace(version(0), published=Published(VersionNumber(1), ours=True))])
    desk.journal.record_found(record, [found(2)])

    on_record = desk.store.versions(arn(0))
    assert {number.value: each.published_by for number, each in on_record.items()} == {1: "op", 2: None}
