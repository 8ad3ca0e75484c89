"""A template with SAM's resources to plain CloudFormation, by aws-sam-translator, without a call of anything.

The translator takes half a second to import, so that happens in the function that needs it. It gets no AWS session that could
ask, and no value of a parameter that must not end up in the text: of NoEcho, of one that the control plane fills per stage, and
of one whose value is the name of an SSM parameter.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from stagekeeper.domain.split_aliases import alias_problems
from stagekeeper.domain.split_model import RESERVED, Expanded, Problem, Source, Unsplittable
from stagekeeper.template.macros import is_sam, macro_problems
from stagekeeper.template.sam_errors import readable

# In each SAM resource's Metadata for the time of the translation, which hands that on to all that it makes of the resource.
_ORIGIN = "Stagekeeper::Origin"

# What the translator raises where it expected a template of another shape, beside its own exceptions.
_SHAPE = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def expand(source: Source, parameters: Mapping[str, str], region: str) -> Expanded | Unsplittable:
    """The template as CloudFormation would see it after its transform, or what stands in the way."""
    problems = (
        macro_problems(source)
        or _shape_problems(source)
        or (*alias_problems(source.body, source.lines), *_application_problems(source))
    )
    if problems:
        return Unsplittable(problems)
    if not is_sam(source):
        forgotten = tuple(_without_transform(source))
        return Unsplittable(forgotten) if forgotten else Expanded(_plain(source.body), source.lines)
    return _translated(source, parameters, region)


def _shape_problems(source: Source) -> tuple[Problem, ...]:
    resources = source.body.get("Resources")
    if not isinstance(resources, Mapping) or not resources:
        line = source.lines.get(("Resources",))
        return (Problem("The template has no Resources. Declare at least one function there.", None, line),)
    return tuple(
        Problem(
            f"{logical_id} is no resource: it needs a Type. Check the indentation.",
            logical_id,
            source.lines.get(("Resources", logical_id)),
        )
        for logical_id, resource in resources.items()
        if not (isinstance(resource, Mapping) and isinstance(resource.get("Type"), str))
    )


def _application_problems(source: Source) -> tuple[Problem, ...]:
    """An application of the Serverless Application Repository has to be asked for, which the translator would do by itself."""
    return tuple(
        Problem(
            f"{logical_id} is an application of the Serverless Application Repository, which cannot be expanded here. "
            "Deploy it as a stack of its own, or give Location as the S3 URL of its template.",
            logical_id,
            source.lines.get(("Resources", logical_id)),
        )
        for logical_id, resource in source.body["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Application" and not isinstance(_properties(resource).get("Location"), str)
    )


def _without_transform(source: Source) -> Iterator[Problem]:
    for logical_id, resource in source.body["Resources"].items():
        if resource["Type"].startswith("AWS::Serverless::"):
            sentence = (
                f"{logical_id} is an {resource['Type']}, but the template does not say Transform: AWS::Serverless-2016-10-31. "
                "Add that line at its top."
            )
            yield Problem(sentence, logical_id, source.lines.get(("Resources", logical_id)))


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "Transform"}


def _translated(source: Source, parameters: Mapping[str, str], region: str) -> Expanded | Unsplittable:
    from samtranslator.model.exceptions import ExceptionWithMessage, InvalidDocumentException

    try:
        body = _translate(_marked(source.body), _open_values(source.body, parameters), region)
    except InvalidDocumentException as trouble:
        return Unsplittable(tuple(readable(cause, source) for cause in trouble.causes))
    except ExceptionWithMessage as trouble:
        return Unsplittable((readable(trouble, source),))
    except _SHAPE as trouble:
        return Unsplittable((_misshapen(source, trouble, region),))
    if "Parameters" in source.body:
        body["Parameters"] = copy.deepcopy(source.body["Parameters"])
    origins = dict(_take_origins(body["Resources"], source))
    problems = tuple(_policy_problems(body["Resources"], origins, source))
    return Unsplittable(problems) if problems else Expanded(body, source.lines, origins)


def _translate(body: dict[str, Any], values: dict[str, Any], region: str) -> dict[str, Any]:
    from boto3.session import Session
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template

    # What AWS's own transform does, so that the ids with a digest in them are those that it would make.
    to_py27_compatible_template(body, values)
    # The session says the Region, and is asked for nothing else.
    translator = Translator(None, Parser(), boto_session=Session(region_name=region))
    try:
        translated = translator.translate(body, parameter_values=values, passthrough_metadata=True)
    finally:
        # It counts what it does, into nowhere, and complains at the end of the process if nobody takes the counts.
        translator.metrics.publish()
    result: dict[str, Any] = undo_mark_unicode_str_in_template(translated)
    return result


def _marked(body: Mapping[str, Any]) -> dict[str, Any]:
    marked = copy.deepcopy(dict(body))
    for name, declared in _section(marked, "Parameters").items():
        if _is_closed(name, declared):
            declared.pop("Default", None)
    for logical_id, resource in marked["Resources"].items():
        if resource["Type"].startswith("AWS::Serverless::"):
            _mark(resource, logical_id)
        for connector in _section(resource, "Connectors").values():
            if isinstance(connector, dict):
                _mark(connector, logical_id)
    return marked


def _mark(resource: dict[str, Any], logical_id: str) -> None:
    metadata = resource.get("Metadata")
    resource["Metadata"] = {**(metadata if isinstance(metadata, Mapping) else {}), _ORIGIN: logical_id}


def _open_values(body: Mapping[str, Any], parameters: Mapping[str, str]) -> dict[str, Any]:
    declared = _section(body, "Parameters")
    return {name: value for name, value in parameters.items() if not _is_closed(name, declared.get(name, {}))}


def _is_closed(name: str, declared: Any) -> bool:
    if name in RESERVED or not isinstance(declared, Mapping):
        return True
    return str(declared.get("NoEcho", False)).lower() == "true" or str(declared.get("Type")).startswith("AWS::SSM::Parameter::")


def _take_origins(resources: dict[str, Any], source: Source) -> Iterator[tuple[str, str]]:
    """Who each generated resource comes from; takes the marks away again."""
    for logical_id, resource in resources.items():
        metadata = resource.get("Metadata")
        origin = metadata.pop(_ORIGIN, None) if isinstance(metadata, dict) else None
        if metadata == {} and not _section(source.body["Resources"], logical_id).get("Metadata"):
            del resource["Metadata"]
        if origin is None and logical_id not in source.body["Resources"]:
            origin = _first_of_implicit_api(logical_id, source)
        if origin is not None and origin != logical_id:
            yield logical_id, str(origin)


def _first_of_implicit_api(logical_id: str, source: Source) -> str | None:
    """SAM makes one API for all functions whose events name none; the first of them stands for it."""
    kind = "HttpApi" if logical_id.startswith("ServerlessHttpApi") else "Api"
    for name, resource in source.body["Resources"].items():
        for event in _section(_properties(resource), "Events").values():
            if isinstance(event, Mapping) and event.get("Type") == kind:
                return str(name)
    return None


def _policy_problems(resources: Mapping[str, Any], origins: Mapping[str, str], source: Source) -> Iterator[Problem]:
    """SAM takes the name of an AWS managed policy; what it does not know it hands on, and IAM would fail on it."""
    for logical_id, resource in resources.items():
        named = _properties(resource).get("ManagedPolicyArns")
        if logical_id not in origins or resource["Type"] != "AWS::IAM::Role" or not isinstance(named, list):
            continue
        origin = origins[logical_id]
        for policy in named:
            if isinstance(policy, str) and not policy.startswith("arn:"):
                sentence = (
                    f"{origin} names the policy {policy}, and AWS manages none of that name. Give its ARN, or mend the name."
                )
                path = ("Resources", origin, "Properties", "Policies")
                yield Problem(sentence, origin, source.lines.get(path) or source.lines.get(path[:2]))


def _misshapen(source: Source, trouble: Exception, region: str) -> Problem:
    """The translator expects some shapes without asking; the resource with which it fails alone is the one."""
    from samtranslator.model.exceptions import ExceptionWithMessage

    reason = f"SAM's transform cannot read {{}} ({type(trouble).__name__}: {trouble}). Compare its members with SAM's reference."
    for logical_id, resource in source.body["Resources"].items():
        alone = Source({**source.body, "Resources": {logical_id: resource}})
        try:
            _translate(_marked(alone.body), _open_values(alone.body, {}), region)
        except ExceptionWithMessage:
            continue
        except _SHAPE:
            return Problem(reason.format(logical_id), logical_id, source.lines.get(("Resources", logical_id)))
    return Problem(reason.format("the template"))


def _properties(resource: Any) -> Mapping[str, Any]:
    return _section(resource, "Properties") if isinstance(resource, Mapping) else {}


def _section(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
