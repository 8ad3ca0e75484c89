"""What ``configure`` does: it changes the settings that the request gives, and nothing else of the stage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stagekeeper.domain.configure import ConfigureWish, configure
from stagekeeper.domain.model import ReleaseNumber, Settings, Stage
from stagekeeper.domain.plan import Change, ConfigurePlan, Unchanged
from stagekeeper.domain.refusal import Code
from tests.unit.domain.builders import DEV, SERVICE, refused, stage, stage_facts

PLAIN = Settings()
GUARDED = Settings(protected=True, description="for customers")


def wish(protected: bool | None = None, description: str | None = None, if_release: int | None = None) -> ConfigureWish:
    return ConfigureWish(SERVICE, DEV, protected, description, None if if_release is None else ReleaseNumber(if_release))


def on(settings: Settings, release: int | None = 3) -> Stage:
    return replace(stage(release, 2, mixed=release is None, api=3), settings=settings)


@pytest.mark.parametrize(
    ("before", "protected", "description", "after"),
    [
        (PLAIN, True, None, Settings(protected=True)),
        (PLAIN, None, "hers", Settings(description="hers")),
        (PLAIN, True, "hers", Settings(protected=True, description="hers")),
        (GUARDED, False, None, Settings(description="for customers")),
        (GUARDED, None, "", Settings(protected=True)),
        (GUARDED, None, "hers", Settings(protected=True, description="hers")),
        (GUARDED, False, "", PLAIN),
    ],
)
def test_what_is_given_is_set_and_what_is_not_stays(
    before: Settings, protected: bool | None, description: str | None, after: Settings
) -> None:
    decision = configure(wish(protected, description), stage_facts(on(before)))
    assert isinstance(decision, ConfigurePlan)
    assert replace(decision, changes=()) == ConfigurePlan(SERVICE, DEV, 5, ReleaseNumber(3), after)


@pytest.mark.parametrize(
    ("before", "protected", "description", "told"),
    [
        (PLAIN, True, None, ["protected: false -> true"]),
        (GUARDED, False, None, ["protected: true -> false"]),
        (PLAIN, False, "hers", ["description: hers"]),
        (GUARDED, True, "", ["the description is taken away"]),
        (PLAIN, True, "hers", ["protected: false -> true", "description: hers"]),
    ],
)
def test_a_line_of_its_changes_says_what_is_set(
    before: Settings, protected: bool | None, description: str | None, told: list[str]
) -> None:
    decision = configure(wish(protected, description), stage_facts(on(before)))
    assert isinstance(decision, ConfigurePlan)
    assert decision.changes == tuple(Change(DEV, "configure", None, None, reason) for reason in told)


@pytest.mark.parametrize(
    ("before", "protected", "description"),
    [(PLAIN, None, None), (PLAIN, False, ""), (GUARDED, True, None), (GUARDED, None, "for customers"), (GUARDED, None, None)],
)
def test_what_is_set_already_is_unchanged(before: Settings, protected: bool | None, description: str | None) -> None:
    assert configure(wish(protected, description), stage_facts(on(before))) == Unchanged(ReleaseNumber(3))


def test_a_stage_whose_first_deploy_failed_has_settings_as_well() -> None:
    decision = configure(wish(protected=True), stage_facts(on(PLAIN, None)))
    assert isinstance(decision, ConfigurePlan)
    assert (decision.release, decision.settings) == (None, Settings(protected=True))


def test_a_protected_stage_can_be_configured() -> None:
    """Protection is against tearing down, and this is how it is taken off."""
    assert isinstance(configure(wish(protected=False), stage_facts(on(GUARDED))), ConfigurePlan)


@pytest.mark.parametrize(
    ("at", "last_release", "if_release", "code", "part"),
    [
        (None, None, 4, Code.SERVICE_NOT_FOUND, "There is no service orders"),
        (None, 9, 4, Code.STAGE_NOT_FOUND, "Service orders has no stage dev"),
        (on(PLAIN), 9, 4, Code.STAGE_MOVED, "Stage dev of service orders serves r3, not r4"),
    ],
)
def test_what_refuses_it_in_the_contracts_order(
    at: Stage | None, last_release: int | None, if_release: int, code: Code, part: str
) -> None:
    refusal = refused(configure(wish(True, None, if_release), stage_facts(at, last_release=last_release)))
    assert refusal.code is code
    assert part in refusal.message


def test_a_stage_that_is_not_there_refuses_also_without_a_condition() -> None:
    assert refused(configure(wish(True), stage_facts(None))).blockers == ("dev",)


def test_if_release_is_met_by_what_the_stage_serves() -> None:
    assert isinstance(configure(wish(True, None, 3), stage_facts(on(PLAIN))), ConfigurePlan)
