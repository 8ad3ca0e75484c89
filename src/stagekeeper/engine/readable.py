"""Deciding on what was read: a fact that cannot be read refuses, since nothing can be decided without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from stagekeeper.aws.errors import CallFailed
from stagekeeper.aws.table import MalformedItem
from stagekeeper.domain.refusal import Code, Refusal

T = TypeVar("T")


def readable(decide: Callable[[], T]) -> T | Refusal:
    """The decision, or the refusal that says what could not be read."""
    try:
        return decide()
    except CallFailed as error:
        return Refusal(Code.UNREADABLE, f"{error}. Nothing was changed. Mend that and try again.", (error.what,))
    except MalformedItem as error:
        return Refusal(Code.UNREADABLE, f"The state is not on record as this version writes it: {error}. Nothing was changed.")
