"""The input of ``StartExecution``, parsed strictly: what is not exactly as the public interface says is refused.

Strict means: no ``null`` for a field that is left out, no ``"3"`` or ``true`` for a number, no unknown field. The sentences that
come out of here never hold a value of the request, since configurations hold secrets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from stagekeeper.aws.artifacts import sha256_base64
from stagekeeper.domain.configuration import OVERLAY_MEMBERS
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import MAX_FUNCTIONS, LogicalName, Provenance, ReleaseNumber, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import (
    CloneRequest,
    CodeWish,
    Common,
    ConfigureRequest,
    DeployRequest,
    DocumentRef,
    FunctionWish,
    Request,
    ResetRequest,
    RollbackRequest,
    VerifyRequest,
)

#: Reads the document that ``functions`` may point at.
ReadDocument = Callable[[DocumentRef], bytes | Absent | Unreadable]

#: Of the public interface, but not built in this version.
_LATER_OPERATIONS = ("teardown", "sweep", "adopt", "recover")
_LATER_FIELDS = ("template", "parameters", "variables", "allow_shared", "target")


def _matches(pattern: str, sentence: str) -> AfterValidator:
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(sentence)
        return value

    return AfterValidator(check)


_Service = Annotated[
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
        r"(?![0-9]+$)[A-Za-z0-9_-]{1,63}",
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


def _sha256(value: str) -> str:
    found = sha256_base64(value)
    if found is None:
        raise ValueError("sha256 is 64 hex digits, or the base64 form that Lambda shows")
    return found


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class _S3Code(_Strict):
    s3_bucket: Annotated[str, Field(min_length=3, max_length=63)]
    s3_key: Annotated[str, Field(min_length=1, max_length=1024)]
    s3_object_version: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    sha256: Annotated[str, AfterValidator(_sha256)] | None = None
    architectures: Annotated[list[Literal["x86_64", "arm64"]], Field(min_length=1, max_length=1)] | None = None


_Variable = Annotated[
    str,
    _matches(r"[a-zA-Z]([a-zA-Z0-9_])+", "a variable's name begins with a letter and has two or more of A-Z a-z 0-9 _"),
]


class _EnvironmentInput(_Strict):
    Variables: dict[_Variable, str]


class _EphemeralStorageInput(_Strict):
    Size: Annotated[int, Field(ge=512, le=32768)]


class _LoggingInput(_Strict):
    LogFormat: Literal["JSON", "Text"] | None = None
    ApplicationLogLevel: Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] | None = None
    SystemLogLevel: Literal["DEBUG", "INFO", "WARN"] | None = None
    LogGroup: (
        Annotated[str, _matches(r"[.\-_/#A-Za-z0-9]{1,512}", "a log group has 1 to 512 of A-Z a-z 0-9 . - _ / #")] | None
    ) = None


class _SnapStartInput(_Strict):
    ApplyOn: Literal["PublishedVersions", "None"]


class _TracingInput(_Strict):
    Mode: Literal["Active", "PassThrough"]


class _Configuration(_Strict):
    """Members of Lambda's UpdateFunctionConfiguration, spelled and bounded as there.

    The greatest numbers are those of functions on managed instances; for others AWS itself refuses them.
    """

    Description: Annotated[str, Field(max_length=256)] | None = None
    EphemeralStorage: _EphemeralStorageInput | None = None
    Environment: _EnvironmentInput | None = None
    Handler: Annotated[str, _matches(r"\S{1,128}", "a handler has 1 to 128 characters and no blanks")] | None = None
    LoggingConfig: _LoggingInput | None = None
    MemorySize: Annotated[int, Field(ge=128, le=32768)] | None = None
    Runtime: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    SnapStart: _SnapStartInput | None = None
    Timeout: Annotated[int, Field(ge=1, le=5400)] | None = None
    TracingConfig: _TracingInput | None = None


class _Function(_Strict):
    function_name: _FunctionName
    code: _S3Code | None = None
    configuration: _Configuration | None = None


class _Document(_Strict):
    s3_bucket: Annotated[str, Field(min_length=3, max_length=63)]
    s3_key: Annotated[str, Field(min_length=1, max_length=1024)]


class _Source(_Strict):
    commit: _Text | None = None
    branch: _Text | None = None
    run_url: _Text | None = None


class _Input(_Strict):
    service: _Service
    dry_run: bool = False
    lock_wait_seconds: Annotated[int, Field(ge=0, le=3600)] = 1800
    if_release: _ReleaseNumber | None = None
    reason: _Text | None = None
    actor: _Text | None = None
    source: _Source | None = None

    def common(self) -> Common:
        source = self.source or _Source()
        return Common(
            service=ServiceName(self.service),
            dry_run=self.dry_run,
            lock_wait_seconds=self.lock_wait_seconds,
            if_release=None if self.if_release is None else ReleaseNumber(self.if_release),
            provenance=Provenance(self.actor, self.reason, source.commit, source.branch, source.run_url),
        )


class _Deploy(_Input):
    operation: Literal["deploy"]
    stage: _Stage | None = None
    functions: dict[str, Any]
    partial: bool = False
    accept_unqualified_callers: bool = False
    on_drift: Literal["refuse", "overwrite"] = "refuse"


class _To(_Strict):
    release: _ReleaseNumber | None = None
    steps: Annotated[int, Field(ge=1)] | None = None


class _Rollback(_Input):
    operation: Literal["rollback"]
    stage: _Stage
    to: _To | None = None
    on_drift: Literal["refuse", "overwrite"] = "refuse"
    allow_missing: bool = False


class _ResetTo(_Strict):
    release: _ReleaseNumber | None = None
    stage: _Stage | None = None


class _Reset(_Input):
    operation: Literal["reset"]
    stage: _Stage
    to: _ResetTo
    on_drift: Literal["refuse", "overwrite"] = "refuse"
    allow_missing: bool = False


class _From(_Strict):
    stage: _Stage


class _Clone(_Input):
    operation: Literal["clone"]
    stage: _Stage
    from_: Annotated[_From, Field(alias="from")]
    allow_missing: bool = False


class _SettingsInput(_Strict):
    protected: bool | None = None
    description: _Text | None = None


class _Configure(_Input):
    operation: Literal["configure"]
    stage: _Stage
    settings: _SettingsInput


class _Verify(_Input):
    operation: Literal["verify"]
    stage: _Stage | None = None


_FUNCTIONS: TypeAdapter[dict[str, _Function]] = TypeAdapter(
    Annotated[dict[_Logical, _Function], Field(min_length=1, max_length=MAX_FUNCTIONS)],
    config=ConfigDict(strict=True, hide_input_in_errors=True),
)


def parse(raw: object, read_document: ReadDocument) -> Request | Refusal:
    """The request in an execution's input, or the refusal that says what is wrong with its form.

    ``read_document`` is called only if ``functions`` points at a document in S3.
    """
    if not isinstance(raw, dict):
        return _invalid(["the input of the execution must be a JSON object"])
    empty = _nulls(raw, "")
    if empty:
        return _invalid([f"{place}: null is no value; leave the field out" for place in empty])
    match raw.get("operation"):
        case OperationKind.DEPLOY.value:
            return _deploy(raw, read_document)
        case OperationKind.ROLLBACK.value:
            return _rollback(raw)
        case OperationKind.RESET.value:
            return _reset(raw)
        case OperationKind.CLONE.value:
            return _clone(raw)
        case OperationKind.CONFIGURE.value:
            return _configure(raw)
        case OperationKind.VERIFY.value:
            return _verify(raw)
        case str() as other if other in _LATER_OPERATIONS:
            return _invalid([f"operation: {other} is not in this version, which can deploy and rollback"])
    return _invalid(["operation: must be one of " + ", ".join(kind.value for kind in OperationKind)])


def _deploy(raw: dict[str, Any], read_document: ReadDocument) -> Request | Refusal:
    try:
        parsed = _Deploy.model_validate(raw)
    except ValidationError as error:
        return _invalid(_sentences(error, ""))
    if parsed.stage is None and parsed.partial:
        return _invalid(["partial: needs a stage, whose other functions are kept"])
    if parsed.stage is None and parsed.if_release is not None:
        return _invalid(["if_release: needs a stage, whose release it is compared with"])
    functions = _functions(parsed.functions, read_document)
    if isinstance(functions, Refusal):
        return functions
    return DeployRequest(
        common=parsed.common(),
        stage=None if parsed.stage is None else StageName(parsed.stage),
        functions=functions,
        partial=parsed.partial,
        accept_unqualified_callers=parsed.accept_unqualified_callers,
        overwrite_drift=parsed.on_drift == "overwrite",
    )


def _rollback(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = _Rollback.model_validate(raw)
    except ValidationError as error:
        return _invalid(_sentences(error, ""))
    to = parsed.to
    if to is not None and (to.release is None) == (to.steps is None):
        return _invalid(["to: give either release or steps"])
    return RollbackRequest(
        common=parsed.common(),
        stage=StageName(parsed.stage),
        release=None if to is None or to.release is None else ReleaseNumber(to.release),
        steps=None if to is None else to.steps,
        overwrite_drift=parsed.on_drift == "overwrite",
        allow_missing=parsed.allow_missing,
    )


def _reset(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = _Reset.model_validate(raw)
    except ValidationError as error:
        return _invalid(_sentences(error, ""))
    to = parsed.to
    if (to.release is None) == (to.stage is None):
        return _invalid(["to: give either release or stage"])
    return ResetRequest(
        common=parsed.common(),
        stage=StageName(parsed.stage),
        to=ReleaseNumber(to.release) if to.release is not None else StageName(to.stage or ""),
        overwrite_drift=parsed.on_drift == "overwrite",
        allow_missing=parsed.allow_missing,
    )


def _clone(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = _Clone.model_validate(raw)
    except ValidationError as error:
        return _invalid(_sentences(error, ""))
    return CloneRequest(
        common=parsed.common(),
        stage=StageName(parsed.stage),
        like=StageName(parsed.from_.stage),
        allow_missing=parsed.allow_missing,
    )


def _configure(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = _Configure.model_validate(raw)
    except ValidationError as error:
        return _invalid(_sentences(error, ""))
    settings = parsed.settings
    return ConfigureRequest(parsed.common(), StageName(parsed.stage), settings.protected, settings.description)


def _verify(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = _Verify.model_validate(raw)
    except ValidationError as error:
        return _invalid(_sentences(error, ""))
    return VerifyRequest(parsed.common(), None if parsed.stage is None else StageName(parsed.stage))


def _functions(raw: dict[str, Any], read_document: ReadDocument) -> Mapping[LogicalName, FunctionWish] | Refusal:
    where = "functions"
    if set(raw) == {"s3_bucket", "s3_key"} and all(isinstance(value, str) for value in raw.values()):
        try:
            place = _Document.model_validate(raw)
        except ValidationError as error:
            return _invalid(_sentences(error, where))
        document = DocumentRef(place.s3_bucket, place.s3_key)
        where = f"functions (s3://{document.s3_bucket}/{document.s3_key})"
        loaded = _load(document, read_document)
        if isinstance(loaded, Refusal):
            return loaded
        raw = loaded
    try:
        parsed = _FUNCTIONS.validate_python(raw)
    except ValidationError as error:
        return _invalid(_sentences(error, where))
    return {LogicalName(name): _wish(function) for name, function in parsed.items()}


def _load(document: DocumentRef, read_document: ReadDocument) -> dict[str, Any] | Refusal:
    name = f"s3://{document.s3_bucket}/{document.s3_key}"
    body = read_document(document)
    if isinstance(body, Absent):
        return Refusal(Code.ARTIFACT_MISSING, f"The functions document {name} does not exist. Upload it first.", (name,))
    if isinstance(body, Unreadable):
        return Refusal(Code.UNREADABLE, f"The functions document {name} could not be read: {body.why}.", (name,))
    try:
        loaded = json.loads(body)
    except (ValueError, RecursionError):
        return _invalid([f"functions: {name} is not JSON, or nested too deeply"])
    if not isinstance(loaded, dict):
        return _invalid([f"functions: {name} must hold a JSON object, logical name to function"])
    empty = _nulls(loaded, name)
    return _invalid([f"{place}: null is no value; leave the field out" for place in empty]) if empty else loaded


def _wish(function: _Function) -> FunctionWish:
    code = function.code
    wish = None
    if code is not None:
        architectures = None if code.architectures is None else tuple(code.architectures)
        wish = CodeWish(code.s3_bucket, code.s3_key, code.s3_object_version, code.sha256, architectures)
    given = {} if function.configuration is None else function.configuration.model_dump(exclude_unset=True)
    return FunctionWish(function.function_name, wish, given)


def _nulls(value: object, place: str) -> list[str]:
    """Where a null stands, whatever the depth: no recursion, which has a limit that a request could reach."""
    found: list[str] = []
    ahead: list[tuple[object, str]] = [(value, place)]
    while ahead:
        item, where = ahead.pop()
        if item is None:
            found.append(where)
        inner = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
        ahead += reversed([(each, f"{where}.{key}" if where else str(key)) for key, each in inner])
    return found


def _sentences(error: ValidationError, where: str) -> list[str]:
    """One sentence per mistake, without any value of the request."""
    lines = []
    for mistake in error.errors(include_url=False, include_context=False, include_input=False):
        parts = [str(part) for part in mistake["loc"] if part != "[key]"]
        place = ".".join(([where] if where else []) + parts)
        if mistake["type"] == "extra_forbidden":
            lines.append(f"{place}: {_unknown(parts)}")
        elif mistake["type"] in ("model_type", "dict_type"):
            lines.append(f"{place}: must be a JSON object")
        else:
            lines.append(f"{place}: {mistake['msg'].removeprefix('Value error, ')}")
    return lines


def _unknown(parts: list[str]) -> str:
    if "configuration" in parts[:-1]:
        return f"not among the members that may be given: {', '.join(sorted(OVERLAY_MEMBERS))}"
    if parts[-1] == "image_uri":
        return "container images are not in this version; give code in S3, or leave code out"
    if parts[-1] in _LATER_FIELDS:
        return "reserved for a later version"
    return "unknown field"


def _invalid(sentences: list[str]) -> Refusal:
    shown = "; ".join(sentences[:3]) + (f"; and {len(sentences) - 3} more" if len(sentences) > 3 else "")
    return Refusal(Code.INVALID_REQUEST, f"The request is refused: {shown}.", tuple(sentences))
