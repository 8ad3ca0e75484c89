"""What refuses a deploy: the code, who or what is named, and what its user is told to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from stagekeeper.domain.facts import (
    Absent,
    Busy,
    CodeProblem,
    OutOfReach,
    Unreadable,
    Unsettled,
    VersionSeen,
    WantedFunction,
)
from stagekeeper.domain.model import Claim, Content, LatestWrite, LogicalName, OperationId, ServiceName, Stage
from stagekeeper.domain.refusal import Code, Refusal
from tests.unit.domain.builders import (
    DEV,
    EARLIER,
    SECRET,
    alias,
    arn,
    claim,
    content,
    decide_deploy,
    deploy_facts,
    deploy_wish,
    planned,
    refused,
    release,
    seen,
    stage,
    wanted,
)

R1 = release(1, api="A", worker="A")
V1 = {("api", "A"): seen(1), ("worker", "A"): seen(1)}
ON_R1 = stage(1, api=1, worker=1)
BROKEN = Unreadable("the thing", "AccessDeniedException: not allowed")


def unsettled(name: str, problem: Absent | Unreadable | Busy | OutOfReach | CodeProblem) -> Unsettled:
    return Unsettled(LogicalName(name), f"orders-{name}", problem)


def says(refusal: Refusal, *parts: str) -> None:
    for each in parts:
        assert each in refusal.message, refusal.message


# The stage.


def test_a_partial_deploy_needs_a_stage_that_exists() -> None:
    wish = deploy_wish(partial=True)
    refusal = refused(decide_deploy(wish, deploy_facts(wanted("api"), wish=wish, releases=(R1,))))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_NOT_FOUND, ("dev",))
    says(refusal, "Service orders has no stage dev", "deploy all functions first")


def test_a_partial_deploy_needs_a_service_that_exists() -> None:
    wish = deploy_wish(partial=True, if_release=2)
    refusal = refused(decide_deploy(wish, deploy_facts(wanted("api"), wish=wish)))
    assert (refusal.code, refusal.blockers) == (Code.SERVICE_NOT_FOUND, ("orders",))
    says(refusal, "no service orders", "deploy all functions first")


def test_a_partial_deploy_without_a_stage_is_never_decided() -> None:
    wish = replace(deploy_wish(partial=True), stage=None)
    with pytest.raises(AssertionError, match="a partial deploy names its stage"):
        decide_deploy(wish, deploy_facts(wanted("api"), wish=wish))


@pytest.mark.parametrize(
    ("at", "now"),
    [
        (ON_R1, "r1"),
        (None, "nothing, since it does not exist"),
        (stage(None, mixed=True), "no release"),
        (stage(1, mixed=True), "r1"),
    ],
)
def test_if_release_refuses_unless_the_stage_serves_it(at: Stage | None, now: str) -> None:
    wish = deploy_wish(if_release=2)
    refusal = refused(decide_deploy(wish, deploy_facts(wanted("api"), wish=wish, at=at, releases=(R1,))))
    assert (refusal.code, refusal.blockers) == (Code.STAGE_MOVED, (now,))
    says(refusal, f"Stage dev of service orders serves {now}, not r2", "Look again")


@pytest.mark.parametrize("at", [ON_R1, stage(1, mixed=True, api=1, worker=1)], ids=["whole", "mixed"])
def test_if_release_lets_pass_where_the_stage_serves_it(at: Stage) -> None:
    """A mixed stage's release is the one recorded before the failure."""
    wish = deploy_wish(if_release=1)
    planned(decide_deploy(wish, deploy_facts(wanted("api", "B"), wanted("worker"), wish=wish, at=at, releases=(R1,))))


# A function of the request.


@pytest.mark.parametrize(
    ("problem", "code", "blocker", "parts"),
    [
        (
            Absent(),
            Code.FUNCTION_NOT_FOUND,
            "orders-api",
            ("Function api (orders-api) does not exist", "correct its function_name"),
        ),
        (
            BROKEN,
            Code.UNREADABLE,
            "the thing",
            ("the thing could not be read: AccessDeniedException: not allowed", "Nothing was changed"),
        ),
        (
            Busy("InProgress"),
            Code.FUNCTION_NOT_READY,
            "orders-api",
            ("api (orders-api) is being changed by somebody else (InProgress)", "Wait"),
        ),
        (
            OutOfReach("us-east-1", "eu-central-1"),
            Code.FUNCTION_NOT_FOUND,
            "orders-api",
            ("Function api (orders-api) is in Region us-east-1, and this Stagekeeper is in eu-central-1",),
        ),
        (CodeProblem(missing=True, sentence="The code s3://b/k does not exist."), Code.ARTIFACT_MISSING, "api", ("s3://b/k",)),
        (CodeProblem(missing=False, sentence="The code has another SHA-256."), Code.INVALID_REQUEST, "api", ("another SHA-256",)),
    ],
)
def test_a_function_that_cannot_be_taken_as_it_is(
    problem: Absent | Unreadable | Busy | OutOfReach | CodeProblem, code: Code, blocker: str, parts: tuple[str, ...]
) -> None:
    refusal = refused(decide_deploy(deploy_wish(), deploy_facts(unsettled("api", problem), wanted("worker"))))
    assert (refusal.code, refusal.blockers) == (code, (blocker,))
    says(refusal, *parts)


def test_everything_that_is_wrong_in_the_same_way_is_named() -> None:
    facts = deploy_facts(*(unsettled(name, Absent()) for name in ("api", "worker", "mailer")))
    refusal = refused(decide_deploy(deploy_wish(), facts))
    assert refusal.blockers == ("orders-api", "orders-worker", "orders-mailer")
    says(refusal, "The same holds for 2 more, see blockers.")


def test_a_function_belongs_to_one_service() -> None:
    theirs = Claim(ServiceName("billing"), LogicalName("api"), frozenset({"Timeout"}))
    refusal = refused(decide_deploy(deploy_wish(), deploy_facts(wanted("api"), claims={"api": theirs})))
    assert (refusal.code, refusal.blockers) == (Code.FUNCTION_OWNED_ELSEWHERE, (f"{arn('api')}: service billing",))
    says(refusal, f"Function api ({arn('api')}) belongs to service billing")


def test_one_function_cannot_be_there_twice() -> None:
    again = replace(wanted("api"), function=LogicalName("again"))
    facts = deploy_facts(wanted("api"), again, versions=V1, claims={"api": claim("api")})
    refusal = refused(decide_deploy(deploy_wish(), facts))
    assert (refusal.code, refusal.blockers) == (Code.INVALID_REQUEST, (str(arn("api")),))
    says(refusal, f"api and again are the same function {arn('api')}", "Name it once")


@pytest.mark.parametrize("given", [(), ("Timeout",)])
def test_a_member_that_was_given_once_must_be_given_again(given: tuple[str, ...]) -> None:
    facts = deploy_facts(wanted("api", given=given), claims={"api": claim("api", "Timeout", "Environment")})
    refusal = refused(decide_deploy(deploy_wish(), facts))
    assert refusal.code is Code.INVALID_REQUEST
    missing = "Environment" if given else "Environment, Timeout"
    assert refusal.blockers == (f"api.configuration: {missing}",)
    again = ", ".join(f"configuration.{member}" for member in missing.split(", "))
    says(refusal, f"Function api ({arn('api')}): an earlier deploy gave {missing}", f"Give {again} again")
    assert SECRET not in repr(refusal)


def test_giving_all_of_them_again_is_enough() -> None:
    facts = deploy_facts(wanted("api", given=("Timeout", "Handler")), claims={"api": claim("api", "Timeout")})
    planned(decide_deploy(deploy_wish(), facts))


# $LATEST.


@pytest.mark.parametrize(
    ("now", "wrote", "refuses"),
    [
        (content("B"), content("B"), True),
        (content("A", "c1"), content("A", "c1"), True),
        # Somebody put it right, or the failed deploy never came to write it.
        (content("A"), content("B"), False),
        (content("C"), content("B"), False),
        # It was to write what was there already.
        (content("A"), content("A"), False),
    ],
)
def test_what_a_failed_deploy_left_in_latest_is_not_published_by_accident(now: Content, wrote: Content, *, refuses: bool) -> None:
    write = LatestWrite(EARLIER, content("A"), wrote)
    function = wanted("api", in_latest=now.code, in_latest_config=now.configuration)
    facts = deploy_facts(function, claims={"api": claim("api", write=write)}, failed=(EARLIER,))
    decision = decide_deploy(deploy_wish(), facts)
    if not refuses:
        planned(decision)
        return
    refusal = refused(decision)
    assert (refusal.code, refusal.blockers) == (Code.FUNCTION_NOT_READY, (EARLIER,))
    says(
        refusal, f"$LATEST of function api ({arn('api')}) holds what operation op-earlier left there", "Give the function's code"
    )


@pytest.mark.parametrize(("code", "failed"), [("B", (EARLIER,)), (None, ())], ids=["code is given", "it did not fail"])
def test_latest_is_fine_if_code_is_given_or_its_writer_succeeded(code: str | None, failed: tuple[OperationId, ...]) -> None:
    write = LatestWrite(EARLIER, content("A"), content("B"))
    facts = deploy_facts(wanted("api", code, in_latest="B"), claims={"api": claim("api", write=write)}, failed=failed)
    planned(decide_deploy(deploy_wish(), facts))


def test_a_failed_update_cannot_be_published_as_it_is() -> None:
    refusal = refused(decide_deploy(deploy_wish(), deploy_facts(wanted("api", failed="EFS mount failed"))))
    assert (refusal.code, refusal.blockers) == (Code.FUNCTION_NOT_READY, (str(arn("api")),))
    says(refusal, "The last update of function api", "failed: EFS mount failed.", "Mend the function")


def test_another_functions_update_does_not_mend_it() -> None:
    facts = deploy_facts(wanted("worker", "B"), wanted("api", failed="EFS mount failed"))
    assert refused(decide_deploy(deploy_wish(), facts)).blockers == (str(arn("api")),)


def test_a_version_whose_state_cannot_be_read_refuses() -> None:
    facts = deploy_facts(wanted("api"), versions={("api", "A"): BROKEN})
    assert refused(decide_deploy(deploy_wish(), facts)).code is Code.UNREADABLE


# Unqualified callers.


def test_a_function_that_is_called_without_an_alias_is_not_taken_over_unknowingly() -> None:
    callers = {"api": ("permission s3 (s3.amazonaws.com)", "event source mapping 1 (queue)")}
    refusal = refused(decide_deploy(deploy_wish(), deploy_facts(wanted("api"), claims={}, callers=callers)))
    assert refusal.code is Code.UNQUALIFIED_CALLERS
    assert refusal.blockers == (
        f"{arn('api')}: permission s3 (s3.amazonaws.com)",
        f"{arn('api')}: event source mapping 1 (queue)",
    )
    says(
        refusal,
        "is called without an alias by permission s3 (s3.amazonaws.com), event source mapping 1 (queue). ",
        "Point at an alias what calls it (permission s3 (s3.amazonaws.com), event source mapping 1 (queue))",
        "accept_unqualified_callers: true",
    )


def test_unqualified_callers_may_be_accepted() -> None:
    wish = deploy_wish(accept_callers=True)
    planned(decide_deploy(wish, deploy_facts(wanted("api"), wish=wish, claims={}, callers={"api": ("permission s3",)})))


def test_callers_that_cannot_be_read_cannot_be_accepted() -> None:
    wish = deploy_wish(accept_callers=True)
    facts = deploy_facts(wanted("api"), wish=wish, claims={}, callers={"api": BROKEN})
    assert refused(decide_deploy(wish, facts)).code is Code.UNREADABLE


# Functions that a partial deploy keeps.


def test_a_kept_function_that_exists_no_more_refuses() -> None:
    wish = deploy_wish(partial=True)
    facts = deploy_facts(wanted("api", "B"), wish=wish, at=ON_R1, releases=(R1,), versions=V1, gone=("worker",))
    refusal = refused(decide_deploy(wish, facts))
    assert (refusal.code, refusal.blockers) == (Code.FUNCTION_NOT_FOUND, (str(arn("worker")),))
    says(refusal, f"Function worker ({arn('worker')}) exists no more", "without partial")


def test_a_kept_function_without_a_version_that_can_serve_refuses() -> None:
    wish = deploy_wish(partial=True)
    mixed = stage(1, mixed=True, api=1, worker=2)
    facts = deploy_facts(wanted("api"), wish=wish, at=mixed, releases=(R1,), versions={("api", "A"): seen(1)})
    refusal = refused(decide_deploy(wish, facts))
    assert (refusal.code, refusal.blockers) == (Code.VERSION_MISSING, (str(arn("worker")),))
    says(refusal, "Function worker of stage dev is kept", "name it too")


def test_a_kept_function_whose_version_cannot_be_read_is_not_taken_for_missing() -> None:
    wish = deploy_wish(partial=True)
    mixed = stage(1, mixed=True, api=1, worker=2)
    versions: Mapping[tuple[str, str], VersionSeen | Unreadable] = {("api", "A"): seen(1), ("worker", "A"): BROKEN}
    facts = deploy_facts(wanted("api"), wish=wish, at=mixed, releases=(R1,), versions=versions)
    assert refused(decide_deploy(wish, facts)).code is Code.UNREADABLE


def test_a_kept_function_goes_on_with_what_its_alias_serves_whatever_else_is_on_record() -> None:
    wish = deploy_wish(partial=True)
    facts = deploy_facts(wanted("api", "B"), wish=wish, at=ON_R1, releases=(R1,), versions={("worker", "A"): BROKEN})
    assert arn("worker") in planned(decide_deploy(wish, facts)).settled


# How many.


def many(count: int) -> list[WantedFunction]:
    return [wanted(f"f{number}") for number in range(count)]


def test_500_functions_are_possible_and_501_are_not() -> None:
    planned(decide_deploy(deploy_wish(), deploy_facts(*many(500))))
    refusal = refused(decide_deploy(deploy_wish(), deploy_facts(*many(501))))
    assert (refusal.code, refusal.blockers) == (Code.INVALID_REQUEST, ("501",))
    says(refusal, "501 functions; at most 500")


def test_kept_functions_count_as_well() -> None:
    wish = deploy_wish(partial=True)
    before = release(1, **{f"old{number}": "A" for number in range(499)})
    at = replace(stage(1), aliases={part.arn: alias(name, 1) for name, part in before.functions.items()})
    facts = deploy_facts(wanted("api"), wanted("worker"), wish=wish, at=at, releases=(before,))
    says(refused(decide_deploy(wish, facts)), "501 functions")


# The order of the codes.

FAULTS: list[tuple[Code, WantedFunction | Unsettled]] = [
    (Code.FUNCTION_NOT_FOUND, unsettled("missing", Absent())),
    (Code.FUNCTION_OWNED_ELSEWHERE, wanted("theirs")),
    (Code.INVALID_REQUEST, unsettled("sha", CodeProblem(missing=False, sentence="Another SHA-256."))),
    (Code.UNREADABLE, unsettled("unreadable", BROKEN)),
    (Code.ARTIFACT_MISSING, unsettled("code", CodeProblem(missing=True, sentence="No code."))),
    (Code.FUNCTION_NOT_READY, unsettled("busy", Busy("InProgress"))),
    (Code.DRIFTED, wanted("worker")),
]


@pytest.mark.parametrize("first", [0, 1], ids=["FunctionNotFound", "FunctionOwnedElsewhere"])
def test_the_contracts_first_code_is_the_answer_whatever_else_is_wrong(first: int) -> None:
    """FunctionNotFound, FunctionOwnedElsewhere, then all others; the request's *form* was checked before the lock."""
    theirs = Claim(ServiceName("billing"), LogicalName("theirs"))
    faults = [function for _, function in reversed(FAULTS[first:])]
    facts = deploy_facts(
        *faults, at=stage(1, worker=1), releases=(release(1, worker="A"),), claims={"theirs": theirs}, served={"worker": seen(2)}
    )
    assert refused(decide_deploy(deploy_wish(), facts)).code is FAULTS[first][0]


def test_a_moved_stage_comes_before_what_is_wrong_with_functions() -> None:
    wish = deploy_wish(if_release=2)
    facts = deploy_facts(unsettled("api", Absent()), wish=wish, at=ON_R1, releases=(R1,))
    assert refused(decide_deploy(wish, facts)).code is Code.STAGE_MOVED


def test_a_stage_that_is_not_there_comes_before_one_that_moved() -> None:
    wish = deploy_wish(partial=True, if_release=2)
    assert refused(decide_deploy(wish, deploy_facts(wanted("api"), wish=wish, releases=(R1,)))).code is Code.STAGE_NOT_FOUND


def test_a_refusal_names_only_what_has_its_code() -> None:
    facts = deploy_facts(unsettled("api", Absent()), unsettled("worker", Busy("InProgress")))
    assert refused(decide_deploy(deploy_wish(), facts)).blockers == ("orders-api",)


def test_a_deploy_of_a_new_stage_is_refused_where_an_alias_of_that_name_is_not_ours() -> None:
    facts = deploy_facts(wanted("api"), wanted("worker"), versions=V1, served={"api": seen(1)})
    refusal = refused(decide_deploy(deploy_wish(overwrite=True), facts))
    assert (refusal.code, refusal.blockers) == (Code.ALIAS_OWNED_ELSEWHERE, (f"{arn('api')}:{DEV}",))
    says(refusal, f"Function api ({arn('api')}) has an alias dev that is not ours", "adopt")


@pytest.mark.parametrize("name", ["api", "worker"], ids=["moved", "dropped"])
def test_an_alias_that_was_moved_behind_our_back_refuses(name: str) -> None:
    facts = deploy_facts(wanted("api", "B"), at=ON_R1, releases=(R1,), versions=V1, served={name: seen(3)})
    refusal = refused(decide_deploy(deploy_wish(), facts))
    assert (refusal.code, refusal.blockers) == (Code.DRIFTED, (f"{arn(name)}:dev: recorded 1, found version 3",))


def test_an_unchanged_request_is_refused_all_the_same_if_the_stage_drifted() -> None:
    facts = deploy_facts(wanted("api"), wanted("worker"), at=ON_R1, releases=(R1,), versions=V1, served={"api": seen(3)})
    assert refused(decide_deploy(deploy_wish(), facts)).code is Code.DRIFTED
