"""Adopting as a pure decision: which aliases become stages, of which releases, and why others do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stagekeeper.domain.adopt import admit_adopt, plan_adopt, stage_contents, usable_aliases
from stagekeeper.domain.adoption import MAX_ALIASES, MAX_STAGES, AdoptFacts, AdoptPlan, AdoptWish, FoundFunction, changes
from stagekeeper.domain.converge import AliasSeen
from stagekeeper.domain.facts import Absent, StageFacts, Unreadable, Unsettled
from stagekeeper.domain.model import (
    Claim,
    Content,
    FunctionArn,
    LogicalName,
    ReleaseNumber,
    ServedAlias,
    Service,
    ServiceName,
    Stage,
    StageName,
    VersionNumber,
    content_digest,
)
from stagekeeper.domain.plan import Unchanged
from stagekeeper.domain.refusal import Code, Refusal

SERVICE = ServiceName("orders")
LIVE, OTHER = StageName("live"), StageName("other")
WISH = AdoptWish(SERVICE, None, None, None, accept_unqualified_callers=False)

#: An alias as a case writes it: a version, 0 for $LATEST, a negative one with a weight beside it.
Aliases = Mapping[str, int]


def arn(name: str) -> FunctionArn:
    return FunctionArn(f"arn:aws:lambda:eu-central-1:123456789012:function:orders-{name}")


def seen(version: int) -> AliasSeen:
    return AliasSeen(VersionNumber(abs(version)) if version else None, f"revision {version}", weighted=version < 0)


def function(
    name: str,
    versions: int = 9,
    also: Mapping[str, int] | None = None,
    ours: Sequence[int] = (),
    strangers: Sequence[int] = (),
    **aliases: int,
) -> FoundFunction:
    """``ours`` and ``strangers`` are the versions on record; ``also`` more aliases."""
    known = {**dict.fromkeys(ours, True), **dict.fromkeys(strangers, False)}
    return FoundFunction(
        LogicalName(name),
        arn(name),
        {alias: seen(version) for alias, version in {**aliases, **(also or {})}.items()},
        frozenset(VersionNumber(number) for number in range(1, versions + 1)),
        {VersionNumber(number): is_ours for number, is_ours in known.items()},
    )


def stage(name: str = "live", release: int | None = 1, *way_back: int, observed: str | None = None, **versions: int) -> Stage:
    aliases = {arn(f): ServedAlias(LogicalName(f), VersionNumber(number), None) for f, number in versions.items()}
    return Stage(
        StageName(name),
        None if release is None else ReleaseNumber(release),
        tuple(ReleaseNumber(number) for number in way_back),
        aliases,
        revision=3,
        movements=len(way_back) + 1,
        observed=observed,
    )


def content(function: FoundFunction, version: VersionNumber, same: Mapping[int, int]) -> Content:
    return Content(f"code {same.get(version.value, version.value)} of {function.function}", "configuration")


def facts(
    *functions: FoundFunction,
    stages: Sequence[Stage] = (),
    last_release: int | None = None,
    owners: Mapping[str, str] | None = None,
    same: Mapping[int, int] | None = None,
    claims: Mapping[FunctionArn, Claim] | None = None,
    one: str | None = None,
    **more: object,
) -> AdoptFacts:
    """``owners``: the stack of an alias, by its name; ``same``: versions that have the content of others; ``one``: the stage that
    the request is about."""
    known = {each.name: each for each in stages}
    last = max((each.release or 0 for each in stages), default=0) if last_release is None else last_release
    usable, _ = usable_aliases(None, functions)
    places = [(f, name, v) for name, having in usable.items() for f in having if (v := f.aliases[name].version) is not None]
    default: Mapping[FunctionArn, Claim] = {f.arn: Claim(SERVICE, f.function) for f in functions}
    made = AdoptFacts(
        at=StageFacts(
            Service(SERVICE, ReleaseNumber(last)),
            None if one is None else StageName(one),
            None if one is None else known.get(StageName(one)),
            last_release=ReleaseNumber(last),
        ),
        named={},
        functions=functions,
        unsettled=(),
        gone={},
        claims=default if claims is None else claims,
        callers={},
        stages=known,
        contents={(f.arn, v): content(f, v, same or {}) for f, _, v in places},
        owners={(f.arn, name): (owners or {}).get(name) or Absent() for f, name, _ in places},
    )
    return replace(made, **more)  # type: ignore[arg-type]  # a case names members of the facts


def planned(facts: AdoptFacts, wish: AdoptWish = WISH) -> AdoptPlan:
    plan = plan_adopt(wish, facts)
    assert isinstance(plan, AdoptPlan), plan
    return plan


def refused(facts: AdoptFacts, wish: AdoptWish = WISH) -> Refusal:
    refusal = plan_adopt(wish, facts)
    assert isinstance(refusal, Refusal), refusal
    return refusal


def unchanged(facts: AdoptFacts, wish: AdoptWish = WISH) -> Unchanged:
    decision = plan_adopt(wish, facts)
    assert isinstance(decision, Unchanged), decision
    return decision


def stages_of(plan: AdoptPlan) -> dict[str, int | None]:
    return {each.name: each.release for each in plan.stages}


# Which aliases become stages.


SKIPPED: list[tuple[str, list[FoundFunction], str]] = [
    (
        "weighted",
        [function("a", live=-2), function("b", live=2)],
        "alias live is skipped: that of function a gives a part of its traffic to another version",
    ),
    (
        "on $LATEST",
        [function("a", live=2), function("b", live=0)],
        "alias live is skipped: that of function b is on $LATEST, which every deploy changes; put it on a version",
    ),
    (
        "both",
        [function("a", live=-2), function("b", live=0)],
        "alias live is skipped: that of function a gives a part of its traffic to another version; that of function b is on "
        "$LATEST, which every deploy changes; put it on a version",
    ),
    (
        "too long",
        [function("a", also={"x" * 64: 1})],
        f"alias {'x' * 64} is skipped: function a has it, and a stage's name has at most 63 letters, digits, - and _",
    ),
    (
        "one name for two functions",
        [function("a", live=1), replace(function("a", live=1), arn=arn("b"))],
        f"alias live is skipped: {arn('a')} and {arn('b')} have it, and both are called a",
    ),
]


@pytest.mark.parametrize(("functions", "sentence"), [row[1:] for row in SKIPPED], ids=[row[0] for row in SKIPPED])
def test_an_alias_that_cannot_be_a_stage_is_skipped_with_its_reason(functions: list[FoundFunction], sentence: str) -> None:
    usable, skipped = usable_aliases(None, functions)

    assert (usable, skipped) == ({}, [sentence])


def test_of_many_functions_some_are_named() -> None:
    _, (sentence,) = usable_aliases(None, [function(f"f{number}", live=0) for number in range(9)])

    assert sentence.count("is on $LATEST") == 5
    assert sentence.endswith(" and 4 more")


def test_a_name_of_63_characters_is_a_stages() -> None:
    usable, skipped = usable_aliases(None, [function("a", also={"x" * 63: 1})])

    assert (list(usable), skipped) == (["x" * 63], [])


def test_a_skipped_alias_keeps_no_other_from_being_adopted() -> None:
    plan = planned(facts(function("a", canary=-2, live=1), function("b", live=1)))

    assert stages_of(plan) == {"live": 1}
    assert plan.warnings[0].startswith("alias canary is skipped")


def test_only_the_aliases_that_are_named_are_looked_at() -> None:
    usable, skipped = usable_aliases([LIVE], [function("a", live=1, canary=-2, other=1)])

    assert (list(usable), skipped) == ([LIVE], [])


# New stages and their releases.


def test_a_new_stage_serves_what_its_versions_hold_from_null_with_an_empty_way_back() -> None:
    (made,) = planned(facts(function("a", live=2), function("b", live=3))).stages

    assert {arn: (each.version.value, each.revision_id) for arn, each in made.aliases.items()} == {
        arn("a"): (2, "revision 2"),
        arn("b"): (3, "revision 3"),
    }
    assert (made.revision, made.release, made.previous_release, made.way_back, made.moves) == (None, 1, None, (), True)
    assert made.observed is None


def test_the_release_has_the_functions_that_have_the_alias_and_no_other() -> None:
    plan = planned(facts(function("a", live=2), function("b", other=3)))

    assert [(each.number, list(each.functions)) for each in plan.releases] == [(1, ["a"]), (2, ["b"])]


def test_new_releases_get_the_next_numbers_in_the_order_of_the_stages_names() -> None:
    plan = planned(facts(function("a", zeta=1, alpha=2, mid=3), last_release=7))

    assert stages_of(plan) == {"alpha": 8, "mid": 9, "zeta": 10}
    assert plan.last_release == 10


@given(st.permutations([function("a", x=1, y=2, z=3), function("b", x=1, y=1, z=1), function("c", x=5, z=6)]))
def test_the_order_of_the_facts_makes_no_difference(functions: Sequence[FoundFunction]) -> None:
    assert stages_of(planned(facts(*functions))) == {"x": 1, "y": 2, "z": 3}


def test_equal_content_is_the_same_release_whatever_the_versions() -> None:
    plan = planned(facts(function("a", dev=1, live=3), same={3: 1}))

    assert stages_of(plan) == {"dev": 1, "live": 1}
    assert len(plan.releases) == 1


def test_content_that_a_release_on_record_has_is_that_release() -> None:
    known = facts(function("a", live=2), last_release=4)
    (wanted,) = stage_contents(known, usable_aliases(None, known.functions)[0]).values()
    assert wanted.functions is not None

    plan = planned(replace(known, equal={content_digest(wanted.functions): ReleaseNumber(3)}))

    assert (stages_of(plan), plan.releases, plan.last_release) == ({"live": 3}, (), 4)


# Versions.


def ledger(plan: AdoptPlan) -> list[tuple[int, bool, bool]]:
    return [(each.version.value, each.new, each.realises) for each in plan.versions]


def test_a_version_that_is_not_on_record_goes_there_and_carries_its_content() -> None:
    assert ledger(planned(facts(function("a", live=2)))) == [(2, True, True)]


@pytest.mark.parametrize("known", [{"ours": [2]}, {"strangers": [2]}], ids=["ours", "a stranger's"])
def test_a_version_that_is_on_record_stays_as_it_is(known: dict[str, Sequence[int]]) -> None:
    there = function("a", live=2, **known)  # type: ignore[arg-type]  # a case names parameters
    realised = {(arn("a"), content(there, VersionNumber(2), {})): VersionNumber(2)}

    assert ledger(planned(facts(there, realised=realised))) == []


def test_of_two_versions_with_one_content_the_first_carries_it() -> None:
    assert ledger(planned(facts(function("a", dev=1, live=3), same={3: 1}))) == [(1, True, True), (3, True, False)]


@pytest.mark.parametrize(("realised_by", "realises"), [(4, False), (12, True)], ids=["is there", "was deleted"])
def test_a_content_is_found_where_it_was_found_while_that_version_is_there(realised_by: int, realises: bool) -> None:
    there = function("a", live=2)
    realised = {(arn("a"), content(there, VersionNumber(2), {})): VersionNumber(realised_by)}

    assert ledger(planned(facts(there, realised=realised))) == [(2, True, realises)]


# Stages on record.


def test_a_stage_that_serves_what_is_recorded_is_nothing_to_do() -> None:
    assert unchanged(facts(function("a", ours=[1], live=1), stages=[stage(a=1)])).release is None


def test_of_one_stage_unchanged_tells_its_release() -> None:
    wish = replace(WISH, only=(LIVE,), stage=LIVE)

    assert unchanged(facts(function("a", live=1), stages=[stage(release=4, a=1)], one="live"), wish).release == 4


DRIFTED: list[tuple[str, list[FoundFunction], str]] = [
    ("another version", [function("a", live=2), function("b", live=1)], "(function a)"),
    ("no alias on one", [function("a"), function("b", live=1)], "(function a)"),
    ("no alias at all", [function("a"), function("b")], "(function a, b)"),
    ("a function is gone", [function("b", live=1)], "(function a)"),
]


@pytest.mark.parametrize(("functions", "where"), [row[1:] for row in DRIFTED], ids=[row[0] for row in DRIFTED])
def test_a_stage_of_ours_that_has_drifted_is_left_alone_with_a_warning(functions: list[FoundFunction], where: str) -> None:
    told = unchanged(facts(*functions, stages=[stage(a=1, b=1)])).warnings

    assert any(each.startswith(f"stage live is left as it is: it has drifted {where}") for each in told)
    assert any("verify" in each and "on_drift: overwrite" in each for each in told)


@pytest.mark.parametrize(
    ("on_record", "why"),
    [({"mixed": True}, "it is mixed"), ({"tearing_down": True}, "its teardown has not ended")],
    ids=["mixed", "half torn down"],
)
def test_a_stage_that_is_out_of_order_is_left_alone_with_a_warning(on_record: dict[str, bool], why: str) -> None:
    of = replace(stage(a=1), **on_record)  # type: ignore[arg-type]  # a case names members of the stage

    told = unchanged(facts(function("a", live=1), stages=[of])).warnings

    assert any(f"stage live is left as it is: {why}" in each for each in told)


def test_of_a_stage_whose_alias_was_skipped_nothing_else_is_said() -> None:
    told = unchanged(facts(function("a", ours=range(1, 10), live=-2), stages=[stage(a=1)])).warnings

    assert [each.split(":")[0] for each in told] == ["alias live is skipped"]


def test_one_more_alias_of_its_name_is_taken_over_and_the_release_that_was_left_pushed() -> None:
    (made,) = planned(facts(function("a", live=1), function("b", live=5), stages=[stage("live", 4, 2, a=1)])).stages

    assert {arn: each.version.value for arn, each in made.aliases.items()} == {arn("a"): 1, arn("b"): 5}
    assert (made.revision, made.release, made.previous_release, made.way_back) == (3, 5, 4, (4, 2))


def test_a_kept_alias_stays_kept_and_out_of_the_release() -> None:
    of = stage("live", 4, a=1)
    kept = replace(of, aliases={**of.aliases, arn("k"): ServedAlias(LogicalName("k"), VersionNumber(7), "x", kept=True)})

    plan = planned(facts(function("a", live=1), function("b", live=5), function("k", live=7), stages=[kept]))

    assert [sorted(each.functions) for each in plan.releases] == [["a", "b"]]
    assert {arn for arn, each in plan.stages[0].aliases.items() if each.kept} == {arn("k")}


# Observed stages.


def test_an_alias_that_a_stack_owns_on_one_function_makes_an_observed_stage() -> None:
    there = facts(function("a", live=1), function("b", live=1))
    owned = replace(there, owners={**there.owners, (arn("b"), LIVE): "shop"})

    plan = planned(owned)

    assert plan.stages[0].observed == "shop"
    assert {line.reason for line in changes(plan)} == {"stage live is adopted as r1, observed: stack shop owns it"}


def test_of_several_stacks_one_is_named_always_the_same() -> None:
    there = facts(function("a", live=1), function("b", live=1))

    plan = planned(replace(there, owners={(arn("a"), LIVE): "zoo", (arn("b"), LIVE): "ant"}))

    assert plan.stages[0].observed == "ant"


def test_an_observed_stage_follows_its_alias() -> None:
    (made,) = planned(
        facts(function("a", live=2), stages=[stage("live", 4, 2, observed="shop", a=1)], owners={"live": "shop"})
    ).stages

    assert (made.release, made.previous_release, made.way_back, made.observed) == (5, 4, (4, 2), "shop")


def test_one_that_its_stack_has_moved_and_let_go_of_is_followed_once_more() -> None:
    (made,) = planned(facts(function("a", live=2), stages=[stage("live", 4, observed="shop", a=1)])).stages

    assert (made.release, made.way_back, made.observed) == (5, (4,), None)


@pytest.mark.parametrize(("was", "owner"), [("shop", None), (None, "shop"), ("shop", "lab")])
def test_another_owner_alone_is_a_change_but_no_movement(was: str | None, owner: str | None) -> None:
    owners = {} if owner is None else {"live": owner}

    plan = planned(facts(function("a", ours=[1], live=1), stages=[stage("live", 4, 2, observed=was, a=1)], owners=owners))

    (made,) = plan.stages
    assert (made.observed, made.moves, made.release, made.way_back) == (owner, False, 4, (2,))
    assert plan.releases == ()


def test_an_observed_stage_that_is_as_it_was_is_nothing_to_do() -> None:
    unchanged(facts(function("a", live=1), stages=[stage(observed="shop", a=1)], owners={"live": "shop"}))


def test_an_observed_stage_without_any_alias_becomes_an_ordinary_one_as_it_is_on_record() -> None:
    plan = planned(facts(function("a"), stages=[stage("live", 4, 2, observed="shop", a=1)]))

    (made,) = plan.stages
    assert (made.observed, made.moves, made.release, made.way_back) == (None, False, 4, (2,))
    assert any("no function has alias live any more, which stack shop had" in each for each in plan.warnings)


def test_a_mixed_stage_that_a_stack_owns_is_put_right_by_a_movement() -> None:
    mixed = replace(stage("live", 4, 2, a=1), mixed=True)

    (made,) = planned(facts(function("a", live=2), stages=[mixed], owners={"live": "shop"})).stages

    assert (made.moves, made.mixed, dict(made.displaced)) == (True, False, {arn("a"): VersionNumber(1)})


def test_a_mixed_stage_that_a_stack_owns_as_it_is_is_not_mixed_any_more() -> None:
    mixed = replace(stage("live", 4, 2, a=1), mixed=True)

    (made,) = planned(facts(function("a", live=1), stages=[mixed], owners={"live": "shop"})).stages

    # Its release was the one from before the failure, and is what it serves now.
    assert (made.moves, made.mixed, made.observed, made.release, made.way_back) == (True, False, "shop", 5, (4, 2))


# Joining.


def test_functions_that_nobody_has_join_and_others_stay_as_they_are() -> None:
    there = facts(function("a", live=1), function("b", live=1), claims={arn("a"): Claim(SERVICE, LogicalName("a"))})

    assert {arn: join.after.function for arn, join in planned(there).joins.items()} == {arn("b"): "b"}


def test_a_service_that_is_not_on_record_needs_functions() -> None:
    nobody = StageFacts(None, None, None)

    refusal = admit_adopt(SERVICE, nobody, names_functions=False)
    assert refusal is not None
    assert refusal.code is Code.SERVICE_NOT_FOUND
    assert admit_adopt(SERVICE, nobody, names_functions=True) is None


# Refusals.

THEIRS = Claim(ServiceName("billing"), LogicalName("a"))
A = function("a", live=1)
REFUSED: list[tuple[str, AdoptFacts, AdoptWish, Code]] = [
    ("a stage that is nowhere", facts(A), replace(WISH, only=(OTHER,)), Code.STAGE_NOT_FOUND),
    (
        "another release than is served",
        facts(A, stages=[stage(a=1)], one="live"),
        replace(WISH, only=(LIVE,), stage=LIVE, if_release=ReleaseNumber(9)),
        Code.STAGE_MOVED,
    ),
    (
        "a function that is not there",
        facts(A, unsettled=(Unsettled(LogicalName("x"), "orders-x", Absent()),)),
        WISH,
        Code.FUNCTION_NOT_FOUND,
    ),
    ("another service's", facts(A, claims={arn("a"): THEIRS}), WISH, Code.FUNCTION_OWNED_ELSEWHERE),
    ("called without an alias", facts(A, claims={}, callers={arn("a"): ("permission x (*)",)}), WISH, Code.UNQUALIFIED_CALLERS),
    ("callers unread", facts(A, claims={}, callers={arn("a"): Unreadable("the policy", "no")}), WISH, Code.UNREADABLE),
    ("content unread", facts(A, contents={(arn("a"), VersionNumber(1)): Unreadable("v", "no")}), WISH, Code.UNREADABLE),
    ("owner unread", replace(facts(A), owners={(arn("a"), LIVE): Unreadable("the stack", "no")}), WISH, Code.UNREADABLE),
    (
        "aliases unread",
        facts(A, unsettled=(Unsettled(LogicalName("b"), "orders-b", Unreadable("aliases", "no")),)),
        WISH,
        Code.UNREADABLE,
    ),
    (
        "one function by two names",
        facts(A, named={LogicalName("a"): arn("a"), LogicalName("b"): arn("a")}, claims={}),
        WISH,
        Code.INVALID_REQUEST,
    ),
    ("another name for it", facts(A, named={LogicalName("z"): arn("a")}), WISH, Code.INVALID_REQUEST),
    ("a name that is another's", facts(A, named={LogicalName("a"): arn("z")}), WISH, Code.INVALID_REQUEST),
]


@pytest.mark.parametrize(("facts", "wish", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_adopted_is_refused(facts: AdoptFacts, wish: AdoptWish, code: Code) -> None:
    refusal = refused(facts, wish)

    assert refusal.code is code
    assert refusal.blockers


def test_whether_a_stage_is_nowhere_is_not_known_while_a_function_is_not() -> None:
    unread = Unsettled(LogicalName("b"), "orders-b", Unreadable("aliases", "no"))

    assert refused(facts(A, unsettled=(unread,)), replace(WISH, only=(OTHER,))).code is Code.UNREADABLE


def test_callers_may_be_accepted() -> None:
    planned(facts(A, claims={}, callers={arn("a"): ("permission x (*)",)}), replace(WISH, accept_unqualified_callers=True))


def test_a_fact_that_only_a_skipped_alias_needs_is_not_missed() -> None:
    assert stages_of(planned(facts(function("a", live=1, canary=-2)))) == {"live": 1}


@pytest.mark.parametrize(("count", "too_many"), [(MAX_STAGES, False), (MAX_STAGES + 1, True)])
def test_no_more_stages_are_adopted_at_once_than_a_transaction_takes(count: int, too_many: bool) -> None:
    there = facts(function("a", also={f"s{number}": 1 for number in range(count)}))

    decision = plan_adopt(WISH, there)

    assert isinstance(decision, Refusal) is too_many
    if isinstance(decision, Refusal):
        assert decision.code is Code.INVALID_REQUEST
        assert "with stages" in decision.message


def test_those_that_are_adopted_already_do_not_count() -> None:
    names = [f"s{number}" for number in range(MAX_STAGES + 1)]

    there = facts(function("a", also=dict.fromkeys(names, 1)), stages=[stage(name, a=1) for name in names[1:]])

    assert len(planned(there).stages) == 1


def test_no_more_aliases_are_adopted_at_once_than_a_transaction_takes() -> None:
    names = {f"s{number}": 1 for number in range(40)}
    count = MAX_ALIASES // len(names)

    fits, too_many = (facts(*(function(f"f{n}", 1, names) for n in range(size))) for size in (count, count + 1))

    assert len(planned(fits).stages) == 40
    assert refused(too_many).code is Code.INVALID_REQUEST


@pytest.mark.parametrize(("count", "too_many"), [(500, False), (501, True)])
def test_a_stage_has_at_most_500_functions(count: int, too_many: bool) -> None:
    decision = plan_adopt(WISH, facts(*(function(f"f{number}", 1, live=1) for number in range(count))))

    assert isinstance(decision, Refusal) is too_many


# What is told.


def test_what_is_not_known_of_new_stages_is_told() -> None:
    told = planned(facts(function("a", ours=range(1, 10), live=1, dev=2))).warnings

    assert told == (
        "what dev, live served before is not on record: the history of such a stage begins here, and its way back is empty",
    )


def test_versions_that_no_sweep_will_touch_are_counted_by_function() -> None:
    there = facts(
        function("a", 3, ours=[1], live=1),
        function("b", 2, ours=[1], strangers=[2], live=1),
        function("c", 1, ours=[1], live=1),
        stages=[stage(a=1, b=1, c=1)],
    )

    (told,) = unchanged(there).warnings

    assert told.startswith("3 versions are not on record as published by Stagekeeper (a 2, b 1): no sweep")


def test_functions_that_exist_no_more_are_named() -> None:
    told = planned(facts(A, gone={arn("x"): LogicalName("x")})).warnings

    assert f"function x ({arn('x')}) exists no more" in told
