"""What ``configure`` does: a stage's settings. They live in the record only; nothing on AWS changes."""

from __future__ import annotations

from dataclasses import dataclass

from stagekeeper.domain.deploy import stage_moved
from stagekeeper.domain.facts import StageFacts
from stagekeeper.domain.model import ReleaseNumber, ServiceName, Settings, StageName
from stagekeeper.domain.plan import Change, ConfigurePlan, Unchanged
from stagekeeper.domain.refusal import Refusal, no_service, no_stage


@dataclass(frozen=True, slots=True)
class ConfigureWish:
    """None leaves a setting as it is."""

    service: ServiceName
    stage: StageName
    protected: bool | None
    description: str | None
    if_release: ReleaseNumber | None


def configure(wish: ConfigureWish, at: StageFacts) -> ConfigurePlan | Unchanged | Refusal:
    """The stage's record as it is to be."""
    if at.service is None:
        return no_service(wish.service)
    if at.stage is None:
        return no_stage(wish.service, wish.stage)
    moved = stage_moved(wish.service, wish.stage, at, wish.if_release)
    if moved is not None:
        return moved
    now = at.stage.settings
    settings = Settings(
        protected=now.protected if wish.protected is None else wish.protected,
        description=now.description if wish.description is None else wish.description,
    )
    if settings == now:
        return Unchanged(at.stage.release)
    lines = tuple(Change(wish.stage, "configure", None, None, what) for what in _what_is_set(now, settings))
    return ConfigurePlan(wish.service, wish.stage, at.stage.revision, at.stage.release, settings, lines)


def _what_is_set(now: Settings, then: Settings) -> list[str]:
    words = []
    if then.protected is not now.protected:
        words.append(f"protected: {_word(now.protected)} -> {_word(then.protected)}")
    if then.description != now.description:
        words.append(f"description: {then.description}" if then.description else "the description is taken away")
    return words


def _word(flag: bool) -> str:
    return "true" if flag else "false"
