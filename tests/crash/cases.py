"""The operations that are hit, each at any number of functions. Must not know what hits them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from tests.unit.engine.world import Saved, World, deploy_of, lambda_name

from .points import remember

_TWO_DAYS: Final = 2 * 86_400
_NAMES: Final = "abcdefghijklmnopqrst"


@dataclass(frozen=True, slots=True)
class Case:
    """``before``: the deploys that the account has seen, each as its code, or as stage and code. ``extra``: functions beside."""

    name: str
    request: Callable[[World], dict[str, Any]]
    before: str = "one two qa:one"
    extra: str = ""
    #: May end with something left for the next one: what could not be read is kept.
    goes_on_later: bool = False
    later: float = 0.0
    #: Aliases that somebody made by hand, each on a version of its own, of every function.
    by_hand: str = ""

    def save(self, size: int) -> Saved:
        """The account as it is when the operation begins."""
        names = _NAMES[:size]
        world = World((*names, *self.extra))
        world.wire.probe = lambda sent: remember(world, sent)
        for deploy in self.before.split():
            stage, _, text = deploy.rpartition(":")
            done = world.deploy(stage or "prod", world.wishes(text, *names))
            assert done.outcome == "succeeded", done.cause
        for alias in self.by_hand.split():
            for name in names:
                function = lambda_name(name)
                world.fake.alias(function, alias, world.fake.publish(function, f"{name}: {alias}".encode()))
        world.clock.sleep(self.later)
        return world.save()


def _adopting(world: World) -> dict[str, Any]:
    """Functions of no service join, with two aliases each."""
    return {"operation": "adopt", "functions": {name: {"function_name": lambda_name(name)} for name in world.names}}


def _coming_and_going(world: World) -> dict[str, Any]:
    """The first function goes and one more comes; the others change."""
    _, *others = world.names
    return deploy_of("prod", world.wishes("three", *others))


_SWEEP: Final = {"operation": "sweep", "mode": "delete", "keep": 0, "rollback_depth": 0, "grace_hours": 1}

CASES: Final = {
    case.name: case
    for case in (
        Case("first deploy", lambda world: deploy_of("prod", world.wishes("one")), before=""),
        Case("changed deploy", lambda world: deploy_of("prod", world.wishes("three", MemorySize=512))),
        Case("unchanged deploy", lambda world: deploy_of("prod", world.wishes("two"))),
        Case("deploy of one function more and one less", _coming_and_going, extra="z"),
        Case("deploy of a new stage", lambda world: deploy_of("dev", world.wishes("three"))),
        Case("deploy without a stage", lambda world: deploy_of(None, world.wishes("three"))),
        Case("rollback", lambda _: {"operation": "rollback", "stage": "prod"}),
        Case("reset", lambda _: {"operation": "reset", "stage": "prod", "to": {"stage": "qa"}}),
        Case("clone", lambda _: {"operation": "clone", "stage": "dev", "from": {"stage": "prod"}}),
        Case("configure", lambda _: {"operation": "configure", "stage": "prod", "settings": {"protected": True}}),
        Case("adopt", _adopting, before="", by_hand="old older"),
        Case("teardown of a stage", lambda _: {"operation": "teardown", "stage": "prod"}),
        Case("teardown of the service", lambda _: {"operation": "teardown", "confirm": "orders"}),
        Case("sweep", lambda _: _SWEEP, before="one two three qa:two", later=_TWO_DAYS, goes_on_later=True),
    )
}
