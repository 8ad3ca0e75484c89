"""The state machine's definition against the template, the handlers and the engine: what they say about each other is true.

What Step Functions itself would check only at run time (a task that is cut off before its Lambda) is checked here, and so is
how many history events an operation leaves. How the definition runs is in engine/test_machine.py.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from stagekeeper.domain.lock import seconds_until_next_ask
from stagekeeper.domain.operation import OperationKind, Status
from stagekeeper.engine import compensate, recover, step
from tests.adapters.records import RECORD

from .permissions.template import load

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "src/statemachine/operation.asl.json").read_text()
MACHINE: dict[str, Any] = json.loads(TEXT)
STATES: dict[str, dict[str, Any]] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
each_task = pytest.mark.parametrize("name", sorted(TASKS))
TEMPLATE: dict[str, Any] = load()
SUBSTITUTIONS: dict[str, Any] = TEMPLATE["Resources"]["Operation"]["Properties"]["DefinitionSubstitutions"]


def function_of(name: str) -> dict[str, Any]:
    """The properties of the Lambda that a state calls, through the template's substitution."""
    placeholder = TASKS[name]["Arguments"]["FunctionName"].removeprefix("${").removesuffix("}")
    resource = SUBSTITUTIONS[placeholder]["GetAtt"].removesuffix(".Arn")
    properties: dict[str, Any] = TEMPLATE["Resources"][resource]["Properties"]
    return properties


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def targets(state: Mapping[str, Any]) -> Iterator[str]:
    """Every state that may come next."""
    for key in ("Next", "Default"):
        if key in state:
            yield state[key]
    for branch in (*state.get("Choices", ()), *state.get("Catch", ())):
        yield branch["Next"]


def reachable(start: str) -> set[str]:
    found, ahead = set(), [start]
    while ahead:
        name = ahead.pop()
        found.add(name)
        ahead += [target for target in targets(STATES[name]) if target not in found]
    return found


# The definition in itself.


@pytest.mark.parametrize("name", sorted(STATES))
def test_every_state_comes_to_an_end(name: str) -> None:
    assert {"Succeed", "Fail"} & reachable(name)


@each_task
def test_every_failure_is_caught_and_told(name: str) -> None:
    """The last catch takes whatever there is, and its output says what it was."""
    last = TASKS[name]["Catch"][-1]
    assert last["ErrorEquals"] == ["States.ALL"]
    assert last["Next"] == ("Fail" if name == "Compensate" else "Compensate")
    assert "$states.errorOutput.Error" in last["Output"]
    assert "$states.errorOutput.Cause" in last["Output"]


@each_task
def test_a_cut_off_task_names_itself(name: str) -> None:
    if name != "Compensate":
        assert f"'state': '{name}'" in TASKS[name]["Catch"][-1]["Output"]


@each_task
def test_every_task_is_told_the_schema_the_operation_and_the_execution_that_carries_it(name: str) -> None:
    payload = TASKS[name]["Arguments"]["Payload"]
    assert payload["schema"] == 1
    assert payload["execution"] == "{% $states.context.Execution.Name %}"
    # The first state has nothing but the execution to name the operation by.
    first = name == MACHINE["StartAt"]
    assert payload["operation_id"] == ("{% $states.context.Execution.Name %}" if first else "{% $operation_id %}")


def test_only_a_recovery_changes_which_operation_the_states_are_about() -> None:
    assigned = {name: state["Assign"] for name, state in STATES.items() if "Assign" in state}
    assert assigned == {
        "Accept": {"operation_id": "{% $states.context.Execution.Name %}"},
        "Recover": {"operation_id": "{% $states.result.Payload.operation_id %}"},
    }


@each_task
def test_every_task_goes_where_its_answer_says(name: str) -> None:
    assert TASKS[name]["Output"] == "{% $states.result.Payload %}"
    assert TASKS[name]["Next"] == "Route"


# The definition and the engine.


def routes() -> dict[str, str]:
    """What Route obeys: the answer's `next` -> the state."""
    found = {}
    for choice in STATES["Route"]["Choices"]:
        condition = re.fullmatch(r"\{% \$states\.input\.next = '(\w+)' %\}", choice["Condition"])
        assert condition is not None, choice["Condition"]
        found[condition[1]] = choice["Next"]
    return found


def test_route_knows_no_other_states_than_the_engine() -> None:
    assert set(routes()) == {*get_args(step.Next), "Wait", "Succeed"}
    assert STATES["Route"]["Default"] == "Fail"


# The definition and the template.


def test_every_substitution_is_used_and_every_one_used_is_there() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(SUBSTITUTIONS)


@each_task
def test_every_state_calls_the_lambda_of_its_name(name: str) -> None:
    assert TASKS[name]["Arguments"]["FunctionName"] == f"${{{name}FunctionArn}}"
    assert SUBSTITUTIONS[f"{name}FunctionArn"] == {"GetAtt": f"{name}Function.Arn"}


@each_task
def test_a_task_outlives_its_lambda(name: str) -> None:
    """Else the state machine would go on while the Lambda is still at work. An hour is the longest that makes sense."""
    assert function_of(name)["Timeout"] < TASKS[name]["TimeoutSeconds"] <= 3600


def test_the_whole_machine_outlives_the_longest_wait_and_every_task() -> None:
    longest_wait = 3600
    assert MACHINE["TimeoutSeconds"] > longest_wait + sum(task["TimeoutSeconds"] for task in TASKS.values())


# The definition and the handlers.


@each_task
def test_every_state_has_a_handler_module_of_its_name(name: str) -> None:
    module = f"stagekeeper.handlers.{snake(name)}"
    assert function_of(name)["Handler"] == f"{module}.handler"
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    tree = ast.parse(Path(found.origin).read_text())
    (handler,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "handler"]
    # The name it gives itself is what Resume goes by.
    assert [ast.unparse(decorator) for decorator in handler.decorator_list] == [f"state('{name}')"]


def test_every_handler_is_a_state_but_those_that_eventbridge_and_cloudformation_call() -> None:
    """The other modules of the folder are what handlers share."""
    modules = {path.stem for path in (ROOT / "src/stagekeeper/handlers").glob("*.py") if _has_handler(path)}
    assert modules == {snake(name) for name in TASKS} | {"notice", "orphaned_versions"}


def _has_handler(module: Path) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "handler" for node in ast.parse(module.read_text()).body)


# History events. Entered and exited; a Lambda task is also scheduled, started and succeeded.

EVENTS = {"Task": 5, "Choice": 2, "Wait": 2, "Succeed": 2, "Fail": 1}
EXECUTION_STARTED_AND_ENDED = 2


def events(*names: str) -> int:
    return sum(EVENTS[STATES[name]["Type"]] for name in names)


def test_waiting_a_full_hour_stays_under_5000_events() -> None:
    """AWS ends an execution at 25,000 events. The engine waits so many seconds after having waited so long."""
    waited, asks = 0, 0
    while waited < 3600:
        waited += seconds_until_next_ask(waited)
        asks += 1
    waiting = asks * events("Lock", "Route", "Wait", "Resume")
    assert waiting < 4_200
    assert waiting + events(*LONGEST) + EXECUTION_STARTED_AND_ENDED < 5_000


def test_a_sweep_that_waits_for_one_service_after_the_other_stays_under_awss_25000_events() -> None:
    """It has an hour's patience for each, and the machine ends it at last."""
    waited, asks = 0, 0
    while waited < MACHINE["TimeoutSeconds"]:
        waited += seconds_until_next_ask(waited % 3600)
        asks += 1
    assert asks * events("Collect", "Route", "Wait", "Resume") < 20_000


@pytest.mark.parametrize(("state", "seconds"), [("Recover", recover._LOOK_AGAIN), ("Compensate", compensate._LOOK_AGAIN)])
def test_waiting_until_another_execution_ends_stays_under_awss_25000_events(state: str, seconds: int) -> None:
    """By hand, or redriven: both end with that one, at the latest when the machine times out."""
    looks = MACHINE["TimeoutSeconds"] // seconds
    assert looks * events(state, "Route", "Wait", "Resume") < 20_000


def way(*names: str) -> tuple[str, ...]:
    """The states of an operation whose tasks are these, with Route after each."""
    return tuple(state for name in names for state in (name, "Route"))


#: A deploy that drops a function; one that fails in its last phase is as long.
LONGEST = (*way("Accept", "Lock", "Plan", "Publish", "Move", "Commit", "CleanUp"), "Succeed")


def test_an_operation_that_does_not_wait_stays_under_100_events() -> None:
    assert events(*LONGEST) + EXECUTION_STARTED_AND_ENDED < 100
    failed = (*way("Accept", "Lock", "Plan", "Publish", "Move", "Commit", "Compensate"), "Fail")
    assert events(*failed) + EXECUTION_STARTED_AND_ENDED < 100


def path_of(kind: OperationKind, *later: Status) -> list[str]:
    """The tasks that an operation's record sends it through; ``later``: how its status goes on after it is on record."""
    record = replace(RECORD, kind=kind)
    path = ["Accept"]
    for status in (Status.PLANNED, *later):
        following = step.resume(replace(record, status=status))
        assert isinstance(following, step.Go)
        path += ["Lock", "Plan"] if following.state == "Lock" else [following.state]
    return path


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (OperationKind.DEPLOY, ["Accept", "Lock", "Plan", "Publish"]),
        (OperationKind.ROLLBACK, ["Accept", "Lock", "Plan", "Move"]),
        (OperationKind.RESET, ["Accept", "Lock", "Plan", "Move"]),
        (OperationKind.CLONE, ["Accept", "Lock", "Plan", "Move"]),
        (OperationKind.CONFIGURE, ["Accept", "Lock", "Plan", "Commit"]),
        (OperationKind.ADOPT, ["Accept", "Lock", "Plan", "Commit"]),
        (OperationKind.TEARDOWN, ["Accept", "Lock", "Plan", "TearDown"]),
        (OperationKind.SWEEP, ["Accept", "Inspect", "Collect"]),
    ],
)
def test_where_the_record_sends_an_operation_once_its_intent_is_on_record(kind: OperationKind, path: list[str]) -> None:
    assert path_of(kind, Status.CONVERGING) == path


@pytest.mark.parametrize("kind", [OperationKind.ROLLBACK, OperationKind.RESET, OperationKind.CLONE])
def test_putting_a_stage_on_a_release_that_exists_calls_at_most_six_handlers(kind: OperationKind) -> None:
    """It publishes nothing and drops nothing, so nothing follows the commit."""
    assert len([*path_of(kind, Status.CONVERGING), "Commit"]) <= 6


#: They have no record of their own: one only looks, the other goes on with another operation's.
WITHOUT_RECORD = {OperationKind.VERIFY, OperationKind.RECOVER}


@pytest.mark.parametrize("kind", sorted(set(OperationKind) - WITHOUT_RECORD))
@pytest.mark.parametrize(("status", "state"), [(Status.COMMITTED, "CleanUp"), (Status.COMPENSATING, "Compensate")])
def test_what_is_decided_is_followed_up(kind: OperationKind, status: Status, state: str) -> None:
    assert step.resume(replace(RECORD, kind=kind, status=status)) == step.Go(state)  # type: ignore[arg-type]  # a state's name


@pytest.mark.parametrize("kind", sorted(WITHOUT_RECORD))
def test_what_has_no_record_cannot_be_gone_on_with(kind: OperationKind) -> None:
    with pytest.raises(AssertionError, match=kind):
        step.resume(replace(RECORD, kind=kind, status=Status.CONVERGING))
