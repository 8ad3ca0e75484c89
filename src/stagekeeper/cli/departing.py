"""`teardown --deleted-branch`: which stages leave with a branch, said for each, and their teardowns one after the other.

Decides by domain/branches.py alone. Must not know how an operation is followed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from stagekeeper.aws.errors import CallFailed
from stagekeeper.cli import operating, requests
from stagekeeper.cli.endings import CommandFailed, Exit, failure_of, misuse
from stagekeeper.cli.options import How, StageAsk
from stagekeeper.cli.paper import clean, lay
from stagekeeper.cli.session import Session
from stagekeeper.domain.branches import DEFAULT_RULES, StageSeen, Verdict, branch_of_ref, shared_stages, stages_of_deleted_branch
from stagekeeper.domain.model import ServiceName, Stage, StageName


def teardown(session: Session, how: How, service: str | None, ref: str, user: str | None) -> None:
    """Tear down what follows the branch. Raises typer.Exit with the exit code of the first that did not succeed."""
    branch = branch_of_ref(ref)
    if branch is None:
        raise misuse("--deleted-branch takes the name of a branch.")
    name = session.service(service)
    at = operating.at_service(session, how, name, StageAsk(user=user))
    stages = {stage.name: stage for stage in session.store.stages(name)}
    verdicts = _verdicts(session, name, branch, list(stages.values()))
    if not session.as_json:
        lay(session.console, lambda _: _lines(branch, name, verdicts))
    codes: list[int] = []
    answers: dict[StageName, Mapping[str, Any]] = {}
    going = [stages[verdict.stage] for verdict in verdicts if verdict.follows]
    # All of them first: one that can be no execution's name is not found out in the middle.
    hows = [_one(how, stage) for stage in going]
    for stage, one in zip(going, hows, strict=True):
        head = replace(at.head, stage=stage.name, if_release=stage.release)
        gathering = _Gathering(session)
        codes.append(gathering.code_of(one, requests.teardown(head)))
        answers[stage.name] = gathering.answer
    if session.as_json:
        session.show(_answer(name, branch, verdicts, answers), lambda _: None)
    raise typer.Exit(next((code for code in codes if code), int(Exit.DONE)))


def _one(how: How, stage: Stage) -> How:
    """Of several operations under one id each has its own."""
    if how.operation_id is None:
        return how
    return replace(how, operation_id=requests.checked_id(f"{how.operation_id}-{stage.name}"))


class _Gathering(Session):
    """A session that keeps its JSON object, as one of several that are shown together."""

    def __init__(self, session: Session) -> None:
        self.__dict__.update(session.__dict__)
        self.answer: Mapping[str, Any] = {}

    def show(self, answer: Mapping[str, Any], view: Callable[[Console], None]) -> None:
        self.answer = answer
        if not self.as_json:
            super().show(answer, view)

    def code_of(self, how: How, request: requests.Request) -> int:
        """The exit code that the operation ends with; whoever leaves it leaves the others as well.

        One that cannot even be started has an answer like the others: what became of those before it must not be lost.
        """
        try:
            operating.run(self, how, request)
        except typer.Exit as ended:
            if ended.exit_code == Exit.DETACHED:
                raise
            return ended.exit_code
        except (CallFailed, CommandFailed) as error:
            failure = failure_of(error)
            if failure is None:
                raise
            self.note(str(failure))
            self.answer = failure.as_json()
            return int(failure.exit_code)
        return int(Exit.DONE)


def _verdicts(session: Session, service: ServiceName, branch: str, stages: Sequence[Stage]) -> list[Verdict]:
    project = operating.project_of(session, service)
    rules = DEFAULT_RULES if project is None else project.rules
    shared = shared_stages(DEFAULT_RULES, frozenset()) if project is None else project.shared
    return stages_of_deleted_branch(branch, [_seen(session, service, stage) for stage in stages], rules, shared)


def _seen(session: Session, service: ServiceName, stage: Stage) -> StageSeen:
    movements = operating.of_this_life(session.store.history(service, stage.name, operating.MOVEMENTS))
    last = movements[0] if movements else None
    return StageSeen(
        stage.name,
        protected=stage.settings.protected,
        observed=stage.observed is not None,
        last_branch=None if last is None else last.provenance.branch,
        last_actor=None if last is None else last.provenance.actor,
        maker=operating.maker_of(movements),
    )


def _lines(branch: str, service: ServiceName, verdicts: Sequence[Verdict]) -> Text:
    if not verdicts:
        return Text(f"Service {service} has no stages: nothing follows branch {branch}.")
    lines = [f"{'goes ' if verdict.follows else 'stays'}  {clean(verdict.reason)}" for verdict in verdicts]
    if not any(verdict.follows for verdict in verdicts):
        lines.append(f"Nothing follows branch {branch}.")
    return Text("\n".join(lines))


def _answer(
    service: ServiceName, branch: str, verdicts: Sequence[Verdict], answers: Mapping[StageName, Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "service": service,
        "branch": branch,
        "stages": [
            {
                "stage": verdict.stage,
                "follows": verdict.follows,
                "reason": verdict.reason,
                "operation": answers.get(verdict.stage),
            }
            for verdict in verdicts
        ],
    }
