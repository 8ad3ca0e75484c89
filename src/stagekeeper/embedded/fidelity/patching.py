"""How a patch is laid: wrap a function of one of ministack's modules, or say at start-up that it is not there; and how
one that takes effect later waits.

Knows nothing of what any patch does. A ministack whose names have changed must stop the server with a sentence, not
leave it running with a rule missing.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from typing import Any

# What ministack's handlers answer with: status, headers, body.
Answer = tuple[int, dict[str, str], bytes]


# What `later` was asked to do and has not done. A timer's own thread and `do_waiting` both take from it: one gets it.
_waiting: dict[threading.Timer, Callable[[], None]] = {}


class PatchError(Exception):
    """ministack is not as the layer was written for."""


def wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Replace `owner.name` by `make(original)`."""
    original = getattr(owner, name, None)
    if original is None:
        raise PatchError(f"{owner.__name__} has no {name}: this ministack is not the one the layer was written for.")
    setattr(owner, name, make(original))


def replaced_once(text: str, old: str, new: str) -> str:
    """`text` with its only occurrence of `old` replaced; used on the script that ministack gives its workers."""
    if text.count(old) != 1:
        raise PatchError(f"ministack's worker script has {text.count(old)} times `{old}` where one was expected.")
    return text.replace(old, new)


def later(seconds: float, act: Callable[[], None]) -> None:
    """Do `act` in `seconds`, for the account and Region of the request at hand, which are context variables."""
    context = contextvars.copy_context()

    def due() -> None:
        if _waiting.pop(timer, None) is not None:
            context.run(act)

    timer = threading.Timer(seconds, due)
    timer.daemon = True
    _waiting[timer] = lambda: context.run(act)
    timer.start()


def do_waiting() -> None:
    """Do at once what waits for its time: when everything is about to be saved, or it would wait for ever."""
    while _waiting:
        timer = next(iter(_waiting))
        act = _waiting.pop(timer, None)
        timer.cancel()
        if act is not None:
            act()
