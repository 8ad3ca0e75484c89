"""An embedded AWS for the cases of this folder, and what they look at it with."""

from __future__ import annotations

import io
import json
import shutil
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from stagekeeper.embedded import instance
from stagekeeper.embedded.deploy import ROOT_KEY
from stagekeeper.embedded.instance import Instance

ROOT = Path(__file__).resolve().parents[2]
IN_PROGRESS_SECONDS = 0.1


def client(of: Instance, service: Any, key: str = ROOT_KEY, secret: str = ROOT_KEY) -> Any:
    return boto3.client(
        service, endpoint_url=of.endpoint, region_name=of.region, aws_access_key_id=key, aws_secret_access_key=secret
    )


def zipped(source: str) -> bytes:
    """A function's zip with one module, `app`. The same source gives the same bytes: a zip holds the time it was made at."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py", date_time=(2020, 1, 1, 0, 0, 0)), source)
    return buffer.getvalue()


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@dataclass
class Account:
    """The embedded AWS as its root sees it, with one role for everything that needs one."""

    instance: Instance
    role: str

    def client(self, service: str) -> Any:
        return client(self.instance, service)

    def function(self, source: str, **members: Any) -> str:
        """A new function whose module is `source`; its name, once it is Active."""
        name = f"f-{uuid.uuid4().hex[:8]}"
        lambda_ = self.client("lambda")
        lambda_.create_function(
            **{"FunctionName": name, "Runtime": "python3.13", "Role": self.role, "Handler": "app.handler"}
            | {"Code": {"ZipFile": zipped(source)}}
            | members
        )
        until(lambda: lambda_.get_function(FunctionName=name)["Configuration"]["State"] == "Active")
        return name

    def invoke(self, name: str, payload: Any = None) -> Any:
        """What the function answered, or what the runtime reports for its exception."""
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(payload).encode())
        return json.loads(answer["Payload"].read())

    def user(self, *statements: tuple[str, str]) -> Any:
        """A Lambda client of a user that is allowed these actions on these resources, and nothing else."""
        iam = self.client("iam")
        name = f"u-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        allowed = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]
        if allowed:
            document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
            iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return client(self.instance, "lambda", key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture(scope="session")
def account() -> Iterator[Account]:
    running = instance.start(None, ROOT, in_progress_seconds=IN_PROGRESS_SECONDS)
    try:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": ["lambda.amazonaws.com", "states.amazonaws.com"]},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        role = client(running, "iam").create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(trust))
        yield Account(running, role["Role"]["Arn"])
    finally:
        instance.stop(running)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of its own: this one's code and tools, and a template that is built and deployed in seconds."""
    shutil.copytree(ROOT / "src" / "stagekeeper", tmp_path / "src" / "stagekeeper")
    (tmp_path / ".tools").mkdir()
    for tool in ("ministack", "sam"):
        (tmp_path / ".tools" / tool).symlink_to((ROOT / ".tools" / tool).resolve())
    shutil.copytree(Path(__file__).parent / "application", tmp_path, dirs_exist_ok=True)
    return tmp_path
