"""A service that is there already comes under Stagekeeper: one made by hand, and one of SAM's, whose alias its stack lets go."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.pages import ROOT, blocks, text
from tests.unit.permissions.template import load

from .conftest import NewService
from .plane import ControlPlane, unique
from .service import ROLE, Service, alias_of, publish_as_stranger

# A service that somebody made by hand.


@pytest.fixture
def by_hand(new_service: NewService) -> Service:
    """Two functions; alias old on what they were made with, alias new on what somebody published since."""
    service = new_service("A", "B")
    lambda_ = service.plane.client("lambda")
    for logical, function in service.functions.items():
        lambda_.publish_version(FunctionName=function)
        publish_as_stranger(service, logical, "two")
        for name, version in (("old", "1"), ("new", "2")):
            lambda_.create_alias(FunctionName=function, Name=name, FunctionVersion=version)
    return service


def all_aliases(service: Service) -> dict[str, Any]:
    return {f"{logical}:{name}": service.alias(logical, name) for logical in service.functions for name in ("old", "new")}


def test_aliases_become_stages_that_are_deployed_to_and_rolled_back(by_hand: Service) -> None:
    before = all_aliases(by_hand)

    done = by_hand.does("adopt", functions=by_hand.wishes(), actor="jane")

    assert done["outcome"] == "succeeded"
    assert done["stages"] == [
        {"stage": "new", "release": 1, "observed": None},
        {"stage": "old", "release": 2, "observed": None},
    ]
    assert all_aliases(by_hand) == before
    by_hand.assert_agreement("old")
    by_hand.assert_agreement("new")
    assert [line["operation"] for line in by_hand.ledger("old")] == ["adopt"]

    again = by_hand.does("adopt")
    assert (again["outcome"], again["stages"]) == ("unchanged", [])

    by_hand.deploy_text("old", "three")
    assert by_hand.says("old") == {"A": "three", "B": "three"}
    by_hand.rollback("old")
    assert by_hand.says("old") == {"A": "one", "B": "one"}
    by_hand.assert_agreement("old")


def test_what_was_deployed_by_hand_is_not_published_again(by_hand: Service) -> None:
    by_hand.does("adopt", functions=by_hand.wishes())

    assert by_hand.does("deploy", "new", functions=by_hand.wishes())["outcome"] == "unchanged"
    assert by_hand.versions("A") == ["1", "2"]


def test_a_dry_run_adopts_nothing(by_hand: Service) -> None:
    dry = by_hand.does("adopt", functions=by_hand.wishes(), dry_run=True)

    assert (dry["outcome"], [each["stage"] for each in dry["stages"]]) == ("planned", ["new", "old"])
    assert by_hand.record("old") is None


# A service of SAM's.

_CODE = 'def handler(event, context): return {{"says": "{text}", "version": context.function_version}}'


class SamService(Service):
    """A stack of two functions, one of which works for a queue; each has SAM's alias live."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.name, self.stack = unique("service"), unique("shop")
        self.functions = {"Api": unique("api"), "Worker": unique("worker")}
        self._cloudformation = plane.client("cloudformation")
        self._text = "one"
        self._cloudformation.create_stack(**self._asked(self.by_sam()))
        self._cloudformation.get_waiter("stack_create_complete").wait(
            StackName=self.stack, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )

    def by_sam(self) -> dict[str, Any]:
        """As SAM's users write it, and as the page begins."""
        return self._of_page(0)

    def with_aliases_of_their_own(self, version: str) -> dict[str, Any]:
        """After the first deploy of the page: no AutoPublishAlias; the alias is a resource under the name that SAM gave it."""
        resources = self._of_page(1)
        worker = resources["WorkerAliaslive"]
        worker["Properties"]["FunctionVersion"] = version
        resources["ApiAliaslive"] = {**worker, "Properties": {**worker["Properties"], "FunctionName": {"Ref": "Api"}}}
        return resources

    def without_aliases(self) -> dict[str, Any]:
        """After the second one: the alias's resource is gone."""
        return self._of_page(2)

    def _of_page(self, step: int) -> dict[str, Any]:
        """The page's templates are of Worker; Api is like it, and works for nobody."""
        page = load(blocks(text(ROOT / "docs/adopting.md"), "yaml")[step])
        resources: dict[str, Any] = _with_long_forms(page["Resources"])
        given = resources["Worker"]["Properties"]
        del given["CodeUri"]
        idle = {name: value for name, value in given.items() if name != "Events"}
        for logical, properties in {"Worker": given, "Api": idle}.items():
            made = {**properties, **self._function(logical)}
            resources[logical] = {"Type": "AWS::Serverless::Function", "Properties": made}
        return resources

    def _function(self, logical: str) -> dict[str, str]:
        return {
            "FunctionName": self.functions[logical],
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": f"arn:aws:iam::{self.plane.account}:role/{ROLE}",
            "InlineCode": _CODE.format(text=self._text),
        }

    def _asked(self, resources: dict[str, Any]) -> dict[str, Any]:
        template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": resources}
        return {"StackName": self.stack, "TemplateBody": json.dumps(template), "Capabilities": ["CAPABILITY_AUTO_EXPAND"]}

    def update(self, resources: dict[str, Any]) -> list[dict[str, str]]:
        """Deploy the stack; everything that the aliases served meanwhile, seen again and again."""
        seen = [self.live()]
        self._cloudformation.update_stack(**self._asked(resources))
        while True:
            (stack,) = self._cloudformation.describe_stacks(StackName=self.stack)["Stacks"]
            seen.append(self.live())
            if not stack["StackStatus"].endswith("IN_PROGRESS"):
                assert stack["StackStatus"] == "UPDATE_COMPLETE", stack
                return seen
            time.sleep(0.02)

    def release_by_sam(self, text: str) -> None:
        """New code, the way it went before: AutoPublishAlias moves the alias."""
        self._text = text
        self.update(self.by_sam())

    def code(self, text: str) -> dict[str, Any]:
        """As for any service, in the module that the stack's template names."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as package:
            package.writestr(zipfile.ZipInfo("index.py"), _CODE.format(text=text))
        return {"code": self.plane.upload(content.getvalue())}

    def live(self) -> dict[str, str]:
        """The version that each function's alias live serves."""
        found = {logical: alias_of(self.plane, function, "live") for logical, function in self.functions.items()}
        return {logical: "none" if alias is None else alias["FunctionVersion"] for logical, alias in found.items()}

    def queue_calls(self) -> list[str]:
        """What the queue's event source mappings call, without what all ARNs begin with."""
        listed = self.plane.client("lambda").list_event_source_mappings()["EventSourceMappings"]
        mine = [mapping["FunctionArn"] for mapping in listed if self.functions["Worker"] in mapping["FunctionArn"]]
        return [arn.partition(f":function:{self.functions['Worker']}")[2] for arn in mine]

    def delete(self) -> None:
        self._cloudformation.delete_stack(StackName=self.stack)
        self._cloudformation.get_waiter("stack_delete_complete").wait(
            StackName=self.stack, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )


def _with_long_forms(value: Any) -> Any:
    """A template's functions as JSON spells them."""
    if isinstance(value, dict):
        names = {"GetAtt": "Fn::GetAtt", "Sub": "Fn::Sub"}
        return {names.get(name, name): _with_long_forms(inner) for name, inner in value.items()}
    return value


@pytest.fixture
def sam(plane: ControlPlane) -> Iterator[SamService]:
    """A service that has been released twice by SAM."""
    service = SamService(plane)
    service.release_by_sam("two")
    assert service.live() == {"Api": "2", "Worker": "2"}
    yield service
    service.delete()


def adopted(sam: SamService) -> dict[str, Any]:
    return sam.does("adopt", functions=sam.wishes())


def test_an_alias_of_a_stack_becomes_an_observed_stage(sam: SamService) -> None:
    done = adopted(sam)

    assert done["stages"] == [{"stage": "live", "release": 1, "observed": sam.stack}]
    assert {change["reason"] for change in done["changes"]} == {
        f"stage live is adopted as r1, observed: stack {sam.stack} owns it"
    }
    assert sam.does("verify", "live")["outcome"] == "unchanged"
    assert adopted(sam)["outcome"] == "unchanged"


@pytest.mark.parametrize(
    ("operation", "fields"),
    [
        ("deploy", {}),
        ("rollback", {"to": {"release": 1}}),
        ("reset", {"to": {"release": 1}}),
        ("teardown", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_observed_stage_is_moved_by_nobody_but_its_stack(sam: SamService, operation: str, fields: dict[str, Any]) -> None:
    adopted(sam)
    before = sam.live()

    refused = sam.run(operation, "live", **({"functions": sam.wishes()} if operation == "deploy" else fields))

    assert refused.error == "AliasOwnedElsewhere"
    assert sam.stack in refused.cause["message"]
    assert sam.live() == before


def test_an_observed_stage_is_cloned_as_long_as_it_is_as_it_was(sam: SamService) -> None:
    adopted(sam)
    sam.does("clone", "jane", from_={"stage": "live"})
    assert sam.says("jane") == {"Api": "two", "Worker": "two"}

    sam.release_by_sam("three")
    refused = sam.run("clone", "joe", **{"from": {"stage": "live"}})
    assert refused.error == "Drifted"
    assert "adopt again" in refused.cause["message"]

    assert adopted(sam)["stages"] == [{"stage": "live", "release": 2, "observed": sam.stack}]
    sam.does("clone", "joe", from_={"stage": "live"})
    assert sam.says("joe") == {"Api": "three", "Worker": "three"}
    assert sam.way_back("live") == [1]


def test_a_teardown_of_the_service_leaves_the_stacks_aliases(sam: SamService) -> None:
    adopted(sam)
    sam.does("clone", "jane", from_={"stage": "live"})

    done = sam.does("teardown", confirm=sam.name)

    assert any(f"stack {sam.stack} owns them" in warning for warning in done["warnings"])
    assert sam.live() == {"Api": "2", "Worker": "2"}
    assert sam.record("live") is None


def test_the_recipe_for_letting_go_of_auto_publish_alias_never_loses_nor_moves_it(sam: SamService) -> None:
    """docs/adopting.md, step by step."""
    adopted(sam)
    there = {"Api": "2", "Worker": "2"}
    assert sam.queue_calls() == [":live"]

    first = sam.update(sam.with_aliases_of_their_own("2"))
    assert all(each == there for each in first)
    assert sam.queue_calls() == [":live"]
    assert adopted(sam)["outcome"] == "unchanged"  # it is still the stack's

    second = sam.update(sam.without_aliases())
    assert all(each == there for each in second)
    assert sam.queue_calls() == [":live"]
    assert sam.versions("Api") == ["1", "2"]
    refused = sam.run("deploy", "live", functions=sam.wishes())
    assert refused.error == "AliasOwnedElsewhere"
    assert "adopt now" in refused.cause["message"]

    done = adopted(sam)
    assert done["stages"] == [{"stage": "live", "release": 1, "observed": None}]

    sam.deploy_text("live", "ours")
    assert sam.says("live") == {"Api": "ours", "Worker": "ours"}
    assert sam.queue_calls() == [":live"]
    sam.rollback("live")
    assert sam.live() == there
    sam.assert_agreement("live")

    # What the stack deploys from now on moves no alias.
    sam._text = "by the stack alone"
    assert all(each == there for each in sam.update(sam.without_aliases()))


def test_without_the_recipe_removing_auto_publish_alias_deletes_the_alias_and_sends_events_to_latest(sam: SamService) -> None:
    """Why there is a recipe."""
    bare = sam.by_sam()
    for logical in sam.functions:
        del bare[logical]["Properties"]["AutoPublishAlias"]

    seen = sam.update(bare)

    assert seen[-1] == {"Api": "none", "Worker": "none"}
    assert sam.queue_calls() == [""]
    refused = sam.run("adopt", None, functions=sam.wishes())
    assert refused.error == "UnqualifiedCallers"
