"""How a command ends: its exit code, and a sentence where it came to nothing. Must not know what any command does.

Imports nothing heavy: whoever asks for `--help` waits for this module.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum

import typer


class Exit(IntEnum):
    """What a script can tell from the exit code alone. They are documented, so none changes its meaning."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    COMPENSATED = 4
    NEEDS_ATTENTION = 5
    DRIFTED = 6
    LOCKED = 7
    NO_OUTCOME = 8
    DETACHED = 130


#: Of every other code an operation is refused with: nothing was changed.
_EXITS = {
    "Compensated": Exit.COMPENSATED,
    "NeedsAttention": Exit.NEEDS_ATTENTION,
    "Drifted": Exit.DRIFTED,
    "Locked": Exit.LOCKED,
    # An error of Stagekeeper itself says nothing of what was asked for.
    "Internal": Exit.FAILED,
}


def exit_of(code: str) -> Exit:
    """The exit code for an operation that ended without success, by its error code."""
    return _EXITS.get(code, Exit.REFUSED)


#: What a script sees with ``--json`` where the command line itself is wrong.
USAGE = "Usage"

#: typer's own errors of that kind; it gives only those below a name.
UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class CommandFailed(Exception):
    """A command came to nothing; ``str()`` of it is the sentence to show: what, to what, and what to do now.

    ``code`` is what a script sees with ``--json``: one of the control plane's codes where it was the one that refused.
    """

    def __init__(
        self, sentence: str, *, code: str = "CommandFailed", blockers: Sequence[str] = (), exit_code: Exit = Exit.FAILED
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.blockers = tuple(blockers)
        self.exit_code = exit_code

    def as_json(self) -> dict[str, object]:
        return {"error": self.code, "message": str(self), "blockers": list(self.blockers)}


def misuse(sentence: str, blockers: Sequence[str] = ()) -> CommandFailed:
    """The command line itself is wrong: options that do not go together, or a value that can be none."""
    return CommandFailed(sentence, code=USAGE, blockers=blockers, exit_code=Exit.USAGE)


@contextmanager
def usage_told(*, as_json: bool) -> Iterator[None]:
    """Within, what typer says of a command line is a JSON object where one was asked for; else typer shows it by itself."""
    try:
        yield
    except UsageError as error:
        if not as_json:
            raise
        _tell(misuse(error.format_message()), as_json=True)  # type: ignore[attr-defined]  # of typer's UsageError
        raise typer.Exit(int(Exit.USAGE)) from None


@contextmanager
def told(*, as_json: bool) -> Iterator[None]:
    """Within, what people can do something about becomes a sentence (or a JSON object) and an exit code; a defect stays one."""
    try:
        yield
    except KeyboardInterrupt:
        # Whoever has started an operation by then says so, and never lets this through.
        _tell(CommandFailed("Interrupted; nothing was started.", code="Interrupted"), as_json=as_json)
        raise typer.Exit(int(Exit.DETACHED)) from None
    except UsageError:
        raise  # which whoever runs the commands shows
    except Exception as error:
        failure = failure_of(error)
        if failure is None:
            raise
        _tell(failure, as_json=as_json)
        raise typer.Exit(int(failure.exit_code)) from None


def failure_of(error: Exception) -> CommandFailed | None:
    """What people are told of an error; None for a defect of ours."""
    if isinstance(error, CommandFailed):
        return error
    sentence = _sentence_of(error)
    return None if sentence is None else CommandFailed(sentence)


def _tell(failure: CommandFailed, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(failure.as_json(), indent=2) + "\n")
        return
    from rich.console import Console

    from stagekeeper.cli.paper import harmless

    errors = Console(stderr=True)
    errors.print(harmless(str(failure)), style="red", highlight=False, markup=False, soft_wrap=not errors.is_terminal)
    # A few are in the sentence already.
    for blocker in (each for each in failure.blockers if each not in str(failure)):
        errors.print(f"  {harmless(blocker)}", highlight=False, markup=False, soft_wrap=not errors.is_terminal)


def _sentence_of(error: Exception) -> str | None:
    """For what AWS, the record, the embedded AWS and packaging say; None for anything else, which is a defect of ours."""
    from botocore.exceptions import BotoCoreError, ClientError

    from stagekeeper.aws.errors import CallFailed
    from stagekeeper.aws.table import MalformedItem
    from stagekeeper.cli.words import spoken
    from stagekeeper.embedded.errors import EmbeddedError
    from stagekeeper.packaging.errors import PackagingFailed

    match error:
        case CallFailed() | ClientError() | BotoCoreError():
            return spoken(error)
        case MalformedItem():
            return f"The record could not be read: {error}. Update the command line to the version of the control plane."
        case EmbeddedError() | PackagingFailed():
            return str(error)
        case RuntimeError() if "credentials are still expired" in str(error):
            # botocore has no exception of its own for credentials whose process or variables give expired ones.
            return "The AWS credentials have expired. Get new ones and try again."
        case OSError() if not isinstance(error, BrokenPipeError):
            return f"{error.filename or 'The system'}: {error.strerror or error}."
        case _:
            return None
