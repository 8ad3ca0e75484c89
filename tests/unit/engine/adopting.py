"""Services that somebody made without Stagekeeper, and adopting them."""

from __future__ import annotations

from typing import Any

from .execution import Execution
from .world import World, lambda_name

NAMES = {name: {"function_name": lambda_name(name)} for name in "ab"}


def ask(world: World, operation: str, **more: Any) -> Execution:
    return world.begin({"operation": operation, **more}).run()


def adopt(world: World, **more: Any) -> Execution:
    return ask(world, "adopt", **{"functions": NAMES, **more})


def adopted(world: World, **more: Any) -> dict[str, Any]:
    """Adopt, and see that this changed nothing on AWS; the output."""
    before = world.fake.state(revisions=True)
    done = adopt(world, **more)
    assert done.output is not None, done.cause
    assert world.fake.state(revisions=True) == before
    return done.output


def publish(world: World, text: str, *names: str) -> None:
    """Somebody publishes a version of each function by hand."""
    for name in names or world.names:
        world.fake.publish(lambda_name(name), f"{name}: {text}".encode())


def alias(world: World, stage: str, version: str, *names: str) -> None:
    for name in names or world.names:
        world.fake.alias(lambda_name(name), stage, version)


def owned(world: World, stack: str, stage: str, *names: str) -> None:
    """A stack has the alias of these functions."""
    resources = {f"{name}Alias{stage}": f"{world.arn(name)}:{stage}" for name in names or world.names}
    world.stacks.put(stack).resources.update(resources)


def warnings(output: dict[str, Any]) -> str:
    return "\n".join(output["warnings"])


def grow(world: World) -> World:
    """A service of a and b that somebody made by hand: dev serves version 2 of both, prod version 1."""
    publish(world, "one")
    publish(world, "two")
    alias(world, "prod", "1")
    alias(world, "dev", "2")
    return world
