"""What `make demo` tells its story with: operations run as CI runs them, and every answer compared before and after each.

Knows the public interface only, nothing of how Stagekeeper is made; must not know the steps of the story, see `demo.py`.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import boto3
from rich.console import Console

from stagekeeper.cli.board import Board
from stagekeeper.domain.model import LogicalName
from stagekeeper.embedded import deploy
from stagekeeper.embedded.instance import Instance

SERVICE = "orders"
STAGES = ("dev", "prod", "jane")

#: Per function what it is invoked with: an HTTP request, a batch of messages, a schedule's event, an order's lines.
PAYLOADS: Mapping[str, Any] = {
    "Api": {"path": "/orders", "httpMethod": "POST", "body": "{}"},
    "Worker": {"Records": [{"messageId": "m-1", "body": "order 17"}, {"messageId": "m-2", "body": "order 18"}]},
    "Nightly": {"detail-type": "Scheduled Event"},
    "Invoice": {"lines": [["apples", 3], ["pears", 12]]},
}
#: What their answers hold beside text, setting and version: that they did their work, too.
WORK_DONE: Mapping[str, Mapping[str, Any]] = {
    "Api": {"path": "/orders"},
    "Worker": {"packed": ["order 17", "order 18"], "batchItemFailures": []},
    "Nightly": {},
    "Invoice": {"table": "article      amount\napples            3\npears            12"},
}


@dataclass(frozen=True)
class Serves:
    """What answers behind one alias: the code's text, the configuration's setting and the version."""

    text: str
    setting: str
    version: str


Expected = Mapping[str, Mapping[str, Serves]]  # stage -> function -> what answers; a stage without functions is not there


class Wrong(Exception):
    """Something did not answer, or did not end, as it must. One line each."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))


@dataclass(frozen=True)
class Ends:
    """How an operation must end: ``outcome`` or the code, the release, how many changes of each kind, what a refusal names."""

    outcome: str
    release: int | None = None
    changes: Mapping[str, int] = field(default_factory=dict)
    names: str = ""


class Account:
    """The two people of this story: the account's root, who owns the functions, and CI, who may run operations."""

    def __init__(self, embedded: Instance, control_plane: Mapping[str, str], sample: Mapping[str, str]) -> None:
        self.state_machine = control_plane["StateMachineArn"]
        self.bucket = control_plane["ArtifactBucketName"]
        self.table = control_plane["StateTableName"]
        self.functions = {name: sample[f"{name}Name"] for name in PAYLOADS}
        _be(embedded.endpoint, embedded.region, deploy.ROOT_KEY, deploy.ROOT_KEY)
        self.root_lambda: Any = boto3.client("lambda")
        iam: Any = boto3.client("iam")
        iam.create_user(UserName="ci")
        iam.attach_user_policy(UserName="ci", PolicyArn=control_plane["OperatorPolicyArn"])
        key = iam.create_access_key(UserName="ci")["AccessKey"]
        _be(embedded.endpoint, embedded.region, key["AccessKeyId"], key["SecretAccessKey"])
        # The default session keeps the credentials that it found first.
        boto3.setup_default_session()
        self.ci_states: Any = boto3.client("stepfunctions")
        self.ci_s3: Any = boto3.client("s3")


def forget_every_aws() -> None:
    """Whatever the caller's environment and files say about AWS, they are not about the embedded one."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name in ("NO_PROXY", "no_proxy"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))


def _be(endpoint: str, region: str, key: str, secret: str) -> None:
    """From here on every client is this one's, of this AWS."""
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
    }


class Story:
    """Runs operations one after the other, and compares before and after."""

    def __init__(self, account: Account, console: Console) -> None:
        self._account = account
        self._console = console
        self._expected: Expected = {stage: {} for stage in STAGES}
        self._steps = 0
        self.invocations = 0

    def operation(self, title: str, request: Mapping[str, Any], ends: Ends, **serves: Mapping[str, Serves]) -> None:
        """Run one operation and print a line about it. ``serves`` are the stages that serve something else afterwards."""
        self._steps += 1
        self._compare(f"before step {self._steps}")
        since = time.monotonic()
        status, error, answer = self._execute({"service": SERVICE, "actor": "demo", **request})
        took = time.monotonic() - since
        wrong = _differences(ends, status, error, answer)
        if wrong:
            raise Wrong([f"step {self._steps} ({title}): {line}" for line in wrong])
        self._expected = {**self._expected, **serves}
        right = self._compare(f"after step {self._steps}")
        what = _what_changed(answer) if status == "SUCCEEDED" else f"refused, {error}"
        answers = f"{right} answers right" if right else "no stage is there"
        self._say(f"{self._steps:2}  {title:<48} {took:4.1f} s  {what}; {answers}")
        if status != "SUCCEEDED":
            self._say(f"    {answer['message']}", style="dim")

    def behind_our_back(self, title: str, **serves: Mapping[str, Serves]) -> None:
        """Something happened without an operation: say so."""
        self._expected = {**self._expected, **serves}
        self._say(f"    - {title}")

    def _say(self, line: str, style: str = "") -> None:
        # Lines are left as they are: where a terminal is too narrow it wraps them itself, a file wants them whole.
        self._console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)

    def _execute(self, request: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
        states = self._account.ci_states
        name = f"demo-{self._steps}-{uuid.uuid4().hex[:8]}"
        started = states.start_execution(stateMachineArn=self._account.state_machine, name=name, input=json.dumps(request))
        while True:
            execution = states.describe_execution(executionArn=started["executionArn"])
            if execution["status"] != "RUNNING":
                told = execution["output"] if execution["status"] == "SUCCEEDED" else execution.get("cause", "{}")
                return execution["status"], execution.get("error", ""), json.loads(told)
            time.sleep(0.1)

    def _compare(self, when: str) -> int:
        """Invoke every function through every stage's alias, and ask for the alias itself: how many answered. Raises Wrong."""
        places = [(stage, name) for stage in STAGES for name in PAYLOADS]
        with ThreadPoolExecutor(max_workers=4) as pool:
            found = dict(zip(places, pool.map(lambda place: self._answer(*place), places), strict=True))
        wrong = []
        for (stage, name), answer in found.items():
            serves = self._expected[stage].get(name)
            wanted = None if serves is None else {**vars(serves), **WORK_DONE[name], "alias": serves.version}
            if answer != wanted:
                wrong.append(f"{when}: {name} through {stage} answered {answer}, expected {wanted}")
        if wrong:
            raise Wrong(wrong)
        answers = sum(answer is not None for answer in found.values())
        self.invocations += answers
        return answers

    def compare_board(self, board: Board, releases: Mapping[str, int]) -> None:
        """The record must say what was answered. ``releases``: which release each stage serves by now. Raises Wrong."""
        arns = dict(board.rows())
        stages = {stage.name for stage in board.stages}
        if stages != releases.keys():
            raise Wrong([f"the board has the stages {sorted(stages)}, expected {sorted(releases)}"])
        for stage in board.stages:
            found = {name: board.cell(stage, arns[LogicalName(name)]) for name in PAYLOADS}
            wanted = {name: f"{serves.version} r{releases[stage.name]}" for name, serves in self._expected[stage.name].items()}
            if found != wanted:
                raise Wrong([f"the board says of {stage.name}: {found}, expected {wanted}"])

    def _answer(self, stage: str, name: str) -> dict[str, Any] | None:
        """The function's own answer and where the alias points; None where there is no alias."""
        client, function = self._account.root_lambda, self._account.functions[name]
        try:
            alias = client.get_alias(FunctionName=function, Name=stage)
        except client.exceptions.ResourceNotFoundException:
            return None
        invoked = client.invoke(FunctionName=function, Qualifier=stage, Payload=json.dumps(PAYLOADS[name]))
        answer = json.loads(invoked["Payload"].read())
        if name == "Api" and "body" in answer:
            answer = json.loads(answer["body"])
        return {**answer, "alias": alias["FunctionVersion"]}


def _differences(ends: Ends, status: str, error: str, answer: Mapping[str, Any]) -> list[str]:
    """What is not as it must be about the end of an execution."""
    if status == "SUCCEEDED":
        found = Ends(answer["outcome"], answer["release"], dict(Counter(change["action"] for change in answer["changes"])))
    else:
        named = ends.names if any(ends.names in blocker for blocker in answer["blockers"]) or not ends.names else "something else"
        found = Ends(error, names=named)
    return (
        [] if found == replace(ends, changes=dict(ends.changes)) else [f"ended as {found}, expected {ends}: {json.dumps(answer)}"]
    )


def _what_changed(answer: Mapping[str, Any]) -> str:
    """What an operation did (or would do), in half a line: versions by function, aliases by number."""
    told = []
    for action, verb in (("publish", "publish"), ("reuse", "reuse"), ("delete_version", "delete")):
        lines = [change for change in answer["changes"] if change["action"] == action]
        versions = [f"{line['function']} {line['after'] or line['before']}" for line in lines]
        told += [f"{verb} {', '.join(versions)}"] if versions else []
    for action, verb in (("create_alias", "make"), ("move_alias", "move"), ("delete_alias", "delete")):
        aliases = sum(change["action"] == action for change in answer["changes"])
        told += [f"{verb} {aliases} alias{'' if aliases == 1 else 'es'}"] if aliases else []
    return f"{answer['outcome']}{_which_release(answer)}: {', '.join(told) or 'nothing to do'}"


def _which_release(answer: Mapping[str, Any]) -> str:
    before, after = answer["previous_release"], answer["release"]
    if after is None:
        return "" if before is None else f", r{before} -> none"
    return f", r{after}" if before in (None, after) else f", r{before} -> r{after}"
