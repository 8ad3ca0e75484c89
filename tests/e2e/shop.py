"""The example `examples/shop` as a service of the cases: packaged as its README says, deployed, and asked who answers.

Knows what the application's functions answer; must not know how its template is split.
"""

from __future__ import annotations

import copy
import http.client
import io
import json
import os
import shlex
import subprocess
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stagekeeper.domain.split_model import Source
from stagekeeper.embedded import deploy
from stagekeeper.template.read import read

from .plane import ControlPlane, Ended, unique
from .service import alias_of

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "shop"
FUNCTIONS = ("Orders", "Worker", "Report")


@dataclass(frozen=True)
class Package:
    """What `sam package` leaves: the template as text and as data; ``built`` is what `sam build` made of the code."""

    text: str
    body: Mapping[str, Any]
    built: Path


def commands() -> dict[str, list[str]]:
    """The `sam` commands of the example's README, by what they do, without the program's name."""
    lines = (EXAMPLE / "README.md").read_text(encoding="utf-8").splitlines()
    split = [shlex.split(line)[1:] for line in lines if line.startswith("sam ")]
    return {command[0]: command for command in split}


def package(plane: ControlPlane) -> Package:
    """`sam build` and `sam package` as the example's README has them, but that what they write is the instance's."""
    folder = plane.instance.folder / "build" / "shop"
    packaged = folder / "packaged.yaml"
    places = {"$ARTIFACT_BUCKET": plane.bucket, "packaged.yaml": str(packaged)}
    build, pack = ([places.get(word, word) for word in commands()[what]] for what in ("build", "package"))
    sam(plane, *build, "--build-dir", str(folder))
    sam(plane, *pack, "--template-file", str(folder / "template.yaml"))
    text = packaged.read_text(encoding="utf-8")
    source = read(text)
    assert isinstance(source, Source), source
    return Package(text, source.body, folder)


def sam(plane: ControlPlane, *command: str) -> None:
    """The real `sam` in the example's folder, on the embedded AWS."""
    config = plane.instance.folder / "samconfig.toml"
    ran = subprocess.run(  # noqa: S603 - the checkout's own tool, no shell
        [str(deploy.sam_cli(ROOT)), *command, "--config-file", str(config), "--region", plane.region],
        cwd=EXAMPLE,
        env=deploy.environment(plane.instance, os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


class Shop:
    """One service of the example. ``body`` is its template, to be changed at will before the next deploy."""

    def __init__(self, plane: ControlPlane, packaged: Package, name: str | None = None) -> None:
        self.plane = plane
        self.name = name or unique("shop")
        self._packaged = packaged
        self.body: dict[str, Any] = copy.deepcopy(dict(packaged.body))
        self._apis: dict[str | None, str] = {}

    @property
    def resources(self) -> dict[str, Any]:
        resources: dict[str, Any] = self.body["Resources"]
        return resources

    def edition(self, text: str) -> None:
        """New code of all functions, which answers so."""
        content = io.BytesIO()
        built = self._packaged.built / "Orders"
        with zipfile.ZipFile(content, "w") as archive:
            for path in sorted(path for path in built.rglob("*") if path.is_file()):
                name = path.relative_to(built).as_posix()
                code = path.read_bytes()
                if name == "edition.py":
                    code = code.replace(b'EDITION = "one"', f'EDITION = "{text}"'.encode())
                archive.writestr(zipfile.ZipInfo(name), code)
        place = self.plane.upload(content.getvalue(), f"code/{self.name}/{text}.zip")
        for function in FUNCTIONS:
            self.resources[function]["Properties"]["CodeUri"] = f"s3://{place['s3_bucket']}/{place['s3_key']}"

    # Operations.

    def ask(self, operation: str, stage: str | None = None, **fields: Any) -> Ended:
        """``from_`` is the field ``from``."""
        request = {"operation": operation, "service": self.name, **{name.rstrip("_"): value for name, value in fields.items()}}
        return self.plane.run(request if stage is None else {**request, "stage": stage})

    def does(self, operation: str, stage: str | None = None, **fields: Any) -> dict[str, Any]:
        """An operation that succeeds; its output."""
        ended = self.ask(operation, stage, **fields)
        assert ended.status == "SUCCEEDED", f"{ended.error}: {ended.cause}"
        return ended.output

    def place(self, text: str | None = None) -> dict[str, str]:
        """The template as it is now, or any other, where requests find it."""
        return self.plane.upload((text or json.dumps(self.body)).encode(), f"code/{self.name}/{unique('packaged')}.yaml")

    def try_deploy(self, stage: str | None, **fields: Any) -> Ended:
        return self.ask("deploy", stage, template=self.place(), **fields)

    def deploy(self, stage: str | None, **fields: Any) -> dict[str, Any]:
        return self.does("deploy", stage, template=self.place(), **fields)

    # Who answers. Without a stage: the application as `sam deploy` alone makes it, of which the service's name is the stack's.

    def editions(self, *stages: str) -> dict[str, str]:
        """The edition that answers for each stage, after all its ways to a function were gone, and agreed."""
        with ThreadPoolExecutor(len(stages)) as pool:
            return dict(zip(stages, pool.map(self._edition, stages), strict=True))

    def _edition(self, stage: str) -> str:
        order_id, took = self.order(stage)
        order, told = self.wait_for(stage, order_id)
        reported = self.report(stage)
        whos = {"take": took, "tell": told, "pack": order["packed_by"], "report": reported}
        assert {who["stage"] for who in whos.values()} == {stage}, whos
        for function, ways in {"Orders": ("take", "tell"), "Worker": ("pack",), "Report": ("report",)}.items():
            assert {whos[way]["version"] for way in ways} == {self.version(function, stage)}, whos
        (edition,) = {who["edition"] for who in whos.values()}
        return str(edition)

    def order(self, stage: str | None) -> tuple[str, dict[str, Any]]:
        """`POST /orders` of the stage's API: the order's id, and who took it."""
        status, told = self.call(stage, "POST", "/orders", {"article": "kettle"})
        assert status == 202, told
        return told["id"], told["answered_by"]

    def wait_for(self, stage: str | None, order_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """`GET /orders/{id}` until the order is packed: the order, and who told it."""
        told: dict[str, Any] = {}

        def packed() -> bool:
            nonlocal told
            status, told = self.call(stage, "GET", f"/orders/{order_id}")
            return status == 200

        self.plane.until(packed)
        return told["order"], told["answered_by"]

    def report(self, stage: str | None) -> dict[str, Any]:
        """What the stage's schedule gets when it calls its target."""
        called = self.plane.client("lambda").invoke(FunctionName=self.target(stage))
        told: dict[str, Any] = json.loads(called["Payload"].read())
        assert "FunctionError" not in called, told
        return told

    def target(self, stage: str | None) -> str:
        """What the stage's schedule calls."""
        rule = self.physical("ReportHourly", stage)
        (target,) = self.plane.client("events").list_targets_by_rule(Rule=rule)["Targets"]
        return str(target["Arn"])

    def call(self, stage: str | None, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        """A request to the stage's API, as anybody can make it: status and answer."""
        if stage not in self._apis:
            self._apis[stage] = self.physical("ServerlessRestApi", stage)
        # Where AWS has a host of its own for each API, the embedded AWS also takes its id in the path.
        place = f"/_aws/execute-api/{self._apis[stage]}/Prod{path}"
        connection = http.client.HTTPConnection(str(urlsplit(self.plane.instance.endpoint).netloc), timeout=30)
        try:
            connection.request(method, place, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    # What is there.

    def stack_name(self, stage: str | None = None) -> str:
        return self.name if stage is None else f"{self.name}--{stage}"

    def stack(self, stage: str | None = None) -> dict[str, Any] | None:
        """DescribeStacks' answer; None if there is no such stack."""
        formation = self.plane.client("cloudformation")
        try:
            (found,) = formation.describe_stacks(StackName=self.stack_name(stage))["Stacks"]
        except formation.exceptions.ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return dict(found)

    def status(self, stage: str | None = None) -> str | None:
        found = self.stack(stage)
        return None if found is None else str(found["StackStatus"])

    def there(self, stage: str | None = None) -> dict[str, str]:
        """The logical ids of a stack's resources with their physical ones; nothing if there is no stack."""
        if self.stack(stage) is None:
            return {}
        pages = self.plane.client("cloudformation").get_paginator("list_stack_resources")
        found = [each for page in pages.paginate(StackName=self.stack_name(stage)) for each in page["StackResourceSummaries"]]
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found if each["ResourceStatus"] != "DELETE_COMPLETE"
        }

    def physical(self, logical_id: str, stage: str | None = None) -> str:
        return self.there(stage)[logical_id]

    def aliases(self, stage: str) -> dict[str, Any]:
        """Each function's alias of the stage, as GetAlias shows it: also its revision, which any move changes."""
        found: dict[str, Any] = {}
        for function in FUNCTIONS:
            physical = self.there().get(function)
            found[function] = None if physical is None else alias_of(self.plane, physical, stage)
        return found

    def version(self, function: str, stage: str) -> str | None:
        """The version that the stage's alias of a function names; None without an alias."""
        alias = alias_of(self.plane, self.physical(function), stage)
        return None if alias is None else str(alias["FunctionVersion"])

    def values(self, stage: str) -> dict[str, str]:
        """The stage's values in Parameter Store, by the last part of their names."""
        path = f"/stagekeeper/{self.name}/{stage}"
        found = self.plane.client("ssm").get_parameters_by_path(Path=path)["Parameters"]
        return {each["Name"].removeprefix(f"{path}/"): each["Value"] for each in found}
