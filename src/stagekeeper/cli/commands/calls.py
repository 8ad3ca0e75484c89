"""The commands that go to AWS beside the record, with the rights of whoever calls them: logs, invoke, outputs, open."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from stagekeeper.cli import completion
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.options import Branch, FromBranch, ServiceOption, StageAsk, StageOption, User, command
from stagekeeper.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable

    from stagekeeper.cli.logs import Line
    from stagekeeper.domain.model import StageName


class Page(StrEnum):
    """What has a page in the AWS console."""

    STAGE = "stage"
    OPERATION = "operation"
    FUNCTION = "function"
    SERVICE = "service"
    MACHINE = "machine"
    TABLE = "table"
    STACK = "stack"


#: These are one of many, so they have to be named.
_NAMED = (Page.STAGE, Page.OPERATION, Page.FUNCTION)

_TIME = "TIME"

CalledStage = Annotated[
    str | None,
    typer.Option(
        "--stage",
        "-s",
        metavar="STAGE",
        help="The stage; left out, the branch's where CI runs, else local.",
        autocompletion=completion.stages,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(
        app,
        "stagekeeper logs --stage prod",
        "stagekeeper logs --stage prod --function Api --since 2h --filter ERROR",
        "stagekeeper logs --stage prod --follow",
    )(logs)
    command(
        app,
        "stagekeeper invoke Api --stage prod",
        """stagekeeper invoke Api --stage dev --payload '{"order": 7}' --tail""",
        "stagekeeper invoke Worker --stage dev --payload-file event.json --async",
    )(invoke)
    command(app, "stagekeeper outputs --stage prod", "stagekeeper outputs --stage dev --json")(outputs)
    command(
        app,
        "stagekeeper open stage prod",
        "stagekeeper open function Api --stage prod --print",
        "stagekeeper open machine",
        name="open",
    )(open_page)


def logs(
    session: Session,
    stage: CalledStage = None,
    service: ServiceOption = None,
    function: Annotated[
        list[str] | None,
        typer.Option(
            "--function",
            metavar="NAME",
            help="Of this function only; may be given several times.",
            autocompletion=completion.functions,
        ),
    ] = None,
    since: Annotated[
        str, typer.Option("--since", metavar=_TIME, help="From when on: so long ago (30s, 10m, 2h, 3d), or a date and time.")
    ] = "10m",
    until: Annotated[str | None, typer.Option("--until", metavar=_TIME, help="Until when; left out, now.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    pattern: Annotated[
        str | None,
        typer.Option("--filter", metavar="PATTERN", help="Lines that match only: a filter pattern of CloudWatch Logs."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", metavar="N", min=1, help="The newest N lines only.")] = None,
    from_branch: FromBranch = False,
    branch: Branch = None,
    user: User = None,
) -> None:
    """Show what the functions of a stage logged: the lines of the versions that it served at that time.

    A version that the stage left is shown until its last invocation must have ended, 15 minutes later. With --follow it goes on
    with the new version when the stage moves. Nothing is read that other versions logged, but where another stage serves the
    same version its lines are in the same streams.

    Needs logs:FilterLogEvents and lambda:GetFunction of your own.
    """
    from stagekeeper.aws.clock import SystemClock
    from stagekeeper.cli import log_lines, served
    from stagekeeper.cli.log_events import LogEvents
    from stagekeeper.cli.logs import Asked, Follower, check_functions, lines, newest, remarks
    from stagekeeper.domain.served import Window

    clock = SystemClock()
    now = clock.now()
    begin, end = _moment("--since", since, now), now if until is None else _moment("--until", until, now)
    if follow and until is not None:
        raise typer.BadParameter("--follow goes on; --until is an end. Say one of them.")
    if begin > end:
        raise typer.BadParameter("--since is later than --until.")
    window = Window(begin, end)
    name = session.service(service)
    of = _stage(session, StageAsk(stage, from_branch, branch, user))
    record = served.stage_record(session.store, name, of, begin)
    asked = Asked(name, record, frozenset(function or ()), pattern)
    check_functions(asked, window)
    events = LogEvents.default(clock)
    found = asked.timeline(record, window)
    printer = log_lines.Printer(session.console, {each.function for each in found.served}, now)

    def show(some: Iterable[Line]) -> None:
        for line in some:
            if session.as_json:
                sys.stdout.write(log_lines.as_json(line, of) + "\n")
            else:
                printer.show(line)
        sys.stdout.flush()

    if follow:
        follower = Follower(
            asked,
            events,
            clock,
            begin,
            peek=lambda: session.store.stage(name, of),
            look=lambda: served.stage_record(session.store, name, of, begin),
            show=show,
            tell=session.note,
            limit=limit,
        )
        try:
            follower.run()
        except KeyboardInterrupt:
            # That is how it ends, and nothing was left under way.
            raise typer.Exit from None
    for sentence in remarks(record, found):
        session.note(sentence)
    shown = 0
    for line in newest(lines(events, found.served, pattern), limit):
        show([line])
        shown += 1
    if not shown:
        session.note(f"Stage {of} logged nothing{'' if pattern is None else ' that matches'} in this time (--since {since}).")


def invoke(
    session: Session,
    function: Annotated[
        str,
        typer.Argument(metavar="FUNCTION", help="The function, by its logical name.", autocompletion=completion.functions),
    ],
    stage: CalledStage = None,
    service: ServiceOption = None,
    payload: Annotated[
        str | None, typer.Option("--payload", metavar="JSON", help="What it is called with; left out, {}.")
    ] = None,
    payload_file: Annotated[
        str | None, typer.Option("--payload-file", metavar="FILE", help="The same from a file, or (-) from standard input.")
    ] = None,
    asynchronous: Annotated[bool, typer.Option("--async", help="Do not wait for its answer.")] = False,
    tail: Annotated[bool, typer.Option("--tail", help="Show the end of its log as well (4 KB).")] = False,
    from_branch: FromBranch = False,
    branch: Branch = None,
    user: User = None,
) -> None:
    """Call a function as a stage serves it: through the stage's alias.

    The answer is printed as it comes (in a terminal laid out), everything else on standard error. Exit code 1 if the function
    failed. It is called once, and waited for as long as a function may run.

    Needs lambda:InvokeFunction of your own.
    """
    from stagekeeper.aws.clock import SystemClock
    from stagekeeper.cli import invoking
    from stagekeeper.cli.served import alias_of, known_stage
    from stagekeeper.domain.model import LogicalName

    if payload is not None and payload_file is not None:
        raise typer.BadParameter("--payload and --payload-file both say what it is called with: say one of them.")
    if asynchronous and tail:
        raise typer.BadParameter("--tail shows what was logged until the answer, and --async does not wait for it.")
    body = invoking.payload_of(payload, payload_file, sys.stdin.buffer)
    name = session.service(service)
    of = _stage(session, StageAsk(stage, from_branch, branch, user))
    arn, _ = alias_of(known_stage(session.store, name, of), name, function)
    call = invoking.Call(LogicalName(function), arn, of, body, waits=not asynchronous)
    try:
        answer = invoking.invoke(invoking.invoking_client(), call, SystemClock())
    except KeyboardInterrupt:
        raise CommandFailed(
            f"Left {function} of stage {of}: if the call had reached it, it runs to its end.",
            code="Detached",
            exit_code=Exit.DETACHED,
        ) from None
    session.show(invoking.as_json(call, answer, tail=tail), lambda console: invoking.show(answer, console))
    sys.stdout.flush()
    logged = invoking.tail_of(answer) if tail else None
    if logged is not None:
        session.note(logged)
    logs = session.again("logs", "--stage", call.stage, "--function", call.function)
    session.note(invoking.verdict(call, answer, logs))
    if answer.function_error is not None:
        raise typer.Exit(int(Exit.FAILED))


def outputs(
    session: Session,
    stage: CalledStage = None,
    service: ServiceOption = None,
    from_branch: FromBranch = False,
    branch: Branch = None,
    user: User = None,
) -> None:
    """Show a stage's outputs and addresses: what its stack and the service's say, and where its APIs, URLs and queues are.

    Needs cloudformation:DescribeStacks and cloudformation:ListStackResources on the service's stacks of your own, and
    lambda:GetFunctionUrlConfig for function URLs.
    """
    name = session.service(service)
    of = _stage(session, StageAsk(stage, from_branch, branch, user))
    import boto3

    from stagekeeper.cli import outputs as view
    from stagekeeper.cli.connection import is_embedded
    from stagekeeper.cli.served import known_stage

    known_stage(session.store, name, of)
    client = boto3.client("cloudformation")
    endpoint = client.meta.endpoint_url
    hosts = view.Hosts(session.plane.region, endpoint if is_embedded(endpoint) else None)
    found = view.read(client, lambda: boto3.client("lambda"), name, of, session.store.stacks(name), hosts)
    session.show(view.as_json(found), lambda console: view.show(found, console))


def open_page(
    session: Session,
    what: Annotated[Page, typer.Argument(metavar="WHAT", help="stage, operation, function, service, machine, table or stack.")],
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="The stage's name, the operation's id, or the function's logical name.",
            autocompletion=completion.pages,
        ),
    ] = None,
    stage: StageOption = None,
    service: ServiceOption = None,
    only_print: Annotated[bool, typer.Option("--print", help="Do not open a browser.")] = False,
) -> None:
    """Print a link to the page of the AWS console, and open it in a browser (in a terminal).

    stage NAME: its stack, or the aliases of its functions. operation ID: its execution. function NAME: the function, or with
    --stage its alias. service: its stack, or its functions. machine, table, stack: Stagekeeper's own.
    """
    import webbrowser

    from stagekeeper.cli import opening
    from stagekeeper.cli.connection import is_embedded
    from stagekeeper.cli.consoles import Link
    from stagekeeper.domain.model import StageName

    if (name is not None) != (what in _NAMED):
        raise typer.BadParameter(f"Which {what}? Name it." if name is None else f"There is one {what} here: it takes no name.")
    session.connect(local="local" in (stage, name if what is Page.STAGE else None))
    import boto3

    endpoint = boto3.client("cloudformation").meta.endpoint_url
    console = opening.console_of(session.plane, embedded=is_embedded(endpoint))
    plane, named = session.plane, name or ""
    match what:
        case Page.STAGE:
            links = opening.stage_links(console, session.store, session.service(service), StageName(named))
        case Page.SERVICE:
            links = opening.service_links(console, session.store, session.service(service))
        case Page.FUNCTION:
            links = opening.function_links(console, session.store, session.service(service), named, stage)
        case Page.OPERATION:
            links = [Link(f"operation {named}", console.execution(plane.execution_arn(named)))]
        case Page.MACHINE:
            links = [Link("the state machine", console.state_machine(plane.machine_arn))]
        case Page.TABLE:
            links = [Link("the state table", console.table(plane.table))]
        case Page.STACK:
            links = [Link(f"stack {plane.stack}", console.stack(plane.stack_id or plane.stack))]
    browse = webbrowser.open if sys.stdout.isatty() and not only_print else None
    session.show(opening.as_json(links), lambda console: opening.show(links, console, browse))


def _moment(option: str, text: str, now: float) -> float:
    from stagekeeper.cli.moments import moment

    try:
        return moment(text, now)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _stage(session: Session, ask: StageAsk) -> StageName:
    """The stage that is meant. A named one needs no look at the checkout, which can take seconds."""
    from stagekeeper.domain.branches import LOCAL
    from stagekeeper.domain.model import StageName

    if ask.stage is not None:
        session.connect(local=ask.stage == LOCAL)
        return StageName(ask.stage)
    from stagekeeper.cli.chosen import chosen_stage, facts

    chosen = chosen_stage(session, ask, facts(session, ask), named_in_ci=False)
    session.note(f"Stage {chosen.name}: {chosen.why}.")
    return chosen.name
