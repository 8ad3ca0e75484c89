"""The input of ``StartExecution``, parsed strictly: what is not exactly as the public interface says is refused.

Strict means: no ``null`` for a field that is left out, no ``"3"`` or ``true`` for a number, no unknown field. The sentences that
come out of here never hold a value of the request, since configurations hold secrets.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from stagekeeper.domain.code import ImageAddress
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import LogicalName, OperationId, ReleaseNumber, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.refusal import Code, Refusal
from stagekeeper.domain.request import (
    AdoptRequest,
    CloneRequest,
    CodeWish,
    ConfigureRequest,
    DeployRequest,
    DocumentRef,
    FunctionWish,
    ImageWish,
    RecoverRequest,
    Request,
    ResetRequest,
    RollbackRequest,
    Secret,
    SweepRequest,
    TeardownRequest,
    TemplateWish,
    Variables,
    VerifyRequest,
)
from stagekeeper.handlers import request_forms as forms
from stagekeeper.handlers.request_sentences import sentences

T = TypeVar("T")

#: Reads the document that ``functions`` may point at.
ReadDocument = Callable[[DocumentRef], bytes | Absent | Unreadable]


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
        case OperationKind.TEARDOWN.value:
            return _teardown(raw)
        case OperationKind.SWEEP.value:
            return _sweep(raw)
        case OperationKind.ADOPT.value:
            return _adopt(raw, read_document)
        case OperationKind.CONFIGURE.value:
            return _configure(raw)
        case OperationKind.VERIFY.value:
            return _verify(raw)
        case OperationKind.RECOVER.value:
            return _recover(raw)
    return _invalid(["operation: must be one of " + ", ".join(kind.value for kind in OperationKind)])


def _deploy(raw: dict[str, Any], read_document: ReadDocument) -> Request | Refusal:
    try:
        parsed = forms.Deploy.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    if parsed.stage is None and parsed.partial:
        return _invalid(["partial: needs a stage, whose other functions are kept"])
    if parsed.stage is None and parsed.if_release is not None:
        return _invalid(["if_release: needs a stage, whose release it is compared with"])
    misplaced = _misplaced(parsed)
    if misplaced:
        return _invalid(misplaced)
    functions: dict[LogicalName, FunctionWish] = {}
    if parsed.functions is not None:
        found = _functions(parsed.functions, read_document, forms.FUNCTIONS)
        if isinstance(found, Refusal):
            return found
        functions = {LogicalName(name): _wish(function) for name, function in found.items()}
    return DeployRequest(
        common=parsed.common(),
        service=ServiceName(parsed.service),
        stage=None if parsed.stage is None else StageName(parsed.stage),
        functions=functions,
        partial=parsed.partial,
        accept_unqualified_callers=parsed.accept_unqualified_callers,
        overwrite_drift=parsed.on_drift == "overwrite",
        template=_template(parsed),
        variables=_variables(parsed.variables),
    )


def _misplaced(parsed: forms.Deploy) -> list[str]:
    """What a deploy's fields say that do not go together."""
    if (parsed.functions is None) == (parsed.template is None):
        return ["give either functions or template: what is to be deployed"]
    mistakes = []
    if parsed.template is None:
        beside = {"parameters": parsed.parameters, "allow_shared": parsed.allow_shared, "variables": parsed.variables}
        mistakes += [f"{name}: goes with template" for name, value in beside.items() if value is not None]
    elif parsed.partial:
        mistakes.append("partial: goes with functions; a template is the whole service")
    if parsed.stage is None and parsed.variables is not None:
        mistakes.append("variables: need a stage, whose they are")
    return mistakes


def _template(parsed: forms.Deploy) -> TemplateWish | None:
    if parsed.template is None:
        return None
    place = parsed.template
    allowed = tuple(dict.fromkeys(parsed.allow_shared or ()))
    return TemplateWish(place.s3_bucket, place.s3_key, place.s3_object_version, parsed.parameters or {}, allowed)


def _variables(given: dict[str, str | forms.SecretVariable] | None) -> Variables | None:
    if given is None:
        return None
    return {name: Secret(value.secret) if isinstance(value, forms.SecretVariable) else value for name, value in given.items()}


def _rollback(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = forms.Rollback.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    to = parsed.to
    if to is not None and (to.release is None) == (to.steps is None):
        return _invalid(["to: give either release or steps"])
    return RollbackRequest(
        common=parsed.common(),
        service=ServiceName(parsed.service),
        stage=StageName(parsed.stage),
        release=None if to is None or to.release is None else ReleaseNumber(to.release),
        steps=None if to is None else to.steps,
        overwrite_drift=parsed.on_drift == "overwrite",
        allow_missing=parsed.allow_missing,
    )


def _reset(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = forms.Reset.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    to = parsed.to
    if (to.release is None) == (to.stage is None):
        return _invalid(["to: give either release or stage"])
    return ResetRequest(
        common=parsed.common(),
        service=ServiceName(parsed.service),
        stage=StageName(parsed.stage),
        to=ReleaseNumber(to.release) if to.release is not None else StageName(to.stage or ""),
        overwrite_drift=parsed.on_drift == "overwrite",
        allow_missing=parsed.allow_missing,
    )


def _clone(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = forms.Clone.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    return CloneRequest(
        common=parsed.common(),
        service=ServiceName(parsed.service),
        stage=StageName(parsed.stage),
        like=StageName(parsed.from_.stage),
        allow_missing=parsed.allow_missing,
        variables=_variables(parsed.variables),
    )


def _adopt(raw: dict[str, Any], read_document: ReadDocument) -> Request | Refusal:
    try:
        parsed = forms.Adopt.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    if parsed.stage is not None and parsed.stages is not None:
        return _invalid(["stages: not beside stage, which names the only one"])
    if parsed.stage is None and parsed.if_release is not None:
        return _invalid(["if_release: needs a stage, whose release it is compared with"])
    names: dict[LogicalName, str] | None = None
    if parsed.functions is not None:
        functions = _functions(parsed.functions, read_document, forms.NAMED_FUNCTIONS)
        if isinstance(functions, Refusal):
            return functions
        names = {LogicalName(name): function.function_name for name, function in functions.items()}
    return AdoptRequest(
        common=parsed.common(),
        service=ServiceName(parsed.service),
        stage=None if parsed.stage is None else StageName(parsed.stage),
        stages=None if parsed.stages is None else tuple(StageName(name) for name in dict.fromkeys(parsed.stages)),
        functions=names,
        accept_unqualified_callers=parsed.accept_unqualified_callers,
    )


def _configure(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = forms.Configure.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    settings = parsed.settings
    if not settings.model_fields_set:
        return _invalid(["settings: give protected, description or both"])
    return ConfigureRequest(
        common=parsed.common(),
        service=ServiceName(parsed.service),
        stage=StageName(parsed.stage),
        protected=settings.protected,
        description=settings.description,
    )


def _teardown(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = forms.Teardown.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    if parsed.stage is None and parsed.if_release is not None:
        return _invalid(["if_release: needs a stage, whose release it is compared with"])
    return TeardownRequest(
        common=parsed.common(),
        service=ServiceName(parsed.service),
        stage=None if parsed.stage is None else StageName(parsed.stage),
        confirm=parsed.confirm,
    )


def _sweep(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = forms.Sweep.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    return SweepRequest(
        common=parsed.common(),
        service=None if parsed.service is None else ServiceName(parsed.service),
        delete=parsed.mode == "delete",
        keep=parsed.keep,
        rollback_depth=parsed.rollback_depth,
        grace_hours=parsed.grace_hours,
    )


def _verify(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = forms.Verify.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    if parsed.stage is None and parsed.if_release is not None:
        return _invalid(["if_release: needs a stage, whose release it is compared with"])
    stage = None if parsed.stage is None else StageName(parsed.stage)
    return VerifyRequest(parsed.common(), ServiceName(parsed.service), stage)


def _recover(raw: dict[str, Any]) -> Request | Refusal:
    try:
        parsed = forms.Recover.model_validate(raw)
    except ValidationError as error:
        return _invalid(sentences(error, ""))
    return RecoverRequest(
        common=parsed.common(),
        service=None if parsed.service is None else ServiceName(parsed.service),
        operation_id=None if parsed.operation_id is None else OperationId(parsed.operation_id),
    )


def _functions(raw: dict[str, Any], read_document: ReadDocument, form: TypeAdapter[T]) -> T | Refusal:
    """The functions in a request, or in the document that it points at."""
    where = "functions"
    if set(raw) == {"s3_bucket", "s3_key"} and all(isinstance(value, str) for value in raw.values()):
        try:
            place = forms.Document.model_validate(raw)
        except ValidationError as error:
            return _invalid(sentences(error, where))
        document = DocumentRef(place.s3_bucket, place.s3_key)
        where = f"functions (s3://{document.s3_bucket}/{document.s3_key})"
        loaded = _load(document, read_document)
        if isinstance(loaded, Refusal):
            return loaded
        raw = loaded
    try:
        return form.validate_python(raw)
    except ValidationError as error:
        return _invalid(sentences(error, where))


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


def _wish(function: forms.Function) -> FunctionWish:
    given = {} if function.configuration is None else function.configuration.model_dump(exclude_unset=True)
    return FunctionWish(function.function_name, _code(function.code), given)


def _code(code: forms.S3Code | forms.ImageCode | None) -> CodeWish | ImageWish | None:
    if code is None:
        return None
    architectures = None if code.architectures is None else tuple(code.architectures)
    if isinstance(code, forms.ImageCode):
        return ImageWish(ImageAddress.parse(code.image_uri), architectures)
    return CodeWish(code.s3_bucket, code.s3_key, code.s3_object_version, code.sha256, architectures)


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


def _invalid(mistakes: list[str]) -> Refusal:
    shown = "; ".join(mistakes[:3]) + (f"; and {len(mistakes) - 3} more" if len(mistakes) > 3 else "")
    return Refusal(Code.INVALID_REQUEST, f"The request is refused: {shown}.", tuple(mistakes))
