"""Bring a SAM application onto an embedded AWS with the real `sam build` and `sam deploy`.

Knows the `sam` CLI and the checkout's template by name; must not know what is in the template, nor how the instance
is run. Several instances of one checkout may deploy at once: everything that `sam` writes goes to the instance's own
folder, its home too.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
import botocore.session

from stagekeeper.embedded.instance import EmbeddedError, Instance, interpreter, log_tail
from stagekeeper.embedded.zips import zip_alike

STACK = "stagekeeper"
# Access key and secret key of the embedded AWS's root.
ROOT_KEY = "test"
STEP_SECONDS = 600

Report = Callable[[str], None]

# Of the caller's environment only how to find programs and the package index.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_PASSED_ON_PREFIXES = ("PIP_", "UV_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@dataclass(frozen=True)
class Deployed:
    """A stack as it was deployed: its name, and its outputs by key."""

    stack: str
    outputs: Mapping[str, str]


def deploy_control_plane(instance: Instance, report: Report) -> Deployed:
    """Build and deploy the checkout's own `template.yaml`, for the Python that handlers run on here."""
    return deploy(instance, instance.root / "template.yaml", STACK, control_plane_parameters(instance.root), report)


def control_plane_parameters(root: Path) -> dict[str, str]:
    """What a control plane is deployed with that runs here."""
    return {"Runtime": handler_runtime(root)}


def deploy(instance: Instance, template: Path, stack: str, parameters: Mapping[str, str], report: Report) -> Deployed:
    """Build `template` and deploy it as `stack`; `report` gets a line for each step.

    Raises EmbeddedError with the end of the tool's output when a tool is missing or a step fails.
    """
    return deploy_built(instance, build(instance, template, stack, parameters, report), stack, parameters, report)


def build(instance: Instance, template: Path, stack: str, parameters: Mapping[str, str], report: Report) -> Path:
    """The folder with all that `deploy_built` takes, below the instance's own. Raises EmbeddedError."""
    sam = sam_cli(instance.root)
    if not template.exists():
        raise EmbeddedError(f"There is nothing to deploy: {template} is missing.")
    built = instance.folder / "build" / stack
    report("Building the control plane (sam build)" if stack == STACK else f"Building {stack} (sam build)")
    command = [str(sam), "build", "--template-file", str(template), "--build-dir", str(built)]
    _run("sam build", [*command, *_common(instance, parameters)], instance, template.parent)
    zip_alike(built)
    return built


def deploy_built(instance: Instance, built: Path, stack: str, parameters: Mapping[str, str], report: Report) -> Deployed:
    """Deploy what `build` made, for this instance or for another one of the checkout. Raises EmbeddedError."""
    report(f"Deploying the stack {stack} (sam deploy)")
    template = built / "template.yaml"
    command = [str(sam_cli(instance.root)), "deploy", "--template-file", str(template), "--stack-name", stack]
    command += ["--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    command += ["--no-fail-on-empty-changeset", "--no-progressbar"]
    _run("sam deploy", [*command, *_common(instance, parameters)], instance, built)
    return Deployed(stack, outputs(instance, stack))


def _common(instance: Instance, parameters: Mapping[str, str]) -> list[str]:
    """What every command of `sam` is given. Nobody's own samconfig.toml is read."""
    config = instance.folder / "samconfig.toml"
    config.write_text("version = 0.1\n", encoding="utf-8")
    overrides = [f"ParameterKey={key},ParameterValue={value}" for key, value in parameters.items()]
    common = ["--config-file", str(config), "--region", instance.region]
    return [*common, "--parameter-overrides", *overrides] if overrides else common


def outputs(instance: Instance, stack: str) -> dict[str, str]:
    """The outputs of a stack that is deployed on the instance."""
    # Whatever profile the caller's environment names is none of this instance's business, and need not even exist.
    alone = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    client = boto3.Session(botocore_session=alone).client(
        "cloudformation",
        endpoint_url=instance.endpoint,
        region_name=instance.region,
        aws_access_key_id=ROOT_KEY,
        aws_secret_access_key=ROOT_KEY,
    )
    described = client.describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def sam_cli(root: Path) -> Path:
    """The SAM CLI of the checkout. Raises EmbeddedError when it is missing."""
    sam = root / ".tools" / "sam" / "bin" / "sam"
    if not sam.exists():
        raise EmbeddedError(f"The SAM CLI is not installed: {sam} is missing. Run `make setup` first.")
    return sam


def handler_runtime(root: Path) -> str:
    """The Lambda runtime of the interpreter that ministack runs handlers with, as `python3.11`."""
    asked = "import sys; print(f'python{sys.version_info.major}.{sys.version_info.minor}')"
    command = [str(interpreter(root)), "-I", "-c", asked]
    asking = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own tool, no shell
    return asking.stdout.strip()


def environment(instance: Instance, caller: Mapping[str, str]) -> dict[str, str]:
    """What `sam`, and the `make` and `pip` that it starts, get to see."""
    passed = {
        name: value
        for name, value in caller.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES) or name.upper() in _PROXIES
    }
    # A proxy must not get to see what is on loopback.
    for name in ("NO_PROXY", "no_proxy"):
        passed[name] = ",".join(filter(None, [passed.get(name, ""), "127.0.0.1", "localhost"]))
    index = _pip_configuration(caller)
    if index is not None:
        passed.setdefault("PIP_CONFIG_FILE", str(index))
    # Inside the checkout and shared by all instances, or every start would download everything again.
    passed.setdefault("PIP_CACHE_DIR", str(instance.root / ".local" / "pip-cache"))
    return passed | {
        "HOME": str(instance.folder / "home"),
        "TMPDIR": str(instance.folder / "tmp"),
        "AWS_ENDPOINT_URL": instance.endpoint,
        "AWS_ACCESS_KEY_ID": ROOT_KEY,
        "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
        "AWS_DEFAULT_REGION": instance.region,
        "AWS_REGION": instance.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
        # Seconds between two looks at the stack: nobody limits the rate here, and the default is 5.
        "SAM_CLI_POLL_DELAY": "0.3",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # Handlers run on ministack's own interpreter here, so their zip is made for it (see src/Makefile).
        "BUILD_PYTHON": str(interpreter(instance.root)),
    }


def _pip_configuration(caller: Mapping[str, str]) -> Path | None:
    """The caller's own pip configuration, which may name the index and which the new HOME would hide."""
    home = Path(caller.get("HOME", "/"))
    places = [
        Path(caller.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf",
        home / "Library" / "Application Support" / "pip" / "pip.conf",
        home / ".pip" / "pip.conf",
    ]
    return next((place for place in places if place.is_file()), None)


def _run(what: str, command: list[str], instance: Instance, cwd: Path) -> None:
    log = instance.folder / f"{what.replace(' ', '-')}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the checkout's own tool, no shell
            command,
            cwd=cwd,
            env=environment(instance, os.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            code = process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            raise EmbeddedError(f"`{what}` did not end within {STEP_SECONDS} s:\n{log_tail(log)}") from None
        finally:
            if process.poll() is None:
                # It leads its own session: this ends the compilers and installers that it started as well.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if code != 0:
        raise EmbeddedError(f"`{what}` failed (exit code {code}). The end of its output:\n{log_tail(log, 25)}")
