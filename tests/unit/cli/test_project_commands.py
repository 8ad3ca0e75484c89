"""The commands about the checkout, through the command line: init, stage."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stagekeeper.cli.main import app
from stagekeeper.cli.project import load

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
"""


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In a folder with a template, and with none of CI's variables."""
    folder = tmp_path / "my-shop"
    folder.mkdir()
    (folder / "template.yaml").write_text(TEMPLATE)
    for name in ("CI", "GITHUB_ACTIONS", "STAGEKEEPER_USER", "STAGEKEEPER_BRANCH", "STAGEKEEPER_STACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "Jane.Doe")
    monkeypatch.chdir(folder)
    return folder


def run(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, done.stdout, done.stderr


def test_init_writes_the_file_here_with_what_the_options_say(laptop: Path) -> None:
    code, out, _ = run("init", "--service", "orders", "--region", "eu-west-1", "--stack", "platform")

    assert code == 0
    assert "Wrote stagekeeper.yaml: service orders, from template.yaml, built by `sam build`." in out
    project = load(laptop / "stagekeeper.yaml")
    assert (project.service, project.region, project.stack) == ("orders", "eu-west-1", "platform")


def test_init_tells_what_it_wrote_and_its_warnings_as_json(laptop: Path) -> None:
    (laptop / "template.yaml").write_text(TEMPLATE + "      AutoPublishAlias: live\n")
    code, out, _ = run("init", "--json", "--project", "deep.yaml")

    assert code == 0
    told = json.loads(out)
    assert (told["path"], told["service"], told["build"]) == (str(laptop / "deep.yaml"), "my-shop", "sam build")
    assert "AutoPublishAlias" in told["warnings"][0]
    assert (laptop / "deep.yaml").is_file()


def test_init_warns_beside_its_answer(laptop: Path) -> None:
    (laptop / "template.yaml").write_text(TEMPLATE + "      AutoPublishAlias: live\n")
    code, out, err = run("init")

    assert code == 0
    assert "AutoPublishAlias" not in out
    assert "AutoPublishAlias" in err


def test_init_leaves_a_file_that_is_there(laptop: Path) -> None:
    (laptop / "stagekeeper.yaml").write_text("mine")

    code, _, err = run("init")
    assert code == 1
    assert "--force" in err
    assert run("init", "--force")[0] == 0


@pytest.mark.usefixtures("laptop")
def test_stage_prints_the_stage_alone_and_why_beside() -> None:
    code, out, err = run("stage", "--branch", "feature/x")

    assert (code, out) == (0, "jane-doe\n")
    assert "Branch feature/x goes there by the rule feature/*" in err
    assert "Jane.Doe" in err


def test_stage_goes_by_the_project_files_rules(laptop: Path) -> None:
    (laptop / "stagekeeper.yaml").write_text("service: shop\ntemplate: t\nbranches: {hotfix/*: qa}\n")
    code, out, _ = run("stage", "--branch", "hotfix/1", "--user", "bob", "--json")

    assert code == 0
    assert json.loads(out) == {"stage": "qa", "personal": False, "branch": "hotfix/1", "rule": "hotfix/*", "user": "bob"}


@pytest.mark.usefixtures("laptop")
def test_a_branch_without_a_stage_is_refused() -> None:
    code, out, err = run("stage", "--branch", "hotfix/1")

    assert (code, out) == (3, "")
    assert "hotfix/*" in err


def test_a_person_called_as_a_stage_that_the_project_names_is_refused(laptop: Path) -> None:
    (laptop / "stagekeeper.yaml").write_text("service: shop\ntemplate: t\nstages: {load: {}}\n")

    assert run("stage", "--branch", "feature/x", "--user", "load")[0] == 3
    assert run("stage", "--branch", "feature/x", "--user", "jane")[0] == 0


@pytest.mark.usefixtures("laptop")
def test_a_pull_requests_build_has_no_shared_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GITHUB_ACTIONS": "true", "GITHUB_HEAD_REF": "main", "GITHUB_ACTOR": "mallory"}.items():
        monkeypatch.setenv(name, value)
    code, _, err = run("stage")

    assert code == 3
    assert "pull request" in err


def test_a_service_that_can_have_no_such_name_is_wrong_usage_and_nothing_is_written(laptop: Path) -> None:
    code, out, err = run("init", "--service", "Foo_Bar")

    assert (code, out) == (2, "")
    assert "no service can be called 'Foo_Bar'" in " ".join(err.split())
    assert "such as foo-bar." in " ".join(err.split())
    assert "line" not in err
    assert not (laptop / "stagekeeper.yaml").exists()


@pytest.mark.parametrize(
    ("named", "advice"),
    [((), "`stagekeeper deploy`."), (("--project", "my file.yaml"), "`stagekeeper deploy --project 'my file.yaml'`.")],
)
@pytest.mark.usefixtures("laptop")
def test_what_to_do_next_finds_the_file_that_was_written(named: tuple[str, ...], advice: str) -> None:
    assert advice in " ".join(run("init", *named)[1].split())
