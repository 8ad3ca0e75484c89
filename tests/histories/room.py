"""Room for a long run: on the interpreter's stack, and before its garbage collector.

CPython gives frames room in pieces of 16 KiB, each mapped when a call does not fit into the last one and given back when that
call returns. pytest, hypothesis and botocore make a deep stack, and where the end of a piece comes to lie in the middle of a hot
loop, a third of the run goes into mapping memory. One frame that claims half a megabyte makes one piece for all that it calls.
And the collector looks again and again through models of AWS that live to the end.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

#: Objects on the frame's stack, of 8 bytes each: the piece is the next power of two, and what is over is for others.
_WORDS = 70_000


def _on_a_large_frame(call: Callable[[], T]) -> T:
    return call()


_on_a_large_frame.__code__ = _on_a_large_frame.__code__.replace(co_stacksize=_WORDS)


def with_room(call: Callable[[], T]) -> T:
    """Call it with half a megabyte of stack in one piece, and with garbage collected more seldom."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    try:
        return _on_a_large_frame(call)
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
