"""The commands about the checkout: init, stage. Neither asks AWS for anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.options import Branch, ServiceOption, StageAsk, User, command
from stagekeeper.cli.session import Session

if TYPE_CHECKING:
    from stagekeeper.cli.initial import Proposal

Force = Annotated[bool, typer.Option("--force", help="Write over the stagekeeper.yaml that is there.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    init_examples = ("stagekeeper init", "stagekeeper init --service orders --region eu-central-1")
    command(app, *init_examples, without=("profile", "endpoint_url", "local"))(init)
    nowhere = ("profile", "region", "endpoint_url", "stack", "local")
    command(app, "stagekeeper stage", "stagekeeper stage --branch release/2.1 --json", without=nowhere)(stage)


def init(session: Session, service: ServiceOption = None, force: Force = False) -> None:
    """Write stagekeeper.yaml from the SAM template and the samconfig.toml of this folder.

    Names what of the template Stagekeeper will refuse. Asks AWS for nothing, and changes no other file.
    """
    from dataclasses import replace

    from stagekeeper.cli import initial, project

    asked = session.asked
    if service is not None:
        initial.checked_service(service)
    path = (asked.project or Path(project.NAME)).absolute()
    found = initial.propose(path.parent)
    proposal = replace(
        found, service=service or found.service, region=asked.region or found.region, stack=asked.stack or found.stack
    )
    initial.write(proposal, path, force=force)
    for warning in proposal.warnings:
        session.note(warning)
    session.show(
        _described(proposal, path),
        lambda console: console.print(_said(proposal, path, asked.project), highlight=False, soft_wrap=True),
    )


def _described(proposal: Proposal, path: Path) -> dict[str, object]:
    return {
        "path": str(path),
        "service": proposal.service,
        "template": proposal.template,
        "build": proposal.build,
        "region": proposal.region,
        "parameters": list(proposal.parameters),
        "missing_parameters": list(proposal.missing),
        "warnings": list(proposal.warnings),
    }


def _said(proposal: Proposal, path: Path, named: Path | None) -> str:
    import shlex

    built = f", built by `{proposal.build}`" if proposal.build else ""
    wrote = f"Wrote {path.name}: service {proposal.service}, from {proposal.template}{built}."
    option = "" if named is None or _is_found(named) else f" --project {shlex.quote(str(named))}"
    return f"{wrote} Read it over, then `stagekeeper deploy{option}`."


def _is_found(path: Path) -> bool:
    """Whether commands here find it by themselves."""
    from stagekeeper.cli.project_place import find

    found = find(Path.cwd())
    return found is not None and found.samefile(path)


def stage(session: Session, branch: Branch = None, user: User = None) -> None:
    """Show which stage the branch that is checked out goes to.

    The stage alone is the output, as a script wants it; why it is that one is said beside. With no stage for the branch it
    fails, and says what to do.
    """
    from stagekeeper.cli.chosen import facts
    from stagekeeper.domain.branches import DEFAULT_RULES, NoStage, shared_stages, stage_of_branch

    project = session.found_project
    rules = DEFAULT_RULES if project is None else project.rules
    shared = shared_stages(DEFAULT_RULES, ()) if project is None else project.shared
    checkout = facts(session, StageAsk(branch=branch, user=user))
    found = stage_of_branch(checkout.branch, checkout.user, rules, shared, pull_request=checkout.pull_request)
    if isinstance(found, NoStage):
        raise CommandFailed(found.sentence, code="InvalidRequest", exit_code=Exit.REFUSED)
    whose = f", and is the own stage of {checkout.user}" if found.personal else ""
    session.note(f"Branch {checkout.branch} goes there by the rule {found.rule}{whose}.")
    answer = {
        "stage": found.stage,
        "personal": found.personal,
        "branch": checkout.branch,
        "rule": found.rule,
        "user": checkout.user,
    }
    session.show(answer, lambda console: console.print(found.stage, highlight=False))
