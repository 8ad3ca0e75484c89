"""Which stage a command is about: the one that was named, the branch's, or ``local``. Decides by domain/branches.py alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.options import StageAsk
from stagekeeper.cli.session import Session
from stagekeeper.domain.branches import DEFAULT_RULES, LOCAL, NoStage, shared_stages, stage_of_branch
from stagekeeper.domain.model import StageName

if TYPE_CHECKING:
    from stagekeeper.cli.checkout import Checkout


@dataclass(frozen=True, slots=True)
class ChosenStage:
    """``personal``: it is the person's own by the branch's rule. ``why`` says how it was chosen, for people."""

    name: StageName
    personal: bool
    why: str


def facts(session: Session, ask: StageAsk) -> Checkout:
    """Branch, commit and user of the project's checkout (of this folder without a project)."""
    import os

    from stagekeeper.cli.checkout import look

    project = session.found_project
    return look(Path.cwd() if project is None else project.folder, os.environ, ask.user, ask.branch)


def chosen_stage(session: Session, ask: StageAsk, checkout: Checkout, *, named_in_ci: bool) -> ChosenStage:
    """The stage. ``named_in_ci``: where CI runs it must be named, since nobody expects it to follow from a branch there.

    Raises CommandFailed where no stage follows. Connects to the embedded AWS for ``local``.
    """
    found = _chosen(session, ask, checkout, named_in_ci=named_in_ci)
    session.connect(local=found.name == LOCAL)
    return found


def _chosen(session: Session, ask: StageAsk, checkout: Checkout, *, named_in_ci: bool) -> ChosenStage:
    if ask.stage is not None:
        return ChosenStage(StageName(ask.stage), False, "as named")
    by_branch = ask.from_branch or ask.branch is not None
    if checkout.ci and named_in_ci and not by_branch:
        raise _no_stage("Where CI runs this needs --stage (or --from-branch): it should not follow from what is checked out.")
    if not (by_branch or checkout.ci):
        return ChosenStage(LOCAL, False, "the default on a laptop; --stage or --from-branch means another")
    project = session.found_project
    rules = DEFAULT_RULES if project is None else project.rules
    shared = shared_stages(DEFAULT_RULES, frozenset()) if project is None else project.shared
    match stage_of_branch(checkout.branch, checkout.user, rules, shared, pull_request=checkout.pull_request):
        case NoStage(sentence=sentence):
            raise _no_stage(sentence)
        case mapped:
            return ChosenStage(mapped.stage, mapped.personal, f"branch {checkout.branch} by the rule {mapped.rule}")


def _no_stage(sentence: str) -> CommandFailed:
    return CommandFailed(sentence, code="InvalidRequest", exit_code=Exit.REFUSED)
