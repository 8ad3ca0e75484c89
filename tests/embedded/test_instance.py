"""One embedded AWS's life: where it listens, what it leaves, what stands in its way."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from stagekeeper.embedded import instance
from stagekeeper.embedded.instance import EmbeddedError, Instance, PortBusy

from . import processes
from .conftest import Account, client, until, zipped


@pytest.fixture
def started(checkout: Path) -> Iterator[Instance]:
    running = instance.start(None, checkout)
    try:
        yield running
    finally:
        instance.stop(running)


def test_it_answers_when_start_returns(started: Instance) -> None:
    identity = client(started, "sts").get_caller_identity()

    assert identity["Account"] == started.account
    assert identity["Arn"] == f"arn:aws:iam::{started.account}:root"


def test_it_listens_on_loopback_only_its_handlers_too(account: Account) -> None:
    name = account.function("def handler(event, context): return 1")
    account.invoke(name)

    assert processes.listening(processes.tree(account.instance.pid)) == {"127.0.0.1"}


def test_it_has_a_session_of_its_own_and_no_descriptor_of_its_parents(checkout: Path) -> None:
    with (checkout / "open.txt").open("w") as inherited:
        os.set_inheritable(inherited.fileno(), True)
        running = instance.start(None, checkout)
    try:
        assert processes.session(running.pid) == running.pid
        opened = {target for target in processes.descriptors(running.pid) if target.startswith("/")}
        assert opened <= {"/dev/null", "/dev/urandom", str(running.log)}
    finally:
        instance.stop(running)


def test_everything_it_writes_lies_in_its_folder_and_goes_when_it_stops(checkout: Path) -> None:
    before = set(checkout.rglob("*"))
    running = instance.start(None, checkout)
    client(running, "s3").create_bucket(Bucket="some")
    written = {path for path in set(checkout.rglob("*")) - before if "__pycache__" not in path.parts}

    instance.stop(running)

    assert all(path.is_relative_to(checkout / ".local") for path in written)
    assert list((checkout / ".local").iterdir()) == []
    assert not processes.alive(running.pid)


def test_stopping_twice_is_stopping_once(started: Instance) -> None:
    instance.stop(started)
    instance.stop(started)

    assert instance.find(started.root, started.port) is None


def test_a_handler_that_is_running_ends_with_the_server(checkout: Path) -> None:
    running = instance.start(None, checkout, in_progress_seconds=0)
    try:
        lambda_, iam = client(running, "lambda"), client(running, "iam")
        trust = {"Version": "2012-10-17", "Statement": []}
        role = iam.create_role(RoleName="any", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
        source = "import time\ndef handler(event, context): time.sleep(60)"
        members = {"Runtime": "python3.13", "Role": role, "Handler": "app.handler", "Timeout": 90}
        lambda_.create_function(FunctionName="slow", Code={"ZipFile": zipped(source)}, **members)
        until(lambda: lambda_.get_function(FunctionName="slow")["Configuration"]["State"] == "Active")
        lambda_.invoke(FunctionName="slow", InvocationType="Event")
        until(lambda: len(processes.tree(running.pid)) > 1)
        handlers = processes.tree(running.pid) - {running.pid}
    finally:
        instance.stop(running)

    assert not any(processes.alive(pid) for pid in handlers)


def test_a_port_that_another_program_has_is_busy(checkout: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(PortBusy, match=f"Port {port} is busy: another program"):
            instance.start(port, checkout)

    assert list((checkout / ".local").iterdir()) == []


def test_a_port_that_this_checkout_serves_on_is_busy_and_goes_on_serving(started: Instance) -> None:
    with pytest.raises(PortBusy, match=rf"already \(pid {started.pid}\)"):
        instance.start(started.port, started.root)

    assert instance.find(started.root, started.port) == started
    assert client(started, "sts").get_caller_identity()["Account"] == started.account


def test_of_two_starts_of_one_port_at_once_one_wins(checkout: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    outcomes: list[Instance | PortBusy] = []

    def start() -> None:
        try:
            outcomes.append(instance.start(port, checkout))
        except PortBusy as busy:
            outcomes.append(busy)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [outcome for outcome in outcomes if isinstance(outcome, Instance)]

    try:
        assert len(winners) == 1
        assert instance.find(checkout, port) == winners[0]
    finally:
        for winner in winners:
            instance.stop(winner)


def test_without_its_tool_environment_it_says_what_to_run(checkout: Path) -> None:
    (checkout / ".tools" / "ministack").unlink()

    with pytest.raises(EmbeddedError, match="Run `make setup` first"):
        instance.start(None, checkout)


def test_a_tool_environment_with_another_version_is_refused_in_a_sentence(checkout: Path) -> None:
    """An environment without ministack at all is the nearest other version there is on this machine."""
    (checkout / ".tools" / "ministack").unlink()
    venv.create(checkout / ".tools" / "ministack", with_pip=False)

    with pytest.raises(EmbeddedError, match=r"written for ministack .*, but no ministack is installed"):
        instance.start(None, checkout)

    assert list((checkout / ".local").iterdir()) == []


def test_two_of_one_checkout_run_side_by_side(started: Instance) -> None:
    other = instance.start(None, started.root)
    try:
        client(other, "s3").create_bucket(Bucket="only-there")

        assert instance.running(started.root) == sorted([started, other], key=lambda each: each.port)
        assert client(started, "s3").list_buckets()["Buckets"] == []
    finally:
        instance.stop(other)


def test_what_a_kept_one_holds_is_there_at_the_next_start_on_that_port(checkout: Path) -> None:
    first = instance.start(None, checkout, keep=True)
    client(first, "s3").create_bucket(Bucket="kept")
    client(first, "s3").put_object(Bucket="kept", Key="a", Body=b"1")
    instance.stop(first)

    second = instance.start(first.port, checkout, keep=True)
    try:
        body = client(second, "s3").get_object(Bucket="kept", Key="a")["Body"].read()
    finally:
        instance.stop(second)

    assert body == b"1"


def test_a_start_that_keeps_nothing_neither_sees_nor_touches_what_was_kept(checkout: Path) -> None:
    kept = instance.start(None, checkout, keep=True)
    client(kept, "s3").create_bucket(Bucket="kept")
    instance.stop(kept)

    plain = instance.start(kept.port, checkout)
    seen = client(plain, "s3").list_buckets()["Buckets"]
    instance.stop(plain)
    again = instance.start(kept.port, checkout, keep=True)
    still = client(again, "s3").list_buckets()["Buckets"]
    instance.stop(again)

    assert seen == []
    assert [bucket["Name"] for bucket in still] == ["kept"]


def test_what_one_that_died_left_is_cleared_away(started: Instance) -> None:
    os.kill(started.pid, signal.SIGKILL)
    until(lambda: instance.find(started.root, started.port) is None)

    instance.clear_dead(started.root)

    assert list((started.root / ".local").iterdir()) == []


def test_another_process_that_got_its_number_is_left_alone(started: Instance) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        time.sleep(0.1)
        instance.stop(dataclasses.replace(started, pid=stranger.pid))

        assert stranger.poll() is None
        stranger.kill()
