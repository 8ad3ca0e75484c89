"""Enforced IAM on Lambda's calls, as a user with one statement meets it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import Account, zipped

SOURCE = "def handler(event, context): return 1"


@pytest.fixture
def name(account: Account) -> str:
    made = account.function(SOURCE)
    lambda_ = account.client("lambda")
    lambda_.publish_version(FunctionName=made)
    lambda_.create_alias(FunctionName=made, Name="live", FunctionVersion="1")
    return made


def arn(account: Account, name: str, qualifier: str = "") -> str:
    of = account.instance
    return f"arn:aws:lambda:{of.region}:{of.account}:function:{name}" + (f":{qualifier}" if qualifier else "")


def denial(call: Callable[..., Any], **members: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**members)
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"
    return caught.value.response["Error"]["Message"]


def test_a_policy_on_the_function_alone_denies_the_qualified_call(account: Account, name: str) -> None:
    user = account.user(("lambda:GetFunction", arn(account, name)))

    assert user.get_function(FunctionName=name)
    assert arn(account, name, "live") in denial(user.get_function, FunctionName=name, Qualifier="live")
    assert arn(account, name, "live") in denial(user.get_function, FunctionName=f"{name}:live")


def test_a_policy_on_the_qualifiers_alone_denies_the_unqualified_call(account: Account, name: str) -> None:
    user = account.user(("lambda:DeleteFunction", arn(account, name, "*")))

    assert "lambda:DeleteFunction" in denial(user.delete_function, FunctionName=name)
    assert user.delete_function(FunctionName=name, Qualifier="99")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_to_list_aliases_is_not_to_move_them(account: Account, name: str) -> None:
    user = account.user(("lambda:ListAliases", arn(account, name)))

    assert user.list_aliases(FunctionName=name)["Aliases"]
    for call in (user.update_alias, user.delete_alias, user.get_alias):
        denial(call, FunctionName=name, Name="live")


def test_moving_an_alias_needs_its_own_action_on_the_functions_arn(account: Account, name: str) -> None:
    user = account.user(("lambda:UpdateAlias", arn(account, name)))

    assert user.update_alias(FunctionName=name, Name="live", Description="moved")["Description"] == "moved"


def test_what_ministack_leaves_unchecked_is_checked(account: Account) -> None:
    user = account.user()

    assert "lambda:GetAccountSettings" in denial(user.get_account_settings)
    assert "lambda:DeleteEventSourceMapping" in denial(user.delete_event_source_mapping, UUID=str(uuid.uuid4()))


def test_a_role_must_be_passed(account: Account, name: str) -> None:
    user = account.user(("lambda:UpdateFunctionConfiguration", arn(account, name)))

    assert user.update_function_configuration(FunctionName=name, Description="x")
    assert "iam:PassRole" in denial(user.update_function_configuration, FunctionName=name, Role=account.role)


def test_code_from_s3_must_be_readable_by_the_caller(account: Account, name: str) -> None:
    bucket = f"code-{uuid.uuid4().hex[:8]}"
    account.client("s3").create_bucket(Bucket=bucket)
    account.client("s3").put_object(Bucket=bucket, Key="code.zip", Body=zipped(SOURCE))
    code = {"FunctionName": name, "S3Bucket": bucket, "S3Key": "code.zip"}
    updating = ("lambda:UpdateFunctionCode", arn(account, name))

    assert "GetObject" in denial(account.user(updating).update_function_code, **code)
    assert account.user(updating, ("s3:GetObject", f"arn:aws:s3:::{bucket}/*")).update_function_code(**code)
