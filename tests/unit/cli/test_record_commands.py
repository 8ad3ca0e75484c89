"""The commands that read the record: what each asks for, what scripts get, and how one ends that finds nothing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer

from stagekeeper.cli.commands import record
from stagekeeper.cli.endings import told
from stagekeeper.cli.session import Asked, Plane, Session

from .books import ORDERS, Books, entry, keeping, movement, stage
from .conftest import REGION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

MACHINE = f"arn:aws:states:{REGION}:123456789012:stateMachine:stagekeeper-operation"

#: What the operator policy lets a command do with the table. No scan, no batches.
ALLOWED = {"GetItem", "Query"}


class Commands:
    """Runs a command on what is on record, as the command line would."""

    def __init__(self, books: Books, calls: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
        self.books = books
        self.calls = calls
        self._capsys = capsys

    def run(
        self, command: Callable[..., None], *, as_json: bool = True, service: str | None = "orders", **options: Any
    ) -> tuple[int, str]:
        """Exit code, and what was printed: of a failure for people that is on stderr."""
        session = Session(Asked(as_json=as_json))
        session.plane = Plane("stagekeeper", MACHINE, self.books.table.name, "bucket")
        session.table = self.books.table
        self.calls.clear()
        try:
            with told(as_json=as_json):
                command(session, service=service, **options)
        except typer.Exit as end:
            code = end.exit_code
        else:
            code = 0
        assert self.calls.keys() <= ALLOWED
        out, err = self._capsys.readouterr()
        return code, out + err

    def answer(self, command: Callable[..., None], **options: Any) -> dict[str, Any]:
        """The one JSON object of a command that succeeds."""
        code, out = self.run(command, **options)
        assert code == 0, out
        answer: dict[str, Any] = json.loads(out)
        return answer

    def failure(self, command: Callable[..., None], **options: Any) -> tuple[int, str]:
        """Exit code and error code."""
        code, out = self.run(command, **options)
        return code, json.loads(out)["error"]


@pytest.fixture
def commands(
    books: Books,
    dynamodb: DynamoDBClient,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Commands]:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, REGION)
    calls: Counter[str] = Counter()
    dynamodb.meta.events.register("before-call.dynamodb", lambda model, **_: calls.update([model.name]), "counted")
    yield Commands(books, calls, capsys)
    dynamodb.meta.events.unregister("before-call.dynamodb", unique_id="counted")


# Nothing there.

READING: list[tuple[Callable[..., None], dict[str, Any]]] = [
    (record.status, {}),
    (record.history, {}),
    (record.history, {"stage": "prod"}),
    (record.diff, {"a": "dev", "b": "prod"}),
    (record.diff, {"a": "r1", "b": "r2"}),
    (record.releases, {}),
    (record.locks, {}),
]
each_reading = pytest.mark.parametrize(("command", "options"), READING, ids=lambda value: getattr(value, "__name__", str(value)))


@each_reading
def test_a_service_that_does_not_exist_is_told_by_its_code(
    commands: Commands, command: Callable[..., None], options: dict[str, Any]
) -> None:
    commands.books.of("billing").known()

    assert commands.failure(command, **options) == (3, "ServiceNotFound")


@each_reading
def test_people_are_told_in_a_sentence(commands: Commands, command: Callable[..., None], options: dict[str, Any]) -> None:
    code, said = commands.run(command, as_json=False, **options)

    assert code == 3
    assert said == "There is no service orders: nothing is deployed under that name. Check the spelling.\n"


@pytest.mark.parametrize(
    ("command", "options", "code"),
    [
        (record.history, {"stage": "prod"}, "StageNotFound"),
        (record.diff, {"a": "dev", "b": "prod"}, "StageNotFound"),
        (record.diff, {"a": "r1", "b": "dev"}, "ReleaseNotFound"),
    ],
    ids=["history", "diff of stages", "diff of releases"],
)
def test_a_stage_or_release_that_does_not_exist_is_told_by_its_code(
    commands: Commands, command: Callable[..., None], options: dict[str, Any], code: str
) -> None:
    commands.books.known()

    assert commands.failure(command, **options) == (3, code)


def test_a_service_without_stages_is_no_error(commands: Commands) -> None:
    commands.books.known()

    assert commands.answer(record.status) == {"service": "orders", "stages": [], "holders": [], "waiters": []}
    assert commands.answer(record.history)["movements"] == []
    assert commands.answer(record.releases)["releases"] == []
    assert commands.answer(record.locks)["holders"] == []


def test_a_stage_on_which_nothing_moved_yet_is_no_error(commands: Commands) -> None:
    """It became mixed while it was made."""
    commands.books.known()
    commands.books.stage(stage("prod", None))

    assert commands.answer(record.history, stage="prod")["movements"] == []


def test_the_ledger_of_a_service_that_was_torn_down_is_still_told(commands: Commands) -> None:
    commands.books.moved(movement("prod", 1, None, 1), movement("prod", 2, 1, None, operation="teardown"))

    assert [each["number"] for each in commands.answer(record.history)["movements"]] == [2, 1]
    assert [each["number"] for each in commands.answer(record.history, stage="prod", limit=1)["movements"]] == [2]


def test_a_service_whose_first_deploy_is_at_work_has_a_board(commands: Commands) -> None:
    commands.books.lock(entry("op", "publish", "stage:dev"))

    assert [each["operation_id"] for each in commands.answer(record.status)["holders"]] == ["op"]


# status.


def test_the_board_of_twenty_stages_with_fifty_functions_takes_one_query_and_one_read(commands: Commands) -> None:
    commands.books.known()
    versions = {f"Function{number}": number + 1 for number in range(50)}
    for number in range(20):
        commands.books.stage(stage(f"stage-{number:02}", 7, 6, 5, **versions))

    stages = commands.answer(record.status)["stages"]

    assert commands.calls == {"Query": 1, "GetItem": 1}
    assert (len(stages), {len(each["functions"]) for each in stages}) == (20, {50})


def test_scripts_get_every_member_of_a_stage(commands: Commands) -> None:
    served = keeping(stage("prod", 7, 6, 5, Api=3, Old=1), "Old")
    commands.books.stage(served, protected=True, description="what customers see")
    commands.books.lock(entry("op", "stage:prod"), queue=(entry("next", "stage:prod", operation="rollback"),))

    answer = commands.answer(record.status)

    assert answer["stages"] == [
        {
            "stage": "prod",
            "release": 7,
            "way_back": [6, 5],
            "protected": True,
            "mixed": False,
            "tearing_down": False,
            "observed": None,
            "description": "what customers see",
            "functions": [
                {
                    "function": "Api",
                    "function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:orders-api",
                    "version": "3",
                    "kept": False,
                },
                {
                    "function": "Old",
                    "function_arn": "arn:aws:lambda:eu-central-1:123456789012:function:orders-old",
                    "version": "1",
                    "kept": True,
                },
            ],
        }
    ]
    assert answer["holders"] == [
        {
            "operation_id": "op",
            "operation": "deploy",
            "slots": ["stage:prod"],
            "since": "2027-07-14T12:30:00.000Z",
            "gives_up_at": "2027-07-14T13:00:00.000Z",
        }
    ]
    assert [each["operation_id"] for each in answer["waiters"]] == ["next"]


def test_people_get_the_board(commands: Commands) -> None:
    commands.books.stage(stage("prod", 7, Api=3))

    _, shown = commands.run(record.status, as_json=False)

    assert "│ Api            │ 3 r7 │" in shown


# All services.


@pytest.mark.parametrize("command", [record.status, record.locks], ids=["status", "locks"])
def test_all_services_are_a_list_of_what_each_is_alone(commands: Commands, command: Callable[..., None]) -> None:
    commands.books.known()
    commands.books.of("billing").known()

    answer = commands.answer(command, service=None, all_services=True)

    assert answer == {"services": [commands.answer(command, service=name) for name in ("billing", ORDERS)]}


@pytest.mark.parametrize("command", [record.status, record.locks], ids=["status", "locks"])
def test_where_there_is_no_service_the_list_is_empty(commands: Commands, command: Callable[..., None]) -> None:
    assert commands.answer(command, service=None, all_services=True) == {"services": []}
    assert commands.run(command, as_json=False, service=None, all_services=True) == (0, "There are no services yet.\n")


@pytest.mark.parametrize("command", [record.status, record.locks], ids=["status", "locks"])
def test_one_service_and_all_is_a_contradiction(commands: Commands, command: Callable[..., None]) -> None:
    with pytest.raises(typer.BadParameter, match="--all-services"):
        commands.run(command, service="orders", all_services=True)


def test_people_get_all_services_one_after_the_other(commands: Commands) -> None:
    for name in ("billing", "orders"):
        commands.books.of(name).known().stage(stage("prod", 1, Api=1))

    _, shown = commands.run(record.status, as_json=False, service=None, all_services=True)

    assert shown.index("service billing") < shown.index("service orders")


# history.


def test_a_history_costs_a_query_and_for_all_stages_about_one_each(commands: Commands) -> None:
    commands.books.moved(*(movement(name, number, None, 1) for name in ("dev", "prod") for number in range(1, 40)))

    commands.answer(record.history, stage="prod", limit=5)
    assert commands.calls == {"Query": 1}

    assert len(commands.answer(record.history, limit=5)["movements"]) == 5
    assert commands.calls == {"Query": 3}


# releases.


def test_releases_cost_a_query_for_them_one_for_the_stages_and_a_read_for_each(commands: Commands) -> None:
    for number in range(1, 9):
        commands.books.release(number, Api=str(number))

    assert len(commands.answer(record.releases, limit=5)["releases"]) == 5
    assert commands.calls == {"Query": 2, "GetItem": 5}


# diff.


@pytest.fixture
def two(commands: Commands) -> Commands:
    """dev and prod differ in code, prod and qa do not differ."""
    commands.books.known()
    commands.books.release(1, Api="one")
    commands.books.release(2, Api="two")
    for name, release in (("dev", 2), ("prod", 1), ("qa", 1)):
        commands.books.stage(stage(name, release, Api=release))
    return commands


@pytest.mark.parametrize(
    ("a", "b", "asked", "code"),
    [("dev", "prod", False, 0), ("dev", "prod", True, 1), ("qa", "prod", True, 0), ("qa", "prod", False, 0)],
    ids=["differ", "differ, asked", "the same, asked", "the same"],
)
def test_the_exit_code_tells_of_differences_only_if_asked_to(two: Commands, a: str, b: str, asked: bool, code: int) -> None:
    found, out = two.run(record.diff, a=a, b=b, exit_code=asked)

    assert found == code
    assert json.loads(out)["differs"] is (a == "dev")


def test_stages_and_releases_can_be_compared_with_each_other(two: Commands) -> None:
    answer = two.answer(record.diff, a="r2", b="prod")

    assert (answer["a"]["release"], answer["b"]["stage"]) == (2, "prod")
    assert [each["difference"] for each in answer["functions"]] == ["code"]


def test_a_stage_may_be_called_like_a_release(two: Commands) -> None:
    two.books.stage(stage("r2", 1, Api=1))

    assert two.answer(record.diff, a="stage:r2", b="prod")["differs"] is False
    assert two.answer(record.diff, a="r2", b="prod")["differs"] is True
