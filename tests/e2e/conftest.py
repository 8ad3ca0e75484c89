"""One embedded AWS with the control plane on it for all cases of this folder, and services to try it on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stagekeeper.embedded import deploy, instance

from .plane import ControlPlane
from .service import ROLE, Service

ROOT = Path(__file__).resolve().parents[2]

#: Updates are seen to be in progress, as on AWS, and not waited for longer than needed (seconds).
IN_PROGRESS_SECONDS = 0.1

NewService = Callable[..., Service]


@pytest.fixture(scope="session")
def plane() -> Iterator[ControlPlane]:
    """Deployed on a free port, in a folder of its own: several checkouts, and several of one, may do this at once."""
    running = instance.start(None, ROOT, in_progress_seconds=IN_PROGRESS_SECONDS)
    try:
        deployed = deploy.deploy_control_plane(running, print)
        plane = ControlPlane(running, deployed.stack, deployed.outputs)
        _make_role(plane)
        yield plane
    finally:
        instance.stop(running)


def _make_role(plane: ControlPlane) -> None:
    """The role of the cases' functions, which may do nothing."""
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trusted]}
    plane.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(document))


@pytest.fixture(scope="session")
def new_service(plane: ControlPlane) -> NewService:
    """Makes a service with functions of its own, by their logical names."""
    return lambda *logical_names: Service(plane, *logical_names)
