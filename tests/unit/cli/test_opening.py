"""Which pages show a stage, a service, a function; and who opens a browser."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stagekeeper.aws import items
from stagekeeper.aws.table import Put
from stagekeeper.cli.consoles import AwsConsole, Link
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.opening import as_json, console_of, function_links, service_links, show, stage_links
from stagekeeper.cli.session import Plane
from stagekeeper.domain.model import ServiceName, StageName
from stagekeeper.domain.stack_plan import AppliedStack
from stagekeeper.domain.stack_work import StackRecord

from .books import ORDERS, Books, stage

AWS = AwsConsole("https://console", "eu-central-1")
PROD = StageName("prod")


@pytest.fixture
def orders(books: Books) -> Books:
    """A service of functions; prod serves two of them, dev one more."""
    books.known()
    books.stage(stage("prod", 7, Worker=4, Api=13))
    books.stage(stage("dev", 8, Mailer=1, Api=14))
    return books


def with_stack(books: Books, name: str, of: StageName | None) -> None:
    applied = AppliedStack(name, "content", StackRecord(f"arn:aws:cloudformation:x:1:stack/{name}/1", "d", "t"), of)
    books.table.put(Put(items.stack_key(ORDERS, name), items.stack_item(applied)))


def shown(links: list[Link]) -> list[tuple[str, str]]:
    """What each shows, and the end of its address."""
    return [(link.what, link.url.partition("#")[2]) for link in links]


def test_a_stage_without_a_stack_is_an_alias_on_each_function(orders: Books) -> None:
    assert shown(stage_links(AWS, orders.store, ORDERS, PROD)) == [
        ("Api of stage prod", "/functions/orders-api/aliases/prod"),
        ("Worker of stage prod", "/functions/orders-worker/aliases/prod"),
    ]


def test_a_stage_from_a_template_is_its_stack(orders: Books) -> None:
    with_stack(orders, "orders", None)
    with_stack(orders, "orders--prod", PROD)

    ((what, place),) = shown(stage_links(AWS, orders.store, ORDERS, PROD))

    assert what == "stack orders--prod of stage prod"
    assert place.endswith("stack%2Forders--prod%2F1")
    assert [what for what, _ in shown(service_links(AWS, orders.store, ORDERS))] == ["stack orders of service orders"]


def test_a_service_without_a_stack_is_the_functions_of_all_stages(orders: Books) -> None:
    assert [what for what, _ in shown(service_links(AWS, orders.store, ORDERS))] == [
        "Api of service orders",
        "Mailer of service orders",
        "Worker of service orders",
    ]


def test_a_function_is_itself_or_with_a_stage_its_alias(orders: Books) -> None:
    assert shown(function_links(AWS, orders.store, ORDERS, "Api", None)) == [("Api of service orders", "/functions/orders-api")]
    assert shown(function_links(AWS, orders.store, ORDERS, "Api", "dev")) == [
        ("Api of stage dev", "/functions/orders-api/aliases/dev")
    ]


@pytest.mark.parametrize(
    ("links", "code", "sentence"),
    [
        (lambda store: function_links(AWS, store, ORDERS, "api", None), "FunctionNotFound", "are Api, Mailer, Worker."),
        (lambda store: function_links(AWS, store, ORDERS, "Mailer", "prod"), "FunctionNotFound", "It has Api, Worker."),
        (lambda store: stage_links(AWS, store, ORDERS, StageName("qa")), "StageNotFound", "Its stages are dev, prod."),
        (lambda store: service_links(AWS, store, ServiceName("billing")), "ServiceNotFound", "There is no service billing"),
    ],
    ids=["a function", "a function of a stage", "a stage", "a service"],
)
def test_what_is_not_there_is_refused(orders: Books, links: object, code: str, sentence: str) -> None:
    assert callable(links)
    with pytest.raises(CommandFailed, match=sentence) as caught:
        links(orders.store)

    assert (caught.value.code, caught.value.exit_code) == (code, Exit.REFUSED)


# The console of the account.


def plane(partition: str = "aws") -> Plane:
    return Plane("stagekeeper", f"arn:{partition}:states:eu-central-1:123456789012:stateMachine:op", "table", "bucket")


def test_the_console_is_the_one_of_the_accounts_partition_and_region() -> None:
    assert console_of(plane("aws-cn"), embedded=False) == AwsConsole("https://console.amazonaws.cn", "eu-central-1")


@pytest.mark.parametrize(
    ("partition", "embedded", "sentence"),
    [("aws", True, "The embedded AWS has no console"), ("aws-iso", False, "arn:aws-iso:states")],
)
def test_where_there_is_no_console_that_is_said(partition: str, embedded: bool, sentence: str) -> None:
    with pytest.raises(CommandFailed, match=sentence) as caught:
        console_of(plane(partition), embedded=embedded)

    assert (caught.value.code, caught.value.exit_code) == ("NoConsole", Exit.REFUSED)


# What is shown, and opened.

ONE = [Link("the state table", "https://console/one?a=[b]")]
TWO = [*ONE, Link("the state machine", "https://console/" + "2" * 100)]


def printed(links: list[Link], browsed: list[str] | None) -> str:
    file = io.StringIO()

    def browse(url: str) -> bool:
        assert browsed is not None
        browsed.append(url)
        return True

    console = Console(file=file, force_terminal=True, width=80, color_system=None)
    show(links, console, None if browsed is None else browse)
    return file.getvalue()


def test_one_link_is_printed_alone_so_that_it_can_go_into_a_pipe() -> None:
    assert printed(ONE, None) == "https://console/one?a=[b]\n"


def test_of_several_each_says_what_it_shows_and_none_is_broken() -> None:
    assert printed(TWO, None).splitlines() == [
        "the state table: https://console/one?a=[b]",
        f"the state machine: https://console/{'2' * 100}",
    ]


def test_a_browser_opens_one_link_and_never_several() -> None:
    opened: list[str] = []
    printed(ONE, opened)
    assert opened == ["https://console/one?a=[b]"]

    printed(TWO, opened)
    assert len(opened) == 1


def test_as_json_there_is_always_a_list() -> None:
    assert as_json(ONE) == {"links": [{"what": "the state table", "url": "https://console/one?a=[b]"}]}
