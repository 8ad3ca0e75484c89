"""What is read of the record for the versions that a stage served, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stagekeeper.aws.clock import iso
from stagekeeper.aws.table import Table
from stagekeeper.cli.endings import CommandFailed, Exit
from stagekeeper.cli.served import alias_of, known_stage, stage_record
from stagekeeper.domain.model import FunctionArn, ServiceName, StageName, VersionNumber
from stagekeeper.domain.served import GRACE_SECONDS, Served, Unknown, Window

from .books import NOON, ORDERS, Books, arn, keeping, movement, stage

PROD, QA = StageName("prod"), StageName("qa")
HOUR = 3600.0
DAY = Window(NOON - 12 * HOUR, NOON + 12 * HOUR)


@pytest.fixture
def moved(books: Books) -> Books:
    """prod went from r6 to r7 at noon; the api of both, the worker the same; the deploy was asked for a minute before."""
    books.known()
    books.release(6, Api="one", Worker="same")
    books.release(7, Api="two", Worker="same")
    for name, number, text in [("Api", 12, "one"), ("Api", 13, "two"), ("Worker", 4, "same")]:
        books.version(name, number, text)
    books.stage(stage("prod", 7, 6, Api=13, Worker=4))
    books.moved(movement("prod", 1, 6, 7, at=iso(NOON)))
    books.operation("prod-1", asked_at=NOON - 60)
    return books


def served(books: Books, window: Window = DAY) -> list[tuple[str, int, float, float]]:
    """Function, version, from when, to when: in seconds from noon."""
    found = stage_record(books.store, ORDERS, PROD, window.since).timeline(window).served
    return [(each.function, each.version.value, each.since - NOON, each.until - NOON) for each in found]


def test_the_timeline_comes_from_item_ledger_releases_and_versions(moved: Books) -> None:
    assert served(moved) == [
        ("Api", 12, -12 * HOUR, GRACE_SECONDS),
        ("Api", 13, -60, 12 * HOUR),
        ("Worker", 4, -12 * HOUR, 12 * HOUR),
    ]


def test_a_move_whose_operation_is_not_on_record_began_when_it_was_written(books: Books) -> None:
    books.known()
    books.release(7, Api="two")
    books.version("Api", 13, "two")
    books.stage(stage("prod", 7, Api=13))
    books.moved(movement("prod", 1, None, 7, at=iso(NOON)))

    assert served(books) == [("Api", 13, 0, 12 * HOUR)]


def test_no_more_of_a_long_ledger_is_needed_than_the_window_needs(books: Books) -> None:
    """Far more lines than a first query brings, all of them within the window; each has a release of its own."""
    books.known()
    count = 50
    for number in range(count + 1):
        books.release(number + 1, Api=f"code-{number}")
        books.version("Api", number + 1, f"code-{number}")
    books.moved(*(movement("prod", n, n, n + 1, at=iso(NOON + n)) for n in range(1, count + 1)))
    books.stage(stage("prod", count + 1, Api=count + 1))

    record = stage_record(books.store, ORDERS, PROD, DAY.since)

    assert len(record.moves) == count
    assert [each.version.value for each in record.timeline(DAY).served] == list(range(1, count + 2))


def test_lines_of_the_ledger_before_the_window_and_its_grace_are_left_out(moved: Books) -> None:
    store = moved.store

    assert len(stage_record(store, ORDERS, PROD, NOON + GRACE_SECONDS).moves) == 1
    assert stage_record(store, ORDERS, PROD, NOON + GRACE_SECONDS + 1).moves == []


class Counted(Table):
    """Counts the items that are read one by one."""

    def __init__(self, table: Table) -> None:
        self.__dict__.update(table.__dict__)
        self.asked: list[str] = []

    def get(self, key: Any) -> dict[str, Any] | None:
        self.asked.append(key.sk.partition("#")[0])
        return super().get(key)


def test_versions_that_the_stages_own_record_tells_are_not_looked_up(moved: Books) -> None:
    """Of three different contents only the api's older one is not in the stage's item."""
    counted = Counted(moved.table)

    stage_record(Books(counted).store, ORDERS, PROD, DAY.since)

    assert sorted(counted.asked) == ["CONTENT", "RELEASE", "RELEASE"]


def test_without_a_move_nothing_but_the_stages_and_the_ledger_is_read(moved: Books) -> None:
    counted = Counted(moved.table)

    stage_record(Books(counted).store, ORDERS, PROD, NOON + HOUR)

    assert counted.asked == []


def test_a_kept_alias_tells_nothing_of_the_release(books: Books) -> None:
    books.known()
    books.release(6, Api="one")
    books.release(7, Api="two")
    books.version("Api", 12, "one")
    books.version("Api", 13, "two")
    books.stage(keeping(stage("prod", 7, Api=12), "Api"))
    books.moved(movement("prod", 1, 7, 7, at=iso(NOON)))

    assert ("Api", 13, -12 * HOUR, GRACE_SECONDS) in served(books)


def test_a_swept_version_is_unknown(books: Books) -> None:
    books.known()
    books.release(6, Api="one")
    books.release(7, Api="two")
    books.version("Api", 13, "two")
    books.stage(stage("prod", 7, Api=13))
    books.moved(movement("prod", 1, 6, 7, at=iso(NOON)))

    (unknown,) = stage_record(books.store, ORDERS, PROD, DAY.since).timeline(DAY).unknown

    assert isinstance(unknown, Unknown)
    assert (unknown.release, unknown.function) == (6, "Api")


def test_a_torn_down_stage_served_until_then(books: Books) -> None:
    books.known()
    books.release(7, Api="two")
    books.version("Api", 13, "two")
    books.moved(movement("prod", 1, 7, None, at=iso(NOON), operation="teardown"))

    assert served(books) == [("Api", 13, -12 * HOUR, GRACE_SECONDS)]


def test_a_stage_that_was_torn_down_long_ago_is_known_and_served_nothing(books: Books) -> None:
    books.known().moved(movement("prod", 1, 7, None, at=iso(NOON)))

    record = stage_record(books.store, ORDERS, PROD, NOON + 10 * HOUR)

    assert (record.stage, record.timeline(Window(NOON + 10 * HOUR, NOON + 11 * HOUR)).served) == (None, ())


def test_other_stages_that_serve_the_same_version_are_named_with_its_functions(moved: Books) -> None:
    moved.stage(stage("qa", 7, Api=13, Worker=4))
    moved.stage(stage("dev", 8, Api=14, Worker=4))
    moved.stage(stage("old", 1, Api=1))

    record = stage_record(moved.store, ORDERS, PROD, NOON + HOUR)

    now = record.timeline(Window(NOON + HOUR, NOON + HOUR)).served
    assert record.sharing(now) == {"qa": ["Api", "Worker"], "dev": ["Worker"]}


@pytest.mark.parametrize(
    ("window", "sharing"),
    [
        (Window(NOON - 2 * HOUR, NOON + HOUR), {"qa": ["Api", "Worker"]}),
        # Ten minutes after qa left: prod still served the api's version, and qa no more.
        (Window(NOON - HOUR + 600, NOON - HOUR / 2), {"qa": ["Worker"]}),
        # Both are elsewhere with their api by then, and still have the worker in common.
        (Window(NOON + 4 * HOUR, NOON + 5 * HOUR), {"qa": ["Worker"]}),
    ],
)
def test_what_another_stage_served_at_another_time_is_not_shared(
    moved: Books, window: Window, sharing: dict[str, list[str]]
) -> None:
    moved.version("Api", 14, "three")
    moved.release(8, Api="three", Worker="same")
    moved.stage(stage("qa", 8, Api=14, Worker=4))
    # qa served r6 until an hour before prod left it, and r8 from then on.
    moved.moved(movement("qa", 1, 6, 8, at=iso(NOON - HOUR), operation_id="qa-1"))

    record = stage_record(moved.store, ORDERS, PROD, window.since)

    assert record.sharing(record.timeline(window).served) == sharing


def test_the_same_number_of_another_function_is_not_shared(moved: Books) -> None:
    moved.stage(stage("qa", 7, Mailer=13))
    mine = [Served(each, arn(each), VersionNumber(13), 0, 1) for each in ("Api",)]  # type: ignore[arg-type]  # a name

    assert stage_record(moved.store, ORDERS, PROD, NOON).sharing(mine) == {}


# What is not there.


@pytest.mark.parametrize(
    ("service", "name", "code", "sentence"),
    [
        ("orders", "demo", "StageNotFound", "has no stage demo. Its stages are prod, qa."),
        ("billing", "prod", "ServiceNotFound", "There is no service billing"),
        ("empty", "prod", "StageNotFound", "Service empty has no stage prod. It has none."),
    ],
)
def test_what_never_was_is_refused_naming_what_there_is(moved: Books, service: str, name: str, code: str, sentence: str) -> None:
    moved.stage(stage("qa", 7, Api=13))
    moved.of("empty").known()

    for look in (lambda s, n: stage_record(moved.store, s, n, NOON), lambda s, n: known_stage(moved.store, s, n)):
        with pytest.raises(CommandFailed) as caught:
            look(ServiceName(service), StageName(name))
        assert (caught.value.code, caught.value.exit_code) == (code, Exit.REFUSED)
        assert sentence in str(caught.value)


def test_a_function_goes_by_its_logical_name() -> None:
    where, alias = alias_of(stage("prod", 7, Api=13, Worker=4), ORDERS, "Worker")

    assert (where, alias.version) == (arn("Worker"), VersionNumber(4))


def test_of_two_homes_the_one_that_is_not_kept_is_meant() -> None:
    at = stage("prod", 7, Api=13)
    (now,) = at.aliases.values()
    elsewhere = FunctionArn(arn("Api").replace("orders-", "aaa-"))
    (older,) = keeping(stage("prod", 7, Api=3), "Api").aliases.values()
    both = replace(at, aliases={elsewhere: older, arn("Api"): now})

    assert alias_of(both, ORDERS, "Api") == (arn("Api"), now)


def test_a_function_that_the_stage_has_not_is_refused_naming_those_it_has() -> None:
    with pytest.raises(CommandFailed, match=r"Stage prod of service orders has no function api\. It has Api, Worker\.") as caught:
        alias_of(stage("prod", 7, Worker=4, Api=13), ORDERS, "api")

    assert (caught.value.code, caught.value.exit_code) == ("FunctionNotFound", Exit.REFUSED)
