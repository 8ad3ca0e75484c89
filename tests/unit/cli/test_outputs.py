"""What `outputs` says: the Outputs of stacks, and addresses of what a stage has of its own."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stagekeeper.aws.errors import CallFailed
from stagekeeper.cli.outputs import Address, Found, Hosts, Output, Resource, StackOutputs, addresses, as_json, read, show
from stagekeeper.domain.model import ServiceName, StageName
from stagekeeper.domain.stack_plan import AppliedStack
from stagekeeper.domain.stack_work import StackRecord
from tests.fake.cloudformation import FakeCloudFormation
from tests.fake.errors import AwsError

ORDERS, DEV = ServiceName("orders"), StageName("dev")
REGION = "eu-central-1"
AWS = Hosts(REGION)
QUEUE = "https://sqs.eu-central-1.amazonaws.com/123456789012/mails"

API = Resource("Api", "abc123", "AWS::ApiGateway::RestApi")
API_PROD = Resource("ApiProdStage", "Prod", "AWS::ApiGateway::Stage")


def nothing(_: str) -> None:
    return None


@pytest.mark.parametrize(
    ("hosts", "resources", "urls"),
    [
        (AWS, [API, API_PROD], ["https://abc123.execute-api.eu-central-1.amazonaws.com/Prod"]),
        (Hosts("cn-north-1"), [API, API_PROD], ["https://abc123.execute-api.cn-north-1.amazonaws.com.cn/Prod"]),
        (Hosts(REGION, "http://127.0.0.1:4566"), [API, API_PROD], ["http://127.0.0.1:4566/_aws/execute-api/abc123/Prod"]),
        (
            AWS,
            [Resource("Web", "def", "AWS::ApiGatewayV2::Api"), Resource("WebStage", "$default", "AWS::ApiGatewayV2::Stage")],
            ["https://def.execute-api.eu-central-1.amazonaws.com"],
        ),
        # Of several a stage is of the one that its logical id begins with.
        (
            AWS,
            [
                API,
                Resource("ApiTwo", "two", "AWS::ApiGateway::RestApi"),
                Resource("ApiTwoLive", "live", "AWS::ApiGateway::Stage"),
            ],
            ["https://two.execute-api.eu-central-1.amazonaws.com/live"],
        ),
        (
            AWS,
            [API, Resource("Two", "two", "AWS::ApiGateway::RestApi"), Resource("Live", "live", "AWS::ApiGateway::Stage")],
            [],
        ),
        (AWS, [API, Resource("WebStage", "$default", "AWS::ApiGatewayV2::Stage")], []),
        (AWS, [Resource("Mails", QUEUE, "AWS::SQS::Queue"), Resource("Table", "t", "AWS::DynamoDB::Table")], [QUEUE]),
    ],
)
def test_what_can_be_called_has_an_address(hosts: Hosts, resources: list[Resource], urls: list[str]) -> None:
    assert [each.url for each in addresses(resources, hosts, nothing)] == urls


@pytest.mark.parametrize(("url", "urls"), [("https://x.lambda-url.on.aws/", ["https://x.lambda-url.on.aws/"]), (None, [])])
def test_a_function_has_its_own_url(url: str | None, urls: list[str]) -> None:
    asked: list[str] = []

    def url_of(arn: str) -> str | None:
        asked.append(arn)
        return url

    found = addresses([Resource("ApiUrl", "arn:of:api", "AWS::Lambda::Url")], AWS, url_of)

    assert ([each.url for each in found], asked) == (urls, ["arn:of:api"])


def applied(name: str, stage: StageName | None) -> AppliedStack:
    return AppliedStack(name, "content", StackRecord("id", "d", "t"), stage)


STACKS = [applied("orders", None), applied("orders--dev", DEV), applied("orders--prod", StageName("prod"))]


def no_lambda() -> None:
    raise AssertionError("nobody has a function's URL")


def test_the_stacks_of_the_stage_and_of_the_service_are_asked_and_no_others() -> None:
    cloudformation = FakeCloudFormation(REGION)
    for name in ("orders", "orders--dev", "orders--prod"):
        cloudformation.put(name).outputs = {"Of": name, "A": "first"}

    found = read(cloudformation.client(), no_lambda, ORDERS, DEV, STACKS, AWS)  # type: ignore[arg-type]  # makes no client

    assert [(each.name, each.stage) for each in found.stacks] == [("orders--dev", "dev"), ("orders", None)]
    assert found.stacks[0].outputs == [Output("A", "first"), Output("Of", "orders--dev")]
    assert {asked["StackName"] for _, asked in cloudformation.calls} == {"orders", "orders--dev"}


def test_who_may_not_ask_is_told_which_rights_it_takes() -> None:
    cloudformation = FakeCloudFormation(REGION)
    cloudformation.put("orders")

    def deny(*_: object) -> None:
        raise AwsError("AccessDenied", "no", 403)

    cloudformation.before = deny

    with pytest.raises(CallFailed, match=r"cloudformation:ListStackResources .* OperatorPolicyArn leaves out"):
        read(cloudformation.client(), no_lambda, ORDERS, DEV, STACKS[:1], AWS)  # type: ignore[arg-type]  # as above


FOUND = Found(
    ORDERS,
    DEV,
    [StackOutputs("orders--dev", DEV, [Output("Queue", QUEUE, "where mails go")]), StackOutputs("orders", None, [])],
    [Address("Api", "AWS::ApiGateway::RestApi", "https://abc123.execute-api.eu-central-1.amazonaws.com/Prod")],
)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_value_is_never_broken(terminal: bool) -> None:
    file = io.StringIO()
    show(FOUND, Console(file=file, width=40, force_terminal=terminal, no_color=True, color_system=None))

    assert file.getvalue().splitlines() == [
        "stack orders--dev (stage dev)",
        f"  Queue  {QUEUE}",
        "stack orders (all stages share it): no outputs",
        "addresses of stage dev",
        "  Api  https://abc123.execute-api.eu-central-1.amazonaws.com/Prod",
    ]


def test_a_service_of_no_template_has_none() -> None:
    file = io.StringIO()
    show(Found(ORDERS, DEV, [], []), Console(file=file))

    assert "it is from no template" in file.getvalue()


def test_for_scripts() -> None:
    assert as_json(FOUND) == {
        "service": "orders",
        "stage": "dev",
        "stacks": [
            {
                "stack": "orders--dev",
                "stage": "dev",
                "outputs": [{"name": "Queue", "value": QUEUE, "description": "where mails go"}],
            },
            {"stack": "orders", "stage": None, "outputs": []},
        ],
        "addresses": [
            {
                "resource": "Api",
                "type": "AWS::ApiGateway::RestApi",
                "url": "https://abc123.execute-api.eu-central-1.amazonaws.com/Prod",
            }
        ],
    }
