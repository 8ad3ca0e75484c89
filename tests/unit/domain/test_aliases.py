"""From wanted versions to moves: what the record says against what AWS serves, for every alias of a stage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.domain.aliases import AliasPlan, Problem, Target, drift, made_again, plan_aliases, refusal
from stagekeeper.domain.facts import Absent, Unreadable, VersionSeen
from stagekeeper.domain.model import LogicalName, Stage
from stagekeeper.domain.refusal import Code
from tests.unit.domain.builders import DEV, alias, arn, number, seen, stage, stage_facts, version

ON_1 = stage(1, api=1)
LATEST = VersionSeen(None, "Active")
BROKEN = Unreadable(f"function {arn('api')}:dev", "ServiceException: later")
Seen = VersionSeen | Absent | Unreadable


def decide(
    of: Stage | None,
    found: Seen | None,
    to: int | None = 2,
    *,
    targets: bool = True,
    drop: bool = False,
    overwrite: bool = False,
    left_out: bool = False,
) -> AliasPlan:
    """The plan for function api, which AWS answers ``found`` for, or as recorded for None."""
    facts = stage_facts(of, "api", served=None if found is None else {"api": found})
    target = Target(LogicalName("api"), arn("api"), None if to is None else version(to), "wanted")
    return plan_aliases(
        facts,
        DEV,
        [target] if targets else [],
        drop_others="not wanted" if drop else None,
        keep_others="not in r3",
        overwrite=overwrite,
        left_out=frozenset({arn("api")}) if left_out else frozenset(),
    )


def moved(plan: AliasPlan) -> list[tuple[int | None, str | None, int | None]]:
    """The moves, as (before, RevisionId, to)."""
    assert not plan.problems
    return [(number(m.before), m.revision_id, number(m.to)) for m in plan.moves]


def codes(plan: AliasPlan) -> list[Code]:
    assert not plan.moves
    return [problem.code for problem in plan.problems]


# A function that is wanted.


def test_an_alias_moves_with_the_revision_on_record() -> None:
    """So that a move is one call."""
    assert moved(decide(ON_1, None)) == [(1, "revision-of-api", 2)]


def test_an_alias_moves_onto_a_version_that_is_yet_to_be_published() -> None:
    assert moved(decide(ON_1, None, to=None)) == [(1, "revision-of-api", None)]


def test_an_alias_that_is_there_already_is_left_as_it_is() -> None:
    plan = decide(ON_1, None, to=1)
    assert (moved(plan), plan.settled) == ([], {arn("api"): alias("api", 1)})


def test_an_alias_that_is_not_there_is_made() -> None:
    assert moved(decide(None, Absent())) == [(None, None, 2)]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_strangers_alias_of_that_name_is_never_taken(*, overwrite: bool) -> None:
    """Not even where it serves the wanted version, nor to overwrite drift: it never was ours."""
    assert codes(decide(None, seen(2), overwrite=overwrite)) == [Code.ALIAS_OWNED_ELSEWHERE]


@pytest.mark.parametrize(
    ("found", "described"), [(seen(3), "version 3"), (seen(2), "version 2"), (LATEST, "$LATEST"), (Absent(), "no alias")]
)
def test_another_version_than_recorded_is_drift(found: Seen, described: str) -> None:
    plan = decide(ON_1, found)
    assert codes(plan) == [Code.DRIFTED]
    (problem,) = plan.problems
    assert problem.blocker == f"{arn('api')}:dev: recorded 1, found {described}"
    assert f"The alias dev of function api ({arn('api')}) should serve version 1, but AWS has {described}" in problem.sentence
    assert "on_drift: overwrite" in problem.sentence


@pytest.mark.parametrize(
    ("found", "to", "move"),
    [
        (seen(3), 2, (3, None, 2)),
        (seen(3), 1, (3, None, 1)),
        (seen(3), None, (3, None, None)),
        (Absent(), 2, (None, None, 2)),
        (Absent(), 1, (None, None, 1)),
    ],
)
def test_drift_is_overwritten_from_where_the_alias_is(
    found: Seen, to: int | None, move: tuple[int | None, None, int | None]
) -> None:
    """If something fails it is put back onto what AWS served, so that is what counts as before."""
    plan = decide(ON_1, found, to, overwrite=True)
    assert moved(plan) == [move]
    assert plan.moves[0].arn == arn("api")


def test_an_alias_on_latest_cannot_be_overwritten_since_it_could_not_be_put_back() -> None:
    plan = decide(ON_1, LATEST, overwrite=True)
    assert codes(plan) == [Code.DRIFTED]
    assert plan.problems[0].blocker == f"{arn('api')}:dev -> $LATEST"
    assert "points at $LATEST, which cannot be put back" in plan.problems[0].sentence
    assert "by hand" in plan.problems[0].sentence


# A function that is not wanted.


def test_an_alias_that_is_not_wanted_is_kept() -> None:
    plan = decide(ON_1, None, targets=False)
    assert [(k.function, k.version, k.reason) for k in plan.keeps] == [("api", version(1), "not in r3")]
    assert (moved(plan), plan.drops, plan.settled) == ([], [], {arn("api"): replace(alias("api", 1), kept=True)})


def test_a_kept_alias_that_is_wanted_again_counts_as_the_releases() -> None:
    """No sweep has to look for its version beside the release's any more."""
    kept = replace(ON_1, aliases={arn("api"): replace(alias("api", 1), kept=True)})
    assert decide(kept, None, to=1).settled == {arn("api"): alias("api", 1)}


def test_an_alias_that_is_not_wanted_is_dropped_if_so_asked() -> None:
    plan = decide(ON_1, None, targets=False, drop=True)
    assert [(d.function, d.before, d.reason) for d in plan.drops] == [("api", version(1), "not wanted")]
    assert (moved(plan), plan.keeps) == ([], [])


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("found", [seen(3), Absent(), LATEST])
def test_drift_counts_also_where_the_function_is_not_wanted(found: Seen, *, drop: bool) -> None:
    plan = decide(ON_1, found, targets=False, drop=drop)
    assert codes(plan) == [Code.DRIFTED]
    assert f"The alias dev of function api ({arn('api')}) should serve version 1" in plan.problems[0].sentence


@pytest.mark.parametrize(("found", "before"), [(seen(3), 3), (Absent(), None)])
def test_a_kept_alias_is_put_back_onto_its_recorded_version(found: Seen, before: int | None) -> None:
    plan = decide(ON_1, found, targets=False, overwrite=True)
    assert (moved(plan), plan.keeps) == ([(before, None, 1)], [])
    again = "put back onto the recorded version (it was moved behind our back onto version 3)"
    assert plan.moves[0].reason == ("made again: the alias was deleted behind our back" if before is None else again)


def test_a_kept_alias_on_latest_cannot_be_overwritten_either() -> None:
    plan = decide(ON_1, LATEST, targets=False, overwrite=True)
    assert codes(plan) == [Code.DRIFTED]
    assert "The alias dev of function api" in plan.problems[0].sentence
    assert "by hand" in plan.problems[0].sentence


@pytest.mark.parametrize("found", [seen(3), Absent(), LATEST])
def test_an_alias_that_is_dropped_may_be_anywhere_when_drift_is_overwritten(found: Seen) -> None:
    plan = decide(ON_1, found, targets=False, drop=True, overwrite=True)
    assert moved(plan) == []
    assert len(plan.drops) == 1


def test_a_function_that_is_left_out_is_forgotten() -> None:
    """It is a change all the same: the record has an alias less."""
    assert decide(ON_1, Absent(), targets=False, left_out=True) == AliasPlan(forgotten=[arn("api")])


def test_a_function_that_is_left_out_and_was_not_the_stages_is_nothing_to_forget() -> None:
    assert decide(None, Absent(), targets=False, left_out=True) == AliasPlan()


# What cannot be read.


@pytest.mark.parametrize(("targets", "drop"), [(True, False), (False, True), (False, False)], ids=["wanted", "dropped", "kept"])
@pytest.mark.parametrize("of", [ON_1, None], ids=["recorded", "new"])
def test_what_cannot_be_read_is_never_guessed_nor_overwritten(of: Stage | None, *, targets: bool, drop: bool) -> None:
    if of is None and not targets:
        of = stage(1, mixed=True, api=1)
    plan = decide(of, BROKEN, targets=targets, drop=drop, overwrite=True)
    assert codes(plan) == [Code.UNREADABLE]
    assert plan.problems[0].sentence == (
        f"function {arn('api')}:dev could not be read: ServiceException: later. Nothing was changed. Mend that and try again."
    )


def test_weights_are_drift_also_where_the_version_is_the_recorded_one() -> None:
    problem = drift(DEV, LogicalName("api"), arn("api"), version(1), replace(seen(1), weighted=True))
    assert problem is not None
    assert problem.blocker == f"{arn('api')}:dev: recorded 1, found version 1 and another one by routing weights"


def test_record_and_aws_that_agree_are_no_drift() -> None:
    assert drift(DEV, LogicalName("api"), arn("api"), version(1), seen(1, "Inactive")) is None


def test_what_hung_on_an_alias_that_is_made_again_is_named() -> None:
    """Its event source mappings are not lost: AWS keeps them, and they find the alias again."""
    had = stage_facts(stage(1, api=1), "api")
    lost = made_again(had, DEV, decide(ON_1, Absent(), overwrite=True).moves, there_before=False)
    assert lost == [
        "the alias dev of function api is made again: its permissions, function URL, provisioned concurrency and asynchronous "
        "configuration went with the old one and are not back"
    ]
    assert made_again(had, DEV, decide(ON_1, None).moves, there_before=True) == []


def test_an_alias_that_the_record_does_not_have_may_have_been_there_before() -> None:
    had_others = stage_facts(stage(1, worker=1), "api")
    made = decide(None, Absent()).moves
    (warning,) = made_again(had_others, DEV, made, there_before=None)
    assert "is made: if the stage had one before" in warning
    assert made_again(had_others, DEV, made, there_before=False) == []
    assert made_again(stage_facts(None, "api"), DEV, made, there_before=True) == []


# Refusals.


def test_no_problem_is_no_refusal() -> None:
    assert refusal([]) is None


def test_one_problem_is_told_as_it_is() -> None:
    refused = refusal([Problem(Code.DRIFTED, "Drift.", "d")])
    assert refused is not None
    assert (refused.message, refused.blockers, refused.warnings) == ("Drift.", ("d",), ())


def test_of_several_codes_the_one_that_is_decided_first_is_the_answer_with_all_of_its_things() -> None:
    problems = [
        Problem(Code.DRIFTED, "Drift.", "d"),
        Problem(Code.FUNCTION_NOT_FOUND, "First.", "x"),
        Problem(Code.FUNCTION_NOT_FOUND, "Second.", "y"),
    ]
    refused = refusal(problems, ["a warning"])
    assert refused is not None
    assert (refused.code, refused.blockers, refused.warnings) == (Code.FUNCTION_NOT_FOUND, ("x", "y"), ("a warning",))
    assert refused.message == "First. The same holds for 1 more, see blockers."


def test_codes_are_ranked_as_the_contract_lists_them() -> None:
    """What is decided under the lock. InvalidRequest is what shows only then: the form was checked before."""
    ranked = [
        Code.SERVICE_NOT_FOUND,
        Code.STAGE_NOT_FOUND,
        Code.STAGE_EXISTS,
        Code.STAGE_MOVED,
        Code.STAGE_PROTECTED,
        Code.RELEASE_NOT_FOUND,
        Code.NOTHING_TO_ROLL_BACK,
        Code.FUNCTION_NOT_FOUND,
        Code.FUNCTION_OWNED_ELSEWHERE,
    ]
    others = [code for code in Code if code not in ranked]
    for place, first in enumerate(ranked):
        for later in [*ranked[place + 1 :], *others]:
            decided = refusal([Problem(later, "", ""), Problem(first, "", "")])
            assert decided is not None
            assert decided.code is first, (first, later)
