"""Makes, changes and deletes the resources of stacks: those of Lambda in the fake of Lambda, all others by writing them down.

A resource can be told to fail. Must not know stacks' states.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .errors import AwsError
from .lambda_ import FakeLambda
from .templates import Made

#: What can be told to fail. ROLLBACK: being put back to what it was.
Phase = Literal["CREATE", "UPDATE", "DELETE", "ROLLBACK"]


class ResourceFailed(Exception):
    """The reason is that of the event."""


@dataclass
class Failure:
    logical_id: str
    phase: Phase
    reason: str
    times: int | None


@dataclass
class Resources:
    """`kept` are the names of what is there that no fake of its own has, by type: a name can be given once."""

    lambda_: FakeLambda | None
    failures: list[Failure] = field(default_factory=list)
    kept: dict[tuple[str, str], str] = field(default_factory=dict)

    def refuse(self, logical_id: str, phase: Phase) -> None:
        """Fail if the test told so."""
        for failure in self.failures:
            if (failure.logical_id, failure.phase) == (logical_id, phase) and failure.times != 0:
                if failure.times is not None:
                    failure.times -= 1
                raise ResourceFailed(failure.reason)

    def create(self, logical_id: str, made: Made, stack_id: str) -> None:
        self.refuse(logical_id, "CREATE")
        if self.lambda_ is not None and (make := getattr(self, f"_create_{_method(made.type)}", None)) is not None:
            _translated(make, made, stack_id)
            return
        owner = self.kept.get((made.type, made.physical_id))
        if owner is not None:
            raise ResourceFailed(f"{made.physical_id} already exists in stack {owner}")
        self.kept[made.type, made.physical_id] = stack_id

    def update(self, logical_id: str, old: Made, new: Made, stack_id: str, phase: Phase = "UPDATE") -> None:
        self.refuse(logical_id, phase)
        if self.lambda_ is not None and new.type == "AWS::Lambda::Function":
            _translated(self._update_function, old, new)
        elif self.lambda_ is not None and new.type == "AWS::Lambda::EventSourceMapping":
            _translated(self._delete_mapping, old)
            _translated(self._create_mapping, new, stack_id)

    def delete(self, logical_id: str, made: Made) -> None:
        self.refuse(logical_id, "DELETE")
        if self.lambda_ is not None and (end := getattr(self, f"_delete_{_method(made.type)}", None)) is not None:
            try:
                _translated(end, made)
            except ResourceFailed as failed:
                # What is gone already is as good as deleted.
                if not isinstance(failed.__cause__, AwsError) or failed.__cause__.status != 404:
                    raise
            return
        self.kept.pop((made.type, made.physical_id), None)

    # Lambda's own.

    @property
    def _there(self) -> FakeLambda:
        assert self.lambda_ is not None
        return self.lambda_

    def _create_function(self, made: Made, stack_id: str) -> None:
        given = _configuration(made, ("Tags", "FunctionName", "Code"))
        code = _code(made.properties["Code"])
        self._there.quietly("CreateFunction", FunctionName=made.physical_id, Code=code, **given)
        tags = {tag["Key"]: tag["Value"] for tag in made.properties.get("Tags", [])}
        self._there.tag(made.physical_id, {**tags, "aws:cloudformation:stack-id": stack_id})
        self._there.settle_now(made.physical_id)

    def _update_function(self, old: Made, new: Made) -> None:
        if old.properties.get("Code") != new.properties.get("Code"):
            self._there.quietly("UpdateFunctionCode", FunctionName=new.physical_id, **_code(new.properties["Code"]))
            self._there.settle_now(new.physical_id)
        left_out = ("Code", "FunctionName", "Tags", "Architectures", "PackageType")
        same = tuple(name for name, value in new.properties.items() if value == old.properties.get(name))
        given = _configuration(new, (*left_out, *same))
        if given:
            self._there.quietly("UpdateFunctionConfiguration", FunctionName=new.physical_id, **given)
            self._there.settle_now(new.physical_id)

    def _delete_function(self, made: Made) -> None:
        self._there.quietly("DeleteFunction", FunctionName=made.physical_id)

    def _create_permission(self, made: Made, stack_id: str) -> None:  # noqa: ARG002  all of one form
        function, qualifier = _pointed_at(str(made.properties["FunctionName"]))
        rest = {name: value for name, value in made.properties.items() if name != "FunctionName"}
        self._there.quietly("AddPermission", FunctionName=function, StatementId=made.physical_id, **qualifier, **rest)

    def _delete_permission(self, made: Made) -> None:
        function, qualifier = _pointed_at(str(made.properties["FunctionName"]))
        self._there.quietly("RemovePermission", FunctionName=function, StatementId=made.physical_id, **qualifier)

    def _create_mapping(self, made: Made, stack_id: str) -> None:  # noqa: ARG002
        made.physical_id = str(self._there.quietly("CreateEventSourceMapping", **made.properties)["UUID"])

    def _delete_mapping(self, made: Made) -> None:
        self._there.quietly("DeleteEventSourceMapping", UUID=made.physical_id)

    def _create_url(self, made: Made, stack_id: str) -> None:  # noqa: ARG002
        given = made.properties
        qualifier = {"Qualifier": given["Qualifier"]} if "Qualifier" in given else {}
        self._there.quietly(
            "CreateFunctionUrlConfig", FunctionName=given["TargetFunctionArn"], AuthType=given["AuthType"], **qualifier
        )

    def _delete_url(self, made: Made) -> None:
        given = made.properties
        qualifier = {"Qualifier": given["Qualifier"]} if "Qualifier" in given else {}
        self._there.quietly("DeleteFunctionUrlConfig", FunctionName=given["TargetFunctionArn"], **qualifier)


def _method(kind: str) -> str:
    return {
        "AWS::Lambda::Function": "function",
        "AWS::Lambda::Permission": "permission",
        "AWS::Lambda::EventSourceMapping": "mapping",
        "AWS::Lambda::Url": "url",
    }.get(kind, "nothing")


def _translated(act: Any, *given: Any) -> None:
    try:
        act(*given)
    except AwsError as error:
        raise ResourceFailed(f'Resource handler returned message: "{error.message} (Service: Lambda)"') from error


def _pointed_at(function: str) -> tuple[str, dict[str, str]]:
    """A function's name or ARN, and the alias or version that is part of it."""
    parts = function.split(":")
    if len(parts) == 8:
        return ":".join(parts[:7]), {"Qualifier": parts[7]}
    if len(parts) == 2:
        return parts[0], {"Qualifier": parts[1]}
    return function, {}


def _configuration(made: Made, left_out: tuple[str, ...]) -> dict[str, Any]:
    """The members that Lambda's own calls have; a number may have come from a parameter, as text."""
    given = {name: value for name, value in made.properties.items() if name not in (*left_out, "ReservedConcurrentExecutions")}
    return {name: int(value) if name in ("Timeout", "MemorySize") else value for name, value in given.items()}


def _code(given: Mapping[str, Any]) -> dict[str, Any]:
    """Code in the template is the text of one file."""
    if "ZipFile" not in given:
        return dict(given)
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), str(given["ZipFile"]))
    return {"ZipFile": package.getvalue()}
