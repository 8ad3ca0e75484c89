"""From a template in S3 to its two halves: read, expanded, split, and its parameters looked at. Nothing is changed by it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from stagekeeper.aws.bodies import Bodies
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import ServiceName, TemplateRef
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import DeployRequest, TemplateWish, Variables
from stagekeeper.domain.service_template import ServiceTemplate, as_parameter, shared_variables
from stagekeeper.domain.split import split
from stagekeeper.domain.split_model import (
    RESERVED,
    AliasArn,
    FunctionArn,
    FunctionName,
    Kind,
    Output,
    Problem,
    Source,
    Split,
    Unsplittable,
)
from stagekeeper.domain.split_parameters import is_reference, is_secret, parameter_problems, value_problems
from stagekeeper.engine.deps import Deps
from stagekeeper.template.expand import expand
from stagekeeper.template.read import read

#: A template may have 1 MB in S3 (CloudFormation quotas).
MAX_TEMPLATE = 1_048_576
_SHOWN = 3
#: What of the split's report is a warning to whoever deploys: the rest is as it should be.
_WARNED = (Kind.ASSUMED, Kind.NAMED, Kind.CANNOT_FOLLOW, Kind.SHARED_SOURCE, Kind.CONTESTED)
_BY_REFERENCE = (
    "a secret is given by reference, never by value. Give '{{resolve:secretsmanager:…}}' and nothing around it, or a variable of "
    "the stage with its secret's ARN."
)
_BY_ARN = 'a secret is given by reference, never by value. Give the variable as its secret\'s ARN: {"secret": "arn:…"}.'


@dataclass(frozen=True, slots=True)
class Looked:
    """A template that can be deployed."""

    template: ServiceTemplate
    ref: TemplateRef


def look_at_template(
    deps: Deps, request: DeployRequest, wish: TemplateWish, variables: Variables, *, read_only: bool
) -> Looked | Refusal:
    """The template of a deploy, split; or everything that is wrong with it. Raises CallFailed.

    ``variables`` are the stage's as they will be. Kept in the artifact bucket, unless ``read_only``.
    """
    place = f"s3://{wish.s3_bucket}/{wish.s3_key}"
    body = deps.artifacts.document(wish.s3_bucket, wish.s3_key, MAX_TEMPLATE, wish.s3_object_version)
    if isinstance(body, Absent):
        return Refusal(Code.ARTIFACT_MISSING, f"The template {place} does not exist. Upload it first.", (place,))
    if isinstance(body, Unreadable):
        return Refusal(Code.UNREADABLE, f"The template {place} could not be read: {body.why}.", (place,))
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _refused(place, [Problem("It is not text in UTF-8.")])
    source = read(text)
    if isinstance(source, Unsplittable):
        return _refused(place, source.problems)
    expanded = expand(source, wish.parameters, deps.lambda_api.region)
    if isinstance(expanded, Unsplittable):
        return _refused(place, expanded.problems)
    halves = split(expanded)
    if isinstance(halves, Unsplittable):
        return _refused(place, halves.problems)
    problems = [*_parameter_problems(source, halves, request, wish, variables), *_secrets(source, wish, variables)]
    if problems:
        return _refused(place, problems)
    template = _kept(halves, wish)
    unknown = unknown_shared(wish.allow_shared, template, _in_service_stack(deps, request.service))
    if unknown is not None:
        return unknown
    shared = shared_variables(template, variables)
    if shared:
        sentence = (
            f"The template {place} uses {', '.join(shared)} in what all stages share, so it cannot be a variable of stage "
            f"{request.stage} alone. Give it in parameters, or give the resources that use it Metadata.Stagekeeper.Scope: stage."
        )
        return Refusal(Code.INVALID_REQUEST, sentence, tuple(shared))
    key = Bodies(deps.artifacts).put_template(template, read_only=read_only)
    return Looked(template, TemplateRef(key, template.digest))


def _parameter_problems(
    source: Source, halves: Split, request: DeployRequest, wish: TemplateWish, variables: Variables
) -> Sequence[Problem]:
    declared = set(source.body.get("Parameters", {}))
    given = {*wish.parameters, *(declared & set(variables))}
    if request.stage is None:
        # What only a stage needs is asked for when there is one.
        given |= declared - set(halves.service.get("Parameters", {})) - set(RESERVED)
    values = {**wish.parameters, **{name: as_parameter(value) for name, value in variables.items() if name in declared}}
    used = halves.service if request.stage is None else {"Parameters": source.body.get("Parameters", {})}
    judged = {name: each for name, each in source.body.get("Parameters", {}).items() if name in used.get("Parameters", {})}
    names = parameter_problems(source.body, source.lines, given)
    return [*names, *value_problems({"Parameters": judged}, source.lines, values)]


def _secrets(source: Source, wish: TemplateWish, variables: Variables) -> list[Problem]:
    """What a template calls secret is never to be in a request: those are kept."""
    plain = {name: value for name, value in variables.items() if isinstance(value, str)}
    given = {**dict.fromkeys(plain, _BY_ARN), **dict.fromkeys(wish.parameters, _BY_REFERENCE)}
    values = [*wish.parameters.items(), *plain.items()]
    told = {name for name, value in values if not is_reference(value)}
    return [
        Problem(f"The parameter {name} has NoEcho: {given[name]}", None, source.lines.get(("Parameters", name)))
        for name, declared in source.body.get("Parameters", {}).items()
        if name in told and is_secret(declared)
    ]


def unknown_shared(allowed: Iterable[str], template: ServiceTemplate, in_stack: Collection[str]) -> Refusal | None:
    """The request allows something by a name that is nobody's: a slip of the pen, of which it should hear.

    ``in_stack``: what the service stack has, which the template may have dropped.
    """
    known = {*template.service.get("Resources", {}), *(template.stage or {}).get("Resources", {}), *in_stack}
    unknown = tuple(sorted(set(allowed) - known))
    if not unknown:
        return None
    sentence = (
        f"allow_shared names {', '.join(unknown)}, which neither the template nor the service stack has. "
        "Correct the logical ids, or leave them out."
    )
    return Refusal(Code.INVALID_REQUEST, sentence, unknown)


def _in_service_stack(deps: Deps, service: ServiceName) -> Collection[str]:
    applied = deps.store.stack(service, str(service))
    if applied is None:
        return ()
    resources: Mapping[str, object] = Bodies(deps.artifacts).stack_template(applied.content).get("Resources", {})
    return resources.keys()


def _kept(halves: Split, wish: TemplateWish) -> ServiceTemplate:
    outputs: dict[str, str] = {}
    aliases: dict[str, str] = {}
    arns: dict[str, str] = {}
    names: dict[str, str] = {}
    for crossing in halves.crossings:
        match crossing:
            case Output(parameter=parameter, output=output):
                outputs[parameter] = output
            case AliasArn(parameter=parameter, function=function):
                aliases[parameter] = function
            case FunctionArn(parameter=parameter, function=function):
                arns[parameter] = function
            case FunctionName(parameter=parameter, function=function):
                names[parameter] = function
            case _:
                assert_never(crossing)
    return ServiceTemplate(
        service=halves.service,
        stage=halves.stage,
        outputs=outputs,
        aliases=aliases,
        arns=arns,
        names=names,
        parameters=dict(wish.parameters),
        contested=halves.report.contested,
        warnings=tuple(f"{line.logical_id}: {line.sentence}" for line in halves.report.lines if line.kind in _WARNED),
    )


def _refused(place: str, problems: Sequence[Problem]) -> Refusal:
    """Of the code that is decided first, naming everything that has it."""
    code = min((problem.code for problem in problems), key=list(Code).index)
    same = [problem for problem in problems if problem.code is code]
    told = " ".join(_told(problem) for problem in same[:_SHOWN])
    more = f" And {len(same) - _SHOWN} more, see blockers." if len(same) > _SHOWN else ""
    return Refusal(code, f"The template {place} cannot be used. {told}{more}", tuple(_told(problem) for problem in same))


def _told(problem: Problem) -> str:
    where = [problem.logical_id] if problem.logical_id is not None else []
    where += [f"line {problem.line}"] if problem.line is not None else []
    return f"{', '.join(where)}: {problem.sentence}" if where else problem.sentence
