"""The operations on one stage that move no code, and the options that operations share. What they do is operating.py's."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from stagekeeper.cli import completion
from stagekeeper.cli.endings import misuse
from stagekeeper.cli.options import Branch, FromBranch, How, ServiceOption, StageAsk, User
from stagekeeper.cli.requests import release_number
from stagekeeper.cli.session import Session


class OnDrift(StrEnum):
    """What to do about an alias that somebody else moved."""

    REFUSE = "refuse"
    OVERWRITE = "overwrite"


BranchsStage = Annotated[
    str | None,
    typer.Option(
        "--stage",
        "-s",
        metavar="STAGE",
        help="The stage; left out, the branch's where CI runs, else local.",
        autocompletion=completion.stages,
    ),
]
OneStage = Annotated[
    str | None,
    typer.Option(
        "--stage",
        "-s",
        metavar="STAGE",
        help="The stage; left out, local. Where CI runs it must be named.",
        autocompletion=completion.stages,
    ),
]
ToRelease = Annotated[
    int | None, typer.Option("--to-release", metavar="N", parser=release_number, help="To this release: 7, or r7.")
]
NewStage = Annotated[str, typer.Option("--stage", "-s", metavar="STAGE", help="The new stage.")]
Drift = Annotated[
    OnDrift | None, typer.Option("--on-drift", help="What to do about an alias that somebody else moved; left out, refuse.")
]
AllowMissing = Annotated[bool, typer.Option("--allow-missing", help="Leave out functions that exist no more.")]
Unqualified = Annotated[
    bool, typer.Option("--accept-unqualified-callers", help="Take functions over although somebody calls them without an alias.")
]
IfRelease = Annotated[
    str | None,
    typer.Option(
        "--if-release",
        metavar="N",
        help="Do nothing unless the stage serves this release; left out, the one that it serves now. `any` means whatever it "
        "serves by then.",
    ),
]
Variable = Annotated[
    list[str] | None,
    typer.Option(
        "--variable",
        metavar="K=V",
        help="A variable of the stage, over the project file's; K=secret:ARN for a secret. May be repeated. What neither names "
        "the stage has no more.",
    ),
]


def rollback(
    session: Session,
    how: How,
    stage: OneStage = None,
    from_branch: FromBranch = False,
    branch: Branch = None,
    user: User = None,
    service: ServiceOption = None,
    to_release: ToRelease = None,
    steps: Annotated[int | None, typer.Option("--steps", metavar="K", min=1, help="So many steps; left out, one.")] = None,
    on_drift: Drift = None,
    allow_missing: AllowMissing = False,
    if_release: IfRelease = None,
) -> None:
    """Put a stage back on what it served before.

    Its way back is what deploys, resets and adopts left behind. Rolling back twice goes two back; to go forward again, reset
    to a release.
    """
    from stagekeeper.cli import operating, requests

    requests.one_of({"--to-release": to_release is not None, "--steps": steps is not None}, needed=False)
    ask = StageAsk(stage, from_branch, branch, user)
    at = operating.at_chosen(session, how, service, ask, named_in_ci=True, if_release=if_release)
    request = requests.rollback(at.head, to_release=to_release, steps=steps, on_drift=on_drift, allow_missing=allow_missing)
    operating.run(session, how, request)


def reset(
    session: Session,
    how: How,
    stage: OneStage = None,
    from_branch: FromBranch = False,
    branch: Branch = None,
    user: User = None,
    service: ServiceOption = None,
    to_stage: Annotated[
        str | None,
        typer.Option("--to-stage", metavar="STAGE", help="To what this stage serves now.", autocompletion=completion.stages),
    ] = None,
    to_release: ToRelease = None,
    on_drift: Drift = None,
    allow_missing: AllowMissing = False,
    if_release: IfRelease = None,
) -> None:
    """Put a stage on any release, or on what another stage serves. Nothing is built or published."""
    from stagekeeper.cli import operating, requests
    from stagekeeper.domain.branches import LOCAL

    requests.one_of({"--to-stage": to_stage is not None, "--to-release": to_release is not None})
    ask = StageAsk(stage, from_branch, branch, user)
    at = operating.at_chosen(session, how, service, ask, named_in_ci=True, if_release=if_release)
    session.connect(local=to_stage == LOCAL)
    request = requests.reset(at.head, to_stage=to_stage, to_release=to_release, on_drift=on_drift, allow_missing=allow_missing)
    operating.run(session, how, request)


def clone(
    session: Session,
    how: How,
    stage: NewStage,
    like: Annotated[str, typer.Option("--from", metavar="STAGE", help="The stage to be like.", autocompletion=completion.stages)],
    service: ServiceOption = None,
    variable: Variable = None,
    allow_missing: AllowMissing = False,
) -> None:
    """Make a new stage that serves what another one serves.

    Its variables are its own: those of the project file, and those that are given.
    """
    from stagekeeper.cli import operating, requests

    at = operating.at_named(session, how, service, stage, also=like, guarded=False)
    variables = requests.variables_of(operating.project_variables(session, at), variable or ())
    operating.run(session, how, requests.clone(at.head, like, variables=variables, allow_missing=allow_missing))


def configure(
    session: Session,
    how: How,
    stage: OneStage = None,
    from_branch: FromBranch = False,
    branch: Branch = None,
    user: User = None,
    service: ServiceOption = None,
    protect: Annotated[
        bool | None, typer.Option("--protect/--no-protect", help="Whether a teardown of the stage needs its name as --confirm.")
    ] = None,
    description: Annotated[str | None, typer.Option("--description", metavar="TEXT", help="What the stage is for.")] = None,
    if_release: IfRelease = None,
) -> None:
    """Set what a stage is. Nothing on AWS changes."""
    from stagekeeper.cli import operating, requests

    if protect is None and description is None:
        raise misuse("Say what to set: --protect or --no-protect, --description, or both.")
    ask = StageAsk(stage, from_branch, branch, user)
    at = operating.at_chosen(session, how, service, ask, named_in_ci=True, if_release=if_release)
    operating.run(session, how, requests.configure(at.head, protected=protect, description=description))


def verify(
    session: Session,
    how: How,
    stage: BranchsStage = None,
    all_stages: Annotated[bool, typer.Option("--all-stages", help="Every stage of the service.")] = False,
    from_branch: FromBranch = False,
    branch: Branch = None,
    user: User = None,
    service: ServiceOption = None,
) -> None:
    """Compare a stage's aliases on AWS with the record. Changes nothing; exit code 6 if one is elsewhere."""
    from stagekeeper.cli import operating, requests

    requests.one_of({"--stage": stage is not None, "--all-stages": all_stages}, needed=False)
    if all_stages:
        head = operating.at_service(session, how, session.service(service), StageAsk(user=user)).head
    else:
        ask = StageAsk(stage, from_branch, branch, user)
        head = operating.at_chosen(session, how, service, ask, named_in_ci=False, guarded=False).head
    operating.run(session, how, requests.verify(head))
