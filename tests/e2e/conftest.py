"""One embedded AWS with the control plane on it for all cases of this folder, and services to try it on."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from stagekeeper.embedded import deploy, instance
from stagekeeper.embedded.instance import Instance

from .answers import Answers, answers
from .plane import ControlPlane, unique
from .service import ROLE, Service

ROOT = Path(__file__).resolve().parents[2]

#: Updates are seen to be in progress, as on AWS, and not waited for longer than needed (seconds).
IN_PROGRESS_SECONDS = 0.1

NewService = Callable[..., Service]

_ZIPS = "control-plane"
#: A resource of a template that `sam build` wrote, and the zip with its code.
_CODE = re.compile(r"^  (\w+):\n(?: {4}.*\n)*? {6}CodeUri: (\w+\.zip)$", re.MULTILINE)


@pytest.fixture(scope="session")
def plane(shared_folder: Path) -> Iterator[ControlPlane]:
    """Deployed on a free port, in a folder of its own: several checkouts, and several of one, may do this at once."""
    running = instance.start(None, ROOT, in_progress_seconds=IN_PROGRESS_SECONDS)
    try:
        parameters = deploy.control_plane_parameters(ROOT)
        deployed = deploy.deploy_built(running, _zips(running, parameters, shared_folder), deploy.STACK, parameters, print)
        plane = ControlPlane(running, deployed.stack, deployed.outputs)
        _make_role(plane)
        yield plane
    finally:
        instance.stop(running)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run have."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def _zips(running: Instance, parameters: Mapping[str, str], shared: Path) -> Path:
    """The control plane as the first worker builds it that needs it; the others wait, which is quicker than to build it again."""
    zips = shared / _ZIPS
    with (shared / f"{_ZIPS}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not zips.exists():
            made = deploy.build(running, ROOT / "template.yaml", deploy.STACK, parameters, print)
            # Whole or not at all. The folders that the zips were made of are left behind.
            partial = Path(tempfile.mkdtemp(dir=shared))
            for file in (path for path in made.iterdir() if path.is_file()):
                shutil.copy(file, partial)
            # What the template leaves where it was, it names as seen from the folder it was built in.
            template = partial / "template.yaml"
            text = template.read_text(encoding="utf-8")
            template.write_text(text.replace(f"{os.path.relpath(ROOT, made)}/", f"{ROOT}/"), encoding="utf-8")
            partial.rename(zips)
    return zips


@pytest.fixture(scope="session")
def built(
    plane: ControlPlane,  # noqa: ARG001  # it is what was built
    shared_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What was deployed: below each function's logical id its code, as it was built for the Python that runs handlers here.

    Functions of one zip have one folder.
    """
    zips, unpacked = shared_folder / _ZIPS, tmp_path_factory.mktemp("built")
    for logical_id, name in _CODE.findall((zips / "template.yaml").read_text(encoding="utf-8")):
        folder = unpacked / Path(name).stem
        if not folder.exists():
            with zipfile.ZipFile(zips / name) as archive:
                archive.extractall(folder)
        (unpacked / logical_id).symlink_to(folder)
    return unpacked


def _make_role(plane: ControlPlane) -> None:
    """The role of the cases' functions, which may do nothing."""
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [trusted]}
    plane.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(document))


def deploy_another(plane: ControlPlane, prefix: str, parameters: Mapping[str, str]) -> ControlPlane:
    """One more control plane in the same account, with a table of its own, deployed from the first one's template."""
    formation, name = plane.client("cloudformation"), unique(prefix)
    (first,) = formation.describe_stacks(StackName=plane.stack)["Stacks"]
    given = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in first["Parameters"]} | dict(parameters)
    # By way of S3: CloudFormation takes no more than 51,200 bytes of a template in the call itself.
    template = formation.get_template(StackName=plane.stack, TemplateStage="Original")["TemplateBody"]
    place = plane.upload(template.encode())
    formation.create_stack(
        StackName=name,
        TemplateURL=f"https://s3.{plane.region}.amazonaws.com/{place['s3_bucket']}/{place['s3_key']}",
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    formation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 60})
    return ControlPlane(plane.instance, name, deploy.outputs(plane.instance, name))


@pytest.fixture(scope="session")
def eager(plane: ControlPlane) -> ControlPlane:
    """A control plane whose sweeps leave nothing that they may take."""
    return deploy_another(plane, "eager", {"Keep": "0", "RollbackDepth": "0", "GraceHours": "0"})


@pytest.fixture
def formation() -> Iterator[Answers]:
    with answers() as taking:
        yield taking


@pytest.fixture(scope="session")
def new_service(plane: ControlPlane) -> NewService:
    """Makes a service with functions of its own, by their logical names."""
    return lambda *logical_names: Service(plane, *logical_names)
