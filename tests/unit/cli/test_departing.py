"""Which stages leave with a deleted branch, and that nothing else does."""

from __future__ import annotations

import pytest

from stagekeeper.domain.model import Provenance

from .books import movement, stage
from .desk import FUNCTIONS, Desk

BRANCH = ("teardown", "--deleted-branch", "feature/x", "--no-wait")


@pytest.fixture
def stages(desk: Desk) -> Desk:
    """Of dev, jane and jim the last movement came from feature/x, by jane, jane and jim; of joan from elsewhere."""
    desk.project(FUNCTIONS)
    for number, (name, actor, branch) in enumerate(
        [("dev", "jane", "feature/x"), ("jane", "jane", "feature/x"), ("jim", "jim", "feature/x"), ("joan", "joan", "feature/y")],
        1,
    ):
        desk.books.stage(stage(name, number))
        desk.books.moved(movement(name, 1, None, number, provenance=Provenance(actor=actor, branch="feature/z")))
        desk.books.moved(movement(name, 2, number, number, provenance=Provenance(actor=actor, branch=branch)))
    return desk


def test_the_own_stages_that_a_deleted_branch_moved_last_are_torn_down(stages: Desk) -> None:
    answer = stages.does(*BRANCH)

    assert answer.code == 0
    common = {"operation": "teardown", "service": "orders", "actor": "jane"}
    assert sorted(stages.started().values(), key=lambda each: str(each["stage"])) == [
        {**common, "stage": "jane", "if_release": 2},
        {**common, "stage": "jim", "if_release": 3},
    ]
    for line in ("stays  dev is a shared stage", "goes   jane is the own stage of jane", "stays  the last movement of joan"):
        assert line in answer.stdout


def test_a_protected_stage_does_not_leave(stages: Desk) -> None:
    stages.books.stage(stage("jane", 2), protected=True)

    stages.does(*BRANCH)

    assert [each["stage"] for each in stages.started().values()] == ["jim"]


def test_what_leaves_is_one_json_object(stages: Desk) -> None:
    answer = stages.does(*BRANCH, "--json", "--operation-id", "gone-7")

    assert answer.json.keys() == {"service", "branch", "stages"}
    told = {each["stage"]: each for each in answer.json["stages"]}
    assert {name: each["follows"] for name, each in told.items()} == {"dev": False, "jane": True, "jim": True, "joan": False}
    assert all(each["reason"] for each in told.values())
    assert told["dev"]["operation"] is None
    assert told["jane"]["operation"]["operation_id"] == "gone-7-jane"
    assert set(stages.started()) == {"gone-7-jane", "gone-7-jim"}


def test_an_id_that_is_too_long_with_a_stage_at_its_end_is_refused_before_anything_goes(stages: Desk) -> None:
    # With -jim it has 80 characters, with -jane one more.
    assert stages.refuses(*BRANCH[:-1], "--operation-id", "x" * 76).code == 2


def test_where_nothing_leaves_nothing_is_started_and_that_is_no_failure(stages: Desk) -> None:
    answer = stages.does("teardown", "--deleted-branch", "feature/old", "--no-wait")

    assert answer.code == 0
    assert "Nothing follows branch feature/old." in answer.stdout
    assert stages.started() == {}


def test_a_service_without_stages_is_none_either(desk: Desk) -> None:
    desk.project(FUNCTIONS)

    answer = desk.does(*BRANCH)

    assert answer.code == 0
    assert "has no stages" in answer.stdout
