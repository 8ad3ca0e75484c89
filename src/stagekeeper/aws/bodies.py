"""Requests and plans as bodies in the artifact bucket, both ways. Each carries the schema version it was written with."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, assert_never

from pydantic import TypeAdapter, ValidationError

from stagekeeper.aws.artifacts import Artifacts
from stagekeeper.aws.table import SCHEMA, MalformedItem
from stagekeeper.domain.adoption import AdoptPlan
from stagekeeper.domain.operation import OperationKind
from stagekeeper.domain.plan import ConfigurePlan, Plan
from stagekeeper.domain.record import OperationRecord
from stagekeeper.domain.request import (
    AdoptRequest,
    CloneRequest,
    ConfigureRequest,
    DeployRequest,
    Request,
    ResetRequest,
    RollbackRequest,
    Secret,
    SweepRequest,
    TeardownRequest,
    Variables,
    VerifyRequest,
)
from stagekeeper.domain.service_template import ServiceTemplate
from stagekeeper.domain.stack_plan import StackContent, StackPlan
from stagekeeper.domain.sweep import Progress, SweepPlan
from stagekeeper.domain.teardown import TeardownPlan

T = TypeVar("T")

AnyPlan = Plan | ConfigurePlan | TeardownPlan | SweepPlan | AdoptPlan


@dataclass(frozen=True)
class _Form(Generic[T]):
    """How values of a type are written and read. Worked out with the first of them: all together would take a handler a seventh
    of its cold start, and it needs few of them."""

    type: Any

    @functools.cached_property
    def adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self.type)


_PLAN: _Form[Plan] = _Form(Plan)
_CONFIGURE_PLAN: _Form[ConfigurePlan] = _Form(ConfigurePlan)
_TEARDOWN_PLAN: _Form[TeardownPlan] = _Form(TeardownPlan)
_SWEEP_PLAN: _Form[SweepPlan] = _Form(SweepPlan)
_ADOPT_PLAN: _Form[AdoptPlan] = _Form(AdoptPlan)
_PROGRESS: _Form[Progress] = _Form(Progress)
_STACK_PLAN: _Form[StackPlan] = _Form(StackPlan)
_STACK_CONTENT: _Form[StackContent] = _Form(StackContent)
_TEMPLATE: _Form[ServiceTemplate] = _Form(ServiceTemplate)
_VARIABLES: _Form[Any] = _Form(dict[str, str | Secret])
_REQUESTS: dict[OperationKind, _Form[Any]] = {
    OperationKind.DEPLOY: _Form(DeployRequest),
    OperationKind.ROLLBACK: _Form(RollbackRequest),
    OperationKind.RESET: _Form(ResetRequest),
    OperationKind.CLONE: _Form(CloneRequest),
    OperationKind.TEARDOWN: _Form(TeardownRequest),
    OperationKind.SWEEP: _Form(SweepRequest),
    OperationKind.ADOPT: _Form(AdoptRequest),
    OperationKind.CONFIGURE: _Form(ConfigureRequest),
    OperationKind.VERIFY: _Form(VerifyRequest),
}


class Bodies:
    """Raises CallFailed when S3 does not answer and MalformedItem when a body is not what was written."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        # What lies under a key never changes: a worker reads it once.
        self._read: dict[str, bytes] = {}

    def put_request(self, kind: OperationKind, request: Request) -> str:
        """The key the request lies under. The same request has the same key."""
        return self._put("requests", _REQUESTS[kind], request)

    def request_of(self, record: OperationRecord) -> Request:
        request: Request = self._get(record.request_key, _REQUESTS[record.kind])
        return request

    def resolved_request_of(self, record: OperationRecord) -> Request:
        """The request with what the service stack says of its functions; of most operations just the request."""
        key = record.request_key if record.resolved_key is None else record.resolved_key
        request: Request = self._get(key, _REQUESTS[record.kind])
        return request

    def put_stack_plan(self, plan: StackPlan) -> str:
        return self._put("plans", _STACK_PLAN, plan)

    def stack_plan_of(self, record: OperationRecord) -> StackPlan:
        """What the operation does to stacks; nothing if there is nothing on record."""
        return StackPlan() if record.stacks_key is None else self._get(record.stacks_key, _STACK_PLAN)

    def put_stack_content(
        self, template: Mapping[str, Any], parameters: Mapping[str, str], *, read_only: bool = False
    ) -> tuple[str, StackContent]:
        """What a stack is made of, in one place; its template as CloudFormation reads it. The same has the same key."""
        text = json.dumps(template, sort_keys=True).encode()
        put = self._artifacts.ref_of if read_only else self._artifacts.put_body
        content = StackContent(put("stack-templates", text).key, hashlib.sha256(text).hexdigest(), dict(parameters))
        return self._put("stacks", _STACK_CONTENT, content, read_only=read_only), content

    def stack_content(self, key: str) -> StackContent:
        return self._get(key, _STACK_CONTENT)

    def stack_template(self, key: str) -> Mapping[str, Any]:
        """The template of a stack, by the key of its content."""
        found: Mapping[str, Any] = json.loads(self._body(self.stack_content(key).template_key))
        return found

    def put_template(self, template: ServiceTemplate, *, read_only: bool = False) -> str:
        """The key it lies under, or (``read_only``) would."""
        return self._put("templates", _TEMPLATE, template, read_only=read_only)

    def template(self, key: str) -> ServiceTemplate:
        return self._get(key, _TEMPLATE)

    def put_variables(self, variables: Variables, *, read_only: bool = False) -> str | None:
        """None for none of them."""
        return self._put("variables", _VARIABLES, dict(variables), read_only=read_only) if variables else None

    def variables(self, key: str | None) -> Variables:
        """A stage's variables; none without a key."""
        if key is None:
            return {}
        found: Variables = self._get(key, _VARIABLES)
        return found

    def put_plan(self, plan: AnyPlan) -> str:
        match plan:
            case Plan():
                return self._put("plans", _PLAN, plan)
            case ConfigurePlan():
                return self._put("plans", _CONFIGURE_PLAN, plan)
            case TeardownPlan():
                return self._put("plans", _TEARDOWN_PLAN, plan)
            case SweepPlan():
                return self._put("plans", _SWEEP_PLAN, plan)
            case AdoptPlan():
                return self._put("plans", _ADOPT_PLAN, plan)
        assert_never(plan)

    def plan_of(self, record: OperationRecord) -> Plan:
        """The plan of an operation that moves a stage."""
        return self._get(_plan_key(record), _PLAN)

    def configure_plan_of(self, record: OperationRecord) -> ConfigurePlan:
        return self._get(_plan_key(record), _CONFIGURE_PLAN)

    def teardown_plan_of(self, record: OperationRecord) -> TeardownPlan:
        return self._get(_plan_key(record), _TEARDOWN_PLAN)

    def sweep_plan_of(self, record: OperationRecord) -> SweepPlan:
        return self._get(_plan_key(record), _SWEEP_PLAN)

    def adopt_plan_of(self, record: OperationRecord) -> AdoptPlan:
        return self._get(_plan_key(record), _ADOPT_PLAN)

    def survey_of(self, record: OperationRecord) -> SweepPlan | None:
        """How far a sweep that is still looking came."""
        return None if record.progress_key is None else self._get(record.progress_key, _SWEEP_PLAN)

    def put_progress(self, progress: Progress) -> str:
        return self._put("plans", _PROGRESS, progress)

    def progress_of(self, record: OperationRecord) -> Progress:
        """How far deleting came; nowhere yet if nothing is on record."""
        return Progress() if record.progress_key is None else self._get(record.progress_key, _PROGRESS)

    def _put(self, prefix: str, form: _Form[T], value: T, *, read_only: bool = False) -> str:
        body = {"schema": SCHEMA, "body": form.adapter.dump_python(value, mode="json")}
        text = json.dumps(body, sort_keys=True).encode()
        return self._artifacts.ref_of(prefix, text).key if read_only else self._artifacts.put_body(prefix, text).key

    def _body(self, key: str) -> bytes:
        if key not in self._read:
            self._read[key] = self._artifacts.get_body(key)
        return self._read[key]

    def _get(self, key: str, form: _Form[T]) -> T:
        try:
            body = json.loads(self._body(key))
        except ValueError:
            # Without its cause, too: requests hold environment values.
            raise MalformedItem(f"{key} is damaged: it is no JSON") from None
        if not isinstance(body, dict) or body.get("schema") != SCHEMA:
            body = body if isinstance(body, dict) else {}
            raise MalformedItem(f"{key} has schema {body.get('schema')!r}, this version of Stagekeeper reads {SCHEMA}")
        try:
            # From JSON text, since only there a list may stand for a tuple in strict mode.
            return form.adapter.validate_json(json.dumps(body["body"]), strict=True)
        except ValidationError as error:
            # Without its cause: pydantic's own message repeats what is wrong, and requests hold environment values.
            raise MalformedItem(f"{key} is damaged: {error.error_count()} fields are not as written") from None


def _plan_key(record: OperationRecord) -> str:
    if record.plan_key is None:
        raise MalformedItem(f"operation {record.operation_id} is {record.status} but has no plan on record")
    return record.plan_key
