"""Who is granted what in a stack: every statement of its roles and policies, action by action and resource by resource.

Knows IAM's patterns and the conditions that the template uses, and refuses to read what it does not know. Must not know who
calls what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .template import Stack, Template


@dataclass(frozen=True, order=True, slots=True)
class Grant:
    """One action on one resource pattern. ``holder`` is the role, or the managed policy that is offered to people."""

    holder: str
    sid: str
    action: str
    resource: str
    #: Operators, condition keys, and the one value or pattern of each.
    conditions: tuple[tuple[str, str, str], ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        return f"{self.holder} {self.sid}: {self.action} on {self.resource}"

    def covers(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """Whether it allows the action on the resource, for a request that carries these condition keys."""
        if action.lower() != self.action.lower() or not matches(self.resource, resource):
            return False
        return all(key in context and _OPERATORS[operator](value, context[key]) for operator, key, value in self.conditions)


def matches(pattern: str, resource: str) -> bool:
    """IAM's patterns: ``*`` is any text, colons included (a last ``*`` of a part goes beyond them), ``?`` one character."""
    parts = (".*" if piece == "*" else "." if piece == "?" else re.escape(piece) for piece in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), resource, re.DOTALL) is not None


def documents(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy document that gives its holder rights, with the name of the resource it is written in."""
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::IAM::ManagedPolicy" | "AWS::IAM::Policy":
                yield name, properties["PolicyDocument"]
            case "AWS::IAM::Role":
                if properties.get("ManagedPolicyArns") and not _is_cloudformations(properties):
                    raise LookupError(f"{name} has managed policies: what they grant is not in the template")
                for policy in properties.get("Policies", []):
                    yield name, policy["PolicyDocument"]


def _is_cloudformations(role: Mapping[str, Any]) -> bool:
    """The role that CloudFormation acts with makes whatever is in its users' templates: what that is they say."""
    trusted = [statement["Principal"] for statement in role["AssumeRolePolicyDocument"]["Statement"]]
    return trusted == [{"Service": "cloudformation.amazonaws.com"}]


def grants(stack: Stack) -> list[Grant]:
    """Everything that is granted in the stack."""
    return [
        grant
        for name, document in documents(stack.template)
        if stack.exists(name)
        for holder in _holders(stack, name)
        for statement in document["Statement"]
        for grant in _of_statement(stack, holder, statement)
    ]


def _holders(stack: Stack, name: str) -> Iterable[str]:
    """Whom a document is attached to; a policy that is attached to nobody is held by whoever takes it."""
    resource = stack.template["Resources"][name]
    attached = resource["Properties"].get("Roles", [])
    return [str(stack.value(role)) for role in attached] or [name]


def _of_statement(stack: Stack, holder: str, statement: Mapping[str, Any]) -> Iterator[Grant]:
    unknown = statement.keys() - {"Sid", "Effect", "Action", "Resource", "Condition"}
    if unknown or statement["Effect"] != "Allow":
        raise LookupError(f"{holder}: a statement with {', '.join(sorted(unknown)) or statement['Effect']} is not read here")
    for action in listed(statement["Action"]):
        if "*" in action or "?" in action:
            raise LookupError(f"{holder}: name the actions instead of {action}")
        for resource in listed(stack.value(statement["Resource"])):
            if not isinstance(resource, str):
                raise LookupError(f"{holder}: {resource} is not read here")
            yield Grant(holder, statement["Sid"], action, resource, tuple(_conditions(stack, holder, statement)))


_OPERATORS = {"StringEquals": str.__eq__, "StringLike": matches}


def _conditions(stack: Stack, holder: str, statement: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for operator, keys in statement.get("Condition", {}).items():
        if operator not in _OPERATORS:
            raise LookupError(f"{holder}: the condition {operator} is not read here")
        for key, value in keys.items():
            yield operator, key, str(stack.value(value))


def listed(value: Any) -> list[Any]:
    """IAM takes one for a list of one."""
    return value if isinstance(value, list) else [value]
