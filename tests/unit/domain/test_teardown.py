"""What a teardown does and what refuses it: a stage's aliases and what only it reached go, or nothing does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.model import FunctionArn, LogicalName, OperationId, ReleaseNumber, ServiceName, Settings, Stage, StageName
from stagekeeper.domain.orphans import FunctionFacts
from stagekeeper.domain.plan import Change
from stagekeeper.domain.reach import ServiceFacts
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.teardown import (
    TeardownFacts,
    TeardownPlan,
    TeardownWish,
    TornAlias,
    admit_teardown,
    changes,
    plan_teardown,
)
from tests.unit.domain.builders import DEV, SERVICE, arn, refused, release, stage, stage_facts, version
from tests.unit.domain.orphan_cases import DAY, PROD, found, movement, named, removed

# Dev went from r1 to r2 and to r3; prod serves r1. Versions are numbered as releases.
ON_R3 = stage(3, 2, 1, api=3, worker=3)
PROD_ON_R1 = named("prod", stage(1, api=1, worker=1))
STAGES = (ON_R3, PROD_ON_R1)
API, WORKER = arn("api"), arn("worker")
BROKEN = Unreadable("the policy of it", "AccessDeniedException: not allowed")

Users = Mapping[tuple[str, FunctionArn], tuple[str, ...] | Unreadable]


def wish(to: StageName | None = DEV, confirm: str | None = None, if_release: int | None = None) -> TeardownWish:
    return TeardownWish(SERVICE, to, confirm, None if if_release is None else ReleaseNumber(if_release))


WHOLE = wish(None, "orders")


def function(name: str) -> FunctionFacts:
    """Versions 1 to 3 with codes A to C, which are those of r1 to r3."""
    aliases = {version(3): ["dev"], version(1): ["prod"]}
    return FunctionFacts(
        LogicalName(name), arn(name), [found(n, code) for n, code in zip((1, 2, 3), "ABC", strict=True)], aliases, {}
    )


def facts(
    users: Users | None = None, functions: Sequence[FunctionFacts | Unreadable] | None = None, stages: Sequence[Stage] = STAGES
) -> TeardownFacts:
    releases = [release(n, api=code, worker=code) for n, code in zip((1, 2, 3), "ABC", strict=True)]
    ledger = [movement(1, None, 1, 9 * DAY), movement(2, 1, 2, 8 * DAY), movement(3, 2, 3, DAY)]
    ledger.append(movement(1, None, 1, 7 * DAY, of="prod"))
    return TeardownFacts(
        service=ServiceFacts(stages, releases, ledger, {}),
        members=[API, WORKER, arn("old")],
        users={(StageName(name), where): who for (name, where), who in (users or {}).items()},
        functions=[function("api"), function("worker")] if functions is None else functions,
    )


def decide(asked: TeardownWish, given: TeardownFacts, *going: Stage) -> TeardownPlan | Refusal:
    return plan_teardown(asked, given, going or (ON_R3,))


def planned(decision: TeardownPlan | Refusal) -> TeardownPlan:
    assert isinstance(decision, TeardownPlan), decision
    return decision


def guarded(of: Stage) -> Stage:
    return replace(of, settings=Settings(protected=True))


# What refuses it before AWS is looked at.


def admitted(asked: TeardownWish, at: Stage | None, *others: Stage, last_release: int | None = 9) -> Refusal | None:
    stages = [each for each in (at, *others) if each is not None]
    return admit_teardown(asked, stage_facts(at, last_release=last_release), stages)


def test_a_stage_that_nobody_protects_goes_without_a_word() -> None:
    assert admitted(wish(), ON_R3) is None


def test_repeating_its_name_does_no_harm() -> None:
    assert admitted(wish(confirm="dev"), ON_R3) is None


@pytest.mark.parametrize("confirm", [None, "prod", "orders", "", "DEV"])
def test_a_protected_stage_goes_only_with_its_name(confirm: str | None) -> None:
    refusal = refused(admitted(wish(confirm=confirm), guarded(ON_R3)))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_PROTECTED, ("dev",))
    for part in ("Stage dev of service orders is protected", "confirm: dev", "configure", "A dry run with it takes nothing"):
        assert part in refusal.message
    assert admitted(wish(confirm="dev"), guarded(ON_R3)) is None


@pytest.mark.parametrize("confirm", ["prod", "orders", "", "DEV"])
def test_a_confirm_that_names_something_else_refuses(confirm: str) -> None:
    """Whoever wrote it meant another stage."""
    refusal = refused(admitted(wish(confirm=confirm), ON_R3))
    assert (refusal.code, refusal.blockers) == (Code.INVALID_REQUEST, ("dev",))
    assert "stage dev" in refusal.message


@pytest.mark.parametrize(
    ("asked", "at", "last_release", "code", "part"),
    [
        (wish(confirm="x", if_release=4), None, None, Code.SERVICE_NOT_FOUND, "There is no service orders"),
        (wish(None), None, None, Code.SERVICE_NOT_FOUND, "There is no service orders"),
        (wish(confirm="x", if_release=4), None, 9, Code.STAGE_NOT_FOUND, "Service orders has no stage dev"),
        (wish(confirm="x", if_release=4), guarded(ON_R3), 9, Code.STAGE_MOVED, "Stage dev of service orders serves r3, not r4"),
        (wish(confirm="x", if_release=3), guarded(ON_R3), 9, Code.STAGE_PROTECTED, "Stage dev of service orders"),
        (wish(confirm="x", if_release=3), ON_R3, 9, Code.INVALID_REQUEST, "stage dev"),
    ],
)
def test_the_codes_come_in_the_contracts_order(
    asked: TeardownWish, at: Stage | None, last_release: int | None, code: Code, part: str
) -> None:
    refusal = refused(admitted(asked, at, last_release=last_release))
    assert refusal.code is code
    assert part in refusal.message


def test_a_stage_that_is_not_there_is_named() -> None:
    refusal = refused(admitted(wish(), None, PROD_ON_R1))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_NOT_FOUND, ("dev",))


@pytest.mark.parametrize("confirm", [None, "dev", "order", "Orders", ""])
def test_a_whole_service_goes_only_with_its_name(confirm: str | None) -> None:
    refusal = refused(admitted(wish(None, confirm), guarded(ON_R3), PROD_ON_R1))
    assert (refusal.code, refusal.blockers) == (Code.CONFIRMATION_REQUIRED, ("dev", "prod"))
    assert refusal.message == (
        "This would tear down the whole service orders with 2 stages: dev (protected), prod. "
        "If that is meant, repeat with confirm: orders. A dry run with it takes nothing and shows what would go."
    )


@pytest.mark.parametrize(
    ("stages", "words"),
    [((), "the whole service orders. If"), ((PROD_ON_R1,), "the whole service orders with 1 stage: prod. If")],
)
def test_what_would_go_is_counted(stages: tuple[Stage, ...], words: str) -> None:
    assert words in refused(admitted(wish(None), None, *stages)).message


def test_the_services_name_confirms_its_protected_stages_too() -> None:
    assert admitted(WHOLE, guarded(ON_R3), guarded(PROD_ON_R1)) is None


def test_a_service_whose_name_is_also_a_stages_is_confirmed_as_a_service() -> None:
    """And the stage of that name as a stage: each is asked for by its own request."""
    namesake = replace(guarded(ON_R3), name=StageName("orders"))
    at = replace(stage_facts(namesake), name=namesake.name)
    assert admit_teardown(TeardownWish(ServiceName("orders"), StageName("orders"), "orders", None), at, [namesake]) is None
    assert admit_teardown(WHOLE, at, [namesake]) is None


# Aliases that others use.


def test_an_alias_that_others_use_refuses_and_says_who() -> None:
    users: Users = {
        ("dev", API): ("permission s3 (s3.amazonaws.com)", "a function URL"),
        ("dev", WORKER): ("event source mapping 7 (jobs)",),
    }
    refusal = refused(decide(wish(), facts(users)))
    assert (refusal.code, refusal.blockers) == (
        Code.STAGE_IN_USE,
        (
            f"{API}:dev: permission s3 (s3.amazonaws.com), a function URL",
            f"{WORKER}:dev: event source mapping 7 (jobs)",
        ),
    )
    assert f"The alias dev of {API} is used by permission s3 (s3.amazonaws.com), a function URL." in refusal.message
    assert "confirm: dev" in refusal.message


def test_confirmed_it_is_taken_away_and_everyone_who_used_it_is_named() -> None:
    users: Users = {("dev", API): ("permission s3 (s3.amazonaws.com)", "a function URL"), ("dev", WORKER): ("a function URL",)}
    plan = planned(decide(wish(confirm="dev"), facts(users)))
    assert plan.warnings == (
        f"{API}:dev is gone for permission s3 (s3.amazonaws.com)",
        f"{API}:dev is gone for a function URL",
        f"{WORKER}:dev is gone for a function URL",
    )


def test_an_alias_that_nobody_uses_needs_no_confirm() -> None:
    assert planned(decide(wish(), facts({("dev", API): (), ("dev", WORKER): ()}))).warnings == ()


def test_a_confirmed_service_takes_used_aliases_along_with_a_warning() -> None:
    plan = planned(decide(WHOLE, facts({("prod", API): ("a function URL",)}), *STAGES))
    assert plan.warnings == (f"{API}:prod is gone for a function URL",)


# What cannot be read.


@pytest.mark.parametrize("confirm", [None, "dev"])
@pytest.mark.parametrize(
    "given",
    [facts({("dev", API): BROKEN}), facts(functions=[function("api"), BROKEN])],
    ids=["who uses an alias", "what a function has"],
)
def test_what_cannot_be_read_refuses_and_is_no_nobody(given: TeardownFacts, confirm: str | None) -> None:
    refusal = refused(decide(wish(confirm=confirm), given))
    assert (refusal.code, refusal.blockers) == (Code.UNREADABLE, ("the policy of it",))
    assert "Nothing was changed" in refusal.message


def test_who_uses_it_is_told_before_what_cannot_be_read() -> None:
    given = facts({("dev", API): ("a function URL",), ("dev", WORKER): BROKEN})
    assert refused(decide(wish(), given)).code is Code.STAGE_IN_USE


# What goes.


def test_a_stage_goes_with_its_aliases_and_the_versions_that_only_it_reached() -> None:
    plan = planned(decide(wish(), facts()))
    assert (plan.service, plan.stage, plan.stages, plan.previous_release) == (SERVICE, DEV, (DEV,), 3)
    assert plan.aliases == (
        TornAlias(DEV, LogicalName("api"), API, version(3)),
        TornAlias(DEV, LogicalName("worker"), WORKER, version(3)),
    )
    assert [(v.arn, v.version.value, v.remove) for v in plan.verdicts] == [
        (API, 1, False),
        (API, 2, True),
        (API, 3, True),
        (WORKER, 1, False),
        (WORKER, 2, True),
        (WORKER, 3, True),
    ]
    assert plan.verdicts[1].reason == "only stage dev reached it"


def test_only_a_whole_service_forgets_its_functions() -> None:
    assert planned(decide(wish(), facts())).members == ()
    assert planned(decide(WHOLE, facts(), *STAGES)).members == (API, WORKER, arn("old"))


def test_a_service_goes_with_all_its_stages_and_every_version_of_ours() -> None:
    plan = planned(decide(WHOLE, facts(), *STAGES))
    assert (plan.stage, plan.stages, plan.previous_release) == (None, (DEV, PROD), None)
    assert [(torn.stage, torn.arn, torn.version.value) for torn in plan.aliases] == [
        ("dev", API, 3),
        ("dev", WORKER, 3),
        ("prod", API, 1),
        ("prod", WORKER, 1),
    ]
    assert removed(plan.verdicts) == [1, 2, 3, 1, 2, 3]
    assert {verdict.reason for verdict in plan.verdicts} == {"the whole service is torn down"}


def test_a_strangers_version_and_a_version_that_a_strangers_alias_holds_stay() -> None:
    mine = function("api")
    held = replace(
        mine,
        versions=[*mine.versions, found(4, "D", ours=False)],
        aliases={**mine.aliases, version(2): ["theirs"]},
    )
    plan = planned(decide(WHOLE, facts(functions=[held]), *STAGES))
    assert {v.version.value: v.reason for v in plan.verdicts if not v.remove} == {
        2: "alias theirs points at it",
        4: "not published by Stagekeeper",
    }


def test_what_an_operation_under_way_mentions_stays() -> None:
    given = facts()
    busy = replace(given, service=replace(given.service, in_flight={(API, version(2)): OperationId("other")}))
    assert [v.version.value for v in planned(decide(wish(), busy)).verdicts if v.arn == API and v.remove] == [3]
    assert [v.version.value for v in planned(decide(WHOLE, busy, *STAGES)).verdicts if v.arn == API and v.remove] == [1, 3]


def test_a_service_without_stages_goes_as_well() -> None:
    unserved = [replace(function(name), aliases={}) for name in ("api", "worker")]
    plan = plan_teardown(WHOLE, facts(functions=unserved, stages=()), ())
    assert (planned(plan).stages, planned(plan).aliases, removed(planned(plan).verdicts)) == ((), (), [1, 2, 3, 1, 2, 3])


def test_a_stage_whose_functions_are_all_gone_still_goes() -> None:
    plan = planned(decide(wish(), facts(functions=[])))
    assert (len(plan.aliases), plan.verdicts) == (2, ())


def test_a_stage_that_is_half_torn_down_is_torn_down_again() -> None:
    half = replace(ON_R3, aliases={WORKER: ON_R3.aliases[WORKER]}, mixed=True, tearing_down=True)
    plan = planned(decide(wish(), facts(stages=(half, PROD_ON_R1)), half))
    assert [torn.arn for torn in plan.aliases] == [WORKER]
    assert removed(plan.verdicts) == [2, 3, 2, 3]


def test_a_version_whose_content_is_not_on_record_stays() -> None:
    """Nobody can say what else needs it."""
    lone = replace(function("api"), versions=[found(3, None), found(2, "B")])
    plan = planned(decide(wish(), facts(functions=[lone])))
    assert [(verdict.version.value, verdict.remove, verdict.reason) for verdict in plan.verdicts] == [
        (2, True, "only stage dev reached it"),
        (3, False, "what it contains is not on record"),
    ]


# How it is told.


@pytest.mark.parametrize(
    ("asked", "going", "reason"),
    [(wish(), (ON_R3,), "the stage is torn down"), (WHOLE, (ON_R3,), "the service is torn down, with stage dev")],
)
def test_every_alias_that_goes_is_a_change(asked: TeardownWish, going: tuple[Stage, ...], reason: str) -> None:
    assert changes(planned(decide(asked, facts(), *going))) == [
        Change(LogicalName("api"), "delete_alias", "3", None, reason),
        Change(LogicalName("worker"), "delete_alias", "3", None, reason),
    ]
