"""The fake of S3 answers what moto answers. What AWS itself answers is in tests/contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.fake.s3 import FakeS3

BUCKET = "compared"
REGION = "eu-central-1"
ONE, TWO = {"Bucket": BUCKET, "Key": "code/one.zip"}, {"Bucket": BUCKET, "Key": "code/two.zip"}
ABSENT = {"Bucket": BUCKET, "Key": "absent"}

Ask = Callable[[Any], Any]


def versions(client: Any, status: str) -> None:
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": status})


def older_version(client: Any) -> Any:
    versions(client, "Enabled")
    first = client.put_object(**ONE, Body=b"first")["VersionId"]
    second = client.put_object(**ONE, Body=b"second")["VersionId"]
    assert first != second
    answer = client.get_object(**ONE, VersionId=first)
    assert answer.pop("VersionId") == first
    return answer


def replaced(client: Any) -> Any:
    seen = client.head_object(**ONE)["ETag"]
    client.put_object(**ONE, Body=b"another")
    return client.get_object(**ONE, IfMatch=seen)


CASES: dict[str, Ask] = {
    "an object": lambda client: client.get_object(**ONE),
    "an object as it was seen": lambda client: client.get_object(**ONE, IfMatch=client.head_object(**ONE)["ETag"]),
    "an object that was replaced": replaced,
    "no object": lambda client: client.get_object(**ABSENT),
    "no bucket": lambda client: client.get_object(Bucket="nowhere", Key="one"),
    "what an object is": lambda client: client.head_object(**ONE),
    "what an object with a checksum is": lambda client: client.head_object(**TWO, ChecksumMode="ENABLED"),
    "what an object with a checksum is to who does not ask for it": lambda client: client.head_object(**TWO),
    "what no object is": lambda client: client.head_object(**ABSENT),
    "an older version": older_version,
    "a put": lambda client: client.put_object(**ONE, Body=b"new", ContentType="application/json"),
    "a put with a checksum": lambda client: client.put_object(**ONE, Body=b"new", ChecksumAlgorithm="SHA256"),
    "a put into no bucket": lambda client: client.put_object(Bucket="nowhere", Key="one", Body=b"new"),
    "what was put": lambda client: (
        client.put_object(**ONE, Body=b"new", ContentType="application/json") and client.get_object(**ONE)
    ),
    "a list": lambda client: client.list_objects_v2(Bucket=BUCKET),
    "a list of a prefix": lambda client: client.list_objects_v2(Bucket=BUCKET, Prefix="code/o"),
    "a list of nothing": lambda client: client.list_objects_v2(Bucket=BUCKET, Prefix="no/"),
    "a list of no bucket": lambda client: client.list_objects_v2(Bucket="nowhere"),
    "a list in pages": lambda client: {
        "ResponseMetadata": {"HTTPStatusCode": 200},
        "pages": [
            [entry["Key"] for entry in page["Contents"]]
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 1})
        ],
    },
    "a bucket that is there already": lambda client: client.create_bucket(
        Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
    ),
}

#: AWS's sentences; times; what botocore and moto add by themselves; and where a bucket lies.
_NOBODYS = ("LastModified", "Location", "BucketName", "Key", "Size", "EncodingType")


@pytest.fixture(scope="module", autouse=True)
def moto() -> Iterator[None]:
    with mock_aws():
        yield


def outcome(client: Any, ask: Ask) -> Any:
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    client.put_object(**ONE, Body=b"one")
    client.put_object(**TWO, Body=b"two", ChecksumAlgorithm="SHA256")
    try:
        answer: dict[str, Any] = dict(ask(client))
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    answer["status"] = answer.pop("ResponseMetadata")["HTTPStatusCode"]
    if "Body" in answer:
        answer["Body"] = answer["Body"].read()
    if "Contents" in answer:
        answer["Contents"] = [(entry["Key"], entry["ETag"], entry["Size"]) for entry in answer["Contents"]]
    checksums = [name for name in answer if name.startswith("Checksum") and name != "ChecksumSHA256"]
    return {name: value for name, value in answer.items() if name not in (*_NOBODYS, *checksums)}


@pytest.mark.parametrize("case", CASES)
def test_it_answers_what_moto_answers(case: str) -> None:
    of_moto = boto3.client("s3", region_name=REGION)
    try:
        wanted = outcome(of_moto, CASES[case])
    finally:
        bucket = boto3.resource("s3", region_name=REGION).Bucket(BUCKET)
        bucket.object_versions.delete()
        bucket.delete()

    assert outcome(FakeS3(REGION).client(), CASES[case]) == wanted


def test_a_bucket_that_keeps_versions_no_more_has_those_it_kept_and_one_more() -> None:
    """As on AWS (user guide, Working with objects in versioning-suspended buckets); moto does not."""
    client: Any = FakeS3(REGION).client()
    client.create_bucket(Bucket=BUCKET)
    versions(client, "Enabled")
    kept = client.put_object(**ONE, Body=b"kept")["VersionId"]
    versions(client, "Suspended")
    for body in (b"later", b"last"):
        assert "VersionId" not in client.put_object(**ONE, Body=body)

    read = [client.get_object(**ONE, **version)["Body"].read() for version in ({"VersionId": kept}, {"VersionId": "null"}, {})]

    assert read == [b"kept", b"last", b"last"]
    assert client.head_object(**ONE)["VersionId"] == "null"


def test_a_version_that_is_not_there_is_refused() -> None:
    """As AWS does (API reference, error responses: NoSuchVersion); moto does not."""

    def ask(client: Any) -> Any:
        versions(client, "Enabled")
        return client.get_object(**ONE, VersionId="none")

    assert outcome(FakeS3(REGION).client(), ask) == ("NoSuchVersion", 404)


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.put_object(**ONE, Body=b"new", IfNoneMatch="*"),
        lambda client: client.get_object(**ONE, Range="bytes=0-1"),
        lambda client: client.put_object(**ONE, Body=b"new", ChecksumAlgorithm="CRC32"),
        lambda client: client.copy_object(**ONE, CopySource=f"{BUCKET}/absent"),
    ],
    ids=["a condition", "a part", "another checksum", "an operation"],
)
def test_what_it_does_not_know_it_does_not_leave_out(ask: Ask) -> None:
    with pytest.raises(NotImplementedError):
        outcome(FakeS3(REGION).client(), ask)
