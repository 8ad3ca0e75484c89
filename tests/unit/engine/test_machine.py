"""The interpreter of the state machine: AWS's documented rules on small definitions, then this project's own definition."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from stagekeeper.domain.record import Failed, Succeeded
from stagekeeper.engine.step import Go, Next, Step, dump
from stagekeeper.engine.step import Wait as WaitStep

from .machine import Deliver, Machine, Task, TaskFailed, Walk

ROOT = Path(__file__).parents[3]
ENDS = {"Done": {"Type": "Succeed"}, "Caught": {"Type": "Succeed"}}
CATCH_ALL = {"ErrorEquals": ["States.ALL"], "Next": "Caught"}


def machine(start: Mapping[str, Any], **others: Mapping[str, Any]) -> Machine:
    """Of the state ``Start`` and these others, with the ends Done and Caught where something leads there."""
    states = {"Start": start, **others}
    said = json.dumps(states)
    states |= {name: end for name, end in ENDS.items() if f'"Next": "{name}"' in said}
    return Machine.model_validate_json(json.dumps({"QueryLanguage": "JSONata", "StartAt": "Start", "States": states}))


def task(**more: Any) -> dict[str, Any]:
    arguments = {"FunctionName": "${WorkFunctionArn}", "Payload": "{% $states.input %}"}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, "Next": "Done", **more}


def passing(**more: Any) -> dict[str, Any]:
    return {"Type": "Pass", "Next": "Done", **more}


def choice(*rules: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"Type": "Choice", "Choices": list(rules), **more}


def nobody(function: str, _payload: Any) -> Any:
    raise AssertionError(f"{function} should not have been called")


def failing(*errors: str, then: Any = "an answer") -> Deliver:
    """Fails with one after the other, and answers at last."""
    ahead = iter(errors)

    def deliver(_function: str, _payload: Any) -> Any:
        error = next(ahead, None)
        if error is not None:
            raise TaskFailed(error, f"{error} it was")
        return then

    return deliver


def begin(definition: Machine, given: Any = None, slept: list[float] | None = None) -> Walk:
    return Walk(definition, "op-1", given, ([] if slept is None else slept).append)


def run(definition: Machine, deliver: Deliver = nobody, given: Any = None, slept: list[float] | None = None) -> Walk:
    walk = begin(definition, given, slept)
    while walk.state is not None:
        walk.enter(deliver)
    return walk


def output(template: Any, given: Any = None) -> Any:
    walk = run(machine(passing(Output=template)), given=given)
    assert walk.status == "SUCCEEDED", walk.cause
    return walk.output


# Loading.

CONDITION = "{% $states.input.yes %}"


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (task(HeartbeatSeconds=5), "HeartbeatSeconds"),
        (task(Parameters={}), "Parameters"),
        (task(End=True), "End"),
        (task(Arguments={"FunctionName": "${WorkFunctionArn}", "Payload": 1, "Qualifier": "live"}), "Qualifier"),
        (task(Retry=[{"ErrorEquals": ["A"], "Jitter": "FULL"}]), "Jitter"),
        (task(Catch=[CATCH_ALL | {"ResultPath": "$"}]), "ResultPath"),
        (choice({"Condition": CONDITION, "Next": "Done"}, Output="no matter"), "Output"),
        (choice({"Condition": CONDITION, "Next": "Done", "Variable": "$.x"}), "Variable"),
        ({"Type": "Wait", "Seconds": 1, "Timestamp": "…", "Next": "Done"}, "Timestamp"),
        ({"Type": "Fail", "Error": "E", "Cause": "c", "CausePath": "$"}, "CausePath"),
        ({"Type": "Succeed", "Output": 1}, "Output"),
        (passing(Result=1), "Result"),
        ({"Type": "Map", "Next": "Done"}, "Map"),
        ({"Type": "Parallel", "Next": "Done"}, "Parallel"),
    ],
)
def test_a_field_or_type_of_state_that_is_not_known_is_refused_by_name(start: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        machine(start)


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (task(Next="Nowhere"), "there is no state Nowhere"),
        (task(Catch=[CATCH_ALL | {"Next": "Nowhere"}]), "there is no state Nowhere"),
        (choice({"Condition": CONDITION, "Next": "Done"}, Default="Nowhere"), "there is no state Nowhere"),
        (task(Resource="arn:aws:states:::dynamodb:getItem"), "Resource"),
        (task(Arguments={"FunctionName": "arn:aws:lambda:…", "Payload": 1}), "FunctionName"),
        (task(Retry=[{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["A"]}]), r"States\.ALL must be alone"),
        (task(Catch=[CATCH_ALL | {"ErrorEquals": ["States.ALL", "A"]}]), r"States\.ALL must be alone"),
        (task(Retry=[{"ErrorEquals": ["A"], "MaxAttempts": "3"}]), "MaxAttempts"),
        (task(Retry=[{"ErrorEquals": ["A"], "JitterStrategy": "SOME"}]), "JitterStrategy"),
        (passing(Output="{% $states.input. %}"), "Output"),
        (passing(Output="{% $states.input %} "), "begins with"),
        (passing(Output={"deep": ["$states.input %}"]}), "begins with"),
        (passing(Output="{% $parse($states.input) %}"), r"\$parse is not known here"),
        (passing(Assign={"states": 1}), "no name of a variable"),
    ],
)
def test_a_definition_that_aws_or_we_could_not_run_is_refused(start: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        machine(start)


def test_a_state_that_no_way_leads_to_is_refused() -> None:
    with pytest.raises(ValidationError, match="no way leads to Island"):
        machine(passing(), Island=passing())


@pytest.mark.parametrize("member", [{"QueryLanguage": "JSONPath"}, {"Version": "1.0"}, {"StartAt": "Nowhere"}])
def test_what_is_said_of_the_whole_machine_must_be_known_too(member: dict[str, str]) -> None:
    definition = {"QueryLanguage": "JSONata", "StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}
    with pytest.raises(ValidationError, match=next(iter(member.values())) if "StartAt" in member else next(iter(member))):
        Machine.model_validate_json(json.dumps(definition | member))


# Retry.


@pytest.mark.parametrize(
    ("names", "error", "takes"),
    [
        (["A"], "A", True),
        (["A"], "B", False),
        (["A", "B"], "B", True),
        (["States.ALL"], "A", True),
        (["States.ALL"], "States.Timeout", True),
        (["States.ALL"], "States.DataLimitExceeded", False),
        (["States.ALL"], "States.Runtime", False),
        (["States.TaskFailed"], "A", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.TaskFailed"], "States.Runtime", False),
        (["States.Timeout"], "States.Timeout", True),
        (["States.DataLimitExceeded"], "States.DataLimitExceeded", True),
        (["States.Runtime"], "States.Runtime", False),
    ],
)
def test_which_errors_a_retry_and_a_catch_take(names: list[str], error: str, takes: bool) -> None:
    retried = run(machine(task(Retry=[{"ErrorEquals": names}])), failing(error))
    caught = run(machine(task(Catch=[{"ErrorEquals": names, "Next": "Caught"}])), failing(error))
    assert retried.status == ("SUCCEEDED" if takes else "FAILED")
    assert caught.visited == (["Start", "Caught"] if takes else ["Start"])
    assert takes or (retried.error, caught.error, caught.cause) == (error, error, f"{error} it was")


TWO_RETRIERS = [
    {"ErrorEquals": ["A", "B"], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 2},
    {"ErrorEquals": ["C"], "IntervalSeconds": 5},
]


@pytest.mark.parametrize(
    ("retry", "errors", "slept", "end"),
    [
        (TWO_RETRIERS, "A", [1], "Done"),
        # The example of AWS's documentation: the last error finds its retrier spent.
        (TWO_RETRIERS, "ABCB", [1, 2, 5], "Caught"),
        (TWO_RETRIERS, "ACB", [1, 5, 2], "Done"),
        (TWO_RETRIERS, "D", [], "Caught"),
        # A spent retrier does not pass the error on to a later one.
        ([{"ErrorEquals": ["A"], "MaxAttempts": 1}, {"ErrorEquals": ["States.ALL"]}], "AA", [1], "Caught"),
        ([{"ErrorEquals": ["A"], "MaxAttempts": 0}], "A", [], "Caught"),
        ([{"ErrorEquals": ["A"]}], "AAA", [1, 2, 4], "Done"),
        ([{"ErrorEquals": ["A"]}], "AAAA", [1, 2, 4], "Caught"),
        ([{"ErrorEquals": ["A"], "IntervalSeconds": 4, "MaxDelaySeconds": 10}], "AAA", [4, 8, 10], "Done"),
        ([{"ErrorEquals": ["A"], "IntervalSeconds": 4, "BackoffRate": 1.5, "JitterStrategy": "FULL"}], "AA", [4, 6], "Done"),
    ],
)
def test_how_often_and_after_how_long_a_task_is_tried_again(
    retry: list[dict[str, Any]], errors: str, slept: list[float], end: str
) -> None:
    found: list[float] = []
    walk = run(machine(task(Retry=retry, Catch=[CATCH_ALL])), failing(*errors), slept=found)
    assert (found, walk.visited) == (slept, ["Start", end])


def test_each_entry_of_a_state_counts_its_attempts_anew() -> None:
    again = choice({"Condition": "{% $states.input = 'again' %}", "Next": "Start"}, Default="Done")
    start = task(Retry=[{"ErrorEquals": ["A"], "MaxAttempts": 1}], Output="{% $states.result.Payload %}", Next="Ask")
    walk = begin(machine(start, Ask=again, Done={"Type": "Succeed"}))
    walk.enter(failing("A", then="again"))
    walk.enter(nobody)
    walk.enter(failing("A"))
    assert walk.state == "Ask"


def test_an_attempt_is_told_how_many_went_before() -> None:
    told: list[Any] = []

    def deliver(_function: str, payload: Any) -> Any:
        told.append(payload)
        return failing(*(["A"] if len(told) < 3 else []))("Work", payload)

    arguments = {"FunctionName": "${WorkFunctionArn}", "Payload": "{% $states.context.State.RetryCount %}"}
    run(machine(task(Arguments=arguments, Retry=[{"ErrorEquals": ["A"]}])), deliver)
    assert told == [0, 1, 2]


# Catch.


def test_the_first_catch_that_takes_an_error_says_where_to_go() -> None:
    catch = [{"ErrorEquals": [name], "Next": f"After{name}"} for name in ("A", "B")] + [{"ErrorEquals": ["B"], "Next": "Done"}]
    walk = run(machine(task(Catch=catch), AfterA=passing(), AfterB=passing()), failing("B"))
    assert walk.visited == ["Start", "AfterB", "Done"]


def test_a_caught_error_is_the_next_input_unless_catch_says_another() -> None:
    caught = run(machine(task(Catch=[CATCH_ALL])), failing("A"))
    assert caught.output == {"Error": "A", "Cause": "A it was"}
    told = CATCH_ALL | {"Output": {"what": "{% $states.errorOutput.Error %}", "of": "{% $states.input.n %}"}}
    assert run(machine(task(Catch=[told])), failing("A"), {"n": 7}).output == {"what": "A", "of": 7}


def test_an_error_without_a_cause_has_none() -> None:
    def deliver(_function: str, _payload: Any) -> Any:
        raise TaskFailed("States.Timeout")

    assert run(machine(task(Catch=[CATCH_ALL])), deliver).output == {"Error": "States.Timeout"}
    assert run(machine(task()), deliver).cause is None


def test_an_expression_of_a_task_that_fails_is_caught_like_its_failure() -> None:
    caught = run(machine(task(Output="{% $states.result.nothing %}", Catch=[CATCH_ALL])), failing())
    assert caught.output["Error"] == "States.QueryEvaluationError"
    assert "$states.result.nothing" in caught.output["Cause"]


def test_what_fails_in_a_catch_is_not_caught_again() -> None:
    broken = CATCH_ALL | {"Output": "{% $states.input.nothing %}"}
    walk = run(machine(task(Catch=[broken])), failing("A"))
    assert (walk.status, walk.error) == ("FAILED", "States.QueryEvaluationError")


# Expressions.

GIVEN = {"one": [1], "ones": [{"a": 1}], "two": [{"a": 1}, {"a": 2}], "none": [], "nil": None, "words": 'é"\n'}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        ("a {% b %} c", "a {% b %} c"),
        ({"deep": ["{% 1 + 1 %}", {"er": "{% $states.input.one %}"}]}, {"deep": [2, {"er": [1]}]}),
        ("{%$states.input.words%}", 'é"\n'),
        # A list of one stays a list; what a path gathers from it does not.
        ("{% $states.input.one %}", [1]),
        ("{% $states.input.ones %}", [{"a": 1}]),
        ("{% $states.input.ones.a %}", 1),
        ("{% [$states.input.ones.a] %}", [1]),
        ("{% [$states.input.one] %}", [1]),
        ("{% [$states.input.two] %}", [{"a": 1}, {"a": 2}]),
        ("{% [$states.input.none] %}", []),
        ("{% $states.input.two.a %}", [1, 2]),
        ("{% $states.input.none %}", []),
        # Null is something; nothing inside an object is left out.
        ("{% $states.input.nil %}", None),
        ("{% $exists($states.input.nil) %}", True),
        ("{% $exists($states.input.nothing) %}", False),
        ("{% $exists($states.input.nothing) ? 1 : null %}", None),
        ("{% {'here': null, 'gone': $states.input.nothing} %}", {"here": None}),
        ("{% $states.input.nothing = 'x' %}", False),
        ("{% 'x' & $string($states.input.nothing) %}", "x"),
        # As JSON.stringify: no spaces, and nothing escaped that need not be.
        ("{% $string($states.input) %}", json.dumps(GIVEN, ensure_ascii=False, separators=(",", ":"))),
        ("{% $string($states.input.words) %}", 'é"\n'),
        (None, None),
    ],
)
def test_what_an_expression_comes_to(template: Any, value: Any) -> None:
    assert output(template, GIVEN) == value


@pytest.mark.parametrize(
    "expression",
    [
        "$states.input.nothing",
        "$unheard_of",
        "1 / 0",
        "$states.input.n > 'a'",
        "function($x){$x}",
        "{'f': $count}",
        "/a/",
        "$error('no')",
    ],
)
@pytest.mark.parametrize(
    "start",
    [
        passing(Output="{% … %}"),
        passing(Output={"deep": ["{% … %}"]}),
        passing(Assign={"x": "{% … %}"}),
        choice({"Condition": "{% … %}", "Next": "Done"}),
        choice({"Condition": "{% true %}", "Output": "{% … %}", "Next": "Done"}),
        {"Type": "Wait", "Seconds": "{% … %}", "Next": "Done"},
        {"Type": "Fail", "Error": "{% … %}", "Cause": "c"},
        {"Type": "Fail", "Error": "E", "Cause": "{% … %}"},
        task(Arguments={"FunctionName": "${WorkFunctionArn}", "Payload": "{% … %}"}),
    ],
    ids=["output", "deep", "assign", "condition", "rule", "seconds", "error", "cause", "payload"],
)
def test_an_expression_without_a_result_that_is_json_fails_the_execution(start: dict[str, Any], expression: str) -> None:
    written = json.loads(json.dumps(start, ensure_ascii=False).replace("…", expression))
    walk = run(machine(written), given={"n": 1})
    assert (walk.status, walk.error, walk.output) == ("FAILED", "States.QueryEvaluationError", None)


def test_what_an_expression_sees_of_its_execution() -> None:
    context = output("{% $states.context %}", {"n": 1})
    execution = context["Execution"]
    assert (execution["Name"], execution["Input"], execution["RedriveCount"]) == ("op-1", {"n": 1}, 0)
    assert execution["Id"].endswith(":execution:operation:op-1")
    assert context["StateMachine"]["Name"] == "operation"
    assert context["State"] == {"Name": "Start", "RetryCount": 0}


def test_the_input_of_the_execution_is_seen_in_every_state() -> None:
    later = passing(Output="{% [$states.input, $states.context.Execution.Input.n] %}")
    assert run(machine(passing(Output="changed", Next="Later"), Later=later), given={"n": 1}).output == ["changed", 1]


# Variables.


def test_a_variable_is_seen_by_the_states_that_follow() -> None:
    later = passing(Output={"x": "{% $x %}", "deep": "{% $x.of[0] %}", "null": "{% $exists($n) %}"})
    walk = run(machine(passing(Assign={"x": {"of": ["{% $states.input %}"]}, "n": None}, Next="Later"), Later=later), given=3)
    assert walk.output == {"x": {"of": [3]}, "deep": 3, "null": True}
    assert walk.variables == {"x": {"of": [3]}, "n": None}


def test_a_state_sees_its_variables_as_they_were_on_entry() -> None:
    change = passing(Assign={"a": 2, "b": "{% $a %}"}, Output="{% $a %}")
    walk = run(machine(passing(Assign={"a": 1}, Next="Change"), Change=change))
    assert (walk.output, walk.variables) == (1, {"a": 2, "b": 1})


@pytest.mark.parametrize(
    ("start", "deliver", "variables"),
    [
        (task(Assign={"x": "{% $states.result.Payload %}"}, Catch=[CATCH_ALL]), failing(), {"x": "an answer"}),
        (task(Assign={"x": 1}, Catch=[CATCH_ALL | {"Assign": {"y": "{% $states.input %}"}}]), failing("A"), {"y": "in"}),
        (choice(*({"Condition": on, "Assign": {"x": on}, "Next": "Done"} for on in (False, True))), nobody, {"x": True}),
    ],
    ids=["task", "catch", "rule"],
)
def test_only_the_way_that_is_taken_assigns(start: dict[str, Any], deliver: Deliver, variables: dict[str, Any]) -> None:
    assert run(machine(start), deliver, "in").variables == variables


# The states.


def test_a_task_calls_the_function_of_its_placeholder_with_its_payload() -> None:
    called: list[tuple[str, Any]] = []
    arguments = {"FunctionName": "${TearDownFunctionArn}", "Payload": {"schema": 1, "of": "{% $states.input.n %}"}}
    run(machine(task(Arguments=arguments)), lambda function, payload: called.append((function, payload)), {"n": 5})
    assert called == [("TearDown", {"schema": 1, "of": 5})]


def test_without_an_output_a_task_leaves_what_lambda_invoke_answers() -> None:
    assert run(machine(task()), failing(then={"n": 1})).output["Payload"] == {"n": 1}
    assert run(machine(task(Output="{% $states.result.Payload %}")), failing(then={"n": 1})).output == {"n": 1}


@pytest.mark.parametrize(("given", "visited"), [("a", ["Start", "A"]), ("b", ["Start", "B"]), ("c", ["Start", "Done"])])
def test_the_first_choice_that_is_true_is_taken(given: str, visited: list[str]) -> None:
    rules = [("a", "A"), ("b", "B"), ("a", "B")]
    start = choice(*({"Condition": f"{{% $states.input = '{on}' %}}", "Next": to} for on, to in rules), Default="Done")
    ends = {name: {"Type": "Succeed"} for name in ("A", "B", "Done")}
    walk = run(machine(start, **ends), given=given)
    assert (walk.visited, walk.output) == (visited, given)


def test_a_choice_may_change_what_goes_on() -> None:
    start = choice({"Condition": "{% true %}", "Output": "{% $states.input.output %}", "Next": "Done"})
    assert run(machine(start), given={"output": 1}).output == 1


def test_no_choice_and_no_default_fails_the_execution() -> None:
    walk = run(machine(choice({"Condition": "{% false %}", "Next": "Done"})))
    assert (walk.status, walk.error) == ("FAILED", "States.NoChoiceMatched")


@pytest.mark.parametrize("seconds", [0, 7, "{% $states.input.seconds %}"])
def test_a_wait_passes_its_input_on_after_its_seconds(seconds: Any) -> None:
    slept: list[float] = []
    walk = run(machine({"Type": "Wait", "Seconds": seconds, "Next": "Done"}), given={"seconds": 9}, slept=slept)
    assert slept == [9 if isinstance(seconds, str) else seconds]
    assert walk.output == {"seconds": 9}


@pytest.mark.parametrize("seconds", [-1, 1.5, "7", True, None, 100_000_000])
def test_a_wait_of_no_sensible_length_fails_the_execution(seconds: Any) -> None:
    walk = run(machine({"Type": "Wait", "Seconds": "{% $states.input %}", "Next": "Done"}), given=seconds)
    assert walk.error == "States.QueryEvaluationError"


def test_a_fail_has_its_cause_as_a_string() -> None:
    fail = {"Type": "Fail", "Error": "{% $states.input.error %}", "Cause": "{% $string($states.input.cause) %}"}
    walk = run(machine(fail), given={"error": "Locked", "cause": {"message": "wartet auf Märta", "blockers": []}})
    assert (walk.status, walk.error, walk.output) == ("FAILED", "Locked", None)
    assert walk.cause == '{"message":"wartet auf Märta","blockers":[]}'


def test_a_cause_that_is_no_string_is_an_error_of_its_own() -> None:
    walk = run(machine({"Type": "Fail", "Error": "E", "Cause": "{% $states.input %}"}), given={"no": "string"})
    assert walk.error == "States.QueryEvaluationError"


def test_an_execution_that_has_ended_enters_nothing() -> None:
    walk = run(machine(passing()))
    with pytest.raises(AssertionError, match="op-1 has ended"):
        walk.enter(nobody)


# What passes between states.

QUOTA = 262_144
FILLS = "x" * (QUOTA - 2)  # with its quotes


@pytest.mark.parametrize(("answer", "caught_as"), [(FILLS, None), (FILLS + "x", 1), ("é" * (QUOTA // 2), 1)])
def test_an_answer_fills_awss_quota_of_bytes_and_no_more(answer: str, caught_as: int | None) -> None:
    catch = [{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Caught"}]
    walk = run(machine(task(Output="{% $states.result.Payload %}", Catch=catch)), failing(then=answer))
    assert walk.visited == ["Start", "Done" if caught_as is None else "Caught"]


@pytest.mark.parametrize(
    "more",
    [
        {"Output": "{% [$states.result.Payload, $states.result.Payload] %}"},
        {"Assign": {"x": "{% [$states.result.Payload, $states.result.Payload] %}"}},
        {"Arguments": {"FunctionName": "${WorkFunctionArn}", "Payload": "{% [$states.input, $states.input] %}"}},
    ],
    ids=["output", "variable", "payload"],
)
def test_what_is_too_large_fails_the_execution_whatever_catches_all(more: dict[str, Any]) -> None:
    walk = run(machine(task(Catch=[CATCH_ALL], **more)), failing(then=FILLS), given=FILLS)
    assert (walk.status, walk.error) == ("FAILED", "States.DataLimitExceeded")


def test_an_answer_that_is_no_json_is_the_tests_to_hear_of() -> None:
    with pytest.raises(TypeError, match="set"):
        run(machine(task(Catch=[CATCH_ALL])), failing(then={1, 2}))


def test_nobody_can_change_what_has_travelled() -> None:
    mine: dict[str, Any] = {"n": [1]}
    kept: list[Any] = []

    def deliver(_function: str, payload: Any) -> Any:
        payload["n"].append(2)
        kept.append({"answer": [1]})
        return kept[-1]

    walk = begin(machine(task(Output="{% [$states.context.Execution.Input, $states.input, $states.result.Payload] %}")), mine)
    mine["n"].append(3)
    walk.enter(deliver)
    kept[0]["answer"].append(2)
    walk.enter(nobody)
    assert walk.output == [{"n": [1]}, {"n": [1]}, {"answer": [1]}]


class Killed(BaseException):
    """As a harness kills a worker."""


@pytest.mark.parametrize("kind", [Killed, KeyError, AssertionError])
def test_other_exceptions_pass_through_and_leave_the_execution_where_it_stood(kind: type[BaseException]) -> None:
    def deliver(_function: str, _payload: Any) -> Any:
        raise kind

    walk = begin(machine(task(Retry=[{"ErrorEquals": ["States.ALL"]}], Catch=[CATCH_ALL])), "in")
    with pytest.raises(kind):
        walk.enter(deliver)
    assert (walk.state, walk.status, walk.state_input) == ("Start", "RUNNING", "in")
    walk.enter(failing())
    assert walk.state == "Done"


# This project's own definition. Nothing here lists its states: what the engine answers is read from the engine.

OPERATION = Machine.load(ROOT / "src/statemachine/operation.asl.json")
TASKS = {name for name, state in OPERATION.states.items() if isinstance(state, Task)}
SOURCES = ROOT / "src/stagekeeper"


def answer(walk: Walk, step: Step) -> None:
    """Let the task that is next answer so, as a handler writes it, and go on to the next task or to the end."""

    def deliver(function: str, payload: Any) -> Any:
        return {"schema": payload["schema"], "state": function, "operation_id": payload["operation_id"], **dump(step)}

    walk.enter(deliver)
    while walk.state is not None and walk.state not in TASKS:
        walk.enter(nobody)


def operation(slept: list[float] | None = None) -> Walk:
    return begin(OPERATION, {"operation": "deploy"}, slept)


@pytest.mark.parametrize("state", get_args(Next))
def test_every_state_that_an_answer_may_name_comes_next(state: Next) -> None:
    walk = operation()
    answer(walk, Go(state))
    assert walk.state == state


def test_an_answer_may_end_the_execution_well() -> None:
    walk = operation()
    answer(walk, Succeeded({"outcome": "unchanged", "warnings": ["one"]}))
    assert (walk.status, walk.output) == ("SUCCEEDED", {"outcome": "unchanged", "warnings": ["one"]})


def test_an_answer_may_end_the_execution_with_a_refusal() -> None:
    walk = operation()
    cause = {"message": "wartet auf Märta", "blockers": [], "operation_id": "op-1", "warnings": ["one"]}
    answer(walk, Failed("Locked", cause))
    assert (walk.status, walk.error, json.loads(walk.cause or "")) == ("FAILED", "Locked", cause)


@pytest.mark.parametrize("cause", ["it was the worker", None])
@pytest.mark.parametrize("error", ["Unanswered", "States.Timeout", "Runtime.ExitError"])
def test_where_everything_fails_the_execution_says_so_in_the_contracts_form(error: str, cause: str | None) -> None:
    def deliver(_function: str, _payload: Any) -> Any:
        raise TaskFailed(error, cause)

    walk = run(OPERATION, deliver, {"operation": "deploy"})
    assert (walk.status, walk.error) == ("FAILED", "Internal")
    told = json.loads(walk.cause or "")
    assert set(told) == {"message", "blockers", "operation_id", "warnings"}
    assert error in told["message"]
    assert (cause or "") in told["message"]


def test_what_waits_goes_on_where_it_waited() -> None:
    waiting = set(states_that_may_wait())
    resumed = {}
    for state in waiting:
        slept: list[float] = []
        walk = operation(slept)
        if walk.state != state:
            answer(walk, Go(state))  # type: ignore[arg-type]  # a state's name, read from a handler
        answer(walk, WaitStep(7))
        assert slept == [7]
        resumed[state] = walk.state
    assert resumed == {state: state for state in waiting}
    assert waiting, "no handler was found that waits: the reading of the sources is broken"


def states_that_may_wait() -> Iterator[str]:
    """The states whose handler's function makes a Wait, itself or in what it names, however far that is."""
    makes, names = read_engine()
    for path in sorted((SOURCES / "handlers").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in tree.body:
            for name in states_of(function):
                if reaches(set(names_in(tree, path.stem, function)), makes, names):
                    yield name


def states_of(function: ast.stmt) -> list[str]:
    """The state that a function is the handler of, if it is one's: ``@state("Lock")``."""
    decorators = function.decorator_list if isinstance(function, ast.FunctionDef) else []
    calls = [each for each in decorators if isinstance(each, ast.Call) and ast.unparse(each.func) == "state"]
    return [ast.literal_eval(call.args[0]) for call in calls]


#: A module of the engine and what it defines.
Definition = tuple[str, str]


def reaches(ahead: set[Definition], makes: set[Definition], names: Mapping[Definition, set[Definition]]) -> bool:
    seen: set[Definition] = set()
    while ahead - seen:
        seen |= ahead
        ahead = {found for name in ahead for found in names.get(name, ())}
    return bool(seen & makes)


def read_engine() -> tuple[set[Definition], dict[Definition, set[Definition]]]:
    """The definitions that make a Wait, and what each definition names."""
    makes, names = set(), {}
    for path in (SOURCES / "engine").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names[path.stem, node.name] = set(names_in(tree, path.stem, node))
                if any(isinstance(made, ast.Call) and ast.unparse(made.func).split(".")[-1] == "Wait" for made in ast.walk(node)):
                    makes.add((path.stem, node.name))
    return makes, names


def names_in(tree: ast.Module, module: str, node: ast.AST) -> Iterable[Definition]:
    """The engine's definitions that are named in a part of one of its modules."""
    imported: dict[str, Definition] = {}
    for line in tree.body:
        if isinstance(line, ast.ImportFrom) and line.module is not None and line.module.startswith("stagekeeper.engine"):
            of = line.module.removeprefix("stagekeeper.engine").removeprefix(".")
            imported |= {alias.asname or alias.name: (of, alias.name) for alias in line.names}
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield imported.get(each.id, (module, each.id))
        elif (
            isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name) and imported.get(each.value.id, ("?",))[0] == ""
        ):
            yield each.value.id, each.attr
