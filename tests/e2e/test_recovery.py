"""Executions that die in the middle: they are noticed, taken over and ended, and what comes next works.

Waiting until no call of a dead worker can be under way takes 33 s while publishing and 8 s else, so all of them die at the
beginning, and each case looks at what became of one.
"""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stagekeeper.embedded import deploy

from . import deaths
from .conftest import ROOT, NewService
from .deaths import RECOVERED_WITHIN, Death, aliases, assert_lock_is_free, assert_nothing_leaked, nobody_told, stop_when, touch
from .plane import ControlPlane, unique
from .service import Service

TWENTY = [f"f{number}" for number in range(20)]


@dataclass(frozen=True)
class Deaths:
    """What died, each operation with a service or a stage of its own, and the executions that were started because of it."""

    #: EventBridge told of these: deploys of 20 functions by where they were stopped, one that took too long, and what only goes
    #: forward.
    stopped: dict[str, Death]
    timed_out: Death
    teardown: Death
    sweep: Death
    #: Nobody was told of these deploys: one is in the way of ``waiter``, the others are recovered by hand.
    waited_for: Death
    waiter: str
    by_hand: dict[str, tuple[Death, str]]


def start_deploy(service: Service, stage: str, text: str) -> Death:
    return deaths.start(service, deploy_request(service, stage, text))


def deploy_request(service: Service, stage: str, text: str, **configuration: Any) -> dict[str, Any]:
    wish = service.code(text) | ({"configuration": configuration} if configuration else {})
    return service.request("deploy", stage, functions=service.wishes(**dict.fromkeys(service.functions, wish)))


def some_published(service: Service, more_than: int) -> Any:
    """Whether the functions have more versions than they had: publishing is in the middle."""
    return lambda: any(len(service.versions(logical)) > more_than for logical in TWENTY[:3])


def some_moved(service: Service, stage: str) -> Any:
    return lambda: len(set(aliases(service, stage).values())) > 1


def die_on_new_stages(service: Service) -> dict[str, Death]:
    """Of a service that was never deployed. Moving needs no ``publish``, so the second may begin when the first has died."""
    moving = stop_when(start_deploy(service, "moving", "one"), "move", lambda: aliases(service, "moving"))
    publishing = stop_when(start_deploy(service, "publishing", "two"), "publish", some_published(service, 1))
    return {"moving a new stage": moving, "publishing for a new stage": publishing}


def die_on_existing_stages(service: Service) -> dict[str, Death]:
    for stage in ("moving", "publishing"):
        service.deploy_text(stage, "one")
    touch(service, "moving")
    moving = stop_when(start_deploy(service, "moving", "two"), "move", some_moved(service, "moving"))
    publishing = stop_when(start_deploy(service, "publishing", "three"), "publish", some_published(service, 2))
    return {"moving an existing stage": moving, "publishing for an existing stage": publishing}


def die_by_time(service: Service) -> Death:
    """A deploy that the state machine's own TimeoutSeconds ends, which are few while it begins: it needs longer, since it
    makes two calls for each function."""
    client, machine = service.plane.client("stepfunctions"), service.plane.machine
    definition = client.describe_state_machine(stateMachineArn=machine)["definition"]
    hasty = json.dumps({**json.loads(definition), "TimeoutSeconds": 2})
    client.update_state_machine(stateMachineArn=machine, definition=hasty)
    try:
        dying = deaths.start(service, deploy_request(service, "dev", "two", Description="two"))
        service.plane.until(lambda: service.plane.history(dying.arn)[1:])
    finally:
        client.update_state_machine(stateMachineArn=machine, definition=definition)
    return dying


def die_in_teardown(service: Service) -> Death:
    for text in ("one", "two"):
        service.deploy_text("gone", text)
    return stop_when(deaths.start(service, service.request("teardown", "gone")), "tear_down")


def die_in_sweep(service: Service) -> Death:
    """Five versions of each function, of which dev needs the newest: a sweep deletes two in a second."""
    for text in ("one", "two", "three", "four"):
        service.deploy_text("dev", text)
    request = service.request("sweep", None, mode="delete", keep=0, rollback_depth=0, grace_hours=0)
    return stop_when(deaths.start(service, request), "collect", lambda: len(service.versions("a")) < 4)


def die_while_moving(service: Service) -> Death:
    """So that the worker, which nobody stops, gets done with moving."""
    service.deploy_text("dev", "one")
    touch(service, "dev")
    return stop_when(start_deploy(service, "dev", "two"), "move")


def die_untold(plane: ControlPlane, new_service: NewService) -> tuple[Death, str, dict[str, tuple[Death, str]]]:
    """And who notices nevertheless: a waiter, and ``recover``, of everything when nothing else is dead any more."""
    services = [new_service(*TWENTY), *(new_service("a", "b", "c") for _ in range(3))]
    with nobody_told(plane):
        waited_for, one, other, rest = [die_while_moving(service) for service in services]
    waiter = plane.start(waited_for.service.request("rollback", "dev"), unique("waits"))
    about_one = plane.start({"operation": "recover", "operation_id": one.operation_id})
    about_other = plane.start({"operation": "recover", "service": other.service.name})
    for death in (waited_for, one, other):
        death.until_carried_on()
    about_all = plane.start({"operation": "recover"})
    rest.until_carried_on()
    return waited_for, waiter, {"operation": (one, about_one), "service": (other, about_other), "all": (rest, about_all)}


@pytest.fixture(scope="module")
def died(plane: ControlPlane, new_service: NewService) -> Deaths:
    waited_for, waiter, by_hand = die_untold(plane, new_service)
    timed_out = die_by_time(new_service(*TWENTY))
    # No more than two at a time: handlers that run at once are processes of their own, which take long to start.
    with ThreadPoolExecutor(1) as pool:
        torn, swept = new_service(*TWENTY[:8]), new_service("a", "b")
        forward = pool.submit(lambda: (die_in_teardown(torn), die_in_sweep(swept)))
        stopped = die_on_new_stages(new_service(*TWENTY)) | die_on_existing_stages(new_service(*TWENTY))
        teardown, sweep = forward.result()
    return Deaths(stopped, timed_out, teardown, sweep, waited_for, waiter, by_hand)


# Who notices.


def test_who_waits_for_the_lock_of_a_dead_operation_notices_and_gets_it(died: Deaths) -> None:
    """Every alias had been moved when the deploy died, so the recovery commits it; then the waiter goes on from there."""
    death, service = died.waited_for, died.waited_for.service

    record = death.until_over()
    ended = service.plane.wait(died.waiter)

    assert (record["status"], record["recoveries"], record["end"]["output"]["release"]) == ("committed", 1, 2)
    assert (ended.status, service.plane.waited(died.waiter)) == ("SUCCEEDED", True), ended.cause
    assert [(line["operation"], line["to_release"]) for line in service.ledger("dev")] == [
        ("deploy", 1),
        ("deploy", 2),
        ("rollback", 1),
    ]
    assert service.says("dev") == dict.fromkeys(TWENTY, "one")
    service.assert_agreement("dev", ended.output)
    assert_lock_is_free(service)


@pytest.mark.parametrize("about", ["operation", "service", "all"])
def test_recover_by_hand_ends_what_died(died: Deaths, about: str) -> None:
    death, arn = died.by_hand[about]

    ended = death.plane.wait(arn)

    assert (ended.status, ended.output.get("outcome")) == ("SUCCEEDED", "succeeded"), ended.cause
    assert [(line["operation_id"], line["service"], line["stage"]) for line in ended.output["recovered"]] == [
        (death.operation_id, death.service.name, "dev")
    ]
    assert death.plane.operation(death.operation_id)["status"] == "committed"
    assert death.service.says("dev") == dict.fromkeys("abc", "two")
    death.service.assert_agreement("dev")
    assert_lock_is_free(death.service)


def test_recover_by_hand_is_unchanged_where_nothing_is_dead(died: Deaths) -> None:
    death, _ = died.by_hand["operation"]
    death.until_over()
    about: list[dict[str, Any]] = [{"operation_id": death.operation_id}, {"service": death.service.name}, {}]

    ended = [death.plane.run({"operation": "recover", **fields}) for fields in about]

    assert [(each.output.get("outcome"), each.output.get("recovered")) for each in ended] == [("unchanged", [])] * 3
    assert len(death.service.ledger("dev")) == 2


def test_recover_refuses_an_operation_that_is_alive(died: Deaths) -> None:
    plane = died.waited_for.plane
    with plane.somebody_alive() as name:
        ended = plane.run({"operation": "recover", "operation_id": name})

    assert (ended.status, ended.error) == ("FAILED", "Locked")
    assert name in ended.cause["message"]


# What becomes of it.


STOPPED = {
    "moving an existing stage": "1",
    "moving a new stage": None,
    "publishing for an existing stage": "1",
    "publishing for a new stage": None,
}


@pytest.mark.parametrize("where", STOPPED)
def test_what_died_is_whole_again_within_a_minute_and_the_next_deploy_succeeds(died: Deaths, where: str) -> None:
    """All is old again. Only the aliases of a new stage, which take one call each, may all have been made in the meantime."""
    death, old = died.stopped[where], STOPPED[where]
    service, stage = death.service, death.stage
    assert stage is not None

    record = death.until_over()
    begun, over = death.seconds()

    assert 0 <= begun <= over < RECOVERED_WITHIN
    status, ledger = record["status"], service.ledger(stage)
    if status == "committed" and where == "moving a new stage":
        assert (len(ledger), service.says(stage)) == (1, dict.fromkeys(TWENTY, "one"))
    else:
        assert (status, record["end"]["error"]) == ("compensated", "Compensated")
        assert f"Somebody stopped its execution {death.operation_id} (ABORTED)" in record["end"]["cause"]["message"]
        assert (len(ledger), aliases(service, stage)) == ((0, {}) if old is None else (1, dict.fromkeys(TWENTY, old)))
        assert service.says(stage) == ({} if old is None else dict.fromkeys(TWENTY, "one"))
        recorded = (service.record(stage) or {"functions": {}})["functions"].values()
        assert {str(alias["version"]) for alias in recorded} == ({old} if old else set())
    for other in died.stopped.values():
        if other.service is service:
            other.until_over()
    assert_lock_is_free(service)
    assert_nothing_leaked(service)

    output = service.deploy_text(stage, f"after {where}")

    assert {service.answer(logical, stage)["says"] for logical in ("f0", "f19")} == {f"after {where}"}
    assert (output["stage"], len(aliases(service, stage))) == (stage, len(TWENTY))
    assert_nothing_leaked(service)


def test_a_deploy_that_took_too_long_has_changed_nothing(died: Deaths) -> None:
    """Two seconds are enough to begin with publishing, but not on a busy machine: then there is nothing to put back."""
    death = died.timed_out

    record = death.until_over()

    assert death.seconds()[1] < RECOVERED_WITHIN
    assert (record["status"], record["end"]["error"]) in [("compensated", "Compensated"), ("refused", "Internal")]
    assert f"{death.operation_id} ended as TIMED_OUT" in record["end"]["cause"]["message"]
    assert (death.service.record("dev"), aliases(death.service, "dev")) == (None, {})
    assert_nothing_leaked(death.service)
    assert_lock_is_free(death.service)


def test_a_teardown_that_died_goes_forward(died: Deaths) -> None:
    service = died.teardown.service

    record = died.teardown.until_over()

    assert (record["status"], record["recoveries"]) == ("committed", 1), record
    assert died.teardown.seconds()[1] < RECOVERED_WITHIN
    assert service.record("gone") is None
    assert {(len(service.versions(logical)), service.alias(logical, "gone")) for logical in service.functions} == {(0, None)}
    assert service.ledger("gone")[-1]["to_release"] is None
    assert_lock_is_free(service)
    assert service.deploy_text("gone", "three")["previous_release"] is None


def test_a_sweep_that_died_goes_forward(died: Deaths) -> None:
    service = died.sweep.service

    record = died.sweep.until_over()

    assert record["end"]["output"]["deleted_count"] == 6, record["end"]
    assert died.sweep.seconds()[1] < RECOVERED_WITHIN
    assert {tuple(service.versions(logical)) for logical in service.functions} == {("4",)}
    assert_lock_is_free(service)
    service.assert_agreement("dev")


# An update of the control plane.


def test_an_update_of_the_control_plane_in_the_middle_of_a_deploy_loses_nothing(plane: ControlPlane, died: Deaths) -> None:
    """The real `sam deploy` of changed code and a changed definition, while 20 functions are deployed again and again."""
    for death in (*died.stopped.values(), died.timed_out, died.teardown, died.sweep):
        death.until_over()
    service, formation = died.stopped["moving an existing stage"].service, plane.client("cloudformation")
    (before,) = formation.describe_stacks(StackName=plane.stack)["Stacks"]
    runtime = {entry["ParameterKey"]: entry["ParameterValue"] for entry in before["Parameters"]}["Runtime"]
    lines = len(service.ledger("moving"))
    told: list[str] = []
    deployed: list[str] = []

    with ThreadPoolExecutor(1) as pool:
        updating = pool.submit(
            deploy.deploy, plane.instance, _changed_checkout(plane), plane.stack, {"Runtime": runtime}, told.append
        )
        plane.until(lambda: updating.done() or any(line.startswith("Deploying") for line in told))
        while not updating.done():
            ended = plane.run(deploy_request(service, "moving", f"update {len(deployed)}"))
            assert ended.status == "SUCCEEDED", ended.cause
            deployed.append(ended.operation_id)
        updating.result()

    (after,) = formation.describe_stacks(StackName=plane.stack)["Stacks"]
    assert (after["StackStatus"], after["LastUpdatedTime"] > before["LastUpdatedTime"]) == ("UPDATE_COMPLETE", True)
    assert [line["operation_id"] for line in service.ledger("moving")][lines:] == deployed
    assert service.says("moving") == dict.fromkeys(TWENTY, f"update {len(deployed) - 1}")
    service.assert_agreement("moving")
    assert_nothing_leaked(service)
    assert_lock_is_free(service)


def _changed_checkout(plane: ControlPlane) -> Path:
    """The checkout's template and sources, every handler and the definition a little different; the template."""
    changed = plane.instance.folder / "changed"
    shutil.copytree(ROOT / "src", changed / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    shutil.copy(ROOT / "template.yaml", changed)
    with (changed / "src" / "stagekeeper" / "__init__.py").open("a") as module:
        module.write("\n# Updated.\n")
    definition = changed / "src" / "statemachine" / "operation.asl.json"
    definition.write_text(
        definition.read_text().replace("One operation of Stagekeeper.", "One operation of Stagekeeper, updated.")
    )
    return changed / "template.yaml"
