"""DynamoDB's attribute values: as they travel (``{"S": "text"}``), and as plain Python values, as boto3's resource has them.

An attribute value made here is never changed again, so it may be held and handed on without a copy. It knows texts, numbers,
booleans, null, maps and lists; sets and binaries raise. Must not know tables.

AWS's rules (developer guide, Naming rules and data types; API reference, AttributeValue): a number has at most 38 digits and
travels as text; a value is of exactly one type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Clamped, Context, Decimal, Inexact, InvalidOperation, Overflow, Rounded, Underflow
from typing import Any

from .errors import AwsError, validation

Value = Mapping[str, Any]
Attributes = Mapping[str, Value]

#: What DynamoDB takes for a number: any other traps.
_NUMBERS = Context(Emin=-128, Emax=126, prec=38, traps=[Clamped, Overflow, Inexact, Rounded, Underflow, InvalidOperation])
_NULL: Value = {"NULL": True}
_TRUE: Value = {"BOOL": True}
_FALSE: Value = {"BOOL": False}


def _number(text: str) -> str:
    """A number as DynamoDB writes it: without zeros that say nothing, so that equal numbers are equal texts."""
    value = _NUMBERS.create_decimal(text)
    return "0" if value == 0 else f"{value.normalize(_NUMBERS):f}"


def typed(value: Any) -> Value:
    """A plain value as it travels. Raises TypeError for one that DynamoDB has no words for, such as a float."""
    kind = type(value)
    if kind is str:
        return {"S": value}
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is int:
        return {"N": _number(str(value)) if abs(value) > _EXACT else str(value)}
    if value is None:
        return _NULL
    if isinstance(value, Mapping):
        return {"M": {_name(name): typed(member) for name, member in value.items()}}
    if isinstance(value, list | tuple):
        return {"L": [typed(entry) for entry in value]}
    if isinstance(value, str):
        return {"S": str.__str__(value)}
    if isinstance(value, int | Decimal):
        return {"N": _number(str(value))}
    raise TypeError(f"{value!r} is no value of a table")


#: Whole numbers up to here have no more than 38 digits for certain.
_EXACT = 10**30


def _name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name of an attribute")
    return str.__str__(name)


def plain(value: Value) -> Any:
    """As boto3's resource gives it."""
    ((kind, held),) = value.items()
    match kind:
        case "S" | "BOOL":
            return held
        case "N":
            return Decimal(held)
        case "M":
            return {name: plain(member) for name, member in held.items()}
        case "L":
            return [plain(entry) for entry in held]
        case "NULL":
            return None
    raise NotImplementedError(f"the table holds a {kind}")


def canonical(value: Any) -> Value:
    """A value as it came, checked and copied. Raises AwsError."""
    if not isinstance(value, Mapping) or len(value) != 1:
        raise validation("Supplied AttributeValue has more than one datatypes set, must contain exactly one of them")
    ((kind, held),) = value.items()
    check = _CANONICAL.get(kind)
    if check is None:
        raise validation("Supplied AttributeValue is empty, must contain exactly one of the supported datatypes")
    return {kind: check(held)}


def _text(held: Any) -> str:
    if not isinstance(held, str):
        raise AwsError("SerializationException", "STRING_VALUE cannot be converted to the type that was given")
    return held


def _digits(held: Any) -> str:
    try:
        return _number(_text(held))
    except ArithmeticError:
        raise validation(f"The parameter cannot be converted to a numeric value: {held}") from None


def _truth(held: Any) -> bool:
    if not isinstance(held, bool):
        raise AwsError("SerializationException", "The value is neither true nor false")
    return held


def _nothing(held: Any) -> bool:
    if held is not True:
        raise validation("One or more parameter values were invalid: Null attribute value types must have the value of true")
    return True


_CANONICAL: Mapping[str, Callable[[Any], Any]] = {
    "S": _text,
    "N": _digits,
    "BOOL": _truth,
    "NULL": _nothing,
    "M": lambda held: {name: canonical(member) for name, member in held.items()},
    "L": lambda held: [canonical(entry) for entry in held],
}


def size_of(value: Value) -> int:
    """Bytes, as AWS counts them against an item's 400 KB (developer guide, Item sizes and formats)."""
    ((kind, held),) = value.items()
    match kind:
        case "S":
            return len(held) if held.isascii() else len(held.encode())
        case "N":
            return (len(held) + 1) // 2 + 1
        case "M":
            return 3 + sum(len(name.encode()) + 1 + size_of(member) for name, member in held.items())
        case "L":
            return 3 + sum(1 + size_of(entry) for entry in held)
    return 1
