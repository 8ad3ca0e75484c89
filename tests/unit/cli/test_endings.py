"""How commands end: exit codes, and sentences where they come to nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, NoRegionError, ProfileNotFound

from stagekeeper.aws.errors import CallFailed, translated
from stagekeeper.aws.table import MalformedItem
from stagekeeper.cli.endings import CommandFailed, Exit, exit_of, told
from stagekeeper.domain.refusal import Code
from stagekeeper.embedded.errors import EmbeddedError
from stagekeeper.packaging.errors import PackagingFailed

OWN = {
    Code.COMPENSATED: Exit.COMPENSATED,
    Code.NEEDS_ATTENTION: Exit.NEEDS_ATTENTION,
    Code.DRIFTED: Exit.DRIFTED,
    Code.LOCKED: Exit.LOCKED,
    Code.INTERNAL: Exit.FAILED,
}


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_an_exit_code(code: Code) -> None:
    assert exit_of(code.value) is OWN.get(code, Exit.REFUSED)


def client_error(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Call")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (CommandFailed("No stage."), "No stage."),
        (EmbeddedError("It does not run."), "It does not run."),
        (PackagingFailed("No folder."), "No folder."),
        (MalformedItem("item a / b has schema 2"), "item a / b has schema 2"),
        (NoCredentialsError(), "--profile"),
        (NoRegionError(), "--region"),
        (ProfileNotFound(profile="acme"), "aws configure list-profiles"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:1"), "does not answer"),
        (client_error("ExpiredToken"), "have expired"),
        (client_error("UnrecognizedClientException"), "does not know these credentials"),
        (client_error("AccessDenied", 403), "OperatorPolicyArn"),
        (client_error("ThrottlingException"), "Try again in a minute"),
        (client_error("Odd"), "Odd: words"),
        (translated("reading STAGE#", client_error("AccessDeniedException")), "OperatorPolicyArn"),
        (CallFailed("reading STAGE#", "it broke"), "reading STAGE#: it broke"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_what_people_can_do_something_about_is_a_sentence(
    error: Exception, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if isinstance(error, CallFailed) and not said.startswith("reading"):
        error.__cause__ = client_error("AccessDeniedException")

    with pytest.raises(typer.Exit) as ended, told(as_json=False):
        raise error

    out, err = capsys.readouterr()
    assert ended.value.exit_code == Exit.FAILED
    assert out == ""
    assert said in err
    assert "Traceback" not in err


def test_with_json_it_is_one_object_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    failure = CommandFailed("No stage.", code="StageNotFound", blockers=["dev"], exit_code=Exit.REFUSED)

    with pytest.raises(typer.Exit) as ended, told(as_json=True):
        raise failure

    out, err = capsys.readouterr()
    assert ended.value.exit_code == Exit.REFUSED
    assert json.loads(out) == {"error": "StageNotFound", "message": "No stage.", "blockers": ["dev"]}
    assert err == ""


def test_a_defect_of_ours_stays_one() -> None:
    with pytest.raises(ZeroDivisionError), told(as_json=False):
        raise ZeroDivisionError


def test_a_command_that_ends_by_itself_keeps_its_exit_code() -> None:
    with pytest.raises(typer.Exit) as ended, told(as_json=False):
        raise typer.Exit(130)

    assert ended.value.exit_code == Exit.DETACHED
