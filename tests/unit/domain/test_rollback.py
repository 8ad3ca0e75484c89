"""What a rollback does and what refuses it: it puts a stage on a release of its own past, or touches nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.domain.facts import Absent, Unreadable, VersionSeen
from stagekeeper.domain.model import LogicalName, Release, ReleaseNumber, Stage
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Unchanged
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.restore import RestoreWish
from tests.unit.domain.builders import (
    DEV,
    SERVICE,
    alias,
    arn,
    decide_restore,
    moves,
    numbers,
    part,
    planned,
    refused,
    release,
    rollback_wish,
    seen,
    stage,
    version,
)

R1, R2, R3 = release(1, api="A", worker="A"), release(2, api="B", worker="B"), release(3, api="C", worker="C")
ON_R3 = stage(3, 2, 1, api=3, worker=3)
BROKEN = Unreadable("version 2 of it", "AccessDeniedException: not allowed")


def says(refusal: Refusal, *parts: str) -> None:
    for each in parts:
        assert each in refusal.message, refusal.message


# Where it goes.


def test_it_moves_every_alias_back_to_what_the_stage_served_before() -> None:
    plan = planned(decide_restore(rollback_wish(), ON_R3, R2))
    assert moves(plan) == {"api": (3, 2), "worker": (3, 2)}
    assert [move.revision_id for move in plan.moves] == ["revision-of-api", "revision-of-worker"]
    assert (plan.release, plan.previous_release, plan.way_back) == (2, 3, numbers(1))


def test_it_publishes_drops_and_claims_nothing_and_makes_no_release() -> None:
    plan = planned(decide_restore(rollback_wish(), ON_R3, R2))
    assert (plan.kind, plan.service, plan.stage, plan.stage_revision) == (OperationKind.ROLLBACK, SERVICE, DEV, 5)
    assert (plan.publishes, plan.reuses, plan.drops, plan.joins, plan.new_release) == ((), (), (), {}, False)


@pytest.mark.parametrize(("to", "steps"), [(1, None), (None, 2)])
def test_it_goes_as_far_back_as_asked(to: int | None, steps: int | None) -> None:
    plan = planned(decide_restore(rollback_wish(to=to, steps=steps), ON_R3, R1))
    assert (plan.release, plan.way_back) == (1, ())


def test_steps_pop_as_many_as_they_go_where_a_release_was_served_twice() -> None:
    at = stage(4, 2, 3, 2, 1, api=4, worker=4)
    assert planned(decide_restore(rollback_wish(steps=3), at, R2)).way_back == numbers(1)


def test_only_what_differs_moves() -> None:
    versions = {"api": seen(2), "worker": seen(3)}
    plan = planned(decide_restore(rollback_wish(), ON_R3, R2, versions=versions))
    assert moves(plan) == {"api": (3, 2)}
    assert plan.settled == {arn("worker"): alias("worker", 3)}


def test_the_newest_release_of_all_may_lie_in_the_way_back() -> None:
    assert planned(decide_restore(rollback_wish(to=2), ON_R3, R2, last_release=2)).release == 2


def test_it_is_a_movement_also_where_no_alias_has_to_move() -> None:
    """r3 only added a function, whose alias is kept."""
    at = stage(3, 2, api=2, worker=2, mailer=1)
    plan = planned(decide_restore(rollback_wish(), at, R2))
    assert (plan.moves, plan.release, plan.previous_release, plan.way_back) == ((), 2, 3, ())


def test_going_to_what_is_served_already_is_unchanged() -> None:
    assert decide_restore(rollback_wish(to=3), ON_R3, R3) == Unchanged(ReleaseNumber(3))


def test_a_mixed_stage_goes_to_the_release_before_the_failure_and_keeps_its_way_back() -> None:
    mixed = stage(2, 1, mixed=True, api=3, worker=2)
    plan = planned(decide_restore(rollback_wish(), mixed, R2))
    assert moves(plan) == {"api": (3, 2)}
    assert (plan.release, plan.way_back) == (2, numbers(1))


def test_a_mixed_stage_is_put_right_even_where_no_alias_has_to_move() -> None:
    mixed = stage(2, 1, mixed=True, api=2, worker=2)
    assert planned(decide_restore(rollback_wish(), mixed, R2)).moves == ()


# What is not there.


def test_a_service_that_nobody_deployed() -> None:
    refusal = refused(decide_restore(rollback_wish(), None, last_release=None))
    assert (refusal.code, refusal.blockers) == (Code.SERVICE_NOT_FOUND, ("orders",))
    says(refusal, "There is no service orders", "Check the spelling")


def test_a_stage_that_is_not_there() -> None:
    refusal = refused(decide_restore(rollback_wish(), None))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_NOT_FOUND, ("dev",))
    says(refusal, "Service orders has no stage dev", "Check the spelling")


def test_two_people_pressing_rollback_do_not_go_two_back() -> None:
    refusal = refused(decide_restore(rollback_wish(if_release=4), ON_R3, R2))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_MOVED, ("r3",))


def test_nothing_before_it() -> None:
    refusal = refused(decide_restore(rollback_wish(), stage(1, api=1, worker=1), R1))
    assert refusal.code is Code.NOTHING_TO_ROLL_BACK
    says(refusal, "Stage dev serves r1 and its way back is empty")


@pytest.mark.parametrize(("to", "sentence"), [(10, "Service orders has no release r10; its newest number is r9."), (5, "r2, r1")])
def test_a_release_that_is_not_in_the_way_back(to: int, sentence: str) -> None:
    refusal = refused(decide_restore(rollback_wish(to=to), ON_R3, R2))
    assert refusal.code is Code.RELEASE_NOT_FOUND
    says(refusal, sentence)


@pytest.mark.parametrize(
    ("at", "last_release", "wish", "code"),
    [
        (None, None, rollback_wish(to=99, if_release=4), Code.SERVICE_NOT_FOUND),
        (None, 9, rollback_wish(to=99, if_release=4), Code.STAGE_NOT_FOUND),
        (ON_R3, 9, rollback_wish(to=99, if_release=4), Code.STAGE_MOVED),
        (ON_R3, 9, rollback_wish(to=99), Code.RELEASE_NOT_FOUND),
    ],
)
def test_the_codes_come_in_the_contracts_order(at: Stage | None, last_release: int | None, wish: RestoreWish, code: Code) -> None:
    assert refused(decide_restore(wish, at, last_release=last_release)).code is code


# The versions it needs.


@pytest.mark.parametrize(
    ("found", "code", "blocker", "parts"),
    [
        (
            None,
            Code.VERSION_MISSING,
            "r2",
            ("has no version with r2's content any more: it was collected", "Deploy that content"),
        ),
        (Absent(), Code.VERSION_MISSING, "2", ("Version 2 of function worker", "is not there any more", "Deploy that content")),
        (seen(2, "Failed"), Code.VERSION_MISSING, "2", ("Version 2 of function worker", "state Failed", "another release")),
    ],
    ids=["collected", "deleted", "failed"],
)
def test_a_version_that_cannot_serve_refuses_and_is_named(
    found: VersionSeen | Absent | None, code: Code, blocker: str, parts: tuple[str, ...]
) -> None:
    refusal = refused(decide_restore(rollback_wish(), ON_R3, R2, versions={"worker": found}))
    assert refusal.code is code
    (named,) = refusal.blockers
    assert named.startswith(str(arn("worker")))
    assert named.endswith(blocker)
    says(refusal, str(arn("worker")), *parts)


def test_a_version_that_is_idle_is_fine_with_a_warning() -> None:
    plan = planned(decide_restore(rollback_wish(), ON_R3, R2, versions={"worker": seen(2, "Inactive")}))
    assert moves(plan) == {"api": (3, 2), "worker": (3, 2)}
    assert plan.warnings == ("version 2 of function worker is idle (Inactive): its first call wakes it up",)


def test_a_version_that_cannot_be_read_is_not_taken_for_missing() -> None:
    refusal = refused(decide_restore(rollback_wish(), ON_R3, R2, versions={"worker": BROKEN}))
    assert (refusal.code, refusal.blockers) == (Code.UNREADABLE, ("version 2 of it",))
    says(refusal, "AccessDeniedException: not allowed", "Nothing was changed")


def test_warnings_are_told_with_a_refusal_as_well() -> None:
    versions = {"api": seen(2, "Inactive"), "worker": None}
    refusal = refused(decide_restore(rollback_wish(), ON_R3, R2, versions=versions))
    assert refusal.warnings == ("version 2 of function api is idle (Inactive): its first call wakes it up",)


# Functions come and go.


def test_a_function_that_the_release_does_not_have_is_kept_where_it_is() -> None:
    at = stage(3, 2, api=3, worker=3, mailer=1)
    plan = planned(decide_restore(rollback_wish(), at, R2))
    assert [(k.function, k.version, k.reason) for k in plan.keeps] == [("mailer", version(1), "not in r2")]
    assert plan.settled == {arn("mailer"): replace(alias("mailer", 1), kept=True)}
    assert (plan.drops, plan.functions) == ((), R2.functions)


def test_an_alias_that_a_deploy_dropped_is_made_again_and_a_warning_says_what_is_not_back() -> None:
    plan = planned(decide_restore(rollback_wish(), stage(3, 2, api=3), R2))
    assert moves(plan) == {"api": (3, 2), "worker": (None, 2)}
    (warning,) = plan.warnings
    for lost in (
        "function worker is made again",
        "permissions",
        "function URL",
        "provisioned concurrency",
        "asynchronous configuration",
    ):
        assert lost in warning


def test_an_alias_that_was_deleted_behind_our_back_is_made_again_with_the_same_warning() -> None:
    plan = planned(decide_restore(rollback_wish(overwrite=True), ON_R3, R2, served={"worker": Absent()}))
    assert moves(plan) == {"api": (3, 2), "worker": (None, 2)}
    assert ["made again" in warning for warning in plan.warnings] == [True]


def test_a_strangers_alias_in_the_place_of_a_dropped_one_refuses() -> None:
    refusal = refused(decide_restore(rollback_wish(), stage(3, 2, api=3), R2, served={"worker": seen(1)}))
    assert refusal.code is Code.ALIAS_OWNED_ELSEWHERE


@pytest.mark.parametrize("name", ["worker", "mailer"], ids=["in the release", "kept"])
def test_a_function_that_exists_no_more_refuses(name: str) -> None:
    at = stage(3, 2, api=3, worker=3, mailer=1)
    refusal = refused(decide_restore(rollback_wish(), at, R2, gone=(name,)))
    assert (refusal.code, refusal.blockers) == (Code.FUNCTION_NOT_FOUND, (str(arn(name)),))
    says(refusal, f"Function {name} ({arn(name)}) exists no more", "allow_missing: true")


@pytest.mark.parametrize("name", ["worker", "mailer"], ids=["in the release", "kept"])
def test_a_function_that_exists_no_more_is_left_out_if_so_asked_and_that_is_recorded(name: str) -> None:
    at = stage(3, 2, api=3, worker=3, mailer=1)
    plan = planned(decide_restore(rollback_wish(allow_missing=True), at, R2, gone=(name,)))
    assert arn(name) not in plan.settled
    assert name not in {move.function for move in plan.moves} | {keep.function for keep in plan.keeps}
    assert plan.warnings == (f"function {name} ({arn(name)}) exists no more and was left out",)


def test_a_missing_version_is_not_forgiven_like_a_missing_function() -> None:
    refusal = refused(decide_restore(rollback_wish(allow_missing=True), ON_R3, R2, versions={"worker": None}))
    assert refusal.code is Code.VERSION_MISSING


def test_another_function_under_the_same_name_is_one_kept_and_one_made() -> None:
    """A function is its ARN, not its logical name."""
    other = Release(ReleaseNumber(2), {LogicalName("api"): part("older-api", "A")})
    plan = planned(decide_restore(rollback_wish(), stage(3, 2, api=3), other))
    assert [(move.arn, move.before) for move in plan.moves] == [(arn("older-api"), None)]
    assert [keep.function for keep in plan.keeps] == ["api"]


# Drift.


@pytest.mark.parametrize("name", ["worker", "mailer"], ids=["to be moved", "kept"])
@pytest.mark.parametrize("found", [seen(1), seen(2), Absent()])
def test_drift_refuses(name: str, found: VersionSeen | Absent) -> None:
    at = stage(3, 2, api=3, worker=3, mailer=3)
    refusal = refused(decide_restore(rollback_wish(), at, R2, served={name: found}))
    assert refusal.code is Code.DRIFTED
    says(refusal, f"function {name} ({arn(name)}) should serve version 3", "on_drift: overwrite")


def test_drift_is_overwritten_if_so_asked() -> None:
    plan = planned(decide_restore(rollback_wish(overwrite=True), ON_R3, R2, served={"worker": seen(1)}))
    assert moves(plan) == {"api": (3, 2), "worker": (1, 2)}
    assert plan.overwrite_drift


def test_a_rollback_to_what_is_served_repairs_drift_and_leaves_the_way_back() -> None:
    plan = planned(decide_restore(rollback_wish(to=3, overwrite=True), ON_R3, R3, served={"worker": seen(1)}))
    assert moves(plan) == {"worker": (1, 3)}
    assert (plan.release, plan.previous_release, plan.way_back) == (3, 3, numbers(2, 1))


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_alias_that_cannot_be_read_refuses(*, overwrite: bool) -> None:
    refusal = refused(decide_restore(rollback_wish(overwrite=overwrite), ON_R3, R2, served={"worker": BROKEN}))
    assert refusal.code is Code.UNREADABLE


def test_a_function_that_is_gone_comes_before_a_version_that_is_missing() -> None:
    refusal = refused(decide_restore(rollback_wish(), ON_R3, R2, versions={"api": None}, gone=("worker",)))
    assert refusal.code is Code.FUNCTION_NOT_FOUND
