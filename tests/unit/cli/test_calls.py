"""The commands that go to AWS beside the record, as they are typed: what is refused at once, and what `open` prints."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner, Result

from stagekeeper.cli.commands.calls import Page, open_page
from stagekeeper.cli.main import app
from stagekeeper.cli.session import Asked, Plane, Session

from .conftest import REGION

MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:stagekeeper-operation"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No project file, no endpoint, somebody's credentials."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "STAGEKEEPER_STACK"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")


def typed(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("logs", "--follow", "--until", "1m"), "--until is an end"),
        (("logs", "--since", "1m", "--until", "2m"), "--since is later than --until"),
        (("logs", "--since", "soon"), "soon is no moment"),
        (("logs", "--until", "soon"), "soon is no moment"),
        (("logs", "--limit", "0"), "greater than or equal to 1"),
        (("invoke",), "FUNCTION"),
        (("invoke", "Api", "--payload", "{}", "--payload-file", "-"), "say one of them"),
        (("invoke", "Api", "--async", "--tail"), "--async does not wait"),
        (("open",), "WHAT"),
        (("open", "window"), "window"),
        (("open", "stage"), "Which stage?"),
        (("open", "operation"), "Which operation?"),
        (("open", "function"), "Which function?"),
        (("open", "machine", "x"), "it takes no name"),
        (("open", "service", "x"), "it takes no name"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage(words: tuple[str, ...], sentence: str) -> None:
    """Before anything is asked of AWS: there is none here."""
    done = typed(*words)

    assert done.exit_code == 2
    assert sentence in " ".join(done.output.replace("│", " ").split())


def test_the_payload_is_looked_at_before_anything_is_asked_of_aws() -> None:
    done = typed("invoke", "Api", "--service", "orders", "--payload", "{", "--json")

    assert (done.exit_code, json.loads(done.stdout)["error"]) == (2, "Usage")


STACK = f"arn:aws:cloudformation:{REGION}:123456789012:stack/stagekeeper/0a1b"


def opened(what: Page, name: str | None = None, *, as_json: bool = False) -> None:
    """`open` where Stagekeeper is known to be deployed. In these tests standard output is no terminal."""
    session = Session(Asked(as_json=as_json))
    session.plane = Plane("stagekeeper", MACHINE, "stagekeeper-State", "bucket", STACK)
    open_page(session, what, name)


@pytest.mark.parametrize(
    ("what", "name", "place"),
    [
        (Page.MACHINE, None, f"states/home?region={REGION}#/statemachines/view/{MACHINE}"),
        (Page.TABLE, None, f"dynamodbv2/home?region={REGION}#table?name=stagekeeper-State"),
        (Page.STACK, None, f"cloudformation/home?region={REGION}#/stacks/stackinfo?stackId={quote(STACK, safe='')}"),
        (
            Page.OPERATION,
            "orders-prod-1",
            f"states/home?region={REGION}#/v2/executions/details/{MACHINE.replace('stateMachine', 'execution')}:orders-prod-1",
        ),
    ],
)
def test_open_prints_the_link_and_nothing_else(
    what: Page, name: str | None, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(what, name)

    assert capsys.readouterr() == (f"https://console.aws.amazon.com/{place}\n", "")


def test_open_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    opened(Page.TABLE, as_json=True)

    (link,) = json.loads(capsys.readouterr().out)["links"]
    assert link["what"] == "the state table"


def test_everything_that_has_a_page_is_in_the_help() -> None:
    text = " ".join(typed("open", "--help").stdout.split())

    for page in Page:
        assert page in text
