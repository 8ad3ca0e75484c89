"""The commands that read the record: status, history, diff, releases, locks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from stagekeeper.cli import completion
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.options import ServiceOption, command
from stagekeeper.cli.session import Session

if TYPE_CHECKING:
    from rich.console import Console

    from stagekeeper.cli.commits import Between, NotHere
    from stagekeeper.cli.configurations import Differences
    from stagekeeper.cli.sides import ReadSide
    from stagekeeper.domain.comparison import Comparison
    from stagekeeper.domain.model import ServiceName
    from stagekeeper.domain.refusal import Refusal

T = TypeVar("T")

_SIDE = "A stage, or a release such as r12; stage:r12 is a stage of that name."

HistorysStage = Annotated[
    str | None,
    typer.Option(
        "--stage",
        "-s",
        metavar="STAGE",
        help="The stage; left out, all, those that were torn down included.",
        autocompletion=completion.stages,
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, metavar="N", help="So many, the newest.")]
AllServices = Annotated[bool, typer.Option("--all-services", help="Every service there is, one after the other.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "stagekeeper status", "stagekeeper status --service orders --json", "stagekeeper status --all-services")(status)
    command(app, "stagekeeper history", "stagekeeper history --stage prod --limit 5", "stagekeeper history --json")(history)
    command(app, "stagekeeper diff qa prod", "stagekeeper diff r11 prod --configuration", "stagekeeper diff dev r12 --exit-code")(
        diff
    )
    command(app, "stagekeeper releases", "stagekeeper releases --service orders --limit 5 --json")(releases)
    command(app, "stagekeeper locks", "stagekeeper locks --all-services --json")(locks)


def status(session: Session, service: ServiceOption = None, all_services: AllServices = False) -> None:
    """Show what is where: stages across, functions down, the version and release in each cell."""
    from stagekeeper.cli import board

    boards = [board.read(session.store, name) for name in _services(session, service, all_services)]
    if not all_services and not boards[0].stages and not boards[0].at_work():
        _expect(session, boards[0].service)
    _show_each(session, all_services, boards, board.as_json, board.show)


def history(session: Session, service: ServiceOption = None, stage: HistorysStage = None, limit: Limit = 20) -> None:
    """Show what moved, the newest first: which stage, from which release to which, by whom, from which commit, and why."""
    from stagekeeper.cli import history as view
    from stagekeeper.domain.branches import LOCAL
    from stagekeeper.domain.model import StageName
    from stagekeeper.domain.refusal import no_stage

    of = session.service(service)
    session.connect(local=stage == LOCAL)
    found = view.read(session.store, of, None if stage is None else StageName(stage), limit)
    if not found.movements:
        _expect(session, of)
        if found.stage is not None and session.store.stage(of, found.stage) is None:
            raise _refused(no_stage(of, found.stage))
    session.show(view.as_json(found), lambda console: view.show(found, console))


def diff(
    session: Session,
    a: Annotated[str, typer.Argument(metavar="A", help=_SIDE, autocompletion=completion.stages)],
    b: Annotated[str, typer.Argument(metavar="B", help="The same.", autocompletion=completion.stages)],
    service: ServiceOption = None,
    configuration: Annotated[
        bool,
        typer.Option("--configuration", help="Ask AWS what differs in configurations; of variables only the names are shown."),
    ] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if they differ, as git's does.")] = False,
) -> None:
    """Show what differs between two stages or releases: code and configuration of each function, and the commits in between.

    A stage is compared as it is really served, also where it is mixed or keeps functions that its release does not have.
    """
    from stagekeeper.cli import comparison as view
    from stagekeeper.cli import sides
    from stagekeeper.domain.branches import LOCAL
    from stagekeeper.domain.comparison import compare

    of, wanted = session.service(service), [sides.named(a), sides.named(b)]
    session.connect(local=LOCAL in wanted)
    one, other = (_found(session, of, sides.read(session.store, of, each)) for each in wanted)
    compared = compare(one.side, other.side)
    configurations = _configurations(session, compared) if configuration else {}
    found = view.Diff(of, one, other, compared, configurations, _commits(session, one, other))
    session.show(view.as_json(found), lambda console: view.show(found, console))
    if exit_code and compared.differs:
        raise typer.Exit(1)


def _found(session: Session, service: ServiceName, read: ReadSide | Refusal) -> ReadSide:
    from stagekeeper.cli.sides import ReadSide

    if isinstance(read, ReadSide):
        return read
    _expect(session, service)
    raise _refused(read)


def _configurations(session: Session, compared: Comparison) -> Differences:
    from stagekeeper.aws.clock import SystemClock
    from stagekeeper.aws.lambda_api import LambdaApi, LambdaClients
    from stagekeeper.cli import configurations

    return configurations.read(session.store, LambdaApi(LambdaClients.default(), SystemClock()), compared)


def _commits(session: Session, one: ReadSide, other: ReadSide) -> Between | NotHere | None:
    from stagekeeper.cli import commits

    a, b = (None if each.source is None else each.source.commit for each in (one, other))
    if a is None or b is None:
        return None
    project = session.found_project
    return commits.between(Path.cwd() if project is None else project.folder, a, b)


def releases(session: Session, service: ServiceOption = None, limit: Limit = 20) -> None:
    """Show the releases, the newest first: what made each, which stages serve it and which can go back to it."""
    from stagekeeper.cli import releases as view

    found = view.read(session.store, session.service(service), limit)
    if not found.releases:
        _expect(session, found.service)
    session.show(view.as_json(found), lambda console: view.show(found, console))


def locks(session: Session, service: ServiceOption = None, all_services: AllServices = False) -> None:
    """Show who works on a service and who waits, since when, and whether their executions still run.

    Of the executions the first twenty are asked about.
    """
    from stagekeeper.aws.clock import SystemClock
    from stagekeeper.aws.executions import Executions
    from stagekeeper.cli import locks as view

    services = _services(session, service, all_services)
    reader = view.Reader(session.store, Executions(session.plane.machine_arn).liveness, SystemClock().now)
    found = [reader.read(name) for name in services]
    if not all_services and found[0].is_free:
        _expect(session, found[0].service)
    _show_each(session, all_services, found, view.as_json, view.show)


def _services(session: Session, service: str | None, all_services: bool) -> list[ServiceName]:
    if not all_services:
        return [session.service(service)]
    if service is not None:
        raise typer.BadParameter("--service is one, --all-services are all: say one of them.")
    return session.store.services()


def _show_each(
    session: Session,
    all_services: bool,
    found: Sequence[T],
    as_json: Callable[[T], Mapping[str, Any]],
    show: Callable[[T, Console], None],
) -> None:
    """The one that was asked for as it is; all services as a list of such, which may be empty."""
    answer = {"services": [as_json(each) for each in found]} if all_services else as_json(found[0])

    def view(console: Console) -> None:
        if not found:
            console.print("There are no services yet.")
        for place, each in enumerate(found):
            if place:
                console.print()
            show(each, console)

    session.show(answer, view)


def _expect(session: Session, service: ServiceName) -> None:
    """Nothing is on record: raises CommandFailed unless that is because nothing was done to the service yet."""
    from stagekeeper.domain.refusal import no_service

    if session.store.service(service) is None:
        raise _refused(no_service(service))


def _refused(refusal: Refusal) -> CommandFailed:
    return CommandFailed(refusal.message, code=refusal.code, exit_code=Exit.REFUSED)
