"""Each root alone saves a version, and without it in the code exactly that version goes.

In the base case nothing holds version 1; each scene adds one thing. Taking a root out of the rules must doom the version of its
own scene and of no other: so none is dead, and none hides behind another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest

from stagekeeper.domain import orphans
from stagekeeper.domain.model import OperationId
from tests.unit.domain.builders import release, stage, version
from tests.unit.domain.orphan_cases import API, BASE, DAY, HOUR, Case, a_stack, found, movement, named, removed

SCENES: Final[Mapping[str, Case]] = {
    "alias": replace(BASE, aliases={1: ["live"], 2: ["dev"]}),
    "weight": replace(BASE, weighted={1: ["canary"]}),
    "trigger": replace(BASE, hanging={1: ["event source mapping 12-ab"]}),
    "release served": replace(BASE, stages=(stage(2, api=2), named("prod", stage(1)))),
    "version served": replace(BASE, stages=(stage(2, api=1),)),
    "way back": replace(BASE, stages=(stage(2, 1, api=2),)),
    "popped": replace(BASE, movements=(*BASE.movements, movement(3, 2, 2, 3 * HOUR, 1))),
    "never served": replace(BASE, releases=(*BASE.releases, release(3, api="A"))),
    "operation": replace(BASE, in_flight={(API, version(1)): OperationId("op-7")}),
    "stranger": replace(BASE, versions=(found(1, "A", ours=False), found(2, "B"))),
    "too little known": replace(BASE, versions=(found(1, "A", published=None), found(2, "B"))),
    "release not on record": replace(BASE, stages=(stage(2, 9, api=2),)),
    "stack": replace(BASE, stacks=(a_stack("UPDATE_IN_PROGRESS"),)),
    "told": replace(BASE, held={1: "stack orders has it as ApiVersion1"}),
    "grace": replace(BASE, movements=(movement(1, None, 1, 50 * DAY), movement(2, 1, 2, 3 * HOUR))),
}


def doomed(scenes: Mapping[str, Case]) -> set[str]:
    """The scenes whose version 1 would be removed."""
    return {name for name, scene in scenes.items() if scene.fate().remove}


def test_every_root_has_its_scene() -> None:
    assert SCENES.keys() == orphans.ROOTS.keys()


def test_nothing_else_holds_the_version() -> None:
    assert BASE.fate().remove


def test_each_scene_saves_it() -> None:
    assert doomed(SCENES) == set()


@pytest.mark.parametrize("root", SCENES)
def test_without_the_root_exactly_its_own_version_goes(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "ROOTS", {name: rule for name, rule in orphans.ROOTS.items() if name != root})

    assert doomed(SCENES) == {root}


def test_among_the_newest_that_nothing_needs_it_stays_as_well() -> None:
    newest = replace(BASE, settings=replace(BASE.settings, keep=1))

    assert newest.fate().reason == "the newest unneeded version"


@pytest.mark.parametrize("status", ["CREATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"])
def test_a_stack_that_moves_or_is_stuck_keeps_it(status: str) -> None:
    assert replace(BASE, stacks=(a_stack(status),)).fate().reason == f"stack orders, which owns the function, is {status}"


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "DELETE_COMPLETE"])
def test_a_stack_at_rest_keeps_none(status: str) -> None:
    assert replace(BASE, stacks=(a_stack(status),)).fate().remove


def test_nor_does_a_teardown_take_what_a_moving_stack_may_need() -> None:
    case = replace(BASE, stages=(stage(2, 1, api=2),), stacks=(a_stack("UPDATE_IN_PROGRESS"),))

    assert removed(replace(case, stacks=()).tear_down()) == [1, 2]
    assert removed(case.tear_down()) == []
