"""``stagekeeper init``: the first ``stagekeeper.yaml`` of a checkout, from the SAM template and samconfig.toml that it has.

Proposes, says what of the template will be refused, and writes. Must not build, deploy or ask AWS for anything.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stagekeeper.cli import project
from stagekeeper.cli.endings import CommandFailed, misuse
from stagekeeper.domain.branches import DEFAULT_RULES, PERSONAL
from stagekeeper.domain.split_aliases import alias_problems
from stagekeeper.domain.split_model import RESERVED, Problem, Source, Unsplittable
from stagekeeper.domain.split_parameters import is_reference, is_secret, required_parameters
from stagekeeper.template.macros import macro_problems
from stagekeeper.template.read import read

SAMCONFIG = "samconfig.toml"
TEMPLATES = ("template.yaml", "template.yml", "template.json")
#: What `sam build` leaves, whatever its template was called, unless it is told another folder.
BUILT = ".aws-sam/build/template.yaml"

_FUNCTION = "AWS::Serverless::Function"
_LAYER = "AWS::Serverless::LayerVersion"
_NESTED = {"AWS::Serverless::Application": "Location", "AWS::CloudFormation::Stack": "TemplateURL"}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What the project file is to say. ``missing`` are parameters that have no value yet; ``warnings`` are sentences."""

    service: str
    template: str
    build: str | None = None
    built_template: str | None = None
    region: str | None = None
    stack: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def propose(folder: Path) -> Proposal:
    """What fits the folder. Raises CommandFailed: it has no template, or one of its files cannot be read."""
    config = _samconfig(folder)
    template = _template(folder, config)
    source = read(_text(folder / template))
    if isinstance(source, Unsplittable):
        raise CommandFailed(f"{folder / template}: {_with_line(source.problems[0])}")
    deploy = _settings(config, "deploy")
    name = deploy.get("stack_name")
    service = _service_name(name if isinstance(name, str) else "") or _service_name(folder.resolve().name) or "service"
    overrides = dict(_overrides(deploy.get("parameter_overrides")))
    parameters = {key: value for key, value in overrides.items() if _unwanted(key, value, source) is None}
    builds = any(_local_code(source))
    missing = tuple(name for name in required_parameters(source.body) if name not in parameters)
    region = deploy.get("region")
    return Proposal(
        service=service,
        template=template,
        build=_build_command(template, config) if builds else None,
        built_template=_built(config) if builds else None,
        region=region if isinstance(region, str) and region else None,
        parameters=parameters,
        missing=missing,
        warnings=(
            *_same_name(name, service),
            *(why for key, value in overrides.items() if (why := _unwanted(key, value, source))),
            *_unread(deploy.get("parameter_overrides")),
            *(f"Parameter {name} has no Default and no value yet. Write one under parameters." for name in missing),
            *_refusals(template, source),
        ),
    )


def checked_service(given: str) -> str:
    """A service's name that somebody gave. Raises CommandFailed if no service can be called that."""
    legal = _service_name(given)
    if legal != given:
        such = f", such as {legal}" if legal else ""
        raise misuse(
            f"--service: no service can be called {given!r}. A service's name begins with a letter and has at most 63 lower-case "
            f"letters, digits and single hyphens between them{such}."
        )
    return given


# samconfig.toml.


def _samconfig(folder: Path) -> Mapping[str, Any]:
    path = folder / SAMCONFIG
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as trouble:
        raise CommandFailed(f"{path} does not parse: {trouble}. Mend it first.") from None


def _settings(config: Mapping[str, Any], command: str) -> Mapping[str, Any]:
    """What holds for a command of `sam` in its environment `default`: its own parameters, over those of all commands."""
    return {**_inside(config, "default", "global", "parameters"), **_inside(config, "default", command, "parameters")}


def _overrides(given: Any) -> Iterator[tuple[str, str]]:
    """Parameters in each form that samconfig.toml may have them in: a table, text of several, a list of such texts."""
    match given:
        case dict():
            for key, value in given.items():
                yield str(key), _as_text(value)
        case list():
            for each in given:
                yield from _overrides(each)
        case str():
            for word in _words(given):
                yield from _override(word)


def _override(word: str) -> Iterator[tuple[str, str]]:
    old = re.fullmatch(r"ParameterKey=([A-Za-z0-9]+),ParameterValue=(.*)", word, re.DOTALL)
    new = re.fullmatch(r"([A-Za-z0-9]+)=(.*)", word, re.DOTALL)
    found = old or new
    if found:
        yield found[1], found[2]


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(_as_text(each) for each in value) if isinstance(value, list) else str(value)


def _unread(given: Any) -> Iterator[str]:
    texts = given if isinstance(given, list) else [given]
    files = [each for each in texts if isinstance(each, str) and each.startswith("file://")]
    if files:
        yield f"{SAMCONFIG} reads parameters from {files[0]}, which is not read here. Write its values under parameters."


def _unwanted(name: str, value: str, source: Source) -> str | None:
    """Why a parameter's value is not taken over."""
    declared = _inside(source.body, "Parameters").get(name)
    if name in RESERVED:
        return f"Parameter {name} is left out: Stagekeeper fills it, per stage."
    if declared is None:
        return f"Parameter {name} of {SAMCONFIG} is left out: the template does not declare it."
    if is_secret(declared) and not is_reference(value):
        return (
            f"Parameter {name} is left out: it has NoEcho, so its value stands in no file. Give it as "
            "{{resolve:secretsmanager:…}}, or as a variable of the stages that is a secret."
        )
    return None


# The template.


def _template(folder: Path, config: Mapping[str, Any]) -> str:
    """The template's path in the folder: what `sam build` would take; else what `sam deploy` is told, if that is no built one."""
    named = [_named_template(config, command) for command in ("build", "deploy")]
    own, told = named
    for name in (own, *TEMPLATES, told):
        if name and ".aws-sam" not in Path(name).parts and (folder / name).is_file():
            return name
    raise CommandFailed(
        f"There is no SAM or CloudFormation template in {folder} ({', '.join(TEMPLATES)}, or what {SAMCONFIG} names). "
        f"Run this where the template is. For functions that no template makes, write {project.NAME} by hand, with service and "
        "functions."
    )


def _named_template(config: Mapping[str, Any], command: str) -> str | None:
    settings = _settings(config, command)
    found = settings.get("template_file", settings.get("template"))
    return found if isinstance(found, str) else None


def _build_command(template: str, config: Mapping[str, Any]) -> str:
    if template in TEMPLATES or _named_template(config, "build") == template:
        return "sam build"
    return f"sam build --template-file {shlex.quote(template)}"


def _built(config: Mapping[str, Any]) -> str:
    folder = _settings(config, "build").get("build_dir")
    return f"{folder.rstrip('/')}/template.yaml" if isinstance(folder, str) and folder else BUILT


def _local_code(source: Source) -> Iterator[str]:
    """The SAM functions and layers whose code is a folder or file of the checkout."""
    inherited = _inside(source.body, "Globals", "Function").get("CodeUri")
    for logical_id, resource in _inside(source.body, "Resources").items():
        if not isinstance(resource, Mapping):
            continue
        properties = _inside(resource, "Properties")
        code = {_FUNCTION: properties.get("CodeUri", inherited), _LAYER: properties.get("ContentUri")}.get(
            str(resource.get("Type"))
        )
        if isinstance(code, str) and "InlineCode" not in properties and not code.startswith("s3://"):
            yield logical_id


def _service_name(text: str) -> str:
    """As near to a text as a service's name may be; empty if nothing is left of it."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).lstrip("-0123456789")
    return name[:63].rstrip("-")


# What will not go as it is.


def _same_name(stack: Any, service: str) -> Iterator[str]:
    if stack == service:
        yield (
            f"{SAMCONFIG} deploys this as stack {stack}. Stagekeeper makes a stack {service} of its own and touches no other: if "
            f"there is one already, choose another service in {project.NAME}, and other names for what has names of its own."
        )


def _refusals(template: str, source: Source) -> Iterator[str]:
    owned = alias_problems(source.body, source.lines)
    for problem in (*macro_problems(source), *owned, *_undeployable(source)):
        yield f"{template}: {_with_line(problem)}"
    if owned:
        yield (
            "Where this template is deployed already, do not just delete such lines: CloudFormation would delete the aliases. "
            "docs/adopting.md tells how its stack lets go of them."
        )


def _undeployable(source: Source) -> Iterator[Problem]:
    for logical_id, resource in _inside(source.body, "Resources").items():
        if not isinstance(resource, Mapping):
            continue
        line = source.lines.get(("Resources", logical_id))
        kind = str(resource.get("Type"))
        if kind == _FUNCTION and "Dockerfile" in _inside(resource, "Metadata"):
            sentence = f"{logical_id} is an image that `sam build` makes here. Push it, and give ImageUri with its digest."
            yield Problem(sentence, logical_id, line)
        nested = _inside(resource, "Properties").get(_NESTED.get(kind, ""))
        if isinstance(nested, str) and not nested.startswith("https://"):
            sentence = f"{logical_id} is a nested stack from a local template, which is not packaged. Give its template's S3 URL."
            yield Problem(sentence, logical_id, line)


def _with_line(problem: Problem) -> str:
    return problem.sentence if problem.line is None else f"line {problem.line}: {problem.sentence}"


def _inside(value: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for name in path:
        found = value.get(name)
        if not isinstance(found, Mapping):
            return {}
        value = found
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as trouble:
        raise CommandFailed(f"{path} is not UTF-8 at its byte {trouble.start}. Save it as UTF-8.") from None
    except OSError as trouble:
        raise CommandFailed(f"{path} could not be read: {trouble.strerror}.") from None


# Writing.


def write(proposal: Proposal, path: Path, *, force: bool = False) -> None:
    """Write the project file. Raises CommandFailed where one is there and ``force`` is not said, and writes nothing that it would
    not take itself."""
    text = text_of(proposal)
    project.parse(text, path)
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise CommandFailed(f"{path} is there already. Delete it first, or say --force to write over it.") from None
    except OSError as trouble:
        raise CommandFailed(f"{path} could not be written: {trouble.strerror}.") from None


def text_of(proposal: Proposal) -> str:
    """The project file's text, with a comment to each part."""
    return "\n\n".join(_parts(proposal)) + "\n"


def _parts(proposal: Proposal) -> Iterator[str]:
    yield _lines(
        "# What this checkout is deployed as. `stagekeeper deploy` and all other commands read it here or in a folder below.",
        "",
        "# The service: all functions of the template together. Its stack in CloudFormation is called so too.",
        f"service: {_scalar(proposal.service)}",
    )
    yield _lines(
        "# The stack that Stagekeeper itself is deployed as, and the Region; left out, the environment's or the profile's.",
        f"stack: {_scalar(proposal.stack)}" if proposal.stack else "# stack: stagekeeper",
        f"region: {_scalar(proposal.region)}" if proposal.region else "# region: eu-central-1",
    )
    yield _lines(
        "# The template; the command that builds it, run here without a shell; the template that the build leaves.",
        f"template: {_scalar(proposal.template)}",
        f"build: {_scalar(proposal.build)}" if proposal.build else "# build: sam build",
        f"built_template: {_scalar(proposal.built_template)}" if proposal.built_template else f"# built_template: {BUILT}",
    )
    given = [f"  {name}: {_scalar(value)}" for name, value in proposal.parameters.items()]
    open_ones = [f"#   {name}: has no Default, so it needs a value" for name in proposal.missing]
    yield _lines(
        "# Values of the template's parameters, for all stages. What has a Default may be left out.",
        "parameters:" if given else "# parameters:",
        *given,
        *(open_ones if given or open_ones else ["#   LogLevel: info"]),
    )
    yield _lines(
        "# Which stage a branch goes to, with --from-branch and where CI runs. These are the defaults. <user> is the own stage",
        "# of the person at work, by their user name. A branch that no rule matches goes nowhere without --stage.",
        "branches:",
        *(f"  {_scalar(rule.pattern)}: {_scalar(rule.target)}" for rule in DEFAULT_RULES),
        "  # hotfix/*: qa",
    )
    yield _lines(
        "# What differs by stage: variables, which functions read at run time, and values of the template's parameters.",
        "# stages:",
        "#   dev:",
        "#     variables:",
        "#       LOG_LEVEL: debug",
        "#   <user>:",
        "#     parameters:",
        "#       LogLevel: debug",
    )


def _lines(*lines: str) -> str:
    return "\n".join(lines)


def _scalar(text: str) -> str:
    """Text as YAML has it: plain where that means the same text, else in quotes."""
    plain = text == PERSONAL or re.fullmatch(r"\.?/?[A-Za-z][\w*./ -]*", text, re.ASCII)
    if plain and yaml.safe_load(f"x: {text}") == {"x": text}:
        return text
    return str(yaml.safe_dump(text, default_style='"', allow_unicode=True, width=1_000_000)).strip()
