"""Following operations with the real command as a process: real signals, a real terminal, executions that really die."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stagekeeper.embedded.deploy import ROOT_KEY

from . import deaths
from .conftest import NewService
from .deaths import Death, stop_when, touch
from .plane import PATIENCE, ControlPlane, unique
from .service import Service

#: A process that was started in the background may ignore Ctrl-C; one in a terminal does not.
PROGRAM = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from stagekeeper.cli.main import app; app()"


class CommandLine:
    """``stagekeeper`` as somebody with these credentials has it."""

    def __init__(self, plane: ControlPlane, folder: Path, key: str = ROOT_KEY, secret: str = ROOT_KEY) -> None:
        self._options = ["--endpoint-url", plane.instance.endpoint, "--stack", plane.stack]
        known = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_DEFAULT_REGION": plane.region}
        self._env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "xterm", **known}
        self._folder = folder

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-c", PROGRAM, *words, *self._options]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own command line, no shell
            self.words(*words), env=self._env, cwd=self._folder, capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        done = self.run(*words, "--json")
        assert done.stderr == "", done.stderr
        return done.returncode, json.loads(done.stdout)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - our own command line, no shell
            self.words(*words), env=self._env, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def in_terminal(self, *words: str) -> Terminal:
        screen, theirs = pty.openpty()
        process = subprocess.Popen(  # noqa: S603 - our own command line, no shell
            self.words(*words),
            env=self._env,
            cwd=self._folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        return Terminal(process, screen)


class Terminal:
    """A command in a terminal, and everything that was written to it."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self._screen = screen
        self.written = ""

    def until(self, text: str | None) -> None:
        """Until this was written; None: until the end."""
        deadline = time.monotonic() + PATIENCE
        while text is None or text not in self.written:
            assert time.monotonic() < deadline, self.written
            if select.select([self._screen], [], [], 0.1)[0]:
                try:
                    self.written += os.read(self._screen, 65536).decode()
                except OSError:  # the end, on Linux
                    break
        if text is None:
            self.process.wait(PATIENCE)
            os.close(self._screen)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without a project file in it or above it."""
    return tmp_path_factory.mktemp("nowhere")


@pytest.fixture(scope="module")
def command(plane: ControlPlane, folder: Path) -> CommandLine:
    return CommandLine(plane, folder)


@pytest.fixture(scope="module")
def ci(plane: ControlPlane, folder: Path) -> CommandLine:
    """With the rights of OperatorPolicyArn alone."""
    iam, user = plane.client("iam"), unique("ci")
    iam.create_user(UserName=user)
    iam.attach_user_policy(UserName=user, PolicyArn=plane.operator_policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return CommandLine(plane, folder, key["AccessKeyId"], key["SecretAccessKey"])


@dataclass(frozen=True)
class Left:
    """A command that was left, or that stopped an operation, while that waited for its lock."""

    operation_id: str
    words: tuple[str, ...]
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Waited:
    """Operations that waited for one lock at the same time; it was let go of when all this was done."""

    service: Service
    base: str
    somebody: str
    ended: Mapping[str, Left]
    denied: tuple[int, dict[str, Any]]


def clone(service: Service, base: str, stage: str, name: str) -> tuple[str, ...]:
    return ("clone", "--service", service.name, "--from", base, "--stage", stage, "--operation-id", name)


@pytest.fixture(scope="module")
def dying(new_service: NewService) -> Death:
    """A rollback of several functions whose execution was stopped while it moved them: recovering it takes its time."""
    service = new_service(*(f"f{number}" for number in range(12)))
    stage = service.stage_at("one", "two")
    touch(service, stage)
    return stop_when(deaths.start(service, service.request("rollback", stage)), "move")


@pytest.fixture(scope="module")
def waited(dying: Death, new_service: NewService, command: CommandLine, ci: CommandLine) -> Waited:  # noqa: ARG001 - meanwhile
    service = new_service("a")
    plane, base = service.plane, service.stage_at("one")
    names = {how: unique(how) for how in ("interrupted", "terminated", "terminal", "stopped")}
    words = {how: clone(service, base, how, name) for how, name in names.items()}
    words["stopped"] = ("stop", names["stopped"], "--reason", "wrong stage")
    with plane.somebody_holds(service.name, *(f"stage:{how}" for how in names)) as somebody:
        plane.start(service.request("clone", "stopped", **{"from": {"stage": base}}), names["stopped"])
        plane.until_waits(service.name, names["stopped"])
        processes = {how: command.begin(*words[how]) for how in ("interrupted", "terminated", "stopped")}
        terminal = command.in_terminal(*words["terminal"])
        plane.until(lambda: all(plane.operation(name) for name in names.values()))
        terminal.until("waits for")
        processes["interrupted"].send_signal(signal.SIGINT)
        processes["terminated"].send_signal(signal.SIGTERM)
        os.killpg(terminal.process.pid, signal.SIGINT)
        ended = {}
        for how, process in processes.items():
            out, err = process.communicate(timeout=PATIENCE)
            ended[how] = Left(names[how], words[how], process.returncode, out, err)
        terminal.until(None)
        ended["terminal"] = Left(names["terminal"], words["terminal"], terminal.process.returncode, terminal.written, "")
        denied = ci.json("stop", names["terminated"])
        going_on = [plane.operation(names[how]) for how in ("interrupted", "terminated", "terminal")]
        assert all("ended_at" not in each for each in going_on), going_on
        return Waited(service, base, somebody, ended, denied)


@pytest.mark.parametrize("how", ["interrupted", "terminated", "terminal"])
def test_who_leaves_is_told_how_to_come_back(waited: Waited, how: str) -> None:
    plane, left = waited.service.plane, waited.ended[how]

    assert left.code == 130
    told = left.out if how == "terminal" else left.err
    assert "Detached: the operation goes on." in told
    where = f"--endpoint-url {plane.instance.endpoint} --stack {plane.stack}"
    assert f"stagekeeper follow {left.operation_id} {where}" in told
    assert f"stagekeeper stop {left.operation_id} {where}" in told


def test_a_terminal_is_left_as_it_was_found(waited: Waited) -> None:
    terminal = waited.ended["terminal"]

    assert f"waits for deploy {waited.somebody}" in terminal.out
    assert "\x1b[?25h" in terminal.out.rpartition("\x1b[?25l")[2], "the cursor is not back"


@pytest.mark.parametrize("how", ["interrupted", "terminated"])
def test_the_operation_goes_on_and_who_comes_back_sees_its_end(waited: Waited, ci: CommandLine, how: str) -> None:
    left = waited.ended[how]

    code, output = ci.json("follow", left.operation_id)

    assert (code, output["outcome"], output["release"], output["operation_id"]) == (0, "succeeded", 1, left.operation_id)


def test_the_same_name_and_request_is_the_same_operation_done_once(waited: Waited, command: CommandLine) -> None:
    left = waited.ended["terminated"]

    code, output = command.json(*left.words)
    assert (code, output["outcome"], output["operation_id"]) == (0, "succeeded", left.operation_id)

    code, told = command.json(*clone(waited.service, waited.base, "elsewhere", left.operation_id))
    assert (code, told["error"]) == (3, "InvalidRequest")
    assert waited.service.record("elsewhere") is None


def test_in_a_terminal_its_end_is_shown_as_well(waited: Waited, command: CommandLine) -> None:
    terminal = command.in_terminal("follow", waited.ended["terminal"].operation_id)
    terminal.until(None)

    assert terminal.process.returncode == 0
    assert "Succeeded" in terminal.written


def test_an_operation_that_is_stopped_is_followed_to_the_end_that_its_recovery_makes(
    waited: Waited, command: CommandLine
) -> None:
    stopped = waited.ended["stopped"]

    assert f"Stopped operation {stopped.operation_id}. A recovery begins within seconds" in stopped.err
    assert "nothing had been changed" in stopped.err
    assert "\x1b" not in stopped.out + stopped.err
    assert (stopped.code, waited.service.record("stopped")) == (1, None)
    again = command.run(*stopped.words)
    assert "there is nothing to stop" in again.stderr
    assert again.returncode == stopped.code


def test_who_may_only_run_operations_may_not_stop_them(waited: Waited) -> None:
    code, told = waited.denied

    assert (code, told["error"]) == (1, "CommandFailed")
    assert "OperatorPolicyArn leaves states:StopExecution out on purpose" in told["message"]


def test_who_does_not_wait_gets_the_name_and_the_execution(waited: Waited, command: CommandLine) -> None:
    name = unique("unwaited")

    code, told = command.json(*clone(waited.service, waited.base, "unwaited", name), "--no-wait")

    assert code == 0
    assert told == {"operation_id": name, "execution_arn": told["execution_arn"]}
    assert waited.service.plane.wait(told["execution_arn"]).operation_id == name


def test_one_whose_execution_died_midway_is_followed_to_the_end_of_its_recovery(command: CommandLine, dying: Death) -> None:
    """Put back, or committed where it had moved everything before it was stopped: which of them is a matter of milliseconds."""
    followed = command.run("follow", dying.operation_id)

    said, serves = {4: ("everything was put back", "two"), 0: ("Succeeded", "one")}[followed.returncode]
    assert said in followed.stdout + followed.stderr
    assert dying.service.says(str(dying.stage)) == dict.fromkeys(dying.service.functions, serves)


def test_an_operation_that_is_not_there_is_said_so(command: CommandLine) -> None:
    code, told = command.json("follow", "nonsense")

    assert (code, told["error"], told["blockers"]) == (3, "InvalidRequest", ["nonsense"])
