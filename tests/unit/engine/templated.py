"""A service that is deployed from a template: its text, the accounts it goes to, and what is there afterwards."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from tests.fake.cloudformation import Held

from .execution import Execution
from .world import SERVICE, Saved, World, lambda_name

#: Every stage that a test has, and every text of a function's code.
STAGES = ("prod", "dev", "qa", "jane")
_TEXTS = ("one", "two", "three", "four")
ROLE = "arn:aws:iam::123456789012:role/functions"
STAGE = {"Stagekeeper": {"Scope": "stage"}}

#: Function a is called through an API's permission, b reads a queue of which each stage has its own; all share a table.
TEMPLATE: Mapping[str, Any] = {
    "Parameters": {"StagekeeperStage": {"Type": "String", "Default": "local"}, "Days": {"Type": "String", "Default": "7"}},
    "Resources": {
        "Table": {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "TableName": "orders-table",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            },
        },
        "Work": {"Type": "AWS::SQS::Queue", "Metadata": STAGE, "Properties": {"VisibilityTimeout": 60}},
        "Feed": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {"FunctionName": {"Fn::GetAtt": ["B", "Arn"]}, "EventSourceArn": {"Fn::GetAtt": ["Work", "Arn"]}},
        },
        "Call": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "FunctionName": {"Ref": "A"},
                "Action": "lambda:InvokeFunction",
                "Principal": "apigateway.amazonaws.com",
            },
        },
    },
}


@dataclass(frozen=True)
class SavedService:
    """A service to begin tests from, with its artifact bucket."""

    account: Saved
    stacks: Held
    functions: dict[str, str]
    body: dict[str, Any]


class Templated:
    """``functions``: logical id to the text of its code. ``body`` is the template without them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.functions = {"A": "one", "B": "one"}
        self.body: dict[str, Any] = deepcopy(dict(TEMPLATE))
        #: Properties that a function has besides, by its logical id.
        self.more: dict[str, dict[str, Any]] = {}

    @classmethod
    def nowhere(cls) -> Templated:
        """In an account without anything in it."""
        world = World(())
        world.names = ("a", "b", "c")
        return cls(world)

    def save(self) -> SavedService:
        return SavedService(
            replace(self.world.save(), bucket=self.world.objects.held(self.world.bucket)),
            self.world.stacks.held(),
            deepcopy(self.functions),
            deepcopy(self.body),
        )

    @classmethod
    def restored(cls, saved: SavedService) -> Templated:
        world = World(saved=saved.account)
        world.stacks.hold(saved.stacks)
        restored = cls(world)
        restored.functions, restored.body = deepcopy(saved.functions), deepcopy(saved.body)
        return restored

    @property
    def resources(self) -> dict[str, Any]:
        resources: dict[str, Any] = self.body["Resources"]
        return resources

    def say(self, text: str) -> None:
        """New code of every function."""
        self.functions = dict.fromkeys(self.functions, text)

    def text(self) -> str:
        body = deepcopy(self.body)
        for name, text in self.functions.items():
            place = self.world.upload(name.lower(), text)
            body["Resources"][name] = {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": lambda_name(name.lower()),
                    "Role": ROLE,
                    "Runtime": "python3.13",
                    "Handler": "app.handler",
                    "Code": {"S3Bucket": place["s3_bucket"], "S3Key": place["s3_key"]},
                    **self.more.get(name, {}),
                },
            }
        return json.dumps(body)

    def begin(self, stage: str | None, name: str | None = None, **more: Any) -> Execution:
        text = self.text()
        # Under a name of its own: others may be on their way.
        place = self.world.put_template(text, f"{hashlib.sha256(text.encode()).hexdigest()}.yaml")
        to = {} if stage is None else {"stage": stage}
        return self.world.begin({"operation": "deploy", "template": place, **to, **more}, name)

    def deploy(self, stage: str | None = "prod", name: str | None = None, **more: Any) -> Execution:
        return self.begin(stage, name, **more).run()

    def ask(self, operation: str, stage: str | None = "prod", **more: Any) -> Execution:
        to = {} if stage is None else {"stage": stage}
        return self.world.begin({"operation": operation, **to, **more}).run()

    def stack(self, stage: str | None = None) -> dict[str, Any]:
        """What a stack has, by logical id: the properties of each resource. Nothing if there is none."""
        self.world.stacks.finish()
        name = SERVICE if stage is None else f"{SERVICE}--{stage}"
        found = self.world.stacks.stacks.get(name)
        return {} if found is None else {logical_id: made.properties for logical_id, made in found.made.items()}

    def serves(self, stage: str = "prod") -> dict[str, str]:
        """By logical id, the text of the code that the stage's alias really serves."""
        known = {hashlib.sha256(f"{name}: {text}".encode()).digest(): text for name in self.world.names for text in _TEXTS}
        served = self.world.code(stage)
        return {name.upper(): known.get(base64.b64decode(digest), digest) for name, digest in served.items()}

    def traffic(self) -> dict[str, dict[str, str]]:
        """What each stage's aliases serve, of all stages that there are."""
        return {stage: self.serves(stage) for stage in STAGES if self.serves(stage)}


def done(execution: Execution) -> dict[str, Any]:
    assert execution.output is not None, (execution.error, execution.cause)
    return execution.output


def actions(output: dict[str, Any]) -> list[str]:
    """What an operation did, or would do, line by line."""
    return [str(line["action"]) for line in output["changes"]]
