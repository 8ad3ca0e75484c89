"""A clock on the wall that is not UTC; and a control plane's state table on moto, for what reads the record."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from stagekeeper.aws.clock import SystemClock
from stagekeeper.aws.table import Table

from .books import Books
from .desk import AMBIENT, SIGNS_OF_CI, Account, Desk
from .desk import REGION as REGION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_numbers = itertools.count(1)


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The process's local time is two hours ahead of UTC in summer, one in winter."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(scope="module")
def dynamodb() -> Iterator[DynamoDBClient]:
    """An account of its own for each file; a client for each test would take longer than the tests."""
    with mock_aws():
        yield boto3.resource("dynamodb", region_name=REGION).meta.client


@pytest.fixture
def table(dynamodb: DynamoDBClient) -> Table:
    name = f"table-{next(_numbers)}"
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("pk", "sk")],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    )
    return Table(dynamodb, name, SystemClock())


@pytest.fixture
def books(table: Table) -> Books:
    """What is on record of the service orders: nothing yet."""
    return Books(table)


@pytest.fixture(scope="module")
def account(dynamodb: object) -> Account:  # noqa: ARG001  # while moto lives
    return Account()


@pytest.fixture
def desk(tmp_path: Path, books: Books, account: Account, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Jane's laptop, in a folder without git."""
    for name in (*AMBIENT, *SIGNS_OF_CI):
        monkeypatch.delenv(name, raising=False)
    # The command settles its connection in the environment, which is this process's.
    told = {"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION, "LOGNAME": "jane", "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", account.session)
    # Where moto does not answer.
    monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", "https://cloudformation.fake")
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    account.control_plane(books.table.name)
    return Desk(folder, books, account)


@pytest.fixture
def ci(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """GitHub Actions builds develop, for jane."""
    told = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_REF": "refs/heads/develop",
        "GITHUB_ACTOR": "jane",
        "GITHUB_SHA": "0123abc",
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "acme/orders",
        "GITHUB_RUN_ID": "7",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    return desk
