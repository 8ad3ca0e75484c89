"""`make demo`: a service of four functions on two stages, deployed, changed, rolled back, and invoked at every step.

Starts an embedded AWS of its own, brings the control plane and this folder's template onto it with the real `sam`, and then
does what a CI job does, with plain boto3 and the rights of the stack's OperatorPolicyArn: upload zips, start
executions, wait. Before and after every operation each function is invoked through each stage's alias and its answer compared
with what must answer there. Exits 1 if one is wrong. Knows the public interface only, nothing of how Stagekeeper is made.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import signal
import sys
import time
import uuid
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
from rich.console import Console

from stagekeeper.cli.board import Board, show
from stagekeeper.cli.main import read_board
from stagekeeper.domain.model import LogicalName, ServiceName
from stagekeeper.embedded import deploy, instance
from stagekeeper.embedded.instance import EmbeddedError, Instance

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SERVICE = "orders"
STAGES = ("dev", "prod")

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

R1 = {
    "Api": Serves("Your order is taken", "EUR", "1"),
    "Worker": Serves("Packing", "north", "1"),
    "Nightly": Serves("The day is closed", "accounting", "1"),
    "Invoice": Serves("Invoice", "19", "1"),
}
R2 = R1 | {
    "Api": Serves("Thank you for your order", "EUR", "2"),
    "Nightly": Serves("The day is closed", "accounting, audit", "2"),
    "Invoice": Serves("Your invoice", "19", "2"),
}
R3 = R2 | {"Worker": Serves("Packing with care", "north", "2")}
#: What a release's request gives beside the code.
CONFIGURATION_FROM_R2 = {"Nightly": {"Environment": {"Variables": {"RECIPIENT": "accounting, audit"}}}}


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


def _forget_every_aws() -> None:
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


class Zips:
    """What CI builds: each function's zip from what `sam build` made, with the text that this release's code shall have."""

    def __init__(self, built: Path, account: Account) -> None:
        self._built = built
        self._account = account

    def functions(self, release: Mapping[str, Serves], configuration: Mapping[str, Any]) -> dict[str, Any]:
        """The request's ``functions`` for a release: always all of them, as CI does it. The code is in S3 by then."""
        return {
            name: {"function_name": self._account.functions[name], "code": self._upload(name, serves.text)}
            | ({"configuration": configuration[name]} if name in configuration else {})
            for name, serves in release.items()
        }

    def _upload(self, name: str, text: str) -> dict[str, str]:
        body = _zip(self._built / name, f"{name.lower()}.py", R1[name].text, text)
        sha256 = hashlib.sha256(body)
        key = f"code/{SERVICE}/{name}/{sha256.hexdigest()}.zip"
        checksum = base64.b64encode(sha256.digest()).decode()
        self._account.ci_s3.put_object(Bucket=self._account.bucket, Key=key, Body=body, ChecksumSHA256=checksum)
        return {"s3_bucket": self._account.bucket, "s3_key": key, "sha256": sha256.hexdigest()}


def _zip(folder: Path, module: str, old: str, new: str) -> bytes:
    """A folder as a zip whose bytes depend on nothing but its content; in ``module`` the text is another."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            content = path.read_bytes()
            if name == module:
                content = content.replace(f'TEXT = "{old}"'.encode(), f'TEXT = "{new}"'.encode())
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


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
    before, after = answer["previous_release"], answer["release"]
    told = [f"r{after}" if before in (None, after) else f"r{before} -> r{after}"]
    for action in ("publish", "reuse"):
        versions = [f"{change['function']} {change['after']}" for change in answer["changes"] if change["action"] == action]
        told += [f"{action} {', '.join(versions)}"] if versions else []
    for action, verb in (("create_alias", "make"), ("move_alias", "move")):
        aliases = sum(change["action"] == action for change in answer["changes"])
        told += [f"{verb} {aliases} alias{'' if aliases == 1 else 'es'}"] if aliases else []
    return f"{answer['outcome']}, {told[0]}: {', '.join(told[1:]) or 'nothing to do'}"


def tell(story: Story, account: Account, zips: Zips) -> None:
    """The steps. Each says what must come out of it."""
    worker, api = account.functions["Worker"], account.functions["Api"]
    first, second = zips.functions(R1, {}), zips.functions(R2, CONFIGURATION_FROM_R2)
    third = zips.functions(R3, CONFIGURATION_FROM_R2)

    def deploying(stage: str, functions: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        return {"operation": "deploy", "stage": stage, "functions": functions, **more}

    def rolling_back(**more: Any) -> dict[str, Any]:
        return {"operation": "rollback", "stage": "prod", **more}

    permission = {"FunctionName": worker, "StatementId": "from-bucket"}
    account.root_lambda.add_permission(**permission, Action="lambda:InvokeFunction", Principal="s3.amazonaws.com")
    story.behind_our_back("a bucket was allowed to call the worker without an alias")
    story.operation("the first deploy to dev", deploying("dev", first), Ends("UnqualifiedCallers", names="from-bucket"))
    account.root_lambda.remove_permission(**permission)
    story.behind_our_back("that permission was taken away")
    made = {"publish": 4, "create_alias": 4}
    story.operation("the first deploy to dev, once more", deploying("dev", first), Ends("succeeded", 1, made), dev=R1)
    reused = {"reuse": 4, "create_alias": 4}
    story.operation(
        "the same to prod: nothing is published twice", deploying("prod", first), Ends("succeeded", 1, reused), prod=R1
    )
    story.operation("the same to prod again", deploying("prod", first), Ends("unchanged", 1))

    story.behind_our_back("new code for Api and Invoice, a new setting for Nightly")
    changed = {"publish": 3, "move_alias": 3}
    story.operation(
        "deploy the change to dev: prod must not notice", deploying("dev", second), Ends("succeeded", 2, changed), dev=R2
    )
    planned = {"reuse": 3, "move_alias": 3}
    story.operation("dry run of that for prod", deploying("prod", second, dry_run=True), Ends("planned", 2, planned))
    story.operation("deploy it to prod", deploying("prod", second), Ends("succeeded", 2, planned), prod=R2)
    fixed = {"publish": 1, "move_alias": 1}
    fix = deploying("prod", third, if_release=2, reason="pack with care")
    story.operation("a fix of Worker to prod only", fix, Ends("succeeded", 3, fixed), prod=R3)

    story.operation("roll prod back", rolling_back(if_release=3), Ends("succeeded", 2, {"move_alias": 1}), prod=R2)
    story.operation("a second person rolls back what is back already", rolling_back(if_release=3), Ends("StageMoved", names="r2"))
    story.operation("roll prod back again: one further", rolling_back(), Ends("succeeded", 1, {"move_alias": 3}), prod=R1)
    story.operation("and again", rolling_back(), Ends("NothingToRollBack"))

    account.root_lambda.update_alias(FunctionName=api, Name="prod", FunctionVersion="2")
    story.behind_our_back("somebody moved prod of Api onto version 2 by hand", prod={**R1, "Api": R2["Api"]})
    story.operation("deploy the fix to prod", deploying("prod", third), Ends("Drifted", names=f"{api}:prod"))
    overwriting = deploying("prod", third, on_drift="overwrite")
    story.operation("deploy it and overwrite that", overwriting, Ends("succeeded", 3, {"reuse": 4, "move_alias": 4}), prod=R3)


class Progress:
    """The steps before the story, each with the time it took."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._since: float | None = None

    def step(self, text: str) -> None:
        self.end()
        self._console.print(f"    {text} ...", end="", highlight=False)
        self._since = time.monotonic()

    def end(self) -> None:
        if self._since is not None:
            self._console.print(f" {time.monotonic() - self._since:.1f} s", highlight=False)
        self._since = None


@contextmanager
def embedded_aws(console: Console) -> Iterator[tuple[Account, Path]]:
    """An AWS with the control plane and the sample service on it, and what `sam` built; stopped again whatever happens."""
    progress = Progress(console)
    progress.step("Starting an embedded AWS on a free port")
    running = instance.start(None, ROOT)
    try:
        control_plane = deploy.deploy_control_plane(running, progress.step)
        runtime = {"Runtime": deploy.handler_runtime(ROOT)}
        sample = deploy.deploy(running, HERE / "template.yaml", SERVICE, runtime, progress.step)
        progress.end()
        yield Account(running, control_plane.outputs, sample.outputs), running.folder / "build" / SERVICE
    finally:
        progress.step("Stopping the embedded AWS")
        instance.stop(running)
        progress.end()


def main() -> int:
    console = Console()
    since = time.monotonic()
    _forget_every_aws()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _leave)
    try:
        with embedded_aws(console) as (account, built):
            story = Story(account, console)
            tell(story, account, Zips(built, account))
            board = read_board(ServiceName(SERVICE), account.table)
            story.compare_board(board, {"dev": 2, "prod": 3})
            console.print()
            show(board, console)
            console.print()
    except Wrong as wrong:
        console.print(f"WRONG: {wrong}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except EmbeddedError as error:
        console.print(f"make demo: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Interrupted; nothing is left running.")
        return 130
    took = time.monotonic() - since
    console.print(
        f"All as expected: {story.invocations} invocations answered, {took:.0f} s.", style="bold green", highlight=False
    )
    return 0


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main())
