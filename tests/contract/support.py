"""What the cases share: their marks, and a double of AWS Lambda with a few steps every case needs.

Knows boto3 and the two doubles; knows no behaviour of AWS that a case should prove.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.fake.direct import line_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

FAKE = "fake"
#: The same fake, asked without HTTP.
DIRECT = "direct"
EMBEDDED = "embedded"
MOTO = "moto"

#: Cases check the server's answer, so botocore's own check of the parameters is off and nothing is tried twice.
PLAIN = Config(
    parameter_validation=False,
    retries={"total_max_attempts": 1, "mode": "standard"},
    connect_timeout=5,
    read_timeout=30,
)

LATEST = "$LATEST"

#: Roles a function of a case may have.
ROLES = ("contract", "another")
WAIT_STEP = 0.05
WAIT_STEPS = 400


def source(text: str) -> pytest.MarkDecorator:
    """Where AWS says so: a recording, an API reference page, an issue. Every case has one."""
    return pytest.mark.source(text)


def recorded(test: str, date: str = "2025-11-25") -> pytest.MarkDecorator:
    """The source is an answer recorded from live AWS by localstack's own tests."""
    return source(f"recorded from AWS {date}, localstack snapshot {test}")


def reference(operation: str) -> pytest.MarkDecorator:
    """The source is the operation's page of AWS's API reference."""
    return source(f"AWS Lambda API reference, {operation}")


def wrong_on(double: str, reason: str) -> pytest.MarkDecorator:
    """This double gets the case wrong, known and accepted: a strict expected failure there."""
    return pytest.mark.wrong_on(double, reason)


@dataclass
class Refusal:
    """What AWS refused a call with."""

    code: str = ""
    status: int = 0
    message: str = ""
    response: dict[str, Any] = field(default_factory=dict)


@contextmanager
def refused(code: str, status: int, message: str | None = None) -> Iterator[Refusal]:
    """The call inside is refused with this code and HTTP status, and with this sentence if one is given."""
    refusal = Refusal()
    with pytest.raises(ClientError) as caught:
        yield refusal
    response: dict[str, Any] = dict(caught.value.response)
    refusal.response = response
    refusal.code = response["Error"]["Code"]
    refusal.status = response["ResponseMetadata"]["HTTPStatusCode"]
    refusal.message = response["Error"].get("Message", "")
    assert (refusal.code, refusal.status) == (code, status), f"refused with: {refusal.message}"
    if message is not None:
        assert refusal.message == message


def zip_of(text: str) -> bytes:
    """A deployment package whose handler answers `text`. The same text gives the same bytes."""
    return package_of(f"    return {text!r}")


def package_of(body: str) -> bytes:
    """A deployment package whose handler has this (indented) body."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as package:
        member = zipfile.ZipInfo("app.py", date_time=(2020, 1, 1, 0, 0, 0))
        member.external_attr = 0o644 << 16
        package.writestr(member, f"def handler(event, context):\n{body}\n")
    return content.getvalue()


def digest_of(content: bytes) -> str:
    """CodeSha256 of a deployment package."""
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


_numbers = itertools.count(1)


def unique(prefix: str = "case") -> str:
    """A name no other case and no other run uses: the embedded AWS serves them all."""
    return f"{prefix}-{next(_numbers)}-{uuid.uuid4().hex[:8]}"


@dataclass
class Double:
    """One double of AWS Lambda, with the steps most cases begin with."""

    name: str
    client: LambdaClient
    region: str
    account: str
    #: Lets time pass on the double's clock.
    wait: Callable[[float], None]
    #: Puts bytes where the double looks for S3 objects; the bucket is made when it is not there.
    put_object: Callable[[str, str, bytes], None]
    #: How long an update of $LATEST stays InProgress, in seconds of that clock.
    update_seconds: float
    #: Gives the ARN of a layer version that is there.
    layer: Callable[[], str]
    #: Gives a subnet and a security group of one VPC.
    network: Callable[[], tuple[str, str]]
    made: list[str] = field(default_factory=list)

    def arn(self, function: str, qualifier: str | None = None) -> str:
        arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{function}"
        return f"{arn}:{qualifier}" if qualifier else arn

    def role(self, name: str = "contract") -> str:
        return f"arn:aws:iam::{self.account}:role/{name}"

    def created(self, **members: Any) -> FunctionConfigurationResponseTypeDef:
        """A new function, and what CreateFunction answered. It may still be Pending."""
        name = members.pop("FunctionName", None) or unique()
        wanted: dict[str, Any] = {
            "FunctionName": name,
            "Role": self.role(),
            "Runtime": "python3.12",
            "Handler": "app.handler",
            "Code": {"ZipFile": zip_of("one")},
        }
        self.made.append(name)
        return self.client.create_function(**(wanted | members))

    def function(self, **members: Any) -> str:
        """A new function that has settled. Returns its name."""
        name = self.created(**members)["FunctionName"]
        self.settled(name)
        return name

    def settled(self, function: str, qualifier: str | None = None) -> dict[str, Any]:
        """Wait until nothing is under way for $LATEST (or a version); returns its configuration."""
        members = {"Qualifier": qualifier} if qualifier else {}
        for _ in range(WAIT_STEPS):
            answer: dict[str, Any] = dict(self.client.get_function(FunctionName=function, **members)["Configuration"])
            if answer["State"] != "Pending" and answer.get("LastUpdateStatus") != "InProgress":
                return answer
            self.wait(WAIT_STEP)
        raise AssertionError(f"{function} {qualifier or LATEST} did not settle: {answer}")

    def update(self, function: str, text: str) -> dict[str, Any]:
        """Give $LATEST other code and wait until the update is done; returns the settled configuration."""
        self.client.update_function_code(FunctionName=function, ZipFile=zip_of(text))
        return self.settled(function)

    def publish(self, function: str, text: str | None = None) -> str:
        """Publish $LATEST, with other code first when `text` is given; returns the number of the Active version."""
        if text is not None:
            self.update(function, text)
        number = self.client.publish_version(FunctionName=function)["Version"]
        self.settled(function, number)
        return number

    def function_with_versions(self, count: int, **members: Any) -> str:
        """A new function with versions 1 to `count`, each with code of its own."""
        name = self.function(**members)
        for number in range(1, count + 1):
            assert self.publish(name, f"version {number}") == str(number)
        return name

    def hear(self, note: Callable[[str], object]) -> None:
        """From now on tell the name of each operation that is asked for."""
        line = line_of(self.client)
        if line is not None:
            line.before.append(lambda request: note(request.name.rpartition(".")[2]))
            return

        def sent(event_name: str, **_: Any) -> None:
            note(event_name.rpartition(".")[2])

        self.client.meta.events.register_first("before-send.lambda.*", sent)

    def alias(self, function: str, version: str = "1", name: str = "live", **members: Any) -> dict[str, Any]:
        """A new alias; returns CreateAlias's answer."""
        return dict(self.client.create_alias(FunctionName=function, Name=name, FunctionVersion=version, **members))
