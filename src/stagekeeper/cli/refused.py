"""What the control plane says of a request's fields, in the words of the command line: which option says that.

Pure. A message of the control plane is for whoever wrote the request; at a command line nobody did.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping

from stagekeeper.domain.operation import OperationKind

_DEPLOY, _RESTORE = (OperationKind.DEPLOY,), (OperationKind.ROLLBACK, OperationKind.RESET)

#: What a message may advise, the operations whose commands have an option for it, and the option.
_ADVICE: tuple[tuple[re.Pattern[str], tuple[OperationKind, ...], Callable[[re.Match[str]], str]], ...] = (
    (
        re.compile(r"\bconfirm: ([A-Za-z0-9_-]+)"),
        (OperationKind.TEARDOWN,),
        lambda found: f"--confirm {found[1]}",
    ),
    (re.compile(r"\bon_drift: overwrite"), _DEPLOY + _RESTORE, lambda _: "--on-drift overwrite"),
    (
        re.compile(r"\baccept_unqualified_callers\b"),
        (*_DEPLOY, OperationKind.ADOPT),
        lambda _: "--accept-unqualified-callers",
    ),
    (re.compile(r"\ballow_missing\b"), (*_RESTORE, OperationKind.CLONE), lambda _: "--allow-missing"),
    (
        re.compile(r"\ballow_shared: \[([^\]]+)\]"),
        _DEPLOY,
        lambda found: " ".join(f"--allow-shared {shlex.quote(name.strip())}" for name in found[1].split(",")),
    ),
    (re.compile(r"\block_wait_seconds\b"), tuple(OperationKind), lambda _: "--lock-wait"),
)


def on_the_command_line(message: str, kind: OperationKind | None) -> str | None:
    """``On the command line: --confirm prod``; None where the message advises nothing that the command has an option for."""
    options = [option(found) for pattern, kinds, option in _ADVICE if kind in kinds and (found := pattern.search(message))]
    return f"On the command line: {' '.join(options)}" if options else None


def with_files(message: str, files: Mapping[str, str]) -> str:
    """The message with the file on this machine beside each address that was made of one; ``files`` by address."""
    for address, file in files.items():
        message = message.replace(address, f"{address} (that is {file})", 1)
    return message


def unsaid(blockers: Iterable[str], message: str) -> Iterator[str]:
    """The blockers that the message does not name already."""
    for blocker in blockers:
        if re.search(rf"(?<![\w-]){re.escape(blocker)}(?![\w-])", message) is None:
            yield blocker
