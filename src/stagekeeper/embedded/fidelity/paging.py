"""Lists in pages: never more at a time than AWS gives, whatever MaxItems asks for, and a marker to go on from.

Knows a list of things by their keys; what they are is for the rules to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagekeeper.embedded.fidelity import answers
from stagekeeper.embedded.fidelity.door import Call
from stagekeeper.embedded.fidelity.patching import Answer


def answer(call: Call, member: str, items: Mapping[str, Any], largest: int) -> Answer:
    """One page of `items` under the name `member`, in the order of their keys.

    The marker is the last key given, so nothing is skipped when an item goes between two pages.
    """
    marker = call.request.parameter("Marker")
    size = min(int(call.request.parameter("MaxItems") or largest), largest)
    left = [key for key in sorted(items) if marker is None or key > marker]
    more = {"NextMarker": left[size - 1]} if len(left) > size else {}
    return answers.ok({member: [items[key] for key in left[:size]], **more})
