"""A well-formed request, as values. Made by ``handlers/request.py`` from an execution's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from stagekeeper.domain.code import ImageAddress
from stagekeeper.domain.model import LogicalName, OperationId, Provenance, ReleaseNumber, ServiceName, StageName
from stagekeeper.domain.operation import OperationKind


@dataclass(frozen=True, slots=True)
class CodeWish:
    """Code in S3. ``sha256`` is hex or base64, as the request has it; None where it does not say."""

    s3_bucket: str
    s3_key: str
    s3_object_version: str | None = None
    sha256: str | None = None
    architectures: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ImageWish:
    """Code in a container image."""

    image: ImageAddress
    architectures: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FunctionWish:
    """One function of a deploy. ``configuration`` holds environment values: never show it."""

    function_name: str
    code: CodeWish | ImageWish | None = None
    configuration: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class DocumentRef:
    """Where the functions of a request are written down, when they are not in the request itself."""

    s3_bucket: str
    s3_key: str


@dataclass(frozen=True, slots=True)
class TemplateWish:
    """A packaged SAM or CloudFormation template in S3, instead of functions, and the values of its parameters."""

    s3_bucket: str
    s3_key: str
    s3_object_version: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)
    allow_shared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """A variable whose value is in AWS Secrets Manager: only its ARN is ever kept."""

    arn: str


#: A stage's variables, by name. Plain values are no secrets.
Variables = Mapping[str, str | Secret]


@dataclass(frozen=True, slots=True)
class Common:
    """What every operation takes."""

    dry_run: bool = False
    lock_wait_seconds: int = 1800
    if_release: ReleaseNumber | None = None
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """With a template ``functions`` are empty until its service stack says what they are called. ``variables`` None leaves the
    stage's as they are."""

    common: Common
    service: ServiceName
    stage: StageName | None
    functions: Mapping[LogicalName, FunctionWish] = field(repr=False)
    partial: bool = False
    overwrite_drift: bool = False
    accept_unqualified_callers: bool = False
    template: TemplateWish | None = None
    variables: Variables | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RollbackRequest:
    common: Common
    service: ServiceName
    stage: StageName
    release: ReleaseNumber | None = None
    steps: int | None = None
    overwrite_drift: bool = False
    allow_missing: bool = False


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """``to`` is a release's number, or the stage to be like."""

    common: Common
    service: ServiceName
    stage: StageName
    to: ReleaseNumber | StageName
    overwrite_drift: bool = False
    allow_missing: bool = False


@dataclass(frozen=True, slots=True)
class CloneRequest:
    """``stage`` is the new one."""

    common: Common
    service: ServiceName
    stage: StageName
    like: StageName
    allow_missing: bool = False
    variables: Variables | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ConfigureRequest:
    """None leaves a setting as it is."""

    common: Common
    service: ServiceName
    stage: StageName
    protected: bool | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class VerifyRequest:
    """Without a stage, all of the service's."""

    common: Common
    service: ServiceName
    stage: StageName | None = None


@dataclass(frozen=True, slots=True)
class TeardownRequest:
    """Without a stage the whole service goes. ``confirm`` repeats the name of what goes."""

    common: Common
    service: ServiceName
    stage: StageName | None = None
    confirm: str | None = None


@dataclass(frozen=True, slots=True)
class SweepRequest:
    """Without a service, all of them. ``delete`` False only reports. None stands for the stack's parameter."""

    common: Common
    service: ServiceName | None
    delete: bool = False
    keep: int | None = None
    rollback_depth: int | None = None
    grace_hours: int | None = None
    stage: None = None


@dataclass(frozen=True, slots=True)
class AdoptRequest:
    """``functions`` are names only; None stands for those that the service has. ``stages`` None: every alias; ``stage`` is one of
    them."""

    common: Common
    service: ServiceName
    stage: StageName | None = None
    stages: tuple[StageName, ...] | None = None
    functions: Mapping[LogicalName, str] | None = None
    accept_unqualified_callers: bool = False


@dataclass(frozen=True, slots=True)
class RecoverRequest:
    """Without an operation, every dead one of the service; without a service, of all."""

    common: Common
    service: ServiceName | None = None
    operation_id: OperationId | None = None
    stage: None = None


Request = (
    DeployRequest
    | RollbackRequest
    | ResetRequest
    | CloneRequest
    | TeardownRequest
    | SweepRequest
    | AdoptRequest
    | ConfigureRequest
    | VerifyRequest
    | RecoverRequest
)


def kind_of(request: Request) -> OperationKind:
    match request:
        case DeployRequest():
            return OperationKind.DEPLOY
        case RollbackRequest():
            return OperationKind.ROLLBACK
        case ResetRequest():
            return OperationKind.RESET
        case CloneRequest():
            return OperationKind.CLONE
        case TeardownRequest():
            return OperationKind.TEARDOWN
        case SweepRequest():
            return OperationKind.SWEEP
        case AdoptRequest():
            return OperationKind.ADOPT
        case ConfigureRequest():
            return OperationKind.CONFIGURE
        case VerifyRequest():
            return OperationKind.VERIFY
        case RecoverRequest():
            return OperationKind.RECOVER
    assert_never(request)
