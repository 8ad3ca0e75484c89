"""The handlers' zip: complete on its own, nothing in it that does not run on AWS, and made without the runtime's Python."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
from pathlib import Path

import pytest

from stagekeeper.embedded import deploy

from .conftest import ROOT
from .plane import ControlPlane

HANDLERS = (
    "accept",
    "dry_run",
    "inspect",
    "lock",
    "plan",
    "publish",
    "move",
    "tear_down",
    "collect",
    "commit",
    "clean_up",
    "compensate",
    "notice",
    "orphaned_versions",
)
FOLDERS = tuple("".join(word.capitalize() for word in handler.split("_")) + "Function" for handler in HANDLERS)

#: What AWS's Python runtime has besides the standard library.
RUNTIME_PACKAGES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


@pytest.fixture(scope="session")
def for_aws(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` makes with nothing said: for the default runtime, on a machine that has no such Python."""
    folder = tmp_path_factory.mktemp("sam")
    no_python313 = folder / "bin" / "python3.13"
    no_python313.parent.mkdir()
    no_python313.write_text("#!/bin/sh\necho 'the build must not need the Python of the runtime' >&2\nexit 97\n")
    no_python313.chmod(0o755)
    environment = deploy.environment(plane.instance, os.environ)
    del environment["BUILD_PYTHON"]
    environment["PATH"] = f"{no_python313.parent}{os.pathsep}{environment['PATH']}"
    handlers = folder / "built" / "handlers"
    # One of them: all are made alike, as is seen of those that were deployed.
    command = [str(deploy.sam_cli(ROOT)), "build", FOLDERS[0]]
    command += ["--template-file", str(ROOT / "template.yaml"), "--build-dir", str(handlers)]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return handlers


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not beside the code, which is to stay as it was built."""
    return tmp_path_factory.mktemp("bytecode")


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder with the digest of its content."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


@pytest.mark.parametrize("handler", HANDLERS)
def test_a_handler_needs_its_own_folder_and_boto3_only(
    plane: ControlPlane, built: Path, tmp_path: Path, bytecode: Path, handler: str
) -> None:
    folder = built / FOLDERS[HANDLERS.index(handler)]
    for package in RUNTIME_PACKAGES:
        spec = importlib.util.find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
        (tmp_path / source.name).symlink_to(source)
    program = (
        f"import sys; sys.path += {[str(folder), str(tmp_path)]!r}; from stagekeeper.handlers.{handler} import handler; handler"
    )
    python = plane.instance.root / ".tools" / "ministack" / "bin" / "python"

    # -I and -S: nothing of this environment, of site-packages or of the checkout can be imported.
    alone = [str(python), "-I", "-S", "-X", f"pycache_prefix={bytecode}", "-c", program]
    ran = subprocess.run(alone, capture_output=True, text=True, check=False)  # noqa: S603

    assert ran.returncode == 0, ran.stderr


def test_all_handlers_have_the_same_content(built: Path) -> None:
    contents = [files(built / folder) for folder in FOLDERS]

    assert all(content == contents[0] for content in contents)
    assert "stagekeeper/handlers/accept.py" in contents[0]


@pytest.mark.parametrize("which", ["built", "for_aws"])
def test_neither_the_command_line_nor_the_embedded_aws_is_in_it(which: str, request: pytest.FixtureRequest) -> None:
    names = set(files(request.getfixturevalue(which) / FOLDERS[0]))
    ours = {Path(name).parts[1] for name in names if name.startswith("stagekeeper/")}

    assert ours == {"__init__.py", "domain", "aws", "template", "engine", "handlers"}
    tools = ("typer", "rich", "ministack", "boto3", "botocore", "pytest")
    assert not [name for name in names if Path(name).parts[0] in tools]
    assert not [name for name in names if "__pycache__" in name]


def test_by_default_it_is_built_for_python_313_on_x86_64_without_such_a_python(for_aws: Path) -> None:
    libraries = {path.name for path in (for_aws / FOLDERS[0]).rglob("*.so")}

    assert "_pydantic_core.cpython-313-x86_64-linux-gnu.so" in libraries
    assert all("cpython-313-x86_64" in name or ".abi3." in name for name in libraries)


def test_the_default_build_differs_from_the_deployed_one_in_compiled_code_only(built: Path, for_aws: Path) -> None:
    """So what the cases here prove of the one holds for the other."""
    deployed, default = ({name for name in files(each / FOLDERS[0]) if _is_plain(name)} for each in (built, for_aws))

    assert deployed == default


def _is_plain(name: str) -> bool:
    """Not compiled, and not about how it was packed."""
    return not name.endswith(".so") and ".dist-info" not in name
