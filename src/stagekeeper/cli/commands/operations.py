"""The commands that start an operation, each also as a dry run under `plan`: what they take. The rest is operating.py's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from stagekeeper.cli import completion
from stagekeeper.cli.commands.stages import (
    BranchsStage,
    Drift,
    IfRelease,
    Unqualified,
    Variable,
    clone,
    configure,
    reset,
    rollback,
    verify,
)
from stagekeeper.cli.options import Branch, FromBranch, How, PlainGroup, ServiceOption, StageAsk, User, operation
from stagekeeper.cli.session import Session

_PLAN_EXAMPLES = (
    "Examples:\n\n  stagekeeper plan deploy --stage dev\n\n  stagekeeper plan rollback --stage prod\n\n"
    "  stagekeeper plan teardown --stage jane"
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    plan = typer.Typer(
        cls=PlainGroup, no_args_is_help=True, help="What an operation would do, without doing it.", epilog=_PLAN_EXAMPLES
    )

    def add(command: Callable[..., None], *examples: str) -> None:
        operation(app, *examples)(command)
        planned = dict.fromkeys(line.removesuffix(" --dry-run").removesuffix(" --no-wait") for line in examples)
        operation(plan, *(line.replace("stagekeeper ", "stagekeeper plan ", 1) for line in planned), planned=True)(command)

    add(
        deploy,
        "stagekeeper deploy",
        "stagekeeper deploy --stage prod --reason 'the winter release'",
        "stagekeeper deploy --from-branch --operation-id orders-42-1",
        "stagekeeper deploy --stage dev --service shop --template .aws-sam/build/template.yaml --local",
    )
    add(rollback, "stagekeeper rollback --stage prod --reason 'orders fail'", "stagekeeper rollback --stage prod --to-release 7")
    add(reset, "stagekeeper reset --stage qa --to-stage prod", "stagekeeper reset --stage prod --to-release 12")
    add(clone, "stagekeeper clone --from prod --stage jane")
    add(
        teardown,
        "stagekeeper teardown --stage jane",
        "stagekeeper teardown --stage prod --confirm prod",
        "stagekeeper teardown --deleted-branch feature/packing",
        "stagekeeper teardown --whole-service --confirm orders",
    )
    add(sweep, "stagekeeper sweep", "stagekeeper sweep --delete --keep 1", "stagekeeper sweep --all-services")
    add(adopt, "stagekeeper adopt", "stagekeeper adopt --stages dev --stages prod --function Api=orders-api --service orders")
    add(configure, "stagekeeper configure --stage prod --protect --description 'what customers use'")
    add(verify, "stagekeeper verify --stage prod", "stagekeeper verify --all-stages")
    add(recover, "stagekeeper recover", "stagekeeper recover orders-dev-42", "stagekeeper recover --all-services")
    app.add_typer(plan, name="plan")


def deploy(
    session: Session,
    how: How,
    stage: BranchsStage = None,
    from_branch: FromBranch = False,
    branch: Branch = None,
    user: User = None,
    service: ServiceOption = None,
    template: Annotated[
        Path | None,
        typer.Option(
            "--template", metavar="FILE", help="Deploy this template instead of what the project file says; builds nothing."
        ),
    ] = None,
    build: Annotated[bool, typer.Option("--build/--no-build", help="Run the project's build command first.")] = True,
    function: Annotated[
        list[str] | None,
        typer.Option(
            "--function",
            metavar="LOGICAL",
            help="Only this one of the project's functions, as with --partial. May be repeated.",
            autocompletion=completion.functions,
        ),
    ] = None,
    partial: Annotated[
        bool, typer.Option("--partial", help="What the project file does not name stays on the stage as it is.")
    ] = False,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", metavar="K=V", help="A parameter of the template, over the project file's. May be repeated."),
    ] = None,
    variable: Variable = None,
    allow_shared: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-shared",
            metavar="ID",
            help="A shared resource that may be taken away or replaced although other stages need it. May be repeated.",
        ),
    ] = None,
    release_only: Annotated[bool, typer.Option("--release-only", help="Make the release, and move no stage onto it.")] = False,
    on_drift: Drift = None,
    accept_unqualified_callers: Unqualified = False,
    if_release: IfRelease = None,
) -> None:
    """Build, package, upload, and make a stage serve that.

    What is there already is neither uploaded nor published again. The control plane reads code from S3, so a dry run builds
    and uploads as well; beyond that it changes nothing.
    """
    from stagekeeper.cli import deploying

    deploying.deploy(
        session,
        how,
        StageAsk(stage, from_branch, branch, user),
        deploying.Asked(
            service=service,
            template=template,
            build=build,
            functions=tuple(function or ()),
            partial=partial,
            parameters=tuple(parameter or ()),
            variables=tuple(variable or ()),
            allow_shared=tuple(allow_shared or ()),
            release_only=release_only,
            on_drift=on_drift,
            accept_unqualified_callers=accept_unqualified_callers,
            if_release=if_release,
        ),
    )


def teardown(
    session: Session,
    how: How,
    stage: Annotated[
        str | None,
        typer.Option("--stage", "-s", metavar="STAGE", help="The stage that is to go.", autocompletion=completion.stages),
    ] = None,
    whole_service: Annotated[
        bool,
        typer.Option("--whole-service", help="All stages of the service, and every version that Stagekeeper published for it."),
    ] = False,
    deleted_branch: Annotated[
        str | None,
        typer.Option("--deleted-branch", metavar="BRANCH", help="The personal stages that this branch was the last to move."),
    ] = None,
    confirm: Annotated[
        str | None,
        typer.Option(
            "--confirm", metavar="NAME", help="The name of a stage that is protected or in use; of the service, for all of it."
        ),
    ] = None,
    user: User = None,
    service: ServiceOption = None,
    if_release: IfRelease = None,
) -> None:
    """Take a stage away: its aliases, its stack, and the versions that only it reached.

    Nothing is asked. What must not go by mistake is guarded by the control plane: a protected stage, one that others use and a
    whole service need --confirm with the name. `stagekeeper plan teardown …` shows before what would go: it needs the same
    --confirm, and takes nothing. A teardown is never put back.
    """
    from stagekeeper.cli import operating, requests

    requests.one_of(
        {"--stage": stage is not None, "--whole-service": whole_service, "--deleted-branch": deleted_branch is not None}
    )
    if stage is None:
        whole = "--whole-service" if whole_service else "--deleted-branch"
        requests.one_of({whole: True, "--if-release": if_release is not None})
    if deleted_branch is not None:
        from stagekeeper.cli import departing

        requests.one_of({"--deleted-branch": True, "--confirm": confirm is not None})

        departing.teardown(session, how, service, deleted_branch, user)
        return
    if stage is not None:
        head = operating.at_named(session, how, service, stage, user=user, if_release=if_release).head
    else:
        head = operating.at_service(session, how, session.service(service), StageAsk(user=user)).head
    operating.run(session, how, requests.teardown(head, confirm=confirm))


def sweep(
    session: Session,
    how: How,
    service: ServiceOption = None,
    all_services: Annotated[bool, typer.Option("--all-services", help="Of every service.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="Delete them, instead of only saying which they are.")] = False,
    keep: Annotated[
        int | None, typer.Option("--keep", metavar="N", min=0, help="Newest unneeded versions to leave; left out, the stack's.")
    ] = None,
    rollback_depth: Annotated[
        int | None, typer.Option("--rollback-depth", metavar="N", min=0, help="Steps of every way back to leave; as above.")
    ] = None,
    grace_hours: Annotated[
        int | None,
        typer.Option("--grace-hours", metavar="N", min=0, help="How long a displaced version is left; as above."),
    ] = None,
) -> None:
    """Say which versions nothing needs any more; with --delete, delete them.

    Nothing is asked: without --delete nothing is deleted, and with it what can be seen before without it.
    """
    from stagekeeper.cli import operating, requests

    requests.one_of({"--service": service is not None, "--all-services": all_services}, needed=False)
    head = operating.at_service(session, how, None if all_services else session.service(service)).head
    operating.run(
        session,
        how,
        requests.sweep(head, delete=delete, keep=keep, rollback_depth=rollback_depth, grace_hours=grace_hours),
    )


def adopt(
    session: Session,
    how: How,
    stages: Annotated[
        list[str] | None,
        typer.Option(
            "--stages",
            "--stage",
            "-s",
            metavar="STAGE",
            help="Which aliases; left out, all. May be repeated.",
            autocompletion=completion.stages,
        ),
    ] = None,
    function: Annotated[
        list[str] | None,
        typer.Option(
            "--function",
            metavar="LOGICAL=NAME",
            help="A function, by its logical name; left out, the project file's, or those that the service has. May be repeated.",
        ),
    ] = None,
    service: ServiceOption = None,
    accept_unqualified_callers: Unqualified = False,
) -> None:
    """Take on record what is there: every alias of the functions becomes a stage. Nothing on AWS changes."""
    from stagekeeper.cli import operating, requests
    from stagekeeper.domain.branches import LOCAL

    name = session.service(service)
    functions = requests.pairs("--function", function) if function else operating.project_functions(session, name)
    head = operating.at_service(session, how, name, local=LOCAL in (stages or ())).head
    operating.run(
        session,
        how,
        requests.adopt(head, stages=stages or (), functions=functions, accept_unqualified_callers=accept_unqualified_callers),
    )


def recover(
    session: Session,
    how: How,
    dead: Annotated[
        str | None, typer.Argument(metavar="[OPERATION]", help="Its id; left out, every dead operation of the service.")
    ] = None,
    service: ServiceOption = None,
    all_services: Annotated[bool, typer.Option("--all-services", help="Every dead operation there is.")] = False,
) -> None:
    """End operations whose executions died. That happens by itself: this is for when it did not."""
    from stagekeeper.cli import operating, requests

    given = {"OPERATION": dead is not None, "--service": service is not None, "--all-services": all_services}
    requests.one_of(given, needed=False)
    of_any = all_services or dead is not None
    head = operating.at_service(session, how, None if of_any else session.service(service)).head
    operating.run(session, how, requests.recover(head, dead))
