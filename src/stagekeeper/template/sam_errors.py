"""What the SAM translator says of a template, in a sentence that names the resource and its line in the user's text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stagekeeper.domain.split_model import Path, Problem, Source

_NAMED = re.compile(r"^(?P<what>Resource|Event) with id \[(?P<id>[^\]]*)\] is invalid\. (?P<why>.*)$", re.DOTALL)
_DUPLICATE = re.compile(r"^Transforming resource with id \[(?P<id>[^\]]*)\]")
_MEMBER = re.compile(r"(?:[Pp]roperty '?|^')(?P<member>[A-Za-z.]+)'?")
_PACKAGE = "Package the template first: sam package puts the code into a bucket and its address here."


def readable(trouble: Any, source: Source) -> Problem:
    """``trouble``: one of the translator's exceptions, whose ``message`` is its text."""
    message = str(trouble.message).strip()
    named = _NAMED.match(message)
    if named is None:
        duplicate = _DUPLICATE.match(message)
        logical_id = duplicate.group("id") if duplicate else None
        path: Path = ("Resources", logical_id) if logical_id else ("Resources",)
        return Problem(_sentence(message), logical_id, source.lines.get(path))
    why = named.group("why")
    found = _place(named.group("id"), source)
    if found is None:
        return Problem(_sentence(f"{named.group('id')}: {why}"), None, None)
    logical_id, path = found
    inner = _NAMED.match(why)
    if inner is not None and (deeper := _place(logical_id + inner.group("id"), source)) is not None:
        (_, path), why = deeper, inner.group("why")
    event = path[4] if len(path) > 4 else None
    where = f"{logical_id}, event {event}" if event else logical_id
    advice = f" {_PACKAGE}" if "s3://" in why else ""
    return Problem(_sentence(f"{where}: {why}") + advice, logical_id, _line(path, why, source))


def _place(said: str, source: Source) -> tuple[str, Path] | None:
    """A resource, or an event of one: the translator names an event by itself, or by both names without anything between."""
    resources: Mapping[str, Any] = source.body["Resources"]
    if said in resources:
        return said, ("Resources", said)
    for logical_id, resource in resources.items():
        properties = resource.get("Properties")
        events = properties.get("Events") if isinstance(properties, Mapping) else None
        for event in events if isinstance(events, Mapping) else ():
            if said in (event, logical_id + event):
                return logical_id, ("Resources", logical_id, "Properties", "Events", event)
    owners = [logical_id for logical_id in resources if said.startswith(logical_id)]
    if owners:
        owner = max(owners, key=len)
        return owner, ("Resources", owner)
    return None


def _line(path: Path, why: str, source: Source) -> int | None:
    """The line of the member that is spoken of, where it stands there."""
    member = _MEMBER.search(why)
    if member:
        deeper = (*path, "Properties", *member.group("member").split("."))
        if deeper in source.lines:
            return source.lines[deeper]
    return source.lines.get(path) or source.lines.get(path[:2])


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."
