"""S3, as far as the identity of code leans on it: stored checksums, versions, and what a missing object answers.

On moto, which the adapter tests use, on the fake, which the engine's use, and on the embedded AWS.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

from stagekeeper.embedded import instance as embedded_aws
from tests.fake.s3 import FakeS3

from .conftest import embedded_client
from .support import EMBEDDED, FAKE, MOTO, PLAIN, refused, source, unique, wrong_on

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT = b"a deployment package"
DIGEST = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "storage_name" in metafunc.fixturenames:
        metafunc.parametrize("storage_name", [MOTO, FAKE, pytest.param(EMBEDDED, marks=pytest.mark.embedded)])


@pytest.fixture
def client(storage_name: str, request: pytest.FixtureRequest) -> Iterator[S3Client]:
    if storage_name == EMBEDDED:
        yield embedded_client(request.getfixturevalue("embedded"), "s3")
        return
    if storage_name == FAKE:
        yield FakeS3("us-east-1").client(PLAIN)
        return
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=PLAIN)


@pytest.fixture
def bucket(client: S3Client) -> str:
    name = unique("bucket")
    client.create_bucket(Bucket=name)
    return name


CHECKSUMS = source("Amazon S3 user guide, Checking object integrity; API reference, HeadObject, ChecksumMode")


@CHECKSUMS
def test_an_object_stored_with_a_sha256_tells_it(client: S3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="one.zip", Body=CONTENT, ChecksumAlgorithm="SHA256")

    assert client.head_object(Bucket=bucket, Key="one.zip", ChecksumMode="ENABLED")["ChecksumSHA256"] == DIGEST


@CHECKSUMS
def test_an_object_stored_without_a_sha256_tells_none(client: S3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="one.zip", Body=CONTENT)

    assert "ChecksumSHA256" not in client.head_object(Bucket=bucket, Key="one.zip", ChecksumMode="ENABLED")


@source("Amazon S3 API reference, error responses: BadDigest, the checksum you specified did not match what we received")
@wrong_on(MOTO, "compares nothing")
def test_an_object_that_is_not_what_its_sha256_says_is_refused(client: S3Client, bucket: str) -> None:
    with refused("BadDigest", 400):
        client.put_object(Bucket=bucket, Key="one.zip", Body=b"other", ChecksumAlgorithm="SHA256", ChecksumSHA256=DIGEST)


@source("Amazon S3 user guide, multipart uploads: SHA-256 is a composite checksum, with the number of parts behind it")
@wrong_on(MOTO, "stores the digest of the object instead of a composite")
@wrong_on(FAKE, "knows no multipart uploads: nobody makes one of what the engine reads")
def test_the_sha256_of_a_multipart_upload_is_no_digest_of_the_object(client: S3Client, bucket: str) -> None:
    upload = client.create_multipart_upload(Bucket=bucket, Key="big.zip", ChecksumAlgorithm="SHA256")["UploadId"]
    part = client.upload_part(
        Bucket=bucket, Key="big.zip", UploadId=upload, PartNumber=1, Body=CONTENT, ChecksumAlgorithm="SHA256"
    )
    client.complete_multipart_upload(
        Bucket=bucket,
        Key="big.zip",
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"], "ChecksumSHA256": DIGEST}]},
    )

    shown = client.head_object(Bucket=bucket, Key="big.zip", ChecksumMode="ENABLED").get("ChecksumSHA256", "-1")

    assert shown.endswith("-1")


@source("Amazon S3 API reference, HeadObject: 404 for a caller who may list the bucket")
def test_an_object_that_is_not_there_is_a_404(client: S3Client, bucket: str) -> None:
    with refused("404", 404):
        client.head_object(Bucket=bucket, Key="missing.zip")


@source("Amazon S3 API reference, HeadObject: the answer to a HEAD has no body, and so no other code than its status")
@wrong_on(MOTO, "says NoSuchBucket")
def test_an_object_of_a_bucket_that_is_not_there_is_a_404(client: S3Client) -> None:
    with refused("404", 404):
        client.head_object(Bucket=unique("nowhere"), Key="missing.zip")


@source("Amazon S3 API reference, HeadObject: versionId")
def test_an_older_version_of_an_object_is_still_there(client: S3Client, bucket: str) -> None:
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = client.put_object(Bucket=bucket, Key="one.zip", Body=CONTENT)["VersionId"]
    client.put_object(Bucket=bucket, Key="one.zip", Body=b"another")

    shown = client.head_object(Bucket=bucket, Key="one.zip", VersionId=first)

    assert (shown["VersionId"], shown["ContentLength"]) == (first, len(CONTENT))


@pytest.mark.embedded
@source("Amazon S3 API reference, HeadObject: 403 for a caller who may not list the bucket")
def test_an_object_that_is_not_there_is_a_403_without_permission_to_list(embedded: embedded_aws.Instance) -> None:
    name, user = unique("bucket"), unique("user")
    embedded_client(embedded, "s3").create_bucket(Bucket=name)
    iam = embedded_client(embedded, "iam")
    iam.create_user(UserName=user)
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    reader: S3Client = boto3.client(
        "s3",
        endpoint_url=embedded.endpoint,
        region_name=embedded.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        config=PLAIN,
    )

    with refused("403", 403):
        reader.head_object(Bucket=name, Key="missing.zip")


@pytest.mark.embedded
@source("AWS IAM user guide, global condition keys, aws:SecureTransport: every endpoint of AWS is reached over TLS")
def test_a_bucket_that_asks_for_tls_is_readable(embedded: embedded_aws.Instance) -> None:
    name, s3 = unique("bucket"), embedded_client(embedded, "s3")
    s3.create_bucket(Bucket=name)
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s3.put_bucket_policy(Bucket=name, Policy=policy)

    s3.put_object(Bucket=name, Key="one.zip", Body=CONTENT)

    assert s3.get_object(Bucket=name, Key="one.zip")["Body"].read() == CONTENT
