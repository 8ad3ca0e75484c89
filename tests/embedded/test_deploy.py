"""Deploying with the real `sam` CLI: what it is given, and what people are told when it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from stagekeeper.embedded import deploy, instance
from stagekeeper.embedded.instance import EmbeddedError, Instance

from .conftest import client


@pytest.fixture
def started(checkout: Path) -> Iterator[Instance]:
    running = instance.start(None, checkout)
    try:
        yield running
    finally:
        instance.stop(running)


def ignored(_step: str) -> None:
    """For cases that are not about progress."""


def test_the_checkouts_template_is_deployed_for_the_python_at_hand(started: Instance) -> None:
    steps: list[str] = []

    deployed = deploy.deploy_control_plane(started, steps.append)

    name = deployed.outputs["FunctionName"]
    function = client(started, "lambda").get_function(FunctionName=name)["Configuration"]
    assert function["Runtime"] == deploy.handler_runtime(started.root)
    assert client(started, "lambda").invoke(FunctionName=name)["Payload"].read() == b'"hello"'
    assert len(steps) == 2
    assert not (started.root / ".aws-sam").exists()


def test_a_missing_tool_is_named_with_what_to_run(started: Instance) -> None:
    (started.root / ".tools" / "sam").unlink()

    with pytest.raises(EmbeddedError, match=r"The SAM CLI is not installed: .*Run `make setup` first"):
        deploy.deploy_control_plane(started, ignored)


def test_a_missing_template_is_named(started: Instance) -> None:
    (started.root / "template.yaml").unlink()

    with pytest.raises(EmbeddedError, match=r"nothing to deploy: .*template\.yaml is missing"):
        deploy.deploy_control_plane(started, ignored)


def test_a_failed_build_shows_the_end_of_what_sam_said(started: Instance) -> None:
    (started.root / "function" / "Makefile").write_text("build-Hello:\n\techo it broke here >&2; exit 7\n")

    with pytest.raises(EmbeddedError, match=r"(?s)`sam build` failed .*it broke here"):
        deploy.deploy_control_plane(started, ignored)


def test_a_failed_deploy_shows_the_end_of_what_sam_said(started: Instance) -> None:
    template = started.root / "template.yaml"
    template.write_text(template.read_text().replace("StartAt: Hello", "StartAt: Nowhere"))

    with pytest.raises(EmbeddedError, match=r"(?s)`sam deploy` failed .*Nowhere"):
        deploy.deploy_control_plane(started, ignored)


def test_sam_sees_the_instance_and_its_own_home_whatever_the_caller_has(checkout: Path) -> None:
    of = Instance(checkout, 4566, 1, "token", "us-east-1", "000000000000", keep=False, folder=checkout / "run")
    caller = {
        "PATH": "/bin",
        "HOME": "/home/someone",
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "PYTHONPATH": "/elsewhere",
        "PIP_INDEX_URL": "https://index.example",
    }

    seen = deploy.environment(of, caller)

    assert seen["HOME"] == str(checkout / "run" / "home")
    assert seen["AWS_ENDPOINT_URL"] == "http://127.0.0.1:4566"
    assert (seen["AWS_ACCESS_KEY_ID"], seen["AWS_SECRET_ACCESS_KEY"]) == ("test", "test")
    assert seen["SAM_CLI_TELEMETRY"] == "0"
    assert seen["PIP_INDEX_URL"] == "https://index.example"
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "PYTHONPATH"} & seen.keys()


def test_the_callers_pip_configuration_is_not_lost_with_the_home(checkout: Path) -> None:
    of = Instance(checkout, 4566, 1, "token", "us-east-1", "000000000000", keep=False, folder=checkout / "run")
    configuration = checkout / "home" / ".config" / "pip" / "pip.conf"
    configuration.parent.mkdir(parents=True)
    configuration.touch()

    assert deploy.environment(of, {"HOME": str(checkout / "home")})["PIP_CONFIG_FILE"] == str(configuration)
