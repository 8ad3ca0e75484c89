"""The account each test of the engine runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from .templated import SavedService, Templated
from .world import Saved, World

#: A new account with these functions (``a`` and ``b`` if none is named) and options of the Lambda fake.
MakeWorld = Callable[..., World]
#: A new account whose stage prod (or the one named) has been put on one release after the other, each with its own code.
Deployed = Callable[[Sequence[str], str], World]
#: The same of a service from a template.
FromTemplate = Callable[[str], Templated]


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    """The accounts of a test, which it must have used as it arranged."""
    made: list[World] = []
    yield made
    assert [world.wire.unmet() for world in made] == [0] * len(made), "a fault that was arranged never happened"


@pytest.fixture
def make_world(worlds: list[World]) -> MakeWorld:
    def make(*names: str, **fake_options: object) -> World:
        worlds.append(World(names or ("a", "b"), fake_options))
        return worlds[-1]

    return make


@pytest.fixture(scope="package")
def saved() -> Callable[[Sequence[str], str], Saved]:
    """Accounts to begin from, each made once by the real engine."""
    known: dict[tuple[tuple[str, ...], str], Saved] = {}

    def save(functions: Sequence[str], deploys: str) -> Saved:
        names = tuple(functions)
        if (names, deploys) not in known:
            world = World(names)
            for deploy in deploys.split():
                stage, _, text = deploy.rpartition(":")
                done = world.deploy(stage or "prod", world.wishes(text))
                assert done.outcome == "succeeded", done.cause
            known[names, deploys] = world.save()
        return known[names, deploys]

    return save


@pytest.fixture
def deployed(worlds: list[World], saved: Callable[[Sequence[str], str], Saved]) -> Deployed:
    """``deployed("abc", "one two qa:two")``: functions a, b and c, of which prod has seen r1 (code one) and r2 (code two), and
    then qa r2."""

    def restore(functions: Sequence[str], deploys: str) -> World:
        worlds.append(World(saved=saved(functions, deploys)))
        return worlds[-1]

    return restore


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """An account with the functions ``a`` and ``b``, and no service of Stagekeeper yet."""
    return make_world()


@pytest.fixture
def two(deployed: Deployed) -> World:
    """A service of two functions whose stage prod has been put on r1 and then on r2."""
    return deployed("ab", "one two")


@pytest.fixture
def five(deployed: Deployed) -> World:
    """A service of five functions whose stage prod has been put on r1 and then on r2."""
    return deployed("abcde", "one two")


@pytest.fixture(scope="package")
def saved_services() -> Callable[[str], SavedService]:
    known: dict[str, SavedService] = {}

    def save(deploys: str) -> SavedService:
        if deploys not in known:
            service = Templated.nowhere()
            for deploy in deploys.split():
                stage, _, text = deploy.partition(":")
                service.say(text)
                done = service.deploy(stage)
                assert done.outcome == "succeeded", done.cause
            known[deploys] = service.save()
        return known[deploys]

    return save


@pytest.fixture
def from_template(worlds: list[World], saved_services: Callable[[str], SavedService]) -> FromTemplate:
    """``from_template("prod:one prod:two dev:two")``: stage prod has seen r1 (code one) and r2 (code two), and then dev r2."""

    def restore(deploys: str) -> Templated:
        service = Templated.restored(saved_services(deploys))
        worlds.append(service.world)
        return service

    return restore
