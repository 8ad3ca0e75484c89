"""A service's template once it is split, as it is kept: what a release was deployed from, and what its stage stacks are made of.

Must not know how a template is split, nor where it is kept.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stagekeeper.domain.code import ImageAddress
from stagekeeper.domain.intrinsics import references, single
from stagekeeper.domain.model import FunctionArn, LogicalName, ServiceName, StageName
from stagekeeper.domain.request import CodeWish, ImageWish, Secret, Variables
from stagekeeper.domain.split_model import SERVICE, SLUG, STAGE
from stagekeeper.domain.stack_plan import stack_slug

FUNCTION = "AWS::Lambda::Function"
URL = "AWS::Lambda::Url"
#: So many resources are named of those that change: more is for the template itself to say.
_NAMED = 12
_MADE_AGAIN = ("AWS::Lambda::", "AWS::IAM::")


@dataclass(frozen=True, slots=True)
class ServiceTemplate:
    """Both halves of a template, and what goes across the cut.

    ``outputs``, ``aliases``, ``arns`` and ``names`` say how parameters of the stage's half are filled: by an output of the
    service stack, by the ARN of a function's alias, by a function's own ARN, by its name. ``parameters`` are the values that the
    deploy gave. ``contested`` are queues that the stages would take one another's messages from.
    """

    service: Mapping[str, Any] = field(repr=False)
    stage: Mapping[str, Any] | None = field(repr=False)
    outputs: Mapping[str, str]
    aliases: Mapping[str, str]
    arns: Mapping[str, str]
    names: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    contested: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def functions(self) -> tuple[LogicalName, ...]:
        return functions_in(self.service)

    @property
    def digest(self) -> str:
        """Its identity (hex SHA-256). Where the functions' code lies is left out: a release knows their code by its digest."""
        resources = {name: without_code(resource) for name, resource in self.service.get("Resources", {}).items()}
        service = {**self.service, "Resources": resources} if "Resources" in self.service else self.service
        crossings = [dict(each) for each in (self.outputs, self.aliases, self.arns, self.names)]
        told = [dict(service), self.stage, crossings, dict(self.parameters)]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def without_code(resource: Mapping[str, Any]) -> Mapping[str, Any]:
    """A resource as it is; of a function without where its code lies."""
    if resource.get("Type") != FUNCTION or "Properties" not in resource:
        return resource
    return {**resource, "Properties": {name: value for name, value in resource["Properties"].items() if name != "Code"}}


def functions_in(template: Mapping[str, Any]) -> tuple[LogicalName, ...]:
    """The functions that a template declares, by logical id."""
    resources = template.get("Resources", {})
    return tuple(LogicalName(name) for name, resource in resources.items() if resource.get("Type") == FUNCTION)


def only(template: Mapping[str, Any], wanted: Iterable[str]) -> dict[str, Any]:
    """The template with these resources and with what they refer to, in turn. It has no outputs: nobody else's are in it."""
    resources: Mapping[str, Any] = template.get("Resources", {})
    ahead, kept = list(wanted), set[str]()
    while ahead:
        logical_id = ahead.pop()
        if logical_id in resources and logical_id not in kept:
            kept.add(logical_id)
            named = resources[logical_id].get("DependsOn", ())
            ahead += [each.target for each in references(resources[logical_id])]
            ahead += [named] if isinstance(named, str) else named
    left = {logical_id: resource for logical_id, resource in resources.items() if logical_id in kept}
    return {**{section: value for section, value in template.items() if section != "Outputs"}, "Resources": left}


def what_changes(after: Mapping[str, Any], before: Mapping[str, Any] | None) -> str:
    """The resources of a template that are new, or other than before, or gone, for people to read."""
    new, old = after.get("Resources", {}), {} if before is None else before.get("Resources", {})
    names = [name for name in new if old.get(name) != new[name]] + [name for name in old if name not in new]
    if not names:
        return "values of parameters, or outputs"
    return _listed(names)


def what_goes(template: Mapping[str, Any]) -> str:
    """The resources that go with a stack of this template, and those that its user wants to be left, for people to read.

    What may hold data comes first: code and roles can be made again.
    """
    resources = template.get("Resources", {})
    names = sorted(resources, key=lambda name: resources[name].get("Type", "").startswith(_MADE_AGAIN))
    stay = [name for name in names if resources[name].get("DeletionPolicy") in ("Retain", "RetainExceptOnCreate")]
    go = [name for name in names if name not in stay]
    told = f"with all that is in it: {_listed(go)}" if go else "with nothing in it"
    return f"{told}; by their DeletionPolicy these stay: {_listed(stay)}" if stay else told


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def code_of(template: Mapping[str, Any], function: LogicalName) -> CodeWish | ImageWish | None:
    """Where a function's code lies, if the template says it in so many words; None where $LATEST is all there is to go by."""
    properties = template["Resources"][function].get("Properties", {})
    code = properties.get("Code", {})
    bucket, key, version = code.get("S3Bucket"), code.get("S3Key"), code.get("S3ObjectVersion")
    if isinstance(bucket, str) and isinstance(key, str) and isinstance(version, str | None):
        return CodeWish(bucket, key, version)
    image = code.get("ImageUri")
    if isinstance(image, str) and "@sha256:" in image:
        return ImageWish(ImageAddress.parse(image))
    return None


@dataclass(frozen=True, slots=True)
class Unfilled:
    """Parameters of the stage's half that nothing fills, with what would."""

    wanted: tuple[str, ...]


def stage_stack(
    template: ServiceTemplate,
    service: ServiceName,
    stage: StageName,
    arns: Mapping[LogicalName, FunctionArn],
    outputs: Mapping[str, str],
    variables: Variables,
) -> tuple[dict[str, Any], dict[str, str]] | Unfilled | None:
    """A stage's template and the values of its parameters; None where the stage has nothing of its own.

    ``arns`` are the functions' that are there, ``outputs`` the service stack's.
    """
    if template.stage is None and not variables:
        return None
    body = stage_body(template, service, stage, variables)
    known = _known(template, service, stage, arns, outputs, variables)
    declared: Mapping[str, Any] = body.get("Parameters", {})
    values = {name: known[name] for name in declared if name in known}
    missing = [name for name in declared if name not in values and "Default" not in declared[name]]
    if missing:
        return Unfilled(tuple(_what_fills(template, name) for name in missing))
    return body, values


def stage_body(template: ServiceTemplate, service: ServiceName, stage: StageName, variables: Variables) -> dict[str, Any]:
    """A stage's template: all of it is known before anything that fills its parameters is there."""
    body = copy.deepcopy(dict(template.stage or {"AWSTemplateFormatVersion": "2010-09-09"}))
    body["Resources"] = {**body.get("Resources", {}), **_variable_resources(service, stage, variables)}
    return body


def _known(
    template: ServiceTemplate,
    service: ServiceName,
    stage: StageName,
    arns: Mapping[LogicalName, FunctionArn],
    outputs: Mapping[str, str],
    variables: Variables,
) -> dict[str, str]:
    known = dict(template.parameters)
    known |= {name: as_parameter(value) for name, value in variables.items()}
    known |= {SERVICE: service, STAGE: stage, SLUG: stack_slug(stage)}
    known |= {name: outputs[output] for name, output in template.outputs.items() if output in outputs}
    known |= {name: f"{arn}:{stage}" for name, of in template.aliases.items() if (arn := arns.get(LogicalName(of)))}
    known |= {name: arn for name, of in template.arns.items() if (arn := arns.get(LogicalName(of)))}
    known |= {name: arn.rpartition(":")[2] for name, of in template.names.items() if (arn := arns.get(LogicalName(of)))}
    return known


def _what_fills(template: ServiceTemplate, parameter: str) -> str:
    if parameter in template.outputs:
        return f"output {template.outputs[parameter]} of the service stack"
    function = next((of[parameter] for of in (template.aliases, template.arns, template.names) if parameter in of), None)
    return f"function {function}" if function is not None else f"parameter {parameter}"


def as_parameter(value: str | Secret) -> str:
    """CloudFormation puts the secret in where the parameter is used; nobody else ever sees it."""
    return f"{{{{resolve:secretsmanager:{value.arn}}}}}" if isinstance(value, Secret) else value


def variable_name(service: ServiceName, stage: StageName, name: str) -> str:
    """Where a function reads a variable at run time, in AWS Systems Manager Parameter Store."""
    return f"/stagekeeper/{service}/{stage}/{name}"


def _variable_resources(service: ServiceName, stage: StageName, variables: Variables) -> dict[str, Any]:
    """Each variable is a parameter in Systems Manager. Of a secret it holds the ARN."""
    return {
        _logical_id(name): {
            "Type": "AWS::SSM::Parameter",
            "Properties": {
                "Type": "String",
                "Name": variable_name(service, stage, name),
                "Value": value.arn if isinstance(value, Secret) else value,
            },
        }
        for name, value in sorted(variables.items())
    }


def _logical_id(variable: str) -> str:
    """A_B and AB are two variables."""
    letters = re.sub("[^A-Za-z0-9]", "", variable)
    return f"StagekeeperVariable{letters}{hashlib.sha256(variable.encode()).hexdigest()[:8]}"


def shared_variables(template: ServiceTemplate, variables: Iterable[str]) -> list[str]:
    """The variables that are parameters of what all stages share, which cannot differ by stage."""
    declared = template.service.get("Parameters", {})
    return sorted(name for name in variables if name in declared)


def with_url(template: Mapping[str, Any], parameters: Mapping[str, str], there: Container[str]) -> frozenset[str]:
    """The names or ARNs (qualified or not) of the functions that a stage's stack gives a URL, by what it was made of.

    ``there``: the logical ids of what the stack has. By physical ids a URL cannot be known.
    """
    urls = [
        resource.get("Properties", {}).get("TargetFunctionArn")
        for logical_id, resource in template.get("Resources", {}).items()
        if resource.get("Type") == URL and logical_id in there
    ]
    named = [single(target, "Ref") for target in urls]
    return frozenset(parameters[name] for name in named if isinstance(name, str) and name in parameters)
