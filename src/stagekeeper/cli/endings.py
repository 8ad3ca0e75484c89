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


@contextmanager
def told(*, as_json: bool) -> Iterator[None]:
    """Within, what people can do something about becomes a sentence (or a JSON object) and an exit code; a defect stays one."""
    try:
        yield
    except CommandFailed as failure:
        _tell(failure, as_json=as_json)
        raise typer.Exit(int(failure.exit_code)) from None
    except KeyboardInterrupt:
        # Whoever has started an operation by then says so, and never lets this through.
        _tell(CommandFailed("Interrupted; nothing was started.", code="Interrupted"), as_json=as_json)
        raise typer.Exit(int(Exit.DETACHED)) from None
    except Exception as error:
        sentence = _sentence_of(error)
        if sentence is None:
            raise
        _tell(CommandFailed(sentence), as_json=as_json)
        raise typer.Exit(int(Exit.FAILED)) from None


def _tell(failure: CommandFailed, *, as_json: bool) -> None:
    if as_json:
        said = {"error": failure.code, "message": str(failure), "blockers": list(failure.blockers)}
        sys.stdout.write(json.dumps(said, indent=2) + "\n")
        return
    from rich.console import Console

    errors = Console(stderr=True)
    errors.print(str(failure), style="red", highlight=False, markup=False, soft_wrap=not errors.is_terminal)
    # A few are in the sentence already.
    for blocker in (each for each in failure.blockers if each not in str(failure)):
        errors.print(f"  {blocker}", highlight=False, markup=False, soft_wrap=not errors.is_terminal)


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
        case _:
            return None
