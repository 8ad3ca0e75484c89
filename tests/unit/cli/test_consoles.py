"""Links to the AWS console."""

from __future__ import annotations

import pytest

from stagekeeper.cli.consoles import AwsConsole

MACHINE = "arn:aws:states:eu-central-1:123456789012:stateMachine:stagekeeper-operation"


def console(arn: str = MACHINE) -> AwsConsole:
    found = AwsConsole.of(arn)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("partition", "region", "begins"),
    [
        ("aws", "eu-central-1", "https://console.aws.amazon.com/dynamodbv2/home?region=eu-central-1#"),
        ("aws-cn", "cn-north-1", "https://console.amazonaws.cn/dynamodbv2/home?region=cn-north-1#"),
        ("aws-us-gov", "us-gov-west-1", "https://console.amazonaws-us-gov.com/dynamodbv2/home?region=us-gov-west-1#"),
    ],
)
def test_every_partition_has_a_console_of_its_own(partition: str, region: str, begins: str) -> None:
    arn = f"arn:{partition}:states:{region}:123456789012:stateMachine:stagekeeper-operation"

    assert console(arn).table("t").startswith(begins)


def test_of_a_partition_that_is_not_known_there_is_none() -> None:
    assert AwsConsole.of(MACHINE.replace("arn:aws:", "arn:aws-iso:")) is None


FUNCTION = "arn:aws:lambda:eu-central-1:123456789012:function:orders-api"
EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:stagekeeper-operation:orders-prod-1"
STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/orders--prod/0a1b"


@pytest.mark.parametrize(
    ("link", "page"),
    [
        (console().function(FUNCTION), "lambda/home?region=eu-central-1#/functions/orders-api"),
        (console().function(FUNCTION, "prod"), "lambda/home?region=eu-central-1#/functions/orders-api/aliases/prod"),
        (console().execution(EXECUTION), f"states/home?region=eu-central-1#/v2/executions/details/{EXECUTION}"),
        (console().state_machine(MACHINE), f"states/home?region=eu-central-1#/statemachines/view/{MACHINE}"),
        (console().table("stagekeeper-State"), "dynamodbv2/home?region=eu-central-1#table?name=stagekeeper-State"),
        (
            console().stack(STACK),
            "cloudformation/home?region=eu-central-1#/stacks/stackinfo?stackId="
            "arn%3Aaws%3Acloudformation%3Aeu-central-1%3A123456789012%3Astack%2Forders--prod%2F0a1b",
        ),
    ],
    ids=["a function", "an alias", "an execution", "the state machine", "the table", "a stack"],
)
def test_each_thing_has_its_page(link: str, page: str) -> None:
    assert link == f"https://console.aws.amazon.com/{page}"


@pytest.mark.parametrize("name", ["a b", "a&b=c", "a#b", "a/../b", "é"])
def test_no_name_breaks_a_link(name: str) -> None:
    for link in (console().table(name), console().function(FUNCTION, name), console().execution(f"{EXECUTION}{name}")):
        place = link.partition("#")[2]
        assert place.isascii()
        assert not {" ", "#", "&"} & set(place)
