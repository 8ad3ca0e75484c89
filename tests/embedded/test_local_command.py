"""`stagekeeper local` from outside, in a checkout of its own whose template is a small one."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stagekeeper.embedded import instance

from . import processes
from .conftest import client, until

RUN = "from stagekeeper.cli.commands.local import local_app; local_app(prog_name='stagekeeper local')"


def environment(checkout: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


def local(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, *arguments]
    return subprocess.run(  # noqa: S603
        command, env=environment(checkout), cwd=checkout, capture_output=True, text=True, check=False, timeout=120
    )


def described(checkout: Path, *arguments: str) -> dict[str, Any]:
    shown = local(checkout, "status", "--json", *arguments)
    assert shown.returncode == 0, shown.stderr
    answer: dict[str, Any] = json.loads(shown.stdout)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_from_start_to_stop(checkout: Path) -> None:
    port = free_port()
    assert described(checkout) == {"running": False}

    started = local(checkout, "start", "--port", str(port))
    try:
        assert started.returncode == 0, started.stderr
        assert "sam build" in started.stdout
        assert "sam deploy" in started.stdout
        shown = described(checkout)
        assert shown.keys() == {"running", "endpoint", "region", "account", "stack", "state_machine_arn", "pid"}
        assert shown["running"] is True
        assert shown["endpoint"] == f"http://127.0.0.1:{port}"
        assert shown["stack"] == "stagekeeper"
        assert shown["state_machine_arn"].startswith(f"arn:aws:states:{shown['region']}:{shown['account']}:stateMachine:")
        assert processes.alive(shown["pid"])
    finally:
        stopped = local(checkout, "stop")

    assert stopped.returncode == 0
    assert described(checkout) == {"running": False}
    assert not processes.alive(shown["pid"])


def test_what_was_deployed_survives_with_keep(checkout: Path) -> None:
    port = str(free_port())
    first = local(checkout, "start", "--keep", "--port", port)
    assert first.returncode == 0, first.stderr
    before = described(checkout)
    assert local(checkout, "stop").returncode == 0

    second = local(checkout, "start", "--keep", "--port", port)
    try:
        assert second.returncode == 0, second.stderr
        assert f"is kept at `stop` for the next `start --keep --port {port}`" in second.stdout
        assert described(checkout)["state_machine_arn"] == before["state_machine_arn"]
    finally:
        local(checkout, "stop")


def test_a_start_that_fails_leaves_what_was_kept(checkout: Path) -> None:
    kept = instance.start(None, checkout, keep=True)
    client(kept, "s3").create_bucket(Bucket="kept")
    instance.stop(kept)
    template = checkout / "template.yaml"
    template.write_text(template.read_text().replace("StartAt: Hello", "StartAt: Nowhere"))

    refused = local(checkout, "start", "--keep", "--port", str(kept.port))

    assert refused.returncode == 1
    again = instance.start(kept.port, checkout, keep=True)
    seen = client(again, "s3").list_buckets()["Buckets"]
    instance.stop(again)
    # Without the bucket that `sam deploy` made before it failed.
    assert [bucket["Name"] for bucket in seen] == ["kept"]


def test_a_kept_state_that_cannot_be_used_is_a_sentence_and_leaves_nothing_running(checkout: Path) -> None:
    kept = instance.start(None, checkout, keep=True)
    instance.stop(kept)
    (kept.kept / "kept.json").unlink()

    refused = local(checkout, "start", "--keep", "--port", str(kept.port))

    assert refused.returncode == 1
    assert f"The state kept in {kept.kept} is damaged" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert instance.running(checkout) == []


def test_the_help_says_what_keep_keeps(checkout: Path) -> None:
    shown = " ".join(local(checkout, "start", "--help").stdout.split())

    assert ".local/PORT/kept" in shown
    assert "executions that run become ABORTED" in shown


@pytest.mark.parametrize("command", ["start", "stop"])
def test_what_one_that_died_could_not_keep_is_told(checkout: Path, command: str) -> None:
    died = instance.start(None, checkout, keep=True, users=True)
    os.kill(died.pid, signal.SIGKILL)
    until(lambda: instance.find(died.root, died.port) is None)
    # Building fails at once: this is about what is said before.
    (checkout / "function" / "Makefile").write_text("build-Hello:\n\texit 7\n")

    told = local(checkout, command, "--port", str(free_port()))

    assert f"What the embedded AWS on port {died.port} held was not kept" in told.stderr


def test_stopping_when_nothing_runs_is_no_error(checkout: Path) -> None:
    assert local(checkout, "stop").returncode == 0
    assert local(checkout, "stop", "--port", "4999").returncode == 0


def test_a_busy_port_is_a_sentence_and_exit_code_1(checkout: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        refused = local(checkout, "start", "--port", str(other.getsockname()[1]))

    assert refused.returncode == 1
    assert "is busy" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_port_that_cannot_be_is_refused_naming_the_option(checkout: Path, port: str) -> None:
    refused = local(checkout, "start", "--port", port)

    assert refused.returncode == 2
    assert "--port" in refused.stderr
    assert not (checkout / ".local").exists()


def test_a_place_that_cannot_be_written_is_a_sentence(checkout: Path) -> None:
    (checkout / ".local").touch()

    refused = local(checkout, "start", "--port", str(free_port()))

    assert refused.returncode == 1
    assert f"stagekeeper local: {checkout / '.local'}" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_missing_tool_is_a_sentence_before_anything_is_started(checkout: Path) -> None:
    (checkout / ".tools" / "sam").unlink()

    refused = local(checkout, "start", "--port", str(free_port()))

    assert refused.returncode == 1
    assert "make setup" in refused.stderr
    assert not (checkout / ".local").exists()


def test_a_failed_deploy_is_a_sentence_and_leaves_nothing_running(checkout: Path) -> None:
    (checkout / "function" / "Makefile").write_text("build-Hello:\n\texit 7\n")

    refused = local(checkout, "start", "--port", str(free_port()))

    assert refused.returncode == 1
    assert "`sam build` failed" in refused.stderr
    assert described(checkout) == {"running": False}


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_start_that_is_called_off_leaves_nothing_running(checkout: Path, sent: signal.Signals) -> None:
    (checkout / "function" / "Makefile").write_text("build-Hello:\n\tsleep 60\n")
    # A test runner in the background of a script may have been started with SIGINT ignored, which children inherit.
    listening = f"import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n{RUN}"
    command = [sys.executable, "-c", listening, "start", "--port", str(free_port())]
    with subprocess.Popen(command, env=environment(checkout), cwd=checkout) as starting:  # noqa: S603
        until(lambda: len(instance.running(checkout)) == 1)
        pid = instance.running(checkout)[0].pid

        starting.send_signal(sent)

        assert starting.wait(30) == 1
    assert not processes.alive(pid)
    assert instance.running(checkout) == []


def test_while_several_run_status_and_stop_ask_which(checkout: Path) -> None:
    running = [instance.start(None, checkout, users=True) for _ in range(2)]
    try:
        for command in ("status", "stop"):
            refused = local(checkout, command)
            assert refused.returncode == 1
            assert "say which with --port" in refused.stderr
        assert described(checkout, "--port", str(running[0].port))["pid"] == running[0].pid
        assert local(checkout, "stop", "--port", str(running[0].port)).returncode == 0
        assert described(checkout)["pid"] == running[1].pid
    finally:
        for each in running:
            instance.stop(each)


def test_those_of_tests_and_of_the_demo_are_not_the_users(checkout: Path) -> None:
    tests, users = instance.start(None, checkout), instance.start(None, checkout, users=True)
    try:
        assert described(checkout)["pid"] == users.pid
        assert local(checkout, "stop").returncode == 0
        assert described(checkout) == {"running": False}
        assert local(checkout, "stop").returncode == 0
        assert described(checkout, "--port", str(tests.port))["pid"] == tests.pid
    finally:
        for each in (tests, users):
            instance.stop(each)
