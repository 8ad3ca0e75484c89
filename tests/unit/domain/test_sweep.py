"""A sweep's progress: what is still ahead, and what became of every version in the end."""

from __future__ import annotations

from dataclasses import replace

from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.model import LogicalName
from stagekeeper.domain.orphans import Verdict
from stagekeeper.domain.plan import Change
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.sweep import Progress, deletions, outcome, place, to_delete, unreadable
from tests.unit.domain.builders import SERVICE, arn, version

NEEDLESS = "nobody needs it"


def goes(number: int, name: str = "api") -> Verdict:
    return Verdict(LogicalName(name), arn(name), version(number), 1_000 + number, True, NEEDLESS)


def stays(number: int, reason: str = "stage dev serves it", name: str = "api") -> Verdict:
    return Verdict(LogicalName(name), arn(name), version(number), 1_000 + number, False, reason)


FOUND = [goes(1), goes(2), stays(3), goes(1, "worker")]


def test_a_version_has_its_place_on_its_function() -> None:
    """The same number is another version on another function, whatever the verdict says of it."""
    assert place(goes(1)) == place(stays(1)) == (arn("api"), version(1))
    assert place(goes(1)) != place(goes(1, "worker"))


# What is still ahead.


def test_at_first_everything_that_goes_is_ahead_and_nothing_that_stays() -> None:
    assert to_delete(FOUND, Progress()) == [goes(1), goes(2), goes(1, "worker")]


def test_what_was_decided_about_is_not_ahead_any_more_however_it_was() -> None:
    done = Progress(done=(goes(1), stays(2, "AWS keeps it")))
    assert to_delete(FOUND, done) == [goes(1, "worker")]


def test_when_all_is_done_nothing_is_ahead() -> None:
    assert to_delete(FOUND, Progress(done=tuple(FOUND))) == []


# What became of it.


def test_what_was_done_counts_and_not_what_was_planned() -> None:
    kept = stays(2, "AWS keeps it: an alias points at it")
    deleted = replace(goes(1), reason="nobody needs it; displaced 2 days ago")
    done = Progress(done=(deleted, kept, goes(1, "worker")))
    assert outcome(FOUND, done) == [deleted, kept, stays(3), goes(1, "worker")]


def test_what_was_planned_and_not_done_is_kept_and_says_so() -> None:
    assert outcome(FOUND, Progress(done=(goes(1),))) == [
        goes(1),
        stays(2, "not reached"),
        stays(3),
        stays(1, "not reached", "worker"),
    ]


def test_a_version_of_another_function_is_not_mistaken_for_it() -> None:
    assert outcome([goes(1)], Progress(done=(goes(1, "worker"),))) == [stays(1, "not reached")]


def test_every_version_is_told_exactly_once() -> None:
    for done in (Progress(), Progress(done=(goes(1),)), Progress(done=tuple(FOUND))):
        assert [place(verdict) for verdict in outcome(FOUND, done)] == [place(verdict) for verdict in FOUND]


# How it is told.


def test_only_what_is_removed_is_a_change_with_its_reason() -> None:
    assert deletions(FOUND) == [
        Change(LogicalName("api"), "delete_version", "1", None, NEEDLESS),
        Change(LogicalName("api"), "delete_version", "2", None, NEEDLESS),
        Change(LogicalName("worker"), "delete_version", "1", None, NEEDLESS),
    ]


def test_one_fact_that_cannot_be_read_refuses_and_all_of_them_are_named() -> None:
    refusal = unreadable(SERVICE, [Unreadable("the policy", "AccessDeniedException: no"), Unreadable("its aliases", "later")])
    assert (refusal.code, refusal.blockers) == (Code.UNREADABLE, ("the policy", "its aliases"))
    assert refusal.message == (
        "the policy could not be read: AccessDeniedException: no. Nothing of service orders was deleted. Mend that and try again."
    )
