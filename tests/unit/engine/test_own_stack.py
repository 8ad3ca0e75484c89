"""Whether the stack that asks goes back: it, or one that it is nested in; what cannot be read counts as going back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from stagekeeper.aws.stacks import Stacks
from stagekeeper.domain.facts import StackSeen
from stagekeeper.engine.own_stack import RollingBack, look_at_own
from tests.fake import FakeClock
from tests.fake.cloudformation import FakeCloudFormation

from .world import REGION, TickingClock


@pytest.fixture
def aws() -> FakeCloudFormation:
    return FakeCloudFormation(REGION)


def looked_at(aws: FakeCloudFormation, name: str) -> StackSeen | RollingBack:
    return look_at_own(Stacks(TickingClock(FakeClock()), lambda: aws), aws.stacks[name].stack_id)


def test_a_stack_that_goes_on_is_as_it_was_seen(aws: FakeCloudFormation) -> None:
    stack = aws.put("shop", "CREATE_IN_PROGRESS")

    assert looked_at(aws, "shop") == StackSeen(stack.stack_id, "shop", "CREATE_IN_PROGRESS", stack.stack_id)


def test_of_a_nested_one_the_outermost_is_known(aws: FakeCloudFormation) -> None:
    shop = aws.put("shop", "UPDATE_IN_PROGRESS")
    orders = aws.put("shop-orders", "CREATE_IN_PROGRESS", root=shop)

    assert looked_at(aws, "shop-orders") == StackSeen(
        orders.stack_id, "shop-orders", "CREATE_IN_PROGRESS", shop.stack_id, shop.stack_id
    )


@pytest.mark.parametrize("status", ["ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"])
def test_one_that_goes_back_is_told_by_name(aws: FakeCloudFormation, status: str) -> None:
    aws.put("shop", status)

    assert looked_at(aws, "shop") == RollingBack(f"stack shop is {status}")


@pytest.mark.parametrize("back", ["shop", "shop-orders"])
def test_one_that_is_deleted_because_the_one_around_it_goes_back(aws: FakeCloudFormation, back: str) -> None:
    """Whichever it is: the outermost may only be told later that one in the middle goes back."""
    shop = aws.put("shop", "ROLLBACK_IN_PROGRESS" if back == "shop" else "CREATE_IN_PROGRESS")
    orders = aws.put("shop-orders", "ROLLBACK_IN_PROGRESS" if back == "shop-orders" else "DELETE_IN_PROGRESS", root=shop)
    clean_up = aws.put("shop-orders-clean", "DELETE_IN_PROGRESS", root=shop)
    clean_up.parent_id = orders.stack_id

    assert looked_at(aws, "shop-orders-clean") == RollingBack(f"stack {back} is ROLLBACK_IN_PROGRESS")


def denied(_: str, __: Mapping[str, Any]) -> None:
    error: Any = {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    raise ClientError(error, "DescribeStacks")


def silent(_: str, __: Mapping[str, Any]) -> None:
    raise ReadTimeoutError(endpoint_url="https://aws.fake")


@pytest.mark.parametrize("trouble", [denied, silent])
def test_one_that_cannot_be_read_counts_as_going_back(aws: FakeCloudFormation, trouble: Any) -> None:
    aws.put("shop", "UPDATE_IN_PROGRESS")
    aws.before = trouble

    found = looked_at(aws, "shop")

    assert isinstance(found, RollingBack)
    assert "could not be read" in found.why


def test_so_does_one_around_it(aws: FakeCloudFormation) -> None:
    shop = aws.put("shop", "UPDATE_IN_PROGRESS")
    aws.put("shop-orders", "UPDATE_IN_PROGRESS", root=shop)
    aws.before = lambda operation, request: denied(operation, request) if request["StackName"] == shop.stack_id else None

    assert isinstance(looked_at(aws, "shop-orders"), RollingBack)


def test_and_one_that_is_not_there(aws: FakeCloudFormation) -> None:
    found = look_at_own(Stacks(TickingClock(FakeClock()), lambda: aws), "arn:aws:cloudformation:x:1:stack/gone/1")

    assert isinstance(found, RollingBack)


def test_stacks_that_are_nested_in_each_other_end_the_question(aws: FakeCloudFormation) -> None:
    shop = aws.put("shop", "UPDATE_IN_PROGRESS")
    shop.parent_id = shop.stack_id

    assert isinstance(looked_at(aws, "shop"), RollingBack)
