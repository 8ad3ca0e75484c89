"""What every handler shares: settings, adapters, logging, metrics, tracing, and the way in and out of a state.

Must not know any operation.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import BaseModel, ConfigDict, Field

from stagekeeper.aws.errors import CallFailed
from stagekeeper.domain.facts import Absent, Unreadable
from stagekeeper.domain.model import OperationId
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.domain.record import Carrier, Failed, Succeeded
from stagekeeper.domain.request import DocumentRef
from stagekeeper.engine.deps import Deps, real_deps
from stagekeeper.engine.step import Step, dump
from stagekeeper.handlers.telemetry import PowertoolsTelemetry

logger = Logger(service="stagekeeper")
metrics = Metrics(namespace="Stagekeeper", service="stagekeeper")
# Not patching botocore: its calls run in threads, which X-Ray's context does not follow.
tracer = Tracer(service="stagekeeper", auto_patch=False)

#: Left of a Lambda's time (seconds) for the last call and for writing down how far it came.
DEADLINE_MARGIN = 60.0
#: A document of 500 functions with large environments fits (bytes).
MAX_DOCUMENT = 8 * 1024 * 1024


class Settings(BaseModel):
    """The environment of a handler, checked at cold start."""

    model_config = ConfigDict(frozen=True)

    state_table: str = Field(alias="STATE_TABLE", min_length=3)
    artifact_bucket: str = Field(alias="ARTIFACT_BUCKET", min_length=3)
    # Only the states that ask whether others live have it.
    state_machine_arn: str = Field(alias="STATE_MACHINE_ARN", default="")
    # Only the states that plan a deploy have it.
    pass_role_pattern: str = Field(alias="PASS_ROLE_PATTERN", default="")
    # Only the state that changes stacks has it.
    stack_role_arn: str = Field(alias="STACK_ROLE_ARN", default="")


class SweepParameters(BaseModel):
    """The stack's settings of sweeps, in the environment of the handlers that need them. One that is missing deletes nothing."""

    model_config = ConfigDict(frozen=True)

    keep: int = Field(alias="KEEP", ge=0)
    rollback_depth: int = Field(alias="ROLLBACK_DEPTH", ge=0)
    grace_hours: int = Field(alias="GRACE_HOURS", ge=0)


class Payload(BaseModel):
    """What the state machine gives to every state. ``operation_id`` is the operation's that ``execution`` carries, which is not
    of its own name for a recovery."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    version: int = Field(alias="schema")
    operation_id: str = Field(min_length=1, max_length=80)
    execution: str = Field(min_length=1, max_length=80)
    request: Any = None
    following: list[str] | None = None
    cut_off: dict[str, str] | None = None


#: Of the payloads of this version's state machine.
SCHEMA = 1


class UpdatedMeanwhile(Exception):
    """The control plane was updated while this execution was running, which still has the old definition. The operation is
    recovered by an execution of the new one. The state machine knows this by its name, and takes its time to fail: functions are
    updated before the definition, and a recovery that begins in between has the old one as well."""


class HandlerError(Exception):
    """Something that nobody foresaw; says where the details are."""


class _NamesLogStream:
    """Turns an unforeseen exception into one that tells the reader of the execution where to look. Hides nothing: it is
    raised from the original, which the log has in full."""

    def __init__(self, context: LambdaContext) -> None:
        self._context = context

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if isinstance(error, Exception) and not isinstance(error, UpdatedMeanwhile):
            logger.error("unforeseen", exc_info=error)
            where = f"log group {self._context.log_group_name}, log stream {self._context.log_stream_name}"
            if isinstance(error, CallFailed):
                # Under its own name: the state machine tries some of them again.
                raise type(error)(error.what, f"{error.why} (see {where}, request {self._context.aws_request_id})") from error
            raise HandlerError(f"{type(error).__name__}; see {where}, request {self._context.aws_request_id}") from error


@functools.cache
def deps() -> Deps:
    """The adapters, made at the first use and kept for the life of the process."""
    settings = Settings.model_validate(dict(os.environ))
    return real_deps(
        settings.state_table,
        settings.artifact_bucket,
        settings.state_machine_arn,
        settings.pass_role_pattern,
        settings.stack_role_arn,
        PowertoolsTelemetry(logger, metrics),
    )


def sweep_settings() -> SweepSettings:
    """Raises ValidationError where a parameter is missing or is no whole number of at least 0."""
    given = SweepParameters.model_validate(dict(os.environ))
    return SweepSettings(given.keep, given.rollback_depth, given.grace_hours * 3600)


def read_document(reference: DocumentRef) -> bytes | Absent | Unreadable:
    return deps().artifacts.document(reference.s3_bucket, reference.s3_key, MAX_DOCUMENT)


@dataclass(frozen=True, slots=True)
class Call:
    """One delivery of a state to its handler. ``deadline`` is until when (epoch seconds) a worker may begin new things,
    ``following`` what an earlier delivery waits for."""

    carrier: Carrier
    request: object
    following: Sequence[OperationId] | None
    cut_off: Mapping[str, str] | None
    deadline: float

    @property
    def operation_id(self) -> OperationId:
        return self.carrier.operation_id


def state(name: str) -> Callable[[Callable[[Call], Step]], Callable[[dict[str, Any], LambdaContext], Any]]:
    """Make a Lambda handler of a function from call to step: logged, traced, counted."""

    def decorate(work: Callable[[Call], Step]) -> Callable[[dict[str, Any], LambdaContext], Any]:
        @metrics.log_metrics
        @tracer.capture_lambda_handler(capture_response=False, capture_error=False)
        def handler(event: dict[str, Any], context: LambdaContext) -> Mapping[str, Any]:
            with _NamesLogStream(context):
                step = work(_call(event, context))
                _note(name, event["operation_id"], step)
                return {"schema": SCHEMA, "state": name, "operation_id": event["operation_id"], **dump(step)}

        return handler

    return decorate


def _call(event: dict[str, Any], context: LambdaContext) -> Call:
    if event.get("schema") != SCHEMA:
        raise UpdatedMeanwhile(f"this handler reads schema {SCHEMA} and was given {event.get('schema')!r}")
    payload = Payload.model_validate(event)
    logger.set_correlation_id(payload.operation_id)
    left = context.get_remaining_time_in_millis() / 1000
    return Call(
        carrier=Carrier(OperationId(payload.operation_id), payload.execution),
        request=payload.request,
        following=None if payload.following is None else [OperationId(each) for each in payload.following],
        cut_off=payload.cut_off,
        deadline=deps().clock.now() + left - DEADLINE_MARGIN,
    )


def _note(name: str, operation_id: str, step: Step) -> None:
    """One line per state; one metric per operation that ends here."""
    logger.info("state done", extra={"state": name, "operation_id": operation_id, "next": dump(step)["next"]})
    match step:
        case Succeeded():
            metrics.add_metric(name="Succeeded", unit=MetricUnit.Count, value=1)
        case Failed(error=error):
            metrics.add_metric(name=error, unit=MetricUnit.Count, value=1)
