"""A service of the cases: functions that were made by somebody's template, and the operations that are run on them."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .plane import ControlPlane, Ended, unique

_SOURCE = """\
import os


def handler(event, context):
    return {{"says": {text!r}, "version": context.function_version, "color": os.environ.get("COLOR")}}
"""

ROLE = "e2e-functions"


def zip_of(text: str) -> bytes:
    """A function's zip that answers ``text``, its own version and its COLOR. The same text gives the same bytes."""
    return zip_of_source(_SOURCE.format(text=text))


def zip_of_source(source: str) -> bytes:
    """A function's zip whose ``app.py`` is this."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        package.writestr(zipfile.ZipInfo("app.py"), source)
    return content.getvalue()


def make_function(plane: ControlPlane, text: str = "one", **members: Any) -> str:
    """A function that exists before Stagekeeper hears of it; its name. It may still be Pending."""
    # Not beginning with `url`: ministack takes such a path for that of a function URL.
    name = unique("f")
    plane.client("lambda").create_function(
        **{
            "FunctionName": name,
            "Runtime": "python3.13",
            "Handler": "app.handler",
            "Role": f"arn:aws:iam::{plane.account}:role/{ROLE}",
            "Code": {"ZipFile": zip_of(text)},
        }
        | members
    )
    return name


def settled(plane: ControlPlane, function: str) -> None:
    """Return once nothing is under way for the function's $LATEST."""
    while True:
        seen = plane.client("lambda").get_function(FunctionName=function)["Configuration"]
        if seen["State"] != "Pending" and seen.get("LastUpdateStatus") != "InProgress":
            return
        time.sleep(0.02)


class Service:
    """``functions`` maps logical names to names on AWS; every one says "one" at first."""

    def __init__(self, plane: ControlPlane, *logical_names: str) -> None:
        self.plane = plane
        self.name = unique("service")
        self.functions = {logical: make_function(plane) for logical in logical_names}
        for function in self.functions.values():
            settled(plane, function)

    # Requests.

    def arn(self, logical: str) -> str:
        return self.plane.function_arn(self.functions[logical])

    def code(self, text: str) -> dict[str, Any]:
        """A wish for code that answers ``text``, uploaded."""
        return {"code": self.plane.upload(zip_of(text))}

    def wishes(self, **given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """``functions`` of a request that names the whole service, with what is ``given`` for some of them."""
        return {logical: {"function_name": function, **given.get(logical, {})} for logical, function in self.functions.items()}

    def request(self, operation: str, stage: str | None, **fields: Any) -> dict[str, Any]:
        asked = {"operation": operation, "service": self.name, **fields}
        return asked if stage is None else {**asked, "stage": stage}

    # Operations.

    def run(self, operation: str, stage: str | None, **fields: Any) -> Ended:
        return self.plane.run(self.request(operation, stage, **fields))

    def deploy(self, stage: str | None, functions: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
        """A deploy that succeeds; its output. ``functions`` is the whole service as it is, unless given."""
        return self.does("deploy", stage, functions=functions or self.wishes(), **fields)

    def deploy_text(self, stage: str | None, text: str, **fields: Any) -> dict[str, Any]:
        """A deploy after which every function of the stage says ``text``."""
        wish = self.code(text)
        return self.deploy(stage, self.wishes(**dict.fromkeys(self.functions, wish)), **fields)

    def stage_at(self, *texts: str) -> str:
        """A new stage that was deployed with each of these texts, in this order; its name."""
        stage = unique("stage")
        for text in texts:
            self.deploy_text(stage, text)
        return stage

    def rollback(self, stage: str, **fields: Any) -> dict[str, Any]:
        """A rollback that succeeds; its output."""
        return self.does("rollback", stage, **fields)

    def does(self, operation: str, stage: str | None = None, **fields: Any) -> dict[str, Any]:
        """An operation that succeeds; its output, which its report in S3 has word for word. ``from_`` is the field ``from``."""
        ended = self.run(operation, stage, **{name.rstrip("_"): value for name, value in fields.items()})
        assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
        if not fields.get("dry_run"):
            # The lists of the output are cut at 100 entries, which no case here reaches.
            assert {**self.plane.report(ended.output), "report": ended.output["report"]} == ended.output
        return ended.output

    # What the record says.

    def record(self, stage: str) -> dict[str, Any] | None:
        """The stage's item."""
        return self.plane.item(f"SERVICE#{self.name}", f"STAGE#{stage}")

    def way_back(self, stage: str) -> list[int]:
        return [int(number) for number in (self.record(stage) or {})["way_back"]]

    def ledger(self, stage: str) -> list[dict[str, Any]]:
        """The stage's movements, oldest first."""
        return self.plane.items(f"SERVICE#{self.name}", f"MOVEMENT#{stage}#")

    def releases(self) -> list[int]:
        return [int(item["release"]) for item in self.plane.items(f"SERVICE#{self.name}", "RELEASE#")]

    # What AWS says.

    def alias(self, logical: str, stage: str) -> dict[str, Any] | None:
        return alias_of(self.plane, self.functions[logical], stage)

    def versions(self, logical: str) -> list[str]:
        """The numbers of the published versions."""
        listed = self.plane.client("lambda").list_versions_by_function(FunctionName=self.functions[logical])["Versions"]
        return [version["Version"] for version in listed if version["Version"] != "$LATEST"]

    def answer(self, logical: str, stage: str) -> dict[str, Any]:
        """What the function answers when it is called through the stage's alias."""
        called = self.plane.client("lambda").invoke(FunctionName=self.functions[logical], Qualifier=stage)
        answered: dict[str, Any] = json.loads(called["Payload"].read())
        return answered

    def says(self, stage: str) -> dict[str, str]:
        """What each function of the service that has the stage's alias says through it."""
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(
                lambda logical: self.answer(logical, stage) if self.alias(logical, stage) else None, self.functions
            )
            return {logical: answer["says"] for logical, answer in zip(self.functions, answers, strict=True) if answer}

    def assert_agreement(self, stage: str, output: Mapping[str, Any] | None = None) -> None:
        """The stage's item, get-alias, an invocation through the alias and (if given) the operation's output say the same."""
        record = self.record(stage)
        assert record is not None, f"there is no item of stage {stage}"
        if output is not None:
            assert (output["stage"], output["release"]) == (stage, record["release"])
        told = {
            change["function"]: change["after"]
            for change in (output or {"changes": []})["changes"]
            if change["action"] in ("create_alias", "move_alias", "kept")
        }
        for logical in self.functions:
            alias, recorded = self.alias(logical, stage), record["functions"].get(self.arn(logical))
            if alias is None or recorded is None:
                assert (alias, recorded) == (None, None), f"{logical}: AWS has {alias}, the record {recorded}"
                assert logical not in told
                continue
            version = alias["FunctionVersion"]
            assert (recorded["function"], str(recorded["version"])) == (logical, version)
            assert recorded["revision_id"] in (alias["RevisionId"], None)
            assert self.answer(logical, stage)["version"] == version
            assert told.get(logical, version) == version


def alias_of(plane: ControlPlane, function: str, stage: str) -> dict[str, Any] | None:
    """GetAlias's answer without its metadata; None where there is no alias, or no function."""
    lambda_ = plane.client("lambda")
    try:
        answer = lambda_.get_alias(FunctionName=function, Name=stage)
    except lambda_.exceptions.ResourceNotFoundException:
        return None
    return {member: value for member, value in answer.items() if member != "ResponseMetadata"}


# Somebody else at work.


def publish_as_stranger(service: Service, logical: str, text: str) -> str:
    """Somebody else publishes a version; its number."""
    updated = service.plane.client("lambda").update_function_code(
        FunctionName=service.functions[logical], ZipFile=zip_of(text), Publish=True
    )
    # $LATEST gets a new RevisionId when the update is over.
    settled(service.plane, service.functions[logical])
    return str(updated["Version"])


def permit(service: Service, logical: str, qualifier: str, statement: str) -> None:
    """Somebody is allowed to call a version or an alias."""
    service.plane.client("lambda").add_permission(
        FunctionName=service.functions[logical],
        Qualifier=qualifier,
        StatementId=statement,
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
    )
