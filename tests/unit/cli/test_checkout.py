"""Facts of the checkout: from real git in a folder of its own, and from each CI's variables as its documentation has them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from stagekeeper.cli.checkout import Checkout, look

SHA = "0123456789abcdef0123456789abcdef01234567"


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, "-C", str(folder), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - the tests' own words
    return done.stdout.strip()


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """Of a laptop: no CI, no git configuration but the checkout's own."""
    clean = {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    for name, value in clean.items():
        monkeypatch.setenv(name, value)
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    return {**clean, "PATH": os.environ["PATH"]}


@pytest.fixture
def folder(environ: dict[str, str], tmp_path: Path) -> Path:  # noqa: ARG001 - git works in it
    """A checkout of branch feature/login with one commit."""
    made = tmp_path / "checkout"
    made.mkdir()
    git(made, "init", "--quiet", "--initial-branch", "feature/login")
    (made / "app.py").write_text("")
    git(made, "add", "app.py")
    git(made, "commit", "--quiet", "--message", "first")
    return made


def seen(
    folder: Path,
    environ: Mapping[str, str],
    more: Mapping[str, str] | None = None,
    user: str | None = None,
    branch: str | None = None,
) -> Checkout:
    return look(folder, {**environ, **(more or {})}, user, branch, login=lambda: "jane")


# On a laptop.


def test_a_clean_checkout(folder: Path, environ: dict[str, str]) -> None:
    assert seen(folder, environ) == Checkout(branch="feature/login", commit=git(folder, "rev-parse", "HEAD"), user="jane")


def test_a_folder_within_a_checkout(folder: Path, environ: dict[str, str]) -> None:
    (folder / "deep").mkdir()
    assert seen(folder / "deep", environ).branch == "feature/login"


@pytest.mark.parametrize("name", ["app.py", "new.py"], ids=["changed", "new"])
def test_what_is_not_in_the_commit_makes_a_checkout_dirty(folder: Path, environ: dict[str, str], name: str) -> None:
    (folder / name).write_text("changed")
    assert seen(folder, environ).dirty


def test_what_git_ignores_does_not(folder: Path, environ: dict[str, str]) -> None:
    (folder / ".gitignore").write_text("build/\n")
    git(folder, "add", ".gitignore")
    git(folder, "commit", "--quiet", "--message", "ignore")
    (folder / "build").mkdir()
    (folder / "build" / "out").write_text("")

    assert not seen(folder, environ).dirty


def test_a_look_changes_nothing_that_another_git_may_be_at(folder: Path, environ: dict[str, str]) -> None:
    """A status would write down in the index what it found out about a file whose time stamp alone has changed."""
    os.utime(folder / "app.py", (1_000_000_000, 1_000_000_000))
    index = (folder / ".git/index").read_bytes()
    assert not seen(folder, environ).dirty

    assert (folder / ".git/index").read_bytes() == index


def test_a_detached_head_is_no_branch(folder: Path, environ: dict[str, str]) -> None:
    git(folder, "checkout", "--quiet", "--detach")

    found = seen(folder, environ)
    assert found.branch is None
    assert found.commit is not None


def test_a_branch_without_a_commit_yet(environ: dict[str, str], tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")

    found = seen(tmp_path, environ)
    assert (found.branch, found.commit) == ("main", None)


def test_a_folder_that_is_no_checkout_has_no_facts(environ: dict[str, str], tmp_path: Path) -> None:
    assert seen(tmp_path, {**environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}) == Checkout(user="jane")


def test_a_machine_without_git_has_no_facts(folder: Path, environ: dict[str, str], tmp_path: Path) -> None:
    assert seen(folder, {**environ, "PATH": str(tmp_path / "nothing")}) == Checkout(user="jane")


@pytest.mark.parametrize("trouble", [KeyError("no such uid"), OSError("no such user"), ImportError("pwd")], ids=type)
def test_a_user_id_without_a_name_is_nobody_known(environ: dict[str, str], tmp_path: Path, trouble: Exception) -> None:
    def login() -> str:
        raise trouble

    assert look(tmp_path, environ, login=login).user is None


# What is said comes first.


@pytest.mark.parametrize(
    ("more", "option", "user"),
    [
        pytest.param({}, None, "jane", id="who is logged in"),
        pytest.param({"STAGEKEEPER_USER": "bob"}, None, "bob", id="the variable"),
        pytest.param({"STAGEKEEPER_USER": "bob"}, "eve", "eve", id="the option"),
        pytest.param({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat"}, None, "octocat", id="CI's"),
        pytest.param(
            {"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "octocat", "STAGEKEEPER_USER": "bob"}, None, "bob", id="over CI's"
        ),
        pytest.param({"STAGEKEEPER_USER": ""}, None, "jane", id="an empty variable says nothing"),
    ],
)
def test_whose_name_counts(folder: Path, environ: dict[str, str], more: dict[str, str], option: str | None, user: str) -> None:
    assert seen(folder, environ, more, user=option).user == user


@pytest.mark.parametrize(
    ("more", "option", "branch"),
    [
        pytest.param({}, None, "feature/login", id="what is checked out"),
        pytest.param({"STAGEKEEPER_BRANCH": "develop"}, None, "develop", id="the variable"),
        pytest.param({"STAGEKEEPER_BRANCH": "develop"}, "main", "main", id="the option"),
        pytest.param({}, "refs/heads/main", "main", id="a ref"),
        pytest.param({}, "refs/tags/v1", None, id="a tag's ref"),
        pytest.param({"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main"}, None, "main", id="CI's"),
        pytest.param(
            {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main", "STAGEKEEPER_BRANCH": "develop"},
            None,
            "develop",
            id="over CI's",
        ),
    ],
)
def test_which_branch_counts(
    folder: Path, environ: dict[str, str], more: dict[str, str], option: str | None, branch: str | None
) -> None:
    assert seen(folder, environ, more, branch=option).branch == branch


def test_a_branch_that_is_named_is_no_pull_requests(folder: Path, environ: dict[str, str]) -> None:
    more = {"GITHUB_ACTIONS": "true", "GITHUB_HEAD_REF": "feature/x"}

    assert seen(folder, environ, more).pull_request
    assert not seen(folder, environ, more, branch="main").pull_request


def test_the_commit_is_what_is_checked_out_whatever_ci_says(folder: Path, environ: dict[str, str]) -> None:
    assert seen(folder, environ, {"GITHUB_ACTIONS": "true", "GITHUB_SHA": SHA}).commit == git(folder, "rev-parse", "HEAD")


# Where CI runs.

GITHUB = {
    "CI": "true",
    "GITHUB_ACTIONS": "true",
    "GITHUB_ACTOR": "octocat",
    "GITHUB_REPOSITORY": "acme/shop",
    "GITHUB_RUN_ID": "42",
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_SHA": SHA,
}
GITHUB_RUN = "https://github.com/acme/shop/actions/runs/42"
GITLAB = {
    "CI": "true",
    "GITLAB_CI": "true",
    "CI_COMMIT_SHA": SHA,
    "CI_PIPELINE_URL": "https://gitlab.com/acme/shop/-/pipelines/42",
    "GITLAB_USER_LOGIN": "jane.doe",
}
BITBUCKET = {
    "CI": "true",
    "BITBUCKET_BUILD_NUMBER": "42",
    "BITBUCKET_COMMIT": SHA,
    "BITBUCKET_REPO_FULL_NAME": "acme/shop",
    "BITBUCKET_STEP_TRIGGERER_UUID": "{5f0f8e2a-0000-0000-0000-000000000000}",
}
BITBUCKET_RUN = "https://bitbucket.org/acme/shop/pipelines/results/42"
AZURE = {
    "TF_BUILD": "True",
    "BUILD_BUILDID": "42",
    "BUILD_REQUESTEDFOREMAIL": "jane@example.com",
    "BUILD_SOURCEVERSION": SHA,
    "SYSTEM_COLLECTIONURI": "https://dev.azure.com/acme/",
    "SYSTEM_TEAMPROJECT": "Core Shop",
}
AZURE_RUN = "https://dev.azure.com/acme/Core%20Shop/_build/results?buildId=42"
CIRCLE = {
    "CI": "true",
    "CIRCLECI": "true",
    "CIRCLE_BUILD_URL": "https://circleci.com/gh/acme/shop/42",
    "CIRCLE_SHA1": SHA,
    "CIRCLE_USERNAME": "jane",
}
CODEBUILD = {
    "CODEBUILD_BUILD_ID": "shop:b1e6661e",
    "CODEBUILD_BUILD_URL": "https://eu-central-1.console.aws.amazon.com/codesuite/codebuild/projects/shop/build/b1e6661e",
    "CODEBUILD_INITIATOR": "GitHub-Hookshot/951dca1",
    "CODEBUILD_RESOLVED_SOURCE_VERSION": SHA,
    "CODEBUILD_WEBHOOK_ACTOR_ACCOUNT_ID": "461164",
}
JENKINS = {
    "JENKINS_URL": "https://ci.example.com/",
    "BUILD_URL": "https://ci.example.com/job/shop/42/",
    "GIT_COMMIT": SHA,
}


@pytest.mark.parametrize(
    ("variables", "branch", "user", "run_url", "pull_request"),
    [
        pytest.param(
            {**GITHUB, "GITHUB_REF": "refs/heads/release/2.1", "GITHUB_REF_NAME": "release/2.1", "GITHUB_REF_TYPE": "branch"},
            *("release/2.1", "octocat", GITHUB_RUN, False),
            id="GitHub, a push",
        ),
        pytest.param(
            {**GITHUB, "GITHUB_REF": "refs/pull/7/merge", "GITHUB_HEAD_REF": "feature/x", "GITHUB_BASE_REF": "main"},
            *("feature/x", "octocat", GITHUB_RUN, True),
            id="GitHub, a pull request",
        ),
        pytest.param(
            {**GITHUB, "GITHUB_REF": "refs/heads/main", "GITHUB_HEAD_REF": "main", "GITHUB_BASE_REF": "main"},
            *("main", "octocat", GITHUB_RUN, True),
            id="GitHub, a fork's pull request with our token (pull_request_target)",
        ),
        pytest.param(
            {**GITHUB, "GITHUB_REF": "refs/tags/main", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "tag"},
            *(None, "octocat", GITHUB_RUN, False),
            id="GitHub, a tag that is called as a branch",
        ),
        pytest.param(
            {**GITHUB, "GITHUB_REF": "refs/heads/main", "GITHUB_HEAD_REF": "", "CODEBUILD_BUILD_ID": "runner:1"},
            *("main", "octocat", GITHUB_RUN, False),
            id="GitHub, on a runner of CodeBuild",
        ),
        pytest.param(
            {**GITLAB, "CI_COMMIT_BRANCH": "develop"}, "develop", "jane.doe", GITLAB["CI_PIPELINE_URL"], False, id="GitLab"
        ),
        pytest.param(
            {**GITLAB, "CI_MERGE_REQUEST_IID": "7", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "feature/x"},
            *("feature/x", "jane.doe", GITLAB["CI_PIPELINE_URL"], True),
            id="GitLab, a merge request",
        ),
        pytest.param(
            {**GITLAB, "CI_COMMIT_TAG": "v1", "CI_COMMIT_REF_NAME": "v1"},
            *(None, "jane.doe", GITLAB["CI_PIPELINE_URL"], False),
            id="GitLab, a tag",
        ),
        pytest.param({**BITBUCKET, "BITBUCKET_BRANCH": "main"}, "main", None, BITBUCKET_RUN, False, id="Bitbucket"),
        pytest.param(
            {**BITBUCKET, "BITBUCKET_BRANCH": "origin/main"},
            *("origin/main", None, BITBUCKET_RUN, False),
            id="Bitbucket, a branch that is called as a remote's",
        ),
        pytest.param(
            {**BITBUCKET, "BITBUCKET_BRANCH": "feature/x", "BITBUCKET_PR_ID": "7"},
            *("feature/x", None, BITBUCKET_RUN, True),
            id="Bitbucket, a pull request",
        ),
        pytest.param({**BITBUCKET, "BITBUCKET_TAG": "v1"}, None, None, BITBUCKET_RUN, False, id="Bitbucket, a tag"),
        pytest.param(
            {**AZURE, "BUILD_SOURCEBRANCH": "refs/heads/feature/main", "BUILD_SOURCEBRANCHNAME": "main"},
            *("feature/main", "jane@example.com", AZURE_RUN, False),
            id="Azure",
        ),
        pytest.param(
            {
                **AZURE,
                "BUILD_SOURCEBRANCH": "refs/pull/7/merge",
                "SYSTEM_PULLREQUEST_PULLREQUESTID": "7",
                "SYSTEM_PULLREQUEST_SOURCEBRANCH": "refs/heads/feature/x",
            },
            *("feature/x", "jane@example.com", AZURE_RUN, True),
            id="Azure, a pull request",
        ),
        pytest.param(
            {**AZURE, "BUILD_SOURCEBRANCH": "refs/tags/v1"}, None, "jane@example.com", AZURE_RUN, False, id="Azure, a tag"
        ),
        pytest.param(
            {**CIRCLE, "CIRCLE_BRANCH": "develop", "CIRCLE_PULL_REQUEST": "https://github.com/acme/shop/pull/7"},
            *("develop", "jane", CIRCLE["CIRCLE_BUILD_URL"], False),
            id="CircleCI, a branch that a pull request is open from",
        ),
        pytest.param(
            {**CIRCLE, "CIRCLE_BRANCH": "pull/7", "CIRCLE_PR_NUMBER": "7"},
            *("pull/7", "jane", CIRCLE["CIRCLE_BUILD_URL"], True),
            id="CircleCI, a fork's pull request",
        ),
        pytest.param({**CIRCLE, "CIRCLE_TAG": "v1"}, None, "jane", CIRCLE["CIRCLE_BUILD_URL"], False, id="CircleCI, a tag"),
        pytest.param(
            {**CODEBUILD, "CODEBUILD_WEBHOOK_EVENT": "PUSH", "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/main"},
            *("main", None, CODEBUILD["CODEBUILD_BUILD_URL"], False),
            id="CodeBuild",
        ),
        pytest.param(
            {
                **CODEBUILD,
                "CODEBUILD_WEBHOOK_EVENT": "PULL_REQUEST_UPDATED",
                "CODEBUILD_WEBHOOK_HEAD_REF": "refs/heads/feature/x",
            },
            *("feature/x", None, CODEBUILD["CODEBUILD_BUILD_URL"], True),
            id="CodeBuild, a pull request",
        ),
        pytest.param(
            {**CODEBUILD, "CODEBUILD_WEBHOOK_EVENT": "PUSH", "CODEBUILD_WEBHOOK_HEAD_REF": "refs/tags/v1"},
            *(None, None, CODEBUILD["CODEBUILD_BUILD_URL"], False),
            id="CodeBuild, a tag",
        ),
        pytest.param(
            {**JENKINS, "BRANCH_NAME": "main", "GIT_BRANCH": "main", "BUILD_USER_ID": "jane"},
            *("main", "jane", JENKINS["BUILD_URL"], False),
            id="Jenkins, several branches",
        ),
        pytest.param(
            {**JENKINS, "GIT_BRANCH": "origin/feature/x"},
            "feature/x",
            None,
            JENKINS["BUILD_URL"],
            False,
            id="Jenkins, one branch",
        ),
        pytest.param(
            {**JENKINS, "BRANCH_NAME": "PR-7", "CHANGE_ID": "7", "CHANGE_BRANCH": "feature/x", "CHANGE_AUTHOR": "bob"},
            *("feature/x", "bob", JENKINS["BUILD_URL"], True),
            id="Jenkins, a pull request",
        ),
        pytest.param(
            {**JENKINS, "BRANCH_NAME": "main", "TAG_NAME": "main"}, None, None, JENKINS["BUILD_URL"], False, id="Jenkins, a tag"
        ),
    ],
)
def test_what_a_ci_tells(
    environ: dict[str, str],
    tmp_path: Path,
    variables: dict[str, str],
    branch: str | None,
    user: str | None,
    run_url: str,
    pull_request: bool,
) -> None:
    """In a folder without git: CodePipeline's has none, and others check out a commit, not a branch."""
    bare = {**environ, "GIT_CEILING_DIRECTORIES": str(tmp_path.parent)}

    assert seen(tmp_path, bare, variables) == Checkout(
        branch=branch, commit=SHA, user=user, run_url=run_url, ci=True, pull_request=pull_request
    )


def test_a_ci_that_tells_no_branch_is_not_asked_through_git(folder: Path, environ: dict[str, str]) -> None:
    """What it has checked out may be a branch of its own making."""
    assert seen(folder, environ, {**GITHUB, "GITHUB_REF": "refs/tags/v1"}).branch is None


def test_a_ci_that_is_not_known_tells_neither_branch_nor_name(folder: Path, environ: dict[str, str]) -> None:
    """What git has there may be a pull request's merge into its target: Drone's is."""
    found = seen(folder, environ, {"CI": "true"})

    assert found.ci
    assert (found.branch, found.user, found.run_url) == (None, None, None)
    assert seen(folder, environ, {"CI": "true", "STAGEKEEPER_BRANCH": "develop"}).branch == "develop"


@pytest.mark.parametrize("value", ["", "false", "False", "0"])
def test_a_variable_that_says_no_is_no_ci(folder: Path, environ: dict[str, str], value: str) -> None:
    assert not seen(folder, environ, {"CI": value, "GITHUB_ACTIONS": value}).ci


def test_a_run_whose_url_is_told_in_part_only_has_none(environ: dict[str, str], tmp_path: Path) -> None:
    told = {name: value for name, value in GITHUB.items() if name != "GITHUB_REPOSITORY"}

    assert seen(tmp_path, environ, told).run_url is None
