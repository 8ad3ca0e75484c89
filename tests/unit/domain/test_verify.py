"""What ``verify`` says: nothing where AWS agrees with the record, else every alias that does not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.domain.facts import Absent, StageFacts, Unreadable, VersionSeen
from stagekeeper.domain.model import ReleaseNumber, Stage, StageName
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.verify import admit_verify, verdict
from tests.unit.domain.builders import SERVICE, Served, alias, arn, refused, seen, stage, stage_facts

ON_R3 = stage(3, 2, api=3, worker=4)
PROD = replace(stage(2, api=2, worker=2), name=StageName("prod"))
LATEST = VersionSeen(None, "Active")
BROKEN = Unreadable(f"function {arn('worker')}:dev", "ServiceException: later")


def facts(of: Stage, served: Served | None = None) -> StageFacts:
    """The stage's facts, under its own name."""
    return replace(stage_facts(of, served=served), name=of.name)


# Before AWS is looked at.


@pytest.mark.parametrize(
    ("at", "last_release", "code", "part"),
    [
        (None, None, Code.SERVICE_NOT_FOUND, "There is no service orders"),
        (None, 9, Code.STAGE_NOT_FOUND, "Service orders has no stage dev"),
        (ON_R3, 9, Code.STAGE_MOVED, "Stage dev of service orders serves r3, not r4"),
    ],
)
def test_what_refuses_it_in_the_contracts_order(at: Stage | None, last_release: int | None, code: Code, part: str) -> None:
    refusal = refused(admit_verify(SERVICE, stage_facts(at, last_release=last_release), ReleaseNumber(4)))
    assert refusal.code is code
    assert part in refusal.message


@pytest.mark.parametrize("if_release", [None, ReleaseNumber(3)])
def test_a_stage_that_is_there_and_serves_what_is_asked_for_is_verified(if_release: ReleaseNumber | None) -> None:
    assert admit_verify(SERVICE, stage_facts(ON_R3), if_release) is None


def test_without_a_stage_all_of_a_service_that_is_there_is_verified() -> None:
    at = stage_facts(None)
    assert admit_verify(SERVICE, replace(at, name=None), None) is None
    assert refused(admit_verify(SERVICE, replace(at, name=None, service=None), None)).code is Code.SERVICE_NOT_FOUND


# What AWS says.


def test_aws_that_agrees_is_no_news() -> None:
    assert verdict([facts(ON_R3), facts(PROD)]) is None
    assert verdict([]) is None


def test_an_idle_version_agrees() -> None:
    assert verdict([facts(ON_R3, {"api": seen(3, "Inactive")})]) is None


def test_what_is_not_the_stages_is_not_looked_at() -> None:
    assert verdict([facts(ON_R3, {"stranger": seen(9)})]) is None


@pytest.mark.parametrize(
    ("found", "words"), [(seen(3), "version 3"), (Absent(), "no alias"), (LATEST, "$LATEST")], ids=["moved", "gone", "$LATEST"]
)
def test_an_alias_that_disagrees_is_named_with_what_it_should_serve(found: VersionSeen | Absent, words: str) -> None:
    refusal = refused(verdict([facts(ON_R3, {"worker": found})]))
    assert refusal.code is Code.DRIFTED
    assert refusal.blockers == (f"{arn('worker')}:dev: recorded 4, found {words}",)
    assert f"function worker ({arn('worker')})" in refusal.message


def test_every_alias_of_every_stage_that_disagrees_is_named() -> None:
    refusal = refused(verdict([facts(ON_R3, {"api": seen(1), "worker": Absent()}), facts(PROD, {"api": seen(3)})]))
    assert refusal.blockers == (
        f"{arn('api')}:dev: recorded 3, found version 1",
        f"{arn('worker')}:dev: recorded 4, found no alias",
        f"{arn('api')}:prod: recorded 2, found version 3",
    )
    assert "The same holds for 2 more" in refusal.message


def test_a_kept_alias_counts() -> None:
    kept = replace(ON_R3, aliases={**ON_R3.aliases, arn("old"): replace(alias("old", 1), kept=True)})
    assert refused(verdict([facts(kept, {"old": seen(2)})])).blockers == (f"{arn('old')}:dev: recorded 1, found version 2",)


def test_a_mixed_stage_agrees_if_it_serves_what_the_failed_operation_left() -> None:
    mixed = stage(2, mixed=True, api=3, worker=2)
    assert verdict([facts(mixed)]) is None
    assert refused(verdict([facts(mixed, {"api": seen(2)})])).code is Code.DRIFTED


def test_what_cannot_be_read_is_neither_agreement_nor_drift() -> None:
    refusal = refused(verdict([facts(ON_R3, {"worker": BROKEN, "api": seen(1)})]))
    assert (refusal.code, refusal.blockers) == (Code.UNREADABLE, (f"function {arn('worker')}:dev",))


def test_a_stage_that_went_away_meanwhile_says_nothing() -> None:
    assert verdict([stage_facts(None)]) is None
    assert refused(verdict([stage_facts(None), facts(ON_R3, {"api": seen(1)})])).code is Code.DRIFTED
