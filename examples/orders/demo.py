"""`make demo`: a service of four functions on two stages and a developer's own, through every operation there is.

Starts an embedded AWS of its own, brings the control plane and this folder's template onto it with the real `sam`, and then
does what a CI job does, with plain boto3 and the rights of the stack's OperatorPolicyArn: upload zips, start
executions, wait. Before and after every operation each function is invoked through each stage's alias and its answer compared
with what must answer there (see `story.py`). Exits 1 if one is wrong.
"""

from __future__ import annotations

import base64
import hashlib
import io
import signal
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from examples.orders.story import SERVICE, Account, Ends, Serves, Story, Wrong, forget_every_aws
from stagekeeper.aws.clock import SystemClock
from stagekeeper.aws.store import Store
from stagekeeper.aws.table import Table, dynamodb_client
from stagekeeper.cli.board import read, show
from stagekeeper.domain.model import ServiceName
from stagekeeper.embedded import deploy, instance
from stagekeeper.embedded.instance import EmbeddedError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

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
R4 = R3 | {"Api": Serves("Hello from Jane", "EUR", "3")}
#: What a release's request gives beside the code.
CONFIGURATION_FROM_R2 = {"Nightly": {"Environment": {"Variables": {"RECIPIENT": "accounting, audit"}}}}


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


def on(operation: str, stage: str | None, **fields: Any) -> dict[str, Any]:
    """A request; ``from_`` is its field ``from``."""
    request = {"operation": operation, **{name.rstrip("_"): value for name, value in fields.items()}}
    return request if stage is None else {**request, "stage": stage}


def deploy_and_roll_back(story: Story, account: Account, zips: Zips) -> None:
    """The first half. Each step says what must come out of it. Afterwards dev serves r2 and prod r3."""
    worker, api = account.functions["Worker"], account.functions["Api"]
    first, second = zips.functions(R1, {}), zips.functions(R2, CONFIGURATION_FROM_R2)
    third = zips.functions(R3, CONFIGURATION_FROM_R2)

    def deploying(stage: str, functions: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        return on("deploy", stage, functions=functions, **more)

    def rolling_back(**more: Any) -> dict[str, Any]:
        return on("rollback", "prod", **more)

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


def clone_tear_down_and_sweep(story: Story, account: Account, zips: Zips) -> None:
    """The second half. Afterwards dev and prod serve r3, and nothing is left of what only served before."""
    as_prod = on("reset", "dev", to={"stage": "prod"}, if_release=2)
    story.operation("put dev on what prod serves", as_prod, Ends("succeeded", 3, {"move_alias": 1}), dev=R3)

    clone = on("clone", "jane", from_={"stage": "prod"})
    story.operation("a stage of Jane's own, like prod", clone, Ends("succeeded", 3, {"create_alias": 4}), jane=R3)
    idea = on("deploy", "jane", functions=zips.functions(R4, CONFIGURATION_FROM_R2))
    story.operation("Jane deploys an idea to it", idea, Ends("succeeded", 4, {"publish": 1, "move_alias": 1}), jane=R4)

    protect = on("configure", "prod", settings={"protected": True, "description": "what customers use"})
    story.operation("protect prod", protect, Ends("succeeded", 3, {"configure": 2}))
    story.operation("tear prod down by mistake", on("teardown", "prod"), Ends("StageProtected", names="prod"))
    torn = {"delete_alias": 4, "delete_version": 1}
    story.operation("tear Jane's stage down", on("teardown", "jane"), Ends("succeeded", None, torn), jane={})
    story.operation("verify every alias", on("verify", None), Ends("unchanged"))

    everything = {"keep": 0, "rollback_depth": 0, "grace_hours": 0}
    old = {"delete_version": 4}
    story.operation("what a sweep would delete that keeps nothing", on("sweep", None, **everything), Ends("planned", None, old))
    sweep = on("sweep", None, mode="delete", **everything)
    story.operation("sweep", sweep, Ends("succeeded", None, old))
    gone = Ends("VersionMissing", names=f"{account.functions['Api']}:1")
    story.operation("so prod cannot go back any more", on("rollback", "prod"), gone)


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
    forget_every_aws()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _leave)
    try:
        with embedded_aws(console) as (account, built):
            story = Story(account, console)
            zips = Zips(built, account)
            deploy_and_roll_back(story, account, zips)
            clone_tear_down_and_sweep(story, account, zips)
            board = read(Store(Table(dynamodb_client(), account.table, SystemClock())), ServiceName(SERVICE))
            story.compare_board(board, {"dev": 3, "prod": 3})
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
