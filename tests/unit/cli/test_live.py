"""Following an operation in front of people: pictures and lines of its course, and the way back for who leaves."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest
from rich.console import Console

from stagekeeper.cli.live import Lines, Picture, title
from stagekeeper.cli.progress import Course, Look, Lost, Subject, joined, started, went_on
from stagekeeper.cli.session import Asked, Session
from stagekeeper.domain.operation import OperationKind, Phase, Status
from stagekeeper.domain.refusal import Code

from .looking import BROKE, DEPLOY, DONE, NOW, OP, ORDERS, at, course, ended, over, waiting


def looks(*seen: Look, subject: Subject = DEPLOY) -> list[Course]:
    """The course after each look, from before the first one on."""
    courses = [started(subject, 0.0)]
    for look in seen:
        courses.append(went_on(courses[-1], look))
    return courses


class Watch:
    """A clock that shows when the last look was."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def lines(*courses: Course) -> list[str]:
    console, watch = Console(file=io.StringIO(), width=80), Watch()
    view = Lines(console, watch)
    with view:
        for each in courses:
            watch.now = each.last.at
            view.show(each)
    written = console.file
    assert isinstance(written, io.StringIO)
    return written.getvalue().splitlines()


def picture(known: Course, moment: float | None = None, *, width: int = 80, utf8: bool = True, colour: bool = False) -> str:
    raw = io.TextIOWrapper(io.BytesIO(), "utf-8" if utf8 else "ascii")
    console = Console(
        file=raw, width=width, force_terminal=True, color_system="standard" if colour else None, legacy_windows=False
    )
    view = Picture(console, lambda: known.last.at if moment is None else moment)
    view._course = known
    with console.capture() as captured:
        console.print(view.draw())
    return captured.get()


def drawn(known: Course, moment: float | None = None) -> list[str]:
    return [" ".join(line.split()) for line in picture(known, moment).splitlines()]


SPINNER = re.compile("[\u2800-\u28ff]")


# Lines.


def test_there_is_a_line_for_each_change_and_none_for_a_look_that_shows_none() -> None:
    seen = (
        Look(0.5, DEPLOY, NOW),
        Look(1.0, DEPLOY, NOW),
        Look(62.0, DEPLOY, at(Phase.MOVE)),
        Look(70.0, DEPLOY, over(Status.COMMITTED)),
    )

    assert lines(*looks(*seen)) == [
        f"deploy of orders, stage dev: operation {OP}",
        "       0.0 s  Accept",
        "       0.5 s  Lock",
        "   1 min 2 s  Plan",
        "   1 min 2 s  Publish",
        "   1 min 2 s  Move",
    ]


def test_a_wait_is_one_line_for_each_that_is_waited_for() -> None:
    one, other = waiting(("deploy", "a", "jane"), since=2.0), waiting(("reset", "b", None), since=8.0)
    seen = [Look(moment, DEPLOY, NOW, one) for moment in (4.0, 5.0, 6.0)] + [Look(9.0, DEPLOY, NOW, other)]

    assert [line[14:] for line in lines(*looks(*seen)) if "waits" in line] == [
        "Lock: waits for deploy a of jane, since 2.0 s; gives up in 29 min 56 s",
        "Lock: waits for reset b, since 1.0 s; gives up in 29 min 51 s",
    ]


def test_what_failed_and_what_is_put_back_are_lines_as_well() -> None:
    failing = at(Phase.MOVE, Status.COMPENSATING, failure=BROKE)
    back = over(Status.COMPENSATED, failure=BROKE)

    told = lines(*looks(Look(3.0, DEPLOY, failing), Look(9.0, DEPLOY, back, ended=ended(Code.COMPENSATED))))

    assert [line[14:] for line in told[-3:]] == ["Move", "Move: failed: Version 13 came out Failed.", "Put back"]


def test_trouble_and_a_recovery_are_told_once() -> None:
    trouble = [Look(moment, DEPLOY, trouble="AWS does not answer.") for moment in (1.0, 2.0)]
    recovered = [Look(moment, DEPLOY, at(Phase.MOVE, execution="recover-x-1")) for moment in (3.0, 4.0)]

    told = "\n".join(lines(*looks(*trouble, *recovered)))

    assert told.count("AWS does not answer.") == 1
    assert told.count("recover-x-1 recovers it") == 1


def test_what_somebody_comes_back_to_has_its_title_when_it_is_known() -> None:
    first = joined(Subject(OP), 0.0)
    told = lines(first, went_on(first, Look(1.0, DEPLOY, at(Phase.MOVE))))

    assert [line for line in told if OP in line] == [f"deploy of orders, stage dev: operation {OP}"]


def test_lines_are_never_coloured_and_never_broken() -> None:
    look = Look(3.0, DEPLOY, NOW, waiting(("deploy", "x" * 80, "\x1b[31mjane")))

    told = lines(*looks(look))

    assert "\x1b" not in "\n".join(told)
    assert any("x" * 80 in line and "gives up" in line for line in told)


# The picture.


def test_the_picture_has_every_step_with_its_seconds() -> None:
    known = course((0.5, NOW), (3.0, at(Phase.PUBLISH)))

    told = drawn(known, 4.25)

    assert told == [
        f"deploy of orders, stage dev {OP}",
        "✔ Accept 0.5 s",
        "✔ Lock 2.5 s",
        "✔ Plan",
        SPINNER.search(told[4])[0] + " Publish 1.2 s",  # type: ignore[index]  # it is there
        "· Move",
        "· Commit",
        "Ctrl-C leaves it running.",
    ]


def test_the_last_picture_stays_and_says_no_more_how_to_leave() -> None:
    told = drawn(course((0.5, NOW), (3.0, over(Status.COMMITTED), DONE)))

    assert [line for line in told if line][1:] == ["✔ Accept 0.5 s", "✔ Lock 2.5 s", "✔ Plan", "✔ Publish", "✔ Move", "✔ Commit"]


def test_a_failure_has_its_reason_while_it_is_put_back() -> None:
    told = drawn(course((1.0, at(Phase.MOVE)), (3.0, at(Phase.MOVE, Status.COMPENSATING, failure=BROKE))))

    assert "✘ Move 2.0 s failed: Version 13 came out Failed." in told
    assert any(line.endswith("Put back 0.0 s") for line in told)


@pytest.mark.parametrize(
    "known",
    [
        went_on(
            course(),
            Look(3.0, DEPLOY, NOW, waiting(("deploy", "orders-prod-deploy-20261121T160000-abcd", "jane.doe@example.com"))),
        ),
        course((1.0, at(Phase.MOVE)), (3.0, at(Phase.MOVE, Status.COMPENSATING, failure=BROKE))),
        went_on(course(), Look(9.0, DEPLOY, at(Phase.MOVE), died="ended as ABORTED")),
        course((1.0, at(Phase.MOVE)), (200.0, at(Phase.MOVE), Lost("ABORTED"))),
    ],
    ids=["waits", "puts back", "died", "lost"],
)
@pytest.mark.parametrize("width", [80, 40])
def test_the_picture_fits_the_terminal(known: Course, width: int) -> None:
    assert max(len(line) for line in picture(known, width=width).splitlines()) <= width


def test_without_colours_signs_and_words_say_it_all() -> None:
    told = picture(course((1.0, at(Phase.MOVE)), (3.0, at(Phase.MOVE, Status.COMPENSATING, failure=BROKE))))

    assert "\x1b" not in told
    assert "✘ Move" in told
    assert "failed" in told


def test_where_only_ascii_can_be_shown_there_is_nothing_else() -> None:
    assert picture(course((1.0, at(Phase.MOVE)), (3.0, at(Phase.MOVE, Status.COMPENSATING, failure=BROKE))), utf8=False).isascii()


# The way back.


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        (DEPLOY, "deploy of orders, stage dev"),
        (Subject(OP, OperationKind.SWEEP), "sweep of all services"),
        (Subject(OP, OperationKind.DEPLOY, ORDERS, dry_run=True), "plan of a deploy of orders"),
        (Subject(OP, OperationKind.ADOPT, ORDERS, dry_run=True), "plan of an adopt of orders"),
        (Subject(OP), "operation"),
    ],
)
def test_a_title_says_what_is_done_to_what(subject: Subject, said: str) -> None:
    assert title(subject) == said


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        (Asked(), ""),
        (Asked(profile="acme prod", region="eu-central-1"), "--profile 'acme prod' --region eu-central-1"),
        (Asked(endpoint_url="http://127.0.0.1:4610", stack="keeper"), "--endpoint-url http://127.0.0.1:4610 --stack keeper"),
        (Asked(project=Path("a/stagekeeper.yaml"), local=True), "--project a/stagekeeper.yaml --local"),
        (Asked(as_json=True), ""),
    ],
    ids=lambda value: "" if isinstance(value, str) else str(value),
)
def test_the_way_back_has_the_same_account_region_endpoint_and_stack(asked: Asked, options: str) -> None:
    assert Session(asked).again("follow", OP) == f"stagekeeper follow {OP} {options}".strip()


def test_the_way_back_to_a_stage_that_means_the_embedded_aws_says_so() -> None:
    """Which is no option then, but follows from the stage's name."""
    session = Session(Asked())
    session._connected = True

    assert shlex.split(session.again("stop", OP))[-1] == "--local"
