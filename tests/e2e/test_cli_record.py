"""The commands that read the record, as processes: with the policy that the stack offers CI, on what operations really wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stagekeeper.embedded.deploy import ROOT_KEY

from .conftest import NewService
from .plane import ControlPlane, unique
from .service import Service

_PROGRAM = "from stagekeeper.cli.main import app; app()"


@dataclass(frozen=True)
class Shell:
    """Somebody at a shell in a checkout. CI, unless the keys are the root's."""

    plane: ControlPlane
    service: Service
    keys: tuple[str, str]
    checkout: Path

    def run(self, *words: str, root: bool = False, service: str | None = None) -> subprocess.CompletedProcess[str]:
        key, secret = (ROOT_KEY, ROOT_KEY) if root else self.keys
        where = ["--service", service or self.service.name, "--stack", self.plane.stack]
        return subprocess.run(  # noqa: S603 - our own command line, no shell
            [sys.executable, "-c", _PROGRAM, *words, *where],
            env={
                "PATH": os.environ["PATH"],
                "AWS_ENDPOINT_URL": self.plane.instance.endpoint,
                "AWS_DEFAULT_REGION": self.plane.region,
                "AWS_ACCESS_KEY_ID": key,
                "AWS_SECRET_ACCESS_KEY": secret,
            },
            cwd=self.checkout,
            capture_output=True,
            text=True,
            check=False,
        )

    def json(self, *words: str, service: str | None = None) -> Any:
        done = self.run(*words, "--json", service=service)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


def committed(checkout: Path, subject: str) -> str:
    """A commit of its own; its hash."""

    def git(*words: str) -> str:
        who = {f"GIT_{role}_{what}": "jane" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        environ = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-C", str(checkout), *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environ).stdout.strip()  # noqa: S603 - our own words

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "-m", subject)
    return git("rev-parse", "HEAD")


def memory(size: int, color: str) -> dict[str, Any]:
    return {"configuration": {"MemorySize": size, "Environment": {"Variables": {"COLOR": color}}}}


@pytest.fixture(scope="module")
def shell(plane: ControlPlane, new_service: NewService, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """dev went r1, r2, r3 and two back; prod serves r2. r3 has another code, r2 and r3 other configurations than r1."""
    orders, checkout = new_service("Api", "Worker"), tmp_path_factory.mktemp("checkout")
    first, second = committed(checkout, "The first"), committed(checkout, "The second")

    def deploy(stage: str, color: str, text: str, commit: str) -> None:
        wishes = orders.wishes(Api=orders.code(text), Worker=memory(256, color))
        source = {"commit": commit, "branch": "main", "run_url": "https://ci.example.com/7"}
        orders.deploy(stage, wishes, actor="jane", reason=f"{color} it is", source=source)

    deploy("dev", "s3cret-red", "one", first)
    deploy("dev", "s3cret-blue", "one", second)
    deploy("prod", "s3cret-blue", "one", second)
    deploy("dev", "s3cret-blue", "two", second)
    orders.does("rollback", "dev", to={"steps": 2}, actor="bob")
    iam, name = plane.client("iam"), unique("ci")
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=plane.operator_policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return Shell(plane, orders, (key["AccessKeyId"], key["SecretAccessKey"]), checkout)


def test_the_board_is_what_is_served(shell: Shell) -> None:
    stages = {each["stage"]: each for each in shell.json("status")["stages"]}

    assert {name: (each["release"], each["way_back"]) for name, each in stages.items()} == {"dev": (1, []), "prod": (2, [])}
    for name, each in stages.items():
        for function in each["functions"]:
            alias = shell.service.alias(function["function"], name)
            assert alias is not None
            assert function["version"] == alias["FunctionVersion"]


def test_what_moved_is_told_newest_first(shell: Shell) -> None:
    movements = shell.json("history", "--limit", "4")["movements"]

    told = [(each["stage"], each["operation"], each["from_release"], each["to_release"], each["actor"]) for each in movements]
    assert told == [
        ("dev", "rollback", 3, 1, "bob"),
        ("dev", "deploy", 2, 3, "jane"),
        ("prod", "deploy", None, 2, "jane"),
        ("dev", "deploy", 1, 2, "jane"),
    ]
    assert movements[0]["popped"] == [2, 1]
    assert movements[1]["run_url"] == "https://ci.example.com/7"


def test_releases_are_told_with_what_made_them(shell: Shell) -> None:
    releases = shell.json("releases")["releases"]

    assert [(each["release"], each["operation"], each["branch"], each["stages"]) for each in releases] == [
        (3, "deploy", "main", []),
        (2, "deploy", "main", ["prod"]),
        (1, "deploy", "main", ["dev"]),
    ]


def test_two_stages_are_compared_with_the_commits_in_between(shell: Shell) -> None:
    answer = shell.json("diff", "dev", "prod")

    assert {each["function"]: each["difference"] for each in answer["functions"]} == {"Api": "same", "Worker": "configuration"}
    assert [each["subject"] for each in answer["commits"]["only_b"]["newest"]] == ["The second"]
    assert answer["commits"]["only_a"]["count"] == 0


def test_what_differs_in_configurations_is_read_from_aws_without_values_of_variables(shell: Shell) -> None:
    done = shell.run("diff", "r1", "prod", "--configuration", "--exit-code", "--json", root=True)

    (worker,) = [each for each in json.loads(done.stdout)["functions"] if each["function"] == "Worker"]
    assert done.returncode == 1
    assert worker["configuration"] == {"members": [], "variables": {"only_a": [], "only_b": [], "changed": ["COLOR"]}}
    assert "s3cret" not in done.stdout + done.stderr


def test_who_may_not_read_functions_is_told_so_and_gets_the_rest(shell: Shell) -> None:
    done = shell.run("diff", "dev", "prod", "--configuration")

    assert done.returncode == 0
    assert "what differs is not known" in done.stdout
    assert "AccessDenied" in done.stdout


def test_who_holds_the_lock_and_who_waits_is_told_with_whether_they_run(shell: Shell) -> None:
    """A template's sweep holds it, which counts as gone after a minute."""
    plane, somewhere, waiter = shell.plane, unique("somewhere"), unique("waits")
    lease = {"operation_id": "stack/CleanUp", "operation": "custom-resource", "slots": {"collect"}}
    times = {"since": int(time.time()), "gives_up_at": int(time.time())}
    lock = {"pk": f"SERVICE#{somewhere}", "sk": "LOCK", "schema": 1, "revision": 1, "queue": []}
    plane.put_item({**lock, "holders": {"stack/CleanUp": {**lease, **times}}})
    arn = plane.start({"operation": "rollback", "service": somewhere, "stage": "any"}, waiter)
    plane.until_waits(somewhere, waiter)

    answer = shell.json("locks", service=somewhere)

    plane.put_item({**lock, "holders": {}, "revision": 99})
    assert plane.wait(arn).error == "ServiceNotFound"
    assert [(each["operation_id"], each["standing"]) for each in answer["holders"]] == [("stack/CleanUp", "lease")]
    assert [(each["operation_id"], each["slots"], each["standing"]) for each in answer["waiters"]] == [
        (waiter, ["stage:any"], "running")
    ]


def test_without_a_terminal_there_are_no_codes_in_what_is_printed(shell: Shell) -> None:
    done = shell.run("history")

    assert done.returncode == 0
    assert "r3 → r1" in done.stdout
    assert not [char for char in done.stdout if not char.isprintable() and char != "\n"]


def test_a_stage_that_does_not_exist_is_exit_code_3(shell: Shell) -> None:
    done = shell.run("history", "--stage", "nobody")

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"Service {shell.service.name} has no stage nobody. Check the spelling.\n"
