"""What goes wrong on one function's calls, in a fixed order although the product works in several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.fake import FakeLambda

from .world import World, lambda_name

#: Long enough for any test's other threads, short enough not to hang a run.
_PATIENCE = 10.0

Where = Callable[[dict[str, Any]], bool]


def of(name: str, version: str | None = None) -> Where:
    """Calls on this function, of those that name a version only those that name this one."""

    def matches(params: dict[str, Any]) -> bool:
        on_it = str(params["FunctionName"]).rsplit(":", 1)[-1] == lambda_name(name)
        return on_it and (version is None or params.get("FunctionVersion") == version)

    return matches


def fail_after_the_others(world: World, operation: str, name: str, error: str, version: str | None = None) -> None:
    """The call on ``name`` fails for good, but only once all other functions of the account have had theirs."""
    wait_for_the_others(world.fake, operation, name, tuple(other for other in world.names if other != name), version)
    world.fake.fail(operation, error=error, times=None, where=of(name, version))


def wait_for_the_others(fake: FakeLambda, operation: str, name: str, others: tuple[str, ...], version: str | None = None) -> None:
    """Hold back the call on ``name`` until each of ``others`` has had its own."""
    done = {other: threading.Event() for other in others}
    for other, event in done.items():
        fake.on(operation, lambda _, event=event: event.set(), when="after", where=of(other, version))  # type: ignore[misc]

    def wait(_: object) -> None:
        late = [other for other, event in done.items() if not event.wait(_PATIENCE)]
        if late:
            raise AssertionError(f"no {operation} on {late}")

    fake.on(operation, wait, where=of(name, version))
