"""DynamoDB and S3 on moto, each test with a table and a bucket of its own; Lambda on the strict fake."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from botocore.client import BaseClient
from botocore.config import Config
from moto import mock_aws

from stagekeeper.aws.journal import Journal
from stagekeeper.aws.lambda_api import LambdaApi
from stagekeeper.aws.table import Table
from tests.fake import FakeClock, FakeLambda

from .clock import Clock
from .desk import Desk
from .lambda_account import NAME, api_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3 import S3Client

REGION: Final = "eu-central-1"
ONCE = Config(retries={"total_max_attempts": 1, "mode": "standard"})
_numbers = itertools.count(1)


@pytest.fixture
def clock() -> Clock:
    return Clock(FakeClock())


@pytest.fixture(scope="package", autouse=True)
def moto() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def dynamodb() -> DynamoDBClient:
    return boto3.resource("dynamodb", region_name=REGION, config=ONCE).meta.client


@pytest.fixture
def table_name(dynamodb: DynamoDBClient) -> Iterator[str]:
    name = f"table-{next(_numbers)}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    yield name
    dynamodb.delete_table(TableName=name)


@pytest.fixture
def table(dynamodb: DynamoDBClient, table_name: str, clock: Clock) -> Table:
    return Table(dynamodb, table_name, clock)


@pytest.fixture
def desk(table: Table, clock: Clock) -> Desk:
    return Desk(Journal(table, clock), table, clock)


@pytest.fixture
def s3() -> S3Client:
    return boto3.client("s3", region_name=REGION, config=ONCE)


@pytest.fixture
def bucket(s3: S3Client) -> str:
    name = f"bucket-{next(_numbers)}"
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    return name


def patience(client: BaseClient) -> tuple[float, float, dict[str, Any]]:
    """A client's connect timeout, read timeout (seconds) and retries. The stubs know none of the three."""
    config: Any = client.meta.config
    return config.connect_timeout, config.read_timeout, config.retries


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a Lambda finds in its environment, so that no client looks for it elsewhere."""
    for name, value in {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def fake(clock: Clock) -> FakeLambda:
    """A function with versions 1 and 2, alias dev on 1."""
    fake = FakeLambda(clock=clock.moments, objects=lambda bucket, key, version: f"{bucket}/{key}/{version}".encode())
    fake.create(NAME, b"one", publish=True)
    fake.publish(NAME, b"two")
    fake.alias(NAME, "dev", "1")
    return fake


@pytest.fixture
def api(fake: FakeLambda, clock: Clock) -> LambdaApi:
    return api_of(fake, clock)
