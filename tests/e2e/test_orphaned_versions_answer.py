"""The answer to CloudFormation, whatever becomes of the work: the handler's outer half alone, against a server on loopback."""

from __future__ import annotations

import ast
import json
import logging
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stagekeeper.handlers.orphaned_versions import Answer, Done, NotAnswered, Work, body_of, respond

from .answers import SECRET, Answers
from .conftest import ROOT

SWEPT = Answer("Swept", "2 deleted", 2, 5)


def event(formation: Answers, kind: str = "Create", **more: Any) -> dict[str, Any]:
    return {
        "RequestType": kind,
        "ResponseURL": formation.url,
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/1",
        "RequestId": "request-1",
        "LogicalResourceId": "CleanUp",
        "ResourceType": "Custom::OrphanedVersions",
        "ResourceProperties": {"ServiceToken": "arn:ours"},
        **({} if kind == "Create" else {"PhysicalResourceId": "orphaned-versions-1"}),
        **more,
    }


def lambda_with(seconds: float = 900) -> Any:
    """A Lambda's context that has so long left."""
    ends = time.time() + seconds
    return SimpleNamespace(get_remaining_time_in_millis=lambda: (ends - time.time()) * 1000)


def does(answer: Answer = SWEPT) -> Work:
    return lambda *_: answer


def breaks(error: Exception) -> Work:
    def work(*_: object) -> Answer:
        raise error

    return work


# What it says.


def test_the_answer_is_what_cloudformation_wants(formation: Answers) -> None:
    respond(event(formation), lambda_with(), does())

    ((path, headers, _),) = formation.requests
    assert path == f"/answer?{SECRET}"
    # It is not in the signature of the URL, so any other type would be refused.
    assert headers["Content-Type"] == ""
    assert formation.answer == {
        "Status": "SUCCESS",
        "Reason": "Swept: 2 deleted",
        "PhysicalResourceId": formation.answer["PhysicalResourceId"],
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/1",
        "RequestId": "request-1",
        "LogicalResourceId": "CleanUp",
        "NoEcho": False,
        "Data": {"DeletedCount": "2", "KeptCount": "5", "Reason": "Swept", "Detail": "2 deleted"},
    }


@pytest.mark.parametrize("kind", ["Update", "Delete"])
def test_the_physical_id_never_changes(formation: Answers, kind: str) -> None:
    respond(event(formation, kind, PhysicalResourceId="made by an older version"), lambda_with(), does())

    assert formation.answer["PhysicalResourceId"] == "made by an older version"


def test_a_create_that_is_delivered_twice_makes_one_resource(formation: Answers) -> None:
    for request in ("one", "two"):
        respond(event(formation, RequestId=request), lambda_with(), does())
    respond(event(formation, LogicalResourceId="Other"), lambda_with(), does())

    first, second, other = (answer["PhysicalResourceId"] for answer in formation.answers)
    assert first == second != other


@pytest.mark.parametrize(("kind", "status"), [("Create", "FAILED"), ("Update", "FAILED"), ("Delete", "SUCCESS")])
def test_what_fails_never_fails_a_deletion(formation: Answers, kind: str, status: str) -> None:
    respond(event(formation, kind), lambda_with(), does(Answer("InvalidRequest", "Keep: must be a whole number", failed=True)))

    assert (formation.answer["Status"], formation.answer["Reason"]) == (status, "InvalidRequest: Keep: must be a whole number")
    assert formation.answer["Data"]["DeletedCount"] == "0"


@pytest.mark.parametrize("letter", ["x", "\u00e4", "\U0001f600", '"'])
@pytest.mark.parametrize("length", [0, 1000, 1800, 2000, 4096, 100_000])
def test_the_body_never_exceeds_what_is_taken(formation: Answers, letter: str, length: int) -> None:
    body = body_of(event(formation, PhysicalResourceId="p" * 1024), Answer("Unreadable", letter * length, failed=True))

    assert len(body) <= 4096
    said = json.loads(body)
    assert (letter * length).startswith(said["Data"]["Detail"])
    assert bool(said["Data"]["Detail"]) is bool(length)


# Whatever goes wrong.


@pytest.mark.parametrize(
    "error",
    [ModuleNotFoundError("No module named 'pydantic'"), ImportError("bad magic number"), SyntaxError("x"), MemoryError("x")],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_told_by_its_name_and_message_at_once(formation: Answers, error: Exception) -> None:
    began = time.monotonic()

    respond(event(formation), lambda_with(), breaks(error))

    assert time.monotonic() - began < 2
    assert formation.answer["Status"] == "FAILED"
    assert formation.answer["Reason"] == f"Internal: {type(error).__name__}: {error}"


def test_an_error_midway_tells_what_was_done(formation: Answers) -> None:
    def work(_: object, __: object, ___: float, done: Done) -> Answer:
        done.deleted = 3
        raise RuntimeError("broken")

    respond(event(formation), lambda_with(), work)

    assert formation.answer["Data"]["DeletedCount"] == "3"


def test_the_module_itself_imports_nothing_but_the_standard_library() -> None:
    """An import that fails before the handler's own ``try`` is an hour of waiting."""
    packages = ("stagekeeper/__init__.py", "stagekeeper/handlers/__init__.py", "stagekeeper/handlers/orphaned_versions.py")
    for name in packages:
        tree = ast.parse((ROOT / "src" / name).read_text(encoding="utf-8"))
        imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
        named = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
        named |= {str(node.module) for node in imports if isinstance(node, ast.ImportFrom)}
        assert {each.partition(".")[0] for each in named} <= {"__future__", *sys.stdlib_module_names}, name
        assert {type(node).__name__ for node in tree.body} <= {
            "Expr", "Import", "ImportFrom", "Assign", "FunctionDef", "ClassDef"
        }, f"{name} does more than to import and define"  # fmt: skip


def test_the_work_does_not_get_to_see_where_the_answer_goes(formation: Answers) -> None:
    seen: list[object] = []

    def work(given: object, *_: object) -> Answer:
        seen.append(given)
        return SWEPT

    respond(event(formation), lambda_with(), work)

    assert SECRET not in str(seen)


# When CloudFormation is hard to reach.


@pytest.mark.parametrize("status", [500, 503, 429, 408, 0])
def test_an_answer_that_fails_once_is_given_again(formation: Answers, status: int) -> None:
    formation.statuses = [status]

    respond(event(formation), lambda_with(), does())

    first, second = formation.answers
    assert first == second


def test_one_that_is_refused_is_an_exception_so_that_lambda_delivers_the_event_again(formation: Answers) -> None:
    formation.statuses = [403]

    with pytest.raises(NotAnswered, match="status 403"):
        respond(event(formation), lambda_with(), does())

    assert len(formation.answers) == 1


def test_one_that_fails_until_there_is_no_time_left_is_one_as_well(formation: Answers) -> None:
    formation.statuses = [503] * 1000

    with pytest.raises(NotAnswered, match="status 503"):
        respond(event(formation), lambda_with(11.6), does())

    assert len(formation.answers) > 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/{}", "file:///etc/{}", "http://127.0.0.1:1/a b{}"])
def test_one_that_nobody_takes_tells_nobody_where_it_was_to_go(
    formation: Answers, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The URL is signed: who has it can answer."""
    caplog.set_level(logging.DEBUG)

    with pytest.raises(NotAnswered) as raised:
        respond(event(formation, ResponseURL=url.format(SECRET)), lambda_with(10.2), does())

    assert SECRET not in caplog.text + repr(raised.getrepr(showlocals=False))
    assert raised.value.__context__ is None


def test_only_an_address_of_the_web_is_one(formation: Answers, tmp_path: Path) -> None:
    """A file would take it without a word."""
    (tmp_path / "answer").touch()

    with pytest.raises(NotAnswered, match="no address of the web"):
        respond(event(formation, ResponseURL=f"file://{tmp_path}/answer"), lambda_with(), does())


def test_it_is_not_logged_where_all_goes_well_either(formation: Answers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    respond(event(formation), lambda_with(), does())
    respond(event(formation), lambda_with(), breaks(ValueError("broken")))

    assert "answered SUCCESS: Swept" in caplog.text
    assert SECRET not in caplog.text


# When the work takes too long.


def test_work_that_does_not_end_is_answered_for_before_the_lambdas_time_is_over(formation: Answers) -> None:
    """Once: what the work says later comes too late."""
    told = threading.Event()

    def work(_: object, __: object, ___: float, done: Done) -> Answer:
        done.deleted = 4
        assert told.wait(5)
        return SWEPT

    def wait_for_the_answer() -> None:
        while not formation.requests:
            time.sleep(0.01)
        told.set()

    waiting = threading.Thread(target=wait_for_the_answer)
    waiting.start()
    respond(event(formation), lambda_with(20.3), work)
    waiting.join()

    assert (formation.answer["Status"], formation.answer["Data"]["Reason"]) == ("SUCCESS", "OutOfTime")
    assert formation.answer["Data"]["DeletedCount"] == "4"


def test_work_is_begun_until_a_minute_before_the_lambdas_time_is_over(formation: Answers) -> None:
    deadlines: list[float] = []

    def work(_: object, __: object, deadline: float, ___: Done) -> Answer:
        deadlines.append(deadline - time.time())
        return SWEPT

    respond(event(formation), lambda_with(900), work)

    assert deadlines[0] == pytest.approx(840, abs=1)


def test_what_is_no_event_of_cloudformation_is_an_error(formation: Answers) -> None:
    with pytest.raises(KeyError):
        respond({"hello": "world"}, lambda_with(), does())

    assert formation.requests == []
