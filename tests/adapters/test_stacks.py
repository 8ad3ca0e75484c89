"""What CloudFormation says of stacks, and what that means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from stagekeeper.aws.stacks import StackLooks, Stacks, cloudformation_client
from stagekeeper.domain.facts import Absent, StackSeen, Unreadable
from tests.fake.cloudformation import FakeCloudFormation

from .clock import Clock
from .conftest import REGION, patience

ALIAS = "arn:aws:lambda:eu-central-1:123456789012:function:orders-a:live"


@pytest.fixture
def formation() -> FakeCloudFormation:
    return FakeCloudFormation(REGION)


@pytest.fixture
def stacks(formation: FakeCloudFormation, clock: Clock) -> Stacks:
    return Stacks(clock, lambda: formation)


def owner_of(stacks: Stacks, physical_id: str) -> str | Absent | Unreadable:
    """The stack that has a resource, by the answer that serves for everything beside it, too."""
    found = stacks.owned_beside(physical_id)
    return found if isinstance(found, (Absent, Unreadable)) else found.get(physical_id, Absent())


def failing(error: Exception) -> Any:
    def before(_operation: str, _request: Mapping[str, Any]) -> None:
        raise error

    return before


DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "not authorized"}}, "DescribeStacks")
SILENT = ReadTimeoutError(endpoint_url="https://cloudformation")
THROTTLED = ClientError({"Error": {"Code": "Throttling", "Message": "Rate exceeded"}}, "DescribeStacks")


def test_a_stack_is_seen_with_its_status_and_is_its_own_root(stacks: Stacks, formation: FakeCloudFormation) -> None:
    made = formation.put("orders", "UPDATE_IN_PROGRESS")

    assert stacks.look(made.stack_id) == StackSeen(made.stack_id, "orders", "UPDATE_IN_PROGRESS", made.stack_id)


def test_a_nested_one_names_its_root(stacks: Stacks, formation: FakeCloudFormation) -> None:
    root = formation.put("all")

    seen = stacks.look(formation.put("all-orders", root=root).stack_id)

    assert isinstance(seen, StackSeen)
    assert seen.root_id == root.stack_id


def test_one_that_cloudformation_forgot_is_absent(stacks: Stacks) -> None:
    assert isinstance(stacks.look("arn:aws:cloudformation:eu-central-1:123456789012:stack/gone/1"), Absent)


@pytest.mark.parametrize("error", [DENIED, SILENT, THROTTLED], ids=lambda error: type(error).__name__)
def test_what_cannot_be_read_is_not_absent(stacks: Stacks, formation: FakeCloudFormation, error: Exception) -> None:
    made = formation.put("orders", a=ALIAS)
    formation.before = failing(error)

    looked, owner = stacks.look(made.stack_id), owner_of(stacks, ALIAS)

    assert isinstance(looked, Unreadable)
    assert made.stack_id in looked.what
    assert isinstance(owner, Unreadable)
    assert ALIAS in owner.what


def test_a_resource_is_known_by_its_physical_id(stacks: Stacks, formation: FakeCloudFormation) -> None:
    formation.put("others", a="arn:other")
    formation.put("orders", ApiAliaslive=ALIAS)

    assert owner_of(stacks, ALIAS) == "orders"


def test_one_that_no_stack_has_is_nobodys(stacks: Stacks, formation: FakeCloudFormation) -> None:
    formation.put("orders", a="arn:other")

    assert isinstance(owner_of(stacks, ALIAS), Absent)


def test_what_the_stack_owns_beside_is_told_at_once(stacks: Stacks, formation: FakeCloudFormation) -> None:
    formation.put("orders", ApiAliaslive=ALIAS, Queue="arn:queue")

    assert stacks.owned_beside(ALIAS) == {ALIAS: "orders", "arn:queue": "orders"}


@pytest.mark.parametrize("status", ["DELETE_SKIPPED", "DELETE_COMPLETE"])
def test_one_that_its_stack_let_go_of_is_nobodys(stacks: Stacks, formation: FakeCloudFormation, status: str) -> None:
    formation.put("orders", ApiAliaslive=ALIAS).left[ALIAS] = status

    assert isinstance(owner_of(stacks, ALIAS), Absent)


@pytest.mark.parametrize("beside", [99, 100, 450])
def test_a_stack_may_have_more_resources_than_are_shown_at_once(
    stacks: Stacks, formation: FakeCloudFormation, beside: int
) -> None:
    formation.put("large").resources.update({**{f"r{number}": f"arn:{number}" for number in range(beside)}, "live": ALIAS})

    assert owner_of(stacks, ALIAS) == "large"


def test_in_one_batch_of_work_each_stack_is_looked_at_once(stacks: Stacks, formation: FakeCloudFormation) -> None:
    root = formation.put("all")
    nested = [formation.put(f"all-{name}", root=root).stack_id for name in ("a", "b")]
    looks = StackLooks(stacks)

    seen = [looks.with_outer(stack_id) for stack_id in (*nested, *nested)]

    assert [[stack.name for stack in each] for each in seen if not isinstance(each, Unreadable)] == [
        ["all-a", "all"],
        ["all-b", "all"],
    ] * 2
    assert len(formation.calls) == 3


def test_a_root_that_cannot_be_read_is_said(stacks: Stacks, formation: FakeCloudFormation) -> None:
    nested = formation.put("all-a", root=formation.put("all")).stack_id

    def before(_operation: str, request: Mapping[str, Any]) -> None:
        if request["StackName"] != nested:
            raise DENIED

    formation.before = before

    assert isinstance(StackLooks(stacks).with_outer(nested), Unreadable)


@pytest.mark.usefixtures("environment")
def test_the_client_waits_and_retries_within_a_workers_patience() -> None:
    client: Any = cloudformation_client()

    assert patience(client) == (5, 10, {"mode": "standard", "total_max_attempts": 6})
