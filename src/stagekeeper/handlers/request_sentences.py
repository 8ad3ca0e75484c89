"""What is wrong with the form of a request, in words that its author can act on. Never holds a value of the request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from stagekeeper.domain.configuration import OVERLAY_MEMBERS, WITHHELD_MEMBERS
from stagekeeper.handlers.request_forms import IMAGE, SECRET, TEXT, ZIP

_LATER_FIELDS = ("target",)
_S3_FIELDS = ("s3_bucket", "s3_key", "s3_object_version", "sha256")

#: pydantic's kinds of mistakes -> our words. What is in braces is the form's own, never the request's.
_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "dict_type": "must be a JSON object",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "model_type": "must be a JSON object",
    "string_type": "must be a string",
    "string_unicode": "must be text that can be written as UTF-8",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
}


def sentences(error: ValidationError, where: str) -> list[str]:
    """One sentence per mistake. ``where`` is the place of the form in the request."""
    lines = []
    for mistake in error.errors(include_url=False, include_input=False):
        parts = [str(part) for part in mistake["loc"] if part not in ("[key]", ZIP, IMAGE, TEXT, SECRET)]
        place = ".".join(([where] if where else []) + parts)
        lines.append(f"{place}: {_words(mistake['type'], mistake['msg'], mistake.get('ctx', {}), parts)}")
    return lines


def _words(kind: str, message: str, context: Mapping[str, Any], parts: list[str]) -> str:
    match kind:
        case "extra_forbidden":
            return _unknown(parts)
        case "value_error":
            return message.removeprefix("Value error, ")
        case "literal_error":
            return "must be " + " or ".join(re.findall("'([^']*)'", context["expected"]))
    return _WORDS[kind].format(**context)


def _unknown(parts: list[str]) -> str:
    *above, field = parts
    if above[-1:] == ["configuration"]:
        if field in WITHHELD_MEMBERS:
            return f"cannot be given: {WITHHELD_MEMBERS[field]}. The function keeps what it has"
        return f"not among the members that may be given: {', '.join(sorted(OVERLAY_MEMBERS))}"
    if above[-1:] == ["code"] and field in _S3_FIELDS:
        return "not beside image_uri, which says by its digest what the code is"
    if not above and field in _LATER_FIELDS:
        return "reserved for a later version"
    return "unknown field"
