"""Requests that are not as the interface says: refused before the lock is asked for, each mistake named, no value shown."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from .evidence import look
from .plane import ControlPlane, Ended

SERVICE = "malformed"

DEPLOY: dict[str, Any] = {"operation": "deploy", "service": SERVICE, "stage": "dev", "functions": {"a": {"function_name": "f"}}}
ROLLBACK: dict[str, Any] = {"operation": "rollback", "service": SERVICE, "stage": "dev"}
ADOPT: dict[str, Any] = {"operation": "adopt", "service": SERVICE}
RESET: dict[str, Any] = {"operation": "reset", "service": SERVICE, "stage": "dev", "to": {"release": 1}}
CLONE: dict[str, Any] = {"operation": "clone", "service": SERVICE, "stage": "jane", "from": {"stage": "dev"}}
TEARDOWN: dict[str, Any] = {"operation": "teardown", "service": SERVICE, "stage": "dev"}
SWEEP: dict[str, Any] = {"operation": "sweep", "service": SERVICE, "mode": "delete"}
CONFIGURE: dict[str, Any] = {"operation": "configure", "service": SERVICE, "stage": "dev", "settings": {"protected": True}}
VERIFY: dict[str, Any] = {"operation": "verify", "service": SERVICE, "stage": "dev"}
CODE = {"s3_bucket": "some-bucket", "s3_key": "a.zip"}


def without(request: dict[str, Any], field: str) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != field}


def function(**members: Any) -> dict[str, Any]:
    return {**DEPLOY, "functions": {"a": {"function_name": "f", **members}}}


#: Name -> the execution's input, and what the sentence names.
CASES: dict[str, tuple[object, str]] = {
    "no object": (["deploy"], "JSON object"),
    "a sentence": ("deploy it, please", "JSON object"),
    "no operation": ({"service": SERVICE}, "operation"),
    "an unknown operation": ({**ROLLBACK, "operation": "undo"}, "operation"),
    "adopting one stage and several": ({**ADOPT, "stage": "dev", "stages": ["dev"]}, "stages"),
    "adopting code": ({**ADOPT, "functions": {"a": {"function_name": "f", "code": {}}}}, "functions.a.code"),
    "no service": ({"operation": "rollback", "stage": "dev"}, "service"),
    "a service with two hyphens": ({**ROLLBACK, "service": "my--service"}, "service"),
    "a service in upper case": ({**ROLLBACK, "service": "Orders"}, "service"),
    "an over-long service": ({**ROLLBACK, "service": "s" * 64}, "service"),
    "an all-digit stage": ({**ROLLBACK, "stage": "2024"}, "stage"),
    "an over-long stage": ({**DEPLOY, "stage": "s" * 64}, "stage"),
    "a stage with a dot": ({**DEPLOY, "stage": "v1.2"}, "stage"),
    "a stage that is null": ({**DEPLOY, "stage": None}, "stage"),
    "a rollback without a stage": ({"operation": "rollback", "service": SERVICE}, "stage"),
    "an unknown field": ({**ROLLBACK, "force": True}, "force"),
    "a field of another operation": ({**ROLLBACK, "functions": {}}, "functions"),
    "a field that is reserved": ({**DEPLOY, "target": "eu-west-1"}, "target"),
    "no functions": ({"operation": "deploy", "service": SERVICE, "stage": "dev"}, "functions"),
    "empty functions": ({**DEPLOY, "functions": {}}, "functions"),
    "more than 500 functions": ({**DEPLOY, "functions": {f"f{n}": {"function_name": f"f{n}"} for n in range(501)}}, "500"),
    "functions in a list": ({**DEPLOY, "functions": [{"function_name": "f"}]}, "functions"),
    "an unknown member of a function": (function(memory=1), "functions.a.memory"),
    "a function with a version": ({**DEPLOY, "functions": {"a": {"function_name": "f:7"}}}, "functions.a.function_name"),
    "an image by tag": (function(code={"image_uri": "1.dkr.ecr.eu-central-1.amazonaws.com/a:v1"}), "functions.a.code.image_uri"),
    "an image of elsewhere": (function(code={"image_uri": "repo@sha256:0"}), "functions.a.code.image_uri"),
    "a sha256 that is none": (function(code={**CODE, "sha256": "abc"}), "functions.a.code.sha256"),
    "a role in the configuration": (function(configuration={"Role": "arn"}), "functions.a.configuration.Role"),
    "a key in the configuration": (function(configuration={"KMSKeyArn": "arn"}), "functions.a.configuration.KMSKeyArn"),
    "a variable of Lambda's own": (function(configuration={"Environment": {"Variables": {"AWS_REGION": "x"}}}), "AWS_REGION"),
    "a number as text": (function(configuration={"Timeout": "7"}), "functions.a.configuration.Timeout"),
    "a boolean as text": ({**DEPLOY, "dry_run": "yes"}, "dry_run"),
    "a boolean as number": ({**ROLLBACK, "lock_wait_seconds": True}, "lock_wait_seconds"),
    "a wait over an hour": ({**ROLLBACK, "lock_wait_seconds": 3601}, "lock_wait_seconds"),
    "a wait below none": ({**ROLLBACK, "lock_wait_seconds": -1}, "lock_wait_seconds"),
    "release zero": ({**ROLLBACK, "if_release": 0}, "if_release"),
    "an empty to": ({**ROLLBACK, "to": {}}, "to"),
    "a to of both kinds": ({**ROLLBACK, "to": {"release": 1, "steps": 1}}, "to"),
    "no step": ({**ROLLBACK, "to": {"steps": 0}}, "to.steps"),
    "another on_drift": ({**ROLLBACK, "on_drift": "ignore"}, "on_drift"),
    "a partial deploy without a stage": (
        {"operation": "deploy", "service": SERVICE, "functions": DEPLOY["functions"], "partial": True},
        "partial",
    ),
    "a reset without a stage": (without(RESET, "stage"), "stage"),
    "a reset to nothing": (without(RESET, "to"), "to"),
    "a reset to an empty to": ({**RESET, "to": {}}, "to"),
    "a reset to both kinds": ({**RESET, "to": {"release": 1, "stage": "prod"}}, "to"),
    "a reset by steps": ({**RESET, "to": {"steps": 1}}, "to.steps"),
    "a reset to a number as text": ({**RESET, "to": {"release": "1"}}, "to.release"),
    "a reset to release zero": ({**RESET, "to": {"release": 0}}, "to.release"),
    "a reset to an all-digit stage": ({**RESET, "to": {"stage": "7"}}, "to.stage"),
    "a reset to null": ({**RESET, "to": {"stage": None}}, "to.stage"),
    "a clone without its model": (without(CLONE, "from"), "from"),
    "a clone of a release": ({**CLONE, "from": {"release": 1}}, "from.release"),
    "a clone of a stage by its name": ({**CLONE, "from": "dev"}, "from"),
    "a clone with drift": ({**CLONE, "on_drift": "overwrite"}, "on_drift"),
    "a clone to an all-digit stage": ({**CLONE, "stage": "1"}, "stage"),
    "a teardown without a service": (without(TEARDOWN, "service"), "service"),
    "a teardown confirmed with true": ({**TEARDOWN, "confirm": True}, "confirm"),
    "a teardown confirmed with null": ({**TEARDOWN, "confirm": None}, "confirm"),
    "a teardown that is partial": ({**TEARDOWN, "partial": True}, "partial"),
    "a service teardown of a release": ({**without(TEARDOWN, "stage"), "if_release": 1}, "if_release"),
    "a sweep of a stage": ({**SWEEP, "stage": "dev"}, "stage"),
    "a sweep with a release": ({**SWEEP, "if_release": 1}, "if_release"),
    "a sweep of another mode": ({**SWEEP, "mode": "purge"}, "mode"),
    "a sweep of functions": ({**SWEEP, "functions": {}}, "functions"),
    "a sweep of a service that is null": ({**SWEEP, "service": None}, "service"),
    "no settings": (without(CONFIGURE, "settings"), "settings"),
    "empty settings": ({**CONFIGURE, "settings": {}}, "settings"),
    "a setting that is not known": ({**CONFIGURE, "settings": {"color": "red"}}, "settings.color"),
    "protected as text": ({**CONFIGURE, "settings": {"protected": "yes"}}, "settings.protected"),
    "protected as a number": ({**CONFIGURE, "settings": {"protected": 1}}, "settings.protected"),
    "a description that is a number": ({**CONFIGURE, "settings": {"description": 7}}, "settings.description"),
    "a description that is null": ({**CONFIGURE, "settings": {"description": None}}, "settings.description"),
    "settings without a stage": (without(CONFIGURE, "stage"), "stage"),
    "a verification of an all-digit stage": ({**VERIFY, "stage": "1"}, "stage"),
    "a verification without a service": (without(VERIFY, "service"), "service"),
    "a verification that overwrites": ({**VERIFY, "on_drift": "overwrite"}, "on_drift"),
}

#: What a sweep must not take for a number: nothing is ever deleted because of it.
NO_AMOUNTS = {
    "a negative number": -1,
    "text": "3",
    "true": True,
    "null": None,
    "half": 0.5,
    "a whole number as a float": 3.0,
    "a list": [3],
    "too much": 10**9,
}
CASES |= {
    f"{field} as {name}": ({**SWEEP, field: value}, field)
    for field in ("keep", "rollback_depth", "grace_hours")
    for name, value in NO_AMOUNTS.items()
}


@dataclass(frozen=True)
class Tried:
    """How all cases ended, and what they changed together."""

    ended: dict[str, Ended]
    changed: set[str]


@pytest.fixture(scope="module")
def tried(plane: ControlPlane) -> Tried:
    """Two at a time, since there are many."""
    before = look(plane, SERVICE)
    with ThreadPoolExecutor(2) as pool:
        ended = dict(zip(CASES, pool.map(lambda case: plane.run(case[0]), CASES.values()), strict=True))
    return Tried(ended, look(plane, SERVICE).differs_from(before))


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_and_the_mistake_is_named(tried: Tried, name: str) -> None:
    ended, named = tried.ended[name], CASES[name][1]

    assert (ended.status, ended.error) == ("FAILED", "InvalidRequest"), ended.cause
    assert named in ended.cause["message"]
    assert any(named in blocker for blocker in ended.cause["blockers"])


def test_they_leave_nothing_behind_not_even_a_record(tried: Tried) -> None:
    assert tried.changed == set()


def test_every_mistake_is_named_at_once(plane: ControlPlane) -> None:
    ended = plane.run({**ROLLBACK, "stage": "2024", "force": True, "lock_wait_seconds": "long"})

    assert {blocker.partition(":")[0] for blocker in ended.cause["blockers"]} == {"stage", "force", "lock_wait_seconds"}


def test_a_malformed_value_is_not_shown(plane: ControlPlane) -> None:
    """It may be a secret in the wrong place."""
    ended = plane.run(function(configuration={"Environment": {"Variables": {"TOKEN": ["s3cr3t"]}}}))

    assert ended.error == "InvalidRequest"
    assert "functions.a.configuration.Environment.Variables.TOKEN" in ended.told
    assert "s3cr3t" not in ended.told


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        (None, "ArtifactMissing", "code/document.json"),
        (b"not JSON", "InvalidRequest", "code/document.json"),
        (b"[]", "InvalidRequest", "code/document.json"),
        (b'{"a": {"function_name": null}}', "InvalidRequest", "a.function_name"),
        (b'{"a": {"function_name": "f", "memory": 1}}', "InvalidRequest", "a.memory"),
    ],
    ids=["not there", "not JSON", "not an object", "a null in it", "an unknown member in it"],
)
def test_a_document_of_functions_is_checked_like_the_request(
    plane: ControlPlane, body: bytes | None, code: str, named: str
) -> None:
    document = {"s3_bucket": plane.bucket, "s3_key": "code/document.json"}
    plane.client("s3").delete_object(Bucket=plane.bucket, Key=document["s3_key"])
    if body is not None:
        plane.upload(body, document["s3_key"])

    ended = plane.run({**DEPLOY, "functions": document})

    assert (ended.status, ended.error) == ("FAILED", code)
    assert named in ended.cause["message"]
