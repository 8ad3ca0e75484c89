"""What a shell offers after Tab: stages and functions, from the project file here. Never asks AWS, and has no errors.

Whoever presses Tab waits for it: nothing heavy is imported, and the project file is read without being checked.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from stagekeeper.cli.project_place import find

#: A template of more bytes takes longer to read than somebody who presses Tab will wait.
_LARGEST = 500_000

_FUNCTIONS = ("AWS::Serverless::Function", "AWS::Lambda::Function")


def stages(ctx: typer.Context, incomplete: str) -> list[str]:
    """The shared stages; whose own stage there is nobody knows without asking AWS."""
    return _offered(incomplete, _stages(ctx))


def functions(ctx: typer.Context, incomplete: str) -> list[str]:
    """Logical names: of the project's functions, or of its template's."""
    return _offered(incomplete, _functions(ctx))


def pages(ctx: typer.Context, incomplete: str) -> list[str]:
    """What `open` takes after stage and function."""
    match ctx.params.get("what"):
        case "stage":
            return stages(ctx, incomplete)
        case "function":
            return functions(ctx, incomplete)
        case _:
            return []


def _offered(incomplete: str, names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def _stages(ctx: typer.Context) -> Iterable[str]:
    from stagekeeper.domain.branches import rules_with, shared_stages

    project = _project(ctx)
    branches = {pattern: target for pattern, target in _mapping(project, "branches").items() if isinstance(target, str)}
    return shared_stages(rules_with(branches), _mapping(project, "stages"))


def _functions(ctx: typer.Context) -> Iterable[str]:
    path, project = _path(ctx), _project(ctx)
    template = project.get("template")
    if path is None or not isinstance(template, str):
        return _mapping(project, "functions")
    resources = _mapping(_read(path.parent / template), "Resources")
    return [name for name, each in resources.items() if isinstance(each, dict) and each.get("Type") in _FUNCTIONS]


def _path(ctx: typer.Context) -> Path | None:
    given = ctx.params.get("project")
    return find(Path.cwd()) if given is None else Path(given)


def _project(ctx: typer.Context) -> dict[str, Any]:
    path = _path(ctx)
    return {} if path is None else _read(path)


def _mapping(of: dict[str, Any], member: str) -> dict[str, Any]:
    value = of.get(member)
    return {str(name): each for name, each in value.items()} if isinstance(value, dict) else {}


def _read(path: Path) -> dict[str, Any]:
    """A YAML file's mapping, without what CloudFormation's tags stand for; empty for whatever is no such file."""
    import yaml

    class Loader(yaml.CSafeLoader):
        """Of its own, as tags are the class's."""

    Loader.add_multi_constructor("!", lambda _loader, _tag, _node: None)
    try:
        text = path.read_bytes()
        document = None if len(text) > _LARGEST else yaml.load(text, Loader)  # noqa: S506  # a safe loader
    except (OSError, ValueError, AttributeError, yaml.YAMLError):
        # It is half written, or a value is not what its tag says (`!!int x`); the command itself will tell.
        return {}
    return document if isinstance(document, dict) else {}
