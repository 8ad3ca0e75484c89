"""A ``Custom::OrphanedVersions`` as its template spells it, parsed strictly, and the sweep that it asks for.

CloudFormation makes strings of numbers and booleans, so that is what properties are. Imported by ``orphaned_versions`` alone, and
only when something is to be done.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from stagekeeper.domain.facts import StackSeen
from stagekeeper.domain.model import MAX_FUNCTIONS, FunctionArn, OperationId, ServiceName
from stagekeeper.domain.orphaned_versions import Wish, settings_for
from stagekeeper.domain.orphans import SweepSettings
from stagekeeper.engine.deps import Deps
from stagekeeper.engine.orphaned_versions import sweep_for_template
from stagekeeper.handlers import runtime
from stagekeeper.handlers.orphaned_versions import Answer, Done
from stagekeeper.handlers.request_forms import Service
from stagekeeper.handlers.request_sentences import sentences

_FUNCTION = re.compile(r"(?P<where>arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:)?(?P<name>[A-Za-z0-9_-]{1,64})")


def _digits(value: str) -> str:
    if re.fullmatch("[0-9]{1,9}", value) is None:
        raise ValueError("must be a whole number of at least 0")
    return value


def _function(value: str) -> str:
    if _FUNCTION.fullmatch(value) is None:
        raise ValueError("must be a function's name or its ARN, without a version or alias behind it")
    return value


_Digits = Annotated[str, AfterValidator(_digits)]


class Properties(BaseModel):
    """What stands in the template, and ServiceToken, which CloudFormation hands on. Left out is empty; null is nothing at all."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    service_token: str = Field(alias="ServiceToken", default="")
    service_timeout: _Digits = Field(alias="ServiceTimeout", default="")
    function_names: list[Annotated[str, AfterValidator(_function)]] = Field(
        alias="FunctionNames", default_factory=list, min_length=1, max_length=MAX_FUNCTIONS
    )
    service: Service = Field(alias="Service", default="")
    keep: _Digits = Field(alias="Keep", default="")
    mode: Literal["delete", "report"] = Field(alias="Mode", default="delete")
    trigger: Any = Field(alias="Trigger", default=None)


class Malformed(Exception):
    """The properties are not as they must be. The message says what to do about it."""


def wish_of(raw: object, here: str, stack: SweepSettings, *, leaving: bool) -> Wish:
    """What the properties ask for. ``here``: what the ARNs of functions in reach begin with; ``leaving``: the resource goes.

    Raises Malformed.
    """
    try:
        given = Properties.model_validate(raw)
    except ValidationError as error:
        raise Malformed("; ".join(sentences(error, ""))) from None
    if bool(given.function_names) == bool(given.service):
        raise Malformed("give either FunctionNames or Service")
    settings = settings_for(stack, int(given.keep) if given.keep else None, leaving=leaving)
    if given.service:
        return Wish(ServiceName(given.service), settings, given.mode == "delete", leaving)
    arns = dict.fromkeys(_arn(name, number, here) for number, name in enumerate(given.function_names))
    return Wish(tuple(arns), settings, given.mode == "delete", leaving)


def _arn(name: str, number: int, here: str) -> FunctionArn:
    if not name.startswith("arn:"):
        return FunctionArn(here + name)
    if not name.startswith(here):
        raise Malformed(f"FunctionNames.{number}: is in another account or Region than Stagekeeper, which reaches {here}*")
    return FunctionArn(name)


def answer_to(event: Mapping[str, Any], context: Any, own: StackSeen, deadline: float, done: Done) -> Answer:
    """Sweep as an event of CloudFormation asks; ``own`` is its stack. Nothing is begun after ``deadline`` (epoch seconds)."""
    try:
        stack, deps = runtime.sweep_settings(), runtime.deps()
    except ValidationError as error:
        # Not the message: it shows the environment.
        wrong = ", ".join(str(mistake["loc"][0]) for mistake in error.errors(include_url=False, include_input=False))
        return Answer("Internal", f"the environment of Stagekeeper's own function is wrong: {wrong}", failed=True)
    answer = answer_with(deps, stack, event, context.invoked_function_arn, own, deadline, done)
    if runtime.metrics.metric_set:
        runtime.metrics.flush_metrics()
    return answer


def answer_with(
    deps: Deps,
    stack: SweepSettings,
    event: Mapping[str, Any],
    function_arn: str,
    own: StackSeen,
    deadline: float,
    done: Done,
) -> Answer:
    """The same with given adapters. ``function_arn`` is this Lambda's own."""
    leaving = event["RequestType"] == "Delete"
    here = ":".join(function_arn.split(":")[:6]) + ":"
    try:
        wish = wish_of(event.get("ResourceProperties"), here, stack, leaving=leaving)
    except Malformed as error:
        return Answer("InvalidRequest", str(error), failed=True)
    holder = OperationId(f"{own.name}.{event['LogicalResourceId']}.{uuid.uuid4().hex[:8]}")
    runtime.logger.set_correlation_id(holder)

    def deleted_one() -> None:
        done.deleted += 1

    outcome = sweep_for_template(deps, wish, own, holder, deadline, deleted_one)
    return Answer(outcome.word.value, outcome.detail, outcome.deleted, outcome.kept)
