"""Decisions in the middle of things, each from what AWS says now and what the plan saw before."""

from __future__ import annotations

import pytest

from stagekeeper.domain.converge import (
    AliasSeen,
    Done,
    Foreign,
    NothingToUndo,
    PutBack,
    TryAgain,
    Unmake,
    after_failed_precondition,
    published,
    undo,
)
from stagekeeper.domain.model import VersionNumber
from stagekeeper.domain.plan import Published
from tests.unit.domain.builders import publish, version

BEFORE, TARGET, OTHER = version(1), version(2), version(3)


def at(number: int | None, *, weighted: bool = False) -> AliasSeen:
    return AliasSeen(None if number is None else version(number), "now", weighted=weighted)


@pytest.mark.parametrize(
    ("seen", "overwrite", "decision"),
    [
        (at(2), False, Done("now")),
        (at(1), False, TryAgain("now")),
        (
            at(1, weighted=True),
            False,
            Foreign("version 1 with routing weights (a part of its traffic goes elsewhere)", VersionNumber(1)),
        ),
        (at(1, weighted=True), True, TryAgain("now")),
        (
            at(2, weighted=True),
            False,
            Foreign("version 2 with routing weights (a part of its traffic goes elsewhere)", VersionNumber(2)),
        ),
        (at(3), False, Foreign("version 3", VersionNumber(3))),
        # Overwriting is about what preflight saw; what somebody does in the middle of the operation is left alone.
        (at(3), True, Foreign("version 3", VersionNumber(3))),
        (at(None), True, Foreign("$LATEST")),
        (None, False, Foreign("no alias")),
        (None, True, Foreign("no alias")),
    ],
)
def test_a_move_that_was_refused_because_the_alias_changed(
    seen: AliasSeen | None, *, overwrite: bool, decision: Done | TryAgain | Foreign
) -> None:
    assert after_failed_precondition(seen, BEFORE, TARGET, overwrite=overwrite) == decision


@pytest.mark.parametrize(
    ("seen", "decision"),
    [
        (at(2), PutBack(BEFORE, "now")),
        (at(1), NothingToUndo("now")),
        (at(1, weighted=True), NothingToUndo("now")),
        (
            at(2, weighted=True),
            Foreign("version 2 with routing weights (a part of its traffic goes elsewhere)", VersionNumber(2)),
        ),
        (at(3), Foreign("version 3", VersionNumber(3))),
        (at(None), Foreign("$LATEST")),
        (None, Foreign("no alias")),
    ],
)
def test_an_alias_that_was_there_is_put_back_unless_somebody_else_changed_it(
    seen: AliasSeen | None, decision: NothingToUndo | PutBack | Foreign
) -> None:
    assert undo(seen, BEFORE, TARGET) == decision


@pytest.mark.parametrize(
    ("seen", "decision"),
    [
        (at(2), Unmake()),
        (
            at(2, weighted=True),
            Foreign("version 2 with routing weights (a part of its traffic goes elsewhere)", VersionNumber(2)),
        ),
        (at(3), Foreign("version 3", VersionNumber(3))),
        (None, NothingToUndo(None)),
    ],
)
def test_an_alias_that_was_made_is_deleted_unless_somebody_else_changed_it(
    seen: AliasSeen | None, decision: NothingToUndo | Unmake | Foreign
) -> None:
    assert undo(seen, None, TARGET) == decision


@pytest.mark.parametrize(
    ("seen", "before", "decision"),
    [
        (at(1), BEFORE, NothingToUndo("now")),
        (at(2), BEFORE, Foreign("version 2", VersionNumber(2))),
        (at(2), None, Foreign("version 2", VersionNumber(2))),
        # $LATEST is no version: it is not the one that was never published.
        (at(None), BEFORE, Foreign("$LATEST")),
        (at(None), None, Foreign("$LATEST")),
        (None, None, NothingToUndo(None)),
    ],
)
def test_nothing_is_undone_where_the_version_was_never_published(
    seen: AliasSeen | None, before: VersionNumber | None, decision: NothingToUndo | Foreign
) -> None:
    assert undo(seen, before, None) == decision


@pytest.mark.parametrize(
    ("number", "last_modified", "ours"), [(4, 1_700_000_000.001, True), (4, 1_700_000_000.0, False), (9, 1_600_000_000.0, False)]
)
def test_after_an_update_a_version_is_ours_if_it_is_younger_than_latest_was(
    number: int, last_modified: float, *, ours: bool
) -> None:
    made = published(publish(last_modified=1_700_000_000.0), version(number), last_modified)
    assert made == Published(version(number), ours)


@pytest.mark.parametrize(("number", "ours"), [(4, True), (3, False), (2, False)])
def test_without_an_update_a_version_is_ours_if_its_number_is_above_all_there_were(number: int, *, ours: bool) -> None:
    """PublishVersion answers with the version there is when nothing changed; its number tells, its time does not."""
    made = published(publish(highest=3), version(number), last_modified=1_900_000_000.0)
    assert made == Published(version(number), ours)
