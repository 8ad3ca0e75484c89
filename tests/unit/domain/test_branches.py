"""Branches to stages, persons' names, collisions, and what follows a deleted branch: pure rules, as tables."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stagekeeper.domain.branches import (
    DEFAULT_RULES,
    LOCAL,
    PERSONAL,
    Mapped,
    NoStage,
    Rules,
    StageSeen,
    branch_of_ref,
    collision,
    is_shared,
    legal_name,
    rule_for,
    rules_with,
    shared_stages,
    stage_of_branch,
    stages_of_deleted_branch,
)
from stagekeeper.domain.model import STAGE_NAME, StageName

SHARED = shared_stages(DEFAULT_RULES, ())


def stage_of(
    branch: str | None, user: str | None = "jane", rules: Rules = DEFAULT_RULES, *, pull_request: bool = False
) -> Mapped | NoStage:
    return stage_of_branch(branch, user, rules, shared_stages(rules, ()), pull_request=pull_request)


def sentence_of(found: Mapped | NoStage) -> str:
    assert isinstance(found, NoStage)
    return found.sentence


# The defaults.


@pytest.mark.parametrize(
    ("branch", "stage", "personal", "rule"),
    [
        ("feature/login", "jane", True, "feature/*"),
        ("feature/jane/login", "jane", True, "feature/*"),
        ("feature/main", "jane", True, "feature/*"),
        ("develop", "dev", False, "develop"),
        ("release/2.1", "qa", False, "release/*"),
        ("release/2026", "qa", False, "release/*"),
        ("main", "prod", False, "main"),
        ("master", "prod", False, "master"),
    ],
)
def test_the_default_rules(branch: str, stage: str, personal: bool, rule: str) -> None:
    assert stage_of(branch) == Mapped(StageName(stage), personal, rule)


@pytest.mark.parametrize(
    "branch", ["hotfix/urgent", "bugfix/x", "features/x", "feature", "Main", "MAIN", "main2", "develop/x", "origin/main", "2026"]
)
def test_a_branch_that_no_rule_matches_has_no_stage(branch: str) -> None:
    assert branch in sentence_of(stage_of(branch))


def test_what_no_rule_matches_is_told_how_to_write_one() -> None:
    sentence = sentence_of(stage_of("hotfix/urgent"))

    assert "hotfix/urgent" in sentence
    assert "--stage" in sentence
    assert "under branches in stagekeeper.yaml, for instance hotfix/*: qa" in sentence


def test_hotfixes_go_where_the_project_says() -> None:
    assert stage_of("hotfix/urgent", rules=rules_with({"hotfix/*": "qa"})) == Mapped(StageName("qa"), False, "hotfix/*")


@pytest.mark.parametrize("branch", [None, ""])
def test_no_branch_no_stage(branch: str | None) -> None:
    sentence = sentence_of(stage_of(branch))

    assert "detached HEAD" in sentence
    assert "--stage" in sentence


# The project's own rules.


def test_an_own_rule_takes_the_place_of_a_default_with_its_pattern() -> None:
    rules = rules_with({"main": "live"})

    assert stage_of("main", rules=rules) == Mapped(StageName("live"), False, "main")
    assert [rule.pattern for rule in rules] == ["main", "feature/*", "develop", "release/*", "master"]


@pytest.mark.parametrize(
    ("own", "branch", "pattern"),
    [
        pytest.param({"*": "dev"}, "main", "main", id="a default that spells the branch out, before an own one that does not"),
        pytest.param({"*": "dev"}, "feature/x", "*", id="an own one before a longer default"),
        pytest.param({"feature/*": "a", "feature/pay*": "b"}, "feature/payment", "feature/pay*", id="the longer of two own"),
        pytest.param({"feature/pay*": "b", "feature/*": "a"}, "feature/payment", "feature/pay*", id="whatever their order"),
        pytest.param({"feature/x": "a", "feature/*": "b"}, "feature/x", "feature/x", id="spelt out, before a pattern"),
        pytest.param({"fix/?": "a", "fix/*": "b"}, "fix/1", "fix/?", id="the first of two of one length"),
        pytest.param({"fix/*": "b", "fix/?": "a"}, "fix/1", "fix/*", id="the first of two of one length, turned round"),
        pytest.param({"release/[0-9]*": "a"}, "release/2", "release/[0-9]*", id="a class of signs"),
        pytest.param({"release/[0-9]*": "a"}, "release/x", "release/*", id="a class of signs that does not match"),
    ],
)
def test_which_of_several_rules_holds(own: dict[str, str], branch: str, pattern: str) -> None:
    rule = rule_for(branch, rules_with(own))

    assert rule is not None
    assert rule.pattern == pattern


def test_an_own_rule_may_give_the_persons_own_stage() -> None:
    assert stage_of("spike/x", rules=rules_with({"spike/*": PERSONAL})) == Mapped(StageName("jane"), True, "spike/*")


@pytest.mark.parametrize("target", ["2026", "qa stage", "", "<User>", "x" * 64])
def test_a_rule_whose_target_is_no_stage_name_gives_none(target: str) -> None:
    sentence = sentence_of(stage_of("hotfix/x", rules=rules_with({"hotfix/*": target})))

    assert "hotfix/x" in sentence
    assert "hotfix/*" in sentence
    assert "stagekeeper.yaml" in sentence


# Whose personal stage it is.


@pytest.mark.parametrize(
    ("user", "told"),
    [
        pytest.param("prod", "shared stage", id="what a rule gives"),
        pytest.param("Dev", "shared stage", id="what a rule gives, in capitals"),
        pytest.param("qa@example.com", "shared stage", id="what a rule gives, as an e-mail address"),
        pytest.param("local", "shared stage", id="the embedded AWS"),
        pytest.param("12345", "nothing but digits", id="all digits"),
        pytest.param("李雷", "nothing is left", id="nothing has an ASCII form"),
        pytest.param("---", "nothing is left", id="nothing but hyphens"),
        pytest.param("", "nobody's name is known", id="empty"),
        pytest.param(" ", "nobody's name is known", id="blank"),
        pytest.param(None, "nobody's name is known", id="not known"),
    ],
)
def test_a_person_whose_name_cannot_be_a_stage(user: str | None, told: str) -> None:
    sentence = sentence_of(stage_of("feature/x", user))

    assert told in sentence
    assert "feature/x" in sentence
    assert "--user or STAGEKEEPER_USER" in sentence


@pytest.mark.parametrize("named", ["jane", "Jane"])
def test_a_stage_that_the_project_names_is_nobodys_own(named: str) -> None:
    found = stage_of_branch("feature/x", "jane", DEFAULT_RULES, shared_stages(DEFAULT_RULES, [named]))

    assert "jane" in sentence_of(found)


def test_a_stage_whose_stack_would_be_a_shared_stages_is_nobodys_own() -> None:
    found = stage_of_branch("feature/x", "load.test", DEFAULT_RULES, shared_stages(DEFAULT_RULES, ["Load_Test"]))

    assert "load-test" in sentence_of(found)


def test_the_shared_stages() -> None:
    rules = rules_with({"hotfix/*": "fix", "spike/*": PERSONAL})

    assert shared_stages(rules, ["load", PERSONAL]) == {"dev", "qa", "prod", "fix", "load", "local"}


# Pull requests.


@pytest.mark.parametrize("branch", ["main", "develop", "release/1"])
def test_a_pull_request_goes_to_no_shared_stage_whatever_its_branch_is_called(branch: str) -> None:
    sentence = sentence_of(stage_of(branch, pull_request=True))

    assert branch in sentence
    assert "pull request" in sentence
    assert "--stage" in sentence


def test_a_pull_request_goes_to_a_personal_stage() -> None:
    assert stage_of("feature/x", pull_request=True) == Mapped(StageName("jane"), True, "feature/*")


# Refs.


@pytest.mark.parametrize(
    ("ref", "branch"),
    [
        ("main", "main"),
        ("feature/x", "feature/x"),
        ("refs/heads/feature/x", "feature/x"),
        ("refs/tags/v1", None),
        ("refs/pull/7/merge", None),
        ("refs/heads/", None),
        ("HEAD", None),
        ("", None),
        (None, None),
    ],
)
def test_the_branch_of_a_ref(ref: str | None, branch: str | None) -> None:
    assert branch_of_ref(ref) == branch


# Names.


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("jane", "jane"),
        ("Jane.Doe", "jane-doe"),
        ("jane.doe@example.com", "jane-doe"),
        ("@jane", "jane"),
        ("CORP\\Jane", "jane"),
        ("CORP\\jane@example.com", "jane"),
        ("corp.example\\j_doe", "j-doe"),
        ("jürgen", "jurgen"),
        ("ju\u0308rgen", "jurgen"),
        ("José Ñandú", "jose-nandu"),
        ("weiß", "weiss"),
        ("ﬁona", "fiona"),
        ("\uff4a\uff41\uff4e\uff45", "jane"),
        ("\u210cans", "hans"),
        ("O'Brien", "o-brien"),
        ("dependabot[bot]", "dependabot-bot"),
        ("  jane  ", "jane"),
        ("--jane__doe--", "jane-doe"),
        ("jane李", "jane"),
        ("2fast", "2fast"),
        ("12-34", "12-34"),
        ("x" * 70, "x" * 63),
        ("x" * 62 + "-y", "x" * 62),
        ("1" * 63 + "a", None),
        ("007", None),
        ("٣", None),
        ("李雷", None),
        ("CORP\\", None),
        ("", None),
    ],
)
def test_a_persons_legal_name(user: str, name: str | None) -> None:
    assert legal_name(user) == name


@given(st.text(max_size=80) | st.emails() | st.from_regex(r"[0-9A-Za-z.@\\_ -]{0,80}", fullmatch=True))
@example("1" * 63 + "-a")
@example("x" * 62 + "--" + "y" * 10)
def test_a_legal_name_is_a_stages_name_and_stays_what_it_is(user: str) -> None:
    name = legal_name(user)

    if name is not None:
        assert re.fullmatch(STAGE_NAME, name)
        assert re.fullmatch("[a-z0-9]+(-[a-z0-9]+)*", name)
        assert legal_name(name) == name


# Collisions.


@pytest.mark.parametrize(
    ("user", "actors", "other"),
    [
        pytest.param("jane.doe", [], None, id="nobody was here"),
        pytest.param("jane.doe", ["jane.doe"], None, id="the person themself"),
        pytest.param("jane.doe", [" Jane.Doe "], None, id="themself, spelt otherwise"),
        pytest.param("jane.doe", ["bob"], None, id="a colleague who named the stage"),
        pytest.param("jane.doe", ["bob", "jane_doe"], "jane_doe", id="another name that gives the same"),
        pytest.param("jane.doe", ["CORP\\jane.doe"], "CORP\\jane.doe", id="with and without a domain"),
        pytest.param("jane.doe@a.example", ["jane.doe@b.example"], "jane.doe@b.example", id="two addresses"),
        pytest.param("jürgen.x", ["jurgen.y"], None, id="other names"),
        pytest.param("bob", ["jane_doe", "jane.doe"], None, id="not the own stage of who is at work"),
    ],
)
def test_two_persons_on_one_personal_stage_are_told(user: str, actors: list[str], other: str | None) -> None:
    told = collision(StageName("jane-doe"), user, actors)

    if other is None:
        assert told is None
    else:
        assert told is not None
        assert user in told
        assert other in told
        assert "--user" in told
        assert "STAGEKEEPER_USER" in told
        assert "--stage jane-doe" in told


@pytest.mark.parametrize(
    ("maker", "mine"), [("jane.doe", True), ("Jane-Doe", True), (None, True), ("ops", False), ("bob", False)]
)
def test_a_stage_that_somebody_else_made_is_told(maker: str | None, mine: bool) -> None:
    """A team may have made one of that name before anybody of that name came."""
    told = collision(StageName("jane-doe"), "jane.doe", [], maker)

    assert (told is None) is mine
    assert told is None or f"made by {maker}" in told


@pytest.mark.parametrize(("one", "other"), [("prod_", "prod"), ("-Prod", "prod"), ("load_test", "load-test")])
def test_names_that_would_have_the_same_stack_are_the_same_shared_stages(one: str, other: str) -> None:
    assert is_shared(one, {other})


# A branch is deleted.

MINE = StageSeen(StageName("jane"), last_branch="feature/x", last_actor="jane")


@pytest.mark.parametrize(
    ("stage", "reason"),
    [
        pytest.param(StageSeen(StageName("prod"), last_branch="feature/x", last_actor="prod"), "shared", id="shared"),
        pytest.param(StageSeen(LOCAL, last_branch="feature/x", last_actor="local"), "shared", id="local"),
        pytest.param(
            StageSeen(StageName("Dev"), last_branch="feature/x", last_actor="dev"), "shared", id="shared but for capitals"
        ),
        pytest.param(
            StageSeen(StageName("jane"), protected=True, last_branch="feature/x", last_actor="jane"), "protected", id="protected"
        ),
        pytest.param(
            StageSeen(StageName("jane"), observed=True, last_branch="feature/x", last_actor="jane"), "observed", id="observed"
        ),
        pytest.param(
            StageSeen(StageName("jane"), last_branch="feature/y", last_actor="jane"), "feature/y", id="another branch's"
        ),
        pytest.param(
            StageSeen(StageName("jane"), last_branch="feature/x", last_actor="jane", maker="ops"), "made by ops", id="a team's"
        ),
        pytest.param(StageSeen(StageName("jane"), last_actor="jane"), "no branch", id="moved from no branch"),
        pytest.param(StageSeen(StageName("jane"), last_branch="feature/x", last_actor="bob"), "bob", id="moved by somebody else"),
        pytest.param(StageSeen(StageName("jane"), last_branch="feature/x"), "anybody known", id="moved by nobody known"),
        pytest.param(
            StageSeen(StageName("load-test"), last_branch="feature/x", last_actor="jane"), "not the own stage of jane", id="named"
        ),
    ],
)
def test_what_stays_when_a_branch_is_deleted(stage: StageSeen, reason: str) -> None:
    (verdict,) = stages_of_deleted_branch("feature/x", [stage], DEFAULT_RULES, SHARED)

    assert not verdict.follows
    assert reason in verdict.reason


def test_a_personal_stage_follows_the_branch_that_moved_it_last() -> None:
    other = StageSeen(StageName("bob"), last_branch="feature/y", last_actor="bob")
    verdicts = stages_of_deleted_branch("feature/x", [other, MINE], DEFAULT_RULES, SHARED)

    assert [(each.stage, each.follows) for each in verdicts] == [("bob", False), ("jane", True)]
    assert "jane" in verdicts[1].reason
    assert "feature/x" in verdicts[1].reason


def test_the_stage_of_a_person_with_another_spelling_follows_too() -> None:
    stage = StageSeen(StageName("jane-doe"), last_branch="feature/x", last_actor="Jane.Doe@example.com")

    assert stages_of_deleted_branch("feature/x", [stage], DEFAULT_RULES, SHARED)[0].follows


@pytest.mark.parametrize(
    ("branch", "own"),
    [
        pytest.param("develop", {}, id="a shared stage's branch"),
        pytest.param("hotfix/x", {}, id="a branch of no stage"),
        pytest.param("feature/x", {"feature/*": "dev"}, id="a branch that the project gives to a shared stage"),
    ],
)
def test_nothing_follows_a_branch_that_is_no_personal_stages(branch: str, own: dict[str, str]) -> None:
    stage = StageSeen(StageName("jane"), last_branch=branch, last_actor="jane")
    rules = rules_with(own)
    (verdict,) = stages_of_deleted_branch(branch, [stage], rules, shared_stages(rules, ()))

    assert not verdict.follows
    assert branch in verdict.reason


NAMES = st.sampled_from(["jane", "bob", "prod", "dev", "Dev", "qa", "local", "load"])
BRANCHES = st.sampled_from(["feature/x", "feature/y", "develop", "main", "hotfix/1"])


@given(
    BRANCHES,
    st.lists(st.builds(StageSeen, NAMES.map(StageName), st.booleans(), st.booleans(), st.none() | BRANCHES, st.none() | NAMES)),
)
def test_no_shared_protected_or_observed_stage_ever_follows_nor_one_that_another_branch_moved(
    branch: str, stages: list[StageSeen]
) -> None:
    verdicts = stages_of_deleted_branch(branch, stages, DEFAULT_RULES, SHARED)

    assert [each.stage for each in verdicts] == [each.name for each in stages]
    assert all(each.reason for each in verdicts)
    for stage, verdict in zip(stages, verdicts, strict=True):
        if verdict.follows:
            assert stage.name in ("jane", "bob", "load")
            assert not stage.protected
            assert not stage.observed
            assert stage.last_branch == branch
            assert stage.last_actor == stage.name
