"""Which parameters a template asks for, which of those given it does not know, and which values it does not take.

Must not know what they are for. Values are judged only where CloudFormation's judgement is certain; the rest is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from stagekeeper.domain.split_model import RESERVED, Path, Problem, Template

_DYNAMIC = re.compile(r"\{\{resolve:(secretsmanager|ssm-secure|ssm):[^{}]+\}\}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
# What Java takes for something else than Python does: operations on sets, and sets in sets.
_JAVAS_OWN = re.compile(r"&&|--|\|\||~~|\[[^\]]*\[")
# YAML makes another number of it than its text is: 0123, 12:30, 1_000, 0x1F.
_TEXT_OF_NUMBERS = re.compile(r"[+-]?0\d.*|[+-]?\d.*[:_xXoO].*")
_YES_OR_NO = {True: ("true", "yes", "on", "y"), False: ("false", "no", "off", "n")}


def required_parameters(template: Template) -> tuple[str, ...]:
    """Parameters without a Default that somebody else than the control plane has to give, in the template's order."""
    return tuple(
        name
        for name, declared in _declared(template).items()
        if name not in RESERVED and not (isinstance(declared, Mapping) and "Default" in declared)
    )


def unknown_parameters(template: Template, given: Collection[str]) -> tuple[str, ...]:
    """Given ones that the template does not declare."""
    return tuple(sorted(set(given) - set(_declared(template))))


def parameter_problems(template: Template, lines: Mapping[Path, int], given: Collection[str]) -> tuple[Problem, ...]:
    """Everything that is wrong with the names of the parameters given, each with its line in the template."""
    missing = [
        Problem(
            f"The template's parameter {name} has no Default and the request gives none. Add it to the request's parameters.",
            None,
            lines.get(("Parameters", name)),
        )
        for name in required_parameters(template)
        if name not in given
    ]
    reserved = [
        Problem(
            f"The parameter {name} is filled by Stagekeeper. Leave it out of the request's parameters.",
            None,
            lines.get(("Parameters", name)),
        )
        for name in RESERVED
        if name in given
    ]
    unknown = [
        Problem(f"The template has no parameter {name}. Check the spelling, or declare it under Parameters.")
        for name in unknown_parameters(template, given)
        if name not in RESERVED
    ]
    return (*missing, *reserved, *unknown)


def value_problems(template: Template, lines: Mapping[Path, int], values: Mapping[str, str]) -> tuple[Problem, ...]:
    """The values that CloudFormation would refuse: of ``values``, and Defaults where none is given."""
    found: list[Problem] = []
    for name, declared in _declared(template).items():
        if name in RESERVED or not isinstance(declared, Mapping) or (name not in values and "Default" not in declared):
            continue
        value = values[name] if name in values else declared["Default"]
        wrong = next(_wrong(declared, value), None)
        if wrong is not None:
            what = f"The value of the parameter {name}" if name in values else f"The Default of the parameter {name}"
            shown = "" if is_secret(declared) else f", {_short(value)},"
            description = declared.get("ConstraintDescription")
            told = f" ({description})" if isinstance(description, str) else ""
            sentence = f"{what}{shown} {wrong}{told}. Give another in the request's parameters."
            found.append(Problem(sentence, None, lines.get(("Parameters", name))))
    return tuple(found)


def is_secret(declared: object) -> bool:
    """Whether a parameter's value is not to be shown to anybody."""
    return isinstance(declared, Mapping) and str(declared.get("NoEcho", "")).lower() == "true"


def is_reference(value: str) -> bool:
    """Whether a value is one dynamic reference, which CloudFormation resolves where it is used, and nothing around it."""
    return _DYNAMIC.fullmatch(value) is not None


def _wrong(declared: Mapping[str, Any], value: object) -> Iterator[str]:
    """Why a value is not taken. Defaults may be what YAML makes of them."""
    kind = declared.get("Type")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str | int | float) or "{{resolve:" in text:
        return
    lists = kind in ("CommaDelimitedList", "List<Number>")
    members = [part.strip() for part in text.split(",")] if lists else [text]
    if kind == "Number" or (kind == "List<Number>" and text.strip()):
        if not all(_NUMBER.fullmatch(member.strip()) for member in members):
            yield "is no number" if kind == "Number" else "is not a list of numbers"
            return
        yield from _beyond("MinValue", "MaxValue", declared, [float(member) for member in members], "")
    elif kind not in ("String", "CommaDelimitedList"):
        # What AWS knows of, as names of keys: to be looked up, not judged.
        return
    allowed = declared.get("AllowedValues")
    if isinstance(allowed, list) and value not in allowed and not all(_is_among(member, allowed) for member in members):
        yield f"is not among its AllowedValues: {', '.join(map(_short, allowed))}"
    if not isinstance(value, str) or kind in ("Number", "List<Number>"):
        return
    pattern = declared.get("AllowedPattern")
    if isinstance(pattern, str) and not all(_matches(pattern, member) for member in members):
        yield f"does not match its AllowedPattern: {pattern}"
    if kind == "String":
        yield from _beyond("MinLength", "MaxLength", declared, [float(len(text))], " characters")


def _beyond(low: str, high: str, declared: Mapping[str, Any], numbers: list[float], unit: str) -> Iterator[str]:
    least, most = _number(declared.get(low)), _number(declared.get(high))
    if least is not None and any(number < least for number in numbers):
        yield f"is less than its {low}, {declared[low]}{unit}"
    if most is not None and any(number > most for number in numbers):
        yield f"is more than its {high}, {declared[high]}{unit}"


def _number(value: object) -> float | None:
    text = str(value)
    return float(text) if isinstance(value, str | int | float) and _NUMBER.fullmatch(text) else None


def _is_among(text: str, allowed: list[Any]) -> bool:
    return any(_is_same(text, each) for each in allowed)


def _is_same(text: str, allowed: object) -> bool:
    if isinstance(allowed, bool):
        return text.lower() in _YES_OR_NO[allowed]
    if isinstance(allowed, str):
        return text == allowed
    return _TEXT_OF_NUMBERS.fullmatch(text) is not None or text == str(allowed) or _number(text) == _number(allowed) is not None


def _matches(pattern: str, text: str) -> bool:
    """CloudFormation's expressions are Java's, which match from end to end. What Python does not read is left to it."""
    if _JAVAS_OWN.search(pattern):
        return True
    try:
        return re.fullmatch(pattern, text, re.ASCII) is not None
    except (re.error, OverflowError, RecursionError):
        return True


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _declared(template: Template) -> Mapping[str, object]:
    declared = template.get("Parameters")
    return declared if isinstance(declared, Mapping) else {}
