"""Following an operation in front of people: a live picture of its steps in a terminal, a line for each change elsewhere.

Whoever is interrupted leaves the operation alone and is told how to come back. Must not know how AWS is asked.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn, Protocol

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stagekeeper.aws.errors import CallFailed, Unanswered
from stagekeeper.cli import outcome
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.executing import begin, executions_of, subject_of
from stagekeeper.cli.paper import clean, local
from stagekeeper.cli.progress import Course, Lost, Mark, Shown, Subject, joined, span, started, steps, told, went_on
from stagekeeper.cli.session import Session
from stagekeeper.cli.watching import watch
from stagekeeper.cli.words import spoken
from stagekeeper.domain.model import OperationId

GOES_ON = "Detached: the operation goes on"

#: How often in a second the picture is drawn.
_DRAWN = 10


@dataclass(frozen=True, slots=True)
class Beside:
    """What only whoever began an operation knows. ``afterwards`` is told people if it went well; ``files`` are those of this
    machine, by the addresses in S3 that were made of them."""

    afterwards: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)


_NOTHING = Beside()


def run(session: Session, operation_id: str, request: Mapping[str, Any], *, wait: bool, beside: Beside = _NOTHING) -> None:
    """Start an operation and follow it to its end, or (not ``wait``) say how to come back to it.

    Raises typer.Exit with the exit code that says how it ended.
    """
    subject, executions = subject_of(operation_id, request), executions_of(session)
    session.note(f"{session.place}:")
    with _interruptions_leave_it(session, operation_id, "Interrupted while it was being started: it may have begun") as leaving:
        try:
            earlier = begin(executions, operation_id, request)
        except Unanswered as error:
            raise _may_have_begun(session, operation_id, error) from error
        leaving.what = GOES_ON
        if earlier is not None and earlier.stopped_at is not None and not isinstance(earlier.ended, Lost):
            session.note(f"Done before, at {local(earlier.stopped_at)}:")
        if wait:
            follow(session, subject, fresh=earlier is None, beside=beside)
        session.show(_named(session, operation_id), lambda console: _started(session, subject, console))


def come_back(session: Session, operation_id: str) -> NoReturn:
    """Follow an operation that was started before; see ``run``."""
    with _interruptions_leave_it(session, operation_id, GOES_ON):
        follow(session, Subject(OperationId(operation_id)), fresh=False)
    raise AssertionError("following ends in an exit")


def follow(session: Session, subject: Subject, *, fresh: bool, beside: Beside = _NOTHING) -> NoReturn:
    """Show an operation until it has ended, and then how. ``fresh``: it was started just now. Raises typer.Exit."""
    course = started(subject, time.time()) if fresh else joined(subject, time.time())
    view = _view(session)
    try:
        with view:
            for look in watch(session, subject, young=fresh):
                course = went_on(course, look)
                if not (look.ended is not None and not view.begun and not fresh):
                    view.show(course)
    except CallFailed as error:
        back = session.again("follow", subject.operation_id)
        raise CommandFailed(f"{spoken(error)} The operation goes on all the same; come back to it with `{back}`.") from error
    ended = course.last.ended
    if ended is None:
        raise AssertionError("whoever watches an operation does so until it has ended")
    code = outcome.show(session, ended, course.subject, beside.files)
    if beside.afterwards is not None and code is Exit.DONE:
        session.note(beside.afterwards)
    raise typer.Exit(int(code))


def _named(session: Session, operation_id: str) -> dict[str, Any]:
    return {"operation_id": operation_id, "execution_arn": session.plane.execution_arn(operation_id)}


def _started(session: Session, subject: Subject, console: Console) -> None:
    console.print(f"Started {title(subject)}: operation {subject.operation_id}", highlight=False, markup=False, soft_wrap=True)
    back = session.again("follow", subject.operation_id)
    console.print(f"Follow it with: {back}", highlight=False, markup=False, soft_wrap=True)


@dataclass(slots=True)
class _Leaving:
    """What is to be said of the operation by whoever leaves now."""

    what: str


@contextmanager
def _interruptions_leave_it(session: Session, operation_id: str, what: str) -> Iterator[_Leaving]:
    """Within, Ctrl-C and SIGTERM end the command and not the operation: how to come back is said on stderr."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    leaving = _Leaving(what)
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield leaving
    except KeyboardInterrupt:
        _say_how_to_come_back(session, operation_id, leaving.what)
        raise typer.Exit(int(Exit.DETACHED)) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_how_to_come_back(session: Session, operation_id: str, what: str) -> None:
    back, stop = session.again("follow", operation_id), session.again("stop", operation_id)
    sys.stdout.flush()
    if session.as_json:
        said = {"error": "Detached", "message": f"{what}. Come back with `{back}`.", "blockers": []}
        sys.stdout.write(json.dumps({**said, **_named(session, operation_id)}, indent=2) + "\n")
    else:
        sys.stderr.write(f"\n{what}.\n  to come back: {back}\n  to stop it:   {stop}\n")


def _may_have_begun(session: Session, operation_id: str, error: Unanswered) -> CommandFailed:
    back = session.again("follow", operation_id)
    return CommandFailed(
        f"{spoken(error)} The operation may have begun. Before anything is tried again, see whether it did: `{back}`.",
        blockers=[operation_id],
    )


# Views.


class View(Protocol):
    """``begun``: something was shown."""

    begun: bool

    def __enter__(self) -> object: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, course: Course) -> None: ...


def _view(session: Session) -> View:
    if session.as_json:
        return Silent()
    console = session.console
    return Picture(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)


class Silent:
    """For scripts, which get the end alone."""

    begun = False

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, course: Course) -> None:
        del course


class Lines:
    """A line for each change, with the time since following began: for logs, pipes and terminals that cannot move up."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.time) -> None:
        self.begun = False
        self._console, self._clock = console, clock
        self._since = clock()
        self._said: set[str] = set()

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, course: Course) -> None:
        self.begun = True
        if course.subject.kind is not None:
            self._say("title", f"{title(course.subject)}: operation {course.subject.operation_id}")
        for step in steps(course, self._clock()):
            if step.mark is not Mark.AHEAD:
                self._say(step.name, self._timed(step.name))
            if step.mark is Mark.FAILED or step.detail is not None:
                topic = "failed" if step.mark is Mark.FAILED else step.topic or step.detail
                self._say(f"{step.name} {topic}", self._timed(f"{step.name}: {_detail(step)}"))
        for line in told(course):
            self._say(line, self._timed(line))

    def _timed(self, text: str) -> str:
        return f"{span(self._clock() - self._since):>12}  {text}"

    def _say(self, key: str, line: str) -> None:
        """Each thing once."""
        if key not in self._said:
            self._said.add(key)
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            self._console.file.flush()


class Picture:
    """The steps as they stand, drawn over and over; the last picture stays."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.time) -> None:
        self.begun = False
        self._clock, self._ascii = clock, console.options.ascii_only
        self._course: Course | None = None
        self._spinner = Spinner("line" if self._ascii else "dots", style="cyan")
        self._live = Live(get_renderable=self.draw, console=console, refresh_per_second=_DRAWN, auto_refresh=True)
        self._console = console

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        if self.begun:
            self._live.stop()

    def show(self, course: Course) -> None:
        self._course = course
        if not self.begun:
            self.begun = True
            self._live.start()
        self._live.refresh()

    def draw(self) -> RenderableType:
        course = self._course
        if course is None:
            return Text()
        now = self._clock()
        rows = Table.grid(padding=(0, 1))
        rows.add_column(width=1)
        rows.add_column(no_wrap=True)
        rows.add_column(no_wrap=True, justify="right", min_width=8)
        rows.add_column(overflow="fold")
        for step in steps(course, now):
            seconds = "" if step.seconds is None else span(step.seconds)
            rows.add_row(
                self._sign(step), Text(step.name, style=_STYLES[step.mark]), Text(seconds, style="dim"), Text(_detail(step))
            )
        notes = [Text(line, style="yellow") for line in told(course)]
        if course.last.ended is None:
            notes.append(Text("Ctrl-C leaves it running.", style="dim"))
        heading = Text.assemble((title(course.subject), "bold"), "  ", (course.subject.operation_id, "dim"), overflow="fold")
        return Group(heading, rows, *notes, *([Text()] if course.last.ended is not None else []))

    def _sign(self, step: Shown) -> RenderableType:
        if step.mark is Mark.AT_IT:
            return self._spinner.render(self._console.get_time())
        sign, plain, style = _SIGNS[step.mark]
        return Text(plain if self._ascii else sign, style=style)


_SIGNS = {
    Mark.DONE: ("\N{HEAVY CHECK MARK}", "+", "green"),
    Mark.FAILED: ("\N{HEAVY BALLOT X}", "x", "red"),
    Mark.AHEAD: ("\N{MIDDLE DOT}", ".", "dim"),
}
_STYLES = {Mark.DONE: "", Mark.FAILED: "red", Mark.AHEAD: "dim", Mark.AT_IT: "bold"}


def _detail(step: Shown) -> str:
    """What is said of a step: of a failed one at least that."""
    if step.mark is Mark.FAILED:
        return "failed" if step.detail is None else f"failed: {clean(step.detail)}"
    return "" if step.detail is None else clean(step.detail)


def title(subject: Subject) -> str:
    """What is done to what, as far as it is known."""
    return "operation" if subject.kind is None else outcome.about(subject)
