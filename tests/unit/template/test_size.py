"""What the split of a template as large as CloudFormation takes costs, measured in a process that does nothing else.

The seconds and the memory are those of the whole process: Python's start, the import of the SAM translator, reading, expansion
and the split.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SECONDS = 2.0
MEBIBYTES = 256

_MEASURED = """
import json, pathlib, re, resource, sys
from stagekeeper.domain.split import split
from stagekeeper.template.expand import expand
from stagekeeper.template.read import read

result = split(expand(read(open(sys.argv[1]).read()), {}, "eu-west-1"))
used = resource.getrusage(resource.RUSAGE_SELF)
resources = len(result.service["Resources"]) + len(result.stage["Resources"])
# On Linux the kernel counts the process that this one was forked from as well, but for VmHWM.
status = pathlib.Path("/proc/self/status")
peak = used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)
if status.exists():
    peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) / 1024
print(json.dumps([resources, used.ru_utime + used.ru_stime, peak]))
"""


def _sam(functions: int) -> str:
    """Each function makes five resources: itself, its role, a schedule, a path of the API, and permissions for both."""
    made = "".join(
        f"""
  Function{n}:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: s3://artifacts/f{n}.zip
      Handler: a.b
      Environment:
        Variables:
          TABLE: !Ref Table
      Policies:
        - DynamoDBCrudPolicy:
            TableName: !Ref Table
      Events:
        Get:
          Type: Api
          Properties:
            Path: /things/{n}
            Method: get
        Tick:
          Type: Schedule
          Properties:
            Schedule: rate(1 day)
"""
        for n in range(functions)
    )
    return f"""
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.13
Resources:
  Table:
    Type: AWS::Serverless::SimpleTable
{made}"""


def _plain() -> str:
    resources: dict[str, object] = {"Role": {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}}}}
    for n in range(100):
        function = {"Role": {"Fn::GetAtt": ["Role", "Arn"]}, "Environment": {"Variables": {"T": {"Ref": f"Table{n}"}}}}
        resources[f"Table{n}"] = {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {"TableName": {"Fn::Sub": f"${{AWS::StackName}}-table{n}"}},
        }
        resources[f"Function{n}"] = {"Type": "AWS::Lambda::Function", "Properties": function}
        resources[f"Queue{n}"] = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": f"queue-{n}"}}
        resources[f"Rule{n}"] = {
            "Type": "AWS::Events::Rule",
            "Properties": {"Targets": [{"Id": "f", "Arn": {"Fn::GetAtt": [f"Function{n}", "Arn"]}}]},
        }
        if n:
            resources[f"Reader{n}"] = {
                "Type": "AWS::Lambda::EventSourceMapping",
                "Properties": {"FunctionName": {"Ref": f"Function{n}"}, "EventSourceArn": {"Fn::GetAtt": [f"Queue{n}", "Arn"]}},
            }
    return json.dumps({"Resources": resources}, indent=2)


@pytest.mark.parametrize(("text", "least"), [(_sam(100), 500), (_plain(), 500)], ids=["sam", "plain"])
def test_500_resources_are_split_in_time_and_memory(text: str, least: int, tmp_path: Path) -> None:
    file = tmp_path / "template"
    file.write_text(text)
    # The shortest of three: other tests run beside this one.
    measured = [_measured(file) for _ in range(3)]
    resources, seconds, mebibytes = min(measured, key=lambda one: one[1])
    assert resources >= least
    assert seconds < SECONDS, f"{seconds:.2f} s"
    assert mebibytes < MEBIBYTES, f"{mebibytes:.0f} MiB"


def _measured(file: Path) -> tuple[int, float, float]:
    command = [sys.executable, "-c", _MEASURED, str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - the code is ours
    resources, seconds, mebibytes = json.loads(done.stdout)
    return resources, seconds, mebibytes
