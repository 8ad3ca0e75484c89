"""Each fact that is read alone saves a version, and where its reading is taken out of the code exactly that version goes.

As tests/unit/domain/test_roots.py has it for the rules: here for what the rules are told, by AWS and by the table. Function ``a``
has one version for each fact, on which nothing else hangs; a sweep that is not told of the fact deletes that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from stagekeeper.aws.callers import Callers
from stagekeeper.aws.lambda_api import Aliased, LambdaApi
from stagekeeper.aws.store import Store
from stagekeeper.domain.model import Content, ReleaseNumber
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.engine import survey

from .conftest import Deployed
from .test_sweep import map_source, permit, point, provision, sweep
from .world import World, deploy_of, lambda_name

DAY = 24 * 3600.0
_SOME = Content("code", "configuration")
Blind = Callable[[pytest.MonkeyPatch], None]


def instead(where: type | Any, name: str, answer: Callable[..., Any]) -> Blind:
    """The real thing, with its answer replaced by what ``answer`` makes of it."""

    def blind(monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(where, name)
        monkeypatch.setattr(where, name, lambda *args, **more: answer(real(*args, **more)))

    return blind


def nothing(_: Any) -> Any:
    return ()


@dataclass(frozen=True)
class Fact:
    """``hold`` makes it true for a version, ``blind`` has the product not see it."""

    hold: Callable[[World, str], object]
    blind: Blind


def both(*blinds: Blind) -> Blind:
    def blind(monkeypatch: pytest.MonkeyPatch) -> None:
        for each in blinds:
            each(monkeypatch)

    return blind


def canary(world: World, version: str) -> None:
    world.fake.alias(lambda_name("a"), "canary", "9", weights={version: 0.1})


def serve(world: World, version: str) -> None:
    """Stage qa is on it by the record; its alias was deleted by hand."""
    release = int(version)
    assert world.begin({"operation": "reset", "stage": "qa", "to": {"release": release}}).run().outcome == "succeeded"
    world.fake.quietly("DeleteAlias", FunctionName=lambda_name("a"), Name="qa")


def work(world: World, version: str) -> None:
    """An operation is about to put stage dev on it. It holds its stage's slot; the sweep only reports beside it."""
    world.begin({"operation": "reset", "stage": "dev", "to": {"release": int(version)}}).run_to("Move")


FACTS: Final[Mapping[str, Fact]] = {
    "target of an alias": Fact(point, instead(LambdaApi, "aliased", lambda found: Aliased({}, found.weighted))),
    "weight of an alias": Fact(canary, instead(LambdaApi, "aliased", lambda found: Aliased(found.targets, {}))),
    "event source mapping": Fact(map_source, instead(Callers, "mappings", lambda _: {})),
    "permission": Fact(permit, instead(Callers, "permitted", nothing)),
    "provisioned concurrency": Fact(provision, instead(LambdaApi, "provisioned", nothing)),
    # Its ledger ends on the release as well, so that a stage whose item is lost still holds what it served.
    "stage on record": Fact(
        serve,
        both(
            instead(Store, "stages", lambda found: [stage for stage in found if stage.name != "qa"]),
            instead(Store, "movements", lambda found: [line for line in found if line.stage != "qa"]),
        ),
    ),
    "operation in flight": Fact(work, instead(survey, "_in_flight", lambda _: {})),
}


@pytest.fixture
def many(deployed: Deployed) -> World:
    """prod has seen r1 to r9 and serves r9 (version 9), all of it long ago; nothing but what serves is kept."""
    world = deployed("a", "one two three four five six seven eight nine")
    for stage in ("qa", "dev"):
        assert world.begin({"operation": "clone", "stage": stage, "from": {"stage": "prod"}}).run().outcome == "succeeded"
    world.sweeping = SweepSettings(keep=0, rollback_depth=0, grace_seconds=DAY)
    world.clock.sleep(30 * DAY)
    return world


def held(world: World) -> dict[str, str]:
    """Which version each fact holds: one each, from version 1 on."""
    places = {name: str(number) for number, name in enumerate(FACTS, start=1)}
    for name, version in places.items():
        FACTS[name].hold(world, version)
    # The movements that holding took are long ago as well.
    world.clock.sleep(30 * DAY)
    return places


def doomed(world: World) -> set[str]:
    done = sweep(world, "report")
    assert done.output is not None, done.cause
    return {entry["version"] for entry in done.output["sweep"]["deleted"]}


def test_all_of_them_together_save_all_of_theirs(many: World) -> None:
    places = held(many)

    assert doomed(many) == {str(number) for number in range(1, 9)} - set(places.values())


@pytest.mark.parametrize("fact", FACTS)
def test_not_seeing_one_dooms_exactly_its_own_version(many: World, monkeypatch: pytest.MonkeyPatch, fact: str) -> None:
    places = held(many)
    before = doomed(many)

    FACTS[fact].blind(monkeypatch)

    assert doomed(many) - before == {places[fact]}


# Facts of which one holds several versions, or every one.


def test_not_seeing_the_way_back_dooms_what_it_reaches(many: World, monkeypatch: pytest.MonkeyPatch) -> None:
    many.sweeping = SweepSettings(keep=0, rollback_depth=2, grace_seconds=DAY)
    assert doomed(many) == {"1", "2", "3", "4", "5", "6"}

    instead(Store, "stages", lambda stages: [replace(stage, way_back=()) for stage in stages])(monkeypatch)

    assert doomed(many) == {"1", "2", "3", "4", "5", "6", "7", "8"}


def test_not_seeing_the_movements_dooms_what_was_displaced_lately(many: World, monkeypatch: pytest.MonkeyPatch) -> None:
    many.begin({"operation": "rollback", "stage": "prod"}).run()  # to r8: pops it, and displaces nothing of dev and qa
    many.begin({"operation": "reset", "stage": "prod", "to": {"release": 9}}).run()
    assert "8" not in doomed(many)

    instead(Store, "movements", lambda found: [line for line in found if line.number < 10])(monkeypatch)

    assert "8" in doomed(many)


def test_not_seeing_the_releases_dooms_what_waits_to_be_promoted(many: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert many.begin(deploy_of(None, many.wishes("ten"))).run().outcome == "succeeded"
    many.clock.sleep(30 * DAY)
    assert "10" not in doomed(many)

    instead(Store, "releases", lambda found: [each for each in found if each.number != ReleaseNumber(10)])(monkeypatch)

    assert "10" in doomed(many)


def test_not_seeing_the_stack_dooms_its_functions_versions(many: World, monkeypatch: pytest.MonkeyPatch) -> None:
    many.owned_by(many.stacks.put("orders", "UPDATE_IN_PROGRESS"), "a")
    assert doomed(many) == set()

    instead(LambdaApi, "stack_of", lambda _: None)(monkeypatch)

    assert doomed(many) == {str(number) for number in range(1, 9)}


def test_not_seeing_who_published_dooms_strangers_versions(many: World, monkeypatch: pytest.MonkeyPatch) -> None:
    number = many.fake.publish(lambda_name("a"), b"theirs")
    many.clock.sleep(30 * DAY)
    assert number not in doomed(many)

    instead(survey, "_found", lambda found: replace(found, ours=True, published_at=0.0, content=found.content or _SOME))(
        monkeypatch
    )

    assert number in doomed(many)
