"""events/ holds a real input for every entry point: the state machine itself, each state that runs a handler, the handler that is
told of executions' ends, and the one that CloudFormation calls."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.domain.recovery import recovery_name
from stagekeeper.domain.refusal import Refusal
from stagekeeper.domain.request import (
    AdoptRequest,
    CloneRequest,
    ConfigureRequest,
    DeployRequest,
    DocumentRef,
    RecoverRequest,
    Request,
    ResetRequest,
    RollbackRequest,
    SweepRequest,
    TeardownRequest,
    VerifyRequest,
)
from stagekeeper.engine.compensate import CutOff
from stagekeeper.handlers import compensate, notice
from stagekeeper.handlers.orphaned_versions import Answer, body_of
from stagekeeper.handlers.orphaned_versions_request import wish_of
from stagekeeper.handlers.request import parse
from stagekeeper.handlers.runtime import Payload

from .pages import ROOT, text
from .permissions.template import load

FOLDER = ROOT / "events"
STATES: dict[str, Any] = json.loads(text(ROOT / "src/statemachine/operation.asl.json"))["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
STARTS = sorted(path.name for path in FOLDER.glob("start-*.json"))

#: The functions of the service, by their names alone.
ADOPTED = {"Api": "orders-api", "Worker": "orders-worker", "Nightly": "orders-nightly", "Invoice": "orders-invoice"}

each_state = pytest.mark.parametrize("state", TASKS)


def event(name: str) -> Any:
    return json.loads(text(FOLDER / name))


def file_of(state: str) -> str:
    """Events are named as the handler's module."""
    return f"{''.join('_' * (i > 0 and c.isupper()) + c.lower() for i, c in enumerate(state))}.json"


def request(raw: object) -> Request:
    parsed = parse(raw, document)
    assert not isinstance(parsed, Refusal), parsed.message
    return parsed


def document(reference: DocumentRef) -> bytes | Absent | Unreadable:
    assert reference.s3_key == "code/orders/functions-42.json"
    return (FOLDER / "functions-document.json").read_bytes()


@pytest.mark.parametrize("name", STARTS)
def test_a_start_event_is_a_request(name: str) -> None:
    request(event(name))


@each_state
def test_a_state_has_an_event_with_the_members_that_the_machine_gives_it(state: str) -> None:
    payload = event(file_of(state))

    assert set(payload) == set(TASKS[state]["Arguments"]["Payload"])
    assert payload["schema"] == TASKS[state]["Arguments"]["Payload"]["schema"]
    Payload.model_validate(payload)


def test_there_is_no_other_event() -> None:
    called = {"notice.json", "orphaned_versions.json"}
    known = {*STARTS, *called, "functions-document.json", *(file_of(state) for state in TASKS)}

    assert {path.name for path in FOLDER.iterdir()} == known


def test_the_states_that_get_the_request_get_it_as_the_machine_does() -> None:
    assert event("accept.json")["request"] == event("start-deploy.json")
    assert event("dry_run.json")["request"] == event("start-dry-run.json")
    # A verification has no record, so that this one can be invoked alone.
    assert event("inspect.json")["request"] == event("start-verify.json")


@pytest.mark.parametrize("state", sorted(TASKS.keys() - {"Recover"}))
def test_an_operation_is_carried_by_the_execution_of_its_name(state: str) -> None:
    payload = event(file_of(state))

    assert payload["execution"] == payload["operation_id"]


def test_the_recovery_is_the_one_that_an_operations_death_begins() -> None:
    payload = event("recover.json")

    recovered = request(payload["request"])
    assert isinstance(recovered, RecoverRequest)
    assert recovered.operation_id is not None
    # Until it has taken the operation over, the states are about the recovery itself.
    assert payload["operation_id"] == payload["execution"] == recovery_name(recovered.operation_id, 4)
    assert recovered.operation_id == event("move.json")["operation_id"]


def test_the_event_of_an_end_is_one_that_the_rule_lets_through_and_the_handler_reads() -> None:
    told = event("notice.json")
    pattern = load()["Resources"]["ExecutionEnds"]["Properties"]["EventPattern"]

    assert [told["source"]] == pattern["source"]
    assert [told["detail-type"]] == pattern["detail-type"]
    assert told["detail"]["status"] in pattern["detail"]["status"]
    assert told["resources"] == [told["detail"]["executionArn"]]
    read = notice._Event.model_validate(told).detail
    assert (notice._operation_of(read), read.status) == ("orders-dev-42", "ABORTED")
    request(json.loads(told["detail"]["input"]))


def test_the_event_of_a_custom_resource_is_as_cloudformation_sends_it_and_asks_for_a_sweep() -> None:
    told = event("orphaned_versions.json")
    here = ":".join(told["ServiceToken"].split(":")[:6]) + ":"

    wish = wish_of(told["ResourceProperties"], here, SweepSettings(3, 5, 86_400), leaving=False)

    assert wish.delete
    assert wish.functions == (f"{here}shop-Orders-1a2b3c4d5e6f", f"{here}shop-Invoices-1a2b3c4d5e6f")
    assert wish.settings == SweepSettings(1, 5, 0, strangers=True, popped_seconds=86_400)
    answer = json.loads(body_of(told, Answer("Swept", "2 deleted", 2, 4)))
    assert {key: answer[key] for key in ("StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId")} == {
        key: told[key] for key in ("StackId", "RequestId", "LogicalResourceId", "PhysicalResourceId")
    }


def test_compensate_is_told_which_state_was_cut_off() -> None:
    told = compensate._cut_off(event("compensate.json")["cut_off"])

    # CleanUp is the one state whose being cut off is told apart: an operation that has committed is ended by it, too.
    assert told == CutOff("CleanUp", "States.Aborted", "The execution was stopped by hand.")


def test_a_document_gives_the_same_functions_as_the_request_that_holds_them() -> None:
    by_document, direct = request(event("start-deploy-from-document.json")), request(event("start-deploy.json"))

    assert isinstance(by_document, DeployRequest)
    assert isinstance(direct, DeployRequest)
    assert by_document.functions == direct.functions


def test_what_the_names_of_the_events_promise() -> None:
    partial, release_only, overwrite = (
        request(event(f"start-{name}.json")) for name in ("deploy-partial", "release-only", "deploy-overwrite")
    )
    assert isinstance(partial, DeployRequest)
    assert isinstance(release_only, DeployRequest)
    assert isinstance(overwrite, DeployRequest)
    assert partial.partial
    assert release_only.stage is None
    assert overwrite.overwrite_drift
    assert overwrite.accept_unqualified_callers
    assert request(event("start-dry-run.json")).common.dry_run
    assert request(event("start-rollback-dry-run.json")).common.dry_run


@pytest.mark.parametrize(
    ("name", "release", "steps"), [("rollback", None, None), ("rollback-two-steps", None, 2), ("rollback-to-release", 4, None)]
)
def test_how_far_a_rollback_event_goes_back(name: str, release: int | None, steps: int | None) -> None:
    rollback = request(event(f"start-{name}.json"))

    assert isinstance(rollback, RollbackRequest)
    assert (rollback.release, rollback.steps) == (release, steps)


@pytest.mark.parametrize(
    ("name", "kind", "members"),
    [
        ("reset", ResetRequest, {"stage": "dev", "to": 7}),
        ("reset-to-stage", ResetRequest, {"stage": "qa", "to": "prod"}),
        ("clone", CloneRequest, {"stage": "jane", "like": "prod"}),
        ("teardown", TeardownRequest, {"stage": "jane", "confirm": None}),
        ("teardown-service", TeardownRequest, {"stage": None, "confirm": "orders"}),
        ("sweep-report", SweepRequest, {"delete": False, "keep": None, "rollback_depth": None, "grace_hours": None}),
        ("sweep-delete", SweepRequest, {"delete": True, "keep": 1, "rollback_depth": 3, "grace_hours": 48}),
        ("configure", ConfigureRequest, {"stage": "prod", "protected": True, "description": "what customers use"}),
        ("verify", VerifyRequest, {"stage": None}),
        ("adopt", AdoptRequest, {"stage": None, "stages": None, "functions": ADOPTED, "accept_unqualified_callers": False}),
        ("adopt-stages", AdoptRequest, {"stage": None, "stages": ("prod", "qa"), "functions": None}),
        ("recover", RecoverRequest, {"operation_id": "orders-dev-42"}),
        ("recover-service", RecoverRequest, {"operation_id": None}),
    ],
)
def test_what_the_other_events_ask_for(name: str, kind: type[Request], members: dict[str, object]) -> None:
    asked = request(event(f"start-{name}.json"))

    assert isinstance(asked, kind)
    assert {member: getattr(asked, member) for member in members} == members
    assert asked.service == "orders"
