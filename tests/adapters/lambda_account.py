"""The function that the cases of Lambda's adapter are about, and what they look at it with."""

from __future__ import annotations

import base64
import hashlib

from botocore.config import Config

from stagekeeper.aws.lambda_api import LambdaApi, LambdaClients
from stagekeeper.domain.facts import LatestSeen
from stagekeeper.domain.model import FunctionArn, VersionNumber
from tests.fake import FakeLambda

from .clock import Clock

NAME = "orders-api"
ARN = FunctionArn(f"arn:aws:lambda:eu-central-1:123456789012:function:{NAME}")
GONE = FunctionArn(f"{ARN}-gone")
ONE, TWO, NINE = VersionNumber(1), VersionNumber(2), VersionNumber(9)
ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})


def anyone() -> None:
    """The mandate of a worker that always may."""


def api_of(fake: FakeLambda, clock: Clock) -> LambdaApi:
    return LambdaApi(LambdaClients(fake.client(ONCE), fake.client(ONCE), fake.client(ONCE)), clock)


def sha(code: bytes) -> str:
    return base64.b64encode(hashlib.sha256(code).digest()).decode()


def latest(api: LambdaApi) -> LatestSeen:
    seen = api.latest(NAME)
    assert isinstance(seen, LatestSeen)
    return seen


def revision(fake: FakeLambda, alias: str = "dev") -> str:
    return str(fake.quietly("GetAlias", FunctionName=NAME, Name=alias)["RevisionId"])
