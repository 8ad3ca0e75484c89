"""Facts of the checkout at hand: branch, commit, user, and where CI runs the run's URL. From git and from CI's own variables.

Must not know what a branch means: that is domain/branches.py.
"""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from urllib.parse import quote

from stagekeeper.domain.branches import branch_of_ref

#: A status of a very large checkout takes seconds; one that takes longer says nothing.
_GIT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Checkout:
    """None is "not known": no git, no branch, a CI that tells no name. ``dirty``: something here is not in the commit.

    ``pull_request``: CI builds what is proposed, and ``branch`` is where that comes from.
    """

    branch: str | None = None
    commit: str | None = None
    user: str | None = None
    run_url: str | None = None
    ci: bool = False
    dirty: bool = False
    pull_request: bool = False


@dataclass(frozen=True, slots=True)
class _Ci:
    """Which variables of a CI say what; of several, the first that is set.

    ``proposed_branch``: where a pull request comes from, if ``branch`` does not tell. ``tag``: when it is set, ``branch`` is a
    tag. ``with_remote``: the variable in which ``origin/`` comes before the branch.
    """

    sign: str
    branch: tuple[str, ...]
    commit: str
    run_url: str
    user: tuple[str, ...] = ()
    pull_request: str = ""
    pull_request_begins: str = ""
    proposed_branch: tuple[str, ...] = ()
    tag: str = ""
    with_remote: str = ""


#: Whoever runs on another's machines comes before it: GitHub's runners can be CodeBuild's.
#: Bitbucket and CodeBuild tell an id instead of a name: STAGEKEEPER_USER has to say who it is.
_CIS = (
    # docs.github.com, "Variables reference". GITHUB_REF_NAME would not tell a tag from a branch.
    _Ci(
        sign="GITHUB_ACTIONS",
        branch=("GITHUB_REF",),
        commit="GITHUB_SHA",
        run_url="{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}/actions/runs/{GITHUB_RUN_ID}",
        user=("GITHUB_ACTOR",),
        pull_request="GITHUB_HEAD_REF",
        proposed_branch=("GITHUB_HEAD_REF",),
    ),
    # docs.gitlab.com, "Predefined CI/CD variables reference". CI_COMMIT_BRANCH is not there for merge requests and tags.
    _Ci(
        sign="GITLAB_CI",
        branch=("CI_COMMIT_BRANCH",),
        commit="CI_COMMIT_SHA",
        run_url="{CI_PIPELINE_URL}",
        user=("GITLAB_USER_LOGIN",),
        pull_request="CI_MERGE_REQUEST_IID",
        proposed_branch=("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",),
    ),
    # support.atlassian.com, "Variables and secrets".
    _Ci(
        sign="BITBUCKET_BUILD_NUMBER",
        branch=("BITBUCKET_BRANCH",),
        commit="BITBUCKET_COMMIT",
        run_url="https://bitbucket.org/{BITBUCKET_REPO_FULL_NAME}/pipelines/results/{BITBUCKET_BUILD_NUMBER}",
        pull_request="BITBUCKET_PR_ID",
    ),
    # learn.microsoft.com, "Use predefined variables". BUILD_SOURCEBRANCHNAME is the last part of the branch's name only.
    _Ci(
        sign="TF_BUILD",
        branch=("BUILD_SOURCEBRANCH",),
        commit="BUILD_SOURCEVERSION",
        run_url="{SYSTEM_COLLECTIONURI}{SYSTEM_TEAMPROJECT}/_build/results?buildId={BUILD_BUILDID}",
        user=("BUILD_REQUESTEDFOREMAIL",),
        pull_request="SYSTEM_PULLREQUEST_PULLREQUESTID",
        proposed_branch=("SYSTEM_PULLREQUEST_SOURCEBRANCH",),
    ),
    # circleci.com/docs, "Project values and variables". Only a fork's pull request is one here: others are builds of branches.
    _Ci(
        sign="CIRCLECI",
        branch=("CIRCLE_BRANCH",),
        commit="CIRCLE_SHA1",
        run_url="{CIRCLE_BUILD_URL}",
        user=("CIRCLE_USERNAME",),
        pull_request="CIRCLE_PR_NUMBER",
    ),
    # docs.aws.amazon.com, CodeBuild, "Environment variables in build environments".
    _Ci(
        sign="CODEBUILD_BUILD_ID",
        branch=("CODEBUILD_WEBHOOK_HEAD_REF",),
        commit="CODEBUILD_RESOLVED_SOURCE_VERSION",
        run_url="{CODEBUILD_BUILD_URL}",
        pull_request="CODEBUILD_WEBHOOK_EVENT",
        pull_request_begins="PULL_REQUEST_",
    ),
    # Jenkins, "Global Variable Reference", and the plugins Git and Build User Vars. BRANCH_NAME is PR-7 for a change, and the
    # tag's name for a tag; GIT_BRANCH has the remote before it.
    _Ci(
        sign="JENKINS_URL",
        branch=("BRANCH_NAME", "GIT_LOCAL_BRANCH", "GIT_BRANCH"),
        commit="GIT_COMMIT",
        run_url="{BUILD_URL}",
        user=("BUILD_USER_ID", "CHANGE_AUTHOR"),
        pull_request="CHANGE_ID",
        proposed_branch=("CHANGE_BRANCH",),
        tag="TAG_NAME",
        with_remote="GIT_BRANCH",
    ),
)


def look(
    folder: Path,
    environ: Mapping[str, str],
    user_option: str | None = None,
    branch_option: str | None = None,
    login: Callable[[], str] = getpass.getuser,
) -> Checkout:
    """The facts of a folder's checkout. What an option says comes first, then STAGEKEEPER_USER and STAGEKEEPER_BRANCH, CI, git.

    ``login`` tells who is logged in, which counts only where no CI runs: there it would be the runner's.
    """
    found = next((ci for ci in _CIS if _is_set(environ, ci.sign)), None)
    in_ci = found is not None or _is_set(environ, "CI")
    named = branch_option or environ.get("STAGEKEEPER_BRANCH")
    proposed = found is not None and _proposes(found, environ)
    commit = _git(folder, environ, "rev-parse", "--verify", "--quiet", "HEAD")
    return Checkout(
        branch=branch_of_ref(named) if named else _branch(found, folder, environ, in_ci),
        commit=commit or (environ.get(found.commit) if found else None) or None,
        user=user_option or environ.get("STAGEKEEPER_USER") or _user(found, environ, in_ci, login),
        run_url=None if found is None else _filled(found.run_url, environ),
        ci=in_ci,
        dirty=bool(_git(folder, environ, "status", "--porcelain")),
        # Only who says so on the command line means it: a variable may stand for every build of a CI.
        pull_request=proposed and branch_option is None,
    )


def _branch(ci: _Ci | None, folder: Path, environ: Mapping[str, str], in_ci: bool) -> str | None:
    if ci is None and in_ci:
        # What is checked out there may be a pull request's merge into its target, with nothing that tells.
        return None
    if ci is None:
        return branch_of_ref(_git(folder, environ, "symbolic-ref", "--short", "--quiet", "HEAD"))
    if ci.tag and environ.get(ci.tag):
        return None
    names = (*ci.proposed_branch, *ci.branch) if _proposes(ci, environ) else ci.branch
    name = next((name for name in names if environ.get(name)), None)
    if name is None:
        return None
    return branch_of_ref(environ[name].removeprefix("origin/") if name == ci.with_remote else environ[name])


def _proposes(ci: _Ci, environ: Mapping[str, str]) -> bool:
    said = environ.get(ci.pull_request, "")
    return bool(said) and said.startswith(ci.pull_request_begins)


def _user(ci: _Ci | None, environ: Mapping[str, str], in_ci: bool, login: Callable[[], str]) -> str | None:
    if in_ci:
        return None if ci is None else next((environ[name] for name in ci.user if environ.get(name)), None)
    try:
        return login() or None
    except (ImportError, KeyError, OSError):
        # A user id that the system has no name for; which of them it is depends on Python's version.
        return None


def _filled(pattern: str, environ: Mapping[str, str]) -> str | None:
    """The URL; None where a part of it is not told. A project's name may hold blanks."""
    names = [name for _, name, _, _ in Formatter().parse(pattern) if name]
    if not all(environ.get(name) for name in names):
        return None
    return pattern.format(**{name: quote(environ[name], safe=":/?#[]@!$&'()*+,;=%") for name in names})


def _is_set(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() not in ("", "false", "0")


def _git(folder: Path, environ: Mapping[str, str], *words: str) -> str | None:
    """What git says; None without git, outside of a checkout, and where there is nothing to say."""
    command = ["git", "-C", str(folder), *words]
    try:
        # No optional locks: a look must not be in the way of the git command that somebody has under way.
        done = subprocess.run(  # noqa: S603  # no shell, and nothing of a user's but the folder
            command,
            capture_output=True,
            check=False,
            encoding="utf-8",
            errors="replace",
            env={**environ, "GIT_OPTIONAL_LOCKS": "0"},
            timeout=_GIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
