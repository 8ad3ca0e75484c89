"""`stagekeeper open`: which pages of the AWS console show a thing, from the record; and the browser.

What the links look like is consoles.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stagekeeper.cli.consoles import AwsConsole, Link
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.served import alias_of, known_stage
from stagekeeper.domain.model import FunctionArn, LogicalName, ServiceName, StageName
from stagekeeper.domain.refusal import no_service

if TYPE_CHECKING:
    from rich.console import Console

    from stagekeeper.aws.store import Store
    from stagekeeper.cli.session import Plane


def console_of(plane: Plane, *, embedded: bool) -> AwsConsole:
    """The console of the account that Stagekeeper is in. Raises CommandFailed where there is none."""
    if embedded:
        raise _no_console("The embedded AWS has no console. `stagekeeper status`, `history` and `logs` show what is there.")
    console = AwsConsole.of(plane.machine_arn)
    if console is None:
        raise _no_console(f"Where the console of the partition of {plane.machine_arn} is, is not known here.")
    return console


def _no_console(sentence: str) -> CommandFailed:
    return CommandFailed(sentence, code="NoConsole", exit_code=Exit.REFUSED)


def stage_links(console: AwsConsole, store: Store, service: ServiceName, name: StageName) -> list[Link]:
    """The stage's stack; for a service without a template its aliases, one on each function."""
    stage = known_stage(store, service, name)
    stacks = [each for each in store.stacks(service) if each.stage == name and each.seen.stack_id]
    if stacks:
        return [Link(f"stack {each.name} of stage {name}", console.stack(each.seen.stack_id or each.name)) for each in stacks]
    named = sorted((alias.function, arn) for arn, alias in stage.aliases.items())
    return [Link(f"{function} of stage {name}", console.function(arn, name)) for function, arn in named]


def service_links(console: AwsConsole, store: Store, service: ServiceName) -> list[Link]:
    """The stack that all stages share; without a template the functions of all stages. Raises CommandFailed without either."""
    stacks = [each for each in store.stacks(service) if each.stage is None and each.seen.stack_id]
    if stacks:
        return [
            Link(f"stack {each.name} of service {service}", console.stack(each.seen.stack_id or each.name)) for each in stacks
        ]
    functions = _functions(store, service)
    if not functions and store.service(service) is None:
        refusal = no_service(service)
        raise CommandFailed(refusal.message, code=refusal.code, exit_code=Exit.REFUSED)
    return [Link(f"{function} of service {service}", console.function(arn)) for function, arn in functions]


def function_links(console: AwsConsole, store: Store, service: ServiceName, function: str, stage: str | None) -> list[Link]:
    """A function by its logical name: the alias of a stage, or without a stage the function itself."""
    if stage is not None:
        name = StageName(stage)
        arn, _ = alias_of(known_stage(store, service, name), service, function)
        return [Link(f"{function} of stage {stage}", console.function(arn, stage))]
    functions = _functions(store, service)
    found = [Link(f"{function} of service {service}", console.function(arn)) for name, arn in functions if name == function]
    if not found:
        known = ", ".join(dict(functions)) or "none"
        sentence = f"No stage of service {service} has a function {function}. Its functions are {known}."
        raise CommandFailed(sentence, code="FunctionNotFound", exit_code=Exit.REFUSED)
    return found


def _functions(store: Store, service: ServiceName) -> list[tuple[LogicalName, FunctionArn]]:
    return sorted({(alias.function, arn) for stage in store.stages(service) for arn, alias in stage.aliases.items()})


def as_json(links: Sequence[Link]) -> Mapping[str, Any]:
    return {"links": [{"what": link.what, "url": link.url} for link in links]}


def show(links: Sequence[Link], console: Console, browse: Callable[[str], bool] | None) -> None:
    """Each link on a line of its own. ``browse`` opens one in a browser and says whether it could; None: nobody wants that.

    Several are only printed: nobody wants a browser full of pages.
    """
    for link in links:
        if len(links) > 1:
            console.print(f"{link.what}: ", end="", highlight=False, markup=False, soft_wrap=True)
        console.print(link.url, highlight=False, markup=False, soft_wrap=True)
    if browse is not None and len(links) == 1:
        browse(links[0].url)
