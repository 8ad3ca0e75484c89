"""How an operation ended, for whoever waited for it: the execution's own output as JSON, or a few lines for people.

Every fact is in the words; signs and colours only help. Must not know how the end was come by.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, assert_never

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from stagekeeper.cli.changes import changes_table, size, swept_table
from stagekeeper.cli.endings import Exit, exit_of
from stagekeeper.cli.paper import clean, counted, lay, named, table
from stagekeeper.cli.progress import Ended, Lost, Subject
from stagekeeper.cli.refused import on_the_command_line, unsaid, with_files
from stagekeeper.cli.session import Session
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.record import Failed, Succeeded
from stagekeeper.domain.refusal import Code

#: What ``--json`` has as the error of an operation that ended without one of the control plane's codes.
NO_OUTCOME = "NoOutcome"

#: What the exit code says.
MEANS = {
    Exit.FAILED: "nothing is known of an outcome",
    Exit.REFUSED: "refused, nothing was changed",
    Exit.COMPENSATED: "it failed midway and everything was put back",
    Exit.NEEDS_ATTENTION: "something is not where it should be",
    Exit.DRIFTED: "aliases are not where the record says",
    Exit.LOCKED: "others were at work for too long, nothing was changed",
    Exit.NO_OUTCOME: "it was stopped, and nobody has ended it",
}

_VERDICTS = {"succeeded": ("Succeeded", "green"), "planned": ("Planned", "cyan"), "unchanged": ("Unchanged", "green")}

#: The members of an output in the order in which people read them; the record keeps none.
_ORDER = ("outcome", "operation_id", "operation", "service", "stage", "release", "previous_release")


def show(session: Session, ended: Ended, subject: Subject, files: Mapping[str, str] = MappingProxyType({})) -> Exit:
    """Show the end of an operation; the exit code that says it in short. What went wrong is told on stderr.

    ``files`` are those of this machine by the addresses in S3 that were made of them.
    """
    code = exit_code(ended)
    if session.as_json:
        session.show(answer(ended, subject), lambda _: None)
        return code
    match ended:
        case Succeeded(output=output):
            lay(session.console, lambda _: succeeded(output, ascii_only=_ascii_only(session.console)))
            _warn(output.get("warnings", ()))
        case Failed() | Lost():
            sys.stdout.flush()
            errors = Console(stderr=True)
            lay(errors, lambda _: failed(ended, subject, code, files, ascii_only=_ascii_only(errors)))
            _warn(ended.cause.get("warnings", ()) if isinstance(ended, Failed) else ())
        case _:
            assert_never(ended)
    return code


def exit_code(ended: Ended) -> Exit:
    match ended:
        case Succeeded():
            return Exit.DONE
        case Failed(error=error):
            # What Step Functions itself says is no refusal: nobody of ours has decided anything.
            return exit_of(error) if error in set(Code) else Exit.FAILED
        case Lost():
            return Exit.NO_OUTCOME
    assert_never(ended)


def answer(ended: Ended, subject: Subject) -> dict[str, Any]:
    """As one JSON object."""
    match ended:
        case Succeeded(output=output):
            whole = {"operation_id": subject.operation_id, **output}
            first = {name: whole[name] for name in _ORDER if name in whole}
            return first | {name: whole[name] for name in sorted(whole) if name not in first}
        case Failed(error=error, cause=cause):
            return {"error": error, "operation_id": subject.operation_id, **cause}
        case Lost():
            said = {"error": NO_OUTCOME, "operation_id": subject.operation_id, "message": _lost(ended, subject)}
            return {**said, "status": ended.status, "blockers": [], "warnings": []}
    assert_never(ended)


# What went well.


def succeeded(output: Mapping[str, Any], *, ascii_only: bool) -> RenderableType:
    word, colour = _VERDICTS[output["outcome"]]
    planned = output["outcome"] == "planned"
    arrow = "->" if ascii_only else "\N{RIGHTWARDS ARROW}"
    verdict = Text.assemble((_signed(word, "\N{HEAVY CHECK MARK}", ascii_only), f"bold {colour}"), ": ", _what(output, arrow))
    parts: list[RenderableType] = [verdict]
    sweep = output.get("sweep", {})
    deleted, kept = sweep.get("deleted", []), sweep.get("kept", [])
    # Which versions go is told below, with their sizes.
    changes = [change for change in output["changes"] if change["action"] != "delete_version" or not deleted]
    nothing = not (changes or deleted)
    if planned and output["operation"] != OperationKind.RECOVER.value:
        parts.append(Text("Nothing was changed, and nothing would be." if nothing else PLANNED))
    tables: list[RenderableType] = []
    if changes:
        configures = output["operation"] == OperationKind.CONFIGURE.value
        tables.append(_settings(changes) if configures else changes_table(changes, arrow, planned=planned))
    for title, entries, count in (
        ("would go" if planned else "deleted", deleted, output.get("deleted_count", 0)),
        ("would stay" if planned else "kept", kept, output.get("kept_count", 0)),
    ):
        if entries:
            bytes_shown = sum(entry["bytes"] for entry in entries)
            least = "at least " if count > len(entries) else ""
            heading = Text(f"{counted(count, 'version')} {title}, {least}{size(bytes_shown)}", style="bold")
            tables.append(Group(heading, swept_table(entries)))
    tables += [told for told in (_recovered(output), _stages(output)) if told is not None]
    for each in tables:
        parts += [Text(), each]
    notes = [*_notes(output, deleted, kept), f"Operation {output['operation_id']}"]
    if tables:
        parts.append(Text())
    parts += [Text(note, style="dim", overflow="fold") for note in notes]
    return Group(*parts)


PLANNED = "Nothing was changed. This is what would happen:"


def _what(output: Mapping[str, Any], arrow: str) -> str:
    """What was done to what, and from which release to which."""
    operation, service, stage = output["operation"], output["service"], output["stage"]
    whose = "all services" if service is None else str(service)
    what = f"{operation} of {whose}" if stage is None else f"{operation} of {whose}, stage {stage}"
    before, after = output["previous_release"], output["release"]
    match operation:
        case OperationKind.VERIFY.value:
            return f"{what}: AWS agrees with the record"
        case OperationKind.RECOVER.value:
            return f"{what}: {counted(len(output.get('recovered', [])), 'dead operation')}"
        case OperationKind.TEARDOWN.value:
            return f"{what}: {named(before)} {arrow} nothing" if stage is not None and before is not None else what
    if after is None:
        return what
    if before == after or (before is None and stage is None):
        return f"{what}: {named(after)}"
    return f"{what}: {named(after)}, a new stage" if before is None else f"{what}: {named(before)} {arrow} {named(after)}"


def _settings(changes: Sequence[Mapping[str, Any]]) -> RenderableType:
    """What is set, a line each: there is one stage and no version."""
    return Text("\n".join(clean(change["reason"]) for change in changes))


def _recovered(output: Mapping[str, Any]) -> RenderableType | None:
    found = output.get("recovered", [])
    if not found:
        return None
    laid = table("operation", "service", "stage", "what became of it")
    for each in found:
        what = f"{each['operation']} {each['operation_id']}"
        laid.add_row(clean(what), each["service"] or "-", each["stage"] or "-", clean(each["reason"]))
    return laid


def _stages(output: Mapping[str, Any]) -> RenderableType | None:
    found = output.get("stages", [])
    if not found:
        return None
    laid = table("stage", "serves", "")
    for each in found:
        owner = each["observed"]
        laid.add_row(each["stage"], named(each["release"]), "" if owner is None else f"observed: stack {owner} owns its aliases")
    return laid


def _notes(output: Mapping[str, Any], deleted: Sequence[Any], kept: Sequence[Any]) -> Iterable[str]:
    storage = output.get("storage")
    if storage is not None:
        after = "" if storage["after_bytes"] is None else f", {size(storage['after_bytes'])} now"
        yield f"Code in this Region: {size(storage['before_bytes'])} before{after}, of {size(storage['limit_bytes'])}"
    lists = (("changes", output["changes"]), ("deleted", deleted), ("kept", kept))
    cut = [name for name, entries in lists if output.get(f"{name}_count", 0) > len(entries)]
    report = output.get("report")
    if cut:
        where = "" if report is None else f"; the whole report is s3://{report['s3_bucket']}/{report['s3_key']}"
        yield f"Not all of {', '.join(cut)} is shown{where}"


# What did not.


def failed(
    ended: Failed | Lost, subject: Subject, code: Exit, files: Mapping[str, str] = MappingProxyType({}), *, ascii_only: bool
) -> RenderableType:
    match ended:
        case Failed(error=error, cause=cause):
            word, message = error, str(cause.get("message", ""))
            blockers = list(unsaid((str(each) for each in cause.get("blockers", [])), message))
        case Lost(status=status):
            word, message, blockers = status, _lost(ended, subject), []
    sign = _signed(word, "\N{HEAVY BALLOT X}", ascii_only)
    parts: list[RenderableType] = [
        Text.assemble((sign, "bold red"), ": ", about(subject)),
        Text(clean(with_files(message, files))),
    ]
    if blockers:
        listed = Table.grid(padding=(0, 1))
        listed.add_column(min_width=3, justify="right")
        listed.add_column(overflow="fold")
        for blocker in blockers:
            listed.add_row("-", clean(blocker))
        parts.append(listed)
    advice = on_the_command_line(message, subject.kind)
    if advice is not None:
        parts.append(Text(clean(advice)))
    ending = f"Operation {subject.operation_id}. Exit code {code.value}: {MEANS[code]}."
    return Group(*parts, Text(ending, style="dim", overflow="fold"))


def _dry(subject: Subject) -> str:
    """What comes before the operation's name where it is only looked what it would do."""
    if not subject.dry_run or subject.kind is None:
        return ""
    return f"plan of {'an' if subject.kind.value[0] in 'aeiou' else 'a'} "


def about(subject: Subject) -> str:
    """What was to be done to what, as far as it is known."""
    if subject.kind is None:
        return f"operation {subject.operation_id}"
    whose = "all services" if subject.service is None else str(subject.service)
    return f"{_dry(subject)}{subject.kind} of {whose}" + ("" if subject.stage is None else f", stage {subject.stage}")


def _lost(lost: Lost, subject: Subject) -> str:
    """What is known of an operation that ended without an outcome, and what to do now."""
    why = "" if lost.why is None else f" ({clean(lost.why)})"
    how = "Its execution is not there any more" if lost.status == "GONE" else f"Its execution ended as {lost.status}{why}"
    if subject.dry_run or subject.kind is OperationKind.VERIFY:
        return f"{how}. It changes nothing: start it again."
    if subject.kind is OperationKind.RECOVER:
        return f"{how}. Start it again."
    if not lost.begun:
        return f"{how} before anything was begun: nothing was changed. Start it again."
    return (
        f"{how}, and nobody has recovered the operation since. Aliases may be moved, and its lock may be held. "
        f"`stagekeeper locks` shows who holds what; `stagekeeper recover {subject.operation_id}` has it recovered."
    )


def _warn(warnings: Iterable[Any]) -> None:
    sys.stdout.flush()
    errors = Console(stderr=True)
    for warning in warnings:
        text = Text.assemble(("Warning: ", "bold yellow"), clean(str(warning)))
        lay(errors, lambda _, text=text: text)  # type: ignore[misc]  # mypy infers no default of a lambda's parameter


def _signed(word: str, sign: str, ascii_only: bool) -> str:
    return word if ascii_only else f"{sign} {word}"


def _ascii_only(console: Console) -> bool:
    return console.options.ascii_only
