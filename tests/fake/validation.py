"""AWS's form check of a request: lengths, ranges, patterns and enumerations of the service model.

botocore checks only some of this before it sends; AWS checks all of it before it looks anything up, and answers
`ValidationException` with one sentence per broken constraint. The sentences are AWS's own (recorded from AWS
2025-11-25, localstack snapshots TestLambdaAlias::test_alias_naming and ::test_notfound_and_invalid_routingconfigs).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from .errors import AwsError, invalid_parameter, validation


def check(operation: OperationModel, params: dict[str, Any]) -> None:
    """Raise AWS's `ValidationException` when the request breaks the model's constraints."""
    shape = operation.input_shape
    if shape is None:
        return
    broken = list(_broken(shape, params, ""))
    if broken:
        plural = "error" if len(broken) == 1 else "errors"
        raise validation(f"{len(broken)} validation {plural} detected: " + "; ".join(broken))
    if "Runtime" in params:
        _check_runtime(shape.members["Runtime"], params["Runtime"])


def _check_runtime(shape: Shape, runtime: str) -> None:
    known = _model(shape).get("enum", [])
    if runtime not in known:
        raise _unknown_runtime(runtime, known)


def _unknown_runtime(runtime: str, known: list[str]) -> AwsError:
    return invalid_parameter(
        f"Value {runtime} at 'runtime' failed to satisfy constraint:"
        f" Member must satisfy enum value set: [{', '.join(known)}] or be a valid ARN"
    )


def _broken(shape: Shape, value: Any, path: str) -> Iterator[str]:
    match shape:
        case StructureShape():
            for name, member in shape.members.items():
                if name in value and member.type_name != "blob":
                    yield from _broken(member, value[name], f"{path}.{_camel(name)}" if path else _camel(name))
        case MapShape():
            yield from _broken_map(shape, value, path)
        case ListShape():
            for index, item in enumerate(value, start=1):
                yield from _broken(shape.member, item, f"{path}.{index}.member")
            yield from (_sentence(value, path, c) for c in _constraints(shape, len(value), "length"))
        case _:
            yield from (_sentence(value, path, constraint) for constraint in _scalar(shape, value))


def _broken_map(shape: MapShape, value: dict[str, Any], path: str) -> Iterator[str]:
    shown = "{" + ", ".join(f"{k}={v}" for k, v in value.items()) + "}"
    if isinstance(shape.key, Shape) and any(list(_scalar(shape.key, key)) for key in value):
        yield _sentence(shown, path, f"Map keys must satisfy constraint: [{', '.join(_all(shape.key))}]")
    if any(list(_scalar(shape.value, item)) for item in value.values() if isinstance(item, str | int | float)):
        limits = ", ".join([*_all(shape.value), "Member must not be null"])
        yield _sentence(shown, path, f"Map value must satisfy constraint: [{limits}]")


def _scalar(shape: Shape, value: Any) -> Iterator[str]:
    model = _model(shape)
    match shape.type_name:
        case "string":
            yield from _constraints(shape, len(value), "length")
            if (pattern := model.get("pattern")) and not re.fullmatch(pattern, value):
                yield f"Member must satisfy regular expression pattern: {pattern}"
            # Runtime has a sentence and an error of its own, see check().
            if (known := model.get("enum")) and shape.name != "Runtime" and value not in known:
                yield f"Member must satisfy enum value set: [{', '.join(known)}]"
        case "integer" | "long" | "float" | "double":
            yield from _constraints(shape, value, "value")


def _constraints(shape: Shape, measure: float, what: str) -> Iterator[str]:
    model = _model(shape)
    low, high = model.get("min"), model.get("max")
    if high is not None and measure > high:
        yield f"Member must have {what} less than or equal to {high}"
    if low is not None and measure < low:
        yield f"Member must have {what} greater than or equal to {low}"


def _all(shape: Shape) -> list[str]:
    """Every constraint of a shape, broken or not: AWS lists them all when a map breaks one."""
    model = _model(shape)
    what = "length" if shape.type_name == "string" else "value"
    told = []
    if (high := model.get("max")) is not None:
        told.append(f"Member must have {what} less than or equal to {high}")
    if (low := model.get("min")) is not None:
        told.append(f"Member must have {what} greater than or equal to {low}")
    if (pattern := model.get("pattern")) is not None:
        told.append(f"Member must satisfy regular expression pattern: {pattern}")
    return told


def _sentence(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def _camel(name: str) -> str:
    return name[0].lower() + name[1:]


def _model(shape: Shape) -> dict[str, Any]:
    # botocore keeps `pattern` only in the raw model of a shape.
    model: dict[str, Any] = vars(shape)["_shape_model"]
    return model
