"""The form of the operations that move no code: reset, clone, configure, verify, teardown, sweep, recover."""

from __future__ import annotations

from typing import Any

import pytest

from stagekeeper.domain.model import OperationId, ServiceName, StageName
from stagekeeper.domain.request import (
    CloneRequest,
    Common,
    ConfigureRequest,
    RecoverRequest,
    ResetRequest,
    SweepRequest,
    TeardownRequest,
    VerifyRequest,
)
from tests.unit.request_builders import invalid, taken

ORDERS, DEV, QA = ServiceName("orders"), StageName("dev"), StageName("qa")


def asked(operation: str, **fields: Any) -> dict[str, Any]:
    return {"operation": operation, "service": "orders", **fields}


RESET = asked("reset", stage="dev", to={"stage": "qa"})
CLONE = asked("clone", stage="dev", **{"from": {"stage": "qa"}})
CONFIGURE = asked("configure", stage="dev", settings={"protected": True})
VERIFY = asked("verify")
TEARDOWN = asked("teardown", stage="dev")
SWEEP = {"operation": "sweep"}
RECOVER = {"operation": "recover"}
ALL = {
    "reset": RESET,
    "clone": CLONE,
    "configure": CONFIGURE,
    "verify": VERIFY,
    "teardown": TEARDOWN,
    "sweep": SWEEP,
    "recover": RECOVER,
}
EACH = pytest.mark.parametrize("base", ALL.values(), ids=ALL.keys())


@pytest.mark.parametrize(
    ("raw", "request_"),
    [
        (RESET, ResetRequest(Common(), ORDERS, DEV, QA)),
        (CLONE, CloneRequest(Common(), ORDERS, DEV, QA)),
        (CONFIGURE, ConfigureRequest(Common(), ORDERS, DEV, protected=True)),
        (VERIFY, VerifyRequest(Common(), ORDERS)),
        (TEARDOWN, TeardownRequest(Common(), ORDERS, DEV)),
        (SWEEP, SweepRequest(Common(), None)),
        (RECOVER, RecoverRequest(Common())),
    ],
    ids=ALL.keys(),
)
def test_the_least_that_an_operation_needs(raw: dict[str, Any], request_: object) -> None:
    assert taken(raw) == request_


def test_a_reset_may_go_to_a_release_and_say_how_strict_it_is() -> None:
    request = taken({**RESET, "to": {"release": 4}, "on_drift": "overwrite", "allow_missing": True, "if_release": 5})
    assert (request.to, request.overwrite_drift, request.allow_missing, request.common.if_release) == (4, True, True, 5)


def test_a_stage_may_be_protected_described_or_both() -> None:
    request = taken({**CONFIGURE, "settings": {"protected": False, "description": ""}})
    assert (request.protected, request.description) == (False, "")
    assert taken({**CONFIGURE, "settings": {"description": "ours"}}).protected is None


def test_a_whole_service_may_be_torn_down_and_confirmed() -> None:
    request = taken(asked("teardown", confirm="orders"))
    assert (request.stage, request.confirm) == (None, "orders")


def test_everything_that_a_sweep_may_say() -> None:
    request = taken(asked("sweep", mode="delete", keep=0, rollback_depth=1, grace_hours=2))
    assert request == SweepRequest(Common(), ORDERS, delete=True, keep=0, rollback_depth=1, grace_hours=2)


def test_a_recovery_may_be_of_one_operation_of_one_service() -> None:
    assert taken(asked("recover", operation_id="orders-dev-42")) == RecoverRequest(Common(), ORDERS, OperationId("orders-dev-42"))


@pytest.mark.parametrize("name", ["x", "x" * 80])
def test_an_operation_is_named_as_executions_are(name: str) -> None:
    assert taken({**RECOVER, "operation_id": name}).operation_id == name


@pytest.mark.parametrize("name", ["", "x" * 81, 42, True, ["orders-dev-42"], None])
def test_what_is_no_name_of_an_execution_is_refused(name: object) -> None:
    assert "operation_id: " in invalid({**RECOVER, "operation_id": name})


@pytest.mark.parametrize("name", ["Orders", "a--b", "", 3, None])
def test_a_recovery_is_of_a_service_by_its_name_or_of_all(name: object) -> None:
    assert "service: " in invalid({**RECOVER, "service": name})


@pytest.mark.parametrize("field", ["keep", "rollback_depth", "grace_hours"])
@pytest.mark.parametrize("value", [-1, "3", True, 1.5, [3], 1_000_001, None])
def test_a_setting_of_a_sweep_that_is_no_number_or_negative_is_refused(field: str, value: object) -> None:
    assert f"{field}: " in invalid({**SWEEP, field: value})


@pytest.mark.parametrize("mode", ["Delete", "", True, "all"])
def test_a_sweep_reports_or_deletes(mode: object) -> None:
    assert "mode: must be " in invalid({**SWEEP, "mode": mode})


@pytest.mark.parametrize("to", [{}, {"release": 1, "stage": "qa"}, {"release": 0}, {"stage": "7"}, {"steps": 1}, "qa", [1]])
def test_a_reset_goes_to_a_release_or_like_a_stage(to: object) -> None:
    assert "to" in invalid({**RESET, "to": to})


@pytest.mark.parametrize("like", [{}, {"release": 1}, {"stage": ""}, "qa"])
def test_a_clone_is_made_from_a_stage(like: object) -> None:
    assert "from" in invalid({**CLONE, "from": like})


@pytest.mark.parametrize(
    "settings", [{}, {"protected": "yes"}, {"protected": 1}, {"description": "x" * 1025}, {"owner": "x"}, []]
)
def test_settings_are_those_that_there_are(settings: object) -> None:
    assert "settings" in invalid({**CONFIGURE, "settings": settings})


@pytest.mark.parametrize(
    ("base", "field"),
    [(RESET, "stage"), (RESET, "to"), (CLONE, "stage"), (CLONE, "from"), (CONFIGURE, "stage"), (CONFIGURE, "settings")],
)
def test_what_an_operation_cannot_do_without_is_missed(base: dict[str, Any], field: str) -> None:
    assert f"{field}: is missing" in invalid({key: value for key, value in base.items() if key != field})


@pytest.mark.parametrize("base", [VERIFY, asked("teardown")], ids=["verify", "teardown"])
def test_if_release_needs_a_stage_to_compare(base: dict[str, Any]) -> None:
    assert "if_release: needs a stage" in invalid({**base, "if_release": 1})


@EACH
@pytest.mark.parametrize("field", ["functions", "partial", "stages", "unknown"])
def test_a_field_of_another_operation_is_refused(base: dict[str, Any], field: str) -> None:
    assert f"{field}: unknown field" in invalid({**base, field: "x"})


@pytest.mark.parametrize("operation", sorted(ALL.keys() - {"recover"}))
def test_only_a_recovery_names_another_operation(operation: str) -> None:
    assert "operation_id: unknown field" in invalid({**ALL[operation], "operation_id": "x"})


@EACH
def test_what_every_operation_takes(base: dict[str, Any]) -> None:
    request = taken({**base, "dry_run": True, "lock_wait_seconds": 5, "reason": "r", "actor": "a", "source": {"commit": "c"}})
    assert (request.common.dry_run, request.common.lock_wait_seconds) == (True, 5)
    assert (request.common.provenance.reason, request.common.provenance.actor, request.common.provenance.commit) == (
        "r",
        "a",
        "c",
    )


@pytest.mark.parametrize("base", [SWEEP, RECOVER], ids=["sweep", "recover"])
@pytest.mark.parametrize(("field", "value"), [("if_release", 1), ("stage", "dev")])
def test_what_is_of_no_stage_takes_no_stage_and_no_if_release(base: dict[str, Any], field: str, value: object) -> None:
    assert f"{field}: unknown field" in invalid({**base, field: value})
