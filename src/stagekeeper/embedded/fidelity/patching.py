"""How a patch is laid: wrap a function of one of ministack's modules, or say at start-up that it is not there.

Knows nothing of what any patch does. A ministack whose names have changed must stop the server with a sentence, not
leave it running with a rule missing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

# What ministack's handlers answer with: status, headers, body.
Answer = tuple[int, dict[str, str], bytes]


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
