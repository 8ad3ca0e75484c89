"""Who holds a service's lock, who waits, and whether their executions still run."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest
from rich.console import Console
from rich.text import Text

from stagekeeper.cli.locks import ASKED, Locks, Reader, Standing, as_json, show
from stagekeeper.domain.facts import Unreadable
from stagekeeper.domain.recovery import Liveness, Over, Running

from .books import NOON, ORDERS, Books, entry

LATER = NOON + 300


class StepFunctions:
    """What it says of executions by their names, and which it was asked about."""

    def __init__(self, says: Mapping[str, Liveness]) -> None:
        self.says = says
        self.asked: list[str] = []

    def __call__(self, name: str) -> Liveness:
        self.asked.append(name)
        return self.says.get(name, Over(None))


def read(books: Books, says: Mapping[str, Liveness], now: float = LATER) -> Locks:
    return Reader(books.store, StepFunctions(says), lambda: now).read(ORDERS)


def printed(locks: Locks, width: int | None = None) -> list[str]:
    """The lines that a file gets, or a terminal of so many columns, without its codes."""
    file = io.StringIO()
    show(locks, Console(file=file, force_terminal=width is not None, width=width, _environ={"TERM": "xterm-256color"}))
    return Text.from_ansi(file.getvalue()).plain.splitlines()


def test_a_service_nobody_works_on_is_free(books: Books) -> None:
    locks = read(books, {})

    assert locks.is_free
    assert printed(locks) == ["Nobody holds or waits for anything of service orders."]


@pytest.mark.parametrize(
    ("execution", "ended", "says", "standing"),
    [
        ("op", False, {"op": Running()}, Standing.RUNNING),
        ("op", False, {"op": Over("ABORTED")}, Standing.DIED),
        ("op", False, {}, Standing.DIED),
        ("op", False, {"op": Over("ABORTED"), "recover-op-3": Running()}, Standing.RECOVERING),
        ("op", False, {"op": Over("ABORTED"), "recover-op-3": Over("FAILED")}, Standing.DIED),
        ("recover-op-2", False, {"recover-op-2": Running(), "op": Over("FAILED")}, Standing.RECOVERING),
        ("recover-op-2", False, {"recover-op-2": Over("FAILED")}, Standing.DIED),
        ("op", False, {"op": Unreadable("execution op", "ThrottlingException")}, Standing.UNKNOWN),
        ("op", True, {"op": Over("SUCCEEDED")}, Standing.ENDED),
    ],
    ids=[
        "runs",
        "aborted",
        "forgotten",
        "its recovery began",
        "its recovery died",
        "was taken over",
        "who took it over died",
        "unreadable",
        "ended",
    ],
)
def test_how_a_holder_stands(books: Books, execution: str, ended: bool, says: dict[str, Liveness], standing: Standing) -> None:
    books.operation("op", execution=execution, ended=ended)
    books.lock(entry("op", "publish"))

    (holder,) = read(books, says).holders

    assert holder.standing is standing


def test_an_execution_that_was_just_started_may_not_be_known_yet(books: Books) -> None:
    books.operation("op", asked_at=NOON)
    books.lock(entry("op", "publish"))

    standings = [read(books, {}, NOON + age).holders[0].standing for age in (59, 61)]

    assert standings == [Standing.RUNNING, Standing.DIED]


def test_an_operation_without_a_record_left_nothing_but_its_place(books: Books) -> None:
    books.lock(entry("op", "publish"))

    (stray,) = read(books, {}).holders
    (alive,) = read(books, {"op": Running()}).holders

    assert (stray.standing, alive.standing) == (Standing.STRAY, Standing.RUNNING)
    assert "stagekeeper recover --service orders" in stray.why


def test_who_died_is_told_with_what_to_do(books: Books) -> None:
    books.operation("op")
    books.lock(entry("op", "publish"))

    (holder,) = read(books, {"op": Over("TIMED_OUT")}).holders

    assert "ended as TIMED_OUT" in holder.why
    assert "`stagekeeper recover op`" in holder.why


def test_the_custom_resource_has_no_execution_to_ask_about(books: Books) -> None:
    books.lock(entry("stack/CleanUp", "collect", operation="custom-resource"))
    asked = StepFunctions({})

    (lease,) = Reader(books.store, asked, lambda: LATER).read(ORDERS).holders

    assert (lease.standing, asked.asked) == (Standing.LEASE, [])


def test_one_that_is_named_twice_is_asked_about_once(books: Books) -> None:
    books.operation("sweep-1")
    books.lock(entry("sweep-1", "collect"), sweeper=entry("sweep-1", "collect"))
    asked = StepFunctions({"sweep-1": Running()})

    locks = Reader(books.store, asked, lambda: LATER).read(ORDERS)

    assert asked.asked == ["sweep-1"]
    assert locks.sweeper is not None
    assert locks.sweeper.standing is Standing.RUNNING


def test_no_more_than_twenty_are_asked_about_over_all_services(books: Books) -> None:
    waiting = tuple(entry(f"op-{number}", "publish") for number in range(ASKED + 2))
    for each in waiting:
        books.operation(each.operation_id)
    books.lock(queue=waiting)
    books.of("billing").lock(entry("op-0", "publish"))
    asked = StepFunctions({each.operation_id: Running() for each in waiting})
    reader = Reader(books.store, asked, lambda: LATER)

    standings = [each.standing for each in reader.read(ORDERS).waiters]

    assert standings == [*[Standing.RUNNING] * 20, Standing.NOT_ASKED, Standing.NOT_ASKED]
    assert reader.read(books.of("billing").service).holders[0].standing is Standing.NOT_ASKED
    assert len(asked.asked) == 20


@pytest.fixture
def busy(books: Books) -> Locks:
    """A deploy at work, a rollback that waits, a sweep between its batches that has died."""
    for name in ("op", "next", "sweep"):
        books.operation(name)
    books.lock(
        entry("op", "stage:dev", "publish"),
        queue=(entry("next", "stage:dev", operation="rollback", since=NOON + 240),),
        sweeper=entry("sweep", "collect", operation="sweep", since=NOON - 7200),
    )
    return read(books, {"op": Running(), "next": Running(), "sweep": Over("ABORTED")})


@pytest.mark.usefixtures("berlin")
def test_a_file_gets_a_line_for_each(busy: Locks) -> None:
    assert [line.rstrip() for line in printed(busy)] == [
        "service orders",
        "deploy holds stage dev and publishing since 2027-07-14 14:30:00 (5 min); op; It runs",
        "rollback waits for stage dev since 2027-07-14 14:34:00 (1 min), gives up 2027-07-14 15:04:00; next; It runs",
        "sweep is at work, now and then with the whole service since 2027-07-14 12:30:00 (2 h 5 min); sweep; It died: its "
        "execution ended as ABORTED. A recovery begins by itself; if none does: `stagekeeper recover sweep`",
    ]


def test_in_a_terminal_an_id_has_a_line_of_its_own_to_be_copied_from(books: Books) -> None:
    long = "a-service-with-a-long-name-prod-deploy-20261121T160012-ab12"
    books.lock(entry(long, "stage:prod"))

    assert f"  {long}" in [line.rstrip() for line in printed(read(books, {}), 80)]


def test_a_narrow_terminal_gets_everything_within_its_width(busy: Locks) -> None:
    lines = printed(busy, 80)

    assert max(len(line) for line in lines) <= 80
    assert "stage dev and publishing" in " ".join(lines)


def test_scripts_get_every_member_and_times_in_utc(busy: Locks) -> None:
    told = as_json(busy)

    assert told["service"] == "orders"
    assert told["waiters"] == [
        {
            "operation_id": "next",
            "operation": "rollback",
            "slots": ["stage:dev"],
            "since": "2027-07-14T12:34:00.000Z",
            "gives_up_at": "2027-07-14T13:04:00.000Z",
            "standing": "running",
            "why": "",
        }
    ]
    assert [each["operation_id"] for each in told["holders"]] == ["op"]
    assert told["sweeper"]["standing"] == "died"
