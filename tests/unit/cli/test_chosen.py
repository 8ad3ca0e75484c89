"""Which stage a command is about: named, the branch's, or `local`; and never a shared one from what nobody has merged."""

from __future__ import annotations

from pathlib import Path

import pytest

from stagekeeper.cli.checkout import Checkout
from stagekeeper.cli.chosen import chosen_stage
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.options import StageAsk
from stagekeeper.cli.session import Asked, Session

LAPTOP = Checkout(branch="main", user="jane")
CI = Checkout(branch="main", user="jane", ci=True)


class Unconnected(Session):
    """Remembers whether the embedded AWS was asked for, and asks for none."""

    def connect(self, *, local: bool = False) -> None:
        self.asked_for_local = local


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unconnected:
    """In a folder without a project file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    return Unconnected(Asked())


@pytest.mark.parametrize(
    ("ask", "checkout", "stage"),
    [
        pytest.param(StageAsk(), LAPTOP, "local", id="a laptop's default"),
        pytest.param(StageAsk(from_branch=True), LAPTOP, "prod", id="the branch's, as asked for"),
        pytest.param(StageAsk(branch="develop"), Checkout(branch="develop", user="jane"), "dev", id="of a branch that is named"),
        pytest.param(StageAsk(), CI, "prod", id="the branch's where CI runs"),
        pytest.param(StageAsk(stage="qa"), CI, "qa", id="as named"),
        pytest.param(StageAsk(), Checkout(branch="feature/x", user="Jane.Doe", ci=True), "jane-doe", id="the person's own"),
    ],
)
def test_which_stage_it_is(session: Unconnected, ask: StageAsk, checkout: Checkout, stage: str) -> None:
    found = chosen_stage(session, ask, checkout, named_in_ci=False)

    assert found.name == stage
    assert session.asked_for_local is (stage == "local")


@pytest.mark.parametrize(
    ("ask", "checkout", "named_in_ci", "said"),
    [
        pytest.param(StageAsk(), CI, True, "needs --stage", id="a rollback in CI must say it"),
        pytest.param(StageAsk(), Checkout(ci=True, user="jane"), False, "No branch", id="a detached HEAD"),
        pytest.param(
            StageAsk(), Checkout(branch="main", user="jane", ci=True, pull_request=True), False, "pull request", id="not merged"
        ),
        pytest.param(StageAsk(from_branch=True), Checkout(branch="feature/x", user="prod"), False, "shared", id="called prod"),
        pytest.param(StageAsk(from_branch=True), Checkout(branch="feature/x", user="local"), False, "shared", id="called local"),
    ],
)
def test_no_stage_follows(session: Unconnected, ask: StageAsk, checkout: Checkout, named_in_ci: bool, said: str) -> None:
    with pytest.raises(CommandFailed, match=said) as refused:
        chosen_stage(session, ask, checkout, named_in_ci=named_in_ci)

    assert refused.value.exit_code is Exit.REFUSED


def test_a_variable_that_names_a_branch_is_no_option(session: Unconnected, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may stand for every build: a rollback in CI still has to be told its stage."""
    monkeypatch.setenv("STAGEKEEPER_BRANCH", "main")

    with pytest.raises(CommandFailed, match="needs --stage"):
        chosen_stage(session, StageAsk(), CI, named_in_ci=True)
