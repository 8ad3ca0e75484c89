"""What CI may do with the policy that the stack offers it, and what it may not."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from stagekeeper.packaging.package import package_functions
from stagekeeper.packaging.upload import Uploaded, upload

from .conftest import NewService
from .plane import ControlPlane, unique
from .service import Service, zip_of


@pytest.fixture(scope="module")
def operator(plane: ControlPlane) -> ControlPlane:
    """The control plane as a user with the operator policy alone sees it."""
    iam, name = plane.client("iam"), unique("ci")
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=plane.operator_policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return plane.seen_by(key["AccessKeyId"], key["SecretAccessKey"])


@pytest.fixture(scope="module")
def orders(new_service: NewService) -> Service:
    service = new_service("a")
    service.deploy("dev")
    return service


def test_it_is_enough_to_upload_code_deploy_it_follow_the_operation_and_look(operator: ControlPlane, orders: Service) -> None:
    code = operator.upload(zip_of("by ci"))

    ended = operator.run(orders.request("deploy", "dev", functions=orders.wishes(a={"code": code})))

    assert ended.status == "SUCCEEDED", ended.cause
    assert operator.read(ended.output["report"])
    record = operator.item(f"SERVICE#{orders.name}", "STAGE#dev")
    assert record is not None
    assert record["release"] == ended.output["release"]
    assert len(operator.items(f"SERVICE#{orders.name}", "MOVEMENT#dev#")) == len(orders.ledger("dev"))
    assert orders.says("dev") == {"a": "by ci"}


def test_it_is_enough_to_find_the_outputs_by_the_stacks_name(operator: ControlPlane) -> None:
    (stack,) = operator.client("cloudformation").describe_stacks(StackName=operator.stack)["Stacks"]

    assert {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]} == operator.outputs


def test_it_is_enough_to_package_a_checkout_and_to_skip_what_is_uploaded(
    operator: ControlPlane, orders: Service, tmp_path: Path
) -> None:
    code = tmp_path / "src"
    with zipfile.ZipFile(io.BytesIO(zip_of("from a checkout"))) as opened:
        opened.extractall(code)
    functions = {"a": {"function_name": orders.functions["a"], "code": "src"}}
    packaged = package_functions(functions, tmp_path, service=orders.name, bucket=operator.bucket, scratch=tmp_path)

    first, again = (upload(operator.client("s3"), operator.bucket, packaged.artifacts, lambda _: None) for _ in range(2))

    assert (first.sent, first.there) == (packaged.artifacts, ())
    assert again == Uploaded((), packaged.artifacts, 0)
    ended = operator.run(orders.request("deploy", "dev", functions=packaged.place))
    assert ended.status == "SUCCEEDED", ended.cause
    assert orders.says("dev") == {"a": "from a checkout"}


@pytest.mark.parametrize(
    ("service", "call", "arguments"),
    [
        ("lambda", "update_alias", {"FunctionName": "{function}", "Name": "dev", "FunctionVersion": "1"}),
        ("lambda", "update_function_code", {"FunctionName": "{function}", "ZipFile": b""}),
        ("lambda", "get_function", {"FunctionName": "{function}"}),
        ("dynamodb", "put_item", {"TableName": "{table}", "Item": {"pk": {"S": "p"}, "sk": {"S": "s"}}}),
        ("dynamodb", "scan", {"TableName": "{table}"}),
        ("s3", "put_object", {"Bucket": "{bucket}", "Key": "plans/forged.json", "Body": b"{}"}),
        ("s3", "get_object", {"Bucket": "{bucket}", "Key": "{request}"}),
        ("s3", "get_object", {"Bucket": "{bucket}", "Key": "{code}"}),
        ("s3", "list_objects_v2", {"Bucket": "{bucket}"}),
        ("s3", "list_objects_v2", {"Bucket": "{bucket}", "Prefix": "requests/"}),
        ("s3", "list_objects_v2", {"Bucket": "{bucket}", "Prefix": "co"}),
        ("cloudformation", "describe_stacks", {}),
        ("cloudformation", "describe_stacks", {"StackName": "{stack}-of-somebody-else"}),
        ("cloudformation", "get_template", {"StackName": "{stack}"}),
        ("stepfunctions", "stop_execution", {"executionArn": "{execution}"}),
        ("stepfunctions", "get_execution_history", {"executionArn": "{execution}"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_does_not_allow(operator: ControlPlane, orders: Service, service: str, call: str, arguments: dict[str, Any]) -> None:
    """Moving an alias past the lock, writing the record, reading requests (they can hold environment values), …"""
    ended = orders.run("deploy", "dev", functions=orders.wishes())
    places = {
        "function": orders.functions["a"],
        "table": operator.table_name,
        "bucket": operator.bucket,
        "request": next(key for key in orders.plane.objects() if key.startswith("requests/")),
        "code": next(key for key in orders.plane.objects() if key.startswith("code/")),
        "stack": operator.stack,
        "execution": ended.arn,
    }
    filled = {name: value.format(**places) if isinstance(value, str) else value for name, value in arguments.items()}

    with pytest.raises(ClientError) as caught:
        getattr(operator.client(service), call)(**filled)

    assert caught.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
