"""A plan as its user reads it: one line per action, before and after as text, each with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.domain.facts import Absent
from stagekeeper.domain.model import LogicalName
from stagekeeper.domain.plan import Action, Change, Plan, Published, changes
from tests.unit.domain.builders import (
    arn,
    decide_deploy,
    decide_restore,
    deploy_facts,
    deploy_wish,
    planned,
    publish,
    release,
    rollback_wish,
    seen,
    stage,
    version,
    wanted,
)

REPLACED = "the service as deployed does not have this function"


def line(function: str, action: Action, before: str | None, after: str | None, reason: str) -> Change:
    return Change(LogicalName(function), action, before, after, reason)


def deploy_of_everything() -> Plan:
    """api is published, worker reused, search joins, mailer goes."""
    before = release(1, api="A", worker="A", mailer="A")
    facts = deploy_facts(
        wanted("api", "B"),
        wanted("worker", "B"),
        wanted("search"),
        at=stage(1, api=1, worker=1, mailer=1),
        releases=(before,),
        versions={("worker", "B"): seen(2), ("search", "A"): seen(5)},
    )
    return planned(decide_deploy(deploy_wish(), facts))


def test_a_dry_run_shows_every_action_before_any_version_exists() -> None:
    assert changes(deploy_of_everything(), {}) == [
        line("api", "publish", "1", None, "new code"),
        line("worker", "reuse", "1", "2", "version 2 already has this content"),
        line("search", "reuse", None, "5", "version 5 already has this content"),
        line("api", "move_alias", "1", None, "onto the version being published"),
        line("worker", "move_alias", "1", "2", "onto version 2"),
        line("search", "create_alias", None, "5", "onto version 5"),
        line("mailer", "delete_alias", "1", None, REPLACED),
    ]


def test_what_was_published_is_filled_in() -> None:
    lines = changes(deploy_of_everything(), {arn("api"): Published(version(7), ours=True)})
    assert [(change.action, change.before, change.after) for change in lines if change.function == "api"] == [
        ("publish", "1", "7"),
        ("move_alias", "1", "7"),
    ]


def test_a_version_that_was_there_before_is_reused_and_not_published() -> None:
    """PublishVersion answered with a version that somebody else made."""
    lines = changes(deploy_of_everything(), {arn("api"): Published(version(7), ours=False)})
    assert lines[0] == line("api", "reuse", "1", "7", "version 7, which somebody else published, already has this content")


def test_a_rollback_shows_what_it_moves_and_what_it_keeps() -> None:
    at = stage(3, 2, api=3, mailer=4)
    plan = planned(decide_restore(rollback_wish(), at, release(2, api="A", worker="A"), served={"worker": Absent()}))
    assert changes(plan, {}) == [
        line("api", "move_alias", "3", "2", "r2 has version 2 here"),
        line("worker", "create_alias", None, "2", "r2 has version 2 here"),
        line("mailer", "kept", "4", "4", "not in r2"),
    ]


def test_a_plan_that_settles_everything_shows_nothing() -> None:
    empty = replace(deploy_of_everything(), publishes=(), reuses=(), moves=(), drops=())
    assert changes(empty, {}) == []


@pytest.mark.parametrize(("code", "members", "updates"), [(True, (), True), (False, ("Timeout",), True), (False, (), False)])
def test_a_publish_updates_if_code_or_a_member_differs(*, code: bool, members: tuple[str, ...], updates: bool) -> None:
    assert replace(publish(), update_code=code, update_members=members).updates is updates
