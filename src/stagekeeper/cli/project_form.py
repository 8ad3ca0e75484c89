"""The form of ``stagekeeper.yaml``: its fields, what each may hold, and the JSON schema that editors check it with.

Strict: no unknown field, no null, no number where text is meant. Must not know where the file lies or what becomes of it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Tag,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from stagekeeper.cli.yaml_text import Place
from stagekeeper.domain.branches import PERSONAL
from stagekeeper.domain.model import MAX_FUNCTIONS, STAGE_NAME
from stagekeeper.domain.split_model import RESERVED
from stagekeeper.handlers import request_forms as forms

DIALECT = "https://json-schema.org/draft/2020-12/schema"

#: What a shell would understand and a program only takes for a part of its words.
_SHELLS_SIGNS = "();<>|&"
_SHELLS_VALUE = re.compile(r"\$[A-Za-z_({]")


@dataclass(frozen=True, slots=True)
class _Matches:
    """Text that a pattern describes, for pydantic as for an editor."""

    pattern: str
    sentence: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^{self.pattern}$"}

    def _check(self, value: str) -> str:
        if re.fullmatch(self.pattern, value) is None:
            raise ValueError(self.sentence)
        return value


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise ValueError("Stagekeeper fills this parameter itself; leave it out")
    return name


_Service = Annotated[forms.Service, Field(json_schema_extra={"pattern": "^[a-z](-?[a-z0-9])*$"})]
_StageOrPersonal = Annotated[
    str,
    _Matches(
        f"({PERSONAL}|{STAGE_NAME})",
        f"a stage has 1 to 63 letters, digits, hyphens and underscores, and is not all digits; {PERSONAL} is the person's own",
    ),
]
_Stack = Annotated[
    str,
    _Matches(
        "[A-Za-z][A-Za-z0-9-]{0,127}", "a stack's name begins with a letter and has at most 128 letters, digits and hyphens"
    ),
]
_Region = Annotated[str, _Matches("[a-z]{2,}(-[a-z]+)+-[0-9]+", "a Region is spelled as AWS does, for instance eu-central-1")]
_Path = Annotated[str, Field(min_length=1)]
_BranchPattern = Annotated[str, Field(min_length=1)]
_Logical = Annotated[str, _Matches("[A-Za-z0-9_.-]{1,128}", "a function's logical name has 1 to 128 of A-Z a-z 0-9 _ . -")]
_FunctionName = Annotated[
    str,
    _Matches(
        "(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}",
        "function_name is a function's name or its ARN, without a version or alias behind it",
    ),
]
_ParameterName = Annotated[
    str,
    _Matches("[A-Za-z0-9]{1,255}", "a parameter's name has 1 to 255 letters and digits"),
    AfterValidator(_not_reserved),
]
_Parameters = Annotated[dict[_ParameterName, Annotated[str, Field(max_length=4096)]], Field(max_length=200)]


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


def _kind_of_code(value: Any) -> str:
    return forms.IMAGE if isinstance(value, dict) else forms.ZIP


class FunctionForm(_Form):
    """A function of the service, and what a deploy gives it."""

    model_config = ConfigDict(title="A function")

    function_name: Annotated[_FunctionName, Field(description="The function's name, or its ARN, without version or alias.")]
    code: Annotated[
        Annotated[Annotated[_Path, Tag(forms.ZIP)] | Annotated[forms.ImageCode, Tag(forms.IMAGE)], Discriminator(_kind_of_code)]
        | None,
        Field(
            description="A folder or a zip, seen from the project file; or an image by its digest. Left out: what $LATEST holds."
        ),
    ] = None
    configuration: Annotated[
        forms.Configuration | None, Field(description="Members of Lambda's UpdateFunctionConfiguration, spelled as there.")
    ] = None


class StageForm(_Form):
    """What is a stage's own."""

    model_config = ConfigDict(title="A stage")

    variables: Annotated[
        forms.Variables | None,
        Field(description="The stage's variables, all of them: text, or a secret by its ARN. Left out, they stay as they are."),
    ] = None
    parameters: Annotated[
        _Parameters | None, Field(description="Values of the template's parameters for this stage, before those of the project.")
    ] = None


class ProjectForm(_Form):
    """The project file of Stagekeeper: what a checkout is deployed as, and where."""

    service: Annotated[_Service, Field(description="The service's name.")]
    stack: Annotated[_Stack, Field(description="The stack that Stagekeeper is deployed as.")] = "stagekeeper"
    region: Annotated[_Region | None, Field(description="The AWS Region; left out, the environment's or the profile's.")] = None
    template: Annotated[
        _Path | None, Field(description="The SAM or CloudFormation template, seen from this file. Either this or functions.")
    ] = None
    functions: Annotated[
        Annotated[dict[_Logical, FunctionForm], Field(min_length=1, max_length=MAX_FUNCTIONS)] | None,
        Field(description="The service's functions by logical name, where no template makes them. Either this or template."),
    ] = None
    build: Annotated[
        _Path | None,
        Field(description="The command that builds what is deployed; run in this file's folder, without a shell."),
    ] = None
    built_template: Annotated[
        _Path | None, Field(description="The template that the build leaves, seen from this file; left out, it is template.")
    ] = None
    parameters: Annotated[_Parameters | None, Field(description="Values of the template's parameters, for all stages.")] = None
    branches: Annotated[
        dict[_BranchPattern, _StageOrPersonal] | None,
        Field(description=f"Which stage a branch goes to, by pattern, before the defaults. {PERSONAL}: the person's own."),
    ] = None
    stages: Annotated[
        dict[_StageOrPersonal, StageForm] | None,
        Field(description=f"What differs by stage. {PERSONAL}: every person's own. A stage that is named here is nobody's own."),
    ] = None


def misplaced(form: ProjectForm) -> Iterator[tuple[Place, str]]:
    """What the fields say that does not go together: where, and what is wrong there."""
    if (form.template is None) == (form.functions is None):
        yield (), "give either template or functions: what is to be deployed"
        return
    if form.template is None:
        for name in ("built_template", "parameters"):
            if getattr(form, name) is not None:
                yield (name,), "goes with template"
        for stage, section in (form.stages or {}).items():
            for name in section.model_fields_set:
                yield ("stages", stage, name), "goes with template"
    if form.build is not None:
        wrong = _wrong_command(form.build)
        if wrong is not None:
            yield ("build",), wrong
        elif _leaves_another_template(form.build) and form.template is not None and form.built_template is None:
            yield ("build",), "leaves the template to deploy in .aws-sam/build/template.yaml: say so with built_template"


def _leaves_another_template(command: str) -> bool:
    """`sam build` does: the one that it was made from still names the sources."""
    words = command.split()
    return words[:2] == ["sam", "build"] or words[1:3] == ["sam", "build"]


def _wrong_command(command: str) -> str | None:
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_SHELLS_SIGNS)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return "a quotation mark is not closed"
    if not words:
        return "is empty; leave it out"
    signs = [word for word in words if not word.strip(_SHELLS_SIGNS) or _SHELLS_VALUE.search(word)]
    if signs:
        return f"is run without a shell, to which alone {signs[0]} means something. Put it into a script, and call that"
    if "=" in words[0]:
        return "is run without a shell, so it begins with a program. Write `env` before the variable"
    return None


class _Schema(GenerateJsonSchema):
    """No null (the file may hold none), and keys by ``propertyNames``, so that a wrong one is told."""

    def get_title_from_name(self, name: str) -> str:
        return name

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        made = super().dict_schema(schema)
        for pattern, values in made.pop("patternProperties", {}).items():
            made["propertyNames"] = {"pattern": pattern}
            made["additionalProperties"] = values
        return made


def schema() -> dict[str, Any]:
    """The JSON schema of the project file (draft 2020-12), with what an editor shows to each field."""
    made = ProjectForm.model_json_schema(schema_generator=_Schema)
    return {
        "$schema": DIALECT,
        **made,
        "title": "stagekeeper.yaml",
        "oneOf": [{"required": ["template"]}, {"required": ["functions"]}],
    }
