"""A checkout with the command line in it, and the account that it talks to: all on moto, whose Step Functions runs nothing.

A command is left with `--no-wait`; what it sends is what the execution has as its input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, cast

import boto3
import pytest
import typer
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.stepfunctions.models import stepfunctions_backends

from stagekeeper.cli.main import app
from tests.fake import wire_query

from .books import Books

REGION = "eu-central-1"
#: Made once: that takes longer than a command.
STAGEKEEPER: Any = typer.main.get_command(app)

#: What would make another of this machine than of the next.
AMBIENT = ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_REGION", "STAGEKEEPER_USER", "STAGEKEEPER_BRANCH", "STAGEKEEPER_STACK", "CI")
SIGNS_OF_CI = (
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "BITBUCKET_BUILD_NUMBER",
    "TF_BUILD",
    "CIRCLECI",
    "CODEBUILD_BUILD_ID",
    "JENKINS_URL",
)

FUNCTIONS = """\
service: orders
functions:
  Api: {function_name: orders-api, code: src, configuration: {Timeout: 10}}
  Worker: {function_name: orders-worker}
"""
TEMPLATE = """\
service: orders
template: template.yaml
parameters: {Size: "1", Color: red}
stages:
  dev: {variables: {LOG: debug, KEEP: "7"}, parameters: {Size: "2"}}
  <user>: {variables: {LOG: trace}}
"""
BODY = """\
Resources:
  Api:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.13, Handler: api.handler, CodeUri: src}
"""


@dataclass(frozen=True)
class Answer:
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


class Desk:
    """A checkout in an account with a control plane. ``books`` is its record."""

    def __init__(self, folder: Path, books: Books, account: Account) -> None:
        self.folder, self.books = folder, books
        self.bucket = account.outputs["ArtifactBucketName"]
        self._machine = account.outputs["StateMachineArn"]
        self._sfn, self._s3 = account.sfn, account.s3

    def project(self, text: str) -> None:
        (self.folder / "stagekeeper.yaml").write_text(text)
        (self.folder / "template.yaml").write_text(BODY)
        (self.folder / "src").mkdir(exist_ok=True)
        (self.folder / "src" / "api.py").write_text("def handler(event, context): ...\n")

    def does(self, *words: str) -> Answer:
        with redirect_stdout(StringIO()) as stdout, redirect_stderr(StringIO()) as stderr, pytest.raises(SystemExit) as ended:
            STAGEKEEPER.main(list(words), "stagekeeper")
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, stdout.getvalue(), stderr.getvalue())

    def sends(self, *words: str) -> dict[str, Any]:
        """The one request that a command starts."""
        before = set(self.started())
        answer = self.does(*words, "--no-wait")
        assert answer.code == 0, answer.stderr
        (name,) = set(self.started()) - before
        sent: dict[str, Any] = self.started()[name]
        return sent

    def refuses(self, *words: str) -> Answer:
        """The answer to a command that starts nothing."""
        before = self.started()
        answer = self.does(*words, "--no-wait")
        assert self.started() == before
        assert answer.code not in (0, 1)
        return answer

    def started(self) -> dict[str, Any]:
        """The input of every execution that was started, by its name."""
        listed = self._sfn.list_executions(stateMachineArn=self._machine)["executions"]
        told = (self._sfn.describe_execution(executionArn=each["executionArn"]) for each in listed)
        return {each["name"]: json.loads(each["input"]) for each in told}

    def ends(self, name: str) -> None:
        """An execution succeeds: moto runs nothing, so it would go on for ever."""
        (machine,) = (each for each in stepfunctions_backends["123456789012"][REGION].state_machines if each.arn == self._machine)
        (execution,) = (each for each in machine.executions if each.name == name)
        execution.status, execution.stop_date, execution.output = "SUCCEEDED", datetime.now(UTC), "{}"

    def objects(self) -> set[str]:
        return {each["Key"] for each in self._s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])}

    def read(self, place: Mapping[str, str]) -> bytes:
        return self._s3.get_object(Bucket=place["s3_bucket"], Key=place["s3_key"])["Body"].read()


class Account:
    """Of one file, on moto; but CloudFormation, which moto has only with packages that are not here, has the one stack with these
    ``outputs``. ``session`` is kept, since reading botocore's models takes longer than a test."""

    def __init__(self) -> None:
        self.outputs: dict[str, str] = {}
        self.session = boto3.Session(region_name=REGION)
        self.sfn, self.s3 = self.session.client("stepfunctions"), self.session.client("s3")
        self._describe = self.session.client("cloudformation").meta.service_model.operation_model("DescribeStacks")
        answer: Callable[..., Any] = self._answer
        self.session.events.register("before-send.cloudformation.DescribeStacks", answer)

    def control_plane(self, table: str) -> None:
        """From now on the stack is one with this table, and a bucket and a machine of its own."""
        definition = json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}})
        role, where = "arn:aws:iam::123456789012:role/machine", cast(Any, {"LocationConstraint": REGION})
        made = self.sfn.create_state_machine(name=f"machine-{table}", definition=definition, roleArn=role)
        self.s3.create_bucket(Bucket=f"artifacts-{table}", CreateBucketConfiguration=where)
        self.outputs = {
            "StateMachineArn": made["stateMachineArn"],
            "StateTableName": table,
            "ArtifactBucketName": f"artifacts-{table}",
        }

    def _answer(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        name = wire_query.read_request(self._describe, request)["StackName"]
        outputs = [{"OutputKey": key, "OutputValue": value} for key, value in self.outputs.items()]
        told = {
            "StackName": name,
            "StackId": f"arn:aws:cloudformation:{REGION}:123456789012:stack/{name}/1",
            "CreationTime": datetime.now(UTC),
            "StackStatus": "CREATE_COMPLETE",
            "Outputs": outputs,
        }
        return wire_query.write_answer(self._describe, {"Stacks": [told]}, request, "1")
