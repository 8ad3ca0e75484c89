"""The doubles a case runs on, the rule that every case names its source, and the count at the end."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from stagekeeper.embedded import instance as embedded_aws
from tests.fake import FakeClock, FakeLambda

from .support import DIRECT, EMBEDDED, FAKE, PLAIN, ROLES, Double, unique, zip_of

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).resolve().parents[2]
REGION, ACCOUNT = "eu-central-1", "123456789012"
#: The fake's clock stands still until a case waits, so its windows can be as long as AWS's.
FAKE_UPDATE_SECONDS = 2.0
#: The embedded AWS runs on the real clock: long enough to be seen, short enough not to be felt.
EMBEDDED_UPDATE_SECONDS = 0.2

_MARKS = (
    "source(text): where AWS says so; every case of the contract suite has one",
    "wrong_on(double, reason): this double gets the case wrong: a strict expected failure there",
    "embedded: needs the embedded AWS",
)


def pytest_configure(config: pytest.Config) -> None:
    for mark in _MARKS:
        config.addinivalue_line("markers", mark)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "double_name" in metafunc.fixturenames:
        fakes = [FAKE, DIRECT] if {"double", "formation"} & set(metafunc.fixturenames) else [FAKE]
        metafunc.parametrize("double_name", [*fakes, pytest.param(EMBEDDED, marks=pytest.mark.embedded)])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.path.is_relative_to(Path(__file__).parent):
            continue
        if item.get_closest_marker("source") is None:
            raise pytest.UsageError(f"{item.nodeid}: a contract case names its AWS source")
        double = _double_of(item)
        item.user_properties.append(("contract-double", double))
        for mark in item.iter_markers("wrong_on"):
            if mark.args[0] == (FAKE if double == DIRECT else double):
                item.add_marker(pytest.mark.xfail(strict=True, reason=mark.args[1]))


def _double_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    parameters: dict[str, Any] = callspec.params if callspec is not None else {}
    chosen = parameters.get("double_name", parameters.get("storage_name"))
    if chosen is not None:
        return str(chosen)
    if item.get_closest_marker("embedded") is None:
        raise pytest.UsageError(f"{item.nodeid}: runs on no double of AWS")
    return EMBEDDED


@pytest.fixture(scope="session")
def embedded() -> Iterator[embedded_aws.Instance]:
    """One embedded AWS for all cases, on a free loopback port."""
    instance = embedded_aws.start(None, ROOT, in_progress_seconds=EMBEDDED_UPDATE_SECONDS)
    try:
        make_roles(embedded_client(instance, "iam"))
        yield instance
    finally:
        embedded_aws.stop(instance)


def make_roles(iam: Any) -> None:
    """The roles functions of the cases name; the fake asks for none."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"},
            {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    for role in ROLES:
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=role, PolicyName="everything", PolicyDocument=json.dumps(everything))


def embedded_client(instance: embedded_aws.Instance, service: str) -> Any:
    """A plain client of the embedded AWS, as the account's root."""
    return boto3.client(
        service,  # type: ignore[call-overload]  # any service
        endpoint_url=instance.endpoint,
        region_name=instance.region,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=PLAIN,
    )


@pytest.fixture
def double(double_name: str, request: pytest.FixtureRequest) -> Iterator[Double]:
    """The double of AWS Lambda this case runs on."""
    if double_name in (FAKE, DIRECT):
        yield _fake(direct=double_name == DIRECT)
    else:
        yield from embedded_double(request.getfixturevalue("embedded"))


def embedded_double(instance: embedded_aws.Instance) -> Iterator[Double]:
    """The embedded AWS as a double; the functions a case made on it are removed afterwards."""
    double = _embedded(instance)
    yield double
    for function in double.made:
        try:
            double.client.delete_function(FunctionName=function)
        except ClientError as error:
            # The case deleted it itself.
            if error.response["Error"]["Code"] != "ResourceNotFoundException":
                raise


def _fake(*, direct: bool) -> Double:
    clock = FakeClock()
    objects: dict[tuple[str, str], bytes] = {}

    def put_object(bucket: str, key: str, content: bytes) -> None:
        objects[bucket, key] = content

    fake = FakeLambda(
        REGION,
        ACCOUNT,
        clock,
        objects=lambda bucket, key, _version: objects.get((bucket, key)),
        update_seconds=FAKE_UPDATE_SECONDS,
        provisioned_seconds=0.5,
        shift_seconds=0.5,
    )
    return Double(
        FAKE,
        fake.direct_client(PLAIN) if direct else fake.client(PLAIN),
        REGION,
        ACCOUNT,
        clock.sleep,
        put_object,
        FAKE_UPDATE_SECONDS,
        layer=lambda: f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:shared:1",
        network=lambda: ("subnet-1", "sg-1"),
    )


def _embedded(instance: embedded_aws.Instance) -> Double:
    s3: S3Client = embedded_client(instance, "s3")

    def put_object(bucket: str, key: str, content: bytes) -> None:
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=content)

    client: LambdaClient = embedded_client(instance, "lambda")

    def layer() -> str:
        return client.publish_layer_version(LayerName=unique("layer"), Content={"ZipFile": zip_of("layer")})["LayerVersionArn"]

    def network() -> tuple[str, str]:
        ec2: Any = embedded_client(instance, "ec2")
        subnet = ec2.describe_subnets()["Subnets"][0]
        of_vpc = [{"Name": "vpc-id", "Values": [subnet["VpcId"]]}]
        group = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"][0]
        return subnet["SubnetId"], group["GroupId"]

    return Double(
        EMBEDDED,
        client,
        instance.region,
        instance.account,
        time.sleep,
        put_object,
        EMBEDDED_UPDATE_SECONDS,
        layer=layer,
        network=network,
    )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many cases ran on which double."""
    counts: dict[str, Counter[str]] = {}
    for outcome in ("passed", "failed", "error", "xfailed", "xpassed"):
        for report in terminalreporter.stats.get(outcome, []):
            double = dict(report.user_properties).get("contract-double")
            if double is not None:
                counts.setdefault(str(double), Counter())[outcome] += 1
    if not counts:
        return
    terminalreporter.section("contract suite")
    for double, outcomes in sorted(counts.items()):
        told = ", ".join(f"{number} {outcome}" for outcome, number in outcomes.items())
        terminalreporter.write_line(f"{double}: {sum(outcomes.values())} cases ({told})")
