"""`stagekeeper outputs`: what a stage's stacks say (their Outputs), and under which addresses a stage can be called.

Which stacks there are is on record; what is in them is asked of AWS with the rights of whoever asks. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console, Group, RenderableType
from rich.text import Text

from stagekeeper.aws.errors import CallFailed, error_code, translated
from stagekeeper.cli.paper import clean
from stagekeeper.domain.model import ServiceName, StageName
from stagekeeper.domain.stack_plan import AppliedStack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient

#: The APIs that stages are of, by the stages' type.
_APIS = {"AWS::ApiGateway::Stage": "AWS::ApiGateway::RestApi", "AWS::ApiGatewayV2::Stage": "AWS::ApiGatewayV2::Api"}
#: The stage of an HTTP API that is in no address.
_DEFAULT = "$default"


@dataclass(frozen=True, slots=True)
class Output:
    """One of a stack's."""

    name: str
    value: str
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """One of a stack's, by its logical and its physical id."""

    logical: str
    physical: str
    type: str


@dataclass(frozen=True, slots=True)
class Address:
    """Where a resource of the stage answers."""

    resource: str
    type: str
    url: str


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """``stage`` is None for the stack that all stages share."""

    name: str
    stage: StageName | None
    outputs: Sequence[Output]


@dataclass(frozen=True, slots=True)
class Found:
    service: ServiceName
    stage: StageName
    stacks: Sequence[StackOutputs]
    addresses: Sequence[Address]


@dataclass(frozen=True, slots=True)
class Hosts:
    """Where the APIs of a Region are. ``embedded`` is the endpoint of an embedded AWS, None for an account."""

    region: str
    embedded: str | None = None

    def api(self, identity: str, stage: str) -> str:
        if self.embedded is not None:
            # AWS has a host name for each API. An AWS on one port has not, and takes the API's id in the path: what is shown
            # is what can be called. The product itself calls no API, so it need not know.
            return f"{self.embedded.rstrip('/')}/_aws/execute-api/{identity}/{stage}"
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://{identity}.execute-api.{self.region}.{suffix}" + ("" if stage == _DEFAULT else f"/{stage}")


def read(
    cloudformation: CloudFormationClient,
    lambda_: Callable[[], LambdaClient],
    service: ServiceName,
    stage: StageName,
    stacks: Sequence[AppliedStack],
    hosts: Hosts,
) -> Found:
    """Of the stage's stack and of the service's, as far as they are among ``stacks``. Raises CallFailed."""
    own = sorted((each for each in stacks if each.stage in (None, stage)), key=lambda each: (each.stage is None, each.name))
    told = [StackOutputs(each.name, each.stage, _outputs(cloudformation, each.name)) for each in own]
    resources = [
        found for each in own if each.stage == stage for found in _resources(cloudformation, each.name) if found.physical
    ]
    return Found(service, stage, told, addresses(resources, hosts, lambda arn: _function_url(lambda_(), arn, stage)))


def addresses(resources: Sequence[Resource], hosts: Hosts, url_of: Callable[[str], str | None]) -> list[Address]:
    """Those of APIs, function URLs and queues, by name. ``url_of`` gives the URL of the function with an ARN, if it has one."""
    return sorted(_addresses(resources, hosts, url_of), key=lambda each: (each.type, each.resource, each.url))


def _addresses(resources: Sequence[Resource], hosts: Hosts, url_of: Callable[[str], str | None]) -> Iterator[Address]:
    for each in resources:
        match each.type:
            case "AWS::ApiGateway::Stage" | "AWS::ApiGatewayV2::Stage":
                api = _api_of(each, [other for other in resources if other.type == _APIS[each.type]])
                if api is not None:
                    yield Address(api.logical, api.type, hosts.api(api.physical, each.physical))
            case "AWS::Lambda::Url":
                url = url_of(each.physical)
                if url is not None:
                    yield Address(each.logical, each.type, url)
            case "AWS::SQS::Queue":
                yield Address(each.logical, each.type, each.physical)


def _api_of(stage: Resource, apis: Sequence[Resource]) -> Resource | None:
    """The API that a stage of it belongs to: nothing says so but their logical ids, which SAM begins with the API's."""
    if len(apis) == 1:
        return apis[0]
    named = [api for api in apis if stage.logical.startswith(api.logical)]
    return max(named, key=lambda api: len(api.logical), default=None)


def _outputs(client: CloudFormationClient, name: str) -> list[Output]:
    doing = f"reading the outputs of stack {name}"
    try:
        (found,) = client.describe_stacks(StackName=name)["Stacks"]
    except (ClientError, BotoCoreError) as error:
        raise _failed(doing, error) from error
    outputs = [
        Output(each["OutputKey"], each["OutputValue"], each.get("Description") or None) for each in found.get("Outputs", [])
    ]
    return sorted(outputs, key=lambda each: each.name)


def _resources(client: CloudFormationClient, name: str) -> list[Resource]:
    try:
        pages = client.get_paginator("list_stack_resources").paginate(StackName=name)
        summaries = [each for page in pages for each in page["StackResourceSummaries"]]
    except (ClientError, BotoCoreError) as error:
        raise _failed(f"reading the resources of stack {name}", error) from error
    return [Resource(each["LogicalResourceId"], each.get("PhysicalResourceId", ""), each["ResourceType"]) for each in summaries]


def _function_url(client: LambdaClient, arn: str, stage: StageName) -> str | None:
    """The URL that calls the stage's alias. ``arn`` may have the alias at its end."""
    function = ":".join(arn.split(":")[:7])
    try:
        return client.get_function_url_config(FunctionName=function, Qualifier=stage)["FunctionUrl"]
    except client.exceptions.ResourceNotFoundException:
        return None
    except (ClientError, BotoCoreError) as error:
        raise _failed(f"reading the URL of {function}:{stage}", error) from error


_DENIED = ("AccessDenied", "AccessDeniedException")


def _failed(doing: str, error: ClientError | BotoCoreError) -> CallFailed:
    if isinstance(error, ClientError) and error_code(error) in _DENIED:
        # Without its cause: of that the general sentence would say that OperatorPolicyArn has it, which is not so.
        return CallFailed(doing, f"AWS does not allow it ({error_code(error)}). {RIGHTS}")
    return translated(doing, error)


RIGHTS = (
    "`outputs` needs cloudformation:DescribeStacks and cloudformation:ListStackResources on the service's stacks, and "
    "lambda:GetFunctionUrlConfig, which OperatorPolicyArn leaves out"
)


def as_json(found: Found) -> Mapping[str, Any]:
    return {
        "service": found.service,
        "stage": found.stage,
        "stacks": [
            {
                "stack": stack.name,
                "stage": stack.stage,
                "outputs": [{"name": each.name, "value": each.value, "description": each.description} for each in stack.outputs],
            }
            for stack in found.stacks
        ],
        "addresses": [{"resource": each.resource, "type": each.type, "url": each.url} for each in found.addresses],
    }


def show(found: Found, console: Console) -> None:
    # A terminal breaks lines where it ends; what is broken here could not be copied whole.
    console.print(render(found), soft_wrap=True, highlight=False)


def render(found: Found) -> RenderableType:
    if not found.stacks:
        return Text(f"Service {found.service} has no stacks, so stage {found.stage} has no outputs: it is from no template.")
    parts: list[Text] = []
    for stack in found.stacks:
        whose = "all stages share it" if stack.stage is None else f"stage {stack.stage}"
        parts.append(Text.assemble((f"stack {stack.name}", "bold"), f" ({whose})" + ("" if stack.outputs else ": no outputs")))
        parts += _pairs([(each.name, each.value) for each in stack.outputs])
    if found.addresses:
        parts.append(Text(f"addresses of stage {found.stage}", style="bold"))
        parts += _pairs([(each.resource, each.url) for each in found.addresses])
    return Group(*parts)


def _pairs(pairs: Sequence[tuple[str, str]]) -> list[Text]:
    longest = max((len(name) for name, _ in pairs), default=0)
    return [Text(f"  {clean(name):<{longest}}  {clean(value)}") for name, value in pairs]
