"""What in a template would own an alias or a version, in SAM as its user wrote it or in plain CloudFormation.

Both are Stagekeeper's alone: CloudFormation would delete or turn back what it owns.
SAM's AutoPublishAlias removes the stages' aliases when its value changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from stagekeeper.domain.refusal import Code
from stagekeeper.domain.split_model import Path, Problem, Template

_RESOURCES = {
    "AWS::Lambda::Alias": "It owns an alias",
    "AWS::Lambda::Version": "It publishes a version",
}
_PROPERTIES = {
    "AutoPublishAlias": "makes SAM own an alias and versions",
    "DeploymentPreference": "makes CodeDeploy move an alias",
    "ProvisionedConcurrencyConfig": "hangs on an alias that SAM owns",
}
_WHY = "aliases and versions belong to Stagekeeper alone"


def alias_problems(body: Template, lines: Mapping[Path, int]) -> tuple[Problem, ...]:
    """One for each thing to delete, with its line, in the template's order."""
    return tuple(_problems(body, lines))


def _problems(body: Template, lines: Mapping[Path, int]) -> Iterator[Problem]:
    yield from _members(_inside(body, "Globals", "Function"), ("Globals", "Function"), "Globals.Function", None, lines)
    for logical_id, resource in _inside(body, "Resources").items():
        if not isinstance(resource, Mapping):
            continue
        kind = resource.get("Type")
        if isinstance(kind, str) and kind in _RESOURCES:
            sentence = f"{logical_id} is an {kind}. {_RESOURCES[kind]}, and {_WHY}. Delete {logical_id} and what refers to it."
            yield _problem(sentence, logical_id, lines.get(("Resources", logical_id)))
        if kind == "AWS::Serverless::Function":
            path = ("Resources", logical_id, "Properties")
            yield from _members(_inside(resource, "Properties"), path, logical_id, logical_id, lines)


def _members(
    properties: Mapping[str, Any], path: Path, where: str, logical_id: str | None, lines: Mapping[Path, int]
) -> Iterator[Problem]:
    for name, why in _PROPERTIES.items():
        if name in properties:
            sentence = f"{where} says {name}, which {why}, and {_WHY}. Delete {name}."
            yield _problem(sentence, logical_id, lines.get((*path, name)) or lines.get(path[:2]))


def _problem(sentence: str, logical_id: str | None, line: int | None) -> Problem:
    return Problem(sentence, logical_id, line, Code.ALIAS_OWNED_ELSEWHERE)


def _inside(value: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for name in path:
        found = value.get(name)
        if not isinstance(found, Mapping):
            return {}
        value = found
    return value
