"""What CloudFormation is told about a stack of ours, and what its answers mean: one call, one fact or one failure each."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from stagekeeper.aws.errors import AlreadyThere, CallFailed, PreconditionFailed, Throttled, Unanswered
from stagekeeper.aws.stack_changes import CloudFormationClients, StackChanges
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import ServiceName, StageName
from stagekeeper.domain.stack_work import ChangeSet, Owner, ResourceChange, ResourceFailure, Stack, WantedStack
from tests.fake.cloudformation import FakeCloudFormation

from .clock import Clock
from .conftest import REGION, patience

ROLE = "arn:aws:iam::123456789012:role/cloudformation"
OWNER = Owner(ServiceName("orders"), StageName("dev"), "state-table")
GONE = "arn:aws:cloudformation:eu-central-1:123456789012:stack/gone/1"
TOKENS = frozenset({"change", "change-d"})


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


class Bench:
    """The fake, with templates in the artifact bucket."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.objects: dict[tuple[str, str], bytes] = {}
        self.aws = FakeCloudFormation(REGION, clock=clock.moments, objects=lambda b, k, _: self.objects.get((b, k)))
        client = self.aws.client()
        self.changes = StackChanges(clock, ROLE, "artifacts", lambda: CloudFormationClients(client, client))

    def wanted(self, outputs: Mapping[str, Any] | None = None, **resources: Any) -> WantedStack:
        body = {"Resources": resources, "Outputs": {name: {"Value": value} for name, value in (outputs or {}).items()}}
        self.objects["artifacts", "templates/one"] = json.dumps(body).encode()
        return WantedStack("orders--dev", OWNER, "templates/one", "digest")

    def make(self, wanted: WantedStack | None = None, stack_id: str | None = None, name: str = "change") -> str:
        """Let a change set be made and executed; the stack's id."""
        self.changes.create_change_set(wanted or self.wanted(Queue=queue()), name, stack_id, anyone)
        self.clock.sleep(5)
        stack_id = self.aws.stacks["orders--dev"].stack_id
        self.changes.execute(stack_id, name, name, anyone)
        self.aws.finish()
        return stack_id

    def last(self, operation: str) -> Mapping[str, Any]:
        return self.aws.asked(operation)[-1]

    def answers(self, operation: str, error: Exception, times: int = 10**6) -> None:
        left = [error] * min(times, 1000)

        def before(name: str, _request: Mapping[str, Any]) -> None:
            if name == operation and left:
                raise left.pop()

        self.aws.before = before


@pytest.fixture
def bench(clock: Clock) -> Bench:
    return Bench(clock)


def anyone() -> None:
    """The mandate of a worker that always may."""


def client_error(code: str, message: str = "As it was asked.", status: int = 400) -> ClientError:
    told: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(told, "Anything")


DENIED = client_error("AccessDenied", status=403)
SILENT = ReadTimeoutError(endpoint_url="https://cloudformation.fake")

READS: Mapping[str, tuple[str, Callable[[StackChanges], object]]] = {
    "describe": ("DescribeStacks", lambda changes: changes.describe("orders--dev")),
    "change_set": ("DescribeChangeSet", lambda changes: changes.change_set(GONE, "change")),
    "tags_under_review": ("ListChangeSets", lambda changes: changes.tags_under_review(GONE)),
    "history": ("DescribeStackEvents", lambda changes: changes.history(GONE, TOKENS, 0)),
    "resources": ("ListStackResources", lambda changes: changes.resources(GONE)),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("error", [DENIED, SILENT], ids=["denied", "silent"])
def test_what_cannot_be_read_is_not_absent(bench: Bench, read: str, error: Exception) -> None:
    operation, ask = READS[read]
    bench.answers(operation, error)

    assert isinstance(ask(bench.changes), Unreadable)


# Facts.


def test_a_stack_is_seen_with_its_tags_its_outputs_and_when_it_was_changed(bench: Bench) -> None:
    stack_id = bench.make(bench.wanted({"Name": "one"}, Queue=queue()))

    made = bench.changes.describe("orders--dev")
    bench.make(bench.wanted({"Name": "two"}, Queue=queue()), stack_id, "second")
    changed = bench.changes.describe("orders--dev")

    assert isinstance(made, Stack)
    assert isinstance(changed, Stack)
    assert (made.stack_id, made.status, made.tags, made.outputs) == (stack_id, "CREATE_COMPLETE", OWNER.tags(), {"Name": "one"})
    assert changed.outputs == {"Name": "two"}
    assert made.changed_at < changed.changed_at


def test_one_that_is_not_there_is_absent_also_when_it_was(bench: Bench) -> None:
    assert isinstance(bench.changes.describe("orders--dev"), Absent)
    stack_id = bench.make()
    bench.changes.delete_stack(stack_id, "change-d", anyone)
    bench.aws.finish()

    assert isinstance(bench.changes.describe("orders--dev"), Absent)
    assert isinstance(bench.changes.describe(stack_id), Absent)


def test_a_change_set_is_seen_as_it_is_being_made_and_when_it_is(bench: Bench) -> None:
    bench.changes.create_change_set(bench.wanted(Queue=queue()), "change", None, anyone)
    stack_id = bench.aws.stacks["orders--dev"].stack_id

    first = bench.changes.change_set(stack_id, "change")
    bench.clock.sleep(5)
    then = bench.changes.change_set(stack_id, "change")

    assert isinstance(first, ChangeSet)
    assert isinstance(then, ChangeSet)
    assert (first.status, first.execution, first.changes) == ("CREATE_PENDING", "UNAVAILABLE", ())
    assert (then.status, then.execution) == ("CREATE_COMPLETE", "AVAILABLE")
    assert then.changes == (ResourceChange("Queue", "AWS::SQS::Queue", "Add"),)


def test_all_pages_of_its_changes_are_read(bench: Bench) -> None:
    bench.aws.page = 2
    bench.changes.create_change_set(bench.wanted(**{f"Queue{n}": queue() for n in range(5)}), "change", None, anyone)
    bench.clock.sleep(5)

    found = bench.changes.change_set(bench.aws.stacks["orders--dev"].stack_id, "change")

    assert isinstance(found, ChangeSet)
    assert len(found.changes) == 5
    assert len(bench.aws.asked("DescribeChangeSet")) == 3


def test_what_would_be_replaced_is_known(bench: Bench) -> None:
    stack_id = bench.make(bench.wanted(Queue=queue(QueueName="one")))
    changed = queue(QueueName="two", DelaySeconds=3)
    bench.changes.create_change_set(bench.wanted(Queue=changed), "second", stack_id, anyone)
    bench.clock.sleep(5)

    found = bench.changes.change_set(stack_id, "second")

    assert isinstance(found, ChangeSet)
    assert found.changes == (ResourceChange("Queue", "AWS::SQS::Queue", "Modify", "True", ("QueueName",)),)


def test_one_that_fails_says_why(bench: Bench) -> None:
    stack_id = bench.make()
    bench.changes.create_change_set(bench.wanted(Queue=queue()), "second", stack_id, anyone)
    bench.clock.sleep(5)

    found = bench.changes.change_set(stack_id, "second")

    assert isinstance(found, ChangeSet)
    assert (found.status, "didn't contain changes" in found.reason) == ("FAILED", True)


def test_a_stack_has_no_change_set_of_another_name_nor_has_one_that_is_gone(bench: Bench) -> None:
    assert bench.changes.change_set(bench.make(), "other") is None
    assert bench.changes.change_set(GONE, "change") is None


def test_the_tags_of_one_under_review_are_those_of_its_change_set(bench: Bench) -> None:
    bench.changes.create_change_set(bench.wanted(Queue=queue()), "change", None, anyone)
    stack = bench.aws.stacks["orders--dev"]

    assert stack.tags == {}
    assert bench.changes.tags_under_review(stack.stack_id) == OWNER.tags()
    assert bench.changes.tags_under_review(GONE) == {}


def test_of_a_history_only_our_own_failures_count_the_first_first(bench: Bench) -> None:
    stack_id = bench.make()
    bench.aws.fail("Second", "CREATE", "The cause.")
    three = bench.wanted(Queue=queue(DelaySeconds=1), Second=queue(), Third=queue())
    bench.make(three, stack_id, "second")

    found = bench.changes.history(stack_id, frozenset({"second"}), 0)

    assert not isinstance(found, Unreadable)
    assert found.begun == {"second"}
    assert found.failures == {"second": (ResourceFailure("Second", "AWS::SQS::Queue", "CREATE_FAILED", "The cause."),)}


def test_a_history_is_read_page_by_page_until_the_operation_began(bench: Bench) -> None:
    stack_id = bench.make()
    bench.clock.sleep(3600)
    since = bench.clock.now()
    bench.aws.fail("Second", "CREATE")
    bench.make(bench.wanted(Queue=queue(), Second=queue()), stack_id, "second")
    bench.aws.page = 2
    bench.aws.calls.clear()

    recent = bench.changes.history(stack_id, frozenset({"change", "second"}), since)
    pages = len(bench.aws.asked("DescribeStackEvents"))
    whole = bench.changes.history(stack_id, frozenset({"change", "second"}), 0)

    assert not isinstance(recent, Unreadable)
    assert not isinstance(whole, Unreadable)
    assert (set(recent.begun), set(whole.begun)) == ({"second"}, {"change", "second"})
    assert 1 < pages < len(bench.aws.asked("DescribeStackEvents")) - pages


def test_a_stack_that_fails_by_itself_has_a_reason_too(bench: Bench) -> None:
    """Its outputs cannot be worked out, for instance; that some resources failed only sums up what they say."""
    stack_id = bench.make()
    stack = bench.aws.stacks["orders--dev"]
    bench.aws._lives.enter(stack, "UPDATE_FAILED", "change", "Output Arn cannot be worked out")
    bench.aws._lives.enter(stack, "UPDATE_ROLLBACK_FAILED", "change", "The following resource(s) failed to update: [Queue].")

    found = bench.changes.history(stack_id, frozenset({"change"}), 0)

    assert not isinstance(found, Unreadable)
    assert [failure.reason for failure in found.failures["change"]] == ["Output Arn cannot be worked out"]


def test_resources_are_known_by_their_logical_ids_without_what_was_let_go(bench: Bench) -> None:
    bench.aws.page = 2
    made = bench.wanted(**{f"Queue{n}": queue(QueueName=f"queue-{n}") for n in range(5)})
    stack_id = bench.make(made)
    bench.aws.stacks["orders--dev"].left["queue-3"] = "DELETE_SKIPPED"

    assert bench.changes.resources(stack_id) == {f"Queue{n}": f"queue-{n}" for n in (0, 1, 2, 4)}
    assert bench.changes.resources(GONE) == {}


# Actions.


def test_a_change_set_is_asked_for_with_all_that_makes_the_stack_ours(bench: Bench) -> None:
    wanted = WantedStack("orders--dev", OWNER, "templates/one", "digest", {"Second": "2", "First": "1"})
    body = {"Resources": {"Queue": queue()}, "Parameters": {"First": {"Type": "String"}, "Second": {"Type": "String"}}}
    bench.objects["artifacts", "templates/one"] = json.dumps(body).encode()

    bench.changes.create_change_set(wanted, "change", None, anyone)

    assert bench.last("CreateChangeSet") == {
        "StackName": "orders--dev",
        "ChangeSetName": "change",
        "ChangeSetType": "CREATE",
        "TemplateURL": f"https://s3.{REGION}.amazonaws.com/artifacts/templates/one",
        "Parameters": [
            {"ParameterKey": "First", "ParameterValue": "1"},
            {"ParameterKey": "Second", "ParameterValue": "2"},
        ],
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
        "Tags": [
            {"Key": "stagekeeper:managed-by", "Value": "state-table"},
            {"Key": "stagekeeper:service", "Value": "orders"},
            {"Key": "stagekeeper:stage", "Value": "dev"},
        ],
        "RoleARN": ROLE,
    }


def test_it_is_executed_by_its_stacks_id_rolled_back_if_it_fails_and_leaves_nothing_new_behind(bench: Bench) -> None:
    stack_id = bench.make()

    assert bench.last("ExecuteChangeSet") == {
        "StackName": stack_id,
        "ChangeSetName": "change",
        "ClientRequestToken": "change",
        "DisableRollback": False,
        "RetainExceptOnCreate": True,
    }


def test_a_second_one_of_its_name_is_there_already(bench: Bench) -> None:
    bench.changes.create_change_set(bench.wanted(Queue=queue()), "change", None, anyone)

    with pytest.raises(AlreadyThere):
        bench.changes.create_change_set(bench.wanted(Queue=queue()), "change", None, anyone)


def test_what_cannot_be_executed_any_more_is_a_failed_precondition(bench: Bench) -> None:
    stack_id = bench.make()
    bench.changes.create_change_set(bench.wanted(Queue=queue()), "second", stack_id, anyone)

    with pytest.raises(PreconditionFailed):
        bench.changes.execute(stack_id, "second", "second", anyone)


def test_executing_twice_with_one_token_is_executing_once(bench: Bench) -> None:
    stack_id = bench.make()
    begun = len(bench.aws.stacks["orders--dev"].events)

    bench.changes.execute(stack_id, "change", "change", anyone)

    assert len(bench.aws.stack("orders--dev").events) == begun


def test_what_is_gone_needs_no_deleting(bench: Bench) -> None:
    bench.changes.delete_stack(GONE, "change-d", anyone)
    bench.changes.delete_change_set(GONE, "change", anyone)
    bench.changes.delete_change_set(bench.make(), "none", anyone)


def test_only_a_rollback_that_got_stuck_can_be_gone_on_with(bench: Bench) -> None:
    with pytest.raises(CallFailed, match="can not continue"):
        bench.changes.continue_update_rollback(bench.make(), "change-c", anyone)


ACTIONS: Mapping[str, Callable[[StackChanges, Callable[[], None]], object]] = {
    "CreateChangeSet": lambda changes, guard: changes.create_change_set(
        WantedStack("orders--dev", OWNER, "templates/one", "digest"), "change", None, guard
    ),
    "ExecuteChangeSet": lambda changes, guard: changes.execute(GONE, "change", "change", guard),
    "DeleteChangeSet": lambda changes, guard: changes.delete_change_set(GONE, "change", guard),
    "DeleteStack": lambda changes, guard: changes.delete_stack(GONE, "change-d", guard),
    "ContinueUpdateRollback": lambda changes, guard: changes.continue_update_rollback(GONE, "change-c", guard),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (SILENT, Unanswered),
        (client_error("InternalFailure", status=500), Unanswered),
        (ConnectTimeoutError(endpoint_url="https://cloudformation.fake"), CallFailed),
        (DENIED, CallFailed),
        (client_error("Throttling", "Rate exceeded"), Throttled),
    ],
    ids=["silent", "500", "never sent", "denied", "throttled"],
)
def test_what_an_action_ended_with_is_told(bench: Bench, action: str, error: Exception, kind: type[CallFailed]) -> None:
    bench.answers(action, error)

    with pytest.raises(CallFailed) as caught:
        ACTIONS[action](bench.changes, anyone)

    assert type(caught.value) is kind


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_that_is_not_answered_is_sent_once(bench: Bench, action: str) -> None:
    bench.answers(action, SILENT)

    with pytest.raises(Unanswered):
        ACTIONS[action](bench.changes, anyone)

    assert len(bench.aws.asked(action)) == 1


@pytest.mark.parametrize("action", ACTIONS)
def test_before_each_try_the_mandate_is_asked_for(bench: Bench, action: str) -> None:
    asked: list[str] = []
    bench.answers(action, client_error("Throttling", "Rate exceeded"))

    def guard() -> None:
        asked.append(action)
        if len(asked) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ACTIONS[action](bench.changes, guard)

    assert len(bench.aws.asked(action)) == 2


@pytest.mark.usefixtures("environment")
def test_reads_are_repeated_by_the_client_and_actions_are_not() -> None:
    clients = CloudFormationClients.default()

    assert patience(clients.read) == (2, 10, {"mode": "standard", "total_max_attempts": 6})
    assert patience(clients.act) == (2, 30, {"mode": "standard", "total_max_attempts": 1})
