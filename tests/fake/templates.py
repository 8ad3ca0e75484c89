"""What CloudFormation makes of a template: parameters, conditions, intrinsic functions, and what a change of it would do to each
resource. Must not know stacks' states, nor the product.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import AwsError

Template = Mapping[str, Any]

#: Properties that cannot be changed in place ("Update requires: Replacement"), by type; the template reference says so of each.
CREATE_ONLY: Mapping[str, frozenset[str]] = {
    "AWS::Lambda::Function": frozenset({"FunctionName", "PackageType"}),
    "AWS::Lambda::Permission": frozenset({"FunctionName", "Action", "Principal", "SourceArn", "SourceAccount"}),
    "AWS::Lambda::EventSourceMapping": frozenset({"EventSourceArn", "StartingPosition"}),
    "AWS::Lambda::Url": frozenset({"TargetFunctionArn", "Qualifier"}),
    "AWS::SQS::Queue": frozenset({"QueueName", "FifoQueue"}),
    "AWS::SNS::Topic": frozenset({"TopicName", "FifoTopic"}),
    "AWS::SNS::Subscription": frozenset({"TopicArn", "Protocol", "Endpoint"}),
    "AWS::DynamoDB::Table": frozenset({"TableName", "KeySchema"}),
    "AWS::S3::Bucket": frozenset({"BucketName"}),
    "AWS::IAM::Role": frozenset({"RoleName", "Path"}),
    "AWS::Logs::LogGroup": frozenset({"LogGroupName"}),
    "AWS::SSM::Parameter": frozenset({"Name"}),
    "AWS::Events::Rule": frozenset({"Name", "EventBusName"}),
}
_NAMES = ("FunctionName", "QueueName", "TopicName", "TableName", "BucketName", "RoleName", "LogGroupName", "Name")
_IAM = ("AWS::IAM::Role", "AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::Group")
NO_VALUE = object()


def invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message, 400)


def parse(text: str) -> Template:
    """A template in JSON: who needs YAML does not need this fake."""
    try:
        template = json.loads(text)
    except ValueError:
        raise invalid("Template format error: JSON not well-formed.") from None
    resources = template.get("Resources") if isinstance(template, dict) else None
    if not isinstance(resources, dict) or not resources:
        raise invalid("Template format error: At least one Resources member must be defined.")
    for logical_id, resource in resources.items():
        if not re.fullmatch("[A-Za-z0-9]{1,255}", logical_id):
            raise invalid(f"Template format error: Resource name {logical_id} is non alphanumeric.")
        if "::" not in str(resource.get("Type", "")):
            raise invalid(f"Template format error: Unrecognized resource types: [{resource.get('Type')}]")
    known = resources.keys() | template.get("Parameters", {}).keys()
    unknown = sorted({name for name in _referred(resources) if name not in known and not name.startswith("AWS::")})
    if unknown:
        named = ", ".join(unknown)
        raise invalid(f"Template format error: Unresolved resource dependencies [{named}] in the Resources block of the template")
    return dict(template)


def needed_capability(template: Template) -> str | None:
    """What the caller must acknowledge."""
    roles = [resource for resource in template["Resources"].values() if resource["Type"] in _IAM]
    if any(
        name in resource.get("Properties", {}) for resource in roles for name in ("RoleName", "UserName", "ManagedPolicyName")
    ):
        return "CAPABILITY_NAMED_IAM"
    return "CAPABILITY_IAM" if roles else None


def parameters(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """The values of all parameters."""
    declared = template.get("Parameters", {})
    unknown = sorted(given.keys() - declared.keys())
    if unknown:
        raise invalid(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = sorted(name for name, each in declared.items() if name not in given and "Default" not in each)
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    return {name: str(given.get(name, each.get("Default"))) for name, each in declared.items()}


@dataclass
class Scope:
    """What names stand for. `ref` and `attribute` of a resource are what the caller knows of it."""

    template: Template
    values: Mapping[str, str]
    pseudo: Mapping[str, str]
    ref: Callable[[str], str]
    attribute: Callable[[str, str], str]

    def condition(self, name: str) -> bool:
        return bool(self.value(self.template["Conditions"][name], conditions=True))

    def has(self, member: Mapping[str, Any]) -> bool:
        """Whether a resource or an output is there at all."""
        return "Condition" not in member or self.condition(member["Condition"])

    def value(self, node: Any, *, conditions: bool = False) -> Any:
        """A value with nothing left to work out."""
        if isinstance(node, list):
            return [found for item in node if (found := self.value(item, conditions=conditions)) is not NO_VALUE]
        if not isinstance(node, Mapping):
            return node
        if len(node) == 1:
            ((name, argument),) = node.items()
            if name in ("Ref", "Condition") and isinstance(argument, str) and (name == "Ref" or conditions):
                return self._named(argument) if name == "Ref" else self.condition(argument)
            if name.startswith("Fn::"):
                return self._function(name[4:], argument, conditions)
        found = {key: self.value(item, conditions=conditions) for key, item in node.items()}
        return {key: item for key, item in found.items() if item is not NO_VALUE}

    def _named(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.values:
            return self.values[name]
        return self.pseudo[name] if name in self.pseudo else self.ref(name)

    def _function(self, name: str, argument: Any, conditions: bool) -> Any:
        if name == "If":
            return self.value(argument[1] if self.condition(argument[0]) else argument[2])
        if name == "GetAtt":
            logical_id, attribute = argument.split(".", 1) if isinstance(argument, str) else argument
            return self.attribute(logical_id, attribute)
        if name == "Sub":
            return self._sub(argument)
        given = self.value(argument, conditions=conditions)
        match name:
            case "Join":
                return given[0].join(str(item) for item in given[1])
            case "Select":
                return given[1][int(given[0])]
            case "Split":
                return given[1].split(given[0])
            case "FindInMap":
                return self.template["Mappings"][given[0]][given[1]][given[2]]
            case "Equals":
                return given[0] == given[1]
            case "Not":
                return not given[0]
            case "And":
                return all(given)
            case "Or":
                return any(given)
        raise NotImplementedError(f"the fake has no Fn::{name}")

    def _sub(self, argument: Any) -> str:
        text, local = (argument, {}) if isinstance(argument, str) else argument

        def one(found: re.Match[str]) -> str:
            name = found[1].strip()
            if name in local:
                return str(self.value(local[name]))
            if "." in name:
                return self.attribute(*name.split(".", 1))
            return str(self._named(name))

        return re.sub(r"\$\{!", "${", re.sub(r"\$\{([^!}][^}]*)\}", one, text))


def _referred(node: Any, local: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names of what a value refers to."""
    if isinstance(node, list):
        for item in node:
            yield from _referred(item, local)
    if not isinstance(node, Mapping):
        return
    for key, item in node.items():
        match key, item:
            case "Ref", str():
                yield item
            case "Fn::GetAtt", _:
                yield item.split(".")[0] if isinstance(item, str) else item[0]
            case "DependsOn", str():
                yield item
            case "DependsOn", list():
                yield from item
            case "Fn::Sub", _:
                text, given = (item, {}) if isinstance(item, str) else item
                yield from _referred(given, local)
                found = (name.strip() for name in re.findall(r"\$\{([^!}][^}]*)\}", text))
                yield from (name.split(".")[0] for name in found if name not in given)
            case _:
                yield from _referred(item, local)


def ordered(template: Template) -> list[str]:
    """The resources so that each comes after what it refers to."""
    resources: Mapping[str, Any] = template["Resources"]
    done: dict[str, None] = {}

    def visit(logical_id: str, ahead: tuple[str, ...]) -> None:
        if logical_id in ahead:
            raise invalid(f"Circular dependency between resources: [{', '.join(sorted(ahead))}]")
        if logical_id not in done:
            for name in sorted({name for name in _referred(resources[logical_id]) if name in resources}):
                visit(name, (*ahead, logical_id))
            done[logical_id] = None

    for logical_id in sorted(resources):
        visit(logical_id, ())
    return list(done)


@dataclass
class Made:
    """A resource of a stack: as it was made last."""

    type: str
    physical_id: str
    properties: dict[str, Any] = field(default_factory=dict)
    definition: dict[str, Any] = field(default_factory=dict)
    status: str = "CREATE_COMPLETE"


def name_of(stack: str, logical_id: str, kind: str, properties: Mapping[str, Any], unique: str) -> str:
    """What a resource is called: as its template says, or after its stack; a function URL like what it leads to."""
    if kind == "AWS::Lambda::Url":
        return ":".join(
            [str(properties["TargetFunctionArn"]), *([str(properties["Qualifier"])] if "Qualifier" in properties else [])]
        )
    named = next((properties[name] for name in _NAMES if name in properties and name in CREATE_ONLY.get(kind, ())), None)
    return str(named) if named is not None and kind != "AWS::Lambda::Permission" else f"{stack}-{logical_id}-{unique}"


def ref_of(made: Made, region: str, account: str) -> str:
    match made.type:
        case "AWS::SQS::Queue":
            return f"https://sqs.{region}.amazonaws.com/{account}/{made.physical_id}"
        case "AWS::SNS::Topic":
            return attribute_of(made, "Arn", region, account)
    return made.physical_id


def attribute_of(made: Made, attribute: str, region: str, account: str) -> str:
    """An attribute; of a type that is not known here, a text of its own that is as good."""
    name = made.physical_id
    if attribute in ("Arn", "TopicArn", "FunctionArn"):
        service = made.type.split("::")[1].lower()
        within = {
            "AWS::Lambda::Function": f"function:{name}",
            "AWS::DynamoDB::Table": f"table/{name}",
            "AWS::IAM::Role": f"role/{name}",
            "AWS::Events::Rule": f"rule/{name}",
        }.get(made.type, name)
        where = "::" if service == "s3" else f":{account}:" if service == "iam" else f"{region}:{account}:"
        return f"arn:aws:{service}:{where}{within}"
    return name if attribute.endswith("Name") else f"{name}.{attribute}"


def changes(old: Mapping[str, Made], new: Mapping[str, tuple[str, Mapping[str, Any]]], *, retag: bool) -> list[dict[str, Any]]:
    """What becomes of each resource: `new` is its type and its properties, in which what is not there yet is a marker."""
    found: list[dict[str, Any]] = []
    for logical_id in sorted(old.keys() | new.keys()):
        was, kind = old.get(logical_id), new[logical_id][0] if logical_id in new else old[logical_id].type
        change: dict[str, Any] = {"LogicalResourceId": logical_id, "ResourceType": kind}
        if was is not None:
            change["PhysicalResourceId"] = was.physical_id
        if was is None:
            change["Action"] = "Add"
        elif logical_id not in new:
            change["Action"] = "Remove"
        else:
            replacement = replaced(was, *new[logical_id])
            if replacement is None and not retag:
                continue
            change |= {"Action": "Modify", "Replacement": replacement or "False", "Details": _details(was, *new[logical_id])}
        found.append({"Type": "Resource", "ResourceChange": change})
    return found


def _details(was: Made, kind: str, properties: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = sorted(was.properties.keys() | properties.keys())
    return [
        {
            "Target": {
                "Attribute": "Properties",
                "Name": name,
                "RequiresRecreation": "Always" if name in CREATE_ONLY.get(kind, ()) else "Never",
            },
            "Evaluation": "Dynamic" if MARKER in json.dumps(properties.get(name)).replace("\\u0000", "\0") else "Static",
            "ChangeSource": "DirectModification",
        }
        for name in names
        if was.properties.get(name) != properties.get(name)
    ]


MARKER = "\0unknown until then: "


def replaced(was: Made, kind: str, properties: Mapping[str, Any]) -> str | None:
    """`True`, `False`, `Conditional` (it depends on what is not known yet); None where nothing changes."""
    names = was.properties.keys() | properties.keys()
    changed = {name for name in names if was.properties.get(name) != properties.get(name)}
    if was.type != kind:
        return "True"
    if not changed:
        return None
    fixed = changed & CREATE_ONLY.get(kind, frozenset())
    if not fixed:
        return "False"
    unknown = all(MARKER in json.dumps(properties.get(name)).replace("\\u0000", "\0") for name in fixed)
    return "Conditional" if unknown else "True"
