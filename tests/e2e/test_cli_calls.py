"""The commands that go to AWS beside the record, as processes: logs (and following them over a move), invoke, open."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from stagekeeper.embedded.deploy import ROOT_KEY

from .conftest import NewService
from .plane import PATIENCE, ControlPlane, unique
from .service import Service, make_function, settled, zip_of_source

_PROGRAM = "from stagekeeper.cli.main import app; app()"

#: Says what it is and fails when asked to.
_TALKER = """\
def handler(event, context):
    print("{text} of version", context.function_version)
    if event.get("fail"):
        raise ValueError("no such order")
    return {{"says": "{text}", "given": event}}
"""


def talker(text: str) -> bytes:
    return zip_of_source(_TALKER.format(text=text))


@dataclass(frozen=True)
class Shop:
    """A service whose functions talk; one of them logs to a group of its own choice."""

    service: Service
    stage: str

    @property
    def plane(self) -> ControlPlane:
        return self.service.plane

    def deploy(self, text: str) -> None:
        wish = {"code": self.plane.upload(talker(text))}
        self.service.deploy(self.stage, self.service.wishes(**dict.fromkeys(self.service.functions, wish)))

    def call(self, logical: str, stage: str | None = None) -> None:
        self.plane.client("lambda").invoke(FunctionName=self.service.functions[logical], Qualifier=stage or self.stage)

    def command(self, *words: str) -> list[str]:
        where = ["--stage", self.stage, "--service", self.service.name, "--stack", self.plane.stack]
        return [sys.executable, "-c", _PROGRAM, *words, *where]

    @property
    def environment(self) -> dict[str, str]:
        known = {"AWS_ACCESS_KEY_ID": ROOT_KEY, "AWS_SECRET_ACCESS_KEY": ROOT_KEY, "AWS_DEFAULT_REGION": self.plane.region}
        return {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": self.plane.instance.endpoint, "PYTHONUNBUFFERED": "1", **known}

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command line, no shell
            self.command(*words), env=self.environment, input=given, capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shop(plane: ControlPlane, new_service: NewService) -> Shop:
    """Deployed twice, each function called after each: there are lines of versions 1 and 2."""
    service = new_service()
    own: dict[str, Any] = {"LoggingConfig": {"LogGroup": f"/shared/{unique('group')}"}}
    for logical, members in (("api", {}), ("worker", own)):
        service.functions[logical] = make_function(plane, Code={"ZipFile": talker("zero")}, **members)
        settled(plane, service.functions[logical])
    made = Shop(service, "prod")
    for text in ("one", "two"):
        made.deploy(text)
        for logical in service.functions:
            made.call(logical)
    return made


def said(lines: str) -> list[tuple[str, str, str]]:
    """Function, version and words of every line that a function printed, from `logs --json`."""
    found = [json.loads(line) for line in lines.splitlines()]
    return [(each["function"], each["version"], each["message"].strip()) for each in found if " of version " in each["message"]]


def test_the_lines_are_those_of_the_versions_that_the_stage_served_then(shop: Shop) -> None:
    done = shop.run("logs", "--since", "5m", "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(said(done.stdout)) == [
        ("api", "1", "one of version 1"),
        ("api", "2", "two of version 2"),
        ("worker", "1", "one of version 1"),
        ("worker", "2", "two of version 2"),
    ]
    moments = [json.loads(line)["at"] for line in done.stdout.splitlines()]
    assert moments == sorted(moments)


def test_one_functions_lines_that_match_and_without_a_terminal_plain(shop: Shop) -> None:
    done = shop.run("logs", "--function", "worker", "--filter", "two")

    (line,) = done.stdout.splitlines()
    assert line.endswith(" worker 2 two of version 2")
    assert "\x1b" not in done.stdout


def test_versions_of_others_are_not_shown_and_shared_ones_are_told(shop: Shop) -> None:
    """Another stage goes on with a version of its own: its lines are in the same log groups, but not of that version."""
    service = shop.service
    service.does("clone", "qa", from_={"stage": shop.stage})

    told = shop.run("logs").stderr
    theirs = {"code": shop.plane.upload(talker("theirs"))}
    service.deploy("qa", service.wishes(**dict.fromkeys(service.functions, theirs)))
    shop.call("api", "qa")
    done = shop.run("logs")

    assert told == "qa served the same versions of api, worker then: its lines are here too.\n"
    assert "theirs" not in done.stdout
    assert done.stderr == told


@contextlib.contextmanager
def following(shop: Shop, *words: str) -> Iterator[tuple[subprocess.Popen[str], queue.Queue[str]]]:
    """The command as it goes on, and what it says, as it comes."""
    process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
        shop.command("logs", "--follow", *words),
        env=shop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: queue.Queue[str] = queue.Queue()
    out = process.stdout
    assert out is not None

    def read() -> None:
        for line in out:
            lines.put(line)

    reading = threading.Thread(target=read)
    reading.start()
    try:
        yield process, lines
    finally:
        process.kill()
        process.wait()
        reading.join()
        out.close()


def until(lines: queue.Queue[str], wanted: str) -> list[str]:
    """What came until a line with these words did, that line the last."""
    seen: list[str] = []
    deadline = time.monotonic() + PATIENCE
    while not seen or wanted not in seen[-1]:
        seen.append(lines.get(timeout=max(0.1, deadline - time.monotonic())))
    return seen


def test_following_goes_on_with_the_new_version_after_a_move_and_ends_well(shop: Shop) -> None:
    with following(shop, "--since", "1m", "--function", "api") as (process, lines):
        shop.call("api")
        until(lines, "two of version 2")

        shop.deploy("three")
        shop.call("api")
        moved = until(lines, "prod moved to r")
        after = until(lines, "three of version")
        process.send_signal(signal.SIGINT)

        assert process.wait(PATIENCE) == 0
    assert "api 2 -> " in moved[-1]
    everything = moved + after
    assert len([line for line in everything if "three of version" in line]) == 1


def test_a_call_through_the_stages_alias_says_what_answered(shop: Shop) -> None:
    answer = shop.json("invoke", "api", "--payload", '{"order": 7}', "--tail")

    assert (answer["status"], answer["function_error"]) == (200, None)
    assert answer["payload"]["given"] == {"order": 7}
    assert answer["executed_version"] == (shop.service.alias("api", shop.stage) or {})["FunctionVersion"]
    assert "of version" in answer["log_tail"]


def test_a_payload_comes_through_a_pipe_and_the_answer_goes_into_one(shop: Shop) -> None:
    done = shop.run("invoke", "api", "--payload-file", "-", given='{"from": "a pipe"}')

    assert json.loads(done.stdout)["given"] == {"from": "a pipe"}
    assert done.stderr.startswith("api of stage prod, version ")


def test_a_function_that_fails_is_exit_code_1_with_its_error_on_stdout(shop: Shop) -> None:
    done = shop.run("invoke", "api", "--payload", '{"fail": true}')

    assert (done.returncode, json.loads(done.stdout)["errorType"]) == (1, "ValueError")
    assert "(Unhandled): ValueError: no such order." in done.stderr


def test_a_call_that_nobody_waits_for_is_taken_in(shop: Shop) -> None:
    answer = shop.json("invoke", "worker", "--async")

    assert (answer["status"], answer["payload"]) == (202, None)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("invoke", "mailer"), "FunctionNotFound", "has no function mailer. It has api, worker."),
        (("logs", "--function", "mailer"), "FunctionNotFound", "has no function mailer. It has api, worker."),
        (("open", "machine"), "NoConsole", "The embedded AWS has no console."),
    ],
    ids=["invoke", "logs", "open"],
)
def test_what_is_not_there_is_refused_in_a_sentence(shop: Shop, words: tuple[str, ...], code: str, sentence: str) -> None:
    done = shop.run(*words, "--json")

    answer = json.loads(done.stdout)
    assert (done.returncode, answer["error"]) == (3, code)
    assert sentence in answer["message"]


def test_what_somebody_may_not_read_is_named(shop: Shop) -> None:
    """The operator policy is for operations; logs and calls are everybody's own affair."""
    iam, name = shop.plane.client("iam"), unique("reader")
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=shop.plane.operator_policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    env = {**shop.environment, "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}

    told = {
        word: subprocess.run(  # noqa: S603 - our own command line, no shell
            shop.command(*words), env=env, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        for word, words in {"logs": ("logs",), "invoke": ("invoke", "api")}.items()
    }

    assert [done.returncode for done in told.values()] == [1, 1]
    assert "the permission lambda:GetFunction is missing" in told["logs"].stderr
    assert "the permission lambda:InvokeFunction on it is missing" in told["invoke"].stderr
