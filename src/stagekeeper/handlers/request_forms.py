"""The forms of requests: what fields each operation takes, and what each may hold. Must not know what becomes of a request.

Strict: no unknown field, no ``"3"`` or ``true`` for a number. The sentences that stand here never hold a value.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, model_validator

from stagekeeper.domain.code import ImageAddress, sha256_base64
from stagekeeper.domain.model import MAX_FUNCTIONS, STAGE_NAME, Provenance, ReleaseNumber
from stagekeeper.domain.request import Common

#: Variables that Lambda sets itself and refuses to have set (Developer Guide, configuration-envvars). Those that begin with an
#: underscore are no variables' names anyway; TZ is on older lists, but Lambda takes it.
RESERVED_VARIABLES = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)

#: Which of two forms was meant; pydantic puts it into the place of a mistake, where no user should see it.
ZIP, IMAGE = "[zip]", "[image]"
TEXT, SECRET = "[text]", "[secret]"


def _matches(pattern: str, sentence: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(sentence)
        return value

    return AfterValidator(check)


Service = Annotated[
    str,
    Field(max_length=63),
    _matches(
        r"[a-z](-?[a-z0-9])*",
        "a service name begins with a lower-case letter, goes on with those, digits and single hyphens, and has at most 63",
    ),
]
_Stage = Annotated[
    str,
    _matches(
        STAGE_NAME,
        "a stage name has 1 to 63 letters, digits, hyphens and underscores, and is not all digits (it becomes a Lambda alias)",
    ),
]
_Logical = Annotated[str, _matches(r"[A-Za-z0-9_.-]{1,128}", "a function's logical name has 1 to 128 of A-Z a-z 0-9 _ . -")]
_FunctionName = Annotated[
    str,
    _matches(
        r"(arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?[A-Za-z0-9_-]{1,64}",
        "function_name is a function's name or its ARN, without a version or alias behind it",
    ),
]
_Text = Annotated[str, Field(max_length=1024)]
_ReleaseNumber = Annotated[int, Field(ge=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


# Functions: code.


def _sha256(value: str) -> str:
    if sha256_base64(value) is None:
        raise ValueError("sha256 is 64 hex digits, or the base64 form that Lambda shows")
    return value


def _image(value: str) -> str:
    ImageAddress.parse(value)
    return value


_Architectures = Annotated[list[Literal["x86_64", "arm64"]], Field(min_length=1, max_length=1)]


class S3Code(_Strict):
    s3_bucket: Annotated[str, Field(min_length=3, max_length=63)]
    s3_key: Annotated[str, Field(min_length=1, max_length=1024)]
    s3_object_version: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    sha256: Annotated[str, AfterValidator(_sha256)] | None = None
    architectures: _Architectures | None = None


class ImageCode(_Strict):
    image_uri: Annotated[str, Field(max_length=2048), AfterValidator(_image)]
    architectures: _Architectures | None = None


def _kind_of_code(value: Any) -> str:
    return IMAGE if isinstance(value, dict) and "image_uri" in value else ZIP


# Functions: configuration.


def _variable(name: str) -> str:
    if name in RESERVED_VARIABLES:
        raise ValueError("Lambda sets this variable itself, and refuses to have it set")
    if re.fullmatch(r"[a-zA-Z]([a-zA-Z0-9_])+", name) is None:
        raise ValueError("a variable's name begins with a letter and has two or more of A-Z a-z 0-9 _")
    return name


class _Environment(_Strict):
    Variables: dict[Annotated[str, AfterValidator(_variable)], str]


class _EphemeralStorage(_Strict):
    Size: Annotated[int, Field(ge=512, le=32768)]


class _Logging(_Strict):
    LogFormat: Literal["JSON", "Text"] | None = None
    ApplicationLogLevel: Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] | None = None
    SystemLogLevel: Literal["DEBUG", "INFO", "WARN"] | None = None
    LogGroup: (
        Annotated[str, _matches(r"[.\-_/#A-Za-z0-9]{1,512}", "a log group has 1 to 512 of A-Z a-z 0-9 . - _ / #")] | None
    ) = None


class _SnapStart(_Strict):
    ApplyOn: Literal["PublishedVersions", "None"]


class _Tracing(_Strict):
    Mode: Literal["Active", "PassThrough"]


class _DeadLetter(_Strict):
    TargetArn: Annotated[
        str,
        _matches(
            r"(arn:aws[a-z-]*:(sqs|sns):[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_.-]{1,256})?",
            "TargetArn is the ARN of a queue in SQS or a topic in SNS, or empty for none",
        ),
    ]


class _ImageSettings(_Strict):
    EntryPoint: Annotated[list[str], Field(max_length=1500)] | None = None
    Command: Annotated[list[str], Field(max_length=1500)] | None = None
    WorkingDirectory: Annotated[str, Field(max_length=1000)] | None = None


class _Network(_Strict):
    """Both lists, and both empty to leave the network: AWS refuses one without the other."""

    SubnetIds: Annotated[
        list[Annotated[str, _matches(r"subnet-[0-9a-z]+", "a subnet is subnet-…")]],
        Field(max_length=16),
    ]
    SecurityGroupIds: Annotated[
        list[Annotated[str, _matches(r"sg-[0-9a-zA-Z]+", "a security group is sg-…")]],
        Field(max_length=5),
    ]
    Ipv6AllowedForDualStack: bool | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> _Network:
        if bool(self.SubnetIds) != bool(self.SecurityGroupIds):
            raise ValueError("SubnetIds and SecurityGroupIds go together: both, or both empty for no network")
        return self


_Layer = Annotated[
    str,
    _matches(
        r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]{1,140}:[0-9]+",
        "a layer is given by the ARN of one of its versions",
    ),
]
_Role = Annotated[
    str,
    _matches(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9_+=,.@/-]{1,576}", "Role is the ARN of a role"),
]


class Configuration(_Strict):
    """Members of Lambda's UpdateFunctionConfiguration, spelled and bounded as there, for functions that AWS runs as usual
    (Lambda quotas): managed instances may have more memory and time."""

    DeadLetterConfig: _DeadLetter | None = None
    Description: Annotated[str, Field(max_length=256)] | None = None
    EphemeralStorage: _EphemeralStorage | None = None
    Environment: _Environment | None = None
    Handler: Annotated[str, _matches(r"\S{1,128}", "a handler has 1 to 128 characters and no blanks")] | None = None
    ImageConfig: _ImageSettings | None = None
    Layers: Annotated[list[_Layer], Field(max_length=5)] | None = None
    LoggingConfig: _Logging | None = None
    MemorySize: Annotated[int, Field(ge=128, le=10240)] | None = None
    Role: _Role | None = None
    Runtime: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    SnapStart: _SnapStart | None = None
    Timeout: Annotated[int, Field(ge=1, le=900)] | None = None
    TracingConfig: _Tracing | None = None
    VpcConfig: _Network | None = None


class Function(_Strict):
    function_name: _FunctionName
    code: Annotated[Annotated[S3Code, Tag(ZIP)] | Annotated[ImageCode, Tag(IMAGE)], Discriminator(_kind_of_code)] | None = None
    configuration: Configuration | None = None


FUNCTIONS: TypeAdapter[dict[str, Function]] = TypeAdapter(
    Annotated[dict[_Logical, Function], Field(min_length=1, max_length=MAX_FUNCTIONS)],
    config=ConfigDict(strict=True, hide_input_in_errors=True),
)


class NamedFunction(_Strict):
    """A function that is only pointed at: nothing of it is changed."""

    function_name: _FunctionName


NAMED_FUNCTIONS: TypeAdapter[dict[str, NamedFunction]] = TypeAdapter(
    Annotated[dict[_Logical, NamedFunction], Field(min_length=1, max_length=MAX_FUNCTIONS)],
    config=ConfigDict(strict=True, hide_input_in_errors=True),
)


class Document(_Strict):
    s3_bucket: Annotated[str, Field(min_length=3, max_length=63)]
    s3_key: Annotated[str, Field(min_length=1, max_length=1024)]


# Operations.


class Source(_Strict):
    commit: _Text | None = None
    branch: _Text | None = None
    run_url: _Text | None = None


class Input(_Strict):
    dry_run: bool = False
    lock_wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 1800
    reason: _Text | None = None
    actor: _Text | None = None
    source: Source | None = None

    def common(self) -> Common:
        source = self.source or Source()
        return Common(
            dry_run=self.dry_run,
            lock_wait_seconds=self.lock_wait_seconds,
            provenance=Provenance(self.actor, self.reason, source.commit, source.branch, source.run_url),
        )


class OfStage(Input):
    """What a stage operation takes beside."""

    service: Service
    if_release: _ReleaseNumber | None = None

    def common(self) -> Common:
        expected = None if self.if_release is None else ReleaseNumber(self.if_release)
        return replace(super().common(), if_release=expected)


class Template(_Strict):
    s3_bucket: Annotated[str, Field(min_length=3, max_length=63)]
    s3_key: Annotated[str, Field(min_length=1, max_length=1024)]
    s3_object_version: Annotated[str, Field(min_length=1, max_length=1024)] | None = None


class SecretVariable(_Strict):
    """A secret is given by reference, never by value."""

    secret: Annotated[
        str,
        _matches(
            r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}",
            "secret is the ARN of a secret in AWS Secrets Manager",
        ),
    ]


#: AWS Systems Manager takes values of up to 4,096 characters, and no empty ones (PutParameter).
_VariableText = Annotated[str, Field(min_length=1, max_length=4096)]
_VariableName = Annotated[
    str, _matches(r"[A-Za-z][A-Za-z0-9_]{0,62}", "a variable's name begins with a letter and has 1 to 63 of A-Z a-z 0-9 _")
]


def _kind_of_variable(value: Any) -> str:
    return SECRET if isinstance(value, dict) else TEXT


#: Every variable is a resource of the stage's stack and may be a parameter of it.
Variables = Annotated[
    dict[
        _VariableName,
        Annotated[Annotated[_VariableText, Tag(TEXT)] | Annotated[SecretVariable, Tag(SECRET)], Discriminator(_kind_of_variable)],
    ],
    Field(max_length=100),
]
_ParameterName = Annotated[str, _matches(r"[A-Za-z0-9]{1,255}", "a parameter's name has 1 to 255 letters and digits")]
_LogicalId = Annotated[str, _matches(r"[A-Za-z0-9]{1,255}", "a logical id has 1 to 255 letters and digits")]


class Deploy(OfStage):
    operation: Literal["deploy"]
    stage: _Stage | None = None
    functions: dict[str, Any] | None = None
    template: Template | None = None
    parameters: Annotated[dict[_ParameterName, Annotated[str, Field(max_length=4096)]], Field(max_length=200)] | None = None
    variables: Variables | None = None
    allow_shared: Annotated[list[_LogicalId], Field(min_length=1, max_length=500)] | None = None
    partial: bool = False
    accept_unqualified_callers: bool = False
    on_drift: Literal["refuse", "overwrite"] = "refuse"


class _To(_Strict):
    release: _ReleaseNumber | None = None
    steps: Annotated[int, Field(ge=1)] | None = None


class Rollback(OfStage):
    operation: Literal["rollback"]
    stage: _Stage
    to: _To | None = None
    on_drift: Literal["refuse", "overwrite"] = "refuse"
    allow_missing: bool = False


class _ResetTo(_Strict):
    release: _ReleaseNumber | None = None
    stage: _Stage | None = None


class Reset(OfStage):
    operation: Literal["reset"]
    stage: _Stage
    to: _ResetTo
    on_drift: Literal["refuse", "overwrite"] = "refuse"
    allow_missing: bool = False


class _From(_Strict):
    stage: _Stage


class Clone(OfStage):
    operation: Literal["clone"]
    stage: _Stage
    from_: Annotated[_From, Field(alias="from")]
    allow_missing: bool = False
    variables: Variables | None = None


class Adopt(OfStage):
    operation: Literal["adopt"]
    stage: _Stage | None = None
    stages: Annotated[list[_Stage], Field(min_length=1, max_length=MAX_FUNCTIONS)] | None = None
    functions: dict[str, Any] | None = None
    accept_unqualified_callers: bool = False


class _SettingsInput(_Strict):
    protected: bool | None = None
    description: _Text | None = None


class Configure(OfStage):
    operation: Literal["configure"]
    stage: _Stage
    settings: _SettingsInput


class Verify(OfStage):
    operation: Literal["verify"]
    stage: _Stage | None = None


class Teardown(OfStage):
    operation: Literal["teardown"]
    stage: _Stage | None = None
    confirm: _Text | None = None


class Recover(Input):
    operation: Literal["recover"]
    service: Service | None = None
    operation_id: Annotated[str, Field(min_length=1, max_length=80)] | None = None


#: A million of anything is as good as all of it; greater numbers are mistakes.
_Amount = Annotated[int, Field(ge=0, le=1_000_000)]


class Sweep(Input):
    operation: Literal["sweep"]
    service: Service | None = None
    mode: Literal["report", "delete"] = "report"
    keep: _Amount | None = None
    rollback_depth: _Amount | None = None
    grace_hours: _Amount | None = None
