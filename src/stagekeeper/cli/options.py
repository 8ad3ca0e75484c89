"""The options that every command has, and what hands them to it as a Session. Must not know any command.

Imports nothing heavy: whoever asks for `--help` waits for this module.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer
from typer.core import TyperCommand, TyperGroup

from stagekeeper.cli import completion
from stagekeeper.cli.endings import misuse, told
from stagekeeper.cli.session import Asked, Session
from stagekeeper.domain.model import STAGE_NAME

P = ParamSpec("P")

# typer keeps its parameters' base class to itself.
_Parameter = Any

_WHERE = "Where"

StageOption = Annotated[
    str | None, typer.Option("--stage", "-s", metavar="STAGE", help="The stage.", autocompletion=completion.stages)
]
ServiceOption = Annotated[
    str | None, typer.Option("--service", metavar="SERVICE", help="The service; left out, the project file's.")
]
FromBranch = Annotated[bool, typer.Option("--from-branch", help="The stage of the branch that is checked out, as where CI runs.")]
Branch = Annotated[
    str | None,
    typer.Option("--branch", metavar="BRANCH", help="Instead of the branch that is checked out, or of STAGEKEEPER_BRANCH."),
]
User = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", envvar="STAGEKEEPER_USER", help="Instead of the user name here, or of CI's actor."),
]


@dataclass(frozen=True, slots=True)
class StageAsk:
    """What the options said about the stage that is meant."""

    stage: str | None = None
    from_branch: bool = False
    branch: str | None = None
    user: str | None = None


def _common(
    profile: Annotated[str | None, typer.Option("--profile", help="The AWS profile.", rich_help_panel=_WHERE)] = None,
    region: Annotated[str | None, typer.Option("--region", help="The AWS Region.", rich_help_panel=_WHERE)] = None,
    endpoint_url: Annotated[
        str | None, typer.Option("--endpoint-url", help="Another endpoint than AWS's own.", rich_help_panel=_WHERE)
    ] = None,
    stack: Annotated[
        str | None,
        typer.Option(
            "--stack",
            envvar="STAGEKEEPER_STACK",
            help="The stack that Stagekeeper is deployed as; left out, the project file's, or stagekeeper.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="The embedded AWS that `stagekeeper local start` started.", rich_help_panel=_WHERE)
    ] = False,
    project: Annotated[
        Path | None,
        typer.Option(
            "--project",
            metavar="FILE",
            help="The project file; left out, stagekeeper.yaml here or above.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for scripts.")] = False,
) -> None:
    """The signature that every command's own is extended by."""


_COMMON = inspect.signature(_common, eval_str=True).parameters


def _flags_take_no_value(params: list[_Parameter]) -> list[_Parameter]:
    """typer's help says <bool> of a flag, as if it took one."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


class PlainCommand(TyperCommand):
    """A command whose help shows flags as what they are."""

    def get_params(self, ctx: Any) -> list[_Parameter]:
        return _flags_take_no_value(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """The same for what has commands below it."""

    def get_params(self, ctx: Any) -> list[_Parameter]:
        return _flags_take_no_value(super().get_params(ctx))


def command(
    app: typer.Typer,
    *examples: str,
    name: str | None = None,
    fixed: Mapping[str, Any] | None = None,
    without: Collection[str] = (),
) -> Callable[[Callable[Concatenate[Session, P], None]], Callable[Concatenate[Session, P], None]]:
    """Register a function as a command. Its first parameter is the Session, its others are the command's own options.

    ``examples`` are whole command lines, shown below the help; a test runs each through the parser. ``fixed`` are parameters
    of the function that are no options of this command, ``without`` what all commands take and this one has no use for.
    """

    def register(function: Callable[Concatenate[Session, P], None]) -> Callable[Concatenate[Session, P], None]:
        shown = "\n\n".join(["Examples:" if len(examples) > 1 else "Example:", *(f"  {line}" for line in examples)])
        app.command(name=name, cls=PlainCommand, epilog=shown)(_with_session(function, fixed or {}, without))
        return function

    return register


def _with_session(function: Callable[..., None], fixed: Mapping[str, Any], without: Collection[str]) -> Callable[..., None]:
    common = {option: each for option, each in _COMMON.items() if option not in without}
    own = [each for each in list(inspect.signature(function, eval_str=True).parameters.values())[1:] if each.name not in fixed]

    def run(**given: Any) -> None:
        asked = Asked(**{name: given.pop(name) for name in common})
        with told(as_json=asked.as_json):
            _check(given)
            function(Session(asked), **given, **fixed)

    run.__name__ = function.__name__
    run.__doc__ = flowing(function.__doc__ or "")
    # typer reads this; and __wrapped__, were it there, whose hints it would read instead.
    run.__signature__ = inspect.Signature([*own, *common.values()])  # type: ignore[attr-defined]  # what inspect looks for
    return run


#: Options that name a stage, by their parameters.
_STAGES = {"stage": "--stage", "to_stage": "--to-stage", "like": "--from", "stages": "--stages"}
#: Options that let the stage follow from a branch.
_OF_BRANCH = {"from_branch": "--from-branch", "branch": "--branch"}


def _check(given: Mapping[str, Any]) -> None:
    """What can be said of options whatever the command is. Raises CommandFailed."""
    for name, option in _STAGES.items():
        values = given.get(name) or ()
        for value in [values] if isinstance(values, str) else values:
            if re.fullmatch(STAGE_NAME, value) is None:
                raise misuse(
                    f"{option}: no stage can be called {value!r}. A stage's name has 1 to 63 letters, digits, hyphens and "
                    "underscores, and is no number."
                )
    if given.get("stage") is None:
        return
    for name, option in _OF_BRANCH.items():
        if given.get(name):
            raise misuse(f"--stage and {option} do not go together. Say one of them.")


def flowing(doc: str) -> str:
    """A docstring with one line for each paragraph: typer would break it where the source does, whatever the terminal's width."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in inspect.cleandoc(doc).split("\n\n"))


#: What every command that starts an operation takes beside its own options.
_OPERATION = "Operation"


@dataclass(frozen=True, slots=True)
class How:
    """What the options that every operation has said."""

    reason: str | None = None
    operation_id: str | None = None
    lock_wait: int | None = None
    no_wait: bool = False
    dry_run: bool = False


def _how(
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the ledger.", rich_help_panel=_OPERATION)
    ] = None,
    operation_id: Annotated[
        str | None,
        typer.Option(
            "--operation-id",
            metavar="ID",
            help="The operation's id, for CI. The same id with the same options is the same operation, done once: if it ran "
            "already, how it ended is shown. With other options under an id that was used Step Functions refuses it.",
            rich_help_panel=_OPERATION,
        ),
    ] = None,
    lock_wait: Annotated[
        int | None,
        typer.Option(
            "--lock-wait",
            metavar="SECONDS",
            min=0,
            max=3600,
            help="How long to wait while others are at work; left out, 1800.",
            rich_help_panel=_OPERATION,
        ),
    ] = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Start it, say how to come back to it, and leave.", rich_help_panel=_OPERATION)
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Say what it would do, as `stagekeeper plan` does.", rich_help_panel=_OPERATION),
    ] = False,
) -> None:
    """The signature that every operation's own is extended by."""


_HOW = inspect.signature(_how, eval_str=True).parameters


def operation(
    app: typer.Typer, *examples: str, planned: bool = False
) -> Callable[[Callable[Concatenate[Session, How, P], None]], Callable[Concatenate[Session, How, P], None]]:
    """Register a function as a command that starts an operation: its second parameter is ``How``. ``planned``: as a dry run."""

    def register(function: Callable[Concatenate[Session, How, P], None]) -> Callable[Concatenate[Session, How, P], None]:
        fixed: dict[str, Any] = {"dry_run": True, "no_wait": False} if planned else {}
        session, _, *own = inspect.signature(function, eval_str=True).parameters.values()
        taken = {name: each for name, each in _HOW.items() if name not in fixed}

        def run(at: Session, /, **given: Any) -> None:
            how = How(**{name: given.pop(name) for name in taken}, **fixed)
            call: Callable[..., None] = function
            call(at, how, **given)

        run.__name__ = function.__name__
        doc = inspect.cleandoc(function.__doc__ or "")
        what = f"What `{function.__name__}` would do, without doing it: {doc[:1].lower()}{doc[1:]}"
        run.__doc__ = what if planned else doc
        run.__signature__ = inspect.Signature([session, *own, *taken.values()])  # type: ignore[attr-defined]  # as below
        command(app, *examples)(run)
        return function

    return register
