"""template.yaml as data, and its values as they would be in a stack with given parameters.

Knows CloudFormation's short forms, parameters and conditions. Must not know what a policy means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).parents[3]
REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"

Template = Mapping[str, Any]

_PSEUDO: Final[Mapping[str, str]] = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "stagekeeper",
}
#: What stands for a value that is left out.
_NO_VALUE: Final = object()


class _Loader(yaml.SafeLoader):
    """Reads the short forms: ``!Ref x`` becomes ``{"Ref": "x"}``, ``!GetAtt A.B`` becomes ``{"GetAtt": "A.B"}``."""


def _short_form(loader: _Loader, function: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        return {function: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {function: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {function: loader.construct_mapping(node, deep=True)}
    raise TypeError(f"YAML has no such node: {node}")


_Loader.add_multi_constructor("!", _short_form)


def load(text: str | None = None) -> dict[str, Any]:
    """A template with its short forms as mappings of one entry; without ``text`` the project's own."""
    source = (ROOT / "template.yaml").read_text(encoding="utf-8") if text is None else text
    read: dict[str, Any] = yaml.load(source, _Loader)  # noqa: S506 - a SafeLoader
    return read


def of_type(template: Template, *types: str) -> dict[str, dict[str, Any]]:
    """The resources of these types, by their names."""
    return {name: resource for name, resource in template["Resources"].items() if resource["Type"] in types}


#: The ARN of a resource, by its type; the name that AWS would give it is its name in the template.
_ARNS: Final[Mapping[str, str]] = {
    "AWS::DynamoDB::Table": f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{{}}",
    "AWS::Events::Rule": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{{}}",
    "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{{}}",
    "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{}}:*",
    "AWS::S3::Bucket": "arn:aws:s3:::{}",
    "AWS::Serverless::Function": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{{}}",
    "AWS::Serverless::StateMachine": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{{}}",
}
#: ``!Ref`` gives the ARN of these, and the name of all others.
_REFERRED_BY_ARN: Final = ("AWS::Serverless::StateMachine",)


class Stack:
    """Values of the template in a stack with these parameters; a parameter that is left out has its default."""

    def __init__(self, template: Template, **parameters: str) -> None:
        declared = template.get("Parameters", {})
        unknown = parameters.keys() - declared.keys()
        if unknown:
            raise KeyError(f"the template has no parameter {', '.join(sorted(unknown))}")
        self.template = template
        self._parameters = {name: str(parameter.get("Default", "")) for name, parameter in declared.items()} | parameters

    def exists(self, name: str) -> bool:
        """Whether the stack has the resource: its condition holds, if it has one."""
        condition = self.template["Resources"][name].get("Condition")
        return condition is None or self._holds(condition)

    def value(self, value: Any) -> Any:
        """The value with every function of CloudFormation worked out. Raises LookupError where it does not know how."""
        worked_out = self._value(value)
        if worked_out is _NO_VALUE:
            raise LookupError("AWS::NoValue stands where there must be a value")
        return worked_out

    def arn(self, name: str) -> str:
        """The ARN of a resource of the template."""
        kind = self.template["Resources"][name]["Type"]
        if kind not in _ARNS:
            raise LookupError(f"write down what the ARN of a {kind} looks like")
        return _ARNS[kind].format(name)

    def _value(self, value: Any) -> Any:
        match value:
            case list():
                return [each for each in map(self._value, value) if each is not _NO_VALUE]
            case dict() if len(value) == 1 and (function := self._functions().get(next(iter(value)))) is not None:
                return function(next(iter(value.values())))
            case dict():
                pairs = {key: self._value(each) for key, each in value.items()}
                return {key: each for key, each in pairs.items() if each is not _NO_VALUE}
        return value

    def _functions(self) -> Mapping[str, Callable[[Any], Any]]:
        return {"Ref": self._ref, "GetAtt": self._attribute, "Sub": self._substituted, "If": self._if}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        for known in (_PSEUDO, self._parameters):
            if name in known:
                return known[name]
        resource = self.template["Resources"][name]
        return self.arn(name) if resource["Type"] in _REFERRED_BY_ARN else name

    def _attribute(self, path: str) -> str:
        name, _, attribute = path.partition(".")
        if attribute == "Arn":
            return self.arn(name)
        if attribute == "Name":
            return name
        raise LookupError(f"write down what the {attribute} of {name} is")

    def _substituted(self, text: str) -> str:
        def spelled(match: re.Match[str]) -> str:
            return self._attribute(match[1]) if "." in match[1] else str(self._ref(match[1]))

        return re.sub(r"\$\{([\w:.]+)\}", spelled, text)

    def _if(self, parts: list[Any]) -> Any:
        condition, then, otherwise = parts
        return self._value(then if self._holds(condition) else otherwise)

    def _holds(self, condition: Any) -> bool:
        match condition:
            case str():
                return self._holds(self.template["Conditions"][condition])
            case {"Condition": str(name)}:
                return self._holds(name)
            case {"Not": [inner]}:
                return not self._holds(inner)
            case {"And": [*inner]}:
                return all(map(self._holds, inner))
            case {"Or": [*inner]}:
                return any(map(self._holds, inner))
            case {"Equals": [one, other]}:
                return bool(self._value(one) == self._value(other))
        raise LookupError(f"write down when {condition} holds")
