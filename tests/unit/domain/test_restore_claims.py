"""Whose the functions are that a rollback, a reset or a clone goes back to: ours, another service's by now, or nobody's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.domain.model import Claim, LogicalName, ServiceName, Stage, StageName
from stagekeeper.domain.plan import Join
from stagekeeper.domain.refusal import Code
from stagekeeper.domain.restore import RestoreWish
from tests.unit.domain.builders import (
    SERVICE,
    arn,
    claim,
    clone_wish,
    decide_restore,
    moves,
    planned,
    refused,
    release,
    reset_wish,
    rollback_wish,
    stage,
)

PROD = StageName("prod")
R2 = release(2, api="B", worker="B")
#: Left the service, so that its alias went too.
WITHOUT_WORKER = stage(3, 2, api=3)
PROD_ON_R2 = replace(stage(2, api=2, worker=2), name=PROD)
THEIRS = Claim(ServiceName("billing"), LogicalName("invoice"))
ALL_THREE = pytest.mark.parametrize(
    ("wish", "at"),
    [(rollback_wish(), WITHOUT_WORKER), (reset_wish(2), WITHOUT_WORKER), (clone_wish(PROD), None)],
    ids=["rollback", "reset", "clone"],
)


@ALL_THREE
def test_a_function_that_another_service_has_by_now_refuses(wish: RestoreWish, at: Stage | None) -> None:
    claims = {arn("api"): claim("api"), arn("worker"): THEIRS}
    refusal = refused(decide_restore(wish, at, R2, others=(PROD_ON_R2,), claims=claims))
    assert (refusal.code, refusal.blockers) == (Code.FUNCTION_OWNED_ELSEWHERE, (f"{arn('worker')}: service billing",))
    assert f"Function worker ({arn('worker')}) belongs to service billing" in refusal.message


def test_every_function_that_others_have_is_named() -> None:
    refusal = refused(decide_restore(reset_wish(2), WITHOUT_WORKER, R2, claims={arn("api"): THEIRS, arn("worker"): THEIRS}))
    assert refusal.blockers == (f"{arn('api')}: service billing", f"{arn('worker')}: service billing")


@ALL_THREE
def test_a_function_that_nobody_has_joins_again(wish: RestoreWish, at: Stage | None) -> None:
    plan = planned(decide_restore(wish, at, R2, others=(PROD_ON_R2,), claims={arn("api"): claim("api")}))
    assert plan.joins == {arn("worker"): Join(None, Claim(SERVICE, LogicalName("worker")))}
    assert moves(plan)["worker"] == (None, 2)
