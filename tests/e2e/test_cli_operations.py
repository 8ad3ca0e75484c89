"""Operations from a checkout, by the real command as a process, with the rights that CI has: OperatorPolicyArn and no more."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import NewService
from .plane import PATIENCE, ControlPlane, unique
from .service import Service, permit, zip_of

PROGRAM = "from stagekeeper.cli.main import app; app()"


@dataclass(frozen=True)
class Checkout:
    """A folder with a project file, on Jane's laptop."""

    folder: Path
    service: Service
    key: str
    secret: str

    def write(self, text: str) -> None:
        """The functions' code is one that says this."""
        with zipfile.ZipFile(io.BytesIO(zip_of(text))) as package:
            package.extractall(self.folder / "src")

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        plane = self.service.plane
        known = {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": plane.region}
        return subprocess.run(  # noqa: S603 - our own command line, no shell
            [sys.executable, "-c", PROGRAM, *words, "--endpoint-url", plane.instance.endpoint, "--stack", plane.stack],
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "STAGEKEEPER_USER": "jane", **known},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )

    def json(self, *words: str) -> tuple[int, dict[str, Any]]:
        done = self.run(*words, "--json")
        assert done.stderr == "", done.stderr
        return done.returncode, json.loads(done.stdout)

    def does(self, *words: str) -> dict[str, Any]:
        """The output of an operation that does not fail."""
        code, answer = self.json(*words)
        assert code == 0, answer
        return answer


@pytest.fixture(scope="module")
def checkout(plane: ControlPlane, new_service: NewService, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Of a service of two functions, which was never deployed."""
    service, iam, user = new_service("Api", "Worker"), plane.client("iam"), unique("ci")
    iam.create_user(UserName=user)
    iam.attach_user_policy(UserName=user, PolicyArn=plane.operator_policy)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    folder = tmp_path_factory.mktemp("checkout")
    functions = {name: {"function_name": function, "code": "src"} for name, function in service.functions.items()}
    (folder / "stagekeeper.yaml").write_text(json.dumps({"service": service.name, "functions": functions}))
    return Checkout(folder, service, key["AccessKeyId"], key["SecretAccessKey"])


def says(checkout: Checkout, stage: str) -> set[Any]:
    return set(checkout.service.says(stage).values())


def test_what_is_in_the_checkout_is_deployed_and_rolled_back(checkout: Checkout) -> None:
    checkout.write("first")
    made = checkout.does("deploy", "--stage", "dev", "--reason", "to begin with")
    assert (made["outcome"], made["previous_release"], says(checkout, "dev")) == ("succeeded", None, {"first"})
    assert checkout.does("deploy", "--stage", "dev")["outcome"] == "unchanged"

    checkout.write("second")
    planned = checkout.does("plan", "deploy", "--stage", "dev")
    assert (planned["outcome"], planned["changes_count"], says(checkout, "dev")) == ("planned", 4, {"first"})
    checkout.does("deploy", "--stage", "dev")
    assert says(checkout, "dev") == {"second"}

    back = checkout.does("rollback", "--stage", "dev")
    assert (back["release"], says(checkout, "dev")) == (made["release"], {"first"})
    first, *_ = checkout.service.ledger("dev")
    assert (first["actor"], first["reason"]) == ("jane", "to begin with")


def test_people_read_what_was_done(checkout: Checkout) -> None:
    checkout.write("third")

    done = checkout.run("deploy", "--stage", "qa")

    assert done.returncode == 0, done.stderr
    assert "Uploaded 2 files" in done.stderr
    assert "Succeeded" in done.stdout
    assert all(name in done.stdout for name in ("Api", "Worker", "qa"))
    assert "\x1b" not in done.stdout + done.stderr


def test_local_is_a_stage_of_the_embedded_aws(checkout: Checkout) -> None:
    checkout.write("at home")

    assert checkout.does("deploy")["stage"] == "local"
    assert says(checkout, "local") == {"at home"}


def test_a_refusal_has_the_control_planes_words_and_an_exit_code(checkout: Checkout) -> None:
    release = checkout.service.deploy_text("prod", "fourth")["release"]

    code, refused = checkout.json("reset", "--stage", "prod", "--to-stage", "prod", "--if-release", str(release + 1))

    assert (code, refused["error"]) == (3, "StageMoved")
    assert f"serves r{release}" in refused["message"]


def test_drift_is_found(checkout: Checkout) -> None:
    checkout.service.deploy_text("drifts", "fifth")
    api = checkout.service.functions["Api"]
    checkout.service.plane.client("lambda").update_alias(FunctionName=api, Name="drifts", FunctionVersion="1")

    code, found = checkout.json("verify", "--stage", "drifts")

    assert (code, found["error"]) == (6, "Drifted")
    assert [f"{api}:drifts" in blocker for blocker in found["blockers"]] == [True]


def test_a_step_that_ci_repeats_is_done_once_and_ends_as_it_did(checkout: Checkout) -> None:
    checkout.service.deploy_text("repeats", "sixth")
    checkout.write("seventh")
    name, line = unique("run"), ("deploy", "--stage", "repeats", "--operation-id")

    first, again = checkout.does(*line, name), checkout.does(*line, name)

    assert first == again
    assert first["outcome"] == "succeeded"
    assert len(checkout.service.ledger("repeats")) == 2


def test_a_deleted_branch_takes_its_own_stage_along(checkout: Checkout) -> None:
    checkout.write("eighth")
    checkout.does("deploy", "--branch", "feature/packing")
    assert says(checkout, "jane") == {"eighth"}
    permit(checkout.service, "Api", "jane", "somebody")
    deletes = ("teardown", "--deleted-branch", "feature/packing")

    assert operations(checkout.json(*deletes)) == (3, {"jane": "StageInUse"})

    api = checkout.service.functions["Api"]
    checkout.service.plane.client("lambda").remove_permission(FunctionName=api, Qualifier="jane", StatementId="somebody")
    assert operations(checkout.json(*deletes)) == (0, {"jane": "succeeded"})
    assert checkout.service.alias("Api", "jane") is None


def operations(ended: tuple[int, dict[str, Any]]) -> tuple[int, dict[str, str]]:
    """The exit code, and how the operations on those stages ended that follow the branch."""
    code, answer = ended
    ends = {each["stage"]: each["operation"] for each in answer["stages"] if each["follows"]}
    return code, {stage: end.get("outcome") or end["error"] for stage, end in ends.items()}
