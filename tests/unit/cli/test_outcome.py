"""How an operation's end is told: as JSON word for word, and to people in a few lines that have everything they need to act."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from rich.console import Console

from stagekeeper.cli.endings import Exit
from stagekeeper.cli.outcome import MEANS, PLANNED, answer, exit_code, failed, show, succeeded
from stagekeeper.cli.progress import Ended, Lost, Subject
from stagekeeper.cli.session import Asked, Session
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.record import Failed, Succeeded
from stagekeeper.domain.refusal import Code

from .looking import DEPLOY, DONE, OP, OUTPUT, ended

PUBLISH = {"function": "Api", "action": "publish", "before": "11", "after": "12", "reason": "new code"}
MOVE = {"function": "Api", "action": "move_alias", "before": "11", "after": "12", "reason": "onto version 12"}


def output(**members: Any) -> dict[str, Any]:
    changes = members.get("changes", [])
    return {**OUTPUT, "changes_count": len(changes), **members}


def said(told: dict[str, Any], width: int = 80, ascii_only: bool = False) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(succeeded(told, ascii_only=ascii_only))
    return console.export_text()


def said_failed(end: Failed | Lost, subject: Subject = DEPLOY, ascii_only: bool = False) -> str:
    console = Console(width=80, file=io.StringIO(), record=True)
    console.print(failed(end, subject, exit_code(end), ascii_only=ascii_only))
    return " ".join(console.export_text().split())


def entry(function: str, version: int, reason: str, size: int = 1_000_000, **more: Any) -> dict[str, Any]:
    return {"function": function, "version": str(version), "reason": reason, "bytes": size, **more}


# Exit codes.


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (DONE, Exit.DONE),
        (Succeeded({**OUTPUT, "outcome": "planned"}), Exit.DONE),
        (ended(Code.COMPENSATED), Exit.COMPENSATED),
        (ended(Code.NEEDS_ATTENTION), Exit.NEEDS_ATTENTION),
        (ended(Code.DRIFTED), Exit.DRIFTED),
        (ended(Code.LOCKED), Exit.LOCKED),
        (ended(Code.STAGE_MOVED), Exit.REFUSED),
        (ended(Code.INTERNAL), Exit.FAILED),
        (Failed("States.Runtime", {"message": "no JSON"}), Exit.FAILED),
        (Lost("ABORTED"), Exit.NO_OUTCOME),
    ],
    ids=lambda value: "" if isinstance(value, Exit) else getattr(value, "error", type(value).__name__),
)
def test_the_exit_code_says_how_it_ended(end: Ended, code: Exit) -> None:
    assert exit_code(end) is code


def test_every_exit_code_of_an_operation_is_explained() -> None:
    assert set(MEANS) == set(Exit) - {Exit.DONE, Exit.USAGE, Exit.DETACHED}


# JSON.


def test_as_json_a_success_is_the_executions_output_as_it_is() -> None:
    shuffled = dict(reversed(OUTPUT.items()))

    told = answer(Succeeded(shuffled), DEPLOY)

    assert told == OUTPUT
    assert list(told)[:3] == ["outcome", "operation_id", "operation"]


def test_as_json_a_failure_is_its_code_and_its_cause() -> None:
    assert answer(ended(Code.LOCKED, "Waited.", blockers=["a"]), DEPLOY) == {
        "error": "Locked",
        "message": "Waited.",
        "blockers": ["a"],
        "operation_id": OP,
        "warnings": [],
    }


def test_as_json_what_is_lost_has_the_same_members() -> None:
    told = answer(Lost("ABORTED"), DEPLOY)

    assert set(told) == {"error", "message", "blockers", "operation_id", "warnings", "status"}
    assert (told["error"], told["status"]) == ("NoOutcome", "ABORTED")


@pytest.mark.parametrize(
    "end", [DONE, ended(Code.COMPENSATED, warnings=["Beware."]), Lost("ABORTED")], ids=lambda end: type(end).__name__
)
def test_with_json_there_is_one_object_and_nothing_else(end: Ended, capsys: pytest.CaptureFixture[str]) -> None:
    code = show(Session(Asked(as_json=True)), end, DEPLOY)

    out, err = capsys.readouterr()
    assert json.loads(out) == answer(end, DEPLOY)
    assert err == ""
    assert code is exit_code(end)


# People: what went well.


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        (output(), "✔ Succeeded: deploy of orders, stage dev: r6 → r7"),
        (output(previous_release=None), "✔ Succeeded: deploy of orders, stage dev: r7, a new stage"),
        (output(stage=None, previous_release=None), "✔ Succeeded: deploy of orders: r7"),
        (output(outcome="unchanged", previous_release=7), "✔ Unchanged: deploy of orders, stage dev: r7"),
        (output(outcome="planned"), "✔ Planned: deploy of orders, stage dev: r6 → r7"),
        (output(operation="teardown", release=None), "✔ Succeeded: teardown of orders, stage dev: r6 → nothing"),
        (output(operation="teardown", stage=None, release=None, previous_release=None), "✔ Succeeded: teardown of orders"),
        (
            output(operation="sweep", service=None, stage=None, release=None, previous_release=None),
            "✔ Succeeded: sweep of all services",
        ),
        (
            output(operation="verify", outcome="unchanged", release=None, previous_release=None),
            "✔ Unchanged: verify of orders, stage dev: AWS agrees with the record",
        ),
    ],
    ids=lambda value: "" if isinstance(value, str) else f"{value['operation']} {value['outcome']}",
)
def test_the_first_line_says_what_became_of_what(told: dict[str, Any], verdict: str) -> None:
    assert said(told).splitlines()[0] == verdict


def test_where_only_ascii_is_known_there_is_nothing_else() -> None:
    assert said(output(changes=[PUBLISH]), ascii_only=True).splitlines()[0] == "Succeeded: deploy of orders, stage dev: r6 -> r7"


def test_making_a_version_and_moving_the_alias_onto_it_is_one_line() -> None:
    told = said(output(changes=[PUBLISH, MOVE]))

    assert [" ".join(line.split()) for line in told.splitlines() if line.startswith("Api")] == [
        "Api publish, move alias 11 → 12 new code"
    ]


def test_a_plan_says_that_nothing_was_changed() -> None:
    planned = output(outcome="planned", changes=[{**PUBLISH, "after": None}, {**MOVE, "after": None}], report=None)

    told = said(planned)

    assert PLANNED in told
    assert "11 → new" in told
    assert "nothing would be" in said(output(outcome="planned", report=None))


def test_a_sweep_says_what_went_what_stayed_and_why() -> None:
    deleted = [entry("Api", number, "nothing needs it") for number in (1, 2, 3, 7)]
    kept = [entry("Api", 9, "alias dev points at it", 34_500_000), entry("Worker", 2, "alias dev points at it", 512)]
    told = said(
        output(
            operation="sweep",
            stage=None,
            changes=[{**PUBLISH, "action": "delete_version"}],
            sweep={"deleted": deleted, "kept": kept},
            deleted_count=4,
            kept_count=2,
            storage={"before_bytes": 1_200_000_000, "after_bytes": 1_196_000_000, "limit_bytes": 75_000_000_000},
        )
    )

    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert "4 versions deleted, 4.0 MB" in lines
    assert "Api 1-3, 7 4.0 MB nothing needs it" in lines
    assert "2 versions kept, 34.5 MB" in lines
    assert "Worker 2 512 B alias dev points at it" in lines
    assert "Code in this Region: 1.2 GB before, 1.2 GB now, of 75.0 GB" in lines
    assert "delete version" not in told


def test_the_report_of_a_sweep_says_what_would_go() -> None:
    report = output(
        operation="sweep",
        outcome="planned",
        sweep={"deleted": [entry("Api", 1, "old")], "kept": []},
        deleted_count=1,
        report=None,
    )

    assert "1 version would go, 1.0 MB" in said(report)


def test_where_a_list_was_cut_the_whole_report_is_named() -> None:
    assert "s3://artifacts/reports/1.json" not in said(output(changes=[PUBLISH]))
    assert "Not all of changes is shown; the whole report is s3://artifacts/reports/1.json" in said(
        output(changes=[PUBLISH], changes_count=312)
    )
    assert "at least 1.0 MB" in said(output(sweep={"deleted": [], "kept": [entry("Api", 1, "alias")]}, kept_count=312))


def test_what_was_recovered_is_listed() -> None:
    found = [
        {
            "operation_id": "orders-dev-9",
            "operation": "deploy",
            "service": "orders",
            "stage": "dev",
            "reason": "it is compensated now",
        }
    ]

    told = said(output(operation="recover", stage=None, release=None, recovered=found))

    assert "1 dead operation" in told
    assert "it is compensated now" in " ".join(told.split())


def test_what_was_adopted_is_listed() -> None:
    stages = [{"stage": "prod", "release": 3, "observed": "orders-stack"}, {"stage": "dev", "release": 4, "observed": None}]

    told = said(output(operation="adopt", stages=stages))

    assert "observed: stack orders-stack owns its aliases" in told
    assert "r4" in told


def test_warnings_are_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    code = show(Session(Asked()), Succeeded(output(warnings=["Beware of the dog."])), DEPLOY)

    out, err = capsys.readouterr()
    assert code is Exit.DONE
    assert out.splitlines()[0].endswith("Succeeded: deploy of orders, stage dev: r6 → r7")
    assert "Beware" not in out
    assert err == "Warning: Beware of the dog.\n"


def test_without_a_terminal_nothing_is_cut_wrapped_padded_or_coloured(capsys: pytest.CaptureFixture[str]) -> None:
    reason = "because " * 60
    show(Session(Asked()), Succeeded(output(changes=[{**PUBLISH, "reason": reason}])), DEPLOY)

    out, _ = capsys.readouterr()
    assert "\x1b" not in out
    (line,) = [line for line in out.splitlines() if line.startswith("Api")]
    assert reason.strip() in line
    assert max(len(line) for line in out.splitlines()) < 600


@pytest.mark.parametrize("width", [80, 60])
def test_in_a_terminal_it_fits(width: int) -> None:
    long = {
        **PUBLISH,
        "function": "A-function-whose-name-takes-room",
        "reason": "configuration.Environment, configuration.Timeout, new code",
    }

    told = said(output(changes=[long, {**long, "action": "move_alias"}]), width)

    assert max(len(line) for line in told.splitlines()) <= width
    assert "11 → 12" in told


# People: what did not.


def test_a_failure_says_code_message_blockers_and_what_its_exit_code_means() -> None:
    told = said_failed(ended(Code.COMPENSATED, "It failed midway.", blockers=["arn:aws:lambda:::function:orders-api:12"]))

    assert told == (
        "✘ Compensated: deploy of orders, stage dev It failed midway. - arn:aws:lambda:::function:orders-api:12 "
        f"Operation {OP}. Exit code 4: it failed midway and everything was put back."
    )


def test_what_the_message_names_is_not_named_again() -> None:
    told = said_failed(ended(Code.STAGE_PROTECTED, "Stage prod is protected.", blockers=["prod", "pro", "prod-eu"]))

    assert "is protected. - pro - prod-eu Operation" in told


def test_which_option_says_what_the_message_advises_is_told_at_its_end() -> None:
    told = said_failed(ended(Code.STAGE_PROTECTED, "Repeat with confirm: prod."), Subject(OP, OperationKind.TEARDOWN))

    assert "Repeat with confirm: prod. On the command line: --confirm prod Operation" in told


def test_the_file_that_was_uploaded_is_named_beside_its_address() -> None:
    end = ended(Code.INVALID_REQUEST, "s3://bucket/key.yaml, line 3: no.")
    files = {"s3://bucket/key.yaml": "template.yaml", "s3://bucket/other": "x"}
    file = io.StringIO()

    Console(file=file, width=200).print(failed(end, DEPLOY, Exit.REFUSED, files, ascii_only=True))

    assert "s3://bucket/key.yaml (that is template.yaml), line 3: no." in file.getvalue()


def test_what_is_configured_is_a_line_each() -> None:
    changes = [
        {"function": "dev", "action": "configure", "before": None, "after": None, "reason": reason}
        for reason in ("protected: false -> true", "description: live")
    ]

    told = said(output(operation="configure", changes=changes)).splitlines()

    assert [line.strip() for line in told if "protected" in line or "live" in line] == [
        "protected: false -> true",
        "description: live",
    ]


@pytest.mark.parametrize(
    ("lost", "subject", "advice"),
    [
        (Lost("ABORTED"), DEPLOY, f"stagekeeper recover {OP}"),
        (Lost("ABORTED", why="wrong\nbranch"), DEPLOY, "ended as ABORTED (wrong branch), and"),
        (Lost("GONE"), DEPLOY, "is not there any more"),
        (Lost("ABORTED", begun=False), DEPLOY, "nothing was changed"),
        (Lost("ABORTED", begun=False), Subject(OP, OperationKind.VERIFY), "It changes nothing"),
        (Lost("ABORTED", begun=False), Subject(OP, OperationKind.DEPLOY, dry_run=True), "It changes nothing"),
        (Lost("ABORTED", begun=False), Subject(OP, OperationKind.RECOVER), "Start it again"),
    ],
)
def test_what_is_lost_says_what_to_do(lost: Lost, subject: Subject, advice: str) -> None:
    told = said_failed(lost, subject)

    assert advice in told
    assert "Exit code 8" in told


def test_a_failure_is_told_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    code = show(Session(Asked()), ended(Code.DRIFTED, "Somebody moved it.", warnings=["Beware."]), DEPLOY)

    out, err = capsys.readouterr()
    assert (code, out) == (Exit.DRIFTED, "")
    assert "Somebody moved it." in err
    assert "Warning: Beware." in err


def test_what_others_wrote_cannot_command_a_terminal() -> None:
    assert "\x1b" not in said_failed(ended(Code.DRIFTED, "\x1b[2Jgone", blockers=["\x1b]8;;x"]))
    assert "\x1b" not in said(output(changes=[{**PUBLISH, "reason": "\x1b[31mred"}]))
