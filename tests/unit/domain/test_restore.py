"""What a reset and a clone do: they put a stage on any release that exists. See test_rollback.py for what a rollback shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.domain.facts import Absent, StageFacts, Unreadable
from stagekeeper.domain.ledger import choose_rollback, popped
from stagekeeper.domain.model import ReleaseNumber, Stage, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Plan, Unchanged
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.restore import AsStage, RestoreWish, ToRelease, admit_restore
from tests.unit.domain.builders import (
    DEV,
    SERVICE,
    alias,
    arn,
    clone_wish,
    decide_restore,
    moves,
    numbers,
    planned,
    refused,
    release,
    reset_wish,
    restore_wish,
    seen,
    stage,
    version,
)

Decision = Plan | Unchanged | Refusal

PROD = StageName("prod")
R1, R2, R3 = release(1, api="A", worker="A"), release(2, api="B", worker="B"), release(3, api="C", worker="C")
ON_R3 = stage(3, 2, 1, api=3, worker=3)
#: Another stage, which serves r2 and was on r7 before.
PROD_ON_R2 = replace(stage(2, 7, api=2, worker=2), name=PROD)


def reset(to: int | StageName, at: Stage | None = ON_R3, *, wish: Mapping[str, Any] | None = None, **facts: Any) -> Decision:
    return decide_restore(reset_wish(to, **(wish or {})), at, R1, R2, R3, others=(PROD_ON_R2,), **facts)


def clone(like: StageName = PROD, at: Stage | None = None, *, wish: Mapping[str, Any] | None = None, **facts: Any) -> Decision:
    facts = {"others": (PROD_ON_R2,), **facts}
    return decide_restore(clone_wish(like, **(wish or {})), at, R1, R2, R3, **facts)


def says(refusal: Refusal, *parts: str) -> None:
    for each in parts:
        assert each in refusal.message, refusal.message


# Reset: where it goes.


@pytest.mark.parametrize("to", [2, PROD], ids=["a release", "like a stage"])
def test_a_reset_moves_every_alias_onto_the_release(to: int | StageName) -> None:
    plan = planned(reset(to))
    assert moves(plan) == {"api": (3, 2), "worker": (3, 2)}
    assert (plan.kind, plan.service, plan.stage, plan.stage_revision) == (OperationKind.RESET, SERVICE, DEV, 5)
    assert (plan.release, plan.previous_release, plan.functions) == (2, 3, R2.functions)
    assert (plan.publishes, plan.reuses, plan.drops, plan.joins, plan.new_release) == ((), (), (), {}, False)


@pytest.mark.parametrize("to", [1, 2])
def test_a_reset_pushes_the_release_it_leaves_also_where_it_goes_back(to: int) -> None:
    assert planned(reset(to)).way_back == numbers(3, 2, 1)


def test_a_reset_like_a_stage_takes_nothing_of_its_past() -> None:
    assert planned(reset(PROD)).way_back == numbers(3, 2, 1)


def test_a_rollback_after_a_reset_is_where_the_stage_was() -> None:
    plan = planned(reset(1))
    after = replace(ON_R3, release=plan.release, way_back=plan.way_back)
    assert choose_rollback(after, None, None) == 3
    assert popped(after, ReleaseNumber(3), None) == ON_R3.way_back


@pytest.mark.parametrize("to", [3, DEV], ids=["a release", "like itself"])
def test_a_reset_to_what_is_served_is_unchanged(to: int | StageName) -> None:
    assert decide_restore(reset_wish(to), ON_R3, R3, others=(ON_R3,)) == Unchanged(ReleaseNumber(3))


def test_a_reset_to_what_is_served_repairs_drift_and_leaves_the_way_back() -> None:
    plan = planned(reset(3, wish={"overwrite": True}, served={"worker": seen(1)}))
    assert moves(plan) == {"worker": (1, 3)}
    assert (plan.release, plan.previous_release, plan.way_back) == (3, 3, numbers(2, 1))


def test_a_reset_like_a_stage_that_serves_the_same_leaves_the_way_back_too() -> None:
    like = replace(PROD_ON_R2, release=ReleaseNumber(3))
    plan = planned(decide_restore(reset_wish(PROD, overwrite=True), ON_R3, R3, others=(like,), served={"worker": seen(1)}))
    assert (plan.release, plan.way_back) == (3, numbers(2, 1))


def test_a_mixed_stage_can_be_reset_to_the_release_before_the_failure_and_pushes_nothing() -> None:
    plan = planned(reset(2, stage(2, 1, mixed=True, api=3, worker=2)))
    assert moves(plan) == {"api": (3, 2)}
    assert (plan.release, plan.way_back) == (2, numbers(1))


def test_a_mixed_stage_that_is_reset_elsewhere_pushes_the_release_before_the_failure() -> None:
    plan = planned(reset(1, stage(2, mixed=True, api=3, worker=2)))
    assert (plan.release, plan.previous_release, plan.way_back) == (1, 2, numbers(2))


def test_a_stage_whose_first_deploy_failed_can_be_reset_and_has_nothing_to_push() -> None:
    plan = planned(reset(1, stage(None, mixed=True, api=3)))
    assert moves(plan) == {"api": (3, 1), "worker": (None, 1)}
    assert (plan.previous_release, plan.way_back) == (None, ())


def test_a_reset_like_a_mixed_stage_takes_the_release_before_its_failure() -> None:
    mixed = replace(PROD_ON_R2, mixed=True, aliases={arn("api"): alias("api", 9)})
    plan = planned(decide_restore(reset_wish(PROD), ON_R3, R2, others=(mixed,)))
    assert (plan.release, moves(plan)) == (2, {"api": (3, 2), "worker": (3, 2)})


# Clone: a stage that is made.


def test_a_clone_makes_an_alias_on_every_function_and_changes_none() -> None:
    plan = planned(clone())
    assert moves(plan) == {"api": (None, 2), "worker": (None, 2)}
    assert (plan.kind, plan.service, plan.stage, plan.stage_revision) == (OperationKind.CLONE, SERVICE, DEV, None)
    assert (plan.release, plan.previous_release, plan.functions, plan.settled) == (2, None, R2.functions, {})
    assert (plan.publishes, plan.reuses, plan.drops, plan.keeps, plan.joins, plan.new_release) == ((), (), (), (), {}, False)


def test_a_clone_starts_with_an_empty_way_back() -> None:
    """Another stage's past is never used."""
    assert planned(clone()).way_back == ()


def test_a_clone_serves_the_versions_that_are_on_record_for_the_release() -> None:
    assert moves(planned(clone(versions={"api": seen(7)}))) == {"api": (None, 7), "worker": (None, 2)}


def test_a_clone_of_a_mixed_stage_takes_the_release_before_its_failure() -> None:
    mixed = replace(PROD_ON_R2, mixed=True, aliases={arn("api"): alias("api", 9)})
    assert moves(planned(clone(others=(mixed,)))) == {"api": (None, 2), "worker": (None, 2)}


def test_an_alias_of_the_new_stages_name_that_is_not_ours_refuses() -> None:
    refusal = refused(clone(served={"worker": seen(2)}))
    assert (refusal.code, refusal.blockers) == (Code.ALIAS_OWNED_ELSEWHERE, (f"{arn('worker')}:dev",))
    says(refusal, "adopt")


def test_nothing_was_lost_where_an_alias_is_made_for_the_first_time() -> None:
    assert planned(clone()).warnings == ()


# What is not there.


@pytest.mark.parametrize("wish", [reset_wish(2), reset_wish(PROD), clone_wish(PROD)])
def test_a_service_that_nobody_deployed(wish: RestoreWish) -> None:
    refusal = refused(decide_restore(wish, None, last_release=None))
    assert (refusal.code, refusal.blockers) == (Code.SERVICE_NOT_FOUND, ("orders",))
    says(refusal, "There is no service orders", "Check the spelling")


@pytest.mark.parametrize("to", [2, PROD])
def test_a_stage_that_is_not_there_cannot_be_reset(to: int | StageName) -> None:
    refusal = refused(reset(to, None))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_NOT_FOUND, ("dev",))
    says(refusal, "Service orders has no stage dev")


@pytest.mark.parametrize(("wish", "at"), [(reset_wish(StageName("qa")), ON_R3), (clone_wish(StageName("qa")), None)])
def test_a_stage_to_be_like_that_is_not_there(wish: RestoreWish, at: Stage | None) -> None:
    refusal = refused(decide_restore(wish, at, R2, others=(PROD_ON_R2,)))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_NOT_FOUND, ("qa",))
    says(refusal, "Service orders has no stage qa")


def test_a_stage_that_is_there_cannot_be_made() -> None:
    refusal = refused(clone(at=ON_R3))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_EXISTS, ("dev",))
    says(refusal, "has a stage dev already", "reset")


def test_a_release_that_is_not_there_yet() -> None:
    refusal = refused(reset(10))
    assert (refusal.code, refusal.blockers) == (Code.RELEASE_NOT_FOUND, ("r10",))
    says(refusal, "Service orders has no release r10; its newest number is r9.")


def test_the_newest_release_is_there() -> None:
    assert planned(reset(2, last_release=2)).release == 2


@pytest.mark.parametrize(("wish", "at"), [(reset_wish(PROD), ON_R3), (clone_wish(PROD), None)])
def test_a_stage_to_be_like_whose_first_deploy_failed_serves_no_release(wish: RestoreWish, at: Stage | None) -> None:
    empty = replace(stage(None, mixed=True, api=1), name=PROD)
    refusal = refused(decide_restore(wish, at, R2, others=(empty,)))
    assert (refusal.code, refusal.blockers) == (Code.RELEASE_NOT_FOUND, ("prod",))
    says(refusal, "Stage prod of service orders serves no release", "Deploy to it first")


@pytest.mark.parametrize(
    ("wish", "at", "last_release", "code"),
    [
        (reset_wish(99, if_release=4), None, None, Code.SERVICE_NOT_FOUND),
        (reset_wish(99, if_release=4), None, 9, Code.STAGE_NOT_FOUND),
        (reset_wish(StageName("qa"), if_release=4), ON_R3, 9, Code.STAGE_NOT_FOUND),
        (reset_wish(99, if_release=4), ON_R3, 9, Code.STAGE_MOVED),
        (reset_wish(99, if_release=3), ON_R3, 9, Code.RELEASE_NOT_FOUND),
        (clone_wish(StageName("qa"), if_release=4), ON_R3, None, Code.SERVICE_NOT_FOUND),
        (clone_wish(StageName("qa"), if_release=4), ON_R3, 9, Code.STAGE_NOT_FOUND),
        (clone_wish(PROD, if_release=4), ON_R3, 9, Code.STAGE_EXISTS),
        (clone_wish(PROD, if_release=4), None, 9, Code.STAGE_MOVED),
    ],
)
def test_the_codes_come_in_the_contracts_order(wish: RestoreWish, at: Stage | None, last_release: int | None, code: Code) -> None:
    assert refused(decide_restore(wish, at, R2, others=(PROD_ON_R2,), last_release=last_release)).code is code


@pytest.mark.parametrize(
    ("wish", "at", "now"),
    [(reset_wish(2, if_release=4), ON_R3, "r3"), (clone_wish(PROD, if_release=4), None, "nothing, since it does not exist")],
)
def test_what_the_stage_serves_instead_is_said(wish: RestoreWish, at: Stage | None, now: str) -> None:
    says(refused(decide_restore(wish, at, R2, others=(PROD_ON_R2,))), f"Stage dev of service orders serves {now}, not r4")


def test_a_clone_cannot_be_asked_for_without_the_stage_to_be_like() -> None:
    wish = restore_wish(OperationKind.CLONE, ToRelease(ReleaseNumber(2)), False, False, None)
    with pytest.raises(AssertionError, match="a clone names the stage"):
        decide_restore(wish, None, R2)


def test_only_the_stage_that_the_request_names_is_looked_for() -> None:
    wish = restore_wish(OperationKind.RESET, AsStage(PROD), False, False, None)
    facts = StageFacts(None, DEV, None)
    assert refused(admit_restore(wish, facts, {})).code is Code.SERVICE_NOT_FOUND


# Versions, functions and drift: the same for all three.

BROKEN = Unreadable("version 2 of it", "AccessDeniedException: not allowed")
EITHER = pytest.mark.parametrize(
    "decide", [lambda **facts: reset(2, **facts), lambda **facts: clone(**facts)], ids=["reset", "clone"]
)


@EITHER
@pytest.mark.parametrize("found", [None, Absent(), seen(2, "Failed")], ids=["collected", "deleted", "failed"])
def test_a_version_that_cannot_serve_refuses(decide: Any, found: Any) -> None:
    refusal = refused(decide(versions={"worker": found}))
    assert refusal.code is Code.VERSION_MISSING
    says(refusal, str(arn("worker")))


@EITHER
def test_a_version_that_cannot_be_read_is_not_taken_for_missing(decide: Any) -> None:
    assert refused(decide(versions={"worker": BROKEN})).code is Code.UNREADABLE


@EITHER
def test_an_idle_version_is_fine_with_a_warning(decide: Any) -> None:
    plan = planned(decide(versions={"worker": seen(2, "Inactive")}))
    assert plan.warnings == ("version 2 of function worker is idle (Inactive): its first call wakes it up",)


@EITHER
def test_a_function_that_exists_no_more_refuses(decide: Any) -> None:
    refusal = refused(decide(gone=("worker",)))
    assert (refusal.code, refusal.blockers) == (Code.FUNCTION_NOT_FOUND, (str(arn("worker")),))
    says(refusal, "allow_missing: true")


@EITHER
@pytest.mark.parametrize(("name", "other"), [("api", "worker"), ("worker", "api")])
def test_a_function_that_exists_no_more_is_left_out_if_so_asked(decide: Any, name: str, other: str) -> None:
    plan = planned(decide(gone=(name,), wish={"allow_missing": True}))
    assert set(moves(plan)) == {other}
    assert arn(name) not in plan.settled
    assert plan.functions == R2.functions
    assert plan.warnings == (f"function {name} ({arn(name)}) exists no more and was left out",)


@pytest.mark.parametrize("found", [seen(1), Absent()])
def test_drift_refuses_a_reset(found: Any) -> None:
    refusal = refused(reset(2, served={"worker": found}))
    assert refusal.code is Code.DRIFTED
    assert moves(planned(reset(2, served={"worker": found}, wish={"overwrite": True})))["worker"][1] == 2


def test_a_function_that_the_release_does_not_have_is_kept_where_it_is() -> None:
    plan = planned(reset(2, stage(3, api=3, worker=3, mailer=1)))
    assert [(keep.function, keep.version, keep.reason) for keep in plan.keeps] == [("mailer", version(1), "not in r2")]
    assert plan.settled == {arn("mailer"): replace(alias("mailer", 1), kept=True)}
    assert plan.drops == ()


def test_an_alias_that_a_reset_makes_again_is_named_with_what_is_not_back() -> None:
    plan = planned(reset(2, stage(3, 2, api=3)))
    assert moves(plan) == {"api": (3, 2), "worker": (None, 2)}
    (warning,) = plan.warnings
    assert "the alias dev of function worker is made: if the stage had one before" in warning


# A function that is gone is a change, once.


@pytest.mark.parametrize("name", ["worker", "mailer"], ids=["of the release", "kept"])
def test_leaving_out_a_function_of_the_stage_is_a_movement_although_nothing_moves(name: str) -> None:
    at = stage(2, 1, api=2, worker=2, mailer=5)
    plan: Plan = planned(reset(2, at, gone=(name,), wish={"allow_missing": True}))
    assert (plan.moves, plan.release, plan.previous_release, plan.way_back) == ((), 2, 2, numbers(1))
    assert set(plan.settled) == {arn("api"), arn("worker"), arn("mailer")} - {arn(name)}
    assert plan.warnings == (f"function {name} ({arn(name)}) exists no more and was left out",)


def test_what_was_left_out_already_is_none() -> None:
    decision = reset(2, stage(2, 1, api=2), gone=("worker",), wish={"allow_missing": True})
    warning = f"function worker ({arn('worker')}) exists no more and was left out"
    assert decision == Unchanged(ReleaseNumber(2), (warning,))
