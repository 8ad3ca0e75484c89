"""The project file ``stagekeeper.yaml``: where it is found, what it says, and every mistake in it with its place and line.

Its form is project_form.py's. Must not know git, CI or AWS.

``python -m stagekeeper.cli.project`` prints its JSON schema, which is kept in docs/stagekeeper.schema.json.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stagekeeper.cli import project_form, project_place, yaml_text
from stagekeeper.cli.endings import CommandFailed
from stagekeeper.cli.project_form import FunctionForm, ProjectForm
from stagekeeper.cli.yaml_text import Place
from stagekeeper.domain.branches import PERSONAL, Rules, rules_with, shared_stages
from stagekeeper.domain.model import LogicalName, ServiceName, StageName
from stagekeeper.handlers.request_forms import IMAGE, SECRET, TEXT, ZIP, ImageCode
from stagekeeper.handlers.request_sentences import sentences

#: What is said of requests, in the words of a YAML file.
_IN_YAML = {
    "must be a JSON object": "must be a mapping (names and values, indented)",
    "must be a string": "must be text; put it into quotes",
}

#: Parts of a mistake's place that no user should see: which of two forms was meant, and that it was a key.
_PYDANTICS_OWN = ("[key]", ZIP, IMAGE, TEXT, SECRET)

NAME = project_place.NAME
find = project_place.find
schema = project_form.schema


@dataclass(frozen=True, slots=True)
class ProjectFunction:
    """A function as the file has it. ``code`` is a folder or zip on disk, ``image`` the request's form of an image; both None
    where what $LATEST holds is meant. ``configuration`` holds the members that are given, None without any."""

    function_name: str
    code: Path | None = None
    image: Mapping[str, Any] | None = None
    configuration: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Section:
    """A stage's section: None for what it leaves out."""

    variables: Mapping[str, Any] | None
    parameters: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Project:
    """What ``stagekeeper.yaml`` says. Paths are whole; exactly one of ``template`` and ``functions`` is there.

    ``build`` is the command in words, empty without one. ``built_template`` is what is deployed: the template itself, where the
    file names no other.
    """

    path: Path
    service: ServiceName
    stack: str = "stagekeeper"
    region: str | None = None
    template: Path | None = None
    functions: Mapping[LogicalName, ProjectFunction] | None = None
    build: tuple[str, ...] = ()
    built_template: Path | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    branches: Mapping[str, str] = field(default_factory=dict)
    sections: Mapping[str, _Section] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def rules(self) -> Rules:
        return rules_with(self.branches)

    @property
    def shared(self) -> frozenset[StageName]:
        return shared_stages(self.rules, self.sections)

    def variables_for(self, stage: StageName, *, personal: bool) -> Mapping[str, Any] | None:
        """The stage's variables as a request has them; None where the file says nothing of them, so that they stay."""
        section = self._section(stage, personal)
        return None if section is None else section.variables

    def parameters_for(self, stage: StageName, *, personal: bool) -> Mapping[str, str]:
        """Values of the template's parameters: the project's, and over them the stage's."""
        section = self._section(stage, personal)
        return {**self.parameters, **((section and section.parameters) or {})}

    def _section(self, stage: StageName, personal: bool) -> _Section | None:
        return self.sections.get(stage, self.sections.get(PERSONAL) if personal else None)


def load(path: Path) -> Project:
    """What the file says. Raises CommandFailed: it is not there, or what is wrong in it, with its lines."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CommandFailed(f"There is no project file {path}. Write one with `stagekeeper init`.") from None
    except UnicodeDecodeError as trouble:
        raise CommandFailed(f"{path} is not UTF-8 at its byte {trouble.start}. Save it as UTF-8.") from None
    except OSError as trouble:
        raise CommandFailed(f"{path} could not be read: {trouble.strerror}.") from None
    return parse(text, path)


def parse(text: str, path: Path) -> Project:
    """What a text says that lies, or is to lie, at ``path``. Raises CommandFailed."""
    try:
        document = yaml_text.read(text)
    except yaml_text.Unreadable as trouble:
        raise _wrong(path, [(trouble.line, str(trouble))]) from None
    if not isinstance(document.body, dict):
        raise _wrong(path, [(1, "it is no mapping: it begins with `service:` and the service's name")])
    form = _form(document.body)
    if isinstance(form, ProjectForm):
        return _project(form, path.absolute())
    raise _wrong(path, [(document.line(place), f"{'.'.join(place)}: {words}" if place else words) for place, words in form])


def _form(body: dict[str, Any]) -> ProjectForm | list[tuple[Place, str]]:
    """The file's fields, or where something is wrong and what."""
    empty = list(_nulls(body, ()))
    if empty:
        return empty
    try:
        form = ProjectForm.model_validate(body)
    except ValidationError as error:
        return list(_mistakes(error))
    return list(project_form.misplaced(form)) or form


def _nulls(value: object, place: Place) -> Iterator[tuple[Place, str]]:
    if value is None:
        yield place, "has no value; give one, or leave it out"
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _nulls(item, (*place, str(key)))


def _mistakes(error: ValidationError) -> Iterator[tuple[Place, str]]:
    """What is wrong with a request's form is wrong with this file's too, and is told in the same words."""
    for sentence, mistake in zip(sentences(error, ""), error.errors(include_url=False, include_input=False), strict=True):
        place = tuple(str(part) for part in mistake["loc"] if part not in _PYDANTICS_OWN)
        words = sentence.removeprefix(".".join(place)).removeprefix(": ")
        if mistake["type"] == "extra_forbidden" and place[2:-1] == ("code",):
            words = "unknown field; code is a folder, a zip, or image_uri with an image by its digest"
        yield place, _IN_YAML.get(words, words)


def _wrong(path: Path, mistakes: list[tuple[int | None, str]]) -> CommandFailed:
    if len(mistakes) == 1:
        line, words = mistakes[0]
        return CommandFailed(f"{path}: {words}." if line is None else f"{path}, line {line}: {words}.")
    lines = [
        words if line is None else f"line {line}: {words}" for line, words in sorted(mistakes, key=lambda each: each[0] or 0)
    ]
    return CommandFailed(f"{path} has {len(lines)} mistakes:", blockers=lines)


def _project(form: ProjectForm, path: Path) -> Project:
    folder = path.parent
    template = None if form.template is None else folder / form.template
    functions = form.functions
    return Project(
        path=path,
        service=ServiceName(form.service),
        stack=form.stack,
        region=form.region,
        template=template,
        functions=None if functions is None else {LogicalName(name): _function(each, folder) for name, each in functions.items()},
        build=() if form.build is None else tuple(shlex.split(form.build)),
        built_template=template if form.built_template is None else folder / form.built_template,
        parameters=form.parameters or {},
        branches=form.branches or {},
        sections={name: _Section(_given(section.variables), section.parameters) for name, section in (form.stages or {}).items()},
    )


def _given(variables: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if variables is None:
        return None
    return {name: value if isinstance(value, str) else value.model_dump() for name, value in variables.items()}


def _function(form: FunctionForm, folder: Path) -> ProjectFunction:
    code = form.code
    return ProjectFunction(
        function_name=form.function_name,
        code=folder / code if isinstance(code, str) else None,
        image=code.model_dump(exclude_unset=True) if isinstance(code, ImageCode) else None,
        configuration=None if form.configuration is None else form.configuration.model_dump(exclude_unset=True),
    )


if __name__ == "__main__":
    print(json.dumps(schema(), indent=2))  # noqa: T201  # its whole purpose
