"""How long things take: a version that is being made becomes Active, however short the windows are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from stagekeeper.embedded import instance

from .conftest import ROOT, client, until, zipped

SOURCE = "def handler(event, context): return {}"


@pytest.fixture(scope="module")
def lambda_() -> Iterator[Any]:
    """Lambda without any windows, and a function on it."""
    running = instance.start(None, ROOT, in_progress_seconds=0)
    try:
        trust = '{"Version": "2012-10-17", "Statement": []}'
        role = client(running, "iam").create_role(RoleName="any", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        made = client(running, "lambda")
        members = {"Runtime": "python3.13", "Role": role, "Handler": "app.handler", "Code": {"ZipFile": zipped(SOURCE)}}
        made.create_function(FunctionName="orders", Publish=True, **members)
        yield made
    finally:
        instance.stop(running)


def becomes_active(lambda_: Any, version: str) -> None:
    until(lambda: lambda_.get_function(FunctionName="orders", Qualifier=version)["Configuration"]["State"] == "Active", 5)


def test_a_version_published_on_creation_becomes_active(lambda_: Any) -> None:
    becomes_active(lambda_, "1")


def test_every_version_published_by_an_update_becomes_active(lambda_: Any) -> None:
    for number in range(2, 12):
        code = zipped(f"{SOURCE}\n# {number}")
        until(lambda: lambda_.get_function(FunctionName="orders")["Configuration"]["LastUpdateStatus"] == "Successful")

        version = lambda_.update_function_code(FunctionName="orders", ZipFile=code, Publish=True)["Version"]

        becomes_active(lambda_, version)
