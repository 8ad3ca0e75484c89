"""A custom resource of the cases' own, `Custom::Gate`: CloudFormation's work on it fails when it is told to."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Iterator
from typing import Any

from .plane import ControlPlane
from .service import make_function, settled

REASON = "the gate is closed"

_SOURCE = f"""\
import json
import os
import urllib.request


def handler(event, context):
    asked = event["RequestType"] + " " + event["ResourceProperties"]["Says"]
    answer = {{name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}}
    answer["PhysicalResourceId"] = event.get("PhysicalResourceId") or "gate"
    answer["Status"] = "FAILED" if asked in os.environ["CLOSED"].split(",") else "SUCCESS"
    answer["Reason"] = {REASON!r}
    request = urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), {{"Content-Type": ""}}, method="PUT")
    urllib.request.urlopen(request)
"""


class Gate:
    """The function behind the resource: nobody's but the cases'."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("app.py", _SOURCE)
        self._name = make_function(plane, Code={"ZipFile": content.getvalue()}, Environment={"Variables": {"CLOSED": ""}})
        settled(plane, self._name)

    def resource(self, says: str, *, scope: str | None = None, after: str | None = None) -> dict[str, Any]:
        """A resource for a template, with a property that says so; ``after`` is made before it."""
        resource: dict[str, Any] = {
            "Type": "Custom::Gate",
            "Properties": {"ServiceToken": self._plane.function_arn(self._name), "Says": says},
        }
        if scope is not None:
            resource["Metadata"] = {"Stagekeeper": {"Scope": scope}}
        if after is not None:
            resource["DependsOn"] = after
        return resource

    @contextlib.contextmanager
    def closed(self, *requests: str) -> Iterator[None]:
        """While inside, these fail: "Create", "Update" or "Delete" of a resource that says so, as "Update two"."""
        self._tell(",".join(requests))
        try:
            yield
        finally:
            self._tell("")

    def _tell(self, closed: str) -> None:
        variables = {"Variables": {"CLOSED": closed}}
        self._plane.client("lambda").update_function_configuration(FunctionName=self._name, Environment=variables)
        settled(self._plane, self._name)
