"""The control plane's advice in the words of the command line."""

from __future__ import annotations

import pytest

from stagekeeper.cli.refused import on_the_command_line, unsaid, with_files
from stagekeeper.domain.operation import OperationKind

from .test_commands import COMMANDS

TEARDOWN, DEPLOY, ROLLBACK = OperationKind.TEARDOWN, OperationKind.DEPLOY, OperationKind.ROLLBACK


@pytest.mark.parametrize(
    ("message", "kind", "options"),
    [
        ("If it is really to go, repeat with confirm: prod, or take the protection off.", TEARDOWN, "--confirm prod"),
        ("Find out who; then repeat with on_drift: overwrite to take it back.", ROLLBACK, "--on-drift overwrite"),
        ("Or repeat with accept_unqualified_callers: true.", DEPLOY, "--accept-unqualified-callers"),
        ("Or repeat with allow_missing: true to go on without it.", ROLLBACK, "--allow-missing"),
        ("Allow it by name: allow_shared: [Table, Mail-Box].", DEPLOY, "--allow-shared Table --allow-shared Mail-Box"),
        ("Try again (or wait longer: lock_wait_seconds).", OperationKind.SWEEP, "--lock-wait"),
    ],
)
def test_a_field_is_the_option_that_says_it(message: str, kind: OperationKind, options: str) -> None:
    assert on_the_command_line(message, kind) == f"On the command line: {options}"
    for option in (word for word in options.split() if word.startswith("--")):
        assert option in {each for parameter in COMMANDS[kind.value].params for each in parameter.opts}


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Somebody else moved it: a deploy with on_drift: overwrite takes it back.", OperationKind.VERIFY),
        ("Repeat with confirm: prod.", DEPLOY),
        ("Repeat with confirm: prod.", None),
        ("allow_shared names Nope, which is not there.", DEPLOY),
        ("It broke.", DEPLOY),
    ],
)
def test_what_the_command_has_no_option_for_is_not_advised(message: str, kind: OperationKind | None) -> None:
    assert on_the_command_line(message, kind) is None


def test_an_address_is_explained_once() -> None:
    assert with_files("s3://b/k: no. s3://b/k again.", {"s3://b/k": "t.yaml"}) == "s3://b/k (that is t.yaml): no. s3://b/k again."


@pytest.mark.parametrize(
    ("message", "left"),
    [("Stage prod is protected.", []), ("Stage prod-eu is protected.", ["prod"]), ("production", ["prod"]), ("(prod)", [])],
)
def test_a_blocker_is_said_by_its_whole_name_alone(message: str, left: list[str]) -> None:
    assert list(unsaid(["prod"], message)) == left
