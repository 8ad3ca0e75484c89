"""Clients without HTTP answer as those with it do, and are refused the same; what they ask can be heard.

Beside tests/contract, whose cases the fakes pass both ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError

from tests.fake import AwsError, FakeClock, FakeLambda, FakeStepFunctions
from tests.fake.cloudformation import FakeCloudFormation
from tests.fake.direct import line_of
from tests.fake.dynamodb import FakeDynamoDB
from tests.fake.s3 import FakeS3

from .engine.wire import Died, Wire

REGION = "eu-central-1"
NAME = "orders-api"
TEMPLATE = '{"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}}'

Ask = Callable[[Any], Any]


@dataclass
class Account:
    """The same account by HTTP and directly."""

    clock: FakeClock
    fake: FakeLambda
    executions: FakeStepFunctions
    stacks: FakeCloudFormation

    def clients(self, service: str, config: Config | None = None) -> tuple[Any, Any]:
        fake: Any = {"lambda": self.fake, "stepfunctions": self.executions, "cloudformation": self.stacks}[service]
        return fake.client(config), fake.direct_client(config)


@pytest.fixture
def account() -> Account:
    """A function with two versions, an alias of the first and one with weights, and what hangs on them; executions; a stack."""
    clock = FakeClock()
    fake = FakeLambda(REGION, clock=clock)
    fake.create(NAME, b"one", publish=True, MemorySize=256, Environment={"Variables": {"NAME": "ä"}})
    fake.publish(NAME, b"two")
    fake.alias(NAME, "dev", "1")
    fake.alias(NAME, "canary", "1", {"2": 0.1})
    fake.quietly(
        "AddPermission",
        FunctionName=NAME,
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
        Qualifier="dev",
    )
    source = f"arn:aws:sqs:{REGION}:123456789012:work"
    fake.quietly("CreateEventSourceMapping", FunctionName=f"{NAME}:dev", EventSourceArn=source)
    fake.quietly("PutProvisionedConcurrencyConfig", FunctionName=NAME, Qualifier="2", ProvisionedConcurrentExecutions=1)
    executions = FakeStepFunctions(REGION, clock=clock)
    executions.start("one", {"a": [1]})
    executions.start("two")
    executions.fail("two", "Locked", "by one")
    stacks = FakeCloudFormation(REGION, clock=clock)
    stacks.put("orders", Queue="orders-queue", Table="orders-table")
    return Account(clock, fake, executions, stacks)


MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:operation"
EXECUTION = MACHINE.replace(":stateMachine:", ":execution:")
#: Each can be asked twice and answers the same: it looks, is refused, or comes to the same the second time.
ASKED: dict[str, tuple[str, Ask]] = {
    "a function": ("lambda", lambda client: client.get_function(FunctionName=NAME)),
    "a version": ("lambda", lambda client: client.get_function(FunctionName=NAME, Qualifier="1")),
    "a configuration": ("lambda", lambda client: client.get_function_configuration(FunctionName=NAME, Qualifier="dev")),
    "versions": ("lambda", lambda client: client.list_versions_by_function(FunctionName=NAME)),
    "versions page by page": (
        "lambda",
        lambda client: {
            "pages": [
                [version["Version"] for version in page["Versions"]]
                for page in client.get_paginator("list_versions_by_function").paginate(
                    FunctionName=NAME, PaginationConfig={"PageSize": 1}
                )
            ]
        },
    ),
    "an alias with weights": ("lambda", lambda client: client.get_alias(FunctionName=NAME, Name="canary")),
    "aliases": ("lambda", lambda client: client.list_aliases(FunctionName=NAME)),
    "a policy": ("lambda", lambda client: client.get_policy(FunctionName=NAME, Qualifier="dev")),
    "event source mappings": ("lambda", lambda client: client.list_event_source_mappings()),
    "provisioned concurrency": ("lambda", lambda client: client.list_provisioned_concurrency_configs(FunctionName=NAME)),
    "the account": ("lambda", lambda client: client.get_account_settings()),
    "no function": ("lambda", lambda client: client.get_function(FunctionName="nothing")),
    "no alias": ("lambda", lambda client: client.get_alias(FunctionName=NAME, Name="nothing")),
    "another revision": (
        "lambda",
        lambda client: client.update_alias(FunctionName=NAME, Name="dev", FunctionVersion="2", RevisionId="another"),
    ),
    "a mistake that the service finds": (
        "lambda",
        lambda client: client.update_alias(FunctionName=NAME, Name="canary", FunctionVersion="$LATEST"),
    ),
    "no name of a function": ("lambda", lambda client: client.get_function()),
    "a number as a name": ("lambda", lambda client: client.get_function(FunctionName=7)),
    "an unknown member": ("lambda", lambda client: client.get_function(FunctionName=NAME, Version="1")),
    "an unknown member inside": (
        "lambda",
        lambda client: client.update_function_configuration(FunctionName=NAME, Environment={"Values": {}}),
    ),
    "a text that is too short": ("lambda", lambda client: client.get_function(FunctionName="")),
    "a number that is too small": ("lambda", lambda client: client.list_aliases(FunctionName=NAME, MaxItems=0)),
    "a text for a list": ("lambda", lambda client: client.update_function_configuration(FunctionName=NAME, Layers="layer")),
    "nothing for a text": ("lambda", lambda client: client.get_function(FunctionName=NAME, Qualifier=None)),
    "an execution that runs": (
        "stepfunctions",
        lambda client: client.describe_execution(executionArn=f"{EXECUTION}:one"),
    ),
    "an execution that failed": (
        "stepfunctions",
        lambda client: client.describe_execution(executionArn=f"{EXECUTION}:two"),
    ),
    "no execution": ("stepfunctions", lambda client: client.describe_execution(executionArn=f"{EXECUTION}:none")),
    "a start of what runs already": (
        "stepfunctions",
        lambda client: client.start_execution(stateMachineArn=MACHINE, name="one", input='{"a": [1]}'),
    ),
    "a start under a name that was used": (
        "stepfunctions",
        lambda client: client.start_execution(stateMachineArn=MACHINE, name="two", input="{}"),
    ),
    "a stack": ("cloudformation", lambda client: client.describe_stacks(StackName="orders")),
    "a resource's stack": (
        "cloudformation",
        lambda client: client.describe_stack_resources(PhysicalResourceId="orders-queue"),
    ),
    "a stack's resources page by page": (
        "cloudformation",
        lambda client: client.get_paginator("list_stack_resources").paginate(StackName="orders").build_full_result(),
    ),
    "a stack's events": ("cloudformation", lambda client: client.describe_stack_events(StackName="orders")),
    "no stack": ("cloudformation", lambda client: client.describe_stacks(StackName="none")),
    "no change set": (
        "cloudformation",
        lambda client: client.describe_change_set(StackName="orders", ChangeSetName="none"),
    ),
    "a template that is none": (
        "cloudformation",
        lambda client: client.create_change_set(StackName="orders", ChangeSetName="c", TemplateBody="{}", Tags=[]),
    ),
}


def answered(client: Any, ask: Ask) -> Any:
    try:
        answer = dict(ask(client))
    except ClientError as error:
        return type(error).__name__, str(error), _without_metadata(error.response)
    except ParamValidationError as error:
        return type(error), str(error)
    return _without_metadata(answer)


def _without_metadata(answer: Any) -> Any:
    """Of the metadata the status; of an error in XML not who is to blame, which botocore does not look at."""
    metadata = answer.get("ResponseMetadata", {})
    error = {name: value for name, value in answer.get("Error", {}).items() if name != "Type"}
    return {**answer, "Error": error, "ResponseMetadata": metadata.get("HTTPStatusCode")}


@pytest.mark.parametrize("case", ASKED)
def test_both_are_answered_the_same(account: Account, case: str) -> None:
    service, ask = ASKED[case]
    by_http, directly = account.clients(service)

    assert answered(directly, ask) == answered(by_http, ask)


def test_parameters_may_go_unchecked(account: Account) -> None:
    by_http, directly = account.clients(
        "lambda", Config(parameter_validation=False, retries={"total_max_attempts": 1, "mode": "standard"})
    )

    def ask(client: Any) -> Any:
        return client.list_aliases(FunctionName=NAME, MaxItems=0)

    refused, _, told = answered(directly, ask)

    assert (refused, told["ResponseMetadata"]) == ("ClientError", 400)
    assert (refused, _, told) == answered(by_http, ask)


def test_what_is_asked_and_answered_is_a_copy(account: Account) -> None:
    _, client = account.clients("lambda")
    given = {"Variables": {"NAME": "one"}}

    client.update_function_configuration(FunctionName=NAME, Environment=given)
    given["Variables"]["NAME"] = "changed"
    client.get_function_configuration(FunctionName=NAME)["Environment"]["Variables"]["NAME"] = "changed"

    assert client.get_function_configuration(FunctionName=NAME)["Environment"] == {"Variables": {"NAME": "one"}}


def test_a_value_of_a_table_is_a_copy() -> None:
    fake = FakeDynamoDB(REGION)
    fake.make_table("state")
    client: Any = fake.plain_client()
    item = {"pk": "A", "sk": "1", "map": {"list": [1]}}

    client.put_item(TableName="state", Item=item)
    item["map"]["list"].append(2)  # type: ignore[index]
    client.get_item(TableName="state", Key={"pk": "A", "sk": "1"})["Item"]["map"]["list"].append(3)

    assert fake.items("state")["A", "1"]["map"] == {"list": [1]}


def test_a_fault_comes_out_of_both(account: Account) -> None:
    for client in account.clients("lambda"):
        account.fake.fail("UpdateAlias", error="TooManyRequestsException")
        with pytest.raises(client.exceptions.TooManyRequestsException) as throttled:
            client.update_alias(FunctionName=NAME, Name="dev", FunctionVersion="2")
        assert throttled.value.response["Reason"] == "CallerRateLimitExceeded"
        account.fake.heal()

        account.fake.fail("UpdateAlias", applied=True)
        with pytest.raises(ReadTimeoutError):
            client.update_alias(FunctionName=NAME, Name="dev", FunctionVersion="2")
        assert account.fake.aliases(NAME)["dev"] == "2"
        account.fake.heal()
        account.fake.alias(NAME, "dev", "1")


def test_a_hook_after_a_call_sees_its_effect_and_cannot_change_its_answer(account: Account) -> None:
    _, client = account.clients("lambda")
    account.fake.on("UpdateAlias", lambda _: account.fake.alias(NAME, "dev", "1"), when="after")

    answer = client.update_alias(FunctionName=NAME, Name="dev", FunctionVersion="2")

    assert answer["FunctionVersion"] == "2"
    assert account.fake.aliases(NAME)["dev"] == "1"


def test_a_member_that_aws_does_not_have_is_no_answer(account: Account) -> None:
    _, client = account.clients("lambda")
    account.fake._operations["GetAlias"] = lambda _: {"Name": "dev", "Colour": "red"}

    with pytest.raises(AssertionError, match="has no Colour on AWS"):
        client.get_alias(FunctionName=NAME, Name="dev")


def test_an_operation_that_the_fake_has_not_is_no_answer(account: Account) -> None:
    for service, operation in (
        ("lambda", "list_layers"),
        ("stepfunctions", "list_state_machines"),
        ("cloudformation", "list_stacks"),
    ):
        for client in account.clients(service):
            with pytest.raises(NotImplementedError, match="the fake"):
                getattr(client, operation)()


def test_one_that_would_try_again_is_none(account: Account) -> None:
    with pytest.raises(NotImplementedError, match="retries nothing"):
        account.fake.direct_client(Config(retries={"total_max_attempts": 2, "mode": "standard"}))


def test_its_events_cannot_be_listened_to_in_vain(account: Account) -> None:
    with pytest.raises(NotImplementedError, match="tap its line"):
        account.fake.direct_client().meta.events.register("before-send.lambda.*", print)


def test_clients_of_one_service_are_each_their_own(account: Account) -> None:
    another = FakeLambda(REGION)
    heard: list[str] = []
    line = line_of(account.fake.direct_client())
    assert line is not None
    line.before.append(lambda request: heard.append(request.name))

    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        another.direct_client().get_function(FunctionName=NAME)
    assert heard == []


def test_a_real_client_has_no_line() -> None:
    client = boto3.client("lambda", region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test")

    assert line_of(client) is None


# What leaves the process, as the engine's tests look at it.

STATE = {"TableName": "state", "Key": {"pk": "A", "sk": "1"}, "UpdateExpression": "SET a = :a"}
SENT: dict[str, tuple[str, Ask]] = {
    "lambda.UpdateAlias": (
        "lambda",
        lambda client: client.update_alias(FunctionName=NAME, Name="dev", FunctionVersion="2", Description="ä / b"),
    ),
    "lambda.DeleteFunction": ("lambda", lambda client: client.delete_function(FunctionName=NAME, Qualifier="2")),
    "sfn.StartExecution": (
        "stepfunctions",
        lambda client: client.start_execution(stateMachineArn=MACHINE, name="one", input='{"a": [1]}'),
    ),
    "cloudformation.CreateChangeSet": (
        "cloudformation",
        lambda client: client.create_change_set(
            StackName="orders",
            ChangeSetName="c",
            TemplateBody=TEMPLATE,
            Parameters=[{"ParameterKey": "A", "ParameterValue": "b"}],
        ),
    ),
}


@pytest.mark.parametrize("name", SENT)
def test_what_is_sent_names_and_says_the_same(account: Account, name: str) -> None:
    service, ask = SENT[name]
    heard = []
    for client in account.clients(service):
        wire = Wire()
        wire.tap(client)
        answered(client, ask)
        (sent,) = wire.sent
        heard.append(sent)
    by_http, directly = heard

    assert directly.name == by_http.name == name
    assert directly.body == by_http.body
    assert by_http.path == f"https://{service}.fake{directly.path}"


def test_what_is_written_into_a_table_is_said_as_it_travels() -> None:
    fake, wire = FakeDynamoDB(REGION), Wire()
    fake.make_table("state")
    client: Any = fake.plain_client()
    wire.tap(client)

    client.transact_write_items(TransactItems=[{"Update": {**STATE, "ExpressionAttributeValues": {":a": {"b": True}}}}])

    (sent,) = wire.sent
    assert (sent.name, sent.items_written) == ("dynamodb.TransactWriteItems", 1)
    assert '":a": {"M": {"b": {"BOOL": true}}}' in sent.body


def test_where_an_object_lies_is_in_the_path() -> None:
    fake, wire = FakeS3(REGION), Wire()
    fake.put("artifacts", "code/one.zip", b"one")
    client = fake.client()
    wire.tap(client)

    client.get_object(Bucket="artifacts", Key="code/one.zip")

    (sent,) = wire.sent
    assert sent.path.endswith("/code/one.zip")


@pytest.mark.parametrize("directly", [False, True])
def test_the_wire_is_cut_before_and_after(account: Account, directly: bool) -> None:
    client, wire = account.clients("lambda")[directly], Wire()
    wire.tap(client)

    def move() -> None:
        client.update_alias(FunctionName=NAME, Name="dev", FunctionVersion="2")

    wire.fail("lambda.UpdateAlias", "AccessDeniedException", 403)
    with pytest.raises(ClientError, match="AccessDeniedException"):
        move()
    assert account.fake.aliases(NAME)["dev"] == "1"

    wire.mend()
    wire.kill("lambda.UpdateAlias", after=True)
    with pytest.raises(Died):
        move()
    assert account.fake.aliases(NAME)["dev"] == "2"
    with pytest.raises(Died):
        client.get_alias(FunctionName=NAME, Name="dev")
    assert wire.unmet() == 0


def test_an_error_of_a_fake_has_what_its_shape_has() -> None:
    fake = FakeDynamoDB(REGION)
    fake._operations["GetItem"] = _refused

    with pytest.raises(ClientError) as refused:
        fake.client().get_item(TableName="state", Key={})

    response: Any = refused.value.response
    assert response["CancellationReasons"] == [{"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "1"}}}]
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400


def _refused(_: Any) -> Any:
    reasons = [{"Code": "ConditionalCheckFailed", "Item": {"n": {"N": "1"}}}]
    raise AwsError("TransactionCanceledException", "no", members={"CancellationReasons": reasons})
