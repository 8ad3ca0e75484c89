"""What a reference to a function means where it stands: a call that follows the alias, a mere mention, or neither to be known."""

from __future__ import annotations

import re
from enum import Enum, auto

from stagekeeper.domain.intrinsics import Reference
from stagekeeper.domain.split_model import STAGE
from stagekeeper.domain.split_triggers import CANNOT, FUNCTION, PASSIVE, TEXT, matches, place, trigger_of


class Meaning(Enum):
    ALIAS = auto()
    """A call: the alias's ARN stands for it."""
    BESIDE = auto()
    """A call, whose alias is a member of its own."""
    NAMED = auto()
    """A call by an ARN that is put together from the name: the alias is put after it."""
    ASSUMED = auto()
    """The ARN, in a place not known here: taken as a call."""
    ASSUMED_NAMED = auto()
    """As ASSUMED, by an ARN put together from the name."""
    OWN = auto()
    """Its user put a qualifier after it."""
    CANNOT = auto()
    """A call that takes no alias."""
    BARE = auto()
    """The bare name, in a type not known here."""
    MENTION = auto()
    """The bare name, in a known type, in a place that is not known to call."""
    PLAIN = auto()
    """No call."""


CALLS = frozenset({Meaning.ALIAS, Meaning.BESIDE, Meaning.NAMED, Meaning.ASSUMED, Meaning.ASSUMED_NAMED})
ASSUMED = frozenset({Meaning.ASSUMED, Meaning.ASSUMED_NAMED})

_QUALIFIER = re.compile(r"^:(\$\{[^}]+\}|\0|[A-Za-z0-9_$*-]+)")


def meaning(kind: str, reference: Reference) -> Meaning:
    """``kind``: the type of the resource that the reference stands in; its target is a function."""
    where = place(reference.path)
    if reference.path[:1] != ("Properties",) or reference.attribute not in (None, "Arn") or kind in PASSIVE or kind == FUNCTION:
        return Meaning.PLAIN
    if where[:1] and where[0] in TEXT:
        return Meaning.PLAIN
    if kind in CANNOT and matches(CANNOT[kind][0], where):
        return Meaning.CANNOT
    trigger = trigger_of(kind)
    if trigger is not None and matches(trigger.plain, where):
        return Meaning.PLAIN
    if qualifier(reference) is not None:
        return Meaning.OWN
    in_arn = reference.attribute is None and (reference.before or "").endswith("function:")
    if trigger is not None and matches(trigger.places, where):
        if trigger.qualifier is not None and where == trigger.places[0]:
            return Meaning.BESIDE
        return Meaning.NAMED if in_arn else Meaning.ALIAS
    if reference.attribute == "Arn":
        return Meaning.ASSUMED
    if in_arn:
        return Meaning.ASSUMED_NAMED
    return Meaning.BARE if trigger is None and kind not in CANNOT else Meaning.MENTION


def qualifier(reference: Reference) -> str | None:
    """What its user put after the function's name or ARN; a zero byte where that is computed."""
    found = _QUALIFIER.match(reference.after or "")
    return found.group(1) if found else None


def is_stages(written: str) -> bool:
    """Whether a qualifier is the stage's, or all of them."""
    return written in ("*", "\0", f"${{{STAGE}}}")
