"""What a deploy does when nothing is in the way: publish, reuse, move, keep, drop; and what it writes down."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.domain.facts import Absent, Artifact, WantedFunction
from stagekeeper.domain.model import Claim, LatestWrite, LogicalName, Release, ReleaseNumber, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import Unchanged
from tests.unit.domain.builders import (
    DEV,
    EARLIER,
    OPERATION,
    SECRET,
    SERVICE,
    alias,
    arn,
    claim,
    content,
    decide_deploy,
    deploy_facts,
    deploy_wish,
    moves,
    numbers,
    part,
    planned,
    release,
    seen,
    stage,
    version,
    wanted,
)

R1 = release(1, api="A", worker="A")
V1 = {("api", "A"): seen(1), ("worker", "A"): seen(1)}
ON_R1 = stage(1, api=1, worker=1)


# Nothing to do.


def test_what_is_served_already_is_unchanged() -> None:
    facts = deploy_facts(wanted("api", "A"), wanted("worker"), at=ON_R1, releases=(R1,), versions=V1)
    assert decide_deploy(deploy_wish(), facts) == Unchanged(ReleaseNumber(1))


def test_without_a_stage_a_release_that_is_there_is_unchanged() -> None:
    wish = deploy_wish(to=None)
    facts = deploy_facts(wanted("api", "A"), wanted("worker"), wish=wish, releases=(R1,), versions=V1)
    assert decide_deploy(wish, facts) == Unchanged(ReleaseNumber(1))


def test_a_mixed_stage_is_never_unchanged() -> None:
    mixed = stage(1, mixed=True, api=1, worker=1)
    facts = deploy_facts(wanted("api"), wanted("worker"), at=mixed, releases=(R1,), versions=V1)
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert (plan.release, plan.moves) == (1, ())


# Publish.


def test_new_code_is_published_and_the_alias_moves_onto_it() -> None:
    facts = deploy_facts(wanted("api", "B"), wanted("worker"), at=ON_R1, releases=(R1,), versions=V1)
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert (plan.kind, plan.service, plan.stage) == (OperationKind.DEPLOY, SERVICE, DEV)
    assert [(p.function, p.update_code, p.update_members, p.served) for p in plan.publishes] == [("api", True, (), version(1))]
    assert moves(plan) == {"api": (1, None)}
    assert plan.moves[0].revision_id == "revision-of-api"
    assert plan.settled == {arn("worker"): alias("worker", 1)}


@pytest.mark.parametrize(
    ("function", "reason", "updates"),
    [
        (wanted("api", "B"), "new code", True),
        (wanted("api", config="c1", differing=("Timeout",)), "configuration.Timeout", True),
        (
            wanted("api", "B", config="c1", differing=("Timeout", "Environment")),
            "new code, configuration.Environment, configuration.Timeout",
            True,
        ),
        # Architectures travel with the code, so the code is sent although it is the same.
        (wanted("api", "A", config="c1", differing=("Architectures",)), "new code", True),
        (wanted("api", in_latest="B"), "what $LATEST holds is not published yet", False),
        (wanted("api", "B", in_latest="B"), "what $LATEST holds is not published yet", False),
    ],
)
def test_every_publish_says_why_and_updates_only_what_differs(function: WantedFunction, reason: str, *, updates: bool) -> None:
    facts = deploy_facts(function, at=stage(1, api=1), releases=(release(1, api="A"),))
    (publish,) = planned(decide_deploy(deploy_wish(), facts)).publishes
    assert (publish.reason, publish.updates) == (reason, updates)


def test_a_publish_carries_what_latest_was() -> None:
    (publish,) = planned(decide_deploy(deploy_wish(), deploy_facts(wanted("api", "B")))).publishes
    assert (publish.function_name, publish.before, publish.content) == ("orders-api", content("A"), content("B"))
    assert publish.last_modified == 1_700_000_000.0
    assert publish.artifact == Artifact("artifacts", "code/api-B.zip", None, "B")


def test_a_failed_version_is_not_reused() -> None:
    facts = deploy_facts(wanted("api"), versions={("api", "A"): seen(1, "Failed")})
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert [p.function for p in plan.publishes] == ["api"]


def test_a_failed_update_is_mended_by_another_update() -> None:
    facts = deploy_facts(wanted("api", "B", failed="bad layer"))
    assert len(planned(decide_deploy(deploy_wish(), facts)).publishes) == 1


def test_a_failed_update_does_not_matter_where_the_version_is_there_already() -> None:
    facts = deploy_facts(wanted("api", failed="bad layer"), versions=V1)
    assert planned(decide_deploy(deploy_wish(), facts)).publishes == ()


# Reuse.


@pytest.mark.parametrize("state", ["Active", "Inactive"])
def test_a_version_that_has_the_content_is_reused(state: str) -> None:
    versions = {("api", "A"): seen(4), ("api", "B"): seen(7, state)}
    facts = deploy_facts(wanted("api", "B"), at=stage(1, api=4), releases=(release(1, api="A"),), versions=versions)
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert plan.publishes == ()
    assert [(r.function, r.arn, r.version, r.served, r.reason) for r in plan.reuses] == [
        ("api", arn("api"), version(7), version(4), "version 7 already has this content")
    ]
    assert moves(plan) == {"api": (4, 7)}


def test_an_unchanged_function_is_neither_published_nor_reused_nor_moved() -> None:
    facts = deploy_facts(wanted("api", "B"), wanted("worker"), at=ON_R1, releases=(R1,), versions=V1)
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert {publish.function for publish in plan.publishes} == {move.function for move in plan.moves} == {"api"}
    assert (plan.reuses, plan.keeps) == ((), ())


# Releases.


def test_the_first_release_of_a_service_is_r1() -> None:
    plan = planned(decide_deploy(deploy_wish(), deploy_facts(wanted("api", "B"))))
    assert (plan.release, plan.new_release, plan.previous_release) == (1, True, None)


def test_a_new_content_is_the_next_release() -> None:
    facts = deploy_facts(wanted("api", "B"), at=stage(1, api=1), releases=(release(1, api="A"), release(6, api="C")))
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert (plan.release, plan.new_release, plan.previous_release) == (7, True, 1)
    assert plan.functions == {"api": part("api", "B")}


def test_equal_content_is_the_same_release_also_if_its_version_was_collected() -> None:
    releases = (release(1, api="A"), release(2, api="B"))
    facts = deploy_facts(wanted("api", "A", in_latest="B"), at=stage(2, 1, api=2), releases=releases)
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert (plan.release, plan.new_release, len(plan.publishes)) == (1, False, 1)
    assert plan.way_back == numbers(2, 1)


# Stages.


def test_a_new_stage_name_makes_the_stage() -> None:
    facts = deploy_facts(wanted("api"), wanted("worker"), releases=(R1,), versions=V1)
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert moves(plan) == {"api": (None, 1), "worker": (None, 1)}
    assert (plan.stage, plan.stage_revision, plan.release, plan.previous_release, plan.way_back) == (DEV, None, 1, None, ())


def test_a_plan_for_a_stage_names_the_record_it_was_made_on() -> None:
    facts = deploy_facts(wanted("api", "B"), at=stage(1, api=1), releases=(release(1, api="A"),))
    assert planned(decide_deploy(deploy_wish(), facts)).stage_revision == 5


def test_without_a_stage_versions_are_published_and_no_alias_moves() -> None:
    wish = deploy_wish(to=None)
    plan = planned(decide_deploy(wish, deploy_facts(wanted("api", "B"), wish=wish, releases=(release(1, api="A"),))))
    assert len(plan.publishes) == 1
    assert (plan.stage, plan.moves, plan.previous_release, plan.way_back) == (None, (), None, ())
    assert plan.release == 2


def test_without_a_stage_a_release_of_versions_that_are_there_is_still_a_new_release() -> None:
    wish = deploy_wish(to=None)
    versions = {**V1, ("worker", "B"): seen(2)}
    facts = deploy_facts(wanted("api"), wanted("worker", "B"), wish=wish, releases=(R1,), versions=versions)
    plan = planned(decide_deploy(wish, facts))
    assert (plan.release, plan.new_release, plan.publishes) == (2, True, ())


def test_a_mixed_stage_is_compared_with_what_it_really_serves() -> None:
    mixed = stage(1, mixed=True, api=2, worker=1)
    facts = deploy_facts(wanted("api"), wanted("worker"), at=mixed, releases=(R1,), versions=V1)
    assert moves(planned(decide_deploy(deploy_wish(), facts))) == {"api": (2, 1)}


# Functions come and go.


def test_a_function_that_is_new_to_the_stage_gets_an_alias() -> None:
    facts = deploy_facts(wanted("api"), wanted("worker"), at=stage(1, api=1), releases=(release(1, api="A"),), versions=V1)
    assert moves(planned(decide_deploy(deploy_wish(), facts))) == {"worker": (None, 1)}


def test_the_alias_of_a_function_that_is_not_in_the_request_is_dropped_after_the_commit() -> None:
    facts = deploy_facts(wanted("api"), at=ON_R1, releases=(R1,), versions=V1)
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert [(d.function, d.before, d.reason) for d in plan.drops] == [
        ("worker", version(1), "the service as deployed does not have this function")
    ]
    assert plan.functions == {"api": part("api", "A")}
    # Until the alias is deleted the stage's record has it, or a failed clean-up would forget it. Its release has it not.
    assert plan.settled[arn("worker")] == replace(alias("worker", 1), kept=True)


def test_dropping_an_alias_is_a_change_also_where_the_release_stays() -> None:
    """A rollback kept it; the next deploy of the same content does not."""
    at = stage(1, api=1, worker=1, mailer=1)
    facts = deploy_facts(wanted("api"), wanted("worker"), at=at, releases=(R1,), versions=V1)
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert (plan.release, plan.moves, [drop.function for drop in plan.drops]) == (1, (), ["mailer"])


def test_a_partial_deploy_keeps_the_stages_other_functions() -> None:
    wish = deploy_wish(partial=True)
    facts = deploy_facts(wanted("api", "B"), wish=wish, at=ON_R1, releases=(R1,), versions=V1)
    plan = planned(decide_deploy(wish, facts))
    assert plan.drops == ()
    assert plan.functions == {"api": part("api", "B"), "worker": part("worker", "A")}
    assert plan.settled == {arn("worker"): alias("worker", 1)}
    assert moves(plan) == {"api": (1, None)}


def test_a_partial_deploy_of_what_is_served_is_unchanged() -> None:
    wish = deploy_wish(partial=True)
    facts = deploy_facts(wanted("api"), wish=wish, at=ON_R1, releases=(R1,), versions=V1)
    assert decide_deploy(wish, facts) == Unchanged(ReleaseNumber(1))


def test_a_partial_deploy_leaves_an_alias_alone_that_the_stages_release_does_not_have() -> None:
    wish = deploy_wish(partial=True)
    after_rollback = stage(1, api=1, mailer=4)
    facts = deploy_facts(wanted("api", "B"), wish=wish, at=after_rollback, releases=(release(1, api="A"),))
    plan = planned(decide_deploy(wish, facts))
    assert [(k.function, k.version, k.reason) for k in plan.keeps] == [("mailer", version(4), "not named by this partial deploy")]
    assert plan.functions == {"api": part("api", "B")}


def test_a_partial_deploy_of_a_mixed_stage_puts_the_kept_functions_right() -> None:
    wish = deploy_wish(partial=True)
    mixed = stage(1, mixed=True, api=1, worker=2)
    facts = deploy_facts(wanted("api"), wish=wish, at=mixed, releases=(R1,), versions=V1)
    assert moves(planned(decide_deploy(wish, facts))) == {"worker": (2, 1)}


def test_a_partial_deploy_of_a_stage_that_became_mixed_while_it_was_made_keeps_nothing() -> None:
    """It has no release whose functions could be kept; the alias that was left is."""
    wish = deploy_wish(partial=True)
    facts = deploy_facts(wanted("api"), wish=wish, at=stage(None, mixed=True, worker=1), releases=(R1,), versions=V1)
    plan = planned(decide_deploy(wish, facts))
    assert plan.functions == {"api": part("api", "A")}
    assert [keep.function for keep in plan.keeps] == ["worker"]


def test_another_function_under_the_same_logical_name_is_one_removed_and_one_added() -> None:
    other = Claim(SERVICE, claim("api").function)
    before = stage(1, old=3)
    facts = deploy_facts(wanted("api"), at=before, releases=(release(1, old="A"),), versions=V1, claims={"api": other})
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert moves(plan) == {"api": (None, 1)}
    assert [d.arn for d in plan.drops] == [arn("old")]


def test_another_logical_name_for_the_same_function_is_a_new_release_that_moves_nothing() -> None:
    before = Release(ReleaseNumber(1), {LogicalName("old-name"): part("api")})
    facts = deploy_facts(
        wanted("api", given=("Timeout",)),
        at=stage(1, api=1),
        releases=(before,),
        versions=V1,
        claims={"api": claim("old-name", "Timeout")},
    )
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert (plan.release, plan.moves, plan.publishes, plan.drops) == (2, (), (), ())
    assert plan.joins[arn("api")].after == claim("api", "Timeout")


def test_a_partial_deploy_can_give_a_function_another_logical_name() -> None:
    """It is the same function, so its old name is not kept beside the new one."""
    wish = deploy_wish(partial=True)
    before = Release(ReleaseNumber(1), {LogicalName("old-name"): part("api"), LogicalName("worker"): part("worker")})
    facts = deploy_facts(wanted("api"), wish=wish, at=ON_R1, releases=(before,), versions=V1)
    assert planned(decide_deploy(wish, facts)).functions == {"api": part("api"), "worker": part("worker")}


def test_a_function_that_was_deleted_takes_its_alias_along() -> None:
    facts = deploy_facts(wanted("api"), at=ON_R1, releases=(R1,), versions=V1, gone=("worker",))
    plan = planned(decide_deploy(deploy_wish(), facts))
    assert plan.drops == ()
    assert arn("worker") not in plan.settled


# The way back.


def test_a_deploy_pushes_the_release_it_leaves() -> None:
    facts = deploy_facts(wanted("api", "B"), at=stage(3, 2, 1, api=1), releases=(release(3, api="A"),))
    assert planned(decide_deploy(deploy_wish(), facts)).way_back == numbers(3, 2, 1)


# Drift that is to be overwritten.


def test_overwriting_drift_moves_the_alias_back_and_does_not_touch_the_way_back() -> None:
    at = stage(1, 9, api=1, worker=1)
    facts = deploy_facts(wanted("api"), wanted("worker"), at=at, releases=(R1,), versions=V1, served={"api": seen(3)})
    plan = planned(decide_deploy(deploy_wish(overwrite=True), facts))
    assert moves(plan) == {"api": (3, 1)}
    assert "moved behind our back onto version 3" in plan.moves[0].reason
    assert plan.moves[0].revision_id is None  # the recorded one is not the alias's any more
    assert (plan.release, plan.way_back, plan.overwrite_drift) == (1, numbers(9), True)


def test_an_alias_that_is_made_again_is_named_with_what_is_not_back() -> None:
    facts = deploy_facts(
        wanted("api", "B"), wanted("worker"), wanted("new"), at=ON_R1, releases=(R1,), served={"worker": Absent()}
    )
    (warning,) = planned(decide_deploy(deploy_wish(overwrite=True), facts)).warnings
    assert warning.startswith("the alias dev of function worker is made again: its permissions, function URL")


@pytest.mark.parametrize("to", [DEV, None])
def test_nothing_was_lost_where_no_alias_was(to: StageName | None) -> None:
    wish = deploy_wish(to=to)
    assert planned(decide_deploy(wish, deploy_facts(wanted("api"), wish=wish))).warnings == ()


def test_a_drop_does_not_care_where_the_alias_is_when_drift_is_overwritten() -> None:
    facts = deploy_facts(wanted("api"), at=ON_R1, releases=(R1,), versions=V1, served={"worker": seen(8)})
    plan = planned(decide_deploy(deploy_wish(overwrite=True), facts))
    assert [d.function for d in plan.drops] == ["worker"]


# Claims.


def test_a_function_that_joins_is_claimed() -> None:
    plan = planned(decide_deploy(deploy_wish(), deploy_facts(wanted("api"), claims={}, callers={"api": ()})))
    join = plan.joins[arn("api")]
    assert (join.before, join.after) == (None, claim("api"))


def test_the_members_that_were_ever_given_are_remembered_with_the_write_of_latest() -> None:
    function = wanted("api", "B", config="c1", given=("Timeout", "Handler"), differing=("Timeout",))
    plan = planned(decide_deploy(deploy_wish(), deploy_facts(function, claims={"api": claim("api", "Timeout")})))
    write = LatestWrite(OPERATION, content("A"), content("B", "c1"))
    assert plan.joins[arn("api")].before == claim("api", "Timeout")
    assert plan.joins[arn("api")].after == claim("api", "Timeout", "Handler", write=write)


@pytest.mark.parametrize("owned", [{}, {"api": claim("api")}], ids=["joining", "a member"])
def test_a_member_is_remembered_also_if_latest_had_its_value_already(owned: dict[str, Claim]) -> None:
    """Else it would depend on chance whether the next deploy must give it again."""
    facts = deploy_facts(wanted("api", given=("Timeout",)), claims=owned, callers={"api": ()})
    assert planned(decide_deploy(deploy_wish(), facts)).joins[arn("api")].after == claim("api", "Timeout")


@pytest.mark.parametrize("code", [None, "A"])
def test_nothing_is_claimed_anew_where_nothing_is_new(code: str | None) -> None:
    function = wanted("api", code, given=("Timeout",))
    write = LatestWrite(EARLIER, content("0"), content("A"))
    facts = deploy_facts(function, versions=V1, claims={"api": claim("api", "Timeout", write=write)})
    assert planned(decide_deploy(deploy_wish(), facts)).joins == {}


def test_what_a_failed_deploy_left_is_ours_again_once_it_is_deployed_with_its_code() -> None:
    """The claim then names this operation, so that the next deploy may leave the code out; should this one fail as well,
    what was there before both is still known."""
    failed = LatestWrite(EARLIER, content("A"), content("B"))
    facts = deploy_facts(
        wanted("api", "B", in_latest="B"),
        versions={("api", "B"): seen(2)},
        claims={"api": claim("api", write=failed)},
        failed=(EARLIER,),
    )
    after = planned(decide_deploy(deploy_wish(), facts)).joins[arn("api")].after
    assert after.latest_write == LatestWrite(OPERATION, content("A"), content("B"))


def test_what_a_failed_deploy_left_stays_remembered_when_other_content_is_deployed() -> None:
    """$LATEST is not written: version 1 is reused, and the failed code lies where it was."""
    failed = LatestWrite(EARLIER, content("A"), content("B"))
    facts = deploy_facts(
        wanted("api", "A", in_latest="B"), versions=V1, claims={"api": claim("api", write=failed)}, failed=(EARLIER,)
    )
    assert planned(decide_deploy(deploy_wish(), facts)).joins == {}


def test_a_write_over_what_a_failed_deploy_left_remembers_what_was_before_both() -> None:
    failed = LatestWrite(EARLIER, content("A"), content("B"))
    function = wanted("api", "B", in_latest="B", config="c1", differing=("Timeout",))
    facts = deploy_facts(function, claims={"api": claim("api", write=failed)}, failed=(EARLIER,))
    after = planned(decide_deploy(deploy_wish(), facts)).joins[arn("api")].after
    assert after.latest_write == LatestWrite(OPERATION, content("A"), content("B", "c1"))


# Secrets.


def test_a_plan_holds_no_environment_value() -> None:
    function = wanted("api", "B", given=("Environment",), differing=("Environment",))
    assert function.latest.configuration["Environment"] == {"TOKEN": SECRET}
    facts = deploy_facts(function)
    assert SECRET not in repr(planned(decide_deploy(deploy_wish(), facts)))
    assert SECRET not in repr(facts)
