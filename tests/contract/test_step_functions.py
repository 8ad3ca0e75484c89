"""Step Functions: a name is an idempotency key, and how a task's failure reaches the execution.

On the embedded AWS alone: there is no other double of Step Functions.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from stagekeeper.embedded import instance as embedded_aws

from .conftest import embedded_client
from .support import EMBEDDED, package_of, recorded, refused, source, unique, wrong_on

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_stepfunctions import SFNClient

pytestmark = pytest.mark.embedded

WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 60, "End": True}}}
PASSES = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}


@dataclass
class Machines:
    """Makes state machines and their functions, and removes them again."""

    states: SFNClient
    lambda_: LambdaClient
    role: str
    made: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)

    def make(self, definition: dict[str, Any]) -> str:
        arn = self.states.create_state_machine(name=unique("machine"), definition=json.dumps(definition), roleArn=self.role)[
            "stateMachineArn"
        ]
        self.made.append(arn)
        return arn

    def function(self, body: str) -> str:
        """A function whose handler has this body; returns its ARN."""
        name = unique("task")
        arn = self.lambda_.create_function(
            FunctionName=name,
            Role=self.role,
            Runtime="python3.12",
            Handler="app.handler",
            Timeout=20,
            Code={"ZipFile": package_of(body)},
        )["FunctionArn"]
        self.functions.append(name)
        self.lambda_.get_waiter("function_active_v2").wait(FunctionName=name)
        return arn

    def ended(self, execution: str, seconds: float = 20) -> dict[str, Any]:
        """Wait for an execution's end; returns its description."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            shown = dict(self.states.describe_execution(executionArn=execution))
            if shown["status"] != "RUNNING":
                return shown
            time.sleep(0.05)
        raise AssertionError(f"still running after {seconds} s: {execution}")

    def run(self, definition: dict[str, Any], given: Any = None) -> dict[str, Any]:
        """Run a new machine to its end; returns the execution's description."""
        machine = self.make(definition)
        started = self.states.start_execution(stateMachineArn=machine, input=json.dumps(given or {}))
        return self.ended(started["executionArn"])


@pytest.fixture
def machines(embedded: embedded_aws.Instance) -> Iterator[Machines]:
    made = Machines(
        embedded_client(embedded, "stepfunctions"),
        embedded_client(embedded, "lambda"),
        f"arn:aws:iam::{embedded.account}:role/contract",
    )
    yield made
    for machine in made.made:
        for page in made.states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING"):
            for execution in page["executions"]:
                _stop(made.states, execution["executionArn"])
        made.states.delete_state_machine(stateMachineArn=machine)
    for function in made.functions:
        made.lambda_.delete_function(FunctionName=function)


def _stop(states: SFNClient, execution: str) -> None:
    try:
        states.stop_execution(executionArn=execution)
    except ClientError as error:
        # It ended by itself in between.
        if error.response["Error"]["Code"] != "ExecutionDoesNotExist":
            raise


def task(function: str, **members: Any) -> dict[str, Any]:
    """A JSONata machine of one Task that calls the function."""
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Arguments": {"FunctionName": function, "Payload": "{% $states.input %}"},
        "Output": "{% $states.result.Payload %}",
        "End": True,
    }
    return {"QueryLanguage": "JSONata", "StartAt": "Task", "States": {"Task": state | members}}


@recorded("TestSnfApi::test_start_execution_idempotent", "2024-08-21")
def test_the_same_name_and_input_while_it_runs_is_the_same_execution(machines: Machines) -> None:
    machine = machines.make(WAITS)
    first = machines.states.start_execution(stateMachineArn=machine, name="deploy-1", input='{"n": 1}')

    again = machines.states.start_execution(stateMachineArn=machine, name="deploy-1", input='{"n": 1}')

    assert (again["executionArn"], again["startDate"]) == (first["executionArn"], first["startDate"])


@recorded("TestSnfApi::test_start_execution_idempotent", "2024-08-21")
def test_the_same_name_with_another_input_is_refused(machines: Machines) -> None:
    machine = machines.make(WAITS)
    first = machines.states.start_execution(stateMachineArn=machine, name="deploy-1", input='{"n": 1}')

    with refused("ExecutionAlreadyExists", 400, f"Execution Already Exists: '{first['executionArn']}'"):
        machines.states.start_execution(stateMachineArn=machine, name="deploy-1", input='{"n": 2}')


@recorded("TestSnfApi::test_start_execution_idempotent", "2024-08-21")
def test_the_same_name_after_it_ended_is_refused(machines: Machines) -> None:
    machine = machines.make(PASSES)
    first = machines.states.start_execution(stateMachineArn=machine, name="deploy-1", input='{"n": 1}')
    machines.ended(first["executionArn"])

    with refused("ExecutionAlreadyExists", 400, f"Execution Already Exists: '{first['executionArn']}'"):
        machines.states.start_execution(stateMachineArn=machine, name="deploy-1", input='{"n": 1}')


@source("AWS Step Functions API reference, DescribeExecution, ExecutionDoesNotExist")
def test_an_execution_that_is_not_there_is_named_so(machines: Machines) -> None:
    execution = machines.make(PASSES).replace(":stateMachine:", ":execution:") + ":missing"

    with refused("ExecutionDoesNotExist", 400):
        machines.states.describe_execution(executionArn=execution)


@source("AWS Step Functions API reference, StopExecution")
def test_a_stopped_execution_is_aborted(machines: Machines) -> None:
    started = machines.states.start_execution(stateMachineArn=machines.make(WAITS))

    machines.states.stop_execution(executionArn=started["executionArn"])

    assert machines.ended(started["executionArn"])["status"] == "ABORTED"


@source("AWS Step Functions developer guide, executions: ABORTED is final, whatever a task does afterwards")
def test_a_stopped_execution_stays_aborted_when_its_task_fails_later(machines: Machines) -> None:
    function = machines.function("    import time\n    time.sleep(1)\n    raise ValueError('too late')")
    started = machines.states.start_execution(stateMachineArn=machines.make(task(function)))
    time.sleep(0.3)

    machines.states.stop_execution(executionArn=started["executionArn"])
    time.sleep(1.5)

    assert machines.states.describe_execution(executionArn=started["executionArn"])["status"] == "ABORTED"


@recorded("TestTaskServiceLambda::test_raise_custom_exception", "2024-11-28")
def test_a_handlers_exception_ends_the_execution_under_its_own_class_name(machines: Machines) -> None:
    function = machines.function("    class StageMoved(Exception): pass\n    raise StageMoved('it serves r3')")

    shown = machines.run(task(function))

    assert (shown["status"], shown["error"]) == ("FAILED", "StageMoved")
    cause = json.loads(shown["cause"])
    assert (cause["errorType"], cause["errorMessage"]) == ("StageMoved", "it serves r3")


@recorded("TestTaskServiceLambda::test_raise_custom_exception", "2024-11-28")
def test_a_handlers_exception_is_caught_by_its_class_name(machines: Machines) -> None:
    function = machines.function("    class StageMoved(Exception): pass\n    raise StageMoved('it serves r3')")
    caught = {"ErrorEquals": ["StageMoved"], "Next": "Caught", "Output": "{% $states.errorOutput.Error %}"}
    definition = task(function, Catch=[caught])
    definition["States"]["Caught"] = {"Type": "Pass", "End": True}

    shown = machines.run(definition)

    assert (shown["status"], json.loads(shown["output"])) == ("SUCCEEDED", "StageMoved")


@source("AWS Step Functions developer guide, error handling: Retry matches the exception's class name")
def test_a_handlers_exception_is_retried_by_its_class_name(machines: Machines) -> None:
    function = machines.function("    class StageMoved(Exception): pass\n    raise StageMoved('it serves r3')")
    retry = {"ErrorEquals": ["StageMoved"], "MaxAttempts": 1, "IntervalSeconds": 1, "BackoffRate": 1}

    shown = machines.run(task(function, Retry=[retry]))

    history = machines.states.get_execution_history(executionArn=shown["executionArn"])["events"]
    assert [event["type"] for event in history].count("TaskFailed") == 2


@recorded("TestTaskServiceLambda::test_invoke_timeout", "2024-11-28")
def test_a_task_that_takes_too_long_is_a_timeout(machines: Machines) -> None:
    function = machines.function("    import time\n    time.sleep(4)")

    shown = machines.run(task(function, TimeoutSeconds=1))

    assert (shown["status"], shown["error"]) == ("FAILED", "States.Timeout")


@source("AWS Step Functions developer guide, Fail state: Error and Cause may be JSONata")
def test_a_fail_state_gives_the_execution_its_error_and_cause(machines: Machines) -> None:
    fails = {"Type": "Fail", "Error": "{% $states.input.code %}", "Cause": "{% $string($states.input.why) %}"}
    definition = {"QueryLanguage": "JSONata", "StartAt": "Fail", "States": {"Fail": fails}}

    shown = machines.run(definition, {"code": "Locked", "why": {"message": "held"}})

    assert (shown["status"], shown["error"]) == ("FAILED", "Locked")
    assert json.loads(shown["cause"]) == {"message": "held"}


@source("AWS Step Functions developer guide, Succeed state: Output may be JSONata")
def test_a_succeed_state_gives_the_execution_its_output(machines: Machines) -> None:
    succeeds = {"Type": "Succeed", "Output": "{% $states.input.output %}"}
    definition = {"QueryLanguage": "JSONata", "StartAt": "Done", "States": {"Done": succeeds}}

    shown = machines.run(definition, {"output": {"outcome": "succeeded"}, "scratch": 1})

    assert (shown["status"], json.loads(shown["output"])) == ("SUCCEEDED", {"outcome": "succeeded"})


@source("AWS Step Functions developer guide, Transforming data with JSONata: an undefined result is an error")
def test_an_expression_without_a_result_fails_the_execution(machines: Machines) -> None:
    passes = {"Type": "Pass", "Output": "{% $states.input.missing %}", "End": True}
    definition = {"QueryLanguage": "JSONata", "StartAt": "Pass", "States": {"Pass": passes}}

    shown = machines.run(definition, {"there": 1})

    assert (shown["status"], shown["error"]) == ("FAILED", "States.QueryEvaluationError")


@source("AWS Step Functions API reference, CreateStateMachine, InvalidDefinition")
def test_a_definition_whose_next_state_is_missing_is_refused(machines: Machines) -> None:
    with refused("InvalidDefinition", 400):
        machines.make({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "Next": "Nowhere"}}})


@source("Amazon States Language, TimeoutSeconds of the state machine")
def test_a_machine_that_takes_too_long_is_timed_out(machines: Machines) -> None:
    assert machines.run(WAITS | {"TimeoutSeconds": 1})["status"] == "TIMED_OUT"


@source("AWS Step Functions quotas: 256 KiB of input or output for a task, state or execution")
def test_a_states_output_over_256_kib_fails_the_execution(machines: Machines) -> None:
    function = machines.function("    return 'x' * 300_000")

    shown = machines.run(task(function))

    assert (shown["status"], shown["error"]) == ("FAILED", "States.DataLimitExceeded")


@source("AWS Step Functions API reference, UpdateStateMachine: running executions keep the definition they began with")
def test_a_new_definition_does_not_change_a_running_execution(machines: Machines) -> None:
    states = {"Wait": {"Type": "Wait", "Seconds": 1, "Next": "End"}, "End": {"Type": "Pass", "Result": 1, "End": True}}
    machine = machines.make({"StartAt": "Wait", "States": states})
    started = machines.states.start_execution(stateMachineArn=machine)
    states = states | {"End": {"Type": "Pass", "Result": 2, "End": True}}

    machines.states.update_state_machine(stateMachineArn=machine, definition=json.dumps({"StartAt": "Wait", "States": states}))

    assert json.loads(machines.ended(started["executionArn"])["output"]) == 1


@source("HumanCellAtlas/data-store#1118, AWS's own error and cause of a throttled task")
def test_a_throttled_call_is_told_as_lambdas_own_error(machines: Machines) -> None:
    function = machines.function("    return 1")
    machines.lambda_.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)

    shown = machines.run(task(function))

    assert (shown["status"], shown["error"]) == ("FAILED", "Lambda.TooManyRequestsException")
    assert shown["cause"].startswith("Rate Exceeded. (Service: AWSLambda; Status Code: 429;")


@recorded("TestTaskServiceLambda::test_no_such_function", "2024-11-28")
def test_a_function_that_is_not_there_is_told_as_lambdas_own_error(machines: Machines) -> None:
    shown = machines.run(task(unique("missing")))

    assert (shown["status"], shown["error"]) == ("FAILED", "Lambda.ResourceNotFoundException")
    assert "Error Code: ResourceNotFoundException" in shown["cause"]


OUTLIVES = source("AWS Step Functions developer guide, StopExecution and TimeoutSeconds end a task, not the function it called")


@OUTLIVES
@pytest.mark.parametrize("ended_by", ["stop", "timeout"])
def test_a_function_goes_on_after_its_task_has_ended(machines: Machines, embedded: embedded_aws.Instance, ended_by: str) -> None:
    s3, bucket = embedded_client(embedded, "s3"), unique("bucket")
    s3.create_bucket(Bucket=bucket)
    function = machines.function(
        f"    import boto3, time\n    time.sleep(2)\n    boto3.client('s3').put_object(Bucket={bucket!r}, Key='late', Body=b'1')"
    )
    machine = machines.make(task(function, **({"TimeoutSeconds": 1} if ended_by == "timeout" else {})))
    started = machines.states.start_execution(stateMachineArn=machine)["executionArn"]
    if ended_by == "stop":
        time.sleep(0.5)
        machines.states.stop_execution(executionArn=started)

    status = machines.ended(started)["status"]
    before = s3.list_objects_v2(Bucket=bucket)["KeyCount"]
    s3.get_waiter("object_exists").wait(Bucket=bucket, Key="late", WaiterConfig={"Delay": 1, "MaxAttempts": 8})

    assert (status, before) == ("ABORTED" if ended_by == "stop" else "FAILED", 0)


@source("AWS Step Functions developer guide, Context object; API reference, RedriveExecution: 0 for one that never was redriven")
def test_the_context_tells_how_often_an_execution_was_redriven(machines: Machines) -> None:
    passes = {"Type": "Pass", "Output": "{% $states.context.Execution.RedriveCount %}", "End": True}

    shown = machines.run({"QueryLanguage": "JSONata", "StartAt": "Pass", "States": {"Pass": passes}})

    assert json.loads(shown["output"]) == 0


@recorded("TestSnfApi::test_describe_execution", "2024-08-21")
def test_an_execution_that_succeeded_cannot_be_redriven(machines: Machines) -> None:
    shown = machines.run(PASSES)

    assert (shown["redriveCount"], shown["redriveStatus"]) == (0, "NOT_REDRIVABLE")
    assert shown["redriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"


@source("AWS Step Functions API reference, RedriveExecution: goes on from the state that failed, under the same name")
@wrong_on(EMBEDDED, "knows no RedriveExecution; the engine's tests deliver every state twice instead")
def test_a_failed_execution_is_redriven(machines: Machines) -> None:
    function = machines.function("    raise ValueError('not yet')")
    failed = machines.run(task(function))
    code = package_of("    return 'now'")
    machines.lambda_.update_function_code(FunctionName=function, ZipFile=code)
    machines.lambda_.get_waiter("function_updated_v2").wait(FunctionName=function)

    machines.states.redrive_execution(executionArn=failed["executionArn"])

    again = machines.ended(failed["executionArn"])
    assert (again["status"], json.loads(again["output"]), again["redriveCount"]) == ("SUCCEEDED", "now", 1)


# What the states of one execution pass on to each other beside their output.


@source("AWS Step Functions developer guide, Passing data between states with variables: set by Assign, read as $name later")
def test_what_a_task_assigns_is_read_by_later_states(machines: Machines) -> None:
    function = machines.function("    return {'stage': event['stage'], 'release': 3}")
    definition = task(function, Assign={"release": "{% $states.result.Payload.release %}"}, Output={}, Next="Read")
    del definition["States"]["Task"]["End"]
    read = {"FunctionName": function, "Payload": {"stage": "{% 'r' & $string($release) %}"}}
    definition["States"]["Read"] = task(function, Arguments=read)["States"]["Task"]

    shown = machines.run(definition, {"stage": "dev"})

    assert json.loads(shown.get("output", "null")) == {"stage": "r3", "release": 3}


@source("AWS Step Functions developer guide, Passing data between states with variables: Assign in Catch, $states.errorOutput")
def test_what_a_catch_assigns_is_read_by_later_states(machines: Machines) -> None:
    function = machines.function("    class StageMoved(Exception): pass\n    raise StageMoved('it serves r3')")
    assign = {"failed": "{% $states.errorOutput.Error %}", "given": "{% $states.input.stage %}"}
    caught = {"ErrorEquals": ["States.ALL"], "Next": "Between", "Assign": assign, "Output": {}}
    definition = task(function, Assign={"failed": "nothing"}, Catch=[caught])
    definition["States"]["Between"] = {"Type": "Pass", "Next": "Read"}
    definition["States"]["Read"] = {"Type": "Pass", "Output": ["{% $failed %}", "{% $given %}"], "End": True}

    shown = machines.run(definition, {"stage": "dev"})

    assert json.loads(shown.get("output", "null")) == ["StageMoved", "dev"]


FROM_BEFORE = source(
    "AWS Step Functions developer guide, Passing data between states with variables: the values on entering the state"
)


def reassigned(machines: Machines, **second: Any) -> Any:
    """The input of a state, $a and $b, when the state before it assigns anew what was $a = 1."""
    states = {
        "First": {"Type": "Pass", "Assign": {"a": 1}, "Next": "Second"},
        "Second": {"Type": "Pass", "Next": "Read"} | second,
        "Read": {"Type": "Pass", "Output": ["{% $states.input %}", "{% $a %}", "{% $b %}"], "End": True},
    }
    shown = machines.run({"QueryLanguage": "JSONata", "StartAt": "First", "States": states})
    return json.loads(shown.get("output", "null"))


@FROM_BEFORE
def test_the_output_of_a_state_sees_the_values_from_before_its_assign(machines: Machines) -> None:
    assert reassigned(machines, Assign={"a": 2, "b": 3}, Output="{% $a %}") == [1, 2, 3]


@FROM_BEFORE
@wrong_on(EMBEDDED, "assigns one after the other; no state of this system assigns what another member of its Assign reads")
def test_the_members_of_an_assign_see_the_values_from_before_it(machines: Machines) -> None:
    assert reassigned(machines, Assign={"a": 2, "b": "{% $a %}"}, Output={}) == [{}, 2, 1]


@source("AWS Step Functions developer guide, Passing data between states with variables: reading one that was never set fails")
def test_a_variable_that_was_never_assigned_fails_the_execution(machines: Machines) -> None:
    passes = {"Type": "Pass", "Output": "{% $missing %}", "End": True}

    shown = machines.run({"QueryLanguage": "JSONata", "StartAt": "Pass", "States": {"Pass": passes}})

    assert (shown["status"], shown["error"]) == ("FAILED", "States.QueryEvaluationError")


@source("AWS Step Functions developer guide, Context object: Execution.Id, .Name and .Input, StateMachine.Id and .Name")
def test_the_context_names_the_execution_and_its_machine(machines: Machines) -> None:
    context = "$states.context"
    told = {
        "execution": f"{{% {context}.Execution.Id %}}",
        "name": f"{{% {context}.Execution.Name %}}",
        "input": f"{{% {context}.Execution.Input %}}",
        "machine": f"{{% {context}.StateMachine.Id %}}",
        "machine_name": f"{{% {context}.StateMachine.Name %}}",
    }
    states = {
        "First": {"Type": "Pass", "Output": {"replaced": True}, "Next": "Told"},
        "Told": {"Type": "Pass", "Output": told, "End": True},
    }
    machine = machines.make({"QueryLanguage": "JSONata", "StartAt": "First", "States": states})

    started = machines.states.start_execution(stateMachineArn=machine, name="deploy-1", input='{"stage": "dev"}')

    shown = machines.ended(started["executionArn"])
    assert json.loads(shown["output"]) == {
        "execution": f"{machine.replace(':stateMachine:', ':execution:')}:deploy-1",
        "name": "deploy-1",
        "input": {"stage": "dev"},
        "machine": machine,
        "machine_name": machine.rsplit(":", 1)[1],
    }


@recorded("TestSnfApi::test_invalid_start_execution_input", "2023-06-22")
def test_an_input_that_is_no_json_is_refused(machines: Machines) -> None:
    machine = machines.make(PASSES)

    with refused("InvalidExecutionInput", 400):
        machines.states.start_execution(stateMachineArn=machine, input="not some json")


@source("AWS Step Functions quotas: 256 KiB of input for an execution")
def test_an_input_over_256_kib_is_refused(machines: Machines) -> None:
    machine = machines.make(PASSES)

    with refused("ValidationException", 400):
        machines.states.start_execution(stateMachineArn=machine, input=json.dumps("x" * 262_144))


@source("AWS Step Functions API reference, StartExecution, name: 1 to 80 characters without white space, brackets and quotes")
@pytest.mark.parametrize("name", ["a" * 81, "with space", "what?", "a/b", 'say "it"'])
def test_a_name_that_cannot_be_one_is_refused(machines: Machines, name: str) -> None:
    with refused("InvalidName", 400):
        machines.states.start_execution(stateMachineArn=machines.make(PASSES), name=name)


@source("AWS Step Functions developer guide, Processing input and output: a path that is not in the input is States.Runtime")
@wrong_on(EMBEDDED, "makes a missing JSONPath null; the machines of this system are JSONata, which fails as it should")
def test_a_jsonpath_that_is_not_there_fails_the_execution(machines: Machines) -> None:
    passes = {"Type": "Pass", "InputPath": "$.missing", "End": True}

    shown = machines.run({"StartAt": "Pass", "States": {"Pass": passes}}, {"there": 1})

    assert (shown["status"], shown.get("error")) == ("FAILED", "States.Runtime")


@source("AWS Step Functions developer guide, IAM policies for calling Lambda: the machine's role needs lambda:InvokeFunction")
@wrong_on(EMBEDDED, "does not check the role of a machine; its policy is compared with the definition statically")
def test_a_machine_calls_only_what_its_role_may_call(machines: Machines, embedded: embedded_aws.Instance) -> None:
    iam, role = embedded_client(embedded, "iam"), unique("powerless")
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    machines.role = iam.create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    function = machines.lambda_.create_function(
        FunctionName=unique("task"),
        Role=f"arn:aws:iam::{embedded.account}:role/contract",
        Runtime="python3.12",
        Handler="app.handler",
        Code={"ZipFile": package_of("    return 1")},
    )["FunctionName"]
    machines.functions.append(function)
    machines.lambda_.get_waiter("function_active_v2").wait(FunctionName=function)

    shown = machines.run(task(function))

    assert (shown["status"], shown.get("error")) == ("FAILED", "Lambda.AWSLambdaException")


@source("Amazon States Language, Retriers: MaxDelaySeconds is the longest wait between two attempts")
@wrong_on(EMBEDDED, "knows no MaxDelaySeconds (nor JitterStrategy): waits longer between attempts, never less often")
def test_a_retrier_waits_no_longer_than_its_maximum(machines: Machines) -> None:
    function = machines.function("    raise ValueError('always')")
    retry = {"ErrorEquals": ["ValueError"], "MaxAttempts": 2, "IntervalSeconds": 1, "BackoffRate": 4, "MaxDelaySeconds": 1}

    shown = machines.run(task(function, Retry=[retry]))

    assert (shown["stopDate"] - shown["startDate"]).total_seconds() < 4
