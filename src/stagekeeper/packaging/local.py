"""What a template points at on disk: code, layers, definitions. Pure, over the parsed template; opens no file.

Addresses, places in a bucket and intrinsic functions are left alone. What is local and cannot be packaged is a problem: it would
end up in a stack as a path that means nothing there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from stagekeeper.domain.code import ImageAddress
from stagekeeper.domain.split_model import Path, Problem, Source


class Kind(Enum):
    ZIP = auto()
    """A folder, or a .zip or .jar."""
    TEXT = auto()
    """A file that is uploaded as it is."""


class Form(Enum):
    """How the member takes an object in a bucket."""

    URI = auto()
    """``s3://bucket/key``. SAM merges maps with those of Globals, texts never."""
    PLACE = auto()
    """``{Bucket, Key}``"""
    CODE = auto()
    """``{S3Bucket, S3Key}``"""


@dataclass(frozen=True, slots=True)
class Pointer:
    """A member that holds a local path. ``path``: where it stands; ``users``: the resources that it is for."""

    path: Path
    value: str
    kind: Kind
    form: Form
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Local:
    """What there is to package, in the template's order, and what cannot be."""

    pointers: tuple[Pointer, ...]
    problems: tuple[Problem, ...]


_FUNCTION = "AWS::Serverless::Function"
_PLAIN_FUNCTION = "AWS::Lambda::Function"

#: Type -> the member that may hold a local path, what it leads to, and how it takes an object in a bucket.
_MEMBERS: Mapping[str, tuple[str, Kind, Form]] = {
    _FUNCTION: ("CodeUri", Kind.ZIP, Form.URI),
    "AWS::Serverless::LayerVersion": ("ContentUri", Kind.ZIP, Form.URI),
    "AWS::Serverless::StateMachine": ("DefinitionUri", Kind.TEXT, Form.URI),
    "AWS::Serverless::Api": ("DefinitionUri", Kind.TEXT, Form.URI),
    "AWS::Serverless::HttpApi": ("DefinitionUri", Kind.TEXT, Form.URI),
    _PLAIN_FUNCTION: ("Code", Kind.ZIP, Form.CODE),
    "AWS::Lambda::LayerVersion": ("Content", Kind.ZIP, Form.CODE),
    "AWS::StepFunctions::StateMachine": ("DefinitionS3Location", Kind.TEXT, Form.PLACE),
    "AWS::ApiGateway::RestApi": ("BodyS3Location", Kind.TEXT, Form.PLACE),
    "AWS::ApiGatewayV2::Api": ("BodyS3Location", Kind.TEXT, Form.PLACE),
}
#: Those of them that SAM takes from Globals, and the section there.
_INHERITED = {_FUNCTION: "Function", "AWS::Serverless::Api": "Api"}

#: Members that hold addresses of files in whatever type they are; a type that is not in the table above may have any of them.
_ADDRESSES = re.compile(
    r"CodeUri|ContentUri|DefinitionUri|SchemaUri|TemplateURL|ScriptLocation|SourceBundle|.*S3Location|.*Package"
)
_STACKS = {"AWS::Serverless::Application": "Location", "AWS::CloudFormation::Stack": "TemplateURL"}

_REMOTE = re.compile(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]*://|\{\{resolve:")


def local(source: Source) -> Local:
    """See the module."""
    resources = {
        logical_id: resource
        for logical_id, resource in _section(source.body, "Resources").items()
        if isinstance(resource, Mapping) and isinstance(resource.get("Type"), str)
    }
    problems = [problem for logical_id, resource in resources.items() for problem in _problems(logical_id, resource, source)]
    found: dict[Path, Pointer] = {}
    for logical_id, resource in resources.items():
        pointer = _pointer(logical_id, resource, source)
        if pointer is not None:
            users = (*found[pointer.path].users, logical_id) if pointer.path in found else (logical_id,)
            found[pointer.path] = Pointer(pointer.path, pointer.value, pointer.kind, pointer.form, users)
    return Local(tuple(found.values()), tuple(problems))


def is_local(value: Any) -> bool:
    """Whether a member's value is a path on this machine."""
    return isinstance(value, str) and value != "" and _REMOTE.match(value) is None


def _pointer(logical_id: str, resource: Mapping[str, Any], source: Source) -> Pointer | None:
    kind = resource["Type"]
    if kind not in _MEMBERS or _is_image(resource) or _is_inline(resource):
        return None
    member, leads_to, form = _MEMBERS[kind]
    path, value = _member(logical_id, resource, member, source)
    return Pointer(path, value, leads_to, form, (logical_id,)) if is_local(value) else None


def _member(logical_id: str, resource: Mapping[str, Any], member: str, source: Source) -> tuple[Path, Any]:
    """A member's value and where it stands, which may be in Globals."""
    own = _section(resource, "Properties").get(member)
    section = _INHERITED.get(resource["Type"])
    if own is None and section is not None:
        inherited = _section(_section(source.body, "Globals"), section).get(member)
        if inherited is not None:
            return ("Globals", section, member), inherited
    return ("Resources", logical_id, "Properties", member), own


def _is_image(resource: Mapping[str, Any]) -> bool:
    properties = _section(resource, "Properties")
    return resource["Type"] in (_FUNCTION, _PLAIN_FUNCTION) and (
        properties.get("PackageType") == "Image" or "ImageUri" in _section(properties, "Code")
    )


def _is_inline(resource: Mapping[str, Any]) -> bool:
    return resource["Type"] == _FUNCTION and _section(resource, "Properties").get("InlineCode") is not None


# --- what cannot be packaged


def _problems(logical_id: str, resource: Mapping[str, Any], source: Source) -> Iterator[Problem]:
    def problem(sentence: str, *path: str) -> Problem:
        whole = ("Resources", logical_id, *path)
        ends = (whole[:end] for end in range(len(whole), 1, -1))
        line = next((source.lines[end] for end in ends if end in source.lines), None)
        return Problem(f"{logical_id}{sentence}", logical_id, line)

    kind = resource["Type"]
    if _is_image(resource):
        yield from (problem(sentence, *path) for path, sentence in _image_problem(resource))
        return
    handled = _MEMBERS[kind][0] if kind in _MEMBERS else None
    if handled is not None and not _is_inline(resource):
        _, value = _member(logical_id, resource, handled, source)
        if kind == _FUNCTION and value in (None, ""):
            yield problem(" has no CodeUri and no InlineCode. Give the folder of its code.", "Properties")
        for choice in _choices(value):
            sentence = f": {handled} is a choice (Fn::If) with the local path {choice}, which is not packaged. Write one path."
            yield problem(sentence, "Properties", handled)
    for path, value in _addresses(_section(resource, "Properties"), kind):
        if path != (handled,):
            yield problem(_unpackaged(kind, path, value), "Properties", *path)


def _image_problem(resource: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    properties = _section(resource, "Properties")
    path = ("ImageUri",) if resource["Type"] == _FUNCTION else ("Code", "ImageUri")
    value = properties.get("ImageUri") if len(path) == 1 else _section(properties, "Code").get("ImageUri")
    if isinstance(value, Mapping):
        return
    try:
        ImageAddress.parse(str(value or ""))
    except ValueError as error:
        what = f"the ImageUri {value} names no digest in a registry" if value else "it is a container image and has no ImageUri"
        yield ("Properties", *path), f": {what}. Push the image, and write its address with the digest there ({error})."


def _choices(value: Any) -> Iterator[str]:
    """The local paths among the branches of a Fn::If."""
    branches = value.get("Fn::If") if isinstance(value, Mapping) else None
    for branch in branches[1:] if isinstance(branches, list) else ():
        if is_local(branch):
            yield branch
        yield from _choices(branch)


def _addresses(value: Any, kind: str, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Every member, at any depth, that holds an address, and holds a local one."""
    if kind == "AWS::CloudFormation::CustomResource" or kind.startswith("Custom::"):
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            here = (*path, str(name))
            if is_local(item) and (_ADDRESSES.fullmatch(here[-1]) or here == (_STACKS.get(kind),)):
                yield here, item
            yield from _addresses(item, kind, here)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _addresses(item, kind, (*path, str(position)))


def _unpackaged(kind: str, path: Path, value: str) -> str:
    member = ".".join(path)
    if kind in _STACKS:
        return (
            f" is a nested stack of the local template {value}, which is not packaged. Put its resources into this template, or "
            f"upload it packaged and give its address as {member}."
        )
    return f" ({kind}) takes its {member} from the local {value}, which is not packaged. Upload it, and give its address."


def _section(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
