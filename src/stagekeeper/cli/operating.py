"""What the commands that start an operation have in common: facts of checkout and record become a request, and it is started.

What a request looks like is requests.py's; how it is followed, live.py's. Must not know options as typer has them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from stagekeeper.cli import requests
from stagekeeper.cli.checkout import Checkout
from stagekeeper.cli.chosen import chosen_stage, facts
from stagekeeper.cli.commits import DIRTY
from stagekeeper.cli.endings import CommandFailed, Exit, misuse
from stagekeeper.cli.executing import executions_of
from stagekeeper.cli.options import How, StageAsk
from stagekeeper.cli.project import Project
from stagekeeper.cli.requests import Head, Origin, Request, Said
from stagekeeper.cli.session import Session
from stagekeeper.domain.branches import LOCAL, collision, is_shared, legal_name
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import Movement, ServiceName, StageName
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import DocumentRef
from stagekeeper.handlers.request import parse

#: A stage's latest movements that are looked through for another person of the same name.
MOVEMENTS = 100


if TYPE_CHECKING:
    from stagekeeper.cli.live import Beside


@dataclass(frozen=True, slots=True)
class At:
    """What an operation is about, as its request names it. ``own``: the stage is the person's own."""

    head: Head
    checkout: Checkout
    own: bool

    @property
    def stage(self) -> StageName:
        return StageName(self.head.stage or "")


def at_chosen(
    session: Session,
    how: How,
    service: str | None,
    ask: StageAsk,
    *,
    named_in_ci: bool,
    if_release: str | None = None,
    guarded: bool = True,
) -> At:
    """The stage that was named, or follows from the branch, or is ``local``. Raises CommandFailed.

    ``guarded``: the operation is to find the stage as the record has it now (``if_release``).
    """
    checkout = facts(session, ask)
    name = session.service(service)
    chosen = chosen_stage(session, ask, checkout, named_in_ci=named_in_ci)
    if ask.stage is None:
        session.note(f"Stage {chosen.name}: {chosen.why}.")
    if chosen.personal:
        _refuse_collision(session, name, chosen.name, checkout)
    return _at(session, how, name, chosen.name, checkout, if_release, guarded=guarded, own=chosen.personal)


def at_named(
    session: Session,
    how: How,
    service: str | None,
    stage: str,
    *,
    also: str | None = None,
    user: str | None = None,
    if_release: str | None = None,
    guarded: bool = True,
) -> At:
    """A stage that is always named. ``also``: another one that the operation is about."""
    checkout = facts(session, StageAsk(stage=stage, user=user))
    name = session.service(service)
    session.connect(local=LOCAL in (stage, also))
    return _at(session, how, name, StageName(stage), checkout, if_release, guarded=guarded)


def at_service(session: Session, how: How, service: str | None, ask: StageAsk | None = None, *, local: bool = False) -> At:
    """A whole service; all of them where ``service`` is None. ``local``: it is about the stage of that name."""
    session.connect(local=local)
    checkout = facts(session, ask or StageAsk())
    return At(Head(service, said=said(how), origin=origin_of(checkout)), checkout, own=False)


def _at(
    session: Session,
    how: How,
    service: ServiceName,
    stage: StageName,
    checkout: Checkout,
    if_release: str | None,
    *,
    guarded: bool,
    own: bool = False,
) -> At:
    head = Head(service, stage, None, said(how), origin_of(checkout))
    serves = _serves(session, how, service, stage) if guarded and if_release is None else None
    head = replace(head, if_release=requests.expected_release(if_release, serves))
    return At(head, checkout, own or _is_own(session, stage, checkout.user))


def _serves(session: Session, how: How, service: ServiceName, stage: StageName) -> int | None:
    """The release that the operation is to find. Of one that was begun before it is what was said then: the same id and the same
    options are the same operation, also where it has moved the stage since."""
    if how.operation_id is not None:
        earlier = executions_of(session).look(requests.checked_id(how.operation_id), patiently=True)
        if earlier is not None:
            said_then = earlier.request.get("if_release")
            return said_then if isinstance(said_then, int) else None
    found = session.store.stage(service, stage)
    return None if found is None else found.release


def _is_own(session: Session, stage: StageName, user: str | None) -> bool:
    """Whether a stage that was named is the person's own all the same."""
    project = session.found_project
    return project is not None and user is not None and legal_name(user) == stage and not is_shared(stage, project.shared)


def _refuse_collision(session: Session, service: ServiceName, stage: StageName, checkout: Checkout) -> None:
    """Two persons whose names give one stage are told, before the second moves what the first has there."""
    movements = of_this_life(session.store.history(service, stage, MOVEMENTS))
    actors = [movement.provenance.actor for movement in movements if movement.provenance.actor is not None]
    told = collision(stage, checkout.user or "", actors, maker_of(movements))
    if told is not None:
        raise CommandFailed(told, code="InvalidRequest", exit_code=Exit.REFUSED)


def of_this_life(movements: Sequence[Movement]) -> list[Movement]:
    """Of a stage's movements, newest first, those since it was made: what was before a teardown is nobody's any more."""
    return list(takewhile(lambda movement: movement.to_release is not None, movements))


def maker_of(movements: Sequence[Movement]) -> str | None:
    """Who made a stage, by its movements since then; None where they do not say, or do not reach back so far."""
    first = movements[-1] if movements else None
    return None if first is None or first.from_release is not None else first.provenance.actor


def said(how: How) -> Said:
    return Said(how.reason, how.lock_wait, how.dry_run)


def origin_of(checkout: Checkout, *, deployed: bool = False) -> Origin:
    """Who it is and from where. ``deployed``: what is in the checkout is what the stage will serve.

    The commit of a checkout that is not as its commit says is marked.
    """
    commit = checkout.commit if deployed else None
    if commit is not None and checkout.dirty and not checkout.ci:
        commit += DIRTY
    return Origin(checkout.user, commit, checkout.branch, checkout.run_url)


# What the project file says.


def project_of(session: Session, service: str | None) -> Project | None:
    """The project file, unless it is another service's: what it says of content and stages is about its own."""
    project = session.found_project
    return project if project is not None and service in (None, project.service) else None


def project_variables(session: Session, at: At) -> Mapping[str, Any] | None:
    """The variables of the stage; None where the file says nothing of them."""
    project = project_of(session, at.head.service)
    return None if project is None or at.head.stage is None else project.variables_for(at.stage, personal=at.own)


def project_parameters(session: Session, at: At) -> Mapping[str, str]:
    """The values of the template's parameters, for the stage if there is one."""
    project = project_of(session, at.head.service)
    if project is None:
        return {}
    return project.parameters if at.head.stage is None else project.parameters_for(at.stage, personal=at.own)


def project_functions(session: Session, service: str) -> dict[str, str] | None:
    """The functions' names by their logical names; None where the file does not list them."""
    project = project_of(session, service)
    if project is None or project.functions is None:
        return None
    return {logical: function.function_name for logical, function in project.functions.items()}


# The start.


def check(request: Request, document: bytes = b"{}") -> None:
    """Raise CommandFailed if the control plane would refuse the request's form: nothing has to be started to know that.

    ``document`` is what lies where ``functions`` points.
    """

    def read(_: DocumentRef) -> bytes | Absent | Unreadable:
        return document

    parsed = parse(request, read)
    if isinstance(parsed, Refusal):
        raise misuse(parsed.message, parsed.blockers)


def new_id(request: Request) -> str:
    at = datetime.now(UTC)
    return requests.operation_id(request.get("service"), request.get("stage"), request["operation"], at, secrets.token_hex(2))


def run(session: Session, how: How, request: Request, document: bytes = b"{}", beside: Beside | None = None) -> None:
    """Start the operation and follow it to its end, or say how to come back to it. Raises typer.Exit with its exit code."""
    from stagekeeper.cli import live

    check(request, document)
    operation_id = new_id(request) if how.operation_id is None else requests.checked_id(how.operation_id)
    live.run(session, operation_id, request, wait=not how.no_wait, beside=beside or live.Beside())
